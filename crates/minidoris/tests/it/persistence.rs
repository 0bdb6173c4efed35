//! A cluster that keeps its state comes back as it was.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use doris_thrift::TStatusCode;
use minidoris::snapshot::{SnapshotLookup, find_snapshot};
use minidoris::txn::TxnStatus;
use minidoris::{Cluster, ClusterInner, ClusterOptions, Fault, FaultKind};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder, Row};
use serde_json::Value;

use crate::harness::{LIMIT, bounded, texts};
use crate::wire::{Wire, ok};

fn options(directory: &Path) -> ClusterOptions {
    ClusterOptions {
        backends: 2,
        data_dir: Some(directory.to_owned()),
        ..ClusterOptions::replicating("kept")
    }
}

async fn start(directory: &Path) -> Cluster {
    bounded(Cluster::start(options(directory))).await.unwrap()
}

async fn restart(cluster: Cluster, directory: &Path) -> Cluster {
    bounded(cluster.stop()).await;
    start(directory).await
}

async fn sql(cluster: &Cluster, text: &str) -> Vec<Vec<String>> {
    let rows = bounded(cluster.sql(text)).await.unwrap().rows;
    let cell = |cell: Option<String>| cell.unwrap_or_else(|| "NULL".to_owned());
    rows.into_iter().map(|row| row.into_iter().map(cell).collect()).collect()
}

const TABLES: &str = "CREATE DATABASE d PROPERTIES (\"binlog.enable\" = \"true\"); USE d; \
    CREATE TABLE t (k int, v varchar(9)) UNIQUE KEY(k) PARTITION BY RANGE(k) \
    (PARTITION p1 VALUES LESS THAN (\"10\"), PARTITION p2 VALUES LESS THAN (\"20\")) \
    DISTRIBUTED BY HASH(k) BUCKETS 2 PROPERTIES (\"replication_num\" = \"2\", \"binlog.enable\" = \"true\"); \
    CREATE TABLE gone (k int) DISTRIBUTED BY HASH(k) BUCKETS 1 PROPERTIES (\"replication_num\" = \"1\"); \
    CREATE VIEW v AS SELECT k FROM t; \
    INSERT INTO t VALUES (1, 'a'), (11, 'b'); INSERT INTO t VALUES (1, 'c'); DELETE FROM t WHERE k = 11; \
    DROP TABLE gone; CREATE USER u IDENTIFIED BY 'p'; GRANT SELECT_PRIV ON d.t TO u";

/// Whether the snapshot `s` can be fetched.
fn is_backed_up(inner: &ClusterInner) -> bool {
    matches!(find_snapshot(&inner.fe.lock(), "s", inner.clock.now_ms()), SnapshotLookup::Found(_))
}

/// What clients can see of a cluster. Times of heartbeats and addresses belong to the process.
async fn seen(cluster: &Cluster) -> Vec<Vec<Vec<String>>> {
    let wire = Wire::new(cluster, 0);
    let mut all = Vec::new();
    for statement in [
        "SELECT * FROM d.t ORDER BY k",
        "SELECT * FROM d.v",
        "SHOW CREATE TABLE d.t",
        "SHOW PARTITIONS FROM d.t",
        "SHOW TABLETS FROM d.t",
        "SHOW CATALOG RECYCLE BIN",
        "SHOW ALL GRANTS",
        "SHOW PROC '/dbs'",
        "SHOW BACKUP FROM d",
        "SHOW ALTER TABLE ROLLUP FROM d",
    ] {
        let mut rows = sql(cluster, statement).await;
        rows.iter_mut().flatten().filter(|cell| cell.starts_with("http://")).for_each(String::clear);
        all.push(rows);
    }
    let meta = bounded(wire.meta("d")).await;
    let binlogs = wire.binlogs("d", -1).await.binlogs.unwrap_or_default();
    all.push(vec![vec![format!("{meta:?}")], binlogs.iter().map(|entry| format!("{entry:?}")).collect()]);
    all
}

