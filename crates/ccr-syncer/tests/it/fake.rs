//! A cluster in memory that answers what a test has put into it.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use ccr_core::job::ClusterSpec;
use ccr_core::ports::{Cluster, Connector, Downstream, Upstream};
use doris_types::call::{
    BackupObjects, BeginAnswer, BeginTxn, BinlogLag, BinlogPage, BinlogScope, CommitTxn, Committed,
    IngestRequest, IngestState, MetaFilter, RestoreRequest, SnapshotAnswer, TxnState,
};
use doris_types::failure::{Cause, Failure, Result};
use doris_types::meta::{
    Backend, BinlogList, DatabaseMeta, Frontend, RestoredObjects, SnapshotJob, TableMeta,
};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};

#[derive(Debug, Clone)]
pub struct Table {
    pub id: i64,
    pub kind: String,
    pub create: String,
}

#[derive(Debug, Clone, Default)]
pub struct Database {
    pub create: String,
    pub tables: BTreeMap<String, Table>,
    pub views: Vec<String>,
}

#[derive(Debug, Default)]
pub struct State {
    /// How often the databases were listed.
    pub listed: usize,
    /// By the name of the port's method.
    pub failures: BTreeMap<&'static str, Failure>,
    /// Methods that panic, with this text.
    pub panics: BTreeMap<&'static str, &'static str>,
    pub frontend: BTreeMap<String, String>,
    /// Frontends that have other settings, by their host; those without any cannot be asked.
    pub frontend_of: BTreeMap<String, BTreeMap<String, String>>,
    pub backends: Vec<Backend>,
    pub frontends: Vec<Frontend>,
    /// The temporary partitions of every table.
    pub temporary: Vec<String>,
    /// By backend id; a backend without an entry cannot be asked.
    pub backend: BTreeMap<i64, BTreeMap<String, String>>,
    pub databases: BTreeMap<String, Database>,
    pub lag: Option<BinlogLag>,
    /// Of lists of tables, by id; those of other tables are as `lag`.
    pub lag_of_table: BTreeMap<i64, BinlogLag>,
    /// It never answers how far somebody is behind.
    pub is_silent: bool,
    pub lists: Vec<BinlogList>,
    /// How often they were asked for.
    pub lists_read: usize,
    /// State of every backup; `SNAPSHOTING` when empty.
    pub backup_state: String,
    /// Statements that hold one of these texts fail.
    pub refused_statements: Vec<String>,
    pub statements: Vec<String>,
    /// What CREATE DATABASE leaves behind, also when it then fails; an empty database when not set.
    pub on_create: Option<Database>,
    /// When set, proving that the cluster is reachable needs a permit of it.
    pub gate: Option<Arc<Semaphore>>,
}

/// A cluster with the binlog feature on, two frontends and two backends.
#[derive(Debug)]
pub struct FakeCluster {
    pub state: Mutex<State>,
    /// How many calls have come to the gate.
    pub at_gate: watch::Sender<usize>,
}

/// Gives out the same two clusters whatever the specs say, and keeps the specs.
#[derive(Debug)]
pub struct FakeConnector {
    pub up: Arc<FakeCluster>,
    pub down: Arc<FakeCluster>,
    pub upstream_specs: Mutex<Vec<ClusterSpec>>,
    /// Sources beside `up`, by host.
    pub others: Mutex<BTreeMap<String, Arc<FakeCluster>>>,
}

pub fn table(id: i64, properties: &[(&str, &str)]) -> Table {
    let mut create = "CREATE TABLE `t` (\n  `k` int NULL\n) ENGINE=OLAP\nDUPLICATE KEY(`k`)\n\
         DISTRIBUTED BY HASH(`k`) BUCKETS 1\nPROPERTIES (\n\"replication_allocation\" = \"tag.location.default: 1\""
        .to_owned();
    for (key, value) in properties {
        create.push_str(&format!(",\n\"{key}\" = \"{value}\""));
    }
    create.push_str("\n);");
    Table { id, kind: "OLAP".to_owned(), create }
}

/// With everything that replication needs.
pub fn good_table(id: i64) -> Table {
    table(id, &[("light_schema_change", "true"), ("binlog.enable", "true")])
}

