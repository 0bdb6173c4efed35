//! Starting jobs.

use doris_types::record::AlterJobState;
use doris_types::sql::{qualified_name, quote_identifier, quote_string};

use super::{JobKind, SchemaJob, Stage, TablePatch, journal};
use crate::cluster::ClusterInner;
use crate::error::{SqlError, SqlResult};
use crate::exec::columns::sequence_column;
use crate::exec::light::{self, Planned};
use crate::exec::{AlterJob, context, create_table, properties};
use crate::model::{IndexSchema, KeysType, SHADOW_PREFIX, SecondaryIndex, TableState};
use crate::show::table_properties::is_merge_on_write;
use crate::sql::{Properties, RollupDef, parse_data_type};
use crate::state::FeState;

/// A column change that rewrites data.
pub fn columns(cluster: &ClusterInner, state: &mut FeState, ids: (i64, i64), planned: Planned) {
    let table = context::olap(state, ids.0, ids.1);
    let old = &table.indexes;
    let changed: Vec<IndexSchema> = planned
        .indexes
        .values()
        .filter(|index| old.get(&index.id).is_none_or(|old| old.columns != index.columns))
        .cloned()
        .collect();
    let properties = light::properties_without_dropped(table, &planned.indexes);
    let patch = TablePatch {
        next_column_unique_id: Some(planned.next_column_unique_id),
        properties: Some(properties).filter(|properties| !properties.is_empty()),
        ..TablePatch::default()
    };
    schema_change(cluster, state, ids, changed, patch, planned.raw_sql);
}

/// Properties that change how data is stored: bloom filters and row stores.
pub fn storage_properties(
    cluster: &ClusterInner,
    state: &mut FeState,
    ids: (i64, i64),
    given: &Properties,
) -> SqlResult<()> {
    let table = context::olap(state, ids.0, ids.1);
    let mut after = table.properties.clone();
    let mut changed = Properties::new();
    for (key, value) in given {
        let value = properties::normalize(key, value)?;
        changed.insert(key.clone(), value.clone());
        if value.is_empty() {
            after.shift_remove(key)
        } else {
            after.insert(key.clone(), value)
        };
    }
    for key in ["bloom_filter_columns", "row_store_columns"] {
        let names = after.get(key).map(String::as_str).unwrap_or_default();
        if let Some(name) =
            names.split(',').map(str::trim).find(|name| !name.is_empty() && table.column(name).is_none())
        {
            return Err(SqlError::general(format!("column does not exist in table. invalid column: {name}")));
        }
    }
    if after == table.properties {
        return Err(SqlError::general("Nothing is changed. please check your alter stmt."));
    }
    let pairs: Vec<String> =
        given.iter().map(|(key, value)| format!("{} = {}", quote_string(key), quote_string(value))).collect();
    let raw_sql = format!("ALTER TABLE {} SET ({})", full_name(state, ids), pairs.join(", "));
    let base = table.base_index().clone();
    let patch = TablePatch { properties: Some(changed), ..TablePatch::default() };
    schema_change(cluster, state, ids, vec![base], patch, raw_sql);
    Ok(())
}

/// DROP INDEX of an index that is part of the data.
pub fn drop_indexes(
    cluster: &ClusterInner,
    state: &mut FeState,
    ids: (i64, i64),
    remaining: Vec<SecondaryIndex>,
    operations: &[String],
) {
    let base = context::olap(state, ids.0, ids.1).base_index().clone();
    let raw_sql = format!("ALTER TABLE {} {}", full_name(state, ids), operations.join(", \n"));
    let patch = TablePatch { secondary_indexes: Some(remaining), ..TablePatch::default() };
    schema_change(cluster, state, ids, vec![base], patch, raw_sql);
}

