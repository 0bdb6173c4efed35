//! Schema changes that rewrite data, and rollups: jobs that advance one step per tick.
//!
//! A job starts PENDING. Its first step makes the shadow index with tablets in every partition and notes the
//! next transaction id; loads planned from then on write the shadow too. When all older transactions are
//! finished, the last step rewrites what is visible in the origin index, bucket by bucket, and swaps.
//! Versions that are committed and not yet visible are staged for both indexes, so nothing is lost between
//! the two steps. That holds as a transaction is opened only for a plan that is current
//! ([`crate::query::target::LoadTarget::is_current`]).

mod convert;
mod finish;
pub mod submit;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};

use doris_types::record::{AlterJobKind, AlterJobRecord, AlterJobState, BinlogType, html_safe_json};

use self::finish::Attempt;
use super::{context, dynamic, index_job};
use crate::catalog_ops;
use crate::cluster::ClusterInner;
use crate::error::{SqlError, SqlResult};
use crate::model::{IndexSchema, IndexState, SecondaryIndex, Table};
use crate::session::Session;
use crate::sql::{self, Properties, TableName};
use crate::state::FeState;

/// A running job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SchemaJob {
    pub id: i64,
    pub db_id: i64,
    pub table_id: i64,
    /// As the job began; the table may be gone when it ends.
    pub table_name: String,
    pub base_index_id: i64,
    pub kind: JobKind,
    pub stage: Stage,
    /// Absent for CREATE MATERIALIZED VIEW.
    pub raw_sql: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum JobKind {
    SchemaChange {
        /// Each shadow with the index it replaces.
        shadows: Vec<(IndexSchema, i64)>,
        /// Table settings that change with the swap.
        patch: TablePatch,
    },
    Rollup {
        index: IndexSchema,
    },
}

/// What else of the table changes when a schema change ends; `None` stays as it is.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct TablePatch {
    /// Those that change; an empty value removes one.
    #[serde(with = "crate::model::ordered::optional")]
    pub properties: Option<Properties>,
    pub secondary_indexes: Option<Vec<SecondaryIndex>>,
    pub next_column_unique_id: Option<i32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    Pending,
    /// Waits for transactions below the id.
    WaitingTxn {
        watershed: i64,
    },
    /// Rewrites the data.
    Running,
}

impl SchemaJob {
    /// The new indexes with the index that each one reads from.
    fn targets(&self) -> Vec<(IndexSchema, i64)> {
        match &self.kind {
            JobKind::SchemaChange { shadows, .. } => shadows.clone(),
            JobKind::Rollup { index } => vec![(index.clone(), self.base_index_id)],
        }
    }
}

/// Advances every job by one step, and schedules dynamic partitions. Called by the cluster's daemon while a master lives.
pub fn tick(cluster: &Arc<ClusterInner>) {
    if !cluster.alters_paused.load(Ordering::Acquire) {
        step(cluster);
    }
    if dynamic::tick(cluster, &mut cluster.fe.lock()) {
        cluster.changed.notify_waiters();
    }
}

/// Advances every schema change, rollup and build of an index by one step; whether any moved.
pub fn step(cluster: &ClusterInner) -> bool {
    let advanced = {
        let state = &mut *cluster.fe.lock();
        let jobs = advance_all(cluster, state);
        let indexes = index_job::advance_all(cluster, state);
        jobs || indexes
    };
    if advanced {
        cluster.changed.notify_waiters();
    }
    advanced
}

/// One step of every job; whether any job moved.
pub fn advance_all(cluster: &ClusterInner, state: &mut FeState) -> bool {
    let ids: Vec<i64> = state.ddl.running_jobs.iter().map(|job| job.id).collect();
    let mut moved = false;
    for id in ids {
        let Some(mut job) = take(state, id) else { continue };
        match advance(cluster, state, &mut job) {
            Step::Waits => state.ddl.running_jobs.push(job),
            Step::Moved => {
                moved = true;
                state.ddl.running_jobs.push(job);
            }
            Step::Ended => moved = true,
        }
    }
    moved
}

/// Takes a job from the running ones; who advances it puts it back.
fn take(state: &mut FeState, id: i64) -> Option<SchemaJob> {
    let at = state.ddl.running_jobs.iter().position(|job| job.id == id)?;
    Some(state.ddl.running_jobs.remove(at))
}

/// CANCEL ALTER TABLE of the jobs of a table, or of the rollup jobs named.
pub fn cancel(
    cluster: &ClusterInner,
    state: &mut FeState,
    session: &Session,
    kind: sql::AlterJobKind,
    table: &TableName,
    job_ids: &[i64],
) -> SqlResult<()> {
    let ids = context::olap_ids(state, session, table)?;
    let is_rollup = match kind {
        sql::AlterJobKind::Column => false,
        sql::AlterJobKind::Rollup | sql::AlterJobKind::MaterializedView => true,
    };
    let is_meant = |job: &&SchemaJob| {
        let same_kind = match job.kind {
            JobKind::SchemaChange { .. } => !is_rollup,
            JobKind::Rollup { .. } => is_rollup,
        };
        job.table_id == ids.1 && same_kind && (job_ids.is_empty() || job_ids.contains(&job.id))
    };
    let meant: Vec<i64> = state.ddl.running_jobs.iter().filter(is_meant).map(|job| job.id).collect();
    if meant.is_empty() {
        return Err(SqlError::general(match is_rollup {
            true => format!(
                "Table[{}] is not under ROLLUP. Use 'ALTER TABLE DROP ROLLUP' if you want to.",
                table.name
            ),
            false => format!("Table[{}] is not under SCHEMA_CHANGE.", table.name),
        }));
    }
    for id in meant {
        if let Some(job) = take(state, id) {
            finish::cancel(cluster, state, &job, "user cancelled");
        }
    }
    Ok(())
}

