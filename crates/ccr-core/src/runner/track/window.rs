//! What is under way on a track, in upstream order, and what each of it waits for.
//!
//! Every change touches something: some tables, or everything. Two changes that touch the same are done in
//! upstream order; which others overtake each other does not matter to the target. In source order every
//! change counts as touching everything, so that there is one order only.
//!
//! Done changes leave the window. Up to the first that is not done, everything is done: that is the watermark.
//! Those done beyond it are remembered, for they must not be done again when the window is read anew.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;

use doris_types::record::Record;

use super::{Barrier, Done, Queued};
use crate::change::Change;
use crate::effect::transaction::{Prepared, Transaction};
use crate::error::Error;
use crate::runner::doubt::Untried;

/// What a change touches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Touch {
    Everything,
    Tables(Vec<i64>),
}

/// How far a change is.
pub(super) enum Work {
    /// Not planned yet.
    Waiting,
    Skip,
    Filling(Arc<Transaction>),
    Filled(Arc<Transaction>, Prepared),
    Committing(Arc<Transaction>),
    Failed(Arc<Transaction>, Error),
    Barrier(Box<Barrier>),
    /// The owner of the track decides about it, or its statement is under way.
    Decided,
}

/// A change in the window.
pub(super) struct Entry {
    pub done: Done,
    pub touch: Touch,
    pub work: Work,
    /// Since when a commit of it may have been tried.
    pub untried: Arc<Untried>,
    /// Kept in table order, where what is planned may have to be planned again.
    pub origin: Option<Queued>,
}

/// What can be done with an entry now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Skip,
    Commit,
    Fail,
    Surface,
}

#[derive(Default)]
pub(super) struct Window {
    pub entries: VecDeque<Entry>,
    /// Done beyond the watermark, by commit seq.
    ahead: BTreeMap<i64, Ahead>,
    applied_ahead: usize,
}

/// A change that is done although one before it is not.
#[derive(Debug, Clone, Copy)]
struct Ahead {
    timestamp_ms: i64,
    is_applied: bool,
    /// No commit of it was tried before this moment.
    untried_since_ms: i64,
}

/// What a part of the window touches.
#[derive(Default)]
struct Touched {
    everything: bool,
    anything: bool,
    tables: HashSet<i64>,
}

impl Touch {
    /// What a change touches in table order. Names, views and what may concern the job as a whole are settled
    /// in the order of the job's list.
    pub fn of(queued: &Queued) -> Self {
        match queued {
            Queued::Gap(_) => Touch::Everything,
            Queued::Unreadable { tables, .. } => Self::tables(tables.clone()),
            Queued::Change(change) => Self::of_change(change),
        }
    }

    fn of_change(change: &Change) -> Self {
        match &change.record {
            Record::AlterDatabaseProperty(_) => Touch::Tables(Vec::new()),
            Record::CreateTable(_)
            | Record::DropTable(_)
            | Record::RenameTable(_)
            | Record::ReplaceTable(_)
            | Record::ModifyViewDef(_)
            | Record::RecoverInfo(_)
            | Record::Dummy => Touch::Everything,
            Record::Upsert(_)
            | Record::AddPartition(_)
            | Record::DropPartition(_)
            | Record::AlterJob(_)
            | Record::ModifyColumns(_)
            | Record::ModifyTableProperty(_)
            | Record::ModifyPartitions(_)
            | Record::ReplacePartitions(_)
            | Record::TruncateTable(_)
            | Record::RenameColumn(_)
            | Record::ModifyComment(_)
            | Record::ModifyInvertedIndices(_)
            | Record::IndexChangeJob(_)
            | Record::RenameRollup(_)
            | Record::RenamePartition(_)
            | Record::DropRollup(_)
            | Record::ModifyDistributionBucketNum(_)
            | Record::ModifyDistributionType(_)
            | Record::Barrier(_)
            | Record::Unknown { .. } => {
                let mut tables = change.record.table_ids();
                tables.extend(&change.table_ids);
                Self::tables(tables)
            }
        }
    }

    fn tables(mut tables: Vec<i64>) -> Self {
        tables.sort_unstable();
        tables.dedup();
        if tables.is_empty() { Touch::Everything } else { Touch::Tables(tables) }
    }

