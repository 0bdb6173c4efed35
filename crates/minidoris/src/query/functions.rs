//! SQLite functions behind compiled queries: decimals, dates, texts, bitmaps.
//!
//! Every function gives NULL for a NULL argument and for arguments that make no sense; only numbers that
//! overflow are errors.

use std::collections::BTreeSet;

use rusqlite::functions::{Aggregate, Context, FunctionFlags};
use rusqlite::types::Value as Cell;
use rusqlite::{Connection, Error, Result};

use crate::data::calendar::parse_by;
use crate::data::date::{Date, DateTime};
use crate::data::decimal::{self, Decimal};
use crate::data::value::float_text;
use crate::data::{complex, objects, states};

use super::compile::{domain, text_matches};
use super::types::{wide_blob, wide_text};

const PURE: FunctionFlags = FunctionFlags::SQLITE_DETERMINISTIC.union(FunctionFlags::SQLITE_UTF8);

/// Registers all functions on a connection.
pub fn register(connection: &Connection) -> Result<()> {
    decimals(connection)?;
    texts(connection)?;
    dates(connection)?;
    objects_(connection)
}

/// Registers a function that is not called when an argument is NULL.
fn scalar(
    connection: &Connection,
    name: &str,
    arguments: i32,
    function: impl Fn(&Context<'_>) -> Result<Cell> + Send + 'static,
) -> Result<()> {
    connection.create_scalar_function(name, arguments, PURE, move |context| {
        for at in 0..context.len() {
            if matches!(context.get_raw(at), rusqlite::types::ValueRef::Null) {
                return Ok(Cell::Null);
            }
        }
        function(context)
    })
}

fn overflow() -> Error {
    Error::UserFunctionError("decimal overflow".into())
}

fn cell<T: Into<Cell>>(value: Option<T>) -> Result<Cell> {
    Ok(value.map_or(Cell::Null, Into::into))
}

/// A scaled integer, also when arithmetic on it overflowed into a real.
fn unscaled(context: &Context<'_>, at: usize) -> Result<i128> {
    match context.get_raw(at) {
        rusqlite::types::ValueRef::Integer(number) => Ok(i128::from(number)),
        rusqlite::types::ValueRef::Real(number) => Ok(number.round() as i128),
        _ => Err(overflow()),
    }
}

fn scale(context: &Context<'_>, at: usize) -> Result<u8> {
    context.get::<i64>(at).map(|scale| u8::try_from(scale).unwrap_or(0))
}

fn integer(number: Option<i128>) -> Result<Cell> {
    number.and_then(|number| i64::try_from(number).ok()).map(Cell::Integer).ok_or_else(overflow)
}

fn decimals(connection: &Connection) -> Result<()> {
    scalar(connection, "dec_div", 5, |context| {
        let (a, x) = (unscaled(context, 0)?, scale(context, 1)?);
        let (b, y, z) = (unscaled(context, 2)?, scale(context, 3)?, scale(context, 4)?);
        if b == 0 {
            return Ok(Cell::Null);
        }
        let up = u32::from(z) + u32::from(y);
        let factor = decimal::power_of_ten(up.saturating_sub(u32::from(x))).ok_or_else(overflow)?;
        let dividend = a.checked_mul(factor).ok_or_else(overflow)?;
        let (whole, rest) = (dividend / b, dividend % b);
        let rounded = if rest.unsigned_abs() * 2 >= b.unsigned_abs() {
            whole + dividend.signum() * b.signum()
        } else {
            whole
        };
        integer(Some(rounded))
    })?;
    scalar(connection, "dec_scale", 3, |context| {
        let number = Decimal::new(unscaled(context, 0)?, scale(context, 1)?);
        integer(number.rescale(scale(context, 2)?).map(|number| number.unscaled))
    })?;
    scalar(connection, "dec_cut", 4, |context| {
        let (number, from, to) = (unscaled(context, 0)?, scale(context, 1)?, scale(context, 2)?);
        let mode: String = context.get(3)?;
        let factor = decimal::power_of_ten(u32::from(from.saturating_sub(to))).ok_or_else(overflow)?;
        integer(Some(match mode.as_str() {
            "floor" => number.div_euclid(factor),
            "ceil" | "ceiling" => -(-number).div_euclid(factor),
            _ => number / factor,
        }))
    })?;
    scalar(connection, "dec_text", 2, |context| {
        cell(Some(Decimal::new(unscaled(context, 0)?, scale(context, 1)?).to_string()))
    })?;
    scalar(connection, "dec_of_text", 2, |context| {
        let text: String = context.get(0)?;
        match Decimal::parse(text.trim(), scale(context, 1)?) {
            Some(number) => integer(Some(number.unscaled)),
            None => Ok(Cell::Null),
        }
    })?;
    scalar(connection, "dec_of_wide", 3, |context| {
        let text = wide_text(&context.get::<Vec<u8>>(0)?, scale(context, 1)?);
        integer(Decimal::parse(&text, scale(context, 2)?).map(|number| number.unscaled))
    })?;
    scalar(connection, "wide_of_text", 2, |context| {
        let text: String = context.get(0)?;
        cell(wide_blob(text.trim(), scale(context, 1)?))
    })?;
    scalar(connection, "wide_text", 2, |context| {
        cell(Some(wide_text(&context.get::<Vec<u8>>(0)?, scale(context, 1)?)))
    })?;
    scalar(connection, "wide_real", 2, |context| {
        cell(wide_text(&context.get::<Vec<u8>>(0)?, scale(context, 1)?).parse::<f64>().ok())
    })?;
    connection.create_aggregate_function("wide_sum", 2, PURE, WideSum)
}

struct WideSum;

impl Aggregate<Option<(String, u8)>, Option<Vec<u8>>> for WideSum {
    fn init(&self, _: &mut Context<'_>) -> Result<Option<(String, u8)>> {
        Ok(None)
    }

    fn step(&self, context: &mut Context<'_>, sum: &mut Option<(String, u8)>) -> Result<()> {
        let Some(blob) = context.get::<Option<Vec<u8>>>(0)? else { return Ok(()) };
        let scale = scale(context, 1)?;
        let text = wide_text(&blob, scale);
        *sum = Some(match sum.take() {
            Some((old, _)) => (decimal::add_text(&old, &text), scale),
            None => (text, scale),
        });
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, sum: Option<Option<(String, u8)>>) -> Result<Option<Vec<u8>>> {
        Ok(sum.flatten().and_then(|(text, scale)| wide_blob(&text, scale)))
    }
}

fn texts(connection: &Connection) -> Result<()> {
    scalar(connection, "text_int", 1, |context| {
        let text: String = text_of(context, 0)?;
        cell(Decimal::parse(text.trim(), 18).and_then(|number| i64::try_from(number.truncate()).ok()))
    })?;
    scalar(connection, "text_real", 1, |context| cell(text_of(context, 0)?.trim().parse::<f64>().ok()))?;
    scalar(connection, "float_text", 1, |context| cell(Some(float_text(context.get::<f64>(0)?))))?;
    scalar(connection, "text_reverse", 1, |context| {
        cell(Some(text_of(context, 0)?.chars().rev().collect::<String>()))
    })?;
    scalar(connection, "text_repeat", 2, |context| {
        let count = usize::try_from(context.get::<i64>(1)?).unwrap_or(0).min(10_000);
        cell(Some(text_of(context, 0)?.repeat(count)))
    })?;
    for (name, is_left) in [("text_lpad", true), ("text_rpad", false)] {
        scalar(connection, name, 3, move |context| {
            let (text, pad) = (text_of(context, 0)?, text_of(context, 2)?);
            let length = usize::try_from(context.get::<i64>(1)?).unwrap_or(0).min(1_048_576);
            let missing = length.saturating_sub(text.chars().count());
            let fill: String = pad.chars().cycle().take(if pad.is_empty() { 0 } else { missing }).collect();
            let whole = if is_left { fill + &text } else { text + &fill };
            cell(Some(whole.chars().take(length).collect::<String>()))
        })?;
    }
    scalar(connection, "md5_hex", 1, |context| {
        cell(Some(crate::be::md5_hex(text_of(context, 0)?.as_bytes())))
    })?;
    scalar(connection, "element_of", 3, |context| {
        cell(complex::element_of(&text_of(context, 0)?, &text_of(context, 1)?, &text_of(context, 2)?))
    })?;
    nested(connection)?;
    connection.create_scalar_function("uuid", 0, FunctionFlags::SQLITE_UTF8, |_| {
        let hex = format!("{:032x}", rand::random::<u128>());
        Ok(format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]))
    })?;
    for (name, function) in
        [("real_sqrt", f64::sqrt as fn(f64) -> f64), ("real_exp", f64::exp), ("real_ln", f64::ln)]
    {
        scalar(connection, name, 1, move |context| {
            cell(Some(function(context.get::<f64>(0)?)).filter(|number| number.is_finite()))
        })?;
    }
    scalar(connection, "real_pow", 2, |context| {
        cell(Some(context.get::<f64>(0)?.powf(context.get::<f64>(1)?)))
    })?;
    scalar(connection, "real_cut", 3, |context| {
        let factor = 10f64.powi(context.get::<i32>(1)?);
        let number = context.get::<f64>(0)? * factor;
        let mode: String = context.get(2)?;
        let cut = match mode.as_str() {
            "floor" => number.floor(),
            "ceil" | "ceiling" => number.ceil(),
            _ => number.trunc(),
        };
        cell(Some(cut / factor))
    })?;
    scalar(connection, "text_match", 4, |context| {
        let (function, parser): (String, String) = (context.get(0)?, context.get(1)?);
        let (wanted, text) = (text_of(context, 2)?, text_of(context, 3)?);
        Ok(Cell::Integer(i64::from(text_matches(&function, &parser, &wanted, &text))))
    })?;
    Ok(())
}

