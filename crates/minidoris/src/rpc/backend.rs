//! The BackendService of one backend: `ingest_binlog` and `query_ingest_binlog`.

use std::net::SocketAddr;
use std::sync::Arc;

use doris_thrift::{
    BackendHandler, HandlerError, Struct, TIngestBinlogRequest, TIngestBinlogResult, TIngestBinlogStatus,
    TQueryIngestBinlogRequest, TQueryIngestBinlogResult, TStatus, TStatusCode,
};

use crate::be::{Backend, BackendError, IngestTask, TxnState};
use crate::cluster::ClusterInner;
use crate::fault::{FaultAction, NodeId};

/// Running local transactions that a backend takes (`max_runnings_transactions_per_txn_map` and shards).
const MAX_RUNNING: usize = 200_000;

/// Serves the calls that arrive at one backend.
#[derive(Debug, Clone)]
pub struct BackendRpc {
    pub cluster: Arc<ClusterInner>,
    pub backend: Arc<Backend>,
}

impl BackendHandler for BackendRpc {
    async fn ingest_binlog(
        &self,
        _peer: SocketAddr,
        request: TIngestBinlogRequest,
    ) -> Result<TIngestBinlogResult, HandlerError> {
        let detail = || format!("{request:?}");
        let action = self.enter("ingest_binlog", detail).await;
        self.answer(
            action,
            async || self.ingest(request).await,
            |status| TIngestBinlogResult { status: Some(status), is_async: None },
        )
        .await
    }

    async fn query_ingest_binlog(
        &self,
        _peer: SocketAddr,
        request: TQueryIngestBinlogRequest,
    ) -> Result<TQueryIngestBinlogResult, HandlerError> {
        let action = self.enter("query_ingest_binlog", || format!("{request:?}")).await;
        self.answer(
            action,
            async || self.query(&request),
            // A staged status is one of this method's own.
            |status| TQueryIngestBinlogResult {
                status: Some(TIngestBinlogStatus(status.status_code.0)),
                err_msg: Some(status.text()).filter(|text| !text.is_empty()),
            },
        )
        .await
    }
}

impl BackendRpc {
    async fn enter(&self, call: &'static str, detail: impl FnOnce() -> String) -> FaultAction {
        let node = NodeId::Be(self.backend.id());
        self.cluster.counters.count(node, call);
        self.cluster.faults.before(node, call, detail).await
    }

    async fn answer<T: Struct>(
        &self,
        action: FaultAction,
        work: impl AsyncFnOnce() -> T,
        refuse: impl FnOnce(TStatus) -> T,
    ) -> Result<T, HandlerError> {
        match action {
            FaultAction::Proceed | FaultAction::Empty | FaultAction::MissingFile | FaultAction::Cancel(_) => {
                Ok(work().await)
            }
            FaultAction::CutBefore | FaultAction::Refuse => Err(HandlerError::Cut),
            FaultAction::CutAfter => {
                work().await;
                Err(HandlerError::Cut)
            }
            FaultAction::CutMidReply | FaultAction::Truncate => {
                Err(HandlerError::cut_mid_reply(&work().await))
            }
            FaultAction::Status { code, text } => Ok(refuse(TStatus::new(TStatusCode(code), text))),
            FaultAction::NotMaster => Ok(refuse(TStatus::new(TStatusCode::NOT_MASTER, "not master"))),
        }
    }

    async fn ingest(&self, request: TIngestBinlogRequest) -> TIngestBinlogResult {
        let refused = |status| TIngestBinlogResult { status: Some(status), is_async: None };
        let task = match self.check(&request) {
            Ok(task) => task,
            Err(status) => return refused(status),
        };
        self.backend.txns().prepare((task.txn_id, task.partition_id, task.local_tablet_id), task.load_id);
        if self.backend.ingests_async() {
            let backend = Arc::clone(&self.backend);
            tokio::spawn(async move { backend.ingest_queued(task).await });
            return TIngestBinlogResult { status: Some(TStatus::ok()), is_async: Some(true) };
        }
        // As in Doris the work goes on when the caller has hung up.
        let backend = Arc::clone(&self.backend);
        let work = tokio::spawn(async move { backend.ingest(&task).await });
        let status = match work.await {
            Ok(Ok(())) => TStatus::ok(),
            Ok(Err(error)) => error.status(self.backend.host()),
            Err(_) => TStatus::new(TStatusCode::INTERNAL_ERROR, "the ingest was stopped"),
        };
        TIngestBinlogResult { status: Some(status), is_async: Some(false) }
    }

    /// The checks in Doris's order.
    fn check(&self, request: &TIngestBinlogRequest) -> Result<IngestTask, TStatus> {
        let host = self.backend.host();
        if !self.backend.config.flag("enable_feature_binlog") {
            return Err(BackendError::Runtime("enable feature binlog is false".to_owned()).status(host));
        }
        let task = IngestTask {
            txn_id: present(host, "txn_id", request.txn_id)?,
            remote_tablet_id: present(host, "remote_tablet_id", request.remote_tablet_id)?,
            binlog_version: present(host, "binlog_version", request.binlog_version)?,
            remote_host: present(host, "remote_host", request.remote_host.clone())?,
            remote_port: present(host, "remote_port", request.remote_port.clone())?,
            partition_id: present(host, "partition_id", request.partition_id)?,
            local_tablet_id: present(host, "local_tablet_id", request.local_tablet_id)?,
            load_id: present(host, "load_id", request.load_id.as_ref()).map(|id| (id.hi, id.lo))?,
        };
        let tablet = self.backend.tablet(task.local_tablet_id).map_err(|error| error.status(host))?;
        if tablet.is_shutdown() {
            return Err(BackendError::Shutdown(task.local_tablet_id).status(host));
        }
        if self.backend.txns().is_full(MAX_RUNNING) {
            let text = format!("too many transactions: {MAX_RUNNING}, limit: {MAX_RUNNING}");
            return Err(BackendError::Internal(text).status(host));
        }
        Ok(task)
    }

    fn query(&self, request: &TQueryIngestBinlogRequest) -> TQueryIngestBinlogResult {
        let answer = |status, err_msg| TQueryIngestBinlogResult { status: Some(status), err_msg };
        let empty =
            |name: &str| answer(TIngestBinlogStatus::ANALYSIS_ERROR, Some(format!("{name} is empty")));
        let Some(txn_id) = request.txn_id else { return empty("txn_id") };
        let Some(partition_id) = request.partition_id else { return empty("partition_id") };
        let Some(tablet_id) = request.tablet_id else { return empty("tablet_id") };
        if request.load_id.is_none() {
            return empty("load_id");
        }
        if !self.backend.has_tablet(tablet_id) {
            let text = format!("tablet {tablet_id} not found");
            return answer(TIngestBinlogStatus::NOT_FOUND, Some(text));
        }
        let status = match self.backend.txns().state((txn_id, partition_id, tablet_id)) {
            None => TIngestBinlogStatus::NOT_FOUND,
            Some(TxnState::Prepared) => TIngestBinlogStatus::DOING,
            Some(TxnState::Committed(_)) => TIngestBinlogStatus::OK,
            Some(TxnState::Aborted) => TIngestBinlogStatus::FAILED,
        };
        answer(status, None)
    }
}

fn present<T>(host: &str, name: &str, value: Option<T>) -> Result<T, TStatus> {
    value.ok_or_else(|| {
        TStatus::new(TStatusCode::ANALYSIS_ERROR, format!("({host})[ANALYSIS_ERROR]{name} is empty"))
    })
}
