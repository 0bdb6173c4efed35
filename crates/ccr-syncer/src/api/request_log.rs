//! One log line per request, and an id by which it is found again. Bodies are not logged: they hold
//! passwords.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::extract::Request;
use axum::http::HeaderValue;
use axum::middleware::Next;
use axum::response::Response;
use tracing::{Instrument, info, info_span};

use super::answer::ErrorMessage;
use super::ignored;

static NEXT: AtomicU64 = AtomicU64::new(1);

pub(super) async fn log(request: Request, next: Next) -> Response {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    // The process id keeps ids of different starts apart.
    let id = format!("{:x}-{number:x}", std::process::id());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let started = Instant::now();
    let mut response =
        ignored::scope(next.run(request)).instrument(info_span!("request", request_id = id)).await;
    let error = response.extensions_mut().remove::<ErrorMessage>().map(|ErrorMessage(text)| text);
    info!(
        request_id = id,
        %method,
        path,
        status = response.status().as_u16(),
        ms = started.elapsed().as_millis(),
        error,
        "request"
    );
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("x-request-id", value);
    }
    response
}
