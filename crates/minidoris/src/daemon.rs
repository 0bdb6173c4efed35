//! Work that a cluster does on its own: steps of backup, restore and schema change jobs, transaction
//! timeouts, binlog gc, the recycle bin, tablets that move between backends.
//!
//! One task per kind of work, so that a slow one delays no other. Only a cluster with a living master
//! works; every step is a bounded synchronous function.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior};

use crate::cluster::{Cluster, ClusterInner};
use crate::{binlog, exec, mv, snapshot, txn};

/// Pause between two looks for transactions past their time limit.
const TXN_INTERVAL: Duration = Duration::from_millis(200);
/// Pause between two looks for what has been in the recycle bin for too long.
const RECYCLE_BIN_INTERVAL: Duration = Duration::from_millis(500);
/// Pause between two looks for changes that no client waits for, such as the steps of jobs.
const SAVE_INTERVAL: Duration = Duration::from_millis(200);
/// Shortest pause that an option can ask for.
const SHORTEST: Duration = Duration::from_millis(1);

/// Works until `shutdown` resolves.
pub async fn run(cluster: Arc<ClusterInner>, shutdown: impl Future<Output = ()> + Send) {
    let options = &cluster.options;
    let snapshots = every(options.backup_interval, &cluster, snapshot::tick);
    let alters = every(options.alter_interval.unwrap_or(options.backup_interval), &cluster, |cluster| {
        exec::job::tick(cluster);
        mv::tick(cluster);
    });
    let txns = every(TXN_INTERVAL, &cluster, |cluster| txn::tick(cluster));
    let erasures = every(RECYCLE_BIN_INTERVAL, &cluster, |cluster| exec::recycle_bin::erase_expired(cluster));
    let moves = async {
        let mut ticks = ticks(TXN_INTERVAL);
        loop {
            ticks.tick().await;
            if cluster.master().is_none() {
                continue;
            }
            let emptied = txn::relocate(&cluster);
            if let Some(running) = Cluster::of(&cluster).filter(|_| !emptied.is_empty()) {
                running.drop_emptied(emptied).await;
            }
        }
    };
    let saves = every(SAVE_INTERVAL, &cluster, |cluster| {
        // A failure is logged, and told to the next client.
        drop(cluster.save());
    });
    let binlogs = every(options.binlog_gc_interval, &cluster, |cluster| collect_binlogs(cluster));
    tokio::select! {
        () = shutdown => {}
        () = async { tokio::join!(snapshots, alters, txns, erasures, binlogs, moves, saves); } => {}
    }
}

/// One collection of expired binlogs on the frontends and backends.
pub fn collect_binlogs(cluster: &ClusterInner) {
    binlog::collect_garbage_and_tell_backends(cluster);
    cluster.changed.notify_waiters();
}

async fn every(pause: Duration, cluster: &Arc<ClusterInner>, step: impl Fn(&Arc<ClusterInner>)) {
    let mut ticks = ticks(pause);
    loop {
        ticks.tick().await;
        if cluster.master().is_some() {
            step(cluster);
        }
    }
}

fn ticks(pause: Duration) -> Interval {
    let mut ticks = tokio::time::interval(pause.max(SHORTEST));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
