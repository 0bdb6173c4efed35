//! Dynamic partitions: the scheduler that makes the partitions of the coming periods and drops those of the
//! past, by the cluster's clock.
//!
//! A table is looked at when it is created, and then every `dynamic_partition_check_interval_seconds`. Tables
//! that a job fills are left alone: they get the partitions of their source.

mod period;
mod settings;

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};

use super::partition_items::{self, NewItem};
use super::{context, create_table, partition};
use crate::catalog_ops;
use crate::cluster::ClusterInner;
use crate::error::{SqlError, SqlResult};
use crate::model::{
    Distribution, OlapTable, PartitionItem, PartitionScheme, PartitionValue, Table, TableState,
};
use crate::sql::Properties;
use crate::state::FeState;

pub use settings::{Settings, complete};

/// `dynamic_partition_check_interval_seconds`.
const DEFAULT_INTERVAL_S: i64 = 600;

/// What the scheduler remembers.
#[derive(Debug, Default)]
pub struct DynamicState {
    /// Milliseconds since the epoch of the last round.
    last_round: i64,
    tables: BTreeMap<i64, Runtime>,
}

/// What SHOW DYNAMIC PARTITION TABLES tells about the work on a table. Times are milliseconds since the epoch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Runtime {
    pub last_update: i64,
    pub last_scheduled: i64,
    pub create_error: Option<String>,
    pub drop_error: Option<String>,
}

impl DynamicState {
    pub fn runtime(&self, table_id: i64) -> Runtime {
        self.tables.get(&table_id).cloned().unwrap_or_default()
    }
}

/// Checks the settings of a table that was made or altered, and notes the change.
pub fn check(
    cluster: &ClusterInner,
    state: &mut FeState,
    table: &OlapTable,
    properties: &Properties,
) -> SqlResult<()> {
    let Some(settings) = Settings::read(properties)? else { return Ok(()) };
    let limit = state.config.get("max_dynamic_partition_num").and_then(|value| value.parse().ok());
    settings.check(table, limit)?;
    state.ddl.dynamic.tables.entry(table.id).or_default().last_update = cluster.clock.now_ms();
    Ok(())
}

/// Refuses to add or drop single partitions of a table whose partitions the scheduler decides.
pub fn check_manual(table: &OlapTable) -> SqlResult<()> {
    let is_enabled = table.properties.get("dynamic_partition.enable").is_some_and(|value| value == "true");
    if !is_enabled || table.is_being_synced {
        return Ok(());
    }
    Err(SqlError::general(format!(
        "Cannot add/drop partition on a Dynamic Partition Table, please use command `ALTER TABLE {} SET \
         (\"dynamic_partition.enable\" = \"false\")` firstly.",
        table.name
    )))
}

/// A round over all tables when it is time; whether any partition came or went.
pub fn tick(cluster: &ClusterInner, state: &mut FeState) -> bool {
    let now = cluster.clock.now_ms();
    let setting = |name: &str| state.config.get(name);
    let interval = setting("dynamic_partition_check_interval_seconds")
        .and_then(|value| value.parse::<i64>().ok())
        .unwrap_or(DEFAULT_INTERVAL_S);
    let is_off = setting("dynamic_partition_enable").is_some_and(|value| value.eq_ignore_ascii_case("false"));
    if is_off || now < state.ddl.dynamic.last_round.saturating_add(interval.saturating_mul(1000)) {
        return false;
    }
    state.ddl.dynamic.last_round = now;
    let ids: Vec<(i64, i64)> = state
        .databases
        .values()
        .flat_map(|db| db.tables.values().filter_map(Table::as_olap).map(|table| (db.id, table.id)))
        .collect();
    let known: std::collections::BTreeSet<i64> = ids.iter().map(|(_, table_id)| *table_id).collect();
    state.ddl.dynamic.tables.retain(|id, _| known.contains(id));
    let mut moved = false;
    for ids in ids {
        moved |= run(cluster, state, ids);
    }
    moved
}

/// Makes and drops the partitions of one table; whether any came or went.
pub fn run(cluster: &ClusterInner, state: &mut FeState, ids: (i64, i64)) -> bool {
    let table = context::olap(state, ids.0, ids.1);
    let Ok(Some(settings)) = Settings::read(&table.properties) else { return false };
    if !settings.enable || table.is_being_synced {
        return false;
    }
    let now = cluster.clock.now_ms();
    let mut runtime = state.ddl.dynamic.runtime(ids.1);
    runtime.last_scheduled = now;
    runtime.create_error = None;
    runtime.drop_error = None;
    let mut moved = false;
    if table.state == TableState::Normal {
        let here =
            Timestamp::from_millisecond(now).unwrap_or_default().to_zoned(settings.zone.clone()).datetime();
        let drops = outdated(&settings, here, table);
        for new in wanted(&settings, here, table) {
            match add(cluster, state, ids, &settings, new, here) {
                Ok(made) => moved |= made,
                Err(error) => runtime.create_error = Some(error.message),
            }
        }
        for name in drops {
            match partition::drop(cluster, state, ids, false, true, &name, false) {
                Ok(()) => moved = true,
                Err(error) => runtime.drop_error = Some(error.message),
            }
        }
    } else {
        runtime.create_error = context::check_normal(table).err().map(|error| error.message);
    }
    state.ddl.dynamic.tables.insert(ids.1, runtime);
    moved
}

