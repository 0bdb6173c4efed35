//! Pure data of Doris that replication needs, shared by the programs that read it and the ones that write it.
//!
//! This crate does no I/O, reads no clock and decides nothing: it turns the texts that Doris exchanges into
//! types and back. It knows neither the wire protocols nor the replication engine, so both an emulated
//! cluster and a client can build on it without sharing any logic.
//!
//! | module | subject |
//! |---|---|
//! | [`record`] | binlog records, one struct per type, JSON as the FE writes it |
//! | [`range`] | the identity text of a partition, the only key that maps one across clusters |
//! | [`job_info`] | the job info of a snapshot: scanned for a few keys, extended without being rewritten |
//! | [`sql`] | quoting, a tokenizer that keeps spans, and rewriting of recorded statements by token |
//! | [`meta`] | catalogue metadata and nodes as a client sees them |
//! | [`failure`] | how a call to Doris failed |

pub mod call;
pub mod failure;
pub mod job_info;
pub mod meta;
pub mod range;
pub mod record;
pub mod sql;
