//! States that a cluster is put into over its admin API, as a replication meets them.

use doris_thrift::*;
use minidoris::txn::{self, CommitOutcome, CommitTxn};
use minidoris::{Cluster, ClusterOptions};
use mysql_async::prelude::Queryable;

use crate::harness::{LIMIT, bounded, connect, server_error};
use crate::replicas::places;
use crate::wire::{Wire, ok};

/// A cluster of two frontends and two backends with `d.t` in two partitions.
async fn cluster() -> Cluster {
    let options = ClusterOptions { frontends: 2, backends: 2, ..ClusterOptions::replicating("held") };
    let cluster = bounded(Cluster::start(options)).await.unwrap();
    bounded(cluster.sql(
        "CREATE DATABASE d PROPERTIES (\"binlog.enable\" = \"true\"); \
         CREATE TABLE d.t (k INT) DUPLICATE KEY(k) PARTITION BY RANGE(k) \
         (PARTITION p1 VALUES LESS THAN (\"10\"), PARTITION p2 VALUES LESS THAN (\"20\")) \
         DISTRIBUTED BY HASH(k) BUCKETS 1 PROPERTIES (\"replication_num\" = \"2\")",
    ))
    .await
    .unwrap();
    cluster
}

async fn admin(cluster: &Cluster, path: &str) -> u16 {
    let (host, port) = cluster.admin_address();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let sent = client.post(format!("http://{host}:{port}{path}")).send();
    bounded(sent).await.unwrap().status().as_u16()
}

async fn sql(cluster: &Cluster, text: &str) {
    bounded(cluster.sql(text)).await.unwrap();
}

fn said(status: Option<TStatus>) -> (TStatusCode, String) {
    let status = status.unwrap();
    (status.status_code, status.text())
}

#[tokio::test]
async fn commits_and_rollbacks_wait_for_the_locks_of_their_tables() {
    let cluster = cluster().await;
    let wire = Wire::new(&cluster, 0);
    let table = wire.table("d", "t").await.id.unwrap();
    let txn = wire.begin("d", table, "l").await.txn_id.unwrap();
    assert_eq!(admin(&cluster, "/hold/table/d/x/1").await, 400);
    assert_eq!(admin(&cluster, "/hold/table/d/t/60000").await, 200);
    let text = format!(
        "errCode = 2, detailMessage = get tableList write lock timeout, \
         tableList=(Table [id={table}, name=t, type=OLAP])"
    );
    let held = (TStatusCode::ANALYSIS_ERROR, text);
    let commit =
        TCommitTxnRequest { thrift_rpc_timeout_ms: Some(100), ..Wire::commit_request("d", txn, Vec::new()) };
    assert_eq!(said(bounded(wire.frontend.commit_txn(&commit)).await.unwrap().status), held);
    let rollback = TRollbackTxnRequest {
        user: Some("root".into()),
        passwd: Some(String::new()),
        db: Some("d".into()),
        txn_id: Some(txn),
        ..Default::default()
    };
    assert_eq!(said(bounded(wire.frontend.rollback_txn(&rollback)).await.unwrap().status), held);
    // A transaction that nobody knows is told at once.
    let unknown = TRollbackTxnRequest { txn_id: Some(txn + 1), ..rollback.clone() };
    let (_, text) = said(bounded(wire.frontend.rollback_txn(&unknown)).await.unwrap().status);
    assert!(text.ends_with(&format!("transaction [{}] not found", txn + 1)), "{text}");
    // Freed while a commit waits for it.
    let waiting = TCommitTxnRequest { thrift_rpc_timeout_ms: Some(60_000), ..commit };
    let (committed, freed) =
        tokio::join!(wire.frontend.commit_txn(&waiting), admin(&cluster, "/hold/table/d/t/0"));
    assert_eq!(freed, 200);
    ok(committed.unwrap().status);
    bounded(cluster.stop()).await;
}

