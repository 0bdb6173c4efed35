//! The daemon over clusters in memory: its API over real HTTP, its checks, its handling of jobs.

// The lint spares test functions only, not the helpers they call.
#![allow(clippy::unwrap_used)]

mod answers;
mod bodies;
mod cluster_sync;
mod command_line;
mod fake;
mod faulty_store;
mod forecast;
mod harness;
mod manager;
mod precheck;
mod shutdown;
mod steering;
