//! Tables and partitions taken back from the recycle bin.

use serde::{Deserialize, Serialize};

use super::lenient::null_as_default;

/// Type 24. `partition_id` -1 or 0 with an empty name means the whole table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecoverInfoRecord {
    #[serde(default)]
    pub db_id: i64,
    #[serde(default, deserialize_with = "null_as_default")]
    pub new_db_name: String,
    pub table_id: i64,
    #[serde(default, deserialize_with = "null_as_default")]
    pub table_name: String,
    /// Empty when the table kept its name.
    #[serde(default, deserialize_with = "null_as_default")]
    pub new_table_name: String,
    #[serde(default)]
    pub partition_id: i64,
    #[serde(default, deserialize_with = "null_as_default")]
    pub partition_name: String,
    /// Empty when the partition kept its name.
    #[serde(default, deserialize_with = "null_as_default")]
    pub new_partition_name: String,
}

impl RecoverInfoRecord {
    /// Whether one partition was recovered, not the table.
    pub fn is_partition(&self) -> bool {
        self.partition_id > 0
    }
}
