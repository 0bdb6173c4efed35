//! Accounts and privileges, seen by SQL clients, RPC callers and stream loads.

use doris_thrift::{
    TBeginTxnRequest, TCommitTxnRequest, TGetBackendMetaRequest, TGetBinlogRequest, TGetMasterTokenRequest,
    TGetMetaDB, TGetMetaRequest, TGetMetaTable, TGetSnapshotRequest, TLockBinlogRequest,
    TRestoreSnapshotRequest, TRollbackTxnRequest, TSnapshotType, TStatus, TStatusCode,
};
use minidoris::{Cluster, ClusterOptions};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};

use crate::harness::{bounded, opts, rows, server_error};
use crate::wire::Wire;

const TABLES: &str = "CREATE DATABASE d PROPERTIES (\"binlog.enable\" = \"true\"); CREATE DATABASE e; USE d; \
    CREATE TABLE t (k int, v int) UNIQUE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1 \
    PROPERTIES (\"replication_num\" = \"1\", \"binlog.enable\" = \"true\"); \
    CREATE TABLE u LIKE t; CREATE VIEW v AS SELECT k FROM t; INSERT INTO t VALUES (1, 1)";

async fn with_tables() -> Cluster {
    let cluster = bounded(Cluster::start(ClusterOptions::replicating("privileges"))).await.unwrap();
    bounded(cluster.sql(TABLES)).await.unwrap();
    cluster
}

async fn login(cluster: &Cluster, user: &str, password: &str) -> Result<Conn, mysql_async::Error> {
    let options = opts(cluster, 0).user(Some(user)).pass(Some(password)).prefer_socket(false);
    bounded(Conn::new(options)).await
}

async fn refusal(conn: &mut Conn, sql: &str) -> (u16, String) {
    server_error(bounded(conn.query::<Row, _>(sql)).await)
}

#[tokio::test]
async fn passwords_hosts_and_the_life_of_an_account() {
    let cluster = with_tables().await;
    bounded(cluster.sql(
        "CREATE USER 'u'@'%' IDENTIFIED BY 'any'; CREATE USER 'u'@'127.0.0.1' IDENTIFIED BY 'local'; \
         CREATE USER 'far'@'10.%' IDENTIFIED BY 'x'",
    ))
    .await
    .unwrap();
    let mut local = login(&cluster, "u", "local").await.unwrap();
    assert_eq!(
        rows(&mut local, "SELECT current_user(), user()").await,
        [["'u'@'127.0.0.1'", "'u'@'127.0.0.1'"].map(|text| Some(text.to_owned()))]
    );
    let mut any = login(&cluster, "u", "any").await.unwrap();
    assert_eq!(rows(&mut any, "SELECT current_user()").await[0][0].as_deref(), Some("'u'@'%'"));
    for (user, password) in [("u", "wrong"), ("u", ""), ("far", "x"), ("nobody", "")] {
        let (code, text) = server_error(login(&cluster, user, password).await);
        assert_eq!(code, 1045);
        assert!(text.contains(&format!("Access denied for user '{user}'")), "{text}");
    }
    // One's own password may be changed, by anyone who is logged in.
    bounded(any.query_drop("SET PASSWORD = PASSWORD('new')")).await.unwrap();
    bounded(any.query_drop("ALTER USER 'u'@'%' IDENTIFIED BY 'newer'")).await.unwrap();
    assert_eq!(refusal(&mut any, "SET PASSWORD FOR root = PASSWORD('x')").await.0, 1227);
    assert!(login(&cluster, "u", "any").await.is_err());
    login(&cluster, "u", "newer").await.unwrap().disconnect().await.unwrap();
    // The hash of 'mypass'.
    bounded(cluster.sql("SET PASSWORD FOR u = '*6C8989366EAF75BB670AD8EA7A7FC1176A95CEF4'")).await.unwrap();
    login(&cluster, "u", "mypass").await.unwrap().disconnect().await.unwrap();
    bounded(cluster.sql("DROP USER 'u'@'%'")).await.unwrap();
    assert!(login(&cluster, "u", "mypass").await.is_err());
    // A session whose account is gone holds no privilege any more.
    assert_eq!(refusal(&mut any, "USE d").await.0, 1044);
    bounded(cluster.stop()).await;
}

