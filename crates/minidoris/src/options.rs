//! How an emulated cluster is set up.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::release::Release;

/// Everything that is fixed when a cluster starts. All fields have defaults, so a configuration file
/// names only what differs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClusterOptions {
    pub name: String,
    /// The address every listener binds and announces.
    pub host: String,
    pub frontends: usize,
    pub backends: usize,
    /// The first of a block of fixed ports; 0 lets the system choose each port. See [`Self::port`].
    pub base_port: u16,
    /// FE setting `enable_feature_binlog`, `false` in Doris unless an operator sets it.
    pub feature_binlog: bool,
    /// BE setting `enable_feature_binlog`.
    pub be_feature_binlog: bool,
    /// Which release the frontends behave like.
    pub release: Release,
    /// What `@@version_comment` and SHOW FRONTENDS / BACKENDS call the version; empty: a text of the release.
    pub version: String,
    pub root_password: String,
    /// SQL connections per frontend (`qe_max_connection`); further ones get error 1040.
    pub max_connections: usize,
    /// `replication_num` of tables that name none.
    pub default_replication_num: u16,
    /// Pause between two steps of backup and restore jobs.
    #[serde(rename = "backup_interval_ms", with = "millis")]
    pub backup_interval: Duration,
    /// Pause between two steps of schema changes, rollups, builds of indexes and refreshes; that of backups
    /// when it is not given.
    #[serde(rename = "alter_interval_ms", with = "optional_millis")]
    pub alter_interval: Option<Duration>,
    #[serde(rename = "binlog_gc_interval_ms", with = "millis")]
    pub binlog_gc_interval: Duration,
    pub ingest_mode: IngestMode,
    /// First id of databases, tables, tablets, backends…
    pub first_id: i64,
    pub first_txn_id: i64,
    pub first_journal_id: i64,
    /// Further frontend settings, as `ADMIN SET FRONTEND CONFIG` would set them.
    pub frontend_config: BTreeMap<String, String>,
    /// Further settings of every backend, whether or not they may change at run time.
    pub backend_config: BTreeMap<String, String>,
    /// Where the cluster keeps its state, in a directory of its name, to come back after a restart. Without
    /// it nothing is kept, and snapshots lie in temporary directories.
    pub data_dir: Option<PathBuf>,
    /// Seed of the fault probabilities and of schema hashes.
    pub seed: u64,
}

/// Whether `ingest_binlog` answers after the work or before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IngestMode {
    Sync,
    Async,
}

/// The listeners of one frontend or backend, in the order of their ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortKind {
    FeHttp,
    FeQuery,
    FeRpc,
    BeThrift,
    BeHttp,
}

/// Ports that one node takes when they are fixed.
const PORTS_PER_NODE: u16 = 5;
/// Backends start this far above the frontends.
const BACKEND_BLOCK: u16 = 30;
/// Backends with fixed ports.
const MOST_BACKENDS: usize = 13;
/// Size of one cluster's block: up to 6 frontends and 13 backends.
pub const PORTS_PER_CLUSTER: u16 = 100;

impl Default for ClusterOptions {
    fn default() -> Self {
        Self {
            name: "minidoris".to_owned(),
            host: "127.0.0.1".to_owned(),
            frontends: 1,
            backends: 1,
            base_port: 0,
            feature_binlog: false,
            be_feature_binlog: false,
            release: Release::default(),
            version: String::new(),
            root_password: String::new(),
            max_connections: 1024,
            default_replication_num: 1,
            backup_interval: Duration::from_millis(20),
            alter_interval: None,
            binlog_gc_interval: Duration::from_secs(15),
            ingest_mode: IngestMode::Sync,
            first_id: 10_000,
            first_txn_id: 1,
            first_journal_id: 1,
            frontend_config: BTreeMap::new(),
            backend_config: BTreeMap::new(),
            data_dir: None,
            seed: 1,
        }
    }
}

impl ClusterOptions {
    /// A cluster ready to replicate: as the default, with the binlog feature on everywhere.
    pub fn replicating(name: &str) -> Self {
        Self { name: name.to_owned(), feature_binlog: true, be_feature_binlog: true, ..Self::default() }
    }

    /// The fixed port of the admin API, the last before the next cluster's block, or 0.
    pub fn admin_port(&self) -> u16 {
        if self.base_port == 0 { 0 } else { self.base_port.saturating_add(PORTS_PER_CLUSTER - 1) }
    }

    /// The fixed port of a node's listener, or 0 when ports are chosen by the system. `index` counts the
    /// frontends or the backends from 0; those beyond the block have no fixed ports.
    pub fn port(&self, kind: PortKind, index: usize) -> u16 {
        let room = match kind {
            PortKind::FeHttp | PortKind::FeQuery | PortKind::FeRpc => {
                usize::from(BACKEND_BLOCK / PORTS_PER_NODE)
            }
            PortKind::BeThrift | PortKind::BeHttp => MOST_BACKENDS,
        };
        if self.base_port == 0 || index >= room {
            return 0;
        }
        let (block, slot) = match kind {
            PortKind::FeHttp => (0, 0),
            PortKind::FeQuery => (0, 1),
            PortKind::FeRpc => (0, 2),
            PortKind::BeThrift => (BACKEND_BLOCK, 0),
            PortKind::BeHttp => (BACKEND_BLOCK, 1),
        };
        let index = u16::try_from(index).unwrap_or(u16::MAX);
        self.base_port
            .saturating_add(block)
            .saturating_add(index.saturating_mul(PORTS_PER_NODE))
            .saturating_add(slot)
    }
}

mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(value.as_millis()).unwrap_or(u64::MAX))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}

mod optional_millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(value: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        value.map(|value| u64::try_from(value.as_millis()).unwrap_or(u64::MAX)).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(Duration::from_millis))
    }
}
