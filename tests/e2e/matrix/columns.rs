//! Columns, rollups and indexes: what a statement repeats, and what copies the table again.

use super::{
    Case, MORE, MORE_ROWS, PLAIN, PLAIN_ROWS, PLAIN_TABLE, SETTLE, case, in_database_job, in_table_jobs,
};

const LIGHT: &[Case] = &[
    case(
        "added",
        PLAIN,
        &["ALTER TABLE {t} ADD COLUMN c INT DEFAULT \"7\"", "INSERT INTO {t} VALUES (6, 'six', 6, 6)"],
        &["INSERT INTO {t} VALUES (7, 'seven', 7, NULL)"],
    ),
    case("dropped", PLAIN, &["ALTER TABLE {t} DROP COLUMN n"], &["INSERT INTO {t} VALUES (6, 'six')"]),
    case(
        "longer",
        PLAIN,
        &["ALTER TABLE {t} MODIFY COLUMN v VARCHAR(50)"],
        &["INSERT INTO {t} VALUES (6, 'longer than twenty characters', 6)"],
    ),
    case("renamed", PLAIN, &["ALTER TABLE {t} RENAME COLUMN v note"], MORE_ROWS),
    case(
        "came_back",
        PLAIN,
        &["ALTER TABLE {t} DROP COLUMN n", "ALTER TABLE {t} ADD COLUMN n INT DEFAULT \"1\""],
        MORE_ROWS,
    ),
];

const HEAVY: &[Case] = &[
    case(
        "typed",
        PLAIN,
        &["ALTER TABLE {t} MODIFY COLUMN n BIGINT", MORE, SETTLE],
        &["INSERT INTO {t} VALUES (6, 'big', 60000000000)"],
    ),
    case(
        "keyed",
        PLAIN,
        &["ALTER TABLE {t} ADD COLUMN k2 INT KEY DEFAULT \"0\" AFTER k", SETTLE],
        &["INSERT INTO {t} VALUES (6, 1, 'six', 6)"],
    ),
    case(
        "reordered",
        PLAIN,
        &["ALTER TABLE {t} ORDER BY (k, n, v)", SETTLE],
        &["INSERT INTO {t} VALUES (6, 6, 'six')"],
    ),
    case("bloom", PLAIN, &["ALTER TABLE {t} SET (\"bloom_filter_columns\" = \"v\")", SETTLE], MORE_ROWS),
];

const WITH_ROLLUP: &[&str] = &[PLAIN_TABLE, PLAIN_ROWS, "ALTER TABLE {t} ADD ROLLUP r (k, n)", SETTLE];

const ROLLUPS: &[Case] = &[
    case("made", PLAIN, &["ALTER TABLE {t} ADD ROLLUP r (k, n)", MORE, SETTLE], MORE_ROWS),
    case("gone", WITH_ROLLUP, &[MORE, "ALTER TABLE {t} DROP ROLLUP r"], MORE_ROWS),
    case("renamed", WITH_ROLLUP, &["ALTER TABLE {t} RENAME ROLLUP r r2"], MORE_ROWS),
];

const WITH_INDEX: &[&str] = &[PLAIN_TABLE, PLAIN_ROWS, "ALTER TABLE {t} ADD INDEX i (v) USING INVERTED"];

const INDEXES: &[Case] = &[
    case("indexed", PLAIN, &["ALTER TABLE {t} ADD INDEX i (v) USING INVERTED COMMENT 'words'"], MORE_ROWS),
    case("built", WITH_INDEX, &["BUILD INDEX i ON {t}"], MORE_ROWS),
    case("unindexed", WITH_INDEX, &["DROP INDEX i ON {t}"], MORE_ROWS),
];

#[tokio::test(flavor = "multi_thread")]
async fn light_changes_are_followed() {
    in_database_job(LIGHT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn heavy_changes_are_followed() {
    in_database_job(HEAVY).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rollups_are_followed() {
    in_database_job(ROLLUPS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn indexes_are_followed() {
    in_database_job(INDEXES).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn table_jobs_follow_light_changes() {
    in_table_jobs(LIGHT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn table_jobs_follow_heavy_changes() {
    in_table_jobs(HEAVY).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn table_jobs_follow_rollups() {
    in_table_jobs(ROLLUPS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn table_jobs_follow_indexes() {
    in_table_jobs(INDEXES).await;
}
