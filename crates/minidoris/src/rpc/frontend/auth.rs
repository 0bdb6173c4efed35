//! Accounts and privileges of RPC callers.
//!
//! A passed check tells who the caller is, or that nobody asked: a token or an auth code stands for any
//! privilege.

use super::{Refusal, is_set};
use crate::access::check::denial;
use crate::access::{UserIdentity, Wanted};
use crate::state::FeState;

/// Who calls, as far as the request says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller<'a> {
    pub user: &'a str,
    pub password: &'a str,
    /// The address the account is looked up with; some methods take it from a field that may be unset, and
    /// then only accounts of any host match.
    pub ip: Option<&'a str>,
}

/// What a caller may do.
#[derive(Debug, Clone, Copy)]
pub(super) enum Right<'a> {
    /// Nobody looks at privileges.
    Unchecked,
    Of(&'a UserIdentity),
}

/// The user's password must match. Frontends compare it in plain text.
pub(super) fn check_password<'a>(state: &'a FeState, caller: Caller<'_>) -> Result<Right<'a>, Refusal> {
    match state.accounts.login_plain(caller.user, caller.ip, caller.password) {
        Some(identity) => Ok(Right::Of(identity)),
        None => Err(Refusal::user(denied(caller))),
    }
}

pub(super) fn denied(caller: Caller<'_>) -> String {
    let using = if caller.password.is_empty() { "NO" } else { "YES" };
    let ip = caller.ip.unwrap_or("null");
    format!("Access denied for user '{}@{ip}' (using password: {using})", caller.user)
}

/// Any token at all replaces the password; Doris does not compare it here.
pub(super) fn check_password_unless_token<'a>(
    state: &'a FeState,
    caller: Caller<'_>,
    token: Option<&String>,
) -> Result<Right<'a>, Refusal> {
    if is_set(token) { Ok(Right::Unchecked) } else { check_password(state, caller) }
}

/// Commit and rollback: an auth code passes, a token must be the cluster's, else the password counts.
pub(super) fn check_code_token_or_password<'a>(
    state: &'a FeState,
    caller: Caller<'_>,
    auth_code: Option<i64>,
    token: Option<&String>,
) -> Result<Right<'a>, Refusal> {
    if auth_code.is_some() {
        return Ok(Right::Unchecked);
    }
    match token {
        Some(token) if *token == state.token => Ok(Right::Unchecked),
        Some(_) => Err(Refusal::user("Invalid token")),
        None => check_password(state, caller),
    }
}

impl Right<'_> {
    pub(super) fn on_database(self, state: &FeState, db: &str, wanted: Wanted) -> Result<(), Refusal> {
        match self {
            Right::Of(identity) if !state.accounts.allows_database(identity, db, wanted) => {
                Err(Refusal::user(denial(wanted)))
            }
            Right::Of(_) | Right::Unchecked => Ok(()),
        }
    }

    /// Without a table name the database as a whole is asked for.
    pub(super) fn on_table(
        self,
        state: &FeState,
        db: &str,
        table: Option<&str>,
        wanted: Wanted,
    ) -> Result<(), Refusal> {
        let Some(table) = table.filter(|table| !table.is_empty()) else {
            return self.on_database(state, db, wanted);
        };
        match self {
            Right::Of(identity) if !state.accounts.allows_table(identity, db, table, wanted) => {
                Err(Refusal::user(denial(wanted)))
            }
            Right::Of(_) | Right::Unchecked => Ok(()),
        }
    }

    /// On each of the tables that exist.
    pub(super) fn on_tables(
        self,
        state: &FeState,
        db_id: i64,
        table_ids: &[i64],
        wanted: Wanted,
    ) -> Result<(), Refusal> {
        let Some(db) = state.databases.get(&db_id) else { return Ok(()) };
        for table in table_ids.iter().filter_map(|id| db.tables.get(id)) {
            self.on_table(state, &db.name, Some(table.name()), wanted)?;
        }
        Ok(())
    }
}
