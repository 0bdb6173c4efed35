//! The types of expressions, and how their values look inside SQLite.
//!
//! SQLite has integers, reals, texts and blobs. Decimals of up to 18 digits are scaled integers, so sums
//! stay exact; wider ones and LARGEINT are blobs whose byte order is the order of the numbers. Dates are
//! text in their printed form.

use rusqlite::types::{Value as Cell, ValueRef};

use crate::data::Value;
use crate::data::date::{Date, DateTime};
use crate::data::decimal::{self, Decimal};
use crate::model::{Column, DataType};
use crate::session::ColumnType;

/// The static type of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// A bare NULL.
    Null,
    Bool,
    TinyInt,
    SmallInt,
    Int,
    BigInt,
    Float,
    Double,
    /// An integer scaled by `10^scale`.
    Decimal {
        scale: u8,
    },
    /// A blob; see [`wide_blob`]. LARGEINT has scale 0 and `is_large`.
    Wide {
        scale: u8,
        is_large: bool,
    },
    Date,
    DateTime {
        scale: u8,
    },
    Text,
    Json,
    /// BITMAP, HLL, QUANTILE_STATE: text inside, NULL to clients.
    Object,
}

/// Decimals of more digits are stored as blobs.
const MAX_INTEGER_PRECISION: u8 = 18;

impl Type {
    pub fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Boolean => Type::Bool,
            DataType::TinyInt => Type::TinyInt,
            DataType::SmallInt => Type::SmallInt,
            DataType::Int => Type::Int,
            DataType::BigInt => Type::BigInt,
            DataType::LargeInt => Type::Wide { scale: 0, is_large: true },
            DataType::Float => Type::Float,
            DataType::Double => Type::Double,
            DataType::Decimal { precision, scale } if *precision <= MAX_INTEGER_PRECISION => {
                Type::Decimal { scale: *scale }
            }
            DataType::Decimal { scale, .. } => Type::Wide { scale: *scale, is_large: false },
            DataType::Date => Type::Date,
            DataType::DateTime { scale } => Type::DateTime { scale: *scale },
            DataType::Json | DataType::Variant => Type::Json,
            DataType::Hll | DataType::Bitmap | DataType::QuantileState => Type::Object,
            DataType::Complex(text) if text.starts_with("agg_state") => Type::Object,
            DataType::Char { .. } | DataType::Varchar { .. } | DataType::String | DataType::Complex(_) => {
                Type::Text
            }
        }
    }

    pub fn is_integer(self) -> bool {
        matches!(self, Type::Bool | Type::TinyInt | Type::SmallInt | Type::Int | Type::BigInt)
    }

    pub fn is_numeric(self) -> bool {
        self.is_integer()
            || matches!(self, Type::Float | Type::Double | Type::Decimal { .. } | Type::Wide { .. })
    }

    pub fn is_temporal(self) -> bool {
        matches!(self, Type::Date | Type::DateTime { .. })
    }

    /// What a result column announces.
    pub fn column_type(self) -> ColumnType {
        match self {
            Type::Bool | Type::TinyInt | Type::Null => ColumnType::TinyInt,
            Type::SmallInt => ColumnType::SmallInt,
            Type::Int => ColumnType::Int,
            Type::BigInt => ColumnType::BigInt,
            Type::Float => ColumnType::Float,
            Type::Double => ColumnType::Double,
            Type::Decimal { .. } | Type::Wide { is_large: false, .. } => ColumnType::Decimal,
            Type::Date => ColumnType::Date,
            Type::DateTime { .. } => ColumnType::DateTime,
            Type::Text | Type::Object | Type::Json | Type::Wide { is_large: true, .. } => ColumnType::Text,
        }
    }

    /// Fraction digits of a date and time.
    pub fn datetime_scale(self) -> u8 {
        match self {
            Type::DateTime { scale } => scale,
            _ => 0,
        }
    }
}

/// A stored value as SQLite keeps it in a column of that type.
pub fn to_cell(value: &Value, column: &Column) -> Cell {
    let ty = Type::of(&column.data_type);
    match value {
        Value::Null => Cell::Null,
        Value::Bool(flag) => Cell::Integer(i64::from(*flag)),
        Value::Int(number) => match (ty, i64::try_from(*number)) {
            (Type::Wide { .. }, _) | (_, Err(_)) => {
                Cell::Blob(wide_blob(&number.to_string(), 0).unwrap_or_default())
            }
            (_, Ok(small)) => Cell::Integer(small),
        },
        Value::Float(number) => Cell::Real(*number),
        Value::Decimal(number) => match (ty, i64::try_from(number.unscaled)) {
            (Type::Decimal { .. }, Ok(small)) => Cell::Integer(small),
            _ => Cell::Blob(wide_blob(&number.to_string(), number.scale).unwrap_or_default()),
        },
        Value::WideDecimal(text) => {
            let scale = text.split_once('.').map_or(0, |(_, digits)| digits.len());
            Cell::Blob(wide_blob(text, u8::try_from(scale).unwrap_or(0)).unwrap_or_default())
        }
        Value::Date(date) => Cell::Text(date.to_string()),
        Value::DateTime(_) => Cell::Text(value.to_sql_text(ty.datetime_scale()).unwrap_or_default()),
        Value::Text(text) => Cell::Text(text.clone()),
    }
}

