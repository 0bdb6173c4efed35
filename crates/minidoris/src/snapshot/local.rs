//! Finished snapshots: looking them up and letting go of their files.

use std::sync::Arc;

use super::SnapshotJobs;
use super::job::Job;
use crate::cluster::ClusterInner;
use crate::state::FeState;

/// What `getSnapshot` hands out.
#[derive(Debug, Clone)]
pub struct LocalSnapshot {
    pub meta: Arc<Vec<u8>>,
    pub job_info: Arc<Vec<u8>>,
    /// Milliseconds since the epoch.
    pub expires_at: i64,
    /// Journal id of the barrier that was written when the backup was accepted.
    pub commit_seq: i64,
    /// Bytes that it is said to have beside those of `meta` and `job_info`.
    pub claimed_bytes: usize,
}

#[derive(Debug)]
pub enum SnapshotLookup {
    Missing,
    Expired,
    Found(LocalSnapshot),
}

/// (backend id, path) of a tablet's snapshot.
pub(super) type SnapshotFile = (i64, String);

/// Finds a finished snapshot by its label alone; the newest wins.
pub fn find_snapshot(state: &FeState, label: &str, now_ms: i64) -> SnapshotLookup {
    let finished = state.snapshots.databases.values().flatten().filter_map(|job| match job {
        Job::Backup(job) if job.label == label => job.snapshot().map(|snapshot| (job.id, snapshot)),
        Job::Backup(_) | Job::Restore(_) => None,
    });
    match finished.max_by_key(|(id, _)| *id) {
        None => SnapshotLookup::Missing,
        Some((_, snapshot)) if snapshot.expires_at <= now_ms => SnapshotLookup::Expired,
        Some((_, mut snapshot)) => {
            snapshot.claimed_bytes = state.snapshots.claimed_bytes.get(label).copied().unwrap_or(0);
            SnapshotLookup::Found(snapshot)
        }
    }
}

/// The files of finished backups whose time is over; they are no longer the jobs' own afterwards.
pub(super) fn take_expired_files(jobs: &mut SnapshotJobs, now_ms: i64) -> Vec<SnapshotFile> {
    let mut files = Vec::new();
    for job in jobs.databases.values_mut().flatten() {
        if let Job::Backup(job) = job
            && job.is_done()
            && job.expires_at() <= now_ms
        {
            files.append(&mut job.files);
        }
    }
    files
}

pub(super) fn files_of(jobs: &[Job]) -> Vec<SnapshotFile> {
    let files = |job: &Job| match job {
        Job::Backup(job) => job.files.clone(),
        Job::Restore(_) => Vec::new(),
    };
    jobs.iter().flat_map(files).collect()
}

pub(super) fn release_files(cluster: &ClusterInner, files: &[SnapshotFile]) {
    for (backend_id, path) in files {
        if let Some(backend) = cluster.backend(*backend_id) {
            backend.release_snapshot(path);
        }
    }
}
