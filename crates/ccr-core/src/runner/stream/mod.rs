//! The incremental phase: the job's own track, and beside it the tables that have left it.
//!
//! One task does it all, so that stopping the job is dropping one future. The main track replays the
//! job's list. A table that must be copied again, or whose change cannot be applied, leaves it with a
//! cursor; it is copied, then replays its own list on a track of its own, and joins the main track again
//! once it has applied all that the main track passed over.
//!
//! The position is written after a commit and may lag behind it: a transaction that is met again after a
//! crash finds itself by its label.

mod behind;
mod copies;
mod crossing;
mod gap;
mod lanes;
mod look;
mod look_views;
mod publish;
mod record;
mod refused;
mod settle;
mod statements;
mod swap;
mod views;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use doris_types::call::BinlogScope;
use doris_types::record::Record;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};

use self::look::{Look, Seen};
use self::publish::Asking;
use self::record::HEARTBEAT;
use self::refused::is_creation;
use self::settle::{Failing, Settled};
use super::doubt::EarlierCommits;
use super::job::Job;
use super::lane::{CopyFuture, CopyStep};
use super::shell::Shell;
use super::track::{Barrier, Done, Manner, PassedOver, Track, TrackEvent, or_pending};
use crate::change::Change;
use crate::effect::routes::Routes;
use crate::effect::upstream;
use crate::error::{Disposition, Error, Origin, Result};
use crate::failpoint::Moment;
use crate::job::{
    Blocked, Event, FullSyncReason, JobOrdering, Leaving, PartialSyncReason, Position, SyncType, holds,
};
use crate::plan::names::{is_past_swap, is_to_settle};
use crate::plan::{SkipReason, Statement, TrackId};

/// Replays the binlog until a full sync is needed; then the state has moved and this returns.
pub(super) async fn run(job: &mut Job) -> Result<()> {
    let mut stream = Stream::new(job).await?;
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
    /// What a look at the upstream has brought.
    Looked(doris_types::failure::Result<Seen>),
    /// Some transactions that were committed have been asked for.
    AskedForPublished,
    /// Nothing has happened for a while, or it is time for another look.
    Heartbeat,
    /// Views that were refused, and drops, are tried again.
    ViewsDue,
}

/// The code of a table that is written upstream and has no link.
const UNKNOWN_TABLE: &str = "CCR0204";

/// What the main track waits with, standing still, until something has happened to a table apart.
enum Held {
    /// A statement that cannot be sent yet.
    Statement(Box<Change>, Statement),
    /// A change that will be planned again.
    Replan,
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
    /// Of them, those whose snapshot is being taken: the others wait for their turn.
    chosen: BTreeSet<i64>,
    /// What asks a copy to give way to a change of its table's name.
    give_way: BTreeMap<i64, Arc<AtomicBool>>,
    /// Snapshots in a row that could not be used, by the table that was to be copied.
    snapshots_lost: BTreeMap<i64, u32>,
    held: Option<Held>,
    /// The tables that the main track's last statement names; not known until it has sent one.
    named: Option<Vec<i64>>,
    /// Tables apart whose track waits for the main one to have passed this commit seq.
    parked: BTreeMap<i64, i64>,
    /// Where the job stood when the task began.
    began_at: i64,
    recording: Option<BoxFuture<'static, Result<Position>>>,
    recorded: Position,
    /// Cursors have moved since the state was last written, at that time.
    cursors_moved: bool,
    state_saved_at_ms: i64,
    /// When the position was last written.
    recorded_at_ms: i64,
    /// When views apart are tried again.
    views_due_ms: i64,
    /// Views of which it was told that they are refused as they are.
    views_refused: BTreeSet<i64>,
    /// The definitions of views apart that were copied at the last try.
    views_seen: BTreeMap<i64, String>,
    look: Look,
    publish: Asking,
}

