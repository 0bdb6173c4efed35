//! `/job_status`: the nested object of the original's answer and the flat keys of its documentation.
//!
//! Besides its keys there are what holds the job up: `blocked` and `last_error`, both null while all is well.

use std::sync::Arc;

use axum::extract::{Request, State};
use ccr_core::job::DesiredState;
use serde_json::{Value, json};

use super::{Answer, Api, job_options, name_only};
use crate::manager::JobView;

pub(super) async fn handle(State(api): State<Arc<Api>>, request: Request) -> Answer {
    let view = match name_only::read(request).await {
        Ok(name) => api.manager.view(&name).await.map_err(|error| error.to_string()),
        Err(error) => Err(error),
    };
    match view {
        Ok(view) => {
            let status = render(&view);
            Answer::success().with_all(status.clone()).with("status", status)
        }
        Err(error) => Answer::failure(error),
    }
}

/// What the operator wants, except that a job whose task has ended for good does not pass for running.
pub(super) fn state(view: &JobView) -> &'static str {
    match view.record.desired {
        DesiredState::Running if view.ended => "stopped",
        DesiredState::Running => "running",
        DesiredState::Paused => "paused",
    }
}

fn render(view: &JobView) -> Value {
    json!({
        "name": view.record.spec.name,
        "state": state(view),
        "progress_state": view.status.progress.name(),
        "commit_seq": view.status.position.commit_seq,
        "step": view.status.step,
        "blocked": super::job_progress::blocked(view.status.blocked.as_ref()),
        "last_error": view.status.last_error,
        "options": job_options::render(&view.record.spec.options),
    })
}
