//! What each call sends and makes of the answer.

use std::io::Write;

use doris_client::ClientOptions;
use doris_thrift::*;
use doris_types::call::*;
use doris_types::failure::Cause;
use doris_types::meta::TabletCommit;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::support::*;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn scope() -> BinlogScope {
    BinlogScope { database: "d".into(), table_id: Some(5) }
}

#[tokio::test]
async fn begin() {
    let fe = Fe::start(Role::Master).await;
    let cluster = cluster(&[&fe]);
    let request = BeginTxn {
        database: "d".into(),
        table_ids: vec![3, 4],
        label: "ccr-1".into(),
        request_id: (8, 9),
        timeout_s: 3600,
        sub_txn_num: 2,
    };
    {
        let answer = &mut fe.script.begin.lock().1;
        answer.txn_id = Some(70);
        answer.sub_txn_ids = Some(vec![70, 71]);
    }
    let answer = cluster.begin_txn(&request).await.unwrap();
    assert_eq!(answer, BeginAnswer::Opened { txn_id: 70, sub_txn_ids: vec![70, 71] });
    let sent = fe.script.begin.lock().0.clone();
    let expected = TBeginTxnRequest {
        user: Some("root".into()),
        passwd: Some("s3cret".into()),
        // The address of this side, as the frontend sees it.
        user_ip: Some("127.0.0.1".into()),
        db: Some("d".into()),
        table_ids: Some(vec![3, 4]),
        label: Some("ccr-1".into()),
        timeout: Some(3600),
        request_id: Some(TUniqueId::new(8, 9)),
        sub_txn_num: Some(2),
        ..Default::default()
    };
    assert_eq!(sent, expected);

    fe.script.begin.lock().1 = TBeginTxnResult {
        status: Some(TStatus::new(
            TStatusCode::LABEL_ALREADY_EXISTS,
            "errCode = 2, detailMessage = Label [ccr-1] has already been used, relate to txn [70], status [VISIBLE].",
        )),
        job_status: Some("FINISHED".into()),
        ..Default::default()
    };
    let answer = cluster.begin_txn(&request).await.unwrap();
    assert_eq!(answer, BeginAnswer::LabelUsed { txn_id: Some(70), state: LabelState::Finished });
}

#[tokio::test]
async fn commit() {
    let fe = Fe::start(Role::Master).await;
    let cluster = cluster(&[&fe]);
    let commits = vec![TabletCommit { tablet_id: 1, backend_id: 2 }];
    let single = CommitTxn {
        database: "d".into(),
        txn_id: 70,
        commits: commits.clone(),
        sub_txns: vec![],
        waits: true,
    };
    assert_eq!(cluster.commit_txn(&single).await.unwrap(), Committed { visible: true });
    let sent = fe.script.commit.lock().0.clone();
    assert_eq!(sent.commit_infos, Some(vec![TTabletCommitInfo::new(1, 2)]));
    assert_eq!((sent.thrift_rpc_timeout_ms, sent.only_commit), (Some(10_000), None));
    assert_eq!((sent.txn_insert, sent.sub_txn_infos), (None, None));

    // Who does not wait is not told that anything is visible.
    let hasty = CommitTxn { waits: false, ..single.clone() };
    assert_eq!(cluster.commit_txn(&hasty).await.unwrap(), Committed { visible: false });
    let sent = fe.script.commit.lock().0.clone();
    assert_eq!((sent.thrift_rpc_timeout_ms, sent.only_commit), (Some(33_000), Some(true)));

    let late = TStatus::new(
        TStatusCode::PUBLISH_TIMEOUT,
        "transaction commit successfully, BUT data will be visible later",
    );
    fe.script.commit.lock().1.status = Some(late);
    let multiple = CommitTxn {
        commits: vec![],
        sub_txns: vec![SubTxn { sub_txn_id: 71, table_id: 4, commits }],
        ..single.clone()
    };
    assert_eq!(cluster.commit_txn(&multiple).await.unwrap(), Committed { visible: false });
    let sent = fe.script.commit.lock().0.clone();
    assert_eq!((sent.commit_infos, sent.txn_insert), (None, Some(true)));
    let sub_txn = TSubTxnInfo {
        sub_txn_id: Some(71),
        table_id: Some(4),
        tablet_commit_infos: Some(vec![TTabletCommitInfo::new(1, 2)]),
        sub_txn_type: Some(TSubTxnType::INSERT),
    };
    assert_eq!(sent.sub_txn_infos, Some(vec![sub_txn]));

    fe.set_role(Role::Status(TStatusCode::ANALYSIS_ERROR, "transaction [70] not found"));
    let failure = cluster.commit_txn(&single).await.unwrap_err();
    assert_eq!((failure.status_code(), failure.text()), (Some(2), "transaction [70] not found".into()));
    let failure = cluster.rollback_txn("d", 70, "gone").await.unwrap_err();
    assert_eq!(failure.operation, "rollbackTxn");
    fe.set_role(Role::Master);
    cluster.rollback_txn("d", 70, "gone").await.unwrap();
    assert_eq!(fe.script.rollback.lock().reason.as_deref(), Some("gone"));
}

