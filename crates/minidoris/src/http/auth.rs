//! Basic authentication against the cluster's accounts.

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::access::Wanted;
use crate::access::check::denial;
use crate::cluster::ClusterInner;

/// User and password of the `Authorization` header.
pub(super) fn credentials(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// Why a client may not load into a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Denial {
    Account,
    Privilege(String),
}

/// Whether the account exists, the password is right, and it may load into the table.
pub(super) fn may_load(
    cluster: &ClusterInner,
    (user, password): (&str, &str),
    address: &str,
    (db, table): (&str, &str),
) -> Result<(), Denial> {
    let state = cluster.fe.lock();
    let identity = state.accounts.login_plain(user, Some(address), password).ok_or(Denial::Account)?;
    match state.accounts.allows_table(identity, db, table, Wanted::LOAD) {
        true => Ok(()),
        false => Err(Denial::Privilege(denial(Wanted::LOAD))),
    }
}
