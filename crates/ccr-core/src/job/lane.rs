//! Lanes: a table that has left the stream, and how it comes back.
//!
//! A table leaves when it must be copied again, or when one of its changes cannot be applied. The others
//! go on. Its *cursor* says what of its own binlog has been applied; when a new snapshot of it has been
//! restored, or an operator has acted, its own list is replayed from the cursor until it has caught up
//! with what the stream passed over meanwhile, and then it flows with the others again.

use serde::{Deserialize, Serialize};

use super::{Blocked, SnapshotStep};

/// The code of what a restore upstream has done.
const RESTORED: &str = "CCR0315";

/// Whether a table moves with the job's watermark.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "lane", rename_all = "snake_case")]
pub enum Lane {
    #[default]
    Flowing,
    Apart(Apart),
}

/// A table on its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Apart {
    /// Why it was to be copied when it was blocked: it is, once it is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy_again: Option<Box<PartialSyncReason>>,
    /// It was dropped upstream at this commit seq, and its target, which could not be, is still to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropped_at: Option<i64>,
    /// A change of its name that the stream has passed over, and the table has yet to make by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renaming: Option<Renaming>,
    /// Everything of the table at or below this commit seq is in the target.
    pub cursor: i64,
    pub since_ms: i64,
    pub work: ApartWork,
}

/// A name that a table of a database job has got upstream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renaming {
    pub commit_seq: i64,
    pub name: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "work", rename_all = "snake_case")]
pub enum ApartWork {
    /// The table is being copied again.
    PartialSync { reason: Box<PartialSyncReason>, step: SnapshotStep },
    /// Its own list is replayed from the cursor. When it `trails`, it has left because it was slower than the others:
    /// it applies what the stream would have, under the same labels, but not what it shares with other tables.
    CatchUp {
        statement_in_doubt: Option<i64>,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        trails: bool,
        /// It has left because it kept failing while the others did not: with what.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failed: Option<String>,
    },
    /// An operator must act; then it catches up.
    Blocked(Blocked),
}

/// Why one table is copied again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PartialSyncReason {
    /// A change that only a copy can bring over: a finished schema change, a new rollup or index,
    /// replaced partitions, something recovered.
    Change { binlog_type: String, commit_seq: i64 },
    /// Partitions, indexes or buckets of the two sides do not match.
    Mismatch { message: String, commit_seq: i64 },
    /// The table is upstream although no binlog created it: it was restored or recovered.
    Appeared { commit_seq: i64 },
    /// It could not be created, because the target had a table of its name.
    NameTaken { commit_seq: i64 },
    /// The table's own binlog has expired beyond its cursor.
    BinlogExpired { cursor: i64 },
    /// The snapshot being used is gone, or was of another table of the same name.
    SnapshotLost { label: String, detail: String },
    /// A restore upstream has changed it, of which no binlog tells.
    Restored { label: String },
    /// The full sync went on without it, for this reason.
    SetApart { why: String },
    /// An operator asked for it.
    Requested { detail: String },
    /// A partition was recovered: only that one is copied.
    Recovered(Recovered),
    /// A recovered partition could not be copied by itself.
    NotAlone { recovered: Recovered, detail: String },
}

/// A partition that came back upstream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovered {
    pub partition_id: i64,
    /// Its name then.
    pub partition: String,
    pub commit_seq: i64,
}

impl Lane {
    pub fn is_flowing(&self) -> bool {
        matches!(self, Lane::Flowing)
    }

    pub fn apart(&self) -> Option<&Apart> {
        match self {
            Lane::Flowing => None,
            Lane::Apart(apart) => Some(apart),
        }
    }
}

impl Apart {
    /// Whether it has left because it was slower than the others.
    pub fn is_trailing(&self) -> bool {
        matches!(self.work, ApartWork::CatchUp { trails: true, .. })
    }
}

impl PartialSyncReason {
    /// One sentence for operators.
    pub fn describe(&self) -> String {
        match self {
            PartialSyncReason::Change { binlog_type, commit_seq } => {
                format!("{binlog_type} at commit seq {commit_seq} needs a copy of the table")
            }
            PartialSyncReason::Mismatch { message, commit_seq } => {
                format!("at commit seq {commit_seq} the two sides did not match: {message}")
            }
            PartialSyncReason::Appeared { commit_seq } => {
                format!("the table appeared upstream by commit seq {commit_seq} without being created")
            }
            PartialSyncReason::NameTaken { commit_seq } => {
                format!(
                    "the table was not created at commit seq {commit_seq}, as the target had one of its name"
                )
            }
            PartialSyncReason::BinlogExpired { cursor } => {
                format!("the table's binlog after commit seq {cursor} has expired")
            }
            PartialSyncReason::SnapshotLost { label, detail } => {
                format!("snapshot {label} cannot be used: {detail}")
            }
            PartialSyncReason::Restored { label } => {
                format!("{RESTORED}: restore {label} upstream has changed the table")
            }
            PartialSyncReason::SetApart { why } => format!("the full sync went on without it: {why}"),
            PartialSyncReason::Requested { detail } => format!("requested by an operator: {detail}"),
            PartialSyncReason::Recovered(Recovered { partition, commit_seq, .. }) => {
                format!("partition {partition}, recovered at commit seq {commit_seq}, needs a copy of it")
            }
            PartialSyncReason::NotAlone { recovered: Recovered { partition, commit_seq, .. }, detail } => {
                format!(
                    "partition {partition}, recovered at commit seq {commit_seq}, cannot be copied without its \
                     table: {detail}"
                )
            }
        }
    }

    /// The partition that is copied, where it is not the whole table.
    pub fn partition(&self) -> Option<&Recovered> {
        match self {
            PartialSyncReason::Recovered(recovered) => Some(recovered),
            PartialSyncReason::Change { .. }
            | PartialSyncReason::Mismatch { .. }
            | PartialSyncReason::Appeared { .. }
            | PartialSyncReason::NameTaken { .. }
            | PartialSyncReason::BinlogExpired { .. }
            | PartialSyncReason::SnapshotLost { .. }
            | PartialSyncReason::SetApart { .. }
            | PartialSyncReason::Requested { .. }
            | PartialSyncReason::Restored { .. }
            | PartialSyncReason::NotAlone { .. } => None,
        }
    }
}

impl Recovered {
    /// The reason to copy the whole table instead.
    pub fn with_table(&self, detail: &str) -> PartialSyncReason {
        PartialSyncReason::NotAlone { recovered: self.clone(), detail: detail.to_owned() }
    }
}
