//! Databases, tables, views, columns and indexes.

use doris_types::sql::{quote_identifier, quote_string};

use super::format::cell;
use super::{Flavour, create_table_text, create_view_text, information_schema};
use crate::cluster::ClusterInner;
use crate::error::{SqlError, SqlResult};
use crate::exec::database_id;
use crate::model::{Column, Database, DefaultValue, IndexSchema, KeysType, OlapTable, Table, View};
use crate::query::hidden;
use crate::session::{ResultSet, Session};
use crate::sql::TableName;
use crate::state::FeState;

/// Databases without tables of a user.
pub const SYSTEM_DATABASES: [&str; 3] = ["__internal_schema", "information_schema", "mysql"];

/// The system database of that name, in any case.
pub fn system_database(name: &str) -> Option<&'static str> {
    SYSTEM_DATABASES.into_iter().find(|system| system.eq_ignore_ascii_case(name))
}

pub fn databases(state: &FeState) -> ResultSet {
    let mut result = ResultSet::new(&["Database"]);
    let mut names: Vec<&str> =
        state.databases.values().map(|db| db.name.as_str()).chain(SYSTEM_DATABASES).collect();
    names.sort_unstable();
    result.rows = names.into_iter().map(|name| vec![cell(name)]).collect();
    result
}

/// The database that a statement means, with the session's as default.
pub fn database<'a>(state: &'a FeState, session: &Session, db: Option<&str>) -> SqlResult<&'a Database> {
    database_id(state, session, db).map(|id| &state.databases[&id])
}

pub fn table<'a>(
    state: &'a FeState,
    session: &Session,
    name: &TableName,
) -> SqlResult<(&'a Database, &'a Table)> {
    let db = database(state, session, name.db.as_deref())?;
    let table = db.table_named(&name.name).ok_or_else(|| SqlError::unknown_table(&db.name, &name.name))?;
    Ok((db, table))
}

pub fn olap<'a>(
    state: &'a FeState,
    session: &Session,
    name: &TableName,
) -> SqlResult<(&'a Database, &'a OlapTable)> {
    let (db, table) = table(state, session, name)?;
    match table {
        Table::Olap(table) => Ok((db, table)),
        Table::View(_) => {
            let message = format!("Table '{}' is not a OLAP table", name.name);
            Err(SqlError { code: 5000, state: "HY000", message })
        }
    }
}

fn sorted(db: &Database) -> Vec<&Table> {
    let mut tables: Vec<&Table> = db.tables.values().collect();
    tables.sort_by_key(|table| table.name());
    tables
}

/// SHOW [FULL] TABLES.
pub fn tables(state: &FeState, session: &Session, db: Option<&str>, full: bool) -> SqlResult<ResultSet> {
    let wanted = db.or(session.database.as_deref());
    let heading = |db: &str| {
        let first = format!("Tables_in_{db}");
        match full {
            true => {
                ResultSet::new(&[&first, "Table_type", "Storage_format", "Inverted_index_storage_format"])
            }
            false => ResultSet::new(&[&first]),
        }
    };
    if let Some(system) = wanted.and_then(system_database) {
        let mut result = heading(system);
        if system == "information_schema" {
            for name in information_schema::TABLES {
                let mut row = vec![cell(name)];
                if full {
                    row.extend([cell("SYSTEM VIEW"), cell("NONE"), cell("NONE")]);
                }
                result.rows.push(row);
            }
        }
        return Ok(result);
    }
    let db = database(state, session, db)?;
    let mut result = heading(&db.name);
    for table in sorted(db) {
        let mut row = vec![cell(table.name())];
        if full {
            row.extend(match table {
                Table::Olap(_) => [cell("BASE TABLE"), cell("V2"), cell("V3")],
                Table::View(_) => [cell("VIEW"), cell("NONE"), cell("NONE")],
            });
        }
        result.rows.push(row);
    }
    Ok(result)
}

/// SHOW VIEWS.
pub fn views(state: &FeState, session: &Session, db: Option<&str>) -> SqlResult<ResultSet> {
    let db = database(state, session, db)?;
    let mut result = ResultSet::new(&[&format!("Tables_in_{}", db.name)]);
    let views = sorted(db).into_iter().filter(|table| table.as_olap().is_none());
    result.rows = views.map(|view| vec![cell(view.name())]).collect();
    Ok(result)
}

