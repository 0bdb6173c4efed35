//! Tables as a whole: made, dropped, named, exchanged, emptied, brought back, described.

use super::{
    Case, MORE, MORE_ROWS, OTHER, OTHER_ROWS, PLAIN, PLAIN_ROWS, PLAIN_TABLE, RANGED, WITH_OTHER, case,
    families,
};

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
        "recovered_as",
        WITH_OTHER,
        &["DROP TABLE {t}_x", "RECOVER TABLE {t}_x AS {t}_y"],
        &["INSERT INTO {t}_y VALUES (74, 'recovered', 4)"],
    ),
    case(
        "recovered_beside",
        WITH_OTHER,
        &[
            "DROP TABLE {t}_x",
            "CREATE TABLE {t}_x (k INT NOT NULL, v VARCHAR(20), n INT) DUPLICATE KEY(k) \
             DISTRIBUTED BY HASH(k) BUCKETS 1 PROPERTIES (\"binlog.enable\" = \"true\")",
            "INSERT INTO {t}_x VALUES (1, 'new', 1)",
            "RECOVER TABLE {t}_x AS {t}_y",
        ],
        &["INSERT INTO {t}_y VALUES (74, 'recovered', 4)", "INSERT INTO {t}_x VALUES (2, 'new', 2)"],
    ),
    case(
        "alike",
        RANGED,
        &["CREATE TABLE {t}_x LIKE {t}", "INSERT INTO {t}_x SELECT * FROM {t}"],
        &["INSERT INTO {t}_x VALUES (5, 'alike', 5)"],
    ),
    case(
        "from_rows",
        PLAIN,
        &["CREATE TABLE {t}_x PROPERTIES (\"binlog.enable\" = \"true\") AS SELECT k, v FROM {t}"],
        &["INSERT INTO {t}_x VALUES (5, 'selected')"],
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

const RENAMED: &[Case] = &[
    case(
        "renamed",
        PLAIN,
        &["ALTER TABLE {t} RENAME {t}_new"],
        &["INSERT INTO {t}_new VALUES (4, 'renamed', 1)"],
    )
    .ends_as("{t}_new"),
    case(
        "renamed_twice",
        PLAIN,
        &[
            "ALTER TABLE {t} RENAME {t}_new",
            "INSERT INTO {t}_new VALUES (4, 'renamed', 1)",
            "ALTER TABLE {t}_new ADD COLUMN c INT DEFAULT \"1\"",
            "ALTER TABLE {t}_new RENAME `{t} newer`",
        ],
        &["INSERT INTO `{t} newer` VALUES (5, 'renamed', 1, 2)"],
    )
    .ends_as("{t} newer"),
    case(
        "there_and_back",
        PLAIN,
        &["ALTER TABLE {t} RENAME {t}_new", MORE_NEW, "ALTER TABLE {t}_new RENAME {t}"],
        MORE_ROWS,
    ),
    case(
        "exchanged_by_names",
        WITH_OTHER,
        &[
            "ALTER TABLE {t} RENAME {t}_new",
            "ALTER TABLE {t}_x RENAME {t}",
            "INSERT INTO {t} VALUES (76, 'from x', 6)",
            "ALTER TABLE {t}_new RENAME {t}_x",
        ],
        &["INSERT INTO {t}_x VALUES (4, 'from t', 1)"],
    )
    .ends_as("{t}_x"),
];

const MORE_NEW: &str = "INSERT INTO {t}_new VALUES (6, 'six', 60)";

const DESCRIBED: &[Case] = &[
    case("commented", PLAIN, &["ALTER TABLE {t} MODIFY COMMENT 'it''s a \"table\"'"], MORE_ROWS),
    case("column_comment", PLAIN, &["ALTER TABLE {t} MODIFY COLUMN v COMMENT 'a `name`'"], MORE_ROWS),
    case(
        "comments",
        PLAIN,
        &["ALTER TABLE {t} MODIFY COLUMN v COMMENT 'first\\nsecond', MODIFY COLUMN n COMMENT '\\\\'"],
        MORE_ROWS,
    ),
    case(
        "no_comment",
        &[PLAIN_TABLE, PLAIN_ROWS, "ALTER TABLE {t} MODIFY COMMENT 'some'"],
        &["ALTER TABLE {t} MODIFY COMMENT ''"],
        MORE_ROWS,
    ),
    case(
        "properties",
        PLAIN,
        &[
            "ALTER TABLE {t} SET (\"disable_auto_compaction\" = \"true\")",
            "ALTER TABLE {t} SET (\"group_commit_interval_ms\" = \"2000\")",
            "ALTER TABLE {t} SET (\"group_commit_data_bytes\" = \"1000000\")",
        ],
        MORE_ROWS,
    ),
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

/// Settings that each cluster has for itself; and the database's, of which there is nothing to see.
const LOCAL: &[Case] = &[
    case("kept", PLAIN, &["ALTER TABLE {t} SET (\"binlog.enable\" = \"true\")"], MORE_ROWS),
    case(
        "database",
        PLAIN,
        &["ALTER DATABASE d1 SET PROPERTIES (\"binlog.ttl_seconds\" = \"80000\")", MORE],
        MORE_ROWS,
    ),
];

/// In a table job; with `swap`, the job goes on with the table that took the name.
const TAKEN_PLACE: &[Case] = &[
    case(
        "swapped",
        WITH_OTHER,
        &["ALTER TABLE {t} REPLACE WITH TABLE {t}_x PROPERTIES (\"swap\" = \"true\")"],
        MORE_ROWS,
    ),
    case(
        "replaced",
        WITH_OTHER,
        &["ALTER TABLE {t} REPLACE WITH TABLE {t}_x PROPERTIES (\"swap\" = \"false\")", MORE],
        MORE_ROWS,
    ),
    case(
        "swapped_twice",
        WITH_OTHER,
        &[
            "ALTER TABLE {t} REPLACE WITH TABLE {t}_x PROPERTIES (\"swap\" = \"true\")",
            MORE,
            "ALTER TABLE {t} REPLACE WITH TABLE {t}_x PROPERTIES (\"swap\" = \"true\")",
        ],
        MORE_ROWS,
    ),
];

families! { IN_DATABASE_JOBS, in_database_job:
    tables_come_and_go => LIVES, [CREATE_TABLE, DROP_TABLE, RECOVER_INFO, UPSERT];
    tables_are_emptied => EMPTIED, [TRUNCATE_TABLE];
    tables_are_renamed => RENAMED, [RENAME_TABLE];
    tables_are_described => DESCRIBED, [MODIFY_COMMENT, MODIFY_TABLE_PROPERTY];
    tables_are_exchanged => EXCHANGED, [REPLACE_TABLE];
    settings_of_a_cluster_stay_there => LOCAL, [MODIFY_TABLE_PROPERTY, ALTER_DATABASE_PROPERTY];
}

families! { IN_TABLE_JOBS, in_table_jobs:
    table_jobs_follow_their_table => EMPTIED, [TRUNCATE_TABLE];
    table_jobs_follow_names => RENAMED, [RENAME_TABLE];
    table_jobs_follow_descriptions => DESCRIBED, [MODIFY_COMMENT, MODIFY_TABLE_PROPERTY];
    table_jobs_follow_the_table_that_took_the_place => TAKEN_PLACE, [REPLACE_TABLE];
    table_jobs_leave_settings_of_a_cluster => LOCAL, [MODIFY_TABLE_PROPERTY];
}
