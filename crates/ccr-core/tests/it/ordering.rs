//! Jobs that apply each table's changes in their own order.

use std::time::Duration;

use ccr_core::job::JobOrdering;
use ccr_core::status::JobStatus;

use super::run::Run;
use super::world::{Inner, World};

/// More than any of these tests lets a table be overtaken.
const NEVER: usize = 1000;

async fn following(overtaken_limit: usize) -> Run {
    let world = World::new();
    world.with(|world| {
        for name in ["t1", "t2", "t3"] {
            world.create(name, &[], 1);
            world.load_all(name);
        }
    });
    let mut run = Run::database(world);
    run.in_table_order(overtaken_limit);
    run.start();
    run.caught_up().await;
    run
}

fn slow_down(run: &Run) {
    run.world.with(|world| world.slow_tables.push(world.source_id("t1")));
}

/// Whether a table of the target has what its source has now.
fn is_equal(world: &Inner, name: &str) -> bool {
    let cells = |table: &super::world::catalog::Table| {
        let partitions = table.partitions.iter();
        partitions
            .map(|partition| (partition.version, partition.tablets[0].cells.clone()))
            .collect::<Vec<_>>()
    };
    world.source.table(name).map(cells) == world.target.table(name).map(cells)
}

async fn equal(run: &mut Run, names: &'static [&'static str]) {
    run.until("the others", |world, _| names.iter().all(|name| is_equal(world, name))).await;
    run.check_violations();
    run.world.with(|world| assert!(!is_equal(world, "t1"), "the slow one is not there"));
}

fn works_apart(status: &JobStatus) -> Vec<(&str, &'static str)> {
    status.apart.iter().map(|table| (table.table.as_str(), table.work)).collect()
}

/// What is ahead of the slow table is done once, also when the syncer starts again.
#[tokio::test(start_paused = true)]
async fn others_go_on_while_a_table_is_slow() {
    let mut run = following(NEVER).await;
    slow_down(&run);
    let stood_at = run.world.with(|world| {
        let newest = world.newest();
        world.load_all("t1");
        world.load_all("t2");
        world.truncate("t2", &[]);
        world.load_all("t2");
        world.load_all("t3");
        newest
    });
    equal(&mut run, &["t2", "t3"]).await;
    for _ in 0..3 {
        let committed = run.world.with(|world| {
            assert_eq!(world.store.position.commit_seq, stood_at, "the position is that of the slow one");
            world.transactions.committed
        });
        run.restart().await;
        run.world.with(|world| world.load_all("t2"));
        equal(&mut run, &["t2", "t3"]).await;
        run.world.with(|world| assert_eq!(world.transactions.committed, committed + 1));
    }
    assert!(run.status().apart.is_empty(), "nobody has overtaken it often enough");
    run.world.with(|world| world.slow_tables.clear());
    run.caught_up().await;
    run.check();
    assert_eq!(run.world.with(|world| world.backups.accepted), 1);
}

/// A transaction over the slow table and another one is applied as one, between what is before and after it in
/// both; a third table goes on.
#[tokio::test(start_paused = true)]
async fn a_shared_transaction_waits_for_the_slow_table() {
    for overtaken_limit in [1, NEVER] {
        let mut run = following(overtaken_limit).await;
        slow_down(&run);
        let before = run.world.with(|world| {
            world.load_all("t1");
            world.load_all("t3");
            world.load_all("t3");
            world.load_all("t2");
            let before = world.target.table("t2").expect("it is there").partitions[0].version;
            world.load(&[("t1", &["t1"]), ("t2", &["t2"])]);
            world.load_all("t2");
            world.load_all("t1");
            world.load_all("t3");
            before
        });
        equal(&mut run, &["t3"]).await;
        run.until("what is before it in t2", |world, _| {
            world.target.table("t2").is_some_and(|table| table.partitions[0].version == before + 1)
        })
        .await;
        run.restart().await;
        run.world.with(|world| world.load_all("t3"));
        equal(&mut run, &["t3"]).await;
        run.world.with(|world| {
            let table = world.target.table("t2").expect("it is there");
            assert_eq!(
                table.partitions[0].version,
                before + 1,
                "the shared one waits, and so does what follows"
            );
            world.slow_tables.clear();
        });
        run.caught_up().await;
        run.check();
        run.world.with(|world| assert_eq!(world.transactions.committed, 9, "each is applied once"));
    }
}

