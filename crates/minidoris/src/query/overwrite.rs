//! INSERT OVERWRITE: rows go to temporary twins of the partitions, which then take their places.

use std::sync::Arc;

use super::insert::load_rows;
use super::target::{LoadTarget, PartitionChoice, choose, olap_table};
use crate::catalog_ops;
use crate::cluster::ClusterInner;
use crate::data::Value;
use crate::error::{SqlError, SqlResult};
use crate::exec::partition;
use crate::exec::replace::{self, ReplaceOptions};
use crate::session::{Answer, Session};

/// Replaces the rows of the target's partitions.
pub async fn overwrite(
    cluster: &Arc<ClusterInner>,
    session: &mut Session,
    target: LoadTarget,
    rows: &[Vec<Value>],
    label: Option<String>,
) -> SqlResult<Answer> {
    if session.transaction.is_some() {
        return Err(SqlError::general("insert overwrite is not supported in a transaction"));
    }
    let (names, temp_names) = make_twins(cluster, &target)?;
    let choice = PartitionChoice { names: temp_names.clone(), temporary: true };
    let twins = LoadTarget::plan(cluster, &target.db, &target.table, choice);
    let loaded = match twins {
        Ok(twins) => load_rows(cluster, session, twins, rows, false, label).await,
        Err(error) => Err(error),
    };
    let ids = (target.db_id, target.table_id);
    let mut state = cluster.fe.lock();
    target.check_exists(&state)?;
    let replaced = loaded.and_then(|answer| {
        let options = ReplaceOptions { strict_range: true, use_temp_partition_name: false, force: true };
        replace::partitions(cluster, &mut state, ids, &names, &temp_names, options).map(|()| answer)
    });
    if replaced.is_err() {
        for name in &temp_names {
            // They are in the way of the next attempt only by their data; the first error matters more.
            let _ = partition::drop(cluster, &mut state, ids, true, true, name, true);
        }
    }
    drop(state);
    cluster.changed.notify_waiters();
    replaced
}

/// Makes an empty temporary partition beside each partition, with the same range or list.
fn make_twins(cluster: &ClusterInner, target: &LoadTarget) -> SqlResult<(Vec<String>, Vec<String>)> {
    let mut state = cluster.fe.lock();
    let (db_id, table) = olap_table(&state, &target.db, &target.table)?;
    let shell = table.without_partitions();
    let old: Vec<_> = choose(table, &target.choice)?
        .into_iter()
        .map(|partition| (partition.name.clone(), partition.item.clone(), partition.distribution.clone()))
        .collect();
    let salt: u64 = rand::random();
    let mut temp_names = Vec::new();
    for (name, item, distribution) in &old {
        let temp_name = format!("iot_temp_{salt:016x}_{name}");
        let twin = catalog_ops::new_partition(
            cluster,
            &mut state,
            &shell,
            db_id,
            &temp_name,
            item.clone(),
            distribution.clone(),
        )?;
        partition::insert(cluster, &mut state, (db_id, target.table_id), twin, true);
        temp_names.push(temp_name);
    }
    Ok((old.into_iter().map(|(name, _, _)| name).collect(), temp_names))
}
