//! Something downstream is in the way: what it concerns stops, and nothing else, and it goes on when told to.

use crate::harness::{BOUND, DB, Pair, Syncer, Target, assert_equal, wait_until};

const JOB: &str = "conflict";

async fn wait_blocked(syncer: &Syncer) -> serde_json::Value {
    wait_until("something is blocked", BOUND, || async {
        let progress = syncer.progress(JOB).await;
        let blocked = progress["blocked"].clone();
        if blocked.is_null() { Err(progress.to_string()) } else { Ok(blocked) }
    })
    .await
}

/// Runs a statement downstream, as somebody else would.
async fn downstream(pair: &Pair, sql: &str) {
    pair.down.sql_in(DB, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// A table in sync, and a foreign table `taken` downstream.
async fn with_a_taken_name() -> (Pair, Syncer) {
    let pair = Pair::start().await;
    pair.create_database().await;
    pair.create_table("t", 1).await;
    pair.insert("t", 0..3).await;
    let mut syncer = Syncer::start().await;
    syncer.allow("CCR0312");
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_for(JOB, Target::InSync).await;
    downstream(&pair, "CREATE TABLE taken (x INT) DUPLICATE KEY(x) DISTRIBUTED BY HASH(x) BUCKETS 1").await;
    (pair, syncer)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_taken_downstream_blocks_its_table_with_code_type_and_seq() {
    let (pair, syncer) = with_a_taken_name().await;
    pair.insert("t", 3..5).await;
    pair.create_table("taken", 1).await;
    pair.insert("t", 5..8).await;
    let blocked = wait_blocked(&syncer).await;
    assert_eq!(blocked["code"], "CCR0312", "{blocked}");
    assert_eq!(blocked["binlog_type"], "CREATE_TABLE", "{blocked}");
    assert!(blocked["commit_seq"].as_i64().is_some_and(|seq| seq > 0), "{blocked}");
    for text in ["message", "hint"] {
        assert!(blocked[text].as_str().is_some_and(|text| !text.is_empty()), "{text}: {blocked}");
    }
    wait_until("the other table goes on", BOUND, || async {
        let rows = pair.downstream_rows("t").await;
        if rows == 8 { Ok(()) } else { Err(format!("{rows} rows")) }
    })
    .await;
    assert!(syncer.lag(JOB).await >= 1, "a job with a blocked table is not in sync");

    downstream(&pair, "DROP TABLE taken FORCE").await;
    syncer.resume(JOB).await;
    pair.insert("taken", 0..4).await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_equal(&pair, "t", "t").await;
    assert_equal(&pair, "taken", "taken").await;
    assert!(syncer.progress(JOB).await["blocked"].is_null());
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_survives_a_restart() {
    let (pair, mut syncer) = with_a_taken_name().await;
    pair.create_table("taken", 1).await;
    let before = wait_blocked(&syncer).await["commit_seq"].clone();
    syncer.kill();
    syncer.restart().await;
    assert_eq!(wait_blocked(&syncer).await["commit_seq"], before);
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_cannot_go_on_does_not_stop_the_others() {
    let pair = Pair::start().await;
    pair.create_database().await;
    for table in ["bad", "good"] {
        pair.create_table(table, 1).await;
        pair.insert(table, 0..3).await;
    }
    let mut syncer = Syncer::start().await;
    syncer.allow("CCR0302");
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_for(JOB, Target::InSync).await;

    downstream(&pair, "DROP TABLE bad FORCE").await;
    pair.insert("bad", 3..5).await;
    pair.insert("good", 3..9).await;
    let blocked = wait_blocked(&syncer).await;
    assert_eq!(blocked["code"], "CCR0302", "{blocked}");
    wait_until("the other table goes on", BOUND, || async {
        let rows = pair.downstream_rows("good").await;
        if rows == 9 { Ok(()) } else { Err(format!("{rows} rows")) }
    })
    .await;
    pair.insert("good", 9..20).await;
    wait_until("the other table still goes on", BOUND, || async {
        let rows = pair.downstream_rows("good").await;
        if rows == 20 { Ok(()) } else { Err(format!("{rows} rows")) }
    })
    .await;
    assert_equal(&pair, "good", "good").await;
    assert_eq!(pair.up.counters().get("sql:BACKUP"), 1, "no full sync for one table");
    syncer.finish().await;
}
