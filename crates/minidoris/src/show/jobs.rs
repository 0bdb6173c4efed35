//! Jobs, transactions and the recycle bin.

use doris_types::record::AlterJobState;

use super::filter::like;
use super::format::{cell, size, time};
use super::tables::database;
use crate::cluster::ClusterInner;
use crate::error::{SqlError, SqlResult};
use crate::exec::{AlterJob, RecycledObject};
use crate::session::{ResultSet, Session};
use crate::snapshot::{self, LabelFilter};
use crate::sql::{AlterJobKind, Operator, Predicate, ShowFilter};
use crate::state::FeState;
use crate::txn::{Coordinator, Txn};

/// SHOW ALTER TABLE COLUMN | ROLLUP | MATERIALIZED VIEW, oldest first.
pub fn alter(
    state: &FeState,
    session: &Session,
    kind: AlterJobKind,
    db: Option<&str>,
) -> SqlResult<ResultSet> {
    let db = database(state, session, db)?;
    let is_rollup = match kind {
        AlterJobKind::Column => false,
        AlterJobKind::Rollup | AlterJobKind::MaterializedView => true,
    };
    let mut result = if is_rollup {
        ResultSet::new(&[
            "JobId",
            "TableName",
            "CreateTime",
            "FinishTime",
            "BaseIndexName",
            "RollupIndexName",
            "RollupId",
            "TransactionId",
            "State",
            "Msg",
            "Progress",
            "Timeout",
        ])
    } else {
        ResultSet::new(&[
            "JobId",
            "TableName",
            "CreateTime",
            "FinishTime",
            "IndexName",
            "IndexId",
            "OriginIndexId",
            "SchemaVersion",
            "TransactionId",
            "State",
            "Msg",
            "Progress",
            "Timeout",
        ])
    };
    let jobs = state.ddl.alter_jobs.iter().filter(|job| job.db_id == db.id && job.is_rollup == is_rollup);
    result.rows = jobs.map(alter_row).collect();
    Ok(result)
}

fn alter_row(job: &AlterJob) -> Vec<Option<String>> {
    let mut row = vec![
        cell(job.id),
        cell(&job.table_name),
        time(job.create_time),
        time(job.finish_time),
        cell(&job.index_name),
    ];
    if job.is_rollup {
        row.extend([cell(&job.rollup_name), cell(job.index_id)]);
    } else {
        row.extend([cell(job.index_id), cell(job.origin_index_id), cell(&job.schema_version)]);
    }
    row.extend([cell(job.txn_id), cell(&job.state), cell(&job.message), None, cell(2_592_000)]);
    row
}

/// SHOW BUILD INDEX, oldest first.
pub fn build_index(state: &FeState, session: &Session, db: Option<&str>) -> SqlResult<ResultSet> {
    let db = database(state, session, db)?;
    let mut result = ResultSet::new(&[
        "JobId",
        "TableName",
        "PartitionName",
        "AlterInvertedIndexes",
        "CreateTime",
        "FinishTime",
        "TransactionId",
        "State",
        "Msg",
        "Progress",
    ]);
    for job in state.ddl.build_index_jobs.iter().filter(|job| job.record.db_id == db.id) {
        let record = &job.record;
        result.rows.push(vec![
            cell(record.job_id),
            cell(&record.table_name),
            cell(&record.partition_name),
            cell(format!("[{}]", job.operation)),
            time(record.create_time_ms),
            time(record.finished_time_ms),
            cell(record.watershed_txn_id),
            cell(job_state(&record.job_state)),
            cell(&record.err_msg),
            None,
        ]);
    }
    Ok(result)
}

fn job_state(state: &AlterJobState) -> &str {
    match state {
        AlterJobState::Pending => "PENDING",
        AlterJobState::WaitingTxn => "WAITING_TXN",
        AlterJobState::Running => "RUNNING",
        AlterJobState::Finished => "FINISHED",
        AlterJobState::Cancelled => "CANCELLED",
        AlterJobState::Other(name) => name,
    }
}

