//! `show_config` and `update_config` of a backend.

use axum::Json;
use axum::extract::{Extension, RawQuery};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::{BackendHttp, parameters};

pub(super) async fn show(Extension(state): Extension<BackendHttp>, query: RawQuery) -> Response {
    let parameters = parameters(&query);
    let items = state.backend.config.list(parameters.get("conf_item").map(String::as_str));
    let rows: Vec<[String; 4]> = items
        .into_iter()
        .map(|(name, item)| [name, item.kind.to_owned(), item.value, item.mutable.to_string()])
        .collect();
    Json(rows).into_response()
}

pub(super) async fn update(Extension(state): Extension<BackendHttp>, query: RawQuery) -> Response {
    let mut results = Vec::new();
    let parameters = parameters(&query);
    let persist = parameters.get("persist").is_some_and(|value| value == "true");
    for (name, value) in parameters.into_iter().filter(|(name, _)| name != "persist") {
        let (status, msg) = match state.backend.config.update(&name, &value) {
            Ok(()) => {
                if persist {
                    state.backend.config.keep(&name, &value);
                }
                ("OK", String::new())
            }
            Err(message) => ("BAD", message),
        };
        results.push(json!({"config_name": name, "status": status, "msg": msg}));
    }
    if persist {
        // A gap in the journal is what tells the store that something changed.
        state.cluster.fe.lock().journal();
        if let Err(error) = state.cluster.save() {
            return (StatusCode::INTERNAL_SERVER_ERROR, error).into_response();
        }
    }
    Json(results).into_response()
}
