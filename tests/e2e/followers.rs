//! Jobs whose frontends are no masters, while the mastership goes round on both sides: what only a master's
//! memory held is lost each time, and a frontend that takes over tells a load with other indexes than the one that
//! planned it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::harness::{Pair, Syncer, Target};
use crate::matrix::{
    Case, EVERY, Shape, assert_same_database, assert_same_table, in_database_job_of, in_table_jobs_at,
    settle, slow_pair,
};

const JOB: &str = "followers";
/// Loads, statements, copies of partitions and tables, a table that takes the place of another.
const CASES: [&str; 6] = ["upsert", "partition", "heavy", "light", "recover", "swap"];
const RETRIES: &str = "keeps failing, retrying";

fn cases() -> Vec<Case> {
    EVERY.iter().filter(|case| CASES.contains(&case.name)).copied().collect()
}

/// Clusters of three frontends, of which the first, which jobs name, is no master.
async fn named_followers() -> Pair {
    let pair = slow_pair(|options| options.frontends = 3).await;
    for cluster in [&pair.up, &pair.down] {
        cluster.make_master(1).expect("it lives");
    }
    pair
}

/// Moves the mastership between the second and the third frontend of either side, until it is told to stop.
fn moving_masters(pair: &Pair, stop: &Arc<AtomicBool>) -> tokio::task::JoinHandle<u32> {
    let (clusters, stop) = ([pair.up.clone(), pair.down.clone()], Arc::clone(stop));
    tokio::spawn(async move {
        let mut moves = 0;
        while !stop.load(Ordering::Acquire) {
            // Not a wait for anything: how long a reign lasts.
            tokio::time::sleep(Duration::from_millis(150)).await;
            moves += 1;
            clusters[moves as usize % 2].make_master(1 + moves as usize / 2 % 2).expect("it lives");
        }
        moves
    })
}

/// Runs something with clusters whose masters change meanwhile.
async fn while_masters_change(what: impl AsyncFnOnce(Pair)) {
    let pair = named_followers().await;
    let stop = Arc::new(AtomicBool::new(false));
    let moving = moving_masters(&pair, &stop);
    what(pair).await;
    stop.store(true, Ordering::Release);
    assert!(moving.await.expect("it does not panic") > 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn masters_change_all_the_time_under_a_database_job() {
    while_masters_change(async |pair| {
        in_database_job_of(pair, Shape::SAME, &cases(), &[], &[RETRIES]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn masters_change_all_the_time_under_table_jobs() {
    let at = |moment| {
        while_masters_change(async move |pair| {
            in_table_jobs_at(pair, Shape::OTHER_TABLE, &cases(), &[], moment, &[RETRIES]).await;
        })
    };
    futures::join!(at("backup"), at("stream"));
}

const CHANGING: [&str; 2] = ["ALTER TABLE {t} MODIFY COLUMN n BIGINT", "ALTER TABLE {t} ADD ROLLUP r (k, n)"];

/// Loads while a shadow index is filled, of which the next master tells with all indexes that it knows.
async fn loads_beside_a_change(table_jobs: bool) {
    let pair = named_followers().await;
    let one: &[Case] = &EVERY[..1];
    let tables = ["heavy", "rolled"];
    for table in tables {
        for statement in one[0].setup {
            pair.run(&statement.replace("{t}", table)).await;
        }
    }
    let mut syncer = Syncer::start().await;
    syncer.allow(RETRIES);
    // A shadow index has no binlog of what was there before it was.
    syncer.allow("returned error: 404");
    let jobs: Vec<String> =
        if table_jobs { tables.map(str::to_owned).to_vec() } else { vec![JOB.to_owned()] };
    if table_jobs {
        for table in tables {
            syncer.create(&pair.table_job(table, table, &format!("{table}_target"))).await;
        }
    } else {
        syncer.create(&pair.database_job(JOB)).await;
    }
    let all_in_sync = async || {
        for job in &jobs {
            syncer.wait_for(job, Target::InSync).await;
        }
    };
    all_in_sync().await;
    for job in &jobs {
        syncer.pause(job).await;
    }
    let paused = &pair.up.inner().alters_paused;
    paused.store(true, Ordering::Release);
    for (table, change) in tables.iter().zip(CHANGING) {
        pair.run(&format!("INSERT INTO {table} VALUES (50, 'before', 1)")).await;
        pair.run(&change.replace("{t}", table)).await;
        pair.run(&format!("INSERT INTO {table} VALUES (51, 'beside', 1)")).await;
    }
    paused.store(false, Ordering::Release);
    settle(&pair).await;
    for table in tables {
        pair.run(&format!("INSERT INTO {table} VALUES (52, 'after', 1)")).await;
    }
    pair.up.make_master(2).expect("it lives");
    for job in &jobs {
        syncer.resume(job).await;
    }
    all_in_sync().await;
    if table_jobs {
        for table in tables {
            assert_same_table(pair.source(), table, pair.target(), &format!("{table}_target")).await;
        }
    } else {
        assert_same_database(&pair).await;
    }
    let log = syncer.log_text();
    let restored = |line: &&str| line.contains("plan=partial_sync") && line.contains("outcome=restored");
    assert_eq!(log.lines().filter(restored).count(), tables.len(), "each table is copied once");
    assert_eq!(log.matches("full sync: backup").count(), jobs.len());
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_master_tells_a_database_job_of_loads_beside_a_schema_change() {
    loads_beside_a_change(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_master_tells_table_jobs_of_loads_beside_a_schema_change() {
    loads_beside_a_change(true).await;
}
