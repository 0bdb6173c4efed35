//! What the crash matrix goes through: everything that a job replicates, each in a short scenario.

use ccr_core::control::Request;
use ccr_core::job::JobOptions;
use futures::FutureExt;
use futures::future::LocalBoxFuture;

use super::altered;
use super::gaps;
use super::options;
use super::run::Run;
use super::world::snapshot::Work;
use super::world::{Inner, World};
use super::{aside, recover, set_apart, slow, stale, statements, swaps};

/// One course of events.
pub struct Scenario {
    pub name: &'static str,
    /// The source and target of a table job; `None` for a database job.
    pub table: Option<(&'static str, &'static str)>,
    /// Sets options of the job.
    pub options: fn(&mut JobOptions),
    /// What is upstream before the job.
    pub prepare: fn(&World),
    /// What is done while it runs; all is replicated soon after it returns.
    pub play: for<'a> fn(&'a mut Run) -> LocalBoxFuture<'a, ()>,
    /// Backups that it takes, and restores at least.
    pub snapshots: u32,
    /// Restores that may have been given up for a change of names, or cancelled.
    pub given_up: u32,
    /// Copies of single tables that are not needed when everything is copied once more.
    pub spared: u32,
}

pub const fn database(
    name: &'static str,
    snapshots: u32,
    play: for<'a> fn(&'a mut Run) -> LocalBoxFuture<'a, ()>,
) -> Scenario {
    Scenario {
        name,
        table: None,
        options: |_| {},
        prepare: two_tables,
        play,
        snapshots,
        given_up: 0,
        spared: 0,
    }
}