/// A table that others have overtaken goes on by itself, and the position goes on without it.
#[tokio::test(start_paused = true)]
async fn a_slow_table_leaves_and_comes_back() {
    let mut run = following(4).await;
    slow_down(&run);
    run.world.with(|world| {
        world.load_all("t1");
        world.load_all("t1");
        (0..6).for_each(|_| world.load_all("t2"));
    });
    run.until("the slow table has left", |_, status| works_apart(status) == [("t1", "catch_up")]).await;
    let begun = run.world.count("target.begin");
    // Names are settled, and the position reaches the end, without it.
    run.world.with(|world| {
        world.rename_table("t3", "t4");
        world.load_all("t4");
        world.rename_table("t1", "t5");
        world.load_all("t5");
    });
    let newest = run.world.with(|world| world.newest());
    run.until("the others", |world, _| world.store.position.commit_seq == newest).await;
    run.restart().await;
    run.world.with(|world| {
        world.load_all("t2");
        assert!(is_equal(world, "t4"));
    });
    run.until("the others", |world, _| is_equal(world, "t2")).await;
    assert_eq!(works_apart(&run.status()), [("t5", "catch_up")]);
    assert!(run.world.count("target.begin") > begun);
    run.world.with(|world| world.slow_tables.clear());
    run.caught_up().await;
    run.check();
    let history = run.history();
    assert!(history.iter().any(|(plan, ..)| plan == "catch_up"), "{history:?}");
    assert!(history.iter().any(|(plan, ..)| plan == "join"), "{history:?}");
    assert_eq!(run.world.with(|world| world.backups.accepted), 1);
}

/// When a table has so many changes that nothing is read behind them, it goes on by itself.
#[tokio::test(start_paused = true)]
async fn a_table_that_fills_the_window_leaves() {
    let mut run = following(NEVER).await;
    slow_down(&run);
    run.world.with(|world| {
        (0..1100).for_each(|_| world.load_all("t1"));
        world.load_all("t2");
    });
    equal(&mut run, &["t2"]).await;
    assert_eq!(works_apart(&run.status()), [("t1", "catch_up")]);
}

/// A statement about names waits for what came before it, but not for ever.
#[tokio::test(start_paused = true)]
async fn a_statement_about_names_does_not_wait_for_a_slow_table_for_ever() {
    let mut run = following(NEVER).await;
    slow_down(&run);
    run.world.with(|world| {
        world.load_all("t1");
        world.rename_table("t3", "t4");
        world.load_all("t4");
    });
    equal(&mut run, &["t2", "t4"]).await;
    assert_eq!(works_apart(&run.status()), [("t1", "catch_up")]);
    run.world.with(|world| world.slow_tables.clear());
    run.caught_up().await;
    run.check();
}

/// What was applied ahead is recognised when its labels have been forgotten, in either order.
#[tokio::test(start_paused = true)]
async fn what_is_ahead_survives_a_long_absence() {
    for ordering in [JobOrdering::Table, JobOrdering::Source] {
        let mut run = following(NEVER).await;
        slow_down(&run);
        run.world.with(|world| {
            world.load_all("t1");
            world.load_all("t2");
        });
        equal(&mut run, &["t2"]).await;
        run.world.with(|world| {
            world.truncate("t2", &[]);
            world.load_all("t2");
            world.load_all("t3");
        });
        equal(&mut run, &["t2", "t3"]).await;
        // The slow one has been slow for some hours before the syncer stops.
        tokio::time::sleep(Duration::from_secs(3 * 3600)).await;
        run.stop().await;
        tokio::time::sleep(Duration::from_secs(9 * 3600 + 1800)).await;
        run.world.with(|world| world.slow_tables.clear());
        run.record.spec.options.ordering = ordering;
        run.start();
        run.caught_up().await;
        run.check();
        run.world.with(|world| assert_eq!(world.transactions.committed, 4, "each is applied once"));
    }
}

/// No call and no write more than in source order.
#[tokio::test(start_paused = true)]
async fn table_order_costs_no_more_per_transaction() {
    const LOADS: u64 = 40;
    let mut run = following(NEVER).await;
    let load = |world: &mut Inner| {
        for name in ["t1", "t2", "t3"] {
            world.load_all(name);
        }
    };
    run.world.with(load);
    run.caught_up().await;
    let before = run.world.with(|world| world.counts.clone());
    for _ in 0..LOADS {
        run.world.with(load);
    }
    run.caught_up().await;
    run.check();
    let after = run.world.with(|world| world.counts.clone());
    let made = |operation: &str| {
        after.get(operation).copied().unwrap_or(0) - before.get(operation).copied().unwrap_or(0)
    };
    assert_eq!((made("target.begin"), made("target.commit")), (3 * LOADS, 3 * LOADS));
    // An idle job looks now and then whether what it follows still exists.
    assert!(made("source.meta") <= 1, "{}", made("source.meta"));
    for operation in ["target.meta", "source.backends", "save_state", "source.lag"] {
        assert_eq!(made(operation), 0, "{operation}");
    }
    assert!(made("save_position") <= 3 * LOADS, "{}", made("save_position"));
}
