//! Basic authentication against the cluster's accounts.

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

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

/// Whether the account exists and the password is right.
pub(super) fn is_valid(cluster: &ClusterInner, user: &str, password: &str) -> bool {
    cluster.fe.lock().users.get(user).is_some_and(|account| account.password == password)
}
