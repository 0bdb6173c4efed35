//! The metadata store: jobs, leases, progress and history in a database.
//!
//! The only crate that knows a SQL dialect of the metadata database. It implements
//! [`ccr_core::store::Store`] and decides nothing: what the values mean is the engine's business.
//!
//! Embedded SQLite is the default ([`SqliteStore`]); every store passes the same conformance suite
//! (`tests/it/conformance.rs`).

mod codec;
mod sqlite;

pub use sqlite::{OpenError, SqliteStore};