/// ENABLE FEATURE "SEQUENCE_LOAD": the hidden sequence column of a unique table.
pub fn enable_feature(
    cluster: &ClusterInner,
    state: &mut FeState,
    ids: (i64, i64),
    name: &str,
    given: &Properties,
) -> SqlResult<()> {
    let table = context::olap(state, ids.0, ids.1);
    if name.eq_ignore_ascii_case("BATCH_DELETE") {
        return Err(SqlError::general(match table.keys_type {
            KeysType::Unique => "Can not enable batch delete support, already supported batch delete.",
            KeysType::Duplicate | KeysType::Aggregate => "Batch delete only supported in unique tables.",
        }));
    }
    if name.eq_ignore_ascii_case("UPDATE_FLEXIBLE_COLUMNS") {
        return enable_flexible_columns(cluster, state, ids);
    }
    if !name.eq_ignore_ascii_case("SEQUENCE_LOAD") {
        return Err(SqlError::general(format!("unknown feature name: {name}")));
    }
    let key = "function_column.sequence_type";
    if table.keys_type != KeysType::Unique {
        return Err(SqlError::general("sequence column only support UNIQUE_KEYS"));
    }
    if table.properties.keys().any(|key| key.starts_with("function_column.sequence")) {
        return Err(SqlError::general(format!("table {} has sequence column already", table.name)));
    }
    let Some(kind) = given.get(key) else {
        return Err(SqlError::general("unknown properties: sequence_type is missing"));
    };
    let changed = Properties::from([(key.to_owned(), properties::normalize(key, kind)?)]);
    let mut base = table.base_index().clone();
    let unique_id = table.next_column_unique_id;
    base.columns.push(sequence_column(parse_data_type(kind)?, unique_id));
    let raw_sql = format!(
        "ALTER TABLE {} ENABLE FEATURE {} WITH PROPERTIES ({} = {})",
        full_name(state, ids),
        quote_string(name),
        quote_string(key),
        quote_string(kind)
    );
    let patch = TablePatch {
        properties: Some(changed),
        next_column_unique_id: Some(unique_id + 1),
        ..TablePatch::default()
    };
    schema_change(cluster, state, ids, vec![base], patch, raw_sql);
    Ok(())
}

/// ENABLE FEATURE "UPDATE_FLEXIBLE_COLUMNS". The bitmap that tells which columns of a row were not given stays
/// out of the schema, as nothing here writes rows with different columns.
fn enable_flexible_columns(cluster: &ClusterInner, state: &mut FeState, ids: (i64, i64)) -> SqlResult<()> {
    let table = context::olap(state, ids.0, ids.1);
    let key = "enable_unique_key_skip_bitmap_column";
    if !is_merge_on_write(table) {
        return Err(SqlError::general(
            "Update flexible columns feature is only supported on merge-on-write unique tables.",
        ));
    }
    if table.properties.get(key).is_some_and(|value| value == "true") {
        return Err(SqlError::general(format!(
            "table {} has enabled update flexible columns feature already.",
            table.name
        )));
    }
    let base = table.base_index().clone();
    let raw_sql = format!("ALTER TABLE {} ENABLE FEATURE \"UPDATE_FLEXIBLE_COLUMNS\"", full_name(state, ids));
    let changed = Properties::from([(key.to_owned(), "true".to_owned())]);
    let patch = TablePatch { properties: Some(changed), ..TablePatch::default() };
    schema_change(cluster, state, ids, vec![base], patch, raw_sql);
    Ok(())
}

/// ADD ROLLUP: one job per rollup.
pub fn rollups(
    cluster: &ClusterInner,
    state: &mut FeState,
    ids: (i64, i64),
    defs: &[RollupDef],
) -> SqlResult<()> {
    let mut table = context::olap(state, ids.0, ids.1).without_partitions();
    let mut made = Vec::with_capacity(defs.len());
    for def in defs {
        let index = create_table::rollup_schema(&mut state.ids, &table, def)?;
        table.indexes.insert(index.id, index.clone());
        let columns: Vec<String> = def.columns.iter().map(|name| quote_identifier(name)).collect();
        let text = format!("ADD ROLLUP {} ({})", quote_identifier(&def.name), columns.join(", "));
        made.push((index, format!("ALTER TABLE {} {text}", full_name(state, ids))));
    }
    for (index, raw_sql) in made {
        rollup(cluster, state, ids, index, Some(raw_sql));
    }
    Ok(())
}

