//! How Doris prints types, aggregations and key models, in SHOW CREATE TABLE and in DESC.

use std::fmt;

use super::{AggregateKind, DataType, KeysType};

impl fmt::Display for DataType {
    /// The lower-case form of SHOW CREATE TABLE: `int`, `varchar(32)`, `decimal(10,2)`, `datetime(3)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DataType::Boolean => f.write_str("boolean"),
            DataType::TinyInt => f.write_str("tinyint"),
            DataType::SmallInt => f.write_str("smallint"),
            DataType::Int => f.write_str("int"),
            DataType::BigInt => f.write_str("bigint"),
            DataType::LargeInt => f.write_str("largeint"),
            DataType::Float => f.write_str("float"),
            DataType::Double => f.write_str("double"),
            DataType::Decimal { precision, scale } => write!(f, "decimal({precision},{scale})"),
            DataType::Date => f.write_str("date"),
            DataType::DateTime { scale: 0 } => f.write_str("datetime"),
            DataType::DateTime { scale } => write!(f, "datetime({scale})"),
            DataType::Char { length } => write!(f, "char({length})"),
            DataType::Varchar { length } => write!(f, "varchar({length})"),
            DataType::String => f.write_str("text"),
            DataType::Json => f.write_str("json"),
            DataType::Variant => f.write_str("variant"),
            DataType::Hll => f.write_str("hll"),
            DataType::Bitmap => f.write_str("bitmap"),
            DataType::QuantileState => f.write_str("quantile_state"),
            DataType::Complex(text) => f.write_str(text),
        }
    }
}

impl DataType {
    /// The primitive type's name, as partition identities and records spell it.
    pub fn primitive_name(&self) -> &'static str {
        match self {
            DataType::Boolean => "BOOLEAN",
            DataType::TinyInt => "TINYINT",
            DataType::SmallInt => "SMALLINT",
            DataType::Int => "INT",
            DataType::BigInt => "BIGINT",
            DataType::LargeInt => "LARGEINT",
            DataType::Float => "FLOAT",
            DataType::Double => "DOUBLE",
            DataType::Decimal { precision: 0..=9, .. } => "DECIMAL32",
            DataType::Decimal { precision: 10..=18, .. } => "DECIMAL64",
            DataType::Decimal { precision: 19..=38, .. } => "DECIMAL128I",
            DataType::Decimal { .. } => "DECIMAL256",
            DataType::Date => "DATEV2",
            DataType::DateTime { .. } => "DATETIMEV2",
            DataType::Char { .. } => "CHAR",
            DataType::Varchar { .. } => "VARCHAR",
            DataType::String => "STRING",
            DataType::Json => "JSONB",
            DataType::Variant => "VARIANT",
            DataType::Hll => "HLL",
            DataType::Bitmap => "BITMAP",
            DataType::QuantileState => "QUANTILE_STATE",
            DataType::Complex(text) if text.starts_with("array") => "ARRAY",
            DataType::Complex(text) if text.starts_with("map") => "MAP",
            DataType::Complex(text) if text.starts_with("struct") => "STRUCT",
            DataType::Complex(text) if text.starts_with("agg_state") => "AGG_STATE",
            DataType::Complex(text) if text.starts_with("ipv4") => "IPV4",
            DataType::Complex(text) if text.starts_with("ipv6") => "IPV6",
            DataType::Complex(_) => "TIMEV2",
        }
    }

    /// Whether literals of the type are quoted with single quotes in partition bounds.
    pub fn is_date(&self) -> bool {
        matches!(self, DataType::Date | DataType::DateTime { .. })
    }

    pub fn is_integer(&self) -> bool {
        matches!(
            self,
            DataType::TinyInt | DataType::SmallInt | DataType::Int | DataType::BigInt | DataType::LargeInt
        )
    }

    pub fn is_text(&self) -> bool {
        matches!(self, DataType::Char { .. } | DataType::Varchar { .. } | DataType::String)
    }
}

impl AggregateKind {
    /// The keyword of a column definition.
    pub fn keyword(self) -> &'static str {
        match self {
            AggregateKind::Sum => "SUM",
            AggregateKind::Min => "MIN",
            AggregateKind::Max => "MAX",
            AggregateKind::Replace => "REPLACE",
            AggregateKind::ReplaceIfNotNull => "REPLACE_IF_NOT_NULL",
            AggregateKind::HllUnion => "HLL_UNION",
            AggregateKind::BitmapUnion => "BITMAP_UNION",
            AggregateKind::QuantileUnion => "QUANTILE_UNION",
            AggregateKind::Generic => "GENERIC",
        }
    }

    pub fn from_keyword(word: &str) -> Option<Self> {
        [
            AggregateKind::Sum,
            AggregateKind::Min,
            AggregateKind::Max,
            AggregateKind::Replace,
            AggregateKind::ReplaceIfNotNull,
            AggregateKind::HllUnion,
            AggregateKind::BitmapUnion,
            AggregateKind::QuantileUnion,
            AggregateKind::Generic,
        ]
        .into_iter()
        .find(|kind| kind.keyword().eq_ignore_ascii_case(word))
    }
}

impl KeysType {
    /// The first word of the key clause.
    pub fn keyword(self) -> &'static str {
        match self {
            KeysType::Duplicate => "DUPLICATE",
            KeysType::Unique => "UNIQUE",
            KeysType::Aggregate => "AGGREGATE",
        }
    }
}
