//! A database job: every table is copied once and then followed, DDL included.

use crate::harness::{DB, Pair, Syncer, Target, assert_equal};

const JOB: &str = "database";

/// One table per key model, one of them partitioned, with rows in each.
async fn create_tables(pair: &Pair) {
    pair.create_database().await;
    pair.create_table("dup", 3).await;
    pair.run(
        "CREATE TABLE uni (k INT NOT NULL, d DATE, n DECIMAL(12, 2)) UNIQUE KEY(k) \
         DISTRIBUTED BY HASH(k) BUCKETS 2 PROPERTIES (\"binlog.enable\" = \"true\")",
    )
    .await;
    pair.run(
        "CREATE TABLE agg (k INT NOT NULL, total BIGINT SUM, top INT MAX, first DATE MIN) \
         AGGREGATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 2 PROPERTIES (\"binlog.enable\" = \"true\")",
    )
    .await;
    pair.run(
        "CREATE TABLE parted (k INT NOT NULL, v VARCHAR(20)) DUPLICATE KEY(k) \
         PARTITION BY RANGE(k) (PARTITION p1 VALUES LESS THAN (\"100\"), \
         PARTITION p2 VALUES LESS THAN (\"200\")) \
         DISTRIBUTED BY HASH(k) BUCKETS 2 PROPERTIES (\"binlog.enable\" = \"true\")",
    )
    .await;
}

async fn write_everywhere(pair: &Pair, round: i32) {
    pair.insert("dup", round * 10..round * 10 + 10).await;
    pair.run(&format!("INSERT INTO uni VALUES (1, '2024-01-0{round}', {round}.50), ({round}, NULL, 0.01)"))
        .await;
    pair.run(&format!(
        "INSERT INTO agg VALUES (1, {round}, {round}, '2024-02-0{round}'), ({round}, 1, 1, NULL)"
    ))
    .await;
    pair.run(&format!("INSERT INTO parted VALUES ({round}, 'it''s {round}'), (10{round}, NULL)")).await;
}

