//! End-to-end tests: two emulated clusters in the test process, the real `ccr_syncer` binary beside them,
//! real sockets between all.
//!
//! One file per capability. Every test has its own clusters, ports, metadata file and log, so tests run
//! in parallel and in any order. A test compares rows and schema on both sides, and ends with
//! [`harness::Syncer::finish`], which fails it when the syncer logged something unexpected.

mod harness;

mod accounts;
mod alter;
mod answers;
mod async_ingest;
mod blocked;
mod cluster_sync;
mod conflicts;
mod control;
mod cost;
mod crash;
mod database_job;
mod every_call;
mod failover;
mod failpoints;
mod followers;
mod forecast;
mod gap;
mod harness_itself;
mod host_mapping;
mod isolation;
mod labels;
mod loads;
mod lost_replies;
mod many_tables;
mod matrix;
mod media;
mod occupied;
mod old_frontend;
mod ordering;
mod overwrite;
mod partitions;
mod proof;
mod properties;
mod publish;
mod recover;
mod recovery;
mod refusals;
mod rollups;
mod shutdown;
mod snapshot_lost;
mod sources;
mod steering;
mod table_job;
mod transactions;
mod upstream_restore;
mod views;
