//! RECOVER DATABASE, TABLE and PARTITION: objects come back from the recycle bin with their ids.

use doris_types::record::{BinlogType, RecoverInfoRecord, html_safe_json};

use super::rename::set_table_name;
use super::{RecycledObject, context, create_table, partition_items};
use crate::catalog_ops;
use crate::cluster::ClusterInner;
use crate::error::{SqlError, SqlResult};
use crate::model::{PartitionItem, Table};
use crate::session::Session;
use crate::sql::{Recover, TableName};
use crate::state::FeState;

pub fn run(
    cluster: &ClusterInner,
    state: &mut FeState,
    session: &Session,
    recover: &Recover,
) -> SqlResult<()> {
    match recover {
        Recover::Database { name, id, new_name } => database(state, name, *id, new_name.as_deref()),
        Recover::Table { table: name, id, new_name } => {
            table(cluster, state, session, name, *id, new_name.as_deref())
        }
        Recover::Partition { partition: name, id, new_name, table } => {
            partition(cluster, state, session, table, name, *id, new_name.as_deref())
        }
    }
}

/// Takes the youngest object that fits out of the bin.
fn take(state: &mut FeState, fits: impl Fn(&RecycledObject) -> bool) -> Option<RecycledObject> {
    let at = state.ddl.recycle_bin.iter().rposition(|recycled| fits(&recycled.object))?;
    Some(state.ddl.recycle_bin.remove(at).object)
}

fn database(state: &mut FeState, name: &str, id: Option<i64>, new_name: Option<&str>) -> SqlResult<()> {
    let target = new_name.unwrap_or(name);
    if state.database_named(target).is_some() {
        let message = format!("Can't create database '{target}'; database exists");
        return Err(SqlError { code: 1007, state: "HY000", message });
    }
    let fits = |object: &RecycledObject| match object {
        RecycledObject::Database(db) => db.name == name && id.is_none_or(|id| id == db.id),
        RecycledObject::Table { .. } | RecycledObject::Partition { .. } => false,
    };
    let Some(RecycledObject::Database(mut db)) = take(state, fits) else {
        return Err(SqlError::unknown_database(name));
    };
    db.name = target.to_owned();
    for table in db.tables.values().filter_map(Table::as_olap) {
        for partition in table.partitions.values().chain(table.temp_partitions.values()) {
            catalog_ops::register_partition(state, db.id, table.id, partition);
        }
    }
    state.databases.insert(db.id, *db);
    state.journal();
    Ok(())
}

fn table(
    cluster: &ClusterInner,
    state: &mut FeState,
    session: &Session,
    name: &TableName,
    id: Option<i64>,
    new_name: Option<&str>,
) -> SqlResult<()> {
    let db_id = context::database_id(state, session, name.db.as_deref())?;
    let target = new_name.unwrap_or(&name.name);
    if state.databases[&db_id].table_named(target).is_some() {
        return Err(SqlError::table_exists(target));
    }
    let fits = |object: &RecycledObject| match object {
        RecycledObject::Table { db_id: of, table } => {
            *of == db_id && table.name() == name.name && id.is_none_or(|id| id == table.id())
        }
        RecycledObject::Database(_) | RecycledObject::Partition { .. } => false,
    };
    let Some(RecycledObject::Table { mut table, .. }) = take(state, fits) else {
        return Err(SqlError {
            code: 1051,
            state: "42S02",
            message: format!("Unknown table '{}'", name.name),
        });
    };
    let table_id = table.id();
    if let Table::Olap(olap) = table.as_mut() {
        set_table_name(olap, target);
        for partition in olap.partitions.values().chain(olap.temp_partitions.values()) {
            catalog_ops::register_partition(state, db_id, table_id, partition);
        }
    }
    let db = state.databases.get_mut(&db_id).expect("the id was resolved");
    db.tables.insert(table_id, *table);
    let record = RecoverInfoRecord {
        db_id,
        table_id,
        table_name: name.name.clone(),
        new_table_name: new_name.unwrap_or_default().to_owned(),
        partition_id: -1,
        ..RecoverInfoRecord::default()
    };
    journal(cluster, state, &record);
    Ok(())
}

fn partition(
    cluster: &ClusterInner,
    state: &mut FeState,
    session: &Session,
    table: &TableName,
    name: &str,
    id: Option<i64>,
    new_name: Option<&str>,
) -> SqlResult<()> {
    let (db_id, table_id) = context::olap_ids(state, session, table)?;
    let olap = context::olap(state, db_id, table_id);
    let target = new_name.unwrap_or(name);
    if olap.partitions.values().any(|partition| partition.name.eq_ignore_ascii_case(target)) {
        return Err(create_table::duplicate_partition(target));
    }
    let fits = |object: &RecycledObject| match object {
        RecycledObject::Partition { table_id: of, partition, .. } => {
            *of == table_id
                && partition.name.eq_ignore_ascii_case(name)
                && id.is_none_or(|id| id == partition.id)
        }
        RecycledObject::Database(_) | RecycledObject::Table { .. } => false,
    };
    let candidate = state.ddl.recycle_bin.iter().rev().find(|recycled| fits(&recycled.object));
    if let Some(RecycledObject::Partition { partition, .. }) = candidate.map(|recycled| &recycled.object) {
        // It would be read and written under an index that is not its own.
        let has_all = olap.indexes.keys().all(|id| partition.indexes.contains_key(id));
        if !has_all || partition.indexes.len() != olap.indexes.len() {
            return Err(SqlError::general(
                "table's index not equal with partition's index. cannot recover partition",
            ));
        }
        let existing: Vec<(&str, &PartitionItem)> =
            olap.partitions.values().map(|partition| (partition.name.as_str(), &partition.item)).collect();
        let new = partition_items::NewItem { name: target.to_owned(), item: partition.item.clone() };
        partition_items::check_free(&new, &existing, &olap.partition_scheme, olap.columns())?;
    }
    let Some(RecycledObject::Partition { mut partition, .. }) = take(state, fits) else {
        return Err(SqlError::general(format!(
            "No partition named '{name}' or partition id '{}' in recycle bin that belongs to table '{}'",
            id.unwrap_or(-1),
            table.name
        )));
    };
    if let Some(new_name) = new_name {
        partition.name = new_name.to_owned();
    }
    catalog_ops::register_partition(state, db_id, table_id, &partition);
    let record = RecoverInfoRecord {
        db_id,
        table_id,
        table_name: table.name.clone(),
        partition_id: partition.id,
        partition_name: name.to_owned(),
        new_partition_name: new_name.unwrap_or_default().to_owned(),
        ..RecoverInfoRecord::default()
    };
    context::olap_mut(state, db_id, table_id).partitions.insert(partition.id, *partition);
    journal(cluster, state, &record);
    Ok(())
}

fn journal(cluster: &ClusterInner, state: &mut FeState, record: &RecoverInfoRecord) {
    let now = cluster.clock.now_ms();
    state.journal_binlog(now, BinlogType::RECOVER_INFO, record.db_id, &[record.table_id], |_| {
        html_safe_json(record)
    });
}
