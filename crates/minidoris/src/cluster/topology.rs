//! Starting, killing and restarting nodes, and switching the master.
//!
//! A killed node closes its listeners and connections at once and is shown as dead. Its data stays: a
//! restart is the same process with the same disk on the same ports. What only lives in the memory of a
//! master (transactions opened over RPC and not committed, binlog locks) is lost when another frontend,
//! or the same one restarted, becomes master.

use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use doris_thrift::ServerLimits;

use super::handle::Cluster;
use super::servers::{Servers, bind};
use super::{BackendNode, FrontendNode};
use crate::be::{Backend, BackendOptions};
use crate::http;
use crate::mysql::{self, MysqlLimits};
use crate::options::{ClusterOptions, IngestMode, PortKind};
use crate::rpc::{BackendRpc, FrontendRpc};
use crate::txn;

/// Announced ports that nobody listens on.
const EDIT_LOG_PORT: u16 = 9010;
const HEARTBEAT_PORT: u16 = 9050;
const BRPC_PORT: u16 = 8060;

impl Cluster {
    /// Binds and serves a frontend, on its former ports when it had any.
    pub(super) async fn start_frontend(&self, index: usize) -> anyhow::Result<()> {
        let inner = self.inner();
        let options = &inner.options;
        let former = inner.frontends.read().get(index).cloned();
        let port = |kind, of: fn(&FrontendNode) -> u16| {
            former.as_ref().map_or_else(|| options.port(kind, index), of)
        };
        let http_listener = bind(&options.host, port(PortKind::FeHttp, |node| node.http_port)).await?;
        let query = bind(&options.host, port(PortKind::FeQuery, |node| node.query_port)).await?;
        let rpc = bind(&options.host, port(PortKind::FeRpc, |node| node.rpc_port)).await?;
        let node = FrontendNode {
            name: format!("fe_{}_{index}", inner.name),
            host: options.host.clone(),
            edit_log_port: EDIT_LOG_PORT + u16::try_from(index).unwrap_or_default(),
            http_port: http_listener.local_addr().context("http port has no address")?.port(),
            query_port: query.local_addr().context("query port has no address")?.port(),
            rpc_port: rpc.local_addr().context("rpc port has no address")?.port(),
            is_master: false,
            alive: true,
            start_time: inner.clock.now_ms(),
        };
        {
            let mut nodes = inner.frontends.write();
            match nodes.get_mut(index) {
                Some(old) => *old = node,
                None => nodes.push(node),
            }
        }
        let servers = Servers::new();
        let limits = MysqlLimits { max_connections: options.max_connections, ..MysqlLimits::default() };
        servers.spawn(mysql::serve(Arc::clone(inner), index, query, limits, servers.stopped()));
        let handler = Arc::new(FrontendRpc { cluster: Arc::clone(inner), fe: index });
        let limits = ServerLimits::default();
        servers.spawn(doris_thrift::serve_frontend(rpc, handler, limits, servers.stopped()));
        servers.spawn(http::serve_fe(Arc::clone(inner), index, http_listener, servers.stopped()));
        let mut all = self.shared.frontends.lock();
        match all.get_mut(index) {
            Some(old) => *old = servers,
            None => all.push(servers),
        }
        drop(all);
        if !inner.frontends.read().iter().any(|node| node.is_master) {
            self.make_master(index)?;
        }
        inner.changed.notify_waiters();
        Ok(())
    }

    /// Makes a backend known to the frontends, then binds and serves it as [`Cluster::restart_backend`].
    pub(super) async fn start_backend(&self, index: usize) -> anyhow::Result<()> {
        let inner = self.inner();
        // One that was there before a restart keeps its id and its data.
        let former = inner.backends.read().keys().nth(index).copied();
        let id = match former {
            Some(id) => id,
            None => {
                let id = inner.fe.lock().ids.allocate();
                inner.backends.write().insert(id, Arc::new(new_backend(&inner.options, id)));
                id
            }
        };
        let offset = u16::try_from(index).unwrap_or_default();
        let node = BackendNode {
            id,
            host: inner.options.host.clone(),
            heartbeat_port: HEARTBEAT_PORT + offset,
            be_port: inner.options.port(PortKind::BeThrift, index),
            http_port: inner.options.port(PortKind::BeHttp, index),
            brpc_port: BRPC_PORT + offset,
            alive: false,
            start_time: 0,
        };
        inner.backend_nodes.write().insert(id, node);
        self.serve_backend(id).await
    }

