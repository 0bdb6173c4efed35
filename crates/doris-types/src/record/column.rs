//! Columns and secondary indexes as schema changes record them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::lenient::{minus_one, null_as_default};

/// A column of an index's schema. Keys with internal objects (defaults by expression, generated columns) are
/// kept as they are in `rest`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Column {
    pub name: String,
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub column_type: Option<ColumnType>,
    /// `SUM`, `REPLACE`, `NONE`…; absent on key columns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aggregation_type: Option<String>,
    #[serde(default)]
    pub is_aggregation_type_implicit: bool,
    #[serde(default)]
    pub is_key: bool,
    #[serde(default)]
    pub is_allow_null: bool,
    #[serde(default)]
    pub is_auto_inc: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_inc_init_value: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_value: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// False for hidden columns such as `__DORIS_DELETE_SIGN__`.
    #[serde(default = "yes")]
    pub visible: bool,
    #[serde(default)]
    pub unique_id: i64,
    #[serde(default = "minus_one")]
    pub cluster_key_id: i64,
    #[serde(default)]
    pub has_on_update_default_value: bool,
    /// Everything else, unread.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// The type of a column: a scalar, or a complex type whose parts are in `rest`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnType {
    /// `ScalarType`, `ArrayType`, `MapType`, `StructType`…
    #[serde(default, deserialize_with = "null_as_default")]
    pub clazz: String,
    /// The primitive name (`INT`, `VARCHAR`…) of a scalar.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub primitive: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub len: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<i64>,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// A secondary index (inverted, bitmap, n-gram bloom filter…).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexDefinition {
    #[serde(rename = "i", alias = "indexId", default = "minus_one")]
    pub id: i64,
    #[serde(rename = "in", alias = "indexName", default, deserialize_with = "null_as_default")]
    pub name: String,
    #[serde(rename = "c", alias = "columns", default, deserialize_with = "null_as_default")]
    pub columns: Vec<String>,
    /// `INVERTED`, `BITMAP`, `BLOOMFILTER`, `NGRAM_BF`, `ANN`.
    #[serde(rename = "it", alias = "indexType", default, deserialize_with = "null_as_default")]
    pub index_type: String,
    #[serde(rename = "pt", alias = "properties", default, deserialize_with = "null_as_default")]
    pub properties: BTreeMap<String, String>,
    #[serde(rename = "ct", alias = "comment", default, deserialize_with = "null_as_default")]
    pub comment: String,
}

impl Column {
    /// A visible scalar column, the shape most writers need.
    pub fn scalar(name: impl Into<String>, primitive: impl Into<String>, is_key: bool) -> Self {
        Self {
            name: name.into(),
            column_type: Some(ColumnType::scalar(primitive)),
            is_key,
            is_allow_null: true,
            visible: true,
            cluster_key_id: -1,
            ..Self::default()
        }
    }
}

impl ColumnType {
    /// A scalar without length: Doris writes -1, 0, 0.
    pub fn scalar(primitive: impl Into<String>) -> Self {
        Self {
            clazz: "ScalarType".to_owned(),
            primitive: Some(primitive.into()),
            len: Some(-1),
            precision: Some(0),
            scale: Some(0),
            rest: Map::new(),
        }
    }
}

fn yes() -> bool {
    true
}
