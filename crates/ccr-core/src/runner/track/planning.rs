//! Planning: what of the list goes into the window, and what becomes of it there.

use std::sync::Arc;

use doris_types::record::Record;

use super::running::Running;
use super::window::{Entry, Touch, Work};
use super::{Barrier, Done, Manner, PassedOver, Queued, Track, WINDOW_LIMIT};
use crate::change::Change;
use crate::effect::transaction::{self, Transaction};
use crate::error::{Error, Origin, Result};
use crate::failpoint::Moment;
use crate::job::{JobState, Phase};
use crate::plan::{self, Plan, SkipReason, TrackId, View};
use crate::runner::doubt::Untried;

impl Track {
    /// Plans fetched changes until the window is full or something must wait for all before it.
    pub(super) fn plan_ahead(&mut self, state: &JobState) {
        let most = self.shell.ctx.options.max_transactions_in_flight;
        while self.injected.is_none() {
            if self.by_table {
                let next = self.window.next_to_plan(|entry| self.may_plan(state, entry));
                if let Some(at) = next {
                    self.plan_entry(state, at);
                    continue;
                }
            }
            let is_full = self.window.entries.len() >= WINDOW_LIMIT || self.window.ahead() >= WINDOW_LIMIT;
            if is_full && !self.seeks_doubt(state) || self.in_flight() >= most {
                return;
            }
            let can_join = |queued: &Queued| self.id != TrackId::Main || !joins(state, queued);
            let is_next = |queued: &Queued| self.by_table || !self.window.is_barred() && can_join(queued);
            if !self.queue.front().is_some_and(is_next) {
                return;
            }
            let Some(queued) = self.queue.pop_front() else { return };
            self.window.entries.push_back(Entry {
                done: Done {
                    commit_seq: queued.commit_seq(self.fetched_to),
                    timestamp_ms: queued.timestamp_ms(),
                    binlog_type: queued.type_name(),
                    planned_at_ms: self.shell.now_ms(),
                    skipped: None,
                    passed_over: None,
                },
                touch: if self.by_table { Touch::of(&queued) } else { Touch::Everything },
                work: Work::Waiting,
                untried: Untried::never(),
                origin: Some(queued),
            });
            if !self.by_table {
                self.plan_entry(state, self.window.entries.len() - 1);
            }
        }
    }

    /// Whether a statement that may have been sent before, and for which others wait, is still to come. It is no
    /// further away than the limits of the window allowed.
    fn seeks_doubt(&self, state: &JobState) -> bool {
        let last = self.window.entries.back().map_or(self.done_to, |entry| entry.done.commit_seq);
        self.by_table && self.doubt(state).is_some_and(|seq| seq > last && !self.is_settled(seq))
    }

    /// Whether there is room for a change in table order. A table takes no more than what it leaves to the others, so
    /// that one that does not come forward is overtaken; and a transaction that it shares with a table apart waits for
    /// that one.
    fn may_plan(&self, state: &JobState, entry: &Entry) -> bool {
        let Some(queued) = &entry.origin else { return false };
        let most = self.shell.ctx.options.max_transactions_in_flight;
        let shares = |touch: &Touch| match (touch, &entry.touch) {
            (Touch::Tables(of), Touch::Tables(tables)) => of.iter().any(|table| tables.contains(table)),
            (Touch::Everything, _) | (_, Touch::Everything) => true,
        };
        let (all, own) = self.window.in_flight(shares);
        all < most && own < most - all && !joins(state, queued)
    }

    /// Plans what waits at this place of the window.
    fn plan_entry(&mut self, state: &JobState, at: usize) {
        let Some(queued) = self.window.entries[at].origin.clone() else { return };
        let passed_over = queued.passed_over();
        let (work, skipped) = match queued {
            Queued::Change(change) => match self.plan_change(state, &change) {
                Ok(planned) => planned,
                Err(error) => {
                    self.injected = Some(error);
                    return;
                }
            },
            Queued::Gap(reason) => (Work::Barrier(Box::new(Barrier::FullSync(reason))), None),
            Queued::Unreadable { commit_seq, .. } if state.skips.contains(&commit_seq) => {
                (Work::Skip, Some(SkipReason::Requested))
            }
            Queued::Unreadable { commit_seq, timestamp_ms, binlog_type, tables, error } => {
                let change = None;
                let block = Barrier::Block { commit_seq, timestamp_ms, binlog_type, tables, change, error };
                (Work::Barrier(Box::new(block)), None)
            }
        };
        let entry = &mut self.window.entries[at];
        entry.untried = work.txn().map_or_else(Untried::never, |txn| Arc::clone(&txn.untried));
        (entry.work, entry.done.skipped) = (work, skipped);
        entry.done.passed_over = passed_over.filter(|_| skipped == Some(SkipReason::Requested));
        entry.done.planned_at_ms = self.shell.now_ms();
        if !self.by_table {
            entry.origin = None;
        }
    }

