//! A fault at every call that a job makes to either cluster, and the same end each time: equal databases, and no more
//! copies than without it.
//!
//! The calls are those that the clusters have counted in a run without faults. A few of each are met unless
//! `CCR_EVERY_CALL=all`; `CCR_EVERY_CALL=down:commitTxn:2:CutAfter` runs one.

use futures::StreamExt;
use minidoris::{Cluster, Fault, FaultKind};
use serde_json::json;

use crate::harness::{BOUND, DB, Pair, Syncer, wait_until};
use crate::matrix::assert_same_database;

const JOB: &str = "every_call";

/// Runs at a time; they wait more than they work.
const AT_ONCE: usize = 6;

const KINDS: [FaultKind; 3] = [FaultKind::CutAfter, FaultKind::CutBefore, FaultKind::CutMidReply];

/// What users do while the job runs: loads of one table and of several partitions, a table that is copied, and
/// statements of each family.
const CHANGES: &[&str] = &[
    "INSERT INTO t VALUES (20, 'b'), (21, 'c')",
    "INSERT INTO parted VALUES (5, 'x'), (150, 'y')",
    "ALTER TABLE t ADD COLUMN c INT DEFAULT '1'",
    "INSERT INTO t VALUES (30, 'd', 2)",
    "ALTER TABLE parted ADD PARTITION p3 VALUES LESS THAN ('300')",
    "INSERT INTO parted VALUES (250, 'z')",
    "ALTER TABLE parted DROP PARTITION p1",
    "TRUNCATE TABLE parted PARTITION (p2)",
    "ALTER TABLE copied MODIFY COLUMN k BIGINT KEY NOT NULL",
    "CREATE TABLE made LIKE t",
    "INSERT INTO made VALUES (1, 'm', 3)",
    "ALTER TABLE made RENAME named",
    "INSERT INTO named VALUES (2, 'n', 4)",
    "CREATE VIEW v AS SELECT k, v FROM t",
    "CREATE TABLE gone LIKE t",
    "DROP TABLE gone",
    "INSERT INTO copied VALUES (40, 'e')",
];

/// One fault at one call.
#[derive(Debug, Clone)]
struct At {
    side: &'static str,
    call: String,
    /// Calls of that name that pass before it.
    after: u64,
    kind: FaultKind,
}

impl At {
    fn name(&self) -> String {
        format!("{}:{}:{}:{:?}", self.side, self.call, self.after, self.kind)
    }
}

fn side<'a>(pair: &'a Pair, name: &str) -> &'a Cluster {
    if name == "up" { &pair.up } else { &pair.down }
}

/// Waits until nothing is left to be applied. A question that meets the fault is asked again.
async fn in_sync(syncer: &Syncer, at: &str) {
    wait_until(&format!("{at}: the job is in sync"), BOUND, || async {
        let lag = syncer.post("get_lag", &json!({ "name": JOB })).await;
        let is_so = lag["success"] == json!(true) && lag["lag"] == json!(0);
        if is_so { Ok(()) } else { Err(format!("{lag}; {}", syncer.progress(JOB).await)) }
    })
    .await;
}

/// Follows the changes from the creation of the job to the end, with the fault. Answers how many calls of each name
/// either side has met, and how many backups it took.
async fn follow(at: Option<&At>) -> (Vec<(&'static str, String, u64)>, usize) {
    let name = at.map_or_else(|| "no fault".to_owned(), At::name);
    let pair = Pair::start().await;
    pair.create_database().await;
    for table in ["t", "copied"] {
        pair.create_table(table, 2).await;
        pair.insert(table, 0..10).await;
    }
    pair.run(
        "CREATE TABLE parted (k INT NOT NULL, v VARCHAR(64)) DUPLICATE KEY(k) PARTITION BY RANGE(k) \
         (PARTITION p1 VALUES LESS THAN ('100'), PARTITION p2 VALUES LESS THAN ('200')) \
         DISTRIBUTED BY HASH(k) BUCKETS 2 PROPERTIES ('binlog.enable' = 'true')",
    )
    .await;
    let mut syncer = Syncer::start().await;
    // A check that need not succeed has met the fault.
    syncer.allow("noticed while creating the job");
    if let Some(at) = at {
        let fault = Fault::new(at.kind.clone()).call(&at.call).after(at.after).times(1);
        side(&pair, at.side).faults().add(fault);
    }
    // A check of the creation that meets the fault refuses it, and leaves nothing behind.
    wait_until(&format!("{name}: the job is created"), BOUND, || async {
        let created = syncer.post("create_ccr", &pair.database_job(JOB)).await;
        if created["success"] == json!(true) { Ok(()) } else { Err(created.to_string()) }
    })
    .await;
    in_sync(&syncer, &name).await;
    for sql in CHANGES {
        pair.run(sql).await;
    }
    in_sync(&syncer, &name).await;
    // What the end of a schema change brings is in the binlog only then.
    wait_until(&format!("{name}: the schema change has ended"), BOUND, || async {
        let jobs = pair.up.sql_in(DB, "SHOW ALTER TABLE COLUMN").await.expect("jobs are listed").rows;
        let is_over = jobs.iter().all(|row| row.iter().any(|cell| cell.as_deref() == Some("FINISHED")));
        if is_over { Ok(()) } else { Err(format!("{jobs:?}")) }
    })
    .await;
    in_sync(&syncer, &name).await;
    assert_same_database(&pair).await;
    let backups = pair.up.sql_in(DB, "SHOW BACKUP").await.expect("backups are listed").rows.len();
    let met = ["up", "down"].into_iter().flat_map(|name| {
        let counted = side(&pair, name).counters().snapshot();
        counted.into_iter().map(move |(call, count)| (name, call, count))
    });
    let met = met.collect();
    syncer.finish().await;
    (met, backups)
}

/// The faults of this run: for each call the first, the last and one between them, or every one.
fn faults(met: &[(&'static str, String, u64)], asked: Option<&str>) -> Vec<At> {
    let mut faults = Vec::new();
    for (number, (side, call, count)) in met.iter().enumerate() {
        for after in 0..*count {
            for (at, kind) in KINDS.iter().enumerate() {
                let fault = At { side, call: call.clone(), after, kind: kind.clone() };
                let is_meant = match asked {
                    Some("all") => true,
                    Some(name) => fault.name() == name,
                    // Another kind for each call and each of its moments.
                    None => {
                        let chosen = [0, *count / 2, count.saturating_sub(1)];
                        let moment = chosen.iter().position(|chosen| *chosen == after);
                        moment.is_some_and(|moment| (number + moment) % KINDS.len() == at)
                    }
                };
                if is_meant {
                    faults.push(fault);
                }
            }
        }
    }
    faults
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_at_any_call_changes_nothing() {
    let (met, backups) = follow(None).await;
    assert_eq!(backups, 2, "of the database, and of the table that is copied");
    let asked = std::env::var("CCR_EVERY_CALL").ok();
    let faults = faults(&met, asked.as_deref());
    assert!(!faults.is_empty(), "no such call: {met:?}");
    let runs = futures::stream::iter(faults).map(|at| async move {
        let (_, taken) = follow(Some(&at)).await;
        (at, taken)
    });
    let ended: Vec<(At, usize)> = runs.buffer_unordered(AT_ONCE).collect().await;
    let more: Vec<String> = ended
        .iter()
        .filter(|(_, taken)| *taken != backups)
        .map(|(at, taken)| format!("{taken} at {}", at.name()))
        .collect();
    assert!(more.is_empty(), "other numbers of backups than {backups}: {more:?}");
}
