//! The end of a job: data rewritten and indexes swapped in one step, or everything taken back.

use std::collections::HashSet;

use doris_types::record::AlterJobState;
use indexmap::IndexMap;

use super::{JobKind, SchemaJob, convert, journal, set_row_state};
use crate::catalog_ops;
use crate::cluster::ClusterInner;
use crate::exec::context;
use crate::model::{IndexSchema, IndexState, MaterializedIndex, OlapTable, SHADOW_PREFIX, TableState};
use crate::query::derive::Derivation;
use crate::state::FeState;

/// How an attempt to end a job went.
pub enum Attempt {
    Done,
    /// Backends that the job needs do not answer.
    Waits,
    /// With a message for the job. Nothing has changed.
    Failed(String),
}

/// Rewrites the data and makes the new indexes normal ones.
pub fn finish(cluster: &ClusterInner, state: &mut FeState, job: &SchemaJob) -> Attempt {
    let table = context::olap(state, job.db_id, job.table_id);
    let targets = job.targets();
    let mut steps = Vec::with_capacity(targets.len());
    for partition in table.partitions.values() {
        for (schema, origin_id) in &targets {
            let parts = (
                table.indexes.get(origin_id),
                partition.indexes.get(origin_id),
                partition.indexes.get(&schema.id),
            );
            let (Some(origin_schema), Some(origin), Some(target)) = parts else {
                return Attempt::Failed(format!("index {origin_id} or {} is gone", schema.id));
            };
            if !convert::is_possible(cluster, origin, target) {
                return Attempt::Waits;
            }
            steps.push((partition, (origin_schema, origin), (schema, target)));
        }
    }
    let mut written = HashSet::new();
    let derivation = match &job.kind {
        JobKind::Rollup { index } => Derivation::of(cluster, state, table, index),
        JobKind::SchemaChange { .. } => Ok(None),
    };
    let started = derivation
        .as_ref()
        .map_err(Clone::clone)
        .and_then(|derivation| derivation.as_ref().map(Derivation::start).transpose());
    let deriver = match started {
        Ok(deriver) => deriver,
        Err(error) => return Attempt::Failed(error.message),
    };
    for (partition, origin, target) in steps {
        let outcome =
            convert::partition(cluster, partition, job.id, origin, target, deriver.as_ref(), &mut written);
        if let Err(message) = outcome {
            return Attempt::Failed(message);
        }
    }
    catch_up(state, job, &targets, &written);
    free_table(state, job);
    let table = context::olap_mut(state, job.db_id, job.table_id);
    let mut removed = Vec::new();
    match &job.kind {
        JobKind::Rollup { index } => {
            if let Some(index) = table.indexes.get_mut(&index.id) {
                index.state = IndexState::Normal;
            }
        }
        JobKind::SchemaChange { shadows, patch } => {
            for (shadow, origin_id) in shadows {
                removed.extend(swap(table, shadow.id, *origin_id));
            }
            for (key, value) in patch.properties.iter().flatten() {
                if value.is_empty() {
                    table.properties.shift_remove(key);
                } else {
                    table.properties.insert(key.clone(), value.clone());
                }
            }
            if let Some(indexes) = &patch.secondary_indexes {
                table.secondary_indexes.clone_from(indexes);
            }
            if let Some(next) = patch.next_column_unique_id {
                table.next_column_unique_id = next;
            }
        }
    }
    super::super::light::tell_backends(cluster, context::olap(state, job.db_id, job.table_id));
    delete(cluster, state, removed);
    set_row_state(cluster, state, job.id, "FINISHED", "");
    journal(cluster, state, job, AlterJobState::Finished);
    Attempt::Done
}

/// A rewritten replica holds everything that is visible, also the versions of loads that were planned before
/// its index existed. One on a dead backend holds none of it and waits for repair.
fn catch_up(
    state: &mut FeState,
    job: &SchemaJob,
    targets: &[(IndexSchema, i64)],
    written: &HashSet<convert::ReplicaKey>,
) {
    let mut lagging = Vec::new();
    let table = context::olap_mut(state, job.db_id, job.table_id);
    for partition in table.partitions.values_mut() {
        let visible = partition.visible_version;
        for (schema, _) in targets {
            let Some(index) = partition.indexes.get_mut(&schema.id) else { continue };
            for tablet in &mut index.tablets {
                for replica in &mut tablet.replicas {
                    if written.contains(&(tablet.id, replica.backend_id)) {
                        replica.version = replica.version.max(visible);
                        if replica.last_failed_version <= visible {
                            replica.last_failed_version = -1;
                        }
                    } else {
                        if replica.last_failed_version < 0 {
                            replica.last_failed_version = visible;
                        }
                        lagging.push((tablet.id, replica.backend_id));
                    }
                }
            }
        }
    }
    for (tablet_id, backend_id) in lagging {
        state.txns.note_lagging(tablet_id, backend_id);
    }
}

/// Takes the new indexes back and frees the table.
pub fn cancel(cluster: &ClusterInner, state: &mut FeState, job: &SchemaJob, message: &str) {
    free_table(state, job);
    let table = context::olap_mut(state, job.db_id, job.table_id);
    let mut removed = Vec::new();
    for (schema, _) in job.targets() {
        table.indexes.shift_remove(&schema.id);
        for partition in table.partitions.values_mut() {
            removed.extend(partition.indexes.shift_remove(&schema.id));
        }
    }
    delete(cluster, state, removed);
    set_row_state(cluster, state, job.id, "CANCELLED", message);
    journal(cluster, state, job, AlterJobState::Cancelled);
}

/// The table is NORMAL again with its last job; rollups of one statement are several.
fn free_table(state: &mut FeState, job: &SchemaJob) {
    if state.ddl.running_jobs.iter().all(|other| other.table_id != job.table_id || other.id == job.id) {
        context::olap_mut(state, job.db_id, job.table_id).state = TableState::Normal;
    }
}

/// The shadow takes the origin's name and place; returns the origin's tablets.
fn swap(table: &mut OlapTable, shadow_id: i64, origin_id: i64) -> Vec<MaterializedIndex> {
    let Some(mut shadow) = table.indexes.shift_remove(&shadow_id) else { return Vec::new() };
    shadow.state = IndexState::Normal;
    shadow.name = shadow.name.trim_start_matches(SHADOW_PREFIX).to_owned();
    let indexes: IndexMap<i64, IndexSchema> = std::mem::take(&mut table.indexes)
        .into_iter()
        .map(|(id, index)| if id == origin_id { (shadow_id, shadow.clone()) } else { (id, index) })
        .collect();
    table.indexes = indexes;
    if table.base_index_id == origin_id {
        table.base_index_id = shadow_id;
    }
    let mut removed = Vec::new();
    for partition in table.partitions.values_mut() {
        let Some(new) = partition.indexes.shift_remove(&shadow_id) else { continue };
        let indexes = std::mem::take(&mut partition.indexes);
        for (id, index) in indexes {
            if id == origin_id {
                partition.indexes.insert(shadow_id, new.clone());
                removed.push(index);
            } else {
                partition.indexes.insert(id, index);
            }
        }
    }
    removed
}

fn delete(cluster: &ClusterInner, state: &mut FeState, indexes: Vec<MaterializedIndex>) {
    for index in indexes {
        catalog_ops::drop_index_tablets(cluster, &index);
        for tablet in &index.tablets {
            state.txns.tablets.remove(tablet.id);
        }
    }
}
