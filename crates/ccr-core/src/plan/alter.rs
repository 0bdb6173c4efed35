//! Changes of a table that one ALTER TABLE brings over.

use std::collections::BTreeMap;

use doris_types::record::{
    Column, CommentTarget, DropRollupRecord, ModifyColumnsRecord, ModifyCommentRecord,
    ModifyDistributionBucketNumRecord, ModifyTablePropertyRecord, RenameColumnRecord, RenameRecord,
};
use doris_types::sql::{
    qualified_name, quote_identifier, quote_string, retarget_alter_table, set_properties_sql,
};

use super::partition::unreadable;
use super::{Block, PartitionChange, Plan, Repeated, SkipReason, Statement, View, linked, partial};
use crate::answers;
use crate::change::Change;
use crate::job::{LinkEffect, SyncType, TableLink};

/// `ALTER TABLE target clause`.
pub(super) fn statement(
    source_id: i64,
    link: &TableLink,
    view: View<'_>,
    clause: &str,
    repeated: Repeated,
) -> Plan {
    let sql = alter_table(link, view, clause);
    Plan::Statement(Statement::Execute { source_id, sql, effect: LinkEffect::None, repeated })
}

const BINLOG_ENABLE: &str = "binlog.enable";

/// The text of it.
pub(super) fn alter_table(link: &TableLink, view: View<'_>, clause: &str) -> String {
    format!("ALTER TABLE {} {clause}", qualified_name(&view.spec.dest.database, &link.target_name))
}

/// The link of the change's table, or the plan that settles it.
macro_rules! link_or_return {
    ($id:expr, $change:expr, $view:expr) => {
        match linked($id, $change.commit_seq, $view) {
            Ok(link) => link,
            Err(plan) => return *plan,
        }
    };
}
pub(super) use link_or_return;

pub(super) fn columns(change: &Change, record: &ModifyColumnsRecord, view: View<'_>) -> Plan {
    let link = link_or_return!(record.table_id, change, view);
    match retarget_alter_table(&record.raw_sql, &view.spec.dest.database, &link.target_name) {
        Ok(sql) => {
            let (source_id, effect) = (record.table_id, LinkEffect::None);
            let repeated = changed_columns(record, link);
            Plan::Statement(Statement::Execute { source_id, sql, effect, repeated })
        }
        Err(error) => Plan::Block(unreadable(change, record.table_id, &error.to_string())),
    }
}

pub(super) fn properties(change: &Change, record: &ModifyTablePropertyRecord, view: View<'_>) -> Plan {
    let link = link_or_return!(record.table_id, change, view);
    let is_disabled = record.properties.get(BINLOG_ENABLE).is_some_and(|value| value == "false");
    if is_disabled && view.spec.sync_type() == SyncType::Table {
        // In a database job later loads show it themselves, by rowsets that are not kept.
        return Plan::Block(Block {
            code: "CCR0507",
            message: format!(
                "the binlog of upstream table {} was disabled at commit seq {}",
                link.source_name, change.commit_seq
            ),
            hint: "set binlog.enable = true on the table, then /force_fullsync the job: what is written in \
                   between is in no binlog"
                .to_owned(),
            tables: vec![record.table_id],
        });
    }
    match set_properties_sql(&record.properties) {
        Some(clause) => statement(record.table_id, link, view, &clause, Repeated::Accepted),
        None => Plan::Skip(SkipReason::LocalProperty),
    }
}

pub(super) fn rename_column(change: &Change, record: &RenameColumnRecord, view: View<'_>) -> Plan {
    let link = link_or_return!(record.table_id, change, view);
    let (old, new) = (quote_identifier(&record.col_name), quote_identifier(&record.new_col_name));
    let repeated = Repeated::Columns {
        says: answers::RENAMED_COLUMN,
        table: link.target_name.clone(),
        has: vec![record.new_col_name.clone()],
        lacks: vec![record.col_name.clone()],
    };
    statement(record.table_id, link, view, &format!("RENAME COLUMN {old} {new}"), repeated)
}

