//! Restoring a snapshot downstream, and linking the tables it brought.
//!
//! The restore's label is persisted before it is submitted and looked for after every doubt, like that
//! of the backup. Row data goes from upstream backends to downstream backends; what passes through here
//! is the description of the snapshot, with the addresses and the token of the upstream put into it.

use std::collections::BTreeMap;

use doris_types::call::{RestoreRequest, RestoreTable};
use doris_types::job_info::{ExtraInfo, NetworkAddress, insert_extra_info};
use doris_types::meta::SnapshotJob;
use doris_types::sql::{qualified_name, quote_identifier};

use super::absence::{names_when, table_names};
use super::backup::{Fetched, fetch};
use super::names::Names;
use super::patience::Patience;
use super::submit::{self, until_accepted};
use super::{Scope, aside, downstream, names, statement, upstream, view};
use crate::error::{Error, Origin, Result};
use crate::job::{
    ApartWork, FullSyncReason, NO_TARGET, SnapshotInfo, SnapshotStep, SnapshotTable, SnapshotView, TableLink,
};
use crate::plan::Repeated;
use crate::runner::shell::Shell;

/// Looks, at most, before a restore is sent again to a database that is busy: a snapshot may be large.
const MOST_LOOKS: u32 = 16;

/// How a restore ended.
pub(crate) enum Outcome {
    Restored(BTreeMap<i64, TableLink>),
    /// CANCELLED, with its status.
    Cancelled(String),
    /// It was asked to give way, and holds no name any more.
    GaveWay,
    /// The snapshot is gone before it could be restored.
    Lost(FullSyncReason),
}

/// Submits the restore unless it is there, waits for its end, and links the tables. The snapshot is fetched when it
/// is this one's turn among the restores of the job. When it is to give way it is
/// not submitted, or cancelled; one that is past that is waited for. What is restored aside is then put in place.
pub(crate) async fn run(
    shell: &Shell,
    backup_label: &str,
    restore_label: &str,
    (info, aside): (&SnapshotInfo, bool),
    scope: &Scope,
    gives_way: &(dyn Fn() -> bool + Sync),
) -> Result<Outcome> {
    let mut turn = None;
    let job = loop {
        turn = turn.or_else(|| shell.restoring.try_lock().ok());
        let found = find(shell, restore_label).await?;
        match &found {
            // Nothing is downloaded any more.
            Some(job) if !is_far_from_done(&job.state) => shell.end_turn(backup_label),
            Some(_) | None => shell.take_turn(backup_label),
        }
        match found {
            None if gives_way() => return Ok(Outcome::GaveWay),
            None if turn.is_none() => {
                shell.set_step(format!("restore {restore_label}: waiting for another restore of the job"));
                turn = tokio::select! {
                    biased;
                    turn = shell.restoring.lock() => Some(turn),
                    // Meanwhile it may be asked to give way.
                    () = shell.ctx.clock.sleep(shell.ctx.options.snapshot_poll) => None,
                };
            }
            None => {
                let info = (info, aside);
                if let Some(reason) =
                    submit(shell, backup_label, restore_label, info, scope, gives_way).await?
                {
                    return Ok(Outcome::Lost(reason));
                }
            }
            Some(job) if job.is_finished() => {
                // Whatever was in doubt is settled.
                shell.recovered(1);
                break job;
            }
            Some(job) if job.is_cancelled() && gives_way() => return Ok(Outcome::GaveWay),
            Some(job) if job.is_cancelled() => {
                return Ok(Outcome::Cancelled(job.status.chars().take(1000).collect()));
            }
            Some(job) => {
                if gives_way() && is_far_from_done(&job.state) {
                    shell.retry(|| shell.check_lease()).await?;
                    cancel(shell, restore_label).await;
                }
                shell.set_step(format!("restore {restore_label}: {} {}", job.state, job.progress).trim_end());
                shell.ctx.clock.sleep(shell.ctx.options.snapshot_poll).await;
            }
        }
    };
    drop(turn);
    shell.set_step("linking the restored tables");
    if aside {
        aside::put_in_place(shell, info, |name| target_name(scope, name), job.id).await?;
    }
    let newer_than = if aside || replaces(shell, scope) { job.id } else { 0 };
    shell.retry(async || link(shell, info, scope, newer_than).await).await.map(Outcome::Restored)
}

/// Whether a restore leaves none of its tables with the id of before.
fn replaces(shell: &Shell, scope: &Scope) -> bool {
    shell.ctx.options.atomic_restore && !matches!(scope, Scope::Partition { .. })
}

