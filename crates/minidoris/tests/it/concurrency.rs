//! Many clients at once: nothing is lost, and the order of binlogs is the order of versions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use doris_types::record::UpsertRecord;
use minidoris::{Cluster, ClusterOptions};
use mysql_async::prelude::Queryable;

use crate::harness::{bounded, connect, rows};
use crate::wire::{Wire, ok};

const CLIENTS: usize = 6;
const STATEMENTS: usize = 25;

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_inserts_keep_their_order() {
    let options = ClusterOptions { backends: 3, ..ClusterOptions::replicating("busy") };
    let cluster = Cluster::start(options).await.unwrap();
    let mut conn = connect(&cluster).await;
    conn.query_drop(r#"CREATE DATABASE d PROPERTIES ("binlog.enable" = "true")"#).await.unwrap();
    let table = r#"CREATE TABLE d.t (c INT, s INT) DUPLICATE KEY(c) DISTRIBUTED BY HASH(c, s) BUCKETS 4
        PROPERTIES ("replication_num" = "3", "binlog.enable" = "true")"#;
    conn.query_drop(table).await.unwrap();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let cluster = cluster.clone();
            tokio::spawn(async move {
                let mut conn = connect(&cluster).await;
                for statement in 0..STATEMENTS {
                    let sql = format!("INSERT INTO d.t VALUES ({client}, {statement}), ({client}, -1)");
                    bounded(conn.query_drop(sql)).await.unwrap();
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    let transactions = CLIENTS * STATEMENTS;
    let counted = rows(&mut conn, "SELECT COUNT(*), COUNT(DISTINCT c, s) FROM d.t").await;
    let distinct = CLIENTS * (STATEMENTS + 1);
    assert_eq!(counted, [[Some((2 * transactions).to_string()), Some(distinct.to_string())]]);

    let wire = Wire::new(&cluster, 0);
    let (mut seq, mut versions, mut upserts) = (-1, BTreeMap::<i64, i64>::new(), 0);
    loop {
        let result = wire.binlogs("d", seq).await;
        let binlogs = result.binlogs.unwrap_or_default();
        if binlogs.is_empty() {
            break;
        }
        ok(result.status);
        for binlog in binlogs {
            let commit_seq = binlog.commit_seq.unwrap();
            assert!(commit_seq > seq, "{commit_seq} follows {seq}");
            seq = commit_seq;
            let Ok(record) = serde_json::from_str::<UpsertRecord>(binlog.data.as_deref().unwrap()) else {
                continue;
            };
            upserts += 1;
            for partition in record.table_records.values().flat_map(|table| &table.partition_records) {
                let version = versions.entry(partition.partition_id).or_insert(1);
                *version += 1;
                assert_eq!(partition.version, *version, "versions have no gaps");
            }
        }
    }
    assert_eq!(upserts, transactions);
    cluster.stop().await;
}

/// A query that was planned before reads the old table or is planned again.
#[tokio::test(flavor = "multi_thread")]
async fn a_view_is_readable_while_its_table_is_replaced() {
    const REPLACEMENTS: usize = 60;
    let cluster = Cluster::start(ClusterOptions::replicating("replaced")).await.unwrap();
    let mut conn = connect(&cluster).await;
    conn.query_drop("CREATE DATABASE d").await.unwrap();
    let columns = "(k INT, n INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 8";
    for sql in [
        &format!("CREATE TABLE d.t {columns}"),
        "INSERT INTO d.t VALUES (1, 1), (2, 2)",
        "CREATE VIEW d.v AS SELECT k FROM d.t",
    ] {
        conn.query_drop(sql).await.unwrap();
    }
    let is_over = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let (cluster, is_over) = (cluster.clone(), Arc::clone(&is_over));
            tokio::spawn(async move {
                let mut conn = connect(&cluster).await;
                while !is_over.load(Ordering::Relaxed) {
                    assert_eq!(rows(&mut conn, "SELECT COUNT(*) FROM d.v").await, [[Some("2".to_owned())]]);
                }
            })
        })
        .collect();
    for _ in 0..REPLACEMENTS {
        for sql in [
            &format!("CREATE TABLE d.n {columns}"),
            "INSERT INTO d.n VALUES (1, 1), (2, 2)",
            r#"ALTER TABLE d.t REPLACE WITH TABLE n PROPERTIES ("swap" = "false") FORCE"#,
        ] {
            bounded(conn.query_drop(sql)).await.unwrap();
        }
    }
    is_over.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.await.unwrap();
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_replica_loses_no_rows() {
    let options = ClusterOptions { backends: 3, ..ClusterOptions::replicating("hurt") };
    let cluster = Cluster::start(options).await.unwrap();
    let mut conn = connect(&cluster).await;
    conn.query_drop("CREATE DATABASE d").await.unwrap();
    let table = r#"CREATE TABLE d.t (k INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 3
        PROPERTIES ("replication_num" = "3")"#;
    conn.query_drop(table).await.unwrap();
    conn.query_drop("INSERT INTO d.t VALUES (1), (2), (3)").await.unwrap();
    cluster.kill_backend(0).await.unwrap();
    bounded(conn.query_drop("INSERT INTO d.t VALUES (4), (5)")).await.unwrap();
    let count = "SELECT COUNT(*) FROM d.t";
    assert_eq!(rows(&mut conn, count).await, [[Some("5".to_owned())]]);
    // Two of three replicas are no quorum less one.
    cluster.kill_backend(1).await.unwrap();
    assert!(bounded(conn.query_drop("INSERT INTO d.t VALUES (6)")).await.is_err());
    assert_eq!(rows(&mut conn, count).await, [[Some("5".to_owned())]]);
    cluster.restart_backend(1).await.unwrap();
    bounded(conn.query_drop("INSERT INTO d.t VALUES (6)")).await.unwrap();
    assert_eq!(rows(&mut conn, count).await, [[Some("6".to_owned())]]);
    cluster.stop().await;
}
