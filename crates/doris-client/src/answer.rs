//! What all thrift answers of a frontend have in common.

use doris_thrift::*;

pub(crate) trait Answer {
    /// Whether an answer other than NOT_MASTER proves that the peer is the master.
    const PROVES_MASTER: bool;

    fn status(&self) -> Option<&TStatus>;

    /// Filled by some versions together with NOT_MASTER.
    fn master_address(&self) -> Option<&TNetworkAddress>;
}

macro_rules! answers {
    ($($result:ty),* $(,)?) => {$(
        impl Answer for $result {
            const PROVES_MASTER: bool = true;

            fn status(&self) -> Option<&TStatus> {
                self.status.as_ref()
            }

            fn master_address(&self) -> Option<&TNetworkAddress> {
                self.master_address.as_ref()
            }
        }
    )*};
}

answers!(
    TBeginTxnResult,
    TCommitTxnResult,
    TRollbackTxnResult,
    TGetBinlogResult,
    TGetBinlogLagResult,
    TLockBinlogResult,
    TGetSnapshotResult,
    TRestoreSnapshotResult,
    TGetMasterTokenResult,
);

macro_rules! answers_with_required_status {
    ($($result:ty => $proves:literal),* $(,)?) => {$(
        impl Answer for $result {
            const PROVES_MASTER: bool = $proves;

            fn status(&self) -> Option<&TStatus> {
                Some(&self.status)
            }

            fn master_address(&self) -> Option<&TNetworkAddress> {
                self.master_address.as_ref()
            }
        }
    )*};
}

// Every frontend answers getBackendMeta.
answers_with_required_status!(TGetMetaResult => true, TGetBackendMetaResult => false);
