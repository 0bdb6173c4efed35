//! One table fails after labels have been forgotten: the others go on, and nothing is applied twice.

use std::time::Duration;

use super::run::Run;
use super::world::faults::Fault;

const THIRTEEN_HOURS: Duration = Duration::from_secs(13 * 3600);

/// The time in which the others must be there.
const SOON: Duration = Duration::from_secs(600);

fn drop_target(run: &Run, name: &str) {
    run.world.with(|world| {
        let id = world.target.table(name).expect("it was replicated").id;
        world.target.tables.remove(&id);
    });
}

/// The target of a table is dropped during a long pause, after which the table comes first.
#[tokio::test(start_paused = true)]
async fn a_target_that_was_dropped_in_a_long_pause_holds_up_its_table_only() {
    for (order, by_table) in [(["t1", "t2"], false), (["t2", "t1"], false), (["t1", "t2"], true)] {
        let mut run = Run::following(&["t1", "t2"]).await;
        run.stop().await;
        if by_table {
            run.in_table_order(1000);
        }
        drop_target(&run, "t1");
        tokio::time::sleep(THIRTEEN_HOURS).await;
        let (newest, committed) = run.world.with(|world| {
            for name in order.iter().cycle().take(40) {
                world.load_all(name);
            }
            (world.newest(), world.transactions.committed)
        });
        run.start();
        run.until_within(SOON, "the other table", |world, _| world.store.position.commit_seq >= newest).await;
        let blocked = run.blocked().await;
        assert_eq!(blocked.code, "CCR0302");
        let apart: Vec<_> =
            run.status().apart.iter().map(|table| (table.table.clone(), table.work)).collect();
        assert_eq!(apart, [("t1".to_owned(), "blocked")]);
        assert_eq!(run.world.with(|world| world.transactions.committed) - committed, 20, "loads of t2");
        run.check_violations();
        // Nobody knows what of it the target had: it is copied.
        run.restart().await;
        run.caught_up().await;
        run.check();
        assert_eq!(run.world.with(|world| world.backups.accepted), 2);
    }
}

/// It was committed, together with rows of another table, and this could not be recorded.
#[tokio::test(start_paused = true)]
async fn what_a_table_in_doubt_shares_with_others_is_applied_to_them_once() {
    for fault in [Fault::CrashAfter, Fault::CrashBefore] {
        let mut run = Run::following(&["t1", "t2"]).await;
        let newest = run.world.with(|world| {
            world.plan.next.entry("target.commit").or_default().push_back(fault);
            world.load(&[("t1", &["p1"]), ("t2", &["p1", "p2"])]);
            world.load_all("t2");
            world.load_all("t1");
            world.newest()
        });
        run.world.crashed.notified().await;
        run.stop().await;
        drop_target(&run, "t1");
        tokio::time::sleep(THIRTEEN_HOURS).await;
        run.start();
        run.until_within(SOON, "the other table", |world, _| world.store.position.commit_seq >= newest).await;
        assert_eq!(run.blocked().await.code, "CCR0302");
        run.check_violations();
        run.restart().await;
        run.caught_up().await;
        run.check();
    }
}

/// The downstream is away for long while the syncer is up. When it is back, one table takes no rows.
#[tokio::test(start_paused = true)]
async fn a_table_that_fails_after_a_long_outage_leaves_the_others_alone() {
    let mut run = Run::following(&["t1", "t2", "t3"]).await;
    let newest = run.world.with(|world| {
        world.dead_targets = vec![21, 22, 23];
        for name in ["t1", "t2", "t3", "t1", "t2"] {
            world.load_all(name);
        }
        world.load(&[("t1", &["p1"]), ("t3", &["p1"])]);
        world.newest()
    });
    tokio::time::sleep(THIRTEEN_HOURS).await;
    run.world.with(|world| {
        world.dead_targets.clear();
        world.full_tables.push(world.source_id("t1"));
    });
    run.until_within(SOON, "the others", |world, _| world.store.position.commit_seq >= newest).await;
    let apart: Vec<_> = run.status().apart.iter().map(|table| (table.table.clone(), table.work)).collect();
    assert_eq!(apart, [("t1".to_owned(), "quarantined")]);
    run.world.with(|world| world.full_tables.clear());
    run.caught_up().await;
    run.check();
    assert_eq!(run.world.with(|world| world.backups.accepted), 1, "nothing is copied");
}
