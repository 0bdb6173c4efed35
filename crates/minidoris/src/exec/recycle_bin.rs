//! The recycle bin: what was dropped, until RECOVER brings it back or its time is over.
//!
//! The data stays on the backends meanwhile, the binlogs of the tablets too. As in Doris nothing is erased within
//! ten minutes of its drop, however short the setting is, unless another setting allows it.

use serde::{Deserialize, Serialize};

use crate::catalog_ops;
use crate::cluster::ClusterInner;
use crate::model::{Database, Partition, Table};
use crate::state::FeState;

/// How long everything waits at least.
const MIN_ERASE_LATENCY_MS: i64 = 600_000;
/// `catalog_trash_expire_second` where the setting is no number.
const EXPIRE_S: i64 = 86_400;

/// A dropped object that RECOVER can bring back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Recycled {
    pub object: RecycledObject,
    /// Milliseconds since the epoch.
    pub drop_time: i64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum RecycledObject {
    Database(Box<Database>),
    Table { db_id: i64, table: Box<Table> },
    Partition { db_id: i64, table_id: i64, partition: Box<Partition> },
}

impl RecycledObject {
    /// The partitions whose data waits with the object.
    pub fn partitions(&self) -> Box<dyn Iterator<Item = &Partition> + '_> {
        match self {
            RecycledObject::Database(db) => Box::new(db.tables.values().flat_map(of_table)),
            RecycledObject::Table { table, .. } => Box::new(of_table(table)),
            RecycledObject::Partition { partition, .. } => Box::new(std::iter::once(partition.as_ref())),
        }
    }
}

fn of_table(table: &Table) -> impl Iterator<Item = &Partition> {
    table
        .as_olap()
        .into_iter()
        .flat_map(|table| table.partitions.values().chain(table.temp_partitions.values()))
}

/// Erases what has waited long enough; called by the cluster's daemon. Every object is an entry of the journal,
/// and none of the binlog.
pub fn erase_expired(cluster: &ClusterInner) {
    let mut state = cluster.fe.lock();
    let expired_before = cluster.clock.now_ms().saturating_sub(kept_ms(&state));
    let is_expired = |recycled: &mut Recycled| recycled.drop_time < expired_before;
    let expired: Vec<Recycled> = state.ddl.recycle_bin.extract_if(.., is_expired).collect();
    if expired.is_empty() {
        return;
    }
    for recycled in &expired {
        for partition in recycled.object.partitions() {
            catalog_ops::drop_partition_tablets(cluster, partition);
        }
        state.journal();
    }
    drop(state);
    cluster.changed.notify_waiters();
}

fn kept_ms(state: &FeState) -> i64 {
    let setting = state.config.get("catalog_trash_expire_second");
    let seconds = setting.and_then(|value| value.trim().parse().ok()).unwrap_or(EXPIRE_S);
    let at_least =
        if state.config_flag("catalog_trash_ignore_min_erase_latency") { 0 } else { MIN_ERASE_LATENCY_MS };
    seconds.saturating_mul(1000).max(at_least)
}
