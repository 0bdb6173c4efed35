//! The process put together: store, jobs, API, and their end in the opposite order.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use ccr_core::failpoint::Failpoints;
use ccr_core::ports::{Clock, Connector};
use ccr_core::store::Store;
use ccr_store::SqliteStore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::api::{self, Api};
use crate::clock::SystemClock;
use crate::collector;
use crate::config::Config;
use crate::failpoint_ports::{FailpointConnector, FailpointStore};
use crate::manager::{Manager, Parts};
use crate::metrics::Metrics;
use crate::ports_impl::DorisConnector;
use crate::server::{Bound, Server};

/// How often jobs that could not be started are tried again.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// A running syncer.
#[derive(Debug)]
pub struct Daemon {
    server: Server,
    manager: Arc<Manager>,
    store: Arc<SqliteStore>,
    cancel: CancellationToken,
    collector: JoinHandle<()>,
}

/// Runs a syncer until `shutdown` completes, and ends it in order.
pub async fn run(config: Config, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
    let mut shutdown = std::pin::pin!(shutdown);
    let daemon = tokio::select! {
        started = Daemon::start(config) => started?,
        // What it has begun ends with the process; a job can end anywhere.
        () = &mut shutdown => return Ok(()),
    };
    shutdown.await;
    daemon.stop().await;
    Ok(())
}

impl Daemon {
    /// Takes the address, opens the store, starts the jobs, and only then answers: the API knows every job from
    /// the first request on, and a second syncer that is started by mistake fails before it takes the jobs of
    /// the first.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let metrics = Arc::new(Metrics::new());
        let connector = Arc::new(DorisConnector::new(config.client.clone(), Arc::clone(&metrics)));
        Self::start_with(config, metrics, connector, Arc::new(SystemClock)).await
    }

    /// The same over other clusters and another clock.
    pub async fn start_with(
        config: Config,
        metrics: Arc<Metrics>,
        connector: Arc<dyn Connector>,
        clock: Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        info!(version = crate::VERSION, database = %config.database.display(), "starting");
        let bound = Bound::bind(&config.host, config.port).await?;
        let store = Arc::new(SqliteStore::open(&config.database).await?);
        let mut shared: Arc<dyn Store> = Arc::<SqliteStore>::clone(&store);
        let mut connector = connector;
        let failpoints = Arc::new(Failpoints::default());
        if config.api.failpoints {
            let failpoints = || Arc::clone(&failpoints);
            shared = Arc::new(FailpointStore { inner: shared, failpoints: failpoints() });
            connector = Arc::new(FailpointConnector { inner: connector, failpoints: failpoints() });
            for (name, value) in &config.failpoints {
                failpoints().set(name, value).context("set the failpoints")?;
            }
        }
        let manager = Manager::open(Parts {
            store: shared,
            connector,
            clock,
            metrics: Arc::clone(&metrics),
            options: Arc::new(config.engine),
            failpoints,
            owner: format!("{}:{}", config.host, config.port),
            check_timeout: config.check_timeout,
            retry_interval: RETRY_INTERVAL,
        })
        .await
        .context("read the jobs")?;
        let api = Arc::new(Api::new(Arc::clone(&manager), Arc::clone(&metrics), config.api));
        let server = Server::start(bound, api::router(api));
        let cancel = CancellationToken::new();
        let collector = tokio::spawn(collector::run(Arc::clone(&manager), metrics, cancel.clone()));
        Ok(Self { server, manager, store, cancel, collector })
    }

    /// The address listened on.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Stops listening, waits for running requests, stops the jobs and closes the store.
    pub async fn stop(self) {
        info!("stopping");
        // First, because a creation can check for long and its request would be waited for.
        self.manager.refuse();
        self.server.stop().await;
        self.cancel.cancel();
        // It has nothing to say; a panic in it was reported by the runtime.
        let _ = self.collector.await;
        self.manager.close().await;
        self.store.close().await;
        info!("stopped");
    }
}
