//! getSnapshot, restoreSnapshot.

use std::collections::BTreeMap;

use super::{TNetworkAddress, TStatus};

thrift_enum! {
    TSnapshotType {
        REMOTE = 0,
        LOCAL = 1,
    }
}

thrift_structs! {
    TGetSnapshotRequest {
        1 opt cluster: String,
        2 opt user: String,
        3 opt passwd: String,
        4 opt db: String,
        5 opt table: String,
        6 opt token: String,
        7 opt label_name: String,
        8 opt snapshot_name: String,
        9 opt snapshot_type: TSnapshotType,
        10 opt enable_compress: bool,
    }

    TGetSnapshotResult {
        1 opt status: TStatus,
        2 opt meta: Vec<u8>,
        3 opt job_info: Vec<u8>,
        4 opt master_address: TNetworkAddress,
        5 opt compressed: bool,
        /// Milliseconds since the epoch.
        6 opt expired_at: i64,
        7 opt commit_seq: i64,
    }

    /// Id 2 does not exist.
    TTableRef {
        1 opt table: String,
        3 opt alias_name: String,
    }

    TRestoreSnapshotRequest {
        1 opt cluster: String,
        2 opt user: String,
        3 opt passwd: String,
        4 opt db: String,
        5 opt table: String,
        6 opt token: String,
        7 opt label_name: String,
        8 opt repo_name: String,
        9 opt table_refs: Vec<TTableRef>,
        10 opt properties: BTreeMap<String, String>,
        11 opt meta: Vec<u8>,
        12 opt job_info: Vec<u8>,
        13 opt clean_tables: bool,
        14 opt clean_partitions: bool,
        15 opt atomic_restore: bool,
        16 opt compressed: bool,
        17 opt force_replace: bool,
    }

    TRestoreSnapshotResult {
        1 opt status: TStatus,
        2 opt master_address: TNetworkAddress,
    }
}
