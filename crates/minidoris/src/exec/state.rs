//! What DDL keeps beside the catalogue: the recycle bin, schema change jobs.

use std::collections::BTreeMap;

use doris_types::record::IndexChangeJobRecord;
use serde::{Deserialize, Serialize};

use super::dynamic::DynamicState;
use super::function::Function;
use super::job::SchemaJob;
use super::recycle_bin::Recycled;
use super::resource::Resource;

/// The part of the frontend's state that belongs to DDL.
#[derive(Debug, Default)]
pub struct DdlState {
    /// Oldest first; several dropped objects of one name may wait here, told apart by their ids.
    pub recycle_bin: Vec<Recycled>,
    /// Finished and running jobs of SHOW ALTER TABLE COLUMN and ROLLUP, oldest first.
    pub alter_jobs: Vec<AlterJob>,
    /// Jobs that have not ended.
    pub running_jobs: Vec<SchemaJob>,
    /// Finished and running jobs of SHOW BUILD INDEX, oldest first.
    pub build_index_jobs: Vec<BuildIndexJob>,
    pub dynamic: DynamicState,
    /// By name.
    pub resources: BTreeMap<String, Resource>,
    pub storage_policies: BTreeMap<String, Resource>,
    /// In the order of their creation.
    pub functions: Vec<Function>,
    /// Refreshes of asynchronous materialised views, oldest first.
    pub view_tasks: Vec<crate::mv::Task>,
}

impl AlterJob {
    /// A light schema change, which keeps the index that it changes.
    pub fn is_light(&self) -> bool {
        !self.is_rollup && self.index_id == self.origin_index_id
    }
}

/// A row of SHOW ALTER TABLE COLUMN or ROLLUP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlterJob {
    pub id: i64,
    pub is_rollup: bool,
    pub db_id: i64,
    pub table_id: i64,
    pub table_name: String,
    /// The changed index, or the base index of a rollup.
    pub index_name: String,
    pub index_id: i64,
    pub origin_index_id: i64,
    /// The rollup's name; empty for a schema change.
    pub rollup_name: String,
    /// `version:hash`.
    pub schema_version: String,
    pub txn_id: i64,
    /// `PENDING`, `WAITING_TXN`, `RUNNING`, `FINISHED`, `CANCELLED`.
    pub state: String,
    pub message: String,
    /// Milliseconds since the epoch; the finish time is 0 while the job runs.
    pub create_time: i64,
    pub finish_time: i64,
}

/// An index built or dropped in one partition, a row of SHOW BUILD INDEX.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildIndexJob {
    /// With the state in which it was last logged.
    pub record: IndexChangeJobRecord,
    /// The index with ADD or DROP before it.
    pub operation: String,
}
