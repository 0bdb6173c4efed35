//! Catalogue objects nested in ADD_PARTITION: partition, index, tablet, replica, distribution.
//!
//! The short keys are those of a current FE; FEs before 2.1/3.0 write the long ones.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Column;
use super::lenient::{minus_one, null_as_default};

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partition {
    #[serde(default = "partition_clazz")]
    pub clazz: String,
    #[serde(default)]
    pub id: i64,
    #[serde(rename = "nm", alias = "name", default, deserialize_with = "null_as_default")]
    pub name: String,
    /// `NORMAL`.
    #[serde(rename = "st", alias = "state", default, deserialize_with = "null_as_default")]
    pub state: String,
    #[serde(rename = "bi", alias = "baseIndex", default, skip_serializing_if = "Option::is_none")]
    pub base_index: Option<Index>,
    /// By index id.
    #[serde(rename = "ivr", alias = "idToVisibleRollupIndex", default, deserialize_with = "null_as_default")]
    pub visible_rollup_indexes: BTreeMap<i64, Index>,
    /// By index id.
    #[serde(rename = "isi", alias = "idToShadowIndex", default, deserialize_with = "null_as_default")]
    pub shadow_indexes: BTreeMap<i64, Index>,
    #[serde(rename = "vv", alias = "visibleVersion", default)]
    pub visible_version: i64,
    /// ms since the epoch.
    #[serde(rename = "vvt", alias = "visibleVersionTime", default)]
    pub visible_version_time: i64,
    #[serde(rename = "nv", alias = "nextVersion", default)]
    pub next_version: i64,
    #[serde(rename = "di", alias = "distributionInfo", default, skip_serializing_if = "Option::is_none")]
    pub distribution: Option<DistributionInfo>,
    #[serde(default = "minus_one")]
    pub signature: i64,
    #[serde(rename = "lastCheckTime", default = "minus_one")]
    pub last_check_time: i64,
}

/// How rows are spread over the buckets of a partition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DistributionInfo {
    /// `HashDistributionInfo` or `RandomDistributionInfo`.
    #[serde(default, deserialize_with = "null_as_default")]
    pub clazz: String,
    /// Empty when random.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub distribution_columns: Vec<Column>,
    /// `HASH` or `RANDOM`.
    #[serde(rename = "type", default, deserialize_with = "null_as_default")]
    pub kind: String,
    #[serde(default)]
    pub bucket_num: i64,
    /// The number was chosen by the FE (`BUCKETS AUTO`).
    #[serde(default)]
    pub auto_bucket: bool,
}

