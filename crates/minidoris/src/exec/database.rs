//! CREATE, DROP, ALTER and RENAME DATABASE.

use std::collections::BTreeMap;

use doris_types::record::{AlterDatabasePropertyRecord, BinlogType, html_safe_json};
use indexmap::IndexMap;

use super::properties::parse_binlog;
use super::{Recycled, RecycledObject, context};
use crate::catalog_ops;
use crate::cluster::ClusterInner;
use crate::error::{SqlError, SqlResult};
use crate::model::{BinlogConfig, Database, Table};
use crate::session::Session;
use crate::sql::Properties;
use crate::state::FeState;

pub fn create(
    state: &mut FeState,
    name: &str,
    if_not_exists: bool,
    properties: &Properties,
) -> SqlResult<()> {
    if state.database_named(name).is_some() || is_system(name) {
        return if if_not_exists {
            Ok(())
        } else {
            Err(error(1007, format!("Can't create database '{name}'; database exists")))
        };
    }
    let valid = name.chars().next().is_some_and(|c| c.is_alphanumeric() || c == '_')
        && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-')
        && name.chars().count() <= 64;
    if !valid {
        return Err(error(1102, format!("Incorrect database name '{name}'")));
    }
    parse_binlog(properties, &BinlogConfig::default())?;
    let id = state.ids.allocate();
    let properties: IndexMap<String, String> = properties.clone();
    let (name, tables) = (name.to_owned(), BTreeMap::new());
    state.databases.insert(id, Database { id, name, properties, transaction_quota: None, tables });
    state.journal();
    Ok(())
}

pub fn drop(
    cluster: &ClusterInner,
    state: &mut FeState,
    session: &mut Session,
    name: &str,
    if_exists: bool,
    force: bool,
) -> SqlResult<()> {
    let Some(id) = state.database_named(name).map(|db| db.id) else {
        return if if_exists {
            Ok(())
        } else {
            Err(error(1008, format!("Can't drop database '{name}'; database doesn't exist")))
        };
    };
    if !force && state.txns.any_committed(id) {
        return Err(context::still_committed("database", name));
    }
    let db = state.databases.remove(&id).expect("the id was just found");
    for partition in db
        .tables
        .values()
        .filter_map(Table::as_olap)
        .flat_map(|table| table.partitions.values().chain(table.temp_partitions.values()))
    {
        catalog_ops::forget_partition(state, partition);
        if force {
            catalog_ops::drop_partition_tablets(cluster, partition);
        }
    }
    if !force {
        let drop_time = cluster.clock.now_ms();
        state.ddl.recycle_bin.push(Recycled { object: RecycledObject::Database(Box::new(db)), drop_time });
    }
    if session.database.as_deref() == Some(name) {
        session.database = None;
    }
    state.journal();
    Ok(())
}

/// ALTER DATABASE … SET PROPERTIES. Binlogs can only be turned on when every table has them on.
pub fn set_properties(
    cluster: &ClusterInner,
    state: &mut FeState,
    name: &str,
    properties: &Properties,
) -> SqlResult<()> {
    let db = state.database_named_mut(name).ok_or_else(|| SqlError::unknown_database(name))?;
    let before = config(db);
    let after = parse_binlog(properties, &before)?;
    if after.enable && !before.enable {
        let off = db
            .tables
            .values()
            .filter_map(Table::as_olap)
            .find(|table| !table.binlog.enable && table.async_view.is_none() && !table.is_temporary);
        if let Some(table) = off {
            return Err(SqlError::general(format!(
                "binlog is not enable in table[{}] in db [{name}]",
                table.name
            )));
        }
    }
    for (key, value) in properties {
        db.properties.insert(key.clone(), value.clone());
    }
    let record = AlterDatabasePropertyRecord {
        db_id: db.id,
        db_name: db.name.clone(),
        properties: properties.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
    };
    let now = cluster.clock.now_ms();
    let db_id = db.id;
    state.journal_binlog(now, BinlogType::ALTER_DATABASE_PROPERTY, db_id, &[], |_| html_safe_json(&record));
    Ok(())
}

/// ALTER DATABASE … SET TRANSACTION QUOTA.
pub fn set_transaction_quota(state: &mut FeState, name: &str, quota: i64) -> SqlResult<()> {
    let db = state.database_named_mut(name).ok_or_else(|| SqlError::unknown_database(name))?;
    db.transaction_quota = Some(quota);
    state.journal();
    Ok(())
}

pub fn rename(state: &mut FeState, name: &str, new_name: &str) -> SqlResult<()> {
    if state.database_named(new_name).is_some() {
        return Err(error(1007, format!("Database name[{new_name}] is already used")));
    }
    let db = state.database_named_mut(name).ok_or_else(|| SqlError::unknown_database(name))?;
    db.name = new_name.to_owned();
    state.journal();
    Ok(())
}

/// The binlog settings of a database.
pub fn config(db: &Database) -> BinlogConfig {
    parse_binlog(&db.properties, &BinlogConfig::default()).unwrap_or_default()
}

/// Databases that every cluster has and that hold no table of a user.
pub fn is_system(name: &str) -> bool {
    ["information_schema", "mysql", "__internal_schema"]
        .iter()
        .any(|system| system.eq_ignore_ascii_case(name))
}

fn error(code: u16, message: String) -> SqlError {
    SqlError { code, state: "HY000", message }
}
