//! When a local table or view counts as the same as the snapshot's.

use std::fmt::Write;

use crate::model::{Column, DistributionKind, OlapTable, PartitionScheme, View};

/// What must be equal: name, indexes with their columns, bloom filters, partition columns, the
/// distribution of partitions that both sides have, secondary indexes. Not properties, comments, replica
/// numbers or LIST columns.
pub(super) fn same_schema(local: &OlapTable, remote: &OlapTable) -> bool {
    let common = |partition: &str| remote.partitions.values().any(|other| other.name == partition);
    let mut names: Vec<&str> = local.partitions.values().map(|partition| partition.name.as_str()).collect();
    names.retain(|name| common(name));
    names.sort_unstable();
    signature(local, &names) == signature(remote, &names)
}

fn signature(table: &OlapTable, partitions: &[&str]) -> String {
    let mut text = format!("{};{:?};", table.name, table.keys_type);
    for index in table.indexes.values() {
        let _ = write!(text, "index {}:", index.name);
        index.columns.iter().for_each(|column| push_column(&mut text, column));
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

fn push_column(text: &mut String, column: &Column) {
    let _ = write!(
        text,
        "{} {:?} {} {} {:?} {:?};",
        column.name, column.data_type, column.is_key, column.nullable, column.aggregate, column.default
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
