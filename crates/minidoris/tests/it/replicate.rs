//! From one cluster to another: backup, restore, then a transaction through begin, ingest and commit.

use doris_thrift::*;
use doris_types::record::UpsertRecord;
use minidoris::{Cluster, Fault, FaultKind};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};

use crate::harness::{LIMIT, bounded, connect, pair, rows};
use crate::wire::{Wire, ok};

const TABLE: &str = r#"CREATE TABLE d.t (k INT, v VARCHAR(32)) UNIQUE KEY(k)
    PARTITION BY RANGE(k) (PARTITION p1 VALUES LESS THAN ("100"), PARTITION p2 VALUES LESS THAN ("200"))
    DISTRIBUTED BY HASH(k) BUCKETS 3 PROPERTIES ("replication_num" = "1", "binlog.enable" = "true")"#;
const ALL_ROWS: &str = "SELECT k, v FROM d.t ORDER BY k";

/// Polls a SHOW statement until the newest job is FINISHED.
async fn finished(conn: &mut Conn, show: &str) {
    let waiting = async {
        loop {
            let jobs: Vec<Row> = conn.query(show).await.unwrap();
            let column =
                |name: &str| jobs.last().and_then(|row| row.get::<Option<String>, _>(name)).flatten();
            match column("State").as_deref() {
                Some("FINISHED") => return,
                Some("CANCELLED") => panic!("{show}: {:?}", column("Status")),
                _running => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
            }
        }
    };
    tokio::time::timeout(LIMIT, waiting).await.expect("the job ends in time");
}

/// The upserts after `seq`, oldest first.
async fn upserts(upstream: &Wire, seq: i64) -> Vec<(i64, UpsertRecord)> {
    let result = upstream.binlogs("d", seq).await;
    ok(result.status);
    let binlogs = result.binlogs.unwrap_or_default().into_iter();
    let upserts = binlogs.filter(|binlog| binlog.binlog_type == Some(TBinlogType::UPSERT));
    upserts
        .map(|binlog| {
            let record = serde_json::from_str(binlog.data.as_deref().unwrap()).unwrap();
            (binlog.commit_seq.unwrap(), record)
        })
        .collect()
}

/// Ingests every tablet that an upsert touched and gives what was written.
async fn ingest(
    upstream: &Wire,
    downstream: &Wire,
    target_db: &str,
    txn_id: i64,
    record: &UpsertRecord,
) -> Vec<TTabletCommitInfo> {
    let (source, target) = (upstream.table("d", "t").await, downstream.table(target_db, "t").await);
    let (source_backends, target_backends) = (upstream.backends().await, downstream.backends().await);
    let mut written = Vec::new();
    for touched in record.table_records.values().flat_map(|table| &table.partition_records) {
        let same_id = |partition: &&TGetMetaPartitionMeta| partition.id == Some(touched.partition_id);
        let from = source.partitions.iter().flatten().find(same_id).unwrap();
        let same_range = |partition: &&TGetMetaPartitionMeta| partition.range == from.range;
        let to = target.partitions.iter().flatten().find(same_range).unwrap();
        let tablets = |partition: &TGetMetaPartitionMeta| {
            let mut indexes = partition.indexes.clone().unwrap();
            indexes.sort_by_key(|index| index.name.clone());
            indexes.into_iter().flat_map(|index| index.tablets.unwrap())
        };
        for (remote, local) in tablets(from).zip(tablets(to)) {
            let remote_replica = &remote.replicas.as_ref().unwrap()[0];
            let remote_backend = &source_backends[&remote_replica.backend_id.unwrap()];
            for replica in local.replicas.iter().flatten() {
                let backend = &target_backends[&replica.backend_id.unwrap()];
                let request = TIngestBinlogRequest {
                    txn_id: Some(txn_id),
                    remote_tablet_id: remote.id,
                    binlog_version: Some(touched.version),
                    remote_host: Some(remote_backend.host.clone()),
                    remote_port: Some(remote_backend.http_port.to_string()),
                    partition_id: to.id,
                    local_tablet_id: local.id,
                    load_id: Some(TUniqueId { hi: -1, lo: -1 }),
                };
                ok(bounded(downstream.backend(backend).ingest_binlog(&request)).await.unwrap().status);
                written.push(TTabletCommitInfo::new(local.id.unwrap(), backend.id.unwrap()));
            }
        }
    }
    written
}

