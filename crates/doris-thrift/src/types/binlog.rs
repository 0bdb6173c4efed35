//! getBinlog, getBinlogLag, lockBinlog.

use super::{TNetworkAddress, TStatus};

thrift_enum! {
    /// 28 to 116 are placeholders of the IDL; they and everything else unlisted are unknown types.
    TBinlogType {
        UPSERT = 0,
        ADD_PARTITION = 1,
        CREATE_TABLE = 2,
        DROP_PARTITION = 3,
        DROP_TABLE = 4,
        ALTER_JOB = 5,
        MODIFY_TABLE_ADD_OR_DROP_COLUMNS = 6,
        DUMMY = 7,
        ALTER_DATABASE_PROPERTY = 8,
        MODIFY_TABLE_PROPERTY = 9,
        BARRIER = 10,
        MODIFY_PARTITIONS = 11,
        REPLACE_PARTITIONS = 12,
        TRUNCATE_TABLE = 13,
        RENAME_TABLE = 14,
        RENAME_COLUMN = 15,
        MODIFY_COMMENT = 16,
        MODIFY_VIEW_DEF = 17,
        REPLACE_TABLE = 18,
        MODIFY_TABLE_ADD_OR_DROP_INVERTED_INDICES = 19,
        INDEX_CHANGE_JOB = 20,
        RENAME_ROLLUP = 21,
        RENAME_PARTITION = 22,
        DROP_ROLLUP = 23,
        RECOVER_INFO = 24,
        MODIFY_DISTRIBUTION_BUCKET_NUM = 25,
        MODIFY_DISTRIBUTION_TYPE = 26,
        MIN_UNKNOWN = 27,
    }
}

thrift_structs! {
    TBinlog {
        1 opt commit_seq: i64,
        /// Milliseconds since the epoch.
        2 opt timestamp: i64,
        3 opt binlog_type: TBinlogType,
        4 opt db_id: i64,
        5 opt table_ids: Vec<i64>,
        /// JSON; unset on DUMMY.
        6 opt data: String,
        /// On DUMMY only: -1 for the database's list, else the table id.
        7 opt belong: i64,
        8 opt table_ref: i64,
        9 opt remove_enable_cache: bool,
    }

    /// Argument of getBinlog and of getBinlogLag.
    TGetBinlogRequest {
        1 opt cluster: String,
        2 opt user: String,
        3 opt passwd: String,
        4 opt db: String,
        5 opt table: String,
        6 opt table_id: i64,
        7 opt user_ip: String,
        8 opt token: String,
        9 opt prev_commit_seq: i64,
        /// Clamped by the FE to 1..=255.
        10 opt num_acquired: i64,
        11 opt allow_follower_read: bool,
    }

    TGetBinlogResult {
        1 opt status: TStatus,
        2 opt next_commit_seq: i64,
        3 opt binlogs: Vec<TBinlog>,
        4 opt fe_version: String,
        5 opt fe_meta_version: i64,
        6 opt master_address: TNetworkAddress,
    }

    /// Fields 4 to 9 are unset by FEs before 2.1.7 and 3.0.3.
    TGetBinlogLagResult {
        1 opt status: TStatus,
        2 opt lag: i64,
        3 opt master_address: TNetworkAddress,
        4 opt first_commit_seq: i64,
        5 opt last_commit_seq: i64,
        6 opt first_binlog_timestamp: i64,
        7 opt last_binlog_timestamp: i64,
        8 opt next_commit_seq: i64,
        9 opt next_binlog_timestamp: i64,
    }

    TLockBinlogRequest {
        1 opt cluster: String,
        2 opt user: String,
        3 opt passwd: String,
        4 opt db: String,
        5 opt table: String,
        6 opt table_id: i64,
        7 opt token: String,
        8 opt job_unique_id: String,
        9 opt lock_commit_seq: i64,
    }

    TLockBinlogResult {
        1 opt status: TStatus,
        2 opt locked_commit_seq: i64,
        3 opt master_address: TNetworkAddress,
    }
}
