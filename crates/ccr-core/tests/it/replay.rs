//! Jobs without faults.

use ccr_core::job::Phase;

use super::run::Run;
use super::scenario;
use super::world::World;

#[tokio::test(start_paused = true)]
async fn a_database_is_copied_and_followed() {
    let world = World::new();
    scenario::busy_database(&world);
    let mut run = Run::database(world);
    run.start();
    scenario::everything(&mut run).await;
    run.check();
    run.world.with(|world| {
        assert_eq!((world.backups.accepted, world.restores.accepted), (1, 1));
        assert_eq!(world.store.position.commit_seq, world.newest());
        let state = world.store.state.as_ref().expect("there is a state");
        assert!(matches!(state.phase, Phase::Incremental(_)));
    });
}

#[tokio::test(start_paused = true)]
async fn a_table_is_followed_under_another_name() {
    let world = World::new();
    world.with(|world| {
        world.create("t1", &[1, 2], 2);
        world.create("other", &[], 1);
        world.load_all("t1");
        world.load_all("other");
        world.backups.between_barriers.push_back(Box::new(|world| world.load_all("t1")));
        world.backups.between_barriers.push_back(Box::new(|world| world.load_all("t1")));
    });
    let mut run = Run::table(world, "t1", "x1");
    run.start();
    run.caught_up().await;
    run.world.with(|world| {
        world.load(&[("t1", &["p1"]), ("other", &["other"])]);
        world.add_partition("t1", 3, false);
        world.load_all("t1");
        world.truncate("t1", &["p2"]);
        world.drop_partition("t1", "p1");
        world.load_all("t1");
    });
    run.caught_up().await;
    run.check();
    assert_eq!(run.world.with(|world| world.backups.accepted), 1);
}

#[tokio::test(start_paused = true)]
async fn an_empty_database_is_waited_for() {
    let world = World::new();
    let mut run = Run::database(world);
    run.start();
    run.until("waiting", |_, status| status.step.contains("waiting for the first table")).await;
    run.world.with(|world| {
        world.create("t1", &[], 1);
        world.load_all("t1");
    });
    run.caught_up().await;
    run.check();
}

#[tokio::test(start_paused = true)]
async fn temporary_partitions_come_and_go() {
    let world = World::new();
    world.with(|world| world.create("t1", &[1, 2], 1));
    let mut run = Run::database(world);
    run.start();
    run.caught_up().await;
    run.world.with(|world| {
        world.add_partition("t1", 1, true);
        world.load(&[("t1", &["tp1", "p1"])]);
        world.load(&[("t1", &["tp1"])]);
        world.load_all("t1");
        world.drop_partition("t1", "tp1");
        world.load_all("t1");
    });
    run.caught_up().await;
    run.check();
}

/// The temporary partition has the range of the formal one, and their loads are told apart.
#[tokio::test(start_paused = true)]
async fn partitions_are_replaced_without_a_copy() {
    let world = World::new();
    world.with(|world| {
        world.create("t1", &[1, 2], 2);
        world.load_all("t1");
    });
    let mut run = Run::database(world);
    run.start();
    run.caught_up().await;
    for pause in [false, true] {
        if pause {
            run.stop().await;
        }
        run.world.with(|world| {
            world.add_partition("t1", 1, true);
            world.load(&[("t1", &["tp1", "p2"])]);
            world.load(&[("t1", &["p1"])]);
            world.load(&[("t1", &["tp1"])]);
        });
        if !pause {
            run.caught_up().await;
        }
        run.world.with(|world| {
            world.replace_partition("t1", "p1", "tp1");
            world.load_all("t1");
        });
        if pause {
            run.start();
        }
        run.caught_up().await;
        run.check();
    }
    assert_eq!(run.world.with(|world| world.backups.accepted), 1);
}

/// A load is replayed after its partition or table was dropped, or truncated, upstream.
#[tokio::test(start_paused = true)]
async fn what_was_dropped_later_is_left_out_with_proof() {
    for hides_drops in [false, true] {
        let world = World::new();
        world.with(|world| {
            world.hides_drops = hides_drops;
            world.create("t1", &[1, 2], 2);
            world.create("t2", &[], 1);
        });
        let mut run = Run::database(world);
        run.start();
        run.caught_up().await;
        run.world.with(|world| {
            world.load(&[("t1", &["p1", "p2"]), ("t2", &["t2"])]);
            world.load(&[("t1", &["p1"])]);
            world.truncate("t1", &["p2"]);
            world.load_all("t1");
            world.drop_partition("t1", "p1");
            world.load_all("t2");
            world.drop_table("t2");
            world.create("t2", &[], 1);
            world.load_all("t2");
            world.load_all("t1");
        });
        run.caught_up().await;
        run.check();
    }
}

/// An answer without the table is no proof that it was dropped.
#[tokio::test(start_paused = true)]
async fn what_only_seems_to_be_gone_is_asked_for_again() {
    let world = World::new();
    world.with(|world| {
        world.create("t1", &[1, 2], 2);
    });
    let mut run = Run::database(world);
    run.start();
    run.caught_up().await;
    run.world.with(|world| {
        world.stale_answers = 3;
        world.load_all("t1");
    });
    run.until("the retried error", |_, status| {
        status.last_error.as_ref().is_some_and(|error| error.message.contains("CCR0303"))
    })
    .await;
    run.caught_up().await;
    run.check();
}

/// Nothing is left out without a word.
#[tokio::test(start_paused = true)]
async fn what_the_target_goes_without_is_in_the_history() {
    let mut run = Run::following(&["t1", "t2"]).await;
    run.stop().await;
    let (property, load) = run.world.with(|world| {
        world.database_property();
        let property = world.newest();
        world.load_all("t1");
        let load = world.newest();
        world.drop_table("t1");
        world.load_all("t2");
        (property, load)
    });
    run.start();
    run.caught_up().await;
    run.check();
    let entries = run.world.with(|world| world.store.history.clone());
    let skipped = |commit_seq: i64, reason: &str| {
        entries.iter().any(|entry| {
            let (plan, outcome) = (entry.plan.as_str(), entry.outcome.as_str());
            (plan, outcome, entry.first_commit_seq) == ("skip", "passed over", commit_seq)
                && entry.reason.contains(reason)
        })
    };
    assert!(skipped(property, "ALTER_DATABASE_PROPERTY: database property"), "{entries:?}");
    assert!(skipped(load, "the rows of table t1 are gone: it was dropped upstream"), "{entries:?}");
}
