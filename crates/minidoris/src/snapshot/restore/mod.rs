//! The restore job: build tables as the snapshot describes them, fetch their files, show the result.
//!
//! `PENDING` checks everything and creates what is missing; `DOWNLOAD` starts the transfers and
//! `DOWNLOADING` waits for them; `COMMIT` swaps, adopts versions and drops what is to be cleaned. The
//! states between have nothing to do here but are passed, since clients watch them.

mod finish;
mod from_repository;
mod prepare;
mod signature;
mod submit;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use from_repository::restore_from_repository;
pub use submit::{RestoreRequest, TableReference, submit_restore};

use super::download::{DownloadPlan, Downloads, Source};
use super::job::JobStatus;
use super::job_info::JobInfo;
use super::meta::SnapshotMeta;
use super::properties::RestoreProperties;
use super::repository::{StoredPlace, storage};
use crate::cluster::ClusterInner;
use crate::fault::debug_points::{PAUSE_OTHER_RESTORE, PAUSE_PENDING_RESTORE};
use crate::state::FeState;

/// The name that a table is built under until it takes another's place.
pub(super) const ATOMIC_PREFIX: &str = "__doris_atomic_restore_prefix__";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum RestoreState {
    Pending,
    Creating,
    Snapshoting,
    Download,
    Downloading,
    Commit,
    Committing,
    Finished,
    Cancelled,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct RestoreJob {
    pub id: i64,
    pub db_id: i64,
    pub db_name: String,
    pub label: String,
    pub state: RestoreState,
    pub status: JobStatus,
    pub properties: RestoreProperties,
    /// Reduced to the tables that are wanted.
    pub job_info: JobInfo,
    /// `None`: the files are on the backends of the other cluster.
    #[serde(default)]
    pub repository: Option<StoredPlace>,
    meta: SnapshotMeta,
    /// Milliseconds since the epoch; 0 while not reached.
    pub create_time: i64,
    pub meta_prepared_time: i64,
    pub snapshot_finished_time: i64,
    pub download_finished_time: i64,
    pub finished_time: i64,
    /// The local tablet whose transfer failed, and why.
    #[serde(default)]
    pub task_error: Option<(i64, String)>,
    /// What PENDING decided.
    plan: RestorePlan,
    #[serde(skip)]
    pub downloads: Option<Arc<Downloads>>,
}

/// What a restore does to the catalogue.
#[derive(Debug, Default, Serialize, Deserialize)]
struct RestorePlan {
    tables: Vec<TablePlan>,
    views: Vec<ViewPlan>,
    downloads: Vec<DownloadPlan>,
}

#[derive(Debug, Serialize, Deserialize)]
struct TablePlan {
    table_id: i64,
    /// The name it has in the end.
    name: String,
    target: Target,
    /// Restored partition to the snapshot's version, (id, version).
    versions: BTreeMap<i64, i64>,
    /// Partitions added to an existing table.
    added_partitions: Vec<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Target {
    /// A new table under its own name.
    New,
    /// A new table that takes the place of one with the given id, if there is one.
    Swap { replaced: Option<i64> },
    /// Partitions of an existing table.
    InPlace,
}

#[derive(Debug, Serialize, Deserialize)]
struct ViewPlan {
    view: crate::model::View,
    /// Leaves an equal local view as it is.
    keeps_local: bool,
}

impl RestoreState {
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Creating => "CREATING",
            Self::Snapshoting => "SNAPSHOTING",
            Self::Download => "DOWNLOAD",
            Self::Downloading => "DOWNLOADING",
            Self::Commit => "COMMIT",
            Self::Committing => "COMMITTING",
            Self::Finished => "FINISHED",
            Self::Cancelled => "CANCELLED",
        }
    }
}

impl RestoreJob {
    pub fn is_done(&self) -> bool {
        matches!(self.state, RestoreState::Finished | RestoreState::Cancelled)
    }

