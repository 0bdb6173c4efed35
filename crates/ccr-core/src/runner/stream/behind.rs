//! What is behind a gap in the job's binlog: what each table has lost, and what the upstream has now.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use doris_types::call::{BinlogPage, BinlogScope, MetaFilter};

use super::{Stream, look, newest};
use crate::effect::{look_for, restore, upstream};
use crate::error::{Disposition, Error, Origin, Result};
use crate::job::{ApartWork, Behind, FullSyncReason, GapCrossed, JobState, Lane, SnapshotStep, TableLink};
use crate::plan::TrackId;
use crate::plan::restored::{self, Names, Restore};
use crate::proof::is_own;
use crate::runner::shell::Shell;

/// What is behind a gap.
pub(super) enum Sight {
    Crossable(Box<GapCrossed>),
    /// Only a copy of everything brings the job behind it.
    FullSync(FullSyncReason),
    /// The database is not there, which whoever reads its list looks into.
    NoDatabase,
}

/// What the upstream has now.
#[derive(PartialEq, Eq)]
struct Listing {
    db_id: i64,
    names: Names,
    /// `None` when the account may not see them.
    views: Option<BTreeMap<i64, String>>,
    dropped: BTreeSet<i64>,
}

enum Listed {
    /// The names are those at the newest binlog; the tables that are gone are linked.
    As {
        listing: Listing,
        newest: i64,
        gone: BTreeSet<i64>,
    },
    NoDatabase,
    /// The frontend is too old to tell the newest binlog.
    NoEnd,
}

impl Stream<'_> {
    /// What is behind a gap that reaches at least up to there.
    pub(super) async fn look_behind(&mut self, expired_to: Option<i64>) -> Result<Sight> {
        self.look_at_all(expired_to, true).await
    }

    /// What everything is called now, where nothing has expired behind the position.
    pub(super) async fn look_at_names(&mut self) -> Result<Sight> {
        self.look_at_all(Some(self.main.done_to), false).await
    }

    async fn look_at_all(&mut self, expired_to: Option<i64>, is_gap: bool) -> Result<Sight> {
        let shell = Arc::clone(&self.shell);
        let position = self.main.done_to;
        let expired_to = match expired_to {
            Some(expired_to) => Some(expired_to),
            None => oldest(&shell).await?.filter(|oldest| *oldest > position),
        };
        let not_provable = |why: &str| {
            let why = why.to_owned();
            Ok(Sight::FullSync(FullSyncReason::BinlogExpired { position, expired_to, why }))
        };
        let Some(expired_to) = expired_to else {
            return not_provable("the upstream does not say how far");
        };
        // What it would have created is known by its name, whether or not it did.
        let in_doubt = self.statement_in_doubt(TrackId::Main).filter(|_| self.job.state.creating().is_none());
        if let Some(seq) = in_doubt.filter(|seq| (position + 1..=expired_to).contains(seq)) {
            return not_provable(&format!(
                "whether the statement at commit seq {seq} took effect cannot be told"
            ));
        }
        let state = &self.job.state;
        let (listing, named_to, gone) = match settled_listing(&shell, state).await? {
            Listed::As { listing, newest, gone } => (listing, newest.max(expired_to), gone),
            Listed::NoDatabase => return Ok(Sight::NoDatabase),
            Listed::NoEnd => return not_provable("the upstream does not say where its binlog ends"),
        };
        if let (Some(old_id), new_id) = (state.source_db, listing.db_id)
            && old_id != new_id
        {
            return Ok(Sight::FullSync(FullSyncReason::SourceDatabaseReplaced { old_id, new_id }));
        }
        let Some(views) = listing.views else {
            return not_provable("the account may not list views with their ids (SHOW PROC)");
        };
        let restored =
            if is_gap { restored_since(&shell, state, &listing.names).await? } else { BTreeSet::new() };
        let there = tables_of(&shell, restored::unknown(state, &listing.names)).await?;
        // They are called what the list says, whatever has become of that since.
        let listed = |id: &i64| Some((*id, listing.names.get(id)?.clone()));
        let mut appeared: Names = there.keys().filter_map(listed).collect();
        let mut tables = BTreeMap::new();
        for (source_id, link) in &state.tables {
            let by = appeared.iter().find(|(_, name)| **name == link.source_name).map(|(id, _)| *id);
            let is_dropped = link.lane.apart().is_some_and(|apart| apart.dropped_at.is_some());
            let behind = match (listing.names.get(source_id), by) {
                (None, _) if is_dropped => Behind::Kept { name: link.source_name.clone() },
                (None, Some(by_id)) if gone.contains(source_id) => {
                    appeared.remove(&by_id);
                    Behind::TakenOver { by_id }
                }
                (None, None) if gone.contains(source_id) => Behind::Gone,
                (name, _) if !is_gap => Behind::Kept { name: name.unwrap_or(&link.source_name).clone() },
                (name, _) => {
                    let name = name.unwrap_or(&link.source_name).clone();
                    let is_restored = restored.contains(source_id);
                    match lost_after(&shell, position, expired_to, (*source_id, link), is_restored).await? {
                        None => Behind::Kept { name },
                        Some(cursor) => Behind::Copied { name, cursor },
                    }
                }
            };
            let is_waited_for = self.copies.contains_key(source_id);
            if let Some(label) = restore_of(link).filter(|_| !is_waited_for && behind.is_change_of(link))
                && restore::is_known(&shell, label).await?
            {
                // What it has put in place, or will, has an id that nobody knows.
                return not_provable(&format!("a copy of table {} is half in place", link.source_name));
            }
            tables.insert(*source_id, behind);
        }
        let copied = tables.values().filter(|behind| matches!(behind, Behind::Copied { .. })).count();
        let is_kept = |(id, behind): (&i64, &Behind)| {
            matches!(behind, Behind::Kept { .. }) && listing.names.contains_key(id)
        };
        let is_any_kept = tables.iter().any(is_kept);
        if copied > 0 && !is_any_kept {
            return not_provable("all of its tables have lost changes");
        }
        let at_ms = shell.now_ms();
        let gap = GapCrossed { expired_to, named_to, tables, appeared, views: Some(views), at_ms };
        Ok(Sight::Crossable(Box::new(gap)))
    }
}

