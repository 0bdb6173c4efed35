//! A gap in the binlog: the one transient-looking thing that does need a full sync, with its reason shown.

use serde_json::json;

use crate::harness::{BOUND, Pair, Syncer, Target, assert_equal, wait_until};

const JOB: &str = "gap";
const TWO_DAYS_MS: i64 = 2 * 86_400_000;

#[tokio::test(flavor = "multi_thread")]
async fn expired_binlogs_lead_to_a_full_sync_with_its_reason() {
    let pair = Pair::start().await;
    pair.create_database().await;
    pair.create_table("t", 2).await;
    pair.insert("t", 0..10).await;
    let mut syncer = Syncer::start().await;
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_for(JOB, Target::InSync).await;
    syncer.stop().await;

    for key in 10..20 {
        pair.insert("t", key..key + 1).await;
    }
    pair.run("DELETE FROM t WHERE k = 4").await;
    pair.up.clock().advance_ms(TWO_DAYS_MS);
    pair.up.gc_binlogs_now();
    pair.insert("t", 20..25).await;
    syncer.restart().await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_equal(&pair, "t", "t").await;
    assert_eq!(pair.up.counters().get("sql:BACKUP"), 2, "a gap cannot be bridged without a snapshot");
    let progress = syncer.progress(JOB).await;
    let reason = progress["full_sync_info"]["info"].as_str().unwrap_or_default().to_owned();
    assert!(reason.contains("expired"), "the reason is shown: {progress}");

    pair.insert("t", 30..33).await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_equal(&pair, "t", "t").await;
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_sync_that_must_ask_waits_over_restarts_until_it_is_approved() {
    let pair = Pair::start().await;
    pair.create_database().await;
    pair.create_table("t", 2).await;
    pair.insert("t", 0..10).await;
    let mut syncer = Syncer::start().await;
    let mut job = pair.database_job(JOB);
    job["full_sync"] = json!("ask");
    syncer.create(&job).await;
    syncer.wait_for(JOB, Target::InSync).await;
    syncer.stop().await;

    pair.insert("t", 10..20).await;
    pair.up.clock().advance_ms(TWO_DAYS_MS);
    pair.up.gc_binlogs_now();
    pair.insert("t", 20..25).await;
    syncer.allow("CCR0510");
    for _ in 0..2 {
        syncer.restart().await;
        let held = wait_until("the full sync is held", BOUND, || async {
            let status = syncer.status(JOB).await;
            let held = status["step"] == "a full sync waits for approval";
            if held { Ok(status["blocked"].clone()) } else { Err(status.to_string()) }
        })
        .await;
        assert_eq!(held["code"], "CCR0510");
        assert!(held["message"].as_str().unwrap_or_default().contains("expired"), "{held}");
        assert!(held["hint"].as_str().unwrap_or_default().contains("/force_fullsync"), "{held}");
        assert_eq!(pair.downstream_rows("t").await, 10, "the target stays as it is");
        syncer.kill();
    }
    syncer.restart().await;
    assert_eq!(pair.up.counters().get("sql:BACKUP"), 1, "nothing is copied unasked");
    syncer.call("force_fullsync", &json!({ "name": JOB })).await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_equal(&pair, "t", "t").await;
    assert_eq!(pair.up.counters().get("sql:BACKUP"), 2);
    syncer.finish().await;
}