impl<'a> Stream<'a> {
    async fn new(job: &'a mut Job) -> Result<Self> {
        crossing::settle(job).await?;
        let shell = Arc::clone(&job.shell);
        let routes = Arc::new(Routes::default());
        let since_ms = job.position.updated_at_ms;
        let spec = &shell.ctx.record.spec;
        let manner = match (spec.options.ordering, spec.sync_type()) {
            (JobOrdering::Table, SyncType::Database) => Manner::TableOrder,
            // Of one table there is one order only.
            (JobOrdering::Source, _) | (JobOrdering::Table, SyncType::Table) => Manner::SourceOrder,
        };
        if manner == Manner::TableOrder && !job.state.is_out_of_order {
            // Also who goes on in source order must not rely on an order of what was committed before.
            job.apply(Event::OutOfOrder).await?;
        }
        let scope = main_scope(job)?;
        let earlier = if job.state.is_out_of_order {
            EarlierCommits::unordered(since_ms, newest(&shell, &scope).await?)
        } else {
            EarlierCommits::since(since_ms)
        };
        let main = Track::new(
            TrackId::Main,
            manner,
            Arc::clone(&shell),
            Arc::clone(&routes),
            scope,
            job.position.commit_seq,
            earlier,
        );
        let now = shell.now_ms();
        let mut stream = Self {
            recorded: job.position,
            shell,
            routes,
            main,
            replays: BTreeMap::new(),
            copies: BTreeMap::new(),
            chosen: BTreeSet::new(),
            give_way: BTreeMap::new(),
            snapshots_lost: BTreeMap::new(),
            held: None,
            named: None,
            parked: BTreeMap::new(),
            began_at: job.position.commit_seq,
            recording: None,
            cursors_moved: false,
            state_saved_at_ms: now,
            recorded_at_ms: now,
            views_due_ms: now,
            views_refused: BTreeSet::new(),
            views_seen: BTreeMap::new(),
            look: Look::default(),
            publish: Asking::default(),
            job,
        };
        let in_doubt = stream.statement_in_doubt(TrackId::Main).filter(|seq| *seq > stream.main.done_to);
        let apart: Vec<i64> = stream.job.state.tables.keys().copied().collect();
        for source_id in apart {
            match in_doubt {
                // It would be put in place under the name of before, which may be another table's by now.
                Some(seq) if stream.is_being_copied(source_id) => {
                    stream.parked.insert(source_id, seq);
                }
                Some(_) | None => stream.start_lane(source_id, EarlierCommits::since(since_ms)),
            }
        }
        Ok(stream)
    }

    /// Waits for whatever happens next. Nothing is lost when it is dropped.
    async fn next_event(&mut self) -> StreamEvent {
        self.start_recording();
        self.choose_copies();
        self.start_look();
        let publish_pause = self.ask_for_published();
        self.show_step();
        let pause = self.look_pause().unwrap_or(HEARTBEAT).min(HEARTBEAT);
        let views_pause = self.views_pause();
        let waits: BTreeSet<i64> =
            self.copies_standing_still().into_iter().chain(self.job.copies_waiting.iter().copied()).collect();
        let state = &self.job.state;
        let main_fetched_to = self.main.fetched_to;
        let mut replays: FuturesUnordered<_> = self
            .replays
            .iter_mut()
            .map(|(id, track)| async move { (*id, track.next(state, main_fetched_to).await) })
            .collect();
        let mut copies: FuturesUnordered<_> = self
            .copies
            .iter_mut()
            .filter(|(id, _)| !waits.contains(id))
            .map(|(id, copy)| async move { (*id, copy.await) })
            .collect();
        // In an order of its own, so that a run in virtual time is the same every time. None can starve
        // another for long: every one of them waits for a peer sooner or later.
        tokio::select! {
            biased;
            result = or_pending(&mut self.recording) => StreamEvent::Recorded(result),
            event = self.main.next(state, main_fetched_to), if self.held.is_none() => {
                StreamEvent::Main(event)
            }
            Some((id, event)) = replays.next(), if !replays.is_empty() => StreamEvent::Lane(id, event),
            Some((id, step)) = copies.next(), if !copies.is_empty() => StreamEvent::Copied(id, step),
            () = self.shell.ctx.clock.sleep(views_pause.unwrap_or(HEARTBEAT)), if views_pause.is_some() => {
                StreamEvent::ViewsDue
            }
            seen = or_pending(&mut self.look.running) => StreamEvent::Looked(seen),
            () = or_pending(&mut self.publish.running) => StreamEvent::AskedForPublished,
            () = self.shell.ctx.clock.sleep(publish_pause.unwrap_or(HEARTBEAT)), if publish_pause.is_some() => {
                StreamEvent::Heartbeat
            }
            () = self.shell.ctx.clock.sleep(pause) => StreamEvent::Heartbeat,
        }
    }

