//! Answers of frontends that are behind, to what is asked by SHOW.

use super::run::Run;
use super::world::World;
use super::world::faults::Fault;

/// Lets the next calls of an operation, so many of them, meet a fault.
fn fault(run: &Run, operation: &'static str, calls: usize, fault: Fault) {
    let faults = std::iter::repeat_n(fault, calls);
    run.world.with(|world| world.plan.next.entry(operation).or_default().extend(faults));
}

#[tokio::test(start_paused = true)]
async fn what_is_submitted_is_submitted_once() {
    for operation in ["source.backup_job", "target.restore_job"] {
        let world = World::new();
        world.with(|world| {
            world.create("t1", &[1, 2], 2);
            world.load_all("t1");
        });
        let mut run = Run::database(world);
        fault(&run, operation, 12, Fault::Stale);
        run.start();
        run.caught_up().await;
        run.check();
        let submitted = run.world.with(|world| (world.backups.accepted, world.restores.accepted));
        assert_eq!(submitted, (1, 1), "{operation}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_restore_whose_objects_are_not_known_yet_is_not_passed_over() {
    let mut run = Run::following(&["t1", "t2"]).await;
    let table = run.world.with(|world| world.source.table("t1").expect("it exists").clone());
    run.world.with(|world| world.load_all("t1"));
    run.caught_up().await;
    fault(&run, "source.restored_objects", 1, Fault::Empty);
    run.world.with(|world| world.restore_in_place(&table));
    run.until("a copy", |world, _| !world.store.partial_syncs.is_empty()).await;
    run.caught_up().await;
    run.check();
}

#[tokio::test(start_paused = true)]
async fn a_view_that_is_not_listed_yet_is_dropped_behind_a_gap() {
    let mut run = Run::following(&["t1", "t2"]).await;
    run.world.with(|world| world.create_view("v1", "t1"));
    run.caught_up().await;
    run.stop().await;
    run.world.with(|world| {
        world.drop_view("v1");
        world.load_all("t1");
        world.expire_binlogs();
        world.load_all("t2");
        world.plan.lag_ms = 3_600_000;
    });
    fault(&run, "target.views", 1, Fault::Stale);
    run.start();
    run.caught_up().await;
    run.check();
}

#[tokio::test(start_paused = true)]
async fn a_view_that_is_not_listed_yet_gets_its_new_definition() {
    let mut run = Run::following(&["t1", "t2"]).await;
    run.world.with(|world| world.create_view("v1", "t1"));
    run.caught_up().await;
    run.world.with(|world| {
        world.busy_tables = vec!["v1".to_owned()];
        world.alter_view("v1", "t2");
        world.plan.lag_ms = 3_600_000;
    });
    run.until("a view apart", |world, _| {
        world.store.state.as_ref().is_some_and(|state| !state.views_apart.is_empty())
    })
    .await;
    fault(&run, "target.views", 1, Fault::Stale);
    run.world.with(|world| world.busy_tables.clear());
    run.caught_up().await;
    run.check();
}

#[tokio::test(start_paused = true)]
async fn a_view_gets_the_definition_for_which_it_is_apart() {
    let mut run = Run::following(&["t1", "t2"]).await;
    run.world.with(|world| world.create_view("v1", "t1"));
    run.caught_up().await;
    run.world.with(|world| {
        world.busy_tables = vec!["v1".to_owned()];
        world.database_property();
        world.database_property();
        world.alter_view("v1", "t2");
        world.plan.lag_ms = 3_600_000;
    });
    fault(&run, "source.show_create_table", 1, Fault::Stale);
    run.until("a view apart", |world, _| {
        world.store.state.as_ref().is_some_and(|state| !state.views_apart.is_empty())
    })
    .await;
    run.world.with(|world| world.busy_tables.clear());
    run.caught_up().await;
    run.check();
}
