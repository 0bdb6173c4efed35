//! One bounded round over the frontends for one call.
//!
//! The presumed master is tried first, then the master that an answer or the refreshed list names, then the
//! other frontends and the seeds; none twice. The number of tries and the total time are limited.

use std::future::Future;
use std::time::Duration;

use doris_thrift::{CallError, FrontendClient, TStatusCode};
use doris_types::failure::{Cause, Failure, Result};
use doris_types::meta::Frontend;
use tokio::time::Instant;
use tracing::debug;

use crate::answer::Answer;
use crate::cluster::DorisCluster;
use crate::convert::{from_call, malformed, statement_name};
use crate::directory::{Node, Service};
use crate::rows::Rows;

/// Frontends tried per call. Clusters have one, three or five.
const MAX_TRIES: usize = 8;

/// Whether a call whose answer was lost may be made again on another frontend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nature {
    /// Changes nothing.
    Reads,
    Writes,
}

/// The frontends of one round: which were tried and how they failed.
#[derive(Debug)]
struct Round {
    tried: Vec<Node>,
    failures: Vec<Failure>,
    not_master: bool,
    /// Named as master by an answer: tried before all others.
    next: Option<Node>,
    deadline: Instant,
}

impl Round {
    fn new(limit: Duration) -> Self {
        let deadline = Instant::now() + limit;
        Self { tried: Vec::new(), failures: Vec::new(), not_master: false, next: None, deadline }
    }

    fn pick(&mut self, candidates: Vec<Node>) -> Option<Node> {
        if self.tried.len() >= MAX_TRIES || (!self.tried.is_empty() && Instant::now() >= self.deadline) {
            return None;
        }
        let fresh = |node: &Node| !self.tried.contains(node);
        let next = self.next.take().filter(fresh);
        let node = next.or_else(|| candidates.into_iter().find(fresh))?;
        self.tried.push(node.clone());
        Some(node)
    }

    /// What to report when nobody is left.
    fn conclude(mut self, operation: &str, unmapped_master: Option<String>) -> Failure {
        if let Some(host) = unmapped_master {
            return Failure::new(operation, "", Cause::UnmappedHost { host });
        }
        let detail = || self.failures.iter().map(describe).collect::<Vec<_>>().join("; ");
        if self.not_master {
            return Failure::new(operation, "", Cause::NoMaster { detail: detail() });
        }
        match self.failures.len() {
            0 => Failure::new(operation, "", Cause::NoMaster { detail: "no frontend is known".into() }),
            1 => self.failures.remove(0),
            _ => {
                // Reads may have been lost on one frontend and refused by another; no work is in doubt.
                let detail = detail();
                let mut last = self.failures.remove(self.failures.len() - 1);
                match &mut last.cause {
                    Cause::Connect { detail: text } | Cause::Lost { detail: text } => *text = detail,
                    Cause::Status { .. }
                    | Cause::Sql { .. }
                    | Cause::UnknownMethod
                    | Cause::Malformed { .. }
                    | Cause::Http { .. }
                    | Cause::NoMaster { .. }
                    | Cause::UnmappedHost { .. } => {}
                }
                last
            }
        }
    }
}

fn describe(failure: &Failure) -> String {
    format!("{}: {}", failure.peer, failure.text())
}

