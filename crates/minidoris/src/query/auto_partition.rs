//! Partitions that a load makes on auto-partitioned tables.

use crate::cluster::ClusterInner;
use crate::data::Value;
use crate::error::SqlResult;
use crate::exec;
use crate::model::PartitionScheme;

use super::target::LoadTarget;

/// Whether the load makes missing partitions: not when it names the partitions it writes.
pub fn is_auto(target: &LoadTarget) -> bool {
    !target.choice.temporary
        && target.choice.names.is_empty()
        && match &target.scheme {
            PartitionScheme::Unpartitioned => false,
            PartitionScheme::Range { auto_expr, .. } => auto_expr.is_some(),
            PartitionScheme::List { is_auto, .. } => *is_auto,
        }
}

/// Creates the partitions of rows that had none; `missing` holds the partition columns' values of each.
pub fn create(cluster: &ClusterInner, target: &LoadTarget, missing: &[Vec<Value>]) -> SqlResult<()> {
    for values in missing {
        let texts: Vec<Option<String>> = values.iter().map(|value| value.to_sql_text(0)).collect();
        let mut state = cluster.fe.lock();
        // It may have been dropped since the load was planned.
        target.check_exists(&state)?;
        exec::auto_partition::ensure(cluster, &mut state, target.db_id, target.table_id, &texts)?;
    }
    cluster.changed.notify_waiters();
    Ok(())
}
