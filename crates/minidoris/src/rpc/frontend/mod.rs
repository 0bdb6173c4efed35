//! The FrontendService of one frontend.
//!
//! Each method is a plain function over the cluster that returns its result or a [`Refusal`]; the
//! [`FrontendHandler`] wraps it with what all calls share: counters, staged faults, the master check and
//! the mapping from refusals to statuses. Status codes and texts are those of Doris, oddities included.
//!
//! Who may call: five methods look the account up by the `user_ip` that the request names and the others
//! by the peer's address. A request that names none reaches only accounts of any host, and the error text
//! calls its address `null`.

mod auth;
mod binlog;
mod meta;
mod reply;
mod snapshot;
#[cfg(test)]
mod tests;
mod txn;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use doris_thrift::{
    FrontendHandler, HandlerError, Struct, TBeginTxnRequest, TBeginTxnResult, TCommitTxnRequest,
    TCommitTxnResult, TGetBackendMetaRequest, TGetBackendMetaResult, TGetBinlogLagResult, TGetBinlogRequest,
    TGetBinlogResult, TGetMasterTokenRequest, TGetMasterTokenResult, TGetMetaRequest, TGetMetaResult,
    TGetSnapshotRequest, TGetSnapshotResult, TGetTabletReplicaInfosRequest, TGetTabletReplicaInfosResult,
    TLockBinlogRequest, TLockBinlogResult, TNetworkAddress, TRestoreSnapshotRequest, TRestoreSnapshotResult,
    TRollbackTxnRequest, TRollbackTxnResult, TStatus, TStatusCode,
};

use self::reply::Reply;
use crate::cluster::ClusterInner;
use crate::error::SqlError;
use crate::fault::{FaultAction, NodeId};
use crate::model::Database;
use crate::state::FeState;
use crate::txn::TxnError;

/// Serves the calls that arrive at one frontend.
#[derive(Debug, Clone)]
pub struct FrontendRpc {
    pub cluster: Arc<ClusterInner>,
    /// Position of the frontend.
    pub fe: usize,
}

/// Why a call is not answered with its result.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Refusal {
    code: TStatusCode,
    text: String,
}

/// Whether a method must reach the master.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    Master,
    AnyFrontend,
}

impl Refusal {
    fn new(code: TStatusCode, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }

    /// A mistake of the caller.
    fn user(text: impl AsRef<str>) -> Self {
        Self::new(TStatusCode::ANALYSIS_ERROR, format!("errCode = 2, detailMessage = {}", text.as_ref()))
    }

    /// A database or table that does not exist.
    fn meta_not_found(text: impl AsRef<str>) -> Self {
        Self::new(TStatusCode::ANALYSIS_ERROR, format!("errCode = 7, detailMessage = {}", text.as_ref()))
    }

    fn internal(text: impl Into<String>) -> Self {
        Self::new(TStatusCode::INTERNAL_ERROR, text)
    }
}

impl From<TxnError> for Refusal {
    fn from(error: TxnError) -> Self {
        match error {
            TxnError::LabelUsed { .. } => Self::new(TStatusCode::LABEL_ALREADY_EXISTS, error.to_string()),
            TxnError::MetaNotFound(_) | TxnError::User(_) => {
                Self::new(TStatusCode::ANALYSIS_ERROR, error.to_string())
            }
        }
    }
}

impl From<SqlError> for Refusal {
    fn from(error: SqlError) -> Self {
        Self::new(TStatusCode::ANALYSIS_ERROR, error.to_string())
    }
}

/// The value of a field that the frontend insists on.
fn required<T>(field: Option<T>, name: &str) -> Result<T, Refusal> {
    field.ok_or_else(|| Refusal::user(format!("{name} is not set")))
}

/// The database as everyone but beginTxn misses it.
fn database_named<'a>(state: &'a FeState, name: &str) -> Result<&'a Database, Refusal> {
    state.database_named(name).ok_or_else(|| Refusal::user(format!("unknown database, database={name}")))
}

