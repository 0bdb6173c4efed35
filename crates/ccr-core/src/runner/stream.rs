//! The incremental phase: fetch, plan, fill, commit, record; several transactions at a time.
//!
//! One task does it all, so that stopping the job is dropping one future. Four things go on at once:
//! the next batch is fetched; up to a window of transactions are being filled; the oldest of them is
//! being committed; the position is being written. Commits happen in upstream order and one at a time,
//! so the target is always a prefix of the source. The position is written after the commit and may lag
//! behind it: a transaction that is met again after a crash finds itself by its label.
//!
//! A statement waits until everything before it is committed and recorded, and nothing after it starts
//! before its effect is recorded.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use doris_types::call::{BinlogPage, BinlogScope};
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};

use super::job::Job;
use super::shell::Shell;
use super::source::{Fetched, Source};
use crate::change::Change;
use crate::effect::routes::Routes;
use crate::effect::statement;
use crate::effect::transaction::{self, Prepared, Transaction};
use crate::error::{Error, Origin, Result};
use crate::job::{Event, FullSyncReason, Phase, Position, SyncType};
use crate::plan::{self, Plan, SkipReason, Statement, View};

/// Planned changes that may wait for their turn, beside the transactions being filled.
const WINDOW_LIMIT: usize = 1024;

/// After this long without a recorded position a label may have been forgotten downstream, which keeps
/// them for 12 hours by default.
const LABEL_TRUST_MS: i64 = 10 * 3600 * 1000;

/// An idle job rewrites its position this often, so that its age tells how long the job was away.
const HEARTBEAT_MS: i64 = 10 * 60 * 1000;

/// Replays the binlog until a full sync is needed; then the state has moved and this returns.
pub(super) async fn run(job: &mut Job) -> Result<()> {
    let source = Source { scope: scope(job)?, checked_at_ms: 0 };
    let mut stream = Stream::new(job);
    stream.run(source).await
}

fn scope(job: &Job) -> Result<BinlogScope> {
    let database = job.shell.source_database().to_owned();
    let table_id = match job.shell.ctx.record.spec.sync_type() {
        SyncType::Database => None,
        SyncType::Table => {
            let id = job.state.tables.keys().next().copied().ok_or_else(|| {
                Error::blocked(
                    Origin::Internal,
                    "CCR0903",
                    "the job has no table link after its full sync",
                    "delete the job and create it again",
                )
            })?;
            Some(id)
        }
    };
    Ok(BinlogScope { database, table_id })
}

/// Something fetched and not yet planned.
enum Queued {
    Change(Box<Change>),
    /// What the upstream said instead of a change.
    Gap(FullSyncReason),
    /// A binlog that cannot be read.
    Unreadable {
        commit_seq: i64,
        binlog_type: String,
        error: Error,
    },
}

/// A planned change, in upstream order.
struct Slot {
    commit_seq: i64,
    timestamp_ms: i64,
    binlog_type: &'static str,
    planned_at_ms: i64,
    work: Work,
}

enum Work {
    Skip(SkipReason),
    Filling(Arc<Transaction>),
    Filled(Arc<Transaction>, Prepared),
    Failed(Error),
}

/// What stops planning until everything before it is done.
enum Barrier {
    Statement(Box<Change>, Statement),
    FullSync(FullSyncReason),
    Block { commit_seq: i64, binlog_type: String, error: Error },
}

struct Stream<'a> {
    job: &'a mut Job,
    shell: Arc<Shell>,
    routes: Arc<Routes>,
    queue: VecDeque<Queued>,
    window: VecDeque<Slot>,
    barrier: Option<Barrier>,
    filling: FuturesUnordered<BoxFuture<'static, (i64, Result<Prepared>)>>,
    /// Everything up to here has been fetched.
    fetched_to: i64,
    /// Pause before the next fetch.
    idle: Duration,
    /// The next transactions whose label may have been forgotten.
    doubtful: usize,
    /// No more is fetched: the upstream said that there is a gap.
    at_gap: bool,
}