/// SHOW VIEW FROM t: the views whose body names the table.
pub fn views_of(state: &FeState, session: &Session, name: &TableName) -> SqlResult<ResultSet> {
    let (db, table) = table(state, session, name)?;
    let mut result = ResultSet::new(&["View", "Create View"]);
    let reference = format!("`internal`.{}.{}", quote_identifier(&db.name), quote_identifier(table.name()));
    for candidate in sorted(db) {
        if let Table::View(view) = candidate
            && view.definition.contains(&reference)
        {
            result.rows.push(vec![cell(&view.name), cell(create_view_text(view))]);
        }
    }
    Ok(result)
}

/// SHOW TABLE <id>.
pub fn table_by_id(state: &FeState, id: i64) -> ResultSet {
    let mut result = ResultSet::new(&["DbName", "TableName", "DbId"]);
    for db in state.databases.values() {
        if let Some(table) = db.tables.get(&id) {
            result.rows.push(vec![cell(&db.name), cell(table.name()), cell(db.id)]);
        }
    }
    result
}

/// SHOW CREATE DATABASE.
pub fn create_database(state: &FeState, name: &str) -> SqlResult<ResultSet> {
    let mut result = ResultSet::new(&["Database", "Create Database"]);
    if let Some(system) = system_database(name) {
        let text = format!("CREATE DATABASE {}", quote_identifier(system));
        result.rows.push(vec![cell(system), cell(text)]);
        return Ok(result);
    }
    let db = state.database_named(name).ok_or_else(|| SqlError::unknown_database(name))?;
    let mut text = format!("CREATE DATABASE {}", quote_identifier(&db.name));
    if !db.properties.is_empty() {
        let properties: Vec<String> = db
            .properties
            .iter()
            .map(|(key, value)| format!("{} = {}", quote_string(key), quote_string(value)))
            .collect();
        text.push_str(&format!("\nPROPERTIES (\n{}\n)", properties.join(",\n")));
    }
    result.rows.push(vec![cell(&db.name), cell(text)]);
    Ok(result)
}

/// SHOW CREATE TABLE, also of a view.
pub fn create_table(state: &FeState, session: &Session, name: &TableName) -> SqlResult<ResultSet> {
    let (db, table) = table(state, session, name)?;
    match table {
        Table::View(view) => Ok(create_view(view)),
        Table::Olap(table) if table.async_view.is_some() => Err(SqlError::general(
            "not support async materialized view, please use `show create materialized view`",
        )),
        Table::Olap(table) => {
            let feature_binlog = state.config_flag("enable_feature_binlog");
            let mut result = ResultSet::new(&["Table", "Create Table"]);
            let text = create_table_text(db, table, Flavour::User, feature_binlog);
            result.rows.push(vec![cell(&table.name), cell(text)]);
            Ok(result)
        }
    }
}

/// SHOW CREATE VIEW.
pub fn create_view_of(state: &FeState, session: &Session, name: &TableName) -> SqlResult<ResultSet> {
    let (db, table) = table(state, session, name)?;
    match table {
        Table::View(view) => Ok(create_view(view)),
        Table::Olap(_) => {
            let message =
                format!("'{}.{}' is not VIEW. Use 'SHOW CREATE TABLE {}'.", db.name, name.name, name.name);
            Err(SqlError { code: 1347, state: "HY000", message })
        }
    }
}

fn create_view(view: &View) -> ResultSet {
    let mut result = ResultSet::new(&["View", "Create View", "character_set_client", "collation_connection"]);
    result.rows.push(vec![
        cell(&view.name),
        cell(create_view_text(view)),
        cell("utf8mb4"),
        cell("utf8mb4_0900_bin"),
    ]);
    result
}

/// SHOW CREATE MATERIALIZED VIEW mv ON t: no row once it is gone.
pub fn create_materialized_view(
    state: &FeState,
    session: &Session,
    view: &str,
    name: &TableName,
) -> SqlResult<ResultSet> {
    let (_, table) = olap(state, session, name)?;
    let mut result = ResultSet::new(&["TableName", "ViewName", "CreateStmt"]);
    let rollup = table.indexes.values().find(|index| index.name == view && index.id != table.base_index_id);
    // Rollups have no statement.
    if let Some(definition) = rollup.and_then(|rollup| rollup.view.as_ref()) {
        result.rows.push(vec![cell(&table.name), cell(view), cell(&definition.statement)]);
    }
    Ok(result)
}

