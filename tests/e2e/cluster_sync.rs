//! All databases of a cluster, also those that are made later.

use serde_json::json;

use crate::harness::compare::Place;
use crate::harness::{BOUND, Pair, Syncer, Target, wait_until};
use crate::matrix::assert_same_databases;

async fn make(pair: &Pair, database: &str) {
    pair.sql(&format!("CREATE DATABASE {database} PROPERTIES (\"binlog.enable\" = \"true\")")).await;
    let table = "CREATE TABLE t (k INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1
                 PROPERTIES (\"replication_num\" = \"1\", \"binlog.enable\" = \"true\")";
    for sql in [table, "INSERT INTO t VALUES (1), (2)"] {
        pair.up.sql_in(database, sql).await.expect("the database is filled");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_database_is_replicated() {
    let pair = Pair::start().await;
    make(&pair, "d1").await;
    make(&pair, "d2").await;
    let syncer = Syncer::start().await;
    let mut job = pair.database_job("all");
    job["cluster_sync"] = json!(true);
    let answer = syncer.call("create_ccr", &job).await;
    assert_eq!(answer["jobs"], json!(["all_d1", "all_d2"]));
    syncer.call("update_monitor_interval", &json!({ "interval_seconds": 1 })).await;
    make(&pair, "d3").await;
    wait_until("the job of a new database", BOUND, || async {
        let jobs = syncer.call("list_jobs", &json!({})).await["jobs"].clone();
        if jobs == json!(["all_d1", "all_d2", "all_d3"]) { Ok(()) } else { Err(jobs.to_string()) }
    })
    .await;
    for database in ["d1", "d2", "d3"] {
        pair.up.sql_in(database, "INSERT INTO t VALUES (3)").await.expect("a row");
        syncer.wait_for(&format!("all_{database}"), Target::InSync).await;
        let place = |cluster| Place { cluster, db: database };
        assert_same_databases(place(&pair.up), place(&pair.down)).await;
    }
    syncer.finish().await;
}
