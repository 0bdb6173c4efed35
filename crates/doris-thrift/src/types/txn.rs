//! beginTxn, commitTxn, rollbackTxn.

use super::{TNetworkAddress, TStatus, TUniqueId};

thrift_enum! {
    TSubTxnType {
        INSERT = 0,
        DELETE = 1,
    }
}

thrift_enum! {
    /// Kind of load behind a commit attachment. Only routine loads send one.
    TLoadType {}
}

thrift_structs! {
    /// One replica written by a transaction.
    TTabletCommitInfo {
        1 req tablet_id: i64,
        2 req backend_id: i64,
        3 opt invalid_dict_cols: Vec<String>,
    }

    TSubTxnInfo {
        1 opt sub_txn_id: i64,
        2 opt table_id: i64,
        3 opt tablet_commit_infos: Vec<TTabletCommitInfo>,
        4 opt sub_txn_type: TSubTxnType,
    }

    /// The routine load part (field 2) is passed over.
    TTxnCommitAttachment {
        1 req load_type: TLoadType,
    }

    TBeginTxnRequest {
        1 opt cluster: String,
        2 opt user: String,
        3 opt passwd: String,
        4 opt db: String,
        5 opt table_ids: Vec<i64>,
        6 opt user_ip: String,
        7 opt label: String,
        /// Deprecated.
        8 opt auth_code: i64,
        /// Seconds.
        9 opt timeout: i64,
        10 opt request_id: TUniqueId,
        11 opt token: String,
        12 opt backend_id: i64,
        13 opt sub_txn_num: i64,
    }

    TBeginTxnResult {
        1 opt status: TStatus,
        2 opt txn_id: i64,
        /// With LABEL_ALREADY_EXISTS: RUNNING, PRECOMMITTED or FINISHED.
        3 opt job_status: String,
        4 opt db_id: i64,
        5 opt master_address: TNetworkAddress,
        6 opt sub_txn_ids: Vec<i64>,
    }

    TCommitTxnRequest {
        1 opt cluster: String,
        2 opt user: String,
        3 opt passwd: String,
        4 opt db: String,
        5 opt user_ip: String,
        6 opt txn_id: i64,
        7 opt commit_infos: Vec<TTabletCommitInfo>,
        8 opt auth_code: i64,
        9 opt txn_commit_attachment: TTxnCommitAttachment,
        /// The FE waits for the publish for half of it.
        10 opt thrift_rpc_timeout_ms: i64,
        11 opt token: String,
        12 opt db_id: i64,
        13 opt txn_insert: bool,
        14 opt sub_txn_infos: Vec<TSubTxnInfo>,
        15 opt only_commit: bool,
    }

    TCommitTxnResult {
        1 opt status: TStatus,
        2 opt master_address: TNetworkAddress,
    }

    TRollbackTxnRequest {
        1 opt cluster: String,
        2 opt user: String,
        3 opt passwd: String,
        4 opt db: String,
        5 opt user_ip: String,
        6 opt txn_id: i64,
        7 opt reason: String,
        9 opt auth_code: i64,
        10 opt txn_commit_attachment: TTxnCommitAttachment,
        11 opt token: String,
        12 opt db_id: i64,
    }

    TRollbackTxnResult {
        1 opt status: TStatus,
        2 opt master_address: TNetworkAddress,
    }
}

impl TTabletCommitInfo {
    pub fn new(tablet_id: i64, backend_id: i64) -> Self {
        Self { tablet_id, backend_id, invalid_dict_cols: None }
    }
}
