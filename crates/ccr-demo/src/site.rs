//! One side of the demo: an emulated cluster and clients of it, which use nothing but its ports.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use minidoris::Cluster;
use minidoris::options::ClusterOptions;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder, Pool, PoolConstraints, PoolOpts};
use reqwest::header::LOCATION;
use serde::Deserialize;

use crate::tpch::Batch;

/// Backends of each cluster.
const BACKENDS: usize = 3;
const LOAD_TIMEOUT: Duration = Duration::from_secs(60);
const MAX_PACKET: usize = 64 << 20;

/// A running cluster with a connection pool to its frontend.
#[derive(Debug)]
pub struct Site {
    cluster: Cluster,
    pool: Pool,
    http: reqwest::Client,
    pub ports: Ports,
}

/// The ports of the first frontend, on 127.0.0.1.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    pub query: u16,
    pub rpc: u16,
    pub http: u16,
}

#[derive(Debug, Deserialize)]
struct LoadAnswer {
    #[serde(rename = "Status")]
    status: String,
    #[serde(rename = "Message", default)]
    message: String,
    #[serde(rename = "NumberLoadedRows", default)]
    loaded_rows: usize,
}

impl Site {
    pub async fn start(name: &str, seed: u64) -> Result<Self> {
        let options = ClusterOptions { backends: BACKENDS, seed, ..ClusterOptions::replicating(name) };
        let cluster = Cluster::start(options).await.with_context(|| format!("start cluster {name}"))?;
        let node = cluster.fe(0);
        let ports = Ports { query: node.query_port, rpc: node.rpc_port, http: node.http_port };
        let bounds = PoolConstraints::new(0, 8).context("pool bounds")?;
        let opts = OptsBuilder::default()
            .ip_or_hostname("127.0.0.1")
            .tcp_port(ports.query)
            .user(Some("root"))
            .prefer_socket(false)
            .max_allowed_packet(Some(MAX_PACKET))
            .wait_timeout(Some(600))
            .stmt_cache_size(0)
            .pool_opts(PoolOpts::default().with_constraints(bounds).with_reset_connection(false));
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            // Frontend and backend may close a connection after a load, and one that is kept under the next.
            .pool_max_idle_per_host(0)
            .timeout(LOAD_TIMEOUT)
            .no_proxy()
            .build()?;
        Ok(Self { cluster, pool: Pool::new(opts), http, ports })
    }

    /// A connection that uses `database`.
    pub async fn connect(&self, database: &str) -> Result<Conn> {
        let mut connection = self.pool.get_conn().await?;
        connection.query_drop(format!("USE {database}")).await?;
        Ok(connection)
    }

    /// Runs one statement outside any database.
    pub async fn execute(&self, sql: &str) -> Result<()> {
        let mut connection = self.pool.get_conn().await?;
        connection.query_drop(sql).await.with_context(|| format!("run {sql}"))
    }

    /// Runs one statement in a database.
    pub async fn execute_in(&self, database: &str, sql: &str) -> Result<()> {
        let mut connection = self.connect(database).await?;
        connection.query_drop(sql).await.with_context(|| format!("run {sql}"))
    }

    /// Loads a batch with a stream load, as a client would: ask the frontend, follow it to a backend.
    pub async fn stream_load(&self, database: &str, label: &str, batch: &Batch) -> Result<()> {
        let path = format!("/api/{database}/{}/_stream_load", batch.table);
        let mut url = format!("http://127.0.0.1:{}{path}", self.ports.http);
        for hop in 0..3 {
            let load = self
                .http
                .put(&url)
                .basic_auth("root", Some(""))
                .header("label", label)
                .header("column_separator", "|")
                .header("Expect", "100-continue");
            // This client does not wait to be told to continue, and a frontend redirects without reading: the rows
            // are for the backend it names.
            let load =
                if hop == 0 { load.header("Content-Length", "0") } else { load.body(batch.body.clone()) };
            let answer = load.send().await.with_context(|| format!("stream load into {}", batch.table))?;
            if answer.status().is_redirection() {
                let target = answer.headers().get(LOCATION).context("a redirect names its target")?;
                url = without_account(target.to_str()?);
                continue;
            }
            let text = answer.text().await?;
            let answer: LoadAnswer = serde_json::from_str(&text)
                .with_context(|| format!("stream load into {} answered {text}", batch.table))?;
            if answer.status != "Success" || answer.loaded_rows != batch.rows {
                bail!(
                    "stream load into {}: {} ({} of {} rows): {}",
                    batch.table,
                    answer.status,
                    answer.loaded_rows,
                    batch.rows,
                    answer.message
                );
            }
            return Ok(());
        }
        bail!("stream load into {}: too many redirects", batch.table)
    }

    /// Calls so far, by name.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.cluster.counters().snapshot()
    }

    /// Closes the clients' connections and stops the cluster.
    pub async fn stop(&self) {
        // A connection that does not close cleanly ends with the cluster.
        let _ = self.pool.clone().disconnect().await;
        self.cluster.stop().await;
    }
}

/// A redirect of a Doris frontend carries the account in its address; it is sent as a header here.
fn without_account(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
            let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            format!("{scheme}://{host}/{path}")
        }
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_account_out_of_a_redirect() {
        assert_eq!(without_account("http://root:@127.0.0.1:8040/api/x"), "http://127.0.0.1:8040/api/x");
        assert_eq!(without_account("http://127.0.0.1:8040/api/a@b"), "http://127.0.0.1:8040/api/a@b");
    }
}
