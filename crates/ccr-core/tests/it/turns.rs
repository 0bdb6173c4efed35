//! Jobs of one upstream database take turns at snapshots: others have all of them, or the job gives its own back.

use std::sync::Arc;
use std::time::Duration;

use ccr_core::turns::{Seats, TURNS, Turn};

use super::run::Run;
use super::world::faults::Fault;
use super::world::{Inner, World};

/// A run, and the turns at the snapshots of its upstream database.
fn with_seats(run: &Run) -> Arc<Seats> {
    run.turns.of(&run.record.spec.src, run.world.now_ms())
}

fn taken_by_others(seats: &Seats) -> Vec<Turn> {
    let taken: Vec<Turn> = (0..TURNS).map(|_| seats.take_now()).collect();
    assert_eq!(seats.free(), 0);
    taken
}

fn new_job() -> Run {
    let world = World::new();
    world.with(|world| {
        world.create("t1", &[1], 1);
        world.load_all("t1");
    });
    Run::database(world)
}

async fn waits(run: &mut Run) {
    run.until("waiting for a turn", |_, status| status.step.contains("waiting until other snapshots")).await;
}

fn backups(world: &mut Inner) -> u32 {
    world.backups.accepted
}

#[tokio::test(start_paused = true)]
async fn a_job_waits_for_its_turn_and_gives_it_back() {
    let mut run = new_job();
    let seats = with_seats(&run);
    let mut others = taken_by_others(&seats);
    run.start();
    waits(&mut run).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(run.world.with(backups), 0);
    // Paused and started again it waits again, and its place is nobody's.
    run.restart().await;
    waits(&mut run).await;
    others.pop();
    run.caught_up().await;
    run.check();
    assert_eq!((run.world.with(backups), seats.free()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_job_that_nobody_gives_a_turn_goes_on_in_the_end() {
    let mut run = new_job();
    let _others = taken_by_others(&with_seats(&run));
    run.start();
    run.caught_up().await;
    run.check();
    assert_eq!(run.world.with(backups), 1);
}

#[tokio::test(start_paused = true)]
async fn a_turn_lasts_from_the_backup_to_the_restore_and_ends_with_the_task() {
    let mut run = new_job();
    let seats = with_seats(&run);
    run.world.with(|world| {
        world.plan.next.entry("target.start_restore").or_default().extend([Fault::Refused; 40])
    });
    run.start();
    let tried = |world: &Inner| world.counts.get("target.start_restore").copied().unwrap_or(0);
    run.until("the restore", |world, _| tried(world) > 1).await;
    assert_eq!(seats.free(), TURNS - 1);
    run.stop().await;
    assert_eq!(seats.free(), TURNS);
    // Its snapshot is there: it waits for nobody.
    let others = taken_by_others(&seats);
    run.world.with(|world| world.plan.next.clear());
    run.start();
    run.caught_up().await;
    run.check();
    drop(others);
    assert_eq!((run.world.with(backups), seats.free()), (1, TURNS));
}

/// Tables of a job take their turns with the others; the stream goes on meanwhile.
#[tokio::test(start_paused = true)]
async fn a_table_that_is_copied_again_waits_for_its_turn_too() {
    for is_dropped in [false, true] {
        let mut run = Run::following(&["t1", "t2"]).await;
        let seats = with_seats(&run);
        assert_eq!(seats.free(), TURNS);
        let others = taken_by_others(&seats);
        run.world.with(|world| {
            world.schema_change("t1");
            world.load_all("t2");
        });
        waits(&mut run).await;
        let newest = run.world.with(|world| {
            world.load_all("t2");
            world.newest()
        });
        run.until("the others", |world, _| world.store.position.commit_seq >= newest).await;
        assert_eq!(run.world.with(backups), 1);
        if is_dropped {
            run.world.with(|world| world.drop_table("t1"));
            run.caught_up().await;
        }
        drop(others);
        run.caught_up().await;
        run.check();
        assert_eq!((run.world.with(backups), seats.free()), (if is_dropped { 1 } else { 2 }, TURNS));
    }
}
