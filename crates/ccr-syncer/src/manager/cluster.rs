//! Replicating a whole cluster: one database job for each database of the source, also for those to come.
//!
//! The jobs are called `<name>_<database>` and are jobs like any other. There is no cluster job that could be
//! paused or deleted, and nothing about it is stored: the monitor, which looks for databases that have come or
//! gone, ends with the process. Asking again for the same name, after a restart or with other options for
//! databases to come, takes over the jobs that are there and starts the monitor anew.
//!
//! A database whose job could not be created is tried again at every look. One that is gone is looked for
//! twice before its job is deleted, and a list that cannot be read, or is empty, says nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ccr_core::job::JobSpec;
use futures::stream::{self, StreamExt as _};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{Manager, ManagerError, ManagerResult};

/// How often the source is looked at, until an operator says otherwise.
pub const MONITOR_INTERVAL: Duration = Duration::from_secs(120);

/// Looks without a database before its job is deleted.
const LOOKS: u32 = 2;

/// Jobs that are created at a time.
const CONCURRENT: usize = 8;

/// Databases of Doris itself.
const SYSTEM: [&str; 3] = ["information_schema", "mysql", "__internal_schema"];

/// What became of the databases of a cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClusterCreated {
    /// The names of the jobs that are there now.
    pub jobs: Vec<String>,
    /// Databases without a job, and why.
    pub failed: BTreeMap<String, String>,
}

/// Databases that have a job, with the number of looks in a row that have not found them.
type Followed = BTreeMap<String, u32>;

impl Manager {
    /// Creates a job for each database of the source, and goes on doing so. `template` has no database.
    ///
    /// # Errors
    /// When the databases cannot be listed, or none of them has got a job.
    pub async fn create_cluster(self: &Arc<Self>, template: JobSpec) -> ManagerResult<ClusterCreated> {
        child(&template, "any").validate()?;
        let manager = Arc::clone(self);
        self.detached(async move {
            let mut followed = Followed::new();
            let failed = manager.look(&template, &mut followed).await?;
            if followed.is_empty() {
                let why = failed.into_iter().map(|(database, why)| format!("{database}: {why}"));
                let why = why.reduce(|all, one| format!("{all}; {one}"));
                let why = why.unwrap_or_else(|| "the source has no databases".to_owned());
                return Err(ManagerError::Target(format!("no job was created for {}: {why}", template.name)));
            }
            let jobs = followed.keys().map(|database| child_name(&template, database)).collect();
            let stop = manager.closing.child_token();
            let other = manager.monitors.lock().insert(template.name.clone(), stop.clone());
            if let Some(other) = other {
                other.cancel();
            }
            let monitor = Arc::clone(&manager);
            manager.tasks.spawn(async move { monitor.monitor(template, followed, stop).await });
            Ok(ClusterCreated { jobs, failed })
        })
        .await
    }

    pub fn monitor_interval(&self) -> Duration {
        *self.monitor_interval.borrow()
    }

    /// Holds for all monitors, from now on.
    pub fn set_monitor_interval(&self, interval: Duration) {
        self.monitor_interval.send_replace(interval);
    }

    async fn monitor(self: Arc<Self>, template: JobSpec, mut followed: Followed, stop: CancellationToken) {
        let mut interval = self.monitor_interval.subscribe();
        loop {
            let pause = *interval.borrow_and_update();
            tokio::select! {
                () = stop.cancelled() => return,
                // The manager, which has the sender, outlives this.
                _ = interval.changed() => continue,
                () = tokio::time::sleep(pause) => {}
            }
            match self.look(&template, &mut followed).await {
                Ok(failed) => {
                    for (database, why) in failed {
                        warn!(
                            cluster = template.name,
                            database, why, "a database has no job, will try again"
                        );
                    }
                }
                Err(error) => info!(cluster = template.name, %error, "databases not listed, will try again"),
            }
        }
    }

    /// Creates the jobs that are missing and deletes those that are not wanted any more.
    async fn look(
        self: &Arc<Self>,
        template: &JobSpec,
        followed: &mut Followed,
    ) -> ManagerResult<BTreeMap<String, String>> {
        let upstream = self.parts.connector.upstream(&template.src);
        let listed = upstream.databases().await.map_err(|failure| ManagerError::Cluster {
            what: format!("list the databases of cluster {}", template.name),
            failure: Box::new(failure),
        })?;
        let present: Vec<String> =
            listed.into_iter().filter(|name| !SYSTEM.contains(&name.as_str())).collect();
        if present.is_empty() {
            return Ok(BTreeMap::new());
        }
        self.drop_gone(template, followed, &present).await;
        let wanted = present.into_iter().filter(|name| !followed.contains_key(name));
        let creations: Vec<_> = wanted
            .map(|database| {
                let (manager, spec) = (Arc::clone(self), child(template, &database));
                async move { (database, manager.create_child(spec).await) }
            })
            .collect();
        let created: Vec<_> = stream::iter(creations).buffer_unordered(CONCURRENT).collect().await;
        let mut failed = BTreeMap::new();
        for (database, result) in created {
            match result {
                Ok(()) => {
                    followed.insert(database, 0);
                }
                Err(error) => {
                    failed.insert(database, error.to_string());
                }
            }
        }
        Ok(failed)
    }

    async fn drop_gone(self: &Arc<Self>, template: &JobSpec, followed: &mut Followed, present: &[String]) {
        let mut gone = Vec::new();
        for (database, missed) in followed.iter_mut() {
            *missed = if present.contains(database) { 0 } else { *missed + 1 };
            if *missed >= LOOKS {
                gone.push(database.clone());
            }
        }
        for database in gone {
            let name = child_name(template, &database);
            match self.delete(&name).await {
                Ok(()) => info!(job = %name, database, "the database is gone, its job is deleted"),
                Err(ManagerError::NotExist { .. }) => {}
                Err(error) => {
                    warn!(job = %name, %error, "the job of a database that is gone is not deleted, will try again");
                    continue;
                }
            }
            followed.remove(&database);
        }
    }

    /// A job of that name between these clusters and databases counts as created.
    async fn create_child(self: &Arc<Self>, spec: JobSpec) -> ManagerResult<()> {
        let is_same = |there: &JobSpec| {
            let sides = |spec: &JobSpec| {
                [&spec.src, &spec.dest].map(|side| (side.host.clone(), side.port, side.database.clone()))
            };
            sides(there) == sides(&spec)
        };
        if self.record(&spec.name).is_ok_and(|there| is_same(&there.spec)) {
            return Ok(());
        }
        self.create(spec).await.map(|_| ())
    }
}

fn child_name(template: &JobSpec, database: &str) -> String {
    format!("{}_{database}", template.name)
}

fn child(template: &JobSpec, database: &str) -> JobSpec {
    let mut spec = template.clone();
    spec.name = child_name(template, database);
    database.clone_into(&mut spec.src.database);
    database.clone_into(&mut spec.dest.database);
    spec
}
