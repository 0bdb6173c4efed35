//! Where a job stands. Persisted as JSON with a version; data lives inside the variants.
//!
//! Two rows hold it. The *state* changes when the job changes its phase, a table mapping or a block, and
//! may be large with many tables. The *position* is one small row, written while transactions flow. The
//! position is the watermark: everything at or below it has been applied or skipped.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Apart, ApartWork, Crossing, HeldFullSync, JobSpec, Lane, Renaming, SetApart, SyncType};

/// The id of a target that is not there yet: its table is to be copied for the first time.
pub const NO_TARGET: i64 = 0;

/// Version of the JSON of [`JobState`].
pub const STATE_VERSION: u32 = 1;

/// A job as stored: the request, its identity, and what the operator wants of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobRecord {
    /// Unique per creation; see [`JobSpec::job_id`].
    pub id: String,
    pub spec: JobSpec,
    pub desired: DesiredState,
    pub created_at_ms: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DesiredState {
    Running,
    Paused,
}

/// The watermark of a job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Upstream commit seq at or below which everything has been applied or skipped.
    pub commit_seq: i64,
    /// Upstream timestamp of that binlog, in milliseconds; 0 before the first.
    pub timestamp_ms: i64,
    /// When this was written, by the syncer's clock, in milliseconds; earlier while the outcome of a
    /// commit beyond it is in doubt: none was tried before this moment.
    pub updated_at_ms: i64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobState {
    pub version: u32,
    /// Number of the newest snapshot; part of its label.
    pub snapshots_taken: u64,
    pub phase: Phase,
    /// Upstream table id to what it is downstream.
    pub tables: BTreeMap<i64, TableLink>,
    /// Upstream view id to its name; views keep their names downstream.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub views: BTreeMap<i64, String>,
    /// Views whose definition the downstream has refused, by upstream id; they are in `views` too.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub views_apart: BTreeMap<i64, ViewApart>,
    /// What is to go downstream, by name, and could not be dropped when it was to.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub stale: BTreeMap<String, Stale>,
    /// The upstream id of the table of a table job that is not linked yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_table: Option<i64>,
    /// The upstream id of the database: one that is created again under its name has another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_db: Option<i64>,
    /// Upstream tables whose creation an operator has asked to pass over.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub left_out: BTreeSet<i64>,
    /// What was committed beyond the position may have been so in table order.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_out_of_order: bool,
    /// Commit seqs that an operator has asked to pass over.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub skips: BTreeSet<i64>,
    /// Downstream transactions at or below the position that are committed and not known to be visible.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unpublished: Vec<Unpublished>,
    /// Set while an operator must act; cleared when the job is resumed.
    pub blocked: Option<Blocked>,
    /// The last full sync, running or finished.
    pub last_full_sync: Option<FullSyncRecord>,
    /// A full sync that waits for an operator; the job is blocked meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_full_sync: Option<HeldFullSync>,
    /// A gap in the binlog that is being crossed: what is to be done downstream before the job goes on behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crossing: Option<Crossing>,
    /// When the job started full syncs by itself, in milliseconds; those of the last day.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub own_full_syncs_ms: Vec<i64>,
}

/// A downstream transaction that is committed and not known to be visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unpublished {
    pub txn_id: i64,
    /// The upstream commit seq that it repeats.
    pub commit_seq: i64,
    /// When it was committed, by the syncer's clock, in milliseconds.
    pub since_ms: i64,
}

/// An upstream table and its downstream counterpart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableLink {
    /// Name upstream.
    pub source_name: String,
    pub target_name: String,
    pub target_id: i64,
    /// Everything at or below this commit seq is already in the target, by snapshot or creation.
    pub synced_to: i64,
    /// Renames at or below this commit seq are in the names here; absent while that is `synced_to`. Names are
    /// settled in the order of the job's own list, also while the table is apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub named_to: Option<i64>,
    /// A partition that is further than the rest of the table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ahead: Option<PartitionAhead>,
    /// Names upstream that it had since restores were last looked for: one may have found it under such a name.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub former_names: BTreeSet<String>,
    /// Restores upstream up to this job id are in the target, or did not change the table; absent while nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored_to: Option<i64>,
    /// Whether the table moves with the job or has left the stream.
    #[serde(default, skip_serializing_if = "Lane::is_flowing")]
    pub lane: Lane,
    /// Temporary partitions that the target has too: upstream id to name, which is the same on both sides.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub temporary: BTreeMap<i64, String>,
    /// A change of its rows was passed over, so that versions of its partitions differ on both sides, until it is
    /// copied.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lacks_changes: bool,
    /// The binlog told of its creation, so no restore has made it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub was_created: bool,
}

