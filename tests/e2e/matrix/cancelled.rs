//! Schema changes, rollups, materialised views and builds of indexes that are given up: nothing of them is left,
//! and the loads that filled their shadow indexes are there.

use super::run::{Shape, assert_one_full_backup, run, slow_pair};
use super::same::{assert_same_database, assert_same_table};
use super::{
    Case, HOLD_ALTERS, MORE, MORE_ROWS, PLAIN, PLAIN_ROWS, PLAIN_TABLE, RANGED, RELEASE_ALTERS, SETTLE,
    STEP_ALTERS, case, families,
};
use crate::harness::{Syncer, Target};

const JOB: &str = "cancelled";
const MOMENT: &str = "again";

const WITH_INDEX: &[&str] = &[PLAIN_TABLE, PLAIN_ROWS, "ALTER TABLE {t} ADD INDEX i (v) USING INVERTED"];
const TYPED: &str = "ALTER TABLE {t} MODIFY COLUMN n BIGINT";
const CANCEL: &str = "CANCEL ALTER TABLE COLUMN FROM {t}";

const CANCELLED: &[Case] = &[
    case("cancelled_at_once", PLAIN, &[HOLD_ALTERS, TYPED, MORE, CANCEL, RELEASE_ALTERS], MORE_ROWS),
    case(
        "cancelled_with_shadow",
        PLAIN,
        &[HOLD_ALTERS, TYPED, STEP_ALTERS, MORE, CANCEL, RELEASE_ALTERS],
        MORE_ROWS,
    ),
    case(
        "cancelled_key",
        RANGED,
        &[
            HOLD_ALTERS,
            "ALTER TABLE {t} ADD COLUMN k2 INT KEY DEFAULT \"0\" AFTER k",
            STEP_ALTERS,
            "INSERT INTO {t} VALUES (6, 'six', 60), (106, 'hundred', 0)",
            CANCEL,
            RELEASE_ALTERS,
            "ALTER TABLE {t} ADD PARTITION p3 VALUES LESS THAN (\"300\")",
        ],
        &["INSERT INTO {t} VALUES (7, 'seven', 70), (207, 'third', 0)"],
    ),
    case(
        "cancelled_rollup",
        PLAIN,
        &[
            HOLD_ALTERS,
            "ALTER TABLE {t} ADD ROLLUP r (k, n)",
            STEP_ALTERS,
            MORE,
            "CANCEL ALTER TABLE ROLLUP FROM {t}",
            RELEASE_ALTERS,
        ],
        MORE_ROWS,
    ),
    case(
        "cancelled_view",
        PLAIN,
        &[
            HOLD_ALTERS,
            "CREATE MATERIALIZED VIEW mv AS SELECT k, n FROM {t}",
            STEP_ALTERS,
            MORE,
            "CANCEL ALTER TABLE MATERIALIZED VIEW FROM {t}",
            RELEASE_ALTERS,
        ],
        MORE_ROWS,
    ),
    case(
        "cancelled_then_done",
        PLAIN,
        &[HOLD_ALTERS, TYPED, STEP_ALTERS, MORE, CANCEL, RELEASE_ALTERS, TYPED, SETTLE],
        &["INSERT INTO {t} VALUES (6, 'big', 60000000000)"],
    ),
    case(
        "done_then_cancelled",
        PLAIN,
        &[
            TYPED,
            SETTLE,
            HOLD_ALTERS,
            "ALTER TABLE {t} ORDER BY (k, n, v)",
            STEP_ALTERS,
            MORE,
            CANCEL,
            RELEASE_ALTERS,
        ],
        MORE_ROWS,
    ),
    case(
        "cancelled_then_light",
        PLAIN,
        &[
            HOLD_ALTERS,
            TYPED,
            STEP_ALTERS,
            MORE,
            CANCEL,
            RELEASE_ALTERS,
            "ALTER TABLE {t} ADD COLUMN c INT DEFAULT \"7\"",
        ],
        &["INSERT INTO {t} VALUES (7, 'seven', 7, NULL)"],
    ),
];

const BUILDS: &[Case] = &[case(
    "cancelled_build",
    WITH_INDEX,
    &[HOLD_ALTERS, "BUILD INDEX i ON {t}", MORE, "CANCEL BUILD INDEX ON {t}", RELEASE_ALTERS],
    MORE_ROWS,
)];

families! { IN_DATABASE_JOBS, in_database_job:
    changes_are_given_up => CANCELLED, [ALTER_JOB];
    builds_of_indexes_are_given_up => BUILDS, [INDEX_CHANGE_JOB];
}

families! { IN_TABLE_JOBS, in_table_jobs:
    table_jobs_follow_changes_that_are_given_up => CANCELLED, [ALTER_JOB];
    table_jobs_follow_builds_that_are_given_up => BUILDS, [INDEX_CHANGE_JOB];
}

/// Also not for the loads that filled a shadow index which is gone when they are read.
async fn costs_no_copy(one_for_all: bool) {
    let pair = slow_pair(|_| {}).await;
    let cases: Vec<Case> = CANCELLED.iter().filter(|case| !case.change.contains(&SETTLE)).copied().collect();
    run(&pair, &cases, MOMENT, |case| case.setup).await;
    let syncer = Syncer::start().await;
    let target = |case: &Case| Shape::OTHER_TABLE.target_of(case, MOMENT);
    let mut jobs = vec![JOB];
    if one_for_all {
        syncer.create(&pair.database_job(JOB)).await;
    } else {
        jobs = cases.iter().map(|case| case.name).collect();
        for case in &cases {
            let source = Shape::SAME.target_of(case, MOMENT);
            syncer.create(&pair.table_job(case.name, &source, &target(case))).await;
            syncer.wait_for(case.name, Target::InSync).await;
        }
    }
    let all_in_sync = async || {
        for job in &jobs {
            syncer.wait_for(job, Target::InSync).await;
        }
    };
    all_in_sync().await;
    // Once read as it happens, and once when all is over.
    for case in &cases {
        for statement in case.change {
            run(&pair, std::slice::from_ref(case), MOMENT, |_| std::slice::from_ref(statement)).await;
            syncer.wait_for(if one_for_all { JOB } else { case.name }, Target::InSync).await;
        }
    }
    for job in &jobs {
        syncer.pause(job).await;
    }
    // Those that can be done twice.
    let leaves_nothing = |case: &&Case| !["cancelled_key", "cancelled_then_light"].contains(&case.name);
    let again: Vec<Case> = cases.iter().filter(leaves_nothing).copied().collect();
    run(&pair, &again, MOMENT, |case| case.change).await;
    for job in &jobs {
        syncer.resume(job).await;
    }
    run(&pair, &cases, MOMENT, |case| case.after).await;
    all_in_sync().await;
    if one_for_all {
        assert_same_database(&pair).await;
    } else {
        for case in &cases {
            let source = Shape::SAME.target_of(case, MOMENT);
            assert_same_table(pair.source(), &source, pair.target(), &target(case)).await;
        }
    }
    assert_eq!(syncer.log_text().matches("plan=partial_sync").count(), 0, "{}", syncer.log_text());
    assert_one_full_backup(&syncer, jobs.len());
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_up_costs_no_copy() {
    futures::join!(costs_no_copy(true), costs_no_copy(false));
}
