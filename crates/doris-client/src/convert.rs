//! From the failures of the transports to [`Failure`].

use doris_thrift::{CallError, TStatus};
use doris_types::failure::{Cause, Failure};
use mysql_async::DriverError;

pub(crate) fn from_call(error: &CallError) -> Failure {
    if error.is_unknown_method() {
        let (peer, method) = place(error);
        return Failure::new(method, peer, Cause::UnknownMethod);
    }
    let cause = match error {
        CallError::Connect { detail, .. } => Cause::Connect { detail: detail.clone() },
        CallError::Lost { detail, .. } => Cause::Lost { detail: detail.clone() },
        CallError::Application { kind, message, .. } => {
            Cause::Malformed { detail: format!("application exception {kind}: {message}") }
        }
        CallError::Decode { error, .. } => Cause::Malformed { detail: error.clone() },
        CallError::TooLarge { limit, .. } => {
            Cause::Malformed { detail: format!("the answer is larger than the limit of {limit} bytes") }
        }
        CallError::FramedPeer { .. } => Cause::Malformed {
            detail: "the peer speaks framed thrift; set thrift_server_type to THREAD_POOL on the frontend"
                .into(),
        },
    };
    let (peer, method) = place(error);
    Failure::new(method, peer, cause)
}

fn place(error: &CallError) -> (&str, &'static str) {
    match error {
        CallError::Connect { peer, method, .. }
        | CallError::Lost { peer, method, .. }
        | CallError::Application { peer, method, .. }
        | CallError::Decode { peer, method, .. }
        | CallError::TooLarge { peer, method, .. }
        | CallError::FramedPeer { peer, method } => (peer, method),
    }
}

pub(crate) fn from_status(operation: &str, peer: &str, status: &TStatus) -> Failure {
    let messages = status.error_msgs.clone().unwrap_or_default();
    Failure::new(operation, peer, Cause::Status { code: status.status_code.0, messages })
}

pub(crate) fn malformed(operation: &str, peer: &str, detail: impl Into<String>) -> Failure {
    Failure::new(operation, peer, Cause::Malformed { detail: detail.into() })
}

/// Where in the life of a statement an error occurred.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Before the statement was sent.
    Connecting,
    Running,
}

pub(crate) fn from_sql(error: mysql_async::Error, stage: Stage) -> Cause {
    let detail = match error {
        mysql_async::Error::Server(error) => {
            return Cause::Sql { code: error.code, state: error.state, message: error.message };
        }
        // The size of what is sent is checked before any of it is sent.
        mysql_async::Error::Driver(DriverError::PacketTooLarge) => {
            return Cause::Malformed { detail: "packet larger than the limit (max_allowed_packet)".into() };
        }
        mysql_async::Error::Driver(error) => error.to_string(),
        mysql_async::Error::Io(error) => error.to_string(),
        mysql_async::Error::Url(error) => error.to_string(),
        mysql_async::Error::Other(error) => error.to_string(),
    };
    match stage {
        Stage::Connecting => Cause::Connect { detail },
        Stage::Running => Cause::Lost { detail },
    }
}

/// The operation name of a statement: its first words, which never hold a value.
pub(crate) fn statement_name(sql: &str) -> String {
    let word = |word: &&str| word.len() <= 20 && word.chars().all(|c| c.is_ascii_alphabetic() || c == '_');
    let words: Vec<_> = sql.split_whitespace().take(3).take_while(word).collect();
    if words.is_empty() { "statement".to_owned() } else { words.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_statements() {
        assert_eq!(statement_name("ALTER TABLE `a`.`b` ADD"), "ALTER TABLE");
        assert_eq!(statement_name("  select\n1"), "select");
        assert_eq!(statement_name("SET PASSWORD = 'x'"), "SET PASSWORD");
        assert_eq!(statement_name("'x'"), "statement");
    }

    #[test]
    fn unknown_methods_have_their_own_cause() {
        let error = CallError::Application {
            peer: "fe:9020".into(),
            method: "lockBinlog",
            kind: 1,
            message: "Invalid method name: 'lockBinlog'".into(),
        };
        assert_eq!(from_call(&error), Failure::new("lockBinlog", "fe:9020", Cause::UnknownMethod));
    }
}
