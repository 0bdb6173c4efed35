//! Binlogs of the frontends.

use crate::state::FeState;

/// The type of a binlog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BinlogType {
    Upsert,
}

#[derive(Debug, Default)]
pub struct BinlogStore {}

/// Appends one binlog to every list that keeps it.
pub fn append(
    state: &mut FeState,
    seq: i64,
    now_ms: i64,
    binlog_type: BinlogType,
    db_id: i64,
    table_ids: &[i64],
    data: String,
) {
    let _ = (state, seq, now_ms, binlog_type, db_id, table_ids, data);
}
