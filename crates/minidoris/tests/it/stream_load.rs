//! Stream load over HTTP.

use minidoris::Cluster;
use serde_json::Value;

use crate::harness::{bounded, cluster};

const TABLE: &str = "CREATE TABLE d.t (k int, v varchar(5), m decimal(9,2) NOT NULL DEFAULT \"1.5\") DUPLICATE KEY(k) \
                     DISTRIBUTED BY HASH(k) BUCKETS 2 PROPERTIES (\"replication_num\" = \"1\")";

async fn with_table() -> Cluster {
    let cluster = bounded(cluster()).await;
    bounded(cluster.sql("CREATE DATABASE d")).await.unwrap();
    bounded(cluster.sql(TABLE)).await.unwrap();
    cluster
}

async fn load(cluster: &Cluster, headers: &[(&str, &str)], body: &str) -> Value {
    let node = cluster.be(0);
    let url = format!("http://{}:{}/api/d/t/_stream_load", node.host, node.http_port);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut request = client.put(url).basic_auth("root", Some("")).body(body.to_owned());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let text = bounded(request.send()).await.unwrap().text().await.unwrap();
    serde_json::from_str(&text).unwrap()
}

async fn count(cluster: &Cluster) -> String {
    let rows = bounded(cluster.sql("SELECT count(*), sum(k), sum(m) FROM d.t")).await.unwrap().rows;
    rows[0].iter().map(|cell| cell.clone().unwrap_or_default()).collect::<Vec<_>>().join(",")
}

#[tokio::test]
async fn csv_and_json_bodies() {
    let cluster = with_table().await;
    let answer = load(&cluster, &[("label", "l1")], "1\ta\t1.00\n2\t\\N\t2.00\r\n").await;
    assert_eq!(answer["Status"], "Success", "{answer}");
    assert_eq!((&answer["NumberTotalRows"], &answer["NumberLoadedRows"]), (&2.into(), &2.into()));
    assert_eq!(answer["Label"], "l1");
    let headers = [("column_separator", "\\x01"), ("columns", "v,k,other"), ("line_delimiter", ";")];
    let answer = load(&cluster, &headers, "b\u{1}3\u{1}x;c\u{1}4\u{1}y").await;
    assert_eq!(answer["Status"], "Success", "{answer}");
    let json = "{\"k\": 5, \"v\": \"j\", \"m\": 0.25}\n{\"k\": \"6\"}\n";
    assert_eq!(load(&cluster, &[("format", "json")], json).await["Status"], "Success");
    let headers = [("format", "json"), ("strip_outer_array", "true")];
    assert_eq!(
        load(&cluster, &headers, "[{\"k\": 7, \"m\": 1}, {\"k\": 8, \"m\": 1}]").await["Status"],
        "Success"
    );
    assert_eq!(count(&cluster).await, "8,36,9.75");
    bounded(cluster.stop()).await;
}

#[tokio::test]
async fn bad_rows_are_filtered_within_the_ratio() {
    let cluster = with_table().await;
    let body = "1\ta\t1\n2\ttoo long\t1\nx\tb\t1\n4\tc\n";
    let answer = load(&cluster, &[], body).await;
    assert_eq!(answer["Status"], "Fail", "{answer}");
    assert!(answer["Message"].as_str().unwrap().contains("too many filtered rows"));
    assert_eq!(count(&cluster).await, "0,,");
    // Not strict: what is no number becomes NULL.
    let answer = load(&cluster, &[("max_filter_ratio", "0.5")], body).await;
    assert_eq!(answer["Status"], "Success", "{answer}");
    assert_eq!((&answer["NumberLoadedRows"], &answer["NumberFilteredRows"]), (&2.into(), &2.into()));
    let answer = load(&cluster, &[("max_filter_ratio", "0.5"), ("strict_mode", "true")], body).await;
    assert_eq!(answer["Status"], "Fail", "{answer}");
    bounded(cluster.stop()).await;
}

#[tokio::test]
async fn labels_are_used_once() {
    let cluster = with_table().await;
    let first = load(&cluster, &[("label", "once")], "1\ta\t1").await;
    assert_eq!(first["Status"], "Success");
    let second = load(&cluster, &[("label", "once")], "1\ta\t1").await;
    assert_eq!(
        (&second["Status"], &second["ExistingJobStatus"]),
        (&"Label Already Exists".into(), &"FINISHED".into())
    );
    assert_eq!(count(&cluster).await, "1,1,1.00");
    // A failed load frees its label.
    assert_eq!(load(&cluster, &[("label", "again")], "bad").await["Status"], "Fail");
    assert_eq!(load(&cluster, &[("label", "again")], "2\tb\t1").await["Status"], "Success");
    bounded(cluster.stop()).await;
}

#[tokio::test]
async fn a_frontend_redirects_to_a_backend_with_the_credentials() {
    let cluster = with_table().await;
    let node = cluster.fe(0);
    let url = format!("http://{}:{}/api/d/t/_stream_load", node.host, node.http_port);
    let policy = reqwest::redirect::Policy::none();
    let client = reqwest::Client::builder().no_proxy().redirect(policy).build().unwrap();
    let answer = bounded(client.put(&url).basic_auth("root", Some("")).body("1\ta\t1").send()).await.unwrap();
    assert_eq!(answer.status().as_u16(), 307);
    let location = answer.headers()["location"].to_str().unwrap().to_owned();
    let backend = cluster.be(0);
    assert_eq!(location, format!("http://root:@{}:{}/api/d/t/_stream_load", backend.host, backend.http_port));
    let refused = bounded(client.put(&url).basic_auth("root", Some("wrong")).send()).await.unwrap();
    assert_eq!(refused.status().as_u16(), 401);
    bounded(cluster.stop()).await;
}
