//! `/job_progress`: the original's keys filled from our state, and what it does not have: what the job does,
//! what holds it up, and its newest decisions.

use std::sync::Arc;

use axum::extract::{Request, State};
use ccr_core::job::{
    Blocked, FullSync, FullSyncRecord, Incremental, JobRecord, JobState, Phase, SnapshotStep,
};
use serde_json::{Map, Value, json};

use super::{Answer, Api, name_only};
use crate::manager::JobProgress;

/// Newest decisions shown.
const HISTORY: usize = 20;

/// Numbers of the original's sub states that have a name there.
const BEGIN_CREATE_SNAPSHOT: i64 = 0;
const RESTORE_SNAPSHOT: i64 = 3;
const DONE: i64 = -1;

pub(super) async fn handle(State(api): State<Arc<Api>>, request: Request) -> Answer {
    let progress = match name_only::read(request).await {
        Ok(name) => api.manager.progress(&name, HISTORY).await.map_err(|error| error.to_string()),
        Err(error) => Err(error),
    };
    match progress {
        Ok(progress) => Answer::success().with("job_progress", render(&progress)),
        Err(error) => Answer::failure(error).with("job_progress", zero()),
    }
}

/// The sub state's number, also for metrics.
pub(crate) fn sub_state(state: Option<&JobState>) -> i64 {
    match state.map(|state| &state.phase) {
        Some(Phase::FullSync(FullSync { step: SnapshotStep::Backup { .. }, .. })) => BEGIN_CREATE_SNAPSHOT,
        Some(Phase::FullSync(FullSync { step: SnapshotStep::Restore { .. }, .. })) => RESTORE_SNAPSHOT,
        Some(Phase::Incremental(_)) | None => DONE,
    }
}

pub(super) fn blocked(blocked: Option<&Blocked>) -> Value {
    blocked.map_or(Value::Null, |blocked| {
        json!({
            "code": blocked.code,
            "message": blocked.message,
            "hint": blocked.hint,
            "commit_seq": blocked.commit_seq,
            "binlog_type": blocked.binlog_type,
            "since_ms": blocked.since_ms,
        })
    })
}

fn render(progress: &JobProgress) -> Value {
    let JobProgress { view, state, history } = progress;
    let (record, status) = (&view.record, &view.status);
    let commit_seq = status.position.commit_seq;
    let mut fields = base(&record.spec.name, status.progress.number(), sub_state(Some(state)), commit_seq);
    add_tables(&mut fields, state, commit_seq);
    add_times(&mut fields, record, state);
    if let Phase::Incremental(Incremental { statement_in_doubt: Some(seq), .. }) = &state.phase {
        fields.insert("unknown_commit_seq".to_owned(), json!(seq));
    }
    if let Some(last) = &state.last_full_sync {
        fields.insert("full_sync_info".to_owned(), full_sync_info(last, state));
    }
    let extra = json!({
        "progress_state": status.progress.name(),
        "step": status.step,
        "blocked": blocked(status.blocked.as_ref()),
        "last_error": status.last_error,
        "history": history,
        "position": status.position,
        "transactions": status.transactions,
        "statements": status.statements,
        "skipped": status.skipped,
    });
    if let Value::Object(extra) = extra {
        fields.extend(extra);
    }
    Value::Object(fields)
}

fn zero() -> Value {
    Value::Object(base("", 0, 0, 0))
}

/// The keys that are always there.
fn base(name: &str, sync_state: i64, sub_state: i64, commit_seq: i64) -> Map<String, Value> {
    let fields = json!({
        "job_name": name,
        "sync_state": sync_state,
        "sub_sync_state": { "state": sub_state, "binlog_type": -1 },
        "job_sync_id": 0,
        "prev_commit_seq": commit_seq,
        "commit_seq": commit_seq,
        "last_commit_seq": commit_seq,
        "unknown_commit_seq": 0,
        "data": "",
        "full_sync_info": Value::Null,
    });
    match fields {
        Value::Object(fields) => fields,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}

/// Keys of maps are decimal strings in JSON.
fn add_tables(fields: &mut Map<String, Value>, state: &JobState, commit_seq: i64) {
    let mut add = |key: &str, entries: Map<String, Value>| {
        if !entries.is_empty() {
            fields.insert(key.to_owned(), Value::Object(entries));
        }
    };
    let tables = || state.tables.iter();
    add("table_mapping", tables().map(|(id, link)| (id.to_string(), json!(link.target_id))).collect());
    add("table_name_mapping", tables().map(|(id, link)| (id.to_string(), json!(link.source_name))).collect());
    let ahead = tables().filter(|(_, link)| link.synced_to > commit_seq);
    add("table_commit_seq_map", ahead.map(|(id, link)| (id.to_string(), json!(link.synced_to))).collect());
}

/// Unix seconds; those of steps not reached are left out.
fn add_times(fields: &mut Map<String, Value>, record: &JobRecord, state: &JobState) {
    let created_at = record.created_at_ms / 1000;
    let snapshots = i64::try_from(state.snapshots_taken).unwrap_or(i64::MAX);
    fields.insert("job_sync_id".to_owned(), json!(created_at.saturating_add(snapshots)));
    fields.insert("created_at".to_owned(), json!(created_at));
    if let Some(last) = &state.last_full_sync {
        fields.insert("full_sync_start_at".to_owned(), json!(last.started_at_ms / 1000));
    }
    match &state.phase {
        Phase::Incremental(incremental) => {
            fields.insert("incremental_sync_start_at".to_owned(), json!(incremental.since_ms / 1000));
        }
        Phase::FullSync(_) => {}
    }
}

fn full_sync_info(last: &FullSyncRecord, state: &JobState) -> Value {
    let sub_state = if last.finished_at_ms.is_some() { DONE } else { sub_state(Some(state)) };
    json!({
        "prev_commit_seq": last.from_commit_seq,
        "commit_seq": last.from_commit_seq,
        "sub_sync_state": { "state": sub_state, "binlog_type": -1 },
        "info": last.reason.describe(),
        "reason": last.reason,
        "started_at_ms": last.started_at_ms,
        "finished_at_ms": last.finished_at_ms,
    })
}
