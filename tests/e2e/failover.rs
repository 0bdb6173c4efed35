//! Frontends that lose their mastership and nodes that die while a job runs: no full sync, no lost row.

use minidoris::Cluster;
use serde_json::json;

use crate::harness::{BOUND, Pair, Syncer, Target, assert_equal, wait_until};

const JOB: &str = "failing_over";

async fn in_sync(pair: &Pair) -> Syncer {
    pair.create_database().await;
    pair.create_table("t", 2).await;
    pair.insert("t", 0..10).await;
    let mut syncer = Syncer::start().await;
    // A node that stays away is worth a line.
    syncer.allow("keeps failing, retrying");
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_for(JOB, Target::InSync).await;
    syncer
}

/// Writes upstream, lets `event` happen in the middle of replicating it, writes again.
async fn survives(pair: Pair, event: impl AsyncFnOnce(&Pair)) {
    let syncer = in_sync(&pair).await;
    let commits = || pair.down.counters().get("commitTxn");
    let before = commits();
    for key in 0..20 {
        pair.insert("t", 100 + key..101 + key).await;
    }
    wait_until("some of it is replicated", BOUND, || async {
        if commits() > before + 3 { Ok(()) } else { Err(format!("{} commits", commits() - before)) }
    })
    .await;
    event(&pair).await;
    for key in 0..10 {
        pair.insert("t", 200 + key..201 + key).await;
    }
    syncer.wait_for(JOB, Target::InSync).await;
    assert_equal(&pair, "t", "t").await;
    assert_eq!(pair.up.counters().get("sql:BACKUP"), 1, "a fail-over is no reason for a full sync");
    syncer.finish().await;
}

async fn two_frontends() -> Pair {
    Pair::with(|options| options.frontends = 2).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_upstream_master_changes() {
    survives(two_frontends().await, async |pair| pair.up.make_master(1).unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_downstream_master_changes() {
    survives(two_frontends().await, async |pair| pair.down.make_master(1).unwrap()).await;
}

/// Kills the frontend that the job names; the other one takes over.
async fn lose_first_frontend(cluster: &Cluster) {
    cluster.kill_frontend(0).await.expect("the frontend is killed");
    cluster.make_master(1).expect("the other frontend lives");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_upstream_frontend_dies() {
    survives(two_frontends().await, async |pair| lose_first_frontend(&pair.up).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_downstream_frontend_dies() {
    survives(two_frontends().await, async |pair| lose_first_frontend(&pair.down).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_only_frontend_restarts() {
    survives(Pair::start().await, async |pair| pair.down.restart_frontend(0).await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_replica_serves_for_a_dead_upstream_backend() {
    let pair = Pair::replicated(3).await;
    let syncer = in_sync(&pair).await;
    syncer.pause(JOB).await;
    for key in 0..12 {
        pair.insert("t", 100 + key..101 + key).await;
    }
    pair.up.kill_backend(0).await.unwrap();
    syncer.resume(JOB).await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_equal(&pair, "t", "t").await;
    assert_eq!(pair.up.counters().get("sql:BACKUP"), 1);
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quorum_is_enough_while_a_downstream_backend_is_dead() {
    let pair = Pair::replicated(3).await;
    let syncer = in_sync(&pair).await;
    pair.down.kill_backend(1).await.unwrap();
    for key in 0..6 {
        pair.insert("t", 100 + key..101 + key).await;
    }
    syncer.wait_for(JOB, Target::InSync).await;
    assert_equal(&pair, "t", "t").await;
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_comes_back_is_used_again() {
    let pair = Pair::start().await;
    let syncer = in_sync(&pair).await;
    pair.down.kill_backend(0).await.unwrap();
    pair.insert("t", 100..103).await;
    wait_until("the job says that it cannot go on", BOUND, || async {
        let progress = syncer.progress(JOB).await;
        if progress["last_error"].is_null() { Err(progress.to_string()) } else { Ok(()) }
    })
    .await;
    pair.down.restart_backend(0).await.unwrap();
    syncer.wait_for(JOB, Target::InSync).await;
    assert_equal(&pair, "t", "t").await;
    assert_eq!(pair.up.counters().get("sql:BACKUP"), 1);
    syncer.finish().await;
}

/// Waits until a restore has been cancelled again and again.
async fn is_tried_again(syncer: &Syncer) {
    wait_until("many tries", BOUND, || async {
        let progress = syncer.progress(JOB).await;
        let error = progress["last_error"].to_string();
        let is_told = error.contains("CCR0503") && progress["blocked"].is_null();
        let tries = progress["last_error"]["tries"].as_u64().unwrap_or(0);
        if is_told && tries >= 5 { Ok(()) } else { Err(progress.to_string()) }
    })
    .await;
}

/// The only backend of the target is away for longer than a few tries, while a table, or everything, is copied.
#[tokio::test(flavor = "multi_thread")]
async fn copies_outlive_a_backend_that_restarts() {
    let pair = Pair::start().await;
    let syncer = in_sync(&pair).await;
    pair.down.kill_backend(0).await.unwrap();
    pair.run("ALTER TABLE t ADD COLUMN k2 INT KEY DEFAULT \"0\" AFTER k").await;
    is_tried_again(&syncer).await;
    pair.down.restart_backend(0).await.unwrap();
    syncer.wait_for(JOB, Target::InSync).await;
    assert_equal(&pair, "t", "t").await;
    assert_eq!(pair.up.counters().get("sql:BACKUP"), 2);

    pair.down.kill_backend(0).await.unwrap();
    syncer.call("force_fullsync", &json!({ "name": JOB })).await;
    is_tried_again(&syncer).await;
    pair.down.restart_backend(0).await.unwrap();
    syncer.wait_for(JOB, Target::InSync).await;
    assert_equal(&pair, "t", "t").await;
    assert_eq!(pair.up.counters().get("sql:BACKUP"), 3);
    syncer.finish().await;
}
