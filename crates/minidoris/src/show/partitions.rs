//! SHOW PARTITIONS and SHOW TABLETS, which the proc tree prints too.

use std::collections::BTreeMap;

use super::format::{cell, size, time};
use super::sorted_partitions;
use crate::cluster::ClusterInner;
use crate::model::{DistributionKind, MaterializedIndex, OlapTable, Partition};
use crate::session::ResultSet;
use crate::state::FeState;

pub const COLUMNS: [&str; 22] = [
    "PartitionId",
    "PartitionName",
    "VisibleVersion",
    "VisibleVersionTime",
    "State",
    "PartitionKey",
    "Range",
    "DistributionKey",
    "Buckets",
    "ReplicationNum",
    "StorageMedium",
    "CooldownTime",
    "RemoteStoragePolicy",
    "LastConsistencyCheckTime",
    "DataSize",
    "IsInMemory",
    "ReplicaAllocation",
    "IsMutable",
    "SyncWithBaseTables",
    "UnsyncTables",
    "CommittedVersion",
    "RowCount",
];

pub const TABLET_COLUMNS: [&str; 23] = [
    "TabletId",
    "ReplicaId",
    "BackendId",
    "SchemaHash",
    "Version",
    "LstSuccessVersion",
    "LstFailedVersion",
    "LstFailedTime",
    "LocalDataSize",
    "RemoteDataSize",
    "RowCount",
    "State",
    "LstConsistencyCheckTime",
    "CheckVersion",
    "VisibleVersionCount",
    "VersionCount",
    "QueryHits",
    "PathHash",
    "Path",
    "MetaUrl",
    "CompactionStatus",
    "CooldownReplicaId",
    "CooldownMetaId",
];

/// The partitions of a table, formal ones in the order of their ranges.
pub fn rows(cluster: &ClusterInner, state: &FeState, table: &OlapTable, temporary: bool) -> ResultSet {
    let mut result = ResultSet::new(&COLUMNS);
    let partitions: Vec<&Partition> =
        if temporary { table.temp_partitions.values().collect() } else { sorted_partitions(table) };
    result.rows = partitions.into_iter().map(|partition| row(cluster, state, table, partition)).collect();
    result
}

fn row(
    cluster: &ClusterInner,
    state: &FeState,
    table: &OlapTable,
    partition: &Partition,
) -> Vec<Option<String>> {
    let distribution = match &partition.distribution.kind {
        DistributionKind::Hash(columns) => columns.join(", "),
        DistributionKind::Random => "RANDOM".to_owned(),
    };
    let (bytes, row_count) = statistics(cluster, table, partition);
    let (is_in_sync, unsynced) = match &table.async_view {
        None => (true, None),
        Some(view) => (
            view.is_partition_in_sync(state, table, partition),
            cell(format!("[{}]", view.unsynced_tables(state, partition).join(", "))),
        ),
    };
    vec![
        cell(partition.id),
        cell(&partition.name),
        cell(partition.visible_version),
        time(partition.visible_version_time),
        cell("NORMAL"),
        cell(table.partition_scheme.column_names().join(", ")),
        cell(partition.item.identity(&table.partition_scheme, table.columns())),
        cell(distribution),
        cell(partition.distribution.buckets),
        cell(partition.replication_num),
        cell(&partition.storage_medium),
        cell("9999-12-31 23:59:59"),
        cell(table.storage_policy(partition)),
        None,
        cell(size(bytes)),
        cell(false),
        cell(format!("tag.location.default: {}", partition.replication_num)),
        cell(true),
        cell(is_in_sync),
        unsynced,
        cell(partition.next_version - 1),
        cell(row_count),
    ]
}

/// Bytes and rows of a partition's base index, from one replica of each tablet.
pub fn statistics(cluster: &ClusterInner, table: &OlapTable, partition: &Partition) -> (u64, u64) {
    let mut sums = (0, 0);
    let Some(index) = partition.indexes.get(&table.base_index_id) else { return sums };
    for tablet in &index.tablets {
        let backend = tablet.replicas.first().and_then(|replica| cluster.backend(replica.backend_id));
        if let Some(backend) = backend {
            sums.0 += backend.data_size(tablet.id);
            sums.1 += backend.row_count(tablet.id);
        }
    }
    sums
}

