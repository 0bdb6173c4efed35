//! Rows that come over HTTP: stream loads of all kinds, in one step and in two, before the snapshot, beside it
//! and after it, in database jobs and in table jobs. Of a load in two steps it matters when it is committed.

use std::time::Duration;

use minidoris::Cluster;
use serde_json::Value;

use crate::harness::{BOUND, DB, Pair, Syncer, Target, assert_equal, wait_until};
use crate::matrix::{last_seq, slow_pair};

const JOB: &str = "loads";
const ROOT: &str = "root";
const TABLES: [(&str, &str); 3] = [
    ("log", "DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 2"),
    ("uniq", "UNIQUE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 2"),
    (
        "parts",
        "DUPLICATE KEY(k) PARTITION BY RANGE(k) (PARTITION p1 VALUES LESS THAN (\"100\"), \
         PARTITION p2 VALUES LESS THAN (\"1000\")) DISTRIBUTED BY HASH(k) BUCKETS 2",
    ),
];

async fn put(cluster: &Cluster, path: &str, headers: &[(&str, &str)], body: String) -> Value {
    let node = cluster.be(0);
    let url = format!("http://{}:{}/api/{DB}/{path}", node.host, node.http_port);
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build();
    let mut request = client.expect("a client is built").put(url).basic_auth(ROOT, Some("")).body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let text = request.send().await.expect("the load is answered").text().await.expect("with a text");
    serde_json::from_str(&text).expect("which is JSON")
}

async fn load(pair: &Pair, table: &str, headers: &[(&str, &str)], body: String) -> Value {
    let answer = put(&pair.up, &format!("{table}/_stream_load"), headers, body).await;
    assert_eq!(answer["Status"], "Success", "{answer}");
    answer
}

/// The first step of a load of one row; gives the transaction.
async fn prepare(pair: &Pair, table: &str, key: i32) -> String {
    let headers = [("column_separator", ","), ("two_phase_commit", "true")];
    let answer = load(pair, table, &headers, format!("{key},in two steps\n")).await;
    answer["TxnId"].to_string()
}

/// The second: `commit` or `abort`.
async fn end(pair: &Pair, txn_id: &str, operation: &str) {
    let headers = [("txn_id", txn_id), ("txn_operation", operation)];
    let answer = put(&pair.up, "_stream_load_2pc", &headers, String::new()).await;
    assert_eq!(answer["status"], "Success", "{answer}");
}

/// One load of each kind; the keys begin at `first`.
async fn load_all_kinds(pair: &Pair, first: i32) {
    let csv = |from: i32| {
        let rows: Vec<String> = (from..from + 3).map(|key| format!("{key},csv {key}")).collect();
        rows.join("\n")
    };
    for (table, _) in TABLES {
        load(pair, table, &[("column_separator", ",")], csv(first)).await;
        let json = format!("[{{\"k\": {}, \"v\": \"json\"}}, {{\"k\": {}}}]", first + 3, first + 4);
        load(pair, table, &[("format", "json"), ("strip_outer_array", "true")], json).await;
    }
    let computed =
        [("column_separator", ","), ("columns", "a, b, k = a + 5, v = concat('n', b)"), ("where", "k > 0")];
    load(pair, "log", &computed, csv(first)).await;
    load(pair, "parts", &[("column_separator", ","), ("partitions", "p2")], csv(first + 500)).await;
    load(pair, "uniq", &[("column_separator", ","), ("merge_type", "DELETE")], format!("{first},gone")).await;
    let merge = [("column_separator", ","), ("merge_type", "MERGE"), ("delete", "v = 'out'")];
    load(pair, "uniq", &merge, format!("{},out\n{},in\n", first + 1, first + 2)).await;
    let aborted = prepare(pair, "log", first + 90).await;
    end(pair, &aborted, "abort").await;
}

/// The jobs that follow the tables, and where their targets are.
async fn create_jobs(pair: &Pair, syncer: &Syncer, one_for_all: bool) -> Vec<(String, &'static str, String)> {
    let mut jobs = Vec::new();
    if one_for_all {
        syncer.create(&pair.database_job(JOB)).await;
    }
    for (table, _) in TABLES {
        if one_for_all {
            jobs.push((JOB.to_owned(), table, table.to_owned()));
        } else {
            let target = format!("{table}_target");
            syncer.create(&pair.table_job(table, table, &target)).await;
            jobs.push((table.to_owned(), table, target));
        }
    }
    jobs
}

async fn stream_loads_are_followed(one_for_all: bool) {
    let pair = slow_pair(|_| {}).await;
    for (table, kind) in TABLES {
        pair.run(&format!(
            "CREATE TABLE {table} (k INT NOT NULL, v VARCHAR(20)) {kind} PROPERTIES (\"binlog.enable\" = \"true\")"
        ))
        .await;
    }
    load_all_kinds(&pair, 10).await;
    // Prepared before the snapshot; committed beside it, and after it.
    let beside = prepare(&pair, "log", 1).await;
    let after = [prepare(&pair, "log", 2).await, prepare(&pair, "uniq", 3).await];
    let syncer = Syncer::start().await;
    let jobs = create_jobs(&pair, &syncer, one_for_all).await;
    wait_until("the backup has begun", BOUND, || async {
        let calls = pair.calls("sql:BACKUP");
        if calls > 0 { Ok(()) } else { Err(format!("{calls} backups")) }
    })
    .await;
    load_all_kinds(&pair, 20).await;
    end(&pair, &beside, "commit").await;
    let all_in_sync = async || {
        for (job, ..) in &jobs {
            syncer.wait_for(job, Target::InSync).await;
        }
    };
    all_in_sync().await;
    let stream_starts = last_seq(&pair);
    for txn_id in &after {
        end(&pair, txn_id, "commit").await;
    }
    load_all_kinds(&pair, 30).await;
    assert!(last_seq(&pair) > stream_starts, "loads are told in the binlog");
    all_in_sync().await;
    for (_, table, target) in &jobs {
        assert_equal(&pair, table, target).await;
    }
    let two_steps =
        pair.down.sql_in(DB, &format!("SELECT k FROM {} WHERE v = 'in two steps'", jobs[0].2)).await;
    assert_eq!(two_steps.expect("the rows are there").rows.len(), 2);
    let full_syncs = syncer.log_text().matches("full sync: backup").count();
    assert_eq!(full_syncs, if one_for_all { 1 } else { TABLES.len() });
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_job_follows_stream_loads() {
    stream_loads_are_followed(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn table_jobs_follow_stream_loads() {
    stream_loads_are_followed(false).await;
}
