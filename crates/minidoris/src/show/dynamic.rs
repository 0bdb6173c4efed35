//! SHOW DYNAMIC PARTITION TABLES.

use super::format::{cell, time};
use super::tables::database;
use crate::error::SqlResult;
use crate::exec::dynamic::Settings;
use crate::model::{OlapTable, Table};
use crate::session::{ResultSet, Session};
use crate::state::FeState;

/// What is not there.
const NOTHING: &str = "N/A";

/// The tables with settings for dynamic partitions, whether or not they are on, by name.
pub fn rows(state: &FeState, session: &Session, db: Option<&str>) -> SqlResult<ResultSet> {
    let db = database(state, session, db)?;
    let mut result = ResultSet::new(&[
        "TableName",
        "Enable",
        "TimeUnit",
        "Start",
        "End",
        "Prefix",
        "Buckets",
        "ReplicationNum",
        "ReplicaAllocation",
        "StartOf",
        "LastUpdateTime",
        "LastSchedulerTime",
        "State",
        "LastCreatePartitionMsg",
        "LastDropPartitionMsg",
        "ReservedHistoryPeriods",
    ]);
    let mut tables: Vec<&OlapTable> = db.tables.values().filter_map(Table::as_olap).collect();
    tables.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    for table in tables {
        if let Some(settings) = Settings::read(&table.properties)? {
            result.rows.push(row(state, table, &settings));
        }
    }
    Ok(result)
}

fn row(state: &FeState, table: &OlapTable, settings: &Settings) -> Vec<Option<String>> {
    let text = |key: &str| {
        cell(
            table.properties.get(&format!("dynamic_partition.{key}")).map(String::as_str).unwrap_or_default(),
        )
    };
    let runtime = state.ddl.dynamic.runtime(table.id);
    let is_failing = runtime.create_error.is_some() || runtime.drop_error.is_some();
    let or_nothing = |text: Option<String>| text.or_else(|| cell(NOTHING));
    vec![
        cell(&table.name),
        cell(settings.enable),
        text("time_unit"),
        text("start"),
        text("end"),
        text("prefix"),
        text("buckets"),
        cell(settings.replication),
        text("replication_allocation"),
        or_nothing(settings.unit.start_text()),
        or_nothing(time(runtime.last_update)),
        or_nothing(time(runtime.last_scheduled)),
        cell(if is_failing { "ERROR" } else { "NORMAL" }),
        or_nothing(runtime.create_error),
        or_nothing(runtime.drop_error),
        text("reserved_history_periods"),
    ]
}