#[tokio::test]
async fn a_rollback_that_comes_too_late_tells_what_became_of_the_transaction() {
    let cluster = cluster().await;
    let wire = Wire::new(&cluster, 0);
    let table = wire.table("d", "t").await.id.unwrap();
    let db = cluster.inner().fe.lock().database_named("d").unwrap().id;
    for label in ["aborted", "visible"] {
        assert_eq!(admin(&cluster, "/hold/table/d/t/60000").await, 200);
        cluster.counters().reset();
        let txn = wire.begin("d", table, label).await.txn_id.unwrap();
        let rollback = TRollbackTxnRequest {
            user: Some("root".into()),
            passwd: Some(String::new()),
            db: Some("d".into()),
            txn_id: Some(txn),
            ..Default::default()
        };
        // Looked up and waiting for the lock, when somebody else ends the transaction.
        let end = async {
            let waits = |inner: &minidoris::ClusterInner| inner.counters.get("rollbackTxn") == 1;
            assert!(cluster.wait_until(LIMIT, waits).await);
            if label == "aborted" {
                let now = cluster.clock().now_ms();
                txn::abort(&mut cluster.inner().fe.lock(), db, txn, "by a test", now).unwrap();
            } else {
                let commit = CommitTxn { db_id: db, txn_id: txn, ..CommitTxn::default() };
                let outcome = txn::commit_and_publish(cluster.inner(), commit, LIMIT).await;
                assert_eq!(outcome, Ok(CommitOutcome::Visible));
            }
            assert_eq!(admin(&cluster, "/hold/table/d/t/0").await, 200);
        };
        let (answer, ()) = tokio::join!(wire.frontend.rollback_txn(&rollback), end);
        let (code, text) = said(answer.unwrap().status);
        assert_eq!(code, TStatusCode::ANALYSIS_ERROR);
        let wanted = match label {
            "aborted" => format!("transaction [{txn}] is already aborted, abort reason: by a test"),
            _ => format!("transaction [{txn}] is already VISIBLE, could not abort."),
        };
        assert_eq!(text, format!("errCode = 2, detailMessage = {wanted}"));
        // Found ended, both say the same.
        let (_, text) = said(bounded(wire.frontend.rollback_txn(&rollback)).await.unwrap().status);
        assert_eq!(text, "errCode = 2, detailMessage = transaction not found");
    }
    bounded(cluster.stop()).await;
}

#[tokio::test]
async fn a_follower_answers_what_the_master_had_when_it_was_asked() {
    let cluster = cluster().await;
    sql(&cluster, "INSERT INTO d.t VALUES (1)").await;
    let (master, follower) = (Wire::new(&cluster, 0), Wire::new(&cluster, 1));
    let first: Vec<i64> =
        master.binlogs("d", -1).await.binlogs.unwrap().iter().filter_map(|b| b.commit_seq).collect();
    assert_eq!(admin(&cluster, "/fe/7/replay_delay/1").await, 400);
    assert_eq!(admin(&cluster, "/fe/1/replay_delay/600000").await, 200);
    cluster.counters().reset();
    let request = TGetBinlogRequest {
        user: Some("root".into()),
        passwd: Some(String::new()),
        db: Some("d".into()),
        prev_commit_seq: Some(-1),
        num_acquired: Some(255),
        allow_follower_read: Some(true),
        ..Default::default()
    };
    let more = async {
        assert!(cluster.wait_until(LIMIT, |inner| inner.counters.get("getBinlog") == 1).await);
        // Written while the follower is behind, which the master tells at once.
        sql(&cluster, "INSERT INTO d.t VALUES (2)").await;
        let seen = master.binlogs("d", -1).await.binlogs.unwrap().len();
        assert_eq!(admin(&cluster, "/fe/1/replay_delay/0").await, 200);
        seen
    };
    let (answer, seen) = tokio::join!(follower.frontend.get_binlog(&request), more);
    let told: Vec<i64> = answer.unwrap().binlogs.unwrap().iter().filter_map(|b| b.commit_seq).collect();
    assert_eq!((told, seen), (first.clone(), first.len() + 1));
    let later = bounded(follower.frontend.get_binlog(&request)).await.unwrap();
    assert_eq!(later.binlogs.unwrap().len(), seen);
    bounded(cluster.stop()).await;
}

