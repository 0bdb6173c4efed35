//! A track: one binlog list being replayed, several transactions at a time.
//!
//! Three things go on at once: the next batch is fetched; up to a window of transactions are being
//! filled; the oldest of them is being committed. Commits happen in upstream order and one at a time, so
//! the target is always a prefix of the source. A statement waits until everything before it is
//! committed, and nothing after it is planned before it is done.
//!
//! [`Track::next`] yields what its owner must record or decide. It keeps every future it polls in the
//! track, so that dropping the call loses nothing.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use doris_types::call::{BinlogPage, BinlogScope};
use doris_types::record::BinlogType;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};

use super::doubt::EarlierCommits;
use super::shell::Shell;
use super::source::{Fetched, Source};
use crate::change::Change;
use crate::effect::routes::Routes;
use crate::effect::transaction::{self, Prepared, Transaction};
use crate::error::{Error, Origin, Result};
use crate::failpoint::Moment;
use crate::job::{FullSyncReason, JobState, LinkEffect, PartialSyncReason};
use crate::plan::{self, Plan, SkipReason, Statement, TrackId, View};

/// Planned changes that may wait for their turn, beside the transactions being filled.
const WINDOW_LIMIT: usize = 1024;

/// What the owner of a track hears.
pub(super) enum TrackEvent {
    /// A change is committed or skipped.
    Done(Done),
    /// Everything before is done, and this must be decided by the owner.
    Barrier(Barrier),
    /// A statement ended; see [`Track::act`].
    Acted { change: Box<Change>, began_ms: i64, result: Result<LinkEffect> },
    /// A transaction cannot be done; everything before it is.
    Failed {
        commit_seq: i64,
        binlog_type: &'static str,
        tables: Vec<i64>,
        /// Tables of the transaction that the job has no link to.
        unlinked: Vec<i64>,
        /// The upstream's label, if the job reuses it.
        label: Option<String>,
        /// No commit of it was tried before this moment.
        untried_since_ms: i64,
        error: Error,
    },
    /// The list holds nothing more, and nothing is under way.
    CaughtUp,
    /// The upstream cannot be read any more.
    SourceFailed(Error),
}

/// A change that was handled.
pub(super) struct Done {
    pub commit_seq: i64,
    pub timestamp_ms: i64,
    pub binlog_type: &'static str,
    pub planned_at_ms: i64,
    /// `None` when it was applied.
    pub skipped: Option<SkipReason>,
}

/// What stops planning until everything before it is done.
pub(super) enum Barrier {
    Statement(Box<Change>, Statement),
    PartialSync { change: Box<Change>, source_ids: Vec<i64>, reason: PartialSyncReason },
    AdoptTable { change: Box<Change>, source_id: i64, name: String },
    FullSync(FullSyncReason),
    Block { commit_seq: i64, timestamp_ms: i64, binlog_type: String, tables: Vec<i64>, error: Error },
}

/// Something fetched and not yet planned.
enum Queued {
    Change(Box<Change>),
    /// What the upstream said instead of a change.
    Gap(FullSyncReason),
    /// A binlog that cannot be read.
    Unreadable {
        commit_seq: i64,
        timestamp_ms: i64,
        binlog_type: String,
        tables: Vec<i64>,
        error: Error,
    },
}

/// A planned change, in upstream order.
struct Slot {
    done: Done,
    work: Work,
}

enum Work {
    Skip,
    Filling(Arc<Transaction>),
    Filled(Arc<Transaction>, Prepared),
    Failed(Arc<Transaction>, Error),
}

