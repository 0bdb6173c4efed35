//! Commit: quorum per tablet, versions per partition, then publish and a bounded wait.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::{PartitionCommit, Txn, TxnError, TxnStatus, publish};
use crate::cluster::ClusterInner;
use crate::model::{OlapTable, Partition, Table, TableState, Tablet};
use crate::state::FeState;

/// (tablet id, backend id) of replicas that were written.
pub type TabletWrites = Vec<(i64, i64)>;

#[derive(Debug, Clone, Default)]
pub struct CommitTxn {
    pub db_id: i64,
    pub txn_id: i64,
    /// What the caller says was written; nobody asks the backends.
    pub writes: TabletWrites,
    /// Set for multi-statement transactions, which then ignore `writes`.
    pub sub_txns: Option<Vec<SubTxnCommit>>,
    /// Do not wait for the versions to become visible.
    pub only_commit: bool,
}

#[derive(Debug, Clone, Default)]
pub struct SubTxnCommit {
    pub sub_txn_id: i64,
    pub table_id: i64,
    pub writes: TabletWrites,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitOutcome {
    Visible,
    /// Committed without waiting.
    Committed,
    /// Committed; the versions were not visible within the wait.
    PublishTimeout,
}

/// The replicas written in one partition: tablet id to backend ids.
type PartitionWrites = HashMap<i64, Vec<i64>>;

/// Writes of one sub-transaction in one partition.
#[derive(Debug)]
pub(super) struct Touched {
    table_id: i64,
    partition_id: i64,
    sub_txn_id: i64,
    writes: PartitionWrites,
}

/// Commits and waits up to `wait` for the new versions to become visible. Repeating it is harmless.
pub async fn commit_and_publish(
    cluster: &Arc<ClusterInner>,
    txn: CommitTxn,
    wait: Duration,
) -> Result<CommitOutcome, TxnError> {
    let now_ms = cluster.clock.now_ms();
    let (db_id, txn_id, only_commit) = (txn.db_id, txn.txn_id, txn.only_commit);
    let visible = {
        let mut state = cluster.fe.lock();
        commit(&mut state, &txn, now_ms)?;
        publish::publish_ready(cluster, &mut state, db_id, txn_id, now_ms);
        is_visible(&state, db_id, txn_id)
    };
    cluster.changed.notify_waiters();
    if visible {
        return Ok(CommitOutcome::Visible);
    }
    if only_commit {
        return Ok(CommitOutcome::Committed);
    }
    let until_visible = async {
        loop {
            let changed = cluster.changed.notified();
            tokio::pin!(changed);
            // Registered before looking, so that no change in between is missed.
            changed.as_mut().enable();
            if is_visible(&cluster.fe.lock(), db_id, txn_id) {
                return;
            }
            changed.await;
        }
    };
    match tokio::time::timeout(wait, until_visible).await {
        Ok(()) => Ok(CommitOutcome::Visible),
        Err(_elapsed) => Ok(CommitOutcome::PublishTimeout),
    }
}

fn is_visible(state: &FeState, db_id: i64, txn_id: i64) -> bool {
    // One that is no longer known was visible and has been forgotten since.
    state.txns.get(db_id, txn_id).is_none_or(|txn| txn.status == TxnStatus::Visible)
}

/// PREPARE to COMMITTED. A transaction already committed or visible stays as it is.
pub(super) fn commit(state: &mut FeState, request: &CommitTxn, now_ms: i64) -> Result<(), TxnError> {
    let (db_id, txn_id) = (request.db_id, request.txn_id);
    let Some(txn) = state.txns.get(db_id, txn_id) else { return Err(TxnError::not_found(txn_id)) };
    match txn.status {
        TxnStatus::Committed | TxnStatus::Visible => return Ok(()),
        TxnStatus::Aborted => {
            return Err(TxnError::user(format!(
                "transaction [{txn_id}] is already aborted. abort reason: {}",
                txn.reason
            )));
        }
        TxnStatus::Prepare | TxnStatus::Precommitted => {}
    }
    let touched = check_commit(state, txn, request)?;
    let sub_txn_ids = request.sub_txns.as_ref().map(|sub_txns| taking_part(state, db_id, sub_txns));
    let publish_after = now_ms.saturating_add(state.txns.publish_delay_ms);
    let planned = txn.planned_indexes.clone();
    let versions = assign_versions(state, db_id, &touched, planned.as_ref());
    let db = state.txns.databases.get_mut(&db_id).expect("the transaction was found in it");
    for made in &versions {
        db.pending_versions.insert((made.partition_id, made.version), txn_id);
    }
    let txn = db.running.get_mut(&txn_id).expect("a transaction that can be committed is running");
    for table_id in &txn.table_ids {
        *db.committed_per_table.entry(*table_id).or_insert(0) += 1;
    }
    db.deadlines.remove(&(txn.prepare_time.saturating_add(txn.timeout_ms), txn_id));
    db.precommitted.remove(&txn_id);
    db.committed.insert(txn_id);
    txn.status = TxnStatus::Committed;
    txn.commit_time = now_ms;
    txn.publish_after = publish_after;
    txn.versions = versions;
    if let Some(sub_txn_ids) = sub_txn_ids {
        txn.sub_txn_ids = sub_txn_ids;
    }
    state.journal();
    Ok(())
}

/// What a commit touches; an error when it may not be committed.
pub(super) fn check_commit(
    state: &FeState,
    txn: &Txn,
    request: &CommitTxn,
) -> Result<Vec<Touched>, TxnError> {
    let touched = group_writes(state, txn, request)?;
    for one in &touched {
        check_quorum(state, txn, one)?;
    }
    Ok(touched)
}

/// The sub-transactions of a commit on tables that still exist, each once, in the order given.
fn taking_part(state: &FeState, db_id: i64, sub_txns: &[SubTxnCommit]) -> Vec<i64> {
    let mut ids = Vec::with_capacity(sub_txns.len());
    for sub in sub_txns {
        let exists = state.databases.get(&db_id).is_some_and(|db| db.tables.contains_key(&sub.table_id));
        if exists && !ids.contains(&sub.sub_txn_id) {
            ids.push(sub.sub_txn_id);
        }
    }
    ids
}

/// Sorts the written replicas by partition. Tablets that the catalogue does not know are passed over.
fn group_writes(state: &FeState, txn: &Txn, request: &CommitTxn) -> Result<Vec<Touched>, TxnError> {
    let tables = state.databases.get(&txn.db_id).map(|db| &db.tables);
    let exists = |table_id: &i64| tables.is_some_and(|tables| tables.contains_key(table_id));
    let mut touched: Vec<Touched> = Vec::new();
    let mut add = |writes: &TabletWrites, sub_txn_id: i64| {
        // Positions of this sub-transaction's partitions in `touched`.
        let mut positions: HashMap<i64, usize> = HashMap::new();
        for (tablet_id, backend_id) in writes {
            let Some(place) = state.txns.tablets.get(*tablet_id) else { continue };
            if place.db_id != txn.db_id || !exists(&place.table_id) {
                continue;
            }
            let position = *positions.entry(place.partition_id).or_insert_with(|| {
                touched.push(Touched {
                    table_id: place.table_id,
                    partition_id: place.partition_id,
                    sub_txn_id,
                    writes: HashMap::new(),
                });
                touched.len() - 1
            });
            let backends = touched[position].writes.entry(*tablet_id).or_default();
            // A pair that is named twice is one replica.
            if !backends.contains(backend_id) {
                backends.push(*backend_id);
            }
        }
    };
    match &request.sub_txns {
        // Statements on tables that are gone are passed over.
        Some(sub_txns) => {
            for sub in sub_txns.iter().filter(|sub| exists(&sub.table_id)) {
                add(&sub.writes, sub.sub_txn_id);
            }
        }
        None => {
            if let Some(missing) = txn.table_ids.iter().find(|id| !exists(id)) {
                return Err(TxnError::table_not_found(*missing));
            }
            add(&request.writes, txn.id);
        }
    }
    touched.retain(|one| find_partition(state, txn.db_id, one).is_some());
    Ok(touched)
}

fn find_partition<'a>(
    state: &'a FeState,
    db_id: i64,
    touched: &Touched,
) -> Option<(&'a OlapTable, &'a Partition)> {
    let table = state.databases.get(&db_id)?.tables.get(&touched.table_id).and_then(Table::as_olap)?;
    Some((table, table.any_partition(touched.partition_id)?))
}

