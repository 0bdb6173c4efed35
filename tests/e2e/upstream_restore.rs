//! Restores that operators make upstream, of which the binlog says nothing.

use minidoris::Cluster;
use serde_json::Value;

use crate::harness::{BOUND, DB, Pair, Syncer, Target, assert_equal, wait_until};
use crate::matrix::assert_same_database;

const JOB: &str = "restored";

/// Waits until the newest job that a statement shows is finished.
pub async fn finished(cluster: &Cluster, show: &str, column: usize) {
    wait_until(show, BOUND, || async {
        let shown = cluster.sql(show).await.expect("jobs are shown");
        let newest = shown.rows.last().expect("there is a job");
        if newest[column].as_deref() == Some("FINISHED") { Ok(()) } else { Err(format!("{newest:?}")) }
    })
    .await;
}

/// Keeps tables as they are now in a repository.
async fn back_up(pair: &Pair, label: &str, tables: &str) {
    pair.run(&format!("BACKUP SNAPSHOT {DB}.{label} TO r ON ({tables})")).await;
    finished(&pair.up, &format!("SHOW BACKUP FROM {DB}"), 3).await;
}

/// Restores what was kept under a label, upstream.
async fn restore(pair: &Pair, label: &str, on: &str, properties: &str) {
    submit_restore(&pair.up, label, on, properties).await;
    finished(&pair.up, &format!("SHOW RESTORE FROM {DB}"), 4).await;
}

