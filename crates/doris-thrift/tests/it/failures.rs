//! Every way a call can fail, and what the caller learns from it.

use std::time::Duration;

use doris_thrift::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::support::*;

fn limits(max_message_size: usize) -> ServerLimits {
    ServerLimits { max_message_size, ..Default::default() }
}

#[tokio::test]
async fn nobody_listens() {
    let address = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let error = pool().frontend(&address).begin_txn(&begin("a")).await.unwrap_err();
    assert!(
        matches!(&error, CallError::Connect { peer, method: "beginTxn", .. } if *peer == address),
        "{error}"
    );
}

#[tokio::test]
async fn cut_connections_are_lost_calls() {
    let server = Server::frontend(ServerLimits::default()).await;
    let pool = pool();
    let client = pool.frontend(&server.address);
    for label in ["cut", "cut in the middle"] {
        // On a reused connection as well as on a fresh one: a request that was sent is not repeated.
        client.begin_txn(&begin("a")).await.unwrap();
        for _ in 0..2 {
            let before = server.begun();
            let error = client.begin_txn(&begin(label)).await.unwrap_err();
            assert!(matches!(error, CallError::Lost { .. }), "{error}");
            assert_eq!(server.begun(), before + 1);
            assert_eq!(pool.idle_connections(&server.address), 0);
        }
    }
}

#[tokio::test]
async fn a_stopped_server_cuts_calls_in_progress() {
    let server = Server::frontend(ServerLimits::default()).await;
    let client = pool().frontend(&server.address);
    let call = tokio::spawn(async move { client.begin_txn(&begin("wait")).await });
    timeout(PATIENCE, server.script.entered.notified()).await.unwrap();
    server.stop().await;
    let error = timeout(PATIENCE, call).await.unwrap().unwrap().unwrap_err();
    assert!(matches!(error, CallError::Lost { .. }), "{error}");
}

#[tokio::test]
async fn a_timed_out_call_closes_its_connection() {
    let server = Server::frontend(ServerLimits::default()).await;
    let pool = pool();
    let client = pool.frontend(&server.address).with_timeout(Duration::from_millis(50));
    let error = client.begin_txn(&begin("wait")).await.unwrap_err();
    assert!(matches!(error, CallError::Lost { .. }), "{error}");
    assert_eq!(pool.idle_connections(&server.address), 0);
    server.script.release.notify_one();
    // The late answer is not taken for the answer of the next call.
    let client = pool.frontend(&server.address);
    assert_eq!(client.begin_txn(&begin("next")).await.unwrap().job_status.as_deref(), Some("next"));
}

#[tokio::test]
async fn a_dropped_call_closes_its_connection() {
    let server = Server::frontend(ServerLimits::default()).await;
    let pool = pool();
    let client = pool.frontend(&server.address);
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.begin_txn(&begin("wait")).await }
    });
    timeout(PATIENCE, server.script.entered.notified()).await.unwrap();
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    assert_eq!(pool.idle_connections(&server.address), 0);
    assert_eq!(client.begin_txn(&begin("next")).await.unwrap().job_status.as_deref(), Some("next"));
}

#[tokio::test]
async fn waiting_for_a_connection_is_bounded_and_not_in_doubt() {
    let server = Server::frontend(ServerLimits::default()).await;
    let pool = ClientPool::new(PoolOptions { max_connections_per_peer: 1, ..Default::default() });
    let client = pool.frontend(&server.address);
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.begin_txn(&begin("wait")).await }
    });
    timeout(PATIENCE, server.script.entered.notified()).await.unwrap();
    let short = client.with_timeout(Duration::from_millis(20));
    let error = short.begin_txn(&begin("a")).await.unwrap_err();
    assert!(matches!(error, CallError::Connect { .. }), "{error}");
    server.script.release.notify_one();
    assert!(call.await.unwrap().is_ok());
    assert_eq!(server.begun(), 1);
}

#[tokio::test]
async fn replies_beyond_the_limit_are_refused() {
    let server = Server::frontend(ServerLimits::default()).await;
    let pool = ClientPool::new(PoolOptions { max_message_size: 5000, ..Default::default() });
    let client = pool.frontend(&server.address);
    let snapshot =
        |size: usize| TGetSnapshotRequest { label_name: Some(size.to_string()), ..Default::default() };
    assert!(client.get_snapshot(&snapshot(4000)).await.is_ok());
    let error = client.get_snapshot(&snapshot(5000)).await.unwrap_err();
    assert_eq!(
        error,
        CallError::TooLarge { peer: server.address.clone(), method: "getSnapshot", limit: 5000 }
    );
    assert_eq!(pool.idle_connections(&server.address), 0);
}

