//! Pausing, resuming, deleting, changing host mappings. Each runs while no other works on the same job.
//!
//! Another process over the same store may have changed, paused or resumed the job since; so a change is made to what
//! is stored, and takes the lease, which ends whatever drives the job with what was before.

use std::collections::BTreeMap;
use std::sync::Arc;

use ccr_core::job::{DesiredState, JobRecord, SpecError};
use tracing::info;

use super::entry::{Activity, Entry, Slot};
use super::{Manager, ManagerError, ManagerResult};

impl Manager {
    /// When this has answered, the job does nothing more here, and what drives it in another process is refused at
    /// its next write: a process that no longer owns the job has a task to stop that is not its own. Pausing a paused
    /// job changes nothing else.
    pub async fn pause(self: &Arc<Self>, name: &str) -> ManagerResult<()> {
        let (manager, entry) = (Arc::clone(self), self.operable(name)?);
        self.detached(async move {
            let _operation = entry.operation.lock().await;
            let (mut record, activity) = entry.job()?;
            if record.desired != DesiredState::Paused {
                manager.parts.store.set_desired(&record.id, DesiredState::Paused).await?;
                record.desired = DesiredState::Paused;
                info!(job = %entry.name, "job paused");
            }
            stop(&activity).await;
            manager.parts.metrics.job_stopped(&entry.name);
            entry.set(Slot::job(record.clone(), Activity::Paused));
            manager.parts.store.acquire(&record.id, &manager.parts.owner).await?;
            Ok(())
        })
        .await
    }

    /// Starts a paused job. A job that is blocked or waits before trying again does so at once.
    pub async fn resume(self: &Arc<Self>, name: &str) -> ManagerResult<()> {
        let (manager, entry) = (Arc::clone(self), self.operable(name)?);
        self.detached(async move {
            let _operation = entry.operation.lock().await;
            if let Slot::Unreadable { .. } = entry.slot() {
                manager.read_again(&entry).await?;
            }
            let (mut record, activity) = manager.stored(&entry).await?;
            if record.desired != DesiredState::Running {
                manager.parts.store.set_desired(&record.id, DesiredState::Running).await?;
                record.desired = DesiredState::Running;
                info!(job = %entry.name, "job resumed");
            }
            if is_flowing(&activity) {
                return Ok(());
            }
            stop(&activity).await;
            manager.start_or_mark(&entry, record).await;
            match entry.slot() {
                Slot::Job { activity: Activity::Failed(detail), .. } | Slot::Unreadable { detail, .. } => {
                    Err(ManagerError::Unreadable { name: entry.name.clone(), detail })
                }
                Slot::Job { activity: Activity::Running(_) | Activity::Paused, .. }
                | Slot::Creating
                | Slot::Gone => Ok(()),
            }
        })
        .await
    }

    /// Stops the job and removes its rows. What was replicated stays.
    pub async fn delete(self: &Arc<Self>, name: &str) -> ManagerResult<()> {
        let (manager, entry) = (Arc::clone(self), self.operable(name)?);
        self.detached(async move {
            let _operation = entry.operation.lock().await;
            let job_id = match entry.slot() {
                Slot::Unreadable { job_id: Some(job_id), .. } => job_id,
                Slot::Job { .. } | Slot::Unreadable { job_id: None, .. } | Slot::Creating | Slot::Gone => {
                    let (record, activity) = entry.job()?;
                    stop(&activity).await;
                    record.id
                }
            };
            if let Err(error) = manager.parts.store.delete_job(&job_id).await {
                // It was stopped already; the keeper starts it again if it should run.
                if let Ok((record, Activity::Running(_))) = entry.job() {
                    entry.set(Slot::job(record, Activity::Failed(error.to_string())));
                }
                return Err(error.into());
            }
            entry.set(Slot::Gone);
            manager.forget(&entry);
            manager.parts.metrics.job_deleted(&entry.name);
            info!(job = %entry.name, "job deleted");
            Ok(())
        })
        .await
    }

