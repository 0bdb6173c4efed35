//! Views with PARTITION BY a column: their partitions follow those of the base table that the column comes from.
//!
//! Creating and refreshing such a view first makes the partitions that are missing and drops those that the base
//! table no longer has. A refresh then overwrites, one after the other, the partitions whose base tables have
//! other versions than it saw last.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{AsyncView, versions_of};
use crate::catalog_ops;
use crate::cluster::ClusterInner;
use crate::error::{SqlError, SqlResult};
use crate::exec::partition;
use crate::model::{DataType, OlapTable, Partition, PartitionItem, PartitionScheme, PartitionValue, Table};
use crate::query::compile::Compiled;
use crate::sql::Partitioning;
use crate::sql::lexer::{TokenKind, tokenize};
use crate::state::FeState;

/// Which partitions a view follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Follows {
    pub table_id: i64,
    /// The partition column of the base table.
    pub related: String,
    /// The column of the view.
    pub own: String,
}

/// What a refresh read: table to partition to version.
pub type Versions = BTreeMap<i64, BTreeMap<i64, i64>>;

/// What the PARTITION BY of a view follows; `None` for an expression, whose view has one partition.
pub fn follows(
    state: &FeState,
    partition_by: &str,
    query: &Compiled,
    names: &[String],
) -> SqlResult<Option<Follows>> {
    let tokens = tokenize(partition_by)?;
    let name = match tokens.as_slice() {
        [name, end] if end.kind == TokenKind::End => match &name.kind {
            TokenKind::Word(name) | TokenKind::Quoted(name) => name,
            TokenKind::Text(_) | TokenKind::Number(_) | TokenKind::Symbol(_) | TokenKind::End => {
                return Ok(None);
            }
        },
        _ => return Ok(None),
    };
    let at = names.iter().position(|known| known.eq_ignore_ascii_case(name));
    let at = at.ok_or_else(|| SqlError::general("partition column can not find from sql select column"))?;
    let origin = query.origins.get(at).and_then(Option::as_ref).and_then(|origin| origin.source.clone());
    let unsuitable = |why: &str| {
        SqlError::general(format!(
            "Unable to find a suitable base table for partitioning, the fail reason is {why}"
        ))
    };
    let (table_id, related) =
        origin.ok_or_else(|| unsuitable("partition column is not a column of a base table"))?;
    let table = base(state, table_id).ok_or_else(|| unsuitable("the base table is gone"))?;
    match table.partition_scheme.column_names() {
        [column] if column.eq_ignore_ascii_case(&related) => {
            Ok(Some(Follows { table_id, related, own: names[at].clone() }))
        }
        [] => Err(unsuitable("related base table is not partition table")),
        _ => Err(unsuitable("partition column is not the partition column of the base table")),
    }
}

/// The clause of the table of such a view, as yet without partitions.
pub fn partitioning(state: &FeState, follows: &Follows) -> Option<Partitioning> {
    let is_list = match base(state, follows.table_id)?.partition_scheme {
        PartitionScheme::Unpartitioned => return None,
        PartitionScheme::Range { .. } => false,
        PartitionScheme::List { .. } => true,
    };
    Some(Partitioning {
        is_list,
        is_auto: false,
        columns: vec![follows.own.clone()],
        auto_expr: None,
        partitions: Vec::new(),
    })
}

fn base(state: &FeState, table_id: i64) -> Option<&OlapTable> {
    state.databases.values().find_map(|db| db.tables.get(&table_id))?.as_olap()
}

fn table_of(state: &FeState, ids: (i64, i64)) -> Option<&OlapTable> {
    state.databases.get(&ids.0)?.tables.get(&ids.1).and_then(Table::as_olap)
}

/// Gives a view the partitions that its base table has.
pub fn align(
    cluster: &ClusterInner,
    state: &mut FeState,
    ids: (i64, i64),
    follows: &Follows,
) -> SqlResult<()> {
    let Some(table) = table_of(state, ids) else { return Ok(()) };
    let Some(base) = base(state, follows.table_id) else {
        return Err(SqlError::general(format!("table not found, tableId={}", follows.table_id)));
    };
    let has =
        |table: &OlapTable, item: &PartitionItem| table.partitions.values().any(|own| own.item == *item);
    let gone: Vec<String> =
        table.partitions.values().filter(|own| !has(base, &own.item)).map(|own| own.name.clone()).collect();
    let new: Vec<PartitionItem> = base
        .partitions
        .values()
        .filter(|partition| !has(table, &partition.item))
        .map(|partition| partition.item.clone())
        .collect();
    let shell = table.without_partitions();
    for name in gone {
        partition::drop(cluster, state, ids, false, true, &name, true)?;
    }
    let types = shell.partition_scheme.column_types(shell.columns()).into_iter().next().cloned();
    let data_type = types.unwrap_or(DataType::String);
    for item in new {
        let name = name_of(&item, &data_type);
        let distribution = shell.default_distribution.clone();
        let made = catalog_ops::new_partition(cluster, state, &shell, ids.0, &name, item, distribution)?;
        partition::insert(cluster, state, ids, made, false);
    }
    Ok(())
}

