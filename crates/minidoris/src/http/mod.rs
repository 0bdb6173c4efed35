//! HTTP of frontends and backends.
//!
//! Every request passes [`gate`]: it is counted, and a fault may delay, refuse or cut it. A node's server
//! dies as a process does: on shutdown the listener and all connections end at once.

mod auth;
mod backend_gate;
mod binlog_download;
mod config;
mod debug_point;
mod gate;
mod json_path;
mod listener;
mod load_expressions;
mod load_options;
mod load_text;
mod stream_load;
mod tablet_download;
mod two_phase;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Extension, RawQuery};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router, middleware};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::be::Backend;
use crate::cluster::ClusterInner;
use crate::fault::NodeId;

use listener::{Connection, Killable};

/// What the handlers of a backend share.
#[derive(Debug, Clone)]
pub(crate) struct BackendHttp {
    pub cluster: Arc<ClusterInner>,
    pub backend: Arc<Backend>,
}

/// What the handlers of a frontend share.
#[derive(Debug, Clone)]
pub(crate) struct FrontendHttp {
    pub cluster: Arc<ClusterInner>,
    /// Position of the frontend.
    pub fe: usize,
}

/// Serves a backend until `shutdown` resolves.
pub async fn serve_be(
    cluster: Arc<ClusterInner>,
    backend: Arc<Backend>,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send,
) {
    let node = NodeId::Be(backend.id());
    let state = BackendHttp { cluster: Arc::clone(&cluster), backend };
    let routes = Router::new()
        .route("/api/_binlog/_download", get(binlog_download::download))
        .route("/api/_tablet/_download", get(tablet_download::download))
        .route(
            "/api/_tablet/_batch_download",
            get(tablet_download::batch_list)
                .head(tablet_download::batch_check)
                .post(tablet_download::batch_files),
        )
        .route("/api/show_config", get(config::show))
        .route("/api/update_config", post(config::update))
        .route_layer(middleware::from_fn(backend_gate::authenticate))
        .route("/api/debug_point/add/{name}", post(debug_point::add_be))
        .route("/api/debug_point/remove/{name}", post(debug_point::remove_be))
        .route("/api/debug_point/clear", post(debug_point::clear_be))
        .route("/api/health", get(backend_health))
        .route("/api/{db}/{table}/_stream_load", put(stream_load::perform))
        .route("/api/{db}/_stream_load_2pc", put(two_phase::perform_in_database))
        .route("/api/{db}/{table}/_stream_load_2pc", put(two_phase::perform_on_table))
        .layer(middleware::from_fn(backend_gate::compress))
        .layer(Extension(state));
    serve(cluster, node, routes, listener, shutdown).await;
}

/// Serves the frontend at position `fe` until `shutdown` resolves.
pub async fn serve_fe(
    cluster: Arc<ClusterInner>,
    fe: usize,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send,
) {
    let state = FrontendHttp { cluster: Arc::clone(&cluster), fe };
    let routes = Router::new()
        .route("/api/debug_point/add/{name}", post(debug_point::add_fe))
        .route("/api/debug_point/remove/{name}", post(debug_point::remove_fe))
        .route("/api/debug_point/clear", post(debug_point::clear_fe))
        .route("/api/health", get(frontend_health))
        .route("/api/{db}/{table}/_stream_load", put(stream_load::redirect))
        .route("/api/{db}/_stream_load_2pc", put(two_phase::redirect_in_database))
        .route("/api/{db}/{table}/_stream_load_2pc", put(two_phase::redirect_on_table))
        .layer(Extension(state));
    serve(cluster, NodeId::Fe(fe), routes, listener, shutdown).await;
}

async fn serve(
    cluster: Arc<ClusterInner>,
    node: NodeId,
    routes: Router,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send,
) {
    let killed = CancellationToken::new();
    let _end_connections = killed.clone().drop_guard();
    let app = routes.layer(middleware::from_fn_with_state(gate::Gate { cluster, node }, gate::pass));
    let service = app.into_make_service_with_connect_info::<Connection>();
    let serving = axum::serve(Killable { listener, killed }, service);
    tokio::select! {
        () = shutdown => {}
        outcome = serving.into_future() => {
            if let Err(error) = outcome {
                tracing::debug!(?node, %error, "http server ended");
            }
        }
    }
}

/// The parameters of a query string, decoded; the last of a repeated name counts.
pub(crate) fn parameters(query: &RawQuery) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for pair in query.0.as_deref().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        all.insert(percent_decode(name), percent_decode(value));
    }
    all
}

fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes.get(at + 1..at + 3).and_then(|digits| std::str::from_utf8(digits).ok());
        match (bytes[at], hex.and_then(|digits| u8::from_str_radix(digits, 16).ok())) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 3;
                continue;
            }
            (b'+', _) => out.push(b' '),
            (byte, _) => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// A plain text answer as backends give it.
pub(crate) fn text(status: u16, body: impl Into<String>) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"))];
    let mut response = (status, kind, body.into()).into_response();
    response.extensions_mut().insert(backend_gate::SmallText);
    response
}

/// An answer other than success, small enough to be an error.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: u16,
    body: String,
}

pub(crate) fn refuse(status: u16, body: impl Into<String>) -> Refusal {
    Refusal { status, body: body.into() }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        text(self.status, self.body)
    }
}

/// File bytes, with their MD5 when asked for.
pub(crate) fn file(bytes: bytes::Bytes, with_md5: bool) -> Response {
    let md5 = with_md5.then(|| crate::be::md5_hex(&bytes));
    let mut response = ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], bytes).into_response();
    if let Some(value) = md5.and_then(|digest| HeaderValue::from_str(&digest).ok()) {
        response.headers_mut().insert("Content-MD5", value);
    }
    response
}

async fn backend_health() -> Response {
    Json(json!({"status": "OK", "msg": "OK"})).into_response()
}

async fn frontend_health(Extension(state): Extension<FrontendHttp>) -> Response {
    let (total, alive) = {
        let nodes = state.cluster.backend_nodes.read();
        (nodes.len(), nodes.values().filter(|node| node.alive).count())
    };
    Json(json!({
        "msg": "success",
        "code": 0,
        "data": {"online_backend_num": alive, "total_backend_num": total},
        "count": 0,
    }))
    .into_response()
}
