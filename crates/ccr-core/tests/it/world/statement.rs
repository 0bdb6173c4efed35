//! Statements downstream.

use super::catalog::View;
use super::refusals::refused;
use super::sql::{Ddl, NewPartition, recognise};
use super::{Answer, Inner, refusal};
use doris_types::failure::Cause;

impl Inner {
    pub fn execute(&mut self, sql: &str) -> Answer<()> {
        let Some(ddl) = recognise(sql) else {
            self.violation(format!("statement that is not known: {sql}"));
            return Err(refusal(1105, "no viable alternative"));
        };
        self.trace.push(format!("        downstream: {ddl:?}"));
        let name = ddl.name().map(str::to_owned);
        let is_one_of = |names: &[String]| name.as_ref().is_some_and(|name| names.contains(name));
        if matches!(ddl, Ddl::DropTable { .. } | Ddl::RenameTable { .. }) && is_one_of(&self.busy_tables) {
            self.names_kept.extend(name.clone());
        }
        if is_one_of(&self.busy_tables) && !matches!(ddl, Ddl::CreateTable { .. }) {
            let name = name.unwrap_or_default();
            return Err(refusal(
                1105,
                format!("Table[{name}]'s state(ROLLUP) is not NORMAL. Do not allow doing ALTER ops"),
            ));
        }
        if is_one_of(&self.refusing_tables) {
            return Err(refusal(1105, format!("no change of {} is accepted", name.unwrap_or_default())));
        }
        self.refuse_while_restoring(&ddl)?;
        self.check_rows_to_swap(&ddl);
        self.keep_target();
        self.apply(ddl)?;
        self.check_some(sql);
        if is_one_of(&self.mute_tables) {
            return Err(Cause::Lost { detail: "no answer in time".to_owned() });
        }
        Ok(())
    }

    /// Rows that take the place of others are to be seen then.
    fn check_rows_to_swap(&mut self, ddl: &Ddl) {
        let names = match ddl {
            Ddl::ReplacePartition { table, .. } => vec![table.clone()],
            Ddl::ReplaceTable { table, with, swap: true } => vec![table.clone(), with.clone()],
            Ddl::ReplaceTable { with, swap: false, .. } => vec![with.clone()],
            _ => return,
        };
        let since_ms = self.now_ms - 10_000;
        // A table apart is at a point of its own, and goes on beside statements that change its name.
        let is_flowing = |id: &i64| {
            let mut links = self.store.state.iter().flat_map(|state| state.tables.values());
            links.any(|link| link.target_id == *id && link.lane.is_flowing())
        };
        let ids = names.iter().filter_map(|name| self.target.table(name)).map(|table| table.id);
        let ids: Vec<i64> = ids.filter(is_flowing).collect();
        if let Some(txn) = ids.iter().find_map(|id| self.transactions.publishing_to(*id, since_ms)) {
            let text = format!("{ddl:?} puts rows in place that are not visible yet: {}", txn.label);
            self.violation(text);
        }
    }

    /// A table that an atomic restore is about to replace can be loaded into, but not be altered or dropped.
    fn refuse_while_restoring(&self, ddl: &Ddl) -> Answer<()> {
        let (name, drops) = match ddl {
            Ddl::CancelRestore
            | Ddl::CreateTable { .. }
            | Ddl::CreateView { .. }
            | Ddl::AlterView { .. }
            | Ddl::DropView { .. } => {
                return Ok(());
            }
            Ddl::DropTable { name } => (name, true),
            Ddl::Alter { table, .. }
            | Ddl::ReplaceTable { table, .. }
            | Ddl::AddPartition { table, .. }
            | Ddl::DropPartition { table, .. }
            | Ddl::RenamePartition { table, .. }
            | Ddl::ReplacePartition { table, .. }
            | Ddl::RenameTable { table, .. }
            | Ddl::SetMedium { table, .. }
            | Ddl::Truncate { table, .. } => (table, false),
        };
        let Some(table) = self.target.table(name).filter(|table| self.is_being_restored(table.id)) else {
            return Ok(());
        };
        let name = &table.name;
        let adds = self.is_in_restore(table.id);
        Err(refusal(
            1105,
            if adds && drops {
                format!("The table [{name}]'s state is RESTORE, cannot be dropped. please restore it")
            } else if adds {
                format!("Table[{name}]'s state(RESTORE) is not NORMAL. Do not allow doing ALTER ops")
            } else if drops {
                format!(
                    "The table [{name}]'s state is in atomic restore, cannot be dropped. please restore it"
                )
            } else {
                format!("Table[{name}] is in atomic restore state. Do not allow doing ALTER ops")
            },
        ))
    }