impl<'a> Stream<'a> {
    fn new(job: &'a mut Job) -> Self {
        let shell = Arc::clone(&job.shell);
        let away_ms = shell.now_ms() - job.position.updated_at_ms;
        let doubtful =
            if away_ms > LABEL_TRUST_MS { shell.ctx.options.max_transactions_in_flight } else { 0 };
        Self {
            fetched_to: job.position.commit_seq,
            job,
            shell,
            routes: Arc::new(Routes::default()),
            queue: VecDeque::new(),
            window: VecDeque::new(),
            barrier: None,
            filling: FuturesUnordered::new(),
            idle: Duration::ZERO,
            doubtful,
            at_gap: false,
        }
    }

    async fn run(&mut self, source: Source) -> Result<()> {
        let mut source = Some(source);
        let mut fetching: Option<BoxFuture<'static, (Source, Result<Fetched>)>> = None;
        let mut committing: Option<(Slot, BoxFuture<'static, Result<()>>)> = None;
        let mut recording: Option<BoxFuture<'static, Result<Position>>> = None;
        let mut recorded = self.job.position;
        loop {
            self.plan_ahead();
            if committing.is_none() {
                committing = self.next_commit()?;
            }
            let settled = committing.is_none() && self.window.is_empty();
            if settled
                && recording.is_none()
                && let Some(barrier) = self.barrier.take()
            {
                if self.pass(barrier).await? {
                    return Ok(());
                }
                recorded = self.job.position;
                continue;
            }
            if recording.is_none() && self.needs_recording(&recorded) {
                recording = Some(Box::pin(record(Arc::clone(&self.shell), self.job.position)));
            }
            if fetching.is_none()
                && self.wants_more()
                && let Some(from) = source.take()
            {
                fetching = Some(Box::pin(from.fetch(Arc::clone(&self.shell), self.fetched_to, self.idle)));
            }
            self.show_step(committing.is_some());
            tokio::select! {
                (from, fetched) = or_pending(&mut fetching) => {
                    fetching = None;
                    source = Some(from);
                    self.take_fetched(fetched?);
                }
                Some((commit_seq, result)) = self.filling.next(), if !self.filling.is_empty() => {
                    self.take_filled(commit_seq, result);
                }
                result = or_pending_second(&mut committing) => {
                    if let Some((slot, _)) = committing.take() {
                        self.job.handling = Some((slot.commit_seq, slot.binlog_type.to_owned()));
                        result?;
                        self.shell.update_status(|status| status.transactions += 1);
                        self.advance(&slot);
                    }
                }
                result = or_pending(&mut recording) => {
                    recording = None;
                    recorded = result?;
                }
            }
        }
    }

    /// Plans fetched changes until the window is full or something must wait for all before it.
    fn plan_ahead(&mut self) {
        while self.barrier.is_none()
            && self.window.len() < WINDOW_LIMIT
            && self.in_flight() < self.shell.ctx.options.max_transactions_in_flight
        {
            let Some(queued) = self.queue.pop_front() else { return };
            match queued {
                Queued::Change(change) => self.plan_change(change),
                Queued::Gap(reason) => self.barrier = Some(Barrier::FullSync(reason)),
                Queued::Unreadable { commit_seq, binlog_type, error } => {
                    self.barrier = Some(Barrier::Block { commit_seq, binlog_type, error });
                }
            }
        }
    }

    fn plan_change(&mut self, change: Box<Change>) {
        let view = View {
            spec: &self.shell.ctx.record.spec,
            tables: &self.job.state.tables,
            commit_seq: self.job.position.commit_seq,
        };
        let work = match plan::plan(&change, view) {
            Plan::Skip(reason) => Work::Skip(reason),
            Plan::Ingest(ingest) => {
                let doubtful = self.doubtful > 0;
                self.doubtful = self.doubtful.saturating_sub(1);
                let txn = Arc::new(Transaction { commit_seq: change.commit_seq, ingest, doubtful });
                let prepare =
                    transaction::prepare(Arc::clone(&self.shell), Arc::clone(&self.routes), Arc::clone(&txn));
                let commit_seq = change.commit_seq;
                self.filling.push(Box::pin(async move { (commit_seq, prepare.await) }));
                Work::Filling(txn)
            }
            Plan::Statement(statement) => {
                self.barrier = Some(Barrier::Statement(change, statement));
                return;
            }
            Plan::FullSync(reason) => {
                self.barrier = Some(Barrier::FullSync(reason));
                return;
            }
            Plan::Block(block) => {
                self.barrier = Some(Barrier::Block {
                    commit_seq: change.commit_seq,
                    binlog_type: change.record.binlog_type().to_string(),
                    error: Error::blocked(Origin::Internal, block.code, block.message, block.hint),
                });
                return;
            }
        };
        self.window.push_back(Slot {
            commit_seq: change.commit_seq,
            timestamp_ms: change.timestamp_ms,
            binlog_type: change.record.binlog_type().name(),
            planned_at_ms: self.shell.now_ms(),
            work,
        });
    }

    /// Passes over what is skipped at the front of the window, and starts the commit of what is filled.
    fn next_commit(&mut self) -> Result<Option<(Slot, BoxFuture<'static, Result<()>>)>> {
        while let Some(mut slot) = self.window.pop_front() {
            match slot.work {
                Work::Skip(reason) => {
                    tracing::debug!(
                        commit_seq = slot.commit_seq,
                        binlog_type = slot.binlog_type,
                        reason = reason.name(),
                        "skipped"
                    );
                    slot.work = Work::Skip(reason);
                    self.shell.update_status(|status| status.skipped += 1);
                    self.advance(&slot);
                }
                Work::Filled(txn, prepared) => {
                    slot.work = Work::Filling(Arc::clone(&txn));
                    let commit =
                        transaction::commit(Arc::clone(&self.shell), Arc::clone(&self.routes), txn, prepared);
                    return Ok(Some((slot, Box::pin(commit))));
                }
                Work::Failed(error) => {
                    self.job.handling = Some((slot.commit_seq, slot.binlog_type.to_owned()));
                    return Err(error);
                }
                Work::Filling(txn) => {
                    slot.work = Work::Filling(txn);
                    self.window.push_front(slot);
                    break;
                }
            }
        }
        Ok(None)
    }

    fn take_filled(&mut self, commit_seq: i64, result: Result<Prepared>) {
        let Some(slot) = self.window.iter_mut().find(|slot| slot.commit_seq == commit_seq) else { return };
        if let Work::Filling(txn) = &slot.work {
            slot.work = match result {
                Ok(prepared) => Work::Filled(Arc::clone(txn), prepared),
                Err(error) => Work::Failed(error),
            };
        }
    }

    fn take_fetched(&mut self, fetched: Fetched) {
        let options = &self.shell.ctx.options;
        match fetched {
            Fetched::Page(BinlogPage::Entries(entries)) => {
                let full = entries.len() >= usize::from(options.binlog_batch_size);
                self.idle = if full { Duration::ZERO } else { options.poll_min };
                for entry in entries {
                    // The FE answers in order; anything else would break the promise to be a prefix.
                    if entry.commit_seq <= self.fetched_to {
                        continue;
                    }
                    self.fetched_to = entry.commit_seq;
                    let (commit_seq, binlog_type) =
                        (entry.commit_seq, doris_types::record::BinlogType(entry.binlog_type).to_string());
                    self.queue.push_back(match Change::parse(entry) {
                        Ok(change) => Queued::Change(Box::new(change)),
                        Err(error) => Queued::Unreadable { commit_seq, binlog_type, error },
                    });
                }
            }
            Fetched::Page(BinlogPage::CaughtUp | BinlogPage::NotFound | BinlogPage::Disabled) => {
                self.idle = (self.idle * 2).clamp(options.poll_min, options.poll_max);
            }
            Fetched::Page(BinlogPage::TooOld { expired_to }) => {
                let reason = FullSyncReason::BinlogExpired { position: self.fetched_to, expired_to };
                self.at_gap = true;
                self.queue.push_back(Queued::Gap(reason));
            }
            Fetched::Replaced(reason) => {
                self.at_gap = true;
                self.queue.push_back(Queued::Gap(reason));
            }
        }
    }

    /// Does what had to wait. True when the phase has changed.
    async fn pass(&mut self, barrier: Barrier) -> Result<bool> {
        match barrier {
            Barrier::Statement(change, statement) => {
                self.run_statement(&change, &statement).await?;
                Ok(false)
            }
            Barrier::FullSync(reason) => {
                tracing::info!(reason = %reason.describe(), "full sync needed");
                let (at_ms, from_commit_seq) = (self.shell.now_ms(), self.job.position.commit_seq);
                let text = reason.describe();
                self.job.apply(Event::FullSyncNeeded { reason, from_commit_seq, at_ms }).await?;
                self.job
                    .history("full_sync", (from_commit_seq, from_commit_seq), text, "started", at_ms)
                    .await;
                Ok(true)
            }
            Barrier::Block { commit_seq, binlog_type, error } => {
                self.job.handling = Some((commit_seq, binlog_type));
                Err(error)
            }
        }
    }

    async fn run_statement(&mut self, change: &Change, statement: &Statement) -> Result<()> {
        let commit_seq = change.commit_seq;
        let binlog_type = change.record.binlog_type();
        let began = self.shell.now_ms();
        self.job.handling = Some((commit_seq, binlog_type.to_string()));
        self.shell.set_step(format!("{binlog_type} at commit seq {commit_seq}"));
        let in_doubt = match &self.job.state.phase {
            Phase::Incremental(incremental) => incremental.statement_in_doubt == Some(commit_seq),
            Phase::FullSync(_) => false,
        };
        if !in_doubt {
            self.job.apply(Event::StatementStarted { commit_seq }).await?;
        }
        let effect = statement::run(&self.shell, &self.job.state, commit_seq, statement, in_doubt).await?;
        self.routes.forget_all();
        self.job.position.commit_seq = commit_seq;
        self.job.position.timestamp_ms = change.timestamp_ms;
        self.job.apply(Event::StatementDone { commit_seq, effect }).await?;
        self.shell.update_status(|status| status.statements += 1);
        self.handled(binlog_type.name(), began);
        let reason = binlog_type.to_string();
        self.job.history("statement", (commit_seq, commit_seq), reason, "done", began).await;
        Ok(())
    }

    fn advance(&mut self, slot: &Slot) {
        self.job.position.commit_seq = slot.commit_seq;
        self.job.position.timestamp_ms = slot.timestamp_ms;
        self.job.publish();
        self.handled(slot.binlog_type, slot.planned_at_ms);
    }

    fn handled(&self, binlog_type: &str, since_ms: i64) {
        let spent = u64::try_from(self.shell.now_ms() - since_ms).unwrap_or(0);
        let observer = &self.shell.ctx.observer;
        observer.binlog_handled(self.shell.job_name(), binlog_type, Duration::from_millis(spent));
    }

    fn in_flight(&self) -> usize {
        self.window.iter().filter(|slot| !matches!(slot.work, Work::Skip(_))).count()
    }

    fn wants_more(&self) -> bool {
        !self.at_gap && self.queue.len() < usize::from(self.shell.ctx.options.binlog_batch_size)
    }

    fn needs_recording(&self, recorded: &Position) -> bool {
        self.job.position.commit_seq != recorded.commit_seq
            || self.shell.now_ms() - recorded.updated_at_ms > HEARTBEAT_MS
    }

    fn show_step(&self, committing: bool) {
        let in_flight = self.in_flight() + usize::from(committing);
        if in_flight > 0 {
            self.shell.set_step(format!("replicating {in_flight} transactions"));
        } else {
            self.shell.set_step("waiting for binlogs");
        }
    }
}

/// Writes the position: one small row.
async fn record(shell: Arc<Shell>, mut position: Position) -> Result<Position> {
    let ctx = &shell.ctx;
    position.updated_at_ms = ctx.clock.now_ms();
    shell
        .retry(async || {
            ctx.store.save_position(&ctx.record.id, ctx.epoch, &position).await.map_err(Error::from)
        })
        .await?;
    let spent = u64::try_from(ctx.clock.now_ms() - position.updated_at_ms).unwrap_or(0);
    ctx.observer.persisted(shell.job_name(), Duration::from_millis(spent));
    Ok(position)
}

/// The future in the option, or one that never ends.
async fn or_pending<F: Future + Unpin>(future: &mut Option<F>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

async fn or_pending_second<T, F: Future + Unpin>(future: &mut Option<(T, F)>) -> F::Output {
    match future {
        Some((_, future)) => future.await,
        None => std::future::pending().await,
    }
}
