//! SHOW statements, the text of SHOW CREATE, and the virtual tables of `information_schema`.
//!
//! Every statement builds its full result first; LIKE, WHERE, ORDER BY and LIMIT are applied to the finished
//! rows by one function, so they work alike everywhere.

mod allowed;
mod create_table;
mod dynamic;
mod filter;
mod format;
mod functions;
mod information_columns;
mod information_schema;
mod jobs;
mod nodes;
mod partitions;
mod proc;
mod repositories;
mod resources;
pub mod table_properties;
mod tables;
#[cfg(test)]
mod tests;

pub use create_table::{
    Flavour, column_text, create_table_text, create_view_text, distribution_text, escape_comment, index_text,
    partition_values_text, plain_name, sorted_partitions,
};
pub use filter::like;
pub use format::time as format_time;

use doris_types::sql::quote_identifier;

use crate::access::{check, grants};
use crate::cluster::ClusterInner;
use crate::error::{SqlError, SqlResult};
use crate::model::{Column, DataType, KeysType};
use crate::session::{ColumnType, ResultSet, Session};
use crate::sql::{Show, ShowKind, TableName};
use crate::state::FeState;

/// Answers a SHOW or DESC statement.
pub fn run(cluster: &ClusterInner, session: &Session, show: &Show) -> SqlResult<ResultSet> {
    match &show.kind {
        // These look at their filter themselves.
        ShowKind::Transaction { db } => {
            jobs::transaction(&cluster.fe.lock(), session, db.as_deref(), &show.filter)
        }
        ShowKind::Snapshot { repository } => {
            repositories::snapshots(&cluster.fe.lock(), repository, &show.filter)
        }
        ShowKind::Constant { columns, rows } => {
            let mut result = ResultSet::new(columns);
            let text = |cell: &&str| Some((*cell).to_owned());
            result.rows = rows.iter().map(|row| row.iter().map(text).collect()).collect();
            // Nobody minds what is asked of an answer without rows.
            if rows.is_empty() {
                Ok(result)
            } else {
                filter::apply(result, &show.filter, 0, filter::Case::Ignored)
            }
        }
        ShowKind::Tablets(table) => {
            allowed::check(&show.kind, &show.filter)?;
            let mut filter = show.filter.clone();
            // The index is no column of the answer.
            let (index, left) =
                filter.predicate.map_or((None, None), |predicate| predicate.split_equal("IndexName"));
            filter.predicate = left;
            let result = {
                let state = cluster.fe.lock();
                let (_, table) = tables::olap(&state, session, table)?;
                partitions::tablets(cluster, table, index.as_deref())
            };
            filter::apply(result, &filter, 0, filter::Case::Exact)
        }
        kind => {
            allowed::check(kind, &show.filter)?;
            let result = rows(cluster, session, kind)?;
            filter::apply(result, &show.filter, like_column(kind), case(kind))
        }
    }
}

/// Names of settings and variables are looked up without regard to case.
fn case(kind: &ShowKind) -> filter::Case {
    match kind {
        ShowKind::Variables { .. } | ShowKind::FrontendConfig | ShowKind::BackendConfig { .. } => {
            filter::Case::Ignored
        }
        _ => filter::Case::Exact,
    }
}

/// The column that LIKE without WHERE looks at.
fn like_column(kind: &ShowKind) -> usize {
    match kind {
        ShowKind::BackendConfig { .. } => 2,
        ShowKind::Backup { .. } | ShowKind::Restore { .. } | ShowKind::Partitions { .. } => 1,
        _ => 0,
    }
}

