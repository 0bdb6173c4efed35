//! What must hold: the downstream equals the upstream as it was at some commit seq; a table on its own
//! track, as it was at some other.

use std::collections::{BTreeMap, BTreeSet};

use super::Inner;
use ccr_core::job::Phase;

use super::alter::Traits;
use super::catalog::{Catalog, Cell, Table};

/// What a comparison may overlook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Strictness {
    Commit,
    /// A statement may just have made or dropped a table.
    Statement,
}

/// The content of a database, free of ids that differ between clusters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    pub tables: BTreeMap<String, TableView>,
}

#[derive(Debug, Clone)]
pub struct TableView {
    pub id: i64,
    pub columns: Vec<String>,
    pub traits: Traits,
    /// By range.
    pub partitions: BTreeMap<String, PartitionView>,
}

#[derive(Debug, Clone)]
pub struct PartitionView {
    pub id: i64,
    /// `None` when it does not matter.
    pub name: Option<String>,
    pub version: i64,
    pub medium: &'static str,
    pub built: BTreeSet<String>,
    pub buckets: Vec<Vec<Cell>>,
}

impl PartialEq for TableView {
    fn eq(&self, other: &Self) -> bool {
        (&self.columns, &self.traits, &self.partitions) == (&other.columns, &other.traits, &other.partitions)
    }
}

impl Eq for TableView {}

impl PartialEq for PartitionView {
    fn eq(&self, other: &Self) -> bool {
        (self.version, &self.buckets) == (other.version, &other.buckets)
            && (self.name.is_none() || other.name.is_none() || self.name == other.name)
            && (self.medium, &self.built) == (other.medium, &other.built)
    }
}

impl Eq for PartitionView {}

impl View {
    pub fn of(catalog: &Catalog) -> Self {
        let tables = catalog.tables.values().filter(|table| !is_aside(table)).map(|table| {
            let partitions = table.partitions.iter().filter(|p| !p.is_temporary).map(|partition| {
                let buckets = partition.tablets.iter().map(|tablet| tablet.cells.clone()).collect();
                let (id, version, medium) = (partition.id, partition.version, partition.medium);
                // That of an unpartitioned table is called like the table.
                let name = partition.bounds.map(|_| partition.name.clone());
                let view =
                    PartitionView { id, name, version, medium, built: partition.built.clone(), buckets };
                (partition.range(), view)
            });
            let (columns, traits) = (table.columns.clone(), table.traits.clone());
            let partitions = partitions.collect();
            (table.name.clone(), TableView { id: table.id, columns, traits, partitions })
        });
        Self { tables: tables.collect() }
    }
}

/// Whether a table was restored beside the others, and nobody reads it.
fn is_aside(table: &Table) -> bool {
    table.name.starts_with("__ccr_")
}

impl Inner {
    /// A table of the upstream at a commit seq.
    fn source_at(&self, id: i64, seq: i64) -> Option<(&str, &TableView)> {
        let (_, view) = self.journal.history.iter().rev().find(|(at, _)| *at <= seq)?;
        view.tables.iter().find(|(_, table)| table.id == id).map(|(name, table)| (name.as_str(), table))
    }

    /// Whether the target is what the source was at `seq`. Rows of partitions that were dropped or
    /// truncated upstream since may be missing: nothing is left to fetch them from. For the same reason rollups that
    /// were dropped since may be gone already.
    fn same_table(&self, target: &TableView, source: &TableView) -> bool {
        let source_gone = self.journal.gone.contains(&source.id);
        let mut traits = source.traits.clone();
        let has = |name: &String| target.traits.rollups.contains_key(name);
        traits.rollups.retain(|name, id| has(name) || !self.journal.gone.contains(id));
        (&target.columns, &target.traits) == (&source.columns, &traits)
            && target.partitions.len() == source.partitions.len()
            && source.partitions.iter().all(|(range, source)| {
                let Some(target) = target.partitions.get(range) else { return false };
                let is_gone = source_gone || self.journal.gone.contains(&source.id);
                target == source || is_gone && is_within(&target.buckets, &source.buckets)
            })
    }

    fn target_name(&self, source_name: &str) -> Option<String> {
        match &self.only_table {
            None => Some(source_name.to_owned()),
            Some((source, target)) => (source == source_name).then(|| target.clone()),
        }
    }

    /// Checks the target against the source as of `seq`, or of what a table is known to hold where that
    /// is later.
    pub fn check_at(&mut self, seq: i64) {
        if let Err(problem) = self.compare_at(seq, Strictness::Commit) {
            let target = self.target_view();
            let shown = format!("after the commit of {seq}: {problem}\ntarget {target:?}");
            self.violation(shown);
        }
    }

