//! Gaps in the binlog of a database job: what is copied, what is kept, and when everything has to be copied.

use ccr_core::job::{Creating, FullSyncGuard, FullSyncReason, PartialSyncReason, Phase};
use futures::future::LocalBoxFuture;

use super::run::Run;
use super::scenario::{Scenario, copies_begun, database, restores_accepted};
use super::world::{Inner, World};

/// A job in sync over the tables of the scenarios, stopped.
async fn away(full_sync: FullSyncGuard) -> Run {
    let world = World::new();
    gap_tables(&world);
    let mut run = Run::database(world);
    run.record.spec.options.full_sync = full_sync;
    run.start();
    run.caught_up().await;
    run.stop().await;
    run
}

async fn back(run: &mut Run) {
    run.start();
    run.caught_up().await;
    run.check();
}

fn copied(world: &Inner) -> Vec<i64> {
    let copies = world.store.partial_syncs.iter();
    let mut ids: Vec<i64> = copies
        .map(|(_, id, reason)| {
            assert!(matches!(reason, PartialSyncReason::BinlogExpired { .. }), "{reason:?}");
            *id
        })
        .collect();
    ids.sort_unstable();
    ids
}

#[tokio::test(start_paused = true)]
async fn only_what_lost_something_is_copied_and_nobody_is_asked() {
    let mut run = away(FullSyncGuard::Ask).await;
    let (lost, ids) = run.world.with(|world| {
        let ids: Vec<i64> = world.target.tables.keys().copied().collect();
        world.load_all("lost");
        world.expire_binlogs();
        world.load_all("kept");
        world.load_all("lost");
        (world.source_id("lost"), ids)
    });
    back(&mut run).await;
    run.world.with(|world| {
        assert_eq!((copied(world), world.store.gaps_crossed), (vec![lost], 1));
        assert_eq!(world.store.full_syncs.len(), 1, "that of the new job");
        let kept = ids.iter().filter(|id| world.target.tables.contains_key(*id)).count();
        assert_eq!(kept, ids.len() - 1, "the others are the tables that they were");
    });
    let history = run.history();
    let gap = history.iter().find(|(plan, ..)| plan == "gap").expect("it is in the history");
    assert!(gap.1.contains("1 (lost) lost changes"), "{}", gap.1);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_changed_meanwhile_is_no_error_any_more_once_the_gap_is_crossed() {
    let mut run = away(FullSyncGuard::Ask).await;
    run.world.with(|world| {
        world.database_property();
        world.expire_binlogs();
        world.plan.slow.insert("source.meta", [100, 100]);
    });
    run.start();
    let is_told = |run: &Run| {
        run.status()
            .last_error
            .is_some_and(|error| error.message.contains("list of the upstream tables changes"))
    };
    let mut tables = 0;
    while !is_told(&run) {
        tables += 1;
        assert!(tables < 100, "it is never told: {:?}", run.status());
        run.world.with(|world| world.create(&format!("busy{tables}"), &[1], 1));
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    run.caught_up().await;
    assert!(run.status().last_error.is_none(), "{:?}", run.status());
    run.world.with(|world| assert_eq!(world.store.gaps_crossed, 1));
    run.check();
}

#[tokio::test(start_paused = true)]
async fn an_expiry_that_took_nothing_from_any_table_copies_nothing() {
    let mut run = away(FullSyncGuard::Ask).await;
    run.world.with(|world| {
        world.database_property();
        world.expire_binlogs();
        world.load_all("kept");
    });
    back(&mut run).await;
    run.world.with(|world| assert_eq!((copied(world), world.store.gaps_crossed), (Vec::new(), 1)));
}

#[tokio::test(start_paused = true)]
async fn a_table_that_was_never_written_to_has_lost_nothing() {
    let mut run = away(FullSyncGuard::Auto).await;
    run.world.with(|world| world.create("empty", &[1], 1));
    back(&mut run).await;
    run.stop().await;
    let lost = run.world.with(|world| {
        for name in ["kept", "lost", "gone", "anew", "renamed"] {
            world.load_all(name);
        }
        world.expire_binlogs();
        world.load_all("empty");
        let names = ["kept", "lost", "gone", "anew", "renamed"].map(|name| world.source_id(name));
        names.to_vec()
    });
    back(&mut run).await;
    run.world.with(|world| {
        assert_eq!(copied(world), lost);
        assert_eq!(world.store.full_syncs.len(), 1);
    });
}

#[tokio::test(start_paused = true)]
async fn a_second_gap_while_tables_are_copied_is_crossed_too() {
    let mut run = away(FullSyncGuard::Ask).await;
    run.world.with(|world| {
        world.load_all("lost");
        world.expire_binlogs();
    });
    run.start();
    run.until("the gap", |world, _| world.store.gaps_crossed == 1).await;
    run.stop().await;
    run.world.with(|world| {
        world.load_all("lost");
        world.load_all("gone");
        world.expire_binlogs();
        world.load_all("lost");
        world.load_all("gone");
    });
    back(&mut run).await;
    let lost = run.world.with(|world| [world.source_id("lost"), world.source_id("gone")]);
    run.world.with(|world| {
        assert!(lost.iter().all(|id| copied(world).contains(id)));
        assert_eq!((world.store.gaps_crossed, world.store.full_syncs.len()), (2, 1));
    });
}

#[tokio::test(start_paused = true)]
async fn views_that_cannot_be_listed_are_a_reason_to_copy_everything() {
    let mut run = away(FullSyncGuard::Auto).await;
    run.world.with(|world| {
        world.hides_views = true;
        world.load_all("lost");
        world.expire_binlogs();
    });
    back(&mut run).await;
    let reasons = run.world.with(|world| world.store.full_syncs.clone());
    assert!(
        matches!(&reasons[..], [_, (_, FullSyncReason::BinlogExpired { why, .. })] if why.contains("views")),
        "{reasons:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_table_downstream_that_is_in_the_way_of_a_new_name_blocks_and_is_not_touched() {
    let mut run = away(FullSyncGuard::Auto).await;
    run.world.with(|world| {
        world.rename_table("renamed", "taken");
        world.expire_binlogs();
        let foreign = world.new_table("taken", &[], 1, 1);
        world.target.tables.insert(foreign.id, foreign);
    });
    run.start();
    let blocked = run.blocked().await;
    assert_eq!(blocked.code, "CCR0312");
    let newest = run.world.with(|world| {
        world.database_property();
        world.newest()
    });
    run.until("the others", |world, _| world.store.position.commit_seq >= newest).await;
    run.world.with(|world| {
        let foreign = world.target.table("taken").expect("it is left alone").id;
        world.target.tables.remove(&foreign);
    });
    run.restart().await;
    run.caught_up().await;
    run.check();
}

#[tokio::test(start_paused = true)]
async fn a_table_downstream_that_cannot_go_or_be_renamed_now_keeps_no_other_waiting() {
    for busy in ["gone", "renamed"] {
        let mut run = away(FullSyncGuard::Auto).await;
        let newest = run.world.with(|world| {
            world.drop_table("gone");
            world.rename_table("renamed", "gone");
            world.expire_binlogs();
            world.load_all("kept");
            world.busy_tables.push(busy.to_owned());
            world.newest()
        });
        run.start();
        run.until("the others", |world, _| world.store.position.commit_seq >= newest).await;
        let apart: Vec<String> = run.status().apart.into_iter().map(|table| table.table).collect();
        assert!(apart.contains(&"gone".to_owned()), "{apart:?}");
        run.world.with(|world| world.busy_tables.clear());
        run.caught_up().await;
        run.check();
        // Of the new name its own list does not tell any more.
        assert_eq!(run.world.with(|world| world.backups.accepted), 2, "{busy}: {:?}", run.history());
    }
}

/// They share the time that they may keep the others waiting.
#[tokio::test(start_paused = true)]
async fn many_tables_that_cannot_go_now_keep_the_others_no_longer_than_one() {
    let mut run = Run::following(&["kept", "a", "b", "c", "d", "e", "f"]).await;
    run.stop().await;
    let (newest, began) = run.world.with(|world| {
        for name in ["a", "b", "c", "d", "e", "f"] {
            world.drop_table(name);
            world.busy_tables.push(name.to_owned());
        }
        world.expire_binlogs();
        world.load_all("kept");
        (world.newest(), world.now_ms)
    });
    run.start();
    run.until("the others", |world, _| world.store.position.commit_seq >= newest).await;
    let waited = run.world.with(|world| world.now_ms) - began;
    assert!(waited < 20_000, "they waited for {waited} ms");
    assert_eq!(run.status().apart.len(), 6);
    run.world.with(|world| world.busy_tables.clear());
    run.caught_up().await;
    run.check();
}

/// What nothing upstream stands for any more is remembered by its name, whether it is in use or its drop is refused.
#[tokio::test(start_paused = true)]
async fn a_view_or_a_half_made_table_that_cannot_go_now_keeps_nobody_waiting() {
    for is_busy in [true, false] {
        let mut run = away(FullSyncGuard::Auto).await;
        let newest = run.world.with(|world| {
            half_made(world, "half");
            world.drop_view("v2");
            world.expire_binlogs();
            world.load_all("kept");
            let stuck = if is_busy { &mut world.busy_tables } else { &mut world.refusing_tables };
            stuck.extend(["half", "v2"].map(str::to_owned));
            world.newest()
        });
        run.start();
        run.until("the others", |world, _| world.store.position.commit_seq >= newest).await;
        assert_eq!(run.status().blocked, None);
        let stale = |run: &Run| {
            let apart = run.status().apart.into_iter().filter(|table| table.work == "stale");
            apart.map(|table| table.table).collect::<Vec<_>>()
        };
        assert_eq!(stale(&run), ["half", "v2"]);
        // Nor does a restart forget it.
        run.restart().await;
        run.world.with(|world| {
            assert!(world.target.table("half").is_some());
            world.busy_tables.clear();
            world.refusing_tables.clear();
        });
        run.caught_up().await;
        run.check();
        assert_eq!(stale(&run), Vec::<String>::new());
    }
}

/// The name of something that cannot go now is another table's upstream: it waits for that.
#[tokio::test(start_paused = true)]
async fn a_name_under_which_something_is_to_go_is_waited_for() {
    for is_new in [true, false] {
        let mut run = away(FullSyncGuard::Auto).await;
        let newest = run.world.with(|world| {
            half_made(world, "half");
            match is_new {
                true => world.create("half", &[], 1),
                false => world.rename_table("renamed", "half"),
            };
            world.load_all("half");
            world.expire_binlogs();
            world.load_all("kept");
            world.busy_tables.push("half".to_owned());
            world.newest()
        });
        run.start();
        run.until("the others", |world, _| world.store.position.commit_seq >= newest).await;
        assert_eq!(run.status().blocked, None);
        assert!(run.status().apart.iter().all(|table| table.work != "blocked"), "{:?}", run.status().apart);
        run.world.with(|world| world.busy_tables.clear());
        run.caught_up().await;
        run.check();
    }
}

/// A statement may have created the table downstream, and is gone from the binlog since, as the table is upstream.
fn half_made(world: &mut Inner, name: &str) {
    world.create(name, &[], 1);
    let commit_seq = world.newest();
    let made = world.new_table(name, &[], 1, 1);
    world.target.tables.insert(made.id, made);
    world.drop_table(name);
    let state = world.store.state.as_mut().expect("it is in sync");
    if let Phase::Incremental(incremental) = &mut state.phase {
        incremental.statement_in_doubt = Some(commit_seq);
        incremental.creating = Some(Creating::Table(name.to_owned()));
    }
}

/// Of two tables that swapped their names one has stepped aside when the other cannot give up its name.
#[tokio::test(start_paused = true)]
async fn a_name_that_another_table_cannot_give_up_now_is_waited_for() {
    let mut run = Run::following(&["a", "b", "other"]).await;
    run.stop().await;
    let newest = run.world.with(|world| {
        world.replace_table("a", "b", true);
        world.expire_binlogs();
        world.load_all("other");
        world.busy_tables.push("b".to_owned());
        world.newest()
    });
    run.start();
    run.until("the other", |world, _| world.store.position.commit_seq >= newest).await;
    assert_eq!(run.status().blocked, None);
    run.world.with(|world| world.busy_tables.clear());
    run.caught_up().await;
    run.check();
}

/// Its lane goes on with the drop, or the new name, while a gap is crossed and after it.
#[tokio::test(start_paused = true)]
async fn a_table_that_is_being_dropped_or_renamed_apart_does_not_mind_a_gap() {
    let changes: [fn(&mut Inner); 3] = [
        |world| world.drop_table("gone"),
        |world| world.rename_table("gone", "moved"),
        |world| {
            world.rename_table("gone", "moved");
            world.create("gone", &[1], 1);
            world.load_all("gone");
        },
    ];
    for change in changes {
        for is_mended_before in [true, false] {
            let mut run = away(FullSyncGuard::Auto).await;
            let newest = run.world.with(|world| {
                world.busy_tables.push("gone".to_owned());
                change(world);
                world.database_property();
                world.newest()
            });
            run.start();
            run.until("the others", |world, _| world.store.position.commit_seq >= newest).await;
            run.stop().await;
            run.world.with(|world| {
                world.load_all("lost");
                world.rename_table("renamed", "other");
                world.expire_binlogs();
                world.load_all("kept");
                if is_mended_before {
                    world.busy_tables.clear();
                }
            });
            run.start();
            run.until("the gap", |world, _| world.store.gaps_crossed > 0).await;
            run.world.with(|world| world.busy_tables.clear());
            run.caught_up().await;
            run.check();
        }
    }
}

/// A scenario over the tables of a gap.
pub const fn across(
    name: &'static str,
    snapshots: u32,
    play: for<'a> fn(&'a mut Run) -> LocalBoxFuture<'a, ()>,
) -> Scenario {
    Scenario { prepare: gap_tables, ..database(name, snapshots, play) }
}

pub async fn expired(run: &mut Run) {
    run.caught_up().await;
    run.stop().await;
    run.world.with(|world| {
        world.load_all("t1");
        world.drop_table("t2");
        world.create("t3", &[], 1);
        world.load_all("t3");
        world.expire_binlogs();
    });
    run.start();
    restores_accepted(run, 2).await;
    run.world.with(|world| world.load_all("t1"));
}

pub async fn table_expired(run: &mut Run) {
    run.caught_up().await;
    run.stop().await;
    run.world.with(|world| {
        world.load_all("t1");
        world.expire_binlogs();
    });
    run.start();
    restores_accepted(run, 2).await;
    run.world.with(|world| world.load_all("t1"));
}

fn gap_tables(world: &World) {
    world.with(|world| {
        for name in ["kept", "lost", "gone", "anew", "renamed"] {
            world.create(name, &[1, 2], 1);
            world.load_all(name);
        }
        for name in ["v1", "v2", "v3"] {
            world.create_view(name, "kept");
        }
    });
}

/// Everything that a gap can hide, with a table that it did not touch.
pub async fn all_kinds(run: &mut Run) {
    run.caught_up().await;
    run.stop().await;
    run.world.with(|world| {
        world.load(&[("lost", &["p1"])]);
        world.drop_table("gone");
        world.drop_table("anew");
        world.create("anew", &[3], 1);
        world.load_all("anew");
        world.create("new", &[], 1);
        world.load_all("new");
        world.rename_table("renamed", "moved");
        world.alter_view("v1", "lost");
        world.drop_view("v2");
        world.create_view("v4", "new");
        world.expire_binlogs();
        world.load(&[("kept", &["p1"]), ("lost", &["p2"])]);
        world.load_all("moved");
        world.load_all("new");
    });
    run.start();
    run.until("its restores", |world, _| world.restores.accepted == 5).await;
    run.world.with(|world| {
        world.load(&[("kept", &["p2"]), ("lost", &["p1"])]);
        world.load_all("anew");
        world.alter_view("v3", "lost");
    });
}

/// Tables that exchange names while only the lists of others tell of it, and move on behind the gap.
pub async fn of_names(run: &mut Run) {
    run.caught_up().await;
    run.stop().await;
    run.world.with(|world| {
        world.create("x", &[], 1);
        // Of the other side only the list of what is gone tells.
        world.replace_table("x", "lost", false);
        world.create("y", &[], 1);
        world.replace_table("y", "gone", false);
        world.expire_binlogs();
        world.replace_table("anew", "renamed", true);
        world.rename_table("x", "gone");
        world.load(&[("gone", &["p1"]), ("kept", &["p1"])]);
        world.load_all("anew");
    });
    run.start();
    run.caught_up().await;
    run.world.with(|world| {
        world.replace_table("gone", "y", true);
        world.load_all("y");
        world.load_all("gone");
    });
}

/// A statement in doubt creates a table under a name that another one has behind the gap.
pub async fn over_a_creation(run: &mut Run) {
    run.caught_up().await;
    run.stop().await;
    run.world.with(|world| {
        let state = world.store.state.as_mut().expect("it is in sync");
        let commit_seq = world.journal.last_seq + 1;
        if let Phase::Incremental(incremental) = &mut state.phase {
            incremental.statement_in_doubt = Some(commit_seq);
            incremental.creating = Some(Creating::Table("next".to_owned()));
        }
        world.create("next", &[1, 2], 1);
        world.replace_table("lost", "next", true);
        world.expire_binlogs_to(commit_seq.max(world.newest()));
        world.load(&[("kept", &["p1"]), ("next", &["p1"])]);
    });
    run.start();
    run.until("the gap", |world, _| world.store.gaps_crossed > 0).await;
    run.world.with(|world| world.load(&[("lost", &["p2"]), ("next", &["p1"])]));
}

/// A table that is on its own while a gap comes.
pub async fn beside_a_copy(run: &mut Run) {
    run.caught_up().await;
    run.world.with(|world| world.schema_change("renamed"));
    copies_begun(run, 1).await;
    run.stop().await;
    run.world.with(|world| {
        world.load(&[("lost", &["p1"]), ("renamed", &["p2"])]);
        world.expire_binlogs();
        world.load(&[("kept", &["p1"]), ("renamed", &["p2"])]);
    });
    run.start();
    restores_accepted(run, 3).await;
    run.world.with(|world| world.load(&[("lost", &["p2"]), ("renamed", &["p1"])]));
}
