//! The full sync phase: backup, restore, and over to the stream.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use doris_types::call::MetaFilter;

use super::cancelled::{self, Verdict};
use super::job::Job;
use super::lane::{self, Presence};
use super::set_apart;
use super::source::is_lasting;
use crate::answers;
use crate::effect::absence::table_names;
use crate::effect::patience::Patience;
use crate::effect::{Scope, backup, names, restore, upstream};
use crate::error::{Error, Origin, Result};
use crate::job::{
    Event, FullSync, FullSyncReason, Phase, SnapshotInfo, SnapshotStep, SyncType, TableLink, links_apart,
};

/// Does the next step of a full sync, and returns when the state has moved.
pub(super) async fn run(job: &mut Job) -> Result<()> {
    let Phase::FullSync(full_sync) = job.state.phase.clone() else {
        return Ok(());
    };
    match &full_sync.step {
        SnapshotStep::Backup { label } => take(job, &full_sync, label).await,
        SnapshotStep::Restore { backup_label, restore_label, attempt, info, aside } => {
            put(job, &full_sync, (backup_label, restore_label), *attempt, (info, *aside)).await
        }
    }
}

async fn take(job: &mut Job, full_sync: &FullSync, label: &str) -> Result<()> {
    let shell = Arc::clone(&job.shell);
    tracing::info!(label, reason = %full_sync.reason.describe(), "full sync: backup");
    note_database(job).await?;
    let outcome = match shell.ctx.record.spec.sync_type() {
        SyncType::Database => set_apart::back_up(job, full_sync, label).await?,
        SyncType::Table => Some(back_up_table(job, label).await?),
    };
    let Some(outcome) = outcome else { return Ok(()) };
    match outcome {
        backup::Outcome::Ready(info) if info.commit_seq < job.position.commit_seq => {
            // Labels are made of commit seqs, so what the new upstream does would be taken for what the old one did.
            Err(Error::blocked(
                Origin::UpstreamFe,
                "CCR0508",
                format!(
                    "snapshot {label} is of commit seq {}, but the job has come to {}: the upstream cluster was set up \
                     anew",
                    info.commit_seq, job.position.commit_seq
                ),
                "delete the job and create it again, a table job with allow_table_exists",
            ))
        }
        backup::Outcome::Ready(info) => {
            tracing::info!(
                label,
                tables = info.tables.len(),
                commit_seq = info.commit_seq,
                "snapshot is ready"
            );
            job.apply(Event::SnapshotReady { info }).await
        }
        backup::Outcome::Lost(reason) => again(job, full_sync, reason).await,
    }
}

