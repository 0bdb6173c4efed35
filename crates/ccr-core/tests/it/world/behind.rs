//! What a frontend answers that is behind its cluster.
//!
//! Thrift calls are answered by the master only, and so are SHOW BACKUP, SHOW RESTORE and SHOW PROC, which a follower
//! passes on, unless somebody has set `forward_to_master` to false. A master that has been cut off answers all of them
//! until it notices. SHOW CREATE, SHOW PARTITIONS, SHOW TRANSACTION and the information schema are answered by any
//! frontend from what it has replayed, and after a switch of the master the one that is asked first is a follower.
//! What is written, or has to be asked of backends, is never answered by one that is behind.

use doris_types::meta::SnapshotJob;

use super::Inner;
use super::catalog::Catalog;

/// What a frontend that is behind answers by itself.
pub fn is_answered(operation: &str) -> bool {
    const OTHERS: [&str; 6] =
        ["source.meta", "source.views", "source.views_by_id", "source.binlogs", "source.lag", "target.meta"];
    OTHERS.contains(&operation) || SHOWN.contains(&operation)
}

/// What of it is asked by SHOW.
pub const SHOWN: [&str; 10] = [
    "source.show_create_table",
    "source.temporary_partitions",
    "source.backup_job",
    "source.restore_jobs",
    "source.restored_objects",
    "target.views",
    "target.show_create_table",
    "target.temporary_partitions",
    "target.restore_job",
    "target.txn_state",
];

/// How far such a frontend is behind, where no run says otherwise.
pub const LAG_MS: i64 = 1000;

/// States of the target that are kept.
const KEPT: usize = 16;

/// The target as it was until a time, oldest first.
pub type Past = std::collections::VecDeque<(i64, Catalog)>;

/// What a backup or restore was, and since when.
#[derive(Debug, Clone, Default)]
pub struct Course(Vec<(i64, SnapshotJob)>);

impl Course {
    pub fn new(now_ms: i64, job: SnapshotJob) -> Self {
        Self(vec![(now_ms, job)])
    }

    pub fn note(&mut self, now_ms: i64, job: SnapshotJob) {
        if self.0.last().is_none_or(|(_, last)| *last != job) {
            self.0.push((now_ms, job));
        }
    }

    /// As a frontend knows it that has replayed the journal up to this time; `None` before it was there.
    pub fn seen_at(&self, ms: i64) -> Option<SnapshotJob> {
        let known = self.0.iter().rev().find(|(since_ms, _)| *since_ms <= ms);
        known.map(|(_, job)| job.clone())
    }
}

impl Inner {
    /// Lets a frontend answer that is behind: a master that was cut off some changes, one that is asked by SHOW some
    /// time.
    pub fn behind<T>(&mut self, is_shown: bool, work: impl FnOnce(&mut Inner) -> T) -> T {
        let seen_ms = self.now_ms - self.plan.lag_ms;
        let past = &self.journal.past;
        let replayed = past.iter().rposition(|(_, at_ms, _)| is_shown && *at_ms <= seen_ms).unwrap_or(0);
        // The newest is what the upstream is.
        let is_past = !is_shown || replayed + 1 < past.len();
        let source = past.get(replayed).filter(|_| is_past).map(|(seq, _, catalog)| (*seq, catalog.clone()));
        let target = self.target_past.iter().find(|(until_ms, _)| *until_ms > seen_ms);
        let target = target.map(|(_, catalog)| catalog.clone());
        self.journal.seen_to = source.as_ref().map(|(seq, _)| *seq);
        self.seen_ms = Some(seen_ms);
        let source = source.map(|(_, catalog)| std::mem::replace(&mut self.source, catalog));
        let target = target.map(|catalog| std::mem::replace(&mut self.target, catalog));
        let done = work(self);
        if let Some(source) = source {
            self.source = source;
        }
        if let Some(target) = target {
            self.target = target;
        }
        (self.journal.seen_to, self.seen_ms) = (None, None);
        done
    }

    /// Keeps what the target is, which is about to change.
    pub fn keep_target(&mut self) {
        self.target_past.push_back((self.now_ms, self.target.clone()));
        if self.target_past.len() > KEPT {
            self.target_past.pop_front();
        }
    }

    /// Notes what has become of the backups and restores.
    pub fn note_jobs(&mut self) {
        let now_ms = self.now_ms;
        for backup in &mut self.backups.jobs {
            let job = backup.job();
            backup.course.note(now_ms, job);
        }
        for restore in &mut self.restores.jobs {
            let job = restore.job();
            restore.course.note(now_ms, job);
        }
    }

    /// A job as whoever answers knows it.
    pub fn told(&self, job: SnapshotJob, course: &Course) -> Option<SnapshotJob> {
        if self.answers_empty {
            return None;
        }
        match self.seen_ms {
            None => Some(job),
            Some(ms) => course.seen_at(ms),
        }
    }
}
