//! What only the routes of a backend share: authentication, when it is on for all of them, and compression of
//! small texts for clients that take it.

use std::io::Write;

use axum::body::Body;
use axum::extract::{ConnectInfo, Extension, Request};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::listener::Connection;
use super::stream_load::unauthorised;
use super::{BackendHttp, auth};

/// Marks an answer as text that may be compressed; files never are.
#[derive(Debug, Clone, Copy)]
pub(super) struct SmallText;

/// No text answer is larger.
const LARGEST_TEXT: usize = 16 << 20;

/// With `enable_all_http_auth`: lets in who knows an account, or the token by which backends of the cluster know
/// each other. Those of another cluster send theirs, and stay outside.
pub(super) async fn authenticate(
    Extension(state): Extension<BackendHttp>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: Request,
    next: Next,
) -> Response {
    let is_open = !state.backend.config.flag("enable_all_http_auth");
    if is_open || is_known(&state, &connection, request.headers()) {
        return next.run(request).await;
    }
    unauthorised("Authentication failed")
}

fn is_known(state: &BackendHttp, connection: &Connection, headers: &HeaderMap) -> bool {
    let fe = state.cluster.fe.lock();
    if headers.get("auth-token").is_some_and(|token| token.as_bytes() == fe.token.as_bytes()) {
        return true;
    }
    auth::credentials(headers).is_some_and(|(user, password)| {
        fe.accounts.login_plain(&user, Some(&connection.address()), &password).is_some()
    })
}

/// Compresses a text for a client that accepts it.
pub(super) async fn compress(request: Request, next: Next) -> Response {
    let accepts = request.method() != Method::HEAD && accepts_gzip(request.headers());
    let response = next.run(request).await;
    if !accepts || response.extensions().get::<SmallText>().is_none() {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let text = axum::body::to_bytes(body, LARGEST_TEXT).await.unwrap_or_default();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let packed = encoder.write_all(&text).and_then(|()| encoder.finish());
    let packed = packed.expect("writing to memory cannot fail");
    parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    parts.headers.insert(header::CONTENT_LENGTH, packed.len().into());
    Response::from_parts(parts, Body::from(packed))
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        name.trim().eq_ignore_ascii_case("gzip") && weight.trim() != "q=0"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_accepted_by_name() {
        let accepts = |value: &'static str| {
            accepts_gzip(&HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(value))]))
        };
        assert!(accepts("gzip") && accepts("deflate, GZIP;q=0.5"));
        assert!(!accepts("deflate") && !accepts("gzip;q=0") && !accepts(""));
    }
}
