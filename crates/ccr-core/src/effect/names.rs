//! Statements that drop tables or change their names.
//!
//! Doris knows no such statement by id, and a swap that is repeated undoes itself. So before every try, and
//! not just before the first, the names that the ids have now are read, and what is still to be done is
//! derived from them.
//!
//! A table that is to be copied for the first time has no target yet ([`NO_TARGET`]). Nothing is sent about it:
//! its copy will be put in place under the name that it has by then.

use std::collections::BTreeMap;

use doris_types::sql::{qualified_name, quote_identifier};

use super::absence::table_names;
use super::patience::Patience;
use super::statement::NAME_TAKEN;
use crate::error::{Error, Origin, Result};
use crate::job::NO_TARGET;
use crate::runner::shell::Shell;

type Names = BTreeMap<i64, String>;

/// Drops the table, under whatever name; answers with that name, or `None` when it is not there.
pub(crate) async fn drop_table(shell: &Shell, target_id: i64, patience: &Patience) -> Result<Option<String>> {
    let dropped = parking_lot::Mutex::new(None);
    until_done(shell, patience, |names| {
        let Some(name) = names.get(&target_id) else { return Ok(None) };
        *dropped.lock() = Some(name.clone());
        Ok(Some(drop_sql(shell, name)))
    })
    .await?;
    Ok(dropped.into_inner())
}

/// Drops the table of that name; answers whether there was one.
pub(crate) async fn drop_named(shell: &Shell, name: &str) -> Result<bool> {
    let dropped = std::sync::atomic::AtomicBool::new(false);
    until_done(shell, &Patience::endless(), |names| {
        let is_there = names.values().any(|now| now == name);
        dropped.fetch_or(is_there, std::sync::atomic::Ordering::Relaxed);
        Ok(is_there.then(|| drop_sql(shell, name)))
    })
    .await?;
    Ok(dropped.into_inner())
}

/// Renames the table, unless it has the name; `source_name` is for the message.
pub(crate) async fn rename_table(
    shell: &Shell,
    target_id: i64,
    source_name: &str,
    name: &str,
    patience: &Patience,
) -> Result<()> {
    if target_id == NO_TARGET {
        return Ok(());
    }
    until_done(shell, patience, |names| {
        let now = names.get(&target_id).ok_or_else(|| target_dropped(source_name, target_id))?;
        Ok((now != name).then(|| rename_sql(shell, now, name)))
    })
    .await
}

/// Gives tables the names they are to have, by their ids, in whatever order that takes. Where they wait for each
/// other's, one of them steps aside. A table that is not there needs no name.
pub(crate) async fn rename_tables(shell: &Shell, wanted: &BTreeMap<i64, String>) -> Result<()> {
    until_done(shell, &Patience::endless(), |names| {
        let next = next_rename(names, wanted)?;
        Ok(next.map(|(now, name)| rename_sql(shell, &now, &name)))
    })
    .await
}

/// The next of several renames: the name of now, and the one to give.
fn next_rename(names: &Names, wanted: &Names) -> Result<Option<(String, String)>> {
    let open: BTreeMap<i64, (&String, &String)> = wanted
        .iter()
        .filter_map(|(id, name)| names.get(id).filter(|now| *now != name).map(|now| (*id, (now, name))))
        .collect();
    let bearer = |name: &String| names.iter().find(|(_, now)| *now == name).map(|(id, _)| *id);
    for (now, name) in open.values() {
        match bearer(name) {
            None => return Ok(Some(((*now).clone(), (*name).clone()))),
            Some(other) if open.contains_key(&other) => {}
            Some(_) => {
                return Err(Error::blocked(
                    Origin::DownstreamFe,
                    NAME_TAKEN,
                    format!("table {now} is to be renamed to {name}, but the target has one of that name"),
                    "drop or rename the downstream table, then resume the job",
                ));
            }
        }
    }
    // Each waits for the name of another.
    Ok(open.iter().next().map(|(id, (now, _))| ((*now).clone(), format!("__ccr_name_{id}"))))
}

/// Exchanges the names of two tables. The new table carries the old name exactly when this took effect.
pub(crate) async fn swap_tables(
    shell: &Shell,
    (old_target_id, old_name): (i64, &str),
    (new_target_id, new_name): (i64, &str),
    patience: &Patience,
) -> Result<()> {
    if old_target_id == NO_TARGET {
        return rename_table(shell, new_target_id, new_name, old_name, patience).await;
    }
    if new_target_id == NO_TARGET {
        return rename_table(shell, old_target_id, old_name, new_name, patience).await;
    }
    until_done(shell, patience, |names| {
        if names.get(&new_target_id).is_some_and(|now| now == old_name) {
            return Ok(None);
        }
        if !names.contains_key(&old_target_id) {
            return Err(target_dropped(old_name, old_target_id));
        }
        Ok(Some(replace_sql(shell, old_name, new_name, true)))
    })
    .await
}

