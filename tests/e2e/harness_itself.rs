//! The harness finds what it is there to find.

use std::io::Write;

use crate::harness::log::unexpected_lines;
use crate::harness::{Pair, assert_equal};

/// Two clusters with the same table, one row each.
async fn twins(schema: [&str; 2], rows: [&str; 2]) -> Pair {
    let pair = Pair::start().await;
    for ((cluster, schema), rows) in [&pair.up, &pair.down].into_iter().zip(schema).zip(rows) {
        let create = format!(
            "CREATE TABLE d1.t (k INT NOT NULL, v VARCHAR({schema})) DUPLICATE KEY(k) \
             DISTRIBUTED BY HASH(k) BUCKETS 1"
        );
        for sql in ["CREATE DATABASE d1", &create, &format!("INSERT INTO d1.t VALUES {rows}")] {
            cluster.sql(sql).await.expect("the statement runs");
        }
    }
    pair
}

/// The message with which the comparison fails.
async fn failure(pair: Pair) -> String {
    let compared = tokio::spawn(async move { assert_equal(&pair, "t", "t").await });
    let panic = compared.await.expect_err("the sides differ").into_panic();
    panic.downcast_ref::<String>().cloned().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_differing_row_number_or_schema_is_found() {
    let other_row = twins(["9", "9"], ["(1, 'a')", "(1, 'b')"]).await;
    assert!(failure(other_row).await.contains("row 0 is"));
    let doubled = twins(["9", "9"], ["(1, 'a')", "(1, 'a'), (1, 'a')"]).await;
    assert!(failure(doubled).await.contains("1 rows upstream, 2 downstream"));
    let other_schema = twins(["9", "8"], ["(1, 'a')", "(1, 'a')"]).await;
    assert!(failure(other_schema).await.contains("schema of t differs"));
    let no_target = twins(["9", "9"], ["(1, 'a')", "(1, 'a')"]).await;
    assert!(failure(no_target).await.contains("is a target"), "nobody synced it");
}

#[test]
fn unexpected_lines_of_a_log_are_found() {
    let mut log = tempfile::NamedTempFile::new().unwrap();
    let lines = [
        "[2026-01-01 00:00:00.000]  INFO WARN is a word here job=j",
        "[2026-01-01 00:00:00.000]  WARN keeps failing job=j",
        "[2026-01-01 00:00:00.000] ERROR blocked job=j",
        "thread 'main' panicked at src/x.rs:1:1:",
    ];
    writeln!(log, "{}", lines.join("\n")).unwrap();
    assert_eq!(unexpected_lines(log.path(), &[]), lines[1..]);
    assert_eq!(unexpected_lines(log.path(), &["keeps failing".to_owned()]), lines[2..]);
}
