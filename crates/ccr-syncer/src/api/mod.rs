//! The HTTP API with the routes, keys and answers of the Go program.
//!
//! Any method does. A failure is an answer 200 with `success: false` and `error_msg`; keys of the result are
//! there with zero values. Unlike the original, a request with a field that is not known or of the wrong
//! type is refused, and the answer names the field.

mod answer;
mod body;
mod create_ccr;
mod fields;
mod get_lag;
mod host_mapping;
mod job_detail;
mod job_progress;
mod job_status;
mod list_jobs;
mod metrics;
mod name_only;
mod operations;
mod request_log;
mod version;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::any;

use crate::manager::Manager;
use crate::metrics::Metrics;

pub use answer::Answer;

/// What the handlers work with.
#[derive(Debug)]
pub struct Api {
    pub manager: Arc<Manager>,
    pub metrics: Arc<Metrics>,
}

/// All routes.
pub fn router(api: Arc<Api>) -> Router {
    Router::new()
        .route("/version", any(version::handle))
        .route("/create_ccr", any(create_ccr::handle))
        .route("/get_lag", any(get_lag::handle))
        .route("/pause", any(operations::pause))
        .route("/resume", any(operations::resume))
        .route("/delete", any(operations::delete))
        .route("/list_jobs", any(list_jobs::handle))
        .route("/job_detail", any(job_detail::handle))
        .route("/job_status", any(job_status::handle))
        .route("/job_progress", any(job_progress::handle))
        .route("/update_host_mapping", any(host_mapping::handle))
        // The original's documentation shows this name.
        .route("/add_host_mapping", any(host_mapping::handle))
        .route("/metrics", any(metrics::handle))
        .fallback(async || (StatusCode::NOT_FOUND, "404 page not found\n"))
        .layer(axum::middleware::from_fn(request_log::log))
        .with_state(api)
}