/// Every tablet of every index that the load had to write has enough good replicas.
fn check_quorum(state: &FeState, txn: &Txn, touched: &Touched) -> Result<(), TxnError> {
    let Some((table, partition)) = find_partition(state, txn.db_id, touched) else { return Ok(()) };
    if table.state == TableState::Restore {
        return Err(TxnError::user(format!(
            "Table {} is in restore process. Can not load into it",
            table.name
        )));
    }
    if state.snapshots.is_restoring(partition.id) {
        return Err(TxnError::user(format!(
            "Table [{}], Partition [{}] is in restore process. Can not load into it",
            table.name, partition.name
        )));
    }
    for index_id in required_indexes(txn.planned_indexes.as_ref(), table, partition) {
        let Some(index) = partition.indexes.get(&index_id) else { continue };
        for tablet in &index.tablets {
            let required = required_replicas(table, partition, tablet);
            let written =
                touched.writes.get(&tablet.id).map_or(0, |backends| good_replicas(tablet, backends));
            if written < required {
                return Err(TxnError::user(format!(
                    "Failed to commit txn {}, cause tablet {} succ replica num {written} < load required \
                     replica num {required}. table {}, partition: [ id={}, commit version {}, visible version \
                     {} ], this tablet detail: {}",
                    txn.id,
                    tablet.id,
                    table.id,
                    partition.id,
                    partition.next_version,
                    partition.visible_version,
                    describe_replicas(tablet, touched.writes.get(&tablet.id)),
                )));
            }
        }
    }
    Ok(())
}

