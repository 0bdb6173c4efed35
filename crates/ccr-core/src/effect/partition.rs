//! Statements about partitions that exist: dropped, truncated, renamed, indexed, replaced by temporary ones.
//!
//! Records name partitions by id and name, and names may differ between the sides; what a partition is, is its
//! range. The range of an id is in the upstream's metadata while the partition is there, and in what the job has
//! read before when it is not. Where neither knows it, the name is all there is; then it must at least not be
//! that of another partition. One that was replaced has the range of what has replaced it, which the target has as a
//! temporary one.

use doris_types::call::MetaFilter;
use doris_types::meta::{PartitionMeta, TableMeta};
use doris_types::record::{DropPartitionRecord, ReplacePartitionsRecord, TruncateTableRecord};
use doris_types::sql::{
    drop_partition_sql, qualified_name, quote_identifier, quote_identifiers, truncate_sql_tail,
};

use super::medium::{Temporary, formal};
use super::names::target_dropped;
use super::patience::Patience;
use super::routes::{Routes, look_at_patiently};
use super::statement::{copied_if_refused, execute};
use super::{downstream, upstream};
use crate::error::{Error, Origin, Result};
use crate::job::LinkEffect;
use crate::plan::{PartitionChange, Refused, Repeated};
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

/// What is to be done for a new name of a partition.
#[derive(Debug, PartialEq, Eq)]
enum Renamed {
    /// This clause.
    To(String),
    /// It has the name.
    Already,
    /// Nothing, for this reason.
    Taken(String),
}

/// The partitions of one table on both sides, without temporary ones.
struct Sides<'a> {
    source_id: i64,
    source: Vec<&'a PartitionMeta>,
    target: Vec<&'a PartitionMeta>,
    /// The same with temporary ones.
    all_of_target: &'a [PartitionMeta],
    target_name: &'a str,
    routes: &'a Routes,
}

/// Finds the partitions that a change is about, and sends it.
pub(super) async fn change(
    shell: &Shell,
    routes: &Routes,
    doubt: (i64, bool),
    ids: (i64, i64),
    change: &PartitionChange,
    patience: &Patience,
) -> Result<LinkEffect> {
    match try_change(shell, routes, doubt, ids, change, (Temporary::Guessed, patience)).await {
        // A temporary partition whose formal one is gone looks like one.
        Err(error) if error.code == MISSING_PARTITION => {
            try_change(shell, routes, doubt, ids, change, (Temporary::Asked, patience)).await
        }
        done => done,
    }
}

