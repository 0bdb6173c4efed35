//! beginTxn, commitTxn, rollbackTxn.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use doris_thrift::{
    TBeginTxnRequest, TBeginTxnResult, TCommitTxnRequest, TCommitTxnResult, TRollbackTxnRequest,
    TRollbackTxnResult, TStatus, TStatusCode, TTabletCommitInfo,
};

use super::auth::{Caller, Right, check_code_token_or_password, check_password};
use super::{Refusal, database_named, is_set, required};
use crate::access::Wanted;
use crate::cluster::ClusterInner;
use crate::fault::Hold;
use crate::state::FeState;
use crate::txn::{
    self, BeginTxn, CommitOutcome, CommitTxn, Coordinator, SubTxnCommit, TabletWrites, TxnStatus,
    commit_and_publish,
};

/// `try_commit_lock_timeout_seconds`: how long a commit waits when the caller names no time.
const DEFAULT_COMMIT_WAIT: Duration = Duration::from_secs(5);

/// How long a rollback waits for the locks of its tables.
const ROLLBACK_LOCK_WAIT: Duration = Duration::from_secs(5);

pub(super) fn begin(
    cluster: &ClusterInner,
    peer: SocketAddr,
    req: &TBeginTxnRequest,
) -> Result<TBeginTxnResult, Refusal> {
    let user = required(req.user.as_deref(), "user")?;
    let password = required(req.passwd.as_deref(), "passwd")?;
    let db_name = required(req.db.as_deref(), "db")?;
    let table_ids = required(req.table_ids.as_ref(), "table ids")?;
    let label = required(req.label.as_deref(), "label")?;

    let mut state = cluster.fe.lock();
    let ip = req.user_ip.as_deref();
    let db_id = if is_set(req.token.as_ref()) {
        let missing = || Refusal::meta_not_found(format!("unknown database, database={db_name}"));
        state.database_named(db_name).ok_or_else(missing)?.id
    } else {
        let db = state
            .database_named(db_name)
            .ok_or_else(|| Refusal::user(format!("can't find db named: {db_name}")))?;
        if let Some(unknown) = table_ids.iter().find(|id| !db.tables.contains_key(id)) {
            return Err(Refusal::user(format!("can't find table id: {unknown} in db: {db_name}")));
        }
        let id = db.id;
        check_password(&state, Caller { user, password, ip })?.on_tables(
            &state,
            id,
            table_ids,
            Wanted::LOAD,
        )?;
        id
    };
    let outcome = txn::begin(
        &mut state,
        BeginTxn {
            db_id,
            table_ids: table_ids.clone(),
            label: label.to_owned(),
            request_id: req.request_id.as_ref().map(|id| (id.hi, id.lo)),
            timeout_s: req.timeout,
            coordinator: Coordinator::Backend {
                id: req.backend_id.unwrap_or(0),
                host: peer.ip().to_string(),
            },
            planned_indexes: None,
            sub_txn_num: req.sub_txn_num.unwrap_or(0),
            now_ms: cluster.clock.now_ms(),
        },
    )?;
    Ok(TBeginTxnResult {
        status: Some(TStatus::ok()),
        txn_id: Some(outcome.txn_id),
        db_id: (!outcome.repeated).then_some(db_id),
        // A repeat is told the transaction only.
        sub_txn_ids: (!outcome.repeated && !outcome.sub_txn_ids.is_empty()).then_some(outcome.sub_txn_ids),
        ..TBeginTxnResult::default()
    })
}

pub(super) async fn commit(
    cluster: &Arc<ClusterInner>,
    req: &TCommitTxnRequest,
) -> Result<TCommitTxnResult, Refusal> {
    let user = required(req.user.as_deref(), "user")?;
    let password = required(req.passwd.as_deref(), "passwd")?;
    let db_name = required(req.db.as_deref(), "db")?;
    let txn_id = required(req.txn_id, "txn_id")?;
    let mut commit = CommitTxn { txn_id, only_commit: req.only_commit == Some(true), ..CommitTxn::default() };
    if req.txn_insert == Some(true) {
        let infos = required(req.sub_txn_infos.as_ref(), "sub_txn_infos")?;
        let sub_txn = |info: &doris_thrift::TSubTxnInfo| SubTxnCommit {
            sub_txn_id: info.sub_txn_id.unwrap_or_default(),
            table_id: info.table_id.unwrap_or_default(),
            writes: writes(info.tablet_commit_infos.as_deref().unwrap_or_default()),
        };
        commit.sub_txns = Some(infos.iter().map(sub_txn).collect());
    } else {
        commit.writes = writes(required(req.commit_infos.as_ref(), "commit_infos")?);
    }
    let default_wait;
    {
        let state = cluster.fe.lock();
        let caller = Caller { user, password, ip: req.user_ip.as_deref() };
        let right = check_code_token_or_password(&state, caller, req.auth_code, req.token.as_ref())?;
        commit.db_id = database_id(&state, req.db_id, db_name)?;
        default_wait = state
            .config
            .get("try_commit_lock_timeout_seconds")
            .and_then(|seconds| seconds.parse().ok())
            .map_or(DEFAULT_COMMIT_WAIT, Duration::from_secs);
        check_tables_of(&state, right, commit.db_id, txn_id)?;
    }
    let wait = match req.thrift_rpc_timeout_ms {
        Some(ms) => Duration::from_millis(u64::try_from(ms / 2).unwrap_or(0)),
        None => default_wait,
    };
    let asked = Instant::now();
    lock_tables(cluster, commit.db_id, txn_id, wait).await?;
    let wait = wait.saturating_sub(asked.elapsed());
    let status = match commit_and_publish(cluster, commit, wait).await? {
        CommitOutcome::Visible | CommitOutcome::Committed => TStatus::ok(),
        CommitOutcome::PublishTimeout => TStatus::new(
            TStatusCode::PUBLISH_TIMEOUT,
            "transaction commit successfully, BUT data will be visible later",
        ),
    };
    Ok(TCommitTxnResult { status: Some(status), ..TCommitTxnResult::default() })
}

