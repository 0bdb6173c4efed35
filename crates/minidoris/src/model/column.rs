//! Columns and their types, as Doris names and prints them.

use serde::{Deserialize, Serialize};

/// How rows with equal keys are merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeysType {
    Duplicate,
    Unique,
    Aggregate,
}

/// A column of a table or of one of its indexes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Column {
    pub name: String,
    pub data_type: DataType,
    pub is_key: bool,
    pub nullable: bool,
    /// For value columns of aggregate tables.
    pub aggregate: Option<AggregateKind>,
    pub default: Option<DefaultValue>,
    pub comment: String,
    /// Stable across renames; new columns get the next number.
    pub unique_id: i32,
    pub visible: bool,
    /// `AUTO_INCREMENT(n)`: the start value.
    pub auto_increment: Option<i64>,
    /// `AS (expr)` of a generated column, in its printed form.
    pub generated: Option<String>,
    /// `ON UPDATE CURRENT_TIMESTAMP`.
    pub on_update: Option<String>,
    /// In a synchronous materialised view: what the column holds, over columns of the table, as DESC prints it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub define: Option<String>,
}

impl Column {
    /// The column of the table that it is defined by, when that is all.
    pub fn plain_source(&self) -> Option<&str> {
        let name = self.define.as_deref()?.strip_prefix('`')?.strip_suffix('`')?;
        (!name.contains('`')).then_some(name)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DefaultValue {
    /// `DEFAULT "0"`.
    Literal(String),
    /// `DEFAULT NULL`.
    Null,
    /// `DEFAULT CURRENT_TIMESTAMP`, `BITMAP_EMPTY`, `PI`…, printed without quotes.
    Function(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AggregateKind {
    Sum,
    Min,
    Max,
    Replace,
    ReplaceIfNotNull,
    HllUnion,
    BitmapUnion,
    QuantileUnion,
    Generic,
}

/// A Doris type. Complex types keep their inner text as printed (`array<int>`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DataType {
    Boolean,
    TinyInt,
    SmallInt,
    Int,
    BigInt,
    LargeInt,
    Float,
    Double,
    Decimal {
        precision: u8,
        scale: u8,
    },
    Date,
    DateTime {
        scale: u8,
    },
    Char {
        length: u32,
    },
    /// 65533 when no length was given.
    Varchar {
        length: u32,
    },
    String,
    Json,
    Variant,
    Hll,
    Bitmap,
    QuantileState,
    /// `array<…>`, `map<…>`, `struct<…>`, `agg_state<…>`: the whole text, lower case.
    Complex(String),
}