pub fn database(name: &str, binlog: bool) -> Database {
    let properties = if binlog { "\nPROPERTIES (\n\"binlog.enable\" = \"true\"\n)" } else { "" };
    Database { create: format!("CREATE DATABASE `{name}`{properties}"), ..Database::default() }
}

pub fn frontend(host: &str, is_master: bool) -> Frontend {
    let version = "doris-2.1.7-rc03-443e87e203".to_owned();
    Frontend { host: host.to_owned(), query_port: 9030, rpc_port: 9020, is_master, version }
}

impl FakeCluster {
    pub fn new() -> Arc<Self> {
        let on = BTreeMap::from([("enable_feature_binlog".to_owned(), "true".to_owned())]);
        let backend =
            |id: i64| Backend { id, host: format!("be{id}"), be_port: 9060, http_port: 8040, alive: true };
        let state = State {
            frontend: on.clone(),
            frontends: vec![frontend("fe1", true), frontend("fe2", false)],
            backends: vec![backend(1), backend(2)],
            backend: BTreeMap::from([(1, on.clone()), (2, on)]),
            ..State::default()
        };
        Arc::new(Self { state: Mutex::new(state), at_gate: watch::Sender::new(0) })
    }

    pub fn fail(&self, method: &'static str, cause: Cause) {
        self.state.lock().failures.insert(method, Failure::new(method, "fe:9030", cause));
    }

    pub fn statements(&self) -> Vec<String> {
        self.state.lock().statements.clone()
    }

    /// Makes calls wait; dropping permits into the semaphore lets them go on.
    pub fn close_gate(&self) -> Arc<Semaphore> {
        let gate = Arc::new(Semaphore::new(0));
        self.state.lock().gate = Some(Arc::clone(&gate));
        gate
    }

    pub fn open_gate(&self) {
        if let Some(gate) = self.state.lock().gate.take() {
            gate.add_permits(1000);
        }
    }

    /// Waits until that many calls have come to the gate.
    pub async fn wait_at_gate(&self, calls: usize) {
        self.at_gate.subscribe().wait_for(|count| *count >= calls).await.unwrap();
    }

    fn check(&self, method: &'static str) -> Result<()> {
        let text = self.state.lock().panics.get(method).copied();
        if let Some(text) = text {
            panic!("{text}");
        }
        self.state.lock().failures.get(method).cloned().map_or(Ok(()), Err)
    }
}

impl FakeConnector {
    pub fn new(up: &Arc<FakeCluster>, down: &Arc<FakeCluster>) -> Arc<Self> {
        let (upstream_specs, others) = (Mutex::default(), Mutex::default());
        Arc::new(Self { up: Arc::clone(up), down: Arc::clone(down), upstream_specs, others })
    }
}

impl Connector for FakeConnector {
    fn upstream(&self, spec: &ClusterSpec) -> Arc<dyn Upstream> {
        self.upstream_specs.lock().push(spec.clone());
        let other = self.others.lock().get(&spec.host).cloned();
        other.unwrap_or_else(|| Arc::clone(&self.up))
    }

    fn downstream(&self, _spec: &ClusterSpec) -> Arc<dyn Downstream> {
        Arc::<FakeCluster>::clone(&self.down)
    }
}

#[async_trait]
impl Cluster for FakeCluster {
    async fn check_reachable(&self) -> Result<Vec<Frontend>> {
        self.check("check_reachable")?;
        let gate = self.state.lock().gate.clone();
        if let Some(gate) = gate {
            self.at_gate.send_modify(|count| *count += 1);
            gate.acquire().await.unwrap().forget();
        }
        Ok(self.state.lock().frontends.clone())
    }

    async fn meta(&self, database: &str, filter: MetaFilter) -> Result<Option<DatabaseMeta>> {
        self.check("meta")?;
        let state = self.state.lock();
        let Some(found) = state.databases.get(database) else { return Ok(None) };
        let wanted = |name: &str, id: i64| match &filter {
            MetaFilter::Names => true,
            MetaFilter::Tables(ids) => ids.contains(&id),
            MetaFilter::Named(names) => names.iter().any(|wanted| wanted == name),
        };
        let tables = found.tables.iter().filter(|(name, table)| wanted(name, table.id));
        let tables = tables.map(|(name, table)| TableMeta {
            id: table.id,
            name: name.clone(),
            // The list of names tells no more than names.
            kind: if matches!(filter, MetaFilter::Names) { String::new() } else { table.kind.clone() },
            partitions: Vec::new(),
        });
        Ok(Some(DatabaseMeta {
            id: 1,
            name: database.to_owned(),
            tables: tables.collect(),
            ..DatabaseMeta::default()
        }))
    }

