//! How far a job is behind, asked from the upstream frontend.

use ccr_core::job::SyncType;
use ccr_core::proof;
use ccr_core::status::{JobStatus, ProgressState, SET_APART, TableStatus};
use doris_types::call::{BinlogLag, BinlogScope, MetaFilter};
use doris_types::failure::Failure;

use super::{JobView, Manager, ManagerError, ManagerResult};

/// The work of a table that is copied.
const PARTIAL_SYNC: &str = "partial_sync";

/// Tables apart that are asked for, those furthest behind first.
const MAX_TABLES: usize = 32;

/// The lag of a job. All times are milliseconds since the epoch by the upstream's clock; not positive when
/// there is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lag {
    /// Binlogs not yet applied, of the job or of the table apart that has most. Zero only when the target equals the source.
    pub binlogs: i64,
    pub first_commit_seq: i64,
    pub last_commit_seq: i64,
    pub next_commit_seq: i64,
    pub first_timestamp_ms: i64,
    pub last_timestamp_ms: i64,
    pub next_timestamp_ms: i64,
    /// Whose binlog the next one is.
    pub next_of: NextOf,
}

/// Whose the next binlog is that a job has not applied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NextOf {
    #[default]
    Job,
    /// Of a table apart: what comes after it is counted in the table's own list.
    Table {
        /// It has expired before the table could apply it.
        is_gone: bool,
    },
}

impl Lag {
    /// From the oldest binlog not yet applied to the newest; zero when everything is applied.
    pub fn seconds(&self) -> f64 {
        if self.binlogs <= 0 || self.next_timestamp_ms <= 0 || self.last_timestamp_ms <= 0 {
            return 0.0;
        }
        ((self.last_timestamp_ms - self.next_timestamp_ms) as f64 / 1000.0).max(0.0)
    }
}

impl Manager {
    /// Asks the upstream. A frontend that cannot answer is an error, never a lag of zero. One of zero is proven: the
    /// upstream is looked at for what no binlog tells.
    pub async fn lag(&self, name: &str) -> ManagerResult<Lag> {
        let view = self.view(name).await?;
        let mut lag = self.lag_of(&view).await?;
        if lag.binlogs == 0 {
            let upstream = self.parts.connector.upstream(&view.record.spec.src);
            let sight = proof::look(&*upstream, &view.record, &view.status).await.map_err(unasked)?;
            if let Some(doubt) = proof::doubt(&view.record, &view.status, &sight, view.running) {
                tracing::info!(job = name, %doubt, "every binlog is applied, but the target may differ");
                lag.binlogs = 1;
            }
        }
        Ok(lag)
    }

    /// The same without that proof, for those who ask often: what they are told may be some seconds old.
    pub async fn lag_of(&self, view: &JobView) -> ManagerResult<Lag> {
        let spec = &view.record.spec.src;
        let upstream = self.parts.connector.upstream(spec);
        let table_id = match view.record.spec.sync_type() {
            SyncType::Database => None,
            // The name may have changed; before the first snapshot it is all there is.
            SyncType::Table if view.status.source.table.is_some() => view.status.source.table_id(),
            SyncType::Table => {
                let meta = upstream
                    .meta(&spec.database, MetaFilter::Named(vec![spec.table.clone()]))
                    .await
                    .map_err(unasked)?;
                meta.and_then(|meta| meta.tables.first().map(|table| table.id))
            }
        };
        let scope = BinlogScope { database: spec.database.clone(), table_id };
        // No list means that nothing was written since the binlog was enabled.
        let answer = upstream.binlog_lag(&scope, view.status.position.commit_seq).await.map_err(unasked)?;
        let mut answer = answer.unwrap_or_default();
        let mut next_of = NextOf::Job;
        // Tables apart have positions of their own, and lists of their own.
        let mut apart: Vec<&TableStatus> =
            view.status.apart.iter().filter(|table| table.work != SET_APART).collect();
        apart.sort_by_key(|table| table.cursor);
        for table in apart.into_iter().take(MAX_TABLES) {
            let scope = BinlogScope { table_id: Some(table.source_id), ..scope.clone() };
            if let Some(own) = upstream.binlog_lag(&scope, table.cursor).await.map_err(unasked)? {
                // Who is copied again does not need what its list has lost.
                let is_gone = table.work != PARTIAL_SYNC && own.first_commit_seq > table.cursor;
                (answer, next_of) = further_behind((answer, next_of), own, is_gone);
            }
        }
        let BinlogLag {
            lag,
            first_commit_seq,
            last_commit_seq,
            next_commit_seq,
            first_timestamp_ms,
            last_timestamp_ms,
            next_timestamp_ms,
        } = answer;
        Ok(Lag {
            binlogs: if is_short_of_source(&view.status) { lag.max(1) } else { lag.max(0) },
            first_commit_seq,
            last_commit_seq,
            next_commit_seq,
            first_timestamp_ms,
            last_timestamp_ms,
            next_timestamp_ms,
            next_of,
        })
    }
}

fn unasked(failure: Failure) -> ManagerError {
    let what = "ask the source for its lag".to_owned();
    ManagerError::Cluster { what, failure: Box::new(failure) }
}