const fn table(
    name: &'static str,
    snapshots: u32,
    play: for<'a> fn(&'a mut Run) -> LocalBoxFuture<'a, ()>,
) -> Scenario {
    Scenario {
        name,
        table: Some(("t1", "x1")),
        options: |_| {},
        prepare: two_tables,
        play,
        snapshots,
        given_up: 0,
        spared: 0,
    }
}

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "everything",
        table: None,
        options: |_| {},
        prepare: busy_database,
        play: |run| everything(run).boxed_local(),
        snapshots: 1,
        given_up: 0,
        spared: 0,
    },
    database("schema_change", 2, |run| schema_change(run).boxed_local()),
    database("rejoin_under_load", 2, |run| rejoin_under_load(run).boxed_local()),
    database("light_column", 1, |run| light_column(run).boxed_local()),
    database("described", 1, |run| altered::described(run).boxed_local()),
    database("columns", 1, |run| altered::columns(run).boxed_local()),
    database("rollups", 2, |run| altered::rollups(run).boxed_local()),
    database("indexes", 2, |run| altered::indexes(run).boxed_local()),
    database("partition_names", 1, |run| altered::partition_names(run).boxed_local()),
    database("table_recovered", 2, |run| altered::recovered(run, "").boxed_local()),
    database("table_recovered_as", 2, |run| altered::recovered(run, "t9").boxed_local()),
    database("blocked_and_skipped", 1, |run| blocked_and_skipped(run).boxed_local()),
    database("quarantined", 1, |run| quarantined(run).boxed_local()),
    Scenario { given_up: 1, ..database("old_frontend", 2, |run| aside::altered(run).boxed_local()) },
    Scenario { given_up: 1, ..database("old_frontend_gap", 2, |run| aside::after_a_gap(run).boxed_local()) },
    Scenario { given_up: 1, ..table("old_frontend_table", 2, |run| aside::altered(run).boxed_local()) },
    database("stuck", 1, |run| statements::stuck(run).boxed_local()),
    database("swap_stuck", 1, |run| swaps::stuck(run, true).boxed_local()),
    database("replace_stuck", 1, |run| swaps::stuck(run, false).boxed_local()),
    database("undropped", 1, |run| statements::undropped(run).boxed_local()),
    database("locked", 1, |run| locked(run).boxed_local()),
    database("rename", 1, |run| rename(run).boxed_local()),
    database("swap", 1, |run| replace(run, true).boxed_local()),
    database("replace", 1, |run| replace(run, false).boxed_local()),
    Scenario { given_up: 1, ..database("swap_apart", 2, |run| swap_apart(run).boxed_local()) },
    Scenario {
        given_up: 2,
        ..database("renamed_while_restoring", 2, |run| renamed_while_restoring(run).boxed_local())
    },
    database("replace_apart", 1, |run| replace_apart(run).boxed_local()),
    database("drop_and_create", 1, |run| drop_and_create(run).boxed_local()),
    Scenario {
        given_up: 1,
        ..database("drop_while_restoring", 2, |run| drop_while_restoring(run).boxed_local())
    },
    database("reused_names", 1, |run| stale::reused_names(run).boxed_local()),
    database("appeared_and_renamed", 2, |run| appeared_and_renamed(run).boxed_local()),
    database("truncate", 1, |run| truncate(run).boxed_local()),
    database("partitions", 1, |run| partitions(run).boxed_local()),
    Scenario {
        options: options::follow_media,
        ..database("media", 1, |run| options::media(run).boxed_local())
    },
    Scenario {
        options: options::reuse_labels,
        ..database("labels", 2, |run| options::labels(run).boxed_local())
    },
    database("recover", 2, |run| recover::under_load(run).boxed_local()),
    database("recover_and_change", 3, |run| recover::and_change(run).boxed_local()),
    database("recover_and_drop", 2, |run| recover::and_drop(run).boxed_local()),
    Scenario {
        given_up: 1,
        ..database("recover_and_rename", 3, |run| recover::and_rename(run).boxed_local())
    },
    database("views", 1, |run| views(run).boxed_local()),
    database("statements", 1, |run| statements(run).boxed_local()),
    database("statements_apart", 2, |run| statements_apart(run).boxed_local()),
    database("slow_table", 1, |run| slow::table(run).boxed_local()),
    database("slow_and_shared", 1, |run| slow::and_shared(run).boxed_local()),
    database("pause_and_resume", 1, |run| pause_and_resume(run).boxed_local()),
    database("expired", 2, |run| gaps::expired(run).boxed_local()),
    gaps::across("gap", 5, |run| gaps::all_kinds(run).boxed_local()),
    gaps::across("gap_of_names", 1, |run| gaps::of_names(run).boxed_local()),
    gaps::across("gap_over_a_creation", 3, |run| gaps::over_a_creation(run).boxed_local()),
    gaps::across("gap_beside_a_copy", 3, |run| gaps::beside_a_copy(run).boxed_local()),
    database("restored_in_place", 2, |run| restored_in_place(run).boxed_local()),
    database("restored_anew", 2, |run| restored_anew(run, "t1").boxed_local()),
    database("restored_and_renamed", 2, |run| restored_anew(run, "t9").boxed_local()),
    Scenario {
        given_up: 4,
        spared: 1,
        ..database("set_apart", 3, |run| set_apart::colocated(run).boxed_local())
    },
    Scenario {
        given_up: 1,
        spared: 1,
        ..database("set_apart_upstream", 3, |run| set_apart::temporary(run).boxed_local())
    },
    database("requested_copies", 3, |run| requested_copies(run).boxed_local()),
    Scenario {
        table: Some(("t1", "t1")),
        ..table("table_recover", 2, |run| recover::under_load(run).boxed_local())
    },
    table("table_recover_as", 2, |run| recover::and_drop(run).boxed_local()),
    table("table_loads", 1, |run| table_loads(run).boxed_local()),
    table("table_described", 1, |run| altered::described(run).boxed_local()),
    table("table_columns", 1, |run| altered::columns(run).boxed_local()),
    table("table_rollups", 2, |run| altered::rollups(run).boxed_local()),
    table("table_indexes", 2, |run| altered::indexes(run).boxed_local()),
    table("table_partition_names", 1, |run| altered::partition_names(run).boxed_local()),
    table("table_schema_change", 2, |run| table_schema_change(run).boxed_local()),
    table("table_rename", 1, |run| table_rename(run).boxed_local()),
    table("table_statements", 1, |run| table_statements(run).boxed_local()),
    table("table_pause_and_resume", 1, |run| table_pause_and_resume(run).boxed_local()),
    table("table_expired", 2, |run| gaps::table_expired(run).boxed_local()),
    table("table_made_anew", 2, |run| table_made_anew(run).boxed_local()),
    table("table_restored", 2, |run| table_restored(run).boxed_local()),
];

