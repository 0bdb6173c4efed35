//! Loads race with the jobs of heavy schema changes and rollups.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use doris_types::record::UpsertRecord;
use minidoris::{Cluster, ClusterOptions};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use crate::harness::{LIMIT, bounded, connect, rows};
use crate::wire::Wire;

const ROUNDS: usize = 40;
const CLIENTS: usize = 3;

/// After each job the table can be backed up, no row is lost or doubled, and every version of every index
/// that a binlog names can be fetched.
#[tokio::test(flavor = "multi_thread")]
async fn jobs_and_loads_do_not_hurt_each_other() {
    let pace = Duration::from_millis(2);
    let options =
        ClusterOptions { backends: 3, backup_interval: pace, ..ClusterOptions::replicating("racing") };
    let cluster = Cluster::start(options).await.unwrap();
    let mut conn = connect(&cluster).await;
    for sql in [
        r#"CREATE DATABASE d PROPERTIES ("binlog.enable" = "true")"#,
        "USE d",
        r#"CREATE TABLE t (k INT, a INT, b INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 2
           PROPERTIES ("replication_num" = "2", "binlog.enable" = "true")"#,
    ] {
        bounded(conn.query_drop(sql)).await.unwrap();
    }
    let (stop, loaded) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (cluster, stop, loaded) = (cluster.clone(), Arc::clone(&stop), Arc::clone(&loaded));
            tokio::spawn(async move {
                let mut conn = connect(&cluster).await;
                while !stop.load(Ordering::SeqCst) {
                    let key = loaded.fetch_add(1, Ordering::SeqCst);
                    let sql = format!("INSERT INTO d.t (k, a, b) VALUES ({key}, {client}, {client})");
                    bounded(conn.query_drop(sql)).await.unwrap();
                }
            })
        })
        .collect();
    for round in 0..ROUNDS {
        let change = match round % 4 {
            0 => "ALTER TABLE t ORDER BY (k, b, a)",
            1 => "ALTER TABLE t ADD ROLLUP r (k, a)",
            2 => "ALTER TABLE t DROP ROLLUP r",
            _ => "ALTER TABLE t ORDER BY (k, a, b)",
        };
        bounded(conn.query_drop(change)).await.unwrap();
        wait_for_jobs(&mut conn).await;
        assert_eq!(backup(&mut conn, round).await, "FINISHED", "round {round}, after {change}");
    }
    stop.store(true, Ordering::SeqCst);
    for client in clients {
        client.await.unwrap();
    }
    let all = loaded.load(Ordering::SeqCst).to_string();
    let counted = rows(&mut conn, "SELECT COUNT(*), COUNT(DISTINCT k) FROM t").await;
    assert_eq!(counted, [[Some(all.clone()), Some(all)]]);
    assert!(
        assert_binlogs_are_kept(&cluster).await > ROUNDS as u64,
        "the indexes at the end are named by binlogs"
    );
    cluster.stop().await;
}

/// Waits until all jobs have ended, and none was cancelled.
async fn wait_for_jobs(conn: &mut Conn) {
    let started = tokio::time::Instant::now();
    loop {
        let mut states = Vec::new();
        for kind in ["COLUMN", "ROLLUP"] {
            let jobs = bounded(conn.query::<mysql_async::Row, _>(format!("SHOW ALTER TABLE {kind}"))).await;
            states.extend(jobs.unwrap().iter().map(|job| job.get::<String, _>("State").unwrap()));
        }
        assert!(states.iter().all(|state| state != "CANCELLED"), "{states:?}");
        if states.iter().all(|state| state == "FINISHED") {
            return;
        }
        assert!(started.elapsed() < LIMIT, "{states:?}");
        tokio::task::yield_now().await;
    }
}

/// The state in which a backup of the table ends.
async fn backup(conn: &mut Conn, round: usize) -> String {
    bounded(conn.query_drop(format!("BACKUP SNAPSHOT d.s{round} TO `__keep_on_local__` ON (t)")))
        .await
        .unwrap();
    let started = tokio::time::Instant::now();
    loop {
        let shown: Vec<mysql_async::Row> = bounded(conn.query("SHOW BACKUP")).await.unwrap();
        let last = shown.last().unwrap();
        let state: String = last.get("State").unwrap();
        if state == "FINISHED" {
            return state;
        }
        if state == "CANCELLED" {
            return format!("{state}: {:?}", last.get::<Option<String>, _>("Status"));
        }
        assert!(started.elapsed() < LIMIT, "{state}");
        tokio::task::yield_now().await;
    }
}

/// Every replica of an index that an UPSERT names keeps the binlog of its version; how many were looked at.
async fn assert_binlogs_are_kept(cluster: &Cluster) -> u64 {
    let mut tablets: BTreeMap<i64, Vec<(i64, i64)>> = BTreeMap::new();
    {
        let state = cluster.inner().fe.lock();
        let table = state.database_named("d").unwrap().table_named("t").unwrap().as_olap().unwrap();
        for partition in table.partitions.values() {
            for (index_id, index) in &partition.indexes {
                for tablet in &index.tablets {
                    let replicas = tablet.replicas.iter().map(|replica| {
                        assert_eq!(replica.version, partition.visible_version);
                        (tablet.id, replica.backend_id)
                    });
                    tablets.entry(*index_id).or_default().extend(replicas);
                }
            }
        }
    }
    let wire = Wire::new(cluster, 0);
    let (mut seq, mut checked) = (-1, 0);
    loop {
        let binlogs = wire.binlogs("d", seq).await.binlogs.unwrap_or_default();
        let Some(last) = binlogs.last() else { return checked };
        for binlog in &binlogs {
            let Ok(record) = serde_json::from_str::<UpsertRecord>(binlog.data.as_deref().unwrap_or_default())
            else {
                continue;
            };
            for table in record.table_records.values() {
                let versions = table.partition_records.iter().map(|partition| partition.version);
                for version in versions {
                    let named = table.index_ids.iter().flatten().filter_map(|index| tablets.get(index));
                    for (tablet, backend) in named.flatten() {
                        let tablet = cluster.inner().backend(*backend).unwrap().tablet(*tablet).unwrap();
                        assert!(tablet.binlog(version).is_some(), "tablet {} has no {version}", tablet.id);
                        checked += 1;
                    }
                }
            }
        }
        seq = last.commit_seq.unwrap();
    }
}
