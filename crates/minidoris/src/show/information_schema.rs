//! Tables that exist only as answers: `information_schema` and the node functions.

use super::format::{cell, time};
use super::tables::SYSTEM_DATABASES;
use super::{create_view_text, information_columns, nodes, partitions, sorted_partitions};
use crate::cluster::ClusterInner;
use crate::model::Table;
use crate::mv;
use crate::session::{ColumnType, ResultSet, Session};
use crate::state::FeState;

/// The tables of `information_schema` that there are here, sorted.
pub const TABLES: [&str; 12] = [
    "columns",
    "key_column_usage",
    "partitions",
    "processlist",
    "referential_constraints",
    "routines",
    "schemata",
    "statistics",
    "table_constraints",
    "tables",
    "triggers",
    "views",
];

/// By the name in a FROM clause, in any case: `frontends()`, `information_schema.tables`.
pub fn table(cluster: &ClusterInner, session: &Session, name: &str) -> Option<ResultSet> {
    let name = name.replace('`', "").to_ascii_lowercase();
    let name = name.strip_prefix("internal.").unwrap_or(&name);
    let mut found = rows(cluster, session, name)?;
    if name.starts_with("information_schema.") {
        let ty = |column: &String| match NUMBERS.contains(&column.as_str()) {
            true => ColumnType::BigInt,
            false => ColumnType::Text,
        };
        found.types = found.columns.iter().map(ty).collect();
    }
    Some(found)
}

/// Columns of `information_schema` that are numbers, whatever the table.
const NUMBERS: [&str; 25] = [
    "AUTO_INCREMENT",
    "AVG_ROW_LENGTH",
    "CARDINALITY",
    "CHARACTER_MAXIMUM_LENGTH",
    "CHARACTER_OCTET_LENGTH",
    "CHECKSUM",
    "COLUMN_SIZE",
    "DATA_FREE",
    "DATA_LENGTH",
    "DATETIME_PRECISION",
    "DECIMAL_DIGITS",
    "ID",
    "INDEX_LENGTH",
    "MAX_DATA_LENGTH",
    "NON_UNIQUE",
    "NUMERIC_PRECISION",
    "NUMERIC_SCALE",
    "ORDINAL_POSITION",
    "PARTITION_ORDINAL_POSITION",
    "POSITION_IN_UNIQUE_CONSTRAINT",
    "SEQ_IN_INDEX",
    "SRS_ID",
    "TABLE_ROWS",
    "TIME",
    "VERSION",
];

fn rows(cluster: &ClusterInner, session: &Session, name: &str) -> Option<ResultSet> {
    match name.trim_end_matches("()") {
        "frontends" => return Some(nodes::frontends(cluster, false, session.frontend)),
        "backends" => return Some(nodes::backends(cluster)),
        _ => {}
    }
    if name == "information_schema.processlist" {
        let mut rows = cluster.clients.rows(cluster, session, true);
        rows.columns = PROCESSLIST.map(str::to_owned).to_vec();
        return Some(rows);
    }
    let state = &*cluster.fe.lock();
    if let Some((function, argument)) = name.strip_suffix(')').and_then(|call| call.split_once('(')) {
        return match (function, argument) {
            ("mv_infos", db) => Some(mv::infos(state, db)),
            ("jobs", "mv") => Some(mv::jobs(state)),
            ("tasks", "mv") => Some(mv::tasks(state)),
            _ => None,
        };
    }
    match name.strip_prefix("information_schema.")? {
        "tables" => Some(tables(cluster, state)),
        "schemata" => Some(schemata(state)),
        "columns" => Some(information_columns::rows(state)),
        "views" => Some(views(state)),
        "partitions" => Some(partition_rows(cluster, state)),
        table => EMPTY.iter().find(|(name, _)| *name == table).map(|(_, columns)| ResultSet::new(columns)),
    }
}

/// Tables that Doris has for tools that look for them, without rows.
const EMPTY: [(&str, &[&str]); 6] = [
    (
        "key_column_usage",
        &[
            "CONSTRAINT_CATALOG",
            "CONSTRAINT_SCHEMA",
            "CONSTRAINT_NAME",
            "TABLE_CATALOG",
            "TABLE_SCHEMA",
            "TABLE_NAME",
            "COLUMN_NAME",
            "ORDINAL_POSITION",
            "POSITION_IN_UNIQUE_CONSTRAINT",
            "REFERENCED_TABLE_SCHEMA",
            "REFERENCED_TABLE_NAME",
            "REFERENCED_COLUMN_NAME",
        ],
    ),
    (
        "table_constraints",
        &[
            "CONSTRAINT_CATALOG",
            "CONSTRAINT_SCHEMA",
            "CONSTRAINT_NAME",
            "TABLE_SCHEMA",
            "TABLE_NAME",
            "CONSTRAINT_TYPE",
        ],
    ),
    (
        "referential_constraints",
        &[
            "CONSTRAINT_CATALOG",
            "CONSTRAINT_SCHEMA",
            "CONSTRAINT_NAME",
            "UNIQUE_CONSTRAINT_CATALOG",
            "UNIQUE_CONSTRAINT_SCHEMA",
            "UNIQUE_CONSTRAINT_NAME",
            "MATCH_OPTION",
            "UPDATE_RULE",
            "DELETE_RULE",
            "TABLE_NAME",
            "REFERENCED_TABLE_NAME",
        ],
    ),
    (
        "statistics",
        &[
            "TABLE_CATALOG",
            "TABLE_SCHEMA",
            "TABLE_NAME",
            "NON_UNIQUE",
            "INDEX_SCHEMA",
            "INDEX_NAME",
            "SEQ_IN_INDEX",
            "COLUMN_NAME",
            "COLLATION",
            "CARDINALITY",
            "SUB_PART",
            "PACKED",
            "NULLABLE",
            "INDEX_TYPE",
            "COMMENT",
        ],
    ),
    (
        "routines",
        &[
            "SPECIFIC_NAME",
            "ROUTINE_CATALOG",
            "ROUTINE_SCHEMA",
            "ROUTINE_NAME",
            "ROUTINE_TYPE",
            "DTD_IDENTIFIER",
            "ROUTINE_BODY",
            "ROUTINE_DEFINITION",
            "ROUTINE_COMMENT",
        ],
    ),
    (
        "triggers",
        &[
            "TRIGGER_CATALOG",
            "TRIGGER_SCHEMA",
            "TRIGGER_NAME",
            "EVENT_MANIPULATION",
            "EVENT_OBJECT_SCHEMA",
            "EVENT_OBJECT_TABLE",
            "ACTION_STATEMENT",
            "ACTION_TIMING",
        ],
    ),
];