async fn put(
    job: &mut Job,
    full_sync: &FullSync,
    (backup_label, restore_label): (&str, &str),
    attempt: u32,
    (snapshot, aside): (&SnapshotInfo, bool),
) -> Result<()> {
    let shell = Arc::clone(&job.shell);
    let info = &snapshot.without(&full_sync.set_apart);
    tracing::info!(label = restore_label, "full sync: restore");
    if !restore::is_known(&shell, restore_label).await? {
        // After a refusal also of those that are not known to have any: a statement that makes one may be in doubt.
        let may_have = |link: &&TableLink| attempt > 1 || !link.temporary.is_empty();
        for link in job.state.tables.values().filter(may_have) {
            restore::clear_temporary(&shell, &link.target_name).await?;
        }
        make_room(job, snapshot).await?;
    }
    let (scope, copied) = (scope(job, full_sync, info), (info, aside));
    match restore::run(&shell, backup_label, restore_label, copied, &scope, &|| false).await? {
        restore::Outcome::Restored(links) => {
            let untouched = untouched(job, full_sync, &links).await?;
            let mut after = links_apart(&job.state, &untouched);
            after.extend(links.clone());
            let mut tables = restore::drop_stale(&shell, &job.state.tables, &after).await?;
            // What was left to be done when a gap was crossed by table, or is of a statement that was in doubt.
            let kept = names::targets(after.values());
            for name in job.state.names_to_go(false) {
                if names::drop_named(&shell, name, &kept, &Patience::endless()).await? {
                    tables.push(name.clone());
                }
            }
            let views = job.state.names_to_go(true).chain(job.state.views.values());
            let views = restore::drop_stale_views(&shell, views, snapshot).await?;
            record_dropped(job, info, (tables, views), "it is no longer in the upstream database").await;
            let before = job.position.commit_seq;
            job.position.commit_seq = info.commit_seq;
            // Whatever was tried before went into tables that have been replaced.
            job.certain_at_ms = i64::MAX;
            job.apply(Event::Restored { links, untouched, at_ms: shell.now_ms() }).await?;
            let (reason, since) = (full_sync.reason.describe(), full_sync.started_at_ms);
            job.history("full_sync", (before, info.commit_seq), reason, "restored", since).await;
            Ok(())
        }
        restore::Outcome::Cancelled(status) => {
            if cancelled::is_recorded(attempt) {
                let (seqs, since) = ((info.commit_seq, info.commit_seq), full_sync.started_at_ms);
                job.history("restore", seqs, status.clone(), "cancelled", since).await;
            }
            if let Some(view) = answers::mismatched_view(&status) {
                restore::drop_view(&shell, view, &Patience::endless()).await?;
                return job.apply(Event::RestoreCancelled { aside, set_apart: None }).await;
            }
            if !aside && answers::is_mismatch(&status) {
                tracing::info!(
                    label = restore_label,
                    status,
                    "the tables are restored beside those that are there"
                );
                return job.apply(Event::RestoreCancelled { aside: true, set_apart: None }).await;
            }
            // Each of those that are left out has taken a try.
            let left_out =
                snapshot.tables.len() + snapshot.views.len() - info.tables.len() - info.views.len();
            let tries = attempt.saturating_sub(u32::try_from(left_out).unwrap_or(0));
            match cancelled::judge(restore_label, tries, &status) {
                Verdict::Again(error) => {
                    shell.pause(&error, tries).await;
                    job.apply(Event::RestoreCancelled { aside, set_apart: None }).await
                }
                Verdict::AnotherSnapshot(detail) => {
                    let label = backup_label.to_owned();
                    again(job, full_sync, FullSyncReason::SnapshotLost { label, detail }).await
                }
                Verdict::Blocked(error) => {
                    let set_apart = set_apart::refused(job, full_sync, info, &status);
                    if let Some((_, refused)) = &set_apart {
                        set_apart::tell(job, full_sync, refused).await;
                    }
                    let is_blocked = set_apart.is_none();
                    // Under a new label, for the cancelled one would be found again when the job is resumed.
                    job.apply(Event::RestoreCancelled { aside, set_apart }).await?;
                    if is_blocked { Err(error) } else { Ok(()) }
                }
            }
        }
        // Nobody asks it to: names are changed in the stream.
        restore::Outcome::GaveWay => Ok(()),
        restore::Outcome::Lost(reason) => again(job, full_sync, reason).await,
    }
}

/// The old targets of tables that were left out which are there as they were: no table of the snapshot has taken
/// their place.
async fn untouched(
    job: &Job,
    full_sync: &FullSync,
    links: &BTreeMap<i64, TableLink>,
) -> Result<BTreeSet<i64>> {
    let mut untouched: BTreeSet<i64> = full_sync
        .set_apart
        .keys()
        .filter_map(|id| job.state.tables.get(id))
        .map(|link| link.target_id)
        .filter(|id| links.values().all(|link| link.target_id != *id))
        .collect();
    if !untouched.is_empty() {
        let present = job.shell.retry(async || table_names(&job.shell).await).await?;
        untouched.retain(|id| present.contains_key(id));
    }
    Ok(untouched)
}

/// Removes what is the job's and cannot be restored over.
async fn make_room(job: &mut Job, info: &SnapshotInfo) -> Result<()> {
    let (shell, state) = (Arc::clone(&job.shell), &job.state);
    let views = state.names_to_go(true).chain(state.views.values());
    let dropped = restore::make_room(&shell, &state.tables, state.names_to_go(false), views, info).await?;
    let reason = "something of another kind has its name in the upstream database";
    record_dropped(job, info, dropped, reason).await;
    Ok(())
}

/// Records which tables and views of the target were dropped for a snapshot.
async fn record_dropped(
    job: &mut Job,
    info: &SnapshotInfo,
    (tables, views): (Vec<String>, Vec<String>),
    reason: &str,
) {
    let tables = tables.into_iter().map(|name| ("drop_stale_table", name));
    for (plan, name) in tables.chain(views.into_iter().map(|name| ("drop_stale_view", name))) {
        let (seqs, at_ms) = ((info.commit_seq, info.commit_seq), job.shell.now_ms());
        job.history(plan, seqs, reason.to_owned(), &format!("dropped {name}"), at_ms).await;
    }
}

