//! Changes that need a copy of their table, and the job records around them.

use doris_types::record::{
    AlterJobRecord, AlterJobState, IndexChangeJobRecord, ModifyInvertedIndicesRecord, RecoverInfoRecord,
    ReplacePartitionsRecord,
};
use doris_types::sql::{qualified_name, quote_identifier};

use super::alter::{link_or_return, statement};
use super::{PartitionChange, Plan, Refused, Repeated, SkipReason, Statement, View, linked, partial};
use crate::change::Change;
use crate::job::{LinkEffect, PartialSyncReason, Recovered, SyncType, TableLink};

/// A schema change or rollup: its last step changes the table, the others only announce it.
pub(super) fn alter_job(change: &Change, record: &AlterJobRecord, view: View<'_>) -> Plan {
    link_or_return!(record.table_id, change, view);
    match record.job_state {
        AlterJobState::Finished => partial(change, record.table_id),
        AlterJobState::Pending
        | AlterJobState::WaitingTxn
        | AlterJobState::Running
        | AlterJobState::Cancelled
        | AlterJobState::Other(_) => Plan::Skip(SkipReason::JobNotFinished),
    }
}

/// A dropped index is dropped; an added one comes with a copy, because its id must be the same.
pub(super) fn inverted_indices(
    change: &Change,
    record: &ModifyInvertedIndicesRecord,
    view: View<'_>,
) -> Plan {
    let link = link_or_return!(record.table_id, change, view);
    if !record.is_drop_inverted_index {
        return partial(change, record.table_id);
    }
    let drops: Vec<String> = record
        .alter_inverted_indexes
        .iter()
        .map(|index| format!("DROP INDEX {}", quote_identifier(&index.name)))
        .collect();
    if drops.is_empty() {
        return Plan::Skip(SkipReason::NothingToChange);
    }
    statement(record.table_id, link, view, &drops.join(", "), Repeated::DROPPED)
}

/// A finished build of an index is repeated, one partition at a time.
pub(super) fn index_change_job(change: &Change, record: &IndexChangeJobRecord, view: View<'_>) -> Plan {
    let link = link_or_return!(record.table_id, change, view);
    if record.is_drop_op || record.job_state != AlterJobState::Finished {
        return Plan::Skip(SkipReason::JobNotFinished);
    }
    let Some(index) = record.alter_inverted_indexes.first() else {
        return Plan::Skip(SkipReason::NothingToChange);
    };
    // The only partition of an unpartitioned table carries the table's name and is not named.
    if record.partition_name.is_empty() || record.partition_name == record.table_name {
        let table = qualified_name(&view.spec.dest.database, &link.target_name);
        return Plan::Statement(Statement::Try {
            source_id: record.table_id,
            sql: format!("BUILD INDEX {} ON {table}", quote_identifier(&index.name)),
            effect: LinkEffect::None,
            repeated: Repeated::Accepted,
            refused: Refused::CopyUnlessGone,
        });
    }
    Plan::Statement(Statement::Partitions {
        source_id: record.table_id,
        target_id: link.target_id,
        change: PartitionChange::BuildIndex {
            partition_id: record.partition_id,
            name: record.partition_name.clone(),
            index: index.name.clone(),
        },
    })
}

/// Partitions are replaced by temporary ones that the target has too, or the table is copied.
pub(super) fn replace_partitions(change: &Change, record: &ReplacePartitionsRecord, view: View<'_>) -> Plan {
    let link = link_or_return!(record.table_id, change, view);
    let source_id = record.table_id;
    let is_mirrored = |name: &String| link.temporary.values().any(|temporary| temporary == name);
    let names = &record.temp_partitions;
    if names.is_empty() || record.partitions.is_empty() || !names.iter().all(is_mirrored) {
        return partial(change, source_id);
    }
    let (target_id, change) = (link.target_id, PartitionChange::Replace(record.clone()));
    Plan::Statement(Statement::Partitions { source_id, target_id, change })
}

/// A recovered table is one without a link; a recovered partition belongs to a table that has one, and is copied
/// without the others.
pub(super) fn recover(change: &Change, record: &RecoverInfoRecord, view: View<'_>) -> Plan {
    if !view.tables.contains_key(&record.table_id) && view.spec.sync_type() == SyncType::Database {
        let name = if record.new_table_name.is_empty() { &record.table_name } else { &record.new_table_name };
        let reason = PartialSyncReason::Appeared { commit_seq: change.commit_seq };
        let (source_id, name) = (record.table_id, name.clone());
        return Plan::AdoptTable { source_id, name, reason, in_place_of: None };
    }
    if view.tables.get(&record.table_id).is_some_and(is_undropped) {
        // Its target was to be dropped; it is what the copy is put in the place of.
        return partial(change, record.table_id);
    }
    let link = link_or_return!(record.table_id, change, view);
    // A restore takes a table for another one where the names differ, as they do in some table jobs.
    let is_alone = record.is_partition() && link.source_name == link.target_name;
    if !is_alone {
        return partial(change, record.table_id);
    }
    let renamed = Some(&record.new_partition_name).filter(|name| !name.is_empty());
    let reason = PartialSyncReason::Recovered(Recovered {
        partition_id: record.partition_id,
        partition: renamed.unwrap_or(&record.partition_name).clone(),
        commit_seq: change.commit_seq,
    });
    Plan::PartialSync { source_ids: vec![record.table_id], reason }
}

