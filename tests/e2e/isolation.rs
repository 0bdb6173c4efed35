//! What one table needs, or cannot do, is its own affair: the others go on, told by positions and counters.

use std::time::Duration;

use minidoris::{Fault, FaultKind};
use serde_json::{Value, json};

use crate::harness::{BOUND, DB, Pair, Syncer, Target, assert_equal, wait_until};
use crate::matrix::{assert_same_database, ends_equal, last_seq, settle};

const JOB: &str = "isolated";
const TABLES: usize = 16;

/// A job in sync over `t0` to `t15`.
async fn in_sync() -> (Pair, Syncer) {
    in_sync_with(&[]).await
}

async fn in_sync_with(flags: &[&str]) -> (Pair, Syncer) {
    let pair = Pair::start().await;
    pair.create_database().await;
    for at in 0..TABLES {
        pair.create_table(&format!("t{at}"), 1).await;
        pair.insert(&format!("t{at}"), 0..3).await;
    }
    let syncer = Syncer::start_with(flags).await;
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_for(JOB, Target::InSync).await;
    (pair, syncer)
}

/// Waits until the job's position is that of the last binlog.
async fn position_is_at_the_end(pair: &Pair, syncer: &Syncer) -> Value {
    wait_until("the position reaches the last binlog", BOUND, || async {
        let progress = syncer.progress(JOB).await;
        if progress["commit_seq"] == last_seq(pair) { Ok(progress) } else { Err(progress.to_string()) }
    })
    .await
}

/// The only table apart: its name, work and cursor.
fn the_one_apart(progress: &Value) -> (String, String, i64) {
    let apart = progress["apart"].as_array().cloned().unwrap_or_default();
    assert_eq!(apart.len(), 1, "{progress}");
    let text = |field: &str| apart[0][field].as_str().unwrap_or_default().to_owned();
    (text("table"), text("work"), apart[0]["cursor"].as_i64().unwrap_or_default())
}

async fn insert_into_the_others(pair: &Pair, round: i32) {
    for at in 1..TABLES {
        pair.insert(&format!("t{at}"), round * 10..round * 10 + 3).await;
    }
}

/// Changes of all kinds on other tables than `t0`.
async fn change_the_others(pair: &Pair, round: i32) {
    pair.run("ALTER TABLE t1 ADD COLUMN c INT DEFAULT \"1\"").await;
    pair.run("ALTER TABLE t1 DROP COLUMN c").await;
    pair.run("ALTER TABLE t2 RENAME t2_new").await;
    pair.run("ALTER TABLE t2_new RENAME t2").await;
    pair.run("ALTER TABLE t3 REPLACE WITH TABLE t4 PROPERTIES (\"swap\" = \"true\")").await;
    pair.run("TRUNCATE TABLE t5").await;
    pair.create_table(&format!("made{round}"), 1).await;
    pair.insert(&format!("made{round}"), 0..3).await;
    pair.run(&format!("DROP TABLE made{round} FORCE")).await;
}

/// Several times: the others change, alone and together with the one table, which is apart with this work, and
/// are equal. Answers with the last progress.
async fn the_others_go_on(pair: &Pair, syncer: &Syncer, expected: &str) -> Value {
    let mut shown = Value::Null;
    for round in 1..=3 {
        insert_into_the_others(pair, round).await;
        change_the_others(pair, round).await;
        // In one transaction with others: these have it now, and the table itself later.
        pair.run(&format!(
            "BEGIN; INSERT INTO t0 VALUES ({round}00, 'both'); INSERT INTO t7 VALUES ({round}00, 'both'); COMMIT"
        ))
        .await;
        shown = position_is_at_the_end(pair, syncer).await;
        let (table, work, _) = the_one_apart(&shown);
        assert_eq!((table.as_str(), work.as_str()), ("t0", expected));
        assert_others_equal(pair).await;
    }
    shown
}

