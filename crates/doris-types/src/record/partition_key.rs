//! The bounds of a partition as ADD_PARTITION nests them.
//!
//! A key is an array of `[TYPE, literal]` pairs with one string behind them, which is JSON again:
//! `[isDefault,"unused"]`. Literals stay generic values: their shape differs by type and release, and the
//! statement in the record says the same in a stable form.

use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::lenient::null_as_default;

/// One end of a RANGE partition. Tables that are not range-partitioned have two closed ends with empty keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RangeBound {
    #[serde(rename = "type")]
    pub bound: BoundType,
    #[serde(default)]
    pub value: PartitionKeyValue,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum BoundType {
    #[default]
    Closed,
    Open,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PartitionKeyValue {
    pub columns: Vec<KeyLiteral>,
    /// The key of a default LIST partition.
    pub is_default: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyLiteral {
    /// Primitive type name of the column.
    pub type_name: String,
    /// `{"clazz":"IntLiteral","value":10}` and the like.
    pub literal: Value,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListPartitionItem {
    #[serde(default = "list_clazz")]
    pub clazz: String,
    #[serde(rename = "partitionKeys", default, deserialize_with = "null_as_default")]
    pub partition_keys: Vec<PartitionKeyValue>,
    #[serde(rename = "idp", alias = "isDefaultPartition", default)]
    pub is_default_partition: bool,
}

impl Serialize for PartitionKeyValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut array = serializer.serialize_seq(Some(self.columns.len() + 1))?;
        for column in &self.columns {
            array.serialize_element(&(&column.type_name, &column.literal))?;
        }
        array.serialize_element(&format!("[{},\"unused\"]", self.is_default))?;
        array.end()
    }
}

impl<'de> Deserialize<'de> for PartitionKeyValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Element {
            Pair(String, Value),
            Tail(String),
        }

        let mut key = Self::default();
        for element in Option::<Vec<Element>>::deserialize(deserializer)?.unwrap_or_default() {
            match element {
                Element::Pair(type_name, literal) => key.columns.push(KeyLiteral { type_name, literal }),
                Element::Tail(text) => key.is_default = text.starts_with("[true"),
            }
        }
        Ok(key)
    }
}

fn list_clazz() -> String {
    "ListPartitionItem".to_owned()
}
