//! Backup, snapshot transfer and restore.

use doris_thrift::{
    TGetSnapshotRequest, TGetSnapshotResult, TRestoreSnapshotRequest, TSnapshotType, TStatusCode, TTableRef,
};
use doris_types::call::{BackupObjects, BackupTable, RestoreRequest, Snapshot, SnapshotAnswer};
use doris_types::failure::Result;
use doris_types::meta::{RestoredObjects, SnapshotJob};
use doris_types::sql::{qualified_name, quote_identifier, quote_identifiers, quote_string};

use super::binlog::ok;
use crate::cluster::DorisCluster;
use crate::convert::{from_status, malformed};
use crate::gzip;
use crate::round::Nature;
use crate::rows::Row;

/// The repository that keeps snapshots on the backends instead of uploading them.
const LOCAL_REPOSITORY: &str = "__keep_on_local__";
/// Snapshots below this size are sent as they are, which every version understands.
const COMPRESS_FROM: usize = 256 * 1024;
/// Frontends that know this setting take compressed snapshots while it is true.
const COMPRESS_CONFIG: &str = "enable_restore_snapshot_rpc_compression";

impl DorisCluster {
    /// BACKUP to the local repository. Returns at once.
    pub async fn start_backup(&self, database: &str, label: &str, objects: &BackupObjects) -> Result<()> {
        let clause = match objects {
            BackupObjects::All { except } if except.is_empty() => String::new(),
            BackupObjects::All { except } => {
                let names: Vec<String> = except.iter().map(|name| quote_identifier(name)).collect();
                format!(" EXCLUDE ({})", names.join(", "))
            }
            BackupObjects::Listed(tables) => {
                let listed: Vec<String> = tables.iter().map(backup_object).collect();
                format!(" ON ({})", listed.join(", "))
            }
        };
        let sql = format!(
            "BACKUP SNAPSHOT {} TO {}{clause} PROPERTIES (\"type\" = \"full\")",
            qualified_name(database, label),
            quote_identifier(LOCAL_REPOSITORY),
        );
        self.execute(None, &sql).await
    }

    /// The newest backup job of that label, if it is still known.
    pub async fn backup_job(&self, database: &str, label: &str) -> Result<Option<SnapshotJob>> {
        self.snapshot_job("SHOW BACKUP", "SnapshotName", database, label).await
    }

    /// The newest restore job of that label, if it is still known.
    pub async fn restore_job(&self, database: &str, label: &str) -> Result<Option<SnapshotJob>> {
        self.snapshot_job("SHOW RESTORE", "Label", database, label).await
    }

    async fn snapshot_job(
        &self,
        show: &str,
        name: &str,
        database: &str,
        label: &str,
    ) -> Result<Option<SnapshotJob>> {
        let sql =
            format!("{show} FROM {} WHERE {name} = {}", quote_identifier(database), quote_string(label));
        let rows = self.query(None, &sql).await?;
        // Kept jobs are listed oldest first.
        Ok(rows.rows.iter().rev().find(|row| row.get(name) == Some(label)).map(|row| job(row, name)))
    }

    /// The restore jobs of the database that are kept, oldest first, without what they bring, which may be long.
    pub async fn restore_jobs(&self, database: &str) -> Result<Vec<SnapshotJob>> {
        let sql = format!("SHOW BRIEF RESTORE FROM {}", quote_identifier(database));
        Ok(self.query(None, &sql).await?.rows.iter().map(|row| job(row, "Label")).collect())
    }

    /// What a restore job brings; `None` when the job is not kept any more.
    pub async fn restored_objects(
        &self,
        database: &str,
        of: &SnapshotJob,
    ) -> Result<Option<RestoredObjects>> {
        let (db, label) = (quote_identifier(database), quote_string(&of.label));
        let rows = self.query(None, &format!("SHOW RESTORE FROM {db} WHERE Label = {label}")).await?;
        let Some(row) = rows.rows.iter().find(|row| job(row, "Label").id == of.id) else { return Ok(None) };
        let objects = RestoredObjects::parse(&row.text("RestoreObjs"));
        let broken = || malformed("SHOW RESTORE", "", format!("the objects of restore {}", of.label));
        objects.ok_or_else(broken).map(Some)
    }

