//! The clients against emulated clusters.

use doris_client::{ClientOptions, Clients, ClusterConfig, DorisCluster, Seed};
use doris_types::call::*;
use doris_types::failure::Cause;
use doris_types::meta::{Backend, SnapshotJob, TabletCommit};
use doris_types::record::UpsertRecord;
use minidoris::{Cluster, ClusterOptions, Fault, FaultKind};
use tokio::time::timeout;

use crate::support::{PATIENCE, options};

const TABLE: &str = r#"CREATE TABLE t (k INT, v VARCHAR(32)) UNIQUE KEY(k)
    PARTITION BY RANGE(k) (PARTITION p1 VALUES LESS THAN ("100"), PARTITION p2 VALUES LESS THAN ("200"))
    DISTRIBUTED BY HASH(k) BUCKETS 2 PROPERTIES ("replication_num" = "1", "binlog.enable" = "true")"#;
const ALL_ROWS: &str = "SELECT k, v FROM t ORDER BY k";

async fn start(options: ClusterOptions) -> Cluster {
    Cluster::start(options).await.unwrap()
}

fn client(clients: &std::sync::Arc<Clients>, cluster: &Cluster, frontends: usize) -> DorisCluster {
    let seeds = (0..frontends).map(|index| {
        let node = cluster.fe(index);
        Seed { host: node.host, query_port: node.query_port, rpc_port: node.rpc_port }
    });
    clients.cluster(ClusterConfig {
        seeds: seeds.collect(),
        user: "root".into(),
        password: String::new(),
        host_mapping: [].into(),
    })
}

fn begin(label: &str, table_ids: Vec<i64>) -> BeginTxn {
    BeginTxn {
        database: "d".into(),
        table_ids,
        label: label.into(),
        request_id: (1, 2),
        timeout_s: 600,
        sub_txn_num: 0,
    }
}

async fn texts(cluster: &DorisCluster, sql: &str) -> Vec<Vec<Option<String>>> {
    cluster.query(Some("d"), sql).await.unwrap().rows.iter().map(|row| row.values().to_vec()).collect()
}