/// All rows. Nothing may lock the frontend's state in here but the arm that is taken.
fn rows(cluster: &ClusterInner, session: &Session, kind: &ShowKind) -> SqlResult<ResultSet> {
    let state = || cluster.fe.lock();
    match kind {
        ShowKind::Databases => {
            let state = state();
            let mut result = tables::databases(&state);
            check::retain_visible(&state, session, &mut result, |row| row[0].clone(), None);
            Ok(result)
        }
        ShowKind::Tables { full, db } => {
            let state = state();
            let result = tables::tables(&state, session, db.as_deref(), *full)?;
            Ok(visible_tables(&state, session, result, db.as_deref()))
        }
        ShowKind::Views { db } => {
            let state = state();
            let result = tables::views(&state, session, db.as_deref())?;
            Ok(visible_tables(&state, session, result, db.as_deref()))
        }
        ShowKind::TableById(id) => Ok(tables::table_by_id(&state(), *id)),
        ShowKind::TableStatus { db } => table_status(cluster, session, db.as_deref()),
        ShowKind::CreateDatabase(name) => tables::create_database(&state(), name),
        ShowKind::CreateTable(table) => match system_columns(cluster, session, table)? {
            Some(columns) => Ok(create_system_table(&table.name, &columns)),
            None => tables::create_table(&state(), session, table),
        },
        ShowKind::CreateView(view) => tables::create_view_of(&state(), session, view),
        ShowKind::CreateAsyncView(view) => crate::mv::create_text(&state(), session, view),
        ShowKind::CreateMaterializedView { view, table } => {
            tables::create_materialized_view(&state(), session, view, table)
        }
        ShowKind::ViewsOf(table) => tables::views_of(&state(), session, table),
        ShowKind::Partitions { temporary, table } => {
            let state = state();
            let (_, table) = tables::olap(&state, session, table)?;
            Ok(partitions::rows(cluster, &state, table, *temporary))
        }
        ShowKind::Variables { global } => Ok(crate::dispatch::variables::rows(cluster, session, *global)),
        ShowKind::Tablet(id) => Ok(partitions::tablet(&state(), *id)),
        ShowKind::Columns { full, table } => match system_columns(cluster, session, table)? {
            Some(columns) => Ok(tables::column_rows(&columns, *full)),
            None => tables::columns(&state(), session, table, *full),
        },
        ShowKind::Describe { table, all } => match system_columns(cluster, session, table)? {
            Some(columns) => Ok(tables::describe_rows(&columns)),
            None => tables::describe(&state(), session, table, *all),
        },
        ShowKind::Index(table) => match system_columns(cluster, session, table)? {
            Some(_) => Ok(tables::no_indexes()),
            None => tables::indexes(&state(), session, table),
        },
        ShowKind::Data { table } => tables::data(cluster, &state(), session, table.as_ref()),
        ShowKind::Frontends => Ok(nodes::frontends(cluster, true, session.frontend)),
        ShowKind::Backends => Ok(nodes::backends(cluster)),
        ShowKind::Proc(path) => proc::run(cluster, session, path),
        ShowKind::AlterTable { kind, db } => jobs::alter(&state(), session, *kind, db.as_deref()),
        ShowKind::BuildIndex { db } => jobs::build_index(&state(), session, db.as_deref()),
        ShowKind::Resources => Ok(resources::resources(&state())),
        ShowKind::StoragePolicies => Ok(resources::storage_policies(&state())),
        ShowKind::DynamicPartitions { db } => dynamic::rows(&state(), session, db.as_deref()),
        ShowKind::Backup { db } => jobs::backup(&state(), session, db.as_deref()),
        ShowKind::Restore { db, brief } => jobs::restore(&state(), session, db.as_deref(), *brief),
        ShowKind::Functions { is_global, is_full, db } => {
            functions::rows(&state(), session, *is_global, *is_full, db.as_deref())
        }
        ShowKind::CreateFunction(name) => functions::create_text(&state(), session, name),
        ShowKind::Repositories => Ok(repositories::rows(&state())),
        ShowKind::CreateRepository(name) => repositories::create_text(&state(), name),
        ShowKind::CatalogRecycleBin => Ok(jobs::recycle_bin(cluster, &state())),
        ShowKind::FrontendConfig => Ok(nodes::frontend_config(cluster)),
        ShowKind::BackendConfig { backend } => Ok(nodes::backend_config(cluster, *backend)),
        ShowKind::ProcessList { full } => Ok(cluster.clients.rows(cluster, session, *full)),
        ShowKind::Grants { all: true, .. } => Ok(grants::all(&state().accounts)),
        ShowKind::Grants { all: false, user } => {
            let identity = user.clone().unwrap_or_else(|| check::identity_of(session));
            grants::of(&state().accounts, &identity)
        }
        ShowKind::Roles => Ok(grants::roles(&state().accounts)),
        ShowKind::Tablets(_)
        | ShowKind::Transaction { .. }
        | ShowKind::Snapshot { .. }
        | ShowKind::Constant { .. } => Err(SqlError::general("the statement filters its own rows")),
    }
}