/// Gives the new table the name, and drops the old one, whichever of this is still to be done.
pub(crate) async fn replace_table(
    shell: &Shell,
    old_target_id: i64,
    new_target_id: i64,
    name: &str,
    patience: &Patience,
) -> Result<()> {
    if new_target_id == NO_TARGET {
        return drop_table(shell, old_target_id, patience).await.map(|_| ());
    }
    until_done(shell, patience, |names| {
        let now = names.get(&new_target_id).ok_or_else(|| target_dropped(name, new_target_id))?;
        Ok(match names.get(&old_target_id) {
            Some(old) if old == name => Some(replace_sql(shell, name, now, false)),
            Some(old) => Some(drop_sql(shell, old)),
            None if now == name => None,
            None => Some(rename_sql(shell, now, name)),
        })
    })
    .await
}

/// Sends what `next` says is still to be done, until it says nothing more.
async fn until_done(
    shell: &Shell,
    patience: &Patience,
    next: impl Fn(&Names) -> Result<Option<String>>,
) -> Result<()> {
    loop {
        let is_done = shell
            .retry(async || {
                let Some(sql) = next(&table_names(shell).await?)? else { return Ok(true) };
                let executed = shell.ctx.downstream.execute(Some(shell.target_database()), &sql).await;
                match executed {
                    Ok(()) => Ok(false),
                    Err(failure) => Err(patience.judge(shell, failure).await),
                }
            })
            .await?;
        patience.recovers();
        if is_done {
            return Ok(());
        }
    }
}

fn drop_sql(shell: &Shell, name: &str) -> String {
    format!("DROP TABLE IF EXISTS {}", qualified_name(shell.target_database(), name))
}

fn rename_sql(shell: &Shell, now: &str, name: &str) -> String {
    format!("ALTER TABLE {} RENAME {}", qualified_name(shell.target_database(), now), quote_identifier(name))
}

fn replace_sql(shell: &Shell, old_name: &str, new_name: &str, swap: bool) -> String {
    format!(
        "ALTER TABLE {} REPLACE WITH TABLE {} PROPERTIES (\"swap\" = \"{swap}\")",
        qualified_name(shell.target_database(), old_name),
        quote_identifier(new_name)
    )
}

/// The target of a table is gone, and not by the job.
pub(crate) fn target_dropped(table: &str, target_id: i64) -> Error {
    Error::blocked(
        Origin::DownstreamFe,
        "CCR0302",
        format!("the target of table {} ({target_id}) was dropped downstream", quote_identifier(table)),
        "recover the table downstream and resume, or delete the job and create it again",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(of: &[(i64, &str)]) -> Names {
        of.iter().map(|(id, name)| (*id, (*name).to_owned())).collect()
    }

    /// Carries the renames out, and says how many it took.
    fn all(mut now: Names, wanted: &Names) -> (Names, usize) {
        let mut steps = 0;
        while let Some((from, to)) = next_rename(&now, wanted).expect("no foreign table is in the way") {
            assert!(now.values().all(|name| *name != to), "{to} is taken");
            let id = now.iter().find(|(_, name)| **name == from).map(|(id, _)| *id).expect("it exists");
            now.insert(id, to);
            steps += 1;
        }
        (now, steps)
    }

    #[test]
    fn names_move_along_a_chain_and_around_a_circle() {
        let chain = names(&[(1, "b"), (2, "c")]);
        assert_eq!(all(names(&[(1, "a"), (2, "b")]), &chain), (chain.clone(), 2));
        let circle = names(&[(1, "b"), (2, "c"), (3, "a")]);
        let before = names(&[(1, "a"), (2, "b"), (3, "c"), (4, "d")]);
        let after = names(&[(1, "b"), (2, "c"), (3, "a"), (4, "d")]);
        assert_eq!(all(before, &circle), (after, 4));
    }

    #[test]
    fn a_table_that_is_gone_needs_no_name_and_a_foreign_one_is_in_the_way() {
        assert_eq!(next_rename(&names(&[(2, "b")]), &names(&[(1, "a")])).expect("nothing to do"), None);
        let taken = next_rename(&names(&[(1, "a"), (9, "b")]), &names(&[(1, "b")]));
        assert_eq!(taken.expect_err("it is taken").code, NAME_TAKEN);
    }
}