    fn apply(&mut self, ddl: Ddl) -> Answer<()> {
        match ddl {
            Ddl::CancelRestore => self.cancel_restore()?,
            Ddl::CreateTable { name, .. } if self.refused_creates.contains(&name) => {
                return Err(refusal(1105, "Failed to find enough backend"));
            }
            Ddl::CreateTable { name, columns, partitions, buckets, replicas } => {
                // A view of the name is passed over as well.
                if self.target.table(&name).is_none() && !self.target.views.contains_key(&name) {
                    let partitions: Vec<_> =
                        partitions.into_iter().map(|partition| (partition.name, partition.bounds)).collect();
                    let mut table = self.new_table(&name, &partitions, buckets, replicas);
                    table.columns = columns;
                    self.target.tables.insert(table.id, table);
                }
            }
            Ddl::CreateView { name, of, comment } => {
                let id = self.id();
                self.target.views.entry(name).or_insert(View { id, of, comment });
            }
            Ddl::AlterView { name, of, comment } => {
                let view = self.target.views.get_mut(&name).ok_or_else(|| unknown(&name))?;
                view.of = of.unwrap_or_else(|| view.of.clone());
                view.comment = comment.unwrap_or_else(|| view.comment.clone());
            }
            Ddl::Alter { table, what } => {
                let table = self.target.table_mut(&table).ok_or_else(|| unknown(&table))?;
                table.alter(&what)?;
            }
            Ddl::ReplaceTable { table, with, swap } => {
                let old = self.target.table(&table).ok_or_else(|| unknown(&table))?.id;
                let new = self.target.table(&with).ok_or_else(|| unknown(&with))?.id;
                if swap {
                    self.target.tables.get_mut(&old).ok_or_else(|| unknown(&table))?.set_name(&with);
                } else {
                    self.target.tables.remove(&old);
                }
                self.target.tables.get_mut(&new).ok_or_else(|| unknown(&with))?.set_name(&table);
            }
            Ddl::DropTable { name } => {
                if let Some(id) = self.target.table(&name).map(|table| table.id) {
                    self.target.tables.remove(&id);
                }
            }
            Ddl::DropView { name } => {
                self.target.views.remove(&name);
            }
            Ddl::AddPartition { table, partition: NewPartition { name, bounds }, is_temporary } => {
                let found = self.target.table(&table).cloned().ok_or_else(|| unknown(&table))?;
                if found.partitions.iter().all(|partition| partition.name != name) {
                    let mut partition = self.new_partition(&name, Some(bounds), found.buckets);
                    partition.is_temporary = is_temporary;
                    self.target.table_mut(&table).ok_or_else(|| unknown(&table))?.partitions.push(partition);
                }
            }
            Ddl::ReplacePartition { table, name, by } => {
                let table = self.target.table_mut(&table).ok_or_else(|| unknown(&table))?;
                let position = |wanted: &str, is_temporary: bool| {
                    let mut partitions = table.partitions.iter();
                    partitions.position(|one| one.name == wanted && one.is_temporary == is_temporary)
                };
                let missing = || refused("missing_temporary", &[&by]);
                let (at, temporary) = (position(&name, false), position(&by, true));
                let (at, temporary) = (at.ok_or_else(missing)?, temporary.ok_or_else(missing)?);
                let bounds = table.partitions[at].bounds;
                let fresh = &mut table.partitions[temporary];
                (fresh.is_temporary, fresh.name, fresh.bounds) = (false, name, bounds);
                table.partitions.remove(at);
            }
            Ddl::DropPartition { table, name } => {
                let table = self.target.table_mut(&table).ok_or_else(|| unknown(&table))?;
                table.partitions.retain(|partition| partition.name != name);
            }
            Ddl::RenamePartition { table, name, to } => {
                let table = self.target.table_mut(&table).ok_or_else(|| unknown(&table))?;
                if table.partitions.iter().any(|partition| partition.name == to) {
                    return Err(refusal(1105, format!("Partition name[{to}] is already used")));
                }
                let found = table.partitions.iter_mut().find(|partition| partition.name == name);
                let missing = || refusal(1105, format!("Partition[{name}] does not exist"));
                found.ok_or_else(missing)?.name = to;
            }
            Ddl::SetMedium { table, partitions, medium } => {
                let table = self.target.table_mut(&table).ok_or_else(|| unknown(&table))?;
                for name in partitions {
                    let found = table.partitions.iter_mut().find(|partition| partition.name == name);
                    let missing = || refused("missing_partition", &[&name]);
                    found.ok_or_else(missing)?.medium = medium;
                }
            }
            Ddl::RenameTable { table, name } => {
                if self.target.table(&name).is_some() || self.target.views.contains_key(&name) {
                    return Err(refused("table_name_taken", &[&name]));
                }
                if let Some(view) = self.target.views.remove(&table) {
                    self.target.views.insert(name, view);
                    return Ok(());
                }
                let table = self.target.table_mut(&table).ok_or_else(|| unknown(&table))?;
                table.set_name(&name);
            }
            Ddl::Truncate { table, partitions } => {
                let mut found = self.target.table(&table).cloned().ok_or_else(|| unknown(&table))?;
                let missing =
                    |name: &&String| found.partitions.iter().all(|partition| partition.name != **name);
                if let Some(name) = partitions.iter().find(missing) {
                    return Err(refusal(1105, format!("Partition {name} does not exist")));
                }
                for partition in &mut found.partitions {
                    let is_meant = partitions.is_empty() || partitions.contains(&partition.name);
                    if is_meant && !partition.is_temporary {
                        let name = partition.name.clone();
                        *partition = self.new_partition(&name, partition.bounds, found.buckets);
                    }
                }
                self.target.tables.insert(found.id, found);
            }
        }
        Ok(())
    }
}

fn unknown(table: &str) -> Cause {
    refusal(1051, format!("Unknown table '{table}'"))
}
