//! A track: one binlog list being replayed, several transactions at a time.
//!
//! Three things go on at once: the next batch is fetched; up to a window of transactions are being
//! filled; those that nothing before them holds back are being committed. In source order that is the oldest one,
//! so the target is always a prefix of the source. A statement waits until everything before it is
//! committed, and nothing after it is planned before it is done. In table order the same holds for each
//! table; see [`window`].
//!
//! [`Track::next`] yields what its owner must record or decide. It keeps every future it polls in the
//! track, so that dropping the call loses nothing.

mod apart;
mod planning;
mod running;
mod window;

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use doris_types::call::{BinlogPage, BinlogScope};
use doris_types::record::BinlogType;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};

use self::running::Running;
use self::window::{Step, Window, Work};
use super::doubt::EarlierCommits;
use super::shell::Shell;
use super::source::{Fetched, Source};
use crate::change::Change;
use crate::effect::peers::Peers;
use crate::effect::routes::Routes;
use crate::effect::transaction::{self, Prepared, Transaction};
use crate::error::{Error, Result};
use crate::job::{FullSyncReason, JobState, LinkEffect, PartialSyncReason, SyncType};
use crate::plan::{SkipReason, Statement, TrackId};

/// Changes that may wait for their turn, beside the transactions being filled; and in table order, changes done
/// beyond one that is not.
const WINDOW_LIMIT: usize = 1024;

/// How long, in table order, a change that touches everything waits for a table before that one goes on by itself.
const PATIENCE: Duration = Duration::from_secs(10);

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
        timestamp_ms: i64,
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
    /// In table order: this table holds up the others, and is to go on by itself.
    HoldingUp(i64),
    /// The list holds nothing more, and nothing is under way.
    CaughtUp,
    /// The upstream cannot be read any more.
    SourceFailed(Error),
    /// A test lets the handling of a change fail.
    Injected(Error),
}

/// A change that was handled.
pub(super) struct Done {
    pub commit_seq: i64,
    pub timestamp_ms: i64,
    pub binlog_type: &'static str,
    pub planned_at_ms: i64,
    /// `None` when it was applied.
    pub skipped: Option<SkipReason>,
    /// What would have become of a table, when an operator has asked to pass over that.
    pub passed_over: Option<PassedOver>,
}

/// What upstream became of tables, and downstream does not.
#[derive(Clone)]
pub(super) enum PassedOver {
    Creation { source_id: i64 },
    Drop { source_id: i64 },
    Change { tables: Vec<i64> },
}

/// What stops planning until everything before it is done.
pub(super) enum Barrier {
    Statement(Box<Change>, Statement),
    PartialSync {
        change: Box<Change>,
        source_ids: Vec<i64>,
        reason: PartialSyncReason,
    },
    AdoptTable {
        change: Box<Change>,
        source_id: i64,
        name: String,
        reason: PartialSyncReason,
        in_place_of: Option<i64>,
    },
    FullSync(FullSyncReason),
    Block {
        commit_seq: i64,
        timestamp_ms: i64,
        binlog_type: String,
        tables: Vec<i64>,
        /// `None` when it cannot be read.
        change: Option<Box<Change>>,
        error: Error,
    },
    /// A track of a slow table has come to a transaction that it shares with others: the main track does it.
    Shared {
        commit_seq: i64,
    },
}

