//! What one replicated transaction costs in the steady state, counted at the clusters.

use crate::harness::{Pair, Syncer, Target, assert_equal};

const JOB: &str = "cost";
const UPSERTS: u64 = 40;
const REPLICAS: u16 = 2;

#[tokio::test(flavor = "multi_thread")]
async fn an_upsert_is_one_begin_one_ingest_per_replica_and_one_commit() {
    let pair = Pair::replicated(REPLICAS).await;
    pair.create_database().await;
    pair.create_table("t", 1).await;
    pair.insert("t", 0..3).await;
    let syncer = Syncer::start().await;
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_for(JOB, Target::InSync).await;
    // The first upsert may fetch metadata; later ones find it cached.
    pair.insert("t", 3..4).await;
    syncer.wait_for(JOB, Target::InSync).await;

    pair.reset_counters();
    for key in 0..UPSERTS as i32 {
        pair.insert("t", 100 + key..101 + key).await;
    }
    syncer.wait_for(JOB, Target::InSync).await;
    assert_equal(&pair, "t", "t").await;
    assert_eq!(pair.down.counters().get("beginTxn"), UPSERTS);
    assert_eq!(pair.down.counters().get("commitTxn"), UPSERTS);
    assert_eq!(pair.down.counters().get("ingest_binlog"), UPSERTS * u64::from(REPLICAS));
    assert_eq!(pair.down.counters().get("rollbackTxn"), 0);
    // An idle job looks now and then whether what it follows still exists; nothing is asked per upsert.
    assert!(pair.calls("getMeta") * 10 <= UPSERTS, "metadata stays cached: {} calls", pair.calls("getMeta"));
    assert_eq!(pair.calls("getBackendMeta"), 0, "backends stay cached");
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn binlogs_are_fetched_in_batches() {
    let pair = Pair::start().await;
    pair.create_database().await;
    pair.create_table("t", 1).await;
    pair.insert("t", 0..3).await;
    let syncer = Syncer::start().await;
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_for(JOB, Target::InSync).await;
    syncer.pause(JOB).await;
    for key in 0..UPSERTS as i32 {
        pair.insert("t", 100 + key..101 + key).await;
    }
    pair.reset_counters();
    syncer.resume(JOB).await;
    syncer.wait_for(JOB, Target::InSync).await;
    let fetches = pair.up.counters().get("getBinlog");
    assert!(fetches < UPSERTS, "{fetches} fetches for {UPSERTS} upserts");
    assert_eq!(pair.down.counters().get("commitTxn"), UPSERTS);
    assert_equal(&pair, "t", "t").await;
    syncer.finish().await;
}
