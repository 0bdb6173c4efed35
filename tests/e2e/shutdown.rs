//! A graceful end: exit status 0, and a restart that goes on without a new snapshot.

use crate::harness::{Pair, Syncer, Target, assert_equal};

const JOB: &str = "graceful";

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_with_status_zero_at_any_time() {
    let pair = Pair::start().await;
    pair.create_database().await;
    pair.create_table("t", 2).await;
    pair.insert("t", 0..20).await;
    let mut syncer = Syncer::start().await;
    let status = syncer.stop().await;
    assert!(status.success(), "without a job: {status}");
    syncer.restart().await;

    syncer.create(&pair.database_job(JOB)).await;
    let status = syncer.stop().await;
    assert!(status.success(), "in the full sync: {status}");
    syncer.restart().await;
    syncer.wait_for(JOB, Target::Incremental).await;

    for key in 0..30 {
        pair.insert("t", 100 + key..101 + key).await;
    }
    let status = syncer.stop().await;
    assert!(status.success(), "while catching up: {status}");
    pair.insert("t", 200..203).await;
    syncer.restart().await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_equal(&pair, "t", "t").await;
    assert_eq!(pair.up.counters().get("sql:BACKUP"), 1, "the snapshot is used over restarts");
    syncer.finish().await;
}
