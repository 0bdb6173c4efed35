//! What Doris says, as far as anything is decided by it: every text that the engine looks for is here, and nowhere
//! else.
//!
//! Most answers carry no code that tells them apart, so their words do. They are those of the frontends' and backends'
//! sources; where releases differ, the part that they share is looked for.

/// Transient refusals, in any status or error packet: the peer is busy, or not ready yet.
pub(crate) const BUSY: &[&str] = &[
    "write lock timeout",
    "larger than limit",
    "is in restore process",
    "state is RESTORE",
    "atomic restore state",
    "state is in atomic restore",
    "is being submitted",
    OCCUPIED,
    "too many transactions",
    "timed out",
    "timeout",
    "not NORMAL",
    "cannot be dropped. please",
    "transactions in the COMMITTED state",
    "node shutting down",
    "catalog is not ready",
];

/// The database is busy with another backup or restore.
pub(crate) const OCCUPIED: &str = "Can only run one backup or restore job";

/// The transaction is not there, or is finished otherwise.
const TXN_GONE: &[&str] = &["transaction not found", "is already aborted"];

/// The metadata that a call was made with is out of date.
pub(crate) const STALE_META: &[&str] =
    &["can't find table id", "table not found", "unknown table", "succ replica num", "tablet is not exist"];

/// No backend can take a replica.
pub(crate) const NO_BACKEND: &str = "Failed to find enough backend";

/// Temporary partitions keep a table from being backed up, or restored over.
pub(crate) const TEMPORARY_PARTITIONS: &str = "with temp partitions";

/// A backend does not keep binlogs.
pub(crate) const BINLOG_OFF: &str = "enable feature binlog is false";

/// There is no database of that name.
pub(crate) const UNKNOWN_DATABASE: &[&str] = &["unknown database", "can't find db named"];

/// A BACKUP names a table that is not there. The first letter differs.
pub(crate) const UNKNOWN_TABLE: &str = "nknown table";

/// A name is another table's.
pub(crate) const NAME_USED: &str = "already used";

/// What is to be created is there.
pub(crate) const EXISTS: &[&str] = &["already exist"];

/// The index or partition that a statement names is not there.
pub(crate) const GONE: &str = "not exist";

/// What was to be dropped is gone.
pub(crate) const DROPPED: &[&str] = &["does not exist"];

/// What was to be renamed has its new name, so that the old one is nobody's and the new one is taken.
pub(crate) const RENAMED: &[&str] = &["does not exist", "Unknown column", "already exist", "is already used"];

/// The same of a rollup that still is there.
pub(crate) const ROLLUP_RENAMED: &[&str] = &["already exist", "is already used"];

/// Columns are there already, or gone.
pub(crate) const CHANGED_COLUMNS: &[&str] = &[
    "already exists in base table",
    "Duplicate column name",
    "does not exist",
    "Unknown column",
    "Nothing is changed",
];

/// A column has its new name already.
pub(crate) const RENAMED_COLUMN: &[&str] =
    &["does not exist", "Unknown column", "already exist", "is already used", "Duplicate column name"];

/// The table is distributed at random already.
pub(crate) const RANDOM_ALREADY: &[&str] = &["Only support change distribution type from hash to random"];

/// In the status of a restore: a table may not be replaced, because it has another schema downstream.
const MISMATCHES: &[&str] = &[
    OTHER_SCHEMA,
    "partition type is different",
    "has different partition item",
    "has conflict partition item",
];

const OTHER_SCHEMA: &str = "already exist but with different schema";

/// In the status of a restore: what is in the way of a table or a view, and stays there until somebody removes it.
const LASTING_REFUSALS: &[&str] = &[
    "should be same as type of remote table",
    "different type of backup meta",
    "with colocate group",
    "has different replication num",
    "No partition exist in single partitioned table",
    TEMPORARY_PARTITIONS,
    OTHER_SCHEMA,
];

