//! A gap in the binlog: tables that lost nothing go on, the others are copied; and where nothing can be kept, or
//! proven, everything is, with its reason shown.

use minidoris::Cluster;
use serde_json::{Value, json};

use crate::harness::{BOUND, DB, Pair, Syncer, Target, assert_equal, wait_until};
use crate::matrix::assert_same_database;

const JOB: &str = "gap";
const TWO_DAYS_MS: i64 = 2 * 86_400_000;

/// A job with this option over the table `t`, in sync.
async fn in_sync_with((option, value): (&str, Value)) -> (Pair, Syncer) {
    let pair = Pair::start().await;
    pair.create_database().await;
    pair.create_table("t", 2).await;
    pair.insert("t", 0..10).await;
    let syncer = Syncer::start().await;
    let mut job = pair.database_job(JOB);
    job[option] = value;
    syncer.create(&job).await;
    syncer.wait_for(JOB, Target::InSync).await;
    (pair, syncer)
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_binlogs_lead_to_a_full_sync_with_its_reason() {
    let pair = Pair::start().await;
    pair.create_database().await;
    pair.create_table("t", 2).await;
    pair.insert("t", 0..10).await;
    let mut syncer = Syncer::start().await;
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_for(JOB, Target::InSync).await;
    syncer.stop().await;

    for key in 10..20 {
        pair.insert("t", key..key + 1).await;
    }
    pair.run("DELETE FROM t WHERE k = 4").await;
    pair.up.clock().advance_ms(TWO_DAYS_MS);
    pair.up.gc_binlogs_now();
    pair.insert("t", 20..25).await;
    syncer.restart().await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_equal(&pair, "t", "t").await;
    assert_eq!(pair.up.counters().get("sql:BACKUP"), 2, "a gap cannot be bridged without a snapshot");
    let progress = syncer.progress(JOB).await;
    let reason = progress["full_sync_info"]["info"].as_str().unwrap_or_default().to_owned();
    assert!(reason.contains("expired"), "the reason is shown: {progress}");

    pair.insert("t", 30..33).await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_equal(&pair, "t", "t").await;
    syncer.finish().await;
}

/// Runs statements upstream, and lets what has been written so far expire.
async fn lost(pair: &Pair, statements: &[&str]) {
    for statement in statements {
        pair.run(statement).await;
    }
    pair.up.clock().advance_ms(TWO_DAYS_MS);
    pair.up.gc_binlogs_now();
}

fn table_id(cluster: &Cluster, name: &str) -> i64 {
    let state = cluster.inner().fe.lock();
    let db = state.database_named(DB).expect("the database is there");
    db.table_named(name).expect("the table is there").id()
}

/// Restores of single tables downstream. One runs after the other, while backups are asked for until it is their turn.
fn copies(pair: &Pair) -> u64 {
    pair.down.counters().get("restoreSnapshot") - 1
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_costs_the_tables_that_lost_something() {
    let pair = Pair::start().await;
    pair.create_database().await;
    for table in ["kept", "lost", "gone", "anew", "renamed", "swapped", "other"] {
        pair.create_table(table, 2).await;
        pair.insert(table, 0..10).await;
    }
    for (view, table) in [("v_kept", "kept"), ("v_changed", "kept"), ("v_gone", "kept")] {
        pair.run(&format!("CREATE VIEW {view} AS SELECT k FROM {table}")).await;
    }
    let mut syncer = Syncer::start().await;
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_for(JOB, Target::InSync).await;
    let kept_id = table_id(&pair.down, "kept");
    syncer.stop().await;

    lost(
        &pair,
        &[
            "INSERT INTO lost VALUES (10, 'lost')",
            "DROP TABLE gone FORCE",
            "DROP TABLE anew FORCE",
            "ALTER TABLE renamed RENAME moved",
            "ALTER TABLE swapped REPLACE WITH TABLE other PROPERTIES (\"swap\" = \"true\")",
            "ALTER VIEW v_changed AS SELECT v FROM kept",
            "DROP VIEW v_gone",
            "CREATE VIEW v_new AS SELECT k FROM lost",
        ],
    )
    .await;
    pair.create_table("anew", 1).await;
    pair.create_table("new", 1).await;
    lost(&pair, &["INSERT INTO anew VALUES (1, 'anew')", "INSERT INTO new VALUES (1, 'new')"]).await;
    let tables = ["kept", "lost", "anew", "new", "moved", "swapped", "other"];
    for table in tables {
        pair.insert(table, 20..25).await;
    }
    syncer.restart().await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_same_database(&pair).await;
    assert_eq!(table_id(&pair.down, "kept"), kept_id, "it is the table that it was");
    // Of the two that exchanged their names only the list of one tells of it.
    assert_eq!(copies(&pair), 5, "lost, moved, one of the swapped, anew and new");
    let progress = syncer.progress(JOB).await;
    assert_eq!(
        progress["full_sync_info"]["reason"]["kind"], "created",
        "there was no second one: {progress}"
    );
    let history = progress["history"].as_array().cloned().unwrap_or_default();
    let gap = history.iter().find(|entry| entry["plan"] == "gap");
    let reason = gap.map_or("", |entry| entry["reason"].as_str().unwrap_or_default()).to_owned();
    assert!(reason.contains("expired") && reason.contains("lost"), "{progress}");

    for table in tables {
        pair.insert(table, 30..33).await;
    }
    pair.run("DROP VIEW v_changed").await;
    pair.run("ALTER TABLE moved RENAME again").await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_same_database(&pair).await;
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_syncer_that_dies_while_it_crosses_a_gap_crosses_it_once() {
    let pair = Pair::start().await;
    pair.create_database().await;
    for table in ["kept", "lost", "gone", "renamed"] {
        pair.create_table(table, 1).await;
        pair.insert(table, 0..5).await;
    }
    let mut syncer = Syncer::start().await;
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_for(JOB, Target::InSync).await;
    syncer.stop().await;
    let statements =
        ["INSERT INTO lost VALUES (10, 'x')", "DROP TABLE gone FORCE", "ALTER TABLE renamed RENAME moved"];
    lost(&pair, &statements).await;
    pair.insert("kept", 20..25).await;
    // When it knows what to do, before and after it drops a table, after it renames one, and when all is done.
    for failpoint in [
        "save_state:after",
        "execute:before",
        "execute:after",
        "execute:after",
        "save_state:before",
        "save_state:after",
    ] {
        syncer.set_flags(&["--enable_failpoints", "--failpoints", &format!("{failpoint}=crash")]);
        syncer.launch();
        syncer.crashed().await;
    }
    syncer.set_flags(&[]);
    syncer.restart().await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_same_database(&pair).await;
    assert_eq!(copies(&pair), 2, "the one that lost rows, and the one whose new name is lost");
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_sync_that_must_ask_waits_over_restarts_until_it_is_approved() {
    let (pair, mut syncer) = in_sync_with(("full_sync", json!("ask"))).await;
    syncer.stop().await;

    pair.insert("t", 10..20).await;
    pair.up.clock().advance_ms(TWO_DAYS_MS);
    pair.up.gc_binlogs_now();
    pair.insert("t", 20..25).await;
    syncer.allow("CCR0510");
    for _ in 0..2 {
        syncer.restart().await;
        let held = wait_until("the full sync is held", BOUND, || async {
            let status = syncer.status(JOB).await;
            let held = status["step"] == "a full sync waits for approval";
            if held { Ok(status["blocked"].clone()) } else { Err(status.to_string()) }
        })
        .await;
        assert_eq!(held["code"], "CCR0510");
        assert!(held["message"].as_str().unwrap_or_default().contains("expired"), "{held}");
        assert!(held["hint"].as_str().unwrap_or_default().contains("/force_fullsync"), "{held}");
        assert_eq!(pair.downstream_rows("t").await, 10, "the target stays as it is");
        syncer.kill();
    }
    syncer.restart().await;
    assert_eq!(pair.up.counters().get("sql:BACKUP"), 1, "nothing is copied unasked");
    syncer.call("force_fullsync", &json!({ "name": JOB })).await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_equal(&pair, "t", "t").await;
    assert_eq!(pair.up.counters().get("sql:BACKUP"), 2);
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn full_syncs_beyond_those_of_a_day_wait_for_an_operator() {
    let (pair, mut syncer) = in_sync_with(("full_syncs_per_day", json!(1))).await;
    let backups = || pair.up.counters().get("sql:BACKUP");
    assert_eq!(backups(), 1);

    syncer.stop().await;
    lost(&pair, &["INSERT INTO t VALUES (10, 'lost')"]).await;
    pair.insert("t", 20..25).await;
    syncer.restart().await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_equal(&pair, "t", "t").await;
    assert_eq!(backups(), 2, "the first of the day is nobody's business");

    syncer.stop().await;
    lost(&pair, &["INSERT INTO t VALUES (11, 'lost')"]).await;
    pair.insert("t", 30..35).await;
    syncer.allow("CCR0510");
    syncer.restart().await;
    let held = wait_until("the full sync is held", BOUND, || async {
        let blocked = syncer.status(JOB).await["blocked"].clone();
        if blocked["code"] == "CCR0510" { Ok(blocked) } else { Err(blocked.to_string()) }
    })
    .await;
    let message = held["message"].as_str().unwrap_or_default();
    assert!(message.contains("full_syncs_per_day") && message.contains("expired"), "{held}");
    assert_eq!((backups(), pair.downstream_rows("t").await), (2, 16), "the target stays as it is");

    syncer.call("update_job", &json!({ "name": JOB, "full_syncs_per_day": 2 })).await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_equal(&pair, "t", "t").await;
    assert_eq!(backups(), 3);
    syncer.finish().await;
}
