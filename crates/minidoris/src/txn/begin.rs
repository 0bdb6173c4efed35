//! Opening transactions.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::{Coordinator, Txn, TxnError, TxnStatus};
use crate::state::FeState;

const MAX_LABEL: usize = 128;
/// More than any transaction has statements; their ids are taken at once.
const MAX_SUB_TXNS: i64 = 10_000;

/// What a load asks for.
#[derive(Debug, Clone)]
pub struct BeginTxn {
    pub db_id: i64,
    pub table_ids: Vec<i64>,
    pub label: String,
    /// A repeat of the same request gets the same transaction.
    pub request_id: Option<(i64, i64)>,
    pub timeout_s: Option<i64>,
    pub coordinator: Coordinator,
    /// Table id to index ids, for loads planned by the frontend; `None` through the RPC.
    pub planned_indexes: Option<BTreeMap<i64, Vec<i64>>>,
    pub sub_txn_num: i64,
    /// Cluster time.
    pub now_ms: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BeginOutcome {
    pub txn_id: i64,
    pub sub_txn_ids: Vec<i64>,
    /// The request was a repeat of the one that opened it.
    pub repeated: bool,
}

/// Opens a transaction in PREPARE. Takes no journal id.
pub fn begin(state: &mut FeState, request: BeginTxn) -> Result<BeginOutcome, TxnError> {
    check_label(&request.label)?;
    let quota = state.databases.get(&request.db_id).and_then(|db| db.transaction_quota);
    let manager = &mut state.txns;
    let max_running = quota.map_or(manager.max_running, |quota| usize::try_from(quota).unwrap_or_default());
    let max_publishing = manager.max_publishing_per_table;
    let (next_id, default_timeout_s) = (manager.next_id, manager.default_timeout_s);
    let db = manager.databases.entry(request.db_id).or_default();

    if let Some(existing) = db.labels.get(request.label.as_str()).and_then(|ids| ids.last())
        && let Some(txn) = db.running.get(existing).or_else(|| db.finished.get(existing))
        && txn.status != TxnStatus::Aborted
    {
        let is_repeat = txn.status == TxnStatus::Prepare
            && request.request_id.is_some()
            && txn.request_id == request.request_id;
        if is_repeat {
            return Ok(BeginOutcome { txn_id: txn.id, sub_txn_ids: txn.sub_txn_ids.clone(), repeated: true });
        }
        return Err(TxnError::LabelUsed { label: request.label, txn_id: txn.id, status: txn.status });
    }
    let running = db.running.len();
    if running >= max_running {
        return Err(TxnError::user(format!(
            "current running txns on db {} is {running}, larger than limit {max_running}",
            request.db_id
        )));
    }
    for table_id in &request.table_ids {
        let committed = db.committed_per_table.get(table_id).copied().unwrap_or(0);
        if committed >= max_publishing {
            return Err(TxnError::user(format!(
                "current committed txns on table {table_id} is {committed}, larger than limit {max_publishing}"
            )));
        }
    }

    let sub_txns = request.sub_txn_num.max(0);
    if sub_txns > MAX_SUB_TXNS {
        return Err(TxnError::user(format!("sub_txn_num {sub_txns} is larger than limit {MAX_SUB_TXNS}")));
    }
    let id = next_id;
    let sub_txn_ids: Vec<i64> = (0..sub_txns).map(|offset| id + offset).collect();
    let timeout_s = request.timeout_s.filter(|seconds| *seconds > 0).unwrap_or(default_timeout_s);
    let timeout_ms = timeout_s.saturating_mul(1000);
    let label: Arc<str> = request.label.into();
    db.labels.entry(Arc::clone(&label)).or_default().push(id);
    db.deadlines.insert((request.now_ms.saturating_add(timeout_ms), id));
    db.running.insert(
        id,
        Txn {
            id,
            db_id: request.db_id,
            label,
            request_id: request.request_id,
            table_ids: request.table_ids,
            status: TxnStatus::Prepare,
            coordinator: request.coordinator,
            prepare_time: request.now_ms,
            precommit_time: 0,
            commit_time: 0,
            finish_time: 0,
            timeout_ms,
            reason: String::new(),
            planned_indexes: request.planned_indexes,
            sub_txn_ids: sub_txn_ids.clone(),
            versions: Vec::new(),
            precommitted: Vec::new(),
            publish_after: 0,
            published: HashSet::new(),
            slow: BTreeMap::new(),
        },
    );
    manager.next_id = id + sub_txns.max(1);
    Ok(BeginOutcome { txn_id: id, sub_txn_ids, repeated: false })
}

fn check_label(label: &str) -> Result<(), TxnError> {
    if label.is_empty() {
        return Err(TxnError::user("empty label in begin request"));
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b':');
    if label.len() > MAX_LABEL || !label.bytes().all(allowed) {
        return Err(TxnError::user(format!(
            "Label format error. regex: ^[-_A-Za-z0-9:]{{1,{MAX_LABEL}}}$, label: {label}"
        )));
    }
    Ok(())
}
