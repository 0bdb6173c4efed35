//! Writing down how far the job is.

use std::sync::Arc;
use std::time::Duration;

use super::Stream;
use crate::error::{Error, Result};
use crate::job::{JobState, Position};
use crate::runner::shell::Shell;
use crate::runner::track::Track;

/// An idle job rewrites its position this often, so that its age tells how long the job was away.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(10 * 60);

/// Cursors of tables apart are written with the whole state, so not for each transaction.
const CURSOR_INTERVAL_MS: i64 = 1000;

/// And so is what is not visible yet, which the position must not overtake: while commits are not waited for, the
/// position is written this often.
const UNPUBLISHED_INTERVAL_MS: i64 = 5000;

impl Stream<'_> {
    /// Writes the position when it has moved: one small row. Cursors go with the whole state.
    pub(super) fn start_recording(&mut self) {
        let now = self.shell.now_ms();
        if self.recording.is_some() {
            return;
        }
        self.job.certain_at_ms = self.certain_at_ms();
        let mut position = self.job.position;
        position.updated_at_ms = self.job.certain_at_ms.min(now);
        let shell = Arc::clone(&self.shell);
        let since_ms = now - self.state_saved_at_ms;
        let is_unstored = shell.publishing.has_more_than(&self.job.state.unpublished);
        if self.cursors_moved && since_ms >= CURSOR_INTERVAL_MS
            || is_unstored && since_ms >= UNPUBLISHED_INTERVAL_MS
        {
            self.cursors_moved = false;
            (self.state_saved_at_ms, self.recorded_at_ms) = (now, now);
            self.job.note_unpublished();
            self.recording = Some(Box::pin(record_all(shell, self.job.state.clone(), position)));
        } else if is_unstored {
            // Later, or when it is visible.
        } else if self.job.position.commit_seq != self.recorded.commit_seq
            || Duration::from_millis(now.abs_diff(self.recorded_at_ms)) >= HEARTBEAT
        {
            self.recorded_at_ms = now;
            self.recording = Some(Box::pin(record(shell, position)));
        }
    }

    /// No commit beyond the position, or beyond a cursor, was tried before this moment.
    pub(super) fn certain_at_ms(&self) -> i64 {
        let tracks = self.replays.values().chain([&self.main]);
        tracks.filter_map(Track::certain_at_ms).min().unwrap_or(i64::MAX)
    }

    /// Waits for a write under way, so that a later one cannot be overtaken by it.
    pub(super) async fn settle_recording(&mut self) -> Result<()> {
        if let Some(recording) = self.recording.take() {
            self.recorded = recording.await?;
        }
        Ok(())
    }
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
