//! Failpoints of the handling of binlogs: the outcome of the scenario is the same.

use doris_types::record::BinlogType;

use super::run::Run;
use super::scenario;
use super::world::World;

/// Whether the failpoint fired in the scenario, after which everything is equal.
async fn fires(name: &str, value: &str) -> bool {
    let world = World::new();
    scenario::busy_database(&world);
    let mut run = Run::database(world);
    run.failpoints.set(name, value).expect("it is a failpoint");
    run.start();
    scenario::everything(&mut run).await;
    run.caught_up().await;
    run.check();
    let found = run.world.with(|world| (world.backups.accepted, world.restores.accepted));
    assert_eq!(found, (1, 1), "no further snapshot with {name} at {value}");
    run.failpoints.list().iter().all(|(_, value)| value.is_none())
}

#[tokio::test(start_paused = true)]
async fn a_binlog_of_any_type_can_fail_before_and_after_it_took_effect() {
    for name in ["handle_binlog_idempotent:before", "handle_binlog_idempotent:after"] {
        let mut fired = Vec::new();
        for kind in BinlogType::known() {
            if fires(name, kind.name()).await {
                fired.push(kind.name());
            }
        }
        for kind in
            ["UPSERT", "ADD_PARTITION", "CREATE_TABLE", "DROP_PARTITION", "DROP_TABLE", "TRUNCATE_TABLE"]
        {
            assert!(fired.contains(&kind), "{name} fired at {fired:?}, not at {kind}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_handled_while_handling_fails() {
    let world = World::new();
    world.with(|world| {
        world.create("t1", &[1, 2], 2);
        world.load_all("t1");
    });
    let mut run = Run::database(world);
    run.start();
    run.caught_up().await;
    run.failpoints.set("handle_binlog_failed", "true").expect("it is one");
    let before = run.world.with(|world| {
        world.load_all("t1");
        (world.transactions.committed, world.store.position.commit_seq)
    });
    run.until("the error is shown", |_, status| {
        status.last_error.as_ref().is_some_and(|error| error.message.contains("CCR0910") && error.tries > 2)
    })
    .await;
    let after = run.world.with(|world| (world.transactions.committed, world.store.position.commit_seq));
    assert_eq!(after, before);
    run.failpoints.remove("handle_binlog_failed").expect("it is one");
    run.caught_up().await;
    assert!(run.status().last_error.is_none(), "it is over: {:?}", run.status());
    run.check();
}
