//! Views apart from the stream: their statement was refused, so they wait until the target is ready.
//!
//! A view may name a column of a table that is apart, or one that a snapshot has dropped already. Neither
//! stops the stream. The view is tried again, with its present definition, whenever tables have moved,
//! and now and then in any case, for what it misses may be a function or a table of another database.
//!
//! SHOW CREATE is answered by any frontend, also by one that has not come to the change for which the view is apart. So
//! a copy counts when the definition was the same at the try before.

use std::sync::Arc;
use std::time::Duration;

use doris_types::record::Record;

use super::Stream;
use crate::change::Change;
use crate::effect::view::{self, Outcome};
use crate::error::{Disposition, Error, Result};
use crate::job::{Event, ViewApart};
use crate::plan::{Statement, TrackId};

/// What a change is about.
struct OfView {
    source_id: i64,
    /// Its name after the change.
    name: String,
    /// The name that it had before, if another one.
    leftover: Option<String>,
    is_dropped: bool,
}

/// The code of a view that the target does not accept.
const REFUSED: &str = "CCR0314";

/// The pause between two tries while nothing moves.
const RETRY: Duration = Duration::from_secs(30);

impl Stream<'_> {
    /// Takes a view out of the stream if the change is about one and was refused, or keeps failing.
    pub(super) async fn leave_view(&mut self, change: &Change, error: &Error) -> Result<bool> {
        let is_over = error.disposition == Disposition::Isolate || error.disposition == Disposition::Block;
        let Some(view) = self.view_of(change).filter(|_| is_over) else { return Ok(false) };
        self.take_view_out(view, change.commit_seq, error.message.clone()).await?;
        Ok(true)
    }

    /// Another change of a view that is apart already waits with the one that was refused: the target does not have what
    /// it is about, and under its name it may have another view.
    pub(super) async fn leave_view_again(&mut self, change: &Change) -> Result<bool> {
        let Some(view) = self.view_of(change) else { return Ok(false) };
        let Some(apart) = self.job.state.views_apart.get(&view.source_id) else { return Ok(false) };
        let refusal = apart.refusal.clone();
        if self.statement_in_doubt(TrackId::Main) == Some(change.commit_seq) {
            self.forget_statement(change.commit_seq).await?;
        }
        self.take_view_out(view, change.commit_seq, refusal).await?;
        Ok(true)
    }

    /// What the target still has of a view that is apart stays readable until a table is about to get its name; then it
    /// goes. If it cannot, the statement will be refused.
    pub(super) async fn take_name_from_view(&mut self, statement: &Statement) -> Result<()> {
        let (Statement::CreateTable { name, .. } | Statement::RenameTable { target_name: name, .. }) =
            statement
        else {
            return Ok(());
        };
        let state = &self.job.state;
        let is_left = |apart: &ViewApart| {
            apart.leftover.as_ref() == Some(name) || apart.is_dropped && apart.name == *name
        };
        let is_stale = state.stale.get(name).is_some_and(|stale| stale.is_view);
        if !is_stale && !state.views_apart.values().any(is_left) {
            return Ok(());
        }
        let shell = Arc::clone(&self.shell);
        match view::remove(&shell, std::slice::from_ref(name)).await {
            Err(error) if error.disposition == Disposition::Stop => Err(error),
            Err(error) => {
                tracing::info!(name, %error, "what is left of a view cannot be dropped");
                Ok(())
            }
            Ok(refusal) => {
                if let Some(refusal) = refusal {
                    tracing::info!(name, refusal, "what is left of a view cannot be dropped");
                }
                Ok(())
            }
        }
    }

    /// A view whose statement was refused waits until the target accepts it as it is upstream then.
    pub(super) async fn block_view(
        &mut self,
        source_id: i64,
        name: String,
        commit_seq: i64,
        error: &Error,
    ) -> Result<()> {
        let view = OfView { source_id, name, leftover: None, is_dropped: false };
        self.take_view_out(view, commit_seq, error.message.clone()).await
    }

    async fn take_view_out(&mut self, view: OfView, commit_seq: i64, refusal: String) -> Result<()> {
        let OfView { source_id, name, leftover, is_dropped } = view;
        let at_ms = self.shell.now_ms();
        // It may have been about tables that have other names by now, or that are apart.
        tracing::info!(
            code = REFUSED,
            view = name,
            commit_seq,
            refusal,
            "the target does not accept the view yet; it is tried as it is now"
        );
        self.views_seen.remove(&source_id);
        let reason = format!("view {name}: {refusal}");
        let event = Event::ViewLeft { source_id, name, commit_seq, refusal, leftover, is_dropped, at_ms };
        self.job.apply(event).await?;
        self.job.history("partial_sync", (commit_seq, commit_seq), reason, "started", at_ms).await;
        self.tables_moved();
        Ok(())
    }

    /// A view is refused as it is now. That is told once, unless a table apart may be the reason.
    fn still_refused(&mut self, source_id: i64, apart: &ViewApart, refusal: &str) {
        let is_told = self.views_refused.contains(&source_id);
        if !is_told && self.job.state.tables.values().all(|link| link.lane.is_flowing()) {
            self.views_refused.insert(source_id);
            tracing::error!(
                code = REFUSED,
                view = apart.name,
                commit_seq = apart.commit_seq,
                refusal,
                "the target does not accept the view; it is tried again now and then"
            );
            self.shell.ctx.observer.error(self.shell.job_name(), "view", false);
        } else {
            tracing::info!(view = apart.name, refusal, "the view is still not accepted");
        }
    }

    /// The view that a change is about.
    fn view_of(&self, change: &Change) -> Option<OfView> {
        let known = &self.job.state.views;
        let of = |source_id: i64, name: &String| OfView {
            source_id,
            name: name.clone(),
            leftover: None,
            is_dropped: false,
        };
        if let Record::CreateTable(record) = &change.record {
            return (record.table_type == "VIEW").then(|| of(record.table_id, &record.table_name));
        }
        if let Record::ModifyViewDef(record) = &change.record {
            return known.get(&record.table_id).map(|name| of(record.table_id, name));
        }
        if let Record::RenameTable(record) = &change.record {
            let old = known.get(&record.table_id)?;
            let leftover = Some(old.clone()).filter(|old| *old != record.new_table_name);
            return Some(OfView { leftover, ..of(record.table_id, &record.new_table_name) });
        }
        if let Record::DropTable(record) = &change.record {
            let name = known.get(&record.table_id)?;
            return Some(OfView { is_dropped: true, ..of(record.table_id, name) });
        }
        None
    }

    /// Something has changed that a view may have waited for.
    pub(super) fn tables_moved(&mut self) {
        self.views_due_ms = self.shell.now_ms() + self.shell.ctx.options.poll_max.as_millis() as i64;
    }

    /// How long until views, and what is to be dropped, are tried again; `None` when there are none.
    pub(super) fn views_pause(&self) -> Option<Duration> {
        if self.job.state.views_apart.is_empty() && self.job.state.stale.is_empty() {
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
            let is_known = |name: &String| {
                let mut others = self.job.state.views.iter().filter(|(id, _)| **id != source_id);
                others.any(|(_, other)| other == name)
            };
            // What has such a name now is another view of the job.
            let mut leftovers: Vec<String> = apart.leftover.iter().cloned().collect();
            if apart.is_dropped {
                leftovers.push(apart.name.clone());
            }
            leftovers.retain(|name| !is_known(name));
            let copied = if apart.is_dropped {
                Ok(Outcome::Copied(String::new()))
            } else {
                view::copy(&shell, &apart.name).await
            };
            let outcome = match copied {
                Ok(Outcome::Copied(text)) => match view::remove(&shell, &leftovers).await {
                    Ok(None) => Ok(Outcome::Copied(text)),
                    Ok(Some(refusal)) => Ok(Outcome::Refused(refusal)),
                    Err(error) => Err(error),
                },
                Ok(outcome @ (Outcome::NotThere | Outcome::Refused(_))) => Ok(outcome),
                Err(error) => Err(error),
            };
            match outcome {
                Ok(Outcome::Copied(text))
                    if !apart.is_dropped && self.views_seen.get(&source_id) != Some(&text) =>
                {
                    self.views_seen.insert(source_id, text);
                    self.tables_moved();
                }
                Ok(Outcome::Copied(_)) => {
                    self.views_refused.remove(&source_id);
                    self.views_seen.remove(&source_id);
                    self.settle_recording().await?;
                    self.job.apply(Event::ViewCopied { source_id }).await?;
                    let (seqs, since) = ((apart.commit_seq, apart.commit_seq), apart.since_ms);
                    let reason = format!("view {}: {}", apart.name, apart.refusal);
                    self.job.history("partial_sync", seqs, reason, "copied", since).await;
                }
                Ok(Outcome::NotThere) => {}
                Ok(Outcome::Refused(refusal)) => self.still_refused(source_id, &apart, &refusal),
                // It stays apart, and the next try comes.
                Err(error) => tracing::info!(view = apart.name, %error, "the view could not be copied"),
            }
        }
        Ok(())
    }
}
