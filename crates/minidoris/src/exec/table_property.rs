//! ALTER TABLE SET, comments and the default distribution.

use std::collections::BTreeMap;

use doris_types::record::{
    BinlogType, CommentTarget, ModifyCommentRecord, ModifyDistributionBucketNumRecord, ModifyPartitionInfo,
    ModifyPartitionsRecord, ModifyTablePropertyRecord, ReplicaAllocation, html_safe_json,
};
use doris_types::sql::{quote_identifiers, quote_string};

use serde::Serialize;

use super::partition::PartitionSettings;
use super::{context, create_table, database, dynamic, job, properties, records, resource};
use crate::catalog_ops;
use crate::cluster::ClusterInner;
use crate::error::{SqlError, SqlResult};
use crate::model::{Distribution, DistributionKind, KeysType, PartitionScheme};
use crate::sql::Properties;
use crate::state::FeState;

/// Properties whose change rewrites the data.
const STORED_WITH_DATA: [&str; 5] = [
    "bloom_filter_columns",
    "bloom_filter_fpp",
    "store_row_column",
    "row_store_columns",
    "row_store_page_size",
];

/// Properties that only CREATE TABLE takes.
const FIXED_AT_CREATION: [&str; 9] = [
    "compression",
    "inverted_index_storage_format",
    "storage_page_size",
    "storage_dict_page_size",
    "enable_unique_key_skip_bitmap_column",
    "enable_duplicate_without_keys_by_default",
    "function_column.sequence_type",
    "variant_enable_flatten_nested",
    "version_info",
];

pub fn set(
    cluster: &ClusterInner,
    state: &mut FeState,
    ids: (i64, i64),
    given: &Properties,
) -> SqlResult<()> {
    if given.get("distribution_type").is_some_and(|kind| kind.eq_ignore_ascii_case("random")) {
        return distribute_randomly(cluster, state, ids);
    }
    let is_fixed = |key: &str| FIXED_AT_CREATION.contains(&key);
    if let Some(unknown) = given.keys().find(|key| !properties::is_known(key) || is_fixed(key)) {
        return Err(SqlError::general(format!("Unknown table property: [{unknown}]")));
    }
    if is_stored_with_data(given) {
        context::check_normal(context::olap(state, ids.0, ids.1))?;
        return job::submit::storage_properties(cluster, state, ids, given);
    }
    let sets_binlog = given.keys().any(|key| key.starts_with("binlog."));
    if sets_binlog && !state.config_flag("enable_feature_binlog") {
        return Err(SqlError::general("Binlog feature is not enabled"));
    }
    let (db_id, table_id) = ids;
    let db_enabled = database::config(&state.databases[&db_id]).enable;
    let table = context::olap(state, db_id, table_id);
    let binlog = properties::parse_binlog(given, &table.binlog)?;
    if db_enabled && sets_binlog && !binlog.enable {
        return Err(SqlError::general("db binlog is enable, but table binlog is disable"));
    }
    let replication = properties::replication(given)?;
    if let Some(number) = replication {
        create_table::check_replication(cluster, number)?;
    }
    if given.contains_key("enable_unique_key_merge_on_write") {
        return Err(SqlError::general("Can not change UNIQUE KEY to Merge-On-Write mode"));
    }
    resource::check_policies(state, given)?;
    // All values are checked before the first one changes.
    let mut other = table.properties.clone();
    for (key, value) in given {
        properties::check(key, value)?;
        match key.as_str() {
            "is_being_synced"
            | "light_schema_change"
            | "replication_num"
            | "replication_allocation"
            | "default.replication_num"
            | "default.replication_allocation" => {}
            key if key.starts_with("binlog.") => {}
            key => {
                let value = properties::normalize(key, value)?;
                let removed = value.is_empty() && !key.starts_with("dynamic_partition.");
                if removed {
                    other.shift_remove(key)
                } else {
                    other.insert(key.to_owned(), value)
                };
            }
        }
    }
    if given.keys().any(|key| key.starts_with("dynamic_partition.")) {
        dynamic::complete(&mut other, table.replication_num, table.default_distribution.buckets)?;
        let shell = table.without_partitions();
        dynamic::check(cluster, state, &shell, &other)?;
    }
    let table = context::olap_mut(state, db_id, table_id);
    table.properties = other;
    table.binlog = binlog;
    let flag =
        |key: &str, before: bool| given.get(key).map_or(before, |value| value.eq_ignore_ascii_case("true"));
    table.is_being_synced = flag("is_being_synced", table.is_being_synced);
    table.light_schema_change = flag("light_schema_change", table.light_schema_change);
    if let Some(number) = replication {
        table.replication_num = number;
        // Only the whole of an unpartitioned table changes with its default.
        if table.partition_scheme == PartitionScheme::Unpartitioned {
            table.partitions.values_mut().for_each(|partition| partition.replication_num = number);
        }
    }
    if sets_binlog {
        catalog_ops::apply_binlog_setting(cluster, table);
    }
    let pairs: Vec<String> = given
        .iter()
        .map(|(key, value)| format!("{} = {} ", quote_string(key), quote_string(value)))
        .collect();
    let record = ModifyTablePropertyRecord {
        db_id,
        table_id,
        ctl_name: None,
        db_name: None,
        table_name: table.name.clone(),
        properties: given.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
        sql: format!("SET ({})", pairs.join(",")),
    };
    let now = cluster.clock.now_ms();
    state.journal_binlog(now, BinlogType::MODIFY_TABLE_PROPERTY, db_id, &[table_id], |_| {
        html_safe_json(&record)
    });
    Ok(())
}