/// Sends the restore once, unless it is to give way. Answers with a reason when the snapshot is gone.
async fn submit(
    shell: &Shell,
    backup_label: &str,
    restore_label: &str,
    (info, aside): (&SnapshotInfo, bool),
    scope: &Scope,
    gives_way: &(dyn Fn() -> bool + Sync),
) -> Result<Option<FullSyncReason>> {
    if aside {
        aside::clear(shell, info).await?;
    }
    shell.set_step(format!("restore {restore_label}: submitting"));
    let snapshot = match fetch(shell, backup_label).await? {
        Fetched::Snapshot(snapshot) => snapshot,
        Fetched::Lost(reason) => return Ok(Some(reason)),
    };
    let extra = shell.retry(async || extra_info(shell).await).await?;
    let job_info = insert_extra_info(snapshot.job_info, &extra).map_err(|error| {
        Error::blocked(
            Origin::UpstreamFe,
            "CCR0501",
            format!("the job info of the snapshot cannot be used: {error}"),
            "report the upstream Doris version with this message",
        )
    })?;
    let snapshot = doris_types::call::Snapshot { job_info, ..snapshot };
    let request = request(shell, scope, (info, aside), restore_label, snapshot);
    let db = shell.target_database();
    until_accepted(
        shell,
        (db, restore_label),
        MOST_LOOKS,
        downstream,
        |_| false,
        || shell.ctx.downstream.start_restore(&request),
        || async { Ok(gives_way() || find(shell, restore_label).await?.is_some()) },
    )
    .await?;
    Ok(None)
}

/// Whether a restore has steps before it that an FE takes one at a time, some seconds apart. CANCEL RESTORE names no
/// label: it hits whatever runs in the database. So it is only sent where the restore that has just been looked at
/// cannot have ended, and another one not have begun, before it arrives. One that is past this is soon done.
fn is_far_from_done(state: &str) -> bool {
    ["PENDING", "CREATING", "SNAPSHOTING", "DOWNLOAD", "DOWNLOADING"].contains(&state)
}

/// Cancels the restore that runs in the target database, which has just been found to be this one. Whether that
/// has worked is seen at the next look.
async fn cancel(shell: &Shell, restore_label: &str) {
    let sql = format!("CANCEL RESTORE FROM {}", quote_identifier(shell.target_database()));
    match shell.ctx.downstream.execute(None, &sql).await {
        Ok(()) => tracing::info!(label = restore_label, "the restore gives way to a change of names"),
        Err(failure) => {
            tracing::info!(label = restore_label, %failure, "the restore cannot be cancelled now")
        }
    }
}

/// Whether the FE knows a restore of that label, however it ended.
pub(crate) async fn is_known(shell: &Shell, label: &str) -> Result<bool> {
    Ok(find(shell, label).await?.is_some())
}

/// The restore of that label, if the FE knows it.
async fn find(shell: &Shell, label: &str) -> Result<Option<SnapshotJob>> {
    let db = shell.target_database();
    let look = async || shell.ctx.downstream.restore_job(db, label).await.map_err(downstream);
    submit::find(shell, label, look).await
}

fn request(
    shell: &Shell,
    scope: &Scope,
    (info, aside): (&SnapshotInfo, bool),
    label: &str,
    snapshot: doris_types::call::Snapshot,
) -> RestoreRequest {
    let options = &shell.ctx.options;
    let beside = |table: &SnapshotTable| {
        let alias = Some(aside::name(shell, table.id));
        RestoreTable { name: table.name.clone(), alias }
    };
    let table = |table: &SnapshotTable| RestoreTable { name: table.name.clone(), alias: None };
    let view = |view: &SnapshotView| RestoreTable { name: view.name.clone(), alias: None };
    let tables = match scope {
        Scope::Database { .. } if aside => {
            info.tables.iter().map(beside).chain(info.views.iter().map(view)).collect()
        }
        Scope::Table { source_name, .. } if aside => {
            info.tables.iter().filter(|table| table.name == *source_name).map(beside).collect()
        }
        Scope::Database { without } if without.is_empty() => Vec::new(),
        Scope::Database { .. } => info.tables.iter().map(table).chain(info.views.iter().map(view)).collect(),
        Scope::Table { source_name, target_name } => {
            let alias = (source_name != target_name).then(|| target_name.clone());
            vec![RestoreTable { name: source_name.clone(), alias }]
        }
        Scope::Partition { table, .. } => vec![RestoreTable { name: table.clone(), alias: None }],
    };
    // A table that is swapped in would hold nothing but that partition.
    let is_partition = matches!(scope, Scope::Partition { .. });
    let is_whole = matches!(scope, Scope::Database { without } if without.is_empty());
    RestoreRequest {
        database: shell.target_database().to_owned(),
        label: label.to_owned(),
        snapshot,
        tables,
        properties: replicas(shell.ctx.record.spec.options.replication_num),
        // Compares names in what is restored, not aliases, and drops views: only for a whole database.
        clean_tables: options.clean_tables && is_whole && !aside,
        clean_partitions: false,
        atomic_restore: replaces(shell, scope),
        force_replace: options.force_replace && !is_partition,
    }
}

