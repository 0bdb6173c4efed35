//! The ports of the engine, over the world.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use ccr_core::ports::{Clock, Cluster, Downstream, Upstream};
use doris_types::call::{
    BackupObjects, BeginAnswer, BeginTxn, BinlogLag, BinlogPage, BinlogScope, CommitTxn, Committed,
    IngestRequest, IngestState, MetaFilter, RestoreRequest, SnapshotAnswer, TxnState,
};
use doris_types::failure::{Cause, Failure, Result};
use doris_types::meta::{Backend, BinlogList, DatabaseMeta, Frontend, RestoredObjects, SnapshotJob};

use super::upstream::view_sql;
use super::upstream_restore::UpstreamRestore;
use super::{Gate, Inner, SOURCE_DB, TARGET_DB, refusal, status};

#[derive(Debug)]
pub struct Source(pub Gate);

#[derive(Debug)]
pub struct Target(pub Gate);

#[derive(Debug)]
pub struct VirtualClock(pub Gate);

#[async_trait]
impl Clock for VirtualClock {
    fn now_ms(&self) -> i64 {
        self.0.world.now_ms()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

#[async_trait]
impl Cluster for Source {
    async fn check_reachable(&self) -> Result<Vec<Frontend>> {
        Ok(Vec::new())
    }

    async fn meta(&self, _database: &str, filter: MetaFilter) -> Result<Option<DatabaseMeta>> {
        let read = self.0.call("source.meta", |world| {
            if world.knows_no_database {
                return Ok(None);
            }
            if world.answers_without_database > 0 {
                world.answers_without_database -= 1;
                return Ok(None);
            }
            let mut meta = world.source.meta(&filter);
            if world.stale_answers > 0 && filter != MetaFilter::Names {
                world.stale_answers -= 1;
                meta.tables.clear();
            }
            if world.answers_empty {
                meta.tables.clear();
            }
            if world.hides_drops {
                meta.reports_drops = false;
                meta.dropped_tables.clear();
                meta.dropped_partitions.clear();
            }
            Ok(Some(meta))
        });
        read.await
    }

    async fn backends(&self) -> Result<Vec<Backend>> {
        self.0.call("source.backends", |world| Ok(world.source.backends.clone())).await
    }

    async fn views(&self, _database: &str) -> Result<Vec<String>> {
        self.0.call("source.views", |world| Ok(world.source.views.keys().cloned().collect())).await
    }

    async fn execute(&self, _database: Option<&str>, sql: &str) -> Result<()> {
        self.0
            .call("source.execute", |world| {
                world.violation(format!("a statement upstream: {sql}"));
                Err(refusal(1105, "not here"))
            })
            .await
    }

    async fn temporary_partitions(&self, _database: &str, table: &str) -> Result<Vec<String>> {
        self.0
            .call("source.temporary_partitions", |world| {
                let found = world.source.table(table);
                let partitions = found.map(|table| table.partitions.iter().filter(|p| p.is_temporary));
                Ok(partitions.into_iter().flatten().map(|partition| partition.name.clone()).collect())
            })
            .await
    }

    /// Only views are asked for.
    async fn show_create_table(&self, _database: &str, table: &str) -> Result<Option<String>> {
        self.0
            .call("source.show_create_table", |world| {
                Ok(world.source.views.get(table).map(|view| view_sql(table, view)))
            })
            .await
    }

    async fn show_create_database(&self, _database: &str) -> Result<Option<String>> {
        Ok(None)
    }

    async fn frontend_config(&self, _key: &str) -> Result<Option<String>> {
        Ok(None)
    }

    async fn frontend_config_of(&self, _frontend: &Frontend, _key: &str) -> Result<Option<String>> {
        Ok(None)
    }

    async fn backend_config(&self, _backend: &Backend, _key: &str) -> Result<Option<String>> {
        Ok(None)
    }
}

#[async_trait]
impl Upstream for Source {
    async fn databases(&self) -> Result<Vec<String>> {
        Ok(vec![SOURCE_DB.to_owned()])
    }

    async fn binlogs(&self, scope: &BinlogScope, after: i64, limit: u8) -> Result<BinlogPage> {
        let read = self.0.call("source.binlogs", |world| {
            if world.knows_no_database {
                return Err(status(2, format!("unknown database, database={SOURCE_DB}")));
            }
            Ok(world.binlogs(scope, after, limit))
        });
        read.await
    }

    async fn binlog_lag(&self, scope: &BinlogScope, _after: i64) -> Result<Option<BinlogLag>> {
        let lag = |world: &mut Inner| {
            let last_commit_seq = world.newest_of(scope);
            let first_commit_seq = world.expired_in(scope).unwrap_or(-1);
            let lag = BinlogLag { last_commit_seq, first_commit_seq, ..BinlogLag::default() };
            Ok((last_commit_seq > 0).then_some(lag))
        };
        self.0.call("source.lag", lag).await
    }

    async fn binlog_lists(&self) -> Result<Vec<BinlogList>> {
        Ok(Vec::new())
    }

    async fn lock_binlogs(&self, _scope: &BinlogScope, _job: &str, _commit_seq: i64) -> Result<()> {
        Ok(())
    }

    async fn start_backup(&self, _database: &str, label: &str, objects: &BackupObjects) -> Result<()> {
        self.0.call("source.start_backup", |world| world.start_backup(label, objects)).await
    }

    async fn backup_job(&self, _database: &str, label: &str) -> Result<Option<SnapshotJob>> {
        let read = self.0.call("source.backup_job", |world| {
            let mut named = world.backups.jobs.iter().rev().filter(|job| job.label == label);
            Ok(named.find_map(|job| world.told(job.job(), &job.course)))
        });
        read.await
    }

    async fn snapshot(&self, _database: &str, label: &str) -> Result<SnapshotAnswer> {
        self.0.call("source.snapshot", |world| Ok(world.snapshot(label))).await
    }

    async fn restore_jobs(&self, _database: &str) -> Result<Vec<SnapshotJob>> {
        let list = |world: &mut Inner| {
            let jobs = world.upstream_restores.seen_at(world.seen_ms).map(UpstreamRestore::job);
            Ok(jobs.filter(|_| !world.answers_empty).collect())
        };
        self.0.call("source.restore_jobs", list).await
    }

    async fn views_by_id(&self, _database: &str, _database_id: i64) -> Result<BTreeMap<i64, String>> {
        let read = self.0.call("source.views_by_id", |world| {
            if world.hides_views {
                return Err(refusal(5001, "Proc path '/dbs/10002' doesn't exist"));
            }
            Ok(world.source.views.iter().map(|(name, view)| (view.id, name.clone())).collect())
        });
        read.await
    }

    async fn restored_objects(&self, _database: &str, job: &SnapshotJob) -> Result<Option<RestoredObjects>> {
        let read = self.0.call("source.restored_objects", |world| {
            let mut known = world.upstream_restores.seen_at(world.seen_ms);
            let found = known.find(|restore| restore.id == job.id && !world.answers_empty);
            Ok(found.map(UpstreamRestore::objects))
        });
        read.await
    }

    async fn token(&self) -> Result<String> {
        self.0.call("source.token", |_| Ok("secret".to_owned())).await
    }
}

#[async_trait]
impl Cluster for Target {
    async fn check_reachable(&self) -> Result<Vec<Frontend>> {
        Ok(Vec::new())
    }

    async fn meta(&self, _database: &str, filter: MetaFilter) -> Result<Option<DatabaseMeta>> {
        let read = self.0.call("target.meta", |world| {
            if world.target_is_silent {
                return Err(Cause::Lost { detail: "no answer in time".to_owned() });
            }
            let mut meta = world.target.meta(&filter);
            if world.answers_empty {
                meta.tables.clear();
            }
            Ok(Some(meta))
        });
        read.await
    }

    async fn backends(&self) -> Result<Vec<Backend>> {
        self.0.call("target.backends", |world| Ok(world.target.backends.clone())).await
    }

    async fn views(&self, _database: &str) -> Result<Vec<String>> {
        self.0.call("target.views", |world| Ok(world.target.views.keys().cloned().collect())).await
    }

    async fn execute(&self, _database: Option<&str>, sql: &str) -> Result<()> {
        self.0.call("target.execute", |world| world.execute(sql)).await
    }

    async fn temporary_partitions(&self, _database: &str, table: &str) -> Result<Vec<String>> {
        self.0
            .call("target.temporary_partitions", |world| {
                let found = world.target.table(table);
                let partitions = found.map(|table| table.partitions.iter().filter(|p| p.is_temporary));
                Ok(partitions.into_iter().flatten().map(|partition| partition.name.clone()).collect())
            })
            .await
    }

    async fn show_create_table(&self, _database: &str, table: &str) -> Result<Option<String>> {
        self.0
            .call("target.show_create_table", |world| {
                if let Some(view) = world.target.views.get(table) {
                    let (source, target) = (format!("`{}`", SOURCE_DB), format!("`{}`", TARGET_DB));
                    return Ok(Some(view_sql(table, view).replace(&source, &target)));
                }
                Ok(world.target.table(table).map(|found| {
                    let columns: Vec<String> =
                        found.columns.iter().map(|name| format!("`{name}` int")).collect();
                    format!("CREATE TABLE `{table}` (\n  {}\n) ENGINE=OLAP", columns.join(",\n  "))
                }))
            })
            .await
    }

    async fn show_create_database(&self, _database: &str) -> Result<Option<String>> {
        Ok(None)
    }

    async fn frontend_config(&self, _key: &str) -> Result<Option<String>> {
        Ok(None)
    }

    async fn frontend_config_of(&self, _frontend: &Frontend, _key: &str) -> Result<Option<String>> {
        Ok(None)
    }

    async fn backend_config(&self, _backend: &Backend, _key: &str) -> Result<Option<String>> {
        Ok(None)
    }
}

#[async_trait]
impl Downstream for Target {
    async fn begin_txn(&self, request: &BeginTxn) -> Result<BeginAnswer> {
        self.0.call("target.begin", |world| world.begin(request)).await
    }

    async fn commit_txn(&self, request: &CommitTxn) -> Result<Committed> {
        self.0.call("target.commit", |world| world.commit(request)).await
    }

    async fn txn_state(&self, _database: &str, txn_id: i64) -> Result<Option<TxnState>> {
        self.0.call("target.txn_state", |world| Ok(world.txn_state(txn_id))).await
    }

    async fn rollback_txn(&self, _database: &str, txn_id: i64, _reason: &str) -> Result<()> {
        self.0.call("target.rollback", |world| world.rollback(txn_id)).await
    }

    async fn ingest(&self, backend: &Backend, request: &IngestRequest) -> Result<IngestState> {
        self.reach(backend)?;
        self.0.call("target.ingest", |world| world.ingest(backend, request)).await
    }

    async fn query_ingest(&self, backend: &Backend, request: &IngestRequest) -> Result<IngestState> {
        self.reach(backend)?;
        self.0.call("target.query_ingest", |world| Ok(world.query_ingest(backend, request))).await
    }

    async fn start_restore(&self, request: &RestoreRequest) -> Result<()> {
        self.0.call("target.start_restore", |world| world.start_restore(request)).await
    }

    async fn restore_job(&self, _database: &str, label: &str) -> Result<Option<SnapshotJob>> {
        let read = self.0.call("target.restore_job", |world| {
            let mut named = world.restores.jobs.iter().rev().filter(|job| job.label == label);
            Ok(named.find_map(|job| world.told(job.job(), &job.course)))
        });
        read.await
    }
}

impl Target {
    fn reach(&self, backend: &Backend) -> Result<()> {
        if self.0.world.inner.lock().dead_targets.contains(&backend.id) {
            let cause = Cause::Connect { detail: "connection refused".to_owned() };
            return Err(Failure::new("ingest_binlog", format!("{}:9060", backend.host), cause));
        }
        Ok(())
    }
}
