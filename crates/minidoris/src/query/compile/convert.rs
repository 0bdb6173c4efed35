//! Conversions between types, as SQLite expressions.

use super::{Typed, quote_text};
use crate::data::date::{Date, DateTime};
use crate::data::decimal::Decimal;
use crate::query::types::{Type, wide_blob};

/// `10^scale` as an SQLite literal.
fn power(scale: u8) -> String {
    format!("1{}", "0".repeat(usize::from(scale)))
}

/// The expression in another type; values that do not fit become NULL.
pub fn convert(value: &Typed, target: Type) -> Typed {
    let from = value.ty;
    if from == target || target == Type::Null {
        return value.clone();
    }
    if from == Type::Null {
        return Typed::new("NULL", target);
    }
    if let Some(text) = &value.literal
        && let Some(sql) = literal(text, target)
    {
        return Typed { sql, ty: target, literal: Some(text.clone()), column: None };
    }
    let x = &value.sql;
    let sql = match target {
        Type::Null => x.clone(),
        Type::Bool => match from {
            Type::Text => format!("(text_int({x}) <> 0)"),
            _ => format!("({} <> 0)", number(value)),
        },
        Type::TinyInt | Type::SmallInt | Type::Int | Type::BigInt => to_integer(x, from),
        Type::Float | Type::Double => to_real(x, from),
        Type::Decimal { scale } => to_decimal(x, from, scale),
        Type::Wide { scale, .. } => to_wide(x, from, scale),
        Type::Date => match from {
            Type::DateTime { .. } => format!("substr({x}, 1, 10)"),
            _ => format!("to_date({})", to_text(x, from)),
        },
        Type::DateTime { scale } => match from {
            Type::Date if scale == 0 => format!("({x} || ' 00:00:00')"),
            _ => format!("to_datetime({}, {scale})", to_text(x, from)),
        },
        Type::Text | Type::Json | Type::Object => to_text(x, from),
    };
    Typed::new(sql, target)
}

/// A number in whatever numeric form the expression has.
pub fn number(value: &Typed) -> String {
    if value.ty.is_integer() || matches!(value.ty, Type::Decimal { .. } | Type::Float | Type::Double) {
        value.sql.clone()
    } else {
        convert(value, Type::Double).sql
    }
}

fn literal(text: &str, target: Type) -> Option<String> {
    let number = text.trim();
    Some(match target {
        Type::TinyInt | Type::SmallInt | Type::Int | Type::BigInt => {
            let whole = Decimal::parse(number, 18)?.truncate();
            i64::try_from(whole).ok()?.to_string()
        }
        Type::Decimal { scale } => i64::try_from(Decimal::parse(number, scale)?.unscaled).ok()?.to_string(),
        Type::Wide { scale, .. } => hex(&wide_blob(number, scale)?),
        Type::Date => quote_text(&Date::parse(number)?.to_string()),
        Type::DateTime { scale } => {
            let mut shown = String::new();
            DateTime::parse(number)?.with_scale(scale).write(&mut shown, scale).ok()?;
            quote_text(&shown)
        }
        Type::Text => quote_text(text),
        Type::Null | Type::Bool | Type::Float | Type::Double | Type::Json | Type::Object => return None,
    })
}

pub fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("x'{digits}'")
}

fn to_integer(x: &str, from: Type) -> String {
    match from {
        Type::Decimal { scale } => format!("({x} / {})", power(scale)),
        Type::Wide { scale, .. } => format!("(dec_of_wide({x}, {scale}, {scale}) / {})", power(scale)),
        Type::Float | Type::Double => format!("CAST({x} AS INTEGER)"),
        Type::Text | Type::Json | Type::Object => format!("text_int({x})"),
        Type::Date | Type::DateTime { .. } => {
            format!("CAST(replace(replace(replace({x}, '-', ''), ':', ''), ' ', '') AS INTEGER)")
        }
        Type::Null | Type::Bool | Type::TinyInt | Type::SmallInt | Type::Int | Type::BigInt => x.to_owned(),
    }
}

fn to_real(x: &str, from: Type) -> String {
    match from {
        Type::Decimal { scale: 0 } => format!("CAST({x} AS REAL)"),
        Type::Decimal { scale } => format!("(CAST({x} AS REAL) / {}.0)", power(scale)),
        Type::Wide { scale, .. } => format!("wide_real({x}, {scale})"),
        Type::Text | Type::Json | Type::Object => format!("text_real({x})"),
        Type::Date | Type::DateTime { .. } => format!("CAST({} AS REAL)", to_integer(x, from)),
        Type::Null | Type::Bool | Type::TinyInt | Type::SmallInt | Type::Int | Type::BigInt => {
            format!("CAST({x} AS REAL)")
        }
        Type::Float | Type::Double => x.to_owned(),
    }
}

