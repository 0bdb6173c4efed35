//! The program as a shell starts it: its help, its configuration file, and the zone of the machine.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use mysql_async::{Conn, OptsBuilder};
use serde_json::Value;

use crate::harness::{LIMIT, bounded, rows};

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_minidoris"))
}

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// A running program with what it says of its clusters; killed when it goes out of scope.
struct Running {
    child: Child,
    clusters: Vec<Value>,
}

impl Running {
    fn start(command: &mut Command) -> Self {
        let mut child = command.arg("--json").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, clusters: serde_json::from_str(&line).unwrap() }
    }

    async fn connect(&self, cluster: usize) -> Conn {
        let fe = &self.clusters[cluster]["frontends"][0];
        let port = u16::try_from(fe["query_port"].as_u64().unwrap()).unwrap();
        let host = fe["host"].as_str().unwrap().to_owned();
        let options = OptsBuilder::default().ip_or_hostname(host).tcp_port(port).user(Some("root"));
        bounded(Conn::new(options.prefer_socket(false))).await.unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended already is what we want.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn the_help_names_every_option_of_the_readme() {
    let output = program().arg("--help").output().unwrap();
    assert!(output.status.success());
    let help = String::from_utf8(output.stdout).unwrap();
    let readme = std::fs::read_to_string(file("README.md")).unwrap();
    let options = [
        "--clusters",
        "--backends",
        "--frontends",
        "--base-port",
        "--json",
        "--config",
        "--release",
        "--data-dir",
    ];
    for option in options {
        assert!(help.contains(option), "{option} is missing in\n{help}");
        assert!(readme.contains(option), "the README does not tell of {option}");
    }
}

#[tokio::test]
async fn the_configuration_file_of_the_readme_is_read() {
    let path = file("clusters.json");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(
        std::fs::read_to_string(file("README.md")).unwrap().contains(&text),
        "the README shows another file"
    );
    let running = Running::start(program().arg("--config").arg(&path));
    let shapes: Vec<_> = running
        .clusters
        .iter()
        .map(|cluster| (cluster["name"].as_str().unwrap(), cluster["backends"].as_array().unwrap().len()))
        .collect();
    assert_eq!(shapes, [("upstream", 3), ("downstream", 2)]);
    let mut conn = running.connect(1).await;
    let shown = rows(&mut conn, "ADMIN SHOW FRONTEND CONFIG LIKE 'enable_feature_binlog'").await;
    assert_eq!(shown[0][1].as_deref(), Some("true"));
    let first: i64 = rows(&mut conn, "SHOW BACKENDS").await[0][0].as_ref().unwrap().parse().unwrap();
    assert!((50_000..60_000).contains(&first), "{first}");
}

#[test]
fn an_unknown_option_in_the_configuration_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("clusters.json");
    std::fs::write(&path, r#"[{"name": "x", "backend": 3}]"#).unwrap();
    let output = program().arg("--config").arg(&path).output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("unknown field `backend`"));
}

/// Wherever the machine stands, everything tells the time of the cluster's zone, which is UTC.
#[tokio::test]
async fn every_time_is_told_in_one_zone() {
    let running = Running::start(program().args(["--clusters", "1"]).env("TZ", "CST-8"));
    let mut conn = running.connect(0).await;
    let now = jiff::Timestamp::now().as_second();
    let told: i64 = rows(&mut conn, "SELECT unix_timestamp()").await[0][0].as_ref().unwrap().parse().unwrap();
    assert!((told - now).abs() < 3_600, "{told} is not about {now}");
    for sql in [
        "CREATE DATABASE d",
        "CREATE TABLE d.t (k INT) DISTRIBUTED BY HASH(k) BUCKETS 1",
        "ALTER TABLE d.t ADD COLUMN c INT",
        "BACKUP SNAPSHOT d.s TO `__keep_on_local__`",
    ] {
        rows(&mut conn, sql).await;
    }
    let mut hour = async |sql: &str, column: usize| {
        let row = rows(&mut conn, sql).await.pop().unwrap();
        let text = row[column].clone().unwrap();
        let time: jiff::civil::DateTime = text.replace(' ', "T").parse().unwrap();
        time.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp().as_second()
    };
    for (sql, column) in
        [("SELECT now()", 0), ("SHOW ALTER TABLE COLUMN FROM d", 2), ("SHOW BACKUP FROM d", 5)]
    {
        let told = hour(sql, column).await;
        assert!((told - now).abs() < LIMIT.as_secs().cast_signed() + 600, "{sql}: {told} is not about {now}");
    }
}

/// Numbers of frontends are not used again, so the first may be any.
#[tokio::test]
async fn a_directory_without_its_first_frontend_is_opened() {
    let directory = tempfile::tempdir().unwrap();
    let start = || Running::start(program().args(["--clusters", "1", "--data-dir"]).arg(directory.path()));
    {
        let running = start();
        let admin = &running.clusters[0]["admin"];
        let post = async |path: &str| {
            let url = format!("http://{}:{}{path}", admin["host"].as_str().unwrap(), admin["port"]);
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            assert_eq!(bounded(client.post(url).send()).await.unwrap().status(), 200, "{path}");
        };
        post("/fe").await;
        post("/fe/1/make_master").await;
        let mut conn = running.connect(0).await;
        let port = rows(&mut conn, "SHOW FRONTENDS").await[0][2].clone().unwrap();
        rows(&mut conn, "CREATE DATABASE kept").await;
        // Its own connection ends with it, answered or not.
        let drop = format!("ALTER SYSTEM DROP FOLLOWER '127.0.0.1:{port}'");
        let _ = bounded(mysql_async::prelude::Queryable::query_drop(&mut conn, drop)).await;
    }
    let running = start();
    assert_eq!(running.clusters[0]["frontends"].as_array().unwrap().len(), 1);
    let mut conn = running.connect(0).await;
    assert_eq!(rows(&mut conn, "SHOW DATABASES LIKE 'kept'").await.len(), 1);
}
