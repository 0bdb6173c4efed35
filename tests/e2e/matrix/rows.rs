//! Statements that change rows.

use super::{Case, MORE, MORE_ROWS, PLAIN, RANGED, case, families};

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

families! { IN_DATABASE_JOBS, in_database_job:
    rows_are_changed => ROWS, [UPSERT];
}

families! { IN_TABLE_JOBS, in_table_jobs:
    table_jobs_follow_rows => ROWS, [UPSERT];
}
