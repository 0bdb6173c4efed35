//! Creating a job: all checks first, then the target database, then the rows. What fails leaves nothing.

use std::sync::Arc;

use ccr_core::job::{DesiredState, JobRecord, JobSpec, JobState};
use ccr_core::ports::Downstream;
use ccr_core::store::StoreError;
use doris_types::call::MetaFilter;
use doris_types::failure::{Cause, Failure};
use doris_types::sql::quote_identifier;
use tracing::{info, warn};

use super::entry::{Entry, Slot};
use super::{Manager, ManagerError, ManagerResult};
use crate::precheck;

/// Can't create database; database exists.
const DATABASE_EXISTS: u16 = 1007;

/// A created job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    pub job_id: String,
    /// What the checks noticed and did not refuse.
    pub warnings: Vec<String>,
}

impl Manager {
    /// Of several concurrent creations of one name, one goes on and the others are refused at once.
    pub async fn create(self: &Arc<Self>, spec: JobSpec) -> ManagerResult<Created> {
        spec.validate()?;
        let manager = Arc::clone(self);
        self.detached(async move {
            let entry = manager.reserve(&spec.name)?;
            let _operation = entry.operation.lock().await;
            let result = manager.create_reserved(&entry, spec).await;
            if result.is_err() {
                entry.set(Slot::Gone);
                manager.forget(&entry);
            }
            result
        })
        .await
    }

    fn reserve(&self, name: &str) -> ManagerResult<Arc<Entry>> {
        let mut jobs = self.jobs.lock();
        match jobs.get(name) {
            Some(entry) if entry.is_being_created() => {
                Err(ManagerError::BeingCreated { name: name.to_owned() })
            }
            Some(_) => Err(ManagerError::AlreadyExists { name: name.to_owned() }),
            None => {
                let entry = Entry::new(name, Slot::Creating);
                jobs.insert(name.to_owned(), Arc::clone(&entry));
                Ok(entry)
            }
        }
    }

    async fn create_reserved(&self, entry: &Entry, spec: JobSpec) -> ManagerResult<Created> {
        let parts = &self.parts;
        let upstream = parts.connector.upstream(&spec.src);
        let downstream = parts.connector.downstream(&spec.dest);
        let checks = precheck::check(&spec, &*upstream, &*downstream, parts.check_timeout);
        let Some(report) = self.closing.run_until_cancelled(checks).await else {
            return Err(ManagerError::Closing);
        };
        if !report.problems.is_empty() {
            return Err(ManagerError::Checks { name: spec.name, problems: report.problems });
        }
        let made_database =
            report.create_database && create_database(&*downstream, &spec.dest.database).await?;
        let now = parts.clock.now_ms();
        let record =
            JobRecord { id: spec.job_id(now), spec, desired: DesiredState::Running, created_at_ms: now };
        let state = JobState::new(&record.id, now);
        if let Err(error) = parts.store.create_job(&record, &state).await {
            if made_database {
                drop_if_empty(&*downstream, &record.spec.dest.database).await;
            }
            return Err(match error {
                StoreError::AlreadyExists { name } => ManagerError::AlreadyExists { name },
                error @ (StoreError::NotFound { .. }
                | StoreError::Fenced { .. }
                | StoreError::Unavailable { .. }
                | StoreError::Corrupt { .. }) => ManagerError::Store(error),
            });
        }
        for warning in &report.warnings {
            warn!(job = %entry.name, warning, "noticed while creating the job");
        }
        info!(job = %entry.name, id = record.id, "job created");
        let created = Created { job_id: record.id.clone(), warnings: report.warnings };
        self.start_or_mark(entry, record).await;
        Ok(created)
    }
}

/// Answers whether it was made here: someone else may have been faster.
async fn create_database(downstream: &dyn Downstream, database: &str) -> ManagerResult<bool> {
    let sql = format!("CREATE DATABASE {}", quote_identifier(database));
    match downstream.execute(None, &sql).await {
        Ok(()) => Ok(true),
        Err(Failure { cause: Cause::Sql { code: DATABASE_EXISTS, .. }, .. }) => Ok(false),
        Err(failure) => {
            if failure.is_in_doubt() {
                drop_if_empty(downstream, database).await;
            }
            let what = format!("create target database {database}");
            Err(ManagerError::Cluster { what, failure: Box::new(failure) })
        }
    }
}

/// Takes back a database made for a job that was not created, unless someone put something into it.
async fn drop_if_empty(downstream: &dyn Downstream, database: &str) {
    let empty = async {
        let Some(meta) = downstream.meta(database, MetaFilter::Names).await? else { return Ok(false) };
        Ok(meta.tables.is_empty() && downstream.views(database).await?.is_empty())
    };
    let dropped = match empty.await {
        Ok(true) => {
            downstream.execute(None, &format!("DROP DATABASE IF EXISTS {}", quote_identifier(database))).await
        }
        Ok(false) => Ok(()),
        Err(failure) => Err(failure),
    };
    if let Err(failure) = dropped {
        warn!(database, %failure, "the database made for a job that was not created could not be dropped");
    }
}
