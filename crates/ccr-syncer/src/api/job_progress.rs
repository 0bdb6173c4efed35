//! `/job_progress`: the original's keys filled from our state, and what it does not have: what the job does,
//! what holds it up, and its newest decisions.

use std::sync::Arc;

use axum::extract::{Request, State};
use ccr_core::job::{
    ApartWork, Blocked, FullSyncRecord, HeldFullSync, Incremental, JobRecord, JobState, Phase, SnapshotStep,
    TableLink,
};
use serde_json::{Map, Value, json};

use super::{Answer, Api, job_options, name_only};
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

/// The number of the step of the job's snapshot, or of that of the first table that is copied again.
pub(super) fn sub_state(state: &JobState) -> i64 {
    match &state.phase {
        Phase::FullSync(full) => snapshot_step(&full.step),
        Phase::Incremental(_) => partial_sync(state).map_or(DONE, |(_, _, step)| snapshot_step(step)),
    }
}

/// The original's name of a sub state.
pub(super) fn sub_state_name(state: &JobState) -> &'static str {
    match sub_state(state) {
        BEGIN_CREATE_SNAPSHOT => "BeginCreateSnapshot",
        RESTORE_SNAPSHOT => "RestoreSnapshot",
        _ => "Done",
    }
}

fn snapshot_step(step: &SnapshotStep) -> i64 {
    match step {
        SnapshotStep::Backup { .. } => BEGIN_CREATE_SNAPSHOT,
        SnapshotStep::Restore { .. } => RESTORE_SNAPSHOT,
    }
}

/// The first table that is copied again: upstream id, link, step.
fn partial_sync(state: &JobState) -> Option<(i64, &TableLink, &SnapshotStep)> {
    state.tables.iter().find_map(|(id, link)| match &link.lane.apart()?.work {
        ApartWork::PartialSync { step, .. } => Some((*id, link, step)),
        ApartWork::CatchUp { .. } | ApartWork::Blocked(_) => None,
    })
}

/// The partitions are there where not the whole table is copied.
fn partial_sync_data(source_id: i64, link: &TableLink) -> Value {
    let mut data = json!({ "table_id": source_id, "table": link.source_name, "is_view": false });
    let partition = match link.lane.apart().map(|apart| &apart.work) {
        Some(ApartWork::PartialSync { reason, .. }) => reason.partition(),
        Some(ApartWork::CatchUp { .. } | ApartWork::Blocked(_)) | None => None,
    };
    if let Some(partition) = partition {
        data["partition_ids"] = json!([partition.partition_id]);
        data["partitions"] = json!([partition.partition]);
    }
    data
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
    let JobProgress { view, state, history, forecast } = progress;
    let (record, status) = (&view.record, &view.status);
    let commit_seq = status.position.commit_seq;
    let mut fields = base(&record.spec.name, status.progress.number(), sub_state(state), commit_seq);
    add_tables(&mut fields, state, commit_seq);
    add_times(&mut fields, record, state);
    if let Phase::Incremental(Incremental { statement_in_doubt: Some(seq), .. }) = &state.phase {
        fields.insert("unknown_commit_seq".to_owned(), json!(seq));
    }
    if let Some((id, link, _)) = partial_sync(state) {
        fields.insert("partial_sync_data".to_owned(), partial_sync_data(id, link));
    }
    if let Some(last) = &state.last_full_sync {
        fields.insert("full_sync_info".to_owned(), full_sync_info(last, state));
    }
    let extra = json!({
        "progress_state": status.progress.name(),
        "step": status.step,
        "blocked": blocked(status.blocked.as_ref()),
        "last_error": status.last_error,
        "pending_skips": state.pending_skips(commit_seq),
        "held_full_sync": state.held_full_sync.as_ref().map(held),
        "history": history,
        "apart": status.apart,
        "unpublished": status.unpublished,
        "forecast": forecast,
        "unproven": status.unproven,
        "options": job_options::render(&record.spec.options),
        "position": status.position,
        "transactions": status.transactions,
        "statements": status.statements,
        "skipped": status.skipped,
        "buffered": status.buffered,
    });
    if let Value::Object(extra) = extra {
        fields.extend(extra);
    }
    Value::Object(fields)
}

fn held(held: &HeldFullSync) -> Value {
    json!({
        "info": held.reason.describe(),
        "reason": held.reason,
        "held_by": held.by,
        "from_commit_seq": held.from_commit_seq,
        "since_ms": held.since_ms,
    })
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
    if let Some(apart) = partial_sync(state).and_then(|(_, link, _)| link.lane.apart()) {
        fields.insert("partial_sync_start_at".to_owned(), json!(apart.since_ms / 1000));
    }
    match &state.phase {
        Phase::Incremental(incremental) => {
            fields.insert("incremental_sync_start_at".to_owned(), json!(incremental.since_ms / 1000));
        }
        Phase::FullSync(_) => {}
    }
}

