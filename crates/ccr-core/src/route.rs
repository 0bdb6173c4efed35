//! Routes: which downstream tablets a table's upstream tablets go to.
//!
//! Partitions are matched by their identity text, temporary ones by name (their range is often that of a formal
//! one), indexes by name (the base index by being the base, for it carries the table's name), tablets by
//! position in bucket order. Building a route is pure; it is
//! cached per table and built again when a partition is unknown or metadata proves stale.

use std::collections::HashMap;

use doris_types::meta::{IndexMeta, PartitionMeta, TableMeta};
use doris_types::record::PartitionRecord;

const SHADOW_PREFIX: &str = "__doris_shadow_";

/// The route of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableRoute {
    source_name: String,
    target_name: String,
    /// Upstream partition id to its present metadata.
    source: HashMap<i64, PartitionMeta>,
    /// Range text to the downstream partition.
    target: HashMap<String, PartitionMeta>,
    /// Name to the downstream partition, of temporary ones.
    target_temporary: HashMap<String, PartitionMeta>,
}

/// One downstream tablet to fill, and where its rows are upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TabletRoute {
    pub partition_id: i64,
    pub tablet_id: i64,
    /// Every downstream replica is filled on its own backend.
    pub backends: Vec<i64>,
    pub source_tablet_id: i64,
    /// Backends that hold a replica upstream; any may serve.
    pub source_backends: Vec<i64>,
}

/// Why a partition cannot be routed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteError {
    /// The upstream partition is not, or no longer, in the metadata.
    SourcePartitionGone {
        partition_id: i64,
    },
    TargetPartitionMissing {
        range: String,
    },
    TemporaryPartitionMissing {
        name: String,
    },
    /// An index of the target has no counterpart that the load wrote.
    SourceIndexMissing {
        index: String,
    },
    /// Bucket counts differ; rows would land in wrong buckets.
    TabletCount {
        index: String,
        source: usize,
        target: usize,
    },
}

impl TableRoute {
    /// `temporary` names the temporary partitions of the target, which its metadata does not tell apart.
    pub fn new(source: TableMeta, target: TableMeta, temporary: &[String]) -> Self {
        let (target_temporary, formal): (Vec<_>, Vec<_>) =
            target.partitions.into_iter().partition(|partition| temporary.contains(&partition.name));
        Self {
            source_name: source.name,
            target_name: target.name,
            source: source.partitions.into_iter().map(|partition| (partition.id, partition)).collect(),
            target: formal.into_iter().map(|partition| (partition.range.clone(), partition)).collect(),
            target_temporary: target_temporary
                .into_iter()
                .map(|partition| (partition.name.clone(), partition))
                .collect(),
        }
    }

    /// The same where these upstream indexes have other names.
    pub fn with_index_names(&self, names: &HashMap<i64, String>) -> Self {
        let mut route = self.clone();
        for index in route.source.values_mut().flat_map(|partition| &mut partition.indexes) {
            if let Some(name) = names.get(&index.id) {
                index.name.clone_from(name);
            }
        }
        route
    }

    /// Whether the target has rollups that can be taken for each other.
    pub fn has_several_rollups(&self) -> bool {
        let partitions = self.target.values().chain(self.target_temporary.values());
        let rollups = |partition: &PartitionMeta| {
            partition.indexes.iter().filter(|index| self.is_rollup(index)).count()
        };
        partitions.into_iter().any(|partition| rollups(partition) > 1)
    }

    pub fn target_name(&self) -> &str {
        &self.target_name
    }

    /// The ranges of the upstream partitions, by their ids.
    pub fn source_ranges(&self) -> impl Iterator<Item = (i64, &str)> {
        self.source.iter().map(|(id, partition)| (*id, partition.range.as_str()))
    }

    /// The range of an upstream partition.
    pub fn source_range(&self, partition_id: i64) -> Option<&str> {
        self.source.get(&partition_id).map(|partition| partition.range.as_str())
    }

    /// The visible versions of a partition, upstream and downstream, when the metadata was read.
    pub fn versions(&self, record: &PartitionRecord, temporary: Option<&str>) -> Option<(i64, i64)> {
        let source = self.source.get(&record.partition_id)?;
        let target = self.target(record, temporary).ok()?;
        Some((source.visible_version, target.visible_version))
    }