#[tokio::test]
async fn a_frontend_forgets_replaced_partitions_when_it_starts_from_an_image() {
    let cluster = cluster().await;
    let replace = |partition: &str, bounds: &str| {
        format!(
            "ALTER TABLE d.t ADD TEMPORARY PARTITION tp VALUES {bounds}; \
             ALTER TABLE d.t REPLACE PARTITION ({partition}) WITH TEMPORARY PARTITION (tp)"
        )
    };
    let dropped = async |fe| {
        let map = Wire::new(&cluster, fe).meta("d").await.dropped_partition_map.unwrap();
        map.into_keys().collect::<Vec<_>>()
    };
    let ids: Vec<i64> = {
        let table = Wire::new(&cluster, 0).table("d", "t").await;
        table.partitions.unwrap().into_iter().filter_map(|partition| partition.id).collect()
    };
    sql(&cluster, &replace("p1", "[(\"-2147483648\"), (\"10\"))")).await;
    sql(&cluster, "ALTER TABLE d.t DROP PARTITION p2").await;
    assert_eq!(dropped(0).await, ids);
    bounded(cluster.restart_frontend(0)).await.unwrap();
    assert!(cluster.fe(0).is_master);
    assert_eq!(dropped(0).await, ids[1..], "the drop is found again, the replacement is not");
    sql(&cluster, "ALTER TABLE d.t ADD PARTITION p2 VALUES LESS THAN (\"20\")").await;
    let made = {
        let table = Wire::new(&cluster, 0).table("d", "t").await;
        table.partitions.unwrap().into_iter().filter_map(|partition| partition.id).max().unwrap()
    };
    sql(&cluster, &replace("p2", "[(\"10\"), (\"20\"))")).await;
    assert_eq!(dropped(0).await, [ids[1], made]);
    // One that has run all the time knows everything.
    cluster.make_master(1).unwrap();
    assert_eq!(dropped(1).await, [ids[0], ids[1], made]);
    bounded(cluster.stop()).await;
}

#[tokio::test]
async fn replicas_that_are_not_normal_are_listed_and_not_offered() {
    let cluster = cluster().await;
    let wire = Wire::new(&cluster, 0);
    let tablet = places(&cluster)[0].tablet;
    let backends: Vec<i64> = (0..2).map(|at| cluster.be(at).id).collect();
    let offered = async || {
        let request = TGetTabletReplicaInfosRequest { tablet_ids: vec![tablet], ..Default::default() };
        let answer = bounded(wire.frontend.get_tablet_replica_infos(&request)).await.unwrap();
        answer.tablet_replica_infos.unwrap().remove(&tablet).unwrap().len()
    };
    let shown = async || {
        let rows = bounded(cluster.sql("SHOW TABLETS FROM d.t")).await.unwrap();
        let at = rows.columns.iter().position(|name| name == "State").unwrap();
        rows.rows.iter().filter(|row| row[at].as_deref() == Some("CLONE")).count()
    };
    assert_eq!((offered().await, shown().await), (2, 0));
    assert_eq!(admin(&cluster, &format!("/replica/{tablet}/{}/LOST", backends[1])).await, 400);
    assert_eq!(admin(&cluster, &format!("/replica/1/{}/CLONE", backends[1])).await, 400);
    assert_eq!(admin(&cluster, &format!("/replica/{tablet}/{}/clone", backends[1])).await, 200);
    assert_eq!((offered().await, shown().await), (1, 1));
    let listed = wire.table("d", "t").await.partitions.unwrap().into_iter().flat_map(|p| p.indexes.unwrap());
    let of_tablet = listed.flat_map(|index| index.tablets.unwrap()).find(|found| found.id == Some(tablet));
    assert_eq!(of_tablet.unwrap().replicas.unwrap().len(), 2, "getMeta lists every replica");
    // A backup takes the other one, and none when there is no other.
    sql(&cluster, "BACKUP SNAPSHOT d.s TO `__keep_on_local__`").await;
    let state = async || bounded(cluster.sql("SHOW BACKUP FROM d")).await.unwrap().rows.pop().unwrap();
    let ended = |inner: &minidoris::ClusterInner| !inner.fe.lock().snapshots.has_running();
    assert!(cluster.wait_until(LIMIT, ended).await);
    assert_eq!(state().await[3].as_deref(), Some("FINISHED"));
    assert_eq!(admin(&cluster, &format!("/replica/{tablet}/{}/DECOMMISSION", backends[0])).await, 200);
    sql(&cluster, "BACKUP SNAPSHOT d.s2 TO `__keep_on_local__`").await;
    assert!(cluster.wait_until(LIMIT, ended).await);
    assert_eq!(state().await[3].as_deref(), Some("CANCELLED"));
    bounded(cluster.stop()).await;
}

