//! The shape of answers: `success` and `error_msg` beside the keys of the result.

use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

use super::ignored;

#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    fields: Map<String, Value>,
}

/// For the log line of the request.
#[derive(Debug, Clone)]
pub(super) struct ErrorMessage(pub String);

impl Answer {
    pub fn success() -> Self {
        Self { fields: Map::from_iter([("success".to_owned(), Value::Bool(true))]) }
    }

    pub fn failure(error: impl ToString) -> Self {
        let fields = [("success", Value::Bool(false)), ("error_msg", Value::String(error.to_string()))];
        Self { fields: fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect() }
    }

    /// An answer of nothing but its keys, as `/version` has it.
    pub fn bare() -> Self {
        Self { fields: Map::new() }
    }

    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(key.to_owned(), value.into());
        self
    }

    /// The keys of an object beside the others.
    #[must_use]
    pub fn with_all(mut self, object: Value) -> Self {
        if let Value::Object(fields) = object {
            self.fields.extend(fields);
        }
        self
    }
}

impl IntoResponse for Answer {
    fn into_response(mut self) -> Response {
        let ignored = ignored::take_warnings();
        if !ignored.is_empty() {
            let warnings = self.fields.entry("warnings").or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(warnings) = warnings {
                warnings.extend(ignored.into_iter().map(Value::String));
            }
        }
        let error = self.fields.get("error_msg").and_then(Value::as_str).map(str::to_owned);
        let text = Value::Object(self.fields).to_string();
        let mut response = ([(header::CONTENT_TYPE, "application/json")], text).into_response();
        if let Some(error) = error {
            response.extensions_mut().insert(ErrorMessage(error));
        }
        response
    }
}
