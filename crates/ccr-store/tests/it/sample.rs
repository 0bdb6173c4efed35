//! Values to store.

use std::collections::BTreeMap;

use ccr_core::job::{
    ClusterSpec, DesiredState, FrontendSpec, JobOptions, JobRecord, JobSpec, JobState, Position, TableLink,
};
use ccr_core::store::HistoryEntry;

pub fn cluster(host: &str) -> ClusterSpec {
    ClusterSpec {
        host: host.to_owned(),
        port: 9030,
        thrift_port: 9020,
        user: "root".to_owned(),
        password: "p'\"; DROP TABLE ccr_jobs; --".to_owned(),
        database: "d`1".to_owned(),
        table: String::new(),
        frontends: vec![FrontendSpec { host: "f2".to_owned(), port: 9031, thrift_port: 9021 }],
        host_mapping: BTreeMap::from([("10.0.0.1".to_owned(), "public".to_owned())]),
    }
}

pub fn job(name: &str, created_at_ms: i64) -> JobRecord {
    let spec = JobSpec {
        name: name.to_owned(),
        src: cluster("up"),
        dest: cluster("down"),
        options: JobOptions { reuse_binlog_label: true, ..JobOptions::default() },
    };
    JobRecord { id: spec.job_id(created_at_ms), spec, desired: DesiredState::Running, created_at_ms }
}

pub fn state(job: &JobRecord) -> JobState {
    JobState::new(&job.id, job.created_at_ms)
}

pub fn linked(job: &JobRecord, tables: i64) -> JobState {
    let mut state = state(job);
    for id in 0..tables {
        let link = TableLink::new(&format!("t{id}"), id + 1000, id);
        state.tables.insert(id, link);
    }
    state
}

pub fn position(commit_seq: i64) -> Position {
    Position { commit_seq, timestamp_ms: commit_seq * 10, updated_at_ms: commit_seq * 100 }
}

pub fn entry(number: i64) -> HistoryEntry {
    HistoryEntry {
        at_ms: number,
        first_commit_seq: number,
        last_commit_seq: number + 1,
        plan: "skip".to_owned(),
        reason: format!("reason {number}"),
        outcome: "skipped".to_owned(),
        duration_ms: 1,
    }
}
