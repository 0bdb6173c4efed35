//! Changes that need a copy of their table, and the job records around them.

use doris_types::record::{
    AlterJobRecord, AlterJobState, IndexChangeJobRecord, ModifyInvertedIndicesRecord, RecoverInfoRecord,
    ReplacePartitionsRecord,
};
use doris_types::sql::{qualified_name, quote_identifier, quote_identifiers};

use super::alter::{alter_table, link_or_return, statement};
use super::{Plan, Refused, Repeated, SkipReason, Statement, View, linked, partial};
use crate::change::Change;
use crate::job::{LinkEffect, PartialSyncReason, SyncType};

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
    let table = qualified_name(&view.spec.dest.database, &link.target_name);
    // The only partition of an unpartitioned table carries the table's name and is not named.
    let partition = if record.partition_name.is_empty() || record.partition_name == record.table_name {
        String::new()
    } else {
        format!(" PARTITION ({})", quote_identifier(&record.partition_name))
    };
    let sql = format!("BUILD INDEX {} ON {table}{partition}", quote_identifier(&index.name));
    Plan::Statement(Statement::Try {
        source_id: record.table_id,
        sql,
        effect: LinkEffect::None,
        repeated: Repeated::Accepted,
        refused: Refused::CopyUnlessGone,
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
    // The only partition of an unpartitioned table carries the table's name. One of a partitioned table that
    // happens to have that name is refused, and the table copied.
    let as_target = |name: &String| {
        if *name == link.source_name { link.target_name.clone() } else { name.clone() }
    };
    let replaced: Vec<String> = record.partitions.iter().map(as_target).collect();
    let list = |names: &[String]| quote_identifiers(names.iter().map(String::as_str));
    let clause = format!(
        "REPLACE PARTITION ({}) WITH TEMPORARY PARTITION ({}) PROPERTIES (\"strict_range\" = \"{}\", \
         \"use_temp_partition_name\" = \"{}\")",
        list(&replaced),
        list(names),
        record.strict_range,
        record.use_temp_partition_name
    );
    Plan::Statement(Statement::Try {
        source_id,
        sql: alter_table(link, view, &clause),
        effect: LinkEffect::TemporaryGone { source_id, names: names.clone() },
        // They have become formal ones.
        repeated: Repeated::Lacks(names.clone()),
        refused: Refused::Copy,
    })
}

/// A recovered table is one without a link; a recovered partition belongs to a table that has one.
pub(super) fn recover(change: &Change, record: &RecoverInfoRecord, view: View<'_>) -> Plan {
    if !view.tables.contains_key(&record.table_id) && view.spec.sync_type() == SyncType::Database {
        let name = if record.new_table_name.is_empty() { &record.table_name } else { &record.new_table_name };
        let reason = PartialSyncReason::Appeared { commit_seq: change.commit_seq };
        return Plan::AdoptTable { source_id: record.table_id, name: name.clone(), reason };
    }
    link_or_return!(record.table_id, change, view);
    partial(change, record.table_id)
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
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
                source_id: 33,
                name: "t9".to_owned(),
                reason: PartialSyncReason::Appeared { commit_seq: 60 }
            }
        );
        let partition = r#"{"dbId":1,"newDbName":"","tableId":10,"tableName":"t1","newTableName":"","partitionId":5,"partitionName":"p1","newPartitionName":""}"#;
        assert!(matches!(plan_of(60, BinlogType::RECOVER_INFO, partition), Plan::PartialSync { .. }));
    }
}