#[tokio::test]
async fn requests_beyond_the_limit_close_the_connection() {
    let server = Server::frontend(limits(5000)).await;
    let client = pool().frontend(&server.address);
    let restore = |size: usize| TRestoreSnapshotRequest { meta: Some(vec![1; size]), ..Default::default() };
    assert!(client.restore_snapshot(&restore(4000)).await.is_ok());
    let error = client.restore_snapshot(&restore(5000)).await.unwrap_err();
    assert!(matches!(error, CallError::Lost { .. }), "{error}");
    assert!(client.restore_snapshot(&restore(10)).await.is_ok());
}

#[tokio::test]
async fn a_framed_peer_is_recognised() {
    let address = raw_peer(|mut stream| async move {
        read_some(&mut stream).await;
        stream.write_all(&[0, 0, 0, 30, 0x80, 1, 0, 2]).await.unwrap();
    })
    .await;
    let error = pool().frontend(&address).begin_txn(&begin("a")).await.unwrap_err();
    assert_eq!(error, CallError::FramedPeer { peer: address, method: "beginTxn" });
    assert!(error.to_string().contains("thrift_server_type"), "{error}");
}

#[tokio::test]
async fn answers_that_do_not_belong_to_the_call_are_refused() {
    // Number 9 instead of 1, and a reply without a result.
    for (sequence, body) in [(9, vec![12, 0, 0, 0, 0]), (1, vec![0])] {
        let address = raw_peer(move |mut stream| {
            let mut reply = vec![0x80, 1, 0, 2, 0, 0, 0, 8];
            reply.extend(b"beginTxn");
            reply.extend([0, 0, 0, sequence]);
            reply.extend(&body);
            async move {
                read_some(&mut stream).await;
                stream.write_all(&reply).await.unwrap();
                let _ = stream.read_u8().await;
            }
        })
        .await;
        let pool = pool();
        let error = pool.frontend(&address).begin_txn(&begin("a")).await.unwrap_err();
        assert!(matches!(error, CallError::Decode { .. }), "{error}");
        assert_eq!(pool.idle_connections(&address), 0);
    }
}

/// Sends bytes to a server and returns everything that it answers until it closes.
async fn exchange(address: &str, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    // A server that closes with unread bytes resets the connection.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap();
    answer
}

fn call_bytes(kind: u8, label: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    message::put_call("beginTxn", 4, &begin(label), &mut bytes);
    bytes[3] = kind;
    bytes
}

#[tokio::test]
async fn the_server_closes_on_bytes_that_are_no_call() {
    let server = Server::frontend(limits(5000)).await;
    for bytes in [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        vec![0, 0, 0, 10, 0x80, 1, 0, 1],
        call_bytes(2, "a"),
        call_bytes(9, "a"),
        call_bytes(1, "a")[..30].to_vec(),
        Vec::new(),
    ] {
        assert_eq!(exchange(&server.address, &bytes).await, b"", "{bytes:?}");
    }
    assert_eq!(server.begun(), 0);
}

#[tokio::test]
async fn the_server_answers_pipelined_calls_in_order_and_oneway_calls_not_at_all() {
    let server = Server::frontend(ServerLimits::default()).await;
    let bytes = [call_bytes(1, "first"), call_bytes(4, "second"), call_bytes(1, "third")].concat();
    let answer = exchange(&server.address, &bytes).await;
    let mut scanner = scan::Scanner::new(answer.len());
    let end = scanner.advance(&answer).unwrap().unwrap();
    let labels: Vec<_> = [&answer[..end], &answer[end..]]
        .map(|bytes| {
            let message = message::Message::parse(bytes).unwrap();
            message.result::<TBeginTxnResult>().unwrap().job_status.unwrap()
        })
        .into();
    assert_eq!(labels, ["first", "third"]);
    assert_eq!(server.begun(), 3);
}

#[tokio::test]
async fn arguments_that_do_not_decode_get_an_exception() {
    let server = Server::frontend(ServerLimits::default()).await;
    let mut bytes = vec![0x80, 1, 0, 1, 0, 0, 0, 8];
    bytes.extend(b"beginTxn");
    bytes.extend([0, 0, 0, 1, 0]);
    let answer = exchange(&server.address, &bytes).await;
    let message = message::Message::parse(&answer).unwrap();
    assert_eq!(message.exception().unwrap().kind, Some(message::exception::PROTOCOL_ERROR));
}

#[tokio::test]
async fn a_peer_that_stalls_in_a_request_is_dropped() {
    let server =
        Server::frontend(ServerLimits { stall_timeout: Duration::from_millis(30), ..Default::default() })
            .await;
    let mut stream = TcpStream::connect(&server.address).await.unwrap();
    stream.write_all(&call_bytes(1, "a")[..20]).await.unwrap();
    let mut answer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    assert_eq!(answer, b"");
    assert_eq!(server.begun(), 0);
}