type Fetching = BoxFuture<'static, (Source, Result<Fetched>)>;
type Acting = (Box<Change>, i64, BoxFuture<'static, Result<LinkEffect>>);

pub(super) struct Track {
    id: TrackId,
    shell: Arc<Shell>,
    routes: Arc<Routes>,
    scope: BinlogScope,
    /// `None` while a fetch has it.
    source: Option<Source>,
    queue: VecDeque<Queued>,
    window: VecDeque<Slot>,
    barrier: Option<Barrier>,
    fetching: Option<Fetching>,
    filling: FuturesUnordered<BoxFuture<'static, (i64, Result<Prepared>)>>,
    committing: Option<(Slot, BoxFuture<'static, Result<()>>)>,
    acting: Option<Acting>,
    /// Everything up to here is done.
    pub done_to: i64,
    /// Everything up to here has been fetched.
    pub fetched_to: i64,
    /// Everything up to here was in the list when it was last found empty.
    pub verified_to: i64,
    /// What `verified_to` becomes if the fetch under way finds nothing.
    verifying_to: i64,
    /// The last change of each table apart that was passed over.
    pub passed: HashMap<i64, i64>,
    idle: Duration,
    earlier: Arc<EarlierCommits>,
    /// No more is fetched: the upstream said that there is a gap.
    at_gap: bool,
    caught_up: bool,
    /// What a test has put in the way; the change it hit is fetched again.
    injected: Option<Error>,
}

impl Track {
    pub fn new(
        id: TrackId,
        shell: Arc<Shell>,
        routes: Arc<Routes>,
        scope: BinlogScope,
        from: i64,
        earlier: EarlierCommits,
    ) -> Self {
        Self {
            id,
            shell,
            routes,
            source: Some(Source { scope: scope.clone(), checked_at_ms: 0 }),
            scope,
            queue: VecDeque::new(),
            window: VecDeque::new(),
            barrier: None,
            fetching: None,
            filling: FuturesUnordered::new(),
            committing: None,
            acting: None,
            done_to: from,
            fetched_to: from,
            verified_to: 0,
            verifying_to: 0,
            passed: HashMap::new(),
            idle: Duration::ZERO,
            earlier: Arc::new(earlier),
            at_gap: false,
            caught_up: false,
            injected: None,
        }
    }

    /// Forgets everything that is not done, to be fetched and planned again.
    pub fn rewind(&mut self) {
        if let Some(since_ms) = self.certain_at_ms() {
            self.earlier.reopen(since_ms);
        }
        self.queue.clear();
        self.window.clear();
        self.barrier = None;
        self.filling.clear();
        self.committing = None;
        self.fetched_to = self.done_to;
        self.at_gap = false;
        self.caught_up = false;
        self.fetching = None;
        self.source = Some(Source { scope: self.scope.clone(), checked_at_ms: self.shell.now_ms() });
    }

    /// Runs a statement that was at the barrier; its end is [`TrackEvent::Acted`].
    pub fn act(&mut self, change: Box<Change>, statement: BoxFuture<'static, Result<LinkEffect>>) {
        self.acting = Some((change, self.shell.now_ms(), statement));
    }

    /// A change that was at the barrier is settled.
    pub fn passed_barrier(&mut self, commit_seq: i64) {
        self.done_to = self.done_to.max(commit_seq);
    }

    /// No commit of what is not done was tried before this moment; `None` when none was tried at all.
    pub fn certain_at_ms(&self) -> Option<i64> {
        let under_way = self.committing.iter().map(|(slot, _)| slot).chain(&self.window);
        let untried = under_way.filter_map(|slot| match &slot.work {
            Work::Filling(txn) | Work::Filled(txn, _) | Work::Failed(txn, _) => Some(txn.untried_since_ms),
            Work::Skip => None,
        });
        untried.chain(self.earlier.since_ms()).min()
    }

    /// Whether a statement is under way.
    pub fn is_acting(&self) -> bool {
        self.acting.is_some()
    }

    /// Binlogs fetched and not yet done.
    pub fn buffered(&self) -> usize {
        self.queue.len()
            + self.window.len()
            + usize::from(self.committing.is_some())
            + usize::from(self.acting.is_some())
            + usize::from(self.barrier.is_some())
    }

    /// Transactions and statements under way.
    pub fn in_flight(&self) -> usize {
        let waiting = self.window.iter().filter(|slot| !matches!(slot.work, Work::Skip)).count();
        waiting + usize::from(self.committing.is_some()) + usize::from(self.acting.is_some())
    }

    /// The next event. `main_fetched_to` is how far the job's own list has been read.
    pub async fn next(&mut self, state: &JobState, main_fetched_to: i64) -> TrackEvent {
        loop {
            if let Some((_, _, statement)) = &mut self.acting {
                let result = statement.await;
                if let Some((change, began_ms, _)) = self.acting.take() {
                    return TrackEvent::Acted { change, began_ms, result };
                }
            }
            self.plan_ahead(state);
            if let Some(error) = self.injected.take() {
                return TrackEvent::SourceFailed(error);
            }
            if self.committing.is_none()
                && let Some(event) = self.next_commit()
            {
                return event;
            }
            if self.committing.is_none() && self.window.is_empty() {
                if let Some(barrier) = self.barrier.take() {
                    return TrackEvent::Barrier(barrier);
                }
                if self.caught_up && self.queue.is_empty() {
                    self.caught_up = false;
                    return TrackEvent::CaughtUp;
                }
            }
            if self.fetching.is_none()
                && self.wants_more()
                && let Some(source) = self.source.take()
            {
                self.verifying_to = main_fetched_to;
                let fetch = source.fetch(Arc::clone(&self.shell), self.fetched_to, self.idle);
                self.fetching = Some(Box::pin(fetch));
            }
            // The oldest work first, and in the same order every time.
            tokio::select! {
                biased;
                result = or_pending_second(&mut self.committing) => {
                    if let Some((slot, _)) = self.committing.take() {
                        match result {
                            Ok(()) => {
                                self.done_to = slot.done.commit_seq;
                                return TrackEvent::Done(slot.done);
                            }
                            Err(error) => return failed(slot, error),
                        }
                    }
                }
                Some((commit_seq, result)) = self.filling.next(), if !self.filling.is_empty() => {
                    self.take_filled(commit_seq, result);
                }
                (source, fetched) = or_pending(&mut self.fetching) => {
                    self.fetching = None;
                    self.source = Some(source);
                    match fetched {
                        Ok(fetched) => self.take_fetched(fetched),
                        Err(error) => return TrackEvent::SourceFailed(error),
                    }
                }
            }
        }
    }

    /// Plans fetched changes until the window is full or something must wait for all before it.
    fn plan_ahead(&mut self, state: &JobState) {
        while self.barrier.is_none()
            && self.injected.is_none()
            && self.window.len() < WINDOW_LIMIT
            && self.in_flight() < self.shell.ctx.options.max_transactions_in_flight
        {
            let Some(queued) = self.queue.pop_front() else { return };
            match queued {
                Queued::Change(change) => self.plan_change(state, change),
                Queued::Gap(reason) => self.barrier = Some(Barrier::FullSync(reason)),
                Queued::Unreadable { commit_seq, timestamp_ms, .. } if state.skips.contains(&commit_seq) => {
                    self.window.push_back(Slot {
                        done: Done {
                            commit_seq,
                            timestamp_ms,
                            binlog_type: "UNREADABLE",
                            planned_at_ms: self.shell.now_ms(),
                            skipped: Some(SkipReason::Requested),
                        },
                        work: Work::Skip,
                    });
                }
                Queued::Unreadable { commit_seq, timestamp_ms, binlog_type, tables, error } => {
                    self.barrier =
                        Some(Barrier::Block { commit_seq, timestamp_ms, binlog_type, tables, error });
                }
            }
        }
    }

    fn plan_change(&mut self, state: &JobState, change: Box<Change>) {
        if self.id == TrackId::Main {
            if let Err(error) = self.shell.at_binlog(change.record.binlog_type().name(), Moment::Before) {
                self.injected = Some(error);
                return;
            }
            for id in change.table_ids.iter().filter(|id| state.apart(**id).is_some()) {
                self.passed.insert(*id, change.commit_seq);
            }
        }
        let view = View {
            spec: &self.shell.ctx.record.spec,
            tables: &state.tables,
            views: &state.views,
            skips: &state.skips,
            commit_seq: self.done_to,
            track: self.id,
        };
        let mut skipped = None;
        let work = match plan::plan(&change, view) {
            Plan::Skip(reason) => {
                skipped = Some(reason);
                Work::Skip
            }
            Plan::Ingest(ingest) => {
                let commit_seq = change.commit_seq;
                let txn = Arc::new(Transaction {
                    track: self.id,
                    commit_seq,
                    ingest,
                    untried_since_ms: self.earlier.since_ms().unwrap_or_else(|| self.shell.now_ms()),
                    earlier: Arc::clone(&self.earlier),
                    choice: Arc::default(),
                });
                let prepare =
                    transaction::prepare(Arc::clone(&self.shell), Arc::clone(&self.routes), Arc::clone(&txn));
                self.filling.push(Box::pin(async move { (commit_seq, prepare.await) }));
                Work::Filling(txn)
            }
            Plan::Statement(statement) => {
                self.barrier = Some(Barrier::Statement(change, statement));
                return;
            }
            Plan::PartialSync { source_ids, reason } => {
                self.barrier = Some(Barrier::PartialSync { change, source_ids, reason });
                return;
            }
            Plan::AdoptTable { source_id, name } => {
                self.barrier = Some(Barrier::AdoptTable { change, source_id, name });
                return;
            }
            Plan::FullSync(reason) => {
                self.barrier = Some(Barrier::FullSync(reason));
                return;
            }
            Plan::Block(block) => {
                self.barrier = Some(Barrier::Block {
                    commit_seq: change.commit_seq,
                    timestamp_ms: change.timestamp_ms,
                    binlog_type: change.record.binlog_type().to_string(),
                    tables: block.tables,
                    error: Error::blocked(Origin::Internal, block.code, block.message, block.hint),
                });
                return;
            }
        };
        let done = Done {
            commit_seq: change.commit_seq,
            timestamp_ms: change.timestamp_ms,
            binlog_type: change.record.binlog_type().name(),
            planned_at_ms: self.shell.now_ms(),
            skipped,
        };
        self.window.push_back(Slot { done, work });
    }

    /// Reports what is skipped at the front of the window, or starts the commit of what is filled.
    fn next_commit(&mut self) -> Option<TrackEvent> {
        let slot = self.window.pop_front()?;
        match slot.work {
            Work::Skip => {
                self.done_to = slot.done.commit_seq;
                Some(TrackEvent::Done(slot.done))
            }
            Work::Filled(txn, prepared) => {
                let commit = transaction::commit(
                    Arc::clone(&self.shell),
                    Arc::clone(&self.routes),
                    Arc::clone(&txn),
                    prepared,
                );
                let slot = Slot { done: slot.done, work: Work::Filling(txn) };
                self.committing = Some((slot, Box::pin(commit)));
                None
            }
            Work::Failed(txn, error) => {
                Some(failed(Slot { done: slot.done, work: Work::Filling(txn) }, error))
            }
            Work::Filling(txn) => {
                self.window.push_front(Slot { done: slot.done, work: Work::Filling(txn) });
                None
            }
        }
    }

    fn take_filled(&mut self, commit_seq: i64, result: Result<Prepared>) {
        let Some(slot) = self.window.iter_mut().find(|slot| slot.done.commit_seq == commit_seq) else {
            return;
        };
        if let Work::Filling(txn) = &slot.work {
            let txn = Arc::clone(txn);
            slot.work = match result {
                Ok(prepared) => Work::Filled(txn, prepared),
                Err(error) => Work::Failed(txn, error),
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
                    let (commit_seq, timestamp_ms) = (entry.commit_seq, entry.timestamp_ms);
                    let (binlog_type, tables) =
                        (BinlogType(entry.binlog_type).to_string(), entry.table_ids.clone());
                    self.queue.push_back(match Change::parse(entry) {
                        Ok(change) => Queued::Change(Box::new(change)),
                        Err(error) => {
                            Queued::Unreadable { commit_seq, timestamp_ms, binlog_type, tables, error }
                        }
                    });
                }
            }
            Fetched::Page(BinlogPage::CaughtUp | BinlogPage::NotFound | BinlogPage::Disabled) => {
                self.idle = (self.idle * 2).clamp(options.poll_min, options.poll_max);
                self.verified_to = self.verifying_to;
                if self.queue.is_empty() && self.window.is_empty() && self.committing.is_none() {
                    // Nothing is beyond the position that anybody could have committed.
                    self.earlier.settle();
                }
                self.caught_up = self.id != TrackId::Main;
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

    fn wants_more(&self) -> bool {
        !self.at_gap && self.queue.len() < usize::from(self.shell.ctx.options.binlog_batch_size)
    }
}

fn failed(slot: Slot, error: Error) -> TrackEvent {
    let (tables, unlinked, label, untried_since_ms) = match &slot.work {
        Work::Filling(txn) | Work::Filled(txn, _) | Work::Failed(txn, _) => {
            let tables = txn.ingest.tables.iter().map(|table| table.source_id);
            // The others go on without it.
            let concerned = tables.filter(|id| error.table.is_none_or(|table| table == *id)).collect();
            (concerned, txn.ingest.unlinked.clone(), txn.ingest.label.clone(), txn.untried_since_ms)
        }
        Work::Skip => (Vec::new(), Vec::new(), None, i64::MAX),
    };
    let Done { commit_seq, binlog_type, .. } = slot.done;
    TrackEvent::Failed { commit_seq, binlog_type, tables, unlinked, label, untried_since_ms, error }
}

/// The future in the option, or one that never ends.
pub(super) async fn or_pending<F: Future + Unpin>(future: &mut Option<F>) -> F::Output {
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
