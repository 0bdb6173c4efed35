//! getBinlog, getBinlogLag, lockBinlog.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use doris_thrift::{
    TBinlog, TBinlogType, TGetBinlogLagResult, TGetBinlogRequest, TGetBinlogResult, TLockBinlogRequest,
    TLockBinlogResult, TStatus, TStatusCode,
};

use super::auth::{Caller, check_password_unless_token};
use super::{Refusal, database_named, required};
use crate::access::Wanted;
use crate::binlog::{BinlogEntry, Dummy, Knowledge, LockError, NoList, ReadOutcome, Scope};
use crate::cluster::ClusterInner;
use crate::model::{Database, Table};
use crate::release::Release;
use crate::state::FeState;

pub(super) async fn get(
    cluster: &ClusterInner,
    fe: usize,
    req: &TGetBinlogRequest,
) -> Result<TGetBinlogResult, Refusal> {
    let is_master = cluster.is_master(fe);
    let replayed = wait_for_replay(cluster, fe).await;
    let (scope, prev) = positioned(cluster, req)?;
    let (outcome, release, knowledge) = {
        let state = cluster.fe.lock();
        let outcome = state.binlogs.read(scope, prev, req.num_acquired.unwrap_or(1)).up_to(replayed);
        let knowledge: Vec<Knowledge> = match &outcome {
            ReadOutcome::Entries(entries) => {
                entries.iter().map(|entry| state.binlogs.knowledge(entry, is_master)).collect()
            }
            ReadOutcome::Missing(_) | ReadOutcome::TooOld(_) | ReadOutcome::TooNew => Vec::new(),
        };
        (outcome, state.release, knowledge)
    };
    // Entries are shared, so they are copied into the reply without the lock.
    let (status, binlogs) = match outcome {
        ReadOutcome::Missing(missing) => (no_list(missing), None),
        ReadOutcome::TooNew => {
            (TStatus::new(TStatusCode::BINLOG_TOO_NEW_COMMIT_SEQ, "too new commit seq"), None)
        }
        ReadOutcome::TooOld(dummy) => {
            let status = TStatus::new(TStatusCode::BINLOG_TOO_OLD_COMMIT_SEQ, "too old commit seq");
            (status, (!release.is_old()).then(|| vec![from_dummy(dummy)]))
        }
        ReadOutcome::Entries(entries) => {
            let told = entries.iter().zip(knowledge).map(|(entry, knowledge)| {
                let knowledge = if release.is_old() { Knowledge::WithoutIndexes } else { knowledge };
                from_entry(entry, knowledge, release)
            });
            (TStatus::ok(), Some(told.collect()))
        }
    };
    Ok(TGetBinlogResult { status: Some(status), binlogs, ..TGetBinlogResult::default() })
}

/// A follower first waits until it has replayed what the master had written when it was asked. Gives the newest
/// journal id that it knows then.
async fn wait_for_replay(cluster: &ClusterInner, fe: usize) -> i64 {
    let delay = || {
        let nodes = cluster.frontends.read();
        nodes.get(&fe).filter(|node| !node.is_master).map_or(Duration::ZERO, |node| node.replay_delay)
    };
    if delay().is_zero() {
        return i64::MAX;
    }
    let (newest, written) = {
        let state = cluster.fe.lock();
        (state.journal_id, state.journal_time)
    };
    loop {
        let changed = cluster.changed.notified();
        tokio::pin!(changed);
        // Registered before looking, so that no change in between is missed.
        changed.as_mut().enable();
        let replayed_at = written + delay();
        if Instant::now() >= replayed_at {
            return newest;
        }
        // Either outcome leads to the next look.
        drop(tokio::time::timeout_at(replayed_at.into(), changed).await);
    }
}

pub(super) fn lag(cluster: &ClusterInner, req: &TGetBinlogRequest) -> Result<TGetBinlogLagResult, Refusal> {
    let (scope, prev) = positioned(cluster, req)?;
    let (lag, is_old) = {
        let state = cluster.fe.lock();
        (state.binlogs.lag(scope, prev), state.release.is_old())
    };
    let lag = match lag {
        Ok(lag) if is_old => {
            return Ok(TGetBinlogLagResult {
                status: Some(TStatus::ok()),
                lag: Some(lag.lag),
                ..TGetBinlogLagResult::default()
            });
        }
        Ok(lag) => lag,
        Err(missing) => {
            return Ok(TGetBinlogLagResult {
                status: Some(no_list(missing)),
                ..TGetBinlogLagResult::default()
            });
        }
    };
    Ok(TGetBinlogLagResult {
        status: Some(TStatus::ok()),
        lag: Some(lag.lag),
        master_address: None,
        first_commit_seq: Some(lag.first_commit_seq),
        last_commit_seq: Some(lag.last_commit_seq),
        first_binlog_timestamp: Some(lag.first_timestamp_ms),
        last_binlog_timestamp: Some(lag.last_timestamp_ms),
        next_commit_seq: Some(lag.next_commit_seq),
        next_binlog_timestamp: Some(lag.next_timestamp_ms),
    })
}

