//! Starting, killing and restarting nodes, and switching the master.
//!
//! A killed node closes its listeners and connections at once and is shown as dead. Its data stays: a
//! restart is the same process with the same disk on the same ports. What only lives in the memory of a
//! master (transactions opened over RPC and not committed, binlog locks) is lost when another frontend,
//! or the same one restarted, becomes master. Nodes that come and go are the subject of [`super::membership`].

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use doris_thrift::ServerLimits;

use super::handle::Cluster;
use super::node::{BackendNode, DEFAULT_LOCATION, FrontendNode, FrontendRole, is_served};
use super::servers::{Servers, bind};
use crate::be::{Backend, BackendOptions};
use crate::http;
use crate::mysql::{self, MysqlLimits};
use crate::options::{ClusterOptions, IngestMode, PortKind};
use crate::rpc::{BackendRpc, FrontendRpc};
use crate::txn;

/// Announced ports that nobody listens on, of the first node of its kind.
const EDIT_LOG_PORT: u16 = 9010;
const HEARTBEAT_PORT: u16 = 9050;
const BRPC_PORT: u16 = 8060;

/// Of frontends and backends alike; read when a node starts.
const MAX_MESSAGE_SIZE: &str = "thrift_max_message_size";

impl Cluster {
    /// Makes a frontend known under the next free number and serves it. Without an address it gets those of
    /// the options.
    pub(super) async fn start_frontend(
        &self,
        role: FrontendRole,
        address: Option<(String, u16)>,
    ) -> anyhow::Result<usize> {
        let inner = self.inner();
        let options = &inner.options;
        let number = {
            let mut nodes = inner.frontends.write();
            let number = nodes.keys().next_back().map_or(0, |last| last + 1);
            let default = || {
                let offset = u16::try_from(number).unwrap_or_default();
                (options.host.clone(), EDIT_LOG_PORT.saturating_add(offset))
            };
            let (host, edit_log_port) = address.unwrap_or_else(default);
            let node = FrontendNode {
                name: format!("fe_{}_{number}", inner.name),
                role,
                host,
                edit_log_port,
                http_port: options.port(PortKind::FeHttp, number),
                query_port: options.port(PortKind::FeQuery, number),
                rpc_port: options.port(PortKind::FeRpc, number),
                is_master: false,
                alive: false,
                start_time: 0,
                moved: false,
                replay_delay: Duration::ZERO,
                loaded_journal_id: 0,
            };
            nodes.insert(number, node);
            number
        };
        self.serve_frontend(number).await?;
        Ok(number)
    }

    /// Binds the ports of a known frontend (0: any) and serves them. One whose host is elsewhere stays dead.
    pub(super) async fn serve_frontend(&self, number: usize) -> anyhow::Result<()> {
        let inner = self.inner();
        let options = &inner.options;
        let node = inner.frontends.read().get(&number).cloned();
        let node = node.with_context(|| format!("no frontend {number}"))?;
        if !is_served(&node.host, &options.host) {
            return Ok(());
        }
        let http_listener = bind(&node.host, node.http_port).await?;
        let query = bind(&node.host, node.query_port).await?;
        let rpc = bind(&node.host, node.rpc_port).await?;
        let journal_id = inner.fe.lock().journal_id;
        if let Some(node) = inner.frontends.write().get_mut(&number) {
            node.loaded_journal_id = journal_id;
            node.http_port = http_listener.local_addr().context("http port has no address")?.port();
            node.query_port = query.local_addr().context("query port has no address")?.port();
            node.rpc_port = rpc.local_addr().context("rpc port has no address")?.port();
            node.is_master = false;
            node.alive = true;
            node.start_time = inner.clock.now_ms();
        }
        let servers = Servers::new();
        let limits = MysqlLimits { max_connections: options.max_connections, ..MysqlLimits::default() };
        servers.spawn(mysql::serve(Arc::clone(inner), number, query, limits, servers.stopped()));
        let handler = Arc::new(FrontendRpc { cluster: Arc::clone(inner), fe: number });
        let largest = inner.fe.lock().config.get(MAX_MESSAGE_SIZE).and_then(|value| value.parse().ok());
        let limits = thrift_limits(largest);
        servers.spawn(doris_thrift::serve_frontend(rpc, handler, limits, servers.stopped()));
        servers.spawn(http::serve_fe(Arc::clone(inner), number, http_listener, servers.stopped()));
        self.shared.frontends.lock().insert(number, servers);
        let has_master = inner.master_number().is_some();
        if !has_master && node.role == FrontendRole::Follower {
            self.make_master(number)?;
            // What no journal tells is gone with the process.
            inner.fe.lock().ddl.alter_jobs.retain(|job| !job.is_light());
        }
        inner.changed.notify_waiters();
        Ok(())
    }