#[tokio::test]
async fn everything_that_clients_see_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    let cluster = start(directory.path()).await;
    sql(&cluster, TABLES).await;
    sql(&cluster, "ALTER TABLE d.t ADD ROLLUP r (k, v)").await;
    let finished = cluster
        .wait_until(LIMIT, |inner| inner.fe.lock().ddl.alter_jobs.iter().any(|job| job.state == "FINISHED"))
        .await;
    assert!(finished);
    sql(&cluster, "BACKUP SNAPSHOT d.s TO `__keep_on_local__`").await;
    assert!(cluster.wait_until(LIMIT, is_backed_up).await);
    // What a background job did is saved by the next answer at the latest.
    let before = seen(&cluster).await;
    let journal = cluster.inner().fe.lock().journal_id;
    let cluster = restart(cluster, directory.path()).await;
    assert_eq!(cluster.inner().fe.lock().journal_id, journal);
    for (now, before) in seen(&cluster).await.into_iter().zip(before) {
        assert_eq!(now, before);
    }
    assert!(is_backed_up(cluster.inner()));

    // New ids and versions go on behind the old ones; the dropped table can still be recovered.
    sql(&cluster, "INSERT INTO d.t VALUES (2, 'd'); RECOVER TABLE d.gone; CREATE TABLE d.n LIKE d.t").await;
    let newest = sql(&cluster, "SHOW PROC '/dbs'").await;
    let cluster = restart(cluster, directory.path()).await;
    assert_eq!(sql(&cluster, "SHOW PROC '/dbs'").await, newest);
    assert_eq!(sql(&cluster, "SELECT * FROM d.t ORDER BY k").await, [["1", "c"], ["2", "d"]]);
    assert_eq!(sql(&cluster, "SHOW TABLES FROM d").await, [["gone"], ["n"], ["t"], ["v"]]);
    let ids: Vec<i64> = {
        let state = cluster.inner().fe.lock();
        let tables = state.database_named("d").unwrap().tables.values();
        let tablets = tables.filter_map(|table| table.as_olap()).flat_map(|table| table.partitions.values());
        tablets.flat_map(|partition| partition.tablets()).map(|tablet| tablet.id).collect()
    };
    let distinct: std::collections::BTreeSet<i64> = ids.iter().copied().collect();
    assert_eq!(ids.len(), distinct.len());
    // What was dropped stays away.
    sql(&cluster, "DROP TABLE d.n FORCE; DROP USER u").await;
    let cluster = restart(cluster, directory.path()).await;
    assert_eq!(sql(&cluster, "SHOW TABLES FROM d").await, [["gone"], ["t"], ["v"]]);
    assert_eq!(sql(&cluster, "SHOW ALL GRANTS").await.len(), 2);
    bounded(cluster.stop()).await;
}

fn status(inner: &ClusterInner, label: &str) -> Option<TxnStatus> {
    let state = inner.fe.lock();
    let db = state.database_named("d").unwrap().id;
    state.txns.with_label(db, label).last().map(|txn| txn.status)
}

#[tokio::test]
async fn transactions_survive_as_in_doris() {
    let directory = tempfile::tempdir().unwrap();
    let cluster = start(directory.path()).await;
    sql(&cluster, TABLES).await;
    let wire = Wire::new(&cluster, 0);
    let table = wire.table("d", "t").await.id.unwrap();
    let prepared = wire.begin("d", table, "prepared").await.txn_id.unwrap();
    sql(&cluster, "INSERT INTO d.t WITH LABEL done VALUES (3, 'e')").await;
    // Committed, and not published before the restart.
    cluster.inner().fe.lock().txns.publish_delay_ms = 3_600_000;
    let insert = tokio::spawn({
        let cluster = cluster.clone();
        async move { cluster.sql("INSERT INTO d.t WITH LABEL late VALUES (4, 'f')").await }
    });
    assert!(cluster.wait_until(LIMIT, |inner| status(inner, "late") == Some(TxnStatus::Committed)).await);
    insert.abort();
    cluster.inner().save().unwrap();
    assert_eq!(sql(&cluster, "SELECT k FROM d.t ORDER BY k").await, [["1"], ["3"]]);

    let cluster = restart(cluster, directory.path()).await;
    let wire = Wire::new(&cluster, 0);
    // The label of a lost PREPARE transaction is free, and its id is unknown.
    let again = wire.begin("d", table, "prepared").await;
    ok(again.status);
    assert!(again.txn_id.unwrap() > prepared);
    let answer = wire.begin("d", table, "done").await.status.unwrap();
    assert_eq!(answer.status_code, TStatusCode::LABEL_ALREADY_EXISTS);
    assert!(answer.text().contains("[VISIBLE]"), "{}", answer.text());
    // The slowness was the old process's, so the new one publishes.
    assert!(cluster.wait_until(LIMIT, |inner| status(inner, "late") == Some(TxnStatus::Visible)).await);
    assert_eq!(sql(&cluster, "SELECT k FROM d.t ORDER BY k").await, [["1"], ["3"], ["4"]]);
    bounded(cluster.stop()).await;
}

