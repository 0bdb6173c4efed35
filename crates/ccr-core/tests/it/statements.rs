//! A table or view whose statements fail leaves the stream, and the others go on.

use ccr_core::control::Request;
use doris_types::record::{Record, RenameRecord};

use super::run::Run;
use super::world::Inner;

async fn following() -> Run {
    Run::following(&["t1", "t2", "t3"]).await
}

/// What has left the stream: names and work.
fn apart(run: &Run) -> Vec<(String, &'static str)> {
    run.status().apart.iter().map(|table| (table.table.clone(), table.work)).collect()
}

/// The statement of the first table fails, and the others go on: alone, with it, and with statements of their own.
async fn others_go_on(run: &mut Run, fail: fn(&mut Inner), change: fn(&mut Inner)) {
    let newest = run.world.with(|world| {
        fail(world);
        change(world);
        world.load_all("t2");
        world.add_column("t3", "c");
        world.load_all("t3");
        world.create("t4", &[], 1);
        world.load_all("t4");
        world.newest()
    });
    run.until("the others", |world, _| world.store.position.commit_seq >= newest).await;
}

fn change_of_t1(world: &mut Inner) {
    world.add_column("t1", "c");
    world.load_all("t1");
    world.load(&[("t1", &["p1"]), ("t2", &["p1"])]);
}

fn busy(world: &mut Inner) {
    world.busy_tables.push("t1".to_owned());
}

fn refusing(world: &mut Inner) {
    world.refusing_tables.push("t1".to_owned());
}

fn mute(world: &mut Inner) {
    world.mute_tables.push("t1".to_owned());
}

fn mend(world: &mut Inner) {
    world.busy_tables.clear();
    world.refusing_tables.clear();
    world.mute_tables.clear();
}

fn quarantined() -> Vec<(String, &'static str)> {
    vec![("t1".to_owned(), "quarantined")]
}

