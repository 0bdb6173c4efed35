//! Why a transaction call is refused, with the frontend's texts.

use thiserror::Error;

use super::TxnStatus;

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TxnError {
    /// The label belongs to a transaction that is not aborted.
    #[error(
        "errCode = 2, detailMessage = Label [{label}] has already been used, relate to txn [{txn_id}], status [{}].",
        status.name()
    )]
    LabelUsed { label: String, txn_id: i64, status: TxnStatus },
    /// A missing database or table.
    #[error("errCode = 7, detailMessage = {0}")]
    MetaNotFound(String),
    /// Anything else that is the caller's doing.
    #[error("errCode = 2, detailMessage = {0}")]
    User(String),
}

impl TxnError {
    pub(super) fn user(text: impl Into<String>) -> Self {
        Self::User(text.into())
    }

    pub(crate) fn not_found(txn_id: i64) -> Self {
        Self::User(format!("transaction [{txn_id}] not found"))
    }

    pub(super) fn table_not_found(table_id: i64) -> Self {
        Self::MetaNotFound(format!("table not found, tableId={table_id}"))
    }

    /// The text without its `errCode` prefix.
    pub fn detail(&self) -> String {
        let text = self.to_string();
        text.split_once("detailMessage = ").map_or_else(|| text.clone(), |(_, detail)| detail.to_owned())
    }
}
