//! The MySQL protocol byte by byte, where drivers do not go.

use minidoris::{Cluster, ClusterOptions};
use mysql_async::Conn;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{bounded, cluster, connect, opts, rows};

async fn dial(cluster: &Cluster) -> TcpStream {
    let node = cluster.fe(0);
    bounded(TcpStream::connect((node.host, node.query_port))).await.unwrap()
}

async fn read_packet(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let mut header = [0; 4];
    bounded(stream.read_exact(&mut header)).await.unwrap();
    let length = u32::from_le_bytes([header[0], header[1], header[2], 0]);
    let mut payload = vec![0; length as usize];
    bounded(stream.read_exact(&mut payload)).await.unwrap();
    (header[3], payload)
}

async fn write_packet(stream: &mut TcpStream, sequence: u8, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap().to_le_bytes();
    stream.write_all(&[length[0], length[1], length[2], sequence]).await.unwrap();
    stream.write_all(payload).await.unwrap();
}

/// A handshake response of protocol 4.1 from root without password, naming a plugin.
fn response(plugin: &str, auth: &[u8]) -> Vec<u8> {
    let capabilities: u32 = (1 << 9) | (1 << 15) | (1 << 19);
    let mut payload = capabilities.to_le_bytes().to_vec();
    payload.extend_from_slice(&[0; 28]);
    payload.extend_from_slice(b"root\0");
    payload.push(u8::try_from(auth.len()).unwrap());
    payload.extend_from_slice(auth);
    payload.extend_from_slice(plugin.as_bytes());
    payload.push(0);
    payload
}

#[tokio::test]
async fn the_greeting_offers_what_doris_offers() {
    let cluster = cluster().await;
    let (sequence, greeting) = read_packet(&mut dial(&cluster).await).await;
    assert_eq!((sequence, greeting[0]), (0, 10));
    assert!(greeting[1..].starts_with(b"5.7.99\0"));
    // Version text, connection id, half of the salt, a zero byte.
    let at = 1 + 7 + 4 + 8 + 1;
    let low = u16::from_le_bytes([greeting[at], greeting[at + 1]]);
    assert_eq!(greeting[at + 2], 33, "charset utf8");
    assert_eq!(greeting[at + 3..at + 5], [0, 0], "status flags");
    let high = u16::from_le_bytes([greeting[at + 5], greeting[at + 6]]);
    let capabilities = u32::from(high) << 16 | u32::from(low);
    assert_eq!(capabilities & (1 << 24), 0, "no DEPRECATE_EOF");
    assert_eq!(capabilities & (1 << 11), 0, "no SSL");
    assert_ne!(capabilities & (1 << 9), 0, "PROTOCOL_41");
    assert!(greeting.ends_with(b"mysql_native_password\0"));
    cluster.stop().await;
}

#[tokio::test]
async fn another_plugin_is_switched_to_the_native_one() {
    let cluster = cluster().await;
    let mut stream = dial(&cluster).await;
    read_packet(&mut stream).await;
    write_packet(&mut stream, 1, &response("caching_sha2_password", &[7; 32])).await;
    let (sequence, request) = read_packet(&mut stream).await;
    assert_eq!((sequence, request[0]), (2, 0xfe));
    assert!(request[1..].starts_with(b"mysql_native_password\0"));
    write_packet(&mut stream, 3, &[]).await;
    let (sequence, ok) = read_packet(&mut stream).await;
    assert_eq!((sequence, ok[0]), (4, 0));
    // COM_STMT_FETCH is unknown, as there are no cursors, and the connection goes on.
    write_packet(&mut stream, 0, &[0x1c]).await;
    let (sequence, error) = read_packet(&mut stream).await;
    assert_eq!((sequence, error[0], u16::from_le_bytes([error[1], error[2]])), (1, 0xff, 1047));
    write_packet(&mut stream, 0, &[0x0e]).await;
    assert_eq!(read_packet(&mut stream).await.1[0], 0);
    cluster.stop().await;
}

#[tokio::test]
async fn nonsense_ends_only_its_own_connection() {
    let cluster = cluster().await;
    let mut good = connect(&cluster).await;
    for nonsense in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 64], &[1, 0, 0, 1, 0], &[0, 0, 0, 1]] {
        let mut stream = dial(&cluster).await;
        read_packet(&mut stream).await;
        stream.write_all(nonsense).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut rest = Vec::new();
        // The server says something or nothing, and closes.
        drop(bounded(stream.read_to_end(&mut rest)).await);
    }
    assert_eq!(rows(&mut good, "SELECT 1").await.len(), 1);
    cluster.stop().await;
}

#[tokio::test]
async fn connections_beyond_the_limit_are_turned_away() {
    let options = ClusterOptions { max_connections: 2, ..ClusterOptions::replicating("small") };
    let cluster = Cluster::start(options).await.unwrap();
    let (first, mut second) = (connect(&cluster).await, connect(&cluster).await);
    let (_, error) = read_packet(&mut dial(&cluster).await).await;
    assert_eq!((error[0], u16::from_le_bytes([error[1], error[2]])), (0xff, 1040));
    assert_eq!(rows(&mut second, "SELECT 1").await.len(), 1);
    first.disconnect().await.unwrap();
    // The place becomes free once the server has seen the connection end.
    let again = async {
        loop {
            if let Ok(conn) = Conn::new(opts(&cluster, 0)).await {
                return conn;
            }
            tokio::task::yield_now().await;
        }
    };
    bounded(again).await;
    cluster.stop().await;
}
