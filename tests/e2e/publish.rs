//! Transactions that are committed downstream and not visible: counted as lag until they are, and in nobody's way.

use minidoris::fault::debug_points::{DebugPoint, STOP_PUBLISH};
use minidoris::{Fault, FaultKind, NodeId};

use crate::harness::{BOUND, Pair, Syncer, Target, assert_equal, wait_until};

const JOB: &str = "publish";
const ROUNDS: i32 = 5;

fn stop_publish(pair: &Pair) {
    let points = &pair.down.inner().debug_points;
    points.add(NodeId::Fe(0), STOP_PUBLISH, DebugPoint::default());
}

async fn unpublished(syncer: &Syncer) -> i64 {
    syncer.progress(JOB).await["unpublished"]["transactions"].as_i64().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_visible_yet_is_lag_and_holds_nobody_up() {
    let pair = Pair::start().await;
    pair.create_database().await;
    let tables = ["a", "b"];
    for table in tables {
        pair.create_table(table, 1).await;
    }
    let mut syncer = Syncer::start().await;
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_for(JOB, Target::InSync).await;

    stop_publish(&pair);
    pair.reset_counters();
    for round in 0..ROUNDS {
        for table in tables {
            pair.insert(table, round * 10..round * 10 + 1).await;
        }
    }
    // Everything is committed although nothing is published, and of each table the newest is known.
    let all = u64::try_from(2 * ROUNDS).expect("few");
    let committed = async || match pair.down.counters().get("commitTxn") {
        count if count == all => Ok(()),
        count => Err(format!("{count} of {all}")),
    };
    wait_until("all commits", BOUND, committed).await;
    let known = async || match unpublished(&syncer).await {
        2 => Ok(()),
        count => Err(format!("{count} transactions")),
    };
    wait_until("two tables with something on its way", BOUND, known).await;
    assert!(syncer.lag(JOB).await >= 1);
    for table in tables {
        assert_eq!(pair.downstream_rows(table).await, 0);
    }

    // A new process knows it too, and does not do it again.
    syncer.kill();
    syncer.restart().await;
    let known = async || match unpublished(&syncer).await {
        2.. => Ok(()),
        count => Err(format!("{count} transactions")),
    };
    wait_until("the same after a restart", BOUND, known).await;
    assert!(syncer.lag(JOB).await >= 1);

    pair.down.inner().debug_points.clear(NodeId::Fe(0));
    syncer.wait_for(JOB, Target::InSync).await;
    assert_eq!(unpublished(&syncer).await, 0);
    for table in tables {
        assert_equal(&pair, table, table).await;
    }
    assert_eq!(pair.down.counters().get("commitTxn"), all, "no commit was needed twice");
    syncer.finish().await;
}

/// Doris drops nothing that a committed transaction has yet to write to, so the drop comes when that is visible.
#[tokio::test(flavor = "multi_thread")]
async fn a_drop_waits_for_what_is_not_visible_yet_and_keeps_nobody_else() {
    let pair = Pair::start().await;
    pair.create_database().await;
    pair.create_table("kept", 1).await;
    pair.create_table("slowly", 1).await;
    pair.run(
        "CREATE TABLE slowly_parted (k INT NOT NULL) DUPLICATE KEY(k) PARTITION BY RANGE(k) \
         (PARTITION p1 VALUES LESS THAN (\"10\"), PARTITION p2 VALUES LESS THAN (\"20\")) \
         DISTRIBUTED BY HASH(k) BUCKETS 1",
    )
    .await;
    let mut syncer = Syncer::start_with(&["--quarantine_after=1s"]).await;
    syncer.allow("keeps failing");
    syncer.allow("cannot be dropped yet");
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_for(JOB, Target::InSync).await;

    let status = FaultKind::Status { code: 6, text: "not now".to_owned() };
    pair.down.faults().add(Fault::new(status).call("publish").containing("slowly"));
    pair.insert("slowly", 0..3).await;
    pair.run("INSERT INTO slowly_parted VALUES (1), (11)").await;
    let committed = async || match unpublished(&syncer).await {
        2 => Ok(()),
        count => Err(format!("{count} transactions")),
    };
    wait_until("both loads are committed", BOUND, committed).await;
    pair.run("DROP TABLE slowly").await;
    pair.run("ALTER TABLE slowly_parted DROP PARTITION p1").await;
    pair.insert("kept", 0..3).await;
    for statement in ["sql:DROP TABLE", "sql:ALTER TABLE"] {
        let asked = async || match pair.down.counters().get(statement) {
            count if count > 1 => Ok(()),
            count => Err(format!("{count}")),
        };
        wait_until("the drop is refused and tried again", BOUND, asked).await;
    }
    let appears = async || match pair.downstream_rows("kept").await {
        3 => Ok(()),
        count => Err(format!("{count} rows")),
    };
    wait_until("the rows of the other table", BOUND, appears).await;
    assert_eq!(pair.downstream_tables().await, ["kept", "slowly", "slowly_parted"]);
    assert!(syncer.lag(JOB).await >= 1);

    pair.down.faults().clear();
    syncer.wait_for(JOB, Target::InSync).await;
    assert_eq!(pair.downstream_tables().await, ["kept", "slowly_parted"]);
    assert_equal(&pair, "slowly_parted", "slowly_parted").await;
    assert_equal(&pair, "kept", "kept").await;
    assert_eq!(pair.up.counters().get("sql:BACKUP"), 1, "nothing is copied for it");
    syncer.finish().await;
}
