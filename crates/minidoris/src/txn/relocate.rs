//! Relocation: replicas leave backends that are being decommissioned or are gone.
//!
//! As the tablet scheduler of Doris: a tablet first gets another replica, with an id of its own, on a backend
//! that has none of it; the old one goes when the new one is complete and every transaction that may have
//! written only the old one has ended. Until then both are listed, and loads write both. A replica on a backend
//! that no longer exists can only be replaced from another good one; if there is none it stays listed and the
//! tablet is lost.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::catalog_ops::{olap_table, tablet_schema};
use crate::cluster::ClusterInner;
use crate::model::{Partition, Replica, ReplicaState, Table, TableState, Tablet};
use crate::state::FeState;

/// What moves.
#[derive(Debug, Default)]
pub struct TabletMoves {
    /// (tablet, the backend it leaves) to the first transaction that knows the new replica.
    leaving: BTreeMap<(i64, i64), i64>,
    /// Whether replicas may lie on backends that are gone.
    has_orphans: bool,
}

/// A tablet and where it belongs.
#[derive(Debug, Clone, Copy)]
struct Place {
    db_id: i64,
    table_id: i64,
    partition_id: i64,
    index_id: i64,
    tablet_id: i64,
}

/// What the backends look like during one round.
struct Nodes {
    known: BTreeSet<i64>,
    leaving: BTreeSet<i64>,
    /// Backends that take tablets, with how many they hold.
    targets: BTreeMap<i64, usize>,
}

impl TabletMoves {
    /// A backend is gone, or one came back that may hold a good replica.
    pub fn look_for_orphans(&mut self) {
        self.has_orphans = true;
    }
}

/// One round; called by the cluster's daemon. Tells the decommissioned backends that hold no tablet any more.
pub fn relocate(cluster: &ClusterInner) -> Vec<i64> {
    let state = &mut *cluster.fe.lock();
    let mut nodes = look_at(cluster);
    if nodes.leaving.is_empty() && state.moves.leaving.is_empty() && !state.moves.has_orphans {
        return Vec::new();
    }
    let mut counts: HashMap<i64, usize> = HashMap::new();
    let mut affected = Vec::new();
    for (place, tablet) in all_tablets(state) {
        for replica in &tablet.replicas {
            *counts.entry(replica.backend_id).or_insert(0) += 1;
        }
        let moves = |replica: &Replica| {
            nodes.must_leave(replica.backend_id)
                || state.moves.leaving.contains_key(&(tablet.id, replica.backend_id))
        };
        if tablet.replicas.iter().any(moves) {
            affected.push(place);
        }
    }
    for (id, count) in &mut nodes.targets {
        *count = counts.get(id).copied().unwrap_or(0);
    }
    state.moves.has_orphans = false;
    let existing: BTreeSet<i64> = affected.iter().map(|place| place.tablet_id).collect();
    state.moves.leaving.retain(|(tablet_id, _), _| existing.contains(tablet_id));
    let mut changed = false;
    for place in affected {
        changed |= move_on(cluster, state, &mut nodes, place);
    }
    if changed {
        state.journal();
        cluster.changed.notify_waiters();
    }
    // The tables of a running restore are not all in the catalogue, and a backup still points to its files.
    if nodes.leaving.is_empty() || state.snapshots.has_running() {
        return Vec::new();
    }
    let mut holding = BTreeSet::new();
    for (_, tablet) in all_tablets(state) {
        holding.extend(tablet.replicas.iter().map(|replica| replica.backend_id));
    }
    nodes.leaving.difference(&holding).copied().collect()
}

fn look_at(cluster: &ClusterInner) -> Nodes {
    let nodes = cluster.backend_nodes.read();
    Nodes {
        known: nodes.keys().copied().collect(),
        leaving: nodes.values().filter(|node| node.decommissioned).map(|node| node.id).collect(),
        targets: nodes.values().filter(|node| node.takes_tablets()).map(|node| (node.id, 0)).collect(),
    }
}

impl Nodes {
    fn must_leave(&self, backend_id: i64) -> bool {
        self.leaving.contains(&backend_id) || !self.known.contains(&backend_id)
    }

    /// The emptiest backend that has no replica of the tablet.
    fn target(&self, tablet: &Tablet) -> Option<i64> {
        let has = |id: &i64| tablet.replicas.iter().any(|replica| replica.backend_id == *id);
        let free = self.targets.iter().filter(|(id, _)| !has(id));
        free.min_by_key(|(id, count)| (**count, **id)).map(|(id, _)| *id)
    }
}

fn all_tablets(state: &FeState) -> impl Iterator<Item = (Place, &Tablet)> {
    let tables = state
        .databases
        .values()
        .flat_map(|db| db.tables.values().filter_map(Table::as_olap).map(|table| (db.id, table)));
    tables.flat_map(|(db_id, table)| {
        let partitions = table.partitions.values().chain(table.temp_partitions.values());
        let indexes = partitions.flat_map(|partition| {
            partition.indexes.values().map(|index| (partition.id, index)).collect::<Vec<_>>()
        });
        indexes.flat_map(move |(partition_id, index)| {
            index.tablets.iter().map(move |tablet| {
                let ids = (table.id, index.id, tablet.id);
                let (table_id, index_id, tablet_id) = ids;
                (Place { db_id, table_id, partition_id, index_id, tablet_id }, tablet)
            })
        })
    })
}

