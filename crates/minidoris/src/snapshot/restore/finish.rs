//! COMMIT: show what was restored; and taking everything back when a job ends early.

use std::collections::BTreeSet;
use std::sync::Arc;

use doris_types::record::{DropPartitionRecord, DropTableRecord};

use super::prepare::{METADATA_ONLY, olap_mut};
use super::{ATOMIC_PREFIX, RestoreJob, RestorePlan, RestoreState, TablePlan, Target, ViewPlan};
use crate::be::Tablet;
use crate::binlog::{BinlogType, html_safe_json};
use crate::catalog_ops;
use crate::cluster::ClusterInner;
use crate::exec::{Recycled, RecycledObject};
use crate::model::{Partition, Table, TableState};
use crate::snapshot::job::JobStatus;
use crate::state::FeState;

/// Adopts versions, swaps, cleans. A restore itself leaves no binlog; only what it cleans does.
pub(super) fn commit(
    cluster: &ClusterInner,
    fe: &mut FeState,
    job: &mut RestoreJob,
    now_ms: i64,
) -> Result<(), String> {
    check_still_there(fe, job)?;
    let plan = std::mem::take(&mut job.plan);
    fetched(cluster, &plan).for_each(|tablet| tablet.take_fetched());
    for table in &plan.tables {
        if job.job_info.content == METADATA_ONLY {
            empty(cluster, fe, job.db_id, table);
        }
        adopt_versions(fe, job.db_id, table, now_ms);
        cluster.queries.recount_numbers(table.table_id);
        match table.target {
            Target::New | Target::InPlace => {}
            Target::Swap { replaced } => swap(cluster, fe, job.db_id, table, replaced),
        }
        if let Some(restored) = olap_mut(fe, job.db_id, table.table_id) {
            restored.state = TableState::Normal;
            restored.is_being_synced |= job.properties.is_being_synced;
        }
        for partition_id in table.versions.keys() {
            fe.snapshots.restoring.remove(partition_id);
        }
    }
    for view in &plan.views {
        put_view(fe, job.db_id, view);
    }
    if job.properties.clean_partitions {
        for table in plan.tables.iter().filter(|table| table.target == Target::InPlace) {
            clean_partitions(cluster, fe, job.db_id, table, now_ms);
        }
    }
    if job.properties.clean_tables {
        clean_tables(cluster, fe, job, now_ms);
    }
    // What is left of the plan has been done and must not be undone.
    job.plan = RestorePlan::default();
    Ok(())
}

fn check_still_there(fe: &FeState, job: &RestoreJob) -> Result<(), String> {
    let Some(db) = fe.databases.get(&job.db_id) else {
        return Err(format!("database {} has been dropped", job.db_id));
    };
    for plan in &job.plan.tables {
        let Some(table) = db.tables.get(&plan.table_id).and_then(Table::as_olap) else {
            return Err(format!("table {} has been dropped", plan.table_id));
        };
        if let Some(missing) = plan.versions.keys().find(|id| !table.partitions.contains_key(id)) {
            return Err(format!("partition {missing} has been dropped"));
        }
        if let Target::Swap { replaced } = plan.target
            && let Some(other) = db.table_named(&plan.name)
            && replaced != Some(other.id())
        {
            return Err(format!("Table {} already exist in db: {}", plan.name, db.name));
        }
    }
    Ok(())
}

/// The local tablets that files were fetched for. One whose backend is gone has lost them.
fn fetched<'a>(cluster: &'a ClusterInner, plan: &'a RestorePlan) -> impl Iterator<Item = Arc<Tablet>> + 'a {
    plan.downloads
        .iter()
        .filter_map(|download| cluster.backend(download.backend_id)?.tablet(download.local_tablet_id).ok())
}

