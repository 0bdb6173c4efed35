//! Two Doris clusters and a metadata store in memory, on virtual time, with faults at chosen calls.
//!
//! Everything is under one lock and every piece of work is one step, so a run is a function of its plan of
//! faults. A crash of the syncer is a call that never returns: the run then drops the job's task and
//! starts it again from the store. Ports belong to a *generation*; calls of a crashed one never reach
//! their peer. Of the processes of one generation only the last one owns the job, and what the others may not do any
//! more is a violation.

pub mod alter;
pub mod behind;
pub mod binlogs;
pub mod catalog;
pub mod check;
pub mod demand;
pub mod faults;
pub mod master;
pub mod ports;
pub mod refusals;
pub mod restore;
pub mod snapshot;
pub mod sql;
pub mod statement;
pub mod store;
pub mod txn;
pub mod upstream;
pub mod upstream_alter;
pub mod upstream_clauses;
pub mod upstream_restore;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use doris_types::failure::{Cause, Failure};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use self::catalog::Catalog;
use self::faults::{Fault, Plan};
use self::master::{Reign, Side};
use self::restore::Restores;
use self::snapshot::Backups;
use self::store::StoreState;
use self::txn::Transactions;
use self::upstream::Journal;
use self::upstream_restore::UpstreamRestores;

pub const SOURCE_DB: &str = "d1";
pub const TARGET_DB: &str = "d2";

/// 2026-01-01, so that times look like times.
const EPOCH_MS: i64 = 1_767_225_600_000;

#[derive(Debug)]
pub struct World {
    pub inner: Mutex<Inner>,
    pub crashed: Notify,
    /// Somebody has taken the lease, and is to be started.
    pub taken: Notify,
    began: Instant,
}

/// The state of everything.
#[derive(Debug, Default)]
pub struct Inner {
    pub now_ms: i64,
    last_id: i64,
    pub source: Catalog,
    pub journal: Journal,
    /// Partitions downstream live where they live upstream.
    pub follows_media: bool,
    pub backups: Backups,
    pub upstream_restores: UpstreamRestores,
    pub target: Catalog,
    pub transactions: Transactions,
    pub restores: Restores,
    /// Of both clusters.
    pub reigns: [Reign; 2],
    pub store: StoreState,
    pub plan: Plan,
    pub generation: u64,
    /// Calls so far, all and by operation.
    pub calls: u64,
    pub counts: BTreeMap<&'static str, u64>,
    /// The calls in order, for the message of a failed run.
    pub trace: Vec<String>,
    /// What must never happen and did.
    pub violations: Vec<String>,
    /// So many answers know nothing of the upstream database, as of a frontend that has just started.
    pub answers_without_database: u32,
    /// Somebody has dropped the upstream database, and may be about to create it again.
    pub knows_no_database: bool,
    /// Upstream backends that refuse every download.
    pub sick_sources: Vec<i64>,
    /// Upstream backends that are down: nobody can download from them.
    pub dead_sources: Vec<i64>,
    /// Downstream backends that cannot be reached.
    pub dead_targets: Vec<i64>,
    /// Tables that the target refuses to create.
    pub refused_creates: Vec<String>,
    /// Upstream tables whose targets take no more rows.
    pub full_tables: Vec<i64>,
    /// Downstream tables that somebody holds a lock on: no transaction of them is committed.
    pub locked_tables: Vec<String>,
    /// The downstream frontend answers no question about tables.
    pub target_is_silent: bool,
    /// Downstream tables and views that no statement can change now.
    pub busy_tables: Vec<String>,
    /// Names of tables that could not be dropped at once: who gets such a name next has to wait, and is copied.
    pub names_kept: Vec<String>,
    /// Tables, by upstream id, that a full sync may go on without.
    pub may_set_apart: BTreeSet<i64>,
    /// Downstream tables of somebody else, by id.
    pub foreign_tables: BTreeSet<i64>,
    /// Downstream tables and views of which every statement is refused.
    pub refusing_tables: Vec<String>,
    /// Downstream tables and views whose statements take effect, and are never answered.
    pub mute_tables: Vec<String>,
    /// Upstream tables whose rows take for ever.
    pub slow_tables: Vec<i64>,
    /// Answers of `query_ingest` that say that the work goes on, per replica; none: ingest is synchronous.
    pub async_polls: Option<u32>,
    /// The target before its newest changes.
    pub target_past: behind::Past,
    /// While a frontend answers that is behind: the time up to which it knows the journal.
    pub seen_ms: Option<i64>,
    /// The call under way is answered without any table, backup or restore.
    pub answers_empty: bool,
    /// Backends that failed to answer `getMeta` rightly: this many answers lack the tables asked for.
    pub stale_answers: u32,
    /// The upstream FE is too old to say what was dropped.
    pub hides_drops: bool,
    /// Somebody has given partitions other names downstream.
    pub partitions_renamed: bool,
    /// The upstream FE is too old to say what a partition was called before.
    pub hides_old_names: bool,
    /// The upstream FE has no directory that lists views with their ids.
    pub hides_views: bool,
    /// The job applies each table's changes in their own order.
    pub by_table: bool,
    /// A table job: its table upstream and downstream.
    pub only_table: Option<(String, String)>,
}

