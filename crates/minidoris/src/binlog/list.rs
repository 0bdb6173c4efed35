//! One ordered list of binlogs behind its dummy.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use super::BinlogType;

/// What an entry costs besides its data, by Doris's reckoning.
const ENTRY_BYTES: usize = 80;
const TABLE_ID_BYTES: usize = 8;

/// One binlog, shared by the lists that keep it.
#[derive(Debug)]
pub struct BinlogEntry {
    pub commit_seq: i64,
    pub timestamp_ms: i64,
    pub binlog_type: BinlogType,
    pub db_id: i64,
    pub table_ids: Vec<i64>,
    /// JSON.
    pub data: String,
    /// `remove_enable_cache` on the wire.
    pub resets_flags: bool,
    /// `table_ref` on the wire: how many table lists hold the entry.
    pub table_lists: AtomicI64,
    /// Which reign of a master wrote it; see [`super::Knowledge`].
    pub(super) reign: u64,
    /// UPSERT: table id to all its indexes when the transaction became visible.
    pub(super) indexes_at_replay: Vec<(i64, Vec<i64>)>,
}

/// The first entry of a list: its seq is the highest expired one, -1 at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dummy {
    pub commit_seq: i64,
    pub timestamp_ms: i64,
    pub db_id: i64,
    /// -1 on the list of a database, else the table's id.
    pub belong: i64,
}

#[derive(Debug)]
pub struct BinlogList {
    pub(super) dummy: Dummy,
    pub(super) entries: BTreeMap<i64, Arc<BinlogEntry>>,
    bytes: usize,
    /// Job id to the seq it holds.
    pub(super) locks: BTreeMap<String, i64>,
}

impl BinlogEntry {
    pub fn bytes(&self) -> usize {
        ENTRY_BYTES + TABLE_ID_BYTES * self.table_ids.len() + self.data.len()
    }
}

impl BinlogList {
    pub(super) fn new(db_id: i64, belong: i64, now_ms: i64) -> Self {
        Self {
            dummy: Dummy { commit_seq: -1, timestamp_ms: now_ms, db_id, belong },
            entries: BTreeMap::new(),
            bytes: ENTRY_BYTES,
            locks: BTreeMap::new(),
        }
    }

    pub fn dummy(&self) -> Dummy {
        self.dummy
    }

    /// Number of entries, the dummy not counted.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn contains(&self, seq: i64) -> bool {
        self.entries.contains_key(&seq)
    }

    /// Bytes of all entries and the dummy.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn first(&self) -> Option<&Arc<BinlogEntry>> {
        self.entries.first_key_value().map(|(_, entry)| entry)
    }

    pub fn last(&self) -> Option<&Arc<BinlogEntry>> {
        self.entries.last_key_value().map(|(_, entry)| entry)
    }

    /// Entries with a seq greater than `prev`, in order.
    pub fn after(&self, prev: i64) -> impl Iterator<Item = &Arc<BinlogEntry>> {
        self.entries.range((Bound::Excluded(prev), Bound::Unbounded)).map(|(_, entry)| entry)
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Arc<BinlogEntry>> {
        self.entries.values()
    }

    /// Adds the entry unless its seq is taken; tells whether it was added.
    pub(super) fn push(&mut self, entry: &Arc<BinlogEntry>) -> bool {
        if self.entries.contains_key(&entry.commit_seq) {
            return false;
        }
        self.bytes += entry.bytes();
        self.entries.insert(entry.commit_seq, Arc::clone(entry));
        true
    }

    pub(super) fn push_for_table(&mut self, entry: &Arc<BinlogEntry>) {
        if self.push(entry) {
            entry.table_lists.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Removes one entry; the dummy takes its place when nothing older is left.
    pub(super) fn expire(&mut self, seq: i64) -> Option<Arc<BinlogEntry>> {
        let entry = self.entries.remove(&seq)?;
        self.bytes -= entry.bytes();
        if seq > self.dummy.commit_seq {
            self.dummy.commit_seq = seq;
            self.dummy.timestamp_ms = entry.timestamp_ms;
        }
        Some(entry)
    }

    pub(super) fn forget_locks(&mut self) {
        self.locks.clear();
    }
}
