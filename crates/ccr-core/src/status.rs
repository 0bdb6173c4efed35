//! What a running job shows of itself, without asking its task.

use serde::Serialize;

use crate::job::{ApartWork, Blocked, JobRecord, JobState, Phase, Position, SyncType, Unpublished};

/// A live picture of a job. Cheap to copy; replaced as a whole by the job's task.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JobStatus {
    pub progress: ProgressState,
    pub position: Position,
    pub source: SourceIdentity,
    /// The newest restore upstream that the job has seen, by the id of its job; all of what those up to it did is in the
    /// target, or is known to be missing. `None` until the job has looked, and for one without a task.
    pub restores_seen: Option<i64>,
    /// The step in words: `backup ccrs_…: SNAPSHOTING`, `waiting for binlogs`, `ingesting 12 transactions`.
    pub step: String,
    /// The error being retried, with the number of tries so far; `None` while all goes well.
    pub last_error: Option<RetriedError>,
    /// What an operator must act on, of the job or of one of its tables.
    pub blocked: Option<Blocked>,
    /// Tables that have left the stream.
    pub apart: Vec<TableStatus>,
    /// What is committed downstream and not known to be visible; `None` when everything is.
    pub unpublished: Option<PublishStatus>,
    /// Why the target may differ though everything in the binlog is applied: what only a look upstream tells, like
    /// restores, is not known or not settled. `None` while all is known.
    pub unproven: Option<String>,
    /// Downstream transactions committed since this task started.
    pub transactions: u64,
    /// Statements sent downstream since this task started.
    pub statements: u64,
    /// Binlogs skipped since this task started.
    pub skipped: u64,
    /// Binlogs fetched and not yet applied or skipped, of all lists: what a lag costs in memory.
    pub buffered: usize,
}

/// What a job follows upstream, beyond names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SourceIdentity {
    /// `None` until it has been looked for.
    pub database_id: Option<i64>,
    /// The table of a table job by its id, which a rename does not change, and by the name that its target is good
    /// for. `None` before the first snapshot is restored, and in a database job.
    pub table: Option<(i64, String)>,
}

impl SourceIdentity {
    pub fn of(sync_type: SyncType, state: &JobState) -> Self {
        let named = |id: i64| Some((id, state.tables.get(&id)?.source_name.clone()));
        Self { database_id: state.source_db, table: state.only_table(sync_type).and_then(named) }
    }

    pub fn table_id(&self) -> Option<i64> {
        self.table.as_ref().map(|(id, _)| *id)
    }
}

/// Transactions that are committed downstream and not known to be visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PublishStatus {
    /// Of those that touch the same partitions, only the newest is counted.
    pub transactions: usize,
    pub oldest: Unpublished,
}

impl PublishStatus {
    /// Of transactions of which none is known to be visible; `None` when there are none.
    pub fn of(txns: &[Unpublished]) -> Option<Self> {
        let oldest = txns.iter().min_by_key(|txn| txn.since_ms)?;
        Some(Self { transactions: txns.len(), oldest: *oldest })
    }
}

/// The work of what a running full sync goes on without.
pub const SET_APART: &str = "set_apart";

/// A table that has left the stream.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TableStatus {
    /// Its upstream id; 0 of what is only to be dropped downstream.
    pub source_id: i64,
    pub table: String,
    /// Everything of the table at or below this commit seq is in the target.
    pub cursor: i64,
    pub since_ms: i64,
    /// `partial_sync`, `catch_up`, `quarantined`, `blocked`, `set_apart` for what a running full sync goes on without,
    /// `view` for a view whose definition was refused, or `stale` for what is gone upstream and could not be dropped downstream yet.
    pub work: &'static str,
    pub detail: String,
}

