//! What the engine does to the clusters, one file per thing done.
//!
//! Every effect can be cut at any point and run again: a transaction finds itself by its label, a backup
//! and a restore by theirs, a statement by what it would have changed. Each file says how.

pub(crate) mod absence;
pub(crate) mod aside;
pub(crate) mod backup;
pub(crate) mod ingest;
pub(crate) mod label;
mod medium;
pub(crate) mod names;
mod partition;
pub(crate) mod patience;
pub(crate) mod peers;
pub(crate) mod restore;
mod rollup;
pub(crate) mod routes;
pub(crate) mod statement;
mod sub_txn;
mod submit;
pub(crate) mod transaction;
pub(crate) mod view;

pub(crate) use absence::look_for;
use doris_types::failure::Failure;

use crate::error::{Error, Origin};

/// What a snapshot covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scope {
    /// All tables and views, but for those of these names.
    Database {
        without: Vec<String>,
    },
    Table {
        source_name: String,
        target_name: String,
    },
    /// One partition of a table that has the same name on both sides. The id is the upstream's.
    Partition {
        table: String,
        partition: String,
        partition_id: i64,
    },
}

pub(crate) fn upstream(failure: Failure) -> Error {
    Error::from_failure(Origin::UpstreamFe, &failure)
}

pub(crate) fn downstream(failure: Failure) -> Error {
    Error::from_failure(Origin::DownstreamFe, &failure)
}
