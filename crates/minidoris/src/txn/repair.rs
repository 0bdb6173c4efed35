//! Repair: a replica that missed versions gets them from a good one, as Doris's clone does.

use super::publish::alive_backends;
use crate::catalog_ops::olap_table;
use crate::cluster::ClusterInner;
use crate::model::{Replica, Table, Tablet};
use crate::state::FeState;

/// Copies missing versions to lagging replicas whose backend answers; tells whether any caught up.
pub(super) fn repair_replicas(cluster: &ClusterInner, state: &mut FeState) -> bool {
    if state.txns.lagging.is_empty() {
        return false;
    }
    let alive = alive_backends(cluster);
    let mut repaired = false;
    for (tablet_id, backend_id) in state.txns.lagging.clone() {
        let Some((visible, tablet)) = find(state, tablet_id) else {
            // Dropped meanwhile.
            state.txns.lagging.remove(&(tablet_id, backend_id));
            continue;
        };
        let is_good = |replica: &&Replica| replica.last_failed_version < 0 && replica.version >= visible;
        let good = tablet.replicas.iter().filter(is_good).find_map(|replica| alive.get(&replica.backend_id));
        let (Some(source), Some(target)) = (good, alive.get(&backend_id)) else { continue };
        let (Ok(from), Ok(to)) = (source.tablet(tablet_id), target.tablet(tablet_id)) else { continue };
        if to.copy_from(&from, visible).is_err() {
            continue;
        }
        if let Some(replica) = find_mut(state, tablet_id, backend_id) {
            replica.version = visible;
            replica.last_failed_version = -1;
        }
        state.txns.lagging.remove(&(tablet_id, backend_id));
        repaired = true;
    }
    repaired
}

/// The visible version of the tablet's partition, and the tablet.
fn find(state: &FeState, tablet_id: i64) -> Option<(i64, &Tablet)> {
    let place = state.txns.tablets.get(tablet_id)?;
    let partition = olap_table(state, place.db_id, place.table_id)?.any_partition(place.partition_id)?;
    let tablet =
        partition.indexes.get(&place.index_id)?.tablets.iter().find(|tablet| tablet.id == tablet_id)?;
    Some((partition.visible_version, tablet))
}

fn find_mut(state: &mut FeState, tablet_id: i64, backend_id: i64) -> Option<&mut Replica> {
    let place = state.txns.tablets.get(tablet_id)?;
    let table =
        state.databases.get_mut(&place.db_id)?.tables.get_mut(&place.table_id).and_then(Table::as_olap_mut);
    let index = table?.any_partition_mut(place.partition_id)?.indexes.get_mut(&place.index_id)?;
    let tablet = index.tablets.iter_mut().find(|tablet| tablet.id == tablet_id)?;
    tablet.replicas.iter_mut().find(|replica| replica.backend_id == backend_id)
}
