//! A scripted frontend and backend, and raw peers that misbehave on purpose.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use doris_thrift::*;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

/// What `begin_txn` does depends on the label; it counts the calls that reached it.
#[derive(Debug, Default)]
pub struct Script {
    pub begun: AtomicUsize,
    pub entered: Notify,
    pub release: Notify,
}

impl FrontendHandler for Script {
    async fn begin_txn(
        &self,
        peer: SocketAddr,
        req: TBeginTxnRequest,
    ) -> Result<TBeginTxnResult, HandlerError> {
        assert!(peer.ip().is_loopback());
        let count = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let result = TBeginTxnResult {
            status: Some(TStatus::ok()),
            txn_id: Some(i64::try_from(count).unwrap()),
            job_status: req.label.clone(),
            ..Default::default()
        };
        match req.label.as_deref() {
            Some("cut") => Err(HandlerError::Cut),
            Some("cut in the middle") => Err(HandlerError::cut_mid_reply(&result)),
            Some("crash") => Err(HandlerError::internal("null pointer")),
            Some("wait") => {
                self.entered.notify_one();
                self.release.notified().await;
                Ok(result)
            }
            Some(_) | None => Ok(result),
        }
    }

    async fn get_snapshot(
        &self,
        _: SocketAddr,
        req: TGetSnapshotRequest,
    ) -> Result<TGetSnapshotResult, HandlerError> {
        let size = req.label_name.unwrap_or_default().parse().unwrap();
        let meta = (0..size).map(|i: usize| (i % 251) as u8).collect();
        Ok(TGetSnapshotResult { status: Some(TStatus::ok()), meta: Some(meta), ..Default::default() })
    }

    async fn restore_snapshot(
        &self,
        _: SocketAddr,
        req: TRestoreSnapshotRequest,
    ) -> Result<TRestoreSnapshotResult, HandlerError> {
        let text = req.meta.unwrap_or_default().len().to_string();
        Ok(TRestoreSnapshotResult { status: Some(TStatus::new(TStatusCode::OK, text)), ..Default::default() })
    }
}

impl BackendHandler for Script {
    async fn ingest_binlog(
        &self,
        _: SocketAddr,
        req: TIngestBinlogRequest,
    ) -> Result<TIngestBinlogResult, HandlerError> {
        Ok(TIngestBinlogResult {
            status: Some(TStatus::new(TStatusCode::TABLET_MISSING, format!("{:?}", req.local_tablet_id))),
            is_async: Some(true),
        })
    }
}

/// A server that stops when it is dropped.
#[derive(Debug)]
pub struct Server {
    pub address: String,
    pub script: Arc<Script>,
    stop: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<()>>,
}

impl Server {
    pub async fn frontend(limits: ServerLimits) -> Self {
        Self::start("127.0.0.1:0", limits, true).await
    }

    pub async fn backend() -> Self {
        Self::start("127.0.0.1:0", ServerLimits::default(), false).await
    }

    pub async fn start(address: &str, limits: ServerLimits, frontend: bool) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let script = Arc::new(Script::default());
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async move { drop(stopped.await) };
        let handler = Arc::clone(&script);
        let task = tokio::spawn(async move {
            if frontend {
                serve_frontend(listener, handler, limits, shutdown).await;
            } else {
                serve_backend(listener, handler, limits, shutdown).await;
            }
        });
        Self { address, script, stop: Some(stop), task: Some(task) }
    }

    pub async fn stop(mut self) -> String {
        drop(self.stop.take());
        self.task.take().unwrap().await.unwrap();
        self.address.clone()
    }

    pub fn begun(&self) -> usize {
        self.script.begun.load(Ordering::SeqCst)
    }
}

/// Accepts one connection after another and hands each to `peer`.
pub async fn raw_peer<F, P>(peer: P) -> String
where
    P: Fn(TcpStream) -> F + Send + 'static,
    F: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            peer(stream).await;
        }
    });
    address
}

/// Reads something and leaves it at that.
pub async fn read_some(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_buf(&mut bytes).await.unwrap();
    bytes
}

pub fn pool() -> ClientPool {
    ClientPool::new(PoolOptions::default())
}

pub fn begin(label: &str) -> TBeginTxnRequest {
    TBeginTxnRequest { label: Some(label.to_owned()), ..Default::default() }
}

/// Long enough that it never decides a test, short enough to end a broken one.
pub const PATIENCE: Duration = Duration::from_secs(20);
