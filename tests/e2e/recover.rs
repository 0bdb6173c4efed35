//! A partition that is recovered upstream: it alone is copied, beside a table that is read all the while.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use minidoris::NodeId;
use minidoris::fault::DebugPoint;

use crate::harness::{BOUND, DB, Pair, Syncer, Target, wait_until};
use crate::matrix::assert_same_database;

const JOB: &str = "recover";

/// While it is on, a restore that has begun stays as it is.
const HOLD: &str = "FE.PAUSE_NON_PENDING_RESTORE_JOB";

const TABLE: &str = "CREATE TABLE parted (k INT NOT NULL, v VARCHAR(20)) UNIQUE KEY(k)
     PARTITION BY RANGE(k) (PARTITION p1 VALUES LESS THAN (\"100\"), PARTITION p2 VALUES LESS THAN (\"200\"))
     DISTRIBUTED BY HASH(k) BUCKETS 2 PROPERTIES (\"binlog.enable\" = \"true\")";

/// A job that is in sync, and whose table has lost its second partition.
async fn following(job: impl Fn(&Pair) -> serde_json::Value) -> (Pair, Syncer) {
    let pair = Pair::with(|options| options.backup_interval = Duration::from_millis(25)).await;
    pair.create_database().await;
    pair.run(TABLE).await;
    pair.create_table("other", 2).await;
    pair.run("INSERT INTO parted VALUES (1, 'one'), (2, 'two'), (101, 'first of p2'), (102, 'second')").await;
    pair.insert("other", 0..10).await;
    let syncer = Syncer::start().await;
    syncer.create(&job(&pair)).await;
    syncer.wait_for(JOB, Target::InSync).await;
    pair.run("ALTER TABLE parted DROP PARTITION p2").await;
    syncer.wait_for(JOB, Target::InSync).await;
    (pair, syncer)
}

fn hold(pair: &Pair) {
    pair.down.inner().debug_points.add(NodeId::Fe(0), HOLD, DebugPoint::default());
}

fn release(pair: &Pair) {
    pair.down.inner().debug_points.remove(NodeId::Fe(0), HOLD);
}

/// Waits until that many restores were asked for, and the last one has begun to change the catalogue.
async fn restore_begun(pair: &Pair, number: u64) {
    wait_until("the restore", BOUND, || async {
        let (calls, state) = (pair.calls("restoreSnapshot"), last_restore(pair, "State").await);
        if calls == number && state != "PENDING" { Ok(()) } else { Err(format!("{calls} calls, {state}")) }
    })
    .await;
}

/// A column of the newest restore.
async fn last_restore(pair: &Pair, column: &str) -> String {
    let shown = pair.down.sql_in(DB, "SHOW RESTORE").await.expect("restores are listed");
    let at = shown.columns.iter().position(|name| name == column).expect("it is shown");
    shown.rows.last().and_then(|row| row[at].clone()).unwrap_or_default()
}

/// The partitions of the target with their ids.
async fn partitions(pair: &Pair) -> Vec<(String, String)> {
    let shown = pair.down.sql_in(DB, "SHOW PARTITIONS FROM parted").await.expect("partitions are listed");
    let at = |name: &str| shown.columns.iter().position(|column| column == name).expect("it is shown");
    let (name, id) = (at("PartitionName"), at("PartitionId"));
    let text = |cell: &Option<String>| cell.clone().unwrap_or_default();
    shown.rows.iter().map(|row| (text(&row[name]), text(&row[id]))).collect()
}

/// Reads the table over and over, until it is told to stop; fails when a read fails or rows are missing.
async fn read_in_a_loop(down: minidoris::Cluster, stop: Arc<AtomicBool>) -> Result<u64, String> {
    let mut reads = 0;
    while !stop.load(Ordering::Acquire) {
        let result = down.sql_in(DB, "SELECT k FROM parted WHERE k < 100").await;
        let rows = result.map_err(|error| format!("read {reads} failed: {error}"))?.rows.len();
        if rows < 2 {
            return Err(format!("read {reads} saw {rows} rows"));
        }
        reads += 1;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(reads)
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_recovered_partition_is_copied_and_reads_and_other_tables_go_on() {
    let (pair, syncer) = following(|pair| pair.database_job(JOB)).await;
    let before = partitions(&pair).await;
    let stop = Arc::new(AtomicBool::new(false));
    let reader = tokio::spawn(read_in_a_loop(pair.down.clone(), Arc::clone(&stop)));
    pair.reset_counters();
    hold(&pair);
    pair.run("RECOVER PARTITION p2 FROM parted").await;
    pair.run("INSERT INTO parted VALUES (3, 'beside'), (103, 'into it')").await;
    restore_begun(&pair, 1).await;
    pair.run("INSERT INTO parted VALUES (4, 'beside'), (102, 'changed')").await;
    pair.insert("other", 10..20).await;
    wait_until("the other table goes on", BOUND, || async {
        let rows = pair.downstream_rows("other").await;
        if rows == 20 { Ok(()) } else { Err(format!("{rows} rows")) }
    })
    .await;
    assert_eq!(
        pair.downstream_rows("parted").await,
        2,
        "the table is as it was until the partition is there"
    );
    release(&pair);
    syncer.wait_for(JOB, Target::InSync).await;
    stop.store(true, Ordering::Release);
    let reads =
        reader.await.expect("the reader does not panic").expect("every read sees the other partition");
    assert!(reads > 0, "the table was read");
    assert_same_database(&pair).await;
    let after = partitions(&pair).await;
    assert_eq!(after[..1], before[..], "the partition that was there has stayed");
    assert_eq!(after.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["p1", "p2"]);
    assert_eq!((pair.calls("sql:BACKUP"), pair.calls("restoreSnapshot")), (1, 1));
    let objects: serde_json::Value =
        serde_json::from_str(&last_restore(&pair, "RestoreObjs").await).expect("it is JSON");
    assert_eq!(objects["olap_table_list"][0]["partition_names"], serde_json::json!(["p2"]), "{objects}");
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_syncer_goes_on_with_its_restore_of_a_partition() {
    let (pair, mut syncer) = following(|pair| pair.table_job(JOB, "parted", "parted")).await;
    pair.reset_counters();
    hold(&pair);
    pair.run("RECOVER PARTITION p2 AS second FROM parted").await;
    pair.run("INSERT INTO parted VALUES (3, 'beside'), (103, 'into it')").await;
    restore_begun(&pair, 1).await;
    syncer.kill();
    syncer.restart().await;
    pair.run("INSERT INTO parted VALUES (104, 'into it')").await;
    release(&pair);
    syncer.wait_for(JOB, Target::InSync).await;
    crate::harness::assert_equal(&pair, "parted", "parted").await;
    assert_eq!((pair.calls("sql:BACKUP"), pair.calls("restoreSnapshot")), (1, 1));
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_changes_while_a_partition_comes_back_is_copied_whole_and_says_why() {
    let (pair, syncer) = following(|pair| pair.database_job(JOB)).await;
    syncer.pause(JOB).await;
    pair.run("RECOVER PARTITION p2 FROM parted").await;
    pair.run("ALTER TABLE parted ADD COLUMN w INT DEFAULT \"3\"").await;
    pair.run("INSERT INTO parted VALUES (105, 'new', 7)").await;
    syncer.resume(JOB).await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_same_database(&pair).await;
    let log = syncer.log_text();
    let why = "cannot be copied without its table: ";
    assert!(log.lines().any(|line| line.contains(why) && line.contains("different schema")), "{log}");
    syncer.finish().await;
}
