//! The scenario with one fault at each of its calls in turn: the outcome is the same.

use super::run::Run;
use super::scenario;
use super::world::World;
use super::world::faults::Fault;

async fn run_with(fault: Option<(u64, Fault)>) -> u64 {
    let world = World::new();
    world.with(|world| world.plan.at.extend(fault));
    scenario::prepare(&world);
    let mut run = Run::database(world);
    run.start();
    scenario::play(&mut run).await;
    run.check();
    run.world.with(|world| {
        let found = (world.backups.accepted, world.restores.accepted);
        assert_eq!(found, (1, 1), "backups and restores with {fault:?}");
        if let Some((number, _)) = fault {
            assert!(world.plan.at.is_empty(), "call {number} was never made");
        }
        world.calls
    })
}

async fn at_every_call(fault: Fault) {
    // The number of polls differs a little from run to run; the last ones are polls in any case.
    let calls = run_with(None).await;
    for number in 1..calls - 5 {
        run_with(Some((number, fault))).await;
    }
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
async fn a_new_master_at_any_call_changes_nothing() {
    at_every_call(Fault::MasterChange).await;
}
