//! What a full sync of a database goes on without, so that one table which cannot be copied stops no other; see
//! [`SetApart`].
//!
//! Three things keep a table from being copied with the others for as long as nobody acts: temporary partitions upstream, a
//! tablet of which no replica can be read, and something in its way downstream. Temporary partitions and replicas come
//! and go by themselves, so they are waited for first, for as long as a table of the stream may fail before it leaves.
//! A backup names what it leaves out, and names change; so one is believed only if what it was taken without still
//! has the name then. Another table might be missing otherwise.

use std::sync::Arc;
use std::time::Duration;

use doris_types::call::MetaFilter;
use doris_types::meta::TableMeta;

use super::job::Job;
use super::shell::Shell;
use crate::answers;
use crate::effect::{Scope, backup, look_for, upstream};
use crate::error::{Error, Result};
use crate::job::{Event, FullSync, FullSyncReason, SetApart, SnapshotInfo, SyncType};

/// Tables whose tablets are asked for at once.
const TABLES_PER_CALL: usize = 64;

/// A table that backups were cancelled for, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unreadable {
    source_id: i64,
    since_ms: i64,
}

/// The names of what is left out.
pub(super) fn names(full_sync: &FullSync) -> Vec<String> {
    full_sync.set_apart.values().map(|apart| apart.name.clone()).collect()
}

/// Backs up the database but for what is set apart; `None` when that has changed.
pub(super) async fn back_up(
    job: &mut Job,
    full_sync: &FullSync,
    label: &str,
) -> Result<Option<backup::Outcome>> {
    let shell = Arc::clone(&job.shell);
    let found = match backup::run(&shell, label, &Scope::Database { without: names(full_sync) }).await {
        Err(error) if is_of_unknown_name(full_sync, &error) => lost(label, &error.message),
        Err(error) => {
            let Some(name) = answers::unfit_for_backup(&error.message) else { return Err(error) };
            let found = named(&shell, name).await?;
            if let Some(table) = found
                && leave_out(job, full_sync, table, &error.message).await?
            {
                return Ok(None);
            }
            // It is somebody else by now, or there would be nothing left.
            shell.pause_once(&error).await;
            return Ok(None);
        }
        Ok(backup::Outcome::Lost(FullSyncReason::BackupCancelled { label, status })) => {
            if let Some(tablet) = answers::lost_tablet(&status)
                && let Some(table) = owner(&shell, tablet).await?
                && is_unreadable(job, full_sync, table.id)
                && leave_out(job, full_sync, table, &format!("backup {label} was cancelled: {status}"))
                    .await?
            {
                return Ok(None);
            }
            backup::Outcome::Lost(FullSyncReason::BackupCancelled { label, status })
        }
        Ok(backup::Outcome::Ready(info)) => match misnamed(&shell, full_sync, &info).await? {
            Some(name) => lost(label, &format!("table {name} got another name or was dropped")),
            None => backup::Outcome::Ready(info),
        },
        Ok(lost @ backup::Outcome::Lost(_)) => lost,
    };
    Ok(Some(found))
}

/// Whether a backup was refused since nothing has the name of something that it was to leave out.
fn is_of_unknown_name(full_sync: &FullSync, error: &Error) -> bool {
    !full_sync.set_apart.is_empty() && error.message.contains(answers::UNKNOWN_TABLE)
}

/// Another snapshot is taken, which begins with all tables again.
fn lost(label: &str, detail: &str) -> backup::Outcome {
    let (label, detail) = (label.to_owned(), format!("what it leaves out has changed its name: {detail}"));
    backup::Outcome::Lost(FullSyncReason::SnapshotLost { label, detail })
}

/// The table or view that a restore was refused for, if the others can do without.
pub(super) fn refused(
    job: &Job,
    full_sync: &FullSync,
    info: &SnapshotInfo,
    status: &str,
) -> Option<(i64, SetApart)> {
    if job.shell.ctx.record.spec.sync_type() == SyncType::Table {
        return None;
    }
    let name = answers::refused_object(status)?;
    let table = info.tables.iter().find(|table| table.name == name).map(|table| table.id);
    let source_id = table.or_else(|| info.views.iter().find(|view| view.name == name).map(|view| view.id))?;
    let refused = SetApart { name: name.to_owned(), why: status.to_owned() };
    let mut left_out = full_sync.set_apart.clone();
    left_out.insert(source_id, refused.clone());
    (!info.without(&left_out).is_empty()).then_some((source_id, refused))
}

