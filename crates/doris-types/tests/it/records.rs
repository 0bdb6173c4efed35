//! Every record type, from the JSON an FE writes and back.

use doris_types::record::{
    AlterJobKind, AlterJobState, BinlogType, CommentTarget, Record, RecordError, TableRecord,
};
use serde_json::Value;

macro_rules! fixtures {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../fixtures/", $name, ".json")))),*]
    };
}

/// One JSON per type as a current FE writes it. The number in front is the type.
const CURRENT: &[(&str, &str)] = &fixtures![
    "00_upsert",
    "00_upsert_sub_transactions",
    "01_add_partition",
    "02_create_table",
    "03_drop_partition",
    "04_drop_table",
    "05_alter_job",
    "05_alter_job_rollup",
    "06_modify_columns",
    "08_alter_database_property",
    "09_modify_table_property",
    "10_barrier",
    "11_modify_partitions",
    "12_replace_partitions",
    "13_truncate_table",
    "14_rename_table",
    "15_rename_column",
    "16_modify_comment_columns",
    "16_modify_comment_table",
    "17_modify_view_def",
    "18_replace_table",
    "19_modify_inverted_indices",
    "20_index_change_job",
    "21_rename_rollup",
    "22_rename_partition",
    "23_drop_rollup",
    "24_recover_info",
    "25_modify_distribution_bucket_num",
];

/// As older FEs write them: long keys, missing keys, wrapped records.
const OLD: &[(&str, &str)] = &fixtures![
    "00_upsert_old",
    "01_add_partition_old",
    "10_barrier_wrapping",
    "19_modify_inverted_indices_old",
    "26_modify_distribution_type",
];

/// Keys that are internal to the FE and not kept.
const NOT_KEPT: &[&str] = &["clsname", "sv"];

fn type_of(name: &str) -> BinlogType {
    BinlogType(name[..2].parse().unwrap())
}

fn fixture(name: &str) -> Record {
    let (_, text) = CURRENT.iter().chain(OLD).find(|(known, _)| *known == name).unwrap();
    Record::parse(type_of(name), Some(text)).unwrap()
}

/// Whether everything in `written` is in `again` with the same value.
fn assert_kept(name: &str, written: &Value, again: &Value) {
    match (written, again) {
        (Value::Object(written), Value::Object(again)) => {
            for (key, value) in written.iter().filter(|(key, _)| !NOT_KEPT.contains(&key.as_str())) {
                let kept = again.get(key).unwrap_or_else(|| panic!("{name}: key {key} is lost"));
                assert_kept(name, value, kept);
            }
        }
        (Value::Array(written), Value::Array(again)) => {
            assert_eq!(written.len(), again.len(), "{name}");
            written.iter().zip(again).for_each(|(written, again)| assert_kept(name, written, again));
        }
        _ => assert_eq!(written, again, "{name}"),
    }
}

#[test]
fn every_type_with_data_has_a_fixture() {
    for kind in BinlogType::known().filter(|kind| *kind != BinlogType::DUMMY) {
        assert!(CURRENT.iter().chain(OLD).any(|(name, _)| type_of(name) == kind), "{kind}");
    }
}

#[test]
fn current_records_are_written_with_the_keys_they_were_read_from() {
    for (name, text) in CURRENT {
        let record = Record::parse(type_of(name), Some(text)).unwrap();
        assert_eq!(record.binlog_type(), type_of(name), "{name}");
        let again = record.to_json().unwrap();
        assert_kept(name, &serde_json::from_str(text).unwrap(), &serde_json::from_str(&again).unwrap());
    }
}

#[test]
fn all_records_survive_writing_and_reading() {
    for (name, text) in CURRENT.iter().chain(OLD) {
        let record = Record::parse(type_of(name), Some(text)).unwrap();
        let again = Record::parse(record.binlog_type(), record.to_json().as_deref()).unwrap();
        assert_eq!(again, record, "{name}");
    }
}

#[test]
fn ids_above_2_to_the_53_are_exact() {
    let Record::Upsert(upsert) = fixture("00_upsert_sub_transactions") else { panic!() };
    assert_eq!(upsert.commit_seq, 9_007_199_254_740_993);
    assert_eq!(upsert.db_id, i64::MAX);
    assert_eq!(upsert.stids, [7001, 7002]);
    let table = &upsert.table_records[&9_007_199_254_740_997];
    assert_eq!(table.partition_records[0].partition_id, 9_007_199_254_740_999);
    assert_eq!(table.delta_rows[&9_007_199_254_741_001], 3);
    assert_eq!(table.index_ids, None);
    assert!(table.partition_records[1].is_temp_partition);
}

