//! What all results have in common: a status, and for one of them the master's address.

use doris_thrift::{
    TBeginTxnResult, TCommitTxnResult, TGetBackendMetaResult, TGetBinlogLagResult, TGetBinlogResult,
    TGetMasterTokenResult, TGetMetaResult, TGetSnapshotResult, TGetTabletReplicaInfosResult,
    TLockBinlogResult, TNetworkAddress, TRestoreSnapshotResult, TRollbackTxnResult, TStatus, TStatusCode,
};

pub(super) trait Reply: Default {
    /// A result that holds nothing but a status.
    fn from_status(status: TStatus) -> Self;

    /// Whether releases after 2.1 still name the master in an answer of a follower. Only getBinlog does so.
    const TELLS_MASTER: bool = false;

    /// Names the master in an answer of a follower.
    fn tell_master(&mut self, address: TNetworkAddress);

    /// Forgets the tables in an answer of a frontend whose catalogue is behind. Only getMeta tells any.
    fn empty(&mut self) {}
}

macro_rules! optional_status {
    ($($result:ident)*) => {
        $(impl Reply for $result {
            fn from_status(status: TStatus) -> Self {
                Self { status: Some(status), ..Self::default() }
            }

            fn tell_master(&mut self, address: TNetworkAddress) {
                self.master_address = Some(address);
            }
        })*
    };
}

optional_status! {
    TCommitTxnResult TRollbackTxnResult TGetBinlogLagResult TLockBinlogResult TGetSnapshotResult
    TRestoreSnapshotResult TGetMasterTokenResult
}

impl Reply for TGetTabletReplicaInfosResult {
    fn from_status(status: TStatus) -> Self {
        Self { status: Some(status), ..Self::default() }
    }

    /// Any frontend answers.
    fn tell_master(&mut self, _address: TNetworkAddress) {}
}

impl Reply for TGetBinlogResult {
    const TELLS_MASTER: bool = true;

    fn from_status(status: TStatus) -> Self {
        Self { status: Some(status), ..Self::default() }
    }

    fn tell_master(&mut self, address: TNetworkAddress) {
        self.master_address = Some(address);
    }
}

impl Reply for TBeginTxnResult {
    fn from_status(status: TStatus) -> Self {
        let text = status.text();
        // The owner of the label decides what the job's status is called.
        let job_status = (status.status_code == TStatusCode::LABEL_ALREADY_EXISTS).then(|| {
            let name = match text {
                text if text.contains("status [PREPARE]") => "RUNNING",
                text if text.contains("status [PRECOMMITTED]") => "PRECOMMITTED",
                _ => "FINISHED",
            };
            name.to_owned()
        });
        Self { status: Some(status), job_status, ..Self::default() }
    }

    fn tell_master(&mut self, address: TNetworkAddress) {
        self.master_address = Some(address);
    }
}

impl Reply for TGetMetaResult {
    fn from_status(status: TStatus) -> Self {
        Self { status, ..Self::default() }
    }

    fn tell_master(&mut self, address: TNetworkAddress) {
        self.master_address = Some(address);
    }

    fn empty(&mut self) {
        if let Some(db) = &mut self.db_meta {
            db.tables = Some(Vec::new());
        }
    }
}

impl Reply for TGetBackendMetaResult {
    fn from_status(status: TStatus) -> Self {
        Self { status, ..Self::default() }
    }

    fn tell_master(&mut self, address: TNetworkAddress) {
        self.master_address = Some(address);
    }
}
