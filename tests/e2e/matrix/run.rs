//! Running cases at all moments.

use std::sync::atomic::Ordering;
use std::time::Duration;

use doris_types::record::BinlogType;
use minidoris::exec;
use minidoris::fault::DebugPoint;
use minidoris::{Cluster, ClusterOptions, NodeId};
use serde_json::{Value, json};

use super::same::{assert_same_databases, assert_same_table};
use super::served::{Lists, assert_served};
use super::{Case, HOLD_ALTERS, RELEASE_ALTERS, SETTLE, STEP_ALTERS};
use crate::harness::compare::Place;
use crate::harness::pair::side;
use crate::harness::{BOUND, DB, Pair, Syncer, Target, wait_until};

const JOB: &str = "matrix";
/// While it is on, a restore that has begun stays as it is.
pub const HOLD_RESTORES: &str = "FE.PAUSE_NON_PENDING_RESTORE_JOB";

/// Where the targets of jobs are.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// The database downstream.
    pub db: &'static str,
    /// What is added to the name of a table job's table.
    pub suffix: &'static str,
}

impl Shape {
    /// Everything has the name that it has upstream.
    pub const SAME: Self = Self { db: DB, suffix: "" };
    pub const OTHER_TABLE: Self = Self { db: DB, suffix: "_target" };
    pub const OTHER_DATABASE: Self = Self { db: "d2", suffix: "" };
    pub const OTHER_TABLE_AND_DATABASE: Self = Self { db: "d2", suffix: "_target" };

    pub fn place(self, pair: &Pair) -> Place<'_> {
        Place { cluster: &pair.down, db: self.db }
    }

    /// The target of a table job on the case's table.
    pub fn target_of(self, case: &Case, moment: &str) -> String {
        format!("{}{}", name_at(case, moment), self.suffix)
    }

    /// The body of a job's `/create_ccr`; the tables are empty for a database job.
    pub fn job(self, pair: &Pair, name: &str, source: &str, target: &str) -> Value {
        json!({
            "name": name, "src": side(&pair.up, 0, DB, source), "dest": side(&pair.down, 0, self.db, target)
        })
    }
}

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
    in_database_job_of(slow_pair(|_| {}).await, Shape::SAME, cases, types, &[]).await;
}

/// The same with these clusters and this database downstream; the log may hold the `allowed` texts.
pub async fn in_database_job_of(
    pair: Pair,
    shape: Shape,
    cases: &[Case],
    types: &[BinlogType],
    allowed: &[&str],
) {
    for moment in ["before", "backup", "restore", "stream"] {
        run(&pair, cases, moment, |case| case.setup).await;
    }
    run(&pair, cases, "before", |case| case.change).await;

    let mut syncer = Syncer::start().await;
    allowed.iter().for_each(|text| syncer.allow(text));
    hold_backups(&pair);
    hold_restores(&pair);
    syncer.create(&shape.job(&pair, JOB, "", "")).await;
    begun(&pair.up, DB, "BACKUP", None).await;
    run(&pair, cases, "before", |case| case.after).await;
    run(&pair, cases, "backup", |case| case.change).await;
    assert_under_way(&pair.up, DB, "BACKUP", None).await;
    release_backups(&pair);
    begun(&pair.down, shape.db, "RESTORE", None).await;
    run(&pair, cases, "restore", |case| case.change).await;
    run(&pair, cases, "backup", |case| case.after).await;
    assert_under_way(&pair.down, shape.db, "RESTORE", None).await;
    release_restores(&pair);
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
    assert_served(&pair, types, stream_starts, Lists::Database).await;
    assert_same_databases(pair.source(), shape.place(&pair)).await;
    assert_one_full_backup(&syncer, 1);
    syncer.finish().await;
}

/// Each case at each moment in a table job of its own, whose target has another name. The stream writes
/// binlogs of all `types` to the lists of the tables.
pub async fn in_table_jobs(cases: &[Case], types: &[BinlogType]) {
    in_table_jobs_of(Shape::OTHER_TABLE, cases, types).await;
}

/// The same with targets of this shape.
pub async fn in_table_jobs_of(shape: Shape, cases: &[Case], types: &[BinlogType]) {
    let at = |moment| async move {
        in_table_jobs_at(slow_pair(|_| {}).await, shape, cases, types, moment, &[]).await
    };
    futures::join!(at("before"), at("backup"), at("restore"), at("stream"));
}

