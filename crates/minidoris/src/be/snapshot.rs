//! Snapshots of tablets as files, and fetching those of another cluster.
//!
//! A snapshot is `<data dir>/snapshot/<time>.<n>.<timeout>/<tablet>/<schema hash>/` with the segment files,
//! the files of their inverted indexes and one `<tablet>.hdr` that lists the rowsets. The first part, up to the timeout, is the path that
//! frontends hand around.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use crate::data::codec::{self, CodecError, Reader};
use crate::data::{Rowset, RowsetMeta};

use super::{Backend, BackendError, Tablet};

const MAGIC: &[u8; 4] = b"MDH1";

/// What a restore asks a backend to fetch.
#[derive(Debug, Clone)]
pub struct DownloadTask {
    pub local_tablet_id: i64,
    pub remote_tablet_id: i64,
    pub remote_host: String,
    pub remote_http_port: u16,
    /// The path of `tablet_snapshot_path_map`; `/<tablet>/<schema hash>` is appended unless it ends so.
    pub remote_path: String,
    pub remote_schema_hash: i32,
    /// The upstream cluster's token.
    pub token: String,
}

#[derive(Debug, Default)]
pub(super) struct Snapshots {
    next: AtomicU64,
}

/// The version and rowsets of a snapshot.
#[derive(Debug, Clone, PartialEq)]
struct Header {
    version: i64,
    rowsets: Vec<RowsetMeta>,
}

static DIRECTORIES: AtomicU64 = AtomicU64::new(0);

/// A directory that no other backend of this or another process uses.
pub(super) fn own_directory(id: i64) -> PathBuf {
    let number = DIRECTORIES.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("minidoris-{}-{number}-be-{id}", std::process::id()))
}

impl Backend {
    /// Writes the files of a tablet at a version and returns the path prefix for job infos.
    /// `expire_at_ms` is in milliseconds since the epoch.
    pub fn make_snapshot(
        &self,
        tablet_id: i64,
        version: i64,
        expire_at_ms: i64,
    ) -> Result<String, BackendError> {
        let tablet = self.tablet(tablet_id)?;
        let rowsets = tablet.rowsets_at(version)?;
        let now = jiff::Zoned::now();
        let timeout = (expire_at_ms / 1000 - now.timestamp().as_second()).max(0);
        let prefix = loop {
            let number = self.snapshots.next.fetch_add(1, Ordering::Relaxed);
            let name = format!("{}.{number}.{timeout}", now.strftime("%Y%m%d%H%M%S"));
            let prefix = self.data_dir.join("snapshot").join(name);
            // One of before a restart within this second.
            if !prefix.exists() {
                break prefix;
            }
        };
        let directory = prefix.join(tablet_id.to_string()).join(tablet.schema_hash.to_string());
        let failed = |error: std::io::Error| {
            BackendError::Internal(format!("make snapshot of tablet {tablet_id}: {error}"))
        };
        std::fs::create_dir_all(&directory).map_err(failed)?;
        let mut header = Header { version, rowsets: Vec::new() };
        for (_, rowset) in &rowsets {
            for (index, bytes) in rowset.segments.iter().enumerate() {
                let file = directory.join(segment_name(&rowset.meta.rowset_id, index));
                std::fs::write(file, bytes).map_err(failed)?;
            }
            for (file, bytes) in rowset.meta.index_files().into_iter().zip(&rowset.index_files) {
                let file = directory.join(file.name(&rowset.meta.rowset_id));
                std::fs::write(file, bytes).map_err(failed)?;
            }
            header.rowsets.push(rowset.meta.clone());
        }
        std::fs::write(directory.join(format!("{tablet_id}.hdr")), header.encode()).map_err(failed)?;
        Ok(prefix.to_string_lossy().into_owned())
    }

    /// Removes the files of a snapshot; a path that is no snapshot of this backend is ignored.
    pub fn release_snapshot(&self, path: &str) {
        let path = Path::new(path);
        if path.parent() == Some(&self.data_dir.join("snapshot")) {
            // Released twice, or never written: nothing is left to remove.
            let _ = std::fs::remove_dir_all(path);
        }
    }

