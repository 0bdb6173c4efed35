//! A change of any type is passed over when an operator asks for it: nothing of it is seen downstream, the history
//! says so, and everything else arrives.

use doris_types::record::BinlogType;
use serde_json::json;

use super::coverage::NOT_IN_TABLE_LISTS;
use super::run::{last_seq, settle};
use super::{PLAIN, PLAIN_ROWS, PLAIN_TABLE, RANGED, RANGED_ROWS, RANGED_TABLE, SETTLE, WITH_OTHER};
use crate::harness::compare::{Place, assert_same_rows, contents};
use crate::harness::{DB, Pair, Syncer, Target, assert_equal};

const JOB: &str = "skipping";

/// A change that writes binlogs of one type only.
struct Passed {
    kind: BinlogType,
    setup: &'static [&'static str],
    /// Is replicated before the change.
    earlier: &'static [&'static str],
    change: &'static [&'static str],
}

impl Passed {
    const fn after(self, earlier: &'static [&'static str]) -> Self {
        Self { earlier, ..self }
    }
}

const fn passed(kind: BinlogType, setup: &'static [&'static str], change: &'static [&'static str]) -> Passed {
    Passed { kind, setup, earlier: &[], change }
}

const WITH_ROLLUP: &[&str] = &[PLAIN_TABLE, PLAIN_ROWS, "ALTER TABLE {t} ADD ROLLUP r (k, n)", SETTLE];

const CHANGES: &[Passed] = &[
    passed(BinlogType::UPSERT, PLAIN, &["INSERT INTO {t} VALUES (4, 'passed over', 40)"]),
    passed(
        BinlogType::ADD_PARTITION,
        RANGED,
        &["ALTER TABLE {t} ADD PARTITION p3 VALUES LESS THAN (\"300\")"],
    ),
    passed(BinlogType::CREATE_TABLE, &[], &[PLAIN_TABLE]),
    passed(BinlogType::DROP_PARTITION, RANGED, &["ALTER TABLE {t} DROP PARTITION p2"]),
    passed(BinlogType::DROP_TABLE, PLAIN, &["DROP TABLE {t}"]),
    passed(BinlogType::ALTER_JOB, PLAIN, &["ALTER TABLE {t} MODIFY COLUMN n BIGINT", SETTLE]),
    passed(
        BinlogType::MODIFY_TABLE_ADD_OR_DROP_COLUMNS,
        PLAIN,
        &["ALTER TABLE {t} ADD COLUMN c INT DEFAULT \"7\""],
    ),
    passed(
        BinlogType::ALTER_DATABASE_PROPERTY,
        &[],
        &["ALTER DATABASE d1 SET PROPERTIES (\"binlog.ttl_seconds\" = \"80000\")"],
    ),
    passed(
        BinlogType::MODIFY_TABLE_PROPERTY,
        PLAIN,
        &["ALTER TABLE {t} SET (\"compaction_policy\" = \"time_series\")"],
    ),
    passed(
        BinlogType::BARRIER,
        PLAIN,
        &["BACKUP SNAPSHOT d1.of_somebody TO `__keep_on_local__` ON ({t})", BACKED_UP],
    ),
    passed(
        BinlogType::MODIFY_PARTITIONS,
        RANGED,
        &["ALTER TABLE {t} MODIFY PARTITION p2 SET (\"storage_medium\" = \"ssd\")"],
    ),
    passed(
        BinlogType::REPLACE_PARTITIONS,
        RANGED,
        &["ALTER TABLE {t} REPLACE PARTITION (p2) WITH TEMPORARY PARTITION (tp)"],
    )
    .after(&[
        "ALTER TABLE {t} ADD TEMPORARY PARTITION tp VALUES [(\"100\"), (\"200\"))",
        "INSERT INTO {t} TEMPORARY PARTITION (tp) VALUES (107, 'replacing', 7)",
    ]),
    passed(BinlogType::TRUNCATE_TABLE, PLAIN, &["TRUNCATE TABLE {t}"]),
    passed(BinlogType::RENAME_TABLE, PLAIN, &["ALTER TABLE {t} RENAME {t}_new"]),
    passed(BinlogType::RENAME_COLUMN, PLAIN, &["ALTER TABLE {t} RENAME COLUMN v w"]),
    passed(BinlogType::MODIFY_COMMENT, PLAIN, &["ALTER TABLE {t} MODIFY COMMENT 'text'"]),
    passed(
        BinlogType::MODIFY_VIEW_DEF,
        &[PLAIN_TABLE, PLAIN_ROWS, "CREATE VIEW {t}_v AS SELECT k FROM {t}"],
        &["ALTER VIEW {t}_v AS SELECT k, n FROM {t}"],
    ),
    passed(
        BinlogType::REPLACE_TABLE,
        WITH_OTHER,
        &["ALTER TABLE {t} REPLACE WITH TABLE {t}_x PROPERTIES (\"swap\" = \"true\")"],
    ),
    passed(
        BinlogType::MODIFY_TABLE_ADD_OR_DROP_INVERTED_INDICES,
        PLAIN,
        &["ALTER TABLE {t} ADD INDEX i (v) USING INVERTED"],
    ),
    passed(
        BinlogType::INDEX_CHANGE_JOB,
        &[PLAIN_TABLE, PLAIN_ROWS, "ALTER TABLE {t} ADD INDEX i (v) USING INVERTED"],
        &["BUILD INDEX i ON {t}", BUILT],
    ),
    passed(BinlogType::RENAME_ROLLUP, WITH_ROLLUP, &["ALTER TABLE {t} RENAME ROLLUP r r2"]),
    passed(BinlogType::RENAME_PARTITION, RANGED, &["ALTER TABLE {t} RENAME PARTITION p1 first"]),
    passed(BinlogType::DROP_ROLLUP, WITH_ROLLUP, &["ALTER TABLE {t} DROP ROLLUP r"]),
    passed(
        BinlogType::RECOVER_INFO,
        &[RANGED_TABLE, RANGED_ROWS, "ALTER TABLE {t} DROP PARTITION p2"],
        &["RECOVER PARTITION p2 FROM {t}"],
    ),
    passed(
        BinlogType::MODIFY_DISTRIBUTION_BUCKET_NUM,
        RANGED,
        &["ALTER TABLE {t} MODIFY DISTRIBUTION DISTRIBUTED BY HASH(k) BUCKETS 5"],
    ),
    passed(
        BinlogType::MODIFY_DISTRIBUTION_TYPE,
        PLAIN,
        &["ALTER TABLE {t} SET (\"distribution_type\" = \"random\")"],
    ),
];