#[tokio::test(start_paused = true)]
async fn a_table_that_cannot_be_altered_now_leaves_and_comes_back_by_itself() {
    let truncate = |world: &mut Inner| {
        world.truncate("t1", &[]);
        world.load_all("t1");
    };
    let cases = [(busy as fn(&mut Inner), change_of_t1 as fn(&mut Inner)), (mute, truncate)];
    for (fail, change) in cases {
        for by_table in [false, true] {
            let mut run = following().await;
            if by_table {
                run.stop().await;
                run.in_table_order(256);
                run.start();
            }
            others_go_on(&mut run, fail, change).await;
            assert_eq!(apart(&run), quarantined());
            assert!(run.history().iter().any(|(plan, ..)| plan == "quarantine"));
            run.restart().await;
            run.until("tries of its own", |_, status| {
                status.last_error.as_ref().is_some_and(|error| error.tries > 1)
            })
            .await;
            run.world.with(mend);
            run.caught_up().await;
            run.check();
            assert_eq!(apart(&run), []);
            assert_eq!(run.world.with(|world| world.backups.accepted), 1, "nothing is copied");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_table_whose_change_is_refused_waits_for_an_operator_and_nobody_else_does() {
    let mut run = following().await;
    others_go_on(&mut run, refusing, change_of_t1).await;
    assert_eq!(apart(&run), [("t1".to_owned(), "blocked")]);
    let blocked = run.status().blocked.expect("the table is blocked");
    assert_eq!(
        (blocked.code.as_str(), blocked.binlog_type.as_str()),
        ("CCR0112", "MODIFY_TABLE_ADD_OR_DROP_COLUMNS")
    );
    assert!(!blocked.hint.is_empty() && blocked.message.contains("no change of t1"), "{blocked:?}");
    run.stop().await;
    run.world.with(mend);
    run.start();
    run.caught_up().await;
    run.check();
    assert_eq!(run.world.with(|world| world.backups.accepted), 1, "nothing is copied");
}

#[tokio::test(start_paused = true)]
async fn nobody_leaves_while_the_frontend_knows_no_answer_at_all() {
    let mut run = following().await;
    let until = run.world.with(|world| {
        busy(world);
        world.target_is_silent = true;
        change_of_t1(world);
        world.load_all("t2");
        world.now_ms + 100 * 3_000
    });
    run.until("a long time", move |world, status| {
        assert!(status.apart.is_empty(), "{:?}", status.apart);
        world.now_ms > until
    })
    .await;
    run.world.with(|world| {
        mend(world);
        world.target_is_silent = false;
    });
    run.caught_up().await;
    run.check();
}

#[tokio::test(start_paused = true)]
async fn a_drop_that_fails_is_tried_again_apart_and_its_name_is_free_then() {
    for (fail, work) in [(busy as fn(&mut Inner), "quarantined"), (refusing, "blocked")] {
        let mut run = following().await;
        others_go_on(&mut run, fail, |world| world.drop_table("t1")).await;
        assert_eq!(apart(&run), [("t1".to_owned(), work)]);
        let newest = run.world.with(|world| {
            world.create("t1", &[], 1);
            world.load_all("t1");
            world.load_all("t2");
            world.newest()
        });
        run.until("the others", |world, _| world.store.position.commit_seq >= newest).await;
        run.stop().await;
        run.world.with(mend);
        run.start();
        run.caught_up().await;
        run.check();
        assert_eq!(apart(&run), []);
    }
}

#[tokio::test(start_paused = true)]
async fn a_drop_that_is_passed_over_leaves_the_target() {
    let mut run = following().await;
    others_go_on(&mut run, refusing, |world| world.drop_table("t1")).await;
    let cursor = run.status().apart[0].cursor;
    run.request(Request::SkipBinlog { commit_seq: cursor + 1 }).await;
    run.until("the drop", |_, status| status.apart.is_empty() && status.blocked.is_none()).await;
    assert!(run.world.with(|world| world.target.table("t1").is_some()));
}

/// Its copy would wait for the drop.
#[tokio::test(start_paused = true)]
async fn a_table_that_is_copied_when_its_drop_is_passed_over_ends_with_it() {
    let mut run = following().await;
    run.stop().await;
    let commit_seq = run.world.with(|world| {
        world.schema_change("t1");
        world.drop_table("t1");
        let seq = world.newest();
        world.database_property();
        seq
    });
    run.request(Request::SkipBinlog { commit_seq }).await;
    run.until("the others", |world, status| {
        status.position.commit_seq == world.newest() && status.apart.is_empty()
    })
    .await;
    assert!(run.world.with(|world| world.target.table("t1").is_some()));
}

#[tokio::test(start_paused = true)]
async fn a_table_that_cannot_be_renamed_now_gets_its_name_later() {
    let mut run = following().await;
    others_go_on(&mut run, busy, |world| {
        world.rename_table("t1", "x");
        world.load_all("x");
        world.rename_table("x", "y");
    })
    .await;
    assert!(!apart(&run).is_empty());
    run.world.with(mend);
    run.caught_up().await;
    run.check();
    assert!(run.world.with(|world| world.target.table("y").is_some()));
    assert_eq!(run.world.with(|world| world.backups.accepted), 1, "nothing is copied");
}

#[tokio::test(start_paused = true)]
async fn a_table_that_is_created_without_an_answer_is_taken_for_what_it_is() {
    let mut run = following().await;
    others_go_on(
        &mut run,
        |world| world.mute_tables.push("t5".to_owned()),
        |world| {
            world.create("t5", &[], 1);
            world.load_all("t5");
        },
    )
    .await;
    run.caught_up().await;
    run.check();
    assert_eq!(run.world.with(|world| world.backups.accepted), 1, "nothing is copied");
}

#[tokio::test(start_paused = true)]
async fn views_that_cannot_be_changed_wait_by_themselves() {
    let fails = [
        |world: &mut Inner| world.busy_tables.extend(["v".to_owned(), "w".to_owned()]),
        |world: &mut Inner| world.refusing_tables.extend(["v".to_owned(), "w".to_owned()]),
    ];
    for fail in fails {
        for change in
            [|world: &mut Inner| world.drop_view("v"), |world: &mut Inner| world.alter_view("v", "t2")]
        {
            let mut run = following().await;
            run.world.with(|world| world.create_view("v", "t1"));
            run.caught_up().await;
            others_go_on(&mut run, fail, change).await;
            assert_eq!(apart(&run), [("v".to_owned(), "view")]);
            run.restart().await;
            run.until("the view", |_, status| !status.apart.is_empty()).await;
            run.world.with(mend);
            run.until("the view", |_, status| status.apart.is_empty()).await;
            run.caught_up().await;
            run.check();
            let (source, target) = run.world.with(|world| {
                let names = |views: &std::collections::BTreeMap<String, super::world::catalog::View>| {
                    views.iter().map(|(name, view)| (name.clone(), view.of.clone())).collect::<Vec<_>>()
                };
                (names(&world.source.views), names(&world.target.views))
            });
            assert_eq!(source, target);
        }
    }
}

/// What comes after a change that was refused is about what the view was to be, which the target does not have: under
/// that name it has nothing, or another view.
#[tokio::test(start_paused = true)]
async fn what_follows_the_refused_change_of_a_view_waits_with_it() {
    let later: [fn(&mut Inner); 5] = [
        |world| world.drop_view("w"),
        |world| world.comment_view("w", Some("t2"), "changed"),
        |world| world.rename_view("w", "x"),
        |world| world.rename_view("w", "v"),
        |world| {
            world.rename_view("w", "x");
            world.drop_view("x");
            world.create_view("w", "t2");
        },
    ];
    for change in later {
        for is_taken in [false, true] {
            let mut run = following().await;
            run.world.with(|world| {
                world.create_view("v", "t1");
                world.create_view("other", "t1");
            });
            run.caught_up().await;
            if is_taken {
                run.world.with(|world| world.rename_view("other", "w"));
                run.caught_up().await;
            }
            let (newest, foreign) = run.world.with(|world| {
                let foreign = world.new_table("free", &[], 1, 1);
                let id = foreign.id;
                if is_taken {
                    // Its name upstream is another view's by then, and cannot be given away downstream.
                    world.target.tables.insert(id, foreign);
                    world.rename_view("w", "free");
                }
                world.refusing_tables.push("v".to_owned());
                world.rename_view("v", "w");
                change(world);
                (world.newest(), id)
            });
            run.until("the changes", |world, _| world.store.position.commit_seq >= newest).await;
            run.world.with(|world| world.target.tables.remove(&foreign));
            run.world.with(mend);
            run.until("the views", |_, status| status.apart.is_empty()).await;
            run.caught_up().await;
            run.check();
        }
    }
}

/// A view that is apart stays readable, until its name is another's.
#[tokio::test(start_paused = true)]
async fn the_name_of_a_view_that_is_apart_is_there_for_a_table() {
    let given: [fn(&mut Inner); 4] = [
        |world| {
            world.drop_view("v");
            world.rename_table("t1", "v");
        },
        |world| {
            world.drop_view("v");
            world.create("v", &[1], 1);
            world.load_all("v");
        },
        |world| {
            world.rename_view("v", "w");
            world.rename_table("t1", "v");
        },
        |world| {
            world.rename_view("v", "w");
            world.create("v", &[1], 1);
            world.load_all("v");
        },
    ];
    for give in given {
        let mut run = following().await;
        run.world.with(|world| world.create_view("v", "t2"));
        run.caught_up().await;
        run.world.with(|world| {
            world.refusing_tables.push("v".to_owned());
            world.comment_view("v", None, "refused");
        });
        run.until("the view", |_, status| !status.apart.is_empty()).await;
        run.world.with(|world| {
            give(world);
            world.refusing_tables.clear();
        });
        run.until("the views", |_, status| status.apart.is_empty()).await;
        run.caught_up().await;
        run.check();
        assert_eq!(run.world.with(|world| world.backups.accepted), 1, "nothing is copied");
    }
}

/// One record may tell of both, and each takes a statement of its own.
#[tokio::test(start_paused = true)]
async fn a_view_gets_its_comment_with_its_definition() {
    let mut run = following().await;
    run.world.with(|world| world.create_view("v", "t1"));
    run.caught_up().await;
    run.world.with(|world| world.comment_view("v", Some("t2"), "it's new"));
    run.caught_up().await;
    run.check();
    let view = run.world.with(|world| world.target.views["v"].clone());
    assert_eq!((view.of.as_str(), view.comment.as_str()), ("t2", "it's new"));
    assert!(run.history().iter().all(|(plan, ..)| plan != "partial_sync"), "{:?}", run.history());
}

/// A newer Doris, or another kind of table: nobody else is concerned.
#[tokio::test(start_paused = true)]
async fn a_type_that_is_not_known_blocks_a_table_without_a_link_only() {
    let mut run = following().await;
    others_go_on(
        &mut run,
        |_| {},
        |world| {
            let table = world.new_table("new", &[], 1, 1);
            let id = table.id;
            world.source.tables.insert(id, table);
            let seq = world.journal_id();
            world.emit_raw(seq, 99, vec![id], Some("{}".to_owned()));
            world.load_all("new");
        },
    )
    .await;
    assert_eq!(apart(&run), [("new".to_owned(), "blocked")]);
    let blocked = run.status().blocked.expect("the table is blocked");
    assert_eq!((blocked.code.as_str(), blocked.binlog_type.as_str()), ("CCR0203", "UNKNOWN(99)"));
    run.restart().await;
    run.caught_up().await;
    run.check();
    assert_eq!(run.world.with(|world| world.backups.accepted), 2, "one for the job, one for the table");
}

#[tokio::test(start_paused = true)]
async fn a_type_that_is_not_known_of_a_table_that_is_gone_concerns_nobody() {
    for hides_drops in [false, true] {
        let mut run = following().await;
        run.world.with(|world| world.hides_drops = hides_drops);
        others_go_on(
            &mut run,
            |_| {},
            |world| {
                let (seq, id) = (world.journal_id(), world.id());
                if !world.hides_drops {
                    world.source.dropped_tables.insert(id, seq);
                }
                world.emit_raw(seq, 99, vec![id], Some("{}".to_owned()));
            },
        )
        .await;
        assert_eq!(apart(&run), []);
        assert!(run.history().iter().any(|(plan, why, _)| plan == "skip" && why.contains("99")));
        run.caught_up().await;
        run.check();
    }
}

#[tokio::test(start_paused = true)]
async fn a_type_that_is_not_known_of_a_view_waits_with_the_view() {
    let mut run = following().await;
    run.world.with(|world| world.create_view("v", "t1"));
    run.caught_up().await;
    others_go_on(
        &mut run,
        |_| {},
        |world| {
            let (seq, id) = (world.journal_id(), world.source.views["v"].id);
            world.emit_raw(seq, 99, vec![id], Some("{}".to_owned()));
        },
    )
    .await;
    run.caught_up().await;
    run.check();
}

/// In table order others that share transactions with it would wait for it.
#[tokio::test(start_paused = true)]
async fn in_table_order_a_table_that_takes_no_rows_leaves_whether_or_not_it_trails() {
    for overtaken_limit in [1, 256] {
        let mut run = following().await;
        run.stop().await;
        run.in_table_order(overtaken_limit);
        run.start();
        others_go_on(
            &mut run,
            |world| world.full_tables.push(world.source_id("t1")),
            |world| {
                world.load_all("t1");
                world.load_all("t2");
                world.load_all("t3");
                world.load(&[("t1", &["p1"]), ("t2", &["p1"])]);
                world.load_all("t1");
            },
        )
        .await;
        assert_eq!(apart(&run), quarantined());
        run.world.with(|world| world.full_tables.clear());
        run.caught_up().await;
        run.check();
        run.until("the table with the others", |_, status| status.apart.is_empty()).await;
        assert_eq!(run.world.with(|world| world.backups.accepted), 1, "nothing is copied");
    }
}

/// For the crash matrix: a table can neither be altered nor renamed for a while.
pub async fn stuck(run: &mut Run) {
    run.caught_up().await;
    run.world.with(|world| {
        busy(world);
        world.add_column("t1", "c");
        world.load(&[("t1", &["p1"]), ("t2", &["t2"])]);
        world.rename_table("t1", "t8");
        world.load_all("t2");
        world.create("t9", &[], 1);
        world.load_all("t9");
    });
    run.until("a table apart", |_, status| !status.apart.is_empty()).await;
    run.world.with(|world| {
        world.load_all("t8");
        world.load_all("t2");
        mend(world);
    });
}

/// For the crash matrix: a table cannot be dropped for a while, and answers do not arrive.
pub async fn undropped(run: &mut Run) {
    run.caught_up().await;
    run.world.with(|world| {
        busy(world);
        world.drop_table("t1");
        world.load_all("t2");
    });
    run.until("a table apart", |_, status| !status.apart.is_empty()).await;
    run.world.with(|world| {
        world.load_all("t2");
        mend(world);
        mute(world);
    });
    run.until("the drop", |world, _| world.target.table("t1").is_none()).await;
    run.world.with(mend);
}

/// A table of another engine, or a view that a restore has brought, is never among the tables that the upstream lists.
#[tokio::test(start_paused = true)]
async fn a_change_of_what_is_no_table_of_the_job_keeps_nobody_waiting() {
    for is_old in [false, true] {
        let mut run = following().await;
        let (seq, began) = run.world.with(|world| {
            world.hides_drops = is_old;
            let seq = world.journal_id();
            let record = RenameRecord {
                db_id: 0,
                table_id: 990_001,
                index_id: -1,
                partition_id: -1,
                new_table_name: "es_new".to_owned(),
                old_table_name: "es_old".to_owned(),
                ..serde_json::from_str(r#"{"tb":0}"#).expect("a rename of nothing")
            };
            world.emit(seq, &Record::RenameTable(record));
            world.load_all("t2");
            (seq, world.now_ms)
        });
        run.caught_up().await;
        let waited = run.world.with(|world| world.now_ms) - began;
        assert!(waited < 5_000, "the others waited for {waited} ms");
        run.check();
        let is_told = |(plan, reason, _): &(String, String, String)| {
            plan == "skip" && reason == "990001 is not among the upstream tables"
        };
        assert!(run.history().iter().any(is_told), "{seq}: {:?}", run.history());
    }
}