/// Arrays and maps as a whole.
fn nested(connection: &Connection) -> Result<()> {
    scalar(connection, "nested_size", 1, |context| {
        cell(complex::size(&text_of(context, 0)?).and_then(|size| i64::try_from(size).ok()))
    })?;
    scalar(connection, "count_to", 1, |context| {
        let numbers: Vec<String> =
            (1..=context.get::<i64>(0)?.min(1_000_000)).map(|n| n.to_string()).collect();
        cell(Some(format!("[{}]", numbers.join(","))))
    })?;
    scalar(connection, "split_size", 2, |context| {
        let (text, separator) = (text_of(context, 0)?, text_of(context, 1)?);
        cell(i64::try_from(text.split(&separator).count()).ok())
    })?;
    scalar(connection, "split_part", 3, |context| {
        let (text, separator) = (text_of(context, 0)?, text_of(context, 1)?);
        let at = usize::try_from(context.get::<i64>(2)?).ok().and_then(|at| at.checked_sub(1));
        cell(at.and_then(|at| text.split(&separator).nth(at)).map(str::to_owned))
    })?;
    scalar(connection, "map_part", 3, |context| {
        let (name, data_type) = (context.get::<String>(0)?, context.get::<String>(1)?);
        cell(complex::map_part(&data_type, &text_of(context, 2)?, name == "map_keys"))
    })?;
    scalar(connection, "array_position", 2, |context| {
        let wanted = Some(text_of(context, 1)?);
        let items = complex::items(&text_of(context, 0)?);
        let at = items.map(|items| items.iter().position(|item| *item == wanted).map_or(0, |at| at + 1));
        cell(at.and_then(|at| i64::try_from(at).ok()))
    })?;
    scalar(connection, "array_join", 2, |context| {
        let items = complex::items(&text_of(context, 0)?);
        let separator = text_of(context, 1)?;
        cell(items.map(|items| items.into_iter().flatten().collect::<Vec<_>>().join(&separator)))
    })?;
    scalar(connection, "array_change", 2, |context| {
        let (name, text) = (context.get::<String>(0)?, text_of(context, 1)?);
        let Some(mut items) = complex::items(&text) else { return Ok(Cell::Null) };
        match name.as_str() {
            "array_reverse" => items.reverse(),
            // NULL comes first.
            "array_sort" => items.sort_by(|a, b| match (a, b) {
                (Some(a), Some(b)) => match (a.parse::<f64>(), b.parse::<f64>()) {
                    (Ok(x), Ok(y)) if !text.contains('"') => x.total_cmp(&y),
                    _ => a.cmp(b),
                },
                (a, b) => a.is_some().cmp(&b.is_some()),
            }),
            _ => {
                let mut seen = BTreeSet::new();
                items.retain(|item| seen.insert(item.clone()));
            }
        }
        cell(Some(complex::array_text(&items, text.contains('"'))))
    })?;
    scalar(connection, "array_fold", 3, |context| {
        let (name, is_number) = (context.get::<String>(0)?, context.get::<bool>(1)?);
        let items = complex::items(&text_of(context, 2)?).unwrap_or_default();
        let items: Vec<String> = items.into_iter().flatten().collect();
        let order = |a: &&String, b: &&String| match (a.parse::<f64>(), b.parse::<f64>()) {
            (Ok(x), Ok(y)) if is_number => x.total_cmp(&y),
            _ => a.cmp(b),
        };
        let sum = || items.iter().fold("0".to_owned(), |sum, item| decimal::add_text(&sum, item));
        Ok(match name.as_str() {
            _ if items.is_empty() => Cell::Null,
            "array_min" => items.iter().min_by(order).cloned().map_or(Cell::Null, Cell::Text),
            "array_max" => items.iter().max_by(order).cloned().map_or(Cell::Null, Cell::Text),
            "array_sum" => Cell::Text(sum()),
            _ => {
                let sum = sum().parse::<f64>().unwrap_or(f64::NAN);
                let average = sum / items.len() as f64;
                if average.is_finite() { Cell::Text(float_text(average)) } else { Cell::Null }
            }
        })
    })
}

