//! UPSERT: a transaction became visible.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::lenient::{minus_one, null_as_default};

/// Type 0. Written when a transaction becomes VISIBLE.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpsertRecord {
    pub commit_seq: i64,
    #[serde(default)]
    pub txn_id: i64,
    /// Finish time of the transaction, ms since the epoch.
    #[serde(default)]
    pub time_stamp: i64,
    #[serde(default, deserialize_with = "null_as_default")]
    pub label: String,
    #[serde(default)]
    pub db_id: i64,
    /// By table id.
    pub table_records: BTreeMap<i64, TableRecord>,
    /// Order of the sub transactions of a multi-statement transaction; empty for any other.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub stids: Vec<i64>,
}

/// What a transaction wrote to one table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TableRecord {
    /// The same partition may occur several times in a multi-statement transaction, with growing versions.
    #[serde(default, deserialize_with = "null_as_default")]
    pub partition_records: Vec<PartitionRecord>,
    /// Index ids the load wrote to, as known when it was planned. `None` for transactions opened through the
    /// RPC and on old FEs: then all visible indexes are meant. May name shadow or dropped indexes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index_ids: Option<Vec<i64>>,
    /// Rows by tablet id; informative.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub delta_rows: BTreeMap<i64, i64>,
}

/// One partition that got a new version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PartitionRecord {
    pub partition_id: i64,
    /// The identity text, see [`crate::range`]; empty for an unpartitioned table.
    #[serde(default, deserialize_with = "null_as_default")]
    pub range: String,
    pub version: i64,
    #[serde(default)]
    pub is_temp_partition: bool,
    /// Sub transaction id, -1 outside multi-statement transactions.
    #[serde(default = "minus_one")]
    pub stid: i64,
}

impl Default for PartitionRecord {
    fn default() -> Self {
        Self { partition_id: 0, range: String::new(), version: 0, is_temp_partition: false, stid: -1 }
    }
}
