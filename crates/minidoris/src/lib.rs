//! minidoris: an emulated Apache Doris cluster, faithful on the interfaces that replication uses.
//!
//! A [`cluster`] holds frontends and backends on their own ports, which may come, go and move. The frontends
//! share one catalogue ([`state`], [`model`]); every operation on it is a synchronous function that runs under
//! one lock, so the order of journal ids is the order of operations. Rows live in the backends ([`be`],
//! [`data`]). Who may do what is decided in [`access`]; [`persist`] keeps the state on disk when it is asked to.
//!
//! A statement is parsed in [`sql`], sent its way in [`dispatch`], and run in [`exec`] (definitions),
//! [`query`] (rows), [`show`], [`snapshot`] (backups, restores and repositories) or [`mv`] (asynchronous
//! materialised views); settings of frontends are in [`frontend_config`]. [`rpc`] and [`http`] serve thrift and
//! HTTP, [`mysql`] the clients.
//!
//! Shares wire types (`doris-thrift`) and record types (`doris-types`) with the syncer and no logic.

pub mod access;
pub mod be;
pub mod binlog;
pub mod catalog_ops;
pub mod clock;
pub mod cluster;
pub mod daemon;
pub mod data;
pub mod dispatch;
pub mod error;
pub mod exec;
pub mod fault;
pub mod frontend_config;
pub mod http;
pub mod model;
pub mod mv;
pub mod mysql;
pub mod options;
pub mod persist;
pub mod query;
pub mod release;
pub mod rpc;
pub mod session;
pub mod show;
pub mod snapshot;
pub mod sql;
pub mod state;
#[cfg(test)]
pub(crate) mod testkit;
pub mod txn;

pub use cluster::{BackendNode, Cluster, ClusterInner, FrontendNode, FrontendRole, HostPort, NewAddress};
pub use fault::{Counters, Fault, FaultAction, FaultKind, Faults, Latency, NodeId};
pub use options::{ClusterOptions, IngestMode};
pub use release::Release;
pub use session::{Answer, ColumnType, ResultSet, Session};
