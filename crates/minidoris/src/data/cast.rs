//! Text and values into the type of a column, with Doris's limits.

use thiserror::Error;

use super::complex::{canonical, compact_json};
use crate::model::{Column, DataType, DefaultValue};

use super::date::{Date, DateTime};
use super::decimal::{self, Decimal, MAX_NARROW_PRECISION};
use super::{Value, objects, states};

/// Why a value does not fit its column.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CastError {
    #[error("column_name[{column}], null value for not null column, type={data_type}")]
    Null { column: String, data_type: String },
    #[error("column_name[{column}], cast failed, value={value}, type={data_type}")]
    Invalid { column: String, value: String, data_type: String },
    #[error(
        "column_name[{column}], the length of input is too long than schema. first 32 bytes of input str: \
         [{head}] schema length: {limit}; actual length: {actual}"
    )]
    TooLong { column: String, head: String, limit: usize, actual: usize },
    #[error(
        "column_name[{column}], decimal value is not valid for definition, value={value}, \
         precision={precision}, scale={scale}"
    )]
    Decimal { column: String, value: String, precision: u8, scale: u8 },
}

/// Bytes a STRING may have (`string_type_length_soft_limit_bytes`).
const STRING_LIMIT: usize = 1_048_576;

/// Reads the text of a cell, as a load or a string literal gives it. Empty text is NULL for types that
/// cannot be empty.
pub fn from_text(text: &str, column: &Column) -> Result<Value, CastError> {
    let invalid = || CastError::Invalid {
        column: column.name.clone(),
        value: text.chars().take(64).collect(),
        data_type: type_name(&column.data_type),
    };
    let value = match &column.data_type {
        DataType::Boolean => match text.trim() {
            "1" | "true" | "TRUE" | "True" => Value::Bool(true),
            "0" | "false" | "FALSE" | "False" => Value::Bool(false),
            other => match other.parse::<i64>() {
                Ok(number) => Value::Bool(number != 0),
                Err(_) => return Err(invalid()),
            },
        },
        DataType::TinyInt | DataType::SmallInt | DataType::Int | DataType::BigInt | DataType::LargeInt => {
            Value::Int(parse_int(text.trim(), &column.data_type).ok_or_else(invalid)?)
        }
        DataType::Float => {
            let number: f32 = text.trim().parse().map_err(|_| invalid())?;
            Value::Float(widen(number))
        }
        DataType::Double => Value::Float(text.trim().parse().map_err(|_| invalid())?),
        DataType::Decimal { precision, scale } => {
            parse_decimal(text.trim(), *precision, *scale).ok_or_else(|| CastError::Decimal {
                column: column.name.clone(),
                value: text.chars().take(96).collect(),
                precision: *precision,
                scale: *scale,
            })?
        }
        DataType::Date => Value::Date(Date::parse(text).ok_or_else(invalid)?),
        DataType::DateTime { scale } => {
            Value::DateTime(DateTime::parse(text).ok_or_else(invalid)?.with_scale(*scale))
        }
        DataType::Char { length } | DataType::Varchar { length } => {
            return limited(text, *length as usize, column);
        }
        DataType::Json | DataType::Variant => return limited(&compact_json(text), STRING_LIMIT, column),
        DataType::String => return limited(text, STRING_LIMIT, column),
        DataType::Bitmap => match objects::bitmap_members(text) {
            Some(members) => Value::Text(objects::bitmap_text(&members)),
            None => return Err(invalid()),
        },
        DataType::Complex(data_type) if data_type.starts_with("agg_state") => match states::rows(text) {
            Some(_) => Value::Text(text.to_owned()),
            None => return Err(invalid()),
        },
        DataType::Complex(data_type) => {
            Value::Text(canonical(data_type, text).unwrap_or_else(|| text.to_owned()))
        }
        DataType::Hll | DataType::QuantileState => Value::Text(text.to_owned()),
    };
    Ok(value)
}

/// Converts a value to the column's type and checks NOT NULL.
pub fn coerce(value: Value, column: &Column) -> Result<Value, CastError> {
    let fits = match (&value, &column.data_type) {
        (Value::Null, _) => return null(column),
        (Value::Bool(_), DataType::Boolean)
        | (Value::Int(_), DataType::LargeInt)
        | (Value::Float(_), DataType::Double)
        | (Value::Date(_), DataType::Date) => true,
        (Value::Decimal(number), DataType::Decimal { precision, scale }) => {
            number.scale == *scale && number.fits(*precision)
        }
        (Value::Int(number), data_type) => {
            int_range(data_type).is_some_and(|(low, high)| (low..=high).contains(number))
        }
        _ => false,
    };
    if fits {
        return Ok(value);
    }
    match (&value, &column.data_type) {
        (Value::Decimal(number), data_type) if int_range(data_type).is_some() => {
            from_text(&number.truncate().to_string(), column)
        }
        (Value::Float(number), data_type) if int_range(data_type).is_some() => {
            from_text(&number.trunc().to_string(), column)
        }
        (Value::Float(number), DataType::Decimal { .. }) => from_text(&number.to_string(), column),
        (Value::DateTime(at), DataType::Date) => Ok(Value::Date(at.date())),
        (Value::DateTime(at), DataType::DateTime { scale }) => Ok(Value::DateTime(at.with_scale(*scale))),
        (Value::Text(text), _) => from_text(text, column),
        _ => from_text(&value.to_sql_text(6).unwrap_or_default(), column),
    }
}

