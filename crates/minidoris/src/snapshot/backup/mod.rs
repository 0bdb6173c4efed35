//! The backup job: fix versions, snapshot tablets, describe them.

mod upload;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::job::JobStatus;
use super::job_info::{IndexInfo, JobInfo, NewBackupObjects, PartitionInfo, TableInfo, ViewInfo};
use super::local::{self, LocalSnapshot, SnapshotFile};
use super::meta::SnapshotMeta;
use super::properties::BackupProperties;
use super::repository::{StoredFile, StoredPlace, StoredSnapshot};
use crate::binlog::{BinlogType, html_safe_json};
use crate::cluster::ClusterInner;
use crate::fault::debug_points::PAUSE_PENDING_BACKUP;
use crate::model::{IndexState, OlapTable, ReplicaState, Table, Tracked};
use crate::release::Release;
use crate::state::FeState;
use doris_types::record::BarrierRecord;
use serde::{Deserialize, Serialize};

/// `max_backup_tablets_per_job`.
const DEFAULT_MAX_TABLETS: usize = 300_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum BackupState {
    Pending,
    Snapshoting,
    UploadSnapshot,
    Uploading,
    SaveMeta,
    UploadInfo,
    Finished,
    Cancelled,
}

/// A table of the ON clause, with its partitions if only some are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct BackupObject {
    pub name: String,
    pub partitions: Option<Vec<String>>,
}

/// The meta and the job info as getSnapshot sends them.
pub(super) type Payload = (Arc<Vec<u8>>, Arc<Vec<u8>>);

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct BackupJob {
    pub id: i64,
    pub db_id: i64,
    pub db_name: String,
    pub label: String,
    pub objects: Vec<BackupObject>,
    pub state: BackupState,
    pub status: JobStatus,
    pub timeout_ms: i64,
    metadata_only: bool,
    commit_seq: i64,
    /// Milliseconds since the epoch; 0 while not reached.
    pub create_time: i64,
    pub snapshot_finished_time: i64,
    pub upload_finished_time: i64,
    pub finished_time: i64,
    /// The tables as they were when their versions were fixed.
    meta: SnapshotMeta,
    table_commit_seqs: BTreeMap<i64, i64>,
    tablet_backends: BTreeMap<i64, i64>,
    tablet_paths: BTreeMap<i64, String>,
    /// What lies on the backends for this job.
    pub files: Vec<SnapshotFile>,
    /// `None` when nothing is uploaded.
    #[serde(default)]
    pub repository: Option<StoredPlace>,
    /// What UPLOADING read on the backends, until all of it is in the repository.
    #[serde(skip)]
    uploaded: BTreeMap<i64, Vec<StoredFile>>,
    #[serde(skip)]
    payload: Option<Payload>,
}

/// What a step does without the catalogue's lock.
#[derive(Debug)]
enum Work {
    Snapshot(Vec<SnapshotTask>),
    Upload(Vec<upload::Task>),
    Store(StoredPlace, StoredSnapshot),
}

/// One tablet to snapshot: any of the backends can do it.
#[derive(Debug, Clone)]
struct SnapshotTask {
    tablet_id: i64,
    version: i64,
    backends: Vec<i64>,
}

impl BackupState {
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Snapshoting => "SNAPSHOTING",
            Self::UploadSnapshot => "UPLOAD_SNAPSHOT",
            Self::Uploading => "UPLOADING",
            Self::SaveMeta => "SAVE_META",
            Self::UploadInfo => "UPLOAD_INFO",
            Self::Finished => "FINISHED",
            Self::Cancelled => "CANCELLED",
        }
    }
}

impl BackupJob {
    #[expect(clippy::too_many_arguments, reason = "one value per part of the statement")]
    pub fn new(
        id: i64,
        db_id: i64,
        db_name: &str,
        label: &str,
        objects: Vec<BackupObject>,
        properties: BackupProperties,
        commit_seq: i64,
        now_ms: i64,
    ) -> Self {
        Self {
            id,
            db_id,
            db_name: db_name.to_owned(),
            label: label.to_owned(),
            objects,
            state: BackupState::Pending,
            status: JobStatus::ok(),
            timeout_ms: properties.timeout_ms,
            metadata_only: properties.metadata_only,
            commit_seq,
            create_time: now_ms,
            snapshot_finished_time: 0,
            upload_finished_time: 0,
            finished_time: 0,
            meta: SnapshotMeta::default(),
            table_commit_seqs: BTreeMap::new(),
            tablet_backends: BTreeMap::new(),
            tablet_paths: BTreeMap::new(),
            files: Vec::new(),
            repository: None,
            uploaded: BTreeMap::new(),
            payload: None,
        }
    }

