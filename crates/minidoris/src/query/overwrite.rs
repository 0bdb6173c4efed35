//! INSERT OVERWRITE: rows go to temporary twins of the partitions, which then take their places.

use std::sync::Arc;

use super::insert::load_rows;
use super::target::{LoadTarget, PartitionChoice, choose, olap_table};
use crate::catalog_ops;
use crate::cluster::ClusterInner;
use crate::data::Value;
use crate::error::{SqlError, SqlResult};
use crate::exec::partition_items::{NewItem, check_overlap};
use crate::exec::replace::{self, ReplaceOptions};
use crate::exec::{check_normal, partition};
use crate::model::{OlapTable, Partition};
use crate::session::{Answer, Session};
use crate::state::FeState;

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
    // Without partitions nothing is replaced, and no twin takes the rows.
    if names.is_empty() {
        return load_rows(cluster, session, target, rows, false, label).await;
    }
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
        drop_twins(cluster, &mut state, ids, &temp_names);
    }
    drop(state);
    cluster.changed.notify_waiters();
    replaced
}

/// Makes an empty temporary partition beside each partition, with the same range or list and settings.
fn make_twins(cluster: &ClusterInner, target: &LoadTarget) -> SqlResult<(Vec<String>, Vec<String>)> {
    let mut state = cluster.fe.lock();
    let (db_id, table) = olap_table(&state, &target.db, &target.table)?;
    // While there are twins no job begins.
    check_normal(table)?;
    let mut shell = table.without_partitions();
    let old: Vec<Partition> = choose(table, &target.choice)?.into_iter().cloned().collect();
    check_no_twins(table, &old)?;
    let salt: u64 = rand::random();
    let ids = (db_id, target.table_id);
    let mut temp_names = Vec::new();
    for partition in &old {
        let temp_name = format!("iot_temp_{salt:016x}_{}", partition.name);
        shell.replication_num = partition.replication_num;
        let made = catalog_ops::new_partition(
            cluster,
            &mut state,
            &shell,
            db_id,
            &temp_name,
            partition.item.clone(),
            partition.distribution.clone(),
        );
        let mut twin = match made {
            Ok(twin) => twin,
            Err(error) => {
                drop_twins(cluster, &mut state, ids, &temp_names);
                return Err(error);
            }
        };
        twin.storage_medium.clone_from(&partition.storage_medium);
        twin.storage_policy.clone_from(&partition.storage_policy);
        partition::insert(cluster, &mut state, ids, twin, true);
        temp_names.push(temp_name);
    }
    Ok((old.into_iter().map(|partition| partition.name).collect(), temp_names))
}

/// Temporary partitions exclude each other, and a twin is one.
fn check_no_twins(table: &OlapTable, old: &[Partition]) -> SqlResult<()> {
    for partition in old {
        let twin = NewItem { name: partition.name.clone(), item: partition.item.clone() };
        for other in table.temp_partitions.values() {
            check_overlap(&twin, &other.name, &other.item, &table.partition_scheme, table.columns())?;
        }
    }
    Ok(())
}

/// Takes the twins back after an error, which matters more than what goes wrong here: they are in the way of
/// nothing but changes of the table's indexes.
fn drop_twins(cluster: &ClusterInner, state: &mut FeState, ids: (i64, i64), temp_names: &[String]) {
    for name in temp_names {
        let _ = partition::drop(cluster, state, ids, true, true, name, true);
    }
}
