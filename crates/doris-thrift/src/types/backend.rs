//! ingest_binlog and query_ingest_binlog of the BackendService.

use super::{TStatus, TUniqueId};

thrift_enum! {
    TIngestBinlogStatus {
        ANALYSIS_ERROR = 0,
        UNKNOWN = 1,
        NOT_FOUND = 2,
        OK = 3,
        FAILED = 4,
        DOING = 5,
    }
}

thrift_structs! {
    TIngestBinlogRequest {
        /// Downstream transaction or sub-transaction.
        1 opt txn_id: i64,
        /// Upstream tablet.
        2 opt remote_tablet_id: i64,
        /// Upstream partition version to fetch.
        3 opt binlog_version: i64,
        4 opt remote_host: String,
        /// HTTP port of the upstream BE, as text.
        5 opt remote_port: String,
        /// Downstream partition.
        6 opt partition_id: i64,
        /// Downstream tablet on the called BE.
        7 opt local_tablet_id: i64,
        8 opt load_id: TUniqueId,
    }

    TIngestBinlogResult {
        1 opt status: TStatus,
        /// Set only when the local transaction was prepared.
        2 opt is_async: bool,
    }

    TQueryIngestBinlogRequest {
        1 opt txn_id: i64,
        2 opt partition_id: i64,
        3 opt tablet_id: i64,
        4 opt load_id: TUniqueId,
    }

    TQueryIngestBinlogResult {
        1 opt status: TIngestBinlogStatus,
        2 opt err_msg: String,
    }
}
