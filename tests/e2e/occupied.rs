//! A database runs one backup or restore at a time: that of somebody else is waited for, and named.

use minidoris::fault::{DebugPoint, Fault, FaultKind};
use minidoris::{Cluster, NodeId};

use crate::harness::{BOUND, DB, Pair, Syncer, Target, assert_equal, wait_until};
use crate::upstream_restore::{finished, kept, submit_restore};

const JOB: &str = "waiting";

/// While it is on, backups do not begin.
const HOLD_BACKUPS: &str = "FE.PAUSE_PENDING_BACKUP_JOB";

/// While it is on, restores do not begin.
const HOLD_RESTORES: &str = "FE.PAUSE_PENDING_RESTORE_JOB";

fn hold(cluster: &Cluster, point: &str) {
    cluster.inner().debug_points.add(NodeId::Fe(0), point, DebugPoint::default());
}

fn release(cluster: &Cluster, point: &str) {
    cluster.inner().debug_points.remove(NodeId::Fe(0), point);
}

async fn says(syncer: &Syncer, parts: &[&str]) {
    wait_until(&format!("the job says {parts:?}"), BOUND, || async {
        let told = format!("{} {}", syncer.status(JOB).await, syncer.progress(JOB).await);
        if parts.iter().all(|part| told.contains(part)) { Ok(()) } else { Err(told) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_somebody_else_is_waited_for_by_name() {
    let pair = Pair::start().await;
    pair.create_database().await;
    for table in ["t", "other"] {
        pair.create_table(table, 2).await;
        pair.insert(table, 0..10).await;
    }
    hold(&pair.up, HOLD_BACKUPS);
    pair.run("BACKUP SNAPSHOT d1.nightly TO `__keep_on_local__` ON (other)").await;
    let syncer = Syncer::start().await;
    syncer.create(&pair.database_job(JOB)).await;
    says(&syncer, &["waiting for another backup", "nightly"]).await;
    pair.insert("t", 10..20).await;
    release(&pair.up, HOLD_BACKUPS);
    syncer.wait_for(JOB, Target::InSync).await;
    assert_equal(&pair, "t", "t").await;

    // The same when a table is copied on its own.
    hold(&pair.up, HOLD_BACKUPS);
    pair.run("BACKUP SNAPSHOT d1.weekly TO `__keep_on_local__` ON (other)").await;
    pair.run("ALTER TABLE t ADD COLUMN k2 INT KEY DEFAULT \"3\" AFTER k").await;
    says(&syncer, &["waiting for another backup", "weekly"]).await;
    release(&pair.up, HOLD_BACKUPS);
    syncer.wait_for(JOB, Target::InSync).await;
    assert_equal(&pair, "t", "t").await;
    let backups = pair.up.sql_in(DB, "SHOW BACKUP").await.expect("backups are listed");
    assert_eq!(backups.rows.len(), 4, "two of the job, two of others: {:?}", backups.rows);
    syncer.finish().await;
}

/// A foreign job that occupies a database, and what ends it.
#[derive(Debug, Clone, Copy)]
enum Foreign {
    Backup,
    Restore,
}

impl Foreign {
    fn point(self) -> &'static str {
        match self {
            Foreign::Backup => HOLD_BACKUPS,
            Foreign::Restore => HOLD_RESTORES,
        }
    }

    /// Begins and stays as it is. A backup is of the table `mine`, a restore brings the table of that name.
    async fn begin(self, cluster: &Cluster, label: &str, mine: &str) {
        hold(cluster, self.point());
        match self {
            Foreign::Backup => {
                let sql = format!("BACKUP SNAPSHOT {DB}.{label} TO `__keep_on_local__` ON ({mine})");
                cluster.sql_in(DB, &sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
            }
            Foreign::Restore => submit_restore(cluster, "kept", &format!("t AS {mine}"), "").await,
        }
    }

    async fn end(self, cluster: &Cluster) {
        release(cluster, self.point());
        match self {
            Foreign::Backup => finished(cluster, &format!("SHOW BACKUP FROM {DB}"), 3).await,
            Foreign::Restore => finished(cluster, &format!("SHOW RESTORE FROM {DB}"), 4).await,
        }
    }
}

/// The names of the jobs that a database shows.
async fn labels(cluster: &Cluster, show: &str) -> Vec<String> {
    let shown = cluster.sql(&format!("{show} FROM {DB}")).await.expect("jobs are shown");
    let at = shown.columns.iter().position(|name| name == "Label" || name == "SnapshotName");
    let at = at.unwrap_or_else(|| panic!("no label among {:?}", shown.columns));
    shown.rows.into_iter().map(|row| row[at].clone().unwrap_or_default()).collect()
}

/// The target database is occupied when everything is copied, and when a table is.
async fn the_target_is_occupied(foreign: Foreign, location: &str) {
    let pair = kept(location).await;
    let down = &pair.down;
    for sql in [
        "CREATE DATABASE d1".to_owned(),
        format!("CREATE REPOSITORY r WITH LOCAL ON LOCATION \"/kept/{location}\""),
        "CREATE TABLE d1.mine (k INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1".to_owned(),
    ] {
        down.sql(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    let named = |label: &'static str| match foreign {
        Foreign::Backup => label,
        Foreign::Restore => "kept",
    };
    let (first, second) = match foreign {
        Foreign::Backup => ("mine", "mine"),
        Foreign::Restore => ("mine_2", "mine_3"),
    };
    let snapshots = pair.up.counters().get("sql:BACKUP");
    foreign.begin(down, "hourly", first).await;
    let mut syncer = Syncer::start().await;
    syncer.allow("target database d1 already has 1 tables");
    syncer.create(&pair.database_job(JOB)).await;
    says(&syncer, &["waiting for another backup or restore", named("hourly")]).await;
    pair.insert("t", 10..20).await;
    foreign.end(down).await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_equal(&pair, "t", "t").await;

    foreign.begin(down, "daily", second).await;
    pair.run("ALTER TABLE t ADD COLUMN k2 INT KEY DEFAULT \"3\" AFTER k").await;
    says(&syncer, &["waiting for another backup or restore", named("daily")]).await;
    // Only the table that is copied waits.
    pair.insert("other", 10..20).await;
    wait_until("the rows of the other table arrive", BOUND, || async {
        let rows = pair.downstream_rows("other").await;
        if rows == 13 { Ok(()) } else { Err(format!("{rows} rows")) }
    })
    .await;
    foreign.end(down).await;
    syncer.wait_for(JOB, Target::InSync).await;
    for table in ["t", "other"] {
        assert_equal(&pair, table, table).await;
    }
    assert_eq!(pair.up.counters().get("sql:BACKUP") - snapshots, 2, "no snapshot is taken for the wait");
    let restored = labels(down, "SHOW RESTORE").await;
    let foreign_ones = restored.iter().filter(|label| *label == "kept").count();
    assert_eq!(restored.len() - foreign_ones, 2, "each snapshot is restored once: {restored:?}");
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_of_somebody_else_in_the_target_database_is_waited_for_by_name() {
    the_target_is_occupied(Foreign::Restore, "occupied_by_restore").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_the_target_database_is_waited_for_by_name() {
    the_target_is_occupied(Foreign::Backup, "occupied_by_backup").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_of_somebody_else_in_the_source_database_is_waited_for_by_name() {
    let pair = kept("occupied_source").await;
    let snapshots = pair.up.counters().get("sql:BACKUP");
    let foreign = Foreign::Restore;
    foreign.begin(&pair.up, "", "t_old").await;
    let syncer = Syncer::start().await;
    syncer.create(&pair.database_job(JOB)).await;
    says(&syncer, &["waiting for another backup or restore", "kept"]).await;
    pair.insert("t", 10..20).await;
    foreign.end(&pair.up).await;
    syncer.wait_for(JOB, Target::InSync).await;
    for table in ["t", "t_old", "other"] {
        assert_equal(&pair, table, table).await;
    }
    // The same when a table is copied on its own; the restored one is copied after that.
    foreign.begin(&pair.up, "", "t_older").await;
    pair.run("ALTER TABLE t ADD COLUMN k2 INT KEY DEFAULT \"3\" AFTER k").await;
    says(&syncer, &["waiting for another backup or restore", "kept"]).await;
    foreign.end(&pair.up).await;
    wait_until("the restored table is copied", BOUND, || async {
        let tables = pair.downstream_tables().await;
        if tables.iter().any(|name| name == "t_older") { Ok(()) } else { Err(format!("{tables:?}")) }
    })
    .await;
    syncer.wait_for(JOB, Target::InSync).await;
    for table in ["t", "t_old", "t_older", "other"] {
        assert_equal(&pair, table, table).await;
    }
    let taken = labels(&pair.up, "SHOW BACKUP").await;
    assert_eq!(taken.len(), 4, "that of the repository, all tables, and two by themselves: {taken:?}");
    assert!(pair.up.counters().get("sql:BACKUP") - snapshots > 3, "it was tried while another job ran");
    syncer.finish().await;
}

/// An upstream keeps the snapshots of the last ten backups of a database. Jobs that begin at once take turns, so that
/// none of them takes a second one because others have pushed out its first.
#[tokio::test(flavor = "multi_thread")]
async fn more_jobs_than_the_upstream_keeps_snapshots_take_one_each() {
    const JOBS: usize = 14;
    const AT_A_TIME: usize = 4;
    let pair = Pair::start().await;
    pair.create_database().await;
    for number in 0..JOBS {
        pair.create_table(&format!("t{number}"), 1).await;
        pair.insert(&format!("t{number}"), 0..5).await;
    }
    // Nobody gets what has been backed up: without turns all would be.
    pair.up.faults().add(Fault::new(FaultKind::CutBefore).call("getSnapshot"));
    let mut syncer = Syncer::start().await;
    syncer.allow("keeps failing, retrying");
    let jobs: Vec<String> = (0..JOBS).map(|number| format!("job{number}")).collect();
    for (number, job) in jobs.iter().enumerate() {
        let table = format!("t{number}");
        syncer.create(&pair.table_job(job, &table, &table)).await;
    }
    let backups = async || pair.up.sql_in(DB, "SHOW BACKUP").await.expect("backups are listed").rows;
    wait_until("all but some wait for their turns", BOUND, || async {
        let (mut waiting, mut steps) = (0, Vec::new());
        for job in &jobs {
            let step = syncer.status(job).await["step"].to_string();
            waiting += usize::from(step.contains("waiting until other snapshots of database d1"));
            steps.push(step);
        }
        let rows = backups().await;
        let ended = rows.iter().filter(|row| row[3].as_deref() == Some("FINISHED")).count();
        let is_so = (waiting, ended) == (JOBS - AT_A_TIME, AT_A_TIME);
        if is_so { Ok(()) } else { Err(format!("{rows:?} {steps:?}")) }
    })
    .await;
    assert_eq!(backups().await.len(), AT_A_TIME);
    pair.up.faults().clear();
    for (number, job) in jobs.iter().enumerate() {
        syncer.wait_for(job, Target::InSync).await;
        let table = format!("t{number}");
        assert_equal(&pair, &table, &table).await;
        let outcomes = wait_until("the full sync is in the history", BOUND, || async {
            let progress = syncer.progress(job).await;
            let history = progress["history"].as_array().cloned().unwrap_or_default();
            let outcomes: Vec<String> = history.iter().map(|entry| entry["outcome"].to_string()).collect();
            let is_there = outcomes.iter().any(|outcome| outcome == "\"restored\"");
            if is_there { Ok(outcomes) } else { Err(progress.to_string()) }
        })
        .await;
        assert!(!outcomes.iter().any(|outcome| outcome.contains("another snapshot")), "{job}: {outcomes:?}");
    }
    syncer.finish().await;
}