/// A partition that was copied by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionAhead {
    /// Its upstream id.
    pub partition_id: i64,
    /// Everything of it at or below this commit seq is in the target.
    pub synced_to: i64,
}

/// A view that waits until the target is ready for its definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewApart {
    pub name: String,
    /// The change that was refused.
    pub commit_seq: i64,
    /// What the downstream said of it.
    pub refusal: String,
    /// A name that it had, under which the target may still have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leftover: Option<String>,
    /// It was dropped upstream.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_dropped: bool,
    pub since_ms: i64,
}

/// A table or view downstream that nothing upstream stands for. Its drop is tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stale {
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_view: bool,
    /// Up to which commit seq it was found to be gone upstream.
    pub commit_seq: i64,
    /// Why it could not be dropped.
    pub refusal: String,
    pub since_ms: i64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum Phase {
    FullSync(FullSync),
    Incremental(Incremental),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FullSync {
    pub reason: FullSyncReason,
    pub started_at_ms: i64,
    /// What it goes on without, by upstream id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", with = "super::set_apart::listed")]
    pub set_apart: BTreeMap<i64, SetApart>,
    pub step: SnapshotStep,
}

/// Steps of a snapshot. Each names what it is about to do before doing it, so that a restarted syncer
/// looks for that very backup or restore instead of starting another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum SnapshotStep {
    /// A backup is, or is about to be, submitted under this label.
    Backup { label: String },
    /// A restore of that backup is, or is about to be, submitted under `restore_label`.
    Restore {
        backup_label: String,
        restore_label: String,
        attempt: u32,
        info: SnapshotInfo,
        /// Tables are restored under other names and put in place then: the frontend does not let a restore replace
        /// one of another schema.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        aside: bool,
    },
}

/// What of a snapshot must be remembered until it is restored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotInfo {
    /// Replay starts after this commit seq.
    pub commit_seq: i64,
    /// The id of the backup job, higher than those of the restores that it contains; 0 when the FE did not tell it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub job_id: i64,
    pub tables: Vec<SnapshotTable>,
    /// Names of the views within.
    pub views: Vec<SnapshotView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotTable {
    pub id: i64,
    pub name: String,
    /// Every write at or below this commit seq is contained.
    pub commit_seq: i64,
    /// The name of the one partition that was asked for, in a snapshot of a single partition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotView {
    pub id: i64,
    pub name: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incremental {
    pub since_ms: i64,
    /// A statement that was, or was about to be, sent downstream for this commit seq; its effect is
    /// looked for before it is sent again.
    pub statement_in_doubt: Option<i64>,
    /// What that statement creates, of which nobody knows the id before it has taken effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creating: Option<Creating>,
}

/// What a statement is about to create downstream, where there was nothing of that name before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Creating {
    Table(String),
    View(String),
}

/// Why everything is copied again. Every reason is a proven gap; see `docs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FullSyncReason {
    /// The job is new.
    Created,
    /// Entries after the position have expired upstream.
    BinlogExpired {
        position: i64,
        expired_to: Option<i64>,
        /// Why tables alone would not do; empty in a table job.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        why: String,
    },
    /// The finished snapshot could no longer be fetched.
    SnapshotLost { label: String, detail: String },
    /// The backup ended in CANCELLED.
    BackupCancelled { label: String, status: String },
    /// The table of a table job was dropped and created again upstream.
    SourceTableReplaced { old_id: i64, new_id: i64 },
    /// The database was dropped and created again upstream.
    SourceDatabaseReplaced { old_id: i64, new_id: i64 },
    /// An operator asked for it.
    Requested { detail: String },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FullSyncRecord {
    pub reason: FullSyncReason,
    pub started_at_ms: i64,
    pub finished_at_ms: Option<i64>,
    /// The position the job had when it began.
    pub from_commit_seq: i64,
}

/// A change that cannot be applied without an operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocked {
    /// Stable code, `CCR0101`.
    pub code: String,
    pub message: String,
    /// What would resolve it.
    pub hint: String,
    pub commit_seq: i64,
    /// Name of the binlog type, empty when it is not about one.
    pub binlog_type: String,
    pub since_ms: i64,
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