/// Whether a change of these properties rewrites the data.
pub fn is_stored_with_data(given: &Properties) -> bool {
    given.keys().any(|key| STORED_WITH_DATA.contains(&key.as_str()))
}

/// A rename record in which nothing is renamed: its new names are empty and its old ones absent.
#[derive(Debug, Default, Serialize)]
struct DistributionTypeRecord {
    db: i64,
    tb: i64,
    ind: i64,
    p: i64,
    #[serde(rename = "nT")]
    new_table_name: &'static str,
    #[serde(rename = "nR")]
    new_rollup_name: &'static str,
    #[serde(rename = "nP")]
    new_partition_name: &'static str,
}

/// SET ("distribution_type" = "random"): future partitions of a duplicate table spread rows at random.
fn distribute_randomly(cluster: &ClusterInner, state: &mut FeState, ids: (i64, i64)) -> SqlResult<()> {
    let (db_id, table_id) = ids;
    let table = context::olap_mut(state, db_id, table_id);
    if table.keys_type == KeysType::Unique {
        return Err(SqlError::general(format!(
            "Cannot change distribution type of unique keys table: {}",
            table.name
        )));
    }
    if table.default_distribution.kind == DistributionKind::Random {
        return Err(SqlError::general("Only support change distribution type from hash to random"));
    }
    table.default_distribution.kind = DistributionKind::Random;
    table
        .partitions
        .values_mut()
        .for_each(|partition| partition.distribution.kind = DistributionKind::Random);
    let record = DistributionTypeRecord { db: db_id, tb: table_id, ind: -1, p: -1, ..Default::default() };
    let now = cluster.clock.now_ms();
    state.journal_binlog(now, BinlogType::MODIFY_DISTRIBUTION_TYPE, db_id, &[table_id], |_| {
        html_safe_json(&record)
    });
    Ok(())
}

/// MODIFY DISTRIBUTION: the number of buckets of future partitions.
pub fn set_distribution(
    cluster: &ClusterInner,
    state: &mut FeState,
    ids: (i64, i64),
    wanted: &Distribution,
) -> SqlResult<()> {
    let (db_id, table_id) = ids;
    let table = context::olap_mut(state, db_id, table_id);
    if table.partition_scheme == PartitionScheme::Unpartitioned {
        return Err(SqlError::general("Only support change partitioned table's distribution."));
    }
    let same = match (&wanted.kind, &table.default_distribution.kind) {
        (DistributionKind::Random, DistributionKind::Random) => true,
        (DistributionKind::Hash(a), DistributionKind::Hash(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.eq_ignore_ascii_case(b))
        }
        (DistributionKind::Random, DistributionKind::Hash(_))
        | (DistributionKind::Hash(_), DistributionKind::Random) => {
            return Err(SqlError::general(
                "Cannot change distribution type when modify default distribution bucket num",
            ));
        }
    };
    if !same {
        return Err(SqlError::general("Cannot assign hash distribution with different distribution cols"));
    }
    table.default_distribution.buckets = wanted.buckets;
    table.default_distribution.auto_bucket = wanted.auto_bucket;
    let (kind, columns_name) = match &table.default_distribution.kind {
        DistributionKind::Hash(names) => ("HASH", quote_identifiers(names.iter().map(String::as_str))),
        DistributionKind::Random => ("RANDOM", String::new()),
    };
    let record = ModifyDistributionBucketNumRecord {
        db_id,
        table_id,
        kind: kind.to_owned(),
        auto_bucket: wanted.auto_bucket,
        bucket_num: wanted.buckets.into(),
        columns_name,
    };
    let now = cluster.clock.now_ms();
    state.journal_binlog(now, BinlogType::MODIFY_DISTRIBUTION_BUCKET_NUM, db_id, &[table_id], |_| {
        html_safe_json(&record)
    });
    Ok(())
}

