//! While something is copied again it stays readable as it was, until all of it is as it is upstream.
//!
//! A [`Reader`] compares whole answers, rows and schema. Every copy is held back until it has read it many times,
//! and may not have seen anything new by then.

use minidoris::fault::DebugPoint;
use minidoris::fault::debug_points::STOP_PUBLISH;
use minidoris::{Fault, FaultKind, NodeId, Release};

use super::run::{HOLD_RESTORES, Shape, assert_one_full_backup, settle, slow_pair};
use super::same::{assert_same_database, assert_same_table};
use crate::harness::compare::Place;
use crate::harness::reader::{Answer, Reader, Seen, look};
use crate::harness::{BOUND, DB, Pair, Syncer, Target, wait_until};

const JOB: &str = "readable";

/// What copies a table again.
const KEY_COLUMN: &str = "ALTER TABLE changing ADD COLUMN k2 INT KEY DEFAULT \"3\" AFTER k";

async fn now(place: Place<'_>, name: &str) -> (Answer, Answer) {
    look(place, name).await.unwrap_or_else(|error| panic!("{error}"))
}

/// Fails the test unless `seen` is a part of the `expected` answers, in their order, from the first to the last.
fn assert_in_order(what: &str, seen: &[Answer], expected: &[&Answer]) {
    let mut expected = expected.to_vec();
    expected.dedup();
    let mut rest = expected.iter();
    let unexpected = seen.iter().find(|answer| !rest.any(|wanted| wanted == answer));
    assert_eq!(
        unexpected, None,
        "this answer may not be seen, or not any more; {what} expected: {expected:#?}"
    );
    assert_eq!(seen.first(), expected.first().copied(), "the first {what}");
    assert_eq!(seen.last(), expected.last().copied(), "the last {what}");
}

/// `before` and the present answer were seen of rows and schema; of rows, between them, `also`.
async fn assert_only(seen: &Seen, place: Place<'_>, name: &str, before: &(Answer, Answer), also: &[Answer]) {
    let after = now(place, name).await;
    assert_ne!(before.0, after.0, "something has changed");
    let rows: Vec<&Answer> = std::iter::once(&before.0).chain(also).chain([&after.0]).collect();
    assert_in_order("rows", &seen.rows, &rows);
    assert_in_order("schema", &seen.schema, &[&before.1, &after.1]);
}

fn hold_restores(pair: &Pair) {
    pair.down.inner().debug_points.add(NodeId::Fe(0), HOLD_RESTORES, DebugPoint::default());
}

fn release_restores(pair: &Pair) {
    pair.down.inner().debug_points.remove(NodeId::Fe(0), HOLD_RESTORES);
}

/// Whether a restore has begun to change the catalogue and has not ended.
async fn restore_is_under_way(place: Place<'_>) -> Result<(), String> {
    let shown = place.cluster.sql_in(place.db, "SHOW RESTORE").await.map_err(|error| error.to_string())?;
    let state = shown.columns.iter().position(|column| column == "State").expect("it is shown");
    let state = shown.rows.last().and_then(|row| row[state].clone()).unwrap_or_default();
    if matches!(state.as_str(), "" | "PENDING" | "FINISHED" | "CANCELLED") { Err(state) } else { Ok(()) }
}

