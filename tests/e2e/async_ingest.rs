//! Backends that answer an ingest before they have done it: the syncer asks until the rows are there, whatever
//! becomes of answers, backends and the process, and commits once.

use minidoris::{Fault, FaultKind, IngestMode};

use crate::harness::{BOUND, DB, Pair, Syncer, Target, assert_equal, wait_until};
use crate::matrix::{EVERY, Shape, in_database_job_of, slow_pair};

const JOB: &str = "asynchronous";
const BUCKETS: u32 = 3;
const REPLICAS: u16 = 2;
/// Ingests of one load.
const INGESTS: u64 = BUCKETS as u64 * REPLICAS as u64;
/// Changes that say into what the next load goes.
const WITH_LOADS: [&str; 7] = ["upsert", "partition", "light", "truncate", "rollup", "swap", "overwrite"];
const DOWNLOAD: &str = "http:/api/_binlog/_download";

/// A job in sync, whose target's backends work asynchronously; all counters are at zero.
async fn in_sync() -> (Pair, Syncer) {
    let pair = Pair::with(|options| {
        options.backends = usize::from(REPLICAS);
        options.default_replication_num = REPLICAS;
        if options.name == "down" {
            options.ingest_mode = IngestMode::Async;
        }
    })
    .await;
    pair.create_database().await;
    pair.create_table("t", BUCKETS).await;
    pair.insert("t", 0..10).await;
    let mut syncer = Syncer::start().await;
    syncer.allow("keeps failing, retrying");
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_for(JOB, Target::InSync).await;
    pair.reset_counters();
    (pair, syncer)
}

async fn called(pair: &Pair, call: &str, at_least: u64) {
    wait_until(&format!("{call} is called"), BOUND, || async {
        let calls = pair.down.counters().get(call);
        if calls >= at_least { Ok(()) } else { Err(format!("{calls} times")) }
    })
    .await;
}

/// What the partition's versions and the rowsets of all its replicas say.
fn assert_every_replica_has_every_version(pair: &Pair) {
    let visible = |cluster: &minidoris::Cluster| {
        let inner = cluster.inner();
        let state = inner.fe.lock();
        let found = state.database_named(DB).and_then(|db| db.table_named("t"));
        let table = found.and_then(|found| found.as_olap()).expect("the table is there");
        let partition = table.partitions.values().next().expect("it has one partition");
        for tablet in &partition.indexes[&table.base_index_id].tablets {
            assert_eq!(tablet.replicas.len(), usize::from(REPLICAS));
            for replica in &tablet.replicas {
                let backend = inner.backend(replica.backend_id).expect("the backend is there");
                let kept = backend.tablet(tablet.id).expect("the backend has the tablet");
                kept.rowsets_at(partition.visible_version).expect("no version is missing");
            }
        }
        partition.visible_version
    };
    assert_eq!(visible(&pair.down), visible(&pair.up), "one transaction each");
}

async fn ends_equal_after(pair: &Pair, syncer: Syncer, commits: u64) {
    syncer.wait_for(JOB, Target::InSync).await;
    assert_equal(pair, "t", "t").await;
    assert_every_replica_has_every_version(pair);
    assert_eq!(pair.down.counters().get("commitTxn"), commits, "each load is committed once");
    assert_eq!(pair.up.counters().get("sql:BACKUP"), 0, "no second snapshot");
    syncer.finish().await;
}

/// Also of those that fail: nobody tells why, and they are asked for again.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_committed_before_the_rows_are_there() {
    let (pair, syncer) = in_sync().await;
    pair.up.faults().add(Fault::new(FaultKind::MissingSegment));
    pair.insert("t", 10..40).await;
    // More than one ingest of each replica has been answered with success, and has failed.
    called(&pair, "query_ingest_binlog", 3 * INGESTS).await;
    called(&pair, "ingest_binlog", 2 * INGESTS).await;
    assert_eq!(pair.down.counters().get("commitTxn"), 0);
    assert_eq!(pair.downstream_rows("t").await, 10);
    assert!(syncer.lag(JOB).await > 0);
    pair.up.faults().clear();
    pair.insert("t", 40..50).await;
    ends_equal_after(&pair, syncer, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_about_asynchronous_ingests_may_be_lost() {
    let (pair, syncer) = in_sync().await;
    let lost = [("ingest_binlog", FaultKind::CutAfter), ("ingest_binlog", FaultKind::CutMidReply)];
    let asked = [
        ("query_ingest_binlog", FaultKind::CutBefore),
        ("query_ingest_binlog", FaultKind::CutAfter),
        ("query_ingest_binlog", FaultKind::CutMidReply),
    ];
    for (call, kind) in lost.into_iter().chain(asked) {
        pair.down.faults().add(Fault::new(kind).call(call).times(2));
    }
    for round in 1..=4 {
        pair.insert("t", round * 10..round * 10 + 10).await;
    }
    syncer.wait_for(JOB, Target::InSync).await;
    assert!(pair.down.faults().rules().is_empty(), "the faults were met");
    ends_equal_after(&pair, syncer, 4).await;
}

/// The backend forgets what it had not finished: it answers that it knows nothing of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_backend_may_restart_in_the_middle_of_its_ingests() {
    let (pair, syncer) = in_sync().await;
    for round in 1..=3 {
        let before = pair.down.counters().get("query_ingest_binlog");
        pair.up.faults().add(Fault::new(FaultKind::Delay(300)).call(DOWNLOAD).times(INGESTS));
        pair.insert("t", round * 10..round * 10 + 10).await;
        called(&pair, "query_ingest_binlog", before + 1).await;
        pair.down.restart_backend(0).await.unwrap();
        syncer.wait_for(JOB, Target::InSync).await;
    }
    assert!(pair.down.counters().get("ingest_binlog") > 3 * INGESTS, "what was lost was ingested again");
    ends_equal_after(&pair, syncer, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_process_may_die_in_the_middle_of_asynchronous_ingests() {
    let (pair, mut syncer) = in_sync().await;
    for round in 1..=3 {
        let before = pair.down.counters().get("query_ingest_binlog");
        pair.up.faults().add(Fault::new(FaultKind::Delay(200)).call(DOWNLOAD).times(INGESTS));
        pair.insert("t", round * 10..round * 10 + 10).await;
        called(&pair, "query_ingest_binlog", before + 1).await;
        syncer.kill();
        syncer.restart().await;
        syncer.wait_for(JOB, Target::InSync).await;
    }
    ends_equal_after(&pair, syncer, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn loads_between_changes_are_followed_by_backends_that_work_asynchronously() {
    let pair = slow_pair(|options| {
        if options.name == "down" {
            options.ingest_mode = IngestMode::Async;
        }
    })
    .await;
    let cases: Vec<_> = EVERY.iter().filter(|case| WITH_LOADS.contains(&case.name)).copied().collect();
    in_database_job_of(pair, Shape::SAME, &cases, &[], &[]).await;
}
