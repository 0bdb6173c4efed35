//! Tasks: one refresh of one view each, one at a time per view, in the order asked for.

use std::sync::Arc;

use doris_types::sql::{qualified_name, quote_identifiers};
use serde::{Deserialize, Serialize};

use super::{AsyncView, MAY_WRITE, Outcome, Versions, follow, runs_by_itself};
use crate::cluster::ClusterInner;
use crate::error::{SqlError, SqlResult};
use crate::model::{DataType, OlapTable, PartitionValue, Table};
use crate::query;
use crate::query::run::{parse_query, sources};
use crate::session::Session;
use crate::sql::{RefreshMethod, RefreshTrigger};
use crate::state::FeState;

/// Tasks kept for `tasks("type" = "mv")`.
const KEPT_TASKS: usize = 100;

/// A row of `tasks("type" = "mv")`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    pub id: i64,
    pub db_id: i64,
    pub table_id: i64,
    pub method: RefreshMethod,
    pub status: TaskStatus,
    pub error: String,
    /// The partitions that were asked for by name; empty for those that need it.
    #[serde(default)]
    pub asked: Vec<String>,
    /// The partitions to be written; a refresh of what is in sync writes none.
    #[serde(default)]
    pub needed: Vec<String>,
    /// Those of them that are written.
    #[serde(default)]
    pub completed: Vec<String>,
    /// Number of partitions that the view had.
    #[serde(default)]
    pub total: usize,
    /// Milliseconds since the epoch; 0 while not reached.
    pub create_time: i64,
    pub start_time: i64,
    pub finish_time: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaskStatus {
    Pending,
    Running,
    Success,
    Failed,
    Canceled,
}

impl TaskStatus {
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Success => "SUCCESS",
            Self::Failed => "FAILED",
            Self::Canceled => "CANCELED",
        }
    }

    fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Running)
    }
}

impl Task {
    /// The task as a new process finds it: what was running starts from its beginning.
    pub fn again(self) -> Self {
        match self.status {
            TaskStatus::Running => Self { status: TaskStatus::Pending, start_time: 0, ..self },
            TaskStatus::Pending | TaskStatus::Success | TaskStatus::Failed | TaskStatus::Canceled => self,
        }
    }
}

/// A session that may write into views.
pub(super) fn writer(mut session: Session) -> Session {
    session.variables.insert(MAY_WRITE.to_owned(), "true".to_owned());
    session
}

/// Queues a refresh and has it run. Must be called within the runtime.
pub(super) fn submit(
    cluster: &Arc<ClusterInner>,
    state: &mut FeState,
    (db_id, table_id): (i64, i64),
    method: RefreshMethod,
    asked: Vec<String>,
) {
    let task = Task {
        id: state.ids.allocate(),
        db_id,
        table_id,
        method,
        status: TaskStatus::Pending,
        error: String::new(),
        asked,
        needed: Vec::new(),
        completed: Vec::new(),
        total: 0,
        create_time: cluster.clock.now_ms(),
        start_time: 0,
        finish_time: 0,
    };
    let tasks = &mut state.ddl.view_tasks;
    tasks.push(task);
    let surplus = tasks.len().saturating_sub(KEPT_TASKS);
    let mut removed = 0;
    tasks.retain(|task| {
        let goes = removed < surplus && !task.status.is_open();
        removed += usize::from(goes);
        !goes
    });
    state.journal();
    start(cluster);
}

/// Runs what waits, one task after the other. Must be called within the runtime.
fn start(cluster: &Arc<ClusterInner>) {
    let cluster = Arc::clone(cluster);
    tokio::spawn(async move { while work(&cluster).await {} });
}

pub(super) fn cancel(
    state: &mut FeState,
    (_, table_id): (i64, i64),
    task_id: i64,
    now_ms: i64,
) -> SqlResult<()> {
    let mut tasks = state.ddl.view_tasks.iter_mut();
    match tasks.find(|task| task.id == task_id && task.table_id == table_id && task.status.is_open()) {
        Some(task) => {
            task.status = TaskStatus::Canceled;
            task.finish_time = now_ms;
            Ok(())
        }
        None => Err(SqlError::general(format!("no running task, taskId: {task_id}"))),
    }
}

