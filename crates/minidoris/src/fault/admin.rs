//! The admin API of a cluster: faults, counters, nodes and binlog gc over HTTP.
//!
//! Bodies are JSON. Nodes are addressed by position (`/fe/0`, `/be/1`). A failure answers 400 or 500 with
//! `{"error": …}`.

use std::future::Future;

use axum::extract::{Path, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{Fault, admin_states};
use crate::binlog::BinlogType;
use crate::cluster::Cluster;

/// Serves until `shutdown` resolves.
pub async fn serve(
    cluster: Cluster,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) {
    let name = cluster.name().to_owned();
    let router = router(cluster);
    let serving = axum::serve(listener, router).into_future();
    tokio::select! {
        () = shutdown => {}
        result = serving => {
            if let Err(error) = result {
                tracing::warn!(cluster = %name, %error, "admin port closed");
            }
        }
    }
}

fn router(cluster: Cluster) -> Router {
    Router::new()
        .route("/", get(describe))
        .route("/faults", get(list_faults).post(add_fault).delete(clear_faults))
        .route("/counters", get(counters))
        .route("/counters/reset", post(reset_counters))
        .route("/fe", post(add_frontend))
        .route("/be", post(add_backend))
        .route("/fe/{index}/{operation}", post(frontend))
        .route("/be/{index}/{operation}", post(backend))
        .route("/fe/{index}/move", post(move_frontend))
        .route("/be/{index}/move", post(move_backend))
        .route("/be/{index}/announce", post(announce_backend))
        .route("/binlog/gc", post(gc_binlogs))
        .route("/binlog/expire/{db}", post(expire_binlogs))
        .route("/binlog/append/{db}", post(append_binlog))
        .route("/clock/advance/{ms}", post(advance_clock))
        .merge(admin_states::routes())
        .layer(middleware::from_fn_with_state(cluster.clone(), log_change))
        .with_state(cluster)
}

/// One line for everything that changes something; what only looks is not told.
async fn log_change(State(cluster): State<Cluster>, request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = next.run(request).await;
    if method != Method::GET {
        let status = response.status().as_u16();
        tracing::info!(cluster = %cluster.name(), %method, path, status, "admin request");
    }
    response
}

async fn describe(State(cluster): State<Cluster>) -> Json<Value> {
    let inner = cluster.inner();
    let frontends: Vec<Value> = inner
        .frontends
        .read()
        .iter()
        .map(|(number, node)| {
            json!({
                "number": number, "role": node.role.name(), "edit_log_port": node.edit_log_port,
                "name": node.name, "host": node.host, "http_port": node.http_port,
                "query_port": node.query_port, "rpc_port": node.rpc_port,
                "is_master": node.is_master, "alive": node.alive,
            })
        })
        .collect();
    let backends: Vec<Value> = inner
        .backend_nodes
        .read()
        .values()
        .map(|node| {
            json!({
                "id": node.id, "host": node.host, "http_port": node.http_port,
                "be_port": node.be_port, "heartbeat_port": node.heartbeat_port, "alive": node.alive,
                "decommissioned": node.decommissioned,
            })
        })
        .collect();
    Json(json!({ "name": inner.name, "frontends": frontends, "backends": backends }))
}

async fn list_faults(State(cluster): State<Cluster>) -> Json<Vec<Fault>> {
    Json(cluster.faults().rules())
}

async fn add_fault(State(cluster): State<Cluster>, body: String) -> Response {
    match serde_json::from_str::<Fault>(&body) {
        Ok(fault) => {
            cluster.faults().add(fault);
            Json(cluster.faults().rules()).into_response()
        }
        Err(error) => failure(StatusCode::BAD_REQUEST, &error.to_string()),
    }
}

async fn clear_faults(State(cluster): State<Cluster>) -> Json<Value> {
    cluster.faults().clear();
    done()
}

async fn counters(State(cluster): State<Cluster>) -> Response {
    Json(cluster.counters().snapshot()).into_response()
}

async fn reset_counters(State(cluster): State<Cluster>) -> Json<Value> {
    cluster.counters().reset();
    done()
}

async fn frontend(
    State(cluster): State<Cluster>,
    Path((index, operation)): Path<(usize, String)>,
) -> Response {
    match operation.as_str() {
        "make_master" => outcome(cluster.make_master(index)),
        "kill" => outcome(cluster.kill_frontend(index).await),
        "restart" => outcome(cluster.restart_frontend(index).await),
        _ => failure(StatusCode::NOT_FOUND, "operations of a frontend: make_master, kill, restart, move"),
    }
}

async fn backend(
    State(cluster): State<Cluster>,
    Path((index, operation)): Path<(usize, String)>,
) -> Response {
    match operation.as_str() {
        "kill" => outcome(cluster.kill_backend(index).await),
        "restart" => outcome(cluster.restart_backend(index).await),
        "decommission" => outcome(cluster.decommission_backend(index)),
        "drop" => outcome(cluster.drop_backend(index).await),
        _ => failure(
            StatusCode::NOT_FOUND,
            "operations of a backend: kill, restart, move, announce, decommission, drop",
        ),
    }
}

async fn add_frontend(State(cluster): State<Cluster>) -> Response {
    match cluster.add_frontend().await {
        Ok(number) => Json(json!({ "success": true, "number": number })).into_response(),
        Err(error) => failure(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error:#}")),
    }
}

async fn add_backend(State(cluster): State<Cluster>) -> Response {
    match cluster.add_backend().await {
        Ok(index) => {
            let id = cluster.be(index).id;
            Json(json!({ "success": true, "position": index, "id": id })).into_response()
        }
        Err(error) => failure(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error:#}")),
    }
}

async fn move_frontend(State(cluster): State<Cluster>, Path(number): Path<usize>, body: String) -> Response {
    match serde_json::from_str(&body) {
        Ok(address) => outcome(cluster.move_frontend(number, address).await),
        Err(error) => failure(StatusCode::BAD_REQUEST, &error.to_string()),
    }
}

async fn move_backend(State(cluster): State<Cluster>, Path(index): Path<usize>, body: String) -> Response {
    match serde_json::from_str(&body) {
        Ok(address) => outcome(cluster.move_backend(index, address).await),
        Err(error) => failure(StatusCode::BAD_REQUEST, &error.to_string()),
    }
}

async fn announce_backend(
    State(cluster): State<Cluster>,
    Path(index): Path<usize>,
    body: String,
) -> Response {
    match serde_json::from_str(&body) {
        Ok(address) => outcome(cluster.announce_backend(index, address)),
        Err(error) => failure(StatusCode::BAD_REQUEST, &error.to_string()),
    }
}

async fn gc_binlogs(State(cluster): State<Cluster>) -> Json<Value> {
    cluster.gc_binlogs_now();
    done()
}

async fn expire_binlogs(State(cluster): State<Cluster>, Path(db): Path<String>) -> Response {
    outcome(cluster.expire_binlogs(&db).map_err(anyhow::Error::new))
}

/// An entry as no statement of this release writes it: of a type that nobody knows, or wrapped in a barrier.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StagedBinlog {
    #[serde(rename = "type")]
    binlog_type: i32,
    #[serde(default)]
    table_ids: Vec<i64>,
    data: String,
}

async fn append_binlog(State(cluster): State<Cluster>, Path(db): Path<String>, body: String) -> Response {
    let staged: StagedBinlog = match serde_json::from_str(&body) {
        Ok(staged) => staged,
        Err(error) => return failure(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    let now = cluster.clock().now_ms();
    let seq = {
        let state = &mut *cluster.inner().fe.lock();
        let Some(db_id) = state.database_named(&db).map(|db| db.id) else {
            return failure(StatusCode::BAD_REQUEST, &format!("no database {db}"));
        };
        let kind = BinlogType(staged.binlog_type);
        state.journal_binlog(now, kind, db_id, &staged.table_ids, |_| staged.data)
    };
    cluster.inner().changed.notify_waiters();
    Json(json!({ "success": true, "commit_seq": seq })).into_response()
}

async fn advance_clock(State(cluster): State<Cluster>, Path(ms): Path<i64>) -> Json<Value> {
    cluster.clock().advance_ms(ms);
    Json(json!({ "now_ms": cluster.clock().now_ms() }))
}

pub(super) fn done() -> Json<Value> {
    Json(json!({ "success": true }))
}

pub(super) fn outcome(result: anyhow::Result<()>) -> Response {
    match result {
        Ok(()) => done().into_response(),
        Err(error) => failure(StatusCode::BAD_REQUEST, &format!("{error:#}")),
    }
}

pub(super) fn failure(status: StatusCode, text: &str) -> Response {
    (status, Json(json!({ "error": text }))).into_response()
}