/// Something fetched and not yet planned.
#[derive(Clone)]
enum Queued {
    Change(Arc<Change>),
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

type Fetching = BoxFuture<'static, (Source, Result<Fetched>)>;
type Acting = (Box<Change>, i64, BoxFuture<'static, Result<LinkEffect>>);

/// How a track goes about its list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// One commit after the other, in upstream order.
    SourceOrder,
    /// Each table in its own order.
    TableOrder,
    /// The list of a table that was too slow for the main track, which has left to it what is the table's alone.
    Trailing,
}

pub(super) struct Track {
    id: TrackId,
    /// Of which track the labels of its transactions are.
    labels: TrackId,
    manner: Manner,
    by_table: bool,
    shell: Arc<Shell>,
    routes: Arc<Routes>,
    scope: BinlogScope,
    /// `None` while a fetch has it.
    source: Option<Source>,
    queue: VecDeque<Queued>,
    window: Window,
    fetching: Option<Fetching>,
    filling: FuturesUnordered<Running<Result<Prepared>>>,
    committing: FuturesUnordered<Running<Result<()>>>,
    acting: Option<Acting>,
    /// Everything up to here is done.
    pub done_to: i64,
    /// The upstream time of the last change done, in milliseconds; 0 before the first.
    pub done_at_ms: i64,
    /// Everything up to here has been fetched.
    pub fetched_to: i64,
    /// Everything up to here was in the list when it was last found empty.
    pub verified_to: i64,
    /// What `verified_to` becomes if the fetch under way finds nothing.
    verifying_to: i64,
    /// The last change of each table apart that was passed over.
    pub passed: HashMap<i64, i64>,
    /// The same of those that the table's own list holds too.
    pub told: HashMap<i64, i64>,
    /// Empty answers in a row.
    pub empty_answers: u32,
    idle: Duration,
    earlier: Arc<EarlierCommits>,
    /// No more is fetched: the upstream said that there is a gap.
    at_gap: bool,
    caught_up: bool,
    /// Why the list cannot be read any more.
    unreadable: Option<Error>,
    /// Since when a change that touches everything has waited for others, in milliseconds.
    held_up_since_ms: Option<i64>,
    /// What a test has put in the way; the change it hit is fetched again.
    injected: Option<Error>,
    /// What its transactions know of each other, where a table that keeps failing can leave.
    peers: Option<Arc<Peers>>,
}

impl Track {
    pub fn new(
        id: TrackId,
        manner: Manner,
        shell: Arc<Shell>,
        routes: Arc<Routes>,
        scope: BinlogScope,
        from: i64,
        earlier: EarlierCommits,
    ) -> Self {
        let is_database = shell.ctx.record.spec.sync_type() == SyncType::Database;
        let can_isolate = id == TrackId::Main && is_database;
        let peers = can_isolate.then(|| Arc::new(Peers::new(manner == Manner::TableOrder)));
        let checked_at_ms = match shell.ctx.record.spec.sync_type() {
            // Its tables are listed when it begins.
            SyncType::Database => shell.now_ms(),
            SyncType::Table => 0,
        };
        Self {
            id,
            // What a slow table applies is what the main track would have: the label must be the same, for the
            // main track may have begun it, and there is nothing to settle when the table leaves or joins.
            labels: if manner == Manner::Trailing { TrackId::Main } else { id },
            manner,
            by_table: manner == Manner::TableOrder,
            shell,
            routes,
            source: Some(Source::new(scope.clone(), checked_at_ms)),
            scope,
            queue: VecDeque::new(),
            window: Window::default(),
            fetching: None,
            filling: FuturesUnordered::new(),
            committing: FuturesUnordered::new(),
            acting: None,
            done_to: from,
            done_at_ms: 0,
            fetched_to: from,
            verified_to: 0,
            verifying_to: 0,
            passed: HashMap::new(),
            told: HashMap::new(),
            empty_answers: 0,
            idle: Duration::ZERO,
            earlier: Arc::new(earlier),
            at_gap: false,
            caught_up: false,
            unreadable: None,
            held_up_since_ms: None,
            injected: None,
            peers,
        }
    }

    /// Forgets everything that is not done, to be fetched and planned again.
    pub fn rewind(&mut self) {
        if let Some(since_ms) = self.certain_at_ms() {
            self.earlier.reopen(since_ms, self.fetched_to, !self.by_table);
        }
        self.queue.clear();
        self.withdraw();
        self.window.entries.clear();
        self.filling.clear();
        self.committing.clear();
        // Its effect is looked for when it is planned again.
        self.acting = None;
        self.fetched_to = self.done_to;
        self.at_gap = false;
        self.unreadable = None;
        self.caught_up = false;
        self.fetching = None;
        self.source = Some(Source::new(self.scope.clone(), self.shell.now_ms()));
    }

    /// Nothing of it is under way any more, as far as the others are told.
    fn withdraw(&self) {
        for entry in &self.window.entries {
            self.peers.iter().for_each(|peers| peers.done(entry.done.commit_seq));
        }
    }

    /// Lets its transactions and those of another track tell each other how they fare.
    pub fn tells(&mut self, other: &Track) {
        self.peers.clone_from(&other.peers);
    }

    /// Goes on behind this commit seq: what is before it is gone, or not this track's any more.
    pub fn jump_to(&mut self, commit_seq: i64) {
        self.rewind();
        self.done_to = self.done_to.max(commit_seq);
        self.fetched_to = self.done_to;
        self.earlier.done_to(self.done_to);
    }

    /// Runs a statement that was at the barrier; its end is [`TrackEvent::Acted`].
    pub fn act(&mut self, change: Box<Change>, statement: BoxFuture<'static, Result<LinkEffect>>) {
        self.acting = Some((change, self.shell.now_ms(), statement));
    }

    /// A change that was at the barrier is settled.
    pub fn passed_barrier(&mut self, commit_seq: i64, timestamp_ms: i64) {
        self.finish(commit_seq, timestamp_ms, true);
    }