    fn target(
        &self,
        record: &PartitionRecord,
        temporary: Option<&str>,
    ) -> Result<&PartitionMeta, RouteError> {
        match temporary {
            None => self
                .target
                .get(&record.range)
                .ok_or_else(|| RouteError::TargetPartitionMissing { range: record.range.clone() }),
            Some(name) => self
                .target_temporary
                .get(name)
                .ok_or_else(|| RouteError::TemporaryPartitionMissing { name: name.to_owned() }),
        }
    }

    /// The tablets that a load into this partition must fill: all of every index of the target, because
    /// the downstream FE demands them at commit. `temporary` is the name of a temporary partition.
    pub fn tablets(
        &self,
        record: &PartitionRecord,
        temporary: Option<&str>,
        index_ids: Option<&[i64]>,
    ) -> Result<Vec<TabletRoute>, RouteError> {
        let source = self
            .source
            .get(&record.partition_id)
            .ok_or(RouteError::SourcePartitionGone { partition_id: record.partition_id })?;
        let target = self.target(record, temporary)?;
        let mut tablets = Vec::new();
        for index in &target.indexes {
            let from = self.source_index(source, target, index, index_ids)?;
            if from.tablets.len() != index.tablets.len() {
                return Err(RouteError::TabletCount {
                    index: index.name.clone(),
                    source: from.tablets.len(),
                    target: index.tablets.len(),
                });
            }
            for (from, to) in from.tablets.iter().zip(&index.tablets) {
                tablets.push(TabletRoute {
                    partition_id: target.id,
                    tablet_id: to.id,
                    backends: to.replicas.iter().map(|replica| replica.backend_id).collect(),
                    source_tablet_id: from.id,
                    source_backends: from.replicas.iter().map(|replica| replica.backend_id).collect(),
                });
            }
        }
        Ok(tablets)
    }

