//! The part of the admin API that changes what a cluster is in: jobs, locks, replicas, lags, sizes.

use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, bail};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::json;

use super::admin::{done, failure, outcome};
use super::{Hold, LONGEST_DELAY};
use crate::cluster::Cluster;
use crate::model::{ReplicaState, Table};

pub(super) fn routes() -> Router<Cluster> {
    Router::new()
        .route("/fail_job/{db}", post(fail_job))
        .route("/publish_delay/{ms}", post(delay_publish))
        .route("/alter/{operation}", post(alter))
        .route("/be/{index}/drop_tablet/{tablet}", post(drop_tablet))
        .route("/be/{index}/shut_tablet/{tablet}", post(shut_tablet))
        .route("/be/{index}/lose_segment/{tablet}/{version}", post(lose_segment))
        .route("/size/{db}/{bytes}", post(claim_size))
        .route("/snapshot_size/{label}/{bytes}", post(claim_snapshot_size))
        .route("/fe/{index}/replay_delay/{ms}", post(delay_replay))
        .route("/hold/table/{db}/{table}/{ms}", post(hold_table))
        .route("/hold/submit/{ms}", post(hold_submit))
        .route("/replica/{tablet}/{backend}/{state}", post(set_replica_state))
}

/// Ends the running backup or restore of a database with the message in the body.
async fn fail_job(State(cluster): State<Cluster>, Path(db): Path<String>, message: String) -> Response {
    match crate::snapshot::fail_running_job(cluster.inner(), &db, &message) {
        Ok(true) => done().into_response(),
        Ok(false) => failure(StatusCode::BAD_REQUEST, "no backup or restore is running"),
        Err(error) => failure(StatusCode::BAD_REQUEST, &error.to_string()),
    }
}

/// Holds schema changes, rollups and builds of indexes, moves each by one step, or lets them go on.
async fn alter(State(cluster): State<Cluster>, Path(operation): Path<String>) -> Response {
    let inner = cluster.inner();
    match operation.as_str() {
        "pause" => inner.alters_paused.store(true, Ordering::Release),
        "resume" => inner.alters_paused.store(false, Ordering::Release),
        "step" => {
            let moved = crate::exec::job::step(inner);
            return Json(json!({ "success": true, "moved": moved })).into_response();
        }
        _ => return failure(StatusCode::NOT_FOUND, "operations of ALTER jobs: pause, step, resume"),
    }
    done().into_response()
}

/// Commits wait that long for their publishing from now on.
async fn delay_publish(State(cluster): State<Cluster>, Path(ms): Path<i64>) -> Response {
    cluster.inner().fe.lock().txns.publish_delay_ms = ms;
    done().into_response()
}

/// The backend forgets a tablet, as a lost disk would.
async fn drop_tablet(State(cluster): State<Cluster>, Path((index, tablet)): Path<(usize, i64)>) -> Response {
    if index >= cluster.backend_count() {
        return failure(StatusCode::BAD_REQUEST, &format!("no backend {index}"));
    }
    let backend = cluster.backend(index);
    if !backend.has_tablet(tablet) {
        return failure(StatusCode::BAD_REQUEST, &format!("backend {index} has no tablet {tablet}"));
    }
    backend.drop_tablet(tablet);
    done().into_response()
}

/// The backend moves a tablet to the trash and has not done so yet.
async fn shut_tablet(State(cluster): State<Cluster>, Path((index, tablet)): Path<(usize, i64)>) -> Response {
    if index >= cluster.backend_count() {
        return failure(StatusCode::BAD_REQUEST, &format!("no backend {index}"));
    }
    match cluster.backend(index).tablet(tablet) {
        Ok(tablet) => {
            tablet.shut_down();
            done().into_response()
        }
        Err(error) => failure(StatusCode::BAD_REQUEST, &error.to_string()),
    }
}

/// The backend loses the segment files of a version's binlog; its rows stay readable.
async fn lose_segment(
    State(cluster): State<Cluster>,
    Path((index, tablet, version)): Path<(usize, i64, i64)>,
) -> Response {
    outcome(cluster.lose_segment(index, tablet, version))
}

async fn claim_size(State(cluster): State<Cluster>, Path((db, bytes)): Path<(String, u64)>) -> Response {
    outcome(cluster.claim_tablet_size(&db, bytes).map_err(anyhow::Error::new))
}

/// A snapshot counts as so many bytes more than it has.
async fn claim_snapshot_size(
    State(cluster): State<Cluster>,
    Path((label, bytes)): Path<(String, usize)>,
) -> Response {
    cluster.inner().fe.lock().snapshots.claimed_bytes.insert(label, bytes);
    done().into_response()
}

/// A follower replays the journal that long after the master wrote it.
async fn delay_replay(State(cluster): State<Cluster>, Path((index, ms)): Path<(usize, u64)>) -> Response {
    match cluster.inner().frontends.write().get_mut(&index) {
        Some(node) => node.replay_delay = Duration::from_millis(ms).min(LONGEST_DELAY),
        None => return failure(StatusCode::BAD_REQUEST, &format!("no frontend {index}")),
    }
    cluster.inner().changed.notify_waiters();
    done().into_response()
}

/// Somebody holds the write lock of a table for that long.
async fn hold_table(
    State(cluster): State<Cluster>,
    Path((db, table, ms)): Path<(String, String, u64)>,
) -> Response {
    let id = {
        let state = cluster.inner().fe.lock();
        state.database_named(&db).and_then(|db| db.table_named(&table)).map(Table::id)
    };
    match id {
        Some(id) => {
            cluster.inner().holds.hold(Hold::Table(id), Duration::from_millis(ms));
            done().into_response()
        }
        None => failure(StatusCode::BAD_REQUEST, &format!("no table {table} in {db}")),
    }
}

/// Somebody submits a backup or restore for that long.
async fn hold_submit(State(cluster): State<Cluster>, Path(ms): Path<u64>) -> Response {
    cluster.inner().holds.hold(Hold::Submit, Duration::from_millis(ms));
    done().into_response()
}

async fn set_replica_state(
    State(cluster): State<Cluster>,
    Path((tablet, backend, state)): Path<(i64, i64, String)>,
) -> Response {
    outcome(change_replica(&cluster, tablet, backend, &state))
}

fn change_replica(cluster: &Cluster, tablet: i64, backend: i64, name: &str) -> anyhow::Result<()> {
    let all = [ReplicaState::Normal, ReplicaState::Clone, ReplicaState::Decommission];
    let Some(wanted) = all.into_iter().find(|state| state.name().eq_ignore_ascii_case(name)) else {
        bail!("states of a replica: {}", all.map(ReplicaState::name).join(", "));
    };
    let state = &mut *cluster.inner().fe.lock();
    let missing = || format!("no replica of tablet {tablet} on backend {backend}");
    let place = state.txns.tablets.get(tablet).with_context(missing)?;
    let db = state.databases.get_mut(&place.db_id).with_context(missing)?;
    let table = db.tables.get_mut(&place.table_id).and_then(Table::as_olap_mut).with_context(missing)?;
    let partition = table.any_partition_mut(place.partition_id).with_context(missing)?;
    let tablets = partition.indexes.values_mut().flat_map(|index| &mut index.tablets);
    let replica = tablets
        .filter(|found| found.id == tablet)
        .flat_map(|found| &mut found.replicas)
        .find(|replica| replica.backend_id == backend)
        .with_context(missing)?;
    replica.state = wanted;
    state.journal();
    Ok(())
}
