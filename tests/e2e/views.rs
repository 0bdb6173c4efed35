//! Views that the target cannot take yet.

use serde_json::{Value, json};

use crate::harness::{BOUND, DB, Pair, Syncer, Target, wait_until};
use crate::matrix::{assert_same_database, settle};
use minidoris::{Fault, FaultKind};

const JOB: &str = "views";

/// What `job_progress` shows as apart: the kind of work by name.
fn apart(progress: &Value) -> Vec<(String, String)> {
    let text = |entry: &Value, field: &str| entry[field].as_str().unwrap_or_default().to_owned();
    let list = progress["apart"].as_array().cloned().unwrap_or_default();
    list.iter().map(|entry| (text(entry, "table"), text(entry, "work"))).collect()
}

async fn until_apart(syncer: &Syncer, wanted: &[(&str, &str)]) {
    wait_until("what is apart is shown", BOUND, || async {
        let progress = syncer.progress(JOB).await;
        let apart = apart(&progress);
        let all =
            wanted.iter().all(|(table, work)| apart.iter().any(|(name, what)| name == table && what == work));
        if all { Ok(()) } else { Err(progress.to_string()) }
    })
    .await;
}

/// A table is being copied; views that name a column which comes to it meanwhile wait, and nothing else does.
#[tokio::test(flavor = "multi_thread")]
async fn views_wait_for_a_table_that_is_apart() {
    let pair = Pair::start().await;
    pair.create_database().await;
    for table in ["t", "other"] {
        pair.create_table(table, 1).await;
        pair.insert(table, 0..3).await;
    }
    pair.run("CREATE VIEW old AS SELECT k FROM t").await;
    let mut syncer = Syncer::start().await;
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_for(JOB, Target::InSync).await;

    pair.down.faults().add(Fault::new(FaultKind::CutBefore).call("restoreSnapshot"));
    syncer.allow("keeps failing, retrying");
    pair.run("ALTER TABLE t MODIFY COLUMN v STRING").await;
    settle(&pair).await;
    until_apart(&syncer, &[("t", "partial_sync")]).await;
    let restores = pair.calls("restoreSnapshot");
    wait_until("the snapshot is taken", BOUND, || async {
        if pair.calls("restoreSnapshot") > restores { Ok(()) } else { Err(String::new()) }
    })
    .await;
    pair.run("ALTER TABLE t ADD COLUMN late INT DEFAULT '7'").await;
    pair.run("CREATE VIEW new AS SELECT k, late FROM t").await;
    pair.run("ALTER VIEW old AS SELECT k, late FROM t").await;
    pair.run("CREATE VIEW gone AS SELECT late FROM t").await;
    pair.run("DROP VIEW gone").await;
    pair.insert("other", 3..6).await;
    until_apart(&syncer, &[("new", "view"), ("old", "view")]).await;
    wait_until("the other table goes on", BOUND, || async {
        let rows = pair.downstream_rows("other").await;
        if rows == 6 { Ok(()) } else { Err(rows.to_string()) }
    })
    .await;
    assert!(syncer.lag(JOB).await > 0);
    assert_eq!(syncer.progress(JOB).await["blocked"], Value::Null);
    // What is there stays readable.
    let rows = pair.down.sql_in(DB, "SELECT * FROM old").await.unwrap();
    assert_eq!((rows.columns.len(), rows.rows.len()), (1, 3));

    pair.down.faults().clear();
    syncer.wait_for(JOB, Target::InSync).await;
    assert_eq!(apart(&syncer.progress(JOB).await), []);
    assert_same_database(&pair).await;
    for view in ["new", "old"] {
        let rows = pair.down.sql_in(DB, &format!("SELECT * FROM {view}")).await.unwrap();
        assert_eq!((rows.columns.len(), rows.rows.len()), (2, 3));
    }
    syncer.finish().await;
}

/// While nobody replays it, a view becomes a table and a table a view; then everything is copied again.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_sync_meets_tables_that_were_views_and_views_that_were_tables() {
    let pair = Pair::start().await;
    pair.create_database().await;
    for table in ["kept", "a"] {
        pair.create_table(table, 1).await;
        pair.insert(table, 0..3).await;
    }
    pair.run("CREATE VIEW b AS SELECT k FROM kept").await;
    let syncer = Syncer::start().await;
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_for(JOB, Target::InSync).await;
    syncer.pause(JOB).await;
    pair.run("DROP TABLE a").await;
    pair.run("CREATE VIEW a AS SELECT k, v FROM kept").await;
    pair.run("DROP VIEW b").await;
    pair.create_table("b", 1).await;
    pair.insert("b", 0..5).await;
    pair.insert("kept", 3..6).await;
    syncer.call("force_fullsync", &json!({ "name": JOB })).await;
    syncer.resume(JOB).await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_same_database(&pair).await;
    let rows = pair.down.sql_in(DB, "SELECT * FROM a").await.unwrap();
    assert_eq!((rows.columns.len(), rows.rows.len()), (2, 6));
    assert_eq!(pair.downstream_rows("b").await, 5);
    syncer.finish().await;
}

/// A frontend that does not know how to change the comment of a view has it made anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_view_whose_comment_cannot_be_changed_is_made_anew() {
    let pair = Pair::start().await;
    pair.create_database().await;
    pair.create_table("t", 1).await;
    pair.insert("t", 0..3).await;
    pair.run("CREATE VIEW v COMMENT 'old' AS SELECT k FROM t").await;
    let syncer = Syncer::start().await;
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_for(JOB, Target::InSync).await;

    let refusal = || FaultKind::Status { code: 1105, text: "mismatched input 'COMMENT'".to_owned() };
    let alter = |text: &str| Fault::new(refusal()).call("sql:ALTER VIEW").containing(text);
    pair.down.faults().add(alter("AS SELECT").times(1));
    pair.down.faults().add(alter("MODIFY COMMENT"));
    pair.run("ALTER VIEW v (k, `the text`) COMMENT 'new' AS SELECT k, v FROM t").await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_same_database(&pair).await;
    assert_eq!(pair.calls("sql:DROP VIEW"), 1);
    syncer.finish().await;
}
