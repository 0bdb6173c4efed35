//! Every kind of change while frontends lose their mastership, answer with stale metadata, or are cut off:
//! no full sync, and the same database in the end.
//!
//! What is disturbed, how and when follows from a seed. `CCR_DISTURBED_SEEDS=100` runs seeds 0 to 99 instead
//! of a few; `CCR_DISTURBED_SEED=7` runs one.

use minidoris::{Cluster, Fault, FaultKind};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use super::run::{assert_one_full_backup, run, slow_pair};
use super::{EVERY, assert_same_database};
use crate::harness::{Pair, Syncer, Target};

const JOB: &str = "matrix";
const MOMENT: &str = "stream";
const SEEDS: u64 = 3;

/// Calls whose answers get lost, and what loses them.
const UPSTREAM_CALLS: [&str; 6] =
    ["getMeta", "getBinlog", "getSnapshot", "sql:BACKUP", "sql:SHOW BACKUP", "getBackendMeta"];
const DOWNSTREAM_CALLS: [&str; 10] = [
    "getMeta",
    "beginTxn",
    "commitTxn",
    "ingest_binlog",
    "restoreSnapshot",
    "sql:SHOW RESTORE",
    "sql:ALTER TABLE",
    "sql:CREATE TABLE",
    "sql:DROP TABLE",
    "sql:TRUNCATE",
];

/// The seeds that `CCR_<test>_SEED` and `CCR_<test>_SEEDS` ask for, or a few.
pub(super) fn seeds(test: &str, few: u64) -> Vec<u64> {
    let number = |name: String| std::env::var(name).ok().map(|text| text.parse().expect("a number"));
    match (number(format!("CCR_{test}_SEED")), number(format!("CCR_{test}_SEEDS"))) {
        (Some(seed), _) => vec![seed],
        (None, Some(count)) => (0..count).collect(),
        (None, None) => (0..few).collect(),
    }
}

pub(super) fn disturb(random: &mut StdRng, pair: &Pair) -> String {
    let (cluster, calls): (&Cluster, &[&str]) =
        if random.random() { (&pair.up, &UPSTREAM_CALLS) } else { (&pair.down, &DOWNSTREAM_CALLS) };
    let call = calls[random.random_range(0..calls.len())];
    let times = random.random_range(1..=3);
    let kind = match random.random_range(0..6) {
        0 => {
            let master = (0..2).find(|at| !cluster.fe(*at).is_master).expect("one of two is no master");
            cluster.make_master(master).expect("the other frontend lives");
            return format!("{} has another master", cluster.name());
        }
        // An absence is believed when it was seen four times in a row, so these do not add up.
        1 if !cluster.faults().rules().iter().any(|rule| rule.kind == FaultKind::Empty) => {
            cluster.faults().add(Fault::new(FaultKind::Empty).call("getMeta").times(times));
            return format!("{} answers getMeta without tables {times} times", cluster.name());
        }
        1 | 2 => FaultKind::CutBefore,
        3 => FaultKind::CutMidReply,
        4 => FaultKind::NotMaster,
        _ => FaultKind::CutAfter,
    };
    let text = format!("{} {kind:?} {call} {times} times", cluster.name());
    cluster.faults().add(Fault::new(kind).call(call).times(times));
    text
}

async fn survives(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let pair = slow_pair(|options| options.frontends = 2).await;
    run(&pair, EVERY, MOMENT, |case| case.setup).await;
    let mut syncer = Syncer::start().await;
    syncer.allow("keeps failing, retrying");
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_for(JOB, Target::InSync).await;

    let mut cases = EVERY.to_vec();
    cases.shuffle(&mut random);
    for case in &cases {
        let disturbance = disturb(&mut random, &pair);
        eprintln!("seed {seed}: {} while {disturbance}", case.name);
        run(&pair, std::slice::from_ref(case), MOMENT, |case| case.change).await;
        run(&pair, std::slice::from_ref(case), MOMENT, |case| case.after).await;
        if random.random_ratio(1, 3) {
            syncer.wait_for(JOB, Target::InSync).await;
        }
    }
    syncer.wait_for(JOB, Target::InSync).await;
    pair.up.faults().clear();
    pair.down.faults().clear();
    run(&pair, EVERY, MOMENT, |case| case.after).await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_same_database(&pair).await;
    assert_one_full_backup(&syncer, 1);
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_survives_disturbances_without_a_full_sync() {
    for seed in seeds("DISTURBED", SEEDS) {
        survives(seed).await;
    }
}
