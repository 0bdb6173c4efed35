//! A backend: tablets, local transactions, the binlog store and snapshot directories.
//!
//! Rowset bytes live in memory and are shared by the live tablet, the binlog store and the transaction
//! map; only snapshots are files, since other clusters fetch them by path. A backend knows nothing of the
//! catalogue: the frontends create, write and publish through the methods here, other backends fetch over
//! HTTP ([`crate::http`]).

mod config;
mod download;
mod error;
mod ingest;
pub(crate) mod save;
mod snapshot;
mod tablet;
mod txn;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::RwLock;

use crate::data::{DeletePredicate, Row, Rowset, RowsetMeta};

pub use crate::data::TabletSchema;
pub use config::{BackendConfig, ConfigItem};
pub(crate) use download::md5_hex;
pub use error::BackendError;
pub use ingest::IngestTask;
pub use snapshot::DownloadTask;
pub use tablet::{MergedRows, Tablet, TabletIds};
pub use txn::{Committed, LoadId, TxnKey, TxnMap, TxnState};

/// How a backend is set up.
#[derive(Debug, Clone)]
pub struct BackendOptions {
    pub id: i64,
    /// The address in error texts.
    pub host: String,
    /// Where snapshot directories go; `None`: a directory of its own under the system's temporary one,
    /// removed with the backend.
    pub data_dir: Option<PathBuf>,
}

/// The data of one backend. Methods take short locks and are quick, except where they are async.
#[derive(Debug)]
pub struct Backend {
    id: i64,
    host: String,
    data_dir: PathBuf,
    owns_data_dir: bool,
    pub config: BackendConfig,
    tablets: RwLock<HashMap<i64, Arc<Tablet>>>,
    txns: TxnMap,
    http: reqwest::Client,
    rowset_ids: AtomicU64,
    snapshots: snapshot::Snapshots,
    ingest_pool: ingest::Pool,
    /// By which the backends of its cluster know it over HTTP.
    auth_token: RwLock<String>,
}

impl Backend {
    pub fn new(options: BackendOptions) -> Self {
        let owns_data_dir = options.data_dir.is_none();
        let data_dir = options.data_dir.unwrap_or_else(|| snapshot::own_directory(options.id));
        Self {
            id: options.id,
            host: options.host,
            data_dir,
            owns_data_dir,
            config: BackendConfig::default(),
            tablets: RwLock::default(),
            txns: TxnMap::default(),
            http: download::client(),
            rowset_ids: AtomicU64::new(1),
            snapshots: snapshot::Snapshots::default(),
            ingest_pool: ingest::Pool::default(),
            auth_token: RwLock::default(),
        }
    }

    pub fn id(&self) -> i64 {
        self.id
    }

    pub fn host(&self) -> &str {
        &self.host
    }

    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Takes the token of its cluster.
    pub fn join(&self, token: &str) {
        token.clone_into(&mut self.auth_token.write());
    }

    pub fn txns(&self) -> &TxnMap {
        &self.txns
    }

