//! ADD_PARTITION and DROP_PARTITION.
//!
//! Temporary partitions are mirrored, so that replacing formal ones by them, as INSERT OVERWRITE does, needs
//! no copy of the table. One that is not there when it replaces others, because a snapshot came in between or
//! the target refused it, costs that copy.

use std::collections::BTreeMap;

use doris_types::record::{AddPartitionRecord, DropPartitionRecord};
use doris_types::sql::{STORAGE_MEDIUM, add_partition_sql_with, drop_partition_sql};

use super::alter::{alter_table, link_or_return, statement};
use super::{Block, PartitionChange, Plan, Refused, Repeated, SkipReason, Statement, View, linked};
use crate::answers;
use crate::change::Change;
use crate::job::LinkEffect;

pub(super) fn add(change: &Change, record: &AddPartitionRecord, view: View<'_>) -> Plan {
    let link = link_or_return!(record.table_id, change, view);
    // With a number of its own, a partition has as many replicas as its table.
    let removed: &[&str] = if view.spec.options.replication_num > 0 {
        &["replication_num", "replication_allocation"]
    } else {
        &[]
    };
    let medium = record.data_property.as_ref().map(|property| &property.storage_medium);
    let set: BTreeMap<String, String> = medium
        .filter(|medium| view.spec.options.follows_media() && !medium.is_empty())
        .map(|medium| (STORAGE_MEDIUM.to_owned(), medium.clone()))
        .into_iter()
        .collect();
    match add_partition_sql_with(record, removed, &set) {
        Ok(clause) if record.is_temp_partition => {
            let (source_id, name) = (record.table_id, record.partition.name.clone());
            let effect = LinkEffect::TemporaryAdded { source_id, partition_id: record.partition.id, name };
            let sql = alter_table(link, view, &clause);
            let (repeated, refused) = (Repeated::Says(answers::EXISTS), Refused::Ignore);
            Plan::Statement(Statement::Try { source_id, sql, effect, repeated, refused })
        }
        Ok(clause) => statement(record.table_id, link, view, &clause, Repeated::Accepted),
        Err(_) if record.is_temp_partition => Plan::Skip(SkipReason::TemporaryPartition),
        Err(error) => Plan::Block(unreadable(change, record.table_id, &error.to_string())),
    }
}

pub(super) fn drop(change: &Change, record: &DropPartitionRecord, view: View<'_>) -> Plan {
    let link = link_or_return!(record.table_id, change, view);
    let name = &record.partition_name;
    if record.is_temp_partition && !link.temporary.values().any(|temporary| temporary == name) {
        return Plan::Skip(SkipReason::TemporaryPartition);
    }
    match drop_partition_sql(record) {
        Ok(clause) if record.is_temp_partition => {
            let source_id = record.table_id;
            let effect = LinkEffect::TemporaryGone { source_id, names: vec![name.clone()] };
            let (sql, repeated) = (alter_table(link, view, &clause), Repeated::DROPPED);
            Plan::Statement(Statement::Execute { source_id, sql, effect, repeated })
        }
        // An old FE names it in the statement only.
        Ok(clause) if name.is_empty() => statement(record.table_id, link, view, &clause, Repeated::DROPPED),
        Ok(_) => Plan::Statement(Statement::Partitions {
            source_id: record.table_id,
            target_id: link.target_id,
            change: PartitionChange::Drop(record.clone()),
        }),
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