/// Does the next step for a tablet; tells whether there was one.
fn move_on(cluster: &ClusterInner, state: &mut FeState, nodes: &mut Nodes, place: Place) -> bool {
    let Some((partition, tablet)) = find(state, place) else { return false };
    let is_restored = olap_table(state, place.db_id, place.table_id)
        .is_none_or(|table| table.state == TableState::Restore || state.snapshots.is_restoring(partition.id));
    if is_restored {
        return false;
    }
    let wanted = usize::from(partition.replication_num.max(1));
    let visible = partition.visible_version;
    let staying: Vec<&Replica> =
        tablet.replicas.iter().filter(|replica| !nodes.must_leave(replica.backend_id)).collect();
    let Some(old) = tablet.replicas.iter().find(|replica| nodes.must_leave(replica.backend_id)) else {
        return stay(cluster, state, place);
    };
    let old = old.backend_id;
    if staying.len() < wanted {
        return add_replica(cluster, state, nodes, place, old);
    }
    let complete =
        staying.iter().all(|replica| replica.last_failed_version < 0 && replica.version >= visible);
    let watermark = state.moves.leaving.get(&(place.tablet_id, old)).copied().unwrap_or(i64::MIN);
    if !complete || state.txns.has_running_before(place.db_id, place.table_id, watermark) {
        return false;
    }
    remove_replica(cluster, state, place, old);
    true
}

/// Copies the tablet to another backend.
fn add_replica(
    cluster: &ClusterInner,
    state: &mut FeState,
    nodes: &mut Nodes,
    place: Place,
    old: i64,
) -> bool {
    let Some((partition, tablet)) = find(state, place) else { return false };
    let visible = partition.visible_version;
    let Some(table) = olap_table(state, place.db_id, place.table_id) else { return false };
    let Some(index) = table.indexes.get(&place.index_id) else { return false };
    let is_good = |replica: &&Replica| {
        replica.last_failed_version < 0
            && replica.version >= visible
            && cluster.is_backend_alive(replica.backend_id)
    };
    let source =
        tablet.replicas.iter().filter(is_good).find_map(|replica| cluster.backend(replica.backend_id));
    let source = source.and_then(|backend| backend.tablet(place.tablet_id).ok());
    let Some(target) = nodes.target(tablet) else { return false };
    let (Some(source), Some(backend)) = (source, cluster.backend(target)) else { return false };
    let schema = tablet_schema(table, index);
    backend.create_tablet(
        place.tablet_id,
        place.table_id,
        place.partition_id,
        place.index_id,
        index.schema_hash,
        Arc::clone(&schema),
        table.binlog.enable,
        visible,
    );
    let copied = backend.tablet(place.tablet_id).and_then(|tablet| tablet.copy_from(&source, visible));
    if copied.is_err() {
        backend.drop_tablet(place.tablet_id);
        return false;
    }
    let id = state.ids.allocate();
    let replica = Replica {
        id,
        backend_id: target,
        version: visible,
        last_failed_version: -1,
        state: ReplicaState::Normal,
    };
    if let Some(tablet) = find_mut(state, place) {
        set_state(tablet, old, ReplicaState::Decommission);
        tablet.replicas.push(replica);
    }
    state.moves.leaving.insert((place.tablet_id, old), state.txns.next_id());
    *nodes.targets.entry(target).or_insert(0) += 1;
    true
}

/// The backend is no longer left: the replica that was made for it goes again.
fn stay(cluster: &ClusterInner, state: &mut FeState, place: Place) -> bool {
    let keys: Vec<(i64, i64)> =
        state.moves.leaving.keys().filter(|(tablet_id, _)| *tablet_id == place.tablet_id).copied().collect();
    for key in keys {
        state.moves.leaving.remove(&key);
        if let Some(tablet) = find_mut(state, place) {
            set_state(tablet, key.1, ReplicaState::Normal);
        }
    }
    let Some((partition, tablet)) = find(state, place) else { return false };
    if tablet.replicas.len() <= usize::from(partition.replication_num) {
        return false;
    }
    let Some(newest) = tablet.replicas.last().map(|replica| replica.backend_id) else { return false };
    remove_replica(cluster, state, place, newest);
    true
}

/// Nothing happens when no replica lies there.
fn set_state(tablet: &mut Tablet, backend_id: i64, state: ReplicaState) {
    for replica in tablet.replicas.iter_mut().filter(|replica| replica.backend_id == backend_id) {
        replica.state = state;
    }
}

fn remove_replica(cluster: &ClusterInner, state: &mut FeState, place: Place, backend_id: i64) {
    if let Some(tablet) = find_mut(state, place) {
        tablet.replicas.retain(|replica| replica.backend_id != backend_id);
    }
    state.moves.leaving.remove(&(place.tablet_id, backend_id));
    state.txns.lagging.remove(&(place.tablet_id, backend_id));
    if let Some(backend) = cluster.backend(backend_id) {
        backend.drop_tablet(place.tablet_id);
    }
}

fn find(state: &FeState, place: Place) -> Option<(&Partition, &Tablet)> {
    let partition = olap_table(state, place.db_id, place.table_id)?.any_partition(place.partition_id)?;
    let index = partition.indexes.get(&place.index_id)?;
    Some((partition, index.tablets.iter().find(|tablet| tablet.id == place.tablet_id)?))
}

fn find_mut(state: &mut FeState, place: Place) -> Option<&mut Tablet> {
    let db = state.databases.get_mut(&place.db_id)?;
    let table = db.tables.get_mut(&place.table_id).and_then(Table::as_olap_mut)?;
    let index = table.any_partition_mut(place.partition_id)?.indexes.get_mut(&place.index_id)?;
    index.tablets.iter_mut().find(|tablet| tablet.id == place.tablet_id)
}
