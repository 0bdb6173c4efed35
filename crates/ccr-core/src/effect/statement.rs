//! DDL statements downstream.
//!
//! The caller persists that a statement is about to be sent, and afterwards that it took effect. What
//! lies between is found out here. [`check`] makes sure that a table to be created is not there before the
//! intent is persisted; so one that is there afterwards (`in_doubt`) is ours. A table is dropped by the id in its link, so
//! one created under the same name since is never hit. The other statements can be repeated.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use doris_types::failure::{Cause, Failure};
use doris_types::sql::{column_names, quote_identifier};

use super::absence::{look_for, names_when, table_names};
use super::names::Names;
use super::patience::Patience;
use super::routes::Routes;
use super::{downstream, medium, names, partition, view};
use crate::answers;
use crate::error::{Disposition, Error, Origin, Result};
use crate::job::{LinkEffect, NO_TARGET, TableLink};
use crate::plan::{PartitionChange, Refused, Repeated, Statement};
use crate::runner::publishing;
use crate::runner::shell::Shell;

/// What an FE says of something that is to be created and was, by an earlier try.
const CREATED: Repeated = Repeated::Says(answers::EXISTS);

/// How often a CREATE TABLE is tried that the FE refuses.
const CREATE_TRIES: u32 = 3;

/// The code of a statement that the target refuses.
pub(crate) const REFUSED: &str = "CCR0112";

/// The code of a table that is in the way of a new one.
pub(crate) const NAME_TAKEN: &str = "CCR0312";

/// Looks for what is in the way of a statement that has never been sent. The intent must not be persisted
/// before this has passed: a table found after a crash, or after a block was lifted, counts as our own.
pub(crate) async fn check(shell: &Shell, statement: &Statement) -> Result<()> {
    match statement {
        Statement::CreateTable { name, .. } => ensure_free(shell, name, NO_TARGET).await,
        Statement::CreateView { .. }
        | Statement::AlterView { .. }
        | Statement::DropTable { .. }
        | Statement::DropView { .. }
        | Statement::RenameTable { .. }
        | Statement::ReplaceTable { .. }
        | Statement::Execute { .. }
        | Statement::Try { .. }
        | Statement::Partitions { .. }
        | Statement::SetMedium { .. } => Ok(()),
    }
}

/// Makes sure that no downstream table but the job's own has a name under which it is about to be put in place;
/// [`NO_TARGET`] where it has none yet.
pub(crate) async fn ensure_free(shell: &Shell, name: &str, own_id: i64) -> Result<()> {
    let look = async || Ok(is_free_once(shell, name, own_id).await?.then_some(()));
    // A master that has been cut off, and has not noticed, may tell of what had the name before.
    if look_for(shell, &format!("the name {name} to be free"), look).await?.is_some() {
        return Ok(());
    }
    let name = quote_identifier(name);
    let message = if own_id == NO_TARGET {
        format!("table {name} is to be created, but the target has one of that name")
    } else {
        format!(
            "table {name} is to be copied, but the target has another one of that name, which the job has not made"
        )
    };
    let hint = "drop or rename the downstream table, then resume the job";
    Err(Error::blocked(Origin::DownstreamFe, NAME_TAKEN, message, hint))
}

/// The same, asked once: for who has been told otherwise several times.
pub(crate) async fn is_free(shell: &Shell, name: &str, own_id: i64) -> Result<bool> {
    shell.retry(async || is_free_once(shell, name, own_id).await).await
}

async fn is_free_once(shell: &Shell, name: &str, own_id: i64) -> Result<bool> {
    Ok(table_id(shell, name).await?.is_none_or(|id| id == own_id))
}

