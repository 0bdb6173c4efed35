//! Pure data of Doris that replication needs: binlog records, snapshot job info, partition ranges,
//! catalogue metadata as seen by a client, failures of calls, identifiers and SQL text.
//!
//! This crate does no I/O and reads no clock.

pub mod call;
pub mod failure;
pub mod meta;