    /// Fetches a snapshot over HTTP and lays it beside the local tablet's data; see [`Tablet::take_fetched`].
    pub async fn download_snapshot(&self, task: DownloadTask) -> Result<(), BackendError> {
        self.tablet(task.local_tablet_id)?;
        let tail = format!("/{}/{}", task.remote_tablet_id, task.remote_schema_hash);
        let path = task.remote_path.trim_end_matches('/');
        let directory = if path.ends_with(&tail) { path.to_owned() } else { format!("{path}{tail}") };
        let url = |file: &str| {
            let query = [("token", task.token.as_str()), ("file", file), ("channel", "ingest_binlog")];
            let query: Vec<String> =
                query.iter().map(|(name, value)| format!("{name}={}", encode_query(value))).collect();
            let (host, port) = (&task.remote_host, task.remote_http_port);
            format!("http://{host}:{port}/api/_tablet/_download?{}", query.join("&"))
        };
        let listing = self.fetch_small(&url(&format!("{directory}/"))).await?;
        let listing = String::from_utf8_lossy(&listing).into_owned();
        let names: Vec<&str> = listing.lines().filter(|line| !line.is_empty()).collect();
        if !names.iter().any(|name| name.ends_with(".hdr")) {
            let text = format!("can't find hdr file in remote snapshot path: {directory}");
            return Err(BackendError::Internal(text));
        }
        let mut sizes = Vec::with_capacity(names.len());
        for name in &names {
            sizes.push(self.fetch_size(&url(&format!("{directory}/{name}"))).await?);
        }
        let mut files = Vec::with_capacity(names.len());
        for (name, size) in names.iter().zip(sizes) {
            let bytes = self.fetch_file(&url(&format!("{directory}/{name}")), size).await?;
            files.push(((*name).to_owned(), bytes));
        }
        self.install_snapshot(task.local_tablet_id, &files)
    }

    /// The files of one tablet's snapshot, for a repository.
    pub fn read_snapshot(
        &self,
        path: &str,
        tablet_id: i64,
        schema_hash: i32,
    ) -> Result<Vec<(String, Bytes)>, BackendError> {
        let directory = Path::new(path).join(tablet_id.to_string()).join(schema_hash.to_string());
        let failed =
            |error: std::io::Error| BackendError::Internal(format!("read {}: {error}", directory.display()));
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let bytes = std::fs::read(entry.path()).map_err(failed)?;
            files.push((entry.file_name().to_string_lossy().into_owned(), Bytes::from(bytes)));
        }
        files.sort();
        Ok(files)
    }

    /// Lays the files that [`Self::read_snapshot`] gave, here or in another cluster, beside a tablet's data.
    pub fn install_snapshot(&self, tablet_id: i64, files: &[(String, Bytes)]) -> Result<(), BackendError> {
        let tablet = self.tablet(tablet_id)?;
        let missing =
            |what: &str| BackendError::Internal(format!("snapshot of tablet {tablet_id} lacks {what}"));
        let header = files.iter().find(|(name, _)| name.ends_with(".hdr"));
        let (_, header) = header.ok_or_else(|| missing("its hdr file"))?;
        let header = Header::decode(header)
            .map_err(|error| BackendError::Internal(format!("failed to read snapshot header: {error}")))?;
        let mut rowsets = Vec::new();
        for meta in header.rowsets {
            let content = |wanted: String| {
                let file = files.iter().find(|(name, _)| *name == wanted);
                file.map(|(_, bytes)| bytes.clone()).ok_or_else(|| missing(&wanted))
            };
            let segments = (0..meta.segment_sizes.len())
                .map(|index| content(segment_name(&meta.rowset_id, index)))
                .collect::<Result<_, _>>()?;
            let index_files = meta
                .index_files()
                .into_iter()
                .map(|file| content(file.name(&meta.rowset_id)))
                .collect::<Result<_, _>>()?;
            rowsets.push(Rowset { meta, segments, index_files });
        }
        tablet.lay_aside(header.version, self.adopted(&tablet, rowsets));
        Ok(())
    }

    /// The rowsets of another tablet as those of this one, under ids of this backend.
    fn adopted(&self, tablet: &Tablet, rowsets: Vec<Rowset>) -> Vec<Arc<Rowset>> {
        let adopt = |rowset: Rowset| {
            let meta = rowset.meta;
            let own = self.new_meta(tablet, meta.txn_id, tablet.partition_id);
            let meta = RowsetMeta {
                rowset_id: own.rowset_id,
                tablet_id: own.tablet_id,
                partition_id: own.partition_id,
                schema_hash: own.schema_hash,
                ..meta
            };
            Arc::new(Rowset { meta, ..rowset })
        };
        rowsets.into_iter().map(adopt).collect()
    }
}

fn segment_name(rowset_id: &str, index: usize) -> String {
    format!("{rowset_id}_{index}.dat")
}

/// Percent-encodes a query value, slashes kept.
fn encode_query(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

impl Header {
    fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        codec::put_signed(&mut body, i128::from(self.version));
        codec::put_unsigned(&mut body, self.rowsets.len() as u128);
        for meta in &self.rowsets {
            let bytes = meta.encode();
            codec::put_unsigned(&mut body, bytes.len() as u128);
            body.extend_from_slice(&bytes);
        }
        codec::seal(MAGIC, &body)
    }

    fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut reader = Reader::new(codec::unseal(MAGIC, "snapshot header", bytes)?);
        let version = reader.i64()?;
        let mut rowsets = Vec::new();
        for _ in 0..reader.count()? {
            let length = reader.count()?;
            rowsets.push(RowsetMeta::decode(reader.take(length)?)?);
        }
        Ok(Self { version, rowsets })
    }
}
