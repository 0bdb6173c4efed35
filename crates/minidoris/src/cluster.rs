//! One emulated cluster: the hub that every part receives.
//!
//! [`ClusterInner`] is what the servers and the statement code share; [`Cluster`] owns the listeners and
//! tasks and offers the operations of tests and of the binary: starting and stopping, killing and
//! restarting nodes, switching the master, running statements in the process.

mod handle;
mod membership;
mod node;
mod servers;
mod topology;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Instant;

use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

pub use handle::Cluster;
pub use membership::tag_text;
pub use node::{BackendNode, DEFAULT_LOCATION, FrontendNode, FrontendRole, HostPort, NewAddress, SavedNodes};

use crate::access::Accounts;
use crate::be::Backend;
use crate::binlog::BinlogStore;
use crate::clock::Clock;
use crate::exec::DdlState;
use crate::fault::{Counters, DebugPoints, Faults, Holds, NodeId};
use crate::frontend_config;
use crate::mysql::clients::Clients;
use crate::options::ClusterOptions;
use crate::persist::Store;
use crate::snapshot::SnapshotJobs;
use crate::state::{FeState, Ids};
use crate::txn::{TabletMoves, TxnManager};

/// What all parts of a cluster share. Locks are taken in the order of the fields and never held across
/// an await.
#[derive(Debug)]
pub struct ClusterInner {
    pub name: String,
    pub options: ClusterOptions,
    pub fe: Mutex<FeState>,
    /// The data of every backend, dead ones included; whether one answers says `backend_nodes`.
    pub backends: RwLock<BTreeMap<i64, Arc<Backend>>>,
    /// Addresses and liveness of the backends, by backend id.
    pub backend_nodes: RwLock<BTreeMap<i64, BackendNode>>,
    /// The frontends by number, which is never used again.
    pub frontends: RwLock<BTreeMap<usize, FrontendNode>>,
    pub faults: Faults,
    pub debug_points: DebugPoints,
    pub holds: Holds,
    /// Schema changes, rollups and builds of indexes move only when they are told to.
    pub alters_paused: AtomicBool,
    /// While it is set, backups that have fixed what they hold stay as they are. Of Doris's debug points none does
    /// that.
    pub backups_held: AtomicBool,
    pub counters: Counters,
    pub clock: Clock,
    /// Runs SELECT over copies of the tables.
    pub queries: crate::query::Engine,
    /// Who is connected to the query ports.
    pub clients: Clients,
    /// Keeps the state on disk, when asked for.
    pub store: Option<Store>,
    /// `notify_waiters()` after every visible change, for bounded waits.
    pub changed: Notify,
    /// What starts and stops nodes on behalf of statements; unset without listeners.
    running: OnceLock<Weak<handle::Shared>>,
}

impl ClusterInner {
    /// The shared state of a cluster without any node.
    pub fn new(mut options: ClusterOptions) -> Self {
        if options.version.is_empty() {
            options.version = options.release.version_text().to_owned();
        }
        let mut config = frontend_config::defaults();
        config.insert("enable_feature_binlog".to_owned(), options.feature_binlog.to_string());
        config.insert("qe_max_connection".to_owned(), options.max_connections.to_string());
        config.extend(options.frontend_config.clone());
        let mut fe = FeState {
            ids: Ids::starting_at(options.first_id),
            journal_id: options.first_journal_id,
            databases: BTreeMap::new(),
            binlogs: BinlogStore::default(),
            txns: TxnManager::new(options.first_txn_id),
            snapshots: SnapshotJobs::default(),
            ddl: DdlState::default(),
            moves: TabletMoves::default(),
            config,
            global_variables: BTreeMap::new(),
            accounts: Accounts::with_password(&options.root_password),
            token: cluster_token(options.seed, &options.name),
            release: options.release,
            journal_time: Instant::now(),
        };
        fe.apply_config();
        Self {
            name: options.name.clone(),
            fe: Mutex::new(fe),
            backends: RwLock::default(),
            backend_nodes: RwLock::default(),
            frontends: RwLock::default(),
            faults: Faults::new(&options.name, options.seed),
            debug_points: DebugPoints::default(),
            holds: Holds::default(),
            alters_paused: AtomicBool::new(false),
            backups_held: AtomicBool::new(false),
            counters: Counters::default(),
            clock: Clock::default(),
            queries: crate::query::Engine::default(),
            clients: Clients::default(),
            store: None,
            changed: Notify::new(),
            running: OnceLock::new(),
            options,
        }
    }

    /// Puts what changed on disk, before anyone is told of it; nothing without a directory for it.
    pub fn save(&self) -> Result<(), String> {
        self.store.as_ref().map_or(Ok(()), |store| store.save(self))
    }

    /// Where the repositories' snapshots of a cluster that keeps its state lie.
    pub fn repository_dir(&self) -> Option<std::path::PathBuf> {
        self.options.data_dir.as_ref().map(|dir| dir.join(&self.name).join("repositories"))
    }

    /// Ids of the backends that are alive, in order.
    pub fn alive_backends(&self) -> Vec<i64> {
        self.backend_nodes.read().values().filter(|node| node.alive).map(|node| node.id).collect()
    }

    pub fn backend(&self, id: i64) -> Option<Arc<Backend>> {
        self.backends.read().get(&id).cloned()
    }

    pub fn is_backend_alive(&self, id: i64) -> bool {
        self.backend_nodes.read().get(&id).is_some_and(|node| node.alive)
    }

    /// Whether that frontend is the master now.
    pub fn is_master(&self, fe: usize) -> bool {
        self.frontends.read().get(&fe).is_some_and(|node| node.is_master)
    }

    /// Whether that debug point of the master is on for a job or transaction of that label.
    pub fn is_paused(&self, point: &str, label: &str) -> bool {
        if self.debug_points.is_empty() {
            return false;
        }
        let master = self.master_number();
        let meant = |parameters: &BTreeMap<String, String>| {
            parameters.get("value").is_none_or(|value| value.is_empty() || value == label)
        };
        master.is_some_and(|fe| self.debug_points.hits(NodeId::Fe(fe), point, self.clock.now_ms(), meant))
    }

    /// The master frontend while one is alive.
    pub fn master(&self) -> Option<FrontendNode> {
        self.frontends.read().values().find(|node| node.is_master && node.alive).cloned()
    }

    /// The number of the frontend that is the master.
    pub fn master_number(&self) -> Option<usize> {
        self.frontends.read().iter().find(|(_, node)| node.is_master).map(|(number, _)| *number)
    }

    /// Ids of the backends that take new tablets, in order.
    pub fn backends_for_tablets(&self) -> Vec<i64> {
        self.backend_nodes.read().values().filter(|node| node.takes_tablets()).map(|node| node.id).collect()
    }
}

/// A UUID-shaped text that differs between clusters.
fn cluster_token(seed: u64, name: &str) -> String {
    use rand::{Rng, SeedableRng};
    let salt = name.bytes().fold(seed, |acc, byte| acc.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let bits: u128 = rand::rngs::StdRng::seed_from_u64(salt).random();
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
