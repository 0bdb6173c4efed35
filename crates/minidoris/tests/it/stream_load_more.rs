//! Stream loads that compute, choose, merge, and commit in two phases.

use minidoris::{Cluster, ClusterOptions};
use serde_json::Value;

use crate::harness::bounded;

async fn start(tables: &str) -> Cluster {
    let options = ClusterOptions { backends: 2, ..ClusterOptions::replicating("loads") };
    let cluster = bounded(Cluster::start(options)).await.unwrap();
    bounded(cluster.sql("CREATE DATABASE d PROPERTIES (\"binlog.enable\" = \"true\")")).await.unwrap();
    bounded(cluster.sql_in("d", tables)).await.unwrap();
    cluster
}

async fn put(url: String, headers: &[(&str, &str)], body: &str) -> Value {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut request = client.put(url).basic_auth("root", Some("")).body(body.to_owned());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let text = bounded(request.send()).await.unwrap().text().await.unwrap();
    serde_json::from_str(&text).unwrap()
}

async fn load(cluster: &Cluster, table: &str, headers: &[(&str, &str)], body: &str) -> Value {
    let node = cluster.be(0);
    put(format!("http://{}:{}/api/d/{table}/_stream_load", node.host, node.http_port), headers, body).await
}

async fn second_phase(cluster: &Cluster, path: &str, headers: &[(&str, &str)]) -> Value {
    let node = cluster.be(1);
    put(format!("http://{}:{}/api/{path}/_stream_load_2pc", node.host, node.http_port), headers, "").await
}

async fn rows(cluster: &Cluster, sql: &str) -> Vec<String> {
    let found = bounded(cluster.sql_in("d", sql)).await.unwrap().rows;
    let text = |row: &Vec<Option<String>>| {
        row.iter().map(|cell| cell.clone().unwrap_or_else(|| "NULL".to_owned())).collect::<Vec<_>>().join("|")
    };
    found.iter().map(text).collect()
}

const PLAIN: &str = "CREATE TABLE t (k INT NOT NULL, v VARCHAR(20), n INT DEFAULT \"7\", d DATE) DUPLICATE KEY(k) \
    DISTRIBUTED BY HASH(k) BUCKETS 2";

#[tokio::test]
async fn columns_come_from_expressions_and_conditions_choose_rows() {
    let cluster = start(PLAIN).await;
    let headers = [
        ("column_separator", ","),
        (
            "columns",
            "a, b, k = a * 10, v = concat(upper(b), ',', a), d = date_add('2024-01-01', interval 1 day)",
        ),
        ("where", "k > 10 and v like '%,%'"),
    ];
    let answer = load(&cluster, "t", &headers, "1,x\n2,y\n3,z\n").await;
    assert_eq!(answer["Status"], "Success", "{answer}");
    let counts = ["NumberTotalRows", "NumberLoadedRows", "NumberUnselectedRows", "NumberFilteredRows"];
    assert_eq!(counts.map(|name| answer[name].as_i64().unwrap()), [3, 2, 1, 0]);
    let wanted = ["20|Y,2|7|2024-01-02", "30|Z,3|7|2024-01-02"];
    assert_eq!(rows(&cluster, "SELECT k, v, n, d FROM t ORDER BY k").await, wanted);

    // A column keeps its own field beside those that are computed; NULL goes through.
    let headers = [("column_separator", ","), ("columns", "k, v, x, n = k + x")];
    let answer = load(&cluster, "t", &headers, "1,own,5\n2,\\N,\\N\n").await;
    assert_eq!(answer["Status"], "Success", "{answer}");
    assert_eq!(
        rows(&cluster, "SELECT k, v, n FROM t WHERE k < 10 ORDER BY k").await,
        ["1|own|6", "2|NULL|NULL"]
    );
    bounded(cluster.stop()).await;
}

