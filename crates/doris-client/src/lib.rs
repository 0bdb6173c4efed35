//! Clients of Doris clusters: frontends over MySQL and thrift, backends over thrift and HTTP.
//!
//! [`Clients`] holds what the whole process shares: connection pools, limits per backend, timeouts.
//! [`DorisCluster`] is one cluster with one account; it knows the frontends, follows the master and offers
//! the calls that replication makes in the plain types of `doris_types`. Failures are facts
//! ([`doris_types::failure::Failure`]); what to do about them is decided by the caller.
//!
//! # What is repeated here and what is not
//!
//! One call makes one bounded round over the frontends ([`round`]). It goes on to the next one when the
//! request certainly was not executed: no connection, or the answer NOT_MASTER. When the connection was
//! lost after the request was sent, only calls that change nothing go on. A status of the business is
//! never repeated. There is no waiting and no second round: pauses between tries belong to the caller.

mod answer;
mod backend;
mod calls;
mod clients;
mod cluster;
mod convert;
mod directory;
mod gzip;
mod mapping;
mod options;
mod round;
mod rows;
mod sql_pool;

pub use clients::Clients;
pub use cluster::{ClusterConfig, DorisCluster, Seed};
pub use mapping::HostMapping;
pub use options::ClientOptions;
pub use rows::{Row, Rows};
