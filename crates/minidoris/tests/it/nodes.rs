//! Killing, restarting and switching nodes; faults and counters; the admin API.

use minidoris::{Cluster, ClusterOptions, Fault, FaultKind, NodeId};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use crate::harness::{LIMIT, bounded, cluster, connect, opts, rows, server_error};

async fn of_two_frontends() -> Cluster {
    let options = ClusterOptions { frontends: 2, backends: 2, ..ClusterOptions::replicating("two") };
    Cluster::start(options).await.unwrap()
}

#[tokio::test]
async fn a_killed_frontend_drops_its_connections_and_comes_back_on_its_port() {
    let cluster = of_two_frontends().await;
    let port = cluster.fe(1).query_port;
    let mut conn = bounded(Conn::new(opts(&cluster, 1))).await.unwrap();
    cluster.kill_frontend(1).await.unwrap();
    assert!(!cluster.fe(1).alive);
    assert!(bounded(conn.query_drop("SELECT 1")).await.is_err());
    assert!(bounded(Conn::new(opts(&cluster, 1))).await.is_err());
    cluster.restart_frontend(1).await.unwrap();
    assert_eq!(cluster.fe(1).query_port, port);
    let mut conn = bounded(Conn::new(opts(&cluster, 1))).await.unwrap();
    assert_eq!(rows(&mut conn, "SELECT 1").await.len(), 1);
    assert!(cluster.fe(0).is_master && !cluster.fe(1).is_master);
    cluster.stop().await;
}

#[tokio::test]
async fn rows_of_light_schema_changes_are_gone_after_a_restart() {
    let cluster = cluster().await;
    let sql = "CREATE DATABASE d; USE d; CREATE TABLE t (k INT, v INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) \
               BUCKETS 1; ALTER TABLE t ADD COLUMN c INT; ALTER TABLE t MODIFY COLUMN v BIGINT";
    bounded(cluster.sql(sql)).await.unwrap();
    let idle = |inner: &minidoris::ClusterInner| inner.fe.lock().ddl.running_jobs.is_empty();
    assert!(cluster.wait_until(LIMIT, idle).await);
    let shown = async || bounded(cluster.sql_in("d", "SHOW ALTER TABLE COLUMN")).await.unwrap().rows.len();
    assert_eq!(shown().await, 2);
    cluster.restart_frontend(0).await.unwrap();
    assert_eq!(shown().await, 1, "the heavy one is in the journal");
    cluster.stop().await;
}

#[tokio::test]
async fn without_a_master_only_reads_are_answered() {
    let cluster = of_two_frontends().await;
    cluster.kill_frontend(0).await.unwrap();
    let mut conn = bounded(Conn::new(opts(&cluster, 1))).await.unwrap();
    assert_eq!(rows(&mut conn, "SELECT 1").await.len(), 1);
    let (_, text) = server_error(conn.query_drop("CREATE DATABASE d").await);
    assert!(text.contains("catalog is not ready"), "{text}");
    cluster.make_master(1).unwrap();
    assert!(cluster.fe(1).is_master);
    assert!(cluster.make_master(0).is_err(), "a dead frontend cannot lead");
    cluster.restart_frontend(0).await.unwrap();
    assert!(!cluster.fe(0).is_master, "a returning frontend follows the new master");
    cluster.stop().await;
}

#[tokio::test]
async fn a_killed_backend_is_shown_as_dead_until_it_returns() {
    let cluster = of_two_frontends().await;
    let before = cluster.be(1);
    cluster.kill_backend(1).await.unwrap();
    assert!(!cluster.inner().is_backend_alive(before.id));
    assert_eq!(cluster.inner().alive_backends(), [cluster.be(0).id]);
    cluster.restart_backend(1).await.unwrap();
    let after = cluster.be(1);
    assert!(after.alive);
    assert_eq!((after.id, after.be_port, after.http_port), (before.id, before.be_port, before.http_port));
    assert!(cluster.kill_backend(9).await.is_err());
    cluster.stop().await;
}

