//! What can go wrong on a backend, and the thrift status it becomes.

use doris_thrift::{TStatus, TStatusCode};
use thiserror::Error;

use crate::data::codec::CodecError;

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BackendError {
    #[error("tablet {0} not found")]
    TabletMissing(i64),
    #[error("The tablet's state is shutdown, tablet_id: {0}")]
    Shutdown(i64),
    #[error("transaction {txn_id} has no rowset on tablets {tablets:?}")]
    NoRowset { txn_id: i64, tablets: Vec<i64> },
    #[error("missed versions of tablet {tablet_id}: max version {max}, wanted {wanted}")]
    MissedVersion { tablet_id: i64, max: i64, wanted: i64 },
    #[error("tablet {tablet_id}: {error}")]
    Data { tablet_id: i64, error: CodecError },
    #[error("{0}")]
    Runtime(String),
    #[error("{0}")]
    Internal(String),
    #[error("{0}")]
    Http(String),
}

impl BackendError {
    /// The status code and its name in the text that backends send.
    fn code(&self) -> (TStatusCode, &'static str) {
        match self {
            BackendError::TabletMissing(_) => (TStatusCode::TABLET_MISSING, "TABLET_MISSING"),
            BackendError::Shutdown(_) | BackendError::Internal(_) | BackendError::Data { .. } => {
                (TStatusCode::INTERNAL_ERROR, "INTERNAL_ERROR")
            }
            BackendError::NoRowset { .. } => (TStatusCode::INTERNAL_ERROR, "PUSH_TRANSACTION_NOT_EXIST"),
            BackendError::MissedVersion { .. } => (TStatusCode::INTERNAL_ERROR, "E-230"),
            BackendError::Runtime(_) => (TStatusCode::RUNTIME_ERROR, "RUNTIME_ERROR"),
            BackendError::Http(_) => (TStatusCode::HTTP_ERROR, "HTTP_ERROR"),
        }
    }

    /// The status as the backend at `host` sends it: `(<host>)[<CODE>]<text>`.
    pub fn status(&self, host: &str) -> TStatus {
        let (code, name) = self.code();
        TStatus::new(code, format!("({host})[{name}]{self}"))
    }
}
