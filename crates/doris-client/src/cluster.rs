//! One cluster as an account sees it.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::net::UdpSocket;
use tokio::sync::OnceCell;

use crate::clients::Clients;
use crate::directory::{Directory, Node};
use crate::mapping::HostMapping;
use crate::sql_pool::SqlPool;

/// A frontend that the operator named, under an address that reaches it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seed {
    pub host: String,
    /// MySQL protocol.
    pub query_port: u16,
    /// Thrift FrontendService.
    pub rpc_port: u16,
}

/// How a cluster is reached.
#[derive(Clone)]
pub struct ClusterConfig {
    /// At least one.
    pub seeds: Vec<Seed>,
    pub user: String,
    pub password: String,
    /// Private to public host.
    pub host_mapping: BTreeMap<String, String>,
}

impl fmt::Debug for ClusterConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterConfig")
            .field("seeds", &self.seeds)
            .field("user", &self.user)
            .field("host_mapping", &self.host_mapping)
            .finish_non_exhaustive()
    }
}

/// Calls to one cluster. See the crate's documentation for what is repeated; the methods are in `calls`.
pub struct DorisCluster {
    pub(crate) clients: Arc<Clients>,
    pub(crate) directory: Directory,
    pub(crate) user: String,
    pub(crate) password: String,
    /// The address that frontends see this process under, once it is known.
    source_ip: OnceCell<String>,
    /// MySQL connections by host and query port.
    sql: Mutex<HashMap<(String, u16), Arc<SqlPool>>>,
}

impl fmt::Debug for DorisCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DorisCluster")
            .field("directory", &self.directory)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

impl DorisCluster {
    pub(crate) fn new(clients: Arc<Clients>, config: ClusterConfig) -> Self {
        let seeds = config
            .seeds
            .into_iter()
            .map(|seed| Node { host: seed.host, query_port: seed.query_port, rpc_port: seed.rpc_port })
            .collect();
        let mapping = HostMapping::new(config.host_mapping);
        let directory = Directory::new(seeds, mapping, Arc::clone(&clients.options));
        Self {
            clients,
            directory,
            user: config.user,
            password: config.password,
            source_ip: OnceCell::new(),
            sql: Mutex::default(),
        }
    }

    /// Replaces the host mapping; calls that start later use it.
    pub fn set_host_mapping(&self, entries: BTreeMap<String, String>) {
        self.directory.replace_mapping(entries);
    }

    pub(crate) fn sql_pool(&self, node: &Node) -> Arc<SqlPool> {
        let mut pools = self.sql.lock();
        let key = (node.host.clone(), node.query_port);
        if let Some(pool) = pools.get(&key) {
            return Arc::clone(pool);
        }
        let options = Arc::clone(&self.clients.options);
        let pool = Arc::new(SqlPool::new(&node.host, node.query_port, &self.user, &self.password, options));
        pools.insert(key, Arc::clone(&pool));
        pool
    }

    /// Of one frontend, with connections of its own that let it answer by itself instead of its master.
    pub(crate) fn own_sql_pool(&self, host: &str, query_port: u16) -> SqlPool {
        let options = Arc::clone(&self.clients.options);
        SqlPool::new(host, query_port, &self.user, &self.password, options).answered_itself()
    }

    pub(crate) fn user(&self) -> Option<String> {
        Some(self.user.clone())
    }

    pub(crate) fn password(&self) -> Option<String> {
        Some(self.password.clone())
    }

    /// The address of this process on the way to the cluster, which some thrift calls look the account up
    /// by: without one, an account bound to hosts is refused there although its MySQL connections work.
    pub(crate) async fn source_ip(&self) -> Option<String> {
        let seed = self.directory.seed()?;
        let bound = self.clients.options.connect_timeout;
        let find = || async move {
            let found = tokio::time::timeout(bound, local_address(seed.host, seed.rpc_port)).await;
            found.map_err(|_| ())?.map_err(|_| ())
        };
        self.source_ip.get_or_try_init(find).await.ok().cloned()
    }
}

/// The address that the system would send from. Connecting a datagram socket sends nothing.
async fn local_address(host: String, port: u16) -> std::io::Result<String> {
    let target = tokio::net::lookup_host((host, port)).await?.next();
    let target = target.ok_or_else(|| std::io::Error::other("the host has no address"))?;
    let any = if target.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(target).await?;
    Ok(socket.local_addr()?.ip().to_string())
}
