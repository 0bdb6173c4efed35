//! What an operator can ask of a job: to pass over a binlog, to copy everything or one table again, and to
//! let go of the target's tables.

use serde_json::{Value, json};

use crate::harness::{BOUND, DB, Pair, Syncer, Target, assert_equal, wait_until};

const JOB: &str = "steered";

/// A job in sync over the tables `t` and `other`.
async fn in_sync() -> (Pair, Syncer) {
    let pair = Pair::start().await;
    pair.create_database().await;
    for table in ["t", "other"] {
        pair.create_table(table, 1).await;
        pair.insert(table, 0..3).await;
    }
    let syncer = Syncer::start().await;
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_for(JOB, Target::InSync).await;
    (pair, syncer)
}

async fn wait_until_blocked_at(syncer: &Syncer, seq: i64) {
    wait_until("the job is blocked", BOUND, || async {
        let progress = syncer.progress(JOB).await;
        if progress["blocked"]["commit_seq"] == json!(seq) { Ok(()) } else { Err(progress.to_string()) }
    })
    .await;
}

async fn skip(syncer: &Syncer, seq: i64) {
    let body = json!({ "name": JOB, "skip_by": "silence", "skip_commit_seq": seq });
    syncer.call("job_skip_binlog", &body).await;
}

async fn both_equal(pair: &Pair) {
    for table in ["t", "other"] {
        assert_equal(pair, table, table).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_table_goes_on_when_its_binlog_is_skipped() {
    let (pair, mut syncer) = in_sync().await;
    // Blocks are for an operator to see.
    syncer.allow("CCR0203");
    let first = pair.journal_unknown_change(pair.table_id("t"));
    pair.insert("t", 3..6).await;
    pair.insert("other", 3..6).await;
    wait_until_blocked_at(&syncer, first).await;
    skip(&syncer, first).await;
    syncer.wait_for(JOB, Target::InSync).await;
    both_equal(&pair).await;

    // Of a paused job; two at once; and remembered over a crash.
    syncer.pause(JOB).await;
    let second = pair.journal_unknown_change(pair.table_id("t"));
    pair.insert("t", 6..8).await;
    let third = pair.journal_unknown_change(pair.table_id("t"));
    pair.insert("t", 8..9).await;
    skip(&syncer, second).await;
    skip(&syncer, third).await;
    assert_eq!(syncer.status(JOB).await["state"], "paused");
    syncer.kill();
    syncer.restart().await;
    syncer.resume(JOB).await;
    syncer.wait_for(JOB, Target::InSync).await;
    both_equal(&pair).await;
    assert_eq!(pair.calls("sql:BACKUP"), 1, "nothing was copied again");
    let refusal = syncer
        .refused("job_skip_binlog", &json!({ "name": JOB, "skip_by": "silence", "skip_commit_seq": first }))
        .await;
    assert!(refusal.starts_with("skip_commit_seq: "), "{refusal}");
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forced_full_sync_takes_one_snapshot_more() {
    let (pair, syncer) = in_sync().await;
    // What was changed downstream behind the job's back is overwritten.
    pair.down.sql_in(DB, "TRUNCATE TABLE t").await.unwrap();
    syncer.call("force_fullsync", &json!({ "name": JOB })).await;
    pair.insert("other", 3..6).await;
    syncer.wait_for(JOB, Target::InSync).await;
    both_equal(&pair).await;
    assert_eq!(pair.up.counters().get("sql:BACKUP"), 2);
    let info = syncer.progress(JOB).await["full_sync_info"].clone();
    assert_eq!(info["reason"]["kind"], "requested", "{info}");
    assert_eq!(info["reason"]["detail"], "force_fullsync", "{info}");

    // The other way to ask for it, which needs no commit seq and takes one for nothing.
    pair.down.sql_in(DB, "TRUNCATE TABLE other").await.unwrap();
    let body = json!({ "name": JOB, "skip_by": "FullSync", "skip_commit_seq": 0, "skip_table": "", "skip_table_id": 0 });
    syncer.call("job_skip_binlog", &body).await;
    pair.insert("t", 3..6).await;
    syncer.wait_for(JOB, Target::InSync).await;
    both_equal(&pair).await;
    assert_eq!(pair.up.counters().get("sql:BACKUP"), 3);
    let info = syncer.progress(JOB).await["full_sync_info"].clone();
    assert_eq!(info["reason"]["kind"], "requested", "{info}");
    assert_eq!(info["reason"]["detail"], "job_skip_binlog FullSync", "{info}");
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_requested_partial_sync_copies_that_table_only() {
    let (pair, syncer) = in_sync().await;
    pair.down.sql_in(DB, "TRUNCATE TABLE t").await.unwrap();
    let id = pair.table_id("t");
    let body = |table: &str| json!({ "name": JOB, "skip_by": "partialsync", "skip_table": table, "skip_table_id": id });
    let refusal = syncer.refused("job_skip_binlog", &body("other")).await;
    assert!(refusal.starts_with("skip_table: "), "{refusal}");
    syncer.call("job_skip_binlog", &body("t")).await;
    pair.insert("t", 3..5).await;
    pair.insert("other", 3..6).await;
    syncer.wait_for(JOB, Target::InSync).await;
    both_equal(&pair).await;
    assert_eq!(pair.up.counters().get("sql:BACKUP"), 2);
    let progress = syncer.progress(JOB).await;
    let history = progress["history"].as_array().cloned().unwrap_or_default();
    assert!(history.iter().any(is_request), "{progress}");
    assert!(!history.iter().skip_while(|entry| !is_request(entry)).any(|entry| entry["plan"] == "join"));
    syncer.finish().await;
}

fn is_request(entry: &Value) -> bool {
    entry["plan"] == "request"
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_of_a_table_job_is_copied_on_request() {
    let pair = Pair::start().await;
    pair.create_database().await;
    pair.create_table("t", 1).await;
    pair.insert("t", 0..3).await;
    let syncer = Syncer::start().await;
    syncer.create(&pair.table_job(JOB, "t", "copy")).await;
    syncer.wait_for(JOB, Target::InSync).await;
    pair.down.sql_in(DB, "TRUNCATE TABLE copy").await.unwrap();
    let id = pair.table_id("t");
    let body = json!({ "name": JOB, "skip_by": "partialsync", "skip_table": "t", "skip_table_id": id });
    syncer.call("job_skip_binlog", &body).await;
    pair.insert("t", 3..5).await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_equal(&pair, "t", "copy").await;
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn target_tables_are_let_go_and_taken_back() {
    let (pair, syncer) = in_sync().await;
    syncer.pause(JOB).await;
    for (route, value) in [("desync", "false"), ("sync", "true")] {
        syncer.call(route, &json!({ "name": JOB })).await;
        for table in ["t", "other"] {
            let shown = pair.down.sql_in(DB, &format!("SHOW CREATE TABLE {table}")).await.unwrap();
            let create = shown.rows[0][1].clone().unwrap_or_default();
            assert!(create.contains(&format!("\"is_being_synced\" = \"{value}\"")), "/{route}: {create}");
        }
    }
    syncer.resume(JOB).await;
    pair.insert("t", 3..5).await;
    syncer.wait_for(JOB, Target::InSync).await;
    both_equal(&pair).await;
    syncer.finish().await;
}

/// Nothing is done for a job between the answer to its pause and its resumption.
#[tokio::test(flavor = "multi_thread")]
async fn a_pause_is_effective_when_its_answer_arrives() {
    let (pair, syncer) = in_sync().await;
    for round in 1..=5 {
        pair.insert("t", round * 10..round * 10 + 3).await;
        syncer.pause(JOB).await;
        assert_eq!(syncer.status(JOB).await["state"], "paused");
        pair.reset_counters();
        pair.insert("t", round * 100..round * 100 + 3).await;
        assert_eq!((pair.calls("beginTxn"), pair.calls("getBinlog")), (0, 0));
        assert!(syncer.lag(JOB).await > 0);
        syncer.resume(JOB).await;
    }
    syncer.wait_for(JOB, Target::InSync).await;
    both_equal(&pair).await;
    syncer.finish().await;
}
