//! The catalogue of one cluster's one database: tables, partitions, tablets and what they hold.
//!
//! A tablet holds cells instead of rows: one per upstream tablet and version whose data it got. So a
//! transaction that is applied twice, lost, or put into the wrong tablet is plain to see.

use std::collections::{BTreeMap, BTreeSet};

use doris_types::call::MetaFilter;
use doris_types::meta::{
    Backend, DatabaseMeta, IndexMeta, PartitionMeta, ReplicaMeta, TableMeta, TabletMeta,
};

use super::alter::Traits;

/// What one load put into one upstream tablet: the tablet and the version of its partition.
pub type Cell = (i64, i64);

#[derive(Debug, Clone, Default)]
pub struct Catalog {
    pub database_id: i64,
    pub database: String,
    pub tables: BTreeMap<i64, Table>,
    /// By name.
    pub views: BTreeMap<String, View>,
    pub dropped_tables: BTreeMap<i64, i64>,
    pub dropped_partitions: BTreeMap<i64, i64>,
    pub dropped_indexes: BTreeMap<i64, i64>,
    pub backends: Vec<Backend>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    pub id: i64,
    /// The table it selects from; all that its definition says.
    pub of: String,
    /// Empty where it has none.
    pub comment: String,
}

#[derive(Debug, Clone)]
pub struct Table {
    pub id: i64,
    pub name: String,
    pub index_id: i64,
    pub buckets: usize,
    pub replicas: usize,
    /// False: one partition without a range, named like the table.
    pub is_partitioned: bool,
    pub columns: Vec<String>,
    pub traits: Traits,
    pub partitions: Vec<Partition>,
}

#[derive(Debug, Clone)]
pub struct Partition {
    pub id: i64,
    pub name: String,
    /// Lower end (in) and upper end (out).
    pub bounds: Option<(i64, i64)>,
    pub is_temporary: bool,
    /// HDD or SSD.
    pub medium: &'static str,
    pub version: i64,
    /// Secondary indexes that were built for its rows.
    pub built: BTreeSet<String>,
    pub tablets: Vec<Tablet>,
}

#[derive(Debug, Clone)]
pub struct Tablet {
    pub id: i64,
    pub cells: Vec<Cell>,
    /// Upstream: the first version whose rowset is kept. A schema change makes new tablets that hold the
    /// rows of earlier versions, but not their rowsets.
    pub kept_from: i64,
}

impl Partition {
    pub fn range(&self) -> String {
        self.bounds.map_or(String::new(), |(from, to)| {
            format!("[types: [INT]; keys: [{from}]; ..types: [INT]; keys: [{to}]; )")
        })
    }
}

impl Table {
    pub fn partition_mut(&mut self, name: &str) -> &mut Partition {
        let table = self.name.clone();
        self.partitions
            .iter_mut()
            .find(|partition| partition.name == name)
            .unwrap_or_else(|| panic!("table {table} has no partition {name}"))
    }

    /// Unpartitioned tables have one partition, which is called like them.
    pub fn set_name(&mut self, name: &str) {
        name.clone_into(&mut self.name);
        if !self.is_partitioned {
            name.clone_into(&mut self.partitions[0].name);
        }
    }

    /// The text of SHOW CREATE TABLE as CREATE_TABLE records carry it.
    pub fn create_sql(&self) -> String {
        let mut partitions = String::new();
        if self.is_partitioned {
            let each: Vec<String> = self
                .partitions
                .iter()
                .filter(|partition| !partition.is_temporary)
                .map(|partition| {
                    let (from, to) = partition.bounds.expect("partitions of such a table have bounds");
                    format!("PARTITION {} VALUES [(\"{from}\"), (\"{to}\"))", partition.name)
                })
                .collect();
            partitions = format!("PARTITION BY RANGE(`k`)\n({})\n", each.join(",\n"));
        }
        let columns: Vec<String> =
            self.columns.iter().map(|column| format!("  `{column}` int NULL COMMENT \"x = 'y'\"")).collect();
        format!(
            "CREATE TABLE `{}` (\n{}\n) ENGINE=OLAP\n\
             DUPLICATE KEY(`k`)\n{partitions}DISTRIBUTED BY HASH(`k`) BUCKETS {}\nPROPERTIES (\n\
             \"replication_allocation\" = \"tag.location.default: {}\"\n);",
            self.name,
            columns.join(",\n"),
            self.buckets,
            self.replicas
        )
    }
}

impl Catalog {
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.values().find(|table| table.name == name)
    }

    pub fn table_mut(&mut self, name: &str) -> Option<&mut Table> {
        self.tables.values_mut().find(|table| table.name == name)
    }

    /// The tablet, with the table and partition it belongs to.
    pub fn tablet(&self, id: i64) -> Option<(&Table, &Partition, usize)> {
        self.tables.values().find_map(|table| {
            table.partitions.iter().find_map(|partition| {
                let position = partition.tablets.iter().position(|tablet| tablet.id == id)?;
                Some((table, partition, position))
            })
        })
    }

    /// The backends with a replica of the tablet at this position.
    pub fn replica_backends(&self, table: &Table, position: usize) -> Vec<i64> {
        (0..table.replicas).map(|n| self.backends[(position + n) % self.backends.len()].id).collect()
    }

    pub fn meta(&self, filter: &MetaFilter) -> DatabaseMeta {
        let tables = self
            .tables
            .values()
            .filter(|table| match filter {
                MetaFilter::Names => true,
                MetaFilter::Tables(ids) => ids.contains(&table.id),
                MetaFilter::Named(names) => names.contains(&table.name),
            })
            .map(|table| self.table_meta(table, *filter == MetaFilter::Names))
            .collect();
        DatabaseMeta {
            id: self.database_id,
            name: self.database.clone(),
            tables,
            reports_drops: true,
            dropped_partitions: self.dropped_partitions.clone(),
            dropped_tables: self.dropped_tables.clone(),
            dropped_indexes: self.dropped_indexes.clone(),
        }
    }

    fn table_meta(&self, table: &Table, names_only: bool) -> TableMeta {
        let partitions = table.partitions.iter().filter(|_| !names_only);
        TableMeta {
            id: table.id,
            name: table.name.clone(),
            kind: "OLAP".to_owned(),
            partitions: partitions.map(|partition| self.partition_meta(table, partition)).collect(),
        }
    }

    fn partition_meta(&self, table: &Table, partition: &Partition) -> PartitionMeta {
        let tablets = partition.tablets.iter().enumerate().map(|(position, tablet)| TabletMeta {
            id: tablet.id,
            replicas: self
                .replica_backends(table, position)
                .into_iter()
                .map(|backend_id| ReplicaMeta { id: 0, backend_id, version: partition.version })
                .collect(),
        });
        let base = IndexMeta { id: table.index_id, name: table.name.clone(), tablets: tablets.collect() };
        let rollup =
            |(name, id): (&String, &i64)| IndexMeta { id: *id, name: name.clone(), tablets: Vec::new() };
        let indexes = std::iter::once(base).chain(table.traits.rollups.iter().map(rollup)).collect();
        PartitionMeta {
            id: partition.id,
            name: partition.name.clone(),
            range: partition.range(),
            visible_version: partition.version,
            indexes,
        }
    }
}

/// Backends `first` to `first + count - 1`.
pub fn backends(first: i64, count: i64) -> Vec<Backend> {
    (first..first + count)
        .map(|id| Backend { id, host: format!("10.0.0.{id}"), be_port: 9060, http_port: 8040, alive: true })
        .collect()
}
