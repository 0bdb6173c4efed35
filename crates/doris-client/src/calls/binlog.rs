//! Reading the binlog.

use doris_thrift::{TBinlog, TGetBinlogRequest, TGetBinlogResult, TLockBinlogRequest, TStatus, TStatusCode};
use doris_types::call::{BinlogEntry, BinlogLag, BinlogPage, BinlogScope};
use doris_types::failure::Result;

use crate::cluster::DorisCluster;
use crate::convert::{from_status, malformed};
use crate::round::Nature;

impl DorisCluster {
    /// Up to `limit` (1 to 255) entries after `after`.
    pub async fn binlogs(&self, scope: &BinlogScope, after: i64, limit: u8) -> Result<BinlogPage> {
        let request =
            &TGetBinlogRequest { num_acquired: Some(i64::from(limit)), ..self.request(scope, after).await };
        let timeout = self.clients.options.rpc_timeout;
        let (result, peer) = self
            .call("getBinlog", Nature::Reads, timeout, |fe| async move { fe.get_binlog(request).await })
            .await?;
        page(result, after, &peer)
    }

    /// `None` when the list does not exist.
    pub async fn binlog_lag(&self, scope: &BinlogScope, after: i64) -> Result<Option<BinlogLag>> {
        let request = &self.request(scope, after).await;
        let timeout = self.clients.options.rpc_timeout;
        let (result, peer) =
            self.call("getBinlogLag", Nature::Reads, timeout, |fe| async move {
                fe.get_binlog_lag(request).await
            })
            .await?;
        let status = result.status.unwrap_or_default();
        if is_not_found(&status) {
            return Ok(None);
        }
        ok("getBinlogLag", &peer, &status)?;
        Ok(Some(BinlogLag {
            lag: result.lag.unwrap_or_default(),
            first_commit_seq: result.first_commit_seq.unwrap_or_default(),
            last_commit_seq: result.last_commit_seq.unwrap_or_default(),
            next_commit_seq: result.next_commit_seq.unwrap_or_default(),
            first_timestamp_ms: result.first_binlog_timestamp.unwrap_or_default(),
            last_timestamp_ms: result.last_binlog_timestamp.unwrap_or_default(),
            next_timestamp_ms: result.next_binlog_timestamp.unwrap_or_default(),
        }))
    }

    /// Tells the FE that this job no longer needs the entries below `commit_seq`. FEs before 3.0 answer
    /// [`UnknownMethod`](doris_types::failure::Cause::UnknownMethod); the lock is only a hint to them.
    pub async fn lock_binlogs(&self, scope: &BinlogScope, job: &str, commit_seq: i64) -> Result<()> {
        let request = &TLockBinlogRequest {
            user: self.user(),
            passwd: self.password(),
            db: Some(scope.database.clone()),
            table_id: scope.table_id,
            job_unique_id: Some(job.to_owned()),
            lock_commit_seq: Some(commit_seq),
            ..Default::default()
        };
        let timeout = self.clients.options.rpc_timeout;
        // Locks only move forward, so a repeated call changes nothing.
        let (result, peer) = self
            .call("lockBinlog", Nature::Reads, timeout, |fe| async move { fe.lock_binlog(request).await })
            .await?;
        ok("lockBinlog", &peer, &result.status.unwrap_or_default())
    }

    async fn request(&self, scope: &BinlogScope, after: i64) -> TGetBinlogRequest {
        TGetBinlogRequest {
            user: self.user(),
            passwd: self.password(),
            user_ip: self.source_ip().await,
            db: Some(scope.database.clone()),
            table_id: scope.table_id,
            prev_commit_seq: Some(after),
            ..Default::default()
        }
    }
}

pub(super) fn ok(operation: &str, peer: &str, status: &TStatus) -> Result<()> {
    if status.is_ok() { Ok(()) } else { Err(from_status(operation, peer, status)) }
}

fn is_not_found(status: &TStatus) -> bool {
    matches!(status.status_code, TStatusCode::BINLOG_NOT_FOUND_DB | TStatusCode::BINLOG_NOT_FOUND_TABLE)
}

