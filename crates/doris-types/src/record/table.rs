//! Tables and views created, dropped and truncated.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::lenient::null_as_default;

/// Type 2. A table or a view; asynchronous materialised views are never recorded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateTableRecord {
    #[serde(default)]
    pub commit_seq: i64,
    #[serde(default)]
    pub db_id: i64,
    /// Empty before 2.1, like the table name and type.
    #[serde(default, deserialize_with = "null_as_default")]
    pub db_name: String,
    pub table_id: i64,
    #[serde(default, deserialize_with = "null_as_default")]
    pub table_name: String,
    /// `OLAP`, `VIEW`, `ELASTICSEARCH`…
    #[serde(default, deserialize_with = "null_as_default")]
    pub table_type: String,
    /// The text of SHOW CREATE TABLE, without a database prefix. The body of a view is qualified with the
    /// source database.
    pub sql: String,
    /// Table properties; empty for views.
    #[serde(default, deserialize_with = "null_as_default")]
    pub properties: BTreeMap<String, String>,
}

/// Type 4. A table or a view; whether FORCE was given is not kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DropTableRecord {
    #[serde(default)]
    pub commit_seq: i64,
    #[serde(default)]
    pub db_id: i64,
    pub table_id: i64,
    #[serde(default, deserialize_with = "null_as_default")]
    pub table_name: String,
    /// False for views that a restore with clean_tables dropped.
    #[serde(default)]
    pub is_view: bool,
    #[serde(default, deserialize_with = "null_as_default")]
    pub raw_sql: String,
}

/// Type 13.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TruncateTableRecord {
    #[serde(default)]
    pub db_id: i64,
    /// Name of the database.
    #[serde(default, deserialize_with = "null_as_default")]
    pub db: String,
    #[serde(rename = "tblId")]
    pub table_id: i64,
    /// Name of the table.
    #[serde(default, deserialize_with = "null_as_default")]
    pub table: String,
    #[serde(default)]
    pub is_entire_table: bool,
    /// What followed the table name: `PARTITIONS (p1, p2)`, ` FORCE`, or nothing.
    #[serde(default, deserialize_with = "null_as_default")]
    pub raw_sql: String,
    /// Names of the truncated partitions by their old ids; the truncated partitions have new ids.
    #[serde(default, deserialize_with = "null_as_default")]
    pub op: BTreeMap<i64, String>,
}
