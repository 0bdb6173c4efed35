//! Backends that are slow, sick or away.

use super::run::Run;
use super::world::World;

async fn following(replicas: usize) -> Run {
    let world = World::new();
    world.with(|world| {
        world.create("t1", &[1, 2], 2);
        let table = world.source.table_mut("t1").expect("just created");
        table.replicas = replicas;
        world.load_all("t1");
    });
    let mut run = Run::database(world);
    run.start();
    run.caught_up().await;
    run
}

#[tokio::test(start_paused = true)]
async fn an_asynchronous_ingest_is_polled_until_it_is_done() {
    let mut run = following(2).await;
    run.world.with(|world| {
        world.async_polls = Some(4);
        world.load_all("t1");
        world.load_all("t1");
    });
    run.caught_up().await;
    run.check();
    assert!(run.world.count("target.query_ingest") >= 5 * 16);
}

#[tokio::test(start_paused = true)]
async fn a_majority_is_enough_while_a_backend_is_down() {
    let mut run = following(3).await;
    run.world.with(|world| {
        world.dead_targets = vec![22];
        world.load_all("t1");
        world.load_all("t1");
    });
    run.caught_up().await;
    run.check();
}

#[tokio::test(start_paused = true)]
async fn without_a_majority_the_job_waits_and_goes_on_later() {
    let mut run = following(2).await;
    run.world.with(|world| {
        world.dead_targets = vec![22];
        world.load_all("t1");
    });
    run.until("an error", |_, status| status.last_error.as_ref().is_some_and(|error| error.tries > 2)).await;
    assert_eq!(run.world.with(|world| world.transactions.committed), 0);
    run.world.with(|world| world.dead_targets.clear());
    run.caught_up().await;
    run.check();
    assert!(run.status().last_error.is_none());
}

#[tokio::test(start_paused = true)]
async fn another_source_replica_serves_when_one_does_not() {
    let mut run = following(2).await;
    run.world.with(|world| {
        world.sick_sources = vec![12];
        world.load_all("t1");
        world.load_all("t1");
    });
    run.caught_up().await;
    run.check();
}

/// A replica that has missed a load answers that it does not have it; the one that has it comes back.
#[tokio::test(start_paused = true)]
async fn a_version_is_not_gone_while_a_replica_that_may_have_it_is_down() {
    let mut run = following(2).await;
    run.world.with(|world| {
        world.sick_sources = vec![12];
        world.dead_sources = vec![11, 13];
        world.load_all("t1");
    });
    run.until("many tries", |world, status| {
        assert_eq!(world.backups.accepted, 1, "nothing is copied for a backend that is down");
        status.last_error.as_ref().is_some_and(|error| error.tries > 12)
    })
    .await;
    run.world.with(|world| world.dead_sources.clear());
    run.caught_up().await;
    run.check();
    assert_eq!(run.world.with(|world| world.backups.accepted), 1);
}
