//! Renamed tables, rollups, partitions and columns.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::lenient::{minus_one, null_as_default};

/// Types 14, 21, 22 and 26, one shape. Names that do not concern the type are empty; FEs that do not know the
/// old name leave it empty as well. Type 26 (hash to random distribution) has no names at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenameRecord {
    #[serde(rename = "db", alias = "dbId", default)]
    pub db_id: i64,
    #[serde(rename = "tb", alias = "tableId")]
    pub table_id: i64,
    /// -1 unless a rollup is renamed.
    #[serde(rename = "ind", alias = "indexId", default = "minus_one")]
    pub index_id: i64,
    /// -1 unless a partition is renamed.
    #[serde(rename = "p", alias = "partitionId", default = "minus_one")]
    pub partition_id: i64,
    #[serde(rename = "nT", alias = "newTableName", default, deserialize_with = "null_as_default")]
    pub new_table_name: String,
    #[serde(rename = "oT", alias = "oldTableName", default, deserialize_with = "null_as_default")]
    pub old_table_name: String,
    #[serde(rename = "nR", alias = "newRollupName", default, deserialize_with = "null_as_default")]
    pub new_rollup_name: String,
    #[serde(rename = "oR", alias = "oldRollupName", default, deserialize_with = "null_as_default")]
    pub old_rollup_name: String,
    #[serde(rename = "nP", alias = "newPartitionName", default, deserialize_with = "null_as_default")]
    pub new_partition_name: String,
    #[serde(rename = "oP", alias = "oldPartitionName", default, deserialize_with = "null_as_default")]
    pub old_partition_name: String,
}

impl Default for RenameRecord {
    fn default() -> Self {
        Self {
            db_id: 0,
            table_id: 0,
            index_id: -1,
            partition_id: -1,
            new_table_name: String::new(),
            old_table_name: String::new(),
            new_rollup_name: String::new(),
            old_rollup_name: String::new(),
            new_partition_name: String::new(),
            old_partition_name: String::new(),
        }
    }
}

/// Type 15.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RenameColumnRecord {
    #[serde(default)]
    pub db_id: i64,
    pub table_id: i64,
    pub col_name: String,
    pub new_col_name: String,
    #[serde(default, deserialize_with = "null_as_default")]
    pub index_id_to_schema_version: BTreeMap<i64, i64>,
}