/// Any cell as text.
fn text_of(context: &Context<'_>, at: usize) -> Result<String> {
    Ok(match context.get::<Cell>(at)? {
        Cell::Null => String::new(),
        Cell::Integer(number) => number.to_string(),
        Cell::Real(number) => float_text(number),
        Cell::Text(text) => text,
        Cell::Blob(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
    })
}

fn dates(connection: &Connection) -> Result<()> {
    scalar(connection, "to_date", 1, |context| {
        cell(Date::parse(&text_of(context, 0)?).map(|date| date.to_string()))
    })?;
    scalar(connection, "to_datetime", 2, |context| {
        let scale = scale(context, 1)?;
        cell(DateTime::parse(&text_of(context, 0)?).map(|at| shown(at.with_scale(scale), scale)))
    })?;
    scalar(connection, "date_shift", 4, |context| {
        let text: String = context.get(0)?;
        let (count, unit) = (context.get::<i64>(1)?, context.get::<String>(2)?);
        let moved = DateTime::parse(&text).and_then(|at| at.shift(count, &unit));
        let scale = scale(context, 3)?;
        cell(moved.map(|at| if text.len() <= 10 { at.date().to_string() } else { shown(at, scale) }))
    })?;
    scalar(connection, "date_floor", 3, |context| {
        let (text, unit) = (context.get::<String>(0)?, context.get::<String>(1)?);
        let floor = DateTime::parse(&text).and_then(|at| at.truncate_to(&unit.to_ascii_lowercase()));
        let scale = scale(context, 2)?;
        cell(floor.map(|at| if text.len() <= 10 { at.date().to_string() } else { shown(at, scale) }))
    })?;
    scalar(connection, "str_to_date", 3, |context| {
        let format: String = context.get(1)?;
        let at = parse_by(&text_of(context, 0)?, &format);
        cell(at.map(|at| match u8::try_from(context.get::<i64>(2).unwrap_or(-1)) {
            Ok(scale) => shown(at.with_scale(scale), scale),
            Err(_) => at.date().to_string(),
        }))
    })?;
    scalar(connection, "from_unixtime", 2, |context| {
        let (seconds, format) = (context.get::<i64>(0)?, context.get::<String>(1)?);
        // Doris has no times before the epoch, nor behind the year 9999.
        let epoch = Date::new(1970, 1, 1).map(DateTime::at_midnight);
        let at = epoch.filter(|_| (0..=253_402_271_999).contains(&seconds));
        cell(at.and_then(|epoch| epoch.shift(seconds, "second")).map(|at| at.format(&format)))
    })?;
    scalar(connection, "date_text", 2, |context| {
        let format: String = context.get(1)?;
        cell(DateTime::parse(&text_of(context, 0)?).map(|at| at.format(&format)))
    })
}

fn shown(at: DateTime, scale: u8) -> String {
    let mut text = String::new();
    // Writing into a String cannot fail.
    let _ = at.write(&mut text, scale);
    text
}

fn objects_(connection: &Connection) -> Result<()> {
    scalar(connection, "bitmap_of", 1, |context| {
        cell(objects::bitmap_members(&text_of(context, 0)?).map(|members| objects::bitmap_text(&members)))
    })?;
    scalar(connection, "bitmap_of_checked", 1, |context| {
        let text = text_of(context, 0)?;
        match text.trim().parse::<u64>() {
            Ok(member) => cell(Some(member.to_string())),
            Err(_) => Err(Error::UserFunctionError(
                format!(
                    "The input: {text} is not valid, to_bitmap only support bigint value from 0 to \
                     18446744073709551615 currently, cannot create MV with to_bitmap on other values"
                )
                .into(),
            )),
        }
    })?;
    scalar(connection, "bitmap_hash", 1, |context| {
        cell(Some(crc32fast::hash(text_of(context, 0)?.as_bytes()).to_string()))
    })?;
    scalar(connection, "bitmap_or", 2, |context| {
        cell(Some(objects::bitmap_union(&text_of(context, 0)?, &text_of(context, 1)?)))
    })?;
    scalar(connection, "bitmap_to_string", 1, |context| cell(Some(text_of(context, 0)?)))?;
    for name in ["bitmap_count", "hll_cardinality"] {
        scalar(connection, name, 1, |context| {
            let text = text_of(context, 0)?;
            let count = text.split(',').filter(|part| !part.is_empty()).count();
            Ok(Cell::Integer(i64::try_from(count).unwrap_or(i64::MAX)))
        })?;
    }
    scalar(connection, "hll_hash", 1, |context| cell(Some(objects::hll_hash(&text_of(context, 0)?))))?;
    connection.create_aggregate_function("bitmap_union", 1, PURE, Union { numeric: true })?;
    connection.create_aggregate_function("hll_union", 1, PURE, Union { numeric: false })?;
    aggregate_states(connection)
}

fn aggregate_states(connection: &Connection) -> Result<()> {
    // A NULL is an argument like any other.
    connection.create_scalar_function("state_of", -1, PURE, |context| {
        let arguments = (0..context.len()).map(|at| match context.get_raw(at) {
            rusqlite::types::ValueRef::Null => Ok(None),
            _ => text_of(context, at).map(Some),
        });
        Ok(states::of_row(&arguments.collect::<Result<_>>()?))
    })?;
    connection.create_aggregate_function("state_union", 1, PURE, StateUnion)?;
    connection.create_aggregate_function("state_merge", 3, PURE, StateMerge)
}

struct StateUnion;

impl Aggregate<Option<String>, Option<String>> for StateUnion {
    fn init(&self, _: &mut Context<'_>) -> Result<Option<String>> {
        Ok(None)
    }

    fn step(&self, context: &mut Context<'_>, all: &mut Option<String>) -> Result<()> {
        if let Some(state) = context.get::<Option<String>>(0)? {
            *all = Some(all.as_deref().map_or_else(|| state.clone(), |all| states::union(all, &state)));
        }
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, all: Option<Option<String>>) -> Result<Option<String>> {
        Ok(all.flatten())
    }
}

/// The function, the domain of its arguments, and the states.
struct StateMerge;

#[derive(Default)]
struct Merging {
    function: String,
    domain: String,
    rows: Vec<states::StateRow>,
}

impl Aggregate<Merging, Option<String>> for StateMerge {
    fn init(&self, _: &mut Context<'_>) -> Result<Merging> {
        Ok(Merging::default())
    }

    fn step(&self, context: &mut Context<'_>, merging: &mut Merging) -> Result<()> {
        if merging.function.is_empty() {
            merging.function = context.get(0)?;
            merging.domain = context.get(1)?;
        }
        if let Some(state) = context.get::<Option<String>>(2)? {
            merging.rows.extend(states::rows(&state).unwrap_or_default());
        }
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, merging: Option<Merging>) -> Result<Option<String>> {
        let merging = merging.unwrap_or_default();
        Ok(states::merge(&merging.function, domain(&merging.domain), &merging.rows))
    }
}

struct Union {
    numeric: bool,
}

impl Aggregate<BTreeSet<(usize, String)>, Option<String>> for Union {
    fn init(&self, _: &mut Context<'_>) -> Result<BTreeSet<(usize, String)>> {
        Ok(BTreeSet::new())
    }

    fn step(&self, context: &mut Context<'_>, members: &mut BTreeSet<(usize, String)>) -> Result<()> {
        let text = context.get::<Option<String>>(0)?.unwrap_or_default();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            // Numbers without leading zeros are in order when sorted by length first.
            members.insert((if self.numeric { part.len() } else { 0 }, part.to_owned()));
        }
        Ok(())
    }

    fn finalize(
        &self,
        _: &mut Context<'_>,
        members: Option<BTreeSet<(usize, String)>>,
    ) -> Result<Option<String>> {
        let parts: Option<Vec<String>> =
            members.map(|members| members.into_iter().map(|(_, part)| part).collect());
        Ok(parts.map(|parts| parts.join(",")))
    }
}