/// The label of the restore that puts a copy of the table in place.
fn restore_of(link: &TableLink) -> Option<&str> {
    match link.lane.apart().map(|apart| &apart.work) {
        Some(ApartWork::PartialSync { step: SnapshotStep::Restore { restore_label, .. }, .. }) => {
            Some(restore_label)
        }
        Some(ApartWork::PartialSync { .. } | ApartWork::CatchUp { .. } | ApartWork::Blocked(_)) | None => {
            None
        }
    }
}

/// Lists what is upstream until two lists, with the newest binlog between them, are the same.
async fn settled_listing(shell: &Arc<Shell>, state: &JobState) -> Result<Listed> {
    loop {
        let Some(before) = list(shell).await? else { return Ok(Listed::NoDatabase) };
        let newest = newest(shell, &whole(shell)).await?;
        if newest == i64::MAX {
            return Ok(Listed::NoEnd);
        }
        let Some(listing) = list(shell).await? else { return Ok(Listed::NoDatabase) };
        if before == listing {
            let absent = state.tables.keys().filter(|id| !listing.names.contains_key(*id)).copied();
            let (mut gone, unproven): (BTreeSet<i64>, BTreeSet<i64>) =
                absent.partition(|id| listing.dropped.contains(id));
            let missing = look::missing(Arc::clone(shell), unproven.clone()).await?;
            if missing == unproven {
                gone.extend(missing);
                return Ok(Listed::As { listing, newest, gone });
            }
        }
        let error = Error::retry(Origin::UpstreamFe, "CCR0303", "the list of the upstream tables changes");
        shell.pause_once(&error).await;
    }
}

/// The tables that a restore may have overwritten which the job has not come to. Behind the gap nobody can tell whether
/// it did, for tables that were created in the gap look like those that it has made.
async fn restored_since(shell: &Arc<Shell>, state: &JobState, names: &Names) -> Result<BTreeSet<i64>> {
    let (db, source) = (shell.source_database(), &shell.ctx.upstream);
    let seen = state.tables.values().filter_map(|link| link.restored_to).min().unwrap_or(i64::MAX);
    let jobs = shell.retry(async || source.restore_jobs(db).await.map_err(upstream)).await?;
    let others = jobs.into_iter().filter(|job| !job.is_cancelled() && !is_own(shell.job_id(), &job.label));
    let mut restored = BTreeSet::new();
    for job in others.filter(|job| job.id > seen) {
        let read = async || source.restored_objects(db, &job).await.map_err(upstream);
        let Some(objects) = look_for(shell, &job.label, read).await? else { continue };
        let restore = Restore { id: job.id, label: job.label.clone(), objects };
        let is_new = |id: &i64| {
            let link = state.tables.get(id);
            link.and_then(|link| link.restored_to).is_some_and(|restored_to| restored_to < restore.id)
        };
        restored.extend(restored::named(&restore, state, names).into_iter().filter(is_new));
    }
    Ok(restored)
}

