//! SHOW PROC: the catalogue as a tree of directories.

use super::format::{cell, size, time};
use super::{nodes, partitions, tables};
use crate::cluster::ClusterInner;
use crate::error::{SqlError, SqlResult};
use crate::exec::binlog_config;
use crate::model::{BinlogConfig, Database, IndexState, OlapTable, Partition, Table};
use crate::session::{ResultSet, Session};
use crate::state::FeState;

pub fn run(cluster: &ClusterInner, session: &Session, path: &str) -> SqlResult<ResultSet> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    match parts.as_slice() {
        [] => {
            let mut result = ResultSet::new(&["name"]);
            result.rows = ["backends", "binlog", "dbs", "frontends"].map(|name| vec![cell(name)]).to_vec();
            Ok(result)
        }
        ["frontends"] => Ok(nodes::frontends(cluster, true, session.frontend)),
        ["backends"] => Ok(nodes::backends(cluster)),
        ["binlog"] => Ok(binlogs(&cluster.fe.lock())),
        ["dbs"] => Ok(databases(&cluster.fe.lock())),
        ["dbs", db, rest @ ..] => {
            let state = &*cluster.fe.lock();
            let db = find(state.databases.values(), db, |db| db.id, |db| &db.name)
                .ok_or_else(|| SqlError::general(format!("Database {db} does not exist")))?;
            match rest {
                [] => Ok(tables_of(state, db)),
                [table, rest @ ..] => {
                    let table = find(db.tables.values(), table, Table::id, Table::name)
                        .ok_or_else(|| SqlError::general(format!("Unknown table '{table}'")))?;
                    match table {
                        Table::Olap(table) => table_path(cluster, state, table, rest, path),
                        Table::View(_) => Ok(ResultSet::new(&["Nodes"])),
                    }
                }
            }
        }
        _ => Err(missing(path)),
    }
}

fn missing(path: &str) -> SqlError {
    SqlError { code: 5001, state: "HY000", message: format!("Proc path '{path}' doesn't exist") }
}

/// An object by its id or its name.
fn find<'a, T>(
    mut objects: impl Iterator<Item = &'a T>,
    wanted: &str,
    id: impl Fn(&T) -> i64,
    name: impl Fn(&T) -> &str,
) -> Option<&'a T> {
    let number = wanted.parse::<i64>().ok();
    objects.find(|object| number == Some(id(object)) || name(object) == wanted)
}

fn databases(state: &FeState) -> ResultSet {
    let mut result = ResultSet::new(&[
        "DbId",
        "DbName",
        "TableNum",
        "Size",
        "Quota",
        "LastConsistencyCheckTime",
        "ReplicaCount",
        "ReplicaQuota",
        "RunningTransactionNum",
        "TransactionQuota",
        "LastUpdateTime",
    ]);
    let default_quota = i64::try_from(state.txns.max_running).unwrap_or(i64::MAX);
    let row = |id: i64, name: &str, tables: usize, replicas: usize, running: usize, quota: i64| {
        vec![
            cell(id),
            cell(name),
            cell(tables),
            cell(size(0)),
            cell("8388608.000 TB"),
            None,
            cell(replicas),
            cell(1_073_741_824),
            cell(running),
            cell(quota),
            None,
        ]
    };
    for (at, name) in tables::SYSTEM_DATABASES.iter().enumerate() {
        result.rows.push(row(i64::try_from(at).unwrap_or_default(), name, 0, 0, 0, default_quota));
    }
    for db in state.databases.values() {
        let replicas = db.tables.values().filter_map(Table::as_olap).map(replica_count).sum();
        let running = state.txns.running(db.id).count();
        let quota = db.transaction_quota.unwrap_or(default_quota);
        result.rows.push(row(db.id, &db.name, db.tables.len(), replicas, running, quota));
    }
    result
}

fn replica_count(table: &OlapTable) -> usize {
    table.partitions.values().flat_map(Partition::tablets).map(|tablet| tablet.replicas.len()).sum()
}

