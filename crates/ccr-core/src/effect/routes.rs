//! The cache of routes and backends of a job.
//!
//! A route is read once per table, with one metadata call to each side, and again when a partition is
//! unknown, a statement changed the table, or a call proved it stale. So the steady state of a
//! transaction needs no metadata call at all. Transactions are prepared side by side; when several miss
//! the same route, one of them reads it and the others use what it read. What is proven to be dropped
//! upstream is remembered as well, for a long list of loads into it may follow.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use doris_types::call::MetaFilter;
use doris_types::meta::{Backend, DatabaseMeta, TableMeta};
use parking_lot::Mutex;

use super::absence::{MISSING, missing, missing_database};
use super::names::target_dropped;
use super::rollup::Renames;
use super::{downstream, look_for, upstream};
use crate::error::{Error, Origin, Result};
use crate::job::SyncType;
use crate::plan::TableIngest;
use crate::route::TableRoute;
use crate::runner::shell::Shell;

/// Ranges of partitions that are gone which are kept for one table.
const RANGES: usize = 4096;

#[derive(Default)]
pub(crate) struct Routes {
    tables: Mutex<HashMap<i64, Known>>,
    source_backends: Mutex<Option<Arc<BackendMap>>>,
    target_backends: Mutex<Option<Arc<BackendMap>>>,
}

pub(crate) type BackendMap = HashMap<i64, Backend>;

/// What is known of one upstream table.
#[derive(Default)]
struct Known {
    route: Option<Arc<TableRoute>>,
    /// It is proven that the table was dropped upstream.
    is_gone: bool,
    /// Partitions that are proven to be dropped upstream.
    gone_partitions: HashSet<i64>,
    /// The route of before it was forgotten: it knows the ranges of partitions that are gone since.
    former: Option<Arc<TableRoute>>,
    /// The ranges of partitions that were gone when a route was read, the newest of them.
    ranges: BTreeMap<i64, String>,
    /// What is known of renamed rollups.
    renames: Arc<tokio::sync::Mutex<Renames>>,
    /// Held by the one who reads the route.
    reading: Arc<tokio::sync::Mutex<()>>,
}

/// What somebody looks for in a route; `None` when it must be read again.
pub(crate) type Enough<'a, T> = dyn Fn(&TableRoute, &HashSet<i64>) -> Option<T> + Send + Sync + 'a;

/// How a search in a route ended.
pub(crate) enum Found<T> {
    Enough(T),
    /// The route has just been read.
    Read(Arc<TableRoute>),
    /// The upstream table is gone: dropped later in the binlog.
    SourceGone,
}

/// A table as both sides describe it now.
pub(crate) enum Looked {
    Route(Arc<TableRoute>),
    /// The upstream table is gone: dropped later in the binlog.
    SourceGone,
}

impl Known {
    fn remember(&mut self, partition_id: i64, range: String) {
        self.ranges.insert(partition_id, range);
        if self.ranges.len() > RANGES {
            self.ranges.pop_first();
        }
    }

    /// A route was read. What the one before knew of partitions that are gone since is kept.
    fn take(&mut self, route: Arc<TableRoute>) {
        for former in [self.former.take(), self.route.take()].into_iter().flatten() {
            for (id, range) in former.source_ranges().filter(|(id, _)| route.source_range(*id).is_none()) {
                self.remember(id, range.to_owned());
            }
        }
        self.route = Some(route);
    }
}

impl Routes {
    /// What is known of a table, if it is enough: `is_enough` is asked with the route and the partitions
    /// that are gone.
    fn known<T>(&self, source_id: i64, is_enough: &Enough<'_, T>) -> Option<Found<T>> {
        let tables = self.tables.lock();
        let known = tables.get(&source_id)?;
        if known.is_gone {
            return Some(Found::SourceGone);
        }
        is_enough(known.route.as_deref()?, &known.gone_partitions).map(Found::Enough)
    }

    /// Takes from the route what `is_enough` finds in it, and reads the route first, for a load at this commit
    /// seq, when it is not known or not enough. Only one reads the route of a table at a time.
    pub async fn find<T>(
        &self,
        shell: &Shell,
        table: &TableIngest,
        commit_seq: i64,
        is_enough: &Enough<'_, T>,
    ) -> Result<Found<T>> {
        let source_id = table.source_id;
        if let Some(found) = self.known(source_id, is_enough) {
            return Ok(found);
        }
        let reading = Arc::clone(&self.tables.lock().entry(source_id).or_default().reading);
        let _only_one = reading.lock().await;
        if let Some(found) = self.known(source_id, is_enough) {
            return Ok(found);
        }
        Ok(match self.read(shell, table, commit_seq).await? {
            Looked::Route(route) => Found::Read(route),
            Looked::SourceGone => Found::SourceGone,
        })
    }

