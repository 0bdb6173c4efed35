//! `/list_jobs`. The body is ignored; without jobs the key `jobs` is missing, as in the original.

use std::sync::Arc;

use axum::extract::State;

use super::{Answer, Api};

pub(super) async fn handle(State(api): State<Arc<Api>>) -> Answer {
    let names = api.manager.names();
    if names.is_empty() { Answer::success() } else { Answer::success().with("jobs", names) }
}