fn is_set(text: Option<&String>) -> bool {
    text.is_some_and(|text| !text.is_empty())
}

impl FrontendRpc {
    pub fn new(cluster: Arc<ClusterInner>, fe: usize) -> Self {
        Self { cluster, fe }
    }

    /// What all methods share around their work.
    async fn serve<R, Fut>(
        &self,
        call: &'static str,
        needs: Needs,
        detail: impl FnOnce() -> String,
        work: impl FnOnce() -> Fut,
    ) -> Result<R, HandlerError>
    where
        R: Reply + Struct,
        Fut: Future<Output = Result<R, Refusal>>,
    {
        let node = NodeId::Fe(self.fe);
        self.cluster.counters.count(node, call);
        let action = self.cluster.faults.before(node, call, detail).await;
        match &action {
            FaultAction::Proceed
            | FaultAction::CutAfter
            | FaultAction::CutMidReply
            | FaultAction::Empty
            | FaultAction::MissingFile
            | FaultAction::Cancel(_)
            | FaultAction::Truncate => {}
            FaultAction::CutBefore | FaultAction::Refuse => return Err(HandlerError::Cut),
            FaultAction::Status { code, text } => {
                return Ok(R::from_status(TStatus::new(TStatusCode(*code), text.clone())));
            }
            FaultAction::NotMaster => return Ok(self.not_master()),
        }
        let mut result = if needs == Needs::Master && !self.cluster.is_master(self.fe) {
            self.not_master()
        } else {
            let answer = work().await;
            let answer = self.cluster.save().map_err(Refusal::internal).and(answer);
            answer.unwrap_or_else(|refusal| R::from_status(TStatus::new(refusal.code, refusal.text)))
        };
        match action {
            FaultAction::CutAfter => Err(HandlerError::Cut),
            FaultAction::CutMidReply | FaultAction::Truncate => Err(HandlerError::cut_mid_reply(&result)),
            FaultAction::Empty => {
                result.empty();
                Ok(result)
            }
            FaultAction::Proceed
            | FaultAction::MissingFile
            | FaultAction::Cancel(_)
            | FaultAction::CutBefore
            | FaultAction::Refuse
            | FaultAction::Status { .. }
            | FaultAction::NotMaster => Ok(result),
        }
    }

    fn not_master<R: Reply>(&self) -> R {
        let mut result = R::from_status(TStatus::new(TStatusCode::NOT_MASTER, "FE is not master"));
        let tells = R::TELLS_MASTER || self.cluster.fe.lock().release.is_old();
        if let Some(master) = self.cluster.master().filter(|_| tells) {
            result.tell_master(TNetworkAddress::new(master.host, master.rpc_port));
        }
        result
    }
}

impl FrontendHandler for FrontendRpc {
    async fn begin_txn(
        &self,
        peer: SocketAddr,
        req: TBeginTxnRequest,
    ) -> Result<TBeginTxnResult, HandlerError> {
        let detail = || {
            format!("{} {} {:?}", shown(&req.db), shown(&req.label), req.table_ids.as_deref().unwrap_or(&[]))
        };
        self.serve("beginTxn", Needs::Master, detail, async || txn::begin(&self.cluster, peer, &req)).await
    }

    async fn commit_txn(
        &self,
        _peer: SocketAddr,
        req: TCommitTxnRequest,
    ) -> Result<TCommitTxnResult, HandlerError> {
        let detail = || format!("{} {}", shown(&req.db), req.txn_id.unwrap_or_default());
        self.serve("commitTxn", Needs::Master, detail, || txn::commit(&self.cluster, &req)).await
    }

    async fn rollback_txn(
        &self,
        _peer: SocketAddr,
        req: TRollbackTxnRequest,
    ) -> Result<TRollbackTxnResult, HandlerError> {
        let detail = || format!("{} {}", shown(&req.db), req.txn_id.unwrap_or_default());
        self.serve("rollbackTxn", Needs::Master, detail, || txn::rollback(&self.cluster, &req)).await
    }

