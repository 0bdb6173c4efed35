//! Requests that hold the name of a job and nothing else.

use axum::extract::Request;

use super::body;

pub(super) async fn read(request: Request) -> Result<String, String> {
    let mut fields = body::object(request).await?;
    let name = fields.required("name").map_err(|error| error.to_string())?;
    fields.finish().map_err(|error| error.to_string())?;
    Ok(name)
}
