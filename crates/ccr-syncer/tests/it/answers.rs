//! The shape of every route's answers, for success and for failure.

use ccr_core::job::{JobState, Position};
use ccr_core::store::Store;
use doris_types::call::BinlogLag;
use doris_types::failure::Cause;
use serde_json::{Value, json};

use crate::harness::{Node, database_job, table_job};

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

async fn with_job() -> Node {
    let node = Node::start().await;
    node.call("create_ccr", database_job("j")).await;
    node
}

#[tokio::test]
async fn version_has_no_success() {
    let node = Node::start().await;
    let answer = node.post("version", json!({})).await;
    assert_eq!(keys(&answer), ["version"]);
    assert!(!answer["version"].as_str().unwrap().is_empty());
}

#[tokio::test]
async fn any_method_does_and_unknown_paths_are_404() {
    let node = with_job().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    for method in ["GET", "POST", "PUT", "DELETE", "PATCH"] {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let request = http.request(method, node.url("job_status")).body(r#"{"name":"j"}"#);
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        assert_eq!(answer["success"], true);
    }
    for path in ["", "nothing", "job_status/", "api/job_status"] {
        let raw = node.raw(path, "{}").await;
        assert_eq!((raw.status, raw.text.as_str()), (404, "404 page not found\n"), "{path}");
    }
}

#[tokio::test]
async fn create_answers_success_alone() {
    let node = Node::start().await;
    let answer = node.post("create_ccr", database_job("j")).await;
    assert_eq!(answer, json!({ "success": true }));
    assert_eq!(node.down.statements(), ["CREATE DATABASE `shop_copy`"]);
    let again = node.refused("create_ccr", database_job("j")).await;
    assert!(again.contains('j') && again.contains("already exists"), "{again}");
}

#[tokio::test]
async fn create_warns_about_tables_that_will_be_overwritten() {
    let node = Node::start().await;
    let mut copy = crate::fake::database("shop_copy", false);
    copy.tables.insert("x".to_owned(), crate::fake::good_table(1));
    node.down.state.lock().databases.insert("shop_copy".to_owned(), copy);
    let answer = node.call("create_ccr", database_job("j")).await;
    assert!(answer["warnings"][0].as_str().unwrap().contains("shop_copy"), "{answer}");
}

#[tokio::test]
async fn create_reports_failed_checks_one_by_one() {
    let node = Node::start().await;
    node.up.state.lock().frontend.clear();
    node.down.state.lock().frontend.insert("enable_feature_binlog".to_owned(), "false".to_owned());
    let answer = node.post("create_ccr", database_job("j")).await;
    assert_eq!((&answer["success"], answer["checks"].as_array().unwrap().len()), (&json!(false), 2));
    for check in answer["checks"].as_array().unwrap() {
        assert_eq!(keys(check), ["check", "fix", "message"]);
        let text = answer["error_msg"].as_str().unwrap();
        assert!(text.contains(check["fix"].as_str().unwrap()), "{text}");
    }
    assert!(!answer.to_string().contains("secret-word"));
    assert!(node.down.statements().is_empty(), "nothing is made before all checks have passed");
    assert_eq!(node.call("list_jobs", json!({})).await, json!({ "success": true }));
}

#[tokio::test]
async fn jobs_are_listed_by_name_and_the_key_is_missing_without_any() {
    let node = Node::start().await;
    assert_eq!(node.raw("list_jobs", "").await.json(), json!({ "success": true }));
    for name in ["b, with comma", "a"] {
        node.call("create_ccr", database_job(name)).await;
    }
    assert_eq!(node.call("list_jobs", json!({})).await["jobs"], json!(["a", "b, with comma"]));
}

#[tokio::test]
async fn status_is_nested_and_flat() {
    let node = with_job().await;
    let answer = node.call("job_status", json!({ "name": "j" })).await;
    let status = &answer["status"];
    for (key, value) in [("name", "j"), ("state", "running"), ("progress_state", "DBFullSync")] {
        assert_eq!((&answer[key], &status[key]), (&json!(value), &json!(value)));
    }
    assert_eq!((&answer["commit_seq"], &status["commit_seq"]), (&json!(0), &json!(0)));
    assert_eq!((&status["blocked"], &status["last_error"]), (&Value::Null, &Value::Null));

    node.call("pause", json!({ "name": "j" })).await;
    assert_eq!(node.status("j").await["state"], "paused");
    assert_eq!(node.status("j").await["step"], "paused");
    node.call("resume", json!({ "name": "j" })).await;
    assert_eq!(node.status("j").await["state"], "running");

    let missing = node.post("job_status", json!({ "name": "x" })).await;
    assert_eq!(missing, json!({ "success": false, "error_msg": "job x not exist" }));
}

#[tokio::test]
async fn a_table_job_never_shows_a_state_of_databases() {
    let node = Node::start().await;
    node.call("create_ccr", table_job("t")).await;
    assert_eq!(node.status("t").await["progress_state"], "TableFullSync");
    node.call("pause", json!({ "name": "t" })).await;
    assert_eq!(node.status("t").await["progress_state"], "TableFullSync");
}

#[tokio::test]
async fn an_error_that_is_retried_is_shown() {
    let node = Node::start().await;
    node.up.fail("start_backup", Cause::Connect { detail: "refused".to_owned() });
    node.call("create_ccr", database_job("j")).await;
    let status = node.wait_status("j", "failing", |status| !status["last_error"].is_null()).await;
    assert!(status["last_error"]["message"].as_str().unwrap().contains("refused"), "{status}");
    let progress = node.call("job_progress", json!({ "name": "j" })).await;
    assert!(progress["job_progress"]["last_error"]["tries"].as_i64().unwrap() >= 1, "{progress}");
}

#[tokio::test]
async fn detail_has_the_shape_of_the_original_without_passwords() {
    let node = Node::start().await;
    let mut job = table_job("j");
    job["reuse_binlog_label"] = json!(true);
    job["src"]["host_mapping"] = json!({ "10.0.0.1": "1.1.1.1", "10.0.0.2": "" });
    job["src"]["frontends"] =
        json!([{ "host": "f2", "port": 9031, "thrift_port": "9021", "is_master": true }]);
    node.call("create_ccr", job).await;
    let answer = node.call("job_detail", json!({ "name": "j" })).await;
    let detail = &answer["job_detail"];
    assert_eq!(keys(detail), ["dest", "extra", "id", "name", "options", "src", "state", "sync_type"]);
    assert_eq!(
        (&detail["name"], &detail["sync_type"], &detail["state"]),
        (&json!("j"), &json!(1), &json!(0))
    );
    assert_eq!(detail["extra"], json!({ "reuse_binlog_label": true }));
    assert_eq!(
        detail["src"],
        json!({
            "host": "up", "port": "9030", "thrift_port": "9020", "is_master": false,
            "frontends": [{ "host": "f2", "port": "9031", "thrift_port": "9021", "is_master": false }],
            "user": "root", "password": "******", "cluster": "", "database": "shop", "db_id": 0,
            "table": "orders", "table_id": 0, "host_mapping": { "10.0.0.1": "1.1.1.1" },
        })
    );
    assert!(detail["dest"].get("host_mapping").is_none());
    assert!(!answer.to_string().contains("secret-word"));
    node.call("pause", json!({ "name": "j" })).await;
    assert_eq!(node.call("job_detail", json!({ "name": "j" })).await["job_detail"]["state"], 1);

    let missing = node.post("job_detail", json!({ "name": "x" })).await;
    assert_eq!(missing, json!({ "success": false, "error_msg": "job x not exist", "job_detail": null }));
}

#[tokio::test]
async fn progress_has_the_keys_of_the_original_and_ours() {
    let node = with_job().await;
    let answer = node.call("job_progress", json!({ "name": "j" })).await;
    let progress = &answer["job_progress"];
    assert_eq!(progress["job_name"], "j");
    assert_eq!(progress["sync_state"], 0);
    assert_eq!(progress["sub_sync_state"], json!({ "state": 0, "binlog_type": -1 }));
    assert_eq!(progress["data"], "");
    for key in [
        "job_sync_id",
        "prev_commit_seq",
        "commit_seq",
        "last_commit_seq",
        "created_at",
        "full_sync_start_at",
    ] {
        assert!(progress[key].is_i64(), "{key}: {progress}");
    }
    let info = &progress["full_sync_info"];
    assert_eq!((&info["info"], &info["finished_at_ms"]), (&json!("the job is new"), &Value::Null));
    for key in ["blocked", "last_error", "step", "history"] {
        assert!(progress.get(key).is_some(), "{key}: {progress}");
    }
    let missing = node.post("job_progress", json!({ "name": "x" })).await;
    assert_eq!((&missing["success"], &missing["error_msg"]), (&json!(false), &json!("job x not exist")));
    assert_eq!(missing["job_progress"]["prev_commit_seq"], 0);
    assert_eq!(missing["job_progress"]["data"], "");
}

#[tokio::test]
async fn lag_comes_from_the_source_and_a_failure_is_not_zero() {
    let node = with_job().await;
    node.up.state.lock().lag = Some(BinlogLag {
        lag: 5,
        first_commit_seq: 1,
        last_commit_seq: 9,
        next_commit_seq: 4,
        first_timestamp_ms: 1_000,
        last_timestamp_ms: 1_700_000_003_000,
        next_timestamp_ms: 1_700_000_001_000,
    });
    let answer = node.call("get_lag", json!({ "name": "j" })).await;
    let numbers = ["lag", "first_commit_seq", "last_commit_seq", "next_commit_seq"];
    assert_eq!(numbers.map(|key| answer[key].as_i64().unwrap()), [5, 1, 9, 4]);
    assert_eq!(answer["time_interval_secs"], 2.0);
    let times = ["first_binlog_timestamp", "last_binlog_timestamp", "next_binlog_timestamp"];
    for key in times {
        assert_eq!(answer[key].as_str().unwrap().len(), "2023-11-14 22:13:20".len(), "{answer}");
    }
    // A full sync is not over, so the target is not equal although no binlog is left.
    node.up.state.lock().lag = None;
    assert_eq!(node.call("get_lag", json!({ "name": "j" })).await["lag"], 1);

    node.up.fail("binlog_lag", Cause::Status { code: 5, messages: vec!["internal error".to_owned()] });
    for (name, part) in [("j", "internal error"), ("x", "job x not exist")] {
        let answer = node.post("get_lag", json!({ "name": name })).await;
        assert_eq!(answer["success"], false);
        assert!(answer["error_msg"].as_str().unwrap().contains(part), "{answer}");
        assert_eq!(numbers.map(|key| answer[key].as_i64().unwrap()), [0, 0, 0, 0]);
        assert_eq!(times.map(|key| answer[key].as_str().unwrap()), ["", "", ""]);
        assert_eq!(answer["time_interval_secs"], 0.0);
    }
}

#[tokio::test]
async fn pause_resume_and_delete_answer_success_alone_and_may_be_repeated() {
    let node = with_job().await;
    for route in ["pause", "pause", "resume", "resume", "delete"] {
        assert_eq!(node.post(route, json!({ "name": "j" })).await, json!({ "success": true }), "{route}");
    }
    for route in ["pause", "resume", "delete", "update_host_mapping"] {
        let body = json!({ "name": "j", "src_host_mapping": { "a": "b" } });
        let body = if route == "update_host_mapping" { body } else { json!({ "name": "j" }) };
        let answer = node.post(route, body).await;
        assert_eq!(answer, json!({ "success": false, "error_msg": "job j not exist" }), "{route}");
    }
}

#[tokio::test]
async fn host_mappings_are_changed_under_both_names() {
    let node = with_job().await;
    let body = json!({ "name": "j", "src_host_mapping": { "a": "1", "b": "2" } });
    assert_eq!(node.post("update_host_mapping", body).await, json!({ "success": true }));
    let body = json!({ "name": "j", "src_host_mapping": { "a": "", "c": "3" }, "dest_host_mapping": {} });
    assert_eq!(node.post("add_host_mapping", body).await, json!({ "success": true }));
    let detail = node.call("job_detail", json!({ "name": "j" })).await;
    assert_eq!(detail["job_detail"]["src"]["host_mapping"], json!({ "b": "2", "c": "3" }));
    assert!(detail["job_detail"]["dest"].get("host_mapping").is_none(), "the other side stays as it is");
    let newest = node.connector.upstream_specs.lock().last().cloned().unwrap();
    assert_eq!(newest.host_mapping.len(), 2, "the job goes on with clients for the new mapping");
    for body in
        [json!({ "name": "j" }), json!({ "name": "j", "src_host_mapping": {}, "dest_host_mapping": null })]
    {
        let text = node.refused("update_host_mapping", body).await;
        assert!(text.contains("src_host_mapping"), "{text}");
    }
}

#[tokio::test]
async fn metrics_show_running_jobs_and_forget_deleted_ones() {
    let node = with_job().await;
    ccr_syncer::collector::collect(&node.manager, &node.metrics).await;
    let raw = node.raw("metrics", "").await;
    assert_eq!(raw.status, 200);
    assert!(raw.content_type.starts_with("application/openmetrics-text"), "{raw:?}");
    for line in [
        "ccr_job_running_total 1",
        r#"ccr_job_running_sync_state{name="j"} 0"#,
        r#"ccr_job_running_sub_sync_state{name="j"} 0"#,
        r#"ccr_job_running_lag_total{name="j"} 1"#,
        r#"ccr_job_running_lag_seconds{name="j"} 0.0"#,
    ] {
        assert!(raw.text.lines().any(|found| found == line), "{line} is missing in\n{}", raw.text);
    }
    // A lag that is not known is not the last one that was.
    let cause = Cause::Connect { detail: "refused".to_owned() };
    node.up.fail("binlog_lag", cause);
    ccr_syncer::collector::collect(&node.manager, &node.metrics).await;
    let text = node.raw("metrics", "").await.text;
    assert!(!text.contains("ccr_job_running_lag") && text.contains("ccr_job_running_sync_state{"), "{text}");
    node.call("delete", json!({ "name": "j" })).await;
    assert!(!node.raw("metrics", "").await.text.contains(r#"name="j""#));
}

#[tokio::test]
async fn an_unreadable_job_is_listed_says_why_and_stops_no_other() {
    let node = Node::start().await;
    for name in ["bad", "good"] {
        node.call("create_ccr", database_job(name)).await;
    }
    let node = node.restart(|store| store.spoil("bad")).await;
    assert_eq!(node.call("list_jobs", json!({})).await["jobs"], json!(["bad", "good"]));
    assert_eq!(node.status("good").await["state"], "running");
    for route in ["job_status", "job_detail", "job_progress", "get_lag", "pause", "resume"] {
        let text = node.refused(route, json!({ "name": "bad" })).await;
        assert!(text.contains("bad") || text.contains("gibberish"), "/{route}: {text}");
        assert!(text.contains("gibberish"), "/{route}: {text}");
    }
    let taken = node.refused("create_ccr", database_job("bad")).await;
    assert!(taken.contains("already exists"), "{taken}");
    // Once the rows are repaired, resuming reads them again.
    node.store.mend();
    node.call("resume", json!({ "name": "bad" })).await;
    assert_eq!(node.status("bad").await["state"], "running");
    let node = node.restart(|store| store.spoil("bad")).await;
    node.call("delete", json!({ "name": "bad" })).await;
    assert_eq!(node.call("list_jobs", json!({})).await["jobs"], json!(["good"]));
}

/// Puts a state into the store of a paused job, as a task that ran before could have left it.
pub async fn leave_state(node: &Node, name: &str, state: &str) {
    let id = node.store.job_by_name(name).await.unwrap().unwrap().id;
    let state: JobState = serde_json::from_str(state).unwrap();
    let epoch = node.store.acquire(&id, "127.0.0.1:9190").await.unwrap();
    let position = Position { commit_seq: 9, ..Position::default() };
    node.store.save_state(&id, epoch, &state, &position).await.unwrap();
}

#[tokio::test]
async fn a_table_that_is_copied_again_or_blocked_is_lag() {
    let node = Node::start().await;
    node.up.state.lock().lag = Some(BinlogLag::default());
    for (job, body) in [("table", table_job("table")), ("database", database_job("database"))] {
        node.call("create_ccr", body).await;
        node.call("pause", json!({ "name": job })).await;
    }
    let copied_again = r#"{"version":1,"snapshots_taken":2,"phase":{"phase":"incremental","since_ms":1,
        "statement_in_doubt":null},"tables":{"4":{"source_name":"t","target_name":"t","target_id":5,
        "synced_to":1,"lane":{"lane":"apart","cursor":7,"since_ms":1,"work":{"work":"partial_sync",
        "reason":{"kind":"requested","detail":"x"},"step":{"step":"backup","label":"b"}}}}},
        "blocked":null,"last_full_sync":null}"#;
    leave_state(&node, "table", copied_again).await;
    assert_eq!(node.status("table").await["progress_state"], "TablePartialSync");
    assert_eq!(node.call("get_lag", json!({ "name": "table" })).await["lag"], 1);

    let blocked = r#"{"version":1,"snapshots_taken":1,"phase":{"phase":"incremental","since_ms":1,
        "statement_in_doubt":null},"tables":{"4":{"source_name":"t","target_name":"t","target_id":5,
        "synced_to":1,"lane":{"lane":"apart","cursor":7,"since_ms":1,"work":{"work":"blocked","code":"CCR0201",
        "message":"m","hint":"h","commit_seq":8,"binlog_type":"X","since_ms":1}}}},
        "blocked":null,"last_full_sync":null}"#;
    leave_state(&node, "database", blocked).await;
    assert_eq!(node.status("database").await["blocked"]["code"], "CCR0201");
    assert_eq!(node.call("get_lag", json!({ "name": "database" })).await["lag"], 1);
    let progress = node.call("job_progress", json!({ "name": "database" })).await;
    assert_eq!(progress["job_progress"]["apart"][0]["work"], "blocked");
}

