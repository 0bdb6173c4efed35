//! Calls to backends.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use doris_client::ClientOptions;
use doris_thrift::*;
use doris_types::call::{IngestRequest, IngestState};
use doris_types::failure::Cause;
use doris_types::meta::Backend;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::support::*;

fn backend(fe: &Fe) -> Backend {
    Backend { id: 1, host: "127.0.0.1".into(), be_port: fe.rpc_port, http_port: 1, alive: true }
}

fn request() -> IngestRequest {
    IngestRequest {
        txn_id: 1,
        partition_id: 2,
        tablet_id: 3,
        load_id: (4, 5),
        source_tablet_id: 6,
        source_version: 7,
        source: Backend { host: "src-be".into(), http_port: 8040, ..Default::default() },
    }
}

#[tokio::test]
async fn ingest() {
    let be = Fe::backend(Role::Master).await;
    let cluster = cluster(&[]);
    assert_eq!(cluster.ingest(&backend(&be), &request()).await.unwrap(), IngestState::Done);
    let sent = be.script.ingest.lock().0.clone();
    let expected = TIngestBinlogRequest {
        txn_id: Some(1),
        remote_tablet_id: Some(6),
        binlog_version: Some(7),
        remote_host: Some("src-be".into()),
        remote_port: Some("8040".into()),
        partition_id: Some(2),
        local_tablet_id: Some(3),
        load_id: Some(TUniqueId::new(4, 5)),
    };
    assert_eq!(sent, expected);
    be.script.ingest.lock().1.is_async = Some(true);
    assert_eq!(cluster.ingest(&backend(&be), &request()).await.unwrap(), IngestState::Doing);
    be.set_role(Role::Status(TStatusCode::TABLET_MISSING, "tablet 3 not found"));
    let failure = cluster.ingest(&backend(&be), &request()).await.unwrap_err();
    assert_eq!((failure.operation.as_str(), failure.status_code()), ("ingest_binlog", Some(72)));
    assert_eq!(failure.peer, format!("127.0.0.1:{}", be.rpc_port));
    be.set_role(Role::Cut);
    let failure = cluster.ingest(&backend(&be), &request()).await.unwrap_err();
    assert!(matches!(failure.cause, Cause::Lost { .. }), "{failure}");
}

#[tokio::test]
async fn query_ingest() {
    let be = Fe::backend(Role::Master).await;
    let cluster = cluster(&[]);
    let failed = |message: &str| IngestState::Failed { message: message.into() };
    for (status, state) in [
        (TIngestBinlogStatus::OK, IngestState::Done),
        (TIngestBinlogStatus::DOING, IngestState::Doing),
        (TIngestBinlogStatus::NOT_FOUND, IngestState::NotFound),
        (TIngestBinlogStatus::FAILED, failed("why")),
        (TIngestBinlogStatus::ANALYSIS_ERROR, failed("ANALYSIS_ERROR: why")),
        (TIngestBinlogStatus(77), failed("77: why")),
    ] {
        *be.script.query_ingest.lock() =
            TQueryIngestBinlogResult { status: Some(status), err_msg: Some("why".into()) };
        assert_eq!(cluster.query_ingest(&backend(&be), &request()).await.unwrap(), state);
    }
    be.set_role(Role::Old);
    let failure = cluster.query_ingest(&backend(&be), &request()).await.unwrap_err();
    assert_eq!(failure.cause, Cause::UnknownMethod);
}

#[tokio::test]
async fn ingests_per_backend_are_limited_across_clusters() {
    let be = Fe::backend(Role::Master).await;
    let gate = Arc::new(Notify::new());
    *be.script.gate.lock() = Some(Arc::clone(&gate));
    let limited = ClientOptions { ingests_per_backend: 3, ..options() };
    let (clients, first) = cluster_with(limited, &[]);
    let clusters = [Arc::new(first), Arc::new(clients.cluster(config(&[])))];
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..12 {
        let (cluster, backend) = (Arc::clone(&clusters[n % 2]), backend(&be));
        tasks.spawn(async move { cluster.ingest(&backend, &request()).await.unwrap() });
    }
    let all = async {
        while !tasks.is_empty() {
            gate.notify_one();
            if let Some(done) = tasks.try_join_next() {
                assert_eq!(done.unwrap(), IngestState::Done);
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, all).await.unwrap();
    let most = be.script.most_inside.load(Ordering::SeqCst);
    assert!((1..=3).contains(&most), "{most}");
    assert_eq!(be.calls().len(), 12);
}

/// Answers one HTTP request and gives what was asked.
async fn http(status: &str, body: &str) -> (u16, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let answer =
        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(request).unwrap().lines().next().unwrap().to_owned()
    });
    (port, task)
}

#[tokio::test]
async fn backend_settings() {
    let cluster = cluster(&[]);
    let backend = |http_port| Backend { host: "127.0.0.1".into(), http_port, ..Default::default() };
    let (port, asked) = http("200 OK", r#"[["enable_feature_binlog","bool","true","false"]]"#).await;
    let value = cluster.backend_config(&backend(port), "enable_feature_binlog").await.unwrap();
    assert_eq!(value.as_deref(), Some("true"));
    assert_eq!(asked.await.unwrap(), "GET /api/show_config?conf_item=enable_feature_binlog HTTP/1.1");
    let (port, _) = http("200 OK", "[]").await;
    assert_eq!(cluster.backend_config(&backend(port), "x").await.unwrap(), None);
    let (port, _) = http("200 OK", "{}").await;
    let failure = cluster.backend_config(&backend(port), "x").await.unwrap_err();
    assert!(matches!(failure.cause, Cause::Malformed { .. }), "{failure}");
    let (port, _) = http("401 Unauthorized", "no").await;
    let failure = cluster.backend_config(&backend(port), "x").await.unwrap_err();
    assert_eq!(failure.cause, Cause::Http { status: 401, body: "no".into() });
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let failure = cluster.backend_config(&backend(free), "x").await.unwrap_err();
    assert!(matches!(failure.cause, Cause::Connect { .. }), "{failure}");
}
