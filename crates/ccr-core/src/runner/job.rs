//! A job's state in memory, always equal to what the store holds or ahead of it by one persisted intent.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::set_apart::Unreadable;
use super::shell::Shell;
use crate::error::{Error, Origin, Result};
use crate::job::{Event, JobState, Phase, Position, transition};
use crate::status::{ProgressState, SourceIdentity, TableStatus};
use crate::store::HistoryEntry;

pub(crate) struct Job {
    pub shell: Arc<Shell>,
    pub state: JobState,
    pub position: Position,
    /// Commit seq and type of the binlog being handled, for the message when it blocks.
    pub handling: Option<(i64, String)>,
    /// No commit beyond the position was tried before this moment, in milliseconds.
    pub certain_at_ms: i64,
    /// Tables to be copied that wait until fewer copies are under way.
    pub copies_waiting: BTreeSet<i64>,
    /// What backups of the database were cancelled for.
    pub unreadable: Option<Unreadable>,
    /// Some table is ahead of the position up to here; of the state as it was last moved.
    catch_up_to: i64,
}

impl Job {
    /// Reads the job back, however long the store takes to answer. It is not shown yet.
    pub async fn load(shell: Arc<Shell>) -> Result<Self> {
        let ctx = &shell.ctx;
        let (state, position) =
            shell.retry(async || ctx.store.load(&ctx.record.id).await.map_err(Error::from)).await?;
        let certain_at_ms = position.updated_at_ms;
        shell.publishing.restore(&state.unpublished);
        let catch_up_to = state.catch_up_target();
        Ok(Self {
            shell: Arc::clone(&shell),
            state,
            position,
            handling: None,
            certain_at_ms,
            copies_waiting: BTreeSet::new(),
            unreadable: None,
            catch_up_to,
        })
    }

    /// Moves the state by an event and persists it together with the position.
    pub async fn apply(&mut self, event: Event) -> Result<()> {
        let next = transition(self.shell.job_id(), &self.state, event).map_err(|error| {
            Error::blocked(
                Origin::Internal,
                "CCR0901",
                error.to_string(),
                "report this as a bug of the syncer",
            )
        })?;
        self.state = next;
        self.catch_up_to = self.state.catch_up_target();
        self.save().await
    }

    /// Persists state and position, and shows them.
    pub async fn save(&mut self) -> Result<()> {
        self.position.updated_at_ms = self.certain_at_ms.min(self.shell.now_ms());
        self.note_unpublished();
        self.shell.keep_labels(&self.state);
        let ctx = &self.shell.ctx;
        let started_ms = ctx.clock.now_ms();
        self.shell
            .retry(async || {
                let saved = ctx.store.save_state(&ctx.record.id, ctx.epoch, &self.state, &self.position);
                saved.await.map_err(Error::from)
            })
            .await?;
        // Only now, for what is shown is what a request of an operator will find in the store.
        self.publish();
        let spent = u64::try_from(ctx.clock.now_ms() - started_ms).unwrap_or(0);
        ctx.observer.persisted(self.shell.job_name(), std::time::Duration::from_millis(spent));
        Ok(())
    }

    /// Puts into the state what is not visible yet, which must be written with the position or before it.
    pub fn note_unpublished(&mut self) {
        match self.state.phase {
            // What the target was is overwritten.
            Phase::FullSync(_) => self.shell.publishing.clear(),
            Phase::Incremental(_) => {}
        }
        self.state.unpublished = self.shell.publishing.all();
    }

    /// Shows a position that has moved. Quick however many tables the job has, unless some are apart.
    pub fn publish_position(&self) {
        let mut apart = false;
        self.shell.update_status(|status| {
            status.position = self.position;
            status.unpublished = self.shell.publishing.status();
            apart = !status.apart.is_empty();
            if status.progress == ProgressState::DBTablesIncrementalSync
                && self.position.commit_seq >= self.catch_up_to
            {
                status.progress = ProgressState::DBIncrementalSync;
            }
        });
        if apart {
            self.publish();
        } else {
            self.shell.ctx.observer.position(self.shell.job_name(), self.position.commit_seq);
        }
    }

    /// Shows the state in the job's status.
    pub fn publish(&self) {
        let sync_type = self.shell.ctx.record.spec.sync_type();
        let progress = ProgressState::of(sync_type, &self.state, &self.position);
        let only = self.state.only_table(sync_type).and_then(|id| self.state.tables.get(&id));
        self.shell.followed.set_database(self.state.source_db);
        self.shell.followed.set_name(only.map(|link| link.source_name.as_str()));
        self.shell.update_status(|status| {
            status.progress = progress;
            status.position = self.position;
            status.unpublished = self.shell.publishing.status();
            status.source = SourceIdentity::of(sync_type, &self.state);
            status.blocked = self.state.any_block().cloned();
            status.apart = TableStatus::of(&self.state);
            for table in
                status.apart.iter_mut().filter(|table| self.copies_waiting.contains(&table.source_id))
            {
                table.detail.push_str("; waits until fewer tables are being copied");
            }
        });
        self.shell.ctx.observer.position(self.shell.job_name(), self.position.commit_seq);
    }

    pub async fn history(&self, plan: &str, seqs: (i64, i64), reason: String, outcome: &str, since_ms: i64) {
        let now = self.shell.now_ms();
        self.shell
            .record_history(HistoryEntry {
                at_ms: now,
                first_commit_seq: seqs.0,
                last_commit_seq: seqs.1,
                plan: plan.to_owned(),
                reason,
                outcome: outcome.to_owned(),
                duration_ms: now.saturating_sub(since_ms),
            })
            .await;
    }
}