    /// The local name of a snapshot's table or view.
    fn local_name<'a>(&'a self, name: &'a str) -> &'a str {
        self.job_info.tblalias.get(name).map_or(name, String::as_str)
    }
}

/// Advances one job by one state.
pub(super) fn step(cluster: &Arc<ClusterInner>, db_id: i64, job_id: i64, now_ms: i64) {
    let mut fe = cluster.fe.lock();
    let Some((at, mut job)) = fe.snapshots.take_restore(db_id, job_id) else { return };
    let point = match job.state {
        RestoreState::Pending => PAUSE_PENDING_RESTORE,
        _started => PAUSE_OTHER_RESTORE,
    };
    if !job.is_done() && !cluster.is_paused(point, &job.label) {
        let outcome = if job.create_time.saturating_add(job.properties.timeout_ms) <= now_ms {
            Err(JobStatus::timeout(format!("restore job with label: {}  timeout.", job.label)))
        } else {
            advance(cluster, &mut fe, &mut job, now_ms).map_err(JobStatus::common)
        };
        if let Err(status) = outcome {
            finish::undo(cluster, &mut fe, &mut job, status, now_ms);
        }
    }
    fe.snapshots.put_restore(db_id, at, job);
}

fn advance(
    cluster: &Arc<ClusterInner>,
    fe: &mut FeState,
    job: &mut RestoreJob,
    now_ms: i64,
) -> Result<(), String> {
    if !fe.databases.contains_key(&job.db_id) {
        return Err(format!("database {} has been dropped", job.db_id));
    }
    job.state = match job.state {
        RestoreState::Pending => {
            prepare::prepare(cluster, fe, job, now_ms)?;
            job.meta_prepared_time = now_ms;
            RestoreState::Creating
        }
        RestoreState::Creating => RestoreState::Snapshoting,
        RestoreState::Snapshoting => {
            job.snapshot_finished_time = now_ms;
            RestoreState::Download
        }
        RestoreState::Download => {
            let source = match &job.repository {
                Some(place) => Source::Repository(storage::find(place).ok_or_else(|| place.missing())?),
                None => {
                    let token = job.job_info.extra_info.as_ref().and_then(|extra| extra.token.clone());
                    Source::Backends { token: token.unwrap_or_default() }
                }
            };
            // A copy: after a restart the transfers start again.
            let plans = job.plan.downloads.clone();
            job.downloads = Some(Downloads::start(cluster, plans, source));
            RestoreState::Downloading
        }
        RestoreState::Downloading => match &job.downloads {
            Some(downloads) => {
                if let Some((tablet, text)) = downloads.failure() {
                    job.task_error = Some((tablet, text.clone()));
                    return Err(text);
                }
                if !downloads.is_done() {
                    return Ok(());
                }
                job.download_finished_time = now_ms;
                RestoreState::Commit
            }
            None => RestoreState::Commit,
        },
        RestoreState::Commit => {
            finish::commit(cluster, fe, job, now_ms)?;
            RestoreState::Committing
        }
        RestoreState::Committing => {
            job.finished_time = now_ms;
            // The job's row stays, its bulk need not.
            job.meta = SnapshotMeta::default();
            job.plan.downloads = Vec::new();
            job.downloads = None;
            RestoreState::Finished
        }
        done @ (RestoreState::Finished | RestoreState::Cancelled) => done,
    };
    fe.journal();
    Ok(())
}

/// Ends a job early and takes back what it did to the catalogue.
pub(super) fn cancel(
    cluster: &ClusterInner,
    fe: &mut FeState,
    db_id: i64,
    job_id: i64,
    status: JobStatus,
    now_ms: i64,
) {
    let Some((at, mut job)) = fe.snapshots.take_restore(db_id, job_id) else { return };
    if !job.is_done() {
        finish::undo(cluster, fe, &mut job, status, now_ms);
    }
    fe.snapshots.put_restore(db_id, at, job);
}