    /// A finished snapshot, transferred compressed where the FE can and handed out decompressed.
    pub async fn snapshot(&self, database: &str, label: &str) -> Result<SnapshotAnswer> {
        let request = &TGetSnapshotRequest {
            user: self.user(),
            passwd: self.password(),
            db: Some(database.to_owned()),
            label_name: Some(label.to_owned()),
            snapshot_name: Some(String::new()),
            snapshot_type: Some(TSnapshotType::LOCAL),
            enable_compress: Some(true),
            ..Default::default()
        };
        let timeout = self.clients.options.statement_timeout;
        let (result, peer) = self
            .call("getSnapshot", Nature::Reads, timeout, |fe| async move { fe.get_snapshot(request).await })
            .await?;
        let status = result.status.clone().unwrap_or_default();
        match status.status_code {
            TStatusCode::OK => self.unpack(result, &peer).await.map(SnapshotAnswer::Ready),
            TStatusCode::SNAPSHOT_NOT_EXIST => Ok(SnapshotAnswer::NotExist),
            TStatusCode::SNAPSHOT_EXPIRED => Ok(SnapshotAnswer::Expired),
            _ => Err(from_status("getSnapshot", &peer, &status)),
        }
    }

    async fn unpack(&self, result: TGetSnapshotResult, peer: &str) -> Result<Snapshot> {
        let broken = |detail: String| malformed("getSnapshot", peer, detail);
        let missing = || broken("the answer lacks meta or job info".into());
        let mut meta = result.meta.ok_or_else(missing)?;
        let mut job_info = result.job_info.ok_or_else(missing)?;
        if result.compressed == Some(true) {
            let limit = self.clients.options.max_snapshot_size;
            let unpack = move || -> std::io::Result<_> {
                Ok((gzip::decompress(&meta, limit)?, gzip::decompress(&job_info, limit)?))
            };
            (meta, job_info) = blocking(unpack).await.map_err(|error| broken(error.to_string()))?;
        }
        Ok(Snapshot { meta, job_info, commit_seq: result.commit_seq, expires_at_ms: result.expired_at })
    }

    /// Queues a restore; its progress is told by [`DorisCluster::restore_job`].
    pub async fn start_restore(&self, request: &RestoreRequest) -> Result<()> {
        let mut meta = request.snapshot.meta.clone();
        let mut job_info = request.snapshot.job_info.clone();
        let compressed = self.may_compress(meta.len() + job_info.len()).await;
        if compressed {
            let pack =
                move || -> std::io::Result<_> { Ok((gzip::compress(&meta)?, gzip::compress(&job_info)?)) };
            (meta, job_info) = blocking(pack)
                .await
                .map_err(|error| malformed("restoreSnapshot", "", format!("cannot compress: {error}")))?;
        }
        let table_refs = request
            .tables
            .iter()
            .map(|table| TTableRef { table: Some(table.name.clone()), alias_name: table.alias.clone() });
        let rpc = &TRestoreSnapshotRequest {
            user: self.user(),
            passwd: self.password(),
            db: Some(request.database.clone()),
            label_name: Some(request.label.clone()),
            repo_name: Some(LOCAL_REPOSITORY.to_owned()),
            table_refs: (!request.tables.is_empty()).then(|| table_refs.collect()),
            properties: Some(request.properties.clone()),
            meta: Some(meta),
            job_info: Some(job_info),
            clean_tables: Some(request.clean_tables),
            clean_partitions: Some(request.clean_partitions),
            atomic_restore: Some(request.atomic_restore),
            force_replace: Some(request.force_replace),
            compressed: compressed.then_some(true),
            ..Default::default()
        };
        let timeout = self.clients.options.statement_timeout;
        let (result, peer) =
            self.call("restoreSnapshot", Nature::Writes, timeout, |fe| async move {
                fe.restore_snapshot(rpc).await
            })
            .await?;
        ok("restoreSnapshot", &peer, &result.status.unwrap_or_default())
    }

    /// An older FE would not notice the compression and fail on the bytes, so it is asked first. An account
    /// that may not ask sends the snapshot as it is.
    async fn may_compress(&self, size: usize) -> bool {
        if !self.clients.options.compress_restore || size < COMPRESS_FROM {
            return false;
        }
        match self.frontend_config(COMPRESS_CONFIG).await {
            Ok(value) => value.as_deref() == Some("true"),
            Err(failure) => {
                tracing::debug!(%failure, "sending the snapshot without compression");
                false
            }
        }
    }
}

fn job(row: &Row, name: &str) -> SnapshotJob {
    SnapshotJob {
        id: row.get("JobId").and_then(|id| id.parse().ok()).unwrap_or(0),
        label: row.text(name),
        state: row.text("State"),
        status: row.text("Status"),
        progress: row.text("Progress"),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(std::io::Error::other(error)))
}

/// A table as the ON clause of BACKUP names it.
fn backup_object(table: &BackupTable) -> String {
    let name = quote_identifier(&table.name);
    match table.partitions.as_slice() {
        [] => name,
        some => format!("{name} PARTITION ({})", quote_identifiers(some.iter().map(String::as_str))),
    }
}