#[tokio::test]
async fn nodes_join_a_running_cluster() {
    let cluster = cluster().await;
    let fe = cluster.add_frontend().await.unwrap();
    let be = cluster.add_backend().await.unwrap();
    assert!(cluster.fe(fe).alive && !cluster.fe(fe).is_master);
    assert!(cluster.be(be).alive);
    assert_eq!(cluster.inner().alive_backends().len(), 2);
    let mut conn = bounded(Conn::new(opts(&cluster, fe))).await.unwrap();
    assert_eq!(rows(&mut conn, "SELECT 1").await.len(), 1);
    cluster.stop().await;
}

#[tokio::test]
async fn statements_are_counted_by_kind() {
    let cluster = cluster().await;
    let mut conn = connect(&cluster).await;
    cluster.counters().reset();
    conn.query_drop("SET a = 1; SET b = 2").await.unwrap();
    conn.query_drop("select 1").await.unwrap();
    assert_eq!(cluster.counters().get("sql:SET"), 2);
    assert_eq!(cluster.counters().get_on(NodeId::Fe(0), "sql:SELECT"), 1);
    assert_eq!(cluster.counters().get_on(NodeId::Fe(1), "sql:SELECT"), 0);
    cluster.stop().await;
}

#[tokio::test]
async fn faults_meet_statements() {
    let cluster = cluster().await;
    let mut conn = connect(&cluster).await;
    let refusal = FaultKind::Status { code: 1105, text: "staged".to_owned() };
    cluster.faults().add(Fault::new(refusal).call("sql:SET").containing("marker").times(1));
    conn.query_drop("SET query_timeout = 1").await.unwrap();
    let (code, text) = server_error(conn.query_drop("SET marker = 1").await);
    assert_eq!((code, text.contains("staged")), (1105, true));
    conn.query_drop("SET marker = 1").await.unwrap();

    for kind in [FaultKind::CutBefore, FaultKind::CutAfter, FaultKind::CutMidReply, FaultKind::Refuse] {
        let mut conn = connect(&cluster).await;
        cluster.faults().add(Fault::new(kind.clone()).call("sql:SELECT").containing("now_cut").times(1));
        assert!(bounded(conn.query_drop("select 'now_cut'")).await.is_err(), "{kind:?}");
    }
    cluster.faults().add(Fault::new(FaultKind::Refuse).call("mysql:connect").times(1));
    assert!(bounded(Conn::new(opts(&cluster, 0))).await.is_err());
    connect(&cluster).await;
    assert!(cluster.faults().rules().is_empty());
    cluster.stop().await;
}

