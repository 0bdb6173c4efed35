//! The job info: which tablets a snapshot holds and where they lie.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct JobInfo {
    /// The snapshot's label.
    pub name: String,
    pub database: String,
    pub id: i64,
    /// Milliseconds since the epoch.
    pub backup_time: i64,
    /// `ALL` or `METADATA_ONLY`.
    pub content: String,
    #[serde(default)]
    pub backup_objects: BTreeMap<String, TableInfo>,
    #[serde(default)]
    pub new_backup_objects: NewBackupObjects,
    pub backup_result: String,
    pub meta_version: i32,
    pub major_version: i32,
    pub minor_version: i32,
    pub patch_version: i32,
    pub is_force_replication_allocation: bool,
    /// Tablet to the backend whose snapshot is used.
    #[serde(default)]
    pub tablet_be_map: BTreeMap<i64, i64>,
    #[serde(default)]
    pub tablet_snapshot_path_map: BTreeMap<i64, String>,
    /// Table to the commit seq up to which the snapshot holds its writes.
    #[serde(default)]
    pub table_commit_seq_map: BTreeMap<i64, i64>,
    #[serde(default)]
    pub tblalias: BTreeMap<String, String>,
    /// Added by whoever restores the snapshot in another cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra_info: Option<ExtraInfo>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TableInfo {
    pub id: i64,
    #[serde(default)]
    pub partitions: BTreeMap<String, PartitionInfo>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PartitionInfo {
    pub id: i64,
    pub version: i64,
    #[serde(default)]
    pub indexes: BTreeMap<String, IndexInfo>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct IndexInfo {
    pub id: i64,
    pub schema_hash: i32,
    /// File names; empty lists for local snapshots.
    #[serde(default)]
    pub tablets: BTreeMap<i64, Vec<String>>,
    /// In bucket order.
    #[serde(default)]
    pub tablets_order: Vec<i64>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NewBackupObjects {
    #[serde(default)]
    pub views: Vec<ViewInfo>,
    #[serde(default)]
    pub odbc_tables: Vec<serde_json::Value>,
    #[serde(default)]
    pub odbc_resources: Vec<serde_json::Value>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ViewInfo {
    pub id: i64,
    pub name: String,
}

#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ExtraInfo {
    #[serde(default)]
    pub be_network_map: Option<BTreeMap<i64, NetworkAddress>>,
    #[serde(default)]
    pub token: Option<String>,
}

/// Written by hand to keep the token out of logs.
impl std::fmt::Debug for ExtraInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExtraInfo").field("be_network_map", &self.be_network_map).finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NetworkAddress {
    pub ip: String,
    pub port: u16,
}
