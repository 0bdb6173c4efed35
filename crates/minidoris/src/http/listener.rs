//! A listener whose connections can be ended from outside, all of them or one.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Accepts connections that end when `killed` is cancelled.
#[derive(Debug)]
pub(super) struct Killable {
    pub listener: TcpListener,
    pub killed: CancellationToken,
}

/// One connection as handlers see it.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    kill: CancellationToken,
    peer: SocketAddr,
}

impl Connection {
    /// The address that the client comes from.
    pub fn address(&self) -> String {
        self.peer.ip().to_string()
    }

    /// Ends the connection without another byte.
    pub fn cut(&self) {
        self.kill.cancel();
    }
}

#[derive(Debug)]
pub(super) struct KillableStream {
    stream: TcpStream,
    kill: CancellationToken,
    killed: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Listener for Killable {
    type Io = KillableStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (KillableStream, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    // Without it small answers would wait for acknowledgements; failing to set it is
                    // only slow.
                    let _ = stream.set_nodelay(true);
                    let kill = self.killed.child_token();
                    let killed = Box::pin(kill.clone().cancelled_owned());
                    return (KillableStream { stream, kill, killed }, peer);
                }
                Err(error) => {
                    tracing::debug!(%error, "cannot accept an http connection");
                    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Connected<IncomingStream<'_, Killable>> for Connection {
    fn connect_info(stream: IncomingStream<'_, Killable>) -> Self {
        Connection { kill: stream.io().kill.clone(), peer: *stream.remote_addr() }
    }
}

impl KillableStream {
    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.killed.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::ErrorKind::ConnectionReset.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for KillableStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for KillableStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
