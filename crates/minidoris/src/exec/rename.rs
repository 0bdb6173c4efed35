//! ALTER TABLE RENAME, RENAME ROLLUP, RENAME PARTITION and RENAME COLUMN.

use std::collections::BTreeMap;

use doris_types::record::{BinlogType, RenameColumnRecord, RenameRecord, html_safe_json};

use super::sync_view::is_used_by_view;
use super::{columns, context, light};
use crate::cluster::ClusterInner;
use crate::error::{SqlError, SqlResult};
use crate::model::{DistributionKind, OlapTable, Partition, PartitionScheme, Table};
use crate::state::FeState;

/// Gives a table another name. Its base index and, when it has no partitions, its one partition go by the
/// same name.
pub fn set_table_name(table: &mut OlapTable, name: &str) {
    if table.partition_scheme == PartitionScheme::Unpartitioned {
        for partition in table.partitions.values_mut().filter(|partition| partition.name == table.name) {
            partition.name = name.to_owned();
        }
    }
    if let Some(base) = table.indexes.get_mut(&table.base_index_id) {
        base.name = name.to_owned();
    }
    table.name = name.to_owned();
}

pub fn table(cluster: &ClusterInner, state: &mut FeState, ids: (i64, i64), new_name: &str) -> SqlResult<()> {
    let (db_id, table_id) = ids;
    context::check_table_name(new_name)?;
    let old_name = context::olap(state, db_id, table_id).name.clone();
    if old_name == new_name {
        return Err(SqlError::general("Same table name"));
    }
    if state.databases[&db_id].table_named(new_name).is_some() {
        return Err(SqlError::general(format!("Table name[{new_name}] is already used")));
    }
    let table = context::olap_mut(state, db_id, table_id);
    if table.indexes.values().any(|index| index.id != table.base_index_id && index.name == new_name) {
        return Err(SqlError::general(format!("New name conflicts with rollup index name: {new_name}")));
    }
    set_table_name(table, new_name);
    let record = RenameRecord {
        new_table_name: new_name.to_owned(),
        old_table_name: old_name,
        ..RenameRecord { db_id, table_id, ..RenameRecord::default() }
    };
    journal(cluster, state, BinlogType::RENAME_TABLE, &record);
    Ok(())
}

/// ALTER TABLE … RENAME of a view. Views that read it go on naming the old one.
pub fn view(cluster: &ClusterInner, state: &mut FeState, ids: (i64, i64), new_name: &str) -> SqlResult<()> {
    let (db_id, view_id) = ids;
    context::check_table_name(new_name)?;
    let old_name = state.databases[&db_id].tables[&view_id].name().to_owned();
    if old_name == new_name {
        return Err(SqlError::general("Same table name"));
    }
    if state.databases[&db_id].table_named(new_name).is_some() {
        return Err(SqlError::general(format!("Table name[{new_name}] is already used")));
    }
    let database = state.databases.get_mut(&db_id).expect("the id was resolved");
    if let Some(Table::View(view)) = database.tables.get_mut(&view_id) {
        view.name = new_name.to_owned();
    }
    let record = RenameRecord {
        db_id,
        table_id: view_id,
        new_table_name: new_name.to_owned(),
        old_table_name: old_name,
        ..RenameRecord::default()
    };
    journal(cluster, state, BinlogType::RENAME_TABLE, &record);
    Ok(())
}

pub fn rollup(
    cluster: &ClusterInner,
    state: &mut FeState,
    ids: (i64, i64),
    from: &str,
    to: &str,
) -> SqlResult<()> {
    let (db_id, table_id) = ids;
    let table = context::olap_mut(state, db_id, table_id);
    if from == to {
        return Err(SqlError::general("Same rollup name"));
    }
    if table.indexes.values().any(|index| index.name == to) {
        return Err(SqlError::general(format!("Rollup name[{to}] is already used")));
    }
    let base = table.base_index_id;
    let Some(index) = table.indexes.values_mut().find(|index| index.name == from && index.id != base) else {
        return Err(SqlError::general(format!("Rollup index[{from}] does not exists")));
    };
    index.name = to.to_owned();
    let record = RenameRecord {
        db_id,
        table_id,
        index_id: index.id,
        new_rollup_name: to.to_owned(),
        old_rollup_name: from.to_owned(),
        ..RenameRecord::default()
    };
    journal(cluster, state, BinlogType::RENAME_ROLLUP, &record);
    Ok(())
}

