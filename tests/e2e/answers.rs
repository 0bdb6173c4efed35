//! What the API answers to requests that cannot be served.

use serde_json::{Value, json};

use crate::harness::{DB, Pair, Syncer};

/// A pair with a database and a table that could be replicated.
async fn ready() -> (Pair, Syncer) {
    let pair = Pair::with(|options| options.root_password = "right".to_owned()).await;
    pair.create_database().await;
    pair.create_table("t", 1).await;
    (pair, Syncer::start().await)
}

/// A change that makes a good request bad.
type Spoil = fn(&mut Value);

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_cannot_be_served_are_refused_and_leave_nothing_behind() {
    let (pair, syncer) = ready().await;
    let cases: [(&str, Spoil, &str); 10] = [
        ("a wrong type", |job| job["dest"]["database"] = json!(7), "database"),
        ("an empty name", |job| job["name"] = json!(""), "name"),
        ("no source", |job| job["src"] = Value::Null, "src"),
        ("no database", |job| job["src"]["database"] = json!(""), "database"),
        ("a table on one side", |job| job["src"]["table"] = json!("t"), "table"),
        ("no user", |job| job["dest"]["user"] = json!(""), "user"),
        ("an impossible port", |job| job["src"]["port"] = json!("70000"), "port"),
        ("nobody there", |job| job["src"]["port"] = json!("1"), "127.0.0.1:1"),
        ("a wrong password", |job| job["dest"]["password"] = json!("wrong"), "Access denied"),
        ("an unknown database", |job| job["src"]["database"] = json!("nowhere"), "nowhere"),
    ];
    for (case, spoil, expected) in cases {
        let mut job = pair.database_job("refused");
        spoil(&mut job);
        let (_, answer) = syncer.post_text("create_ccr", &job.to_string()).await;
        let text = answer["error_msg"].as_str().unwrap_or_default();
        assert_eq!(answer["success"], json!(false), "{case}: {answer}");
        assert!(text.contains(expected), "{case}: `{text}` does not mention `{expected}`");
        assert!(!text.contains("right") && !text.contains("wrong"), "{case} shows a password: {text}");
        assert!(!pair.downstream_has_database(DB).await, "{case} leaves a database behind");
    }
    let listed = syncer.call("list_jobs", &json!({})).await;
    assert!(listed["jobs"].as_array().is_none_or(Vec::is_empty), "{listed}");
    assert!(!syncer.log_text().contains("right"), "no password is logged");
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_settings_are_named_with_what_sets_them() {
    let pair = Pair::start().await;
    pair.sql("CREATE DATABASE d1").await;
    pair.run("CREATE TABLE t (k INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1").await;
    let syncer = Syncer::start().await;
    for job in [pair.database_job("j"), pair.table_job("j", "t", "t")] {
        let refusal = syncer.refused("create_ccr", &job).await;
        assert!(refusal.contains("binlog.enable"), "{refusal}");
        assert!(!pair.downstream_has_database(DB).await, "a failed create leaves a database behind");
    }
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_binlog_feature_must_be_on_in_both_clusters() {
    let pair = Pair::with(|options| {
        if options.name == "down" {
            options.feature_binlog = false;
        }
    })
    .await;
    pair.create_database().await;
    pair.create_table("t", 1).await;
    let syncer = Syncer::start().await;
    let refusal = syncer.refused("create_ccr", &pair.database_job("j")).await;
    assert!(refusal.contains("enable_feature_binlog"), "{refusal}");
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_no_requests_are_refused() {
    let (pair, syncer) = ready().await;
    let mut numeric = pair.database_job("numeric");
    for side in ["src", "dest"] {
        for port in ["port", "thrift_port"] {
            let number: u16 = numeric[side][port].as_str().unwrap().parse().unwrap();
            numeric[side][port] = json!(number);
        }
    }
    numeric["name"] = json!(["a", "list"]);
    for body in ["", "{", "[]", "\"x\"", &numeric.to_string()] {
        let (status, answer) = syncer.post_text("create_ccr", body).await;
        assert!(status == 400 || answer["success"] == json!(false), "{body}: {status} {answer}");
    }
    for route in ["pause", "resume", "delete", "job_status", "job_progress", "get_lag", "job_detail"] {
        let refusal = syncer.refused(route, &json!({ "name": "nobody" })).await;
        assert!(refusal.contains("nobody"), "/{route} names the job: {refusal}");
        let (_, answer) = syncer.post_text(route, "{").await;
        assert_ne!(answer["success"], json!(true), "/{route}");
        let refusal = syncer.refused(route, &json!({ "name": "" })).await;
        assert!(!refusal.is_empty(), "/{route}");
    }
    let (status, _) = syncer.post_text("no_such_route", "{}").await;
    assert_eq!(status, 404);

    numeric["name"] = json!("numeric");
    syncer.create(&numeric).await;
    syncer.finish().await;
}