impl TableStatus {
    /// The tables and views of a state that have left the stream.
    pub fn of(state: &JobState) -> Vec<Self> {
        let apart = state.tables.iter().filter_map(|(id, link)| Some((*id, link, link.lane.apart()?)));
        apart
            .map(|(source_id, link, apart)| {
                let (work, detail) = match &apart.work {
                    ApartWork::PartialSync { reason, .. } => ("partial_sync", reason.describe()),
                    ApartWork::CatchUp { failed: Some(error), .. } => ("quarantined", error.clone()),
                    ApartWork::CatchUp { failed: None, .. } => ("catch_up", String::new()),
                    ApartWork::Blocked(blocked) => ("blocked", blocked.message.clone()),
                };
                let table = link.source_name.clone();
                Self { source_id, table, cursor: apart.cursor, since_ms: apart.since_ms, work, detail }
            })
            .chain(state.views_apart.iter().map(|(source_id, view)| Self {
                source_id: *source_id,
                table: view.name.clone(),
                cursor: view.commit_seq - 1,
                since_ms: view.since_ms,
                work: "view",
                detail: format!("CCR0314: {}", view.refusal),
            }))
            .chain(state.stale.iter().map(|(name, stale)| Self {
                source_id: 0,
                table: name.clone(),
                cursor: stale.commit_seq - 1,
                since_ms: stale.since_ms,
                work: "stale",
                detail: stale.refusal.clone(),
            }))
            .chain(Self::set_apart(state))
            .collect()
    }

    fn set_apart(state: &JobState) -> Vec<Self> {
        let Phase::FullSync(full_sync) = &state.phase else { return Vec::new() };
        let left_out = full_sync.set_apart.iter().map(|(source_id, apart)| Self {
            source_id: *source_id,
            table: apart.name.clone(),
            cursor: 0,
            since_ms: full_sync.started_at_ms,
            work: SET_APART,
            detail: apart.why.clone(),
        });
        left_out.collect()
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RetriedError {
    pub message: String,
    pub tries: u32,
    pub at_ms: i64,
}

/// The states of the original, by its names and numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum ProgressState {
    DBFullSync,
    DBTablesIncrementalSync,
    DBIncrementalSync,
    DBPartialSync,
    TableFullSync,
    TableIncrementalSync,
    TablePartialSync,
}

impl ProgressState {
    pub fn of(sync_type: SyncType, state: &JobState, position: &Position) -> Self {
        match (sync_type, &state.phase) {
            (SyncType::Database, Phase::FullSync(_)) => ProgressState::DBFullSync,
            (SyncType::Database, Phase::Incremental(_)) => {
                if state.has_partial_sync() {
                    ProgressState::DBPartialSync
                } else if state.catch_up_target() > position.commit_seq {
                    ProgressState::DBTablesIncrementalSync
                } else {
                    ProgressState::DBIncrementalSync
                }
            }
            (SyncType::Table, Phase::FullSync(_)) => ProgressState::TableFullSync,
            (SyncType::Table, Phase::Incremental(_)) if state.has_partial_sync() => {
                ProgressState::TablePartialSync
            }
            (SyncType::Table, Phase::Incremental(_)) => ProgressState::TableIncrementalSync,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            ProgressState::DBFullSync => "DBFullSync",
            ProgressState::DBTablesIncrementalSync => "DBTablesIncrementalSync",
            ProgressState::DBIncrementalSync => "DBIncrementalSync",
            ProgressState::DBPartialSync => "DBPartialSync",
            ProgressState::TableFullSync => "TableFullSync",
            ProgressState::TableIncrementalSync => "TableIncrementalSync",
            ProgressState::TablePartialSync => "TablePartialSync",
        }
    }

    /// The number the original stores and exports as a metric.
    pub fn number(self) -> i64 {
        match self {
            ProgressState::DBFullSync => 0,
            ProgressState::DBTablesIncrementalSync => 1,
            ProgressState::DBIncrementalSync => 3,
            ProgressState::DBPartialSync => 4,
            ProgressState::TableFullSync => 500,
            ProgressState::TableIncrementalSync => 501,
            ProgressState::TablePartialSync => 502,
        }
    }
}

impl JobStatus {
    /// The picture of a job whose task has just been started.
    pub fn starting(record: &JobRecord) -> Self {
        let progress = match record.spec.sync_type() {
            SyncType::Database => ProgressState::DBFullSync,
            SyncType::Table => ProgressState::TableFullSync,
        };
        Self {
            progress,
            position: Position::default(),
            source: SourceIdentity::default(),
            restores_seen: None,
            step: "starting".to_owned(),
            last_error: None,
            blocked: None,
            apart: Vec::new(),
            unpublished: None,
            unproven: None,
            transactions: 0,
            statements: 0,
            skipped: 0,
            buffered: 0,
        }
    }
}