    /// Tables apart from the stream are at a point of their own; they are compared when they are back.
    fn compare_at(&self, seq: i64, strictness: Strictness) -> Result<(), String> {
        let target = self.target_view();
        let Some(state) = &self.store.state else { return Ok(()) };
        let mut expected = 0;
        // A table without a target yet may wait for a name that another one has.
        let is_linked = |id: i64| state.tables.values().any(|link| link.target_id == id);
        // Or for what could not be dropped yet.
        let is_stale =
            |name: &str, id: i64| state.stale.get(name).is_some_and(|stale| !stale.is_view) && !is_linked(id);
        for (source_id, link) in &state.tables {
            let found = target.tables.iter().find(|(name, table)| {
                let is_copied = !link.lane.is_flowing() && **name == link.target_name;
                table.id == link.target_id || is_copied && !is_linked(table.id) && !is_stale(name, table.id)
            });
            let Some((_, table)) = found else {
                if strictness == Strictness::Statement || !link.lane.is_flowing() {
                    continue;
                }
                return Err(format!("table {} is missing", link.target_name));
            };
            expected += 1;
            if !link.lane.is_flowing() || self.misses_restore(*source_id) {
                continue;
            }
            let at = seq.max(link.synced_to);
            let source = self.source_at(*source_id, at).map(|(_, table)| table);
            let Some(source) = source else {
                return Err(format!("table {} was not upstream at {at}", link.target_name));
            };
            if !self.same_table(table, source) {
                return Err(format!("table {} is not as it was at {at}", link.target_name));
            }
        }
        expected += target.tables.iter().filter(|(name, table)| is_stale(name, table.id)).count();
        expected += target.tables.values().filter(|table| self.foreign_tables.contains(&table.id)).count();
        if strictness == Strictness::Commit && expected != target.tables.len() {
            return Err(format!("there are {} tables instead of {expected}", target.tables.len()));
        }
        Ok(())
    }

    /// In table order: checks that each table is what it was at some commit seq, those written at the one they
    /// should be at. `at` says this by the id of the target.
    pub fn check_tables(&mut self, after: &str, at: impl Fn(i64) -> Option<i64>) {
        if let Err(problem) = self.compare_tables(at) {
            let shown = format!("after {after}: {problem}\ntarget {:?}", self.target_view());
            self.violation(shown);
        }
    }

    fn compare_tables(&self, at: impl Fn(i64) -> Option<i64>) -> Result<(), String> {
        let target = self.target_view();
        let Some(state) = &self.store.state else { return Ok(()) };
        for (source_id, link) in &state.tables {
            let Some((_, table)) = target.tables.iter().find(|(_, table)| table.id == link.target_id) else {
                continue;
            };
            let is_at = |seq: i64| {
                self.source_at(*source_id, seq).is_some_and(|(_, source)| self.same_table(table, source))
            };
            if self.misses_restore(*source_id) {
                continue;
            }
            match at(link.target_id) {
                // One that is being copied has no part in it, though an earlier try may have begun with it.
                Some(seq)
                    if link.lane.apart().is_none_or(|apart| apart.is_trailing())
                        && !is_at(seq.max(link.synced_to)) =>
                {
                    return Err(format!("table {} is not as it was at {seq}", link.target_name));
                }
                None if link.lane.is_flowing()
                    && !self.journal.history.iter().rev().any(|(seq, _)| is_at(*seq)) =>
                {
                    return Err(format!("table {} is as it never was", link.target_name));
                }
                Some(_) | None => {}
            }
        }
        Ok(())
    }

    /// Checks, after a statement, that the target is the source of some commit seq. What the statement did
    /// to the links is not known yet.
    pub fn check_some(&mut self, after: &str) {
        if self.restores.finished == 0 || self.transactions.is_publishing() {
            return;
        }
        // What was restored beside is put in place one table after the other.
        let is_full_sync =
            self.store.state.as_ref().is_some_and(|state| matches!(state.phase, Phase::FullSync(_)));
        if self.by_table || is_full_sync && self.restores.cannot_replace {
            return self.check_tables(after, |_| None);
        }
        let seqs: Vec<i64> = self.journal.history.iter().map(|(seq, _)| *seq).collect();
        let last = seqs.last().copied();
        if seqs.into_iter().rev().any(|seq| self.compare_at(seq, Strictness::Statement).is_ok()) {
            return;
        }
        let problem =
            last.and_then(|seq| self.compare_at(seq, Strictness::Statement).err()).unwrap_or_default();
        self.violation(format!("after {after} the target is like no state of the source; {problem}"));
    }

    pub fn target_view(&self) -> View {
        let mut view = View::of(&self.target);
        if self.partitions_renamed {
            let tables = view.tables.values_mut();
            tables
                .flat_map(|table| table.partitions.values_mut())
                .for_each(|partition| partition.name = None);
        }
        view
    }

    /// Whether both sides are equal now, to the last version.
    pub fn difference(&self) -> Option<String> {
        if let Some(left) = self.target.tables.values().find(|table| is_aside(table)) {
            return Some(format!("table {} is left", left.name));
        }
        let target = self.target_view();
        let source = View::of(&self.source);
        let mut tables = BTreeMap::new();
        for (name, table) in source.tables {
            if let Some(name) = self.target_name(&name) {
                tables.insert(name, table);
            }
        }
        let source = View { tables };
        if source != target {
            return Some(format!("source {source:?}\ntarget {target:?}"));
        }
        let shown = |catalog: &Catalog| {
            let views = catalog.views.iter();
            views.map(|(name, view)| format!("{name} of {} {:?}", view.of, view.comment)).collect::<Vec<_>>()
        };
        let (source, target) = (shown(&self.source), shown(&self.target));
        let views_differ = self.only_table.is_none() && source != target;
        views_differ.then(|| format!("views {source:?} and {target:?}"))
    }
}

impl Inner {
    /// Whether a table of this name is on both sides, and equal.
    pub fn is_equal(&self, name: &str) -> bool {
        let (source, target) = (View::of(&self.source), self.target_view());
        source.tables.get(name).is_some_and(|table| target.tables.get(name) == Some(table))
    }
}

/// Whether each bucket holds a part of what it should, in order and nothing twice.
fn is_within(target: &[Vec<Cell>], source: &[Vec<Cell>]) -> bool {
    target.len() == source.len()
        && target.iter().zip(source).all(|(part, whole)| {
            let mut whole = whole.iter();
            part.iter().all(|cell| whole.any(|other| other == cell))
        })
}
