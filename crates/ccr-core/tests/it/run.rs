//! Drives one job over a [`World`]: starts it, starts it again after each crash, waits for conditions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ccr_core::control::{self, Request, RequestError};
use ccr_core::failpoint::Failpoints;
use ccr_core::job::{
    ClusterSpec, DesiredState, JobOptions, JobOrdering, JobRecord, JobSpec, JobState, Phase, Position,
    SyncType,
};
use ccr_core::observer::NoObserver;
use ccr_core::proof::{self, Sight};
use ccr_core::runner::{EngineOptions, JobContext, JobHandle, spawn};
use ccr_core::status::JobStatus;
use ccr_core::store::{HistoryEntry, StoreError};
use ccr_core::turns::SnapshotTurns;
use doris_types::call::{BinlogPage, BinlogScope};

use super::world::ports::{Source, Target, VirtualClock};
use super::world::store::MemoryStore;
use super::world::upstream_restore::UpstreamRestore;
use super::world::{Gate, Inner, SOURCE_DB, TARGET_DB, World};

/// How long a condition may take, on the virtual clock.
const PATIENCE: Duration = Duration::from_secs(4 * 3600);

#[derive(Debug)]
pub struct Run {
    pub world: Arc<World>,
    pub record: JobRecord,
    pub options: EngineOptions,
    pub failpoints: Arc<Failpoints>,
    /// Those of the one process that runs at a time.
    pub turns: Arc<SnapshotTurns>,
    handle: Option<JobHandle>,
    /// Tasks of processes that have lost the job, and may not know it yet.
    former: Vec<JobHandle>,
    pub starts: u32,
}

impl Run {
    pub fn database(world: Arc<World>) -> Self {
        Self::new(world, "", "")
    }

    /// A database job that has caught up with some tables of two partitions and two buckets, each with a load.
    pub async fn following(tables: &[&str]) -> Self {
        let world = World::new();
        world.with(|world| {
            for name in tables {
                world.create(name, &[1, 2], 2);
                world.load_all(name);
            }
        });
        let mut run = Self::database(world);
        run.start();
        run.caught_up().await;
        run
    }

    pub fn table(world: Arc<World>, source: &str, target: &str) -> Self {
        world.with(|world| world.only_table = Some((source.to_owned(), target.to_owned())));
        Self::new(world, source, target)
    }

    fn new(world: Arc<World>, source: &str, target: &str) -> Self {
        let side = |host: &str, database: &str, table: &str| ClusterSpec {
            host: host.to_owned(),
            port: 9030,
            thrift_port: 9020,
            user: "root".to_owned(),
            password: String::new(),
            database: database.to_owned(),
            table: table.to_owned(),
            frontends: Vec::new(),
            host_mapping: BTreeMap::new(),
        };
        let spec = JobSpec {
            name: "j".to_owned(),
            src: side("a", SOURCE_DB, source),
            dest: side("b", TARGET_DB, target),
            options: JobOptions::default(),
        };
        let id = spec.job_id(0);
        let record = JobRecord { id, spec, desired: DesiredState::Running, created_at_ms: 0 };
        world.with(|world| {
            world.store.state = Some(JobState::new(&record.id, world.now_ms));
            world.store.position = Position::default();
        });
        let options = EngineOptions {
            binlog_batch_size: 5,
            snapshot_poll: Duration::from_millis(100),
            quarantine_after: Duration::from_secs(3),
            ..EngineOptions::default()
        };
        Self {
            world,
            record,
            options,
            failpoints: Arc::default(),
            turns: Arc::default(),
            handle: None,
            former: Vec::new(),
            starts: 0,
        }
    }

    /// Lets the job apply each table's changes in their own order from its next start on, and lets tables go on by
    /// themselves after so few others have overtaken them.
    pub fn in_table_order(&mut self, overtaken_limit: usize) {
        self.record.spec.options.ordering = JobOrdering::Table;
        self.options.overtaken_limit = overtaken_limit;
        self.world.with(|world| world.by_table = true);
    }

