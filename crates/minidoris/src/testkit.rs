//! Clusters and tables for unit tests, made without sockets and without SQL.

use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;

use crate::be::{Backend, BackendOptions};
use crate::catalog_ops;
use crate::cluster::{BackendNode, ClusterInner, DEFAULT_LOCATION, FrontendNode, FrontendRole};
use crate::data::{Row, Value};
use crate::model::{
    BinlogConfig, Column, DataType, Database, Distribution, DistributionKind, IndexSchema, IndexState,
    KeysType, OlapTable, PartitionItem, PartitionScheme, PartitionValue, Table, TableState, Tracked, View,
};
use crate::options::ClusterOptions;

/// A master frontend and `backends` backends that listen nowhere.
pub(crate) fn cluster(backends: usize) -> Arc<ClusterInner> {
    let inner = ClusterInner::new(ClusterOptions::replicating("unit"));
    inner.frontends.write().insert(0, frontend("fe1", 9020, true));
    for slot in 0..backends {
        let id = inner.fe.lock().ids.allocate();
        let host = "127.0.0.1".to_owned();
        let backend = Backend::new(BackendOptions { id, host: host.clone(), data_dir: None });
        inner.backends.write().insert(id, Arc::new(backend));
        let node = BackendNode {
            id,
            slot,
            host,
            heartbeat_port: 1,
            be_port: 2,
            http_port: 3,
            brpc_port: 4,
            alive: true,
            start_time: 0,
            decommissioned: false,
            location: DEFAULT_LOCATION.to_owned(),
            query_disabled: false,
            load_disabled: false,
            moved: false,
        };
        inner.backend_nodes.write().insert(id, node);
    }
    Arc::new(inner)
}

pub(crate) fn frontend(name: &str, rpc_port: u16, is_master: bool) -> FrontendNode {
    FrontendNode {
        name: name.to_owned(),
        role: FrontendRole::Follower,
        host: "127.0.0.1".to_owned(),
        edit_log_port: 1,
        http_port: 2,
        query_port: 3,
        rpc_port,
        is_master,
        alive: true,
        start_time: 0,
        moved: false,
        replay_delay: std::time::Duration::ZERO,
        loaded_journal_id: 0,
    }
}

pub(crate) fn create_db(cluster: &ClusterInner, name: &str, binlog: bool) -> i64 {
    let mut state = cluster.fe.lock();
    let id = state.ids.allocate();
    let properties = match binlog {
        true => IndexMap::from([("binlog.enable".to_owned(), "true".to_owned())]),
        false => IndexMap::new(),
    };
    let (name, tables) = (name.to_owned(), BTreeMap::new());
    state.databases.insert(id, Database { id, name, properties, transaction_quota: None, tables });
    id
}

/// What a test table looks like.
#[derive(Debug, Clone)]
pub(crate) struct Spec {
    pub name: &'static str,
    /// Upper bounds of RANGE partitions `p0`, `p1`, … on `k`; none: unpartitioned.
    pub bounds: Vec<i32>,
    pub buckets: u32,
    pub replicas: u16,
    pub binlog: bool,
}

impl Spec {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, bounds: Vec::new(), buckets: 1, replicas: 1, binlog: true }
    }

    pub(crate) fn bounds(self, bounds: &[i32]) -> Self {
        Self { bounds: bounds.to_vec(), ..self }
    }

    pub(crate) fn replicas(self, replicas: u16) -> Self {
        Self { replicas, ..self }
    }

    pub(crate) fn buckets(self, buckets: u32) -> Self {
        Self { buckets, ..self }
    }

    pub(crate) fn without_binlog(self) -> Self {
        Self { binlog: false, ..self }
    }
}

pub(crate) fn column(name: &str, is_key: bool, unique_id: i32) -> Column {
    Column {
        name: name.to_owned(),
        data_type: DataType::Int,
        is_key,
        nullable: true,
        aggregate: None,
        default: None,
        comment: String::new(),
        unique_id,
        visible: true,
        auto_increment: None,
        generated: None,
        on_update: None,
        define: None,
    }
}