pub fn two_tables(world: &World) {
    world.with(|world| {
        world.create("t1", &[1, 2], 1);
        world.create("t2", &[], 1);
        world.load_all("t1");
        world.load_all("t2");
    });
}

/// Does something upstream and waits until it is replicated.
pub async fn then(run: &mut Run, work: impl FnOnce(&mut Inner)) {
    run.caught_up().await;
    run.world.with(work);
    run.caught_up().await;
}

/// Waits until so many tables have begun to be copied on their own.
pub async fn copies_begun(run: &mut Run, number: usize) {
    run.until("a copy", |world, _| world.store.partial_syncs.len() >= number).await;
}

pub async fn restores_accepted(run: &mut Run, number: u32) {
    run.until("a restore", |world, _| world.restores.accepted >= number).await;
}

pub fn busy_database(world: &World) {
    world.with(|world| {
        world.create("t1", &[1, 2], 1);
        world.create("t2", &[], 2);
        world.create("gone", &[1], 1);
        world.create_view("v1", "t1");
        world.load_all("t1");
        world.load_all("t2");
        world.load_all("gone");
        let during: Vec<Work> = vec![
            Box::new(|world| {
                world.load_all("t1");
                world.load_all("gone");
                world.add_partition("gone", 2, false);
            }),
            Box::new(|world| {
                world.load(&[("t1", &["p1"]), ("t2", &["t2"])]);
                world.add_partition("t1", 3, false);
                world.drop_table("gone");
            }),
            Box::new(|world| {
                world.load_all("t2");
                world.create("t3", &[], 1);
                world.load_all("t3");
            }),
        ];
        world.backups.between_barriers.extend(during);
    });
}

pub async fn everything(run: &mut Run) {
    then(run, |world| {
        world.load_all("t1");
        world.load(&[("t1", &["p2"]), ("t2", &["t2"])]);
        world.database_property();
        world.create("t4", &[5], 1);
        world.load_all("t4");
        world.load_all("t1");
    })
    .await;
    then(run, |world| {
        world.truncate("t2", &[]);
        world.load_all("t2");
        world.add_partition("t4", 6, false);
        world.load_all("t4");
        world.truncate("t4", &["p5"]);
        world.load_all("t4");
        world.drop_partition("t1", "p1");
        world.load_all("t1");
        world.create_view("v2", "t4");
        world.drop_view("v1");
    })
    .await;
    then(run, |world| {
        world.load_all("t3");
        world.drop_table("t3");
        world.create("t3", &[1], 1);
        world.load_all("t3");
        world.load_all("t2");
    })
    .await;
}

/// A finished schema change: the table is copied while the other flows.
async fn schema_change(run: &mut Run) {
    then(run, |world| {
        world.load_all("t1");
        let shadow = world.begin_schema_change("t1");
        world.load_all("t2");
        world.finish_schema_change("t1", shadow);
        world.load_all("t1");
        world.load(&[("t1", &["p1"]), ("t2", &["t2"])]);
    })
    .await;
}

/// Loads at every stage of a copy, in both tables together too.
async fn rejoin_under_load(run: &mut Run) {
    run.caught_up().await;
    run.world.with(|world| {
        world.schema_change("t1");
        world.load(&[("t1", &["p1"]), ("t2", &["t2"])]);
    });
    copies_begun(run, 1).await;
    run.world.with(|world| {
        world.load(&[("t1", &["p1", "p2"]), ("t2", &["t2"])]);
        world.load_all("t1");
    });
    restores_accepted(run, 2).await;
    run.world.with(|world| {
        world.load(&[("t1", &["p2"]), ("t2", &["t2"])]);
        world.add_partition("t1", 3, false);
        world.load_all("t1");
    });
    run.until("the second restore", |world, _| world.restores.finished >= 2).await;
    run.world.with(|world| {
        world.load(&[("t1", &["p3"]), ("t2", &["t2"])]);
        world.load_all("t2");
    });
}