    /// The only table it touches.
    pub fn only(&self) -> Option<i64> {
        match self {
            Touch::Tables(tables) => match tables.as_slice() {
                [table] => Some(*table),
                _ => None,
            },
            Touch::Everything => None,
        }
    }

    pub fn includes(&self, table: i64) -> bool {
        match self {
            Touch::Everything => true,
            Touch::Tables(tables) => tables.contains(&table),
        }
    }
}

impl Touched {
    fn add(&mut self, touch: &Touch) {
        match touch {
            Touch::Everything => (self.everything, self.anything) = (true, true),
            Touch::Tables(tables) => {
                self.anything |= !tables.is_empty();
                self.tables.extend(tables);
            }
        }
    }

    fn meets(&self, touch: &Touch) -> bool {
        match touch {
            Touch::Everything => self.anything,
            Touch::Tables(tables) => {
                self.everything && !tables.is_empty()
                    || tables.iter().any(|table| self.tables.contains(table))
            }
        }
    }
}

impl Work {
    /// The transaction that it is.
    pub fn txn(&self) -> Option<&Arc<Transaction>> {
        match self {
            Work::Filling(txn) | Work::Filled(txn, _) | Work::Committing(txn) | Work::Failed(txn, _) => {
                Some(txn)
            }
            Work::Waiting | Work::Skip | Work::Barrier(_) | Work::Decided => None,
        }
    }

    /// Whether what follows it cannot be planned before it is done.
    fn may_change_plans(&self) -> bool {
        match self {
            Work::Waiting | Work::Barrier(_) | Work::Decided => true,
            Work::Skip | Work::Filling(_) | Work::Filled(..) | Work::Committing(_) | Work::Failed(..) => {
                false
            }
        }
    }
}

impl Window {
    /// The first entry that can be brought forward. Statements can where `may_surface` says so for their
    /// commit seq.
    pub fn next_step(&self, may_surface: impl Fn(i64) -> bool) -> Option<(usize, Step)> {
        let mut busy = Touched::default();
        for (at, entry) in self.entries.iter().enumerate() {
            if !busy.meets(&entry.touch) {
                match &entry.work {
                    Work::Skip => return Some((at, Step::Skip)),
                    Work::Filled(..) => return Some((at, Step::Commit)),
                    Work::Failed(..) => return Some((at, Step::Fail)),
                    Work::Barrier(barrier)
                        if !matches!(**barrier, Barrier::Statement(..))
                            || may_surface(entry.done.commit_seq) =>
                    {
                        return Some((at, Step::Surface));
                    }
                    Work::Barrier(_)
                    | Work::Waiting
                    | Work::Filling(_)
                    | Work::Committing(_)
                    | Work::Decided => {}
                }
            }
            busy.add(&entry.touch);
            if busy.everything {
                break;
            }
        }
        None
    }

    /// The first entry that can be planned.
    pub fn next_to_plan(&self, may_plan: impl Fn(&Entry) -> bool) -> Option<usize> {
        let mut unknown = Touched::default();
        for (at, entry) in self.entries.iter().enumerate() {
            if matches!(entry.work, Work::Waiting) && !unknown.meets(&entry.touch) && may_plan(entry) {
                return Some(at);
            }
            if entry.work.may_change_plans() {
                unknown.add(&entry.touch);
            }
            if unknown.everything {
                break;
            }
        }
        None
    }

    /// Whether something stands in the window that must be done before anything is planned behind it.
    pub fn is_barred(&self) -> bool {
        self.entries.back().is_some_and(|entry| entry.work.may_change_plans())
    }

    pub fn find(&self, commit_seq: i64) -> Option<usize> {
        self.entries.binary_search_by_key(&commit_seq, |entry| entry.done.commit_seq).ok()
    }

    /// Transactions in the window, and among them those of each table in `of`.
    pub fn in_flight(&self, of: impl Fn(&Touch) -> bool) -> (usize, usize) {
        let flying = self.entries.iter().filter(|entry| entry.work.txn().is_some());
        let (mut all, mut some) = (0, 0);
        for entry in flying {
            all += 1;
            some += usize::from(of(&entry.touch));
        }
        (all, some)
    }

