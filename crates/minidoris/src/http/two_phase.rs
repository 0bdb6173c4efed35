//! `PUT /api/{db}[/{table}]/_stream_load_2pc`: the second phase of a load with `two_phase_commit`.
//!
//! The headers `txn_id` or `label` name the transaction, `txn_operation` is `commit` or `abort`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{ConnectInfo, Extension, Path};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::auth::Denial;
use super::listener::Connection;
use super::stream_load::{check_master, encode, to_a_backend, unauthorised};
use super::{BackendHttp, FrontendHttp, auth};
use crate::cluster::ClusterInner;
use crate::query::load::VISIBLE_WAIT;
use crate::txn::{TxnError, abort_precommitted, commit_precommitted};

pub(super) async fn redirect_in_database(
    Extension(state): Extension<FrontendHttp>,
    Path(db): Path<String>,
    headers: HeaderMap,
) -> Response {
    redirect(&state.cluster, &headers, &encode(&db))
}

pub(super) async fn redirect_on_table(
    Extension(state): Extension<FrontendHttp>,
    Path((db, table)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    redirect(&state.cluster, &headers, &format!("{}/{}", encode(&db), encode(&table)))
}

fn redirect(cluster: &ClusterInner, headers: &HeaderMap, place: &str) -> Response {
    match auth::credentials(headers) {
        Some((user, password)) => {
            to_a_backend(cluster, &user, &password, &format!("{place}/_stream_load_2pc"))
        }
        None => unauthorised("Need auth information."),
    }
}

pub(super) async fn perform_in_database(
    Extension(state): Extension<BackendHttp>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    Path(db): Path<String>,
    headers: HeaderMap,
) -> Response {
    answer(&state.cluster, operate(&state.cluster, &connection.address(), &db, &headers).await)
}

pub(super) async fn perform_on_table(
    Extension(state): Extension<BackendHttp>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    Path((db, _table)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    answer(&state.cluster, operate(&state.cluster, &connection.address(), &db, &headers).await)
}

/// As loads do, with status 200 whatever has happened.
fn answer(cluster: &ClusterInner, outcome: Result<String, String>) -> Response {
    let (status, message) = match cluster.save().and(outcome) {
        Ok(message) => ("Success", message),
        Err(message) => ("ANALYSIS_ERROR", format!("[ANALYSIS_ERROR]TStatus: {message}")),
    };
    Json(json!({"status": status, "msg": message})).into_response()
}

async fn operate(
    cluster: &Arc<ClusterInner>,
    address: &str,
    db: &str,
    headers: &HeaderMap,
) -> Result<String, String> {
    check_master(cluster)?;
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let refused = |text: &str| format!("errCode = 2, detailMessage = {text}");
    let (user, password) =
        auth::credentials(headers).ok_or_else(|| refused("no valid Basic authorization"))?;
    let (db_id, txn_id, tables) = find(cluster, db, header("txn_id"), header("label"))?;
    for table in &tables {
        auth::may_load(cluster, (&user, &password), address, (db, table)).map_err(|denial| match denial {
            Denial::Account => refused(&format!("Access denied for {user}")),
            Denial::Privilege(text) => refused(&text),
        })?;
    }
    match header("txn_operation").unwrap_or_default() {
        operation if operation.eq_ignore_ascii_case("commit") => {
            let outcome = commit_precommitted(cluster, db_id, txn_id, VISIBLE_WAIT).await;
            outcome.map_err(|error| error.to_string())?;
            Ok(format!("transaction [{txn_id}] commit successfully."))
        }
        operation if operation.eq_ignore_ascii_case("abort") => {
            abort_precommitted(cluster, db_id, txn_id).map_err(|error| error.to_string())?;
            Ok(format!("transaction [{txn_id}] abort successfully."))
        }
        _ => Err(refused("transaction operation should be 'commit' or 'abort'")),
    }
}

/// Database and transaction, with the names of its tables.
fn find(
    cluster: &ClusterInner,
    db: &str,
    txn_id: Option<&str>,
    label: Option<&str>,
) -> Result<(i64, i64, Vec<String>), String> {
    let refused = |text: String| format!("errCode = 2, detailMessage = {text}");
    let state = cluster.fe.lock();
    let db = state.database_named(db).ok_or_else(|| refused(format!("unknown database, database={db}")))?;
    let txn_id = match (txn_id, label) {
        (Some(text), _) => text.parse().map_err(|_| refused(format!("convert txn_id [{text}] failed")))?,
        (None, Some(label)) => {
            let known = state.txns.with_label(db.id, label);
            let newest = known.last().ok_or_else(|| refused(format!("transaction [{label}] not found")))?;
            newest.id
        }
        (None, None) => return Err(refused("transaction id or label should be specified".to_owned())),
    };
    let txn = state.txns.get(db.id, txn_id).ok_or_else(|| TxnError::not_found(txn_id).to_string())?;
    let names = txn.table_ids.iter().filter_map(|id| db.tables.get(id)).map(|table| table.name().to_owned());
    Ok((db.id, txn_id, names.collect()))
}
