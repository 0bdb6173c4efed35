//! PENDING: compare with the catalogue, then create tables, partitions and tablets.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashSet};

use indexmap::IndexMap;

use super::signature::{rewrite_database, same_schema, same_view};
use super::{ATOMIC_PREFIX, RestoreJob, RestorePlan, TablePlan, Target, ViewPlan};
use crate::catalog_ops;
use crate::cluster::ClusterInner;
use crate::model::{
    IndexSchema, OlapTable, Partition, PartitionItem, PartitionScheme, PartitionValue, Table, TableState,
    Tracked,
};
use crate::snapshot::download::DownloadPlan;
use crate::snapshot::job_info::PartitionInfo;
use crate::state::FeState;

/// `content` of a job info without rows.
pub(super) const METADATA_ONLY: &str = "METADATA_ONLY";

/// Checks everything first, so that a mismatch changes nothing.
pub(super) fn prepare(
    cluster: &ClusterInner,
    fe: &mut FeState,
    job: &mut RestoreJob,
    now_ms: i64,
) -> Result<(), String> {
    let names: Vec<String> = job.job_info.backup_objects.keys().cloned().collect();
    let mut targets = Vec::with_capacity(names.len());
    for name in names {
        let remote = remote_table(job, &name)?.clone();
        let target = check_table(fe, job, &name, &remote)?;
        targets.push((name, remote, target));
    }
    let views = check_views(fe, job)?;

    // From here on the plan says what must be undone.
    job.plan = RestorePlan { views, ..RestorePlan::default() };
    for (name, remote, target) in targets {
        match target {
            Target::InPlace => overwrite(cluster, fe, job, &name, &remote)?,
            Target::New | Target::Swap { .. } => create(cluster, fe, job, &name, &remote, target, now_ms)?,
        }
    }
    Ok(())
}

fn remote_table<'a>(job: &'a RestoreJob, name: &str) -> Result<&'a OlapTable, String> {
    match job.meta.tables.get(name) {
        Some(Table::Olap(table)) => Ok(table),
        Some(Table::View(_)) | None => Err(format!("Table {name} is missing in the backup meta")),
    }
}

/// Decides how a table is restored, or why it cannot be.
fn check_table(fe: &FeState, job: &RestoreJob, name: &str, remote: &OlapTable) -> Result<Target, String> {
    let local_name = job.local_name(name);
    let local = fe.databases.get(&job.db_id).and_then(|db| db.table_named(local_name));
    let atomic = job.properties.atomic_restore;
    let local = match local {
        None if atomic => return Ok(Target::Swap { replaced: None }),
        None => return Ok(Target::New),
        Some(local) if local.as_olap().is_none_or(|table| table.async_view.is_some()) => {
            return Err(format!(
                "The type of local table should be same as type of remote table: {local_name}"
            ));
        }
        Some(Table::View(_)) => return Err(format!("Table {local_name} is a view")),
        Some(Table::Olap(local)) => local,
    };
    if local.state != TableState::Normal {
        return Err(format!("Table {local_name}'s state is not NORMAL: {}", local.state.name()));
    }
    if !local.temp_partitions.is_empty() {
        return Err("Do not support restoring table with temp partitions".to_owned());
    }
    if local.properties.get("colocate_with").is_some_and(|group| !group.is_empty()) {
        return Err(format!("Not support to restore to local table {local_name} with colocate group."));
    }
    if !(atomic && job.properties.force_replace) {
        // Part of the schema too, but told first.
        if std::mem::discriminant(&local.partition_scheme) != std::mem::discriminant(&remote.partition_scheme)
        {
            return Err(format!("Table's partition type is different. local table: {}", local.name));
        }
        if !same_schema(local, remote) {
            return Err(format!("Table {local_name} already exist but with different schema"));
        }
        check_partitions(job, local, remote)?;
    }
    Ok(if atomic { Target::Swap { replaced: Some(local.id) } } else { Target::InPlace })
}

