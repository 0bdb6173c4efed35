//! What becomes of a table while it is copied on its own: emptied, renamed, exchanged, made anew, altered again.

use minidoris::NodeId;
use minidoris::fault::DebugPoint;

use super::run::{HOLD_RESTORES, assert_one_full_backup, run, settle, slow_pair};
use super::same::assert_same_database;
use super::{
    Case, HOLD_ALTERS, MORE, MORE_ROWS, PLAIN, PLAIN_ROWS, PLAIN_TABLE, RELEASE_ALTERS, STEP_ALTERS, case,
};
use crate::harness::{BOUND, DB, Syncer, Target, wait_until};

const JOB: &str = "apart";
const MOMENT: &str = "apart";

const OTHER: &str = "CREATE TABLE {t}_x (k INT NOT NULL, v VARCHAR(20), n INT) DUPLICATE KEY(k) \
     DISTRIBUTED BY HASH(k) BUCKETS 3 PROPERTIES (\"binlog.enable\" = \"true\")";
const OTHER_ROWS: &str = "INSERT INTO {t}_x VALUES (71, 'x', 1), (72, NULL, 2)";
const WITH_OTHER: &[&str] = &[PLAIN_TABLE, PLAIN_ROWS, OTHER, OTHER_ROWS];

/// What copies the table.
const HEAVY: &str = "ALTER TABLE {t} MODIFY COLUMN n BIGINT";

/// While the copy is put in place.
const CHANGES: &[Case] = &[
    case("truncated", PLAIN, &["TRUNCATE TABLE {t}", MORE], MORE_ROWS),
    case(
        "renamed",
        PLAIN,
        &["ALTER TABLE {t} RENAME {t}_new"],
        &["INSERT INTO {t}_new VALUES (4, 'renamed', 1)"],
    ),
    case(
        "replaced",
        WITH_OTHER,
        &["ALTER TABLE {t} REPLACE WITH TABLE {t}_x PROPERTIES (\"swap\" = \"false\")"],
        MORE_ROWS,
    ),
    case(
        "swapped",
        WITH_OTHER,
        &["ALTER TABLE {t} REPLACE WITH TABLE {t}_x PROPERTIES (\"swap\" = \"true\")"],
        &[MORE, "INSERT INTO {t}_x VALUES (75, 'swapped', 5)"],
    ),
    case(
        "replacing",
        WITH_OTHER,
        &["ALTER TABLE {t}_x REPLACE WITH TABLE {t} PROPERTIES (\"swap\" = \"false\")"],
        &["INSERT INTO {t}_x VALUES (76, 'replaced', 5)"],
    ),
    case("dropped", PLAIN, &["DROP TABLE {t} FORCE"], &[]),
    case("made_anew", PLAIN, &["DROP TABLE {t} FORCE", PLAIN_TABLE, MORE], MORE_ROWS),
    case(
        "altered",
        PLAIN,
        &["ALTER TABLE {t} ADD COLUMN c INT DEFAULT \"7\"", "ALTER TABLE {t} RENAME COLUMN v w"],
        &["INSERT INTO {t} VALUES (7, 'seven', 7, NULL)"],
    ),
    case(
        "cancelled",
        PLAIN,
        &[
            HOLD_ALTERS,
            "ALTER TABLE {t} ADD COLUMN k2 INT KEY DEFAULT \"0\" AFTER k",
            STEP_ALTERS,
            MORE,
            "CANCEL ALTER TABLE COLUMN FROM {t}",
            RELEASE_ALTERS,
        ],
        MORE_ROWS,
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_being_copied_may_change_in_any_way() {
    let pair = slow_pair(|_| {}).await;
    run(&pair, CHANGES, MOMENT, |case| case.setup).await;
    let syncer = Syncer::start().await;
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_for(JOB, Target::InSync).await;
    for case in CHANGES {
        let one = std::slice::from_ref(case);
        pair.down.inner().debug_points.add(NodeId::Fe(0), HOLD_RESTORES, DebugPoint::default());
        let restores = pair.calls("restoreSnapshot");
        run(&pair, one, MOMENT, |_| &[HEAVY]).await;
        settle(&pair).await;
        wait_until(&format!("the restore of {} has begun", case.name), BOUND, || async {
            let shown = pair.down.sql_in(DB, "SHOW RESTORE").await.map_err(|error| error.to_string())?;
            let at = shown.columns.iter().position(|column| column == "State").expect("it is shown");
            let state = shown.rows.last().and_then(|row| row[at].clone()).unwrap_or_default();
            let began = pair.calls("restoreSnapshot") > restores && state != "PENDING";
            if began { Ok(()) } else { Err(state) }
        })
        .await;
        run(&pair, one, MOMENT, |case| case.change).await;
        pair.down.inner().debug_points.remove(NodeId::Fe(0), HOLD_RESTORES);
        run(&pair, one, MOMENT, |case| case.after).await;
        syncer.wait_for(JOB, Target::InSync).await;
        run(&pair, one, MOMENT, |case| case.after).await;
    }
    syncer.wait_for(JOB, Target::InSync).await;
    assert_same_database(&pair).await;
    assert_one_full_backup(&syncer, 1);
    syncer.finish().await;
}
