//! Every scenario with one fault at each of its calls in turn: the outcome is the same.
//!
//! All calls of the ports and all writes to the store go through one gate, which numbers them; so every
//! crash point there is gets its number, whatever the engine calls. A run whose fault was never reached
//! ends the enumeration. Every second point is taken unless `CCR_SIM_ALL=1` asks for all of them;
//! `CCR_SIM_SCENARIO=<scenario>` leaves out the others, `CCR_SIM_POINT=<scenario>,<fault>,<number>` runs one point.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;

use super::run::Run;
use super::scenario::{SCENARIOS, Scenario};
use super::world::World;
use super::world::faults::Fault;

/// One of so many points is taken, another one for each pair of scenario and fault.
const STRIDE: u64 = 2;

/// Plays a scenario with a fault and says whether it was reached.
async fn play(scenario: &Scenario, at: Option<(u64, Fault)>) -> bool {
    let world = World::new();
    (scenario.prepare)(&world);
    world.with(|world| world.plan.at.extend(at));
    let mut run = match scenario.table {
        None => Run::database(world),
        Some((source, target)) => Run::table(world, source, target),
    };
    (scenario.options)(&mut run.record.spec.options);
    run.start();
    (scenario.play)(&mut run).await;
    run.caught_up().await;
    run.check();
    let found = run.world.with(|world| (world.backups.accepted, world.restores.accepted));
    let (snapshots, given_up) = (scenario.snapshots, scenario.given_up);
    if found.0 != snapshots || !(snapshots..=snapshots + given_up).contains(&found.1) {
        run.fail(&format!("{found:?} backups and restores instead of {snapshots}, and {given_up} given up"));
    }
    // It would go on beside the next one for ever.
    run.stop().await;
    run.world.with(|world| world.plan.at.is_empty())
}

async fn at_every_call(fault: Fault) {
    if let Ok(point) = std::env::var("CCR_SIM_POINT") {
        let (name, rest) = point.split_once(',').expect("scenario,fault,number");
        let (kind, number) = rest.split_once(',').expect("scenario,fault,number");
        if kind == format!("{fault:?}") {
            let scenario = SCENARIOS.iter().find(|scenario| scenario.name == name).expect("a scenario");
            play(scenario, Some((number.parse().expect("a number"), fault))).await;
        }
        return;
    }
    let stride = if std::env::var_os("CCR_SIM_ALL").is_some() { 1 } else { STRIDE };
    let only = std::env::var("CCR_SIM_SCENARIO").ok();
    for (position, scenario) in SCENARIOS.iter().enumerate() {
        if only.as_deref().is_some_and(|only| only != scenario.name) {
            continue;
        }
        let offset = (position + fault as usize) as u64 % stride;
        let mut number = 1 + offset;
        while AssertUnwindSafe(play(scenario, Some((number, fault)))).catch_unwind().await.unwrap_or_else(
            |_| panic!("fails; run it alone with CCR_SIM_POINT={},{fault:?},{number}", scenario.name),
        ) {
            number += stride;
        }
        assert!(number > stride, "{} makes calls", scenario.name);
    }
}

#[tokio::test(start_paused = true)]
async fn every_scenario_comes_out_well_without_faults() {
    let mut failed = Vec::new();
    for scenario in SCENARIOS {
        if AssertUnwindSafe(play(scenario, None)).catch_unwind().await.is_err() {
            failed.push(scenario.name);
        }
    }
    assert!(failed.is_empty(), "{failed:?} fail");
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
async fn a_busy_peer_at_any_call_changes_nothing() {
    at_every_call(Fault::Busy).await;
}

#[tokio::test(start_paused = true)]
async fn a_new_master_at_any_call_changes_nothing() {
    at_every_call(Fault::MasterChange).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_lacks_the_tables_changes_nothing() {
    at_every_call(Fault::Empty).await;
}
