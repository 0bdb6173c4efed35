//! A node put together from its parts, over clusters in memory and a real socket.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ccr_core::job::{ClusterSpec, JobOptions, JobSpec};
use ccr_core::ports::Connector;
use ccr_core::runner::EngineOptions;
use ccr_core::store::Store;
use ccr_store::SqliteStore;
use ccr_syncer::api::{self, Api, Settings};
use ccr_syncer::clock::SystemClock;
use ccr_syncer::manager::{Manager, Parts};
use ccr_syncer::metrics::Metrics;
use ccr_syncer::server::{Bound, Server};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fake::{FakeCluster, FakeConnector, database, good_table};
use crate::faulty_store::FaultyStore;

pub struct Node {
    pub up: Arc<FakeCluster>,
    pub down: Arc<FakeCluster>,
    pub connector: Arc<FakeConnector>,
    pub store: Arc<FaultyStore>,
    pub metrics: Arc<Metrics>,
    pub manager: Arc<Manager>,
    pub server: Server,
    http: reqwest::Client,
    pub dir: TempDir,
}

/// An answer as it came.
#[derive(Debug)]
pub struct Raw {
    pub status: u16,
    pub content_type: String,
    pub text: String,
}

impl Raw {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }
}

impl Node {
    /// A node without jobs, whose source has database `shop` with table `orders`.
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = open_store(dir.path()).await;
        Self::start_on(dir, store).await
    }

    pub async fn start_on(dir: TempDir, store: Arc<FaultyStore>) -> Self {
        let (up, down) = (FakeCluster::new(), FakeCluster::new());
        let mut shop = database("shop", true);
        shop.tables.insert("orders".to_owned(), good_table(10));
        up.state.lock().databases.insert("shop".to_owned(), shop);
        let connector = FakeConnector::new(&up, &down);
        let metrics = Arc::new(Metrics::new());
        let shared_store: Arc<dyn Store> = Arc::<FaultyStore>::clone(&store);
        let shared_connector: Arc<dyn Connector> = Arc::<FakeConnector>::clone(&connector);
        let manager = Manager::open(Parts {
            store: shared_store,
            connector: shared_connector,
            clock: Arc::new(SystemClock),
            metrics: Arc::clone(&metrics),
            options: Arc::new(EngineOptions::default()),
            failpoints: Arc::default(),
            owner: "127.0.0.1:9190".to_owned(),
            check_timeout: Duration::from_secs(30),
            retry_interval: Duration::from_millis(20),
        })
        .await
        .unwrap();
        let settings = Settings { failpoints: true, ..Settings::default() };
        let api = Arc::new(Api::new(Arc::clone(&manager), Arc::clone(&metrics), settings));
        let server = Server::start(Bound::bind("127.0.0.1", 0).await.unwrap(), api::router(api));
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build().unwrap();
        Self { up, down, connector, store, metrics, manager, server, http, dir }
    }

    /// Starts another node on the same store, with clusters of its own; this one goes on.
    pub async fn join(&self) -> Self {
        let store = open_store(self.dir.path()).await;
        Self::start_on(tempfile::tempdir().unwrap(), store).await
    }

    /// Ends the node and starts another on the same store, with faults set before.
    pub async fn restart(self, spoil: impl FnOnce(&FaultyStore)) -> Self {
        self.server.stop().await;
        self.manager.close().await;
        self.store.inner.close().await;
        let store = open_store(self.dir.path()).await;
        spoil(&store);
        Self::start_on(self.dir, store).await
    }

    pub fn url(&self, route: &str) -> String {
        format!("http://{}/{route}", self.server.address())
    }

    pub async fn raw(&self, route: &str, body: impl Into<reqwest::Body>) -> Raw {
        let answer = self.http.post(self.url(route)).body(body).send().await.unwrap();
        let content_type = answer.headers()["content-type"].to_str().unwrap().to_owned();
        Raw { status: answer.status().as_u16(), content_type, text: answer.text().await.unwrap() }
    }

    /// Posts JSON and gives the answer, which must be JSON with status 200.
    pub async fn post(&self, route: &str, body: Value) -> Value {
        let raw = self.raw(route, body.to_string()).await;
        assert_eq!((raw.status, raw.content_type.as_str()), (200, "application/json"), "/{route}: {raw:?}");
        raw.json()
    }

    /// Posts JSON that must succeed.
    pub async fn call(&self, route: &str, body: Value) -> Value {
        let answer = self.post(route, body).await;
        assert_eq!(answer["success"], true, "/{route}: {answer}");
        answer
    }

    /// Posts JSON that must be refused, and gives the error text.
    pub async fn refused(&self, route: &str, body: Value) -> String {
        let answer = self.post(route, body).await;
        assert_eq!(answer["success"], false, "/{route}: {answer}");
        answer["error_msg"].as_str().unwrap().to_owned()
    }

    pub async fn status(&self, name: &str) -> Value {
        self.call("job_status", json!({ "name": name })).await["status"].clone()
    }

    /// Polls a job's status until the condition holds.
    pub async fn wait_status(&self, name: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let poll = async {
            loop {
                last = self.status(name).await;
                if holds(&last) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let in_time = tokio::time::timeout(Duration::from_secs(20), poll).await.is_ok();
        assert!(in_time, "{name} never was {what}: {last}");
        last
    }
}

async fn open_store(dir: &Path) -> Arc<FaultyStore> {
    Arc::new(FaultyStore::new(SqliteStore::open(&dir.join("ccr.db")).await.unwrap()))
}

/// The body of a database job `shop` to `shop_copy`.
pub fn database_job(name: &str) -> Value {
    json!({
        "name": name,
        "src": { "host": "up", "port": "9030", "thrift_port": "9020", "user": "root",
                 "password": "secret-word", "database": "shop" },
        "dest": { "host": "down", "port": "9030", "thrift_port": "9020", "user": "root",
                  "password": "secret-word", "database": "shop_copy" },
    })
}

/// The body of a table job `shop.orders` to `shop_copy.orders`.
pub fn table_job(name: &str) -> Value {
    let mut job = database_job(name);
    job["src"]["table"] = json!("orders");
    job["dest"]["table"] = json!("orders");
    job
}

/// The same as a specification.
pub fn spec(name: &str, table: &str) -> JobSpec {
    let side = |host: &str, database: &str| ClusterSpec {
        host: host.to_owned(),
        port: 9030,
        thrift_port: 9020,
        user: "root".to_owned(),
        password: "secret-word".to_owned(),
        database: database.to_owned(),
        table: table.to_owned(),
        frontends: Vec::new(),
        host_mapping: std::collections::BTreeMap::new(),
    };
    JobSpec {
        name: name.to_owned(),
        src: side("up", "shop"),
        dest: side("down", "shop_copy"),
        options: JobOptions::default(),
    }
}