    pub fn partition_is_gone(&self, source_id: i64, partition_id: i64, range: &str) {
        let mut tables = self.tables.lock();
        let known = tables.entry(source_id).or_default();
        known.gone_partitions.insert(partition_id);
        known.remember(partition_id, range.to_owned());
    }

    /// The range of an upstream partition that was seen.
    pub fn range_of(&self, source_id: i64, partition_id: i64) -> Option<String> {
        let tables = self.tables.lock();
        let known = tables.get(&source_id)?;
        let routes = [&known.route, &known.former];
        let seen = routes.into_iter().flatten().find_map(|route| route.source_range(partition_id));
        seen.map(str::to_owned).or_else(|| known.ranges.get(&partition_id).cloned())
    }

    pub fn forget(&self, source_id: i64) {
        if let Some(known) = self.tables.lock().get_mut(&source_id) {
            let Known { route, former, ranges, renames, reading, .. } = std::mem::take(known);
            *known = Known { former: route.or(former), ranges, renames, reading, ..Known::default() };
        }
    }

    pub fn forget_backends(&self) {
        *self.source_backends.lock() = None;
        *self.target_backends.lock() = None;
    }

    /// The names that rollups of the table had at this commit seq, of those that were renamed since; `None` when that is
    /// not known.
    pub async fn rollups_at(
        &self,
        shell: &Shell,
        table: &TableIngest,
        commit_seq: i64,
    ) -> Result<Option<HashMap<i64, String>>> {
        let renames = Arc::clone(&self.tables.lock().entry(table.source_id).or_default().renames);
        renames.lock().await.names_at(shell, table, commit_seq).await
    }

    /// Reads the route of a table from both sides. Rollups are matched by the names that they had at this commit seq:
    /// a statement that renames them downstream makes the route be forgotten.
    pub async fn read(&self, shell: &Shell, table: &TableIngest, commit_seq: i64) -> Result<Looked> {
        let (source_id, target_id) = (table.source_id, table.target_id);
        let ctx = &shell.ctx;
        let (source, target) = look_at(shell, source_id, target_id).await?;
        let Some(source) = source else {
            self.tables.lock().entry(source_id).or_default().is_gone = true;
            if ctx.record.spec.sync_type() == SyncType::Table {
                // Its own list does not tell of its drop.
                shell.followed.doubt();
            }
            return Ok(Looked::SourceGone);
        };
        let target = target.ok_or_else(|| target_dropped(&source.name, target_id))?;
        let mut temporary: Vec<String> = table.temporary.values().cloned().collect();
        if has_equal_ranges(&target, &temporary) {
            // The target has temporary partitions that are not the job's.
            let db = shell.target_database();
            temporary = ctx.downstream.temporary_partitions(db, &target.name).await.map_err(downstream)?;
        }
        let mut route = TableRoute::new(source, target, &temporary);
        if route.has_several_rollups() {
            // Read after the metadata, or a rename in between would be missed.
            let names = self.rollups_at(shell, table, commit_seq).await?;
            route = route.with_index_names(&names.ok_or_else(|| unknown_rollups(table, commit_seq))?);
        }
        let route = Arc::new(route);
        self.tables.lock().entry(source_id).or_default().take(Arc::clone(&route));
        Ok(Looked::Route(route))
    }

    pub async fn source_backends(&self, shell: &Shell) -> Result<Arc<BackendMap>> {
        if let Some(known) = self.source_backends.lock().clone() {
            return Ok(known);
        }
        let read = by_id(shell.ctx.upstream.backends().await.map_err(upstream)?);
        *self.source_backends.lock() = Some(Arc::clone(&read));
        Ok(read)
    }

    pub async fn target_backends(&self, shell: &Shell) -> Result<Arc<BackendMap>> {
        if let Some(known) = self.target_backends.lock().clone() {
            return Ok(known);
        }
        let read = by_id(shell.ctx.downstream.backends().await.map_err(downstream)?);
        *self.target_backends.lock() = Some(Arc::clone(&read));
        Ok(read)
    }
}