/// Begins to restore what the repository `r` keeps under a label.
pub async fn submit_restore(cluster: &Cluster, label: &str, on: &str, properties: &str) {
    let kept = cluster.sql("SHOW SNAPSHOT ON r").await.expect("snapshots are listed").rows;
    let timestamp = kept
        .iter()
        .find(|row| row[0].as_deref() == Some(label))
        .and_then(|row| row[1].clone())
        .expect("the snapshot is listed");
    let sql = format!(
        "RESTORE SNAPSHOT {DB}.{label} FROM r ON ({on}) PROPERTIES (\"backup_timestamp\" = \"{timestamp}\", \
         \"reserve_replica\" = \"true\"{properties})"
    );
    cluster.sql_in(DB, &sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

const ATOMIC: &str = ", \"atomic_restore\" = \"true\"";

/// A source with `t` and `other` of three rows each, and a repository `r` that keeps `t` under the label `kept`;
/// `t` has got more rows since.
///
/// All clusters of the process share what lies at a location, so each test has one of its own.
pub async fn kept(location: &str) -> Pair {
    let pair = Pair::start().await;
    pair.create_database().await;
    for table in ["t", "other"] {
        pair.create_table(table, 2).await;
        pair.insert(table, 0..3).await;
    }
    pair.run(&format!("CREATE REPOSITORY r WITH LOCAL ON LOCATION \"/kept/{location}\"")).await;
    back_up(&pair, "kept", "t").await;
    pair.insert("t", 3..7).await;
    pair
}

/// Waits until so many tables were restored downstream, and everything is replicated after that.
async fn copied(pair: &Pair, syncer: &Syncer, restores: u64) {
    wait_until("a restore downstream", BOUND, || async {
        let made = pair.down.counters().get("restoreSnapshot");
        if made >= restores { Ok(()) } else { Err(format!("{made} restores")) }
    })
    .await;
    syncer.wait_for(JOB, Target::InSync).await;
}

async fn history(syncer: &Syncer) -> Vec<Value> {
    syncer.progress(JOB).await["history"].as_array().cloned().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_of_a_table_job_is_replaced_by_a_restore() {
    let pair = kept("table_job").await;
    let syncer = Syncer::start().await;
    syncer.create(&pair.table_job(JOB, "t", "target")).await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_eq!(pair.downstream_rows("target").await, 7);
    restore(&pair, "kept", "t", ATOMIC).await;
    copied(&pair, &syncer, 2).await;
    assert_eq!(pair.downstream_rows("target").await, 3);
    assert_equal(&pair, "t", "target").await;
    pair.insert("t", 20..25).await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_equal(&pair, "t", "target").await;
    let history = history(&syncer).await;
    let is_named = |entry: &Value| entry["reason"].as_str().is_some_and(|text| text.contains("was replaced"));
    assert!(history.iter().any(is_named), "{history:?}");
    syncer.finish().await;
}

/// A database job in sync over `t` and `other`.
async fn in_sync(location: &str) -> (Pair, Syncer) {
    let pair = kept(location).await;
    let syncer = Syncer::start().await;
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_eq!(pair.downstream_rows("t").await, 7);
    (pair, syncer)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_restore_overwrites_or_replaces_is_copied_though_nothing_is_written_to_it() {
    let (pair, syncer) = in_sync("overwritten").await;
    for (restores, properties) in [(2, ""), (3, ATOMIC)] {
        restore(&pair, "kept", "t", properties).await;
        copied(&pair, &syncer, restores).await;
        assert_eq!(pair.downstream_rows("t").await, 3);
        assert_equal(&pair, "t", "t").await;
        assert_eq!(pair.up.counters().get("sql:BACKUP"), restores, "one table is copied, once");
        pair.insert("t", 30..34).await;
        pair.insert("other", 30..34).await;
        syncer.wait_for(JOB, Target::InSync).await;
        for table in ["t", "other"] {
            assert_equal(&pair, table, table).await;
        }
    }
    let history = history(&syncer).await;
    let is_told = |entry: &&Value| entry["reason"].as_str().is_some_and(|text| text.contains("CCR0315"));
    assert!(history.iter().filter(is_told).count() >= 2, "{history:?}");
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_a_restore_brings_is_copied_and_the_one_it_was_taken_from_is_not() {
    let (pair, syncer) = in_sync("alias").await;
    restore(&pair, "kept", "t AS t_old", "").await;
    copied(&pair, &syncer, 2).await;
    assert_eq!(pair.downstream_tables().await, ["other", "t", "t_old"]);
    for table in ["t_old", "t", "other"] {
        assert_equal(&pair, table, table).await;
    }
    let progress = syncer.progress(JOB).await;
    assert_eq!(progress["apart"].as_array().map(Vec::len), Some(0), "{progress}");
    assert_eq!(pair.down.counters().get("restoreSnapshot"), 2, "all tables once, and the new one");
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_restored_before_the_job_or_while_it_is_away_is_told_apart() {
    let pair = kept("away").await;
    restore(&pair, "kept", "t", "").await;
    let mut syncer = Syncer::start().await;
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_equal(&pair, "t", "t").await;
    pair.insert("t", 50..60).await;
    syncer.wait_for(JOB, Target::InSync).await;
    syncer.kill();
    restore(&pair, "kept", "t", "").await;
    pair.run("ALTER TABLE t RENAME moved").await;
    syncer.restart().await;
    copied(&pair, &syncer, 2).await;
    assert_equal(&pair, "moved", "moved").await;
    assert_eq!(pair.downstream_rows("moved").await, 3);
    assert_eq!(pair.down.counters().get("restoreSnapshot"), 2, "one for each snapshot");
    syncer.finish().await;
}

/// A restore that the job has not noticed is a lag, and not only when it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_restore_upstream_is_a_lag_at_once() {
    let pair = kept("at_once").await;
    let syncer = Syncer::start().await;
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_for(JOB, Target::InSync).await;
    for properties in ["", ATOMIC] {
        pair.insert("t", 30..33).await;
        syncer.wait_for(JOB, Target::InSync).await;
        restore(&pair, "kept", "t", properties).await;
        wait_until("a lag of zero", BOUND, || async {
            match syncer.lag(JOB).await {
                0 => Ok(()),
                lag => Err(format!("lag {lag}")),
            }
        })
        .await;
        assert_equal(&pair, "t", "t").await;
    }
    syncer.finish().await;
}

/// A restore in the place of a view gives it another id and its definition of before, and the binlog tells of neither.
#[tokio::test(flavor = "multi_thread")]
async fn views_that_a_restore_brings_or_replaces_are_followed() {
    let (pair, mut syncer) = in_sync("views").await;
    for view in ["v1", "v2", "v3"] {
        pair.run(&format!("CREATE VIEW {view} AS SELECT k FROM t")).await;
    }
    back_up(&pair, "viewed", "v1, v2, v3").await;
    // Over a view of another definition no restore goes.
    pair.run("DROP VIEW v1").await;
    pair.run("DROP VIEW v2").await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_same_database(&pair).await;
    restore(&pair, "viewed", "v1, v2, v3", ATOMIC).await;
    assert!(syncer.lag(JOB).await > 0, "the views are others");
    syncer.wait_for(JOB, Target::InSync).await;
    assert_same_database(&pair).await;
    assert_eq!(pair.downstream_tables().await, ["other", "t", "v1", "v2", "v3"]);
    // Their statements name ids that no other statement has told of.
    pair.run("ALTER VIEW v2 AS SELECT v FROM other").await;
    pair.run("DROP VIEW v3").await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_same_database(&pair).await;
    syncer.kill();
    restore(&pair, "viewed", "v1, v3", ATOMIC).await;
    pair.run("DROP VIEW v1").await;
    syncer.restart().await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_same_database(&pair).await;
    assert_eq!(pair.up.counters().get("sql:BACKUP"), 1, "that of the new job");
    syncer.finish().await;
}