async fn light_column(run: &mut Run) {
    then(run, |world| {
        world.load_all("t1");
        world.add_column("t1", "c1");
        world.load_all("t1");
        world.add_column("t2", "c2");
        world.load(&[("t1", &["p1"]), ("t2", &["t2"])]);
    })
    .await;
}

/// A table blocks, the other goes on, an operator passes over what blocks.
async fn blocked_and_skipped(run: &mut Run) {
    run.caught_up().await;
    let commit_seq = run.world.with(|world| {
        world.load_all("t1");
        let seq = world.journal_id();
        let id = world.source_id("t1");
        world.emit_raw(seq, 99, vec![id], Some("{}".to_owned()));
        world.load_all("t1");
        world.load(&[("t1", &["p2"]), ("t2", &["t2"])]);
        seq
    });
    run.blocked().await;
    run.request(Request::SkipBinlog { commit_seq }).await;
    run.world.with(|world| world.load_all("t1"));
}

async fn rename(run: &mut Run) {
    then(run, |world| {
        world.load_all("t1");
        world.rename_table("t1", "t9");
        world.load(&[("t9", &["p1"]), ("t2", &["t2"])]);
        world.create("t1", &[1], 1);
        world.load_all("t1");
        world.rename_table("t2", "t8");
        world.load_all("t8");
    })
    .await;
}

async fn replace(run: &mut Run, swap: bool) {
    then(run, |world| {
        world.load(&[("t1", &["p1"]), ("t2", &["t2"])]);
        world.replace_table("t1", "t2", swap);
        world.load(&[("t1", &["t1"])]);
        if swap {
            world.load(&[("t1", &["t1"]), ("t2", &["p2"])]);
        }
    })
    .await;
}

/// Two tables exchange their names while one of them is being put in place.
async fn swap_apart(run: &mut Run) {
    run.caught_up().await;
    run.world.with(|world| {
        world.schema_change("t1");
        world.load_all("t2");
    });
    restores_accepted(run, 2).await;
    run.world.with(|world| {
        // The lane has not joined when the main track comes to this.
        world.replace_table("t1", "t2", true);
        world.load_all("t1");
        world.load_all("t2");
    });
}

/// A table is renamed again and again while it is put in place; the other one goes on.
async fn renamed_while_restoring(run: &mut Run) {
    run.caught_up().await;
    run.world.with(|world| world.schema_change("t1"));
    restores_accepted(run, 2).await;
    let mut name = "t1";
    for next in ["a1", "a2", "a3", "a4"] {
        let seq = run.world.with(|world| {
            world.rename_table(name, next);
            world.load_all(next);
            world.load(&[("t2", &["t2"])]);
            world.newest()
        });
        run.until("the load of the other", |world, _| world.store.position.commit_seq >= seq).await;
        name = next;
    }
}

/// A table apart is replaced for good; only the other one is left to be copied.
async fn replace_apart(run: &mut Run) {
    run.caught_up().await;
    run.world.with(|world| {
        world.schema_change("t1");
        world.replace_table("t1", "t2", false);
        world.load_all("t1");
    });
}

async fn drop_and_create(run: &mut Run) {
    then(run, |world| {
        world.load(&[("t1", &["p1"]), ("t2", &["t2"])]);
        world.drop_table("t1");
        world.create("t1", &[3], 2);
        world.load(&[("t1", &["p3"]), ("t2", &["t2"])]);
        world.drop_table("t2");
        world.create("t2", &[], 1);
        world.load_all("t2");
    })
    .await;
}

/// A table is dropped, and made anew, while its copy is being put in place.
async fn drop_while_restoring(run: &mut Run) {
    run.caught_up().await;
    run.world.with(|world| world.schema_change("t1"));
    restores_accepted(run, 2).await;
    run.world.with(|world| {
        world.drop_table("t1");
        world.create("t1", &[3], 1);
        world.load_all("t1");
        world.load_all("t2");
    });
}