/// CREATE MATERIALIZED VIEW: a rollup job without a statement of its own.
pub fn sync_view(cluster: &ClusterInner, state: &mut FeState, ids: (i64, i64), index: IndexSchema) {
    rollup(cluster, state, ids, index, None);
}

fn full_name(state: &FeState, ids: (i64, i64)) -> String {
    qualified_name(&state.databases[&ids.0].name, &context::olap(state, ids.0, ids.1).name)
}

/// Starts a schema change: `changed` are the wanted schemas under the ids of the indexes they replace.
fn schema_change(
    cluster: &ClusterInner,
    state: &mut FeState,
    ids: (i64, i64),
    changed: Vec<IndexSchema>,
    patch: TablePatch,
    raw_sql: String,
) {
    let job_id = state.ids.allocate();
    let mut shadows = Vec::with_capacity(changed.len());
    for index in changed {
        let id = state.ids.allocate();
        let name = format!("{SHADOW_PREFIX}{}", index.name);
        let mut shadow = create_table::index_schema(id, &name, index.columns, index.keys_type);
        shadow.schema_version = index.schema_version + 1;
        shadow.view = index.view;
        shadows.push((shadow, index.id));
    }
    let rows: Vec<AlterJob> = shadows
        .iter()
        .map(|(shadow, origin)| {
            row(
                cluster,
                state,
                ids,
                job_id,
                shadow,
                *origin,
                shadow.name.trim_start_matches(SHADOW_PREFIX),
                false,
            )
        })
        .collect();
    state.ddl.alter_jobs.extend(rows);
    let table = context::olap(state, ids.0, ids.1);
    let job = SchemaJob {
        id: job_id,
        db_id: ids.0,
        table_id: ids.1,
        table_name: table.name.clone(),
        base_index_id: table.base_index_id,
        kind: JobKind::SchemaChange { shadows, patch },
        stage: Stage::Pending,
        raw_sql: Some(raw_sql),
    };
    context::olap_mut(state, ids.0, ids.1).state = TableState::SchemaChange;
    journal(cluster, state, &job, AlterJobState::Pending);
    state.ddl.running_jobs.push(job);
}

/// Starts a rollup. Only a materialised view has a PENDING entry.
fn rollup(
    cluster: &ClusterInner,
    state: &mut FeState,
    ids: (i64, i64),
    index: IndexSchema,
    raw_sql: Option<String>,
) {
    let job_id = state.ids.allocate();
    let table = context::olap(state, ids.0, ids.1);
    let (base_id, base_name) = (table.base_index_id, table.name.clone());
    let new_row = row(cluster, state, ids, job_id, &index, base_id, &base_name, true);
    state.ddl.alter_jobs.push(new_row);
    let is_view = raw_sql.is_none();
    let kind = JobKind::Rollup { index };
    let job = SchemaJob {
        id: job_id,
        db_id: ids.0,
        table_id: ids.1,
        table_name: base_name,
        base_index_id: base_id,
        kind,
        stage: Stage::Pending,
        raw_sql,
    };
    context::olap_mut(state, ids.0, ids.1).state = TableState::Rollup;
    if is_view {
        journal(cluster, state, &job, AlterJobState::Pending);
    }
    state.ddl.running_jobs.push(job);
}

#[expect(clippy::too_many_arguments, reason = "the parts of one row")]
fn row(
    cluster: &ClusterInner,
    state: &FeState,
    ids: (i64, i64),
    job_id: i64,
    index: &IndexSchema,
    origin_index_id: i64,
    index_name: &str,
    is_rollup: bool,
) -> AlterJob {
    AlterJob {
        id: job_id,
        is_rollup,
        db_id: ids.0,
        table_id: ids.1,
        table_name: context::olap(state, ids.0, ids.1).name.clone(),
        index_name: index_name.to_owned(),
        index_id: index.id,
        origin_index_id,
        rollup_name: if is_rollup { index.name.clone() } else { String::new() },
        schema_version: format!("{}:{}", index.schema_version, index.schema_hash),
        txn_id: -1,
        state: "PENDING".to_owned(),
        message: String::new(),
        create_time: cluster.clock.now_ms(),
        finish_time: 0,
    }
}
