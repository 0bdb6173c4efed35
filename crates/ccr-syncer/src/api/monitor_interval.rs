//! `/update_monitor_interval` and `/get_monitor_interval`: how often the sources of clusters that are replicated as
//! a whole are looked at for databases that have come or gone.
//!
//! Like in the original it is one value for the process, forgotten at its end.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use ccr_core::job::SpecError;

use super::{Answer, Api, body};

const FIELD: &str = "interval_seconds";

pub(super) async fn update(State(api): State<Arc<Api>>, request: Request) -> Answer {
    match read(request).await {
        Ok(interval) => {
            api.manager.set_monitor_interval(interval);
            Answer::success()
        }
        Err(error) => Answer::failure(error),
    }
}

pub(super) async fn get(State(api): State<Arc<Api>>) -> Answer {
    Answer::success().with(FIELD, api.manager.monitor_interval().as_secs())
}

async fn read(request: Request) -> Result<Duration, String> {
    let mut fields = body::object(request).await?;
    let seconds = fields.integer(FIELD).map_err(|error| error.to_string())?;
    fields.finish().map_err(|error| error.to_string())?;
    match seconds.map(u64::try_from) {
        Some(Ok(seconds)) if seconds > 0 => Ok(Duration::from_secs(seconds)),
        Some(_) => Err(SpecError::new(FIELD, "must be greater than 0").to_string()),
        None => Err(SpecError::new(FIELD, "is required").to_string()),
    }
}