async fn assert_all_equal(pair: &Pair, tables: &[&str]) {
    for table in tables {
        assert_equal(pair, table, table).await;
    }
    let mut expected: Vec<&str> = tables.to_vec();
    expected.sort_unstable();
    assert_eq!(pair.downstream_tables().await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_all_key_models_are_copied_and_followed() {
    let pair = Pair::start().await;
    create_tables(&pair).await;
    write_everywhere(&pair, 1).await;
    write_everywhere(&pair, 2).await;
    let syncer = Syncer::start().await;
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_all_equal(&pair, &["dup", "uni", "agg", "parted"]).await;

    for round in 3..=6 {
        write_everywhere(&pair, round).await;
    }
    pair.run("DELETE FROM dup WHERE k < 15").await;
    pair.run("DELETE FROM parted PARTITION p2 WHERE k = 104").await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_all_equal(&pair, &["dup", "uni", "agg", "parted"]).await;
    let status = syncer.status(JOB).await;
    assert_eq!(status["name"], JOB);
    assert_eq!(status["state"], "running");
    assert_eq!(pair.calls("sql:BACKUP"), 1);
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_during_the_full_sync_are_neither_lost_nor_doubled() {
    let pair = Pair::start().await;
    pair.create_database().await;
    pair.create_table("dup", 2).await;
    pair.create_table("later", 1).await;
    pair.insert("dup", 0..50).await;
    let syncer = Syncer::start().await;
    syncer.create(&pair.database_job(JOB)).await;
    let mut key = 50;
    while !syncer.status(JOB).await["progress_state"]
        .as_str()
        .unwrap_or_default()
        .ends_with("IncrementalSync")
    {
        pair.insert("dup", key..key + 2).await;
        pair.insert("later", key..key + 1).await;
        key += 2;
        assert!(key < 20_000, "the full sync ends");
    }
    syncer.wait_for(JOB, Target::InSync).await;
    assert_all_equal(&pair, &["dup", "later"]).await;
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_and_partitions_come_and_go() {
    let pair = Pair::start().await;
    create_tables(&pair).await;
    write_everywhere(&pair, 1).await;
    let syncer = Syncer::start().await;
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_for(JOB, Target::Incremental).await;

    pair.create_table("`new one`", 2).await;
    pair.insert("`new one`", 0..5).await;
    pair.run("ALTER TABLE parted ADD PARTITION p3 VALUES LESS THAN (\"300\")").await;
    pair.run("INSERT INTO parted VALUES (250, 'third'), (5, 'first')").await;
    pair.run("ALTER TABLE parted DROP PARTITION p1").await;
    pair.run("TRUNCATE TABLE dup").await;
    pair.insert("dup", 1000..1003).await;
    pair.run("DROP TABLE agg").await;
    // A table that comes back under its old name is another table.
    pair.run("DROP TABLE uni FORCE").await;
    pair.create_table("uni", 1).await;
    pair.insert("uni", 7..9).await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_all_equal(&pair, &["dup", "new one", "parted", "uni"]).await;
    assert_eq!(pair.calls("sql:BACKUP"), 1, "no statement of these needs another snapshot");
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_database_is_followed_from_its_first_table_on() {
    let pair = Pair::start().await;
    pair.create_database().await;
    let syncer = Syncer::start().await;
    syncer.create(&pair.database_job(JOB)).await;
    pair.create_table("first", 1).await;
    pair.insert("first", 0..3).await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_all_equal(&pair, &["first"]).await;
    assert!(pair.downstream_has_database(DB).await);
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_jobs_run_side_by_side() {
    let pair = Pair::start().await;
    pair.create_database().await;
    for name in ["a", "b"] {
        pair.create_table(name, 2).await;
        pair.insert(name, 0..10).await;
    }
    let syncer = Syncer::start().await;
    for name in ["a", "b"] {
        syncer.create(&pair.table_job(name, name, name)).await;
    }
    for round in 1..5 {
        for name in ["a", "b"] {
            pair.insert(name, round * 10..round * 10 + 10).await;
        }
    }
    for name in ["a", "b"] {
        syncer.wait_for(name, Target::InSync).await;
    }
    assert_all_equal(&pair, &["a", "b"]).await;
    let listed = syncer.call("list_jobs", &serde_json::json!({})).await;
    assert_eq!(listed["jobs"], serde_json::json!(["a", "b"]));
    syncer.finish().await;
}

/// The target may keep fewer copies than the source, in tables that were restored, created and altered alike.
#[tokio::test(flavor = "multi_thread")]
async fn the_target_has_as_many_replicas_as_the_job_asks_for() {
    let pair = Pair::replicated(2).await;
    pair.create_database().await;
    let partitioned = |name: &str| {
        format!(
            "CREATE TABLE {name} (k INT NOT NULL, v VARCHAR(64)) DUPLICATE KEY(k) PARTITION BY RANGE(k) \
             (PARTITION p1 VALUES LESS THAN (\"100\")) DISTRIBUTED BY HASH(k) BUCKETS 2 \
             PROPERTIES (\"binlog.enable\" = \"true\")"
        )
    };
    pair.run(&partitioned("restored")).await;
    pair.insert("restored", 0..5).await;
    let syncer = Syncer::start().await;
    let mut job = pair.database_job("replicas");
    job["replication_num"] = serde_json::json!(1);
    syncer.create(&job).await;
    syncer.wait_for("replicas", Target::InSync).await;
    pair.run(&partitioned("created")).await;
    for table in ["restored", "created"] {
        pair.run(&format!("ALTER TABLE {table} ADD PARTITION p2 VALUES LESS THAN (\"200\")")).await;
        pair.insert(table, 95..105).await;
    }
    syncer.wait_for("replicas", Target::InSync).await;
    for (table, rows) in [("restored", 15), ("created", 10)] {
        assert_eq!(pair.downstream_rows(table).await, rows);
        for (cluster, replicas) in [(&pair.up, 2), (&pair.down, 1)] {
            let shown = cluster.sql_in("d1", &format!("SHOW PARTITIONS FROM {table}")).await.unwrap();
            let at = shown.columns.iter().position(|column| column == "ReplicationNum").expect("the column");
            assert_eq!(shown.rows.len(), 2);
            for row in &shown.rows {
                assert_eq!(row[at].as_deref(), Some(replicas.to_string().as_str()), "{table} {row:?}");
            }
        }
    }
    syncer.finish().await;
}
