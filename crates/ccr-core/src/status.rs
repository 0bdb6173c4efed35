//! What a running job shows of itself, without asking its task.

use serde::Serialize;

use crate::job::{Blocked, JobRecord, JobState, Phase, Position, SyncType};

/// A live picture of a job. Cheap to copy; replaced as a whole by the job's task.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JobStatus {
    pub progress: ProgressState,
    pub position: Position,
    /// The step in words: `backup ccrs_…: SNAPSHOTING`, `waiting for binlogs`, `ingesting 12 transactions`.
    pub step: String,
    /// The error being retried, with the number of tries so far; `None` while all goes well.
    pub last_error: Option<RetriedError>,
    pub blocked: Option<Blocked>,
    /// Downstream transactions committed since this task started.
    pub transactions: u64,
    /// Statements sent downstream since this task started.
    pub statements: u64,
    /// Binlogs skipped since this task started.
    pub skipped: u64,
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
                if state.catch_up_target() > position.commit_seq {
                    ProgressState::DBTablesIncrementalSync
                } else {
                    ProgressState::DBIncrementalSync
                }
            }
            (SyncType::Table, Phase::FullSync(_)) => ProgressState::TableFullSync,
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
            step: "starting".to_owned(),
            last_error: None,
            blocked: None,
            transactions: 0,
            statements: 0,
            skipped: 0,
        }
    }
}
