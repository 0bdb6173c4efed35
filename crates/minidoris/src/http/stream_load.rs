//! `PUT /api/{db}/{table}/_stream_load`: a frontend redirects, a backend loads.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use axum::Json;
use axum::body::Body;
use axum::extract::{ConnectInfo, Extension, Path};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value as Document, json};

use crate::cluster::ClusterInner;
use crate::query::insert::missing_sequence;
use crate::query::load::{self, Load};
use crate::query::target::LoadTarget;
use crate::query::writer::Writer;
use crate::query::{auto_partition, now};
use crate::txn::{CommitOutcome, CommitTxn, TxnError, TxnStatus, precommit};

use super::auth::Denial;
use super::listener::Connection;
use super::load_expressions::{self, Computed};
use super::load_options::{LoadOptions, Merge};
use super::load_text::TextLoad;
use super::{BackendHttp, FrontendHttp, auth};

/// `streaming_load_max_mb`.
const MAX_BODY: usize = 10 * 1024 * 1024 * 1024;

static NEXT_BACKEND: AtomicUsize = AtomicUsize::new(0);

/// Frontend: 307 to a backend, with the credentials inside the location.
pub(super) async fn redirect(
    Extension(state): Extension<FrontendHttp>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    Path((db, table)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let Some((user, password)) = auth::credentials(&headers) else {
        return unauthorised("Need auth information.");
    };
    match auth::may_load(&state.cluster, (&user, &password), &connection.address(), (&db, &table)) {
        Ok(()) => {}
        Err(Denial::Account) => return unauthorised("Access denied"),
        Err(Denial::Privilege(text)) => return unauthorised(&text),
    }
    to_a_backend(
        &state.cluster,
        &user,
        &password,
        &format!("{}/{}/_stream_load", encode(&db), encode(&table)),
    )
}

/// 307 to a backend that is alive and takes loads; `path` follows `/api/`.
pub(super) fn to_a_backend(cluster: &ClusterInner, user: &str, password: &str, path: &str) -> Response {
    let nodes: Vec<String> = {
        let nodes = cluster.backend_nodes.read();
        let alive = nodes.values().filter(|node| node.alive && !node.load_disabled);
        alive.map(|node| format!("{}:{}", node.host, node.http_port)).collect()
    };
    if nodes.is_empty() {
        let message = "No backend load available or no backend available";
        return Json(json!({"status": "FAILED", "msg": message})).into_response();
    }
    let address = &nodes[NEXT_BACKEND.fetch_add(1, Ordering::Relaxed) % nodes.len()];
    let location = format!("http://{}:{}@{address}/api/{path}", encode(user), encode(password));
    (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, location)]).into_response()
}

pub(super) fn unauthorised(message: &str) -> Response {
    let body = Json(json!({"msg": "Unauthorized", "code": 401, "data": message, "count": 0}));
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Basic realm=\"\"")], body).into_response()
}