/// Texts around the name of the table or view that a restore is refused for.
const REFUSED_OBJECTS: &[(&str, &str)] = &[
    ("should be same as type of remote table: ", "]"),
    ("The local table ", " with the same name but a different type of backup meta"),
    ("restore to local table ", " with colocate group"),
    (" in table ", " has different replication num"),
    (" in table ", " has different partition item"),
    (" in table ", " has conflict partition item"),
    ("in single partitioned table ", "]"),
    ("partition type is different. local table: ", "]"),
    ("msg: Table ", OTHER_SCHEMA),
    ("msg: View ", OTHER_SCHEMA),
];

/// In the status of a backup, before the id of a tablet of which no replica could be used.
const LOST_TABLET: &[&str] = &["make snapshot for tablet ", "make snapshot failed, tablet "];

/// In the status of a restore: a partition cannot be added to its table.
pub(crate) const MISFITS: &[&str] =
    &["different schema", "partition item", "partition type", "replication num", "temp partitions"];

/// A backend could not download, because the other does not have it.
const NOT_STORED: &str = "returned error: 404";

/// A frontend misses a table of a transaction.
const MISSED_TABLE: &str = "table not found, tableId=";

pub(crate) fn says_any(text: &str, answers: &[&str]) -> bool {
    answers.iter().any(|answer| text.contains(answer))
}

/// Whether the transaction is not there, under any number.
pub(crate) fn is_txn_gone(text: &str) -> bool {
    let is_numbered = |rest: &str| {
        rest.split_once(']').is_some_and(|(id, tail)| {
            !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit()) && tail.starts_with(" not found")
        })
    };
    says_any(text, TXN_GONE) || text.split("transaction [").skip(1).any(is_numbered)
}

/// Whether a restore was cancelled because of a table that has another schema downstream.
pub(crate) fn is_mismatch(status: &str) -> bool {
    says_any(status, MISMATCHES) && mismatched_view(status).is_none()
}

/// Whether a restore was cancelled for something that will be said again until somebody acts.
pub(crate) fn is_lasting_refusal(status: &str) -> bool {
    says_any(status, LASTING_REFUSALS) || says_any(status, MISMATCHES)
}

/// The view that a restore was cancelled for. It has no rows, so it can be dropped.
pub(crate) fn mismatched_view(status: &str) -> Option<&str> {
    let (_, rest) = status.split_once("View ")?;
    rest.split_once(OTHER_SCHEMA).map(|(name, _)| name.trim_end())
}

/// The table or view that a restore was cancelled for.
pub(crate) fn refused_object(status: &str) -> Option<&str> {
    let mut found = REFUSED_OBJECTS.iter().filter_map(|(before, after)| {
        let (_, rest) = status.split_once(before)?;
        rest.rsplit_once(after).map(|(name, _)| name.trim_end())
    });
    found.find(|name| !name.is_empty())
}

/// The table whose temporary partitions keep the whole database from being backed up.
pub(crate) fn unfit_for_backup(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("not support backup table ")?;
    rest.split_once(TEMPORARY_PARTITIONS).map(|(name, _)| name.trim_end())
}

/// The tablet that a backup was cancelled for.
pub(crate) fn lost_tablet(status: &str) -> Option<i64> {
    LOST_TABLET.iter().find_map(|before| leading_number(status.split_once(before)?.1))
}

fn leading_number(text: &str) -> Option<i64> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    text[..digits].parse().ok()
}

/// Whether an upstream replica does not have what was to be downloaded (HTTP 404).
pub(crate) fn is_not_stored(text: &str) -> bool {
    text.contains(NOT_STORED)
}