/// Runs one statement and says what it did to the links. What keeps failing is given up when the patience ends; it
/// may have taken effect. `known` are the downstream tables of the job.
pub(crate) async fn run(
    shell: &Shell,
    routes: &Routes,
    commit_seq: i64,
    statement: &Statement,
    in_doubt: bool,
    (known, patience): (&Names, &Patience),
) -> Result<LinkEffect> {
    match statement {
        Statement::CreateTable { source_id, name, sql } => {
            create_table(shell, commit_seq, (*source_id, name), sql, in_doubt, patience).await
        }
        Statement::CreateView { source_id, name, sql } => {
            if shell.retry(async || table_id(shell, name).await).await?.is_some() {
                return Err(Error::blocked(
                    Origin::DownstreamFe,
                    REFUSED,
                    in_the_way(name),
                    "drop or rename the downstream table",
                ));
            }
            // Views carry no id to tell ours from another, but they hold no rows either. A list of them may come from a
            // frontend that is behind, and one that it lacks would be left as it is.
            let drop = view::drop_sql(shell, name);
            execute(shell, &drop, in_doubt, &Repeated::Accepted, patience).await?;
            execute(shell, sql, in_doubt, &CREATED, patience).await?;
            Ok(LinkEffect::ViewCreated { source_id: *source_id, name: name.clone() })
        }
        Statement::AlterView { definition, comment, .. } => {
            for sql in [definition, comment] {
                execute(shell, sql, in_doubt, &Repeated::Accepted, patience).await?;
            }
            Ok(LinkEffect::None)
        }
        Statement::DropTable { source_id, target_id } => {
            names::drop_table(shell, *target_id, known, patience).await?;
            Ok(LinkEffect::Dropped { source_id: *source_id })
        }
        Statement::DropView { source_id, name } => {
            let drop = view::drop_sql(shell, name);
            execute(shell, &drop, in_doubt, &Repeated::Accepted, patience).await?;
            Ok(LinkEffect::ViewDropped { source_id: *source_id })
        }
        Statement::RenameTable { source_id, target_id, source_name, target_name } => {
            names::rename_table(shell, *target_id, source_name, target_name, patience).await?;
            Ok(LinkEffect::Renamed {
                source_id: *source_id,
                source_name: source_name.clone(),
                target_name: target_name.clone(),
            })
        }
        Statement::ReplaceTable {
            old_id,
            new_id,
            old_target_id,
            new_target_id,
            old_name,
            new_name,
            swap,
        } => {
            if *swap {
                publishing::until_visible(shell, &[*old_target_id, *new_target_id]).await;
                let (old, new) = ((*old_target_id, old_name.as_str()), (*new_target_id, new_name.as_str()));
                names::swap_tables(shell, old, new, patience).await?;
                Ok(LinkEffect::Swapped { first_id: *old_id, second_id: *new_id })
            } else {
                publishing::until_visible(shell, &[*new_target_id]).await;
                let ids = (*old_target_id, *new_target_id);
                names::replace_table(shell, ids, old_name, known, patience).await?;
                Ok(LinkEffect::Replaced { gone_id: *old_id, by_id: *new_id, name: old_name.clone() })
            }
        }
        Statement::Execute { sql, effect, repeated, .. } => {
            let sent = send(shell, sql, in_doubt, repeated, patience).await;
            let is_view = matches!(effect, LinkEffect::ViewCreated { .. });
            let can_be_copied = !is_view && *repeated != Repeated::Accepted;
            sent.map_err(
                |(error, doubt)| if can_be_copied { copied_if_unclear(error, doubt) } else { error },
            )?;
            Ok(effect.clone())
        }
        Statement::Try { source_id, sql, effect, repeated, refused } => {
            let Err(error) = execute(shell, sql, in_doubt, repeated, patience).await else {
                return Ok(effect.clone());
            };
            copied_if_refused(shell, (commit_seq, *source_id), error, *refused)
        }
        Statement::Partitions { source_id, target_id, change } => {
            let (doubt, ids) = ((commit_seq, in_doubt), (*source_id, *target_id));
            if matches!(change, PartitionChange::Replace(_)) {
                publishing::until_visible(shell, &[*target_id]).await;
            }
            partition::change(shell, routes, doubt, ids, change, patience).await
        }
        Statement::SetMedium { tables } => {
            let mut failing = None;
            for table in tables {
                let Err(error) = medium::set(shell, table, patience).await else { continue };
                match error.disposition {
                    // Where rows lie is not what they are: no table stops for it.
                    Disposition::Block => {
                        let table = table.source_id;
                        tracing::warn!(commit_seq, table, %error, "refused, the storage medium stays as it is");
                        let reason = format!("the storage medium of table {table} stays as it is: {error}");
                        shell.record_skip(commit_seq, reason);
                    }
                    // The others get theirs.
                    Disposition::Isolate => failing = Some(error.of_table(table.source_id)),
                    Disposition::Retry
                    | Disposition::RetryElsewhere
                    | Disposition::RefreshMeta
                    | Disposition::RestartTxn
                    | Disposition::PartialSync
                    | Disposition::Stop => return Err(error),
                }
            }
            failing.map_or(Ok(LinkEffect::None), Err)
        }
    }
}

