//! A change: a binlog entry, parsed and unwrapped.

use doris_types::call::BinlogEntry;
use doris_types::record::{BinlogType, Record};

use crate::error::{Error, Origin};

/// One entry of the upstream binlog in the engine's terms.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    pub commit_seq: i64,
    pub timestamp_ms: i64,
    /// The type as it was sent; BARRIER when the record was wrapped in one.
    pub binlog_type: BinlogType,
    pub record: Record,
    pub table_ids: Vec<i64>,
}

impl Change {
    /// Parses an entry. A record that cannot be read blocks, with its seq and type in the message: to go
    /// past it without knowing what it says would lose a change.
    pub fn parse(entry: BinlogEntry) -> Result<Self, Error> {
        let binlog_type = BinlogType(entry.binlog_type);
        let record = Record::parse(binlog_type, entry.data.as_deref()).map_err(|error| {
            Error::blocked(
                Origin::UpstreamFe,
                "CCR0201",
                format!(
                    "binlog {} at commit seq {} cannot be read: {error}",
                    binlog_type.name(),
                    entry.commit_seq
                ),
                "report the record; job_skip_binlog can go past it",
            )
        })?;
        Ok(Self {
            commit_seq: entry.commit_seq,
            timestamp_ms: entry.timestamp_ms,
            binlog_type,
            record,
            table_ids: entry.table_ids,
        })
    }
}
