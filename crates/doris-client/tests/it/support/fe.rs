//! A frontend, or a backend, whose answers a test decides.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use doris_thrift::*;
use doris_types::meta::Frontend;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::mysql::{MysqlState, Sql, serve};

/// How the thrift side behaves.
#[derive(Debug, Clone, Default)]
pub enum Role {
    #[default]
    Master,
    NotMaster,
    /// NOT_MASTER with the address of another.
    Redirect(String, u16),
    /// The work is done, the answer is lost.
    Cut,
    /// A status of the business.
    Status(TStatusCode, &'static str),
    /// Too old to know any method.
    Old,
}

/// What was asked, and what is answered by a master.
#[derive(Debug, Default)]
pub struct Script {
    pub role: Mutex<Role>,
    /// Methods in the order of the calls.
    pub log: Mutex<Vec<&'static str>>,
    pub begin: Mutex<(TBeginTxnRequest, TBeginTxnResult)>,
    pub commit: Mutex<(TCommitTxnRequest, TCommitTxnResult)>,
    pub rollback: Mutex<TRollbackTxnRequest>,
    pub binlog: Mutex<(TGetBinlogRequest, TGetBinlogResult)>,
    pub lag: Mutex<TGetBinlogLagResult>,
    pub lock: Mutex<TLockBinlogRequest>,
    pub snapshot: Mutex<(TGetSnapshotRequest, TGetSnapshotResult)>,
    pub restore: Mutex<TRestoreSnapshotRequest>,
    pub token: Mutex<TGetMasterTokenRequest>,
    pub meta: Mutex<(TGetMetaRequest, TGetMetaResult)>,
    pub backends: Mutex<Vec<TBackend>>,
    pub ingest: Mutex<(TIngestBinlogRequest, TIngestBinlogResult)>,
    pub query_ingest: Mutex<TQueryIngestBinlogResult>,
    /// While set, ingests wait here and are counted.
    pub gate: Mutex<Option<Arc<Notify>>>,
    pub inside: AtomicUsize,
    pub most_inside: AtomicUsize,
}

type Refusal = (TStatus, Option<TNetworkAddress>);

impl Script {
    /// Notes the call and gives what a frontend that is not an ordinary master answers.
    fn enter(&self, method: &'static str) -> Result<Option<Refusal>, HandlerError> {
        self.log.lock().push(method);
        let not_master = || TStatus::new(TStatusCode::NOT_MASTER, "FE is not master");
        match self.role.lock().clone() {
            Role::Master => Ok(None),
            Role::NotMaster => Ok(Some((not_master(), None))),
            Role::Redirect(host, port) => Ok(Some((not_master(), Some(TNetworkAddress::new(host, port))))),
            Role::Cut => Err(HandlerError::Cut),
            Role::Status(code, text) => Ok(Some((TStatus::new(code, text), None))),
            Role::Old => Err(HandlerError::unknown_method(method)),
        }
    }
}

macro_rules! scripted {
    ($method:ident, $name:literal, $request:ty => $result:ident, |$script:ident, $req:ident| $answer:expr) => {
        #[allow(clippy::needless_update)]
        async fn $method(&self, _: SocketAddr, $req: $request) -> Result<$result, HandlerError> {
            if let Some((status, master_address)) = self.enter($name)? {
                return Ok($result { status: status.into(), master_address, ..Default::default() });
            }
            let $script = self;
            Ok($answer)
        }
    };
}

fn ok() -> Option<TStatus> {
    Some(TStatus::ok())
}

impl FrontendHandler for Script {
    scripted!(begin_txn, "beginTxn", TBeginTxnRequest => TBeginTxnResult, |s, req| {
        let mut begin = s.begin.lock();
        begin.0 = req;
        TBeginTxnResult { status: begin.1.status.clone().or_else(ok), ..begin.1.clone() }
    });
    scripted!(commit_txn, "commitTxn", TCommitTxnRequest => TCommitTxnResult, |s, req| {
        let mut commit = s.commit.lock();
        commit.0 = req;
        TCommitTxnResult { status: commit.1.status.clone().or_else(ok), ..commit.1.clone() }
    });
    scripted!(rollback_txn, "rollbackTxn", TRollbackTxnRequest => TRollbackTxnResult, |s, req| {
        *s.rollback.lock() = req;
        TRollbackTxnResult { status: ok(), ..Default::default() }
    });
    scripted!(get_binlog, "getBinlog", TGetBinlogRequest => TGetBinlogResult, |s, req| {
        let mut binlog = s.binlog.lock();
        binlog.0 = req;
        TGetBinlogResult { status: binlog.1.status.clone().or_else(ok), ..binlog.1.clone() }
    });
    scripted!(get_binlog_lag, "getBinlogLag", TGetBinlogRequest => TGetBinlogLagResult, |s, _req| {
        let lag = s.lag.lock();
        TGetBinlogLagResult { status: lag.status.clone().or_else(ok), ..lag.clone() }
    });
    scripted!(lock_binlog, "lockBinlog", TLockBinlogRequest => TLockBinlogResult, |s, req| {
        *s.lock.lock() = req;
        TLockBinlogResult { status: ok(), ..Default::default() }
    });
    scripted!(get_snapshot, "getSnapshot", TGetSnapshotRequest => TGetSnapshotResult, |s, req| {
        let mut snapshot = s.snapshot.lock();
        snapshot.0 = req;
        TGetSnapshotResult { status: snapshot.1.status.clone().or_else(ok), ..snapshot.1.clone() }
    });
    scripted!(restore_snapshot, "restoreSnapshot", TRestoreSnapshotRequest => TRestoreSnapshotResult, |s, req| {
        *s.restore.lock() = req;
        TRestoreSnapshotResult { status: ok(), ..Default::default() }
    });
    scripted!(get_master_token, "getMasterToken", TGetMasterTokenRequest => TGetMasterTokenResult, |s, req| {
        *s.token.lock() = req;
        TGetMasterTokenResult { status: ok(), token: Some("t0ken".into()), ..Default::default() }
    });
    scripted!(get_meta, "getMeta", TGetMetaRequest => TGetMetaResult, |s, req| {
        let mut meta = s.meta.lock();
        meta.0 = req;
        meta.1.clone()
    });
    scripted!(get_backend_meta, "getBackendMeta", TGetBackendMetaRequest => TGetBackendMetaResult, |s, _req| {
        let backends = Some(s.backends.lock().clone());
        TGetBackendMetaResult { status: TStatus::ok(), backends, ..Default::default() }
    });
}

impl BackendHandler for Script {
    async fn ingest_binlog(
        &self,
        _: SocketAddr,
        req: TIngestBinlogRequest,
    ) -> Result<TIngestBinlogResult, HandlerError> {
        if let Some((status, _)) = self.enter("ingest_binlog")? {
            return Ok(TIngestBinlogResult { status: Some(status), is_async: None });
        }
        let inside = self.inside.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_inside.fetch_max(inside, Ordering::SeqCst);
        let gate = self.gate.lock().clone();
        if let Some(gate) = gate {
            gate.notified().await;
        }
        self.inside.fetch_sub(1, Ordering::SeqCst);
        let mut ingest = self.ingest.lock();
        ingest.0 = req;
        Ok(TIngestBinlogResult { status: ok(), ..ingest.1.clone() })
    }

