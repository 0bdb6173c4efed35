//! The work of `ingest_binlog` after its checks: fetch a version of an upstream tablet and stage it.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::data::{IndexFile, Rowset, RowsetMeta};

use super::{Backend, BackendError, Committed, LoadId};

/// One checked request.
#[derive(Debug, Clone)]
pub struct IngestTask {
    pub txn_id: i64,
    pub remote_tablet_id: i64,
    pub binlog_version: i64,
    pub remote_host: String,
    /// HTTP port of the upstream backend, as text.
    pub remote_port: String,
    pub partition_id: i64,
    pub local_tablet_id: i64,
    pub load_id: LoadId,
}

/// The workers of the asynchronous mode.
#[derive(Debug, Default)]
pub(super) struct Pool {
    workers: Mutex<Option<(i64, Arc<Semaphore>)>>,
}

impl Pool {
    fn of_size(&self, size: i64) -> Arc<Semaphore> {
        let mut workers = self.workers.lock();
        match &*workers {
            Some((current, semaphore)) if *current == size => Arc::clone(semaphore),
            _ => {
                let cores = std::thread::available_parallelism().map_or(1, usize::from);
                let permits = if size == 0 { cores } else { usize::try_from(size).unwrap_or(1) };
                let semaphore = Arc::new(Semaphore::new(permits));
                *workers = Some((size, Arc::clone(&semaphore)));
                semaphore
            }
        }
    }
}

impl Backend {
    /// Whether `ingest_binlog` answers before the work is done.
    pub fn ingests_async(&self) -> bool {
        self.config.number("ingest_binlog_work_pool_size") >= 0
    }

    /// Waits for a worker, then ingests. A failure is logged and marks the local transaction.
    pub async fn ingest_queued(&self, task: IngestTask) {
        let pool = self.ingest_pool.of_size(self.config.number("ingest_binlog_work_pool_size"));
        let Ok(_permit) = pool.acquire_owned().await else { return };
        if let Err(error) = self.ingest(&task).await {
            tracing::debug!(backend = self.id, tablet = task.local_tablet_id, %error, "ingest failed");
        }
    }

    /// Fetches and stages. On failure the local transaction becomes ABORTED.
    pub async fn ingest(&self, task: &IngestTask) -> Result<(), BackendError> {
        let key = (task.txn_id, task.partition_id, task.local_tablet_id);
        let staged = match self.fetch_rowset(task).await {
            Ok(rowset) => match self.txns.commit(key, Arc::new(rowset)) {
                Committed::Stored | Committed::AlreadyExists => Ok(()),
                Committed::NoTransaction => {
                    Err(BackendError::Internal(format!("transaction does not exist, txn_id={}", task.txn_id)))
                }
            },
            Err(error) => Err(error),
        };
        if staged.is_err() {
            self.txns.fail(key);
        }
        staged
    }

    async fn fetch_rowset(&self, task: &IngestTask) -> Result<Rowset, BackendError> {
        let tablet = self.tablet(task.local_tablet_id)?;
        let base = format!("http://{}:{}/api/_binlog/_download", task.remote_host, task.remote_port);
        let (tablet_id, version) = (task.remote_tablet_id, task.binlog_version);

        let url = format!("{base}?method=get_binlog_info&tablet_id={tablet_id}&binlog_version={version}");
        let info = self.fetch_small(&url).await?;
        let (rowset_id, segments) = parse_info(&String::from_utf8_lossy(&info))?;

        let url = format!(
            "{base}?method=get_rowset_meta&tablet_id={tablet_id}&rowset_id={rowset_id}&binlog_version={version}"
        );
        let meta = self.fetch_small(&url).await?;
        let source = RowsetMeta::decode(&meta)
            .map_err(|error| BackendError::Internal(format!("failed to parse rowset meta: {error}")))?;

        let mut sizes = Vec::new();
        let mut urls = Vec::new();
        for segment in 0..segments {
            let url = format!(
                "{base}?method=get_segment_file&tablet_id={tablet_id}&rowset_id={rowset_id}&segment_index={segment}"
            );
            sizes.push(self.fetch_size(&url).await?);
            urls.push(url);
        }
        self.check_room(&sizes)?;
        let segment_files = self.fetch_files(&urls, &sizes).await?;

        // Which index files there are follows from the schema in the meta.
        let (mut index_sizes, mut urls) = (Vec::new(), Vec::new());
        let count = usize::try_from(segments).unwrap_or(usize::MAX);
        for IndexFile { segment, index_id } in source.inverted_indexes.files(count) {
            let url = format!(
                "{base}?method=get_segment_index_file&tablet_id={tablet_id}&rowset_id={rowset_id}\
                 &segment_index={segment}&segment_index_id={index_id}"
            );
            index_sizes.push(self.fetch_size(&url).await?);
            urls.push(url);
        }
        let all_sizes: Vec<u64> = sizes.iter().chain(&index_sizes).copied().collect();
        self.check_room(&all_sizes)?;
        let index_files = self.fetch_files(&urls, &index_sizes).await?;

        let own = self.new_meta(&tablet, task.txn_id, task.partition_id);
        let meta = RowsetMeta {
            num_rows: source.num_rows,
            segment_sizes: sizes,
            inverted_indexes: source.inverted_indexes,
            index_file_sizes: index_sizes,
            delete_predicate: source.delete_predicate,
            source_rowset_id: Some(source.rowset_id),
            source_tablet_id: Some(tablet_id),
            ..own
        };
        Ok(Rowset { meta, segments: segment_files, index_files })
    }

    /// Whether files of these sizes fit on the disk.
    fn check_room(&self, sizes: &[u64]) -> Result<(), BackendError> {
        match u64::try_from(self.config.number("minidoris_free_bytes")) {
            Ok(free) if sizes.iter().sum::<u64>() > free => {
                Err(BackendError::Internal("no enough space".to_owned()))
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// GETs files of known sizes, with their digests when the setting asks for them.
    async fn fetch_files(&self, urls: &[String], sizes: &[u64]) -> Result<Vec<Bytes>, BackendError> {
        let md5 = self.config.flag("enable_download_md5sum_check");
        let mut files = Vec::with_capacity(urls.len());
        for (url, size) in urls.iter().zip(sizes) {
            let url = if md5 { format!("{url}&acquire_md5=true") } else { url.clone() };
            files.push(self.fetch_file(&url, *size).await?);
        }
        Ok(files)
    }
}

/// `<rowset id>:<number of segments>`.
fn parse_info(info: &str) -> Result<(String, u64), BackendError> {
    let mut parts = info.split(':');
    let (Some(rowset_id), Some(count), None) = (parts.next(), parts.next(), parts.next()) else {
        return Err(BackendError::Runtime(format!("failed to parse binlog info into 2 parts: {info}")));
    };
    let count = count.parse().map_err(|_| {
        BackendError::Runtime(format!("failed to parse num segments from binlog info: {info}"))
    })?;
    Ok((rowset_id.to_owned(), count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binlog_infos_have_exactly_one_colon() {
        assert_eq!(parse_info("02ab:3"), Ok(("02ab".to_owned(), 3)));
        for text in ["", "02ab", "a:1:2"] {
            let error = parse_info(text).unwrap_err().to_string();
            assert!(error.starts_with("failed to parse binlog info into 2 parts"), "{error}");
        }
        assert!(parse_info("a:-1").unwrap_err().to_string().starts_with("failed to parse num segments"));
    }
}
