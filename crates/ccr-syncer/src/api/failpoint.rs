//! `/failpoint`: a hook for tests, there only when the process was started with `--enable_failpoints`.
//!
//! This version has no failpoint that could be set: its faults are injected into the emulated clusters.
//! Requests to remove one, or all, succeed; setting one is refused rather than silently ignored.

use axum::extract::Request;

use super::{Answer, body};

pub(super) async fn handle(request: Request) -> Answer {
    match read(request).await {
        Ok(()) => Answer::success(),
        Err(error) => Answer::failure(error),
    }
}

async fn read(request: Request) -> Result<(), String> {
    let mut fields = body::object(request).await?;
    fields.required("name").map_err(|error| error.to_string())?;
    let failpoint = fields.string("failpoint").map_err(|error| error.to_string())?.unwrap_or_default();
    let value = fields.any("value");
    fields.finish().map_err(|error| error.to_string())?;
    // Without a name all are removed, whatever the value.
    match value {
        Some(_) if !failpoint.is_empty() => {
            Err(format!("failpoint: {failpoint} is not available in this version"))
        }
        Some(_) | None => Ok(()),
    }
}
