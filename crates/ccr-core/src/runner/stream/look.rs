//! Looking upstream for what its binlog does not tell: restores, and tables that appeared without being created.
//!
//! Now and then the restore jobs of the upstream database are listed, which costs one short statement. Only when one
//! is new, and once when the stream begins, the tables are listed too. What that shows is judged when everything that
//! was in the binlog then is applied, for then a table without a link was not created by a statement, and one that is
//! linked and gone was not dropped by one; and only after a second look, which also asks again where the binlog ends.
//!
//! Nothing of it is stored but, with each table, up to which restore job its target is good: ids of jobs and tables
//! are counted together, and backups and restores of a database run one after the other, so a restore with a higher id
//! than the backup that a table was copied from is not in the copy.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use doris_types::call::{BinlogScope, MetaFilter};
use doris_types::failure::{Failure, Result as CallResult};
use doris_types::meta::{RestoredObjects, SnapshotJob};
use futures::future::BoxFuture;

use super::Stream;
use super::look_views::{self, Views};
use crate::effect::upstream;
use crate::error::{Error, Origin, Result};
use crate::job::{Event, JobState, Leaving, NO_TARGET, PartialSyncReason, SyncType};
use crate::plan::TrackId;
use crate::plan::restored::{self, Names, Restore};
use crate::proof::is_own;
use crate::runner::shell::Shell;

/// Looks that fail one after the other before the log holds a warning.
const WARN_AFTER: u32 = 6;

/// Looks, after two that found nothing of it, before a table counts as gone.
pub(super) const MISSING_LOOKS: u32 = 3;

/// Lists without any table before it is believed that there is none.
const EMPTY_LISTS: u32 = 3;

/// What is known of restores upstream, in memory only: a new task looks at everything again.
#[derive(Default)]
pub(super) struct Look {
    pub running: Option<BoxFuture<'static, CallResult<Seen>>>,
    due_ms: i64,
    /// The tables were listed after the restores up to this id; `None` when they have not been.
    listed_to: Option<i64>,
    /// What waits until the main track has come to it.
    found: Option<Found>,
    /// The tables that restores have overwritten, by the id of the restore.
    judged: BTreeMap<i64, Judged>,
    failures: u32,
    /// Not before that the tables are listed again because a name is taken.
    named_ms: i64,
    /// Why the last look has told nothing.
    unknown: Option<String>,
    /// Lists without any table, one after the other.
    empty_lists: u32,
    /// Tables that have got another name since the look began.
    renamed: BTreeSet<i64>,
}

struct Judged {
    label: String,
    overwritten: BTreeSet<i64>,
}

/// What a look has brought.
pub(super) enum Seen {
    /// The newest finished restore, and whether one is running.
    Restores {
        finished_to: i64,
        is_running: bool,
    },
    Found {
        finished_to: i64,
        found: Found,
    },
    /// There is no table at all, which is to be seen more than once.
    NoTables,
    /// Tables that were found are looked at again: those that are there, and those that were dropped.
    Again {
        asked: BTreeSet<i64>,
        present: BTreeSet<i64>,
        names: Names,
        dropped: BTreeSet<i64>,
        /// All views, if they were listed before.
        views: Option<Views>,
        /// The newest binlog at that time.
        newest: i64,
    },
}

pub(super) struct Found {
    restores: Vec<Restore>,
    names: Names,
    /// The views, where they are not those that the job knows.
    views: Option<Views>,
    /// The newest binlog after the tables were listed.
    newest: i64,
    /// Whether that was asked for twice: a master that has been cut off, and has not noticed, tells of an older one.
    is_told_again: bool,
    /// The tables that each restore names, by the names they had then.
    named: BTreeMap<i64, BTreeSet<i64>>,
    absent: BTreeSet<i64>,
}

/// What the job knows when it looks.
struct Known {
    /// Restores up to here are in every target.
    restored_to: i64,
    listed_to: Option<i64>,
    judged: BTreeSet<i64>,
    done_to: i64,
    empty_lists: u32,
}

impl Look {
    /// Lists the tables again, at once.
    pub fn again(&mut self) {
        (self.listed_to, self.due_ms) = (None, 0);
    }

    /// The same for a table that finds its name taken, now and then.
    pub fn again_for_a_name(&mut self, now_ms: i64, pause: Duration) {
        if now_ms >= self.named_ms {
            self.named_ms = now_ms + i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
            self.again();
        }
    }

