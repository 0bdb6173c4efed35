//! Where tables and partitions lie, for jobs that follow the upstream in it and jobs that do not.

use serde_json::json;

use crate::harness::{DB, Pair, Syncer, Target};
use crate::matrix::assert_same_database;

const JOB: &str = "media";

const RANGES: &str = "CREATE TABLE ranges (k INT NOT NULL, v VARCHAR(64)) DUPLICATE KEY(k)
     PARTITION BY RANGE(k) (PARTITION p1 VALUES LESS THAN (\"10\"), PARTITION p2 VALUES LESS THAN (\"20\"))
     DISTRIBUTED BY HASH(k) BUCKETS 2 PROPERTIES (\"replication_num\" = \"1\", \"binlog.enable\" = \"true\")";

const WHOLE: &str = "CREATE TABLE whole (k INT NOT NULL, v VARCHAR(64)) DUPLICATE KEY(k)
     DISTRIBUTED BY HASH(k) BUCKETS 1 PROPERTIES (\"replication_num\" = \"1\", \"binlog.enable\" = \"true\")";

const CHANGES: [&str; 8] = [
    "ALTER TABLE ranges MODIFY PARTITION (p1) SET (\"storage_medium\" = \"SSD\")",
    "ALTER TABLE ranges ADD PARTITION p3 VALUES LESS THAN (\"30\") (\"storage_medium\" = \"SSD\")",
    "ALTER TABLE ranges MODIFY PARTITION (*) SET (\"storage_medium\" = \"SSD\")",
    "ALTER TABLE ranges MODIFY PARTITION (p2, p3) SET (\"storage_medium\" = \"HDD\")",
    "ALTER TABLE whole MODIFY PARTITION (whole) SET (\"storage_medium\" = \"SSD\")",
    "INSERT OVERWRITE TABLE ranges PARTITION (p2) VALUES (11, 'over')",
    "INSERT OVERWRITE TABLE whole VALUES (1, 'over')",
    "INSERT INTO ranges VALUES (1, 'a'), (12, 'b'), (22, 'c')",
];

const MADE: &str = "CREATE TABLE made (k INT NOT NULL) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1
     PROPERTIES (\"replication_num\" = \"1\", \"storage_medium\" = \"ssd\")";

async fn following(adjust: impl Fn(&mut serde_json::Value), flags: &[&str]) -> (Pair, Syncer) {
    let pair = Pair::start().await;
    pair.create_database().await;
    for statement in
        [RANGES, WHOLE, "INSERT INTO ranges VALUES (1, 'a')", "INSERT INTO whole VALUES (2, 'b')"]
    {
        pair.run(statement).await;
    }
    let syncer = Syncer::start_with(flags).await;
    let mut job = pair.database_job(JOB);
    adjust(&mut job);
    syncer.create(&job).await;
    syncer.wait_for(JOB, Target::InSync).await;
    (pair, syncer)
}

/// Name and medium of each partition.
async fn media(cluster: &minidoris::Cluster, table: &str) -> Vec<(String, String)> {
    let shown =
        cluster.sql_in(DB, &format!("SHOW PARTITIONS FROM {table}")).await.expect("partitions are shown");
    let column = |name: &str| shown.columns.iter().position(|column| column == name).expect("the column");
    let (name, medium) = (column("PartitionName"), column("StorageMedium"));
    let cell = |row: &Vec<Option<String>>, at: usize| row[at].clone().expect("a value");
    let mut media: Vec<_> = shown.rows.iter().map(|row| (cell(row, name), cell(row, medium))).collect();
    media.sort();
    media
}

async fn assert_same_media(pair: &Pair, after: &str) {
    for table in ["ranges", "whole"] {
        assert_eq!(media(&pair.up, table).await, media(&pair.down, table).await, "{table} after {after}");
    }
}

async fn follows(pair: &Pair, syncer: &Syncer) {
    for change in CHANGES {
        pair.run(change).await;
        syncer.wait_for(JOB, Target::InSync).await;
        assert_same_media(pair, change).await;
    }
    assert!(media(&pair.down, "ranges").await.contains(&("p1".to_owned(), "SSD".to_owned())));
    pair.run(MADE).await;
    syncer.wait_for(JOB, Target::InSync).await;
    let made = pair.down.sql_in(DB, "SHOW CREATE TABLE made").await.expect("the table is shown");
    assert!(
        made.rows[0][1].as_deref().expect("a statement").contains("\"storage_medium\" = \"ssd\""),
        "{made:?}"
    );
    assert_same_database(pair).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_follows_the_media_of_the_upstream() {
    let (pair, syncer) = following(|job| job["storage_medium"] = json!("upstream"), &[]).await;
    follows(&pair, &syncer).await;
    // From then on the target keeps what it has.
    syncer.call("update_job", &json!({ "name": JOB, "storage_medium": "target" })).await;
    let before = media(&pair.down, "ranges").await;
    pair.run("ALTER TABLE ranges MODIFY PARTITION (p1) SET (\"storage_medium\" = \"HDD\")").await;
    pair.insert("ranges", 0..3).await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_eq!(media(&pair.down, "ranges").await, before);
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_flag_decides_for_jobs_that_do_not_say() {
    let (pair, syncer) = following(|_| {}, &["--feature_filter_storage_medium=false"]).await;
    follows(&pair, &syncer).await;
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn targets_choose_their_media_by_default() {
    let (pair, syncer) = following(|_| {}, &[]).await;
    for change in CHANGES {
        pair.run(change).await;
    }
    pair.run(MADE).await;
    syncer.wait_for(JOB, Target::InSync).await;
    for table in ["ranges", "whole"] {
        let found = media(&pair.down, table).await;
        assert!(found.iter().all(|(_, medium)| medium == "HDD"), "{found:?}");
    }
    let made = pair.down.sql_in(DB, "SHOW CREATE TABLE made").await.expect("the table is shown");
    assert!(!made.rows[0][1].as_deref().expect("a statement").contains("\"ssd\""), "{made:?}");
    syncer.finish().await;
}
