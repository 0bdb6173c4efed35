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
    let config = Config {
        host: "127.0.0.1".to_owned(),
        port: 0,
        database: dir.path().join("ccr.db"),
        engine: EngineOptions::default(),
        client: Default::default(),
        check_timeout: Duration::from_secs(30),
        api: ccr_syncer::api::Settings::default(),
        failpoints: Vec::new(),
    };
    let connector: Arc<dyn Connector> = Arc::<FakeConnector>::clone(connector);
    Daemon::start_with(config, Arc::new(Metrics::new()), connector, Arc::new(SystemClock)).await.unwrap()
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
async fn an_address_that_is_not_ours_is_an_error_that_names_it() {
    let error =
        ccr_syncer::server::Server::start("203.0.113.1", 9190, axum::Router::new()).await.unwrap_err();
    assert!(format!("{error:#}").contains("203.0.113.1:9190"), "{error:#}");
}
