//! Partitions that have other names downstream are found by their ranges; their tables may be gone by then.

use minidoris::{Fault, FaultKind};

use crate::harness::compare::contents;
use crate::harness::{BOUND, DB, Pair, Syncer, Target, assert_equal, wait_until};
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

/// A frontend downstream that is behind answers without the target.
#[tokio::test(flavor = "multi_thread")]
async fn partitions_of_a_table_that_is_gone_upstream_block_no_job() {
    let pair = Pair::start().await;
    pair.create_database().await;
    let create = "CREATE TABLE t (k INT, v VARCHAR(20)) DUPLICATE KEY(k) \
         PARTITION BY RANGE(k) (PARTITION p1 VALUES LESS THAN (\"10\"), PARTITION p2 VALUES LESS THAN (\"20\")) \
         DISTRIBUTED BY HASH(k) BUCKETS 1 PROPERTIES (\"binlog.enable\" = \"true\")";
    pair.run(create).await;
    pair.run("INSERT INTO t VALUES (1, 'a'), (11, 'b')").await;
    let syncer = Syncer::start().await;
    syncer.create(&pair.table_job(JOB, "t", "target")).await;
    syncer.wait_for(JOB, Target::InSync).await;
    syncer.pause(JOB).await;
    for statement in ["ALTER TABLE t DROP PARTITION p2", "DROP TABLE t FORCE", create] {
        pair.run(statement).await;
    }
    pair.down.faults().add(Fault::new(FaultKind::Empty).call("getMeta").times(3));
    syncer.resume(JOB).await;
    pair.run("INSERT INTO t VALUES (2, 'new')").await;
    wait_until("the target is the new table", BOUND, || async {
        let (up, down) = (contents(pair.source(), "t").await?, contents(pair.target(), "target").await?);
        if up == down { Ok(()) } else { Err(syncer.progress(JOB).await.to_string()) }
    })
    .await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_equal(&pair, "t", "target").await;
    assert!(pair.down.faults().rules().is_empty(), "the frontend was behind");
    syncer.finish().await;
}