    /// What was found says nothing any more.
    pub fn forget(&mut self) {
        (self.running, self.found) = (None, None);
        self.again();
    }

    /// Tables have got other names.
    pub fn renamed(&mut self, source_ids: &[i64]) {
        self.renamed.extend(source_ids);
    }

    fn pause(&self, now_ms: i64) -> Duration {
        Duration::from_millis(u64::try_from(self.due_ms - now_ms).unwrap_or(0))
    }
}

impl Stream<'_> {
    /// Starts a look when it is time for one.
    pub(super) fn start_look(&mut self) {
        if self.look.running.is_some() || self.shell.now_ms() < self.look.due_ms {
            return;
        }
        let shell = Arc::clone(&self.shell);
        if let Some(found) = &self.look.found {
            if self.has_come_to(found) {
                let mut ids = restored::unknown(&self.job.state, &found.names);
                ids.extend(restored::absent(&self.job.state, &found.names));
                let views_of = self.job.state.source_db.filter(|_| found.views.is_some());
                let list = (list_of(&shell, &self.job.state), self.main.done_to);
                self.look.running = Some(Box::pin(look_again(shell, ids, views_of, list)));
            }
            return;
        }
        let tables = self.job.state.tables.values();
        let known = Known {
            restored_to: tables.filter_map(|link| link.restored_to).min().unwrap_or(0),
            listed_to: self.look.listed_to,
            judged: self.look.judged.keys().copied().collect(),
            done_to: self.main.done_to,
            empty_lists: self.look.empty_lists,
        };
        let state = self.job.state.clone();
        self.look.renamed.clear();
        self.look.running = Some(Box::pin(look(shell, known, state)));
    }

    /// How long until the next look; `None` while one runs or waits for the main track.
    pub(super) fn look_pause(&self) -> Option<Duration> {
        let waits = self.look.found.as_ref().is_some_and(|found| !self.has_come_to(found));
        (!waits && self.look.running.is_none()).then(|| self.look.pause(self.shell.now_ms()))
    }

    /// Whether everything is applied that was in the binlog when the tables were listed.
    fn has_come_to(&self, found: &Found) -> bool {
        self.main.done_to >= found.newest && self.is_quiet()
    }

    /// Whether a table can be taken out of the main track now.
    fn is_quiet(&self) -> bool {
        self.held.is_none()
            && !self.main.is_acting()
            && self.statement_in_doubt(TrackId::Main).is_none_or(|seq| seq <= self.main.done_to)
    }

    pub(super) async fn looked(&mut self, seen: CallResult<Seen>) -> Result<()> {
        if seen.is_ok() {
            self.look.unknown = None;
            if self.look.failures >= WARN_AFTER {
                self.shell.recovered(self.look.failures);
            }
        }
        let looked = self.take_in(seen).await;
        let is_open = self.look.found.is_some() || !self.overwritten().0.is_empty();
        let waits =
            || "a restore upstream, or a table that no binlog tells of, is being looked into".to_owned();
        let unproven = self.look.unknown.clone().or_else(|| is_open.then(waits));
        let seen = self.look.listed_to;
        self.shell.update_status(|status| {
            status.unproven = unproven;
            status.restores_seen = seen.or(status.restores_seen);
        });
        looked
    }

    async fn take_in(&mut self, seen: CallResult<Seen>) -> Result<()> {
        let options = &self.shell.ctx.options;
        let (soon, later) = (options.poll_max, options.restore_look);
        let after =
            |pause: Duration| self.shell.now_ms() + i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
        match seen {
            Err(failure) => {
                self.look.due_ms = after(later.min(soon * (self.look.failures + 1)));
                self.failed_to_look(&failure);
            }
            Ok(Seen::Restores { finished_to, is_running }) => {
                self.look.due_ms = after(if is_running { soon } else { later });
                (self.look.failures, self.look.empty_lists) = (0, 0);
                self.look.listed_to = Some(finished_to);
                self.note_unknown_restores(finished_to).await?;
                self.copy_overwritten().await?;
                if !is_running {
                    self.forget_names().await?;
                }
            }
            Ok(Seen::Found { finished_to, found }) => {
                self.look.due_ms = self.shell.now_ms();
                (self.look.failures, self.look.empty_lists) = (0, 0);
                self.note_unknown_restores(finished_to).await?;
                self.look.found = Some(found);
            }
            Ok(Seen::NoTables) => {
                self.look.due_ms = after(soon);
                self.look.empty_lists += 1;
            }
            Ok(Seen::Again { asked, present, names, dropped, views, newest }) => {
                self.look.due_ms = after(soon);
                self.look.failures = 0;
                if !self.is_quiet() {
                    return Ok(());
                }
                if let Some(found) = self.look.found.as_mut().filter(|found| !found.is_told_again) {
                    found.is_told_again = true;
                    if newest > self.main.done_to {
                        // What was found may be the work of what is still to come.
                        found.newest = newest;
                        return Ok(());
                    }
                }
                if let Some(found) = self.look.found.take()
                    && self.agrees(&found, &present, &dropped)
                    && self.views_agree(found.views.as_ref(), views.as_ref())
                {
                    if let (Some(_), Some(listed)) = (&found.views, &views) {
                        self.settle_recording().await?;
                        self.settle_views(listed).await?;
                    }
                    let absent = self.absent(&found, asked.difference(&present));
                    self.settle(found, names, &dropped, absent).await?;
                    self.copy_overwritten().await?;
                }
            }
        }
        Ok(())
    }

    /// Names that tables had before a look that has found no restore are of no use any more.
    async fn forget_names(&mut self) -> Result<()> {
        let tables = self.job.state.tables.iter();
        let forgotten =
            tables.filter(|(id, link)| !link.former_names.is_empty() && !self.look.renamed.contains(id));
        let source_ids: Vec<i64> = forgotten.map(|(id, _)| *id).collect();
        if source_ids.is_empty() {
            return Ok(());
        }
        self.settle_recording().await?;
        self.job.apply(Event::FormerNamesForgotten { source_ids }).await?;
        self.recorded = self.job.position;
        Ok(())
    }

    fn failed_to_look(&mut self, failure: &Failure) {
        self.look.failures += 1;
        let message = format!("restores upstream cannot be looked for: {failure}");
        if self.look.failures >= WARN_AFTER {
            let error = Error::retry(Origin::UpstreamFe, "CCR0315", message.clone());
            self.shell.show_error(&error, self.look.failures);
        }
        self.look.unknown = Some(message);
        if self.look.failures == WARN_AFTER {
            tracing::warn!(code = "CCR0315", %failure, "restores upstream cannot be looked for");
        } else {
            tracing::debug!(%failure, "restores upstream could not be looked for");
        }
    }

    /// Of tables whose copy says nothing of restores, those that are listed now count as contained.
    async fn note_unknown_restores(&mut self, finished_to: i64) -> Result<()> {
        let tables = self.job.state.tables.iter();
        let unknown = tables.filter(|(_, link)| link.restored_to.is_none() && restored::can_leave(link));
        let restored_to: BTreeMap<i64, i64> = unknown.map(|(id, _)| (*id, finished_to)).collect();
        self.note_seen(restored_to).await
    }

    async fn note_seen(&mut self, restored_to: BTreeMap<i64, i64>) -> Result<()> {
        if restored_to.is_empty() {
            return Ok(());
        }
        self.settle_recording().await?;
        self.job.apply(Event::RestoresSeen { restored_to }).await?;
        self.recorded = self.job.position;
        Ok(())
    }

    /// Whether a second look at the tables in question agrees with the list; otherwise another one is needed.
    fn agrees(&self, found: &Found, present: &BTreeSet<i64>, dropped: &BTreeSet<i64>) -> bool {
        let unknown = restored::unknown(&self.job.state, &found.names);
        found.absent.is_disjoint(present)
            && unknown.iter().all(|id| present.contains(id) || dropped.contains(id))
    }

    /// The tables that neither the list nor the second look has. What was linked only after the list was read, because
    /// the binlog came to its creation then, counts where a restore that was listed is younger than it.
    fn absent<'a>(&self, found: &Found, missing: impl Iterator<Item = &'a i64>) -> BTreeSet<i64> {
        let absent = restored::absent(&self.job.state, &found.names);
        let is_older = |id: &i64| found.restores.iter().any(|restore| restore.id > *id);
        let is_meant = |id: &&i64| absent.contains(*id) && (found.absent.contains(*id) || is_older(id));
        missing.filter(is_meant).copied().collect()
    }

    /// Decides about what was found, now that all that the binlog told then is applied. `names` are those of the
    /// tables in question that are there now, `absent` those of the job that are not.
    async fn settle(
        &mut self,
        found: Found,
        names: Names,
        dropped: &BTreeSet<i64>,
        absent: BTreeSet<i64>,
    ) -> Result<()> {
        // A write under way would bring an older position after the newer one.
        self.settle_recording().await?;
        for (at, restore) in found.restores.iter().enumerate() {
            let next_id = found.restores.get(at + 1).map(|next| next.id);
            let is_judged = self.look.judged.contains_key(&restore.id);
            if !is_judged {
                let is_table_job = self.shell.ctx.record.spec.sync_type() == SyncType::Table;
                let overwrites =
                    is_table_job || restored::overwrites(restore, next_id, &self.job.state, &found.names);
                let named = found.named.get(&restore.id).filter(|_| overwrites);
                let overwritten = named.cloned().unwrap_or_default();
                let judged = Judged { label: restore.label.clone(), overwritten };
                self.look.judged.insert(restore.id, judged);
            }
            self.look.listed_to = self.look.listed_to.max(Some(restore.id));
        }
        self.look.listed_to = Some(self.look.listed_to.unwrap_or(0));
        let done_to = self.main.done_to;
        let may_be_gone = |id: &i64| self.job.state.tables.get(id).is_some_and(restored::may_be_gone);
        let candidates = absent.iter().filter(|id| !dropped.contains(id) && may_be_gone(id));
        let candidates = candidates.copied().collect();
        let mut gone = missing(Arc::clone(&self.shell), candidates).await?;
        let mut has_moved = false;
        for source_id in restored::unknown(&self.job.state, &found.names) {
            let Some(name) = names.get(&source_id).cloned() else { continue };
            let by = found.restores.iter().rev().find(|restore| restore.id < source_id);
            let reason = by.map_or(PartialSyncReason::Appeared { commit_seq: done_to }, |restore| {
                PartialSyncReason::Restored { label: restore.label.clone() }
            });
            let had_name =
                |id: &&i64| self.job.state.tables.get(*id).is_some_and(|link| link.source_name == name);
            match gone.iter().find(had_name).copied() {
                Some(old_id) => {
                    gone.remove(&old_id);
                    self.take_over(old_id, source_id, name, reason, done_to + 1).await?;
                }
                None => self.adopt(source_id, name, false, reason, done_to + 1).await?,
            }
            has_moved = true;
        }
        for source_id in gone {
            self.vanish(source_id, &found.restores).await?;
            has_moved = true;
        }
        if has_moved {
            // What was planned without them is planned again.
            self.main.rewind();
        }
        Ok(())
    }

    /// Removes a table that a restore has replaced, and whose successor has another name or is gone as well.
    async fn vanish(&mut self, source_id: i64, restores: &[Restore]) -> Result<()> {
        let Some(link) = self.job.state.tables.get(&source_id).cloned() else { return Ok(()) };
        let (name, cursor) = (&link.source_name, self.main.done_to);
        let judged = self.look.judged.iter().map(|(id, judged)| (*id, &judged.label));
        let known = restores.iter().map(|restore| (restore.id, &restore.label)).chain(judged);
        let by = known.filter(|(id, _)| Some(*id) > link.restored_to).max().map(|(_, label)| label.clone());
        // Where nothing was copied yet, nothing is lost with it.
        let by = by.or_else(|| (link.target_id == NO_TARGET).then(|| "of an unknown label".to_owned()));
        let Some(label) = by else {
            let message = format!(
                "table {name} ({source_id}) is not upstream any more, and neither a binlog nor a restore tells why"
            );
            let hint =
                "/force_fullsync copies what there is, and drops the tables of the target that are not there";
            self.job.handling = None;
            let error = Error::blocked(Origin::UpstreamFe, "CCR0315", message, hint);
            let blocked = self.blocked(&error, cursor);
            return self.leave(source_id, cursor, Leaving::Blocked(blocked)).await;
        };
        let reason = PartialSyncReason::Restored { label }.describe();
        tracing::info!(table = source_id, name, %reason, "the table is gone upstream");
        // Its lane drops the target, and what becomes of that keeps nobody else.
        let why = Leaving::Vanished { commit_seq: cursor + 1, reason };
        self.leave(source_id, cursor, why).await
    }

    /// The tables that restores have overwritten since the job got them, and are to be copied; and those whose targets
    /// are good up to which restore.
    fn overwritten(&self) -> (BTreeMap<i64, String>, BTreeMap<i64, i64>) {
        let (mut to_copy, mut seen) = (BTreeMap::new(), BTreeMap::new());
        for (restore_id, judged) in &self.look.judged {
            for (source_id, link) in &self.job.state.tables {
                let is_new = link.restored_to.is_some_and(|known| known < *restore_id);
                if !is_new || !restored::can_leave(link) {
                    continue;
                }
                if judged.overwritten.contains(source_id) {
                    to_copy.insert(*source_id, judged.label.clone());
                } else {
                    seen.insert(*source_id, *restore_id);
                }
            }
        }
        seen.retain(|source_id, _| !to_copy.contains_key(source_id));
        (to_copy, seen)
    }

    /// Copies the tables that restores have overwritten since the job got them. One that cannot leave now is looked at
    /// again next time.
    async fn copy_overwritten(&mut self) -> Result<()> {
        if !self.is_quiet() {
            return Ok(());
        }
        let (to_copy, seen) = self.overwritten();
        self.note_seen(seen).await?;
        if to_copy.is_empty() {
            return Ok(());
        }
        // A write under way would bring an older position after the newer one.
        self.settle_recording().await?;
        for (source_id, label) in to_copy {
            let why = Leaving::PartialSync(PartialSyncReason::Restored { label });
            self.leave(source_id, self.main.done_to, why).await?;
        }
        // What of them is under way would go into the tables that are copied.
        self.main.rewind();
        Ok(())
    }
}

