//! Steering a job: skips, copies on request, marks on target tables; and the routes around it.

use std::sync::Arc;

use ccr_core::store::Store;
use ccr_syncer::api::{self, Api, Settings};
use ccr_syncer::server::{Bound, Server};
use serde_json::{Value, json};

use crate::fake::{database, good_table};
use crate::harness::{Node, database_job, table_job};

/// In the incremental phase at commit seq 9, with table 4 called `orders`.
const FLOWING: &str = r#"{"version":1,"snapshots_taken":1,"phase":{"phase":"incremental","since_ms":1,
    "statement_in_doubt":null},"tables":{"4":{"source_name":"orders","target_name":"orders","target_id":5,
    "synced_to":1}},"blocked":null,"last_full_sync":null}"#;

/// A node with a paused job `j` in that state.
async fn paused_and_flowing(body: Value) -> Node {
    let node = Node::start().await;
    node.call("create_ccr", body).await;
    node.call("pause", json!({ "name": "j" })).await;
    crate::answers::leave_state(&node, "j", FLOWING).await;
    node
}

async fn stored_skips(node: &Node) -> Vec<i64> {
    let id = node.store.job_by_name("j").await.unwrap().unwrap().id;
    node.store.load(&id).await.unwrap().0.skips.into_iter().collect()
}

#[tokio::test]
async fn several_skips_are_stored_when_their_answers_arrive() {
    let node = paused_and_flowing(database_job("j")).await;
    for (skip_by, seq) in [("silence", 12), ("Silence", 30), ("SILENCE", 12)] {
        let body = json!({ "name": "j", "skip_by": skip_by, "skip_commit_seq": seq, "skip_table": "" });
        assert_eq!(node.post("job_skip_binlog", body).await, json!({ "success": true }));
    }
    assert_eq!(stored_skips(&node).await, [12, 30]);
    assert_eq!(node.status("j").await["state"], "paused", "a paused job stays paused");
    let history = node.call("job_progress", json!({ "name": "j" })).await["job_progress"]["history"].clone();
    assert_eq!((&history[0]["plan"], &history[0]["outcome"]), (&json!("request"), &json!("recorded")));
    let node = node.restart(|_| {}).await;
    assert_eq!(stored_skips(&node).await, [12, 30]);
}

#[tokio::test]
async fn a_skip_is_shown_while_it_is_pending_and_can_be_withdrawn() {
    let node = paused_and_flowing(database_job("j")).await;
    for seq in [12, 30] {
        let body = json!({ "name": "j", "skip_by": "silence", "skip_commit_seq": seq });
        node.call("job_skip_binlog", body).await;
    }
    let pending = async || {
        let progress = node.call("job_progress", json!({ "name": "j" })).await;
        progress["job_progress"]["pending_skips"].clone()
    };
    assert_eq!(pending().await, json!([12, 30]));
    let withdraw = json!({ "name": "j", "skip_by": "withdraw", "skip_commit_seq": 12 });
    assert_eq!(node.post("job_skip_binlog", withdraw.clone()).await, json!({ "success": true }));
    assert_eq!((pending().await, stored_skips(&node).await), (json!([30]), vec![30]));
    let again = node.post("job_skip_binlog", withdraw).await;
    let text = again["error_msg"].as_str().unwrap();
    assert!(text.contains("12 is not among the binlogs that are to be skipped, [30]"), "{text}");
}

#[tokio::test]
async fn a_running_job_goes_on_with_its_skip() {
    let node = paused_and_flowing(database_job("j")).await;
    node.call("resume", json!({ "name": "j" })).await;
    let body = json!({ "name": "j", "skip_by": "silence", "skip_commit_seq": 12 });
    node.call("job_skip_binlog", body).await;
    assert_eq!(node.status("j").await["state"], "running");
    assert!(node.manager.is_running("j"));
    assert_eq!(stored_skips(&node).await, [12]);
}