/// What becomes of a statement that is only a shorter way, and was refused.
pub(super) fn copied_if_refused(
    shell: &Shell,
    (commit_seq, source_id): (i64, i64),
    error: Error,
    refused: Refused,
) -> Result<LinkEffect> {
    if error.disposition != Disposition::Block {
        return Err(error);
    }
    let passes = match refused {
        Refused::Ignore => true,
        Refused::Copy => false,
        Refused::CopyUnlessGone => error.message.contains(answers::GONE),
    };
    if passes {
        shell.record_skip(commit_seq, format!("table {source_id}: {error}"));
        return Ok(LinkEffect::None);
    }
    tracing::info!(commit_seq, table = source_id, %error, "refused, the table will be copied");
    Err(Error::partial_sync(error.origin, error.code, error.message))
}

async fn create_table(
    shell: &Shell,
    commit_seq: i64,
    (source_id, name): (i64, &str),
    sql: &str,
    in_doubt: bool,
    patience: &Patience,
) -> Result<LinkEffect> {
    let find = async || shell.retry(async || table_id(shell, name).await).await;
    // What had the name before, as a master may tell that has been cut off and has not noticed, is not it.
    let newer_than = if in_doubt { 0 } else { shell.newest_target.load(Ordering::Relaxed) };
    if !in_doubt || find().await?.is_none() {
        let lost = AtomicBool::new(in_doubt);
        if let Err(error) = create(shell, sql, &lost, patience).await
            && !(lost.load(Ordering::Relaxed) && find().await?.is_some())
        {
            return Err(error);
        }
    }
    let is_shown = |names: &Names| named(names, name).is_some_and(|id| id > newer_than);
    let what = format!("the new table {name}");
    let target_id = shell
        .retry(async || {
            named(&names_when(shell, &what, is_shown).await?, name).ok_or_else(|| {
                let message =
                    format!("table {} was created, but is not in the metadata", quote_identifier(name));
                Error::retry(Origin::DownstreamFe, "CCR0313", message)
            })
        })
        .await?;
    let link = TableLink {
        // Ids of tables and jobs are counted together: restores before it did not find it.
        restored_to: Some(source_id),
        was_created: true,
        ..TableLink::new(name, target_id, commit_seq)
    };
    Ok(LinkEffect::Created { source_id, link: Box::new(link) })
}

/// Creates a table. A refusal that may pass, for want of backends for instance, is not waited out for ever: the
/// table can be copied, which holds up nobody else.
async fn create(shell: &Shell, sql: &str, lost: &AtomicBool, patience: &Patience) -> Result<()> {
    let refusals = AtomicU32::new(0);
    shell
        .retry(async || {
            shell.check_lease().await?;
            let Err(failure) = attempt(shell, sql, lost, &CREATED).await else { return Ok(()) };
            let is_answer = matches!(failure.cause, Cause::Sql { .. });
            let refusals = refusals.fetch_add(u32::from(is_answer), Ordering::Relaxed) + u32::from(is_answer);
            let error = patience.judge(shell, failure).await;
            Err(if refusals >= CREATE_TRIES && error.disposition != Disposition::Stop {
                Error { disposition: Disposition::Block, ..error }
            } else {
                error
            })
        })
        .await
}