/// Lists restores, and the tables when there is a reason.
async fn look(shell: Arc<Shell>, known: Known, state: JobState) -> CallResult<Seen> {
    let (db, source) = (shell.source_database(), &shell.ctx.upstream);
    let is_table_job = shell.ctx.record.spec.sync_type() == SyncType::Table;
    let jobs = source.restore_jobs(db).await?;
    let is_running = jobs.iter().any(|job| !job.is_finished() && !job.is_cancelled());
    let mut finished: Vec<SnapshotJob> =
        jobs.into_iter().filter(|job| job.is_finished() && !is_own(shell.job_id(), &job.label)).collect();
    finished.sort_by_key(|job| job.id);
    let finished_to = finished.last().map_or(0, |job| job.id);
    let restores_only = Seen::Restores { finished_to, is_running };
    let mut restores = Vec::new();
    for job in finished {
        if job.id <= known.restored_to || known.judged.contains(&job.id) {
            continue;
        }
        if let Some(objects) = objects(&shell, &job).await? {
            restores.push(Restore { id: job.id, label: job.label, objects });
        }
    }
    let is_new = known.listed_to.is_none_or(|listed_to| finished_to > listed_to);
    if !is_new && restores.is_empty() {
        return Ok(restores_only);
    }
    let mut views = None;
    let names = if is_table_job {
        if restores.is_empty() {
            return Ok(restores_only);
        }
        let ids = state.tables.keys().copied().collect();
        let names = restored::names(&source.meta(db, MetaFilter::Tables(ids)).await?.unwrap_or_default());
        if names.is_empty() {
            // Another table may be in its place; the one who reads its list looks for that.
            shell.followed.doubt();
            return Ok(restores_only);
        }
        names
    } else {
        let Some(meta) = source.meta(db, MetaFilter::Names).await? else {
            shell.followed.doubt();
            return Ok(restores_only);
        };
        if state.source_db.is_some_and(|known| known != meta.id) {
            // Its tables say nothing of those of the job.
            shell.followed.doubt();
            return Ok(restores_only);
        }
        let brings_views = restores.iter().any(|restore| !restore.objects.views.is_empty());
        let listed = look_views::list_after(&shell, meta.id, brings_views).await?;
        views = listed.filter(|views| look_views::differ(&state, views));
        let names = restored::names(&meta);
        if names.is_empty() && !state.tables.is_empty() && known.empty_lists < EMPTY_LISTS {
            return Ok(Seen::NoTables);
        }
        names
    };
    let absent: BTreeSet<i64> = restored::absent(&state, &names).into_iter().collect();
    let is_as_known = absent.is_empty() && restored::unknown(&state, &names).is_empty() && views.is_none();
    if restores.is_empty() && is_as_known {
        return Ok(restores_only);
    }
    let newest = end_of(&shell, &list_of(&shell, &state), known.done_to).await?;
    let named =
        restores.iter().map(|restore| (restore.id, restored::named(restore, &state, &names))).collect();
    let found = Found { restores, names, views, newest, is_told_again: false, named, absent };
    Ok(Seen::Found { finished_to, found })
}

