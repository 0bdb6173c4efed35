//! Partitions that take the place of others: with the rows already there, no copy of the table is needed.

use serde_json::json;

use crate::harness::{BOUND, DB, Pair, Syncer, Target, wait_until};
use crate::matrix::{assert_same_database, ends_equal};

const JOB: &str = "overwrite";

const TABLES: [&str; 3] = [
    "CREATE TABLE ranges (k INT NOT NULL, v VARCHAR(64)) DUPLICATE KEY(k)
     PARTITION BY RANGE(k) (PARTITION p1 VALUES [(\"0\"), (\"10\")), PARTITION p2 VALUES [(\"10\"), (\"20\")),
                            PARTITION p3 VALUES [(\"20\"), (\"30\")))
     DISTRIBUTED BY HASH(k) BUCKETS 2 PROPERTIES (\"replication_num\" = \"1\", \"binlog.enable\" = \"true\")",
    "CREATE TABLE lists (k INT NOT NULL, v VARCHAR(64)) UNIQUE KEY(k)
     PARTITION BY LIST(k) (PARTITION a VALUES IN (\"1\", \"2\"), PARTITION b VALUES IN (\"3\"))
     DISTRIBUTED BY HASH(k) BUCKETS 1 PROPERTIES (\"replication_num\" = \"1\", \"binlog.enable\" = \"true\")",
    "CREATE TABLE whole (k INT NOT NULL, v VARCHAR(64)) DUPLICATE KEY(k)
     DISTRIBUTED BY HASH(k) BUCKETS 3 PROPERTIES (\"replication_num\" = \"1\", \"binlog.enable\" = \"true\")",
];

const LOADS: [&str; 3] = [
    "INSERT INTO ranges VALUES (1, 'a'), (11, 'b'), (21, 'c')",
    "INSERT INTO lists VALUES (1, 'a'), (3, 'b')",
    "INSERT INTO whole VALUES (1, 'a'), (2, 'b')",
];

const CHANGES: [&str; 18] = [
    "ALTER TABLE ranges ADD TEMPORARY PARTITION tp1 VALUES [(\"0\"), (\"10\"))",
    "INSERT INTO ranges TEMPORARY PARTITION (tp1) VALUES (2, 'x')",
    "INSERT INTO ranges VALUES (3, 'lost'), (12, 'kept')",
    "ALTER TABLE ranges REPLACE PARTITION (p1) WITH TEMPORARY PARTITION (tp1)",
    "INSERT INTO ranges VALUES (4, 'after')",
    // Two that cover what one did, under their own names.
    "ALTER TABLE ranges ADD TEMPORARY PARTITION left_part VALUES [(\"10\"), (\"15\"))",
    "ALTER TABLE ranges ADD TEMPORARY PARTITION right_part VALUES [(\"15\"), (\"20\"))",
    "INSERT INTO ranges TEMPORARY PARTITION (left_part, right_part) VALUES (13, 'y'), (17, 'z')",
    "ALTER TABLE ranges REPLACE PARTITION (p2) WITH TEMPORARY PARTITION (left_part, right_part)
     PROPERTIES (\"strict_range\" = \"false\", \"use_temp_partition_name\" = \"true\")",
    "INSERT INTO ranges VALUES (14, 'after'), (18, 'after')",
    // One that is given up.
    "ALTER TABLE ranges ADD TEMPORARY PARTITION unused VALUES [(\"20\"), (\"30\"))",
    "INSERT INTO ranges TEMPORARY PARTITION (unused) VALUES (22, 'gone')",
    "ALTER TABLE ranges DROP TEMPORARY PARTITION unused",
    "INSERT OVERWRITE TABLE ranges PARTITION (p3) VALUES (23, 'over')",
    "INSERT OVERWRITE TABLE lists VALUES (2, 'over'), (3, 'over')",
    "INSERT INTO lists VALUES (2, 'newer')",
    "INSERT OVERWRITE TABLE whole VALUES (5, 'over'), (6, 'over')",
    "INSERT INTO whole VALUES (7, 'after')",
];

async fn following() -> (Pair, Syncer) {
    let pair = Pair::start().await;
    pair.create_database().await;
    for statement in TABLES.iter().chain(&LOADS) {
        pair.run(statement).await;
    }
    let syncer = Syncer::start().await;
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_for(JOB, Target::InSync).await;
    (pair, syncer)
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_are_replaced_without_a_copy() {
    let (pair, syncer) = following().await;
    for change in CHANGES {
        pair.run(change).await;
        syncer.wait_for(JOB, Target::InSync).await;
        assert_same_database(&pair).await;
    }
    ends_equal(&pair, syncer, JOB, 1).await;
}

/// The replaced partitions are gone upstream when their loads are met.
#[tokio::test(flavor = "multi_thread")]
async fn partitions_are_replaced_without_a_copy_after_a_pause() {
    let (pair, syncer) = following().await;
    syncer.pause(JOB).await;
    for change in CHANGES {
        pair.run(change).await;
    }
    syncer.resume(JOB).await;
    ends_equal(&pair, syncer, JOB, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_syncer_goes_on_replacing_partitions() {
    let (pair, mut syncer) = following().await;
    for change in CHANGES {
        pair.run(change).await;
        syncer.kill();
        syncer.restart().await;
    }
    ends_equal(&pair, syncer, JOB, 1).await;
}

/// What is replaced is not there any more when the statement is sent again.
#[tokio::test(flavor = "multi_thread")]
async fn partitions_that_were_replaced_under_other_names_are_not_missed() {
    let pair = Pair::start().await;
    pair.create_database().await;
    for statement in TABLES.iter().chain(&LOADS) {
        pair.run(statement).await;
    }
    let mut syncer = Syncer::start_with(&["--enable_failpoints"]).await;
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_for(JOB, Target::InSync).await;
    let (before, replacing, after) = (&CHANGES[..8], CHANGES[8], &CHANGES[9..]);
    for change in before {
        pair.run(change).await;
    }
    syncer.wait_for(JOB, Target::InSync).await;
    let failpoint = json!({ "name": JOB, "failpoint": "execute:after", "value": "crash" });
    syncer.call("failpoint", &failpoint).await;
    pair.run(replacing).await;
    syncer.crashed().await;
    syncer.restart().await;
    for change in after {
        pair.run(change).await;
    }
    ends_equal(&pair, syncer, JOB, 1).await;
}

/// The target has no such partition, for somebody dropped it there: the table is copied instead.
#[tokio::test(flavor = "multi_thread")]
async fn a_temporary_partition_that_is_missing_costs_a_copy() {
    let (pair, syncer) = following().await;
    for change in &CHANGES[..2] {
        pair.run(change).await;
    }
    syncer.wait_for(JOB, Target::InSync).await;
    pair.down.sql_in(DB, "ALTER TABLE ranges DROP TEMPORARY PARTITION tp1").await.unwrap();
    for change in &CHANGES[2..5] {
        pair.run(change).await;
    }
    ends_equal(&pair, syncer, JOB, 2).await;
}

/// A temporary partition that somebody made downstream never takes the rows of a formal one.
#[tokio::test(flavor = "multi_thread")]
async fn foreign_temporary_partitions_are_told_apart() {
    let (pair, syncer) = following().await;
    let make = "ALTER TABLE ranges ADD TEMPORARY PARTITION foreign_part VALUES [(\"0\"), (\"10\"))";
    pair.down.sql_in(DB, make).await.unwrap();
    pair.run("INSERT INTO ranges VALUES (5, 'formal'), (15, 'formal')").await;
    syncer.wait_for(JOB, Target::InSync).await;
    crate::harness::assert_equal(&pair, "ranges", "ranges").await;
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_waits_until_temporary_partitions_are_gone() {
    let pair = Pair::start().await;
    pair.create_database().await;
    for statement in TABLES.iter().chain(&LOADS) {
        pair.run(statement).await;
    }
    let mut syncer = Syncer::start().await;
    syncer.allow("code=\"CCR0113\"");
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_for(JOB, Target::InSync).await;
    pair.run("ALTER TABLE ranges ADD TEMPORARY PARTITION tp1 VALUES [(\"0\"), (\"10\"))").await;
    syncer.call("force_fullsync", &json!({ "name": JOB })).await;
    let waits = || async {
        let progress = syncer.progress(JOB).await;
        let told = progress["last_error"].to_string().contains("CCR0113");
        if told { Ok(()) } else { Err(progress.to_string()) }
    };
    wait_until("the job tells what it waits for", BOUND, waits).await;
    pair.run("ALTER TABLE ranges DROP TEMPORARY PARTITION tp1").await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_same_database(&pair).await;
    syncer.finish().await;
}
