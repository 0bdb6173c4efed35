//! DROP TABLE and DROP VIEW.

use doris_types::record::{BinlogType, DropTableRecord, html_safe_json};
use doris_types::sql::quote_identifier;

use super::{Recycled, RecycledObject, context};
use crate::catalog_ops;
use crate::cluster::ClusterInner;
use crate::error::{SqlError, SqlResult};
use crate::model::{Table, TableState};
use crate::session::Session;
use crate::sql::TableName;
use crate::state::FeState;

pub fn table(
    cluster: &ClusterInner,
    state: &mut FeState,
    session: &Session,
    name: &TableName,
    if_exists: bool,
    force: bool,
) -> SqlResult<()> {
    let Some((db_id, table_id)) = find(state, session, name, if_exists)? else {
        return Ok(());
    };
    match &state.databases[&db_id].tables[&table_id] {
        Table::View(_) => return Err(wrong_object(state, db_id, &name.name, "TABLE", "DROP VIEW")),
        Table::Olap(table) if !force && state.txns.any_committed_in_table(db_id, table_id) => {
            return Err(context::still_committed("table", &table.name));
        }
        Table::Olap(table) if table.in_atomic_restore && !force => {
            return Err(SqlError::general(format!(
                "The table [{}]'s state is in atomic restore, cannot be dropped. please cancel the restore operation \
                 on olap table firstly. If you want to forcibly drop(cannot be recovered), please use \"DROP table \
                 FORCE\".",
                table.name
            )));
        }
        Table::Olap(table) if table.state != TableState::Normal && !force => {
            return Err(SqlError::general(format!(
                "The table [{}]'s state is {}, cannot be dropped. please cancel the operation on olap table \
                 firstly. If you want to forcibly drop(cannot be recovered), please use \"DROP table FORCE\".",
                table.name,
                table.state.name()
            )));
        }
        Table::Olap(table) if table.async_view.is_some() => {
            return Err(wrong_object(state, db_id, &name.name, "TABLE", "DROP MATERIALIZED VIEW"));
        }
        Table::Olap(_) => {}
    }
    remove(cluster, state, db_id, table_id, force);
    Ok(())
}

pub fn view(
    cluster: &ClusterInner,
    state: &mut FeState,
    session: &Session,
    name: &TableName,
    if_exists: bool,
) -> SqlResult<()> {
    let Some((db_id, view_id)) = find(state, session, name, if_exists)? else {
        return Ok(());
    };
    if state.databases[&db_id].tables[&view_id].as_olap().is_some() {
        return Err(wrong_object(state, db_id, &name.name, "VIEW", "DROP TABLE"));
    }
    remove(cluster, state, db_id, view_id, true);
    Ok(())
}

/// DROP MATERIALIZED VIEW of an asynchronous one, for good and without a binlog.
pub fn async_view(cluster: &ClusterInner, state: &mut FeState, (db_id, table_id): (i64, i64)) {
    let table = state.databases.get_mut(&db_id).and_then(|db| db.tables.remove(&table_id));
    if let Some(table) = table {
        discard(cluster, state, db_id, table, true);
    }
    state.journal();
}

/// Ends the temporary tables of a session that ends.
pub fn temporary_tables(cluster: &ClusterInner, session: &mut Session) {
    let tables = std::mem::take(&mut session.temporary_tables);
    if tables.is_empty() {
        return;
    }
    let state = &mut *cluster.fe.lock();
    for (db_id, table_id) in tables {
        if state.databases.get(&db_id).is_some_and(|db| db.tables.contains_key(&table_id)) {
            remove(cluster, state, db_id, table_id, true);
        }
    }
}

/// Takes a table or view out of the catalogue and journals it. The data stays in the recycle bin unless
/// `force` is set; the name is free at once either way.
pub fn remove(cluster: &ClusterInner, state: &mut FeState, db_id: i64, table_id: i64, force: bool) {
    let db = state.databases.get_mut(&db_id).expect("the id was resolved");
    let Some(table) = db.tables.remove(&table_id) else { return };
    if table.as_olap().is_some_and(|table| table.is_temporary) {
        discard(cluster, state, db_id, table, true);
        state.journal();
        return;
    }
    let now = cluster.clock.now_ms();
    let is_view = table.as_olap().is_none();
    let kind = if is_view { "VIEW" } else { "TABLE" };
    let record = DropTableRecord {
        commit_seq: 0,
        db_id,
        table_id,
        table_name: table.name().to_owned(),
        is_view,
        raw_sql: format!("DROP {kind} IF EXISTS {}", quote_identifier(table.name())),
    };
    discard(cluster, state, db_id, table, force);
    state.journal_binlog(now, BinlogType::DROP_TABLE, db_id, &[table_id], |commit_seq| {
        html_safe_json(&DropTableRecord { commit_seq, ..record })
    });
}

/// Puts a table that has left the catalogue into the recycle bin, or deletes its data.
pub fn discard(cluster: &ClusterInner, state: &mut FeState, db_id: i64, table: Table, force: bool) {
    if let Table::Olap(olap) = &table {
        for partition in olap.partitions.values().chain(olap.temp_partitions.values()) {
            catalog_ops::forget_partition(state, partition);
        }
        if force {
            catalog_ops::drop_table_tablets(cluster, olap);
        } else {
            let object = RecycledObject::Table { db_id, table: Box::new(table) };
            state.ddl.recycle_bin.push(Recycled { object, drop_time: cluster.clock.now_ms() });
        }
    }
}

/// The ids of an existing table or view; `None` when it is missing and may be.
fn find(
    state: &FeState,
    session: &Session,
    name: &TableName,
    if_exists: bool,
) -> SqlResult<Option<(i64, i64)>> {
    let db_id = match context::database_id(state, session, name.db.as_deref()) {
        Err(_) if if_exists && name.db.is_some() => return Ok(None),
        outcome => outcome?,
    };
    let db = &state.databases[&db_id];
    match db.table_named(&name.name) {
        Some(table) => Ok(Some((db_id, table.id()))),
        None if if_exists => Ok(None),
        None => Err(SqlError::unknown_table(&db.name, &name.name)),
    }
}

fn wrong_object(state: &FeState, db_id: i64, name: &str, wanted: &str, statement: &str) -> SqlError {
    let db = &state.databases[&db_id].name;
    let message = format!("'{db}.{name}' is not {wanted}. Use '{statement} {db}.{name}'.");
    SqlError { code: 1347, state: "HY000", message }
}
