//! What every effect of a job shares: its context, its live status, and how calls are repeated.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::JoinHandle;

use super::JobContext;
use super::followed::Followed;
use super::publishing::Publishing;
use crate::error::{Disposition, Error, Origin, Result};
use crate::failpoint::Moment;
use crate::job::JobState;
use crate::status::{JobStatus, RetriedError};
use crate::store::{HistoryEntry, Store};
use crate::turns::Turn;

/// Failures in a row before the log holds a warning: one lost packet is no news, a lasting fault is.
const WARN_AFTER: u32 = 4;

/// How old what the store has said of the lease may be when something is sent because of it.
const LEASE_FRESH_MS: i64 = 50;

pub(crate) struct Shell {
    pub ctx: JobContext,
    pub followed: Followed,
    pub publishing: Publishing,
    /// Held by the restore whose turn it is: a database runs one at a time, and each holds a snapshot in memory.
    pub restoring: tokio::sync::Mutex<()>,
    /// The highest id of a downstream table that was seen: ids grow, so what is made from now on has a higher one.
    pub newest_target: AtomicI64,
    /// Held by whoever changes several names, so that each goes by what the one before has made of them.
    pub renaming: tokio::sync::Mutex<()>,
    /// The job's turns at snapshots, by the label of the backup.
    pub turns: Mutex<BTreeMap<String, Turn>>,
    /// Labels under which a backup or restore may have been submitted, as far as those go that the state names.
    submitted: Mutex<BTreeSet<String>>,
    status: Arc<Mutex<JobStatus>>,
}

impl Shell {
    pub fn new(ctx: JobContext, status: Arc<Mutex<JobStatus>>) -> Self {
        Self {
            ctx,
            followed: Followed::default(),
            publishing: Publishing::default(),
            restoring: tokio::sync::Mutex::default(),
            newest_target: AtomicI64::default(),
            renaming: tokio::sync::Mutex::default(),
            turns: Mutex::default(),
            submitted: Mutex::default(),
            status,
        }
    }

    pub fn job_name(&self) -> &str {
        &self.ctx.record.spec.name
    }

    pub fn job_id(&self) -> &str {
        &self.ctx.record.id
    }

    pub fn source_database(&self) -> &str {
        &self.ctx.record.spec.src.database
    }

    pub fn target_database(&self) -> &str {
        &self.ctx.record.spec.dest.database
    }

    pub fn now_ms(&self) -> i64 {
        self.ctx.clock.now_ms()
    }

    pub fn update_status(&self, change: impl FnOnce(&mut JobStatus)) {
        change(&mut self.status.lock());
    }

    pub fn set_step(&self, step: impl Into<String>) {
        let step = step.into();
        let mut status = self.status.lock();
        if status.step != step {
            tracing::debug!(%step, "step");
            status.step = step;
        }
    }

    /// Waits for a turn at the snapshots of the upstream database, unless this one has it.
    pub async fn wait_for_turn(&self, label: &str) {
        if self.turns.lock().contains_key(label) {
            return;
        }
        let seats = self.ctx.turns.of(&self.ctx.record.spec.src, self.now_ms());
        let mut turn = std::pin::pin!(seats.take());
        let turn = loop {
            tokio::select! {
                biased;
                turn = &mut turn => break turn,
                () = self.ctx.clock.sleep(self.ctx.options.snapshot_poll) => {}
            }
            if seats.is_stuck(self.now_ms()) {
                break seats.take_now();
            }
            let db = self.source_database();
            self.set_step(format!(
                "backup {label}: waiting until other snapshots of database {db} are restored"
            ));
        };
        seats.moved(self.now_ms());
        self.turns.lock().insert(label.to_owned(), turn);
    }

    /// Has the turn of a snapshot that is there already.
    pub fn take_turn(&self, label: &str) {
        let seats = self.ctx.turns.of(&self.ctx.record.spec.src, self.now_ms());
        self.turns.lock().entry(label.to_owned()).or_insert_with(|| seats.take_now());
    }

    /// Gives a turn back: nothing needs the snapshot any more.
    pub fn end_turn(&self, label: &str) {
        self.turns.lock().remove(label);
    }