/// Asks until the job is no longer running.
async fn settled(ask: impl AsyncFn() -> Option<SnapshotJob>) -> SnapshotJob {
    let asking = async {
        loop {
            match ask().await {
                Some(job) if job.is_finished() || job.is_cancelled() => return job,
                Some(_) | None => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
            }
        }
    };
    timeout(PATIENCE, asking).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_master_is_followed_through_its_death() {
    let cluster = start(ClusterOptions { frontends: 3, ..ClusterOptions::replicating("three") }).await;
    // Only the first is named; the others are learned.
    let client = client(&Clients::new(options()), &cluster, 1);
    client.execute(None, "CREATE DATABASE d").await.unwrap();
    client.execute(Some("d"), TABLE).await.unwrap();
    assert_eq!(client.frontends().await.unwrap().len(), 3);
    let table_id = client.meta("d", MetaFilter::Names).await.unwrap().unwrap().tables[0].id;
    let opened = client.begin_txn(&begin("before", vec![table_id])).await.unwrap();
    assert!(matches!(opened, BeginAnswer::Opened { .. }));
    cluster.kill_frontend(0).await.unwrap();
    let between = begin("between", vec![table_id]);
    let mut failure = client.begin_txn(&between).await.unwrap_err();
    if matches!(failure.cause, Cause::Lost { .. }) {
        // A pooled connection that has died under the call tells nothing about the call.
        failure = client.begin_txn(&between).await.unwrap_err();
    }
    assert!(matches!(failure.cause, Cause::NoMaster { .. }), "{failure}");
    cluster.make_master(2).unwrap();
    let opened = client.begin_txn(&begin("after", vec![table_id])).await.unwrap();
    assert!(matches!(opened, BeginAnswer::Opened { .. }));
    assert!(client.frontends().await.unwrap()[2].is_master);
    client.execute(Some("d"), "INSERT INTO t VALUES (1, 'one')").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_answers_are_reported_and_can_be_cleared_up() {
    let cluster = start(ClusterOptions::replicating("lossy")).await;
    let client = client(&Clients::new(options()), &cluster, 1);
    client.execute(None, "CREATE DATABASE d").await.unwrap();
    client.execute(Some("d"), TABLE).await.unwrap();
    let table_id = client.meta("d", MetaFilter::Names).await.unwrap().unwrap().tables[0].id;
    for kind in [FaultKind::CutAfter, FaultKind::CutMidReply] {
        let label = format!("{kind:?}");
        cluster.faults().add(Fault::new(kind).call("beginTxn").times(1));
        let failure = client.begin_txn(&begin(&label, vec![table_id])).await.unwrap_err();
        assert!(matches!(failure.cause, Cause::Lost { .. }), "{failure}");
        // The same label and request id find the transaction that was opened all the same.
        let BeginAnswer::Opened { txn_id, .. } =
            client.begin_txn(&begin(&label, vec![table_id])).await.unwrap()
        else {
            panic!("the transaction is open");
        };
        client.rollback_txn("d", txn_id, "not wanted").await.unwrap();
    }
    cluster.faults().add(Fault::new(FaultKind::CutBefore).call("sql:*").containing("CREATE TABLE").times(1));
    let failure = client.execute(Some("d"), &TABLE.replace("TABLE t", "TABLE u")).await.unwrap_err();
    assert!(matches!(failure.cause, Cause::Lost { .. }), "{failure}");
    assert_eq!(client.show_create_table("d", "u").await.unwrap(), None);
    assert!(client.show_create_table("d", "t").await.unwrap().is_some());
}

/// Ingests every tablet of the partitions that an upsert touched.
async fn ingest(
    source: &DorisCluster,
    target: &DorisCluster,
    txn_id: i64,
    record: &UpsertRecord,
) -> Vec<TabletCommit> {
    let named = || MetaFilter::Named(vec!["t".into()]);
    let from = source.meta("d", named()).await.unwrap().unwrap().tables.remove(0);
    let to = target.meta("d", named()).await.unwrap().unwrap().tables.remove(0);
    let (source_backends, target_backends) =
        (source.backends().await.unwrap(), target.backends().await.unwrap());
    let find = |backends: &[Backend], id| backends.iter().find(|backend| backend.id == id).unwrap().clone();
    let mut commits = Vec::new();
    for touched in record.table_records.values().flat_map(|table| &table.partition_records) {
        let remote = from.partitions.iter().find(|partition| partition.id == touched.partition_id).unwrap();
        let local = to.partitions.iter().find(|partition| partition.range == remote.range).unwrap();
        for (remote_tablet, tablet) in remote.indexes[0].tablets.iter().zip(&local.indexes[0].tablets) {
            for replica in &tablet.replicas {
                let backend = find(&target_backends, replica.backend_id);
                let request = IngestRequest {
                    txn_id,
                    partition_id: local.id,
                    tablet_id: tablet.id,
                    load_id: (-1, -1),
                    source_tablet_id: remote_tablet.id,
                    source_version: touched.version,
                    source: find(&source_backends, remote_tablet.replicas[0].backend_id),
                };
                let mut state = target.ingest(&backend, &request).await.unwrap();
                while state == IngestState::Doing {
                    tokio::task::yield_now().await;
                    state = target.query_ingest(&backend, &request).await.unwrap();
                }
                assert_eq!(state, IngestState::Done);
                commits.push(TabletCommit { tablet_id: tablet.id, backend_id: backend.id });
            }
        }
    }
    commits
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_and_a_transaction_reach_the_other_cluster() {
    for ingest_mode in [minidoris::IngestMode::Sync, minidoris::IngestMode::Async] {
        replicate(ingest_mode).await;
    }
}

async fn replicate(ingest_mode: minidoris::IngestMode) {
    let upstream = start(ClusterOptions { backends: 2, ..ClusterOptions::replicating("up") }).await;
    let downstream =
        start(ClusterOptions { first_id: 50_000, ingest_mode, ..ClusterOptions::replicating("down") }).await;
    let clients = Clients::new(ClientOptions { ..options() });
    let (source, target) = (client(&clients, &upstream, 1), client(&clients, &downstream, 1));
    source.check_reachable().await.unwrap();
    let scope = BinlogScope { database: "d".into(), table_id: None };
    assert!(source.binlogs(&scope, -1, 10).await.is_err(), "the database does not exist");
    source.execute(None, r#"CREATE DATABASE d PROPERTIES ("binlog.enable" = "true")"#).await.unwrap();
    assert!(source.database_exists("d").await.unwrap());
    source.execute(Some("d"), TABLE).await.unwrap();
    source.execute(Some("d"), "CREATE VIEW w AS SELECT k FROM t").await.unwrap();
    assert_eq!(source.views("d").await.unwrap(), ["w"]);
    assert_eq!(source.tables("d").await.unwrap(), ["t"]);
    source.execute(Some("d"), "INSERT INTO t VALUES (1, 'one'), (150, 'more')").await.unwrap();
    let create = source.show_create_database("d").await.unwrap().unwrap();
    assert!(create.contains(r#""binlog.enable" = "true""#), "{create}");
    assert_eq!(source.frontend_config("enable_feature_binlog").await.unwrap().as_deref(), Some("true"));
    let backend = source.backends().await.unwrap().remove(0);
    let feature = source.backend_config(&backend, "enable_feature_binlog").await.unwrap();
    assert_eq!(feature.as_deref(), Some("true"));

    // The snapshot.
    source.start_backup("d", "s", &BackupObjects::Listed(vec![BackupTable::whole("t")])).await.unwrap();
    let job = settled(async || source.backup_job("d", "s").await.unwrap()).await;
    assert!(job.is_finished(), "{job:?}");
    let SnapshotAnswer::Ready(mut snapshot) = source.snapshot("d", "s").await.unwrap() else {
        panic!("the snapshot is finished");
    };
    assert_eq!(source.snapshot("d", "other").await.unwrap(), SnapshotAnswer::NotExist);
    let mut job_info: serde_json::Value = serde_json::from_slice(&snapshot.job_info).unwrap();
    let network: serde_json::Map<_, _> = source
        .backends()
        .await
        .unwrap()
        .into_iter()
        .map(|backend| {
            (backend.id.to_string(), serde_json::json!({ "ip": backend.host, "port": backend.http_port }))
        })
        .collect();
    let token = source.token().await.unwrap();
    job_info["extra_info"] = serde_json::json!({ "be_network_map": network, "token": token });
    snapshot.job_info = serde_json::to_vec(&job_info).unwrap();
    let start_seq = snapshot.commit_seq.unwrap();
    target.execute(None, "CREATE DATABASE d").await.unwrap();
    let restore = RestoreRequest {
        database: "d".into(),
        label: "r".into(),
        snapshot,
        tables: vec![],
        properties: [("reserve_replica".to_owned(), "true".to_owned())].into(),
        clean_tables: false,
        clean_partitions: false,
        atomic_restore: false,
        force_replace: false,
    };
    target.start_restore(&restore).await.unwrap();
    let job = settled(async || target.restore_job("d", "r").await.unwrap()).await;
    assert!(job.is_finished(), "{job:?}");
    assert_eq!(texts(&target, ALL_ROWS).await, texts(&source, ALL_ROWS).await);

    // A transaction.
    source.execute(Some("d"), "INSERT INTO t VALUES (1, 'uno'), (2, 'due')").await.unwrap();
    let BinlogPage::Entries(entries) = source.binlogs(&scope, start_seq, 255).await.unwrap() else {
        panic!("there are entries");
    };
    let upsert = entries.iter().rfind(|entry| entry.binlog_type == 0).unwrap();
    let record: UpsertRecord = serde_json::from_str(upsert.data.as_deref().unwrap()).unwrap();
    let table_id = target.meta("d", MetaFilter::Names).await.unwrap().unwrap().tables[0].id;
    let BeginAnswer::Opened { txn_id, .. } = target.begin_txn(&begin("x", vec![table_id])).await.unwrap()
    else {
        panic!("the label is new");
    };
    let commits = ingest(&source, &target, txn_id, &record).await;
    let commit = CommitTxn { database: "d".into(), txn_id, commits, sub_txns: vec![], waits: true };
    assert_eq!(target.commit_txn(&commit).await.unwrap(), Committed { visible: true });
    let expected = texts(&source, ALL_ROWS).await;
    assert_eq!(expected.len(), 3);
    assert_eq!(texts(&target, ALL_ROWS).await, expected);

    // The label now names the finished transaction, and the position is at the end of the list.
    let answer = target.begin_txn(&begin("x", vec![table_id])).await.unwrap();
    assert_eq!(answer, BeginAnswer::LabelUsed { txn_id: Some(txn_id), state: LabelState::Finished });
    let last = entries.last().unwrap().commit_seq;
    assert_eq!(source.binlogs(&scope, last, 255).await.unwrap(), BinlogPage::CaughtUp);
    assert_eq!(source.binlog_lag(&scope, last).await.unwrap().unwrap().lag, 0);
    source.lock_binlogs(&scope, "job", last).await.unwrap();
}
