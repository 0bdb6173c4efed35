//! Partitions that have other names downstream are found by their ranges.

use crate::harness::{DB, Pair, Syncer, Target};
use crate::matrix::ends_equal;

const JOB: &str = "partitions";

#[tokio::test(flavor = "multi_thread")]
async fn partitions_with_other_names_downstream_need_no_copy() {
    let pair = Pair::start().await;
    pair.create_database().await;
    pair.run(
        "CREATE TABLE t (k INT, v VARCHAR(20)) DUPLICATE KEY(k) \
         PARTITION BY RANGE(k) (PARTITION p1 VALUES LESS THAN (\"10\"), PARTITION p2 VALUES LESS THAN (\"20\"), \
         PARTITION p3 VALUES LESS THAN (\"30\")) DISTRIBUTED BY HASH(k) BUCKETS 1",
    )
    .await;
    pair.run("INSERT INTO t VALUES (1, 'a'), (11, 'b'), (21, 'c')").await;
    let syncer = Syncer::start().await;
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_for(JOB, Target::InSync).await;
    // The names of two of them are exchanged.
    for rename in ["p1 x", "p2 p1", "x p2"] {
        let sql = format!("ALTER TABLE t RENAME PARTITION {rename}");
        pair.down.sql_in(DB, &sql).await.expect("the partition is renamed");
    }
    pair.run("INSERT INTO t VALUES (2, 'd'), (12, 'e'), (22, 'f')").await;
    syncer.wait_for(JOB, Target::InSync).await;
    pair.run("TRUNCATE TABLE t PARTITIONS (p1)").await;
    pair.run("INSERT INTO t VALUES (3, 'g')").await;
    pair.run("ALTER TABLE t RENAME PARTITION p3 p4").await;
    pair.run("ALTER TABLE t DROP PARTITION p2").await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_eq!(pair.downstream_rows("t").await, 3, "one in the first, two in the last");
    pair.run("ALTER TABLE t RENAME PARTITION p1 first").await;
    ends_equal(&pair, syncer, JOB, 1).await;
}
