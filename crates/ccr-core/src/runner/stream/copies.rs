//! Copies whose restore came to nothing: when they are tried again, and who does not wait for that.
//!
//! While a copy is being put in place nobody may rename its table or copy it once more, so the main track waits. A restore
//! that was cancelled holds nothing, though, and may be so for long: whoever waits goes on before it is tried again.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::statements::named_tables;
use super::{Held, Stream};
use crate::error::{Error, Result};
use crate::job::{ApartWork, Event, SnapshotStep};
use crate::runner::cancelled::is_recorded;
use crate::runner::doubt::EarlierCommits;

impl Stream<'_> {
    /// A restore was cancelled. The next try begins after a pause that shows the error; without one, at once, beside the
    /// table.
    pub(super) async fn restore_cancelled(
        &mut self,
        source_id: i64,
        status: String,
        error: Option<Error>,
    ) -> Result<()> {
        let attempt = self.restore_attempt(source_id);
        if is_recorded(attempt) {
            let (cursor, since) = (self.cursor(source_id), self.since_ms(source_id));
            self.job.history("restore", (cursor, cursor), status, "cancelled", since).await;
        }
        let aside = error.is_none();
        self.job.apply(Event::PartialRestoreCancelled { source_id, aside }).await?;
        match error {
            Some(error) if !self.waits_for_held(source_id) => {
                self.start_lane(source_id, EarlierCommits::default());
                self.delay_copy(source_id, error, attempt);
            }
            Some(error) => self.shell.show_error(&error, attempt),
            None => self.start_lane(source_id, EarlierCommits::default()),
        }
        Ok(())
    }

    /// A restore was given up for a change of its table's name.
    pub(super) async fn restore_gave_way(&mut self, source_id: i64) -> Result<()> {
        let (cursor, since) = (self.cursor(source_id), self.since_ms(source_id));
        let text = format!("{}: its name changes", self.reason(source_id));
        self.job.history("restore", (cursor, cursor), text, "given up", since).await;
        self.job.apply(Event::PartialRestoreCancelled { source_id, aside: false }).await?;
        if !self.waits_for_held(source_id) {
            self.start_lane(source_id, EarlierCommits::default());
        }
        Ok(())
    }

    /// Lets a copy that has just been started over wait, longer each time: while it does, the others go on.
    pub(super) fn delay_copy(&mut self, source_id: i64, error: Error, tries: u32) {
        let Some(copy) = self.copies.remove(&source_id) else { return };
        let shell = Arc::clone(&self.shell);
        let give_way = self.give_way.get(&source_id).cloned().unwrap_or_default();
        let later = async move {
            shell.pause_unless(&error, tries, || give_way.load(Ordering::Relaxed)).await;
            copy.await
        };
        self.copies.insert(source_id, Box::pin(later));
    }

    /// Lets a copy that is not being put in place stand still until what the main track holds is done, if that may be
    /// about its table. It goes on under the name that the table has then.
    fn waits_for_held(&mut self, source_id: i64) -> bool {
        let until = match &self.held {
            Some(Held::Statement(change, statement)) if named_tables(statement).contains(&source_id) => {
                change.commit_seq
            }
            // Of which tables it is, is found out when it is planned again.
            Some(Held::Replan) => self.main.done_to + 1,
            Some(Held::Statement(..)) | None => return false,
        };
        self.parked.insert(source_id, until);
        true
    }

    /// The number of the try to put a copy in place.
    fn restore_attempt(&self, source_id: i64) -> u32 {
        match self.job.state.apart(source_id).map(|apart| &apart.work) {
            Some(ApartWork::PartialSync { step: SnapshotStep::Restore { attempt, .. }, .. }) => *attempt,
            Some(ApartWork::PartialSync { .. } | ApartWork::CatchUp { .. } | ApartWork::Blocked(_))
            | None => 1,
        }
    }
}
