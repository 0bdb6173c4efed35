//! Why a statement could not be rewritten.

use crate::sql::TokenError;

/// A recorded statement that has not the form its record promises.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RewriteError {
    #[error("cannot read the {statement} statement: {cause}")]
    Token { statement: &'static str, cause: TokenError },
    /// `position` is a byte offset; the length of the text when it ended too early.
    #[error("cannot read the {statement} statement: expected {expected} at byte {position}")]
    Unexpected { statement: &'static str, expected: &'static str, position: usize },
    /// The record lacks what the statement needs.
    #[error("cannot build the {statement} statement: the record has no {what}")]
    Missing { statement: &'static str, what: &'static str },
}
