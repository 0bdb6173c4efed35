//! The HTTP server: bounded connections, bounded waits, and an orderly end.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

/// Connections served at the same time; more wait to be accepted.
const MAX_CONNECTIONS: usize = 512;
/// A client must have sent its request's head within this; also how long an idle connection is kept.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// Running requests may take this long after a shutdown was asked for.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
const BIND_TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);

/// An address that is taken, and not served yet: connections wait.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
}

/// A server that accepts connections until it is stopped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    cancel: CancellationToken,
    connections: TaskTracker,
}

impl Bound {
    /// Takes this address and no other. A port that is still in use is tried again for some seconds.
    pub async fn bind(host: &str, port: u16) -> anyhow::Result<Self> {
        let listener = bind(host, port).await?;
        let address = listener.local_addr().context("ask for the address listened on")?;
        Ok(Self { listener, address })
    }
}

impl Server {
    /// Answers whoever connects.
    pub fn start(bound: Bound, router: Router) -> Self {
        let Bound { listener, address } = bound;
        let cancel = CancellationToken::new();
        let connections = TaskTracker::new();
        let accepting = accept(listener, router, cancel.clone(), connections.clone());
        connections.spawn(accepting);
        info!(%address, "listening");
        Self { address, cancel, connections }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops listening, lets running requests end, and gives up on those that take too long.
    pub async fn stop(&self) {
        self.cancel.cancel();
        self.connections.close();
        if tokio::time::timeout(DRAIN_TIMEOUT, self.connections.wait()).await.is_err() {
            warn!(requests = self.connections.len(), "requests still run at shutdown");
        }
    }
}

async fn bind(host: &str, port: u16) -> anyhow::Result<TcpListener> {
    let mut tries = 1;
    loop {
        match TcpListener::bind((host, port)).await {
            Ok(listener) => return Ok(listener),
            Err(error) if error.kind() == ErrorKind::AddrInUse && tries < BIND_TRIES => {
                warn!(host, port, tries, %error, "cannot listen, will try again");
                tries += 1;
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => return Err(error).with_context(|| format!("cannot listen on {host}:{port}")),
        }
    }
}

async fn accept(listener: TcpListener, router: Router, cancel: CancellationToken, connections: TaskTracker) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let next = async || {
        let place = Arc::clone(&places).acquire_owned().await.expect("the semaphore is never closed");
        (place, listener.accept().await)
    };
    while let Some((place, accepted)) = cancel.run_until_cancelled(next()).await {
        match accepted {
            Ok((stream, peer)) => {
                let serving = serve(stream, peer, router.clone(), cancel.clone());
                connections.spawn(async move {
                    serving.await;
                    drop(place);
                });
            }
            Err(error) => {
                // Usually too many open files: trying again at once would only burn time.
                warn!(%error, "cannot accept a connection");
                cancel.run_until_cancelled(tokio::time::sleep(PAUSE)).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, peer: SocketAddr, router: Router, cancel: CancellationToken) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = cancel.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        debug!(%peer, %error, "connection ended");
    }
}
