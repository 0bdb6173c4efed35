//! Restores that operators make upstream, of which the binlog says nothing.

use minidoris::Cluster;
use serde_json::Value;

use crate::harness::{BOUND, DB, Pair, Syncer, Target, assert_equal, wait_until};

const JOB: &str = "restored";

/// Waits until the newest job that a statement shows is finished.
async fn finished(cluster: &Cluster, show: &str, column: usize) {
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
    let kept = pair.up.sql("SHOW SNAPSHOT ON r").await.expect("snapshots are listed").rows;
    let timestamp = kept
        .iter()
        .find(|row| row[0].as_deref() == Some(label))
        .and_then(|row| row[1].clone())
        .expect("the snapshot is listed");
    pair.run(&format!(
        "RESTORE SNAPSHOT {DB}.{label} FROM r ON ({on}) PROPERTIES (\"backup_timestamp\" = \"{timestamp}\", \
         \"reserve_replica\" = \"true\"{properties})"
    ))
    .await;
    finished(&pair.up, &format!("SHOW RESTORE FROM {DB}"), 4).await;
}

const ATOMIC: &str = ", \"atomic_restore\" = \"true\"";

/// A source with `t` and `other` of three rows each, and a repository `r` that keeps `t` under the label `kept`;
/// `t` has got more rows since.
async fn kept() -> Pair {
    let pair = Pair::start().await;
    pair.create_database().await;
    for table in ["t", "other"] {
        pair.create_table(table, 2).await;
        pair.insert(table, 0..3).await;
    }
    pair.run("CREATE REPOSITORY r WITH LOCAL ON LOCATION \"/kept\"").await;
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
    let pair = kept().await;
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
