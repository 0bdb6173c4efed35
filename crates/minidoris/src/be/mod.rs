//! A backend: tablets, rowsets, binlog store and snapshots.

use std::sync::Arc;

use thiserror::Error;

use crate::data::TabletSchema;

#[derive(Debug)]
pub struct Backend {
    id: i64,
}

#[derive(Debug, Error)]
#[error("not supported")]
pub struct BackendError;

/// One snapshot to fetch from another cluster's backend.
#[derive(Debug, Clone)]
pub struct DownloadTask {
    pub local_tablet_id: i64,
    pub remote_tablet_id: i64,
    pub remote_host: String,
    pub remote_http_port: u16,
    pub remote_path: String,
    pub remote_schema_hash: i32,
    pub token: String,
}

impl Backend {
    pub fn new(id: i64) -> Self {
        Self { id }
    }

    pub fn id(&self) -> i64 {
        self.id
    }

    #[allow(clippy::too_many_arguments)]
    pub fn create_tablet(
        &self,
        tablet_id: i64,
        table_id: i64,
        partition_id: i64,
        index_id: i64,
        schema_hash: i32,
        schema: Arc<TabletSchema>,
        binlog: bool,
        visible_version: i64,
    ) {
        let _ = (tablet_id, table_id, partition_id, index_id, schema_hash, schema, binlog, visible_version);
    }

    pub fn drop_tablet(&self, tablet_id: i64) {
        let _ = tablet_id;
    }

    pub fn set_binlog(&self, tablet_id: i64, enabled: bool) {
        let _ = (tablet_id, enabled);
    }

    pub fn publish(
        &self,
        txn_id: i64,
        partition_id: i64,
        version: i64,
        tablets: &[i64],
    ) -> Result<(), BackendError> {
        let _ = (txn_id, partition_id, version, tablets);
        Ok(())
    }

    pub fn abort(&self, txn_id: i64) {
        let _ = txn_id;
    }

    pub fn make_snapshot(
        &self,
        tablet_id: i64,
        version: i64,
        expire_at_ms: i64,
    ) -> Result<String, BackendError> {
        let _ = (tablet_id, version, expire_at_ms);
        Err(BackendError)
    }

    pub fn release_snapshot(&self, path: &str) {
        let _ = path;
    }

    pub async fn download_snapshot(&self, task: DownloadTask) -> Result<(), BackendError> {
        let _ = task;
        Err(BackendError)
    }

    pub fn gc_binlog(&self, tablet_id: i64, up_to_version: i64) {
        let _ = (tablet_id, up_to_version);
    }
}
