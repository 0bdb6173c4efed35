//! Two emulated clusters and the statements of a test.

use std::time::Duration;

use doris_types::record::BinlogType;
use minidoris::binlog::DbBinlog;
use minidoris::{Cluster, ClusterOptions};
use serde_json::{Value, json};

/// The database of most tests, on both sides.
pub const DB: &str = "d1";

/// A type that no version of Doris has.
const UNHEARD_OF: BinlogType = BinlogType(99);

/// A load is not lost more often, however often masters change.
const LOST_LOADS: usize = 5;

/// An upstream and a downstream.
#[derive(Debug)]
pub struct Pair {
    pub up: Cluster,
    pub down: Cluster,
}

impl Pair {
    /// One frontend and one backend each.
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// `backends` backends each, and tables with a replica on every one of them.
    pub async fn replicated(backends: u16) -> Self {
        Self::with(|options| {
            options.backends = usize::from(backends);
            options.default_replication_num = backends;
        })
        .await
    }

    /// Two frontends and two backends each, and tables with a replica on both of them.
    pub async fn doubled() -> Self {
        Self::with(|options| {
            options.frontends = 2;
            options.backends = 2;
            options.default_replication_num = 2;
        })
        .await
    }

    pub async fn with(adjust: impl Fn(&mut ClusterOptions)) -> Self {
        // Different first ids, so that an id taken for one of the other side is found out.
        Self {
            up: start_cluster("up", 10_000, &adjust).await,
            down: start_cluster("down", 500_000, &adjust).await,
        }
    }

    /// Creates [`DB`] upstream with its binlog on.
    pub async fn create_database(&self) {
        self.sql(&format!("CREATE DATABASE {DB} PROPERTIES (\"binlog.enable\" = \"true\")")).await;
    }

    /// Creates a duplicate-key table `(k INT, v VARCHAR)` with `buckets` buckets.
    pub async fn create_table(&self, name: &str, buckets: u32) {
        self.run(&format!(
            "CREATE TABLE {name} (k INT NOT NULL, v VARCHAR(64)) DUPLICATE KEY(k) \
             DISTRIBUTED BY HASH(k) BUCKETS {buckets} PROPERTIES (\"binlog.enable\" = \"true\")"
        ))
        .await;
    }

    /// Inserts one row per key in one transaction.
    pub async fn insert(&self, table: &str, keys: std::ops::Range<i32>) {
        let rows: Vec<String> = keys.map(|key| format!("({key}, 'row {key}')")).collect();
        self.run(&format!("INSERT INTO {table} VALUES {}", rows.join(", "))).await;
    }

    /// Runs a statement upstream outside any database.
    pub async fn sql(&self, sql: &str) {
        self.up.sql(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// Runs a statement upstream in [`DB`]. A load whose transaction was lost with its master is written again, as
    /// its user would: nothing came of it.
    pub async fn run(&self, sql: &str) {
        let mut result = self.up.sql_in(DB, sql).await;
        for _ in 0..LOST_LOADS {
            let is_lost = |text: String| text.contains("transaction [") && text.contains("] not found");
            if !result.as_ref().err().is_some_and(|error| is_lost(error.to_string())) {
                break;
            }
            result = self.up.sql_in(DB, sql).await;
        }
        result.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// The body of a database job's `/create_ccr`.
    pub fn database_job(&self, name: &str) -> Value {
        self.job(name, "", "")
    }

    /// The body of a table job's `/create_ccr`.
    pub fn table_job(&self, name: &str, source: &str, target: &str) -> Value {
        self.job(name, source, target)
    }

    fn job(&self, name: &str, source: &str, target: &str) -> Value {
        json!({"name": name, "src": side(&self.up, 0, DB, source), "dest": side(&self.down, 0, DB, target)})
    }

    /// How often the downstream and the upstream answered a call.
    pub fn calls(&self, call: &str) -> u64 {
        self.up.counters().get(call) + self.down.counters().get(call)
    }

    pub fn reset_counters(&self) {
        self.up.counters().reset();
        self.down.counters().reset();
    }

    /// A look at the upstream binlogs of [`DB`].
    pub fn database_binlogs<T>(&self, look: impl FnOnce(&DbBinlog) -> T) -> T {
        let state = self.up.inner().fe.lock();
        let db = state.database_named(DB).expect("the database is there");
        look(state.binlogs.database(db.id).expect("something was written to the database"))
    }

    /// The id of an upstream table of [`DB`].
    pub fn table_id(&self, table: &str) -> i64 {
        let state = self.up.inner().fe.lock();
        let db = state.database_named(DB).expect("the database is there");
        db.tables.values().find(|known| known.name() == table).expect("the table is there").id()
    }

    /// Puts a binlog of a type that nobody knows into the upstream's journal, as a newer Doris would. Answers its commit
    /// seq.
    pub fn journal_unknown_change(&self, table_id: i64) -> i64 {
        let inner = self.up.inner();
        let mut state = inner.fe.lock();
        let db_id = state.database_named(DB).expect("the database is there").id;
        state.journal_binlog(inner.clock.now_ms(), UNHEARD_OF, db_id, &[table_id], |_| "{}".to_owned())
    }

    /// Whether the downstream has that database.
    pub async fn downstream_has_database(&self, name: &str) -> bool {
        let databases = self.down.sql("SHOW DATABASES").await.expect("databases are listed");
        databases.rows.iter().any(|row| row[0].as_deref() == Some(name))
    }
}

/// Starts a cluster that replicates quickly; `adjust` sees its name.
pub async fn start_cluster(name: &str, first_id: i64, adjust: impl Fn(&mut ClusterOptions)) -> Cluster {
    let mut options = ClusterOptions { first_id, ..ClusterOptions::replicating(name) };
    options.backup_interval = Duration::from_millis(5);
    // A second between the tries of a download, as in Doris, would only make tests of failures slow.
    options.backend_config.insert("minidoris_download_retry_interval_ms".to_owned(), "100".to_owned());
    adjust(&mut options);
    Cluster::start(options).await.expect("a cluster starts")
}

/// One side of a job, reached through the frontend at that position.
pub fn side(cluster: &Cluster, fe: usize, db: &str, table: &str) -> Value {
    let fe = cluster.fe(fe);
    json!({
        "host": fe.host, "port": fe.query_port.to_string(), "thrift_port": fe.rpc_port.to_string(),
        "user": "root", "password": cluster.inner().options.root_password,
        "database": db, "table": table
    })
}
