//! `/features`: the boolean flags, sorted by name. The body is ignored.

use std::sync::Arc;

use axum::extract::State;
use serde_json::{Value, json};

use super::{Answer, Api};

pub(super) async fn handle(State(api): State<Arc<Api>>) -> Answer {
    let flags = api.settings.features.iter().map(|(feature, value)| {
        json!({ "feature": feature.name, "value": value, "default": feature.default.to_string() })
    });
    Answer::success().with("flags", flags.collect::<Vec<Value>>())
}
