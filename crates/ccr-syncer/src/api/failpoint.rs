//! `/failpoint` and `/failpoints`: hooks for tests, there only when the process was started with
//! `--enable_failpoints`.
//!
//! `/failpoint` has the shape of the original: without a failpoint all are removed; without a value the named
//! one is removed; with both it is set. They belong to the process, so the job's name must be given but need
//! not exist. `/failpoints` lists what can be set, so that a test can go through all of them.

use std::sync::Arc;

use axum::extract::{Request, State};
use ccr_core::failpoint::Failpoints;
use ccr_core::job::SpecError;
use serde_json::{Value, json};

use super::{Answer, Api, body};

pub(super) async fn handle(State(api): State<Arc<Api>>, request: Request) -> Answer {
    match change(&api.failpoints, request).await {
        Ok(()) => Answer::success(),
        Err(error) => Answer::failure(error),
    }
}

pub(super) async fn list(State(api): State<Arc<Api>>) -> Answer {
    let all = api.failpoints.list().into_iter();
    let shown: Vec<Value> = all.map(|(name, value)| json!({ "name": name, "value": value })).collect();
    Answer::success().with("failpoints", shown)
}

async fn change(failpoints: &Failpoints, request: Request) -> Result<(), String> {
    let mut fields = body::object(request).await?;
    let text = |error: SpecError| error.to_string();
    fields.required("name").map_err(text)?;
    let failpoint = fields.string("failpoint").map_err(text)?.unwrap_or_default();
    let value = fields.any("value");
    fields.finish().map_err(text)?;
    match value {
        _ if failpoint.is_empty() => failpoints.clear(),
        None => failpoints.remove(&failpoint).map_err(text)?,
        Some(Value::String(value)) => failpoints.set(&failpoint, &value).map_err(text)?,
        // The type of a binlog is a number, and some take any value.
        Some(value) => failpoints.set(&failpoint, &value.to_string()).map_err(text)?,
    }
    Ok(())
}
