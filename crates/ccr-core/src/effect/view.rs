//! Bringing a view over as it is upstream now.
//!
//! A view has no data, so its copy is its definition. It is wanted when the binlog's own statement was
//! refused: the definition names a column or a table that the target does not have yet, or has no more.
//! A view that is in place is altered, so that it can be read all the time: a refusal leaves it as it was.
//! Its comment takes a statement of its own, which oldest frontends do not know; there it is made anew, when
//! its definition has been accepted. Everything here can be repeated after a crash.

use doris_types::failure::{Cause, Failure};
use doris_types::sql::{
    CreateRewrite, RewriteError, ViewChange, qualified_name, rewrite_create_table, view_comment,
};

use super::absence::table_names;
use super::statement::{in_the_way, table_id, views};
use super::{downstream, upstream};
use crate::error::{Error, Origin, Result};
use crate::runner::shell::Shell;

/// How a try ended.
pub(crate) enum Outcome {
    /// The target has this definition.
    Copied(String),
    /// There is no such view upstream: its drop or its new name follows in the binlog.
    NotThere,
    /// The downstream does not accept the definition, with its answer.
    Refused(String),
}

/// Tries once to give the target the view's present definition.
pub(crate) async fn copy(shell: &Shell, name: &str) -> Result<Outcome> {
    let (source_db, target_db) = (shell.source_database(), shell.target_database());
    let ctx = &shell.ctx;
    let Some(text) = ctx.upstream.show_create_table(source_db, name).await.map_err(upstream)? else {
        return Ok(Outcome::NotThere);
    };
    if !text.trim_start().starts_with("CREATE VIEW") {
        // A table has the name by now.
        return Ok(Outcome::NotThere);
    }
    if ctx.downstream.views(target_db).await.map_err(downstream)?.iter().any(|view| view == name) {
        let present = ctx.downstream.show_create_table(target_db, name).await.map_err(downstream)?;
        if present.is_some_and(|present| is_same(&present, &text, source_db, target_db)) {
            return Ok(Outcome::Copied(text));
        }
        return alter(shell, name, text).await;
    }
    if table_id(shell, name).await?.is_some() {
        return Ok(Outcome::Refused(in_the_way(name)));
    }
    // One that a frontend has not listed yet would be left as it is.
    drop(shell, name).await?;
    create(shell, name, text).await
}

/// Makes a view that is there what the text says.
async fn alter(shell: &Shell, name: &str, text: String) -> Result<Outcome> {
    let (source_db, target_db) = (shell.source_database(), shell.target_database());
    let change =
        ViewChange::new(&text, source_db, target_db, name).map_err(|error| unreadable(name, &error))?;
    if let Err(refusal) = execute(shell, &change.definition).await? {
        return Ok(Outcome::Refused(refusal.text()));
    }
    let present = shell.ctx.downstream.show_create_table(target_db, name).await.map_err(downstream)?;
    let comment = view_comment(&text).map_err(|error| unreadable(name, &error))?;
    if present.is_some_and(|present| view_comment(&present) == Ok(comment)) {
        return Ok(Outcome::Copied(text));
    }
    if execute(shell, &change.comment).await?.is_ok() {
        return Ok(Outcome::Copied(text));
    }
    drop(shell, name).await?;
    create(shell, name, text).await
}

async fn drop(shell: &Shell, name: &str) -> Result<()> {
    execute(shell, &drop_sql(shell, name)).await?.map_err(downstream)
}

/// Drops a view that may be there.
pub(super) fn drop_sql(shell: &Shell, name: &str) -> String {
    format!("DROP VIEW IF EXISTS {}", qualified_name(shell.target_database(), name))
}

async fn create(shell: &Shell, name: &str, text: String) -> Result<Outcome> {
    match execute(shell, &rewritten(shell, &text, name)?).await? {
        Ok(()) => Ok(Outcome::Copied(text)),
        Err(refusal) => Ok(Outcome::Refused(refusal.text())),
    }
}

/// Tries once to drop what the target still has of a view under these names. Answers with a refusal.
pub(crate) async fn remove(shell: &Shell, names: &[String]) -> Result<Option<String>> {
    for (name, _) in removable(shell, names).await? {
        if let Err(refusal) = execute(shell, &drop_sql(shell, &name)).await? {
            return Ok(Some(refusal.text()));
        }
    }
    Ok(None)
}

/// Those of the names that are to be dropped if views are to have none of them, and whether a view is listed under
/// each. The list may come from a frontend that is behind, so one that it lacks is dropped too, which does nothing if
/// there is none; but not under the name of a table, which the master tells.
pub(super) async fn removable(shell: &Shell, names: &[String]) -> Result<Vec<(String, bool)>> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let listed = views(shell).await?;
    let with_list = names.iter().map(|name| (name.clone(), listed.contains(name)));
    let mut removable: Vec<(String, bool)> = with_list.collect();
    if removable.iter().any(|(_, is_listed)| !is_listed) {
        let tables = table_names(shell).await?;
        removable.retain(|(name, is_listed)| *is_listed || tables.values().all(|table| table != name));
    }
    Ok(removable)
}

/// Whether the target has the definition of the source.
fn is_same(target: &str, source: &str, source_db: &str, target_db: &str) -> bool {
    // The same rewriting of both, so that what it changes besides makes no difference.
    let rewrite = |text: &str, from: &str| {
        let to = Some(target_db.to_owned());
        rewrite_create_table(text, &CreateRewrite { target_db: to, ..CreateRewrite::new(from) }).ok()
    };
    let (target, source) = (rewrite(target, target_db), rewrite(source, source_db));
    target.is_some() && target == source
}

fn rewritten(shell: &Shell, text: &str, name: &str) -> Result<String> {
    let rewrite = CreateRewrite {
        target_db: Some(shell.target_database().to_owned()),
        target_table: Some(name.to_owned()),
        ..CreateRewrite::new(shell.source_database())
    };
    rewrite_create_table(text, &rewrite).map_err(|error| unreadable(name, &error))
}

fn unreadable(name: &str, error: &RewriteError) -> Error {
    Error::blocked(
        Origin::UpstreamFe,
        "CCR0206",
        format!("the definition of view {name} cannot be rewritten for the target: {error}"),
        "report the statement with this message, or skip the binlog",
    )
}

/// Runs a statement; the inner result is what the frontend said of it.
async fn execute(shell: &Shell, sql: &str) -> Result<std::result::Result<(), Failure>> {
    shell.check_lease().await?;
    match shell.ctx.downstream.execute(Some(shell.target_database()), sql).await {
        Ok(()) => Ok(Ok(())),
        Err(failure) if matches!(failure.cause, Cause::Sql { .. }) => Ok(Err(failure)),
        Err(failure) => Err(downstream(failure)),
    }
}
