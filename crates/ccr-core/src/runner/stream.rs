//! The incremental phase: the job's own track, and beside it the tables that have left it.
//!
//! One task does it all, so that stopping the job is dropping one future. The main track replays the
//! job's list. A table that must be copied again, or whose change cannot be applied, leaves it with a
//! cursor; it is copied, then replays its own list on a track of its own, and joins the main track again
//! once it has applied all that the main track passed over.
//!
//! The position is written after a commit and may lag behind it: a transaction that is met again after a
//! crash finds itself by its label.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use doris_types::call::BinlogScope;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};

use super::doubt::EarlierCommits;
use super::job::Job;
use super::lane::{self, CopyFuture, CopyStep};
use super::shell::Shell;
use super::track::{Barrier, Done, Track, TrackEvent, or_pending};
use crate::change::Change;
use crate::effect::routes::Routes;
use crate::effect::statement;
use crate::error::{Disposition, Error, Origin, Result};
use crate::job::{
    ApartWork, Blocked, Event, FullSyncReason, JobState, Lane, Leaving, LinkEffect, PartialSyncReason, Phase,
    Position, SyncType, TableLink,
};
use crate::plan::{SkipReason, Statement, TrackId};

/// An idle job rewrites its position this often, so that its age tells how long the job was away.
const HEARTBEAT: Duration = Duration::from_secs(10 * 60);

/// Cursors of tables apart are written with the whole state, so not for each transaction.
const CURSOR_INTERVAL_MS: i64 = 1000;

/// Replays the binlog until a full sync is needed; then the state has moved and this returns.
pub(super) async fn run(job: &mut Job) -> Result<()> {
    let mut stream = Stream::new(job)?;
    loop {
        let event = stream.next_event().await;
        if stream.handle(event).await? == Flow::PhaseChanged {
            return Ok(());
        }
    }
}

#[derive(PartialEq, Eq)]
enum Flow {
    GoOn,
    PhaseChanged,
}

enum StreamEvent {
    Main(TrackEvent),
    Lane(i64, TrackEvent),
    Copied(i64, Result<CopyStep>),
    Recorded(Result<Position>),
    /// Nothing has happened for a while.
    Heartbeat,
}

struct Stream<'a> {
    job: &'a mut Job,
    shell: Arc<Shell>,
    routes: Arc<Routes>,
    main: Track,
    /// Tables apart that replay their own list.
    replays: BTreeMap<i64, Track>,
    /// Tables apart that are being copied.
    copies: BTreeMap<i64, CopyFuture>,
    recording: Option<BoxFuture<'static, Result<Position>>>,
    recorded: Position,
    /// Cursors have moved since the state was last written, at that time.
    cursors_moved: bool,
    state_saved_at_ms: i64,
    /// When the position was last written.
    recorded_at_ms: i64,
}

impl<'a> Stream<'a> {
    fn new(job: &'a mut Job) -> Result<Self> {
        let shell = Arc::clone(&job.shell);
        let routes = Arc::new(Routes::default());
        let since_ms = job.position.updated_at_ms;
        let main = Track::new(
            TrackId::Main,
            Arc::clone(&shell),
            Arc::clone(&routes),
            main_scope(job)?,
            job.position.commit_seq,
            EarlierCommits::since(since_ms),
        );
        let now = shell.now_ms();
        let mut stream = Self {
            recorded: job.position,
            job,
            shell,
            routes,
            main,
            replays: BTreeMap::new(),
            copies: BTreeMap::new(),
            recording: None,
            cursors_moved: false,
            state_saved_at_ms: now,
            recorded_at_ms: now,
        };
        let apart: Vec<i64> = stream.job.state.tables.keys().copied().collect();
        for source_id in apart {
            stream.start_lane(source_id, EarlierCommits::since(since_ms));
        }
        Ok(stream)
    }

