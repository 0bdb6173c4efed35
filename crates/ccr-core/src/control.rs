//! What an operator may ask of a job, beside pausing and resuming it.
//!
//! A request is applied to the stored state while the job's task is stopped, which costs nothing since
//! stopping is always safe; so it is persisted when its answer arrives, and survives everything after.

use thiserror::Error;

use crate::job::{
    ApartWork, Event, FullSyncReason, IllegalEvent, JobRecord, JobState, Leaving, PartialSyncReason, Phase,
    Position, SnapshotStep, TableLink, transition,
};
use crate::store::{HistoryEntry, Store, StoreError};

/// A request of an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Pass over the binlog with exactly this commit seq.
    SkipBinlog { commit_seq: i64 },
    /// Do not pass over it after all.
    WithdrawSkip { commit_seq: i64 },
    /// Copy everything again; also approves a full sync that is held.
    FullSync { detail: String },
    /// Copy one table again, if its upstream id and name are still these.
    PartialSync { table: String, table_id: i64, detail: String },
}

#[derive(Debug, Error)]
pub enum RequestError {
    #[error("skip_commit_seq: must be greater than {position}, up to which the job has applied everything")]
    AlreadyApplied { position: i64 },
    #[error("skip_commit_seq: {commit_seq} is not among the binlogs that are to be skipped, {pending:?}")]
    NotPending { commit_seq: i64, pending: Vec<i64> },
    #[error("skip_table: the job does not replicate table {table} with id {table_id}")]
    UnknownTable { table: String, table_id: i64 },
    #[error("a full sync is running, which copies every table")]
    FullSyncRunning,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Illegal(#[from] IllegalEvent),
}

/// Applies a request to a job whose task is not running. `epoch` is a lease just acquired for it.
///
/// A full sync asked for while one is running is that one.
///
/// # Errors
/// When the request names something that the job does not have, or the store refuses.
pub async fn apply(
    store: &dyn Store,
    job: &JobRecord,
    epoch: u64,
    request: &Request,
    now_ms: i64,
) -> Result<(), RequestError> {
    let (state, position) = store.load(&job.id).await?;
    let Some((event, reason)) = decide(&state, &position, request, now_ms)? else { return Ok(()) };
    let next = transition(&job.id, &state, event)?;
    store.save_state(&job.id, epoch, &next, &position).await?;
    let entry = HistoryEntry {
        at_ms: now_ms,
        first_commit_seq: position.commit_seq,
        last_commit_seq: position.commit_seq,
        plan: "request".to_owned(),
        reason,
        outcome: "recorded".to_owned(),
        duration_ms: 0,
    };
    if let Err(error) = store.append_history(&job.id, epoch, &entry).await {
        // The request is recorded, and an answer that it failed would be wrong.
        tracing::error!(%error, "cannot write the job's history");
    }
    Ok(())
}

/// Refuses a request that cannot be applied, by what is stored, without touching the job. What a running
/// job has stored is a moment old, so [`apply`] looks once more.
///
/// # Errors
/// As those of [`apply`].
pub async fn check(store: &dyn Store, job: &JobRecord, request: &Request) -> Result<(), RequestError> {
    let (state, position) = store.load(&job.id).await?;
    decide(&state, &position, request, 0).map(|_| ())
}

/// The event that a request is, and why; `None` when it is fulfilled already.
fn decide(
    state: &JobState,
    position: &Position,
    request: &Request,
    now_ms: i64,
) -> Result<Option<(Event, String)>, RequestError> {
    let (event, reason) = match request {
        Request::SkipBinlog { commit_seq } => {
            let (commit_seq, applied_to) = (*commit_seq, state.applied_to(position.commit_seq));
            if commit_seq <= applied_to {
                return Err(RequestError::AlreadyApplied { position: applied_to });
            }
            (Event::SkipRequested { commit_seq, applied_to }, format!("skip commit seq {commit_seq}"))
        }
        Request::WithdrawSkip { commit_seq } => {
            let commit_seq = *commit_seq;
            let pending = state.pending_skips(position.commit_seq);
            if !pending.contains(&commit_seq) {
                return Err(RequestError::NotPending { commit_seq, pending });
            }
            (Event::SkipWithdrawn { commit_seq }, format!("do not skip commit seq {commit_seq}"))
        }
        Request::FullSync { .. } if matches!(state.phase, Phase::FullSync(_)) => return Ok(None),
        Request::FullSync { detail } => {
            // What is held is approved, and keeps the reason it has.
            let (reason, text) = match &state.held_full_sync {
                Some(held) => {
                    (held.reason.clone(), format!("approved by an operator: {}", held.reason.describe()))
                }
                None => {
                    let reason = FullSyncReason::Requested { detail: detail.clone() };
                    let text = reason.describe();
                    (reason, text)
                }
            };
            let from_commit_seq = position.commit_seq;
            (Event::FullSyncNeeded { reason, from_commit_seq, at_ms: now_ms }, text)
        }
        Request::PartialSync { .. } if matches!(state.phase, Phase::FullSync(_)) => {
            return Err(RequestError::FullSyncRunning);
        }
        Request::PartialSync { table, table_id, detail } => {
            let link = state.tables.get(table_id).filter(|link| link.source_name == *table);
            let is_there =
                |link: &&TableLink| link.lane.apart().is_none_or(|apart| apart.dropped_at.is_none());
            let Some(link) = link.filter(is_there) else {
                return Err(RequestError::UnknownTable { table: table.clone(), table_id: *table_id });
            };
            let work = link.lane.apart().map(|apart| &apart.work);
            if let Some(ApartWork::PartialSync { step: SnapshotStep::Restore { .. }, reason }) = work
                && reason.partition().is_none()
            {
                // A copy that is being put in place is that one; it cannot be called back.
                return Ok(None);
            }
            let cursor = link.lane.apart().map_or(position.commit_seq, |apart| apart.cursor);
            let reason = PartialSyncReason::Requested { detail: detail.clone() };
            let text = reason.describe();
            let why = Leaving::PartialSync(reason);
            (Event::TableLeft { source_id: *table_id, cursor, why, at_ms: now_ms }, text)
        }
    };
    Ok(Some((event, reason)))
}
