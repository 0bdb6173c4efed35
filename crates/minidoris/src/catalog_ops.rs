//! Partitions and tablets made by DDL and by restore, and the index from tablet to place that commits use.

use std::sync::Arc;

use indexmap::IndexMap;

use crate::cluster::ClusterInner;
use crate::data::TabletSchema;
use crate::error::{SqlError, SqlResult};
use crate::model::{
    Distribution, IndexSchema, MaterializedIndex, OlapTable, Partition, PartitionItem, Replica, ReplicaState,
    Table, Tablet,
};
use crate::state::FeState;
use crate::txn::TabletPlace;

/// A new, empty partition at version 1 with tablets for every index of the table, shadow ones included,
/// created on the backends round robin. The caller puts it into the table.
pub fn new_partition(
    cluster: &ClusterInner,
    state: &mut FeState,
    table: &OlapTable,
    db_id: i64,
    name: &str,
    item: PartitionItem,
    distribution: Distribution,
) -> SqlResult<Partition> {
    let id = state.ids.allocate();
    let mut partition = Partition {
        id,
        name: name.to_owned(),
        item,
        distribution,
        visible_version: 1,
        visible_version_time: cluster.clock.now_ms(),
        next_version: 2,
        replication_num: table.replication_num,
        storage_medium: table
            .properties
            .get("storage_medium")
            .map_or_else(|| "HDD".to_owned(), |medium| medium.to_uppercase()),
        storage_policy: String::new(),
        indexes: IndexMap::new(),
    };
    for index in table.indexes.values() {
        let materialized = new_tablets(cluster, state, table, db_id, &partition, index)?;
        partition.indexes.insert(index.id, materialized);
    }
    Ok(partition)
}

/// The tablets of one index of a partition, for a new partition or a new index; at the partition's
/// visible version and empty.
pub fn new_tablets(
    cluster: &ClusterInner,
    state: &mut FeState,
    table: &OlapTable,
    db_id: i64,
    partition: &Partition,
    index: &IndexSchema,
) -> SqlResult<MaterializedIndex> {
    let alive = cluster.backends_for_tablets();
    let replicas = usize::from(partition.replication_num.max(1));
    if alive.len() < replicas {
        return Err(SqlError::general(format!(
            "replication num should be less than the number of available backends. replication num is \
             {replicas}, available backend num is {}",
            alive.len()
        )));
    }
    let schema = tablet_schema(table, index);
    let mut tablets = Vec::with_capacity(partition.distribution.buckets as usize);
    for bucket in 0..partition.distribution.buckets as usize {
        let tablet_id = state.ids.allocate();
        let mut tablet = Tablet { id: tablet_id, replicas: Vec::with_capacity(replicas) };
        for copy in 0..replicas {
            let backend_id = alive[(bucket + copy) % alive.len()];
            tablet.replicas.push(Replica {
                id: state.ids.allocate(),
                backend_id,
                version: partition.visible_version,
                last_failed_version: -1,
                state: ReplicaState::Normal,
            });
            if let Some(backend) = cluster.backend(backend_id) {
                backend.create_tablet(
                    tablet_id,
                    table.id,
                    partition.id,
                    index.id,
                    index.schema_hash,
                    Arc::clone(&schema),
                    table.binlog.enable,
                    partition.visible_version,
                );
            }
        }
        let place = TabletPlace { db_id, table_id: table.id, partition_id: partition.id, index_id: index.id };
        state.txns.tablets.insert(tablet_id, place);
        tablets.push(tablet);
    }
    Ok(MaterializedIndex { id: index.id, tablets })
}

/// Deletes the tablets of a partition from the backends and forgets their places; for what leaves the
/// recycle bin or never enters it. Needs no state because the backends hold the data; see
/// [`forget_partition`] for the places.
pub fn drop_partition_tablets(cluster: &ClusterInner, partition: &Partition) {
    for tablet in partition.tablets() {
        drop_tablet(cluster, tablet);
    }
}

/// [`drop_partition_tablets`] for all partitions of a table, temporary ones included.
pub fn drop_table_tablets(cluster: &ClusterInner, table: &OlapTable) {
    for partition in table.partitions.values().chain(table.temp_partitions.values()) {
        drop_partition_tablets(cluster, partition);
    }
}

/// Deletes one index's tablets, as the end of a schema change does.
pub fn drop_index_tablets(cluster: &ClusterInner, index: &MaterializedIndex) {
    for tablet in &index.tablets {
        drop_tablet(cluster, tablet);
    }
}

fn drop_tablet(cluster: &ClusterInner, tablet: &Tablet) {
    for replica in &tablet.replicas {
        if let Some(backend) = cluster.backend(replica.backend_id) {
            backend.drop_tablet(tablet.id);
        }
    }
}

/// Forgets where the tablets of a partition belong: commits pass over them from now on.
pub fn forget_partition(state: &mut FeState, partition: &Partition) {
    for tablet in partition.tablets() {
        state.txns.tablets.remove(tablet.id);
    }
}

/// Notes where the tablets of a partition belong: after RECOVER, or when a partition changes its table.
pub fn register_partition(state: &mut FeState, db_id: i64, table_id: i64, partition: &Partition) {
    for index in partition.indexes.values() {
        for tablet in &index.tablets {
            let place = TabletPlace { db_id, table_id, partition_id: partition.id, index_id: index.id };
            state.txns.tablets.insert(tablet.id, place);
        }
    }
}

/// Turns the binlogs of a table's tablets on or off on the backends, after the table's setting changed.
pub fn apply_binlog_setting(cluster: &ClusterInner, table: &OlapTable) {
    for partition in table.partitions.values().chain(table.temp_partitions.values()) {
        for tablet in partition.tablets() {
            for replica in &tablet.replicas {
                if let Some(backend) = cluster.backend(replica.backend_id) {
                    backend.set_binlog(tablet.id, table.binlog.enable);
                }
            }
        }
    }
}

/// The schema that the tablets of an index are created with.
pub fn tablet_schema(table: &OlapTable, index: &IndexSchema) -> Arc<TabletSchema> {
    Arc::new(TabletSchema::of(table, index))
}

/// A table of a database by id, as OLAP.
pub fn olap_table(state: &FeState, db_id: i64, table_id: i64) -> Option<&OlapTable> {
    state.databases.get(&db_id)?.tables.get(&table_id).and_then(Table::as_olap)
}