    /// Waits for whatever happens next. Nothing is lost when it is dropped.
    async fn next_event(&mut self) -> StreamEvent {
        self.start_recording();
        self.show_step();
        let state = &self.job.state;
        let main_fetched_to = self.main.fetched_to;
        let mut replays: FuturesUnordered<_> = self
            .replays
            .iter_mut()
            .map(|(id, track)| async move { (*id, track.next(state, main_fetched_to).await) })
            .collect();
        let mut copies: FuturesUnordered<_> =
            self.copies.iter_mut().map(|(id, copy)| async move { (*id, copy.await) }).collect();
        // In an order of its own, so that a run in virtual time is the same every time. None can starve
        // another for long: every one of them waits for a peer sooner or later.
        tokio::select! {
            biased;
            result = or_pending(&mut self.recording) => StreamEvent::Recorded(result),
            event = self.main.next(state, main_fetched_to) => StreamEvent::Main(event),
            Some((id, event)) = replays.next(), if !replays.is_empty() => StreamEvent::Lane(id, event),
            Some((id, step)) = copies.next(), if !copies.is_empty() => StreamEvent::Copied(id, step),
            () = self.shell.ctx.clock.sleep(HEARTBEAT) => StreamEvent::Heartbeat,
        }
    }

    async fn handle(&mut self, event: StreamEvent) -> Result<Flow> {
        self.job.certain_at_ms = self.certain_at_ms();
        match event {
            StreamEvent::Heartbeat => Ok(Flow::GoOn),
            StreamEvent::Recorded(result) => {
                self.recording = None;
                self.recorded = result?;
                Ok(Flow::GoOn)
            }
            StreamEvent::Main(event) => self.handle_main(event).await,
            StreamEvent::Lane(source_id, event) => {
                self.handle_lane(source_id, event).await?;
                Ok(Flow::GoOn)
            }
            StreamEvent::Copied(source_id, step) => {
                self.copies.remove(&source_id);
                self.handle_copied(source_id, step).await?;
                Ok(Flow::GoOn)
            }
        }
    }

    async fn handle_main(&mut self, event: TrackEvent) -> Result<Flow> {
        match event {
            TrackEvent::Done(done) => {
                self.count(&done).await;
                self.move_position(done.commit_seq, done.timestamp_ms);
            }
            TrackEvent::Acted { change, began_ms, result } => {
                self.statement_done(TrackId::Main, &change, began_ms, result).await?;
            }
            TrackEvent::CaughtUp => {}
            TrackEvent::SourceFailed(error) => return Err(error),
            TrackEvent::Failed { commit_seq, binlog_type, tables, error } => {
                self.settle_recording().await?;
                self.job.handling = Some((commit_seq, binlog_type.to_owned()));
                if !self.isolate(&tables, commit_seq - 1, error).await? {
                    return Ok(Flow::PhaseChanged);
                }
                self.main.rewind();
            }
            TrackEvent::Barrier(barrier) => return self.pass(barrier).await,
        }
        Ok(Flow::GoOn)
    }

    /// Decides about what waited in the main track.
    async fn pass(&mut self, barrier: Barrier) -> Result<Flow> {
        self.settle_recording().await?;
        match barrier {
            Barrier::Statement(change, statement) => {
                self.start_statement(TrackId::Main, change, statement).await?;
            }
            Barrier::FullSync(reason) => return self.full_sync(reason).await,
            Barrier::PartialSync { change, source_ids, reason } => {
                if self.shell.ctx.record.spec.sync_type() == SyncType::Table {
                    return self.full_sync(FullSyncReason::TableChanged { reason }).await;
                }
                for source_id in source_ids {
                    self.leave(source_id, change.commit_seq - 1, Leaving::PartialSync(reason.clone()))
                        .await?;
                }
                self.pass_change(&change).await?;
            }
            Barrier::AdoptTable { change, source_id, name } => {
                let link = TableLink {
                    source_name: name.clone(),
                    target_name: name,
                    target_id: 0,
                    synced_to: 0,
                    lane: Lane::Flowing,
                };
                let reason = PartialSyncReason::Change {
                    binlog_type: change.record.binlog_type().to_string(),
                    commit_seq: change.commit_seq,
                };
                let commit_seq = change.commit_seq;
                let effect = LinkEffect::Created { source_id, link };
                self.job.apply(Event::StatementDone { commit_seq, effect }).await?;
                self.leave(source_id, commit_seq - 1, Leaving::PartialSync(reason)).await?;
                self.pass_change(&change).await?;
            }
            Barrier::Block { commit_seq, timestamp_ms, binlog_type, tables, error } => {
                self.job.handling = Some((commit_seq, binlog_type));
                if !self.isolate(&tables, commit_seq - 1, error).await? {
                    return Ok(Flow::PhaseChanged);
                }
                self.main.passed_barrier(commit_seq);
                self.move_position(commit_seq, timestamp_ms);
            }
        }
        Ok(Flow::GoOn)
    }