/// Upstream and downstream with `d.t` of two rows restored, and the snapshot's commit seq.
async fn restored_pair() -> (Cluster, Cluster, i64) {
    let (source, target) = pair().await;
    let (mut up, mut down) = (connect(&source).await, connect(&target).await);
    up.query_drop(r#"CREATE DATABASE d PROPERTIES ("binlog.enable" = "true")"#).await.unwrap();
    up.query_drop(TABLE).await.unwrap();
    up.query_drop("INSERT INTO d.t VALUES (1, 'one'), (150, 'one and a half')").await.unwrap();
    up.query_drop("BACKUP SNAPSHOT d.s1 TO `__keep_on_local__` ON (t) PROPERTIES (\"type\" = \"full\")")
        .await
        .unwrap();
    finished(&mut up, "SHOW BACKUP FROM d").await;
    let (upstream, downstream) = (Wire::new(&source, 0), Wire::new(&target, 0));
    let snapshot = upstream.snapshot("d", "s1").await;
    let seq = snapshot.commit_seq.unwrap();
    down.query_drop("CREATE DATABASE d").await.unwrap();
    downstream.restore("d", "s1_r", snapshot, &upstream).await;
    finished(&mut down, "SHOW RESTORE FROM d").await;
    let expected = rows(&mut up, ALL_ROWS).await;
    assert_eq!(expected.len(), 2);
    assert_eq!(rows(&mut down, ALL_ROWS).await, expected);
    (source, target, seq)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_and_a_transaction_reach_the_other_cluster() {
    let (source, target, seq) = restored_pair().await;
    let (mut up, mut down) = (connect(&source).await, connect(&target).await);
    let (upstream, downstream) = (Wire::new(&source, 0), Wire::new(&target, 0));

    // A key that exists, a new one in the same partition, and one in the other partition.
    up.query_drop("INSERT INTO d.t VALUES (1, 'uno'), (2, 'due'), (199, 'last')").await.unwrap();
    let news = upserts(&upstream, seq).await;
    assert_eq!(news.len(), 1);
    let (commit_seq, record) = &news[0];
    let table_id = downstream.table("d", "t").await.id.unwrap();
    let label = format!("ccrj-{commit_seq}");
    let begun = downstream.begin("d", table_id, &label).await;
    ok(begun.status);
    let txn_id = begun.txn_id.unwrap();
    let written = ingest(&upstream, &downstream, "d", txn_id, record).await;
    assert_eq!(rows(&mut down, ALL_ROWS).await.len(), 2, "nothing shows before the commit");
    ok(downstream.commit("d", txn_id, written).await);
    let expected = rows(&mut up, ALL_ROWS).await;
    assert_eq!(expected.len(), 4);
    assert_eq!(rows(&mut down, ALL_ROWS).await, expected);

    let again = downstream.begin("d", table_id, &label).await.status.unwrap();
    assert_eq!(again.status_code, TStatusCode::LABEL_ALREADY_EXISTS);
    let caught_up = upstream.binlogs("d", *commit_seq).await.status.unwrap();
    assert_eq!(caught_up.status_code, TStatusCode::BINLOG_TOO_NEW_COMMIT_SEQ);
    source.stop().await;
    target.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_is_replicated_into_another_of_the_same_cluster() {
    let cluster = crate::harness::cluster().await;
    let (mut conn, wire) = (connect(&cluster).await, Wire::new(&cluster, 0));
    conn.query_drop(r#"CREATE DATABASE d PROPERTIES ("binlog.enable" = "true"); CREATE DATABASE copy"#)
        .await
        .unwrap();
    conn.query_drop(TABLE).await.unwrap();
    conn.query_drop("INSERT INTO d.t VALUES (1, 'one')").await.unwrap();
    conn.query_drop("BACKUP SNAPSHOT d.s TO `__keep_on_local__`").await.unwrap();
    finished(&mut conn, "SHOW BACKUP FROM d").await;
    let snapshot = wire.snapshot("d", "s").await;
    let seq = snapshot.commit_seq.unwrap();
    wire.restore("copy", "s_r", snapshot, &wire).await;
    finished(&mut conn, "SHOW RESTORE FROM copy").await;
    assert_eq!(rows(&mut conn, "SELECT k, v FROM copy.t").await, rows(&mut conn, ALL_ROWS).await);

    conn.query_drop("INSERT INTO d.t VALUES (1, 'uno'), (101, 'last')").await.unwrap();
    let (_, record) = upserts(&wire, seq).await.remove(0);
    // Labels belong to a database: the source may use the same one.
    let table_id = wire.table("copy", "t").await.id.unwrap();
    let txn_id = wire.begin("copy", table_id, "l").await.txn_id.unwrap();
    let other = wire.begin("d", wire.table("d", "t").await.id.unwrap(), "l").await;
    ok(other.status);
    assert_ne!(other.txn_id, Some(txn_id));
    let written = ingest(&wire, &wire, "copy", txn_id, &record).await;
    ok(wire.commit("copy", txn_id, written).await);
    let copied = rows(&mut conn, "SELECT k, v FROM copy.t ORDER BY k").await;
    assert_eq!(copied, rows(&mut conn, ALL_ROWS).await);
    assert_eq!(copied.len(), 2);
    // What the copy writes is no binlog of the source.
    let news = upserts(&wire, seq).await;
    assert!(news.iter().all(|(_, record)| !record.table_records.contains_key(&table_id)), "{news:?}");
    cluster.stop().await;
}

/// The rows of a synchronous materialised view come with a snapshot, and with the rowsets of its own tablets.
#[tokio::test(flavor = "multi_thread")]
async fn a_materialized_view_is_replicated_as_an_index_of_its_table() {
    // Rows with one key may be in several tablets: the view is distributed as its table is.
    const VIEW_ROWS: &str = "SELECT `mv_(``g`` % 2)`, sum(`mva_SUM__CAST(``v`` AS bigint)`), \
                             sum(`mva_SUM__CASE WHEN ``v`` IS NULL THEN 0 ELSE 1 END`) \
                             FROM d.t INDEX totals GROUP BY 1 ORDER BY 1";
    let (source, target) = pair().await;
    let (mut up, mut down) = (connect(&source).await, connect(&target).await);
    up.query_drop(
        r#"CREATE DATABASE d PROPERTIES ("binlog.enable" = "true");
           CREATE TABLE d.t (k INT, g INT, v INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 3
               PROPERTIES ("replication_num" = "1", "binlog.enable" = "true");
           INSERT INTO d.t VALUES (1, 1, 10), (1, 2, 20), (2, 1, 30);
           CREATE MATERIALIZED VIEW d.totals AS SELECT g % 2 AS odd, sum(v), count(v) FROM d.t GROUP BY g % 2"#,
    )
    .await
    .unwrap();
    finished(&mut up, "SHOW ALTER TABLE MATERIALIZED VIEW FROM d").await;
    up.query_drop("BACKUP SNAPSHOT d.s1 TO `__keep_on_local__` ON (t)").await.unwrap();
    finished(&mut up, "SHOW BACKUP FROM d").await;
    let (upstream, downstream) = (Wire::new(&source, 0), Wire::new(&target, 0));
    let snapshot = upstream.snapshot("d", "s1").await;
    let seq = snapshot.commit_seq.unwrap();
    let info: serde_json::Value = serde_json::from_slice(snapshot.job_info.as_ref().unwrap()).unwrap();
    let index = &info["backup_objects"]["t"]["partitions"]["t"]["indexes"]["totals"];
    assert_eq!(index["tablets_order"].as_array().map(Vec::len), Some(3), "{info}");
    down.query_drop("CREATE DATABASE d").await.unwrap();
    downstream.restore("d", "s1_r", snapshot, &upstream).await;
    finished(&mut down, "SHOW RESTORE FROM d").await;
    let row = |odd: i64, sum: i64, count: i64| vec![odd, sum, count];
    assert_eq!(numbers(&mut up, VIEW_ROWS).await, [row(0, 20, 1), row(1, 40, 2)]);
    assert_eq!(numbers(&mut down, VIEW_ROWS).await, [row(0, 20, 1), row(1, 40, 2)]);

    up.query_drop("INSERT INTO d.t VALUES (5, 4, 5), (6, 3, NULL)").await.unwrap();
    let (_, record) = upserts(&upstream, seq).await.remove(0);
    let table = downstream.table("d", "t").await;
    let txn_id = downstream.begin("d", table.id.unwrap(), "l").await.txn_id.unwrap();
    let written = ingest(&upstream, &downstream, "d", txn_id, &record).await;
    assert_eq!(written.len(), 6, "every tablet of both indexes");
    // The view's tablets count for the quorum.
    let of_view: Vec<i64> = table.partitions.unwrap()[0]
        .indexes
        .as_ref()
        .unwrap()
        .iter()
        .filter(|index| index.name.as_deref() == Some("totals"))
        .flat_map(|index| index.tablets.iter().flatten().map(|tablet| tablet.id.unwrap()))
        .collect();
    assert_eq!(of_view.len(), 3);
    let without = written.iter().filter(|info| !of_view.contains(&info.tablet_id)).cloned().collect();
    let refused = downstream.commit("d", txn_id, without).await.unwrap();
    assert_ne!(refused.status_code, TStatusCode::OK);
    ok(downstream.commit("d", txn_id, written).await);
    assert_eq!(numbers(&mut down, VIEW_ROWS).await, [row(0, 25, 2), row(1, 40, 2)]);
    // The copy keeps its view by itself.
    down.query_drop("INSERT INTO d.t VALUES (7, 2, 1)").await.unwrap();
    assert_eq!(numbers(&mut down, VIEW_ROWS).await, [row(0, 26, 3), row(1, 40, 2)]);
    source.stop().await;
    target.stop().await;
}

async fn numbers(conn: &mut Conn, sql: &str) -> Vec<Vec<i64>> {
    let rows: Vec<Row> = conn.query(sql).await.unwrap();
    rows.iter().map(|row| (0..row.len()).map(|at| row.get(at).unwrap()).collect()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_master_does_not_know_open_transactions() {
    let (source, target, _) = restored_pair().await;
    let downstream = Wire::new(&target, 0);
    let table_id = downstream.table("d", "t").await.id.unwrap();
    let begun = downstream.begin("d", table_id, "open").await;
    target.restart_frontend(0).await.unwrap();
    // The old connection died with the frontend.
    let downstream = Wire::new(&target, 0);
    let status = downstream.commit("d", begun.txn_id.unwrap(), Vec::new()).await.unwrap();
    assert_eq!(status.status_code, TStatusCode::ANALYSIS_ERROR);
    assert!(format!("{:?}", status.error_msgs).contains("not found"), "{:?}", status.error_msgs);
    ok(downstream.begin("d", table_id, "open").await.status);
    source.stop().await;
    target.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ingest_fails_while_the_upstream_backend_is_down() {
    let (source, target, seq) = restored_pair().await;
    let mut up = connect(&source).await;
    let (upstream, downstream) = (Wire::new(&source, 0), Wire::new(&target, 0));
    up.query_drop("INSERT INTO d.t VALUES (7, 'seven')").await.unwrap();
    let (_, record) = upserts(&upstream, seq).await.remove(0);
    let (remote, local) = (upstream.table("d", "t").await, downstream.table("d", "t").await);
    let touched = record.table_records.values().next().unwrap().partition_records[0].clone();
    let first_tablet = |table: &TGetMetaTableMeta, range: &str| {
        let same_range = |partition: &&TGetMetaPartitionMeta| partition.range.as_deref() == Some(range);
        let partition = table.partitions.iter().flatten().find(same_range).unwrap();
        let tablet = partition.indexes.as_ref().unwrap()[0].tablets.as_ref().unwrap()[0].clone();
        (partition.id, tablet)
    };
    let (_, remote) = first_tablet(&remote, &touched.range);
    let (partition_id, local) = first_tablet(&local, &touched.range);
    let remote_id = remote.replicas.as_ref().unwrap()[0].backend_id.unwrap();
    let local_id = local.replicas.as_ref().unwrap()[0].backend_id.unwrap();
    let remote_backend = upstream.backends().await.remove(&remote_id).unwrap();
    let client = downstream.backend(&downstream.backends().await[&local_id]);
    let txn_id = downstream.begin("d", target_table(&downstream).await, "down").await.txn_id.unwrap();
    let request = TIngestBinlogRequest {
        txn_id: Some(txn_id),
        remote_tablet_id: remote.id,
        binlog_version: Some(touched.version),
        remote_host: Some(remote_backend.host.clone()),
        remote_port: Some(remote_backend.http_port.to_string()),
        partition_id,
        local_tablet_id: local.id,
        load_id: Some(TUniqueId { hi: -1, lo: -1 }),
    };
    let index = (0..source.backend_count()).find(|index| source.be(*index).id == remote_id).unwrap();
    source.kill_backend(index).await.unwrap();
    let refused = bounded(client.ingest_binlog(&request)).await.unwrap().status.unwrap();
    assert_eq!(refused.status_code, TStatusCode::HTTP_ERROR, "{:?}", refused.error_msgs);
    source.restart_backend(index).await.unwrap();
    ok(bounded(client.ingest_binlog(&request)).await.unwrap().status);
    source.stop().await;
    target.stop().await;
}

async fn target_table(downstream: &Wire) -> i64 {
    downstream.table("d", "t").await.id.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_binlogs_are_too_old() {
    let (source, target, seq) = restored_pair().await;
    let mut up = connect(&source).await;
    up.query_drop("INSERT INTO d.t VALUES (3, 'three')").await.unwrap();
    source.expire_binlogs("d").unwrap();
    up.query_drop("INSERT INTO d.t VALUES (4, 'four')").await.unwrap();
    let result = Wire::new(&source, 0).binlogs("d", seq).await;
    assert_eq!(result.status.unwrap().status_code, TStatusCode::BINLOG_TOO_OLD_COMMIT_SEQ);
    assert_eq!(result.binlogs.unwrap().len(), 1, "only the entry that marks the expiry");
    assert!(source.expire_binlogs("nope").is_err());
    source.stop().await;
    target.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_ends_where_a_segment_of_the_snapshot_is_gone() {
    let (source, target, _) = restored_pair().await;
    let mut down = connect(&target).await;
    let (upstream, downstream) = (Wire::new(&source, 0), Wire::new(&target, 0));
    source.faults().add(Fault::new(FaultKind::MissingSegment));
    downstream.restore("d", "again", upstream.snapshot("d", "s1").await, &upstream).await;
    let row = async {
        loop {
            let jobs: Vec<Row> = down.query("SHOW RESTORE FROM d WHERE Label = 'again'").await.unwrap();
            let cell = |name: &str| jobs[0].get::<Option<String>, _>(name).unwrap().unwrap_or_default();
            match cell("State").as_str() {
                "CANCELLED" => return cell("Status"),
                "FINISHED" => panic!("the segment was there"),
                _running => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
            }
        }
    };
    let status = tokio::time::timeout(LIMIT, row).await.expect("the job ends in time");
    assert!(status.contains("The requested URL returned error: 404"), "{status}");
    assert!(status.contains(".dat"), "{status}");
    source.faults().clear();
    downstream.restore("d", "third", upstream.snapshot("d", "s1").await, &upstream).await;
    finished(&mut down, "SHOW RESTORE FROM d").await;
    assert_eq!(rows(&mut down, ALL_ROWS).await.len(), 2);
    source.stop().await;
    target.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_auto_increment_goes_on_behind_what_was_restored() {
    let (source, target) = pair().await;
    let (mut up, mut down) = (connect(&source).await, connect(&target).await);
    let table = "CREATE TABLE d.t (id BIGINT NOT NULL AUTO_INCREMENT(1), v INT) UNIQUE KEY(id) \
                 DISTRIBUTED BY HASH(id) BUCKETS 1 PROPERTIES (\"replication_num\" = \"1\")";
    for conn in [&mut up, &mut down] {
        conn.query_drop("CREATE DATABASE d").await.unwrap();
        conn.query_drop(table).await.unwrap();
    }
    let ids =
        async |conn: &mut Conn| -> Vec<i64> { conn.query("SELECT id FROM d.t ORDER BY id").await.unwrap() };
    up.query_drop("INSERT INTO d.t (v) VALUES (1), (2), (3)").await.unwrap();
    down.query_drop("INSERT INTO d.t (v) VALUES (1)").await.unwrap();
    let (upstream, downstream) = (Wire::new(&source, 0), Wire::new(&target, 0));
    for label in ["s1", "s2"] {
        up.query_drop(format!("BACKUP SNAPSHOT d.{label} TO `__keep_on_local__` ON (t)")).await.unwrap();
        finished(&mut up, "SHOW BACKUP FROM d").await;
        let snapshot = upstream.snapshot("d", label).await;
        downstream.restore("d", label, snapshot, &upstream).await;
        finished(&mut down, "SHOW RESTORE FROM d").await;
        assert_eq!(ids(&mut down).await, [1, 2, 3]);
        down.query_drop("INSERT INTO d.t (v) VALUES (9), (9)").await.unwrap();
        let expected = if label == "s1" { [1, 2, 3, 4, 5] } else { [1, 2, 3, 6, 7] };
        assert_eq!(ids(&mut down).await, expected, "numbers are never given twice");
    }
    bounded(source.stop()).await;
    bounded(target.stop()).await;
}
