//! The daemon: flags, HTTP API, jobs of this process, metrics, logs.
//!
//! It ties the engine (`ccr-core`) to its ports: the clusters over `doris-client` ([`ports_impl`],
//! with failpoints around them in [`failpoint_ports`]), the store (`ccr-store`), the clock. It decides nothing about replication.
//!
//! A reader's path: [`cli`] (from arguments to a running process), [`daemon`] (what is started in which
//! order), [`manager`] (the jobs and the operations on them), [`api`] (one file per route).

pub mod api;
pub mod cli;
pub mod clock;
pub mod collector;
pub mod config;
pub mod daemon;
pub mod failpoint_ports;
pub mod flags;
pub mod forecast;
pub mod logging;
pub mod manager;
pub mod metrics;
pub mod ports_impl;
pub mod precheck;
pub mod server;
pub mod signals;

pub use config::Config;
pub use daemon::{Daemon, run};

/// As shown by `/version` and `--version`: `<tag>:<short sha>` where the build gives them.
pub const VERSION: &str = match option_env!("CCR_SYNCER_VERSION") {
    Some(version) => version,
    None => env!("CARGO_PKG_VERSION"),
};
