//! The default distribution of future partitions.

use serde::{Deserialize, Serialize};

use super::lenient::null_as_default;

/// Type 25.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModifyDistributionBucketNumRecord {
    #[serde(default)]
    pub db_id: i64,
    pub table_id: i64,
    /// `HASH` or `RANDOM`.
    #[serde(rename = "type", default, deserialize_with = "null_as_default")]
    pub kind: String,
    #[serde(default)]
    pub auto_bucket: bool,
    pub bucket_num: i64,
    /// The hash columns as SQL, back-quoted and separated by commas.
    #[serde(default, deserialize_with = "null_as_default")]
    pub columns_name: String,
}
