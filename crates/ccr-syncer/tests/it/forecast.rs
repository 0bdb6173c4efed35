//! How near jobs are to losing binlogs: shown for running and for paused ones, and asked for in bulk.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use ccr_core::store::Store;
use ccr_syncer::manager::Lag;
use doris_types::call::BinlogLag;
use doris_types::failure::Cause;
use doris_types::meta::BinlogList;
use serde_json::{Value, json};

use crate::fake::FakeCluster;
use crate::harness::{Node, database_job, table_job};

/// In the incremental phase at commit seq 9, with table 10.
const FLOWING: &str = r#"{"version":1,"snapshots_taken":1,"phase":{"phase":"incremental","since_ms":1,
    "statement_in_doubt":null},"tables":{"10":{"source_name":"orders","target_name":"orders","target_id":5,
    "synced_to":1}},"blocked":null,"last_full_sync":null}"#;

/// A paused job, 40 binlogs behind, the oldest of which is 60,000 s old.
async fn behind(body: Value) -> Node {
    let node = Node::start().await;
    let name = body["name"].as_str().unwrap().to_owned();
    node.call("create_ccr", body).await;
    node.call("pause", json!({ "name": name })).await;
    crate::answers::leave_state(&node, &name, FLOWING).await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let now = i64::try_from(now).unwrap();
    node.up.state.lock().lag = Some(BinlogLag {
        lag: 40,
        first_commit_seq: -1,
        next_commit_seq: 12,
        last_commit_seq: 90,
        first_timestamp_ms: now - 120_000_000,
        next_timestamp_ms: now - 60_000_000,
        last_timestamp_ms: now,
    });
    node
}

fn list(name: &str, id: i64, ttl_seconds: i64) -> BinlogList {
    let (entries, bytes) = (80, 8000);
    let (max_bytes, max_history_nums) = (i64::MAX, i64::MAX);
    let is_of_table = name.contains('.');
    BinlogList {
        name: name.to_owned(),
        is_of_table,
        id,
        entries,
        bytes,
        ttl_seconds,
        max_bytes,
        max_history_nums,
    }
}

async fn forecast(node: &Node, name: &str) -> Value {
    node.manager.forecast_all(&BTreeMap::new()).await;
    node.call("job_progress", json!({ "name": name })).await["job_progress"]["forecast"].clone()
}

fn shows_expiry(node: &Node) -> bool {
    node.metrics.render().contains(r#"ccr_job_binlog_expires_seconds{name="j"}"#)
}

#[tokio::test]
async fn a_paused_job_shows_when_its_next_binlog_expires() {
    let node = behind(database_job("j")).await;
    let progress = node.call("job_progress", json!({ "name": "j" })).await["job_progress"].clone();
    assert_eq!(progress["forecast"], Value::Null, "nobody has looked yet");
    node.up.state.lock().lists =
        vec![list("other", 2, 1), list("shop.orders", 10, 1), list("shop", 1, 100_000)];
    let found = forecast(&node, "j").await;
    assert_eq!((&found["commit_seq"], &found["limit"]), (&json!(12), &json!("binlog.ttl_seconds")));
    let used = found["used"].as_f64().unwrap();
    assert!((0.6..0.9).contains(&used), "{found}");
    assert!(found["expires_in_seconds"].as_i64().unwrap() <= 40_000 && shows_expiry(&node), "{found}");

    node.up.state.lock().lists[2].max_history_nums = 45;
    let found = forecast(&node, "j").await;
    assert_eq!(found["limit"], "binlog.max_history_nums");
    node.up.state.lock().lists[2].max_bytes = 4001;
    assert_eq!(forecast(&node, "j").await["limit"], "binlog.max_bytes");

    // What is not known is not shown as it was.
    node.up.fail("binlog_lists", Cause::Connect { detail: "refused".to_owned() });
    assert_eq!(forecast(&node, "j").await, Value::Null);
    assert!(!shows_expiry(&node));
    node.up.state.lock().failures.clear();
    assert!(!forecast(&node, "j").await.is_null() && shows_expiry(&node));
    let asked = node.up.state.lock().lists_read;
    node.up.state.lock().lag = Some(BinlogLag::default());
    assert_eq!(forecast(&node, "j").await, Value::Null, "nothing is behind");
    assert_eq!(node.up.state.lock().lists_read, asked, "so there is nothing to ask");
    node.call("delete", json!({ "name": "j" })).await;
    assert!(!shows_expiry(&node));
}

#[tokio::test]
async fn the_limits_of_the_database_hold_for_a_table_while_its_binlog_is_on() {
    let node = behind(table_job("j")).await;
    node.up.state.lock().lists = vec![list("shop", 1, 70_000), list("shop.orders", 10, 600_000)];
    let used = async || forecast(&node, "j").await["used"].as_f64().unwrap();
    assert!(used().await > 0.8);
    node.up.state.lock().databases.get_mut("shop").unwrap().create = "CREATE DATABASE `shop`".to_owned();
    assert!(used().await < 0.5);
    // Frontends list either the database or its tables.
    node.up.state.lock().lists.remove(1);
    assert!(used().await > 0.8);
}

#[tokio::test]
async fn one_question_serves_all_jobs_of_a_cluster() {
    let node = behind(database_job("j")).await;
    node.call("create_ccr", table_job("k")).await;
    node.call("pause", json!({ "name": "k" })).await;
    crate::answers::leave_state(&node, "k", FLOWING).await;
    node.up.state.lock().lists = vec![list("shop", 1, 100_000)];
    assert!(!forecast(&node, "j").await.is_null());
    assert_eq!(node.up.state.lock().lists_read, 1);
    let progress = node.call("job_progress", json!({ "name": "k" })).await;
    assert!(!progress["job_progress"]["forecast"].is_null(), "{progress}");
    // A job in its full sync needs what comes after its snapshot.
    let id = node.store.job_by_name("k").await.unwrap().unwrap().id;
    assert!(node.manager.forecast(&id).is_some());
    node.call("force_fullsync", json!({ "name": "k" })).await;
    assert_eq!(forecast(&node, "k").await, Value::Null);
}

/// The same with table 10 apart: it is blocked, and needs what comes after commit seq 7.
const BLOCKED: &str = r#"{"version":1,"snapshots_taken":1,"phase":{"phase":"incremental","since_ms":1,
    "statement_in_doubt":null},"tables":{"10":{"source_name":"orders","target_name":"orders","target_id":5,
    "synced_to":1,"lane":{"lane":"apart","cursor":7,"since_ms":1,"work":{"work":"blocked","code":"CCR0203",
    "message":"m","hint":"h","commit_seq":8,"binlog_type":"99","since_ms":1}}}},
    "blocked":null,"last_full_sync":null}"#;

