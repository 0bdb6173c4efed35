//! The transaction around a load that the cluster plans itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rand::Rng as _;

use crate::be::LoadId;
use crate::cluster::ClusterInner;
use crate::error::{SqlError, SqlResult};
use crate::txn::{
    BeginTxn, CommitOutcome, CommitTxn, Coordinator, TxnError, abort_and_clear, begin, commit_and_publish,
};

use super::target::LoadTarget;
use super::transaction;
use crate::session::Session;

/// How long INSERT and stream load wait for their versions (`insert_visible_timeout_ms`).
pub const VISIBLE_WAIT: Duration = Duration::from_secs(10);

/// The indexes of the table changed between planning and begin; the statement plans again.
pub const PLAN_OUTDATED: &str = "insert table failed, table schema changed";
/// How often a statement plans before it gives up.
pub const MAX_PLANS: usize = 10;

/// Whether an error asks for another plan.
pub fn is_outdated(error: &SqlError) -> bool {
    error.message == PLAN_OUTDATED
}

/// An open transaction of a load.
#[derive(Debug, Clone)]
pub struct Load {
    pub db_id: i64,
    pub txn_id: i64,
    pub label: String,
    pub load_id: LoadId,
}

/// Opens the transaction of a load that writes all indexes of the target.
pub fn open(
    cluster: &ClusterInner,
    target: &LoadTarget,
    label: Option<String>,
    timeout_s: Option<i64>,
) -> Result<Load, TxnError> {
    open_with(cluster, target, label, timeout_s, 0)
}

/// As [`open`], for the first statement of an explicit transaction: the transaction is also its own first
/// sub-transaction.
pub fn open_explicit(
    cluster: &ClusterInner,
    target: &LoadTarget,
    label: Option<String>,
) -> Result<Load, TxnError> {
    open_with(cluster, target, label, None, 1)
}

fn open_with(
    cluster: &ClusterInner,
    target: &LoadTarget,
    label: Option<String>,
    timeout_s: Option<i64>,
    sub_txn_num: i64,
) -> Result<Load, TxnError> {
    let (hi, lo): (i64, i64) = rand::rng().random();
    let label = label.unwrap_or_else(|| format!("label_{:016x}_{:016x}", hi as u64, lo as u64));
    let indexes = target.indexes.iter().map(|index| index.id).collect();
    let host = cluster.master().map_or_else(|| cluster.options.host.clone(), |node| node.host);
    let request = BeginTxn {
        db_id: target.db_id,
        table_ids: vec![target.table_id],
        label: label.clone(),
        request_id: None,
        timeout_s,
        coordinator: Coordinator::Frontend { host },
        planned_indexes: Some(BTreeMap::from([(target.table_id, indexes)])),
        sub_txn_num,
        now_ms: cluster.clock.now_ms(),
    };
    let state = &mut *cluster.fe.lock();
    if !target.is_current(state) {
        return Err(TxnError::User(PLAN_OUTDATED.to_owned()));
    }
    let outcome = begin(state, request)?;
    Ok(Load { db_id: target.db_id, txn_id: outcome.txn_id, label, load_id: (hi, lo) })
}

/// Commits what was written and waits for it to become visible.
pub async fn commit(
    cluster: &Arc<ClusterInner>,
    load: &Load,
    writes: Vec<(i64, i64)>,
) -> Result<CommitOutcome, TxnError> {
    let request =
        CommitTxn { db_id: load.db_id, txn_id: load.txn_id, writes, sub_txns: None, only_commit: false };
    let outcome = commit_and_publish(cluster, request, VISIBLE_WAIT).await;
    if let Err(error) = &outcome {
        abort(cluster, load, &error.detail());
    }
    outcome
}

/// Gives the transaction up. It may be gone already, which is as good.
pub fn abort(cluster: &ClusterInner, load: &Load, reason: &str) {
    if let Err(error) = abort_and_clear(cluster, load.db_id, load.txn_id, reason) {
        tracing::debug!(txn = load.txn_id, %error, "nothing to abort");
    }
}

/// The state that INSERT reports.
pub fn status_name(outcome: CommitOutcome) -> &'static str {
    match outcome {
        CommitOutcome::Visible => "VISIBLE",
        CommitOutcome::Committed | CommitOutcome::PublishTimeout => "COMMITTED",
    }
}

/// A transaction error as a statement reports it.
pub fn sql_error(error: &TxnError) -> SqlError {
    SqlError::general(error.detail())
}

/// Opens a transaction, stages with `stage` and commits; an error of `stage` aborts. In a session with an
/// explicit transaction it only stages, as one more statement of that. Also gives the state to report.
pub async fn run(
    cluster: &Arc<ClusterInner>,
    session: &mut Session,
    target: &LoadTarget,
    label: Option<String>,
    stage: impl FnOnce(&Load) -> SqlResult<Vec<(i64, i64)>>,
) -> SqlResult<(Load, &'static str)> {
    if let Some(explicit) = &mut session.transaction {
        return Ok((transaction::stage(cluster, explicit, target, stage)?, "PREPARE"));
    }
    let load = open(cluster, target, label, None).map_err(|error| sql_error(&error))?;
    let writes = match stage(&load) {
        Ok(writes) => writes,
        Err(error) => {
            abort(cluster, &load, &error.message);
            return Err(error);
        }
    };
    let outcome = commit(cluster, &load, writes).await.map_err(|error| sql_error(&error))?;
    Ok((load, status_name(outcome)))
}
