//! What is known about a cluster's frontends, and how it is kept fresh.
//!
//! The operator names seeds; the others are learned from `frontends()`, with their addresses mapped to public
//! ones. Nothing is believed for ever: the list is read again when it is old and after failures, and the seeds
//! stay candidates whatever the list says.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use doris_types::failure::Result;
use doris_types::meta::Frontend;
use parking_lot::RwLock;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::mapping::HostMapping;
use crate::options::ClientOptions;

/// A frontend under the address that reaches it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub host: String,
    pub query_port: u16,
    pub rpc_port: u16,
}

impl Node {
    fn port(&self, service: Service) -> u16 {
        match service {
            Service::Thrift => self.rpc_port,
            Service::Sql => self.query_port,
        }
    }

    pub(crate) fn rpc_address(&self) -> String {
        address(&self.host, self.rpc_port)
    }
}

/// `host:port`, with the brackets that an IPv6 address needs there.
pub(crate) fn address(host: &str, port: impl std::fmt::Display) -> String {
    if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// The two services of a frontend, which can fail apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    Thrift,
    Sql,
}

/// For so long an address that refused a connection is tried after all others. Otherwise every call would
/// first wait for the connection to a machine that is gone.
const AVOIDED_FOR: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
struct Known {
    nodes: Vec<Node>,
    /// The one that last answered as the master, or was listed as such.
    master: Option<Node>,
    /// Private host of the master when the mapping lacks it.
    unmapped_master: Option<String>,
    /// When the connection to an address failed last.
    unreachable: HashMap<(String, u16), Instant>,
    /// Set by failures: the list is to be read again at the next opportunity.
    stale: bool,
    read_at: Option<Instant>,
    /// The list is not read again before.
    not_before: Option<Instant>,
}

#[derive(Debug)]
pub(crate) struct Directory {
    seeds: Vec<Node>,
    pub(crate) mapping: HostMapping,
    options: Arc<ClientOptions>,
    known: RwLock<Known>,
    /// Held while the list is read, so that it is read once for many calls.
    reading: Mutex<()>,
}

impl Directory {
    pub(crate) fn new(seeds: Vec<Node>, mapping: HostMapping, options: Arc<ClientOptions>) -> Self {
        Self { seeds, mapping, options, known: RwLock::default(), reading: Mutex::default() }
    }

    /// The first frontend that the operator named.
    pub(crate) fn seed(&self) -> Option<Node> {
        self.seeds.first().cloned()
    }

    /// All frontends worth trying: the presumed master first, the seeds after the listed ones, and those that
    /// could not be reached just now last.
    pub(crate) fn candidates(&self, service: Service) -> Vec<Node> {
        let known = self.known.read();
        let mut candidates: Vec<Node> = Vec::new();
        for node in known.master.iter().chain(&known.nodes).chain(&self.seeds) {
            if !candidates.contains(node) {
                candidates.push(node.clone());
            }
        }
        // The sort is stable.
        candidates.sort_by_key(|node| {
            let failed = known.unreachable.get(&(node.host.clone(), node.port(service)));
            failed.is_some_and(|at| at.elapsed() < AVOIDED_FOR)
        });
        candidates
    }

    /// Notes that no connection could be made.
    pub(crate) fn mark_unreachable(&self, node: &Node, service: Service) {
        let mut known = self.known.write();
        known.stale = true;
        known.unreachable.retain(|_, at| at.elapsed() < AVOIDED_FOR);
        known.unreachable.insert((node.host.clone(), node.port(service)), Instant::now());
    }

    pub(crate) fn map_host(&self, host: &str) -> Option<String> {
        self.mapping.map(host, |host| self.seeds.iter().any(|seed| seed.host == host))
    }

    /// The private host of the master, when only a missing mapping keeps it from being reached.
    pub(crate) fn unmapped_master(&self) -> Option<String> {
        self.known.read().unmapped_master.clone()
    }

