//! REPLACE WITH TABLE.

use serde::{Deserialize, Serialize};

use super::lenient::null_as_default;

/// Type 18. The JSON key `newTblName` holds the id of the replacing table, its name is in `actualNewTblName`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplaceTableRecord {
    #[serde(rename = "dbId", default)]
    pub db_id: i64,
    #[serde(rename = "origTblId")]
    pub orig_table_id: i64,
    #[serde(rename = "origTblName", default, deserialize_with = "null_as_default")]
    pub orig_table_name: String,
    #[serde(rename = "newTblName")]
    pub new_table_id: i64,
    #[serde(rename = "actualNewTblName", default, deserialize_with = "null_as_default")]
    pub new_table_name: String,
    /// Both tables live on with exchanged names; otherwise the original one is dropped.
    #[serde(rename = "swapTable", default)]
    pub swap_table: bool,
    #[serde(rename = "isForce", default)]
    pub is_force: bool,
}