    /// Makes a new, empty backend known to the frontends and serves it. Without an address it gets those of
    /// the options.
    pub(super) async fn start_backend(&self, address: Option<(String, u16)>) -> anyhow::Result<i64> {
        let inner = self.inner();
        let id = inner.fe.lock().ids.allocate();
        let backend = Arc::new(new_backend(&inner.options, id));
        inner.backends.write().insert(id, backend);
        self.know_backend(id, address);
        self.serve_backend(id).await?;
        Ok(id)
    }

    /// Puts a backend into the first free block of ports.
    pub(super) fn know_backend(&self, id: i64, address: Option<(String, u16)>) {
        let options = &self.inner().options;
        let mut nodes = self.inner().backend_nodes.write();
        let is_free = |slot: &usize| nodes.values().all(|node| node.slot != *slot);
        let slot = (0..=nodes.len()).find(is_free).unwrap_or_default();
        let offset = u16::try_from(slot).unwrap_or_default();
        let default = || {
            let is_free = |port: &u16| {
                nodes.values().all(|node| node.heartbeat_port != *port || node.host != options.host)
            };
            let first = HEARTBEAT_PORT.saturating_add(offset);
            (options.host.clone(), (first..).find(is_free).unwrap_or(first))
        };
        let (host, heartbeat_port) = address.unwrap_or_else(default);
        let node = BackendNode {
            id,
            slot,
            host,
            heartbeat_port,
            be_port: options.port(PortKind::BeThrift, slot),
            http_port: options.port(PortKind::BeHttp, slot),
            brpc_port: BRPC_PORT.saturating_add(offset),
            alive: false,
            start_time: 0,
            decommissioned: false,
            location: DEFAULT_LOCATION.to_owned(),
            query_disabled: false,
            load_disabled: false,
            moved: false,
        };
        nodes.insert(id, node);
    }

    /// Binds the ports of a known backend (0: any) and serves them. One whose host is elsewhere stays dead.
    pub(super) async fn serve_backend(&self, id: i64) -> anyhow::Result<()> {
        let inner = self.inner();
        let mut node = {
            let nodes = inner.backend_nodes.read();
            nodes.get(&id).cloned().with_context(|| format!("no backend {id}"))?
        };
        if let Some((_, former)) = self.shared.backends.lock().get(&id) {
            (node.host, node.be_port, node.http_port) =
                (former.host.clone(), former.be_port, former.http_port);
        }
        if !is_served(&node.host, &inner.options.host) {
            return Ok(());
        }
        let rpc = bind(&node.host, node.be_port).await?;
        let http_listener = bind(&node.host, node.http_port).await?;
        if let Some(known) = inner.backend_nodes.write().get_mut(&id) {
            node.be_port = rpc.local_addr().context("be port has no address")?.port();
            node.http_port = http_listener.local_addr().context("http port has no address")?.port();
            node.alive = true;
            node.start_time = inner.clock.now_ms();
            known.clone_from(&node);
        }
        let servers = Servers::new();
        let backend = inner.backend(id).with_context(|| format!("backend {id} has no data"))?;
        backend.join(&inner.fe.lock().token);
        let handler = BackendRpc { cluster: Arc::clone(inner), backend: Arc::clone(&backend) };
        let limits = thrift_limits(usize::try_from(backend.config.number(MAX_MESSAGE_SIZE)).ok());
        servers.spawn(doris_thrift::serve_backend(rpc, Arc::new(handler), limits, servers.stopped()));
        servers.spawn(http::serve_be(Arc::clone(inner), backend, http_listener, servers.stopped()));
        self.shared.backends.lock().insert(id, (servers, node));
        inner.fe.lock().moves.look_for_orphans();
        inner.changed.notify_waiters();
        Ok(())
    }

    /// Ends a frontend at once. A dead master leaves the cluster without one until
    /// [`Cluster::make_master`] or its restart.
    pub async fn kill_frontend(&self, number: usize) -> anyhow::Result<()> {
        match self.inner().frontends.write().get_mut(&number) {
            Some(node) => {
                node.alive = false;
                node.is_master = false;
            }
            None => bail!("no frontend {number}"),
        }
        let servers = self.shared.frontends.lock().get(&number).cloned();
        if let Some(servers) = servers {
            servers.stop().await;
        }
        tracing::info!(cluster = self.name(), number, "frontend killed");
        self.inner().changed.notify_waiters();
        Ok(())
    }

