//! A snapshot that is gone between its backup and its restore: another one is taken, with the reason, and nobody has
//! to act.

use serde_json::{Value, json};

use crate::harness::{BOUND, DB, Pair, Syncer, Target, wait_until};
use crate::matrix::assert_same_database;

const JOB: &str = "snapshots";
const TWO_DAYS_MS: i64 = 2 * 86_400_000;
const DIES: &[&str] = &["--enable_failpoints", "--failpoints", "start_restore:before=crash"];

/// How the upstream loses a snapshot.
#[derive(Clone, Copy)]
enum Loss {
    Expired,
    /// It remembers the last ten jobs of a database.
    Forgotten,
}

impl Loss {
    async fn happen(self, pair: &Pair) {
        match self {
            Loss::Expired => pair.up.clock().advance_ms(TWO_DAYS_MS),
            Loss::Forgotten => {
                for number in 0..10 {
                    back_up(pair, &format!("of_a_user_{number}")).await;
                }
            }
        }
    }
}

/// What somebody else keeps on the upstream.
async fn back_up(pair: &Pair, label: &str) {
    pair.run(&format!("BACKUP SNAPSHOT {DB}.{label} TO `__keep_on_local__` ON (t2)")).await;
    wait_until("the backup has ended", BOUND, || async {
        let jobs = pair.up.sql(&format!("SHOW BACKUP FROM {DB}")).await.expect("backups are listed").rows;
        let newest = jobs.iter().find(|row| row[1].as_deref() == Some(label)).and_then(|row| row[3].clone());
        if newest.as_deref() == Some("FINISHED") { Ok(()) } else { Err(format!("{newest:?}")) }
    })
    .await;
}

/// Two tables with rows upstream.
async fn prepared() -> Pair {
    let pair = Pair::start().await;
    pair.create_database().await;
    for table in ["t1", "t2"] {
        pair.create_table(table, 2).await;
        pair.insert(table, 0..10).await;
    }
    pair
}

/// The syncer has died with its snapshot taken, which is lost; it goes on, and takes one more.
async fn goes_on_after(loss: Loss, pair: &Pair, syncer: &mut Syncer) -> Value {
    syncer.crashed().await;
    pair.insert("t1", 10..15).await;
    loss.happen(pair).await;
    syncer.set_flags(&[]);
    syncer.restart().await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_same_database(pair).await;
    let progress = syncer.progress(JOB).await;
    assert_eq!(progress["blocked"], Value::Null);
    assert_eq!(pair.up.counters().get("sql:BACKUP"), 2);
    progress
}

async fn full_sync_after(loss: Loss) {
    let pair = prepared().await;
    let mut syncer = Syncer::start_with(DIES).await;
    let job = pair.database_job(JOB).to_string();
    // The answer may be lost with the process.
    let _ = reqwest::Client::new().post(syncer.url("create_ccr")).body(job).send().await;
    let progress = goes_on_after(loss, &pair, &mut syncer).await;
    assert_eq!(progress["full_sync_info"]["reason"]["kind"], "snapshot_lost", "{progress}");
    assert_eq!(pair.down.counters().get("restoreSnapshot"), 1);
    syncer.finish().await;
}

async fn partial_sync_after(loss: Loss) {
    let pair = prepared().await;
    let mut syncer = Syncer::start().await;
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_for(JOB, Target::InSync).await;
    syncer.stop().await;
    pair.up.counters().reset();
    pair.run("ALTER TABLE t1 MODIFY COLUMN v STRING").await;
    pair.insert("t2", 10..15).await;
    syncer.set_flags(DIES);
    syncer.launch();
    let progress = goes_on_after(loss, &pair, &mut syncer).await;
    assert_eq!(progress["full_sync_info"]["reason"]["kind"], "created", "no full sync: {progress}");
    let history = progress["history"].as_array().cloned().unwrap_or_default();
    let is_lost = |entry: &Value| {
        entry["plan"] == json!("partial_sync")
            && entry["reason"].as_str().is_some_and(|reason| reason.contains("cannot be used"))
    };
    assert!(history.iter().any(is_lost), "the reason is in the history: {progress}");
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_sync_takes_another_snapshot_when_its_own_has_expired() {
    full_sync_after(Loss::Expired).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_sync_takes_another_snapshot_when_its_own_is_forgotten() {
    full_sync_after(Loss::Forgotten).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_backed_up_again_when_its_snapshot_has_expired() {
    partial_sync_after(Loss::Expired).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_backed_up_again_when_its_snapshot_is_forgotten() {
    partial_sync_after(Loss::Forgotten).await;
}
