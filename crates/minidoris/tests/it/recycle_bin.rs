//! What DROP leaves behind: refused while rows of it are still to appear, recoverable for a day, then gone.

use minidoris::txn::TxnStatus;
use minidoris::{Cluster, ClusterInner, ClusterOptions, Fault, FaultKind};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use crate::harness::{LIMIT, bounded, cluster, connect, rows, server_error};

const SETUP: &str = "CREATE DATABASE d PROPERTIES (\"binlog.enable\" = \"true\"); USE d; \
    CREATE TABLE t (k INT) DUPLICATE KEY(k) PARTITION BY RANGE(k) \
    (PARTITION p1 VALUES LESS THAN (\"10\"), PARTITION p2 VALUES LESS THAN (\"20\")) \
    DISTRIBUTED BY HASH(k) BUCKETS 1; \
    CREATE TABLE other (k INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1; \
    INSERT INTO t VALUES (1), (11)";
const HOUR_MS: i64 = 3_600_000;

fn is_committed(inner: &ClusterInner) -> bool {
    let state = inner.fe.lock();
    let db = state.database_named("d").unwrap().id;
    state.txns.running(db).any(|txn| txn.status == TxnStatus::Committed)
}

/// Statements that drop something recoverable, and how their refusal names it.
const DROPS: [(&str, &str, &str); 3] = [
    ("DROP TABLE t", "table", "t"),
    ("ALTER TABLE t DROP PARTITION p1", "partition", "p1"),
    ("DROP DATABASE d", "database", "d"),
];

#[tokio::test]
async fn nothing_is_dropped_that_has_rows_to_appear() {
    let cluster = cluster().await;
    let mut conn = connect(&cluster).await;
    bounded(conn.query_drop(SETUP)).await.unwrap();
    let mut loading = connect(&cluster).await;
    bounded(loading.query_drop("USE d")).await.unwrap();
    for (drop, kind, name) in DROPS {
        cluster.faults().add(Fault::new(FaultKind::Delay(500_000)).call("publish"));
        let insert = loading.query_drop("INSERT INTO t VALUES (2)");
        let drops = async {
            assert!(cluster.wait_until(LIMIT, is_committed).await);
            let journal = cluster.inner().fe.lock().journal_id;
            assert_eq!(
                server_error(bounded(conn.query_drop(drop)).await),
                (
                    1105,
                    format!(
                        "errCode = 2, detailMessage = There are still some transactions in the COMMITTED state \
                         waiting to be completed. The {kind} [{name}] cannot be dropped. If you want to forcibly \
                         drop(cannot be recovered), please use \"DROP {kind} FORCE\"."
                    )
                )
            );
            assert_eq!(cluster.inner().fe.lock().journal_id, journal, "{drop}");
            // What the transaction does not touch can go.
            if kind == "partition" {
                bounded(conn.query_drop("ALTER TABLE t DROP PARTITION p2; RECOVER PARTITION p2 FROM t"))
                    .await
                    .unwrap();
            }
            bounded(conn.query_drop("DROP TABLE other; RECOVER TABLE other")).await.unwrap();
            cluster.faults().clear();
            cluster.clock().advance_ms(600_000);
        };
        let (inserted, ()) = bounded(async { tokio::join!(insert, drops) }).await;
        inserted.unwrap();
    }
    // Recovered with its rows, it takes more.
    bounded(conn.query_drop("DROP TABLE t; RECOVER TABLE t; ALTER TABLE t DROP PARTITION p1")).await.unwrap();
    bounded(conn.query_drop("RECOVER PARTITION p1 FROM t; DROP DATABASE d; RECOVER DATABASE d"))
        .await
        .unwrap();
    bounded(conn.query_drop("USE d; INSERT INTO t VALUES (3)")).await.unwrap();
    assert_eq!(rows(&mut conn, "SELECT k FROM t WHERE k < 10").await.len(), 5);
    bounded(cluster.stop()).await;
}

#[tokio::test]
async fn force_drops_what_has_rows_to_appear() {
    let cluster = cluster().await;
    let mut conn = connect(&cluster).await;
    bounded(conn.query_drop(SETUP)).await.unwrap();
    let mut loading = connect(&cluster).await;
    bounded(loading.query_drop("USE d")).await.unwrap();
    for (insert, drop) in [
        ("INSERT INTO t VALUES (1)", "ALTER TABLE t DROP PARTITION p1 FORCE"),
        ("INSERT INTO t VALUES (12)", "DROP TABLE t FORCE"),
        ("INSERT INTO other VALUES (1)", "DROP DATABASE d FORCE"),
    ] {
        cluster.faults().add(Fault::new(FaultKind::Delay(500_000)).call("publish"));
        let insert = loading.query_drop(insert);
        let drops = async {
            assert!(cluster.wait_until(LIMIT, is_committed).await, "{drop}");
            bounded(conn.query_drop(drop)).await.unwrap();
            cluster.faults().clear();
            cluster.clock().advance_ms(600_000);
        };
        // Whether the load is told to have failed does not matter here.
        let _ = bounded(async { tokio::join!(insert, drops) }).await;
    }
    assert!(bin(&mut conn).await.is_empty());
    bounded(cluster.stop()).await;
}

