//! The job info of a snapshot: JSON that the FE hands out with a backup and wants back, extended, to restore.
//!
//! It may hold hundreds of MB (one entry per tablet), and every key this crate does not know must reach the
//! restoring FE as it was. So it stays a byte string: [`JobInfo::scan`] streams over it and keeps only what
//! replication asks for, [`insert_extra_info`] adds the one key the FE leaves to the client and moves no other
//! byte. Neither builds a tree.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::record::html_safe_json;

/// What replication reads of a job info.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct JobInfo {
    /// Label of the snapshot.
    #[serde(default)]
    pub name: String,
    /// Name of the source database.
    #[serde(default)]
    pub database: String,
    /// Id of the source database.
    #[serde(default, rename = "id")]
    pub database_id: i64,
    /// ms since the epoch.
    #[serde(default)]
    pub backup_time: i64,
    /// By table id: every write up to this commit seq is in the snapshot. Views have none.
    #[serde(default)]
    pub table_commit_seq_map: BTreeMap<i64, i64>,
    /// The OLAP tables in the snapshot, by name.
    #[serde(default)]
    pub backup_objects: BTreeMap<String, SnapshotTable>,
    #[serde(default)]
    pub new_backup_objects: NewBackupObjects,
    /// Backends that hold the snapshot: the distinct values of `tablet_be_map`.
    #[serde(default, rename = "tablet_be_map", deserialize_with = "distinct_values")]
    pub backends: BTreeSet<i64>,
}

/// A table in the snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct SnapshotTable {
    pub id: i64,
    /// By name.
    #[serde(default)]
    pub partitions: BTreeMap<String, SnapshotPartition>,
}

/// A partition in the snapshot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub struct SnapshotPartition {
    pub id: i64,
    /// The visible version that was saved.
    #[serde(default)]
    pub version: i64,
}

/// What a snapshot holds beside OLAP tables.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct NewBackupObjects {
    #[serde(default)]
    pub views: Vec<SnapshotView>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct SnapshotView {
    #[serde(default)]
    pub id: i64,
    pub name: String,
}

/// What the restoring cluster needs to download the snapshot. The FE leaves it to the client.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct ExtraInfo {
    /// HTTP addresses by backend id, as the restoring backends reach them; all of [`JobInfo::backends`].
    pub be_network_map: BTreeMap<i64, NetworkAddress>,
    /// Secret of the cluster that holds the snapshot.
    pub token: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct NetworkAddress {
    pub ip: String,
    pub port: u16,
}

/// A job info that is not the JSON object it should be.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the job info of the snapshot: {cause}")]
pub struct JobInfoError {
    cause: serde_json::Error,
}

impl JobInfo {
    /// Reads what replication needs. Memory grows with the number of partitions, not of tablets.
    ///
    /// # Errors
    /// When the text is no JSON object or a key has another type than it should.
    pub fn scan(bytes: &[u8]) -> Result<Self, JobInfoError> {
        require_object(bytes)?;
        serde_json::from_slice(bytes).map_err(|cause| JobInfoError { cause })
    }

    /// The smallest commit seq that a table of the snapshot reaches; none when it holds views only.
    pub fn min_table_commit_seq(&self) -> Option<i64> {
        self.table_commit_seq_map.values().copied().min()
    }
}

/// Adds `extra_info` at the top level, or replaces the one that is there. Every other byte stays as it is, and
/// the text is changed in place.
///
/// # Errors
/// When the text is no JSON object.
pub fn insert_extra_info(mut bytes: Vec<u8>, extra: &ExtraInfo) -> Result<Vec<u8>, JobInfoError> {
    let value = html_safe_json(extra);
    let place = Place::find(&bytes)?;
    match place {
        Place::Replace { start, end } => {
            bytes.splice(start..end, value.bytes());
        }
        Place::Append { at, is_first } => {
            let comma = if is_first { "" } else { "," };
            let member = format!("{comma}\"extra_info\":{value}");
            // Doubling the buffer, as growing by itself does, would cost as much memory as the text.
            bytes.reserve_exact(member.len());
            bytes.splice(at..at, member.bytes());
        }
    }
    Ok(bytes)
}

/// Where in the text `extra_info` is, or would be.
enum Place {
    Replace { start: usize, end: usize },
    Append { at: usize, is_first: bool },
}

impl Place {
    fn find(bytes: &[u8]) -> Result<Self, JobInfoError> {
        require_object(bytes)?;
        let top: TopLevel<'_> = serde_json::from_slice(bytes).map_err(|cause| JobInfoError { cause })?;
        if let Some(value) = top.extra_info {
            // The value borrows from the text, so its address tells its place.
            let start = value.get().as_ptr().addr() - bytes.as_ptr().addr();
            return Ok(Self::Replace { start, end: start + value.get().len() });
        }
        // The text was read as one object, so its last visible byte is the closing brace, and only in an empty
        // object is the one before it the opening brace.
        let last_visible =
            |bytes: &[u8]| bytes.iter().rposition(|byte| !byte.is_ascii_whitespace()).unwrap_or(0);
        let at = last_visible(bytes);
        let is_first = bytes[last_visible(&bytes[..at])] == b'{';
        Ok(Self::Append { at, is_first })
    }
}

/// A derived reader would take an array as well, its items in the order of the fields.
fn require_object(bytes: &[u8]) -> Result<(), JobInfoError> {
    match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{') => Ok(()),
        Some(_) | None => Err(JobInfoError { cause: serde_json::Error::custom("not a JSON object") }),
    }
}

#[derive(Deserialize)]
struct TopLevel<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    extra_info: Option<&'a RawValue>,
}

