//! CREATE_TABLE, DROP_TABLE and TRUNCATE_TABLE.

use std::collections::BTreeMap;

use doris_types::record::{CreateTableRecord, DropTableRecord, TruncateTableRecord};
use doris_types::sql::{
    CreateRewrite, STORAGE_MEDIUM, has_index_files, qualified_name, rewrite_create_table, truncate_sql_tail,
};

use super::alter::link_or_return;
use super::partition::unreadable;
use super::{PartitionChange, Plan, Repeated, SkipReason, Statement, View, linked};
use crate::change::Change;
use crate::job::{LinkEffect, PartialSyncReason, SyncType};

pub(super) fn create(change: &Change, record: &CreateTableRecord, view: View<'_>) -> Plan {
    if view.spec.sync_type() == SyncType::Table {
        return Plan::Skip(SkipReason::OtherTable);
    }
    if view.tables.contains_key(&record.table_id) || view.views.contains_key(&record.table_id) {
        return Plan::Skip(SkipReason::InSnapshot);
    }
    let is_view = match record.table_type.as_str() {
        // Absent before 2.1, where only tables were recorded.
        "OLAP" | "" => false,
        "VIEW" => true,
        _ => return Plan::Skip(SkipReason::NotReplicatedKind),
    };
    let (source_id, name) = (record.table_id, record.table_name.clone());
    if is_view && view.views.iter().any(|(id, known)| *known == name && *id > source_id) {
        // The snapshot has the next one of the name: this one was gone when it came to it.
        return Plan::Skip(SkipReason::InSnapshot);
    }
    if !is_view && has_index_files(&record.sql) {
        // Index files come with the rowsets, and fit only where the index ids are the same, as a restore makes them.
        let (binlog_type, commit_seq) = (change.record.binlog_type().name().to_owned(), change.commit_seq);
        return Plan::AdoptTable {
            source_id,
            name,
            reason: PartialSyncReason::Change { binlog_type, commit_seq },
            in_place_of: None,
        };
    }
    let mut property_overrides = BTreeMap::new();
    if !is_view && view.spec.options.replication_num > 0 {
        let replicas = view.spec.options.replication_num.to_string();
        property_overrides.insert("replication_num".to_owned(), replicas);
    }
    let mut rewrite = CreateRewrite {
        target_db: Some(view.spec.dest.database.clone()),
        property_overrides,
        ..CreateRewrite::new(&view.spec.src.database)
    };
    if view.spec.options.follows_media() {
        rewrite.properties_to_remove.retain(|key| key != STORAGE_MEDIUM);
    }
    let sql = match rewrite_create_table(&record.sql, &rewrite) {
        Ok(sql) => sql,
        Err(error) => {
            let block = unreadable(change, record.table_id, &error.to_string());
            if is_view {
                return Plan::Block(block);
            }
            // A copy does not need the statement.
            let reason =
                PartialSyncReason::Mismatch { message: block.message, commit_seq: change.commit_seq };
            return Plan::AdoptTable { source_id, name, reason, in_place_of: None };
        }
    };
    Plan::Statement(if is_view {
        Statement::CreateView { source_id, name, sql }
    } else {
        Statement::CreateTable { source_id, name, sql }
    })
}

pub(super) fn drop(change: &Change, record: &DropTableRecord, view: View<'_>) -> Plan {
    if view.spec.sync_type() == SyncType::Table {
        return Plan::Skip(SkipReason::OtherTable);
    }
    let source_id = record.table_id;
    if let Some(name) = view.views.get(&source_id) {
        return Plan::Statement(Statement::DropView { source_id, name: name.clone() });
    }
    match view.tables.get(&source_id) {
        Some(link) if change.commit_seq <= link.synced_to => Plan::Skip(SkipReason::InSnapshot),
        // Also when the table is on its own: its lane ends here.
        Some(link) => Plan::Statement(Statement::DropTable { source_id, target_id: link.target_id }),
        None => Plan::Skip(SkipReason::NeverReplicated),
    }
}

