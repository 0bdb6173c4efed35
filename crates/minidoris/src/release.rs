//! Which release of Doris a cluster plays, and in what an older one differs.
//!
//! The data is kept in the newest form; an older release is what frontends *tell* of it.
//! 2.1 stands for the oldest frontends still met: long JSON keys, no indexes and sub-transactions in an UPSERT, no
//! ids of the partitions that were dropped or replaced, a lag that is only
//! a number, no commit seqs of drops, nothing with BINLOG_TOO_OLD_COMMIT_SEQ, no lockBinlog, and no
//! `force_replace` of a restore.
//! Frontends before 3.1 wrap the record types from MODIFY_VIEW_DEF on in a BARRIER, because their journal
//! could not carry them.

use std::borrow::Cow;

use doris_types::record::{BarrierRecord, BinlogType, html_safe_json};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// An emulated release, oldest first.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum,
)]
pub enum Release {
    #[serde(rename = "2.1")]
    #[value(name = "2.1")]
    V2_1,
    #[serde(rename = "3.0")]
    #[value(name = "3.0")]
    V3_0,
    #[default]
    #[serde(rename = "3.1")]
    #[value(name = "3.1")]
    V3_1,
    #[serde(rename = "4.0")]
    #[value(name = "4.0")]
    V4_0,
}

impl Release {
    /// What `@@version_comment` and SHOW FRONTENDS say.
    pub fn version_text(self) -> &'static str {
        match self {
            Release::V2_1 => "doris-2.1.6-rc04-minidoris",
            Release::V3_0 => "doris-3.0.4-rc02-minidoris",
            Release::V3_1 => "doris-3.1.0-rc02-minidoris",
            Release::V4_0 => "doris-4.0.2-rc01-minidoris",
        }
    }

    /// Major, minor and patch version.
    pub fn version(self) -> (i32, i32, i32) {
        match self {
            Release::V2_1 => (2, 1, 6),
            Release::V3_0 => (3, 0, 4),
            Release::V3_1 => (3, 1, 0),
            Release::V4_0 => (4, 0, 2),
        }
    }

    /// Whether its frontends lack what the module names for 2.1.
    pub fn is_old(self) -> bool {
        self < Release::V3_0
    }

    /// The type and the data of a record as this release tells them.
    pub fn tell<'a>(
        self,
        binlog_type: BinlogType,
        db_id: i64,
        table_ids: &[i64],
        data: Cow<'a, str>,
    ) -> (BinlogType, Cow<'a, str>) {
        let data = if self.is_old() { as_once(binlog_type, data) } else { data };
        if self >= Release::V3_1 || binlog_type.0 < BinlogType::MODIFY_VIEW_DEF.0 {
            return (binlog_type, data);
        }
        let barrier = BarrierRecord {
            db_id,
            table_id: table_ids.first().copied().unwrap_or_default(),
            binlog_type,
            binlog: Some(data.into_owned()),
            ..BarrierRecord::default()
        };
        (BinlogType::BARRIER, Cow::Owned(html_safe_json(&barrier)))
    }
}

/// Keys that old frontends do not write, beside the `stid` of an UPSERT's partitions.
const YOUNG_KEYS: [(BinlogType, &str); 3] = [
    (BinlogType::DROP_PARTITION, "pid"),
    (BinlogType::REPLACE_PARTITIONS, "partitionIds"),
    (BinlogType::UPSERT, "stids"),
];

/// Short keys of the records whose fields were renamed, with their older names.
const INDEX_KEYS: [(&str, &str); 6] = [
    ("i", "indexId"),
    ("in", "indexName"),
    ("c", "columns"),
    ("it", "indexType"),
    ("pt", "properties"),
    ("ct", "comment"),
];
const RENAME_KEYS: [(&str, &str); 10] = [
    ("db", "dbId"),
    ("tb", "tableId"),
    ("ind", "indexId"),
    ("p", "partitionId"),
    ("nT", "newTableName"),
    ("oT", "oldTableName"),
    ("nR", "newRollupName"),
    ("oR", "oldRollupName"),
    ("nP", "newPartitionName"),
    ("oP", "oldPartitionName"),
];
const PARTITION_KEYS: [(&str, &str); 9] = [
    ("nm", "name"),
    ("st", "state"),
    ("bi", "baseIndex"),
    ("ivr", "idToVisibleRollupIndex"),
    ("isi", "idToShadowIndex"),
    ("vv", "visibleVersion"),
    ("vvt", "visibleVersionTime"),
    ("nv", "nextVersion"),
    ("di", "distributionInfo"),
];
const TABLET_KEYS: [(&str, &str); 5] = [
    ("rs", "replicas"),
    ("cv", "checkedVersion"),
    ("ic", "isConsistent"),
    ("cri", "cooldownReplicaId"),
    ("ctm", "cooldownTerm"),
];
const REPLICA_KEYS: [(&str, &str); 8] = [
    ("v", "version"),
    ("ds", "dataSize"),
    ("rc", "rowCount"),
    ("st", "state"),
    ("bid", "backendId"),
    ("rds", "remoteDataSize"),
    ("lfv", "lastFailedVersion"),
    ("lsv", "lastSuccessVersion"),
];

