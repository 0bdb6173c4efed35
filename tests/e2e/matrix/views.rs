//! Views: made, altered, described, dropped, over tables and over each other.

use super::{Case, MORE_ROWS, PLAIN, PLAIN_ROWS, PLAIN_TABLE, case, families};

const OTHER: &str = "CREATE TABLE {t}_x (k INT NOT NULL, w INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1 \
     PROPERTIES (\"binlog.enable\" = \"true\")";
const OTHER_ROWS: &str = "INSERT INTO {t}_x VALUES (1, 100), (3, 300)";
const WITH_OTHER: &[&str] = &[PLAIN_TABLE, PLAIN_ROWS, OTHER, OTHER_ROWS];
const WITH_VIEW: &[&str] = &[PLAIN_TABLE, PLAIN_ROWS, "CREATE VIEW {t}_v AS SELECT k FROM {t}"];

const VIEWS: &[Case] = &[
    case("viewed", PLAIN, &["CREATE VIEW {t}_v AS SELECT k, v FROM {t} WHERE k > 1"], MORE_ROWS),
    case(
        "view_of_two",
        WITH_OTHER,
        &[
            "CREATE VIEW {t}_v AS SELECT a.k, a.v, b.w FROM {t} a JOIN {t}_x b ON a.k = b.k WHERE a.v <> 'd1.{t}'",
        ],
        MORE_ROWS,
    ),
    case(
        "view_described",
        PLAIN,
        &[
            "CREATE VIEW {t}_v (a COMMENT 'it''s', b) COMMENT 'a \"view\"' AS SELECT k, MAX(n) FROM {t} GROUP BY k",
        ],
        MORE_ROWS,
    ),
    case(
        "view_of_view",
        PLAIN,
        &[
            "CREATE VIEW {t}_v AS SELECT k, n FROM {t}",
            "CREATE VIEW {t}_w AS SELECT k FROM {t}_v WHERE k < 3",
        ],
        MORE_ROWS,
    ),
    case(
        "view_altered",
        WITH_VIEW,
        &["ALTER VIEW {t}_v AS SELECT k, n FROM {t} WHERE n IS NOT NULL"],
        MORE_ROWS,
    ),
    case("view_commented", WITH_VIEW, &["ALTER VIEW {t}_v MODIFY COMMENT 'it''s'"], MORE_ROWS),
    case("view_dropped", WITH_VIEW, &["DROP VIEW {t}_v"], MORE_ROWS),
    case("view_again", WITH_VIEW, &["DROP VIEW {t}_v", "CREATE VIEW {t}_v AS SELECT v FROM {t}"], MORE_ROWS),
    case(
        "view_then_table",
        WITH_VIEW,
        &[
            "DROP VIEW {t}_v",
            "CREATE TABLE {t}_v (k INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1 \
             PROPERTIES (\"binlog.enable\" = \"true\")",
        ],
        &["INSERT INTO {t}_v VALUES (1)"],
    ),
];

families! { IN_DATABASE_JOBS, in_database_job:
    views_are_followed => VIEWS, [CREATE_TABLE, MODIFY_VIEW_DEF, DROP_TABLE];
}
