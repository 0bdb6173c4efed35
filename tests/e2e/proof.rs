//! A lag of zero is said only when the target equals the source, also after what no binlog tells of.

use serde_json::json;

use crate::harness::{BOUND, DB, Pair, Syncer, Target, assert_equal, wait_until};

const JOB: &str = "proven";

/// Asks for the lag until it is zero for the first time; then the tables are equal.
async fn first_zero_is_true(pair: &Pair, syncer: &Syncer, table: &str, target: &str) {
    wait_until("a lag of zero", BOUND, || async {
        match syncer.lag(JOB).await {
            0 => Ok(()),
            lag => Err(format!("lag {lag}: {}", syncer.progress(JOB).await)),
        }
    })
    .await;
    assert_equal(pair, table, target).await;
}

async fn filled(tables: &[&str]) -> Pair {
    let pair = Pair::start().await;
    pair.create_database().await;
    for table in tables {
        pair.create_table(table, 1).await;
        pair.insert(table, 0..5).await;
    }
    pair
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_created_again_has_a_lag_until_it_is_copied() {
    let pair = filled(&["t"]).await;
    let syncer = Syncer::start().await;
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_for(JOB, Target::InSync).await;

    pair.run(&format!("DROP DATABASE {DB} FORCE")).await;
    let refusal = syncer.refused("get_lag", &json!({ "name": JOB })).await;
    assert!(refusal.contains("unknown database"), "{refusal}");
    pair.create_database().await;
    pair.create_table("t", 1).await;
    pair.insert("t", 7..9).await;
    first_zero_is_true(&pair, &syncer, "t", "t").await;
    let progress = syncer.progress(JOB).await;
    assert!(progress.to_string().contains("the upstream database is another one"), "{progress}");
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_of_a_table_job_that_is_another_one_has_a_lag_until_it_is_copied() {
    let changes: [&[&str]; 2] = [
        &["DROP TABLE t FORCE", "CREATE TABLE t LIKE other", "INSERT INTO t SELECT * FROM other"],
        &["ALTER TABLE other REPLACE WITH TABLE t PROPERTIES ('swap' = 'true')"],
    ];
    for change in changes {
        let pair = filled(&["t", "other"]).await;
        pair.insert("other", 20..23).await;
        let syncer = Syncer::start().await;
        syncer.create(&pair.table_job(JOB, "t", "copy")).await;
        syncer.wait_for(JOB, Target::InSync).await;
        for sql in change {
            pair.run(sql).await;
        }
        first_zero_is_true(&pair, &syncer, "t", "copy").await;
        syncer.finish().await;
    }
}
