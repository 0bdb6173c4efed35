//! Errors of the engine, and the one place that decides what to do about a failed call.
//!
//! Clients report facts ([`Failure`]). [`Error::from_failure`] turns them into a disposition, by Doris
//! status and text ([`crate::answers`]); nothing else in the engine looks at a status code. The rule behind the table: a fault
//! that can pass is repeated for ever, visibly; what an operator must mend blocks; only a proven gap
//! starts a full sync, and no failed call is a proof.

use std::fmt;

use doris_types::failure::{Cause, Failure};

use crate::answers::{self, says_any};
use crate::store::StoreError;

/// The code of a database that a frontend does not know.
pub(crate) const NO_DATABASE: &str = "CCR0109";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    UpstreamFe,
    UpstreamBe,
    DownstreamFe,
    DownstreamBe,
    Store,
    Internal,
}

/// What the engine does about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// The same call again, after a pause.
    Retry,
    /// The same call with another source replica or node.
    RetryElsewhere,
    /// Forget what is cached of the table's metadata, then again.
    RefreshMeta,
    /// Open the transaction again: it is not, or no longer, there.
    RestartTxn,
    /// The table must be copied again.
    PartialSync,
    /// The table must go on by itself: it keeps failing, and the others do not.
    Isolate,
    /// An operator must act.
    Block,
    /// This process no longer owns the job.
    Stop,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    pub origin: Origin,
    pub disposition: Disposition,
    /// Stable code, explained in `docs/errors`.
    pub code: &'static str,
    pub message: String,
    /// What would resolve it; empty when it resolves itself.
    pub hint: String,
    /// The one upstream table that it concerns, where the call was about several.
    pub table: Option<i64>,
}

pub type Result<T> = std::result::Result<T, Error>;

/// Status codes of `TStatusCode` that are told apart.
mod status {
    pub const ANALYSIS_ERROR: i32 = 2;
    pub const RUNTIME_ERROR: i32 = 4;
    pub const HTTP_ERROR: i32 = 71;
    pub const TABLET_MISSING: i32 = 72;
}

impl Error {
    /// Decides about a failed call. `origin` is whom the call went to.
    pub fn from_failure(origin: Origin, failure: &Failure) -> Self {
        let text = failure.text();
        let (disposition, code, hint) = match &failure.cause {
            Cause::UnmappedHost { host } => (
                Disposition::Block,
                "CCR0103",
                format!("map {host} to an address that can be reached, with update_host_mapping"),
            ),
            Cause::UnknownMethod => {
                (Disposition::Block, "CCR0104", "upgrade that Doris cluster to 2.1 or later".to_owned())
            }
            Cause::Connect { .. } | Cause::Lost { .. } | Cause::NoMaster { .. } | Cause::Malformed { .. } => {
                (Disposition::Retry, "CCR0101", String::new())
            }
            Cause::Http { .. } => (Disposition::Retry, "CCR0102", String::new()),
            Cause::Sql { code, .. } => by_sql(*code, &text),
            Cause::Status { code, .. } => by_status(*code, &text),
        };
        Self { origin, disposition, code, message: failure.to_string(), hint, table: None }
    }

    pub fn blocked(
        origin: Origin,
        code: &'static str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        let (message, hint) = (message.into(), hint.into());
        Self { origin, disposition: Disposition::Block, code, message, hint, table: None }
    }

    /// The two sides of a table do not match; only a copy can mend that.
    pub fn partial_sync(origin: Origin, code: &'static str, message: impl Into<String>) -> Self {
        let disposition = Disposition::PartialSync;
        Self { origin, disposition, code, message: message.into(), hint: String::new(), table: None }
    }

    pub fn retry(origin: Origin, code: &'static str, message: impl Into<String>) -> Self {
        let (disposition, hint) = (Disposition::Retry, String::new());
        Self { origin, disposition, code, message: message.into(), hint, table: None }
    }

    /// The same error, about this upstream table only.
    pub fn of_table(mut self, source_id: i64) -> Self {
        self.table = Some(source_id);
        self
    }
}

fn by_status(code: i32, text: &str) -> (Disposition, &'static str, String) {
    if answers::is_txn_gone(text) {
        return (Disposition::RestartTxn, "CCR0105", String::new());
    }
    if says_any(text, answers::STALE_META) {
        return (Disposition::RefreshMeta, "CCR0106", String::new());
    }
    if says_any(text, answers::BUSY) {
        return (Disposition::Retry, "CCR0107", String::new());
    }
    match code {
        status::TABLET_MISSING => (Disposition::RefreshMeta, "CCR0106", String::new()),
        status::HTTP_ERROR => (Disposition::RetryElsewhere, "CCR0102", String::new()),
        status::RUNTIME_ERROR if text.contains(answers::BINLOG_OFF) => (
            Disposition::Block,
            "CCR0108",
            "set enable_feature_binlog = true in be.conf of every backend and restart it".to_owned(),
        ),
        status::ANALYSIS_ERROR if says_any(text, answers::UNKNOWN_DATABASE) => {
            (Disposition::Block, NO_DATABASE, "create the database again, or delete the job".to_owned())
        }
        _ => (Disposition::Retry, "CCR0110", String::new()),
    }
}

