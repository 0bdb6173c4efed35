//! Errors of statements, with the codes and texts that Doris sends.

use thiserror::Error;

/// An error packet: MySQL code, SQLSTATE and the text without Doris's prefix.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("errCode = 2, detailMessage = {message}")]
pub struct SqlError {
    pub code: u16,
    pub state: &'static str,
    pub message: String,
}

pub type SqlResult<T> = Result<T, SqlError>;

impl SqlError {
    /// A free-text error: 1105 HY000.
    pub fn general(message: impl Into<String>) -> Self {
        Self { code: 1105, state: "HY000", message: message.into() }
    }

    /// Doris's "common error" 5064, which backup and restore use.
    pub fn common(message: impl Into<String>) -> Self {
        Self { code: 5064, state: "HY000", message: message.into() }
    }

    pub fn unknown_database(name: &str) -> Self {
        Self { code: 1049, state: "42000", message: format!("Unknown database '{name}'") }
    }

    pub fn unknown_table(db: &str, table: &str) -> Self {
        Self { code: 1109, state: "42S02", message: format!("Unknown table '{table}' in {db}") }
    }

    /// `place` is the part of the statement that names it.
    pub fn unknown_column(column: &str, place: &str) -> Self {
        Self { code: 1054, state: "42S22", message: format!("Unknown column '{column}' in '{place}'") }
    }

    pub fn table_exists(table: &str) -> Self {
        Self { code: 1050, state: "42S01", message: format!("Table '{table}' already exists") }
    }
}
