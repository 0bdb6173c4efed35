//! SHOW BACKUP and SHOW RESTORE.

use serde_json::json;

use super::backup::BackupJob;
use super::job::Job;
use super::job_info::JobInfo;
use super::restore::{RestoreJob, RestoreState};
use crate::error::SqlResult;
use crate::session::ResultSet;
use crate::state::FeState;

const BACKUP_COLUMNS: [&str; 14] = [
    "JobId",
    "SnapshotName",
    "DbName",
    "State",
    "BackupObjs",
    "CreateTime",
    "SnapshotFinishedTime",
    "UploadFinishedTime",
    "FinishedTime",
    "UnfinishedTasks",
    "Progress",
    "TaskErrMsg",
    "Status",
    "Timeout",
];

const RESTORE_COLUMNS: [&str; 21] = [
    "JobId",
    "Label",
    "Timestamp",
    "DbName",
    "State",
    "AllowLoad",
    "ReplicationNum",
    "ReplicaAllocation",
    "ReserveReplica",
    "ReserveDynamicPartitionEnable",
    "RestoreObjs",
    "CreateTime",
    "MetaPreparedTime",
    "SnapshotFinishedTime",
    "DownloadFinishedTime",
    "FinishedTime",
    "UnfinishedTasks",
    "Progress",
    "TaskErrMsg",
    "Status",
    "Timeout",
];

/// Left out by SHOW BRIEF RESTORE.
const BULKY_COLUMNS: [&str; 3] = ["RestoreObjs", "Progress", "TaskErrMsg"];

/// Which rows SHOW BACKUP and SHOW RESTORE print, by label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LabelFilter {
    All,
    Equals(String),
    /// With `%` and `_`.
    Like(String),
}

impl LabelFilter {
    fn matches(&self, label: &str) -> bool {
        match self {
            LabelFilter::All => true,
            LabelFilter::Equals(wanted) => wanted == label,
            LabelFilter::Like(pattern) => is_like(label.as_bytes(), pattern.as_bytes()),
        }
    }
}

fn is_like(text: &[u8], pattern: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'%', rest)) => (0..=text.len()).any(|skipped| is_like(&text[skipped..], rest)),
        Some((b'_', rest)) => text.split_first().is_some_and(|(_, text)| is_like(text, rest)),
        Some((wanted, rest)) => {
            text.split_first().is_some_and(|(first, text)| first == wanted && is_like(text, rest))
        }
    }
}

/// SHOW BACKUP: kept jobs, oldest first.
pub fn show_backup(state: &FeState, db: &str, filter: &LabelFilter) -> SqlResult<ResultSet> {
    let db_id = super::database_id(state, db)?;
    let mut result = ResultSet::new(&BACKUP_COLUMNS);
    result.rows = state
        .snapshots
        .of(db_id)
        .filter_map(|job| match job {
            Job::Backup(job) => Some(job),
            Job::Restore(_) => None,
        })
        .filter(|job| filter.matches(&job.label))
        .map(|job| backup_row(job))
        .collect();
    Ok(result)
}

fn backup_row(job: &BackupJob) -> Vec<Option<String>> {
    let objects: Vec<String> = job
        .objects
        .iter()
        .map(|object| match &object.partitions {
            None => format!("[{}.{}]", job.db_name, object.name),
            Some(names) => format!("[{}.{} PARTITIONS ({})]", job.db_name, object.name, names.join(", ")),
        })
        .collect();
    vec![
        Some(job.id.to_string()),
        Some(job.label.clone()),
        Some(job.db_name.clone()),
        Some(job.state.name().to_owned()),
        Some(objects.join(", ")),
        time(job.create_time),
        time(job.snapshot_finished_time),
        time(job.upload_finished_time),
        time(job.finished_time),
        Some(String::new()),
        Some(String::new()),
        Some(String::new()),
        Some(job.status.text()),
        Some((job.timeout_ms / 1000).to_string()),
    ]
}

/// SHOW RESTORE, or SHOW BRIEF RESTORE: kept jobs, oldest first.
pub fn show_restore(state: &FeState, db: &str, filter: &LabelFilter, brief: bool) -> SqlResult<ResultSet> {
    let db_id = super::database_id(state, db)?;
    let rows = state.snapshots.of(db_id).filter_map(|job| match job {
        Job::Restore(job) => Some(job),
        Job::Backup(_) => None,
    });
    let rows = rows.filter(|job| filter.matches(&job.label)).map(|job| restore_row(job));
    let kept: Vec<usize> = (0..RESTORE_COLUMNS.len())
        .filter(|at| !brief || !BULKY_COLUMNS.contains(&RESTORE_COLUMNS[*at]))
        .collect();
    let columns: Vec<&str> = kept.iter().map(|at| RESTORE_COLUMNS[*at]).collect();
    let mut result = ResultSet::new(&columns);
    result.rows = rows.map(|row| kept.iter().map(|at| row[*at].clone()).collect()).collect();
    Ok(result)
}

fn restore_row(job: &RestoreJob) -> Vec<Option<String>> {
    let properties = &job.properties;
    let (done, total) = job.downloads.as_ref().map_or((0, 0), |downloads| downloads.progress());
    let loading = job.state == RestoreState::Downloading && done < total;
    vec![
        Some(job.id.to_string()),
        Some(job.label.clone()),
        Some(backup_timestamp(job.job_info.backup_time)),
        Some(job.db_name.clone()),
        Some(job.state.name().to_owned()),
        Some(properties.allow_load.to_string()),
        Some(properties.replication_num.to_string()),
        Some(format!("tag.location.default: {}", properties.replication_num)),
        Some(properties.reserve_replica.to_string()),
        Some(properties.reserve_dynamic_partition.to_string()),
        Some(objects(&job.job_info)),
        time(job.create_time),
        time(job.meta_prepared_time),
        time(job.snapshot_finished_time),
        time(job.download_finished_time),
        time(job.finished_time),
        Some(if loading { format!("[download={}]", total - done) } else { String::new() }),
        Some(if loading { format!("[download: {done}/{total}]") } else { String::new() }),
        Some(job.task_error.as_ref().map_or(String::new(), |(tablet, text)| format!("[{tablet}: {text}]"))),
        Some(job.status.text()),
        Some((properties.timeout_ms / 1000).to_string()),
    ]
}

/// What a snapshot holds, as pretty JSON.
pub fn objects(info: &JobInfo) -> String {
    let tables: Vec<_> = info
        .backup_objects
        .iter()
        .map(|(name, table)| {
            json!({"name": name, "partition_names": table.partitions.keys().collect::<Vec<_>>()})
        })
        .collect();
    let views: Vec<_> = info.new_backup_objects.views.iter().map(|view| json!({"name": view.name})).collect();
    let objects = json!({
        "name": info.name,
        "database": info.database,
        "backup_time": info.backup_time,
        "content": info.content,
        "olap_table_list": tables,
        "view_list": views,
        "odbc_table_list": [],
        "odbc_resource_list": [],
    });
    format!("{objects:#}")
}

/// `yyyy-MM-dd HH:mm:ss`; a time not reached is NULL.
fn time(ms: i64) -> Option<String> {
    (ms > 0).then(|| formatted(ms, "%Y-%m-%d %H:%M:%S"))
}

/// `yyyy-MM-dd-HH-mm-ss`, which tells snapshots of one label apart.
pub(super) fn backup_timestamp(ms: i64) -> String {
    formatted(ms, "%Y-%m-%d-%H-%M-%S")
}

fn formatted(ms: i64, format: &str) -> String {
    let timestamp = jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    timestamp.strftime(format).to_string()
}