#[tokio::test]
async fn a_restore_goes_on_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let two = ClusterOptions { backends: 2, ..ClusterOptions::replicating("upstream") };
    let upstream = bounded(Cluster::start(two)).await.unwrap();
    sql(&upstream, TABLES).await;
    let cluster = start(directory.path()).await;
    sql(&cluster, "CREATE DATABASE d").await;
    // Downloads hang until the restart, which forgets the fault.
    upstream.faults().add(Fault::new(FaultKind::Delay(60_000)).call("http:/api/_tablet/*"));
    let (up, down) = (Wire::new(&upstream, 0), Wire::new(&cluster, 0));
    sql(&upstream, "BACKUP SNAPSHOT d.s TO `__keep_on_local__`").await;
    assert!(upstream.wait_until(LIMIT, is_backed_up).await);
    bounded(down.restore("d", "r", up.snapshot("d", "s").await, &up)).await;
    let downloading = async {
        while sql(&cluster, "SHOW RESTORE FROM d").await[0][4] != "DOWNLOADING" {
            tokio::task::yield_now().await;
        }
    };
    bounded(downloading).await;
    bounded(cluster.stop()).await;
    drop(cluster);
    upstream.faults().clear();
    let cluster = start(directory.path()).await;
    let done = async {
        while sql(&cluster, "SHOW RESTORE FROM d").await[0][4] != "FINISHED" {
            tokio::task::yield_now().await;
        }
    };
    bounded(done).await;
    assert_eq!(sql(&cluster, "SELECT * FROM d.t").await, [["1", "c"]]);
    bounded(cluster.stop()).await;
    bounded(upstream.stop()).await;
}

#[tokio::test]
async fn nodes_that_came_and_went_are_remembered() {
    let directory = tempfile::tempdir().unwrap();
    let cluster = start(directory.path()).await;
    sql(&cluster, TABLES).await;
    let gone = cluster.be(0).id;
    sql(
        &cluster,
        &format!(
            "ALTER SYSTEM ADD BACKEND '127.0.0.2:19050' PROPERTIES ('tag.location' = 'x'); \
             ALTER SYSTEM ADD BACKEND '127.0.0.1:19051'; ALTER SYSTEM ADD OBSERVER '127.0.0.1:19010'; \
             ALTER SYSTEM DROPP BACKEND '{gone}'"
        ),
    )
    .await;
    let whole = |inner: &ClusterInner| {
        let state = inner.fe.lock();
        let table = state.database_named("d").unwrap().table_named("t").unwrap().as_olap().unwrap();
        let mut tablets = table.partitions.values().flat_map(|partition| partition.tablets());
        tablets.all(|tablet| tablet.replicas.iter().all(|replica| replica.backend_id != gone))
    };
    assert!(cluster.wait_until(LIMIT, whole).await);
    let any = minidoris::NewAddress { http_port: Some(0), ..Default::default() };
    cluster.move_backend(2, any).await.unwrap();
    let port = cluster.be(2).http_port;
    const BACKENDS: &str = "SELECT BackendId, Host, HeartbeatPort, Tag, Alive FROM backends()";
    const FRONTENDS: &str = "SELECT Name, EditLogPort, Role, IsMaster FROM frontends()";
    let before = (sql(&cluster, BACKENDS).await, sql(&cluster, FRONTENDS).await);
    assert_eq!((before.0.len(), before.1.len()), (3, 2));
    let tablets = sql(&cluster, "SHOW TABLETS FROM d.t").await;
    let cluster = restart(cluster, directory.path()).await;
    assert_eq!((sql(&cluster, BACKENDS).await, sql(&cluster, FRONTENDS).await), before);
    assert_eq!(cluster.be(2).http_port, port, "a backend that was moved stays there");
    let ids = |rows: &[Vec<String>]| rows.iter().map(|row| row[..3].to_vec()).collect::<Vec<_>>();
    assert_eq!(ids(&sql(&cluster, "SHOW TABLETS FROM d.t").await), ids(&tablets));
    assert_eq!(sql(&cluster, "SELECT * FROM d.t").await, [["1", "c"]]);
    bounded(cluster.stop()).await;
}