/// A record with the keys of old frontends: the long ones, and none that came later.
fn as_once(binlog_type: BinlogType, data: Cow<'_, str>) -> Cow<'_, str> {
    let is_rename = [
        BinlogType::RENAME_TABLE,
        BinlogType::RENAME_ROLLUP,
        BinlogType::RENAME_PARTITION,
        BinlogType::MODIFY_DISTRIBUTION_TYPE,
    ]
    .contains(&binlog_type);
    let has_indexes = [
        BinlogType::MODIFY_TABLE_ADD_OR_DROP_COLUMNS,
        BinlogType::MODIFY_TABLE_ADD_OR_DROP_INVERTED_INDICES,
        BinlogType::INDEX_CHANGE_JOB,
    ]
    .contains(&binlog_type);
    let has_partition = binlog_type == BinlogType::ADD_PARTITION;
    let is_shorter = YOUNG_KEYS.iter().any(|(of, _)| *of == binlog_type);
    if !(is_rename || has_indexes || has_partition || is_shorter) {
        return data;
    }
    let Ok(Value::Object(mut record)) = serde_json::from_str(&data) else { return data };
    for (_, key) in YOUNG_KEYS.iter().filter(|(of, _)| *of == binlog_type) {
        record.remove(*key);
    }
    for table in objects(record.get_mut("tableRecords")) {
        objects(table.get_mut("partitionRecords")).for_each(|partition| drop(partition.remove("stid")));
    }
    if is_rename {
        rename(&mut record, &RENAME_KEYS);
    }
    if has_indexes {
        for key in ["indexes", "alterInvertedIndexes"] {
            objects(record.get_mut(key)).for_each(|index| rename(index, &INDEX_KEYS));
        }
    }
    if has_partition && let Some(Value::Object(partition)) = record.get_mut("partition") {
        let indexes = |value: Option<&mut Value>| objects(value).for_each(lengthen_index);
        indexes(partition.get_mut("ivr"));
        indexes(partition.get_mut("isi"));
        if let Some(Value::Object(base)) = partition.get_mut("bi") {
            lengthen_index(base);
        }
        rename(partition, &PARTITION_KEYS);
    }
    Cow::Owned(html_safe_json(&record))
}

fn lengthen_index(index: &mut Map<String, Value>) {
    for tablet in objects(index.get_mut("tablets")) {
        objects(tablet.get_mut("rs")).for_each(|replica| rename(replica, &REPLICA_KEYS));
        rename(tablet, &TABLET_KEYS);
    }
}

/// The objects in a list or among the values of an object.
fn objects(value: Option<&mut Value>) -> impl Iterator<Item = &mut Map<String, Value>> {
    let children: Vec<&mut Value> = match value {
        Some(Value::Array(items)) => items.iter_mut().collect(),
        Some(Value::Object(fields)) => fields.values_mut().collect(),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) | None => Vec::new(),
    };
    children.into_iter().filter_map(Value::as_object_mut)
}

fn rename(object: &mut Map<String, Value>, keys: &[(&str, &str)]) {
    for (short, long) in keys {
        if let Some(value) = object.remove(*short) {
            object.insert((*long).to_owned(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use doris_types::record::Record;

    use super::*;

    #[test]
    fn old_frontends_leave_out_what_came_later() {
        let told = |binlog_type, data: &'static str| {
            let (old, new) = (Release::V2_1, Release::V3_1);
            assert_eq!(new.tell(binlog_type, 1, &[2], Cow::Borrowed(data)).1, data);
            old.tell(binlog_type, 1, &[2], Cow::Borrowed(data)).1.into_owned()
        };
        let dropped = r#"{"dbId":1,"pid":7,"partitionName":"p","tableId":2}"#;
        assert_eq!(
            told(BinlogType::DROP_PARTITION, dropped),
            r#"{"dbId":1,"partitionName":"p","tableId":2}"#
        );
        let replaced = r#"{"partitionIds":[7],"partitions":["p"],"tblId":2}"#;
        assert_eq!(told(BinlogType::REPLACE_PARTITIONS, replaced), r#"{"partitions":["p"],"tblId":2}"#);
        let upsert = r#"{"commitSeq":5,"stids":[8,9],"tableRecords":{"2":{"partitionRecords":[{"partitionId":7,"stid":8,"version":3}]}}}"#;
        assert_eq!(
            told(BinlogType::UPSERT, upsert),
            r#"{"commitSeq":5,"tableRecords":{"2":{"partitionRecords":[{"partitionId":7,"version":3}]}}}"#
        );
    }

    #[test]
    fn old_records_read_like_new_ones() {
        let cases = [
            (BinlogType::RENAME_TABLE, r#"{"db":1,"tb":2,"ind":-1,"p":-1,"nT":"b","oT":"a"}"#),
            (BinlogType::RENAME_ROLLUP, r#"{"db":1,"tb":2,"ind":7,"p":-1,"nR":"b","oR":"a"}"#),
            (
                BinlogType::ADD_PARTITION,
                r#"{"commitSeq":1,"dbId":1,"tableId":2,"partition":{"clazz":"Partition","id":5,"nm":"p","st":"NORMAL",
                "bi":{"id":6,"state":"NORMAL","tablets":[{"clazz":"LocalTablet","id":8,"rs":[{"id":9,"v":1,"bid":3}],
                "cv":0,"ic":true,"cri":-1,"ctm":-1}]},"vv":1,"nv":2},"sql":"ADD PARTITION `p`"}"#,
            ),
        ];
        for (binlog_type, data) in cases {
            let known = Record::parse(binlog_type, Some(data)).unwrap();
            let (told_type, told) = Release::V2_1.tell(binlog_type, 1, &[2], Cow::Borrowed(data));
            assert_eq!(Record::parse(told_type, Some(&told)).unwrap(), known, "{told}");
            assert!(
                told.contains("tableId") && !told.contains("\"nm\"") && !told.contains("\"rs\""),
                "{told}"
            );
            let is_young = binlog_type == BinlogType::RENAME_ROLLUP;
            assert_eq!(told_type == BinlogType::BARRIER, is_young);
            let newest = Release::V4_0.tell(binlog_type, 1, &[2], Cow::Borrowed(data));
            assert_eq!(newest, (binlog_type, Cow::Borrowed(data)));
        }
    }
}
