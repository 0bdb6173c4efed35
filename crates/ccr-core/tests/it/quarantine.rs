//! A table whose transactions keep failing leaves the stream, unless it is the cluster that fails.

use super::run::Run;
use super::world::{Inner, World};

async fn following() -> Run {
    Run::following(&["t1", "t2", "t3"]).await
}

/// The first table fails until it has left; the others go on, a statement and what it shares with them included.
async fn leaves_and_comes_back(fail: fn(&mut Inner), mend: fn(&mut Inner), reason: &str) {
    let mut run = following().await;
    let newest = run.world.with(|world| {
        fail(world);
        world.load_all("t1");
        world.load_all("t2");
        world.load(&[("t1", &["p1"]), ("t2", &["p1"])]);
        world.create("t4", &[], 1);
        world.load_all("t4");
        world.newest()
    });
    run.until("the others", |world, _| world.store.position.commit_seq >= newest).await;
    let apart = run.status().apart;
    assert_eq!(
        apart.iter().map(|table| (table.table.as_str(), table.work)).collect::<Vec<_>>(),
        [("t1", "quarantined")]
    );
    assert!(apart[0].detail.contains(reason), "{}", apart[0].detail);
    assert!(run.history().iter().any(|(plan, why, _)| plan == "quarantine" && why.contains(reason)));
    run.until("tries of its own", |_, status| {
        status.last_error.as_ref().is_some_and(|error| error.tries > 2 && error.message.contains(reason))
    })
    .await;
    // It is still apart in the next process.
    run.restart().await;
    run.world.with(|world| world.load_all("t2"));
    run.until("a failure after the restart", |_, status| status.last_error.is_some()).await;
    run.world.with(mend);
    run.caught_up().await;
    run.check();
    assert!(run.status().apart.is_empty());
    assert_eq!(run.world.with(|world| world.backups.accepted), 1, "nothing is copied");
    assert!(run.history().iter().any(|(plan, ..)| plan == "join"));
}

#[tokio::test(start_paused = true)]
async fn a_table_that_takes_no_more_rows_leaves_the_others_alone() {
    leaves_and_comes_back(
        |world| world.full_tables.push(world.source_id("t1")),
        |world| world.full_tables.clear(),
        "version count",
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_table_that_cannot_be_committed_leaves_the_others_alone() {
    leaves_and_comes_back(
        |world| world.locked_tables.push("t1".to_owned()),
        |world| world.locked_tables.clear(),
        "write lock timeout",
    )
    .await;
}

/// No table leaves while this is so, however long.
async fn nobody_leaves(fail: fn(&mut Inner), mend: fn(&mut Inner)) {
    let mut run = following().await;
    let until = run.world.with(|world| {
        fail(world);
        for name in ["t1", "t2", "t3", "t1", "t2", "t3"] {
            world.load_all(name);
        }
        world.now_ms + 100 * 3_000
    });
    run.until("a long time", move |world, status| {
        assert!(status.apart.is_empty(), "{:?}", status.apart);
        world.now_ms > until
    })
    .await;
    assert!(run.status().last_error.is_some());
    run.world.with(mend);
    run.caught_up().await;
    run.check();
}

#[tokio::test(start_paused = true)]
async fn nobody_leaves_when_no_backend_takes_rows() {
    nobody_leaves(|world| world.dead_targets = vec![21, 22, 23], |world| world.dead_targets.clear()).await;
}

#[tokio::test(start_paused = true)]
async fn nobody_leaves_when_every_table_fails() {
    nobody_leaves(
        |world| world.full_tables = world.source.tables.keys().copied().collect(),
        |world| world.full_tables.clear(),
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn nobody_leaves_when_the_upstream_is_away() {
    nobody_leaves(|world| world.dead_sources = vec![11, 12, 13], |world| world.dead_sources.clear()).await;
}

#[tokio::test(start_paused = true)]
async fn a_table_job_has_nobody_to_leave() {
    let world = World::new();
    world.with(|world| {
        world.create("t1", &[1], 1);
        world.load_all("t1");
    });
    let mut run = Run::table(world, "t1", "x1");
    run.start();
    run.caught_up().await;
    let until = run.world.with(|world| {
        world.full_tables.push(world.source_id("t1"));
        world.load_all("t1");
        world.now_ms + 100 * 3_000
    });
    run.until("a long time", move |world, status| {
        assert!(status.apart.is_empty());
        world.now_ms > until
    })
    .await;
    run.world.with(|world| world.full_tables.clear());
    run.caught_up().await;
    run.check();
}

/// Each of its transactions has a partition of its own, so none of them stands for another.
#[tokio::test(start_paused = true)]
async fn a_table_of_which_very_much_cannot_be_published_leaves_the_others_alone() {
    const PARTITIONS: i64 = 1_100;
    let world = World::new();
    world.with(|world| {
        let partitions: Vec<i64> = (1..=PARTITIONS).collect();
        world.create("many", &partitions, 1);
        for name in ["t1", "t2"] {
            world.create(name, &[1], 1);
        }
    });
    let mut run = Run::database(world);
    run.start();
    run.caught_up().await;
    let newest = run.world.with(|world| {
        let stuck = world.target.table("many").expect("it is replicated").id;
        world.transactions.stuck.push(stuck);
        for partition in 1..=PARTITIONS {
            world.load(&[("many", &[&format!("p{partition}")])]);
            if partition % 100 == 0 {
                world.load_all("t1");
                world.load_all("t2");
            }
        }
        world.newest()
    });
    run.until("the others", |world, _| world.store.position.commit_seq >= newest).await;
    let apart = run.status().apart;
    assert_eq!(
        apart.iter().map(|table| (table.table.as_str(), table.work)).collect::<Vec<_>>(),
        [("many", "quarantined")]
    );
    assert!(apart[0].detail.contains("CCR0316"), "{}", apart[0].detail);
    run.world.with(|world| world.transactions.stuck.clear());
    run.caught_up().await;
    run.check();
    assert_eq!(run.world.with(|world| world.backups.accepted), 1, "nothing is copied");
}