#[tokio::test]
async fn resources_and_global_variables_come_back_and_settings_do_not() {
    let directory = tempfile::tempdir().unwrap();
    let cluster = start(directory.path()).await;
    sql(
        &cluster,
        "CREATE RESOURCE 'r' PROPERTIES ('type' = 's3', 's3.endpoint' = 'e', 's3.bucket' = 'b'); \
         CREATE STORAGE POLICY p PROPERTIES ('storage_resource' = 'r', 'cooldown_ttl' = '60'); \
         SET GLOBAL query_timeout = 77; ADMIN SET FRONTEND CONFIG ('ignore_backup_tmp_partitions' = 'true')",
    )
    .await;
    let seen = async |cluster: &Cluster| {
        let mut all = Vec::new();
        for statement in
            ["SHOW RESOURCES", "SHOW STORAGE POLICY", "SHOW GLOBAL VARIABLES LIKE 'query_timeout'"]
        {
            all.push(sql(cluster, statement).await);
        }
        all
    };
    let before = seen(&cluster).await;
    assert!(before.iter().all(|rows| !rows.is_empty()));
    assert_eq!(before[2], [["query_timeout", "77", "900", "1"]]);
    let update = async |setting: &str| {
        let url = format!("http://127.0.0.1:{}/api/update_config?{setting}", cluster.be(1).http_port);
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        assert_eq!(bounded(client.post(url).send()).await.unwrap().status(), 200);
    };
    update("download_low_speed_time=11&persist=true").await;
    update("download_low_speed_limit_kbps=12").await;
    const SETTING: &str = "ADMIN SHOW FRONTEND CONFIG LIKE 'ignore_backup_tmp_partitions'";
    assert_eq!(sql(&cluster, SETTING).await[0][1], "true");
    let cluster = restart(cluster, directory.path()).await;
    assert_eq!(seen(&cluster).await, before);
    assert_eq!(sql(&cluster, SETTING).await[0][1], "false");
    let config = |index: usize, name: &str| cluster.backend(index).config.number(name);
    assert_eq!((config(0, "download_low_speed_time"), config(1, "download_low_speed_time")), (300, 11));
    assert_eq!(config(1, "download_low_speed_limit_kbps"), 50);
    bounded(cluster.stop()).await;
}

