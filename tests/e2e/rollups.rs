//! Loads that are older than a change of rollups, met by a syncer that has not seen the table before the change.

use std::collections::BTreeMap;

use minidoris::data::{TabletSchema, merge};

use crate::harness::{DB, Pair, Syncer, Target};
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
    pair.run("INSERT INTO t VALUES (2, 'two', 20), (3, 'three', 30)").await;
    for change in changes {
        pair.run(change).await;
    }
    pair.run("INSERT INTO t VALUES (4, 'four', 4)").await;
    syncer.restart().await;
    (pair, syncer)
}

async fn comes_out_without_a_copy(rollups: &[&str], changes: &[&str]) {
    let (pair, syncer) = loaded_and_changed_while_away(rollups, changes).await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_eq!(rollup_rows(&pair.up), rollup_rows(&pair.down), "upstream left, downstream right");
    ends_equal(&pair, syncer, JOB, 1).await;
}

/// The rows of each rollup of the table, by its name and bucket, for no query tells which index it reads.
fn rollup_rows(cluster: &minidoris::Cluster) -> BTreeMap<(String, usize), Vec<String>> {
    let inner = cluster.inner();
    let state = inner.fe.lock();
    let found = state.database_named(DB).and_then(|db| db.table_named("t"));
    let table = found.and_then(|found| found.as_olap()).expect("the table is there");
    let partition = table.partitions.values().next().expect("it has one partition");
    let mut all = BTreeMap::new();
    for index in table.indexes.values().filter(|index| index.id != table.base_index_id) {
        let schema = TabletSchema::of(table, index);
        for (bucket, tablet) in partition.indexes[&index.id].tablets.iter().enumerate() {
            let backend = inner.backend(tablet.replicas[0].backend_id).expect("the backend is there");
            let kept = backend.tablet(tablet.id).expect("the backend has the tablet");
            let rowsets = kept.rowsets_at(partition.visible_version).expect("no version is missing");
            let rows = merge::merge(&schema, &rowsets).expect("the rows can be read");
            let mut rows: Vec<String> = rows.iter().map(|row| format!("{row:?}")).collect();
            rows.sort_unstable();
            all.insert((index.name.clone(), bucket), rows);
        }
    }
    all
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

/// Every name of the target is found upstream, and belongs to the other one there.
#[tokio::test(flavor = "multi_thread")]
async fn a_load_before_an_exchange_of_names_of_rollups_needs_no_copy() {
    let rollups = ["r (k, n)", "s (k, v)"];
    let renames = [
        "ALTER TABLE t RENAME ROLLUP r other",
        "ALTER TABLE t RENAME ROLLUP s r",
        "INSERT INTO t VALUES (5, 'five', 50)",
        "ALTER TABLE t RENAME ROLLUP other s",
    ];
    comes_out_without_a_copy(&rollups, &renames).await;
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
