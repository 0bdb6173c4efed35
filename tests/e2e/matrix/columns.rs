//! Columns: what a statement repeats, and what copies the table again.

use super::{Case, MORE, MORE_ROWS, PLAIN, PLAIN_ROWS, PLAIN_TABLE, SETTLE, case, families};

const LIGHT: &[Case] = &[
    case(
        "added",
        PLAIN,
        &["ALTER TABLE {t} ADD COLUMN c INT DEFAULT \"7\"", "INSERT INTO {t} VALUES (6, 'six', 6, 6)"],
        &["INSERT INTO {t} VALUES (7, 'seven', 7, NULL)"],
    ),
    case(
        "added_after",
        PLAIN,
        &["ALTER TABLE {t} ADD COLUMN c VARCHAR(9) DEFAULT 'it''s' COMMENT 'a \"c\"' AFTER k"],
        &["INSERT INTO {t} VALUES (7, 'c', 'seven', 7)"],
    ),
    case(
        "added_several",
        PLAIN,
        &[
            "ALTER TABLE {t} ADD COLUMN (a INT DEFAULT \"1\", b DATE)",
            "ALTER TABLE {t} ADD COLUMN x INT, DROP COLUMN n",
        ],
        &["INSERT INTO {t} VALUES (7, 'seven', 7, '2024-01-01', 1)"],
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
        "exchanged",
        PLAIN,
        &[
            "ALTER TABLE {t} RENAME COLUMN v w",
            "ALTER TABLE {t} ADD COLUMN v INT",
            "INSERT INTO {t} VALUES (6, 'w', 6, 7)",
            "ALTER TABLE {t} DROP COLUMN v",
            "ALTER TABLE {t} RENAME COLUMN w v",
        ],
        MORE_ROWS,
    ),
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
        &["ALTER TABLE {t} ADD COLUMN k2 INT KEY DEFAULT \"0\" AFTER k", MORE, SETTLE],
        &["INSERT INTO {t} VALUES (6, 1, 'six', 6)"],
    ),
    case(
        "reordered",
        PLAIN,
        &["ALTER TABLE {t} ORDER BY (k, n, v)", SETTLE],
        &["INSERT INTO {t} VALUES (6, 6, 'six')"],
    ),
    case("bloom", PLAIN, &["ALTER TABLE {t} SET (\"bloom_filter_columns\" = \"v\")", SETTLE], MORE_ROWS),
    case(
        "not_bloom",
        &[PLAIN_TABLE, PLAIN_ROWS, "ALTER TABLE {t} SET (\"bloom_filter_columns\" = \"v\")", SETTLE],
        &["ALTER TABLE {t} SET (\"bloom_filter_columns\" = \"\")", SETTLE],
        MORE_ROWS,
    ),
    case(
        "twice",
        PLAIN,
        &[
            "ALTER TABLE {t} MODIFY COLUMN n BIGINT",
            SETTLE,
            "ALTER TABLE {t} ADD COLUMN c INT DEFAULT \"1\"",
            "ALTER TABLE {t} MODIFY COLUMN c BIGINT",
            SETTLE,
            "ALTER TABLE {t} RENAME COLUMN c d",
        ],
        &["INSERT INTO {t} VALUES (6, 'six', 6, 6)"],
    ),
];

families! { IN_DATABASE_JOBS, in_database_job:
    light_changes_are_followed => LIGHT, [MODIFY_TABLE_ADD_OR_DROP_COLUMNS, RENAME_COLUMN];
    heavy_changes_are_followed => HEAVY, [ALTER_JOB];
}

families! { IN_TABLE_JOBS, in_table_jobs:
    table_jobs_follow_light_changes => LIGHT, [MODIFY_TABLE_ADD_OR_DROP_COLUMNS, RENAME_COLUMN];
    table_jobs_follow_heavy_changes => HEAVY, [ALTER_JOB];
}
