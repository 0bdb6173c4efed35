//! Tables in SQLite's memory, and running compiled queries over them.
//!
//! A table is copied when a query needs it and kept until one of its partitions shows another version or
//! its columns change. A duplicate table that only grew gets just the new rows.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::types::Value as Cell;
use rusqlite::{Connection, params_from_iter};

use crate::be::{Backend, BackendError};
use crate::cluster::ClusterInner;
use crate::data::{Row, TabletSchema, Value};
use crate::error::{SqlError, SqlResult};
use crate::model::{IndexSchema, KeysType, OlapTable, Partition};
use crate::session::{ColumnType, ResultSet, Session};

use super::compile::{Compiled, quote_name};
use super::functions;
use super::hidden;
use super::target::PartitionChoice;
use super::types::{from_cell, to_cell};

/// A table that a query reads, as the catalogue described it while compiling.
#[derive(Debug, Clone)]
pub struct TableSource {
    /// The table's name inside SQLite.
    pub name: String,
    table_id: i64,
    index_id: i64,
    schema: Arc<TabletSchema>,
    partitions: Vec<SourcePartition>,
    /// Whether the columns that Doris hides are read, see [`hidden`].
    hidden: bool,
}

#[derive(Debug, Clone)]
struct SourcePartition {
    id: i64,
    version: i64,
    /// Tablet and the backends of its replicas.
    tablets: Vec<(i64, Vec<i64>)>,
}

/// The query engine of a cluster. One query runs at a time.
#[derive(Debug, Default)]
pub struct Engine {
    inner: Mutex<Inner>,
    /// Table id to the next number of its auto-increment column, and whether rows came from elsewhere since, which
    /// may have greater ones.
    next_numbers: Mutex<HashMap<i64, (i64, bool)>>,
}

#[derive(Debug, Default)]
struct Inner {
    connection: Option<Connection>,
    loaded: HashMap<String, Loaded>,
}

/// What a table in SQLite holds.
#[derive(Debug)]
struct Loaded {
    table_id: i64,
    schema: Arc<TabletSchema>,
    versions: BTreeMap<i64, i64>,
    /// See [`TableSource::generation`].
    generation: u64,
}

impl TableSource {
    pub fn of(
        table: &OlapTable,
        index: &IndexSchema,
        partitions: &[&Partition],
        choice: &PartitionChoice,
    ) -> Self {
        let mut name = format!("t{}", table.id);
        if index.id != table.base_index_id {
            name.push_str(&format!("_i{}", index.id));
        }
        if !choice.names.is_empty() || choice.temporary {
            for partition in partitions {
                name.push_str(&format!("_{}", partition.id));
            }
        }
        let partition = |partition: &&Partition| SourcePartition {
            id: partition.id,
            version: partition.visible_version,
            tablets: partition
                .indexes
                .get(&index.id)
                .map(|index| index.tablets.as_slice())
                .unwrap_or_default()
                .iter()
                .map(|tablet| (tablet.id, tablet.replicas.iter().map(|replica| replica.backend_id).collect()))
                .collect(),
        };
        Self {
            name,
            table_id: table.id,
            index_id: index.id,
            schema: Arc::new(TabletSchema::of(table, index)),
            partitions: partitions.iter().map(partition).collect(),
            hidden: false,
        }
    }

    /// The same with the hidden columns, and with deleted rows.
    pub fn with_hidden(self) -> Self {
        let mut schema = (*self.schema).clone();
        hidden::add_columns(&mut schema.columns);
        Self { name: format!("{}_h", self.name), schema: Arc::new(schema), hidden: true, ..self }
    }

    pub fn table_id(&self) -> i64 {
        self.table_id
    }

    /// The base index, unless the query names another one.
    pub fn index_id(&self) -> i64 {
        self.index_id
    }

    /// Whether the query looks into the partition.
    pub fn reads(&self, partition_id: i64) -> bool {
        self.partitions.iter().any(|partition| partition.id == partition_id)
    }