pub(super) async fn rollback(
    cluster: &ClusterInner,
    req: &TRollbackTxnRequest,
) -> Result<TRollbackTxnResult, Refusal> {
    let user = required(req.user.as_deref(), "user")?;
    let password = required(req.passwd.as_deref(), "passwd")?;
    let db_name = required(req.db.as_deref(), "db")?;
    let txn_id = required(req.txn_id, "txn_id")?;
    let db_id = {
        let state = cluster.fe.lock();
        let caller = Caller { user, password, ip: req.user_ip.as_deref() };
        let right = check_code_token_or_password(&state, caller, req.auth_code, req.token.as_ref())?;
        let db_id = database_id(&state, req.db_id, db_name)?;
        check_tables_of(&state, right, db_id, txn_id)?;
        db_id
    };
    let was_running = cluster.fe.lock().txns.running(db_id).any(|txn| txn.id == txn_id);
    lock_tables(cluster, db_id, txn_id, ROLLBACK_LOCK_WAIT).await?;
    if was_running {
        check_not_ended(&cluster.fe.lock(), db_id, txn_id)?;
    }
    txn::abort_and_clear(cluster, db_id, txn_id, req.reason.as_deref().unwrap_or_default())?;
    Ok(TRollbackTxnResult { status: Some(TStatus::ok()), ..TRollbackTxnResult::default() })
}

/// A transaction that ended between its look-up and the abort is told by its state, unlike one that was found
/// ended.
fn check_not_ended(state: &FeState, db_id: i64, txn_id: i64) -> Result<(), Refusal> {
    let Some(txn) = state.txns.get(db_id, txn_id) else { return Ok(()) };
    match txn.status {
        TxnStatus::Aborted => Err(Refusal::user(format!(
            "transaction [{txn_id}] is already aborted, abort reason: {}",
            txn.reason
        ))),
        TxnStatus::Visible => {
            Err(Refusal::user(format!("transaction [{txn_id}] is already VISIBLE, could not abort.")))
        }
        TxnStatus::Prepare | TxnStatus::Precommitted | TxnStatus::Committed => Ok(()),
    }
}

/// Waits for the write locks of the tables of a transaction that is running.
async fn lock_tables(
    cluster: &ClusterInner,
    db_id: i64,
    txn_id: i64,
    limit: Duration,
) -> Result<(), Refusal> {
    let tables: Vec<(i64, String)> = {
        let state = cluster.fe.lock();
        let db = state.databases.get(&db_id);
        let ids = state.txns.running(db_id).find(|txn| txn.id == txn_id).map(|txn| txn.table_ids.clone());
        let described = |id: i64| {
            let table = db?.tables.get(&id)?;
            let kind = table.as_olap().map_or("VIEW", |table| table.type_name());
            Some((id, format!("Table [id={id}, name={}, type={kind}]", table.name())))
        };
        ids.into_iter().flatten().filter_map(described).collect()
    };
    let locks: Vec<Hold> = tables.iter().map(|(id, _)| Hold::Table(*id)).collect();
    if cluster.holds.free(&locks, limit).await {
        return Ok(());
    }
    let names: Vec<&str> = tables.iter().map(|(_, text)| text.as_str()).collect();
    Err(Refusal::user(format!("get tableList write lock timeout, tableList=({})", names.join(","))))
}

/// LOAD on the tables of a transaction. One that nobody knows is reported as such later.
fn check_tables_of(state: &FeState, right: Right<'_>, db_id: i64, txn_id: i64) -> Result<(), Refusal> {
    match state.txns.get(db_id, txn_id) {
        Some(txn) => right.on_tables(state, db_id, &txn.table_ids, Wanted::LOAD),
        None => Ok(()),
    }
}

/// The id wins over the name.
fn database_id(state: &FeState, id: Option<i64>, name: &str) -> Result<i64, Refusal> {
    match id.filter(|id| *id > 0) {
        Some(id) if state.databases.contains_key(&id) => Ok(id),
        Some(_) => Err(Refusal::user(format!("unknown database, database={name}"))),
        None => database_named(state, name).map(|db| db.id),
    }
}

fn writes(infos: &[TTabletCommitInfo]) -> TabletWrites {
    infos.iter().map(|info| (info.tablet_id, info.backend_id)).collect()
}
