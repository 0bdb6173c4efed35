//! Downstream transactions and ingest.

use std::time::Duration;

use doris_thrift::{
    TBeginTxnRequest, TCommitTxnRequest, TRollbackTxnRequest, TStatusCode, TSubTxnInfo, TSubTxnType,
    TTabletCommitInfo, TUniqueId,
};
use doris_types::call::{
    BeginAnswer, BeginTxn, CommitTxn, Committed, IngestRequest, IngestState, LabelState, SubTxn, TxnState,
};
use doris_types::failure::Result;
use doris_types::meta::{Backend, TabletCommit};
use doris_types::sql::quote_identifier;

use super::binlog::ok;
use crate::cluster::DorisCluster;
use crate::convert::{from_status, malformed};
use crate::round::Nature;

/// How long a commit waits for the publish, as FEs do that are not told.
const PUBLISH_WAIT: Duration = Duration::from_secs(5);

impl DorisCluster {
    /// Opens a transaction, or says that the label is used.
    pub async fn begin_txn(&self, request: &BeginTxn) -> Result<BeginAnswer> {
        let request = &TBeginTxnRequest {
            user: self.user(),
            passwd: self.password(),
            user_ip: self.source_ip().await,
            db: Some(request.database.clone()),
            table_ids: Some(request.table_ids.clone()),
            label: Some(request.label.clone()),
            timeout: Some(request.timeout_s),
            request_id: Some(TUniqueId::new(request.request_id.0, request.request_id.1)),
            sub_txn_num: (request.sub_txn_num > 0).then_some(request.sub_txn_num),
            ..Default::default()
        };
        let timeout = self.clients.options.rpc_timeout;
        let (result, peer) = self
            .call("beginTxn", Nature::Writes, timeout, |fe| async move { fe.begin_txn(request).await })
            .await?;
        let status = result.status.unwrap_or_default();
        match status.status_code {
            TStatusCode::OK => Ok(BeginAnswer::Opened {
                txn_id: result
                    .txn_id
                    .ok_or_else(|| malformed("beginTxn", &peer, "the answer has no transaction id"))?,
                sub_txn_ids: result.sub_txn_ids.unwrap_or_default(),
            }),
            TStatusCode::LABEL_ALREADY_EXISTS => Ok(BeginAnswer::LabelUsed {
                txn_id: label_owner(&status.text()),
                state: label_state(result.job_status.as_deref()),
            }),
            _ => Err(from_status("beginTxn", &peer, &status)),
        }
    }

    /// Commits, and waits for the publish if that is asked for. The FE waits for half of the time that it is told, for
    /// its locks and for the publish together.
    pub async fn commit_txn(&self, request: &CommitTxn) -> Result<Committed> {
        let timeout = self.clients.options.commit_timeout;
        let waits = request.waits;
        let told = if waits { timeout.min(PUBLISH_WAIT * 2) } else { timeout };
        let multiple = !request.sub_txns.is_empty();
        let request = &TCommitTxnRequest {
            user: self.user(),
            passwd: self.password(),
            user_ip: self.source_ip().await,
            db: Some(request.database.clone()),
            txn_id: Some(request.txn_id),
            commit_infos: (!multiple).then(|| commit_infos(&request.commits)),
            thrift_rpc_timeout_ms: Some(i64::try_from(told.as_millis()).unwrap_or(i64::MAX)),
            only_commit: (!waits).then_some(true),
            txn_insert: multiple.then_some(true),
            sub_txn_infos: multiple.then(|| request.sub_txns.iter().map(sub_txn).collect()),
            ..Default::default()
        };
        let (result, peer) = self
            .call("commitTxn", Nature::Writes, timeout, |fe| async move { fe.commit_txn(request).await })
            .await?;
        let status = result.status.unwrap_or_default();
        match status.status_code {
            TStatusCode::OK => Ok(Committed { visible: waits }),
            TStatusCode::PUBLISH_TIMEOUT => Ok(Committed { visible: false }),
            _ => Err(from_status("commitTxn", &peer, &status)),
        }
    }

