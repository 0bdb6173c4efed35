//! When everything is copied again, and what stands in the way of a copy.

use ccr_core::job::FullSyncReason;
use doris_types::call::BackupObjects;

use super::run::Run;
use super::world::World;
use super::world::catalog::Table;

fn reason(run: &Run) -> FullSyncReason {
    run.world.with(|world| {
        let state = world.store.state.as_ref().expect("there is a state");
        state.last_full_sync.clone().expect("a full sync is recorded").reason
    })
}

async fn following() -> Run {
    let world = World::new();
    world.with(|world| {
        world.create("t1", &[1, 2], 2);
        world.create("t2", &[], 1);
        world.load_all("t1");
        world.load_all("t2");
    });
    let mut run = Run::database(world);
    run.start();
    run.caught_up().await;
    run
}

/// Waits for a second full sync, and for what follows it.
async fn copied_again(run: &mut Run) {
    run.until("the second restore", |world, _| world.restores.finished == 2).await;
    run.caught_up().await;
    run.check();
}

#[tokio::test(start_paused = true)]
async fn an_expired_binlog_is_a_reason_and_stale_tables_go() {
    let mut run = following().await;
    let stood_at = run.world.with(|world| world.store.position.commit_seq);
    run.stop().await;
    let expired_to = run.world.with(|world| {
        world.load_all("t1");
        world.drop_table("t2");
        world.create("t3", &[], 1);
        world.load_all("t3");
        world.expire_binlogs();
        world.newest_expired()
    });
    run.start();
    copied_again(&mut run).await;
    assert_eq!(
        reason(&run),
        FullSyncReason::BinlogExpired {
            position: stood_at,
            expired_to: Some(expired_to),
            why: "all of its tables have lost changes".to_owned()
        }
    );
    assert!(
        run.history().iter().any(|(plan, _, outcome)| plan == "drop_stale_table" && outcome == "dropped t2")
    );
}

#[tokio::test(start_paused = true)]
async fn a_table_renamed_within_the_gap_does_not_stay_under_its_old_name() {
    let mut run = following().await;
    run.stop().await;
    run.world.with(|world| {
        world.rename_table("t2", "t9");
        world.load_all("t9");
        world.expire_binlogs();
    });
    run.start();
    copied_again(&mut run).await;
}

