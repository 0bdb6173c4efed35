//! Turns at the snapshots of an upstream database.
//!
//! Doris keeps the last ten backup and restore jobs of a database (`max_backup_restore_job_num_per_db`) and forgets
//! the snapshots of older ones. When more jobs or tables than that take theirs at once, each loses its own before it
//! has been fetched, and takes another. So those of one process take turns: a few may have a snapshot that their
//! target's restore still needs.
//!
//! A turn lasts from before the BACKUP until the restore has downloaded what it needs, over the steps of a job's state;
//! the job gives it back when its state no longer names the snapshot, and in any case when its task ends. Where the
//! target cannot be reached that takes for ever. So when for long nobody who waits has got one, one more is given out:
//! there is room for some, and a lost snapshot is not as bad as a job that waits for another's cluster.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::job::ClusterSpec;

/// Snapshots of one database that are waited for, or wait for their restores, at a time. Others may take some, too.
pub const TURNS: usize = 4;

/// How long nobody who waits may get a turn before one more is given out.
const STUCK: Duration = Duration::from_secs(1800);

/// The turns of all jobs of a process.
#[derive(Debug, Default)]
pub struct SnapshotTurns(Mutex<BTreeMap<(String, u16, String), Arc<Seats>>>);

/// Those of one upstream database.
#[derive(Debug)]
pub struct Seats {
    free: Arc<Semaphore>,
    /// When somebody who waited last got a turn, in milliseconds.
    moved_ms: AtomicI64,
}

/// A right to have a snapshot; given back when it is dropped.
#[derive(Debug)]
pub struct Turn(#[expect(dead_code, reason = "held for its drop")] Option<OwnedSemaphorePermit>);

impl SnapshotTurns {
    /// Those of a side's database. Jobs that name one cluster by different addresses do not know of each other.
    pub fn of(&self, spec: &ClusterSpec, now_ms: i64) -> Arc<Seats> {
        let key = (spec.host.clone(), spec.port, spec.database.clone());
        let new =
            || Arc::new(Seats { free: Arc::new(Semaphore::new(TURNS)), moved_ms: AtomicI64::new(now_ms) });
        Arc::clone(self.0.lock().entry(key).or_insert_with(new))
    }
}

impl Seats {
    /// How many turns are free.
    pub fn free(&self) -> usize {
        self.free.available_permits()
    }

    /// Waits for a turn; those who came first get theirs first.
    pub async fn take(&self) -> Turn {
        // It is never closed.
        Turn(Arc::clone(&self.free).acquire_owned().await.ok())
    }

    /// A turn for somebody whose snapshot is there already, whether or not one is free.
    pub fn take_now(&self) -> Turn {
        Turn(Arc::clone(&self.free).try_acquire_owned().ok())
    }

    /// Notes that turns have moved.
    pub fn moved(&self, now_ms: i64) {
        self.moved_ms.store(now_ms, Ordering::Relaxed);
    }

    /// Whether nobody has moved for long; if so, the one who asks is let in.
    pub fn is_stuck(&self, now_ms: i64) -> bool {
        let since = now_ms.saturating_sub(self.moved_ms.load(Ordering::Relaxed));
        let is_stuck = u128::from(since.unsigned_abs()) > STUCK.as_millis() && since > 0;
        if is_stuck {
            self.moved(now_ms);
        }
        is_stuck
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn seats() -> Arc<Seats> {
        let side = |database: &str| ClusterSpec {
            host: "up".to_owned(),
            port: 9030,
            thrift_port: 9020,
            user: "root".to_owned(),
            password: String::new(),
            database: database.to_owned(),
            table: String::new(),
            frontends: Vec::new(),
            host_mapping: BTreeMap::new(),
        };
        let turns = SnapshotTurns::default();
        let seats = turns.of(&side("d"), 0);
        assert!(
            Arc::ptr_eq(&seats, &turns.of(&side("d"), 5)) && !Arc::ptr_eq(&seats, &turns.of(&side("e"), 0))
        );
        seats
    }

    #[test]
    fn those_who_wait_get_their_turns_in_the_order_in_which_they_came() {
        let seats = seats();
        let mut held: Vec<Turn> = (0..TURNS).filter_map(|_| seats.take().now_or_never()).collect();
        assert_eq!((held.len(), seats.free()), (TURNS, 0));
        let mut first = Box::pin(seats.take());
        let mut second = Box::pin(seats.take());
        assert!(first.as_mut().now_or_never().is_none() && second.as_mut().now_or_never().is_none());
        // Whose snapshot is there already waits for nobody, and takes nothing from those who wait.
        drop(seats.take_now());
        assert!(second.as_mut().now_or_never().is_none());
        drop(held.pop());
        assert!(second.as_mut().now_or_never().is_none() && first.as_mut().now_or_never().is_some());
    }

    #[test]
    fn when_nobody_moves_one_at_a_time_is_let_in() {
        let seats = seats();
        let stuck_ms = i64::try_from(STUCK.as_millis()).expect("it is short");
        seats.moved(1000);
        assert!(!seats.is_stuck(1000 + stuck_ms));
        assert!(seats.is_stuck(1001 + stuck_ms));
        assert!(!seats.is_stuck(1002 + stuck_ms));
        assert!(seats.is_stuck(1002 + 2 * stuck_ms));
    }
}
