//! Binlogs in the form that survives a restart: entries with the lists that keep them, and the dummies.
//! Locks, remembered flags and reigns do not survive; what was dropped is found again in the entries.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use serde::{Deserialize, Serialize};

use super::{BinlogEntry, BinlogList, BinlogStore, BinlogType, DbBinlog, DroppedResources};

/// Entries of this type and above are dropped by a frontend that loads its image.
const FIRST_UNKNOWN: i32 = 27;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SavedEntry {
    timestamp_ms: i64,
    binlog_type: i32,
    table_ids: Vec<i64>,
    data: String,
    resets_flags: bool,
    indexes_at_replay: Vec<(i64, Vec<i64>)>,
    /// The tables whose lists keep it.
    lists: Vec<i64>,
}

/// Commit seq and timestamp of the dummies.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SavedLists {
    dummy: (i64, i64),
    tables: BTreeMap<i64, (i64, i64)>,
}

impl BinlogStore {
    pub(crate) fn all(&self) -> impl Iterator<Item = (i64, &DbBinlog)> {
        self.databases.iter().map(|(id, db)| (*id, db))
    }

    /// Puts the saved binlogs of a database in place.
    pub(crate) fn load(&mut self, db_id: i64, lists: &SavedLists, entries: BTreeMap<i64, SavedEntry>) {
        let list = |belong: i64, (seq, timestamp): (i64, i64)| {
            let mut list = BinlogList::new(db_id, belong, timestamp);
            list.dummy.commit_seq = seq;
            list
        };
        let mut db = DbBinlog {
            list: list(-1, lists.dummy),
            tables: lists.tables.iter().map(|(id, dummy)| (*id, list(*id, *dummy))).collect(),
            dropped: DroppedResources::default(),
        };
        for (commit_seq, saved) in entries {
            if saved.binlog_type >= FIRST_UNKNOWN {
                continue;
            }
            let entry = Arc::new(BinlogEntry {
                commit_seq,
                timestamp_ms: saved.timestamp_ms,
                binlog_type: BinlogType(saved.binlog_type),
                db_id,
                table_ids: saved.table_ids,
                data: saved.data,
                resets_flags: saved.resets_flags,
                table_lists: AtomicI64::new(0),
                reign: 0,
                indexes_at_replay: saved.indexes_at_replay,
            });
            db.dropped.record(&entry);
            db.list.push(&entry);
            for table in saved.lists {
                if let Some(list) = db.tables.get_mut(&table) {
                    list.push_for_table(&entry);
                }
            }
        }
        self.databases.insert(db_id, db);
    }
}

impl DbBinlog {
    pub(crate) fn saved_lists(&self) -> SavedLists {
        let dummy = |list: &BinlogList| (list.dummy.commit_seq, list.dummy.timestamp_ms);
        let tables = self.tables.iter().map(|(id, list)| (*id, dummy(list))).collect();
        SavedLists { dummy: dummy(&self.list), tables }
    }

    pub(crate) fn saved_entry(&self, entry: &BinlogEntry) -> SavedEntry {
        let keeps =
            |id: &&i64| self.tables.get(id).is_some_and(|list| list.entries.contains_key(&entry.commit_seq));
        SavedEntry {
            timestamp_ms: entry.timestamp_ms,
            binlog_type: entry.binlog_type.0,
            table_ids: entry.table_ids.clone(),
            data: entry.data.clone(),
            resets_flags: entry.resets_flags,
            indexes_at_replay: entry.indexes_at_replay.clone(),
            lists: entry.table_ids.iter().filter(keeps).copied().collect(),
        }
    }
}