    /// Whether the next change behind an entry, of those that do something, is a transaction that will be committed.
    pub fn is_followed_by_transaction(&self, at: usize) -> bool {
        let mut behind = self.entries.iter().skip(at + 1).filter(|entry| !matches!(entry.work, Work::Skip));
        behind.next().is_some_and(|entry| entry.work.txn().is_some())
    }

    /// An entry is done.
    pub fn finish(&mut self, commit_seq: i64, timestamp_ms: i64, is_applied: bool) -> Option<Entry> {
        let entry = self.find(commit_seq).and_then(|at| self.entries.remove(at));
        let untried_since_ms = entry.as_ref().map_or(i64::MAX, |entry| entry.untried.since_ms());
        self.ahead.entry(commit_seq).or_insert_with(|| {
            self.applied_ahead += usize::from(is_applied);
            Ahead { timestamp_ms, is_applied, untried_since_ms }
        });
        entry
    }

    /// Somebody else does what was an entry of this window.
    pub fn pass(&mut self, entry: &Entry) {
        let (timestamp_ms, untried_since_ms) = (entry.done.timestamp_ms, entry.untried.since_ms());
        let ahead = Ahead { timestamp_ms, is_applied: false, untried_since_ms };
        self.ahead.insert(entry.done.commit_seq, ahead);
    }

    pub fn is_done(&self, commit_seq: i64) -> bool {
        self.ahead.contains_key(&commit_seq)
    }

    /// The next change up to which everything is done, with its upstream time. `limit` is the first that is
    /// known and not in the window.
    pub fn next_done(&mut self, limit: i64) -> Option<(i64, i64)> {
        let first = self.entries.front().map_or(limit, |entry| entry.done.commit_seq.min(limit));
        let (commit_seq, done) =
            self.ahead.first_key_value().map(|(seq, done)| (*seq, *done)).filter(|(seq, _)| *seq < first)?;
        self.ahead.remove(&commit_seq);
        self.applied_ahead -= usize::from(done.is_applied);
        Some((commit_seq, done.timestamp_ms))
    }

    /// No commit of what is under way, or done beyond the watermark, was tried before this moment.
    pub fn untried_since_ms(&self) -> Option<i64> {
        let ahead = self.ahead.values().map(|done| done.untried_since_ms);
        let known = self.entries.iter().map(|entry| entry.untried.since_ms()).chain(ahead);
        known.min().filter(|since_ms| *since_ms < i64::MAX)
    }

    /// Whether a change that touches everything waits for others.
    pub fn is_held_up(&self) -> bool {
        self.entries.iter().skip(1).any(|entry| entry.touch == Touch::Everything)
    }

    /// How many changes are remembered because they are done beyond the watermark.
    pub fn ahead(&self) -> usize {
        self.ahead.len()
    }

    /// How many transactions and statements have overtaken the first entry.
    pub fn overtakers(&self) -> usize {
        self.applied_ahead
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Ingest, TrackId};

    fn entry(commit_seq: i64, tables: &[i64], work: Work) -> Entry {
        let touch = if tables.is_empty() { Touch::Everything } else { Touch::Tables(tables.to_vec()) };
        let done = Done {
            commit_seq,
            timestamp_ms: commit_seq * 10,
            binlog_type: "UPSERT",
            planned_at_ms: 0,
            skipped: None,
            passed_over: None,
        };
        Entry { done, touch, work, untried: Untried::since(commit_seq + 100), origin: None }
    }

    fn txn(commit_seq: i64) -> Arc<Transaction> {
        let ingest = Ingest {
            tables: Vec::new(),
            unlinked: Vec::new(),
            only_looks: false,
            stids: Vec::new(),
            is_shared: false,
            label: None,
        };
        Arc::new(Transaction {
            track: TrackId::Main,
            commit_seq,
            ingest,
            untried: Untried::since(0),
            earlier: Arc::default(),
            choice: Arc::default(),
            peers: None,
        })
    }

    fn filling() -> Work {
        Work::Filling(txn(1))
    }

    fn filled() -> Work {
        Work::Filled(txn(1), Prepared::Nothing)
    }

    fn barrier() -> Work {
        Work::Barrier(Box::new(Barrier::Shared { commit_seq: 1 }))
    }

    /// A window of changes with what they touch; nothing stands for everything.
    fn window(entries: Vec<(&[i64], Work)>) -> Window {
        let entries = entries.into_iter().zip(1..).map(|((tables, work), seq)| entry(seq, tables, work));
        Window { entries: entries.collect(), ..Window::default() }
    }

