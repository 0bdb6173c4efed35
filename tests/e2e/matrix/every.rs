//! One case per type of binlog, for tests that are about the circumstances and not about the change; and
//! themselves with targets of other databases, and of the same names.

use doris_types::record::BinlogType;

use super::coverage::NOT_IN_TABLE_LISTS;
use super::run::{Shape, in_database_job_of, in_table_jobs_of, slow_pair};
use super::{
    Case, MORE, MORE_ROWS, OTHER, OTHER_ROWS, PLAIN, PLAIN_ROWS, PLAIN_TABLE, RANGED, SETTLE, WITH_OTHER,
    case,
};

const BOTH: &[&str] = &["INSERT INTO {t} VALUES (6, 'six', 60), (106, 'hundred', 0)"];

pub const EVERY: &[Case] = &[
    case("upsert", PLAIN, &[MORE, "DELETE FROM {t} WHERE k = 4"], MORE_ROWS),
    case(
        "partition",
        RANGED,
        &["ALTER TABLE {t} ADD PARTITION p3 VALUES LESS THAN (\"300\")", "ALTER TABLE {t} DROP PARTITION p2"],
        &["INSERT INTO {t} VALUES (6, 'six', 60), (206, 'third', 0)"],
    ),
    case("create", PLAIN, &[OTHER, OTHER_ROWS], &["INSERT INTO {t}_x VALUES (73, 'later', 3)"]),
    case("drop", WITH_OTHER, &["INSERT INTO {t}_x VALUES (73, 'last', 3)", "DROP TABLE {t}_x"], MORE_ROWS),
    case("heavy", PLAIN, &["ALTER TABLE {t} MODIFY COLUMN n BIGINT", MORE, SETTLE], MORE_ROWS),
    case(
        "light",
        PLAIN,
        &["ALTER TABLE {t} ADD COLUMN c INT DEFAULT \"7\"", "ALTER TABLE {t} RENAME COLUMN v w"],
        &["INSERT INTO {t} VALUES (7, 'seven', 7, NULL)"],
    ),
    case(
        "property",
        PLAIN,
        &[
            "ALTER TABLE {t} SET (\"compaction_policy\" = \"time_series\")",
            "ALTER DATABASE d1 SET PROPERTIES (\"binlog.ttl_seconds\" = \"80000\")",
        ],
        MORE_ROWS,
    ),
    case(
        "replace_part",
        RANGED,
        &[
            "ALTER TABLE {t} ADD TEMPORARY PARTITION tp VALUES [(\"100\"), (\"200\"))",
            "INSERT INTO {t} TEMPORARY PARTITION (tp) VALUES (107, 'replacing', 7)",
            "ALTER TABLE {t} REPLACE PARTITION (p2) WITH TEMPORARY PARTITION (tp)",
        ],
        BOTH,
    ),
    case("truncate", RANGED, &["TRUNCATE TABLE {t} PARTITION (p1)"], BOTH),
    case(
        "rename",
        PLAIN,
        &["ALTER TABLE {t} RENAME {t}_new"],
        &["INSERT INTO {t}_new VALUES (4, 'renamed', 1)"],
    )
    .ends_as("{t}_new"),
    case("comment", PLAIN, &["ALTER TABLE {t} MODIFY COMMENT 'it''s'"], MORE_ROWS),
    case(
        "view",
        &[PLAIN_TABLE, PLAIN_ROWS, "CREATE VIEW {t}_v AS SELECT k FROM {t}"],
        &["CREATE VIEW {t}_w AS SELECT n FROM {t}", "ALTER VIEW {t}_v AS SELECT k, n FROM {t}"],
        MORE_ROWS,
    ),
    case(
        "replace",
        WITH_OTHER,
        &["ALTER TABLE {t} REPLACE WITH TABLE {t}_x PROPERTIES (\"swap\" = \"false\")"],
        MORE_ROWS,
    ),
    case(
        "swap",
        WITH_OTHER,
        &["ALTER TABLE {t} REPLACE WITH TABLE {t}_x PROPERTIES (\"swap\" = \"true\")"],
        &[MORE, "INSERT INTO {t}_x VALUES (75, 'swapped', 5)"],
    ),
    case(
        "index",
        &[PLAIN_TABLE, PLAIN_ROWS, "ALTER TABLE {t} ADD INDEX j (n) USING INVERTED"],
        &["ALTER TABLE {t} ADD INDEX i (v) USING INVERTED", "BUILD INDEX i ON {t}", "DROP INDEX j ON {t}"],
        MORE_ROWS,
    ),
    case(
        "rollup",
        &[
            PLAIN_TABLE,
            PLAIN_ROWS,
            "ALTER TABLE {t} ADD ROLLUP r (k, n)",
            SETTLE,
            "ALTER TABLE {t} ADD ROLLUP s (k, v)",
            SETTLE,
        ],
        &["ALTER TABLE {t} RENAME ROLLUP r r2", "ALTER TABLE {t} DROP ROLLUP s"],
        MORE_ROWS,
    ),
    case(
        "rename_part",
        RANGED,
        &[
            "ALTER TABLE {t} RENAME PARTITION p1 first",
            "ALTER TABLE {t} MODIFY PARTITION p2 SET (\"storage_medium\" = \"ssd\")",
        ],
        BOTH,
    ),
    case("recover", RANGED, &["ALTER TABLE {t} DROP PARTITION p2", "RECOVER PARTITION p2 FROM {t}"], BOTH),
    case(
        "recover_table",
        WITH_OTHER,
        &["DROP TABLE {t}_x", "RECOVER TABLE {t}_x"],
        &["INSERT INTO {t}_x VALUES (74, 'recovered', 4)"],
    ),
    case(
        "distribution",
        RANGED,
        &[
            "ALTER TABLE {t} MODIFY DISTRIBUTION DISTRIBUTED BY HASH(k) BUCKETS 5",
            "ALTER TABLE {t} SET (\"distribution_type\" = \"random\")",
        ],
        BOTH,
    ),
    case("overwrite", RANGED, &["INSERT OVERWRITE TABLE {t} PARTITION (p2) VALUES (108, 'over', 8)"], BOTH),
];

/// The types that [`EVERY`] writes to the list of a database: all but what stands for what has expired.
pub(super) fn of_databases() -> Vec<BinlogType> {
    BinlogType::known().filter(|kind| *kind != BinlogType::DUMMY).collect()
}

/// Those that it writes to the lists of tables.
pub(super) fn of_tables() -> Vec<BinlogType> {
    of_databases().into_iter().filter(|kind| !NOT_IN_TABLE_LISTS.contains(kind)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_reaches_a_database_of_another_name() {
    let pair = slow_pair(|_| {}).await;
    in_database_job_of(pair, Shape::OTHER_DATABASE, EVERY, &of_databases(), &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_reaches_a_table_of_the_same_name() {
    in_table_jobs_of(Shape::SAME, EVERY, &of_tables()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_reaches_a_table_in_a_database_of_another_name() {
    in_table_jobs_of(Shape::OTHER_DATABASE, EVERY, &of_tables()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_reaches_a_table_of_another_name_in_a_database_of_another_name() {
    in_table_jobs_of(Shape::OTHER_TABLE_AND_DATABASE, EVERY, &of_tables()).await;
}