    async fn get_binlog(
        &self,
        _peer: SocketAddr,
        req: TGetBinlogRequest,
    ) -> Result<TGetBinlogResult, HandlerError> {
        let needs = match req.allow_follower_read {
            Some(true) => Needs::AnyFrontend,
            Some(false) | None => Needs::Master,
        };
        self.serve("getBinlog", needs, || scope_detail(&req), || binlog::get(&self.cluster, self.fe, &req))
            .await
    }

    async fn get_binlog_lag(
        &self,
        _peer: SocketAddr,
        req: TGetBinlogRequest,
    ) -> Result<TGetBinlogLagResult, HandlerError> {
        let work = async || binlog::lag(&self.cluster, &req);
        self.serve("getBinlogLag", Needs::Master, || scope_detail(&req), work).await
    }

    async fn lock_binlog(
        &self,
        peer: SocketAddr,
        req: TLockBinlogRequest,
    ) -> Result<TLockBinlogResult, HandlerError> {
        if self.cluster.fe.lock().release.is_old() {
            return Err(HandlerError::unknown_method("lockBinlog"));
        }
        let detail = || format!("{} {} {}", shown(&req.db), shown(&req.table), shown(&req.job_unique_id));
        self.serve("lockBinlog", Needs::Master, detail, async || binlog::lock(&self.cluster, peer, &req))
            .await
    }

    async fn get_snapshot(
        &self,
        peer: SocketAddr,
        req: TGetSnapshotRequest,
    ) -> Result<TGetSnapshotResult, HandlerError> {
        let detail = || format!("{} {}", shown(&req.db), shown(&req.label_name));
        self.serve("getSnapshot", Needs::Master, detail, async || snapshot::get(&self.cluster, peer, &req))
            .await
    }

    async fn restore_snapshot(
        &self,
        peer: SocketAddr,
        req: TRestoreSnapshotRequest,
    ) -> Result<TRestoreSnapshotResult, HandlerError> {
        let detail = || format!("{} {}", shown(&req.db), shown(&req.label_name));
        let work = || snapshot::restore(&self.cluster, peer, &req);
        self.serve("restoreSnapshot", Needs::Master, detail, work).await
    }

    async fn get_master_token(
        &self,
        peer: SocketAddr,
        req: TGetMasterTokenRequest,
    ) -> Result<TGetMasterTokenResult, HandlerError> {
        let work = async || meta::master_token(&self.cluster, peer, &req);
        self.serve("getMasterToken", Needs::Master, String::new, work).await
    }

    async fn get_meta(&self, peer: SocketAddr, req: TGetMetaRequest) -> Result<TGetMetaResult, HandlerError> {
        let detail = || format!("{:?}", req.db);
        self.serve("getMeta", Needs::Master, detail, async || meta::get(&self.cluster, self.fe, peer, &req))
            .await
    }

    async fn get_backend_meta(
        &self,
        peer: SocketAddr,
        req: TGetBackendMetaRequest,
    ) -> Result<TGetBackendMetaResult, HandlerError> {
        let work = async || meta::backends(&self.cluster, peer, &req);
        self.serve("getBackendMeta", Needs::AnyFrontend, String::new, work).await
    }

    async fn get_tablet_replica_infos(
        &self,
        _peer: SocketAddr,
        req: TGetTabletReplicaInfosRequest,
    ) -> Result<TGetTabletReplicaInfosResult, HandlerError> {
        let detail = || format!("{:?}", req.tablet_ids);
        let work = async || Ok(meta::replicas(&self.cluster, &req));
        self.serve("getTabletReplicaInfos", Needs::AnyFrontend, detail, work).await
    }
}

fn shown(text: &Option<String>) -> &str {
    text.as_deref().unwrap_or_default()
}

fn scope_detail(req: &TGetBinlogRequest) -> String {
    format!(
        "{} {} {} {}",
        shown(&req.db),
        shown(&req.table),
        req.table_id.unwrap_or_default(),
        req.prev_commit_seq.unwrap_or_default()
    )
}
