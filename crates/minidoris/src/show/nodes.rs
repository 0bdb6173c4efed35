//! SHOW FRONTENDS, SHOW BACKENDS and the settings of both.

use super::format::{cell, size, time};
use crate::cluster::{ClusterInner, tag_text};
use crate::frontend_config;
use crate::session::ResultSet;

/// `live_since` is the last column of SHOW FRONTENDS, which `frontends()` lacks; `connected` is the frontend that
/// the client talks to.
pub fn frontends(cluster: &ClusterInner, live_since: bool, connected: usize) -> ResultSet {
    let mut result = ResultSet::new(&[
        "Name",
        "Host",
        "EditLogPort",
        "HttpPort",
        "QueryPort",
        "RpcPort",
        "ArrowFlightSqlPort",
        "Role",
        "IsMaster",
        "ClusterId",
        "Join",
        "Alive",
        "ReplayedJournalId",
        "LastStartTime",
        "LastHeartbeat",
        "IsHelper",
        "ErrMsg",
        "Version",
        "CurrentConnected",
    ]);
    if live_since {
        result.columns.push("LiveSince".to_owned());
    }
    let journal_id = cluster.fe.lock().journal_id;
    let now = cluster.clock.now_ms();
    for (at, node) in cluster.frontends.read().iter() {
        let mut row = vec![
            cell(&node.name),
            cell(&node.host),
            cell(node.edit_log_port),
            cell(node.http_port),
            cell(node.query_port),
            cell(node.rpc_port),
            cell(-1),
            cell(node.role.name()),
            cell(node.is_master),
            cell(1),
            cell(true),
            cell(node.alive),
            cell(journal_id),
            time(node.start_time),
            time(now),
            cell(*at == 0),
            cell(""),
            cell(&cluster.options.version),
            cell(if *at == connected { "Yes" } else { "No" }),
        ];
        if live_since {
            row.push(time(node.start_time));
        }
        result.rows.push(row);
    }
    result
}

/// SHOW BACKENDS and `backends()`.
pub fn backends(cluster: &ClusterInner) -> ResultSet {
    let mut result = ResultSet::new(&[
        "BackendId",
        "Host",
        "HeartbeatPort",
        "BePort",
        "HttpPort",
        "BrpcPort",
        "ArrowFlightSqlPort",
        "LastStartTime",
        "LastHeartbeat",
        "Alive",
        "SystemDecommissioned",
        "TabletNum",
        "DataUsedCapacity",
        "TrashUsedCapacity",
        "AvailCapacity",
        "TotalCapacity",
        "UsedPct",
        "MaxDiskUsedPct",
        "RemoteUsedCapacity",
        "Tag",
        "ErrMsg",
        "Version",
        "Status",
        "HeartbeatFailureCounter",
        "NodeRole",
        "CpuCores",
        "Memory",
        "LiveSince",
        "RunningTasks",
    ]);
    let tablets = tablets_per_backend(cluster);
    let now = cluster.clock.now_ms();
    for node in cluster.backend_nodes.read().values() {
        result.rows.push(vec![
            cell(node.id),
            cell(&node.host),
            cell(node.heartbeat_port),
            cell(node.be_port),
            cell(node.http_port),
            cell(node.brpc_port),
            cell(-1),
            time(node.start_time),
            time(now),
            cell(node.alive),
            cell(node.decommissioned),
            cell(tablets.get(&node.id).copied().unwrap_or(0)),
            cell(size(0)),
            cell(size(0)),
            cell(size(1 << 40)),
            cell(size(1 << 40)),
            cell("0.00 %"),
            cell("0.00 %"),
            cell(size(0)),
            cell(tag_text(&node.location)),
            cell(if node.alive { "" } else { "connection refused" }),
            cell(&cluster.options.version),
            cell(format!(
                "{{\"lastSuccessReportTabletsTime\":\"N/A\",\"lastStreamLoadTime\":-1,\"isQueryDisabled\":{},\
                 \"isLoadDisabled\":{}}}",
                node.query_disabled, node.load_disabled
            )),
            cell(i32::from(!node.alive)),
            cell("mix"),
            cell(1),
            cell(size(1 << 30)),
            time(node.start_time),
            cell(0),
        ]);
    }
    result
}

fn tablets_per_backend(cluster: &ClusterInner) -> std::collections::HashMap<i64, usize> {
    let mut counts = std::collections::HashMap::new();
    let state = cluster.fe.lock();
    for table in
        state.databases.values().flat_map(|db| db.tables.values()).filter_map(|table| table.as_olap())
    {
        for partition in table.partitions.values().chain(table.temp_partitions.values()) {
            for replica in partition.tablets().flat_map(|tablet| &tablet.replicas) {
                *counts.entry(replica.backend_id).or_insert(0) += 1;
            }
        }
    }
    counts
}

/// ADMIN SHOW FRONTEND CONFIG.
pub fn frontend_config(cluster: &ClusterInner) -> ResultSet {
    let mut result = ResultSet::new(&["Key", "Value", "Type", "IsMutable", "MasterOnly", "Comment"]);
    for (key, value) in &cluster.fe.lock().config {
        let known = frontend_config::describe(key);
        let kind = known.map_or("String", |known| known.kind);
        let (mutable, master_only) = known.map_or((true, false), |known| (known.mutable, known.master_only));
        result.rows.push(vec![
            cell(key),
            cell(value),
            cell(kind),
            cell(mutable),
            cell(master_only),
            cell(""),
        ]);
    }
    result.rows.sort();
    result
}

/// ADMIN SHOW BACKEND CONFIG.
pub fn backend_config(cluster: &ClusterInner, only: Option<i64>) -> ResultSet {
    let mut result = ResultSet::new(&["BackendId", "Host", "Key", "Value", "Type", "IsMutable"]);
    for backend in cluster.backends.read().values() {
        if only.is_some_and(|only| only != backend.id()) {
            continue;
        }
        for (key, item) in backend.config.list(None) {
            result.rows.push(vec![
                cell(backend.id()),
                cell(backend.host()),
                cell(key),
                cell(item.value),
                cell(item.kind),
                cell(item.mutable),
            ]);
        }
    }
    result
}
