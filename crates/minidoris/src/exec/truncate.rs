//! TRUNCATE TABLE: every partition gives way to an empty one of the same name, range and buckets.

use std::collections::BTreeMap;

use doris_types::record::{BinlogType, TruncateTableRecord, html_safe_json};

use super::{context, partition};
use crate::catalog_ops;
use crate::cluster::ClusterInner;
use crate::error::{SqlError, SqlResult};
use crate::model::{OlapTable, Partition};
use crate::session::Session;
use crate::sql::Truncate;
use crate::state::FeState;

pub fn run(
    cluster: &ClusterInner,
    state: &mut FeState,
    session: &Session,
    truncate: &Truncate,
) -> SqlResult<()> {
    let ids = context::olap_ids(state, session, &truncate.table)?;
    let (db_id, table_id) = ids;
    let table = context::olap(state, db_id, table_id);
    context::check_own(session, table)?;
    context::check_normal(table)?;
    let old = chosen(table, truncate.partitions.as_deref())?;
    let (table_name, shell) = (table.name.clone(), table.without_partitions());
    // All new partitions exist before the first old one goes.
    let mut new = Vec::with_capacity(old.len());
    for partition in &old {
        let mut shell = shell.without_partitions();
        shell.replication_num = partition.replication_num;
        let mut fresh = catalog_ops::new_partition(
            cluster,
            state,
            &shell,
            db_id,
            &partition.name,
            partition.item.clone(),
            partition.distribution.clone(),
        )?;
        fresh.storage_medium.clone_from(&partition.storage_medium);
        fresh.storage_policy.clone_from(&partition.storage_policy);
        new.push(fresh);
    }
    let partitions = &mut context::olap_mut(state, db_id, table_id).partitions;
    let mut op = BTreeMap::new();
    for fresh in new {
        partitions.insert(fresh.id, fresh);
    }
    for partition in &old {
        partitions.remove(&partition.id);
        op.insert(partition.id, partition.name.clone());
    }
    for partition in old {
        partition::discard(cluster, state, ids, partition, truncate.force);
    }
    let record = TruncateTableRecord {
        db_id,
        db: state.databases[&db_id].name.clone(),
        table_id,
        table: table_name,
        is_entire_table: truncate.partitions.is_none(),
        raw_sql: raw_sql(truncate),
        op,
    };
    let now = cluster.clock.now_ms();
    state.journal_binlog(now, BinlogType::TRUNCATE_TABLE, db_id, &[table_id], |_| html_safe_json(&record));
    Ok(())
}

fn chosen(table: &OlapTable, names: Option<&[String]>) -> SqlResult<Vec<Partition>> {
    let Some(names) = names else {
        return Ok(table.partitions.values().cloned().collect());
    };
    names
        .iter()
        .map(|name| {
            table
                .partitions
                .values()
                .find(|partition| partition.name.eq_ignore_ascii_case(name))
                .cloned()
                .ok_or_else(|| SqlError::general(format!("Partition {name} does not exist")))
        })
        .collect()
}

/// What follows the table's name.
fn raw_sql(truncate: &Truncate) -> String {
    let force = if truncate.force { " FORCE" } else { "" };
    match &truncate.partitions {
        None => force.to_owned(),
        Some(names) => format!("PARTITIONS ({}){force}", names.join(", ")),
    }
}
