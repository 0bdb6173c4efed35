//! Backup and restore jobs.

#[derive(Debug, Default)]
pub struct SnapshotJobs {}
