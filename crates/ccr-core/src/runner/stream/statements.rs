//! Statements: recorded as begun, sent on their track, and recorded as done.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Held, Stream};
use crate::change::Change;
use crate::effect::patience::Patience;
use crate::effect::{names, statement};
use crate::error::{Error, Origin, Result};
use crate::failpoint::Moment;
use crate::job::{ApartWork, Creating, Event, LinkEffect, PartialSyncReason, Phase, SnapshotStep, SyncType};
use crate::plan::{Statement, TrackId};
use crate::runner::doubt::EarlierCommits;
use crate::runner::track::{Barrier, Track};

impl Stream<'_> {
    /// Starts a statement of the main track, of which the tables may have changed since it was planned.
    pub(super) async fn start_on_main(
        &mut self,
        change: Box<Change>,
        mut statement: Statement,
    ) -> Result<()> {
        if self.swaps_unnamed(&statement) {
            let message = "a table of it waits for a name that it got before";
            let error = Error::retry(Origin::DownstreamFe, statement::NAME_TAKEN, message);
            return self.settle_swap(&change, error).await;
        }
        if self.leave_view_again(&change).await? {
            return self.pass_change(&change).await;
        }
        self.refresh_target(&mut statement);
        self.take_name_from_view(&statement).await?;
        self.start_statement(TrackId::Main, change, statement).await
    }

    /// Records that a statement is about to be sent, and sends it on its track.
    pub(super) async fn start_statement(
        &mut self,
        track: TrackId,
        change: Box<Change>,
        statement: Statement,
    ) -> Result<()> {
        let commit_seq = change.commit_seq;
        let in_doubt = self.statement_in_doubt(track) == Some(commit_seq);
        match track {
            TrackId::Main if self.waits_for_lane(&statement) => {
                tracing::info!(commit_seq, "waiting for a table apart");
                for give_way in named_tables(&statement).iter().filter_map(|id| self.give_way.get(id)) {
                    give_way.store(true, Ordering::Relaxed);
                }
                self.held = Some(Held::Statement(change, statement));
                return Ok(());
            }
            TrackId::Main => {
                let named = named_tables(&statement);
                if !named.is_empty() {
                    self.hold_renames(commit_seq);
                }
                self.named = Some(named);
            }
            TrackId::Table(source_id) => {
                if let Some(until) = self.renaming(source_id) {
                    // What is planned under the old name could meet another table. It is planned again then.
                    self.replays.remove(&source_id);
                    self.parked.insert(source_id, until);
                    return Ok(());
                }
            }
        }
        if !in_doubt {
            self.job.handling = Some((commit_seq, change.record.binlog_type().to_string()));
            match (statement::check(&self.shell, &statement).await, &statement) {
                (Ok(()), _) => {}
                (Err(error), Statement::CreateTable { source_id, name, .. })
                    if track == TrackId::Main && error.code == statement::NAME_TAKEN =>
                {
                    let (source_id, name) = (*source_id, name.clone());
                    let reason = PartialSyncReason::NameTaken { commit_seq };
                    self.adopt(source_id, name, true, reason, commit_seq).await?;
                    return self.pass_change(&change).await;
                }
                (Err(error), _) => return Err(error),
            }
            let event = match track {
                TrackId::Main => Event::StatementStarted { commit_seq, creating: creates(&statement) },
                TrackId::Table(source_id) => Event::ApartStatementStarted { source_id, commit_seq },
            };
            self.job.apply(event).await?;
            self.recorded = self.job.position;
        }
        if let Some(source_id) = ends(&statement) {
            // Its lane, if it has one, ends with the table.
            self.replays.remove(&source_id);
            self.copies.remove(&source_id);
        }
        let (shell, routes) = (Arc::clone(&self.shell), Arc::clone(&self.routes));
        let patience = self.patience(track);
        let known = match &statement {
            Statement::DropTable { .. } | Statement::ReplaceTable { swap: false, .. } => {
                names::targets(self.job.state.tables.values())
            }
            _ => names::Names::new(),
        };
        let act = Box::pin(async move {
            let by = (&known, &patience);
            statement::run(&shell, &routes, commit_seq, &statement, in_doubt, by).await
        });
        match track {
            TrackId::Main => self.main.act(change, act),
            TrackId::Table(source_id) => {
                if let Some(track) = self.replays.get_mut(&source_id) {
                    track.act(change, act);
                }
            }
        }
        Ok(())
    }

    /// How long a statement may keep others waiting that fails.
    fn patience(&self, track: TrackId) -> Patience {
        let is_waited_for = match track {
            TrackId::Main => self.shell.ctx.record.spec.sync_type() == SyncType::Database,
            TrackId::Table(source_id) => self.is_trailing(source_id),
        };
        if is_waited_for {
            Patience::lasting(self.shell.ctx.options.quarantine_after)
        } else {
            Patience::endless()
        }
    }

    /// Whether a statement must wait for a table apart. A table can neither be renamed nor go while its copy is
    /// being put in place under its name, which is then asked to give way, and not while a statement of its own
    /// is under way to that name.
    fn waits_for_lane(&self, statement: &Statement) -> bool {
        named_tables(statement).into_iter().any(|id| {
            (self.is_being_restored(id) || self.is_renaming(id)) && !self.parked.contains_key(&id)
                || self.replays.get(&id).is_some_and(Track::is_acting)
        })
    }

    /// The commit seq of the main track's statement that is about to change the table's name, or may be: after
    /// a restart it is not known whose name is in doubt.
    pub(super) fn renaming(&self, source_id: i64) -> Option<i64> {
        let is_named = self.named.as_ref().is_none_or(|named| named.contains(&source_id));
        let in_doubt = self.statement_in_doubt(TrackId::Main);
        in_doubt.filter(|commit_seq| is_named && *commit_seq > self.main.done_to)
    }

    /// The commit seq of a statement of the main track that is about to change the table's name, or is held until it can.
    pub(super) fn named_at(&self, source_id: i64) -> Option<i64> {
        let held = match &self.held {
            Some(Held::Statement(change, statement)) if named_tables(statement).contains(&source_id) => {
                Some(change.commit_seq)
            }
            Some(Held::Statement(..) | Held::Replan) | None => None,
        };
        self.renaming(source_id).or(held)
    }

    /// The copies that do not go on while the name of their table is being changed: the restore that follows a
    /// backup would bring the table under the old one, which is another table's by then.
    pub(super) fn copies_standing_still(&self) -> Vec<i64> {
        let ids = self.copies.keys().copied();
        ids.filter(|id| self.renaming(*id).is_some() && !self.is_being_restored(*id)).collect()
    }

    /// The copies that have not begun and wait until fewer are under way. Those that hold a snapshot always go on:
    /// somebody may wait for them, and the frontend keeps few snapshots.
    pub(super) fn choose_copies(&mut self) {
        let stand_still = self.copies_standing_still();
        self.chosen.retain(|id| self.copies.contains_key(id) && !stand_still.contains(id));
        let ids = self.copies.keys().copied();
        let (restoring, mut waiting): (Vec<i64>, Vec<i64>) =
            ids.filter(|id| !stand_still.contains(id)).partition(|id| self.is_being_restored(*id));
        self.chosen.retain(|id| !restoring.contains(id));
        waiting.retain(|id| !self.chosen.contains(id));
        // Nobody copies what is only to be dropped.
        waiting.retain(|id| self.is_being_copied(*id));
        // Who has lost snapshots lets the others go first.
        let lost = |id: &i64| self.snapshots_lost.get(id).copied().unwrap_or(0);
        waiting.sort_by_key(|id| (lost(id), self.since_ms(*id), *id));
        let room = self.shell.ctx.options.max_copies.max(1);
        let room = room.saturating_sub(restoring.len() + self.chosen.len()).min(waiting.len());
        self.chosen.extend(waiting.drain(..room));
        let waiting: BTreeSet<i64> = waiting.into_iter().collect();
        if self.job.copies_waiting != waiting {
            self.job.copies_waiting = waiting;
            self.job.publish();
        }
    }

    pub(super) fn is_being_copied(&self, source_id: i64) -> bool {
        let work = self.job.state.apart(source_id).map(|apart| &apart.work);
        matches!(work, Some(ApartWork::PartialSync { .. }))
    }

    /// Whether a restore of the table was, or is about to be, submitted.
    pub(super) fn is_being_restored(&self, source_id: i64) -> bool {
        let work = self.job.state.apart(source_id).map(|apart| &apart.work);
        matches!(work, Some(ApartWork::PartialSync { step: SnapshotStep::Restore { .. }, .. }))
    }

    /// Tables that change their names by themselves go by what all of them were to be called before this statement of
    /// the main track: they wait for it, and look again.
    fn hold_renames(&mut self, commit_seq: i64) {
        let renaming: Vec<i64> = self.copies.keys().copied().filter(|id| self.is_renaming(*id)).collect();
        for source_id in renaming {
            self.copies.remove(&source_id);
            self.parked.insert(source_id, commit_seq);
        }
    }

    /// Whether the table is making a change of its name by itself, which the stream has passed over.
    fn is_renaming(&self, source_id: i64) -> bool {
        let link = self.job.state.tables.get(&source_id);
        self.copies.contains_key(&source_id) && link.is_some_and(|link| link.renaming().is_some())
    }

    /// A table that is to be copied again while a copy is being put in place is left alone until it is there.
    pub(super) fn waits_for_restore(&self, barrier: &Barrier) -> bool {
        match barrier {
            Barrier::PartialSync { source_ids, .. } => {
                // One that stands still holds nothing.
                source_ids.iter().any(|id| self.is_being_restored(*id) && !self.parked.contains_key(id))
            }
            // A full sync waits for the restore by itself, and removes what it has brought.
            Barrier::Statement(..)
            | Barrier::AdoptTable { .. }
            | Barrier::FullSync(_)
            | Barrier::Shared { .. }
            | Barrier::Block { .. } => false,
        }
    }

    /// Whether the table that this would link has got its link since it was planned: a copy that finds it in the place
    /// of another lets it take over the target of that.
    pub(super) fn is_linked_since(&self, barrier: &Barrier) -> bool {
        match barrier {
            Barrier::AdoptTable { source_id, .. }
            | Barrier::Statement(_, Statement::CreateTable { source_id, .. }) => {
                self.job.state.tables.contains_key(source_id)
            }
            Barrier::Statement(..)
            | Barrier::PartialSync { .. }
            | Barrier::FullSync(_)
            | Barrier::Shared { .. }
            | Barrier::Block { .. } => false,
        }
    }

    /// Tries what is held again, now that something has happened on another track.
    pub(super) async fn release_held(&mut self) -> Result<()> {
        match self.held.take() {
            None => {}
            Some(Held::Replan) => self.main.rewind(),
            Some(Held::Statement(change, statement)) => {
                self.settle_recording().await?;
                self.start_on_main(change, statement).await?;
            }
        }
        Ok(())
    }

    /// A table that was restored since a statement about it was planned has a new id downstream, and one that has
    /// got a name it waited for has that.
    fn refresh_target(&self, statement: &mut Statement) {
        let target_id = |id: &i64| self.job.state.tables.get(id).map(|link| link.target_id);
        let target_name = |id: &i64| self.job.state.tables.get(id).map(|link| link.target_name.clone());
        match statement {
            Statement::DropTable { source_id, target_id: known }
            | Statement::RenameTable { source_id, target_id: known, .. } => {
                *known = target_id(source_id).unwrap_or(*known);
            }
            Statement::ReplaceTable {
                old_id,
                new_id,
                old_target_id,
                new_target_id,
                old_name,
                new_name,
                ..
            } => {
                *old_target_id = target_id(old_id).unwrap_or(*old_target_id);
                *new_target_id = target_id(new_id).unwrap_or(*new_target_id);
                *old_name = target_name(old_id).unwrap_or_else(|| std::mem::take(old_name));
                *new_name = target_name(new_id).unwrap_or_else(|| std::mem::take(new_name));
            }
            Statement::CreateTable { .. }
            | Statement::CreateView { .. }
            | Statement::AlterView { .. }
            | Statement::DropView { .. }
            | Statement::Execute { .. }
            | Statement::Try { .. }
            | Statement::Partitions { .. }
            | Statement::SetMedium { .. } => {}
        }
    }

    /// Records what a statement did, or takes its table out of the stream.
    pub(super) async fn statement_done(
        &mut self,
        track: TrackId,
        change: &Change,
        began_ms: i64,
        result: Result<LinkEffect>,
    ) -> Result<()> {
        self.settle_recording().await?;
        let (commit_seq, binlog_type) = (change.commit_seq, change.record.binlog_type());
        self.job.handling = Some((commit_seq, binlog_type.to_string()));
        for source_id in &change.table_ids {
            self.routes.forget(*source_id);
        }
        if result.is_ok() {
            self.shell.at_binlog(binlog_type.name(), Moment::After)?;
        }
        match (track, result) {
            (TrackId::Main, Ok(effect)) => {
                self.main.passed_barrier(commit_seq, change.timestamp_ms);
                self.follow_main();
                let renamed = effect.renamed();
                self.look.renamed(&renamed);
                let is_ahead = self.main.done_to < commit_seq;
                let reached_by = if is_ahead { change.table_ids.clone() } else { Vec::new() };
                self.job.apply(Event::StatementDone { commit_seq, effect, reached_by }).await?;
                self.recorded = self.job.position;
                for source_id in renamed {
                    // What was planned under the old name is planned again.
                    self.routes.forget(source_id);
                    if let Some(track) = self.replays.get_mut(&source_id) {
                        track.rewind();
                    }
                    // A copy that has stood still looks at the name again.
                    if self.copies.remove(&source_id).is_some() {
                        self.start_lane(source_id, EarlierCommits::default());
                    }
                }
            }
            (TrackId::Table(source_id), Ok(effect)) => {
                let frees_name = !effect.renamed().is_empty();
                self.job.apply(Event::ApartStatementDone { source_id, commit_seq, effect }).await?;
                if let Some(track) = self.replays.get_mut(&source_id) {
                    track.passed_barrier(commit_seq, change.timestamp_ms);
                }
                if frees_name {
                    self.release_waiting();
                }
            }
            (TrackId::Main, Err(error)) => return self.refused(change, error).await,
            (TrackId::Table(source_id), Err(error)) => return self.leave_again(source_id, error).await,
        }
        self.tables_moved();
        self.shell.update_status(|status| status.statements += 1);
        self.handled(binlog_type.name(), began_ms);
        let reason = binlog_type.to_string();
        self.job.history("statement", (commit_seq, commit_seq), reason, "done", began_ms).await;
        Ok(())
    }

    pub(super) fn statement_in_doubt(&self, track: TrackId) -> Option<i64> {
        match (track, &self.job.state.phase) {
            (TrackId::Main, Phase::Incremental(incremental)) => incremental.statement_in_doubt,
            (TrackId::Main, Phase::FullSync(_)) => None,
            (TrackId::Table(source_id), _) => match &self.job.state.apart(source_id)?.work {
                ApartWork::CatchUp { statement_in_doubt, .. } => *statement_in_doubt,
                ApartWork::PartialSync { .. } | ApartWork::Blocked(_) => None,
            },
        }
    }
}

