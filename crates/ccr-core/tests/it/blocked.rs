//! Where an operator must act, and what happens when one has.

use super::run::Run;
use super::world::Inner;

async fn following() -> Run {
    Run::following(&["t1"]).await
}

#[tokio::test(start_paused = true)]
async fn a_type_that_is_not_known_blocks_before_it_and_is_tried_again() {
    let mut run = following().await;
    let (before, at) = run.world.with(|world| {
        world.load_all("t1");
        let before = world.newest();
        let seq = world.journal_id();
        world.emit_raw(seq, 99, Vec::new(), Some("{}".to_owned()));
        world.load_all("t1");
        (before, seq)
    });
    for _ in 0..2 {
        let blocked = run.blocked().await;
        assert_eq!((blocked.code.as_str(), blocked.commit_seq), ("CCR0203", at));
        assert_eq!(blocked.binlog_type, "UNKNOWN(99)");
        assert!(!blocked.hint.is_empty());
        let (position, committed) =
            run.world.with(|world| (world.store.position.commit_seq, world.transactions.committed));
        assert_eq!((position, committed), (before, 1));
        run.stop().await;
        run.check_violations();
        run.start();
        run.until("resuming", |_, status| status.blocked.is_none()).await;
    }
    // Newer software knows what it is: nothing.
    run.blocked().await;
    run.stop().await;
    run.world.with(|world| {
        let entry = world.journal.entries.at_mut(at);
        let entry = entry.expect("the entry is still kept");
        entry.binlog_type = 8;
    });
    run.start();
    run.caught_up().await;
    run.check();
}

#[tokio::test(start_paused = true)]
async fn a_record_that_cannot_be_read_blocks_with_its_type_and_seq() {
    let mut run = following().await;
    let at = run.world.with(|world| {
        let seq = world.journal_id();
        world.emit_raw(seq, 0, Vec::new(), Some("[]".to_owned()));
        seq
    });
    let blocked = run.blocked().await;
    assert_eq!((blocked.code.as_str(), blocked.commit_seq), ("CCR0201", at));
    assert_eq!(blocked.binlog_type, "UPSERT");
}