fn to_decimal(x: &str, from: Type, scale: u8) -> String {
    match from {
        Type::Decimal { scale: own } if own == scale => x.to_owned(),
        Type::Decimal { scale: own } if own < scale => format!("({x} * {})", power(scale - own)),
        Type::Decimal { scale: own } => format!("dec_scale({x}, {own}, {scale})"),
        Type::Wide { scale: own, .. } => format!("dec_of_wide({x}, {own}, {scale})"),
        Type::Float | Type::Double => format!("CAST(round({x} * {}.0) AS INTEGER)", power(scale)),
        Type::Text | Type::Json | Type::Object => format!("dec_of_text({x}, {scale})"),
        Type::Date | Type::DateTime { .. } => format!("({} * {})", to_integer(x, from), power(scale)),
        Type::Null | Type::Bool | Type::TinyInt | Type::SmallInt | Type::Int | Type::BigInt => {
            format!("({x} * {})", power(scale))
        }
    }
}

fn to_wide(x: &str, from: Type, scale: u8) -> String {
    match from {
        Type::Wide { scale: own, .. } if own == scale => x.to_owned(),
        _ => format!("wide_of_text({}, {scale})", to_text(x, from)),
    }
}

pub fn to_text(x: &str, from: Type) -> String {
    match from {
        Type::Decimal { scale } => format!("dec_text({x}, {scale})"),
        Type::Wide { scale, .. } => format!("wide_text({x}, {scale})"),
        Type::Float | Type::Double => format!("float_text({x})"),
        Type::Bool | Type::TinyInt | Type::SmallInt | Type::Int | Type::BigInt => {
            format!("CAST({x} AS TEXT)")
        }
        Type::Null | Type::Date | Type::DateTime { .. } | Type::Text | Type::Json | Type::Object => {
            x.to_owned()
        }
    }
}

/// The type in which values of both types can be compared or returned.
pub fn common(a: &Typed, b: &Typed) -> Type {
    if a.ty == b.ty {
        return a.ty;
    }
    let has_time = |value: &Typed| value.literal.as_ref().is_some_and(|text| text.trim().len() > 10);
    match (a.ty, b.ty) {
        (Type::Null, other) | (other, Type::Null) => other,
        (Type::DateTime { scale: x }, Type::DateTime { scale: y }) => Type::DateTime { scale: x.max(y) },
        (at @ Type::DateTime { .. }, _) | (_, at @ Type::DateTime { .. }) => at,
        (Type::Date, other) | (other, Type::Date) => {
            let text = if a.ty == Type::Date { b } else { a };
            match other {
                Type::Text if has_time(text) => Type::DateTime { scale: 6 },
                _ => Type::Date,
            }
        }
        (Type::Float | Type::Double, _) | (_, Type::Float | Type::Double) => Type::Double,
        (Type::Wide { scale: x, is_large: l }, other) | (other, Type::Wide { scale: x, is_large: l }) => {
            let (scale, is_large) = match other {
                Type::Wide { scale, is_large } => (scale, is_large),
                Type::Decimal { scale } => (scale, false),
                _ => (literal_scale(a).max(literal_scale(b)), true),
            };
            let scale = x.max(scale);
            Type::Wide { scale, is_large: l && is_large && scale == 0 }
        }
        (Type::Decimal { scale: x }, Type::Decimal { scale: y }) => Type::Decimal { scale: x.max(y) },
        (Type::Decimal { scale }, other) | (other, Type::Decimal { scale }) => match other {
            Type::Text if literal_scale(a).max(literal_scale(b)) > scale => Type::Double,
            _ => Type::Decimal { scale },
        },
        (Type::Text, other) | (other, Type::Text) if other.is_integer() => {
            let text = if a.ty == Type::Text { a } else { b };
            let is_whole = text.literal.as_ref().is_some_and(|text| text.trim().parse::<i64>().is_ok());
            if is_whole { Type::BigInt } else { Type::Double }
        }
        (x, y) if x.is_integer() && y.is_integer() => Type::BigInt,
        _ => Type::Text,
    }
}

/// Fraction digits of a literal, 0 for anything else.
fn literal_scale(value: &Typed) -> u8 {
    let digits =
        value.literal.as_ref().and_then(|text| text.split_once('.')).map_or(0, |(_, digits)| digits.len());
    u8::try_from(digits).unwrap_or(u8::MAX)
}
