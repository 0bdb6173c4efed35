//! Answers of frontends that are behind, to what is asked by SHOW.

use std::time::Duration;

use super::run::Run;
use super::world::World;
use super::world::faults::Fault;

/// Names that other tables had a moment before.
pub async fn reused_names(run: &mut Run) {
    run.caught_up().await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    run.world.with(|world| {
        world.plan.lag_ms = 30_000;
        world.rename_table("t1", "old");
        world.create("t1", &[1], 1);
        world.load(&[("t1", &["p1"]), ("t2", &["t2"])]);
    });
    run.caught_up().await;
    run.world.with(|world| {
        world.replace_table("old", "t1", false);
        world.create("t1", &[1], 1);
        world.load(&[("t1", &["p1"]), ("old", &["p1"])]);
        world.drop_table("t1");
        world.create("t1", &[1, 2], 2);
        world.load_all("t1");
    });
    run.caught_up().await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    run.world.with(|world| {
        world.replace_table("t1", "old", true);
        world.drop_table("old");
        world.load_all("t1");
    });
    run.caught_up().await;
    run.world.with(|world| {
        world.create("new", &[1], 1);
        world.create("other", &[1], 1);
        world.load(&[("new", &["p1"]), ("other", &["p1"])]);
    });
    run.caught_up().await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    run.world.with(|world| {
        world.rename_table("t1", "old");
        world.rename_table("other", "t1");
        world.replace_table("old", "new", false);
        world.load(&[("t1", &["p1"]), ("old", &["p1"])]);
    });
    run.caught_up().await;
    run.world.with(|world| world.load_all("t1"));
}

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

/// That the restore has ended is told by the new master, and the tables by the one before it, which has not noticed yet.
#[tokio::test(start_paused = true)]
async fn what_a_restore_has_made_is_not_taken_for_what_was_there_before() {
    for cannot_replace in [false, true] {
        let mut run = Run::following(&["t1", "t2"]).await;
        tokio::time::sleep(Duration::from_secs(120)).await;
        run.world.with(|world| {
            world.plan.lag_ms = 60_000;
            world.restores.cannot_replace = cannot_replace;
            world.restores.is_held = true;
            world.schema_change("t1");
            world.load_all("t1");
        });
        let accepted = if cannot_replace { 3 } else { 2 };
        run.until("the restore", |world, _| world.restores.accepted == accepted).await;
        run.until("a look at it", |_, status| status.step.contains("restore")).await;
        fault(&run, "target.meta", 1, Fault::Stale);
        run.world.with(|world| world.restores.is_held = false);
        run.until("the end of it", |world, _| world.plan.next["target.meta"].is_empty()).await;
        run.caught_up().await;
        run.world.with(|world| world.load(&[("t1", &["p1"]), ("t2", &["p1"])]));
        run.caught_up().await;
        run.check();
        assert_eq!(run.world.with(|world| world.restores.accepted), accepted, "it is copied once");
    }
}
