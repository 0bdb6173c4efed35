//! Table properties as written, turned into settings and normal forms.

use crate::error::{SqlError, SqlResult};
use crate::model::{BinlogConfig, DataType};
use crate::show::table_properties::ORDER;
use crate::sql::{Properties, parse_data_type};

/// What the PROPERTIES of a CREATE TABLE say.
#[derive(Debug, Clone)]
pub struct TableSettings {
    /// `None` when the text does not name it.
    pub replication_num: Option<u16>,
    pub binlog: BinlogConfig,
    pub is_being_synced: bool,
    pub light_schema_change: bool,
    /// Everything else in Doris's names and normal forms.
    pub other: Properties,
}

/// Accepted without being printed.
const SILENT: [&str; 10] = [
    "replication_num",
    "version_info",
    "default.replication_num",
    "default.replication_allocation",
    "file_cache_ttl_seconds",
    "storage_type",
    "storage_cooldown_time",
    "enable_nondeterministic_function",
    "autobucket_min_buckets",
    "dynamic_partition.replication_num",
];

const COMPRESSIONS: [&str; 7] = ["LZ4", "LZ4F", "LZ4HC", "ZLIB", "ZSTD", "SNAPPY", "NO_COMPRESSION"];

/// Reads the properties of CREATE TABLE. `inherited` are the binlog settings of the database.
pub fn parse_table(properties: &Properties, inherited: &BinlogConfig) -> SqlResult<TableSettings> {
    let unknown: Vec<String> = properties
        .iter()
        .filter(|(key, _)| !is_known(key))
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    if !unknown.is_empty() {
        return Err(SqlError::general(format!("Unknown properties: {{{}}}", unknown.join(", "))));
    }
    let is_being_synced = flag(properties, "is_being_synced", false);
    let mut settings = TableSettings {
        replication_num: replication(properties)?,
        binlog: parse_binlog(properties, inherited)?,
        is_being_synced,
        light_schema_change: flag(properties, "light_schema_change", true),
        other: Properties::new(),
    };
    for (key, value) in properties {
        check(key, value)?;
        let own_field = SILENT.contains(&key.as_str())
            || key.starts_with("binlog.")
            || [
                "replication_allocation",
                "is_being_synced",
                "light_schema_change",
                "_auto_bucket",
                "in_atomic_restore",
            ]
            .contains(&key.as_str());
        // What points at resources of the source cluster means nothing on the target of a job.
        let foreign = is_being_synced
            && ["colocate_with", "storage_policy", "dynamic_partition.storage_policy"]
                .contains(&key.as_str());
        if !own_field && !foreign && !value.is_empty() {
            settings.other.insert(key.clone(), normalize(key, value)?);
        }
    }
    if let Some(number) = properties.get("dynamic_partition.replication_num") {
        let key = "dynamic_partition.replication_allocation".to_owned();
        settings.other.entry(key).or_insert(format!("tag.location.default: {number}"));
    }
    Ok(settings)
}

/// Whether CREATE TABLE or ALTER TABLE SET takes the name.
pub fn is_known(key: &str) -> bool {
    ORDER.contains(&key) || SILENT.contains(&key)
}

/// Properties that are `true` or `false`. `binlog.enable` is not one of them: whatever is not `true` is off.
const FLAGS: [&str; 12] = [
    "disable_auto_compaction",
    "dynamic_partition.enable",
    "enable_duplicate_without_keys_by_default",
    "enable_mow_light_delete",
    "enable_single_replica_compaction",
    "enable_unique_key_merge_on_write",
    "enable_unique_key_skip_bitmap_column",
    "is_being_synced",
    "light_schema_change",
    "skip_write_index_on_load",
    "store_row_column",
    "variant_enable_flatten_nested",
];

/// Properties that are whole numbers, with the least of them.
const NUMBERS: [(&str, i64); 11] = [
    ("group_commit_data_bytes", 1),
    ("group_commit_interval_ms", 1),
    ("min_load_replica_num", -1),
    ("row_store_page_size", 1),
    ("storage_dict_page_size", 0),
    ("storage_page_size", 1),
    ("time_series_compaction_empty_rowsets_threshold", 1),
    ("time_series_compaction_file_count_threshold", 1),
    ("time_series_compaction_goal_size_mbytes", 1),
    ("time_series_compaction_level_threshold", 1),
    ("time_series_compaction_time_threshold_seconds", 1),
];

/// Refuses a value of the wrong kind; an empty one takes the property away.
pub fn check(key: &str, value: &str) -> SqlResult<()> {
    let value = value.trim();
    if value.is_empty() {
        return Ok(());
    }
    if FLAGS.contains(&key) && !value.eq_ignore_ascii_case("true") && !value.eq_ignore_ascii_case("false") {
        return Err(SqlError::general(format!("{key} must be `true` or `false`")));
    }
    if let Some((_, least)) = NUMBERS.iter().find(|(name, _)| *name == key) {
        let number: i64 =
            value.parse().map_err(|_| SqlError::general(format!("{key} must be a number: {value}")))?;
        if number < *least {
            return Err(SqlError::general(format!("{key} can not be less than {least}: {value}")));
        }
    }
    if key == "bloom_filter_fpp" {
        let fpp: f64 = value.parse().map_err(|_| SqlError::general("Bloom filter fpp is not Double"))?;
        if !(0.0001..=0.05).contains(&fpp) {
            return Err(SqlError::general("Bloom filter fpp should in [0.0001, 0.05]"));
        }
    }
    Ok(())
}