/// Sends a statement until the FE has answered it. When an earlier answer was lost, or may have been, a
/// refusal that shows that it was applied before is believed.
pub(super) async fn execute(
    shell: &Shell,
    sql: &str,
    in_doubt: bool,
    repeated: &Repeated,
    patience: &Patience,
) -> Result<()> {
    send(shell, sql, in_doubt, repeated, patience).await.map_err(|(error, _)| error)
}

/// Whether a statement that is refused may have been applied by an earlier try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doubt {
    None,
    Left,
}

/// The same, and what is left in doubt by a refusal.
async fn send(
    shell: &Shell,
    sql: &str,
    in_doubt: bool,
    repeated: &Repeated,
    patience: &Patience,
) -> std::result::Result<(), (Error, Doubt)> {
    let lost = AtomicBool::new(in_doubt);
    let sent = shell
        .retry(async || {
            shell.check_lease().await?;
            match attempt(shell, sql, &lost, repeated).await {
                Ok(()) => Ok(()),
                Err(failure) => Err(patience.judge(shell, failure).await),
            }
        })
        .await;
    sent.map_err(|error| (error, if lost.load(Ordering::Relaxed) { Doubt::Left } else { Doubt::None }))
}

/// A copy of the table ends the doubt, which nobody could end by sending the statement again. One that can be repeated
/// leaves none.
fn copied_if_unclear(error: Error, doubt: Doubt) -> Error {
    if doubt == Doubt::None || error.disposition != Disposition::Block {
        return error;
    }
    let message = format!("refused, and it cannot be told whether it was applied before: {}", error.message);
    Error::partial_sync(error.origin, error.code, message)
}

/// Whether a table looks as it does after the statement; true where that does not tell.
async fn is_as_after(shell: &Shell, repeated: &Repeated) -> std::result::Result<bool, Failure> {
    let (db, target) = (shell.target_database(), &shell.ctx.downstream);
    match repeated {
        Repeated::Columns { table, has, lacks, .. } => {
            let text = target.show_create_table(db, table).await?;
            let names = column_names(text.as_deref().unwrap_or_default());
            let is_there = |wanted: &String| names.iter().any(|name| name.eq_ignore_ascii_case(wanted));
            Ok(has.iter().all(is_there) && !lacks.iter().any(is_there))
        }
        Repeated::Lacks { table, temporary, .. } => {
            let left = target.temporary_partitions(db, table).await?;
            Ok(!temporary.iter().any(|name| left.contains(name)))
        }
        Repeated::Accepted | Repeated::Says(_) | Repeated::OrBefore(..) => Ok(true),
    }
}

/// Sends a statement once. `lost` tells whether an earlier answer was lost.
async fn attempt(
    shell: &Shell,
    sql: &str,
    lost: &AtomicBool,
    repeated: &Repeated,
) -> std::result::Result<(), Failure> {
    let Err(failure) = shell.ctx.downstream.execute(Some(shell.target_database()), sql).await else {
        return Ok(());
    };
    let (text, is_answer) = (failure.text(), matches!(failure.cause, Cause::Sql { .. }));
    let is_shown =
        repeated.is_shown_at_once_by(&text) || lost.load(Ordering::Relaxed) && repeated.is_shown_by(&text);
    if is_answer && is_shown && is_as_after(shell, repeated).await? {
        tracing::info!(answer = %text, "the statement was applied before");
        return Ok(());
    }
    if failure.is_in_doubt() {
        lost.store(true, Ordering::Relaxed);
    }
    Err(failure)
}

/// Why a view cannot be created: IF NOT EXISTS would pass it over.
pub(super) fn in_the_way(name: &str) -> String {
    format!("view {} is to be created, but the target has a table of that name", quote_identifier(name))
}

pub(super) async fn table_id(shell: &Shell, name: &str) -> Result<Option<i64>> {
    Ok(named(&table_names(shell).await?, name))
}

fn named(names: &Names, name: &str) -> Option<i64> {
    names.iter().find(|(_, found)| *found == name).map(|(id, _)| *id)
}

pub(super) async fn views(shell: &Shell) -> Result<Vec<String>> {
    shell.ctx.downstream.views(shell.target_database()).await.map_err(downstream)
}
