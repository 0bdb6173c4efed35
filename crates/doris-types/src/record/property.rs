//! Properties of databases and tables.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::lenient::null_as_default;

/// Type 8.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AlterDatabasePropertyRecord {
    #[serde(default)]
    pub db_id: i64,
    #[serde(default, deserialize_with = "null_as_default")]
    pub db_name: String,
    #[serde(default, deserialize_with = "null_as_default")]
    pub properties: BTreeMap<String, String>,
}

/// Type 9.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModifyTablePropertyRecord {
    #[serde(default)]
    pub db_id: i64,
    pub table_id: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ctl_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub db_name: Option<String>,
    #[serde(default, deserialize_with = "null_as_default")]
    pub table_name: String,
    #[serde(default, deserialize_with = "null_as_default")]
    pub properties: BTreeMap<String, String>,
    /// `SET ("k" = "v" ,"k2" = "v2" )`, to be put after `ALTER TABLE x`.
    #[serde(default, deserialize_with = "null_as_default")]
    pub sql: String,
}
