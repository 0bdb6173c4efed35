//! The MySQL server protocol as a Doris frontend speaks it: handshake version 10, `mysql_native_password`,
//! text results that end with EOF packets, and binary ones for [`prepared`] statements.
//!
//! One task per connection. All connections of a listener are dropped at once when it is told to stop, as
//! when a frontend dies.
//!
//! Several statements in one COM_QUERY all run, whether or not the client asked for
//! `CLIENT_MULTI_STATEMENTS`. A client that asked gets one result per statement; another gets only the
//! last one, or the first error.

mod auth;
mod binary;
mod capability;
pub mod clients;
mod connection;
mod encode;
mod packet;
mod prepared;
mod wire;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tracing::debug;

use crate::cluster::ClusterInner;
use crate::error::SqlError;

/// What the handshake calls the server; the version of Doris is in `@@version_comment`.
pub const SERVER_VERSION: &str = "5.7.99";

/// Bounds of one frontend's query port.
#[derive(Debug, Clone)]
pub struct MysqlLimits {
    /// Further connections get error 1040 (`qe_max_connection` in Doris).
    pub max_connections: usize,
    /// Largest statement in bytes; a connection that sends more is closed.
    pub max_statement_size: usize,
    /// Longest handshake, pause of the peer inside a packet, and wait for it to accept a reply.
    pub stall_timeout: Duration,
    /// An idle connection is closed after this (`wait_timeout`).
    pub idle_timeout: Duration,
}

impl Default for MysqlLimits {
    fn default() -> Self {
        Self {
            max_connections: 1024,
            max_statement_size: 256 << 20,
            stall_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(28_800),
        }
    }
}

/// Serves the query port of frontend `fe` until `shutdown` resolves; then all connections are dropped.
pub async fn serve(
    cluster: Arc<ClusterInner>,
    fe: usize,
    listener: TcpListener,
    limits: MysqlLimits,
    shutdown: impl Future<Output = ()> + Send,
) {
    let limits = Arc::new(limits);
    let permits = Arc::new(Semaphore::new(limits.max_connections));
    let next_id = AtomicU32::new(1);
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => return,
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file descriptors: pause instead of spinning.
                debug!(%error, "cannot accept a mysql connection");
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            }
        };
        let id = next_id.fetch_add(1, Ordering::Relaxed);
        match Arc::clone(&permits).try_acquire_owned() {
            Ok(permit) => {
                let (cluster, limits) = (Arc::clone(&cluster), Arc::clone(&limits));
                connections.spawn(converse(cluster, fe, id, stream, limits, permit));
            }
            Err(_) => {
                connections.spawn(turn_away(stream));
            }
        }
    }
}

async fn converse(
    cluster: Arc<ClusterInner>,
    fe: usize,
    id: u32,
    stream: TcpStream,
    limits: Arc<MysqlLimits>,
    permit: OwnedSemaphorePermit,
) {
    if let Err(error) = connection::run(&cluster, fe, id, stream, &limits).await {
        debug!(cluster = %cluster.name, fe, id, %error, "mysql connection closed");
    }
    drop(permit);
}

/// Answers the connection attempt with an error instead of a handshake. One short write into a fresh
/// socket's buffer, so these tasks end at once.
async fn turn_away(mut stream: TcpStream) {
    let error = SqlError {
        code: 1040,
        state: "08004",
        message: "Reach limit of connections. Total: the frontend's limit".to_owned(),
    };
    let mut packet = packet::Output::starting_at(0);
    encode::error(&mut packet, &error);
    // The client may be gone already; there is nobody to tell.
    drop(tokio::time::timeout(Duration::from_secs(1), stream.write_all(packet.bytes())).await);
}