    pub fn is_done(&self) -> bool {
        matches!(self.state, BackupState::Finished | BackupState::Cancelled)
    }

    pub fn expires_at(&self) -> i64 {
        self.create_time.saturating_add(self.timeout_ms)
    }

    pub(super) fn payload(&self) -> Option<&Payload> {
        self.payload.as_ref()
    }

    pub(super) fn set_payload(&mut self, meta: Vec<u8>, job_info: Vec<u8>) {
        self.payload = Some((Arc::new(meta), Arc::new(job_info)));
    }

    /// The snapshot once the job has finished.
    pub fn snapshot(&self) -> Option<LocalSnapshot> {
        let (meta, job_info) = self.payload.as_ref()?;
        (self.state == BackupState::Finished).then(|| LocalSnapshot {
            meta: Arc::clone(meta),
            job_info: Arc::clone(job_info),
            expires_at: self.expires_at(),
            commit_seq: self.commit_seq,
            claimed_bytes: 0,
        })
    }

    /// Ends the job and returns the files to release.
    pub fn cancel(&mut self, status: JobStatus, now_ms: i64) -> Vec<SnapshotFile> {
        self.state = BackupState::Cancelled;
        self.status = status;
        self.finished_time = now_ms;
        std::mem::take(&mut self.files)
    }

    fn job_info(&self, release: Release) -> JobInfo {
        let mut views = Vec::new();
        let mut tables = BTreeMap::new();
        for (name, table) in &self.meta.tables {
            match table {
                Table::Olap(table) => {
                    tables.insert(name.clone(), table_info(table));
                }
                Table::View(view) => views.push(ViewInfo { id: view.id, name: name.clone() }),
            }
        }
        let (major_version, minor_version, patch_version) = release.version();
        JobInfo {
            name: self.label.clone(),
            database: self.db_name.clone(),
            id: self.db_id,
            backup_time: self.create_time,
            content: if self.metadata_only { "METADATA_ONLY" } else { "ALL" }.to_owned(),
            backup_objects: tables,
            new_backup_objects: NewBackupObjects { views, ..NewBackupObjects::default() },
            backup_result: "succeed".to_owned(),
            meta_version: 140,
            major_version,
            minor_version,
            patch_version,
            is_force_replication_allocation: false,
            tablet_be_map: self.tablet_backends.clone(),
            tablet_snapshot_path_map: self.tablet_paths.clone(),
            table_commit_seq_map: self.table_commit_seqs.clone(),
            tblalias: BTreeMap::new(),
            extra_info: None,
        }
    }
}

fn table_info(table: &OlapTable) -> TableInfo {
    let mut info = TableInfo { id: table.id, partitions: BTreeMap::new() };
    for partition in table.partitions.values() {
        let mut indexes = BTreeMap::new();
        for (index_id, index) in &partition.indexes {
            let Some(schema) = table.indexes.get(index_id) else { continue };
            let order: Vec<i64> = index.tablets.iter().map(|tablet| tablet.id).collect();
            indexes.insert(
                schema.name.clone(),
                IndexInfo {
                    id: *index_id,
                    schema_hash: schema.schema_hash,
                    tablets: order.iter().map(|id| (*id, Vec::new())).collect(),
                    tablets_order: order,
                },
            );
        }
        info.partitions.insert(
            partition.name.clone(),
            PartitionInfo { id: partition.id, version: partition.visible_version, indexes },
        );
    }
    info
}

