//! Views redefined.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Column;
use super::lenient::null_as_default;

/// Type 17.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModifyViewDefRecord {
    #[serde(default)]
    pub db_id: i64,
    pub table_id: i64,
    /// The SELECT, qualified with the source database; empty when only the comment changed.
    #[serde(default, deserialize_with = "null_as_default")]
    pub inline_view_def: String,
    #[serde(default, deserialize_with = "null_as_default")]
    pub new_full_schema: Vec<Column>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Session variables that the definition depends on.
    #[serde(default, rename = "sv", skip_serializing_if = "Option::is_none")]
    pub session_variables: Option<Value>,
}
