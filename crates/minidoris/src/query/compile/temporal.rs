//! Dates and times: parts and intervals.

use sqlparser::ast::Interval;

use super::convert::convert;
use super::{Compiler, Scope, Typed, quote_text, unsupported};
use crate::error::SqlResult;
use crate::query::types::Type;

/// `extract(part from value)` and the functions `year(value)`…
pub fn extract(part: &str, value: &Typed) -> SqlResult<Typed> {
    let at = convert(value, if value.ty == Type::Date { Type::Date } else { Type::DateTime { scale: 0 } });
    let x = &at.sql;
    let digits = |from: u8, length: u8| format!("CAST(substr({x}, {from}, {length}) AS INTEGER)");
    let (sql, ty) = match part.to_ascii_lowercase().as_str() {
        "year" => (digits(1, 4), Type::SmallInt),
        "month" => (digits(6, 2), Type::TinyInt),
        "day" | "dayofmonth" => (digits(9, 2), Type::TinyInt),
        "hour" => (digits(12, 2), Type::TinyInt),
        "minute" => (digits(15, 2), Type::TinyInt),
        "second" => (digits(18, 2), Type::TinyInt),
        "quarter" => (format!("(({} + 2) / 3)", digits(6, 2)), Type::TinyInt),
        "dayofyear" => (format!("CAST(strftime('%j', {x}) AS INTEGER)"), Type::SmallInt),
        "dayofweek" => (format!("(CAST(strftime('%w', {x}) AS INTEGER) + 1)"), Type::TinyInt),
        "weekday" => (format!("((CAST(strftime('%w', {x}) AS INTEGER) + 6) % 7)"), Type::TinyInt),
        other => return Err(unsupported(format!("extract({other})"))),
    };
    Ok(Typed::new(sql, ty))
}

impl Compiler<'_> {
    /// `at + interval` or `at - interval`.
    pub(super) fn shift(
        &mut self,
        scope: &Scope<'_>,
        at: &Typed,
        interval: &Interval,
        backwards: bool,
    ) -> SqlResult<Typed> {
        let count = self.expression(scope, &interval.value)?;
        let unit = interval.leading_field.as_ref().map(ToString::to_string).unwrap_or_default();
        shift_by(at, &count, &unit, backwards)
    }
}

/// Moves a date by a count of units.
pub fn shift_by(at: &Typed, count: &Typed, unit: &str, backwards: bool) -> SqlResult<Typed> {
    let unit = unit.to_ascii_lowercase();
    let keeps_date = match unit.as_str() {
        "year" | "quarter" | "month" | "week" | "day" => true,
        "hour" | "minute" | "second" => false,
        other => return Err(unsupported(format!("interval unit {other}"))),
    };
    let is_plain_date = at.ty == Type::Date
        || at.literal.as_ref().is_some_and(|text| text.trim().len() <= 10) && at.ty == Type::Text;
    let ty = match at.ty {
        Type::DateTime { scale } => Type::DateTime { scale },
        _ if keeps_date && is_plain_date => Type::Date,
        _ => Type::DateTime { scale: 0 },
    };
    let at = convert(at, ty).sql;
    let count = convert(count, Type::BigInt).sql;
    let sign = if backwards { "-" } else { "" };
    let sql = format!("date_shift({at}, {sign}({count}), {}, {})", quote_text(&unit), ty.datetime_scale());
    Ok(Typed::new(sql, ty))
}
