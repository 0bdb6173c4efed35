//! Nodes that come, go and move while the cluster runs: what ALTER SYSTEM does, and what only an operator of the
//! machines can do.
//!
//! Adding a node starts it: an address on this machine stands for a process that waits there to be added. One on
//! another machine is registered and never answers, as in Doris before its process is started. A node keeps the
//! address it is registered with (heartbeat or edit log port); its other ports are told by its heartbeat, so
//! after a restart on other ports every statement and call names those.

use std::pin::Pin;

use anyhow::Context;

use super::handle::Cluster;
use super::node::{DEFAULT_LOCATION, FrontendNode, FrontendRole, HostPort, NewAddress};
use crate::error::{SqlError, SqlResult};
use crate::sql::{BackendRef, NodeKind, SystemStatement};

impl Cluster {
    /// Serves the nodes that were there before a restart of the whole cluster. Ports that the system had chosen
    /// are chosen anew.
    pub(super) async fn serve_known(&self) -> anyhow::Result<()> {
        let inner = self.inner();
        let ids: Vec<i64> = inner.backends.read().keys().copied().collect();
        for id in ids {
            if !inner.backend_nodes.read().contains_key(&id) {
                self.know_backend(id, None);
            }
            self.serve_backend(id).await.with_context(|| format!("start backend {id}"))?;
        }
        // The first to start becomes master, as whoever wins the election would.
        let numbers: Vec<usize> = inner.frontends.read().keys().copied().collect();
        inner.frontends.write().values_mut().for_each(|node| node.is_master = false);
        for number in numbers {
            self.serve_frontend(number).await.with_context(|| format!("start frontend {number}"))?;
        }
        Ok(())
    }

    /// Adds a frontend as a follower and gives its number.
    pub async fn add_frontend(&self) -> anyhow::Result<usize> {
        let number = self.start_frontend(FrontendRole::Follower, None).await?;
        self.changed_topology();
        Ok(number)
    }

    /// Adds an empty backend and gives its position.
    pub async fn add_backend(&self) -> anyhow::Result<usize> {
        let id = self.start_backend(None).await?;
        self.changed_topology();
        let nodes = self.inner().backend_nodes.read();
        nodes.keys().position(|known| *known == id).context("the backend was dropped at once")
    }

    /// Restarts a backend at another address, as told by its next heartbeat.
    pub async fn move_backend(&self, index: usize, to: NewAddress) -> anyhow::Result<()> {
        let id = self.backend_id(index)?;
        self.stop_backend(id).await;
        let former = self.shared.backends.lock().remove(&id).map(|(_, node)| node);
        if let Some(node) = self.inner().backend_nodes.write().get_mut(&id) {
            if let Some(former) = former {
                (node.host, node.be_port, node.http_port) = (former.host, former.be_port, former.http_port);
            }
            node.host = to.host.unwrap_or_else(|| node.host.clone());
            node.be_port = to.be_port.unwrap_or(node.be_port);
            node.http_port = to.http_port.unwrap_or(node.http_port);
            node.moved = true;
        }
        self.serve_backend(id).await?;
        self.changed_topology();
        Ok(())
    }

    /// As [`Self::move_backend`], for a frontend. A master stops being one unless there is no other.
    pub async fn move_frontend(&self, number: usize, to: NewAddress) -> anyhow::Result<()> {
        self.kill_frontend(number).await?;
        if let Some(node) = self.inner().frontends.write().get_mut(&number) {
            node.host = to.host.unwrap_or_else(|| node.host.clone());
            node.http_port = to.http_port.unwrap_or(node.http_port);
            node.query_port = to.query_port.unwrap_or(node.query_port);
            node.rpc_port = to.rpc_port.unwrap_or(node.rpc_port);
            node.moved = true;
        }
        self.serve_frontend(number).await?;
        self.changed_topology();
        Ok(())
    }

    /// Lets the cluster tell another address of a backend than the one it answers at, as with wrong
    /// registrations or behind a translation of addresses. Ends with the backend's next restart.
    pub fn announce_backend(&self, index: usize, address: NewAddress) -> anyhow::Result<()> {
        let id = self.backend_id(index)?;
        if let Some(node) = self.inner().backend_nodes.write().get_mut(&id) {
            node.host = address.host.unwrap_or_else(|| node.host.clone());
            node.be_port = address.be_port.unwrap_or(node.be_port);
            node.http_port = address.http_port.unwrap_or(node.http_port);
        }
        self.changed_topology();
        Ok(())
    }

    /// Starts to empty a backend, which is dropped when it holds no tablet any more.
    pub fn decommission_backend(&self, index: usize) -> anyhow::Result<()> {
        let id = self.backend_id(index)?;
        self.change_backend(id, |node| node.decommissioned = true);
        Ok(())
    }

    /// Forgets a backend at once, with its data.
    pub async fn drop_backend(&self, index: usize) -> anyhow::Result<()> {
        let id = self.backend_id(index)?;
        self.forget_backend(id).await;
        Ok(())
    }