/// The longer of two lags, with the older of the binlogs to be applied next. One that is gone is older than any.
fn further_behind(
    (job, next_of): (BinlogLag, NextOf),
    table: BinlogLag,
    is_gone: bool,
) -> (BinlogLag, NextOf) {
    if table.lag <= 0 {
        return (job, next_of);
    }
    let is_older = job.lag > 0 && job.next_commit_seq <= table.next_commit_seq;
    let (next, next_of) = match next_of {
        NextOf::Table { is_gone: true } => (&job, next_of),
        NextOf::Job | NextOf::Table { is_gone: false } if is_older && !is_gone => (&job, next_of),
        NextOf::Job | NextOf::Table { is_gone: false } => (&table, NextOf::Table { is_gone }),
    };
    let lag = BinlogLag {
        lag: job.lag.max(table.lag),
        next_commit_seq: next.next_commit_seq,
        next_timestamp_ms: next.next_timestamp_ms,
        last_commit_seq: job.last_commit_seq.max(table.last_commit_seq),
        last_timestamp_ms: job.last_timestamp_ms.max(table.last_timestamp_ms),
        ..job
    };
    (lag, next_of)
}

/// Whether the target cannot be equal, however short the binlog is: a snapshot is not finished, a table has left the
/// stream, rows are not visible yet, what only a look
/// upstream tells is not known, or something is blocked, whose list may hold nothing newer because its table was
/// dropped.
fn is_short_of_source(status: &JobStatus) -> bool {
    is_copying(status.progress)
        || !status.apart.is_empty()
        || status.blocked.is_some()
        || status.unpublished.is_some()
        || status.unproven.is_some()
}

fn is_copying(progress: ProgressState) -> bool {
    match progress {
        ProgressState::DBFullSync
        | ProgressState::DBPartialSync
        | ProgressState::TableFullSync
        | ProgressState::TablePartialSync => true,
        ProgressState::DBTablesIncrementalSync
        | ProgressState::DBIncrementalSync
        | ProgressState::TableIncrementalSync => false,
    }
}

#[cfg(test)]
mod tests {
    use ccr_core::status::SourceIdentity;

    use super::*;

    fn lag(lag: i64, next: i64, last: i64) -> BinlogLag {
        BinlogLag {
            lag,
            first_commit_seq: 1,
            last_commit_seq: last,
            next_commit_seq: next,
            first_timestamp_ms: 10,
            last_timestamp_ms: last * 10,
            next_timestamp_ms: next * 10,
        }
    }

    #[test]
    fn what_is_blocked_is_never_equal() {
        let blocked = ccr_core::job::Blocked {
            code: "CCR0506".to_owned(),
            message: String::new(),
            hint: String::new(),
            commit_seq: 7,
            binlog_type: String::new(),
            since_ms: 1,
        };
        let status = JobStatus {
            progress: ProgressState::TableIncrementalSync,
            position: ccr_core::job::Position::default(),
            source: SourceIdentity::default(),
            restores_seen: None,
            step: String::new(),
            last_error: None,
            blocked: None,
            apart: Vec::new(),
            unpublished: None,
            unproven: None,
            transactions: 0,
            statements: 0,
            skipped: 0,
            buffered: 0,
        };
        assert!(!is_short_of_source(&status));
        assert!(is_short_of_source(&JobStatus { blocked: Some(blocked), ..status }));
    }

    #[test]
    fn a_table_apart_counts_from_its_own_position() {
        for (job, table, expected) in [
            // The job has applied everything, the table is far behind.
            (lag(0, -1, 90), lag(40, 20, 80), (40, 20, 200, 90)),
            // Both are behind; the older binlog is next.
            (lag(50, 30, 90), lag(3, 20, 25), (50, 20, 200, 90)),
            (lag(5, 30, 90), lag(9, 60, 95), (9, 30, 300, 95)),
            // The table has nothing left to apply.
            (lag(5, 30, 90), lag(0, -1, 95), (5, 30, 300, 90)),
        ] {
            let (found, _) = further_behind((job, NextOf::Job), table, false);
            let shown = (found.lag, found.next_commit_seq, found.next_timestamp_ms, found.last_commit_seq);
            assert_eq!(shown, expected);
            assert_eq!(found.first_commit_seq, 1);
        }
    }

    #[test]
    fn the_next_binlog_is_known_to_be_a_tables() {
        let of_table = |is_gone| NextOf::Table { is_gone };
        for (job, table, is_gone, expected) in [
            (lag(50, 30, 90), lag(3, 20, 25), false, (20, of_table(false))),
            (lag(50, 30, 90), lag(3, 40, 45), false, (30, NextOf::Job)),
            // Its list begins behind what it needs, which is older than what the job needs.
            (lag(50, 30, 90), lag(3, 40, 45), true, (40, of_table(true))),
            (lag(50, 30, 90), lag(0, -1, 45), true, (30, NextOf::Job)),
        ] {
            let (found, next_of) = further_behind((job, NextOf::Job), table, is_gone);
            assert_eq!((found.next_commit_seq, next_of), expected);
        }
        // Another table does not hide that one.
        let gone = further_behind((lag(50, 30, 90), NextOf::Job), lag(3, 40, 45), true);
        assert_eq!(further_behind(gone, lag(2, 10, 45), false).1, of_table(true));
    }
}
