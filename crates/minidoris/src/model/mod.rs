//! The catalogue: what a frontend knows about databases, tables, partitions, indexes and tablets.
//!
//! Plain data with small accessors. Every id comes from one counter (`state::Ids`), so an id is never
//! reused for another kind of object; tablet ids of an index are handed out in bucket order.

mod column;
mod display;
mod identity;
pub(crate) mod ordered;
mod partition;
mod partition_value;
mod table;
mod tracked;

pub use column::{AggregateKind, Column, DataType, DefaultValue, KeysType};
pub use partition::{
    Distribution, DistributionKind, MaterializedIndex, Partition, PartitionItem, PartitionValue, Replica,
    ReplicaState, Tablet,
};
pub use table::{
    BinlogConfig, Database, IndexSchema, IndexState, OlapTable, PartitionScheme, SHADOW_PREFIX,
    SecondaryIndex, SyncView, Table, TableState, View,
};
pub use tracked::Tracked;
