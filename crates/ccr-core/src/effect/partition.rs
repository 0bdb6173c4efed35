//! Statements about partitions that exist: dropped, truncated, renamed.
//!
//! Records name partitions by id and name, and names may differ between the sides; what a partition is, is its
//! range. The range of an id is in the upstream's metadata while the partition is there, and in what the job has
//! read before when it is not. Where neither knows it, the name is all there is; then it must at least not be
//! that of another partition.

use doris_types::meta::{PartitionMeta, TableMeta};
use doris_types::record::{DropPartitionRecord, TruncateTableRecord};
use doris_types::sql::{drop_partition_sql, qualified_name, quote_identifier, truncate_sql_tail};

use super::medium::formal;
use super::names::target_dropped;
use super::patience::Patience;
use super::routes::{Routes, look_at_patiently};
use super::statement::execute;
use super::{downstream, upstream};
use crate::error::{Error, Origin, Result};
use crate::plan::{PartitionChange, Repeated};
use crate::runner::shell::Shell;

/// The code of a partition that the target does not have.
const MISSING_PARTITION: &str = "CCR0304";

/// The partition of the target that a record means.
#[derive(Debug, PartialEq, Eq)]
enum Meant {
    /// It has this name there.
    Named(String),
    /// The target has no partition of its range.
    Missing,
    /// Its range is not known, and no partition has its name.
    Unknown,
    /// Its range is not known, and what has its name is another one.
    Another,
}

/// The partitions of one table on both sides, without temporary ones.
struct Sides<'a> {
    source_id: i64,
    source: Vec<&'a PartitionMeta>,
    target: Vec<&'a PartitionMeta>,
    target_name: &'a str,
    routes: &'a Routes,
}

/// Finds the partitions that a change is about, and sends it.
pub(super) async fn change(
    shell: &Shell,
    routes: &Routes,
    (commit_seq, in_doubt): (i64, bool),
    (source_id, target_id): (i64, i64),
    change: &PartitionChange,
    patience: &Patience,
) -> Result<()> {
    let (source, target) = look_at_patiently(shell, source_id, target_id).await?;
    let target = match (target, &source) {
        (Some(target), _) => target,
        (None, Some(source)) => return Err(target_dropped(&source.name, target_id)),
        (None, None) => {
            shell.record_skip(commit_seq, format!("both sides have dropped table {source_id} since"));
            return Ok(());
        }
    };
    let source = source.unwrap_or_default();
    let sides = shell.retry(async || Sides::of(shell, routes, source_id, &source, &target).await).await?;
    let table = qualified_name(shell.target_database(), &target.name);
    let (sql, repeated) = match change {
        PartitionChange::Drop(record) => match sides.drop(shell, commit_seq, record).await? {
            Some(clause) => (format!("ALTER TABLE {table} {clause}"), Repeated::DROPPED),
            None => return Ok(()),
        },
        PartitionChange::Truncate(record) => {
            (format!("TRUNCATE TABLE {table} {}", sides.truncate(commit_seq, record)?), Repeated::Accepted)
        }
        PartitionChange::Rename { partition_id, old, new } => match sides.rename(*partition_id, old, new)? {
            Some(clause) => (format!("ALTER TABLE {table} {clause}"), Repeated::RENAMED),
            None => return Ok(()),
        },
    };
    execute(shell, &sql, in_doubt, &repeated, patience).await
}

impl<'a> Sides<'a> {
    async fn of(
        shell: &Shell,
        routes: &'a Routes,
        source_id: i64,
        source: &'a TableMeta,
        target: &'a TableMeta,
    ) -> Result<Self> {
        let ctx = &shell.ctx;
        Ok(Self {
            source_id,
            source: formal(&*ctx.upstream, shell.source_database(), source).await.map_err(upstream)?,
            target: formal(&*ctx.downstream, shell.target_database(), target).await.map_err(downstream)?,
            target_name: &target.name,
            routes,
        })
    }

    /// The partition of the target that an upstream one with this id and name is.
    fn meant(&self, id: i64, name: &str) -> Meant {
        let present = self.source.iter().find(|partition| partition.id == id);
        let range = present.map(|partition| partition.range.clone());
        let named = |partition: &&PartitionMeta| Meant::Named(partition.name.clone());
        if let Some(range) = range.or_else(|| self.routes.range_of(self.source_id, id)) {
            let found = self.target.iter().find(|partition| partition.range == range);
            return found.map_or(Meant::Missing, named);
        }
        let Some(found) = self.target.iter().find(|partition| partition.name == name) else {
            return Meant::Unknown;
        };
        // Ids grow: one that is older than the partition in question stood beside it, with a range of its own.
        let is_older = |partition: &&&PartitionMeta| id > 0 && partition.id < id;
        let mut others = self.source.iter().filter(is_older);
        if others.any(|partition| partition.range == found.range) { Meant::Another } else { named(found) }
    }

    /// `None` when nothing is to be dropped.
    async fn drop(
        &self,
        shell: &Shell,
        commit_seq: i64,
        record: &DropPartitionRecord,
    ) -> Result<Option<String>> {
        let name = &record.partition_name;
        let reason = match self.meant(record.partition_id, name) {
            Meant::Named(partition_name) => {
                let record = DropPartitionRecord { partition_name, ..record.clone() };
                return drop_partition_sql(&record).map(Some).map_err(|error| self.unreadable(&error));
            }
            Meant::Another => return Err(self.mismatch(record.partition_id, name, "dropped")),
            Meant::Missing => return Ok(None),
            Meant::Unknown => format!(
                "partition {name} of table {} was dropped; its range is not known, and the target has none of that name",
                self.target_name
            ),
        };
        shell.record_skip(commit_seq, reason);
        Ok(None)
    }

