//! A table job: one table, under its own name or another.

use serde_json::json;

use crate::harness::{Pair, Syncer, Target, assert_equal};

const JOB: &str = "table";

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_followed_under_another_name() {
    let pair = Pair::start().await;
    pair.create_database().await;
    pair.create_table("source", 3).await;
    pair.create_table("other", 1).await;
    pair.insert("source", 0..30).await;
    let syncer = Syncer::start().await;
    syncer.create(&pair.table_job(JOB, "source", "target")).await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_equal(&pair, "source", "target").await;

    pair.insert("source", 30..40).await;
    pair.insert("other", 0..5).await;
    pair.run("DELETE FROM source WHERE k = 3").await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_equal(&pair, "source", "target").await;

    pair.run("TRUNCATE TABLE source").await;
    pair.insert("source", 100..104).await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_equal(&pair, "source", "target").await;
    assert_eq!(pair.downstream_tables().await, ["target"], "no other table is touched");
    assert_eq!(syncer.status(JOB).await["progress_state"], "TableIncrementalSync");
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_of_a_table_job_come_and_go() {
    let pair = Pair::start().await;
    pair.create_database().await;
    pair.run(
        "CREATE TABLE source (k INT NOT NULL, v VARCHAR(20)) UNIQUE KEY(k) \
         PARTITION BY RANGE(k) (PARTITION p1 VALUES [(\"0\"), (\"100\"))) \
         DISTRIBUTED BY HASH(k) BUCKETS 2 PROPERTIES (\"binlog.enable\" = \"true\")",
    )
    .await;
    pair.run("INSERT INTO source VALUES (1, 'a'), (2, 'b')").await;
    let syncer = Syncer::start().await;
    syncer.create(&pair.table_job(JOB, "source", "target")).await;
    syncer.wait_for(JOB, Target::Incremental).await;
    pair.run("ALTER TABLE source ADD PARTITION p2 VALUES [(\"100\"), (\"200\"))").await;
    pair.run("INSERT INTO source VALUES (101, 'c'), (1, 'again')").await;
    pair.run("TRUNCATE TABLE source PARTITION (p1)").await;
    pair.run("INSERT INTO source VALUES (7, 'after')").await;
    pair.run("ALTER TABLE source DROP PARTITION p2").await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_equal(&pair, "source", "target").await;
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_exists_is_a_target_only_on_request() {
    let pair = Pair::start().await;
    pair.create_database().await;
    pair.create_table("source", 1).await;
    pair.insert("source", 0..5).await;
    let create = "CREATE TABLE d1.target (k INT NOT NULL, v VARCHAR(64)) DUPLICATE KEY(k) \
                  DISTRIBUTED BY HASH(k) BUCKETS 1 PROPERTIES (\"binlog.enable\" = \"true\")";
    pair.down.sql("CREATE DATABASE d1").await.unwrap();
    pair.down.sql(create).await.unwrap();
    let syncer = Syncer::start().await;
    let mut job = pair.table_job(JOB, "source", "target");
    let refusal = syncer.refused("create_ccr", &job).await;
    assert!(refusal.contains("target"), "the refusal names the table: {refusal}");
    assert_eq!(pair.downstream_tables().await, ["target"], "it was left alone");
    job["allow_table_exists"] = json!(true);
    syncer.create(&job).await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_equal(&pair, "source", "target").await;
    syncer.finish().await;
}
