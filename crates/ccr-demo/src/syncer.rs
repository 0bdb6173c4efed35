//! The syncer as a child process, and its HTTP API.
//!
//! The child is this very binary with another role, so that one `cargo run` needs to build one binary. Its
//! standard input stays open as long as this process lives, and it ends itself when that closes: even a
//! demo that was killed leaves no syncer behind.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::site::Ports;

const START_TIMEOUT: Duration = Duration::from_secs(20);
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
const CALL_TIMEOUT: Duration = Duration::from_secs(20);
pub const POLL: Duration = Duration::from_millis(50);

/// A running syncer. Dropping it kills the process.
#[derive(Debug)]
pub struct Syncer {
    child: Child,
    http: reqwest::Client,
    pub port: u16,
    pub log: PathBuf,
}

/// What `/get_lag` and `/job_status` say of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Binlogs upstream that the job has not handled.
    pub lag: i64,
    pub progress_state: String,
}

impl Syncer {
    /// Starts the child with its files in `dir` and waits until it answers.
    pub async fn start(dir: &Path) -> Result<Self> {
        let port = free_port()?;
        let log = dir.join("ccr_syncer.log");
        let output = File::create(&log).with_context(|| format!("create {}", log.display()))?;
        let child = Command::new(std::env::current_exe()?)
            .arg("syncer")
            .args(["--host", "127.0.0.1", "--port", &port.to_string(), "--log_level", "info"])
            .arg("--db_dir")
            .arg(dir.join("ccr.db"))
            .stdin(Stdio::piped())
            .stdout(output.try_clone()?)
            .stderr(output)
            .kill_on_drop(true)
            .spawn()
            .context("start the syncer")?;
        let http = reqwest::Client::builder().timeout(CALL_TIMEOUT).no_proxy().build()?;
        let mut syncer = Self { child, http, port, log };
        tokio::time::timeout(START_TIMEOUT, syncer.wait_until_up())
            .await
            .with_context(|| format!("the syncer did not answer; see {}", syncer.log.display()))??;
        Ok(syncer)
    }

    async fn wait_until_up(&mut self) -> Result<()> {
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("the syncer ended with {status}; see {}", self.log.display());
            }
            if self.http.get(self.url("version")).send().await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    pub async fn create_job(&self, name: &str, database: &str, src: Ports, dest: Ports) -> Result<()> {
        let side = |ports: Ports| {
            json!({
                "host": "127.0.0.1", "port": ports.query.to_string(), "thrift_port": ports.rpc.to_string(),
                "user": "root", "password": "", "database": database, "table": ""
            })
        };
        self.call("create_ccr", &json!({"name": name, "src": side(src), "dest": side(dest)})).await?;
        Ok(())
    }

    pub async fn standing(&self, job: &str) -> Result<Standing> {
        let request = json!({ "name": job });
        let status = self.call("job_status", &request).await?;
        let lag = self.call("get_lag", &request).await?;
        Ok(Standing { lag: field(&lag, "/lag")?, progress_state: field(&status, "/status/progress_state")? })
    }

    /// Why the job does not move, if an operator must act.
    pub async fn blocked(&self, job: &str) -> Result<Option<String>> {
        let answer = self.call("job_progress", &json!({ "name": job })).await?;
        let blocked = answer.pointer("/job_progress/blocked").filter(|blocked| !blocked.is_null());
        Ok(blocked.map(Value::to_string))
    }

    async fn call(&self, route: &str, request: &Value) -> Result<Value> {
        let answer = self.http.post(self.url(route)).json(request).send().await;
        let answer = answer.with_context(|| format!("call /{route}"))?;
        let value: Value = answer.json().await.with_context(|| format!("read the answer of /{route}"))?;
        if value["success"] != json!(true) {
            bail!("/{route}: {}", value["error_msg"].as_str().unwrap_or("failed without a message"));
        }
        Ok(value)
    }

    fn url(&self, route: &str) -> String {
        format!("http://127.0.0.1:{}/{route}", self.port)
    }

    /// Kills the process, if it still runs, and waits for its end. What it has acknowledged is in its
    /// metadata file, so nothing is lost.
    pub async fn stop(mut self) -> Result<()> {
        self.child.start_kill().ok();
        tokio::time::timeout(STOP_TIMEOUT, self.child.wait()).await.context("the syncer did not end")??;
        Ok(())
    }
}

fn field<T: DeserializeOwned>(value: &Value, pointer: &str) -> Result<T> {
    let found = value.pointer(pointer).with_context(|| format!("no {pointer} in {value}"))?;
    Ok(serde_json::from_value(found.clone())?)
}

/// A port that was free a moment ago.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