impl DorisCluster {
    /// Makes a thrift call to the master. The answer comes with the address that gave it; its status is
    /// anything but NOT_MASTER.
    pub(crate) async fn call<T, F, C>(
        &self,
        operation: &'static str,
        nature: Nature,
        timeout: Duration,
        call: C,
    ) -> Result<(T, String)>
    where
        T: Answer,
        C: Fn(FrontendClient) -> F,
        F: Future<Output = std::result::Result<T, CallError>>,
    {
        self.freshen().await;
        let mut round = Round::new(timeout * 2);
        while let Some(node) = round.pick(self.directory.candidates(Service::Thrift)) {
            let address = node.rpc_address();
            let client = self.clients.thrift.frontend(&address).with_timeout(timeout);
            let error = match call(client).await {
                Ok(answer) => {
                    let Some(status) = answer.status() else {
                        return Err(malformed(operation, &address, "the answer has no status"));
                    };
                    if status.status_code != TStatusCode::NOT_MASTER {
                        if T::PROVES_MASTER {
                            self.directory.set_master(&node);
                        }
                        return Ok((answer, address));
                    }
                    debug!(operation, peer = address, "not the master");
                    round.not_master = true;
                    round.failures.push(crate::convert::from_status(operation, &address, status));
                    self.directory.mark_stale();
                    match answer.master_address() {
                        Some(master) if !master.hostname.is_empty() => {
                            let Some(host) = self.directory.map_host(&master.hostname) else {
                                let host = master.hostname.clone();
                                return Err(Failure::new(operation, &address, Cause::UnmappedHost { host }));
                            };
                            if let Ok(port) = u16::try_from(master.port) {
                                round.next = Some(self.directory.node_at(&host, port));
                            }
                        }
                        Some(_) | None => drop(self.freshen().await),
                    }
                    continue;
                }
                Err(error) => error,
            };
            let failure = from_call(&error);
            let elsewhere = self.judge(&node, Service::Thrift, nature, &failure.cause);
            if !elsewhere {
                return Err(failure);
            }
            debug!(%failure, "trying another frontend");
            round.failures.push(failure);
            self.freshen().await;
        }
        Err(round.conclude(operation, self.directory.unmapped_master()))
    }

    /// Runs a statement, preferably on the master.
    pub(crate) async fn sql(
        &self,
        nature: Nature,
        database: Option<&str>,
        sql: &str,
        timeout: Duration,
    ) -> Result<(Rows, String)> {
        self.freshen().await;
        self.sql_round(nature, database, sql, timeout).await
    }

    async fn sql_round(
        &self,
        nature: Nature,
        database: Option<&str>,
        sql: &str,
        timeout: Duration,
    ) -> Result<(Rows, String)> {
        let operation = statement_name(sql);
        let mut round = Round::new(timeout * 2);
        while let Some(node) = round.pick(self.directory.candidates(Service::Sql)) {
            let pool = self.sql_pool(&node);
            let cause = match pool.run(database, sql, timeout).await {
                Ok(rows) => return Ok((rows, pool.address().to_owned())),
                Err(cause) => cause,
            };
            let elsewhere = self.judge(&node, Service::Sql, nature, &cause);
            let failure = Failure::new(&*operation, pool.address(), cause);
            if !elsewhere {
                return Err(failure);
            }
            debug!(%failure, "trying another frontend");
            round.failures.push(failure);
        }
        Err(round.conclude(&operation, None))
    }

    /// Whether a call that failed in this way goes on to the next frontend.
    fn judge(&self, node: &Node, service: Service, nature: Nature, cause: &Cause) -> bool {
        match cause {
            Cause::Connect { .. } => {
                self.directory.mark_unreachable(node, service);
                true
            }
            Cause::Lost { .. } => {
                self.directory.mark_stale();
                nature == Nature::Reads
            }
            Cause::Status { .. }
            | Cause::Sql { .. }
            | Cause::UnknownMethod
            | Cause::Malformed { .. }
            | Cause::Http { .. }
            | Cause::NoMaster { .. }
            | Cause::UnmappedHost { .. } => false,
        }
    }

    /// Reads the list of frontends from whichever answers.
    pub(crate) async fn read_frontends(&self) -> Result<Vec<Frontend>> {
        let sql = "SELECT Host, QueryPort, RpcPort, IsMaster, Version FROM frontends()";
        let (rows, peer) = self.sql_round(Nature::Reads, None, sql, self.clients.options.rpc_timeout).await?;
        let port = |text: Option<&str>| text.and_then(|text| text.trim().parse().ok());
        rows.rows
            .iter()
            .map(|row| {
                let frontend = || {
                    Some(Frontend {
                        host: row.get("Host")?.to_owned(),
                        query_port: port(row.get("QueryPort"))?,
                        rpc_port: port(row.get("RpcPort"))?,
                        is_master: row.get("IsMaster")?.eq_ignore_ascii_case("true"),
                        version: row.get("Version").unwrap_or_default().to_owned(),
                    })
                };
                frontend().ok_or_else(|| malformed("frontends()", &peer, "a row lacks an address"))
            })
            .collect()
    }

    async fn freshen(&self) -> bool {
        self.directory.freshen(|| self.read_frontends()).await
    }
}