/// The columns of the base index tell, unless the change is about a rollup alone.
fn changed_columns(record: &ModifyColumnsRecord, link: &TableLink) -> Repeated {
    let visible = |columns: &BTreeMap<i64, Vec<Column>>| -> Vec<String> {
        let columns = columns.get(&record.base_index_id).into_iter().flatten();
        columns.filter(|column| column.visible).map(|column| column.name.clone()).collect()
    };
    let has = visible(&record.index_schema_map);
    let mut lacks = visible(&record.old_index_schema_map);
    lacks.retain(|name| !has.contains(name));
    Repeated::Columns { says: answers::CHANGED_COLUMNS, table: link.target_name.clone(), has, lacks }
}

pub(super) fn comment(change: &Change, record: &ModifyCommentRecord, view: View<'_>) -> Plan {
    let link = link_or_return!(record.table_id, change, view);
    let clause = match &record.target {
        CommentTarget::Table => {
            format!("MODIFY COMMENT {}", quote_string(record.table_comment.as_deref().unwrap_or("")))
        }
        CommentTarget::Column => record
            .column_comments
            .iter()
            .map(|(column, text)| {
                format!("MODIFY COLUMN {} COMMENT {}", quote_identifier(column), quote_string(text))
            })
            .collect::<Vec<_>>()
            .join(", "),
        CommentTarget::Other(kind) => {
            return Plan::Block(unreadable(change, record.table_id, &format!("comment of a {kind}")));
        }
    };
    if clause.is_empty() {
        return Plan::Skip(SkipReason::NothingToChange);
    }
    statement(record.table_id, link, view, &clause, Repeated::Accepted)
}

pub(super) fn rename_partition(change: &Change, record: &RenameRecord, view: View<'_>) -> Plan {
    let link = link_or_return!(record.table_id, change, view);
    let (old, new) = (record.old_partition_name.clone(), record.new_partition_name.clone());
    Plan::Statement(Statement::Partitions {
        source_id: record.table_id,
        target_id: link.target_id,
        change: PartitionChange::Rename { partition_id: record.partition_id, old, new },
    })
}

pub(super) fn rename_rollup(change: &Change, record: &RenameRecord, view: View<'_>) -> Plan {
    let link = link_or_return!(record.table_id, change, view);
    if record.old_rollup_name.is_empty() {
        return partial(change, record.table_id);
    }
    let (old, new) = (quote_identifier(&record.old_rollup_name), quote_identifier(&record.new_rollup_name));
    statement(record.table_id, link, view, &format!("RENAME ROLLUP {old} {new}"), Repeated::ROLLUP_RENAMED)
}

pub(super) fn drop_rollup(change: &Change, record: &DropRollupRecord, view: View<'_>) -> Plan {
    let link = link_or_return!(record.table_id, change, view);
    let clause = format!("DROP ROLLUP {}", quote_identifier(&record.index_name));
    // An older load may have needed the drop before its turn.
    statement(record.table_id, link, view, &clause, Repeated::ROLLUP_DROPPED)
}

pub(super) fn bucket_num(
    change: &Change,
    record: &ModifyDistributionBucketNumRecord,
    view: View<'_>,
) -> Plan {
    let link = link_or_return!(record.table_id, change, view);
    let kind = match record.kind.as_str() {
        "HASH" => format!("HASH({})", record.columns_name),
        "RANDOM" => "RANDOM".to_owned(),
        other => {
            return Plan::Block(unreadable(change, record.table_id, &format!("distribution {other}")));
        }
    };
    let buckets = if record.auto_bucket { "AUTO".to_owned() } else { record.bucket_num.to_string() };
    let clause = format!("MODIFY DISTRIBUTION DISTRIBUTED BY {kind} BUCKETS {buckets}");
    statement(record.table_id, link, view, &clause, Repeated::Accepted)
}

