//! What the steady state costs, in calls.

use super::run::Run;
use super::world::World;

const LOADS: u64 = 40;

async fn following() -> Run {
    let world = World::new();
    world.with(|world| {
        world.create("t1", &[1], 2);
        world.load_all("t1");
    });
    let mut run = Run::database(world);
    run.start();
    run.caught_up().await;
    run
}

#[tokio::test(start_paused = true)]
async fn an_upsert_costs_begin_commit_and_one_ingest_per_replica() {
    let mut run = following().await;
    // The first load after a start reads the metadata.
    run.world.with(|world| world.load_all("t1"));
    run.caught_up().await;
    let before = run.world.with(|world| world.counts.clone());
    for _ in 0..LOADS {
        run.world.with(|world| world.load_all("t1"));
    }
    run.caught_up().await;
    run.check();
    let after = run.world.with(|world| world.counts.clone());
    let made = |operation: &str| {
        let count = |counts: &std::collections::BTreeMap<&'static str, u64>| {
            counts.get(operation).copied().unwrap_or(0)
        };
        count(&after) - count(&before)
    };
    let replicas = 2 * 2;
    assert_eq!(made("target.begin"), LOADS);
    assert_eq!(made("target.commit"), LOADS);
    assert_eq!(made("target.ingest"), LOADS * replicas);
    for operation in
        ["source.meta", "target.meta", "source.backends", "target.backends", "source.token", "save_state"]
    {
        assert_eq!(made(operation), 0, "{operation}");
    }
    assert!(made("save_position") <= LOADS, "{}", made("save_position"));
}

#[tokio::test(start_paused = true)]
async fn transactions_that_miss_the_same_route_read_it_once() {
    let mut run = following().await;
    run.stop().await;
    run.world.with(|world| (0..LOADS).for_each(|_| world.load_all("t1")));
    let before = run.world.with(|world| world.counts.clone());
    run.start();
    run.caught_up().await;
    run.check();
    let after = run.world.with(|world| world.counts.clone());
    let made = |operation: &str| after[operation] - before.get(operation).copied().unwrap_or(0);
    assert_eq!(made("target.meta"), 1);
    // Another one makes sure, at the first idle look, that the database is still there.
    assert!(made("source.meta") <= 2, "{}", made("source.meta"));
}
