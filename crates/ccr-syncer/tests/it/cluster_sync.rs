//! `cluster_sync`: a job for each database of the source, for those to come, and no longer for those gone.

use std::time::Duration;

use doris_types::failure::Cause;
use serde_json::{Value, json};

use crate::fake::{database, good_table};
use crate::harness::{Node, database_job};

fn cluster_job() -> Value {
    let mut job = database_job("all");
    job["cluster_sync"] = json!(true);
    for side in ["src", "dest"] {
        job[side].as_object_mut().unwrap().remove("database");
    }
    job
}

fn add_database(node: &Node, name: &str, binlog: bool) {
    let mut made = database(name, binlog);
    made.tables.insert("orders".to_owned(), good_table(20));
    node.up.state.lock().databases.insert(name.to_owned(), made);
}

async fn jobs(node: &Node) -> Value {
    node.call("list_jobs", json!({})).await["jobs"].clone()
}

async fn until_jobs_are(node: &Node, expected: &[&str]) {
    let poll = async {
        while jobs(node).await != json!(expected) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(20), poll).await.is_ok();
    assert!(in_time, "{} instead of {expected:?}", jobs(node).await);
}

/// Waits until the source was asked so many times more for its databases.
async fn looks(node: &Node, more: usize) {
    let count = || node.up.state.lock().listed;
    let wanted = count() + more;
    let poll = async {
        while count() < wanted {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), poll).await.expect("the monitor looks");
}

#[tokio::test]
async fn databases_come_and_go() {
    let node = Node::start().await;
    add_database(&node, "news", true);
    add_database(&node, "odd", false);
    let answer = node.call("create_ccr", cluster_job()).await;
    assert_eq!(answer["jobs"], json!(["all_news", "all_shop"]));
    assert!(answer["failed"]["odd"].as_str().unwrap().contains("binlog"), "{answer}");
    let detail = node.call("job_detail", json!({ "name": "all_news" })).await["job_detail"].clone();
    assert_eq!((&detail["src"]["database"], &detail["dest"]["database"]), (&json!("news"), &json!("news")));
    // The others are tried again, and those that an operator has deleted are not.
    node.call("delete", json!({ "name": "all_shop" })).await;
    node.call("update_monitor_interval", json!({ "interval_seconds": 1 })).await;
    add_database(&node, "odd", true);
    add_database(&node, "fresh", true);
    until_jobs_are(&node, &["all_fresh", "all_news", "all_odd"]).await;
    // A list that cannot be read, or is empty, says nothing.
    let databases = std::mem::take(&mut node.up.state.lock().databases);
    looks(&node, 3).await;
    node.up.state.lock().databases = databases;
    node.up.fail("databases", Cause::Connect { detail: "refused".to_owned() });
    looks(&node, 3).await;
    assert_eq!(jobs(&node).await, json!(["all_fresh", "all_news", "all_odd"]));
    node.up.state.lock().failures.remove("databases");
    node.up.state.lock().databases.remove("news");
    until_jobs_are(&node, &["all_fresh", "all_odd"]).await;
}

#[tokio::test]
async fn asking_again_takes_over_the_jobs_that_are_there() {
    let node = Node::start().await;
    node.call("create_ccr", cluster_job()).await;
    let node = node.restart(|_| {}).await;
    add_database(&node, "news", true);
    let answer = node.call("create_ccr", cluster_job()).await;
    assert_eq!(answer, json!({ "success": true, "jobs": ["all_news", "all_shop"] }));
    // One of that name that replicates something else is not taken over.
    let mut other = database_job("all_taken");
    other["dest"]["database"] = json!("elsewhere");
    node.call("create_ccr", other).await;
    add_database(&node, "taken", true);
    let answer = node.call("create_ccr", cluster_job()).await;
    assert_eq!(answer["failed"], json!({ "taken": "job all_taken already exists" }));
}

#[tokio::test]
async fn a_cluster_without_a_job_is_a_failure() {
    let node = Node::start().await;
    node.up.fail("databases", Cause::Connect { detail: "refused".to_owned() });
    assert!(node.refused("create_ccr", cluster_job()).await.contains("list the databases"));
    node.up.state.lock().failures.clear();
    add_database(&node, "shop", false);
    let text = node.refused("create_ccr", cluster_job()).await;
    assert!(text.contains("no job was created for all: shop: ") && text.contains("binlog"), "{text}");
    node.up.state.lock().databases.clear();
    assert!(node.refused("create_ccr", cluster_job()).await.contains("has no databases"));
    assert_eq!(node.post("list_jobs", json!({})).await, json!({ "success": true }));
}
