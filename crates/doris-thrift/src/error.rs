//! Errors of the codec.

use thiserror::Error;

/// Why bytes are not a thrift message, or not the struct that was expected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    #[error("the bytes end inside a value")]
    Truncated,
    /// Not a versioned binary-protocol header; a framed peer starts with its length (usually byte 0).
    #[error("not a strict binary protocol message (first byte {first:#04x})")]
    NotStrict { first: u8 },
    #[error("message type {0} is unknown")]
    MessageType(u8),
    #[error("wire type {0} is unknown")]
    WireType(u8),
    #[error("negative length {0}")]
    NegativeLength(i32),
    #[error("container elements have wire type {found}, expected {expected}")]
    ElementType { expected: u8, found: u8 },
    #[error("string is not valid UTF-8")]
    Utf8,
    #[error("nested deeper than {limit} levels")]
    TooDeep { limit: usize },
    #[error("message is larger than the limit of {limit} bytes")]
    TooLarge { limit: usize },
    /// Containers would need far more memory than the bytes that describe them.
    #[error("containers need more memory than the size of the message justifies")]
    Amplified,
    #[error("{0} lacks required field {1}")]
    MissingField(&'static str, &'static str),
    #[error("the envelope has no argument or result struct")]
    MissingBody,
    #[error("{0} bytes follow the end of the message")]
    TrailingBytes(usize),
}
