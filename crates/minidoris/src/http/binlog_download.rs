//! `/api/_binlog/_download`: binlogs of a tablet for another cluster's backends. The conditions are in
//! Doris's order, with its statuses and texts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Extension, RawQuery};
use axum::http::Method;
use axum::response::{IntoResponse as _, Response};

use crate::be::Tablet;
use crate::data::IndexFile;

use super::{BackendHttp, Refusal, file, parameters, refuse, text};

pub(super) async fn download(
    Extension(state): Extension<BackendHttp>,
    method: Method,
    query: RawQuery,
) -> Response {
    let backend = &state.backend;
    if !backend.config.flag("enable_feature_binlog") {
        return text(500, "binlog feature is not enabled.");
    }
    let parameters = parameters(&query);
    let response = match parameters.get("method").map(String::as_str).unwrap_or_default() {
        "get_binlog_info" => binlog_info(&state, &parameters),
        "get_rowset_meta" => rowset_meta(&state, &parameters),
        "get_segment_file" => segment_file(&state, &parameters),
        "get_segment_index_file" => index_file(&state, &parameters),
        other => Err(refuse(501, format!("invalid method: {other}"))),
    };
    let rate = backend.config.number("download_binlog_rate_limit_kbs");
    if rate > 0 && method != Method::HEAD {
        let kilobytes = parameters.get("segment_index").and(size_of(&response)).unwrap_or(0) as f64 / 1024.0;
        tokio::time::sleep(Duration::from_secs_f64((kilobytes / rate as f64).min(3600.0))).await;
    }
    response.into_response()
}

fn size_of(response: &Result<Response, Refusal>) -> Option<u64> {
    use axum::body::HttpBody as _;
    response.as_ref().ok().and_then(|response| response.body().size_hint().exact())
}

fn required<'a>(parameters: &'a BTreeMap<String, String>, name: &str) -> Result<&'a str, Refusal> {
    match parameters.get(name).map(String::as_str) {
        Some(value) if !value.is_empty() => Ok(value),
        _ => Err(refuse(500, format!("parameter {name} not specified in url."))),
    }
}

fn tablet(state: &BackendHttp, id: &str) -> Result<Arc<Tablet>, Refusal> {
    let found = id.parse().ok().and_then(|id| state.backend.tablet(id).ok());
    found.ok_or_else(|| refuse(500, format!("tablet is not exist, tablet_id={id}")))
}

fn binlog_info(state: &BackendHttp, parameters: &BTreeMap<String, String>) -> Result<Response, Refusal> {
    let tablet_id = required(parameters, "tablet_id")?;
    let version = required(parameters, "binlog_version")?;
    let tablet = tablet(state, tablet_id)?;
    match version.parse().ok().and_then(|version| tablet.binlog(version)) {
        Some(rowset) => Ok(text(200, format!("{}:{}", rowset.meta.rowset_id, rowset.segments.len()))),
        None => Err(refuse(404, format!("get binlog info failed, binlog_version={version}"))),
    }
}

fn rowset_meta(state: &BackendHttp, parameters: &BTreeMap<String, String>) -> Result<Response, Refusal> {
    let tablet_id = required(parameters, "tablet_id")?;
    let rowset_id = required(parameters, "rowset_id")?;
    required(parameters, "binlog_version")?;
    let tablet = tablet(state, tablet_id)?;
    match tablet.binlog_rowset(rowset_id) {
        Some(rowset) => Ok(file(rowset.meta.encode().into(), false)),
        None => Err(refuse(404, format!("get rowset meta failed, rowset_id={rowset_id}"))),
    }
}

fn segment_file(state: &BackendHttp, parameters: &BTreeMap<String, String>) -> Result<Response, Refusal> {
    let tablet_id = required(parameters, "tablet_id")?;
    let rowset_id = required(parameters, "rowset_id")?;
    let index = required(parameters, "segment_index")?;
    let tablet = tablet(state, tablet_id)?;
    let bytes = index.parse().ok().and_then(|segment| tablet.binlog_segment(rowset_id, segment));
    let with_md5 = parameters.get("acquire_md5").is_some_and(|value| value == "true");
    match bytes {
        Some(bytes) => Ok(file(bytes, with_md5)),
        None => Err(refuse(404, "file not exist.")),
    }
}

/// Index files of the first format have the id of their index, the others -1.
fn index_file(state: &BackendHttp, parameters: &BTreeMap<String, String>) -> Result<Response, Refusal> {
    let tablet_id = required(parameters, "tablet_id")?;
    let rowset_id = required(parameters, "rowset_id")?;
    let segment = required(parameters, "segment_index")?;
    let index_id = required(parameters, "segment_index_id")?;
    let tablet = tablet(state, tablet_id)?;
    let wanted = segment.parse().ok().zip(index_id.parse().ok());
    let wanted = wanted.map(|(segment, index_id)| IndexFile { segment, index_id });
    let with_md5 = parameters.get("acquire_md5").is_some_and(|value| value == "true");
    match wanted.and_then(|wanted| tablet.binlog_index_file(rowset_id, wanted)) {
        Some(bytes) => Ok(file(bytes, with_md5)),
        None => Err(refuse(404, "file not exist.")),
    }
}