    /// Creates an empty tablet whose rows start after `visible_version`. An existing one stays.
    #[expect(clippy::too_many_arguments, reason = "the ids are what a create task carries")]
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
        let ids = TabletIds { tablet_id, table_id, partition_id, index_id, schema_hash };
        self.tablets
            .write()
            .entry(tablet_id)
            .or_insert_with(|| Arc::new(Tablet::new(ids, schema, binlog, visible_version)));
    }

    pub fn drop_tablet(&self, tablet_id: i64) {
        self.tablets.write().remove(&tablet_id);
    }

    pub fn tablet(&self, tablet_id: i64) -> Result<Arc<Tablet>, BackendError> {
        self.tablets.read().get(&tablet_id).cloned().ok_or(BackendError::TabletMissing(tablet_id))
    }

    pub fn has_tablet(&self, tablet_id: i64) -> bool {
        self.tablets.read().contains_key(&tablet_id)
    }

    /// Switches the binlog of a tablet; versions already published are not affected.
    pub fn set_binlog(&self, tablet_id: i64, enabled: bool) {
        if let Ok(tablet) = self.tablet(tablet_id) {
            tablet.set_binlog(enabled);
        }
    }

    pub fn alter_schema(&self, tablet_id: i64, schema: Arc<TabletSchema>) {
        if let Ok(tablet) = self.tablet(tablet_id) {
            tablet.set_schema(schema);
        }
    }

    /// [`Tablet::rebuild_indexes`] of a tablet, if it is here.
    pub fn rebuild_indexes(&self, tablet_id: i64, added: &[i64], dropped: &[i64]) {
        if let Ok(tablet) = self.tablet(tablet_id) {
            tablet.rebuild_indexes(added, dropped, || self.new_rowset_id());
        }
    }

    /// Stages rows of the tablet's schema for a transaction; no rows make an empty rowset.
    pub fn write(
        &self,
        txn_id: i64,
        partition_id: i64,
        tablet_id: i64,
        load_id: LoadId,
        rows: Vec<Row>,
    ) -> Result<(), BackendError> {
        let tablet = self.tablet(tablet_id)?;
        let meta = self.new_meta(&tablet, txn_id, partition_id);
        let rowset = Rowset::of_rows(&tablet.schema(), &rows, meta);
        self.txns.store((txn_id, partition_id, tablet_id), load_id, Arc::new(rowset));
        Ok(())
    }

    /// Stages encoded segments, which replicas of a tablet may share.
    pub fn write_segments(
        &self,
        txn_id: i64,
        partition_id: i64,
        tablet_id: i64,
        load_id: LoadId,
        segments: Vec<Bytes>,
        num_rows: u64,
    ) -> Result<(), BackendError> {
        let tablet = self.tablet(tablet_id)?;
        let meta = self.new_meta(&tablet, txn_id, partition_id);
        let rowset = Rowset::of_segments(&tablet.schema(), segments, num_rows, meta);
        self.txns.store((txn_id, partition_id, tablet_id), load_id, Arc::new(rowset));
        Ok(())
    }

    /// Stages the predicate of a DELETE.
    pub fn write_delete(
        &self,
        txn_id: i64,
        partition_id: i64,
        tablet_id: i64,
        load_id: LoadId,
        predicate: DeletePredicate,
    ) -> Result<(), BackendError> {
        let tablet = self.tablet(tablet_id)?;
        let mut meta = self.new_meta(&tablet, txn_id, partition_id);
        meta.delete_predicate = Some(predicate);
        let rowset = Arc::new(Rowset { meta, ..Rowset::default() });
        self.txns.store((txn_id, partition_id, tablet_id), load_id, rowset);
        Ok(())
    }

    /// Makes the staged rowsets of a transaction visible as `version`. Tablets that hold the version of
    /// this transaction already count as done; all others are tried before a missing one is reported.
    pub fn publish(
        &self,
        txn_id: i64,
        partition_id: i64,
        version: i64,
        tablets: &[i64],
    ) -> Result<(), BackendError> {
        let mut missing = Vec::new();
        for tablet_id in tablets {
            let Ok(tablet) = self.tablet(*tablet_id) else {
                missing.push(*tablet_id);
                continue;
            };
            match self.txns.take_committed((txn_id, partition_id, *tablet_id)) {
                Some(rowset) => tablet.publish(version, &rowset),
                None if tablet.holds(version, txn_id) => {}
                None => missing.push(*tablet_id),
            }
        }
        if missing.is_empty() { Ok(()) } else { Err(BackendError::NoRowset { txn_id, tablets: missing }) }
    }

    /// Forgets what a transaction staged.
    pub fn abort(&self, txn_id: i64) {
        self.txns.remove(txn_id);
    }

    /// What a restart of the process loses: local transactions without committed data.
    pub fn restart(&self) {
        self.txns.drop_prepared();
    }

    /// Rows at a version, merged by the key model.
    pub fn read(&self, tablet_id: i64, version: i64) -> Result<Vec<Row>, BackendError> {
        Ok(self.scan(tablet_id, version)?.iter().cloned().map(Row::new).collect())
    }

    /// As [`Self::read`], shared with other readers of the version.
    pub fn scan(&self, tablet_id: i64, version: i64) -> Result<MergedRows, BackendError> {
        self.tablet(tablet_id)?.read(version)
    }

    /// Forgets binlogs up to a version, inclusive.
    pub fn gc_binlog(&self, tablet_id: i64, up_to_version: i64) {
        if let Ok(tablet) = self.tablet(tablet_id) {
            tablet.gc_binlog(up_to_version);
        }
    }

    /// Rows of a tablet before merging.
    pub fn row_count(&self, tablet_id: i64) -> u64 {
        self.tablet(tablet_id).map_or(0, |tablet| tablet.size().0)
    }

    /// Bytes of a tablet.
    pub fn data_size(&self, tablet_id: i64) -> u64 {
        self.tablet(tablet_id).map_or(0, |tablet| tablet.size().1)
    }

    fn new_meta(&self, tablet: &Tablet, txn_id: i64, partition_id: i64) -> RowsetMeta {
        RowsetMeta {
            rowset_id: self.new_rowset_id(),
            tablet_id: tablet.id,
            partition_id,
            schema_hash: tablet.schema_hash,
            txn_id,
            ..RowsetMeta::default()
        }
    }

    /// 48 hex digits, unique over all backends that share no id.
    fn new_rowset_id(&self) -> String {
        let number = self.rowset_ids.fetch_add(1, Ordering::Relaxed);
        format!("02{:014x}{:016x}{:016x}", number, self.id, self.instance())
    }

    /// Differs between backends of one id in different clusters of the process.
    fn instance(&self) -> u64 {
        std::ptr::from_ref(self) as u64
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        if self.owns_data_dir {
            // A directory that was never made or is gone already is what we want.
            let _ = std::fs::remove_dir_all(&self.data_dir);
        }
    }
}