    /// Whatever the state names may have been submitted by whoever had the job before: anybody but its first owner.
    pub fn resume_labels(&self, state: &JobState) {
        if self.ctx.epoch > 1 {
            self.submitted.lock().extend(state.labels().map(str::to_owned));
        }
    }

    /// Notes that something is being submitted under a label, or that nothing was.
    pub fn set_submitted(&self, label: &str, is_submitted: bool) {
        let mut submitted = self.submitted.lock();
        if is_submitted {
            submitted.insert(label.to_owned());
        } else {
            submitted.remove(label);
        }
    }

    /// Whether something may have been submitted under a label.
    pub fn is_submitted(&self, label: &str) -> bool {
        self.submitted.lock().contains(label)
    }

    /// Forgets the labels, and gives back the turns of snapshots, that the state does not name any more.
    pub fn keep_labels(&self, state: &JobState) {
        let mut submitted = self.submitted.lock();
        if !submitted.is_empty() {
            let named: BTreeSet<&str> = state.labels().collect();
            submitted.retain(|label| named.contains(label.as_str()));
        }
        drop(submitted);
        let mut turns = self.turns.lock();
        if !turns.is_empty() {
            let named: BTreeSet<&str> = state.snapshots().collect();
            turns.retain(|label, _| named.contains(label.as_str()));
        }
    }

    /// Repeats `call` until it succeeds or fails in a way that repeating cannot mend. Every try is
    /// bounded by the port; the number of tries is not, because the peer may be away for days. The error
    /// is shown in the job's status meanwhile.
    pub async fn retry<T, F, Fut>(&self, mut call: F) -> Result<T>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T>>,
    {
        let mut tries = 0;
        loop {
            match call().await {
                Ok(value) => {
                    self.recovered(tries);
                    return Ok(value);
                }
                Err(error)
                    if matches!(
                        error.disposition,
                        Disposition::Block
                            | Disposition::Stop
                            | Disposition::PartialSync
                            | Disposition::Isolate
                    ) =>
                {
                    self.gave_way(tries);
                    return Err(error);
                }
                Err(error) => loop {
                    tries += 1;
                    self.pause(&error, tries).await;
                    // Somebody else may have the job by now.
                    match self.check_lease().await {
                        Ok(()) => break,
                        Err(lost) if lost.disposition == Disposition::Stop => return Err(lost),
                        Err(unknown) => tracing::info!(error = %unknown, "the lease could not be looked at"),
                    }
                },
            }
        }
    }

    /// Records an error that will be retried, and waits before the next try.
    pub async fn pause(&self, error: &Error, tries: u32) {
        self.failed(error, tries);
        self.ctx.clock.sleep(self.backoff(tries)).await;
    }

    /// The same, but no longer than until somebody wants to go on.
    pub async fn pause_unless(&self, error: &Error, tries: u32, goes_on: impl Fn() -> bool) {
        self.failed(error, tries);
        let mut left = self.backoff(tries);
        while !left.is_zero() && !goes_on() {
            let part = left.min(self.ctx.options.snapshot_poll);
            self.ctx.clock.sleep(part).await;
            left = left.saturating_sub(part);
        }
    }

    fn failed(&self, error: &Error, tries: u32) {
        self.ctx.observer.error(self.job_name(), error.origin.name(), true);
        if tries == WARN_AFTER {
            tracing::warn!(code = error.code, %error, tries, "keeps failing, retrying");
        } else {
            tracing::info!(code = error.code, %error, tries, "failed, retrying");
        }
        self.show_error(error, tries);
    }

    /// The same for one try that is not counted: the error is shown until the next one begins.
    pub async fn pause_once(&self, error: &Error) {
        self.pause(error, 1).await;
        self.update_status(|status| status.last_error = None);
    }

    /// Shows an error in the job's status.
    pub fn show_error(&self, error: &Error, tries: u32) {
        let retried = RetriedError { message: error.to_string(), tries, at_ms: self.now_ms() };
        self.update_status(|status| status.last_error = Some(retried));
    }