/// Who pauses a job, waits for lag 0 and switches over must not read old rows.
#[tokio::test]
async fn what_is_not_visible_yet_is_lag_while_the_job_is_paused() {
    let node = Node::start().await;
    node.up.state.lock().lag = Some(BinlogLag::default());
    node.call("create_ccr", database_job("j")).await;
    node.call("pause", json!({ "name": "j" })).await;
    let lag = async || node.call("get_lag", json!({ "name": "j" })).await["lag"].clone();
    let state = |unpublished: &str| {
        format!(
            r#"{{"version":1,"snapshots_taken":1,"phase":{{"phase":"incremental","since_ms":1,
            "statement_in_doubt":null}},"tables":{{"4":{{"source_name":"t","target_name":"t","target_id":5,
            "synced_to":1}}}},"unpublished":[{unpublished}],"blocked":null,"last_full_sync":null}}"#
        )
    };
    leave_state(&node, "j", &state("")).await;
    assert_eq!(lag().await, 0);
    let txns = r#"{"txn_id":8,"commit_seq":7,"since_ms":20},{"txn_id":6,"commit_seq":5,"since_ms":10}"#;
    leave_state(&node, "j", &state(txns)).await;
    assert_eq!(lag().await, 1);
    let progress = node.call("job_progress", json!({ "name": "j" })).await["job_progress"].clone();
    let expected = json!({ "transactions": 2, "oldest": { "txn_id": 6, "commit_seq": 5, "since_ms": 10 } });
    assert_eq!(progress["unpublished"], expected);
}
