//! Publish: the backends turn staged rowsets into versions, then the catalogue shows them, per partition
//! in version order.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::commit::required_replicas;
use super::{PartitionCommit, Txn, TxnStatus, upsert};
use crate::be::Backend;
use crate::catalog_ops::olap_table;
use crate::cluster::ClusterInner;
use crate::fault::debug_points::STOP_PUBLISH;
use crate::fault::{FaultAction, NodeId, PUBLISH};
use crate::model::{OlapTable, Partition, Table};
use crate::state::FeState;

/// The backends that answer.
type Alive = BTreeMap<i64, Arc<Backend>>;

/// (transaction or sub-transaction, tablet, backend).
type Published = HashSet<(i64, i64, i64)>;

/// Publishes the transaction if it is its turn, and after it those that waited for its versions.
pub(super) fn publish_ready(
    cluster: &ClusterInner,
    state: &mut FeState,
    db_id: i64,
    txn_id: i64,
    now_ms: i64,
) -> bool {
    if cluster.is_paused(STOP_PUBLISH, "") {
        return false;
    }
    let alive = alive_backends(cluster);
    let mut ready = vec![txn_id];
    let mut any = false;
    while let Some(id) = ready.pop() {
        if let Some(made) = publish_one(cluster, &alive, state, db_id, id, now_ms) {
            any = true;
            let Some(db) = state.txns.databases.get(&db_id) else { break };
            let next = |made: &PartitionCommit| {
                db.pending_versions.get(&(made.partition_id, made.version + 1)).copied()
            };
            ready.extend(made.iter().filter_map(next));
        }
    }
    any
}

pub(super) fn alive_backends(cluster: &ClusterInner) -> Alive {
    let backends = cluster.backends.read();
    let nodes = cluster.backend_nodes.read();
    backends
        .iter()
        .filter(|(id, _)| nodes.get(id).is_some_and(|node| node.alive))
        .map(|(id, backend)| (*id, Arc::clone(backend)))
        .collect()
}

/// Tries one COMMITTED transaction; the versions it made visible, if it did.
fn publish_one(
    cluster: &ClusterInner,
    alive: &Alive,
    state: &mut FeState,
    db_id: i64,
    txn_id: i64,
    now_ms: i64,
) -> Option<Vec<PartitionCommit>> {
    let running = &mut state.txns.databases.get_mut(&db_id)?.running;
    let txn = running.get(&txn_id)?;
    if txn.status != TxnStatus::Committed || txn.publish_after > now_ms {
        return None;
    }
    // Taken out while the catalogue is changed on its behalf.
    let mut txn = running.remove(&txn_id)?;
    let done = is_next(state, &txn) && publish_replicas(cluster, alive, state, &mut txn, now_ms);
    if !done {
        state.txns.databases.get_mut(&db_id)?.running.insert(txn_id, txn);
        return None;
    }
    make_visible(state, &txn, now_ms);
    txn.status = TxnStatus::Visible;
    txn.finish_time = now_ms;
    upsert::journal_visible(state, &txn, now_ms);
    let versions = txn.versions.clone();
    let db = state.txns.databases.get_mut(&db_id)?;
    db.committed.remove(&txn_id);
    for made in &versions {
        db.pending_versions.remove(&(made.partition_id, made.version));
    }
    for table_id in &txn.table_ids {
        if let Some(count) = db.committed_per_table.get_mut(table_id) {
            *count -= 1;
            if *count == 0 {
                db.committed_per_table.remove(table_id);
            }
        }
    }
    db.finish(txn);
    Some(versions)
}

fn partition<'a>(state: &'a FeState, db_id: i64, made: &PartitionCommit) -> Option<&'a Partition> {
    olap_table(state, db_id, made.table_id)?.any_partition(made.partition_id)
}

/// Whether all earlier versions of its partitions are visible. Partitions dropped since do not count.
fn is_next(state: &FeState, txn: &Txn) -> bool {
    txn.versions.iter().all(|made| {
        let Some(partition) = partition(state, txn.db_id, made) else { return true };
        let own_before = txn
            .versions
            .iter()
            .filter(|other| other.partition_id == made.partition_id && other.version < made.version)
            .count();
        let own_before = i64::try_from(own_before).unwrap_or(0);
        partition.visible_version + 1 + own_before >= made.version
    })
}

/// Asks the backends; tells whether a quorum of every tablet has all versions.
fn publish_replicas(
    cluster: &ClusterInner,
    alive: &Alive,
    state: &FeState,
    txn: &mut Txn,
    now_ms: i64,
) -> bool {
    let mut published = std::mem::take(&mut txn.published);
    let mut complete = true;
    let answering = answering(cluster, alive, state, txn, now_ms);
    for made in &txn.versions {
        let Some(table) = olap_table(state, txn.db_id, made.table_id) else { continue };
        let Some(partition) = table.any_partition(made.partition_id) else { continue };
        publish_partition(&answering, partition, made, &mut published);
        complete &= has_quorum(table, partition, made, &published);
    }
    txn.published = published;
    complete
}

