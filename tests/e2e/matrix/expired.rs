//! DUMMY, which no statement writes: what was in the binlog has expired. Before the job, while its snapshot is
//! taken, while it is put in place, and while the job is away; in database jobs and table jobs, under all names.

use minidoris::fault::DebugPoint;
use minidoris::{Cluster, NodeId};
use serde_json::json;

use super::run::{HOLD_RESTORES, Shape, slow_pair};
use super::same::{assert_same_databases, assert_same_table};
use crate::harness::compare::Place;
use crate::harness::pair::side;
use crate::harness::{BOUND, DB, Pair, Syncer, Target, wait_until};

const JOB: &str = "expired";
const HOLD_BACKUPS: &str = "FE.PAUSE_PENDING_BACKUP_JOB";

/// A database job, or a table job on the table `t`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Database,
    Table,
}

/// Loads and a change that nobody can read any more when it returns.
async fn lose(pair: &Pair, column: &str, key: i32) {
    for statement in [
        format!("INSERT INTO t (k, v) VALUES ({key}, 'lost')"),
        format!("ALTER TABLE t ADD COLUMN {column} INT DEFAULT \"{key}\""),
        format!("DELETE FROM t WHERE k = {}", key - 1),
    ] {
        pair.run(&statement).await;
    }
    pair.up.expire_binlogs(DB).expect("the database is there");
    pair.run(&format!("INSERT INTO t (k, v) VALUES ({}, 'kept')", key + 1)).await;
}

async fn called(pair: &Pair, call: &str) {
    wait_until(&format!("{call} is called"), BOUND, || async {
        if pair.calls(call) > 0 { Ok(()) } else { Err("it is not".to_owned()) }
    })
    .await;
}

fn hold(cluster: &Cluster, point: &str) {
    cluster.inner().debug_points.add(NodeId::Fe(0), point, DebugPoint::default());
}

fn release(cluster: &Cluster, point: &str) {
    cluster.inner().debug_points.remove(NodeId::Fe(0), point);
}

/// How often the job has told that something expired.
fn told(syncer: &Syncer) -> usize {
    let log = syncer.log_text();
    log.lines().filter(|line| line.contains("decision") && line.contains("expired")).count()
}

async fn gaps_are_crossed(of: Of, shape: Shape) {
    let pair = slow_pair(|_| {}).await;
    for table in ["t", "other"] {
        pair.create_table(table, 2).await;
        pair.insert(table, 0..50).await;
    }
    lose(&pair, "c1", 100).await;
    hold(&pair.up, HOLD_BACKUPS);
    hold(&pair.down, HOLD_RESTORES);
    let syncer = Syncer::start().await;
    let (source, target) = match of {
        Of::Database => ("", String::new()),
        Of::Table => ("t", format!("t{}", shape.suffix)),
    };
    let (src, dest) = (side(&pair.up, 0, DB, source), side(&pair.down, 0, shape.db, &target));
    syncer.create(&json!({ "name": JOB, "src": src, "dest": dest })).await;
    called(&pair, "sql:BACKUP").await;
    lose(&pair, "c2", 200).await;
    release(&pair.up, HOLD_BACKUPS);
    called(&pair, "restoreSnapshot").await;
    assert_eq!(told(&syncer), 0, "what expires before the snapshot is in it");
    lose(&pair, "c3", 300).await;
    release(&pair.down, HOLD_RESTORES);
    syncer.wait_for(JOB, Target::InSync).await;
    let place = Place { cluster: &pair.down, db: shape.db };
    let same = async || match of {
        Of::Database => assert_same_databases(pair.source(), place).await,
        Of::Table => assert_same_table(pair.source(), "t", place, &target).await,
    };
    same().await;
    let told_before = told(&syncer);
    assert!(told_before > 0, "what expired after the snapshot is missing:\n{}", syncer.log_text());
    syncer.pause(JOB).await;
    lose(&pair, "c4", 400).await;
    syncer.resume(JOB).await;
    syncer.wait_for(JOB, Target::InSync).await;
    same().await;
    assert!(told(&syncer) > told_before, "the gap is told:\n{}", syncer.log_text());
    pair.run("INSERT INTO t (k, v) VALUES (500, 'after')").await;
    syncer.wait_for(JOB, Target::InSync).await;
    same().await;
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_expired_is_copied_in_database_jobs() {
    futures::join!(
        gaps_are_crossed(Of::Database, Shape::SAME),
        gaps_are_crossed(Of::Database, Shape::OTHER_DATABASE)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_expired_is_copied_in_table_jobs() {
    futures::join!(
        gaps_are_crossed(Of::Table, Shape::SAME),
        gaps_are_crossed(Of::Table, Shape::OTHER_TABLE),
        gaps_are_crossed(Of::Table, Shape::OTHER_DATABASE),
        gaps_are_crossed(Of::Table, Shape::OTHER_TABLE_AND_DATABASE)
    );
}
