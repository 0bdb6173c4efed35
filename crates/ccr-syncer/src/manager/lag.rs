//! How far a job is behind, asked from the upstream frontend.

use ccr_core::job::SyncType;
use ccr_core::status::ProgressState;
use doris_types::call::{BinlogLag, BinlogScope, MetaFilter};
use doris_types::failure::Failure;

use super::{JobView, Manager, ManagerError, ManagerResult};

/// The lag of a job. All times are milliseconds since the epoch by the upstream's clock; not positive when
/// there is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lag {
    /// Binlogs not yet applied. Zero only when the target equals the source.
    pub binlogs: i64,
    pub first_commit_seq: i64,
    pub last_commit_seq: i64,
    pub next_commit_seq: i64,
    pub first_timestamp_ms: i64,
    pub last_timestamp_ms: i64,
    pub next_timestamp_ms: i64,
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
    /// Asks the upstream. A frontend that cannot answer is an error, never a lag of zero.
    pub async fn lag(&self, name: &str) -> ManagerResult<Lag> {
        let view = self.view(name).await?;
        self.lag_of(&view).await
    }

    pub async fn lag_of(&self, view: &JobView) -> ManagerResult<Lag> {
        let spec = &view.record.spec.src;
        let upstream = self.parts.connector.upstream(spec);
        let failed = |failure: Failure| {
            let what = "ask the source for its lag".to_owned();
            ManagerError::Cluster { what, failure: Box::new(failure) }
        };
        let table_id = match view.record.spec.sync_type() {
            SyncType::Database => None,
            // The name may have changed; before the first snapshot it is all there is.
            SyncType::Table if view.status.source_table_id.is_some() => view.status.source_table_id,
            SyncType::Table => {
                let meta = upstream
                    .meta(&spec.database, MetaFilter::Named(vec![spec.table.clone()]))
                    .await
                    .map_err(failed)?;
                meta.and_then(|meta| meta.tables.first().map(|table| table.id))
            }
        };
        let scope = BinlogScope { database: spec.database.clone(), table_id };
        // No list means that nothing was written since the binlog was enabled.
        let answer = upstream.binlog_lag(&scope, view.status.position.commit_seq).await.map_err(failed)?;
        let BinlogLag {
            lag,
            first_commit_seq,
            last_commit_seq,
            next_commit_seq,
            first_timestamp_ms,
            last_timestamp_ms,
            next_timestamp_ms,
        } = answer.unwrap_or_default();
        Ok(Lag {
            // Without a finished snapshot the target is not equal, however short the binlog is; nor is it
            // while a table has left the stream.
            binlogs: if is_copying(view.status.progress) || !view.status.apart.is_empty() {
                lag.max(1)
            } else {
                lag.max(0)
            },
            first_commit_seq,
            last_commit_seq,
            next_commit_seq,
            first_timestamp_ms,
            last_timestamp_ms,
            next_timestamp_ms,
        })
    }
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
