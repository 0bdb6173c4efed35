//! Restoring beside the tables of the target, for frontends that let no restore replace a table of another schema.
//!
//! Old frontends know no `force_replace`. There a table is restored under a name that nobody uses, and then takes
//! the place of the old one by a statement, which swaps at once; the old one goes to the recycle bin. What is still to
//! be done after a crash is told by the names: as long as a table has that name it is to be put in place.

use super::absence::{names_when, table_names};
use super::names::{self, Names};
use super::patience::Patience;
use crate::error::Result;
use crate::job::{NO_TARGET, SnapshotInfo};
use crate::runner::shell::Shell;

/// The name under which a table is restored beside the others.
pub(super) fn name(shell: &Shell, source_id: i64) -> String {
    format!("__ccr_{}_{source_id}", shell.job_id())
}

/// Drops what earlier tries have left.
pub(super) async fn clear(shell: &Shell, info: &SnapshotInfo) -> Result<()> {
    let present = shell.retry(async || table_names(shell).await).await?;
    for table in &info.tables {
        let left = name(shell, table.id);
        if let Some((id, _)) = present.iter().find(|(_, name)| **name == left) {
            names::drop_table(shell, *id, &Names::new(), &Patience::endless()).await?;
        }
    }
    Ok(())
}

/// Puts every table that a restore of this id has made in the place of the one that has its name, if one has.
pub(super) async fn put_in_place(
    shell: &Shell,
    info: &SnapshotInfo,
    target_name: impl Fn(&str) -> String,
    restore_id: i64,
) -> Result<()> {
    for table in &info.tables {
        let (beside, target_name) = (name(shell, table.id), target_name(&table.name));
        let is_shown = |names: &Names| {
            let is_made =
                |(id, name): (&i64, &String)| *id > restore_id && (*name == beside || *name == target_name);
            names.iter().any(is_made)
        };
        let present = names_when(shell, &format!("the copy of table {}", table.id), is_shown).await?;
        let id_of = |wanted: &str| present.iter().find(|(_, name)| *name == wanted).map(|(id, _)| *id);
        if let Some(copy_id) = id_of(&beside) {
            let old_id = id_of(&target_name).unwrap_or(NO_TARGET);
            let (ids, known) = ((old_id, copy_id), Names::new());
            names::replace_table(shell, ids, &target_name, &known, &Patience::endless()).await?;
        }
    }
    Ok(())
}
