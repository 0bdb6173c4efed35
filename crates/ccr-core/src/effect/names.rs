//! Statements that drop tables or change their names.
//!
//! Doris knows no such statement by id, and a swap that is repeated undoes itself. So before every try, and
//! not just before the first, the names that the ids have now are read, and what is still to be done is
//! derived from them.
//!
//! A table that is to be copied for the first time has no target yet ([`NO_TARGET`]). Nothing is sent about it:
//! its copy will be put in place under the name that it has by then.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use doris_types::sql::{qualified_name, quote_identifier};

use super::absence::{look_for, names_when, table_names};
use super::patience::{Patience, SharedPatience};
use super::statement::NAME_TAKEN;
use crate::error::{Disposition, Error, Origin, Result};
use crate::job::{NO_TARGET, TableLink};
use crate::runner::publishing;
use crate::runner::shell::Shell;

/// Downstream tables by id.
pub(crate) type Names = BTreeMap<i64, String>;

/// The code of a target that is gone, and not by the job.
const TARGET_DROPPED: &str = "CCR0302";

/// Refusals of one change after which the names are looked at again.
const REFUSALS: u32 = 3;

/// The names of the targets of those tables that have one, by its id. One that is still to get another name may have got
/// it already, or be gone: the name of such a target is empty.
pub(crate) fn targets<'a>(links: impl Iterator<Item = &'a TableLink>) -> Names {
    let name = |link: &TableLink| {
        let is_renamed = link.lane.apart().is_some_and(|apart| apart.renaming.is_some());
        if is_renamed { String::new() } else { link.target_name.clone() }
    };
    let has_target = links.filter(|link| link.target_id != NO_TARGET);
    has_target.map(|link| (link.target_id, name(link))).collect()
}

/// Drops the table, under whatever name; answers with that name, or `None` when it is not there. `known` are the tables
/// of the job: under a name that another one of them has nothing is dropped.
pub(crate) async fn drop_table(
    shell: &Shell,
    target_id: i64,
    known: &Names,
    patience: &Patience,
) -> Result<Option<String>> {
    let gone = target_dropped("", target_id);
    let dropped: parking_lot::Mutex<Option<String>> = parking_lot::Mutex::default();
    let done = until_done(shell, patience, |names| match names.get(&target_id) {
        Some(name) => {
            let sql = drop_unless_crossed(shell, (target_id, name), known)?;
            *dropped.lock() = Some(name.clone());
            Ok(Some(sql))
        }
        None if dropped.lock().is_some() => Ok(None),
        // Somebody else has dropped it, if it is missing each time.
        None => Err(gone.clone()),
    });
    match (done.await, dropped.into_inner()) {
        (Err(error), None) if error.message == gone.message => Ok(None),
        (Err(error), _) => Err(error),
        (Ok(()), dropped) => Ok(dropped),
    }
}