/// Tells a value of `null` from an absent key: it has to be replaced, too.
fn present<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// The distinct values of a map, without keeping the map.
fn distinct_values<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeSet<i64>, D::Error> {
    struct Values;

    impl<'de> Visitor<'de> for Values {
        type Value = BTreeSet<i64>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a map of ids")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut values = BTreeSet::new();
            while let Some((IgnoredAny, value)) = map.next_entry()? {
                values.insert(value);
            }
            Ok(values)
        }
    }

    deserializer.deserialize_map(Values)
}

impl fmt::Debug for ExtraInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExtraInfo")
            .field("be_network_map", &self.be_network_map)
            .field("token", &"<hidden>")
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EXAMPLE: &str = r#"{"name":"s1","database":"d1","id":10010,"backup_time":1767000000000,"content":"ALL",
 "backup_objects":{"t1":{"id":10020,"partitions":{"p1":{"id":10019,"version":5,"indexes":{"t1":{"id":10021,"schema_hash":1234567,"tablets":{"10022":[]},"tablets_order":[10022]}}}}}},
 "new_backup_objects":{"views":[{"id":10300,"name":"v1"}],"odbc_tables":[],"odbc_resources":[]},
 "backup_result":"succeed","meta_version":140,"unknown":[9007199254740993, 1.50, {"extra_info":1}],
 "tablet_be_map":{"10022":10001,"10023":10002,"10024":10001},"tablet_snapshot_path_map":{"10022":"/data"},
 "table_commit_seq_map":{"10020":9007199254740993,"10021":50400}, "tblalias":{} }
"#;

    fn extra() -> ExtraInfo {
        ExtraInfo {
            be_network_map: BTreeMap::from([(
                10001,
                NetworkAddress { ip: "10.0.0.1".to_owned(), port: 8040 },
            )]),
            token: "se\"cret".to_owned(),
        }
    }

    const EXTRA: &str =
        r#""extra_info":{"be_network_map":{"10001":{"ip":"10.0.0.1","port":8040}},"token":"se\"cret"}"#;

    fn insert(text: &str) -> String {
        String::from_utf8(insert_extra_info(text.as_bytes().to_vec(), &extra()).unwrap()).unwrap()
    }

    #[test]
    fn reads_what_replication_needs() {
        let info = JobInfo::scan(EXAMPLE.as_bytes()).unwrap();
        assert_eq!((info.name.as_str(), info.database.as_str(), info.database_id), ("s1", "d1", 10010));
        assert_eq!(info.table_commit_seq_map[&10020], 9_007_199_254_740_993);
        assert_eq!(info.min_table_commit_seq(), Some(50400));
        assert_eq!(info.backup_objects["t1"].id, 10020);
        assert_eq!(info.backup_objects["t1"].partitions["p1"], SnapshotPartition { id: 10019, version: 5 });
        assert_eq!(info.new_backup_objects.views, [SnapshotView { id: 10300, name: "v1".to_owned() }]);
        assert_eq!(info.backends, BTreeSet::from([10001, 10002]));
        assert_eq!(JobInfo::scan(b"{}").unwrap(), JobInfo::default());
    }

    #[test]
    fn adds_one_key_and_keeps_every_other_byte() {
        let (head, tail) = EXAMPLE.split_at(EXAMPLE.rfind('}').unwrap());
        assert_eq!(insert(EXAMPLE), format!("{head},{EXTRA}{tail}"));
        assert_eq!(insert(" { } "), format!(" {{ {EXTRA}}} "));
        assert_eq!(insert("{}"), format!("{{{EXTRA}}}"));
        assert_eq!(insert("{\"a\":{}}"), format!("{{\"a\":{{}},{EXTRA}}}"));
    }

    #[test]
    fn replaces_the_key_where_it_is() {
        for old in ["null", "{}", "{\"token\":\"}\"} "] {
            let text = format!("{{\"a\": 1, \"extra_info\": {old}, \"b\": \"extra_info\"}}");
            assert_eq!(
                insert(&text),
                text.replace(old.trim_end(), EXTRA.strip_prefix("\"extra_info\":").unwrap())
            );
        }
        let once = insert(EXAMPLE);
        assert_eq!(insert(&once), once);
        assert_eq!(insert("{\"extra\\u005finfo\":1}"), format!("{{\"extra\\u005finfo\":{}}}", &EXTRA[13..]));
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for text in ["", "[]", "null", "{\"a\":1", "{} x", "{\"extra_info\":1,\"extra_info\":2}"] {
            assert!(insert_extra_info(text.as_bytes().to_vec(), &extra()).is_err(), "{text}");
        }
        for text in ["", "[]", "{\"table_commit_seq_map\":{\"x\":1}}", "{\"tablet_be_map\":[]}"] {
            assert!(JobInfo::scan(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn the_token_is_not_shown() {
        assert!(!format!("{:?}", extra()).contains("cret"));
    }

    proptest! {
        #[test]
        fn any_object_keeps_its_other_members(
            members in prop::collection::btree_map("[a-z_}{\"\\\\]{0,6}", "\\PC{0,6}", 0..5),
            space in "[ \n\t]{0,3}",
        ) {
            let text = format!("{space}{}{space}", serde_json::to_string(&members).unwrap());
            let done: serde_json::Value = serde_json::from_str(&insert(&text)).unwrap();
            let object = done.as_object().unwrap();
            prop_assert_eq!(object.len(), members.len() + 1);
            for (key, value) in &members {
                prop_assert_eq!(object[key].as_str(), Some(value.as_str()));
            }
            prop_assert_eq!(object["extra_info"]["token"].as_str(), Some("se\"cret"));
        }
    }
}
