//! One job as the manager holds it.

use std::sync::Arc;

use ccr_core::job::{JobRecord, JobState, Position};
use ccr_core::runner::JobHandle;
use ccr_core::status::{JobStatus, ProgressState, PublishStatus, SourceIdentity, TableStatus};
use ccr_core::store::StoreError;
use parking_lot::Mutex;

#[derive(Debug)]
pub(super) struct Entry {
    pub name: String,
    /// Held by the operation that works on this job; operations queue on it.
    pub operation: tokio::sync::Mutex<()>,
    slot: Mutex<Slot>,
}

/// What is known of a job.
#[derive(Debug, Clone)]
pub(super) enum Slot {
    /// The name is taken while the checks of a creation run.
    Creating,
    Job {
        record: Box<JobRecord>,
        activity: Activity,
    },
    /// Its rows cannot be read; only deleting it and trying again are possible.
    Unreadable {
        job_id: Option<String>,
        detail: String,
    },
    /// Deleted, or never created. An operation that waited for its turn finds this.
    Gone,
}

#[derive(Debug, Clone)]
pub(super) enum Activity {
    Paused,
    Running(Arc<Running>),
    /// Should run and could not be started.
    Failed(String),
}

/// A started job.
#[derive(Debug)]
pub(super) struct Running {
    pub handle: JobHandle,
    /// What the handle shows until the task has read its state.
    untouched: JobStatus,
    /// The same with what is stored.
    stored: JobStatus,
}

impl Running {
    pub(super) fn new(record: &JobRecord, handle: JobHandle, state: &JobState, position: Position) -> Self {
        let untouched = JobStatus::starting(record);
        let progress = ProgressState::of(record.spec.sync_type(), state, &position);
        let stored = JobStatus {
            progress,
            position,
            source: SourceIdentity::of(record.spec.sync_type(), state),
            apart: TableStatus::of(state),
            unpublished: PublishStatus::of(&state.unpublished),
            ..untouched.clone()
        };
        Self { handle, untouched, stored }
    }

    pub(super) fn status(&self) -> JobStatus {
        let status = self.handle.status();
        if status == self.untouched { self.stored.clone() } else { status }
    }
}

impl Slot {
    pub(super) fn job(record: JobRecord, activity: Activity) -> Self {
        Slot::Job { record: Box::new(record), activity }
    }

    pub(super) fn unreadable(error: &StoreError) -> Self {
        let job_id = match error {
            StoreError::Corrupt { job_id, .. } | StoreError::Fenced { job_id, .. } => Some(job_id.clone()),
            StoreError::AlreadyExists { .. }
            | StoreError::NotFound { .. }
            | StoreError::Unavailable { .. } => None,
        };
        Slot::Unreadable { job_id, detail: error.to_string() }
    }
}

impl Entry {
    pub(super) fn new(name: &str, slot: Slot) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_owned(),
            operation: tokio::sync::Mutex::new(()),
            slot: Mutex::new(slot),
        })
    }

    pub(super) fn slot(&self) -> Slot {
        self.slot.lock().clone()
    }

    pub(super) fn set(&self, slot: Slot) {
        *self.slot.lock() = slot;
    }

    pub(super) fn is_being_created(&self) -> bool {
        matches!(*self.slot.lock(), Slot::Creating)
    }

    pub(super) fn has_failed(&self) -> bool {
        matches!(*self.slot.lock(), Slot::Job { activity: Activity::Failed(_), .. })
    }

    pub(super) fn record(&self) -> Option<JobRecord> {
        match &*self.slot.lock() {
            Slot::Job { record, .. } => Some((**record).clone()),
            Slot::Creating | Slot::Unreadable { .. } | Slot::Gone => None,
        }
    }

    pub(super) fn running(&self) -> Option<Arc<Running>> {
        match &*self.slot.lock() {
            Slot::Job { activity: Activity::Running(running), .. } => Some(Arc::clone(running)),
            Slot::Job { activity: Activity::Paused | Activity::Failed(_), .. }
            | Slot::Creating
            | Slot::Unreadable { .. }
            | Slot::Gone => None,
        }
    }
}