/// Stands between statements: wait until the upstream has told of the backup.
const BACKED_UP: &str = "BACKED UP";
/// Until it has told that the build of the index has ended.
const BUILT: &str = "BUILT";

fn table_of(case: &Passed) -> String {
    case.kind.name().to_lowercase()
}

async fn run_statements(pair: &Pair, case: &Passed, statements: &[&str]) {
    let waits = statements.iter().any(|statement| [BACKED_UP, BUILT].contains(statement));
    let before = if waits { last_seq(pair) } else { 0 };
    for statement in statements {
        match *statement {
            SETTLE => settle(pair).await,
            BACKED_UP | BUILT => {
                let told = async || if last_seq(pair) > before { Ok(()) } else { Err("nothing".to_owned()) };
                crate::harness::wait_until("the upstream tells of it", crate::harness::BOUND, told).await;
            }
            sql => pair.run(&sql.replace("{t}", &table_of(case))).await,
        }
    }
}

/// The commit seqs after one, with their types.
fn told_after(pair: &Pair, seq: i64) -> Vec<(i64, BinlogType)> {
    pair.database_binlogs(|db| {
        let entries = db.list().iter().filter(|entry| entry.commit_seq > seq);
        entries.map(|entry| (entry.commit_seq, entry.binlog_type)).collect()
    })
}

/// Every table and view downstream but `other`, with its rows.
async fn seen(place: Place<'_>) -> Vec<(String, String)> {
    let shown = place.cluster.sql_in(place.db, "SHOW FULL TABLES").await.expect("tables are listed");
    let mut seen = Vec::new();
    for row in shown.rows {
        let cells: Vec<String> = row.into_iter().map(Option::unwrap_or_default).collect();
        let name = cells[0].clone();
        if name == "other" {
            continue;
        }
        let text = if cells[1] == "VIEW" {
            let shown = place.cluster.sql_in(place.db, &format!("SHOW CREATE VIEW `{name}`")).await;
            format!("{:?}", shown.expect("the view is there").rows)
        } else {
            format!("{:?}", contents(place, &name).await.expect("the table is there"))
        };
        seen.push((name, text));
    }
    seen
}

fn skip(seq: i64) -> serde_json::Value {
    json!({ "name": JOB, "skip_by": "silence", "skip_commit_seq": seq })
}

