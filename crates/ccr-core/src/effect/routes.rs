//! The cache of routes and backends of a job.
//!
//! A route is read once per table, with one metadata call to each side, and again when a partition is
//! unknown, a statement changed the table, or a call proved it stale. So the steady state of a
//! transaction needs no metadata call at all.

use std::collections::HashMap;
use std::sync::Arc;

use doris_types::call::MetaFilter;
use doris_types::meta::{Backend, DatabaseMeta, TableMeta};
use parking_lot::Mutex;

use super::{downstream, upstream};
use crate::error::{Error, Origin, Result};
use crate::route::TableRoute;
use crate::runner::shell::Shell;

#[derive(Default)]
pub(crate) struct Routes {
    tables: Mutex<HashMap<i64, Arc<TableRoute>>>,
    source_backends: Mutex<Option<Arc<BackendMap>>>,
    target_backends: Mutex<Option<Arc<BackendMap>>>,
}

pub(crate) type BackendMap = HashMap<i64, Backend>;

/// A table as both sides describe it now.
pub(crate) enum Looked {
    Route(Arc<TableRoute>),
    /// The upstream table is gone: dropped later in the binlog.
    SourceGone,
}

impl Routes {
    pub fn cached(&self, source_id: i64) -> Option<Arc<TableRoute>> {
        self.tables.lock().get(&source_id).cloned()
    }

    pub fn forget(&self, source_id: i64) {
        self.tables.lock().remove(&source_id);
    }

    pub fn forget_backends(&self) {
        *self.source_backends.lock() = None;
        *self.target_backends.lock() = None;
    }

    /// Reads the route of a table from both sides.
    pub async fn read(&self, shell: &Shell, source_id: i64, target_id: i64) -> Result<Looked> {
        let ctx = &shell.ctx;
        let (source, target) = futures::future::join(
            ctx.upstream.meta(shell.source_database(), MetaFilter::Tables(vec![source_id])),
            ctx.downstream.meta(shell.target_database(), MetaFilter::Tables(vec![target_id])),
        )
        .await;
        let source = source.map_err(upstream)?.ok_or_else(|| {
            Error::retry(
                Origin::UpstreamFe,
                "CCR0301",
                format!("upstream database {} is not there", shell.source_database()),
            )
        })?;
        let target = target.map_err(downstream)?;
        let Some(source) = take(source, source_id)? else {
            return Ok(Looked::SourceGone);
        };
        let target = target
            .and_then(|db| db.tables.into_iter().find(|table| table.id == target_id))
            .ok_or_else(|| {
                Error::blocked(
                    Origin::DownstreamFe,
                    "CCR0302",
                    format!("the target of table {} ({target_id}) was dropped downstream", source.name),
                    "recover the table downstream and resume, or delete the job and create it again",
                )
            })?;
        let route = Arc::new(TableRoute::new(source, target));
        self.tables.lock().insert(source_id, Arc::clone(&route));
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

fn by_id(backends: Vec<Backend>) -> Arc<BackendMap> {
    Arc::new(backends.into_iter().map(|backend| (backend.id, backend)).collect())
}

/// The table, or the proof that it was dropped. An FE that knows which tables were dropped must list it;
/// an answer without the table and without that proof may be a stale one, and is asked for again.
fn take(db: DatabaseMeta, source_id: i64) -> Result<Option<TableMeta>> {
    let proven = is_proven_gone(&db, |db| db.dropped_tables.contains_key(&source_id));
    match db.tables.into_iter().find(|table| table.id == source_id) {
        Some(table) => Ok(Some(table)),
        None if proven => Ok(None),
        None => Err(Error::retry(
            Origin::UpstreamFe,
            "CCR0303",
            format!("table {source_id} is missing in the upstream metadata, but not reported as dropped"),
        )),
    }
}

/// Whether something absent from the metadata was dropped. Old FEs report no drops; with them absence has
/// to do.
pub(crate) fn is_proven_gone(db: &DatabaseMeta, listed: impl Fn(&DatabaseMeta) -> bool) -> bool {
    !db.reports_drops || listed(db)
}