/// A snapshot without rows leaves tables without rows.
fn empty(cluster: &ClusterInner, fe: &FeState, db_id: i64, plan: &TablePlan) {
    let table =
        fe.databases.get(&db_id).and_then(|db| db.tables.get(&plan.table_id)).and_then(Table::as_olap);
    let Some(table) = table else { return };
    for (partition_id, version) in &plan.versions {
        let tablets = table.partitions.get(partition_id).into_iter().flat_map(Partition::tablets);
        for (tablet, replica) in tablets.flat_map(|tablet| tablet.replicas.iter().map(move |r| (tablet, r))) {
            let found = cluster.backend(replica.backend_id).map(|backend| backend.tablet(tablet.id));
            if let Some(Ok(found)) = found {
                found.replace(*version, Vec::new());
            }
        }
    }
}

fn adopt_versions(fe: &mut FeState, db_id: i64, plan: &TablePlan, now_ms: i64) {
    let Some(table) = olap_mut(fe, db_id, plan.table_id) else { return };
    for (partition_id, version) in &plan.versions {
        let Some(partition) = table.partitions.get_mut(partition_id) else { continue };
        partition.visible_version = *version;
        partition.next_version = version + 1;
        partition.visible_version_time = now_ms;
        for tablet in partition.indexes.values_mut().flat_map(|index| &mut index.tablets) {
            for replica in &mut tablet.replicas {
                replica.version = *version;
                replica.last_failed_version = -1;
            }
        }
    }
}

/// The new table takes the name; the old one is erased at once, without recycle bin or record.
fn swap(cluster: &ClusterInner, fe: &mut FeState, db_id: i64, plan: &TablePlan, replaced: Option<i64>) {
    if let Some(old) = replaced {
        remove_table(cluster, fe, db_id, old);
    }
    if let Some(table) = olap_mut(fe, db_id, plan.table_id) {
        table.name.clone_from(&plan.name);
        let base = table.base_index_id;
        if let Some(index) = table.indexes.get_mut(&base) {
            index.name.clone_from(&plan.name);
        }
    }
}

/// Removes a table for good.
fn remove_table(cluster: &ClusterInner, fe: &mut FeState, db_id: i64, table_id: i64) {
    let removed = fe.databases.get_mut(&db_id).and_then(|db| db.tables.remove(&table_id));
    if let Some(Table::Olap(table)) = removed {
        for partition in table.partitions.values().chain(table.temp_partitions.values()) {
            catalog_ops::forget_partition(fe, partition);
        }
        catalog_ops::drop_table_tablets(cluster, &table);
    }
}

fn put_view(fe: &mut FeState, db_id: i64, plan: &ViewPlan) {
    if plan.keeps_local {
        return;
    }
    let mut view = plan.view.clone();
    view.id = fe.ids.allocate();
    let Some(db) = fe.databases.get_mut(&db_id) else { return };
    let replaced = db.table_named(&view.name).map(Table::id);
    if let Some(old) = replaced {
        db.tables.remove(&old);
    }
    db.tables.insert(view.id, Table::View(Box::new(view)));
}

/// Drops the partitions of a restored table that the snapshot does not have.
fn clean_partitions(cluster: &ClusterInner, fe: &mut FeState, db_id: i64, plan: &TablePlan, now_ms: i64) {
    let Some(table) = olap_mut(fe, db_id, plan.table_id) else { return };
    let surplus: Vec<i64> =
        table.partitions.keys().filter(|id| !plan.versions.contains_key(id)).copied().collect();
    for partition_id in surplus {
        let Some(table) = olap_mut(fe, db_id, plan.table_id) else { return };
        let Some(partition) = table.partitions.remove(&partition_id) else { continue };
        drop_partition(cluster, fe, db_id, plan.table_id, partition, now_ms);
    }
}

fn drop_partition(
    _cluster: &ClusterInner,
    fe: &mut FeState,
    db_id: i64,
    table_id: i64,
    partition: Partition,
    now_ms: i64,
) {
    catalog_ops::forget_partition(fe, &partition);
    let record = DropPartitionRecord {
        db_id,
        table_id,
        partition_id: partition.id,
        partition_name: partition.name.clone(),
        is_temp_partition: false,
        force_drop: false,
        recycle_time: now_ms,
        sql: format!("DROP PARTITION `{}`", partition.name),
        version: partition.visible_version,
        version_time: partition.visible_version_time,
    };
    fe.journal_binlog(now_ms, BinlogType::DROP_PARTITION, db_id, &[table_id], |_| html_safe_json(&record));
    let object = RecycledObject::Partition { db_id, table_id, partition: Box::new(partition) };
    fe.ddl.recycle_bin.push(Recycled { object, drop_time: now_ms });
}

