//! Locks of the master that somebody holds for long: of tables, which commits and rollbacks wait for, and the
//! one under which backups and restores are submitted.
//!
//! Everything here runs under one short lock, so nobody ever holds these by working; a test holds them. Times
//! are those of the process and not of the cluster's clock.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

/// A lock that can be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hold {
    /// The write lock of a table, by id.
    Table(i64),
    /// Of the handler of backups and restores.
    Submit,
}

/// No lock is held longer.
const LONGEST: Duration = Duration::from_secs(600);

#[derive(Debug, Default)]
pub struct Holds {
    /// Whether any lock was ever held; read without the lock.
    armed: AtomicBool,
    until: Mutex<BTreeMap<Hold, Instant>>,
    changed: Notify,
}

impl Holds {
    /// Holds a lock for that long from now; no time at all frees it.
    pub fn hold(&self, lock: Hold, time: Duration) {
        self.until.lock().insert(lock, Instant::now() + time.min(LONGEST));
        self.armed.store(true, Ordering::Release);
        self.changed.notify_waiters();
    }

    /// Waits until all of these locks are free; `false` when they are not within the limit.
    pub async fn free(&self, locks: &[Hold], limit: Duration) -> bool {
        if !self.armed.load(Ordering::Acquire) {
            return true;
        }
        let deadline = Instant::now() + limit.min(LONGEST);
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Registered before looking, so that no change in between is missed.
            changed.as_mut().enable();
            let now = Instant::now();
            let held = {
                let mut until = self.until.lock();
                until.retain(|_, end| *end > now);
                locks.iter().filter_map(|lock| until.get(lock)).max().copied()
            };
            let Some(end) = held else { return true };
            if now >= deadline {
                return false;
            }
            // Either outcome leads to the next look.
            drop(tokio::time::timeout_at(end.min(deadline), changed).await);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn a_held_lock_is_waited_for() {
        let holds = Holds::default();
        assert!(holds.free(&[Hold::Submit], Duration::ZERO).await);
        holds.hold(Hold::Table(1), LONG);
        assert!(holds.free(&[Hold::Table(2), Hold::Submit], Duration::ZERO).await);
        assert!(!holds.free(&[Hold::Table(2), Hold::Table(1)], Duration::from_millis(5)).await);
        holds.hold(Hold::Table(1), Duration::from_millis(5));
        assert!(holds.free(&[Hold::Table(1)], LONG).await, "free after its time");
        assert!(holds.free(&[Hold::Table(1)], Duration::ZERO).await);
    }

    #[tokio::test]
    async fn a_freed_lock_wakes_who_waits() {
        let holds = Holds::default();
        holds.hold(Hold::Submit, LONG);
        let freed = async {
            tokio::task::yield_now().await;
            holds.hold(Hold::Submit, Duration::ZERO);
        };
        let (is_free, ()) = tokio::join!(holds.free(&[Hold::Submit], LONG), freed);
        assert!(is_free);
    }
}
