//! Explicit transactions through SQL: nothing before COMMIT, everything at once with it.

use doris_thrift::TBinlogType;
use doris_types::record::{PartitionRecord, UpsertRecord};
use minidoris::Cluster;
use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use crate::harness::{LIMIT, bounded, cluster, connect, rows, server_error};
use crate::wire::Wire;

const SETUP: &str = r#"CREATE DATABASE d PROPERTIES ("binlog.enable" = "true");
    CREATE TABLE d.u (k INT, v INT) UNIQUE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 2;
    CREATE TABLE d.l (k INT, v INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1;
    INSERT INTO d.u VALUES (1, 10), (2, 20)"#;

async fn with_tables() -> (Cluster, Conn) {
    let cluster = cluster().await;
    let mut conn = connect(&cluster).await;
    bounded(conn.query_drop(SETUP)).await.unwrap();
    bounded(conn.query_drop("USE d")).await.unwrap();
    (cluster, conn)
}

/// The UPSERT records of the database, oldest first.
async fn upserts(cluster: &Cluster) -> Vec<UpsertRecord> {
    let binlogs = Wire::new(cluster, 0).binlogs("d", -1).await.binlogs.unwrap_or_default();
    let upserts = binlogs.iter().filter(|binlog| binlog.binlog_type == Some(TBinlogType::UPSERT));
    upserts.map(|binlog| serde_json::from_str(binlog.data.as_deref().unwrap()).unwrap()).collect()
}

async fn content(conn: &mut Conn) -> (Vec<(i32, i32)>, Vec<(i32, i32)>) {
    let u = bounded(conn.query("SELECT k, v FROM d.u ORDER BY k")).await.unwrap();
    let l = bounded(conn.query("SELECT k, v FROM d.l ORDER BY k, v")).await.unwrap();
    (u, l)
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_appear_together_and_in_order() {
    let (cluster, mut conn) = with_tables().await;
    let mut other = connect(&cluster).await;
    for statement in [
        "BEGIN WITH LABEL mine",
        "INSERT INTO u VALUES (3, 30)",
        "INSERT INTO l SELECT k, v FROM u",
        "UPDATE u SET v = 11 WHERE k = 1",
        "DELETE FROM u WHERE k = 2",
    ] {
        bounded(conn.query_drop(statement)).await.unwrap();
        assert_eq!(content(&mut other).await, (vec![(1, 10), (2, 20)], vec![]), "{statement}");
    }
    assert_eq!(upserts(&cluster).await.len(), 1, "only the rows from before");
    bounded(conn.query_drop("COMMIT")).await.unwrap();
    // The second statement did not see the first.
    assert_eq!(content(&mut other).await, (vec![(1, 11), (3, 30)], vec![(1, 10), (2, 20)]));

    let record = upserts(&cluster).await.pop().unwrap();
    assert_eq!(record.label, "mine");
    assert_eq!((record.stids.len(), record.stids[0]), (4, record.txn_id));
    let mut by_table: Vec<&Vec<PartitionRecord>> =
        record.table_records.values().map(|table| &table.partition_records).collect();
    by_table.sort_by_key(|records| std::cmp::Reverse(records.len()));
    let of = |records: &[PartitionRecord]| records.iter().map(|r| (r.stid, r.version)).collect::<Vec<_>>();
    let stids = &record.stids;
    assert_eq!(of(by_table[0]), [(stids[0], 3), (stids[2], 4), (stids[3], 5)]);
    assert_eq!(of(by_table[1]), [(stids[1], 2)]);

    bounded(conn.query_drop("INSERT INTO u VALUES (9, 9)")).await.unwrap();
    assert!(upserts(&cluster).await.pop().unwrap().stids.is_empty(), "back to ordinary transactions");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_transaction_can_be_one_text() {
    let (cluster, mut conn) = with_tables().await;
    let text = "begin; insert into l select k, v from u where k = 1; update u set v = 5 where k = 1; \
                delete from u where k = 2; commit;";
    bounded(conn.query_drop(text)).await.unwrap();
    assert_eq!(content(&mut conn).await, (vec![(1, 5)], vec![(1, 10)]));
    let records = upserts(&cluster).await;
    assert_eq!((records.len(), records[1].stids.len()), (2, 3));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_committed_leaves_nothing() {
    let (cluster, mut conn) = with_tables().await;
    let before = content(&mut conn).await;
    bounded(conn.query_drop("BEGIN; INSERT INTO u VALUES (7, 7); ROLLBACK")).await.unwrap();
    assert_eq!(content(&mut conn).await, before);
    // Nothing to commit.
    bounded(conn.query_drop("BEGIN; COMMIT; COMMIT; ROLLBACK")).await.unwrap();

    // The connection closes; its label can be used again.
    let mut leaving = connect(&cluster).await;
    bounded(leaving.query_drop("BEGIN WITH LABEL again; INSERT INTO d.u VALUES (8, 8)")).await.unwrap();
    bounded(leaving.disconnect()).await.unwrap();
    let gone = |cluster: &minidoris::ClusterInner| {
        let state = cluster.fe.lock();
        let db = state.database_named("d").unwrap().id;
        state.txns.running(db).next().is_none()
    };
    assert!(cluster.wait_until(LIMIT, gone).await, "the transaction was aborted");
    bounded(conn.query_drop("BEGIN WITH LABEL again; INSERT INTO u VALUES (8, 8); COMMIT")).await.unwrap();
    assert!(rows(&mut conn, "SELECT k FROM u WHERE k = 8").await.len() == 1);
    assert_eq!(upserts(&cluster).await.len(), 2);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_statement_is_left_out_and_other_statements_are_refused() {
    let (cluster, mut conn) = with_tables().await;
    bounded(conn.query_drop("BEGIN; INSERT INTO u VALUES (3, 30)")).await.unwrap();
    for refused in ["DROP TABLE l", "TRUNCATE TABLE l", "CREATE DATABASE e", "ALTER TABLE l ADD COLUMN w INT"]
    {
        let (_, text) = server_error(bounded(conn.query_drop(refused)).await);
        assert!(text.contains("This is in a transaction"), "{refused}: {text}");
    }
    let (_, text) = server_error(bounded(conn.query_drop("INSERT OVERWRITE TABLE l VALUES (1, 1)")).await);
    assert!(text.contains("not supported in a transaction"), "{text}");
    server_error(bounded(conn.query_drop("INSERT INTO u VALUES ('x', 1, 2)")).await);
    bounded(conn.query_drop("INSERT INTO u VALUES (4, 40)")).await.unwrap();
    bounded(conn.query_drop("COMMIT")).await.unwrap();
    assert_eq!(content(&mut conn).await.0, [(1, 10), (2, 20), (3, 30), (4, 40)]);
    assert_eq!(upserts(&cluster).await.pop().unwrap().stids.len(), 2);
    cluster.stop().await;
}