#[tokio::test]
async fn statements_ask_for_their_privileges() {
    let cluster = with_tables().await;
    bounded(cluster.sql("CREATE USER u; GRANT SELECT_PRIV ON d.v TO u")).await.unwrap();
    let mut conn = login(&cluster, "u", "").await.unwrap();
    let mut root = bounded(Conn::new(opts(&cluster, 0))).await.unwrap();
    let denied = |command: &str, table: &str| {
        let text = format!("{command} command denied to user 'u'@'127.0.0.1' for table 'd: {table}'");
        (1142, format!("errCode = 2, detailMessage = {text}"))
    };
    let needs = |privilege: &str| {
        let text = format!(
            "Access denied; you need (at least one of) the ({privilege}) privilege(s) for this operation"
        );
        (1227, format!("errCode = 2, detailMessage = {text}"))
    };
    let to_database = |db: &str| {
        (1044, format!("errCode = 2, detailMessage = Access denied for user 'u' to database '{db}'"))
    };
    let cases = [
        ("SELECT * FROM d.t", denied("SELECT", "t")),
        ("SELECT * FROM (SELECT k FROM d.t) s", denied("SELECT", "t")),
        ("SELECT * FROM d.nothing", denied("SELECT", "nothing")),
        ("INSERT INTO d.t VALUES (2, 2)", denied("LOAD", "t")),
        ("INSERT OVERWRITE TABLE d.t VALUES (2, 2)", denied("LOAD", "t")),
        ("DELETE FROM d.t WHERE k = 1", denied("LOAD", "t")),
        ("UPDATE d.t SET v = 2 WHERE k = 1", denied("LOAD", "t")),
        ("TRUNCATE TABLE d.t", needs("LOAD")),
        ("ALTER TABLE d.t ADD COLUMN w int", denied("ALTER TABLE", "t")),
        ("DROP TABLE d.t", needs("DROP")),
        ("DROP VIEW d.v", needs("DROP")),
        ("CREATE TABLE d.n LIKE d.t", denied("SELECT", "t")),
        ("CREATE TABLE d.n (k int) DISTRIBUTED BY HASH(k) BUCKETS 1", needs("CREATE")),
        ("CREATE VIEW d.w AS SELECT 1", needs("CREATE")),
        ("SHOW CREATE TABLE d.t", denied("SHOW CREATE TABLE", "t")),
        ("SHOW PARTITIONS FROM d.t", denied("SHOW PARTITIONS", "t")),
        ("DESC d.t", denied("DESCRIBE", "t")),
        ("RECOVER TABLE d.t", denied("RECOVERY", "t")),
        ("CREATE DATABASE n", to_database("n")),
        ("DROP DATABASE d", to_database("d")),
        ("ALTER DATABASE d SET PROPERTIES (\"binlog.enable\" = \"false\")", to_database("d")),
        ("USE e", to_database("e")),
        ("SHOW TABLES FROM e", to_database("e")),
        ("SHOW BACKUP FROM d", to_database("d")),
        ("BACKUP SNAPSHOT d.l TO __keep_on_local__", needs("LOAD")),
        ("CANCEL RESTORE FROM d", needs("LOAD")),
        ("SHOW PROC '/dbs'", needs("ADMIN")),
        ("SHOW BACKENDS", needs("ADMIN/NODE")),
        ("SELECT Host FROM frontends()", needs("ADMIN/NODE")),
        ("ADMIN SHOW FRONTEND CONFIG", needs("ADMIN")),
        ("ADMIN SET FRONTEND CONFIG (\"a\" = \"b\")", needs("ADMIN")),
        ("SET GLOBAL wait_timeout = 5", needs("ADMIN")),
        ("CREATE USER w", needs("GRANT")),
        ("DROP USER root", needs("GRANT")),
        ("GRANT SELECT_PRIV ON d.t TO u", needs("GRANT")),
        ("GRANT ADMIN_PRIV ON *.*.* TO u", needs("GRANT")),
        ("SHOW ALL GRANTS", needs("GRANT")),
        ("CREATE RESOURCE r PROPERTIES (\"type\" = \"s3\")", needs("ADMIN")),
    ];
    for (sql, expected) in cases {
        assert_eq!(refusal(&mut conn, sql).await, expected, "{sql}");
    }
    // A view is read without privileges on its tables, and what cannot be seen is not listed.
    assert_eq!(rows(&mut conn, "SELECT * FROM d.v").await.len(), 1);
    let names = |found: Vec<Vec<Option<String>>>| -> Vec<String> {
        found.into_iter().map(|mut row| row.remove(0).unwrap()).collect()
    };
    assert_eq!(names(rows(&mut conn, "SHOW DATABASES").await), ["d", "information_schema", "mysql"]);
    assert_eq!(names(rows(&mut conn, "SHOW TABLES FROM d").await), ["v"]);
    let listed = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'd'";
    assert_eq!(names(rows(&mut conn, listed).await), ["v"]);
    assert_eq!(names(rows(&mut root, "SHOW TABLES FROM d").await), ["t", "u", "v"]);
    bounded(cluster.stop()).await;
}

