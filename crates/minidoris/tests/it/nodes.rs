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
