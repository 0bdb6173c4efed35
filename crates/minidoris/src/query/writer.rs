//! Sorts rows to partitions, indexes and buckets, and stages the encoded rows on the backends.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::be::{BackendError, LoadId};
use crate::cluster::ClusterInner;
use crate::data::bucket::Bucketing;
use crate::data::route::NoPartition;
use crate::data::segment::Builder;
use crate::data::{DeletePredicate, Value, cast};
use crate::error::{SqlError, SqlResult};

use super::auto_partition;
use super::derive::Deriver;
use super::target::{IndexTarget, LoadTarget, PartitionTarget};

/// Rotates the first bucket of RANDOM loads.
static LOADS: AtomicUsize = AtomicUsize::new(0);

/// Encoded rows of one load. Only partitions that got a row are written, but all their tablets.
#[derive(Debug)]
pub struct Writer<'a> {
    target: &'a LoadTarget,
    by_partition: BTreeMap<i64, PartitionWriter<'a>>,
    pub rows: u64,
    /// Partition values of rows that an auto-partitioned table has no partition for yet. When there are
    /// any, the load makes them and writes everything anew.
    pub missing: Vec<Vec<Value>>,
    is_auto: bool,
    /// One per index of the target, for those that are synchronous materialised views.
    derivers: Vec<Option<Deriver<'a>>>,
    /// Why the load must fail: a view cannot hold one of the rows.
    failure: Option<SqlError>,
}

#[derive(Debug)]
struct PartitionWriter<'a> {
    partition: &'a PartitionTarget,
    bucketing: Bucketing,
    /// Per index, per bucket.
    builders: Vec<Vec<Builder>>,
}

impl<'a> Writer<'a> {
    pub fn new(target: &'a LoadTarget) -> Self {
        let mut failure = None;
        let mut start = |index: &'a IndexTarget| match index.derivation.as_ref()?.start() {
            Ok(deriver) => Some(deriver),
            Err(error) => {
                failure = Some(error);
                None
            }
        };
        let derivers = target.indexes.iter().map(&mut start).collect();
        Self {
            target,
            by_partition: BTreeMap::new(),
            rows: 0,
            missing: Vec::new(),
            is_auto: auto_partition::is_auto(target),
            derivers,
            failure,
        }
    }

    /// Adds a row in the order of the base index.
    pub fn add(&mut self, values: &[Value], deleted: bool) -> Result<(), NoPartition> {
        let id = match self.target.router.route(values) {
            Ok(id) => id,
            Err(_) if self.is_auto => {
                let key = self.target.router.partition_values(values);
                if !self.missing.contains(&key) {
                    self.missing.push(key);
                }
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let target = self.target;
        if self.partition(id).is_none() {
            return Err(NoPartition { tuple: String::new() });
        }
        let Some(writer) = self.by_partition.get_mut(&id) else { return Ok(()) };
        let bucket = writer.bucketing.bucket(values);
        let indexes = target.indexes.iter().zip(&self.derivers);
        for ((index, deriver), builders) in indexes.zip(&mut writer.builders) {
            let Some(builder) = builders.get_mut(bucket) else { continue };
            if let Some(deriver) = deriver {
                match deriver.derive(values) {
                    Ok(Some(row)) => builder.add(&index.schema, &row, deleted),
                    Ok(None) => {}
                    Err(error) => {
                        self.failure.get_or_insert(error);
                    }
                }
                continue;
            }
            match &index.sources {
                None => builder.add(&index.schema, values, deleted),
                Some(sources) => builder.add(&index.schema, &project(index, sources, values), deleted),
            }
        }
        self.rows += 1;
        Ok(())
    }

    fn partition(&mut self, id: i64) -> Option<&mut PartitionWriter<'a>> {
        if !self.by_partition.contains_key(&id) {
            let target = self.target;
            let partition = target.partitions.iter().find(|partition| partition.id == id)?;
            let start = LOADS.fetch_add(1, Ordering::Relaxed);
            let empty = |tablets: &Vec<_>| tablets.iter().map(|_| Builder::default()).collect();
            let writer = PartitionWriter {
                partition,
                bucketing: Bucketing::new(&partition.distribution, &target.schema, start),
                builders: partition.tablets.iter().map(empty).collect(),
            };
            self.by_partition.insert(id, writer);
        }
        self.by_partition.get_mut(&id)
    }

    /// Stages everything on the backends that are alive; returns (tablet, backend) of what was written,
    /// and the bytes.
    pub fn stage(
        self,
        cluster: &ClusterInner,
        txn_id: i64,
        load_id: LoadId,
    ) -> SqlResult<(Vec<(i64, i64)>, u64)> {
        if let Some(error) = self.failure {
            return Err(error);
        }
        let mut writes = Vec::new();
        let mut size = 0;
        for writer in self.by_partition.into_values() {
            for (tablets, builders) in writer.partition.tablets.iter().zip(writer.builders) {
                for (tablet, builder) in tablets.iter().zip(builders) {
                    let (segments, rows) = builder.finish();
                    size += segments.iter().map(|bytes| bytes.len() as u64).sum::<u64>();
                    for (id, backend) in alive(cluster, &tablet.backends) {
                        let staged = backend.write_segments(
                            txn_id,
                            writer.partition.id,
                            tablet.id,
                            load_id,
                            segments.clone(),
                            rows,
                        );
                        if was_staged(cluster, tablet.id, staged)? {
                            writes.push((tablet.id, id));
                        }
                    }
                }
            }
        }
        Ok((writes, size))
    }
}

/// Stages a delete predicate on all tablets of the target's partitions.
pub fn stage_delete(
    cluster: &ClusterInner,
    target: &LoadTarget,
    txn_id: i64,
    load_id: LoadId,
    predicate: &DeletePredicate,
) -> SqlResult<Vec<(i64, i64)>> {
    let mut writes = Vec::new();
    for partition in &target.partitions {
        for tablet in partition.tablets.iter().flatten() {
            for (id, backend) in alive(cluster, &tablet.backends) {
                let staged =
                    backend.write_delete(txn_id, partition.id, tablet.id, load_id, predicate.clone());
                if was_staged(cluster, tablet.id, staged)? {
                    writes.push((tablet.id, id));
                }
            }
        }
    }
    Ok(writes)
}

/// Whether a replica was written. A tablet that the catalogue has dropped since planning, with its index or
/// its partition, is passed over: backends delete such tablets some time later, and a commit ignores them.
fn was_staged(cluster: &ClusterInner, tablet_id: i64, staged: Result<(), BackendError>) -> SqlResult<bool> {
    match staged {
        Ok(()) => Ok(true),
        Err(BackendError::TabletMissing(_)) if cluster.fe.lock().txns.tablets.get(tablet_id).is_none() => {
            Ok(false)
        }
        Err(error) => Err(SqlError::general(error.to_string())),
    }
}

fn alive(cluster: &ClusterInner, backends: &[i64]) -> Vec<(i64, std::sync::Arc<crate::be::Backend>)> {
    let wanted = backends.iter().filter(|id| cluster.is_backend_alive(**id));
    wanted.filter_map(|id| Some((*id, cluster.backend(*id)?))).collect()
}

/// The columns of another index, converted to its types where a schema change is under way.
fn project(index: &IndexTarget, sources: &[Option<usize>], values: &[Value]) -> Vec<Value> {
    let columns = index.schema.columns.iter().zip(sources);
    columns
        .map(|(column, source)| match source.and_then(|at| values.get(at)) {
            Some(value) => cast::coerce(value.clone(), column).unwrap_or(Value::Null),
            None => cast::default_value(column),
        })
        .collect()
}
