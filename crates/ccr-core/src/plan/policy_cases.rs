//! The policies name what the planner decides, and nothing that it never decides.

use std::collections::{BTreeMap, BTreeSet};

use doris_types::record::BinlogType;

use super::testing::{change, links, spec};
use super::{Decision, POLICIES, TrackId, View, plan};
use crate::job::{JobSpec, MediumPolicy, SyncType, TableLink};

/// Records of tables 10 (`t1`, with the temporary partition `tp`) and 20 (`t2`), which are linked, and of others;
/// of view 30 (`v1`).
const SAMPLES: &[(BinlogType, &str)] = &[
    (
        BinlogType::UPSERT,
        r#"{"commitSeq":60,"txnId":1,"dbId":1,"tableRecords":{"10":{"partitionRecords":[{"partitionId":7,"range":"","version":3,"isTempPartition":false,"stid":-1}]}}}"#,
    ),
    (BinlogType::UPSERT, r#"{"commitSeq":60,"txnId":1,"dbId":1,"tableRecords":{}}"#),
    (
        BinlogType::UPSERT,
        r#"{"commitSeq":60,"txnId":1,"dbId":1,"tableRecords":{"99":{"partitionRecords":[{"partitionId":7,"range":"","version":3,"isTempPartition":false,"stid":-1}]}}}"#,
    ),
    (
        BinlogType::ADD_PARTITION,
        r#"{"commitSeq":60,"dbId":1,"tableId":10,"partition":{"id":5,"nm":"p2","vv":1,"nv":2,"di":{"type":"HASH","bucketNum":1,"autoBucket":false,"distributionColumns":[{"name":"k"}]}},"isTempPartition":false,"sql":"ADD PARTITION `p2` VALUES [(\"10\"), (\"20\")) (\"version_info\" = \"1\");"}"#,
    ),
    (
        BinlogType::ADD_PARTITION,
        r#"{"commitSeq":60,"dbId":1,"tableId":10,"partition":{"id":5,"nm":"p2"},"isTempPartition":false,"sql":"ADD"}"#,
    ),
    (
        BinlogType::ADD_PARTITION,
        r#"{"commitSeq":60,"dbId":1,"tableId":10,"partition":{"id":5,"nm":"p2"},"isTempPartition":true,"sql":"ADD"}"#,
    ),
    (
        BinlogType::CREATE_TABLE,
        r#"{"commitSeq":60,"dbId":1,"tableId":40,"tableName":"t4","tableType":"OLAP","sql":"CREATE TABLE `t4` (`k` int) DUPLICATE KEY(`k`) DISTRIBUTED BY HASH(`k`) BUCKETS 1"}"#,
    ),
    (
        BinlogType::CREATE_TABLE,
        r#"{"commitSeq":60,"dbId":1,"tableId":40,"tableName":"t4","tableType":"OLAP","sql":"CREATE"}"#,
    ),
    (
        BinlogType::CREATE_TABLE,
        r#"{"commitSeq":60,"dbId":1,"tableId":40,"tableName":"v4","tableType":"VIEW","sql":"CREATE"}"#,
    ),
    (
        BinlogType::CREATE_TABLE,
        r#"{"commitSeq":60,"dbId":1,"tableId":40,"tableName":"m","tableType":"MATERIALIZED_VIEW","sql":"x"}"#,
    ),
    (
        BinlogType::DROP_PARTITION,
        r#"{"dbId":1,"tableId":10,"pid":5,"partitionName":"p2","isTempPartition":false,"forceDrop":false,"recycleTime":1,"sql":"DROP PARTITION `p2`"}"#,
    ),
    (
        BinlogType::DROP_PARTITION,
        r#"{"dbId":1,"tableId":10,"pid":5,"partitionName":"other","isTempPartition":true,"forceDrop":false,"recycleTime":1,"sql":""}"#,
    ),
    (
        BinlogType::DROP_PARTITION,
        r#"{"dbId":1,"tableId":10,"partitionName":"","isTempPartition":false,"forceDrop":false,"recycleTime":1,"sql":"DROP"}"#,
    ),
    (BinlogType::DROP_TABLE, r#"{"commitSeq":60,"dbId":1,"tableId":10,"tableName":"t1","isView":false}"#),
    (BinlogType::DROP_TABLE, r#"{"commitSeq":60,"dbId":1,"tableId":99,"tableName":"t9","isView":false}"#),
    (
        BinlogType::ALTER_JOB,
        r#"{"type":"SCHEMA_CHANGE","dbId":1,"tableId":10,"tableName":"t1","jobId":3,"jobState":"FINISHED","iim":{"201":11}}"#,
    ),
    (
        BinlogType::ALTER_JOB,
        r#"{"type":"SCHEMA_CHANGE","dbId":1,"tableId":10,"tableName":"t1","jobId":3,"jobState":"PENDING","iim":{"201":11}}"#,
    ),
    (
        BinlogType::MODIFY_TABLE_ADD_OR_DROP_COLUMNS,
        r#"{"dbId":1,"tableId":10,"rawSql":"ALTER TABLE `d1`.`t1` DROP COLUMN `v`"}"#,
    ),
    (BinlogType::MODIFY_TABLE_ADD_OR_DROP_COLUMNS, r#"{"dbId":1,"tableId":10,"rawSql":"ALTER TABLE `d1"}"#),
    (BinlogType::DUMMY, ""),
    (
        BinlogType::ALTER_DATABASE_PROPERTY,
        r#"{"dbId":1,"dbName":"d1","properties":{"binlog.enable":"true"}}"#,
    ),
    (
        BinlogType::MODIFY_TABLE_PROPERTY,
        r#"{"dbId":1,"tableId":10,"properties":{"in_memory":"true"},"sql":""}"#,
    ),
    (
        BinlogType::MODIFY_TABLE_PROPERTY,
        r#"{"dbId":1,"tableId":10,"properties":{"dynamic_partition.enable":"false"},"sql":""}"#,
    ),
    (
        BinlogType::MODIFY_TABLE_PROPERTY,
        r#"{"dbId":1,"tableId":10,"properties":{"binlog.enable":"false"},"sql":""}"#,
    ),
    (BinlogType::BARRIER, r#"{"dbId":1,"tableId":10,"binlogType":0}"#),
    (
        BinlogType::BARRIER,
        r#"{"dbId":1,"tableId":10,"binlogType":15,"binlog":"{\"dbId\":1,\"tableId\":10,\"colName\":\"v\",\"newColName\":\"w\"}"}"#,
    ),
    (
        BinlogType::MODIFY_PARTITIONS,
        r#"{"infos":[{"dbId":1,"tableId":10,"partitionId":5,"dataProperty":{"storageMedium":"SSD"}}]}"#,
    ),
    (
        BinlogType::REPLACE_PARTITIONS,
        r#"{"dbId":1,"dbName":"d1","tblId":10,"tblName":"t1","partitions":["p1"],"tempPartitions":["tp"],"strictRange":true,"useTempPartitionName":false,"version":9,"versionTime":1,"force":false}"#,
    ),
    (
        BinlogType::REPLACE_PARTITIONS,
        r#"{"dbId":1,"dbName":"d1","tblId":10,"tblName":"t1","partitions":["p1"],"tempPartitions":["other"],"strictRange":true,"useTempPartitionName":false,"version":9,"versionTime":1,"force":false}"#,
    ),
    (
        BinlogType::TRUNCATE_TABLE,
        r#"{"dbId":1,"db":"d1","tblId":10,"table":"t1","isEntireTable":true,"rawSql":"","op":{}}"#,
    ),
    (
        BinlogType::TRUNCATE_TABLE,
        r#"{"dbId":1,"db":"d1","tblId":10,"table":"t1","isEntireTable":false,"rawSql":"","op":{}}"#,
    ),
    (BinlogType::RENAME_TABLE, r#"{"db":1,"tb":10,"nT":"b","oT":"t1"}"#),
    (BinlogType::RENAME_COLUMN, r#"{"dbId":1,"tableId":10,"colName":"v","newColName":"w"}"#),
    (BinlogType::MODIFY_COMMENT, r#"{"type":"TABLE","dbId":1,"tblId":10,"tblComment":"x"}"#),
    (BinlogType::MODIFY_COMMENT, r#"{"type":"COLUMN","dbId":1,"tblId":10,"colToComment":{}}"#),
    (BinlogType::MODIFY_COMMENT, r#"{"type":"INDEX","dbId":1,"tblId":10}"#),
    (
        BinlogType::MODIFY_VIEW_DEF,
        r#"{"dbId":1,"tableId":30,"inlineViewDef":"SELECT 1","newFullSchema":[],"comment":""}"#,
    ),
    (
        BinlogType::MODIFY_VIEW_DEF,
        r#"{"dbId":1,"tableId":30,"inlineViewDef":"'","newFullSchema":[],"comment":""}"#,
    ),
    (
        BinlogType::MODIFY_VIEW_DEF,
        r#"{"dbId":1,"tableId":99,"inlineViewDef":"SELECT 1","newFullSchema":[],"comment":""}"#,
    ),
    (
        BinlogType::REPLACE_TABLE,
        r#"{"dbId":1,"origTblId":10,"origTblName":"t1","newTblName":20,"actualNewTblName":"t2","swapTable":true,"isForce":false}"#,
    ),
    (
        BinlogType::REPLACE_TABLE,
        r#"{"dbId":1,"origTblId":10,"origTblName":"a","newTblName":20,"actualNewTblName":"b","swapTable":true,"isForce":false}"#,
    ),
    (
        BinlogType::REPLACE_TABLE,
        r#"{"dbId":1,"origTblId":10,"origTblName":"t1","newTblName":99,"actualNewTblName":"t9","swapTable":true,"isForce":false}"#,
    ),
    (
        BinlogType::MODIFY_TABLE_ADD_OR_DROP_INVERTED_INDICES,
        r#"{"dbId":1,"tableId":10,"alterInvertedIndexes":[{"i":9,"in":"i","c":["v"],"it":"INVERTED"}],"isDropInvertedIndex":true}"#,
    ),
    (
        BinlogType::MODIFY_TABLE_ADD_OR_DROP_INVERTED_INDICES,
        r#"{"dbId":1,"tableId":10,"alterInvertedIndexes":[],"isDropInvertedIndex":true}"#,
    ),
    (
        BinlogType::MODIFY_TABLE_ADD_OR_DROP_INVERTED_INDICES,
        r#"{"dbId":1,"tableId":10,"alterInvertedIndexes":[{"i":9,"in":"i","c":["v"],"it":"INVERTED"}],"isDropInvertedIndex":false}"#,
    ),
    (
        BinlogType::INDEX_CHANGE_JOB,
        r#"{"jobId":4,"jobState":"FINISHED","dbId":1,"tableId":10,"tableName":"t1","partitionId":5,"partitionName":"p1","isDropOp":false,"alterInvertedIndexes":[{"i":9,"in":"i","c":["v"],"it":"INVERTED"}],"originIndexId":11}"#,
    ),
    (
        BinlogType::INDEX_CHANGE_JOB,
        r#"{"jobId":4,"jobState":"RUNNING","dbId":1,"tableId":10,"tableName":"t1","partitionId":5,"partitionName":"p1","isDropOp":false,"alterInvertedIndexes":[],"originIndexId":11}"#,
    ),
    (BinlogType::RENAME_ROLLUP, r#"{"db":1,"tb":10,"ind":5,"nR":"q","oR":"r"}"#),
    (BinlogType::RENAME_ROLLUP, r#"{"db":1,"tb":10,"ind":5,"nR":"q","oR":""}"#),
    (BinlogType::RENAME_PARTITION, r#"{"db":1,"tb":10,"p":5,"nP":"q","oP":"p"}"#),
    (
        BinlogType::DROP_ROLLUP,
        r#"{"ctl":"internal","dbId":1,"tableId":10,"tableName":"t1","indexId":9,"indexName":"r1"}"#,
    ),
    (
        BinlogType::RECOVER_INFO,
        r#"{"dbId":1,"newDbName":"","tableId":99,"tableName":"t9","newTableName":"","partitionId":-1,"partitionName":"","newPartitionName":""}"#,
    ),
    (
        BinlogType::RECOVER_INFO,
        r#"{"dbId":1,"newDbName":"","tableId":10,"tableName":"t1","newTableName":"","partitionId":5,"partitionName":"p1","newPartitionName":""}"#,
    ),
    (
        BinlogType::MODIFY_DISTRIBUTION_BUCKET_NUM,
        r#"{"dbId":1,"tableId":10,"type":"HASH","autoBucket":false,"bucketNum":8,"columnsName":"`k`"}"#,
    ),
    (
        BinlogType::MODIFY_DISTRIBUTION_BUCKET_NUM,
        r#"{"dbId":1,"tableId":10,"type":"OTHER","autoBucket":false,"bucketNum":8,"columnsName":"`k`"}"#,
    ),
    (BinlogType::MODIFY_DISTRIBUTION_TYPE, r#"{"db":1,"tb":10,"nT":"","oT":""}"#),
];

/// What is decided about the samples by jobs of a kind, with and without their media, by the job's list and by the
/// table's own.
fn decided(job: &JobSpec, tables: &BTreeMap<i64, TableLink>) -> BTreeMap<BinlogType, BTreeSet<Decision>> {
    let views = BTreeMap::from([(30, "v1".to_owned())]);
    let mut decided: BTreeMap<BinlogType, BTreeSet<Decision>> = BTreeMap::new();
    for medium in [MediumPolicy::Target, MediumPolicy::Upstream] {
        let mut spec = job.clone();
        spec.options.storage_medium = medium;
        for track in [TrackId::Main, TrackId::Table(10)] {
            let skips = BTreeSet::new();
            let view = View { spec: &spec, tables, views: &views, skips: &skips, commit_seq: 40, track };
            for (binlog_type, data) in SAMPLES {
                let change = change(60, *binlog_type, data);
                let plan = plan(&change, view);
                decided.entry(change.record.binlog_type()).or_default().extend(Decision::of(&plan));
            }
        }
    }
    decided
}

#[test]
fn each_policy_names_what_is_decided_and_nothing_else() {
    let mut tables = links();
    tables.get_mut(&10).expect("the table of the cases").temporary.insert(7, "tp".to_owned());
    let of_a_table_job = tables.clone();
    tables.insert(20, TableLink::new("t2", 120, 50));
    let mut different = Vec::new();
    for (spec, tables) in [(spec("", ""), tables), (spec("t1", "t1"), of_a_table_job)] {
        let mut decided = decided(&spec, &tables);
        for policy in &POLICIES {
            let named: BTreeSet<Decision> = policy.decisions(spec.sync_type()).iter().copied().collect();
            let decided = decided.remove(&policy.binlog_type).unwrap_or_default();
            if decided != named {
                let (binlog_type, sync_type) = (policy.binlog_type, spec.sync_type());
                different.push(format!("{binlog_type} in a {sync_type:?} job: {decided:?}, named {named:?}"));
            }
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn a_policy_that_skips_says_when() {
    for policy in &POLICIES {
        let all = [SyncType::Database, SyncType::Table].map(|sync_type| policy.decisions(sync_type));
        if all.iter().any(|decisions| decisions.contains(&Decision::Skip)) {
            assert_ne!(policy.skipped, "never", "{}", policy.binlog_type);
        }
    }
}
