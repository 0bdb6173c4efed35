//! Partitions that a load makes for values without one, in auto partitioned tables.

use jiff::ToSpan;
use jiff::civil::DateTime;

use super::partition_items::NewItem;
use super::{context, partition};
use crate::catalog_ops;
use crate::cluster::ClusterInner;
use crate::error::{SqlError, SqlResult};
use crate::model::{DataType, OlapTable, PartitionItem, PartitionScheme, PartitionValue};
use crate::state::FeState;

/// Whether loads make missing partitions.
pub fn is_auto(table: &OlapTable) -> bool {
    match &table.partition_scheme {
        PartitionScheme::Unpartitioned => false,
        PartitionScheme::Range { auto_expr, .. } => auto_expr.is_some(),
        PartitionScheme::List { is_auto, .. } => *is_auto,
    }
}

/// Makes the partition that takes a row with these values of the partition columns (`None` is NULL), and
/// journals it as ADD_PARTITION. Nothing happens when it exists.
pub fn ensure(
    cluster: &ClusterInner,
    state: &mut FeState,
    db_id: i64,
    table_id: i64,
    values: &[Option<String>],
) -> SqlResult<()> {
    let table = context::olap(state, db_id, table_id);
    let new = plan(table, values)?;
    if table.partitions.values().any(|partition| partition.name == new.name || partition.item == new.item) {
        return Ok(());
    }
    let shell = table.without_partitions();
    let distribution = shell.default_distribution.clone();
    let made = catalog_ops::new_partition(cluster, state, &shell, db_id, &new.name, new.item, distribution)?;
    partition::insert(cluster, state, (db_id, table_id), made, false);
    Ok(())
}

fn plan(table: &OlapTable, values: &[Option<String>]) -> SqlResult<NewItem> {
    let types = table.partition_scheme.column_types(table.columns());
    match &table.partition_scheme {
        PartitionScheme::List { is_auto: true, .. } => {
            let key: Vec<PartitionValue> = values
                .iter()
                .zip(&types)
                .map(|(value, data_type)| match value {
                    None => Some(PartitionValue::Null),
                    Some(text) => PartitionValue::Value(text.clone()).normalize(data_type),
                })
                .collect::<Option<_>>()
                .ok_or_else(|| SqlError::general("the value does not fit the partition column"))?;
            let name = list_partition_name(&key, &types);
            Ok(NewItem { name, item: PartitionItem::List { keys: vec![key], is_default: false } })
        }
        PartitionScheme::Range { auto_expr: Some(expression), .. } => {
            let (Some(Some(text)), Some(data_type)) = (values.first(), types.first()) else {
                return Err(SqlError::general("auto range partition does not take NULL"));
            };
            truncated(text, data_type, expression)
        }
        PartitionScheme::Unpartitioned
        | PartitionScheme::Range { auto_expr: None, .. }
        | PartitionScheme::List { is_auto: false, .. } => {
            Err(SqlError::general("the table makes no partitions by itself"))
        }
    }
}

/// `p` and each value followed by its length, X for NULL. What is neither letter nor digit becomes its
/// code in hexadecimal, behind a `_` when the first value starts with a minus: `p_2d122d12` for -1 and -1.
fn list_partition_name(key: &[PartitionValue], types: &[&DataType]) -> String {
    let mut values = String::new();
    for (value, data_type) in key.iter().zip(types) {
        if *value == PartitionValue::Null {
            values.push('X');
        } else {
            let text = value.text(data_type);
            values.push_str(&format!("{text}{}", text.chars().count()));
        }
    }
    let mut name = String::from(if values.starts_with('-') { "p_" } else { "p" });
    for c in values.chars() {
        if c.is_ascii_alphanumeric() {
            name.push(c);
        } else {
            name.push_str(&format!("{:x}", u32::from(c)));
        }
    }
    name
}

/// The range of `date_trunc` or `date_floor`-like expressions around a value.
fn truncated(text: &str, data_type: &DataType, expression: &str) -> SqlResult<NewItem> {
    let fail = || SqlError::general(format!("cannot work out the partition of {text} by {expression}"));
    let time = PartitionValue::Value(text.to_owned())
        .normalize(&DataType::DateTime { scale: 0 })
        .and_then(|value| value.text(data_type).replacen(' ', "T", 1).parse::<DateTime>().ok())
        .ok_or_else(fail)?;
    let unit = expression.rsplit('\'').nth(1).map(str::to_ascii_lowercase).ok_or_else(fail)?;
    let midnight = |time: DateTime| time.with().hour(0).minute(0).second(0).subsec_nanosecond(0).build();
    let start = match unit.as_str() {
        "year" => midnight(time).and_then(|time| time.with().month(1).day(1).build()),
        "quarter" => {
            midnight(time).and_then(|time| time.with().month((time.month() - 1) / 3 * 3 + 1).day(1).build())
        }
        "month" => midnight(time).and_then(|time| time.with().day(1).build()),
        "week" => midnight(time)
            .and_then(|time| time.checked_sub(i64::from(time.weekday().to_monday_zero_offset()).days())),
        "day" => midnight(time),
        "hour" => time.with().minute(0).second(0).build(),
        "minute" => time.with().second(0).build(),
        "second" => Ok(time),
        _ => return Err(fail()),
    }
    .map_err(|_| fail())?;
    let span = match unit.as_str() {
        "year" => 1.years(),
        "quarter" => 3.months(),
        "month" => 1.months(),
        "week" => 7.days(),
        "day" => 1.days(),
        "hour" => 1.hours(),
        "minute" => 1.minutes(),
        _ => 1.seconds(),
    };
    let end = start.checked_add(span).map_err(|_| fail())?;
    let bound = |time: DateTime| {
        PartitionValue::Value(time.strftime("%Y-%m-%d %H:%M:%S").to_string()).normalize_bound(data_type)
    };
    let (Some(lower), Some(upper)) = (bound(start), bound(end)) else { return Err(fail()) };
    Ok(NewItem {
        name: format!("p{}", start.strftime("%Y%m%d%H%M%S")),
        item: PartitionItem::Range { lower: vec![lower], upper: vec![upper] },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_named_after_their_values() {
        let value = |text: &str| PartitionValue::Value(text.to_owned());
        for (key, name) in [
            (vec![value("1"), value("1")], "p1111"),
            (vec![PartitionValue::Null, PartitionValue::Null], "pXX"),
            (vec![PartitionValue::Null, value("1")], "pX11"),
            (vec![value("-1"), value("-1")], "p_2d122d12"),
        ] {
            assert_eq!(list_partition_name(&key, &[&DataType::Int, &DataType::LargeInt]), name);
        }
    }

    #[test]
    fn dates_fall_into_truncated_ranges() {
        for (text, expression, name) in [
            ("2025-02-03", "date_trunc(`d`, 'day')", "p20250203000000"),
            ("2025-02-03", "date_trunc(`d`, 'month')", "p20250201000000"),
            ("2025-02-09", "date_trunc(`d`, 'week')", "p20250203000000"),
            ("2025-06-09", "date_trunc(`d`, 'quarter')", "p20250401000000"),
            ("2025-06-09", "date_trunc(`d`, 'year')", "p20250101000000"),
        ] {
            assert_eq!(truncated(text, &DataType::Date, expression).unwrap().name, name);
        }
        assert!(truncated("x", &DataType::Date, "date_trunc(`d`, 'day')").is_err());
        assert!(truncated("2025-01-01", &DataType::Date, "date_trunc(`d`, 'eon')").is_err());
    }
}
