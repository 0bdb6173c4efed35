//! Statements that join an open transaction one by one, each under an id of its own.

use super::{TxnError, TxnStatus};
use crate::state::FeState;

/// Adds a statement that writes `index_ids` of a table to a PREPARE transaction, and gives the id under which
/// its rows are staged. The first plan of a table counts for all of its statements.
pub fn add_sub_txn(
    state: &mut FeState,
    db_id: i64,
    txn_id: i64,
    table_id: i64,
    index_ids: Vec<i64>,
) -> Result<i64, TxnError> {
    let manager = &mut state.txns;
    let Some(db) = manager.databases.get_mut(&db_id) else { return Err(TxnError::not_found(txn_id)) };
    let Some(txn) = db.running.get_mut(&txn_id) else {
        return Err(match db.finished.get(&txn_id) {
            Some(txn) => TxnError::user(format!(
                "transaction [{txn_id}] is already {}. abort reason: {}",
                txn.status.name(),
                txn.reason
            )),
            None => TxnError::not_found(txn_id),
        });
    };
    if txn.status != TxnStatus::Prepare {
        return Err(TxnError::user(format!("transaction [{txn_id}] is already {}", txn.status.name())));
    }
    let id = manager.next_id;
    manager.next_id += 1;
    txn.sub_txn_ids.push(id);
    if !txn.table_ids.contains(&table_id) {
        txn.table_ids.push(table_id);
    }
    if let Some(planned) = &mut txn.planned_indexes {
        planned.entry(table_id).or_insert(index_ids);
    }
    Ok(id)
}
