//! Scenarios of a table that is slower than the others.

use super::run::Run;
use super::world::Inner;

/// Rows of `t1` take until this many more ingests were tried.
async fn slow(run: &mut Run, ingests: u64, work: impl FnOnce(&mut Inner)) {
    run.caught_up().await;
    let before = run.world.count("target.ingest");
    run.world.with(|world| {
        world.slow_tables.push(world.source_id("t1"));
        work(world);
    });
    run.until("some ingests", move |world, _| {
        world.counts.get("target.ingest").is_some_and(|tried| *tried >= before + ingests)
    })
    .await;
    run.world.with(|world| world.slow_tables.clear());
}

/// A table is slower than another one, which loads and is truncated meanwhile.
pub async fn table(run: &mut Run) {
    slow(run, 12, |world| {
        world.load_all("t1");
        world.load_all("t2");
        world.truncate("t2", &[]);
        world.load_all("t1");
        world.load_all("t2");
        world.add_partition("t1", 3, false);
        world.load_all("t2");
        world.load_all("t1");
        world.rename_table("t2", "t3");
        world.load_all("t3");
    })
    .await;
}

/// A table is slower than another one with which it shares transactions.
pub async fn and_shared(run: &mut Run) {
    run.world.with(|world| world.create("t3", &[], 1));
    slow(run, 12, |world| {
        world.load_all("t1");
        for _ in 0..3 {
            world.load_all("t3");
        }
        world.load(&[("t1", &["p1"]), ("t2", &["t2"])]);
        world.load_all("t2");
        world.load_all("t1");
        world.load_all("t3");
        world.load_statements(&[&[("t2", &["t2"])], &[("t1", &["p2"])], &[("t2", &["t2"])]]);
        world.truncate("t1", &["p2"]);
        world.load_all("t2");
    })
    .await;
}
