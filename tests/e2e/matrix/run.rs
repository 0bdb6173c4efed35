//! Running cases at all moments.

use std::time::Duration;

use minidoris::{Fault, FaultKind};

use super::same::assert_same_database;
use super::{Case, SETTLE};
use crate::harness::{BOUND, DB, Pair, Syncer, Target, assert_equal, wait_until};

const JOB: &str = "matrix";
/// How long a restore is held back at its start, so that statements run beside it.
const HELD_MS: u64 = 500;

/// Clusters whose backups and restores take some time.
pub async fn slow_pair() -> Pair {
    let pair = Pair::with(|options| options.backup_interval = Duration::from_millis(25)).await;
    pair.create_database().await;
    pair
}

/// All cases at all moments in one database job.
pub async fn in_database_job(cases: &[Case]) {
    let pair = slow_pair().await;
    for moment in ["before", "backup", "restore", "stream"] {
        run(&pair, cases, moment, |case| case.setup).await;
    }
    run(&pair, cases, "before", |case| case.change).await;
    pair.down.faults().add(Fault::new(FaultKind::Delay(HELD_MS)).call("restoreSnapshot").times(1));

    let syncer = Syncer::start().await;
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
    run(&pair, cases, "stream", |case| case.change).await;
    run(&pair, cases, "stream", |case| case.after).await;
    syncer.wait_for(JOB, Target::InSync).await;

    // What follows a copy of a table is applied to the copy.
    for moment in ["before", "backup", "restore", "stream"] {
        run(&pair, cases, moment, |case| case.after).await;
    }
    syncer.wait_for(JOB, Target::InSync).await;
    assert_same_database(&pair).await;
    assert_one_full_backup(&syncer, 1);
    syncer.finish().await;
}

/// Each case at each moment in a table job of its own, whose target has another name.
pub async fn in_table_jobs(cases: &[Case]) {
    let pair = slow_pair().await;
    let syncer = Syncer::start().await;
    let mut jobs = Vec::new();
    for moment in ["before", "backup", "stream"] {
        run(&pair, cases, moment, |case| case.setup).await;
        for case in cases {
            let one = std::slice::from_ref(case);
            let table = name_at(case, moment);
            if moment == "before" {
                run(&pair, one, moment, |case| case.change).await;
            }
            let backups = pair.up.counters().get("sql:BACKUP");
            syncer.create(&pair.table_job(&table, &table, &format!("{table}_target"))).await;
            if moment == "backup" {
                reached(&pair, "sql:BACKUP", backups + 1).await;
            } else {
                syncer.wait_for(&table, Target::InSync).await;
            }
            if moment != "before" {
                run(&pair, one, moment, |case| case.change).await;
            }
            run(&pair, one, moment, |case| case.after).await;
            jobs.push(table);
        }
    }
    for table in &jobs {
        syncer.wait_for(table, Target::InSync).await;
        assert_equal(&pair, table, &format!("{table}_target")).await;
    }
    assert_one_full_backup(&syncer, jobs.len());
    syncer.finish().await;
}

fn name_at(case: &Case, moment: &str) -> String {
    format!("{}_{moment}", case.name)
}

/// Runs a part of every case.
async fn run(pair: &Pair, cases: &[Case], moment: &str, part: impl Fn(&Case) -> &'static [&'static str]) {
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

async fn reached(pair: &Pair, call: &str, count: u64) {
    wait_until(&format!("{call} was called"), BOUND, || async {
        let calls = pair.calls(call);
        if calls >= count { Ok(()) } else { Err(format!("{calls} times")) }
    })
    .await;
}

/// Fails the test unless each job took one full snapshot because it was new, and another only as its backup
/// had lost a tablet to a forced drop.
pub fn assert_one_full_backup(syncer: &Syncer, jobs: usize) {
    let log = syncer.log_text();
    let full: Vec<&str> = log.lines().filter(|line| line.contains("full sync: backup")).collect();
    let (first, others): (Vec<&str>, Vec<&str>) =
        full.iter().partition(|line| line.contains("reason=the job is new"));
    assert_eq!(first.len(), jobs, "full backups:\n{}", full.join("\n"));
    let lost_tablet = |line: &&str| line.contains("was cancelled") && line.contains("make snapshot failed");
    let unexpected: Vec<&str> = others.into_iter().filter(|line| !lost_tablet(line)).collect();
    assert!(unexpected.is_empty(), "more full backups:\n{}", unexpected.join("\n"));
}