/// An entry of a type that nobody knows ends with the frontend that holds it, a temporary table with its session.
#[tokio::test]
async fn what_a_start_drops_does_not_come_back() {
    let directory = tempfile::tempdir().unwrap();
    let cluster = start(directory.path()).await;
    sql(&cluster, TABLES).await;
    let (host, port) = cluster.admin_address();
    let url = format!("http://{host}:{port}/binlog/append/d");
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let entry = r#"{"type": 40, "table_ids": [], "data": "{}"}"#;
    assert_eq!(bounded(client.post(url).body(entry).send()).await.unwrap().status(), 200);
    sql(&cluster, "INSERT INTO d.t VALUES (2, 'z')").await;
    let types = async |cluster: &Cluster| -> Vec<i32> {
        let binlogs = Wire::new(cluster, 0).binlogs("d", -1).await.binlogs.unwrap();
        binlogs.into_iter().filter_map(|binlog| binlog.binlog_type).map(|known| known.0).collect()
    };
    let before = types(&cluster).await;
    assert!(before.contains(&40), "{before:?}");
    let node = cluster.fe(0);
    let opts = OptsBuilder::default().ip_or_hostname(node.host).tcp_port(node.query_port).user(Some("root"));
    let mut conn = bounded(Conn::new(opts)).await.unwrap();
    let temporary = "CREATE DATABASE plain; CREATE TEMPORARY TABLE plain.short (k INT) DISTRIBUTED BY HASH(k) BUCKETS 1; INSERT INTO plain.short VALUES (1)";
    bounded(conn.query_drop(temporary)).await.unwrap();
    // As after a kill, the session has not ended when the state was written last.
    let copy = tempfile::tempdir().unwrap();
    copy_files(directory.path(), copy.path());
    bounded(cluster.stop()).await;
    let cluster = start(copy.path()).await;
    let known: Vec<i32> = before.into_iter().filter(|known| *known != 40).collect();
    assert_eq!(types(&cluster).await, known);
    assert!(sql(&cluster, "SHOW TABLES FROM plain LIKE 'short'").await.is_empty());
    assert_eq!(sql(&cluster, "SELECT count(*) FROM d.t").await, [["2"]]);
    bounded(cluster.stop()).await;
}

