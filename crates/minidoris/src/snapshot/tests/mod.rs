//! Backups and restores, step by step and over sockets.

mod backup;
mod properties;
mod restore;
mod show;

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::cluster::{Cluster, ClusterInner};
use crate::model::OlapTable;
use crate::options::ClusterOptions;
use crate::sql::SnapshotStatement;
use crate::testkit::stage;
use crate::txn::{self, BeginTxn, CommitOutcome, CommitTxn, Coordinator, commit_and_publish};

const LIMIT: Duration = Duration::from_secs(30);

fn backup_statement(label: &str) -> SnapshotStatement {
    SnapshotStatement {
        db: None,
        label: label.to_owned(),
        repository: LOCAL_REPOSITORY.to_owned(),
        tables: None,
        exclude: Vec::new(),
        properties: crate::sql::Properties::default(),
    }
}

/// Loads rows through a transaction.
async fn load(
    cluster: &Arc<ClusterInner>,
    db_id: i64,
    table: &OlapTable,
    partition: &str,
    rows: &[(i128, i128)],
) {
    let txn_id = {
        let state = &mut *cluster.fe.lock();
        let request = BeginTxn {
            db_id,
            table_ids: vec![table.id],
            label: format!("load_{}", state.txns.next_id()),
            request_id: None,
            timeout_s: None,
            coordinator: Coordinator::Frontend { host: "fe".to_owned() },
            planned_indexes: None,
            sub_txn_num: 0,
            now_ms: cluster.clock.now_ms(),
        };
        txn::begin(state, request).unwrap().txn_id
    };
    let writes = stage(cluster, txn_id, table, partition, rows);
    let commit = CommitTxn { db_id, txn_id, writes, ..CommitTxn::default() };
    assert_eq!(commit_and_publish(cluster, commit, LIMIT).await, Ok(CommitOutcome::Visible));
}

/// State and Status of the only row with that label.
fn job_row(cluster: &ClusterInner, db: &str, label: &str) -> (String, String) {
    let state = cluster.fe.lock();
    let filter = LabelFilter::Equals(label.to_owned());
    let result = [show_backup(&state, db, &filter), show_restore(&state, db, &filter, false)]
        .into_iter()
        .map(Result::unwrap)
        .find(|result| !result.rows.is_empty())
        .unwrap_or_else(|| panic!("no job {label}"));
    let column = |name: &str| {
        let at = result.columns.iter().position(|column| column == name).unwrap();
        result.rows.last().unwrap()[at].clone().unwrap()
    };
    (column("State"), column("Status"))
}

/// Steps until the job of that label has finished one way or the other.
async fn finish(cluster: &Arc<ClusterInner>, db: &str, label: &str) -> (String, String) {
    let steps = async {
        loop {
            tick(cluster);
            let row = job_row(cluster, db, label);
            if ["FINISHED", "CANCELLED"].contains(&row.0.as_str()) {
                return row;
            }
            // Lets the transfers of a restore run.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(LIMIT, steps).await.expect("the job takes too long")
}

/// Backs a whole database up.
async fn back_up(cluster: &Arc<ClusterInner>, db: &str, label: &str) -> LocalSnapshot {
    submit_backup(cluster, db, &backup_statement(label)).unwrap();
    assert_eq!(finish(cluster, db, label).await, ("FINISHED".to_owned(), "[OK]".to_owned()));
    match find_snapshot(&cluster.fe.lock(), label, cluster.clock.now_ms()) {
        SnapshotLookup::Found(snapshot) => snapshot,
        other => panic!("no snapshot: {other:?}"),
    }
}

fn job_info(snapshot: &LocalSnapshot) -> JobInfo {
    serde_json::from_slice(&snapshot.job_info).unwrap()
}

/// A restore of the snapshot of `source` with what a syncer adds.
fn restore_request(source: &ClusterInner, snapshot: &LocalSnapshot, db: &str, label: &str) -> RestoreRequest {
    let (meta, mut job_info) = RestoreRequest::parse_payloads(&snapshot.meta, &snapshot.job_info).unwrap();
    let addresses = source
        .backend_nodes
        .read()
        .values()
        .map(|node| (node.id, NetworkAddress { ip: node.host.clone(), port: node.http_port }))
        .collect();
    let token = source.fe.lock().token.clone();
    job_info.extra_info = Some(ExtraInfo { be_network_map: Some(addresses), token: Some(token) });
    RestoreRequest {
        db: db.to_owned(),
        label: label.to_owned(),
        repository: LOCAL_REPOSITORY.to_owned(),
        table_refs: Vec::new(),
        properties: [("reserve_replica".to_owned(), "true".to_owned())].into(),
        job_info,
        meta,
    }
}

fn with(mut request: RestoreRequest, flags: &[&str]) -> RestoreRequest {
    request.properties.extend(flags.iter().map(|flag| ((*flag).to_owned(), "true".to_owned())));
    request
}

async fn restore(cluster: &Arc<ClusterInner>, request: RestoreRequest) -> (String, String) {
    let (db, label) = (request.db.clone(), request.label.clone());
    submit_restore(cluster, request).unwrap();
    finish(cluster, &db, &label).await
}

/// A cluster that serves, so that files can be fetched from it. Its daemon steps jobs as well.
async fn serving(name: &str, backends: usize, first_id: i64) -> Cluster {
    let options = ClusterOptions { backends, first_id, ..ClusterOptions::replicating(name) };
    Cluster::start(options).await.unwrap()
}

fn table_names(cluster: &ClusterInner, db_id: i64) -> Vec<String> {
    let state = cluster.fe.lock();
    let mut names: Vec<String> =
        state.databases[&db_id].tables.values().map(|table| table.name().to_owned()).collect();
    names.sort();
    names
}
