//! Statements: recorded as begun, sent on their track, and recorded as done.

use std::sync::Arc;

use super::Stream;
use crate::change::Change;
use crate::effect::statement;
use crate::error::{Disposition, Result};
use crate::job::{ApartWork, Event, LinkEffect, Phase};
use crate::plan::{Statement, TrackId};

impl Stream<'_> {
    /// Records that a statement is about to be sent, and sends it on its track.
    pub(super) async fn start_statement(
        &mut self,
        track: TrackId,
        change: Box<Change>,
        statement: Statement,
    ) -> Result<()> {
        let commit_seq = change.commit_seq;
        let in_doubt = self.statement_in_doubt(track) == Some(commit_seq);
        if !in_doubt && self.waits_for_lane(&statement) {
            tracing::info!(commit_seq, "waiting until a table apart has given up the name");
            self.held = Some((change, statement));
            return Ok(());
        }
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

    /// Whether the name of a new table is still that of a table apart, which will be renamed or dropped on
    /// its own track. One that is blocked there may never be; then the name is simply taken.
    fn waits_for_lane(&self, statement: &Statement) -> bool {
        let Statement::CreateTable { name, .. } = statement else { return false };
        self.job.state.tables.values().any(|link| {
            let working = link.lane.apart().is_some_and(|apart| !matches!(apart.work, ApartWork::Blocked(_)));
            working && link.target_name == *name
        })
    }

    /// Tries the held statement again, now that something has happened on another track.
    pub(super) async fn release_held(&mut self) -> Result<()> {
        if self.held.as_ref().is_some_and(|(_, statement)| self.waits_for_lane(statement)) {
            return Ok(());
        }
        if let Some((change, statement)) = self.held.take() {
            self.settle_recording().await?;
            self.start_statement(TrackId::Main, change, statement).await?;
        }
        Ok(())
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
                if self.leave_view(change, &error).await? {
                    return self.pass_change(change).await;
                }
                self.isolate(&alone, commit_seq - 1, error).await?;
                return self.pass_change(change).await;
            }
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
                ApartWork::CatchUp { statement_in_doubt } => *statement_in_doubt,
                ApartWork::PartialSync { .. } | ApartWork::Blocked(_) => None,
            },
        }
    }
}
