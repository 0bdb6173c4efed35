//! Partitions down to replicas.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// A bound or list value of a partition key, in the text form of the partition identity
/// (`2024-01-01`, `5`, `bj`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PartitionValue {
    Value(String),
    MaxValue,
    /// Printed as the minimum of its type.
    MinValue,
    Null,
}

/// What distinguishes a partition of its table from the others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PartitionItem {
    Unpartitioned,
    /// Lower bound inclusive, upper bound exclusive; one value per partition column.
    Range {
        lower: Vec<PartitionValue>,
        upper: Vec<PartitionValue>,
    },
    /// The rows of values; the default partition has none and takes what no other list holds.
    List {
        keys: Vec<Vec<PartitionValue>>,
        is_default: bool,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Distribution {
    pub kind: DistributionKind,
    pub buckets: u32,
    /// `BUCKETS AUTO`.
    pub auto_bucket: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DistributionKind {
    /// Column names.
    Hash(Vec<String>),
    Random,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Partition {
    pub id: i64,
    pub name: String,
    pub item: PartitionItem,
    pub distribution: Distribution,
    /// 1 when empty; each visible transaction that touches the partition adds one.
    pub visible_version: i64,
    /// Milliseconds since the epoch.
    pub visible_version_time: i64,
    /// The version the next committed transaction takes.
    pub next_version: i64,
    pub replication_num: u16,
    /// `HDD` or `SSD`.
    pub storage_medium: String,
    /// Its own, which goes before the table's; empty without one.
    #[serde(default)]
    pub storage_policy: String,
    /// Index id to tablets; holds exactly the indexes of the table, shadow ones included.
    #[serde(with = "super::ordered")]
    pub indexes: IndexMap<i64, MaterializedIndex>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MaterializedIndex {
    pub id: i64,
    /// In bucket order.
    pub tablets: Vec<Tablet>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Tablet {
    pub id: i64,
    pub replicas: Vec<Replica>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Replica {
    pub id: i64,
    pub backend_id: i64,
    pub version: i64,
    /// -1 when it never failed.
    pub last_failed_version: i64,
    #[serde(default, skip_serializing_if = "ReplicaState::is_normal")]
    pub state: ReplicaState,
}

/// What a replica is going through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ReplicaState {
    #[default]
    Normal,
    /// It is being copied from another one.
    Clone,
    /// Another one has taken its place, and it goes when nobody needs it any more.
    Decommission,
}

impl ReplicaState {
    /// The name that Doris prints.
    pub fn name(self) -> &'static str {
        match self {
            ReplicaState::Normal => "NORMAL",
            ReplicaState::Clone => "CLONE",
            ReplicaState::Decommission => "DECOMMISSION",
        }
    }

    fn is_normal(&self) -> bool {
        *self == ReplicaState::Normal
    }
}

impl Partition {
    pub fn tablets(&self) -> impl Iterator<Item = &Tablet> {
        self.indexes.values().flat_map(|index| index.tablets.iter())
    }
}
