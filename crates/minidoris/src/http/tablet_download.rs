//! `/api/_tablet/_download` and `_batch_download`: snapshot files for another cluster's backends.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use axum::extract::{Extension, RawQuery};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;

use super::{BackendHttp, Refusal, file, parameters, refuse, text};

/// Files that one batch may name.
const BATCH_LIMIT: usize = 64;

pub(super) async fn download(Extension(state): Extension<BackendHttp>, query: RawQuery) -> Response {
    let parameters = parameters(&query);
    if let Err(refused) = check_token(&state, &parameters) {
        return refused.into_response();
    }
    let Some(name) = parameters.get("file").filter(|name| !name.is_empty()) else {
        return text(200, "parameter file not specified in url.");
    };
    let path = match allowed(&state, name) {
        Ok(path) => path,
        Err(refused) => return refused.into_response(),
    };
    match read_path(path).await {
        Found::Directory(names) => {
            text(200, names.into_iter().map(|(name, _)| name + "\n").collect::<String>())
        }
        Found::File(bytes) => {
            let with_md5 = parameters.get("acquire_md5").is_some_and(|value| value == "true");
            file(bytes, with_md5)
        }
        Found::Nothing => text(404, "file not exist."),
    }
}

/// HEAD: says that batches are supported.
pub(super) async fn batch_check(Extension(state): Extension<BackendHttp>, query: RawQuery) -> Response {
    let parameters = parameters(&query);
    if parameters.get("check").is_some_and(|value| value == "true") {
        return text(200, "OK");
    }
    check_token(&state, &parameters).map_or_else(Refusal::into_response, |()| text(200, "OK"))
}

/// GET: the files of a directory, name and size on alternating lines.
pub(super) async fn batch_list(Extension(state): Extension<BackendHttp>, query: RawQuery) -> Response {
    let parameters = parameters(&query);
    if parameters.get("check").is_some_and(|value| value == "true") {
        return text(200, "OK");
    }
    match directory(&state, &parameters).await {
        Ok((_, names)) => {
            text(200, names.into_iter().map(|(name, size)| format!("{name}\n{size}\n")).collect::<String>())
        }
        Err(refused) => refused.into_response(),
    }
}

/// POST: several files in one answer.
pub(super) async fn batch_files(
    Extension(state): Extension<BackendHttp>,
    query: RawQuery,
    body: String,
) -> Response {
    let (directory, _) = match directory(&state, &parameters(&query)).await {
        Ok(found) => found,
        Err(refused) => return refused.into_response(),
    };
    let names: Vec<&str> = body.lines().filter(|line| !line.is_empty()).collect();
    if names.len() > BATCH_LIMIT {
        return text(
            400,
            format!("The number of files to download in a batch should be less than {BATCH_LIMIT}"),
        );
    }
    if let Some(name) = names.iter().find(|name| name.contains('/')) {
        return text(403, format!("file name should not contain /, name={name}"));
    }
    let mut out = Vec::new();
    for name in names {
        match read_path(directory.join(name)).await {
            Found::File(bytes) => {
                let head = format!("File-Name: {name}\r\nContent-Length: {}\r\n\r\n", bytes.len());
                out.extend_from_slice(head.as_bytes());
                out.extend_from_slice(&bytes);
            }
            Found::Directory(_) | Found::Nothing => return text(404, format!("file not exist: {name}")),
        }
    }
    file(out.into(), false)
}

fn check_token(state: &BackendHttp, parameters: &BTreeMap<String, String>) -> Result<(), Refusal> {
    if !state.backend.config.flag("enable_token_check") {
        return Ok(());
    }
    match parameters.get("token").filter(|token| !token.is_empty()) {
        None => Err(refuse(401, "token is not specified.")),
        Some(token) if *token == state.cluster.fe.lock().token => Ok(()),
        Some(token) => Err(refuse(401, format!("invalid token {token}"))),
    }
}

/// The path, when it lies in the backend's data directory.
fn allowed(state: &BackendHttp, name: &str) -> Result<PathBuf, Refusal> {
    let path = Path::new(name);
    let climbs = path.components().any(|part| matches!(part, Component::ParentDir));
    if climbs || !path.starts_with(state.backend.data_dir()) {
        return Err(refuse(401, format!("file path is not allowed: {name}")));
    }
    Ok(path.to_owned())
}

async fn directory(
    state: &BackendHttp,
    parameters: &BTreeMap<String, String>,
) -> Result<(PathBuf, Vec<(String, u64)>), Refusal> {
    check_token(state, parameters)?;
    let Some(name) = parameters.get("dir").filter(|name| !name.is_empty()) else {
        return Err(refuse(400, "parameter dir not specified in url."));
    };
    if !Path::new(name).is_absolute() || Path::new(name).components().any(|part| part == Component::ParentDir)
    {
        return Err(refuse(403, format!("relative path is not allowed: {name}")));
    }
    let path = allowed(state, name)?;
    match read_path(path.clone()).await {
        Found::Directory(names) => Ok((path, names)),
        Found::File(_) | Found::Nothing => Err(refuse(400, format!("path is not a directory: {name}"))),
    }
}

enum Found {
    /// Names and sizes, sorted.
    Directory(Vec<(String, u64)>),
    File(Bytes),
    Nothing,
}

async fn read_path(path: PathBuf) -> Found {
    let Ok(meta) = tokio::fs::metadata(&path).await else { return Found::Nothing };
    if !meta.is_dir() {
        return tokio::fs::read(&path).await.map_or(Found::Nothing, |bytes| Found::File(bytes.into()));
    }
    let Ok(mut entries) = tokio::fs::read_dir(&path).await else { return Found::Nothing };
    let mut names = Vec::new();
    while let Ok(Some(entry)) = entries.next_entry().await {
        let size = entry.metadata().await.map_or(0, |meta| meta.len());
        names.push((entry.file_name().to_string_lossy().into_owned(), size));
    }
    names.sort();
    Found::Directory(names)
}
