//! RESTORE SNAPSHOT … FROM a repository.

use std::collections::BTreeMap;

use super::TableReference;
use super::submit::{NewJob, RestoreRequest, add_job, include};
use crate::cluster::ClusterInner;
use crate::error::{SqlError, SqlResult};
use crate::snapshot::properties::restore_properties;
use crate::snapshot::repository::{self, StoredPlace, storage};
use crate::snapshot::{database_id, job_info::JobInfo, local};
use crate::sql::SnapshotStatement;

/// Queues a restore of what the statement names.
pub fn restore_from_repository(
    cluster: &ClusterInner,
    db: &str,
    restore: &SnapshotStatement,
) -> SqlResult<()> {
    let now_ms = cluster.clock.now_ms();
    let forgotten = {
        let mut state = cluster.fe.lock();
        let db_id = database_id(&state, db)?;
        let Some(repository) = repository::named(&state, &restore.repository)? else {
            return Err(SqlError::common("restore from the local repo via SQL call is not supported"));
        };
        let location = repository.location.clone();
        let given: BTreeMap<String, String> =
            restore.properties.iter().map(|(key, value)| (key.to_lowercase(), value.clone())).collect();
        let properties = restore_properties(&given)?;
        let Some(timestamp) = given.get("backup_timestamp") else {
            return Err(SqlError::common("Missing backup_timestamp property"));
        };
        state.snapshots.check_idle(db_id, &restore.label)?;
        let place = StoredPlace {
            repository: restore.repository.clone(),
            location,
            label: restore.label.clone(),
            timestamp: timestamp.clone(),
        };
        let stored = storage::find(&place);
        let stored = stored.ok_or_else(|| SqlError::common(unknown_snapshot(&place, &place.missing())))?;
        let parsed = RestoreRequest::parse_payloads(&stored.meta, &stored.job_info);
        let (mut meta, mut job_info) =
            parsed.ok_or_else(|| SqlError::common(unknown_snapshot(&place, "it is not readable")))?;
        include(&mut job_info, &mut meta, &references(restore))?;
        exclude(&mut job_info, &restore.exclude)?;
        let new = NewJob {
            db_id,
            db: db.to_owned(),
            label: restore.label.clone(),
            properties,
            job_info,
            meta,
            repository: Some(place),
        };
        add_job(&mut state, new, now_ms)
    };
    local::release_files(cluster, &local::files_of(&forgotten));
    cluster.changed.notify_waiters();
    Ok(())
}

fn unknown_snapshot(place: &StoredPlace, reason: &str) -> String {
    format!(
        "Failed to get info of snapshot '{}' because: {reason}. Maybe specified wrong backup timestamp",
        place.label
    )
}

fn references(restore: &SnapshotStatement) -> Vec<TableReference> {
    let tables = restore.tables.iter().flatten().map(|table| TableReference {
        table: table.name.clone(),
        partitions: table.partitions.clone(),
        alias: table.alias.clone(),
    });
    tables.collect()
}

fn exclude(job_info: &mut JobInfo, names: &[String]) -> SqlResult<()> {
    for name in names {
        let views = &mut job_info.new_backup_objects.views;
        let known_views = views.len();
        views.retain(|view| view.name != *name);
        if job_info.backup_objects.remove(name).is_none() && views.len() == known_views {
            return Err(SqlError::common(format!(
                "Table {name} does not exist in snapshot {}",
                job_info.name
            )));
        }
    }
    Ok(())
}