    /// No commit of what is not done was tried before this moment; `None` when none was tried at all.
    pub fn certain_at_ms(&self) -> Option<i64> {
        self.window.untried_since_ms().into_iter().chain(self.earlier.since_ms()).min()
    }

    /// Since when an earlier task may have committed what is not done.
    pub fn earlier_since_ms(&self) -> Option<i64> {
        self.earlier.since_ms()
    }

    /// Whether a statement is under way.
    pub fn is_acting(&self) -> bool {
        self.acting.is_some()
    }

    fn acting_on(&self) -> Option<i64> {
        self.acting.as_ref().map(|(change, ..)| change.commit_seq)
    }

    /// Binlogs fetched and not yet done.
    pub fn buffered(&self) -> usize {
        self.queue.len() + self.window.entries.len()
    }

    /// Transactions and statements under way.
    pub fn in_flight(&self) -> usize {
        self.window.in_flight(|_| false).0 + usize::from(self.acting.is_some())
    }

    /// The next event. `main_fetched_to` is how far the job's own list has been read.
    pub async fn next(&mut self, state: &JobState, main_fetched_to: i64) -> TrackEvent {
        loop {
            if !self.by_table && self.acting.is_some() {
                let result = or_pending_statement(&mut self.acting).await;
                if let Some((change, began_ms, _)) = self.acting.take() {
                    return TrackEvent::Acted { change, began_ms, result };
                }
            }
            self.plan_ahead(state);
            if let Some(error) = self.injected.take() {
                return TrackEvent::Injected(error);
            }
            if let Some(event) = self.bring_forward(state) {
                return event;
            }
            self.note_hold_up();
            if let Some(table) = self.holding_up(state) {
                return TrackEvent::HoldingUp(table);
            }
            if self.window.entries.is_empty()
                && self.queue.is_empty()
                && let Some(error) = self.unreadable.take()
            {
                return TrackEvent::SourceFailed(error);
            }
            if self.window.entries.is_empty() && self.caught_up && self.queue.is_empty() {
                self.caught_up = false;
                return TrackEvent::CaughtUp;
            }
            if self.fetching.is_none()
                && self.wants_more()
                && let Some(source) = self.source.take()
            {
                self.verifying_to = main_fetched_to;
                let is_quiet = self.queue.is_empty() && self.window.entries.is_empty();
                let fetch = source.fetch(Arc::clone(&self.shell), self.fetched_to, self.idle, is_quiet);
                self.fetching = Some(Box::pin(fetch));
            }
            // The oldest work first, and in the same order every time.
            tokio::select! {
                biased;
                Some((commit_seq, result)) = self.committing.next(), if !self.committing.is_empty() => {
                    if let Some(event) = self.take_committed(commit_seq, result) {
                        return event;
                    }
                }
                result = or_pending_statement(&mut self.acting), if self.acting.is_some() => {
                    if let Some((change, began_ms, _)) = self.acting.take() {
                        return TrackEvent::Acted { change, began_ms, result };
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
                        Err(error) if self.manner == Manner::Trailing => {
                            // What is under way has labels of the main track; it comes to its end first.
                            self.at_gap = true;
                            self.unreadable = Some(error);
                        }
                        Err(error) => return TrackEvent::SourceFailed(error),
                    }
                }
                () = self.shell.ctx.clock.sleep(PATIENCE), if self.held_up_since_ms.is_some() => {}
            }
        }
    }

    /// Starts commits, and reports what is skipped, has failed or is to be decided, where nothing before it holds
    /// it back.
    fn bring_forward(&mut self, state: &JobState) -> Option<TrackEvent> {
        loop {
            let (at, step) = self.window.next_step(|commit_seq| self.may_act(state, commit_seq))?;
            let work = std::mem::replace(&mut self.window.entries[at].work, Work::Decided);
            match (step, work) {
                (Step::Skip, _) => {
                    let done = &self.window.entries[at].done;
                    let (commit_seq, timestamp_ms) = (done.commit_seq, done.timestamp_ms);
                    return self.finish(commit_seq, timestamp_ms, false).map(TrackEvent::Done);
                }
                (_, Work::Filled(txn, prepared)) => {
                    let future = transaction::commit(
                        Arc::clone(&self.shell),
                        Arc::clone(&self.routes),
                        Arc::clone(&txn),
                        prepared,
                        !self.window.is_followed_by_transaction(at),
                    );
                    let running = Running { commit_seq: txn.commit_seq, future: Box::pin(future) };
                    self.committing.push(running);
                    self.window.entries[at].work = Work::Committing(txn);
                }
                (_, Work::Failed(txn, error)) => {
                    return Some(failed(&self.window.entries[at].done, &txn, error));
                }
                (_, Work::Barrier(barrier)) => return Some(TrackEvent::Barrier(*barrier)),
                // Nothing else can be brought forward.
                (_, work) => {
                    self.window.entries[at].work = work;
                    return None;
                }
            }
        }
    }