/// After which commit seq the table has lost something of its own list, if it has, or has to be copied for a restore.
async fn lost_after(
    shell: &Arc<Shell>,
    position: i64,
    expired_to: i64,
    (source_id, link): (i64, &TableLink),
    is_restored: bool,
) -> Result<Option<i64>> {
    let after = match &link.lane {
        Lane::Flowing => position.max(link.synced_to),
        Lane::Apart(apart) => match apart.work {
            // What it shares with others the job would have brought.
            ApartWork::CatchUp { trails: true, .. } => apart.cursor,
            ApartWork::CatchUp { .. } if is_restored => apart.cursor,
            // It reads its list itself, and meets the gap there.
            ApartWork::CatchUp { .. } | ApartWork::PartialSync { .. } | ApartWork::Blocked(_) => {
                return Ok(None);
            }
        },
    };
    if is_restored {
        return Ok(Some(after));
    }
    let scope = BinlogScope { table_id: Some(source_id), ..whole(shell) };
    let read = async || shell.ctx.upstream.binlogs(&scope, after, 1).await.map_err(upstream);
    let is_whole = match shell.retry(read).await? {
        BinlogPage::CaughtUp => true,
        // What the job's list does not have any more cannot be in this one; where it is, only a copy is certain.
        BinlogPage::Entries(entries) => entries.iter().all(|entry| entry.commit_seq > expired_to),
        // A list begins with the first change. A snapshot leaves an entry; a table that a statement has made need
        // not have changed since.
        BinlogPage::NotFound => link.restored_to == Some(source_id),
        BinlogPage::TooOld { .. } | BinlogPage::Disabled => false,
    };
    Ok((!is_whole).then_some(after))
}

/// What the upstream has; `None` when the database is not there.
async fn list(shell: &Arc<Shell>) -> Result<Option<Listing>> {
    let db_name = shell.source_database();
    let read = async || shell.ctx.upstream.meta(db_name, MetaFilter::Names).await.map_err(upstream);
    let Some(meta) = shell.retry(read).await? else { return Ok(None) };
    let read = async || match shell.ctx.upstream.views_by_id(db_name, meta.id).await.map_err(upstream) {
        Ok(views) => Ok(Some(views)),
        Err(error) if error.disposition == Disposition::Block => Ok(None),
        Err(error) => Err(error),
    };
    let mut views = shell.retry(read).await?;
    if views.is_none() {
        let read = async || shell.ctx.upstream.views(db_name).await.map_err(upstream);
        // Where there are none, none can have been changed.
        views = shell.retry(read).await?.is_empty().then(BTreeMap::new);
    }
    let dropped = meta.dropped_tables.keys().copied().collect();
    Ok(Some(Listing { db_id: meta.id, names: restored::names(&meta), views, dropped }))
}

/// Those of the tables that are there and are tables of their own.
async fn tables_of(shell: &Arc<Shell>, ids: Vec<i64>) -> Result<Names> {
    if ids.is_empty() {
        return Ok(Names::new());
    }
    let filter = MetaFilter::Tables(ids);
    let read =
        async || shell.ctx.upstream.meta(shell.source_database(), filter.clone()).await.map_err(upstream);
    Ok(shell.retry(read).await?.map(|db| restored::names(&db)).unwrap_or_default())
}

/// Where the job's list begins: the newest entry that has expired.
async fn oldest(shell: &Arc<Shell>) -> Result<Option<i64>> {
    let scope = whole(shell);
    let ask = async || shell.ctx.upstream.binlog_lag(&scope, 0).await.map_err(upstream);
    Ok(shell.retry(ask).await?.map(|lag| lag.first_commit_seq))
}

/// The job's list.
fn whole(shell: &Shell) -> BinlogScope {
    BinlogScope { database: shell.source_database().to_owned(), table_id: None }
}