    /// Starts a killed frontend again. It becomes master when there is none.
    pub async fn restart_frontend(&self, number: usize) -> anyhow::Result<()> {
        let known = self.inner().frontends.read().get(&number).map(|node| node.alive);
        match known {
            None => bail!("no frontend {number}"),
            Some(true) => self.kill_frontend(number).await?,
            Some(false) => {}
        }
        self.serve_frontend(number).await
    }

    /// Ends a backend at once; its tablets stay.
    pub async fn kill_backend(&self, index: usize) -> anyhow::Result<()> {
        let id = self.backend_id(index)?;
        self.stop_backend(id).await;
        tracing::info!(cluster = self.name(), backend = id, "backend killed");
        Ok(())
    }

    /// Ends the process of a backend with what only its memory holds.
    pub(super) async fn stop_backend(&self, id: i64) {
        let servers = self.shared.backends.lock().get(&id).map(|(servers, _)| servers.clone());
        let host = self.inner().backend_nodes.write().get_mut(&id).map(|node| {
            node.alive = false;
            node.host.clone()
        });
        if let Some(servers) = servers {
            servers.stop().await;
        }
        if let Some(data) = self.inner().backend(id) {
            data.restart();
        }
        let aborts = self.inner().fe.lock().config_flag("enable_abort_txn_by_checking_coordinator_be");
        if let Some(host) = host.filter(|_| aborts) {
            txn::abort_by_coordinator(self.inner(), id, &host);
        }
        self.inner().changed.notify_waiters();
    }

    /// Starts a killed backend again.
    pub async fn restart_backend(&self, index: usize) -> anyhow::Result<()> {
        let id = self.backend_id(index)?;
        if self.inner().is_backend_alive(id) {
            self.kill_backend(index).await?;
        }
        self.serve_backend(id).await
    }

    /// Makes a living follower the master. What only the old master's memory held is lost.
    pub fn make_master(&self, number: usize) -> anyhow::Result<()> {
        let inner = self.inner();
        {
            // The frontend state comes first in the order of locks; holding it makes the switch and the
            // losses one step for every call.
            let mut state = inner.fe.lock();
            let mut nodes = inner.frontends.write();
            let node = nodes.get(&number).filter(|node| node.alive);
            let node = node.with_context(|| format!("frontend {number} is not alive"))?;
            let (role, loaded_journal_id) = (node.role, node.loaded_journal_id);
            ensure!(role == FrontendRole::Follower, "frontend {number} is an observer");
            for (at, node) in nodes.iter_mut() {
                node.is_master = *at == number;
            }
            state.txns.forget_rpc_prepared();
            state.binlogs.start_reign(loaded_journal_id);
        }
        tracing::info!(cluster = self.name(), number, "master switched");
        inner.changed.notify_waiters();
        Ok(())
    }

    /// The id of the backend at a position in the order of ids, or an id itself.
    pub(super) fn backend_id(&self, index: usize) -> anyhow::Result<i64> {
        let nodes = self.inner().backend_nodes.read();
        let named = i64::try_from(index).ok().filter(|id| nodes.contains_key(id));
        named.or_else(|| nodes.keys().nth(index).copied()).with_context(|| format!("no backend {index}"))
    }
}

/// The limits of a thrift server, with the largest message that its setting allows.
fn thrift_limits(max_message_size: Option<usize>) -> ServerLimits {
    let default = ServerLimits::default();
    let max_message_size = max_message_size.filter(|size| *size > 0).unwrap_or(default.max_message_size);
    ServerLimits { max_message_size, ..default }
}

pub(super) fn new_backend(options: &ClusterOptions, id: i64) -> Backend {
    let data_dir = options.data_dir.as_ref().map(|dir| dir.join(&options.name).join(format!("be_{id}")));
    let backend = Backend::new(BackendOptions { id, host: options.host.clone(), data_dir });
    backend.config.set("enable_feature_binlog", &options.be_feature_binlog.to_string());
    let pool = match options.ingest_mode {
        IngestMode::Sync => "-1",
        IngestMode::Async => "4",
    };
    backend.config.set("ingest_binlog_work_pool_size", pool);
    for (name, value) in &options.backend_config {
        backend.config.set(name, value);
    }
    backend
}
