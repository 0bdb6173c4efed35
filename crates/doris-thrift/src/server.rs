//! Serves a handler on a listener.
//!
//! One task per connection takes its requests one after another, as Doris does, and writes each reply
//! whole. When the limit of connections is reached, further ones wait in the listen backlog. On shutdown
//! the listener and all connections are dropped at once, as when a process dies: requests in progress get
//! no answer, and their handlers stop at their next await.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::debug;

use crate::message::{Kind, Message};
use crate::scan::Scanner;
use crate::service::{After, BackendDispatch, BackendHandler, Dispatch, FrontendDispatch, FrontendHandler};

/// Bounds of a server.
#[derive(Debug, Clone)]
pub struct ServerLimits {
    pub max_connections: usize,
    /// Largest request in bytes; a connection that announces more is closed.
    pub max_message_size: usize,
    /// Longest pause of a peer in the middle of a request, or of accepting a reply. Idle connections
    /// between requests are kept for ever.
    pub stall_timeout: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            max_connections: 4096,
            max_message_size: crate::DEFAULT_MAX_MESSAGE_SIZE,
            stall_timeout: Duration::from_secs(60),
        }
    }
}

/// Serves the FrontendService until `shutdown` resolves.
pub async fn serve_frontend<H: FrontendHandler>(
    listener: TcpListener,
    handler: Arc<H>,
    limits: ServerLimits,
    shutdown: impl Future<Output = ()> + Send,
) {
    serve(listener, FrontendDispatch(handler), limits, shutdown).await;
}

/// Serves the BackendService until `shutdown` resolves.
pub async fn serve_backend<H: BackendHandler>(
    listener: TcpListener,
    handler: Arc<H>,
    limits: ServerLimits,
    shutdown: impl Future<Output = ()> + Send,
) {
    serve(listener, BackendDispatch(handler), limits, shutdown).await;
}

async fn serve<D: Dispatch>(
    listener: TcpListener,
    dispatch: D,
    limits: ServerLimits,
    shutdown: impl Future<Output = ()> + Send,
) {
    let dispatch = Arc::new(dispatch);
    let limits = Arc::new(limits);
    let permits = Arc::new(Semaphore::new(limits.max_connections));
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => return,
            accepted = accept(&listener, &permits) => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let Some((stream, peer, permit)) = accepted else { continue };
        let (dispatch, limits) = (Arc::clone(&dispatch), Arc::clone(&limits));
        connections.spawn(async move {
            let _permit = permit;
            if let Err(error) = connection(stream, peer, &*dispatch, &limits).await {
                debug!(%peer, %error, "thrift connection closed");
            }
        });
    }
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => Some((stream, peer, permit)),
        Err(error) => {
            // Out of file descriptors, or a connection that was reset while it waited: pause instead of
            // spinning, then accept again.
            debug!(%error, "cannot accept a thrift connection");
            tokio::time::sleep(Duration::from_millis(10)).await;
            None
        }
    }
}

async fn connection<D: Dispatch>(
    mut stream: TcpStream,
    peer: SocketAddr,
    dispatch: &D,
    limits: &ServerLimits,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut input = Vec::new();
    let mut output = Vec::new();
    loop {
        let Some(length) = receive(&mut stream, &mut input, limits).await? else { return Ok(()) };
        output.clear();
        let message = Message::parse(&input[..length]).map_err(invalid)?;
        match message.kind {
            Kind::Call | Kind::Oneway => {}
            Kind::Reply | Kind::Exception => return Err(invalid("the client sent a reply")),
        }
        let after = dispatch.dispatch(peer, &message, &mut output).await;
        send(&mut stream, &output, limits).await?;
        if after == After::Close {
            return Ok(());
        }
        consume(&mut input, length);
        output.shrink_to(crate::KEPT_BUFFER);
    }
}

/// Reads until `input` starts with a complete message and gives its length; `None` when the client closed
/// the connection between messages.
async fn receive(
    stream: &mut TcpStream,
    input: &mut Vec<u8>,
    limits: &ServerLimits,
) -> io::Result<Option<usize>> {
    let mut scanner = Scanner::of_calls(limits.max_message_size);
    loop {
        if let Some(length) = scanner.advance(input).map_err(invalid)? {
            return Ok(Some(length));
        }
        crate::grow(input);
        let read = if input.is_empty() {
            stream.read_buf(input).await?
        } else {
            timeout(limits.stall_timeout, stream.read_buf(input)).await.map_err(|_| stalled())??
        };
        if read == 0 {
            return if input.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
    }
}

async fn send(stream: &mut TcpStream, output: &[u8], limits: &ServerLimits) -> io::Result<()> {
    // Nearly every reply fits into the socket's buffer at once and needs no timer.
    let mut rest = match stream.try_write(output) {
        Ok(written) => &output[written..],
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => output,
        Err(error) => return Err(error),
    };
    while !rest.is_empty() {
        let written = timeout(limits.stall_timeout, stream.write(rest)).await.map_err(|_| stalled())??;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        rest = &rest[written..];
    }
    Ok(())
}

/// Drops a handled message from the front, keeping what was sent ahead.
fn consume(input: &mut Vec<u8>, length: usize) {
    input.drain(..length);
    input.shrink_to(crate::KEPT_BUFFER);
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

fn stalled() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the peer stalled in the middle of a message")
}