fn copy_files(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir_all(&target).unwrap();
            copy_files(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Transactions leave the state file when the frontends forget them, not with the next start only.
#[tokio::test]
async fn forgotten_transactions_are_not_kept() {
    let directory = tempfile::tempdir().unwrap();
    let cluster = start(directory.path()).await;
    sql(&cluster, TABLES).await;
    sql(&cluster, "ADMIN SET FRONTEND CONFIG ('streaming_label_keep_max_second' = '60')").await;
    for key in 0..5 {
        sql(&cluster, &format!("INSERT INTO d.t VALUES ({key}, 'x')")).await;
    }
    let known = |inner: &ClusterInner| {
        let state = inner.fe.lock();
        let db = state.database_named("d").unwrap().id;
        state.txns.all(db).len()
    };
    let before = known(cluster.inner());
    assert!(before > 5, "{before}");
    cluster.clock().advance_ms(120_000);
    assert!(cluster.wait_until(LIMIT, |inner| known(inner) == 0).await);
    sql(&cluster, "INSERT INTO d.t VALUES (6, 'y')").await;
    bounded(cluster.stop()).await;
    let file = walk(directory.path()).into_iter().find(|path| path.ends_with("state.sqlite")).unwrap();
    let connection = rusqlite::Connection::open(file).unwrap();
    let transactions = |kind: i64| -> i64 {
        connection.query_row("SELECT count(*) FROM objects WHERE kind = ?", [kind], |row| row.get(0)).unwrap()
    };
    // The number of transactions in `persist::Kind`; tablets stand behind it.
    assert_eq!((transactions(9), transactions(10) > 0), (1, true));
}

/// All files below a directory.
fn walk(directory: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

/// Waits until the newest refresh is in that state.
async fn refreshed(cluster: &Cluster, status: &str) {
    const NEWEST: &str = "SELECT Status FROM tasks(\"type\" = \"mv\") ORDER BY TaskId DESC LIMIT 1";
    let wait = async {
        while sql(cluster, NEWEST).await != [[status]] {
            tokio::task::yield_now().await;
        }
    };
    bounded(wait).await;
}

#[tokio::test]
async fn refreshes_of_views_come_back_and_go_on() {
    let directory = tempfile::tempdir().unwrap();
    let cluster = start(directory.path()).await;
    sql(
        &cluster,
        "CREATE DATABASE d; CREATE TABLE d.t (k int) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1; \
         INSERT INTO d.t VALUES (1); CREATE MATERIALIZED VIEW d.m BUILD IMMEDIATE REFRESH COMPLETE ON MANUAL \
         DISTRIBUTED BY RANDOM BUCKETS 1 PROPERTIES ('replication_num' = '1') AS SELECT k FROM d.t",
    )
    .await;
    refreshed(&cluster, "SUCCESS").await;
    const TASKS: &str = "SELECT * FROM tasks(\"type\" = \"mv\") ORDER BY TaskId";
    let tasks = sql(&cluster, TASKS).await;
    let cluster = restart(cluster, directory.path()).await;
    assert_eq!(sql(&cluster, TASKS).await, tasks);
    // One that the process leaves unfinished starts again in the next.
    sql(&cluster, "INSERT INTO d.t VALUES (2)").await;
    cluster.inner().fe.lock().txns.publish_delay_ms = 3_600_000;
    sql(&cluster, "REFRESH MATERIALIZED VIEW d.m COMPLETE").await;
    refreshed(&cluster, "RUNNING").await;
    assert_eq!(sql(&cluster, "SELECT * FROM d.m").await, [["1"]]);
    let cluster = restart(cluster, directory.path()).await;
    refreshed(&cluster, "SUCCESS").await;
    assert_eq!(sql(&cluster, "SELECT * FROM d.m ORDER BY k").await, [["1"], ["2"]]);
    assert_eq!(sql(&cluster, TASKS).await.len(), 2);
    bounded(cluster.stop()).await;
}

#[tokio::test]
async fn a_state_is_not_opened_twice_and_a_foreign_one_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let cluster = start(directory.path()).await;
    sql(&cluster, "CREATE DATABASE d").await;
    let second = bounded(Cluster::start(options(directory.path()))).await.unwrap_err();
    assert!(format!("{second:#}").contains("locked"), "{second:#}");
    bounded(cluster.stop()).await;
    std::fs::write(directory.path().join("kept/state.sqlite"), "no database at all, but long enough")
        .unwrap();
    assert!(bounded(Cluster::start(options(directory.path()))).await.is_err());
}

/// The program itself, killed when it goes out of scope.
struct Program {
    child: Child,
    cluster: Value,
}

impl Program {
    fn start(directory: &Path, port: u16) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_minidoris"))
            .args(["--clusters", "1", "--backends", "2", "--json", "--base-port", &port.to_string()])
            .arg("--data-dir")
            .arg(directory)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let clusters: Value = serde_json::from_str(&line).unwrap();
        Self { child, cluster: clusters[0].clone() }
    }

    async fn connect(&self) -> Conn {
        let fe = &self.cluster["frontends"][0];
        let port = u16::try_from(fe["query_port"].as_u64().unwrap()).unwrap();
        let options = OptsBuilder::default()
            .ip_or_hostname(fe["host"].as_str().unwrap().to_owned())
            .tcp_port(port)
            .user(Some("root"))
            .prefer_socket(false);
        bounded(Conn::new(options)).await.unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // SIGKILL; a process that has ended already is what we want.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The program dies by SIGKILL between two answers, again and again; every answered row is there.
#[tokio::test(flavor = "multi_thread")]
async fn answered_statements_survive_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let mut expected = 0;
    for round in 0..3 {
        // Ports of the system's choice: the program must not depend on finding its old ones.
        let program = Program::start(directory.path(), 0);
        let mut conn = program.connect().await;
        if round == 0 {
            bounded(conn.query_drop(
                "CREATE DATABASE d PROPERTIES (\"binlog.enable\" = \"true\"); \
                 CREATE TABLE d.t (k int) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 3 \
                 PROPERTIES (\"replication_num\" = \"2\", \"binlog.enable\" = \"true\")",
            ))
            .await
            .unwrap();
        }
        for _ in 0..10 {
            bounded(conn.query_drop(format!("INSERT INTO d.t VALUES ({expected})"))).await.unwrap();
            expected += 1;
        }
        drop(program);
        let program = Program::start(directory.path(), 0);
        let mut conn = program.connect().await;
        let rows: Vec<Row> = bounded(conn.query("SELECT k FROM d.t ORDER BY k")).await.unwrap();
        let found: Vec<String> = rows.into_iter().map(|row| texts(row).remove(0).unwrap()).collect();
        assert_eq!(found, (0..expected).map(|k| k.to_string()).collect::<Vec<_>>());
        let binlogs: Vec<Row> = bounded(conn.query("SHOW PROC '/binlog'")).await.unwrap();
        // The dummy, one CREATE TABLE and the loads, in the list of the database.
        let length = texts(binlogs.into_iter().next().unwrap())[4].clone().unwrap();
        assert_eq!(length, (expected + 2).to_string());
    }
}