    fn plan_change(&mut self, state: &JobState, change: &Arc<Change>) -> Result<(Work, Option<SkipReason>)> {
        let commit_seq = change.commit_seq;
        self.shell.at_binlog(change.record.binlog_type().name(), Moment::Before)?;
        if self.id == TrackId::Main {
            for id in change.table_ids.iter().filter(|id| state.apart(**id).is_some()) {
                let passed = self.passed.entry(*id).or_default();
                *passed = commit_seq.max(*passed);
                // Lists of tables hold everything else.
                if !matches!(change.record, Record::CreateTable(_) | Record::DropTable(_)) {
                    let told = self.told.entry(*id).or_default();
                    *told = commit_seq.max(*told);
                }
            }
        }
        if self.window.is_done(commit_seq) {
            return Ok((Work::Skip, Some(SkipReason::AlreadyApplied)));
        }
        if self.manner == Manner::Trailing && is_shared(change) && !state.skips.contains(&commit_seq) {
            return Ok((Work::Barrier(Box::new(Barrier::Shared { commit_seq })), None));
        }
        let view = View {
            spec: &self.shell.ctx.record.spec,
            tables: &state.tables,
            views: &state.views,
            skips: &state.skips,
            commit_seq: self.done_to,
            track: self.id,
        };
        let owned = || Box::new(Change::clone(change));
        let barrier = match plan::plan(change, view) {
            Plan::Skip(reason) => return Ok((Work::Skip, Some(reason))),
            Plan::Ingest(ingest) => {
                let earlier = self.earlier.of(commit_seq);
                let txn = Arc::new(Transaction {
                    track: self.labels,
                    commit_seq,
                    ingest,
                    untried: Untried::since(
                        earlier.since_ms_of(commit_seq).unwrap_or_else(|| self.shell.now_ms()),
                    ),
                    earlier,
                    choice: Arc::default(),
                    peers: self.peers.clone(),
                });
                let prepare =
                    transaction::prepare(Arc::clone(&self.shell), Arc::clone(&self.routes), Arc::clone(&txn));
                self.filling.push(Running { commit_seq, future: Box::pin(prepare) });
                return Ok((Work::Filling(txn), None));
            }
            Plan::Statement(statement) => Barrier::Statement(owned(), statement),
            Plan::PartialSync { source_ids, reason } => {
                Barrier::PartialSync { change: owned(), source_ids, reason }
            }
            Plan::AdoptTable { source_id, name, reason, in_place_of } => {
                Barrier::AdoptTable { change: owned(), source_id, name, reason, in_place_of }
            }
            Plan::FullSync(reason) => Barrier::FullSync(reason),
            Plan::Block(block) => Barrier::Block {
                commit_seq,
                timestamp_ms: change.timestamp_ms,
                binlog_type: change.record.binlog_type().to_string(),
                tables: block.tables,
                change: Some(owned()),
                error: Error::blocked(Origin::Internal, block.code, block.message, block.hint),
            },
        };
        Ok((Work::Barrier(Box::new(barrier)), None))
    }

    /// Whether a statement can be sent: one at a time, and none before one that may have been sent before.
    pub(super) fn may_act(&self, state: &JobState, commit_seq: i64) -> bool {
        let can_follow = |doubt: i64| doubt == commit_seq || self.is_settled(doubt);
        self.acting.is_none() && (!self.by_table || self.doubt(state).is_none_or(can_follow))
    }

    /// The statement of the main track that may have been sent before.
    fn doubt(&self, state: &JobState) -> Option<i64> {
        match (&state.phase, self.id) {
            (Phase::Incremental(incremental), TrackId::Main) => incremental.statement_in_doubt,
            (Phase::Incremental(_) | Phase::FullSync(_), TrackId::Main | TrackId::Table(_)) => None,
        }
    }

    fn is_settled(&self, commit_seq: i64) -> bool {
        commit_seq <= self.done_to || self.window.is_done(commit_seq)
    }
}

impl Queued {
    /// Its place in the list; a gap comes after what was fetched.
    pub(super) fn commit_seq(&self, fetched_to: i64) -> i64 {
        match self {
            Queued::Change(change) => change.commit_seq,
            Queued::Unreadable { commit_seq, .. } => *commit_seq,
            Queued::Gap(_) => fetched_to.saturating_add(1),
        }
    }

    /// What it would do to tables.
    fn passed_over(&self) -> Option<PassedOver> {
        Some(match self {
            Queued::Gap(_) => return None,
            Queued::Unreadable { tables, .. } => PassedOver::Change { tables: tables.clone() },
            Queued::Change(change) => match &change.record {
                Record::CreateTable(record) => PassedOver::Creation { source_id: record.table_id },
                Record::DropTable(record) => PassedOver::Drop { source_id: record.table_id },
                record => {
                    let mut tables = record.table_ids();
                    tables.extend(&change.table_ids);
                    PassedOver::Change { tables }
                }
            },
        })
    }

    fn timestamp_ms(&self) -> i64 {
        match self {
            Queued::Change(change) => change.timestamp_ms,
            Queued::Unreadable { timestamp_ms, .. } => *timestamp_ms,
            Queued::Gap(_) => 0,
        }
    }

    fn type_name(&self) -> &'static str {
        match self {
            Queued::Change(change) => change.record.binlog_type().name(),
            Queued::Unreadable { .. } => "UNREADABLE",
            Queued::Gap(_) => "GAP",
        }
    }
}

/// Whether a transaction wrote to several tables upstream.
fn is_shared(change: &Change) -> bool {
    matches!(&change.record, Record::Upsert(record) if record.table_records.len() > 1)
}

/// Whether a change is a transaction that has to wait for a slow table to be back: it is applied as one.
fn joins(state: &JobState, queued: &Queued) -> bool {
    let Queued::Change(change) = queued else { return false };
    let Record::Upsert(record) = &change.record else { return false };
    let commit_seq = change.commit_seq;
    let is_behind =
        |id: &i64| state.apart(*id).is_some_and(|apart| apart.is_trailing() && apart.cursor < commit_seq);
    record.table_records.len() > 1
        && !state.skips.contains(&commit_seq)
        && record.table_records.keys().any(is_behind)
}
