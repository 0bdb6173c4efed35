//! getMasterToken, getMeta, getBackendMeta, getTabletReplicaInfos.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use doris_thrift::{
    TBackend, TGetBackendMetaRequest, TGetBackendMetaResult, TGetMasterTokenRequest, TGetMasterTokenResult,
    TGetMetaDB, TGetMetaDBMeta, TGetMetaIndexMeta, TGetMetaPartitionMeta, TGetMetaReplicaMeta,
    TGetMetaRequest, TGetMetaResult, TGetMetaTable, TGetMetaTableMeta, TGetMetaTabletMeta,
    TGetTabletReplicaInfosRequest, TGetTabletReplicaInfosResult, TReplicaInfo, TStatus, TStatusCode,
};

use super::auth::{Caller, check_password, denied};
use super::{Refusal, is_set, required};
use crate::access::Wanted;
use crate::catalog_ops::olap_table;
use crate::cluster::ClusterInner;
use crate::model::{Database, MaterializedIndex, OlapTable, Partition, Replica, ReplicaState, Table};
use crate::state::FeState;

pub(super) fn master_token(
    cluster: &ClusterInner,
    peer: SocketAddr,
    req: &TGetMasterTokenRequest,
) -> Result<TGetMasterTokenResult, Refusal> {
    let user = required(req.user.as_deref(), "user")?;
    let password = required(req.password.as_deref(), "password")?;
    let ip = peer.ip().to_string();
    let caller = Caller { user, password, ip: Some(&ip) };
    let state = cluster.fe.lock();
    check_password(&state, caller).map_err(|_| Refusal::new(TStatusCode::NOT_AUTHORIZED, denied(caller)))?;
    Ok(TGetMasterTokenResult {
        status: Some(TStatus::ok()),
        token: Some(state.token.clone()),
        ..TGetMasterTokenResult::default()
    })
}

pub(super) fn get(
    cluster: &ClusterInner,
    fe: usize,
    peer: SocketAddr,
    req: &TGetMetaRequest,
) -> Result<TGetMetaResult, Refusal> {
    let user = required(req.user.as_deref(), "user")?;
    let password = required(req.passwd.as_deref(), "passwd")?;
    let wanted = required(req.db.as_ref(), "db")?;
    if is_set(req.token.as_ref()) {
        // With a token the database is never resolved and the call fails without a text.
        return Err(Refusal::internal(""));
    }
    let state = cluster.fe.lock();
    let loaded = cluster.frontends.read().get(&fe).map_or(0, |node| node.loaded_journal_id);
    let ip = peer.ip().to_string();
    let right = check_password(&state, Caller { user, password, ip: Some(&ip) })?;
    let db = match (wanted.id, wanted.name.as_deref()) {
        (Some(id), _) => state.databases.get(&id),
        (None, Some(name)) => state.database_named(name),
        (None, None) => return Err(Refusal::user("db id or name is not set")),
    };
    if let Some(db) = db {
        match &wanted.tables {
            None => right.on_database(&state, &db.name, Wanted::SELECT)?,
            Some(tables) => {
                for table in tables.iter().filter_map(|table| find_table(db, table)) {
                    right.on_table(&state, &db.name, Some(&table.name), Wanted::SELECT)?;
                }
            }
        }
    }
    Ok(TGetMetaResult {
        status: TStatus::ok(),
        db_meta: db.map(|db| database_meta(&state, db, wanted, loaded)),
        master_address: None,
    })
}

/// `loaded` is the journal id up to which the frontend knows the past from its image.
fn database_meta(state: &FeState, db: &Database, wanted: &TGetMetaDB, loaded: i64) -> TGetMetaDBMeta {
    let only_names = wanted.only_table_names == Some(true);
    let tables = match &wanted.tables {
        None => db.tables.values().filter_map(Table::as_olap).collect::<Vec<_>>(),
        Some(wanted) => wanted.iter().filter_map(|table| find_table(db, table)).collect(),
    };
    let table_meta = |table: &OlapTable| {
        if only_names {
            return TGetMetaTableMeta {
                id: Some(table.id),
                name: Some(table.name.clone()),
                ..TGetMetaTableMeta::default()
            };
        }
        full_table_meta(table)
    };
    let mut meta = TGetMetaDBMeta {
        id: Some(db.id),
        name: Some(db.name.clone()),
        tables: Some(tables.into_iter().map(table_meta).collect()),
        ..TGetMetaDBMeta::default()
    };
    if state.config_flag("enable_feature_binlog") {
        let dropped = state.binlogs.database(db.id).map(|db| db.dropped().clone()).unwrap_or_default();
        let dropped = dropped.loaded_at(loaded);
        let ids = |map: &BTreeMap<i64, i64>| Some(map.keys().copied().collect());
        meta.dropped_partitions = ids(&dropped.partitions);
        meta.dropped_tables = ids(&dropped.tables);
        meta.dropped_indexes = ids(&dropped.indexes);
        if !state.release.is_old() {
            meta.dropped_partition_map = Some(dropped.partitions);
            meta.dropped_table_map = Some(dropped.tables);
            meta.dropped_index_map = Some(dropped.indexes);
        }
    }
    meta
}

