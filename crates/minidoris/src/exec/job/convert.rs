//! Rewriting the rows of one index for another.

use std::collections::HashSet;

use crate::cluster::ClusterInner;
use crate::data::{Row, Value, cast};
use crate::model::{Column, IndexSchema, MaterializedIndex, Partition, Replica, Tablet};
use crate::query::derive::Deriver;

/// A replica (tablet, backend) of a target index.
pub type ReplicaKey = (i64, i64);

/// Whether all origin tablets can be read and a majority of all target replicas written now.
pub fn is_possible(cluster: &ClusterInner, origin: &MaterializedIndex, target: &MaterializedIndex) -> bool {
    let is_alive = |replica: &&Replica| cluster.is_backend_alive(replica.backend_id);
    let majority =
        |tablet: &Tablet| tablet.replicas.iter().filter(is_alive).count() > tablet.replicas.len() / 2;
    origin.tablets.iter().all(|tablet| tablet.replicas.iter().any(|replica| is_alive(&replica)))
        && target.tablets.iter().all(majority)
}

/// Fills the tablets of `target` with the visible rows of `origin`, bucket by bucket, as one rowset at the
/// partition's visible version; what loads have written to them above that version stays. Adds the replicas
/// that were written to `written`. A new synchronous materialised view comes with its `deriver`. The error is a
/// message for the job.
pub fn partition(
    cluster: &ClusterInner,
    partition: &Partition,
    job_id: i64,
    origin: (&IndexSchema, &MaterializedIndex),
    target: (&IndexSchema, &MaterializedIndex),
    deriver: Option<&Deriver<'_>>,
    written: &mut HashSet<ReplicaKey>,
) -> Result<(), String> {
    let sources = sources(&origin.0.columns, &target.0.columns);
    for (from, to) in origin.1.tablets.iter().zip(&target.1.tablets) {
        let rows = from
            .replicas
            .iter()
            .filter(|replica| replica.last_failed_version < 0 && cluster.is_backend_alive(replica.backend_id))
            .filter_map(|replica| cluster.backend(replica.backend_id))
            .find_map(|backend| backend.scan(from.id, partition.visible_version).ok())
            .ok_or_else(|| format!("no replica of tablet {} can be read", from.id))?;
        let mut converted = Vec::with_capacity(rows.len());
        for row in rows.iter() {
            match deriver {
                None => converted.push(convert(row, &sources, &target.0.columns)?),
                Some(deriver) => {
                    let derived = deriver.derive(row).map_err(|error| error.message)?;
                    converted.extend(derived.map(Row::new));
                }
            }
        }
        for replica in to.replicas.iter().filter(|replica| cluster.is_backend_alive(replica.backend_id)) {
            let Some(backend) = cluster.backend(replica.backend_id) else { continue };
            // No transaction has a negative id.
            let txn_id = -job_id;
            let failed = |error: crate::be::BackendError| format!("cannot write tablet {}: {error}", to.id);
            backend.write(txn_id, partition.id, to.id, (job_id, to.id), converted.clone()).map_err(failed)?;
            let rowset = backend
                .txns()
                .take_committed((txn_id, partition.id, to.id))
                .ok_or_else(|| format!("the rowset of tablet {} is lost", to.id))?;
            let rowset = rowset.with_meta(|meta| meta.version = partition.visible_version);
            backend.tablet(to.id).map_err(failed)?.rewrite(&rowset);
            written.insert((to.id, replica.backend_id));
        }
    }
    Ok(())
}

/// Where each target column comes from; columns are the same by their unique ids.
fn sources(origin: &[Column], target: &[Column]) -> Vec<Option<usize>> {
    target.iter().map(|column| origin.iter().position(|old| old.unique_id == column.unique_id)).collect()
}

fn convert(row: &[Value], sources: &[Option<usize>], columns: &[Column]) -> Result<Row, String> {
    let mut values = Vec::with_capacity(columns.len());
    for (column, source) in columns.iter().zip(sources) {
        let value = match source.and_then(|at| row.get(at)) {
            Some(value) => cast::coerce(value.clone(), column).map_err(|error| error.to_string())?,
            None => cast::default_value(column),
        };
        values.push(value);
    }
    Ok(Row::new(values))
}
