//! Restores of a frontend that lets none replace a table of another schema: tables are restored beside the old ones.

use super::run::Run;

/// A table is copied after a schema change.
pub async fn altered(run: &mut Run) {
    run.caught_up().await;
    run.world.with(|world| {
        world.restores.cannot_replace = true;
        world.load_all("t1");
        world.schema_change("t1");
        world.load_all("t1");
        world.load_all("t2");
    });
    run.caught_up().await;
    run.world.with(|world| world.load_all("t1"));
}

/// Everything is copied after a gap in which a table was altered.
pub async fn after_a_gap(run: &mut Run) {
    run.caught_up().await;
    run.stop().await;
    run.world.with(|world| {
        world.restores.cannot_replace = true;
        world.load_all("t2");
        world.add_column("t1", "c");
        world.load_all("t1");
        world.expire_binlogs();
        world.load_all("t2");
    });
    run.start();
    run.caught_up().await;
    run.world.with(|world| world.load_all("t1"));
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_try_has_left_is_dropped() {
    let mut run = Run::following(&["t1", "t2"]).await;
    let left = run.world.with(|world| {
        world.restores.cannot_replace = true;
        let name = format!("__ccr_{}_{}", run.record.id, world.source_id("t1"));
        let table = world.new_table(&name, &[], 1, 1);
        let id = table.id;
        world.target.tables.insert(id, table);
        world.schema_change("t1");
        id
    });
    run.until("the copy", |world, _| world.restores.finished >= 2).await;
    run.caught_up().await;
    run.check();
    assert!(run.world.with(|world| !world.target.tables.contains_key(&left)));
    assert!(run.history().iter().any(|(_, why, _)| why.contains("with different schema")));
}
