//! Transactions that are committed downstream and not visible: counted as lag until they are, and in nobody's way.

use minidoris::NodeId;
use minidoris::fault::debug_points::{DebugPoint, STOP_PUBLISH};

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