#[tokio::test]
async fn binlog() {
    let fe = Fe::start(Role::Master).await;
    let cluster = cluster(&[&fe]);
    let binlog = TBinlog {
        commit_seq: Some(11),
        timestamp: Some(1000),
        binlog_type: Some(TBinlogType(99)),
        db_id: Some(1),
        table_ids: Some(vec![5]),
        data: Some("{}".into()),
        ..Default::default()
    };
    fe.script.binlog.lock().1.binlogs = Some(vec![binlog]);
    let page = cluster.binlogs(&scope(), 10, 255).await.unwrap();
    let entry = BinlogEntry {
        commit_seq: 11,
        timestamp_ms: 1000,
        binlog_type: 99,
        db_id: 1,
        table_ids: vec![5],
        data: Some("{}".into()),
    };
    assert_eq!(page, BinlogPage::Entries(vec![entry]));
    let sent = fe.script.binlog.lock().0.clone();
    assert_eq!((sent.prev_commit_seq, sent.num_acquired, sent.table_id), (Some(10), Some(255), Some(5)));

    *fe.script.lag.lock() =
        TGetBinlogLagResult { lag: Some(3), last_commit_seq: Some(14), ..Default::default() };
    let lag = cluster.binlog_lag(&scope(), 10).await.unwrap().unwrap();
    assert_eq!((lag.lag, lag.last_commit_seq, lag.next_commit_seq), (3, 14, 0));
    fe.script.lag.lock().status = Some(TStatus::new(TStatusCode::BINLOG_NOT_FOUND_TABLE, ""));
    assert_eq!(cluster.binlog_lag(&scope(), 10).await.unwrap(), None);

    cluster.lock_binlogs(&scope(), "job 1", 12).await.unwrap();
    let sent = fe.script.lock.lock().clone();
    assert_eq!((sent.job_unique_id.as_deref(), sent.lock_commit_seq), (Some("job 1"), Some(12)));
}

#[tokio::test]
async fn snapshot() {
    let fe = Fe::start(Role::Master).await;
    let small = ClientOptions { max_snapshot_size: 1000, ..options() };
    let (_clients, cluster) = cluster_with(small, &[&fe]);
    let plain = |size: usize| TGetSnapshotResult {
        meta: Some(vec![7; 10]),
        job_info: Some(vec![b' '; size]),
        commit_seq: Some(9),
        expired_at: Some(99),
        ..Default::default()
    };
    let packed = |size: usize| TGetSnapshotResult {
        meta: Some(gzip(&[7; 10])),
        job_info: Some(gzip(&vec![b' '; size])),
        compressed: Some(true),
        ..plain(size)
    };
    for answer in [plain(1000), packed(1000)] {
        fe.script.snapshot.lock().1 = answer;
        let expected = Snapshot {
            meta: vec![7; 10],
            job_info: vec![b' '; 1000],
            commit_seq: Some(9),
            expires_at_ms: Some(99),
        };
        assert_eq!(cluster.snapshot("d", "l").await.unwrap(), SnapshotAnswer::Ready(expected));
    }
    let sent = fe.script.snapshot.lock().0.clone();
    assert_eq!(sent.enable_compress, Some(true));
    assert_eq!((sent.label_name.as_deref(), sent.snapshot_name.as_deref()), (Some("l"), Some("")));
    assert_eq!(sent.snapshot_type, Some(TSnapshotType::LOCAL));
    fe.script.snapshot.lock().1 = packed(1001);
    let failure = cluster.snapshot("d", "l").await.unwrap_err();
    assert!(failure.text().contains("larger than 1000 bytes"), "{failure}");
    fe.set_role(Role::Status(TStatusCode::SNAPSHOT_NOT_EXIST, "snapshot l not exist"));
    assert_eq!(cluster.snapshot("d", "l").await.unwrap(), SnapshotAnswer::NotExist);
    fe.set_role(Role::Status(TStatusCode::SNAPSHOT_EXPIRED, "snapshot l is expired"));
    assert_eq!(cluster.snapshot("d", "l").await.unwrap(), SnapshotAnswer::Expired);
}

