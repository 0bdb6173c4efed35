//! DROP ROLLUP and DROP MATERIALIZED VIEW.

use doris_types::record::{BinlogType, DropRollupRecord, html_safe_json};

use super::context;
use crate::catalog_ops;
use crate::cluster::ClusterInner;
use crate::error::{SqlError, SqlResult};
use crate::state::FeState;

/// Several rollups of one statement share a journal entry, so only the first reaches the binlog lists.
pub fn drop(
    cluster: &ClusterInner,
    state: &mut FeState,
    ids: (i64, i64),
    names: &[String],
    if_exists: bool,
) -> SqlResult<()> {
    let (db_id, table_id) = ids;
    let table = context::olap(state, db_id, table_id);
    let mut dropped = Vec::with_capacity(names.len());
    for name in names {
        let index =
            table.indexes.values().find(|index| index.name == *name && index.id != table.base_index_id);
        match index {
            Some(index) => dropped.push((index.id, index.name.clone())),
            None if if_exists => {}
            None => {
                return Err(SqlError::general(format!(
                    "Materialized view [{name}] does not exist in table [{}]",
                    table.name
                )));
            }
        }
    }
    if dropped.is_empty() {
        return Ok(());
    }
    let table_name = table.name.clone();
    let table = context::olap_mut(state, db_id, table_id);
    let mut tablets = Vec::new();
    for (id, _) in &dropped {
        table.indexes.shift_remove(id);
        for partition in table.partitions.values_mut().chain(table.temp_partitions.values_mut()) {
            tablets.extend(partition.indexes.shift_remove(id));
        }
    }
    for index in tablets {
        catalog_ops::drop_index_tablets(cluster, &index);
        for tablet in &index.tablets {
            state.txns.tablets.remove(tablet.id);
        }
    }
    let now = cluster.clock.now_ms();
    let seq = state.journal();
    let db_name = state.databases[&db_id].name.clone();
    for (index_id, index_name) in dropped {
        let record = DropRollupRecord {
            catalog: "internal".to_owned(),
            db: Some(db_name.clone()),
            db_id,
            table_id,
            table_name: table_name.clone(),
            index_id,
            index_name,
            is_view: false,
            force_drop: false,
            recycle_time: 0,
        };
        crate::binlog::append(
            state,
            seq,
            now,
            BinlogType::DROP_ROLLUP,
            db_id,
            &[table_id],
            html_safe_json(&record),
        );
    }
    Ok(())
}
