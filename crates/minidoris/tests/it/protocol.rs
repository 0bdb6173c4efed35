//! The MySQL protocol through mysql_async.

use minidoris::{Cluster, ClusterOptions};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};

use crate::harness::{bounded, cluster, connect, opts, rows, server_error, texts};

#[tokio::test]
async fn a_driver_connects_and_selects() {
    let cluster = cluster().await;
    let mut conn = connect(&cluster).await;
    assert_eq!(rows(&mut conn, "SELECT 1").await, [[Some("1".to_owned())]]);
    assert_eq!(rows(&mut conn, "select database()").await, [[None]]);
    bounded(conn.ping()).await.unwrap();
    let version: Option<String> = conn.query_first("select @@version_comment").await.unwrap();
    assert_eq!(version.as_deref(), Some("doris-3.1.0-rc02-minidoris"));
    conn.query_drop("SET NAMES utf8mb4").await.unwrap();
    conn.query_drop("set query_timeout = 17, sql_mode = concat(@@sql_mode, ',X')").await.unwrap();
    assert_eq!(rows(&mut conn, "select @@query_timeout").await, [[Some("17".to_owned())]]);
    conn.disconnect().await.unwrap();
    cluster.stop().await;
}

#[tokio::test]
async fn passwords_and_databases_are_checked() {
    let options =
        ClusterOptions { root_password: "secret".to_owned(), ..ClusterOptions::replicating("locked") };
    let cluster = Cluster::start(options).await.unwrap();
    let (code, text) = server_error(bounded(Conn::new(opts(&cluster, 0).pass(Some("wrong")))).await);
    assert_eq!(code, 1045);
    assert!(text.contains("Access denied for user 'root'"), "{text}");
    assert!(text.contains("using password: YES"), "{text}");
    let (code, text) = server_error(bounded(Conn::new(opts(&cluster, 0))).await);
    assert_eq!(code, 1045);
    assert!(text.contains("using password: NO"), "{text}");
    let stranger = opts(&cluster, 0).user(Some("nobody"));
    assert_eq!(server_error(bounded(Conn::new(stranger)).await).0, 1045);
    let right = opts(&cluster, 0).pass(Some("secret"));
    let (code, text) = server_error(bounded(Conn::new(right.clone().db_name(Some("nope")))).await);
    assert_eq!(code, 1049);
    assert!(text.contains("Unknown database 'nope'"), "{text}");
    let mut conn = bounded(Conn::new(right.db_name(Some("information_schema")))).await.unwrap();
    assert_eq!(rows(&mut conn, "select database()").await, [[Some("information_schema".to_owned())]]);
    let (code, _) = server_error(conn.query_drop("USE nope").await);
    assert_eq!(code, 1049);
    cluster.stop().await;
}

#[tokio::test]
async fn errors_carry_the_prefix_and_leave_the_connection_usable() {
    let cluster = cluster().await;
    let mut conn = connect(&cluster).await;
    let (code, text) = server_error(conn.query_drop("frobnicate the table").await);
    assert_eq!(code, 1105);
    assert!(text.starts_with("errCode = 2, detailMessage = "), "{text}");
    let (code, text) = server_error(conn.query_drop("select @@no_such_thing").await);
    assert_eq!((code, text.contains("Unknown system variable 'no_such_thing'")), (1193, true));
    assert_eq!(rows(&mut conn, "SELECT 1").await.len(), 1);
    cluster.stop().await;
}

#[tokio::test]
async fn every_statement_of_a_text_runs() {
    let cluster = cluster().await;
    // Not asked for several results: the last one answers.
    let mut conn = connect(&cluster).await;
    let last = rows(&mut conn, "set query_timeout = 5; select 1; select @@query_timeout").await;
    assert_eq!(last, [[Some("5".to_owned())]]);
    // The first error ends the text.
    let (code, _) = server_error(conn.query_drop("select 1; nonsense; set query_timeout = 6").await);
    assert_eq!(code, 1105);
    assert_eq!(rows(&mut conn, "select @@query_timeout").await, [[Some("5".to_owned())]]);
    cluster.stop().await;
}

#[tokio::test]
async fn show_variables_has_four_columns() {
    let cluster = cluster().await;
    let mut conn = connect(&cluster).await;
    let found: Vec<Row> = conn.query("SHOW VARIABLES LIKE 'version_comment'").await.unwrap();
    let names: Vec<_> = found[0].columns_ref().iter().map(|column| column.name_str().into_owned()).collect();
    assert_eq!(names, ["Variable_name", "Value", "Default_Value", "Changed"]);
    let row = texts(found.into_iter().next().unwrap());
    assert_eq!(row[0].as_deref(), Some("version_comment"));
    assert!(row[1].as_deref().unwrap().starts_with("doris-3.1.0"));
    cluster.stop().await;
}

#[tokio::test]
async fn statements_and_answers_longer_than_one_packet_pass() {
    let cluster = cluster().await;
    let roomy = opts(&cluster, 0).max_allowed_packet(Some(64 << 20));
    let mut conn = bounded(Conn::new(roomy)).await.unwrap();
    let padding = "x".repeat(17 << 20);
    let (code, _) = server_error(bounded(conn.query_drop(format!("nonsense /* {padding} */"))).await);
    assert_eq!(code, 1105);
    let text = "y".repeat(17 << 20);
    let answer = rows(&mut conn, &format!("SELECT '{text}' AS t, 1")).await;
    assert_eq!(answer[0][0].as_deref().map(str::len), Some(text.len()));
    assert_eq!(answer[0][1].as_deref(), Some("1"));
    assert_eq!(rows(&mut conn, "SELECT 1").await.len(), 1);
    cluster.stop().await;
}