/// The tablets that the backends hold of everything in the recycle bin.
fn recycled_tablets(inner: &ClusterInner) -> Vec<i64> {
    let state = inner.fe.lock();
    let partitions = state.ddl.recycle_bin.iter().flat_map(|recycled| recycled.object.partitions());
    partitions.flat_map(|partition| partition.tablets().map(|tablet| tablet.id)).collect()
}

fn held(inner: &ClusterInner, tablets: &[i64]) -> usize {
    let backends = inner.backends.read();
    tablets.iter().filter(|id| backends.values().any(|backend| backend.has_tablet(**id))).count()
}

async fn bin(conn: &mut Conn) -> Vec<String> {
    let rows = rows(conn, "SHOW CATALOG RECYCLE BIN").await;
    rows.into_iter().map(|mut row| row.swap_remove(1).unwrap_or_default()).collect()
}

#[tokio::test]
async fn what_was_dropped_is_erased_after_a_day() {
    let cluster = cluster().await;
    let mut conn = connect(&cluster).await;
    bounded(conn.query_drop(SETUP)).await.unwrap();
    bounded(conn.query_drop("CREATE DATABASE e; CREATE TABLE e.t (k INT) DISTRIBUTED BY HASH(k) BUCKETS 1"))
        .await
        .unwrap();
    bounded(conn.query_drop("ALTER TABLE t DROP PARTITION p1; DROP DATABASE e")).await.unwrap();
    let old = recycled_tablets(cluster.inner());
    assert_eq!((old.len(), held(cluster.inner(), &old)), (2, 2));
    cluster.clock().advance_ms(23 * HOUR_MS);
    bounded(conn.query_drop("DROP TABLE other; TRUNCATE TABLE t PARTITION (p2)")).await.unwrap();
    assert_eq!(bin(&mut conn).await, ["p1", "e", "other", "p2"]);
    let journal = cluster.inner().fe.lock().journal_id;

    cluster.clock().advance_ms(2 * HOUR_MS);
    let erased = |inner: &ClusterInner| inner.fe.lock().ddl.recycle_bin.len() == 2;
    assert!(cluster.wait_until(LIMIT, erased).await);
    assert_eq!(bin(&mut conn).await, ["other", "p2"]);
    assert_eq!(held(cluster.inner(), &old), 0);
    assert_eq!(cluster.inner().fe.lock().journal_id, journal + 2, "one entry for each");
    for gone in ["RECOVER PARTITION p1 FROM t", "RECOVER DATABASE e"] {
        bounded(conn.query_drop(gone)).await.unwrap_err();
    }
    // The younger ones are whole.
    bounded(conn.query_drop("RECOVER TABLE other; INSERT INTO other VALUES (1)")).await.unwrap();
    assert_eq!(rows(&mut conn, "SELECT * FROM other").await.len(), 1);
    bounded(cluster.stop()).await;
}

#[tokio::test]
async fn nothing_is_erased_within_ten_minutes_unless_a_setting_allows_it() {
    let cluster = cluster().await;
    let mut conn = connect(&cluster).await;
    bounded(conn.query_drop(SETUP)).await.unwrap();
    bounded(conn.query_drop("ADMIN SET FRONTEND CONFIG ('catalog_trash_expire_second' = '1')"))
        .await
        .unwrap();
    bounded(conn.query_drop("DROP TABLE other")).await.unwrap();
    cluster.clock().advance_ms(300_000);
    bounded(conn.query_drop("DROP TABLE t")).await.unwrap();
    cluster.clock().advance_ms(301_000);
    let erased = |left: usize| move |inner: &ClusterInner| inner.fe.lock().ddl.recycle_bin.len() == left;
    assert!(cluster.wait_until(LIMIT, erased(1)).await);
    assert_eq!(bin(&mut conn).await, ["t"]);
    bounded(conn.query_drop("ADMIN SET FRONTEND CONFIG ('catalog_trash_ignore_min_erase_latency' = 'true')"))
        .await
        .unwrap();
    assert!(cluster.wait_until(LIMIT, erased(0)).await);
    bounded(cluster.stop()).await;
}

#[tokio::test]
async fn what_is_erased_stays_erased_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let options = || ClusterOptions {
        data_dir: Some(directory.path().to_owned()),
        ..ClusterOptions::replicating("kept")
    };
    let cluster = bounded(Cluster::start(options())).await.unwrap();
    bounded(cluster.sql(SETUP)).await.unwrap();
    bounded(cluster.sql("DROP TABLE d.t")).await.unwrap();
    let old = recycled_tablets(cluster.inner());
    cluster.clock().advance_ms(25 * HOUR_MS);
    assert!(cluster.wait_until(LIMIT, |inner| inner.fe.lock().ddl.recycle_bin.is_empty()).await);
    let journal = cluster.inner().fe.lock().journal_id;
    bounded(cluster.stop()).await;
    let cluster = bounded(Cluster::start(options())).await.unwrap();
    assert!(cluster.inner().fe.lock().ddl.recycle_bin.is_empty());
    assert_eq!((old.len(), held(cluster.inner(), &old)), (2, 0));
    assert_eq!(cluster.inner().fe.lock().journal_id, journal);
    bounded(cluster.stop()).await;
}