/// SHOW [FULL] COLUMNS.
pub fn columns(state: &FeState, session: &Session, name: &TableName, full: bool) -> SqlResult<ResultSet> {
    let (_, table) = table(state, session, name)?;
    Ok(column_rows(columns_of(table), full))
}

/// The answer of SHOW [FULL] COLUMNS.
pub fn column_rows(columns: &[Column], full: bool) -> ResultSet {
    let mut result = if full {
        ResultSet::new(&[
            "Field",
            "Type",
            "Collation",
            "Null",
            "Key",
            "Default",
            "Extra",
            "Privileges",
            "Comment",
        ])
    } else {
        ResultSet::new(&["Field", "Type", "Null", "Key", "Default", "Extra"])
    };
    let yes_no = |flag: bool| cell(if flag { "YES" } else { "NO" });
    for column in columns.iter().filter(|column| column.visible) {
        let mut row = vec![cell(&column.name), cell(&column.data_type)];
        if full {
            row.push(cell(""));
        }
        row.extend([
            yes_no(column.nullable),
            yes_no(column.is_key),
            default_text(column),
            cell(extra(column)),
        ]);
        if full {
            row.extend([cell(""), cell(&column.comment)]);
        }
        result.rows.push(row);
    }
    result
}

/// The columns of a table's base index or of a view.
pub fn columns_of(table: &Table) -> &[Column] {
    match table {
        Table::Olap(table) => table.columns(),
        Table::View(view) => &view.columns,
    }
}

/// DESC t and DESC t ALL.
pub fn describe(state: &FeState, session: &Session, name: &TableName, all: bool) -> SqlResult<ResultSet> {
    let (_, table) = table(state, session, name)?;
    if let (true, Table::Olap(table)) = (all, table) {
        return Ok(describe_all(table));
    }
    let mut columns = columns_of(table).to_vec();
    if hidden::are_shown(session) {
        if table.as_olap().is_some_and(|table| table.keys_type == KeysType::Unique) {
            hidden::add_columns(&mut columns);
        }
    } else {
        columns.retain(|column| column.visible);
    }
    Ok(describe_rows(&columns))
}

/// The answer of DESC of these columns.
pub fn describe_rows(columns: &[Column]) -> ResultSet {
    let mut result = ResultSet::new(&["Field", "Type", "Null", "Key", "Default", "Extra"]);
    result.rows = columns.iter().map(describe_row).collect();
    result
}

/// Field, Type, Null, Key, Default, Extra; also the columns of `…/index_schema/<index>`.
pub fn describe_row(column: &Column) -> Vec<Option<String>> {
    vec![
        cell(&column.name),
        cell(&column.data_type),
        cell(if column.nullable { "Yes" } else { "No" }),
        cell(column.is_key),
        default_text(column),
        cell(extra(column)),
    ]
}

fn describe_all(table: &OlapTable) -> ResultSet {
    let mut result = ResultSet::new(&[
        "IndexName",
        "IndexKeysType",
        "Field",
        "Type",
        "InternalType",
        "Null",
        "Key",
        "Default",
        "Extra",
        "Visible",
        "DefineExpr",
        "WhereClause",
    ]);
    let visible: Vec<&IndexSchema> =
        table.indexes.values().filter(|index| index.state == crate::model::IndexState::Normal).collect();
    for (at, index) in visible.iter().enumerate() {
        if at > 0 {
            result.rows.push(vec![cell(""); 12]);
        }
        let filter = index.view.as_ref().and_then(|view| view.filter.as_deref()).unwrap_or_default();
        for (at, column) in index.columns.iter().filter(|column| column.visible).enumerate() {
            let keys = format!("{}_KEYS", short_keys_name(index.keys_type));
            result.rows.push(vec![
                cell(if at == 0 { index.name.as_str() } else { "" }),
                cell(if at == 0 { keys.as_str() } else { "" }),
                cell(&column.name),
                cell(&column.data_type),
                cell(&column.data_type),
                cell(if column.nullable { "Yes" } else { "No" }),
                cell(column.is_key),
                default_text(column),
                cell(extra(column)),
                cell(true),
                cell(column.define.as_deref().unwrap_or_default()),
                cell(if at == 0 { filter } else { "" }),
            ]);
        }
    }
    result
}

