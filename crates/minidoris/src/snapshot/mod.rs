//! Backup and restore jobs of local snapshots.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use crate::cluster::ClusterInner;
use crate::error::SqlResult;
use crate::session::ResultSet;
use crate::sql::Backup;
use crate::state::FeState;

/// The jobs of all databases.
#[derive(Debug, Default)]
pub struct SnapshotJobs {
    /// Existing partitions that a restore overwrites.
    restoring: HashSet<i64>,
    databases: BTreeMap<i64, ()>,
}

/// Which rows SHOW BACKUP and SHOW RESTORE print, on the label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LabelFilter {
    All,
    Equals(String),
    /// With `%` and `_`.
    Like(String),
}

impl SnapshotJobs {
    /// Whether a running restore overwrites the existing partition.
    pub fn is_restoring(&self, partition_id: i64) -> bool {
        self.restoring.contains(&partition_id)
    }
}

/// Accepts a BACKUP statement; the job then advances with [`tick`].
pub fn submit_backup(cluster: &ClusterInner, db: &str, backup: &Backup) -> SqlResult<()> {
    let _ = (cluster, db, backup);
    Ok(())
}

pub fn cancel_backup(cluster: &ClusterInner, db: &str) -> SqlResult<()> {
    let _ = (cluster, db);
    Ok(())
}

pub fn cancel_restore(cluster: &ClusterInner, db: &str) -> SqlResult<()> {
    let _ = (cluster, db);
    Ok(())
}

/// SHOW BACKUP.
pub fn show_backup(state: &FeState, db: &str, filter: &LabelFilter) -> SqlResult<ResultSet> {
    let _ = (state, db, filter);
    Ok(ResultSet::default())
}

/// SHOW RESTORE, or SHOW BRIEF RESTORE.
pub fn show_restore(state: &FeState, db: &str, filter: &LabelFilter, brief: bool) -> SqlResult<ResultSet> {
    let _ = (state, db, filter, brief);
    Ok(ResultSet::default())
}

/// Advances every job by one step. Called by the cluster's daemon within the runtime.
pub fn tick(cluster: &Arc<ClusterInner>) {
    let _ = cluster;
}