#[tokio::test]
async fn restore() {
    let fe = Fe::start(Role::Master).await;
    let cluster = cluster(&[&fe]);
    let request = |size: usize| RestoreRequest {
        database: "d".into(),
        label: "l".into(),
        snapshot: Snapshot {
            meta: vec![1; size],
            job_info: b"{}".to_vec(),
            commit_seq: None,
            expires_at_ms: None,
        },
        tables: vec![RestoreTable { name: "t".into(), alias: Some("u".into()) }],
        properties: [("reserve_replica".to_owned(), "true".to_owned())].into(),
        clean_tables: false,
        clean_partitions: true,
        atomic_restore: true,
        force_replace: false,
    };
    cluster.start_restore(&request(10)).await.unwrap();
    let sent = fe.script.restore.lock().clone();
    assert_eq!((sent.meta, sent.job_info, sent.compressed), (Some(vec![1; 10]), Some(b"{}".to_vec()), None));
    assert_eq!(sent.repo_name.as_deref(), Some("__keep_on_local__"));
    let table = TTableRef { table: Some("t".into()), alias_name: Some("u".into()) };
    assert_eq!(sent.table_refs, Some(vec![table]));
    assert_eq!(sent.properties, Some(request(1).properties));
    let flags = (sent.clean_tables, sent.clean_partitions, sent.atomic_restore, sent.force_replace);
    assert_eq!(flags, (Some(false), Some(true), Some(true), Some(false)));

    // A large one is compressed if the frontend says that it can; the scripted one fails to say.
    let large = 1 << 20;
    cluster.start_restore(&request(large)).await.unwrap();
    assert_eq!(fe.script.restore.lock().meta.as_ref().map(Vec::len), Some(large));
    for (value, compressed) in [("false", false), ("true", true)] {
        fe.on_sql(move |sql| {
            assert_eq!(sql, "ADMIN SHOW FRONTEND CONFIG LIKE \"enable_restore_snapshot_rpc_compression\"");
            Sql::rows(&["Key", "Value"], &[&["enable_restore_snapshot_rpc_compression", value]])
        });
        cluster.start_restore(&request(large)).await.unwrap();
        let sent = fe.script.restore.lock().clone();
        assert_eq!(sent.compressed == Some(true), compressed);
        assert_eq!(sent.meta.unwrap().starts_with(&[0x1f, 0x8b]), compressed);
        assert_eq!(sent.job_info.unwrap().starts_with(&[0x1f, 0x8b]), compressed);
    }
}

