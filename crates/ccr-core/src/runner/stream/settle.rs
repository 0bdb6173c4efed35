//! What became of a transaction of the main track whose tables are about to leave.

use std::sync::Arc;

use super::Stream;
use crate::effect::label;
use crate::error::{Disposition, Error, Result};

/// A transaction of the main track that cannot be done there.
#[derive(Clone, Copy)]
pub(super) struct Failing<'a> {
    pub commit_seq: i64,
    /// The upstream's label, if the job reuses it.
    pub label: Option<&'a str>,
    /// No commit of it was tried before this moment.
    pub untried_since_ms: i64,
    pub error: &'a Error,
}

impl Stream<'_> {
    /// Whether the transaction was committed; if not, it cannot be any more. `None` when nothing tells but the
    /// transaction itself, which is to go on trying.
    pub(super) async fn settled(&mut self, failing: Failing<'_>) -> Result<Option<bool>> {
        match failing.error.disposition {
            Disposition::Block => self.is_committed(failing).await.map(Some),
            Disposition::Isolate => match self.is_committed(failing).await {
                Err(error) if error.disposition == Disposition::Isolate => Ok(None),
                known => known.map(Some),
            },
            // A copy holds whatever became of it.
            Disposition::PartialSync
            | Disposition::Retry
            | Disposition::RetryElsewhere
            | Disposition::RefreshMeta
            | Disposition::RestartTxn
            | Disposition::Stop => Ok(Some(false)),
        }
    }

    /// Whether a transaction of the main track that fails now was committed by an earlier try. Its tables would
    /// get it a second time on their own tracks, where it has other labels; so while this cannot be told the
    /// error is returned, and the job as a whole is concerned.
    pub(super) async fn is_committed(&mut self, failing: Failing<'_>) -> Result<bool> {
        let Failing { commit_seq, label, untried_since_ms, error } = failing;
        let shell = Arc::clone(&self.shell);
        // What keeps failing is of no use to ask with.
        let suspect = error.table.filter(|_| error.disposition == Disposition::Isolate);
        let links = self.job.state.tables.iter().filter(|(id, _)| Some(**id) != suspect);
        let target_ids = links.map(|(_, link)| link.target_id).collect();
        shell
            .retry(async || {
                label::is_committed(&shell, commit_seq, label, untried_since_ms, &target_ids).await
            })
            .await?
            .ok_or_else(|| error.clone())
    }
}
