//! Bytes written by hand from the protocol's description, against which the codec is checked both ways.

use std::fmt::Debug;

use crate::DecodeError;
use crate::message::{Kind, Message, exception, put_call, put_exception, put_reply};
use crate::types::*;
use crate::wire::Struct;

/// Parts of a message: text stands for its bytes, numbers are given as byte arrays.
fn bytes(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

fn both_ways<T: Struct + PartialEq + Debug>(value: &T, parts: &[&[u8]]) {
    let expected = bytes(parts);
    assert_eq!(value.to_bytes(), expected);
    assert_eq!(T::from_bytes(&expected).as_ref(), Ok(value));
}

const STOP: &[u8] = &[0];

#[test]
fn call() {
    let request =
        TGetMasterTokenRequest { user: Some("root".into()), password: Some(String::new()), cluster: None };
    let expected = bytes(&[
        &[0x80, 0x01, 0x00, 0x01],
        &[0, 0, 0, 14],
        b"getMasterToken",
        &[0, 0, 0, 5],
        &[12, 0, 1], // args field 1, struct
        &[11, 0, 2, 0, 0, 0, 4],
        b"root",
        &[11, 0, 3, 0, 0, 0, 0],
        STOP,
        STOP,
    ]);
    let mut out = Vec::new();
    put_call("getMasterToken", 5, &request, &mut out);
    assert_eq!(out, expected);
    let message = Message::parse(&expected).unwrap();
    assert_eq!((message.kind, message.name, message.sequence), (Kind::Call, "getMasterToken", 5));
    assert_eq!(message.request(), Ok(request));
}

#[test]
fn oneway() {
    let message = bytes(&[&[0x80, 1, 0, 4], &[0, 0, 0, 1], b"m", &[0xff, 0xff, 0xff, 0xff], STOP]);
    let parsed = Message::parse(&message).unwrap();
    assert_eq!((parsed.kind, parsed.name, parsed.sequence), (Kind::Oneway, "m", -1));
    assert_eq!(parsed.request::<TStatus>(), Err(DecodeError::MissingBody));
    let unknown = bytes(&[&[0x80, 1, 0, 5], &[0, 0, 0, 1], b"m", &[0, 0, 0, 0], STOP]);
    assert_eq!(Message::parse(&unknown).err(), Some(DecodeError::MessageType(5)));
}

#[test]
fn reply() {
    let result = TCommitTxnResult {
        status: Some(TStatus::new(TStatusCode::NOT_MASTER, "FE is not master")),
        master_address: Some(TNetworkAddress::new("fe2", 9020)),
    };
    let expected = bytes(&[
        &[0x80, 0x01, 0x00, 0x02],
        &[0, 0, 0, 9],
        b"commitTxn",
        &[0, 0, 1, 0],
        &[12, 0, 0], // result field 0, struct
        &[12, 0, 1], // status
        &[8, 0, 1, 0, 0, 0, 73],
        &[15, 0, 2, 11, 0, 0, 0, 1, 0, 0, 0, 16],
        b"FE is not master",
        STOP,
        &[12, 0, 2], // master_address
        &[11, 0, 1, 0, 0, 0, 3],
        b"fe2",
        &[8, 0, 2, 0, 0, 0x23, 0x3c],
        STOP,
        STOP,
        STOP,
    ]);
    let mut out = Vec::new();
    put_reply("commitTxn", 256, &result, &mut out);
    assert_eq!(out, expected);
    let message = Message::parse(&expected).unwrap();
    assert_eq!(message.kind, Kind::Reply);
    assert_eq!(message.result(), Ok(result));
}

#[test]
fn exception_message() {
    let expected = bytes(&[
        &[0x80, 0x01, 0x00, 0x03],
        &[0, 0, 0, 10],
        b"lockBinlog",
        &[0, 0, 0, 2],
        &[11, 0, 1, 0, 0, 0, 2],
        b"no",
        &[8, 0, 2, 0, 0, 0, 1],
        STOP,
    ]);
    let mut out = Vec::new();
    put_exception("lockBinlog", 2, exception::UNKNOWN_METHOD, "no", &mut out);
    assert_eq!(out, expected);
    let exception = Message::parse(&expected).unwrap().exception().unwrap();
    assert_eq!((exception.message.as_deref(), exception.kind), (Some("no"), Some(1)));
}

#[test]
fn transaction_structs() {
    let request = TCommitTxnRequest {
        txn_id: Some(-2),
        commit_infos: Some(vec![TTabletCommitInfo::new(0x1122_3344_5566_7788, 10002)]),
        thrift_rpc_timeout_ms: Some(33_000),
        txn_insert: Some(true),
        sub_txn_infos: Some(vec![TSubTxnInfo {
            sub_txn_type: Some(TSubTxnType::DELETE),
            ..Default::default()
        }]),
        ..Default::default()
    };
    both_ways(
        &request,
        &[
            &[10, 0, 6, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe],
            &[15, 0, 7, 12, 0, 0, 0, 1],
            &[10, 0, 1, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88],
            &[10, 0, 2, 0, 0, 0, 0, 0, 0, 0x27, 0x12],
            STOP,
            &[10, 0, 10, 0, 0, 0, 0, 0, 0, 0x80, 0xe8],
            &[2, 0, 13, 1],
            &[15, 0, 14, 12, 0, 0, 0, 1],
            &[8, 0, 4, 0, 0, 0, 1],
            STOP,
            STOP,
        ],
    );
    // rollbackTxn has no field 8.
    let rollback = TRollbackTxnRequest { reason: Some("r".into()), db_id: Some(1), ..Default::default() };
    both_ways(&rollback, &[&[11, 0, 7, 0, 0, 0, 1], b"r", &[10, 0, 12, 0, 0, 0, 0, 0, 0, 0, 1], STOP]);
    let begin = TBeginTxnRequest {
        table_ids: Some(vec![1, 2]),
        request_id: Some(TUniqueId::new(-1, 1)),
        sub_txn_num: Some(0),
        ..Default::default()
    };
    both_ways(
        &begin,
        &[
            &[15, 0, 5, 10, 0, 0, 0, 2],
            &[0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2],
            &[12, 0, 10],
            &[10, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[10, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1],
            STOP,
            &[10, 0, 13, 0, 0, 0, 0, 0, 0, 0, 0],
            STOP,
        ],
    );
}

#[test]
fn binlog_structs() {
    let page = TGetBinlogResult {
        status: Some(TStatus::ok()),
        binlogs: Some(vec![TBinlog {
            commit_seq: Some(7),
            binlog_type: Some(TBinlogType(300)),
            table_ids: Some(vec![]),
            data: Some("界".into()),
            remove_enable_cache: Some(false),
            ..Default::default()
        }]),
        ..Default::default()
    };
    both_ways(
        &page,
        &[
            &[12, 0, 1, 8, 0, 1, 0, 0, 0, 0, 0],
            &[15, 0, 3, 12, 0, 0, 0, 1],
            &[10, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7],
            &[8, 0, 3, 0, 0, 1, 0x2c], // an enum value that nobody listed
            &[15, 0, 5, 10, 0, 0, 0, 0],
            &[11, 0, 6, 0, 0, 0, 3, 0xe7, 0x95, 0x8c],
            &[2, 0, 9, 0],
            STOP,
            STOP,
        ],
    );
}

#[test]
fn snapshot_structs() {
    let request = TRestoreSnapshotRequest {
        table_refs: Some(vec![TTableRef { table: Some("t".into()), alias_name: Some("a".into()) }]),
        properties: Some([("k".to_owned(), "v".to_owned())].into()),
        meta: Some(vec![0xff, 0x00]),
        force_replace: Some(true),
        ..Default::default()
    };
    both_ways(
        &request,
        &[
            &[15, 0, 9, 12, 0, 0, 0, 1],
            &[11, 0, 1, 0, 0, 0, 1, b't'],
            &[11, 0, 3, 0, 0, 0, 1, b'a'],
            STOP,
            &[13, 0, 10, 11, 11, 0, 0, 0, 1, 0, 0, 0, 1, b'k', 0, 0, 0, 1, b'v'],
            &[11, 0, 11, 0, 0, 0, 2, 0xff, 0x00],
            &[2, 0, 17, 1],
            STOP,
        ],
    );
}

#[test]
fn metadata_structs() {
    let result = TGetTabletReplicaInfosResult {
        tablet_replica_infos: Some([(5, vec![])].into()),
        ..Default::default()
    };
    both_ways(
        &result,
        &[&[13, 0, 2, 10, 15, 0, 0, 0, 1], &[0, 0, 0, 0, 0, 0, 0, 5], &[12, 0, 0, 0, 0], STOP],
    );
    let meta = TGetMetaDBMeta { dropped_table_map: Some([(1, 2)].into()), ..Default::default() };
    both_ways(
        &meta,
        &[&[13, 0, 8, 10, 10, 0, 0, 0, 1], &[0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2], STOP],
    );
}

#[test]
fn backend_structs() {
    let request = TIngestBinlogRequest {
        remote_port: Some("8040".into()),
        load_id: Some(TUniqueId::new(0, 0)),
        ..Default::default()
    };
    both_ways(
        &request,
        &[
            &[11, 0, 5, 0, 0, 0, 4],
            b"8040",
            &[12, 0, 8],
            &[10, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0],
            &[10, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0],
            STOP,
            STOP,
        ],
    );
    let answer = TQueryIngestBinlogResult { status: Some(TIngestBinlogStatus::OK), err_msg: None };
    both_ways(&answer, &[&[8, 0, 1, 0, 0, 0, 3], STOP]);
}

#[test]
fn required_fields_and_wrong_types() {
    // A known field of another wire type is passed over, and is then missing.
    let wrong = bytes(&[&[10, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0], STOP]);
    assert_eq!(TStatus::from_bytes(&wrong), Err(DecodeError::MissingField("TStatus", "status_code")));
    assert_eq!(TTableRef::from_bytes(&bytes(&[&[8, 0, 1, 0, 0, 0, 0], STOP])), Ok(TTableRef::default()));
    assert_eq!(TGetMetaResult::from_bytes(STOP), Err(DecodeError::MissingField("TGetMetaResult", "status")));
    // Elements of another type are an error.
    let elements = bytes(&[&[15, 0, 5, 8, 0, 0, 0, 1, 0, 0, 0, 0], STOP]);
    assert_eq!(TBinlog::from_bytes(&elements), Err(DecodeError::ElementType { expected: 10, found: 8 }));
    let text = bytes(&[&[11, 0, 1, 0, 0, 0, 1, 0xff], STOP]);
    assert_eq!(TTableRef::from_bytes(&text), Err(DecodeError::Utf8));
    assert_eq!(TTableRef::from_bytes(&[0, 0]), Err(DecodeError::TrailingBytes(1)));
}

#[test]
fn debug_hides_secrets() {
    let secret = || Some("s3cret".to_owned());
    let shown = format!(
        "{:?} {:?} {:?}",
        TBeginTxnRequest {
            user: Some("root".into()),
            passwd: secret(),
            token: secret(),
            ..Default::default()
        },
        TGetMasterTokenRequest { password: secret(), ..Default::default() },
        TGetMasterTokenResult { token: secret(), ..Default::default() },
    );
    assert!(shown.contains("root"), "{shown}");
    assert!(!shown.contains("s3cret"), "{shown}");
}

#[test]
fn enum_names() {
    assert_eq!(TStatusCode::NOT_MASTER.name(), "NOT_MASTER");
    assert_eq!(TStatusCode(73).to_string(), "NOT_MASTER");
    assert_eq!(TStatusCode(10).to_string(), "10");
    assert_eq!(TStatusCode(10).name(), "UNKNOWN");
    assert_eq!(TBinlogType::MODIFY_DISTRIBUTION_TYPE, TBinlogType::from(26));
    assert_eq!(TIngestBinlogStatus::ALL.len(), 6);
    assert_eq!(TStatusCode::ALL.len(), 46);
}
