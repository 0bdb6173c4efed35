//! What the engine tells about its work, for metrics. Every method must be quick and must not fail.

use std::time::Duration;

/// Receives one call per event of a job.
pub trait Observer: Send + Sync {
    /// A binlog of this type was applied or skipped.
    fn binlog_handled(&self, job: &str, binlog_type: &str, duration: Duration);

    /// The watermark moved.
    fn position(&self, job: &str, commit_seq: i64);

    /// A position or state was persisted.
    fn persisted(&self, job: &str, duration: Duration);

    /// An error was seen: its origin (`upstream_fe` …) and whether it is retried or blocks the job.
    fn error(&self, job: &str, origin: &str, recoverable: bool);
}

/// Keeps nothing.
#[derive(Debug, Default, Clone, Copy)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn binlog_handled(&self, _job: &str, _binlog_type: &str, _duration: Duration) {}
    fn position(&self, _job: &str, _commit_seq: i64) {}
    fn persisted(&self, _job: &str, _duration: Duration) {}
    fn error(&self, _job: &str, _origin: &str, _recoverable: bool) {}
}
