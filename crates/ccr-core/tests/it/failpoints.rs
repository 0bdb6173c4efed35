//! Failpoints of the handling of binlogs: the outcome of the scenario is the same.

use ccr_core::status::JobStatus;
use doris_types::record::BinlogType;

use super::run::Run;
use super::scenario::SCENARIOS;
use super::world::World;
use super::world::alter::Alter;

/// Every type of binlog, with scenarios in which it is handled: of a database and, where it is in the list of a table,
/// of a table. What stands for what has expired is none that takes effect.
const WRITTEN_IN: &[(BinlogType, &[&str])] = &[
    (BinlogType::UPSERT, &["everything", "table_loads"]),
    (BinlogType::ADD_PARTITION, &["everything", "rejoin_under_load", "table_loads"]),
    (BinlogType::CREATE_TABLE, &["everything", "drop_and_create", "drop_while_restoring"]),
    (BinlogType::DROP_PARTITION, &["everything", "partition_names", "table_partition_names"]),
    (BinlogType::DROP_TABLE, &["everything", "undropped", "drop_while_restoring"]),
    (BinlogType::ALTER_JOB, &["rejoin_under_load", "rollups", "table_schema_change"]),
    (BinlogType::MODIFY_TABLE_ADD_OR_DROP_COLUMNS, &["columns", "table_columns"]),
    (BinlogType::ALTER_DATABASE_PROPERTY, &["everything"]),
    (BinlogType::MODIFY_TABLE_PROPERTY, &["described", "table_described"]),
    (BinlogType::BARRIER, &["schema_change", "table_schema_change"]),
    (BinlogType::MODIFY_PARTITIONS, &["media"]),
    (BinlogType::REPLACE_PARTITIONS, &["partitions"]),
    (BinlogType::TRUNCATE_TABLE, &["everything", "truncate", "table_partition_names"]),
    (BinlogType::RENAME_TABLE, &["rename", "renamed_while_restoring", "table_rename"]),
    (BinlogType::RENAME_COLUMN, &["columns", "table_columns"]),
    (BinlogType::MODIFY_COMMENT, &["described", "table_described"]),
    (BinlogType::MODIFY_VIEW_DEF, &["views"]),
    (BinlogType::REPLACE_TABLE, &["swap", "replace", "swap_apart"]),
    (BinlogType::MODIFY_TABLE_ADD_OR_DROP_INVERTED_INDICES, &["indexes", "table_indexes"]),
    (BinlogType::INDEX_CHANGE_JOB, &["indexes", "table_indexes"]),
    (BinlogType::RENAME_ROLLUP, &["rollups", "table_rollups"]),
    (BinlogType::RENAME_PARTITION, &["partition_names", "table_partition_names"]),
    (BinlogType::DROP_ROLLUP, &["rollups", "table_rollups"]),
    (BinlogType::RECOVER_INFO, &["table_recovered", "recover", "recover_and_change", "table_recover"]),
    (BinlogType::MODIFY_DISTRIBUTION_BUCKET_NUM, &["described", "table_described"]),
    (BinlogType::MODIFY_DISTRIBUTION_TYPE, &["described", "table_described"]),
];

/// Plays a scenario with a failpoint; it comes out as it does without. Whether it fired.
async fn fires(scenario: &str, name: &str, kind: BinlogType) -> bool {
    let what = format!("{name} at {} in {scenario}", kind.name());
    let scenario = SCENARIOS.iter().find(|known| known.name == scenario).expect("it is a scenario");
    let world = World::new();
    (scenario.prepare)(&world);
    let mut run = match scenario.table {
        None => Run::database(world),
        Some((source, target)) => Run::table(world, source, target),
    };
    (scenario.options)(&mut run.record.spec.options);
    run.failpoints.set(name, kind.name()).expect("it is a failpoint");
    run.start();
    (scenario.play)(&mut run).await;
    run.caught_up().await;
    run.check();
    let found = run.world.with(|world| (world.backups.accepted, world.restores.accepted));
    let (snapshots, given_up) = (scenario.snapshots, scenario.given_up);
    assert_eq!(found.0, snapshots, "no further snapshot with {what}");
    assert!(
        (snapshots..=snapshots + given_up).contains(&found.1),
        "no further restore with {what}: {found:?}"
    );
    run.stop().await;
    run.failpoints.list().iter().all(|(_, value)| value.is_none())
}

