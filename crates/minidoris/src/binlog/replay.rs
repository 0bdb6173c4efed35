//! What different frontends tell of one UPSERT.
//!
//! The master writes the record with the indexes that the load was planned for, or none for a load
//! through the RPC. A frontend that replays the journal (a follower, a later master, the same one after a
//! restart) has refreshed that list first, and tells all indexes that existed when the transaction became
//! visible, even one that the load never wrote.

use std::borrow::Cow;

use doris_types::record::{UpsertRecord, html_safe_json};

use super::{BinlogEntry, BinlogStore, BinlogType};

/// How a frontend came to an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Knowledge {
    /// It wrote it, as the master it still is.
    Written,
    Replayed,
    /// It is of a release that does not record indexes at all.
    WithoutIndexes,
}

impl BinlogStore {
    /// How the master, or one of its followers, knows an entry.
    pub fn knowledge(&self, entry: &BinlogEntry, is_master: bool) -> Knowledge {
        if is_master && entry.reign == self.reign { Knowledge::Written } else { Knowledge::Replayed }
    }
}

impl BinlogEntry {
    /// The JSON as a frontend with that knowledge tells it.
    pub fn data_as(&self, knowledge: Knowledge) -> Cow<'_, str> {
        let changes = match knowledge {
            Knowledge::Written => false,
            Knowledge::Replayed => !self.indexes_at_replay.is_empty(),
            Knowledge::WithoutIndexes => true,
        };
        if !changes || self.binlog_type != BinlogType::UPSERT {
            return Cow::Borrowed(&self.data);
        }
        let Ok(mut record) = serde_json::from_str::<UpsertRecord>(&self.data) else {
            return Cow::Borrowed(&self.data);
        };
        for (table_id, table) in &mut record.table_records {
            let all =
                self.indexes_at_replay.iter().find(|(id, _)| id == table_id).map(|(_, all)| all.clone());
            table.index_ids = match knowledge {
                Knowledge::Replayed => all.or_else(|| table.index_ids.take()),
                Knowledge::Written | Knowledge::WithoutIndexes => None,
            };
        }
        Cow::Owned(html_safe_json(&record))
    }
}
