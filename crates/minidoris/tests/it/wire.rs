//! The thrift calls of a replication, as root, with the status checked.

use std::collections::BTreeMap;

use doris_thrift::*;
use minidoris::Cluster;
use serde_json::{Value, json};

use crate::harness::bounded;

/// Calls to the frontends and backends of one cluster.
pub struct Wire {
    pub frontend: FrontendClient,
    pool: ClientPool,
}

fn user() -> Option<String> {
    Some("root".to_owned())
}

fn passwd() -> Option<String> {
    Some(String::new())
}

fn text(value: &str) -> Option<String> {
    Some(value.to_owned())
}

/// Panics with the status' texts unless it is OK.
pub fn ok(status: Option<TStatus>) {
    let status = status.expect("every result has a status");
    assert_eq!(status.status_code, TStatusCode::OK, "{:?}", status.error_msgs);
}

impl Wire {
    /// Talks to the frontend at that position.
    pub fn new(cluster: &Cluster, fe: usize) -> Self {
        let pool = ClientPool::new(PoolOptions::default());
        let node = cluster.fe(fe);
        let frontend = pool.frontend(&format!("{}:{}", node.host, node.rpc_port));
        Self { frontend, pool }
    }

    pub async fn binlogs(&self, db: &str, after: i64) -> TGetBinlogResult {
        let request = TGetBinlogRequest {
            user: user(),
            passwd: passwd(),
            db: text(db),
            prev_commit_seq: Some(after),
            num_acquired: Some(255),
            ..Default::default()
        };
        bounded(self.frontend.get_binlog(&request)).await.unwrap()
    }

    pub async fn meta(&self, db: &str) -> TGetMetaDBMeta {
        let wanted = TGetMetaDB { name: text(db), ..Default::default() };
        let request =
            TGetMetaRequest { user: user(), passwd: passwd(), db: Some(wanted), ..Default::default() };
        let result = bounded(self.frontend.get_meta(&request)).await.unwrap();
        ok(Some(result.status));
        result.db_meta.expect("the database exists")
    }

    pub async fn table(&self, db: &str, table: &str) -> TGetMetaTableMeta {
        let tables = self.meta(db).await.tables.unwrap_or_default();
        tables.into_iter().find(|meta| meta.name.as_deref() == Some(table)).expect("the table exists")
    }

    pub async fn backends(&self) -> BTreeMap<i64, TBackend> {
        let request = TGetBackendMetaRequest { user: user(), passwd: passwd(), ..Default::default() };
        let result = bounded(self.frontend.get_backend_meta(&request)).await.unwrap();
        ok(Some(result.status));
        let backends = result.backends.unwrap_or_default();
        backends.into_iter().map(|backend| (backend.id.expect("a backend has an id"), backend)).collect()
    }

    pub async fn token(&self) -> String {
        let request = TGetMasterTokenRequest { user: user(), password: passwd(), ..Default::default() };
        let result = bounded(self.frontend.get_master_token(&request)).await.unwrap();
        ok(result.status);
        result.token.expect("an OK answer has the token")
    }

    pub async fn snapshot(&self, db: &str, label: &str) -> TGetSnapshotResult {
        let request = TGetSnapshotRequest {
            user: user(),
            passwd: passwd(),
            db: text(db),
            label_name: text(label),
            snapshot_name: text(""),
            snapshot_type: Some(TSnapshotType::LOCAL),
            ..Default::default()
        };
        let result = bounded(self.frontend.get_snapshot(&request)).await.unwrap();
        ok(result.status.clone());
        result
    }

    /// Queues a restore of a snapshot of the cluster behind `upstream`.
    pub async fn restore(&self, db: &str, label: &str, snapshot: TGetSnapshotResult, upstream: &Wire) {
        let mut job_info: Value = serde_json::from_slice(&snapshot.job_info.unwrap()).unwrap();
        let network: serde_json::Map<String, Value> = upstream
            .backends()
            .await
            .into_iter()
            .map(|(id, backend)| (id.to_string(), json!({ "ip": backend.host, "port": backend.http_port })))
            .collect();
        job_info["extra_info"] = json!({ "be_network_map": network, "token": upstream.token().await });
        let request = TRestoreSnapshotRequest {
            user: user(),
            passwd: passwd(),
            db: text(db),
            label_name: text(label),
            repo_name: text("__keep_on_local__"),
            properties: Some(BTreeMap::from([("reserve_replica".to_owned(), "true".to_owned())])),
            meta: snapshot.meta,
            job_info: Some(job_info.to_string().into_bytes()),
            clean_tables: Some(false),
            clean_partitions: Some(false),
            atomic_restore: Some(false),
            ..Default::default()
        };
        ok(bounded(self.frontend.restore_snapshot(&request)).await.unwrap().status);
    }

    pub async fn begin(&self, db: &str, table_id: i64, label: &str) -> TBeginTxnResult {
        self.begin_tables(db, vec![table_id], label).await
    }

    pub async fn begin_tables(&self, db: &str, table_ids: Vec<i64>, label: &str) -> TBeginTxnResult {
        let request = TBeginTxnRequest {
            user: user(),
            passwd: passwd(),
            db: text(db),
            table_ids: Some(table_ids),
            label: text(label),
            ..Default::default()
        };
        bounded(self.frontend.begin_txn(&request)).await.unwrap()
    }

    pub fn commit_request(db: &str, txn_id: i64, written: Vec<TTabletCommitInfo>) -> TCommitTxnRequest {
        TCommitTxnRequest {
            user: user(),
            passwd: passwd(),
            db: text(db),
            txn_id: Some(txn_id),
            commit_infos: Some(written),
            ..Default::default()
        }
    }

    pub async fn commit(&self, db: &str, txn_id: i64, written: Vec<TTabletCommitInfo>) -> Option<TStatus> {
        let request = Self::commit_request(db, txn_id, written);
        bounded(self.frontend.commit_txn(&request)).await.unwrap().status
    }

    pub fn backend(&self, backend: &TBackend) -> BackendClient {
        self.pool.backend(&format!("{}:{}", backend.host, backend.be_port))
    }
}
