//! Partition bounds by type: their normal form and their order.
//!
//! A value is stored in the text form of the partition identity, so that two texts for the same bound
//! (`"01"` and `1`, `20240101` and `2024-01-01`) are the same value.

use std::cmp::Ordering;

use super::{DataType, PartitionValue};

impl PartitionValue {
    /// The normal form of the value for a column of that type; `None` when the text is no such value.
    pub fn normalize(&self, data_type: &DataType) -> Option<PartitionValue> {
        match self {
            PartitionValue::MaxValue => Some(PartitionValue::MaxValue),
            PartitionValue::Null => Some(PartitionValue::Null),
            PartitionValue::MinValue => Some(PartitionValue::MinValue),
            PartitionValue::Value(text) => normalize_text(text, data_type).map(PartitionValue::Value),
        }
    }

    /// The normal form of a range bound. The minimum of the type is MINVALUE, whichever way it was
    /// written: NULL falls into the range that starts there.
    pub fn normalize_bound(&self, data_type: &DataType) -> Option<PartitionValue> {
        self.normalize(data_type).map(|value| match value {
            PartitionValue::Value(text) if !text.is_empty() && text == minimum(data_type) => {
                PartitionValue::MinValue
            }
            other => other,
        })
    }

    /// The text of the value without quotes, as identities print it.
    pub fn text<'a>(&'a self, data_type: &DataType) -> &'a str {
        match self {
            PartitionValue::Value(text) => text,
            PartitionValue::MaxValue => "MAXVALUE",
            PartitionValue::MinValue => minimum(data_type),
            PartitionValue::Null => "NULL",
        }
    }

    /// The order of two values in normal form. NULL comes first, MAXVALUE last.
    pub fn compare(&self, other: &PartitionValue, data_type: &DataType) -> Ordering {
        match (self, other) {
            (PartitionValue::Value(a), PartitionValue::Value(b)) => {
                match (a.parse::<i128>(), b.parse::<i128>()) {
                    (Ok(a), Ok(b)) if data_type.is_integer() => a.cmp(&b),
                    _ => a.cmp(b),
                }
            }
            (a, b) => rank(a).cmp(&rank(b)),
        }
    }

    /// Compares two keys column by column.
    pub fn compare_keys(a: &[PartitionValue], b: &[PartitionValue], types: &[&DataType]) -> Ordering {
        a.iter()
            .zip(b)
            .zip(types)
            .map(|((a, b), data_type)| a.compare(b, data_type))
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    }
}

fn rank(value: &PartitionValue) -> u8 {
    match value {
        PartitionValue::Null => 0,
        PartitionValue::MinValue => 1,
        PartitionValue::Value(_) => 2,
        PartitionValue::MaxValue => 3,
    }
}

/// The smallest value of a type that can partition, as identities print it.
pub fn minimum(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::TinyInt => "-128",
        DataType::SmallInt => "-32768",
        DataType::Int => "-2147483648",
        DataType::BigInt => "-9223372036854775808",
        DataType::LargeInt => "-170141183460469231731687303715884105728",
        DataType::Date => "0000-01-01",
        DataType::DateTime { .. } => "0000-01-01 00:00:00",
        DataType::Boolean => "false",
        DataType::Float
        | DataType::Double
        | DataType::Decimal { .. }
        | DataType::Char { .. }
        | DataType::Varchar { .. }
        | DataType::String
        | DataType::Json
        | DataType::Variant
        | DataType::Hll
        | DataType::Bitmap
        | DataType::QuantileState
        | DataType::Complex(_) => "",
    }
}

fn normalize_text(text: &str, data_type: &DataType) -> Option<String> {
    let integer = |min: i128, max: i128| {
        let value: i128 = text.trim().parse().ok()?;
        (min..=max).contains(&value).then(|| value.to_string())
    };
    match data_type {
        DataType::TinyInt => integer(i8::MIN.into(), i8::MAX.into()),
        DataType::SmallInt => integer(i16::MIN.into(), i16::MAX.into()),
        DataType::Int => integer(i32::MIN.into(), i32::MAX.into()),
        DataType::BigInt => integer(i64::MIN.into(), i64::MAX.into()),
        DataType::LargeInt => integer(i128::MIN, i128::MAX),
        DataType::Boolean => match text.to_ascii_lowercase().as_str() {
            "true" | "1" => Some("true".to_owned()),
            "false" | "0" => Some("false".to_owned()),
            _ => None,
        },
        DataType::Date => date_parts(text).map(|parts| date_text(&parts)),
        DataType::DateTime { scale } => date_parts(text).map(|parts| datetime_text(&parts, *scale)),
        DataType::Float
        | DataType::Double
        | DataType::Decimal { .. }
        | DataType::Char { .. }
        | DataType::Varchar { .. }
        | DataType::String
        | DataType::Json
        | DataType::Variant
        | DataType::Hll
        | DataType::Bitmap
        | DataType::QuantileState
        | DataType::Complex(_) => Some(text.to_owned()),
    }
}

