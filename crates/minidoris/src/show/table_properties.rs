//! The PROPERTIES of SHOW CREATE TABLE: which are printed, in which order, with which defaults.

use super::Flavour;
use crate::model::{KeysType, OlapTable};

/// Everything that may stand in a CREATE TABLE text, in Doris's order. Settings with fields of their own in
/// the table, or with defaults that are printed, are handled in [`value`].
pub const ORDER: &[&str] = &[
    "replication_allocation",
    "min_load_replica_num",
    "bloom_filter_columns",
    "bloom_filter_fpp",
    "is_being_synced",
    "_auto_bucket",
    "colocate_with",
    "dynamic_partition.enable",
    "dynamic_partition.time_unit",
    "dynamic_partition.time_zone",
    "dynamic_partition.start",
    "dynamic_partition.end",
    "dynamic_partition.prefix",
    "dynamic_partition.replication_allocation",
    "dynamic_partition.buckets",
    "dynamic_partition.create_history_partition",
    "dynamic_partition.history_partition_num",
    "dynamic_partition.hot_partition_num",
    "dynamic_partition.reserved_history_periods",
    "dynamic_partition.storage_policy",
    "dynamic_partition.storage_medium",
    "dynamic_partition.start_day_of_week",
    "dynamic_partition.start_day_of_month",
    "partition.retention_count",
    "in_memory",
    "storage_medium",
    "storage_format",
    "inverted_index_storage_format",
    "compression",
    "estimate_partition_size",
    "enable_unique_key_merge_on_write",
    "enable_unique_key_skip_bitmap_column",
    "light_schema_change",
    "storage_policy",
    "function_column.sequence_col",
    "function_column.sequence_type",
    "row_store_columns",
    "store_row_column",
    "row_store_page_size",
    "storage_page_size",
    "storage_dict_page_size",
    "skip_write_index_on_load",
    "compaction_policy",
    "time_series_compaction_goal_size_mbytes",
    "time_series_compaction_file_count_threshold",
    "time_series_compaction_time_threshold_seconds",
    "time_series_compaction_empty_rowsets_threshold",
    "time_series_compaction_level_threshold",
    "disable_auto_compaction",
    "variant_enable_flatten_nested",
    "binlog.enable",
    "binlog.ttl_seconds",
    "binlog.max_bytes",
    "binlog.max_history_nums",
    "enable_single_replica_compaction",
    "group_commit_interval_ms",
    "group_commit_data_bytes",
    "enable_mow_light_delete",
    "enable_duplicate_without_keys_by_default",
    "in_atomic_restore",
];

/// Names and values in the order of the text.
pub fn printed(table: &OlapTable, flavour: Flavour, feature_binlog: bool) -> Vec<(String, String)> {
    ORDER
        .iter()
        .filter_map(|key| value(table, flavour, feature_binlog, key).map(|value| ((*key).to_owned(), value)))
        .collect()
}

fn value(table: &OlapTable, flavour: Flavour, feature_binlog: bool, key: &str) -> Option<String> {
    let given = table.properties.get(key);
    let or_default = |default: &str| Some(given.map_or(default, String::as_str).to_owned());
    let only_true = || given.filter(|value| value.as_str() == "true").cloned();
    let is_time_series =
        table.properties.get("compaction_policy").is_some_and(|policy| policy == "time_series");
    match key {
        "replication_allocation" => Some(format!("tag.location.default: {}", table.replication_num)),
        "min_load_replica_num" => or_default("-1"),
        "is_being_synced" => Some((flavour == Flavour::Sync || table.is_being_synced).to_string()),
        "_auto_bucket" => {
            (flavour == Flavour::Sync && table.default_distribution.auto_bucket).then(|| "true".to_owned())
        }
        "in_memory"
        | "enable_unique_key_skip_bitmap_column"
        | "variant_enable_flatten_nested"
        | "enable_duplicate_without_keys_by_default"
        | "skip_write_index_on_load" => only_true(),
        "storage_medium" => or_default("hdd"),
        "storage_format" => or_default("V2"),
        "inverted_index_storage_format" => or_default("V3"),
        "compression" => given.filter(|value| !value.eq_ignore_ascii_case("lz4f")).cloned(),
        "enable_unique_key_merge_on_write" if table.keys_type == KeysType::Unique => or_default("true"),
        "enable_unique_key_merge_on_write" => None,
        "enable_mow_light_delete" if is_merge_on_write(table) => or_default("false"),
        "enable_mow_light_delete" => None,
        "light_schema_change" => table.light_schema_change.then(|| "true".to_owned()),
        "store_row_column" => only_true().filter(|_| !table.properties.contains_key("row_store_columns")),
        "row_store_page_size" => {
            let has_row_store = table.properties.contains_key("row_store_columns")
                || table.properties.get("store_row_column").is_some_and(|value| value == "true");
            if has_row_store { or_default("16384") } else { None }
        }
        "compaction_policy" => given.filter(|_| is_time_series).cloned(),
        "time_series_compaction_goal_size_mbytes" if is_time_series => or_default("1024"),
        "time_series_compaction_file_count_threshold" if is_time_series => or_default("2000"),
        "time_series_compaction_time_threshold_seconds" if is_time_series => or_default("3600"),
        "time_series_compaction_empty_rowsets_threshold" if is_time_series => or_default("5"),
        "time_series_compaction_level_threshold" if is_time_series => or_default("1"),
        key if key.starts_with("time_series_") => None,
        "disable_auto_compaction" | "enable_single_replica_compaction" => or_default("false"),
        "binlog.enable" => feature_binlog.then(|| table.binlog.enable.to_string()),
        "binlog.ttl_seconds" => feature_binlog.then(|| table.binlog.ttl_seconds.to_string()),
        "binlog.max_bytes" => feature_binlog.then(|| table.binlog.max_bytes.to_string()),
        "binlog.max_history_nums" => feature_binlog.then(|| table.binlog.max_history_nums.to_string()),
        "group_commit_interval_ms" => or_default("10000"),
        "group_commit_data_bytes" => or_default("134217728"),
        "in_atomic_restore" => table.in_atomic_restore.then(|| "true".to_owned()),
        _ => given.cloned(),
    }
}

/// Whether the unique table marks overwritten rows when it is written, which is the default.
pub fn is_merge_on_write(table: &OlapTable) -> bool {
    table.keys_type == KeysType::Unique
        && table.properties.get("enable_unique_key_merge_on_write").is_none_or(|value| value == "true")
}
