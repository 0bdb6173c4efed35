//! Statements that change rows.

use super::{Case, MORE, MORE_ROWS, PLAIN, RANGED, case, in_database_job, in_table_jobs};

const UNIQUE: &[&str] = &[
    "CREATE TABLE {t} (k INT NOT NULL, v VARCHAR(20), n INT) UNIQUE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 2 \
     PROPERTIES (\"binlog.enable\" = \"true\", \"enable_unique_key_merge_on_write\" = \"true\")",
    "INSERT INTO {t} VALUES (1, 'one', 10), (2, NULL, 20), (3, 'three', NULL)",
];

const ROWS: &[Case] = &[
    case("deleted", PLAIN, &["DELETE FROM {t} WHERE k = 2", MORE, "DELETE FROM {t} WHERE k >= 5"], MORE_ROWS),
    case(
        "deleted_part",
        RANGED,
        &["DELETE FROM {t} PARTITION p1 WHERE k < 2"],
        &["INSERT INTO {t} VALUES (1, 'again', 1)"],
    ),
    case("deleted_unique", UNIQUE, &["DELETE FROM {t} WHERE k = 2"], MORE_ROWS),
    case("updated", UNIQUE, &["UPDATE {t} SET v = 'updated', n = n + 1 WHERE k < 3"], MORE_ROWS),
    case("upserted", UNIQUE, &["INSERT INTO {t} VALUES (1, 'newer', 11)"], MORE_ROWS),
    case("selected", PLAIN, &["INSERT INTO {t} SELECT k + 10, v, n FROM {t}"], MORE_ROWS),
];

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_changed() {
    in_database_job(ROWS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn table_jobs_follow_rows() {
    in_table_jobs(ROWS).await;
}
