//! The jobs of this process.
//!
//! Two locks, never held together with a wait for a cluster: the map of jobs is locked for a moment to find
//! an entry, and each entry has an async mutex under which the operations on that job run one after the
//! other. A slow or dead cluster therefore blocks nothing but the operation that needs it, and no operation
//! on one job waits for another job.
//!
//! Operations run in tasks of their own: a caller that hangs up does not leave one half done.
//!
//! A job that should run and could not be started (the store or its lease failed) is tried again by the
//! keeper until it runs, is paused, or is deleted; it never stays silently idle.

mod cluster;
mod create;
mod entry;
mod forecast;
mod lag;
mod operate;
mod steer;
mod view;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use ccr_core::control::RequestError;
use ccr_core::failpoint::Failpoints;
use ccr_core::job::{DesiredState, JobRecord, SpecError};
use ccr_core::ports::{Clock, Connector};
use ccr_core::runner::{EngineOptions, JobContext, JobHandle, spawn};
use ccr_core::store::{Store, StoreError, StoreResult};
use ccr_core::turns::SnapshotTurns;
use doris_types::failure::Failure;
use parking_lot::Mutex;
use thiserror::Error;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

pub use cluster::{ClusterCreated, MONITOR_INTERVAL};
pub use create::Created;
use entry::{Activity, Entry, Running, Slot};
pub use lag::{Lag, NextOf};
pub use view::{JobProgress, JobView};

use crate::forecast::Watch;
use crate::metrics::Metrics;
use crate::precheck::Problem;

/// How long a shutdown waits for running operations.
const OPERATIONS_TIMEOUT: Duration = Duration::from_secs(10);

/// What the manager works with.
pub struct Parts {
    pub store: Arc<dyn Store>,
    pub connector: Arc<dyn Connector>,
    pub clock: Arc<dyn Clock>,
    pub metrics: Arc<Metrics>,
    pub options: Arc<EngineOptions>,
    pub failpoints: Arc<Failpoints>,
    /// This node's identity, `host:port`.
    pub owner: String,
    /// The longest time for the checks of a creation.
    pub check_timeout: Duration,
    /// How often jobs that could not be started are tried again.
    pub retry_interval: Duration,
}

pub struct Manager {
    parts: Parts,
    jobs: Mutex<BTreeMap<String, Arc<Entry>>>,
    closing: CancellationToken,
    tasks: TaskTracker,
    /// What ends the monitor of each cluster.
    monitors: Mutex<BTreeMap<String, CancellationToken>>,
    monitor_interval: watch::Sender<Duration>,
    /// When the binlog that is needed next expires, by job id.
    forecasts: Mutex<BTreeMap<String, Watch>>,
    turns: Arc<SnapshotTurns>,
}

#[derive(Debug, Error)]
pub enum ManagerError {
    #[error(transparent)]
    Invalid(#[from] SpecError),
    #[error("job {name} already exists")]
    AlreadyExists { name: String },
    #[error("job {name} not exist")]
    NotExist { name: String },
    #[error("job {name} is being created")]
    BeingCreated { name: String },
    #[error("job {name} cannot be used: {detail}")]
    Unreadable { name: String, detail: String },
    #[error("job {name} cannot be created, {} failed: {}", count(.problems.len()), list(.problems))]
    Checks { name: String, problems: Vec<Problem> },
    #[error("{what}: {failure}")]
    Cluster { what: String, failure: Box<Failure> },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The target, or some of its tables, could not be changed.
    #[error("{0}")]
    Target(String),
    #[error("the syncer is shutting down")]
    Closing,
}

type ManagerResult<T> = Result<T, ManagerError>;

impl Manager {
    /// Reads all jobs and starts those that should run. Fails only when the list itself cannot be read.
    pub async fn open(parts: Parts) -> StoreResult<Arc<Self>> {
        let stored = parts.store.list_jobs().await?;
        let manager = Arc::new(Self {
            parts,
            jobs: Mutex::default(),
            closing: CancellationToken::new(),
            tasks: TaskTracker::new(),
            monitors: Mutex::default(),
            monitor_interval: watch::Sender::new(MONITOR_INTERVAL),
            forecasts: Mutex::default(),
            turns: Arc::default(),
        });
        for job in stored {
            let slot = match job.record {
                Ok(record) => Slot::job(record, Activity::Paused),
                Err(error) => {
                    error!(job = %job.name, %error, "job cannot be read");
                    Slot::unreadable(&error)
                }
            };
            let entry = Entry::new(&job.name, slot);
            manager.jobs.lock().insert(job.name, Arc::clone(&entry));
            let _operation = entry.operation.lock().await;
            if let Some(record) = entry.record()
                && record.desired == DesiredState::Running
            {
                manager.start_or_mark(&entry, record).await;
            }
        }
        let keeper = Arc::clone(&manager);
        manager.tasks.spawn(async move { keeper.keep().await });
        Ok(manager)
    }

    /// Those of the process.
    pub fn failpoints(&self) -> Arc<Failpoints> {
        Arc::clone(&self.parts.failpoints)
    }