    /// Starts the job as a new process would, with a newer lease.
    pub fn start(&mut self) {
        let epoch = self.world.with(|world| {
            world.store.epoch += 1;
            world.store.epoch
        });
        let gate = || self.gate(epoch);
        self.handle = Some(spawn(JobContext {
            record: self.record.clone(),
            epoch,
            upstream: Arc::new(Source(gate())),
            downstream: Arc::new(Target(gate())),
            store: Arc::new(MemoryStore(gate())),
            clock: Arc::new(VirtualClock(gate())),
            observer: Arc::new(NoObserver),
            options: Arc::new(self.options.clone()),
            failpoints: Arc::clone(&self.failpoints),
            turns: Arc::clone(&self.turns),
        }));
        self.starts += 1;
    }

    /// The way into the world of whoever has that lease.
    pub fn gate(&self, epoch: u64) -> Gate {
        let generation = self.world.inner.lock().generation;
        Gate { world: Arc::clone(&self.world), generation, epoch }
    }

    /// Stops the job where it is, which is what a crash does.
    pub async fn stop(&mut self) {
        self.world.inner.lock().generation += 1;
        for handle in self.former.drain(..).chain(self.handle.take()) {
            handle.stop().await;
        }
    }

    /// Starts the job in another process, beside the one that has lost it.
    fn take_over(&mut self) {
        self.former.extend(self.handle.take());
        self.turns = Arc::default();
        self.start();
    }

    /// Waits until whoever has lost the job does nothing any more. One that waits for an operator sends nothing either.
    pub async fn alone(&mut self) {
        let world = Arc::clone(&self.world);
        let began = tokio::time::Instant::now();
        let is_over = |handle: &JobHandle| handle.is_finished() || handle.status().step == "blocked";
        while !self.former.iter().all(is_over) {
            if began.elapsed() > PATIENCE {
                self.fail("one who has lost the job goes on");
            }
            tokio::select! {
                biased;
                // Of either: the world knows one process only that can crash.
                () = world.crashed.notified() => {
                    self.restart().await;
                    self.caught_up().await;
                }
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
            }
        }
    }

    pub async fn restart(&mut self) {
        self.stop().await;
        self.start();
    }

    /// Asks something of the job as an operator does: it is stopped, and started again.
    pub async fn request(&mut self, request: Request) {
        self.stop().await;
        loop {
            let epoch = self.world.with(|world| {
                world.store.epoch += 1;
                world.store.epoch
            });
            let store = MemoryStore(self.gate(epoch));
            let now_ms = self.world.now_ms();
            let crashed = self.world.crashed.notified();
            tokio::select! {
                biased;
                () = crashed => {}
                answer = control::apply(&store, &self.record, epoch, &request, now_ms) => match answer {
                    Ok(()) => break,
                    Err(RequestError::Store(StoreError::Unavailable { .. } | StoreError::Fenced { .. })) => {}
                    Err(error) => panic!("{request:?} is refused: {error}"),
                },
            }
        }
        self.start();
    }

    pub fn status(&self) -> JobStatus {
        self.handle.as_ref().expect("the job was started").status()
    }

    /// Waits, starting the job again after each crash.
    pub async fn until(&mut self, what: &str, condition: impl Fn(&Inner, &JobStatus) -> bool) {
        self.until_within(PATIENCE, what, condition).await;
    }

    /// The same, for so long at most on the virtual clock: nobody may be kept waiting for longer.
    pub async fn until_within(
        &mut self,
        patience: Duration,
        what: &str,
        condition: impl Fn(&Inner, &JobStatus) -> bool,
    ) {
        let world = Arc::clone(&self.world);
        let began = tokio::time::Instant::now();
        loop {
            let status = self.status();
            self.check_lag();
            if world.with(|inner| condition(inner, &status)) {
                return;
            }
            if began.elapsed() > patience {
                self.fail(&format!("{what} does not come about within {patience:?}"));
            }
            tokio::select! {
                biased;
                () = world.crashed.notified() => self.restart().await,
                () = world.taken.notified() => self.take_over(),
                () = tokio::time::sleep(Duration::from_millis(20)) => {}
            }
        }
    }

    /// Waits until everything upstream has been replayed and persisted.
    pub async fn caught_up(&mut self) {
        let record = self.record.clone();
        self.until("catching up", move |world, status| {
            status.blocked.is_some() || is_caught_up(world, status, &record)
        })
        .await;
        if let Some(blocked) = self.status().blocked {
            self.fail(&format!("blocked: {blocked:?}"));
        }
    }