    pub(crate) fn mark_stale(&self) {
        self.known.write().stale = true;
    }

    pub(crate) fn set_master(&self, node: &Node) {
        if self.known.read().master.as_ref() == Some(node) {
            return;
        }
        self.known.write().master = Some(node.clone());
    }

    /// A redirect names a host and a thrift port; the rest is taken from the list when it has the node.
    pub(crate) fn node_at(&self, host: &str, rpc_port: u16) -> Node {
        let candidates = self.candidates(Service::Thrift);
        let found = candidates.iter().find(|node| node.host == host && node.rpc_port == rpc_port);
        let query_port = candidates.first().map_or(0, |node| node.query_port);
        found.cloned().unwrap_or_else(|| Node { host: host.to_owned(), query_port, rpc_port })
    }

    /// Replaces the host mapping; the list is read again.
    pub(crate) fn replace_mapping(&self, entries: std::collections::BTreeMap<String, String>) {
        self.mapping.replace(entries);
        let mut known = self.known.write();
        known.stale = true;
        known.not_before = None;
    }

    /// Takes over a list as read from a frontend.
    pub(crate) fn learn(&self, frontends: &[Frontend]) {
        let mut nodes = Vec::new();
        let mut master = None;
        let mut unmapped_master = None;
        for frontend in frontends {
            match self.map_host(&frontend.host) {
                Some(host) => {
                    let node = Node { host, query_port: frontend.query_port, rpc_port: frontend.rpc_port };
                    if frontend.is_master {
                        master = Some(node.clone());
                    }
                    nodes.push(node);
                }
                None if frontend.is_master => unmapped_master = Some(frontend.host.clone()),
                None => {}
            }
        }
        let mut known = self.known.write();
        known.nodes = nodes;
        known.master = master;
        known.unmapped_master = unmapped_master;
        known.stale = false;
        known.read_at = Some(Instant::now());
    }

    /// Reads the list with `read` if it is missing, old or suspect, and was not tried just before.
    ///
    /// A failure to read is not a failure of the call: the candidates at hand are tried all the same.
    /// Gives whether the list was read.
    pub(crate) async fn freshen<F>(&self, read: impl FnOnce() -> F) -> bool
    where
        F: Future<Output = Result<Vec<Frontend>>>,
    {
        if !self.is_due() {
            return false;
        }
        let _reading = if self.known.read().read_at.is_some() {
            // The list at hand serves meanwhile.
            match self.reading.try_lock() {
                Ok(reading) => reading,
                Err(_) => return false,
            }
        } else {
            self.reading.lock().await
        };
        if !self.is_due() {
            return false;
        }
        let start = Instant::now();
        let result = read().await;
        match result {
            Ok(frontends) => {
                self.learn(&frontends);
                self.known.write().not_before = Some(Instant::now() + self.options.frontends_min_age);
                true
            }
            Err(failure) => {
                // Where the MySQL port is unreachable, trying takes long: most calls must not pay for it.
                let pause = (start.elapsed() * 10)
                    .clamp(self.options.frontends_min_age, self.options.frontends_max_age);
                self.known.write().not_before = Some(Instant::now() + pause);
                tracing::debug!(%failure, "cannot list the frontends");
                false
            }
        }
    }

    fn is_due(&self) -> bool {
        let known = self.known.read();
        if known.not_before.is_some_and(|at| Instant::now() < at) {
            return false;
        }
        known.stale || known.read_at.is_none_or(|at| at.elapsed() >= self.options.frontends_max_age)
    }
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn an_ipv6_address_is_put_in_brackets() {
        assert_eq!(address("be1", 8040), "be1:8040");
        assert_eq!(address("10.0.0.1", 8040), "10.0.0.1:8040");
        assert_eq!(address("fd00::5", 8040), "[fd00::5]:8040");
        assert_eq!(address("[fd00::5]", 8040), "[fd00::5]:8040");
    }
}