fn page(result: TGetBinlogResult, after: i64, peer: &str) -> Result<BinlogPage> {
    let status = result.status.unwrap_or_default();
    let binlogs = result.binlogs.unwrap_or_default();
    match status.status_code {
        TStatusCode::OK if binlogs.is_empty() => Ok(BinlogPage::CaughtUp),
        TStatusCode::OK => {
            let mut previous = after;
            let entries = binlogs.into_iter().map(|binlog| {
                let entry = entry(binlog, peer)?;
                // A list that goes back would make us skip or repeat entries.
                if entry.commit_seq <= after || entry.commit_seq < previous {
                    let detail = format!("commit seq {} after {previous}", entry.commit_seq);
                    return Err(malformed("getBinlog", peer, detail));
                }
                previous = entry.commit_seq;
                Ok(entry)
            });
            entries.collect::<Result<_>>().map(BinlogPage::Entries)
        }
        TStatusCode::BINLOG_TOO_NEW_COMMIT_SEQ => Ok(BinlogPage::CaughtUp),
        TStatusCode::BINLOG_TOO_OLD_COMMIT_SEQ => {
            Ok(BinlogPage::TooOld { expired_to: binlogs.first().and_then(|binlog| binlog.commit_seq) })
        }
        TStatusCode::BINLOG_DISABLE => Ok(BinlogPage::Disabled),
        _ if is_not_found(&status) => Ok(BinlogPage::NotFound),
        _ => Err(from_status("getBinlog", peer, &status)),
    }
}

fn entry(binlog: TBinlog, peer: &str) -> Result<BinlogEntry> {
    let missing = |field: &str| malformed("getBinlog", peer, format!("a binlog without {field}"));
    Ok(BinlogEntry {
        commit_seq: binlog.commit_seq.ok_or_else(|| missing("commit seq"))?,
        timestamp_ms: binlog.timestamp.unwrap_or_default(),
        binlog_type: binlog.binlog_type.ok_or_else(|| missing("type"))?.0,
        db_id: binlog.db_id.unwrap_or_default(),
        table_ids: binlog.table_ids.unwrap_or_default(),
        data: binlog.data,
    })
}

#[cfg(test)]
mod tests {
    use doris_thrift::TBinlogType;

    use super::*;

    fn answer(code: TStatusCode, seqs: &[i64]) -> TGetBinlogResult {
        let binlog = |seq: &i64| TBinlog {
            commit_seq: Some(*seq),
            binlog_type: Some(TBinlogType::UPSERT),
            ..Default::default()
        };
        TGetBinlogResult {
            status: Some(TStatus { status_code: code, error_msgs: None }),
            binlogs: Some(seqs.iter().map(binlog).collect()),
            ..Default::default()
        }
    }

    #[test]
    fn every_status_has_its_page() {
        let kind = |code, seqs: &[i64]| page(answer(code, seqs), 10, "fe");
        let seqs = |page: Result<BinlogPage>| match page {
            Ok(BinlogPage::Entries(entries)) => {
                entries.into_iter().map(|entry| entry.commit_seq).collect::<Vec<_>>()
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(seqs(kind(TStatusCode::OK, &[11, 13, 13])), [11, 13, 13]);
        assert_eq!(kind(TStatusCode::OK, &[]), Ok(BinlogPage::CaughtUp));
        assert_eq!(kind(TStatusCode::BINLOG_TOO_NEW_COMMIT_SEQ, &[]), Ok(BinlogPage::CaughtUp));
        let too_old = TStatusCode::BINLOG_TOO_OLD_COMMIT_SEQ;
        assert_eq!(kind(too_old, &[20]), Ok(BinlogPage::TooOld { expired_to: Some(20) }));
        assert_eq!(kind(too_old, &[]), Ok(BinlogPage::TooOld { expired_to: None }));
        assert_eq!(kind(TStatusCode::BINLOG_NOT_FOUND_DB, &[]), Ok(BinlogPage::NotFound));
        assert_eq!(kind(TStatusCode::BINLOG_NOT_FOUND_TABLE, &[]), Ok(BinlogPage::NotFound));
        assert_eq!(kind(TStatusCode::BINLOG_DISABLE, &[]), Ok(BinlogPage::Disabled));
        let failure = kind(TStatusCode::ANALYSIS_ERROR, &[]).unwrap_err();
        assert_eq!(failure.status_code(), Some(2));
    }

    #[test]
    fn entries_out_of_order_are_refused() {
        assert!(page(answer(TStatusCode::OK, &[10]), 10, "fe").unwrap_err().is_in_doubt());
        assert!(page(answer(TStatusCode::OK, &[12, 11]), 10, "fe").is_err());
    }
}
