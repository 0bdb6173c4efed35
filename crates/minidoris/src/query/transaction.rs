//! Explicit transactions: BEGIN, statements, COMMIT or ROLLBACK.
//!
//! The transaction is opened by the first statement that writes, in the database of its table. Every statement
//! stages its rows under a sub-transaction of its own, the first one under the transaction's id. Nothing is
//! visible before COMMIT, not even to the session itself; COMMIT gives each statement's partitions their
//! versions in the order of the statements. A statement that fails leaves nothing behind, and the transaction
//! goes on without it.

use std::sync::Arc;

use super::load::{self, Load, VISIBLE_WAIT, sql_error, status_name};
use super::target::LoadTarget;
use crate::cluster::ClusterInner;
use crate::error::{SqlError, SqlResult};
use crate::session::{Answer, Session};
use crate::sql::Statement;
use crate::txn::{CommitTxn, SubTxnCommit, add_sub_txn, clear_staged, commit_and_publish};

const ONLY_DML: &str =
    "This is in a transaction, only insert, update, delete, commit, rollback is acceptable.";

/// What a session holds between BEGIN and its end.
#[derive(Debug, Clone, Default)]
pub struct Explicit {
    label: Option<String>,
    /// `None` until a statement wrote rows.
    open: Option<Open>,
}

#[derive(Debug, Clone)]
struct Open {
    load: Load,
    /// In statement order.
    statements: Vec<SubTxnCommit>,
}

/// Refuses what cannot be undone by ROLLBACK.
pub fn check_allowed(statement: &Statement) -> SqlResult<()> {
    match statement {
        Statement::Query(_)
        | Statement::Show(_)
        | Statement::Use(_)
        | Statement::Set(_)
        | Statement::Kill { .. }
        | Statement::Sync
        | Statement::Begin { .. }
        | Statement::Commit
        | Statement::Rollback => Ok(()),
        Statement::CreateDatabase { .. }
        | Statement::DropDatabase { .. }
        | Statement::AlterDatabaseProperties { .. }
        | Statement::SetTransactionQuota { .. }
        | Statement::RenameDatabase { .. }
        | Statement::CreateTable(_)
        | Statement::CreateTableLike(_)
        | Statement::DropTable { .. }
        | Statement::CreateView(_)
        | Statement::CreateMaterializedView { .. }
        | Statement::AlterView(_)
        | Statement::DropView { .. }
        | Statement::Truncate(_)
        | Statement::AlterTable(_)
        | Statement::Recover(_)
        | Statement::AdminSetFrontendConfig(_)
        | Statement::System(_)
        | Statement::Backup(_)
        | Statement::Restore(_)
        | Statement::CancelBackup { .. }
        | Statement::CancelRestore { .. }
        | Statement::CancelJobs(_)
        | Statement::CreateResource(_)
        | Statement::DropResource { .. }
        | Statement::Repository(_)
        | Statement::Function(_)
        | Statement::AsyncView(_)
        | Statement::Account(_)
        | Statement::Accepted(_) => Err(SqlError::general(ONLY_DML)),
    }
}

/// BEGIN; within a transaction it changes nothing.
pub fn begin(session: &mut Session, label: Option<&str>) -> Answer {
    let label = label.map(str::to_owned);
    let explicit = session.transaction.get_or_insert(Explicit { label, open: None });
    let label = explicit.label.as_deref().unwrap_or_default();
    Answer::Done { affected_rows: 0, info: format!("{{'label':'{label}', 'status':'PREPARE', 'txnId':''}}") }
}

/// COMMIT; without a transaction, or after statements that wrote nothing, there is nothing to do.
pub async fn commit(cluster: &Arc<ClusterInner>, session: &mut Session) -> SqlResult<Answer> {
    let Some(Open { load, statements }) = session.transaction.take().and_then(|explicit| explicit.open)
    else {
        return Ok(Answer::ok());
    };
    let request = CommitTxn {
        db_id: load.db_id,
        txn_id: load.txn_id,
        sub_txns: Some(statements),
        ..CommitTxn::default()
    };
    match commit_and_publish(cluster, request, VISIBLE_WAIT).await {
        Ok(outcome) => Ok(done(0, &load, status_name(outcome))),
        Err(error) => {
            load::abort(cluster, &load, &error.detail());
            Err(sql_error(&error))
        }
    }
}

/// ROLLBACK, and the end of a session that left its transaction open.
pub fn rollback(cluster: &ClusterInner, session: &mut Session, reason: &str) {
    if let Some(open) = session.transaction.take().and_then(|explicit| explicit.open) {
        load::abort(cluster, &open.load, reason);
    }
}

/// What a statement that wrote rows answers.
pub fn done(affected_rows: u64, load: &Load, status: &str) -> Answer {
    let info = format!("{{'label':'{}', 'status':'{status}', 'txnId':'{}'}}", load.label, load.txn_id);
    Answer::Done { affected_rows, info }
}

/// Stages one statement as a sub-transaction; gives the transaction it has joined.
pub(super) fn stage(
    cluster: &ClusterInner,
    explicit: &mut Explicit,
    target: &LoadTarget,
    stage: impl FnOnce(&Load) -> SqlResult<Vec<(i64, i64)>>,
) -> SqlResult<Load> {
    let Some(open) = &mut explicit.open else {
        let load = load::open_explicit(cluster, target, explicit.label.clone())
            .map_err(|error| sql_error(&error))?;
        let writes = match stage(&load) {
            Ok(writes) => writes,
            Err(error) => {
                load::abort(cluster, &load, &error.message);
                return Err(error);
            }
        };
        let first = SubTxnCommit { sub_txn_id: load.txn_id, table_id: target.table_id, writes };
        explicit.open = Some(Open { load: load.clone(), statements: vec![first] });
        return Ok(load);
    };
    if open.load.db_id != target.db_id {
        return Err(SqlError::general(format!(
            "Transaction insert must be in the same database, expect db_id={}",
            open.load.db_id
        )));
    }
    let indexes = target.indexes.iter().map(|index| index.id).collect();
    let (db_id, txn_id) = (open.load.db_id, open.load.txn_id);
    let sub_txn_id = {
        let state = &mut *cluster.fe.lock();
        if !target.is_current(state) {
            return Err(SqlError::general(load::PLAN_OUTDATED));
        }
        add_sub_txn(state, db_id, txn_id, target.table_id, indexes).map_err(|error| sql_error(&error))?
    };
    let own = Load { txn_id: sub_txn_id, ..open.load.clone() };
    let writes = stage(&own).inspect_err(|_| clear_staged(cluster, &[sub_txn_id]))?;
    open.statements.push(SubTxnCommit { sub_txn_id, table_id: target.table_id, writes });
    Ok(open.load.clone())
}