enum Step {
    Waits,
    Moved,
    Ended,
}

fn advance(cluster: &ClusterInner, state: &mut FeState, job: &mut SchemaJob) -> Step {
    let exists = state
        .databases
        .get(&job.db_id)
        .and_then(|db| db.tables.get(&job.table_id))
        .is_some_and(|table| matches!(table, Table::Olap(_)));
    if !exists {
        set_row_state(cluster, state, job.id, "CANCELLED", "table does not exist");
        journal(cluster, state, job, AlterJobState::Cancelled);
        return Step::Ended;
    }
    match job.stage {
        Stage::Pending => match open_shadows(cluster, state, job) {
            Ok(()) => Step::Moved,
            Err(error) => {
                finish::cancel(cluster, state, job, &error.message);
                Step::Ended
            }
        },
        Stage::WaitingTxn { watershed } => {
            if state.txns.has_running_before(job.db_id, job.table_id, watershed) {
                return Step::Waits;
            }
            job.stage = Stage::Running;
            set_row_state(cluster, state, job.id, "RUNNING", "");
            // The only state that no binlog tells of.
            state.journal();
            Step::Moved
        }
        Stage::Running => {
            match finish::finish(cluster, state, job) {
                Attempt::Done => {}
                Attempt::Waits => return Step::Waits,
                Attempt::Failed(message) => finish::cancel(cluster, state, job, &message),
            }
            Step::Ended
        }
    }
}

/// PENDING to WAITING_TXN: the new indexes appear in the catalogue with empty tablets.
fn open_shadows(cluster: &ClusterInner, state: &mut FeState, job: &mut SchemaJob) -> SqlResult<()> {
    let table = context::olap(state, job.db_id, job.table_id);
    let shell = table.without_partitions();
    let mut partitions: Vec<_> = table.partitions.values().cloned().collect();
    let targets = job.targets();
    for partition in &mut partitions {
        for (schema, _) in &targets {
            let made = catalog_ops::new_tablets(cluster, state, &shell, job.db_id, partition, schema)?;
            partition.indexes.insert(schema.id, made);
        }
    }
    let table = context::olap_mut(state, job.db_id, job.table_id);
    for (schema, _) in targets {
        table.indexes.insert(schema.id, IndexSchema { state: IndexState::Shadow, ..schema });
    }
    for partition in partitions {
        table.partitions.insert(partition.id, partition);
    }
    let watershed = state.txns.next_id();
    job.stage = Stage::WaitingTxn { watershed };
    for row in state.ddl.alter_jobs.iter_mut().filter(|row| row.id == job.id) {
        row.txn_id = watershed;
    }
    set_row_state(cluster, state, job.id, "WAITING_TXN", "");
    journal(cluster, state, job, AlterJobState::WaitingTxn);
    Ok(())
}

/// Writes the ALTER_JOB entry of a state.
fn journal(cluster: &ClusterInner, state: &mut FeState, job: &SchemaJob, job_state: AlterJobState) {
    let mut record = AlterJobRecord {
        kind: AlterJobKind::SchemaChange,
        db_id: job.db_id,
        table_id: job.table_id,
        table_name: job.table_name.clone(),
        job_id: job.id,
        job_state,
        raw_sql: job.raw_sql.clone(),
        ..AlterJobRecord::default()
    };
    match &job.kind {
        JobKind::SchemaChange { shadows, .. } => {
            record.index_id_map =
                shadows.iter().map(|(shadow, origin)| (shadow.id, *origin)).collect::<BTreeMap<_, _>>();
        }
        JobKind::Rollup { index } => {
            record.kind = AlterJobKind::Rollup;
            record.rollup_index_id = index.id;
            record.rollup_index_name.clone_from(&index.name);
            record.base_index_id = job.base_index_id;
            record.base_index_name.clone_from(&job.table_name);
        }
    }
    let now = cluster.clock.now_ms();
    state.journal_binlog(now, BinlogType::ALTER_JOB, job.db_id, &[job.table_id], |_| html_safe_json(&record));
}

/// The state that SHOW ALTER TABLE prints for a job.
fn set_row_state(cluster: &ClusterInner, state: &mut FeState, job_id: i64, name: &str, message: &str) {
    let now = cluster.clock.now_ms();
    for row in state.ddl.alter_jobs.iter_mut().filter(|row| row.id == job_id) {
        row.state = name.to_owned();
        row.message = message.to_owned();
        if name == "FINISHED" || name == "CANCELLED" {
            row.finish_time = now;
        }
    }
}
