//! Repositories of a cluster that keeps its state: one file per snapshot that it uploaded.
//!
//! Four bytes of length, a JSON head that says what follows, then meta, job info and the tablets' files.

use std::collections::BTreeMap;
use std::io::{Error, ErrorKind, Result};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::storage::{self, StoredFile, StoredPlace, StoredSnapshot};
use crate::be::md5_hex;

const SUFFIX: &str = "snapshot";

#[derive(Debug, Serialize, Deserialize)]
struct Head {
    place: StoredPlace,
    meta: usize,
    job_info: usize,
    /// Tablet, file name, length.
    files: Vec<(i64, String, usize)>,
}

/// Writes a snapshot under `directory`; a process that dies on the way leaves nothing that is read again.
pub(crate) fn save(directory: &Path, place: &StoredPlace, snapshot: &StoredSnapshot) -> Result<()> {
    std::fs::create_dir_all(directory)?;
    let name = md5_hex(format!("{}\n{}\n{}", place.location, place.label, place.timestamp).as_bytes());
    let unfinished = directory.join(format!("{name}.part"));
    std::fs::write(&unfinished, encode(place, snapshot))?;
    std::fs::rename(unfinished, directory.join(format!("{name}.{SUFFIX}")))
}

/// Makes every snapshot under `directory` known to the process.
pub(crate) fn load(directory: &Path) -> Result<()> {
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == SUFFIX) {
            let bytes = Bytes::from(std::fs::read(&path)?);
            let (place, snapshot) = decode(bytes).ok_or_else(|| {
                Error::new(ErrorKind::InvalidData, format!("{} is damaged", path.display()))
            })?;
            storage::put(&place, Arc::new(snapshot));
        }
    }
    Ok(())
}

fn encode(place: &StoredPlace, snapshot: &StoredSnapshot) -> Vec<u8> {
    let files = snapshot.tablets.iter().flat_map(|(id, files)| files.iter().map(move |file| (*id, file)));
    let head = Head {
        place: place.clone(),
        meta: snapshot.meta.len(),
        job_info: snapshot.job_info.len(),
        files: files.clone().map(|(id, (name, bytes))| (id, name.clone(), bytes.len())).collect(),
    };
    let head = serde_json::to_vec(&head).expect("a head has string keys only");
    let mut out = Vec::new();
    out.extend(u32::try_from(head.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend(head);
    out.extend(&snapshot.meta);
    out.extend(&snapshot.job_info);
    for (_, (_, bytes)) in files {
        out.extend_from_slice(bytes);
    }
    out
}

/// `None` when the bytes are not what [`encode`] makes.
fn decode(mut bytes: Bytes) -> Option<(StoredPlace, StoredSnapshot)> {
    let mut take = |length: usize| (length <= bytes.len()).then(|| bytes.split_to(length));
    let length = u32::from_be_bytes(take(4)?.as_ref().try_into().ok()?);
    let head: Head = serde_json::from_slice(&take(usize::try_from(length).ok()?)?).ok()?;
    let meta = take(head.meta)?.to_vec();
    let job_info = take(head.job_info)?.to_vec();
    let mut tablets: BTreeMap<i64, Vec<StoredFile>> = BTreeMap::new();
    for (tablet, name, length) in head.files {
        tablets.entry(tablet).or_default().push((name, take(length)?));
    }
    bytes.is_empty().then_some((head.place, StoredSnapshot { meta, job_info, tablets }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_survive_and_torn_ones_are_refused() {
        let place = StoredPlace {
            repository: "r".to_owned(),
            location: "s3://bucket/x".to_owned(),
            label: "l".to_owned(),
            timestamp: "2026-01-01-00-00-00".to_owned(),
        };
        let file = |name: &str| (name.to_owned(), Bytes::from(name.repeat(3)));
        let snapshot = StoredSnapshot {
            meta: b"meta".to_vec(),
            job_info: b"{}".to_vec(),
            tablets: [(7, vec![file("a"), file("b")]), (9, vec![file("c")])].into(),
        };
        let encoded = encode(&place, &snapshot);
        assert_eq!(decode(Bytes::from(encoded.clone())), Some((place, snapshot)));
        for end in 0..encoded.len() {
            assert!(decode(Bytes::copy_from_slice(&encoded[..end])).is_none());
        }
    }
}
