//! How many pairs of beginTxn and commitTxn a cluster takes per second over sockets, against the bound
//! that keeps it from ever being what a measurement of replication measures. Run by hand:
//! `cargo bench -p minidoris --bench begin_commit -- [connections] [seconds]`.
//!
//! Each connection works on a table of its own with one tablet and binlogs on. Between begin and commit
//! an empty rowset is staged in the process, so the commit does all of its work: quorum, version, publish
//! on the backend, and the binlog.

#![allow(clippy::print_stdout)]

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use doris_thrift::{
    ClientPool, PoolOptions, TBeginTxnRequest, TCommitTxnRequest, TStatusCode, TTabletCommitInfo,
};
use minidoris::{Cluster, ClusterOptions};

/// Pairs per second.
const BOUND: f64 = 20_000.0;
const DEFAULT_CONNECTIONS: u64 = 16;
const DEFAULT_SECONDS: u64 = 5;

/// The only tablet of a table.
#[derive(Debug, Clone, Copy)]
struct Target {
    table: i64,
    partition: i64,
    tablet: i64,
}

fn main() -> anyhow::Result<()> {
    // Cargo passes `--bench`, which is no number.
    let mut numbers = std::env::args().skip(1).filter_map(|argument| argument.parse::<u64>().ok());
    let connections = numbers.next().unwrap_or(DEFAULT_CONNECTIONS);
    let seconds = numbers.next().unwrap_or(DEFAULT_SECONDS);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(measure(connections, Duration::from_secs(seconds)))
}

async fn measure(connections: u64, time: Duration) -> anyhow::Result<()> {
    let cluster = Cluster::start(ClusterOptions::replicating("bench")).await?;
    cluster.sql(r#"CREATE DATABASE d PROPERTIES ("binlog.enable" = "true")"#).await?;
    let mut targets = Vec::new();
    for number in 0..connections {
        let sql = format!(
            "CREATE TABLE t{number} (k INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1 \
             PROPERTIES (\"replication_num\" = \"1\", \"binlog.enable\" = \"true\")"
        );
        cluster.sql_in("d", &sql).await?;
        targets.push(target(&cluster, &format!("t{number}"))?);
    }
    let fe = cluster.fe(0);
    let address = format!("{}:{}", fe.host, fe.rpc_port);
    let pool = ClientPool::new(PoolOptions::default());
    let start = Instant::now();
    let workers = targets.into_iter().map(|target| {
        let (cluster, pool, address) = (cluster.clone(), pool.clone(), address.clone());
        tokio::spawn(async move { work(&cluster, &pool, &address, target, start + time).await })
    });
    let mut pairs = 0;
    for worker in workers.collect::<Vec<_>>() {
        pairs += worker.await??;
    }
    let rate = pairs as f64 / start.elapsed().as_secs_f64();
    println!(
        "begin_commit: {rate:.0} pairs/s over {connections} connections, bound {BOUND:.0}/s, ratio {:.2}",
        rate / BOUND
    );
    let visible = cluster.inner().fe.lock().journal_id;
    println!("journal at {visible} after {pairs} transactions");
    cluster.stop().await;
    ensure!(rate >= BOUND, "{rate:.0} pairs per second are below the bound");
    Ok(())
}

async fn work(
    cluster: &Cluster,
    pool: &ClientPool,
    address: &str,
    target: Target,
    end: Instant,
) -> anyhow::Result<u64> {
    let client = pool.frontend(address);
    let backend = cluster.backend(0);
    let mut pairs = 0;
    while Instant::now() < end {
        let begin = TBeginTxnRequest {
            user: Some("root".into()),
            passwd: Some(String::new()),
            db: Some("d".into()),
            table_ids: Some(vec![target.table]),
            label: Some(format!("bench-{}-{pairs}", target.table)),
            ..Default::default()
        };
        let begun = client.begin_txn(&begin).await?;
        let txn_id = begun.txn_id.with_context(|| format!("begin failed: {:?}", begun.status))?;
        backend.write(txn_id, target.partition, target.tablet, Default::default(), Vec::new())?;
        let written =
            TTabletCommitInfo { tablet_id: target.tablet, backend_id: backend.id(), ..Default::default() };
        let commit = TCommitTxnRequest {
            user: Some("root".into()),
            passwd: Some(String::new()),
            db: Some("d".into()),
            txn_id: Some(txn_id),
            commit_infos: Some(vec![written]),
            ..Default::default()
        };
        let committed = client.commit_txn(&commit).await?;
        let status = committed.status.as_ref().map(|status| status.status_code);
        ensure!(status == Some(TStatusCode::OK), "commit failed: {:?}", committed.status);
        pairs += 1;
    }
    Ok(pairs)
}

fn target(cluster: &Cluster, table: &str) -> anyhow::Result<Target> {
    let state = cluster.inner().fe.lock();
    let database = state.database_named("d").context("the database was just created")?;
    let table = database.table_named(table).and_then(|table| table.as_olap()).context("no such table")?;
    let partition = table.partitions.values().next().context("a table has a partition")?;
    let tablet = partition.tablets().next().context("a partition has a tablet")?;
    Ok(Target { table: table.id, partition: partition.id, tablet: tablet.id })
}