/// A duplicate-key table `(k INT, v INT)`; tells its id. Writes no journal entry.
pub(crate) fn create_table(cluster: &ClusterInner, db_id: i64, spec: &Spec) -> i64 {
    let mut state = cluster.fe.lock();
    let id = state.ids.allocate();
    let index_id = state.ids.allocate();
    let distribution = Distribution {
        kind: DistributionKind::Hash(vec!["k".to_owned()]),
        buckets: spec.buckets,
        auto_bucket: false,
    };
    let index = IndexSchema {
        id: index_id,
        name: spec.name.to_owned(),
        columns: vec![column("k", true, 0), column("v", false, 1)],
        keys_type: KeysType::Duplicate,
        schema_hash: 7,
        schema_version: 0,
        state: IndexState::Normal,
        view: None,
    };
    let mut table = OlapTable {
        id,
        name: spec.name.to_owned(),
        keys_type: KeysType::Duplicate,
        has_key_clause: true,
        cluster_by: Vec::new(),
        base_index_id: index_id,
        indexes: IndexMap::from([(index_id, index)]),
        secondary_indexes: Vec::new(),
        partition_scheme: PartitionScheme::Unpartitioned,
        partitions: BTreeMap::new(),
        temp_partitions: BTreeMap::new(),
        default_distribution: distribution.clone(),
        replication_num: spec.replicas,
        properties: IndexMap::new(),
        comment: String::new(),
        state: TableState::Normal,
        in_atomic_restore: false,
        is_being_synced: false,
        light_schema_change: true,
        binlog: BinlogConfig { enable: spec.binlog, ..BinlogConfig::default() },
        next_column_unique_id: 2,
        async_view: None,
        is_temporary: false,
        create_time: 0,
    };
    let mut items = vec![(spec.name.to_owned(), PartitionItem::Unpartitioned)];
    if !spec.bounds.is_empty() {
        table.partition_scheme = PartitionScheme::Range { columns: vec!["k".to_owned()], auto_expr: None };
        let value = |bound: i32| vec![PartitionValue::Value(bound.to_string())];
        let lower =
            std::iter::once(vec![PartitionValue::MinValue]).chain(spec.bounds.iter().copied().map(value));
        items = lower
            .zip(&spec.bounds)
            .enumerate()
            .map(|(at, (lower, upper))| {
                (format!("p{at}"), PartitionItem::Range { lower, upper: value(*upper) })
            })
            .collect();
    }
    for (name, item) in items {
        let partition =
            catalog_ops::new_partition(cluster, &mut state, &table, db_id, &name, item, distribution.clone())
                .unwrap();
        table.partitions.insert(partition.id, partition);
    }
    let tables = &mut state.databases.get_mut(&db_id).unwrap().tables;
    tables.insert(id, Table::Olap(Tracked::new(table)));
    id
}

pub(crate) fn create_view(cluster: &ClusterInner, db_id: i64, name: &str, definition: &str) -> i64 {
    let mut state = cluster.fe.lock();
    let id = state.ids.allocate();
    let view = View {
        id,
        name: name.to_owned(),
        columns: vec![column("k", false, 0)],
        definition: definition.to_owned(),
        comment: String::new(),
    };
    state.databases.get_mut(&db_id).unwrap().tables.insert(id, Table::View(Box::new(view)));
    id
}

/// A copy of a table of the database.
pub(crate) fn table(cluster: &ClusterInner, db_id: i64, name: &str) -> OlapTable {
    let state = cluster.fe.lock();
    let found = state.databases[&db_id].table_named(name).and_then(Table::as_olap).cloned();
    found.unwrap_or_else(|| panic!("no table {name}"))
}

/// Changes a table in place.
pub(crate) fn alter<T>(
    cluster: &ClusterInner,
    db_id: i64,
    table_id: i64,
    change: impl FnOnce(&mut OlapTable) -> T,
) -> T {
    let mut state = cluster.fe.lock();
    change(state.databases.get_mut(&db_id).unwrap().tables.get_mut(&table_id).unwrap().as_olap_mut().unwrap())
}

/// Stages `(k, v)` rows on every replica of the named partition's tablets; all rows go to the first
/// bucket. Returns the (tablet, backend) pairs.
pub(crate) fn stage(
    cluster: &ClusterInner,
    txn_id: i64,
    table: &OlapTable,
    partition: &str,
    rows: &[(i128, i128)],
) -> Vec<(i64, i64)> {
    let partition = table
        .partitions
        .values()
        .chain(table.temp_partitions.values())
        .find(|known| known.name == partition)
        .unwrap();
    let mut written = Vec::new();
    for index in partition.indexes.values() {
        for (bucket, tablet) in index.tablets.iter().enumerate() {
            for replica in &tablet.replicas {
                let rows = match bucket {
                    0 => rows.iter().map(|(k, v)| Row::new(vec![Value::Int(*k), Value::Int(*v)])).collect(),
                    _ => Vec::new(),
                };
                let backend = cluster.backend(replica.backend_id).unwrap();
                backend.write(txn_id, partition.id, tablet.id, (-1, -1), rows).unwrap();
                written.push((tablet.id, replica.backend_id));
            }
        }
    }
    written
}

/// All rows of a table at its visible versions, sorted, from the first replica of each tablet.
pub(crate) fn read_rows(cluster: &ClusterInner, table: &OlapTable) -> Vec<(i128, i128)> {
    let mut rows = Vec::new();
    for partition in table.partitions.values() {
        for tablet in &partition.indexes[&table.base_index_id].tablets {
            let backend = cluster.backend(tablet.replicas[0].backend_id).unwrap();
            for row in backend.read(tablet.id, partition.visible_version).unwrap() {
                match row.values.as_slice() {
                    [Value::Int(k), Value::Int(v)] => rows.push((*k, *v)),
                    other => panic!("unexpected row {other:?}"),
                }
            }
        }
    }
    rows.sort_unstable();
    rows
}
