//! The process dies at every failpoint that the syncer itself lists: before and after everything it does to a
//! cluster or to its store. Started again, it ends in the same state, with the same snapshot and every row once.

use std::collections::BTreeSet;

use serde_json::json;

use crate::harness::{Pair, Syncer, Target, assert_equal};

const JOB: &str = "crashing";
const ENABLED: &str = "--enable_failpoints";

/// What a full sync does.
const FULL_SYNC: &[&str] = &["start_backup", "start_restore", "save_state", "append_history"];
/// What replaying binlogs does.
const REPLAY: &[&str] =
    &["begin_txn", "ingest", "commit_txn", "execute", "save_state", "save_position", "append_history"];
/// What is done to a transaction with sub-transactions that a crash has left open.
const REOPEN: &[&str] = &["rollback_txn"];

async fn set(syncer: &Syncer, failpoint: &str, value: &str) {
    syncer.call("failpoint", &json!({ "name": JOB, "failpoint": failpoint, "value": value })).await;
}

/// A job that has not begun: two tables with rows, and a target database.
async fn prepared() -> (Pair, Syncer) {
    let pair = Pair::start().await;
    pair.create_database().await;
    pair.create_table("t1", 2).await;
    pair.create_table("t2", 1).await;
    pair.insert("t1", 0..5).await;
    pair.insert("t2", 0..5).await;
    // Else a failpoint of statements would be hit by the creation of the job.
    pair.down.sql("CREATE DATABASE d1").await.expect("the target database is made");
    (pair, Syncer::start_with(&[ENABLED]).await)
}

async fn work(pair: &Pair) {
    pair.insert("t1", 10..15).await;
    pair.run("BEGIN; INSERT INTO t1 VALUES (100, 'a'); INSERT INTO t2 VALUES (100, 'b'); COMMIT").await;
    pair.create_table("t3", 1).await;
    pair.insert("t3", 0..5).await;
    pair.run("TRUNCATE TABLE t2").await;
    pair.insert("t2", 20..25).await;
    pair.run("ALTER TABLE t1 RENAME t9").await;
    pair.insert("t9", 30..35).await;
    pair.run("DROP TABLE t3").await;
}

async fn assert_same(pair: &Pair, what: &str) {
    for table in ["t9", "t2"] {
        assert_equal(pair, table, table).await;
    }
    assert_eq!(pair.downstream_tables().await, ["t2", "t9"], "{what}");
    let snapshots = (pair.up.counters().get("sql:BACKUP"), pair.down.counters().get("restoreSnapshot"));
    assert_eq!(snapshots, (1, 1), "no further snapshot with {what}");
}

async fn crash_in_full_sync(effect: &str) {
    for moment in ["before", "after"] {
        let (pair, mut syncer) = prepared().await;
        let failpoint = format!("{effect}:{moment}");
        set(&syncer, &failpoint, "crash").await;
        // The answer may be lost with the process.
        let job = pair.database_job(JOB).to_string();
        let url = syncer.url("create_ccr");
        let _ = reqwest::Client::new().post(url).body(job).send().await;
        syncer.crashed().await;
        syncer.restart().await;
        pair.insert("t1", 5..10).await;
        // A table that is renamed while it is copied is copied again, and that is not the matter here.
        syncer.wait_for(JOB, Target::InSync).await;
        work(&pair).await;
        syncer.wait_for(JOB, Target::InSync).await;
        assert_same(&pair, &failpoint).await;
        syncer.finish().await;
    }
}

/// `nth`: at the first, or at a later effect of the kind.
async fn crash_in_replay(effect: &str, nth: u32) {
    for moment in ["before", "after"] {
        let (pair, mut syncer) = prepared().await;
        syncer.create(&pair.database_job(JOB)).await;
        syncer.wait_for(JOB, Target::InSync).await;
        let failpoint = format!("{effect}:{moment}");
        set(&syncer, &failpoint, &format!("crash:{nth}")).await;
        work(&pair).await;
        syncer.crashed().await;
        syncer.restart().await;
        syncer.wait_for(JOB, Target::InSync).await;
        assert_same(&pair, &failpoint).await;
        syncer.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_failpoint_of_an_effect_is_crashed_at() {
    let syncer = Syncer::start_with(&[ENABLED]).await;
    let listed = syncer.call("failpoints", &json!({})).await["failpoints"].clone();
    let listed: BTreeSet<String> = listed
        .as_array()
        .expect("a list")
        .iter()
        .map(|failpoint| failpoint["name"].as_str().expect("a name").to_owned())
        .filter(|name| !name.starts_with("handle_binlog_"))
        .collect();
    let effects = FULL_SYNC.iter().chain(REPLAY).chain(REOPEN);
    let crashed_at =
        effects.flat_map(|effect| ["before", "after"].map(|moment| format!("{effect}:{moment}"))).collect();
    assert_eq!(listed, crashed_at, "what the syncer lists (left), and what is crashed at here");
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_effect_of_a_full_sync_changes_nothing() {
    for effect in FULL_SYNC {
        crash_in_full_sync(effect).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_the_first_effect_of_each_kind_in_the_replay_changes_nothing() {
    for effect in REPLAY {
        crash_in_replay(effect, 1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_a_later_effect_of_each_kind_in_the_replay_changes_nothing() {
    for effect in REPLAY {
        crash_in_replay(effect, 3).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_while_an_open_transaction_is_rolled_back_changes_nothing() {
    for moment in ["before", "after"] {
        let (pair, mut syncer) = prepared().await;
        syncer.create(&pair.database_job(JOB)).await;
        syncer.wait_for(JOB, Target::InSync).await;
        set(&syncer, "commit_txn:before", "crash").await;
        pair.run("BEGIN; INSERT INTO t1 VALUES (1, 'a'); INSERT INTO t1 VALUES (2, 'b'); COMMIT").await;
        syncer.crashed().await;
        syncer.set_flags(&[ENABLED, "--failpoints", &format!("rollback_txn:{moment}=crash")]);
        syncer.launch();
        syncer.crashed().await;
        syncer.set_flags(&[]);
        syncer.restart().await;
        work(&pair).await;
        syncer.wait_for(JOB, Target::InSync).await;
        assert_same(&pair, moment).await;
        syncer.finish().await;
    }
}
