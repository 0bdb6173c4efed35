//! Uploading a snapshot: the backends' files into the repository, then the description that makes it known.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{BackupJob, BackupState, finish_cancelled};
use crate::cluster::ClusterInner;
use crate::model::Table;
use crate::snapshot::job::JobStatus;
use crate::snapshot::local;
use crate::snapshot::meta::SnapshotMeta;
use crate::snapshot::repository::{self, StoredFile, StoredPlace, StoredSnapshot, storage};

/// The files of one tablet's snapshot.
#[derive(Debug)]
pub(super) struct Task {
    backend_id: i64,
    /// The path of `tablet_snapshot_path_map`.
    path: String,
    tablet_id: i64,
    schema_hash: i32,
}

impl BackupJob {
    /// Takes up a job that an earlier process left: what it had read for the repository is read again.
    pub(in crate::snapshot) fn resume(&mut self) {
        let has_read = matches!(self.state, BackupState::SaveMeta | BackupState::UploadInfo);
        if self.repository.is_some() && has_read {
            self.payload = None;
            self.state = BackupState::Uploading;
        }
    }

    /// What goes to the repository, and where; once.
    pub(super) fn take_stored(&mut self) -> Option<(StoredPlace, StoredSnapshot)> {
        let place = self.repository.clone()?;
        let (meta, job_info) = self.payload.take()?;
        let tablets = std::mem::take(&mut self.uploaded);
        Some((place, StoredSnapshot { meta: meta.to_vec(), job_info: job_info.to_vec(), tablets }))
    }
}

pub(super) fn tasks(job: &BackupJob) -> Vec<Task> {
    let mut tasks = Vec::new();
    for table in job.meta.tables.values().filter_map(Table::as_olap) {
        for index in table.partitions.values().flat_map(|partition| partition.indexes.iter()) {
            let Some(schema) = table.indexes.get(index.0) else { continue };
            tasks.extend(index.1.tablets.iter().filter_map(|tablet| {
                Some(Task {
                    backend_id: *job.tablet_backends.get(&tablet.id)?,
                    path: job.tablet_paths.get(&tablet.id)?.clone(),
                    tablet_id: tablet.id,
                    schema_hash: schema.schema_hash,
                })
            }));
        }
    }
    tasks
}

/// UPLOADING: reads the files, so without the catalogue's lock.
pub(super) fn read(cluster: &ClusterInner, db_id: i64, job_id: i64, tasks: &[Task], now_ms: i64) {
    let files: Result<BTreeMap<i64, Vec<StoredFile>>, String> =
        tasks.iter().map(|task| Ok((task.tablet_id, read_one(cluster, task)?))).collect();
    let mut fe = cluster.fe.lock();
    let waiting = |job: &&mut BackupJob| job.state == BackupState::Uploading;
    let Some(job) = fe.snapshots.backup_mut(db_id, job_id).filter(waiting) else { return };
    match files {
        Ok(files) => {
            job.uploaded = files;
            job.upload_finished_time = now_ms;
            job.state = BackupState::SaveMeta;
        }
        Err(text) => finish_cancelled(cluster, &mut fe, db_id, job_id, JobStatus::common(text), now_ms),
    }
}

fn read_one(cluster: &ClusterInner, task: &Task) -> Result<Vec<StoredFile>, String> {
    let backend = cluster.backend(task.backend_id).filter(|_| cluster.is_backend_alive(task.backend_id));
    let Some(backend) = backend else {
        return Err(format!("backend {} is not alive, tablet {}", task.backend_id, task.tablet_id));
    };
    backend
        .read_snapshot(&task.path, task.tablet_id, task.schema_hash)
        .map_err(|error| format!("upload snapshot of tablet {} failed: {error}", task.tablet_id))
}

/// UPLOAD_INFO: from here on the snapshot is in the repository, and the backends need not keep its files.
pub(super) fn store(
    cluster: &ClusterInner,
    db_id: i64,
    job_id: i64,
    place: &StoredPlace,
    snapshot: StoredSnapshot,
    now_ms: i64,
) {
    let saved = match cluster.repository_dir() {
        Some(directory) => repository::save(&directory, place, &snapshot),
        None => Ok(()),
    };
    let mut fe = cluster.fe.lock();
    let waiting = |job: &&mut BackupJob| job.state == BackupState::UploadInfo;
    let Some(job) = fe.snapshots.backup_mut(db_id, job_id).filter(waiting) else { return };
    if let Err(error) = saved {
        let status = JobStatus::common(format!("upload info of snapshot {} failed: {error}", place.label));
        return finish_cancelled(cluster, &mut fe, db_id, job_id, status, now_ms);
    }
    storage::put(place, Arc::new(snapshot));
    job.state = BackupState::Finished;
    job.finished_time = now_ms;
    job.meta = SnapshotMeta::default();
    let files = std::mem::take(&mut job.files);
    drop(fe);
    local::release_files(cluster, &files);
}