async fn try_change(
    shell: &Shell,
    routes: &Routes,
    (commit_seq, in_doubt): (i64, bool),
    (source_id, target_id): (i64, i64),
    change: &PartitionChange,
    (temporary, patience): (Temporary, &Patience),
) -> Result<LinkEffect> {
    let (source, target) = look_at_patiently(shell, source_id, target_id).await?;
    let target = match (target, &source) {
        (Some(target), _) => target,
        (None, Some(source)) => return Err(target_dropped(&source.name, target_id)),
        (None, None) => {
            shell.record_skip(commit_seq, format!("both sides have dropped table {source_id} since"));
            return Ok(LinkEffect::None);
        }
    };
    let source = source.unwrap_or_default();
    let read = async || Sides::of(shell, routes, source_id, (&source, &target), temporary).await;
    let sides = shell.retry(read).await?;
    let table = qualified_name(shell.target_database(), &target.name);
    let (sql, repeated) = match change {
        PartitionChange::Drop(record) => match sides.drop(shell, (commit_seq, in_doubt), record)? {
            Some(clause) => (format!("ALTER TABLE {table} {clause}"), Repeated::DROPPED),
            None => return Ok(LinkEffect::None),
        },
        PartitionChange::Truncate(record) => {
            (format!("TRUNCATE TABLE {table} {}", sides.truncate(commit_seq, record)?), Repeated::Accepted)
        }
        PartitionChange::Rename { partition_id, old, new } => match sides.rename(*partition_id, old, new)? {
            Renamed::To(clause) => (format!("ALTER TABLE {table} {clause}"), Repeated::RENAMED),
            Renamed::Already => return Ok(LinkEffect::None),
            Renamed::Taken(reason) => {
                shell.record_skip(commit_seq, reason);
                return Ok(LinkEffect::None);
            }
        },
        PartitionChange::BuildIndex { partition_id, name, index } => {
            let Some(partition) = sides.indexed(shell, commit_seq, *partition_id, name).await? else {
                return Ok(LinkEffect::None);
            };
            let (index, partition) = (quote_identifier(index), quote_identifier(&partition));
            let sql = format!("BUILD INDEX {index} ON {table} PARTITION ({partition})");
            let built = execute(shell, &sql, in_doubt, &Repeated::Accepted, patience).await;
            let about = (commit_seq, source_id);
            return built.map_or_else(
                |error| copied_if_refused(shell, about, error, Refused::CopyUnlessGone),
                |()| Ok(LinkEffect::None),
            );
        }
        PartitionChange::Replace(record) => {
            let effect = LinkEffect::TemporaryGone { source_id, names: record.temp_partitions.clone() };
            if in_doubt && !has_temporary(shell, &target.name, record).await? {
                tracing::info!(commit_seq, table = source_id, "the partitions were replaced before");
                return Ok(effect);
            }
            let (clause, repeated) = sides.replace(record)?;
            let sql = format!("ALTER TABLE {table} {clause}");
            let replaced = execute(shell, &sql, in_doubt, &repeated, patience).await;
            let about = (commit_seq, source_id);
            return replaced
                .map_or_else(|error| copied_if_refused(shell, about, error, Refused::Copy), |()| Ok(effect));
        }
    };
    execute(shell, &sql, in_doubt, &repeated, patience).await?;
    Ok(LinkEffect::None)
}