#[tokio::test]
async fn the_admin_api_breaks_and_mends() {
    let cluster = of_two_frontends().await;
    let (host, port) = cluster.admin_address();
    let client = reqwest::Client::builder().timeout(LIMIT).build().unwrap();
    let url = |path: &str| format!("http://{host}:{port}{path}");
    let post = |path: &str, body: &str| client.post(url(path)).body(body.to_owned()).send();

    let set =
        post("/faults", r#"{"call": "sql:SELECT", "remaining": 1, "kind": "cut_before"}"#).await.unwrap();
    assert_eq!(set.status(), 200);
    assert_eq!(cluster.faults().rules().len(), 1);
    let bad = post("/faults", r#"{"kind": "explode"}"#).await.unwrap();
    assert_eq!(bad.status(), 400);
    assert_eq!(client.delete(url("/faults")).send().await.unwrap().status(), 200);
    assert!(cluster.faults().rules().is_empty());
    let status = FaultKind::Status { code: 73, text: "x".to_owned() };
    let body = serde_json::to_string(&Fault::new(status.clone()).on(NodeId::Be(7))).unwrap();
    assert_eq!(post("/faults", &body).await.unwrap().status(), 200);
    assert_eq!(cluster.faults().rules()[0].kind, status);
    cluster.faults().clear();

    let mut conn = bounded(Conn::new(opts(&cluster, 1))).await.unwrap();
    conn.query_drop("SET a = 1").await.unwrap();
    let counts: serde_json::Value = client.get(url("/counters")).send().await.unwrap().json().await.unwrap();
    assert_eq!(counts["sql:SET"], 1);
    assert_eq!(post("/counters/reset", "").await.unwrap().status(), 200);
    assert_eq!(cluster.counters().get("sql:SET"), 0);

    assert_eq!(post("/fe/1/make_master", "").await.unwrap().status(), 200);
    assert!(cluster.fe(1).is_master);
    assert_eq!(post("/be/0/kill", "").await.unwrap().status(), 200);
    assert!(!cluster.be(0).alive);
    assert_eq!(post("/be/0/restart", "").await.unwrap().status(), 200);
    assert!(cluster.be(0).alive);
    assert_eq!(post("/fe/7/kill", "").await.unwrap().status(), 400);
    assert_eq!(post("/fe/0/paint", "").await.unwrap().status(), 404);
    assert_eq!(post("/binlog/gc", "").await.unwrap().status(), 200);
    cluster.stop().await;
}

async fn debug_point(port: u16, path: &str, user: Option<&str>) -> (u16, String) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.post(format!("http://127.0.0.1:{port}/api/debug_point/{path}"));
    let request = match user {
        Some(user) => request.basic_auth(user, Some("")),
        None => request,
    };
    let response = bounded(request.send()).await.unwrap();
    (response.status().as_u16(), bounded(response.text()).await.unwrap())
}

#[tokio::test]
async fn debug_points_hold_up_backups_and_publishing() {
    let cluster = cluster().await;
    let (fe, be) = (cluster.fe(0), cluster.be(0));
    let text = "Disable debug points. please check Config.enable_debug_points";
    assert!(debug_point(fe.http_port, "clear", Some("root")).await.1.contains(text));
    assert!(debug_point(be.http_port, "clear", None).await.1.contains("config::enable_debug_points"));
    bounded(cluster.sql("ADMIN SET FRONTEND CONFIG (\"enable_debug_points\" = \"true\"); CREATE USER u"))
        .await
        .unwrap();
    cluster.backend(0).config.set("enable_debug_points", "true");
    assert_eq!(debug_point(fe.http_port, "clear", None).await.0, 401);
    assert_eq!(debug_point(fe.http_port, "clear", Some("u")).await.0, 401);
    let (status, body) = debug_point(be.http_port, "add/Any.point?execute=3", None).await;
    assert_eq!((status, body.as_str()), (200, "{\"msg\":\"\",\"status\":\"OK\"}"));
    let bad = debug_point(fe.http_port, "add/a?execute=often", Some("root")).await.1;
    assert!(bad.contains("Invalid execute format: often"), "{bad}");

    bounded(cluster.sql(
        "CREATE DATABASE d; CREATE DATABASE e; USE d; CREATE TABLE t (k int) DISTRIBUTED BY HASH(k) BUCKETS 1 \
         PROPERTIES (\"replication_num\" = \"1\")",
    ))
    .await
    .unwrap();
    // Only the backup of that label is held up.
    let add = "add/FE.PAUSE_PENDING_BACKUP_JOB?value=held";
    assert!(debug_point(fe.http_port, add, Some("root")).await.1.contains("success"));
    bounded(
        cluster.sql(
            "BACKUP SNAPSHOT d.held TO `__keep_on_local__`; BACKUP SNAPSHOT e.free TO `__keep_on_local__`",
        ),
    )
    .await
    .unwrap();
    let state = async |db: &str| {
        let rows = bounded(cluster.sql(&format!("SHOW BACKUP FROM {db}"))).await.unwrap().rows;
        rows[0][3].clone().unwrap()
    };
    let finished = async |db: &str| {
        while state(db).await != "FINISHED" {
            tokio::task::yield_now().await;
        }
    };
    bounded(finished("e")).await;
    assert_eq!(state("d").await, "PENDING");
    assert_eq!(debug_point(fe.http_port, "remove/FE.PAUSE_PENDING_BACKUP_JOB", Some("root")).await.0, 200);
    bounded(finished("d")).await;

    assert_eq!(debug_point(fe.http_port, "add/PublishVersionDaemon.stop_publish", Some("root")).await.0, 200);
    let insert = tokio::spawn({
        let cluster = cluster.clone();
        async move { cluster.sql("INSERT INTO d.t WITH LABEL l VALUES (1)").await }
    });
    let status = |inner: &minidoris::ClusterInner| {
        let state = inner.fe.lock();
        let db = state.database_named("d").unwrap().id;
        state.txns.with_label(db, "l").last().map(|txn| txn.status)
    };
    let committed =
        |inner: &minidoris::ClusterInner| status(inner) == Some(minidoris::txn::TxnStatus::Committed);
    assert!(cluster.wait_until(LIMIT, committed).await);
    assert_eq!(bounded(cluster.sql("SELECT * FROM d.t")).await.unwrap().rows.len(), 0);
    assert_eq!(debug_point(fe.http_port, "clear", Some("root")).await.0, 200);
    bounded(insert).await.unwrap().unwrap();
    assert_eq!(bounded(cluster.sql("SELECT * FROM d.t")).await.unwrap().rows.len(), 1);
    cluster.stop().await;
}

#[tokio::test]
async fn the_admin_api_ends_jobs_loses_tablets_and_slows_publishing() {
    let cluster = cluster().await;
    bounded(cluster.sql(
        "CREATE DATABASE d; USE d; CREATE TABLE t (k int) DISTRIBUTED BY HASH(k) BUCKETS 1 \
         PROPERTIES (\"replication_num\" = \"1\"); INSERT INTO t VALUES (1)",
    ))
    .await
    .unwrap();
    let (host, port) = cluster.admin_address();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let post = async |path: &str, body: &'static str| {
        let url = format!("http://{host}:{port}/{path}");
        bounded(client.post(url).body(body).send()).await.unwrap().status().as_u16()
    };
    let latency = r#"{"call": "sql:SELECT", "kind": {"latency": {"distribution": "log_normal", "median_us": 10, "p99_us": 50}}}"#;
    assert_eq!(post("faults", latency).await, 200);
    assert_eq!(rows(&mut connect(&cluster).await, "SELECT 1").await.len(), 1);
    cluster.faults().clear();

    assert_eq!(post("fail_job/d", "disk is full").await, 400);
    // Held up, so that there is a running job to end.
    let point = minidoris::fault::DebugPoint::default();
    cluster.inner().debug_points.add(NodeId::Fe(0), "FE.PAUSE_PENDING_BACKUP_JOB", point);
    bounded(cluster.sql("BACKUP SNAPSHOT d.s TO `__keep_on_local__`")).await.unwrap();
    assert_eq!(post("fail_job/d", "disk is full").await, 200);
    let row = bounded(cluster.sql("SHOW BACKUP FROM d")).await.unwrap().rows.remove(0);
    assert_eq!(row[3].as_deref(), Some("CANCELLED"));
    assert!(row.iter().flatten().any(|cell| cell.contains("disk is full")), "{row:?}");
    assert_eq!(post("publish_delay/3600000", "").await, 200);
    assert_eq!(cluster.inner().fe.lock().txns.publish_delay_ms, 3_600_000);
    let tablet = {
        let state = cluster.inner().fe.lock();
        let table = state.database_named("d").unwrap().table_named("t").unwrap().as_olap().unwrap();
        table.partitions.values().next().unwrap().tablets().next().unwrap().id
    };
    assert_eq!(post(&format!("be/0/drop_tablet/{tablet}"), "").await, 200);
    assert_eq!(post(&format!("be/0/drop_tablet/{tablet}"), "").await, 400);
    assert!(bounded(cluster.sql("SELECT * FROM d.t")).await.is_err());
    cluster.stop().await;
}
