//! Giving up transactions.

use super::{Coordinator, Txn, TxnError, TxnStatus};
use crate::cluster::ClusterInner;
use crate::state::FeState;

/// Aborts a PREPARE transaction. Final transactions are "not found" here, whatever they became: the
/// frontend looks among the running ones only.
pub fn abort(
    state: &mut FeState,
    db_id: i64,
    txn_id: i64,
    reason: &str,
    now_ms: i64,
) -> Result<Vec<i64>, TxnError> {
    let Some(db) = state.txns.databases.get_mut(&db_id) else { return Err(TxnError::not_found(txn_id)) };
    let Some(txn) = db.running.get(&txn_id) else {
        return Err(match db.finished.contains_key(&txn_id) {
            true => TxnError::user("transaction not found"),
            false => TxnError::not_found(txn_id),
        });
    };
    if let Some(db_catalogue) = state.databases.get(&db_id)
        && let Some(missing) = txn.table_ids.iter().find(|id| !db_catalogue.tables.contains_key(id))
    {
        return Err(TxnError::table_not_found(*missing));
    }
    if txn.status == TxnStatus::Committed {
        return Err(TxnError::user(format!("transaction [{txn_id}] is already COMMITTED, could not abort.")));
    }
    let reason = if reason.is_empty() { "system cancel" } else { reason };
    let ids = abort_prepared(state, db_id, txn_id, reason, now_ms);
    Ok(ids)
}

/// [`abort`], then lets the backends drop what was staged.
pub fn abort_and_clear(
    cluster: &ClusterInner,
    db_id: i64,
    txn_id: i64,
    reason: &str,
) -> Result<(), TxnError> {
    let now_ms = cluster.clock.now_ms();
    let staged = abort(&mut cluster.fe.lock(), db_id, txn_id, reason, now_ms)?;
    clear_staged(cluster, &staged);
    Ok(())
}

/// Aborts the PREPARE transactions that a backend process at `host` coordinated; id 0 matches any.
/// For when that backend goes down or restarts.
pub fn abort_by_coordinator(cluster: &ClusterInner, backend_id: i64, host: &str) {
    let now_ms = cluster.clock.now_ms();
    let mut staged = Vec::new();
    {
        let mut state = cluster.fe.lock();
        let is_lost = |txn: &Txn| {
            txn.status == TxnStatus::Prepare
                && matches!(&txn.coordinator, Coordinator::Backend { id, host: at }
                    if at == host && (*id == 0 || *id == backend_id))
        };
        let lost: Vec<(i64, i64)> = state
            .txns
            .databases
            .values()
            .flat_map(|db| db.running.values())
            .filter(|txn| is_lost(txn))
            .map(|txn| (txn.db_id, txn.id))
            .collect();
        for (db_id, txn_id) in lost {
            staged.extend(abort_prepared(&mut state, db_id, txn_id, "coordinate BE is down", now_ms));
        }
    }
    clear_staged(cluster, &staged);
}

/// Moves a running transaction to ABORTED and returns the ids under which backends staged rowsets.
pub(super) fn abort_prepared(
    state: &mut FeState,
    db_id: i64,
    txn_id: i64,
    reason: &str,
    now_ms: i64,
) -> Vec<i64> {
    let Some(db) = state.txns.databases.get_mut(&db_id) else { return Vec::new() };
    let Some(mut txn) = db.running.remove(&txn_id) else { return Vec::new() };
    db.deadlines.remove(&(txn.prepare_time.saturating_add(txn.timeout_ms), txn_id));
    db.precommitted.remove(&txn_id);
    txn.status = TxnStatus::Aborted;
    txn.reason = reason.to_owned();
    txn.finish_time = now_ms;
    let mut staged = vec![txn_id];
    staged.extend(txn.sub_txn_ids.iter().filter(|id| **id != txn_id));
    db.finish(txn);
    state.journal();
    staged
}

/// Lets the backends drop what was staged under these ids.
pub fn clear_staged(cluster: &ClusterInner, txn_ids: &[i64]) {
    if txn_ids.is_empty() {
        return;
    }
    let backends: Vec<_> = cluster.backends.read().values().cloned().collect();
    for backend in backends {
        for txn_id in txn_ids {
            backend.abort(*txn_id);
        }
    }
}
