//! What every request passes: counters and faults.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use futures::stream;

use crate::cluster::ClusterInner;
use crate::fault::{FaultAction, NodeId};

use super::listener::Connection;
use super::text;

#[derive(Debug, Clone)]
pub(super) struct Gate {
    pub cluster: Arc<ClusterInner>,
    pub node: NodeId,
}

/// Largest answer that is cut in the middle; larger ones are cut at half of this.
const MID_REPLY_LIMIT: usize = 256 * 1024 * 1024;

pub(super) async fn pass(
    State(gate): State<Gate>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: Request,
    next: Next,
) -> Response {
    let call = call_name(request.uri().path());
    gate.cluster.counters.count(gate.node, call);
    let uri = request.uri().clone();
    let action = gate.cluster.faults.before(gate.node, call, || uri.to_string()).await;
    match action {
        FaultAction::Proceed | FaultAction::Empty | FaultAction::Cancel(_) => next.run(request).await,
        FaultAction::CutBefore | FaultAction::Refuse => cut(&connection).await,
        FaultAction::CutAfter => {
            next.run(request).await;
            cut(&connection).await
        }
        // A HEAD tells the true size.
        FaultAction::Truncate if request.method() == Method::HEAD => next.run(request).await,
        FaultAction::Truncate => truncate(next.run(request).await).await,
        FaultAction::CutMidReply => cut_mid_reply(next.run(request).await).await,
        FaultAction::Status { code, text: message } => text(u16::try_from(code).unwrap_or(500), message),
        FaultAction::NotMaster => text(503, "not master"),
        FaultAction::MissingFile => text(404, "file not exist."),
    }
}

/// The name under which a path is counted and met by faults.
fn call_name(path: &str) -> &'static str {
    match path {
        "/api/_binlog/_download" => "http:/api/_binlog/_download",
        "/api/_tablet/_download" => "http:/api/_tablet/_download",
        "/api/_tablet/_batch_download" => "http:/api/_tablet/_batch_download",
        "/api/show_config" => "http:/api/show_config",
        "/api/update_config" => "http:/api/update_config",
        "/api/health" => "http:/api/health",
        path if path.ends_with("/_stream_load_2pc") => "http:/api/_stream_load_2pc",
        path if path.starts_with("/api/debug_point/") => "http:/api/debug_point",
        path if path.ends_with("/_stream_load") => "http:/api/_stream_load",
        _ => "http:other",
    }
}

/// Ends the connection; the answer is never sent.
async fn cut(connection: &Connection) -> Response {
    connection.cut();
    // The connection's task notices at its next read or write and drops this future with it.
    std::future::pending().await
}

/// Sends half of the answer as a whole one. An answer without a body stays as it is.
async fn truncate(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, MID_REPLY_LIMIT).await.unwrap_or_default();
    if bytes.is_empty() {
        return Response::from_parts(parts, Body::empty());
    }
    let half = bytes.slice(..bytes.len() / 2);
    parts.headers.insert("content-length", half.len().into());
    Response::from_parts(parts, Body::from(half))
}

/// Announces the whole answer, sends half of it, then breaks the connection.
async fn cut_mid_reply(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, MID_REPLY_LIMIT).await.unwrap_or_default();
    parts.headers.insert("content-length", bytes.len().into());
    let half: Result<Bytes, std::io::Error> = Ok(bytes.slice(..bytes.len() / 2));
    let broken = Err(std::io::ErrorKind::ConnectionReset.into());
    Response::from_parts(parts, Body::from_stream(stream::iter([half, broken])))
}
