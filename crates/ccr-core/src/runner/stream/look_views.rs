//! What a look upstream shows of views: a restore brings them, or puts others in their place, without a binlog.
//!
//! A view that a restore has put in the place of another has a new id, so ids tell all there is to tell. They are
//! compared with those of the job whenever a task begins and whenever a restore is new, when everything that was in
//! the binlog then is applied. A view without a known id is tried as it is now, like one whose statement was refused,
//! and one whose id is gone is dropped unless another has its name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use doris_types::failure::Result as CallResult;

use super::Stream;
use super::look::MISSING_LOOKS;
use crate::effect::upstream;
use crate::error::{Disposition, Result};
use crate::job::{Event, JobState};
use crate::runner::shell::Shell;

/// Views by their ids.
pub(super) type Views = BTreeMap<i64, String>;

/// The views of the upstream database; `None` when the account may not see their ids.
pub(super) async fn list(shell: &Shell, database_id: i64) -> CallResult<Option<Views>> {
    match shell.ctx.upstream.views_by_id(shell.source_database(), database_id).await {
        Ok(views) => Ok(Some(views)),
        Err(failure) if upstream(failure.clone()).disposition == Disposition::Block => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// The same; after a restore that names views, whoever lists them may be behind it, so it is given time.
pub(super) async fn list_after(
    shell: &Shell,
    database_id: i64,
    is_restored: bool,
) -> CallResult<Option<Views>> {
    if is_restored {
        shell.ctx.clock.sleep(shell.ctx.options.retry_min * 2_u32.pow(MISSING_LOOKS)).await;
    }
    list(shell, database_id).await
}

/// Views upstream that the job does not know, by what it calls them here; an operator may have left some out.
fn unknown<'a>(state: &JobState, listed: &'a Views) -> impl Iterator<Item = (&'a i64, &'a String)> {
    listed.iter().filter(|(id, _)| !state.views.contains_key(*id) && !state.left_out.contains(*id))
}

/// Views of the job that are not upstream, and whose drop nobody has begun.
fn absent(state: &JobState, listed: &Views) -> BTreeSet<i64> {
    let is_dropped = |id: &i64| state.views_apart.get(id).is_some_and(|apart| apart.is_dropped);
    state.views.keys().filter(|id| !listed.contains_key(*id) && !is_dropped(id)).copied().collect()
}

/// Whether the job knows other views than there are.
pub(super) fn differ(state: &JobState, listed: &Views) -> bool {
    unknown(state, listed).next().is_some() || !absent(state, listed).is_empty()
}

impl Stream<'_> {
    /// Whether two looks have shown the same of what the job knows otherwise; or another look is needed.
    pub(super) fn views_agree(&self, first: Option<&Views>, again: Option<&Views>) -> bool {
        let (Some(first), Some(again)) = (first, again) else { return true };
        let state = &self.job.state;
        unknown(state, first).eq(unknown(state, again)) && absent(state, first) == absent(state, again)
    }

    /// Decides about views that two looks have shown, now that all that the binlog told at the first is applied.
    pub(super) async fn settle_views(&mut self, listed: &Views) -> Result<()> {
        let Some(database_id) = self.job.state.source_db else { return Ok(()) };
        let state = &self.job.state;
        let brought: Views = unknown(state, listed).map(|(id, name)| (*id, name.clone())).collect();
        let mut gone = absent(state, listed);
        let shell = Arc::clone(&self.shell);
        for look in 0..MISSING_LOOKS {
            if gone.is_empty() {
                break;
            }
            shell.ctx.clock.sleep(shell.ctx.options.retry_min * 2_u32.pow(look)).await;
            let listed = shell.retry(async || list(&shell, database_id).await.map_err(upstream)).await?;
            gone.retain(|id| listed.as_ref().is_some_and(|listed| !listed.contains_key(id)));
        }
        for (source_id, name) in brought {
            self.view_moved(
                source_id,
                name,
                "no binlog tells of it; a restore upstream may have brought it",
                false,
            )
            .await?;
        }
        for source_id in gone {
            let Some(name) = self.job.state.views.get(&source_id).cloned() else { continue };
            self.view_moved(source_id, name, "it is gone upstream, though no binlog tells of a drop", true)
                .await?;
        }
        Ok(())
    }

    async fn view_moved(&mut self, source_id: i64, name: String, why: &str, is_dropped: bool) -> Result<()> {
        let (commit_seq, at_ms) = (self.main.done_to + 1, self.shell.now_ms());
        tracing::info!(view = name, source_id, why, "a view is not as the binlog says");
        let (refusal, reason) = (why.to_owned(), format!("view {name}: {why}"));
        let leftover = None;
        let event = Event::ViewLeft { source_id, name, commit_seq, refusal, leftover, is_dropped, at_ms };
        self.job.apply(event).await?;
        self.job.history("partial_sync", (commit_seq, commit_seq), reason, "started", at_ms).await;
        self.tables_moved();
        Ok(())
    }
}
