//! What the manager tells about jobs. Nothing here waits for an operation on a job.

use ccr_core::job::{JobRecord, JobState, Position};
use ccr_core::status::{JobStatus, ProgressState, PublishStatus, RetriedError, SourceIdentity, TableStatus};
use ccr_core::store::HistoryEntry;

use super::entry::Activity;
use super::{Manager, ManagerResult};
use crate::forecast::Forecast;

/// A job and its newest picture.
#[derive(Debug, Clone)]
pub struct JobView {
    pub record: JobRecord,
    pub status: JobStatus,
    /// Its task runs in this process.
    pub running: bool,
    /// Its task has ended although the job should run: it is driven elsewhere, or was changed by hand.
    pub ended: bool,
}

/// A job with all that is stored of it.
#[derive(Debug, Clone)]
pub struct JobProgress {
    pub view: JobView,
    pub state: JobState,
    /// Newest first.
    pub history: Vec<HistoryEntry>,
    pub forecast: Option<Forecast>,
}

impl Manager {
    /// The newest picture of a job: that of its task, or of its rows when it has none.
    pub async fn view(&self, name: &str) -> ManagerResult<JobView> {
        let (record, activity) = self.entry(name)?.job()?;
        Ok(match activity {
            Activity::Running(running) if running.handle.is_finished() => {
                let mut status = running.status();
                let (message, at_ms) = (status.step.clone(), self.parts.clock.now_ms());
                status.last_error = Some(RetriedError { message, tries: 1, at_ms });
                JobView { record, status, running: false, ended: true }
            }
            Activity::Running(running) => {
                JobView { record, status: running.status(), running: true, ended: false }
            }
            Activity::Paused => {
                let (state, position) = self.parts.store.load(&record.id).await?;
                let status = stored_status(&record, &state, position, "paused", None);
                JobView { record, status, running: false, ended: false }
            }
            Activity::Failed(message) => {
                // The store is likely what failed, so what it holds is shown only if it can be read.
                let stored = self.parts.store.load(&record.id).await.ok();
                let error = RetriedError { message, tries: 1, at_ms: self.parts.clock.now_ms() };
                let status = match stored {
                    Some((state, position)) => {
                        stored_status(&record, &state, position, "waiting to be started", Some(error))
                    }
                    None => JobStatus {
                        step: "waiting to be started".to_owned(),
                        last_error: Some(error),
                        ..JobStatus::starting(&record)
                    },
                };
                JobView { record, status, running: false, ended: false }
            }
        })
    }

    /// The request as stored.
    pub fn record(&self, name: &str) -> ManagerResult<JobRecord> {
        Ok(self.entry(name)?.job()?.0)
    }

    /// Whether the job has a task in this process.
    pub fn is_running(&self, name: &str) -> bool {
        self.entry(name)
            .is_ok_and(|entry| entry.running().is_some_and(|running| !running.handle.is_finished()))
    }

    /// Everything about a job, with its newest `history` decisions.
    pub async fn progress(&self, name: &str, history: usize) -> ManagerResult<JobProgress> {
        let view = self.view(name).await?;
        let (state, _) = self.parts.store.load(&view.record.id).await?;
        let history = self.parts.store.history(&view.record.id, history).await?;
        let forecast = self.forecast(&view.record.id);
        Ok(JobProgress { view, state, history, forecast })
    }

    /// The pictures of all jobs with a task.
    pub fn running(&self) -> Vec<JobView> {
        let entries: Vec<_> = self.jobs.lock().values().cloned().collect();
        let view = |entry: &std::sync::Arc<super::Entry>| match entry.job() {
            Ok((record, Activity::Running(running))) if !running.handle.is_finished() => {
                Some(JobView { record, status: running.status(), running: true, ended: false })
            }
            Ok((_, Activity::Running(_) | Activity::Paused | Activity::Failed(_))) | Err(_) => None,
        };
        entries.iter().filter_map(view).collect()
    }
}

fn stored_status(
    record: &JobRecord,
    state: &JobState,
    position: Position,
    step: &str,
    last_error: Option<RetriedError>,
) -> JobStatus {
    JobStatus {
        progress: ProgressState::of(record.spec.sync_type(), state, &position),
        position,
        source: SourceIdentity::of(record.spec.sync_type(), state),
        step: step.to_owned(),
        last_error,
        blocked: state.any_block().cloned(),
        apart: TableStatus::of(state),
        unpublished: PublishStatus::of(&state.unpublished),
        ..JobStatus::starting(record)
    }
}
