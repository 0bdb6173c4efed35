//! While a table is copied again it stays readable, and the others go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use minidoris::NodeId;
use minidoris::fault::DebugPoint;

use super::run::{HOLD_RESTORES, assert_one_full_backup, settle, slow_pair};
use super::same::assert_same_database;
use crate::harness::{BOUND, DB, Syncer, Target, wait_until};

const JOB: &str = "readable";

/// Counts the rows downstream over and over; fails on a failed read and on vanished rows.
async fn read_in_a_loop(
    down: minidoris::Cluster,
    at_least: usize,
    stop: Arc<AtomicBool>,
) -> Result<u64, String> {
    let mut reads = 0;
    while !stop.load(Ordering::Acquire) {
        let result = down.sql_in(DB, "SELECT k FROM changing").await;
        let rows = result.map_err(|error| format!("read {reads} failed: {error}"))?.rows.len();
        if rows < at_least {
            return Err(format!("read {reads} saw {rows} of {at_least} rows"));
        }
        reads += 1;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(reads)
}

/// `statement` copies the table `changing` again; `load` is one into it afterwards.
async fn stays_readable(statement: &str, load: &str) {
    let pair = slow_pair(|_| {}).await;
    for table in ["changing", "other"] {
        pair.create_table(table, 2).await;
        pair.insert(table, 0..100).await;
    }
    let syncer = Syncer::start().await;
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_for(JOB, Target::InSync).await;

    let stop = Arc::new(AtomicBool::new(false));
    let reader = tokio::spawn(read_in_a_loop(pair.down.clone(), 100, Arc::clone(&stop)));
    // The copy is held back, so that there is something to see beside it.
    pair.down.inner().debug_points.add(NodeId::Fe(0), HOLD_RESTORES, DebugPoint::default());
    let restores = pair.calls("restoreSnapshot");
    pair.run(statement).await;
    settle(&pair).await;
    pair.run(load).await;
    pair.insert("other", 100..110).await;
    wait_until("the other table goes on", BOUND, || async {
        let rows = pair.downstream_rows("other").await;
        if rows == 110 { Ok(()) } else { Err(format!("{rows} rows")) }
    })
    .await;
    wait_until("the copy is being put in place", BOUND, || async {
        let calls = pair.calls("restoreSnapshot");
        if calls > restores { Ok(()) } else { Err(format!("{calls} restores")) }
    })
    .await;
    let changed = pair.downstream_rows("changing").await;
    assert_eq!(changed, 100, "the changed table still waits for its copy");
    pair.down.inner().debug_points.remove(NodeId::Fe(0), HOLD_RESTORES);
    syncer.wait_for(JOB, Target::InSync).await;
    stop.store(true, Ordering::Release);
    let reads = reader.await.expect("the reader does not panic").expect("every read sees all rows");
    assert!(reads > 0, "the table was read");
    assert_same_database(&pair).await;
    assert_eq!(pair.calls("restoreSnapshot"), restores + 1);
    assert_eq!(pair.up.counters().get("sql:BACKUP"), 2, "one backup of the database, one of the table");
    assert_one_full_backup(&syncer, 1);
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_copied_again_stays_readable_and_the_others_go_on() {
    let key_column = "ALTER TABLE changing ADD COLUMN k2 INT KEY DEFAULT \"3\" AFTER k";
    stays_readable(key_column, "INSERT INTO changing VALUES (200, 1, 'after')").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_gets_a_rollup_or_an_index_stays_readable() {
    for statement in
        ["ALTER TABLE changing ADD ROLLUP r (v, k)", "ALTER TABLE changing ADD INDEX i (v) USING INVERTED"]
    {
        stays_readable(statement, "INSERT INTO changing VALUES (200, 'after')").await;
    }
}