/// The columns of SHOW PROCESSLIST under the names of the table.
const PROCESSLIST: [&str; 14] = [
    "CURRENT_CONNECTED",
    "ID",
    "USER",
    "HOST",
    "LOGIN_TIME",
    "CATALOG",
    "DB",
    "COMMAND",
    "TIME",
    "STATE",
    "QUERY_ID",
    "INFO",
    "FE",
    "CLOUD_CLUSTER",
];

fn schemata(state: &FeState) -> ResultSet {
    let mut result = ResultSet::new(&[
        "CATALOG_NAME",
        "SCHEMA_NAME",
        "DEFAULT_CHARACTER_SET_NAME",
        "DEFAULT_COLLATION_NAME",
        "SQL_PATH",
    ]);
    for name in state.databases.values().map(|db| db.name.as_str()).chain(SYSTEM_DATABASES) {
        result.rows.push(vec![cell("internal"), cell(name), cell("utf8mb4"), cell("utf8mb4_0900_bin"), None]);
    }
    result
}

fn tables(cluster: &ClusterInner, state: &FeState) -> ResultSet {
    let mut result = ResultSet::new(&[
        "TABLE_CATALOG",
        "TABLE_SCHEMA",
        "TABLE_NAME",
        "TABLE_TYPE",
        "ENGINE",
        "VERSION",
        "ROW_FORMAT",
        "TABLE_ROWS",
        "AVG_ROW_LENGTH",
        "DATA_LENGTH",
        "MAX_DATA_LENGTH",
        "INDEX_LENGTH",
        "DATA_FREE",
        "AUTO_INCREMENT",
        "CREATE_TIME",
        "UPDATE_TIME",
        "CHECK_TIME",
        "TABLE_COLLATION",
        "CHECKSUM",
        "CREATE_OPTIONS",
        "TABLE_COMMENT",
    ]);
    for db in state.databases.values() {
        for table in db.tables.values() {
            let (kind, engine, comment, created, updated, sums) = match table {
                Table::View(view) => ("VIEW", "View", &view.comment, None, None, (0, 0)),
                Table::Olap(table) => {
                    let mut sums = (0, 0);
                    for partition in table.partitions.values() {
                        let (bytes, rows) = partitions::statistics(cluster, table, partition);
                        sums = (sums.0 + bytes, sums.1 + rows);
                    }
                    let updated =
                        table.partitions.values().map(|partition| partition.visible_version_time).max();
                    (
                        "BASE TABLE",
                        "Doris",
                        &table.comment,
                        time(table.create_time),
                        updated.and_then(time),
                        sums,
                    )
                }
            };
            result.rows.push(vec![
                cell("internal"),
                cell(&db.name),
                cell(table.name()),
                cell(kind),
                cell(engine),
                None,
                None,
                cell(sums.1),
                cell(sums.0.checked_div(sums.1).unwrap_or(0)),
                cell(sums.0),
                None,
                None,
                None,
                None,
                created,
                updated,
                None,
                cell("utf-8"),
                None,
                None,
                cell(comment),
            ]);
        }
    }
    result
}

fn views(state: &FeState) -> ResultSet {
    let mut result =
        ResultSet::new(&["TABLE_CATALOG", "TABLE_SCHEMA", "TABLE_NAME", "VIEW_DEFINITION", "CREATE_VIEW"]);
    for db in state.databases.values() {
        for table in db.tables.values() {
            if let Table::View(view) = table {
                result.rows.push(vec![
                    cell("internal"),
                    cell(&db.name),
                    cell(&view.name),
                    cell(&view.definition),
                    cell(create_view_text(view)),
                ]);
            }
        }
    }
    result
}

fn partition_rows(cluster: &ClusterInner, state: &FeState) -> ResultSet {
    let mut result = ResultSet::new(&[
        "TABLE_CATALOG",
        "TABLE_SCHEMA",
        "TABLE_NAME",
        "PARTITION_NAME",
        "PARTITION_ORDINAL_POSITION",
        "PARTITION_DESCRIPTION",
        "TABLE_ROWS",
        "DATA_LENGTH",
        "UPDATE_TIME",
    ]);
    for db in state.databases.values() {
        for table in db.tables.values().filter_map(Table::as_olap) {
            for (at, partition) in sorted_partitions(table).into_iter().enumerate() {
                let (bytes, rows) = partitions::statistics(cluster, table, partition);
                result.rows.push(vec![
                    cell("internal"),
                    cell(&db.name),
                    cell(&table.name),
                    cell(&partition.name),
                    cell(at + 1),
                    cell(partition.item.identity(&table.partition_scheme, table.columns())),
                    cell(rows),
                    cell(bytes),
                    time(partition.visible_version_time),
                ]);
            }
        }
    }
    result
}
