//! What one replicated transaction costs in the steady state, counted at the clusters.

use crate::harness::{BOUND, Pair, Syncer, Target, assert_equal, wait_until};
use crate::matrix::settle;

const JOB: &str = "cost";
const UPSERTS: u64 = 120;
const REPLICAS: u16 = 2;

#[tokio::test(flavor = "multi_thread")]
async fn an_upsert_is_one_begin_one_ingest_per_replica_and_one_commit() {
    let pair = Pair::replicated(REPLICAS).await;
    pair.create_database().await;
    pair.create_table("t", 1).await;
    pair.insert("t", 0..3).await;
    let syncer = Syncer::start().await;
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_for(JOB, Target::InSync).await;
    // The first upsert may fetch metadata; later ones find it cached.
    pair.insert("t", 3..4).await;
    syncer.wait_for(JOB, Target::InSync).await;

    pair.reset_counters();
    for key in 0..UPSERTS as i32 {
        pair.insert("t", 100 + key..101 + key).await;
    }
    syncer.wait_for(JOB, Target::InSync).await;
    assert_equal(&pair, "t", "t").await;
    assert_eq!(pair.down.counters().get("beginTxn"), UPSERTS);
    assert_eq!(pair.down.counters().get("commitTxn"), UPSERTS);
    assert_eq!(pair.down.counters().get("ingest_binlog"), UPSERTS * u64::from(REPLICAS));
    assert_eq!(pair.down.counters().get("rollbackTxn"), 0);
    assert_cached(&pair, UPSERTS);
    // Of a stream of transactions only some are asked for, and of the last its commit tells.
    let asked = pair.down.counters().get("sql:SHOW TRANSACTION");
    assert!(asked * 10 <= UPSERTS, "{asked} transactions were asked for");
    syncer.finish().await;
}

/// Less than one look at metadata for twenty transactions: a job looks now and then whether what it follows still
/// exists, and nothing is asked per transaction.
fn assert_cached(pair: &Pair, transactions: u64) {
    let looks = pair.calls("getMeta");
    assert!(
        looks * 20 < transactions,
        "metadata stays cached: {looks} calls for {transactions} transactions"
    );
    assert_eq!(pair.calls("getBackendMeta"), 0, "backends stay cached");
}

#[tokio::test(flavor = "multi_thread")]
async fn binlogs_are_fetched_in_batches() {
    let pair = Pair::start().await;
    pair.create_database().await;
    pair.create_table("t", 1).await;
    pair.insert("t", 0..3).await;
    let syncer = Syncer::start().await;
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_for(JOB, Target::InSync).await;
    syncer.pause(JOB).await;
    for key in 0..UPSERTS as i32 {
        pair.insert("t", 100 + key..101 + key).await;
    }
    pair.reset_counters();
    syncer.resume(JOB).await;
    syncer.wait_for(JOB, Target::InSync).await;
    let fetches = pair.up.counters().get("getBinlog");
    assert!(fetches < UPSERTS, "{fetches} fetches for {UPSERTS} upserts");
    assert_eq!(pair.down.counters().get("commitTxn"), UPSERTS);
    assert_equal(&pair, "t", "t").await;
    syncer.finish().await;
}

/// A job in sync over `t`, `other` and the ranges of `parted`, each with a replica on two backends, after a
/// load of each; beside them `rolled`, which is empty, with the rollup `r`.
async fn in_sync_over_three() -> (Pair, Syncer) {
    let pair = Pair::replicated(REPLICAS).await;
    pair.create_database().await;
    for table in ["t", "other"] {
        pair.create_table(table, BUCKETS).await;
    }
    pair.run(
        "CREATE TABLE parted (k INT NOT NULL, v VARCHAR(64)) DUPLICATE KEY(k) PARTITION BY RANGE(k) \
         (PARTITION p1 VALUES LESS THAN (\"100\"), PARTITION p2 VALUES LESS THAN (\"200\"), \
         PARTITION p3 VALUES LESS THAN (\"300\")) \
         DISTRIBUTED BY HASH(k) BUCKETS 2 PROPERTIES (\"binlog.enable\" = \"true\")",
    )
    .await;
    pair.create_table("rolled", 1).await;
    pair.run("ALTER TABLE rolled ADD ROLLUP r (k)").await;
    settle(&pair).await;
    let syncer = Syncer::start().await;
    pair.run("ALTER TABLE other ADD INDEX i (v) USING INVERTED").await;
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_for(JOB, Target::InSync).await;
    pair.run("INSERT INTO parted VALUES (1, 'a'), (101, 'b'), (201, 'c')").await;
    for table in ["t", "other"] {
        pair.insert(table, 0..20).await;
    }
    syncer.wait_for(JOB, Target::InSync).await;
    (pair, syncer)
}