fn tables_of(state: &FeState, db: &Database) -> ResultSet {
    let mut result = ResultSet::new(&[
        "TableId",
        "TableName",
        "IndexNum",
        "PartitionColumnName",
        "PartitionNum",
        "State",
        "Type",
        "LastConsistencyCheckTime",
        "ReplicaCount",
        "VisibleVersion",
        "VisibleVersionTime",
        "RunningTransactionNum",
        "LastUpdateTime",
    ]);
    for table in db.tables.values() {
        let Table::Olap(table) = table else {
            let mut row = vec![cell(table.id()), cell(table.name())];
            row.extend(vec![None; 4]);
            row.push(cell("VIEW"));
            row.extend(vec![None; 6]);
            result.rows.push(row);
            continue;
        };
        let newest = table.partitions.values().max_by_key(|partition| partition.visible_version);
        let running = state.txns.running(db.id).filter(|txn| txn.table_ids.contains(&table.id)).count();
        result.rows.push(vec![
            cell(table.id),
            cell(&table.name),
            cell(table.indexes.len()),
            cell(table.partition_scheme.column_names().join(", ")),
            cell(table.partitions.len()),
            cell(table.state.name()),
            cell(table.type_name()),
            None,
            cell(replica_count(table)),
            cell(newest.map_or(1, |partition| partition.visible_version)),
            newest.and_then(|partition| time(partition.visible_version_time)),
            cell(running),
            newest.and_then(|partition| time(partition.visible_version_time)),
        ]);
    }
    result
}

fn table_path(
    cluster: &ClusterInner,
    state: &FeState,
    table: &OlapTable,
    rest: &[&str],
    path: &str,
) -> SqlResult<ResultSet> {
    match rest {
        [] => {
            let mut result = ResultSet::new(&["Nodes"]);
            result.rows = ["partitions", "temp_partitions", "index_schema", "indexes"]
                .map(|node| vec![cell(node)])
                .to_vec();
            Ok(result)
        }
        ["partitions"] => Ok(partitions::rows(cluster, state, table, false)),
        ["temp_partitions"] => Ok(partitions::rows(cluster, state, table, true)),
        [kind @ ("partitions" | "temp_partitions"), wanted, rest @ ..] => {
            let all = if *kind == "partitions" { &table.partitions } else { &table.temp_partitions };
            let partition = find(all.values(), wanted, |partition| partition.id, |partition| &partition.name)
                .ok_or_else(|| SqlError::general(format!("Partition[{wanted}] does not exist")))?;
            partition_path(cluster, table, partition, rest, path)
        }
        ["index_schema"] => Ok(index_schemas(table)),
        ["index_schema", wanted] => {
            let index = find(table.indexes.values(), wanted, |index| index.id, |index| &index.name)
                .ok_or_else(|| SqlError::general(format!("Index[{wanted}] does not exist.")))?;
            let mut result = ResultSet::new(&["Field", "Type", "Null", "Key", "Default", "Extra"]);
            result.rows = index.columns.iter().map(tables::describe_row).collect();
            Ok(result)
        }
        ["indexes"] => {
            let mut result = ResultSet::new(&[
                "TableName",
                "NonUnique",
                "KeyName",
                "SeqInIndex",
                "ColumnName",
                "Collation",
                "Cardinality",
                "SubPart",
                "Packed",
                "Null",
                "IndexType",
                "Comment",
                "Properties",
                "IndexId",
            ]);
            for (id, mut row) in tables::index_rows(table) {
                row.push(cell(id));
                result.rows.push(row);
            }
            Ok(result)
        }
        _ => Err(missing(path)),
    }
}

