//! Restores upstream, of which no binlog tells, and other tables that appear without one.

use ccr_core::control::Request;
use ccr_core::job::PartialSyncReason;

use super::run::Run;
use super::world::catalog::Table;
use super::world::faults::Fault;
use super::world::{Inner, World};

/// A job that follows `t1` and `t2`, and what `t1` was before its last load.
async fn following() -> (Run, Table) {
    let world = World::new();
    world.with(|world| {
        for name in ["t1", "t2"] {
            world.create(name, &[1, 2], 2);
            world.load_all(name);
        }
    });
    let mut run = Run::database(world);
    run.start();
    run.caught_up().await;
    let table = run.world.with(|world| {
        let table = world.source.table("t1").expect("it exists").clone();
        world.load_all("t1");
        table
    });
    run.caught_up().await;
    (run, table)
}

/// The tables that were copied on their own, by their names upstream now.
fn copied(run: &Run) -> Vec<String> {
    run.world.with(|world| {
        let name = |id: &i64| world.source.tables.get(id).map_or(id.to_string(), |table| table.name.clone());
        world.store.partial_syncs.iter().map(|(_, id, _)| name(id)).collect()
    })
}

/// Lets the job look for restores several times more.
async fn looks(run: &mut Run) {
    let before = run.world.count("source.restore_jobs");
    run.until("some looks", |world, _| world.counts["source.restore_jobs"] >= before + 4).await;
}

async fn settled(run: &mut Run, expected: &[&str]) {
    run.caught_up().await;
    looks(run).await;
    run.caught_up().await;
    run.check();
    assert_eq!(copied(run), expected);
}