/// A table that is not ours blocks, however often the operator resumes without having removed it.
#[tokio::test(start_paused = true)]
async fn a_foreign_table_is_never_taken_for_our_own() {
    let mut run = following().await;
    run.world.with(|world| {
        let table = world.new_table("t2", &[], 1, 1);
        world.target.tables.insert(table.id, table);
        world.create("t2", &[], 1);
        world.load_all("t2");
    });
    for _ in 0..3 {
        assert_eq!(run.blocked().await.code, "CCR0312");
        run.restart().await;
        run.until("resuming", |_, status| status.blocked.is_none()).await;
    }
    run.blocked().await;
    run.stop().await;
    run.world.with(|world| {
        let id = world.target.table("t2").expect("it is still there").id;
        world.target.tables.remove(&id);
    });
    run.start();
    run.caught_up().await;
    run.check();
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_taken_holds_up_its_table_only() {
    let mut run = following().await;
    let foreign = run.world.with(|world| {
        let table = world.new_table("t2", &[], 1, 1);
        let id = table.id;
        world.target.tables.insert(id, table);
        world.create("t2", &[], 1);
        world.load_all("t2");
        id
    });
    assert_eq!(run.blocked().await.code, "CCR0312");
    let (newest, committed) = run.world.with(|world| {
        world.load_all("t1");
        world.create("t3", &[], 1);
        world.load(&[("t2", &["t2"]), ("t3", &["t3"])]);
        (world.newest(), world.transactions.committed)
    });
    run.until("the others go on", |world, _| world.store.position.commit_seq == newest).await;
    let (after, target) = run.world.with(|world| {
        let found = world.target.table("t2").map(|table| table.id);
        (world.transactions.committed, found)
    });
    assert_eq!(after - committed, 2, "a load of t1, and the part of t3");
    assert_eq!(target, Some(foreign), "what is not ours is left alone");
    let status = run.status();
    assert_eq!(status.apart.iter().map(|table| table.table.as_str()).collect::<Vec<_>>(), ["t2"]);
    run.stop().await;
    run.world.with(|world| world.target.tables.remove(&foreign));
    run.start();
    run.caught_up().await;
    run.check();
    assert!(run.history().iter().any(|(_, reason, _)| reason.contains("as the target had one of its name")));
}

/// Dropped upstream while its name is taken: nothing is left to wait for.
#[tokio::test(start_paused = true)]
async fn a_table_whose_name_was_taken_can_go_again() {
    let mut run = following().await;
    let foreign = run.world.with(|world| {
        let table = world.new_table("t2", &[], 1, 1);
        let id = table.id;
        world.target.tables.insert(id, table);
        world.create("t2", &[], 1);
        id
    });
    assert_eq!(run.blocked().await.code, "CCR0312");
    // Without lag both sides have to be equal, so what is not the job's goes in the same moment.
    run.world.with(|world| {
        world.drop_table("t2");
        world.target.tables.remove(&foreign);
    });
    run.until("being free", |_, status| status.blocked.is_none()).await;
    run.world.with(|world| world.load_all("t1"));
    run.caught_up().await;
    run.check();
    let trace = run.world.with(|world| world.trace.join("\n"));
    assert!(!trace.contains("DropTable"), "what is not the job's is left alone");
}

#[tokio::test(start_paused = true)]
async fn a_target_that_was_dropped_blocks() {
    let mut run = following().await;
    run.world.with(|world| {
        let id = world.target.table("t1").expect("it was replicated").id;
        world.target.tables.remove(&id);
        world.load_all("t1");
    });
    assert_eq!(run.blocked().await.code, "CCR0302");
    run.check_violations();
}

/// A restore upstream writes no binlog; the table is met at its first load.
#[tokio::test(start_paused = true)]
async fn a_table_that_no_binlog_brought_is_copied_at_its_first_load() {
    let mut run = following().await;
    run.world.with(|world| {
        let table = world.new_table("restored", &[], 1, 1);
        world.source.tables.insert(table.id, table);
        world.load_all("restored");
        world.load_all("t1");
        world.load_all("restored");
    });
    run.caught_up().await;
    run.check();
    assert_eq!(run.world.with(|world| world.backups.accepted), 2, "one for the job, one for the table");
}

#[tokio::test(start_paused = true)]
async fn a_newer_lease_stops_the_job() {
    let mut run = following().await;
    run.world.with(|world| {
        world.store.epoch += 1;
        world.load_all("t1");
    });
    run.until("the end of the task", |_, status| status.step.starts_with("stopped")).await;
    let before = run.world.with(|world| world.calls);
    run.world.with(|world| world.load_all("t1"));
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    assert_eq!(run.world.with(|world| world.calls), before, "it does nothing any more");
    run.start();
    run.caught_up().await;
    run.check();
}

/// What a former owner repeats would undo what the new one has done since.
#[tokio::test(start_paused = true)]
async fn a_statement_is_not_repeated_by_one_who_has_lost_the_job() {
    let mut run = following().await;
    run.world.with(|world| {
        world.busy_tables.push("t1".to_owned());
        world.truncate("t1", &[]);
    });
    run.until("a refused statement", |_, status| status.last_error.is_some()).await;
    run.world.with(|world| {
        world.store.epoch += 1;
        world.busy_tables.clear();
    });
    run.until("the end of the task", |_, status| status.step.starts_with("stopped")).await;
    let truncated = |world: &mut Inner| {
        let is_truncate = |line: &&String| line.contains("downstream: Truncate");
        world.trace.iter().filter(is_truncate).count()
    };
    assert_eq!(run.world.with(truncated), 1, "only the one that was refused");
    run.start();
    run.caught_up().await;
    run.check();
}

/// A table that no binlog has created gets the name of somebody's table while its copy is put in place.
#[tokio::test(start_paused = true)]
async fn a_copy_that_gave_way_leaves_a_foreign_table_of_its_new_name_alone() {
    let mut run = following().await;
    run.world.with(|world| {
        world.restores.is_held = true;
        let table = world.new_table("a", &[], 1, 1);
        world.source.tables.insert(table.id, table);
        world.load_all("a");
    });
    run.until("the restore", |world, _| world.restores.accepted == 2).await;
    let foreign = run.world.with(|world| {
        let table = world.new_table("c", &[], 1, 1);
        let id = table.id;
        world.target.tables.insert(id, table);
        world.rename_table("a", "c");
        id
    });
    assert_eq!(run.blocked().await.code, "CCR0312");
    run.stop().await;
    run.world.with(|world| {
        assert_eq!(world.target.table("c").map(|table| table.id), Some(foreign), "it is left alone");
        world.target.tables.remove(&foreign);
        world.restores.is_held = false;
    });
    run.start();
    run.caught_up().await;
    run.check();
}

#[tokio::test(start_paused = true)]
async fn a_table_that_the_target_refuses_to_create_is_copied_and_holds_up_nobody() {
    let mut run = following().await;
    run.world.with(|world| {
        world.refused_creates.push("t2".to_owned());
        world.create("t2", &[], 1);
        world.load_all("t2");
        world.load_all("t1");
    });
    run.caught_up().await;
    run.check();
    let history = run.world.with(|world| world.store.history.clone());
    let reasons: Vec<&str> = history.iter().map(|entry| entry.reason.as_str()).collect();
    assert!(reasons.iter().any(|reason| reason.contains("Failed to find enough backend")), "{reasons:?}");
}

#[tokio::test(start_paused = true)]
async fn a_swap_with_a_table_that_somebody_has_dropped_keeps_no_other_waiting() {
    for swap in [true, false] {
        let mut run = Run::following(&["t1", "t2", "t3"]).await;
        let (lost, newest) = run.world.with(|world| {
            let id = world.target.table("t2").expect("it is replicated").id;
            let lost = world.target.tables.remove(&id).expect("it is there");
            world.replace_table("t1", "t2", swap);
            world.load_all("t3");
            (lost, world.newest())
        });
        run.until("the others", |world, _| world.store.position.commit_seq >= newest).await;
        assert_eq!(run.blocked().await.code, "CCR0302");
        run.stop().await;
        run.world.with(|world| {
            // RECOVER TABLE … AS: what it was called is taken.
            let mut found = lost;
            found.set_name("found");
            world.target.tables.insert(found.id, found);
        });
        run.start();
        run.until("resuming", |_, status| status.blocked.is_none()).await;
        run.caught_up().await;
        run.check();
        assert_eq!(run.world.with(|world| world.backups.accepted), 1, "nothing is copied for it");
    }
}

#[tokio::test(start_paused = true)]
async fn a_view_waits_while_the_target_has_a_table_of_its_name() {
    let mut run = following().await;
    let foreign = run.world.with(|world| {
        let table = world.new_table("v1", &[], 1, 1);
        let id = table.id;
        world.target.tables.insert(id, table);
        world.foreign_tables.insert(id);
        world.create_view("v1", "t1");
        world.load_all("t1");
        id
    });
    run.until("the view apart", |world, _| {
        world.store.state.as_ref().is_some_and(|state| !state.views_apart.is_empty())
    })
    .await;
    run.world.with(|world| {
        assert!(!world.target.views.contains_key("v1"));
        world.target.tables.remove(&foreign);
    });
    run.caught_up().await;
    run.check();
    assert!(run.world.with(|world| world.target.views.contains_key("v1")));
}

#[tokio::test(start_paused = true)]
async fn one_answer_without_the_database_is_not_believed() {
    let mut run = following().await;
    let asked = |world: &Inner| world.counts.get("source.meta").copied().unwrap_or(0);
    let before = run.world.with(|world| {
        world.answers_without_database = 1;
        asked(world)
    });
    run.until("a second look", |world, _| asked(world) >= before + 2).await;
    run.caught_up().await;
    run.check();
    run.world.with(|world| world.answers_without_database = u32::MAX);
    assert_eq!(run.blocked().await.code, "CCR0505");
}
