//! Every scenario with one fault at each of its calls in turn: the outcome is the same.
//!
//! All calls of the ports and all writes to the store go through one gate, which numbers them; so every
//! crash point there is gets its number, whatever the engine calls. A run whose fault was never reached
//! ends the enumeration. Every second point is taken, in table order every fourth, unless `CCR_SIM_ALL=1` asks
//! for all of them; `CCR_SIM_SCENARIO=<scenario>` leaves out the others,
//! `CCR_SIM_POINT=<scenario>,<fault>+<ordering>,<number>` runs one point.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;

use ccr_core::job::JobOrdering;
use doris_types::record::BinlogType;
use futures::FutureExt;

use super::run::Run;
use super::scenario::{SCENARIOS, Scenario};
use super::world::World;
use super::world::faults::Fault;

/// One of so many points is taken, another one for each pair of scenario and fault.
const STRIDE: u64 = 2;

/// Plays a scenario with a fault and says whether it was reached.
async fn play(scenario: &Scenario, ordering: JobOrdering, at: Option<(u64, Fault)>) -> bool {
    play_and_see(scenario, ordering, at).await.0
}

/// The same, and which types of binlog it has written.
async fn play_and_see(
    scenario: &Scenario,
    ordering: JobOrdering,
    at: Option<(u64, Fault)>,
) -> (bool, BTreeSet<i32>) {
    let world = World::new();
    (scenario.prepare)(&world);
    world.with(|world| world.plan.at.extend(at));
    let mut run = match scenario.table {
        None => Run::database(world),
        Some((source, target)) => Run::table(world, source, target),
    };
    (scenario.options)(&mut run.record.spec.options);
    match ordering {
        JobOrdering::Source => {}
        JobOrdering::Table => run.in_table_order(2),
    }
    run.start();
    (scenario.play)(&mut run).await;
    run.caught_up().await;
    run.alone().await;
    run.check();
    let found = run.world.with(|world| (world.backups.accepted, world.restores.accepted));
    let (snapshots, given_up) = (scenario.snapshots, scenario.given_up);
    // A new master that does not know a snapshot demands another one. And while there is none, what comes next upstream
    // comes to a restore that is further on, or less far.
    let lost = run.world.with(|world| world.backups.forgotten);
    let given_up = given_up + u32::from(matches!(at, Some((_, Fault::SourceMasterChange))));
    if matches!(at, Some((_, Fault::Stale))) {
        // What the job then sees are other changes than those that there were; it may copy a table for them.
        if let Some(undemanded) = run.world.with(|world| world.undemanded_full_sync()) {
            run.fail(&format!("not demanded: {undemanded}"));
        }
    } else if lost > 0 {
        // Meanwhile its table may have got another name, so that the next one is of no use either.
        if !(snapshots + lost - scenario.spared..=snapshots + 2 * lost).contains(&found.0) {
            run.fail(&format!("{found:?} backups and restores, {snapshots} demanded and {lost} lost"));
        }
    } else if found.0 != snapshots || !(snapshots..=snapshots + given_up).contains(&found.1) {
        run.fail(&format!("{found:?} backups and restores instead of {snapshots}, and {given_up} given up"));
    }
    // It would go on beside the next one for ever.
    run.stop().await;
    run.world.with(|world| (world.plan.at.is_empty(), world.journal.types.clone()))
}

/// Fails the test unless all types that statements write were written. A DUMMY stands for what has expired.
pub fn assert_all_types(written: &BTreeSet<i32>) {
    let is_missing = |kind: &BinlogType| *kind != BinlogType::DUMMY && !written.contains(&kind.0);
    let missing: Vec<&str> = BinlogType::known().filter(is_missing).map(BinlogType::name).collect();
    assert!(missing.is_empty(), "never written: {missing:?}");
}

