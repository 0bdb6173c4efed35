//! REPLACE WITH TABLE and REPLACE PARTITION.

use doris_types::record::{BinlogType, ReplacePartitionsRecord, ReplaceTableRecord, html_safe_json};

use super::rename::set_table_name;
use super::{context, drop, partition};
use crate::cluster::ClusterInner;
use crate::error::{SqlError, SqlResult};
use crate::model::PartitionItem;
use crate::model::{OlapTable, Partition, PartitionScheme, PartitionValue, Table};
use crate::sql::Properties;
use crate::state::FeState;

/// Both tables exchange their names, or the other one takes this one's name and this one is dropped.
pub fn table(
    cluster: &ClusterInner,
    state: &mut FeState,
    ids: (i64, i64),
    with: &str,
    swap: bool,
    force: bool,
) -> SqlResult<()> {
    let (db_id, table_id) = ids;
    let db = &state.databases[&db_id];
    let name = context::olap(state, db_id, table_id).name.clone();
    let other_id = match db.table_named(with) {
        Some(Table::Olap(other)) => {
            context::check_normal(other)?;
            other.id
        }
        Some(Table::View(_)) => {
            let message = format!("Table '{with}' is not a OLAP table");
            return Err(SqlError { code: 5000, state: "HY000", message });
        }
        None => return Err(SqlError::general(format!("unknown table, tableName={with}"))),
    };
    if other_id == table_id {
        return Err(SqlError::general("Same table name"));
    }
    let record = ReplaceTableRecord {
        db_id,
        orig_table_id: table_id,
        orig_table_name: name.clone(),
        new_table_id: other_id,
        new_table_name: with.to_owned(),
        swap_table: swap,
        is_force: force,
    };
    if swap {
        set_table_name(context::olap_mut(state, db_id, table_id), with);
    } else {
        let db = state.databases.get_mut(&db_id).expect("the id was resolved");
        if let Some(old) = db.tables.remove(&table_id) {
            drop::discard(cluster, state, db_id, old, force);
        }
    }
    set_table_name(context::olap_mut(state, db_id, other_id), &name);
    let now = cluster.clock.now_ms();
    state.journal_binlog(now, BinlogType::REPLACE_TABLE, db_id, &[table_id], |_| html_safe_json(&record));
    Ok(())
}

/// How REPLACE PARTITION treats ranges, names and the old data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplaceOptions {
    /// The ranges of both sides must be equal.
    pub strict_range: bool,
    pub use_temp_partition_name: bool,
    /// The old partitions do not go to the recycle bin.
    pub force: bool,
}

impl ReplaceOptions {
    pub fn from_properties(properties: &Properties) -> Self {
        let flag = |key: &str, default: bool| {
            properties.get(key).map_or(default, |value| value.eq_ignore_ascii_case("true"))
        };
        Self {
            strict_range: flag("strict_range", true),
            use_temp_partition_name: flag("use_temp_partition_name", false),
            force: false,
        }
    }
}

/// The temporary partitions become formal with their own ids; the old ones are dropped. New partitions take
/// the old names unless asked otherwise or the numbers differ. INSERT OVERWRITE ends with this too.
pub fn partitions(
    cluster: &ClusterInner,
    state: &mut FeState,
    ids: (i64, i64),
    names: &[String],
    temp_names: &[String],
    options: ReplaceOptions,
) -> SqlResult<()> {
    let (db_id, table_id) = ids;
    let db_name = state.databases[&db_id].name.clone();
    let table = context::olap_mut(state, db_id, table_id);
    let old = find(table.partitions.values(), names, "Partition")?;
    let new = find(table.temp_partitions.values(), temp_names, "Temp partition")?;
    check_ranges(table, &old, &new, options.strict_range)?;
    let mut removed = Vec::with_capacity(old.len());
    for id in &old {
        removed.extend(table.partitions.remove(id));
    }
    let takes_names = !options.use_temp_partition_name && old.len() == new.len();
    for (at, id) in new.iter().enumerate() {
        if let Some(mut partition) = table.temp_partitions.remove(id) {
            if takes_names {
                partition.name.clone_from(&removed[at].name);
            }
            table.partitions.insert(*id, partition);
        }
    }
    let record = ReplacePartitionsRecord {
        db_id,
        db_name,
        table_id,
        table_name: table.name.clone(),
        partitions: removed.iter().map(|partition| partition.name.clone()).collect(),
        temp_partitions: temp_names.to_vec(),
        strict_range: options.strict_range,
        use_temp_partition_name: options.use_temp_partition_name,
        version: removed.iter().map(|partition| partition.visible_version).max().unwrap_or(1),
        version_time: cluster.clock.now_ms(),
        force: options.force,
        partition_ids: old,
    };
    for partition in removed {
        partition::discard(cluster, state, ids, partition, options.force);
    }
    let now = cluster.clock.now_ms();
    state
        .journal_binlog(now, BinlogType::REPLACE_PARTITIONS, db_id, &[table_id], |_| html_safe_json(&record));
    Ok(())
}

fn find<'a>(
    partitions: impl Iterator<Item = &'a Partition> + Clone,
    names: &[String],
    kind: &str,
) -> SqlResult<Vec<i64>> {
    names
        .iter()
        .map(|name| {
            partitions
                .clone()
                .find(|partition| partition.name.eq_ignore_ascii_case(name))
                .map(|partition| partition.id)
                .ok_or_else(|| SqlError::general(format!("{kind}[{name}] does not exist")))
        })
        .collect()
}

fn check_ranges(table: &OlapTable, old: &[i64], new: &[i64], strict: bool) -> SqlResult<()> {
    let identities = |ids: &[i64]| {
        let mut texts: Vec<String> = ids
            .iter()
            .filter_map(|id| table.any_partition(*id))
            .map(|partition| partition.item.identity(&table.partition_scheme, table.columns()))
            .collect();
        texts.sort();
        texts
    };
    if strict {
        if identities(old) == identities(new) {
            return Ok(());
        }
        return Err(SqlError::general(
            "2 range lists are not strictly matched. the temporary partitions' ranges are not those of the partitions",
        ));
    }
    // The new ranges may differ but must leave the partitions that stay alone.
    let types = table.partition_scheme.column_types(table.columns());
    let staying = table.partitions.values().filter(|partition| !old.contains(&partition.id));
    for partition in staying {
        for id in new {
            let Some(temp) = table.temp_partitions.get(id) else { continue };
            let overlaps = match (&partition.item, &temp.item) {
                (
                    PartitionItem::Range { lower: a, upper: b },
                    PartitionItem::Range { lower: c, upper: d },
                ) => {
                    PartitionValue::compare_keys(a, d, &types).is_lt()
                        && PartitionValue::compare_keys(c, b, &types).is_lt()
                }
                (PartitionItem::List { keys: a, .. }, PartitionItem::List { keys: b, .. }) => {
                    a.iter().any(|key| b.contains(key))
                }
                _ => table.partition_scheme == PartitionScheme::Unpartitioned,
            };
            if overlaps {
                return Err(SqlError::general(format!(
                    "Range {} is intersected with range: {}",
                    temp.item.identity(&table.partition_scheme, table.columns()),
                    partition.item.identity(&table.partition_scheme, table.columns())
                )));
            }
        }
    }
    Ok(())
}