#[tokio::test]
async fn grants_are_given_shown_and_taken() {
    let cluster = with_tables().await;
    bounded(cluster.sql(
        "CREATE USER u; CREATE ROLE loader; GRANT LOAD_PRIV ON d.* TO ROLE 'loader'; GRANT 'loader' TO u; \
         GRANT SELECT_PRIV, ALTER_PRIV ON d.t TO u; GRANT DROP_PRIV ON *.*.* TO u",
    ))
    .await
    .unwrap();
    let mut conn = login(&cluster, "u", "").await.unwrap();
    let row = rows(&mut conn, "SHOW GRANTS").await.remove(0);
    let cell = |at: usize| row[at].as_deref();
    assert_eq!(cell(0), Some("'u'@'%'"));
    assert_eq!((cell(2), cell(3), cell(4)), (Some("No"), Some("loader"), Some("Drop_priv")));
    assert_eq!(
        cell(6),
        Some("internal.d: Load_priv; internal.information_schema: Select_priv; internal.mysql: Select_priv")
    );
    assert_eq!(cell(7), Some("internal.d.t: Select_priv,Alter_priv"));
    assert_eq!(cell(13), Some("normal: Usage_priv"));
    bounded(conn.query_drop("INSERT INTO d.u VALUES (1, 1); ALTER TABLE d.t ADD COLUMN w int"))
        .await
        .unwrap();
    bounded(cluster.sql("REVOKE 'loader' FROM u")).await.unwrap();
    assert_eq!(refusal(&mut conn, "INSERT INTO d.u VALUES (2, 1)").await.0, 1142);
    bounded(cluster.sql("REVOKE ALTER_PRIV ON d.t FROM u")).await.unwrap();
    assert_eq!(refusal(&mut conn, "ALTER TABLE d.t ADD COLUMN x int").await.0, 1142);
    assert_eq!(rows(&mut conn, "SELECT * FROM d.t").await.len(), 1);
    let text = |result: Result<minidoris::ResultSet, minidoris::error::SqlError>| result.unwrap_err().message;
    let refused = [
        ("REVOKE LOAD_PRIV ON e.* FROM u", "internal.e.* does not exist in role default_role_rbac_u@%"),
        ("GRANT LOAD_PRIV ON d.* TO nobody", "user 'nobody'@'%' does not exist"),
        ("GRANT 'nothing' TO u", "Role nothing does not exist"),
        ("GRANT EVERYTHING ON d.* TO u", "Invalid privilege type: EVERYTHING"),
        (
            "GRANT ADMIN_PRIV ON d.* TO u",
            "ADMIN_PRIV and NODE_PRIV can only be granted/revoked on/from *.*.*",
        ),
        ("DROP USER root", "Operation DROP USER failed for 'root'@'%'"),
        ("DROP ROLE admin", "Can not drop or modify role admin"),
        ("CREATE USER u", "User 'u'@'%' already exist"),
    ];
    for (sql, expected) in refused {
        assert_eq!(text(bounded(cluster.sql(sql)).await), expected, "{sql}");
    }
    assert_eq!(bounded(cluster.sql("SHOW ALL GRANTS")).await.unwrap().rows.len(), 3);
    bounded(cluster.sql("DROP ROLE loader; DROP USER u; DROP USER IF EXISTS u")).await.unwrap();
    assert_eq!(bounded(cluster.sql("SHOW ROLES")).await.unwrap().rows.len(), 2);
    bounded(cluster.stop()).await;
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn said(status: &TStatus) -> (TStatusCode, String) {
    (status.status_code, status.text().replace("errCode = 2, detailMessage = ", ""))
}

#[tokio::test]
async fn calls_ask_for_their_privileges() {
    let cluster = with_tables().await;
    bounded(cluster.sql(
        "CREATE USER u; CREATE USER 'near'@'127.0.0.1' IDENTIFIED BY 'p'; GRANT ALL ON *.* TO 'near'@'127.0.0.1'",
    ))
    .await
    .unwrap();
    let wire = Wire::new(&cluster, 0);
    let rpc = &wire.frontend;
    let table = {
        let state = cluster.inner().fe.lock();
        state.database_named("d").unwrap().table_named("t").unwrap().id()
    };
    let refused = |privilege: &str| {
        let text = format!(
            "Access denied; you need (at least one of) the ({privilege}) privilege(s) for this operation"
        );
        (TStatusCode::ANALYSIS_ERROR, text)
    };
    let begin = |user: &str, label: &str| TBeginTxnRequest {
        user: some(user),
        passwd: some(""),
        db: some("d"),
        table_ids: Some(vec![table]),
        label: some(label),
        ..TBeginTxnRequest::default()
    };
    let answer = bounded(rpc.begin_txn(&begin("u", "l"))).await.unwrap();
    assert_eq!(said(&answer.status.unwrap()), refused("LOAD"));
    let txn = bounded(rpc.begin_txn(&begin("root", "l"))).await.unwrap().txn_id;
    let commit = TCommitTxnRequest {
        user: some("u"),
        passwd: some(""),
        db: some("d"),
        txn_id: txn,
        commit_infos: Some(Vec::new()),
        ..TCommitTxnRequest::default()
    };
    let answer = bounded(rpc.commit_txn(&commit.clone())).await.unwrap();
    assert_eq!(said(&answer.status.unwrap()), refused("LOAD"));
    let rollback = TRollbackTxnRequest {
        user: some("u"),
        passwd: some(""),
        db: some("d"),
        txn_id: txn,
        ..TRollbackTxnRequest::default()
    };
    let answer = bounded(rpc.rollback_txn(&rollback)).await.unwrap();
    assert_eq!(said(&answer.status.unwrap()), refused("LOAD"));
    let binlog = |user: &str, table: Option<&str>| TGetBinlogRequest {
        user: some(user),
        passwd: some(""),
        db: some("d"),
        table: table.map(str::to_owned),
        prev_commit_seq: Some(-1),
        ..TGetBinlogRequest::default()
    };
    assert_eq!(
        said(&bounded(rpc.get_binlog(&binlog("u", None))).await.unwrap().status.unwrap()),
        refused("SELECT")
    );
    let lag = bounded(rpc.get_binlog_lag(&binlog("u", Some("t")))).await.unwrap();
    assert_eq!(said(&lag.status.unwrap()), refused("SELECT"));
    let lock = TLockBinlogRequest {
        user: some("u"),
        passwd: some(""),
        db: some("d"),
        job_unique_id: some("job"),
        ..TLockBinlogRequest::default()
    };
    assert_eq!(said(&bounded(rpc.lock_binlog(&lock)).await.unwrap().status.unwrap()), refused("SELECT"));
    let snapshot = TGetSnapshotRequest {
        user: some("u"),
        passwd: some(""),
        db: some("d"),
        label_name: some("s"),
        snapshot_name: some(""),
        snapshot_type: Some(TSnapshotType::LOCAL),
        ..TGetSnapshotRequest::default()
    };
    assert_eq!(said(&bounded(rpc.get_snapshot(&snapshot)).await.unwrap().status.unwrap()), refused("SELECT"));
    let restore = TRestoreSnapshotRequest {
        user: some("u"),
        passwd: some(""),
        db: some("d"),
        label_name: some("s"),
        repo_name: some("__keep_on_local__"),
        meta: Some(Vec::new()),
        job_info: Some(Vec::new()),
        ..TRestoreSnapshotRequest::default()
    };
    assert_eq!(
        said(&bounded(rpc.restore_snapshot(&restore)).await.unwrap().status.unwrap()),
        refused("LOAD")
    );
    let meta = |tables: Option<&[&str]>| TGetMetaRequest {
        user: some("u"),
        passwd: some(""),
        db: Some(TGetMetaDB {
            name: some("d"),
            tables: tables.map(|names| {
                names
                    .iter()
                    .map(|name| TGetMetaTable { name: some(name), ..TGetMetaTable::default() })
                    .collect()
            }),
            ..TGetMetaDB::default()
        }),
        ..TGetMetaRequest::default()
    };
    assert_eq!(said(&bounded(rpc.get_meta(&meta(None))).await.unwrap().status), refused("SELECT"));
    // SELECT on a table opens that table's list and metadata, not the database's.
    bounded(cluster.sql("GRANT SELECT_PRIV ON d.t TO u")).await.unwrap();
    let lag = bounded(rpc.get_binlog_lag(&binlog("u", Some("t")))).await.unwrap();
    assert_eq!(lag.status.unwrap().status_code, TStatusCode::OK);
    assert_eq!(
        said(&bounded(rpc.get_binlog(&binlog("u", None))).await.unwrap().status.unwrap()),
        refused("SELECT")
    );
    assert_eq!(bounded(rpc.get_meta(&meta(Some(&["t"])))).await.unwrap().status.status_code, TStatusCode::OK);
    assert_eq!(
        said(&bounded(rpc.get_meta(&meta(Some(&["t", "u"])))).await.unwrap().status),
        refused("SELECT")
    );
    // A valid password is enough for these two, and a missing one is told apart.
    let token = |password: &str| TGetMasterTokenRequest {
        user: some("u"),
        password: some(password),
        ..TGetMasterTokenRequest::default()
    };
    let answer = bounded(rpc.get_master_token(&token(""))).await.unwrap().status.unwrap();
    assert_eq!(answer.status_code, TStatusCode::OK);
    let answer = bounded(rpc.get_master_token(&token("x"))).await.unwrap().status.unwrap();
    assert_eq!(answer.status_code, TStatusCode::NOT_AUTHORIZED);
    let backends =
        TGetBackendMetaRequest { user: some("u"), passwd: some(""), ..TGetBackendMetaRequest::default() };
    assert_eq!(bounded(rpc.get_backend_meta(&backends)).await.unwrap().status.status_code, TStatusCode::OK);
    // Where the request names the address, the account of an address is out of reach without it.
    let mut near = begin("near", "m");
    near.passwd = some("p");
    let answer = bounded(rpc.begin_txn(&near.clone())).await.unwrap();
    assert_eq!(
        said(&answer.status.unwrap()),
        (TStatusCode::ANALYSIS_ERROR, "Access denied for user 'near@null' (using password: YES)".to_owned())
    );
    near.user_ip = some("127.0.0.1");
    assert_eq!(bounded(rpc.begin_txn(&near)).await.unwrap().status.unwrap().status_code, TStatusCode::OK);
    bounded(cluster.stop()).await;
}

#[tokio::test]
async fn stream_loads_need_load_on_the_table() {
    let cluster = with_tables().await;
    bounded(cluster.sql("CREATE USER u IDENTIFIED BY 'p'; GRANT LOAD_PRIV ON d.u TO u")).await.unwrap();
    let (fe, be) = (cluster.fe(0), cluster.be(0));
    let client =
        reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let load = |port: u16, table: &'static str| {
        let url = format!("http://{}:{port}/api/d/{table}/_stream_load", fe.host);
        client.put(url).basic_auth("u", Some("p")).body("7\t7\n").send()
    };
    let denied = "Access denied; you need (at least one of) the (LOAD) privilege(s) for this operation";
    let answer = bounded(load(fe.http_port, "t")).await.unwrap();
    assert_eq!(answer.status(), 401);
    assert!(answer.text().await.unwrap().contains(denied));
    let answer = bounded(load(be.http_port, "t")).await.unwrap().text().await.unwrap();
    assert!(answer.contains(denied) && answer.contains("\"Status\":\"Fail\""), "{answer}");
    assert_eq!(bounded(load(fe.http_port, "u")).await.unwrap().status(), 307);
    let answer = bounded(load(be.http_port, "u")).await.unwrap().text().await.unwrap();
    assert!(answer.contains("\"Status\":\"Success\""), "{answer}");
    bounded(cluster.stop()).await;
}