/// Advances one job by one state.
pub(super) fn step(cluster: &ClusterInner, db_id: i64, job_id: i64, now_ms: i64) {
    let work = {
        let mut fe = cluster.fe.lock();
        let is_late = fe.snapshots.backup_mut(db_id, job_id).is_some_and(|job| job.expires_at() <= now_ms);
        if is_late {
            let label =
                fe.snapshots.backup_mut(db_id, job_id).map(|job| job.label.clone()).unwrap_or_default();
            let status = JobStatus::timeout(format!("backup job with label: {label} timeout"));
            return finish_cancelled(cluster, &mut fe, db_id, job_id, status, now_ms);
        }
        let release = fe.release;
        let Some(job) = fe.snapshots.backup_mut(db_id, job_id) else { return };
        if job.state == BackupState::Pending && cluster.is_paused(PAUSE_PENDING_BACKUP, &job.label) {
            return;
        }
        if job.state != BackupState::Pending && cluster.backups_held.load(Ordering::Acquire) {
            return;
        }
        match job.state {
            BackupState::Pending => return fix_versions(cluster, &mut fe, db_id, job_id, now_ms),
            BackupState::Snapshoting => Work::Snapshot(tasks(job)),
            BackupState::UploadSnapshot => {
                job.state = BackupState::Uploading;
                return;
            }
            BackupState::Uploading if job.repository.is_some() => Work::Upload(upload::tasks(job)),
            // Nothing leaves the backends.
            BackupState::Uploading => {
                job.upload_finished_time = now_ms;
                job.state = BackupState::SaveMeta;
                return;
            }
            BackupState::SaveMeta => {
                let job_info = serde_json::to_vec(&job.job_info(release));
                let job_info = job_info.expect("keys are strings or integers");
                job.payload = Some((Arc::new(job.meta.to_bytes()), Arc::new(job_info)));
                // What goes to a repository is read again after a restart, so the meta is still needed.
                if job.repository.is_none() {
                    job.meta = SnapshotMeta::default();
                }
                job.state = BackupState::UploadInfo;
                return;
            }
            BackupState::UploadInfo if job.repository.is_some() => match job.take_stored() {
                Some((place, snapshot)) => Work::Store(place, snapshot),
                None => return,
            },
            BackupState::UploadInfo => {
                job.state = BackupState::Finished;
                job.finished_time = now_ms;
                return;
            }
            BackupState::Finished | BackupState::Cancelled => return,
        }
    };
    match work {
        Work::Snapshot(tasks) => snapshot_tablets(cluster, db_id, job_id, &tasks, now_ms),
        Work::Upload(tasks) => upload::read(cluster, db_id, job_id, &tasks, now_ms),
        Work::Store(place, snapshot) => upload::store(cluster, db_id, job_id, &place, snapshot, now_ms),
    }
}

/// PENDING: a barrier per table, and the versions visible at that point of the journal.
fn fix_versions(cluster: &ClusterInner, fe: &mut FeState, db_id: i64, job_id: i64, now_ms: i64) {
    let Some(job) = fe.snapshots.backup_mut(db_id, job_id) else { return };
    let objects = job.objects.clone();
    let mut meta = SnapshotMeta::default();
    let mut seqs = BTreeMap::new();
    let Some(db_name) = fe.databases.get(&db_id).map(|db| db.name.clone()) else {
        let status = JobStatus::common(format!("database {db_id} does not exist"));
        return finish_cancelled(cluster, fe, db_id, job_id, status, now_ms);
    };
    for object in &objects {
        // A table dropped since the statement is passed over.
        let Some(table) = fe.databases.get(&db_id).and_then(|db| db.table_named(&object.name)) else {
            continue;
        };
        let copy = match table {
            Table::View(view) => Table::View(view.clone()),
            // What it is made of is backed up, not what was made.
            Table::Olap(table) if table.async_view.is_some() => continue,
            Table::Olap(table) => {
                let copy = visible_part(table, object.partitions.as_deref());
                let table_id = table.id;
                let barrier = BarrierRecord {
                    db_id,
                    db_name: db_name.clone(),
                    table_id,
                    table_name: object.name.clone(),
                    ..BarrierRecord::default()
                };
                let seq = fe.journal_binlog(now_ms, BinlogType::BARRIER, db_id, &[table_id], |_| {
                    html_safe_json(&barrier)
                });
                seqs.insert(table_id, seq);
                Table::Olap(Tracked::new(copy))
            }
        };
        meta.tables.insert(object.name.clone(), copy);
    }
    let tablets: usize = meta
        .tables
        .values()
        .filter_map(Table::as_olap)
        .flat_map(|table| table.partitions.values())
        .map(|partition| partition.tablets().count())
        .sum();
    let most = fe.config.get("max_backup_tablets_per_job").and_then(|value| value.parse().ok());
    let most = most.unwrap_or(DEFAULT_MAX_TABLETS);
    if tablets > most {
        let status = JobStatus::common(format!(
            "the num involved tablets {tablets} exceeds the limit {most}, which might cause the FE OOM, change \
             config `max_backup_tablets_per_job` to change this limitation"
        ));
        return finish_cancelled(cluster, fe, db_id, job_id, status, now_ms);
    }
    let Some(job) = fe.snapshots.backup_mut(db_id, job_id) else { return };
    job.meta = meta;
    job.table_commit_seqs = seqs;
    job.state = BackupState::Snapshoting;
}

