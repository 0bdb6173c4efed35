//! Pausing, resuming and deleting a job.

use serde_json::json;

use crate::harness::{DB, Pair, Syncer, Target, assert_equal};

const JOB: &str = "controlled";

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_job_stands_still_until_resumed_also_over_a_restart() {
    let pair = Pair::start().await;
    pair.create_database().await;
    pair.create_table("t", 1).await;
    pair.insert("t", 0..5).await;
    let mut syncer = Syncer::start().await;
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_for(JOB, Target::InSync).await;

    syncer.pause(JOB).await;
    syncer.pause(JOB).await;
    assert_eq!(syncer.status(JOB).await["state"], "paused");
    for key in 5..8 {
        pair.insert("t", key..key + 1).await;
    }
    assert_eq!(syncer.lag(JOB).await, 3);
    let status = syncer.stop().await;
    assert!(status.success(), "{status}");
    syncer.restart().await;
    assert_eq!(syncer.status(JOB).await["state"], "paused");
    assert_eq!(syncer.lag(JOB).await, 3);
    assert_eq!(pair.downstream_rows("t").await, 5);

    syncer.resume(JOB).await;
    syncer.resume(JOB).await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_eq!(syncer.status(JOB).await["state"], "running");
    assert_equal(&pair, "t", "t").await;
    assert_eq!(pair.calls("sql:BACKUP"), 1);
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_job_is_gone_and_its_name_is_free() {
    let pair = Pair::start().await;
    pair.create_database().await;
    pair.create_table("t", 1).await;
    pair.insert("t", 0..5).await;
    let mut syncer = Syncer::start().await;
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_for(JOB, Target::InSync).await;
    let refusal = syncer.refused("create_ccr", &pair.database_job(JOB)).await;
    assert!(refusal.contains(JOB), "the refusal names the job: {refusal}");

    syncer.delete(JOB).await;
    for route in ["delete", "pause", "resume", "job_status", "get_lag", "job_progress", "job_detail"] {
        let refusal = syncer.refused(route, &json!({ "name": JOB })).await;
        assert!(refusal.contains("not exist"), "/{route}: {refusal}");
    }
    let listed = syncer.call("list_jobs", &json!({})).await;
    assert!(listed["jobs"].as_array().is_none_or(Vec::is_empty), "{listed}");
    assert_eq!(pair.downstream_rows("t").await, 5, "the data stays");
    pair.insert("t", 5..9).await;
    syncer.kill();
    syncer.restart().await;
    assert_eq!(pair.downstream_rows("t").await, 5, "nobody follows any more");

    pair.down.sql(&format!("DROP DATABASE {DB} FORCE")).await.unwrap();
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_equal(&pair, "t", "t").await;
    syncer.finish().await;
}
