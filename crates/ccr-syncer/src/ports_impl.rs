//! The engine's cluster ports over `doris-client`: every method is one call, measured.
//!
//! Jobs whose sides are the same cluster under the same account and host mapping share one client, and with
//! it connections, the known frontends and the limits per backend.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::{Arc, Weak};
use std::time::Instant;

use async_trait::async_trait;
use ccr_core::job::ClusterSpec;
use ccr_core::ports::{Cluster, Connector, Downstream, Upstream};
use doris_client::{ClientOptions, Clients, ClusterConfig, DorisCluster, Seed};
use doris_types::call::{
    BackupObjects, BeginAnswer, BeginTxn, BinlogLag, BinlogPage, BinlogScope, CommitTxn, Committed,
    IngestRequest, IngestState, MetaFilter, RestoreRequest, SnapshotAnswer, TxnState,
};
use doris_types::failure::Result;
use doris_types::meta::{Backend, BinlogList, DatabaseMeta, Frontend, RestoredObjects, SnapshotJob};
use parking_lot::Mutex;

use crate::metrics::Metrics;

/// Makes clients and hands out those that exist.
#[derive(Debug)]
pub struct DorisConnector {
    clients: Arc<Clients>,
    metrics: Arc<Metrics>,
    known: Mutex<HashMap<Key, Weak<Port>>>,
}

/// What two sides must have in common to share a client.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    seeds: Vec<(String, u16, u16)>,
    user: String,
    password: String,
    host_mapping: BTreeMap<String, String>,
}

/// One cluster with one account.
#[derive(Debug)]
struct Port {
    cluster: DorisCluster,
    metrics: Arc<Metrics>,
    /// The frontend that the operator named, as the label of calls: which one answered is not known here.
    thrift_address: String,
    sql_address: String,
}

impl DorisConnector {
    pub fn new(options: ClientOptions, metrics: Arc<Metrics>) -> Self {
        Self { clients: Clients::new(options), metrics, known: Mutex::default() }
    }

    fn port(&self, spec: &ClusterSpec) -> Arc<Port> {
        let named = std::iter::once((spec.host.clone(), spec.port, spec.thrift_port));
        let others = spec.frontends.iter().map(|fe| (fe.host.clone(), fe.port, fe.thrift_port));
        let mut seeds = Vec::new();
        for seed in named.chain(others) {
            if !seeds.contains(&seed) {
                seeds.push(seed);
            }
        }
        let key = Key {
            seeds,
            user: spec.user.clone(),
            password: spec.password.clone(),
            host_mapping: spec.host_mapping.clone(),
        };
        let mut known = self.known.lock();
        if let Some(port) = known.get(&key).and_then(Weak::upgrade) {
            return port;
        }
        let seed = |(host, query_port, rpc_port): &(String, u16, u16)| Seed {
            host: host.clone(),
            query_port: *query_port,
            rpc_port: *rpc_port,
        };
        let cluster = self.clients.cluster(ClusterConfig {
            seeds: key.seeds.iter().map(seed).collect(),
            user: key.user.clone(),
            password: key.password.clone(),
            host_mapping: key.host_mapping.clone(),
        });
        let port = Arc::new(Port {
            cluster,
            metrics: Arc::clone(&self.metrics),
            thrift_address: format!("{}:{}", spec.host, spec.thrift_port),
            sql_address: format!("{}:{}", spec.host, spec.port),
        });
        known.retain(|_, port| port.strong_count() > 0);
        known.insert(key, Arc::downgrade(&port));
        port
    }
}

impl Connector for DorisConnector {
    fn upstream(&self, spec: &ClusterSpec) -> Arc<dyn Upstream> {
        self.port(spec)
    }

    fn downstream(&self, spec: &ClusterSpec) -> Arc<dyn Downstream> {
        self.port(spec)
    }
}

impl Port {
    async fn thrift<T>(&self, method: &str, call: impl Future<Output = Result<T>>) -> Result<T> {
        let started = Instant::now();
        let result = call.await;
        self.metrics.frontend_call(method, &self.thrift_address, started.elapsed());
        result
    }

    async fn sql<T>(&self, database: &str, call: impl Future<Output = Result<T>>) -> Result<T> {
        let started = Instant::now();
        let result = call.await;
        self.metrics.statement(&self.sql_address, database, started.elapsed());
        result
    }

    async fn backend<T>(
        &self,
        method: &str,
        backend: &Backend,
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let started = Instant::now();
        let result = call.await;
        let address = format!("{}:{}", backend.host, backend.be_port);
        self.metrics.backend_call(method, &address, started.elapsed());
        result
    }
}

#[async_trait]
impl Cluster for Port {
    async fn check_reachable(&self) -> Result<Vec<Frontend>> {
        self.sql("", self.cluster.check_reachable()).await
    }

    async fn meta(&self, database: &str, filter: MetaFilter) -> Result<Option<DatabaseMeta>> {
        self.thrift("getMeta", self.cluster.meta(database, filter)).await
    }

    async fn backends(&self) -> Result<Vec<Backend>> {
        self.thrift("getBackendMeta", self.cluster.backends()).await
    }

    async fn views(&self, database: &str) -> Result<Vec<String>> {
        self.sql(database, self.cluster.views(database)).await
    }

    async fn execute(&self, database: Option<&str>, sql: &str) -> Result<()> {
        self.sql(database.unwrap_or_default(), self.cluster.execute(database, sql)).await
    }

    async fn temporary_partitions(&self, database: &str, table: &str) -> Result<Vec<String>> {
        self.sql(database, self.cluster.temporary_partitions(database, table)).await
    }

    async fn show_create_table(&self, database: &str, table: &str) -> Result<Option<String>> {
        self.sql(database, self.cluster.show_create_table(database, table)).await
    }