#[tokio::test(start_paused = true)]
async fn a_binlog_of_any_type_can_fail_before_and_after_it_took_effect() {
    let listed: Vec<&str> = WRITTEN_IN.iter().map(|(kind, _)| kind.name()).collect();
    let known = BinlogType::known().filter(|kind| *kind != BinlogType::DUMMY);
    assert_eq!(listed, known.map(BinlogType::name).collect::<Vec<_>>());
    let mut missed = Vec::new();
    for name in ["handle_binlog_idempotent:before", "handle_binlog_idempotent:after"] {
        for (kind, scenarios) in WRITTEN_IN {
            for scenario in *scenarios {
                if !fires(scenario, name, *kind).await {
                    missed.push((name, kind.name(), *scenario));
                }
            }
        }
    }
    assert_eq!(missed, [], "these do not fire");
}

/// What a table apart meets in its own list fails like what the job meets in its own.
#[tokio::test(start_paused = true)]
async fn a_binlog_on_the_track_of_a_table_can_fail_before_and_after_it_took_effect() {
    for name in ["handle_binlog_idempotent:before", "handle_binlog_idempotent:after", "handle_binlog_failed"]
    {
        let world = World::new();
        world.with(|world| {
            world.create("t1", &[1, 2], 2);
            world.create("t2", &[], 1);
        });
        let mut run = Run::database(world);
        run.start();
        run.caught_up().await;
        run.world.with(|world| {
            world.restores.is_held = true;
            world.schema_change("t1");
        });
        run.until("a restore", |world, _| world.restores.accepted >= 2).await;
        let newest = run.world.with(|world| {
            world.load_all("t1");
            world.alter("t1", &Alter::Comment("its own".to_owned()));
            world.load_all("t2");
            world.newest()
        });
        // The job has passed over what is the table's.
        run.until("the others go on", move |world, _| world.store.position.commit_seq >= newest).await;
        run.failpoints.set(name, "MODIFY_COMMENT").expect("it is a failpoint");
        run.world.with(|world| world.restores.is_held = false);
        let shown = |status: &JobStatus| {
            status.last_error.as_ref().is_some_and(|error| error.message.contains("CCR0910"))
        };
        run.until("it fails", move |_, status| shown(status)).await;
        assert!(run.status().blocked.is_none(), "{name} is no block: {:?}", run.status());
        run.failpoints.clear();
        run.caught_up().await;
        run.check();
        let snapshots = run.world.with(|world| (world.backups.accepted, world.restores.accepted));
        assert_eq!(snapshots, (2, 2), "no further snapshot with {name}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_handled_while_handling_fails() {
    let world = World::new();
    world.with(|world| {
        world.create("t1", &[1, 2], 2);
        world.load_all("t1");
    });
    let mut run = Run::database(world);
    run.start();
    run.caught_up().await;
    run.failpoints.set("handle_binlog_failed", "true").expect("it is one");
    let before = run.world.with(|world| {
        world.load_all("t1");
        (world.transactions.committed, world.store.position.commit_seq)
    });
    run.until("the error is shown", |_, status| {
        status.last_error.as_ref().is_some_and(|error| error.message.contains("CCR0910") && error.tries > 2)
    })
    .await;
    let after = run.world.with(|world| (world.transactions.committed, world.store.position.commit_seq));
    assert_eq!(after, before);
    run.failpoints.remove("handle_binlog_failed").expect("it is one");
    run.caught_up().await;
    assert!(run.status().last_error.is_none(), "it is over: {:?}", run.status());
    run.check();
}
