//! Rollups, synchronous materialised views, and secondary indexes.

use super::{
    Case, MORE, MORE_ROWS, PLAIN, PLAIN_ROWS, PLAIN_TABLE, RANGED, RANGED_ROWS, RANGED_TABLE, SETTLE, case,
    families,
};

const WITH_ROLLUP: &[&str] = &[PLAIN_TABLE, PLAIN_ROWS, "ALTER TABLE {t} ADD ROLLUP r (k, n)", SETTLE];
const WITH_VIEW: &[&str] =
    &[PLAIN_TABLE, PLAIN_ROWS, "CREATE MATERIALIZED VIEW mv AS SELECT k, n FROM {t}", SETTLE];

const ROLLUPS: &[Case] = &[
    case("made", PLAIN, &["ALTER TABLE {t} ADD ROLLUP r (k, n)", MORE, SETTLE], MORE_ROWS),
    case("gone", WITH_ROLLUP, &[MORE, "ALTER TABLE {t} DROP ROLLUP r"], MORE_ROWS),
    case("renamed", WITH_ROLLUP, &["ALTER TABLE {t} RENAME ROLLUP r r2"], MORE_ROWS),
    case(
        "renamed_and_gone",
        WITH_ROLLUP,
        &["ALTER TABLE {t} RENAME ROLLUP r r2", MORE, "ALTER TABLE {t} DROP ROLLUP r2"],
        MORE_ROWS,
    ),
    case(
        "longer",
        WITH_ROLLUP,
        &["ALTER TABLE {t} ADD COLUMN c INT DEFAULT \"5\" TO r", SETTLE],
        &["INSERT INTO {t} VALUES (6, 'six', 6, 6)"],
    ),
    case(
        "of_partitions",
        RANGED,
        &["ALTER TABLE {t} ADD ROLLUP r (k, v)", SETTLE],
        &["INSERT INTO {t} VALUES (6, 'six', 6), (106, 'hundred', 0)"],
    ),
    case(
        "then_partition",
        &[RANGED_TABLE, RANGED_ROWS, "ALTER TABLE {t} ADD ROLLUP r (k, v)", SETTLE],
        &["ALTER TABLE {t} ADD PARTITION p3 VALUES LESS THAN (\"300\")"],
        &["INSERT INTO {t} VALUES (6, 'six', 6), (206, 'third', 0)"],
    ),
];

const MATERIALISED: &[Case] = &[
    case("mv_made", PLAIN, &["CREATE MATERIALIZED VIEW mv AS SELECT k, n FROM {t}", MORE, SETTLE], MORE_ROWS),
    case("mv_gone", WITH_VIEW, &[MORE, "DROP MATERIALIZED VIEW mv ON {t}"], MORE_ROWS),
];

const WITH_INDEX: &[&str] = &[PLAIN_TABLE, PLAIN_ROWS, "ALTER TABLE {t} ADD INDEX i (v) USING INVERTED"];
const WITH_INDEX_ON_PARTITIONS: &[&str] =
    &[RANGED_TABLE, RANGED_ROWS, "ALTER TABLE {t} ADD INDEX i (v) USING INVERTED"];
const WITH_NGRAM: &[&str] = &[
    PLAIN_TABLE,
    PLAIN_ROWS,
    "ALTER TABLE {t} ADD INDEX g (v) USING NGRAM_BF PROPERTIES (\"gram_size\" = \"3\", \"bf_size\" = \"256\")",
];

const INDEXES: &[Case] = &[
    case("indexed", PLAIN, &["ALTER TABLE {t} ADD INDEX i (v) USING INVERTED COMMENT 'words'"], MORE_ROWS),
    case(
        "indexed_twice",
        PLAIN,
        &[
            "ALTER TABLE {t} ADD INDEX i (v) USING INVERTED PROPERTIES (\"parser\" = \"english\"), \
             ADD INDEX j (n) USING INVERTED",
            MORE,
            "CREATE INDEX l ON {t} (k) USING INVERTED",
        ],
        MORE_ROWS,
    ),
    case("built", WITH_INDEX, &["BUILD INDEX i ON {t}"], MORE_ROWS),
    case(
        "built_part",
        WITH_INDEX_ON_PARTITIONS,
        &["BUILD INDEX i ON {t} PARTITIONS (p1)"],
        &["INSERT INTO {t} VALUES (6, 'six', 6), (106, 'hundred', 0)"],
    ),
    // The build may end after the index has gone.
    case("built_and_gone", WITH_INDEX, &["BUILD INDEX i ON {t}", "DROP INDEX i ON {t}", SETTLE], MORE_ROWS),
    case("unindexed", WITH_INDEX, &["DROP INDEX i ON {t}"], MORE_ROWS),
    case(
        "reindexed",
        WITH_INDEX,
        &["ALTER TABLE {t} DROP INDEX i", MORE, "CREATE INDEX i ON {t} (n) USING INVERTED"],
        MORE_ROWS,
    ),
    case(
        "ngram",
        PLAIN,
        &["ALTER TABLE {t} ADD INDEX g (v) USING NGRAM_BF \
           PROPERTIES (\"gram_size\" = \"3\", \"bf_size\" = \"256\") COMMENT 'it''s'"],
        MORE_ROWS,
    ),
    case("not_ngram", WITH_NGRAM, &["ALTER TABLE {t} DROP INDEX g", SETTLE], MORE_ROWS),
    case("bitmap", PLAIN, &["CREATE INDEX b ON {t} (n) USING BITMAP", SETTLE], MORE_ROWS),
    case(
        "not_bitmap",
        &[PLAIN_TABLE, PLAIN_ROWS, "CREATE INDEX b ON {t} (n) USING BITMAP", SETTLE],
        &["DROP INDEX b ON {t}", SETTLE],
        MORE_ROWS,
    ),
];

families! { IN_DATABASE_JOBS, in_database_job:
    rollups_are_followed => ROLLUPS, [ALTER_JOB, RENAME_ROLLUP, DROP_ROLLUP];
    materialised_views_are_followed => MATERIALISED, [ALTER_JOB, DROP_ROLLUP];
    indexes_are_followed => INDEXES, [MODIFY_TABLE_ADD_OR_DROP_INVERTED_INDICES, INDEX_CHANGE_JOB];
}

families! { IN_TABLE_JOBS, in_table_jobs:
    table_jobs_follow_rollups => ROLLUPS, [ALTER_JOB, RENAME_ROLLUP, DROP_ROLLUP];
    table_jobs_follow_materialised_views => MATERIALISED, [ALTER_JOB, DROP_ROLLUP];
    table_jobs_follow_indexes => INDEXES, [MODIFY_TABLE_ADD_OR_DROP_INVERTED_INDICES, INDEX_CHANGE_JOB];
}
