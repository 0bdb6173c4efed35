//! Accounts of RPC callers.

use super::{Refusal, is_set};
use crate::state::FeState;

/// Who calls, as far as the request says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller<'a> {
    pub user: &'a str,
    pub password: &'a str,
    /// The address the account is looked up with; `null` when a method takes it from an unset field.
    pub ip: &'a str,
}

/// The user's password must match. Frontends compare it in plain text.
pub(super) fn check_password(state: &FeState, caller: Caller<'_>) -> Result<(), Refusal> {
    match state.users.get(caller.user) {
        Some(account) if account.password == caller.password => Ok(()),
        Some(_) | None => Err(Refusal::user(denied(caller))),
    }
}

pub(super) fn denied(caller: Caller<'_>) -> String {
    let using = if caller.password.is_empty() { "NO" } else { "YES" };
    format!("Access denied for user '{}@{}' (using password: {using})", caller.user, caller.ip)
}

/// Any token at all replaces the password; Doris does not compare it here.
pub(super) fn check_password_unless_token(
    state: &FeState,
    caller: Caller<'_>,
    token: Option<&String>,
) -> Result<(), Refusal> {
    if is_set(token) { Ok(()) } else { check_password(state, caller) }
}

/// Commit and rollback: an auth code passes, a token must be the cluster's, else the password counts.
pub(super) fn check_code_token_or_password(
    state: &FeState,
    caller: Caller<'_>,
    auth_code: Option<i64>,
    token: Option<&String>,
) -> Result<(), Refusal> {
    if auth_code.is_some() {
        return Ok(());
    }
    match token {
        Some(token) if *token == state.token => Ok(()),
        Some(_) => Err(Refusal::user("Invalid token")),
        None => check_password(state, caller),
    }
}
