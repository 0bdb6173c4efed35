//! Limits and intervals of the engine.

use std::time::Duration;

/// Limits and intervals of the engine. One value for all jobs of a process.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineOptions {
    /// Binlogs per `getBinlog`, 1 to 255.
    pub binlog_batch_size: u8,
    /// Transactions of one job that are ingested at the same time.
    pub max_transactions_in_flight: usize,
    /// In table order: a table whose oldest change this many others have overtaken goes on by itself.
    pub overtaken_limit: usize,
    /// In source order: a table whose transaction has failed for so long, and no other's, goes on by itself.
    pub quarantine_after: Duration,
    /// Tables of one job that are copied at the same time. The frontend keeps the last ten snapshots only.
    pub max_copies: usize,
    /// The shortest and longest pause between two polls of an idle upstream.
    pub poll_min: Duration,
    pub poll_max: Duration,
    /// How often the upstream is asked for restores, of which its binlog does not tell.
    pub restore_look: Duration,
    /// How often a running backup or restore is looked at.
    pub snapshot_poll: Duration,
    /// First and longest pause before an operation is repeated.
    pub retry_min: Duration,
    pub retry_max: Duration,
    /// Seconds after which the downstream FE aborts a transaction that was left open.
    pub txn_timeout_s: i64,
    /// Restore into new tables and swap, so that the target stays readable.
    pub atomic_restore: bool,
    /// Let a restore replace tables whose schema differs.
    pub force_replace: bool,
    /// Drop target tables that are not in the snapshot of a database job.
    pub clean_tables: bool,
    /// Let storage media of targets follow the upstream in jobs that do not say.
    pub follow_storage_medium: bool,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            binlog_batch_size: 64,
            max_transactions_in_flight: 16,
            overtaken_limit: 256,
            quarantine_after: Duration::from_secs(5 * 60),
            max_copies: 4,
            poll_min: Duration::from_millis(20),
            poll_max: Duration::from_secs(1),
            restore_look: Duration::from_secs(10),
            snapshot_poll: Duration::from_millis(500),
            retry_min: Duration::from_millis(200),
            retry_max: Duration::from_secs(30),
            txn_timeout_s: 3600,
            atomic_restore: true,
            force_replace: true,
            clean_tables: false,
            follow_storage_medium: false,
        }
    }
}
