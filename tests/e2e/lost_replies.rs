//! Calls whose work is done and whose answer is lost: after the doubt, nothing is done twice.

use minidoris::{Fault, FaultKind};

use crate::harness::{Pair, Syncer, Target, assert_equal};

const JOB: &str = "doubtful";

/// Starts a job on a table of `replicas` replicas and waits until it is in sync.
async fn in_sync(replicas: u16) -> (Pair, Syncer) {
    let pair = Pair::replicated(replicas).await;
    pair.create_database().await;
    pair.create_table("t", 2).await;
    pair.insert("t", 0..10).await;
    let syncer = Syncer::start().await;
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_for(JOB, Target::InSync).await;
    (pair, syncer)
}

async fn loses_replies_of(call: &str, kind: FaultKind) {
    let (pair, syncer) = in_sync(2).await;
    pair.down.faults().add(Fault::new(kind).call(call).times(2));
    for key in 0..8 {
        pair.insert("t", 100 + key..101 + key).await;
    }
    syncer.wait_for(JOB, Target::InSync).await;
    assert!(pair.down.faults().rules().is_empty(), "the faults were met");
    assert_equal(&pair, "t", "t").await;
    assert_eq!(pair.up.counters().get("sql:BACKUP"), 1, "a lost reply is no reason for a full sync");
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_of_begin_are_lost() {
    loses_replies_of("beginTxn", FaultKind::CutAfter).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_of_commit_are_lost() {
    loses_replies_of("commitTxn", FaultKind::CutAfter).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_of_commit_break_off() {
    loses_replies_of("commitTxn", FaultKind::CutMidReply).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_of_ingest_are_lost() {
    loses_replies_of("ingest_binlog", FaultKind::CutAfter).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_to_statements_are_lost() {
    let (pair, syncer) = in_sync(1).await;
    for call in ["sql:CREATE TABLE", "sql:TRUNCATE", "sql:DROP TABLE"] {
        pair.down.faults().add(Fault::new(FaultKind::CutAfter).call(call).times(1));
    }
    pair.create_table("second", 1).await;
    pair.insert("second", 0..4).await;
    pair.run("TRUNCATE TABLE t").await;
    pair.insert("t", 50..53).await;
    pair.create_table("third", 1).await;
    pair.run("DROP TABLE third").await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert!(pair.down.faults().rules().is_empty(), "the faults were met");
    assert_equal(&pair, "t", "t").await;
    assert_equal(&pair, "second", "second").await;
    assert_eq!(pair.downstream_tables().await, ["second", "t"]);
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_of_the_snapshot_are_lost() {
    let pair = Pair::start().await;
    pair.create_database().await;
    pair.create_table("t", 2).await;
    pair.insert("t", 0..10).await;
    let syncer = Syncer::start().await;
    for call in ["sql:BACKUP", "getSnapshot"] {
        pair.up.faults().add(Fault::new(FaultKind::CutAfter).call(call).times(1));
    }
    pair.down.faults().add(Fault::new(FaultKind::CutAfter).call("restoreSnapshot").times(1));
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_equal(&pair, "t", "t").await;
    let backups = pair.up.sql("SHOW BACKUP FROM d1").await.unwrap();
    assert_eq!(backups.rows.len(), 1, "one backup was made");
    let restores = pair.down.sql("SHOW RESTORE FROM d1").await.unwrap();
    assert_eq!(restores.rows.len(), 1, "one restore was made");
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_call_may_fail_now_and_then() {
    let (pair, syncer) = in_sync(2).await;
    for cluster in [&pair.up, &pair.down] {
        for kind in [FaultKind::CutAfter, FaultKind::CutBefore, FaultKind::CutMidReply] {
            cluster.faults().add(Fault::new(kind).with_probability(0.02));
        }
    }
    for key in 0..60 {
        pair.insert("t", 1000 + key..1002 + key).await;
    }
    // Lag and status are asked through the same faults, so the comparison waits for a quiet network.
    for cluster in [&pair.up, &pair.down] {
        cluster.faults().clear();
    }
    syncer.wait_for(JOB, Target::InSync).await;
    assert_equal(&pair, "t", "t").await;
    assert_eq!(pair.up.counters().get("sql:BACKUP"), 1);
    syncer.finish().await;
}