#[tokio::test]
async fn meta() {
    let fe = Fe::start(Role::Master).await;
    let cluster = cluster(&[&fe]);
    assert_eq!(cluster.meta("d", MetaFilter::Names).await.unwrap(), None);
    let sent = fe.script.meta.lock().0.clone();
    let db = sent.db.unwrap();
    assert_eq!((db.name.as_deref(), db.only_table_names, db.tables), (Some("d"), Some(true), None));
    assert_eq!(sent.token, None, "a token would make the call fail");

    let replica = TGetMetaReplicaMeta { id: Some(6), backend_id: Some(7), version: Some(8) };
    let tablet = TGetMetaTabletMeta { id: Some(5), replicas: Some(vec![replica]) };
    let index = TGetMetaIndexMeta { id: Some(4), name: Some("t".into()), tablets: Some(vec![tablet]) };
    let partition = TGetMetaPartitionMeta {
        id: Some(3),
        name: Some("p".into()),
        range: Some("r".into()),
        visible_version: Some(9),
        indexes: Some(vec![index]),
        ..Default::default()
    };
    let table = TGetMetaTableMeta {
        id: Some(2),
        name: Some("t".into()),
        partitions: Some(vec![partition]),
        table_type: Some("OLAP".into()),
        ..Default::default()
    };
    fe.script.meta.lock().1.db_meta = Some(TGetMetaDBMeta {
        id: Some(1),
        name: Some("d".into()),
        tables: Some(vec![table]),
        dropped_table_map: Some([(20, 21)].into()),
        ..Default::default()
    });
    let meta = cluster.meta("d", MetaFilter::Tables(vec![2])).await.unwrap().unwrap();
    assert_eq!((meta.id, meta.dropped_tables.get(&20)), (1, Some(&21)));
    let table = &meta.tables[0];
    assert_eq!((table.id, table.kind.as_str()), (2, "OLAP"));
    let partition = &table.partitions[0];
    assert_eq!((partition.range.as_str(), partition.visible_version), ("r", 9));
    let replica = &partition.indexes[0].tablets[0].replicas[0];
    assert_eq!((replica.id, replica.backend_id, replica.version), (6, 7, 8));
    let tables = fe.script.meta.lock().0.db.clone().unwrap().tables.unwrap();
    assert_eq!(tables[0].id, Some(2));
    cluster.meta("d", MetaFilter::Named(vec!["t".into()])).await.unwrap();
    let tables = fe.script.meta.lock().0.db.clone().unwrap().tables.unwrap();
    assert_eq!(tables[0].name.as_deref(), Some("t"));

    fe.script.meta.lock().1.db_meta = Some(TGetMetaDBMeta::default());
    let failure = cluster.meta("d", MetaFilter::Names).await.unwrap_err();
    assert!(matches!(failure.cause, Cause::Malformed { .. }));
}

#[tokio::test]
async fn backends_and_token() {
    let fe = Fe::start(Role::Master).await;
    let (_clients, cluster) = cluster_with(options(), &[&fe]);
    *fe.script.backends.lock() = vec![TBackend {
        host: "be-1".into(),
        be_port: 9060,
        http_port: 8040,
        is_alive: Some(false),
        id: Some(3),
        brpc_port: None,
    }];
    let backends = cluster.backends().await.unwrap();
    let backend = &backends[0];
    assert_eq!((backend.host.as_str(), backend.be_port, backend.http_port), ("be-1", 9060, 8040));
    assert_eq!((backend.id, backend.alive), (3, false));
    cluster.set_host_mapping([("be-1".to_owned(), "9.9.9.9".to_owned())].into());
    assert_eq!(cluster.backends().await.unwrap()[0].host, "9.9.9.9");
    cluster.set_host_mapping([("be-2".to_owned(), "9.9.9.9".to_owned())].into());
    let failure = cluster.backends().await.unwrap_err();
    assert_eq!(failure.cause, Cause::UnmappedHost { host: "be-1".into() });
    fe.script.backends.lock()[0].be_port = 70_000;
    cluster.set_host_mapping([].into());
    assert!(matches!(cluster.backends().await.unwrap_err().cause, Cause::Malformed { .. }));

    assert_eq!(cluster.token().await.unwrap(), "t0ken");
    assert_eq!(fe.script.token.lock().password.as_deref(), Some("s3cret"));
}

#[tokio::test]
async fn secrets_are_not_shown() {
    let fe = Fe::start(Role::Master).await;
    let (clients, cluster) = cluster_with(options(), &[&fe]);
    cluster.token().await.unwrap();
    let shown = format!("{clients:?} {cluster:?} {:?}", config(&[&fe]));
    assert!(!shown.contains("s3cret"), "{shown}");
    assert!(!shown.contains("t0ken"), "{shown}");
    fe.mysql.refuse.lock().replace((1045, "Access denied for user 'root' (using password: YES)".into()));
    let failure = cluster.check_reachable().await.unwrap_err();
    assert!(!format!("{failure} {failure:?}").contains("s3cret"));
}
