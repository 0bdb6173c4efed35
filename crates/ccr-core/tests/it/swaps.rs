//! A REPLACE TABLE that the target does not make: its tables leave the stream, and the others go on.

use super::run::Run;
use super::world::Inner;

fn mend(world: &mut Inner) {
    world.busy_tables.clear();
    world.refusing_tables.clear();
    world.mute_tables.clear();
}

/// The first table is replaced by the second, while the target fails so; everybody else goes on.
async fn others_go_on(swap: bool, by_table: bool, fail: fn(&mut Inner)) -> Run {
    let mut run = Run::following(&["t1", "t2", "t3"]).await;
    if by_table {
        run.stop().await;
        run.in_table_order(256);
        run.start();
    }
    let newest = run.world.with(|world| {
        fail(world);
        world.load(&[("t1", &["p1"]), ("t2", &["p1"])]);
        world.replace_table("t1", "t2", swap);
        world.load_all("t1");
        world.load(&[("t1", &["p1"]), ("t3", &["p1"])]);
        if swap {
            world.load_all("t2");
        }
        world.add_column("t3", "c");
        world.load_all("t3");
        world.newest()
    });
    run.until("the others", |world, _| world.store.position.commit_seq >= newest).await;
    run
}

async fn comes_out_well(run: &mut Run) {
    run.caught_up().await;
    run.check();
    assert!(run.status().apart.is_empty());
    assert_eq!(run.world.with(|world| world.backups.accepted), 1, "nothing is copied");
}

#[tokio::test(start_paused = true)]
async fn a_swap_that_cannot_be_made_now_keeps_no_other_table_waiting() {
    let fails: [fn(&mut Inner); 2] = [
        |world| world.busy_tables.push("t1".to_owned()),
        |world| world.busy_tables.extend(["t1".to_owned(), "t2".to_owned()]),
    ];
    for fail in fails {
        for (swap, by_table) in [(true, false), (true, true), (false, false), (false, true)] {
            let mut run = others_go_on(swap, by_table, fail).await;
            let apart = run.status().apart;
            assert!(apart.len() == 2 && apart.iter().all(|table| table.work == "quarantined"), "{apart:?}");
            run.restart().await;
            run.until("tries of its own", |_, status| status.last_error.is_some()).await;
            run.world.with(mend);
            comes_out_well(&mut run).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_swap_that_is_refused_waits_for_an_operator_and_no_other_table_does() {
    for (swap, by_table) in [(true, false), (true, true), (false, false), (false, true)] {
        let mut run = others_go_on(swap, by_table, |world| world.refusing_tables.push("t1".to_owned())).await;
        let blocked = run.blocked().await;
        assert_eq!((blocked.code.as_str(), blocked.hint.is_empty()), ("CCR0112", false), "{blocked:?}");
        // It is refused once more, and still no other waits.
        run.restart().await;
        let newest = run.world.with(|world| {
            world.load_all("t3");
            world.newest()
        });
        run.until("the others", |world, _| world.store.position.commit_seq >= newest).await;
        run.blocked().await;
        run.stop().await;
        run.world.with(mend);
        run.start();
        comes_out_well(&mut run).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_swap_that_is_undone_before_it_was_made_is_not_made() {
    for again in [2, 3] {
        let mut run = others_go_on(true, false, |world| world.busy_tables.push("t1".to_owned())).await;
        let newest = run.world.with(|world| {
            for _ in 1..again {
                world.replace_table("t1", "t2", true);
                world.load_all("t1");
            }
            world.load_all("t3");
            world.newest()
        });
        run.until("the others", |world, _| world.store.position.commit_seq >= newest).await;
        run.world.with(mend);
        comes_out_well(&mut run).await;
    }
}

/// The lane of one of the tables makes the exchange, and the other has its name before it knows of it.
#[tokio::test(start_paused = true)]
async fn a_table_is_dropped_right_after_a_swap_that_its_tables_make_by_themselves() {
    for is_other in [true, false] {
        for by_table in [false, true] {
            let fail: fn(&mut Inner) = |world| world.busy_tables.push("t1".to_owned());
            let mut run = others_go_on(true, by_table, fail).await;
            run.world.with(|world| {
                world.drop_table(if is_other { "t1" } else { "t2" });
                world.load_all("t3");
            });
            run.until("the drop", |_, status| status.last_error.is_some()).await;
            run.world.with(mend);
            comes_out_well(&mut run).await;
            let blocked: Vec<_> =
                run.history().into_iter().filter(|(_, reason, _)| reason.contains("CCR0302")).collect();
            assert_eq!(blocked, [], "nothing has to wait for an operator");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn names_are_given_on_while_tables_wait_for_theirs() {
    let mut run = others_go_on(true, false, |world| world.busy_tables.push("t1".to_owned())).await;
    let newest = run.world.with(|world| {
        world.replace_table("t2", "t3", true);
        world.rename_table("t1", "t4");
        world.create("t1", &[], 1);
        world.load_all("t1");
        world.load_all("t4");
        world.replace_table("t1", "t4", false);
        world.load_all("t1");
        world.create("t5", &[], 1);
        world.load_all("t5");
        world.newest()
    });
    run.until("the others", |world, _| world.store.position.commit_seq >= newest).await;
    run.world.with(mend);
    run.caught_up().await;
    run.check();
}

#[tokio::test(start_paused = true)]
async fn a_swap_that_is_made_and_never_answered_is_not_undone() {
    for swap in [true, false] {
        let mut run = others_go_on(swap, false, |world| world.mute_tables.push("t1".to_owned())).await;
        run.world.with(mend);
        comes_out_well(&mut run).await;
    }
}

/// For the crash matrix: a swap cannot be made for a while, and is undone meanwhile.
pub async fn stuck(run: &mut Run, swap: bool) {
    run.caught_up().await;
    run.world.with(|world| {
        world.busy_tables.push("t1".to_owned());
        world.load(&[("t1", &["p1"]), ("t2", &["t2"])]);
        world.replace_table("t1", "t2", swap);
        world.load_all("t1");
        world.create("t9", &[], 1);
        world.load_all("t9");
    });
    run.until("tables apart", |_, status| status.apart.len() == 2).await;
    run.world.with(|world| {
        world.load_all("t9");
        if swap {
            world.load_all("t2");
            world.replace_table("t2", "t9", true);
            world.load_all("t2");
        }
        mend(world);
    });
}
