//! What a request's body may be, and that a refusal names the field.

use serde_json::{Value, json};

use crate::harness::{Node, database_job};

type Spoil = fn(&mut Value);

#[tokio::test]
async fn a_refused_field_is_named() {
    let node = Node::start().await;
    let cases: [(&str, Spoil); 24] = [
        ("name: must not be empty", |job| job["name"] = json!("")),
        ("name: is required", |job| job["name"] = Value::Null),
        ("name: must be a string, not an array", |job| job["name"] = json!(["j"])),
        ("name: must have at most 512", |job| job["name"] = json!("n".repeat(513))),
        ("src: is required", |job| drop(job.as_object_mut().unwrap().remove("src"))),
        ("dest: must be an object, not a string", |job| job["dest"] = json!("x")),
        ("src.host: must not be empty", |job| job["src"]["host"] = json!("")),
        ("src.user: is required", |job| drop(job["src"].as_object_mut().unwrap().remove("user"))),
        ("dest.database: must not be empty", |job| job["dest"]["database"] = json!("")),
        ("src.port: must be a port", |job| job["src"]["port"] = json!("70000")),
        ("src.port: must be a port", |job| job["src"]["port"] = json!(0)),
        ("src.port: must be a port", |job| job["src"]["port"] = json!(90.5)),
        ("dest.thrift_port: must be a port", |job| job["dest"]["thrift_port"] = json!("x")),
        ("dest.thrift_port: is required", |job| job["dest"]["thrift_port"] = Value::Null),
        ("src.port: must be a port", |job| job["src"]["port"] = json!({})),
        ("dest.table: must be set", |job| job["src"]["table"] = json!("t")),
        ("src.password: must be a string, not a number", |job| job["src"]["password"] = json!(1)),
        ("allow_table_exists: must be true or false", |job| job["allow_table_exists"] = json!("yes")),
        ("cluster_sync: must be true or false", |job| job["cluster_sync"] = json!(1)),
        ("dest.table: must be set", |job| {
            job["cluster_sync"] = json!(true);
            job["src"]["table"] = json!("t");
        }),
        ("src.host_mapping.10.0.0.1: must be a string", |job| {
            job["src"]["host_mapping"] = json!({ "10.0.0.1": 1 });
        }),
        ("dest.frontends[0].port: is required", |job| {
            job["dest"]["frontends"] = json!([{ "host": "f" }]);
        }),
        ("dest.frontends[1]: must be an object", |job| {
            job["dest"]["frontends"] = json!([{ "host": "f", "port": 1, "thrift_port": 2 }, 3]);
        }),
        ("src: is given twice", |job| job["SRC"] = job["src"].clone()),
    ];
    for (expected, spoil) in cases {
        let mut job = database_job("j");
        spoil(&mut job);
        let text = node.refused("create_ccr", job).await;
        // Of two spellings of one key either may come first.
        assert!(text.replace("SRC", "src").starts_with(expected), "{text:?} is not {expected:?}");
        assert!(!text.contains("secret-word"), "{text}");
    }
    for route in [
        "pause",
        "resume",
        "delete",
        "desync",
        "sync",
        "force_fullsync",
        "job_status",
        "job_detail",
        "job_progress",
        "get_lag",
    ] {
        let text = node.refused(route, json!({ "name": "" })).await;
        assert_eq!(text, "name: must not be empty", "/{route}");
        let answer = node.post(route, json!({ "name": "j", "op": 1 })).await;
        assert_eq!((&answer["success"], &answer["error_msg"]), (&json!(false), &json!("job j not exist")));
        assert_eq!(answer["warnings"], json!(["op: is not a known field, and was ignored"]), "/{route}");
        let text = node.refused(route, json!({ "name": 7 })).await;
        assert_eq!(text, "name: must be a string, not a number", "/{route}");
    }
    let text = node.refused("update_host_mapping", json!({ "name": "j", "src_host_mapping": [] })).await;
    assert!(text.starts_with("src_host_mapping: must be an object"), "{text}");
}

#[tokio::test]
async fn what_the_original_documents_is_accepted() {
    let node = Node::start().await;
    // Keys of any case, numeric ports, fields that steer nothing, content after the value.
    let mut job =
        json!({ "NAME": "j", "skip_error": false, "Cluster_Sync": false, "reuse_binlog_label": null });
    for (side, database) in [("src", "shop"), ("dest", "shop_copy")] {
        job[side] = json!({
            "Host": "h", "port": 9030, "thrift_port": " 9020 ", "user": "root", "database": database, "table": "",
            "is_master": true, "cluster": "", "db_id": 0, "table_id": 0, "frontends": null,
            "host_mapping": { "a": "" },
        });
    }
    let raw = node.raw("create_ccr", format!("{job} and more")).await;
    assert_eq!(raw.json(), json!({ "success": true }), "{raw:?}");
    assert_eq!(node.raw("job_status", r#"{"Name":"j"}{"name":"x"}"#).await.json()["success"], true);
}

#[tokio::test]
async fn a_body_that_is_no_object_is_refused() {
    let node = Node::start().await;
    for (body, part) in [
        ("", "is empty"),
        (" \n", "is empty"),
        ("{", "not valid JSON"),
        ("[]", "an array"),
        ("\"x\"", "a string"),
    ] {
        let raw = node.raw("create_ccr", body).await;
        assert_eq!(raw.status, 400, "{body}");
        assert!(raw.content_type.starts_with("text/plain") && raw.text.contains(part), "{body}: {raw:?}");
        let raw = node.raw("pause", body).await;
        assert_eq!((raw.status, &raw.json()["success"]), (200, &json!(false)), "{body}");
        assert!(raw.json()["error_msg"].as_str().unwrap().contains(part), "{body}: {raw:?}");
    }
    let huge = format!(r#"{{"name":"{}"}}"#, "n".repeat(2 << 20));
    let raw = node.raw("pause", huge).await;
    assert!(raw.json()["error_msg"].as_str().unwrap().contains("larger than"), "{}", raw.text);
}

/// One object may be sent to several routes, and an answer back as a request, as with the Go program.
#[tokio::test]
async fn unknown_fields_are_ignored_and_told() {
    let node = Node::start().await;
    let mut job = database_job("j");
    job["nonsense"] = json!("secret-word");
    job["src"]["databse"] = json!("d");
    let answer = node.call("create_ccr", job).await;
    let warning = |field: &str| json!(format!("{field}: is not a known field, and was ignored"));
    assert_eq!(answer["warnings"], json!([warning("src.databse"), warning("nonsense")]));
    let detail = node.call("job_detail", json!({ "name": "j", "op": "x", "OP": "y" })).await;
    assert_eq!(detail["warnings"].to_string().to_lowercase(), json!([warning("op")]).to_string());
    let mut again = detail["job_detail"].clone();
    again["name"] = json!("k");
    for side in ["src", "dest"] {
        again[side]["password"] = json!("secret-word");
    }
    let answer = node.call("create_ccr", again).await;
    assert!(answer["warnings"].as_array().unwrap().contains(&warning("id")), "{answer}");
    assert_eq!(node.post("pause", json!({ "name": "k" })).await, json!({ "success": true }));
    let many: serde_json::Map<_, _> = (0..40).map(|number| (format!("x{number}"), json!(1))).collect();
    let mut many = Value::Object(many);
    many["name"] = json!("k");
    let warnings = node.call("pause", many).await["warnings"].clone();
    assert_eq!(warnings.as_array().unwrap().len(), 17);
    assert_eq!(warnings[16], "24 more fields are not known, and were ignored");
}
