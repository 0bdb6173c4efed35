//! What a tablet knows of its index: columns, key model, sequence column.

use crate::model::{Column, DataType, IndexSchema, KeysType, OlapTable, SHADOW_PREFIX};
use serde::{Deserialize, Serialize};

use super::cast;
use super::{IndexFormat, InvertedIndexes, Value};

/// The schema a tablet reads and writes with. Rows hold one value per column, in this order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TabletSchema {
    pub columns: Vec<Column>,
    pub keys_type: KeysType,
    /// Position of the column whose greater value wins among rows of one key of a unique table.
    pub sequence: Option<usize>,
    #[serde(default)]
    pub inverted_indexes: InvertedIndexes,
}

/// The hidden column of `function_column.sequence_type`.
pub const SEQUENCE_COLUMN: &str = "__DORIS_SEQUENCE_COL__";

impl TabletSchema {
    pub fn new(columns: Vec<Column>, keys_type: KeysType) -> Self {
        let sequence = columns.iter().position(|column| column.name == SEQUENCE_COLUMN);
        Self { columns, keys_type, sequence, inverted_indexes: InvertedIndexes::default() }
    }

    /// The schema of one index of a table.
    pub fn of(table: &OlapTable, index: &IndexSchema) -> Self {
        let mut schema = Self::new(index.columns.clone(), index.keys_type);
        if schema.sequence.is_none()
            && let Some(name) = table.properties.get("function_column.sequence_col")
        {
            let column = index.column_of(name);
            schema.sequence = column.and_then(|column| schema.position(&column.name));
        }
        // Rollups have no secondary indexes; what will take the base index's place has its.
        if index.name.strip_prefix(SHADOW_PREFIX).unwrap_or(&index.name) == table.name {
            let property = table.properties.get("inverted_index_storage_format");
            let has_files = |kind: &str| kind == "INVERTED" || kind == "ANN";
            let indexes = table.secondary_indexes.iter().filter(|index| has_files(&index.kind));
            schema.inverted_indexes = InvertedIndexes {
                format: IndexFormat::of_property(property.map(String::as_str)),
                ids: indexes.map(|index| index.id).collect(),
            };
        }
        schema
    }

    /// Number of leading key columns.
    pub fn key_count(&self) -> usize {
        self.columns.iter().filter(|column| column.is_key).count()
    }

    pub fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name))
    }

    pub fn position_of_unique_id(&self, unique_id: i32) -> Option<usize> {
        self.columns.iter().position(|column| column.unique_id == unique_id)
    }

    /// What a row written before the column existed shows.
    pub fn missing_value(&self, position: usize) -> Value {
        self.columns.get(position).map_or(Value::Null, cast::default_value)
    }
}

/// Fraction digits of a DATETIME column, 0 for everything else.
pub fn datetime_scale(data_type: &DataType) -> u8 {
    match data_type {
        DataType::DateTime { scale } => *scale,
        DataType::Boolean
        | DataType::TinyInt
        | DataType::SmallInt
        | DataType::Int
        | DataType::BigInt
        | DataType::LargeInt
        | DataType::Float
        | DataType::Double
        | DataType::Decimal { .. }
        | DataType::Date
        | DataType::Char { .. }
        | DataType::Varchar { .. }
        | DataType::String
        | DataType::Json
        | DataType::Variant
        | DataType::Hll
        | DataType::Bitmap
        | DataType::QuantileState
        | DataType::Complex(_) => 0,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn column(name: &str, data_type: DataType, is_key: bool, unique_id: i32) -> Column {
        Column {
            name: name.to_owned(),
            data_type,
            is_key,
            nullable: true,
            aggregate: None,
            default: None,
            comment: String::new(),
            unique_id,
            visible: true,
            auto_increment: None,
            generated: None,
            on_update: None,
            define: None,
        }
    }

    /// INT columns, the first `keys` of them keys, numbered from 0.
    pub(crate) fn int_schema(names: &[&str], keys: usize, keys_type: KeysType) -> TabletSchema {
        let columns = names
            .iter()
            .enumerate()
            .map(|(at, name)| column(name, DataType::Int, at < keys, i32::try_from(at).unwrap()))
            .collect();
        TabletSchema::new(columns, keys_type)
    }
}