/// A materialised index (base table or rollup) of one partition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    #[serde(default)]
    pub id: i64,
    /// `NORMAL` or `SHADOW`.
    #[serde(default, deserialize_with = "null_as_default")]
    pub state: String,
    #[serde(default)]
    pub row_count: i64,
    /// In bucket order.
    #[serde(default, deserialize_with = "null_as_default")]
    pub tablets: Vec<LocalTablet>,
    #[serde(default = "minus_one")]
    pub rollup_index_id: i64,
    #[serde(default)]
    pub rollup_finished_version: i64,
    #[serde(default = "minus_one")]
    pub signature: i64,
    #[serde(default = "minus_one")]
    pub last_check_time: i64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalTablet {
    #[serde(default = "tablet_clazz")]
    pub clazz: String,
    #[serde(default)]
    pub id: i64,
    #[serde(rename = "rs", alias = "replicas", default, deserialize_with = "null_as_default")]
    pub replicas: Vec<LocalReplica>,
    #[serde(rename = "cv", alias = "checkedVersion", default)]
    pub checked_version: i64,
    #[serde(rename = "ic", alias = "isConsistent", default)]
    pub is_consistent: bool,
    #[serde(rename = "cri", alias = "cooldownReplicaId", default = "minus_one")]
    pub cooldown_replica_id: i64,
    #[serde(rename = "ctm", alias = "cooldownTerm", default = "minus_one")]
    pub cooldown_term: i64,
    #[serde(rename = "lastCheckTime", default = "minus_one")]
    pub last_check_time: i64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalReplica {
    #[serde(default = "replica_clazz")]
    pub clazz: String,
    #[serde(default)]
    pub id: i64,
    #[serde(rename = "v", alias = "version", default)]
    pub version: i64,
    /// Bytes.
    #[serde(rename = "ds", alias = "dataSize", default)]
    pub data_size: i64,
    #[serde(rename = "rc", alias = "rowCount", default)]
    pub row_count: i64,
    /// `NORMAL`.
    #[serde(rename = "st", alias = "state", default, deserialize_with = "null_as_default")]
    pub state: String,
    /// Bytes of index files on local disks.
    #[serde(rename = "lis", default)]
    pub local_index_size: i64,
    /// Bytes of segments on local disks.
    #[serde(rename = "lss", default)]
    pub local_segment_size: i64,
    #[serde(rename = "bid", alias = "backendId", default)]
    pub backend_id: i64,
    /// Bytes on remote storage.
    #[serde(rename = "rds", alias = "remoteDataSize", default)]
    pub remote_data_size: i64,
    /// Bytes of index files in remote storage.
    #[serde(rename = "ris", default)]
    pub remote_index_size: i64,
    /// Bytes of segments in remote storage.
    #[serde(rename = "rss", default)]
    pub remote_segment_size: i64,
    #[serde(rename = "lfv", alias = "lastFailedVersion", default = "minus_one")]
    pub last_failed_version: i64,
    #[serde(rename = "lsv", alias = "lastSuccessVersion", default)]
    pub last_success_version: i64,
}

/// Where a partition lives, and until when.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DataProperty {
    /// `HDD` or `SSD`.
    #[serde(default, deserialize_with = "null_as_default")]
    pub storage_medium: String,
    /// ms since the epoch; 253402271999000 means never.
    #[serde(default)]
    pub cooldown_time_ms: i64,
    #[serde(default, deserialize_with = "null_as_default")]
    pub storage_policy: String,
    #[serde(default)]
    pub is_mutable: bool,
}

/// Number of replicas per tag, as an array of pairs since the key is an object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplicaAllocation {
    #[serde(default, deserialize_with = "null_as_default")]
    pub alloc_map: Vec<(ReplicaTag, i64)>,
}

/// A resource tag such as `location` = `default`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaTag {
    #[serde(rename = "type", default, deserialize_with = "null_as_default")]
    pub kind: String,
    #[serde(default, deserialize_with = "null_as_default")]
    pub value: String,
}

impl DistributionInfo {
    pub fn hash(columns: Vec<Column>, bucket_num: i64, auto_bucket: bool) -> Self {
        Self {
            clazz: "HashDistributionInfo".to_owned(),
            distribution_columns: columns,
            kind: "HASH".to_owned(),
            bucket_num,
            auto_bucket,
        }
    }

    pub fn random(bucket_num: i64, auto_bucket: bool) -> Self {
        Self {
            clazz: "RandomDistributionInfo".to_owned(),
            distribution_columns: Vec::new(),
            kind: "RANDOM".to_owned(),
            bucket_num,
            auto_bucket,
        }
    }

    /// Whether rows go to random buckets. Old FEs do not always write `type`, the class name tells as well.
    pub fn is_random(&self) -> bool {
        if self.kind.is_empty() {
            self.clazz == "RandomDistributionInfo"
        } else {
            self.kind.eq_ignore_ascii_case("RANDOM")
        }
    }
}

impl ReplicaAllocation {
    /// `number` replicas with the default location tag.
    pub fn default_location(number: i64) -> Self {
        let tag = ReplicaTag { kind: "location".to_owned(), value: "default".to_owned() };
        Self { alloc_map: vec![(tag, number)] }
    }
}

fn partition_clazz() -> String {
    "Partition".to_owned()
}

fn tablet_clazz() -> String {
    "LocalTablet".to_owned()
}

fn replica_clazz() -> String {
    "LocalReplica".to_owned()
}
