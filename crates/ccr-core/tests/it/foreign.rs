//! Somebody puts a table of theirs downstream where the target of one of the job's has been. No copy goes over it.

use std::time::Duration;

use super::run::Run;
use super::world::catalog::Table;

const THIRTEEN_HOURS: Duration = Duration::from_secs(13 * 3600);

/// Somebody takes the target of a table away, or gives it another name, and makes a table of their own in its place.
fn displace(run: &Run, name: &str, is_kept: bool) -> Table {
    run.world.with(|world| {
        // Of the same schema, so that the target cluster has nothing against it.
        let table = world.new_table(name, &[("p1".to_owned(), (10, 20))], 2, 2);
        let mut old = world.target.table(name).expect("it is replicated").clone();
        if is_kept {
            old.set_name("put_away");
            world.target.tables.insert(old.id, old);
        } else {
            world.target.tables.remove(&old.id);
        }
        world.target.tables.insert(table.id, table.clone());
        table
    })
}

/// The table waits, the other goes on; once the name is free, the table is copied.
async fn is_left_alone(run: &mut Run, foreign: &Table) {
    assert_eq!(run.blocked().await.code, "CCR0312");
    let newest = run.world.with(|world| {
        world.target.tables.retain(|_, table| table.name != "put_away");
        world.load_all("t2");
        world.newest()
    });
    run.until("the other table", |world, _| world.store.position.commit_seq >= newest).await;
    run.stop().await;
    run.world.with(|world| {
        let found = world.target.table(&foreign.name).expect("it is left alone");
        assert_eq!(found.id, foreign.id);
        assert_eq!(found.partitions.len(), 1, "nothing was put into it");
        world.target.tables.remove(&foreign.id);
    });
    run.start();
    run.until("resuming", |_, status| status.blocked.is_none()).await;
    run.caught_up().await;
    run.check();
}

#[tokio::test(start_paused = true)]
async fn a_table_that_is_copied_for_doubt_leaves_a_foreign_one_alone() {
    let mut run = Run::following(&["t1", "t2"]).await;
    run.stop().await;
    let foreign = displace(&run, "t1", false);
    tokio::time::sleep(THIRTEEN_HOURS).await;
    run.world.with(|world| {
        world.load_all("t1");
        world.load_all("t2");
    });
    run.start();
    assert_eq!(run.blocked().await.code, "CCR0302", "nothing tells what the target had");
    run.restart().await;
    is_left_alone(&mut run, &foreign).await;
}

#[tokio::test(start_paused = true)]
async fn a_table_that_is_copied_for_a_change_leaves_a_foreign_one_alone() {
    let mut run = Run::following(&["t1", "t2"]).await;
    let foreign = displace(&run, "t1", false);
    run.world.with(|world| world.schema_change("t1"));
    is_left_alone(&mut run, &foreign).await;
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_is_recovered_is_not_put_into_a_foreign_table() {
    let mut run = Run::following(&["t1", "t2"]).await;
    run.world.with(|world| world.drop_partition("t1", "p2"));
    run.caught_up().await;
    let foreign = displace(&run, "t1", true);
    run.world.with(|world| world.recover_partition("t1", "p2", ""));
    is_left_alone(&mut run, &foreign).await;
}