/// The table with the wanted formal partitions and its visible indexes.
fn visible_part(table: &OlapTable, partitions: Option<&[String]>) -> OlapTable {
    let mut copy = table.clone();
    copy.temp_partitions.clear();
    if let Some(wanted) = partitions {
        copy.partitions.retain(|_, partition| wanted.contains(&partition.name));
    }
    copy.indexes.retain(|_, index| index.state == IndexState::Normal);
    for partition in copy.partitions.values_mut() {
        partition.indexes.retain(|id, _| copy.indexes.contains_key(id));
    }
    copy
}

fn tasks(job: &BackupJob) -> Vec<SnapshotTask> {
    if job.metadata_only {
        return Vec::new();
    }
    let tables = job.meta.tables.values().filter_map(Table::as_olap);
    let partitions = tables.flat_map(|table| table.partitions.values());
    partitions
        .flat_map(|partition| partition.tablets().map(|tablet| (partition.visible_version, tablet)))
        .map(|(version, tablet)| SnapshotTask {
            tablet_id: tablet.id,
            version,
            backends: tablet
                .replicas
                .iter()
                .filter(|replica| replica.state == ReplicaState::Normal)
                .filter(|replica| replica.last_failed_version < 0 && replica.version >= version)
                .map(|replica| replica.backend_id)
                .collect(),
        })
        .collect()
}

/// SNAPSHOTING: writes files, so without the catalogue's lock.
fn snapshot_tablets(cluster: &ClusterInner, db_id: i64, job_id: i64, tasks: &[SnapshotTask], now_ms: i64) {
    let expires_at =
        cluster.fe.lock().snapshots.backup_mut(db_id, job_id).map_or(now_ms, |job| job.expires_at());
    let mut made: Vec<(i64, SnapshotFile)> = Vec::with_capacity(tasks.len());
    let mut failure = None;
    for task in tasks {
        match snapshot_one(cluster, task, expires_at) {
            Ok(file) => made.push((task.tablet_id, file)),
            Err(text) => {
                failure = Some(text);
                break;
            }
        }
    }
    let files: Vec<SnapshotFile> = made.iter().map(|(_, file)| file.clone()).collect();
    {
        let mut fe = cluster.fe.lock();
        let waiting = |job: &&mut BackupJob| job.state == BackupState::Snapshoting;
        if let Some(job) = fe.snapshots.backup_mut(db_id, job_id).filter(waiting) {
            job.files = files;
            if let Some(text) = failure {
                return finish_cancelled(cluster, &mut fe, db_id, job_id, JobStatus::common(text), now_ms);
            }
            for (tablet_id, (backend_id, path)) in made {
                job.tablet_backends.insert(tablet_id, backend_id);
                job.tablet_paths.insert(tablet_id, path);
            }
            job.snapshot_finished_time = now_ms;
            job.state = BackupState::UploadSnapshot;
            return;
        }
    }
    // Cancelled meanwhile: nobody owns the files.
    local::release_files(cluster, &files);
}

fn snapshot_one(
    cluster: &ClusterInner,
    task: &SnapshotTask,
    expires_at: i64,
) -> Result<SnapshotFile, String> {
    let mut last = format!("failed to choose replica to make snapshot for tablet {}", task.tablet_id);
    for backend_id in task.backends.iter().filter(|id| cluster.is_backend_alive(**id)) {
        let Some(backend) = cluster.backend(*backend_id) else { continue };
        match backend.make_snapshot(task.tablet_id, task.version, expires_at) {
            Ok(path) => return Ok((*backend_id, path)),
            Err(error) => last = format!("make snapshot failed, tablet {}: {error}", task.tablet_id),
        }
    }
    Err(last)
}

fn finish_cancelled(
    cluster: &ClusterInner,
    fe: &mut FeState,
    db_id: i64,
    job_id: i64,
    status: JobStatus,
    now_ms: i64,
) {
    tracing::info!(db_id, job_id, reason = %status.message, "backup cancelled");
    if let Some(job) = fe.snapshots.backup_mut(db_id, job_id) {
        let files = job.cancel(status, now_ms);
        local::release_files(cluster, &files);
    }
}