/// Makes a change while the job is away, and lets it pass over every binlog of it.
async fn pass_over(pair: &Pair, syncer: &Syncer, case: &Passed) {
    if !case.earlier.is_empty() {
        run_statements(pair, case, case.earlier).await;
        syncer.wait_for(JOB, Target::InSync).await;
    }
    syncer.pause(JOB).await;
    let before = last_seq(pair);
    run_statements(pair, case, case.change).await;
    let told = told_after(pair, before);
    assert!(!told.is_empty(), "{} is told", case.kind.name());
    for (seq, kind) in &told {
        assert_eq!(kind.name(), case.kind.name(), "the change is of one type: {told:?}");
        syncer.call("job_skip_binlog", &skip(*seq)).await;
    }
    syncer.resume(JOB).await;
    syncer.wait_for(JOB, Target::InSync).await;
    let progress = syncer.progress(JOB).await;
    let history = progress["history"].as_array().expect("a list");
    let reason = format!("{}: an operator asked to pass over it", case.kind.name());
    for (seq, _) in told {
        let is_it = |entry: &&serde_json::Value| {
            entry["plan"] == "skip" && entry["first_commit_seq"] == json!(seq) && entry["reason"] == *reason
        };
        assert!(history.iter().any(|entry| is_it(&entry)), "no {reason:?} at {seq}: {progress}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_any_type_is_passed_over_on_request() {
    let of_changes: Vec<i32> = CHANGES.iter().map(|case| case.kind.0).collect();
    // What stands for what has expired is no change.
    let known = BinlogType::known().filter(|kind| *kind != BinlogType::DUMMY);
    assert_eq!(of_changes, known.map(|kind| kind.0).collect::<Vec<_>>());

    let pair = Pair::start().await;
    pair.create_database().await;
    pair.create_table("other", 1).await;
    for case in CHANGES {
        run_statements(&pair, case, case.setup).await;
    }
    let mut syncer = Syncer::start().await;
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_for(JOB, Target::InSync).await;
    let at_first = seen(pair.target()).await;
    for (key, case) in (0..).zip(CHANGES) {
        pass_over(&pair, &syncer, case).await;
        pair.insert("other", key..key + 1).await;
        syncer.wait_for(JOB, Target::InSync).await;
        assert_equal(&pair, "other", "other").await;
        assert_eq!(seen(pair.target()).await, at_first, "after {}", case.kind.name());
    }
    // Nor does anybody who begins anew look for it.
    syncer.kill();
    syncer.restart().await;
    pair.insert("other", 100..101).await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_equal(&pair, "other", "other").await;
    assert_eq!(seen(pair.target()).await, at_first, "after a restart");
    assert_eq!(pair.down.counters().get("restoreSnapshot"), 1, "nothing is copied again");
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_any_type_is_passed_over_in_a_table_job() {
    for case in CHANGES.iter().filter(|case| !NOT_IN_TABLE_LISTS.contains(&case.kind)) {
        let pair = Pair::start().await;
        pair.create_database().await;
        run_statements(&pair, case, case.setup).await;
        let syncer = Syncer::start().await;
        syncer.create(&pair.table_job(JOB, &table_of(case), "copy")).await;
        syncer.wait_for(JOB, Target::InSync).await;
        let at_first = seen(pair.target()).await;
        pass_over(&pair, &syncer, case).await;
        let mut restores = 1;
        if case.kind == BinlogType::REPLACE_TABLE {
            // That the table of its name is another one is seen without the binlog, and it has no lag only with that.
            restores += 1;
            assert_equal(&pair, &table_of(case), "copy").await;
        } else {
            assert_eq!(seen(pair.target()).await, at_first, "after {}", case.kind.name());
        }
        assert_eq!(pair.down.counters().get("restoreSnapshot"), restores, "after {}", case.kind.name());
        syncer.finish().await;
    }
}

/// The rows of a load that is passed over are missing, and nothing else: neither what its transaction wrote before and
/// after it, nor what other transactions write to the same tables later.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_passed_over_are_all_that_is_missing() {
    let pair = Pair::start().await;
    pair.create_database().await;
    for table in ["t", "u", "other"] {
        pair.create_table(table, 2).await;
        pair.insert(table, 0..5).await;
    }
    let mut syncer = Syncer::start().await;
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_for(JOB, Target::InSync).await;
    syncer.pause(JOB).await;
    pair.insert("t", 10..12).await;
    let mut skipped = Vec::new();
    for load in [
        "INSERT INTO t VALUES (100, 'passed over')",
        "BEGIN; INSERT INTO t VALUES (101, 'passed over'); INSERT INTO u VALUES (101, 'passed over'); COMMIT",
    ] {
        let before = last_seq(&pair);
        pair.run(load).await;
        skipped.extend(told_after(&pair, before).into_iter().map(|(seq, _)| seq));
        pair.insert("t", 12..14).await;
        pair.insert("u", 12..14).await;
        pair.insert("other", 12..14).await;
    }
    for seq in &skipped {
        syncer.call("job_skip_binlog", &skip(*seq)).await;
    }
    // Also one that meets the doubts of who begins anew.
    syncer.kill();
    syncer.restart().await;
    syncer.resume(JOB).await;
    syncer.wait_for(JOB, Target::InSync).await;
    pair.insert("t", 20..22).await;
    pair.run("BEGIN; INSERT INTO t VALUES (30, 'a'); INSERT INTO u VALUES (30, 'b'); COMMIT").await;
    syncer.wait_for(JOB, Target::InSync).await;
    for table in ["t", "u"] {
        let sql = |condition: &str| format!("SELECT k, v FROM {table}{condition} ORDER BY k, v");
        let up = pair.up.sql_in(DB, &sql(" WHERE k < 100")).await.expect("rows are read");
        let down = pair.down.sql_in(DB, &sql("")).await.expect("rows are read");
        assert_eq!(down.rows, up.rows, "{table} without what was passed over");
        let missing = pair.up.sql_in(DB, &sql(" WHERE k >= 100")).await.expect("rows are read");
        assert!(!missing.rows.is_empty(), "something was passed over in {table}");
    }
    assert_same_rows(pair.source(), "other", pair.target(), "other").await;
    assert_eq!(pair.down.counters().get("restoreSnapshot"), 1, "nothing is copied again");
    syncer.finish().await;
}
