//! ALTER TABLE as both clusters do it: columns, names, comments, properties, rollups, indexes, distribution.

use std::collections::{BTreeMap, BTreeSet};

use super::Answer;
use super::catalog::Table;
use super::refusals::refused;

/// What a table says of itself beside its columns and partitions.
#[derive(Debug, Clone, Default)]
pub struct Traits {
    pub comment: String,
    pub column_comments: BTreeMap<String, String>,
    /// Of columns that are not `int`.
    pub column_types: BTreeMap<String, String>,
    pub properties: BTreeMap<String, String>,
    /// Their ids by name. They hold no rows of their own here.
    pub rollups: BTreeMap<String, i64>,
    pub indexes: BTreeSet<String>,
    /// Of future partitions.
    pub buckets: Option<usize>,
    pub is_random: bool,
}

impl PartialEq for Traits {
    fn eq(&self, other: &Self) -> bool {
        let names = |traits: &Self| traits.rollups.keys().cloned().collect::<Vec<_>>();
        self.comment == other.comment
            && self.column_comments == other.column_comments
            && self.column_types == other.column_types
            && self.properties == other.properties
            && names(self) == names(other)
            && self.indexes == other.indexes
            && (self.buckets, self.is_random) == (other.buckets, other.is_random)
    }
}

impl Eq for Traits {}

/// One clause of ALTER TABLE, or a statement that is like one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Alter {
    AddColumn(String),
    DropColumn(String),
    ModifyColumn {
        column: String,
        to: String,
    },
    RenameColumn {
        from: String,
        to: String,
    },
    Comment(String),
    ColumnComment {
        column: String,
        text: String,
    },
    Set {
        key: String,
        value: String,
    },
    RenamePartition {
        from: String,
        to: String,
    },
    RenameRollup {
        from: String,
        to: String,
    },
    DropRollup(String),
    DropIndex(String),
    /// For the rows of one partition, the only one where none is named.
    BuildIndex {
        index: String,
        partition: Option<String>,
    },
    Buckets(usize),
    Randomly,
}

impl Table {
    /// Does it, or says why not as the frontend does.
    pub fn alter(&mut self, what: &Alter) -> Answer<()> {
        match what {
            Alter::AddColumn(column) => {
                if self.columns.contains(column) {
                    return Err(refused("duplicate_column", &[column]));
                }
                self.columns.push(column.clone());
            }
            Alter::DropColumn(column) => {
                let at = self.columns.iter().position(|one| one == column);
                self.columns.remove(at.ok_or_else(|| refused("missing_column", &[column]))?);
                self.traits.column_comments.remove(column);
                self.traits.column_types.remove(column);
            }
            Alter::ModifyColumn { column, to } => {
                if self.traits.column_types.insert(column.clone(), to.clone()).as_ref() == Some(to) {
                    return Err(refused("same_column", &[]));
                }
            }
            Alter::RenameColumn { from, to } => self.rename_column(from, to)?,
            Alter::Comment(text) => text.clone_into(&mut self.traits.comment),
            Alter::ColumnComment { column, text } => {
                self.traits.column_comments.insert(column.clone(), text.clone());
            }
            Alter::Set { key, value } => {
                self.traits.properties.insert(key.clone(), value.clone());
            }
            Alter::RenamePartition { from, to } => {
                if self.partitions.iter().any(|partition| partition.name == *to) {
                    return Err(refused("partition_name_taken", &[to]));
                }
                let found = self.partitions.iter_mut().find(|partition| partition.name == *from);
                let partition = found.ok_or_else(|| refused("no_partition_to_rename", &[from]))?;
                to.clone_into(&mut partition.name);
            }
            Alter::RenameRollup { from, to } => {
                if self.traits.rollups.contains_key(to) {
                    return Err(refused("rollup_name_taken", &[to]));
                }
                let id = self.traits.rollups.remove(from);
                let id = id.ok_or_else(|| refused("no_rollup_to_rename", &[from]))?;
                self.traits.rollups.insert(to.clone(), id);
            }
            Alter::DropRollup(name) => {
                let gone = self.traits.rollups.remove(name);
                gone.ok_or_else(|| refused("missing_rollup", &[name, &self.name]))?;
            }
            Alter::DropIndex(name) => {
                if !self.traits.indexes.remove(name) {
                    return Err(refused("missing_index", &[name]));
                }
                for partition in &mut self.partitions {
                    partition.built.remove(name);
                }
            }
            Alter::BuildIndex { index, partition } => self.build_index(index, partition.as_deref())?,
            Alter::Buckets(number) => self.traits.buckets = Some(*number),
            Alter::Randomly => {
                if self.traits.is_random {
                    return Err(refused("random_already", &[]));
                }
                self.traits.is_random = true;
            }
        }
        Ok(())
    }

    fn rename_column(&mut self, from: &str, to: &str) -> Answer<()> {
        let at = self.columns.iter().position(|one| one == from);
        let at = at.ok_or_else(|| refused("no_column_to_rename", &[from]))?;
        if self.columns.iter().any(|one| one == to) {
            return Err(refused("column_name_taken", &[to]));
        }
        to.clone_into(&mut self.columns[at]);
        for of_columns in [&mut self.traits.column_comments, &mut self.traits.column_types] {
            if let Some(text) = of_columns.remove(from) {
                of_columns.insert(to.to_owned(), text);
            }
        }
        Ok(())
    }

    fn build_index(&mut self, index: &str, partition: Option<&str>) -> Answer<()> {
        if !self.traits.indexes.contains(index) {
            return Err(refused("no_index_to_build", &[index, &self.name]));
        }
        let is_meant = |name: &str| partition.is_none_or(|wanted| wanted == name);
        let mut meant: Vec<_> = self.partitions.iter_mut().filter(|one| is_meant(&one.name)).collect();
        if let (Some(name), true) = (partition, meant.is_empty()) {
            return Err(refused("missing_partition", &[name]));
        }
        for one in &mut meant {
            one.built.insert(index.to_owned());
        }
        Ok(())
    }
}
