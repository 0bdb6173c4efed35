//! `POST /api/debug_point/{add,remove}/{name}` and `/api/debug_point/clear` of frontends and backends.
//!
//! `add` takes `execute` (how often, -1: always) and `timeout` (seconds, -1: for ever); all other parameters
//! are the point's own. Without the setting `enable_debug_points` everything is refused.

use axum::Json;
use axum::extract::{ConnectInfo, Extension, Path, RawQuery};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::auth;
use super::listener::Connection;
use super::stream_load::unauthorised;
use super::{BackendHttp, FrontendHttp, parameters};
use crate::access::Wanted;
use crate::access::check::denial;
use crate::cluster::ClusterInner;
use crate::fault::{DebugPoint, NodeId};

/// What to do to the points of a node.
enum Order {
    Add(String, DebugPoint),
    Remove(String),
    Clear,
}

pub(super) async fn add_fe(
    Extension(state): Extension<FrontendHttp>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    Path(name): Path<String>,
    headers: HeaderMap,
    query: RawQuery,
) -> Response {
    let point = point(&state.cluster, &query);
    frontend(&state, &connection, &headers, point.map(|point| Order::Add(name, point)))
}

pub(super) async fn remove_fe(
    Extension(state): Extension<FrontendHttp>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Response {
    frontend(&state, &connection, &headers, Ok(Order::Remove(name)))
}

pub(super) async fn clear_fe(
    Extension(state): Extension<FrontendHttp>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    headers: HeaderMap,
) -> Response {
    frontend(&state, &connection, &headers, Ok(Order::Clear))
}

pub(super) async fn add_be(
    Extension(state): Extension<BackendHttp>,
    Path(name): Path<String>,
    query: RawQuery,
) -> Response {
    backend(&state, point(&state.cluster, &query).map(|point| Order::Add(name, point)))
}

pub(super) async fn remove_be(
    Extension(state): Extension<BackendHttp>,
    Path(name): Path<String>,
) -> Response {
    backend(&state, Ok(Order::Remove(name)))
}

pub(super) async fn clear_be(Extension(state): Extension<BackendHttp>) -> Response {
    backend(&state, Ok(Order::Clear))
}

fn point(cluster: &ClusterInner, query: &RawQuery) -> Result<DebugPoint, String> {
    let mut parameters = parameters(query);
    let mut number = |name: &str| -> Result<Option<u64>, String> {
        let Some(text) = parameters.remove(name) else { return Ok(None) };
        let number: i64 = text.parse().map_err(|_| format!("Invalid {name} format: {text}"))?;
        Ok(u64::try_from(number).ok())
    };
    let (remaining, seconds) = (number("execute")?, number("timeout")?);
    let ends_at = seconds.map(|seconds| {
        let ms = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1000);
        cluster.clock.now_ms().saturating_add(ms)
    });
    Ok(DebugPoint { remaining, ends_at, parameters, told: false })
}

fn obey(cluster: &ClusterInner, node: NodeId, order: Order) {
    match order {
        Order::Add(name, point) => {
            tracing::info!(?node, name, ?point, "debug point on");
            cluster.debug_points.add(node, &name, point);
        }
        Order::Remove(name) => cluster.debug_points.remove(node, &name),
        Order::Clear => cluster.debug_points.clear(node),
    }
}

/// The caller must hold ADMIN.
fn frontend(
    state: &FrontendHttp,
    connection: &Connection,
    headers: &HeaderMap,
    order: Result<Order, String>,
) -> Response {
    let Some((user, password)) = auth::credentials(headers) else {
        return unauthorised("Need auth information.");
    };
    let enabled = {
        let fe = state.cluster.fe.lock();
        let Some(identity) = fe.accounts.login_plain(&user, Some(&connection.address()), &password) else {
            return unauthorised("Access denied");
        };
        if !fe.accounts.allows_globally(identity, Wanted::ADMIN) {
            return unauthorised(&denial(Wanted::ADMIN));
        }
        fe.config_flag("enable_debug_points")
    };
    let disabled = || "Disable debug points. please check Config.enable_debug_points".to_owned();
    match if enabled { order } else { Err(disabled()) } {
        Ok(order) => {
            obey(&state.cluster, NodeId::Fe(state.fe), order);
            Json(json!({"msg": "success", "code": 0, "data": null, "count": 0})).into_response()
        }
        Err(text) => {
            Json(json!({"msg": "Internal Error", "code": 500, "data": text, "count": 0})).into_response()
        }
    }
}

fn backend(state: &BackendHttp, order: Result<Order, String>) -> Response {
    let disabled = || "Disable debug points. Please check config::enable_debug_points.".to_owned();
    let order = if state.backend.config.flag("enable_debug_points") { order } else { Err(disabled()) };
    match order {
        Ok(order) => {
            obey(&state.cluster, NodeId::Be(state.backend.id()), order);
            Json(json!({"status": "OK", "msg": ""})).into_response()
        }
        Err(text) => {
            let text = format!("[INTERNAL_ERROR]{text}");
            Json(json!({"status": "INTERNAL_ERROR", "msg": text})).into_response()
        }
    }
}