pub(super) fn truncate(change: &Change, record: &TruncateTableRecord, view: View<'_>) -> Plan {
    let link = link_or_return!(record.table_id, change, view);
    let table = qualified_name(&view.spec.dest.database, &link.target_name);
    match truncate_sql_tail(record) {
        Ok(_) if !record.is_entire_table && !record.op.is_empty() => {
            let (source_id, target_id) = (record.table_id, link.target_id);
            let change = PartitionChange::Truncate(record.clone());
            Plan::Statement(Statement::Partitions { source_id, target_id, change })
        }
        Ok(tail) => Plan::Statement(Statement::Execute {
            source_id: record.table_id,
            sql: format!("TRUNCATE TABLE {table} {tail}").trim_end().to_owned(),
            effect: LinkEffect::None,
            repeated: Repeated::Accepted,
        }),
        Err(error) => Plan::Block(unreadable(change, record.table_id, &error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Ingest;
    use super::super::testing::*;
    use super::*;
    use doris_types::record::BinlogType;

    #[test]
    fn a_new_table_is_created_and_a_known_one_is_not() {
        let record = |id: i64| {
            format!(
                r#"{{"commitSeq":60,"dbId":1,"dbName":"d1","tableId":{id},"tableName":"t2","tableType":"OLAP","sql":"CREATE TABLE `t2` (\n  `k` int NULL\n) ENGINE=OLAP\nDUPLICATE KEY(`k`)\nDISTRIBUTED BY HASH(`k`) BUCKETS 1\nPROPERTIES (\n\"replication_allocation\" = \"tag.location.default: 1\"\n);"}}"#
            )
        };
        let Plan::Statement(Statement::CreateTable { source_id, name, sql }) =
            plan_of(60, BinlogType::CREATE_TABLE, &record(20))
        else {
            panic!("a table to create");
        };
        assert_eq!((source_id, name.as_str()), (20, "t2"));
        assert!(sql.contains("`d2`.`t2`"), "{sql}");
        assert_eq!(plan_of(60, BinlogType::CREATE_TABLE, &record(10)), Plan::Skip(SkipReason::InSnapshot));
    }

    /// `v1` is linked as 30.
    #[test]
    fn of_views_of_a_name_the_snapshot_has_the_last() {
        let create = |id: i64| {
            format!(
                r#"{{"commitSeq":60,"dbId":1,"tableId":{id},"tableName":"v1","tableType":"VIEW","sql":"CREATE VIEW `v1` AS SELECT 1"}}"#
            )
        };
        let drop =
            |id: i64| format!(r#"{{"commitSeq":61,"dbId":1,"tableId":{id},"tableName":"v1","isView":true}}"#);
        assert_eq!(plan_of(60, BinlogType::CREATE_TABLE, &create(29)), Plan::Skip(SkipReason::InSnapshot));
        assert_eq!(plan_of(61, BinlogType::DROP_TABLE, &drop(29)), Plan::Skip(SkipReason::NeverReplicated));
        assert_eq!(plan_of(60, BinlogType::CREATE_TABLE, &create(30)), Plan::Skip(SkipReason::InSnapshot));
        // One that a restore has put away gives way.
        let plan = plan_of(60, BinlogType::CREATE_TABLE, &create(31));
        assert!(matches!(plan, Plan::Statement(Statement::CreateView { .. })), "{plan:?}");
    }

    #[test]
    fn other_kinds_are_not_replicated() {
        let data = r#"{"commitSeq":60,"dbId":1,"tableId":20,"tableName":"m","tableType":"MATERIALIZED_VIEW","sql":"x"}"#;
        assert_eq!(plan_of(60, BinlogType::CREATE_TABLE, data), Plan::Skip(SkipReason::NotReplicatedKind));
    }

    #[test]
    fn a_drop_follows_the_link_and_not_the_name() {
        let data = |id: i64| {
            format!(r#"{{"commitSeq":60,"dbId":1,"tableId":{id},"tableName":"t1","isView":false}}"#)
        };
        assert_eq!(
            plan_of(60, BinlogType::DROP_TABLE, &data(10)),
            Plan::Statement(Statement::DropTable { source_id: 10, target_id: 110 })
        );
        assert_eq!(plan_of(60, BinlogType::DROP_TABLE, &data(77)), Plan::Skip(SkipReason::NeverReplicated));
    }

    #[test]
    fn a_table_with_index_files_comes_as_a_copy() {
        let data = |index: &str| {
            format!(
                r#"{{"dbId":1,"tableId":33,"tableName":"t9","tableType":"OLAP","sql":"CREATE TABLE `t9` (`k` int{index}) DUPLICATE KEY(`k`) DISTRIBUTED BY HASH(`k`) BUCKETS 1"}}"#
            )
        };
        let plan = plan_of(60, BinlogType::CREATE_TABLE, &data(", INDEX i (`k`) USING INVERTED"));
        let reason = PartialSyncReason::Change { binlog_type: "CREATE_TABLE".to_owned(), commit_seq: 60 };
        assert_eq!(
            plan,
            Plan::AdoptTable { source_id: 33, name: "t9".to_owned(), reason, in_place_of: None }
        );
        let plan = plan_of(60, BinlogType::CREATE_TABLE, &data(""));
        assert!(matches!(plan, Plan::Statement(Statement::CreateTable { .. })), "{plan:?}");
    }

    #[test]
    fn a_truncate_of_a_table_without_a_link_is_left_to_a_look_upstream() {
        let data = r#"{"dbId":1,"db":"d1","tblId":77,"table":"t","isEntireTable":true,"rawSql":"","op":{}}"#;
        assert_eq!(plan_of(60, BinlogType::TRUNCATE_TABLE, data), Plan::Ingest(Ingest::look(vec![77])));
    }

    #[test]
    fn a_table_job_ignores_what_its_list_never_holds() {
        let data = r#"{"commitSeq":60,"dbId":1,"tableId":20,"tableName":"t2","tableType":"OLAP","sql":"x"}"#;
        assert_eq!(
            plan_for(&spec("t1", "x1"), 60, BinlogType::CREATE_TABLE, data),
            Plan::Skip(SkipReason::OtherTable)
        );
    }
}