/// As many replicas as upstream, or as the job asks for.
fn replicas(replication_num: u32) -> BTreeMap<String, String> {
    let property = |key: &str, value: String| (key.to_owned(), value);
    match replication_num {
        0 => BTreeMap::from([property("reserve_replica", "true".to_owned())]),
        number => BTreeMap::from([
            property("reserve_replica", "false".to_owned()),
            property("replication_num", number.to_string()),
        ]),
    }
}

async fn extra_info(shell: &Shell) -> Result<ExtraInfo> {
    let ctx = &shell.ctx;
    let (backends, token) =
        futures::future::try_join(ctx.upstream.backends(), ctx.upstream.token()).await.map_err(upstream)?;
    let be_network_map = backends
        .into_iter()
        .map(|backend| (backend.id, NetworkAddress { ip: backend.host, port: backend.http_port }))
        .collect();
    Ok(ExtraInfo { be_network_map, token })
}

/// The name that a table of the snapshot gets downstream.
fn target_name(scope: &Scope, name: &str) -> String {
    match scope {
        Scope::Database { .. } => name.to_owned(),
        Scope::Table { target_name, .. } => target_name.clone(),
        Scope::Partition { table, .. } => table.clone(),
    }
}

/// Finds the downstream id of every table in the snapshot, by its name there. They are higher than that of the restore
/// where it has made all of them, for ids of jobs and tables are counted together.
async fn link(
    shell: &Shell,
    info: &SnapshotInfo,
    scope: &Scope,
    newer_than: i64,
) -> Result<BTreeMap<i64, TableLink>> {
    let is_shown = |names: &Names| {
        let is_new = |name: &String| names.iter().any(|(id, known)| known == name && *id > newer_than);
        info.tables.iter().all(|table| is_new(&target_name(scope, &table.name)))
    };
    let names = names_when(shell, "every restored table", is_shown).await?;
    let present: BTreeMap<String, i64> = names.into_iter().map(|(id, name)| (name, id)).collect();
    let mut links = BTreeMap::new();
    for table in &info.tables {
        let target_name = target_name(scope, &table.name);
        let target_id = present.get(&target_name).copied().ok_or_else(|| {
            Error::retry(
                Origin::DownstreamFe,
                "CCR0502",
                format!("table {target_name} was restored, but is not in the downstream metadata"),
            )
        })?;
        let link = TableLink {
            restored_to: (info.job_id > 0).then_some(info.job_id),
            target_name,
            ..TableLink::new(&table.name, target_id, table.commit_seq)
        };
        links.insert(table.id, link);
    }
    Ok(links)
}

/// Drops the temporary partitions of a table that is about to be replaced: Doris restores into no table that has any.
pub(crate) async fn clear_temporary(shell: &Shell, target_name: &str) -> Result<()> {
    let db = shell.target_database();
    let list = async || shell.ctx.downstream.temporary_partitions(db, target_name).await.map_err(downstream);
    for name in shell.retry(list).await? {
        let sql = format!(
            "ALTER TABLE {} DROP TEMPORARY PARTITION IF EXISTS {}",
            qualified_name(db, target_name),
            quote_identifier(&name)
        );
        statement::execute(shell, &sql, false, &Repeated::Accepted, &Patience::endless()).await?;
    }
    Ok(())
}

/// Drops downstream tables that a new snapshot has made stale: dropped upstream within the gap, or
/// restored under another name. Only tables under the very id that the job linked are touched.
pub(crate) async fn drop_stale(
    shell: &Shell,
    before: &BTreeMap<i64, TableLink>,
    after: &BTreeMap<i64, TableLink>,
) -> Result<Vec<String>> {
    let kept: Vec<i64> = after.values().map(|link| link.target_id).collect();
    let stale: Vec<&TableLink> = before.values().filter(|link| !kept.contains(&link.target_id)).collect();
    let copied = copied_in_vain(shell, before, after).await?;
    if stale.is_empty() && copied.is_empty() {
        return Ok(Vec::new());
    }
    let known = names::targets(after.values());
    let present = shell.retry(async || table_names(shell).await).await?;
    let is_stale =
        |id: &i64, name: &String| copied.contains(name) || stale.iter().any(|link| link.target_id == *id);
    let mut dropped = Vec::new();
    for (id, name) in &present {
        if is_stale(id, name) {
            dropped.extend(names::drop_table(shell, *id, &known, &Patience::endless()).await?);
        }
    }
    Ok(dropped)
}

