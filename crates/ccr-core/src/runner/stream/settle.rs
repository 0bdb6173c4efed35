//! What became of a transaction of the main track whose tables are about to leave.

use std::sync::Arc;

use super::{Stream, copy_reason};
use crate::effect::label;
use crate::error::{Disposition, Error, Result};
use crate::job::{Leaving, SyncType};

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

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Settled {
    Committed,
    /// And it cannot be committed any more.
    NotCommitted,
    /// Nothing tells but the transaction itself, which is to go on trying.
    Undecided,
    /// Nothing tells, and it cannot be tried.
    Unknown,
}

impl Stream<'_> {
    /// Whether the transaction was committed.
    pub(super) async fn settled(&mut self, failing: Failing<'_>) -> Result<Settled> {
        match failing.error.disposition {
            Disposition::Block => self.told_by_label(failing, Settled::Unknown).await,
            Disposition::Isolate => self.told_by_label(failing, Settled::Undecided).await,
            // A copy holds whatever became of it.
            Disposition::PartialSync
            | Disposition::Retry
            | Disposition::RetryElsewhere
            | Disposition::RefreshMeta
            | Disposition::RestartTxn
            | Disposition::Stop => Ok(Settled::NotCommitted),
        }
    }

    /// Whether a transaction of the main track that fails now was committed by an earlier try. Its tables would
    /// get it a second time on their own tracks, where it has other labels.
    async fn told_by_label(&mut self, failing: Failing<'_>, otherwise: Settled) -> Result<Settled> {
        let Failing { commit_seq, label, untried_since_ms, error } = failing;
        let shell = Arc::clone(&self.shell);
        // What keeps failing is of no use to ask with.
        let suspect = error.table.filter(|_| error.disposition == Disposition::Isolate);
        let links = self.job.state.tables.iter().filter(|(id, _)| Some(**id) != suspect);
        let target_ids = links.map(|(_, link)| link.target_id).collect();
        let is_committed = shell
            .retry(async || {
                label::is_committed(&shell, commit_seq, label, untried_since_ms, &target_ids).await
            })
            .await?;
        Ok(match is_committed {
            Some(true) => Settled::Committed,
            Some(false) => Settled::NotCommitted,
            None => otherwise,
        })
    }

    /// Takes tables out of the stream which may, or may not, have a transaction that cannot be tried. They wait for an
    /// operator as others do, but then they are copied: nothing else is certain not to apply it twice. The other
    /// tables of the transaction get it in the stream, under its label, where their versions tell.
    pub(super) async fn isolate_in_doubt(
        &mut self,
        tables: &[i64],
        commit_seq: i64,
        error: Error,
    ) -> Result<()> {
        let table_job = self.shell.ctx.record.spec.sync_type() == SyncType::Table;
        let linked = !tables.is_empty() && tables.iter().all(|id| self.job.state.tables.contains_key(id));
        if table_job || !linked {
            return Err(error);
        }
        for source_id in tables {
            let mut blocked = self.blocked(&error, commit_seq);
            blocked.message += "; whether it was applied before the long pause cannot be told, so the table is copied when the job goes on";
            let why = Leaving::InDoubt(blocked, copy_reason(&error, commit_seq));
            self.leave(*source_id, commit_seq - 1, why).await?;
        }
        Ok(())
    }
}
