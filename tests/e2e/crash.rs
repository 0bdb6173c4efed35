//! A syncer that dies at any moment goes on where it was: no row lost or doubled, no second snapshot.

use minidoris::{Fault, FaultKind};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::harness::{BOUND, Pair, Syncer, Target, assert_equal, wait_until};

const JOB: &str = "crashing";
const KILLS: usize = 3;

/// Calls that both clusters have seen, whatever they were: a clock of the syncer's progress.
fn calls_seen(pair: &Pair) -> u64 {
    let all = [pair.up.counters().snapshot(), pair.down.counters().snapshot()];
    all.iter().flat_map(|counts| counts.values()).sum()
}

/// Kills the syncer once the clusters have seen `more` calls more, or once the job is in sync.
async fn kill_after(pair: &Pair, syncer: &mut Syncer, more: u64) {
    let wanted = calls_seen(pair) + more;
    wait_until("the moment to kill the syncer", BOUND, || async {
        let seen = calls_seen(pair);
        if seen >= wanted { Ok(()) } else { Err(format!("{seen} of {wanted} calls")) }
    })
    .await;
    syncer.kill();
}

async fn crash_in_full_sync(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let pair = Pair::replicated(2).await;
    pair.create_database().await;
    for table in ["t1", "t2"] {
        pair.create_table(table, 2).await;
        pair.insert(table, 0..40).await;
    }
    // Steps far enough apart that a kill can fall between any two.
    for cluster in [&pair.up, &pair.down] {
        cluster.faults().add(Fault::new(FaultKind::Delay(2)));
    }
    let mut syncer = Syncer::start().await;
    syncer.create(&pair.database_job(JOB)).await;
    for kill in 0..KILLS {
        kill_after(&pair, &mut syncer, random.random_range(0..15)).await;
        pair.insert("t1", 100 + kill as i32..101 + kill as i32).await;
        syncer.restart().await;
    }
    syncer.wait_for(JOB, Target::InSync).await;
    assert_equal(&pair, "t1", "t1").await;
    assert_equal(&pair, "t2", "t2").await;
    assert_eq!(pair.up.counters().get("sql:BACKUP"), 1, "the first snapshot is used");
    assert_eq!(pair.down.counters().get("restoreSnapshot"), 1, "the first restore is used");
    syncer.finish().await;
}

async fn crash_in_catch_up(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let pair = Pair::replicated(2).await;
    pair.create_database().await;
    pair.create_table("t", 2).await;
    let mut syncer = Syncer::start().await;
    pair.insert("t", 0..3).await;
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_for(JOB, Target::InSync).await;
    for cluster in [&pair.up, &pair.down] {
        cluster.faults().add(Fault::new(FaultKind::Delay(2)));
    }
    let mut key = 1000;
    for _ in 0..KILLS {
        for _ in 0..25 {
            pair.insert("t", key..key + 3).await;
            key += 3;
        }
        kill_after(&pair, &mut syncer, random.random_range(0..120)).await;
        if random.random_bool(0.5) {
            pair.run(&format!("DELETE FROM t WHERE k = {}", key - 1)).await;
        }
        syncer.restart().await;
    }
    syncer.wait_for(JOB, Target::InSync).await;
    assert_equal(&pair, "t", "t").await;
    assert_eq!(pair.up.counters().get("sql:BACKUP"), 1, "no second snapshot");
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_the_full_sync_1() {
    crash_in_full_sync(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_the_full_sync_2() {
    crash_in_full_sync(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_the_full_sync_3() {
    crash_in_full_sync(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_catching_up_1() {
    crash_in_catch_up(11).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_catching_up_2() {
    crash_in_catch_up(12).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_catching_up_3() {
    crash_in_catch_up(13).await;
}