    /// Partition to the version that the query reads.
    pub fn versions(&self) -> BTreeMap<i64, i64> {
        self.partitions.iter().map(|partition| (partition.id, partition.version)).collect()
    }

    /// How often a restore has replaced the data of the tablets; versions tell nothing across that.
    fn generation(&self, cluster: &ClusterInner) -> u64 {
        let tablets = self.partitions.iter().flat_map(|partition| &partition.tablets);
        let replicas =
            tablets.flat_map(|(tablet, backends)| backends.iter().map(move |backend| (tablet, backend)));
        replicas
            .filter_map(|(tablet, backend)| {
                Some(cluster.backend(*backend)?.tablet(*tablet).ok()?.generation())
            })
            .sum()
    }
}

impl Engine {
    /// Runs a compiled query; values are typed as the query's columns.
    pub fn run(
        &self,
        cluster: &ClusterInner,
        session: &Session,
        tables: &[TableSource],
        answers: &[(String, ResultSet)],
        query: &Compiled,
    ) -> SqlResult<Vec<Vec<Value>>> {
        let mut inner = self.inner.lock();
        let Inner { connection, loaded } = &mut *inner;
        if connection.is_none() {
            *connection = Some(open().map_err(|error| failed(&error))?);
        }
        let connection = connection.as_mut().expect("it was opened above");
        for table in tables {
            if let Err(error) = load(cluster, connection, loaded, table) {
                // Half of a table is worse than none.
                loaded.remove(&table.name);
                return Err(error);
            }
        }
        for (name, rows) in answers {
            load_answer(connection, name, rows).map_err(|error| failed(&error))?;
        }
        let Some(running) = session.cancel.start(connection) else {
            return Err(SqlError::general("the query was cancelled"));
        };
        let rows = fetch(connection, query).map_err(|error| failed(&error));
        drop(running);
        rows
    }

    /// Takes `count` consecutive numbers of a table's auto-increment column and returns the first. `start`
    /// finds where to begin when the table has taken none yet, or has got rows from elsewhere.
    pub fn numbers(
        &self,
        table_id: i64,
        count: i64,
        start: impl FnOnce() -> SqlResult<i64>,
    ) -> SqlResult<i64> {
        let known = self.next_numbers.lock().get(&table_id).copied();
        let first = match known {
            Some((next, false)) => next,
            Some((next, true)) => next.max(start()?),
            None => start()?,
        };
        let mut next_numbers = self.next_numbers.lock();
        let (next, is_stale) = next_numbers.entry(table_id).or_insert((first, false));
        let first = if std::mem::take(is_stale) { first.max(*next) } else { *next };
        *next = first + count;
        Ok(first)
    }

    /// The table got rows from elsewhere: its next number comes after theirs.
    pub fn recount_numbers(&self, table_id: i64) {
        if let Some((_, is_stale)) = self.next_numbers.lock().get_mut(&table_id) {
            *is_stale = true;
        }
    }

    /// Forgets the tables in memory.
    pub fn clear(&self) {
        *self.inner.lock() = Inner::default();
    }
}

