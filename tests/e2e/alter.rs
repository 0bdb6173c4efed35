//! Changes of a table's definition: what a statement can repeat needs no copy, and nothing needs a full sync.

use crate::harness::{Pair, Syncer, Target, assert_equal};

const JOB: &str = "alter";

/// A job in sync over `t` (duplicate keys) and `parted` (unique keys, two partitions).
async fn in_sync() -> (Pair, Syncer) {
    let pair = Pair::start().await;
    pair.create_database().await;
    pair.create_table("t", 2).await;
    pair.insert("t", 0..10).await;
    pair.run(
        "CREATE TABLE parted (k INT NOT NULL, v VARCHAR(20)) UNIQUE KEY(k) \
         PARTITION BY RANGE(k) (PARTITION p1 VALUES [(\"0\"), (\"100\")), \
         PARTITION p2 VALUES [(\"100\"), (\"200\"))) \
         DISTRIBUTED BY HASH(k) BUCKETS 2 PROPERTIES (\"binlog.enable\" = \"true\")",
    )
    .await;
    pair.run("INSERT INTO parted VALUES (1, 'a'), (101, 'b')").await;
    let syncer = Syncer::start().await;
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_for(JOB, Target::InSync).await;
    (pair, syncer)
}

async fn full_sync_count(pair: &Pair, syncer: &Syncer) -> (u64, String) {
    let progress = syncer.progress(JOB).await;
    let reason = progress["full_sync_info"]["info"].as_str().unwrap_or_default().to_owned();
    (pair.up.counters().get("sql:BACKUP"), reason)
}

#[tokio::test(flavor = "multi_thread")]
async fn light_changes_of_columns_are_statements() {
    let (pair, syncer) = in_sync().await;
    pair.run("ALTER TABLE t ADD COLUMN n INT DEFAULT \"7\"").await;
    pair.run("INSERT INTO t VALUES (100, 'with n', 1), (101, NULL, NULL)").await;
    pair.run("ALTER TABLE t RENAME COLUMN v note").await;
    pair.run("INSERT INTO t VALUES (102, 'renamed', 2)").await;
    pair.run("ALTER TABLE t MODIFY COMMENT 'it''s a \"table\"'").await;
    pair.run("ALTER TABLE t DROP COLUMN n").await;
    pair.run("INSERT INTO t VALUES (103, 'without n')").await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_equal(&pair, "t", "t").await;
    assert_equal(&pair, "parted", "parted").await;
    assert_eq!(full_sync_count(&pair, &syncer).await, (1, "the job is new".to_owned()));
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn renamed_tables_and_partitions_are_followed() {
    let (pair, syncer) = in_sync().await;
    pair.run("ALTER TABLE t RENAME renamed").await;
    pair.insert("renamed", 50..53).await;
    // The old name is free for another table.
    pair.create_table("t", 1).await;
    pair.insert("t", 900..902).await;
    pair.run("ALTER TABLE parted RENAME PARTITION p1 first").await;
    pair.run("INSERT INTO parted VALUES (2, 'after'), (102, 'after')").await;
    syncer.wait_for(JOB, Target::InSync).await;
    for table in ["renamed", "t", "parted"] {
        assert_equal(&pair, table, table).await;
    }
    assert_eq!(pair.downstream_tables().await, ["parted", "renamed", "t"]);
    assert_eq!(full_sync_count(&pair, &syncer).await, (1, "the job is new".to_owned()));
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exchanged_and_replaced_tables_are_followed() {
    let (pair, syncer) = in_sync().await;
    pair.create_table("other", 2).await;
    pair.insert("other", 500..505).await;
    pair.run("ALTER TABLE t REPLACE WITH TABLE other PROPERTIES (\"swap\" = \"true\")").await;
    pair.insert("t", 505..507).await;
    pair.insert("other", 10..12).await;
    syncer.wait_for(JOB, Target::InSync).await;
    for table in ["t", "other"] {
        assert_equal(&pair, table, table).await;
    }
    pair.run("ALTER TABLE t REPLACE WITH TABLE other PROPERTIES (\"swap\" = \"false\")").await;
    pair.insert("t", 12..15).await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_equal(&pair, "t", "t").await;
    assert_eq!(pair.downstream_tables().await, ["parted", "t"]);
    assert_eq!(full_sync_count(&pair, &syncer).await.1, "the job is new");
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovered_table_and_partition_come_back_with_their_rows() {
    let (pair, syncer) = in_sync().await;
    pair.run("DROP TABLE t").await;
    pair.run("ALTER TABLE parted DROP PARTITION p2").await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_eq!(pair.downstream_tables().await, ["parted"]);
    pair.run("RECOVER TABLE t").await;
    pair.run("RECOVER PARTITION p2 FROM parted").await;
    pair.insert("t", 70..73).await;
    pair.run("INSERT INTO parted VALUES (103, 'after')").await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_equal(&pair, "t", "t").await;
    assert_equal(&pair, "parted", "parted").await;
    assert_eq!(
        full_sync_count(&pair, &syncer).await.1,
        "the job is new",
        "tables are copied, not the database"
    );
    syncer.finish().await;
}