/// What a row shows for a column it was written without, and what INSERT fills in for DEFAULT.
/// `CURRENT_TIMESTAMP` needs a clock and is NULL here; see [`insert_default`].
pub fn default_value(column: &Column) -> Value {
    match &column.default {
        Some(DefaultValue::Literal(text)) => from_text(text, column).unwrap_or(Value::Null),
        Some(DefaultValue::Function(name)) => function_default(name, column, None),
        Some(DefaultValue::Null) | None => object_default(column),
    }
}

/// The default of an omitted column at the time `now`.
pub fn insert_default(column: &Column, now: DateTime) -> Result<Value, CastError> {
    match &column.default {
        Some(DefaultValue::Literal(text)) => from_text(text, column),
        Some(DefaultValue::Function(name)) => Ok(function_default(name, column, Some(now))),
        Some(DefaultValue::Null) | None => match object_default(column) {
            Value::Null => null(column),
            value => Ok(value),
        },
    }
}

fn object_default(column: &Column) -> Value {
    match column.data_type {
        DataType::Bitmap | DataType::Hll if !column.nullable => Value::Text(String::new()),
        _ => Value::Null,
    }
}

/// What a function of a DEFAULT or ON UPDATE clause gives at that time.
pub fn function_value(function: &str, column: &Column, now: DateTime) -> Value {
    function_default(function, column, Some(now))
}

fn function_default(name: &str, column: &Column, now: Option<DateTime>) -> Value {
    let upper = name.to_ascii_uppercase();
    match upper.split('(').next().unwrap_or_default() {
        "CURRENT_TIMESTAMP" | "NOW" => match (now, &column.data_type) {
            (Some(at), DataType::Date) => Value::Date(at.date()),
            (Some(at), DataType::DateTime { scale }) => Value::DateTime(at.with_scale(*scale)),
            _ => Value::Null,
        },
        "CURRENT_DATE" => now.map_or(Value::Null, |at| Value::Date(at.date())),
        "PI" => Value::Float(std::f64::consts::PI),
        "E" => Value::Float(std::f64::consts::E),
        "BITMAP_EMPTY" | "HLL_EMPTY" => Value::Text(String::new()),
        _ => Value::Null,
    }
}

fn null(column: &Column) -> Result<Value, CastError> {
    if column.nullable {
        return Ok(Value::Null);
    }
    Err(CastError::Null { column: column.name.clone(), data_type: type_name(&column.data_type) })
}

fn limited(text: &str, limit: usize, column: &Column) -> Result<Value, CastError> {
    if text.len() <= limit {
        return Ok(Value::Text(text.to_owned()));
    }
    let mut cut = 32.min(text.len());
    while !text.is_char_boundary(cut) {
        cut -= 1;
    }
    Err(CastError::TooLong {
        column: column.name.clone(),
        head: text[..cut].to_owned(),
        limit,
        actual: text.len(),
    })
}

/// The range of an integer type.
fn int_range(data_type: &DataType) -> Option<(i128, i128)> {
    Some(match data_type {
        DataType::TinyInt => (i128::from(i8::MIN), i128::from(i8::MAX)),
        DataType::SmallInt => (i128::from(i16::MIN), i128::from(i16::MAX)),
        DataType::Int => (i128::from(i32::MIN), i128::from(i32::MAX)),
        DataType::BigInt => (i128::from(i64::MIN), i128::from(i64::MAX)),
        DataType::LargeInt => (i128::MIN, i128::MAX),
        _ => return None,
    })
}

fn parse_int(text: &str, data_type: &DataType) -> Option<i128> {
    let number = match text.parse::<i64>() {
        Ok(number) => i128::from(number),
        Err(_) => match text.parse::<i128>() {
            Ok(number) => number,
            Err(_) if text.eq_ignore_ascii_case("true") => 1,
            Err(_) if text.eq_ignore_ascii_case("false") => 0,
            // A fraction is cut off.
            Err(_) => Decimal::parse(text, 18)?.truncate(),
        },
    };
    let (low, high) = int_range(data_type)?;
    (low..=high).contains(&number).then_some(number)
}