/// One moment of it with these clusters; the log may hold the `allowed` texts.
pub async fn in_table_jobs_at(
    pair: Pair,
    shape: Shape,
    cases: &[Case],
    types: &[BinlogType],
    moment: &str,
    allowed: &[&str],
) {
    let mut syncer = Syncer::start().await;
    allowed.iter().for_each(|text| syncer.allow(text));
    run(&pair, cases, moment, |case| case.setup).await;
    let stream_starts = last_seq(&pair);
    for case in cases {
        let one = std::slice::from_ref(case);
        let (table, target) = (name_at(case, moment), shape.target_of(case, moment));
        if moment == "before" {
            run(&pair, one, moment, |case| case.change).await;
        }
        let source = if moment == "before" { end_of(case, moment) } else { table.clone() };
        let held = match moment {
            "backup" => Some((&pair.up, DB, "BACKUP")),
            "restore" => Some((&pair.down, shape.db, "RESTORE")),
            _ => None,
        };
        match moment {
            "backup" => hold_backups(&pair),
            "restore" => hold_restores(&pair),
            _ => {}
        }
        syncer.create(&shape.job(&pair, &table, &source, &target)).await;
        match held {
            Some((cluster, db, what)) => begun(cluster, db, what, Some(&table)).await,
            None => syncer.wait_for(&table, Target::InSync).await,
        }
        if moment != "before" {
            run(&pair, one, moment, |case| case.change).await;
        }
        if let Some((cluster, db, what)) = held {
            assert_under_way(cluster, db, what, Some(&table)).await;
        }
        release_backups(&pair);
        release_restores(&pair);
        run(&pair, one, moment, |case| case.after).await;
        if moment == "backup" || moment == "restore" {
            // A copy of this table that is under way would be held with the next one's. And a database keeps
            // ten backups: that of a job which waits for its turn to restore would be gone.
            syncer.wait_for(&table, Target::InSync).await;
        }
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
        assert_served(&pair, types, stream_starts, Lists::OfTables).await;
    }
    for case in cases {
        let (end, target) = (end_of(case, moment), shape.target_of(case, moment));
        assert_same_table(pair.source(), &end, shape.place(&pair), &target).await;
    }
    assert_one_full_backup(&syncer, cases.len());
    syncer.finish().await;
}

pub fn end_of(case: &Case, moment: &str) -> String {
    case.ends_as.replace("{t}", &name_at(case, moment))
}

/// The last commit seq of the database upstream.
pub fn last_seq(pair: &Pair) -> i64 {
    pair.database_binlogs(|db| db.list().last().map_or(-1, |entry| entry.commit_seq))
}

fn name_at(case: &Case, moment: &str) -> String {
    format!("{}_{moment}", case.name)
}

/// Runs a part of every case.
pub async fn run(pair: &Pair, cases: &[Case], moment: &str, part: impl Fn(&Case) -> &'static [&'static str]) {
    for case in cases {
        for statement in part(case) {
            let alters_paused = &pair.up.inner().alters_paused;
            match *statement {
                SETTLE => settle(pair).await,
                HOLD_ALTERS => alters_paused.store(true, Ordering::Release),
                RELEASE_ALTERS => alters_paused.store(false, Ordering::Release),
                STEP_ALTERS => assert!(exec::job::step(pair.up.inner()), "a job moves"),
                sql => pair.run(&sql.replace("{t}", &name_at(case, moment))).await,
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

/// From here on, a backup stays as it is when it has fixed what it holds.
fn hold_backups(pair: &Pair) {
    pair.up.inner().backups_held.store(true, Ordering::Release);
}

fn release_backups(pair: &Pair) {
    pair.up.inner().backups_held.store(false, Ordering::Release);
}

fn hold_restores(pair: &Pair) {
    pair.down.inner().debug_points.add(NodeId::Fe(0), HOLD_RESTORES, DebugPoint::default());
}

fn release_restores(pair: &Pair) {
    pair.down.inner().debug_points.remove(NodeId::Fe(0), HOLD_RESTORES);
}

/// Waits until a backup, of the table if one is named, has fixed what it holds, or a restore has begun to change
/// the catalogue. Those of other jobs take turns with it.
async fn begun(cluster: &Cluster, db: &str, what: &str, table: Option<&str>) {
    wait_until(&format!("the {what} of {table:?} has begun"), BOUND, || async {
        let states = states(cluster, db, what, table).await?;
        if states.iter().any(|state| state != "PENDING") { Ok(()) } else { Err(format!("{states:?}")) }
    })
    .await;
}

/// Fails the test if what has begun is over by now.
async fn assert_under_way(cluster: &Cluster, db: &str, what: &str, table: Option<&str>) {
    let states = states(cluster, db, what, table).await.expect("jobs are shown");
    let ended = |state: &String| matches!(state.as_str(), "PENDING" | "FINISHED" | "CANCELLED");
    assert!(
        !states.is_empty() && !states.iter().any(ended),
        "the {what} of {table:?} is under way: {states:?}"
    );
}

/// The states of a database's backups or restores; of those of a table, if one is named.
async fn states(cluster: &Cluster, db: &str, what: &str, table: Option<&str>) -> Result<Vec<String>, String> {
    // As `[d1.t]` among the objects of a backup, as a JSON string among those of a restore.
    let objects_hold = |objects: &str| {
        table.is_none_or(|table| {
            objects.contains(&format!(".{table}]")) || objects.contains(&format!("\"{table}\""))
        })
    };
    let shown = cluster.sql_in(db, &format!("SHOW {what}")).await.map_err(|error| error.to_string())?;
    let at = |name: &str| shown.columns.iter().position(|column| column == name).expect("it is shown");
    let (objects, state) = (at(if what == "BACKUP" { "BackupObjs" } else { "RestoreObjs" }), at("State"));
    let text = |cell: &Option<String>| cell.clone().unwrap_or_default();
    let of_table = shown.rows.iter().filter(|row| objects_hold(&text(&row[objects])));
    Ok(of_table.map(|row| text(&row[state])).collect())
}

/// Fails the test unless each job took one full snapshot because it was new, and another only as its backup
/// had lost a tablet to a forced drop, as nothing had the name of a table job's table when its backup came to it, or
/// as another table has taken its place.
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
            let replaced = [
                "the upstream table was replaced",
                "another table took the name meanwhile",
                "it does not hold the table, which was renamed or dropped meanwhile",
            ];
            !lost_tablet && !replaced.iter().any(|reason| line.contains(reason))
        })
        .collect();
    assert!(unexpected.is_empty(), "more full backups:\n{}", unexpected.join("\n"));
}