fn check_partitions(job: &RestoreJob, local: &OlapTable, remote: &OlapTable) -> Result<(), String> {
    let atomic = job.properties.atomic_restore;
    for theirs in remote.partitions.values() {
        match local.partitions.values().find(|ours| ours.name == theirs.name) {
            Some(ours) => {
                if ours.item != theirs.item {
                    return Err(format!(
                        "Partition {} in table {} has different partition item with partition in repository",
                        ours.name, local.name
                    ));
                }
                let wanted = wanted_replicas(job, theirs);
                if !atomic && ours.replication_num != wanted {
                    return Err(format!(
                        "Partition {} in table {} has different replication num '{}' with partition in \
                         repository, which is {wanted}",
                        ours.name, local.name, ours.replication_num
                    ));
                }
            }
            None if atomic => {}
            None if local.partition_scheme == PartitionScheme::Unpartitioned => {
                return Err(format!("No partition exist in single partitioned table {}", local.name));
            }
            None => {
                if local.partitions.values().any(|ours| items_overlap(local, &ours.item, &theirs.item)) {
                    return Err(format!(
                        "Partition {} in table {} has conflict partition item with existing items",
                        theirs.name, local.name
                    ));
                }
            }
        }
    }
    Ok(())
}

/// Whether two items of a table claim the same rows.
fn items_overlap(table: &OlapTable, ours: &PartitionItem, theirs: &PartitionItem) -> bool {
    let types = table.partition_scheme.column_types(table.columns());
    let is_before = |a: &[PartitionValue], b: &[PartitionValue]| {
        PartitionValue::compare_keys(a, b, &types) == Ordering::Less
    };
    match (ours, theirs) {
        (
            PartitionItem::Range { lower: our_lower, upper: our_upper },
            PartitionItem::Range { lower: their_lower, upper: their_upper },
        ) => is_before(our_lower, their_upper) && is_before(their_lower, our_upper),
        (
            PartitionItem::List { keys: ours, is_default: our_default },
            PartitionItem::List { keys: theirs, is_default: their_default },
        ) => (*our_default && *their_default) || ours.iter().any(|key| theirs.contains(key)),
        (ours, theirs) => ours == theirs,
    }
}

fn wanted_replicas(job: &RestoreJob, remote: &Partition) -> u16 {
    if job.properties.reserve_replica { remote.replication_num } else { job.properties.replication_num }
}

fn check_views(fe: &FeState, job: &RestoreJob) -> Result<Vec<ViewPlan>, String> {
    let mut plans = Vec::new();
    let Some(db) = fe.databases.get(&job.db_id) else { return Ok(plans) };
    for info in &job.job_info.new_backup_objects.views {
        let Some(Table::View(remote)) = job.meta.tables.get(&info.name) else {
            return Err(format!("View {} is missing in the backup meta", info.name));
        };
        let local_name = job.local_name(&info.name);
        let mut keeps_local = false;
        match db.table_named(local_name) {
            Some(Table::Olap(_)) => {
                return Err(format!(
                    "The local table {local_name} with the same name but a different type of backup meta."
                ));
            }
            Some(Table::View(local)) => {
                let same = same_view(local, remote, &job.job_info.database, &job.db_name);
                let replaces = job.properties.atomic_restore && job.properties.force_replace;
                if !same && !replaces {
                    return Err(format!("View {local_name} already exist but with different schema"));
                }
                keeps_local = !job.properties.atomic_restore;
            }
            None => {}
        }
        let mut view = (**remote).clone();
        view.name = local_name.to_owned();
        view.definition = rewrite_database(&view.definition, &job.job_info.database, &job.db_name);
        plans.push(ViewPlan { view, keeps_local });
    }
    Ok(plans)
}

/// Overwrites partitions of an existing table, keeping its ids, and adds those it lacks.
fn overwrite(
    cluster: &ClusterInner,
    fe: &mut FeState,
    job: &mut RestoreJob,
    name: &str,
    remote: &OlapTable,
) -> Result<(), String> {
    let local_name = job.local_name(name).to_owned();
    let db_id = job.db_id;
    let local = fe.databases.get(&db_id).and_then(|db| db.table_named(&local_name)).and_then(Table::as_olap);
    let Some(local) = local.cloned() else { return Err(format!("table {local_name} has been dropped")) };
    let index_ids = index_pairs(remote, &local);
    let mut plan = TablePlan {
        table_id: local.id,
        name: local_name,
        target: Target::InPlace,
        versions: BTreeMap::new(),
        added_partitions: Vec::new(),
    };
    let mut restored = Vec::new();
    let mut added = Vec::new();
    for (info_name, info) in partitions_of(job, name) {
        let Some(theirs) = remote.partitions.values().find(|partition| partition.name == info_name) else {
            continue;
        };
        let ours = match local.partitions.values().find(|partition| partition.name == info_name) {
            Some(ours) => {
                fe.snapshots.restoring.insert(ours.id);
                ours.clone()
            }
            None => {
                let replicas = wanted_replicas(job, theirs);
                let made = new_partition(cluster, fe, &local, db_id, theirs, replicas)?;
                plan.added_partitions.push(made.id);
                added.push(made.clone());
                made
            }
        };
        plan.versions.insert(ours.id, info.version);
        restored.push((info, ours));
    }
    if let Some(table) = olap_mut(fe, db_id, local.id) {
        table.state = TableState::Restore;
        table.partitions.extend(added.into_iter().map(|partition| (partition.id, partition)));
    }
    job.plan.tables.push(plan);
    for (info, ours) in &restored {
        plan_downloads(job, name, info, ours, &index_ids)?;
    }
    Ok(())
}

