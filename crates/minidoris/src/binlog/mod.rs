//! Binlogs of the frontends: which lists keep an entry, reading, lag, locks and garbage collection.
//!
//! Every recorded entry goes to the list of its database and, unless it creates or drops a table, to the
//! lists of its tables. A list is an ordered map from commit seq to a shared entry behind one dummy whose
//! seq is the highest expired one, so a read is a range query that copies pointers. Whether binlogs are
//! on is remembered per database and table, as Doris does: the entry that changes the setting is still
//! judged by the old value.

mod dropped;
mod gc;
mod list;
mod read;
mod replay;
pub(crate) mod save;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

pub use doris_types::record::{BinlogType, html_safe_json};
pub use dropped::DroppedResources;
pub use gc::{ExpiredVersions, collect_garbage, collect_garbage_and_tell_backends, expire_database};
pub use list::{BinlogEntry, BinlogList, Dummy};
pub use read::{Lag, LockError, NoList, ReadOutcome, Scope};
pub use replay::Knowledge;

use crate::model::Table;
use crate::state::FeState;

/// The binlogs of all databases.
#[derive(Debug, Default)]
pub struct BinlogStore {
    databases: BTreeMap<i64, DbBinlog>,
    flags: FlagCache,
    /// Counts the masters there have been.
    reign: u64,
}

/// The lists of one database. They are keyed by id, survive renames, and outlive dropped tables until
/// garbage collection empties them.
#[derive(Debug)]
pub struct DbBinlog {
    list: BinlogList,
    tables: BTreeMap<i64, BinlogList>,
    dropped: DroppedResources,
}

/// Remembered answers to "are binlogs on?", filled on first use, with the journal id of the last use.
#[derive(Debug, Default)]
struct FlagCache {
    databases: HashMap<i64, (bool, i64)>,
    tables: HashMap<i64, (bool, i64)>,
}

impl BinlogStore {
    pub fn database(&self, db_id: i64) -> Option<&DbBinlog> {
        self.databases.get(&db_id)
    }

    /// A new master, or the old one started again: job locks lived in its memory only, and what it tells
    /// from now on of older entries comes from its replay of the journal. It has seen the journal behind
    /// `loaded_journal_id`, where its process started, and remembers the flags that were asked for since.
    pub fn start_reign(&mut self, loaded_journal_id: i64) {
        self.reign += 1;
        for flags in [&mut self.flags.databases, &mut self.flags.tables] {
            flags.retain(|_, (_, used)| *used > loaded_journal_id);
        }
        for db in self.databases.values_mut() {
            db.list.forget_locks();
            db.tables.values_mut().for_each(BinlogList::forget_locks);
        }
    }
}

impl DbBinlog {
    /// The list of the database.
    pub fn list(&self) -> &BinlogList {
        &self.list
    }

    pub fn table(&self, table_id: i64) -> Option<&BinlogList> {
        self.tables.get(&table_id)
    }

    /// The lists of all tables, also of those that are dropped.
    pub fn tables(&self) -> impl Iterator<Item = &BinlogList> {
        self.tables.values()
    }

    /// Partitions, tables and indexes that entries still kept have dropped.
    pub fn dropped(&self) -> &DroppedResources {
        &self.dropped
    }
}

/// Appends one binlog to every list that keeps it; nothing happens when none does.
///
/// `seq` is the journal id of the operation. A second entry with one seq is lost, as in Doris, where the
/// lists are sets ordered by seq.
pub fn append(
    state: &mut FeState,
    seq: i64,
    now_ms: i64,
    binlog_type: BinlogType,
    db_id: i64,
    table_ids: &[i64],
    data: String,
) {
    append_with_indexes(state, seq, now_ms, binlog_type, db_id, table_ids, data, Vec::new());
}