#[tokio::test(start_paused = true)]
async fn another_backup_is_waited_for_by_name() {
    let world = World::new();
    world.with(|world| {
        world.create("t1", &[], 1);
        world.load_all("t1");
        world.start_backup("nightly", &BackupObjects::All { except: Vec::new() }).expect("nothing else runs");
    });
    let mut run = Run::database(world);
    run.start();
    run.until("waiting", |_, status| {
        status.step.contains("waiting for another backup") && status.step.contains("nightly")
    })
    .await;
    assert!(run.status().last_error.is_none(), "to wait is no error");
    run.caught_up().await;
    run.check();
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_backup_is_taken_again() {
    let world = World::new();
    world.with(|world| {
        world.create("t1", &[], 1);
        world.load_all("t1");
        world.backups.cancel = 2;
    });
    let mut run = Run::database(world);
    run.start();
    run.caught_up().await;
    run.check();
    assert_eq!(run.world.with(|world| world.backups.accepted), 3);
    assert!(matches!(reason(&run), FullSyncReason::BackupCancelled { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_that_is_lost_is_taken_again() {
    let world = World::new();
    world.with(|world| {
        world.create("t1", &[], 1);
        world.load_all("t1");
        world.backups.forget = 1;
    });
    let mut run = Run::database(world);
    run.start();
    run.caught_up().await;
    run.check();
    assert_eq!(run.world.with(|world| world.backups.accepted), 2);
    assert!(matches!(reason(&run), FullSyncReason::SnapshotLost { .. }));
}

/// The table of a table job gets another name before the first snapshot holds it.
#[tokio::test(start_paused = true)]
async fn a_table_renamed_before_the_first_snapshot_is_found_again() {
    for is_name_reused in [false, true] {
        let world = World::new();
        world.with(|world| {
            world.create("t1", &[1, 2], 2);
            world.load_all("t1");
            world.backups.between_barriers.push_back(Box::new(move |world| {
                world.rename_table("t1", "t9");
                world.load_all("t9");
                if is_name_reused {
                    // It is this table then that the job was made for.
                    world.create("t1", &[], 1);
                    world.load_all("t1");
                } else {
                    world.only_table = Some(("t9".to_owned(), "x1".to_owned()));
                }
            }));
        });
        let mut run = Run::table(world, "t1", "x1");
        run.start();
        run.caught_up().await;
        run.world.with(|world| {
            world.load_all("t9");
            if is_name_reused {
                world.load_all("t1");
            }
        });
        run.caught_up().await;
        run.check();
        assert_eq!(run.world.with(|world| (world.backups.accepted, world.restores.accepted)), (2, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_table_that_was_made_anew_is_copied_anew() {
    let world = World::new();
    world.with(|world| {
        world.create("t1", &[1, 2], 2);
        world.load_all("t1");
    });
    let mut run = Run::table(world, "t1", "x1");
    run.start();
    run.caught_up().await;
    run.world.with(|world| {
        world.drop_table("t1");
        world.create("t1", &[3], 1);
        world.load_all("t1");
    });
    copied_again(&mut run).await;
    assert!(matches!(reason(&run), FullSyncReason::SourceTableReplaced { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_database_that_was_made_anew_is_copied_anew() {
    let mut run = Run::following(&["t1", "t2"]).await;
    // Nothing is written to the new one, so nothing but its id tells of it.
    let (old_id, new_id) = run.world.with(|world| {
        let old_id = world.source.database_id;
        world.source.tables.clear();
        world.source.database_id = world.id();
        let table = world.new_table("t2", &[], 1, 1);
        world.source.tables.insert(table.id, table);
        (old_id, world.source.database_id)
    });
    copied_again(&mut run).await;
    assert_eq!(reason(&run), FullSyncReason::SourceDatabaseReplaced { old_id, new_id });
}

/// A table job that follows, with its table renamed if `renamed`; and its source as it is then.
async fn following_a_table(renamed: bool) -> (Run, Table) {
    let world = World::new();
    world.with(|world| {
        world.create("t1", &[1, 2], 2);
        world.load_all("t1");
    });
    let mut run = Run::table(world, "t1", "x1");
    run.start();
    run.caught_up().await;
    let name = if renamed { "t9" } else { "t1" };
    run.world.with(|world| {
        if renamed {
            world.rename_table("t1", "t9");
            world.only_table = Some(("t9".to_owned(), "x1".to_owned()));
        }
        world.load_all(name);
    });
    run.caught_up().await;
    let table = run.world.with(|world| world.source.table(name).expect("it exists").clone());
    (run, table)
}

#[tokio::test(start_paused = true)]
async fn a_table_that_a_restore_has_replaced_is_copied_anew() {
    for renamed in [false, true] {
        let (mut run, table) = following_a_table(renamed).await;
        let new_id = run.world.with(|world| {
            world.load_all(&table.name);
            world.restore_atomically(&table.name, &table)
        });
        copied_again(&mut run).await;
        assert_eq!(reason(&run), FullSyncReason::SourceTableReplaced { old_id: table.id, new_id });
    }
}

/// The list of a table does not tell that it takes the place of another one.
#[tokio::test(start_paused = true)]
async fn the_table_that_bears_the_name_is_followed_after_a_swap_that_the_list_does_not_tell() {
    let (mut run, table) = following_a_table(false).await;
    let new_id = run.world.with(|world| {
        world.create("t2", &[1], 1);
        world.load_all("t2");
        world.replace_table("t2", "t1", true);
        world.load_all("t1");
        world.source_id("t1")
    });
    copied_again(&mut run).await;
    assert_eq!(reason(&run), FullSyncReason::SourceTableReplaced { old_id: table.id, new_id });
}

#[tokio::test(start_paused = true)]
async fn a_renamed_table_is_followed_though_another_gets_its_name() {
    let (mut run, _) = following_a_table(false).await;
    let looks = run.world.count("source.meta");
    run.world.with(|world| {
        world.rename_table("t1", "t9");
        world.only_table = Some(("t9".to_owned(), "x1".to_owned()));
        world.create("t1", &[1], 1);
        world.load_all("t1");
    });
    run.until("some looks", |world, _| world.counts["source.meta"] > looks + 3).await;
    run.caught_up().await;
    run.check();
    assert_eq!(run.world.with(|world| world.backups.accepted), 1);
}

#[tokio::test(start_paused = true)]
async fn answers_that_lack_the_table_are_no_reason_to_copy_it() {
    let (mut run, _) = following_a_table(false).await;
    run.world.with(|world| world.stale_answers = 2);
    run.until("the answers", |world, _| world.stale_answers == 0).await;
    run.world.with(|world| world.load_all("t1"));
    run.caught_up().await;
    run.check();
    assert_eq!(run.world.with(|world| world.backups.accepted), 1);
}

#[tokio::test(start_paused = true)]
async fn a_load_whose_table_is_gone_lets_the_job_look_at_once() {
    let (mut run, _) = following_a_table(false).await;
    let looks = run.world.count("source.meta");
    run.until("an idle look", |world, _| world.counts["source.meta"] > looks).await;
    let polls = run.world.count("source.binlogs");
    run.world.with(|world| {
        world.truncate("t1", &[]);
        world.load_all("t1");
        world.drop_table("t1");
        world.create("t1", &[3], 1);
    });
    run.until("the second backup", |world, _| world.backups.accepted == 2).await;
    // One that brought all of it, the idle one after it, and one that was under way.
    let polls = run.world.count("source.binlogs") - polls;
    assert!(polls <= 3, "{polls} polls until the table was looked for");
    run.caught_up().await;
    run.check();
}

/// The binlog of a database that is created again says nothing of that, and may be empty: no moment may pass without a
/// lag. `Run::until` looks at every one.
#[tokio::test(start_paused = true)]
async fn a_database_that_is_created_again_is_copied_and_has_a_lag_at_once() {
    for has_tables in [false, true] {
        let mut run = following().await;
        let old_id = run.world.with(|world| {
            let old_id = world.source.database_id;
            world.recreate_database();
            if has_tables {
                world.create("t1", &[1, 2], 2);
                world.load_all("t1");
            }
            old_id
        });
        if !has_tables {
            // An empty database cannot be backed up.
            run.until("waiting", |_, status| status.step.contains("waiting for the first table")).await;
            run.world.with(|world| {
                world.create("t1", &[1, 2], 2);
                world.load_all("t1");
            });
        }
        copied_again(&mut run).await;
        let new_id = run.world.with(|world| world.source.database_id);
        assert_eq!(reason(&run), FullSyncReason::SourceDatabaseReplaced { old_id, new_id });
    }
}

/// Between its drop and its creation there is none, and whoever reads its binlog then is told so.
#[tokio::test(start_paused = true)]
async fn a_database_that_is_gone_for_a_moment_blocks_nobody() {
    for is_another in [false, true] {
        let mut run = following().await;
        let (old_id, looks) = run.world.with(|world| {
            world.knows_no_database = true;
            (world.source.database_id, world.counts.get("source.meta").copied().unwrap_or(0))
        });
        run.until("looks for it", |world, _| world.counts["source.meta"] >= looks + 3).await;
        assert_eq!(run.status().blocked, None);
        run.world.with(|world| {
            world.knows_no_database = false;
            if is_another {
                world.recreate_database();
                world.create("t1", &[1, 2], 2);
            }
            world.load_all("t1");
        });
        if is_another {
            copied_again(&mut run).await;
            let new_id = run.world.with(|world| world.source.database_id);
            assert_eq!(reason(&run), FullSyncReason::SourceDatabaseReplaced { old_id, new_id });
        } else {
            run.caught_up().await;
            run.check();
            assert_eq!(run.world.with(|world| world.backups.accepted), 1, "nothing is copied");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_database_that_stays_away_blocks() {
    let mut run = following().await;
    run.world.with(|world| world.knows_no_database = true);
    assert_eq!(run.blocked().await.code, "CCR0505");
    run.world.with(|world| {
        world.knows_no_database = false;
        world.load_all("t1");
    });
    run.restart().await;
    run.caught_up().await;
    run.check();
}

/// Another database of a lower id may take the name.
#[tokio::test(start_paused = true)]
async fn an_older_database_that_takes_the_name_is_copied() {
    let mut run = following().await;
    let old_id = run.world.with(|world| {
        let old_id = world.source.database_id;
        world.recreate_database();
        world.source.database_id = old_id - 1;
        world.create("t1", &[1, 2], 2);
        world.load_all("t1");
        old_id
    });
    copied_again(&mut run).await;
    assert_eq!(reason(&run), FullSyncReason::SourceDatabaseReplaced { old_id, new_id: old_id - 1 });
    // That is the one it follows now.
    run.world.with(|world| world.load_all("t1"));
    run.caught_up().await;
    run.check();
    assert_eq!(run.world.with(|world| world.restores.finished), 2);
}

/// Commit seqs that begin again would give new transactions the labels of old ones.
#[tokio::test(start_paused = true)]
async fn an_upstream_that_was_set_up_anew_blocks_and_leaves_the_target() {
    let mut run = following().await;
    let before = run.world.with(|world| {
        let before = world.target_view();
        world.set_up_anew();
        world.create("t1", &[1, 2], 2);
        world.load_all("t1");
        before
    });
    assert_eq!(run.blocked().await.code, "CCR0508");
    run.stop().await;
    run.start();
    run.until("resuming", |_, status| status.blocked.is_none()).await;
    assert_eq!(run.blocked().await.code, "CCR0508");
    run.world.with(|world| {
        assert_eq!(world.restores.finished, 1);
        assert!(world.target_view() == before, "the target has changed");
    });
}
