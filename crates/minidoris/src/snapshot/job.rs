//! What backups and restores have in common.

use serde::{Deserialize, Serialize};

use super::backup::BackupJob;
use super::repository::StoredPlace;
use super::restore::RestoreJob;

/// A job of a database. Large, so on the heap.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Job {
    Backup(Box<BackupJob>),
    Restore(Box<RestoreJob>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum StatusCode {
    Ok,
    CommonError,
    Timeout,
}

/// The outcome in the column Status: `[OK]` or `[CODE, msg: text]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobStatus {
    pub code: StatusCode,
    pub message: String,
}

impl JobStatus {
    pub fn ok() -> Self {
        Self { code: StatusCode::Ok, message: String::new() }
    }

    pub fn common(message: impl Into<String>) -> Self {
        Self { code: StatusCode::CommonError, message: message.into() }
    }

    pub fn timeout(message: impl Into<String>) -> Self {
        Self { code: StatusCode::Timeout, message: message.into() }
    }

    pub fn text(&self) -> String {
        match self.code {
            StatusCode::Ok => "[OK]".to_owned(),
            StatusCode::CommonError => format!("[COMMON_ERROR, msg: {}]", self.message),
            StatusCode::Timeout => format!("[TIMEOUT, msg: {}]", self.message),
        }
    }
}

impl Job {
    pub fn id(&self) -> i64 {
        match self {
            Job::Backup(job) => job.id,
            Job::Restore(job) => job.id,
        }
    }

    pub fn label(&self) -> &str {
        match self {
            Job::Backup(job) => &job.label,
            Job::Restore(job) => &job.label,
        }
    }

    /// Where the snapshot lies, unless on the backends.
    pub fn repository(&self) -> Option<&StoredPlace> {
        match self {
            Job::Backup(job) => job.repository.as_ref(),
            Job::Restore(job) => job.repository.as_ref(),
        }
    }

    pub fn is_done(&self) -> bool {
        match self {
            Job::Backup(job) => job.is_done(),
            Job::Restore(job) => job.is_done(),
        }
    }
}
