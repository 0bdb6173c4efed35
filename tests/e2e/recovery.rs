//! What a process that comes back finds of the transaction it died in: still open, aborted, forgotten with the
//! master that opened it, committed and not visible, visible. Every row arrives once.

use minidoris::fault::debug_points::{DebugPoint, STOP_PUBLISH};
use minidoris::{Cluster, NodeId};
use serde_json::json;

use crate::harness::{BOUND, DB, Pair, Syncer, Target, assert_equal, wait_until};

const JOB: &str = "recovery";
const ENABLED: &str = "--enable_failpoints";
/// More than the hour that transactions have.
const LATER_MS: i64 = 3_700_000;
const TABLES: [&str; 2] = ["t1", "t2"];

/// What becomes of the transaction while nobody is there.
#[derive(Debug, Clone, Copy)]
enum Meanwhile {
    Nothing,
    /// Its time is over.
    Aborted,
    /// Another frontend is master.
    Forgotten,
    /// Both, one after the other.
    AbortedAndForgotten,
}

/// Where the process dies, with what can become of the transaction then.
const DEATHS: [(&str, &[Meanwhile]); 4] = [
    ("begin_txn:after", &[Meanwhile::Nothing, Meanwhile::Aborted, Meanwhile::Forgotten]),
    ("ingest:after", &[Meanwhile::Aborted, Meanwhile::Forgotten]),
    ("commit_txn:before", &[Meanwhile::Nothing, Meanwhile::Aborted, Meanwhile::AbortedAndForgotten]),
    // It is visible by then.
    ("commit_txn:after", &[Meanwhile::Nothing, Meanwhile::Aborted, Meanwhile::Forgotten]),
];

/// A load into one table, and one transaction of several loads into two.
const LOADS: [&str; 2] = [
    "INSERT INTO t1 VALUES ({k}, 'single'), ({k}, 'twice')",
    "BEGIN; INSERT INTO t1 VALUES ({k}, 'first'); INSERT INTO t2 VALUES ({k}, 'other'); \
     INSERT INTO t1 VALUES ({k}, 'second'); COMMIT",
];

/// Two frontends on either side, two backends, and jobs over both tables; all in sync.
struct Scene {
    pair: Pair,
    syncer: Syncer,
    /// Tables and their targets.
    targets: Vec<(&'static str, &'static str)>,
    key: i32,
}

impl Scene {
    async fn start(one_for_all: bool) -> Self {
        let pair = Pair::doubled().await;
        pair.create_database().await;
        for table in TABLES {
            pair.create_table(table, 2).await;
            pair.insert(table, 0..5).await;
        }
        let mut syncer = Syncer::start_with(&[ENABLED]).await;
        syncer.allow("keeps failing, retrying");
        let (job, targets) = if one_for_all {
            (pair.database_job(JOB), TABLES.map(|table| (table, table)).to_vec())
        } else {
            (pair.table_job(JOB, "t1", "copy"), vec![("t1", "copy")])
        };
        syncer.create(&job).await;
        syncer.wait_for(JOB, Target::InSync).await;
        Self { pair, syncer, targets, key: 100 }
    }

    /// Lets the process die at that point of the next load.
    async fn die(&mut self, failpoint: &str, load: &str) {
        let body = json!({ "name": JOB, "failpoint": failpoint, "value": "crash" });
        self.syncer.call("failpoint", &body).await;
        self.key += 1;
        self.pair.run(&load.replace("{k}", &self.key.to_string())).await;
        self.syncer.crashed().await;
    }

    async fn comes_once(&mut self, what: &str) {
        self.syncer.restart().await;
        self.syncer.wait_for(JOB, Target::InSync).await;
        self.assert_once(what).await;
    }

    async fn assert_once(&self, what: &str) {
        for (table, target) in &self.targets {
            assert_equal(&self.pair, table, target).await;
            let versions = (version(&self.pair.up, table), version(&self.pair.down, target));
            assert_eq!(versions.0, versions.1, "one transaction each: {table}, {what}");
        }
    }

    async fn finish(self) {
        assert_eq!(self.pair.up.counters().get("sql:BACKUP"), 1, "no further snapshot");
        self.syncer.finish().await;
    }
}

/// The version of a table's only partition.
fn version(cluster: &Cluster, table: &str) -> i64 {
    let state = cluster.inner().fe.lock();
    let found = state.database_named(DB).and_then(|db| db.table_named(table));
    let table = found.and_then(|found| found.as_olap()).expect("the table is there");
    table.partitions.values().next().expect("it has a partition").visible_version
}

fn another_master(cluster: &Cluster) {
    let other = usize::from(cluster.fe(0).is_master);
    cluster.make_master(other).expect("it lives");
}

async fn time_passes(cluster: &Cluster) {
    let open = || {
        let state = cluster.inner().fe.lock();
        let db = state.database_named(DB).expect("the database is there").id;
        state.txns.running(db).filter(|txn| txn.status.name() == "PREPARE").count()
    };
    cluster.clock().advance_ms(LATER_MS);
    wait_until("open transactions are aborted", BOUND, || async {
        match open() {
            0 => Ok(()),
            count => Err(format!("{count} are open")),
        }
    })
    .await;
}

async fn every_death(one_for_all: bool) {
    let mut scene = Scene::start(one_for_all).await;
    let mut deaths = 0;
    for (failpoint, meanwhiles) in DEATHS {
        for meanwhile in meanwhiles {
            // A table job takes them in turns.
            deaths += 1;
            for load in if one_for_all { &LOADS[..] } else { &LOADS[deaths % 2..][..1] } {
                scene.die(failpoint, load).await;
                match meanwhile {
                    Meanwhile::Nothing => {}
                    Meanwhile::Aborted => time_passes(&scene.pair.down).await,
                    Meanwhile::Forgotten => another_master(&scene.pair.down),
                    Meanwhile::AbortedAndForgotten => {
                        time_passes(&scene.pair.down).await;
                        another_master(&scene.pair.down);
                    }
                }
                scene.comes_once(&format!("{failpoint}, {meanwhile:?}, {load}")).await;
            }
        }
    }
    scene.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_job_finds_out_what_became_of_its_transaction() {
    every_death(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_job_finds_out_what_became_of_its_transaction() {
    every_death(false).await;
}

/// Committed when the process dies, and visible long after it came back, or after another master took over.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_waits_for_its_publish_is_not_sent_again() {
    for (one_for_all, load, changes_master) in [(true, LOADS[1], false), (false, LOADS[0], true)] {
        let mut scene = Scene::start(one_for_all).await;
        for frontend in 0..2 {
            let points = &scene.pair.down.inner().debug_points;
            points.add(NodeId::Fe(frontend), STOP_PUBLISH, DebugPoint::default());
        }
        let commits = scene.pair.down.counters().get("commitTxn");
        scene.die("commit_txn:after", load).await;
        if changes_master {
            another_master(&scene.pair.down);
        }
        scene.syncer.restart().await;
        wait_until("the job knows that it is not visible", BOUND, || async {
            let (shown, lag) = (scene.syncer.progress(JOB).await, scene.syncer.lag(JOB).await);
            if lag > 0 && !shown["unpublished"].is_null() { Ok(()) } else { Err(shown.to_string()) }
        })
        .await;
        for frontend in 0..2 {
            scene.pair.down.inner().debug_points.clear(NodeId::Fe(frontend));
        }
        scene.syncer.wait_for(JOB, Target::InSync).await;
        scene.assert_once("published late").await;
        assert!(scene.pair.down.counters().get("commitTxn") <= commits + 2, "asked once more at most");
        scene.finish().await;
    }
}