/// Starts what schedules and loads of base tables ask for. Called by the cluster's daemon.
pub fn tick(cluster: &Arc<ClusterInner>) {
    let now_ms = cluster.clock.now_ms();
    let state = &mut *cluster.fe.lock();
    let is_due = |view: &AsyncView, table: &OlapTable| {
        let table_id = table.id;
        if view.is_paused || !runs_by_itself(&view.refresh.trigger) {
            return false;
        }
        let busy = state.ddl.view_tasks.iter().any(|task| task.table_id == table_id && task.status.is_open());
        match view.refresh.trigger {
            RefreshTrigger::Manual => false,
            RefreshTrigger::Schedule { .. } => view.next_run <= now_ms,
            // What failed would fail again; the next refresh by hand decides.
            RefreshTrigger::Commit => {
                view.outcome == Outcome::Success && !busy && !view.is_in_sync(state, table)
            }
        }
    };
    let due: Vec<(i64, i64)> = state
        .databases
        .values()
        .flat_map(|db| db.tables.values().filter_map(Table::as_olap).map(|table| (db.id, table)))
        .filter(|(_, table)| table.async_view.as_ref().is_some_and(|view| is_due(view, table)))
        .map(|(db_id, table)| (db_id, table.id))
        .collect();
    for ids in due {
        let Some(view) = view_mut(state, ids) else { continue };
        let method = view.refresh.method;
        if let RefreshTrigger::Schedule { every, unit, .. } = &view.refresh.trigger {
            let step = period_ms(*every, unit);
            // Runs that were missed are not made up for.
            let missed = (now_ms - view.next_run).max(0) / step;
            view.next_run += (missed + 1) * step;
        }
        submit(cluster, state, ids, method, Vec::new());
    }
    // Those that a former process has left.
    let waits = |task: &Task| task.status == TaskStatus::Pending;
    let runs = |task: &Task| task.status == TaskStatus::Running;
    if state.ddl.view_tasks.iter().any(waits) && !state.ddl.view_tasks.iter().any(runs) {
        start(cluster);
    }
}

/// When a schedule runs first: at its start, or one period from now.
pub(super) fn first_run(trigger: &RefreshTrigger, now_ms: i64) -> SqlResult<i64> {
    match trigger {
        RefreshTrigger::Manual | RefreshTrigger::Commit => Ok(0),
        RefreshTrigger::Schedule { every, .. } if *every <= 0 => {
            Err(SqlError::general("interval must be greater than 0"))
        }
        RefreshTrigger::Schedule { every, unit, starts: None } => Ok(now_ms + period_ms(*every, unit)),
        RefreshTrigger::Schedule { starts: Some(text), .. } => start_ms(text)
            .filter(|start| *start >= now_ms)
            .ok_or_else(|| SqlError::general("starts time must be greater than current time")),
    }
}

fn start_ms(text: &str) -> Option<i64> {
    let normal = PartitionValue::Value(text.to_owned()).normalize(&DataType::DateTime { scale: 0 })?;
    let text = normal.text(&DataType::DateTime { scale: 0 }).replacen(' ', "T", 1);
    let local: jiff::civil::DateTime = text.parse().ok()?;
    Some(local.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_millisecond())
}

fn period_ms(every: i64, unit: &str) -> i64 {
    let minutes = match unit {
        "WEEK" => 7 * 24 * 60,
        "DAY" => 24 * 60,
        "HOUR" => 60,
        _minute => 1,
    };
    every.saturating_mul(minutes).saturating_mul(60_000)
}

fn view_mut(state: &mut FeState, (db_id, table_id): (i64, i64)) -> Option<&mut AsyncView> {
    let table = state.databases.get_mut(&db_id)?.tables.get_mut(&table_id)?;
    table.as_olap_mut()?.async_view.as_deref_mut()
}

/// Runs the next task whose view is idle; tells whether there was one.
async fn work(cluster: &Arc<ClusterInner>) -> bool {
    let task = {
        let tasks = &mut cluster.fe.lock().ddl.view_tasks;
        let is_busy = |table_id: i64| {
            tasks.iter().any(|task| task.table_id == table_id && task.status == TaskStatus::Running)
        };
        let next =
            tasks.iter().position(|task| task.status == TaskStatus::Pending && !is_busy(task.table_id));
        let Some(next) = next else { return false };
        let task = &mut tasks[next];
        task.status = TaskStatus::Running;
        task.start_time = cluster.clock.now_ms();
        task.clone()
    };
    let outcome = refresh(cluster, &task).await;
    let now_ms = cluster.clock.now_ms();
    {
        let state = &mut *cluster.fe.lock();
        if let Some(view) = view_mut(state, (task.db_id, task.table_id)) {
            match &outcome {
                Ok(Some(seen)) => {
                    view.seen.clone_from(seen);
                    view.outcome = Outcome::Success;
                }
                Ok(None) => {}
                Err(_) => view.outcome = Outcome::Fail,
            }
        }
        if let Some(known) = state.ddl.view_tasks.iter_mut().find(|known| known.id == task.id)
            && known.status == TaskStatus::Running
        {
            known.finish_time = now_ms;
            known.status = if outcome.is_ok() { TaskStatus::Success } else { TaskStatus::Failed };
            known.error = outcome.err().map(|error| error.message).unwrap_or_default();
        }
        state.journal();
    }
    cluster.changed.notify_waiters();
    true
}