    async fn full_sync(&mut self, reason: FullSyncReason) -> Result<Flow> {
        tracing::info!(reason = %reason.describe(), "full sync needed");
        let (at_ms, from_commit_seq) = (self.shell.now_ms(), self.job.position.commit_seq);
        let text = reason.describe();
        self.job.apply(Event::FullSyncNeeded { reason, from_commit_seq, at_ms }).await?;
        self.job.history("full_sync", (from_commit_seq, from_commit_seq), text, "started", at_ms).await;
        Ok(Flow::PhaseChanged)
    }

    /// A change is left to the lanes: the main track goes on behind it.
    async fn pass_change(&mut self, change: &Change) -> Result<()> {
        self.main.passed_barrier(change.commit_seq);
        self.move_position(change.commit_seq, change.timestamp_ms);
        self.job.save().await?;
        self.recorded = self.job.position;
        Ok(())
    }

    /// Takes tables that cannot go on out of the stream. When there are none to take out, the whole job
    /// is concerned and the error is returned. False when the job has left the incremental phase.
    async fn isolate(&mut self, tables: &[i64], cursor: i64, error: Error) -> Result<bool> {
        let table_job = self.shell.ctx.record.spec.sync_type() == SyncType::Table;
        let linked = !tables.is_empty() && tables.iter().all(|id| self.job.state.tables.contains_key(id));
        let copy = error.disposition == Disposition::PartialSync;
        if copy && table_job {
            let reason = copy_reason(&error, cursor + 1);
            self.full_sync(FullSyncReason::TableChanged { reason }).await?;
            return Ok(false);
        }
        if table_job || !linked || !(copy || error.disposition == Disposition::Block) {
            return Err(error);
        }
        for source_id in tables {
            let why = if copy {
                Leaving::PartialSync(copy_reason(&error, cursor + 1))
            } else {
                Leaving::Blocked(self.blocked(&error, cursor + 1))
            };
            self.leave(*source_id, cursor, why).await?;
        }
        Ok(true)
    }

