//! getSnapshot, restoreSnapshot.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::SocketAddr;

use doris_thrift::{
    TGetSnapshotRequest, TGetSnapshotResult, TRestoreSnapshotRequest, TRestoreSnapshotResult, TSnapshotType,
    TStatus, TStatusCode,
};
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::auth::{Caller, check_password_unless_token};
use super::{Refusal, required};
use crate::access::Wanted;
use crate::cluster::ClusterInner;
use crate::release::Release;
use crate::snapshot::{
    LocalSnapshot, RestoreRequest, SnapshotLookup, TableReference, find_snapshot, submit_restore,
    wait_to_submit,
};
use crate::state::FeState;

/// Plain payloads must stay below this together.
const LARGEST_PLAIN: usize = i32::MAX as usize;
/// What a payload may become when it is unpacked.
const LARGEST_UNPACKED: u64 = 4 << 30;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

pub(super) fn get(
    cluster: &ClusterInner,
    peer: SocketAddr,
    req: &TGetSnapshotRequest,
) -> Result<TGetSnapshotResult, Refusal> {
    let user = required(req.user.as_deref(), "user")?;
    let password = required(req.passwd.as_deref(), "passwd")?;
    let db = required(req.db.as_deref(), "db")?;
    let label = required(req.label_name.as_deref(), "label_name")?;
    required(req.snapshot_name.as_deref(), "snapshot_name")?;
    if required(req.snapshot_type, "snapshot_type")? != TSnapshotType::LOCAL {
        return Err(Refusal::user("snapshot_type is not LOCAL"));
    }
    let snapshot = {
        let state = cluster.fe.lock();
        let ip = peer.ip().to_string();
        check_password_unless_token(&state, Caller { user, password, ip: Some(&ip) }, req.token.as_ref())?
            .on_table(&state, db, req.table.as_deref(), Wanted::SELECT)?;
        match find_snapshot(&state, label, cluster.clock.now_ms()) {
            SnapshotLookup::Missing => {
                let text = format!("snapshot {label} not exist");
                return Err(Refusal::new(TStatusCode::SNAPSHOT_NOT_EXIST, text));
            }
            SnapshotLookup::Expired => {
                let text = format!("snapshot {label} is expired");
                return Err(Refusal::new(TStatusCode::SNAPSHOT_EXPIRED, text));
            }
            SnapshotLookup::Found(snapshot) => snapshot,
        }
    };
    payloads(&snapshot, label, req.enable_compress == Some(true))
}

fn payloads(snapshot: &LocalSnapshot, label: &str, compress: bool) -> Result<TGetSnapshotResult, Refusal> {
    let (meta, job_info) = (&snapshot.meta, &snapshot.job_info);
    let bytes = meta.len() + job_info.len() + snapshot.claimed_bytes;
    if bytes >= LARGEST_PLAIN && !compress {
        return Err(Refusal::internal(format!(
            "Snapshot {label} is too large ({bytes} bytes > 2GB). Please enable compression to continue."
        )));
    }
    let packed = |bytes: &[u8]| if compress { gzip(bytes) } else { bytes.to_vec() };
    Ok(TGetSnapshotResult {
        status: Some(TStatus::ok()),
        meta: Some(packed(meta)),
        job_info: Some(packed(job_info)),
        master_address: None,
        compressed: compress.then_some(true),
        expired_at: Some(snapshot.expires_at),
        commit_seq: Some(snapshot.commit_seq),
    })
}

