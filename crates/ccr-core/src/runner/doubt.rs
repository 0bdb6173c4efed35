//! How long ago a transaction may have been committed without this being recorded.
//!
//! A label proves a commit only for some hours. So for each transaction it is known since when no commit
//! of it can have been tried: for one planned by this task, since it was planned; for those that an
//! earlier task may have committed, since the position was last written. In source order commits are made one
//! after the other; so as soon as one transaction is proven not to be committed, none after it is. In table
//! order this says nothing about other tables, and the doubt lasts up to the newest commit seq that there was.
//!
//! A transaction of which something else than its label has proven that it is not committed is without a doubt from
//! that moment on: its label has not been forgotten by then, if it is committed later.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use parking_lot::Mutex;

/// What an earlier task of the job may have committed beyond the recorded position of a track.
#[derive(Debug, Default)]
pub(crate) struct EarlierCommits(Mutex<Option<Earlier>>);

#[derive(Debug, Clone, Copy)]
struct Earlier {
    /// None of them was tried before this moment.
    since_ms: i64,
    /// They were not made in upstream order, and none lies beyond this commit seq.
    unordered_to: Option<i64>,
    /// None was made of this commit seq, nor of one after it. Those before it are filled beside it, and may be.
    none_from: Option<i64>,
}

impl Earlier {
    fn new(since_ms: i64, unordered_to: Option<i64>) -> Self {
        Self { since_ms, unordered_to, none_from: None }
    }
}

/// No commit of a transaction took effect before this moment, in milliseconds.
#[derive(Debug)]
pub(crate) struct Untried(AtomicI64);

impl Untried {
    pub fn since(since_ms: i64) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(since_ms)))
    }

    /// Of what is no transaction, or is not planned yet.
    pub fn never() -> Arc<Self> {
        Self::since(i64::MAX)
    }

    pub fn since_ms(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    /// It was not committed at that moment.
    pub fn not_at(&self, at_ms: i64) {
        self.0.fetch_max(at_ms, Ordering::Relaxed);
    }
}

impl EarlierCommits {
    pub fn since(since_ms: i64) -> Self {
        Self(Mutex::new(Some(Earlier::new(since_ms, None))))
    }

    /// They were made in any order, up to a commit seq.
    pub fn unordered(since_ms: i64, to: i64) -> Self {
        Self(Mutex::new(Some(Earlier::new(since_ms, Some(to)))))
    }

    /// What of them concerns the transaction of a commit seq. It settles those after it, where there is an order.
    pub fn of(self: &Arc<Self>, commit_seq: i64) -> Arc<Self> {
        match *self.0.lock() {
            Some(Earlier { since_ms, unordered_to: Some(to), .. }) => {
                Arc::new(if commit_seq <= to { Self::since(since_ms) } else { Self::default() })
            }
            Some(Earlier { unordered_to: None, .. }) | None => Arc::clone(self),
        }
    }

    /// Nothing beyond the position is left.
    pub fn settle(&self) {
        *self.0.lock() = None;
    }

    /// The transaction of a commit seq was found not to be committed.
    pub fn settle_from(&self, commit_seq: i64) {
        if let Some(known) = &mut *self.0.lock() {
            known.none_from = Some(known.none_from.map_or(commit_seq, |from| from.min(commit_seq)));
        }
    }

    /// Everything up to here is done.
    pub fn done_to(&self, commit_seq: i64) {
        let mut known = self.0.lock();
        let is_over = |known: Earlier| {
            known.unordered_to.is_some_and(|to| to <= commit_seq)
                || known.none_from.is_some_and(|from| from <= commit_seq.saturating_add(1))
        };
        if known.is_some_and(is_over) {
            *known = None;
        }
    }

    /// The transactions of this task, up to `to`, become those of an earlier one: they are planned again.
    pub fn reopen(&self, since_ms: i64, to: i64, in_order: bool) {
        let mut known = self.0.lock();
        let before = known.and_then(|known| known.unordered_to);
        *known = Some(Earlier {
            since_ms: known.map_or(since_ms, |known| known.since_ms.min(since_ms)),
            unordered_to: if in_order && before.is_none() { None } else { before.max(Some(to)) },
            none_from: None,
        });
    }

    pub fn since_ms(&self) -> Option<i64> {
        self.0.lock().map(|known| known.since_ms)
    }

    /// The same for the transaction of a commit seq.
    pub fn since_ms_of(&self, commit_seq: i64) -> Option<i64> {
        let is_open = |known: &Earlier| known.none_from.is_none_or(|from| commit_seq < from);
        self.0.lock().filter(is_open).map(|known| known.since_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_source_order_one_that_is_not_committed_settles_those_after_it() {
        let earlier = Arc::new(EarlierCommits::since(5));
        earlier.of(7).settle_from(7);
        earlier.of(9).settle_from(9);
        let since = |commit_seq: i64| earlier.of(commit_seq).since_ms_of(commit_seq);
        assert_eq!((since(6), since(7), since(8)), (Some(5), None, None));
        earlier.done_to(5);
        assert_eq!(earlier.since_ms(), Some(5), "what is before it may be committed");
        earlier.done_to(6);
        assert_eq!(earlier.since_ms(), None);
    }

    #[test]
    fn without_an_order_each_is_in_doubt_up_to_the_last() {
        let earlier = Arc::new(EarlierCommits::unordered(5, 8));
        let seven = earlier.of(7);
        seven.settle_from(7);
        assert_eq!(seven.since_ms_of(7), None);
        assert_eq!((earlier.of(8).since_ms(), earlier.of(9).since_ms()), (Some(5), None));
        earlier.done_to(7);
        assert_eq!(earlier.since_ms(), Some(5));
        earlier.done_to(8);
        assert_eq!(earlier.since_ms(), None);
    }

    #[test]
    fn what_is_planned_again_is_in_doubt_again() {
        let earlier = Arc::new(EarlierCommits::unordered(5, 8));
        earlier.reopen(3, 20, true);
        assert_eq!((earlier.of(20).since_ms(), earlier.of(21).since_ms()), (Some(3), None));
        let ordered = Arc::new(EarlierCommits::default());
        ordered.reopen(3, 20, true);
        ordered.done_to(100);
        assert_eq!(ordered.since_ms(), Some(3));
    }
}
