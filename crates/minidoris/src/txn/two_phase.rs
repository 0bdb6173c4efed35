//! Loads in two phases: PRECOMMITTED keeps what was written until somebody commits or aborts it.

use std::sync::Arc;
use std::time::Duration;

use super::commit::{CommitOutcome, CommitTxn, check_commit, commit_and_publish};
use super::{TxnError, TxnStatus, abort_and_clear};
use crate::cluster::ClusterInner;

/// `stream_load_default_precommit_timeout_second`.
const PRECOMMIT_TIMEOUT_MS: i64 = 3_600_000;

/// PREPARE to PRECOMMITTED: checked as a commit is, without versions.
pub fn precommit(cluster: &ClusterInner, request: CommitTxn) -> Result<(), TxnError> {
    let now_ms = cluster.clock.now_ms();
    let state = &mut *cluster.fe.lock();
    let (db_id, txn_id) = (request.db_id, request.txn_id);
    let txn = state.txns.get(db_id, txn_id).ok_or_else(|| TxnError::not_found(txn_id))?;
    if txn.status != TxnStatus::Prepare {
        return Err(TxnError::user(format!("transaction [{txn_id}] is already {}", txn.status.name())));
    }
    check_commit(state, txn, &request)?;
    let old_deadline = txn.prepare_time.saturating_add(txn.timeout_ms);
    let db = state.txns.databases.get_mut(&db_id).expect("the transaction was found in it");
    let txn = db.running.get_mut(&txn_id).expect("a PREPARE transaction is running");
    txn.status = TxnStatus::Precommitted;
    txn.precommit_time = now_ms;
    txn.precommitted = request.writes;
    // From now on it has as long as this.
    txn.timeout_ms = now_ms.saturating_sub(txn.prepare_time).saturating_add(PRECOMMIT_TIMEOUT_MS);
    db.precommitted.insert(txn_id);
    db.deadlines.remove(&(old_deadline, txn_id));
    db.deadlines.insert((txn.prepare_time.saturating_add(txn.timeout_ms), txn_id));
    state.journal();
    Ok(())
}

/// Commits what was precommitted, and waits for it to become visible.
pub async fn commit_precommitted(
    cluster: &Arc<ClusterInner>,
    db_id: i64,
    txn_id: i64,
    wait: Duration,
) -> Result<CommitOutcome, TxnError> {
    let writes = {
        let state = cluster.fe.lock();
        let txn = state.txns.get(db_id, txn_id).ok_or_else(|| TxnError::not_found(txn_id))?;
        let is_already =
            |what: &str| Err(TxnError::user(format!("transaction [{txn_id}] is {what}, not pre-committed.")));
        match txn.status {
            TxnStatus::Precommitted => txn.precommitted.clone(),
            TxnStatus::Prepare => return is_already("prepare"),
            TxnStatus::Committed => return is_already("already committed"),
            TxnStatus::Visible => return is_already("already visible"),
            TxnStatus::Aborted => {
                return Err(TxnError::user(format!(
                    "transaction [{txn_id}] is already aborted. abort reason: {}",
                    txn.reason
                )));
            }
        }
    };
    let request = CommitTxn { db_id, txn_id, writes, ..CommitTxn::default() };
    commit_and_publish(cluster, request, wait).await
}

/// Aborts what was precommitted, or is still being written.
pub fn abort_precommitted(cluster: &ClusterInner, db_id: i64, txn_id: i64) -> Result<(), TxnError> {
    let ended = {
        let state = cluster.fe.lock();
        let txn = state.txns.get(db_id, txn_id).ok_or_else(|| TxnError::not_found(txn_id))?;
        match txn.status {
            TxnStatus::Prepare | TxnStatus::Precommitted => None,
            TxnStatus::Committed | TxnStatus::Visible | TxnStatus::Aborted => Some(txn.status.name()),
        }
    };
    match ended {
        Some(name) => Err(TxnError::user(format!(
            "transaction [{txn_id}] is already {}, could not abort.",
            name.to_lowercase()
        ))),
        None => abort_and_clear(cluster, db_id, txn_id, "User Abort"),
    }
}