/// Drops every table and view whose name is none of the snapshot's. Aliases do not count as names.
fn clean_tables(_cluster: &ClusterInner, fe: &mut FeState, job: &RestoreJob, now_ms: i64) {
    let names: BTreeSet<&str> = job
        .job_info
        .backup_objects
        .keys()
        .map(String::as_str)
        .chain(job.job_info.new_backup_objects.views.iter().map(|view| view.name.as_str()))
        .collect();
    let db_id = job.db_id;
    let Some(db) = fe.databases.get(&db_id) else { return };
    let surplus: Vec<i64> = db
        .tables
        .values()
        .filter(|table| table.as_olap().is_none_or(|table| table.async_view.is_none()))
        .filter(|table| !names.contains(table.name()) && !table.name().starts_with(ATOMIC_PREFIX))
        .map(Table::id)
        .collect();
    for table_id in surplus {
        let Some(table) = fe.databases.get_mut(&db_id).and_then(|db| db.tables.remove(&table_id)) else {
            continue;
        };
        if let Table::Olap(olap) = &table {
            for partition in olap.partitions.values().chain(olap.temp_partitions.values()) {
                catalog_ops::forget_partition(fe, partition);
            }
        }
        // Views are told as tables too.
        fe.journal_binlog(now_ms, BinlogType::DROP_TABLE, db_id, &[table_id], |commit_seq| {
            html_safe_json(&DropTableRecord {
                commit_seq,
                db_id,
                table_id,
                table_name: table.name().to_owned(),
                is_view: false,
                raw_sql: format!("DROP TABLE IF EXISTS `{}`", table.name()),
            })
        });
        let object = RecycledObject::Table { db_id, table: Box::new(table) };
        fe.ddl.recycle_bin.push(Recycled { object, drop_time: now_ms });
    }
}

/// Ends the job as CANCELLED and takes back what PENDING did.
pub(super) fn undo(
    cluster: &ClusterInner,
    fe: &mut FeState,
    job: &mut RestoreJob,
    status: JobStatus,
    now_ms: i64,
) {
    tracing::info!(label = job.label, reason = %status.message, "restore cancelled");
    job.downloads = None;
    let plan = std::mem::take(&mut job.plan);
    // Transfers that still run find their tablet with nothing to show for it, or lay aside what nobody takes.
    fetched(cluster, &plan).for_each(|tablet| tablet.forget_fetched());
    for table in &plan.tables {
        for partition_id in table.versions.keys() {
            fe.snapshots.restoring.remove(partition_id);
        }
        match table.target {
            Target::New => remove_table(cluster, fe, job.db_id, table.table_id),
            Target::Swap { replaced } => {
                remove_table(cluster, fe, job.db_id, table.table_id);
                if let Some(old) = replaced.and_then(|id| olap_mut(fe, job.db_id, id)) {
                    old.in_atomic_restore = false;
                }
            }
            Target::InPlace => take_back_partitions(cluster, fe, job.db_id, table),
        }
    }
    job.state = RestoreState::Cancelled;
    job.status = status;
    job.finished_time = now_ms;
    fe.journal();
}

fn take_back_partitions(cluster: &ClusterInner, fe: &mut FeState, db_id: i64, plan: &TablePlan) {
    let Some(table) = olap_mut(fe, db_id, plan.table_id) else { return };
    table.state = TableState::Normal;
    let added: Vec<Partition> =
        plan.added_partitions.iter().filter_map(|id| table.partitions.remove(id)).collect();
    for partition in added {
        catalog_ops::forget_partition(fe, &partition);
        catalog_ops::drop_partition_tablets(cluster, &partition);
    }
}
