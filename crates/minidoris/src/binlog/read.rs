//! What `getBinlog`, `getBinlogLag` and `lockBinlog` answer.

use std::sync::Arc;

use super::{BinlogEntry, BinlogList, BinlogStore, Dummy};

/// Replies never hold more entries than this.
const MAX_ENTRIES: i64 = 255;

/// Which list is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    Database(i64),
    Table { db_id: i64, table_id: i64 },
}

/// The list does not exist: nothing was ever recorded there, whether binlogs are on or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoList {
    Database,
    Table,
}

#[derive(Debug)]
pub enum ReadOutcome {
    Missing(NoList),
    /// The position has expired; the dummy tells up to where.
    TooOld(Dummy),
    /// Caught up.
    TooNew,
    Entries(Vec<Arc<BinlogEntry>>),
}

impl ReadOutcome {
    /// What a frontend tells that knows no newer entry.
    pub fn up_to(self, newest: i64) -> Self {
        match self {
            ReadOutcome::Entries(mut entries) => {
                entries.retain(|entry| entry.commit_seq <= newest);
                if entries.is_empty() { ReadOutcome::TooNew } else { ReadOutcome::Entries(entries) }
            }
            other @ (ReadOutcome::Missing(_) | ReadOutcome::TooOld(_) | ReadOutcome::TooNew) => other,
        }
    }
}

/// The fields of `getBinlogLag`; the first entry is the dummy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lag {
    pub lag: i64,
    pub first_commit_seq: i64,
    pub first_timestamp_ms: i64,
    pub last_commit_seq: i64,
    pub last_timestamp_ms: i64,
    /// 0 when nothing is ahead.
    pub next_commit_seq: i64,
    pub next_timestamp_ms: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockError {
    Missing(NoList),
    TooNew,
}

impl BinlogStore {
    pub fn list(&self, scope: Scope) -> Result<&BinlogList, NoList> {
        match scope {
            Scope::Database(db_id) => self.databases.get(&db_id).map(|db| &db.list).ok_or(NoList::Database),
            Scope::Table { db_id, table_id } => {
                let db = self.databases.get(&db_id).ok_or(NoList::Database)?;
                db.tables.get(&table_id).ok_or(NoList::Table)
            }
        }
    }

    /// The next entries with a seq greater than `prev`; `wanted` is clamped to 1..=255.
    pub fn read(&self, scope: Scope, prev: i64, wanted: i64) -> ReadOutcome {
        let list = match self.list(scope) {
            Ok(list) => list,
            Err(missing) => return ReadOutcome::Missing(missing),
        };
        if list.dummy().commit_seq > prev {
            return ReadOutcome::TooOld(list.dummy());
        }
        let wanted = usize::try_from(wanted.clamp(1, MAX_ENTRIES)).unwrap_or(1);
        let entries: Vec<_> = list.after(prev).take(wanted).cloned().collect();
        if entries.is_empty() { ReadOutcome::TooNew } else { ReadOutcome::Entries(entries) }
    }

    pub fn lag(&self, scope: Scope, prev: i64) -> Result<Lag, NoList> {
        let list = self.list(scope)?;
        let dummy = list.dummy();
        let (last_commit_seq, last_timestamp_ms) = match list.last() {
            Some(entry) => (entry.commit_seq, entry.timestamp_ms),
            None => (dummy.commit_seq, dummy.timestamp_ms),
        };
        let ends = Lag {
            first_commit_seq: dummy.commit_seq,
            first_timestamp_ms: dummy.timestamp_ms,
            last_commit_seq,
            last_timestamp_ms,
            ..Lag::default()
        };
        if dummy.commit_seq > prev {
            let lag = i64::try_from(list.len()).unwrap_or(i64::MAX).saturating_add(1);
            return Ok(Lag {
                lag,
                next_commit_seq: dummy.commit_seq,
                next_timestamp_ms: dummy.timestamp_ms,
                ..ends
            });
        }
        let lag = i64::try_from(list.after(prev).count()).unwrap_or(i64::MAX);
        let next = list.after(prev).next();
        Ok(Lag {
            lag,
            next_commit_seq: next.map_or(0, |entry| entry.commit_seq),
            next_timestamp_ms: next.map_or(0, |entry| entry.timestamp_ms),
            ..ends
        })
    }

    /// Moves the job's lock forward to `seq` (the newest entry when negative) and returns what it holds.
    pub fn lock(&mut self, scope: Scope, job: &str, seq: i64) -> Result<i64, LockError> {
        let list = self.list_mut(scope).map_err(LockError::Missing)?;
        let last = list.last().map_or(list.dummy().commit_seq, |entry| entry.commit_seq);
        let wanted = if seq < 0 { last } else { seq.max(list.dummy().commit_seq) };
        if wanted > last {
            return Err(LockError::TooNew);
        }
        let held = list.locks.entry(job.to_owned()).or_insert(wanted);
        *held = wanted.max(*held);
        Ok(*held)
    }

    fn list_mut(&mut self, scope: Scope) -> Result<&mut BinlogList, NoList> {
        match scope {
            Scope::Database(db_id) => {
                self.databases.get_mut(&db_id).map(|db| &mut db.list).ok_or(NoList::Database)
            }
            Scope::Table { db_id, table_id } => {
                let db = self.databases.get_mut(&db_id).ok_or(NoList::Database)?;
                db.tables.get_mut(&table_id).ok_or(NoList::Table)
            }
        }
    }
}
