//! Partitions added, dropped, modified and replaced.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::lenient::null_as_default;
use super::{DataProperty, ListPartitionItem, Partition, RangeBound, ReplicaAllocation};

/// Type 1. Also for temporary, dynamic and automatic partitions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AddPartitionRecord {
    #[serde(default)]
    pub commit_seq: i64,
    #[serde(default)]
    pub db_id: i64,
    pub table_id: i64,
    pub partition: Partition,
    /// Lower and upper end; empty keys for tables that are not range-partitioned.
    #[serde(default, deserialize_with = "null_as_default")]
    pub range: Vec<RangeBound>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list_partition_item: Option<ListPartitionItem>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_property: Option<DataProperty>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replica_alloc: Option<ReplicaAllocation>,
    #[serde(default)]
    pub is_in_memory: bool,
    #[serde(default)]
    pub is_temp_partition: bool,
    #[serde(default)]
    pub is_mutable: bool,
    /// To be put after `ALTER TABLE x`; without a distribution clause, see [`crate::sql::add_partition_sql`].
    pub sql: String,
}

/// Type 3. Has no commit seq of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DropPartitionRecord {
    #[serde(default)]
    pub db_id: i64,
    pub table_id: i64,
    /// Partition id; 0 on old FEs, which do not write it.
    #[serde(rename = "pid", default)]
    pub partition_id: i64,
    #[serde(default, deserialize_with = "null_as_default")]
    pub partition_name: String,
    #[serde(default)]
    pub is_temp_partition: bool,
    #[serde(default)]
    pub force_drop: bool,
    /// ms since the epoch.
    #[serde(default)]
    pub recycle_time: i64,
    /// `DROP [TEMPORARY ]PARTITION p[ FORCE]`, never with IF EXISTS.
    #[serde(default, deserialize_with = "null_as_default")]
    pub sql: String,
    #[serde(default)]
    pub version: i64,
    #[serde(default)]
    pub version_time: i64,
}

/// Type 11.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModifyPartitionsRecord {
    pub infos: Vec<ModifyPartitionInfo>,
}

/// One modified partition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModifyPartitionInfo {
    #[serde(default)]
    pub db_id: i64,
    pub table_id: i64,
    pub partition_id: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_property: Option<DataProperty>,
    #[serde(default)]
    pub is_in_memory: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replica_alloc: Option<ReplicaAllocation>,
    #[serde(default, deserialize_with = "null_as_default")]
    pub storage_policy: String,
    #[serde(default, deserialize_with = "null_as_default")]
    pub table_properties: BTreeMap<String, String>,
}

/// Type 12. Also written by INSERT OVERWRITE.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplacePartitionsRecord {
    #[serde(default)]
    pub db_id: i64,
    #[serde(default, deserialize_with = "null_as_default")]
    pub db_name: String,
    #[serde(rename = "tblId")]
    pub table_id: i64,
    #[serde(rename = "tblName", default, deserialize_with = "null_as_default")]
    pub table_name: String,
    /// Names of the replaced partitions.
    #[serde(default, deserialize_with = "null_as_default")]
    pub partitions: Vec<String>,
    /// Names of the temporary partitions that took their place.
    #[serde(default, deserialize_with = "null_as_default")]
    pub temp_partitions: Vec<String>,
    /// The ranges of both sets are equal.
    #[serde(default)]
    pub strict_range: bool,
    #[serde(default)]
    pub use_temp_partition_name: bool,
    #[serde(default)]
    pub version: i64,
    /// ms since the epoch.
    #[serde(default)]
    pub version_time: i64,
    #[serde(default)]
    pub force: bool,
    /// Ids of the replaced partitions; newer FEs only.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub partition_ids: Vec<i64>,
}
