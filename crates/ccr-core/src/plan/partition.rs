//! ADD_PARTITION and DROP_PARTITION.

use doris_types::record::{AddPartitionRecord, DropPartitionRecord};
use doris_types::sql::{add_partition_sql, drop_partition_sql};

use super::alter::{link_or_return, statement};
use super::{Block, Plan, SkipReason, View, linked};
use crate::change::Change;

pub(super) fn add(change: &Change, record: &AddPartitionRecord, view: View<'_>) -> Plan {
    let link = link_or_return!(record.table_id, change, view);
    if record.is_temp_partition {
        return Plan::Skip(SkipReason::TemporaryPartition);
    }
    match add_partition_sql(record) {
        Ok(clause) => statement(record.table_id, link, view, &clause),
        Err(error) => Plan::Block(unreadable(change, record.table_id, &error.to_string())),
    }
}

pub(super) fn drop(change: &Change, record: &DropPartitionRecord, view: View<'_>) -> Plan {
    let link = link_or_return!(record.table_id, change, view);
    if record.is_temp_partition {
        return Plan::Skip(SkipReason::TemporaryPartition);
    }
    match drop_partition_sql(record) {
        Ok(clause) => statement(record.table_id, link, view, &clause),
        Err(error) => Plan::Block(unreadable(change, record.table_id, &error.to_string())),
    }
}

/// A record whose statement cannot be understood.
pub(super) fn unreadable(change: &Change, table_id: i64, problem: &str) -> Block {
    let (binlog_type, commit_seq) = (change.record.binlog_type(), change.commit_seq);
    Block {
        code: "CCR0206",
        message: format!(
            "the statement of {binlog_type} at commit seq {commit_seq} cannot be rewritten: {problem}"
        ),
        hint: "run the statement downstream by hand, then skip the binlog".to_owned(),
        tables: vec![table_id],
    }
}