/// A database in memory with the functions of compiled queries.
pub(super) fn open() -> rusqlite::Result<Connection> {
    let connection = Connection::open_in_memory()?;
    connection.execute_batch(
        "PRAGMA case_sensitive_like = ON; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; \
         PRAGMA temp_store = MEMORY; PRAGMA cache_size = -65536;",
    )?;
    functions::register(&connection)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

fn failed(error: &rusqlite::Error) -> SqlError {
    SqlError::general(format!("query failed: {error}"))
}

fn fetch(connection: &Connection, query: &Compiled) -> rusqlite::Result<Vec<Vec<Value>>> {
    let mut statement = connection.prepare_cached(&query.sql)?;
    let mut rows = statement.query([])?;
    let mut out = Vec::new();
    while let Some(row) = rows.next()? {
        let mut values = Vec::with_capacity(query.columns.len());
        for (at, (_, ty)) in query.columns.iter().enumerate() {
            values.push(from_cell(row.get_ref(at)?, *ty));
        }
        out.push(values);
    }
    Ok(out)
}

fn load(
    cluster: &ClusterInner,
    connection: &mut Connection,
    loaded: &mut HashMap<String, Loaded>,
    source: &TableSource,
) -> SqlResult<()> {
    let versions = source.versions();
    let generation = source.generation(cluster);
    if let Some(known) = loaded.get(&source.name)
        && *known.schema == *source.schema
        && known.generation == generation
    {
        if known.versions == versions {
            return Ok(());
        }
        if let Some(rows) = growth(cluster, source, &known.versions) {
            insert(connection, source, rows)?;
            remember(loaded, source, versions, generation);
            return Ok(());
        }
    }
    loaded.remove(&source.name);
    forget_dropped(cluster, connection, loaded).map_err(|error| failed(&error))?;
    create(connection, source).map_err(|error| failed(&error))?;
    let mut count = 0;
    for partition in &source.partitions {
        for (tablet, backends) in &partition.tablets {
            if source.hidden {
                let rows = read(cluster, *tablet, backends, |backend| {
                    backend.tablet(*tablet)?.read_hidden(partition.version)
                })?;
                insert(
                    connection,
                    source,
                    rows.into_iter().map(|row| hidden::with_signs(&source.schema, row)),
                )?;
                continue;
            }
            let rows = read(cluster, *tablet, backends, |backend| backend.scan(*tablet, partition.version))?;
            count += rows.len();
            insert(connection, source, rows.iter())?;
        }
    }
    if count > 1000 {
        // The planner orders joins by the sizes of the tables.
        let analyze = format!("ANALYZE {}", quote_name(&source.name));
        connection.execute_batch(&analyze).map_err(|error| failed(&error))?;
    }
    remember(loaded, source, versions, generation);
    Ok(())
}

fn remember(
    loaded: &mut HashMap<String, Loaded>,
    source: &TableSource,
    versions: BTreeMap<i64, i64>,
    generation: u64,
) {
    let (table_id, schema) = (source.table_id, Arc::clone(&source.schema));
    loaded.insert(source.name.clone(), Loaded { table_id, schema, versions, generation });
}

/// Drops the copies of tables that the catalogue no longer has.
fn forget_dropped(
    cluster: &ClusterInner,
    connection: &Connection,
    loaded: &mut HashMap<String, Loaded>,
) -> rusqlite::Result<()> {
    let dropped: Vec<String> = {
        let state = cluster.fe.lock();
        let exists = |id: i64| state.databases.values().any(|db| db.tables.contains_key(&id));
        loaded.iter().filter(|(_, table)| !exists(table.table_id)).map(|(name, _)| name.clone()).collect()
    };
    for name in dropped {
        loaded.remove(&name);
        connection.flush_prepared_statement_cache();
        connection.execute_batch(&format!("DROP TABLE IF EXISTS {}", quote_name(&name)))?;
    }
    Ok(())
}

/// The rows that came since, when nothing but rows came: a duplicate table without new deletes.
fn growth(
    cluster: &ClusterInner,
    source: &TableSource,
    known: &BTreeMap<i64, i64>,
) -> Option<Vec<Vec<Value>>> {
    let is_same_set = known.len() == source.partitions.len();
    if source.schema.keys_type != KeysType::Duplicate || !is_same_set {
        return None;
    }
    let mut rows = Vec::new();
    for partition in &source.partitions {
        let from = *known.get(&partition.id)?;
        if partition.version < from {
            return None;
        }
        for (tablet, backends) in &partition.tablets {
            let found = read(cluster, *tablet, backends, |backend| {
                backend.tablet(*tablet)?.rowsets_at(partition.version)
            });
            for (version, rowset) in found.ok()? {
                if version <= from {
                    continue;
                }
                if rowset.meta.delete_predicate.is_some() {
                    return None;
                }
                rowset.rows(&source.schema, |row: Row| rows.push(row.values)).ok()?;
            }
        }
    }
    Some(rows)
}

/// Asks the replicas of a tablet in turn.
fn read<T>(
    cluster: &ClusterInner,
    tablet: i64,
    backends: &[i64],
    ask: impl Fn(&Backend) -> Result<T, BackendError>,
) -> SqlResult<T> {
    let mut last = None;
    for id in backends.iter().filter(|id| cluster.is_backend_alive(**id)) {
        let Some(backend) = cluster.backend(*id) else { continue };
        match ask(&backend) {
            Ok(found) => return Ok(found),
            Err(error) => last = Some(error),
        }
    }
    Err(SqlError::general(match last {
        Some(error) => error.to_string(),
        None => format!("tablet {tablet} has no queryable replicas"),
    }))
}

fn create(connection: &Connection, source: &TableSource) -> rusqlite::Result<()> {
    // Columns without a type keep every value as it is given.
    let columns: Vec<String> = source.schema.columns.iter().map(|column| quote_name(&column.name)).collect();
    let name = quote_name(&source.name);
    connection.flush_prepared_statement_cache();
    connection
        .execute_batch(&format!("DROP TABLE IF EXISTS {name}; CREATE TABLE {name} ({})", columns.join(", ")))
}

fn insert<'r, R>(connection: &mut Connection, source: &TableSource, rows: R) -> SqlResult<()>
where
    R: IntoIterator,
    R::Item: RowValues<'r>,
{
    let transaction = connection.transaction().map_err(|error| failed(&error))?;
    let marks = vec!["?"; source.schema.columns.len()].join(", ");
    {
        let text = format!("INSERT INTO {} VALUES ({marks})", quote_name(&source.name));
        let mut statement = transaction.prepare(&text).map_err(|error| failed(&error))?;
        for row in rows {
            let cells: Vec<Cell> = row
                .values()
                .iter()
                .zip(&source.schema.columns)
                .map(|(value, column)| to_cell(value, column))
                .collect();
            statement.execute(params_from_iter(cells)).map_err(|error| failed(&error))?;
        }
    }
    transaction.commit().map_err(|error| failed(&error))
}

/// Rows that are owned or borrowed.
trait RowValues<'r> {
    fn values(&self) -> &[Value];
}