#[tokio::test]
async fn filtered_rows_count_against_what_was_chosen() {
    let cluster = start(PLAIN).await;
    let body = "1,a\nx,b\n3,c\n4,d\n5,e\n";
    let headers = |ratio: &'static str| {
        [("column_separator", ","), ("columns", "k, v"), ("where", "k < 4"), ("max_filter_ratio", ratio)]
    };
    // Two rows are not chosen; one of the other three is bad.
    let answer = load(&cluster, "t", &headers("0.3"), body).await;
    assert_eq!(answer["Status"], "Fail", "{answer}");
    assert!(answer["Message"].as_str().unwrap().contains("too many filtered rows"), "{answer}");
    let answer = load(&cluster, "t", &headers("0.34"), body).await;
    assert_eq!(answer["Status"], "Success", "{answer}");
    let counts = ["NumberTotalRows", "NumberLoadedRows", "NumberUnselectedRows", "NumberFilteredRows"];
    assert_eq!(counts.map(|name| answer[name].as_i64().unwrap()), [5, 2, 2, 1]);
    assert_eq!(rows(&cluster, "SELECT k, v FROM t ORDER BY k").await, ["1|a", "3|c"]);
    for (name, value, message) in [
        ("columns", "k, v, nope = k + 1", "Unknown column 'nope'"),
        ("columns", "k, x, v = missing(k)", "MISSING"),
        ("where", "zzz > 1", "Unknown column 'zzz'"),
        ("where", "k >", "mismatched input"),
    ] {
        let mut headers = vec![("column_separator", ","), ("columns", "k, v")];
        headers.retain(|(given, _)| *given != name);
        headers.push((name, value));
        let answer = load(&cluster, "t", &headers, "1,a").await;
        assert_eq!(answer["Status"], "Fail", "{answer}");
        assert!(answer["Message"].as_str().unwrap().contains(message), "{message}: {answer}");
    }
    bounded(cluster.stop()).await;
}

#[tokio::test]
async fn json_paths_lead_to_columns() {
    let cluster = start(PLAIN).await;
    let body = r#"{"data": [{"id": 1, "in": {"v": ["a", "b"]}}, {"id": 2, "in": {}}]}"#;
    let headers = [
        ("format", "json"),
        ("strip_outer_array", "true"),
        ("json_root", "$.data"),
        ("jsonpaths", "[\"$.id\", \"$.in.v[1]\"]"),
        ("columns", "k, v"),
    ];
    let answer = load(&cluster, "t", &headers, body).await;
    assert_eq!(answer["Status"], "Success", "{answer}");
    let mut computing = headers.to_vec();
    computing[4] = ("columns", "id, w, k = id + 10, v = concat(w, '!')");
    let answer = load(&cluster, "t", &computing, body).await;
    assert_eq!(answer["Status"], "Success", "{answer}");
    assert_eq!(rows(&cluster, "SELECT k, v FROM t ORDER BY k").await, ["1|b", "2|NULL", "11|b!", "12|NULL"]);
    bounded(cluster.stop()).await;
}

#[tokio::test]
async fn merges_delete_the_rows_that_meet_the_condition() {
    let cluster = start(
        "CREATE TABLE u (k INT, v VARCHAR(9)) UNIQUE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 2; \
         INSERT INTO u VALUES (1, 'one'), (2, 'two'), (3, 'three'); \
         CREATE TABLE s (k INT, v VARCHAR(9)) UNIQUE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 2 \
         PROPERTIES (\"function_column.sequence_type\" = \"int\")",
    )
    .await;
    let headers = [("column_separator", ","), ("merge_type", "MERGE"), ("delete", "v = 'gone'")];
    let answer = load(&cluster, "u", &headers, "1,gone\n2,zwei\n9,neun\n").await;
    assert_eq!(answer["Status"], "Success", "{answer}");
    assert_eq!(rows(&cluster, "SELECT k, v FROM u ORDER BY k").await, ["2|zwei", "3|three", "9|neun"]);

    // The hidden sequence column decides which row of a key stays, whatever came last.
    let headers =
        [("column_separator", ","), ("columns", "k, v, at"), ("function_column.sequence_col", "at")];
    assert_eq!(load(&cluster, "s", &headers, "1,new,20\n2,b,1\n").await["Status"], "Success");
    assert_eq!(load(&cluster, "s", &headers, "1,old,10\n2,c,2\n").await["Status"], "Success");
    assert_eq!(rows(&cluster, "SELECT k, v FROM s ORDER BY k").await, ["1|new", "2|c"]);
    let headers = [("column_separator", ","), ("columns", "k, v"), ("function_column.sequence_col", "nope")];
    let answer = load(&cluster, "s", &headers, "1,x").await;
    assert!(answer["Message"].as_str().unwrap().contains("no sequence column"), "{answer}");
    bounded(cluster.stop()).await;
}