#[tokio::test]
async fn a_refused_skip_names_its_field_and_changes_nothing() {
    let node = paused_and_flowing(database_job("j")).await;
    for (body, expected) in [
        (json!({ "skip_by": "silence" }), "name: is required"),
        (json!({ "name": "j" }), "skip_by: is required"),
        (json!({ "name": "j", "skip_by": "" }), "skip_by: must not be empty"),
        (
            json!({ "name": "j", "skip_by": "loudly" }),
            "skip_by: must be silence, withdraw, fullsync or partialsync",
        ),
        (
            json!({ "name": "j", "skip_by": "silence" }),
            "skip_commit_seq: is required when skip_by is silence",
        ),
        (json!({ "name": "j", "skip_by": "silence", "skip_commit_seq": 0 }), "skip_commit_seq: is required"),
        (
            json!({ "name": "j", "skip_by": "silence", "skip_commit_seq": -4 }),
            "skip_commit_seq: must be greater",
        ),
        (
            json!({ "name": "j", "skip_by": "silence", "skip_commit_seq": "4" }),
            "skip_commit_seq: must be an integer",
        ),
        (
            json!({ "name": "j", "skip_by": "silence", "skip_commit_seq": 9 }),
            "skip_commit_seq: must be greater than 9",
        ),
        (json!({ "name": "j", "skip_by": "partialsync" }), "skip_table: is required"),
        (
            json!({ "name": "j", "skip_by": "partialsync", "skip_table": "orders" }),
            "skip_table_id: is required",
        ),
        (
            json!({ "name": "j", "skip_by": "partialsync", "skip_table": "orders", "skip_table_id": 5 }),
            "skip_table: the job does not replicate table orders with id 5",
        ),
        (
            json!({ "name": "j", "skip_by": "partialsync", "skip_table": "others", "skip_table_id": 4 }),
            "skip_table: the job does not replicate table others with id 4",
        ),
        (json!({ "name": "x", "skip_by": "fullsync" }), "job x not exist"),
    ] {
        let text = node.refused("job_skip_binlog", body.clone()).await;
        assert!(text.starts_with(expected), "{body}: {text}");
    }
    assert_eq!(stored_skips(&node).await, [0_i64; 0]);
    assert_eq!(node.status("j").await["progress_state"], "DBIncrementalSync");
    assert_eq!(node.refused("force_fullsync", json!({ "name": "x" })).await, "job x not exist");
}

#[tokio::test]
async fn a_full_sync_is_taken_once_however_often_it_is_asked_for() {
    let node = paused_and_flowing(database_job("j")).await;
    node.call("force_fullsync", json!({ "name": "j" })).await;
    node.call("force_fullsync", json!({ "name": "j" })).await;
    node.call("job_skip_binlog", json!({ "name": "j", "skip_by": "FullSync" })).await;
    let progress = node.call("job_progress", json!({ "name": "j" })).await["job_progress"].clone();
    assert_eq!(progress["progress_state"], "DBFullSync");
    assert_eq!(progress["full_sync_info"]["reason"]["kind"], "requested");
    assert!(progress["full_sync_info"]["info"].as_str().unwrap().contains("force_fullsync"), "{progress}");
    let id = node.store.job_by_name("j").await.unwrap().unwrap().id;
    assert_eq!(node.store.load(&id).await.unwrap().0.snapshots_taken, 2);
    let body = json!({ "name": "j", "skip_by": "partialsync", "skip_table": "orders", "skip_table_id": 4 });
    assert!(node.refused("job_skip_binlog", body).await.contains("full sync is running"));
}

#[tokio::test]
async fn a_partial_sync_copies_the_table_of_either_kind_of_job() {
    let body = json!({ "name": "j", "skip_by": "partialsync", "skip_table": "orders", "skip_table_id": 4 });
    let node = paused_and_flowing(database_job("j")).await;
    node.call("job_skip_binlog", body.clone()).await;
    let progress = node.call("job_progress", json!({ "name": "j" })).await["job_progress"].clone();
    assert_eq!(
        (&progress["apart"][0]["table"], &progress["apart"][0]["cursor"]),
        (&json!("orders"), &json!(9))
    );
    assert_eq!(progress["apart"][0]["work"], "partial_sync");
    assert_eq!(progress["progress_state"], "DBPartialSync");

    let node = paused_and_flowing(table_job("j")).await;
    node.call("job_skip_binlog", body).await;
    assert_eq!(node.status("j").await["progress_state"], "TablePartialSync");
}