/// One row per replica, tablets in bucket order.
pub fn tablet_rows(
    cluster: &ClusterInner,
    table: &OlapTable,
    index: &MaterializedIndex,
) -> Vec<Vec<Option<String>>> {
    let schema_hash = table.indexes.get(&index.id).map_or(0, |schema| schema.schema_hash);
    let nodes = cluster.backend_nodes.read();
    let addresses: BTreeMap<i64, String> =
        nodes.values().map(|node| (node.id, format!("{}:{}", node.host, node.http_port))).collect();
    let mut rows = Vec::new();
    for tablet in &index.tablets {
        for replica in &tablet.replicas {
            let backend = cluster.backend(replica.backend_id);
            let bytes = backend.as_ref().map_or(0, |backend| backend.data_size(tablet.id));
            let row_count = backend.as_ref().map_or(0, |backend| backend.row_count(tablet.id));
            let address = addresses.get(&replica.backend_id).cloned().unwrap_or_default();
            rows.push(vec![
                cell(tablet.id),
                cell(replica.id),
                cell(replica.backend_id),
                cell(schema_hash),
                cell(replica.version),
                cell(replica.version),
                cell(replica.last_failed_version),
                None,
                cell(bytes),
                cell(0),
                cell(row_count),
                cell(replica.state.name()),
                None,
                cell(-1),
                cell(1),
                cell(1),
                cell(0),
                cell(0),
                cell(""),
                cell(format!("http://{address}/api/meta/header/{}", tablet.id)),
                cell(format!("http://{address}/api/compaction/show?tablet_id={}", tablet.id)),
                cell(-1),
                cell(""),
            ]);
        }
    }
    rows
}

/// SHOW TABLETS: the tablets of every partition and index, or of the index of that name.
pub fn tablets(cluster: &ClusterInner, table: &OlapTable, index: Option<&str>) -> ResultSet {
    let mut result = ResultSet::new(&TABLET_COLUMNS);
    for partition in sorted_partitions(table) {
        let name = |id: i64| table.indexes.get(&id).map(|schema| schema.name.as_str());
        let is_wanted = |id: i64| index.is_none_or(|wanted| name(id) == Some(wanted));
        for index in partition.indexes.values().filter(|index| is_wanted(index.id)) {
            result.rows.extend(tablet_rows(cluster, table, index));
        }
    }
    result
}

/// SHOW TABLET <id>: where it belongs.
pub fn tablet(state: &FeState, id: i64) -> ResultSet {
    let mut result = ResultSet::new(&[
        "DbName",
        "TableName",
        "PartitionName",
        "IndexName",
        "DbId",
        "TableId",
        "PartitionId",
        "IndexId",
        "IsSync",
        "Order",
        "QueryHits",
        "DetailCmd",
    ]);
    for db in state.databases.values() {
        for table in db.tables.values().filter_map(|table| table.as_olap()) {
            for partition in table.partitions.values().chain(table.temp_partitions.values()) {
                for index in partition.indexes.values() {
                    let Some(order) = index.tablets.iter().position(|tablet| tablet.id == id) else {
                        continue;
                    };
                    let name = table.indexes.get(&index.id).map_or("", |schema| schema.name.as_str());
                    let path =
                        format!("/dbs/{}/{}/partitions/{}/{}", db.id, table.id, partition.id, index.id);
                    result.rows.push(vec![
                        cell(&db.name),
                        cell(&table.name),
                        cell(&partition.name),
                        cell(name),
                        cell(db.id),
                        cell(table.id),
                        cell(partition.id),
                        cell(index.id),
                        cell(true),
                        cell(order),
                        cell(0),
                        cell(format!("SHOW PROC '{path}/{id}';")),
                    ]);
                }
            }
        }
    }
    result
}
