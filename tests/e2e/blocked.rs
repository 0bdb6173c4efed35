//! A change that the syncer cannot apply blocks its table, says which one and why, and lets others go on.

use minidoris::Release;
use serde_json::{Value, json};

use crate::harness::{BOUND, Pair, Syncer, Target, assert_equal, wait_until};

const JOB: &str = "blocked";

/// A job in sync over the tables `t` and `other`.
async fn in_sync() -> (Pair, Syncer) {
    in_sync_of(Release::default(), |pair| pair.database_job(JOB)).await
}

/// This job, of these tables, in sync with an upstream of this release.
async fn in_sync_of(up: Release, job: impl Fn(&Pair) -> Value) -> (Pair, Syncer) {
    let pair = Pair::with(|options| {
        options.release = if options.name == "up" { up } else { Release::default() };
    })
    .await;
    pair.create_database().await;
    for table in ["t", "other"] {
        pair.create_table(table, 1).await;
        pair.insert(table, 0..3).await;
    }
    let mut syncer = Syncer::start().await;
    // An operator must see this in the log.
    syncer.allow("CCR0203");
    syncer.create(&job(&pair)).await;
    syncer.wait_for(JOB, Target::InSync).await;
    (pair, syncer)
}

async fn wait_until_blocked(syncer: &Syncer) -> Value {
    wait_until("the job is blocked", BOUND, || async {
        let progress = syncer.progress(JOB).await;
        if progress["blocked"].is_null() {
            Err(progress.to_string())
        } else {
            Ok(progress["blocked"].clone())
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_change_blocks_its_table_with_code_type_and_seq() {
    let (pair, syncer) = in_sync().await;
    pair.insert("t", 3..5).await;
    let seq = pair.journal_unknown_change(pair.table_id("t"));
    pair.insert("t", 5..8).await;
    pair.insert("other", 3..9).await;
    let blocked = wait_until_blocked(&syncer).await;
    assert_eq!(blocked["code"], "CCR0203", "{blocked}");
    assert_eq!(blocked["commit_seq"], seq, "{blocked}");
    assert!(blocked["binlog_type"].as_str().is_some_and(|name| name.contains("99")), "{blocked}");
    for text in ["message", "hint"] {
        assert!(blocked[text].as_str().is_some_and(|text| !text.is_empty()), "{text}: {blocked}");
    }
    wait_until("the other table goes on", BOUND, || async {
        let rows = pair.downstream_rows("other").await;
        if rows == 9 { Ok(()) } else { Err(format!("{rows} rows")) }
    })
    .await;
    assert_equal(&pair, "other", "other").await;
    assert_eq!(pair.downstream_rows("t").await, 5, "what came before it is there, nothing after it");
    assert!(syncer.lag(JOB).await > 0, "a blocked job is not in sync");
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_survives_a_restart_and_a_resume_tries_again() {
    let (pair, mut syncer) = in_sync().await;
    let seq = pair.journal_unknown_change(pair.table_id("t"));
    assert_eq!(wait_until_blocked(&syncer).await["commit_seq"], seq);
    syncer.kill();
    syncer.restart().await;
    assert_eq!(wait_until_blocked(&syncer).await["commit_seq"], seq);
    syncer.resume(JOB).await;
    assert_eq!(wait_until_blocked(&syncer).await["commit_seq"], seq, "it still cannot be applied");
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_change_in_a_barrier_blocks_its_table_as_well() {
    let (pair, syncer) = in_sync_of(Release::V3_0, |pair| pair.database_job(JOB)).await;
    let seq = pair.journal_unknown_change(pair.table_id("t"));
    pair.insert("t", 5..8).await;
    pair.insert("other", 3..9).await;
    let blocked = wait_until_blocked(&syncer).await;
    assert_eq!((&blocked["code"], &blocked["commit_seq"]), (&json!("CCR0203"), &json!(seq)), "{blocked}");
    assert!(blocked["binlog_type"].as_str().is_some_and(|name| name.contains("99")), "{blocked}");
    wait_until("the other table goes on", BOUND, || async {
        let rows = pair.downstream_rows("other").await;
        if rows == 9 { Ok(()) } else { Err(format!("{rows} rows")) }
    })
    .await;
    assert_eq!(pair.downstream_rows("t").await, 3);
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_change_blocks_a_table_job_until_it_is_passed_over() {
    for release in [Release::V2_1, Release::V3_1] {
        let (pair, syncer) = in_sync_of(release, |pair| pair.table_job(JOB, "t", "target")).await;
        let seq = pair.journal_unknown_change(pair.table_id("t"));
        pair.insert("t", 5..8).await;
        let blocked = wait_until_blocked(&syncer).await;
        assert_eq!((&blocked["code"], &blocked["commit_seq"]), (&json!("CCR0203"), &json!(seq)), "{blocked}");
        assert!(blocked["binlog_type"].as_str().is_some_and(|name| name.contains("99")), "{blocked}");
        assert_eq!(pair.downstream_rows("target").await, 3, "nothing that comes after it is there");
        let skip = json!({"name": JOB, "skip_by": "silence", "skip_commit_seq": seq});
        syncer.call("job_skip_binlog", &skip).await;
        syncer.wait_for(JOB, Target::InSync).await;
        assert_equal(&pair, "t", "target").await;
        syncer.finish().await;
    }
}