/// Views are passed over like tables that do not exist.
fn find_table<'a>(db: &'a Database, wanted: &TGetMetaTable) -> Option<&'a OlapTable> {
    match (wanted.id, wanted.name.as_deref()) {
        (Some(id), _) => db.tables.get(&id)?.as_olap(),
        (None, Some(name)) => db.table_named(name)?.as_olap(),
        (None, None) => None,
    }
}

fn full_table_meta(table: &OlapTable) -> TGetMetaTableMeta {
    // Temporary partitions are listed and not marked.
    let partitions = table.partitions.values().chain(table.temp_partitions.values());
    TGetMetaTableMeta {
        id: Some(table.id),
        name: Some(table.name.clone()),
        in_trash: None,
        partitions: Some(partitions.map(|partition| partition_meta(table, partition)).collect()),
        table_type: Some(table.type_name().to_owned()),
    }
}

fn partition_meta(table: &OlapTable, partition: &Partition) -> TGetMetaPartitionMeta {
    TGetMetaPartitionMeta {
        id: Some(partition.id),
        name: Some(partition.name.clone()),
        range: Some(crate::txn::partition_identity(table, partition)),
        visible_version: Some(partition.visible_version),
        indexes: Some(partition.indexes.values().map(|index| index_meta(table, index)).collect()),
        ..TGetMetaPartitionMeta::default()
    }
}

fn index_meta(table: &OlapTable, index: &MaterializedIndex) -> TGetMetaIndexMeta {
    let tablets = index.tablets.iter().map(|tablet| TGetMetaTabletMeta {
        id: Some(tablet.id),
        replicas: Some(
            tablet
                .replicas
                .iter()
                .map(|replica| TGetMetaReplicaMeta {
                    id: Some(replica.id),
                    backend_id: Some(replica.backend_id),
                    version: Some(replica.version),
                })
                .collect(),
        ),
    });
    TGetMetaIndexMeta {
        id: Some(index.id),
        name: table.indexes.get(&index.id).map(|schema| schema.name.clone()),
        tablets: Some(tablets.collect()),
    }
}

pub(super) fn backends(
    cluster: &ClusterInner,
    peer: SocketAddr,
    req: &TGetBackendMetaRequest,
) -> Result<TGetBackendMetaResult, Refusal> {
    let user = required(req.user.as_deref(), "user")?;
    let password = required(req.passwd.as_deref(), "passwd")?;
    let ip = peer.ip().to_string();
    check_password(&cluster.fe.lock(), Caller { user, password, ip: Some(&ip) })?;
    // The id in the request is not looked at.
    let backend = |node: &crate::cluster::BackendNode| TBackend {
        host: node.host.clone(),
        be_port: i32::from(node.be_port),
        http_port: i32::from(node.http_port),
        brpc_port: Some(i32::from(node.brpc_port)),
        is_alive: Some(node.alive),
        id: Some(node.id),
    };
    let backends = cluster.backend_nodes.read().values().map(backend).collect();
    Ok(TGetBackendMetaResult { status: TStatus::ok(), backends: Some(backends), master_address: None })
}

/// Nobody is asked for a password here.
pub(super) fn replicas(
    cluster: &ClusterInner,
    req: &TGetTabletReplicaInfosRequest,
) -> TGetTabletReplicaInfosResult {
    let state = cluster.fe.lock();
    let nodes = cluster.backend_nodes.read();
    let mut infos = BTreeMap::new();
    for tablet_id in &req.tablet_ids {
        let mut of_tablet = Vec::new();
        let is_normal = |replica: &&Replica| replica.state == ReplicaState::Normal;
        for replica in tablet_replicas(&state, *tablet_id).iter().filter(is_normal) {
            let Some(node) = nodes.get(&replica.backend_id) else { continue };
            of_tablet.push(TReplicaInfo {
                host: node.host.clone(),
                be_port: i32::from(node.be_port),
                http_port: i32::from(node.http_port),
                brpc_port: i32::from(node.brpc_port),
                replica_id: replica.id,
                is_alive: None,
                backend_id: None,
            });
        }
        infos.insert(*tablet_id, of_tablet);
    }
    TGetTabletReplicaInfosResult {
        status: Some(TStatus::ok()),
        tablet_replica_infos: Some(infos),
        token: Some(state.token.clone()),
    }
}

fn tablet_replicas(state: &FeState, tablet_id: i64) -> &[Replica] {
    let find = || {
        let place = state.txns.tablets.get(tablet_id)?;
        let partition = olap_table(state, place.db_id, place.table_id)?.any_partition(place.partition_id)?;
        let index = partition.indexes.get(&place.index_id)?;
        index.tablets.iter().find(|tablet| tablet.id == tablet_id)
    };
    find().map(|tablet| tablet.replicas.as_slice()).unwrap_or_default()
}
