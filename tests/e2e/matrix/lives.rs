//! The table of a table job comes and goes: dropped and brought back, made anew, once or twice, in
//! every moment of the job. No list of a table tells of that, so the job looks for its table now and then.

use minidoris::fault::DebugPoint;
use minidoris::{Cluster, NodeId};

use super::run::{HOLD_RESTORES, Shape, end_of, run, slow_pair};
use super::same::assert_same_table;
use super::{Case, MORE, MORE_ROWS, PLAIN, PLAIN_TABLE, case};
use crate::harness::compare::contents;
use crate::harness::{BOUND, Pair, Syncer, Target, wait_until};

const ANEW: &str = "CREATE TABLE {t} (k BIGINT, other DATE) UNIQUE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1 \
     PROPERTIES (\"binlog.enable\" = \"true\")";
const ANEW_ROWS: &str = "INSERT INTO {t} VALUES (1, '2024-01-01'), (2, NULL)";

const LIVES: &[Case] = &[
    case("back", PLAIN, &[MORE, "DROP TABLE {t}", "RECOVER TABLE {t}"], MORE_ROWS),
    case("alike", PLAIN, &["DROP TABLE {t}", PLAIN_TABLE, MORE], MORE_ROWS),
    case("anew", PLAIN, &["DROP TABLE {t} FORCE", ANEW], &[ANEW_ROWS]),
    case(
        "twice",
        PLAIN,
        &["DROP TABLE {t} FORCE", PLAIN_TABLE, MORE, "DROP TABLE {t} FORCE", ANEW, ANEW_ROWS],
        &["INSERT INTO {t} VALUES (3, '2024-01-03')"],
    ),
];

/// What holds the job's first snapshot while the table changes.
fn holds<'a>(pair: &'a Pair, moment: &str) -> Option<(&'a Cluster, &'static str, &'static str)> {
    match moment {
        "backup" => Some((&pair.up, "FE.PAUSE_PENDING_BACKUP_JOB", "sql:BACKUP")),
        "restore" => Some((&pair.down, HOLD_RESTORES, "restoreSnapshot")),
        _ => None,
    }
}

async fn lives(moment: &'static str) {
    let pair = slow_pair(|_| {}).await;
    let mut syncer = Syncer::start().await;
    syncer.allow("keeps failing, retrying");
    run(&pair, LIVES, moment, |case| case.setup).await;
    let target_of = |case: &Case| Shape::OTHER_TABLE.target_of(case, moment);
    for case in LIVES {
        let one = std::slice::from_ref(case);
        let held = holds(&pair, moment);
        let before = held.map_or(0, |(_, _, call)| pair.calls(call));
        if let Some((cluster, point, _)) = held {
            cluster.inner().debug_points.add(NodeId::Fe(0), point, DebugPoint::default());
        }
        if moment == "before" {
            run(&pair, one, moment, |case| case.change).await;
        }
        let source = Shape::SAME.target_of(case, moment);
        syncer.create(&pair.table_job(case.name, &source, &target_of(case))).await;
        match held {
            Some((_, _, call)) => {
                wait_until(&format!("{call} of {}", case.name), BOUND, || async {
                    if pair.calls(call) > before { Ok(()) } else { Err("it is not called".to_owned()) }
                })
                .await;
            }
            None => syncer.wait_for(case.name, Target::InSync).await,
        }
        if moment != "before" {
            run(&pair, one, moment, |case| case.change).await;
        }
        if let Some((cluster, point, _)) = held {
            cluster.inner().debug_points.remove(NodeId::Fe(0), point);
        }
        run(&pair, one, moment, |case| case.after).await;
    }
    for _ in 0..2 {
        for case in LIVES {
            let (table, target) = (end_of(case, moment), target_of(case));
            wait_until(&format!("{target} is {table}"), BOUND, || async {
                let up = contents(pair.source(), &table).await?;
                let down = contents(pair.target(), &target).await?;
                if up == down { Ok(()) } else { Err(format!("{up:?} upstream, {down:?} downstream")) }
            })
            .await;
            syncer.wait_for(case.name, Target::InSync).await;
            assert_same_table(pair.source(), &table, pair.target(), &target).await;
        }
        run(&pair, LIVES, moment, |case| case.after).await;
    }
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_job_follows_the_table_of_its_name_through_its_lives() {
    futures::join!(lives("before"), lives("backup"), lives("restore"), lives("stream"));
}
