//! Schema changes, rollups, materialised views and builds of indexes that are given up: nothing of them is left,
//! and the loads that filled their shadow indexes are there.

use super::{
    Case, HOLD_ALTERS, MORE, MORE_ROWS, PLAIN, PLAIN_ROWS, PLAIN_TABLE, RANGED, RELEASE_ALTERS, SETTLE,
    STEP_ALTERS, case, families,
};

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
