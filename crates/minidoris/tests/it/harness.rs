//! Starting clusters and connecting to them.

use std::time::Duration;

use minidoris::{Cluster, ClusterOptions};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder, Row};

/// No single wait of a test is longer.
pub const LIMIT: Duration = Duration::from_secs(30);

pub async fn cluster() -> Cluster {
    Cluster::start(ClusterOptions::replicating("test")).await.unwrap()
}

/// Two clusters with disjoint ids, as upstream and downstream.
pub async fn pair() -> (Cluster, Cluster) {
    let upstream = ClusterOptions { backends: 3, ..ClusterOptions::replicating("upstream") };
    let downstream =
        ClusterOptions { backends: 2, first_id: 50_000, ..ClusterOptions::replicating("downstream") };
    let quick = |mut options: ClusterOptions| {
        // Tries of downloads follow each other at once.
        options.backend_config.insert("minidoris_download_retry_interval_ms".to_owned(), "10".to_owned());
        options
    };
    (Cluster::start(quick(upstream)).await.unwrap(), Cluster::start(quick(downstream)).await.unwrap())
}

pub fn opts(cluster: &Cluster, fe: usize) -> OptsBuilder {
    let node = cluster.fe(fe);
    OptsBuilder::default().ip_or_hostname(node.host).tcp_port(node.query_port).user(Some("root"))
}

pub async fn connect(cluster: &Cluster) -> Conn {
    bounded(Conn::new(opts(cluster, 0))).await.unwrap()
}

/// Runs a query and gives its rows as text.
pub async fn rows(conn: &mut Conn, sql: &str) -> Vec<Vec<Option<String>>> {
    bounded(conn.query::<Row, _>(sql)).await.unwrap().into_iter().map(texts).collect()
}

pub fn texts(row: Row) -> Vec<Option<String>> {
    row.unwrap().into_iter().map(mysql_async::from_value).collect()
}

/// The code and text of a server error.
pub fn server_error<T: std::fmt::Debug>(result: Result<T, mysql_async::Error>) -> (u16, String) {
    match result.unwrap_err() {
        mysql_async::Error::Server(error) => (error.code, error.message),
        other => panic!("not a server error: {other}"),
    }
}

pub async fn bounded<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(LIMIT, future).await.expect("the call takes too long")
}
