//! getMasterToken, getMeta, getBackendMeta, getTabletReplicaInfos.

use std::collections::BTreeMap;

use super::{TNetworkAddress, TStatus};

thrift_structs! {
    /// The password field is called `password` here, unlike everywhere else.
    TGetMasterTokenRequest {
        1 opt cluster: String,
        2 opt user: String,
        3 opt password: String,
    }

    TGetMasterTokenResult {
        1 opt status: TStatus,
        2 opt token: String,
        3 opt master_address: TNetworkAddress,
    }

    TGetMetaReplica {
        1 opt id: i64,
    }

    TGetMetaTablet {
        1 opt id: i64,
        2 opt replicas: Vec<TGetMetaReplica>,
    }

    TGetMetaIndex {
        1 opt id: i64,
        2 opt name: String,
        3 opt tablets: Vec<TGetMetaTablet>,
    }

    TGetMetaPartition {
        1 opt id: i64,
        2 opt name: String,
        3 opt key: String,
        4 opt range: String,
        5 opt is_temp: bool,
        6 opt indexes: Vec<TGetMetaIndex>,
    }

    TGetMetaTable {
        1 opt id: i64,
        2 opt name: String,
        3 opt in_trash: bool,
        4 opt partitions: Vec<TGetMetaPartition>,
    }

    TGetMetaDB {
        1 opt id: i64,
        2 opt name: String,
        3 opt only_table_names: bool,
        4 opt tables: Vec<TGetMetaTable>,
    }

    TGetMetaRequest {
        1 opt cluster: String,
        2 opt user: String,
        3 opt passwd: String,
        4 opt user_ip: String,
        5 opt token: String,
        6 opt db: TGetMetaDB,
    }

    TGetMetaReplicaMeta {
        1 opt id: i64,
        2 opt backend_id: i64,
        3 opt version: i64,
    }

    TGetMetaTabletMeta {
        1 opt id: i64,
        2 opt replicas: Vec<TGetMetaReplicaMeta>,
    }

    TGetMetaIndexMeta {
        1 opt id: i64,
        2 opt name: String,
        3 opt tablets: Vec<TGetMetaTabletMeta>,
    }

    TGetMetaPartitionMeta {
        1 opt id: i64,
        2 opt name: String,
        3 opt key: String,
        4 opt range: String,
        5 opt visible_version: i64,
        6 opt is_temp: bool,
        7 opt indexes: Vec<TGetMetaIndexMeta>,
    }

    TGetMetaTableMeta {
        1 opt id: i64,
        2 opt name: String,
        3 opt in_trash: bool,
        4 opt partitions: Vec<TGetMetaPartitionMeta>,
        /// `type` in the IDL: OLAP, MATERIALIZED_VIEW…
        5 opt table_type: String,
    }

    /// The lists are the older form of the maps (id to commit seq of the drop).
    TGetMetaDBMeta {
        1 opt id: i64,
        2 opt name: String,
        3 opt tables: Vec<TGetMetaTableMeta>,
        4 opt dropped_partitions: Vec<i64>,
        5 opt dropped_tables: Vec<i64>,
        6 opt dropped_indexes: Vec<i64>,
        7 opt dropped_partition_map: BTreeMap<i64, i64>,
        8 opt dropped_table_map: BTreeMap<i64, i64>,
        9 opt dropped_index_map: BTreeMap<i64, i64>,
    }

    /// Without `db_meta` and with status OK: the database does not exist.
    TGetMetaResult {
        1 req status: TStatus,
        2 opt db_meta: TGetMetaDBMeta,
        3 opt master_address: TNetworkAddress,
    }

    TBackend {
        1 req host: String,
        2 req be_port: i32,
        3 req http_port: i32,
        4 opt brpc_port: i32,
        5 opt is_alive: bool,
        6 opt id: i64,
    }

    TGetBackendMetaRequest {
        1 opt cluster: String,
        2 opt user: String,
        3 opt passwd: String,
        4 opt user_ip: String,
        5 opt token: String,
        6 opt backend_id: i64,
    }

    TGetBackendMetaResult {
        1 req status: TStatus,
        2 opt backends: Vec<TBackend>,
        3 opt master_address: TNetworkAddress,
    }

    TReplicaInfo {
        1 req host: String,
        2 req be_port: i32,
        3 req http_port: i32,
        4 req brpc_port: i32,
        5 req replica_id: i64,
        6 opt is_alive: bool,
        7 opt backend_id: i64,
    }

    TGetTabletReplicaInfosRequest {
        1 req tablet_ids: Vec<i64>,
        2 opt warm_up_job_id: i64,
    }

    TGetTabletReplicaInfosResult {
        1 opt status: TStatus,
        2 opt tablet_replica_infos: BTreeMap<i64, Vec<TReplicaInfo>>,
        3 opt token: String,
    }
}
