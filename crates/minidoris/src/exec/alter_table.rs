//! ALTER TABLE: sorts the operations to their families.
//!
//! Column operations, comments and index operations of one statement are one change with one journal
//! entry; all others stand alone, one after the other.

use std::collections::BTreeMap;

use super::replace::ReplaceOptions;
use super::{context, dynamic, index, job, light, partition, rename, replace, rollup, table_property};
use crate::cluster::ClusterInner;
use crate::error::{SqlError, SqlResult};
use crate::session::Session;
use crate::sql::{AlterOperation, AlterTable};
use crate::state::FeState;

pub fn run(
    cluster: &ClusterInner,
    state: &mut FeState,
    session: &Session,
    alter: &AlterTable,
) -> SqlResult<()> {
    if let [AlterOperation::Rename { new_name }] = alter.operations.as_slice()
        && let Some(ids) = context::view_ids(state, session, &alter.table)?
    {
        return rename::view(cluster, state, ids, new_name);
    }
    let ids = context::olap_ids(state, session, &alter.table)?;
    let table = context::olap(state, ids.0, ids.1);
    context::check_not_replaced(table)?;
    // Views may take each other's names.
    if !alter.operations.iter().all(|op| matches!(op, AlterOperation::ReplaceTable { .. })) {
        context::check_own(session, table)?;
    }
    // Marking a table as synchronised must be possible at any time.
    let only_properties = alter.operations.iter().all(|op| matches!(op, AlterOperation::SetProperties(_)));
    if !only_properties {
        context::check_normal(table)?;
    }
    if alter.operations.iter().any(changes_indexes) {
        context::check_no_temp_partitions(table)?;
    }
    if alter.operations.iter().any(light::is_column_operation) {
        let db_name = &state.databases[&ids.0].name;
        let planned = light::plan(db_name, table, &alter.operations)?;
        if planned.is_light {
            light::run(cluster, state, ids, planned);
        } else {
            job::submit::columns(cluster, state, ids, planned);
        }
        return Ok(());
    }
    if let Some(comments) = column_comments(&alter.operations) {
        return table_property::column_comments(cluster, state, ids, comments);
    }
    if let Some(defs) = added_indexes(&alter.operations) {
        return index::add(cluster, state, ids, &defs);
    }
    if let Some(names) = dropped_indexes(&alter.operations) {
        return index::drop(cluster, state, ids, &names);
    }
    if let Some((names, if_exists)) = dropped_rollups(&alter.operations) {
        return rollup::drop(cluster, state, ids, &names, if_exists);
    }
    check_alone(&alter.operations)?;
    alter.operations.iter().try_for_each(|operation| single(cluster, state, ids, operation))
}

fn single(
    cluster: &ClusterInner,
    state: &mut FeState,
    ids: (i64, i64),
    operation: &AlterOperation,
) -> SqlResult<()> {
    match operation {
        AlterOperation::AddPartition { temporary, partition, distribution } => {
            if !temporary {
                dynamic::check_manual(context::olap(state, ids.0, ids.1))?;
            }
            partition::add(cluster, state, ids, *temporary, partition, distribution.as_ref())
        }
        AlterOperation::DropPartition { temporary, if_exists, name, force } => {
            if !temporary {
                dynamic::check_manual(context::olap(state, ids.0, ids.1))?;
            }
            partition::drop(cluster, state, ids, *temporary, *if_exists, name, *force)
        }
        AlterOperation::ReplacePartition { partitions, temp_partitions, force, properties } => {
            let options = ReplaceOptions { force: *force, ..ReplaceOptions::from_properties(properties) };
            replace::partitions(cluster, state, ids, partitions, temp_partitions, options)
        }
        AlterOperation::ModifyPartition { partitions, all, properties } => {
            let names = if *all { None } else { Some(partitions.as_slice()) };
            table_property::modify_partitions(cluster, state, ids, names, properties)
        }
        AlterOperation::Rename { new_name } => rename::table(cluster, state, ids, new_name),
        AlterOperation::RenameRollup { from, to } => rename::rollup(cluster, state, ids, from, to),
        AlterOperation::RenamePartition { from, to } => rename::partition(cluster, state, ids, from, to),
        AlterOperation::RenameColumn { from, to } => rename::column(cluster, state, ids, from, to),
        AlterOperation::ReplaceTable { with, swap, force } => {
            replace::table(cluster, state, ids, with, *swap, *force)
        }
        AlterOperation::SetProperties(properties) => table_property::set(cluster, state, ids, properties),
        AlterOperation::ModifyComment(comment) => {
            table_property::comment(cluster, state, ids, comment);
            Ok(())
        }
        AlterOperation::ModifyDistribution(distribution) => {
            table_property::set_distribution(cluster, state, ids, distribution)
        }
        AlterOperation::BuildIndex { name, partitions } => {
            index::build(cluster, state, ids, name, partitions.as_deref())
        }
        AlterOperation::AddRollup { rollups } => job::submit::rollups(cluster, state, ids, rollups),
        AlterOperation::EnableFeature { name, properties } => {
            job::submit::enable_feature(cluster, state, ids, name, properties)
        }
        AlterOperation::AddColumn { .. }
        | AlterOperation::AddColumns { .. }
        | AlterOperation::DropColumn { .. }
        | AlterOperation::ModifyColumn { .. }
        | AlterOperation::OrderBy { .. }
        | AlterOperation::AddIndex(_)
        | AlterOperation::DropIndex { .. }
        | AlterOperation::DropRollup { .. }
        | AlterOperation::ModifyColumnComment { .. } => {
            Err(SqlError::general("these operations cannot be mixed in one statement"))
        }
    }
}

