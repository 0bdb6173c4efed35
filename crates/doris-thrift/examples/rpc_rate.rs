//! Measures small calls per second through client and server in one process:
//! `cargo run --release -p doris-thrift --example rpc_rate -- [connections] [seconds]`.

#![allow(clippy::print_stdout)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use doris_thrift::*;
use tokio::net::TcpListener;

#[derive(Debug)]
struct Counter(AtomicU64);

impl FrontendHandler for Counter {
    async fn begin_txn(&self, _: SocketAddr, _: TBeginTxnRequest) -> Result<TBeginTxnResult, HandlerError> {
        let txn_id = self.0.fetch_add(1, Ordering::Relaxed) as i64;
        Ok(TBeginTxnResult { status: Some(TStatus::ok()), txn_id: Some(txn_id), ..Default::default() })
    }
}

#[tokio::main]
async fn main() {
    let mut args = std::env::args().skip(1).map(|arg| arg.parse::<u64>().expect("a number"));
    let connections = args.next().unwrap_or(32);
    let seconds = args.next().unwrap_or(3);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free local port");
    let address = listener.local_addr().expect("a bound listener has an address").to_string();
    let counter = Arc::new(Counter(AtomicU64::new(0)));
    let never = std::future::pending();
    tokio::spawn(serve_frontend(listener, Arc::clone(&counter), ServerLimits::default(), never));
    let pool = ClientPool::new(PoolOptions::default());
    let request = TBeginTxnRequest {
        user: Some("root".into()),
        passwd: Some(String::new()),
        db: Some("tpch".into()),
        table_ids: Some(vec![10020]),
        label: Some("ccrj-1767000000-10020-50001".into()),
        ..Default::default()
    };
    let start = Instant::now();
    let end = start + Duration::from_secs(seconds);
    let tasks: Vec<_> = (0..connections)
        .map(|_| {
            let (client, request) = (pool.frontend(&address), request.clone());
            tokio::spawn(async move {
                while Instant::now() < end {
                    client.begin_txn(&request).await.expect("the server answers");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("calls do not panic");
    }
    let calls = counter.0.load(Ordering::Relaxed);
    println!("{:.0} calls/s over {connections} connections", calls as f64 / start.elapsed().as_secs_f64());
}
