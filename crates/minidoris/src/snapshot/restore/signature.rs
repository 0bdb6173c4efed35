//! When a local table or view counts as the same as the snapshot's.

use std::fmt::Write;

use crate::model::{AggregateKind, Column, DistributionKind, KeysType, OlapTable, PartitionScheme, View};
use crate::show::table_properties::is_merge_on_write;

/// What must be equal: name, indexes with their columns, bloom filters, partition columns, the
/// distribution of partitions that both sides have, secondary indexes. Not properties, comments, replica
/// numbers or LIST columns, nor the key model but for what the columns tell of it.
pub(super) fn same_schema(local: &OlapTable, remote: &OlapTable) -> bool {
    let common = |partition: &str| remote.partitions.values().any(|other| other.name == partition);
    let mut names: Vec<&str> = local.partitions.values().map(|partition| partition.name.as_str()).collect();
    names.retain(|name| common(name));
    names.sort_unstable();
    signature(local, &names) == signature(remote, &names)
}

fn signature(table: &OlapTable, partitions: &[&str]) -> String {
    let mut text = format!("{};", table.name);
    let mut indexes: Vec<_> = table.indexes.values().collect();
    indexes.sort_unstable_by_key(|index| &index.name);
    for index in indexes {
        let _ = write!(text, "index {}:", index.name);
        index.columns.iter().for_each(|column| push_column(&mut text, table, column));
    }
    for key in ["bloom_filter_columns", "bloom_filter_fpp"] {
        let _ = write!(text, "{key}={:?};", table.properties.get(key));
    }
    let _ = match &table.partition_scheme {
        PartitionScheme::Unpartitioned => write!(text, "unpartitioned;"),
        PartitionScheme::Range { columns, .. } => write!(text, "range {columns:?};"),
        PartitionScheme::List { .. } => write!(text, "list;"),
    };
    for name in partitions {
        let Some(partition) = table.partitions.values().find(|partition| partition.name == *name) else {
            continue;
        };
        let _ = match &partition.distribution.kind {
            DistributionKind::Hash(columns) => {
                write!(text, "partition {name} hash {columns:?} {};", partition.distribution.buckets)
            }
            DistributionKind::Random => write!(text, "partition {name} random;"),
        };
    }
    for index in &table.secondary_indexes {
        let _ = write!(text, "{} {} {:?};", index.name, index.kind, index.columns);
    }
    text
}

fn push_column(text: &mut String, table: &OlapTable, column: &Column) {
    let replaces = table.keys_type == KeysType::Unique && !column.is_key && !is_merge_on_write(table);
    let aggregate = if replaces { Some(AggregateKind::Replace) } else { column.aggregate };
    let cluster_key = table.cluster_by.iter().position(|name| name.eq_ignore_ascii_case(&column.name));
    let _ = write!(
        text,
        "{} {:?} {} {} {aggregate:?} {cluster_key:?} {:?};",
        column.name, column.data_type, column.is_key, column.nullable, column.default
    );
}

/// Views are compared as they are, then with references to the snapshot's database rewritten.
pub(super) fn same_view(local: &View, remote: &View, from_db: &str, to_db: &str) -> bool {
    let columns = |view: &View| view.columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>();
    local.name == remote.name
        && columns(local) == columns(remote)
        && (local.definition == remote.definition
            || local.definition == rewrite_database(&remote.definition, from_db, to_db))
}

/// Points references qualified with one database to another.
pub(super) fn rewrite_database(definition: &str, from: &str, to: &str) -> String {
    definition.replace(&format!("`internal`.`{from}`."), &format!("`internal`.`{to}`."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::{self, Spec, create_db, create_table, table};

    #[test]
    fn only_what_the_signature_covers_makes_a_difference() {
        let cluster = testkit::cluster(1);
        let db = create_db(&cluster, "d", true);
        create_table(&cluster, db, &Spec::new("t").bounds(&[10, 20]));
        let same = |change: fn(&mut OlapTable)| {
            let (local, mut remote) = (table(&cluster, db, "t"), table(&cluster, db, "t"));
            change(&mut remote);
            same_schema(&local, &remote)
        };
        let partition = |table: &mut OlapTable| table.partitions.values_mut().next().unwrap().clone();
        assert!(same(|_| ()));
        assert!(same(|t| t.comment = "other".to_owned()));
        assert!(same(|t| t.replication_num = 7));
        assert!(same(|t| drop(t.properties.insert("compression".to_owned(), "zstd".to_owned()))));
        assert!(same(|t| t.keys_type = KeysType::Unique), "merge-on-write columns have no aggregation");
        assert!(!same(|t| {
            t.keys_type = KeysType::Unique;
            t.properties.insert("enable_unique_key_merge_on_write".to_owned(), "false".to_owned());
        }));
        assert!(!same(|t| t.name = "other".to_owned()));
        assert!(!same(|t| t.cluster_by = vec!["v".to_owned()]));
        assert!(!same(|t| drop(t.properties.insert("bloom_filter_columns".to_owned(), "k".to_owned()))));
        assert!(!same(|t| {
            let base = t.base_index_id;
            t.indexes[&base].columns[1].nullable ^= true;
        }));
        assert!(!same(|t| t.partitions.values_mut().next().unwrap().distribution.buckets += 1));
        // Of a partition that only one side has, nothing counts.
        let (local, mut remote) = (table(&cluster, db, "t"), table(&cluster, db, "t"));
        let mut surplus = partition(&mut remote);
        (surplus.id, surplus.name, surplus.distribution.buckets) = (7, "surplus".to_owned(), 9);
        remote.partitions.insert(7, surplus);
        assert!(same_schema(&local, &remote));
    }

    #[test]
    fn rollups_may_have_come_in_another_order() {
        let cluster = testkit::cluster(1);
        let db = create_db(&cluster, "d", true);
        create_table(&cluster, db, &Spec::new("t").bounds(&[10]));
        let with = |names: [&str; 2]| {
            let mut table = table(&cluster, db, "t");
            for (id, name) in (1..).zip(names) {
                let mut index = table.base_index().clone();
                (index.id, index.name) = (id, name.to_owned());
                table.indexes.insert(id, index);
            }
            table
        };
        assert!(same_schema(&with(["a", "b"]), &with(["b", "a"])));
        assert!(!same_schema(&with(["a", "b"]), &with(["a", "c"])));
    }
}