impl TableLink {
    /// A table that flows, and has the same name on both sides.
    pub fn new(name: &str, target_id: i64, synced_to: i64) -> Self {
        Self {
            source_name: name.to_owned(),
            target_name: name.to_owned(),
            target_id,
            synced_to,
            named_to: None,
            ahead: None,
            former_names: BTreeSet::new(),
            restored_to: None,
            lane: Lane::Flowing,
            temporary: BTreeMap::new(),
            lacks_changes: false,
            was_created: false,
        }
    }

    /// Whether a change of names at this commit seq has been settled.
    pub fn is_named(&self, commit_seq: i64) -> bool {
        commit_seq <= self.named_to.unwrap_or(self.synced_to)
    }

    /// The name is that of this commit seq, whatever was still to be done about it.
    pub(super) fn settle_name(&mut self, commit_seq: i64) {
        self.named_to = Some(commit_seq);
        if let Lane::Apart(apart) = &mut self.lane {
            apart.renaming = None;
        }
    }

    /// The change of its name that only the table itself is still to make, and will not meet in its list.
    pub fn renaming(&self) -> Option<&Renaming> {
        let apart = self.lane.apart()?;
        let is_due =
            |renaming: &&Renaming| self.target_name != renaming.name && apart.cursor >= renaming.commit_seq;
        apart.renaming.as_ref().filter(is_due)
    }

    /// The name that the target has, or is about to get.
    pub fn wanted_name(&self) -> &str {
        self.renaming().map_or(&self.target_name, |renaming| &renaming.name)
    }

    /// Whether some partition has come to this commit seq before the rest of the table.
    pub fn is_ahead(&self, commit_seq: i64) -> bool {
        self.ahead.is_some_and(|ahead| commit_seq <= ahead.synced_to)
    }

    /// Whether this partition has.
    pub fn is_partition_ahead(&self, partition_id: i64, commit_seq: i64) -> bool {
        self.is_ahead(commit_seq) && self.ahead.is_some_and(|ahead| ahead.partition_id == partition_id)
    }
}

impl SnapshotStep {
    /// The label of the snapshot that is taken or restored.
    pub fn backup_label(&self) -> &str {
        match self {
            SnapshotStep::Backup { label } => label,
            SnapshotStep::Restore { backup_label, .. } => backup_label,
        }
    }
}

impl JobState {
    /// Names under which something is to go downstream: a table, or a view.
    pub fn names_to_go(&self, is_view: bool) -> impl Iterator<Item = &String> {
        let stale = self.stale.iter().filter(move |(_, stale)| stale.is_view == is_view);
        let crossing = self.crossing.iter();
        let names = crossing.flat_map(move |gap| if is_view { &gap.views } else { &gap.created });
        names.chain(stale.map(|(name, _)| name))
    }

    /// The labels of the snapshots that are being taken or restored.
    pub fn snapshots(&self) -> impl Iterator<Item = &str> {
        self.snapshot_steps().map(SnapshotStep::backup_label)
    }