    /// Binds the ports of a known backend (0: any) and serves them.
    async fn serve_backend(&self, id: i64) -> anyhow::Result<()> {
        let inner = self.inner();
        let (host, be_port, http_port) = {
            let nodes = inner.backend_nodes.read();
            let node = nodes.get(&id).with_context(|| format!("no backend {id}"))?;
            (node.host.clone(), node.be_port, node.http_port)
        };
        let rpc = bind(&host, be_port).await?;
        let http_listener = bind(&host, http_port).await?;
        if let Some(node) = inner.backend_nodes.write().get_mut(&id) {
            node.be_port = rpc.local_addr().context("be port has no address")?.port();
            node.http_port = http_listener.local_addr().context("http port has no address")?.port();
            node.alive = true;
            node.start_time = inner.clock.now_ms();
        }
        let servers = Servers::new();
        let backend = inner.backend(id).with_context(|| format!("backend {id} has no data"))?;
        let handler = BackendRpc { cluster: Arc::clone(inner), backend: Arc::clone(&backend) };
        let limits = ServerLimits::default();
        servers.spawn(doris_thrift::serve_backend(rpc, Arc::new(handler), limits, servers.stopped()));
        servers.spawn(http::serve_be(Arc::clone(inner), backend, http_listener, servers.stopped()));
        let mut all = self.shared.backends.lock();
        match all.iter_mut().find(|(known, _)| *known == id) {
            Some((_, old)) => *old = servers,
            None => all.push((id, servers)),
        }
        drop(all);
        inner.changed.notify_waiters();
        Ok(())
    }

    /// Adds a frontend as a follower and gives its position.
    pub async fn add_frontend(&self) -> anyhow::Result<usize> {
        let index = self.frontend_count();
        self.start_frontend(index).await?;
        Ok(index)
    }

    /// Adds an empty backend and gives its position.
    pub async fn add_backend(&self) -> anyhow::Result<usize> {
        let index = self.backend_count();
        self.start_backend(index).await?;
        Ok(index)
    }

    /// Ends a frontend at once. A dead master leaves the cluster without one until
    /// [`Cluster::make_master`] or its restart.
    pub async fn kill_frontend(&self, index: usize) -> anyhow::Result<()> {
        let servers = self.shared.frontends.lock().get(index).cloned();
        let servers = servers.with_context(|| format!("no frontend {index}"))?;
        if let Some(node) = self.inner().frontends.write().get_mut(index) {
            node.alive = false;
            node.is_master = false;
        }
        servers.stop().await;
        tracing::info!(cluster = self.name(), index, "frontend killed");
        self.inner().changed.notify_waiters();
        Ok(())
    }

    /// Starts a killed frontend again. It becomes master when there is none.
    pub async fn restart_frontend(&self, index: usize) -> anyhow::Result<()> {
        let known = self.inner().frontends.read().get(index).map(|node| node.alive);
        match known {
            None => bail!("no frontend {index}"),
            Some(true) => self.kill_frontend(index).await?,
            Some(false) => {}
        }
        self.start_frontend(index).await
    }

    /// Ends a backend at once; its tablets stay.
    pub async fn kill_backend(&self, index: usize) -> anyhow::Result<()> {
        let id = self.backend_id(index)?;
        let servers = self.shared.backends.lock().iter().find(|(known, _)| *known == id).cloned();
        if let Some(node) = self.inner().backend_nodes.write().get_mut(&id) {
            node.alive = false;
        }
        if let Some((_, servers)) = servers {
            servers.stop().await;
        }
        if let Some(data) = self.inner().backend(id) {
            data.restart();
        }
        let aborts = self.inner().fe.lock().config_flag("enable_abort_txn_by_checking_coordinator_be");
        if aborts {
            txn::abort_by_coordinator(self.inner(), id, &self.inner().options.host);
        }
        tracing::info!(cluster = self.name(), backend = id, "backend killed");
        self.inner().changed.notify_waiters();
        Ok(())
    }

    /// Starts a killed backend again.
    pub async fn restart_backend(&self, index: usize) -> anyhow::Result<()> {
        let id = self.backend_id(index)?;
        if self.inner().is_backend_alive(id) {
            self.kill_backend(index).await?;
        }
        self.serve_backend(id).await
    }

    /// Makes a living frontend the master. What only the old master's memory held is lost.
    pub fn make_master(&self, index: usize) -> anyhow::Result<()> {
        let inner = self.inner();
        {
            // The frontend state comes first in the order of locks; holding it makes the switch and the
            // losses one step for every call.
            let mut state = inner.fe.lock();
            let mut nodes = inner.frontends.write();
            ensure!(nodes.get(index).is_some_and(|node| node.alive), "frontend {index} is not alive");
            for (at, node) in nodes.iter_mut().enumerate() {
                node.is_master = at == index;
            }
            state.txns.forget_rpc_prepared();
            state.binlogs.start_reign();
        }
        tracing::info!(cluster = self.name(), index, "master switched");
        inner.changed.notify_waiters();
        Ok(())
    }

    fn backend_id(&self, index: usize) -> anyhow::Result<i64> {
        let nodes = self.inner().backend_nodes.read();
        nodes.keys().nth(index).copied().with_context(|| format!("no backend {index}"))
    }
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
