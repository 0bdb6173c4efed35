//! A database runs one backup or restore at a time: that of somebody else is waited for, and named.

use minidoris::fault::DebugPoint;
use minidoris::{Cluster, NodeId};

use crate::harness::{BOUND, DB, Pair, Syncer, Target, assert_equal, wait_until};

const JOB: &str = "waiting";

/// While it is on, backups do not begin.
const HOLD_BACKUPS: &str = "FE.PAUSE_PENDING_BACKUP_JOB";

fn hold(cluster: &Cluster, point: &str) {
    cluster.inner().debug_points.add(NodeId::Fe(0), point, DebugPoint::default());
}

fn release(cluster: &Cluster, point: &str) {
    cluster.inner().debug_points.remove(NodeId::Fe(0), point);
}

async fn says(syncer: &Syncer, parts: &[&str]) {
    wait_until(&format!("the job says {parts:?}"), BOUND, || async {
        let told = format!("{} {}", syncer.status(JOB).await, syncer.progress(JOB).await);
        if parts.iter().all(|part| told.contains(part)) { Ok(()) } else { Err(told) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_somebody_else_is_waited_for_by_name() {
    let pair = Pair::start().await;
    pair.create_database().await;
    for table in ["t", "other"] {
        pair.create_table(table, 2).await;
        pair.insert(table, 0..10).await;
    }
    hold(&pair.up, HOLD_BACKUPS);
    pair.run("BACKUP SNAPSHOT d1.nightly TO `__keep_on_local__` ON (other)").await;
    let syncer = Syncer::start().await;
    syncer.create(&pair.database_job(JOB)).await;
    says(&syncer, &["waiting for another backup", "nightly"]).await;
    pair.insert("t", 10..20).await;
    release(&pair.up, HOLD_BACKUPS);
    syncer.wait_for(JOB, Target::InSync).await;
    assert_equal(&pair, "t", "t").await;

    // The same when a table is copied on its own.
    hold(&pair.up, HOLD_BACKUPS);
    pair.run("BACKUP SNAPSHOT d1.weekly TO `__keep_on_local__` ON (other)").await;
    pair.run("ALTER TABLE t ADD COLUMN k2 INT KEY DEFAULT \"3\" AFTER k").await;
    says(&syncer, &["waiting for another backup", "weekly"]).await;
    release(&pair.up, HOLD_BACKUPS);
    syncer.wait_for(JOB, Target::InSync).await;
    assert_equal(&pair, "t", "t").await;
    let backups = pair.up.sql_in(DB, "SHOW BACKUP").await.expect("backups are listed");
    assert_eq!(backups.rows.len(), 4, "two of the job, two of others: {:?}", backups.rows);
    syncer.finish().await;
}
