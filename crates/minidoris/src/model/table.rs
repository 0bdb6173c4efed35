//! Databases, tables and views.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::{Column, Distribution, KeysType, Partition, Tracked};
use crate::mv::AsyncView;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Database {
    pub id: i64,
    pub name: String,
    /// As given to CREATE or ALTER DATABASE, in order.
    #[serde(with = "super::ordered")]
    pub properties: IndexMap<String, String>,
    /// How many transactions may run; `None`: as many as the frontend setting says.
    pub transaction_quota: Option<i64>,
    pub tables: BTreeMap<i64, Table>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Table {
    Olap(Tracked<OlapTable>),
    View(Box<View>),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OlapTable {
    pub id: i64,
    pub name: String,
    pub keys_type: KeysType,
    /// False for `ENGINE=OLAP` without a key clause on a keyless duplicate table.
    pub has_key_clause: bool,
    /// Columns of CLUSTER BY.
    pub cluster_by: Vec<String>,
    pub base_index_id: i64,
    /// Base index first, rollups after it, shadow indexes last. The base index carries the table's name.
    #[serde(with = "super::ordered")]
    pub indexes: IndexMap<i64, IndexSchema>,
    pub secondary_indexes: Vec<SecondaryIndex>,
    pub partition_scheme: PartitionScheme,
    pub partitions: BTreeMap<i64, Partition>,
    pub temp_partitions: BTreeMap<i64, Partition>,
    pub default_distribution: Distribution,
    pub replication_num: u16,
    /// Everything else that SHOW CREATE TABLE prints, in Doris's names and normalised values.
    #[serde(with = "super::ordered")]
    pub properties: IndexMap<String, String>,
    pub comment: String,
    pub state: TableState,
    pub in_atomic_restore: bool,
    pub is_being_synced: bool,
    pub light_schema_change: bool,
    pub binlog: BinlogConfig,
    pub next_column_unique_id: i32,
    /// Set for an asynchronous materialised view.
    #[serde(default)]
    pub async_view: Option<Box<AsyncView>>,
    /// Lives as long as the connection that made it; no binlog tells of it.
    #[serde(default)]
    pub is_temporary: bool,
    /// Milliseconds since the epoch.
    pub create_time: i64,
}

/// What the name of an index begins with that takes another one's place when its schema change ends.
pub const SHADOW_PREFIX: &str = "__doris_shadow_";

/// One index of a table: the base table's columns or a rollup's subset.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct IndexSchema {
    pub id: i64,
    pub name: String,
    pub columns: Vec<Column>,
    pub keys_type: KeysType,
    pub schema_hash: i32,
    /// 0 at first, one more for each light schema change or column rename.
    pub schema_version: i32,
    pub state: IndexState,
    /// Set for a synchronous materialised view.
    #[serde(default)]
    pub view: Option<Box<SyncView>>,
}

/// What else there is to know of an index that is a synchronous materialised view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncView {
    /// The CREATE statement as it was written.
    pub statement: String,
    /// The condition that a row of the table must meet, as DESC prints it.
    pub filter: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum IndexState {
    Normal,
    Shadow,
}

/// An inverted, ngram bloom filter or bitmap index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecondaryIndex {
    pub id: i64,
    pub name: String,
    pub columns: Vec<String>,
    /// `INVERTED`, `NGRAM_BF`, `BITMAP`.
    pub kind: String,
    #[serde(with = "super::ordered")]
    pub properties: IndexMap<String, String>,
    pub comment: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PartitionScheme {
    Unpartitioned,
    Range {
        columns: Vec<String>,
        /// `date_trunc(…)` of an auto partitioned table, as printed.
        auto_expr: Option<String>,
    },
    List {
        columns: Vec<String>,
        is_auto: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TableState {
    Normal,
    Rollup,
    SchemaChange,
    Restore,
    RestoreWithLoad,
    WaitingStable,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BinlogConfig {
    pub enable: bool,
    pub ttl_seconds: i64,
    pub max_bytes: i64,
    pub max_history_nums: i64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct View {
    pub id: i64,
    pub name: String,
    pub columns: Vec<Column>,
    /// The body, fully qualified with `internal`.`db`.
    pub definition: String,
    pub comment: String,
}

impl TableState {
    /// The name that Doris prints.
    pub fn name(self) -> &'static str {
        match self {
            TableState::Normal => "NORMAL",
            TableState::Rollup => "ROLLUP",
            TableState::SchemaChange => "SCHEMA_CHANGE",
            TableState::Restore => "RESTORE",
            TableState::RestoreWithLoad => "RESTORE_WITH_LOAD",
            TableState::WaitingStable => "WAITING_STABLE",
        }
    }
}

impl Default for BinlogConfig {
    fn default() -> Self {
        Self { enable: false, ttl_seconds: 86400, max_bytes: i64::MAX, max_history_nums: i64::MAX }
    }
}

impl Table {
    pub fn id(&self) -> i64 {
        match self {
            Table::Olap(table) => table.id,
            Table::View(view) => view.id,
        }
    }

    pub fn name(&self) -> &str {
        match self {
            Table::Olap(table) => &table.name,
            Table::View(view) => &view.name,
        }
    }

    pub fn as_olap(&self) -> Option<&OlapTable> {
        match self {
            Table::Olap(table) => Some(table),
            Table::View(_) => None,
        }
    }

    pub fn as_olap_mut(&mut self) -> Option<&mut OlapTable> {
        match self {
            Table::Olap(table) => Some(table),
            Table::View(_) => None,
        }
    }
}

impl Database {
    pub fn table_named(&self, name: &str) -> Option<&Table> {
        self.tables.values().find(|table| table.name() == name)
    }

    pub fn table_named_mut(&mut self, name: &str) -> Option<&mut Table> {
        self.tables.values_mut().find(|table| table.name() == name)
    }
}

impl IndexSchema {
    /// The column that holds nothing but a column of the table: of the same name, or defined by it.
    pub fn column_of(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| match &column.define {
            None => column.name.eq_ignore_ascii_case(name),
            Some(_) => column.plain_source().is_some_and(|source| source.eq_ignore_ascii_case(name)),
        })
    }
}

impl OlapTable {
    pub fn base_index(&self) -> &IndexSchema {
        self.indexes.get(&self.base_index_id).expect("a table always has its base index")
    }

    /// The columns of the base index.
    pub fn columns(&self) -> &[Column] {
        &self.base_index().columns
    }

    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns().iter().find(|column| column.name.eq_ignore_ascii_case(name))
    }

    /// What Doris calls the kind of table.
    pub fn type_name(&self) -> &'static str {
        if self.async_view.is_some() { "MATERIALIZED_VIEW" } else { "OLAP" }
    }

    /// The storage policy that a partition follows: its own or the table's; empty without one.
    pub fn storage_policy<'a>(&'a self, partition: &'a Partition) -> &'a str {
        if partition.storage_policy.is_empty() {
            self.properties.get("storage_policy").map_or("", String::as_str)
        } else {
            &partition.storage_policy
        }
    }

    /// A formal or temporary partition by id.
    pub fn any_partition(&self, id: i64) -> Option<&Partition> {
        self.partitions.get(&id).or_else(|| self.temp_partitions.get(&id))
    }

    pub fn any_partition_mut(&mut self, id: i64) -> Option<&mut Partition> {
        self.partitions.get_mut(&id).or_else(|| self.temp_partitions.get_mut(&id))
    }

    /// A copy without any partition, for making partitions of the table while the state is borrowed.
    pub fn without_partitions(&self) -> OlapTable {
        OlapTable {
            id: self.id,
            name: self.name.clone(),
            keys_type: self.keys_type,
            has_key_clause: self.has_key_clause,
            cluster_by: self.cluster_by.clone(),
            base_index_id: self.base_index_id,
            indexes: self.indexes.clone(),
            secondary_indexes: self.secondary_indexes.clone(),
            partition_scheme: self.partition_scheme.clone(),
            partitions: BTreeMap::new(),
            temp_partitions: BTreeMap::new(),
            default_distribution: self.default_distribution.clone(),
            replication_num: self.replication_num,
            properties: self.properties.clone(),
            comment: self.comment.clone(),
            state: self.state,
            in_atomic_restore: self.in_atomic_restore,
            is_being_synced: self.is_being_synced,
            light_schema_change: self.light_schema_change,
            binlog: self.binlog.clone(),
            next_column_unique_id: self.next_column_unique_id,
            async_view: self.async_view.clone(),
            is_temporary: self.is_temporary,
            create_time: self.create_time,
        }
    }
}