    /// The labels under which backups and restores are, or are about to be, submitted.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        self.snapshot_steps()
            .flat_map(|step| match step {
                SnapshotStep::Backup { label } => [Some(label.as_str()), None],
                SnapshotStep::Restore { backup_label, restore_label, .. } => {
                    [Some(backup_label.as_str()), Some(restore_label.as_str())]
                }
            })
            .flatten()
    }

    fn snapshot_steps(&self) -> impl Iterator<Item = &SnapshotStep> {
        let whole = match &self.phase {
            Phase::FullSync(full_sync) => Some(&full_sync.step),
            Phase::Incremental(_) => None,
        };
        let tables = self.tables.values().filter_map(|link| match &link.lane.apart()?.work {
            ApartWork::PartialSync { step, .. } => Some(step),
            ApartWork::CatchUp { .. } | ApartWork::Blocked(_) => None,
        });
        whole.into_iter().chain(tables)
    }

    /// The state of a job that has done nothing yet.
    pub fn new(job_id: &str, now_ms: i64) -> Self {
        let reason = FullSyncReason::Created;
        Self {
            version: STATE_VERSION,
            snapshots_taken: 1,
            phase: Phase::FullSync(FullSync {
                reason: reason.clone(),
                started_at_ms: now_ms,
                set_apart: BTreeMap::new(),
                step: SnapshotStep::Backup { label: backup_label(job_id, 1) },
            }),
            tables: BTreeMap::new(),
            views: BTreeMap::new(),
            views_apart: BTreeMap::new(),
            stale: BTreeMap::new(),
            source_table: None,
            source_db: None,
            left_out: BTreeSet::new(),
            is_out_of_order: false,
            skips: BTreeSet::new(),
            unpublished: Vec::new(),
            blocked: None,
            last_full_sync: Some(FullSyncRecord {
                reason,
                started_at_ms: now_ms,
                finished_at_ms: None,
                from_commit_seq: 0,
            }),
            held_full_sync: None,
            crossing: None,
            own_full_syncs_ms: Vec::new(),
        }
    }

    /// The table's work apart from the stream, if it has left it.
    pub fn apart(&self, source_id: i64) -> Option<&Apart> {
        self.tables.get(&source_id).and_then(|link| link.lane.apart())
    }

    /// The only table of a table job, once it is linked.
    pub fn only_table(&self, sync_type: SyncType) -> Option<i64> {
        match sync_type {
            SyncType::Database => None,
            SyncType::Table => self.tables.keys().next().copied(),
        }
    }

    /// Up to where everything is applied, on the job's own list, of which `position` tells, and on those of its tables.
    pub fn applied_to(&self, position: i64) -> i64 {
        let cursors = self.tables.values().filter_map(|link| link.lane.apart()).map(|apart| apart.cursor);
        cursors.fold(position, i64::min)
    }

    /// Binlogs that an operator has asked to pass over and that are still to come.
    pub fn pending_skips(&self, position: i64) -> Vec<i64> {
        let applied_to = self.applied_to(position);
        self.skips.iter().copied().filter(|seq| *seq > applied_to).collect()
    }

    /// What an operator must act on: of the job, or of one of its tables.
    pub fn any_block(&self) -> Option<&Blocked> {
        self.blocked.as_ref().or_else(|| {
            self.tables.values().filter_map(|link| link.lane.apart()).find_map(|apart| match &apart.work {
                ApartWork::Blocked(blocked) => Some(blocked),
                ApartWork::PartialSync { .. } | ApartWork::CatchUp { .. } => None,
            })
        })
    }

    /// What the statement in doubt creates.
    pub fn creating(&self) -> Option<&Creating> {
        match &self.phase {
            Phase::Incremental(incremental) => incremental.creating.as_ref(),
            Phase::FullSync(_) => None,
        }
    }

    /// Whether some table is being copied again on its own.
    pub fn has_partial_sync(&self) -> bool {
        self.tables
            .values()
            .filter_map(|link| link.lane.apart())
            .any(|apart| matches!(apart.work, ApartWork::PartialSync { .. }))
    }

    /// The highest commit seq up to which some table is ahead of the watermark; catching up lasts until
    /// the watermark reaches it.
    pub fn catch_up_target(&self) -> i64 {
        self.tables.values().map(|link| link.synced_to).max().unwrap_or(0)
    }
}

/// The label of a job's n-th snapshot. It holds nothing but what a Doris label allows.
pub(super) fn backup_label(job_id: &str, number: u64) -> String {
    format!("ccrs_{job_id}_{number}")
}

/// The label of a snapshot of one table only.
pub(super) fn partial_label(job_id: &str, number: u64) -> String {
    format!("ccrp_{job_id}_{number}")
}

/// The label of the n-th try to restore a snapshot.
pub(super) fn restore_label(backup_label: &str, attempt: u32) -> String {
    format!("{backup_label}_r{attempt}")
}

impl FullSyncReason {
    /// One sentence for operators.
    pub fn describe(&self) -> String {
        match self {
            FullSyncReason::Created => "the job is new".to_owned(),
            FullSyncReason::BinlogExpired { position, expired_to, why } => {
                let gap = match expired_to {
                    Some(expired) => format!(
                        "the upstream binlog has expired up to commit seq {expired}, the job stood at {position}"
                    ),
                    None => format!(
                        "the upstream binlog after commit seq {position}, where the job stood, has expired"
                    ),
                };
                if why.is_empty() { gap } else { format!("{gap}; {why}") }
            }
            FullSyncReason::SnapshotLost { label, detail } => {
                format!("snapshot {label} cannot be used: {detail}")
            }
            FullSyncReason::BackupCancelled { label, status } => {
                format!("backup {label} was cancelled: {status}")
            }
            FullSyncReason::SourceDatabaseReplaced { old_id, new_id } => {
                format!("the upstream database is another one: its id was {old_id} and is now {new_id}")
            }
            FullSyncReason::SourceTableReplaced { old_id, new_id } => {
                format!("the upstream table was replaced: its id was {old_id} and is now {new_id}")
            }
            FullSyncReason::Requested { detail } => format!("requested by an operator: {detail}"),
        }
    }
}