const BUCKETS: u32 = 3;

/// What a load costs: begins, commits, ingests, and looks at metadata.
async fn load_costs(pair: &Pair, syncer: &Syncer, statement: &str) -> [u64; 3] {
    pair.reset_counters();
    pair.run(statement).await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_eq!(pair.down.counters().get("rollbackTxn"), 0, "{statement}");
    ["beginTxn", "commitTxn", "ingest_binlog"].map(|call| pair.down.counters().get(call))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_is_one_transaction_and_one_ingest_per_target_replica_it_touches() {
    let (pair, syncer) = in_sync_over_three().await;
    let replicas = u64::from(REPLICAS);
    let per_partition = 2 * replicas;
    let costs =
        load_costs(&pair, &syncer, "INSERT INTO parted VALUES (2, 'd'), (102, 'e'), (202, 'f')").await;
    assert_eq!(costs, [1, 1, 3 * per_partition], "three partitions");
    let costs = load_costs(&pair, &syncer, "INSERT INTO parted VALUES (3, 'd')").await;
    assert_eq!(costs, [1, 1, per_partition], "one partition");
    let several = "BEGIN; INSERT INTO t VALUES (100, 'a'); INSERT INTO other VALUES (100, 'b'); \
                   INSERT INTO parted VALUES (103, 'c'); COMMIT";
    let costs = load_costs(&pair, &syncer, several).await;
    let of_tables = 2 * u64::from(BUCKETS) * replicas;
    assert_eq!(costs, [1, 1, of_tables + per_partition], "three tables in one transaction");

    pair.reset_counters();
    let rounds = UPSERTS / 2;
    for key in 0..rounds {
        pair.run(&format!("INSERT INTO parted VALUES ({key}, 'd'), (1{key:02}, 'e'), (2{key:02}, 'f')"))
            .await;
        pair.run(&several.replace("(100,", &format!("(3{key:03},"))).await;
    }
    syncer.wait_for(JOB, Target::InSync).await;
    assert_cached(&pair, UPSERTS);
    let done = ["beginTxn", "commitTxn"].map(|call| pair.down.counters().get(call));
    assert_eq!(done, [UPSERTS, UPSERTS]);
    let ingests = rounds * (3 * per_partition + of_tables + per_partition);
    assert_eq!(pair.down.counters().get("ingest_binlog"), ingests);
    for table in ["t", "other", "parted"] {
        assert_equal(&pair, table, table).await;
    }
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_costs_itself_one_probe_and_one_refresh() {
    let (pair, syncer) = in_sync_over_three().await;
    // Upstream statement, what repeats it downstream, and how often names are read downstream: before it, and
    // after it to see what it did. What is found by the name that the statement holds needs neither; partitions are
    // found by their ranges, which are read. Before a view is created, it is made sure that no table has its name,
    // which IF NOT EXISTS would pass over.
    let cases = [
        ("ALTER TABLE t ADD COLUMN c INT DEFAULT \"1\"", "sql:ALTER TABLE", 0),
        ("ALTER TABLE t DROP COLUMN c", "sql:ALTER TABLE", 0),
        ("ALTER TABLE t MODIFY COMMENT 'text'", "sql:ALTER TABLE", 0),
        ("ALTER TABLE parted ADD PARTITION p4 VALUES LESS THAN (\"400\")", "sql:ALTER TABLE", 0),
        ("ALTER TABLE parted DROP PARTITION p4", "sql:ALTER TABLE", 1),
        ("ALTER TABLE parted RENAME PARTITION p3 third", "sql:ALTER TABLE", 1),
        ("ALTER TABLE parted ADD TEMPORARY PARTITION tp VALUES [(\"100\"), (\"200\"))", "sql:ALTER TABLE", 0),
        ("ALTER TABLE parted REPLACE PARTITION (p2) WITH TEMPORARY PARTITION (tp)", "sql:ALTER TABLE", 1),
        ("TRUNCATE TABLE parted PARTITION (p1)", "sql:TRUNCATE", 1),
        ("ALTER TABLE t RENAME COLUMN v w", "sql:ALTER TABLE", 0),
        ("ALTER TABLE t RENAME COLUMN w v", "sql:ALTER TABLE", 0),
        ("ALTER TABLE t MODIFY COLUMN v COMMENT 'text'", "sql:ALTER TABLE", 0),
        ("ALTER TABLE t SET (\"compaction_policy\" = \"time_series\")", "sql:ALTER TABLE", 0),
        ("BUILD INDEX i ON other", "sql:BUILD INDEX", 0),
        ("DROP INDEX i ON other", "sql:ALTER TABLE", 0),
        ("ALTER TABLE parted MODIFY DISTRIBUTION DISTRIBUTED BY HASH(k) BUCKETS 5", "sql:ALTER TABLE", 0),
        ("ALTER TABLE t SET (\"distribution_type\" = \"random\")", "sql:ALTER TABLE", 0),
        ("ALTER TABLE t RENAME t2", "sql:ALTER TABLE", 2),
        ("ALTER TABLE t2 REPLACE WITH TABLE other PROPERTIES (\"swap\" = \"true\")", "sql:ALTER TABLE", 2),
        ("CREATE VIEW v AS SELECT k FROM other", "sql:CREATE VIEW", 1),
        ("ALTER VIEW v AS SELECT k, v FROM other", "sql:ALTER VIEW", 0),
        ("ALTER TABLE v RENAME w", "sql:ALTER TABLE", 0),
        ("DROP VIEW w", "sql:DROP VIEW", 0),
        ("ALTER TABLE rolled RENAME ROLLUP r r2", "sql:ALTER TABLE", 0),
        ("ALTER TABLE rolled DROP ROLLUP r2", "sql:ALTER TABLE", 0),
        (
            "CREATE TABLE made (k INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1 \
             PROPERTIES (\"binlog.enable\" = \"true\")",
            "sql:CREATE TABLE",
            2,
        ),
        ("DROP TABLE made", "sql:DROP TABLE", 2),
    ];
    for (statement, repeated, looks) in cases {
        pair.reset_counters();
        pair.run(statement).await;
        syncer.wait_for(JOB, Target::InSync).await;
        let down = pair.down.counters();
        if statement.starts_with("BUILD") {
            // It is repeated when the build has ended, of which nothing is in the binlog before.
            let built = async || if down.get(repeated) == 1 { Ok(()) } else { Err("not yet") };
            wait_until("the build is repeated", BOUND, || async { built().await.map_err(str::to_owned) })
                .await;
            syncer.wait_for(JOB, Target::InSync).await;
        }
        assert_eq!(down.get(repeated), 1, "{statement}: {:?}", down.snapshot());
        let probes: u64 = down
            .snapshot()
            .iter()
            .filter(|(call, _)| call.starts_with("sql:SHOW"))
            .map(|(_, count)| count)
            .sum();
        assert!(probes <= 1, "{statement}: {:?}", down.snapshot());
        assert_eq!(down.get("getMeta"), looks, "{statement}: {:?}", down.snapshot());
        let transactions = down.get("beginTxn") + down.get("restoreSnapshot");
        assert_eq!(transactions, 0, "{statement}");
        // An idle job looks now and then whether what it follows still exists, and who is told that there is no lag has
        // made it look as well.
        let told = 1 + u64::from(statement.starts_with("BUILD"));
        let up = pair.up.counters();
        assert!(up.get("getMeta") <= 1 + told, "{statement}: {:?}", up.snapshot());
    }
    // What the statements made stale is read once, on both sides.
    pair.reset_counters();
    for key in 500..505 {
        pair.run(&format!("INSERT INTO parted VALUES ({}, 'again')", key - 400)).await;
    }
    syncer.wait_for(JOB, Target::InSync).await;
    assert_eq!(pair.down.counters().get("getMeta"), 1);
    assert!(pair.up.counters().get("getMeta") <= 3);
    assert_equal(&pair, "parted", "parted").await;
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_target_goes_without_costs_nothing_there() {
    let (pair, syncer) = in_sync_over_three().await;
    for statement in [
        "ALTER TABLE parted MODIFY PARTITION p2 SET (\"storage_medium\" = \"ssd\")",
        "ALTER DATABASE d1 SET PROPERTIES (\"binlog.ttl_seconds\" = \"80000\")",
    ] {
        pair.reset_counters();
        pair.run(statement).await;
        syncer.wait_for(JOB, Target::InSync).await;
        let down = pair.down.counters().snapshot();
        // While it waits, the job looks now and then whether its target still exists.
        let done: Vec<_> = down.iter().filter(|(call, _)| !is_idle(call)).collect();
        assert!(done.is_empty(), "{statement}: {done:?}");
        assert_eq!(pair.up.counters().get("sql:BACKUP"), 0, "{statement}");
    }
    syncer.finish().await;
}

fn is_idle(call: &str) -> bool {
    matches!(call, "getMeta")
}