    /// Runs ALTER SYSTEM and CANCEL DECOMMISSION; the caller's privileges have been checked. Boxed, since it starts
    /// the servers that statements come through.
    pub(crate) fn alter_system<'a>(
        &'a self,
        statement: &'a SystemStatement,
    ) -> Pin<Box<dyn Future<Output = SqlResult<()>> + Send + 'a>> {
        Box::pin(self.run_alter_system(statement))
    }

    async fn run_alter_system(&self, statement: &SystemStatement) -> SqlResult<()> {
        match statement {
            SystemStatement::AddBackends { nodes, properties } => {
                let location = location(properties.iter())?;
                for node in nodes {
                    if self.find_backend(node).is_some() {
                        return Err(SqlError::general(format!("Same backend already exists[{node}]")));
                    }
                }
                for node in nodes {
                    let address = Some((node.host.clone(), node.port));
                    let id = self.start_backend(address).await.map_err(failed)?;
                    if let Some(location) = &location {
                        self.change_backend(id, |node| node.location.clone_from(location));
                    }
                }
            }
            SystemStatement::DropBackends { force: false, .. } => {
                return Err(SqlError::general(
                    "It is highly NOT RECOMMENDED to use DROP BACKEND stmt.It is not safe to directly drop a \
                     backend. All data on this backend will be discarded permanently. If you insist, use DROPP \
                     instead of DROP",
                ));
            }
            SystemStatement::DropBackends { nodes, force: true } => {
                for id in self.backends_named(nodes, "backend does not exists")? {
                    self.forget_backend(id).await;
                }
            }
            SystemStatement::DecommissionBackends { nodes } => {
                let ids = self.backends_named(nodes, "Backend does not exist")?;
                self.check_decommission(&ids)?;
                for id in ids {
                    self.change_backend(id, |node| node.decommissioned = true);
                }
            }
            SystemStatement::CancelDecommission { nodes } => {
                for id in self.backends_named(nodes, "Backend does not exist")? {
                    self.change_backend(id, |node| node.decommissioned = false);
                }
            }
            SystemStatement::ModifyBackends { nodes, properties } => {
                let ids = self.backends_named(nodes, "backend does not exists")?;
                let location = location(properties.iter())?;
                for id in ids {
                    self.change_backend(id, |node| {
                        if let Some(location) = &location {
                            node.location.clone_from(location);
                        }
                        let flag = |name: &str, old| {
                            let value = properties.get(name);
                            value.map_or(old, |value| value.eq_ignore_ascii_case("true"))
                        };
                        node.query_disabled = flag("disable_query", node.query_disabled);
                        node.load_disabled = flag("disable_load", node.load_disabled);
                    });
                }
            }
            SystemStatement::ModifyHost { kind: NodeKind::Backend, node, host } => {
                check_hostname(host)?;
                let missing = || SqlError::general(format!("backend does not exists[{node}]"));
                let id = self.find_backend(node).ok_or_else(missing)?;
                let index = usize::try_from(id).map_err(|_| missing())?;
                let to = NewAddress { host: Some(host.clone()), ..NewAddress::default() };
                self.move_backend(index, to).await.map_err(failed)?;
            }
            SystemStatement::ModifyHost { kind: NodeKind::Frontend, node, host } => {
                check_hostname(host)?;
                let missing = || SqlError::general(format!("frontend does not exist[{node}]"));
                let (number, _) = self.find_frontend(node).ok_or_else(missing)?;
                if let Some(frontend) = self.inner().frontends.write().get_mut(&number) {
                    frontend.host.clone_from(host);
                }
            }
            SystemStatement::AddFrontend { role, node } => {
                if let Some((_, known)) = self.find_frontend(node) {
                    return Err(SqlError::general(format!("frontend already exists {}", shown(&known))));
                }
                let address = Some((node.host.clone(), node.port));
                self.start_frontend(*role, address).await.map_err(failed)?;
            }
            SystemStatement::DropFrontend { role, node } => self.drop_frontend(*role, node).await?,
        }
        self.changed_topology();
        Ok(())
    }

    async fn drop_frontend(&self, role: FrontendRole, node: &HostPort) -> SqlResult<()> {
        let missing = |what: &str| SqlError::general(format!("{what} does not exist[{node}]"));
        let (number, known) = self.find_frontend(node).ok_or_else(|| missing("frontend"))?;
        if known.is_master {
            return Err(SqlError::general("can not drop current master node."));
        }
        if known.role != role {
            return Err(missing(role.name()));
        }
        if role == FrontendRole::Follower && known.alive {
            let (all, alive) = {
                let nodes = self.inner().frontends.read();
                let followers = nodes.values().filter(|node| node.role == FrontendRole::Follower);
                (followers.clone().count(), followers.filter(|node| node.alive).count())
            };
            let majority = (all - 1) / 2 + 1;
            if majority + 1 > alive {
                return Err(SqlError::general(format!(
                    "Unable to drop this alive follower, because the quorum requirements are not met after this \
                     command execution. Current num alive followers {alive}, num followers {all}, majority after \
                     execution {majority}"
                )));
            }
        }
        self.inner().frontends.write().remove(&number);
        let servers = self.shared.frontends.lock().remove(&number);
        if let Some(servers) = servers {
            // Not waited for: the statement may have come through the dropped frontend.
            servers.cancel();
        }
        Ok(())
    }

    /// Drops the decommissioned backends that are empty, unless the cluster keeps them.
    pub(crate) async fn drop_emptied(&self, ids: Vec<i64>) {
        if !self.inner().fe.lock().config_flag("drop_backend_after_decommission") {
            return;
        }
        for id in ids {
            tracing::info!(cluster = self.name(), backend = id, "decommissioned backend is empty, dropped");
            self.forget_backend(id).await;
        }
    }

    async fn forget_backend(&self, id: i64) {
        self.stop_backend(id).await;
        self.inner().backend_nodes.write().remove(&id);
        self.inner().backends.write().remove(&id);
        self.shared.backends.lock().remove(&id);
        self.inner().fe.lock().moves.look_for_orphans();
        self.changed_topology();
    }

    fn change_backend(&self, id: i64, change: impl FnOnce(&mut super::BackendNode)) {
        if let Some(node) = self.inner().backend_nodes.write().get_mut(&id) {
            change(node);
        }
        self.changed_topology();
    }

    /// The frontends journal every change of nodes.
    fn changed_topology(&self) {
        self.inner().fe.lock().journal();
        self.inner().changed.notify_waiters();
    }

    fn find_backend(&self, wanted: &HostPort) -> Option<i64> {
        let nodes = self.inner().backend_nodes.read();
        let found =
            nodes.values().find(|node| node.host == wanted.host && node.heartbeat_port == wanted.port);
        found.map(|node| node.id)
    }

    fn find_frontend(&self, wanted: &HostPort) -> Option<(usize, FrontendNode)> {
        let nodes = self.inner().frontends.read();
        let is_meant = |node: &FrontendNode| node.host == wanted.host && node.edit_log_port == wanted.port;
        nodes.iter().find(|(_, node)| is_meant(node)).map(|(number, node)| (*number, node.clone()))
    }

    fn backends_named(&self, wanted: &[BackendRef], missing: &str) -> SqlResult<Vec<i64>> {
        let find = |one: &BackendRef| {
            let (found, text) = match one {
                BackendRef::Id(id) => {
                    (self.inner().backend_nodes.read().contains_key(id).then_some(*id), id.to_string())
                }
                BackendRef::Address(node) => (self.find_backend(node), node.to_string()),
            };
            found.ok_or_else(|| SqlError::general(format!("{missing}[{text}]")))
        };
        wanted.iter().map(find).collect()
    }

    /// What is left must be able to hold every partition.
    fn check_decommission(&self, ids: &[i64]) -> SqlResult<()> {
        let state = self.inner().fe.lock();
        let left = {
            let nodes = self.inner().backend_nodes.read();
            nodes.values().filter(|node| node.takes_tablets() && !ids.contains(&node.id)).count()
        };
        for db in state.databases.values() {
            for table in db.tables.values().filter_map(|table| table.as_olap()) {
                let partitions = table.partitions.values().chain(table.temp_partitions.values());
                if let Some(partition) =
                    partitions.into_iter().find(|one| usize::from(one.replication_num) > left)
                {
                    return Err(SqlError::general(format!(
                        "After decommission, partition {} of table {}.{} 's replication allocation {{ \
                         tag.location.default: {} }} > available backend num {left} on tag \
                         {{\"location\" : \"default\"}}, otherwise need to decrease the partition's replication \
                         num.",
                        partition.name, db.name, table.name, partition.replication_num
                    )));
                }
            }
        }
        Ok(())
    }
}

