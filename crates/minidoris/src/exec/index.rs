//! Secondary indexes: ADD, DROP and BUILD INDEX.

use doris_types::record::{BinlogType, ModifyInvertedIndicesRecord, html_safe_json};
use doris_types::sql::qualified_name;

use super::{context, create_table, index_job, job, light, records};
use crate::cluster::ClusterInner;
use crate::error::{SqlError, SqlResult};
use crate::model::SecondaryIndex;
use crate::show::{index_text, plain_name};
use crate::sql::IndexDef;
use crate::state::FeState;

pub fn add(
    cluster: &ClusterInner,
    state: &mut FeState,
    ids: (i64, i64),
    defs: &[&IndexDef],
) -> SqlResult<()> {
    let mut table = context::olap(state, ids.0, ids.1).without_partitions();
    let mut added = Vec::with_capacity(defs.len());
    for def in defs {
        let exists = |index: &SecondaryIndex| index.name.eq_ignore_ascii_case(&def.name);
        if def.if_not_exists && table.secondary_indexes.iter().any(exists) {
            continue;
        }
        let index = create_table::secondary_index(&mut state.ids, &table, def)?;
        table.secondary_indexes.push(index.clone());
        added.push(index);
    }
    if added.is_empty() {
        return Ok(());
    }
    context::olap_mut(state, ids.0, ids.1).secondary_indexes.extend(added.iter().cloned());
    let operations: Vec<String> = added.iter().map(|index| format!("ADD {}", index_text(index))).collect();
    light::tell_backends(cluster, context::olap(state, ids.0, ids.1));
    journal(cluster, state, ids, &added, false, &operations);
    Ok(())
}

pub fn drop(
    cluster: &ClusterInner,
    state: &mut FeState,
    ids: (i64, i64),
    names: &[(&str, bool)],
) -> SqlResult<()> {
    let table = context::olap(state, ids.0, ids.1);
    let mut dropped: Vec<SecondaryIndex> = Vec::new();
    for (name, if_exists) in names {
        match table.secondary_indexes.iter().find(|index| index.name.eq_ignore_ascii_case(name)) {
            Some(index) => dropped.push(index.clone()),
            None if *if_exists => {}
            None => return Err(SqlError::general(format!("index {name} does not exist"))),
        }
    }
    if dropped.is_empty() {
        return Ok(());
    }
    let mut remaining = table.secondary_indexes.clone();
    remaining.retain(|index| dropped.iter().all(|gone| gone.id != index.id));
    let operations: Vec<String> =
        dropped.iter().map(|index| format!("DROP INDEX {}", plain_name(&index.name))).collect();
    if dropped.iter().any(|index| index.kind != "INVERTED" && index.kind != "ANN") {
        // Such an index is part of the data files.
        job::submit::drop_indexes(cluster, state, ids, remaining, &operations);
        return Ok(());
    }
    context::olap_mut(state, ids.0, ids.1).secondary_indexes = remaining;
    light::tell_backends(cluster, context::olap(state, ids.0, ids.1));
    journal(cluster, state, ids, &dropped, true, &operations);
    index_job::start(cluster, state, ids, &dropped, None, true);
    Ok(())
}

/// BUILD INDEX i ON t [PARTITIONS (…)].
pub fn build(
    cluster: &ClusterInner,
    state: &mut FeState,
    ids: (i64, i64),
    name: &str,
    partitions: Option<&[String]>,
) -> SqlResult<()> {
    let table = context::olap(state, ids.0, ids.1);
    let index = table
        .secondary_indexes
        .iter()
        .find(|index| index.name.eq_ignore_ascii_case(name))
        .cloned()
        .ok_or_else(|| SqlError::general(format!("{name} not exist in table {}", table.name)))?;
    if let Some(missing) = partitions
        .into_iter()
        .flatten()
        .find(|name| !table.partitions.values().any(|found| found.name.eq_ignore_ascii_case(name)))
    {
        return Err(SqlError::general(format!("Partition[{missing}] does not exist")));
    }
    index_job::start(cluster, state, ids, &[index], partitions, false);
    Ok(())
}

fn journal(
    cluster: &ClusterInner,
    state: &mut FeState,
    ids: (i64, i64),
    changed: &[SecondaryIndex],
    is_drop: bool,
    operations: &[String],
) {
    let (db_id, table_id) = ids;
    let job_id = state.ids.allocate();
    let db_name = &state.databases[&db_id].name;
    let table = context::olap(state, db_id, table_id);
    let record = ModifyInvertedIndicesRecord {
        db_id,
        table_id,
        index_schema_map: std::collections::BTreeMap::new(),
        indexes: table.secondary_indexes.iter().map(records::index_definition).collect(),
        alter_inverted_indexes: changed.iter().map(records::index_definition).collect(),
        is_drop_inverted_index: is_drop,
        job_id,
        raw_sql: format!("ALTER TABLE {} {}", qualified_name(db_name, &table.name), operations.join(", \n")),
    };
    light::note_finished_job(cluster, state, ids, job_id);
    let now = cluster.clock.now_ms();
    state.journal_binlog(
        now,
        BinlogType::MODIFY_TABLE_ADD_OR_DROP_INVERTED_INDICES,
        db_id,
        &[table_id],
        |_| html_safe_json(&record),
    );
}
