//! BARRIER: a sequence point, or the envelope of another record.

use serde::{Deserialize, Serialize};

use super::BinlogType;
use super::lenient::null_as_default;

/// Type 10. Plain, it marks where a backup cut one table. Older FEs also wrap types their edit log could not
/// carry: then `binlog` is the JSON of a record of type `binlog_type`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BarrierRecord {
    #[serde(default)]
    pub db_id: i64,
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "String::is_empty")]
    pub db_name: String,
    #[serde(default)]
    pub table_id: i64,
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "String::is_empty")]
    pub table_name: String,
    /// 0 when nothing is wrapped, which is also the number of UPSERT: only `binlog` tells.
    #[serde(default)]
    pub binlog_type: BinlogType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binlog: Option<String>,
}