#[tokio::test]
async fn target_tables_are_marked_and_failures_listed() {
    let node = Node::start().await;
    node.call("create_ccr", table_job("t")).await;
    node.call("create_ccr", database_job("j")).await;
    let mut copy = database("shop_copy", false);
    for (id, name) in [(1, "a`b"), (2, "orders"), (3, "v")] {
        copy.tables.insert(name.to_owned(), good_table(id));
    }
    copy.views.push("v".to_owned());
    node.down.state.lock().databases.insert("shop_copy".to_owned(), copy);
    node.down.state.lock().statements.clear();
    assert_eq!(node.post("desync", json!({ "name": "t" })).await, json!({ "success": true }));
    assert_eq!(node.post("sync", json!({ "name": "j" })).await, json!({ "success": true }));
    assert_eq!(
        node.down.statements(),
        [
            "ALTER TABLE `shop_copy`.`orders` SET (\"is_being_synced\" = \"false\")",
            "ALTER TABLE `shop_copy`.`a``b` SET (\"is_being_synced\" = \"true\")",
            "ALTER TABLE `shop_copy`.`orders` SET (\"is_being_synced\" = \"true\")",
        ]
    );
    node.down.state.lock().refused_statements.push("a``b".to_owned());
    let text = node.refused("desync", json!({ "name": "j" })).await;
    assert!(text.starts_with("1 of 2 tables of the target") && text.contains("`a``b`: "), "{text}");
    assert!(!text.contains("orders"), "{text}");
    node.down.state.lock().databases.clear();
    assert!(node.refused("desync", json!({ "name": "j" })).await.contains("no database `shop_copy`"));
    assert_eq!(node.refused("sync", json!({ "name": "x" })).await, "job x not exist");
}

#[tokio::test]
async fn features_are_listed_with_value_and_default() {
    let node = Node::start().await;
    let answer = node.call("features", json!({})).await;
    let flags = answer["flags"].as_array().unwrap();
    assert_eq!(flags[0], json!({ "feature": "feature_atomic_restore", "value": true, "default": "true" }));
    assert!(flags.is_sorted_by_key(|flag| flag["feature"].as_str().unwrap().to_owned()));
    assert_eq!(flags.len(), ccr_syncer::flags::FEATURES.len());
}

