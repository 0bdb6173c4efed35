//! `information_schema.columns`.

use super::format::cell;
use super::tables::{columns_of, describe_row, short_keys_name};
use crate::model::DataType;
use crate::session::ResultSet;
use crate::state::FeState;

const COLUMNS: [&str; 24] = [
    "TABLE_CATALOG",
    "TABLE_SCHEMA",
    "TABLE_NAME",
    "COLUMN_NAME",
    "ORDINAL_POSITION",
    "COLUMN_DEFAULT",
    "IS_NULLABLE",
    "DATA_TYPE",
    "CHARACTER_MAXIMUM_LENGTH",
    "CHARACTER_OCTET_LENGTH",
    "NUMERIC_PRECISION",
    "NUMERIC_SCALE",
    "DATETIME_PRECISION",
    "CHARACTER_SET_NAME",
    "COLLATION_NAME",
    "COLUMN_TYPE",
    "COLUMN_KEY",
    "EXTRA",
    "PRIVILEGES",
    "COLUMN_COMMENT",
    "COLUMN_SIZE",
    "DECIMAL_DIGITS",
    "GENERATION_EXPRESSION",
    "SRS_ID",
];

/// The visible columns of all tables and views.
pub fn rows(state: &FeState) -> ResultSet {
    let mut result = ResultSet::new(&COLUMNS);
    for (db, table) in
        state.databases.values().flat_map(|db| db.tables.values().map(move |table| (db, table)))
    {
        for (at, column) in columns_of(table).iter().filter(|column| column.visible).enumerate() {
            let described = describe_row(column);
            let type_text = column.data_type.to_string();
            let base = type_text.split(['(', '<']).next().unwrap_or_default();
            let key = match (column.is_key, table.as_olap().map(|table| table.keys_type)) {
                (true, Some(keys_type)) => short_keys_name(keys_type),
                (true, None) | (false, _) => "",
            };
            let size = Size::of(&column.data_type);
            result.rows.push(vec![
                cell("internal"),
                cell(&db.name),
                cell(table.name()),
                cell(&column.name),
                cell(at + 1),
                described[4].clone(),
                cell(if column.nullable { "YES" } else { "NO" }),
                cell(base),
                size.length.and_then(cell),
                size.length.map(|length| length * 4).and_then(cell),
                size.precision.and_then(cell),
                size.scale.and_then(cell),
                size.fraction.and_then(cell),
                None,
                None,
                cell(&type_text),
                cell(key),
                described[5].clone(),
                cell(""),
                cell(&column.comment),
                size.length.or(size.precision).and_then(cell),
                size.scale.and_then(cell),
                column.generated.as_ref().and_then(cell),
                None,
            ]);
        }
    }
    result
}

/// What a type says of the size of its values.
#[derive(Debug, Default)]
struct Size {
    /// Of texts, in characters.
    length: Option<u64>,
    /// Digits of a number.
    precision: Option<u64>,
    /// Digits of it behind the point.
    scale: Option<u64>,
    /// Digits of the fraction of a second.
    fraction: Option<u64>,
}

impl Size {
    fn of(data_type: &DataType) -> Self {
        let integer = |digits| Self { precision: Some(digits), scale: Some(0), ..Self::default() };
        match data_type {
            DataType::TinyInt => integer(3),
            DataType::SmallInt => integer(5),
            DataType::Int => integer(10),
            DataType::BigInt => integer(19),
            DataType::LargeInt => integer(39),
            DataType::Float => Self { precision: Some(7), scale: Some(7), ..Self::default() },
            DataType::Double => Self { precision: Some(15), scale: Some(15), ..Self::default() },
            DataType::Decimal { precision, scale } => {
                Self { precision: Some((*precision).into()), scale: Some((*scale).into()), ..Self::default() }
            }
            DataType::Char { length } | DataType::Varchar { length } => {
                Self { length: Some((*length).into()), ..Self::default() }
            }
            DataType::String => Self { length: Some(2_147_483_643), ..Self::default() },
            DataType::DateTime { scale } => Self { fraction: Some((*scale).into()), ..Self::default() },
            DataType::Boolean
            | DataType::Date
            | DataType::Json
            | DataType::Variant
            | DataType::Hll
            | DataType::Bitmap
            | DataType::QuantileState
            | DataType::Complex(_) => Self::default(),
        }
    }
}