    async fn backends(&self) -> Result<Vec<Backend>> {
        self.check("backends")?;
        Ok(self.state.lock().backends.clone())
    }

    async fn views(&self, database: &str) -> Result<Vec<String>> {
        self.check("views")?;
        let state = self.state.lock();
        Ok(state.databases.get(database).map(|database| database.views.clone()).unwrap_or_default())
    }

    async fn execute(&self, _database: Option<&str>, sql: &str) -> Result<()> {
        let mut state = self.state.lock();
        state.statements.push(sql.to_owned());
        let refused = state.refused_statements.iter().any(|part| sql.contains(part));
        let failure = state.failures.get("execute").cloned().or_else(|| {
            let cause = Cause::Malformed { detail: "refused".to_owned() };
            refused.then(|| Failure::new("execute", "fe:9030", cause))
        });
        if let Some(name) = sql.strip_prefix("CREATE DATABASE `") {
            let name = name.trim_end_matches('`');
            let made = state.on_create.take().or_else(|| failure.is_none().then(|| database(name, false)));
            if let Some(made) = made {
                state.databases.insert(name.to_owned(), made);
            }
        }
        if let Some(failure) = failure {
            return Err(failure);
        }
        if let Some(name) = sql.strip_prefix("DROP DATABASE IF EXISTS `") {
            state.databases.remove(name.trim_end_matches('`'));
        }
        Ok(())
    }

    async fn temporary_partitions(&self, _database: &str, _table: &str) -> Result<Vec<String>> {
        Ok(self.state.lock().temporary.clone())
    }

    async fn show_create_table(&self, database: &str, table: &str) -> Result<Option<String>> {
        self.check("show_create_table")?;
        let state = self.state.lock();
        let found = state.databases.get(database).and_then(|database| database.tables.get(table));
        if found.is_some_and(|table| table.kind == "MATERIALIZED_VIEW") {
            let message = "not support async materialized view, please use `show create materialized view`";
            let (code, state) = (1105, "HY000".to_owned());
            let cause = Cause::Sql { code, state, message: message.to_owned() };
            return Err(Failure::new("SHOW CREATE TABLE", "fe", cause));
        }
        Ok(found.map(|table| table.create.clone()))
    }

    async fn show_create_database(&self, database: &str) -> Result<Option<String>> {
        self.check("show_create_database")?;
        Ok(self.state.lock().databases.get(database).map(|database| database.create.clone()))
    }

    async fn frontend_config(&self, key: &str) -> Result<Option<String>> {
        self.check("frontend_config")?;
        Ok(self.state.lock().frontend.get(key).cloned())
    }

    async fn frontend_config_of(&self, frontend: &Frontend, key: &str) -> Result<Option<String>> {
        let state = self.state.lock();
        let settings = state.frontend_of.get(&frontend.host).unwrap_or(&state.frontend);
        if settings.is_empty() {
            let cause = Cause::Connect { detail: "refused".to_owned() };
            return Err(Failure::new(
                "ADMIN SHOW",
                format!("{}:{}", frontend.host, frontend.query_port),
                cause,
            ));
        }
        Ok(settings.get(key).cloned())
    }

    async fn backend_config(&self, backend: &Backend, key: &str) -> Result<Option<String>> {
        let state = self.state.lock();
        let Some(config) = state.backend.get(&backend.id) else {
            let cause = Cause::Connect { detail: "refused".to_owned() };
            return Err(Failure::new(
                "show_config",
                format!("{}:{}", backend.host, backend.http_port),
                cause,
            ));
        };
        Ok(config.get(key).cloned())
    }
}

