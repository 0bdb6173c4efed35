//! What can happen to a job. Each event says what was seen of the world, or done to it; what becomes of the job's
//! state is for [`super::transition`] to say.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Blocked, Creating, FullSyncReason, GapCrossed, HeldBy, PartialSyncReason, Renaming, SetApart,
    SnapshotInfo, Stale, TableLink,
};

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A gap or a lost snapshot: everything must be copied again.
    FullSyncNeeded {
        reason: FullSyncReason,
        from_commit_seq: i64,
        at_ms: i64,
    },
    /// The same, and it has to wait for an operator.
    FullSyncHeld {
        reason: FullSyncReason,
        by: HeldBy,
        from_commit_seq: i64,
        at_ms: i64,
    },
    /// The upstream database has this id.
    SourceDatabaseFound {
        id: i64,
    },
    /// The table of a table job was found by its name.
    SourceTableFound {
        source_id: i64,
    },
    /// No backup holds this table now: another one is taken without it.
    BackupRefused {
        source_id: i64,
        set_apart: SetApart,
    },
    /// The snapshot is there and has been read.
    SnapshotReady {
        info: SnapshotInfo,
    },
    /// The restore failed in a way that another try under a new label can mend.
    RestoreCancelled {
        /// The next try restores tables under other names.
        aside: bool,
        /// The next try leaves out this table or view.
        set_apart: Option<(i64, SetApart)>,
    },
    /// The restore is done; the tables are linked.
    Restored {
        links: BTreeMap<i64, TableLink>,
        /// Of the tables that were left out, those whose targets are there as they were.
        untouched: BTreeSet<i64>,
        at_ms: i64,
    },
    /// A statement for this commit seq is about to be sent.
    StatementStarted {
        commit_seq: i64,
        creating: Option<Creating>,
    },
    /// The statement for this commit seq took effect.
    StatementDone {
        commit_seq: i64,
        effect: LinkEffect,
        /// In table order: tables that are there by now, though the job may not be. What they have applied
        /// before this cannot be recognised by the statements that followed.
        reached_by: Vec<i64>,
    },
    /// What restores upstream have done to these tables is in the target: up to which job id.
    RestoresSeen {
        restored_to: BTreeMap<i64, i64>,
    },
    /// A table is gone upstream, and its target with it, though no binlog tells of a drop.
    TableVanished {
        source_id: i64,
    },
    /// What a gap in the binlog can have touched is known, and what follows from it for each table.
    GapCrossed(Box<GapCrossed>),
    /// The names downstream are those behind the gap, but for what could not be dropped.
    GapSettled {
        left: BTreeMap<String, Stale>,
    },
    /// What could not be dropped is gone, or has become a target of the job.
    StaleGone {
        name: String,
    },
    /// No restore has met these tables under former names of theirs.
    FormerNamesForgotten {
        source_ids: Vec<i64>,
    },
    /// An operator has asked to pass over the creation of this table.
    TableLeftOut {
        source_id: i64,
    },
    /// A change of rows of these tables was passed over at an operator's request.
    ChangeLeftOut {
        commit_seq: i64,
        tables: Vec<i64>,
    },
    /// Commits are no longer made in upstream order.
    OutOfOrder,
    /// A table leaves the stream; everything of it at or below `cursor` is in the target.
    TableLeft {
        source_id: i64,
        cursor: i64,
        why: Leaving,
        at_ms: i64,
    },
    /// A table that no statement of the job creates begins apart, with a copy of it.
    TableAdopted {
        source_id: i64,
        name: String,
        /// The binlog told of its creation, so no restore has made it.
        was_created: bool,
        cursor: i64,
        reason: PartialSyncReason,
        at_ms: i64,
    },
    /// A table that no binlog created takes over the link and the target of another one, with a copy.
    TableTakenOver {
        source_id: i64,
        by_id: i64,
        name: String,
        cursor: i64,
        reason: PartialSyncReason,
        at_ms: i64,
    },
    /// The snapshot of a table that is copied again is there and has been read.
    PartialSnapshotReady {
        source_id: i64,
        info: SnapshotInfo,
    },
    PartialRestoreCancelled {
        source_id: i64,
        aside: bool,
    },
    /// The copy is in place; the table's own list is replayed next.
    PartialRestored {
        source_id: i64,
        link: Box<TableLink>,
    },
    /// The copy of a recovered partition is in place, and holds everything of it up to here.
    PartitionRestored {
        source_id: i64,
        synced_to: i64,
    },
    /// A table on its own has applied its list up to here.
    CursorMoved {
        source_id: i64,
        cursor: i64,
    },
    /// The main track has passed over a change of the table's name, which it has to make by itself.
    RenameDeferred {
        source_id: i64,
        /// The name that the target has, where that is not the link's.
        target_name: Option<String>,
        renaming: Renaming,
    },
    /// It has been made, though the table's own list has not come to it, or never will.
    RenameMade {
        source_id: i64,
    },
    /// A table on its own is about to send a statement.
    ApartStatementStarted {
        source_id: i64,
        commit_seq: i64,
    },
    /// It took effect.
    ApartStatementDone {
        source_id: i64,
        commit_seq: i64,
        effect: LinkEffect,
    },
    /// The table flows with the others again.
    TableJoined {
        source_id: i64,
    },
    /// The downstream refused the definition of a view, which is tried again later.
    ViewLeft {
        source_id: i64,
        name: String,
        commit_seq: i64,
        refusal: String,
        /// The name under which the target still has it, when that is to go.
        leftover: Option<String>,
        is_dropped: bool,
        at_ms: i64,
    },
    /// The view is there now.
    ViewCopied {
        source_id: i64,
    },
    /// An operator asks to pass over a binlog. Up to `applied_to` no such request can matter any more.
    SkipRequested {
        commit_seq: i64,
        applied_to: i64,
    },
    /// The operator has thought better of it.
    SkipWithdrawn {
        commit_seq: i64,
    },
    /// An operator must act.
    Blocked(Blocked),
    /// The operator said to go on.
    Unblocked,
}