/// `DUP`, `UNIQUE`, `AGG`, as in `DUP_KEYS`.
pub fn short_keys_name(keys_type: KeysType) -> &'static str {
    match keys_type {
        KeysType::Duplicate => "DUP",
        KeysType::Unique => "UNIQUE",
        KeysType::Aggregate => "AGG",
    }
}

fn default_text(column: &Column) -> Option<String> {
    match &column.default {
        Some(DefaultValue::Literal(text) | DefaultValue::Function(text)) => cell(text),
        Some(DefaultValue::Null) | None => None,
    }
}

fn extra(column: &Column) -> String {
    let mut parts = Vec::new();
    if let Some(aggregate) = column.aggregate {
        parts.push(aggregate.keyword());
    } else if !column.is_key {
        parts.push("NONE");
    }
    if column.auto_increment.is_some() {
        parts.push("AUTO_INCREMENT");
    }
    if column.generated.is_some() {
        parts.push("STORED GENERATED");
    }
    parts.join(",")
}

/// SHOW INDEX: one row per column of a secondary index, in the order of creation.
pub fn indexes(state: &FeState, session: &Session, name: &TableName) -> SqlResult<ResultSet> {
    let (_, table) = olap(state, session, name)?;
    let mut result = no_indexes();
    result.rows = index_rows(table).into_iter().map(|(_, row)| row).collect();
    Ok(result)
}

/// The answer for a table without indexes.
pub fn no_indexes() -> ResultSet {
    ResultSet::new(&[
        "Table",
        "Non_unique",
        "Key_name",
        "Seq_in_index",
        "Column_name",
        "Collation",
        "Cardinality",
        "Sub_part",
        "Packed",
        "Null",
        "Index_type",
        "Comment",
        "Properties",
    ])
}

/// The id of each secondary index with its rows of SHOW INDEX.
pub fn index_rows(table: &OlapTable) -> Vec<(i64, Vec<Option<String>>)> {
    let mut rows = Vec::new();
    for index in &table.secondary_indexes {
        let properties: Vec<String> = index
            .properties
            .iter()
            .map(|(key, value)| format!("{} = {}", quote_string(key), quote_string(value)))
            .collect();
        let properties =
            if properties.is_empty() { String::new() } else { format!("({})", properties.join(", ")) };
        for column in &index.columns {
            let blank = || cell("");
            rows.push((
                index.id,
                vec![
                    cell(&table.name),
                    blank(),
                    cell(&index.name),
                    blank(),
                    cell(column),
                    blank(),
                    blank(),
                    blank(),
                    blank(),
                    blank(),
                    cell(&index.kind),
                    cell(&index.comment),
                    cell(&properties),
                ],
            ));
        }
    }
    rows
}

/// SHOW DATA: sizes and replicas of the tables of the session's database, or of one table.
pub fn data(
    cluster: &ClusterInner,
    state: &FeState,
    session: &Session,
    wanted: Option<&TableName>,
) -> SqlResult<ResultSet> {
    let mut result = ResultSet::new(&["TableName", "Size", "ReplicaCount"]);
    let db = match wanted {
        Some(name) => database(state, session, name.db.as_deref())?,
        None => database(state, session, None)?,
    };
    if let Some(name) = wanted.filter(|name| db.table_named(&name.name).is_none()) {
        return Err(SqlError::unknown_table(&db.name, &name.name));
    }
    for table in sorted(db) {
        let Table::Olap(table) = table else { continue };
        if wanted.is_some_and(|name| name.name != table.name) {
            continue;
        }
        let (mut bytes, mut replicas) = (0, 0);
        for partition in table.partitions.values() {
            bytes += super::partitions::statistics(cluster, table, partition).0;
            replicas += partition.tablets().map(|tablet| tablet.replicas.len()).sum::<usize>();
        }
        result.rows.push(vec![cell(&table.name), cell(super::format::size(bytes)), cell(replicas)]);
    }
    Ok(result)
}