/// Tells everybody of what is left out.
pub(super) async fn tell(job: &Job, full_sync: &FullSync, SetApart { name, why }: &SetApart) {
    tracing::warn!(
        table = name,
        why,
        "the full sync goes on without the table, which is copied by itself then"
    );
    job.shell.ctx.observer.error(job.shell.job_name(), "table", false);
    let (seqs, since) = ((job.position.commit_seq, job.position.commit_seq), full_sync.started_at_ms);
    job.history("full_sync", seqs, why.clone(), &format!("goes on without {name}"), since).await;
}

/// Takes the next backup without this table, unless there would be nothing left.
async fn leave_out(job: &mut Job, full_sync: &FullSync, table: TableMeta, why: &str) -> Result<bool> {
    let shell = Arc::clone(&job.shell);
    if !shell.retry(async || has_others(&shell, full_sync, table.id).await).await? {
        return Ok(false);
    }
    let set_apart = SetApart { name: table.name, why: why.to_owned() };
    tell(job, full_sync, &set_apart).await;
    job.apply(Event::BackupRefused { source_id: table.id, set_apart }).await?;
    Ok(true)
}

/// Whether the database holds something else that is not set apart.
async fn has_others(shell: &Shell, full_sync: &FullSync, source_id: i64) -> Result<bool> {
    let db = shell.source_database();
    let meta = shell.ctx.upstream.meta(db, MetaFilter::Names).await.map_err(upstream)?;
    let mut tables = meta.into_iter().flat_map(|db| db.tables);
    if tables.any(|table| table.id != source_id && !full_sync.set_apart.contains_key(&table.id)) {
        return Ok(true);
    }
    Ok(!shell.ctx.upstream.views(db).await.map_err(upstream)?.is_empty())
}

/// Whether backups have been cancelled for this table for so long that it may never be over. Where another was left
/// out for that, backends have been away for long enough.
fn is_unreadable(job: &mut Job, full_sync: &FullSync, source_id: i64) -> bool {
    let now_ms = job.shell.now_ms();
    let before = job.unreadable.filter(|before| before.source_id == source_id);
    let Unreadable { since_ms, .. } =
        *job.unreadable.insert(before.unwrap_or(Unreadable { source_id, since_ms: now_ms }));
    let lasted = Duration::from_millis(now_ms.abs_diff(since_ms));
    lasted >= job.shell.ctx.options.quarantine_after || !full_sync.set_apart.is_empty()
}

/// A table that a finished backup was to leave out, and that has not, or not any more, the name it was left out by.
async fn misnamed(shell: &Shell, full_sync: &FullSync, info: &SnapshotInfo) -> Result<Option<String>> {
    if full_sync.set_apart.is_empty() {
        return Ok(None);
    }
    let ids: Vec<i64> = full_sync.set_apart.keys().copied().collect();
    // An answer without one of them may come from a frontend that is behind.
    let look = async || {
        let filter = MetaFilter::Tables(ids.clone());
        let db = shell.ctx.upstream.meta(shell.source_database(), filter).await.map_err(upstream)?;
        let tables = db.map(|db| db.tables).unwrap_or_default();
        Ok((tables.len() == ids.len()).then_some(tables))
    };
    let tables = look_for(shell, "what the snapshot leaves out", look).await?.unwrap_or_default();
    let is_out = |id: i64, name: &str| {
        tables.iter().any(|table| table.id == id && table.name == name)
            && info.tables.iter().all(|table| table.id != id)
    };
    let mut names = full_sync.set_apart.iter().filter(|(id, apart)| !is_out(**id, &apart.name));
    Ok(names.next().map(|(_, apart)| apart.name.clone()))
}

/// The upstream table of that name.
async fn named(shell: &Shell, name: &str) -> Result<Option<TableMeta>> {
    Ok(tables(shell, MetaFilter::Named(vec![name.to_owned()])).await?.into_iter().next())
}

/// The upstream table that has the tablet.
async fn owner(shell: &Shell, tablet_id: i64) -> Result<Option<TableMeta>> {
    let ids: Vec<i64> = tables(shell, MetaFilter::Names).await?.iter().map(|table| table.id).collect();
    for some in ids.chunks(TABLES_PER_CALL) {
        let found = tables(shell, MetaFilter::Tables(some.to_vec())).await?.into_iter().find(|table| {
            let indexes = table.partitions.iter().flat_map(|partition| &partition.indexes);
            indexes.flat_map(|index| &index.tablets).any(|tablet| tablet.id == tablet_id)
        });
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

async fn tables(shell: &Shell, filter: MetaFilter) -> Result<Vec<TableMeta>> {
    let db = shell
        .retry(async || {
            shell.ctx.upstream.meta(shell.source_database(), filter.clone()).await.map_err(upstream)
        })
        .await?;
    Ok(db.map(|db| db.tables).unwrap_or_default())
}
