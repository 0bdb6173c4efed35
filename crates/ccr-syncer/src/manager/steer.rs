//! What an operator asks of a job beyond its life cycle: passing over a binlog, copying again, and marking
//! the target's tables; and changes of its options.

use std::sync::Arc;

use ccr_core::control::{self, Request};
use ccr_core::job::{ClusterSpec, JobOptions, JobRecord, SyncType};
use ccr_core::ports::Downstream;
use doris_types::call::MetaFilter;
use doris_types::failure::Failure;
use doris_types::sql::{qualified_name, quote_identifier};
use futures::StreamExt;
use tracing::info;

use super::operate::stop;
use super::{Manager, ManagerError, ManagerResult};

/// Tables of a target that are altered at the same time.
const CONCURRENT_TABLES: usize = 8;

impl Manager {
    /// Applies a request to a job, running or paused. It is persisted when this answers.
    ///
    /// The job's task is stopped meanwhile, and started again if the job should run, which also tries again
    /// what was blocked. A request that must be refused leaves the task alone.
    pub async fn steer(self: &Arc<Self>, name: &str, request: Request) -> ManagerResult<()> {
        let (manager, entry) = (Arc::clone(self), self.operable(name)?);
        self.detached(async move {
            let _operation = entry.operation.lock().await;
            let (record, activity) = manager.stored(&entry).await?;
            control::check(&*manager.parts.store, &record, &request).await?;
            stop(&activity).await;
            let applied = manager.apply(&record, &request).await;
            if applied.is_ok() {
                info!(job = %entry.name, ?request, "request of an operator recorded");
            }
            manager.go_on(&entry, record, &activity).await?;
            applied
        })
        .await
    }

    /// Changes options of a job; it goes on with them, which also tries again what was blocked.
    pub async fn update_options(
        self: &Arc<Self>,
        name: &str,
        change: impl FnOnce(&mut JobOptions) + Send + 'static,
    ) -> ManagerResult<()> {
        let (manager, entry) = (Arc::clone(self), self.operable(name)?);
        self.detached(async move {
            let _operation = entry.operation.lock().await;
            let (mut record, activity) = manager.stored(&entry).await?;
            change(&mut record.spec.options);
            record.spec.validate()?;
            manager.parts.store.set_options(&record.id, &record.spec.options).await?;
            info!(job = %entry.name, options = ?record.spec.options, "options changed");
            manager.go_on(&entry, record, &activity).await
        })
        .await
    }

    async fn apply(&self, record: &JobRecord, request: &Request) -> ManagerResult<()> {
        let parts = &self.parts;
        let epoch = parts.store.acquire(&record.id, &parts.owner).await?;
        Ok(control::apply(&*parts.store, record, epoch, request, parts.clock.now_ms()).await?)
    }

    /// Sets the property `is_being_synced` of the target table, or of every table of the target database.
    /// All are tried; the error lists those that failed. That can take long, and nothing waits for it: the
    /// property has nothing to do with what the job's task does.
    pub async fn set_being_synced(self: &Arc<Self>, name: &str, value: bool) -> ManagerResult<()> {
        let (manager, entry) = (Arc::clone(self), self.operable(name)?);
        self.detached(async move {
            let (record, _) = entry.job()?;
            let dest = &record.spec.dest;
            let downstream = manager.parts.connector.downstream(dest);
            let tables = match record.spec.sync_type() {
                SyncType::Table => vec![dest.table.clone()],
                SyncType::Database => target_tables(&*downstream, dest).await?,
            };
            mark(&*downstream, dest, &tables, value).await?;
            info!(job = %entry.name, tables = tables.len(), value, "is_being_synced set");
            Ok(())
        })
        .await
    }
}

/// The tables of the target database, without its views.
async fn target_tables(downstream: &dyn Downstream, dest: &ClusterSpec) -> ManagerResult<Vec<String>> {
    let failed = |failure: Failure| {
        let what = format!("list the tables of target database {}", quote_identifier(&dest.database));
        ManagerError::Cluster { what, failure: Box::new(failure) }
    };
    let meta = downstream.meta(&dest.database, MetaFilter::Names).await.map_err(failed)?;
    let views = downstream.views(&dest.database).await.map_err(failed)?;
    let Some(meta) = meta else {
        let detail = format!("the target has no database {}", quote_identifier(&dest.database));
        return Err(ManagerError::Target(detail));
    };
    Ok(meta.tables.into_iter().map(|table| table.name).filter(|name| !views.contains(name)).collect())
}

async fn mark(
    downstream: &dyn Downstream,
    dest: &ClusterSpec,
    tables: &[String],
    value: bool,
) -> ManagerResult<()> {
    let alter = async |table: &String| {
        let target = qualified_name(&dest.database, table);
        let sql = format!("ALTER TABLE {target} SET (\"is_being_synced\" = \"{value}\")");
        let result = downstream.execute(Some(&dest.database), &sql).await;
        result.err().map(|failure| format!("{}: {failure}", quote_identifier(table)))
    };
    let results: Vec<Option<String>> =
        futures::stream::iter(tables).map(alter).buffered(CONCURRENT_TABLES).collect().await;
    let failures: Vec<String> = results.into_iter().flatten().collect();
    if failures.is_empty() {
        return Ok(());
    }
    let (failed, all, list) = (failures.len(), tables.len(), failures.join("; "));
    Err(ManagerError::Target(format!("{failed} of {all} tables of the target could not be changed: {list}")))
}
