//! Stream load through the frontend's redirect, with curl where it is installed and with reqwest.

use std::process::Command;

use minidoris::{Cluster, NodeId};
use reqwest::StatusCode;
use reqwest::header::LOCATION;
use serde_json::Value;

use crate::harness::{LIMIT, cluster, connect, rows};

async fn cluster_with_table() -> Cluster {
    let cluster = cluster().await;
    cluster.sql(r#"CREATE DATABASE d PROPERTIES ("binlog.enable" = "true")"#).await.unwrap();
    let table = r#"CREATE TABLE t (k INT, v VARCHAR(32)) UNIQUE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 2
        PROPERTIES ("replication_num" = "1", "binlog.enable" = "true")"#;
    cluster.sql_in("d", table).await.unwrap();
    cluster
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frontend_redirects_a_load_to_a_backend() {
    let cluster = cluster_with_table().await;
    let (fe, be) = (cluster.fe(0), cluster.be(0));
    let policy = reqwest::redirect::Policy::none();
    let client = reqwest::Client::builder().timeout(LIMIT).redirect(policy).build().unwrap();
    let put = |url: &str| {
        let request = client.put(url).basic_auth("root", Some("")).header("column_separator", ",");
        request.header("Expect", "100-continue").header("label", "load1").body("1,one\n2,two\n")
    };
    let answer =
        put(&format!("http://{}:{}/api/d/t/_stream_load", fe.host, fe.http_port)).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::TEMPORARY_REDIRECT);
    let location = answer.headers()[LOCATION].to_str().unwrap().to_owned();
    assert!(location.contains(&format!("{}:{}/api/d/t/_stream_load", be.host, be.http_port)), "{location}");
    let result: Value = put(&location).send().await.unwrap().json().await.unwrap();
    assert_eq!(result["Status"], "Success", "{result}");
    assert_eq!(result["NumberLoadedRows"], 2);
    let again: Value = put(&location).send().await.unwrap().json().await.unwrap();
    assert_eq!(again["Status"], "Label Already Exists", "{again}");
    assert_eq!(cluster.counters().get_on(NodeId::Be(be.id), "http:/api/_stream_load"), 2);
    let mut conn = connect(&cluster).await;
    assert_eq!(rows(&mut conn, "SELECT * FROM d.t").await.len(), 2);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_loads_a_file() {
    let cluster = cluster_with_table().await;
    let fe = cluster.fe(0);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "7,seven\n8,eight\n9,nine\n").unwrap();
    let path = file.path().display().to_string();
    let url = format!("http://{}:{}/api/d/t/_stream_load", fe.host, fe.http_port);
    let run = move || {
        let headers = ["-H", "Expect: 100-continue", "-H", "column_separator: ,"];
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--max-time", "20", "--location-trusted", "-u", "root:"]).args(headers);
        curl.args(["-T", &path, &url]).output()
    };
    match tokio::task::spawn_blocking(run).await.unwrap() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("LEFT OUT: curl is not installed");
        }
        output => {
            let output = output.unwrap();
            let result: Value = serde_json::from_slice(&output.stdout)
                .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
            assert_eq!(result["Status"], "Success", "{result}");
            let mut conn = connect(&cluster).await;
            let found = rows(&mut conn, "SELECT v FROM d.t ORDER BY k").await;
            let texts: Vec<_> = found.into_iter().flatten().flatten().collect();
            assert_eq!(texts, ["seven", "eight", "nine"]);
        }
    }
    cluster.stop().await;
}
