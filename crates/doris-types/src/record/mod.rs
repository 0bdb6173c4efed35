//! Binlog records: the JSON inside a `TBinlog`, one struct per type.
//!
//! The FE writes them with Gson: only annotated fields, keys absent when null, HTML-safe escapes, 64-bit ids
//! as numbers, maps keyed by decimal strings. The structs here write the key names of a current FE and read
//! the older long names as well, since the names of some nested objects were shortened between releases.
//! Unknown keys are ignored, absent ones take their default, except the few a record means nothing without
//! (the table it concerns, its statement), whose absence is an error.
//!
//! [`Record::parse`] is the entry: it takes the type number and the data and unwraps the BARRIER in which
//! older FEs hide the types their edit log could not carry.

mod alter;
mod barrier;
mod binlog_type;
mod catalog;
mod column;
mod comment;
mod distribution;
mod error;
mod html_safe;
mod job;
mod lenient;
mod parse;
mod partition;
mod partition_key;
mod property;
mod recover;
mod rename;
mod replace;
mod rollup;
mod table;
mod upsert;
mod view;

pub use alter::{ModifyColumnsRecord, ModifyInvertedIndicesRecord};
pub use barrier::BarrierRecord;
pub use binlog_type::BinlogType;
pub use catalog::{
    DataProperty, DistributionInfo, Index, LocalReplica, LocalTablet, Partition, ReplicaAllocation,
    ReplicaTag,
};
pub use column::{Column, ColumnType, IndexDefinition};
pub use comment::{CommentTarget, ModifyCommentRecord};
pub use distribution::ModifyDistributionBucketNumRecord;
pub use error::RecordError;
pub use html_safe::html_safe_json;
pub use job::{AlterJobKind, AlterJobRecord, AlterJobState, IndexChangeJobRecord};
pub use parse::Record;
pub use partition::{
    AddPartitionRecord, DropPartitionRecord, ModifyPartitionInfo, ModifyPartitionsRecord,
    ReplacePartitionsRecord,
};
pub use partition_key::{BoundType, KeyLiteral, ListPartitionItem, PartitionKeyValue, RangeBound};
pub use property::{AlterDatabasePropertyRecord, ModifyTablePropertyRecord};
pub use recover::RecoverInfoRecord;
pub use rename::{RenameColumnRecord, RenameRecord};
pub use replace::ReplaceTableRecord;
pub use rollup::DropRollupRecord;
pub use table::{CreateTableRecord, DropTableRecord, TruncateTableRecord};
pub use upsert::{PartitionRecord, TableRecord, UpsertRecord};
pub use view::ModifyViewDefRecord;