/// Percent-encodes what may not stand in a URL's user part or path segment.
pub(super) fn encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// Backend: loads the body and answers with Doris's JSON, always with status 200.
pub(super) async fn perform(
    Extension(state): Extension<BackendHttp>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    Path((db, table)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let mut report = Report::default();
    let admitted = admit(&state.cluster, &headers, &connection.address(), &db, &table);
    let outcome = match admitted {
        Ok(()) => load_body(&state, &db, &table, &headers, body, &mut report).await,
        Err(failure) => Err(failure),
    };
    if let Err(failure) = state.cluster.save().map_err(Failure::text).and(outcome) {
        report.fail(failure);
    }
    Json(report.document()).into_response()
}

/// The frontend, which a backend asks to open the transaction, refuses whom it does not know.
fn admit(
    cluster: &ClusterInner,
    headers: &HeaderMap,
    address: &str,
    db: &str,
    table: &str,
) -> Result<(), Failure> {
    let Some((user, password)) = auth::credentials(headers) else {
        return Err(Failure::text("[INTERNAL_ERROR]no valid Basic authorization"));
    };
    let refused =
        |text: String| Failure::text(format!("[ANALYSIS_ERROR]errCode = 2, detailMessage = {text}"));
    auth::may_load(cluster, (&user, &password), address, (db, table)).map_err(|denial| match denial {
        Denial::Account => refused(format!("Access denied for {user}")),
        Denial::Privilege(text) => refused(text),
    })
}

async fn load_body(
    state: &BackendHttp,
    db: &str,
    table: &str,
    headers: &HeaderMap,
    body: Body,
    report: &mut Report,
) -> Result<(), Failure> {
    let cluster = &state.cluster;
    let options = LoadOptions::read(headers).map_err(Failure::text)?;
    report.label = options.label.clone().unwrap_or_else(|| format!("{:032x}", rand::random::<u128>()));
    let planned = Instant::now();
    check_master(cluster).map_err(Failure::text)?;
    let (target, load) = open(cluster, db, table, &options, &report.label)?;
    report.txn_id = load.txn_id;
    report.begin_ms = millis(planned);
    let outcome = receive_and_write(cluster, target, &load, options, body, report).await;
    match outcome {
        Ok(CommitOutcome::Visible) => {
            report.status = "Success";
            report.message = "OK".to_owned();
            Ok(())
        }
        Ok(CommitOutcome::Committed | CommitOutcome::PublishTimeout) => {
            report.status = "Publish Timeout";
            report.message = "[PUBLISH_TIMEOUT]PUBLISH_TIMEOUT".to_owned();
            Ok(())
        }
        Err(failure) => {
            load::abort(cluster, &load, &failure.message);
            Err(failure)
        }
    }
}

/// Only a master opens and ends transactions.
pub(super) fn check_master(cluster: &ClusterInner) -> Result<(), String> {
    match cluster.master() {
        Some(_) => Ok(()),
        None => Err("[INTERNAL_ERROR]TStatus: there is no master frontend".to_owned()),
    }
}

/// Plans and opens the transaction; plans again when the table's indexes changed in between.
fn open(
    cluster: &ClusterInner,
    db: &str,
    table: &str,
    options: &LoadOptions,
    label: &str,
) -> Result<(LoadTarget, Load), Failure> {
    let mut plans = 1;
    loop {
        let target =
            LoadTarget::plan(cluster, db, table, options.partitions.clone()).map_err(Failure::sql)?;
        match load::open(cluster, &target, Some(label.to_owned()), options.timeout_s) {
            Ok(load) => return Ok((target, load)),
            Err(error) if load::is_outdated(&load::sql_error(&error)) && plans < load::MAX_PLANS => {
                plans += 1
            }
            Err(error) => return Err(Failure::begin(cluster, &target, error)),
        }
    }
}

async fn receive_and_write(
    cluster: &Arc<ClusterInner>,
    target: LoadTarget,
    load: &Load,
    options: LoadOptions,
    body: Body,
    report: &mut Report,
) -> Result<CommitOutcome, Failure> {
    let started = Instant::now();
    let bytes = axum::body::to_bytes(body, MAX_BODY)
        .await
        .map_err(|error| Failure::text(format!("[INTERNAL_ERROR]failed to receive the body: {error}")))?;
    report.bytes = bytes.len() as u64;
    report.read_ms = millis(started);
    let writing = Instant::now();
    let two_phase_commit = options.two_phase_commit;
    report.two_phase_commit = two_phase_commit;
    let staged = stage(cluster, target, load, options, bytes).await?;
    report.rows(&staged);
    report.write_ms = millis(writing);
    if let Some(message) = staged.refused {
        return Err(Failure::text(message));
    }
    let committing = Instant::now();
    let outcome = if two_phase_commit {
        let request = CommitTxn {
            db_id: load.db_id,
            txn_id: load.txn_id,
            writes: staged.writes,
            ..CommitTxn::default()
        };
        // What follows is up to the client.
        precommit(cluster, request).map(|()| CommitOutcome::Visible)
    } else {
        load::commit(cluster, load, staged.writes).await
    };
    let outcome = outcome.map_err(|error| Failure::text(error.to_string()));
    report.commit_ms = millis(committing);
    outcome
}

#[derive(Debug, Default)]
struct Staged {
    writes: Vec<(i64, i64)>,
    total: u64,
    filtered: u64,
    unselected: u64,
    /// Why the load fails although the body could be read.
    refused: Option<String>,
}

/// Reads and encodes on a thread of its own: that is all computing. Rows of an auto-partitioned table
/// that lack their partition lead to a second round.
async fn stage(
    cluster: &Arc<ClusterInner>,
    mut target: LoadTarget,
    load: &Load,
    options: LoadOptions,
    bytes: bytes::Bytes,
) -> Result<Staged, Failure> {
    let (cluster, load) = (Arc::clone(cluster), load.clone());
    let work = move || {
        check_sequence(&target, &options)?;
        let computed = match load_expressions::is_needed(&options, &target.schema.columns) {
            true => {
                Some(load_expressions::compute(&cluster, &target, &options, &bytes).map_err(Failure::text)?)
            }
            false => None,
        };
        write(&cluster, &mut target, &load, &options, &bytes, computed.as_ref())
    };
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|_| Err(Failure::text("[INTERNAL_ERROR]the load was stopped")))
}

