//! The handle of a running cluster.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::servers::Servers;
use super::topology::new_backend;
use super::{BackendNode, ClusterInner, FrontendNode, FrontendRole};
use crate::be::Backend;
use crate::binlog;
use crate::clock::Clock;
use crate::daemon;
use crate::dispatch;
use crate::error::{SqlError, SqlResult};
use crate::exec;
use crate::fault::{Counters, Faults, admin};
use crate::options::ClusterOptions;
use crate::persist::Store;
use crate::query::transaction;
use crate::session::{Answer, ResultSet, Session};

/// A running cluster. Clones are handles of the same cluster; it runs until [`Cluster::stop`] or until
/// its runtime ends.
#[derive(Debug, Clone)]
pub struct Cluster {
    pub(super) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) inner: Arc<ClusterInner>,
    /// The servers of every frontend that was started, by number.
    pub(super) frontends: Mutex<BTreeMap<usize, Servers>>,
    /// The servers of every backend that was started, by id, with the node as it was then: what is told of it may
    /// differ since.
    pub(super) backends: Mutex<BTreeMap<i64, (Servers, BackendNode)>>,
    /// The daemon and the admin port.
    own: Servers,
    admin_port: u16,
}

impl Cluster {
    /// Starts every node on its ports. Fails when a fixed port is taken or an option makes no sense.
    pub async fn start(options: ClusterOptions) -> anyhow::Result<Self> {
        ensure!(options.frontends > 0, "a cluster needs a frontend");
        ensure!(options.backends > 0, "a cluster needs a backend");
        ensure!(
            usize::from(options.default_replication_num) <= options.backends,
            "default_replication_num {} exceeds the number of backends",
            options.default_replication_num
        );
        let name = options.name.clone();
        let (frontends, backends) = (options.frontends, options.backends);
        let admin_port = options.admin_port();
        let host = options.host.clone();
        let mut inner = ClusterInner::new(options);
        let mut is_new = true;
        if let Some(directory) = inner.options.data_dir.clone() {
            let (store, saved) = Store::open(&directory.join(&name))?;
            if let Some(saved) = saved {
                saved
                    .install(&inner, |id| new_backend(&inner.options, id))
                    .with_context(|| format!("restart {name}"))?;
                is_new = false;
            }
            inner.store = Some(store);
            if let Some(repositories) = inner.repository_dir() {
                crate::snapshot::repository::load(&repositories).context("read the repositories")?;
            }
        }
        let inner = Arc::new(inner);
        let own = Servers::new();
        let listener = super::servers::bind(&host, admin_port).await?;
        let admin_port = listener.local_addr().context("admin port has no address")?.port();
        let shared = Arc::new(Shared {
            inner: Arc::clone(&inner),
            frontends: Mutex::default(),
            backends: Mutex::default(),
            own: own.clone(),
            admin_port,
        });
        // Set once, here.
        let _ = inner.running.set(Arc::downgrade(&shared));
        let cluster = Self { shared };
        if !is_new {
            cluster.serve_known().await.with_context(|| format!("restart {name}"))?;
        }
        // The nodes that were there before are all there are; files of former versions do not tell frontends.
        let knows_nodes = cluster.frontend_count() > 0;
        let (frontends, backends) = if knows_nodes { (0, 0) } else { (frontends, backends) };
        for index in cluster.backend_count()..backends {
            let started = cluster.start_backend(None).await;
            started.with_context(|| format!("start backend {index} of {name}"))?;
        }
        for index in cluster.frontend_count()..frontends {
            let started = cluster.start_frontend(FrontendRole::Follower, None).await;
            started.with_context(|| format!("start frontend {index} of {name}"))?;
        }
        own.spawn(daemon::run(Arc::clone(cluster.inner()), own.stopped()));
        own.spawn(admin::serve(cluster.clone(), listener, own.stopped()));
        Ok(cluster)
    }

    /// Stops every node and waits, for a bounded time, until all listeners are closed.
    pub async fn stop(&self) {
        let mut all = vec![self.shared.own.clone()];
        all.extend(self.shared.frontends.lock().values().cloned());
        all.extend(self.shared.backends.lock().values().map(|(servers, _)| servers.clone()));
        for servers in &all {
            servers.cancel();
        }
        for servers in &all {
            servers.stop().await;
        }
        if let Some(store) = &self.inner().store {
            store.close();
        }
    }

    /// The handle of the cluster that a statement runs in; none once it has ended.
    pub(crate) fn of(inner: &ClusterInner) -> Option<Self> {
        inner.running.get()?.upgrade().map(|shared| Self { shared })
    }

    pub fn inner(&self) -> &Arc<ClusterInner> {
        &self.shared.inner
    }

    pub fn name(&self) -> &str {
        &self.inner().name
    }

    pub fn faults(&self) -> &Faults {
        &self.inner().faults
    }

    pub fn counters(&self) -> &Counters {
        &self.inner().counters
    }

    pub fn clock(&self) -> &Clock {
        &self.inner().clock
    }

    /// The frontend of that number; the first is 0.
    ///
    /// # Panics
    /// When there is none.
    pub fn fe(&self, number: usize) -> FrontendNode {
        self.inner().frontends.read()[&number].clone()
    }

