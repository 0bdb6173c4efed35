//! A table as a load sees it: columns, indexes, partitions and tablets at the time of planning.

use std::sync::Arc;

use super::derive::Derivation;
use crate::cluster::ClusterInner;
use crate::data::TabletSchema;
use crate::data::route::Router;
use crate::error::{SqlError, SqlResult};
use crate::model::{
    Distribution, IndexSchema, IndexState, OlapTable, Partition, PartitionScheme, Table, TableState,
};
use crate::state::FeState;

/// Which partitions a statement names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PartitionChoice {
    /// Empty: all formal partitions.
    pub names: Vec<String>,
    pub temporary: bool,
}

/// One table, ready to be written.
#[derive(Debug)]
pub struct LoadTarget {
    pub db_id: i64,
    pub db: String,
    pub table_id: i64,
    pub table: String,
    /// The base index.
    pub schema: Arc<TabletSchema>,
    pub indexes: Vec<IndexTarget>,
    pub partitions: Vec<PartitionTarget>,
    pub router: Router,
    pub scheme: PartitionScheme,
    pub choice: PartitionChoice,
}

/// One index that the load writes.
#[derive(Debug)]
pub struct IndexTarget {
    pub id: i64,
    pub name: String,
    pub schema: Arc<TabletSchema>,
    /// For each column the base column it comes from; `None` for the base index itself.
    pub sources: Option<Vec<Option<usize>>>,
    /// Set for a synchronous materialised view, in place of `sources`.
    pub derivation: Option<Derivation>,
}

#[derive(Debug)]
pub struct PartitionTarget {
    pub id: i64,
    pub name: String,
    pub distribution: Distribution,
    /// Per index (in the order of `LoadTarget::indexes`), per bucket.
    pub tablets: Vec<Vec<TabletTarget>>,
}

#[derive(Debug, Clone)]
pub struct TabletTarget {
    pub id: i64,
    pub backends: Vec<i64>,
}

impl LoadTarget {
    pub fn plan(cluster: &ClusterInner, db: &str, table: &str, choice: PartitionChoice) -> SqlResult<Self> {
        let state = cluster.fe.lock();
        let (db_id, olap) = olap_table(&state, db, table)?;
        match olap.state {
            TableState::Restore => {
                return Err(SqlError::general(format!(
                    "Table {}'s state is RESTORE. Do not allow to load",
                    olap.name
                )));
            }
            TableState::Normal
            | TableState::Rollup
            | TableState::SchemaChange
            | TableState::RestoreWithLoad
            | TableState::WaitingStable => {}
        }
        let base = olap.base_index();
        let schema = Arc::new(TabletSchema::of(olap, base));
        let mut indexes = Vec::new();
        for index in loaded_indexes(olap) {
            let index_schema = Arc::new(TabletSchema::of(olap, index));
            let sources = (index.id != olap.base_index_id)
                .then(|| index_schema.columns.iter().map(|column| schema.position(&column.name)).collect());
            let derivation = Derivation::of(cluster, &state, olap, index)?;
            let name = index.name.clone();
            indexes.push(IndexTarget { id: index.id, name, schema: index_schema, sources, derivation });
        }
        let chosen = choose(olap, &choice)?;
        let router = Router::new(olap, &schema, chosen.iter().copied());
        let partitions = chosen.into_iter().map(|partition| partition_target(partition, &indexes)).collect();
        Ok(Self {
            db_id,
            db: db.to_owned(),
            table_id: olap.id,
            table: olap.name.clone(),
            schema,
            indexes,
            partitions,
            router,
            scheme: olap.partition_scheme.clone(),
            choice,
        })
    }
}

impl LoadTarget {
    /// Whether a load planned now would write the same indexes. A transaction is opened only for a plan that
    /// is still current, as a schema change counts on it: loads whose id it does not wait for know its shadow.
    pub fn is_current(&self, state: &FeState) -> bool {
        let table = state
            .databases
            .get(&self.db_id)
            .and_then(|db| db.tables.get(&self.table_id))
            .and_then(Table::as_olap);
        table.is_none_or(|table| {
            loaded_indexes(table).map(|index| index.id).eq(self.indexes.iter().map(|index| index.id))
        })
    }

    /// Whether the same table is still there.
    pub fn check_exists(&self, state: &FeState) -> SqlResult<()> {
        let db = state.databases.get(&self.db_id);
        match db.and_then(|db| db.tables.get(&self.table_id)) {
            Some(Table::Olap(_)) => Ok(()),
            Some(Table::View(_)) | None => Err(SqlError::unknown_table(&self.db, &self.table)),
        }
    }
}

/// Shadow indexes that no partition has yet are not loaded.
fn loaded_indexes(table: &OlapTable) -> impl Iterator<Item = &IndexSchema> {
    table.indexes.values().filter(|index| {
        index.state != IndexState::Shadow
            || table.partitions.values().all(|partition| partition.indexes.contains_key(&index.id))
    })
}

/// A table that must be an OLAP table.
pub fn olap_table<'a>(state: &'a FeState, db: &str, table: &str) -> SqlResult<(i64, &'a OlapTable)> {
    let database = state.database_named(db).ok_or_else(|| SqlError::unknown_database(db))?;
    match database.table_named(table) {
        Some(Table::Olap(olap)) => Ok((database.id, olap)),
        Some(Table::View(_)) => Err(SqlError::general(format!("the target table {table} is a view"))),
        None => Err(SqlError::unknown_table(db, table)),
    }
}

/// Formal or temporary partitions by name, or all formal ones.
pub fn choose<'a>(table: &'a OlapTable, choice: &PartitionChoice) -> SqlResult<Vec<&'a Partition>> {
    let all = if choice.temporary { &table.temp_partitions } else { &table.partitions };
    if choice.names.is_empty() {
        return Ok(all.values().collect());
    }
    choice
        .names
        .iter()
        .map(|name| {
            all.values().find(|partition| partition.name.eq_ignore_ascii_case(name)).ok_or_else(|| {
                SqlError::general(format!("Unknown partition '{name}' in table '{}'", table.name))
            })
        })
        .collect()
}

fn partition_target(partition: &Partition, indexes: &[IndexTarget]) -> PartitionTarget {
    let tablets = indexes.iter().map(|index| {
        let found =
            partition.indexes.get(&index.id).map(|found| found.tablets.as_slice()).unwrap_or_default();
        found
            .iter()
            .map(|tablet| TabletTarget {
                id: tablet.id,
                backends: tablet.replicas.iter().map(|replica| replica.backend_id).collect(),
            })
            .collect()
    });
    PartitionTarget {
        id: partition.id,
        name: partition.name.clone(),
        distribution: partition.distribution.clone(),
        tablets: tablets.collect(),
    }
}