pub(super) async fn restore(
    cluster: &ClusterInner,
    peer: SocketAddr,
    req: &TRestoreSnapshotRequest,
) -> Result<TRestoreSnapshotResult, Refusal> {
    let user = required(req.user.as_deref(), "user")?;
    let password = required(req.passwd.as_deref(), "passwd")?;
    let db = required(req.db.as_deref(), "db")?;
    let label = required(req.label_name.as_deref(), "label_name")?;
    let repository = required(req.repo_name.as_deref(), "repo_name")?;
    let meta = required(req.meta.as_deref(), "meta")?;
    let job_info = required(req.job_info.as_deref(), "job_info")?;
    let (unpacks, release) = {
        let state = cluster.fe.lock();
        let ip = peer.ip().to_string();
        check_password_unless_token(&state, Caller { user, password, ip: Some(&ip) }, req.token.as_ref())?
            .on_database(&state, db, Wanted::LOAD)?;
        (accepts_compressed(&state), state.release)
    };
    let properties = properties(req, release)?;

    let looks_packed = meta.starts_with(&GZIP_MAGIC) || job_info.starts_with(&GZIP_MAGIC);
    let is_packed = req.compressed == Some(true);
    if looks_packed && !(is_packed && unpacks) {
        return Err(Refusal::user(
            "The request is compressed, but the config `enable_restore_snapshot_rpc_compressed` is not enabled.",
        ));
    }
    let unpacked = |bytes: &[u8]| {
        if is_packed {
            gunzip(bytes).map_err(|_| Refusal::user("decompress meta and job info failed"))
        } else {
            Ok(bytes.to_vec())
        }
    };
    let (meta, job_info) = (unpacked(meta)?, unpacked(job_info)?);
    let Some((meta, job_info)) = RestoreRequest::parse_payloads(&meta, &job_info) else {
        return Err(Refusal::user("deserialize meta and job info failed"));
    };
    let table_refs = req.table_refs.iter().flatten().map(|one| TableReference {
        table: one.table.clone().unwrap_or_default(),
        partitions: None,
        alias: one.alias_name.clone().filter(|alias| !alias.is_empty()),
    });
    let request = RestoreRequest {
        db: db.to_owned(),
        label: label.to_owned(),
        repository: repository.to_owned(),
        table_refs: table_refs.collect(),
        properties,
        job_info,
        meta,
    };
    let command = request.command();
    wait_to_submit(cluster)
        .await
        .map_err(|error| Refusal::user(format!("{}, command: {command}", error.message)))?;
    submit_restore(cluster, request)
        .map_err(|error| Refusal::user(format!("{}, command: {command}", error.message)))?;
    Ok(TRestoreSnapshotResult { status: Some(TStatus::ok()), ..TRestoreSnapshotResult::default() })
}

/// On unless switched off.
fn accepts_compressed(state: &FeState) -> bool {
    let name = "enable_restore_snapshot_rpc_compression";
    !state.config.contains_key(name) || state.config_flag(name)
}

/// The request's map with its flags written into it.
fn properties(req: &TRestoreSnapshotRequest, release: Release) -> Result<BTreeMap<String, String>, Refusal> {
    let flags = [
        ("clean_tables", req.clean_tables),
        ("clean_partitions", req.clean_partitions),
        ("atomic_restore", req.atomic_restore),
        // A field that an old frontend does not know.
        ("force_replace", req.force_replace.filter(|_| !release.is_old())),
    ];
    let set: Vec<(&str, bool)> = flags.into_iter().filter_map(|(name, flag)| Some((name, flag?))).collect();
    let mut properties = match &req.properties {
        Some(properties) => properties.clone(),
        // The frontend writes into a map that does not exist.
        None if set.iter().any(|(_, flag)| *flag) => return Err(Refusal::internal("")),
        None => BTreeMap::new(),
    };
    for (name, flag) in set.into_iter().filter(|(_, flag)| *flag) {
        properties.insert(name.to_owned(), flag.to_string());
    }
    properties.insert("is_being_synced".to_owned(), "true".to_owned());
    Ok(properties)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("writing to memory cannot fail")
}

fn gunzip(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut unpacked = Vec::new();
    MultiGzDecoder::new(bytes).take(LARGEST_UNPACKED).read_to_end(&mut unpacked)?;
    Ok(unpacked)
}
