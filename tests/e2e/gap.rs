//! A gap in the binlog: the one transient-looking thing that does need a full sync, with its reason shown.

use crate::harness::{Pair, Syncer, Target, assert_equal};

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