/// A load into a table with a sequence column must have it; a line without names has all visible columns.
fn check_sequence(target: &LoadTarget, options: &LoadOptions) -> Result<(), Failure> {
    let Some(sequence) = target.schema.sequence else { return Ok(()) };
    let column = &target.schema.columns[sequence];
    let is_named = |name: &String| name.eq_ignore_ascii_case(&column.name);
    let is_given = options.sequence.is_some()
        || options.columns.iter().any(is_named)
        || options.expressions.iter().any(|(name, _)| is_named(name))
        || (options.columns.is_empty() && column.visible);
    if is_given || options.merge == Merge::Delete {
        return Ok(());
    }
    Err(Failure::sql(crate::error::SqlError::general(missing_sequence(&target.table))))
}

fn write(
    cluster: &ClusterInner,
    target: &mut LoadTarget,
    load: &Load,
    options: &LoadOptions,
    bytes: &[u8],
    computed: Option<&Computed>,
) -> Result<Staged, Failure> {
    loop {
        let mut writer = Writer::new(target);
        let (mut staged, first_error) = match computed {
            Some(computed) => {
                let (filtered, first) = computed.write(&mut writer);
                let staged = Staged {
                    total: computed.total,
                    filtered: computed.filtered + filtered,
                    unselected: computed.unselected,
                    ..Staged::default()
                };
                (staged, computed.first_error.clone().or(first))
            }
            None => {
                let mut text = TextLoad::new(&target.schema.columns, options, now(cluster));
                text.read(bytes, &mut writer).map_err(Failure::text)?;
                let staged = Staged { total: text.total, filtered: text.filtered, ..Staged::default() };
                (staged, text.first_error)
            }
        };
        // Rows that were not asked for are no part of the ratio.
        let allowed = options.max_filter_ratio * (staged.total - staged.unselected) as f64;
        if staged.filtered as f64 > allowed {
            let first = first_error.unwrap_or_default();
            staged.refused =
                Some(format!("[DATA_QUALITY_ERROR]too many filtered rows. first_error_msg: {first}"));
            return Ok(staged);
        }
        if writer.missing.is_empty() {
            staged.writes = writer.stage(cluster, load.txn_id, load.load_id).map_err(Failure::sql)?.0;
            return Ok(staged);
        }
        auto_partition::create(cluster, target, &writer.missing).map_err(Failure::sql)?;
        *target = LoadTarget::plan(cluster, &target.db, &target.table, target.choice.clone())
            .map_err(Failure::sql)?;
    }
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Why a load failed.
#[derive(Debug)]
struct Failure {
    message: String,
    /// Set when the label is taken: `RUNNING`, `PRECOMMITTED` or `FINISHED`.
    existing_job: Option<&'static str>,
}

impl Failure {
    fn text(message: impl Into<String>) -> Self {
        Self { message: message.into(), existing_job: None }
    }

    fn sql(error: crate::error::SqlError) -> Self {
        Self::text(format!("[ANALYSIS_ERROR]{error}"))
    }

    fn begin(cluster: &ClusterInner, target: &LoadTarget, error: TxnError) -> Self {
        match &error {
            TxnError::LabelUsed { txn_id, .. } => {
                let state = cluster.fe.lock();
                let status = state.txns.get(target.db_id, *txn_id).map(|txn| txn.status);
                let job = match status {
                    Some(TxnStatus::Prepare) => "RUNNING",
                    Some(TxnStatus::Precommitted) => "PRECOMMITTED",
                    Some(TxnStatus::Committed | TxnStatus::Visible | TxnStatus::Aborted) | None => "FINISHED",
                };
                Self { message: format!("[LABEL_ALREADY_EXISTS]{error}"), existing_job: Some(job) }
            }
            TxnError::MetaNotFound(_) | TxnError::User(_) => Self::text(format!("[ANALYSIS_ERROR]{error}")),
        }
    }
}

/// The answer of a load.
#[derive(Debug)]
struct Report {
    txn_id: i64,
    label: String,
    status: &'static str,
    existing_job: Option<&'static str>,
    message: String,
    total: u64,
    filtered: u64,
    unselected: u64,
    two_phase_commit: bool,
    bytes: u64,
    started: Instant,
    begin_ms: u64,
    read_ms: u64,
    write_ms: u64,
    commit_ms: u64,
}

impl Default for Report {
    fn default() -> Self {
        Self {
            txn_id: -1,
            label: String::new(),
            status: "Fail",
            existing_job: None,
            message: String::new(),
            total: 0,
            filtered: 0,
            unselected: 0,
            two_phase_commit: false,
            bytes: 0,
            started: Instant::now(),
            begin_ms: 0,
            read_ms: 0,
            write_ms: 0,
            commit_ms: 0,
        }
    }
}

impl Report {
    fn rows(&mut self, staged: &Staged) {
        self.total = staged.total;
        self.filtered = staged.filtered;
        self.unselected = staged.unselected;
    }

    fn fail(&mut self, failure: Failure) {
        self.status = if failure.existing_job.is_some() { "Label Already Exists" } else { "Fail" };
        self.existing_job = failure.existing_job;
        self.message = failure.message;
    }

    fn document(&self) -> Document {
        let loaded = if self.status == "Fail" { 0 } else { self.total - self.filtered - self.unselected };
        let mut document = json!({
            "TxnId": self.txn_id,
            "Label": self.label,
            "Comment": "",
            "TwoPhaseCommit": self.two_phase_commit.to_string(),
            "Status": self.status,
            "Message": self.message,
            "NumberTotalRows": self.total,
            "NumberLoadedRows": loaded,
            "NumberFilteredRows": self.filtered,
            "NumberUnselectedRows": self.unselected,
            "LoadBytes": self.bytes,
            "LoadTimeMs": millis(self.started),
            "BeginTxnTimeMs": self.begin_ms,
            "StreamLoadPutTimeMs": 0,
            "ReadDataTimeMs": self.read_ms,
            "WriteDataTimeMs": self.write_ms,
            "ReceiveDataTimeMs": self.read_ms,
            "CommitAndPublishTimeMs": self.commit_ms,
        });
        if let (Some(job), Some(fields)) = (self.existing_job, document.as_object_mut()) {
            fields.insert("ExistingJobStatus".to_owned(), job.into());
        }
        document
    }
}