#[tokio::test]
async fn failpoints_exist_only_when_enabled() {
    let node = Node::start().await;
    for body in [
        json!({ "name": "j", "failpoint": "", "value": "x" }),
        json!({ "name": "j", "failpoint": "handle_binlog_failed", "value": null }),
        json!({ "name": "j" }),
    ] {
        assert_eq!(node.post("failpoint", body).await, json!({ "success": true }));
    }
    assert_eq!(node.refused("failpoint", json!({ "failpoint": "" })).await, "name: is required");

    let api = Api::new(Arc::clone(&node.manager), Arc::clone(&node.metrics), Settings::default());
    let server = Server::start(Bound::bind("127.0.0.1", 0).await.unwrap(), api::router(Arc::new(api)));
    let url = format!("http://{}/failpoint", server.address());
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    assert_eq!(http.post(&url).body("{}").send().await.unwrap().status(), 404);
    assert_eq!(http.post(format!("{url}s")).body("{}").send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn failpoints_are_listed_set_and_removed() {
    let node = Node::start().await;
    let set = async || {
        let listed = node.call("failpoints", json!({})).await["failpoints"].clone();
        let listed = listed.as_array().unwrap().clone();
        assert!(listed.len() > 20, "before and after every effect: {listed:?}");
        let set = listed.into_iter().filter(|failpoint| !failpoint["value"].is_null());
        set.map(|failpoint| failpoint["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(set().await, [""; 0]);
    for (failpoint, value) in [
        ("handle_binlog_failed", json!(true)),
        ("handle_binlog_idempotent:after", json!(1)),
        ("handle_binlog_idempotent:before", json!("CREATE_TABLE")),
        ("commit_txn:before", json!("fail:2")),
    ] {
        // Whether there is such a job is not looked at.
        node.call("failpoint", json!({ "name": "x", "failpoint": failpoint, "value": value })).await;
    }
    assert_eq!(set().await.len(), 4);
    node.call("failpoint", json!({ "name": "x", "failpoint": "commit_txn:before" })).await;
    assert_eq!(set().await.len(), 3);
    for (failpoint, value, expected) in [
        ("commit", json!("crash"), "failpoint: there is none of the name \"commit\""),
        ("commit_txn:before", json!("never"), "value: must be crash, fail, crash:<n> or fail:<n>"),
        ("handle_binlog_idempotent:before", json!(99), "value: must be a binlog type"),
    ] {
        let body = json!({ "name": "x", "failpoint": failpoint, "value": value });
        let text = node.refused("failpoint", body).await;
        assert!(text.starts_with(expected), "{text}");
    }
    node.call("failpoint", json!({ "name": "x", "failpoint": "" })).await;
    assert_eq!(set().await, [""; 0]);
}

#[tokio::test]
async fn the_monitor_interval_is_kept() {
    let node = Node::start().await;
    let shown = json!({ "success": true, "interval_seconds": 120 });
    assert_eq!(node.post("get_monitor_interval", json!({})).await, shown);
    for (body, expected) in [
        (json!({}), "interval_seconds: is required"),
        (json!({ "interval_seconds": 0 }), "interval_seconds: must be greater than 0"),
        (json!({ "interval_seconds": 1.5 }), "interval_seconds: must be an integer"),
    ] {
        assert!(node.refused("update_monitor_interval", body).await.starts_with(expected));
    }
    assert_eq!(node.post("get_monitor_interval", json!({})).await, shown);
    let answer = node.post("update_monitor_interval", json!({ "interval_seconds": 7 })).await;
    assert_eq!(answer, json!({ "success": true }));
    assert_eq!(node.call("get_monitor_interval", json!({})).await["interval_seconds"], 7);
}

#[tokio::test]
async fn the_view_shows_every_job_escaped_and_in_three_forms() {
    let node = Node::start().await;
    let head = "Job Name\tType\tLag\tLag(Secs)\tSync State\tSub Sync State\tLast Fullsync Time\t\
                Last Fullsync Reason\tIs Hostmapping\tOther Args\n";
    assert_eq!(node.raw("view?type=raw", "").await.text, head, "a page without jobs");
    node.call("create_ccr", database_job("<b>&\"a\"")).await;
    node.call("create_ccr", database_job("bad")).await;
    let mut renamed = table_job("t");
    renamed["dest"]["table"] = json!("orders_copy");
    renamed["src"]["host_mapping"] = json!({ "a": "b" });
    node.call("create_ccr", renamed).await;
    let node = node.restart(|store| store.spoil("bad")).await;

    for path in ["view", "view?type=html"] {
        let html = node.raw(path, "").await;
        assert_eq!((html.status, html.content_type.as_str()), (200, "text/html; charset=utf-8"));
        assert!(html.text.contains("<td>&lt;b&gt;&amp;&quot;a&quot;</td>"), "{}", html.text);
        assert!(!html.text.contains("<b>"), "{}", html.text);
    }
    let raw = node.raw("view?type=raw", "").await;
    assert_eq!(raw.content_type, "text/plain; charset=utf-8");
    let lines: Vec<Vec<&str>> = raw.text.lines().map(|line| line.split('\t').collect()).collect();
    assert!(lines.iter().all(|line| line.len() == 10), "{lines:?}");
    let column = |index: usize| lines[1..].iter().map(|line| line[index]).collect::<Vec<_>>();
    assert_eq!(column(0), ["<b>&\"a\"", "bad", "t"]);
    assert_eq!(column(1), ["db_sync", "", "table_sync_with_alias"]);
    assert_eq!((lines[1][2], lines[1][3]), ("1", "0"));
    assert_eq!((lines[1][4], lines[1][5]), ("DBFullSync", "BeginCreateSnapshot"));
    assert!(lines[2][4].contains("gibberish"), "{lines:?}");
    assert_eq!((lines[1][8], lines[3][8]), ("false", "true"));

    let cause = doris_types::failure::Cause::Connect { detail: "down\tnow".to_owned() };
    node.up.fail("binlog_lag", cause);
    let table = node.raw("view?type=table", "").await.text;
    assert!(table.contains("error: ") && table.contains("down now"), "{table}");
    let widths: std::collections::BTreeSet<usize> = table.lines().map(|line| line.chars().count()).collect();
    assert_eq!(widths.len(), 1, "{table}");

    let other = node.raw("view?type=json", "").await;
    assert_eq!((other.status, other.text.starts_with("the query must be")), (200, true));
}

/// Another process took the job's lease: this one has nothing to say about it any more, and says so.
#[tokio::test]
async fn a_job_driven_elsewhere_does_not_pass_for_running() {
    let node = Node::start().await;
    node.call("create_ccr", database_job("j")).await;
    let id = node.store.job_by_name("j").await.unwrap().unwrap().id;
    node.store.acquire(&id, "10.0.0.9:9190").await.unwrap();
    node.up.state.lock().backup_state = "CANCELLED".to_owned();
    let status = node.wait_status("j", "stopped", |status| status["state"] == "stopped").await;
    assert!(status["last_error"]["message"].as_str().unwrap().contains("newer lease"), "{status}");
    assert!(!node.manager.is_running("j") && node.manager.running().is_empty());
    node.up.state.lock().backup_state = String::new();
    node.call("resume", json!({ "name": "j" })).await;
    assert_eq!(node.status("j").await["state"], "running");
    assert!(node.manager.is_running("j"));
}

#[tokio::test]
async fn a_refused_request_leaves_the_task_alone() {
    let node = paused_and_flowing(database_job("j")).await;
    node.call("resume", json!({ "name": "j" })).await;
    // Without a lease, a task that was stopped could not be started again.
    node.store.break_operation("acquire");
    for body in [
        json!({ "name": "j", "skip_by": "silence", "skip_commit_seq": 9 }),
        json!({ "name": "j", "skip_by": "partialsync", "skip_table": "others", "skip_table_id": 4 }),
    ] {
        let text = node.refused("job_skip_binlog", body).await;
        assert!(text.starts_with("skip_"), "{text}");
        assert!(node.manager.is_running("j"), "the task goes on");
    }
    let body = json!({ "name": "j", "skip_by": "silence", "skip_commit_seq": 12 });
    assert!(
        node.refused("job_skip_binlog", body).await.contains("disk on fire"),
        "one that is taken needs it"
    );
}

async fn options(node: &Node) -> Value {
    let detail = node.call("job_detail", json!({ "name": "j" })).await["job_detail"]["options"].clone();
    assert_eq!(node.status("j").await["options"], detail);
    detail
}

#[tokio::test]
async fn options_are_given_at_creation_changed_later_and_kept() {
    let mut body = database_job("j");
    body["full_sync"] = json!("ask");
    let node = paused_and_flowing(body).await;
    let shown = options(&node).await;
    assert_eq!((&shown["full_sync"], &shown["full_syncs_per_day"]), (&json!("ask"), &json!(0)));
    assert_eq!(shown["storage_medium"], "default");
    assert_eq!(shown["ordering"], "source");
    node.call("update_job", json!({ "name": "j", "ordering": "table" })).await;
    assert_eq!(
        node.call("job_progress", json!({ "name": "j" })).await["job_progress"]["options"]["ordering"],
        "table"
    );
    node.call("update_job", json!({ "name": "j", "full_syncs_per_day": 3 })).await;
    node.call("update_job", json!({ "name": "j", "storage_medium": "upstream" })).await;
    node.call("resume", json!({ "name": "j" })).await;
    node.call("update_job", json!({ "name": "j", "full_sync": "auto" })).await;
    assert!(node.manager.is_running("j"), "a running job goes on with its new options");
    let node = node.restart(|_| {}).await;
    let shown = options(&node).await;
    assert_eq!((&shown["full_sync"], &shown["full_syncs_per_day"]), (&json!("auto"), &json!(3)));
    assert_eq!((&shown["storage_medium"], &shown["ordering"]), (&json!("upstream"), &json!("table")));
}

#[tokio::test]
async fn refused_options_name_their_field_and_change_nothing() {
    let node = paused_and_flowing(database_job("j")).await;
    let before = options(&node).await;
    for (change, expected) in [
        (json!({ "full_sync": "never" }), "full_sync: must be auto or ask, not \"never\""),
        (json!({ "full_sync": true }), "full_sync: must be a string, not a boolean"),
        (json!({ "full_syncs_per_day": -1 }), "full_syncs_per_day: must be from 0 to 1000, not -1"),
        (json!({ "full_syncs_per_day": 1001 }), "full_syncs_per_day: must be from 0 to 1000"),
        (
            json!({ "storage_medium": "ssd" }),
            "storage_medium: must be default, upstream or target, not \"ssd\"",
        ),
        (json!({ "ordering": "none" }), "ordering: must be source or table, not \"none\""),
        (json!({ "full_syncs_per_day": "3" }), "full_syncs_per_day: must be an integer"),
    ] {
        let mut update = change.clone();
        update["name"] = json!("j");
        let text = node.refused("update_job", update).await;
        assert!(text.starts_with(expected), "{change}: {text}");
        let mut create = database_job("k");
        for (field, value) in change.as_object().unwrap() {
            create[field] = value.clone();
        }
        let text = node.refused("create_ccr", create).await;
        assert!(text.starts_with(expected), "{change}: {text}");
    }
    assert!(node.refused("update_job", json!({ "name": "j" })).await.contains("must name an option"));
    for fixed in ["reuse_binlog_label", "replication_num"] {
        let text = node.refused("update_job", json!({ "name": "j", fixed: 1 })).await;
        assert_eq!(text, format!("{fixed}: is fixed for the life of a job"));
    }
    let mut create = database_job("k");
    create["replication_num"] = json!(32768);
    let text = node.refused("create_ccr", create).await;
    assert!(text.starts_with("replication_num: must be from 0 to 32767"), "{text}");
    assert_eq!(
        node.refused("update_job", json!({ "name": "x", "full_sync": "ask" })).await,
        "job x not exist"
    );
    assert_eq!(options(&node).await, before);
}

/// In the incremental phase, with a full sync held.
const HELD: &str = r#"{"version":1,"snapshots_taken":1,"phase":{"phase":"incremental","since_ms":1,
    "statement_in_doubt":null},"tables":{},"blocked":{"code":"CCR0510","message":"m","hint":"h",
    "commit_seq":9,"binlog_type":"","since_ms":5},"last_full_sync":null,"held_full_sync":{"reason":{"kind":
    "binlog_expired","position":9,"expired_to":20},"by":{"by":"ask"},"from_commit_seq":9,"since_ms":5}}"#;

#[tokio::test]
async fn a_held_full_sync_is_shown_and_approved() {
    let node = paused_and_flowing(database_job("j")).await;
    crate::answers::leave_state(&node, "j", HELD).await;
    assert_eq!(node.status("j").await["blocked"]["code"], "CCR0510");
    let progress = node.call("job_progress", json!({ "name": "j" })).await["job_progress"].clone();
    let held = &progress["held_full_sync"];
    assert!(held["info"].as_str().unwrap().contains("expired up to commit seq 20"), "{held}");
    assert_eq!((&held["held_by"]["by"], &held["since_ms"]), (&json!("ask"), &json!(5)));
    node.call("force_fullsync", json!({ "name": "j" })).await;
    let progress = node.call("job_progress", json!({ "name": "j" })).await["job_progress"].clone();
    assert_eq!((&progress["held_full_sync"], &progress["blocked"]), (&Value::Null, &Value::Null));
    assert_eq!(progress["progress_state"], "DBFullSync");
    assert_eq!(progress["full_sync_info"]["reason"]["kind"], "binlog_expired");
    assert!(progress["history"][0]["reason"].as_str().unwrap().starts_with("approved by an operator"));
}