/// The columns of a table of `information_schema`; `None` when the name means another database.
pub fn system_columns(
    cluster: &ClusterInner,
    session: &Session,
    name: &TableName,
) -> SqlResult<Option<Vec<Column>>> {
    const SCHEMA: &str = "information_schema";
    let db = name.db.as_deref().or(session.database.as_deref());
    if !db.is_some_and(|db| db.eq_ignore_ascii_case(SCHEMA)) {
        return Ok(None);
    }
    let found = virtual_table(cluster, session, &format!("{SCHEMA}.{}", name.name))
        .ok_or_else(|| SqlError::unknown_table(SCHEMA, &name.name))?;
    let column = |(at, (name, ty)): (usize, (&String, &ColumnType))| Column {
        name: name.clone(),
        data_type: match ty {
            ColumnType::BigInt => DataType::BigInt,
            _ => DataType::Varchar { length: SYSTEM_TEXT },
        },
        is_key: false,
        nullable: true,
        aggregate: None,
        default: None,
        comment: String::new(),
        unique_id: i32::try_from(at).unwrap_or(i32::MAX),
        visible: true,
        auto_increment: None,
        generated: None,
        define: None,
        on_update: None,
    };
    Ok(Some(found.columns.iter().zip(&found.types).enumerate().map(column).collect()))
}

/// Longest text in a table of `information_schema`.
const SYSTEM_TEXT: u32 = 2048;

fn create_system_table(name: &str, columns: &[Column]) -> ResultSet {
    let lines: Vec<String> =
        columns.iter().map(|column| format!("  {}", column_text(column, KeysType::Duplicate))).collect();
    let text = format!("CREATE TABLE {} (\n{}\n) ENGINE=SCHEMA;", quote_identifier(name), lines.join(",\n"));
    let mut result = ResultSet::new(&["Table", "Create Table"]);
    result.rows.push(vec![Some(name.to_owned()), Some(text)]);
    result
}

/// Those of the tables, named in the first column, that the session may see.
fn visible_tables(state: &FeState, session: &Session, mut result: ResultSet, db: Option<&str>) -> ResultSet {
    let db = db.or(session.database.as_deref()).map(str::to_owned);
    check::retain_visible(state, session, &mut result, |_| db.clone(), Some(0));
    result
}

/// SHOW TABLE STATUS: columns of `information_schema.tables` under MySQL's names.
fn table_status(cluster: &ClusterInner, session: &Session, db: Option<&str>) -> SqlResult<ResultSet> {
    const NAMES: [(&str, usize); 6] =
        [("Name", 2), ("Engine", 4), ("Rows", 7), ("Data_length", 9), ("Create_time", 14), ("Comment", 20)];
    let name = tables::database(&cluster.fe.lock(), session, db)?.name.clone();
    let all = virtual_table(cluster, session, "information_schema.tables").unwrap_or_default();
    let mut result = ResultSet::new(&NAMES.map(|(name, _)| name));
    for row in all.rows.iter().filter(|row| row[1].as_deref() == Some(name.as_str())) {
        result.rows.push(NAMES.iter().map(|(_, at)| row[*at].clone()).collect());
    }
    Ok(result)
}

/// The rows of a table that exists only as an answer, by its name in a FROM clause: `frontends()`,
/// `backends()`, `information_schema.tables`, `.schemata`, `.columns`, `.views`, `.partitions`. A bare name
/// is looked up in `information_schema` when that is the session's database. `None` when the name is no
/// such table.
pub fn virtual_table(cluster: &ClusterInner, session: &Session, name: &str) -> Option<ResultSet> {
    let in_schema =
        session.database.as_deref().is_some_and(|db| db.eq_ignore_ascii_case("information_schema"));
    let mut found = information_schema::table(cluster, session, name);
    if found.is_none() && in_schema {
        found = information_schema::table(cluster, session, &format!("information_schema.{name}"));
    }
    let mut found = found?;
    let at = |wanted: &str| found.columns.iter().position(|column| column.eq_ignore_ascii_case(wanted));
    let (db, table) = (at("TABLE_SCHEMA").or_else(|| at("SCHEMA_NAME")), at("TABLE_NAME"));
    if let Some(db) = db {
        check::retain_visible(&cluster.fe.lock(), session, &mut found, |row| row[db].clone(), table);
    }
    Some(found)
}
