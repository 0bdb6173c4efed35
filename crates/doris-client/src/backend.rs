//! Calls to backends. A backend is given as `getBackendMeta` told it, its address already mapped.

use doris_thrift::{TIngestBinlogRequest, TIngestBinlogStatus, TQueryIngestBinlogRequest, TUniqueId};
use doris_types::call::{IngestRequest, IngestState};
use doris_types::failure::{Cause, Failure, Result};
use doris_types::meta::Backend;
use tokio::time::timeout;

use crate::clients::Clients;
use crate::convert::{from_call, from_status, malformed};
use crate::directory::address;

/// Longest part of an HTTP answer that an error quotes.
const MAX_QUOTED: usize = 500;
/// One row of settings is far smaller.
const MAX_CONFIG_ANSWER: usize = 1 << 20;

impl Clients {
    /// Asks a backend to fetch a rowset, as one of a limited number of ingests that run on it.
    pub(crate) async fn ingest(&self, backend: &Backend, request: &IngestRequest) -> Result<IngestState> {
        let peer = thrift_address(backend);
        let places = self.ingest_places(&peer);
        let within = self.options.ingest_queue_timeout;
        let _place = match timeout(within, places.acquire()).await {
            Ok(Ok(place)) => place,
            Ok(Err(_)) | Err(_) => {
                let detail = format!("no ingest place became free within {within:?}");
                return Err(Failure::new("ingest_binlog", peer, Cause::Connect { detail }));
            }
        };
        let request = TIngestBinlogRequest {
            txn_id: Some(request.txn_id),
            remote_tablet_id: Some(request.source_tablet_id),
            binlog_version: Some(request.source_version),
            remote_host: Some(request.source.host.clone()),
            remote_port: Some(request.source.http_port.to_string()),
            partition_id: Some(request.partition_id),
            local_tablet_id: Some(request.tablet_id),
            load_id: Some(TUniqueId::new(request.load_id.0, request.load_id.1)),
        };
        let client = self.thrift.backend(&peer).with_timeout(self.options.ingest_timeout);
        let result = client.ingest_binlog(&request).await.map_err(|error| from_call(&error))?;
        let Some(status) = result.status else {
            return Err(malformed("ingest_binlog", &peer, "the answer has no status"));
        };
        if !status.is_ok() {
            return Err(from_status("ingest_binlog", &peer, &status));
        }
        Ok(if result.is_async == Some(true) { IngestState::Doing } else { IngestState::Done })
    }

    pub(crate) async fn query_ingest(
        &self,
        backend: &Backend,
        request: &IngestRequest,
    ) -> Result<IngestState> {
        let peer = thrift_address(backend);
        let request = TQueryIngestBinlogRequest {
            txn_id: Some(request.txn_id),
            partition_id: Some(request.partition_id),
            tablet_id: Some(request.tablet_id),
            load_id: Some(TUniqueId::new(request.load_id.0, request.load_id.1)),
        };
        let client = self.thrift.backend(&peer);
        let result = client.query_ingest_binlog(&request).await.map_err(|error| from_call(&error))?;
        let message = result.err_msg.unwrap_or_default();
        match result.status {
            Some(TIngestBinlogStatus::OK) => Ok(IngestState::Done),
            Some(TIngestBinlogStatus::DOING) => Ok(IngestState::Doing),
            Some(TIngestBinlogStatus::NOT_FOUND) => Ok(IngestState::NotFound),
            Some(TIngestBinlogStatus::FAILED) => Ok(IngestState::Failed { message }),
            Some(other) => Ok(IngestState::Failed { message: format!("{other}: {message}") }),
            None => Err(malformed("query_ingest_binlog", &peer, "the answer has no status")),
        }
    }

    pub(crate) async fn backend_config(&self, backend: &Backend, key: &str) -> Result<Option<String>> {
        const OPERATION: &str = "GET /api/show_config";
        let peer = address(&backend.host, backend.http_port);
        let failed = |cause| Failure::new(OPERATION, &*peer, cause);
        let url = format!("http://{peer}/api/show_config");
        let sent = self.http.get(url).query(&[("conf_item", key)]).send().await;
        let mut answer = sent.map_err(|error| failed(http_cause(&error)))?;
        let status = answer.status();
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| failed(http_cause(&error)))? {
            if body.len() + chunk.len() > MAX_CONFIG_ANSWER {
                return Err(malformed(OPERATION, &peer, "the answer is too large"));
            }
            body.extend_from_slice(&chunk);
        }
        if !status.is_success() {
            let body = String::from_utf8_lossy(&body).chars().take(MAX_QUOTED).collect();
            return Err(failed(Cause::Http { status: status.as_u16(), body }));
        }
        // Rows of name, type, value, mutable.
        let rows: Vec<Vec<String>> =
            serde_json::from_slice(&body).map_err(|error| malformed(OPERATION, &peer, error.to_string()))?;
        let row = rows.iter().find(|row| row.first().is_some_and(|name| name == key));
        Ok(row.and_then(|row| row.get(2)).cloned())
    }
}

fn thrift_address(backend: &Backend) -> String {
    address(&backend.host, backend.be_port)
}

fn http_cause(error: &reqwest::Error) -> Cause {
    // The causes say more than the error itself, which repeats the URL.
    let mut detail = String::new();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        detail = error.to_string();
        source = error.source();
    }
    if detail.is_empty() {
        detail = error.to_string();
    }
    if error.is_connect() { Cause::Connect { detail } } else { Cause::Lost { detail } }
}
