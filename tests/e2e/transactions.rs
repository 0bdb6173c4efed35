//! Explicit transactions of several statements, in several tables and on one partition several times: they
//! appear downstream at once and in order, whatever becomes of replies and of the syncer.

use std::collections::BTreeMap;

use minidoris::{Fault, FaultKind};

use crate::harness::{BOUND, Pair, Syncer, Target, assert_equal, wait_until};

const JOB: &str = "statements";
const TABLES: [&str; 3] = ["uniq", "parts", "log"];

/// A job in sync over a unique table, a partitioned unique table and a duplicate one.
async fn in_sync(replicas: u16) -> (Pair, Syncer) {
    let pair = Pair::replicated(replicas).await;
    pair.create_database().await;
    for statement in [
        "CREATE TABLE uniq (k INT NOT NULL, v VARCHAR(64)) UNIQUE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 2 \
         PROPERTIES (\"binlog.enable\" = \"true\")",
        "CREATE TABLE parts (k INT NOT NULL, v VARCHAR(64)) UNIQUE KEY(k) PARTITION BY RANGE(k) \
         (PARTITION p1 VALUES LESS THAN (\"100\"), PARTITION p2 VALUES LESS THAN (\"200\")) \
         DISTRIBUTED BY HASH(k) BUCKETS 2 PROPERTIES (\"binlog.enable\" = \"true\")",
    ] {
        pair.run(statement).await;
    }
    pair.create_table("log", 1).await;
    pair.run("INSERT INTO uniq VALUES (1, 'one'), (2, 'two'), (3, 'three')").await;
    pair.run("INSERT INTO parts VALUES (1, 'low'), (150, 'high')").await;
    let syncer = Syncer::start().await;
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_for(JOB, Target::InSync).await;
    (pair, syncer)
}

/// One transaction of six statements; the same keys are written again and again.
fn transaction(round: i32) -> String {
    let key = 10 + round;
    format!(
        "BEGIN; \
         INSERT INTO uniq VALUES ({key}, 'first'), (1, 'a{round}'); \
         INSERT INTO parts SELECT k, v FROM uniq WHERE k < 3; \
         INSERT INTO uniq VALUES (1, 'b{round}'), (2, 'again {round}'); \
         UPDATE parts SET v = 'round {round}' WHERE k = 150; \
         DELETE FROM uniq WHERE k = 3; \
         INSERT INTO log VALUES ({round}, 'done'); \
         COMMIT"
    )
}

async fn assert_all_equal(pair: &Pair) {
    for table in TABLES {
        assert_equal(pair, table, table).await;
    }
    let versions = |cluster: &minidoris::Cluster| {
        let state = cluster.inner().fe.lock();
        let db = state.database_named("d1").expect("the database is there");
        let mut versions = BTreeMap::new();
        for table in TABLES {
            let found = db.table_named(table).and_then(|table| table.as_olap()).expect("the table is there");
            for partition in found.partitions.values() {
                versions.insert((table, partition.name.clone()), partition.visible_version);
            }
        }
        versions
    };
    assert_eq!(versions(&pair.down), versions(&pair.up));
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_of_a_transaction_arrive_together() {
    let (pair, syncer) = in_sync(2).await;
    pair.reset_counters();
    pair.run(&transaction(0)).await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_all_equal(&pair).await;
    assert_eq!(pair.down.counters().get("commitTxn"), 1, "one transaction stays one");
    // The later statement on a key wins, and deleted keys are gone.
    let rows = pair.down.sql_in("d1", "SELECT k, v FROM uniq ORDER BY k").await.unwrap().rows;
    let expected = [("1", "b0"), ("2", "again 0"), ("10", "first")];
    assert_eq!(rows.len(), expected.len());
    for (row, (key, value)) in rows.iter().zip(expected) {
        assert_eq!((row[0].as_deref(), row[1].as_deref()), (Some(key), Some(value)));
    }
    pair.run("BEGIN; INSERT INTO uniq VALUES (77, 'never'); ROLLBACK").await;
    pair.run("INSERT INTO uniq VALUES (78, 'single')").await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_all_equal(&pair).await;
    assert_eq!(pair.up.counters().get("sql:BACKUP"), 0, "no second snapshot");
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_dropped_later_is_left_out() {
    let (pair, syncer) = in_sync(1).await;
    syncer.pause(JOB).await;
    pair.run(&transaction(0)).await;
    pair.run("DROP TABLE parts FORCE").await;
    pair.run("INSERT INTO uniq VALUES (50, 'after')").await;
    syncer.resume(JOB).await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_equal(&pair, "uniq", "uniq").await;
    assert_equal(&pair, "log", "log").await;
    assert_eq!(pair.downstream_tables().await, ["log", "uniq"]);
    syncer.finish().await;
}

async fn loses_replies_of(call: &str) {
    let (pair, syncer) = in_sync(2).await;
    pair.down.faults().add(Fault::new(FaultKind::CutAfter).call(call).times(2));
    for round in 0..4 {
        pair.run(&transaction(round)).await;
    }
    syncer.wait_for(JOB, Target::InSync).await;
    assert!(pair.down.faults().rules().is_empty(), "the faults were met");
    assert_all_equal(&pair).await;
    assert_eq!(pair.up.counters().get("sql:BACKUP"), 1, "no second snapshot");
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_of_commit_are_lost() {
    loses_replies_of("commitTxn").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_of_begin_are_lost() {
    loses_replies_of("beginTxn").await;
}

/// Kills the syncer at several distances from the start of a transaction.
#[tokio::test(flavor = "multi_thread")]
async fn killed_in_the_middle_of_transactions() {
    let (pair, mut syncer) = in_sync(2).await;
    pair.down.faults().add(Fault::new(FaultKind::Delay(2)));
    for (round, call) in ["beginTxn", "ingest_binlog", "commitTxn", "ingest_binlog"].iter().enumerate() {
        let before = pair.down.counters().get(call);
        pair.run(&transaction(round as i32)).await;
        wait_until("the moment to kill the syncer", BOUND, || async {
            if pair.down.counters().get(call) > before { Ok(()) } else { Err((*call).to_owned()) }
        })
        .await;
        syncer.kill();
        pair.run(&transaction(100 + round as i32)).await;
        syncer.restart().await;
    }
    syncer.wait_for(JOB, Target::InSync).await;
    assert_all_equal(&pair).await;
    assert_eq!(pair.up.counters().get("sql:BACKUP"), 1, "no second snapshot");
    syncer.finish().await;
}