pub(super) fn lock(
    cluster: &ClusterInner,
    peer: SocketAddr,
    req: &TLockBinlogRequest,
) -> Result<TLockBinlogResult, Refusal> {
    let user = required(req.user.as_deref(), "user")?;
    let password = required(req.passwd.as_deref(), "passwd")?;
    let db_name = required(req.db.as_deref(), "db")?;
    let job = required(req.job_unique_id.as_deref(), "job_unique_id")?;
    let mut state = cluster.fe.lock();
    let ip = peer.ip().to_string();
    check_password_unless_token(&state, Caller { user, password, ip: Some(&ip) }, req.token.as_ref())?
        .on_table(&state, db_name, req.table.as_deref(), Wanted::SELECT)?;
    let scope = scope(database_named(&state, db_name)?, req.table_id, req.table.as_deref())?;
    let (status, locked) = match state.binlogs.lock(scope, job, req.lock_commit_seq.unwrap_or(-1)) {
        Ok(held) => (TStatus::ok(), held),
        Err(LockError::TooNew) => {
            (TStatus::new(TStatusCode::BINLOG_TOO_NEW_COMMIT_SEQ, "too new commit seq"), -1)
        }
        Err(LockError::Missing(missing)) => (no_list(missing), -1),
    };
    Ok(TLockBinlogResult {
        status: Some(status),
        locked_commit_seq: Some(locked),
        ..TLockBinlogResult::default()
    })
}

/// Checks a read and finds its list and position.
fn positioned(cluster: &ClusterInner, req: &TGetBinlogRequest) -> Result<(Scope, i64), Refusal> {
    let user = required(req.user.as_deref(), "user")?;
    let password = required(req.passwd.as_deref(), "passwd")?;
    let db_name = required(req.db.as_deref(), "db")?;
    let prev = required(req.prev_commit_seq, "prev_commit_seq")?;
    let state: &FeState = &cluster.fe.lock();
    let ip = req.user_ip.as_deref();
    check_password_unless_token(state, Caller { user, password, ip }, req.token.as_ref())?.on_table(
        state,
        db_name,
        req.table.as_deref(),
        Wanted::SELECT,
    )?;
    let scope = scope(database_named(state, db_name)?, req.table_id, req.table.as_deref())?;
    Ok((scope, prev))
}

/// A table id is believed; a name is looked up and must be a table that holds data.
fn scope(db: &Database, table_id: Option<i64>, table: Option<&str>) -> Result<Scope, Refusal> {
    if let Some(table_id) = table_id {
        return Ok(Scope::Table { db_id: db.id, table_id });
    }
    let Some(name) = table.filter(|name| !name.is_empty()) else { return Ok(Scope::Database(db.id)) };
    match db.table_named(name) {
        Some(Table::Olap(table)) => Ok(Scope::Table { db_id: db.id, table_id: table.id }),
        Some(Table::View(_)) => {
            Err(Refusal::meta_not_found(format!("table type is not OLAP, tableName={name}, type=VIEW")))
        }
        None => Err(Refusal::meta_not_found(format!("table not found, tableName={name}"))),
    }
}

fn no_list(missing: NoList) -> TStatus {
    match missing {
        NoList::Database => TStatus::new(TStatusCode::BINLOG_NOT_FOUND_DB, "binlog of the db not found"),
        NoList::Table => TStatus::new(TStatusCode::BINLOG_NOT_FOUND_TABLE, "binlog of the table not found"),
    }
}

fn from_entry(entry: &BinlogEntry, knowledge: Knowledge, release: Release) -> TBinlog {
    let data = entry.data_as(knowledge);
    let (binlog_type, data) = release.tell(entry.binlog_type, entry.db_id, &entry.table_ids, data);
    TBinlog {
        commit_seq: Some(entry.commit_seq),
        timestamp: Some(entry.timestamp_ms),
        binlog_type: Some(TBinlogType(binlog_type.0)),
        db_id: Some(entry.db_id),
        table_ids: (!entry.table_ids.is_empty()).then(|| entry.table_ids.clone()),
        data: Some(data.into_owned()),
        belong: None,
        table_ref: Some(entry.table_lists.load(Ordering::Relaxed)),
        remove_enable_cache: Some(entry.resets_flags),
    }
}

fn from_dummy(dummy: Dummy) -> TBinlog {
    TBinlog {
        commit_seq: Some(dummy.commit_seq),
        timestamp: Some(dummy.timestamp_ms),
        binlog_type: Some(TBinlogType::DUMMY),
        db_id: Some(dummy.db_id),
        belong: Some(dummy.belong),
        table_ref: Some(0),
        remove_enable_cache: Some(false),
        ..TBinlog::default()
    }
}
