//! Jobs that build or drop an index in the data of one partition each: WAITING_TXN until the loads before the
//! job have ended, then FINISHED: by then the rowsets of the partition have index files for the indexes, or no
//! longer have them.

use doris_types::record::{AlterJobState, BinlogType, IndexChangeJobRecord, html_safe_json};

use super::{BuildIndexJob, context, records};
use crate::catalog_ops;
use crate::cluster::ClusterInner;
use crate::error::{SqlError, SqlResult};
use crate::model::{SecondaryIndex, Table};
use crate::session::Session;
use crate::show::index_text;
use crate::sql::TableName;
use crate::state::FeState;

/// `alter_table_timeout_second`, which the record tells.
const TIMEOUT_MS: i64 = 2_592_000_000;

/// Starts one job per partition, or per named partition.
pub fn start(
    cluster: &ClusterInner,
    state: &mut FeState,
    ids: (i64, i64),
    changed: &[SecondaryIndex],
    partitions: Option<&[String]>,
    is_drop: bool,
) {
    let (db_id, table_id) = ids;
    let table = context::olap(state, db_id, table_id);
    let (table_name, origin_index_id) = (table.name.clone(), table.base_index_id);
    let chosen: Vec<(i64, String)> = table
        .partitions
        .values()
        .filter(|partition| {
            partitions.is_none_or(|names| names.iter().any(|name| name.eq_ignore_ascii_case(&partition.name)))
        })
        .map(|partition| (partition.id, partition.name.clone()))
        .collect();
    let verb = if is_drop { "DROP" } else { "ADD" };
    let operation: Vec<String> =
        changed.iter().map(|index| format!("{verb} {}", index_text(index))).collect();
    for (partition_id, partition_name) in chosen {
        let record = IndexChangeJobRecord {
            job_id: state.ids.allocate(),
            job_state: AlterJobState::WaitingTxn,
            db_id,
            table_id,
            table_name: table_name.clone(),
            partition_id,
            partition_name,
            watershed_txn_id: state.txns.next_id(),
            create_time_ms: cluster.clock.now_ms(),
            is_drop_op: is_drop,
            alter_inverted_indexes: changed.iter().map(records::index_definition).collect(),
            origin_index_id,
            inverted_index_batch_task: Some(serde_json::json!({})),
            timeout_ms: TIMEOUT_MS,
            ..IndexChangeJobRecord::default()
        };
        journal(cluster, state, &record);
        state.ddl.build_index_jobs.push(BuildIndexJob { record, operation: operation.join(", ") });
    }
}

/// Ends the jobs that need not wait; whether any did.
pub fn advance_all(cluster: &ClusterInner, state: &mut FeState) -> bool {
    let mut moved = false;
    for at in 0..state.ddl.build_index_jobs.len() {
        let record = &state.ddl.build_index_jobs[at].record;
        if !is_running(record) {
            continue;
        }
        let table = state
            .databases
            .get(&record.db_id)
            .and_then(|db| db.tables.get(&record.table_id))
            .and_then(Table::as_olap);
        let gone = match table {
            None => Some("table does not exist".to_owned()),
            Some(table) if !table.partitions.contains_key(&record.partition_id) => {
                Some(format!("partition {} does not exist", record.partition_name))
            }
            Some(_) => None,
        };
        if gone.is_none()
            && state.txns.has_running_before(record.db_id, record.table_id, record.watershed_txn_id)
        {
            continue;
        }
        end(cluster, state, at, gone);
        moved = true;
    }
    moved
}

/// CANCEL BUILD INDEX of all running jobs of a table, or of those named.
pub fn cancel(
    cluster: &ClusterInner,
    state: &mut FeState,
    session: &Session,
    table: &TableName,
    job_ids: &[i64],
) -> SqlResult<()> {
    let (_, table_id) = context::olap_ids(state, session, table)?;
    let is_meant = |record: &IndexChangeJobRecord| {
        record.table_id == table_id
            && is_running(record)
            && (job_ids.is_empty() || job_ids.contains(&record.job_id))
    };
    let meant: Vec<usize> = (0..state.ddl.build_index_jobs.len())
        .filter(|at| is_meant(&state.ddl.build_index_jobs[*at].record))
        .collect();
    if meant.is_empty() {
        return Err(SqlError::general(format!(
            "No unfinished index change job of table[{}] found, nothing to cancel",
            table.name
        )));
    }
    for at in meant {
        end(cluster, state, at, Some("user cancelled".to_owned()));
    }
    Ok(())
}

fn is_running(record: &IndexChangeJobRecord) -> bool {
    match record.job_state {
        AlterJobState::Pending | AlterJobState::WaitingTxn | AlterJobState::Running => true,
        AlterJobState::Finished | AlterJobState::Cancelled | AlterJobState::Other(_) => false,
    }
}

/// Ends a job, cancelled when there is a message.
fn end(cluster: &ClusterInner, state: &mut FeState, at: usize, failure: Option<String>) {
    let record = &mut state.ddl.build_index_jobs[at].record;
    record.job_state = if failure.is_some() { AlterJobState::Cancelled } else { AlterJobState::Finished };
    record.err_msg = failure.unwrap_or_default();
    record.finished_time_ms = cluster.clock.now_ms();
    let record = record.clone();
    if record.job_state == AlterJobState::Finished {
        rebuild(cluster, state, &record);
    }
    journal(cluster, state, &record);
}

/// Changes the index files of the partition's tablets.
fn rebuild(cluster: &ClusterInner, state: &FeState, record: &IndexChangeJobRecord) {
    let Some(table) = catalog_ops::olap_table(state, record.db_id, record.table_id) else { return };
    let index = table
        .partitions
        .get(&record.partition_id)
        .and_then(|partition| partition.indexes.get(&record.origin_index_id));
    let ids: Vec<i64> = record.alter_inverted_indexes.iter().map(|index| index.id).collect();
    let (added, dropped): (&[i64], &[i64]) = if record.is_drop_op { (&[], &ids) } else { (&ids, &[]) };
    for tablet in index.map(|index| index.tablets.as_slice()).unwrap_or_default() {
        for replica in &tablet.replicas {
            if let Some(backend) = cluster.backend(replica.backend_id) {
                backend.rebuild_indexes(tablet.id, added, dropped);
            }
        }
    }
}

fn journal(cluster: &ClusterInner, state: &mut FeState, record: &IndexChangeJobRecord) {
    let now = cluster.clock.now_ms();
    state.journal_binlog(now, BinlogType::INDEX_CHANGE_JOB, record.db_id, &[record.table_id], |_| {
        html_safe_json(record)
    });
}