/// A reader's many reads while a restore is under way, from here to there.
async fn reads_beside_a_restore(reader: &Reader, place: Place<'_>) {
    wait_until("the copy is being put in place", BOUND, || restore_is_under_way(place)).await;
    reader.reads_on().await;
    restore_is_under_way(place).await.expect("the copy is still being put in place");
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

    let before = now(pair.target(), "changing").await;
    let reader = Reader::start(pair.target(), "changing");
    // The copy is held back, so that there is something to see beside it.
    hold_restores(&pair);
    let restores = pair.calls("restoreSnapshot");
    pair.run(statement).await;
    settle(&pair).await;
    wait_until("the copy is being put in place", BOUND, || restore_is_under_way(pair.target())).await;
    let copied = now(pair.source(), "changing").await;
    pair.run(load).await;
    pair.insert("other", 100..110).await;
    wait_until("the other table goes on", BOUND, || async {
        let rows = pair.downstream_rows("other").await;
        if rows == 110 { Ok(()) } else { Err(format!("{rows} rows")) }
    })
    .await;
    reads_beside_a_restore(&reader, pair.target()).await;
    assert_eq!(now(pair.target(), "changing").await, before, "the changed table still waits for its copy");
    release_restores(&pair);
    syncer.wait_for(JOB, Target::InSync).await;
    let seen = reader.finish().await;
    assert_only(&seen, pair.target(), "changing", &before, &[copied.0]).await;
    assert_same_database(&pair).await;
    assert_eq!(pair.calls("restoreSnapshot"), restores + 1);
    assert_eq!(pair.up.counters().get("sql:BACKUP"), 2, "one backup of the database, one of the table");
    assert_one_full_backup(&syncer, 1);
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_copied_again_stays_readable_and_the_others_go_on() {
    stays_readable(KEY_COLUMN, "INSERT INTO changing VALUES (200, 1, 'after')").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_gets_a_rollup_or_an_index_stays_readable() {
    for statement in
        ["ALTER TABLE changing ADD ROLLUP r (v, k)", "ALTER TABLE changing ADD INDEX i (v) USING INVERTED"]
    {
        stays_readable(statement, "INSERT INTO changing VALUES (200, 'after')").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_target_of_a_table_job_stays_readable_under_its_own_name() {
    let pair = slow_pair(|_| {}).await;
    pair.create_table("changing", 2).await;
    pair.insert("changing", 0..20).await;
    let syncer = Syncer::start().await;
    let shape = Shape::OTHER_TABLE_AND_DATABASE;
    syncer.create(&shape.job(&pair, JOB, "changing", "changing_target")).await;
    syncer.wait_for(JOB, Target::InSync).await;

    let place = shape.place(&pair);
    let before = now(place, "changing_target").await;
    let reader = Reader::start(place, "changing_target");
    hold_restores(&pair);
    pair.run(KEY_COLUMN).await;
    settle(&pair).await;
    reads_beside_a_restore(&reader, place).await;
    assert_eq!(now(place, "changing_target").await, before, "it still waits for its copy");
    release_restores(&pair);
    syncer.wait_for(JOB, Target::InSync).await;
    let seen = reader.finish().await;
    assert_only(&seen, place, "changing_target", &before, &[]).await;
    assert_same_table(pair.source(), "changing", place, "changing_target").await;
    syncer.finish().await;
}

/// The frontend lets no restore replace a table of another schema, so the copy is put in place by a statement.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_copied_beside_stays_readable() {
    let pair = slow_pair(|options| {
        if options.name == "down" {
            options.release = Release::V2_1;
        }
    })
    .await;
    pair.create_table("changing", 2).await;
    pair.insert("changing", 0..20).await;
    let mut syncer = Syncer::start().await;
    syncer.allow("was cancelled");
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_for(JOB, Target::InSync).await;

    let before = now(pair.target(), "changing").await;
    let reader = Reader::start(pair.target(), "changing");
    let in_place = Fault::new(FaultKind::CutBefore).call("sql:ALTER TABLE").containing("REPLACE WITH TABLE");
    pair.down.faults().add(in_place);
    pair.run(KEY_COLUMN).await;
    settle(&pair).await;
    wait_until("the copy beside the table", BOUND, || async {
        let tables = pair.downstream_tables().await;
        let is_there = tables.iter().any(|name| name.starts_with("__ccr_"));
        let restored = restore_is_under_way(pair.target()).await.is_err();
        if is_there && restored { Ok(()) } else { Err(format!("{tables:?}")) }
    })
    .await;
    reader.reads_on().await;
    assert_eq!(now(pair.target(), "changing").await, before, "the copy is not in place yet");
    pair.down.faults().clear();
    syncer.wait_for(JOB, Target::InSync).await;
    let seen = reader.finish().await;
    assert_only(&seen, pair.target(), "changing", &before, &[]).await;
    assert_same_database(&pair).await;
    syncer.finish().await;
}

/// A job in sync on a table whose partitions are about to be replaced.
async fn partitioned() -> (Pair, Syncer) {
    let pair = slow_pair(|_| {}).await;
    pair.run(
        "CREATE TABLE changing (k INT NOT NULL, v VARCHAR(64)) DUPLICATE KEY(k) \
         PARTITION BY RANGE(k) (PARTITION p1 VALUES LESS THAN (\"10\"), PARTITION p2 VALUES LESS THAN (\"20\")) \
         DISTRIBUTED BY HASH(k) BUCKETS 2",
    )
    .await;
    pair.run("INSERT INTO changing VALUES (1, 'a'), (2, 'b'), (11, 'c'), (12, 'd')").await;
    let syncer = Syncer::start().await;
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_for(JOB, Target::InSync).await;
    (pair, syncer)
}

/// The rows of the temporary partitions are committed and not visible for long: nobody may read the partitions
/// without them.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_stays_readable_while_its_partitions_are_replaced() {
    for overwrite in [
        "INSERT OVERWRITE TABLE changing VALUES (3, 'x'), (13, 'y')",
        "INSERT OVERWRITE TABLE changing PARTITION (p1) VALUES (3, 'x')",
    ] {
        let (pair, syncer) = partitioned().await;
        let before = now(pair.target(), "changing").await;
        let reader = Reader::start(pair.target(), "changing");
        pair.reset_counters();
        pair.down.inner().debug_points.add(NodeId::Fe(0), STOP_PUBLISH, DebugPoint::default());
        pair.run(overwrite).await;
        wait_until("the rows are committed", BOUND, || async {
            let commits = pair.down.counters().get("commitTxn");
            if commits == 1 { Ok(()) } else { Err(format!("{commits} commits")) }
        })
        .await;
        reader.reads_on().await;
        assert_eq!(now(pair.target(), "changing").await, before, "nothing is replaced yet");
        pair.down.inner().debug_points.clear(NodeId::Fe(0));
        syncer.wait_for(JOB, Target::InSync).await;
        let seen = reader.finish().await;
        assert_only(&seen, pair.target(), "changing", &before, &[]).await;
        assert_same_database(&pair).await;
        assert_eq!(pair.calls("sql:BACKUP"), 0, "no copy was needed");
        syncer.finish().await;
    }
}

/// Somebody has dropped the temporary partition downstream, so the table is copied instead.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_stays_readable_while_it_is_copied_for_a_partition() {
    let (pair, syncer) = partitioned().await;
    pair.run("ALTER TABLE changing ADD TEMPORARY PARTITION tp1 VALUES LESS THAN (\"10\")").await;
    pair.run("INSERT INTO changing TEMPORARY PARTITION (tp1) VALUES (3, 'x')").await;
    syncer.wait_for(JOB, Target::InSync).await;
    pair.down.sql_in(DB, "ALTER TABLE changing DROP TEMPORARY PARTITION tp1").await.expect("it is dropped");

    let before = now(pair.target(), "changing").await;
    let reader = Reader::start(pair.target(), "changing");
    hold_restores(&pair);
    pair.run("ALTER TABLE changing REPLACE PARTITION (p1) WITH TEMPORARY PARTITION (tp1)").await;
    reads_beside_a_restore(&reader, pair.target()).await;
    assert_eq!(now(pair.target(), "changing").await, before, "it still waits for its copy");
    release_restores(&pair);
    syncer.wait_for(JOB, Target::InSync).await;
    let seen = reader.finish().await;
    assert_only(&seen, pair.target(), "changing", &before, &[]).await;
    assert_same_database(&pair).await;
    assert_eq!(pair.up.counters().get("sql:BACKUP"), 2, "one backup of the database, one of the table");
    syncer.finish().await;
}

/// A view whose new statement the target refused, as its table is apart, is brought over as it is then.
#[tokio::test(flavor = "multi_thread")]
async fn a_view_that_is_copied_stays_readable() {
    let pair = slow_pair(|_| {}).await;
    pair.create_table("changing", 2).await;
    pair.insert("changing", 0..20).await;
    pair.run("CREATE VIEW plain AS SELECT k FROM changing").await;
    pair.run("CREATE VIEW described (k COMMENT 'a key') COMMENT 'old' AS SELECT k FROM changing").await;
    let syncer = Syncer::start().await;
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_for(JOB, Target::InSync).await;

    let views = ["plain", "described"];
    let mut before = Vec::new();
    let mut readers = Vec::new();
    for view in views {
        before.push(now(pair.target(), view).await);
        readers.push(Reader::start(pair.target(), view));
    }
    hold_restores(&pair);
    pair.run("ALTER TABLE changing MODIFY COLUMN v STRING").await;
    settle(&pair).await;
    wait_until("the copy is being put in place", BOUND, || restore_is_under_way(pair.target())).await;
    pair.run("ALTER TABLE changing ADD COLUMN late INT DEFAULT '7'").await;
    pair.reset_counters();
    pair.run("ALTER VIEW plain AS SELECT k, late FROM changing").await;
    pair.run(
        "ALTER VIEW described (k COMMENT 'it''s a key', `the late`) COMMENT 'a \"new\" one' \
         AS SELECT k, late FROM changing",
    )
    .await;
    wait_until("the views are apart", BOUND, || async {
        let apart = syncer.progress(JOB).await["apart"].to_string();
        if views.iter().all(|view| apart.contains(&format!("\"{view}\""))) { Ok(()) } else { Err(apart) }
    })
    .await;
    for (reader, (view, before)) in readers.iter().zip(views.iter().zip(&before)) {
        reads_beside_a_restore(reader, pair.target()).await;
        assert_eq!(&now(pair.target(), view).await, before, "{view} waits for its table");
    }
    // Whoever drops a view to create it anew is seen.
    pair.down.faults().add(Fault::new(FaultKind::Delay(200)).call("sql:CREATE VIEW"));
    release_restores(&pair);
    syncer.wait_for(JOB, Target::InSync).await;
    for (reader, (view, before)) in readers.into_iter().zip(views.iter().zip(&before)) {
        let seen = reader.finish().await;
        let after = now(pair.target(), view).await;
        assert_in_order("rows", &seen.rows, &[&before.0, &after.0]);
        // The comment is a statement of its own.
        let between = with_comment_of(&after.1, &before.1);
        assert_in_order("schema", &seen.schema, &[&before.1, &between, &after.1]);
    }
    assert_eq!(pair.calls("sql:DROP VIEW"), 0, "no view is dropped");
    assert_same_database(&pair).await;
    syncer.finish().await;
}

/// A view's schema with the comment of another one.
fn with_comment_of((columns, rows): &Answer, (_, others): &Answer) -> Answer {
    let text = |rows: &[Vec<Option<String>>]| rows[0][1].clone().expect("the statement is a text");
    let parts = |text: &str| {
        let (head, query) = text.split_once(" AS SELECT").expect("it is a view");
        let (columns, comment) = head.split_once(" COMMENT ").unwrap_or((head, ""));
        (columns.to_owned(), comment.to_owned(), query.to_owned())
    };
    let ((head, _, query), (_, comment, _)) = (parts(&text(rows)), parts(&text(others)));
    let comment = if comment.is_empty() { comment } else { format!(" COMMENT {comment}") };
    let mut rows = rows.clone();
    rows[0][1] = Some(format!("{head}{comment} AS SELECT{query}"));
    (columns.clone(), rows)
}
