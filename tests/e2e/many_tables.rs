//! A database of a thousand tables: one that cannot go on, or takes long, keeps none of the others.

use std::collections::BTreeSet;

use minidoris::{Fault, FaultKind};
use serde_json::Value;

use crate::harness::{BOUND, DB, Pair, Syncer, Target, wait_until};
use crate::matrix::{last_seq, settle};

const JOB: &str = "many";
const TABLES: usize = 1000;
/// So many statements go in one text.
const BATCH: usize = 100;
const ROUNDS: usize = 3;

/// Runs a statement for each of some tables.
async fn for_each(pair: &Pair, tables: impl Iterator<Item = usize>, statement: impl Fn(usize) -> String) {
    let statements: Vec<String> = tables.map(statement).collect();
    for batch in statements.chunks(BATCH) {
        pair.run(&batch.join("; ")).await;
    }
}

/// A job in sync over `t0` to `t999`, which hold one row each.
async fn in_sync() -> (Pair, Syncer) {
    let pair = Pair::start().await;
    pair.create_database().await;
    for_each(&pair, 0..TABLES, |at| {
        format!("CREATE TABLE t{at} (k INT, v VARCHAR(9)) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1")
    })
    .await;
    for_each(&pair, 0..TABLES, |at| format!("INSERT INTO t{at} VALUES (0, 'x')")).await;
    let syncer = Syncer::start().await;
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_within(JOB, Target::InSync, 2 * BOUND).await;
    (pair, syncer)
}

/// The tables that are written to in a round: all of them in turn, but `t0`.
fn loaded(round: usize) -> impl Iterator<Item = usize> {
    (1..TABLES).filter(move |at| at % ROUNDS == round % ROUNDS)
}

/// Several times: the others are loaded and have the rows when the job's position is at the end, while `t0` alone is
/// apart. Answers with the last progress.
async fn the_others_go_on(pair: &Pair, syncer: &Syncer, work: &str) -> Value {
    let mut shown = Value::Null;
    for round in 1..=ROUNDS {
        let commits = pair.down.counters().get("commitTxn");
        for_each(pair, loaded(round), |at| format!("INSERT INTO t{at} VALUES ({round}, 'x')")).await;
        shown = wait_until("the position reaches the last binlog", BOUND, || async {
            let progress = syncer.progress(JOB).await;
            if progress["commit_seq"] == last_seq(pair) { Ok(progress) } else { Err(progress.to_string()) }
        })
        .await;
        let apart = shown["apart"].as_array().cloned().unwrap_or_default();
        let apart: Vec<(&str, &str)> = apart
            .iter()
            .map(|one| (one["table"].as_str().unwrap_or_default(), one["work"].as_str().unwrap_or_default()))
            .collect();
        assert_eq!(apart, [("t0", work)], "{shown}");
        let committed = pair.down.counters().get("commitTxn") - commits;
        assert_eq!(committed, loaded(round).count() as u64, "one for each load");
        wait_until("what is committed is visible", BOUND, || async {
            let progress = syncer.progress(JOB).await;
            if progress["unpublished"].is_null() { Ok(()) } else { Err(progress.to_string()) }
        })
        .await;
        let want = format!("{round}");
        for at in loaded(round) {
            let rows = pair
                .down
                .sql_in(DB, &format!("SELECT max(k) FROM t{at}"))
                .await
                .expect("it can be read")
                .rows;
            assert_eq!(rows, [[Some(want.clone())]], "t{at}");
        }
    }
    shown
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_a_thousand_tables_keeps_none_of_the_others() {
    let (pair, mut syncer) = in_sync().await;
    syncer.allow("keeps failing, retrying");
    syncer.allow("CCR0203");

    // Its copy is never begun downstream.
    pair.down.faults().add(Fault::new(FaultKind::CutBefore).call("restoreSnapshot"));
    pair.run("ALTER TABLE t0 MODIFY COLUMN v STRING").await;
    settle(&pair).await;
    the_others_go_on(&pair, &syncer, "partial_sync").await;
    assert!(syncer.lag(JOB).await >= 1, "the table is behind");
    pair.down.faults().clear();
    syncer.wait_for(JOB, Target::InSync).await;

    // What a newer Doris would write of it.
    let poison = pair.journal_unknown_change(pair.table_id("t0"));
    let shown = the_others_go_on(&pair, &syncer, "blocked").await;
    assert_eq!(shown["apart"][0]["cursor"], poison - 1, "{shown}");
    assert_eq!(syncer.lag(JOB).await, 1, "the one binlog that nobody knows is missing");
    let names: BTreeSet<String> = pair.downstream_tables().await.into_iter().collect();
    assert_eq!(names, (0..TABLES).map(|at| format!("t{at}")).collect());
    assert_eq!(pair.up.counters().get("sql:BACKUP"), 2, "the first one, and that of one table");
    syncer.finish().await;
}