    async fn handle(&mut self, event: StreamEvent) -> Result<Flow> {
        self.job.certain_at_ms = self.certain_at_ms();
        match event {
            StreamEvent::Heartbeat => Ok(Flow::GoOn),
            StreamEvent::AskedForPublished => {
                self.asked_for_published();
                Ok(Flow::GoOn)
            }
            StreamEvent::Looked(seen) => {
                self.look.running = None;
                self.looked(seen).await?;
                Ok(Flow::GoOn)
            }
            StreamEvent::ViewsDue => {
                self.try_views().await?;
                self.try_stale().await?;
                Ok(Flow::GoOn)
            }
            StreamEvent::Recorded(result) => {
                self.recording = None;
                self.recorded = result?;
                Ok(Flow::GoOn)
            }
            StreamEvent::Main(event) => {
                let flow = self.handle_main(event).await?;
                self.release_parked();
                Ok(flow)
            }
            StreamEvent::Lane(source_id, event) => {
                self.handle_lane(source_id, event).await?;
                self.release_held().await?;
                Ok(Flow::GoOn)
            }
            StreamEvent::Copied(source_id, step) => {
                self.copies.remove(&source_id);
                self.give_way.remove(&source_id);
                self.handle_copied(source_id, step).await?;
                self.release_held().await?;
                Ok(Flow::GoOn)
            }
        }
    }