    async fn handle_lane(&mut self, source_id: i64, event: TrackEvent) -> Result<()> {
        match event {
            TrackEvent::Done(done) => {
                self.count(&done).await;
                self.move_cursor(source_id, done.commit_seq);
            }
            TrackEvent::Acted { change, began_ms, result } => {
                self.statement_done(TrackId::Table(source_id), &change, began_ms, result).await?;
            }
            TrackEvent::CaughtUp => self.join(source_id).await?,
            TrackEvent::SourceFailed(error) | TrackEvent::Failed { error, .. } => {
                self.leave_again(source_id, error).await?;
            }
            TrackEvent::Barrier(Barrier::Statement(change, statement)) => {
                self.settle_recording().await?;
                self.start_statement(TrackId::Table(source_id), change, statement).await?;
            }
            TrackEvent::Barrier(Barrier::PartialSync { reason, .. }) => {
                let cursor = self.cursor(source_id);
                self.leave(source_id, cursor, Leaving::PartialSync(reason)).await?;
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

    /// A table apart meets an error: it is copied, or waits for an operator.
    async fn leave_again(&mut self, source_id: i64, error: Error) -> Result<()> {
        let cursor = self.cursor(source_id);
        let why = match error.disposition {
            Disposition::Stop => return Err(error),
            Disposition::PartialSync => Leaving::PartialSync(copy_reason(&error, cursor)),
            Disposition::Block
            | Disposition::Retry
            | Disposition::RetryElsewhere
            | Disposition::RefreshMeta
            | Disposition::RestartTxn => Leaving::Blocked(self.blocked(&error, cursor)),
        };
        self.leave(source_id, cursor, why).await
    }

    async fn handle_copied(&mut self, source_id: i64, step: Result<CopyStep>) -> Result<()> {
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
                self.job.apply(Event::PartialRestored { source_id, link }).await?;
                self.job.history("partial_sync", (cursor, seq), text, "restored", since).await;
                self.start_lane(source_id, EarlierCommits::default());
            }
            Ok(CopyStep::RestoreCancelled(status)) => {
                let since = self.since_ms(source_id);
                self.job.history("restore", (cursor, cursor), status, "cancelled", since).await;
                self.job.apply(Event::PartialRestoreCancelled { source_id }).await?;
                self.start_lane(source_id, EarlierCommits::default());
            }
            Ok(CopyStep::Again(reason)) => {
                let error = Error::retry(Origin::UpstreamFe, "CCR0504", reason.describe());
                self.shell.pause(&error, 1).await;
                self.leave(source_id, cursor, Leaving::PartialSync(reason)).await?;
            }
            Err(error) => self.leave_again(source_id, error).await?,
        }
        Ok(())
    }

    /// Takes a table out of the stream, or starts it over when it is out already.
    async fn leave(&mut self, source_id: i64, cursor: i64, why: Leaving) -> Result<()> {
        self.settle_recording().await?;
        let (text, plan) = match &why {
            Leaving::PartialSync(reason) => (reason.describe(), "partial_sync"),
            Leaving::Blocked(blocked) => {
                tracing::error!(code = %blocked.code, table = source_id, message = %blocked.message,
                    hint = %blocked.hint, "the table is blocked until an operator acts");
                self.shell.ctx.observer.error(self.shell.job_name(), "table", false);
                (blocked.message.clone(), "block")
            }
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

    /// Lets a table flow with the others again, when it has applied all that the main track passed over.
    async fn join(&mut self, source_id: i64) -> Result<()> {
        let Some(track) = self.replays.get(&source_id) else { return Ok(()) };
        let seen_to = track.verified_to.max(track.fetched_to);
        if self.main.passed.get(&source_id).is_some_and(|passed| *passed > seen_to) {
            return Ok(());
        }
        self.settle_recording().await?;
        self.replays.remove(&source_id);
        self.main.passed.remove(&source_id);
        let (cursor, since, text) =
            (self.cursor(source_id), self.since_ms(source_id), self.reason(source_id));
        self.job.apply(Event::TableJoined { source_id }).await?;
        tracing::info!(table = source_id, cursor, "the table flows with the others again");
        self.job.history("join", (cursor, cursor), text, "caught up", since).await;
        Ok(())
    }

    /// Starts what the state says a table apart is doing.
    fn start_lane(&mut self, source_id: i64, earlier: EarlierCommits) {
        let Some(link) = self.job.state.tables.get(&source_id) else { return };
        let Some(apart) = link.lane.apart() else { return };
        match &apart.work {
            ApartWork::Blocked(_) => {}
            ApartWork::PartialSync { step, .. } => {
                let copy = lane::run(Arc::clone(&self.shell), source_id, link.clone(), step.clone());
                self.copies.insert(source_id, copy);
            }
            ApartWork::CatchUp { .. } => {
                let scope = BinlogScope {
                    database: self.shell.source_database().to_owned(),
                    table_id: Some(source_id),
                };
                let track = Track::new(
                    TrackId::Table(source_id),
                    Arc::clone(&self.shell),
                    Arc::clone(&self.routes),
                    scope,
                    apart.cursor,
                    earlier,
                );
                self.replays.insert(source_id, track);
            }
        }
    }

    /// Records that a statement is about to be sent, and sends it on its track.
    async fn start_statement(
        &mut self,
        track: TrackId,
        change: Box<Change>,
        statement: Statement,
    ) -> Result<()> {
        let commit_seq = change.commit_seq;
        let in_doubt = self.statement_in_doubt(track) == Some(commit_seq);
        if !in_doubt {
            self.job.handling = Some((commit_seq, change.record.binlog_type().to_string()));
            statement::check(&self.shell, &statement).await?;
            let event = match track {
                TrackId::Main => Event::StatementStarted { commit_seq },
                TrackId::Table(source_id) => Event::ApartStatementStarted { source_id, commit_seq },
            };
            self.job.apply(event).await?;
            self.recorded = self.job.position;
        }
        if let Statement::DropTable { source_id, .. } = &statement {
            // Its lane, if it has one, ends with the table.
            self.replays.remove(source_id);
            self.copies.remove(source_id);
        }
        let shell = Arc::clone(&self.shell);
        let act = Box::pin(async move { statement::run(&shell, commit_seq, &statement, in_doubt).await });
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

    /// Records what a statement did, or takes its table out of the stream.
    async fn statement_done(
        &mut self,
        track: TrackId,
        change: &Change,
        began_ms: i64,
        result: Result<LinkEffect>,
    ) -> Result<()> {
        self.settle_recording().await?;
        let (commit_seq, binlog_type) = (change.commit_seq, change.record.binlog_type());
        self.job.handling = Some((commit_seq, binlog_type.to_string()));
        self.routes.forget_all();
        match (track, result) {
            (TrackId::Main, Ok(effect)) => {
                self.move_position(commit_seq, change.timestamp_ms);
                self.main.passed_barrier(commit_seq);
                self.job.apply(Event::StatementDone { commit_seq, effect }).await?;
                self.recorded = self.job.position;
            }
            (TrackId::Table(source_id), Ok(effect)) => {
                self.job.apply(Event::ApartStatementDone { source_id, commit_seq, effect }).await?;
                if let Some(track) = self.replays.get_mut(&source_id) {
                    track.passed_barrier(commit_seq);
                }
            }
            (TrackId::Main, Err(error)) => {
                let alone: Vec<i64> = match change.table_ids.as_slice() {
                    [id] => vec![*id],
                    _ => Vec::new(),
                };
                if error.disposition != Disposition::Stop {
                    // It was refused, so there is no doubt about it any more.
                    let event = Event::StatementDone { commit_seq, effect: LinkEffect::None };
                    self.job.apply(event).await?;
                }
                if self.isolate(&alone, commit_seq - 1, error).await? {
                    self.pass_change(change).await?;
                }
                return Ok(());
            }
            (TrackId::Table(source_id), Err(error)) => return self.leave_again(source_id, error).await,
        }
        self.shell.update_status(|status| status.statements += 1);
        self.handled(binlog_type.name(), began_ms);
        let reason = binlog_type.to_string();
        self.job.history("statement", (commit_seq, commit_seq), reason, "done", began_ms).await;
        Ok(())
    }

    fn statement_in_doubt(&self, track: TrackId) -> Option<i64> {
        match (track, &self.job.state.phase) {
            (TrackId::Main, Phase::Incremental(incremental)) => incremental.statement_in_doubt,
            (TrackId::Main, Phase::FullSync(_)) => None,
            (TrackId::Table(source_id), _) => match &self.job.state.apart(source_id)?.work {
                ApartWork::CatchUp { statement_in_doubt } => *statement_in_doubt,
                ApartWork::PartialSync { .. } | ApartWork::Blocked(_) => None,
            },
        }
    }

    fn move_position(&mut self, commit_seq: i64, timestamp_ms: i64) {
        self.job.position.commit_seq = commit_seq;
        self.job.position.timestamp_ms = timestamp_ms;
        self.job.publish();
    }

    fn move_cursor(&mut self, source_id: i64, cursor: i64) {
        if let Some(link) = self.job.state.tables.get_mut(&source_id)
            && let Lane::Apart(apart) = &mut link.lane
        {
            apart.cursor = apart.cursor.max(cursor);
            self.cursors_moved = true;
        }
    }

    fn cursor(&self, source_id: i64) -> i64 {
        self.job.state.apart(source_id).map_or(0, |apart| apart.cursor)
    }

    fn since_ms(&self, source_id: i64) -> i64 {
        self.job.state.apart(source_id).map_or(0, |apart| apart.since_ms)
    }

    fn reason(&self, source_id: i64) -> String {
        let name = self.job.state.tables.get(&source_id).map_or("", |link| link.source_name.as_str());
        match self.job.state.apart(source_id).map(|apart| &apart.work) {
            Some(ApartWork::PartialSync { reason, .. }) => format!("table {name}: {}", reason.describe()),
            Some(ApartWork::CatchUp { .. } | ApartWork::Blocked(_)) | None => format!("table {name}"),
        }
    }

    fn blocked(&self, error: &Error, commit_seq: i64) -> Blocked {
        let (commit_seq, binlog_type) = self.job.handling.clone().unwrap_or((commit_seq, String::new()));
        Blocked {
            code: error.code.to_owned(),
            message: error.message.clone(),
            hint: error.hint.clone(),
            commit_seq,
            binlog_type,
            since_ms: self.shell.now_ms(),
        }
    }

    async fn count(&mut self, done: &Done) {
        match done.skipped {
            None => self.shell.update_status(|status| status.transactions += 1),
            Some(reason) => {
                tracing::debug!(
                    commit_seq = done.commit_seq,
                    binlog_type = done.binlog_type,
                    reason = reason.name(),
                    "skipped"
                );
                self.shell.update_status(|status| status.skipped += 1);
                if reason == SkipReason::Requested {
                    let seqs = (done.commit_seq, done.commit_seq);
                    let text = format!("{}: {}", done.binlog_type, reason.name());
                    self.job.history("skip", seqs, text, "passed over", done.planned_at_ms).await;
                }
            }
        }
        self.handled(done.binlog_type, done.planned_at_ms);
    }

    fn handled(&self, binlog_type: &str, since_ms: i64) {
        let spent = u64::try_from(self.shell.now_ms() - since_ms).unwrap_or(0);
        let observer = &self.shell.ctx.observer;
        observer.binlog_handled(self.shell.job_name(), binlog_type, Duration::from_millis(spent));
    }

    /// Writes the position when it has moved: one small row. Cursors go with the whole state.
    fn start_recording(&mut self) {
        let now = self.shell.now_ms();
        if self.recording.is_some() {
            return;
        }
        self.job.certain_at_ms = self.certain_at_ms();
        let mut position = self.job.position;
        position.updated_at_ms = self.job.certain_at_ms.min(now);
        let shell = Arc::clone(&self.shell);
        if self.cursors_moved && now - self.state_saved_at_ms >= CURSOR_INTERVAL_MS {
            self.cursors_moved = false;
            (self.state_saved_at_ms, self.recorded_at_ms) = (now, now);
            self.recording = Some(Box::pin(record_all(shell, self.job.state.clone(), position)));
        } else if self.job.position.commit_seq != self.recorded.commit_seq
            || Duration::from_millis(now.abs_diff(self.recorded_at_ms)) >= HEARTBEAT
        {
            self.recorded_at_ms = now;
            self.recording = Some(Box::pin(record(shell, position)));
        }
    }

    /// No commit beyond the position, or beyond a cursor, was tried before this moment.
    fn certain_at_ms(&self) -> i64 {
        let tracks = self.replays.values().chain([&self.main]);
        tracks.filter_map(Track::certain_at_ms).min().unwrap_or(i64::MAX)
    }

    /// Waits for a write under way, so that a later one cannot be overtaken by it.
    async fn settle_recording(&mut self) -> Result<()> {
        if let Some(recording) = self.recording.take() {
            self.recorded = recording.await?;
        }
        Ok(())
    }

    fn show_step(&self) {
        let in_flight = self.main.in_flight() + self.replays.values().map(Track::in_flight).sum::<usize>();
        let copies = self.copies.len();
        match (in_flight, copies) {
            // A copy says itself what it does.
            (0, 1..) => {}
            (0, 0) => self.shell.set_step("waiting for binlogs"),
            (_, 0) => self.shell.set_step(format!("replicating {in_flight} transactions")),
            (_, _) => {
                self.shell.set_step(format!("replicating {in_flight} transactions, copying {copies} tables"));
            }
        }
    }
}

fn main_scope(job: &Job) -> Result<BinlogScope> {
    let database = job.shell.source_database().to_owned();
    let table_id = match job.shell.ctx.record.spec.sync_type() {
        SyncType::Database => None,
        SyncType::Table => {
            let id = job.state.tables.keys().next().copied().ok_or_else(|| {
                Error::blocked(
                    Origin::Internal,
                    "CCR0903",
                    "the job has no table link after its full sync",
                    "delete the job and create it again",
                )
            })?;
            Some(id)
        }
    };
    Ok(BinlogScope { database, table_id })
}

fn copy_reason(error: &Error, commit_seq: i64) -> PartialSyncReason {
    PartialSyncReason::Mismatch { message: error.message.clone(), commit_seq }
}

/// Writes the position: one small row.
async fn record(shell: Arc<Shell>, position: Position) -> Result<Position> {
    let ctx = &shell.ctx;
    let began_ms = ctx.clock.now_ms();
    shell
        .retry(async || {
            ctx.store.save_position(&ctx.record.id, ctx.epoch, &position).await.map_err(Error::from)
        })
        .await?;
    persisted(&shell, began_ms);
    Ok(position)
}

/// Writes state and position.
async fn record_all(shell: Arc<Shell>, state: JobState, position: Position) -> Result<Position> {
    let ctx = &shell.ctx;
    let began_ms = ctx.clock.now_ms();
    shell
        .retry(async || {
            let saved = ctx.store.save_state(&ctx.record.id, ctx.epoch, &state, &position);
            saved.await.map_err(Error::from)
        })
        .await?;
    persisted(&shell, began_ms);
    Ok(position)
}

fn persisted(shell: &Shell, since_ms: i64) {
    let spent = u64::try_from(shell.now_ms() - since_ms).unwrap_or(0);
    shell.ctx.observer.persisted(shell.job_name(), Duration::from_millis(spent));
}
