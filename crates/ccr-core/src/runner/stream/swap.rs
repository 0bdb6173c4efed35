//! A REPLACE TABLE that the target does not make.
//!
//! What it does to names is known without it: who gets which, and who is gone. So the links take that over as they take
//! over what is behind a gap, the job goes on behind it, and the targets follow by their ids. What fails of that too
//! leaves the stream, each table with the name that it is still to get, or as one that is to be dropped.

use super::{Held, Stream};
use crate::change::Change;
use crate::error::{Error, Result};
use crate::job::{GapCrossed, SyncType};
use crate::plan::Statement;
use crate::plan::names::after_swap;

impl Stream<'_> {
    /// Whether a swap goes by names that its tables have upstream, and wait for downstream.
    pub(super) fn swaps_unnamed(&self, statement: &Statement) -> bool {
        let Statement::ReplaceTable { old_id, new_id, .. } = statement else { return false };
        let waits = |id: &i64| self.job.state.apart(*id).is_some_and(|apart| apart.renaming.is_some());
        waits(old_id) || waits(new_id)
    }

    /// Takes over what a swap does to names, and goes on behind it.
    pub(super) async fn settle_swap(&mut self, change: &Change, error: Error) -> Result<()> {
        let after = after_swap(change, &self.job.state.tables);
        let Some(tables) = after.filter(|_| self.shell.ctx.record.spec.sync_type() == SyncType::Database)
        else {
            return Err(error);
        };
        let (commit_seq, at_ms) = (change.commit_seq, self.shell.now_ms());
        self.job.handling = Some((commit_seq, change.record.binlog_type().to_string()));
        let gap = GapCrossed {
            expired_to: commit_seq,
            named_to: commit_seq,
            tables,
            appeared: Default::default(),
            views: None,
            at_ms,
        };
        if self.is_in_the_way(&gap) {
            self.held = Some(Held::Replan);
            return Ok(());
        }
        tracing::info!(commit_seq, %error, "a swap is left to its tables");
        self.go_behind(gap).await?;
        self.job.history("names", (commit_seq, commit_seq), error.to_string(), "taken over", at_ms).await;
        Ok(())
    }
}
