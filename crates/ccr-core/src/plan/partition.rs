//! ADD_PARTITION and DROP_PARTITION.

use doris_types::record::{AddPartitionRecord, DropPartitionRecord};
use doris_types::sql::{add_partition_sql, drop_partition_sql};

use super::{Block, Plan, SkipReason, Statement, View, linked};

pub(super) fn add(commit_seq: i64, record: &AddPartitionRecord, view: View<'_>) -> Plan {
    if let Err(plan) = linked(record.table_id, commit_seq, view) {
        return plan;
    }
    if record.is_temp_partition {
        return Plan::Skip(SkipReason::TemporaryPartition);
    }
    match add_partition_sql(record) {
        Ok(clause) => Plan::Statement(Statement::AlterTable { source_id: record.table_id, clause }),
        Err(error) => Plan::Block(unreadable("ADD_PARTITION", commit_seq, &error.to_string())),
    }
}

pub(super) fn drop(commit_seq: i64, record: &DropPartitionRecord, view: View<'_>) -> Plan {
    if let Err(plan) = linked(record.table_id, commit_seq, view) {
        return plan;
    }
    if record.is_temp_partition {
        return Plan::Skip(SkipReason::TemporaryPartition);
    }
    match drop_partition_sql(record) {
        Ok(clause) => Plan::Statement(Statement::AlterTable { source_id: record.table_id, clause }),
        Err(error) => Plan::Block(unreadable("DROP_PARTITION", commit_seq, &error.to_string())),
    }
}

/// A record whose statement cannot be understood.
pub(super) fn unreadable(binlog_type: &str, commit_seq: i64, problem: &str) -> Block {
    Block {
        code: "CCR0206",
        message: format!(
            "the statement of {binlog_type} at commit seq {commit_seq} cannot be rewritten: {problem}"
        ),
        hint: "run the statement downstream by hand, then skip the binlog".to_owned(),
    }
}