    fn step(entries: Vec<(&[i64], Work)>) -> Option<(usize, Step)> {
        window(entries).next_step(|_| true)
    }

    #[test]
    fn what_touches_other_tables_overtakes_and_what_touches_the_same_waits() {
        assert_eq!(step(vec![(&[1], filling()), (&[2], filled())]), Some((1, Step::Commit)));
        assert_eq!(step(vec![(&[1], filling()), (&[1], filled())]), None);
        assert_eq!(
            step(vec![(&[1], filling()), (&[1], filled()), (&[2], Work::Skip)]),
            Some((2, Step::Skip))
        );
        assert_eq!(step(vec![(&[1], Work::Committing(txn(1))), (&[1], filled())]), None);
    }

    #[test]
    fn what_touches_two_tables_joins_them() {
        assert_eq!(step(vec![(&[1], filling()), (&[1, 2], filled()), (&[2], filled())]), None);
        let others = vec![(&[1][..], filling()), (&[1, 2], Work::Waiting), (&[3], filled())];
        assert_eq!(step(others), Some((2, Step::Commit)));
        assert_eq!(step(vec![(&[1, 2], filled()), (&[2], filled())]), Some((0, Step::Commit)));
    }

    #[test]
    fn what_touches_everything_waits_for_all_and_lets_nothing_pass() {
        assert_eq!(step(vec![(&[1], filling()), (&[], barrier()), (&[2], filled())]), None);
        assert_eq!(step(vec![(&[], barrier()), (&[2], filled())]), Some((0, Step::Surface)));
        assert!(window(vec![(&[1], filling()), (&[], Work::Waiting)]).is_held_up());
        assert!(!window(vec![(&[], Work::Waiting), (&[1], filling())]).is_held_up());
    }

    #[test]
    fn in_source_order_only_the_first_is_brought_forward() {
        assert_eq!(step(vec![(&[], filling()), (&[], filled())]), None);
        assert_eq!(step(vec![(&[], Work::Decided), (&[], Work::Skip)]), None);
        assert_eq!(step(vec![(&[], filled()), (&[], filled())]), Some((0, Step::Commit)));
    }

    #[test]
    fn transactions_are_planned_beside_each_other_but_not_past_a_statement_of_their_table() {
        let next = |entries| window(entries).next_to_plan(|_| true);
        assert_eq!(next(vec![(&[1][..], filling()), (&[1], Work::Waiting)]), Some(1));
        assert_eq!(next(vec![(&[1], barrier()), (&[1], Work::Waiting), (&[2], Work::Waiting)]), Some(2));
        assert_eq!(next(vec![(&[1], Work::Decided), (&[1, 2], Work::Waiting), (&[2], Work::Waiting)]), None);
        assert_eq!(next(vec![(&[], barrier()), (&[2], Work::Waiting)]), None);
        // One that may not be planned yet holds back what touches the same.
        let joins = window(vec![(&[1, 2], Work::Waiting), (&[2], Work::Waiting), (&[3], Work::Waiting)]);
        assert_eq!(joins.next_to_plan(|entry| entry.touch.only().is_some()), Some(2));
    }

    #[test]
    fn the_watermark_stops_at_the_first_that_is_not_done() {
        let mut window = window(vec![(&[1], filling()), (&[2], filled()), (&[3], Work::Skip)]);
        assert!(window.finish(3, 30, false).is_some());
        assert!(window.finish(2, 20, true).is_some());
        assert_eq!((window.next_done(100), window.ahead(), window.overtakers()), (None, 2, 1));
        assert!(window.is_done(2) && !window.is_done(1));
        // A commit that was tried long ago stays in doubt while the position is before it.
        assert_eq!(window.untried_since_ms(), Some(101));
        assert!(window.finish(1, 10, true).is_some());
        assert_eq!(window.untried_since_ms(), Some(101));
        assert_eq!(window.next_done(3), Some((1, 10)));
        assert_eq!(window.next_done(3), Some((2, 20)));
        assert_eq!(window.next_done(3), None, "what is still to be read again");
        assert_eq!((window.next_done(4), window.overtakers()), (Some((3, 30)), 0));
    }
}
