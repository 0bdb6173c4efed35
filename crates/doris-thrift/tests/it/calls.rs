//! Calls that succeed, and the life of their connections.

use std::sync::Arc;

use doris_thrift::*;
use tokio::time::timeout;

use crate::support::*;

#[tokio::test]
async fn calls_reuse_one_connection() {
    let server = Server::frontend(ServerLimits::default()).await;
    let pool = pool();
    let client = pool.frontend(&server.address);
    for n in 1..=20 {
        let result = client.begin_txn(&begin(&format!("label {n}"))).await.unwrap();
        assert_eq!((result.txn_id, result.job_status), (Some(n), Some(format!("label {n}"))));
        assert_eq!(pool.idle_connections(&server.address), 1);
    }
}

#[tokio::test]
async fn concurrent_calls_get_their_own_answers() {
    let server = Server::frontend(ServerLimits { max_connections: 4, ..Default::default() }).await;
    let pool = ClientPool::new(PoolOptions {
        max_idle_per_peer: 4,
        max_connections_per_peer: 4,
        ..Default::default()
    });
    let client = pool.frontend(&server.address);
    let calls: Vec<_> = (0..200)
        .map(|n| {
            let client = client.clone();
            tokio::spawn(async move {
                let label = format!("label {n}");
                let result = client.begin_txn(&begin(&label)).await.unwrap();
                assert_eq!(result.job_status, Some(label));
            })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
    assert_eq!(server.begun(), 200);
    assert!(pool.idle_connections(&server.address) <= 4);
}

#[tokio::test]
async fn more_connections_than_the_server_admits_wait_for_their_turn() {
    let server = Server::frontend(ServerLimits { max_connections: 1, ..Default::default() }).await;
    let first = pool();
    first.frontend(&server.address).begin_txn(&begin("a")).await.unwrap();
    let second = tokio::spawn({
        let client = pool().frontend(&server.address);
        async move { client.begin_txn(&begin("b")).await.unwrap() }
    });
    // The idle connection of the first pool holds the only place.
    drop(first);
    assert_eq!(timeout(PATIENCE, second).await.unwrap().unwrap().txn_id, Some(2));
}

#[tokio::test]
async fn large_messages_pass_both_ways() {
    let server = Server::frontend(ServerLimits::default()).await;
    let client = pool().frontend(&server.address);
    let size = 24 * 1024 * 1024;
    let request = TGetSnapshotRequest { label_name: Some(size.to_string()), ..Default::default() };
    let meta = client.get_snapshot(&request).await.unwrap().meta.unwrap();
    assert_eq!(meta.len(), size);
    assert_eq!(meta[12_345_678], (12_345_678 % 251) as u8);
    let request = TRestoreSnapshotRequest { meta: Some(meta), ..Default::default() };
    let result = client.restore_snapshot(&request).await.unwrap();
    assert_eq!(result.status.unwrap().text(), size.to_string());
}

#[tokio::test]
async fn backend_service() {
    let server = Server::backend().await;
    let client = pool().backend(&server.address);
    let request = TIngestBinlogRequest { local_tablet_id: Some(3), ..Default::default() };
    let result = client.ingest_binlog(&request).await.unwrap();
    assert_eq!(result.is_async, Some(true));
    assert_eq!(result.status, Some(TStatus::new(TStatusCode::TABLET_MISSING, "Some(3)")));
}

#[tokio::test]
async fn an_idle_connection_closed_by_the_server_is_not_used() {
    let server = Server::frontend(ServerLimits::default()).await;
    let pool = pool();
    let client = pool.frontend(&server.address);
    client.begin_txn(&begin("a")).await.unwrap();
    let address = server.stop().await;
    let server = Server::start(&address, ServerLimits::default(), true).await;
    assert_eq!(pool.idle_connections(&address), 1);
    assert_eq!(client.begin_txn(&begin("b")).await.unwrap().txn_id, Some(1));
    assert_eq!(server.begun(), 1);
    assert_eq!(pool.idle_connections(&address), 1);
}

#[tokio::test]
async fn exceptions_leave_the_connection_usable() {
    let server = Server::frontend(ServerLimits::default()).await;
    let pool = pool();
    let client = pool.frontend(&server.address);
    let error = client.lock_binlog(&TLockBinlogRequest::default()).await.unwrap_err();
    assert!(error.is_unknown_method(), "{error}");
    let error = client.begin_txn(&begin("crash")).await.unwrap_err();
    assert_eq!(
        error,
        CallError::Application {
            peer: server.address.clone(),
            method: "beginTxn",
            kind: 6,
            message: "null pointer".into()
        }
    );
    assert_eq!(pool.idle_connections(&server.address), 1);
    client.begin_txn(&begin("a")).await.unwrap();
    // A backend does not know the methods of a frontend.
    let backend = Server::backend().await;
    let error = pool.frontend(&backend.address).begin_txn(&begin("a")).await.unwrap_err();
    assert!(error.is_unknown_method(), "{error}");
}

#[tokio::test]
async fn one_client_many_tasks_share_the_pool() {
    let server = Server::frontend(ServerLimits::default()).await;
    let pool = Arc::new(pool());
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (pool, address) = (Arc::clone(&pool), server.address.clone());
            tokio::spawn(async move {
                for _ in 0..50 {
                    pool.frontend(&address).begin_txn(&begin("x")).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(server.begun(), 400);
    assert!(pool.idle_connections(&server.address) <= 8);
}