    async fn handle_main(&mut self, event: TrackEvent) -> Result<Flow> {
        match event {
            TrackEvent::Done(done) => {
                self.took_effect(&done)?;
                self.count(&done, TrackId::Main).await?;
                self.follow_main();
            }
            TrackEvent::Acted { change, began_ms, result } => {
                self.statement_done(TrackId::Main, &change, began_ms, result).await?;
            }
            TrackEvent::CaughtUp => {}
            TrackEvent::HoldingUp(source_id) => self.let_trail(source_id).await?,
            TrackEvent::SourceFailed(error) | TrackEvent::Injected(error) => return Err(error),
            TrackEvent::Failed {
                commit_seq,
                timestamp_ms,
                binlog_type,
                tables,
                unlinked,
                label,
                untried_since_ms,
                error,
            } => {
                self.settle_recording().await?;
                self.job.handling = Some((commit_seq, binlog_type.to_owned()));
                if error.code == UNKNOWN_TABLE {
                    self.adopt_unlinked(&unlinked, commit_seq).await?;
                    self.main.rewind();
                    return Ok(Flow::GoOn);
                }
                let failing =
                    Failing { commit_seq, label: label.as_deref(), untried_since_ms, error: &error };
                match self.settled(failing).await? {
                    Settled::Undecided => {}
                    Settled::Committed => {
                        self.main.passed_barrier(commit_seq, timestamp_ms);
                        self.follow_main();
                    }
                    Settled::NotCommitted => self.isolate(&tables, commit_seq - 1, error, None).await?,
                    Settled::Unknown => self.isolate_in_doubt(&tables, commit_seq, error).await?,
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
        if self.waits_for_restore(&barrier) {
            self.held = Some(Held::Replan);
            return Ok(Flow::GoOn);
        }
        if self.is_linked_since(&barrier) {
            self.main.rewind();
            return Ok(Flow::GoOn);
        }
        match barrier {
            Barrier::Statement(change, statement) => self.start_on_main(change, statement).await?,
            Barrier::FullSync(reason) => return self.meet_gap(reason).await,
            Barrier::PartialSync { change, source_ids, reason } => {
                for source_id in source_ids {
                    self.leave(source_id, change.commit_seq - 1, Leaving::PartialSync(reason.clone()))
                        .await?;
                }
                self.pass_change(&change).await?;
            }
            Barrier::AdoptTable { change, source_id, name, reason, in_place_of } => {
                self.job.handling = Some((change.commit_seq, change.record.binlog_type().to_string()));
                if is_past_swap(&change, source_id, &self.job.state.tables) && self.is_gone(source_id).await?
                {
                    // Nothing is left that could be copied under the name it had then.
                    let seqs = (change.commit_seq, change.commit_seq);
                    let text = format!("table {name} ({source_id}) is gone upstream since");
                    self.job.history("skip", seqs, text, "passed over", self.shell.now_ms()).await;
                    return self.pass_change(&change).await.map(|()| Flow::GoOn);
                }
                match in_place_of {
                    Some(old_id) => {
                        self.take_over(old_id, source_id, name, reason, change.commit_seq).await?;
                    }
                    None => {
                        let was_created = is_creation(&change, source_id);
                        self.adopt(source_id, name, was_created, reason, change.commit_seq).await?;
                    }
                }
                if is_to_settle(&change, &self.job.state.tables) {
                    self.main.rewind();
                } else {
                    self.pass_change(&change).await?;
                }
            }
            Barrier::Block { commit_seq, timestamp_ms, binlog_type, tables, change, error } => {
                self.job.handling = Some((commit_seq, binlog_type));
                if let Some(change @ Change { record: Record::ReplaceTable(_), .. }) = change.as_deref() {
                    return self.take_over_names(change, error).await.map(|()| Flow::GoOn);
                }
                self.block_tables(&tables, change.as_deref(), commit_seq, error).await?;
                self.main.passed_barrier(commit_seq, timestamp_ms);
                self.follow_main();
            }
            Barrier::Shared { commit_seq } => return Err(unexpected(commit_seq)),
        }
        Ok(Flow::GoOn)
    }

    /// Everything is copied again, unless that has to wait for an operator.
    async fn full_sync(&mut self, reason: FullSyncReason) -> Result<Flow> {
        tracing::info!(reason = %reason.describe(), "full sync needed");
        let (at_ms, from_commit_seq) = (self.shell.now_ms(), self.job.position.commit_seq);
        let text = reason.describe();
        if let Some(by) = holds(&self.shell.ctx.record.spec.options, &self.job.state, &reason, at_ms) {
            self.job.apply(Event::FullSyncHeld { reason, by, from_commit_seq, at_ms }).await?;
            self.job.history("full_sync", (from_commit_seq, from_commit_seq), text, "held", at_ms).await;
            return Ok(Flow::PhaseChanged);
        }
        self.job.apply(Event::FullSyncNeeded { reason, from_commit_seq, at_ms }).await?;
        self.job.history("full_sync", (from_commit_seq, from_commit_seq), text, "started", at_ms).await;
        Ok(Flow::PhaseChanged)
    }

    /// Fails where a test wants it after a change of this type, on the track that has handled it.
    fn took_effect(&self, done: &Done) -> Result<()> {
        let is_handled_elsewhere = matches!(done.skipped, Some(SkipReason::LeftToLane | SkipReason::Named));
        if is_handled_elsewhere { Ok(()) } else { self.shell.at_binlog(done.binlog_type, Moment::After) }
    }

    /// A change is left to the lanes: the main track goes on behind it.
    async fn pass_change(&mut self, change: &Change) -> Result<()> {
        self.shell.at_binlog(change.record.binlog_type().name(), Moment::After)?;
        self.main.passed_barrier(change.commit_seq, change.timestamp_ms);
        self.follow_main();
        self.job.save().await?;
        self.recorded = self.job.position;
        Ok(())
    }

    /// Takes tables that cannot go on out of the stream. When there are none to take out, the whole job
    /// is concerned and the error is returned. A statement that keeps failing may have taken effect.
    async fn isolate(
        &mut self,
        tables: &[i64],
        cursor: i64,
        error: Error,
        statement: Option<i64>,
    ) -> Result<()> {
        let table_job = self.shell.ctx.record.spec.sync_type() == SyncType::Table;
        let linked = !tables.is_empty() && tables.iter().all(|id| self.job.state.tables.contains_key(id));
        let copy = error.disposition == Disposition::PartialSync;
        // A table job that is blocked is blocked as a whole: nothing else is there to go on.
        let isolated = error.disposition == Disposition::Isolate;
        let can_leave = copy || isolated || error.disposition == Disposition::Block && !table_job;
        if !linked || !can_leave {
            return Err(error);
        }
        for source_id in tables {
            let why = if copy {
                Leaving::PartialSync(copy_reason(&error, cursor + 1))
            } else if isolated {
                Leaving::Failing { error: error.to_string(), statement_in_doubt: statement }
            } else {
                Leaving::Blocked(self.blocked(&error, cursor + 1))
            };
            self.leave(*source_id, cursor, why).await?;
        }
        Ok(())
    }

    /// The job stands where its main track has done everything.
    fn follow_main(&mut self) {
        if self.main.done_to > self.job.position.commit_seq {
            self.job.position.commit_seq = self.main.done_to;
            self.job.position.timestamp_ms = self.main.done_at_ms;
        }
        self.job.publish_position();
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

    async fn count(&mut self, done: &Done, track: TrackId) -> Result<()> {
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
                if reason.is_left_out() {
                    // A write under way holds the store, and goes on only while it is waited for.
                    self.settle_recording().await?;
                    if reason == SkipReason::Requested {
                        self.pass_over(done, track).await?;
                    }
                    let seqs = (done.commit_seq, done.commit_seq);
                    let text = format!("{}: {}", done.binlog_type, reason.name());
                    self.job.history("skip", seqs, text, "passed over", done.planned_at_ms).await;
                }
            }
        }
        self.handled(done.binlog_type, done.planned_at_ms);
        Ok(())
    }

    /// An operator has asked to pass over a change, which nobody looks for any more.
    async fn pass_over(&mut self, done: &Done, track: TrackId) -> Result<()> {
        if self.statement_in_doubt(TrackId::Main) == Some(done.commit_seq) {
            self.forget_statement(done.commit_seq).await?;
        }
        match done.passed_over.clone() {
            Some(PassedOver::Change { mut tables }) => {
                tables.retain(|id| matches!(track, TrackId::Main) || track == TrackId::Table(*id));
                self.job.apply(Event::ChangeLeftOut { commit_seq: done.commit_seq, tables }).await?;
            }
            Some(PassedOver::Creation { source_id }) => {
                self.job.apply(Event::TableLeftOut { source_id }).await?;
            }
            // What is under way of a table apart would wait for the drop. Its target is left.
            Some(PassedOver::Drop { source_id }) if self.job.state.apart(source_id).is_some() => {
                self.forget_lane(source_id);
                self.job.apply(Event::TableVanished { source_id }).await?;
                self.tables_moved();
            }
            Some(PassedOver::Drop { .. }) | None => {}
        }
        self.recorded = self.job.position;
        Ok(())
    }

    fn handled(&self, binlog_type: &str, since_ms: i64) {
        let spent = u64::try_from(self.shell.now_ms() - since_ms).unwrap_or(0);
        let observer = &self.shell.ctx.observer;
        observer.binlog_handled(self.shell.job_name(), binlog_type, Duration::from_millis(spent));
    }

    fn show_step(&self) {
        let in_flight = self.main.in_flight() + self.replays.values().map(Track::in_flight).sum::<usize>();
        let buffered = self.main.buffered() + self.replays.values().map(Track::buffered).sum::<usize>();
        self.shell.update_status(|status| status.buffered = buffered);
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

/// The newest commit seq in a list, beyond which nobody can have committed anything; the highest there is where
/// the upstream does not say it.
async fn newest(shell: &Arc<Shell>, scope: &BinlogScope) -> Result<i64> {
    let ask = async || shell.ctx.upstream.binlog_lag(scope, 0).await.map_err(upstream);
    let lag = shell.retry(ask).await?;
    Ok(lag.map(|lag| lag.last_commit_seq).filter(|seq| *seq > 0).unwrap_or(i64::MAX))
}

fn unexpected(commit_seq: i64) -> Error {
    Error::blocked(
        Origin::Internal,
        "CCR0904",
        format!("commit seq {commit_seq} was met on the wrong track"),
        "report this as a bug of the syncer",
    )
}

fn copy_reason(error: &Error, commit_seq: i64) -> PartialSyncReason {
    PartialSyncReason::Mismatch { message: error.message.clone(), commit_seq }
}