/// Error packets. Errors of access and of connections can pass (an account is being changed, a node is
/// starting), so they are repeated; what the FE says about a statement itself will be said again.
fn by_sql(code: u16, text: &str) -> (Disposition, &'static str, String) {
    const ACCESS: &[u16] = &[1044, 1045, 1142, 1227];
    const TOO_MANY_CONNECTIONS: u16 = 1040;
    if ACCESS.contains(&code) {
        return (Disposition::Retry, "CCR0111", String::new());
    }
    if code == TOO_MANY_CONNECTIONS || says_any(text, answers::BUSY) || text.contains(answers::NO_BACKEND) {
        return (Disposition::Retry, "CCR0107", String::new());
    }
    // They pass: somebody fills them and puts them in the place of others, or INSERT OVERWRITE does.
    if text.contains(answers::TEMPORARY_PARTITIONS) {
        return (Disposition::Retry, "CCR0113", String::new());
    }
    (
        Disposition::Block,
        "CCR0112",
        "read the FE's answer, remove what it objects to, then resume the job".to_owned(),
    )
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        let (disposition, code, hint) = match &error {
            StoreError::Unavailable { .. } => (Disposition::Retry, "CCR0401", ""),
            StoreError::Fenced { .. } | StoreError::NotFound { .. } => (Disposition::Stop, "CCR0402", ""),
            StoreError::Corrupt { .. } | StoreError::AlreadyExists { .. } => {
                (Disposition::Block, "CCR0403", "restore the metadata store from a backup")
            }
        };
        Self {
            origin: Origin::Store,
            disposition,
            code,
            message: error.to_string(),
            hint: hint.to_owned(),
            table: None,
        }
    }
}

impl Origin {
    pub fn name(self) -> &'static str {
        match self {
            Origin::UpstreamFe => "upstream_fe",
            Origin::UpstreamBe => "upstream_be",
            Origin::DownstreamFe => "downstream_fe",
            Origin::DownstreamBe => "downstream_be",
            Origin::Store => "store",
            Origin::Internal => "internal",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.code, self.origin.name(), self.message)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: i32, text: &str) -> Disposition {
        let cause = Cause::Status { code, messages: vec![text.to_owned()] };
        Error::from_failure(Origin::DownstreamFe, &Failure::new("x", "h:1", cause)).disposition
    }

    fn sql(code: u16, text: &str) -> Disposition {
        let cause = Cause::Sql { code, state: "HY000".to_owned(), message: text.to_owned() };
        Error::from_failure(Origin::DownstreamFe, &Failure::new("x", "h:1", cause)).disposition
    }

    #[test]
    fn statuses_are_told_apart() {
        let prefix = "errCode = 2, detailMessage = ";
        for (expected, code, text) in [
            (Disposition::RestartTxn, 2, "transaction [7] not found"),
            (Disposition::RestartTxn, 2, "transaction not found"),
            (Disposition::RestartTxn, 2, "transaction [7] is already aborted. abort reason: timeout"),
            (Disposition::RefreshMeta, 2, "table not found, tableId=9"),
            (Disposition::RefreshMeta, 2, "can't find table id: 9 in db: d"),
            (Disposition::RefreshMeta, 72, "tablet 5 not found"),
            (Disposition::RetryElsewhere, 71, "The requested URL returned error: 404, url=u"),
            (Disposition::Block, 4, "enable feature binlog is false"),
            (Disposition::Block, 2, "unknown database, database=d"),
            (Disposition::Retry, 2, "get tableList write lock timeout, tableList=(t)"),
            (Disposition::Retry, 2, "Table t is in restore process. Can not load into it"),
            (Disposition::Retry, 6, ""),
            (Disposition::Retry, 73, "FE is not master"),
        ] {
            assert_eq!(status(code, &format!("{prefix}{text}")), expected, "{code} {text}");
        }
    }

    #[test]
    fn statements_refused_by_their_content_block() {
        assert_eq!(sql(1105, "Unknown column: x"), Disposition::Block);
        assert_eq!(
            sql(5064, "Can only run one backup or restore job of a database at same time "),
            Disposition::Retry
        );
        assert_eq!(sql(5064, "Do not support backup table t with temp partitions"), Disposition::Retry);
        for text in [
            "The table [t]'s state is SCHEMA_CHANGE, cannot be dropped. please cancel the operation on olap table firstly.",
            "There are still some transactions in the COMMITTED state waiting to be completed. The table [t] cannot be \
             dropped. If you want to forcibly drop(cannot be recovered), please use \"DROP table FORCE\".",
        ] {
            assert_eq!(sql(1105, text), Disposition::Retry, "{text}");
        }
        assert_eq!(sql(1045, "Access denied for user 'u'"), Disposition::Retry);
        assert_eq!(sql(1040, "Reach limit of connections"), Disposition::Retry);
        assert_eq!(sql(1105, "Node catalog is not ready, please wait for a while."), Disposition::Retry);
    }

    #[test]
    fn a_lost_or_refused_connection_never_blocks() {
        for cause in [
            Cause::Connect { detail: "refused".to_owned() },
            Cause::Lost { detail: "timeout".to_owned() },
            Cause::NoMaster { detail: String::new() },
        ] {
            let error = Error::from_failure(Origin::UpstreamFe, &Failure::new("x", "h:1", cause));
            assert_eq!(error.disposition, Disposition::Retry);
        }
    }

    #[test]
    fn losing_the_lease_stops_the_job() {
        let error = Error::from(StoreError::Fenced { job_id: "j".to_owned(), epoch: 1 });
        assert_eq!(error.disposition, Disposition::Stop);
    }
}
