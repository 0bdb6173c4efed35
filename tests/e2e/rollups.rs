//! Loads that are older than a change of rollups, met by a syncer that has not seen the table before the change.

use crate::harness::{Pair, Syncer, Target};
use crate::matrix::{ends_equal, settle};

const JOB: &str = "rollups";

/// A job in sync over a table with these rollups, whose syncer is down while the table is loaded and then changed.
async fn loaded_and_changed_while_away(rollups: &[&str], changes: &[&str]) -> (Pair, Syncer) {
    let pair = Pair::start().await;
    pair.create_database().await;
    pair.run(
        "CREATE TABLE t (k INT, v VARCHAR(20), n INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 2",
    )
    .await;
    pair.run("INSERT INTO t VALUES (1, 'one', 1)").await;
    for rollup in rollups {
        pair.run(&format!("ALTER TABLE t ADD ROLLUP {rollup}")).await;
        settle(&pair).await;
    }
    let mut syncer = Syncer::start().await;
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_for(JOB, Target::InSync).await;
    syncer.kill();
    pair.run("INSERT INTO t VALUES (2, 'two', 2), (3, 'three', 3)").await;
    for change in changes {
        pair.run(change).await;
    }
    pair.run("INSERT INTO t VALUES (4, 'four', 4)").await;
    syncer.restart().await;
    (pair, syncer)
}

async fn comes_out_without_a_copy(rollups: &[&str], changes: &[&str]) {
    let (pair, syncer) = loaded_and_changed_while_away(rollups, changes).await;
    ends_equal(&pair, syncer, JOB, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_before_a_drop_of_its_rollup_needs_no_copy() {
    comes_out_without_a_copy(&["r (k, n)"], &["ALTER TABLE t DROP ROLLUP r"]).await;
    comes_out_without_a_copy(
        &["r (k, n)", "s (k, v)"],
        &[
            "ALTER TABLE t DROP ROLLUP s",
            "INSERT INTO t VALUES (7, 'seven', 7)",
            "ALTER TABLE t DROP ROLLUP r",
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_before_a_rename_of_its_rollup_needs_no_copy() {
    comes_out_without_a_copy(&["r (k, n)", "s (k, v)"], &["ALTER TABLE t RENAME ROLLUP r r2"]).await;
    comes_out_without_a_copy(
        &["r (k, n)"],
        &["ALTER TABLE t RENAME ROLLUP r r2", "ALTER TABLE t DROP ROLLUP r2"],
    )
    .await;
}

/// Which of the two is which is not told by the names that they have now, but by the records of the renames.
#[tokio::test(flavor = "multi_thread")]
async fn a_load_before_renames_of_several_rollups_needs_no_copy() {
    let rollups = ["r (k, n)", "s (k, v)"];
    let renames = ["ALTER TABLE t RENAME ROLLUP r r2", "ALTER TABLE t RENAME ROLLUP s s2"];
    comes_out_without_a_copy(&rollups, &renames).await;
    let renamed_and_dropped = [
        "ALTER TABLE t RENAME ROLLUP r r2",
        "ALTER TABLE t RENAME ROLLUP s s2",
        "ALTER TABLE t DROP ROLLUP s2",
    ];
    comes_out_without_a_copy(&rollups, &renamed_and_dropped).await;
}

/// The binlog tells of one of them only.
#[tokio::test(flavor = "multi_thread")]
async fn a_load_after_a_drop_of_several_rollups_needs_no_copy() {
    let rollups = ["r (k, n)", "s (k, v)", "u (n, k)"];
    comes_out_without_a_copy(&rollups, &["ALTER TABLE t DROP ROLLUP r, s"]).await;
    let renamed_and_dropped = [
        "ALTER TABLE t RENAME ROLLUP u u2",
        "INSERT INTO t VALUES (8, 'eight', 8)",
        "ALTER TABLE t DROP ROLLUP r, s",
    ];
    comes_out_without_a_copy(&rollups, &renamed_and_dropped).await;
}