#[test]
fn absent_keys_of_an_old_upsert_have_defaults() {
    let Record::Upsert(upsert) = fixture("00_upsert_old") else { panic!() };
    let TableRecord { partition_records, index_ids, .. } = &upsert.table_records[&10020];
    assert_eq!((partition_records[0].stid, index_ids), (-1, &None));
    let Record::Upsert(upsert) = fixture("00_upsert") else { panic!() };
    assert_eq!(upsert.table_records[&10020].index_ids.as_deref(), Some([10021, 10044].as_slice()));
}

#[test]
fn long_keys_are_read_like_short_ones() {
    let Record::AddPartition(record) = fixture("01_add_partition_old") else { panic!() };
    let partition = &record.partition;
    assert_eq!((partition.name.as_str(), partition.state.as_str()), ("p2", "NORMAL"));
    assert_eq!((partition.visible_version, partition.next_version), (1, 2));
    assert_eq!(partition.visible_rollup_indexes[&10022].id, 10022);
    assert_eq!(partition.shadow_indexes[&10023].state, "SHADOW");
    let tablet = &partition.base_index.as_ref().unwrap().tablets[0];
    assert_eq!((tablet.checked_version, tablet.is_consistent), (4, true));
    let replica = &tablet.replicas[0];
    assert_eq!((replica.version, replica.data_size, replica.backend_id), (1, 7, 10001));
    let distribution = partition.distribution.as_ref().unwrap();
    assert!(distribution.is_random() && distribution.auto_bucket);
    assert_eq!(distribution.bucket_num, 4);

    let Record::ModifyInvertedIndices(record) = fixture("19_modify_inverted_indices_old") else { panic!() };
    let index = &record.indexes[0];
    assert_eq!((index.id, index.name.as_str(), index.index_type.as_str()), (10400, "i_v", "INVERTED"));
    assert_eq!(index.columns, ["v"]);
    assert_eq!(index.properties["parser"], "english");
}

