//! Light schema changes: columns and inverted indexes that change without a background job.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::lenient::null_as_default;
use super::{Column, IndexDefinition};

/// Type 6, MODIFY_TABLE_ADD_OR_DROP_COLUMNS.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModifyColumnsRecord {
    #[serde(default)]
    pub db_id: i64,
    pub table_id: i64,
    #[serde(default)]
    pub base_index_id: i64,
    /// Columns after the change, by index id.
    #[serde(default, deserialize_with = "null_as_default")]
    pub index_schema_map: BTreeMap<i64, Vec<Column>>,
    /// Columns before it; newer FEs only.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub old_index_schema_map: BTreeMap<i64, Vec<Column>>,
    #[serde(default, deserialize_with = "null_as_default")]
    pub index_name_to_id: BTreeMap<String, i64>,
    /// Secondary indexes after the change.
    #[serde(default, deserialize_with = "null_as_default")]
    pub indexes: Vec<IndexDefinition>,
    #[serde(default)]
    pub job_id: i64,
    /// The whole statement, with the source database and table.
    pub raw_sql: String,
}

/// Type 19, MODIFY_TABLE_ADD_OR_DROP_INVERTED_INDICES.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModifyInvertedIndicesRecord {
    #[serde(default)]
    pub db_id: i64,
    pub table_id: i64,
    #[serde(default, deserialize_with = "null_as_default")]
    pub index_schema_map: BTreeMap<i64, Vec<Column>>,
    /// Secondary indexes after the change.
    #[serde(default, deserialize_with = "null_as_default")]
    pub indexes: Vec<IndexDefinition>,
    /// The ones added or dropped.
    #[serde(default, deserialize_with = "null_as_default")]
    pub alter_inverted_indexes: Vec<IndexDefinition>,
    #[serde(default)]
    pub is_drop_inverted_index: bool,
    #[serde(default)]
    pub job_id: i64,
    /// The whole statement, with the source database and table; empty when the FE did not keep it.
    #[serde(default, deserialize_with = "null_as_default")]
    pub raw_sql: String,
}
