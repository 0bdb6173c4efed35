//! Starting and ending a daemon as a whole.

use std::sync::Arc;
use std::time::Duration;

use ccr_core::ports::Connector;
use ccr_core::runner::EngineOptions;
use ccr_syncer::clock::SystemClock;
use ccr_syncer::metrics::Metrics;
use ccr_syncer::{Config, Daemon};

use crate::fake::{FakeCluster, FakeConnector, database};
use crate::harness::database_job;

async fn start(dir: &tempfile::TempDir, connector: &Arc<FakeConnector>) -> Daemon {
    start_at(dir, connector, 0).await.unwrap()
}

async fn start_at(
    dir: &tempfile::TempDir,
    connector: &Arc<FakeConnector>,
    port: u16,
) -> anyhow::Result<Daemon> {
    let config = Config {
        host: "127.0.0.1".to_owned(),
        port,
        database: dir.path().join("ccr.db"),
        engine: EngineOptions::default(),
        client: Default::default(),
        check_timeout: Duration::from_secs(30),
        api: ccr_syncer::api::Settings::default(),
        failpoints: Vec::new(),
    };
    let connector: Arc<dyn Connector> = Arc::<FakeConnector>::clone(connector);
    Daemon::start_with(config, Arc::new(Metrics::new()), connector, Arc::new(SystemClock)).await
}

#[tokio::test]
async fn a_daemon_ends_in_order_with_a_request_running_and_goes_on_later() {
    let dir = tempfile::tempdir().unwrap();
    let (up, down) = (FakeCluster::new(), FakeCluster::new());
    up.state.lock().databases.insert("shop".to_owned(), database("shop", true));
    let connector = FakeConnector::new(&up, &down);
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let post = |address: std::net::SocketAddr, route: &str, body: serde_json::Value| {
        http.post(format!("http://{address}/{route}")).body(body.to_string()).send()
    };

    let daemon = start(&dir, &connector).await;
    let address = daemon.address();
    let answer: serde_json::Value =
        post(address, "create_ccr", database_job("kept")).await.unwrap().json().await.unwrap();
    assert_eq!(answer["success"], true, "{answer}");
    up.close_gate();
    let slow = tokio::spawn(post(address, "create_ccr", database_job("slow")));
    up.wait_at_gate(1).await;
    daemon.stop().await;
    // The running request was answered; after that nobody listens.
    let answer: serde_json::Value = slow.await.unwrap().unwrap().json().await.unwrap();
    assert!(answer["error_msg"].as_str().unwrap().contains("shutting down"), "{answer}");
    assert!(post(address, "version", serde_json::json!({})).await.is_err());

    up.open_gate();
    let daemon = start(&dir, &connector).await;
    let answer: serde_json::Value =
        post(daemon.address(), "list_jobs", serde_json::json!({})).await.unwrap().json().await.unwrap();
    assert_eq!(answer["jobs"], serde_json::json!(["kept"]));
    daemon.stop().await;
}

#[tokio::test]
async fn a_second_daemon_at_the_same_address_leaves_the_jobs_of_the_first_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (up, down) = (FakeCluster::new(), FakeCluster::new());
    up.state.lock().databases.insert("shop".to_owned(), database("shop", true));
    let connector = FakeConnector::new(&up, &down);
    let first = start(&dir, &connector).await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let created = http.post(format!("http://{}/create_ccr", first.address()));
    created.body(database_job("j").to_string()).send().await.unwrap();
    let store = ccr_store::SqliteStore::open(&dir.path().join("ccr.db")).await.unwrap();
    let id = ccr_core::store::Store::job_by_name(&store, "j").await.unwrap().unwrap().id;
    let (state, position) = ccr_core::store::Store::load(&store, &id).await.unwrap();

    let error = start_at(&dir, &connector, first.address().port()).await.unwrap_err();
    assert!(format!("{error:#}").contains("cannot listen on"), "{error:#}");
    // Nobody has taken the lease that the first one got when it created the job.
    ccr_core::store::Store::save_state(&store, &id, 1, &state, &position).await.unwrap();
    first.stop().await;
}

#[tokio::test]
async fn an_address_that_is_not_ours_is_an_error_that_names_it() {
    let error = ccr_syncer::server::Bound::bind("203.0.113.1", 9190).await.unwrap_err();
    assert!(format!("{error:#}").contains("203.0.113.1:9190"), "{error:#}");
}