struct DateParts {
    year: u32,
    month: u32,
    day: u32,
    hour: u32,
    minute: u32,
    second: u32,
    /// Digits behind the seconds.
    fraction: String,
}

/// `2024-1-1`, `2024-01-01 10:00:00.5`, `20240101`, `20240101100000`.
fn date_parts(text: &str) -> Option<DateParts> {
    let text = text.trim();
    let (main, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let fields: Vec<u32> = if main.len() >= 8 && main.bytes().all(|byte| byte.is_ascii_digit()) {
        let cut = |from: usize, to: usize| main.get(from..to).map_or(Some(0), |part| part.parse().ok());
        vec![cut(0, 4)?, cut(4, 6)?, cut(6, 8)?, cut(8, 10)?, cut(10, 12)?, cut(12, 14)?]
    } else {
        main.split(['-', '/', ' ', 'T', ':'])
            .map(|part| part.parse::<u32>().ok())
            .collect::<Option<Vec<u32>>>()?
    };
    let field = |at: usize| fields.get(at).copied().unwrap_or(0);
    let parts = DateParts {
        year: field(0),
        month: field(1),
        day: field(2),
        hour: field(3),
        minute: field(4),
        second: field(5),
        fraction: fraction.to_owned(),
    };
    let valid = (3..=6).contains(&fields.len())
        && parts.year <= 9999
        && (1..=12).contains(&parts.month)
        && (1..=31).contains(&parts.day)
        && parts.hour < 24
        && parts.minute < 60
        && parts.second < 60;
    valid.then_some(parts)
}

fn date_text(parts: &DateParts) -> String {
    format!("{:04}-{:02}-{:02}", parts.year, parts.month, parts.day)
}

fn datetime_text(parts: &DateParts, scale: u8) -> String {
    let mut text = format!("{} {:02}:{:02}:{:02}", date_text(parts), parts.hour, parts.minute, parts.second);
    if scale > 0 {
        let digits = usize::from(scale);
        let fraction: String = parts.fraction.chars().chain(std::iter::repeat('0')).take(digits).collect();
        text.push('.');
        text.push_str(&fraction);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_one_value_are_one_value() {
        for (text, data_type, expected) in [
            ("01", DataType::Int, Some("1")),
            ("-0", DataType::Int, Some("0")),
            ("128", DataType::TinyInt, None),
            ("x", DataType::BigInt, None),
            ("20240101", DataType::Date, Some("2024-01-01")),
            ("2024-1-2 10:00:00", DataType::Date, Some("2024-01-02")),
            ("2024-13-01", DataType::Date, None),
            ("2024-01-01", DataType::DateTime { scale: 0 }, Some("2024-01-01 00:00:00")),
            ("2024-01-01 01:02:03.4", DataType::DateTime { scale: 3 }, Some("2024-01-01 01:02:03.400")),
            ("bj", DataType::Varchar { length: 9 }, Some("bj")),
        ] {
            let value = PartitionValue::Value(text.to_owned()).normalize(&data_type);
            assert_eq!(value, expected.map(|text| PartitionValue::Value(text.to_owned())), "{text}");
        }
    }

    #[test]
    fn values_are_ordered_by_type() {
        let value = |text: &str| PartitionValue::Value(text.to_owned());
        assert_eq!(value("9").compare(&value("10"), &DataType::Int), Ordering::Less);
        assert_eq!(value("9").compare(&value("10"), &DataType::String), Ordering::Greater);
        assert_eq!(value("9").compare(&PartitionValue::MaxValue, &DataType::Int), Ordering::Less);
        assert_eq!(PartitionValue::Null.compare(&value("-9"), &DataType::Int), Ordering::Less);
    }
}
