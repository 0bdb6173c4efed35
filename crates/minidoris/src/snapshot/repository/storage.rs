//! The contents of all repositories, by location, shared by the clusters of the process.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// A file of a tablet's snapshot: name and bytes.
pub(crate) type StoredFile = (String, Bytes);

/// A finished snapshot as it lies in a repository.
#[derive(Debug, PartialEq)]
pub(crate) struct StoredSnapshot {
    /// The payloads that `getSnapshot` would send.
    pub meta: Vec<u8>,
    pub job_info: Vec<u8>,
    /// By the id of the tablet in the cluster that wrote it.
    pub tablets: BTreeMap<i64, Vec<StoredFile>>,
}

/// Which snapshot of which repository.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct StoredPlace {
    /// The name that the cluster gives the repository.
    pub repository: String,
    pub location: String,
    pub label: String,
    /// `yyyy-MM-dd-HH-mm-ss`, empty until the snapshot has one.
    pub timestamp: String,
}

impl StoredPlace {
    /// What a missing description is refused with.
    pub fn missing(&self) -> String {
        format!(
            "Expected one file with path: {}/__palo_repository_{}/__ss_{}/__info_{}. get: 0",
            self.location, self.repository, self.label, self.timestamp
        )
    }
}

/// Label and timestamp.
type Name = (String, String);

static LOCATIONS: Mutex<BTreeMap<String, BTreeMap<Name, Arc<StoredSnapshot>>>> = Mutex::new(BTreeMap::new());

/// (label, timestamp) of every snapshot of a location, sorted.
pub(crate) fn list(location: &str) -> Vec<Name> {
    LOCATIONS.lock().get(location).into_iter().flat_map(BTreeMap::keys).cloned().collect()
}

pub(crate) fn find(place: &StoredPlace) -> Option<Arc<StoredSnapshot>> {
    let name = (place.label.clone(), place.timestamp.clone());
    LOCATIONS.lock().get(&place.location)?.get(&name).cloned()
}

pub(crate) fn put(place: &StoredPlace, snapshot: Arc<StoredSnapshot>) {
    let name = (place.label.clone(), place.timestamp.clone());
    LOCATIONS.lock().entry(place.location.clone()).or_default().insert(name, snapshot);
}