/// `p_` and the bounds or values, of which only letters and digits are left, with `_` between them.
fn name_of(item: &PartitionItem, data_type: &DataType) -> String {
    let values: Vec<&PartitionValue> = match item {
        PartitionItem::Unpartitioned => Vec::new(),
        PartitionItem::Range { lower, upper } => lower.iter().chain(upper).collect(),
        PartitionItem::List { keys, .. } => keys.iter().flatten().collect(),
    };
    let plain = |value: &&PartitionValue| {
        value.text(data_type).chars().filter(char::is_ascii_alphanumeric).collect::<String>()
    };
    let name = format!("p_{}", values.iter().map(plain).collect::<Vec<_>>().join("_"));
    if name.len() <= 50 { name } else { format!("{}{}", &name[..30], crc32fast::hash(name.as_bytes())) }
}

/// The condition that the rows of a partition meet.
pub fn condition(table: &OlapTable, partition: &Partition, column: &str) -> String {
    let column = format!("`{column}`");
    let data_type = table.partition_scheme.column_types(table.columns()).into_iter().next();
    let quoted = |value: &PartitionValue| {
        let text = data_type.map_or("", |data_type| value.text(data_type));
        format!("'{}'", text.replace('\'', "''"))
    };
    let among = |keys: &[Vec<PartitionValue>]| {
        let mut tests: Vec<String> = Vec::new();
        for value in keys.iter().flatten() {
            tests.push(match value {
                PartitionValue::Null => format!("{column} IS NULL"),
                PartitionValue::Value(_) | PartitionValue::MinValue | PartitionValue::MaxValue => {
                    format!("{column} = {}", quoted(value))
                }
            });
        }
        if tests.is_empty() { "false".to_owned() } else { tests.join(" OR ") }
    };
    match &partition.item {
        PartitionItem::Unpartitioned => "true".to_owned(),
        PartitionItem::Range { lower, upper } => {
            let mut tests = Vec::new();
            if let Some(PartitionValue::Value(_)) = lower.first() {
                tests.push(format!("{column} >= {}", quoted(&lower[0])));
            }
            if let Some(PartitionValue::Value(_)) = upper.first() {
                tests.push(format!("{column} < {}", quoted(&upper[0])));
            }
            let inside = if tests.is_empty() { "true".to_owned() } else { tests.join(" AND ") };
            match lower.first() {
                // NULL is in the range that begins at the minimum.
                Some(PartitionValue::MinValue) => format!("({inside} OR {column} IS NULL)"),
                _ => inside,
            }
        }
        PartitionItem::List { is_default: true, .. } => {
            let others = table.partitions.values().filter_map(|other| match &other.item {
                PartitionItem::List { keys, is_default: false } => Some(among(keys)),
                PartitionItem::List { .. } | PartitionItem::Range { .. } | PartitionItem::Unpartitioned => {
                    None
                }
            });
            let others: Vec<String> = others.collect();
            format!(
                "coalesce(NOT ({}), true)",
                if others.is_empty() { "false".to_owned() } else { others.join(" OR ") }
            )
        }
        PartitionItem::List { keys, is_default: false } => among(keys),
    }
}

/// What of `all` counts for a partition of the view: of the base table that it follows, one partition only.
pub fn part_of(state: &FeState, follows: &Follows, item: &PartitionItem, all: &Versions) -> Versions {
    let mut part = all.clone();
    if let Some(versions) = part.get_mut(&follows.table_id) {
        let partitions = base(state, follows.table_id).map(|base| &base.partitions);
        versions.retain(|id, _| {
            partitions.and_then(|partitions| partitions.get(id)).is_some_and(|related| related.item == *item)
        });
    }
    part
}

/// Whether a partition of the view shows what its base tables hold now.
pub fn is_in_sync(state: &FeState, view: &AsyncView, follows: &Follows, own: &Partition) -> bool {
    let Some(seen) = view.seen_by.get(&own.name) else { return false };
    let now: Option<Versions> = seen.keys().map(|id| Some((*id, versions_of(state, *id)?))).collect();
    now.is_some_and(|now| part_of(state, follows, &own.item, &now) == *seen)
}

/// Whether the view has the partitions of its base table and each is in sync.
pub fn all_in_sync(state: &FeState, table: &OlapTable, view: &AsyncView, follows: &Follows) -> bool {
    let Some(base) = base(state, follows.table_id) else { return false };
    base.partitions.len() == table.partitions.len()
        && base.partitions.values().all(|related| {
            let own = table.partitions.values().find(|own| own.item == related.item);
            own.is_some_and(|own| is_in_sync(state, view, follows, own))
        })
}

/// `relatedTable=…` of `MvPartitionInfo`.
pub fn info(state: &FeState, follows: &Follows) -> String {
    let table = base(state, follows.table_id).map_or("null", |base| base.name.as_str());
    format!(
        "MTMVPartitionInfo{{partitionType=FOLLOW_BASE_TABLE, relatedTable={table}, relatedCol='{}', partitionCol='{}'}}",
        follows.related, follows.own
    )
}
