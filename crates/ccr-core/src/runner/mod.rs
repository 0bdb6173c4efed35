//! The task that drives one job.
//!
//! Stopping a job is the same as crashing it at that point: the task is cancelled wherever it is, and a
//! later start goes on from what was persisted. Nothing else may be relied on, so nothing else exists.

mod cancelled;
pub(crate) mod doubt;
mod followed;
mod job;
mod lane;
mod options;
mod partition;
pub(crate) mod publishing;
mod set_apart;
pub(crate) mod shell;
mod snapshot;
mod source;
mod stream;
mod track;

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use self::job::Job;
use self::shell::Shell;
use crate::error::{Disposition, Error, Origin, Result};
use crate::failpoint::Failpoints;
use crate::job::{Blocked, Event, JobRecord, Phase};
use crate::observer::Observer;
use crate::ports::{Clock, Downstream, Upstream};
use crate::status::JobStatus;
use crate::store::Store;
use crate::turns::SnapshotTurns;

pub use options::EngineOptions;

/// Everything a job's task needs.
#[derive(Clone)]
pub struct JobContext {
    pub record: JobRecord,
    /// The lease epoch under which this process owns the job.
    pub epoch: u64,
    pub upstream: Arc<dyn Upstream>,
    pub downstream: Arc<dyn Downstream>,
    pub store: Arc<dyn Store>,
    pub clock: Arc<dyn Clock>,
    pub observer: Arc<dyn Observer>,
    pub options: Arc<EngineOptions>,
    /// Of the process; none is set but in tests.
    pub failpoints: Arc<Failpoints>,
    /// Of the process, too.
    pub turns: Arc<SnapshotTurns>,
}

/// A running job.
#[derive(Debug)]
pub struct JobHandle {
    status: Arc<Mutex<JobStatus>>,
    cancel: CancellationToken,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl JobHandle {
    /// The newest picture of the job.
    pub fn status(&self) -> JobStatus {
        self.status.lock().clone()
    }

    /// Whether the task has ended: it was stopped, or this process no longer owns the job.
    pub fn is_finished(&self) -> bool {
        self.task.lock().as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Cancels the job and waits until its task has ended: after this the job does nothing more.
    pub async fn stop(&self) {
        self.cancel.cancel();
        let task = self.task.lock().take();
        if let Some(task) = task {
            // The task ends at its next await point.
            let _ = task.await;
        }
    }
}

impl std::fmt::Debug for JobContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JobContext")
            .field("job", &self.record.spec.name)
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}

/// Starts the task of a job. A block recorded earlier is lifted: starting is the operator's "go on".
pub fn spawn(mut context: JobContext) -> JobHandle {
    let options = &mut context.record.spec.options;
    options.storage_medium = options.storage_medium.or_default(context.options.follow_storage_medium);
    let status = Arc::new(Mutex::new(JobStatus::starting(&context.record)));
    let cancel = CancellationToken::new();
    let span = tracing::info_span!("job", job = %context.record.spec.name);
    let shell = Arc::new(Shell::new(context, Arc::clone(&status)));
    let stopped = cancel.clone();
    let task = tokio::spawn(
        async move {
            tokio::select! {
                () = stopped.cancelled() => shell.set_step("stopped"),
                // It has said why.
                () = drive(Arc::clone(&shell)) => {}
            }
        }
        .instrument(span),
    );
    JobHandle { status, cancel, task: Mutex::new(Some(task)) }
}

/// A run that lasted so long is no repetition of what had ended the one before.
const LASTING_MS: i64 = 600_000;

/// Drives the job for ever. Returns when this process no longer owns it. A panic ends a run as an error does: it is
/// like a crash, after which the job goes on from what was persisted.
async fn drive(shell: Arc<Shell>) {
    let mut tries = 0;
    loop {
        let began_ms = shell.now_ms();
        let error = match AssertUnwindSafe(run(Arc::clone(&shell))).catch_unwind().await {
            Ok(Ok(never)) => match never {},
            Ok(Err(error)) => error,
            Err(panic) => panicked(&*panic),
        };
        if error.disposition == Disposition::Stop {
            tracing::warn!(%error, "the job is driven elsewhere, or gone");
            shell.set_step(format!("stopped: {error}"));
            return;
        }
        tries = if shell.now_ms() - began_ms < LASTING_MS { tries + 1 } else { 1 };
        shell.pause(&error, tries).await;
    }
}

/// What a panic says.
fn panicked(panic: &(dyn Any + Send)) -> Error {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
    let error = Error::retry(Origin::Internal, "CCR0905", format!("the job's task panicked: {text}"));
    tracing::error!(code = error.code, %error, "a bug of the syncer; the job starts over");
    error
}

enum Never {}

/// Goes through the phases of the job until an error that its own retries do not mend.
async fn run(shell: Arc<Shell>) -> Result<Never> {
    shell.turns.lock().clear();
    let mut job = Job::load(shell).await?;
    job.shell.resume_labels(&job.state);
    // Of what ended the run before; it is met again if it is not over.
    job.shell.update_status(|status| status.last_error = None);
    if let Some(blocked) = job.state.any_block().cloned() {
        let since = blocked.since_ms;
        // The block is not shown: it is lifted as soon as the store has it.
        job.apply(Event::Unblocked).await?;
        let seqs = (blocked.commit_seq, blocked.commit_seq);
        job.history("resume", seqs, blocked.message, "trying again", since).await;
    }
    job.publish();
    loop {
        if let Some(held) = job.state.held_full_sync.as_ref().and(job.state.blocked.clone()) {
            return wait_for_approval(&job, &held).await;
        }
        let outcome = match &job.state.phase {
            Phase::FullSync(_) => snapshot::run(&mut job).await,
            Phase::Incremental(_) => stream::run(&mut job).await,
        };
        match outcome {
            Ok(()) => {}
            Err(error) if error.disposition == Disposition::Block => block(&mut job, error).await?,
            Err(error) => return Err(error),
        }
    }
}

/// Waits until the full sync that is held is approved: that, too, starts a new task.
async fn wait_for_approval(job: &Job, held: &Blocked) -> Result<Never> {
    let shell = &job.shell;
    tracing::error!(code = %held.code, message = %held.message, hint = %held.hint,
        "a full sync waits for an operator");
    shell.ctx.observer.error(shell.job_name(), Origin::Internal.name(), false);
    shell.set_step("a full sync waits for approval");
    std::future::pending().await
}

/// Records that an operator must act, and waits for that. Resuming the job starts a new task.
async fn block(job: &mut Job, error: Error) -> Result<()> {
    let shell = Arc::clone(&job.shell);
    tracing::error!(code = error.code, %error, hint = %error.hint, "blocked until an operator acts");
    shell.turns.lock().clear();
    shell.ctx.observer.error(shell.job_name(), error.origin.name(), false);
    let (commit_seq, binlog_type) = job.handling.clone().unwrap_or((job.position.commit_seq, String::new()));
    let blocked = Blocked {
        code: error.code.to_owned(),
        message: error.message,
        hint: error.hint,
        commit_seq,
        binlog_type,
        since_ms: shell.now_ms(),
    };
    let reason = blocked.message.clone();
    job.apply(Event::Blocked(blocked)).await?;
    job.history("block", (commit_seq, commit_seq), reason, "waiting for an operator", shell.now_ms()).await;
    shell.set_step("blocked");
    std::future::pending().await
}