/// Builds a new table with new ids.
fn create(
    cluster: &ClusterInner,
    fe: &mut FeState,
    job: &mut RestoreJob,
    name: &str,
    remote: &OlapTable,
    target: Target,
    now_ms: i64,
) -> Result<(), String> {
    let db_id = job.db_id;
    let local_name = job.local_name(name).to_owned();
    let build_name = match target {
        Target::Swap { .. } => format!("{ATOMIC_PREFIX}{local_name}"),
        Target::New | Target::InPlace => local_name.clone(),
    };
    let mut table = blank_copy(fe, job, remote, build_name, now_ms);
    let index_ids = index_pairs(remote, &table);
    let mut plan = TablePlan {
        table_id: table.id,
        name: local_name,
        target,
        versions: BTreeMap::new(),
        added_partitions: Vec::new(),
    };
    let mut infos = Vec::new();
    for (info_name, info) in partitions_of(job, name) {
        let Some(theirs) = remote.partitions.values().find(|partition| partition.name == info_name) else {
            continue;
        };
        let replicas = wanted_replicas(job, theirs);
        let mut made = match new_partition(cluster, fe, &table, db_id, theirs, replicas) {
            Ok(made) => made,
            Err(text) => {
                catalog_ops::drop_table_tablets(cluster, &table);
                for partition in table.partitions.values() {
                    catalog_ops::forget_partition(fe, partition);
                }
                return Err(text);
            }
        };
        if table.partition_scheme == PartitionScheme::Unpartitioned {
            made.name.clone_from(&plan.name);
        }
        plan.versions.insert(made.id, info.version);
        infos.push((info, made.id));
        table.partitions.insert(made.id, made);
    }
    let partitions = table.partitions.clone();
    if let Target::Swap { replaced: Some(replaced) } = target
        && let Some(old) = olap_mut(fe, db_id, replaced)
    {
        old.in_atomic_restore = true;
    }
    if let Some(db) = fe.databases.get_mut(&db_id) {
        db.tables.insert(table.id, Table::Olap(Tracked::new(table)));
    }
    // Part of the plan before anything else can fail, so that it is taken back then.
    job.plan.tables.push(plan);
    for (info, partition_id) in &infos {
        plan_downloads(job, name, info, &partitions[partition_id], &index_ids)?;
    }
    Ok(())
}

/// The snapshot's table with new table and index ids and no partitions, adjusted as restores do.
fn blank_copy(
    fe: &mut FeState,
    job: &RestoreJob,
    remote: &OlapTable,
    name: String,
    now_ms: i64,
) -> OlapTable {
    let mut table = remote.clone();
    table.id = fe.ids.allocate();
    table.partitions = BTreeMap::new();
    table.temp_partitions = BTreeMap::new();
    let mut indexes: IndexMap<i64, IndexSchema> = IndexMap::new();
    for (id, index) in &remote.indexes {
        let mut index = index.clone();
        index.id = fe.ids.allocate();
        if *id == remote.base_index_id {
            table.base_index_id = index.id;
            index.name.clone_from(&name);
        }
        indexes.insert(index.id, index);
    }
    table.indexes = indexes;
    // Index files are found by these ids, so they stay as they are upstream unless an operator wants others.
    if fe.config_flag("restore_reset_index_id") {
        for index in &mut table.secondary_indexes {
            index.id = fe.ids.allocate();
        }
    }
    table.name = name;
    table.state = TableState::Restore;
    table.in_atomic_restore = false;
    table.is_being_synced |= job.properties.is_being_synced;
    table.create_time = now_ms;
    if !job.properties.reserve_replica {
        table.replication_num = job.properties.replication_num;
    }
    table.properties.shift_remove("storage_policy");
    table.properties.shift_remove("dynamic_partition.storage_policy");
    if !job.properties.reserve_colocate {
        table.properties.shift_remove("colocate_with");
    }
    if !job.properties.reserve_dynamic_partition
        && let Some(enable) = table.properties.get_mut("dynamic_partition.enable")
    {
        "false".clone_into(enable);
    }
    table
}

