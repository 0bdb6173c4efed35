//! The HTTP API with the routes, keys and answers of the Go program.
//!
//! Any method does. A failure is an answer 200 with `success: false` and `error_msg`; keys of the result are
//! there with zero values. A field of the wrong type is refused by name; one that is not known is ignored, and unlike
//! in the original the answer says so in `warnings`.

mod answer;
mod body;
mod create_ccr;
mod failpoint;
mod features;
mod fields;
mod get_lag;
mod host_mapping;
mod ignored;
mod job_detail;
mod job_options;
mod job_progress;
mod job_status;
mod list_jobs;
mod metrics;
mod monitor_interval;
mod name_only;
mod operations;
mod request_log;
mod skip_binlog;
mod version;
mod view;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::any;

use ccr_core::failpoint::Failpoints;

use crate::flags::Features;
use crate::manager::Manager;
use crate::metrics::Metrics;

pub use answer::Answer;

/// What the handlers work with.
#[derive(Debug)]
pub struct Api {
    pub manager: Arc<Manager>,
    pub metrics: Arc<Metrics>,
    failpoints: Arc<Failpoints>,
    settings: Settings,
}

/// What the process was started with, as far as the API shows it.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    pub features: Features,
    /// Whether `/failpoint` exists.
    pub failpoints: bool,
}

impl Api {
    pub fn new(manager: Arc<Manager>, metrics: Arc<Metrics>, settings: Settings) -> Self {
        let failpoints = manager.failpoints();
        Self { manager, metrics, failpoints, settings }
    }
}

/// All routes.
pub fn router(api: Arc<Api>) -> Router {
    let mut router = Router::new();
    if api.settings.failpoints {
        router =
            router.route("/failpoint", any(failpoint::handle)).route("/failpoints", any(failpoint::list));
    }
    router
        .route("/version", any(version::handle))
        .route("/create_ccr", any(create_ccr::handle))
        .route("/get_lag", any(get_lag::handle))
        .route("/pause", any(operations::pause))
        .route("/resume", any(operations::resume))
        .route("/delete", any(operations::delete))
        .route("/update_job", any(job_options::update))
        .route("/list_jobs", any(list_jobs::handle))
        .route("/job_detail", any(job_detail::handle))
        .route("/job_status", any(job_status::handle))
        .route("/job_progress", any(job_progress::handle))
        .route("/update_host_mapping", any(host_mapping::handle))
        // The original's documentation shows this name.
        .route("/add_host_mapping", any(host_mapping::handle))
        .route("/job_skip_binlog", any(skip_binlog::handle))
        .route("/force_fullsync", any(skip_binlog::force_fullsync))
        .route("/desync", any(operations::desync))
        .route("/sync", any(operations::sync))
        .route("/features", any(features::handle))
        .route("/update_monitor_interval", any(monitor_interval::update))
        .route("/get_monitor_interval", any(monitor_interval::get))
        .route("/view", any(view::handle))
        .route("/metrics", any(metrics::handle))
        .fallback(async || (StatusCode::NOT_FOUND, "404 page not found\n"))
        .layer(axum::middleware::from_fn(request_log::log))
        .with_state(api)
}