/// A table that no binlog has created gets another name before its copy is there.
async fn appeared_and_renamed(run: &mut Run) {
    then(run, |world| {
        let table = world.new_table("a", &[], 1, 1);
        world.source.tables.insert(table.id, table);
        world.load_all("a");
        world.rename_table("a", "c");
        world.load_all("c");
        world.create("a", &[], 1);
        world.load_all("a");
    })
    .await;
}

async fn truncate(run: &mut Run) {
    then(run, |world| {
        world.load(&[("t1", &["p1", "p2"]), ("t2", &["t2"])]);
        world.truncate("t1", &["p1"]);
        world.load_all("t1");
        world.truncate("t2", &[]);
        world.load_all("t2");
    })
    .await;
}

async fn partitions(run: &mut Run) {
    then(run, |world| {
        world.add_partition("t1", 3, false);
        world.load_all("t1");
        world.drop_partition("t1", "p2");
        world.load_all("t1");
        world.add_partition("t1", 1, true);
        world.load(&[("t1", &["tp1", "p3"])]);
        world.replace_partition("t1", "p1", "tp1");
        world.load_all("t1");
    })
    .await;
}

async fn views(run: &mut Run) {
    then(run, |world| {
        world.create_view("v1", "t1");
        world.load_all("t1");
        world.alter_view("v1", "t2");
        world.create_view("v2", "t2");
        world.drop_view("v1");
        world.create_view("v1", "t1");
    })
    .await;
}

/// Explicit transactions: several statements, some on the same partition, some on two tables.
async fn statements(run: &mut Run) {
    then(run, |world| {
        world.load_statements(&[&[("t1", &["p1"])], &[("t1", &["p1", "p2"])]]);
        world.load_statements(&[&[("t2", &["t2"])], &[("t1", &["p2"])], &[("t2", &["t2"])]]);
        world.load_statements(&[&[("t1", &["p1"]), ("t2", &["t2"])]]);
        world.load_all("t1");
    })
    .await;
}

async fn statements_apart(run: &mut Run) {
    run.caught_up().await;
    run.world.with(|world| {
        world.schema_change("t1");
        world.load_statements(&[&[("t2", &["t2"])], &[("t1", &["p2"])], &[("t2", &["t2"])]]);
    });
    restores_accepted(run, 2).await;
    run.world.with(|world| {
        world.load_statements(&[&[("t1", &["p1"])], &[("t1", &["p1"])], &[("t2", &["t2"])]]);
    });
}

async fn pause_and_resume(run: &mut Run) {
    for _ in 0..2 {
        run.caught_up().await;
        run.world.with(|world| {
            for _ in 0..4 {
                world.load(&[("t1", &["p1"]), ("t2", &["t2"])]);
            }
        });
        let before = run.world.with(|world| world.transactions.committed);
        run.until("some of it", move |world, _| world.transactions.committed >= before + 2).await;
        run.stop().await;
        run.world.with(|world| world.load_all("t1"));
        run.start();
    }
}

async fn requested_copies(run: &mut Run) {
    run.caught_up().await;
    let table_id = run.world.with(|world| {
        world.load(&[("t1", &["p1"]), ("t2", &["t2"])]);
        world.source_id("t1")
    });
    let detail = "a test".to_owned();
    run.request(Request::PartialSync { table: "t1".to_owned(), table_id, detail: detail.clone() }).await;
    run.world.with(|world| world.load(&[("t1", &["p1"]), ("t2", &["t2"])]));
    run.caught_up().await;
    run.request(Request::FullSync { detail }).await;
    run.world.with(|world| world.load(&[("t1", &["p1"]), ("t2", &["t2"])]));
}

async fn table_loads(run: &mut Run) {
    then(run, |world| {
        world.load(&[("t1", &["p1"]), ("t2", &["t2"])]);
        world.add_partition("t1", 3, false);
        world.load_all("t1");
        world.truncate("t1", &["p2"]);
        world.drop_partition("t1", "p1");
        world.add_column("t1", "c1");
        world.load_all("t1");
    })
    .await;
}

