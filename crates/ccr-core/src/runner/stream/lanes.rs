//! Tables apart from the stream: how they leave it, are copied, catch up and join it again.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use doris_types::call::{BinlogScope, MetaFilter};
use doris_types::record::{BinlogType, Record};

use super::settle::{Failing, Settled};
use super::{Stream, copy_reason, unexpected};
use crate::change::Change;
use crate::effect::statement::{NAME_TAKEN, is_free};
use crate::effect::{look_for, names, upstream};
use crate::error::{Disposition, Error, Origin, Result};
use crate::failpoint::Moment;
use crate::job::{Apart, ApartWork, Event, Lane, Leaving, NO_TARGET, PartialSyncReason, Renaming, TableLink};
use crate::plan::TrackId;
use crate::runner::doubt::EarlierCommits;
use crate::runner::lane::{self, CopyStep, Presence, Terms};
use crate::runner::track::{Barrier, Manner, Track, TrackEvent};

/// Empty answers in a row before a table's own list counts as read, where only an earlier task has seen in the job's
/// list what it may hold.
const LOOKS: u32 = 3;

/// Those before it is known to lack what the job's list holds.
const MOST_LOOKS: u32 = 30;

/// A copy whose name is that of something which is to go waits as if it had failed so often.
const STALE_TRIES: u32 = 5;