fn parse_decimal(text: &str, precision: u8, scale: u8) -> Option<Value> {
    if precision <= MAX_NARROW_PRECISION {
        let number = Decimal::parse(text, scale).filter(|number| number.fits(precision))?;
        return Some(Value::Decimal(number));
    }
    decimal::normalise_text(text, precision, scale).map(Value::WideDecimal)
}

/// The double with the shortest text of a float, so that 0.1 stays 0.1.
fn widen(number: f32) -> f64 {
    number.to_string().parse().unwrap_or_else(|_| f64::from(number))
}

/// The type in Doris's upper-case form, for messages.
pub fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Boolean => "BOOLEAN".to_owned(),
        DataType::TinyInt => "TINYINT".to_owned(),
        DataType::SmallInt => "SMALLINT".to_owned(),
        DataType::Int => "INT".to_owned(),
        DataType::BigInt => "BIGINT".to_owned(),
        DataType::LargeInt => "LARGEINT".to_owned(),
        DataType::Float => "FLOAT".to_owned(),
        DataType::Double => "DOUBLE".to_owned(),
        DataType::Decimal { precision, scale } => format!("DECIMALV3({precision}, {scale})"),
        DataType::Date => "DATEV2".to_owned(),
        DataType::DateTime { scale } => format!("DATETIMEV2({scale})"),
        DataType::Char { length } => format!("CHAR({length})"),
        DataType::Varchar { length } => format!("VARCHAR({length})"),
        DataType::String => "STRING".to_owned(),
        DataType::Json => "JSON".to_owned(),
        DataType::Variant => "VARIANT".to_owned(),
        DataType::Hll => "HLL".to_owned(),
        DataType::Bitmap => "BITMAP".to_owned(),
        DataType::QuantileState => "QUANTILE_STATE".to_owned(),
        DataType::Complex(text) => text.to_ascii_uppercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::schema::tests::column;
    use super::*;

    fn shown(text: &str, data_type: DataType) -> Option<String> {
        let scale = super::super::schema::datetime_scale(&data_type);
        from_text(text, &column("c", data_type, false, 0)).ok()?.to_sql_text(scale)
    }

    #[test]
    fn texts_become_typed_values() {
        for (text, data_type, wanted) in [
            ("127", DataType::TinyInt, Some("127")),
            ("128", DataType::TinyInt, None),
            ("-2147483649", DataType::Int, None),
            ("5.9", DataType::Int, Some("5")),
            (
                "170141183460469231731687303715884105727",
                DataType::LargeInt,
                Some("170141183460469231731687303715884105727"),
            ),
            ("true", DataType::Boolean, Some("1")),
            ("maybe", DataType::Boolean, None),
            ("0.1", DataType::Float, Some("0.1")),
            ("100", DataType::Double, Some("100")),
            ("1e20", DataType::Double, Some("1e+20")),
            ("1.005", DataType::Decimal { precision: 5, scale: 2 }, Some("1.01")),
            ("1000", DataType::Decimal { precision: 5, scale: 2 }, None),
            ("1", DataType::Decimal { precision: 76, scale: 20 }, Some("1.00000000000000000000")),
            ("2024-1-2 10:11:12", DataType::Date, Some("2024-01-02")),
            ("2024-01-02", DataType::DateTime { scale: 3 }, Some("2024-01-02 00:00:00.000")),
            ("2024-02-30", DataType::Date, None),
            ("né", DataType::Varchar { length: 3 }, Some("né")),
            ("née", DataType::Varchar { length: 3 }, None),
            ("3,1,3", DataType::Bitmap, Some("1,3")),
        ] {
            assert_eq!(shown(text, data_type.clone()).as_deref(), wanted, "{text} as {data_type:?}");
        }
    }

    #[test]
    fn values_are_coerced() {
        let int = column("i", DataType::Int, false, 0);
        assert_eq!(coerce(Value::Decimal(Decimal::new(59, 1)), &int), Ok(Value::Int(5)));
        assert_eq!(coerce(Value::Text("7".to_owned()), &int), Ok(Value::Int(7)));
        let text = column("s", DataType::String, false, 0);
        assert_eq!(coerce(Value::Int(5), &text), Ok(Value::Text("5".to_owned())));
        let amount = column("d", DataType::Decimal { precision: 15, scale: 2 }, false, 0);
        assert_eq!(coerce(Value::Float(0.07), &amount), Ok(Value::Decimal(Decimal::new(7, 2))));
    }

    #[test]
    fn null_is_refused_where_the_column_says_so() {
        let mut strict = column("k", DataType::Int, true, 0);
        strict.nullable = false;
        let error = coerce(Value::Null, &strict).unwrap_err();
        assert_eq!(error.to_string(), "column_name[k], null value for not null column, type=INT");
        let now = DateTime::parse("2024-01-02 03:04:05").unwrap();
        assert!(insert_default(&strict, now).is_err());
    }
}
