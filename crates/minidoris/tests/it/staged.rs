//! What is staged over the admin API and with settings, where no statement brings it about.

use std::time::Duration;

use doris_thrift::*;
use minidoris::{Cluster, ClusterOptions, Fault, FaultKind, NodeId};
use mysql_async::prelude::Queryable;
use serde_json::{Value, json};

use crate::harness::{LIMIT, bounded, connect};
use crate::wire::{Wire, ok};

async fn start(options: ClusterOptions) -> Cluster {
    let cluster = bounded(Cluster::start(options)).await.unwrap();
    sql(&cluster, "CREATE DATABASE d PROPERTIES (\"binlog.enable\" = \"true\")").await;
    cluster
}

async fn sql(cluster: &Cluster, text: &str) {
    bounded(cluster.sql(text)).await.unwrap();
}

/// Status and answer of a POST to the admin API.
async fn post(cluster: &Cluster, path: &str, body: &Value) -> (u16, Value) {
    let (host, port) = cluster.admin_address();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let sent = client.post(format!("http://{host}:{port}{path}")).body(body.to_string()).send();
    let answer = bounded(sent).await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

fn said(status: Option<TStatus>) -> (TStatusCode, String) {
    let status = status.unwrap();
    (status.status_code, status.text())
}

/// Visible version, and (version, last failed version) of the replicas of `d.t` by backend.
fn versions(cluster: &Cluster) -> (i64, Vec<(i64, i64)>) {
    let state = cluster.inner().fe.lock();
    let table = state.database_named("d").unwrap().table_named("t").unwrap().as_olap().unwrap();
    let partition = table.partitions.values().next().unwrap();
    let mut replicas = partition.tablets().next().unwrap().replicas.clone();
    replicas.sort_by_key(|replica| replica.backend_id);
    let versions = replicas.iter().map(|replica| (replica.version, replica.last_failed_version));
    (partition.visible_version, versions.collect())
}

#[tokio::test]
async fn one_backend_that_fails_to_publish_is_repaired_and_two_are_waited_for() {
    let options = ClusterOptions {
        backends: 3,
        default_replication_num: 3,
        ..ClusterOptions::replicating("publishing")
    };
    let cluster = start(options).await;
    sql(
        &cluster,
        "CREATE TABLE d.t (k INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1; \
         CREATE TABLE d.other (k INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1",
    )
    .await;
    let failing = |backend: usize| {
        let kind = FaultKind::Status { code: 6, text: "staged".to_owned() };
        Fault::new(kind).on(NodeId::Be(cluster.be(backend).id)).call("publish").containing(" t ")
    };
    cluster.faults().add(failing(0).times(1));
    sql(&cluster, "INSERT INTO d.t VALUES (1)").await;
    assert!(cluster.faults().rules().is_empty(), "the rule was met");
    // Visible by quorum; the third replica gets the version from another one.
    assert!(cluster.wait_until(LIMIT, |_| versions(&cluster) == (2, vec![(2, -1); 3])).await);

    for backend in [1, 2] {
        cluster.faults().add(failing(backend));
    }
    let wire = Wire::new(&cluster, 0);
    let id = wire.table("d", "t").await.id.unwrap();
    let txn = wire.begin("d", id, "l").await.txn_id.unwrap();
    let written = stage_empty(&cluster, txn);
    let request = TCommitTxnRequest {
        thrift_rpc_timeout_ms: Some(20),
        ..Wire::commit_request("d", txn, written.clone())
    };
    let (code, _) = said(bounded(wire.frontend.commit_txn(&request)).await.unwrap().status);
    assert_eq!(code, TStatusCode::PUBLISH_TIMEOUT);
    // Other tables go on.
    sql(&cluster, "INSERT INTO d.other VALUES (1)").await;
    assert_eq!(versions(&cluster).0, 2);
    cluster.faults().clear();
    ok(wire.commit("d", txn, written).await);
    assert!(cluster.wait_until(LIMIT, |_| versions(&cluster) == (3, vec![(3, -1); 3])).await);
    bounded(cluster.stop()).await;
}

/// Every replica of `d.t` has a rowset without rows for the transaction.
fn stage_empty(cluster: &Cluster, txn: i64) -> Vec<TTabletCommitInfo> {
    let mut written = Vec::new();
    let state = cluster.inner().fe.lock();
    let table = state.database_named("d").unwrap().table_named("t").unwrap().as_olap().unwrap();
    for partition in table.partitions.values() {
        for tablet in partition.tablets() {
            for replica in &tablet.replicas {
                let backend = cluster.inner().backend(replica.backend_id).unwrap();
                backend.write(txn, partition.id, tablet.id, (1, 1), Vec::new()).unwrap();
                written.push(TTabletCommitInfo::new(tablet.id, replica.backend_id));
            }
        }
    }
    written
}

#[tokio::test]
async fn a_slow_backend_publishes_when_its_time_has_come() {
    let cluster = start(ClusterOptions::replicating("slow")).await;
    sql(&cluster, "CREATE TABLE d.t (k INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1").await;
    cluster.faults().add(Fault::new(FaultKind::Delay(500_000)).call("publish").containing("slowly"));
    sql(&cluster, "INSERT INTO d.t VALUES (1)").await;
    let mut conn = connect(&cluster).await;
    let insert = conn.query_drop("INSERT INTO d.t WITH LABEL slowly VALUES (2)");
    let pass = async {
        let is_committed = |_: &minidoris::ClusterInner| {
            let state = cluster.inner().fe.lock();
            let db = state.database_named("d").unwrap().id;
            state.txns.running(db).any(|txn| txn.status == minidoris::txn::TxnStatus::Committed)
        };
        assert!(cluster.wait_until(LIMIT, is_committed).await);
        assert_eq!(versions(&cluster).0, 2);
        cluster.clock().advance_ms(600_000);
    };
    let (inserted, ()) = bounded(async { tokio::join!(insert, pass) }).await;
    inserted.unwrap();
    assert!(cluster.wait_until(LIMIT, |_| versions(&cluster).0 == 3).await);
    bounded(cluster.stop()).await;
}

#[tokio::test]
async fn entries_that_no_statement_writes() {
    let cluster = start(ClusterOptions::replicating("strange")).await;
    sql(
        &cluster,
        "CREATE TABLE d.t (k INT) DUPLICATE KEY(k) PARTITION BY RANGE(k) (PARTITION p VALUES LESS THAN (\"5\")) \
         DISTRIBUTED BY HASH(k) BUCKETS 1",
    )
    .await;
    let wire = Wire::new(&cluster, 0);
    let table = wire.table("d", "t").await;
    let (id, partition) = (table.id.unwrap(), table.partitions.unwrap()[0].id.unwrap());
    let before = wire.binlogs("d", -1).await.binlogs.unwrap().last().unwrap().commit_seq.unwrap();
    assert_eq!(post(&cluster, "/binlog/append/none", &json!({ "type": 40, "data": "{}" })).await.0, 400);
    assert_eq!(post(&cluster, "/binlog/append/d", &json!({ "data": "{}" })).await.0, 400);
    let unknown = json!({ "type": 40, "table_ids": [id], "data": "{\"x\":1}" });
    let (status, told) = post(&cluster, "/binlog/append/d", &unknown).await;
    assert_eq!((status, told["commit_seq"].as_i64()), (200, Some(before + 1)));
    let inner = format!("{{\"tid\":{id},\"pid\":{partition},\"pn\":\"p\"}}");
    let barrier = json!({ "tableId": id, "binlogType": 3, "binlog": inner }).to_string();
    let wrapped = json!({ "type": 10, "table_ids": [id], "data": barrier });
    assert_eq!(post(&cluster, "/binlog/append/d", &wrapped).await.0, 200);
    let entries = wire.binlogs("d", before).await.binlogs.unwrap();
    let told: Vec<_> = entries.iter().map(|e| (e.binlog_type.unwrap().0, e.data.clone().unwrap())).collect();
    assert_eq!(told, [(40, "{\"x\":1}".to_owned()), (10, barrier)]);
    let dropped = wire.meta("d").await.dropped_partition_map.unwrap();
    assert_eq!(dropped.keys().copied().collect::<Vec<_>>(), [partition]);
    bounded(cluster.stop()).await;
}

/// The states of the job of a statement, as SHOW ALTER tells them, with the number of binlogs.
async fn job(cluster: &Cluster) -> (String, usize) {
    let shown = bounded(cluster.sql("SHOW ALTER TABLE COLUMN FROM d")).await.unwrap();
    let at = shown.columns.iter().position(|name| name == "State").unwrap();
    let state = shown.rows.last().unwrap()[at].clone().unwrap();
    let binlogs = Wire::new(cluster, 0).binlogs("d", -1).await.binlogs.unwrap();
    (state, binlogs.iter().filter(|entry| entry.binlog_type == Some(TBinlogType::ALTER_JOB)).count())
}

#[tokio::test]
async fn schema_changes_have_their_own_pace_and_can_be_stepped() {
    let options = ClusterOptions {
        alter_interval: Some(Duration::from_secs(3_600)),
        ..ClusterOptions::replicating("stepped")
    };
    let cluster = start(options).await;
    sql(&cluster, "CREATE TABLE d.t (k INT, v INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1").await;
    sql(&cluster, "BACKUP SNAPSHOT d.s TO `__keep_on_local__`").await;
    assert!(cluster.wait_until(LIMIT, |inner| !inner.fe.lock().snapshots.has_running()).await);
    sql(&cluster, "ALTER TABLE d.t MODIFY COLUMN v BIGINT").await;
    let indexes = async || {
        let partitions = Wire::new(&cluster, 0).table("d", "t").await.partitions.unwrap();
        partitions[0].indexes.as_ref().unwrap().len()
    };
    let mut seen = vec![(job(&cluster).await, indexes().await)];
    for moved in [true, true, true, false] {
        let (status, answer) = post(&cluster, "/alter/step", &Value::Null).await;
        assert_eq!((status, answer["moved"].as_bool()), (200, Some(moved)));
        seen.push((job(&cluster).await, indexes().await));
    }
    let at = |state: &str, binlogs, indexes| ((state.to_owned(), binlogs), indexes);
    let wanted = [
        at("PENDING", 1, 1),
        at("WAITING_TXN", 2, 2),
        at("RUNNING", 2, 2),
        at("FINISHED", 3, 1),
        at("FINISHED", 3, 1),
    ];
    assert_eq!(seen, wanted);
    assert_eq!(post(&cluster, "/alter/stop", &Value::Null).await.0, 404);
    bounded(cluster.stop()).await;
}

#[tokio::test]
async fn paused_schema_changes_go_on_when_they_are_told_to() {
    let cluster = start(ClusterOptions::replicating("paused")).await;
    sql(&cluster, "CREATE TABLE d.t (k INT, v INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1").await;
    assert_eq!(post(&cluster, "/alter/pause", &Value::Null).await.0, 200);
    sql(&cluster, "ALTER TABLE d.t MODIFY COLUMN v BIGINT").await;
    // Backups have the same pace and take several steps.
    sql(&cluster, "BACKUP SNAPSHOT d.s TO `__keep_on_local__`").await;
    assert!(cluster.wait_until(LIMIT, |inner| !inner.fe.lock().snapshots.has_running()).await);
    assert_eq!(job(&cluster).await, ("PENDING".to_owned(), 1));
    assert_eq!(post(&cluster, "/alter/resume", &Value::Null).await.0, 200);
    assert!(cluster.wait_until(LIMIT, |inner| inner.fe.lock().ddl.running_jobs.is_empty()).await);
    assert_eq!(job(&cluster).await, ("FINISHED".to_owned(), 3));
    bounded(cluster.stop()).await;
}

#[tokio::test]
async fn messages_have_the_size_that_the_settings_allow() {
    let mut options = ClusterOptions::replicating("small");
    options.backend_config.insert("thrift_max_message_size".to_owned(), "4096".to_owned());
    let cluster = start(options).await;
    sql(&cluster, "CREATE TABLE d.t (k INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1").await;
    let id = Wire::new(&cluster, 0).table("d", "t").await.id.unwrap();
    let begin = TBeginTxnRequest {
        user: Some("root".into()),
        passwd: Some(String::new()),
        db: Some("d".into()),
        table_ids: Some(vec![id]),
        label: Some("l".repeat(8_000)),
        ..Default::default()
    };
    let answer = bounded(Wire::new(&cluster, 0).frontend.begin_txn(&begin)).await.unwrap();
    assert_eq!(said(answer.status).0, TStatusCode::ANALYSIS_ERROR);
    cluster.inner().fe.lock().set_config("thrift_max_message_size", "4096");
    bounded(cluster.restart_frontend(0)).await.unwrap();
    assert!(bounded(Wire::new(&cluster, 0).frontend.begin_txn(&begin)).await.is_err());
    let wire = Wire::new(&cluster, 0);
    let backend = wire.backend(wire.backends().await.values().next().unwrap());
    let request = |host: String| TIngestBinlogRequest { remote_host: Some(host), ..Default::default() };
    assert!(bounded(backend.ingest_binlog(&request("h".repeat(8_000)))).await.is_err());
    assert!(bounded(backend.ingest_binlog(&request("h".to_owned()))).await.is_ok());
    bounded(cluster.stop()).await;
}

#[tokio::test]
async fn a_database_takes_as_many_transactions_as_its_quota_allows() {
    let cluster = start(ClusterOptions::replicating("quota")).await;
    sql(&cluster, "CREATE TABLE d.t (k INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1").await;
    sql(&cluster, "ALTER DATABASE d SET TRANSACTION QUOTA 1").await;
    let wire = Wire::new(&cluster, 0);
    let id = wire.table("d", "t").await.id.unwrap();
    ok(wire.begin("d", id, "l1").await.status);
    let (code, text) = said(wire.begin("d", id, "l2").await.status);
    assert_eq!(code, TStatusCode::ANALYSIS_ERROR);
    assert!(
        text.contains("current running txns on db ") && text.ends_with(" is 1, larger than limit 1"),
        "{text}"
    );
    sql(&cluster, "ALTER DATABASE d SET TRANSACTION QUOTA 2").await;
    ok(wire.begin("d", id, "l2").await.status);
    bounded(cluster.stop()).await;
}

#[tokio::test]
async fn a_temporary_table_ends_with_its_connection() {
    let cluster = start(ClusterOptions::replicating("temporary")).await;
    sql(&cluster, "CREATE DATABASE plain").await;
    let mut conn = connect(&cluster).await;
    let create = "CREATE TEMPORARY TABLE plain.t (k INT) DISTRIBUTED BY HASH(k) BUCKETS 1";
    bounded(conn.query_drop(create)).await.unwrap();
    bounded(conn.query_drop("INSERT INTO plain.t VALUES (1)")).await.unwrap();
    bounded(conn.disconnect()).await.unwrap();
    let is_gone = |inner: &minidoris::ClusterInner| {
        inner.fe.lock().database_named("plain").unwrap().table_named("t").is_none()
    };
    assert!(cluster.wait_until(LIMIT, is_gone).await);
    bounded(cluster.stop()).await;
}

#[tokio::test]
async fn the_next_step_of_a_job_can_be_its_last() {
    let cluster = start(ClusterOptions::replicating("cancelled")).await;
    sql(
        &cluster,
        "CREATE TABLE d.t (k INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1; CREATE DATABASE r",
    )
    .await;
    let cancel = |call: &str, label: &str| {
        Fault::new(FaultKind::Cancel("staged".to_owned())).call(call).containing(label).times(1)
    };
    let ended = async || {
        assert!(cluster.wait_until(LIMIT, |inner| !inner.fe.lock().snapshots.has_running()).await);
    };
    let last = async |show: &str| {
        let mut shown = bounded(cluster.sql(show)).await.unwrap();
        let row = shown.rows.pop().unwrap();
        let at = |name: &str| shown.columns.iter().position(|column| column == name).unwrap();
        (row[at("State")].clone().unwrap(), row[at("Status")].clone().unwrap())
    };
    let cancelled = ("CANCELLED".to_owned(), "[COMMON_ERROR, msg: staged]".to_owned());
    cluster.faults().add(cancel("job:RESTORE", "d s"));
    cluster.faults().add(cancel("job:BACKUP", "d s"));
    sql(&cluster, "BACKUP SNAPSHOT d.s TO `__keep_on_local__`").await;
    ended().await;
    assert_eq!(last("SHOW BACKUP FROM d").await, cancelled);
    sql(&cluster, "BACKUP SNAPSHOT d.s TO `__keep_on_local__`").await;
    ended().await;
    assert_eq!(last("SHOW BACKUP FROM d").await.0, "FINISHED");
    assert_eq!(cluster.faults().rules().len(), 1, "no restore has run");
    cluster.faults().add(cancel("job:*", "r x"));
    let wire = Wire::new(&cluster, 0);
    for wanted in ["CANCELLED", "FINISHED"] {
        wire.restore("r", "x", wire.snapshot("d", "s").await, &wire).await;
        ended().await;
        assert_eq!(last("SHOW RESTORE FROM r").await.0, wanted);
    }
    bounded(cluster.stop()).await;
}

#[tokio::test]
async fn a_backend_that_goes_down_aborts_what_its_neighbours_have_opened() {
    let cluster = start(ClusterOptions { backends: 2, ..ClusterOptions::replicating("neighbours") }).await;
    sql(&cluster, "CREATE TABLE d.t (k INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1").await;
    let wire = Wire::new(&cluster, 0);
    let id = wire.table("d", "t").await.id.unwrap();
    for aborts in ["false", "true"] {
        let setting = "enable_abort_txn_by_checking_coordinator_be";
        sql(&cluster, &format!("ADMIN SET FRONTEND CONFIG (\"{setting}\" = \"{aborts}\")")).await;
        let txn = wire.begin("d", id, &format!("l_{aborts}")).await.txn_id.unwrap();
        bounded(cluster.kill_backend(1)).await.unwrap();
        bounded(cluster.restart_backend(1)).await.unwrap();
        let (code, text) = said(wire.commit("d", txn, Vec::new()).await);
        if aborts == "false" {
            assert_eq!(code, TStatusCode::OK, "{text}");
        } else {
            let start = format!("errCode = 2, detailMessage = transaction [{txn}] is already aborted");
            assert!(text.starts_with(&start), "{text}");
        }
    }
    bounded(cluster.stop()).await;
}
