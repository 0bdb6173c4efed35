//! Why a record could not be read.

use super::BinlogType;

/// A record that does not have the shape its type promises. The message names the type and the missing key
/// or the position in the JSON text; it never repeats the text itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The binlog has no data although its type needs some.
    #[error("binlog record {binlog_type} has no data")]
    NoData { binlog_type: BinlogType },
    /// A key is missing, has another type, or the text is no JSON.
    #[error("binlog record {binlog_type}: {detail}")]
    Json { binlog_type: BinlogType, detail: String },
    /// A BARRIER wraps another BARRIER, which no FE does.
    #[error("binlog record BARRIER wraps another BARRIER")]
    NestedBarrier,
}

impl RecordError {
    /// The type of the record that could not be read; the inner one of a wrapped record.
    pub fn binlog_type(&self) -> BinlogType {
        match self {
            Self::NoData { binlog_type } | Self::Json { binlog_type, .. } => *binlog_type,
            Self::NestedBarrier => BinlogType::BARRIER,
        }
    }

    /// Words a JSON error. The JSON library quotes offending strings in its messages, so what is shown of
    /// them stays bounded.
    pub(super) fn json(binlog_type: BinlogType, error: &serde_json::Error) -> Self {
        const LONGEST: usize = 200;
        let text = error.to_string();
        let detail = if text.chars().count() <= LONGEST {
            text
        } else {
            let head: String = text.chars().take(LONGEST).collect();
            format!("{head}… at line {} column {}", error.line(), error.column())
        };
        Self::Json { binlog_type, detail }
    }
}
