//! Expiry of binlogs: by time, released locks, bytes and count; then the backends drop the rowsets.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde::Deserialize;

use super::{BinlogEntry, BinlogList, BinlogType, DbBinlog};
use crate::cluster::ClusterInner;
use crate::model::{BinlogConfig, Database, Table};
use crate::state::FeState;

/// Backend id to (tablet id, last expired version).
pub type ExpiredVersions = BTreeMap<i64, Vec<(i64, i64)>>;

/// The part of an UPSERT record that says which versions it made.
#[derive(Debug, Deserialize)]
struct UpsertVersions {
    #[serde(rename = "tableRecords", default)]
    tables: BTreeMap<String, TableVersions>,
}

#[derive(Debug, Deserialize)]
struct TableVersions {
    #[serde(rename = "partitionRecords", default)]
    partitions: Vec<PartitionVersion>,
}

#[derive(Debug, Deserialize)]
struct PartitionVersion {
    #[serde(rename = "partitionId")]
    partition_id: i64,
    version: i64,
}

/// Runs [`collect_garbage`] and lets the backends delete what has expired.
pub fn collect_garbage_and_tell_backends(cluster: &ClusterInner) {
    let expired = collect_garbage(&mut cluster.fe.lock(), cluster.clock.now_ms());
    tell_backends(cluster, expired);
}

fn tell_backends(cluster: &ClusterInner, expired: ExpiredVersions) {
    for (backend_id, tablets) in expired {
        let Some(backend) = cluster.backend(backend_id) else { continue };
        for (tablet_id, version) in tablets {
            backend.gc_binlog(tablet_id, version);
        }
    }
}

/// Expires every binlog of one database that no lock protects, as if its time limit had passed.
pub fn expire_database(cluster: &ClusterInner, db_id: i64) {
    let expired = collect_garbage_where(&mut cluster.fe.lock(), i64::MAX, |id| id == db_id);
    tell_backends(cluster, expired);
}

/// Expires binlogs of all databases. The catalogue, not the remembered flags, decides what is enabled.
pub fn collect_garbage(state: &mut FeState, now_ms: i64) -> ExpiredVersions {
    collect_garbage_where(state, now_ms, |_| true)
}

fn collect_garbage_where(state: &mut FeState, now_ms: i64, wanted: impl Fn(i64) -> bool) -> ExpiredVersions {
    let mut newest_versions = BTreeMap::new();
    let mut any = false;
    for (db_id, binlog) in state.binlogs.databases.iter_mut().filter(|(id, _)| wanted(**id)) {
        let catalogue = state.databases.get(db_id);
        let config = catalogue.map(database_config).unwrap_or_default();
        let expired = if config.enable {
            expire_enabled(binlog, &config, now_ms)
        } else {
            expire_disabled(binlog, catalogue, now_ms)
        };
        any |= !expired.is_empty();
        for entry in &expired {
            note_versions(entry, &mut newest_versions);
        }
    }
    if any {
        // Followers collect what the master has.
        state.journal();
    }
    tablets_of(state, &newest_versions)
}

/// The binlog settings of a database from its properties.
pub fn database_config(db: &Database) -> BinlogConfig {
    let defaults = BinlogConfig::default();
    let number = |key: &str, default: i64| {
        db.properties.get(key).and_then(|value| value.parse().ok()).unwrap_or(default)
    };
    BinlogConfig {
        enable: db.properties.get("binlog.enable").is_some_and(|value| value == "true"),
        ttl_seconds: number("binlog.ttl_seconds", defaults.ttl_seconds),
        max_bytes: number("binlog.max_bytes", defaults.max_bytes),
        max_history_nums: number("binlog.max_history_nums", defaults.max_history_nums),
    }
}

/// One rule set for the whole database; table lists are cut where the database's list was.
fn expire_enabled(binlog: &mut DbBinlog, config: &BinlogConfig, now_ms: i64) -> Vec<Arc<BinlogEntry>> {
    let locks = binlog.list.locks.values().chain(binlog.tables.values().flat_map(|list| list.locks.values()));
    let lowest_lock = locks.min().copied();
    let expired = expire_list(&mut binlog.list, config, lowest_lock, now_ms);
    let Some(last) = expired.last().map(|entry| entry.commit_seq) else { return expired };
    release_locks(&mut binlog.list);
    for list in binlog.tables.values_mut() {
        let seqs: Vec<i64> =
            list.iter().map(|entry| entry.commit_seq).take_while(|seq| *seq <= last).collect();
        for seq in seqs {
            list.expire(seq);
        }
        release_locks(list);
    }
    binlog.dropped.expire_before(last);
    expired
}