    async fn show_create_database(&self, database: &str) -> Result<Option<String>> {
        self.sql(database, self.cluster.show_create_database(database)).await
    }

    async fn frontend_config(&self, key: &str) -> Result<Option<String>> {
        self.sql("", self.cluster.frontend_config(key)).await
    }

    async fn frontend_config_of(&self, frontend: &Frontend, key: &str) -> Result<Option<String>> {
        self.sql("", self.cluster.frontend_config_of(frontend, key)).await
    }

    async fn backend_config(&self, backend: &Backend, key: &str) -> Result<Option<String>> {
        self.backend("show_config", backend, self.cluster.backend_config(backend, key)).await
    }
}

#[async_trait]
impl Upstream for Port {
    async fn databases(&self) -> Result<Vec<String>> {
        self.sql("", self.cluster.databases()).await
    }

    async fn binlogs(&self, scope: &BinlogScope, after: i64, limit: u8) -> Result<BinlogPage> {
        self.thrift("getBinlog", self.cluster.binlogs(scope, after, limit)).await
    }

    async fn binlog_lag(&self, scope: &BinlogScope, after: i64) -> Result<Option<BinlogLag>> {
        self.thrift("getBinlogLag", self.cluster.binlog_lag(scope, after)).await
    }

    async fn binlog_lists(&self) -> Result<Vec<BinlogList>> {
        self.sql("", self.cluster.binlog_lists()).await
    }

    async fn lock_binlogs(&self, scope: &BinlogScope, job: &str, commit_seq: i64) -> Result<()> {
        self.thrift("lockBinlog", self.cluster.lock_binlogs(scope, job, commit_seq)).await
    }

    async fn start_backup(&self, database: &str, label: &str, objects: &BackupObjects) -> Result<()> {
        self.sql(database, self.cluster.start_backup(database, label, objects)).await
    }

    async fn backup_job(&self, database: &str, label: &str) -> Result<Option<SnapshotJob>> {
        self.sql(database, self.cluster.backup_job(database, label)).await
    }

    async fn snapshot(&self, database: &str, label: &str) -> Result<SnapshotAnswer> {
        self.thrift("getSnapshot", self.cluster.snapshot(database, label)).await
    }

    async fn restore_jobs(&self, database: &str) -> Result<Vec<SnapshotJob>> {
        self.sql(database, self.cluster.restore_jobs(database)).await
    }

    async fn views_by_id(&self, database: &str, database_id: i64) -> Result<BTreeMap<i64, String>> {
        self.sql(database, self.cluster.views_by_id(database_id)).await
    }

    async fn restored_objects(&self, database: &str, job: &SnapshotJob) -> Result<Option<RestoredObjects>> {
        self.sql(database, self.cluster.restored_objects(database, job)).await
    }

    async fn token(&self) -> Result<String> {
        self.thrift("getMasterToken", self.cluster.token()).await
    }
}

#[async_trait]
impl Downstream for Port {
    async fn begin_txn(&self, request: &BeginTxn) -> Result<BeginAnswer> {
        self.thrift("beginTxn", self.cluster.begin_txn(request)).await
    }

    async fn commit_txn(&self, request: &CommitTxn) -> Result<Committed> {
        self.thrift("commitTxn", self.cluster.commit_txn(request)).await
    }

    async fn txn_state(&self, database: &str, txn_id: i64) -> Result<Option<TxnState>> {
        self.sql(database, self.cluster.txn_state(database, txn_id)).await
    }

    async fn rollback_txn(&self, database: &str, txn_id: i64, reason: &str) -> Result<()> {
        self.thrift("rollbackTxn", self.cluster.rollback_txn(database, txn_id, reason)).await
    }

    async fn ingest(&self, backend: &Backend, request: &IngestRequest) -> Result<IngestState> {
        self.backend("ingest_binlog", backend, self.cluster.ingest(backend, request)).await
    }

    async fn query_ingest(&self, backend: &Backend, request: &IngestRequest) -> Result<IngestState> {
        self.backend("query_ingest_binlog", backend, self.cluster.query_ingest(backend, request)).await
    }

    async fn start_restore(&self, request: &RestoreRequest) -> Result<()> {
        self.thrift("restoreSnapshot", self.cluster.start_restore(request)).await
    }

    async fn restore_job(&self, database: &str, label: &str) -> Result<Option<SnapshotJob>> {
        self.sql(database, self.cluster.restore_job(database, label)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(host: &str, password: &str, database: &str) -> ClusterSpec {
        ClusterSpec {
            host: host.to_owned(),
            port: 9030,
            thrift_port: 9020,
            user: "root".to_owned(),
            password: password.to_owned(),
            database: database.to_owned(),
            table: String::new(),
            frontends: Vec::new(),
            host_mapping: BTreeMap::new(),
        }
    }

    #[test]
    fn equal_clusters_share_a_client_and_unused_ones_are_forgotten() {
        let connector = DorisConnector::new(ClientOptions::default(), Arc::new(Metrics::new()));
        let first = connector.port(&spec("a", "p", "d1"));
        assert!(Arc::ptr_eq(&first, &connector.port(&spec("a", "p", "d2"))));
        assert!(!Arc::ptr_eq(&first, &connector.port(&spec("b", "p", "d1"))));
        assert!(!Arc::ptr_eq(&first, &connector.port(&spec("a", "q", "d1"))));
        let mut mapped = spec("a", "p", "d1");
        mapped.host_mapping.insert("x".to_owned(), "y".to_owned());
        let mapped = connector.port(&mapped);
        assert!(!Arc::ptr_eq(&first, &mapped));
        assert_eq!(connector.known.lock().len(), 2, "those that nobody holds are gone");
    }
}
