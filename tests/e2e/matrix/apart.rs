//! What becomes of a table while it is copied on its own: emptied, renamed, exchanged, made anew, altered again.

use minidoris::fault::DebugPoint;
use minidoris::{Cluster, NodeId};

use super::run::{HOLD_RESTORES, Shape, assert_one_full_backup, end_of, run, settle, slow_pair};
use super::same::{assert_same_database, assert_same_table};
use super::{
    Case, HOLD_ALTERS, MORE, MORE_ROWS, PLAIN, PLAIN_TABLE, RELEASE_ALTERS, STEP_ALTERS, WITH_OTHER, case,
};
use crate::harness::{BOUND, DB, Pair, Syncer, Target, wait_until};

const JOB: &str = "apart";
const MOMENT: &str = "apart";

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

/// In a table job the table that took the place, or the name, is the one to follow.
fn of_table_jobs() -> Vec<Case> {
    let followed = |case: &&Case| case.name != "dropped";
    let ended = |case: &Case| match case.name {
        "renamed" => case.ends_as("{t}_new"),
        "replacing" => case.ends_as("{t}_x"),
        _ => *case,
    };
    CHANGES.iter().filter(followed).map(ended).collect()
}

/// How far a copy of a table has come.
#[derive(Debug, Clone, Copy)]
enum Stage {
    /// Its backup is asked for and has not begun.
    Backup,
    /// It is being put in place.
    Restore,
}

impl Stage {
    /// Who works, how the statement that shows the work begins, what asks for it, and what holds it.
    fn facts(self, pair: &Pair) -> (&Cluster, &'static str, &'static str, &'static str) {
        match self {
            Self::Backup => (&pair.up, "SHOW BACKUP", "sql:BACKUP", "FE.PAUSE_PENDING_BACKUP_JOB"),
            Self::Restore => (&pair.down, "SHOW RESTORE", "restoreSnapshot", HOLD_RESTORES),
        }
    }

    /// Makes the change while a copy of the case's table is held there.
    async fn change(self, pair: &Pair, syncer: &Syncer, job: &str, case: &Case) {
        let one = std::slice::from_ref(case);
        let (cluster, show, call, hold) = self.facts(pair);
        let before = pair.calls(call);
        cluster.inner().debug_points.add(NodeId::Fe(0), hold, DebugPoint::default());
        run(pair, one, MOMENT, |_| &[HEAVY]).await;
        settle(pair).await;
        wait_until(&format!("the copy of {} is held: {self:?}", case.name), BOUND, || async {
            let shown = cluster.sql_in(DB, show).await.map_err(|error| error.to_string())?;
            let at = shown.columns.iter().position(|column| column == "State").expect("it is shown");
            let state = shown.rows.last().and_then(|row| row[at].clone()).unwrap_or_default();
            let is_held = matches!(self, Self::Backup) == (state == "PENDING");
            if pair.calls(call) > before && is_held { Ok(()) } else { Err(state) }
        })
        .await;
        run(pair, one, MOMENT, |case| case.change).await;
        cluster.inner().debug_points.remove(NodeId::Fe(0), hold);
        run(pair, one, MOMENT, |case| case.after).await;
        syncer.wait_for(job, Target::InSync).await;
        run(pair, one, MOMENT, |case| case.after).await;
    }
}

async fn in_a_database_job(stage: Stage) {
    let pair = slow_pair(|_| {}).await;
    run(&pair, CHANGES, MOMENT, |case| case.setup).await;
    let syncer = Syncer::start().await;
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_for(JOB, Target::InSync).await;
    for case in CHANGES {
        stage.change(&pair, &syncer, JOB, case).await;
    }
    syncer.wait_for(JOB, Target::InSync).await;
    assert_same_database(&pair).await;
    assert_one_full_backup(&syncer, 1);
    syncer.finish().await;
}

async fn in_table_jobs(stage: Stage) {
    let pair = slow_pair(|_| {}).await;
    let cases = of_table_jobs();
    run(&pair, &cases, MOMENT, |case| case.setup).await;
    let syncer = Syncer::start().await;
    let target_of = |case: &Case| Shape::OTHER_TABLE.target_of(case, MOMENT);
    for case in &cases {
        let source = Shape::SAME.target_of(case, MOMENT);
        syncer.create(&pair.table_job(case.name, &source, &target_of(case))).await;
        syncer.wait_for(case.name, Target::InSync).await;
        stage.change(&pair, &syncer, case.name, case).await;
    }
    for case in &cases {
        syncer.wait_for(case.name, Target::InSync).await;
        assert_same_table(pair.source(), &end_of(case, MOMENT), pair.target(), &target_of(case)).await;
    }
    let expected: Vec<String> = cases.iter().map(target_of).collect();
    let mut tables = pair.downstream_tables().await;
    tables.retain(|table| !expected.contains(table));
    assert_eq!(tables, [""; 0], "no other table is left");
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_being_copied_may_change_in_any_way() {
    in_a_database_job(Stage::Restore).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_of_a_table_job_may_change_in_any_way_while_it_is_copied() {
    in_table_jobs(Stage::Restore).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_waits_for_its_copy_may_change_in_any_way() {
    in_a_database_job(Stage::Backup).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_of_a_table_job_may_change_in_any_way_while_it_waits_for_its_copy() {
    in_table_jobs(Stage::Backup).await;
}
