//! The transfers of a restore: spawned together, a few at a time, watched by the job.

use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::StreamExt;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::repository::StoredSnapshot;
use crate::be::{BackendError, DownloadTask};
use crate::cluster::ClusterInner;

/// Transfers of one restore that run at a time.
const CONCURRENCY: usize = 8;

/// One tablet replica to fill.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct DownloadPlan {
    pub backend_id: i64,
    pub local_tablet_id: i64,
    pub remote_tablet_id: i64,
    /// Host, port and path are empty when the snapshot lies in a repository.
    pub remote_host: String,
    pub remote_port: u16,
    pub remote_path: String,
    pub remote_schema_hash: i32,
}

/// Where the files come from.
#[derive(Debug, Clone)]
pub(super) enum Source {
    /// Backends of the plan, with the token of their cluster.
    Backends {
        token: String,
    },
    Repository(Arc<StoredSnapshot>),
}

/// Progress of the transfers. Dropping it stops them.
#[derive(Debug)]
pub(super) struct Downloads {
    total: usize,
    done: AtomicUsize,
    /// The local tablet, and what went wrong with it.
    failure: Mutex<Option<(i64, String)>>,
    stop: CancellationToken,
}

impl Downloads {
    /// Starts all transfers. Must be called within the runtime.
    pub fn start(cluster: &Arc<ClusterInner>, plans: Vec<DownloadPlan>, source: Source) -> Arc<Self> {
        let downloads = Arc::new(Self {
            total: plans.len(),
            done: AtomicUsize::new(0),
            failure: Mutex::new(None),
            stop: CancellationToken::new(),
        });
        if plans.is_empty() {
            return downloads;
        }
        let stop = downloads.stop.clone();
        // Weak, so that a forgotten job ends its transfers.
        let progress = Arc::downgrade(&downloads);
        let cluster = Arc::clone(cluster);
        tokio::spawn(async move {
            let transfers = futures::stream::iter(plans).map(|plan| async {
                let tablet = plan.local_tablet_id;
                transfer(&cluster, plan, &source).await.map_err(|text| (tablet, text))
            });
            let mut transfers = std::pin::pin!(transfers.buffer_unordered(CONCURRENCY));
            loop {
                let finished = tokio::select! {
                    () = stop.cancelled() => return,
                    finished = transfers.next() => finished,
                };
                let (Some(outcome), Some(progress)) = (finished, progress.upgrade()) else { return };
                match outcome {
                    Ok(()) => {
                        progress.done.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(failure) => {
                        *progress.failure.lock() = Some(failure);
                        return;
                    }
                }
            }
        });
        downloads
    }

    pub fn is_done(&self) -> bool {
        self.done.load(Ordering::Relaxed) == self.total
    }

    pub fn failure(&self) -> Option<(i64, String)> {
        self.failure.lock().clone()
    }

    /// (done, total).
    pub fn progress(&self) -> (usize, usize) {
        (self.done.load(Ordering::Relaxed), self.total)
    }
}

impl Drop for Downloads {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn transfer(cluster: &ClusterInner, plan: DownloadPlan, source: &Source) -> Result<(), String> {
    let (tablet, backend_id) = (plan.local_tablet_id, plan.backend_id);
    let backend = cluster.backend(backend_id).filter(|_| cluster.is_backend_alive(backend_id));
    let Some(backend) = backend else {
        return Err(format!("backend {backend_id} is not alive, tablet {tablet}"));
    };
    let failed = |error: BackendError| {
        format!("download snapshot of tablet {tablet} on backend {backend_id} failed: {error}")
    };
    let token = match source {
        Source::Backends { token } => token,
        Source::Repository(snapshot) => {
            let files = snapshot.tablets.get(&plan.remote_tablet_id).map(Vec::as_slice).unwrap_or_default();
            return backend.install_snapshot(tablet, files).map_err(failed);
        }
    };
    let task = DownloadTask {
        local_tablet_id: plan.local_tablet_id,
        remote_tablet_id: plan.remote_tablet_id,
        remote_host: plan.remote_host,
        remote_http_port: plan.remote_port,
        remote_path: plan.remote_path,
        remote_schema_hash: plan.remote_schema_hash,
        token: token.clone(),
    };
    backend.download_snapshot(task).await.map_err(failed)
}
