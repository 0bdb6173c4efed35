//! Finding the database and table that a statement means.

use crate::error::{SqlError, SqlResult};
use crate::model::{OlapTable, Table, TableState};
use crate::session::Session;
use crate::sql::TableName;
use crate::state::FeState;

/// The database of a name that may leave it to the session.
pub fn database_id(state: &FeState, session: &Session, db: Option<&str>) -> SqlResult<i64> {
    let name = match (db, &session.database) {
        (Some(name), _) => name,
        (None, Some(name)) => name,
        (None, None) => return Err(no_database()),
    };
    state.database_named(name).map(|db| db.id).ok_or_else(|| SqlError::unknown_database(name))
}

pub fn no_database() -> SqlError {
    SqlError { code: 1046, state: "3D000", message: "No database selected".to_owned() }
}

/// Ids of the database and of an existing OLAP table.
pub fn olap_ids(state: &FeState, session: &Session, name: &TableName) -> SqlResult<(i64, i64)> {
    let db_id = database_id(state, session, name.db.as_deref())?;
    let db = &state.databases[&db_id];
    match db.table_named(&name.name) {
        Some(Table::Olap(table)) => Ok((db_id, table.id)),
        Some(Table::View(_)) => Err(SqlError {
            code: 5000,
            state: "HY000",
            message: format!("Table '{}' is not a OLAP table", name.name),
        }),
        None => Err(SqlError::general(format!("unknown table, tableName={}", name.name))),
    }
}

/// Ids of the database and of a view; `None` when there is something else under the name, or nothing.
pub fn view_ids(state: &FeState, session: &Session, name: &TableName) -> SqlResult<Option<(i64, i64)>> {
    let db_id = database_id(state, session, name.db.as_deref())?;
    Ok(match state.databases[&db_id].table_named(&name.name) {
        Some(Table::View(view)) => Some((db_id, view.id)),
        Some(Table::Olap(_)) | None => None,
    })
}

/// The table behind ids that [`olap_ids`] has just returned.
pub fn olap(state: &FeState, db_id: i64, table_id: i64) -> &OlapTable {
    state.databases[&db_id].tables[&table_id].as_olap().expect("the id was resolved to an OLAP table")
}

/// [`olap`], to change it.
pub fn olap_mut(state: &mut FeState, db_id: i64, table_id: i64) -> &mut OlapTable {
    state
        .databases
        .get_mut(&db_id)
        .and_then(|db| db.tables.get_mut(&table_id))
        .and_then(Table::as_olap_mut)
        .expect("the id was resolved to an OLAP table")
}

/// Refuses statements that would make a materialised view differ from its query.
pub fn check_own(session: &Session, table: &OlapTable) -> SqlResult<()> {
    let may_write =
        session.variables.get(crate::mv::MAY_WRITE).is_some_and(|value| value == "true" || value == "1");
    if table.async_view.is_some() && !may_write {
        return Err(SqlError::general("Not allowed to perform current operation on async materialized view"));
    }
    Ok(())
}

/// Refuses to alter a table that a job is changing.
pub fn check_normal(table: &OlapTable) -> SqlResult<()> {
    check_not_replaced(table)?;
    if table.state == TableState::Normal {
        return Ok(());
    }
    Err(SqlError::general(format!(
        "Table[{}]'s state({}) is not NORMAL. Do not allow doing ALTER ops",
        table.name,
        table.state.name()
    )))
}

/// Refuses to alter a table whose place another one is going to take.
pub fn check_not_replaced(table: &OlapTable) -> SqlResult<()> {
    if !table.in_atomic_restore {
        return Ok(());
    }
    Err(SqlError::general(format!(
        "Table[{}] is in atomic restore state. Do not allow doing ALTER ops",
        table.name
    )))
}

/// Why an object (`table`, `partition`, `database`) stays while a transaction of it is not visible: recovered
/// later, it would lack a version. Dropping by force never recovers.
pub fn still_committed(kind: &str, name: &str) -> SqlError {
    SqlError::general(format!(
        "There are still some transactions in the COMMITTED state waiting to be completed. The {kind} [{name}] \
         cannot be dropped. If you want to forcibly drop(cannot be recovered), please use \"DROP {kind} FORCE\"."
    ))
}

/// Refuses changes of the indexes, which temporary partitions take no part in.
pub fn check_no_temp_partitions(table: &OlapTable) -> SqlResult<()> {
    if table.temp_partitions.is_empty() {
        return Ok(());
    }
    Err(SqlError::general("Can not alter table when there are temp partitions in table"))
}

/// Doris's rule for names of tables: 1103 otherwise.
pub fn check_table_name(name: &str) -> SqlResult<()> {
    let valid = !name.is_empty()
        && name.chars().count() <= 64
        && name.chars().next().is_some_and(|c| c.is_alphanumeric() || c == '_')
        && name.chars().all(|c| c.is_alphanumeric() || "_-$ .".contains(c));
    if valid {
        return Ok(());
    }
    Err(SqlError { code: 1103, state: "42000", message: format!("Incorrect table name '{name}'") })
}
