//! A gap in the job's binlog: what it can have touched, table by table.
//!
//! An expiry cuts the list of a table where it cuts the job's, and leaves behind the last entry that it removed of
//! that table. So a table whose own list is whole from its position on has lost nothing, and goes on with the job
//! behind the gap. What lists of tables do not hold, who was created, dropped, renamed or has taken another's place,
//! is seen by comparing the links with the tables and views upstream, by their ids; the names are taken over as of one
//! commit seq. What cannot be told apart in this way is a full sync, with its reason.
//!
//! The same comparison, without a gap, settles a swap whose tables have other names here than the binlog says.

use super::behind::Sight;
use super::crossing::settle;
use super::{Flow, Held, Stream};
use crate::change::Change;
use crate::error::{Disposition, Error, Origin, Result};
use crate::job::{Apart, Behind, Event, FullSyncReason, GapCrossed, SyncType};
use crate::runner::doubt::EarlierCommits;
use crate::runner::track::Track;

/// Tables that are named in the log and the history; of more, only the number is told.
const NAMED: usize = 10;

impl Stream<'_> {
    /// Crosses a gap in the list of a database job where that can be done by table, or copies everything.
    pub(super) async fn meet_gap(&mut self, reason: FullSyncReason) -> Result<Flow> {
        let FullSyncReason::BinlogExpired { expired_to, .. } = &reason else {
            return self.full_sync(reason).await;
        };
        if self.shell.ctx.record.spec.sync_type() == SyncType::Table {
            return self.full_sync(reason).await;
        }
        match self.look_behind(*expired_to).await? {
            Sight::FullSync(reason) => return self.full_sync(reason).await,
            Sight::NoDatabase => {
                self.shell.followed.doubt();
                let error = Error::retry(Origin::UpstreamFe, "CCR0301", "the upstream database is not there");
                self.shell.pause_once(&error).await;
                self.main.rewind();
            }
            Sight::Crossable(gap) if self.is_in_the_way(&gap) => self.held = Some(Held::Replan),
            Sight::Crossable(gap) => self.cross(*gap).await?,
        }
        Ok(Flow::GoOn)
    }

    /// A swap cannot be repeated, or its tables are not called here what they are called in it: so all names are taken
    /// over as they are upstream now, which makes the swap, and what else the binlog tells of names up to there,
    /// needless. Where that cannot be proven, the names are those that the swap itself says.
    pub(super) async fn take_over_names(&mut self, change: &Change, error: Error) -> Result<()> {
        let commit_seq = change.commit_seq;
        if self.shell.ctx.record.spec.sync_type() == SyncType::Table
            || error.disposition != Disposition::Block
        {
            return Err(error);
        }
        match self.look_at_names().await? {
            Sight::FullSync(_) => return self.settle_swap(change, error).await,
            // The frontend that answers is behind the one that told of the change.
            Sight::NoDatabase => self.look_at_names_again(&error).await,
            Sight::Crossable(gap) if gap.named_to < commit_seq => self.look_at_names_again(&error).await,
            Sight::Crossable(gap) if self.is_in_the_way(&gap) => self.held = Some(Held::Replan),
            Sight::Crossable(gap) => {
                let (at, since) = (self.main.done_to, self.shell.now_ms());
                let (text, named_to) = (error.to_string(), gap.named_to);
                tracing::info!(at, named_to, reason = text, "names are taken over from the upstream");
                self.go_behind(*gap).await?;
                self.job.history("names", (at, named_to), text, "taken over", since).await;
            }
        }
        Ok(())
    }

    async fn look_at_names_again(&mut self, error: &Error) {
        self.shell.pause_once(error).await;
        self.main.rewind();
    }

    /// Whether a table whose name or place changes is in the middle of something that needs them.
    pub(super) fn is_in_the_way(&self, gap: &GapCrossed) -> bool {
        self.touched(gap).into_iter().any(|id| {
            self.copies.contains_key(&id) && self.is_being_restored(id)
                || self.replays.get(&id).is_some_and(Track::is_acting)
        })
    }

    /// Tables that do not go on as they are.
    fn touched(&self, gap: &GapCrossed) -> Vec<i64> {
        let is_touched = |(id, behind): &(&i64, &Behind)| {
            self.job.state.tables.get(*id).is_some_and(|link| behind.is_change_of(link))
        };
        gap.tables.iter().filter(is_touched).map(|(id, _)| *id).collect()
    }

    /// Takes over what was found behind the gap, and goes on there.
    async fn cross(&mut self, gap: GapCrossed) -> Result<()> {
        let (from, expired_to, since) = (self.main.done_to, gap.expired_to, self.shell.now_ms());
        let text = self.describe(&gap);
        tracing::info!(from, expired_to, "a gap in the binlog: {text}");
        self.go_behind(gap).await?;
        self.job.history("gap", (from, expired_to), text, "crossed", since).await;
        Ok(())
    }

    pub(super) async fn go_behind(&mut self, gap: GapCrossed) -> Result<()> {
        let (expired_to, touched) = (gap.expired_to, self.touched(&gap));
        let told = self.main.told.clone();
        let is_open = |apart: &Apart| apart.dropped_at.is_some() || apart.renaming.is_some();
        let links = self.job.state.tables.iter();
        let open: Vec<i64> =
            links.filter(|(_, link)| link.lane.apart().is_some_and(is_open)).map(|(id, _)| *id).collect();
        // What is under way to names and targets goes by what is replaced here.
        for source_id in touched.into_iter().chain(open) {
            self.forget_lane(source_id);
        }
        self.main.told = told;
        self.look.forget();
        self.job.apply(Event::GapCrossed(Box::new(gap))).await?;
        settle(self.job).await?;
        self.recorded = self.job.position;
        self.main.jump_to(expired_to);
        let apart: Vec<i64> = self
            .job
            .state
            .tables
            .iter()
            .filter(|(_, link)| !link.lane.is_flowing())
            .map(|(id, _)| *id)
            .collect();
        for source_id in apart {
            // What the main track would have passed over is not known: their own lists must have come there.
            let passed = self.main.passed.entry(source_id).or_default();
            *passed = expired_to.max(*passed);
            let runs = self.copies.contains_key(&source_id) || self.replays.contains_key(&source_id);
            if !runs && !self.parked.contains_key(&source_id) {
                self.start_lane(source_id, EarlierCommits::default());
            }
        }
        self.follow_main();
        self.tables_moved();
        Ok(())
    }

    fn describe(&self, gap: &GapCrossed) -> String {
        let name = |id: &i64| self.job.state.tables.get(id).map_or("", |link| link.source_name.as_str());
        let of = |is_meant: fn(&Behind) -> bool| {
            let meant = gap.tables.iter().filter(|(_, behind)| is_meant(behind));
            list_of(meant.map(|(id, _)| name(id)).collect())
        };
        let copied = of(|behind| matches!(behind, Behind::Copied { .. }));
        let gone = of(|behind| matches!(behind, Behind::Gone | Behind::TakenOver { .. }));
        let new = gap.tables.values().filter(|behind| matches!(behind, Behind::TakenOver { .. })).count();
        format!(
            "the upstream binlog has expired up to commit seq {}, the job stood at {}; of {} tables {copied} lost \
             changes and are copied, {gone} are gone, {} are new",
            gap.expired_to,
            self.main.done_to,
            gap.tables.len(),
            gap.appeared.len() + new
        )
    }
}

/// A number, with the names where there are few.
fn list_of(names: Vec<&str>) -> String {
    match names.len() {
        0 => "0".to_owned(),
        number if number <= NAMED => format!("{number} ({})", names.join(", ")),
        number => number.to_string(),
    }
}