/// Each table's own rules; the database's list then loses what no table list holds any more.
fn expire_disabled(
    binlog: &mut DbBinlog,
    catalogue: Option<&Database>,
    now_ms: i64,
) -> Vec<Arc<BinlogEntry>> {
    let mut last = -1;
    for (table_id, list) in &mut binlog.tables {
        let config = match catalogue.and_then(|db| db.tables.get(table_id)) {
            Some(Table::Olap(table)) if table.binlog.enable => table.binlog.clone(),
            // Off or gone: nothing is kept.
            _off => BinlogConfig { max_history_nums: 0, ..BinlogConfig::default() },
        };
        let lowest_lock = list.locks.values().min().copied();
        for entry in expire_list(list, &config, lowest_lock, now_ms) {
            entry.table_lists.fetch_sub(1, Ordering::Relaxed);
            last = last.max(entry.commit_seq);
        }
        release_locks(list);
    }
    let unheld: Vec<i64> = binlog
        .list
        .iter()
        .take_while(|entry| entry.commit_seq <= last)
        .filter(|entry| entry.table_lists.load(Ordering::Relaxed) <= 0)
        .map(|entry| entry.commit_seq)
        .collect();
    let expired: Vec<_> = unheld.into_iter().filter_map(|seq| binlog.list.expire(seq)).collect();
    if !expired.is_empty() {
        release_locks(&mut binlog.list);
        binlog.dropped.expire_before(last);
    }
    expired
}

/// Removes the oldest entries while one of the rules asks for it, and returns them in order.
fn expire_list(
    list: &mut BinlogList,
    config: &BinlogConfig,
    lowest_lock: Option<i64>,
    now_ms: i64,
) -> Vec<Arc<BinlogEntry>> {
    // In whole seconds.
    let now_ms = now_ms.div_euclid(1000).saturating_mul(1000);
    let oldest_kept_ms = now_ms.saturating_sub(config.ttl_seconds.max(0).saturating_mul(1000));
    // The highest one: a clock that went forward and back leaves younger entries in front of it.
    let by_time = list.iter().rev().find(|entry| entry.timestamp_ms <= oldest_kept_ms);
    let by_time = by_time.map_or(-1, |entry| entry.commit_seq);
    let limit = lowest_lock.map_or(by_time, |lock| by_time.max(lock - 1));
    let mut expired = Vec::new();
    while let Some(first) = list.first() {
        let seq = first.commit_seq;
        let too_big = i64::try_from(list.bytes()).unwrap_or(i64::MAX) > config.max_bytes;
        let entries = i64::try_from(list.len()).unwrap_or(i64::MAX).saturating_add(1);
        if seq > limit && !too_big && entries <= config.max_history_nums {
            break;
        }
        expired.extend(list.expire(seq));
    }
    expired
}

/// Drops locks that expiry has passed, so that a job that went away does not stay for ever.
fn release_locks(list: &mut BinlogList) {
    let expired = list.dummy().commit_seq;
    list.locks.retain(|_, seq| *seq > expired);
}

fn note_versions(entry: &BinlogEntry, newest: &mut BTreeMap<(i64, i64, i64), i64>) {
    if entry.binlog_type != BinlogType::UPSERT {
        return;
    }
    let Ok(record) = serde_json::from_str::<UpsertVersions>(&entry.data) else { return };
    for (table, versions) in record.tables {
        let Ok(table_id) = table.parse() else { continue };
        for made in versions.partitions {
            let version = newest.entry((entry.db_id, table_id, made.partition_id)).or_insert(made.version);
            *version = made.version.max(*version);
        }
    }
}

/// The replicas of the partitions; dropped ones have no tablets left to clean.
fn tablets_of(state: &FeState, newest: &BTreeMap<(i64, i64, i64), i64>) -> ExpiredVersions {
    let mut expired = ExpiredVersions::new();
    for ((db_id, table_id, partition_id), version) in newest {
        let table = state.databases.get(db_id).and_then(|db| db.tables.get(table_id));
        let partition = table.and_then(Table::as_olap).and_then(|table| table.any_partition(*partition_id));
        for tablet in partition.into_iter().flat_map(|partition| partition.tablets()) {
            for replica in &tablet.replicas {
                expired.entry(replica.backend_id).or_default().push((tablet.id, *version));
            }
        }
    }
    expired
}