    /// The backend at that position, in the order of ids.
    ///
    /// # Panics
    /// When there is none.
    pub fn be(&self, index: usize) -> BackendNode {
        let nodes = self.inner().backend_nodes.read();
        nodes.values().nth(index).expect("the caller counts the backends it started").clone()
    }

    /// The data of the backend at that position.
    ///
    /// # Panics
    /// As [`Cluster::be`].
    pub fn backend(&self, index: usize) -> Arc<Backend> {
        let id = self.be(index).id;
        self.inner().backend(id).expect("every backend node has its data")
    }

    /// All frontends by number, which a dropped one keeps to itself.
    pub fn frontends(&self) -> Vec<(usize, FrontendNode)> {
        self.inner().frontends.read().iter().map(|(number, node)| (*number, node.clone())).collect()
    }

    pub fn frontend_count(&self) -> usize {
        self.inner().frontends.read().len()
    }

    pub fn backend_count(&self) -> usize {
        self.inner().backend_nodes.read().len()
    }

    /// Host and port of the admin API.
    pub fn admin_address(&self) -> (String, u16) {
        (self.inner().options.host.clone(), self.shared.admin_port)
    }

    /// Runs the statements as root inside the process, without database, faults and counters, and gives
    /// the answer of the last one; empty for a statement without rows.
    pub async fn sql(&self, text: &str) -> SqlResult<ResultSet> {
        self.run_sql(None, text).await
    }

    /// As [`Cluster::sql`], with a current database.
    pub async fn sql_in(&self, db: &str, text: &str) -> SqlResult<ResultSet> {
        self.run_sql(Some(db), text).await
    }

    async fn run_sql(&self, db: Option<&str>, text: &str) -> SqlResult<ResultSet> {
        let mut session = Session { user: "root".to_owned(), ..Session::default() };
        if let Some(db) = db {
            dispatch::use_database(self.inner(), &mut session, db)?;
        }
        let fe = self.inner().master_number().unwrap_or_default();
        let mut answers = dispatch::execute(self.inner(), fe, &mut session, text).await;
        transaction::rollback(self.inner(), &mut session, "the session has ended");
        exec::drop_temporary_tables(self.inner(), &mut session);
        self.inner().save().map_err(SqlError::general)?;
        match answers.pop().ok_or_else(|| SqlError::general("no statement"))?? {
            Answer::Rows(rows) => Ok(rows),
            Answer::Done { .. } => Ok(ResultSet::default()),
        }
    }

    /// Drops the binlogs that have outlived their limits, now instead of at the next interval.
    pub fn gc_binlogs_now(&self) {
        daemon::collect_binlogs(self.inner());
    }

    /// Drops all binlogs of a database that no lock protects, as if their time limit had passed.
    pub fn expire_binlogs(&self, db: &str) -> SqlResult<()> {
        let found = self.inner().fe.lock().database_named(db).map(|database| database.id);
        binlog::expire_database(self.inner(), found.ok_or_else(|| SqlError::unknown_database(db))?);
        self.inner().changed.notify_waiters();
        Ok(())
    }

    /// Lets every replica of the database's tablets report `bytes` more than it has, so that a database looks
    /// as large as no test could fill it. What is read, copied and backed up stays what was written.
    pub fn claim_tablet_size(&self, db: &str, bytes: u64) -> SqlResult<()> {
        let state = self.inner().fe.lock();
        let database = state.database_named(db).ok_or_else(|| SqlError::unknown_database(db))?;
        let tables = database.tables.values().filter_map(|table| table.as_olap());
        let partitions =
            tables.flat_map(|table| table.partitions.values().chain(table.temp_partitions.values()));
        for tablet in partitions.flat_map(|partition| partition.tablets()) {
            let backends =
                tablet.replicas.iter().filter_map(|replica| self.inner().backend(replica.backend_id));
            for found in backends.filter_map(|backend| backend.tablet(tablet.id).ok()) {
                found.claim_size(bytes);
            }
        }
        Ok(())
    }

    /// Lets a backend lose the segment files that the binlog of a tablet's version points to, as a damaged disk
    /// would: the version can still be read and is still announced, and its segments cannot be downloaded.
    pub fn lose_segment(&self, index: usize, tablet: i64, version: i64) -> anyhow::Result<()> {
        let id = self.backend_id(index)?;
        let backend = self.inner().backend(id).context("the backend has no data")?;
        backend.tablet(tablet)?.lose_segments(version).with_context(|| {
            format!("backend {index} has no segment of tablet {tablet} at version {version}")
        })
    }

    /// Waits until `holds` is true, asking again after every change of the cluster. False when the time
    /// limit passed first.
    pub async fn wait_until(&self, limit: Duration, holds: impl Fn(&ClusterInner) -> bool) -> bool {
        /// Not every change is announced, so look again after this in any case.
        const LOOK_AGAIN: Duration = Duration::from_millis(20);
        let waiting = async {
            loop {
                let changed = self.inner().changed.notified();
                if holds(self.inner()) {
                    return;
                }
                // Either outcome leads to the next look.
                drop(tokio::time::timeout(LOOK_AGAIN, changed).await);
            }
        };
        tokio::time::timeout(limit, waiting).await.is_ok()
    }

    /// Resolves when [`Cluster::stop`] has been called.
    pub fn stopped(&self) -> CancellationToken {
        self.shared.own.token()
    }
}
