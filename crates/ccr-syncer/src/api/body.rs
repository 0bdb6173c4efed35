//! Reading a request's body within bounds of size and time.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use serde_json::Value;

use super::fields::Fields;

/// A job with thousands of host mappings fits.
const MAX_BYTES: usize = 1 << 20;
const TIMEOUT: Duration = Duration::from_secs(30);

/// Reads the body and the JSON object in it. What follows the object is ignored, as is the content type.
pub(super) async fn object(request: Request) -> Result<Fields, String> {
    let bytes = bytes(request.into_body()).await?;
    if bytes.trim_ascii().is_empty() {
        return Err("request body: is empty, must be a JSON object".to_owned());
    }
    let mut values = serde_json::Deserializer::from_slice(&bytes).into_iter::<Value>();
    match values.next() {
        Some(Ok(Value::Object(map))) => Ok(Fields::new(map)),
        Some(Ok(other)) => {
            Err(format!("request body: must be a JSON object, not {}", super::fields::kind(&other)))
        }
        // The message of a syntax error has a place and no content, which may be a password.
        Some(Err(error)) => Err(format!("request body: is not valid JSON: {error}")),
        None => Err("request body: is empty, must be a JSON object".to_owned()),
    }
}

async fn bytes(body: Body) -> Result<axum::body::Bytes, String> {
    match tokio::time::timeout(TIMEOUT, axum::body::to_bytes(body, MAX_BYTES)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(_)) => Err(format!("request body: cannot be read, or is larger than {MAX_BYTES} bytes")),
        Err(_) => Err(format!("request body: did not arrive within {TIMEOUT:?}")),
    }
}