impl<'a> Sides<'a> {
    async fn of(
        shell: &Shell,
        routes: &'a Routes,
        source_id: i64,
        (source, target): (&'a TableMeta, &'a TableMeta),
        temporary: Temporary,
    ) -> Result<Self> {
        let (ctx, source_db, target_db) = (&shell.ctx, shell.source_database(), shell.target_database());
        Ok(Self {
            source_id,
            source: formal(&*ctx.upstream, source_db, source, temporary).await.map_err(upstream)?,
            target: formal(&*ctx.downstream, target_db, target, temporary).await.map_err(downstream)?,
            all_of_target: &target.partitions,
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
    fn drop(
        &self,
        shell: &Shell,
        (commit_seq, in_doubt): (i64, bool),
        record: &DropPartitionRecord,
    ) -> Result<Option<String>> {
        let name = &record.partition_name;
        let reason = match self.meant(record.partition_id, name) {
            Meant::Named(partition_name) => {
                let record = DropPartitionRecord { partition_name, ..record.clone() };
                return drop_partition_sql(&record).map(Some).map_err(|error| self.unreadable(&error));
            }
            Meant::Another => return Err(self.mismatch(record.partition_id, name, "dropped")),
            // The statement may have done it before.
            Meant::Missing if in_doubt => return Ok(None),
            Meant::Missing => {
                format!(
                    "partition {name} of table {} was dropped, and the target has none of its range",
                    self.target_name
                )
            }
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

    fn rename(&self, id: i64, old: &str, new: &str) -> Result<Renamed> {
        let has_name = |name: &str| self.target.iter().any(|partition| partition.name == name);
        let now = match self.meant(id, old) {
            Meant::Named(now) => now,
            Meant::Unknown if !old.is_empty() && has_name(new) => return Ok(Renamed::Already),
            Meant::Missing | Meant::Unknown | Meant::Another => {
                return Err(self.mismatch(id, old, &format!("renamed to {new}")));
            }
        };
        if now == new {
            return Ok(Renamed::Already);
        }
        if has_name(new) {
            // Names need not be the same, and the other one will get its own.
            let table = self.target_name;
            return Ok(Renamed::Taken(format!(
                "partition {now} of table {table} keeps its name: another one is called {new} there"
            )));
        }
        let (now, new) = (quote_identifier(&now), quote_identifier(new));
        Ok(Renamed::To(format!("RENAME PARTITION {now} {new}")))
    }

    /// The partition whose rows an index is to be built for; `None` when it is gone.
    async fn indexed(&self, shell: &Shell, commit_seq: i64, id: i64, name: &str) -> Result<Option<String>> {
        let reason = match self.meant(id, name) {
            Meant::Named(name) => return Ok(Some(name)),
            Meant::Missing => format!("partition {name} of table {} is gone", self.target_name),
            // The end of a job may be reported after its partition has gone.
            Meant::Unknown | Meant::Another if self.is_gone(shell, id).await? => {
                format!("partition {name} of table {} is gone upstream", self.target_name)
            }
            Meant::Unknown | Meant::Another => return Err(self.mismatch(id, name, "indexed")),
        };
        shell.record_skip(commit_seq, reason);
        Ok(None)
    }

    /// Whether the upstream reports a partition as dropped.
    async fn is_gone(&self, shell: &Shell, id: i64) -> Result<bool> {
        let filter = MetaFilter::Tables(vec![self.source_id]);
        let ask = async || {
            let read = shell.ctx.upstream.meta(shell.source_database(), filter.clone()).await;
            read.map_err(upstream)
        };
        let db = shell.retry(ask).await?.unwrap_or_default();
        Ok(db.dropped_partitions.contains_key(&id) || db.dropped_tables.contains_key(&self.source_id))
    }

    /// The temporary partitions of the target, in the order of the record. No formal one has such a name.
    fn temporary<'b>(
        &'b self,
        record: &'b ReplacePartitionsRecord,
    ) -> impl Iterator<Item = &'b PartitionMeta> {
        let with_name = |name: &'b String| self.all_of_target.iter().find(move |one| one.name == *name);
        record.temp_partitions.iter().filter_map(with_name)
    }

    /// What the partitions are called that are to be replaced, in the order of what replaces them.
    fn replaced(&self, record: &ReplacePartitionsRecord) -> Result<Vec<String>> {
        let formal = |range: &str| {
            let is_it =
                |one: &&&PartitionMeta| one.range == range && !record.temp_partitions.contains(&one.name);
            self.target.iter().find(is_it).map(|one| one.name.clone())
        };
        let temporary: Vec<&PartitionMeta> = self.temporary(record).collect();
        if record.strict_range && temporary.len() == record.partitions.len() {
            let same: Option<Vec<String>> = temporary.iter().map(|one| formal(&one.range)).collect();
            if let Some(names) = same {
                return Ok(names);
            }
        }
        let ids = if record.partition_ids.len() == record.partitions.len() {
            &record.partition_ids[..]
        } else {
            &[]
        };
        let ids = ids.iter().copied().chain(std::iter::repeat(0));
        let mut names = Vec::new();
        for (name, id) in record.partitions.iter().zip(ids) {
            // The only partition of an unpartitioned table carries the table's name. One of a partitioned table that
            // happens to have that name is not found, and the table copied.
            let as_target = if *name == record.table_name { self.target_name } else { name };
            match self.meant(id, as_target) {
                Meant::Named(name) => names.push(name),
                Meant::Missing | Meant::Unknown | Meant::Another => {
                    return Err(self.mismatch(id, name, "replaced"));
                }
            }
        }
        Ok(names)
    }

    fn replace(&self, record: &ReplacePartitionsRecord) -> Result<(String, Repeated)> {
        let (replaced, temporary) = (self.replaced(record)?, record.temp_partitions.clone());
        let list = |names: &[String]| quote_identifiers(names.iter().map(String::as_str));
        let clause = format!(
            "REPLACE PARTITION ({}) WITH TEMPORARY PARTITION ({}) PROPERTIES (\"strict_range\" = \"{}\", \
             \"use_temp_partition_name\" = \"{}\")",
            list(&replaced),
            list(&temporary),
            record.strict_range,
            record.use_temp_partition_name
        );
        // The temporary ones have become formal ones, and may have kept their names.
        let table = self.target_name.to_owned();
        Ok((clause, Repeated::Lacks { table, temporary, formal: replaced }))
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

/// Whether the target has any of the temporary partitions still: they may have become formal ones of the same names.
async fn has_temporary(shell: &Shell, table: &str, record: &ReplacePartitionsRecord) -> Result<bool> {
    let db = shell.target_database();
    let list = async || shell.ctx.downstream.temporary_partitions(db, table).await.map_err(downstream);
    let left = shell.retry(list).await?;
    Ok(record.temp_partitions.iter().any(|name| left.contains(name)))
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
        let all = target.clone();
        let (source, target) = (source.iter().collect(), target.iter().collect());
        look(Sides { source_id: 9, source, target, all_of_target: &all, target_name: "t", routes })
    }

    fn named(name: &str) -> Meant {
        Meant::Named(name.to_owned())
    }

    #[test]
    fn a_partition_is_what_its_range_is() {
        let routes = Routes::default();
        with(&routes, |sides| {
            assert_eq!(sides.meant(1, "p1"), named("p5"));
            let rename = |old: &str, new: &str| sides.rename(5, old, new).expect("it is there");
            assert_eq!(rename("", "x"), Renamed::To("RENAME PARTITION `p1` `x`".to_owned()));
            assert_eq!(rename("p5", "p1"), Renamed::Already);
            assert!(matches!(rename("p5", "p3"), Renamed::Taken(reason) if reason.contains("p3")));
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

    fn replacing(formal: &[(i64, &str)], temporary: &[&str], strict_range: bool) -> ReplacePartitionsRecord {
        let texts = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
        ReplacePartitionsRecord {
            table_name: "source".to_owned(),
            partitions: texts(formal.iter().map(|(_, name)| *name).collect()),
            partition_ids: formal.iter().map(|(id, _)| *id).collect(),
            temp_partitions: texts(temporary.to_vec()),
            strict_range,
            ..ReplacePartitionsRecord::default()
        }
    }

    #[test]
    fn what_is_replaced_has_the_range_of_what_replaces_it() {
        let routes = Routes::default();
        let all = [
            partition(11, "p5", "a"),
            partition(13, "p1", "c"),
            partition(14, "tp", "a"),
            partition(15, "tq", "c"),
        ];
        let sides = Sides {
            source_id: 9,
            source: Vec::new(),
            target: all[..2].iter().collect(),
            all_of_target: &all,
            target_name: "t",
            routes: &routes,
        };
        let names = |formal: &[(i64, &str)], temporary: &[&str], strict| {
            sides.replaced(&replacing(formal, temporary, strict)).ok()
        };
        assert_eq!(names(&[(1, "p1")], &["tp"], true), Some(vec!["p5".to_owned()]));
        let both = Some(vec!["p1".to_owned(), "p5".to_owned()]);
        assert_eq!(names(&[(1, "p1"), (5, "p5")], &["tq", "tp"], true), both);
        // Ranges may differ: the name is all there is, unless it is known which one it was.
        assert_eq!(names(&[(1, "p1")], &["tp"], false), Some(vec!["p1".to_owned()]));
        assert_eq!(names(&[(1, "gone")], &["tp"], false), None);
        routes.partition_is_gone(9, 1, "a");
        assert_eq!(names(&[(1, "p1")], &["tp"], false), Some(vec!["p5".to_owned()]));
        let (clause, repeated) = sides.replace(&replacing(&[(1, "p1")], &["tp"], true)).expect("it is known");
        assert!(clause.starts_with("REPLACE PARTITION (`p5`) WITH TEMPORARY PARTITION (`tp`)"), "{clause}");
        let text = str::to_owned;
        let (table, temporary, formal) = (text("t"), vec![text("tp")], vec![text("p5")]);
        assert_eq!(repeated, Repeated::Lacks { table, temporary, formal });
    }

    #[test]
    fn the_partition_of_an_unpartitioned_table_has_the_name_of_the_target() {
        let routes = Routes::default();
        let all = [partition(11, "t", ""), partition(12, "tp", "")];
        let sides = Sides {
            source_id: 9,
            source: Vec::new(),
            target: all[..1].iter().collect(),
            all_of_target: &all,
            target_name: "t",
            routes: &routes,
        };
        for strict in [true, false] {
            let names = sides.replaced(&replacing(&[(1, "source")], &["tp"], strict));
            assert_eq!(names.expect("there is only one"), ["t"]);
        }
    }
}