/// Loads through the RPC have no plan and answer for all indexes, shadow ones included.
fn required_indexes(
    planned: Option<&BTreeMap<i64, Vec<i64>>>,
    table: &OlapTable,
    partition: &Partition,
) -> Vec<i64> {
    match planned.and_then(|planned| planned.get(&table.id)) {
        Some(indexes) => indexes.iter().copied().filter(|id| partition.indexes.contains_key(id)).collect(),
        None => partition.indexes.keys().copied().collect(),
    }
}

/// The majority of the replicas that the partition should have, or the table's `min_load_replica_num`. One more
/// replica, while a tablet moves, changes nothing.
pub(super) fn required_replicas(table: &OlapTable, partition: &Partition, tablet: &Tablet) -> usize {
    let replicas = usize::from(partition.replication_num.max(1)).min(tablet.replicas.len());
    let configured = table.properties.get("min_load_replica_num").and_then(|value| value.parse::<i64>().ok());
    match configured.and_then(|number| usize::try_from(number).ok()) {
        Some(number) if number > 0 => number.min(replicas),
        _ => replicas / 2 + 1,
    }
}

/// Written replicas without an earlier failed version.
fn good_replicas(tablet: &Tablet, backends: &[i64]) -> usize {
    let is_good = |backend_id: &i64| {
        tablet
            .replicas
            .iter()
            .any(|replica| replica.backend_id == *backend_id && replica.last_failed_version < 0)
    };
    backends.iter().filter(|id| is_good(id)).count()
}

fn describe_replicas(tablet: &Tablet, written: Option<&Vec<i64>>) -> String {
    let written = written.map(Vec::as_slice).unwrap_or_default();
    let missing: Vec<String> = tablet
        .replicas
        .iter()
        .filter(|replica| !written.contains(&replica.backend_id))
        .map(|replica| {
            format!(
                "[replicaId={}, backendId={}, version={}, lastFailedVersion={}]",
                replica.id, replica.backend_id, replica.version, replica.last_failed_version
            )
        })
        .collect();
    format!("write failed or not written replicas: {}", missing.join(", "))
}

/// Takes the next version of each touched partition, and marks replicas that were left out as failed.
fn assign_versions(
    state: &mut FeState,
    db_id: i64,
    touched: &[Touched],
    planned: Option<&BTreeMap<i64, Vec<i64>>>,
) -> Vec<PartitionCommit> {
    let Some(db) = state.databases.get_mut(&db_id) else { return Vec::new() };
    let mut versions = Vec::with_capacity(touched.len());
    for one in touched {
        let Some(table) = db.tables.get_mut(&one.table_id).and_then(Table::as_olap_mut) else { continue };
        let Some(partition) = table.any_partition(one.partition_id) else { continue };
        let index_ids = required_indexes(planned, table, partition);
        let Some(partition) = table.any_partition_mut(one.partition_id) else { continue };
        let version = partition.next_version;
        partition.next_version += 1;
        for index_id in &index_ids {
            let Some(index) = partition.indexes.get_mut(index_id) else { continue };
            for tablet in &mut index.tablets {
                let written = one.writes.get(&tablet.id);
                for replica in &mut tablet.replicas {
                    let is_written = written.is_some_and(|backends| backends.contains(&replica.backend_id));
                    if !is_written && replica.last_failed_version < 0 {
                        replica.last_failed_version = version;
                    }
                }
            }
        }
        versions.push(PartitionCommit {
            table_id: one.table_id,
            partition_id: one.partition_id,
            version,
            sub_txn_id: one.sub_txn_id,
            index_ids,
        });
    }
    versions
}
