//! Jobs in the form that survives a restart. A backup or restore goes on in the state it had reached; a
//! restore that had begun to download downloads again, as backends keep what they fetch in memory until the end.

use std::sync::Arc;

use super::SnapshotJobs;
use super::backup::BackupJob;
use super::job::Job;
use super::restore::{RestoreJob, RestoreState};

/// A job with the key it is kept under.
#[derive(Debug)]
pub(crate) struct SavedJob {
    pub db_id: i64,
    pub id: i64,
    /// Changes whenever the job does.
    pub mark: String,
}

/// Parts of a job: its JSON, then the meta and the job info of a finished backup.
pub(crate) type JobParts = (Vec<u8>, Option<(Arc<Vec<u8>>, Arc<Vec<u8>>)>);

impl SnapshotJobs {
    pub(crate) fn saved_jobs(&self) -> Vec<SavedJob> {
        let jobs = self.databases.iter().flat_map(|(db_id, jobs)| jobs.iter().map(move |job| (*db_id, job)));
        jobs.map(|(db_id, job)| SavedJob { db_id, id: job.id(), mark: mark(job) }).collect()
    }

    pub(crate) fn parts(&self, db_id: i64, id: i64) -> Option<JobParts> {
        let job = self.of(db_id).find(|job| job.id() == id)?;
        let json = serde_json::to_vec(job).expect("keys are strings or integers");
        let payload = match job {
            Job::Backup(job) => job.payload().cloned(),
            Job::Restore(_) => None,
        };
        Some((json, payload))
    }

    pub(crate) fn restoring_partitions(&self) -> Vec<i64> {
        self.restoring.iter().copied().collect()
    }

    pub(crate) fn load_restoring(&mut self, partitions: Vec<i64>) {
        self.restoring = partitions.into_iter().collect();
    }

    /// Adds a saved job; jobs of a database must come in the order of their ids.
    pub(crate) fn load(
        &mut self,
        db_id: i64,
        json: &[u8],
        payload: Option<(Vec<u8>, Vec<u8>)>,
    ) -> Result<(), serde_json::Error> {
        let mut job: Job = serde_json::from_slice(json)?;
        match &mut job {
            Job::Backup(job) => {
                if let Some((meta, job_info)) = payload {
                    job.set_payload(meta, job_info);
                }
                job.resume();
            }
            Job::Restore(job) => resume(job),
        }
        self.databases.entry(db_id).or_default().push_back(job);
        Ok(())
    }
}

fn resume(job: &mut RestoreJob) {
    if matches!(job.state, RestoreState::Downloading | RestoreState::Commit) {
        job.state = RestoreState::Download;
    }
}

fn mark(job: &Job) -> String {
    match job {
        Job::Backup(job) => backup_mark(job),
        Job::Restore(job) => format!("{} {}", job.state.name(), job.status.text()),
    }
}

fn backup_mark(job: &BackupJob) -> String {
    format!("{} {} {}", job.state.name(), job.status.text(), job.files.len())
}