fn new_partition(
    cluster: &ClusterInner,
    fe: &mut FeState,
    table: &OlapTable,
    db_id: i64,
    theirs: &Partition,
    replicas: u16,
) -> Result<Partition, String> {
    // The partition's own number of replicas, not the table's default.
    let mut layout = table.clone();
    layout.replication_num = replicas;
    layout.partitions = BTreeMap::new();
    let item = theirs.item.clone();
    let distribution = theirs.distribution.clone();
    let mut made = catalog_ops::new_partition(cluster, fe, &layout, db_id, &theirs.name, item, distribution)
        .map_err(|error| error.message)?;
    made.storage_medium.clone_from(&theirs.storage_medium);
    Ok(made)
}

/// Snapshot index id to local index id, by name; the base index by its role.
fn index_pairs(remote: &OlapTable, local: &OlapTable) -> BTreeMap<i64, i64> {
    let local_id = |remote_index: &IndexSchema| {
        if remote_index.id == remote.base_index_id {
            return Some(local.base_index_id);
        }
        local.indexes.values().find(|index| index.name == remote_index.name).map(|index| index.id)
    };
    remote.indexes.values().filter_map(|index| Some((index.id, local_id(index)?))).collect()
}

fn partitions_of(job: &RestoreJob, table: &str) -> Vec<(String, PartitionInfo)> {
    let info = job.job_info.backup_objects.get(table);
    info.into_iter()
        .flat_map(|table| table.partitions.iter())
        .map(|(name, info)| (name.clone(), info.clone()))
        .collect()
}

/// One transfer per local replica: tablets are paired by their position in the index.
fn plan_downloads(
    job: &mut RestoreJob,
    table: &str,
    info: &PartitionInfo,
    local: &Partition,
    index_ids: &BTreeMap<i64, i64>,
) -> Result<(), String> {
    if job.job_info.content == METADATA_ONLY {
        return Ok(());
    }
    let mut seen = HashSet::new();
    for index in info.indexes.values() {
        let Some(local_index) = index_ids.get(&index.id).and_then(|id| local.indexes.get(id)) else {
            return Err(format!("failed to get schema hash of table: {table}, index: {}", index.id));
        };
        if local_index.tablets.len() != index.tablets_order.len() {
            return Err(format!("Table {} already exist but with different schema", job.local_name(table)));
        }
        for (ours, theirs) in local_index.tablets.iter().zip(&index.tablets_order) {
            let source = match &job.repository {
                Some(_) => Default::default(),
                None => source_of(job, *theirs)?,
            };
            for replica in &ours.replicas {
                if seen.insert((ours.id, replica.backend_id)) {
                    job.plan.downloads.push(DownloadPlan {
                        backend_id: replica.backend_id,
                        local_tablet_id: ours.id,
                        remote_tablet_id: *theirs,
                        remote_host: source.0.clone(),
                        remote_port: source.1,
                        remote_path: source.2.clone(),
                        remote_schema_hash: index.schema_hash,
                    });
                }
            }
        }
    }
    Ok(())
}

/// Host, port and path of a snapshot tablet.
fn source_of(job: &RestoreJob, tablet_id: i64) -> Result<(String, u16, String), String> {
    let info = &job.job_info;
    let backend = info.tablet_be_map.get(&tablet_id).copied().unwrap_or(-1);
    let addresses = info.extra_info.as_ref().and_then(|extra| extra.be_network_map.as_ref());
    let Some(address) = addresses.and_then(|map| map.get(&backend)) else {
        return Err(format!("failed to get remote be address of be: {backend}"));
    };
    let Some(path) = info.tablet_snapshot_path_map.get(&tablet_id) else {
        return Err(format!("failed to get remote snapshot path of tablet: {tablet_id}"));
    };
    Ok((address.ip.clone(), address.port, path.clone()))
}

pub(super) fn olap_mut(fe: &mut FeState, db_id: i64, table_id: i64) -> Option<&mut OlapTable> {
    fe.databases.get_mut(&db_id)?.tables.get_mut(&table_id)?.as_olap_mut()
}