/// What a statement makes.
fn creates(statement: &Statement) -> Option<Creating> {
    match statement {
        Statement::CreateTable { name, .. } => Some(Creating::Table(name.clone())),
        Statement::CreateView { name, .. } => Some(Creating::View(name.clone())),
        Statement::DropTable { .. }
        | Statement::AlterView { .. }
        | Statement::DropView { .. }
        | Statement::RenameTable { .. }
        | Statement::ReplaceTable { .. }
        | Statement::Execute { .. }
        | Statement::Try { .. }
        | Statement::Partitions { .. }
        | Statement::SetMedium { .. } => None,
    }
}

/// The table that a statement removes.
fn ends(statement: &Statement) -> Option<i64> {
    match statement {
        Statement::DropTable { source_id, .. } => Some(*source_id),
        Statement::ReplaceTable { old_id, swap: false, .. } => Some(*old_id),
        Statement::ReplaceTable { swap: true, .. }
        | Statement::CreateTable { .. }
        | Statement::CreateView { .. }
        | Statement::AlterView { .. }
        | Statement::DropView { .. }
        | Statement::RenameTable { .. }
        | Statement::Execute { .. }
        | Statement::Try { .. }
        | Statement::Partitions { .. }
        | Statement::SetMedium { .. } => None,
    }
}

/// The tables whose names or existence a statement changes.
pub(super) fn named_tables(statement: &Statement) -> Vec<i64> {
    match statement {
        Statement::DropTable { source_id, .. } | Statement::RenameTable { source_id, .. } => vec![*source_id],
        Statement::ReplaceTable { old_id, new_id, .. } => vec![*old_id, *new_id],
        Statement::CreateTable { .. }
        | Statement::CreateView { .. }
        | Statement::AlterView { .. }
        | Statement::DropView { .. }
        | Statement::Execute { .. }
        | Statement::Try { .. }
        | Statement::Partitions { .. }
        | Statement::SetMedium { .. } => Vec::new(),
    }
}
