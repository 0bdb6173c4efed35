//! What becomes of a change that the main track cannot apply: what it is about leaves the stream, and the others
//! go on behind it. Only what concerns no table or view in particular stops the job.

use std::sync::Arc;

use doris_types::call::MetaFilter;
use doris_types::record::Record;

use super::{Stream, copy_reason};
use crate::answers::NAME_USED;
use crate::change::Change;
use crate::effect::statement::NAME_TAKEN;
use crate::effect::{look_for, upstream};
use crate::error::{Disposition, Error, Result};
use crate::job::{Event, Leaving, LinkEffect, PartialSyncReason, Renaming, SyncType};
use crate::runner::doubt::EarlierCommits;

/// What a look upstream has found of a table without a link.
enum Unlinked {
    Named(String),
    /// It is gone, or of a kind that is not replicated.
    Nothing,
}

impl Stream<'_> {
    /// A statement of the main track was refused, or keeps failing.
    pub(super) async fn refused(&mut self, change: &Change, error: Error) -> Result<()> {
        let commit_seq = change.commit_seq;
        if error.disposition == Disposition::Stop {
            return Err(error);
        }
        if matches!(change.record, Record::ReplaceTable(_)) {
            self.forget_statement(commit_seq).await?;
            if is_about_a_name(&error) {
                // What both are called in the end may need no statement of that kind.
                return self.take_over_names(change, error).await;
            }
            return self.settle_swap(change, error).await;
        }
        if self.leave_view(change, &error).await? {
            self.forget_statement(commit_seq).await?;
            return self.pass_change(change).await;
        }
        if let Some((source_id, name)) = uncreated(change, &error) {
            // A copy does not need the statement, and where the target refuses that too, the others go on.
            self.forget_statement(commit_seq).await?;
            let reason = copy_reason(&error, commit_seq);
            self.adopt(source_id, name, true, reason, commit_seq).await?;
            return self.pass_change(change).await;
        }
        if error.disposition != Disposition::Isolate {
            // It was refused, so there is no doubt about it any more.
            self.forget_statement(commit_seq).await?;
        }
        if let Record::DropTable(record) = &change.record {
            self.leave_undropped(record.table_id, commit_seq, &error).await?;
            return self.pass_change(change).await;
        }
        let alone: Vec<i64> = match (error.table, change.table_ids.as_slice()) {
            (Some(id), _) => vec![id],
            (None, [id]) => vec![*id],
            (None, _) => Vec::new(),
        };
        self.isolate(&alone, commit_seq - 1, error, Some(commit_seq)).await?;
        if let (Record::RenameTable(record), [source_id]) = (&change.record, alone.as_slice())
            && self.shell.ctx.record.spec.sync_type() == SyncType::Database
        {
            let (source_id, name) = (*source_id, record.new_table_name.clone());
            let renaming = Renaming { commit_seq, name };
            self.job.apply(Event::RenameDeferred { source_id, target_name: None, renaming }).await?;
        }
        self.pass_change(change).await
    }

    pub(super) async fn forget_statement(&mut self, commit_seq: i64) -> Result<()> {
        let (effect, reached_by) = (LinkEffect::None, Vec::new());
        self.job.apply(Event::StatementDone { commit_seq, effect, reached_by }).await
    }

    /// A table was dropped upstream, and its target could not be: it is tried again apart from the stream.
    async fn leave_undropped(&mut self, source_id: i64, commit_seq: i64, error: &Error) -> Result<()> {
        let blocked = (error.disposition == Disposition::Block).then(|| self.blocked(error, commit_seq));
        let why = Leaving::Undropped { commit_seq, error: error.to_string(), blocked };
        self.leave(source_id, commit_seq - 1, why).await
    }

    /// The target of a table that was dropped upstream is gone, or is left to whoever has asked for that.
    pub(super) async fn dropped(&mut self, source_id: i64) -> Result<()> {
        self.settle_recording().await?;
        let (since, text) = (self.since_ms(source_id), self.reason(source_id));
        let link = self.job.state.tables.get(&source_id);
        let dropped_at = link.and_then(|link| link.lane.apart()?.dropped_at).unwrap_or(0);
        let name = link.map_or_else(String::new, |link| link.target_name.clone());
        let is_left = self.job.state.skips.contains(&dropped_at);
        self.forget_lane(source_id);
        self.job.apply(Event::TableVanished { source_id }).await?;
        self.recorded = self.job.position;
        let outcome = if is_left { format!("left {name}") } else { format!("dropped {name}") };
        self.job.history("drop_stale_table", (dropped_at, dropped_at), text, &outcome, since).await;
        self.tables_moved();
        self.release_waiting();
        Ok(())
    }

    /// A name downstream is free: copies may have waited for it. What waits for a statement of the main track about its
    /// own name goes on waiting.
    pub(super) fn release_waiting(&mut self) {
        let is_renamed =
            |id: &i64| self.job.state.tables.get(id).is_some_and(|link| link.renaming().is_some());
        let waits = |id: &i64| self.is_being_copied(*id) || is_renamed(id);
        let is_released = |id: &i64| waits(id) && self.named_at(*id).is_none();
        let parked: Vec<i64> = self.parked.keys().copied().filter(is_released).collect();
        for source_id in parked {
            self.start_lane(source_id, EarlierCommits::default());
        }
    }

    /// A change that nobody can apply concerns these tables. Those that flow wait with it, and so do those that
    /// the job has no link to; tables apart meet it in their own lists, when they have come to it.
    pub(super) async fn block_tables(
        &mut self,
        tables: &[i64],
        change: Option<&Change>,
        commit_seq: i64,
        error: Error,
    ) -> Result<()> {
        if let Some(change) = change
            && self.leave_view(change, &error).await?
        {
            return Ok(());
        }
        let table_job = self.shell.ctx.record.spec.sync_type() == SyncType::Table;
        let (linked, others): (Vec<i64>, Vec<i64>) =
            tables.iter().partition(|id| self.job.state.tables.contains_key(id));
        if linked.is_empty() && (others.is_empty() || table_job) {
            return Err(error);
        }
        let flowing: Vec<i64> = linked.into_iter().filter(|id| self.job.state.apart(*id).is_none()).collect();
        if !flowing.is_empty() {
            self.isolate(&flowing, commit_seq - 1, error.clone(), None).await?;
        }
        for source_id in others {
            self.block_unlinked(source_id, change, commit_seq, &error).await?;
        }
        Ok(())
    }

    async fn block_unlinked(
        &mut self,
        source_id: i64,
        change: Option<&Change>,
        commit_seq: i64,
        error: &Error,
    ) -> Result<()> {
        if let Some(name) = self.job.state.views.get(&source_id).cloned() {
            return self.block_view(source_id, name, commit_seq, error).await;
        }
        match self.look_at_unlinked(source_id).await? {
            Unlinked::Named(name) => {
                // When it is tried again it is copied, which brings over whatever the change was.
                let (cursor, at_ms) = (commit_seq - 1, self.shell.now_ms());
                let reason = PartialSyncReason::Appeared { commit_seq };
                let was_created = change.is_some_and(|change| is_creation(change, source_id));
                let event = Event::TableAdopted { source_id, name, was_created, cursor, reason, at_ms };
                self.job.apply(event).await?;
                let why = Leaving::Blocked(self.blocked(error, commit_seq));
                self.leave(source_id, cursor, why).await
            }
            Unlinked::Nothing => {
                let (at_ms, seqs) = (self.shell.now_ms(), (commit_seq, commit_seq));
                let reason = format!("{}: table {source_id} is not upstream any more", error.message);
                self.job.history("skip", seqs, reason, "passed over", at_ms).await;
                Ok(())
            }
        }
    }

    async fn look_at_unlinked(&mut self, source_id: i64) -> Result<Unlinked> {
        let shell = Arc::clone(&self.shell);
        let look = async || {
            let filter = MetaFilter::Tables(vec![source_id]);
            let db = shell.ctx.upstream.meta(shell.source_database(), filter).await.map_err(upstream)?;
            Ok(db.and_then(|db| {
                let is_dropped = db.dropped_tables.contains_key(&source_id);
                match db.tables.into_iter().find(|table| table.id == source_id) {
                    Some(table) if table.kind == "OLAP" => Some(Unlinked::Named(table.name)),
                    Some(_) => Some(Unlinked::Nothing),
                    None => is_dropped.then_some(Unlinked::Nothing),
                }
            }))
        };
        let found = look_for(&shell, &format!("table {source_id}"), look).await?;
        Ok(found.unwrap_or(Unlinked::Nothing))
    }
}

/// Whether a change of names finds a table where it should be none.
fn is_about_a_name(error: &Error) -> bool {
    error.code == NAME_TAKEN || error.message.contains(NAME_USED)
}

/// Whether a change tells that there is a table, so that no restore is needed to account for it.
pub(super) fn is_creation(change: &Change, source_id: i64) -> bool {
    match &change.record {
        Record::CreateTable(record) => record.table_id == source_id,
        Record::RecoverInfo(record) => record.table_id == source_id && !record.is_partition(),
        _ => false,
    }
}

/// The table that a CREATE TABLE was about which did not work.
fn uncreated(change: &Change, error: &Error) -> Option<(i64, String)> {
    let Record::CreateTable(record) = &change.record else { return None };
    let is_over = matches!(error.disposition, Disposition::Block | Disposition::Isolate);
    (is_over && record.table_type != "VIEW").then(|| (record.table_id, record.table_name.clone()))
}