/// Every scenario, those of databases in both orders.
fn courses() -> impl Iterator<Item = (&'static Scenario, JobOrdering)> {
    let in_source_order = SCENARIOS.iter().map(|scenario| (scenario, JobOrdering::Source));
    let databases = SCENARIOS.iter().filter(|scenario| scenario.table.is_none());
    in_source_order.chain(databases.map(|scenario| (scenario, JobOrdering::Table)))
}

async fn at_every_call(fault: Fault) {
    if let Ok(point) = std::env::var("CCR_SIM_POINT") {
        let (name, rest) = point.split_once(',').expect("scenario,fault,number");
        let (kind, number) = rest.split_once(',').expect("scenario,fault,number");
        if kind.split('+').next() == Some(&format!("{fault:?}")) {
            let scenario = SCENARIOS.iter().find(|scenario| scenario.name == name).expect("a scenario");
            let at = Some((number.parse().expect("a number"), fault));
            let ordering = JobOrdering::parse(kind.rsplit_once('+').map_or("source", |(_, name)| name));
            play(scenario, ordering.expect("source or table"), at).await;
        }
        return;
    }
    let stride = if std::env::var_os("CCR_SIM_ALL").is_some() { 1 } else { STRIDE };
    let only = std::env::var("CCR_SIM_SCENARIO").ok();
    for (position, (scenario, ordering)) in courses().enumerate() {
        if only.as_deref().is_some_and(|only| only != scenario.name) {
            continue;
        }
        let stride = match ordering {
            JobOrdering::Table if stride > 1 => 2 * stride,
            JobOrdering::Source | JobOrdering::Table => stride,
        };
        let offset = (position + fault as usize) as u64 % stride;
        let mut number = 1 + offset;
        let (name, order) = (scenario.name, ordering.name());
        while AssertUnwindSafe(play(scenario, ordering, Some((number, fault))))
            .catch_unwind()
            .await
            .unwrap_or_else(|_| {
                panic!("fails; run it alone with CCR_SIM_POINT={name},{fault:?}+{order},{number}")
            })
        {
            number += stride;
        }
        assert!(number > stride, "{name} makes calls");
    }
}

#[tokio::test(start_paused = true)]
async fn every_scenario_comes_out_well_without_faults() {
    let (mut failed, mut types) = (Vec::new(), BTreeSet::new());
    for (scenario, ordering) in courses() {
        match AssertUnwindSafe(play_and_see(scenario, ordering, None)).catch_unwind().await {
            Ok((_, written)) => types.extend(written),
            Err(_) => failed.push((scenario.name, ordering.name())),
        }
    }
    assert!(failed.is_empty(), "{failed:?} fail");
    assert_all_types(&types);
}

#[tokio::test(start_paused = true)]
async fn a_crash_before_any_call_changes_nothing() {
    at_every_call(Fault::CrashBefore).await;
}

#[tokio::test(start_paused = true)]
async fn a_crash_after_any_call_changes_nothing() {
    at_every_call(Fault::CrashAfter).await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_to_any_call_changes_nothing() {
    at_every_call(Fault::Lost).await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_connection_at_any_call_changes_nothing() {
    at_every_call(Fault::Refused).await;
}

#[tokio::test(start_paused = true)]
async fn another_owner_before_any_call_changes_nothing() {
    at_every_call(Fault::TakenBefore).await;
}

#[tokio::test(start_paused = true)]
async fn another_owner_after_any_call_changes_nothing() {
    at_every_call(Fault::TakenAfter).await;
}

#[tokio::test(start_paused = true)]
async fn a_busy_peer_at_any_call_changes_nothing() {
    at_every_call(Fault::Busy).await;
}

#[tokio::test(start_paused = true)]
async fn a_new_master_at_any_call_changes_nothing() {
    at_every_call(Fault::MasterChange).await;
}

#[tokio::test(start_paused = true)]
async fn a_new_master_upstream_at_any_call_changes_nothing() {
    at_every_call(Fault::SourceMasterChange).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_some_changes_ago_changes_nothing() {
    at_every_call(Fault::Stale).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_lacks_the_tables_changes_nothing() {
    at_every_call(Fault::Empty).await;
}