/// The backends that no fault keeps from publishing the transaction now. The rules are asked once per attempt
/// and backend, and no more once a delay has begun.
fn answering(cluster: &ClusterInner, alive: &Alive, state: &FeState, txn: &mut Txn, now_ms: i64) -> Alive {
    if !cluster.faults.is_armed() && txn.slow.is_empty() {
        return alive.clone();
    }
    let concerned = backends_of(state, txn);
    let db = state.databases.get(&txn.db_id);
    let tables = txn.table_ids.iter().filter_map(|id| Some(db?.tables.get(id)?.name()));
    let detail = format!(
        "{} {} {} {}",
        db.map_or("", |db| db.name.as_str()),
        tables.collect::<Vec<_>>().join(" "),
        txn.label,
        txn.id
    );
    let mut answering = alive.clone();
    answering.retain(|id, _| {
        if !concerned.contains(id) {
            return true;
        }
        if let Some(until) = txn.slow.get(id) {
            return *until <= now_ms;
        }
        let (wait, action) = cluster.faults.at_once(NodeId::Be(*id), PUBLISH, || detail.clone());
        if !wait.is_zero() {
            let wait_ms = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
            txn.slow.insert(*id, now_ms.saturating_add(wait_ms));
            return false;
        }
        action == FaultAction::Proceed
    });
    answering
}

/// Where the replicas are that the transaction has to publish.
fn backends_of(state: &FeState, txn: &Txn) -> HashSet<i64> {
    let partitions = txn.versions.iter().filter_map(|made| partition(state, txn.db_id, made));
    let replicas = partitions.flat_map(Partition::tablets).flat_map(|tablet| &tablet.replicas);
    replicas.map(|replica| replica.backend_id).collect()
}

fn publish_partition(
    alive: &Alive,
    partition: &Partition,
    made: &PartitionCommit,
    published: &mut Published,
) {
    let mut by_backend: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for tablet in made.index_ids.iter().filter_map(|id| partition.indexes.get(id)).flat_map(|i| &i.tablets) {
        for replica in &tablet.replicas {
            let is_done = published.contains(&(made.sub_txn_id, tablet.id, replica.backend_id));
            // A replica that misses an earlier version cannot take this one.
            if replica.last_failed_version < 0 && !is_done {
                by_backend.entry(replica.backend_id).or_default().push(tablet.id);
            }
        }
    }
    for (backend_id, tablets) in by_backend {
        let Some(backend) = alive.get(&backend_id) else { continue };
        if backend.publish(made.sub_txn_id, made.partition_id, made.version, &tablets).is_ok() {
            published.extend(tablets.iter().map(|tablet| (made.sub_txn_id, *tablet, backend_id)));
            continue;
        }
        // One tablet without a rowset must not stop the others of its backend.
        for tablet in tablets {
            match backend.publish(made.sub_txn_id, made.partition_id, made.version, &[tablet]) {
                Ok(()) => {
                    published.insert((made.sub_txn_id, tablet, backend_id));
                }
                Err(error) => {
                    tracing::debug!(tablet, backend_id, version = made.version, %error, "publish failed");
                }
            }
        }
    }
}

fn has_quorum(
    table: &OlapTable,
    partition: &Partition,
    made: &PartitionCommit,
    published: &Published,
) -> bool {
    made.index_ids.iter().filter_map(|id| partition.indexes.get(id)).flat_map(|index| &index.tablets).all(
        |tablet| {
            let done = tablet
                .replicas
                .iter()
                .filter(|replica| published.contains(&(made.sub_txn_id, tablet.id, replica.backend_id)));
            done.count() >= required_replicas(table, partition, tablet)
        },
    )
}

/// Moves the partitions on and notes which replicas have followed.
fn make_visible(state: &mut FeState, txn: &Txn, now_ms: i64) {
    let Some(db) = state.databases.get_mut(&txn.db_id) else { return };
    for made in &txn.versions {
        let Some(table) = db.tables.get_mut(&made.table_id).and_then(Table::as_olap_mut) else { continue };
        let Some(partition) = table.any_partition_mut(made.partition_id) else { continue };
        partition.visible_version = partition.visible_version.max(made.version);
        partition.visible_version_time = now_ms;
        for index_id in &made.index_ids {
            let Some(index) = partition.indexes.get_mut(index_id) else { continue };
            for tablet in &mut index.tablets {
                for replica in &mut tablet.replicas {
                    if txn.published.contains(&(made.sub_txn_id, tablet.id, replica.backend_id)) {
                        replica.version = replica.version.max(made.version);
                    } else {
                        if replica.last_failed_version < 0 {
                            replica.last_failed_version = made.version;
                        }
                        state.txns.lagging.insert((tablet.id, replica.backend_id));
                    }
                }
            }
        }
    }
}
