//! The catalogue and the nodes.

use doris_thrift::{
    TBackend, TGetBackendMetaRequest, TGetMasterTokenRequest, TGetMetaDB, TGetMetaDBMeta, TGetMetaIndexMeta,
    TGetMetaPartitionMeta, TGetMetaReplicaMeta, TGetMetaRequest, TGetMetaTable, TGetMetaTableMeta,
    TGetMetaTabletMeta,
};
use doris_types::call::MetaFilter;
use doris_types::failure::{Cause, Failure, Result};
use doris_types::meta::{
    Backend, DatabaseMeta, Frontend, IndexMeta, PartitionMeta, ReplicaMeta, TableMeta, TabletMeta,
};

use super::binlog::ok;
use crate::cluster::DorisCluster;
use crate::convert::malformed;
use crate::round::Nature;

impl DorisCluster {
    /// `None` when the database does not exist.
    pub async fn meta(&self, database: &str, filter: MetaFilter) -> Result<Option<DatabaseMeta>> {
        let (only_table_names, tables) = match filter {
            MetaFilter::Names => (Some(true), None),
            MetaFilter::Tables(ids) => {
                let table = |id| TGetMetaTable { id: Some(id), ..Default::default() };
                (None, Some(ids.into_iter().map(table).collect()))
            }
            MetaFilter::Named(names) => {
                let table = |name| TGetMetaTable { name: Some(name), ..Default::default() };
                (None, Some(names.into_iter().map(table).collect()))
            }
        };
        let db = TGetMetaDB { name: Some(database.to_owned()), only_table_names, tables, id: None };
        let request = &TGetMetaRequest {
            user: self.user(),
            passwd: self.password(),
            db: Some(db),
            ..Default::default()
        };
        let timeout = self.clients.options.rpc_timeout;
        let (result, peer) = self
            .call("getMeta", Nature::Reads, timeout, |fe| async move { fe.get_meta(request).await })
            .await?;
        ok("getMeta", &peer, &result.status)?;
        let meta = result.db_meta.map(self::database);
        meta.map(|meta| meta.ok_or_else(|| malformed("getMeta", &peer, "an object has no id"))).transpose()
    }

    /// All backends, alive or not, under the addresses that reach them.
    pub async fn backends(&self) -> Result<Vec<Backend>> {
        let request =
            &TGetBackendMetaRequest { user: self.user(), passwd: self.password(), ..Default::default() };
        let timeout = self.clients.options.rpc_timeout;
        let (result, peer) =
            self.call("getBackendMeta", Nature::Reads, timeout, |fe| async move {
                fe.get_backend_meta(request).await
            })
            .await?;
        ok("getBackendMeta", &peer, &result.status)?;
        let backend = |backend: TBackend| {
            let Some(host) = self.directory.map_host(&backend.host) else {
                return Err(Failure::new(
                    "getBackendMeta",
                    &*peer,
                    Cause::UnmappedHost { host: backend.host },
                ));
            };
            let port = |port: i32| u16::try_from(port).ok();
            let backend = || {
                Some(Backend {
                    id: backend.id?,
                    host,
                    be_port: port(backend.be_port)?,
                    http_port: port(backend.http_port)?,
                    alive: backend.is_alive.unwrap_or(true),
                })
            };
            backend().ok_or_else(|| malformed("getBackendMeta", &peer, "a backend lacks an id or a port"))
        };
        result.backends.unwrap_or_default().into_iter().map(backend).collect()
    }

    /// The token that backends check on snapshot downloads. A secret.
    pub async fn token(&self) -> Result<String> {
        let request = &TGetMasterTokenRequest { user: self.user(), password: self.password(), cluster: None };
        let timeout = self.clients.options.rpc_timeout;
        let (result, peer) =
            self.call("getMasterToken", Nature::Reads, timeout, |fe| async move {
                fe.get_master_token(request).await
            })
            .await?;
        ok("getMasterToken", &peer, &result.status.unwrap_or_default())?;
        result.token.ok_or_else(|| malformed("getMasterToken", &peer, "the answer has no token"))
    }

    /// The frontends as the cluster lists them, under their own addresses.
    pub async fn frontends(&self) -> Result<Vec<Frontend>> {
        let frontends = self.read_frontends().await?;
        self.directory.learn(&frontends);
        Ok(frontends)
    }

    /// Proves that the account and the addresses work: lists the frontends.
    pub async fn check_reachable(&self) -> Result<Vec<Frontend>> {
        self.frontends().await
    }
}

fn collect<T, U>(items: Option<Vec<T>>, convert: impl Fn(T) -> Option<U>) -> Option<Vec<U>> {
    items.unwrap_or_default().into_iter().map(convert).collect()
}

fn database(meta: TGetMetaDBMeta) -> Option<DatabaseMeta> {
    Some(DatabaseMeta {
        id: meta.id?,
        name: meta.name.unwrap_or_default(),
        tables: collect(meta.tables, table)?,
        reports_drops: meta.dropped_table_map.is_some(),
        dropped_partitions: meta.dropped_partition_map.unwrap_or_default(),
        dropped_tables: meta.dropped_table_map.unwrap_or_default(),
        dropped_indexes: meta.dropped_index_map.unwrap_or_default(),
    })
}

fn table(meta: TGetMetaTableMeta) -> Option<TableMeta> {
    Some(TableMeta {
        id: meta.id?,
        name: meta.name.unwrap_or_default(),
        kind: meta.table_type.unwrap_or_default(),
        partitions: collect(meta.partitions, partition)?,
    })
}

fn partition(meta: TGetMetaPartitionMeta) -> Option<PartitionMeta> {
    Some(PartitionMeta {
        id: meta.id?,
        name: meta.name.unwrap_or_default(),
        range: meta.range.unwrap_or_default(),
        visible_version: meta.visible_version.unwrap_or_default(),
        indexes: collect(meta.indexes, index)?,
    })
}

fn index(meta: TGetMetaIndexMeta) -> Option<IndexMeta> {
    Some(IndexMeta {
        id: meta.id?,
        name: meta.name.unwrap_or_default(),
        tablets: collect(meta.tablets, tablet)?,
    })
}

fn tablet(meta: TGetMetaTabletMeta) -> Option<TabletMeta> {
    Some(TabletMeta { id: meta.id?, replicas: collect(meta.replicas, replica)? })
}

fn replica(meta: TGetMetaReplicaMeta) -> Option<ReplicaMeta> {
    Some(ReplicaMeta {
        id: meta.id?,
        backend_id: meta.backend_id?,
        version: meta.version.unwrap_or_default(),
    })
}