/// The downstream table that a frontend misses.
pub(crate) fn missed_table(text: &str) -> Option<i64> {
    leading_number(text.split_once(MISSED_TABLE)?.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mismatch_is_told_from_other_reasons() {
        let status = |text: &str| format!("[COMMON_ERROR, msg: {text}]");
        for text in [
            "Table t already exist but with different schema",
            "Table's partition type is different. local table: t",
            "Partition p in table t has different partition item with partition in repository",
        ] {
            assert!(is_mismatch(&status(text)), "{text}");
        }
        let view = status("View v already exist but with different schema");
        assert_eq!((is_mismatch(&view), mismatched_view(&view)), (false, Some("v")));
        let other = status("user cancelled, current state: DOWNLOADING");
        assert_eq!((is_mismatch(&other), mismatched_view(&other)), (false, None));
    }

    #[test]
    fn what_passes_is_told_from_what_somebody_must_remove() {
        let is_lasting = |text: &str| is_lasting_refusal(&format!("[COMMON_ERROR, msg: {text}]"));
        for text in [
            "The type of local table should be same as type of remote table: t",
            "The local table t with the same name but a different type of backup meta.",
            "Do not support restoring table with temp partitions",
            "Not support to restore to local table t with colocate group.",
            "Partition p in table t has different replication num '1' with partition in repository, which is 3",
            "No partition exist in single partitioned table t",
            "View v already exist but with different schema",
            "Partition p in table t has conflict partition item with existing items",
        ] {
            assert!(is_lasting(text), "{text}");
        }
        for text in [
            "user cancelled, current state: DOWNLOADING",
            "Table t's state is not NORMAL: SCHEMA_CHANGE",
            "backend 10002 is not alive, tablet 10040",
            "failed to get remote be address of be: 10002",
            "Table t already exist in db: d",
            "table 10020 has been dropped",
            "Failed to find enough backend, please check the replication num,replication tag and storage medium",
        ] {
            assert!(!is_lasting(text), "{text}");
        }
        assert!(!is_lasting_refusal("[TIMEOUT, msg: restore job with label: l  timeout.]"));
    }

    #[test]
    fn what_is_in_the_way_is_read_from_answers() {
        let refused = |text: &str| refused_object(&format!("[COMMON_ERROR, msg: {text}]")).map(str::to_owned);
        let odd = "a table: with local table ] in its name";
        for name in ["t", odd] {
            for text in [
                format!("The type of local table should be same as type of remote table: {name}"),
                format!("The local table {name} with the same name but a different type of backup meta."),
                format!("Not support to restore to local table {name} with colocate group."),
                format!(
                    "Partition p in table {name} has different replication num '1' with partition in repository, which is 3"
                ),
                format!(
                    "Partition p in table {name} has different partition item with partition in repository"
                ),
                format!("Partition p in table {name} has conflict partition item with existing items"),
                format!("No partition exist in single partitioned table {name}"),
                format!("Table's partition type is different. local table: {name}"),
                format!("Table {name} already exist but with different schema"),
                format!("View {name} already exist but with different schema"),
            ] {
                assert_eq!(refused(&text).as_deref(), Some(name), "{text}");
                assert!(is_lasting_refusal(&text), "{text}");
            }
        }
        assert_eq!(refused("Do not support restoring table with temp partitions"), None);
        assert_eq!(refused("user cancelled, current state: DOWNLOADING"), None);
        let text = "errCode = 2, detailMessage = Do not support backup table a b with temp partitions";
        assert_eq!(unfit_for_backup(text), Some("a b"));
        assert_eq!(unfit_for_backup("Do not support restoring table with temp partitions"), None);
        let text = "[COMMON_ERROR, msg: failed to choose replica to make snapshot for tablet 10040. visible version: 3]";
        assert_eq!(lost_tablet(text), Some(10040));
        assert_eq!(lost_tablet("[COMMON_ERROR, msg: make snapshot failed, tablet 7: x]"), Some(7));
        assert_eq!(lost_tablet("[COMMON_ERROR, msg: user cancelled]"), None);
    }

    #[test]
    fn numbers_are_read_from_answers() {
        assert_eq!(missed_table("errCode = 2, detailMessage = table not found, tableId=93, db=d"), Some(93));
        assert_eq!(missed_table("table not found, tableId="), None);
        assert!(is_txn_gone("transaction [7] not found") && is_txn_gone("transaction not found"));
        assert!(!is_txn_gone("transaction [x] not found") && !is_txn_gone("transaction [7] is open"));
    }
}