/// The job's list of binlogs.
fn list_of(shell: &Shell, state: &JobState) -> BinlogScope {
    let is_table_job = shell.ctx.record.spec.sync_type() == SyncType::Table;
    let table_id = if is_table_job { state.tables.keys().next().copied() } else { None };
    BinlogScope { database: shell.source_database().to_owned(), table_id }
}

/// The newest entry of a list of which everything up to `done_to` is applied.
async fn end_of(shell: &Shell, list: &BinlogScope, done_to: i64) -> CallResult<i64> {
    Ok(match shell.ctx.upstream.binlog_lag(list, done_to).await? {
        None => 0,
        Some(lag) if lag.last_commit_seq > 0 => lag.last_commit_seq,
        Some(lag) if lag.lag == 0 => 0,
        // An old FE does not say where the list ends, only how long it is.
        Some(lag) => done_to.saturating_add(lag.lag),
    })
}

/// What a restore brought that has just been listed: a frontend that does not know it is behind, so it is asked for
/// several times. One that is not kept any more has been looked at, or nobody can tell what it did.
async fn objects(shell: &Shell, job: &SnapshotJob) -> CallResult<Option<RestoredObjects>> {
    for look in 0..MISSING_LOOKS {
        let objects = shell.ctx.upstream.restored_objects(shell.source_database(), job).await?;
        if objects.is_some() {
            return Ok(objects);
        }
        shell.ctx.clock.sleep(shell.ctx.options.retry_min * 2_u32.pow(look)).await;
    }
    Ok(None)
}

