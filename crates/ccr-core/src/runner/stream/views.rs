//! Views apart from the stream: their statement was refused, so they wait until the target is ready.
//!
//! A view may name a column of a table that is apart, or one that a snapshot has dropped already. Neither
//! stops the stream. The view is tried again, with its present definition, whenever tables have moved,
//! and now and then in any case, for what it misses may be a function or a table of another database.

use std::sync::Arc;
use std::time::Duration;

use doris_types::record::Record;

use super::Stream;
use crate::change::Change;
use crate::effect::statement::REFUSED;
use crate::effect::view::{self, Outcome};
use crate::error::{Error, Result};
use crate::job::Event;

/// The pause between two tries while nothing moves.
const RETRY: Duration = Duration::from_secs(30);

impl Stream<'_> {
    /// Takes a view out of the stream if the change is one of its definition and was refused for it.
    pub(super) async fn leave_view(&mut self, change: &Change, error: &Error) -> Result<bool> {
        let Some((source_id, name)) = self.view_of(change).filter(|_| error.code == REFUSED) else {
            return Ok(false);
        };
        let (commit_seq, at_ms) = (change.commit_seq, self.shell.now_ms());
        let code = "CCR0314";
        if self.job.state.tables.values().all(|link| link.lane.is_flowing()) {
            tracing::error!(code, view = name, commit_seq, message = %error.message,
                "the target does not accept the view; it is tried again now and then");
            self.shell.ctx.observer.error(self.shell.job_name(), "view", false);
        } else {
            tracing::info!(code, view = name, commit_seq, message = %error.message,
                "the target does not accept the view yet; it waits for the tables apart");
        }
        let refusal = error.message.clone();
        let reason = format!("view {name}: {refusal}");
        self.job.apply(Event::ViewLeft { source_id, name, commit_seq, refusal, at_ms }).await?;
        self.job.history("partial_sync", (commit_seq, commit_seq), reason, "started", at_ms).await;
        self.tables_moved();
        Ok(true)
    }

    /// The view whose definition a change is about, with its name after the change.
    fn view_of(&self, change: &Change) -> Option<(i64, String)> {
        let state = &self.job.state;
        if let Record::CreateTable(record) = &change.record {
            return (record.table_type == "VIEW").then(|| (record.table_id, record.table_name.clone()));
        }
        if let Record::ModifyViewDef(record) = &change.record {
            return state.views.get(&record.table_id).map(|name| (record.table_id, name.clone()));
        }
        if let Record::RenameTable(record) = &change.record {
            // One that was never accepted has no old name downstream that could be changed.
            let apart = state.views_apart.contains_key(&record.table_id);
            return apart.then(|| (record.table_id, record.new_table_name.clone()));
        }
        None
    }

    /// Something has changed that a view may have waited for.
    pub(super) fn tables_moved(&mut self) {
        self.views_due_ms = self.shell.now_ms() + self.shell.ctx.options.poll_max.as_millis() as i64;
    }

    /// How long until views are tried again; `None` when there are none.
    pub(super) fn views_pause(&self) -> Option<Duration> {
        if self.job.state.views_apart.is_empty() {
            return None;
        }
        let left = self.views_due_ms - self.shell.now_ms();
        Some(Duration::from_millis(u64::try_from(left).unwrap_or(0)))
    }

    /// Tries all views apart once. Not while a statement is under way, which may be about one of them.
    pub(super) async fn try_views(&mut self) -> Result<()> {
        self.views_due_ms = self.shell.now_ms() + RETRY.as_millis() as i64;
        if self.main.is_acting() {
            return Ok(());
        }
        let shell = Arc::clone(&self.shell);
        for (source_id, apart) in self.job.state.views_apart.clone() {
            match view::copy(&shell, source_id, &apart.name).await {
                Ok(Outcome::Copied) => {
                    self.settle_recording().await?;
                    self.job.apply(Event::ViewCopied { source_id }).await?;
                    let (seqs, since) = ((apart.commit_seq, apart.commit_seq), apart.since_ms);
                    let reason = format!("view {}: {}", apart.name, apart.refusal);
                    self.job.history("partial_sync", seqs, reason, "copied", since).await;
                }
                Ok(Outcome::NotThere) => {}
                Ok(Outcome::Refused(refusal)) => {
                    tracing::info!(view = apart.name, refusal, "the view is still not accepted");
                }
                // It stays apart, and the next try comes.
                Err(error) => tracing::info!(view = apart.name, %error, "the view could not be copied"),
            }
        }
        Ok(())
    }
}
