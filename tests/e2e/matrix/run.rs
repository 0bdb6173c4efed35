//! Running cases at all moments.

use std::time::Duration;

use doris_types::record::BinlogType;
use minidoris::binlog::BinlogList;
use minidoris::{ClusterOptions, Fault, FaultKind};

use super::same::{assert_same_database, assert_same_table};
use super::{Case, SETTLE};
use crate::harness::{BOUND, DB, Pair, Syncer, Target, wait_until};

const JOB: &str = "matrix";
/// How long a restore is held back at its start, so that statements run beside it.
const HELD_MS: u64 = 500;

/// Clusters whose backups and restores take some time.
pub async fn slow_pair(adjust: impl Fn(&mut ClusterOptions)) -> Pair {
    let pair = Pair::with(|options| {
        options.backup_interval = Duration::from_millis(25);
        adjust(options);
    })
    .await;
    pair.create_database().await;
    pair
}

/// All cases at all moments in one database job. The stream writes binlogs of all `types`.
pub async fn in_database_job(cases: &[Case], types: &[BinlogType]) {
    in_database_job_of(slow_pair(|_| {}).await, cases, types, &[]).await;
}

/// The same with these clusters; the log may hold the `allowed` texts.
pub async fn in_database_job_of(pair: Pair, cases: &[Case], types: &[BinlogType], allowed: &[&str]) {
    for moment in ["before", "backup", "restore", "stream"] {
        run(&pair, cases, moment, |case| case.setup).await;
    }
    run(&pair, cases, "before", |case| case.change).await;
    pair.down.faults().add(Fault::new(FaultKind::Delay(HELD_MS)).call("restoreSnapshot").times(1));

    let mut syncer = Syncer::start().await;
    allowed.iter().for_each(|text| syncer.allow(text));
    syncer.create(&pair.database_job(JOB)).await;
    reached(&pair, "sql:BACKUP", 1).await;
    run(&pair, cases, "before", |case| case.after).await;
    run(&pair, cases, "backup", |case| case.change).await;
    reached(&pair, "restoreSnapshot", 1).await;
    run(&pair, cases, "restore", |case| case.change).await;
    run(&pair, cases, "backup", |case| case.after).await;
    syncer.wait_for(JOB, Target::Incremental).await;
    run(&pair, cases, "restore", |case| case.after).await;
    // The stream is empty here, so each case meets a job that waits for it.
    syncer.wait_for(JOB, Target::InSync).await;
    let stream_starts = last_seq(&pair);
    run(&pair, cases, "stream", |case| case.change).await;
    run(&pair, cases, "stream", |case| case.after).await;
    syncer.wait_for(JOB, Target::InSync).await;

    // What follows a copy of a table is applied to the copy.
    for moment in ["before", "backup", "restore", "stream"] {
        run(&pair, cases, moment, |case| case.after).await;
    }
    syncer.wait_for(JOB, Target::InSync).await;
    assert_written(&pair, types, stream_starts, Lists::Database);
    assert_same_database(&pair).await;
    assert_one_full_backup(&syncer, 1);
    syncer.finish().await;
}

/// Each case at each moment in a table job of its own, whose target has another name. The stream writes
/// binlogs of all `types` to the lists of the tables.
pub async fn in_table_jobs(cases: &[Case], types: &[BinlogType]) {
    let at = |moment| in_table_jobs_at(cases, types, moment);
    futures::join!(at("before"), at("backup"), at("stream"));
}

async fn in_table_jobs_at(cases: &[Case], types: &[BinlogType], moment: &str) {
    let pair = slow_pair(|_| {}).await;
    let syncer = Syncer::start().await;
    run(&pair, cases, moment, |case| case.setup).await;
    let stream_starts = last_seq(&pair);
    for case in cases {
        let one = std::slice::from_ref(case);
        let table = name_at(case, moment);
        if moment == "before" {
            run(&pair, one, moment, |case| case.change).await;
        }
        let source = if moment == "before" { end_of(case, moment) } else { table.clone() };
        syncer.create(&pair.table_job(&table, &source, &target_of(case, moment))).await;
        if moment == "backup" {
            backup_begun(&pair, &table).await;
        } else {
            syncer.wait_for(&table, Target::InSync).await;
        }
        if moment != "before" {
            run(&pair, one, moment, |case| case.change).await;
        }
        run(&pair, one, moment, |case| case.after).await;
    }
    let all_in_sync = async || {
        for case in cases {
            syncer.wait_for(&name_at(case, moment), Target::InSync).await;
        }
    };
    all_in_sync().await;
    // What follows a copy of the table is applied to the copy.
    run(&pair, cases, moment, |case| case.after).await;
    all_in_sync().await;
    if moment == "stream" {
        assert_written(&pair, types, stream_starts, Lists::OfTables);
    }
    for case in cases {
        assert_same_table(&pair, &end_of(case, moment), &target_of(case, moment)).await;
    }
    assert_one_full_backup(&syncer, cases.len());
    syncer.finish().await;
}