/// Looks again at tables that were found to be there, or to be gone, for no reason that is known; and at the views of
/// that database, if they were.
async fn look_again(
    shell: Arc<Shell>,
    ids: Vec<i64>,
    views_of: Option<i64>,
    (list, done_to): (BinlogScope, i64),
) -> CallResult<Seen> {
    let views = match views_of {
        Some(database_id) => look_views::list(&shell, database_id).await?,
        None => None,
    };
    if ids.is_empty() {
        let newest = end_of(&shell, &list, done_to).await?;
        let (present, names, dropped) = (BTreeSet::new(), Names::new(), BTreeSet::new());
        return Ok(Seen::Again { asked: BTreeSet::new(), present, names, dropped, views, newest });
    }
    let asked = ids.iter().copied().collect();
    let meta = shell.ctx.upstream.meta(shell.source_database(), MetaFilter::Tables(ids)).await?;
    let meta = meta.unwrap_or_default();
    let dropped = meta.dropped_tables.keys().copied().collect();
    let present = meta.tables.iter().map(|table| table.id).collect();
    let newest = end_of(&shell, &list, done_to).await?;
    Ok(Seen::Again { asked, present, names: restored::names(&meta), dropped, views, newest })
}

/// Those of the tables that are missing each time, and of whose drop nothing is known.
pub(super) async fn missing(shell: Arc<Shell>, mut ids: BTreeSet<i64>) -> Result<BTreeSet<i64>> {
    for look in 0..MISSING_LOOKS {
        if ids.is_empty() {
            break;
        }
        shell.ctx.clock.sleep(shell.ctx.options.retry_min * 2_u32.pow(look)).await;
        let filter = MetaFilter::Tables(ids.iter().copied().collect());
        let ask = async || {
            let read = shell.ctx.upstream.meta(shell.source_database(), filter.clone());
            read.await.map_err(upstream)
        };
        let db = shell.retry(ask).await?.unwrap_or_default();
        let is_there = |id: &i64| db.tables.iter().any(|table| table.id == *id);
        ids.retain(|id| !is_there(id) && !db.dropped_tables.contains_key(id));
    }
    Ok(ids)
}
