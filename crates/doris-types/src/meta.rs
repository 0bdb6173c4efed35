//! What a client of a Doris cluster knows about its catalogue and nodes.
//!
//! These are the answers of `getMeta`, `getBackendMeta`, `frontends()`, SHOW BACKUP and SHOW RESTORE in
//! plain Rust types, shared by the clients that read them and the engine that decides with them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A database with the tables that were asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DatabaseMeta {
    pub id: i64,
    pub name: String,
    /// OLAP tables only; views are never listed by `getMeta`.
    pub tables: Vec<TableMeta>,
    /// Whether the FE reports what was dropped, as FEs do that have the binlog feature on and are not too
    /// old. Then something that is neither listed nor reported as dropped is missing for another reason.
    pub reports_drops: bool,
    /// Dropped partition id to commit seq of the drop, for binlogs still kept.
    pub dropped_partitions: BTreeMap<i64, i64>,
    /// Dropped table id to commit seq of the drop.
    pub dropped_tables: BTreeMap<i64, i64>,
    /// Dropped index id to commit seq of the drop.
    pub dropped_indexes: BTreeMap<i64, i64>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableMeta {
    pub id: i64,
    pub name: String,
    /// `OLAP`, `MATERIALIZED_VIEW`… as the FE names it.
    pub kind: String,
    /// Empty when only names were asked for. Temporary partitions are included and not marked.
    pub partitions: Vec<PartitionMeta>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PartitionMeta {
    pub id: i64,
    pub name: String,
    /// The identity text that both clusters share; empty for an unpartitioned table.
    pub range: String,
    pub visible_version: i64,
    /// All indexes, shadow ones (`__doris_shadow_…`) included.
    pub indexes: Vec<IndexMeta>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IndexMeta {
    pub id: i64,
    /// The base index carries the table's name.
    pub name: String,
    /// In bucket order: position `i` is bucket `i`.
    pub tablets: Vec<TabletMeta>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TabletMeta {
    pub id: i64,
    pub replicas: Vec<ReplicaMeta>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReplicaMeta {
    pub id: i64,
    pub backend_id: i64,
    pub version: i64,
}

/// A backend as registered with the FE; `host` may be private.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backend {
    pub id: i64,
    pub host: String,
    /// Thrift BackendService.
    pub be_port: u16,
    /// HTTP: binlog and snapshot downloads, configuration.
    pub http_port: u16,
    pub alive: bool,
}

/// One frontend as listed by `frontends()`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frontend {
    pub host: String,
    pub query_port: u16,
    pub rpc_port: u16,
    pub is_master: bool,
    /// As it calls itself: `doris-3.0.3-rc03-43f06a5e26`; empty when it does not say.
    #[serde(default)]
    pub version: String,
}

impl Frontend {
    /// Major and minor number of its version, where it has the usual form.
    pub fn release(&self) -> Option<(u32, u32)> {
        let numbers = self.version.trim_start_matches(|letter: char| !letter.is_ascii_digit());
        let mut numbers = numbers.split(|letter: char| !letter.is_ascii_digit());
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    }
}

/// A list of binlogs as the master keeps it, with the limits by which it expires.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BinlogList {
    /// `db`, or `db.table` of a table's list.
    pub name: String,
    pub is_of_table: bool,
    /// Of the database or the table.
    pub id: i64,
    /// Entries, with the dummy in front.
    pub entries: i64,
    pub bytes: i64,
    pub ttl_seconds: i64,
    pub max_bytes: i64,
    pub max_history_nums: i64,
}

/// One replica written by a transaction: the pair that `commitTxn` wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TabletCommit {
    pub tablet_id: i64,
    pub backend_id: i64,
}

/// A row of SHOW BACKUP or SHOW RESTORE.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SnapshotJob {
    /// Grows with every job of the cluster, for it is counted with the ids of its tables; 0 when the FE does not tell
    /// it. Backups and restores of one database run one after the other, so of two the later has the higher id.
    pub id: i64,
    /// SnapshotName of a backup, Label of a restore.
    pub label: String,
    /// `PENDING` … `FINISHED` or `CANCELLED`.
    pub state: String,
    /// `[OK]` or `[COMMON_ERROR, msg: …]`.
    pub status: String,
    /// Free text such as `[10022: 3/10]`.
    pub progress: String,
}

/// What a restore has brought: names in its snapshot, which an alias replaces in the database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RestoredObjects {
    pub tables: Vec<String>,
    pub views: Vec<String>,
}

impl RestoredObjects {
    /// Reads the column RestoreObjs of SHOW RESTORE; `None` when it is something else.
    pub fn parse(text: &str) -> Option<Self> {
        let objects: serde_json::Value = serde_json::from_str(text).ok()?;
        let names = |key: &str| -> Option<Vec<String>> {
            let list = match objects.as_object()?.get(key) {
                None | Some(serde_json::Value::Null) => return Some(Vec::new()),
                Some(list) => list.as_array()?,
            };
            list.iter().map(|object| Some(object.get("name")?.as_str()?.to_owned())).collect()
        };
        Some(Self { tables: names("olap_table_list")?, views: names("view_list")? })
    }
}

impl SnapshotJob {
    pub fn is_finished(&self) -> bool {
        self.state == "FINISHED"
    }

    pub fn is_cancelled(&self) -> bool {
        self.state == "CANCELLED"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_objects_of_a_restore_are_read_by_name() {
        let text = r#"{
            "name": "s", "database": "d1", "backup_time": 1767000000000, "content": "ALL",
            "olap_table_list": [{"name": "t1", "partition_names": ["p1", "p2"]}, {"name": "t 2", "partition_names": []}],
            "view_list": [{"name": "v"}], "odbc_table_list": [], "odbc_resource_list": []
        }"#;
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let expected = RestoredObjects { tables: names(&["t1", "t 2"]), views: names(&["v"]) };
        assert_eq!(RestoredObjects::parse(text), Some(expected));
        assert_eq!(RestoredObjects::parse("{}"), Some(RestoredObjects::default()));
        for text in ["", "t1, t2", "[]", r#"{"olap_table_list": [{"partition_names": []}]}"#] {
            assert_eq!(RestoredObjects::parse(text), None, "{text}");
        }
    }
}
