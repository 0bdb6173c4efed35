//! `/update_monitor_interval` and `/get_monitor_interval`: how often the source of a cluster job is looked at
//! for new databases.
//!
//! There are no cluster jobs yet, so the value steers nothing; like in the original it is that of the
//! process and forgotten at its end.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::{Request, State};
use ccr_core::job::SpecError;

use super::{Answer, Api, body};

pub(super) const DEFAULT_SECONDS: i64 = 120;

const FIELD: &str = "interval_seconds";

pub(super) async fn update(State(api): State<Arc<Api>>, request: Request) -> Answer {
    match read(request).await {
        Ok(seconds) => {
            api.monitor_interval.store(seconds, Ordering::Relaxed);
            Answer::success()
        }
        Err(error) => Answer::failure(error),
    }
}

pub(super) async fn get(State(api): State<Arc<Api>>) -> Answer {
    Answer::success().with(FIELD, api.monitor_interval.load(Ordering::Relaxed))
}

async fn read(request: Request) -> Result<i64, String> {
    let mut fields = body::object(request).await?;
    let seconds = fields.integer(FIELD).map_err(|error| error.to_string())?;
    fields.finish().map_err(|error| error.to_string())?;
    match seconds {
        Some(seconds) if seconds > 0 => Ok(seconds),
        Some(_) => Err(SpecError::new(FIELD, "must be greater than 0").to_string()),
        None => Err(SpecError::new(FIELD, "is required").to_string()),
    }
}
