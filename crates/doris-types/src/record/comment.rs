//! Comments of tables and columns.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::lenient::null_as_default;

/// Type 16.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModifyCommentRecord {
    #[serde(rename = "type")]
    pub target: CommentTarget,
    #[serde(rename = "dbId", default)]
    pub db_id: i64,
    #[serde(rename = "tblId")]
    pub table_id: i64,
    /// New comment by column name.
    #[serde(
        rename = "colToComment",
        default,
        deserialize_with = "null_as_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub column_comments: BTreeMap<String, String>,
    #[serde(rename = "tblComment", default, skip_serializing_if = "Option::is_none")]
    pub table_comment: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum CommentTarget {
    #[default]
    Table,
    Column,
    /// A target this crate does not know, as written.
    #[serde(untagged)]
    Other(String),
}