#[async_trait]
impl Upstream for FakeCluster {
    async fn databases(&self) -> Result<Vec<String>> {
        self.state.lock().listed += 1;
        self.check("databases")?;
        let state = self.state.lock();
        let system = ["information_schema", "mysql", "__internal_schema"].map(str::to_owned);
        Ok(system.into_iter().chain(state.databases.keys().cloned()).collect())
    }

    async fn binlogs(&self, _scope: &BinlogScope, _after: i64, _limit: u8) -> Result<BinlogPage> {
        Ok(BinlogPage::CaughtUp)
    }

    async fn binlog_lag(&self, scope: &BinlogScope, _after: i64) -> Result<Option<BinlogLag>> {
        let is_silent = self.state.lock().is_silent;
        if is_silent {
            std::future::pending::<()>().await;
        }
        self.check("binlog_lag")?;
        let state = self.state.lock();
        let of_table = scope.table_id.and_then(|id| state.lag_of_table.get(&id)).cloned();
        Ok(of_table.or_else(|| state.lag.clone()))
    }

    async fn binlog_lists(&self) -> Result<Vec<BinlogList>> {
        self.check("binlog_lists")?;
        let mut state = self.state.lock();
        state.lists_read += 1;
        Ok(state.lists.clone())
    }

    async fn lock_binlogs(&self, _scope: &BinlogScope, _job: &str, _commit_seq: i64) -> Result<()> {
        Ok(())
    }

    /// Accepted, and never finished: jobs stay in their full sync.
    async fn start_backup(&self, _database: &str, label: &str, _objects: &BackupObjects) -> Result<()> {
        self.check("start_backup")?;
        self.state.lock().statements.push(format!("BACKUP {label}"));
        Ok(())
    }

    async fn backup_job(&self, _database: &str, label: &str) -> Result<Option<SnapshotJob>> {
        let submitted = self.state.lock().statements.contains(&format!("BACKUP {label}"));
        Ok(submitted.then(|| SnapshotJob {
            label: label.to_owned(),
            state: match self.state.lock().backup_state.as_str() {
                "" => "SNAPSHOTING".to_owned(),
                state => state.to_owned(),
            },
            ..SnapshotJob::default()
        }))
    }

    async fn snapshot(&self, _database: &str, _label: &str) -> Result<SnapshotAnswer> {
        Ok(SnapshotAnswer::NotExist)
    }

    async fn restore_jobs(&self, _database: &str) -> Result<Vec<SnapshotJob>> {
        Ok(Vec::new())
    }

    async fn views_by_id(&self, _database: &str, _database_id: i64) -> Result<BTreeMap<i64, String>> {
        Ok(BTreeMap::new())
    }

    async fn restored_objects(&self, _database: &str, _job: &SnapshotJob) -> Result<Option<RestoredObjects>> {
        Ok(None)
    }

    async fn token(&self) -> Result<String> {
        Ok("token".to_owned())
    }
}

#[async_trait]
impl Downstream for FakeCluster {
    async fn begin_txn(&self, request: &BeginTxn) -> Result<BeginAnswer> {
        Err(unexpected(&request.label))
    }

    async fn commit_txn(&self, _request: &CommitTxn) -> Result<Committed> {
        Err(unexpected("commit"))
    }

    async fn txn_state(&self, _database: &str, _txn_id: i64) -> Result<Option<TxnState>> {
        Err(unexpected("transaction state"))
    }

    async fn rollback_txn(&self, _database: &str, _txn_id: i64, _reason: &str) -> Result<()> {
        Err(unexpected("rollback"))
    }

    async fn ingest(&self, _backend: &Backend, _request: &IngestRequest) -> Result<IngestState> {
        Err(unexpected("ingest"))
    }

    async fn query_ingest(&self, _backend: &Backend, _request: &IngestRequest) -> Result<IngestState> {
        Err(unexpected("query ingest"))
    }

    async fn start_restore(&self, request: &RestoreRequest) -> Result<()> {
        Err(unexpected(&request.label))
    }

    async fn restore_job(&self, _database: &str, _label: &str) -> Result<Option<SnapshotJob>> {
        Ok(None)
    }
}

/// No job of these tests gets beyond its backup.
fn unexpected(what: &str) -> Failure {
    Failure::new(what, "fe:9020", Cause::Malformed { detail: "not expected in this test".to_owned() })
}