async fn assert_others_equal(pair: &Pair) {
    for at in 1..TABLES {
        assert_equal(pair, &format!("t{at}"), &format!("t{at}")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poisoned_table_keeps_nobody_else() {
    let (pair, mut syncer) = in_sync().await;
    syncer.allow("CCR0203");
    let poison = pair.journal_unknown_change(pair.table_id("t0"));
    let progress = position_is_at_the_end(&pair, &syncer).await;
    assert_eq!(the_one_apart(&progress), ("t0".to_owned(), "blocked".to_owned(), poison - 1));
    for round in 1..=3 {
        pair.insert("t0", round * 10..round * 10 + 3).await;
        let commits = pair.down.counters().get("commitTxn");
        insert_into_the_others(&pair, round).await;
        position_is_at_the_end(&pair, &syncer).await;
        let commits = pair.down.counters().get("commitTxn") - commits;
        assert_eq!(commits, TABLES as u64 - 1, "one for each of the others, none for the poisoned table");
        change_the_others(&pair, round).await;
        let progress = position_is_at_the_end(&pair, &syncer).await;
        assert_eq!(the_one_apart(&progress), ("t0".to_owned(), "blocked".to_owned(), poison - 1));
        assert_others_equal(&pair).await;
    }
    assert_eq!(pair.downstream_rows("t0").await, 3);
    assert_eq!(pair.up.counters().get("sql:BACKUP"), 1);
    // Counted from its own position: the binlog it is blocked at, and its three loads.
    assert_eq!(syncer.lag(JOB).await, 4, "only what is apart is missing");
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_copy_of_a_table_keeps_nobody_else() {
    let (pair, mut syncer) = in_sync().await;
    syncer.allow("keeps failing, retrying");
    pair.down.faults().add(Fault::new(FaultKind::CutBefore).call("restoreSnapshot"));
    pair.run("ALTER TABLE t0 MODIFY COLUMN v STRING").await;
    settle(&pair).await;
    pair.insert("t0", 10..13).await;
    let restores = pair.calls("restoreSnapshot");
    wait_until("the restore is asked for", BOUND, || async {
        let calls = pair.calls("restoreSnapshot");
        if calls > restores { Ok(()) } else { Err(format!("{calls} calls")) }
    })
    .await;
    the_others_go_on(&pair, &syncer, "partial_sync").await;
    assert_eq!(pair.downstream_rows("t0").await, 3, "the old table stays readable");
    assert!(syncer.lag(JOB).await > 0);
    pair.down.faults().clear();
    ends_equal(&pair, syncer, JOB, 2).await;
}

/// Its target has too many versions until somebody has seen to it.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_takes_no_more_rows_keeps_nobody_else_and_comes_back() {
    let (pair, mut syncer) = in_sync_with(&["--quarantine_after=1s"]).await;
    syncer.allow("keeps failing");
    let shown = pair.down.sql_in(DB, "SHOW TABLETS FROM t0").await.expect("tablets are shown");
    let at = shown.columns.iter().position(|column| column == "TabletId").expect("the column");
    let tablet = shown.rows[0][at].clone().expect("an id");
    let text = format!("[E-235]failed to init rowset builder. version count: 2001, tablet: {tablet}");
    pair.down.faults().add(
        Fault::new(FaultKind::Status { code: 6, text })
            .call("ingest_binlog")
            .containing(&format!("local_tablet_id: Some({tablet})")),
    );
    pair.insert("t0", 10..13).await;
    let progress = the_others_go_on(&pair, &syncer, "quarantined").await;
    let detail = progress["apart"][0]["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("version count"), "{progress}");
    assert_eq!(pair.downstream_rows("t0").await, 3);
    pair.down.faults().clear();
    ends_equal(&pair, syncer, JOB, 1).await;
}

/// Somebody holds the target table in a state in which it cannot be altered.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_cannot_be_altered_now_keeps_nobody_else_and_comes_back() {
    let (pair, mut syncer) = in_sync_with(&["--quarantine_after=1s"]).await;
    syncer.allow("keeps failing");
    let text = "Table[t0]'s state(ROLLUP) is not NORMAL. Do not allow doing ALTER ops".to_owned();
    pair.down
        .faults()
        .add(Fault::new(FaultKind::Status { code: 1105, text }).call("sql:ALTER TABLE").containing("`t0`"));
    pair.run("ALTER TABLE t0 ADD COLUMN c INT DEFAULT \"1\"").await;
    pair.run("ALTER TABLE t0 DROP COLUMN c").await;
    let progress = the_others_go_on(&pair, &syncer, "quarantined").await;
    let detail = progress["apart"][0]["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("is not NORMAL"), "{progress}");
    assert!(syncer.lag(JOB).await > 0, "the table is behind");
    pair.down.faults().clear();
    ends_equal(&pair, syncer, JOB, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_whose_change_is_refused_waits_for_an_operator_and_keeps_nobody_else() {
    let (pair, mut syncer) = in_sync().await;
    syncer.allow("CCR0112");
    let refusal = || {
        let text = "no such change is accepted".to_owned();
        Fault::new(FaultKind::Status { code: 1105, text }).call("sql:ALTER TABLE").containing("`t0`")
    };
    pair.down.faults().add(refusal());
    pair.run("ALTER TABLE t0 ADD COLUMN c INT DEFAULT \"1\"").await;
    pair.run("ALTER TABLE t0 DROP COLUMN c").await;
    let progress = the_others_go_on(&pair, &syncer, "blocked").await;
    let blocked = &progress["blocked"];
    assert_eq!(blocked["code"], "CCR0112", "{progress}");
    assert_eq!(blocked["binlog_type"], "MODIFY_TABLE_ADD_OR_DROP_COLUMNS");
    assert!(blocked["message"].as_str().is_some_and(|text| text.contains("no such change")), "{progress}");
    // It is still refused.
    syncer.resume(JOB).await;
    wait_until("the block", BOUND, || async {
        let progress = syncer.progress(JOB).await;
        if progress["blocked"].is_null() { Err(progress.to_string()) } else { Ok(()) }
    })
    .await;
    pair.down.faults().clear();
    syncer.resume(JOB).await;
    ends_equal(&pair, syncer, JOB, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_that_cannot_be_made_now_keeps_nobody_but_its_tables() {
    let (pair, mut syncer) = in_sync_with(&["--quarantine_after=1s"]).await;
    syncer.allow("keeps failing");
    syncer.allow("cannot have its name yet");
    let text = "Table[t0]'s state(ROLLUP) is not NORMAL. Do not allow doing ALTER ops".to_owned();
    pair.down
        .faults()
        .add(Fault::new(FaultKind::Status { code: 1105, text }).call("sql:ALTER TABLE").containing("`t0`"));
    pair.run("ALTER TABLE t0 REPLACE WITH TABLE t15 PROPERTIES (\"swap\" = \"true\")").await;
    for round in 1..=3 {
        insert_into_the_others(&pair, round).await;
        pair.insert("t0", round * 10..round * 10 + 2).await;
        change_the_others(&pair, round).await;
        let progress = position_is_at_the_end(&pair, &syncer).await;
        let apart = progress["apart"].as_array().cloned().unwrap_or_default();
        assert_eq!(apart.len(), 2, "{progress}");
        for table in apart {
            assert!(table["table"] == "t0" || table["table"] == "t15", "{progress}");
            assert_eq!(table["work"], "quarantined", "{progress}");
        }
    }
    assert!(syncer.lag(JOB).await > 0, "the two are behind");
    pair.down.faults().clear();
    ends_equal(&pair, syncer, JOB, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_cannot_be_dropped_keeps_nobody_else() {
    let (pair, mut syncer) = in_sync_with(&["--quarantine_after=1s"]).await;
    syncer.allow("keeps failing");
    syncer.allow("cannot be dropped yet");
    let text = "The table [t0]'s state is RESTORE, cannot be dropped.".to_owned();
    pair.down
        .faults()
        .add(Fault::new(FaultKind::Status { code: 1105, text }).call("sql:DROP TABLE").containing("`t0`"));
    pair.run("DROP TABLE t0 FORCE").await;
    for round in 1..=3 {
        insert_into_the_others(&pair, round).await;
        change_the_others(&pair, round).await;
        let progress = position_is_at_the_end(&pair, &syncer).await;
        let (table, work, _) = the_one_apart(&progress);
        assert_eq!((table.as_str(), work.as_str()), ("t0", "quarantined"));
        assert_others_equal(&pair).await;
    }
    assert!(syncer.lag(JOB).await > 0, "the table is still there");
    pair.down.faults().clear();
    syncer.wait_for(JOB, Target::InSync).await;
    assert_same_database(&pair).await;
    syncer.finish().await;
}

/// As a newer Doris would write it of a table that the job has not met.
#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_change_of_a_table_without_a_link_keeps_nobody_else() {
    let (pair, mut syncer) = in_sync().await;
    syncer.allow("CCR0203");
    pair.journal_unknown_change(987_654_321);
    insert_into_the_others(&pair, 1).await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_same_database(&pair).await;
    assert!(syncer.progress(JOB).await["blocked"].is_null());
    syncer.finish().await;
}

/// The restore is under way when its table is renamed, and dropped.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_renamed_while_it_is_put_in_place_keeps_nobody_else() {
    let pair = Pair::with(|options| {
        if options.name == "down" {
            options.backup_interval = Duration::from_millis(400);
        }
    })
    .await;
    pair.create_database().await;
    for table in ["t0", "t1", "t2"] {
        pair.create_table(table, 1).await;
        pair.insert(table, 0..3).await;
    }
    let syncer = Syncer::start().await;
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_for(JOB, Target::InSync).await;
    for (round, (table, change)) in
        [("t0", "ALTER TABLE t0 RENAME renamed"), ("t2", "DROP TABLE t2 FORCE")].into_iter().enumerate()
    {
        let restores = pair.calls("restoreSnapshot");
        pair.run(&format!("ALTER TABLE {table} MODIFY COLUMN v STRING")).await;
        settle(&pair).await;
        wait_until("the restore is under way", BOUND, || async {
            let calls = pair.calls("restoreSnapshot");
            if calls > restores { Ok(()) } else { Err(format!("{calls} calls")) }
        })
        .await;
        pair.run(change).await;
        let at = 10 * (round as i32 + 1);
        pair.insert("t1", at..at + 3).await;
        let progress = position_is_at_the_end(&pair, &syncer).await;
        assert_equal(&pair, "t1", "t1").await;
        let shown = pair.down.sql(&format!("SHOW RESTORE FROM {DB}")).await.expect("restores are shown");
        let state = shown.columns.iter().position(|column| column == "State").expect("the column");
        let states: Vec<_> = shown.rows.iter().filter_map(|row| row[state].as_deref()).collect();
        let cancelled = states.iter().filter(|state| **state == "CANCELLED").count();
        assert_eq!(cancelled, round + 1, "{states:?} {progress}");
        syncer.wait_for(JOB, Target::InSync).await;
        assert_same_database(&pair).await;
    }
    assert_eq!(pair.up.counters().get("sql:BACKUP"), 3, "each copy is taken once");
    syncer.finish().await;
}

/// Everything is copied anew when somebody has put the target of one table into a colocate group: Doris restores over
/// no such table.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_sync_goes_on_without_a_table_that_cannot_be_restored() {
    let (pair, mut syncer) = in_sync().await;
    syncer.allow("goes on without the table");
    syncer.allow("CCR0503");
    pair.down.sql_in(DB, "ALTER TABLE t0 SET (\"colocate_with\" = \"g\")").await.unwrap();
    pair.insert("t0", 10..13).await;
    syncer.wait_for(JOB, Target::InSync).await;
    syncer.call("force_fullsync", &json!({ "name": JOB })).await;
    let progress = wait_until("t0 waits for somebody", BOUND, || async {
        let progress = syncer.progress(JOB).await;
        if progress["blocked"]["code"] == "CCR0503" { Ok(progress) } else { Err(progress.to_string()) }
    })
    .await;
    assert!(progress["history"].to_string().contains("goes on without t0"), "{progress}");
    let progress = the_others_go_on(&pair, &syncer, "blocked").await;
    let message = progress["blocked"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("local table t0 with colocate group"), "{progress}");
    assert_eq!(pair.downstream_rows("t0").await, 6, "the old table stays readable");
    assert!(syncer.lag(JOB).await > 0);
    pair.down.sql_in(DB, "ALTER TABLE t0 SET (\"colocate_with\" = \"\")").await.unwrap();
    syncer.resume(JOB).await;
    syncer.wait_for(JOB, Target::InSync).await;
    // The first, the one of everything, and two of t0: before it was blocked, and after.
    ends_equal(&pair, syncer, JOB, 4).await;
}

/// Likewise when one table has temporary partitions upstream, which Doris does not back up, for as long as nobody acts.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_sync_goes_on_without_a_table_that_cannot_be_backed_up() {
    let (pair, mut syncer) = in_sync_with(&["--quarantine_after=1s"]).await;
    syncer.allow("goes on without the table");
    syncer.allow("CCR0113");
    pair.run("DROP TABLE t0 FORCE").await;
    pair.run(
        "CREATE TABLE t0 (k INT NOT NULL, v VARCHAR(64)) DUPLICATE KEY(k) PARTITION BY RANGE(k) \
         (PARTITION p1 VALUES LESS THAN (\"1000\")) DISTRIBUTED BY HASH(k) BUCKETS 1 \
         PROPERTIES (\"binlog.enable\" = \"true\")",
    )
    .await;
    pair.insert("t0", 0..3).await;
    pair.run("ALTER TABLE t0 ADD TEMPORARY PARTITION tp1 VALUES LESS THAN (\"1000\")").await;
    syncer.wait_for(JOB, Target::InSync).await;
    syncer.call("force_fullsync", &json!({ "name": JOB })).await;
    wait_until("t0 is left out", BOUND, || async {
        let progress = syncer.progress(JOB).await;
        let is_apart = progress["apart"][0]["work"] == "partial_sync";
        if is_apart { Ok(()) } else { Err(progress.to_string()) }
    })
    .await;
    let progress = the_others_go_on(&pair, &syncer, "partial_sync").await;
    let detail = progress["apart"][0]["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("table t0 with temp partitions"), "{progress}");
    assert_eq!(pair.downstream_rows("t0").await, 3, "the old table stays readable");
    pair.run("ALTER TABLE t0 DROP TEMPORARY PARTITION tp1").await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_same_database(&pair).await;
    let shown = pair.up.sql_in(DB, "SHOW BACKUP").await.expect("backups are shown");
    assert_eq!(shown.rows.len(), 3, "the first, the one of the others, and one of t0");
    syncer.finish().await;
}