/// SHOW TRANSACTION WHERE id = n | label = 'l' | label LIKE 'p' | status = 's'.
pub fn transaction(
    state: &FeState,
    session: &Session,
    db: Option<&str>,
    filter: &ShowFilter,
) -> SqlResult<ResultSet> {
    let db = database(state, session, db)?;
    let mut result = ResultSet::new(&[
        "TransactionId",
        "Label",
        "Coordinator",
        "TransactionStatus",
        "LoadJobSourceType",
        "PrepareTime",
        "PreCommitTime",
        "CommitTime",
        "PublishTime",
        "FinishTime",
        "Reason",
        "ErrorReplicasCount",
        "ListenerId",
        "TimeoutMs",
        "ErrMsg",
    ]);
    let refusal = || {
        SqlError::general(
            "Where clause should looks like one of them: id = 123 or label =/like 'label' or status = \
             'prepare/precommitted/committed/visible/aborted'",
        )
    };
    let Some(Predicate::Compare(wanted)) = &filter.predicate else { return Err(refusal()) };
    let value = wanted.value.as_str();
    let missing = |what: &str| SqlError::general(format!("transaction with {what} {value} does not exist"));
    let txns: Vec<&Txn> = match (wanted.column.to_ascii_lowercase().as_str(), wanted.operator) {
        ("id" | "transactionid", Operator::Equal) => {
            let id = value.parse().map_err(|_| refusal())?;
            vec![state.txns.get(db.id, id).ok_or_else(|| missing("id"))?]
        }
        ("label", Operator::Equal) => {
            let txns = state.txns.with_label(db.id, value);
            if txns.is_empty() {
                return Err(missing("label"));
            }
            txns
        }
        ("label", Operator::Like) => {
            state.txns.all(db.id).into_iter().filter(|txn| like(&txn.label, value)).collect()
        }
        ("status", Operator::Equal) => {
            let has = |txn: &&Txn| txn.status.name().eq_ignore_ascii_case(value);
            state.txns.all(db.id).into_iter().filter(has).collect()
        }
        _ => return Err(refusal()),
    };
    result.rows = txns.into_iter().map(transaction_row).collect();
    Ok(result)
}

fn transaction_row(txn: &Txn) -> Vec<Option<String>> {
    let (coordinator, source) = match &txn.coordinator {
        Coordinator::Frontend { host } => (format!("FE: {host}"), "INSERT_STREAMING"),
        Coordinator::Backend { host, .. } => (format!("BE: {host}"), "BACKEND_STREAMING"),
    };
    vec![
        cell(txn.id),
        cell(&txn.label),
        cell(coordinator),
        cell(txn.status.name()),
        cell(source),
        time(txn.prepare_time),
        time(txn.precommit_time),
        time(txn.commit_time),
        time(txn.finish_time),
        time(txn.finish_time),
        cell(&txn.reason),
        cell(0),
        cell(-1),
        cell(txn.timeout_ms),
        cell(""),
    ]
}

/// SHOW BACKUP and SHOW RESTORE; conditions on the label are applied by the caller like all others.
pub fn backup(state: &FeState, session: &Session, db: Option<&str>) -> SqlResult<ResultSet> {
    let db = database(state, session, db)?;
    snapshot::show_backup(state, &db.name, &LabelFilter::All)
}

pub fn restore(state: &FeState, session: &Session, db: Option<&str>, brief: bool) -> SqlResult<ResultSet> {
    let db = database(state, session, db)?;
    snapshot::show_restore(state, &db.name, &LabelFilter::All, brief)
}

/// SHOW CATALOG RECYCLE BIN.
pub fn recycle_bin(cluster: &ClusterInner, state: &FeState) -> ResultSet {
    let mut result = ResultSet::new(&[
        "Type",
        "Name",
        "DbId",
        "TableId",
        "PartitionId",
        "DropTime",
        "DataSize",
        "RemoteDataSize",
    ]);
    for recycled in &state.ddl.recycle_bin {
        let (kind, name, db_id, table_id, partition_id) = match &recycled.object {
            RecycledObject::Database(db) => ("Database", db.name.as_str(), db.id, None, None),
            RecycledObject::Table { db_id, table } => ("Table", table.name(), *db_id, Some(table.id()), None),
            RecycledObject::Partition { db_id, table_id, partition } => {
                ("Partition", partition.name.as_str(), *db_id, Some(*table_id), Some(partition.id))
            }
        };
        let bytes = recycled
            .object
            .partitions()
            .flat_map(crate::model::Partition::tablets)
            .filter_map(|tablet| {
                let replica = tablet.replicas.first()?;
                Some(cluster.backend(replica.backend_id)?.data_size(tablet.id))
            })
            .sum();
        result.rows.push(vec![
            cell(kind),
            cell(name),
            cell(db_id),
            table_id.and_then(cell),
            partition_id.and_then(cell),
            time(recycled.drop_time),
            cell(size(bytes)),
            cell(size(0)),
        ]);
    }
    result
}
