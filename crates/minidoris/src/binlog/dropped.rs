//! Partitions, tables and indexes that have been dropped, as far as kept binlogs know: the maps of
//! `getMeta`. The value is the commit seq of the drop.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::{BinlogEntry, BinlogType};

/// Id to commit seq of the drop.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DroppedResources {
    pub partitions: BTreeMap<i64, i64>,
    pub tables: BTreeMap<i64, i64>,
    pub indexes: BTreeMap<i64, i64>,
    /// The partitions among them that REPLACE PARTITION dropped.
    replaced: BTreeSet<i64>,
}

/// The keys of all records that name dropped things. Each record type uses a few of them.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct DropFields {
    #[serde(rename = "type")]
    kind: String,
    #[serde(rename = "jobState")]
    job_state: String,
    /// Shadow index id to origin index id.
    iim: BTreeMap<String, i64>,
    pid: i64,
    #[serde(rename = "tableId")]
    table_id: i64,
    /// Old partition id to name.
    op: BTreeMap<String, String>,
    #[serde(rename = "origTblId")]
    origin_table_id: i64,
    #[serde(rename = "swapTable")]
    swap: bool,
    #[serde(rename = "indexId")]
    index_id: i64,
    #[serde(rename = "partitionIds")]
    partition_ids: Vec<i64>,
    #[serde(rename = "partitionId")]
    partition_id: i64,
    #[serde(rename = "binlogType")]
    wrapped_type: i32,
    #[serde(rename = "binlog")]
    wrapped: String,
}

impl DroppedResources {
    /// Notes what the entry drops or recovers.
    pub(super) fn record(&mut self, entry: &BinlogEntry) {
        self.record_one(entry.commit_seq, entry.binlog_type, &entry.data);
    }

    fn record_one(&mut self, seq: i64, binlog_type: BinlogType, data: &str) {
        if !is_tracked(binlog_type) {
            return;
        }
        let Ok(fields) = serde_json::from_str::<DropFields>(data) else {
            tracing::warn!(?binlog_type, seq, "a binlog of a dropping type does not parse");
            return;
        };
        match binlog_type {
            BinlogType::DROP_PARTITION if fields.pid > 0 => {
                self.partitions.insert(fields.pid, seq);
            }
            BinlogType::DROP_TABLE => {
                self.tables.insert(fields.table_id, seq);
            }
            BinlogType::ALTER_JOB if fields.kind == "SCHEMA_CHANGE" && fields.job_state == "FINISHED" => {
                self.indexes.extend(fields.iim.values().map(|origin| (*origin, seq)));
            }
            BinlogType::TRUNCATE_TABLE => {
                let ids = fields.op.keys().filter_map(|id| id.parse::<i64>().ok());
                self.partitions.extend(ids.map(|id| (id, seq)));
            }
            BinlogType::REPLACE_TABLE if !fields.swap => {
                self.tables.insert(fields.origin_table_id, seq);
            }
            BinlogType::DROP_ROLLUP => {
                self.indexes.insert(fields.index_id, seq);
            }
            BinlogType::REPLACE_PARTITIONS => {
                self.partitions.extend(fields.partition_ids.iter().map(|id| (*id, seq)));
                self.replaced.extend(&fields.partition_ids);
            }
            BinlogType::RECOVER_INFO if fields.partition_id > 0 => {
                self.partitions.remove(&fields.partition_id);
            }
            BinlogType::RECOVER_INFO => {
                self.tables.remove(&fields.table_id);
            }
            BinlogType::BARRIER if !fields.wrapped.is_empty() => {
                let inner = BinlogType(fields.wrapped_type);
                if inner != BinlogType::BARRIER {
                    self.record_one(seq, inner, &fields.wrapped);
                }
            }
            _other => {}
        }
    }

    /// What a frontend knows that found everything up to a journal id in its image: reading that, Doris's frontend
    /// does not notice the partitions that were replaced.
    pub fn loaded_at(mut self, journal_id: i64) -> Self {
        let replaced = &self.replaced;
        self.partitions.retain(|id, seq| *seq > journal_id || !replaced.contains(id));
        self
    }

    /// Forgets drops that binlogs no longer tell of.
    pub(super) fn expire_before(&mut self, seq: i64) {
        for map in [&mut self.partitions, &mut self.tables, &mut self.indexes] {
            map.retain(|_, dropped_at| *dropped_at >= seq);
        }
        let partitions = &self.partitions;
        self.replaced.retain(|id| partitions.contains_key(id));
    }
}

fn is_tracked(binlog_type: BinlogType) -> bool {
    matches!(
        binlog_type,
        BinlogType::DROP_PARTITION
            | BinlogType::DROP_TABLE
            | BinlogType::ALTER_JOB
            | BinlogType::TRUNCATE_TABLE
            | BinlogType::REPLACE_TABLE
            | BinlogType::DROP_ROLLUP
            | BinlogType::REPLACE_PARTITIONS
            | BinlogType::RECOVER_INFO
            | BinlogType::BARRIER
    )
}