/// Whether a table was dropped upstream, and its target is still to be.
fn is_undropped(link: &TableLink) -> bool {
    link.lane.apart().is_some_and(|apart| apart.dropped_at.is_some())
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::job::PartitionAhead;
    use doris_types::record::BinlogType;

    #[test]
    fn only_the_last_step_of_a_job_copies_the_table() {
        let record = |state: &str| {
            format!(
                r#"{{"type":"SCHEMA_CHANGE","dbId":1,"tableId":10,"tableName":"t1","jobId":3,"jobState":"{state}","iim":{{"201":11}}}}"#
            )
        };
        for state in ["PENDING", "WAITING_TXN", "CANCELLED"] {
            assert_eq!(
                plan_of(60, BinlogType::ALTER_JOB, &record(state)),
                Plan::Skip(SkipReason::JobNotFinished)
            );
        }
        let reason = PartialSyncReason::Change { binlog_type: "ALTER_JOB".to_owned(), commit_seq: 60 };
        assert_eq!(
            plan_of(60, BinlogType::ALTER_JOB, &record("FINISHED")),
            Plan::PartialSync { source_ids: vec![10], reason }
        );
    }

    #[test]
    fn a_recovered_table_is_adopted_and_a_recovered_partition_copied() {
        let table = r#"{"dbId":1,"newDbName":"","tableId":33,"tableName":"t9","newTableName":"","partitionId":-1,"partitionName":"","newPartitionName":""}"#;
        assert_eq!(
            plan_of(60, BinlogType::RECOVER_INFO, table),
            Plan::AdoptTable {
                in_place_of: None,
                source_id: 33,
                name: "t9".to_owned(),
                reason: PartialSyncReason::Appeared { commit_seq: 60 }
            }
        );
        let partition = |new_name: &str| {
            format!(
                r#"{{"dbId":1,"newDbName":"","tableId":10,"tableName":"t1","newTableName":"","partitionId":5,"partitionName":"p1","newPartitionName":"{new_name}"}}"#
            )
        };
        for (new_name, name) in [("", "p1"), ("q", "q")] {
            let recovered = Recovered { partition_id: 5, partition: name.to_owned(), commit_seq: 60 };
            let reason = PartialSyncReason::Recovered(recovered);
            assert_eq!(
                plan_of(60, BinlogType::RECOVER_INFO, &partition(new_name)),
                Plan::PartialSync { source_ids: vec![10], reason }
            );
        }
    }

    const RECOVERED: &str = r#"{"dbId":1,"newDbName":"","tableId":10,"tableName":"t1","newTableName":"","partitionId":5,"partitionName":"p1","newPartitionName":""}"#;

    #[test]
    fn a_partition_comes_with_its_table_where_the_target_has_another_name() {
        let mut tables = links();
        tables.get_mut(&10).expect("the table of the cases").target_name = "x1".to_owned();
        let reason = PartialSyncReason::Change { binlog_type: "RECOVER_INFO".to_owned(), commit_seq: 60 };
        assert_eq!(
            plan_with(&spec("t1", "x1"), &tables, 60, BinlogType::RECOVER_INFO, RECOVERED),
            Plan::PartialSync { source_ids: vec![10], reason }
        );
    }

    #[test]
    fn what_was_changed_before_a_partition_was_copied_by_itself_needs_the_table() {
        let mut tables = links();
        let ahead = PartitionAhead { partition_id: 7, synced_to: 60 };
        tables.get_mut(&10).expect("the table of the cases").ahead = Some(ahead);
        let dropped = r#"{"dbId":1,"tableId":10,"rawSql":"ALTER TABLE `d1`.`t1` DROP COLUMN `v`"}"#;
        let cases =
            [(BinlogType::RECOVER_INFO, RECOVERED), (BinlogType::MODIFY_TABLE_ADD_OR_DROP_COLUMNS, dropped)];
        for (binlog_type, data) in cases {
            let planned = |seq| plan_with(&spec("", ""), &tables, seq, binlog_type, data);
            let reason = |plan| match plan {
                Plan::PartialSync { reason, .. } => Some(reason),
                _ => None,
            };
            assert!(matches!(reason(planned(60)), Some(PartialSyncReason::Mismatch { commit_seq: 60, .. })));
            assert!(!matches!(reason(planned(61)), Some(PartialSyncReason::Mismatch { .. })));
        }
    }
}
