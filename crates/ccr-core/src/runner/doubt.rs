//! How long ago a transaction may have been committed without this being recorded.
//!
//! A label proves a commit only for some hours. So for each transaction it is known since when no commit
//! of it can have been tried: for one planned by this task, since it was planned; for those that an
//! earlier task may have committed, since the position was last written. Commits are made in order, one at
//! a time. So as soon as one transaction is proven not to be committed, none after it is.

use parking_lot::Mutex;

/// What an earlier task of the job may have committed beyond the recorded position of a track.
#[derive(Debug, Default)]
pub(crate) struct EarlierCommits {
    /// None of them was tried before this moment; `None` when there are none.
    since_ms: Mutex<Option<i64>>,
}

impl EarlierCommits {
    pub fn since(since_ms: i64) -> Self {
        Self { since_ms: Mutex::new(Some(since_ms)) }
    }

    /// A transaction was found that is not committed.
    pub fn settle(&self) {
        *self.since_ms.lock() = None;
    }

    /// The transactions of this task become those of an earlier one: they are planned again.
    pub fn reopen(&self, since_ms: i64) {
        let mut known = self.since_ms.lock();
        *known = Some(known.map_or(since_ms, |known| known.min(since_ms)));
    }

    pub fn since_ms(&self) -> Option<i64> {
        *self.since_ms.lock()
    }
}
