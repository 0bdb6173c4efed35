//! The UPSERT binlog of a transaction that became visible.

use std::collections::BTreeMap;

use doris_types::record::{PartitionRecord, TableRecord, UpsertRecord};

use super::Txn;
use crate::binlog::{BinlogType, append_with_indexes, html_safe_json};
use crate::catalog_ops::olap_table;
use crate::model::{OlapTable, Partition, Table};
use crate::state::FeState;

/// Journals the transaction's end. The tables of the binlog are those that got a version, so an empty
/// commit concerns none.
pub(super) fn journal_visible(state: &mut FeState, txn: &Txn, now_ms: i64) {
    if !state.config_flag("enable_feature_binlog") {
        state.journal();
        return;
    }
    let table_records = table_records(state, txn);
    let table_ids: Vec<i64> = table_records.keys().copied().collect();
    let indexes = indexes_now(state, txn.db_id, &table_ids);
    let seq = state.journal();
    let data = html_safe_json(&UpsertRecord {
        commit_seq: seq,
        txn_id: txn.id,
        time_stamp: now_ms,
        label: txn.label.to_string(),
        db_id: txn.db_id,
        table_records,
        stids: txn.sub_txn_ids.clone(),
    });
    append_with_indexes(state, seq, now_ms, BinlogType::UPSERT, txn.db_id, &table_ids, data, indexes);
}

/// All indexes of the tables, shadow ones included.
fn indexes_now(state: &FeState, db_id: i64, table_ids: &[i64]) -> Vec<(i64, Vec<i64>)> {
    let indexes = |id: &i64| Some((*id, olap_table(state, db_id, *id)?.indexes.keys().copied().collect()));
    table_ids.iter().filter_map(indexes).collect()
}

fn table_records(state: &FeState, txn: &Txn) -> BTreeMap<i64, TableRecord> {
    let mut records: BTreeMap<i64, TableRecord> = BTreeMap::new();
    let Some(db) = state.databases.get(&txn.db_id) else { return records };
    for made in &txn.versions {
        let Some(table) = db.tables.get(&made.table_id).and_then(Table::as_olap) else { continue };
        let Some(partition) = table.any_partition(made.partition_id) else { continue };
        let record = records.entry(made.table_id).or_insert_with(|| TableRecord {
            index_ids: txn.planned_indexes.as_ref().and_then(|planned| planned.get(&made.table_id)).cloned(),
            ..TableRecord::default()
        });
        record.partition_records.push(PartitionRecord {
            partition_id: made.partition_id,
            range: partition_identity(table, partition),
            version: made.version,
            is_temp_partition: table.temp_partitions.contains_key(&made.partition_id),
            stid: if txn.sub_txn_ids.is_empty() { -1 } else { made.sub_txn_id },
        });
    }
    records
}

/// The frozen text that names a partition across clusters.
pub fn partition_identity(table: &OlapTable, partition: &Partition) -> String {
    partition.item.identity(&table.partition_scheme, table.columns())
}