    /// Adds, replaces and, where the public address is empty, removes entries; the job goes on with them.
    pub async fn update_host_mapping(
        self: &Arc<Self>,
        name: &str,
        src: BTreeMap<String, String>,
        dest: BTreeMap<String, String>,
    ) -> ManagerResult<()> {
        if src.is_empty() && dest.is_empty() {
            let problem = "src_host_mapping or dest_host_mapping must have an entry";
            return Err(SpecError::new("host_mapping", problem).into());
        }
        let (manager, entry) = (Arc::clone(self), self.operable(name)?);
        self.detached(async move {
            let _operation = entry.operation.lock().await;
            let (mut record, activity) = manager.stored(&entry).await?;
            apply_mapping(&mut record.spec.src.host_mapping, &src);
            apply_mapping(&mut record.spec.dest.host_mapping, &dest);
            manager.parts.store.set_clusters(&record.id, &record.spec.src, &record.spec.dest).await?;
            info!(job = %entry.name, "host mapping changed");
            manager.go_on(&entry, record, &activity).await
        })
        .await
    }

    /// An entry to operate on. A creation is not waited for.
    pub(super) fn operable(&self, name: &str) -> ManagerResult<Arc<Entry>> {
        let entry = self.entry(name)?;
        match entry.is_being_created() {
            true => Err(ManagerError::BeingCreated { name: name.to_owned() }),
            false => Ok(entry),
        }
    }

    /// The job as it is stored, and what it does here.
    pub(super) async fn stored(&self, entry: &Entry) -> ManagerResult<(JobRecord, Activity)> {
        let (known, activity) = entry.job()?;
        match self.parts.store.job_by_name(&entry.name).await? {
            Some(record) if record.id == known.id => Ok((record, activity)),
            // Another process has deleted it, and maybe created another one.
            Some(_) | None => Err(ManagerError::NotExist { name: entry.name.clone() }),
        }
    }

    /// Lets a job that was changed go on here if it should run. Nobody drives it any more as it was before.
    pub(super) async fn go_on(
        &self,
        entry: &Entry,
        record: JobRecord,
        activity: &Activity,
    ) -> ManagerResult<()> {
        stop(activity).await;
        match record.desired {
            DesiredState::Running => self.start_or_mark(entry, record).await,
            DesiredState::Paused => {
                self.parts.metrics.job_stopped(&entry.name);
                entry.set(Slot::job(record.clone(), Activity::Paused));
                self.parts.store.acquire(&record.id, &self.parts.owner).await?;
            }
        }
        Ok(())
    }

    /// An operator may have repaired the rows.
    async fn read_again(&self, entry: &Entry) -> ManagerResult<()> {
        match self.parts.store.job_by_name(&entry.name).await? {
            Some(record) => entry.set(Slot::job(record, Activity::Paused)),
            None => return Err(ManagerError::NotExist { name: entry.name.clone() }),
        }
        Ok(())
    }
}

impl Entry {
    /// The job, if there is one to operate on.
    pub(super) fn job(&self) -> ManagerResult<(JobRecord, Activity)> {
        let name = || self.name.clone();
        match self.slot() {
            Slot::Job { record, activity } => Ok((*record, activity)),
            Slot::Creating => Err(ManagerError::BeingCreated { name: name() }),
            Slot::Unreadable { detail, .. } => Err(ManagerError::Unreadable { name: name(), detail }),
            Slot::Gone => Err(ManagerError::NotExist { name: name() }),
        }
    }
}

pub(super) async fn stop(activity: &Activity) {
    match activity {
        Activity::Running(running) => running.handle.stop().await,
        Activity::Paused | Activity::Failed(_) => {}
    }
}

/// Whether it runs and nothing holds it up.
fn is_flowing(activity: &Activity) -> bool {
    match activity {
        Activity::Running(running) if running.handle.is_finished() => false,
        Activity::Running(running) => {
            let status = running.status();
            status.blocked.is_none() && status.last_error.is_none()
        }
        Activity::Paused | Activity::Failed(_) => false,
    }
}

pub(crate) fn apply_mapping(mapping: &mut BTreeMap<String, String>, changes: &BTreeMap<String, String>) {
    for (private, public) in changes {
        if public.is_empty() {
            mapping.remove(private);
        } else {
            mapping.insert(private.clone(), public.clone());
        }
    }
}