#[tokio::test]
async fn what_a_table_apart_needs_goes_with_the_list_of_the_database() {
    let node = behind(database_job("j")).await;
    crate::answers::leave_state(&node, "j", BLOCKED).await;
    {
        // The job itself has applied everything; of the table three entries are left, half as old as the list.
        let mut state = node.up.state.lock();
        let of_list = state.lag.clone().unwrap();
        let next = BinlogLag { lag: 3, next_commit_seq: 8, ..of_list.clone() };
        state.lag_of_table.insert(10, next);
        state.lag = Some(BinlogLag { lag: 0, next_commit_seq: 0, next_timestamp_ms: 0, ..of_list });
        let limits =
            BinlogList { entries: 1_000_000, max_history_nums: 600_000, ..list("shop", 1, i64::MAX) };
        state.lists = vec![limits];
    }
    let found = forecast(&node, "j").await;
    assert_eq!((&found["commit_seq"], &found["limit"]), (&json!(8), &json!("binlog.max_history_nums")));
    let used = found["used"].as_f64().unwrap();
    assert!((0.8..0.9).contains(&used), "half of the list of 600,000: {found}");

    // Its own list begins behind what it needs, the job's does not.
    node.up.state.lock().lag_of_table.get_mut(&10).unwrap().first_commit_seq = 8;
    let found = forecast(&node, "j").await;
    assert_eq!((&found["used"], &found["expires_in_seconds"]), (&json!(1.0), &json!(0)), "{found}");
}

#[tokio::test]
async fn a_source_that_does_not_answer_keeps_no_other_from_its_forecast() {
    let node = behind(database_job("j")).await;
    let silent = FakeCluster::new();
    silent.state.lock().databases = node.up.state.lock().databases.clone();
    node.connector.others.lock().insert("silent".to_owned(), silent.clone());
    // Before the other by any order.
    let mut body = database_job("a");
    body["src"]["host"] = json!("silent");
    body["src"]["port"] = json!("1");
    body["dest"]["database"] = json!("another");
    node.call("create_ccr", body).await;
    node.call("pause", json!({ "name": "a" })).await;
    crate::answers::leave_state(&node, "a", FLOWING).await;
    silent.state.lock().is_silent = true;
    node.up.state.lock().lists = vec![list("shop", 1, 100_000)];
    let nothing = BTreeMap::new();
    let shown = async {
        loop {
            let answer = node.call("job_progress", json!({ "name": "j" })).await;
            if !answer["job_progress"]["forecast"].is_null() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        () = node.manager.forecast_all(&nothing) => panic!("one source never answers"),
        () = shown => {}
    }
}

#[tokio::test]
async fn a_running_job_whose_lag_is_not_known_is_not_asked_for() {
    let node = behind(database_job("j")).await;
    node.up.state.lock().lists = vec![list("shop", 1, 100_000)];
    node.call("resume", json!({ "name": "j" })).await;
    node.wait_status("j", "it flows", |status| status["progress_state"] == "DBIncrementalSync").await;
    let asked = node.up.state.lock().lists_read;
    assert_eq!(forecast(&node, "j").await, Value::Null);
    assert_eq!(node.up.state.lock().lists_read, asked, "its source has just not answered");
    let id = node.store.job_by_name("j").await.unwrap().unwrap().id;
    let view = node.manager.view("j").await.unwrap();
    let lag: Lag = node.manager.lag_of(&view).await.unwrap();
    node.manager.forecast_all(&BTreeMap::from([(id.clone(), lag)])).await;
    assert!(node.manager.forecast(&id).is_some());
}