fn target_of(case: &Case, moment: &str) -> String {
    format!("{}_target", name_at(case, moment))
}

fn end_of(case: &Case, moment: &str) -> String {
    case.ends_as.replace("{t}", &name_at(case, moment))
}

/// The last commit seq of the database upstream.
pub fn last_seq(pair: &Pair) -> i64 {
    pair.database_binlogs(|db| db.list().last().map_or(-1, |entry| entry.commit_seq))
}

/// Which lists hold the binlogs that are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lists {
    Database,
    OfTables,
}

/// Fails the test unless binlogs of all these types were written after `seq`.
fn assert_written(pair: &Pair, types: &[BinlogType], seq: i64, lists: Lists) {
    let holds = |list: &BinlogList, kind: BinlogType| list.after(seq).any(|entry| entry.binlog_type == kind);
    let missing: Vec<&str> = pair.database_binlogs(|db| {
        let written = |kind: &BinlogType| match lists {
            Lists::Database => holds(db.list(), *kind),
            Lists::OfTables => db.tables().any(|list| holds(list, *kind)),
        };
        types.iter().filter(|kind| !written(kind)).map(|kind| kind.name()).collect()
    });
    assert!(missing.is_empty(), "the statements wrote no {missing:?} ({lists:?})");
}

fn name_at(case: &Case, moment: &str) -> String {
    format!("{}_{moment}", case.name)
}

/// Runs a part of every case.
pub async fn run(pair: &Pair, cases: &[Case], moment: &str, part: impl Fn(&Case) -> &'static [&'static str]) {
    for case in cases {
        for statement in part(case) {
            if *statement == SETTLE {
                settle(pair).await;
            } else {
                pair.run(&statement.replace("{t}", &name_at(case, moment))).await;
            }
        }
    }
}

/// Waits until all schema change and rollup jobs upstream have ended.
pub async fn settle(pair: &Pair) {
    wait_until("the schema changes end", BOUND, || async {
        for kind in ["COLUMN", "ROLLUP"] {
            let jobs =
                pair.up.sql_in(DB, &format!("SHOW ALTER TABLE {kind}")).await.expect("jobs are listed");
            let state = jobs.columns.iter().position(|column| column == "State").expect("jobs have a state");
            let ended =
                |row: &Vec<Option<String>>| matches!(row[state].as_deref(), Some("FINISHED" | "CANCELLED"));
            if let Some(row) = jobs.rows.iter().find(|row| !ended(row)) {
                return Err(format!("{row:?}"));
            }
        }
        Ok(())
    })
    .await;
}

/// Waits until a backup of the table has fixed what it holds. Those of other jobs take turns with it.
async fn backup_begun(pair: &Pair, table: &str) {
    let object = format!("[{DB}.{table}]");
    wait_until(&format!("the backup of {table} has begun"), BOUND, || async {
        let backups = pair.up.sql_in(DB, "SHOW BACKUP").await.expect("backups are listed");
        let at = |name: &str| backups.columns.iter().position(|column| column == name).expect("it is shown");
        let (objects, state) = (at("BackupObjs"), at("State"));
        let text = |cell: &Option<String>| cell.clone().unwrap_or_default();
        let begun = |row: &&Vec<_>| text(&row[objects]).contains(&object) && text(&row[state]) != "PENDING";
        match backups.rows.iter().find(begun) {
            Some(_) => Ok(()),
            None => Err(format!("{:?}", backups.rows)),
        }
    })
    .await;
}

async fn reached(pair: &Pair, call: &str, count: u64) {
    wait_until(&format!("{call} was called"), BOUND, || async {
        let calls = pair.calls(call);
        if calls >= count { Ok(()) } else { Err(format!("{calls} times")) }
    })
    .await;
}

/// Fails the test unless each job took one full snapshot because it was new, and another only as its backup
/// had lost a tablet to a forced drop, or as another table has taken the place of a table job's.
pub fn assert_one_full_backup(syncer: &Syncer, jobs: usize) {
    let log = syncer.log_text();
    let full: Vec<&str> = log.lines().filter(|line| line.contains("full sync: backup")).collect();
    let (first, others): (Vec<&str>, Vec<&str>) =
        full.iter().partition(|line| line.contains("reason=the job is new"));
    assert_eq!(first.len(), jobs, "full backups:\n{}", full.join("\n"));
    let unexpected: Vec<&str> = others
        .into_iter()
        .filter(|line| {
            let lost_tablet = line.contains("was cancelled") && line.contains("make snapshot failed");
            !lost_tablet && !line.contains("the upstream table was replaced")
        })
        .collect();
    assert!(unexpected.is_empty(), "more full backups:\n{}", unexpected.join("\n"));
}