/// Drops the table of that name, if it is none of those, and none of them has it; answers whether there was one.
pub(crate) async fn drop_named(shell: &Shell, name: &str, kept: &Names, patience: &Patience) -> Result<bool> {
    if kept.values().any(|known| known == name) {
        return Ok(false);
    }
    let dropped = AtomicBool::new(false);
    until_done(shell, patience, |names| {
        let is_there = names.iter().any(|(id, now)| now == name && !kept.contains_key(id));
        dropped.fetch_or(is_there, Ordering::Relaxed);
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

/// A table that cannot have its name now: the one that it has, and why.
pub(crate) type Unnamed = (String, Error);

/// Gives tables the names they are to have, by their ids, in whatever order that takes. Two that have each other's
/// exchange them; where more wait for each other's, one of them steps aside. Answers with those that cannot have theirs
/// now, one that is not there among them: nobody knows under what name it may be recovered.
pub(crate) async fn rename_tables(
    shell: &Shell,
    wanted: &Names,
    patience: SharedPatience,
) -> Result<BTreeMap<i64, Unnamed>> {
    // Others would do the same from what they have read before.
    let _alone = shell.renaming.lock().await;
    let mut refused: BTreeMap<i64, Unnamed> = BTreeMap::new();
    let mut is_looked_for = false;
    loop {
        let can_be_made = |names: &Names| {
            let is_open = |id: &i64| !refused.contains_key(id);
            let is_there = wanted.keys().filter(|id| is_open(id)).all(|id| names.contains_key(id));
            is_there && !matches!(next_rename(names, wanted, |id| !is_open(&id)), Next::Taken { .. })
        };
        let mut names = shell.retry(async || table_names(shell).await).await?;
        if !is_looked_for && !can_be_made(&names) {
            // Once for all of them: others wait.
            is_looked_for = true;
            names = names_when(shell, "tables that are to be renamed", can_be_made).await?;
        }
        for (id, name) in wanted.iter().filter(|(id, _)| !names.contains_key(*id)) {
            refused.entry(*id).or_insert_with(|| (aside(*id), target_dropped(name, *id)));
        }
        let now = |id: i64| names.get(&id).cloned().unwrap_or_default();
        match next_rename(&names, wanted, |id| refused.contains_key(&id)) {
            Next::Done => return Ok(refused),
            Next::Swap { ids: [first, second] } => {
                let sides = [(first, now(first)), (second, now(second))];
                match exchange(shell, &sides, &patience.rest(shell)).await {
                    Ok(()) => {}
                    Err(error) if error.disposition == Disposition::Stop => return Err(error),
                    Err(error) => refused.extend(sides.map(|(id, now)| (id, (now, error.clone())))),
                }
            }
            Next::Taken { id, name } => {
                let message = format!(
                    "table {} is to be renamed to {name}, but the target has one of that name",
                    now(id)
                );
                let hint = "drop or rename the downstream table, then resume the job";
                let error = Error::blocked(Origin::DownstreamFe, NAME_TAKEN, message, hint);
                refused.insert(id, (now(id), error));
            }
            Next::Rename { id, name } => {
                match rename_table(shell, id, &now(id), &name, &patience.rest(shell)).await {
                    Ok(()) => {}
                    Err(error) if error.disposition == Disposition::Stop => return Err(error),
                    Err(error) => {
                        refused.insert(id, (now(id), error));
                    }
                }
            }
        }
    }
}

/// Exchanges the names of two tables, while they have these.
async fn exchange(shell: &Shell, sides: &[(i64, String); 2], patience: &Patience) -> Result<()> {
    let [(first_id, first), (second_id, second)] = sides;
    publishing::until_visible(shell, &[*first_id, *second_id]).await;
    until_done(shell, patience, |names| {
        let is_open = sides.iter().all(|(id, name)| names.get(id) == Some(name));
        Ok(is_open.then(|| replace_sql(shell, first, second, true)))
    })
    .await
}

/// The name of a table that gives up its own before it can have another.
fn aside(id: i64) -> String {
    format!("__ccr_name_{id}")
}

/// What is to be done next of several renames.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// Each has the name of the other.
    Swap {
        ids: [i64; 2],
    },
    Rename {
        id: i64,
        name: String,
    },
    /// What has the name does not give it up.
    Taken {
        id: i64,
        name: String,
    },
    Done,
}

fn next_rename(names: &Names, wanted: &Names, is_refused: impl Fn(i64) -> bool) -> Next {
    let is_open =
        |(id, name): &(&i64, &String)| !is_refused(**id) && names.get(*id).is_some_and(|now| now != *name);
    let open: BTreeMap<i64, &String> = wanted.iter().filter(is_open).map(|(id, name)| (*id, name)).collect();
    let bearer = |name: &String| names.iter().find(|(_, now)| *now == name).map(|(id, _)| *id);
    for (id, name) in &open {
        match bearer(name) {
            None => return Next::Rename { id: *id, name: (*name).clone() },
            Some(other) if open.contains_key(&other) => {}
            Some(_) => return Next::Taken { id: *id, name: (*name).clone() },
        }
    }
    // Each waits for the name of another.
    for (id, name) in &open {
        let has_mine = |other: &i64| open.get(other).copied() == names.get(id);
        if let Some(other) = bearer(name).filter(has_mine) {
            return Next::Swap { ids: [*id, other] };
        }
    }
    match open.keys().next() {
        Some(id) => Next::Rename { id: *id, name: aside(*id) },
        None => Next::Done,
    }
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

/// Gives the new table the name, and drops the old one, whichever of this is still to be done. `known` are the tables of
/// the job.
pub(crate) async fn replace_table(
    shell: &Shell,
    (old_target_id, new_target_id): (i64, i64),
    name: &str,
    known: &Names,
    patience: &Patience,
) -> Result<()> {
    if new_target_id == NO_TARGET {
        return drop_table(shell, old_target_id, known, patience).await.map(|_| ());
    }
    until_done(shell, patience, |names| {
        let now = names.get(&new_target_id).ok_or_else(|| target_dropped(name, new_target_id))?;
        Ok(match names.get(&old_target_id) {
            Some(old) if old == name => Some(replace_sql(shell, name, now, false)),
            Some(old) => Some(drop_unless_crossed(shell, (old_target_id, old), known)?),
            None if now == name => None,
            None => Some(rename_sql(shell, now, name)),
        })
    })
    .await
}

/// Sends what `next` says is still to be done, until it says nothing more. The names may be told by a master that has
/// been cut off and has not noticed: what is missing then is looked for again, and so are the names after a refusal.
async fn until_done(
    shell: &Shell,
    patience: &Patience,
    next: impl Fn(&Names) -> Result<Option<String>>,
) -> Result<()> {
    let refusals = AtomicU32::new(0);
    loop {
        let is_done = shell
            .retry(async || {
                let Some(sql) = to_do(shell, &next).await? else { return Ok(true) };
                shell.check_lease().await?;
                let executed = shell.ctx.downstream.execute(Some(shell.target_database()), &sql).await;
                let Err(failure) = executed else { return Ok(false) };
                let error = patience.judge(shell, failure).await;
                let is_first = || refusals.fetch_add(1, Ordering::Relaxed) < REFUSALS;
                if error.disposition == Disposition::Block && is_first() {
                    let changed =
                        async || Ok((next(&table_names(shell).await?)?.as_ref() != Some(&sql)).then_some(()));
                    if look_for(shell, "names after a refusal", changed).await?.is_some() {
                        return Ok(false);
                    }
                }
                Err(error)
            })
            .await?;
        patience.recovers();
        if is_done {
            return Ok(());
        }
    }
}

/// What is still to be done. That it cannot be done, for want of a table, is believed when it is said each time.
async fn to_do(shell: &Shell, next: impl Fn(&Names) -> Result<Option<String>>) -> Result<Option<String>> {
    let refused = parking_lot::Mutex::new(None);
    let look = async || match next(&table_names(shell).await?) {
        Ok(sql) => Ok(Some(sql)),
        Err(error) => {
            *refused.lock() = Some(error);
            Ok(None)
        }
    };
    match (look_for(shell, "tables that change their names", look).await?, refused.into_inner()) {
        (None, Some(error)) => Err(error),
        (sql, _) => Ok(sql.flatten()),
    }
}

/// Drops a table under the name that it is said to have, unless that is another one's by what the job knows: who says so
/// may be behind, and then this is the name of before.
fn drop_unless_crossed(shell: &Shell, (id, name): (i64, &str), known: &Names) -> Result<String> {
    let is_of_another = known.iter().any(|(other, known)| *other != id && known == name);
    if is_of_another { Err(crossed(id, name)) } else { Ok(drop_sql(shell, name)) }
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

/// A table that is to be dropped has the name of another one of the job.
fn crossed(target_id: i64, name: &str) -> Error {
    Error::blocked(
        Origin::DownstreamFe,
        TARGET_DROPPED,
        format!(
            "table {target_id} is to be dropped, and is called {} downstream, which is another table's name",
            quote_identifier(name)
        ),
        "give the downstream tables the names back that they had, then resume the job",
    )
}

/// The target of a table is gone, and not by the job.
pub(crate) fn target_dropped(table: &str, target_id: i64) -> Error {
    Error::blocked(
        Origin::DownstreamFe,
        TARGET_DROPPED,
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
        loop {
            match next_rename(&now, wanted, |_| false) {
                Next::Rename { id, name } => {
                    assert!(now.values().all(|other| *other != name), "{name} is taken");
                    now.insert(id, name);
                    steps += 1;
                }
                Next::Swap { ids: [first, second] } => {
                    let (one, other) = (now[&first].clone(), now[&second].clone());
                    now.extend([(first, other), (second, one)]);
                    steps += 1;
                }
                Next::Taken { name, .. } => panic!("{name} is nobody's"),
                Next::Done => return (now, steps),
            }
        }
    }

    #[test]
    fn names_move_along_a_chain_and_around_a_circle() {
        let chain = names(&[(1, "b"), (2, "c")]);
        assert_eq!(all(names(&[(1, "a"), (2, "b")]), &chain), (chain.clone(), 2));
        let circle = names(&[(1, "b"), (2, "c"), (3, "a")]);
        let before = names(&[(1, "a"), (2, "b"), (3, "c"), (4, "d")]);
        let after = names(&[(1, "b"), (2, "c"), (3, "a"), (4, "d")]);
        assert_eq!(all(before, &circle), (after, 4));
        let swap = names(&[(1, "b"), (2, "a")]);
        assert_eq!(all(names(&[(1, "a"), (2, "b")]), &swap), (swap.clone(), 1));
    }

    #[test]
    fn a_table_that_is_gone_needs_no_name_and_a_foreign_one_is_in_the_way() {
        assert_eq!(next_rename(&names(&[(2, "b")]), &names(&[(1, "a")]), |_| false), Next::Done);
        let (now, wanted) = (names(&[(1, "a"), (2, "c"), (9, "b")]), names(&[(1, "b"), (2, "a")]));
        let taken = |id: i64, name: &str| Next::Taken { id, name: name.to_owned() };
        assert_eq!(next_rename(&now, &wanted, |_| false), taken(1, "b"));
        // What waits for the name of one that keeps it does not get it either.
        assert_eq!(next_rename(&now, &wanted, |id| id == 1), taken(2, "a"));
        assert_eq!(next_rename(&now, &wanted, |_| true), Next::Done);
    }
}
