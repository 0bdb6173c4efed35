//! A target whose frontend lets no restore replace a table of another schema.

use minidoris::{Fault, FaultKind, Release};
use serde_json::json;

use crate::harness::{BOUND, DB, Pair, Syncer, Target, wait_until};
use crate::matrix::{assert_same_database, settle};

const JOB: &str = "old";

/// A job in sync over two tables, one of them loaded, into a database of the oldest release.
async fn in_sync() -> (Pair, Syncer) {
    let pair = Pair::with(|options| {
        if options.name == "down" {
            options.release = Release::V2_1;
        }
    })
    .await;
    pair.create_database().await;
    for table in ["t", "other"] {
        pair.create_table(table, 2).await;
        pair.insert(table, 0..3).await;
    }
    let mut syncer = Syncer::start().await;
    syncer.allow("was cancelled");
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_for(JOB, Target::InSync).await;
    (pair, syncer)
}

/// How the restores of the target ended, oldest first, and the tables that they restored.
async fn restores(pair: &Pair) -> Vec<(String, String)> {
    let shown = pair.down.sql(&format!("SHOW RESTORE FROM {DB}")).await.expect("restores are shown");
    let column = |name: &str| shown.columns.iter().position(|column| column == name).expect("the column");
    let (state, status) = (column("State"), column("Status"));
    let text = |row: &[Option<String>], at: usize| row[at].clone().unwrap_or_default();
    shown.rows.iter().map(|row| (text(row, state), text(row, status))).collect()
}

/// The last two restores: one that was refused for the schema, and one that was not.
async fn assert_beside(pair: &Pair) {
    let restores = restores(pair).await;
    let [.., refused, done] = restores.as_slice() else { panic!("two restores: {restores:?}") };
    assert_eq!(refused.0, "CANCELLED", "{restores:?}");
    assert!(refused.1.contains("already exist but with different schema"), "{restores:?}");
    assert_eq!(done.0, "FINISHED", "{restores:?}");
    let tables = pair.downstream_tables().await;
    assert!(tables.iter().all(|name| !name.starts_with("__ccr_")), "nothing is left: {tables:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_copied_beside_the_old_one_and_takes_its_place() {
    let (pair, syncer) = in_sync().await;
    // The answer to the statement that puts it in place is lost.
    pair.down.faults().add(
        Fault::new(FaultKind::CutAfter).call("sql:ALTER TABLE").containing("REPLACE WITH TABLE").times(1),
    );
    pair.run("ALTER TABLE t MODIFY COLUMN v STRING").await;
    settle(&pair).await;
    pair.insert("t", 3..6).await;
    pair.insert("other", 3..6).await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_same_database(&pair).await;
    assert_beside(&pair).await;
    assert_eq!(pair.down.counters().get("sql:DROP TABLE"), 0, "the old table is in the recycle bin");
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_syncer_puts_the_copy_in_place() {
    let (pair, mut syncer) = in_sync().await;
    pair.down
        .faults()
        .add(Fault::new(FaultKind::CutBefore).call("sql:ALTER TABLE").containing("REPLACE WITH TABLE"));
    pair.run("ALTER TABLE t MODIFY COLUMN v STRING").await;
    settle(&pair).await;
    pair.insert("t", 3..6).await;
    wait_until("the copy beside the table", BOUND, || async {
        let tables = pair.downstream_tables().await;
        let is_there = tables.iter().any(|name| name.starts_with("__ccr_"));
        if is_there { Ok(()) } else { Err(format!("{tables:?}")) }
    })
    .await;
    assert_eq!(pair.downstream_rows("t").await, 3, "the old table stays readable");
    syncer.kill();
    pair.down.faults().clear();
    syncer.restart().await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_same_database(&pair).await;
    assert_beside(&pair).await;
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_sync_puts_every_table_in_place() {
    let (pair, syncer) = in_sync().await;
    pair.down
        .sql_in(DB, "ALTER TABLE t ADD COLUMN mine INT DEFAULT \"1\"")
        .await
        .expect("the column is added");
    let label = |progress: serde_json::Value| progress["full_sync_info"]["finished_at_ms"].clone();
    let before = label(syncer.progress(JOB).await);
    syncer.call("force_fullsync", &json!({ "name": JOB })).await;
    wait_until("another full sync", BOUND, || async {
        let progress = syncer.progress(JOB).await;
        let finished = progress["full_sync_info"]["finished_at_ms"].clone();
        if finished.is_null() || finished == before { Err(progress.to_string()) } else { Ok(()) }
    })
    .await;
    pair.insert("t", 3..6).await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_same_database(&pair).await;
    assert_beside(&pair).await;
    syncer.finish().await;
}
