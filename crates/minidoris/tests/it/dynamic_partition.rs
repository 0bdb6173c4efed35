//! Dynamic partitions follow the clock.

use jiff::{Timestamp, ToSpan};
use minidoris::{Cluster, ClusterOptions};
use mysql_async::prelude::Queryable;

use crate::harness::{LIMIT, bounded, connect, rows};

const DAY_MS: i64 = 86_400_000;

#[tokio::test(flavor = "multi_thread")]
async fn partitions_move_with_the_days() {
    let options = ClusterOptions {
        frontend_config: [("dynamic_partition_check_interval_seconds".to_owned(), "3600".to_owned())].into(),
        ..ClusterOptions::replicating("days")
    };
    let cluster = Cluster::start(options).await.unwrap();
    // Noon, so that no midnight passes while the test runs.
    let now = cluster.clock().now_ms();
    cluster.clock().advance_ms(DAY_MS - now % DAY_MS + DAY_MS / 2);
    let mut conn = connect(&cluster).await;
    bounded(conn.query_drop("CREATE DATABASE d")).await.unwrap();
    let sql = r#"CREATE TABLE d.t (k INT, d DATETIME) DUPLICATE KEY(k) PARTITION BY RANGE(d) ()
        DISTRIBUTED BY HASH(k) BUCKETS 1 PROPERTIES (
        "dynamic_partition.time_unit" = "DAY", "dynamic_partition.start" = "-1",
        "dynamic_partition.end" = "1", "dynamic_partition.prefix" = "day_")"#;
    bounded(conn.query_drop(sql)).await.unwrap();
    let wanted = |days: std::ops::RangeInclusive<i64>| -> Vec<String> {
        let today = Timestamp::from_millisecond(cluster.clock().now_ms()).unwrap();
        days.map(|day| (today + (24 * day).hours()).strftime("day_%Y%m%d").to_string()).collect()
    };
    assert_eq!(names(&cluster).await, wanted(0..=1));
    for (by, days) in [(1, -1..=1), (1, -1..=1), (30, 0..=1)] {
        cluster.clock().advance_ms(by * DAY_MS);
        let wanted = wanted(days);
        let started = tokio::time::Instant::now();
        loop {
            let names = names(&cluster).await;
            if names == wanted {
                break;
            }
            assert!(started.elapsed() < LIMIT, "{names:?} are not {wanted:?}");
            tokio::task::yield_now().await;
        }
    }
    cluster.stop().await;
}

/// The partitions of `d.t`, oldest first.
async fn names(cluster: &Cluster) -> Vec<String> {
    let mut conn = connect(cluster).await;
    let shown = rows(&mut conn, "SHOW PARTITIONS FROM d.t").await;
    shown.into_iter().map(|row| row[1].clone().unwrap()).collect()
}