fn full_sync_info(last: &FullSyncRecord, state: &JobState) -> Value {
    let sub_state = if last.finished_at_ms.is_some() { DONE } else { sub_state(state) };
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

#[cfg(test)]
mod tests {
    use ccr_core::job::{Position, SyncType};
    use ccr_core::status::{JobStatus, ProgressState};

    use super::*;
    use crate::manager::JobView;

    /// The answer for a database job in a stored state.
    fn shown(state: &str, commit_seq: i64) -> Value {
        let record: JobRecord = serde_json::from_value(json!({
            "id": "0011223344556677",
            "spec": {
                "name": "j",
                "src": { "host": "a", "port": 1, "thrift_port": 2, "user": "u", "password": "p", "database": "d" },
                "dest": { "host": "b", "port": 1, "thrift_port": 2, "user": "u", "password": "p", "database": "d" },
            },
            "desired": "running",
            "created_at_ms": 1_700_000_000_000_i64,
        }))
        .unwrap();
        let state: JobState = serde_json::from_str(state).unwrap();
        let position = Position { commit_seq, ..Position::default() };
        let progress = ProgressState::of(SyncType::Database, &state, &position);
        let status = JobStatus { progress, position, ..JobStatus::starting(&record) };
        let view = JobView { record, status, running: true, ended: false };
        render(&JobProgress { view, state, history: Vec::new(), forecast: None })
    }

    #[test]
    fn a_restore_has_its_sub_state_and_reason() {
        let shown = shown(
            r#"{"version":1,"snapshots_taken":2,"phase":{"phase":"full_sync",
               "reason":{"kind":"binlog_expired","position":7,"expired_to":9},"started_at_ms":3000,
               "step":{"step":"restore","backup_label":"b","restore_label":"b_r1","attempt":1,
               "info":{"commit_seq":10,"tables":[],"views":[]}}},"tables":{},"blocked":null,
               "last_full_sync":{"reason":{"kind":"binlog_expired","position":7,"expired_to":9},
               "started_at_ms":3000,"finished_at_ms":null,"from_commit_seq":7}}"#,
            7,
        );
        assert_eq!((&shown["sync_state"], &shown["sub_sync_state"]["state"]), (&json!(0), &json!(3)));
        assert_eq!(shown["job_sync_id"], 1_700_000_002);
        assert_eq!(shown["full_sync_start_at"], 3);
        assert_eq!(shown["full_sync_info"]["prev_commit_seq"], 7);
        assert!(shown["full_sync_info"]["info"].as_str().unwrap().contains("expired up to commit seq 9"));
        assert!(shown.get("incremental_sync_start_at").is_none());
    }

    #[test]
    fn a_table_that_is_copied_again_has_its_id_and_the_moment_it_left() {
        let shown = shown(
            r#"{"version":1,"snapshots_taken":2,"phase":{"phase":"incremental","since_ms":5000,
               "statement_in_doubt":null},"tables":{
               "4":{"source_name":"t","target_name":"t","target_id":9,"synced_to":11,"lane":{"lane":"apart",
               "cursor":11,"since_ms":7000,"work":{"work":"partial_sync","reason":{"kind":"requested","detail":""},
               "step":{"step":"backup","label":"b"}}}}},
               "blocked":null,"last_full_sync":null}"#,
            12,
        );
        assert_eq!((&shown["sync_state"], &shown["partial_sync_start_at"]), (&json!(4), &json!(7)));
        assert_eq!(shown["partial_sync_data"], json!({ "table_id": 4, "table": "t", "is_view": false }));
    }

    #[test]
    fn a_partition_that_is_copied_alone_is_named() {
        let shown = shown(
            r#"{"version":1,"snapshots_taken":2,"phase":{"phase":"incremental","since_ms":5000,
               "statement_in_doubt":null},"tables":{
               "4":{"source_name":"t","target_name":"t","target_id":9,"synced_to":11,"lane":{"lane":"apart",
               "cursor":11,"since_ms":7000,"work":{"work":"partial_sync","reason":{"kind":"recovered",
               "partition_id":7,"partition":"p","commit_seq":12},"step":{"step":"backup","label":"b"}}}}},
               "blocked":null,"last_full_sync":null}"#,
            12,
        );
        let expected = json!({ "table_id": 4, "table": "t", "is_view": false, "partition_ids": [7], "partitions": ["p"] });
        assert_eq!(shown["partial_sync_data"], expected);
    }

    #[test]
    fn tables_are_shown_by_decimal_id_and_those_ahead_with_their_seq() {
        let shown = shown(
            r#"{"version":1,"snapshots_taken":1,"phase":{"phase":"incremental","since_ms":5000,
               "statement_in_doubt":12},"tables":{
               "4":{"source_name":"t","target_name":"t","target_id":9,"synced_to":11},
               "5":{"source_name":"u","target_name":"u","target_id":8,"synced_to":20}},
               "blocked":null,"last_full_sync":null}"#,
            11,
        );
        assert_eq!((&shown["sync_state"], &shown["sub_sync_state"]["state"]), (&json!(1), &json!(-1)));
        assert_eq!(shown["table_mapping"], json!({ "4": 9, "5": 8 }));
        assert_eq!(shown["table_name_mapping"], json!({ "4": "t", "5": "u" }));
        assert_eq!(shown["table_commit_seq_map"], json!({ "5": 20 }));
        assert_eq!(
            (&shown["unknown_commit_seq"], &shown["incremental_sync_start_at"]),
            (&json!(12), &json!(5))
        );
        assert_eq!((&shown["full_sync_info"], shown.get("partial_sync_data")), (&Value::Null, None));
    }
}
