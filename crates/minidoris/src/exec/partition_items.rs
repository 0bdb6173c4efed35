//! Partition definitions turned into items: bounds filled up and normalised, steps expanded, overlaps
//! refused.

use std::cmp::Ordering;

use jiff::ToSpan;
use jiff::civil::DateTime;

use crate::error::{SqlError, SqlResult};
use crate::model::{Column, DataType, PartitionItem, PartitionScheme, PartitionValue};
use crate::sql::{PartitionDef, PartitionValues};

/// A partition to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewItem {
    pub name: String,
    pub item: PartitionItem,
}

/// Partitions that one INTERVAL clause may make (`max_multi_partition_num`).
const MAX_STEPS: usize = 4096;

/// The items of a definition. `existing` are the items of the table so far, which LESS THAN continues and
/// which must not be touched; the caller adds the new ones before the next definition.
pub fn build(
    def: &PartitionDef,
    scheme: &PartitionScheme,
    columns: &[Column],
    existing: &[(&str, &PartitionItem)],
) -> SqlResult<Vec<NewItem>> {
    let types = scheme.column_types(columns);
    let one = |item| vec![NewItem { name: def.name.clone(), item }];
    let items = match (&def.values, scheme) {
        (PartitionValues::None, PartitionScheme::List { .. }) => {
            one(PartitionItem::List { keys: Vec::new(), is_default: true })
        }
        (PartitionValues::None, PartitionScheme::Unpartitioned) => one(PartitionItem::Unpartitioned),
        (PartitionValues::LessThan(upper), PartitionScheme::Range { .. }) => {
            let upper = bound(upper, &types)?;
            let lower = lower_of(&upper, existing, &types);
            one(range(lower, upper, &types)?)
        }
        (PartitionValues::Fixed { lower, upper }, PartitionScheme::Range { .. }) => {
            one(range(bound(lower, &types)?, bound(upper, &types)?, &types)?)
        }
        (PartitionValues::Step { from, to, interval, unit }, PartitionScheme::Range { .. }) => {
            steps(from, to, *interval, unit.as_deref(), &types)?
        }
        (PartitionValues::In(keys), PartitionScheme::List { .. }) => {
            let keys: Vec<Vec<PartitionValue>> =
                keys.iter().map(|key| list_key(key, &types)).collect::<SqlResult<_>>()?;
            one(PartitionItem::List { keys, is_default: false })
        }
        _ => {
            return Err(SqlError::general(format!(
                "Invalid partition description of [{}]: it does not fit the table's partition type",
                def.name
            )));
        }
    };
    for (at, new) in items.iter().enumerate() {
        check_free(new, existing, scheme, columns)?;
        let earlier: Vec<_> = items[..at].iter().map(|item| (item.name.as_str(), &item.item)).collect();
        check_free(new, &earlier, scheme, columns)?;
    }
    Ok(items)
}

/// Refuses an item that shares values with others.
pub fn check_free(
    new: &NewItem,
    others: &[(&str, &PartitionItem)],
    scheme: &PartitionScheme,
    columns: &[Column],
) -> SqlResult<()> {
    others.iter().try_for_each(|(name, item)| check_overlap(new, name, item, scheme, columns))
}

/// The values of a bound, missing ones filled with the minimum.
fn bound(values: &[PartitionValue], types: &[&DataType]) -> SqlResult<Vec<PartitionValue>> {
    if values.is_empty() || values.len() > types.len() {
        return Err(SqlError::general(
            "partition value number should be less than or equal to partition column number",
        ));
    }
    types
        .iter()
        .enumerate()
        .map(|(at, data_type)| match values.get(at) {
            None => Ok(PartitionValue::MinValue),
            Some(value) => value.normalize_bound(data_type).ok_or_else(|| invalid(value, data_type)),
        })
        .collect()
}

fn list_key(values: &[PartitionValue], types: &[&DataType]) -> SqlResult<Vec<PartitionValue>> {
    if values.len() != types.len() {
        return Err(SqlError::general("partition key desc list size is not equal to partition column size"));
    }
    values
        .iter()
        .zip(types)
        .map(|(value, data_type)| value.normalize(data_type).ok_or_else(|| invalid(value, data_type)))
        .collect()
}

fn invalid(value: &PartitionValue, data_type: &DataType) -> SqlError {
    SqlError::general(format!(
        "Invalid number format: {} for partition column of type {}",
        value.text(data_type),
        data_type.primitive_name()
    ))
}

/// The greatest existing upper bound at or below the new one, else the minimum.
fn lower_of(
    upper: &[PartitionValue],
    existing: &[(&str, &PartitionItem)],
    types: &[&DataType],
) -> Vec<PartitionValue> {
    existing
        .iter()
        .filter_map(|(_, item)| match item {
            PartitionItem::Range { upper, .. } => Some(upper),
            PartitionItem::Unpartitioned | PartitionItem::List { .. } => None,
        })
        .filter(|candidate| PartitionValue::compare_keys(candidate, upper, types).is_lt())
        .max_by(|a, b| PartitionValue::compare_keys(a, b, types))
        .cloned()
        .unwrap_or_else(|| vec![PartitionValue::MinValue; types.len()])
}