    /// Fails where a test has set a failpoint for a binlog of this type.
    pub fn at_binlog(&self, binlog_type: &str, moment: Moment) -> Result<()> {
        if !self.ctx.failpoints.at_binlog(binlog_type, moment) {
            return Ok(());
        }
        let message = format!("a failpoint lets the handling of {binlog_type} fail");
        Err(Error::retry(Origin::Internal, "CCR0910", message))
    }

    /// Clears the error shown, once what failed has succeeded.
    pub fn recovered(&self, tries: u32) {
        if tries > 0 {
            tracing::info!(tries, "recovered");
            self.update_status(|status| status.last_error = None);
        }
    }

    /// Clears the error shown, once another one, which is reported where it leads to, has ended the tries.
    pub fn gave_way(&self, tries: u32) {
        if tries > 0 {
            self.update_status(|status| status.last_error = None);
        }
    }

    /// Doubles from `retry_min` to `retry_max`; jitter of a quarter keeps jobs from marching in step.
    pub fn backoff(&self, tries: u32) -> Duration {
        let options = &self.ctx.options;
        let base = options.retry_min.saturating_mul(1 << tries.clamp(1, 16).saturating_sub(1));
        let base = base.min(options.retry_max);
        let seed = self.now_ms().unsigned_abs().wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
        let part = u32::try_from(seed % 256).unwrap_or(0);
        base.saturating_sub(base / 4) + base / 512 * part
    }

    /// Records that something of a change is not repeated downstream, and why. Nobody waits for it: who calls this is
    /// one of several that the stream lets go on, and must not hold the store while the stream itself writes.
    pub fn record_skip(&self, commit_seq: i64, reason: String) {
        let entry = HistoryEntry {
            at_ms: self.now_ms(),
            first_commit_seq: commit_seq,
            last_commit_seq: commit_seq,
            plan: "skip".to_owned(),
            reason,
            outcome: "passed over".to_owned(),
            duration_ms: 0,
        };
        // It is written, whether or not somebody waits.
        drop(self.append(entry));
    }

    /// Appends to the job's history. A history that cannot be written must not stop the job.
    pub async fn record_history(&self, entry: HistoryEntry) {
        // That fails only while the runtime ends.
        let _ = self.append(entry).await;
    }

    fn append(&self, entry: HistoryEntry) -> JoinHandle<()> {
        tracing::info!(plan = %entry.plan, reason = %entry.reason, outcome = %entry.outcome,
            first_commit_seq = entry.first_commit_seq, last_commit_seq = entry.last_commit_seq, "decision");
        self.with_store(|store, job_id, epoch| async move {
            if let Err(error) = store.append_history(&job_id, epoch, &entry).await {
                tracing::info!(%error, "history entry lost");
            }
        })
    }

    /// Fails when somebody else has the job, as far as the store can tell now. It is asked before every commit: the new
    /// owner may have committed the same rows under the label of another track.
    pub async fn stop_if_lost(&self) -> Result<()> {
        match self.check_lease().await {
            Err(lost) if lost.disposition == Disposition::Stop => Err(lost),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Fails unless the store has just said that the job is still this process's. It is asked before whatever has no
    /// label of a transaction: what one who has lost the job sends would undo what the new owner has done since.
    pub async fn check_lease(&self) -> Result<()> {
        loop {
            let clock = Arc::clone(&self.ctx.clock);
            let check = self.with_store(|store, job_id, epoch| async move {
                (store.check_lease(&job_id, epoch).await, clock.now_ms())
            });
            // That fails only while the runtime ends.
            let Ok((answer, at_ms)) = check.await else { return Ok(()) };
            answer?;
            // Who asks may not have been polled for long.
            if self.now_ms() - at_ms <= LEASE_FRESH_MS {
                return Ok(());
            }
        }
    }

    /// Uses the store in a task of its own: most of what a job does are futures of one task, and one that is not polled
    /// with the store in its hands would keep that task from writing.
    fn with_store<T, F, Fut>(&self, work: F) -> JoinHandle<T>
    where
        T: Send + 'static,
        F: FnOnce(Arc<dyn Store>, String, u64) -> Fut,
        Fut: Future<Output = T> + Send + 'static,
    {
        tokio::spawn(work(Arc::clone(&self.ctx.store), self.job_id().to_owned(), self.ctx.epoch))
    }
}