/// A table as both sides have it now. Without the first it was dropped upstream; without the second, which is
/// looked for several times while the first is there, its target is gone.
pub(crate) async fn look_at(
    shell: &Shell,
    source_id: i64,
    target_id: i64,
) -> Result<(Option<TableMeta>, Option<TableMeta>)> {
    let ctx = &shell.ctx;
    let (source, target) = futures::future::join(
        ctx.upstream.meta(shell.source_database(), MetaFilter::Tables(vec![source_id])),
        ctx.downstream.meta(shell.target_database(), MetaFilter::Tables(vec![target_id])),
    )
    .await;
    let source = source.map_err(upstream)?.ok_or_else(|| missing_database(shell))?;
    let target = target.map_err(downstream)?.and_then(|db| with_id(db, target_id));
    let source = match take(source, source_id)? {
        Taken::There(source) => Some(*source),
        Taken::Dropped => None,
        Taken::Missing => look_upstream(shell, source_id).await?,
    };
    match (source, target) {
        (Some(source), None) => Ok((Some(source), look_downstream(shell, target_id).await?)),
        found => Ok(found),
    }
}

/// The same for a statement, which does without the upstream table when it is missing each time: a restore has
/// replaced it, and neither a binlog nor the metadata reports that. The downstream one is looked for several times
/// then, too.
pub(super) async fn look_at_patiently(
    shell: &Shell,
    source_id: i64,
    target_id: i64,
) -> Result<(Option<TableMeta>, Option<TableMeta>)> {
    let look = async || match look_at(shell, source_id, target_id).await {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.code == MISSING => Ok(None),
        Err(error) => Err(error),
    };
    match look_for(shell, &format!("table {source_id}"), look).await? {
        Some(found @ ((Some(_), _) | (None, Some(_)))) => Ok(found),
        Some((None, None)) | None => Ok((None, look_downstream(shell, target_id).await?)),
    }
}

fn unknown_rollups(table: &TableIngest, commit_seq: i64) -> Error {
    let text = format!(
        "it is not known which rollup of table {} is which: its binlog does not tell what they were called at \
         commit seq {commit_seq}",
        table.source_id
    );
    Error::partial_sync(Origin::UpstreamFe, "CCR0305", text)
}

fn with_id(db: DatabaseMeta, id: i64) -> Option<TableMeta> {
    db.tables.into_iter().find(|table| table.id == id)
}

/// Looks for a downstream table several times.
async fn look_downstream(shell: &Shell, target_id: i64) -> Result<Option<TableMeta>> {
    let look = async || {
        let filter = MetaFilter::Tables(vec![target_id]);
        let db = shell.ctx.downstream.meta(shell.target_database(), filter).await.map_err(downstream)?;
        Ok(db.and_then(|db| with_id(db, target_id)))
    };
    look_for(shell, &format!("downstream table {target_id}"), look).await
}

/// Whether a range text stands for more than one partition that is not known to be temporary.
pub(super) fn has_equal_ranges(table: &TableMeta, temporary: &[String]) -> bool {
    let mut ranges = HashSet::new();
    let mut formal = table.partitions.iter().filter(|partition| !temporary.contains(&partition.name));
    formal.any(|partition| !ranges.insert(partition.range.as_str()))
}

fn by_id(backends: Vec<Backend>) -> Arc<BackendMap> {
    Arc::new(backends.into_iter().map(|backend| (backend.id, backend)).collect())
}

/// What an answer says of a table.
enum Taken {
    There(Box<TableMeta>),
    Dropped,
    /// It is not there, and the FE is an old one that reports no drops.
    Missing,
}

/// The table, or the proof that it was dropped. An FE that knows which tables were dropped must list it;
/// an answer without the table and without that proof may be a stale one, and is asked for again.
fn take(db: DatabaseMeta, source_id: i64) -> Result<Taken> {
    let proven = db.dropped_tables.contains_key(&source_id);
    let reports_drops = db.reports_drops;
    match db.tables.into_iter().find(|table| table.id == source_id) {
        Some(table) => Ok(Taken::There(Box::new(table))),
        None if proven => Ok(Taken::Dropped),
        None if !reports_drops => Ok(Taken::Missing),
        None => Err(missing(&format!("table {source_id}"))),
    }
}

/// Looks for a table several times; what it writes is lost when it is taken for dropped.
async fn look_upstream(shell: &Shell, source_id: i64) -> Result<Option<TableMeta>> {
    let look = async || {
        let filter = MetaFilter::Tables(vec![source_id]);
        let db = shell.ctx.upstream.meta(shell.source_database(), filter).await.map_err(upstream)?;
        Ok(db.and_then(|db| with_id(db, source_id)))
    };
    look_for(shell, &format!("table {source_id}"), look).await
}

/// Whether something absent from the metadata was dropped. Old FEs report no drops; with them absence has
/// to do, and is to be looked for more than once where rows depend on it.
pub(crate) fn is_proven_gone(db: &DatabaseMeta, listed: impl Fn(&DatabaseMeta) -> bool) -> bool {
    !db.reports_drops || listed(db)
}