    /// The upstream index whose rows belong into a downstream index.
    fn source_index<'a>(
        &self,
        source: &'a PartitionMeta,
        to: &'a PartitionMeta,
        target: &IndexMeta,
        index_ids: Option<&[i64]>,
    ) -> Result<&'a IndexMeta, RouteError> {
        self.written(source, target, index_ids)
            .or_else(|| self.renamed(source, to, target, index_ids?))
            .ok_or_else(|| RouteError::SourceIndexMissing { index: target.name.clone() })
    }

    /// The upstream index of that name, if the load wrote it.
    fn written<'a>(
        &self,
        source: &'a PartitionMeta,
        target: &IndexMeta,
        index_ids: Option<&[i64]>,
    ) -> Option<&'a IndexMeta> {
        let wanted = self.source_index_name(&target.name);
        let named = source.indexes.iter().find(|index| index.name == wanted);
        named.filter(|index| index_ids.is_none_or(|ids| ids.contains(&index.id)))
    }

    /// What a load wrote and the target does not have, and the other way round: indexes that were dropped or renamed
    /// upstream since.
    fn unmatched<'a>(
        &self,
        source: &'a PartitionMeta,
        target: &'a PartitionMeta,
        index_ids: &[i64],
    ) -> (Vec<&'a IndexMeta>, Vec<&'a IndexMeta>) {
        let is_matched = |index: &IndexMeta| {
            let mut targets = target.indexes.iter();
            targets
                .any(|to| self.written(source, to, Some(index_ids)).is_some_and(|from| from.id == index.id))
        };
        let is_written = |index: &&IndexMeta| {
            index_ids.contains(&index.id) && !index.name.starts_with(SHADOW_PREFIX) && !is_matched(index)
        };
        let is_missing = |index: &&IndexMeta| self.written(source, index, Some(index_ids)).is_none();
        (
            source.indexes.iter().filter(is_written).collect(),
            target.indexes.iter().filter(is_missing).collect(),
        )
    }

    /// A rollup that has another name upstream by now: the only one that is left on either side, when all that the
    /// load wrote is still there.
    fn renamed<'a>(
        &self,
        source: &'a PartitionMeta,
        to: &'a PartitionMeta,
        target: &IndexMeta,
        index_ids: &[i64],
    ) -> Option<&'a IndexMeta> {
        let is_there = |id: &i64| source.indexes.iter().any(|index| index.id == *id);
        match self.unmatched(source, to, index_ids) {
            (from, to)
                if from.len() == 1
                    && to.len() == 1
                    && to[0].id == target.id
                    && self.is_rollup(to[0])
                    && index_ids.iter().all(is_there) =>
            {
                Some(from[0])
            }
            (_, _) => None,
        }
    }

    /// The rollups of the target that were dropped upstream since a load into this partition; none unless that explains
    /// everything that is missing.
    pub fn dropped_since(
        &self,
        record: &PartitionRecord,
        index_ids: &[i64],
        is_dropped: impl Fn(i64) -> bool,
    ) -> Vec<String> {
        let (Some(source), Ok(target)) = (self.source.get(&record.partition_id), self.target(record, None))
        else {
            return Vec::new();
        };
        let (written, missing) = self.unmatched(source, target, index_ids);
        let gone: Vec<i64> = index_ids
            .iter()
            .copied()
            .filter(|id| source.indexes.iter().all(|index| index.id != *id))
            .collect();
        let is_explained = written.is_empty()
            && gone.iter().all(|id| is_dropped(*id))
            && gone.len() >= missing.len()
            && missing.iter().all(|index| self.is_rollup(index));
        if !is_explained {
            return Vec::new();
        }
        missing.into_iter().map(|index| index.name.clone()).collect()
    }

    /// The rollups of the target that the upstream did not have any more when a load into this partition was written;
    /// none unless everything that the load did write is there on both sides. The upstream's indexes must have the
    /// names of that moment.
    pub fn superfluous(&self, record: &PartitionRecord, index_ids: &[i64]) -> Vec<String> {
        let (Some(source), Ok(target)) = (self.source.get(&record.partition_id), self.target(record, None))
        else {
            return Vec::new();
        };
        let (written, missing) = self.unmatched(source, target, index_ids);
        let is_there = |id: &i64| source.indexes.iter().any(|index| index.id == *id);
        let is_certain = written.is_empty()
            && index_ids.iter().all(is_there)
            && missing.iter().all(|index| self.is_rollup(index));
        if !is_certain {
            return Vec::new();
        }
        missing.into_iter().map(|index| index.name.clone()).collect()
    }

    fn is_rollup(&self, target: &IndexMeta) -> bool {
        target.name != self.target_name && !target.name.starts_with(SHADOW_PREFIX)
    }

    /// Base indexes carry the table's name, shadow ones that of their origin behind a prefix.
    fn source_index_name(&self, target_index: &str) -> String {
        let (prefix, name) = match target_index.strip_prefix(SHADOW_PREFIX) {
            Some(name) => (SHADOW_PREFIX, name),
            None => ("", target_index),
        };
        let name = if name == self.target_name { &self.source_name } else { name };
        format!("{prefix}{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use doris_types::meta::{ReplicaMeta, TabletMeta};

    fn index(id: i64, name: &str, tablets: &[(i64, &[i64])]) -> IndexMeta {
        let tablets = tablets
            .iter()
            .map(|(id, backends)| TabletMeta {
                id: *id,
                replicas: backends
                    .iter()
                    .map(|backend| ReplicaMeta { id: 0, backend_id: *backend, version: 1 })
                    .collect(),
            })
            .collect();
        IndexMeta { id, name: name.to_owned(), tablets }
    }

    fn table(id: i64, name: &str, partition: i64, range: &str, indexes: Vec<IndexMeta>) -> TableMeta {
        TableMeta {
            id,
            name: name.to_owned(),
            kind: "OLAP".to_owned(),
            partitions: vec![PartitionMeta {
                id: partition,
                name: "p".to_owned(),
                range: range.to_owned(),
                visible_version: 4,
                indexes,
            }],
        }
    }

    fn record(partition_id: i64, range: &str) -> PartitionRecord {
        PartitionRecord { partition_id, range: range.to_owned(), version: 5, ..PartitionRecord::default() }
    }

    #[test]
    fn matches_partitions_by_range_indexes_by_name_and_tablets_by_position() {
        let route = TableRoute::new(
            table(
                1,
                "a",
                10,
                "r",
                vec![index(11, "a", &[(20, &[1]), (21, &[2])]), index(12, "roll", &[(22, &[1])])],
            ),
            table(
                2,
                "b",
                30,
                "r",
                vec![index(32, "roll", &[(42, &[7])]), index(31, "b", &[(40, &[7, 8]), (41, &[8])])],
            ),
            &[],
        );
        let tablets = route.tablets(&record(10, "r"), None, None).expect("everything matches");
        let pairs: Vec<_> = tablets.iter().map(|t| (t.source_tablet_id, t.tablet_id)).collect();
        assert_eq!(pairs, [(22, 42), (20, 40), (21, 41)]);
        assert_eq!(tablets[1].backends, [7, 8]);
        assert_eq!(route.versions(&record(10, "r"), None), Some((4, 4)));
    }

    #[test]
    fn an_index_of_the_source_alone_is_not_needed() {
        let route = TableRoute::new(
            table(
                1,
                "a",
                10,
                "",
                vec![index(11, "a", &[(20, &[1])]), index(12, "__doris_shadow_a", &[(22, &[1])])],
            ),
            table(2, "a", 30, "", vec![index(31, "a", &[(40, &[7])])]),
            &[],
        );
        assert_eq!(route.tablets(&record(10, ""), None, Some(&[11, 12])).expect("base matches").len(), 1);
    }

    #[test]
    fn says_what_does_not_match() {
        let source = table(1, "a", 10, "r", vec![index(11, "a", &[(20, &[1])])]);
        let two = table(2, "a", 30, "r", vec![index(31, "a", &[(40, &[7]), (41, &[7])])]);
        let route = TableRoute::new(source.clone(), two, &[]);
        assert_eq!(
            route.tablets(&record(10, "r"), None, None),
            Err(RouteError::TabletCount { index: "a".to_owned(), source: 1, target: 2 })
        );
        assert_eq!(
            route.tablets(&record(99, "r"), None, None),
            Err(RouteError::SourcePartitionGone { partition_id: 99 })
        );
        assert_eq!(
            route.tablets(&record(10, "other"), None, None),
            Err(RouteError::TargetPartitionMissing { range: "other".to_owned() })
        );
        let rollup = table(2, "a", 30, "r", vec![index(31, "gone", &[(40, &[7])])]);
        assert_eq!(
            TableRoute::new(source, rollup, &[]).tablets(&record(10, "r"), None, None),
            Err(RouteError::SourceIndexMissing { index: "gone".to_owned() })
        );
    }

    /// A table whose target has the rollups `r` and `s`, with the ids 12 and 13 upstream; it has these indexes now.
    fn since(now: &[(i64, &str)]) -> TableRoute {
        let tablets = |id: i64| [(id + 100, &[1_i64][..])];
        let source = now.iter().map(|(id, name)| index(*id, name, &tablets(*id))).collect();
        let target = [(31, "a"), (32, "r"), (33, "s")];
        let target = target.iter().map(|(id, name)| index(*id, name, &tablets(*id))).collect();
        TableRoute::new(table(1, "a", 10, "", source), table(2, "a", 30, "", target), &[])
    }

    #[test]
    fn a_rollup_that_was_renamed_is_the_one_that_is_left() {
        let ids = |route: &TableRoute, index_ids: &[i64]| {
            let tablets = route.tablets(&record(10, ""), None, Some(index_ids));
            tablets
                .map(|tablets| tablets.iter().map(|t| (t.source_tablet_id, t.tablet_id)).collect::<Vec<_>>())
        };
        let route = since(&[(11, "a"), (12, "new"), (13, "s")]);
        assert_eq!(ids(&route, &[11, 12, 13]), Ok(vec![(111, 131), (112, 132), (113, 133)]));
        // One of that name was made since; it is another one.
        let route = since(&[(11, "a"), (12, "new"), (13, "s"), (14, "r")]);
        assert_eq!(ids(&route, &[11, 12, 13]), Ok(vec![(111, 131), (112, 132), (113, 133)]));
        // Which is which cannot be told.
        for now in [&[(11, "a"), (12, "x"), (13, "y")][..], &[(11, "a"), (12, "x")]] {
            assert!(ids(&since(now), &[11, 12, 13]).is_err(), "{now:?}");
        }
    }

    #[test]
    fn rollups_that_were_renamed_since_are_known_by_their_ids() {
        let names = HashMap::from([(12, "r".to_owned()), (13, "s".to_owned())]);
        // Two have other names, or each has that of the other.
        for now in [&[(11, "a"), (12, "x"), (13, "y")][..], &[(11, "a"), (12, "s"), (13, "r")]] {
            let route = since(now).with_index_names(&names);
            let tablets = route.tablets(&record(10, ""), None, Some(&[11, 12, 13])).expect("all are there");
            let pairs: Vec<_> = tablets.iter().map(|t| (t.source_tablet_id, t.tablet_id)).collect();
            assert_eq!(pairs, [(111, 131), (112, 132), (113, 133)], "{now:?}");
        }
    }

    #[test]
    fn rollups_that_were_dropped_since_explain_what_is_missing() {
        let dropped = |now: &[(i64, &str)], index_ids: &[i64], dropped: &[i64]| {
            since(now).dropped_since(&record(10, ""), index_ids, |id| dropped.contains(&id))
        };
        assert_eq!(dropped(&[(11, "a"), (13, "s")], &[11, 12, 13], &[12]), ["r"]);
        assert_eq!(dropped(&[(11, "a")], &[11, 12, 13], &[12, 13]), ["r", "s"]);
        let none: [&str; 0] = [];
        // It is not reported, not all of it is, another one was renamed, or the base was made anew.
        assert_eq!(dropped(&[(11, "a"), (13, "s")], &[11, 12, 13], &[]), none);
        assert_eq!(dropped(&[(11, "a")], &[11, 12, 13], &[12]), none);
        assert_eq!(dropped(&[(11, "a"), (13, "y")], &[11, 12, 13], &[12]), none);
        assert_eq!(dropped(&[(21, "a"), (13, "s")], &[11, 12, 13], &[11, 12]), none);
        // The load did not write what the target has.
        assert_eq!(dropped(&[(11, "a"), (13, "s")], &[11, 13], &[]), none);
    }

    #[test]
    fn what_no_load_writes_any_more_is_superfluous() {
        let superfluous =
            |now: &[(i64, &str)], index_ids: &[i64]| since(now).superfluous(&record(10, ""), index_ids);
        assert_eq!(superfluous(&[(11, "a"), (13, "s")], &[11, 13]), ["r"]);
        assert_eq!(superfluous(&[(11, "a")], &[11]), ["r", "s"]);
        let none: [&str; 0] = [];
        // It is there under another name, or something else is gone, or the base was made anew.
        assert_eq!(superfluous(&[(11, "a"), (12, "x")], &[11, 12]), none);
        assert_eq!(superfluous(&[(11, "a")], &[11, 13]), none);
        assert_eq!(superfluous(&[(21, "a"), (13, "s")], &[11, 13]), none);
    }

    #[test]
    fn an_index_the_load_did_not_write_is_missing() {
        let route = TableRoute::new(
            table(1, "a", 10, "", vec![index(11, "a", &[(20, &[1])]), index(12, "r", &[(21, &[1])])]),
            table(2, "a", 30, "", vec![index(31, "a", &[(40, &[7])]), index(32, "r", &[(41, &[7])])]),
            &[],
        );
        assert_eq!(
            route.tablets(&record(10, ""), None, Some(&[11])),
            Err(RouteError::SourceIndexMissing { index: "r".to_owned() })
        );
    }

    #[test]
    fn a_temporary_partition_is_found_by_its_name_and_never_by_its_range() {
        let source = table(1, "a", 10, "r", vec![index(11, "a", &[(20, &[1])])]);
        let mut target = table(2, "a", 30, "r", vec![index(31, "a", &[(40, &[7])])]);
        let mut temporary = table(2, "a", 50, "r", vec![index(31, "a", &[(60, &[7])])]).partitions.remove(0);
        temporary.name = "tp".to_owned();
        target.partitions.push(temporary);
        let route = TableRoute::new(source, target, &["tp".to_owned()]);
        let tablet = |temporary| {
            let tablets = route.tablets(&record(10, "r"), temporary, None);
            tablets.map(|tablets| (tablets[0].partition_id, tablets[0].tablet_id))
        };
        assert_eq!(tablet(None), Ok((30, 40)));
        assert_eq!(tablet(Some("tp")), Ok((50, 60)));
        let missing = RouteError::TemporaryPartitionMissing { name: "gone".to_owned() };
        assert_eq!(tablet(Some("gone")), Err(missing));
    }
}
