//! Pooled connections to peers and the call over one of them.
//!
//! A call takes an idle connection or opens one, owns it until the whole reply has been read, and only
//! then gives it back: a call that fails, times out or is dropped closes its connection, because a late
//! reply would be taken for the answer to the next call.
//!
//! What matters to the caller of a failed call is whether the peer may have done the work:
//! [`CallError::Connect`] says that it certainly did not, everything else leaves it open. An idle
//! connection that the peer has closed is found by a look at the socket before it is used; when it is
//! closed between the look and the write and the kernel accepted no byte, the call goes on with another
//! connection.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use socket2::{SockRef, TcpKeepalive};
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use crate::error::DecodeError;
use crate::message::{Kind, Message, exception, put_call};
use crate::scan::Scanner;
use crate::wire::{MAX_LENGTH, Struct};

/// Silence after which the kernel starts to ask whether the peer is alive.
const KEEPALIVE: Duration = Duration::from_secs(30);

#[derive(Debug, Clone)]
pub struct PoolOptions {
    pub connect_timeout: Duration,
    /// Limit of a whole call: waiting for a free connection, connecting, sending, receiving.
    pub rpc_timeout: Duration,
    /// Largest reply in bytes.
    pub max_message_size: usize,
    pub max_idle_per_peer: usize,
    /// Calls beyond it wait for one to end.
    pub max_connections_per_peer: usize,
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            rpc_timeout: Duration::from_secs(30),
            max_message_size: crate::DEFAULT_MAX_MESSAGE_SIZE,
            max_idle_per_peer: 32,
            max_connections_per_peer: 128,
        }
    }
}

