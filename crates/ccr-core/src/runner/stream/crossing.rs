//! What is to be done downstream before a job goes on behind a gap: tables and views that are gone upstream are dropped,
//! and targets get the names that their tables have there.
//!
//! Everybody waits for it, but not for long. What fails, or is refused, is left to whom it is about: a table goes on
//! apart with its drop or its new name, and what nothing upstream stands for is remembered by its name, and tried again
//! whenever tables have moved, and now and then in any case.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::Stream;
use crate::effect::names::{Names, Unnamed};
use crate::effect::patience::{Patience, SharedPatience};
use crate::effect::statement::NAME_TAKEN;
use crate::effect::{names, restore};
use crate::error::{Disposition, Error, Result};
use crate::job::{Blocked, Event, JobState, Leaving, NO_TARGET, Renaming, Stale, TableLink};
use crate::runner::job::Job;
use crate::runner::shell::Shell;

/// How long names and drops behind a gap may keep everybody waiting.
const PATIENCE: Duration = Duration::from_secs(10);

/// Does downstream what is left to be done of a gap that is being crossed; then the job stands behind it.
pub(super) async fn settle(job: &mut Job) -> Result<()> {
    let Some(crossing) = job.state.crossing.clone() else { return Ok(()) };
    let shell = Arc::clone(&job.shell);
    let seqs = (job.position.commit_seq, crossing.expired_to);
    let patience = SharedPatience::lasting(&shell, shell.ctx.options.quarantine_after.min(PATIENCE));
    // Those that get another name behind the gap still have one of before.
    let known = |job: &Job| {
        let mut known = targets(&job.state);
        let renamed = known.iter_mut().filter(|(id, _)| crossing.renames.contains_key(id));
        renamed.for_each(|(_, name)| name.clear());
        known
    };
    let mut dropped = Vec::new();
    for (source_id, target_id) in gone(&job.state, crossing.expired_to) {
        match names::drop_table(&shell, target_id, &known(job), &patience.rest(&shell)).await {
            Ok(name) => {
                dropped.extend(name.map(|name| ("drop_stale_table", name)));
                job.apply(Event::TableVanished { source_id }).await?;
            }
            Err(error) if error.disposition == Disposition::Stop => return Err(error),
            // It is apart, and its lane goes on with it.
            Err(error) => {
                tracing::warn!(table = source_id, %error, "the target of a table that is gone stays")
            }
        }
    }
    let kept = known(job);
    let mut left = BTreeMap::new();
    for name in crossing.created {
        match names::drop_named(&shell, &name, &kept, &patience.rest(&shell)).await {
            Ok(true) => dropped.push(("drop_stale_table", name)),
            Ok(false) => {}
            Err(error) if error.disposition == Disposition::Stop => return Err(error),
            Err(error) => leave(&shell, &mut left, name, false, crossing.expired_to, &error),
        }
    }
    for (name, is_listed) in restore::views_to_drop(&shell, crossing.views.into_iter().collect()).await? {
        match restore::drop_view(&shell, &name, &patience.rest(&shell)).await {
            Ok(()) if is_listed => dropped.push(("drop_stale_view", name)),
            Ok(()) => {}
            Err(error) if error.disposition == Disposition::Stop => return Err(error),
            Err(error) => leave(&shell, &mut left, name, true, crossing.expired_to, &error),
        }
    }
    if !crossing.renames.is_empty() {
        let refused = names::rename_tables(&shell, &crossing.renames, patience).await?;
        for target_id in refused.keys() {
            let name = crossing.renames.get(target_id).cloned().unwrap_or_default();
            let renaming = Renaming { commit_seq: crossing.expired_to, name };
            defer(job, *target_id, renaming, &refused, &left).await?;
        }
    }
    for (plan, name) in dropped {
        let reason = "it is no longer in the upstream database".to_owned();
        job.history(plan, seqs, reason, &format!("dropped {name}"), shell.now_ms()).await;
    }
    job.position.commit_seq = job.position.commit_seq.max(crossing.expired_to);
    job.apply(Event::GapSettled { left }).await
}

/// Something that is to go stays for now.
fn leave(
    shell: &Shell,
    left: &mut BTreeMap<String, Stale>,
    name: String,
    is_view: bool,
    commit_seq: i64,
    error: &Error,
) {
    tracing::warn!(name, %error, "what is gone upstream cannot be dropped downstream; it is tried again");
    let (refusal, since_ms) = (error.to_string(), shell.now_ms());
    left.insert(name, Stale { is_view, commit_seq, refusal, since_ms });
}

