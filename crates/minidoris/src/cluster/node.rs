//! The nodes of a cluster as the statements about topology describe them, and their addresses.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ClusterInner;
use crate::error::{SqlError, SqlResult};
use crate::options::PortKind;

/// A frontend as SHOW FRONTENDS describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrontendNode {
    pub name: String,
    pub role: FrontendRole,
    pub host: String,
    pub edit_log_port: u16,
    pub http_port: u16,
    pub query_port: u16,
    pub rpc_port: u16,
    pub is_master: bool,
    pub alive: bool,
    /// Milliseconds since the epoch.
    pub start_time: i64,
    /// Whether its ports were chosen for it while it ran, so that a restart of the cluster keeps them.
    pub moved: bool,
    /// How long after the master wrote an entry of the journal it replays it. The master itself is never behind.
    #[serde(skip)]
    pub replay_delay: Duration,
    /// The newest journal id when it was started: what is older it knows from its image.
    #[serde(skip)]
    pub loaded_journal_id: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FrontendRole {
    Follower,
    /// Never becomes master.
    Observer,
}

/// A backend as SHOW BACKENDS describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackendNode {
    pub id: i64,
    /// Counts the backends from 0 for their fixed ports; free again when the backend is dropped.
    pub slot: usize,
    pub host: String,
    pub heartbeat_port: u16,
    pub be_port: u16,
    pub http_port: u16,
    pub brpc_port: u16,
    pub alive: bool,
    /// Milliseconds since the epoch.
    pub start_time: i64,
    /// Gets no new tablet and gives its own away.
    pub decommissioned: bool,
    /// `tag.location`.
    pub location: String,
    pub query_disabled: bool,
    pub load_disabled: bool,
    /// As in [`FrontendNode`].
    pub moved: bool,
}

/// Where a node is to be found from now on. What is `None` stays, port 0 means any free one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewAddress {
    pub host: Option<String>,
    pub http_port: Option<u16>,
    /// Of a backend.
    pub be_port: Option<u16>,
    /// Of a frontend.
    pub query_port: Option<u16>,
    /// Of a frontend.
    pub rpc_port: Option<u16>,
}

/// `host:port` as ALTER SYSTEM names a node: the heartbeat port of a backend, the edit log port of a frontend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    pub host: String,
    pub port: u16,
}

/// The location of nodes and tables that name none.
pub const DEFAULT_LOCATION: &str = "default";

/// What a restart of the whole cluster finds of its nodes. Ports that the system chose are 0 and chosen anew.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct SavedNodes {
    frontends: BTreeMap<usize, FrontendNode>,
    backends: BTreeMap<i64, BackendNode>,
}

impl ClusterInner {
    pub(crate) fn saved_nodes(&self) -> SavedNodes {
        let mut frontends = self.frontends.read().clone();
        let mut backends = self.backend_nodes.read().clone();
        let options = &self.options;
        for (number, node) in &mut frontends {
            (node.alive, node.start_time) = (false, 0);
            if !node.moved {
                node.http_port = options.port(PortKind::FeHttp, *number);
                node.query_port = options.port(PortKind::FeQuery, *number);
                node.rpc_port = options.port(PortKind::FeRpc, *number);
            }
        }
        for node in backends.values_mut() {
            (node.alive, node.start_time) = (false, 0);
            if !node.moved {
                node.be_port = options.port(PortKind::BeThrift, node.slot);
                node.http_port = options.port(PortKind::BeHttp, node.slot);
            }
        }
        SavedNodes { frontends, backends }
    }

    pub(crate) fn load_nodes(&self, saved: SavedNodes) {
        *self.frontends.write() = saved.frontends;
        *self.backend_nodes.write() = saved.backends;
    }
}

impl FrontendRole {
    pub fn name(self) -> &'static str {
        match self {
            Self::Follower => "FOLLOWER",
            Self::Observer => "OBSERVER",
        }
    }
}

impl BackendNode {
    /// Whether new tablets may be put here.
    pub fn takes_tablets(&self) -> bool {
        self.alive && !self.decommissioned && self.location == DEFAULT_LOCATION
    }
}

impl HostPort {
    /// Reads `host:port` with Doris's refusals.
    pub fn parse(text: &str) -> SqlResult<Self> {
        let invalid = || SqlError::general(format!("Invalid host port: {text}"));
        let (host, port) = text.trim().rsplit_once(':').ok_or_else(invalid)?;
        let host = host.trim_start_matches('[').trim_end_matches(']').trim();
        if host.is_empty() {
            return Err(SqlError::general("Host is null"));
        }
        let number: i64 = port.trim().parse().map_err(|_| {
            SqlError::general(format!("Encounter unknown exception: For input string: \"{port}\""))
        })?;
        match u16::try_from(number) {
            Ok(port) if port > 0 => Ok(Self { host: host.to_owned(), port }),
            Ok(_) | Err(_) => Err(SqlError::general(format!("Port is out of range: {number}"))),
        }
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.host, self.port)
    }
}

/// Whether processes of this cluster can listen there: on a loopback address or on `own`. A node anywhere else is
/// known to the cluster and never answers.
pub(super) fn is_served(host: &str, own: &str) -> bool {
    host == own
        || host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_in_alter_system() {
        let read = |text| HostPort::parse(text).map(|node| node.to_string()).map_err(|error| error.message);
        assert_eq!(read(" 10.0.0.1:9050 ").as_deref(), Ok("10.0.0.1:9050"));
        assert_eq!(read("[::1]:9050").as_deref(), Ok("::1:9050"));
        assert_eq!(read("10.0.0.1").unwrap_err(), "Invalid host port: 10.0.0.1");
        assert_eq!(read(":1").unwrap_err(), "Host is null");
        assert_eq!(read("h:70000").unwrap_err(), "Port is out of range: 70000");
        assert_eq!(read("h:0").unwrap_err(), "Port is out of range: 0");
        assert!(read("h:x").unwrap_err().starts_with("Encounter unknown exception"));
    }

    #[test]
    fn only_this_machine_is_served() {
        for (host, expected) in
            [("127.0.0.2", true), ("localhost", true), ("10.9.8.7", true), ("10.9.8.8", false), ("h", false)]
        {
            assert_eq!(is_served(host, "10.9.8.7"), expected, "{host}");
        }
    }
}
