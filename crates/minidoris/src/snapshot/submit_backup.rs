//! What a BACKUP statement is checked for before its job exists.

use super::backup::{BackupJob, BackupObject};
use super::job::Job;
use super::properties::backup_properties;
use super::repository::{self, StoredPlace, storage};
use super::{local, show};
use crate::cluster::ClusterInner;
use crate::error::{SqlError, SqlResult};
use crate::model::{Database, Table};
use crate::sql::SnapshotStatement;
use crate::state::FeState;

/// Accepts a BACKUP statement; the job then advances with [`super::tick`]. The journal id that the
/// acceptance takes is the snapshot's commit seq, and precedes everything the job writes.
pub fn submit_backup(cluster: &ClusterInner, db: &str, backup: &SnapshotStatement) -> SqlResult<()> {
    let now_ms = cluster.clock.now_ms();
    let forgotten = {
        let mut state = cluster.fe.lock();
        let db_id = super::database_id(&state, db)?;
        let place = place(&state, backup, now_ms)?;
        let configured = state.config.get("backup_job_default_timeout_ms");
        let default_timeout_ms = configured.and_then(|value| value.parse().ok());
        let properties = backup_properties(&backup.properties, default_timeout_ms)?;
        if let Some(aliased) = backup.tables.iter().flatten().find(|table| table.alias.is_some()) {
            return Err(SqlError::common(format!(
                "table alias is not supported in backup: {}",
                aliased.name
            )));
        }
        state.snapshots.check_idle(db_id, &backup.label)?;
        if let Some(place) = &place
            && storage::list(&place.location).iter().any(|(label, _)| *label == place.label)
        {
            return Err(SqlError::common(format!(
                "Snapshot with name '{}' already exist in repository",
                place.label
            )));
        }
        let commit_seq = state.journal();
        let ignores_temporary = state.config_flag("ignore_backup_tmp_partitions");
        let catalogue = state.databases.get(&db_id).ok_or_else(|| SqlError::unknown_database(db))?;
        let objects = objects(catalogue, backup, ignores_temporary)?;
        let id = state.ids.allocate();
        let mut job = BackupJob::new(id, db_id, db, &backup.label, objects, properties, commit_seq, now_ms);
        job.repository = place;
        state.snapshots.add(db_id, Job::Backup(Box::new(job)))
    };
    local::release_files(cluster, &local::files_of(&forgotten));
    cluster.changed.notify_waiters();
    Ok(())
}

/// Where the snapshot goes; `None` when it stays on the backends.
fn place(state: &FeState, backup: &SnapshotStatement, now_ms: i64) -> SqlResult<Option<StoredPlace>> {
    let Some(repository) = repository::named(state, &backup.repository)? else { return Ok(None) };
    if repository.is_read_only {
        return Err(SqlError::common(format!("Repository {} is read only", backup.repository)));
    }
    Ok(Some(StoredPlace {
        repository: backup.repository.clone(),
        location: repository.location.clone(),
        label: backup.label.clone(),
        timestamp: show::backup_timestamp(now_ms),
    }))
}

/// The tables to back up: those listed, or all that EXCLUDE does not name.
fn objects(
    db: &Database,
    backup: &SnapshotStatement,
    ignores_temporary: bool,
) -> SqlResult<Vec<BackupObject>> {
    let objects: Vec<BackupObject> = match &backup.tables {
        Some(listed) => listed
            .iter()
            .map(|table| BackupObject { name: table.name.clone(), partitions: table.partitions.clone() })
            .collect(),
        None => db
            .tables
            .values()
            .filter(|table| {
                table.as_olap().is_none_or(|table| table.async_view.is_none() && !table.is_temporary)
            })
            .map(|table| table.name().to_owned())
            .filter(|name| !backup.exclude.contains(name))
            .map(|name| BackupObject { name, partitions: None })
            .collect(),
    };
    for object in &objects {
        check_object(db, object, ignores_temporary)?;
    }
    Ok(objects)
}

fn check_object(db: &Database, object: &BackupObject, ignores_temporary: bool) -> SqlResult<()> {
    let Some(table) = db.table_named(&object.name) else {
        let message = format!("Unknown table '{}'", object.name);
        return Err(SqlError { code: 1051, state: "42S02", message });
    };
    let table = match table {
        Table::Olap(table) => table,
        Table::View(_) => return Ok(()),
    };
    if !table.temp_partitions.is_empty() && !ignores_temporary {
        return Err(SqlError::common(format!(
            "Do not support backup table {} with temp partitions",
            table.name
        )));
    }
    for name in object.partitions.iter().flatten() {
        if !table.partitions.values().any(|partition| partition.name == *name) {
            return Err(SqlError::common(format!("Unknown partition {name} in table{}", table.name)));
        }
    }
    Ok(())
}
