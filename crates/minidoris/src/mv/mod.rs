//! Asynchronous materialised views.
//!
//! A view is a table whose rows only its own tasks write: it has tablets and partitions like any other, and
//! beside them the query, when to run it, and which versions of which tables it last saw. A refresh is an
//! INSERT OVERWRITE of the query's result. Nothing about a view reaches the binlogs, see
//! [`crate::binlog::append`]. With PARTITION BY a column, partitions follow those of a base table ([`follow`]); an
//! expression there is kept as text, and the view is stored in one partition.

mod follow;
mod refresh;
mod show;

use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

pub use follow::{Follows, Versions};
pub use refresh::{Task, tick};
pub use show::{create_text, infos, jobs, tasks};

use crate::cluster::ClusterInner;
use crate::error::{SqlError, SqlResult};
use crate::exec::{self, create_async_view, drop_async_view, qualify_tables};
use crate::model::KeysType;
use crate::model::{OlapTable, Partition, Table};
use crate::query::create_as_select;
use crate::query::run::{describe, parse_query};
use crate::session::{Answer, Session};
use crate::sql::{
    AlterOperation, AlterTable, AsyncViewStatement, CreateAsyncView, CreateTable, RefreshInfo, RefreshMethod,
    RefreshRequest, RefreshTrigger, Statement, TableName,
};
use crate::state::FeState;

/// The session variable that lets statements write into a view; its own tasks set it.
pub const MAY_WRITE: &str = "allow_modify_materialized_view_data";

/// Properties that say how a view is refreshed, not how its table is stored.
const VIEW_PROPERTIES: [&str; 10] = [
    "grace_period",
    "excluded_trigger_tables",
    "refresh_partition_num",
    "workload_group",
    "partition_sync_limit",
    "partition_sync_time_unit",
    "partition_date_format",
    "enable_nondeterministic_function",
    "use_for_rewrite",
    "session_context",
];

/// What a table that is a view has beside its rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AsyncView {
    pub refresh: RefreshInfo,
    /// Tables qualified with their databases.
    pub query: String,
    #[serde(with = "crate::model::ordered")]
    pub properties: IndexMap<String, String>,
    pub partition_by: Option<String>,
    /// Its job starts no tasks by itself.
    pub is_paused: bool,
    pub outcome: Outcome,
    /// What the last refresh read: table to partition to version.
    pub seen: Versions,
    #[serde(default)]
    pub follows: Option<Follows>,
    /// For each partition of a view that follows others what its last refresh read.
    #[serde(default)]
    pub seen_by: BTreeMap<String, Versions>,
    /// When a schedule runs it next, milliseconds since the epoch.
    pub next_run: i64,
}

/// How the last refresh ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    Init,
    Success,
    Fail,
}

impl AsyncView {
    /// Whether the base tables are as the last refresh saw them. `table` is the view's own.
    pub fn is_in_sync(&self, state: &FeState, table: &OlapTable) -> bool {
        if let Some(follows) = &self.follows {
            return follow::all_in_sync(state, table, self, follows);
        }
        self.outcome == Outcome::Success
            && self.seen.iter().all(|(id, versions)| versions_of(state, *id).as_ref() == Some(versions))
    }

    /// As [`Self::is_in_sync`], of one partition.
    pub fn is_partition_in_sync(&self, state: &FeState, table: &OlapTable, partition: &Partition) -> bool {
        match &self.follows {
            Some(follows) => follow::is_in_sync(state, self, follows, partition),
            None => self.is_in_sync(state, table),
        }
    }

    /// The names of the tables that it read and that differ from what it saw.
    pub fn unsynced_tables(&self, state: &FeState, partition: &Partition) -> Vec<String> {
        let seen = match &self.follows {
            Some(_) => self.seen_by.get(&partition.name).unwrap_or(&self.seen),
            None => &self.seen,
        };
        let differs = |id: &i64, versions: &BTreeMap<i64, i64>| {
            let now = versions_of(state, *id).unwrap_or_default();
            let is_followed = self.follows.as_ref().is_some_and(|follows| follows.table_id == *id);
            if is_followed {
                versions.is_empty() || versions.iter().any(|(id, version)| now.get(id) != Some(version))
            } else {
                now != *versions
            }
        };
        let ids = seen.iter().filter(|(id, versions)| differs(id, versions)).map(|(id, _)| *id);
        ids.filter_map(|id| state.databases.values().find_map(|db| db.tables.get(&id)))
            .map(|table| table.name().to_owned())
            .collect()
    }