/// Drops what is the job's and has the name of something of the other kind in the snapshot: Doris restores no table in
/// the place of a view, and no view in that of a table. Answers with the names of tables and of views.
pub(crate) async fn make_room(
    shell: &Shell,
    links: &BTreeMap<i64, TableLink>,
    half_made: impl Iterator<Item = &String>,
    views: impl Iterator<Item = &String>,
    info: &SnapshotInfo,
) -> Result<(Vec<String>, Vec<String>)> {
    let is_table = |name: &&String| info.tables.iter().any(|table| table.name == **name);
    let views = drop_views(shell, views.filter(is_table).cloned().collect()).await?;
    let mut dropped = Vec::new();
    if !info.views.is_empty() {
        let present = shell.retry(async || table_names(shell).await).await?;
        let known = names::targets(links.values());
        let is_view = |name: &String| info.views.iter().any(|view| view.name == *name);
        for link in links.values().filter(|link| present.get(&link.target_id).is_some_and(is_view)) {
            dropped.extend(names::drop_table(shell, link.target_id, &known, &Patience::endless()).await?);
        }
        for name in half_made.filter(|name| is_view(name)) {
            if names::drop_named(shell, name, &known, &Patience::endless()).await? {
                dropped.push(name.clone());
            }
        }
    }
    Ok((dropped, views))
}

/// Drops downstream views of the job whose names the new snapshot does not have: their drop, or their new
/// name, was in the part of the binlog that is gone.
pub(crate) async fn drop_stale_views(
    shell: &Shell,
    before: impl Iterator<Item = &String>,
    info: &SnapshotInfo,
) -> Result<Vec<String>> {
    let is_used = |name: &String| {
        info.views.iter().any(|view| view.name == *name)
            || info.tables.iter().any(|table| table.name == *name)
    };
    drop_views(shell, before.filter(|name| !is_used(name)).cloned().collect()).await
}

/// Drops those of the downstream views that are there, and says which were listed.
async fn drop_views(shell: &Shell, stale: Vec<String>) -> Result<Vec<String>> {
    let mut dropped = Vec::new();
    for (name, is_listed) in views_to_drop(shell, stale).await? {
        drop_view(shell, &name, &Patience::endless()).await?;
        dropped.extend(is_listed.then_some(name));
    }
    Ok(dropped)
}

/// Under which of these names views may be there downstream, and whether they are listed.
pub(crate) async fn views_to_drop(shell: &Shell, names: Vec<String>) -> Result<Vec<(String, bool)>> {
    shell.retry(async || view::removable(shell, &names).await).await
}

pub(crate) async fn drop_view(shell: &Shell, name: &str, patience: &Patience) -> Result<()> {
    statement::execute(shell, &view::drop_sql(shell, name), false, &Repeated::Accepted, patience).await
}

/// Names under which copies of single tables were put in place that the job has no use for any more: it did
/// not wait for their end, so it has never learned their ids.
async fn copied_in_vain(
    shell: &Shell,
    before: &BTreeMap<i64, TableLink>,
    after: &BTreeMap<i64, TableLink>,
) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let is_used =
        |name: &String| after.values().any(|used| used.target_id != NO_TARGET && used.target_name == *name);
    for (source_id, link) in before {
        let work = link.lane.apart().map(|apart| &apart.work);
        let Some(ApartWork::PartialSync { step: SnapshotStep::Restore { restore_label, aside, .. }, .. }) =
            work
        else {
            continue;
        };
        if *aside {
            names.push(aside::name(shell, *source_id));
        }
        if !is_used(&link.target_name)
            && find(shell, restore_label).await?.is_some_and(|job| job.is_finished())
        {
            names.push(link.target_name.clone());
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restore_that_is_about_to_end_is_not_cancelled() {
        let states =
            ["PENDING", "CREATING", "SNAPSHOTING", "DOWNLOAD", "DOWNLOADING", "COMMIT", "COMMITTING"];
        let far: Vec<_> = states.into_iter().filter(|state| is_far_from_done(state)).collect();
        assert_eq!(far, states[..5]);
    }
}