pub fn partition(
    cluster: &ClusterInner,
    state: &mut FeState,
    ids: (i64, i64),
    from: &str,
    to: &str,
) -> SqlResult<()> {
    let (db_id, table_id) = ids;
    let table = context::olap_mut(state, db_id, table_id);
    if table.partition_scheme == PartitionScheme::Unpartitioned {
        return Err(SqlError::general(format!(
            "Table[{}] is single partitioned. no need to rename partition name.",
            table.name
        )));
    }
    if from == to {
        return Err(SqlError::general("Same partition name"));
    }
    if table.partitions.values().any(|partition| partition.name.eq_ignore_ascii_case(to)) {
        return Err(SqlError::general(format!("Partition name[{to}] is already used")));
    }
    let is_meant = |partition: &&mut Partition| partition.name.eq_ignore_ascii_case(from);
    let Some(partition) = table.partitions.values_mut().find(is_meant) else {
        return Err(SqlError::general(format!("Partition[{from}] does not exists")));
    };
    let old = std::mem::replace(&mut partition.name, to.to_owned());
    let record = RenameRecord {
        db_id,
        table_id,
        partition_id: partition.id,
        new_partition_name: to.to_owned(),
        old_partition_name: old,
        ..RenameRecord::default()
    };
    journal(cluster, state, BinlogType::RENAME_PARTITION, &record);
    Ok(())
}

fn journal(cluster: &ClusterInner, state: &mut FeState, binlog_type: BinlogType, record: &RenameRecord) {
    let now = cluster.clock.now_ms();
    state.journal_binlog(now, binlog_type, record.db_id, &[record.table_id], |_| html_safe_json(record));
}

/// A column keeps its unique id; every index that holds it gets a new schema version.
pub fn column(
    cluster: &ClusterInner,
    state: &mut FeState,
    ids: (i64, i64),
    from: &str,
    to: &str,
) -> SqlResult<()> {
    let (db_id, table_id) = ids;
    let table = context::olap_mut(state, db_id, table_id);
    if from.eq_ignore_ascii_case(to) {
        return Err(SqlError::general("Same column name"));
    }
    let Some(old) = table.column(from).map(|column| column.name.clone()) else {
        return Err(SqlError::general(format!("Column[{from}] does not exists")));
    };
    if table.column(to).is_some() {
        return Err(SqlError::general(format!("Column name[{to}] is already used")));
    }
    if table.indexes.values().any(|index| is_used_by_view(index, &old)) {
        return Err(SqlError::general(format!("Column[{old}] have materialized view index")));
    }
    let readers = columns::computed_from(table.columns(), &old);
    if !readers.is_empty() {
        return Err(SqlError::general(format!(
            "Cannot rename column, because column '{old}' has a generated column dependency on :[{}]",
            readers.join(", ")
        )));
    }
    let mut versions = BTreeMap::new();
    for index in table.indexes.values_mut() {
        if let Some(column) = index.columns.iter_mut().find(|column| column.name == old) {
            column.name = to.to_owned();
            index.schema_version += 1;
            versions.insert(index.id, i64::from(index.schema_version));
        }
    }
    rename_references(table, &old, to);
    light::tell_backends(cluster, context::olap(state, db_id, table_id));
    let record = RenameColumnRecord {
        db_id,
        table_id,
        col_name: old,
        new_col_name: to.to_owned(),
        index_id_to_schema_version: versions,
    };
    let now = cluster.clock.now_ms();
    state.journal_binlog(now, BinlogType::RENAME_COLUMN, db_id, &[table_id], |_| html_safe_json(&record));
    Ok(())
}

/// Everything of a table that names its columns.
fn rename_references(table: &mut OlapTable, from: &str, to: &str) {
    let rename = |names: &mut Vec<String>| {
        for name in names.iter_mut().filter(|name| name.eq_ignore_ascii_case(from)) {
            *name = to.to_owned();
        }
    };
    match &mut table.partition_scheme {
        PartitionScheme::Unpartitioned => {}
        PartitionScheme::Range { columns, auto_expr } => {
            rename(columns);
            if let Some(expression) = auto_expr {
                *expression = expression.replace(&format!("`{from}`"), &format!("`{to}`"));
            }
        }
        PartitionScheme::List { columns, .. } => rename(columns),
    }
    let partitions = table.partitions.values_mut().chain(table.temp_partitions.values_mut());
    let distributions = partitions.map(|partition| &mut partition.distribution);
    for distribution in distributions.chain(std::iter::once(&mut table.default_distribution)) {
        if let DistributionKind::Hash(names) = &mut distribution.kind {
            rename(names);
        }
    }
    rename(&mut table.cluster_by);
    for index in &mut table.secondary_indexes {
        rename(&mut index.columns);
    }
    for key in ["bloom_filter_columns", "row_store_columns", "function_column.sequence_col"] {
        if let Some(value) = table.properties.get_mut(key) {
            let separator = if value.contains(", ") { ", " } else { "," };
            let names = value.split(',').map(str::trim);
            let names: Vec<&str> =
                names.map(|name| if name.eq_ignore_ascii_case(from) { to } else { name }).collect();
            *value = names.join(separator);
        }
    }
}