pub fn comment(cluster: &ClusterInner, state: &mut FeState, ids: (i64, i64), comment: &str) {
    let (db_id, table_id) = ids;
    context::olap_mut(state, db_id, table_id).comment = comment.to_owned();
    let record = ModifyCommentRecord {
        target: CommentTarget::Table,
        db_id,
        table_id,
        column_comments: BTreeMap::new(),
        table_comment: Some(comment.to_owned()),
    };
    let now = cluster.clock.now_ms();
    state.journal_binlog(now, BinlogType::MODIFY_COMMENT, db_id, &[table_id], |_| html_safe_json(&record));
}

/// MODIFY COLUMN c COMMENT, all columns of a statement in one entry.
pub fn column_comments(
    cluster: &ClusterInner,
    state: &mut FeState,
    ids: (i64, i64),
    comments: BTreeMap<String, String>,
) -> SqlResult<()> {
    let (db_id, table_id) = ids;
    let table = context::olap_mut(state, db_id, table_id);
    if let Some(unknown) = comments.keys().find(|name| table.column(name).is_none()) {
        return Err(SqlError::general(format!("Unknown column: {unknown}")));
    }
    for index in table.indexes.values_mut() {
        for column in &mut index.columns {
            let comment = comments.iter().find(|(name, _)| name.eq_ignore_ascii_case(&column.name));
            if let Some((_, comment)) = comment {
                column.comment.clone_from(comment);
            }
        }
    }
    let record = ModifyCommentRecord {
        target: CommentTarget::Column,
        db_id,
        table_id,
        column_comments: comments,
        table_comment: None,
    };
    let now = cluster.clock.now_ms();
    state.journal_binlog(now, BinlogType::MODIFY_COMMENT, db_id, &[table_id], |_| html_safe_json(&record));
    Ok(())
}

/// MODIFY PARTITION … SET.
pub fn modify_partitions(
    cluster: &ClusterInner,
    state: &mut FeState,
    ids: (i64, i64),
    names: Option<&[String]>,
    given: &Properties,
) -> SqlResult<()> {
    let (db_id, table_id) = ids;
    let settings = PartitionSettings::read(state, context::olap(state, db_id, table_id), given)?;
    let table = context::olap_mut(state, db_id, table_id);
    let is_there =
        |name: &&String| table.partitions.values().any(|found| found.name.eq_ignore_ascii_case(name));
    let missing = names.into_iter().flatten().find(|name| !is_there(name));
    if let Some(missing) = missing {
        return Err(SqlError::general(format!("Partition[{missing}] does not exist")));
    }
    let (mut changed, mut infos) = (Vec::new(), Vec::new());
    for partition in table.partitions.values_mut() {
        let is_meant = |name: &String| name.eq_ignore_ascii_case(&partition.name);
        if names.is_some_and(|names| !names.iter().any(is_meant)) {
            continue;
        }
        settings.apply(partition);
        changed.push(partition.id);
    }
    let table = context::olap(state, db_id, table_id);
    for partition in changed.iter().filter_map(|id| table.partitions.get(id)) {
        infos.push(ModifyPartitionInfo {
            db_id,
            table_id,
            partition_id: partition.id,
            data_property: Some(records::data_property(table, partition)),
            is_in_memory: false,
            replica_alloc: Some(ReplicaAllocation::default_location(partition.replication_num.into())),
            storage_policy: given.get("storage_policy").cloned().unwrap_or_default(),
            table_properties: given.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
        });
    }
    let record = ModifyPartitionsRecord { infos };
    let now = cluster.clock.now_ms();
    state.journal_binlog(now, BinlogType::MODIFY_PARTITIONS, db_id, &[table_id], |_| html_safe_json(&record));
    Ok(())
}