impl Inner {
    pub fn id(&mut self) -> i64 {
        self.last_id += 1;
        self.last_id
    }

    /// Lets the clusters do what their time has come for.
    pub fn tick(&mut self, now_ms: i64) {
        self.now_ms = now_ms;
        self.tick_backups();
        self.tick_restores();
        self.tick_transactions();
        self.note_jobs();
    }

    pub fn violation(&mut self, text: String) {
        self.trace.push(format!("VIOLATION {text}"));
        self.violations.push(text);
    }
}

impl World {
    pub fn new() -> Arc<Self> {
        let mut inner = Inner { last_id: 10_000, now_ms: EPOCH_MS, ..Inner::default() };
        inner.plan.latency_ms = 1;
        inner.plan.lag_ms = behind::LAG_MS;
        inner.plan.election_ms = master::ELECTION_MS;
        inner.plan.loses_snapshots = true;
        inner.source.database = SOURCE_DB.to_owned();
        inner.source.database_id = inner.id();
        inner.source.backends = catalog::backends(11, 3);
        inner.target.database = TARGET_DB.to_owned();
        inner.target.database_id = inner.id();
        inner.target.backends = catalog::backends(21, 3);
        Arc::new(Self {
            inner: Mutex::new(inner),
            crashed: Notify::new(),
            taken: Notify::new(),
            began: Instant::now(),
        })
    }

    pub fn now_ms(&self) -> i64 {
        EPOCH_MS + i64::try_from(self.began.elapsed().as_millis()).expect("runs are short")
    }

    /// Looks at the world, or changes it, from outside.
    pub fn with<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        let mut inner = self.inner.lock();
        inner.tick(self.now_ms());
        work(&mut inner)
    }

    pub fn count(&self, operation: &str) -> u64 {
        self.inner.lock().counts.get(operation).copied().unwrap_or(0)
    }
}

/// How the work of a call fails by itself: with the peer's answer.
pub type Answer<T> = Result<T, Cause>;

/// The way of one generation of ports into the world.
#[derive(Debug, Clone)]
pub struct Gate {
    pub world: Arc<World>,
    pub generation: u64,
    /// The lease of whoever makes the calls.
    pub epoch: u64,
}

/// What became of a call.
pub enum Reply<T> {
    Answered(T),
    /// The work was not done.
    Refused,
    Busy,
    /// The work was done.
    Lost,
}

/// How long ago whoever has lost the job may have looked whether he has it.
const GRACE_MS: i64 = 50;

/// What only the owner of a job may begin: no label keeps it from being done twice, or after what came next.
const OWNERS: [&str; 3] = ["target.execute", "source.start_backup", "target.start_restore"];