async fn table_schema_change(run: &mut Run) {
    then(run, |world| {
        world.load_all("t1");
        world.schema_change("t1");
        world.load_all("t1");
    })
    .await;
}

async fn table_rename(run: &mut Run) {
    then(run, |world| {
        world.load_all("t1");
        world.rename_table("t1", "t9");
        world.only_table = Some(("t9".to_owned(), "x1".to_owned()));
        world.load_all("t9");
        world.create("t1", &[], 1);
        world.load_all("t9");
    })
    .await;
}

/// The target of one table takes no more rows, until somebody has seen to it.
async fn quarantined(run: &mut Run) {
    run.caught_up().await;
    run.world.with(|world| {
        world.full_tables.push(world.source_id("t1"));
        world.load_all("t1");
        world.load_all("t2");
        world.load(&[("t1", &["p1"]), ("t2", &["t2"])]);
        world.create("t9", &[], 1);
        world.load_all("t9");
    });
    run.until("a table apart", |_, status| !status.apart.is_empty()).await;
    run.world.with(|world| {
        world.load_all("t2");
        world.full_tables.clear();
        world.load_all("t1");
    });
}

/// The transactions of one table cannot be committed, those of others can.
async fn locked(run: &mut Run) {
    run.caught_up().await;
    run.world.with(|world| {
        world.locked_tables.push("t1".to_owned());
        world.load(&[("t1", &["p1"]), ("t2", &["t2"])]);
        world.load_all("t1");
        world.create("t9", &[], 1);
        world.load_all("t2");
    });
    run.until("a failure", |world, status| {
        !status.apart.is_empty() || world.by_table && status.last_error.is_some()
    })
    .await;
    run.world.with(|world| {
        world.load_all("t2");
        world.locked_tables.clear();
    });
}

async fn table_statements(run: &mut Run) {
    then(run, |world| {
        world.load_statements(&[&[("t1", &["p1"])], &[("t2", &["t2"])], &[("t1", &["p1", "p2"])]]);
        world.load_all("t1");
    })
    .await;
}

async fn table_pause_and_resume(run: &mut Run) {
    run.caught_up().await;
    run.world.with(|world| {
        for _ in 0..4 {
            world.load_all("t1");
        }
    });
    let before = run.world.with(|world| world.transactions.committed);
    run.until("some of it", move |world, _| world.transactions.committed >= before + 2).await;
    run.restart().await;
    run.world.with(|world| world.load_all("t1"));
}

async fn table_made_anew(run: &mut Run) {
    run.caught_up().await;
    run.world.with(|world| {
        world.drop_table("t1");
        world.create("t1", &[3], 1);
        world.load_all("t1");
    });
    restores_accepted(run, 2).await;
}

/// A restore upstream puts another table in the place of the one that is followed.
async fn table_restored(run: &mut Run) {
    run.caught_up().await;
    run.world.with(|world| {
        let table = world.source.table("t1").expect("it exists").clone();
        world.load_all("t1");
        world.restore_atomically("t1", &table);
        world.load_all("t1");
    });
    restores_accepted(run, 2).await;
}

/// A restore upstream overwrites a table while the other one is written to.
async fn restored_in_place(run: &mut Run) {
    run.caught_up().await;
    run.world.with(|world| {
        let table = world.source.table("t1").expect("it exists").clone();
        world.load_all("t1");
        world.load_all("t2");
        world.restore_in_place(&table);
    });
    copies_begun(run, 1).await;
    run.world.with(|world| world.load(&[("t1", &["p1"]), ("t2", &["t2"])]));
}

/// A restore upstream puts another table in the place of one, which has this name then.
async fn restored_anew(run: &mut Run, name: &str) {
    run.caught_up().await;
    run.world.with(|world| {
        let table = world.source.table("t1").expect("it exists").clone();
        world.restore_atomically("t1", &table);
        if name != "t1" {
            world.rename_table("t1", name);
        }
        world.load_all("t2");
    });
}
