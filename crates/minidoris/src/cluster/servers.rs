//! The listeners and tasks of one node, started and stopped together.

use std::future::Future;
use std::io;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long a stopped node's tasks may take to end.
const STOP_LIMIT: Duration = Duration::from_secs(5);
/// How long a restarted node waits for its old port.
const BIND_ATTEMPTS: u32 = 50;
const BIND_PAUSE: Duration = Duration::from_millis(20);

/// Tasks that end together. Clones stand for the same tasks.
#[derive(Debug, Clone)]
pub struct Servers {
    token: CancellationToken,
    tracker: TaskTracker,
}

impl Servers {
    pub fn new() -> Self {
        Self { token: CancellationToken::new(), tracker: TaskTracker::new() }
    }

    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tracker.spawn(task);
    }

    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// Resolves when the tasks are told to end.
    pub fn stopped(&self) -> impl Future<Output = ()> + Send + 'static {
        self.token.clone().cancelled_owned()
    }

    pub fn cancel(&self) {
        self.token.cancel();
    }

    /// Tells the tasks to end and waits until they have, for a bounded time.
    pub async fn stop(&self) {
        self.token.cancel();
        self.tracker.close();
        if tokio::time::timeout(STOP_LIMIT, self.tracker.wait()).await.is_err() {
            tracing::warn!(left = self.tracker.len(), "tasks of a stopped node go on");
        }
    }
}

/// Binds a port of `host`; 0 lets the system choose. A port in use is tried again for a moment, as its
/// former owner may be closing it.
pub async fn bind(host: &str, port: u16) -> anyhow::Result<TcpListener> {
    let mut attempt = 1;
    loop {
        match TcpListener::bind((host, port)).await {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && attempt < BIND_ATTEMPTS => {
                attempt += 1;
                tokio::time::sleep(BIND_PAUSE).await;
            }
            bound => return bound.with_context(|| format!("bind {host}:{port}")),
        }
    }
}
