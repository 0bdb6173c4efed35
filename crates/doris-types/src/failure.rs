//! How a call to Doris failed, as seen at the place that made it.
//!
//! A [`Failure`] states facts only: what was called, on which peer, what came back. What to do about it
//! is decided in one place, by the engine.

use std::fmt;

/// A failed call: operation, peer and cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The Doris name of the call: a thrift method, an HTTP route, or the first words of a statement.
    pub operation: String,
    /// `host:port` that was called; empty when no peer could be chosen.
    pub peer: String,
    pub cause: Cause,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The peer answered with a `TStatus` that is not OK.
    Status { code: i32, messages: Vec<String> },
    /// The FE answered a statement with an error packet.
    Sql { code: u16, state: String, message: String },
    /// The peer does not know the method (older Doris).
    UnknownMethod,
    /// The connection could not be made: the call did certainly not reach the peer.
    Connect { detail: String },
    /// The connection broke or timed out after the call was sent: the work may have been done.
    Lost { detail: String },
    /// The answer came and made no sense.
    Malformed { detail: String },
    /// An HTTP answer that is not a success.
    Http { status: u16, body: String },
    /// No frontend admits to being the master, or no node is known.
    NoMaster { detail: String },
    /// A private address without an entry in the host mapping, while a mapping exists.
    UnmappedHost { host: String },
}

pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    pub fn new(operation: impl Into<String>, peer: impl Into<String>, cause: Cause) -> Self {
        Self { operation: operation.into(), peer: peer.into(), cause }
    }

    /// The status code, when the peer answered with one.
    pub fn status_code(&self) -> Option<i32> {
        match &self.cause {
            Cause::Status { code, .. } => Some(*code),
            Cause::Sql { .. }
            | Cause::UnknownMethod
            | Cause::Connect { .. }
            | Cause::Lost { .. }
            | Cause::Malformed { .. }
            | Cause::Http { .. }
            | Cause::NoMaster { .. }
            | Cause::UnmappedHost { .. } => None,
        }
    }

    /// The peer's own words, all of them, for matching by substring.
    pub fn text(&self) -> String {
        match &self.cause {
            Cause::Status { messages, .. } => messages.join("; "),
            Cause::Sql { message, .. } => message.clone(),
            Cause::UnknownMethod => "unknown method".to_owned(),
            Cause::Connect { detail }
            | Cause::Lost { detail }
            | Cause::Malformed { detail }
            | Cause::NoMaster { detail } => detail.clone(),
            Cause::Http { body, .. } => body.clone(),
            Cause::UnmappedHost { host } => host.clone(),
        }
    }

    /// Whether the work may have been done although the answer was lost.
    pub fn is_in_doubt(&self) -> bool {
        matches!(self.cause, Cause::Lost { .. } | Cause::Malformed { .. })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.operation)?;
        if !self.peer.is_empty() {
            write!(f, " on {}", self.peer)?;
        }
        match &self.cause {
            Cause::Status { code, messages } => write!(f, ": status {code}: {}", messages.join("; ")),
            Cause::Sql { code, message, .. } => write!(f, ": error {code}: {message}"),
            Cause::UnknownMethod => write!(f, ": the peer does not know this method"),
            Cause::Connect { detail } => write!(f, ": cannot connect: {detail}"),
            Cause::Lost { detail } => write!(f, ": connection lost, outcome unknown: {detail}"),
            Cause::Malformed { detail } => write!(f, ": malformed answer: {detail}"),
            Cause::Http { status, body } => write!(f, ": http status {status}: {body}"),
            Cause::NoMaster { detail } => write!(f, ": no master frontend: {detail}"),
            Cause::UnmappedHost { host } => {
                write!(f, ": host {host} has no entry in the host mapping; add it with update_host_mapping")
            }
        }
    }
}

impl std::error::Error for Failure {}
