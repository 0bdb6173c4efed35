//! DDL statements downstream.
//!
//! The caller persists that a statement is about to be sent, and afterwards that it took effect. What
//! lies between is found out here: a table is created only if it is not there, and one that is there is
//! ours exactly if we were about to create it (`in_doubt`). A table is dropped by the id in its link, so
//! one created under the same name since is never hit. The other statements can be repeated.

use doris_types::call::MetaFilter;
use doris_types::sql::{qualified_name, quote_identifier};

use super::downstream;
use crate::error::{Error, Origin, Result};
use crate::job::{JobState, LinkEffect, TableLink};
use crate::plan::Statement;
use crate::runner::shell::Shell;

/// Runs one statement and says what it did to the links.
pub(crate) async fn run(
    shell: &Shell,
    state: &JobState,
    commit_seq: i64,
    statement: &Statement,
    in_doubt: bool,
) -> Result<LinkEffect> {
    let db = shell.target_database();
    match statement {
        Statement::CreateTable { source_id, name, sql } => {
            create_table(shell, commit_seq, *source_id, name, sql, in_doubt).await
        }
        Statement::CreateView { name, sql } => {
            if shell.retry(async || views(shell).await).await?.contains(name) {
                // Views carry no id to tell ours from another, but they hold no rows either.
                execute(shell, &format!("DROP VIEW IF EXISTS {}", qualified_name(db, name))).await?;
            }
            execute(shell, sql).await?;
            Ok(LinkEffect::None)
        }
        Statement::DropTable { source_id, target_id } => {
            let present = shell.retry(async || table_name(shell, *target_id).await).await?;
            if let Some(name) = present {
                execute(shell, &format!("DROP TABLE IF EXISTS {}", qualified_name(db, &name))).await?;
            }
            Ok(LinkEffect::Dropped { source_id: *source_id })
        }
        Statement::DropView { name } => {
            execute(shell, &format!("DROP VIEW IF EXISTS {}", qualified_name(db, name))).await?;
            Ok(LinkEffect::None)
        }
        Statement::AlterTable { source_id, clause } => {
            let target = target_name(state, *source_id)?;
            execute(shell, &format!("ALTER TABLE {} {clause}", qualified_name(db, target))).await?;
            Ok(LinkEffect::None)
        }
        Statement::Truncate { source_id, tail } => {
            let target = target_name(state, *source_id)?;
            execute(shell, format!("TRUNCATE TABLE {} {tail}", qualified_name(db, target)).trim_end())
                .await?;
            Ok(LinkEffect::None)
        }
    }
}

async fn create_table(
    shell: &Shell,
    commit_seq: i64,
    source_id: i64,
    name: &str,
    sql: &str,
    in_doubt: bool,
) -> Result<LinkEffect> {
    let present = shell.retry(async || table_id(shell, name).await).await?;
    if present.is_some() && !in_doubt {
        return Err(Error::blocked(
            Origin::DownstreamFe,
            "CCR0312",
            format!("table {} is to be created, but the target has one of that name", quote_identifier(name)),
            "drop or rename the downstream table, then resume the job",
        ));
    }
    if present.is_none() {
        execute(shell, sql).await?;
    }
    let target_id = shell
        .retry(async || {
            table_id(shell, name).await?.ok_or_else(|| {
                Error::retry(
                    Origin::DownstreamFe,
                    "CCR0313",
                    format!("table {} was created, but is not in the metadata", quote_identifier(name)),
                )
            })
        })
        .await?;
    let link = TableLink {
        source_name: name.to_owned(),
        target_name: name.to_owned(),
        target_id,
        synced_to: commit_seq,
    };
    Ok(LinkEffect::Created { source_id, link })
}

/// Sends a statement until the FE has answered it. One whose answer was lost is sent again: those that
/// cannot be repeated blindly are `CREATE TABLE`, which then says that the table exists, and is asked
/// for by the caller.
async fn execute(shell: &Shell, sql: &str) -> Result<()> {
    let downstream_fe = &shell.ctx.downstream;
    let lost = std::sync::atomic::AtomicBool::new(false);
    shell
        .retry(async || match downstream_fe.execute(Some(shell.target_database()), sql).await {
            Ok(()) => Ok(()),
            Err(failure) => {
                // 1050: the table exists. After a lost answer that is our own table.
                let exists = matches!(failure.cause, doris_types::failure::Cause::Sql { code: 1050, .. });
                if exists && lost.load(std::sync::atomic::Ordering::Relaxed) {
                    return Ok(());
                }
                if failure.is_in_doubt() {
                    lost.store(true, std::sync::atomic::Ordering::Relaxed);
                }
                Err(downstream(failure))
            }
        })
        .await
}

async fn table_id(shell: &Shell, name: &str) -> Result<Option<i64>> {
    let db =
        shell.ctx.downstream.meta(shell.target_database(), MetaFilter::Names).await.map_err(downstream)?;
    Ok(db.and_then(|db| db.tables.into_iter().find(|table| table.name == name)).map(|table| table.id))
}

async fn table_name(shell: &Shell, id: i64) -> Result<Option<String>> {
    let db =
        shell.ctx.downstream.meta(shell.target_database(), MetaFilter::Names).await.map_err(downstream)?;
    Ok(db.and_then(|db| db.tables.into_iter().find(|table| table.id == id)).map(|table| table.name))
}

async fn views(shell: &Shell) -> Result<Vec<String>> {
    shell.ctx.downstream.views(shell.target_database()).await.map_err(downstream)
}

fn target_name(state: &JobState, source_id: i64) -> Result<&str> {
    state.tables.get(&source_id).map(|link| link.target_name.as_str()).ok_or_else(|| {
        Error::blocked(
            Origin::Internal,
            "CCR0902",
            format!("table {source_id} lost its link between plan and statement"),
            "report this as a bug of the syncer",
        )
    })
}