/// The partitions of the periods from now, or from the past, to the end.
fn wanted(settings: &Settings, now: DateTime, table: &OlapTable) -> Vec<NewItem> {
    let types = table.partition_scheme.column_types(table.columns());
    let Some(column) = types.first() else { return Vec::new() };
    let first = if settings.create_history { settings.oldest().unwrap_or(0) } else { 0 };
    (first..=settings.end)
        .filter_map(|offset| {
            let from = period::border(settings.unit, now, offset)?;
            let to = period::border(settings.unit, now, offset + 1)?;
            let bound = |border| {
                let text = period::bound_text(settings.unit, border, column);
                PartitionValue::Value(text).normalize_bound(column)
            };
            Some(NewItem {
                name: format!("{}{}", settings.prefix, period::name(settings.unit, from)),
                item: PartitionItem::Range { lower: vec![bound(from)?], upper: vec![bound(to)?] },
            })
        })
        .collect()
}

/// Adds a partition unless the table has one of its name or range; one that overlaps others is an error.
fn add(
    cluster: &ClusterInner,
    state: &mut FeState,
    ids: (i64, i64),
    settings: &Settings,
    new: NewItem,
    now: DateTime,
) -> SqlResult<bool> {
    let table = context::olap(state, ids.0, ids.1);
    if table.partitions.values().any(|known| known.item == new.item || known.name == new.name) {
        return Ok(false);
    }
    let others: Vec<(&str, &PartitionItem)> =
        table.partitions.values().map(|known| (known.name.as_str(), &known.item)).collect();
    partition_items::check_free(&new, &others, &table.partition_scheme, table.columns())?;
    create_table::check_replication(cluster, settings.replication)?;
    let distribution = Distribution { buckets: settings.buckets, ..table.default_distribution.clone() };
    let mut shell = table.without_partitions();
    shell.replication_num = settings.replication;
    let is_hot = settings.hot_num > 0
        && period::border(settings.unit, now, 1 - settings.hot_num)
            .is_some_and(|oldest| is_at_or_behind(&shell, &new.item, settings, oldest));
    let mut made =
        catalog_ops::new_partition(cluster, state, &shell, ids.0, &new.name, new.item, distribution)?;
    if is_hot {
        "SSD".clone_into(&mut made.storage_medium);
    } else if let Some(medium) = &settings.medium {
        made.storage_medium.clone_from(medium);
    }
    partition::insert(cluster, state, ids, made, false);
    Ok(true)
}

fn is_at_or_behind(table: &OlapTable, item: &PartitionItem, settings: &Settings, border: DateTime) -> bool {
    let types = table.partition_scheme.column_types(table.columns());
    let (Some(column), PartitionItem::Range { lower, .. }) = (types.first(), item) else { return false };
    let text = period::bound_text(settings.unit, border, column);
    PartitionValue::Value(text)
        .normalize_bound(column)
        .is_some_and(|border| PartitionValue::compare_keys(lower, &[border], &types).is_ge())
}

/// The partitions that end at or before the oldest period that is kept, but for the reserved ones.
fn outdated(settings: &Settings, now: DateTime, table: &OlapTable) -> Vec<String> {
    let PartitionScheme::Range { .. } = &table.partition_scheme else { return Vec::new() };
    let types = table.partition_scheme.column_types(table.columns());
    let (Some(oldest), Some(column)) = (settings.oldest(), types.first()) else { return Vec::new() };
    let value = |border: DateTime| {
        let text = period::bound_text(settings.unit, border, column);
        PartitionValue::Value(text).normalize_bound(column)
    };
    let Some(limit) = period::border(settings.unit, now, oldest).and_then(value) else { return Vec::new() };
    let day_after = |day: Date| day.tomorrow().ok();
    let reserved: Vec<(PartitionValue, PartitionValue)> = settings
        .reserved
        .iter()
        .filter_map(|(from, to)| Some((value(from.at(0, 0, 0, 0))?, value(day_after(*to)?.at(0, 0, 0, 0))?)))
        .collect();
    let is_before = |a: &[PartitionValue], b: &PartitionValue| {
        PartitionValue::compare_keys(a, std::slice::from_ref(b), &types)
    };
    table
        .partitions
        .values()
        .filter(|partition| {
            let PartitionItem::Range { lower, upper } = &partition.item else { return false };
            is_before(upper, &limit).is_le()
                && !reserved
                    .iter()
                    .any(|(from, to)| is_before(lower, to).is_lt() && is_before(upper, from).is_gt())
        })
        .map(|partition| partition.name.clone())
        .collect()
}
