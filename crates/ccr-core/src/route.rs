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
            let from = self.source_index(source, index, index_ids)?;
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
        target: &IndexMeta,
        index_ids: Option<&[i64]>,
    ) -> Result<&'a IndexMeta, RouteError> {
        let wanted = self.source_index_name(&target.name);
        source
            .indexes
            .iter()
            .find(|index| index.name == wanted)
            .filter(|index| index_ids.is_none_or(|ids| ids.contains(&index.id)))
            .ok_or_else(|| RouteError::SourceIndexMissing { index: target.name.clone() })
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