#[tokio::test]
async fn a_snapshot_of_two_gibibytes_must_be_compressed() {
    let cluster = cluster().await;
    let wire = Wire::new(&cluster, 0);
    sql(&cluster, "BACKUP SNAPSHOT d.s TO `__keep_on_local__`").await;
    assert!(cluster.wait_until(LIMIT, |inner| !inner.fe.lock().snapshots.has_running()).await);
    let plain = wire.snapshot("d", "s").await;
    let own = plain.meta.unwrap().len() + plain.job_info.unwrap().len();
    let largest = i32::MAX as usize;
    let request = |enable_compress| TGetSnapshotRequest {
        user: Some("root".into()),
        passwd: Some(String::new()),
        db: Some("d".into()),
        label_name: Some("s".into()),
        snapshot_name: Some(String::new()),
        snapshot_type: Some(TSnapshotType::LOCAL),
        enable_compress: Some(enable_compress),
        ..Default::default()
    };
    let get = async |compressed| bounded(wire.frontend.get_snapshot(&request(compressed))).await.unwrap();
    assert_eq!(admin(&cluster, &format!("/snapshot_size/s/{}", largest - own - 1)).await, 200);
    ok(get(false).await.status);
    assert_eq!(admin(&cluster, &format!("/snapshot_size/s/{}", largest - own)).await, 200);
    let text =
        format!("Snapshot s is too large ({largest} bytes > 2GB). Please enable compression to continue.");
    assert_eq!(said(get(false).await.status), (TStatusCode::INTERNAL_ERROR, text));
    let packed = get(true).await;
    assert_eq!(packed.compressed, Some(true));
    ok(packed.status);
    bounded(cluster.stop()).await;
}

#[tokio::test]
async fn a_second_submit_waits_for_the_first() {
    let cluster = cluster().await;
    sql(&cluster, "BACKUP SNAPSHOT d.s TO `__keep_on_local__`").await;
    assert!(cluster.wait_until(LIMIT, |inner| !inner.fe.lock().snapshots.has_running()).await);
    let wire = Wire::new(&cluster, 0);
    let snapshot = wire.snapshot("d", "s").await;
    cluster.inner().fe.lock().set_config("minidoris_submit_wait_ms", "20");
    assert_eq!(admin(&cluster, "/hold/submit/60000").await, 200);
    let busy = "Another backup or restore job is being submitted. Please wait and try again";
    let mut conn = connect(&cluster).await;
    let backup = "BACKUP SNAPSHOT d.s2 TO `__keep_on_local__`";
    let (code, text) = server_error(bounded(conn.query_drop(backup)).await);
    assert_eq!((code, text), (5064, format!("errCode = 2, detailMessage = {busy}")));
    let request = TRestoreSnapshotRequest {
        user: Some("root".into()),
        passwd: Some(String::new()),
        db: Some("d".into()),
        label_name: Some("r".into()),
        repo_name: Some("__keep_on_local__".into()),
        properties: Some(std::collections::BTreeMap::new()),
        meta: snapshot.meta,
        job_info: snapshot.job_info,
        ..Default::default()
    };
    let (code, text) = said(bounded(wire.frontend.restore_snapshot(&request)).await.unwrap().status);
    assert_eq!(code, TStatusCode::ANALYSIS_ERROR);
    let start = format!("errCode = 2, detailMessage = {busy}, command: RESTORE SNAPSHOT `d`.`r` FROM ");
    assert!(text.starts_with(&start), "{text}");
    assert_eq!(admin(&cluster, "/hold/submit/0").await, 200);
    bounded(conn.query_drop(backup)).await.unwrap();
    bounded(cluster.stop()).await;
}