impl Stream<'_> {
    pub(super) async fn handle_lane(&mut self, source_id: i64, event: TrackEvent) -> Result<()> {
        match event {
            TrackEvent::Done(done) => {
                self.took_effect(&done)?;
                self.count(&done, TrackId::Table(source_id)).await?;
                self.move_cursor(source_id, done.commit_seq);
            }
            TrackEvent::Acted { change, began_ms, result } => {
                self.statement_done(TrackId::Table(source_id), &change, began_ms, result).await?;
            }
            TrackEvent::CaughtUp => {
                let Some(track) = self.replays.get(&source_id) else { return Ok(()) };
                let seen_to = track.verified_to.max(track.fetched_to);
                let (fetched_to, answers) = (track.fetched_to, track.empty_answers);
                let told = self.main.told.get(&source_id).copied().unwrap_or(0);
                if told <= fetched_to && (self.began_at <= fetched_to || answers >= LOOKS) {
                    return self.join(source_id, seen_to).await;
                }
                // The frontend that answers may be behind the one that the job's list was read from.
                if answers >= MOST_LOOKS && told > fetched_to {
                    let message =
                        format!("its own list ends at {fetched_to}, before a change that the job's holds");
                    let reason = PartialSyncReason::Mismatch { message, commit_seq: told };
                    self.leave(source_id, fetched_to, Leaving::PartialSync(reason)).await?;
                }
            }
            TrackEvent::Injected(error) => return Err(error),
            TrackEvent::SourceFailed(error) => {
                let earlier = self.replays.get(&source_id).and_then(Track::earlier_since_ms);
                if self.is_trailing(source_id) && earlier.is_some() {
                    // What may have been committed has labels that the table would no longer use.
                    return Err(error);
                }
                self.leave_again(source_id, error).await?;
            }
            TrackEvent::Failed { commit_seq, timestamp_ms, label, untried_since_ms, error, .. } => {
                let settled = if self.is_trailing(source_id) {
                    // It has the labels of the main track, which the table would no longer use.
                    let label = label.as_deref();
                    self.settled(Failing { commit_seq, label, untried_since_ms, error: &error }).await?
                } else {
                    Settled::NotCommitted
                };
                if settled == Settled::Committed {
                    if let Some(track) = self.replays.get_mut(&source_id) {
                        track.passed_barrier(commit_seq, timestamp_ms);
                    }
                    self.move_cursor(source_id, commit_seq);
                }
                match settled {
                    Settled::NotCommitted => self.leave_again(source_id, error).await?,
                    Settled::Unknown => self.isolate_in_doubt(&[source_id], commit_seq, error).await?,
                    Settled::Committed | Settled::Undecided => {
                        if let Some(track) = self.replays.get_mut(&source_id) {
                            track.rewind();
                        }
                    }
                }
            }
            TrackEvent::HoldingUp(_) => {}
            TrackEvent::Barrier(Barrier::Shared { commit_seq }) => {
                self.join(source_id, commit_seq - 1).await?;
                if self.replays.contains_key(&source_id) {
                    return Err(unexpected(commit_seq));
                }
            }
            TrackEvent::Barrier(Barrier::Statement(change, _) | Barrier::PartialSync { change, .. })
                if is_about_names(&change) && self.main.done_to < change.commit_seq =>
            {
                // The main track settles it; it is planned again when it has.
                self.replays.remove(&source_id);
                self.parked.insert(source_id, change.commit_seq);
            }
            TrackEvent::Barrier(Barrier::Statement(change, statement)) => {
                self.settle_recording().await?;
                self.start_statement(TrackId::Table(source_id), change, statement).await?;
            }
            TrackEvent::Barrier(Barrier::PartialSync { change, reason, .. }) => {
                let cursor = self.cursor(source_id);
                self.leave(source_id, cursor, Leaving::PartialSync(reason)).await?;
                self.shell.at_binlog(change.record.binlog_type().name(), Moment::After)?;
            }
            TrackEvent::Barrier(Barrier::FullSync(_) | Barrier::AdoptTable { .. }) => {
                let cursor = self.cursor(source_id);
                let reason = PartialSyncReason::BinlogExpired { cursor };
                self.leave(source_id, cursor, Leaving::PartialSync(reason)).await?;
            }
            TrackEvent::Barrier(Barrier::Block { commit_seq, binlog_type, error, .. }) => {
                self.job.handling = Some((commit_seq, binlog_type));
                self.leave_again(source_id, error).await?;
            }
        }
        Ok(())
    }

    /// Links the tables of a transaction that no binlog has created, and copies them. Those that are gone
    /// again need nothing, nor do those that a copy has linked since the transaction was planned: a second link would
    /// not know the target.
    pub(super) async fn adopt_unlinked(&mut self, unlinked: &[i64], commit_seq: i64) -> Result<()> {
        let shell = Arc::clone(&self.shell);
        let unlinked = unlinked.iter().filter(|id| !self.job.state.tables.contains_key(*id));
        let unlinked: Vec<i64> = unlinked.copied().collect();
        if unlinked.is_empty() {
            return Ok(());
        }
        let filter = MetaFilter::Tables(unlinked);
        let db = shell
            .retry(async || {
                shell.ctx.upstream.meta(shell.source_database(), filter.clone()).await.map_err(upstream)
            })
            .await?;
        for table in db.into_iter().flat_map(|db| db.tables).filter(|table| table.kind == "OLAP") {
            let reason = PartialSyncReason::Appeared { commit_seq };
            self.adopt(table.id, table.name, false, reason, commit_seq).await?;
        }
        Ok(())
    }

    /// Links a table that is upstream and that no statement created downstream, and copies it. Where the target
    /// has a table of its name, it waits for an operator, and the others go on. `was_created` tells whether the binlog
    /// has told of it.
    pub(super) async fn adopt(
        &mut self,
        source_id: i64,
        name: String,
        was_created: bool,
        reason: PartialSyncReason,
        commit_seq: i64,
    ) -> Result<()> {
        if matches!(reason, PartialSyncReason::Appeared { .. } | PartialSyncReason::Restored { .. })
            && let Some(old_id) = self.replaced_by_restore(&name).await?
        {
            return self.take_over(old_id, source_id, name, reason, commit_seq).await;
        }
        let (cursor, text, at_ms) = (commit_seq - 1, reason.describe(), self.shell.now_ms());
        tracing::info!(table = source_id, name, reason = %text, "the table is adopted");
        let event = Event::TableAdopted { source_id, name, was_created, cursor, reason, at_ms };
        self.job.apply(event).await?;
        self.job.history("partial_sync", (cursor, cursor), text, "started", at_ms).await;
        self.start_lane(source_id, EarlierCommits::default());
        Ok(())
    }

    /// The linked table of that name which is not upstream any more although no binlog tells of it: a restore
    /// has put another one in its place.
    async fn replaced_by_restore(&mut self, name: &str) -> Result<Option<i64>> {
        let mut links = self.job.state.tables.iter();
        let Some(old_id) = links.find(|(_, link)| link.source_name == name).map(|(id, _)| *id) else {
            return Ok(None);
        };
        Ok(self.presence(old_id).await?.is_none().then_some(old_id))
    }

    /// Whether a table is not upstream any more, for whatever reason.
    pub(super) async fn is_gone(&mut self, source_id: i64) -> Result<bool> {
        Ok(match self.presence(source_id).await? {
            Some(Presence::Named(_)) => false,
            Some(Presence::Dropped) | None => true,
        })
    }

    async fn presence(&mut self, source_id: i64) -> Result<Option<Presence>> {
        let shell = Arc::clone(&self.shell);
        let look = async || lane::present(&shell, source_id).await;
        look_for(&shell, &format!("table {source_id}"), look).await
    }

    /// Lets a table take over the target of another one, with a copy.
    pub(super) async fn take_over(
        &mut self,
        old_id: i64,
        by_id: i64,
        name: String,
        reason: PartialSyncReason,
        commit_seq: i64,
    ) -> Result<()> {
        let (cursor, text, at_ms) = (commit_seq - 1, reason.describe(), self.shell.now_ms());
        tracing::info!(table = by_id, old = old_id, name, reason = %text, "the table takes the other's place");
        self.forget_lane(old_id);
        self.job
            .apply(Event::TableTakenOver { source_id: old_id, by_id, name, cursor, reason, at_ms })
            .await?;
        self.job.history("partial_sync", (cursor, cursor), text, "started", at_ms).await;
        self.start_lane(by_id, EarlierCommits::default());
        Ok(())
    }

    /// A table is gone, and what was under way of it with it.
    pub(super) fn forget_lane(&mut self, source_id: i64) {
        self.replays.remove(&source_id);
        self.copies.remove(&source_id);
        self.give_way.remove(&source_id);
        self.parked.remove(&source_id);
        self.routes.forget(source_id);
        self.main.passed.remove(&source_id);
        self.main.told.remove(&source_id);
    }

    /// A table apart meets an error: it is copied, or waits for an operator.
    pub(super) async fn leave_again(&mut self, source_id: i64, error: Error) -> Result<()> {
        let cursor = self.cursor(source_id);
        let why = match error.disposition {
            Disposition::Stop => return Err(error),
            Disposition::PartialSync => Leaving::PartialSync(copy_reason(&error, cursor)),
            Disposition::Isolate => {
                let statement_in_doubt = self.statement_in_doubt(TrackId::Table(source_id));
                Leaving::Failing { error: error.to_string(), statement_in_doubt }
            }
            Disposition::Block
            | Disposition::Retry
            | Disposition::RetryElsewhere
            | Disposition::RefreshMeta
            | Disposition::RestartTxn => Leaving::Blocked(self.blocked(&error, cursor)),
        };
        self.leave(source_id, cursor, why).await
    }

    pub(super) async fn handle_copied(&mut self, source_id: i64, step: Result<CopyStep>) -> Result<()> {
        self.settle_recording().await?;
        let cursor = self.cursor(source_id);
        match step {
            Ok(CopyStep::SnapshotReady(info)) => {
                self.job.apply(Event::PartialSnapshotReady { source_id, info }).await?;
                self.start_lane(source_id, EarlierCommits::default());
            }
            Ok(CopyStep::Restored(link)) => {
                let (seq, since) = (link.synced_to, self.since_ms(source_id));
                let text = self.reason(source_id);
                self.routes.forget(source_id);
                self.snapshots_lost.remove(&source_id);
                self.job.apply(Event::PartialRestored { source_id, link }).await?;
                self.job.history("partial_sync", (cursor, seq), text, "restored", since).await;
                self.start_lane(source_id, EarlierCommits::default());
            }
            Ok(CopyStep::PartitionRestored { synced_to }) => {
                let (since, text) = (self.since_ms(source_id), self.reason(source_id));
                self.routes.forget(source_id);
                self.job.apply(Event::PartitionRestored { source_id, synced_to }).await?;
                self.job.history("partial_sync", (cursor, synced_to), text, "restored", since).await;
                self.start_lane(source_id, EarlierCommits::default());
            }
            Ok(CopyStep::RestoreCancelled { status, error }) => {
                self.restore_cancelled(source_id, status, error).await?;
            }
            Ok(CopyStep::GaveWay) => self.restore_gave_way(source_id).await?,
            Ok(CopyStep::Dropped) => self.dropped(source_id).await?,
            Ok(CopyStep::Renamed) => {
                let (since, text) = (self.since_ms(source_id), self.reason(source_id));
                self.routes.forget(source_id);
                self.job.apply(Event::RenameMade { source_id }).await?;
                self.job.history("statement", (cursor, cursor), text, "renamed", since).await;
                self.look.renamed(&[source_id]);
                self.start_lane(source_id, EarlierCommits::default());
                self.tables_moved();
                self.release_waiting();
            }
            Ok(CopyStep::TakenOver { by_id, name }) if !self.job.state.tables.contains_key(&by_id) => {
                let reason = PartialSyncReason::Appeared { commit_seq: cursor + 1 };
                self.take_over(source_id, by_id, name, reason, cursor + 1).await?;
            }
            Ok(CopyStep::TakenOver { by_id, .. }) => {
                // It may be gone without a drop, and the other one has got its name since. A look will tell.
                let message =
                    format!("table {source_id} is missing upstream, and table {by_id} has its name");
                self.shell.pause_once(&Error::retry(Origin::UpstreamFe, "CCR0303", message)).await;
                self.look.again();
                self.start_lane(source_id, EarlierCommits::default());
            }
            Ok(CopyStep::Again(reason)) => {
                let error = Error::retry(Origin::UpstreamFe, "CCR0504", reason.describe());
                let why = self.again(source_id, reason).await;
                self.leave(source_id, cursor, Leaving::PartialSync(why)).await?;
                let lost = self.snapshots_lost.entry(source_id).or_default();
                *lost += 1;
                let tries = *lost;
                self.delay_copy(source_id, error, tries);
            }
            Err(error) if error.code == NAME_TAKEN && self.is_name_of_another(source_id) => {
                // The snapshot has the other under the name that it got later; the main track comes to that. Or the
                // other has been put away by a restore, of which only a look tells.
                self.parked.insert(source_id, self.main.done_to + 1);
                self.look.again_for_a_name(self.shell.now_ms(), self.shell.ctx.options.restore_look);
            }
            Err(error) if error.code == NAME_TAKEN && self.waits_for_stale(source_id) => {
                self.start_lane(source_id, EarlierCommits::default());
                self.delay_copy(source_id, error, STALE_TRIES);
            }
            Err(error) if error.code == NAME_TAKEN && self.has_free_name(source_id).await? => {
                // What had the name has gone while it was looked for.
                self.start_lane(source_id, EarlierCommits::default());
            }
            Err(error) => {
                if error.code == NAME_TAKEN {
                    // What came before its copy is where it stands, whatever the others do meanwhile.
                    self.job.handling = Some((cursor + 1, BinlogType::CREATE_TABLE.to_string()));
                }
                self.leave_again(source_id, error).await?;
            }
        }
        Ok(())
    }

    /// Why a table is copied again after its copy has come to nothing: of a partition that was recovered another
    /// snapshot is taken, when the first one is lost.
    async fn again(&mut self, source_id: i64, reason: PartialSyncReason) -> PartialSyncReason {
        let recovered = match self.job.state.apart(source_id).map(|apart| &apart.work) {
            Some(ApartWork::PartialSync { reason, .. }) => reason.partition().cloned(),
            Some(ApartWork::CatchUp { .. } | ApartWork::Blocked(_)) | None => None,
        };
        match (recovered, &reason) {
            (Some(recovered), PartialSyncReason::SnapshotLost { .. }) => {
                let (cursor, since) = (self.cursor(source_id), self.since_ms(source_id));
                self.job.history("backup", (cursor, cursor), reason.describe(), "lost", since).await;
                PartialSyncReason::Recovered(recovered)
            }
            (Some(_) | None, _) => reason,
        }
    }

    /// Whether nothing downstream but its own target has the name that a table needs.
    async fn has_free_name(&mut self, source_id: i64) -> Result<bool> {
        let link = self.job.state.tables.get(&source_id);
        let Some((name, own_id)) = link.map(|link| (needed_name(link).to_owned(), link.target_id)) else {
            return Ok(false);
        };
        let shell = Arc::clone(&self.shell);
        is_free(&shell, &name, own_id).await
    }

    /// Whether another table of the job has the name downstream that this one waits for.
    fn is_name_of_another(&self, source_id: i64) -> bool {
        let Some(link) = self.job.state.tables.get(&source_id) else { return false };
        let wanted = needed_name(link);
        let mut others = self.job.state.tables.iter().filter(|(id, _)| **id != source_id);
        others.any(|(_, other)| other.target_id != NO_TARGET && other.target_name == wanted)
    }

    /// Lets a table that is slower than the others go on by itself, with what it has under way.
    pub(super) async fn let_trail(&mut self, source_id: i64) -> Result<()> {
        self.settle_recording().await?;
        let taken = self.main.take_out(source_id);
        let (cursor, at_ms) = (taken.cursor, self.shell.now_ms());
        tracing::info!(
            table = source_id,
            cursor,
            "the table is slower than the others and goes on by itself"
        );
        let why = Leaving::HoldingUp { statement_in_doubt: taken.statement };
        self.job.apply(Event::TableLeft { source_id, cursor, why, at_ms }).await?;
        self.recorded = self.job.position;
        self.job.history("catch_up", (cursor, cursor), self.reason(source_id), "started", at_ms).await;
        let earlier =
            self.main.earlier_since_ms().map_or_else(EarlierCommits::default, EarlierCommits::since);
        self.start_lane(source_id, earlier);
        if let Some(track) = self.replays.get_mut(&source_id) {
            track.go_on_with(taken);
        }
        // What it has under way is passed over.
        self.main.advance();
        self.follow_main();
        Ok(())
    }

    pub(super) fn is_trailing(&self, source_id: i64) -> bool {
        self.job.state.apart(source_id).is_some_and(Apart::is_trailing)
    }

    /// Takes a table out of the stream, or starts it over when it is out already.
    pub(super) async fn leave(&mut self, source_id: i64, cursor: i64, why: Leaving) -> Result<()> {
        self.settle_recording().await?;
        let (text, plan) = match &why {
            Leaving::PartialSync(reason) => (reason.describe(), "partial_sync"),
            Leaving::Blocked(blocked) | Leaving::InDoubt(blocked, _) => {
                tracing::error!(code = %blocked.code, table = source_id, message = %blocked.message,
                    hint = %blocked.hint, "the table is blocked until an operator acts");
                self.shell.ctx.observer.error(self.shell.job_name(), "table", false);
                (blocked.message.clone(), "block")
            }
            Leaving::Undropped { error, .. } => {
                tracing::warn!(
                    table = source_id,
                    error,
                    "the target of a dropped table cannot be dropped yet"
                );
                self.shell.ctx.observer.error(self.shell.job_name(), "table", false);
                (format!("{}: {error}", self.reason(source_id)), "quarantine")
            }
            Leaving::Vanished { reason, .. } => (reason.clone(), "drop_stale_table"),
            Leaving::Failing { error, .. } => {
                tracing::warn!(table = source_id, error, "the table keeps failing and goes on by itself");
                (format!("{}: {error}", self.reason(source_id)), "quarantine")
            }
            Leaving::HoldingUp { .. } => (self.reason(source_id), "catch_up"),
        };
        tracing::info!(table = source_id, cursor, reason = %text, "the table leaves the stream");
        let at_ms = self.shell.now_ms();
        self.replays.remove(&source_id);
        self.copies.remove(&source_id);
        self.routes.forget(source_id);
        self.job.apply(Event::TableLeft { source_id, cursor, why, at_ms }).await?;
        self.job.history(plan, (cursor, cursor), text, "started", at_ms).await;
        self.start_lane(source_id, EarlierCommits::default());
        Ok(())
    }

    /// Whether the table has a change of its name to make by itself, unless an operator has asked to pass over it.
    pub(super) fn is_to_rename(&self, link: &TableLink) -> bool {
        link.renaming().is_some_and(|renaming| !self.job.state.skips.contains(&renaming.commit_seq))
    }

    /// Lets a table flow with the others again, when it has applied all that the main track passed over. Its
    /// own track has applied everything up to `seen_to`.
    pub(super) async fn join(&mut self, source_id: i64, seen_to: i64) -> Result<()> {
        if self.main.passed.get(&source_id).is_some_and(|passed| *passed > seen_to) {
            return Ok(());
        }
        self.settle_recording().await?;
        let link = self.job.state.tables.get(&source_id);
        let open = link
            .and_then(|link| link.lane.apart()?.renaming.as_ref().filter(|it| it.name != link.target_name));
        if let Some(Renaming { commit_seq, .. }) = open.cloned()
            && !self.job.state.skips.contains(&commit_seq)
        {
            // Its own list does not tell of the name, or told of it before the name was taken over.
            if seen_to >= commit_seq {
                self.replays.remove(&source_id);
                self.job.apply(Event::CursorMoved { source_id, cursor: seen_to }).await?;
                self.start_lane(source_id, EarlierCommits::default());
            }
            return Ok(());
        }
        self.replays.remove(&source_id);
        self.main.passed.remove(&source_id);
        self.main.told.remove(&source_id);
        let (cursor, since, text) =
            (self.cursor(source_id), self.since_ms(source_id), self.reason(source_id));
        self.job.apply(Event::TableJoined { source_id }).await?;
        self.tables_moved();
        tracing::info!(table = source_id, cursor, "the table flows with the others again");
        self.job.history("join", (cursor, cursor), text, "caught up", since).await;
        Ok(())
    }

    /// Lets tracks go on that have waited for the main one.
    pub(super) fn release_parked(&mut self) {
        let done_to = self.main.done_to;
        let ready: Vec<i64> =
            self.parked.iter().filter(|(_, seq)| **seq <= done_to).map(|(source_id, _)| *source_id).collect();
        for source_id in ready {
            self.start_lane(source_id, EarlierCommits::default());
        }
    }

    /// Starts what the state says a table apart is doing.
    pub(super) fn start_lane(&mut self, source_id: i64, earlier: EarlierCommits) {
        self.parked.remove(&source_id);
        let Some(link) = self.job.state.tables.get(&source_id) else { return };
        let Some(apart) = link.lane.apart() else { return };
        match &apart.work {
            ApartWork::Blocked(_) => {}
            ApartWork::CatchUp { .. } if apart.dropped_at.is_some() => {
                let is_left = apart.dropped_at.is_some_and(|seq| self.job.state.skips.contains(&seq));
                let known = names::targets(self.job.state.tables.values());
                let drop = lane::remove(Arc::clone(&self.shell), link.target_id, known, is_left);
                self.copies.insert(source_id, Box::pin(drop));
            }
            ApartWork::CatchUp { .. } if self.is_to_rename(link) => {
                if let Some(until) = self.named_at(source_id) {
                    // The main track is about to change its name, which makes this needless.
                    self.parked.insert(source_id, until);
                    return;
                }
                // What is being copied keeps its name until it is there.
                let links = self.job.state.tables.iter();
                let links = links.filter(|(id, _)| !self.is_being_copied(**id)).map(|(_, link)| link);
                let wanted = links.filter_map(|link| Some((link.target_id, link.renaming()?.name.clone())));
                let rename = lane::rename(Arc::clone(&self.shell), link.target_id, wanted.collect());
                self.copies.insert(source_id, Box::pin(rename));
            }
            ApartWork::PartialSync { reason, step } => {
                let give_way = Arc::<AtomicBool>::default();
                // A full sync overwrites what has the name of a table, and this is a part of one.
                let is_of_full_sync = matches!(**reason, PartialSyncReason::SetApart { .. });
                let may_overwrite = is_of_full_sync || self.shell.ctx.record.spec.options.allow_table_exists;
                let terms = Terms {
                    give_way: Arc::clone(&give_way),
                    overwrites: may_overwrite && !self.is_name_of_another(source_id),
                };
                let shell = Arc::clone(&self.shell);
                let copy = lane::run(shell, source_id, link.clone(), reason, step.clone(), terms);
                self.copies.insert(source_id, copy);
                self.give_way.insert(source_id, give_way);
            }
            ApartWork::CatchUp { trails, .. } => {
                let manner = if *trails { Manner::Trailing } else { Manner::SourceOrder };
                let scope = BinlogScope {
                    database: self.shell.source_database().to_owned(),
                    table_id: Some(source_id),
                };
                let mut track = Track::new(
                    TrackId::Table(source_id),
                    manner,
                    Arc::clone(&self.shell),
                    Arc::clone(&self.routes),
                    scope,
                    apart.cursor,
                    earlier,
                );
                if *trails {
                    track.tells(&self.main);
                }
                self.replays.insert(source_id, track);
            }
        }
    }

    pub(super) fn move_cursor(&mut self, source_id: i64, cursor: i64) {
        if let Some(link) = self.job.state.tables.get_mut(&source_id)
            && let Lane::Apart(apart) = &mut link.lane
        {
            apart.cursor = apart.cursor.max(cursor);
            self.cursors_moved = true;
        }
    }

    pub(super) fn cursor(&self, source_id: i64) -> i64 {
        self.job.state.apart(source_id).map_or(0, |apart| apart.cursor)
    }

    pub(super) fn since_ms(&self, source_id: i64) -> i64 {
        self.job.state.apart(source_id).map_or(0, |apart| apart.since_ms)
    }

    pub(super) fn reason(&self, source_id: i64) -> String {
        let name = self.job.state.tables.get(&source_id).map_or("", |link| link.source_name.as_str());
        match self.job.state.apart(source_id).map(|apart| &apart.work) {
            Some(ApartWork::PartialSync { reason, .. }) => format!("table {name}: {}", reason.describe()),
            Some(ApartWork::CatchUp { .. } | ApartWork::Blocked(_)) | None => format!("table {name}"),
        }
    }
}

/// The downstream name that a table needs for what it does: a copy goes to the target under the name that it has, the
/// next one comes afterwards.
fn needed_name(link: &TableLink) -> &str {
    let is_copied = matches!(link.lane.apart().map(|apart| &apart.work), Some(ApartWork::PartialSync { .. }));
    if is_copied && link.target_id != NO_TARGET { &link.target_name } else { link.wanted_name() }
}

/// Whether a change is about the names of tables, which are settled in the order of the job's own list.
fn is_about_names(change: &Change) -> bool {
    matches!(change.record, Record::RenameTable(_) | Record::ReplaceTable(_))
}
