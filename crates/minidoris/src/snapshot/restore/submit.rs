//! What a restoreSnapshot request is checked for before its job exists.

use std::collections::{BTreeMap, BTreeSet};

use super::{RestoreJob, RestorePlan, RestoreState};
use crate::cluster::ClusterInner;
use crate::error::{SqlError, SqlResult};
use crate::model::Table;
use crate::snapshot::job::{Job, JobStatus};
use crate::snapshot::job_info::JobInfo;
use crate::snapshot::meta::SnapshotMeta;
use crate::snapshot::properties::{RestoreProperties, restore_properties};
use crate::snapshot::repository::StoredPlace;
use crate::snapshot::{LOCAL_REPOSITORY, database_id, local};
use crate::state::FeState;

/// A decoded restoreSnapshot request.
#[derive(Debug, Clone)]
pub struct RestoreRequest {
    pub db: String,
    pub label: String,
    pub repository: String,
    /// Empty: everything in the snapshot.
    pub table_refs: Vec<TableReference>,
    pub properties: BTreeMap<String, String>,
    pub job_info: JobInfo,
    pub meta: SnapshotMeta,
}

/// A table of the include list and the name it is restored under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableReference {
    pub table: String,
    /// `None`: all of the snapshot's.
    pub partitions: Option<Vec<String>>,
    pub alias: Option<String>,
}

impl RestoreRequest {
    /// Parses the payloads as they are after decompression; `None` when one is not readable.
    pub fn parse_payloads(meta: &[u8], job_info: &[u8]) -> Option<(SnapshotMeta, JobInfo)> {
        Some((SnapshotMeta::from_bytes(meta).ok()?, serde_json::from_slice(job_info).ok()?))
    }

    /// The request as the statement that it stands for, as error texts show it.
    pub fn command(&self) -> String {
        let refs: Vec<String> = self
            .table_refs
            .iter()
            .map(|one| match &one.alias {
                Some(alias) => format!("`{}` AS `{alias}`", one.table),
                None => format!("`{}`", one.table),
            })
            .collect();
        let on = if refs.is_empty() { String::new() } else { format!(" ON ({})", refs.join(", ")) };
        let properties: Vec<String> =
            self.properties.iter().map(|(key, value)| format!("\"{key}\"  =  \"{value}\"")).collect();
        format!(
            "RESTORE SNAPSHOT `{}`.`{}` FROM `{}`{on} PROPERTIES ({})",
            self.db,
            self.label,
            self.repository,
            properties.join(", ")
        )
    }
}

/// Queues a restore; errors are those of the RESTORE statement.
pub fn submit_restore(cluster: &ClusterInner, request: RestoreRequest) -> SqlResult<()> {
    let now_ms = cluster.clock.now_ms();
    let forgotten = {
        let mut state = cluster.fe.lock();
        let db_id = database_id(&state, &request.db)?;
        if request.repository != LOCAL_REPOSITORY {
            return Err(SqlError::common(format!("Repository {} does not exist", request.repository)));
        }
        let mut properties = restore_properties(&request.properties)?;
        // The RPC marks its tables, whatever is asked for.
        properties.is_being_synced = true;
        state.snapshots.check_idle(db_id, &request.label)?;
        let RestoreRequest { db, label, table_refs, mut job_info, mut meta, .. } = request;
        check_extra_info(&job_info)?;
        include(&mut job_info, &mut meta, &table_refs)?;
        add_job(&mut state, NewJob { db_id, db, label, properties, job_info, meta, repository: None }, now_ms)
    };
    local::release_files(cluster, &local::files_of(&forgotten));
    cluster.changed.notify_waiters();
    Ok(())
}

/// What a restore starts from.
pub(super) struct NewJob {
    pub db_id: i64,
    pub db: String,
    pub label: String,
    pub properties: RestoreProperties,
    pub job_info: JobInfo,
    pub meta: SnapshotMeta,
    pub repository: Option<StoredPlace>,
}

/// Queues the job and returns those that are forgotten for it.
pub(super) fn add_job(state: &mut FeState, new: NewJob, now_ms: i64) -> Vec<Job> {
    let NewJob { db_id, db, label, properties, job_info, meta, repository } = new;
    let id = state.ids.allocate();
    state.journal();
    let job = RestoreJob {
        id,
        db_id,
        db_name: db,
        label,
        state: RestoreState::Pending,
        status: JobStatus::ok(),
        properties,
        job_info,
        repository,
        meta,
        create_time: now_ms,
        meta_prepared_time: 0,
        snapshot_finished_time: 0,
        download_finished_time: 0,
        task_error: None,
        finished_time: 0,
        plan: RestorePlan::default(),
        downloads: None,
    };
    state.snapshots.add(db_id, Job::Restore(Box::new(job)))
}

fn check_extra_info(job_info: &JobInfo) -> SqlResult<()> {
    let Some(extra) = &job_info.extra_info else {
        return Err(SqlError::common("Invalid job extra info empty"));
    };
    if extra.be_network_map.as_ref().is_none_or(BTreeMap::is_empty) {
        return Err(SqlError::common("Invalid job extra info be network map"));
    }
    if extra.token.as_ref().is_none_or(String::is_empty) {
        return Err(SqlError::common("Invalid job extra info token"));
    }
    Ok(())
}

/// Reduces the snapshot to the include list and notes the aliases.
pub(super) fn include(
    job_info: &mut JobInfo,
    meta: &mut SnapshotMeta,
    refs: &[TableReference],
) -> SqlResult<()> {
    if refs.is_empty() {
        return Ok(());
    }
    let mut aliases = BTreeSet::new();
    for one in refs {
        let is_view = job_info.new_backup_objects.views.iter().any(|view| view.name == one.table);
        if !job_info.backup_objects.contains_key(&one.table) && !is_view {
            return Err(SqlError::common(format!(
                "Table {} does not exist in snapshot {}",
                one.table, job_info.name
            )));
        }
        if let Some(wanted) = &one.partitions {
            include_partitions(job_info, meta, &one.table, wanted)?;
        }
        if let Some(alias) = one.alias.as_ref().filter(|alias| !alias.is_empty()) {
            if !aliases.insert(alias.clone()) {
                return Err(SqlError::common(format!("Duplicated alias name: {alias}")));
            }
            job_info.tblalias.insert(one.table.clone(), alias.clone());
        }
    }
    let is_wanted = |name: &str| refs.iter().any(|one| one.table == name);
    job_info.backup_objects.retain(|name, _| is_wanted(name));
    job_info.new_backup_objects.views.retain(|view| is_wanted(&view.name));
    Ok(())
}

fn include_partitions(
    job_info: &mut JobInfo,
    meta: &mut SnapshotMeta,
    table: &str,
    wanted: &[String],
) -> SqlResult<()> {
    let label = job_info.name.clone();
    let Some(info) = job_info.backup_objects.get_mut(table) else { return Ok(()) };
    if let Some(missing) = wanted.iter().find(|name| !info.partitions.contains_key(*name)) {
        return Err(SqlError::common(format!(
            "Partition {missing} of table {table} does not exist in snapshot {label}"
        )));
    }
    info.partitions.retain(|name, _| wanted.contains(name));
    if let Some(table) = meta.tables.get_mut(table).and_then(Table::as_olap_mut) {
        table.partitions.retain(|_, partition| wanted.contains(&partition.name));
    }
    Ok(())
}
