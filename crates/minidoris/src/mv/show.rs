//! What is told of asynchronous materialised views.

use doris_types::sql::{quote_identifiers, quote_string};

use super::{AsyncView, Outcome, follow};
use crate::error::SqlResult;
use crate::model::OlapTable;
use crate::session::{ResultSet, Session};
use crate::show::{distribution_text, escape_comment, format_time};
use crate::sql::{RefreshTrigger, TableName};
use crate::state::FeState;

fn text(value: impl ToString) -> Option<String> {
    Some(value.to_string())
}

/// SHOW CREATE MATERIALIZED VIEW v.
pub fn create_text(state: &FeState, session: &Session, name: &TableName) -> SqlResult<ResultSet> {
    let ids = super::find(state, session, name)?;
    let table = super::table(state, ids);
    let mut result = ResultSet::new(&["Materialized View", "Create Materialized View"]);
    if let Some(view) = &table.async_view {
        result.rows.push(vec![text(&table.name), text(statement(table, view))]);
    }
    Ok(result)
}

fn statement(table: &OlapTable, view: &AsyncView) -> String {
    let columns: Vec<String> = table
        .columns()
        .iter()
        .map(|column| {
            let name = quote_identifiers([column.name.as_str()]);
            match column.comment.as_str() {
                "" => name,
                comment => format!("{name} comment '{}'", escape_comment(comment)),
            }
        })
        .collect();
    let keys = table.columns().iter().filter(|column| column.is_key).map(|column| column.name.as_str());
    let mut sql = format!(
        "CREATE MATERIALIZED VIEW `{}`\n({})\n{}\nDUPLICATE KEY({})\n",
        table.name,
        columns.join(","),
        view.refresh,
        quote_identifiers(keys)
    );
    if !table.comment.is_empty() {
        sql.push_str(&format!("COMMENT '{}'\n", escape_comment(&table.comment)));
    }
    if let Some(partition_by) = &view.partition_by {
        sql.push_str(&format!("PARTITION BY ({partition_by})\n"));
    }
    let mut properties = crate::show::table_properties::printed(table, crate::show::Flavour::User, false);
    properties.extend(view.properties.iter().map(|(key, value)| (key.clone(), value.clone())));
    let properties: Vec<String> = properties
        .into_iter()
        .map(|(key, value)| format!("{} = {}", quote_string(&key), quote_string(&value)))
        .collect();
    sql.push_str(&format!(
        "{}\nPROPERTIES (\n{}\n)\nAS {}",
        distribution_text(&table.default_distribution),
        properties.join(",\n"),
        view.query
    ));
    sql
}

/// The views of the state with their databases.
fn views(state: &FeState) -> impl Iterator<Item = (&crate::model::Database, &OlapTable, &AsyncView)> {
    state.databases.values().flat_map(|db| {
        db.tables.values().filter_map(move |table| {
            let table = table.as_olap()?;
            Some((db, table, table.async_view.as_deref()?))
        })
    })
}

fn job_name(table: &OlapTable) -> String {
    format!("inner_mtmv_{}", table.id)
}

/// `mv_infos("database" = "d")`.
pub fn infos(state: &FeState, db_name: &str) -> ResultSet {
    let mut result = ResultSet::new(&[
        "Id",
        "Name",
        "JobName",
        "State",
        "SchemaChangeDetail",
        "RefreshState",
        "RefreshInfo",
        "QuerySql",
        "MvPartitionInfo",
        "SyncWithBaseTables",
    ]);
    for (db, table, view) in views(state) {
        if !db.name.eq_ignore_ascii_case(db_name) {
            continue;
        }
        let broken = view.lacks_base(state);
        let status = match view.outcome {
            Outcome::Init => "INIT",
            Outcome::Success | Outcome::Fail if broken => "SCHEMA_CHANGE",
            Outcome::Success | Outcome::Fail => "NORMAL",
        };
        let outcome = match view.outcome {
            Outcome::Init => "INIT",
            Outcome::Success => "SUCCESS",
            Outcome::Fail => "FAIL",
        };
        result.rows.push(vec![
            text(table.id),
            text(&table.name),
            text(job_name(table)),
            text(status),
            text(if broken { "The base table has been updated: drop" } else { "" }),
            text(outcome),
            text(&view.refresh),
            text(&view.query),
            text(match (&view.follows, &view.partition_by) {
                (Some(follows), _) => follow::info(state, follows),
                (None, Some(column)) => {
                    format!("MTMVPartitionInfo{{partitionType=FOLLOW_BASE_TABLE, partitionCol='{column}'}}")
                }
                (None, None) => "MTMVPartitionInfo{partitionType=SELF_MANAGE}".to_owned(),
            }),
            text(view.is_in_sync(state, table)),
        ]);
    }
    result
}

