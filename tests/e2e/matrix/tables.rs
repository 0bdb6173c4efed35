//! Tables and views as a whole: made, dropped, named, exchanged, emptied, brought back.

use super::{
    Case, MORE, MORE_ROWS, PLAIN, PLAIN_ROWS, PLAIN_TABLE, RANGED, case, in_database_job, in_table_jobs,
};

const OTHER: &str = "CREATE TABLE {t}_x (k INT NOT NULL, v VARCHAR(20), n INT) DUPLICATE KEY(k) \
     DISTRIBUTED BY HASH(k) BUCKETS 3 PROPERTIES (\"binlog.enable\" = \"true\")";
const OTHER_ROWS: &str = "INSERT INTO {t}_x VALUES (71, 'x', 1), (72, NULL, 2)";
const WITH_OTHER: &[&str] = &[PLAIN_TABLE, PLAIN_ROWS, OTHER, OTHER_ROWS];

const LIVES: &[Case] = &[
    case("made", PLAIN, &[OTHER, OTHER_ROWS], &[MORE, "INSERT INTO {t}_x VALUES (73, 'later', 3)"]),
    case("dropped", WITH_OTHER, &["INSERT INTO {t}_x VALUES (73, 'last', 3)", "DROP TABLE {t}_x"], MORE_ROWS),
    case("forced", WITH_OTHER, &["DROP TABLE {t}_x FORCE"], MORE_ROWS),
    case("short_lived", PLAIN, &[OTHER, OTHER_ROWS, "DROP TABLE {t}_x FORCE"], MORE_ROWS),
    case(
        "again",
        WITH_OTHER,
        &[
            "DROP TABLE {t}_x FORCE",
            "CREATE TABLE {t}_x (k BIGINT, other DATE) UNIQUE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1 \
             PROPERTIES (\"binlog.enable\" = \"true\")",
            "INSERT INTO {t}_x VALUES (1, '2024-01-01')",
        ],
        &["INSERT INTO {t}_x VALUES (1, '2024-01-02'), (2, NULL)"],
    ),
    case(
        "recovered",
        WITH_OTHER,
        &["DROP TABLE {t}_x", "RECOVER TABLE {t}_x"],
        &["INSERT INTO {t}_x VALUES (74, 'recovered', 4)"],
    ),
];

const EMPTIED: &[Case] = &[
    case("truncated", PLAIN, &["TRUNCATE TABLE {t}"], MORE_ROWS),
    case("twice", PLAIN, &["TRUNCATE TABLE {t}", MORE, "TRUNCATE TABLE {t} FORCE"], MORE_ROWS),
    case(
        "parts",
        RANGED,
        &["TRUNCATE TABLE {t} PARTITION (p2)"],
        &["INSERT INTO {t} VALUES (102, 'new', 1)"],
    ),
];

const RENAMED: &[Case] = &[case(
    "renamed",
    PLAIN,
    &["ALTER TABLE {t} RENAME {t}_new"],
    &["INSERT INTO {t}_new VALUES (4, 'renamed', 1)"],
)];

const DESCRIBED: &[Case] = &[
    case("commented", PLAIN, &["ALTER TABLE {t} MODIFY COMMENT 'it''s a \"table\"'"], MORE_ROWS),
    case("column_comment", PLAIN, &["ALTER TABLE {t} MODIFY COLUMN v COMMENT 'a `name`'"], MORE_ROWS),
    case("property", PLAIN, &["ALTER TABLE {t} SET (\"compaction_policy\" = \"time_series\")"], MORE_ROWS),
];

const EXCHANGED: &[Case] = &[
    case(
        "swapped",
        WITH_OTHER,
        &["ALTER TABLE {t} REPLACE WITH TABLE {t}_x PROPERTIES (\"swap\" = \"true\")"],
        &[MORE, "INSERT INTO {t}_x VALUES (75, 'swapped', 5)"],
    ),
    case(
        "replaced",
        WITH_OTHER,
        &["ALTER TABLE {t} REPLACE WITH TABLE {t}_x PROPERTIES (\"swap\" = \"false\")"],
        MORE_ROWS,
    ),
];

const VIEWS: &[Case] = &[
    case("viewed", PLAIN, &["CREATE VIEW {t}_v AS SELECT k, v FROM {t} WHERE k > 1"], MORE_ROWS),
    case(
        "view_altered",
        &[PLAIN_TABLE, PLAIN_ROWS, "CREATE VIEW {t}_v AS SELECT k FROM {t}"],
        &["ALTER VIEW {t}_v AS SELECT k, n FROM {t} WHERE n IS NOT NULL"],
        MORE_ROWS,
    ),
    case(
        "view_dropped",
        &[PLAIN_TABLE, PLAIN_ROWS, "CREATE VIEW {t}_v AS SELECT k FROM {t}"],
        &["DROP VIEW {t}_v"],
        MORE_ROWS,
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn tables_come_and_go() {
    in_database_job(LIVES).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_emptied() {
    in_database_job(EMPTIED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_renamed() {
    in_database_job(RENAMED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_described() {
    in_database_job(DESCRIBED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_exchanged() {
    in_database_job(EXCHANGED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn views_are_followed() {
    in_database_job(VIEWS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn table_jobs_follow_their_table() {
    in_table_jobs(EMPTIED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn table_jobs_follow_descriptions() {
    in_table_jobs(DESCRIBED).await;
}
