//! Jobs that apply each table's changes in their own order: a slow table keeps nobody else, told by rows and
//! positions.

use minidoris::{Fault, FaultKind};
use serde_json::{Value, json};

use crate::harness::{BOUND, DB, Pair, Syncer, Target, assert_equal, wait_until};
use crate::matrix::{assert_same_database, ends_equal, last_seq};

const JOB: &str = "ordered";
const TABLES: [&str; 4] = ["slow", "t1", "t2", "t3"];

/// A job in sync over the tables, in that order of changes.
async fn in_sync(ordering: &str) -> (Pair, Syncer) {
    let pair = Pair::start().await;
    pair.create_database().await;
    for table in TABLES {
        pair.create_table(table, 1).await;
        pair.insert(table, 0..3).await;
    }
    let mut syncer = Syncer::start().await;
    syncer.allow("keeps failing, retrying");
    let mut job = pair.database_job(JOB);
    job["ordering"] = json!(ordering);
    syncer.create(&job).await;
    syncer.wait_for(JOB, Target::InSync).await;
    (pair, syncer)
}

/// From now on no ingest into the table `slow` comes to its end.
async fn slow_down(pair: &Pair) {
    let shown = pair.down.sql_in(DB, "SHOW TABLETS FROM slow").await.expect("tablets are shown");
    let at = shown.columns.iter().position(|column| column == "TabletId").expect("the column");
    let tablet = shown.rows[0][at].clone().expect("an id");
    let ingest = format!("local_tablet_id: Some({tablet})");
    pair.down.faults().add(Fault::new(FaultKind::CutBefore).call("ingest_binlog").containing(&ingest));
}

async fn rows(pair: &Pair, table: &str, expected: usize) {
    wait_until(&format!("{expected} rows in {table}"), BOUND, || async {
        let rows = pair.downstream_rows(table).await;
        if rows == expected { Ok(()) } else { Err(format!("{rows} rows")) }
    })
    .await;
}

async fn progress_until(syncer: &Syncer, what: &str, is_there: impl Fn(&Value) -> bool) -> Value {
    wait_until(what, BOUND, || async {
        let progress = syncer.progress(JOB).await;
        if is_there(&progress) { Ok(progress) } else { Err(progress.to_string()) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn others_overtake_a_slow_table_and_a_shared_transaction_waits_for_it() {
    let (pair, mut syncer) = in_sync("table").await;
    let stood_at = syncer.progress(JOB).await["commit_seq"].clone();
    slow_down(&pair).await;
    pair.insert("slow", 10..13).await;
    let commits = pair.down.counters().get("commitTxn");
    pair.insert("t1", 10..13).await;
    pair.insert("t2", 10..13).await;
    rows(&pair, "t2", 6).await;
    pair.run("TRUNCATE TABLE t2").await;
    pair.insert("t2", 20..22).await;
    pair.run("ALTER TABLE t1 ADD COLUMN c INT DEFAULT \"1\"").await;
    pair.insert("t3", 10..13).await;
    pair.run("BEGIN; INSERT INTO slow VALUES (100, 'both'); INSERT INTO t3 VALUES (100, 'both'); COMMIT")
        .await;
    pair.insert("t3", 110..113).await;
    pair.run("INSERT INTO t1 VALUES (30, 'x', 2)").await;
    rows(&pair, "t1", 7).await;
    rows(&pair, "t2", 2).await;
    rows(&pair, "t3", 6).await;
    assert_eq!(
        pair.down.counters().get("commitTxn") - commits,
        5,
        "nothing of the slow table, nothing shared"
    );
    assert_equal(&pair, "t1", "t1").await;

    // What is ahead is neither lost nor repeated when the syncer starts again.
    for round in 0..2 {
        syncer.kill();
        syncer.restart().await;
        pair.insert("t2", 30 + round..31 + round).await;
        rows(&pair, "t2", 3 + usize::try_from(round).unwrap()).await;
        assert_eq!(syncer.progress(JOB).await["commit_seq"], stood_at, "that of the slow table");
        assert!(syncer.lag(JOB).await > 0);
    }
    for (table, expected) in [("slow", 3), ("t1", 7), ("t2", 4), ("t3", 6)] {
        assert_eq!(pair.downstream_rows(table).await, expected, "{table}");
    }
    pair.down.faults().clear();
    ends_equal(&pair, syncer, JOB, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_table_goes_on_by_itself_and_comes_back() {
    let (pair, mut syncer) = in_sync("table").await;
    slow_down(&pair).await;
    pair.insert("slow", 10..13).await;
    for at in 0..260 {
        pair.run(&format!("INSERT INTO t1 VALUES ({at}, 'one of many')")).await;
    }
    let is_apart = |progress: &Value| {
        progress["apart"][0]["table"] == "slow" && progress["apart"][0]["work"] == "catch_up"
    };
    progress_until(&syncer, "the slow table leaves", is_apart).await;
    // Names are settled without it, and so is the position.
    pair.run("ALTER TABLE t2 RENAME t2_new").await;
    pair.insert("t2_new", 10..13).await;
    pair.insert("slow", 20..23).await;
    let at_the_end = |progress: &Value| progress["commit_seq"] == last_seq(&pair);
    progress_until(&syncer, "the position reaches the last binlog", at_the_end).await;
    assert_eq!(pair.downstream_rows("slow").await, 3);
    assert!(syncer.lag(JOB).await > 0, "the slow table is behind");
    for table in ["t1", "t2_new", "t3"] {
        assert_equal(&pair, table, table).await;
    }
    pair.run("BEGIN; INSERT INTO slow VALUES (100, 'both'); INSERT INTO t3 VALUES (100, 'both'); COMMIT")
        .await;
    pair.insert("t1", 1000..1003).await;
    rows(&pair, "t1", 266).await;
    syncer.kill();
    syncer.restart().await;
    pair.insert("t1", 1010..1013).await;
    rows(&pair, "t1", 269).await;
    let progress = syncer.progress(JOB).await;
    assert!(is_apart(&progress), "{progress}");
    assert_eq!(pair.downstream_rows("t3").await, 3, "what is shared waits");
    pair.down.faults().clear();
    ends_equal(&pair, syncer, JOB, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_order_of_a_job_can_be_changed() {
    let (pair, syncer) = in_sync("source").await;
    slow_down(&pair).await;
    pair.insert("slow", 10..13).await;
    let tried = pair.down.counters().get("ingest_binlog");
    pair.insert("t1", 10..13).await;
    wait_until("both are being ingested", BOUND, || async {
        let ingests = pair.down.counters().get("ingest_binlog");
        if ingests >= tried + 3 { Ok(()) } else { Err(format!("{ingests} ingests")) }
    })
    .await;
    assert_eq!(pair.downstream_rows("t1").await, 3, "in source order it waits");
    syncer.call("update_job", &json!({ "name": JOB, "ordering": "table" })).await;
    rows(&pair, "t1", 6).await;
    assert_eq!(syncer.progress(JOB).await["options"]["ordering"], "table");
    syncer.call("update_job", &json!({ "name": JOB, "ordering": "source" })).await;
    pair.insert("t2", 10..13).await;
    pair.down.faults().clear();
    syncer.wait_for(JOB, Target::InSync).await;
    assert_same_database(&pair).await;
    syncer.finish().await;
}