/// `jobs("type" = "mv")`.
pub fn jobs(state: &FeState) -> ResultSet {
    let mut result = ResultSet::new(&[
        "Id",
        "Name",
        "MvId",
        "MvName",
        "MvDatabaseId",
        "MvDatabaseName",
        "ExecuteType",
        "RecurringStrategy",
        "Status",
        "CreateTime",
    ]);
    for (db, table, view) in views(state) {
        let (kind, strategy) = match &view.refresh.trigger {
            RefreshTrigger::Manual => ("MANUAL", "MANUAL TRIGGER".to_owned()),
            RefreshTrigger::Commit => ("MANUAL", "ON COMMIT".to_owned()),
            RefreshTrigger::Schedule { every, unit, starts } => {
                let starts = starts.as_ref().map(|starts| format!(" STARTS {starts}")).unwrap_or_default();
                ("RECURRING", format!("EVERY {every} {unit}{starts}"))
            }
        };
        result.rows.push(vec![
            text(table.id),
            text(job_name(table)),
            text(table.id),
            text(&table.name),
            text(db.id),
            text(&db.name),
            text(kind),
            text(strategy),
            text(if view.is_paused { "PAUSED" } else { "RUNNING" }),
            format_time(table.create_time),
        ]);
    }
    result
}

/// `tasks("type" = "mv")`, oldest first.
pub fn tasks(state: &FeState) -> ResultSet {
    let mut result = ResultSet::new(&[
        "TaskId",
        "JobId",
        "JobName",
        "MvId",
        "MvName",
        "MvDatabaseId",
        "MvDatabaseName",
        "Status",
        "ErrorMsg",
        "CreateTime",
        "StartTime",
        "FinishTime",
        "DurationMs",
        "TaskContext",
        "RefreshMode",
        "NeedRefreshPartitions",
        "CompletedPartitions",
        "Progress",
        "LastQueryId",
    ]);
    for task in &state.ddl.view_tasks {
        let found = views(state).find(|(_, table, _)| table.id == task.table_id);
        let Some((db, table, _)) = found else { continue };
        let is_done = task.finish_time > 0;
        let list = |names: &[String]| {
            let names: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
            format!("[{}]", names.join(","))
        };
        let (done, needed) = (task.completed.len(), task.needed.len());
        let percent = if needed == 0 { 0.0 } else { 100.0 * done as f64 / needed as f64 };
        let mode = match needed {
            0 => "NOT_REFRESH",
            all if all == task.total => "COMPLETE",
            _ => "PARTIAL",
        };
        result.rows.push(vec![
            text(task.id),
            text(table.id),
            text(job_name(table)),
            text(table.id),
            text(&table.name),
            text(db.id),
            text(&db.name),
            text(task.status.name()),
            text(&task.error),
            format_time(task.create_time),
            format_time(task.start_time),
            format_time(task.finish_time),
            is_done.then(|| (task.finish_time - task.start_time).max(0).to_string()),
            text(format!(
                "{{\"triggerMode\":\"MANUAL\",\"isComplete\":{}}}",
                task.method == crate::sql::RefreshMethod::Complete
            )),
            text(mode),
            text(list(&task.needed)),
            text(list(&task.completed)),
            text(format!("{percent:.2}% ({done}/{needed})")),
            None,
        ]);
    }
    result
}