/// A failed call. `peer` is `host:port`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CallError {
    /// No connection, or the request was not handed over whole: the peer cannot have executed it.
    #[error("{method} on {peer}: cannot connect: {detail}")]
    Connect { peer: String, method: &'static str, detail: String },
    /// The request was sent and no answer came: timeout, closed connection, I/O error.
    #[error("{method} on {peer}: connection lost: {detail}")]
    Lost { peer: String, method: &'static str, detail: String },
    /// The peer answered with a TApplicationException.
    #[error("{method} on {peer}: application exception {kind}: {message}")]
    Application { peer: String, method: &'static str, kind: i32, message: String },
    /// An answer came that is not a reply to the call.
    #[error("{method} on {peer}: malformed answer: {error}")]
    Decode { peer: String, method: &'static str, error: String },
    #[error("{method} on {peer}: the answer is larger than the limit of {limit} bytes")]
    TooLarge { peer: String, method: &'static str, limit: usize },
    /// The answer does not start like an unframed message.
    #[error(
        "{method} on {peer}: the peer speaks framed thrift; set thrift_server_type to THREAD_POOL on the frontend"
    )]
    FramedPeer { peer: String, method: &'static str },
}

impl CallError {
    /// Whether the peer is too old to know the method.
    pub fn is_unknown_method(&self) -> bool {
        matches!(self, Self::Application { kind: exception::UNKNOWN_METHOD, .. })
    }
}

/// Connections to any number of peers; cheap to clone.
#[derive(Debug, Clone)]
pub struct ClientPool {
    options: Arc<PoolOptions>,
    peers: Arc<Mutex<HashMap<String, Arc<Peer>>>>,
}

impl ClientPool {
    pub fn new(options: PoolOptions) -> Self {
        Self { options: Arc::new(options), peers: Arc::default() }
    }

    pub fn options(&self) -> &PoolOptions {
        &self.options
    }

    pub(crate) fn peer(&self, address: &str) -> Arc<Peer> {
        let mut peers = self.peers.lock();
        if let Some(peer) = peers.get(address) {
            return Arc::clone(peer);
        }
        let peer = Arc::new(Peer {
            address: address.to_owned(),
            options: Arc::clone(&self.options),
            idle: Mutex::default(),
            permits: Semaphore::new(self.options.max_connections_per_peer),
        });
        peers.insert(address.to_owned(), Arc::clone(&peer));
        peer
    }

    /// Forgets a peer and closes its idle connections.
    pub fn forget(&self, address: &str) {
        self.peers.lock().remove(address);
    }

    /// Idle connections to a peer.
    pub fn idle_connections(&self, address: &str) -> usize {
        self.peers.lock().get(address).map_or(0, |peer| peer.idle.lock().len())
    }
}

#[derive(Debug)]
pub(crate) struct Peer {
    address: String,
    options: Arc<PoolOptions>,
    /// The most recently used connection is last and is taken first.
    idle: Mutex<Vec<Connection>>,
    permits: Semaphore,
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    sequence: i32,
    buffer: Vec<u8>,
}

/// How sending a request failed.
enum SendError {
    /// The kernel took no byte.
    Nothing(io::Error),
    /// Some but not all bytes were taken: the peer has an incomplete message.
    Part(io::Error),
}

impl Peer {
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) async fn call<Q: Struct, R: Struct>(
        &self,
        method: &'static str,
        request: &Q,
        timeout: Duration,
    ) -> Result<R, CallError> {
        let deadline = Instant::now() + timeout;
        let connect = |detail: String| CallError::Connect { peer: self.address.clone(), method, detail };
        let _permit = match timeout_at(deadline, self.permits.acquire()).await {
            Ok(Ok(permit)) => permit,
            Ok(Err(_)) | Err(_) => {
                return Err(connect(format!("no connection became free within {timeout:?}")));
            }
        };
        let mut connection = loop {
            let (mut connection, reused) = match self.take_idle() {
                Some(connection) => (connection, true),
                None => (self.connect(deadline).await.map_err(connect)?, false),
            };
            connection.sequence = connection.sequence.wrapping_add(1);
            connection.buffer.clear();
            put_call(method, connection.sequence, request, &mut connection.buffer);
            if connection.buffer.len() > MAX_LENGTH {
                return Err(connect(format!("request of {} bytes is too large", connection.buffer.len())));
            }
            match timeout_at(deadline, connection.send()).await {
                Ok(Ok(())) => break connection,
                Ok(Err(SendError::Nothing(_))) if reused => {}
                Ok(Err(SendError::Nothing(error) | SendError::Part(error))) => {
                    return Err(connect(format!("request not sent: {error}")));
                }
                Err(_) => return Err(connect(format!("request not sent within {timeout:?}"))),
            }
        };
        let lost = |detail: String| CallError::Lost { peer: self.address.clone(), method, detail };
        let length = match timeout_at(deadline, connection.receive(self.options.max_message_size)).await {
            Ok(Ok(length)) => length,
            Ok(Err(ReceiveError::Io(error))) => return Err(lost(error.to_string())),
            Ok(Err(ReceiveError::Decode(error))) => return Err(self.undecodable(method, error)),
            Err(_) => return Err(lost(format!("no answer within {timeout:?}"))),
        };
        let result = self.reply(method, &connection, length);
        // After an exception the connection is in order; after a malformed answer it is not.
        if matches!(result, Ok(_) | Err(CallError::Application { .. })) && connection.buffer.len() == length {
            self.put_idle(connection);
        }
        result
    }

    fn reply<R: Struct>(
        &self,
        method: &'static str,
        connection: &Connection,
        length: usize,
    ) -> Result<R, CallError> {
        let broken = |error: String| CallError::Decode { peer: self.address.clone(), method, error };
        let message = Message::parse(&connection.buffer[..length]).map_err(|e| broken(e.to_string()))?;
        if message.sequence != connection.sequence || message.name != method {
            return Err(broken(format!(
                "answer to {:?} number {} instead of number {}",
                message.name, message.sequence, connection.sequence
            )));
        }
        match message.kind {
            Kind::Reply => message.result().map_err(|e| broken(e.to_string())),
            Kind::Exception => {
                let exception = message.exception().map_err(|e| broken(e.to_string()))?;
                Err(CallError::Application {
                    peer: self.address.clone(),
                    method,
                    kind: exception.kind.unwrap_or(exception::UNKNOWN),
                    message: exception.message.unwrap_or_default(),
                })
            }
            Kind::Call | Kind::Oneway => Err(broken("the answer is a call".to_owned())),
        }
    }

    fn undecodable(&self, method: &'static str, error: DecodeError) -> CallError {
        let peer = self.address.clone();
        match error {
            DecodeError::NotStrict { .. } => CallError::FramedPeer { peer, method },
            DecodeError::TooLarge { limit } => CallError::TooLarge { peer, method, limit },
            other => CallError::Decode { peer, method, error: other.to_string() },
        }
    }

    async fn connect(&self, deadline: Instant) -> Result<Connection, String> {
        let within = self.options.connect_timeout;
        let deadline = deadline.min(Instant::now() + within);
        let stream = timeout_at(deadline, TcpStream::connect(&self.address))
            .await
            .map_err(|_| format!("not connected within {within:?}"))?
            .map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        // A call may last as long as a download: this finds a peer that vanished meanwhile.
        let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 3);
        SockRef::from(&stream).set_tcp_keepalive(&keepalive).map_err(|error| error.to_string())?;
        Ok(Connection { stream, sequence: 0, buffer: Vec::new() })
    }

    fn take_idle(&self) -> Option<Connection> {
        loop {
            let connection = self.idle.lock().pop()?;
            if connection.is_open() {
                return Some(connection);
            }
        }
    }

    fn put_idle(&self, mut connection: Connection) {
        connection.buffer.clear();
        connection.buffer.shrink_to(crate::KEPT_BUFFER);
        let mut idle = self.idle.lock();
        if idle.len() < self.options.max_idle_per_peer {
            idle.push(connection);
        }
    }
}

enum ReceiveError {
    Io(io::Error),
    Decode(DecodeError),
}

impl Connection {
    /// Whether an idle connection can be used: nothing to read and not closed. The look goes to the
    /// socket itself because the runtime may not have seen the peer's close yet.
    fn is_open(&self) -> bool {
        let mut byte = [std::mem::MaybeUninit::uninit(); 1];
        match SockRef::from(&self.stream).peek(&mut byte) {
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
            // Closed, or bytes that nobody asked for.
            Ok(_) => false,
        }
    }

    async fn send(&mut self) -> Result<(), SendError> {
        let mut sent = 0;
        while sent < self.buffer.len() {
            let error = match self.stream.write(&self.buffer[sent..]).await {
                Ok(0) => io::ErrorKind::WriteZero.into(),
                Ok(written) => {
                    sent += written;
                    continue;
                }
                Err(error) => error,
            };
            return Err(if sent == 0 { SendError::Nothing(error) } else { SendError::Part(error) });
        }
        Ok(())
    }

    /// Replaces the buffer by the reply and gives its length.
    async fn receive(&mut self, limit: usize) -> Result<usize, ReceiveError> {
        self.buffer.clear();
        let mut scanner = Scanner::new(limit);
        loop {
            crate::grow(&mut self.buffer);
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(0) => return Err(ReceiveError::Io(io::ErrorKind::UnexpectedEof.into())),
                Ok(_) => {}
                Err(error) => return Err(ReceiveError::Io(error)),
            }
            if let Some(length) = scanner.advance(&self.buffer).map_err(ReceiveError::Decode)? {
                return Ok(length);
            }
        }
    }
}