    async fn query_ingest_binlog(
        &self,
        _: SocketAddr,
        _: TQueryIngestBinlogRequest,
    ) -> Result<TQueryIngestBinlogResult, HandlerError> {
        self.enter("query_ingest_binlog")?;
        Ok(self.query_ingest.lock().clone())
    }
}

/// Running servers of one scripted node; stopped when dropped.
pub struct Fe {
    pub rpc_port: u16,
    pub query_port: u16,
    pub script: Arc<Script>,
    pub mysql: Arc<MysqlState>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Fe {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

impl Fe {
    pub async fn start(role: Role) -> Self {
        let (rpc, rpc_port) = listen().await;
        let (query, query_port) = listen().await;
        let script = Arc::new(Script { role: Mutex::new(role), ..Script::default() });
        let mysql = Arc::new(MysqlState::new());
        let limits = ServerLimits::default();
        let tasks = vec![
            tokio::spawn(serve_frontend(rpc, Arc::clone(&script), limits, std::future::pending())),
            tokio::spawn(serve(query, Arc::clone(&mysql))),
        ];
        Self { rpc_port, query_port, script, mysql, tasks }
    }

    /// A backend: `rpc_port` is its thrift port.
    pub async fn backend(role: Role) -> Self {
        let (rpc, rpc_port) = listen().await;
        let script = Arc::new(Script { role: Mutex::new(role), ..Script::default() });
        let limits = ServerLimits::default();
        let serving = serve_backend(rpc, Arc::clone(&script), limits, std::future::pending());
        let tasks = vec![tokio::spawn(serving)];
        Self { rpc_port, query_port: 0, script, mysql: Arc::new(MysqlState::new()), tasks }
    }

    /// Ends both servers and their connections, and gives the node with its ports for comparison.
    pub async fn kill(&mut self) {
        for task in self.tasks.drain(..) {
            task.abort();
            drop(task.await);
        }
    }

    /// Ends only the MySQL side and starts it again on the same port.
    pub async fn restart_mysql(&mut self) {
        let task = self.tasks.remove(1);
        task.abort();
        drop(task.await);
        let listener = TcpListener::bind(("127.0.0.1", self.query_port)).await.unwrap();
        self.tasks.push(tokio::spawn(serve(listener, Arc::clone(&self.mysql))));
    }

    pub fn set_role(&self, role: Role) {
        *self.script.role.lock() = role;
    }

    /// Answers statements with `script`.
    pub fn on_sql(&self, script: impl Fn(&str) -> Sql + Send + Sync + 'static) {
        *self.mysql.script.lock() = Box::new(script);
    }

    /// Answers `frontends()` with this list and every other statement with `Done`.
    pub fn list(&self, frontends: &[Frontend]) {
        let rows: Vec<Vec<Option<String>>> = frontends
            .iter()
            .map(|fe| {
                let texts = [
                    fe.host.clone(),
                    fe.query_port.to_string(),
                    fe.rpc_port.to_string(),
                    fe.is_master.to_string(),
                ];
                texts.map(Some).into()
            })
            .collect();
        let columns: Vec<_> = ["Host", "QueryPort", "RpcPort", "IsMaster"].map(str::to_owned).into();
        self.on_sql(move |sql| {
            if sql.contains("frontends()") { Sql::Rows(columns.clone(), rows.clone()) } else { Sql::Done }
        });
    }

    /// Thrift methods called so far.
    pub fn calls(&self) -> Vec<&'static str> {
        self.script.log.lock().clone()
    }

    /// Statements run so far, without the reading of the list of frontends.
    pub fn statements(&self) -> Vec<String> {
        let log = self.mysql.log.lock();
        log.iter().map(|(_, sql)| sql.clone()).filter(|sql| !sql.contains("frontends()")).collect()
    }

    /// How often the list of frontends was read here.
    pub fn listings(&self) -> usize {
        self.mysql.log.lock().iter().filter(|(_, sql)| sql.contains("frontends()")).count()
    }
}