#[tokio::test]
async fn privileges_on_columns_open_those_columns() {
    let cluster = with_tables().await;
    bounded(cluster.sql(
        "CREATE USER u; GRANT SELECT_PRIV(k) ON d.t TO u; CREATE ROLE r; GRANT SELECT_PRIV(k, v), LOAD_PRIV ON d.u TO \
         ROLE 'r'; GRANT 'r' TO u",
    ))
    .await
    .unwrap();
    let mut conn = login(&cluster, "u", "").await.unwrap();
    for sql in ["SELECT k FROM d.t WHERE k = 1", "SELECT a.k FROM d.t a", "SELECT max(k) FROM d.t"] {
        assert_eq!(rows(&mut conn, sql).await, [[some("1")]], "{sql}");
    }
    assert_eq!(rows(&mut conn, "SELECT t.k FROM d.t JOIN d.u USING (k)").await.len(), 0);
    for sql in [
        "SELECT * FROM d.t",
        "SELECT k, v FROM d.t",
        "SELECT k FROM d.t WHERE v = 1",
        "SELECT k FROM d.t ORDER BY v",
        "SELECT x.* FROM (SELECT v FROM d.t) x",
        "SELECT d.t.k FROM d.t JOIN d.u USING (v)",
    ] {
        let (code, text) = refusal(&mut conn, sql).await;
        assert_eq!(code, 1105, "{sql}: {text}");
        assert!(
            text.contains("Permission denied: user ['u'@'%'] does not have privilege for"),
            "{sql}: {text}"
        );
        assert!(text.ends_with("command on [internal].[d].[t].[v]"), "{sql}: {text}");
    }
    assert_eq!(rows(&mut conn, "SHOW TABLES FROM d").await, [[some("t")], [some("u")]]);
    let grants = rows(&mut conn, "SHOW GRANTS").await.remove(0);
    assert_eq!(grants[8], some("internal.d.t: Select_priv[k]; internal.d.u: Select_priv[k, v]"));
    assert_eq!(grants[7], some("internal.d.u: Load_priv"));
    // A call asks for the table.
    let lag = TGetBinlogRequest {
        user: some("u"),
        passwd: some(""),
        db: some("d"),
        table: some("t"),
        prev_commit_seq: Some(-1),
        ..TGetBinlogRequest::default()
    };
    let answer = bounded(Wire::new(&cluster, 0).frontend.get_binlog_lag(&lag)).await.unwrap().status.unwrap();
    assert!(said(&answer).1.contains("(SELECT)"), "{answer:?}");

    bounded(cluster.sql("REVOKE SELECT_PRIV(k) ON d.t FROM u")).await.unwrap();
    assert_eq!(refusal(&mut conn, "SELECT k FROM d.t").await.0, 1142);
    for (sql, expected) in [
        ("GRANT LOAD_PRIV(k) ON d.t TO u", "LOAD_PRIV do not support col auth."),
        ("GRANT SELECT_PRIV(k) ON d.* TO u", "Col auth must specify specific table"),
        ("REVOKE SELECT_PRIV(k) ON d.t FROM u", "internal.d.t does not exist in role default_role_rbac_u@%"),
    ] {
        assert_eq!(bounded(cluster.sql(sql)).await.unwrap_err().message, expected, "{sql}");
    }
    bounded(cluster.stop()).await;
}