/// [`append`] for an UPSERT, with the indexes that its tables have now.
#[expect(clippy::too_many_arguments, reason = "the parts of one journal entry")]
pub(crate) fn append_with_indexes(
    state: &mut FeState,
    seq: i64,
    now_ms: i64,
    binlog_type: BinlogType,
    db_id: i64,
    table_ids: &[i64],
    data: String,
    indexes_at_replay: Vec<(i64, Vec<i64>)>,
) {
    if !state.config_flag("enable_feature_binlog") || is_untold(state, db_id, table_ids) {
        return;
    }
    let db_enabled = is_db_enabled(state, db_id);
    let keeping_tables: Vec<i64> =
        table_ids.iter().copied().filter(|id| is_table_enabled(state, db_id, *id) || db_enabled).collect();
    let recorded =
        (db_enabled || !keeping_tables.is_empty()) && !is_unanchored_barrier(binlog_type, table_ids);
    let resets_flags = resets_flags(binlog_type);
    if recorded {
        let entry = Arc::new(BinlogEntry {
            commit_seq: seq,
            timestamp_ms: now_ms,
            binlog_type,
            db_id,
            table_ids: table_ids.to_vec(),
            data,
            resets_flags,
            table_lists: AtomicI64::new(0),
            reign: state.binlogs.reign,
            indexes_at_replay,
        });
        let db = state.binlogs.databases.entry(db_id).or_insert_with(|| DbBinlog {
            list: BinlogList::new(db_id, -1, now_ms),
            tables: BTreeMap::new(),
            dropped: DroppedResources::default(),
        });
        db.dropped.record(&entry);
        db.list.push(&entry);
        if enters_table_lists(binlog_type) {
            for table_id in keeping_tables {
                let list =
                    db.tables.entry(table_id).or_insert_with(|| BinlogList::new(db_id, table_id, now_ms));
                list.push_for_table(&entry);
            }
        }
    }
    if resets_flags {
        forget_flags(&mut state.binlogs.flags, db_id, table_ids);
    }
}

/// Whether one of the tables is an asynchronous materialised view or a temporary table, of which no binlog tells.
fn is_untold(state: &FeState, db_id: i64, table_ids: &[i64]) -> bool {
    let Some(db) = state.databases.get(&db_id) else { return false };
    let tables = table_ids.iter().filter_map(|id| db.tables.get(id)?.as_olap());
    tables.into_iter().any(|table| table.async_view.is_some() || table.is_temporary)
}

/// Creations and drops are told to database lists only.
fn enters_table_lists(binlog_type: BinlogType) -> bool {
    !matches!(binlog_type, BinlogType::CREATE_TABLE | BinlogType::DROP_TABLE)
}

fn resets_flags(binlog_type: BinlogType) -> bool {
    matches!(binlog_type, BinlogType::ALTER_DATABASE_PROPERTY | BinlogType::MODIFY_TABLE_PROPERTY)
}

/// The barrier of a whole database only takes a journal id.
fn is_unanchored_barrier(binlog_type: BinlogType, table_ids: &[i64]) -> bool {
    binlog_type == BinlogType::BARRIER && table_ids.iter().all(|id| *id <= 0)
}

fn forget_flags(flags: &mut FlagCache, db_id: i64, table_ids: &[i64]) {
    if table_ids.is_empty() {
        flags.databases.remove(&db_id);
    }
    for id in table_ids {
        flags.tables.remove(id);
    }
}

/// The remembered flag of the database; looked up in the catalogue the first time.
pub fn is_db_enabled(state: &mut FeState, db_id: i64) -> bool {
    let journal_id = state.journal_id;
    if let Some((known, used)) = state.binlogs.flags.databases.get_mut(&db_id) {
        *used = journal_id;
        return *known;
    }
    let Some(db) = state.databases.get(&db_id) else { return false };
    let enabled = db.properties.get("binlog.enable").is_some_and(|value| value == "true");
    state.binlogs.flags.databases.insert(db_id, (enabled, journal_id));
    enabled
}

/// The remembered flag of the table. Views count as off; a table that is gone counts as off unless its
/// flag is remembered.
pub fn is_table_enabled(state: &mut FeState, db_id: i64, table_id: i64) -> bool {
    let journal_id = state.journal_id;
    if let Some((known, used)) = state.binlogs.flags.tables.get_mut(&table_id) {
        *used = journal_id;
        return *known;
    }
    let Some(table) = state.databases.get(&db_id).and_then(|db| db.tables.get(&table_id)) else {
        return false;
    };
    let enabled = match table {
        Table::Olap(table) => table.binlog.enable,
        Table::View(_) => false,
    };
    state.binlogs.flags.tables.insert(table_id, (enabled, journal_id));
    enabled
}