#[tokio::test(start_paused = true)]
async fn a_table_that_the_binlog_brought_and_that_was_copied_since_is_not_the_one_that_a_restore_made() {
    let (mut run, table) = following().await;
    looks(&mut run).await;
    run.world.with(|world| {
        world.restore_in_place(&table);
        world.create("t3", &[1], 1);
        world.schema_change("t3");
        world.load_all("t3");
    });
    settled(&mut run, &["t3", "t1"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_table_that_the_binlog_brought_and_that_is_copied_instead_of_created_is_not_the_one_that_a_restore_made()
 {
    let (mut run, table) = following().await;
    looks(&mut run).await;
    run.world.with(|world| {
        world.refused_creates.push("t3".to_owned());
        world.restore_in_place(&table);
        world.create("t3", &[1], 1);
        world.load_all("t3");
    });
    settled(&mut run, &["t3", "t1"]).await;
}

/// The tables are told by a new master, and the end of the binlog by the one before it, which has not noticed yet.
#[tokio::test(start_paused = true)]
async fn a_table_that_the_binlog_is_about_to_bring_is_not_the_one_that_a_restore_made() {
    let (mut run, table) = following().await;
    looks(&mut run).await;
    let asked = |world: &Inner| world.counts.get("source.lag").copied().unwrap_or(0);
    let before = run.world.with(|world| {
        world.restore_in_place(&table);
        world.create("t3", &[1], 1);
        world.load_all("t3");
        world.plan.next.entry("source.lag").or_default().push_back(Fault::Stale);
        // The stream comes to the end of the binlog later.
        world.plan.next.entry("source.binlogs").or_default().extend([Fault::Refused; 1000]);
        asked(world)
    });
    run.until("the end of the binlog", |world, _| asked(world) > before).await;
    let tried = run.world.count("source.binlogs");
    run.until("some time", |world, _| world.counts["source.binlogs"] > tried + 10).await;
    run.world.with(|world| world.plan.next.clear());
    settled(&mut run, &["t1"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_table_that_is_overwritten_is_copied_once_though_nothing_is_written_to_it() {
    let (mut run, table) = following().await;
    run.world.with(|world| world.restore_in_place(&table));
    settled(&mut run, &["t1"]).await;
    let history = run.history();
    assert!(history.iter().any(|(plan, reason, _)| plan == "partial_sync" && reason.contains("CCR0315")));
    run.restart().await;
    settled(&mut run, &["t1"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_table_that_is_overwritten_under_load_is_copied() {
    let (mut run, table) = following().await;
    for _ in 0..3 {
        run.world.with(|world| {
            world.restore_in_place(&table);
            world.load(&[("t1", &["p1"]), ("t2", &["p2"])]);
        });
        for _ in 0..30 {
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
            run.world.with(|world| world.load(&[("t1", &["p1"]), ("t2", &["p2"])]));
        }
    }
    run.caught_up().await;
    run.check();
}

#[tokio::test(start_paused = true)]
async fn a_table_that_is_replaced_is_copied_into_its_target() {
    let (mut run, table) = following().await;
    run.world.with(|world| world.restore_atomically("t1", &table));
    settled(&mut run, &["t1"]).await;
    run.world.with(|world| world.load(&[("t1", &["p1"]), ("t2", &["p2"])]));
    settled(&mut run, &["t1"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_table_that_is_restored_under_an_alias_is_copied_and_its_original_is_not() {
    let (mut run, table) = following().await;
    run.world.with(|world| world.restore_atomically("t1_old", &table));
    settled(&mut run, &["t1_old"]).await;
}

/// What repairs a table: a restore under another name, which then takes its place.
#[tokio::test(start_paused = true)]
async fn a_restored_table_that_takes_the_place_of_its_original_is_copied_into_its_target() {
    for (swap, crash) in [(false, false), (false, true), (true, false), (true, true)] {
        let (mut run, table) = following().await;
        run.world.with(|world| {
            world.restore_atomically("t1_old", &table);
            world.replace_table("t1", "t1_old", swap);
            world.load_all("t1");
        });
        if crash {
            run.until("the replacement", |world, _| !world.store.partial_syncs.is_empty()).await;
            run.restart().await;
        }
        settled(&mut run, &["t1"]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_table_that_takes_the_place_of_a_restored_one_finds_its_target() {
    // That the restore has put a table in the place of `t1` cannot be told any more from its having overwritten one.
    for (swap, expected) in [(false, &["t1"][..]), (true, &["t2"])] {
        let (mut run, table) = following().await;
        run.world.with(|world| {
            world.restore_atomically("t1", &table);
            world.replace_table("t1", "t2", swap);
            world.load_all("t1");
        });
        settled(&mut run, expected).await;
    }
}

#[tokio::test(start_paused = true)]
async fn tables_that_came_and_went_without_a_word_block_nobody() {
    let (mut run, table) = following().await;
    run.world.with(|world| {
        world.restore_atomically("t8", &table);
        world.restore_atomically("t9", &table);
        world.replace_table("t8", "t9", false);
        world.drop_table("t8");
    });
    // For all that can be told, the restores have overwritten the table that they name.
    settled(&mut run, &["t1"]).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_restored_before_the_snapshot_is_no_reason_to_copy() {
    let world = World::new();
    world.with(|world| {
        world.create("t1", &[1], 1);
        world.load_all("t1");
        let table = world.source.table("t1").expect("it exists").clone();
        world.load_all("t1");
        world.restore_in_place(&table);
        world.restore_atomically("t2", &table);
    });
    let mut run = Run::database(world);
    run.start();
    settled(&mut run, &[]).await;
    run.restart().await;
    settled(&mut run, &[]).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_restored_while_the_job_was_away_is_noticed() {
    type Work = fn(&mut Inner, &Table);
    let cases: [(Work, &[&str]); 5] = [
        (|world, table| world.restore_in_place(table), &["t1"]),
        (|world, table| _ = world.restore_atomically("t1", table), &["t1"]),
        (
            |world, table| {
                world.restore_in_place(table);
                world.rename_table("t1", "t9");
            },
            &["t9"],
        ),
        (
            |world, table| {
                world.rename_table("t2", "t8");
                world.create("t2", &[5], 1);
                world.load_all("t2");
                world.restore_in_place(table);
                world.create("t3", &[5], 1);
            },
            &["t1"],
        ),
        (|world, _| world.create("t4", &[5], 1), &[]),
    ];
    for (work, expected) in cases {
        let (mut run, table) = following().await;
        run.stop().await;
        run.world.with(|world| work(world, &table));
        run.start();
        settled(&mut run, expected).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_restored_table_that_is_dropped_or_renamed_leaves_nothing_behind() {
    let (mut run, table) = following().await;
    run.world.with(|world| {
        world.restore_atomically("t1", &table);
        world.drop_table("t1");
    });
    settled(&mut run, &[]).await;
    let (mut run, table) = following().await;
    run.world.with(|world| {
        world.restore_atomically("t1", &table);
        world.rename_table("t1", "t9");
    });
    settled(&mut run, &["t9"]).await;
    let history = run.history();
    assert!(history.iter().any(|(plan, _, outcome)| plan == "drop_stale_table" && outcome == "dropped t1"));
}

#[tokio::test(start_paused = true)]
async fn a_table_that_is_renamed_before_the_restore_is_noticed_is_copied_under_its_new_name() {
    for crash in [false, true] {
        let (mut run, table) = following().await;
        run.world.with(|world| {
            world.restore_in_place(&table);
            world.rename_table("t1", "t9");
        });
        let newest = run.world.with(|world| world.newest());
        run.until("the rename", |world, _| world.store.position.commit_seq >= newest).await;
        if crash {
            run.restart().await;
        }
        settled(&mut run, &["t9"]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_table_that_is_being_copied_is_copied_again_only_for_a_later_restore() {
    let (mut run, _) = following().await;
    run.world.with(|world| {
        world.schema_change("t2");
        let changed = world.source.table("t2").expect("it exists").clone();
        world.load_all("t2");
        world.restore_in_place(&changed);
    });
    settled(&mut run, &["t2"]).await;
    run.world.with(|world| world.schema_change("t1"));
    run.until("its restore", |world, _| world.restores.accepted == 3).await;
    run.world.with(|world| {
        let changed = world.source.table("t1").expect("it exists").clone();
        world.load_all("t1");
        world.restore_in_place(&changed);
    });
    settled(&mut run, &["t2", "t1", "t1"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_table_whose_creation_was_passed_over_stays_away() {
    let (mut run, _) = following().await;
    run.stop().await;
    let commit_seq = run.world.with(|world| {
        world.create("t3", &[1], 1);
        world.newest()
    });
    run.start();
    run.stop().await;
    run.request(Request::SkipBinlog { commit_seq }).await;
    run.until("the end", |world, _| world.store.position.commit_seq >= commit_seq).await;
    looks(&mut run).await;
    run.restart().await;
    looks(&mut run).await;
    run.check_violations();
    run.world.with(|world| assert!(world.target.table("t3").is_none()));
    assert!(copied(&run).is_empty());
    run.stop().await;
}

/// Two tables exchange their names between their barriers: the snapshot has the one before it and lacks the other.
#[tokio::test(start_paused = true)]
async fn the_side_of_a_swap_that_a_snapshot_lost_is_copied_though_nothing_is_written_to_it() {
    let world = World::new();
    world.with(|world| {
        for name in ["t1", "t2"] {
            world.create(name, &[], 1);
            world.load_all(name);
        }
        world.backups.loses = Some("t2".to_owned());
        for _ in 0..2 {
            world.backups.between_barriers.push_back(Box::new(|_| {}));
        }
        world.backups.between_barriers.push_back(Box::new(|world| world.replace_table("t1", "t2", true)));
    });
    let mut run = Run::database(world);
    run.start();
    run.caught_up().await;
    looks(&mut run).await;
    run.caught_up().await;
    run.check();
    assert_eq!(copied(&run).len(), 1);
    let reasons = run.world.with(|world| world.store.partial_syncs.clone());
    assert!(matches!(reasons[0].2, PartialSyncReason::Appeared { .. }), "{reasons:?}");
}

/// Following tables, and views of them that are as they were once.
async fn following_views() -> Run {
    let (mut run, _) = following().await;
    run.world.with(|world| {
        world.create_view("v1", "t1");
        world.create_view("v2", "t2");
    });
    run.caught_up().await;
    run
}

#[tokio::test(start_paused = true)]
async fn views_that_a_restore_brings_or_replaces_are_there_and_followed() {
    let mut run = following_views().await;
    run.world.with(|world| {
        world.restore_view("v1", "t1");
        world.drop_view("v2");
        world.restore_view("v2", "t1");
        world.restore_view("v3", "t1");
    });
    settled(&mut run, &[]).await;
    run.world.with(|world| {
        world.alter_view("v3", "t2");
        world.drop_view("v1");
        world.alter_view("v2", "t2");
    });
    settled(&mut run, &[]).await;
    run.restart().await;
    settled(&mut run, &[]).await;
}

#[tokio::test(start_paused = true)]
async fn a_view_that_is_changed_or_gone_before_its_restore_is_noticed_is_as_it_is_then() {
    let mut run = following_views().await;
    run.stop().await;
    run.world.with(|world| {
        world.restore_view("v3", "t1");
        world.alter_view("v3", "t2");
        world.restore_view("v4", "t1");
        world.drop_view("v4");
        world.restore_view("v1", "t1");
        world.drop_view("v1");
        world.drop_view("v2");
        world.load_all("t1");
    });
    run.start();
    settled(&mut run, &[]).await;
    assert_eq!(run.world.with(|world| world.target.views.keys().cloned().collect::<Vec<_>>()), ["v3"]);
}

/// Views cannot be told apart by their names alone.
#[tokio::test(start_paused = true)]
async fn views_that_cannot_be_listed_with_their_ids_are_left_as_they_are() {
    let mut run = following_views().await;
    run.world.with(|world| {
        world.hides_views = true;
        world.create("t3", &[], 1);
        world.load_all("t3");
    });
    settled(&mut run, &[]).await;
}

/// The one that a restore has made is linked by the copy of the one that is gone, while its rows wait for others' to be
/// committed: planned without the link, they must not make another.
#[tokio::test(start_paused = true)]
async fn a_restored_table_is_linked_once_though_its_rows_were_met_before() {
    let (mut run, table) = following().await;
    run.stop().await;
    let gone = run.world.with(|world| {
        let gone = world.source_id("t1");
        world.load_all("t1");
        world.restore_atomically("t1", &table);
        world.load_all("t2");
        world.load_all("t1");
        world.plan.slow.insert("target.ingest", [1_000, 1_000]);
        gone.to_string()
    });
    run.start();
    // The copy of the one that is gone takes no snapshot.
    settled(&mut run, &[&gone, "t1"]).await;
    run.world.with(|world| assert_eq!(world.backups.accepted, 2, "one is that of the new job"));
}

/// Creates `t3` and puts another one in its place, which may get another name. Of the first one rows may be met.
fn create_and_restore(world: &mut Inner, loads: bool, renames: bool) {
    world.create("t3", &[1], 1);
    if loads {
        world.load_all("t3");
    }
    let table = world.source.table("t3").expect("it exists").clone();
    world.restore_atomically("t3", &table);
    if renames {
        world.rename_table("t3", "t4");
    }
}

/// The binlog brings the one that the restore has replaced only after the look that has found the restore.
#[tokio::test(start_paused = true)]
async fn what_is_created_after_a_look_and_was_replaced_by_a_restore_leaves_nothing_behind() {
    for has_gap in [false, true] {
        for (loads, renames) in [(false, false), (false, true), (true, false), (true, true)] {
            let (mut run, _) = following().await;
            run.stop().await;
            run.world.with(|world| {
                if has_gap {
                    world.load_all("t1");
                    world.expire_binlogs();
                }
                create_and_restore(world, loads, renames);
            });
            run.start();
            run.caught_up().await;
            looks(&mut run).await;
            run.caught_up().await;
            run.check();
            let mut copied = copied(&run);
            // The copy of what is gone comes to nothing.
            copied.retain(|name| name.starts_with('t'));
            let last = if renames { "t4" } else { "t3" };
            let expected = if has_gap { vec!["t1", last] } else { vec![last] };
            assert_eq!(copied, expected, "{has_gap} {loads} {renames}");
            run.stop().await;
        }
    }
}