    /// The names of all jobs, sorted, those that cannot be read included.
    pub fn names(&self) -> Vec<String> {
        let jobs = self.jobs.lock();
        jobs.iter().filter(|(_, entry)| !entry.is_being_created()).map(|(name, _)| name.clone()).collect()
    }

    /// Refuses new operations and gives up creations that still check.
    pub fn refuse(&self) {
        self.closing.cancel();
    }

    /// Refuses new operations, waits for running ones for a bounded time, and stops all jobs.
    pub async fn close(&self) {
        self.refuse();
        self.tasks.close();
        if tokio::time::timeout(OPERATIONS_TIMEOUT, self.tasks.wait()).await.is_err() {
            warn!("operations still run at shutdown");
        }
        let entries: Vec<Arc<Entry>> = self.jobs.lock().values().cloned().collect();
        let stops = entries.iter().filter_map(|entry| entry.running()).map(|running| async move {
            running.handle.stop().await;
        });
        futures::future::join_all(stops).await;
    }

    fn entry(&self, name: &str) -> ManagerResult<Arc<Entry>> {
        self.jobs.lock().get(name).cloned().ok_or_else(|| ManagerError::NotExist { name: name.to_owned() })
    }

    fn forget(&self, entry: &Arc<Entry>) {
        let mut jobs = self.jobs.lock();
        if jobs.get(&entry.name).is_some_and(|known| Arc::ptr_eq(known, entry)) {
            jobs.remove(&entry.name);
        }
    }

    /// Runs an operation to its end even when the caller goes away.
    async fn detached<T: Send + 'static>(
        &self,
        operation: impl Future<Output = ManagerResult<T>> + Send + 'static,
    ) -> ManagerResult<T> {
        if self.closing.is_cancelled() {
            return Err(ManagerError::Closing);
        }
        match self.tasks.spawn(operation).await {
            Ok(result) => result,
            // It panicked, which the runtime has reported, or the runtime is going down.
            Err(_) => Err(ManagerError::Closing),
        }
    }

    /// Takes the job's lease and starts its task.
    async fn start(&self, record: &JobRecord) -> StoreResult<Running> {
        let parts = &self.parts;
        let epoch = parts.store.acquire(&record.id, &parts.owner).await?;
        // Read here too, so that an unreadable state is told at once and the status is right from the start.
        let (state, position) = parts.store.load(&record.id).await?;
        let observer: Arc<Metrics> = Arc::clone(&parts.metrics);
        let handle: JobHandle = spawn(JobContext {
            record: record.clone(),
            epoch,
            upstream: parts.connector.upstream(&record.spec.src),
            downstream: parts.connector.downstream(&record.spec.dest),
            store: Arc::clone(&parts.store),
            clock: Arc::clone(&parts.clock),
            observer,
            options: Arc::clone(&parts.options),
            failpoints: Arc::clone(&parts.failpoints),
            turns: Arc::clone(&self.turns),
        });
        Ok(Running::new(record, handle, &state, position))
    }

    /// Starts the job, or records why it could not be started. The caller holds the entry's operation lock.
    async fn start_or_mark(&self, entry: &Entry, record: JobRecord) {
        let slot = match self.start(&record).await {
            Ok(running) => {
                info!(job = %entry.name, "job started");
                Slot::job(record, Activity::Running(Arc::new(running)))
            }
            Err(error @ StoreError::Corrupt { .. }) => {
                error!(job = %entry.name, %error, "job cannot be read");
                Slot::unreadable(&error)
            }
            Err(
                error @ (StoreError::AlreadyExists { .. }
                | StoreError::NotFound { .. }
                | StoreError::Fenced { .. }
                | StoreError::Unavailable { .. }),
            ) => {
                error!(job = %entry.name, %error, "job could not be started, will try again");
                Slot::job(record, Activity::Failed(error.to_string()))
            }
        };
        entry.set(slot);
    }

    /// Tries again to start what could not be started.
    async fn keep(&self) {
        while self.closing.run_until_cancelled(tokio::time::sleep(self.parts.retry_interval)).await.is_some()
        {
            let failed: Vec<Arc<Entry>> =
                self.jobs.lock().values().filter(|entry| entry.has_failed()).cloned().collect();
            for entry in failed {
                let _operation = entry.operation.lock().await;
                if entry.has_failed()
                    && let Some(record) = entry.record()
                {
                    self.start_or_mark(&entry, record).await;
                }
            }
        }
    }
}

impl std::fmt::Debug for Manager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Manager").field("owner", &self.parts.owner).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").field("owner", &self.owner).finish_non_exhaustive()
    }
}

fn count(problems: usize) -> String {
    if problems == 1 { "1 check".to_owned() } else { format!("{problems} checks") }
}

fn list(problems: &[Problem]) -> String {
    let numbered = problems.iter().enumerate().map(|(index, problem)| format!("({}) {problem}", index + 1));
    numbered.collect::<Vec<_>>().join(" ")
}