    /// How far a transaction is; `None` when the FE does not know it (any more).
    pub async fn txn_state(&self, database: &str, txn_id: i64) -> Result<Option<TxnState>> {
        let sql = format!("SHOW TRANSACTION FROM {} WHERE id = {txn_id}", quote_identifier(database));
        let unknown = format!("transaction with id {txn_id} does not exist");
        let rows = match self.query(None, &sql).await {
            Ok(rows) => rows,
            Err(failure) if failure.text().contains(&unknown) => return Ok(None),
            Err(failure) => return Err(failure),
        };
        let Some(row) = rows.rows.first() else { return Ok(None) };
        match row.text("TransactionStatus").as_str() {
            "PREPARE" | "PRECOMMITTED" => Ok(Some(TxnState::Open)),
            "COMMITTED" => Ok(Some(TxnState::Committed)),
            "VISIBLE" => Ok(Some(TxnState::Visible)),
            "ABORTED" => Ok(Some(TxnState::Aborted)),
            other => {
                let detail = format!("transaction {txn_id} is in the unknown state {other:?}");
                Err(malformed("SHOW TRANSACTION", "", detail))
            }
        }
    }

    pub async fn rollback_txn(&self, database: &str, txn_id: i64, reason: &str) -> Result<()> {
        let request = &TRollbackTxnRequest {
            user: self.user(),
            passwd: self.password(),
            user_ip: self.source_ip().await,
            db: Some(database.to_owned()),
            txn_id: Some(txn_id),
            reason: Some(reason.to_owned()),
            ..Default::default()
        };
        let timeout = self.clients.options.rpc_timeout;
        let (result, peer) = self
            .call("rollbackTxn", Nature::Writes, timeout, |fe| async move { fe.rollback_txn(request).await })
            .await?;
        ok("rollbackTxn", &peer, &result.status.unwrap_or_default())
    }

    /// Asks a backend to fetch a rowset. Repeating it is always allowed.
    pub async fn ingest(&self, backend: &Backend, request: &IngestRequest) -> Result<IngestState> {
        self.clients.ingest(backend, request).await
    }

    /// The state of an asynchronous ingest.
    pub async fn query_ingest(&self, backend: &Backend, request: &IngestRequest) -> Result<IngestState> {
        self.clients.query_ingest(backend, request).await
    }
}

fn commit_infos(commits: &[TabletCommit]) -> Vec<TTabletCommitInfo> {
    commits.iter().map(|commit| TTabletCommitInfo::new(commit.tablet_id, commit.backend_id)).collect()
}

fn sub_txn(sub_txn: &SubTxn) -> TSubTxnInfo {
    TSubTxnInfo {
        sub_txn_id: Some(sub_txn.sub_txn_id),
        table_id: Some(sub_txn.table_id),
        tablet_commit_infos: Some(commit_infos(&sub_txn.commits)),
        sub_txn_type: Some(TSubTxnType::INSERT),
    }
}

/// The transaction id in `Label [l] has already been used, relate to txn [7], status [VISIBLE].` A label
/// cannot hold brackets, so the marker is searched from behind.
fn label_owner(text: &str) -> Option<i64> {
    let (_, rest) = text.rsplit_once("relate to txn [")?;
    rest.split_once(']')?.0.trim().parse().ok()
}

fn label_state(job_status: Option<&str>) -> LabelState {
    match job_status {
        Some("RUNNING") => LabelState::Running,
        Some("PRECOMMITTED") => LabelState::Precommitted,
        Some("FINISHED") => LabelState::Finished,
        Some(_) | None => LabelState::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owner_of_a_label() {
        let text = "errCode = 2, detailMessage = Label [a-b] has already been used, relate to txn [71], status [VISIBLE].";
        assert_eq!(label_owner(text), Some(71));
        assert_eq!(label_owner("Label [a] has already been used, relate to txn [x], status [y]."), None);
        assert_eq!(label_owner("something else"), None);
    }
}