    /// Whether a base table is gone, so that the query cannot run.
    fn lacks_base(&self, state: &FeState) -> bool {
        self.seen.keys().any(|id| versions_of(state, *id).is_none())
    }
}

fn versions_of(state: &FeState, table_id: i64) -> Option<BTreeMap<i64, i64>> {
    let table = state.databases.values().find_map(|db| db.tables.get(&table_id))?.as_olap()?;
    Some(table.partitions.values().map(|partition| (partition.id, partition.visible_version)).collect())
}

/// Runs a statement about a view. Refreshes go on after the answer.
pub fn run(
    cluster: &Arc<ClusterInner>,
    session: &mut Session,
    statement: &AsyncViewStatement,
) -> SqlResult<Answer> {
    let now_ms = cluster.clock.now_ms();
    match statement {
        AsyncViewStatement::Create(create) => self::create(cluster, session, create)?,
        AsyncViewStatement::Refresh { view, how } => {
            let mut state = cluster.fe.lock();
            let ids = find(&state, session, view)?;
            let mut asked = Vec::new();
            let method = match how {
                RefreshRequest::Method(method) => *method,
                RefreshRequest::Partitions(names) => {
                    let table = table(&state, ids);
                    let known = |name: &String| table.partitions.values().any(|one| one.name == *name);
                    if let Some(missing) = names.iter().find(|name| !known(name)) {
                        return Err(SqlError::general(format!("partition not exist: {missing}")));
                    }
                    asked.clone_from(names);
                    RefreshMethod::Complete
                }
            };
            refresh::submit(cluster, &mut state, ids, method, asked);
        }
        AsyncViewStatement::Pause(view) => {
            change(cluster, session, view, |view| set_paused(view, true))?;
        }
        AsyncViewStatement::Resume(view) => {
            change(cluster, session, view, |view| set_paused(view, false))?;
        }
        AsyncViewStatement::CancelTask { view, task_id } => {
            let mut state = cluster.fe.lock();
            let ids = find(&state, session, view)?;
            refresh::cancel(&mut state, ids, *task_id, now_ms)?;
        }
        AsyncViewStatement::Rename { view, new_name } => {
            find(&cluster.fe.lock(), session, view)?;
            let operations = vec![AlterOperation::Rename { new_name: new_name.clone() }];
            let rename = Statement::AlterTable(AlterTable { table: view.clone(), operations });
            let mut writer = refresh::writer(session.clone());
            exec::run(cluster, &mut writer, &rename)?;
        }
        AsyncViewStatement::Reschedule { view, method, trigger } => {
            change(cluster, session, view, |view| {
                view.refresh.method = method.unwrap_or(view.refresh.method);
                if let Some(trigger) = trigger {
                    view.refresh.trigger.clone_from(trigger);
                    view.next_run = refresh::first_run(trigger, now_ms)?;
                }
                Ok(())
            })?;
        }
        AsyncViewStatement::Set { view, properties } => {
            if let Some(unknown) = properties.keys().find(|key| !VIEW_PROPERTIES.contains(&key.as_str())) {
                return Err(SqlError::general(format!("illegal key:{unknown}")));
            }
            change(cluster, session, view, |view| {
                view.properties.extend(properties.clone());
                Ok(())
            })?;
        }
        AsyncViewStatement::Drop { view, if_exists } => drop(cluster, session, view, *if_exists)?,
    }
    cluster.changed.notify_waiters();
    Ok(Answer::ok())
}

