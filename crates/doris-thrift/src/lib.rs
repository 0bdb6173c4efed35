//! Thrift types and async transport of the Doris FrontendService and BackendService.
//!
//! Doris speaks the strict binary protocol over plain, unframed TCP. This crate has the structs
//! ([`types`]), their codec ([`wire`]), the message envelope and its incremental scanner ([`message`],
//! [`scan`]), a server for both services and a pooled client. It knows no policy: statuses are returned
//! as they came, nothing is retried unless the request certainly never left.
//!
//! # Tests
//!
//! Beside unit, property and socket tests there is a fuzz target for the codec:
//! `cargo +nightly fuzz run message` in this directory. `examples/rpc_rate.rs` measures calls per second.

#[macro_use]
mod table;
pub mod client;
pub mod error;
pub mod message;
pub mod scan;
pub mod server;
pub mod service;
pub mod types;
pub mod wire;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod sample;

pub use client::{CallError, ClientPool, PoolOptions};
pub use error::DecodeError;
pub use server::{ServerLimits, serve_backend, serve_frontend};
pub use service::{
    BackendClient, BackendHandler, EncodedReply, FrontendClient, FrontendHandler, HandlerError,
};
pub use types::*;
pub use wire::Struct;

/// Doris's own default for `thrift_max_message_size`: 100 MiB.
pub const DEFAULT_MAX_MESSAGE_SIZE: usize = 100 * 1024 * 1024;

/// Buffers of connections are kept between messages up to this size.
const KEPT_BUFFER: usize = 64 * 1024;

/// Makes room for the next read: as much as was received so far, so that a long message is copied only a
/// few times and no peer makes us allocate more than it sends.
fn grow(buffer: &mut Vec<u8>) {
    let room = buffer.len().clamp(4096, 4 * 1024 * 1024);
    if buffer.capacity() - buffer.len() < room / 2 {
        buffer.reserve(room);
    }
}