/// The normal form of one value, as SHOW CREATE TABLE prints it.
pub fn normalize(key: &str, value: &str) -> SqlResult<String> {
    check(key, value)?;
    match key {
        "storage_medium" | "dynamic_partition.storage_medium" => {
            one_of(value, &["HDD", "SSD"], "Invalid storage medium: ").map(|medium| medium.to_lowercase())
        }
        "compaction_policy" => match value.to_lowercase().as_str() {
            policy @ ("time_series" | "size_based") => Ok(policy.to_owned()),
            _ => Err(SqlError::general("compaction_policy must be time_series or size_based")),
        },
        "compression" if value.eq_ignore_ascii_case("default_compression") => Ok("LZ4F".to_owned()),
        "compression" => one_of(value, &COMPRESSIONS, "unknown compression type: "),
        "storage_format" if value.eq_ignore_ascii_case("default") => Ok("V2".to_owned()),
        "storage_format" if value.eq_ignore_ascii_case("v1") => Err(SqlError::general(
            "Storage format V1 has been deprecated since version 0.14, please use V2 instead",
        )),
        "storage_format" => one_of(value, &["V2"], "unknown storage format: "),
        "inverted_index_storage_format" if value.eq_ignore_ascii_case("default") => Ok("V3".to_owned()),
        "inverted_index_storage_format" => {
            one_of(value, &["V1", "V2", "V3"], "unknown inverted index storage format: ")
        }
        "dynamic_partition.time_unit" => Ok(value.to_uppercase()),
        "bloom_filter_columns" | "row_store_columns" => {
            let separator = if key == "bloom_filter_columns" { ", " } else { "," };
            Ok(value.split(',').map(str::trim).collect::<Vec<_>>().join(separator))
        }
        "function_column.sequence_type" => Ok(match parse_data_type(value)? {
            DataType::DateTime { scale } => format!("datetimev2({scale})"),
            DataType::Date => "datev2".to_owned(),
            integer if integer.is_integer() => integer.to_string(),
            _ => return Err(SqlError::general("sequence type only support integer types and date types")),
        }),
        _ if value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false") => {
            Ok(value.to_lowercase())
        }
        _ => Ok(value.to_owned()),
    }
}

/// One of the values in its own spelling, however it was written.
fn one_of(value: &str, known: &[&str], otherwise: &str) -> SqlResult<String> {
    let found = known.iter().find(|known| known.eq_ignore_ascii_case(value));
    found.map(|known| (*known).to_owned()).ok_or_else(|| SqlError::general(format!("{otherwise}{value}")))
}

/// `binlog.*` over the settings before. Anything but `true` disables.
pub fn parse_binlog(properties: &Properties, before: &BinlogConfig) -> SqlResult<BinlogConfig> {
    let number = |key: &str, before: i64| match properties.get(&format!("binlog.{key}")) {
        None => Ok(before),
        Some(value) => value
            .trim()
            .parse()
            .map_err(|_| SqlError::general(format!("Invalid binlog {key} value: {value}"))),
    };
    Ok(BinlogConfig {
        enable: flag(properties, "binlog.enable", before.enable),
        ttl_seconds: number("ttl_seconds", before.ttl_seconds)?,
        max_bytes: number("max_bytes", before.max_bytes)?,
        max_history_nums: number("max_history_nums", before.max_history_nums)?,
    })
}

/// `replication_num`, or the sum over `replication_allocation` (`tag.location.default: 3`).
pub fn replication(properties: &Properties) -> SqlResult<Option<u16>> {
    let invalid =
        |value: &str| SqlError::general(format!("Replication num should be positive, but get {value}"));
    let keys = ["replication_allocation", "default.replication_allocation"];
    if let Some(text) = keys.iter().find_map(|key| properties.get(*key)) {
        let mut total = 0u16;
        for part in text.split(',') {
            let number = part.rsplit(':').next().unwrap_or_default().trim();
            let number: u16 = number
                .parse()
                .map_err(|_| SqlError::general(format!("Invalid replication allocation property: {text}")))?;
            total = total.saturating_add(number);
        }
        return if total == 0 { Err(invalid(text)) } else { Ok(Some(total)) };
    }
    let keys = ["replication_num", "default.replication_num"];
    match keys.iter().find_map(|key| properties.get(*key)) {
        None => Ok(None),
        Some(value) => {
            value.trim().parse().ok().filter(|number| *number > 0).map(Some).ok_or_else(|| invalid(value))
        }
    }
}

fn flag(properties: &Properties, key: &str, default: bool) -> bool {
    properties.get(key).map_or(default, |value| value.trim().eq_ignore_ascii_case("true"))
}