fn partition_path(
    cluster: &ClusterInner,
    table: &OlapTable,
    partition: &Partition,
    rest: &[&str],
    path: &str,
) -> SqlResult<ResultSet> {
    match rest {
        [] => {
            let mut result = ResultSet::new(&["IndexId", "IndexName", "State", "LastConsistencyCheckTime"]);
            for id in partition.indexes.keys() {
                let schema = table.indexes.get(id);
                let state = schema.map_or("NORMAL", |schema| index_state(schema.state));
                let name = schema.map_or("", |schema| schema.name.as_str());
                result.rows.push(vec![cell(id), cell(name), cell(state), None]);
            }
            Ok(result)
        }
        [wanted] => {
            let index = partition
                .indexes
                .values()
                .find(|index| {
                    wanted.parse() == Ok(index.id)
                        || table.indexes.get(&index.id).is_some_and(|schema| schema.name == *wanted)
                })
                .ok_or_else(|| SqlError::general(format!("Index[{wanted}] does not exist.")))?;
            let mut result = ResultSet::new(&partitions::TABLET_COLUMNS);
            result.rows = partitions::tablet_rows(cluster, table, index);
            Ok(result)
        }
        _ => Err(missing(path)),
    }
}

fn index_state(state: IndexState) -> &'static str {
    match state {
        IndexState::Normal => "NORMAL",
        IndexState::Shadow => "SHADOW",
    }
}

fn index_schemas(table: &OlapTable) -> ResultSet {
    let mut result = ResultSet::new(&[
        "IndexId",
        "IndexName",
        "SchemaVersion",
        "SchemaHash",
        "ShortKeyColumnCount",
        "StorageType",
        "Keys",
    ]);
    for index in table.indexes.values() {
        let keys: Vec<&str> =
            index.columns.iter().filter(|column| column.is_key).map(|column| column.name.as_str()).collect();
        result.rows.push(vec![
            cell(index.id),
            cell(&index.name),
            cell(index.schema_version),
            cell(index.schema_hash),
            cell(keys.len().min(3)),
            cell("COLUMN"),
            cell(format!("{}_KEYS({})", tables::short_keys_name(index.keys_type), keys.join(", "))),
        ]);
    }
    result
}

/// The binlog lists of databases and tables that exist.
fn binlogs(state: &FeState) -> ResultSet {
    let mut result = ResultSet::new(&[
        "Name",
        "Type",
        "Id",
        "Dropped",
        "BinlogLength",
        "BinlogSize",
        "FirstBinlogCommittedTime",
        "ReadableFirstBinlogCommittedTime",
        "LastBinlogCommittedTime",
        "ReadableLastBinlogCommittedTime",
        "BinlogTtlSeconds",
        "BinlogMaxBytes",
        "BinlogMaxHistoryNums",
    ]);
    for (db_id, binlog) in state.binlogs.all() {
        let db = state.databases.get(&db_id);
        let config = db.map(binlog_config).unwrap_or_default();
        let db_name = db.map_or("(dropped)", |db| db.name.as_str());
        result.rows.push(binlog_row(db_name, "db", (db_id, db.is_none()), binlog.list(), &config));
        for list in binlog.tables() {
            let table_id = list.dummy().belong;
            let table = db.and_then(|db| db.tables.get(&table_id));
            let config = table.and_then(Table::as_olap).map(|table| table.binlog.clone()).unwrap_or_default();
            let name = format!("{db_name}.{}", table.map_or("(dropped)", Table::name));
            result.rows.push(binlog_row(&name, "table", (table_id, table.is_none()), list, &config));
        }
    }
    result
}

fn binlog_row(
    name: &str,
    kind: &str,
    (id, is_dropped): (i64, bool),
    list: &crate::binlog::BinlogList,
    config: &BinlogConfig,
) -> Vec<Option<String>> {
    let first = list.first().map(|entry| entry.timestamp_ms);
    let last = list.last().map(|entry| entry.timestamp_ms);
    vec![
        cell(name),
        cell(kind),
        cell(id),
        cell(is_dropped),
        cell(list.len() + 1),
        cell(list.bytes()),
        first.and_then(cell),
        first.and_then(time),
        last.and_then(cell),
        last.and_then(time),
        cell(config.ttl_seconds),
        cell(config.max_bytes),
        cell(config.max_history_nums),
    ]
}