fn create(cluster: &Arc<ClusterInner>, session: &mut Session, create: &CreateAsyncView) -> SqlResult<()> {
    let db_name = {
        let state = cluster.fe.lock();
        let db_id = exec::database_id(&state, session, create.view.db.as_deref())?;
        let db = &state.databases[&db_id];
        if db.table_named(&create.view.name).is_some() {
            return match create.if_not_exists {
                true => Ok(()),
                false => Err(SqlError::table_exists(&create.view.name)),
            };
        }
        db.name.clone()
    };
    let query = qualify_tables(&create.query, &db_name)?;
    let names: Vec<String> = create.columns.iter().map(|(name, _)| name.clone()).collect();
    let described = describe(cluster, session, &parse_query(&query)?)?;
    let mut columns = create_as_select::columns(&names, &described)?;
    for (column, (_, comment)) in columns.iter_mut().zip(&create.columns) {
        column.comment.clone_from(comment);
    }
    let (view_properties, properties): (IndexMap<String, String>, IndexMap<String, String>) =
        create.properties.clone().into_iter().partition(|(key, _)| VIEW_PROPERTIES.contains(&key.as_str()));
    let (follows, partitioning) = {
        let state = cluster.fe.lock();
        let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
        let follows = match &create.partition_by {
            Some(text) => follow::follows(&state, text, &described, &names)?,
            None => None,
        };
        let partitioning = follows.as_ref().and_then(|follows| follow::partitioning(&state, follows));
        (follows, partitioning)
    };
    let view = AsyncView {
        refresh: create.refresh.clone(),
        query,
        properties: view_properties,
        partition_by: create.partition_by.clone(),
        is_paused: false,
        outcome: Outcome::Init,
        seen: BTreeMap::new(),
        follows,
        seen_by: BTreeMap::new(),
        next_run: refresh::first_run(&create.refresh.trigger, cluster.clock.now_ms())?,
    };
    let table = CreateTable {
        table: TableName::new(Some(&db_name), &create.view.name),
        temporary: false,
        if_not_exists: create.if_not_exists,
        columns,
        indexes: Vec::new(),
        keys: (!create.keys.is_empty()).then(|| (KeysType::Duplicate, create.keys.clone())),
        cluster_by: Vec::new(),
        comment: create.comment.clone(),
        partitioning,
        distribution: create.distribution.clone(),
        rollups: Vec::new(),
        properties,
        as_select: None,
        select_names: Vec::new(),
    };
    let mut state = cluster.fe.lock();
    let follows = view.follows.clone();
    let ids = create_async_view(cluster, &mut state, session, &table, view)?;
    if let Some(follows) = follows {
        follow::align(cluster, &mut state, ids, &follows)?;
    }
    if create.refresh.is_immediate {
        refresh::submit(cluster, &mut state, ids, RefreshMethod::Complete, Vec::new());
    }
    Ok(())
}

fn drop(cluster: &ClusterInner, session: &Session, name: &TableName, if_exists: bool) -> SqlResult<()> {
    let mut state = cluster.fe.lock();
    match find(&state, session, name) {
        Ok(ids) => {
            drop_async_view(cluster, &mut state, ids);
            state.ddl.view_tasks.retain(|task| task.table_id != ids.1);
            Ok(())
        }
        Err(error) if if_exists && error.code == 1109 => Ok(()),
        Err(error) => Err(error),
    }
}

/// Ids of the database and of an existing view.
fn find(state: &FeState, session: &Session, name: &TableName) -> SqlResult<(i64, i64)> {
    let db_id = exec::database_id(state, session, name.db.as_deref())?;
    let db = &state.databases[&db_id];
    match db.table_named(&name.name) {
        None => Err(SqlError::unknown_table(&db.name, &name.name)),
        Some(Table::Olap(table)) if table.async_view.is_some() => Ok((db_id, table.id)),
        Some(other) => {
            let kind = if other.as_olap().is_some() { "TABLE" } else { "VIEW" };
            let message =
                format!("'{0}.{1}' is not MATERIALIZED_VIEW. Use 'DROP {kind} {0}.{1}'.", db.name, name.name);
            Err(SqlError { code: 1347, state: "HY000", message })
        }
    }
}

fn table(state: &FeState, ids: (i64, i64)) -> &OlapTable {
    state.databases[&ids.0].tables[&ids.1].as_olap().expect("the ids were resolved to a view")
}

/// Changes what a view keeps beside its rows.
fn change(
    cluster: &ClusterInner,
    session: &Session,
    name: &TableName,
    change: impl FnOnce(&mut AsyncView) -> SqlResult<()>,
) -> SqlResult<()> {
    let state = &mut *cluster.fe.lock();
    let (db_id, table_id) = find(state, session, name)?;
    let table = state.databases.get_mut(&db_id).and_then(|db| db.tables.get_mut(&table_id));
    if let Some(view) = table.and_then(Table::as_olap_mut).and_then(|table| table.async_view.as_mut()) {
        change(view)?;
    }
    state.journal();
    Ok(())
}

fn set_paused(view: &mut AsyncView, paused: bool) -> SqlResult<()> {
    if view.is_paused == paused {
        let (now, wanted) = if paused { ("PAUSED", "PAUSED") } else { ("RUNNING", "RUNNING") };
        return Err(SqlError::general(format!(
            "Can't change job status to {wanted} when current status is {now}"
        )));
    }
    view.is_paused = paused;
    Ok(())
}

/// Whether a schedule or loads refresh the view.
fn runs_by_itself(trigger: &RefreshTrigger) -> bool {
    match trigger {
        RefreshTrigger::Manual => false,
        RefreshTrigger::Commit | RefreshTrigger::Schedule { .. } => true,
    }
}
