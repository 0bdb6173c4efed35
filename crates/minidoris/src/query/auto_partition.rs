//! Partitions that a load makes on auto-partitioned tables, through the same ALTER TABLE that an operator
//! would use.

use std::collections::BTreeSet;

use crate::cluster::ClusterInner;
use crate::data::Value;
use crate::data::date::DateTime;
use crate::error::{SqlError, SqlResult};
use crate::model::{DataType, PartitionScheme};
use crate::session::Session;
use crate::{exec, sql};

use super::target::LoadTarget;

/// Whether loads make missing partitions.
pub fn is_auto(target: &LoadTarget) -> bool {
    !target.choice.temporary
        && target.choice.names.is_empty()
        && match &target.scheme {
            PartitionScheme::Unpartitioned => false,
            PartitionScheme::Range { auto_expr, .. } => auto_expr.is_some(),
            PartitionScheme::List { is_auto, .. } => *is_auto,
        }
}

/// Creates the partitions of rows that had none; `missing` holds the partition columns' values of each.
pub fn create(cluster: &ClusterInner, target: &LoadTarget, missing: &[Vec<Value>]) -> SqlResult<()> {
    let mut clauses = BTreeSet::new();
    for values in missing {
        clauses.insert(clause(target, values)?);
    }
    let mut session =
        Session { user: "root".to_owned(), database: Some(target.db.clone()), ..Session::default() };
    for clause in clauses {
        let text =
            format!("ALTER TABLE `{}`.`{}` ADD PARTITION IF NOT EXISTS {clause}", target.db, target.table);
        exec::run(cluster, &mut session, &sql::parse(&text)?)?;
    }
    Ok(())
}

/// Name and VALUES of the partition of a row.
fn clause(target: &LoadTarget, values: &[Value]) -> SqlResult<String> {
    match &target.scheme {
        PartitionScheme::Unpartitioned => Err(SqlError::general("the table has no partitions")),
        PartitionScheme::List { .. } => {
            let texts: Vec<String> = values.iter().map(list_value).collect();
            Ok(format!("`{}` VALUES IN (({}))", list_name(values), texts.join(", ")))
        }
        PartitionScheme::Range { columns, auto_expr } => {
            let unit = auto_expr.as_deref().and_then(|text| text.rsplit('\'').nth(1)).unwrap_or("day");
            let at = match values.first() {
                Some(Value::Date(date)) => DateTime::at_midnight(*date),
                Some(Value::DateTime(at)) => *at,
                _ => {
                    return Err(SqlError::general(
                        "the partition column of an auto partition must not be NULL",
                    ));
                }
            };
            let (lower, upper) = interval(at, unit)
                .ok_or_else(|| SqlError::general(format!("cannot partition by date_trunc unit '{unit}'")))?;
            let column = columns.first().and_then(|name| target.schema.position(name));
            let is_date =
                column.is_some_and(|position| target.schema.columns[position].data_type == DataType::Date);
            let show = |at: DateTime| match is_date {
                true => at.date().to_string(),
                false => Value::DateTime(at).to_sql_text(0).unwrap_or_default(),
            };
            let name: String = Value::DateTime(lower)
                .to_sql_text(0)
                .unwrap_or_default()
                .chars()
                .filter(char::is_ascii_digit)
                .collect();
            Ok(format!("`p{name}` VALUES [(\"{}\"), (\"{}\"))", show(lower), show(upper)))
        }
    }
}

fn list_value(value: &Value) -> String {
    match value.to_sql_text(6) {
        None => "NULL".to_owned(),
        Some(text) => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
    }
}

/// `p`, then each value followed by its length, NULL as X; characters that no name may have as hex, with
/// an underscore behind the p when there are any.
fn list_name(values: &[Value]) -> String {
    let mut name = String::new();
    let mut special = false;
    for value in values {
        let Some(text) = value.to_sql_text(6) else {
            name.push('X');
            continue;
        };
        for ch in text.chars() {
            if ch.is_ascii_alphanumeric() {
                name.push(ch);
            } else {
                special = true;
                name.push_str(&format!("{:x}", u32::from(ch)));
            }
        }
        name.push_str(&text.chars().count().to_string());
    }
    format!("p{}{name}", if special { "_" } else { "" })
}

/// The `date_trunc` interval around an instant.
fn interval(at: DateTime, unit: &str) -> Option<(DateTime, DateTime)> {
    let lower = at.truncate_to(unit)?;
    Some((lower, lower.shift(1, unit)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_names_follow_doris() {
        let ints = |numbers: &[i128]| numbers.iter().map(|number| Value::Int(*number)).collect::<Vec<_>>();
        assert_eq!(list_name(&ints(&[1, 1])), "p1111");
        assert_eq!(list_name(&ints(&[-1, -1])), "p_2d122d12");
        assert_eq!(list_name(&[Value::Null, Value::Null]), "pXX");
        assert_eq!(list_name(&[Value::Null, Value::Int(1)]), "pX11");
    }

    #[test]
    fn intervals_surround_the_instant() {
        let at = DateTime::parse("2024-12-31 23:30:00").unwrap();
        let shown = |unit| {
            interval(at, unit).map(|(lower, upper)| {
                [lower, upper].map(|at| Value::DateTime(at).to_sql_text(0).unwrap()).join(" / ")
            })
        };
        assert_eq!(shown("day").as_deref(), Some("2024-12-31 00:00:00 / 2025-01-01 00:00:00"));
        assert_eq!(shown("month").as_deref(), Some("2024-12-01 00:00:00 / 2025-01-01 00:00:00"));
        assert_eq!(shown("quarter").as_deref(), Some("2024-10-01 00:00:00 / 2025-01-01 00:00:00"));
        assert_eq!(shown("week").as_deref(), Some("2024-12-30 00:00:00 / 2025-01-06 00:00:00"));
        assert_eq!(shown("hour").as_deref(), Some("2024-12-31 23:00:00 / 2025-01-01 00:00:00"));
        assert_eq!(shown("moon"), None);
    }
}