#[test]
fn add_partition_keeps_its_bounds() {
    let Record::AddPartition(record) = fixture("01_add_partition") else { panic!() };
    assert_eq!(record.range[0].value.columns[0].type_name, "INT");
    assert_eq!(record.range[1].value.columns[0].literal["value"], 20);
    assert!(!record.range[0].value.is_default);
    assert_eq!(record.sql, r#"ADD PARTITION `p2` VALUES [("10"), ("20")) ("version_info" = "1");"#);
    assert_eq!(record.replica_alloc.unwrap().alloc_map[0].1, 1);
}

#[test]
fn a_barrier_is_unwrapped() {
    let Record::RenameTable(record) = fixture("10_barrier_wrapping") else { panic!() };
    assert_eq!((record.new_table_name.as_str(), record.old_table_name.as_str()), ("t9", "t1"));
    assert!(matches!(fixture("10_barrier"), Record::Barrier(_)));
    for (name, text) in CURRENT.iter().filter(|(name, _)| !name.starts_with("10")) {
        let wrapped = serde_json::json!({
            "dbId": 1, "dbName": "d", "tableId": 2, "tableName": "t",
            "binlogType": type_of(name).0, "binlog": text,
        });
        assert_eq!(
            Record::parse(BinlogType::BARRIER, Some(&wrapped.to_string())).unwrap(),
            fixture(name),
            "{name}"
        );
    }
}

#[test]
fn a_barrier_around_an_unknown_type_is_that_unknown_type() {
    let text = r#"{"dbId":1,"tableId":2,"binlogType":77,"binlog":"not even json"}"#;
    assert_eq!(
        Record::parse(BinlogType::BARRIER, Some(text)).unwrap(),
        Record::Unknown { binlog_type: BinlogType(77) }
    );
}

#[test]
fn a_barrier_in_a_barrier_is_refused() {
    let text = r#"{"dbId":1,"tableId":2,"binlogType":10,"binlog":"{}"}"#;
    let error = Record::parse(BinlogType::BARRIER, Some(text)).unwrap_err();
    assert!(matches!(error, RecordError::NestedBarrier), "{error}");
}

#[test]
fn dummy_and_unknown_types_need_no_data() {
    assert_eq!(Record::parse(BinlogType::DUMMY, None).unwrap(), Record::Dummy);
    let unknown = Record::parse(BinlogType(27), Some("anything")).unwrap();
    assert_eq!(unknown, Record::Unknown { binlog_type: BinlogType(27) });
    assert_eq!((unknown.to_json(), unknown.table_ids()), (None, vec![]));
}

#[test]
fn errors_name_the_type_and_the_key_or_position() {
    let cases = [
        (
            BinlogType::RENAME_COLUMN,
            r#"{"dbId":1,"colName":"a","newColName":"b"}"#,
            "missing field `tableId`",
        ),
        (BinlogType::CREATE_TABLE, r#"{"tableId":1}"#, "missing field `sql`"),
        (BinlogType::RENAME_TABLE, r#"{"db":1}"#, "missing field `tb`"),
        (BinlogType::REPLACE_TABLE, r#"{"origTblId":1}"#, "missing field `newTblName`"),
        (BinlogType::TRUNCATE_TABLE, r#"{"db":"d"}"#, "missing field `tblId`"),
        (BinlogType::UPSERT, r#"{"commitSeq":1,"tableRecords":{"x":{}}}"#, "line 1 column"),
        (BinlogType::DROP_TABLE, r#"{"tableId":"one"}"#, "line 1 column 16"),
        (BinlogType::RENAME_COLUMN, r#"[1, 2, "a", "b", {}]"#, "line 1 column 1"),
        (BinlogType::DROP_TABLE, r#"{"tableid":1}"#, "missing field `tableId`"),
    ];
    for (kind, text, expected) in cases {
        let error = Record::parse(kind, Some(text)).unwrap_err();
        assert_eq!(error.binlog_type(), kind);
        let message = error.to_string();
        assert!(message.contains(kind.name()) && message.contains(expected), "{message}");
    }
    for data in [None, Some("")] {
        let error = Record::parse(BinlogType::UPSERT, data).unwrap_err();
        assert_eq!(error.to_string(), "binlog record UPSERT has no data");
    }
}

#[test]
fn an_error_inside_a_barrier_names_the_inner_type() {
    let text = r#"{"dbId":1,"tableId":2,"binlogType":14,"binlog":"{\"db\":1}"}"#;
    let error = Record::parse(BinlogType::BARRIER, Some(text)).unwrap_err();
    assert_eq!(error.binlog_type(), BinlogType::RENAME_TABLE);
}

#[test]
fn a_long_bad_value_does_not_flood_the_error() {
    let text = format!(r#"{{"tableId":"{}"}}"#, "x".repeat(100_000));
    let error = Record::parse(BinlogType::DROP_TABLE, Some(&text)).unwrap_err();
    assert!(error.to_string().len() < 400);
}

#[test]
fn states_and_kinds_of_jobs() {
    let Record::AlterJob(job) = fixture("05_alter_job") else { panic!() };
    assert_eq!((&job.kind, &job.job_state), (&AlterJobKind::SchemaChange, &AlterJobState::WaitingTxn));
    assert_eq!(job.index_id_map[&10201], 10021);
    let Record::AlterJob(job) = fixture("05_alter_job_rollup") else { panic!() };
    assert_eq!((&job.kind, &job.job_state), (&AlterJobKind::Rollup, &AlterJobState::Finished));
    assert_eq!((job.rollup_index_name.as_str(), job.raw_sql), ("r1", None));
    let text = r#"{"type":"COMPACTION","tableId":1,"jobState":"PAUSED"}"#;
    let Record::AlterJob(job) = Record::parse(BinlogType::ALTER_JOB, Some(text)).unwrap() else { panic!() };
    assert_eq!(job.kind, AlterJobKind::Other("COMPACTION".to_owned()));
    assert_eq!(job.job_state, AlterJobState::Other("PAUSED".to_owned()));
}

#[test]
fn odd_names_of_keys_are_mapped() {
    let Record::ReplaceTable(record) = fixture("18_replace_table") else { panic!() };
    assert_eq!((record.new_table_id, record.new_table_name.as_str()), (10100, "t2"));
    let Record::ModifyComment(record) = fixture("16_modify_comment_columns") else { panic!() };
    assert_eq!((record.target, record.column_comments["v"].as_str()), (CommentTarget::Column, "new"));
    let Record::TruncateTable(record) = fixture("13_truncate_table") else { panic!() };
    assert_eq!(record.op[&10019], "p1");
    let Record::ModifyDistributionType(record) = fixture("26_modify_distribution_type") else { panic!() };
    assert_eq!((record.table_id, record.old_table_name.as_str()), (10020, ""));
}

#[test]
fn table_ids_are_the_tables_a_record_concerns() {
    assert_eq!(fixture("00_upsert").table_ids(), [10020]);
    assert_eq!(fixture("18_replace_table").table_ids(), [10020]);
    assert_eq!(fixture("11_modify_partitions").table_ids(), [10020]);
    assert!(fixture("08_alter_database_property").table_ids().is_empty());
}