/// Why a table leaves the stream.
#[derive(Debug, Clone, PartialEq)]
pub enum Leaving {
    PartialSync(PartialSyncReason),
    Blocked(Blocked),
    /// The same, and whether its last change was applied cannot be told: it is copied when it is tried again.
    InDoubt(Blocked, PartialSyncReason),
    /// It keeps failing, and the others do not. The statement that does may have taken effect nevertheless.
    Failing {
        error: String,
        statement_in_doubt: Option<i64>,
    },
    /// It is gone upstream, though no binlog tells of a drop; its target is to be dropped.
    Vanished {
        commit_seq: i64,
        reason: String,
    },
    /// It was dropped upstream, and its target could not be: for this reason, or because of what is blocked.
    Undropped {
        commit_seq: i64,
        error: String,
        blocked: Option<Blocked>,
    },
    /// It is slower than the others.
    HoldingUp {
        statement_in_doubt: Option<i64>,
    },
}

/// What a statement does to the table links.
#[derive(Debug, Clone, PartialEq)]
pub enum LinkEffect {
    None,
    Created {
        source_id: i64,
        link: Box<TableLink>,
    },
    Dropped {
        source_id: i64,
    },
    /// The table has a new name, upstream and downstream.
    Renamed {
        source_id: i64,
        source_name: String,
        target_name: String,
    },
    /// Two tables exchanged their names.
    Swapped {
        first_id: i64,
        second_id: i64,
    },
    /// The second table took the place and the name of the first, which is gone.
    Replaced {
        gone_id: i64,
        by_id: i64,
        name: String,
    },
    /// The target has a temporary partition of the table.
    TemporaryAdded {
        source_id: i64,
        partition_id: i64,
        name: String,
    },
    /// Temporary partitions were dropped, or took the place of formal ones.
    TemporaryGone {
        source_id: i64,
        names: Vec<String>,
    },
    ViewCreated {
        source_id: i64,
        name: String,
    },
    ViewDropped {
        source_id: i64,
    },
}

impl Event {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Event::FullSyncNeeded { .. } => "FullSyncNeeded",
            Event::FullSyncHeld { .. } => "FullSyncHeld",
            Event::SourceTableFound { .. } => "SourceTableFound",
            Event::SourceDatabaseFound { .. } => "SourceDatabaseFound",
            Event::BackupRefused { .. } => "BackupRefused",
            Event::SnapshotReady { .. } => "SnapshotReady",
            Event::RestoreCancelled { .. } => "RestoreCancelled",
            Event::Restored { .. } => "Restored",
            Event::StatementStarted { .. } => "StatementStarted",
            Event::StatementDone { .. } => "StatementDone",
            Event::OutOfOrder => "OutOfOrder",
            Event::GapCrossed(_) => "GapCrossed",
            Event::GapSettled { .. } => "GapSettled",
            Event::StaleGone { .. } => "StaleGone",
            Event::RestoresSeen { .. } => "RestoresSeen",
            Event::TableVanished { .. } => "TableVanished",
            Event::TableLeftOut { .. } => "TableLeftOut",
            Event::ChangeLeftOut { .. } => "ChangeLeftOut",
            Event::FormerNamesForgotten { .. } => "FormerNamesForgotten",
            Event::TableLeft { .. } => "TableLeft",
            Event::TableAdopted { .. } => "TableAdopted",
            Event::TableTakenOver { .. } => "TableTakenOver",
            Event::PartialSnapshotReady { .. } => "PartialSnapshotReady",
            Event::PartialRestoreCancelled { .. } => "PartialRestoreCancelled",
            Event::PartialRestored { .. } => "PartialRestored",
            Event::PartitionRestored { .. } => "PartitionRestored",
            Event::CursorMoved { .. } => "CursorMoved",
            Event::RenameDeferred { .. } => "RenameDeferred",
            Event::RenameMade { .. } => "RenameMade",
            Event::ApartStatementStarted { .. } => "ApartStatementStarted",
            Event::ApartStatementDone { .. } => "ApartStatementDone",
            Event::TableJoined { .. } => "TableJoined",
            Event::ViewLeft { .. } => "ViewLeft",
            Event::ViewCopied { .. } => "ViewCopied",
            Event::SkipRequested { .. } => "SkipRequested",
            Event::SkipWithdrawn { .. } => "SkipWithdrawn",
            Event::Blocked(_) => "Blocked",
            Event::Unblocked => "Unblocked",
        }
    }
}
