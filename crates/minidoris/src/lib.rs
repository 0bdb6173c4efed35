//! minidoris: an emulated Apache Doris cluster, faithful on the interfaces that replication uses.
//!
//! A [`cluster`] holds frontends and backends on their own ports. The frontends share one catalogue
//! ([`state`], [`model`]); every operation on it is a synchronous function that runs under one lock, so
//! the order of journal ids is the order of operations. Rows live in the backends ([`be`], [`data`]).
//!
//! Shares wire types (`doris-thrift`) and record types (`doris-types`) with the syncer and no logic.

pub mod model;