/// Whether the operation changes what the indexes of a table hold. Temporary partitions would be left behind
/// with indexes that the table no longer has.
fn changes_indexes(operation: &AlterOperation) -> bool {
    match operation {
        AlterOperation::SetProperties(properties) => table_property::is_stored_with_data(properties),
        AlterOperation::AddColumn { .. }
        | AlterOperation::AddColumns { .. }
        | AlterOperation::DropColumn { .. }
        | AlterOperation::ModifyColumn { .. }
        | AlterOperation::OrderBy { .. }
        | AlterOperation::AddRollup { .. }
        | AlterOperation::AddIndex(_)
        | AlterOperation::DropIndex { .. }
        | AlterOperation::BuildIndex { .. }
        | AlterOperation::EnableFeature { .. } => true,
        AlterOperation::AddPartition { .. }
        | AlterOperation::DropPartition { .. }
        | AlterOperation::ReplacePartition { .. }
        | AlterOperation::ModifyPartition { .. }
        | AlterOperation::DropRollup { .. }
        | AlterOperation::Rename { .. }
        | AlterOperation::RenameRollup { .. }
        | AlterOperation::RenamePartition { .. }
        | AlterOperation::RenameColumn { .. }
        | AlterOperation::ReplaceTable { .. }
        | AlterOperation::ModifyComment(_)
        | AlterOperation::ModifyColumnComment { .. }
        | AlterOperation::ModifyDistribution(_) => false,
    }
}

/// Only rollups are added and partitions dropped several at a time; the families before have been dealt with.
fn check_alone(operations: &[AlterOperation]) -> SqlResult<()> {
    let [first, second, ..] = operations else { return Ok(()) };
    let (first, second) = (kind(first), kind(second));
    if first == second && ["ADD_ROLLUP", "DROP_PARTITION"].contains(&first) {
        return Ok(());
    }
    Err(SqlError::general(format!("Alter operation {second} conflicts with operation {first}")))
}

/// What Doris calls the kind of an operation.
fn kind(operation: &AlterOperation) -> &'static str {
    match operation {
        AlterOperation::AddPartition { .. } => "ADD_PARTITION",
        AlterOperation::DropPartition { .. } => "DROP_PARTITION",
        AlterOperation::ReplacePartition { .. } => "REPLACE_PARTITION",
        AlterOperation::ModifyPartition { .. } => "MODIFY_PARTITION",
        AlterOperation::AddRollup { .. } => "ADD_ROLLUP",
        AlterOperation::DropRollup { .. } => "DROP_ROLLUP",
        AlterOperation::Rename { .. }
        | AlterOperation::RenameRollup { .. }
        | AlterOperation::RenamePartition { .. }
        | AlterOperation::RenameColumn { .. } => "RENAME",
        AlterOperation::ReplaceTable { .. } => "REPLACE_TABLE",
        AlterOperation::SetProperties(_) => "MODIFY_TABLE_PROPERTY",
        AlterOperation::ModifyComment(_) => "MODIFY_TABLE_COMMENT",
        AlterOperation::ModifyColumnComment { .. } => "MODIFY_COLUMN_COMMENT",
        AlterOperation::ModifyDistribution(_) => "MODIFY_DISTRIBUTION",
        AlterOperation::EnableFeature { .. } => "ENABLE_FEATURE",
        AlterOperation::AddColumn { .. }
        | AlterOperation::AddColumns { .. }
        | AlterOperation::DropColumn { .. }
        | AlterOperation::ModifyColumn { .. }
        | AlterOperation::OrderBy { .. }
        | AlterOperation::AddIndex(_)
        | AlterOperation::DropIndex { .. }
        | AlterOperation::BuildIndex { .. } => "SCHEMA_CHANGE",
    }
}

/// The comments by column when all operations are of that kind.
fn column_comments(operations: &[AlterOperation]) -> Option<BTreeMap<String, String>> {
    operations
        .iter()
        .map(|operation| match operation {
            AlterOperation::ModifyColumnComment { column, comment } => {
                Some((column.clone(), comment.clone()))
            }
            _ => None,
        })
        .collect()
}

fn added_indexes(operations: &[AlterOperation]) -> Option<Vec<&crate::sql::IndexDef>> {
    operations
        .iter()
        .map(|operation| match operation {
            AlterOperation::AddIndex(def) => Some(def),
            _ => None,
        })
        .collect()
}

fn dropped_indexes(operations: &[AlterOperation]) -> Option<Vec<(&str, bool)>> {
    operations
        .iter()
        .map(|operation| match operation {
            AlterOperation::DropIndex { name, if_exists } => Some((name.as_str(), *if_exists)),
            _ => None,
        })
        .collect()
}

/// The rollups that a statement of nothing else drops.
fn dropped_rollups(operations: &[AlterOperation]) -> Option<(Vec<String>, bool)> {
    let mut all = Vec::new();
    let mut if_all_exist = false;
    for operation in operations {
        let AlterOperation::DropRollup { names, if_exists } = operation else { return None };
        all.extend(names.iter().cloned());
        if_all_exist |= if_exists;
    }
    Some((all, if_all_exist))
}