impl Stream<'_> {
    /// Tries once to drop what could not be dropped.
    pub(super) async fn try_stale(&mut self) -> Result<()> {
        if self.main.is_acting() {
            // A statement under way may create what has such a name.
            return Ok(());
        }
        let shell = Arc::clone(&self.shell);
        for (name, stale) in self.job.state.stale.clone() {
            let outcome = match self.is_target(&name, stale.is_view) {
                // What stands there now is what the job has made of it.
                true => Ok(false),
                false => drop_stale(&shell, &name, stale.is_view, &targets(&self.job.state)).await,
            };
            match outcome {
                Ok(is_dropped) => {
                    self.settle_recording().await?;
                    self.job.apply(Event::StaleGone { name: name.clone() }).await?;
                    if is_dropped {
                        let plan = if stale.is_view { "drop_stale_view" } else { "drop_stale_table" };
                        let (seqs, since) = ((stale.commit_seq, stale.commit_seq), stale.since_ms);
                        let reason = "it is no longer in the upstream database".to_owned();
                        self.job.history(plan, seqs, reason, &format!("dropped {name}"), since).await;
                    }
                    self.tables_moved();
                }
                Err(error) if error.disposition == Disposition::Stop => return Err(error),
                Err(error) => tracing::info!(name, %error, "it still cannot be dropped"),
            }
        }
        Ok(())
    }

    /// Whether the table waits for a name under which something is to go.
    pub(super) fn waits_for_stale(&self, source_id: i64) -> bool {
        let link = self.job.state.tables.get(&source_id);
        link.is_some_and(|link| self.job.state.stale.contains_key(link.wanted_name()))
    }

    fn is_target(&self, name: &String, is_view: bool) -> bool {
        if is_view {
            return self.job.state.views.values().any(|view| view == name);
        }
        let is_in_place = |(id, link): (&i64, &TableLink)| {
            link.target_name == *name && (link.target_id != NO_TARGET || self.is_being_restored(*id))
        };
        self.job.state.tables.iter().any(is_in_place)
    }
}

async fn drop_stale(shell: &Shell, name: &str, is_view: bool, kept: &Names) -> Result<bool> {
    // Nobody waits for it: whatever fails is tried again later.
    let patience = Patience::lasting(Duration::ZERO);
    if !is_view {
        return names::drop_named(shell, name, kept, &patience).await;
    }
    let mut is_dropped = false;
    for (name, is_listed) in restore::views_to_drop(shell, vec![name.to_owned()]).await? {
        restore::drop_view(shell, &name, &patience).await?;
        is_dropped |= is_listed;
    }
    Ok(is_dropped)
}

fn targets(state: &JobState) -> Names {
    names::targets(state.tables.values())
}

/// The tables that were found to be gone behind the gap. Others that are to be dropped have failed to be.
fn gone(state: &JobState, expired_to: i64) -> Vec<(i64, i64)> {
    let is_gone = |link: &TableLink| {
        let dropped_at = link.lane.apart().and_then(|apart| apart.dropped_at);
        dropped_at == Some(expired_to + 1) && !state.skips.contains(&(expired_to + 1))
    };
    let links = state.tables.iter().filter(|(_, link)| is_gone(link));
    links.map(|(source_id, link)| (*source_id, link.target_id)).collect()
}

/// A table cannot get its name now: it goes on apart, and gets it there.
async fn defer(
    job: &mut Job,
    target_id: i64,
    renaming: Renaming,
    refused: &BTreeMap<i64, Unnamed>,
    left: &BTreeMap<String, Stale>,
) -> Result<()> {
    let Some((now, error)) = refused.get(&target_id) else { return Ok(()) };
    let mut links = job.state.tables.iter();
    let Some((source_id, link)) = links.find(|(_, link)| link.target_id == target_id) else { return Ok(()) };
    let (source_id, is_flowing) = (*source_id, link.lane.is_flowing());
    let (cursor, at_ms) = (renaming.commit_seq, job.shell.now_ms());
    tracing::warn!(table = source_id, name = renaming.name, %error, "the table cannot have its name yet");
    let mut others = job.state.tables.values().filter(|other| other.target_id != NO_TARGET);
    let has_it = |other: &TableLink| {
        let unnamed = refused.get(&other.target_id).map_or(&other.target_name, |(now, _)| now);
        other.target_id != target_id && *unnamed == renaming.name
    };
    // What one of ours has it gets when that one has its own, and what is to go when that is gone.
    let is_free_later = error.code == NAME_TAKEN && (others.any(has_it) || left.contains_key(&renaming.name));
    if error.disposition == Disposition::Block && !is_free_later {
        let handled = job.handling.clone().filter(|(commit_seq, _)| *commit_seq == cursor);
        let why = Leaving::Blocked(Blocked {
            code: error.code.to_owned(),
            message: error.message.clone(),
            hint: error.hint.clone(),
            commit_seq: cursor,
            binlog_type: handled.map(|(_, binlog_type)| binlog_type).unwrap_or_default(),
            since_ms: at_ms,
        });
        job.apply(Event::TableLeft { source_id, cursor, why, at_ms }).await?;
    } else if is_flowing {
        let why = Leaving::Failing { error: error.to_string(), statement_in_doubt: None };
        job.apply(Event::TableLeft { source_id, cursor, why, at_ms }).await?;
    }
    job.apply(Event::RenameDeferred { source_id, target_name: Some(now.clone()), renaming }).await
}