pub(super) fn distribution_type(change: &Change, record: &RenameRecord, view: View<'_>) -> Plan {
    let link = link_or_return!(record.table_id, change, view);
    let clause = "SET (\"distribution_type\" = \"random\")";
    let repeated = Repeated::Says(answers::RANDOM_ALREADY);
    statement(record.table_id, link, view, clause, repeated)
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::super::{PartitionChange, Plan, SkipReason, Statement};
    use crate::job::PartialSyncReason;
    use doris_types::record::BinlogType;

    fn sql(binlog_type: BinlogType, data: &str) -> String {
        match plan_of(60, binlog_type, data) {
            Plan::Statement(Statement::Execute { sql, .. }) => sql,
            other => panic!("a statement is expected: {other:?}"),
        }
    }

    #[test]
    fn statements_name_the_target() {
        let cases = [
            (
                BinlogType::MODIFY_TABLE_ADD_OR_DROP_COLUMNS,
                r#"{"dbId":1,"tableId":10,"rawSql":"ALTER TABLE `d1`.`t1` DROP COLUMN `v`"}"#,
                "ALTER TABLE `d2`.`t1` DROP COLUMN `v`",
            ),
            (
                BinlogType::RENAME_COLUMN,
                r#"{"dbId":1,"tableId":10,"colName":"v","newColName":"w`x"}"#,
                "ALTER TABLE `d2`.`t1` RENAME COLUMN `v` `w``x`",
            ),
            (
                BinlogType::MODIFY_COMMENT,
                r#"{"type":"TABLE","dbId":1,"tblId":10,"tblComment":"it's"}"#,
                "ALTER TABLE `d2`.`t1` MODIFY COMMENT \"it's\"",
            ),
            (
                BinlogType::DROP_ROLLUP,
                r#"{"ctl":"internal","dbId":1,"tableId":10,"tableName":"t1","indexId":9,"indexName":"r1"}"#,
                "ALTER TABLE `d2`.`t1` DROP ROLLUP `r1`",
            ),
            (
                BinlogType::MODIFY_DISTRIBUTION_BUCKET_NUM,
                r#"{"dbId":1,"tableId":10,"type":"HASH","autoBucket":false,"bucketNum":8,"columnsName":"`k`"}"#,
                "ALTER TABLE `d2`.`t1` MODIFY DISTRIBUTION DISTRIBUTED BY HASH(`k`) BUCKETS 8",
            ),
            (
                BinlogType::MODIFY_TABLE_PROPERTY,
                r#"{"dbId":1,"tableId":10,"properties":{"binlog.enable":"true","in_memory":"true"},"sql":""}"#,
                "ALTER TABLE `d2`.`t1` SET (\"in_memory\" = \"true\")",
            ),
        ];
        for (binlog_type, data, expected) in cases {
            assert_eq!(sql(binlog_type, data), expected);
        }
    }

    #[test]
    fn properties_managed_per_cluster_are_skipped() {
        let data = r#"{"dbId":1,"tableId":10,"properties":{"binlog.enable":"true","dynamic_partition.enable":"false"},"sql":""}"#;
        assert_eq!(
            plan_of(60, BinlogType::MODIFY_TABLE_PROPERTY, data),
            Plan::Skip(SkipReason::LocalProperty)
        );
    }

    #[test]
    fn a_table_job_stops_where_the_binlog_of_its_table_was_disabled() {
        let data = r#"{"dbId":1,"tableId":10,"properties":{"binlog.enable":"false"},"sql":""}"#;
        let plan = plan_for(&spec("t1", "t1"), 60, BinlogType::MODIFY_TABLE_PROPERTY, data);
        assert!(matches!(&plan, Plan::Block(block) if block.code == "CCR0507"), "{plan:?}");
        let plan = plan_of(60, BinlogType::MODIFY_TABLE_PROPERTY, data);
        assert_eq!(plan, Plan::Skip(SkipReason::LocalProperty));
    }

    #[test]
    fn a_partition_is_renamed_by_its_id() {
        for old in ["p", ""] {
            let data = format!(r#"{{"db":1,"tb":10,"p":5,"nP":"q","oP":"{old}"}}"#);
            let (old, new) = (old.to_owned(), "q".to_owned());
            let change = PartitionChange::Rename { partition_id: 5, old, new };
            let expected = Statement::Partitions { source_id: 10, target_id: 110, change };
            assert_eq!(plan_of(60, BinlogType::RENAME_PARTITION, &data), Plan::Statement(expected));
        }
    }

    #[test]
    fn a_rollup_renamed_without_the_old_name_copies_the_table() {
        let plan = plan_of(60, BinlogType::RENAME_ROLLUP, r#"{"db":1,"tb":10,"ind":5,"nR":"q","oR":""}"#);
        let reason = PartialSyncReason::Change { binlog_type: "RENAME_ROLLUP".to_owned(), commit_seq: 60 };
        assert_eq!(plan, Plan::PartialSync { source_ids: vec![10], reason });
    }
}