#[tokio::test]
async fn the_cluster_fills_numbers_and_generated_columns() {
    let cluster = start(
        "CREATE TABLE g (id BIGINT NOT NULL AUTO_INCREMENT(100), a INT, b INT AS (a * 2)) DUPLICATE KEY(id) \
         DISTRIBUTED BY HASH(id) BUCKETS 1",
    )
    .await;
    let headers = [("column_separator", ","), ("columns", "a")];
    let answer = load(&cluster, "g", &headers, "5\n6\n").await;
    assert_eq!(answer["Status"], "Success", "{answer}");
    assert_eq!(rows(&cluster, "SELECT id, a, b FROM g ORDER BY id").await, ["100|5|10", "101|6|12"]);
    bounded(cluster.stop()).await;
}

#[tokio::test]
async fn a_load_in_two_phases_is_visible_after_the_second() {
    let cluster = start(PLAIN).await;
    let headers = |label: &'static str| {
        [("column_separator", ","), ("columns", "k,v"), ("two_phase_commit", "true"), ("label", label)]
    };
    let first = load(&cluster, "t", &headers("l1"), "1,a\n2,b\n").await;
    assert_eq!((&first["Status"], &first["TwoPhaseCommit"]), (&"Success".into(), &"true".into()), "{first}");
    let id = first["TxnId"].as_i64().unwrap().to_string();
    assert_eq!(rows(&cluster, "SELECT COUNT(*) FROM t").await, ["0"]);
    let shown = bounded(cluster.sql_in("d", &format!("SHOW TRANSACTION WHERE id = {id}"))).await.unwrap();
    let column = |name: &str| shown.columns.iter().position(|column| column == name).unwrap();
    assert_eq!(shown.rows[0][column("TransactionStatus")].as_deref(), Some("PRECOMMITTED"));
    assert!(shown.rows[0][column("PreCommitTime")].is_some());
    // The label is taken meanwhile.
    let again = load(&cluster, "t", &headers("l1"), "1,a").await;
    assert_eq!(again["ExistingJobStatus"], "PRECOMMITTED", "{again}");

    let done = second_phase(&cluster, "d", &[("txn_id", &id), ("txn_operation", "commit")]).await;
    assert_eq!(done["status"], "Success", "{done}");
    assert_eq!(done["msg"], format!("transaction [{id}] commit successfully."));
    assert_eq!(rows(&cluster, "SELECT k, v FROM t ORDER BY k").await, ["1|a", "2|b"]);
    let twice = second_phase(&cluster, "d", &[("txn_id", &id), ("txn_operation", "commit")]).await;
    assert!(twice["msg"].as_str().unwrap().contains("is already visible, not pre-committed."), "{twice}");
    let late = second_phase(&cluster, "d/t", &[("label", "l1"), ("txn_operation", "abort")]).await;
    assert!(late["msg"].as_str().unwrap().contains("is already visible, could not abort."), "{late}");

    assert_eq!(load(&cluster, "t", &headers("l2"), "3,c").await["Status"], "Success");
    let gone = second_phase(&cluster, "d/t", &[("label", "l2"), ("txn_operation", "abort")]).await;
    assert_eq!(gone["status"], "Success", "{gone}");
    assert_eq!(rows(&cluster, "SELECT COUNT(*) FROM t").await, ["2"]);
    // An aborted label may be used again; one that nobody ends is aborted after its time.
    assert_eq!(load(&cluster, "t", &headers("l2"), "4,d").await["Status"], "Success");
    cluster.clock().advance_ms(3_700_000);
    let aborted = cluster
        .wait_until(crate::harness::LIMIT, |inner| {
            let state = inner.fe.lock();
            let db = state.database_named("d").unwrap().id;
            state.txns.with_label(db, "l2").last().is_some_and(|txn| txn.status.name() == "ABORTED")
        })
        .await;
    assert!(aborted);
    for (headers, message) in [
        (vec![("txn_id", "999"), ("txn_operation", "commit")], "transaction [999] not found"),
        (vec![("txn_id", "x"), ("txn_operation", "commit")], "convert txn_id [x] failed"),
        (vec![("label", "zzz"), ("txn_operation", "commit")], "transaction [zzz] not found"),
        (vec![("label", "l1"), ("txn_operation", "think")], "transaction operation should be"),
        (vec![("txn_operation", "commit")], "transaction id or label should be specified"),
    ] {
        let refused = second_phase(&cluster, "d", &headers).await;
        assert_eq!(refused["status"], "ANALYSIS_ERROR", "{refused}");
        assert!(refused["msg"].as_str().unwrap().contains(message), "{message}: {refused}");
    }
    bounded(cluster.stop()).await;
}