/// Remembers which database is copied, before it is: one that is created again during the copy is another one.
async fn note_database(job: &mut Job) -> Result<()> {
    let shell = Arc::clone(&job.shell);
    let none = MetaFilter::Tables(Vec::new());
    let read =
        async || shell.ctx.upstream.meta(shell.source_database(), none.clone()).await.map_err(upstream);
    // What is missing is told by the backup.
    let id = shell.retry(read).await?.map(|db| db.id);
    let Some(id) = id else { return Ok(()) };
    let is_new = match job.state.source_db {
        None => true,
        Some(known) => known < id || known > id && is_lasting(&shell, id).await?,
    };
    if is_new { job.apply(Event::SourceDatabaseFound { id }).await } else { Ok(()) }
}

/// Backs up the table of a table job, under whatever name it has now.
async fn back_up_table(job: &mut Job, label: &str) -> Result<backup::Outcome> {
    let shell = Arc::clone(&job.shell);
    let target_name = shell.ctx.record.spec.dest.table.clone();
    let mut tries = 0;
    loop {
        let found = find_table(job).await?;
        let source_id = found.as_ref().map(|(source_id, _)| *source_id);
        let source_name = found.map_or_else(|| table_name(job).to_owned(), |(_, name)| name);
        let scope = Scope::Table { source_name, target_name: target_name.clone() };
        match backup::run(&shell, label, &scope).await {
            Ok(backup::Outcome::Ready(info))
                if source_id.is_some_and(|id| info.tables.iter().all(|table| table.id != id)) =>
            {
                let detail = "another table took the name meanwhile".to_owned();
                let label = label.to_owned();
                return Ok(backup::Outcome::Lost(FullSyncReason::SnapshotLost { label, detail }));
            }
            // It was renamed after it was found.
            Err(error) if source_id.is_some() && error.message.contains(answers::UNKNOWN_TABLE) => {
                tries += 1;
                shell.pause(&error, tries).await;
            }
            outcome => return outcome,
        }
    }
}

/// The table of a table job and its name now: the one that has its name, or else the one that had it when it
/// was last looked for. That one is remembered, since a table may get another name before the first snapshot
/// holds it. `None` when there is neither.
async fn find_table(job: &mut Job) -> Result<Option<(i64, String)>> {
    let shell = Arc::clone(&job.shell);
    let known = job.state.tables.keys().next().copied().or(job.state.source_table);
    let filter = MetaFilter::Named(vec![table_name(job).to_owned()]);
    let db = shell
        .retry(async || {
            shell.ctx.upstream.meta(shell.source_database(), filter.clone()).await.map_err(upstream)
        })
        .await?;
    if let Some(table) = db.and_then(|db| db.tables.into_iter().next()) {
        if known != Some(table.id) {
            job.apply(Event::SourceTableFound { source_id: table.id }).await?;
        }
        return Ok(Some((table.id, table.name)));
    }
    let Some(source_id) = known else { return Ok(None) };
    Ok(match shell.retry(async || lane::present(&shell, source_id).await).await? {
        Some(Presence::Named(name)) => Some((source_id, name)),
        Some(Presence::Dropped) | None => None,
    })
}

/// The name of the table of a table job, as far as it is known.
fn table_name(job: &Job) -> &str {
    let link = job.state.tables.values().next();
    link.map_or(&job.shell.ctx.record.spec.src.table, |link| &link.source_name)
}

/// What of the snapshot is restored. The table of a table job has the name there that it had upstream then.
fn scope(job: &Job, full_sync: &FullSync, info: &SnapshotInfo) -> Scope {
    let spec = &job.shell.ctx.record.spec;
    match spec.sync_type() {
        SyncType::Database => Scope::Database { without: set_apart::names(full_sync) },
        SyncType::Table => {
            let source_name = info.tables.first().map_or(&spec.src.table, |table| &table.name).clone();
            Scope::Table { source_name, target_name: spec.dest.table.clone() }
        }
    }
}

/// Starts over with a new snapshot. The pause keeps a cluster that cancels every backup from being asked
/// without end.
async fn again(job: &mut Job, full_sync: &FullSync, reason: FullSyncReason) -> Result<()> {
    let shell = Arc::clone(&job.shell);
    let error = Error::retry(Origin::UpstreamFe, "CCR0504", reason.describe());
    let number = u32::try_from(job.state.snapshots_taken).unwrap_or(u32::MAX);
    shell.pause(&error, number).await;
    let (position, now) = (job.position.commit_seq, shell.now_ms());
    job.history(
        "full_sync",
        (position, position),
        reason.describe(),
        "another snapshot is taken",
        full_sync.started_at_ms,
    )
    .await;
    job.apply(Event::FullSyncNeeded { reason, from_commit_seq: position, at_ms: now }).await
}