    /// A change is done.
    fn finish(&mut self, commit_seq: i64, timestamp_ms: i64, is_applied: bool) -> Option<Done> {
        let entry = self.window.finish(commit_seq, timestamp_ms, is_applied);
        self.advance();
        entry.map(|entry| entry.done)
    }

    /// Moves the watermark over what is done.
    pub fn advance(&mut self) {
        let next_queued = self.queue.front().map(|queued| queued.commit_seq(self.fetched_to));
        let limit = next_queued.unwrap_or(i64::MAX).min(self.fetched_to.saturating_add(1));
        while let Some((commit_seq, timestamp_ms)) = self.window.next_done(limit) {
            (self.done_to, self.done_at_ms) = (self.done_to.max(commit_seq), timestamp_ms);
        }
        self.earlier.done_to(self.done_to);
    }

    fn take_committed(&mut self, commit_seq: i64, result: Result<()>) -> Option<TrackEvent> {
        let at = self.window.find(commit_seq)?;
        let entry = &mut self.window.entries[at];
        let timestamp_ms = entry.done.timestamp_ms;
        match (result, std::mem::replace(&mut entry.work, Work::Decided)) {
            (Ok(()), _) => self.finish(commit_seq, timestamp_ms, true).map(TrackEvent::Done),
            (Err(error), Work::Committing(txn)) => Some(failed(&entry.done, &txn, error)),
            (Err(_), work) => {
                entry.work = work;
                None
            }
        }
    }

    fn take_filled(&mut self, commit_seq: i64, result: Result<Prepared>) {
        let Some(at) = self.window.find(commit_seq) else { return };
        let entry = &mut self.window.entries[at];
        if let Work::Filling(txn) = &entry.work {
            let txn = Arc::clone(txn);
            entry.work = match result {
                Ok(prepared) => Work::Filled(txn, prepared),
                Err(error) => Work::Failed(txn, error),
            };
        }
    }

    fn take_fetched(&mut self, fetched: Fetched) {
        let options = &self.shell.ctx.options;
        match fetched {
            Fetched::Page(BinlogPage::Entries(entries)) => {
                self.empty_answers = 0;
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
                        Ok(change) => Queued::Change(Arc::new(change)),
                        Err(error) => {
                            Queued::Unreadable { commit_seq, timestamp_ms, binlog_type, tables, error }
                        }
                    });
                }
            }
            Fetched::Page(BinlogPage::CaughtUp | BinlogPage::NotFound | BinlogPage::Disabled) => {
                self.idle = (self.idle * 2).clamp(options.poll_min, options.poll_max);
                self.verified_to = self.verifying_to;
                self.empty_answers += 1;
                if self.queue.is_empty() && self.window.entries.is_empty() {
                    // Nothing is beyond the position that anybody could have committed.
                    self.earlier.settle();
                }
                self.caught_up = self.id != TrackId::Main;
            }
            Fetched::Page(BinlogPage::TooOld { expired_to }) => {
                let reason = FullSyncReason::BinlogExpired {
                    position: self.fetched_to,
                    expired_to,
                    why: String::new(),
                };
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

impl Drop for Track {
    fn drop(&mut self) {
        self.withdraw();
    }
}

fn failed(done: &Done, txn: &Transaction, error: Error) -> TrackEvent {
    let tables = txn.ingest.tables.iter().map(|table| table.source_id);
    // The others go on without it.
    let tables = tables.filter(|id| error.table.is_none_or(|table| table == *id)).collect();
    TrackEvent::Failed {
        commit_seq: done.commit_seq,
        timestamp_ms: done.timestamp_ms,
        binlog_type: done.binlog_type,
        tables,
        unlinked: txn.ingest.unlinked.clone(),
        label: txn.ingest.label.clone(),
        untried_since_ms: txn.untried.since_ms(),
        error,
    }
}

/// The future in the option, or one that never ends.
pub(super) async fn or_pending<F: Future + Unpin>(future: &mut Option<F>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

/// The end of the statement under way; never, when there is none.
async fn or_pending_statement(acting: &mut Option<Acting>) -> Result<LinkEffect> {
    match acting {
        Some((_, _, statement)) => statement.await,
        None => std::future::pending().await,
    }
}
