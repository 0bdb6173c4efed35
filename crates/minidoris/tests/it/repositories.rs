//! Repositories between clusters and across restarts.

use minidoris::{Cluster, ClusterOptions};

use crate::harness::{LIMIT, bounded};

async fn start(options: ClusterOptions) -> Cluster {
    bounded(Cluster::start(options)).await.unwrap()
}

async fn sql(cluster: &Cluster, text: &str) -> Vec<Vec<String>> {
    let rows = bounded(cluster.sql(text)).await.unwrap().rows;
    let cell = |cell: Option<String>| cell.unwrap_or_else(|| "NULL".to_owned());
    rows.into_iter().map(|row| row.into_iter().map(cell).collect()).collect()
}

/// Waits until the newest job that the statement shows has the state, in the given column.
async fn until(cluster: &Cluster, show: &str, column: usize, state: &str) {
    let reached = async {
        while sql(cluster, show).await.last().is_none_or(|row| row[column] != state) {
            tokio::task::yield_now().await;
        }
    };
    let outcome = tokio::time::timeout(LIMIT, reached).await;
    assert!(outcome.is_ok(), "{:?}", sql(cluster, show).await);
}

const TABLE: &str = "CREATE DATABASE d; USE d; CREATE TABLE t (k int, v varchar(9)) UNIQUE KEY(k) \
    DISTRIBUTED BY HASH(k) BUCKETS 4 PROPERTIES (\"replication_num\" = \"1\"); \
    INSERT INTO t VALUES (1, 'a'), (2, 'b'); INSERT INTO t VALUES (2, 'c'), (3, NULL)";

#[tokio::test]
async fn a_snapshot_is_restored_in_another_cluster_that_names_the_location() {
    let one = start(ClusterOptions { backends: 2, ..ClusterOptions::replicating("one") }).await;
    let other = start(ClusterOptions { backends: 3, first_id: 70_000, ..ClusterOptions::default() }).await;
    sql(&one, TABLE).await;
    let create =
        "REPOSITORY r WITH S3 ON LOCATION \"s3://between/clusters\" PROPERTIES (\"s3.region\" = \"x\")";
    sql(&one, &format!("CREATE {create}")).await;
    sql(&other, &format!("CREATE DATABASE e; CREATE READ ONLY {create}")).await;
    sql(&one, "BACKUP SNAPSHOT d.s TO r").await;
    until(&one, "SHOW BACKUP FROM d", 3, "FINISHED").await;
    let kept = sql(&one, "SELECT * FROM d.t ORDER BY k").await;
    // Nothing but the repository is needed.
    one.stop().await;

    let timestamp = sql(&other, "SHOW SNAPSHOT ON r").await[0][1].clone();
    let properties =
        format!("PROPERTIES (\"backup_timestamp\" = \"{timestamp}\", \"replication_num\" = \"2\")");
    sql(&other, &format!("RESTORE SNAPSHOT e.s FROM r {properties}")).await;
    until(&other, "SHOW RESTORE FROM e", 4, "FINISHED").await;
    assert_eq!(sql(&other, "SELECT * FROM e.t ORDER BY k").await, kept);
    assert_eq!(kept.len(), 3);
    other.stop().await;
}

#[tokio::test]
async fn repositories_and_their_snapshots_outlive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let options = ClusterOptions {
        data_dir: Some(directory.path().to_owned()),
        backup_interval: std::time::Duration::from_millis(1),
        ..ClusterOptions::replicating("kept-repositories")
    };
    let cluster = start(options.clone()).await;
    sql(&cluster, TABLE).await;
    sql(&cluster, "CREATE REPOSITORY r WITH LOCAL ON LOCATION \"/kept/here\"; BACKUP SNAPSHOT d.s TO r")
        .await;
    until(&cluster, "SHOW BACKUP FROM d", 3, "FINISHED").await;
    let shown = sql(&cluster, "SHOW REPOSITORIES").await;
    let rows = sql(&cluster, "SELECT * FROM d.t ORDER BY k").await;
    cluster.stop().await;

    let files: Vec<_> = std::fs::read_dir(directory.path().join("kept-repositories/repositories"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(files.len(), 1);
    // Not from the memory of this process: the file says another place, so only reading it can tell.
    let mut bytes = std::fs::read(&files[0]).unwrap();
    let moved = bytes.windows(10).position(|window| window == b"/kept/here").unwrap();
    bytes[moved..moved + 10].copy_from_slice(b"/kept/then");
    std::fs::write(&files[0], bytes).unwrap();

    let cluster = start(options).await;
    assert_eq!(sql(&cluster, "SHOW REPOSITORIES").await, shown);
    sql(&cluster, "CREATE REPOSITORY then WITH LOCAL ON LOCATION \"/kept/then\"").await;
    let timestamp = sql(&cluster, "SHOW SNAPSHOT ON then").await[0][1].clone();
    sql(&cluster, "DROP TABLE d.t FORCE").await;
    let properties =
        format!("PROPERTIES (\"backup_timestamp\" = \"{timestamp}\", \"reserve_replica\" = \"true\")");
    sql(&cluster, &format!("RESTORE SNAPSHOT d.s FROM then {properties}")).await;
    until(&cluster, "SHOW RESTORE FROM d", 4, "FINISHED").await;
    assert_eq!(sql(&cluster, "SELECT * FROM d.t ORDER BY k").await, rows);
    cluster.stop().await;
}