/// The location among properties of a backend; others than tags and switches are refused.
fn location<'a>(properties: impl Iterator<Item = (&'a String, &'a String)>) -> SqlResult<Option<String>> {
    let mut location = None;
    for (name, value) in properties {
        match name.as_str() {
            "tag.location" if value.is_empty() => {
                return Err(SqlError::general("Invalid tag value format: "));
            }
            "tag.location" => location = Some(value.clone()),
            "disable_query" | "disable_load" => {}
            other if other.starts_with("tag.") => {}
            other => return Err(SqlError::general(format!("unknown properties setting for key ({other})"))),
        }
    }
    Ok(location)
}

/// Doris takes names there, not addresses.
fn check_hostname(host: &str) -> SqlResult<()> {
    if host.is_empty() {
        return Err(SqlError::general("Host name is empty"));
    }
    if host.parse::<std::net::IpAddr>().is_ok() {
        return Err(SqlError::general(format!("Invalid hostname: {host}")));
    }
    Ok(())
}

fn failed(error: anyhow::Error) -> SqlError {
    SqlError::general(format!("{error:#}"))
}

fn shown(node: &FrontendNode) -> String {
    format!("name: {}, role: {}, {}:{}", node.name, node.role.name(), node.host, node.edit_log_port)
}

/// The text of `Tag` for a location.
pub fn tag_text(location: &str) -> String {
    let location = if location.is_empty() { DEFAULT_LOCATION } else { location };
    format!("{{\"location\" : \"{location}\"}}")
}
