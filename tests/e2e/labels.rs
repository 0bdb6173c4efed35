//! Jobs that reuse upstream labels: the target's transactions carry them, and what others did under the same
//! label is never taken for the job's own.

use serde_json::json;

use crate::harness::{DB, Pair, Syncer, Target, assert_equal};

const JOB: &str = "labels";
const ENABLED: &str = "--enable_failpoints";

async fn following(pair: &Pair) -> Syncer {
    pair.create_database().await;
    pair.create_table("t", 2).await;
    pair.insert("t", 0..5).await;
    let syncer = Syncer::start_with(&[ENABLED]).await;
    let mut job = pair.database_job(JOB);
    job["reuse_binlog_label"] = json!(true);
    syncer.create(&job).await;
    syncer.wait_for(JOB, Target::InSync).await;
    syncer
}

async fn load(pair: &Pair, label: &str, key: i32) {
    pair.run(&format!("INSERT INTO t WITH LABEL {label} VALUES ({key}, 'row {key}')")).await;
}

/// States of the target's transactions of a label that are not aborted.
fn states(pair: &Pair, label: &str) -> Vec<&'static str> {
    let state = pair.down.inner().fe.lock();
    let db = state.database_named(DB).expect("the database is there").id;
    let found = state.txns.with_label(db, label);
    found.into_iter().map(|txn| txn.status.name()).filter(|status| *status != "ABORTED").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn target_transactions_carry_the_labels_of_the_upstream() {
    let pair = Pair::start().await;
    let syncer = following(&pair).await;
    for n in 0..4 {
        load(&pair, &format!("load_{n}"), 10 + n).await;
    }
    pair.run(
        "BEGIN WITH LABEL explicit; INSERT INTO t VALUES (20, 'a'); INSERT INTO t VALUES (21, 'b'); COMMIT",
    )
    .await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_equal(&pair, "t", "t").await;
    for label in ["load_0", "load_1", "load_2", "load_3", "explicit"] {
        assert_eq!(states(&pair, label), ["VISIBLE"], "{label}");
    }
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_of_somebody_else_does_not_pass_for_the_jobs() {
    let pair = Pair::start().await;
    let syncer = following(&pair).await;
    let others = "CREATE TABLE others (k INT) DISTRIBUTED BY HASH(k) BUCKETS 1 PROPERTIES (\"replication_num\" = \"1\")";
    pair.down.sql_in(DB, others).await.expect("a table of somebody else");
    pair.down.sql_in(DB, "INSERT INTO others WITH LABEL taken VALUES (1)").await.expect("a load into it");
    load(&pair, "free", 10).await;
    load(&pair, "taken", 11).await;
    load(&pair, "free_again", 12).await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_equal(&pair, "t", "t").await;
    let progress = syncer.progress(JOB).await;
    let history = progress["history"].as_array().cloned().unwrap_or_default();
    let told = |entry: &serde_json::Value| {
        entry["plan"] == "label" && entry["reason"].as_str().is_some_and(|text| text.contains("label taken"))
    };
    assert!(history.iter().any(told), "{progress}");
    for label in ["free", "taken", "free_again"] {
        assert_eq!(states(&pair, label), ["VISIBLE"], "{label}");
    }
    syncer.finish().await;
}

/// The process dies before and after each call of a transaction. The label is found finished after the last of
/// them, and is then the job's own.
#[tokio::test(flavor = "multi_thread")]
async fn every_row_comes_once_wherever_the_syncer_dies() {
    let pair = Pair::start().await;
    let mut syncer = following(&pair).await;
    let mut key = 100;
    for failpoint in ["begin_txn", "ingest", "commit_txn"] {
        for moment in ["before", "after"] {
            for nth in 1..=2 {
                let value = format!("crash:{nth}");
                let body =
                    json!({ "name": JOB, "failpoint": format!("{failpoint}:{moment}"), "value": value });
                syncer.call("failpoint", &body).await;
                load(&pair, &format!("load_{key}"), key).await;
                key += 1;
                syncer.crashed().await;
                syncer.restart().await;
                syncer.wait_for(JOB, Target::InSync).await;
                assert_equal(&pair, "t", "t").await;
            }
        }
    }
    for key in 100..key {
        assert_eq!(states(&pair, &format!("load_{key}")), ["VISIBLE"], "{key}");
    }
    syncer.finish().await;
}
