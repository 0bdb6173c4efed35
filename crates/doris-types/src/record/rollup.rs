//! Rollups and synchronous materialised views dropped.

use serde::{Deserialize, Serialize};

use super::lenient::null_as_default;

/// Type 23.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DropRollupRecord {
    /// Catalogue name, `internal`.
    #[serde(rename = "ctl", default, deserialize_with = "null_as_default")]
    pub catalog: String,
    /// Name of the database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub db: Option<String>,
    #[serde(default)]
    pub db_id: i64,
    pub table_id: i64,
    #[serde(default, deserialize_with = "null_as_default")]
    pub table_name: String,
    #[serde(default)]
    pub index_id: i64,
    #[serde(default, deserialize_with = "null_as_default")]
    pub index_name: String,
    #[serde(default)]
    pub is_view: bool,
    #[serde(default)]
    pub force_drop: bool,
    #[serde(default)]
    pub recycle_time: i64,
}