/// What SQLite answered for an expression of that type.
pub fn from_cell(cell: ValueRef<'_>, ty: Type) -> Value {
    match (cell, ty) {
        (ValueRef::Null, _) => Value::Null,
        (ValueRef::Integer(number), Type::Bool) => Value::Bool(number != 0),
        (ValueRef::Integer(number), Type::Decimal { scale }) => {
            Value::Decimal(Decimal::new(i128::from(number), scale))
        }
        (ValueRef::Integer(number), Type::Float | Type::Double) => Value::Float(number as f64),
        (ValueRef::Integer(number), _) => Value::Int(i128::from(number)),
        // Integer arithmetic that overflowed goes on as a real.
        (ValueRef::Real(number), Type::Decimal { scale }) => {
            let exact = Decimal::from_f64(number / 10f64.powi(i32::from(scale)), scale);
            exact.map_or(Value::Float(number), Value::Decimal)
        }
        (ValueRef::Real(number), _) => Value::Float(number),
        (ValueRef::Blob(bytes), Type::Wide { scale, is_large }) => {
            let text = wide_text(bytes, scale);
            if is_large {
                return text.parse().map_or(Value::WideDecimal(text), Value::Int);
            }
            match Decimal::parse(&text, scale) {
                Some(number) if number.fits(decimal::MAX_NARROW_PRECISION) => Value::Decimal(number),
                _ => Value::WideDecimal(text),
            }
        }
        (ValueRef::Blob(bytes), _) => Value::Text(String::from_utf8_lossy(bytes).into_owned()),
        (ValueRef::Text(bytes), ty) => {
            let text = String::from_utf8_lossy(bytes);
            let temporal = match ty {
                Type::Date => Date::parse(&text).map(Value::Date),
                Type::DateTime { .. } => DateTime::parse(&text).map(Value::DateTime),
                _ => None,
            };
            temporal.unwrap_or_else(|| Value::Text(text.into_owned()))
        }
    }
}

/// A number as bytes whose order is the order of numbers of one scale: a sign byte, the count of digits
/// and the digits of the unscaled number; the latter two complemented when negative. `None` when the text
/// is no number.
pub fn wide_blob(text: &str, scale: u8) -> Option<Vec<u8>> {
    let text = decimal::normalise_text(text, u8::MAX, scale)?;
    let negative = text.starts_with('-');
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_digit).skip_while(|byte| *byte == b'0').collect();
    let count = u8::try_from(digits.len()).ok()?;
    let mut out = Vec::with_capacity(digits.len() + 2);
    if negative {
        out.extend([0, 255 - count]);
        out.extend(digits.iter().map(|digit| b'0' + b'9' - digit));
    } else {
        out.extend([1, count]);
        out.extend(digits);
    }
    Some(out)
}

/// The text of what [`wide_blob`] made.
pub fn wide_text(blob: &[u8], scale: u8) -> String {
    let Some((sign, rest)) = blob.split_first() else { return "0".to_owned() };
    let negative = *sign == 0;
    let digits = rest.get(1..).unwrap_or_default().iter();
    let digits: String = digits
        .map(|digit| char::from(if negative { (b'0' + b'9').wrapping_sub(*digit) } else { *digit }))
        .collect();
    let scale = usize::from(scale);
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    let sign = if negative { "-" } else { "" };
    if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_numbers_survive_and_keep_their_order() {
        let texts = [
            "-170141183460469231731687303715884105728",
            "-10.50",
            "-9.99",
            "-0.01",
            "0.00",
            "0.01",
            "9.99",
            "10.50",
        ];
        let blobs: Vec<Vec<u8>> = texts.iter().map(|text| wide_blob(text, 2).unwrap()).collect();
        assert!(blobs.is_sorted(), "{blobs:?}");
        for (text, blob) in texts.iter().zip(&blobs).skip(1) {
            assert_eq!(wide_text(blob, 2), *text);
        }
        assert_eq!(wide_blob("x", 2), None);
        assert_eq!(wide_text(&wide_blob("5", 0).unwrap(), 0), "5");
    }
}