/// What a refresh read, or nothing when the view was in sync.
type Seen = Option<Versions>;

async fn refresh(cluster: &Arc<ClusterInner>, task: &Task) -> SqlResult<Seen> {
    let (db, plan) = plan(cluster, task)?;
    let mut session =
        writer(Session { user: "root".to_owned(), database: Some(db.clone()), ..Session::default() });
    let mut all = None;
    for (partition, rows) in &plan.inserts {
        // Looked at before the rows are read: what comes between is seen by the next refresh.
        let seen = sources(cluster, &session, &parse_query(&plan.query)?)?;
        let into = qualified_name(&db, &plan.name);
        let insert = match partition {
            None => format!("INSERT OVERWRITE TABLE {into} {rows}"),
            Some(partition) => format!("INSERT OVERWRITE TABLE {into} PARTITION ({partition}) {rows}"),
        };
        query::run(cluster, &mut session, &insert).await?;
        completed(cluster, task, partition.as_deref().unwrap_or(&plan.name), &seen);
        all = Some(seen);
    }
    Ok(all)
}

/// What a refresh will do.
struct Plan {
    /// Of the view.
    name: String,
    query: String,
    /// Each partition, if the view follows others, with the query of its rows.
    inserts: Vec<(Option<String>, String)>,
}

/// Gives the view its partitions and finds those that must be written.
fn plan(cluster: &ClusterInner, task: &Task) -> SqlResult<(String, Plan)> {
    let state = &mut *cluster.fe.lock();
    let ids = (task.db_id, task.table_id);
    let gone = || SqlError::general(format!("async materialized view {} not exist", task.table_id));
    let followed = view_mut(state, ids).ok_or_else(gone)?.follows.clone();
    if let Some(follows) = &followed {
        follow::align(cluster, state, ids, follows)?;
    }
    let db = state.databases.get(&task.db_id).ok_or_else(gone)?;
    let table = db.tables.get(&task.table_id).and_then(Table::as_olap).ok_or_else(gone)?;
    let view = table.async_view.as_deref().ok_or_else(gone)?;
    let mut inserts = Vec::new();
    match &followed {
        None if task.method == RefreshMethod::Auto && view.is_in_sync(state, table) => {}
        None => inserts.push((None, view.query.clone())),
        Some(follows) => {
            let columns: Vec<&str> = table.columns().iter().map(|column| column.name.as_str()).collect();
            let source = format!("({}) AS view_rows ({})", view.query, quote_identifiers(columns));
            for partition in table.partitions.values() {
                let is_wanted = match task.method {
                    _ if !task.asked.is_empty() => task.asked.contains(&partition.name),
                    RefreshMethod::Complete => true,
                    RefreshMethod::Auto => !follow::is_in_sync(state, view, follows, partition),
                };
                if is_wanted {
                    let condition = follow::condition(table, partition, &follows.own);
                    let rows = format!("SELECT * FROM {source} WHERE {condition}");
                    inserts.push((Some(partition.name.clone()), rows));
                }
            }
        }
    }
    let plan = Plan { name: table.name.clone(), query: view.query.clone(), inserts };
    let (db, total) = (db.name.clone(), table.partitions.len());
    if let Some(known) = state.ddl.view_tasks.iter_mut().find(|known| known.id == task.id) {
        let names =
            plan.inserts.iter().map(|(partition, _)| partition.as_ref().unwrap_or(&plan.name).clone());
        known.needed = names.collect();
        known.total = total;
    }
    Ok((db, plan))
}

/// Notes that a partition shows what `seen` tells.
fn completed(cluster: &ClusterInner, task: &Task, partition: &str, seen: &Versions) {
    let state = &mut *cluster.fe.lock();
    if let Some(known) = state.ddl.view_tasks.iter_mut().find(|known| known.id == task.id) {
        known.completed.push(partition.to_owned());
    }
    let ids = (task.db_id, task.table_id);
    let followed = view_mut(state, ids).and_then(|view| view.follows.clone());
    let Some(follows) = followed else { return };
    let table = state.databases.get(&ids.0).and_then(|db| db.tables.get(&ids.1)).and_then(Table::as_olap);
    let own = table.and_then(|table| table.partitions.values().find(|own| own.name == partition));
    let Some(part) = own.map(|own| follow::part_of(state, &follows, &own.item, seen)) else { return };
    if let Some(view) = view_mut(state, ids) {
        view.seen_by.insert(partition.to_owned(), part);
    }
}
