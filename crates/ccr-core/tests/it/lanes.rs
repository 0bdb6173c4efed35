//! Tables that leave the stream while the others go on.

use std::time::Duration;

use ccr_core::status::JobStatus;

use super::run::Run;
use super::world::catalog::Table;
use super::world::{Inner, World};

async fn following() -> Run {
    Run::following(&["t1", "t2"]).await
}

#[tokio::test(start_paused = true)]
async fn a_changed_table_is_copied_while_the_other_flows() {
    let mut run = following().await;
    run.world.with(|world| {
        world.schema_change("t1");
        world.load_all("t1");
        world.load(&[("t1", &["p2"]), ("t2", &["p1"])]);
        world.load_all("t2");
    });
    let newest = run.world.with(|world| world.newest());
    run.until("the other table, ahead of the copy", |world, status| {
        status.apart.len() == 1 && world.store.position.commit_seq >= newest
    })
    .await;
    run.world.with(|world| {
        assert_eq!(world.restores.accepted, 1, "the copy is not there yet");
        world.load_all("t1");
        world.load(&[("t1", &["p1"]), ("t2", &["p2"])]);
    });
    run.caught_up().await;
    run.check();
    assert_eq!(run.world.with(|world| (world.backups.accepted, world.restores.accepted)), (2, 2));
    // The history is written after the state that shows the table flowing.
    run.until("the join in the history", |world, _| {
        world.store.history.iter().any(|entry| entry.plan == "join")
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_table_apart_can_be_dropped_and_made_anew() {
    let mut run = following().await;
    run.world.with(|world| {
        world.schema_change("t1");
        world.load_all("t2");
    });
    run.until("the table apart", |_, status| status.apart.len() == 1).await;
    run.world.with(|world| {
        world.drop_table("t1");
        world.create("t1", &[4], 1);
        world.load_all("t1");
    });
    run.caught_up().await;
    run.check();
}

#[tokio::test(start_paused = true)]
async fn a_table_that_is_blocked_leaves_the_others_alone() {
    let mut run = following().await;
    let at = run.world.with(|world| {
        let id = world.source.table("t1").expect("it exists").id;
        let seq = world.journal_id();
        world.emit_raw(seq, 99, vec![id], Some("{}".to_owned()));
        world.load_all("t1");
        world.load_all("t2");
        world.load(&[("t1", &["p2"]), ("t2", &["p1"])]);
        seq
    });
    let newest = run.world.with(|world| world.newest());
    let blocked = run.blocked().await;
    assert_eq!((blocked.code.as_str(), blocked.commit_seq), ("CCR0203", at));
    run.until("the other table", |world, _| world.store.position.commit_seq >= newest).await;
    run.stop().await;
    run.check_violations();
    run.world.with(|world| {
        let entry = world.journal.entries.at_mut(at);
        entry.expect("it is kept").binlog_type = 8;
    });
    run.start();
    run.caught_up().await;
    run.check();
}

#[tokio::test(start_paused = true)]
async fn a_renamed_table_keeps_its_link() {
    let mut run = following().await;
    run.world.with(|world| {
        world.load_all("t1");
        world.rename_table("t1", "t9");
        world.load_all("t9");
        world.create("t1", &[1], 1);
        world.load_all("t1");
    });
    run.caught_up().await;
    run.check();
    assert_eq!(run.world.with(|world| world.backups.accepted), 1);
}

/// What a copy waits for is no business of the others.
#[tokio::test(start_paused = true)]
async fn the_others_go_on_while_a_copy_waits_for_its_next_snapshot() {
    let mut run = following().await;
    run.options.retry_min = Duration::from_secs(3600);
    run.options.retry_max = run.options.retry_min;
    run.restart().await;
    run.world.with(|world| {
        world.backups.cancel = 1;
        world.schema_change("t1");
    });
    run.until("a snapshot lost", |world, status| world.backups.cancelled == 1 && status.last_error.is_some())
        .await;
    let newest = run.world.with(|world| {
        world.load_all("t2");
        world.newest()
    });
    run.until("the other table", |world, _| world.store.position.commit_seq >= newest).await;
    assert_eq!(run.world.with(|world| world.backups.accepted), 2, "the next one is not taken yet");
    run.caught_up().await;
    run.check();
}

#[tokio::test(start_paused = true)]
async fn a_copy_waits_longer_after_each_snapshot_that_is_lost() {
    let mut run = following().await;
    run.world.with(|world| {
        world.backups.cancel = 4;
        world.schema_change("t1");
    });
    for tries in 1..=4 {
        let counts = move |_: &_, status: &JobStatus| {
            status.last_error.as_ref().is_some_and(|error| error.tries == tries)
        };
        run.until("one more", counts).await;
    }
    run.caught_up().await;
    run.check();
}

/// The frontend keeps ten snapshots, so one that is taken long before it is restored is gone by then.
#[tokio::test(start_paused = true)]
async fn only_so_many_tables_are_copied_at_once_and_the_others_say_that_they_wait() {
    let mut run = following().await;
    run.options.max_copies = 2;
    run.restart().await;
    let names: Vec<String> = (3..12).map(|number| format!("t{number}")).collect();
    run.world.with(|world| {
        for name in &names {
            world.create(name, &[1], 1);
            world.load_all(name);
        }
    });
    run.caught_up().await;
    let newest = run.world.with(|world| {
        world.restores.is_held = true;
        for name in &names {
            world.schema_change(name);
            world.load_all(name);
        }
        world.load_all("t1");
        world.newest()
    });
    let is_limited = |world: &Inner| {
        assert!(world.backups.accepted - world.restores.finished <= 2, "too many copies at once");
    };
    run.until("the others, and all who wait", |world, status| {
        is_limited(world);
        let waiting = status.apart.iter().filter(|table| table.detail.contains("waits until fewer tables"));
        waiting.count() == 7 && world.store.position.commit_seq >= newest && world.restores.accepted == 2
    })
    .await;
    run.until("its turn", |_, status| status.step.contains("waiting for another restore of the job")).await;
    let (fetched, asked) = (run.world.count("source.snapshot"), run.world.count("target.restore_job"));
    let looks = move |world: &Inner, _: &JobStatus| {
        world.counts.get("target.restore_job").is_some_and(|count| *count > asked + 50)
    };
    run.until("many looks", looks).await;
    assert_eq!(run.world.count("source.snapshot"), fetched, "the waiting one fetches nothing");
    run.world.with(|world| world.restores.is_held = false);
    run.until("the end", |world, status| {
        is_limited(world);
        status.apart.is_empty()
    })
    .await;
    run.caught_up().await;
    run.check();
}

/// The backup of a copy ends while the statement that takes the table's name away is under way.
async fn names_move_while_a_copy_is_taken(slow: [u64; 2], crash: bool) {
    let mut run = following().await;
    run.world.with(|world| world.plan.slow.insert("target.execute", slow));
    run.world.with(|world| {
        world.schema_change("t1");
        world.replace_table("t1", "t2", true);
        world.load_all("t1");
        world.load_all("t2");
    });
    if crash {
        run.until("the swap under way", |world, status| {
            status.apart.len() == 1 && world.counts.get("target.execute").is_some_and(|count| *count > 0)
        })
        .await;
        run.restart().await;
    }
    run.caught_up().await;
    run.check();
    assert_eq!(run.world.with(|world| (world.backups.accepted, world.restores.accepted)), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_copy_is_put_in_place_under_the_name_that_a_slow_statement_leaves() {
    for slow in [[60_000, 0], [0, 60_000]] {
        names_move_while_a_copy_is_taken(slow, false).await;
        names_move_while_a_copy_is_taken(slow, true).await;
    }
}

/// A table that catches up meets a statement of its own while its name is being taken away.
#[tokio::test(start_paused = true)]
async fn a_statement_of_a_table_apart_waits_for_the_name_that_is_being_changed() {
    for slow in [[20_000, 0], [0, 20_000]] {
        let mut run = following().await;
        run.world.with(|world| {
            world.schema_change("t1");
            world.load_all("t1");
        });
        run.until("the copy", |_, status| status.apart.len() == 1).await;
        run.world.with(|world| {
            world.plan.slow.insert("source.meta", [3_000, 0]);
            world.plan.slow.insert("target.execute", slow);
            for n in 0..4 {
                world.add_column("t1", &format!("x{n}"));
                world.load_all("t1");
            }
            world.replace_table("t1", "t2", true);
            world.add_column("t1", "y");
            world.add_column("t2", "z");
            world.load_all("t1");
            world.load_all("t2");
        });
        run.caught_up().await;
        run.check();
    }
}

#[tokio::test(start_paused = true)]
async fn the_name_of_a_table_apart_goes_to_a_new_one_once_it_is_free() {
    let mut run = following().await;
    run.world.with(|world| {
        world.schema_change("t1");
        world.load_all("t2");
    });
    run.until("the table apart", |_, status| status.apart.len() == 1).await;
    run.world.with(|world| {
        world.rename_table("t1", "t9");
        world.create("t1", &[4], 1);
        world.load_all("t1");
        world.load_all("t9");
        world.load_all("t2");
    });
    run.caught_up().await;
    run.check();
}

const MANY: usize = 1000;

fn name(number: usize) -> String {
    format!("t{number}")
}

async fn following_many() -> Run {
    let world = World::new();
    world.with(|world| {
        for number in 0..MANY {
            world.create(&name(number), &[1], 1);
        }
    });
    let mut run = Run::database(world);
    run.start();
    run.caught_up().await;
    run
}

/// While one of a thousand tables is being put in place, without end, the others have no lag, again and again.
#[tokio::test(start_paused = true)]
async fn a_long_copy_of_one_of_a_thousand_tables_holds_up_nobody() {
    let mut run = following_many().await;
    run.world.with(|world| {
        world.restores.is_held = true;
        world.schema_change("t7");
    });
    run.until("the restore", |world, _| world.restores.accepted == 2).await;
    for round in 0..3 {
        run.world.with(|world| {
            for number in round * 10..round * 10 + 10 {
                world.load(&[(&name(number), &["p1"]), (&name(number + 500), &["p1"])]);
            }
            world.load_all("t7");
            world.rename_table(&name(900 + round), &name(2000 + round));
            world.load_all("t8");
        });
        let newest = run.world.with(|world| world.newest());
        run.until_within(PROMPT, "the others", |world, _| world.store.position.commit_seq >= newest).await;
        run.world.with(|world| {
            assert_eq!(world.restores.finished, 1, "the copy is still not there");
            let apart = world.store.state.iter().flat_map(|state| state.tables.values());
            assert_eq!(apart.filter(|link| !link.lane.is_flowing()).count(), 1);
            assert!(world.violations.is_empty(), "{:?}", world.violations);
        });
    }
    run.world.with(|world| world.restores.is_held = false);
    run.caught_up().await;
    run.check();
}

/// How long a few dozen loads may take on the virtual clock, whatever becomes of a table that they are not about.
const PROMPT: Duration = Duration::from_secs(2);

/// While one of a thousand tables is blocked, the others have no lag, again and again.
#[tokio::test(start_paused = true)]
async fn one_poisoned_table_of_a_thousand_holds_up_nobody() {
    let mut run = following_many().await;
    run.world.with(|world| {
        let id = world.source.table("t7").expect("it exists").id;
        let seq = world.journal_id();
        world.emit_raw(seq, 99, vec![id], Some("{}".to_owned()));
        world.load_all("t7");
    });
    assert_eq!(run.blocked().await.code, "CCR0203");
    let before = run.status().transactions;
    for round in 1..=3_u64 {
        run.world.with(|world| (100..130).for_each(|number| world.load_all(&name(number))));
        let newest = run.world.with(|world| world.newest());
        run.until_within(PROMPT, "all others", |world, _| world.store.position.commit_seq >= newest).await;
        assert_eq!(run.status().transactions, before + round * 30);
        let apart = run.status().apart;
        assert_eq!(apart.iter().map(|table| table.table.as_str()).collect::<Vec<_>>(), ["t7"]);
    }
    run.stop().await;
    run.check_violations();
    run.world.with(|world| {
        let equal = (100..130).all(|number| {
            let cells = |table: &Table| table.partitions[0].tablets[0].cells.clone();
            world.source.table(&name(number)).map(cells) == world.target.table(&name(number)).map(cells)
        });
        assert!(equal, "rows are missing");
        assert_eq!(world.backups.accepted, 1);
    });
}

#[tokio::test(start_paused = true)]
async fn the_table_of_a_table_job_is_copied_beside_its_stream() {
    let world = World::new();
    world.with(|world| {
        world.create("t1", &[1, 2], 2);
        world.load_all("t1");
    });
    let mut run = Run::table(world, "t1", "x1");
    run.start();
    run.caught_up().await;
    run.world.with(|world| {
        world.schema_change("t1");
        world.load_all("t1");
    });
    run.until("the table apart", |_, status| status.apart.len() == 1).await;
    run.world.with(|world| world.load_all("t1"));
    run.caught_up().await;
    run.check();
    assert_eq!(run.world.with(|world| (world.backups.accepted, world.restores.accepted)), (2, 2));
    let history = run.history();
    assert!(history.iter().any(|(plan, ..)| plan == "join"), "{history:?}");
    // The first one, of the new job.
    assert_eq!(history.iter().filter(|(plan, ..)| plan == "full_sync").count(), 1, "{history:?}");
}

/// A table that lags a long list behind costs no more memory than one that lags a page: its list is read again
/// page by page, on both tracks. How long it is can be told.
#[tokio::test(start_paused = true)]
async fn what_a_long_lag_keeps_in_memory_is_bounded() {
    let others = std::env::var("CCR_SIM_LAG").ok().and_then(|text| text.parse().ok()).unwrap_or(20_000);
    for by_table in [false, true] {
        lags_behind(others, by_table).await;
    }
}

async fn lags_behind(others: usize, by_table: bool) {
    const LOADS: usize = 400;
    const PLANNED: usize = 1024;
    let world = World::new();
    world.with(|world| {
        world.create("t1", &[], 1);
        world.create("t2", &[], 1);
        world.load_all("t1");
        world.load_all("t2");
    });
    let mut run = Run::database(world);
    run.options.binlog_batch_size = 64;
    if by_table {
        run.in_table_order(16);
    }
    run.start();
    run.caught_up().await;
    let (at, newest) = run.world.with(|world| {
        let id = world.source.table("t2").expect("it is there").id;
        let at = world.journal_id();
        world.emit_raw(at, 99, vec![id], Some("{}".to_owned()));
        for _ in 0..LOADS {
            world.load_all("t2");
        }
        // Sequence points without content: long lists that the simulated clusters need not keep rows for.
        let template = world.journal.entries.last().cloned().expect("a load");
        for _ in 0..others {
            let commit_seq = world.journal_id();
            let mut entry = template.clone();
            (entry.commit_seq, entry.binlog_type, entry.data) = (commit_seq, 8, Some("{}".to_owned()));
            world.journal.entries.push(entry);
        }
        (at, world.newest())
    });
    let page = usize::from(run.options.binlog_batch_size);
    // Of each of the two tracks: a page that is being planned, one that waits behind it, and what is planned:
    // the engine lets `PLANNED` changes wait for the transactions before them.
    let bound = 2 * (2 * page + PLANNED + 2);
    assert!(bound < (LOADS + others) / 8, "the list is much longer than what may be kept of it");
    let most = std::cell::Cell::new(0);
    let look = |status: &JobStatus| most.set(most.get().max(status.buffered));
    run.until("the main track has passed it", |world, status| {
        look(status);
        world.store.position.commit_seq == newest
    })
    .await;
    assert!(run.status().blocked.is_some(), "the table has not moved");
    assert!(most.get() <= bound, "{} binlogs in memory, not {bound}", most.get());
    run.stop().await;
    run.world.with(|world| {
        let entry = world.journal.entries.at_mut(at);
        entry.expect("it is still kept").binlog_type = 8;
    });
    let before = run.world.count("source.binlogs");
    run.start();
    run.until("the table has caught up", |world, status| {
        look(status);
        world.store.state.as_ref().is_some_and(|state| state.tables.values().all(|t| t.lane.is_flowing()))
    })
    .await;
    run.caught_up().await;
    assert!(most.get() > 1 && most.get() <= bound, "{} binlogs in memory, not {bound}", most.get());
    let pages = run.world.count("source.binlogs") - before;
    assert!(pages as usize >= (LOADS + others) / page, "its list was read again: {pages} pages");
    run.check();
    // Its world would be kept beside that of the other order.
    run.stop().await;
}

/// The restore would never end by itself. It gives way, and goes on under the name that the table has then.
#[tokio::test(start_paused = true)]
async fn a_table_that_is_renamed_while_it_is_put_in_place_keeps_nobody_else() {
    let mut run = following().await;
    run.world.with(|world| {
        world.restores.is_held = true;
        world.schema_change("t1");
    });
    for (restores, name) in [(2, "a1"), (3, "a2")] {
        run.until("a restore", |world, _| world.restores.accepted == restores).await;
        let newest = run.world.with(|world| {
            let old = if restores == 2 { "t1" } else { "a1" };
            world.rename_table(old, name);
            world.load(&[(name, &["p1"]), ("t2", &["p1"])]);
            world.newest()
        });
        run.until("the others", |world, _| world.store.position.commit_seq >= newest).await;
        let readable =
            run.world.with(|world| world.target.table(name).map(|table| table.partitions[0].version));
        assert_eq!(readable, Some(2), "the old table has the new name");
    }
    // The last try does not give way, or a table that is renamed all the time would never be there.
    run.until("a restore", |world, _| world.restores.accepted == 4).await;
    run.world.with(|world| {
        world.rename_table("a2", "a3");
        world.load_all("a3");
        world.restores.is_held = false;
    });
    run.caught_up().await;
    run.check();
    assert_eq!(run.world.with(|world| (world.backups.accepted, world.restores.accepted)), (2, 4));
    let given_up = run.history().into_iter().filter(|(plan, ..)| plan == "restore").count();
    assert_eq!(given_up, 2);
}

/// A copy that has given way to a change of its table's name goes on behind it, and not when any other name is free: it
/// would be put in place under the old name.
#[tokio::test(start_paused = true)]
async fn a_copy_that_gave_way_waits_for_the_name_whatever_else_becomes_free() {
    let mut run = Run::following(&["t0", "t1", "t2"]).await;
    let newest = run.world.with(|world| {
        world.busy_tables = vec!["t0".to_owned()];
        world.drop_table("t0");
        world.load_all("t2");
        world.newest()
    });
    run.until("the drop apart", |world, _| world.store.position.commit_seq >= newest).await;
    run.world.with(|world| {
        world.restores.is_held = true;
        world.schema_change("t1");
    });
    run.until("the restore", |world, _| world.restores.accepted == 2).await;
    run.world.with(|world| {
        world.busy_tables.push("t1".to_owned());
        world.rename_table("t1", "a1");
    });
    let gave_way = |world: &Inner| world.store.history.iter().any(|entry| entry.outcome == "given up");
    let is_refused =
        |status: &JobStatus| status.last_error.as_ref().is_some_and(|error| error.message.contains("t1"));
    run.until("the name in doubt", |world, status| gave_way(world) && is_refused(status)).await;
    run.world.with(|world| world.busy_tables = vec!["t1".to_owned()]);
    run.until("the drop", |world, _| world.target.table("t0").is_none()).await;
    let later = run.world.with(|world| world.now_ms) + 2_000;
    run.until("a while", |world, _| world.now_ms >= later).await;
    assert_eq!(run.world.with(|world| world.restores.accepted), 2, "none under the old name");
    run.world.with(|world| {
        world.busy_tables.clear();
        world.restores.is_held = false;
    });
    run.caught_up().await;
    run.check();
    run.world.with(|world| {
        let names: Vec<&str> = world.target.tables.values().map(|table| table.name.as_str()).collect();
        assert_eq!(names.len(), 2, "{names:?}");
        assert_eq!(world.restores.accepted, 3);
    });
}