fn range(
    lower: Vec<PartitionValue>,
    upper: Vec<PartitionValue>,
    types: &[&DataType],
) -> SqlResult<PartitionItem> {
    if PartitionValue::compare_keys(&lower, &upper, types) != Ordering::Less {
        return Err(SqlError::general(
            "The partitions must be increment: the lower bound is not below the upper bound",
        ));
    }
    Ok(PartitionItem::Range { lower, upper })
}

/// Refuses an item that shares values with that of another partition.
pub fn check_overlap(
    new: &NewItem,
    name: &str,
    item: &PartitionItem,
    scheme: &PartitionScheme,
    columns: &[Column],
) -> SqlResult<()> {
    let types = scheme.column_types(columns);
    let overlaps = match (&new.item, item) {
        (PartitionItem::Range { lower: a, upper: b }, PartitionItem::Range { lower: c, upper: d }) => {
            PartitionValue::compare_keys(a, d, &types).is_lt()
                && PartitionValue::compare_keys(c, b, &types).is_lt()
        }
        (PartitionItem::List { keys: a, is_default: x }, PartitionItem::List { keys: b, is_default: y }) => {
            (*x && *y) || a.iter().any(|key| b.contains(key))
        }
        (PartitionItem::Unpartitioned, _) | (_, PartitionItem::Unpartitioned) => false,
        (PartitionItem::Range { .. }, PartitionItem::List { .. })
        | (PartitionItem::List { .. }, PartitionItem::Range { .. }) => false,
    };
    if !overlaps {
        return Ok(());
    }
    let (a, b) = (new.item.identity(scheme, columns), item.identity(scheme, columns));
    Err(SqlError::general(match scheme {
        PartitionScheme::List { .. } => {
            format!(
                "The partition key[{a}] in partition[{}] is conflict with partition[{name}] {b}",
                new.name
            )
        }
        PartitionScheme::Range { .. } | PartitionScheme::Unpartitioned => {
            format!("Range {a} is intersected with range: {b}")
        }
    }))
}

/// `FROM … TO … INTERVAL n [unit]` on one column. Partitions are named `p_` and their start.
fn steps(
    from: &[PartitionValue],
    to: &[PartitionValue],
    interval: i64,
    unit: Option<&str>,
    types: &[&DataType],
) -> SqlResult<Vec<NewItem>> {
    let [data_type] = types else {
        return Err(SqlError::general("INTERVAL partitions need exactly one partition column"));
    };
    if interval <= 0 {
        return Err(SqlError::general("Multi partition's interval should be larger than zero"));
    }
    let (from, to) = (bound(from, types)?, bound(to, types)?);
    let (PartitionValue::Value(from), PartitionValue::Value(to)) = (&from[0], &to[0]) else {
        return Err(SqlError::general("Multi partition's bounds must be values"));
    };
    let mut items = Vec::new();
    let mut push = |name: String, lower: String, upper: String| {
        if items.len() >= MAX_STEPS {
            return Err(SqlError::general(format!(
                "The number of multi partitions is larger than {MAX_STEPS}"
            )));
        }
        let (lower, upper) = (PartitionValue::Value(lower), PartitionValue::Value(upper));
        items.push(NewItem { name, item: range(vec![lower], vec![upper], types)? });
        Ok(())
    };
    match unit {
        None => {
            let parse = |text: &str| {
                text.parse::<i128>().map_err(|_| SqlError::general("INTERVAL without a unit needs integers"))
            };
            let (mut at, end) = (parse(from)?, parse(to)?);
            while at < end {
                let next = (at + i128::from(interval)).min(end);
                push(format!("p_{at}"), at.to_string(), next.to_string())?;
                at = next;
            }
        }
        Some(unit) => {
            let parse = |text: &str| {
                let text = text.replacen(' ', "T", 1);
                text.parse::<DateTime>()
                    .or_else(|_| format!("{text}T00:00:00").parse::<DateTime>())
                    .map_err(|_| SqlError::general("INTERVAL with a unit needs dates"))
            };
            let (mut at, end) = (parse(from)?, parse(to)?);
            while at < end {
                let (name, next) = date_step(at, interval, unit)?;
                let next = next.min(end);
                let text = |time: DateTime| {
                    let text = time.strftime("%Y-%m-%d %H:%M:%S").to_string();
                    PartitionValue::Value(text)
                        .normalize(data_type)
                        .map(|value| value.text(data_type).to_owned())
                };
                let (Some(lower), Some(upper)) = (text(at), text(next)) else {
                    return Err(SqlError::general("INTERVAL with a unit needs a date column"));
                };
                push(name, lower, upper)?;
                at = next;
            }
        }
    }
    Ok(items)
}

/// The name of the partition that starts at a time, and where the next one starts.
fn date_step(at: DateTime, interval: i64, unit: &str) -> SqlResult<(String, DateTime)> {
    let name = |format: &str| format!("p_{}", at.strftime(format));
    let (name, span) = match unit {
        "year" => (name("%Y"), interval.years()),
        "month" => (name("%Y%m"), interval.months()),
        "week" => (name("%Y_%W"), interval.weeks()),
        "day" => (name("%Y%m%d"), interval.days()),
        "hour" => (name("%Y%m%d%H"), interval.hours()),
        "minute" => (name("%Y%m%d%H%M"), interval.minutes()),
        _ => return Err(SqlError::general(format!("Multi build partition only support unit: {unit}"))),
    };
    let next = at.checked_add(span).map_err(|_| SqlError::general("INTERVAL leaves the range of dates"))?;
    Ok((name, next))
}
