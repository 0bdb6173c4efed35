//! Jobs that change a table in the background: schema changes, rollups, index builds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::IndexDefinition;
use super::lenient::null_as_default;

/// Type 5. One entry per logged state of a schema change or rollup job.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AlterJobRecord {
    #[serde(rename = "type")]
    pub kind: AlterJobKind,
    #[serde(default)]
    pub db_id: i64,
    pub table_id: i64,
    #[serde(default, deserialize_with = "null_as_default")]
    pub table_name: String,
    #[serde(default)]
    pub job_id: i64,
    pub job_state: AlterJobState,
    /// Absent for CREATE MATERIALIZED VIEW.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw_sql: Option<String>,
    /// Origin index id by shadow index id; schema changes only.
    #[serde(
        rename = "iim",
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub index_id_map: BTreeMap<i64, i64>,
    /// Rollups only, 0 otherwise; likewise the next three.
    #[serde(default)]
    pub rollup_index_id: i64,
    #[serde(
        rename = "rollUpIndexName",
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub rollup_index_name: String,
    #[serde(default)]
    pub base_index_id: i64,
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "String::is_empty")]
    pub base_index_name: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AlterJobKind {
    #[default]
    SchemaChange,
    Rollup,
    /// A kind this crate does not know, as written.
    #[serde(untagged)]
    Other(String),
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AlterJobState {
    #[default]
    Pending,
    WaitingTxn,
    /// Never logged, but a state of the job.
    Running,
    Finished,
    Cancelled,
    /// A state this crate does not know, as written.
    #[serde(untagged)]
    Other(String),
}

/// Type 20. One job per partition that an index is built or dropped in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IndexChangeJobRecord {
    #[serde(default)]
    pub job_id: i64,
    pub job_state: AlterJobState,
    #[serde(default)]
    pub db_id: i64,
    pub table_id: i64,
    #[serde(default, deserialize_with = "null_as_default")]
    pub table_name: String,
    #[serde(default)]
    pub partition_id: i64,
    #[serde(default, deserialize_with = "null_as_default")]
    pub partition_name: String,
    #[serde(default, deserialize_with = "null_as_default")]
    pub err_msg: String,
    /// ms since the epoch.
    #[serde(default)]
    pub create_time_ms: i64,
    /// ms since the epoch; -1 or 0 while unfinished.
    #[serde(default)]
    pub finished_time_ms: i64,
    #[serde(default)]
    pub watershed_txn_id: i64,
    #[serde(default)]
    pub is_drop_op: bool,
    #[serde(default, deserialize_with = "null_as_default")]
    pub alter_inverted_indexes: Vec<IndexDefinition>,
    #[serde(default)]
    pub origin_index_id: i64,
    /// Internal to the FE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inverted_index_batch_task: Option<Value>,
    #[serde(default)]
    pub timeout_ms: i64,
    /// Empty in what is known of it.
    #[serde(rename = "clsname", default, deserialize_with = "null_as_default")]
    pub class_name: String,
    /// Schema version.
    #[serde(rename = "sv", default)]
    pub schema_version: i64,
}