    pub async fn blocked(&mut self) -> ccr_core::job::Blocked {
        self.until("a block", |_, status| status.blocked.is_some()).await;
        self.status().blocked.expect("just seen")
    }

    /// Both sides are equal, and nothing went wrong on the way.
    pub fn check(&self) {
        let (difference, violations) =
            self.world.with(|world| (world.difference(), world.violations.clone()));
        if !violations.is_empty() {
            self.fail(&violations[0]);
        }
        if let Some(difference) = difference {
            self.fail(&difference);
        }
    }

    /// Whoever sees no lag must see the rows: at any moment, not just at the end.
    fn check_lag(&self) {
        let status = self.status();
        let difference = self.world.with(|world| {
            // Asked first: all the way through a long list there is a lag, and its history grows with it.
            if !is_caught_up(world, &status, &self.record) {
                return None;
            }
            let is_left_out = world.store.state.iter().any(|state| !state.left_out.is_empty());
            let keeps = |entry: &HistoryEntry| entry.plan == "skip" && entry.reason.starts_with("DROP_TABLE");
            let is_left_out = is_left_out || world.store.history.iter().any(keeps);
            if is_left_out { None } else { world.difference() }
        });
        if let Some(difference) = difference {
            self.fail(&format!("no lag, but {difference}"));
        }
    }

    pub fn check_violations(&self) {
        let violations = self.world.with(|world| world.violations.clone());
        if !violations.is_empty() {
            self.fail(&violations[0]);
        }
    }

    /// Shows the last calls, or as many as `CCR_SIM_TRACE` says.
    pub fn fail(&self, problem: &str) -> ! {
        let inner = self.world.inner.lock();
        let lines = std::env::var("CCR_SIM_TRACE").ok().and_then(|lines| lines.parse().ok()).unwrap_or(120);
        let shown: Vec<&String> = inner.trace.iter().rev().take(lines).collect();
        let trace: Vec<String> =
            shown.into_iter().rev().map(|line| line.chars().take(200).collect()).collect();
        let entry = |entry: &HistoryEntry| {
            format!("{} {} {} {}", entry.last_commit_seq, entry.plan, entry.outcome, entry.reason)
        };
        let history: Vec<String> = inner.store.history.iter().map(entry).collect();
        panic!(
            "{problem}\nstatus {:#?}\nposition {:?}\nstate {:#?}\nhistory:\n{}\nlast calls:\n{}",
            self.status(),
            inner.store.position,
            inner.store.state.as_ref(),
            history.join("\n"),
            trace.join("\n")
        );
    }

    pub fn history(&self) -> Vec<(String, String, String)> {
        self.world.with(|world| {
            let entries = world.store.history.iter();
            entries.map(|entry| (entry.plan.clone(), entry.reason.clone(), entry.outcome.clone())).collect()
        })
    }
}

/// Whether everything is applied, as far as the job and a look upstream can tell.
fn is_caught_up(world: &Inner, status: &JobStatus, record: &JobRecord) -> bool {
    let restores = world.upstream_restores.jobs.iter().map(UpstreamRestore::job).collect();
    let sight = Sight { database: Some(world.source.meta(&proof::filter(status))), restores };
    let is_table = record.spec.sync_type() == SyncType::Table;
    let Some(state) = &world.store.state else { return false };
    let Phase::Incremental(incremental) = &state.phase else { return false };
    let table_id = if is_table { state.tables.keys().next().copied() } else { None };
    let scope = BinlogScope { database: SOURCE_DB.to_owned(), table_id };
    let rest = world.binlogs(&scope, world.store.position.commit_seq, 1);
    // One that was passed over, because its table was restored over meanwhile, leaves its mark behind.
    incremental.statement_in_doubt.is_none_or(|seq| seq <= world.store.position.commit_seq)
        && proof::doubt(record, status, &sight, true).is_none()
        && state.tables.values().all(|link| link.lane.is_flowing())
        && state.views_apart.is_empty()
        && state.crossing.is_none()
        && matches!(rest, BinlogPage::CaughtUp | BinlogPage::NotFound)
        && status.unpublished.is_none()
        && status.unproven.is_none()
        && status.apart.is_empty()
        && status.position.commit_seq == world.store.position.commit_seq
}