impl Gate {
    pub async fn pass<T>(&self, operation: &'static str, work: impl FnOnce(&mut Inner) -> T) -> Reply<T> {
        let (fault, reign, [before, after]) = {
            let mut inner = self.alive().await;
            inner.calls += 1;
            *inner.counts.entry(operation).or_default() += 1;
            let number = inner.calls;
            let (fault, latencies) = inner.plan.draw(number, operation);
            let note = fault.map_or(String::new(), |fault| format!(" {fault:?}"));
            let is_former = self.epoch < inner.store.epoch;
            let by = if is_former { format!(" by the owner of epoch {}", self.epoch) } else { String::new() };
            inner.trace.push(format!("{number} {operation}{note}{by}"));
            let since_ms = self.world.now_ms() - inner.store.taken_ms;
            if is_former && OWNERS.contains(&operation) && since_ms > GRACE_MS {
                inner.violation(format!("{operation} is called by one who has lost the job"));
            }
            (fault, inner.reign_number(operation), latencies)
        };
        tokio::time::sleep(Duration::from_millis(before)).await;
        let done = {
            let mut inner = self.alive().await;
            if fault.is_none() && inner.reign_number(operation) != reign {
                return Reply::Lost;
            }
            if fault.is_none() && inner.is_masterless(operation, self.world.now_ms()) {
                return Reply::Busy;
            }
            match fault {
                Some(Fault::CrashBefore) => {
                    self.crash(&mut inner);
                    None
                }
                Some(Fault::Refused | Fault::Busy) => None,
                Some(Fault::TakenBefore) => {
                    self.take(&mut inner);
                    None
                }
                Some(Fault::TakenAfter) => {
                    let done = inner.step(&self.world, work);
                    self.take(&mut inner);
                    Some(done)
                }
                Some(Fault::MasterChange | Fault::SourceMasterChange) => {
                    inner.tick(self.world.now_ms());
                    let is_target = fault == Some(Fault::MasterChange);
                    inner.change_master(if is_target { Side::Target } else { Side::Source });
                    if inner.is_masterless(operation, self.world.now_ms()) {
                        return Reply::Lost;
                    }
                    Some(inner.step(&self.world, work))
                }
                Some(Fault::Empty) => {
                    inner.answers_empty = true;
                    let done = inner.step(&self.world, work);
                    inner.answers_empty = false;
                    Some(done)
                }
                Some(Fault::Stale) if behind::is_answered(operation) => {
                    inner.tick(self.world.now_ms());
                    Some(inner.behind(behind::SHOWN.contains(&operation), work))
                }
                Some(Fault::Lost | Fault::Stale) | None => Some(inner.step(&self.world, work)),
                Some(Fault::CrashAfter) => {
                    let done = inner.step(&self.world, work);
                    self.crash(&mut inner);
                    Some(done)
                }
            }
        };
        tokio::time::sleep(Duration::from_millis(after)).await;
        let is_cut = self.alive().await.reign_number(operation) != reign && fault.is_none();
        match (fault, done) {
            (None, Some(_)) if is_cut => Reply::Lost,
            (Some(Fault::Lost), _) => Reply::Lost,
            (Some(Fault::Busy), _) => Reply::Busy,
            (_, Some(done)) => Reply::Answered(done),
            (_, None) => Reply::Refused,
        }
    }

    /// The world, for a syncer that has not crashed; for one that has, nothing ever happens again.
    async fn alive(&self) -> parking_lot::MutexGuard<'_, Inner> {
        let is_dead = self.world.inner.lock().generation != self.generation;
        if is_dead {
            std::future::pending::<()>().await;
        }
        self.world.inner.lock()
    }

    fn crash(&self, inner: &mut Inner) {
        inner.generation += 1;
        self.world.crashed.notify_one();
    }

    /// The store gives the job to another process, which has yet to be started.
    fn take(&self, inner: &mut Inner) {
        inner.store.epoch += 1;
        inner.store.taken_ms = self.world.now_ms();
        self.world.taken.notify_one();
    }

    /// A call to a cluster, which answers or fails with a cause.
    pub async fn call<T>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&mut Inner) -> Answer<T>,
    ) -> Result<T, Failure> {
        let cause = match self.pass(operation, work).await {
            Reply::Answered(Ok(value)) => return Ok(value),
            Reply::Answered(Err(cause)) => cause,
            Reply::Refused => Cause::Connect { detail: "connection refused".to_owned() },
            Reply::Busy => Cause::NoMaster { detail: "an election is under way".to_owned() },
            Reply::Lost => Cause::Lost { detail: "connection reset by peer".to_owned() },
        };
        Err(Failure::new(operation, "10.0.0.1:9020", cause))
    }
}

impl Inner {
    fn step<T>(&mut self, world: &World, work: impl FnOnce(&mut Inner) -> T) -> T {
        self.tick(world.now_ms());
        work(self)
    }
}

/// An answer with a status that is not OK, worded as Doris words it.
pub fn status(code: i32, text: impl std::fmt::Display) -> Cause {
    Cause::Status { code, messages: vec![format!("errCode = 2, detailMessage = {text}")] }
}

/// An error packet.
pub fn refusal(code: u16, text: impl std::fmt::Display) -> Cause {
    Cause::Sql { code, state: "HY000".to_owned(), message: format!("errCode = 2, detailMessage = {text}") }
}
