//! Thrift types and async transport of the Doris FrontendService and BackendService.
//!
//! Doris speaks the strict binary protocol over plain, unframed TCP. This crate has the structs
//! ([`types`]), their codec ([`wire`]), the message envelope and its incremental scanner ([`message`],
//! [`scan`]), a server for both services and a pooled client. It knows no policy: statuses are returned
//! as they came, nothing is retried unless the request certainly never left.

#[macro_use]
mod table;
pub mod error;
pub mod types;
pub mod wire;

pub use error::DecodeError;
pub use types::*;
pub use wire::Struct;
