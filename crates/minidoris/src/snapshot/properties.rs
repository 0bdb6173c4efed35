//! Properties of BACKUP statements and of restore requests.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::error::{SqlError, SqlResult};
use crate::sql::Properties;

/// Of backups and restores alike.
const DEFAULT_TIMEOUT_MS: i64 = 86_400_000;
const SHORTEST_TIMEOUT_S: i64 = 600;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackupProperties {
    pub timeout_ms: i64,
    /// `content` = `metadata_only`: tables without their rows.
    pub metadata_only: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreProperties {
    pub timeout_ms: i64,
    pub allow_load: bool,
    pub replication_num: u16,
    pub reserve_replica: bool,
    pub reserve_colocate: bool,
    pub reserve_dynamic_partition: bool,
    pub clean_tables: bool,
    pub clean_partitions: bool,
    pub atomic_restore: bool,
    pub force_replace: bool,
    /// Marks new tables as those of a replication's target.
    #[serde(default)]
    pub is_being_synced: bool,
}

/// `default_timeout_ms` is the frontend setting `backup_job_default_timeout_ms`, if it is set.
pub fn backup_properties(
    properties: &Properties,
    default_timeout_ms: Option<i64>,
) -> SqlResult<BackupProperties> {
    let timeout_ms = default_timeout_ms.unwrap_or(DEFAULT_TIMEOUT_MS);
    let mut parsed = BackupProperties { timeout_ms, metadata_only: false };
    let mut unknown = Vec::new();
    for (key, value) in properties {
        match key.to_ascii_lowercase().as_str() {
            "type" if value.eq_ignore_ascii_case("full") => {}
            "type" => return Err(SqlError::common(format!("Unsupported backup job type: {value}"))),
            "content" if value.eq_ignore_ascii_case("all") => {}
            "content" if value.eq_ignore_ascii_case("metadata_only") => parsed.metadata_only = true,
            "content" => return Err(SqlError::common(format!("Invalid backup job content:{value}"))),
            "timeout" => parsed.timeout_ms = timeout(value)?,
            _other => unknown.push(key.as_str()),
        }
    }
    if !unknown.is_empty() {
        return Err(SqlError::common(format!("Unknown backup job properties: [{}]", unknown.join(", "))));
    }
    Ok(parsed)
}

pub fn restore_properties(properties: &BTreeMap<String, String>) -> SqlResult<RestoreProperties> {
    let mut parsed = RestoreProperties {
        timeout_ms: DEFAULT_TIMEOUT_MS,
        allow_load: false,
        replication_num: 3,
        reserve_replica: false,
        reserve_colocate: false,
        reserve_dynamic_partition: false,
        clean_tables: false,
        clean_partitions: false,
        atomic_restore: false,
        force_replace: false,
        is_being_synced: false,
    };
    let mut unknown = Vec::new();
    for (key, value) in properties {
        let flag = || boolean(key, value);
        match key.as_str() {
            "timeout" => parsed.timeout_ms = timeout(value)?,
            "allow_load" => parsed.allow_load = flag()?,
            "replication_num" => parsed.replication_num = replicas(value)?,
            "replication_allocation" => {
                let number = value.rsplit(':').next().unwrap_or(value);
                parsed.replication_num = replicas(number.trim())?;
            }
            "reserve_replica" => parsed.reserve_replica = flag()?,
            "reserve_colocate" => parsed.reserve_colocate = flag()?,
            "reserve_dynamic_partition_enable" => parsed.reserve_dynamic_partition = flag()?,
            "clean_tables" => parsed.clean_tables = flag()?,
            "clean_partitions" => parsed.clean_partitions = flag()?,
            "atomic_restore" => parsed.atomic_restore = flag()?,
            "force_replace" => parsed.force_replace = flag()?,
            "is_being_synced" => parsed.is_being_synced = flag()?,
            "backup_timestamp" | "meta_version" | "storage_vault_name" => {}
            other => unknown.push(other),
        }
    }
    if !unknown.is_empty() {
        return Err(SqlError::common(format!("Unknown restore job properties: [{}]", unknown.join(", "))));
    }
    Ok(parsed)
}

fn timeout(value: &str) -> SqlResult<i64> {
    let seconds: i64 =
        value.parse().map_err(|_| SqlError::common(format!("Invalid timeout format: {value}")))?;
    if seconds < SHORTEST_TIMEOUT_S {
        return Err(SqlError::common("timeout must be at least 10 min"));
    }
    Ok(seconds.saturating_mul(1000))
}

fn boolean(name: &str, value: &str) -> SqlResult<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _other => Err(SqlError::common(format!("Invalid boolean property {name} value: {value}"))),
    }
}

fn replicas(value: &str) -> SqlResult<u16> {
    match value.parse() {
        Ok(number) if number > 0 => Ok(number),
        Ok(_) | Err(_) => Err(SqlError::common(format!("Invalid replication num: {value}"))),
    }
}
