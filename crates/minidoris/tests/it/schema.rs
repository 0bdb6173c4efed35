//! Schema changes under rows: light ones at once, heavy ones and rollups through their jobs.

use minidoris::{Cluster, ClusterOptions};

use crate::harness::{LIMIT, bounded};

async fn cluster() -> Cluster {
    let options = ClusterOptions { backends: 2, ..ClusterOptions::replicating("schema") };
    let cluster = bounded(Cluster::start(options)).await.unwrap();
    bounded(cluster.sql("CREATE DATABASE d PROPERTIES (\"binlog.enable\" = \"true\")")).await.unwrap();
    cluster
}

async fn run(cluster: &Cluster, statements: &[&str]) {
    for statement in statements {
        bounded(cluster.sql_in("d", statement)).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
}

/// Rows as `a,b|c,d`.
async fn query(cluster: &Cluster, sql: &str) -> String {
    let found = bounded(cluster.sql_in("d", sql)).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let row = |row: Vec<Option<String>>| {
        row.into_iter().map(|cell| cell.unwrap_or_else(|| "NULL".to_owned())).collect::<Vec<_>>().join(",")
    };
    found.rows.into_iter().map(row).collect::<Vec<_>>().join("|")
}

/// Waits until no job of the kind is unfinished.
async fn jobs_end(cluster: &Cluster, kind: &str) {
    let all = format!("SHOW ALTER TABLE {kind} FROM d");
    let unfinished = format!("{all} WHERE State != 'FINISHED'");
    tokio::time::timeout(LIMIT, async {
        while !query(cluster, &unfinished).await.is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the job does not end");
    assert_ne!(query(cluster, &all).await, "", "there was a job");
}

const ONE: &str = "DISTRIBUTED BY HASH(k) BUCKETS 3";

#[tokio::test]
async fn rows_survive_light_changes() {
    let cluster = cluster().await;
    run(
        &cluster,
        &[
            &format!("CREATE TABLE t (k int, v int, s varchar(3)) DUPLICATE KEY(k) {ONE}"),
            "INSERT INTO t VALUES (1, 10, 'a'), (2, 20, 'b')",
            "ALTER TABLE t ADD COLUMN c int DEFAULT \"7\" AFTER k",
            "ALTER TABLE t DROP COLUMN v",
            "ALTER TABLE t RENAME COLUMN s text",
            "ALTER TABLE t MODIFY COLUMN text varchar(10)",
            "INSERT INTO t VALUES (3, 8, 'longer')",
        ],
    )
    .await;
    assert_eq!(query(&cluster, "SELECT * FROM t ORDER BY k").await, "1,7,a|2,7,b|3,8,longer");
}

#[tokio::test]
async fn rows_survive_heavy_changes() {
    let cluster = cluster().await;
    run(
        &cluster,
        &[
            &format!(
                "CREATE TABLE t (k int, p int, v int, s varchar(3)) UNIQUE KEY(k, p) PARTITION BY RANGE(p) \
                 (PARTITION p1 VALUES LESS THAN ('10'), PARTITION p2 VALUES LESS THAN ('20')) {ONE}"
            ),
            "INSERT INTO t VALUES (1, 1, 10, 'a'), (2, 11, 20, 'b'), (1, 1, 11, 'c')",
            "ALTER TABLE t MODIFY COLUMN v bigint",
        ],
    )
    .await;
    jobs_end(&cluster, "COLUMN").await;
    run(&cluster, &["INSERT INTO t VALUES (3, 12, 3000000000, 'd')", "ALTER TABLE t ORDER BY (k, p, s, v)"])
        .await;
    jobs_end(&cluster, "COLUMN").await;
    assert_eq!(query(&cluster, "SELECT * FROM t ORDER BY k").await, "1,1,c,11|2,11,b,20|3,12,d,3000000000");
    run(&cluster, &["ALTER TABLE t ADD COLUMN kk int KEY DEFAULT \"5\" AFTER k"]).await;
    jobs_end(&cluster, "COLUMN").await;
    run(&cluster, &["INSERT INTO t VALUES (1, 6, 1, 'e', 12)"]).await;
    assert_eq!(
        query(&cluster, "SELECT * FROM t ORDER BY k, kk").await,
        "1,5,1,c,11|1,6,1,e,12|2,5,11,b,20|3,5,12,d,3000000000"
    );
}

#[tokio::test]
async fn rollups_are_filled_and_written() {
    let cluster = cluster().await;
    run(
        &cluster,
        &[
            &format!("CREATE TABLE t (k int, g int, v bigint SUM) AGGREGATE KEY(k, g) {ONE}"),
            "INSERT INTO t VALUES (1, 1, 10), (1, 2, 20)",
            "ALTER TABLE t ADD ROLLUP r (k, v)",
        ],
    )
    .await;
    jobs_end(&cluster, "ROLLUP").await;
    run(&cluster, &["INSERT INTO t VALUES (1, 3, 5)"]).await;
    assert_eq!(query(&cluster, "SELECT k, sum(v) FROM t GROUP BY k").await, "1,35");
    let rows = query(&cluster, "SHOW PROC '/dbs/d/t/partitions/t'").await;
    assert_eq!(rows.split('|').count(), 2, "{rows}");
}