impl RowValues<'_> for Vec<Value> {
    fn values(&self) -> &[Value] {
        self
    }
}

impl<'r> RowValues<'r> for &'r Vec<Value> {
    fn values(&self) -> &[Value] {
        self
    }
}

/// A virtual table is small and made anew for each query.
fn load_answer(connection: &Connection, name: &str, rows: &ResultSet) -> rusqlite::Result<()> {
    let columns: Vec<String> = rows.columns.iter().map(|column| quote_name(column)).collect();
    let table = quote_name(name);
    connection.execute_batch(&format!(
        "DROP TABLE IF EXISTS {table}; CREATE TABLE {table} ({})",
        columns.join(", ")
    ))?;
    let marks = vec!["?"; rows.columns.len()].join(", ");
    let mut statement = connection.prepare(&format!("INSERT INTO {table} VALUES ({marks})"))?;
    for row in &rows.rows {
        let cells = row.iter().enumerate().map(|(at, cell)| match cell {
            None => Cell::Null,
            Some(text) => match rows.types.get(at) {
                Some(ColumnType::TinyInt | ColumnType::SmallInt | ColumnType::Int | ColumnType::BigInt) => {
                    text.parse().map_or_else(|_| Cell::Text(text.clone()), Cell::Integer)
                }
                _ => Cell::Text(text.clone()),
            },
        });
        statement.execute(params_from_iter(cells.collect::<Vec<_>>()))?;
    }
    Ok(())
}
