//! The methods as a client sees their statuses and texts.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use doris_thrift::*;

use super::FrontendRpc;
use crate::binlog::BinlogType;
use crate::cluster::ClusterInner;
use crate::fault::{Fault, FaultKind, NodeId};
use crate::testkit::{self, Spec, alter, create_db, create_table, create_view, frontend, stage, table};

const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 1, 2, 3)), 999);

struct Rig {
    cluster: Arc<ClusterInner>,
    rpc: FrontendRpc,
    db: i64,
    table: i64,
}

/// A master and a follower, database `d` with table `t`.
fn rig() -> Rig {
    let cluster = testkit::cluster(1);
    cluster.frontends.write().insert(1, frontend("fe2", 9120, false));
    let db = create_db(&cluster, "d", true);
    let table = create_table(&cluster, db, &Spec::new("t").bounds(&[10]));
    Rig { rpc: FrontendRpc::new(Arc::clone(&cluster), 0), cluster, db, table }
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn begin(rig: &Rig, label: &str) -> TBeginTxnRequest {
    TBeginTxnRequest {
        user: some("root"),
        passwd: some(""),
        db: some("d"),
        table_ids: Some(vec![rig.table]),
        label: some(label),
        ..TBeginTxnRequest::default()
    }
}

fn binlog_request() -> TGetBinlogRequest {
    TGetBinlogRequest {
        user: some("root"),
        passwd: some(""),
        db: some("d"),
        prev_commit_seq: Some(-1),
        ..TGetBinlogRequest::default()
    }
}

fn said(status: Option<TStatus>) -> (TStatusCode, String) {
    let status = status.expect("every result has a status");
    (status.status_code, status.text())
}

fn user_error(text: &str) -> (TStatusCode, String) {
    (TStatusCode::ANALYSIS_ERROR, format!("errCode = 2, detailMessage = {text}"))
}

#[tokio::test]
async fn begin_checks_presence_account_database_and_tables() {
    type Change = fn(&mut TBeginTxnRequest);
    let rig = rig();
    let full = begin(&rig, "l");
    let unknown_db = "errCode = 7, detailMessage = unknown database, database=x".to_owned();
    let cases: Vec<(Change, (TStatusCode, String))> = vec![
        (|req| req.user = None, user_error("user is not set")),
        (|req| req.passwd = None, user_error("passwd is not set")),
        (|req| req.db = None, user_error("db is not set")),
        (|req| req.table_ids = None, user_error("table ids is not set")),
        (|req| req.label = None, user_error("label is not set")),
        (|req| req.db = some("x"), user_error("can't find db named: x")),
        (|req| req.table_ids = Some(vec![7]), user_error("can't find table id: 7 in db: d")),
        (
            |req| req.passwd = some("wrong"),
            user_error("Access denied for user 'root@null' (using password: YES)"),
        ),
        (
            |req| {
                req.user = some("nobody");
                req.user_ip = some("10.0.0.1");
            },
            user_error("Access denied for user 'nobody@10.0.0.1' (using password: NO)"),
        ),
        (
            |req| {
                req.token = some("anything");
                req.db = some("x");
            },
            (TStatusCode::ANALYSIS_ERROR, unknown_db),
        ),
    ];
    for (change, expected) in cases {
        let mut req = full.clone();
        change(&mut req);
        let result = rig.rpc.begin_txn(PEER, req).await.unwrap();
        assert_eq!(said(result.status), expected);
        assert_eq!(result.txn_id, None);
    }
    // Any token passes, and the tables are not looked at then.
    let mut req = full;
    req.token = some("anything");
    req.passwd = some("wrong");
    req.table_ids = Some(vec![7]);
    let result = rig.rpc.begin_txn(PEER, req).await.unwrap();
    assert!(said(result.status).0 == TStatusCode::OK && result.txn_id.is_some());
    assert_eq!(result.db_id, Some(rig.db));
}

fn commit(txn_id: i64, writes: &[(i64, i64)]) -> TCommitTxnRequest {
    TCommitTxnRequest {
        user: some("root"),
        passwd: some(""),
        db: some("d"),
        txn_id: Some(txn_id),
        commit_infos: Some(writes.iter().map(|(tablet, be)| TTabletCommitInfo::new(*tablet, *be)).collect()),
        thrift_rpc_timeout_ms: Some(40),
        ..TCommitTxnRequest::default()
    }
}

#[tokio::test]
async fn a_used_label_names_its_transaction_in_the_text_only() {
    let rig = rig();
    let id = rig.rpc.begin_txn(PEER, begin(&rig, "l")).await.unwrap().txn_id.unwrap();
    let again = rig.rpc.begin_txn(PEER, begin(&rig, "l")).await.unwrap();
    assert_eq!((again.txn_id, again.job_status.as_deref()), (None, Some("RUNNING")));
    let (code, text) = said(again.status);
    assert_eq!(code, TStatusCode::LABEL_ALREADY_EXISTS);
    let used = format!("Label [l] has already been used, relate to txn [{id}], status [PREPARE].");
    assert!(text.contains(&used), "{text}");

    let t = table(&rig.cluster, rig.db, "t");
    let writes = stage(&rig.cluster, id, &t, "p0", &[(1, 1)]);
    let committed = rig.rpc.commit_txn(PEER, commit(id, &writes)).await.unwrap();
    assert_eq!(said(committed.status), (TStatusCode::OK, String::new()));
    let again = rig.rpc.begin_txn(PEER, begin(&rig, "l")).await.unwrap();
    assert_eq!(again.job_status.as_deref(), Some("FINISHED"));

    let with_id = TBeginTxnRequest { request_id: Some(TUniqueId::new(1, 2)), ..begin(&rig, "m") };
    let first = rig.rpc.begin_txn(PEER, with_id.clone()).await.unwrap();
    let repeat = rig.rpc.begin_txn(PEER, with_id).await.unwrap();
    assert_eq!((repeat.txn_id, repeat.db_id), (first.txn_id, None));
}

#[tokio::test]
async fn commit_and_rollback_check_code_token_then_password() {
    let rig = rig();
    let token = rig.cluster.fe.lock().token.clone();
    let missing = "transaction [99] not found";
    let cases: Vec<(Option<i64>, Option<&str>, &str, &str)> = vec![
        (None, None, "", missing),
        (None, None, "wrong", "Access denied for user 'root@null' (using password: YES)"),
        (None, Some(&token), "wrong", missing),
        (None, Some("other"), "", "Invalid token"),
        (Some(0), Some("other"), "wrong", missing),
    ];
    for (auth_code, token, password, text) in cases {
        let token = token.map(str::to_owned);
        let req =
            TCommitTxnRequest { auth_code, token: token.clone(), passwd: some(password), ..commit(99, &[]) };
        assert_eq!(said(rig.rpc.commit_txn(PEER, req).await.unwrap().status), user_error(text));
        let req = TRollbackTxnRequest {
            user: some("root"),
            auth_code,
            token,
            passwd: some(password),
            db: some("d"),
            txn_id: Some(99),
            ..TRollbackTxnRequest::default()
        };
        assert_eq!(said(rig.rpc.rollback_txn(PEER, req).await.unwrap().status), user_error(text));
    }
    let presence = [
        (TCommitTxnRequest { txn_id: None, ..commit(1, &[]) }, "txn_id is not set"),
        (TCommitTxnRequest { commit_infos: None, ..commit(1, &[]) }, "commit_infos is not set"),
        (TCommitTxnRequest { txn_insert: Some(true), ..commit(1, &[]) }, "sub_txn_infos is not set"),
        (TCommitTxnRequest { db: some("x"), ..commit(1, &[]) }, "unknown database, database=x"),
        // The database's id wins over its name.
        (TCommitTxnRequest { db: some("x"), db_id: Some(rig.db), ..commit(99, &[]) }, missing),
    ];
    for (req, text) in presence {
        assert_eq!(said(rig.rpc.commit_txn(PEER, req).await.unwrap().status), user_error(text));
    }
}

#[tokio::test]
async fn a_publish_that_takes_too_long_is_told_apart_from_a_failure() {
    let rig = rig();
    rig.cluster.fe.lock().txns.publish_delay_ms = 60_000;
    let id = rig.rpc.begin_txn(PEER, begin(&rig, "l")).await.unwrap().txn_id.unwrap();
    let t = table(&rig.cluster, rig.db, "t");
    let writes = stage(&rig.cluster, id, &t, "p0", &[]);
    let late = said(rig.rpc.commit_txn(PEER, commit(id, &writes)).await.unwrap().status);
    let text = "transaction commit successfully, BUT data will be visible later".to_owned();
    assert_eq!(late, (TStatusCode::PUBLISH_TIMEOUT, text));
    let only = TCommitTxnRequest { only_commit: Some(true), ..commit(id, &writes) };
    assert_eq!(said(rig.rpc.commit_txn(PEER, only).await.unwrap().status).0, TStatusCode::OK);
}

#[tokio::test]
async fn followers_send_to_the_master_and_only_get_binlog_says_where() {
    let rig = rig();
    let follower = FrontendRpc::new(Arc::clone(&rig.cluster), 1);
    let not_master = (TStatusCode::NOT_MASTER, "FE is not master".to_owned());
    let begun = follower.begin_txn(PEER, begin(&rig, "l")).await.unwrap();
    assert_eq!((said(begun.status), begun.master_address), (not_master.clone(), None));
    let got = follower.get_binlog(PEER, binlog_request()).await.unwrap();
    assert_eq!(said(got.status), not_master);
    assert_eq!(got.master_address, Some(TNetworkAddress::new("127.0.0.1", 9020)));
    let lag = follower.get_binlog_lag(PEER, binlog_request()).await.unwrap();
    assert_eq!((said(lag.status), lag.master_address), (not_master.clone(), None));
    let meta = follower.get_meta(PEER, TGetMetaRequest::default()).await.unwrap();
    assert_eq!(said(Some(meta.status)), not_master);
    let token = follower.get_master_token(PEER, TGetMasterTokenRequest::default()).await.unwrap();
    assert_eq!(said(token.status), not_master);

    let allowed = TGetBinlogRequest { allow_follower_read: Some(true), ..binlog_request() };
    let got = follower.get_binlog(PEER, allowed).await.unwrap();
    assert_eq!(said(got.status).0, TStatusCode::BINLOG_NOT_FOUND_DB);
    let backends = TGetBackendMetaRequest {
        user: some("root"),
        passwd: some(""),
        backend_id: Some(1),
        ..TGetBackendMetaRequest::default()
    };
    let backends = follower.get_backend_meta(PEER, backends).await.unwrap();
    assert!(backends.status.is_ok() && backends.backends.unwrap().len() == 1);
}

#[tokio::test]
async fn get_binlog_finds_its_list_and_answers_by_position() {
    let rig = rig();
    create_view(&rig.cluster, rig.db, "v", "SELECT 1");
    let get = |change: fn(&mut TGetBinlogRequest)| {
        let mut req = binlog_request();
        change(&mut req);
        rig.rpc.get_binlog(PEER, req)
    };
    let code = |result: &TGetBinlogResult| result.status.as_ref().unwrap().status_code;
    assert_eq!(code(&get(|_| {}).await.unwrap()), TStatusCode::BINLOG_NOT_FOUND_DB);
    {
        let now = rig.cluster.clock.now_ms();
        let state = &mut *rig.cluster.fe.lock();
        state.journal_binlog(now, BinlogType::CREATE_TABLE, rig.db, &[rig.table], |_| "{}".to_owned());
    }
    assert_eq!(code(&get(|req| req.table = some("t")).await.unwrap()), TStatusCode::BINLOG_NOT_FOUND_TABLE);
    let missing = said(get(|req| req.table = some("x")).await.unwrap().status);
    let text = "errCode = 7, detailMessage = table not found, tableName=x".to_owned();
    assert_eq!(missing, (TStatusCode::ANALYSIS_ERROR, text));
    let view = get(|req| req.table = some("v")).await.unwrap();
    assert_eq!(code(&view), TStatusCode::ANALYSIS_ERROR);
    let unchecked = get(|req| req.table_id = Some(424_242)).await.unwrap();
    assert_eq!(code(&unchecked), TStatusCode::BINLOG_NOT_FOUND_TABLE);

    let first = get(|_| {}).await.unwrap();
    assert_eq!(code(&first), TStatusCode::OK);
    let binlogs = first.binlogs.unwrap();
    let [entry] = binlogs.as_slice() else { panic!("{binlogs:?}") };
    assert_eq!(entry.binlog_type, Some(TBinlogType::CREATE_TABLE));
    assert_eq!((entry.table_ids.clone(), entry.belong), (Some(vec![rig.table]), None));
    let caught_up = get(|req| req.prev_commit_seq = Some(i64::MAX)).await.unwrap();
    assert_eq!(code(&caught_up), TStatusCode::BINLOG_TOO_NEW_COMMIT_SEQ);
    assert_eq!(caught_up.binlogs, None);

    rig.cluster.clock.advance_ms(90_000_000);
    crate::binlog::collect_garbage_and_tell_backends(&rig.cluster);
    let expired = get(|_| {}).await.unwrap();
    assert_eq!(code(&expired), TStatusCode::BINLOG_TOO_OLD_COMMIT_SEQ);
    let dummies = expired.binlogs.unwrap();
    assert_eq!(dummies[0].binlog_type, Some(TBinlogType::DUMMY));
    assert_eq!((dummies[0].commit_seq, dummies[0].belong), (entry.commit_seq, Some(-1)));
    assert_eq!((dummies[0].data.clone(), dummies[0].table_ids.clone()), (None, None));
    let lag = rig.rpc.get_binlog_lag(PEER, binlog_request()).await.unwrap();
    assert_eq!((said(lag.status).0, lag.lag), (TStatusCode::OK, Some(1)));
}

/// The index ids that a frontend tells of the only upsert.
async fn told_indexes(rpc: &FrontendRpc, table: i64) -> Option<Vec<i64>> {
    let req = TGetBinlogRequest { allow_follower_read: Some(true), ..binlog_request() };
    let binlogs = rpc.get_binlog(PEER, req).await.unwrap().binlogs.unwrap();
    let record: doris_types::record::UpsertRecord =
        serde_json::from_str(binlogs[0].data.as_ref().unwrap()).unwrap();
    record.table_records[&table].index_ids.clone()
}

#[tokio::test]
async fn replaying_frontends_tell_all_indexes_of_an_upsert() {
    let rig = rig();
    let follower = FrontendRpc::new(Arc::clone(&rig.cluster), 1);
    let id = rig.rpc.begin_txn(PEER, begin(&rig, "l")).await.unwrap().txn_id.unwrap();
    let t = table(&rig.cluster, rig.db, "t");
    let writes = stage(&rig.cluster, id, &t, "p0", &[]);
    assert_eq!(said(rig.rpc.commit_txn(PEER, commit(id, &writes)).await.unwrap().status).0, TStatusCode::OK);
    let all = Some(vec![t.base_index_id]);
    assert_eq!(told_indexes(&rig.rpc, rig.table).await, None);
    assert_eq!(told_indexes(&follower, rig.table).await, all);
    // A restart or a change of master replays the journal.
    rig.cluster.fe.lock().binlogs.start_reign(0);
    assert_eq!(told_indexes(&rig.rpc, rig.table).await, all);
    rig.cluster.fe.lock().release = crate::release::Release::V2_1;
    assert_eq!(told_indexes(&rig.rpc, rig.table).await, None);
}

#[tokio::test]
async fn old_frontends_tell_less() {
    let rig = rig();
    let seq = {
        let state = &mut *rig.cluster.fe.lock();
        state.release = crate::release::Release::V2_1;
        state.journal_binlog(1, BinlogType::DROP_TABLE, rig.db, &[], |_| r#"{"tableId":5}"#.to_owned())
    };
    let lag = rig.rpc.get_binlog_lag(PEER, binlog_request()).await.unwrap();
    assert_eq!((lag.lag, lag.first_commit_seq, lag.last_commit_seq), (Some(1), None, None));
    let req = TGetMetaRequest {
        user: some("root"),
        passwd: some(""),
        db: Some(TGetMetaDB { name: some("d"), ..TGetMetaDB::default() }),
        ..TGetMetaRequest::default()
    };
    let meta = rig.rpc.get_meta(PEER, req).await.unwrap().db_meta.unwrap();
    assert_eq!((meta.dropped_tables, meta.dropped_table_map), (Some(vec![5]), None), "drop at {seq}");
    crate::binlog::collect_garbage_and_tell_backends(&rig.cluster);
    let expired = rig.rpc.get_binlog(PEER, binlog_request()).await.unwrap();
    assert_eq!((said(expired.status).0, expired.binlogs), (TStatusCode::BINLOG_TOO_OLD_COMMIT_SEQ, None));
}

#[tokio::test]
async fn lock_binlog_answers_with_minus_one_when_it_cannot() {
    let rig = rig();
    let lock = |seq: Option<i64>| {
        let req = TLockBinlogRequest {
            user: some("root"),
            passwd: some(""),
            db: some("d"),
            job_unique_id: some("job"),
            lock_commit_seq: seq,
            ..TLockBinlogRequest::default()
        };
        rig.rpc.lock_binlog(PEER, req)
    };
    let answer = |result: TLockBinlogResult| (said(result.status).0, result.locked_commit_seq);
    assert_eq!(answer(lock(None).await.unwrap()), (TStatusCode::BINLOG_NOT_FOUND_DB, Some(-1)));
    let seq = {
        let state = &mut *rig.cluster.fe.lock();
        state.journal_binlog(1, BinlogType::UPSERT, rig.db, &[], |_| "{}".to_owned())
    };
    let far = lock(Some(seq + 1)).await.unwrap();
    assert_eq!(answer(far), (TStatusCode::BINLOG_TOO_NEW_COMMIT_SEQ, Some(-1)));
    assert_eq!(answer(lock(None).await.unwrap()), (TStatusCode::OK, Some(seq)));
}

#[tokio::test]
async fn get_meta_keeps_its_oddities() {
    let rig = rig();
    create_view(&rig.cluster, rig.db, "v", "SELECT 1");
    let id = create_table(&rig.cluster, rig.db, &Spec::new("u").buckets(3));
    alter(&rig.cluster, rig.db, id, |table| {
        let partition = table.partitions.values().next().unwrap().clone();
        let temporary = crate::model::Partition { id: 5, name: "temp".to_owned(), ..partition };
        table.temp_partitions.insert(5, temporary);
    });
    let request = |db: TGetMetaDB| TGetMetaRequest {
        user: some("root"),
        passwd: some(""),
        db: Some(db),
        ..TGetMetaRequest::default()
    };
    let named = TGetMetaDB { name: some("d"), ..TGetMetaDB::default() };
    let get = async |db: TGetMetaDB| rig.rpc.get_meta(PEER, request(db)).await.unwrap();

    let missing = get(TGetMetaDB { name: some("x"), ..TGetMetaDB::default() }).await;
    assert!(missing.status.is_ok() && missing.db_meta.is_none());
    let with_token = TGetMetaRequest { token: some("any"), ..request(named.clone()) };
    let with_token = rig.rpc.get_meta(PEER, with_token).await.unwrap();
    assert_eq!(with_token.status.status_code, TStatusCode::INTERNAL_ERROR);

    let meta = get(named.clone()).await.db_meta.unwrap();
    let tables = meta.tables.unwrap();
    let names: Vec<_> = tables.iter().map(|table| table.name.as_deref().unwrap()).collect();
    assert_eq!(names, ["t", "u"], "views are never listed");
    let range = tables[0].partitions.as_ref().unwrap()[0].range.clone().unwrap();
    assert_eq!(range, "[types: [INT]; keys: [-2147483648]; ..types: [INT]; keys: [10]; )");
    let partitions = tables[1].partitions.as_ref().unwrap();
    assert_eq!(partitions.len(), 2, "temporary partitions are listed");
    assert!(partitions.iter().all(|partition| partition.is_temp.is_none() && partition.key.is_none()));
    assert_eq!(partitions[0].range.as_deref(), Some(""));
    let index = &partitions[0].indexes.as_ref().unwrap()[0];
    assert_eq!(index.name.as_deref(), Some("u"));
    let tablets: Vec<i64> = index.tablets.as_ref().unwrap().iter().map(|tablet| tablet.id.unwrap()).collect();
    assert!(tablets.len() == 3 && tablets.is_sorted());
    assert_eq!(meta.dropped_partition_map, Some(BTreeMap::new()));

    let wanted = |id, name: Option<&str>| TGetMetaTable {
        id,
        name: name.map(str::to_owned),
        ..TGetMetaTable::default()
    };
    let some_tables = TGetMetaDB {
        tables: Some(vec![wanted(None, Some("u")), wanted(Some(1), None), wanted(None, Some("v"))]),
        only_table_names: Some(true),
        ..named.clone()
    };
    let tables = get(some_tables).await.db_meta.unwrap().tables.unwrap();
    assert_eq!(tables.len(), 1);
    assert!(tables[0].partitions.is_none() && tables[0].id == Some(id));
    let none = get(TGetMetaDB { tables: Some(Vec::new()), ..named.clone() }).await;
    assert_eq!(none.db_meta.unwrap().tables, Some(Vec::new()));

    rig.cluster.fe.lock().config.insert("enable_feature_binlog".to_owned(), "false".to_owned());
    let meta = get(named).await.db_meta.unwrap();
    assert_eq!((meta.dropped_tables, meta.dropped_table_map), (None, None));
}

#[tokio::test]
async fn tokens_and_replicas_are_handed_out() {
    let rig = rig();
    let token = |password: &str| TGetMasterTokenRequest {
        user: some("root"),
        password: some(password),
        ..TGetMasterTokenRequest::default()
    };
    let denied = said(rig.rpc.get_master_token(PEER, token("wrong")).await.unwrap().status);
    let text = "Access denied for user 'root@10.1.2.3' (using password: YES)".to_owned();
    assert_eq!(denied, (TStatusCode::NOT_AUTHORIZED, text));
    let given = rig.rpc.get_master_token(PEER, token("")).await.unwrap().token;
    assert_eq!(given, Some(rig.cluster.fe.lock().token.clone()));

    let t = table(&rig.cluster, rig.db, "t");
    let tablet = t.partitions.values().next().unwrap().tablets().next().unwrap().id;
    let req = TGetTabletReplicaInfosRequest { tablet_ids: vec![tablet, 1], warm_up_job_id: None };
    let infos = rig.rpc.get_tablet_replica_infos(PEER, req).await.unwrap();
    let map = infos.tablet_replica_infos.unwrap();
    assert_eq!((map[&tablet].len(), map[&1].len(), infos.token), (1, 0, given));
}

#[tokio::test]
async fn get_snapshot_checks_its_request_before_it_looks() {
    let rig = rig();
    let full = TGetSnapshotRequest {
        user: some("root"),
        passwd: some(""),
        db: some("d"),
        label_name: some("l"),
        snapshot_name: some(""),
        snapshot_type: Some(TSnapshotType::LOCAL),
        ..TGetSnapshotRequest::default()
    };
    let remote = Some(TSnapshotType::REMOTE);
    let cases = [
        (TGetSnapshotRequest { label_name: None, ..full.clone() }, user_error("label_name is not set")),
        (TGetSnapshotRequest { snapshot_name: None, ..full.clone() }, user_error("snapshot_name is not set")),
        (TGetSnapshotRequest { snapshot_type: None, ..full.clone() }, user_error("snapshot_type is not set")),
        (
            TGetSnapshotRequest { snapshot_type: remote, ..full.clone() },
            user_error("snapshot_type is not LOCAL"),
        ),
        (full, (TStatusCode::SNAPSHOT_NOT_EXIST, "snapshot l not exist".to_owned())),
    ];
    for (req, expected) in cases {
        assert_eq!(said(rig.rpc.get_snapshot(PEER, req).await.unwrap().status), expected);
    }
}

#[tokio::test]
async fn restore_snapshot_checks_its_payloads() {
    let rig = rig();
    let full = TRestoreSnapshotRequest {
        user: some("root"),
        passwd: some(""),
        db: some("d"),
        label_name: some("l"),
        repo_name: some("__keep_on_local__"),
        properties: Some(BTreeMap::new()),
        meta: Some(b"no meta".to_vec()),
        job_info: Some(b"{}".to_vec()),
        ..TRestoreSnapshotRequest::default()
    };
    let packed = vec![0x1f, 0x8b, 0];
    let refused = "The request is compressed, but the config `enable_restore_snapshot_rpc_compressed` is not \
                   enabled.";
    let cases = [
        (TRestoreSnapshotRequest { repo_name: None, ..full.clone() }, user_error("repo_name is not set")),
        (TRestoreSnapshotRequest { meta: None, ..full.clone() }, user_error("meta is not set")),
        (TRestoreSnapshotRequest { job_info: None, ..full.clone() }, user_error("job_info is not set")),
        (full.clone(), user_error("deserialize meta and job info failed")),
        (TRestoreSnapshotRequest { meta: Some(packed.clone()), ..full.clone() }, user_error(refused)),
        (
            TRestoreSnapshotRequest { meta: Some(packed), compressed: Some(true), ..full.clone() },
            user_error("decompress meta and job info failed"),
        ),
        (
            TRestoreSnapshotRequest { properties: None, clean_tables: Some(true), ..full },
            (TStatusCode::INTERNAL_ERROR, String::new()),
        ),
    ];
    for (req, expected) in cases {
        assert_eq!(said(rig.rpc.restore_snapshot(PEER, req).await.unwrap().status), expected);
    }
}

#[tokio::test]
async fn faults_act_before_and_after_the_work() {
    let rig = rig();
    let faults = &rig.cluster.faults;
    let mut expect_txns = 0;
    let kinds = [
        (FaultKind::CutBefore, false),
        (FaultKind::Refuse, false),
        (FaultKind::CutAfter, true),
        (FaultKind::CutMidReply, true),
    ];
    for (kind, works) in kinds {
        faults.add(Fault::new(kind.clone()).on(NodeId::Fe(0)).call("beginTxn").containing("secret").times(1));
        let label = format!("secret_{kind:?}");
        rig.rpc.begin_txn(PEER, begin(&rig, &label)).await.unwrap_err();
        expect_txns += usize::from(works);
        assert_eq!(rig.cluster.fe.lock().txns.running(rig.db).count(), expect_txns, "{kind:?}");
    }
    faults.add(Fault::new(FaultKind::NotMaster).call("getBinlog").times(1));
    let result = rig.rpc.get_binlog(PEER, binlog_request()).await.unwrap();
    assert_eq!(said(result.status).0, TStatusCode::NOT_MASTER);
    faults.add(Fault::new(FaultKind::Status { code: 6, text: "broken".to_owned() }).times(1));
    let result = rig.rpc.get_binlog(PEER, binlog_request()).await.unwrap();
    assert_eq!(said(result.status), (TStatusCode::INTERNAL_ERROR, "broken".to_owned()));
    assert_eq!(rig.cluster.counters.get("beginTxn"), 4);
}

#[tokio::test]
async fn old_followers_name_the_master_in_every_answer() {
    let rig = rig();
    let follower = FrontendRpc::new(Arc::clone(&rig.cluster), 1);
    let answers = async || {
        let begun = follower.begin_txn(PEER, begin(&rig, "l")).await.unwrap();
        assert_eq!(said(begun.status), (TStatusCode::NOT_MASTER, "FE is not master".to_owned()));
        let committed = follower.commit_txn(PEER, commit(1, &[])).await.unwrap();
        let lag = follower.get_binlog_lag(PEER, binlog_request()).await.unwrap();
        let binlog = follower.get_binlog(PEER, binlog_request()).await.unwrap();
        let token = follower.get_master_token(PEER, TGetMasterTokenRequest::default()).await.unwrap();
        let meta = follower.get_meta(PEER, TGetMetaRequest::default()).await.unwrap();
        let told = [
            begun.master_address,
            committed.master_address,
            lag.master_address,
            token.master_address,
            meta.master_address,
        ];
        assert_eq!(binlog.master_address, Some(TNetworkAddress::new("127.0.0.1", 9020_u16)));
        told
    };
    assert!(answers().await.iter().all(Option::is_none));
    rig.cluster.fe.lock().release = crate::release::Release::V2_1;
    let master = TNetworkAddress::new("127.0.0.1", 9020_u16);
    assert!(answers().await.iter().all(|told| told.as_ref() == Some(&master)));
}

#[tokio::test]
async fn the_state_of_a_used_label_and_limits_come_from_the_cluster() {
    let rig = rig();
    let txn_id = rig.rpc.begin_txn(PEER, begin(&rig, "two")).await.unwrap().txn_id.unwrap();
    let t = table(&rig.cluster, rig.db, "t");
    let writes = stage(&rig.cluster, txn_id, &t, "p0", &[(1, 1)]);
    let two = crate::txn::CommitTxn { db_id: rig.db, txn_id, writes, ..Default::default() };
    crate::txn::precommit(&rig.cluster, two).unwrap();
    let used = rig.rpc.begin_txn(PEER, begin(&rig, "two")).await.unwrap();
    assert_eq!(used.status.unwrap().status_code, TStatusCode::LABEL_ALREADY_EXISTS);
    assert_eq!(used.job_status.as_deref(), Some("PRECOMMITTED"));

    rig.cluster.fe.lock().set_config("max_running_txn_num_per_db", "1");
    let text = format!("current running txns on db {} is 1, larger than limit 1", rig.db);
    let refused = rig.rpc.begin_txn(PEER, begin(&rig, "more")).await.unwrap();
    assert_eq!(said(refused.status), user_error(&text));
    rig.cluster.fe.lock().set_config("max_running_txn_num_per_db", "5");
    rig.cluster.fe.lock().set_config("stream_load_default_timeout_second", "7");
    let more = rig.rpc.begin_txn(PEER, begin(&rig, "more")).await.unwrap().txn_id.unwrap();
    assert_eq!(rig.cluster.fe.lock().txns.get(rig.db, more).unwrap().timeout_ms, 7_000);

    // A label is free again as soon as the frontends keep it no longer.
    let rollback = TRollbackTxnRequest {
        user: some("root"),
        passwd: some(""),
        db: some("d"),
        txn_id: Some(more),
        ..TRollbackTxnRequest::default()
    };
    assert!(rig.rpc.rollback_txn(PEER, rollback).await.unwrap().status.unwrap().is_ok());
    rig.cluster.fe.lock().set_config("streaming_label_keep_max_second", "60");
    rig.cluster.clock.advance_ms(61_000);
    crate::txn::tick(&rig.cluster);
    assert!(rig.cluster.fe.lock().txns.get(rig.db, more).is_none());
}
