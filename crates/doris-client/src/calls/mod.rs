//! The calls of [`DorisCluster`](crate::DorisCluster), by subject.

mod binlog;
mod config;
mod meta;
mod names;
mod snapshot;
mod txn;
