//! A table that is slower than the others takes what it has under way with it when it leaves the main track.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use futures::stream::FuturesUnordered;

use super::running::{self, Running};
use super::window::{Entry, Touch, Work};
use super::{PATIENCE, Track, WINDOW_LIMIT};
use crate::effect::transaction::Prepared;
use crate::error::Result;
use crate::job::JobState;
use crate::plan::TrackId;
use crate::runner::doubt::Untried;

/// What a table has under way, and takes to a track of its own.
pub(in crate::runner) struct TakenOut {
    /// Everything of the table at or below this commit seq is done.
    pub cursor: i64,
    /// The statement under way, which may or may not have taken effect.
    pub statement: Option<i64>,
    entries: VecDeque<Entry>,
    filling: Vec<Running<Result<Prepared>>>,
    committing: Vec<Running<Result<()>>>,
}

impl Track {
    /// Remembers since when a change that touches everything has been waiting.
    pub(super) fn note_hold_up(&mut self) {
        let is_held_up = self.by_table && self.window.is_held_up();
        self.held_up_since_ms =
            is_held_up.then(|| self.held_up_since_ms.unwrap_or_else(|| self.shell.now_ms()));
    }

    /// The table that holds up the others, if one does: so many changes have overtaken the first one that is not
    /// done, or one that touches everything has waited long for it, or there are so many of a table that nothing is
    /// read ahead any more.
    pub(super) fn holding_up(&self, state: &JobState) -> Option<i64> {
        if !self.by_table || self.id != TrackId::Main {
            return None;
        }
        let limit = self.shell.ctx.options.overtaken_limit;
        let entries = &self.window.entries;
        let overtaken = self.window.overtakers() >= limit
            || self.window.ahead() >= WINDOW_LIMIT
            || self.held_up_since_ms.is_some_and(|since_ms| {
                Duration::from_millis(self.shell.now_ms().abs_diff(since_ms)) >= PATIENCE
            });
        let slowest = if overtaken {
            entries.front().and_then(|entry| entry.touch.only())
        } else if entries.len() >= WINDOW_LIMIT {
            let mut waiting: HashMap<i64, usize> = HashMap::new();
            for table in entries.iter().filter_map(|entry| entry.touch.only()) {
                *waiting.entry(table).or_default() += 1;
            }
            waiting.into_iter().max_by_key(|(table, number)| (*number, *table)).map(|(table, _)| table)
        } else {
            None
        };
        slowest.filter(|table| self.can_leave(state, *table))
    }

    /// Whether a table flows, and what it has to do first is its own.
    fn can_leave(&self, state: &JobState, table: i64) -> bool {
        let flows = state.tables.get(&table).is_some_and(|link| link.lane.is_flowing());
        let first = self.window.entries.iter().find(|entry| entry.touch.includes(table));
        flows
            && first.is_some_and(|entry| {
                entry.touch.only() == Some(table)
                    && match &entry.work {
                        Work::Filling(_) | Work::Filled(..) | Work::Committing(_) | Work::Waiting => true,
                        Work::Decided => self.acting_on() == Some(entry.done.commit_seq),
                        Work::Skip | Work::Failed(..) | Work::Barrier(_) => false,
                    }
            })
    }

    /// Takes a table out of the window: what it has under way by itself, up to the first change that it shares
    /// with others or that is no transaction. The rest is planned again.
    pub fn take_out(&mut self, table: i64) -> TakenOut {
        let mut taken = TakenOut {
            cursor: self.done_to,
            statement: None,
            entries: VecDeque::new(),
            filling: Vec::new(),
            committing: Vec::new(),
        };
        let acting_on = self.acting_on();
        let mut is_first = true;
        let mut takes = true;
        let mut kept = VecDeque::new();
        let mut planned_again = Vec::new();
        let mut waiting = HashSet::new();
        for mut entry in std::mem::take(&mut self.window.entries) {
            let Touch::Tables(tables) = &entry.touch else {
                // What was planned of it counts on the table being in the stream.
                if matches!(entry.work, Work::Barrier(_)) {
                    entry.work = Work::Waiting;
                }
                kept.push_back(entry);
                continue;
            };
            if !tables.contains(&table) {
                // Behind a shared one that is planned again it would wait with what it has under way.
                if tables.iter().any(|other| waiting.contains(other)) && entry.work.txn().is_some() {
                    planned_again.push(entry.done.commit_seq);
                    waiting.extend(tables.iter().copied());
                    (entry.work, entry.untried) = (Work::Waiting, Untried::never());
                }
                kept.push_back(entry);
                continue;
            }
            let commit_seq = entry.done.commit_seq;
            if std::mem::take(&mut is_first) {
                taken.cursor = commit_seq - 1;
            }
            takes &= entry.touch.only() == Some(table)
                && matches!(entry.work, Work::Filling(_) | Work::Filled(..) | Work::Committing(_));
            if takes {
                self.window.pass(&entry);
                entry.touch = Touch::Everything;
                entry.origin = None;
                taken.entries.push_back(entry);
                continue;
            }
            if acting_on == Some(commit_seq) {
                taken.statement = Some(commit_seq);
                self.acting = None;
            }
            if entry.work.txn().is_some() {
                planned_again.push(commit_seq);
            }
            if let Touch::Tables(tables) = &entry.touch {
                waiting.extend(tables.iter().copied());
            }
            if !matches!(entry.work, Work::Skip) {
                (entry.work, entry.untried) = (Work::Waiting, Untried::never());
            }
            kept.push_back(entry);
        }
        self.window.entries = kept;
        let is_taken = |seq: i64| taken.entries.iter().any(|entry| entry.done.commit_seq == seq);
        let filling = running::take(&mut self.filling, is_taken);
        let committing = running::take(&mut self.committing, is_taken);
        // Those of what is planned again are dropped: none of them was being committed.
        drop(running::take(&mut self.filling, |seq| planned_again.contains(&seq)));
        TakenOut { filling, committing, ..taken }
    }

    /// Goes on with what a table has brought from the main track.
    pub fn go_on_with(&mut self, taken: TakenOut) {
        if let Some(last) = taken.entries.back() {
            self.fetched_to = last.done.commit_seq;
        }
        self.window.entries = taken.entries;
        self.filling = taken.filling.into_iter().collect::<FuturesUnordered<_>>();
        self.committing = taken.committing.into_iter().collect::<FuturesUnordered<_>>();
    }
}