    fn truncate(&self, commit_seq: i64, record: &TruncateTableRecord) -> Result<String> {
        let mut meant = record.clone();
        for (id, name) in &record.op {
            match self.meant(*id, name) {
                Meant::Named(name) => meant.op.insert(*id, name),
                Meant::Missing | Meant::Unknown | Meant::Another => {
                    return Err(self.mismatch(*id, name, &format!("truncated at commit seq {commit_seq}")));
                }
            };
        }
        truncate_sql_tail(&meant).map_err(|error| self.unreadable(&error))
    }

    /// `None` when the partition has its new name.
    fn rename(&self, id: i64, old: &str, new: &str) -> Result<Option<String>> {
        let has_name = |name: &str| self.target.iter().any(|partition| partition.name == name);
        let now = match self.meant(id, old) {
            Meant::Named(now) => now,
            Meant::Unknown if !old.is_empty() && has_name(new) => return Ok(None),
            Meant::Missing | Meant::Unknown | Meant::Another => {
                return Err(self.mismatch(id, old, &format!("renamed to {new}")));
            }
        };
        if now == new {
            return Ok(None);
        }
        if has_name(new) {
            // Names need not be the same, and the other one will get its own.
            tracing::info!(
                table = self.target_name,
                partition = now,
                new,
                "the new name is another partition's"
            );
            return Ok(None);
        }
        Ok(Some(format!("RENAME PARTITION {} {}", quote_identifier(&now), quote_identifier(new))))
    }

    fn mismatch(&self, id: i64, name: &str, what: &str) -> Error {
        let message = format!(
            "partition {name} ({id}) of table {} was {what}, and the target has none that is it",
            self.target_name
        );
        Error::partial_sync(Origin::DownstreamFe, MISSING_PARTITION, message)
    }

    fn unreadable(&self, error: &dyn std::error::Error) -> Error {
        let message =
            format!("a statement about partitions of {} cannot be written: {error}", self.target_name);
        Error::partial_sync(Origin::UpstreamFe, "CCR0206", message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(id: i64, name: &str, range: &str) -> PartitionMeta {
        let (name, range) = (name.to_owned(), range.to_owned());
        PartitionMeta { id, name, range, visible_version: 1, indexes: Vec::new() }
    }

    /// Upstream, 1 is `p1` with range `a` and 5 is `p5` with range `c`; downstream the names are exchanged, and a
    /// partition `p3` has range `b`.
    fn with<T>(routes: &Routes, look: impl FnOnce(Sides<'_>) -> T) -> T {
        let source = [partition(1, "p1", "a"), partition(5, "p5", "c")];
        let target = [partition(11, "p5", "a"), partition(12, "p3", "b"), partition(13, "p1", "c")];
        let (source, target) = (source.iter().collect(), target.iter().collect());
        look(Sides { source_id: 9, source, target, target_name: "t", routes })
    }

    fn named(name: &str) -> Meant {
        Meant::Named(name.to_owned())
    }

    #[test]
    fn a_partition_is_what_its_range_is() {
        let routes = Routes::default();
        with(&routes, |sides| {
            assert_eq!(sides.meant(1, "p1"), named("p5"));
            assert_eq!(
                sides.rename(5, "", "x").expect("it is there"),
                Some("RENAME PARTITION `p1` `x`".to_owned())
            );
            assert_eq!(sides.rename(5, "p5", "p1").expect("it is there"), None, "it has that name");
            assert_eq!(sides.rename(5, "p5", "p3").expect("it is there"), None, "another one has it");
        });
    }

    #[test]
    fn what_is_gone_is_known_from_before_or_by_its_name() {
        let routes = Routes::default();
        with(&routes, |sides| {
            assert_eq!(sides.meant(3, "p3"), named("p3"));
            assert_eq!(sides.meant(3, "p4"), Meant::Unknown);
            // The one with range `a` is older than 3, so it is not what 3 was; the one with range `c` may be.
            assert_eq!(sides.meant(3, "p5"), Meant::Another);
            assert_eq!(sides.meant(3, "p1"), named("p1"));
            assert!(sides.rename(3, "", "x").is_err());
        });
        routes.partition_is_gone(9, 3, "b");
        routes.partition_is_gone(9, 4, "d");
        routes.forget(9);
        with(&routes, |sides| {
            assert_eq!(sides.meant(3, "any"), named("p3"));
            assert_eq!(sides.meant(4, "p3"), Meant::Missing);
        });
    }

    #[test]
    fn partitions_are_truncated_under_their_names_downstream() {
        let routes = Routes::default();
        let record = |ids: &[(i64, &str)]| TruncateTableRecord {
            raw_sql: "PARTITIONS (p1) FORCE".to_owned(),
            op: ids.iter().map(|(id, name)| (*id, (*name).to_owned())).collect(),
            ..TruncateTableRecord::default()
        };
        routes.partition_is_gone(9, 1, "a");
        with(&routes, |sides| {
            let tail = sides.truncate(60, &record(&[(1, "p1")])).expect("it is known");
            assert_eq!(tail, "PARTITIONS (`p5`) FORCE");
            assert!(sides.truncate(60, &record(&[(3, "p4")])).is_err());
        });
    }
}
