//! The end of a job: data rewritten and indexes swapped in one step, or everything taken back.

use doris_types::record::AlterJobState;
use indexmap::IndexMap;

use super::{JobKind, SHADOW_PREFIX, SchemaJob, convert, journal, set_row_state};
use crate::catalog_ops;
use crate::cluster::ClusterInner;
use crate::exec::context;
use crate::model::{IndexSchema, IndexState, MaterializedIndex, OlapTable, TableState};
use crate::state::FeState;

/// Rewrites the data and makes the new indexes normal ones. Nothing has changed when this fails.
pub fn finish(cluster: &ClusterInner, state: &mut FeState, job: &SchemaJob) -> Result<(), String> {
    let table = context::olap(state, job.db_id, job.table_id);
    let targets = job.targets(table.base_index_id);
    for partition in table.partitions.values() {
        for (schema, origin_id) in &targets {
            let parts = (
                table.indexes.get(origin_id),
                partition.indexes.get(origin_id),
                partition.indexes.get(&schema.id),
            );
            let (Some(origin_schema), Some(origin), Some(target)) = parts else {
                return Err(format!("index {origin_id} or {} is gone", schema.id));
            };
            convert::partition(cluster, partition, job.id, (origin_schema, origin), (schema, target))?;
        }
    }
    let table = context::olap_mut(state, job.db_id, job.table_id);
    table.state = TableState::Normal;
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
            if let Some(properties) = &patch.properties {
                table.properties.clone_from(properties);
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
    Ok(())
}

/// Takes the new indexes back and frees the table.
pub fn cancel(cluster: &ClusterInner, state: &mut FeState, job: &SchemaJob, message: &str) {
    let table = context::olap_mut(state, job.db_id, job.table_id);
    table.state = TableState::Normal;
    let mut removed = Vec::new();
    for (schema, _) in job.targets(table.base_index_id) {
        table.indexes.shift_remove(&schema.id);
        for partition in table.partitions.values_mut() {
            removed.extend(partition.indexes.shift_remove(&schema.id));
        }
    }
    delete(cluster, state, removed);
    set_row_state(cluster, state, job.id, "CANCELLED", message);
    journal(cluster, state, job, AlterJobState::Cancelled);
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