#[tokio::test]
async fn a_frontend_redirects_the_second_phase() {
    let cluster = start(PLAIN).await;
    let node = cluster.fe(0);
    let policy = reqwest::redirect::Policy::none();
    let client = reqwest::Client::builder().no_proxy().redirect(policy).build().unwrap();
    for path in ["d", "d/t"] {
        let url = format!("http://{}:{}/api/{path}/_stream_load_2pc", node.host, node.http_port);
        let answer = bounded(client.put(&url).basic_auth("root", Some("")).send()).await.unwrap();
        assert_eq!(answer.status().as_u16(), 307);
        let location = answer.headers()["location"].to_str().unwrap().to_owned();
        assert!(location.ends_with(&format!("/api/{path}/_stream_load_2pc")), "{location}");
        assert_eq!(bounded(client.put(&url).send()).await.unwrap().status().as_u16(), 401);
    }
    bounded(cluster.stop()).await;
}

#[tokio::test]
async fn what_was_precommitted_survives_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let options = ClusterOptions {
        backends: 2,
        data_dir: Some(directory.path().to_owned()),
        ..ClusterOptions::replicating("kept")
    };
    let cluster = bounded(Cluster::start(options.clone())).await.unwrap();
    bounded(cluster.sql(&format!("CREATE DATABASE d; USE d; {PLAIN}"))).await.unwrap();
    let headers =
        [("column_separator", ","), ("columns", "k,v"), ("two_phase_commit", "true"), ("label", "l1")];
    assert_eq!(load(&cluster, "t", &headers, "1,a\n2,b\n").await["Status"], "Success");
    bounded(cluster.stop()).await;
    let cluster = bounded(Cluster::start(options.clone())).await.unwrap();
    assert_eq!(rows(&cluster, "SELECT COUNT(*) FROM t").await, ["0"]);
    let done = second_phase(&cluster, "d", &[("label", "l1"), ("txn_operation", "commit")]).await;
    assert_eq!(done["status"], "Success", "{done}");
    assert_eq!(rows(&cluster, "SELECT k, v FROM t ORDER BY k").await, ["1|a", "2|b"]);
    bounded(cluster.stop()).await;
    let cluster = bounded(Cluster::start(options)).await.unwrap();
    assert_eq!(rows(&cluster, "SELECT k, v FROM t ORDER BY k").await, ["1|a", "2|b"]);
    bounded(cluster.stop()).await;
}
