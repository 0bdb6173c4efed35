//! Partitions and buckets.

use super::{Case, LISTED, MORE_ROWS, PLAIN, RANGED, case, in_database_job, in_table_jobs};

const BOTH: &[&str] = &["INSERT INTO {t} VALUES (6, 'six', 60), (106, 'hundred', 0)"];
const LIST_ROWS: &[&str] = &["INSERT INTO {t} VALUES ('no', 7)"];

const RANGES: &[Case] = &[
    case(
        "added",
        RANGED,
        &[
            "ALTER TABLE {t} ADD PARTITION p3 VALUES LESS THAN (\"300\") DISTRIBUTED BY HASH(k) BUCKETS 3",
            "INSERT INTO {t} VALUES (201, 'third', 3)",
            "ALTER TABLE {t} ADD PARTITION p9 VALUES LESS THAN (MAXVALUE)",
        ],
        &["INSERT INTO {t} VALUES (202, 'third', 4), (9000, 'last', 9), (7, 'first', 1)"],
    ),
    case("dropped", RANGED, &["ALTER TABLE {t} DROP PARTITION p2"], &["INSERT INTO {t} VALUES (8, NULL, 8)"]),
    case(
        "forced",
        RANGED,
        &["ALTER TABLE {t} DROP PARTITION p2 FORCE"],
        &["INSERT INTO {t} VALUES (8, NULL, 8)"],
    ),
    case(
        "made_again",
        RANGED,
        &[
            "INSERT INTO {t} VALUES (103, 'lost', 1)",
            "ALTER TABLE {t} DROP PARTITION p2 FORCE",
            "ALTER TABLE {t} ADD PARTITION p2 VALUES LESS THAN (\"200\")",
        ],
        BOTH,
    ),
    case("renamed", RANGED, &["ALTER TABLE {t} RENAME PARTITION p1 first"], BOTH),
    case("recovered", RANGED, &["ALTER TABLE {t} DROP PARTITION p2", "RECOVER PARTITION p2 FROM {t}"], BOTH),
    case("buckets", RANGED, &["ALTER TABLE {t} MODIFY DISTRIBUTION DISTRIBUTED BY HASH(k) BUCKETS 5"], BOTH),
    case("random", PLAIN, &["ALTER TABLE {t} SET (\"distribution_type\" = \"random\")"], MORE_ROWS),
];

const LISTS: &[Case] = &[
    case(
        "list_added",
        LISTED,
        &[
            "ALTER TABLE {t} ADD PARTITION east VALUES IN (\"jp\", \"it's\")",
            "INSERT INTO {t} VALUES ('jp', 5), ('it''s', 6)",
        ],
        LIST_ROWS,
    ),
    case("list_dropped", LISTED, &["ALTER TABLE {t} DROP PARTITION south"], LIST_ROWS),
];

const TEMPORARY: &[Case] = &[
    case(
        "strict",
        RANGED,
        &[
            "ALTER TABLE {t} ADD TEMPORARY PARTITION tp VALUES [(\"100\"), (\"200\"))",
            "INSERT INTO {t} TEMPORARY PARTITION (tp) VALUES (107, 'replacing', 7)",
            "ALTER TABLE {t} REPLACE PARTITION (p2) WITH TEMPORARY PARTITION (tp)",
        ],
        BOTH,
    ),
    case(
        "dropped",
        RANGED,
        &[
            "ALTER TABLE {t} ADD TEMPORARY PARTITION tp VALUES [(\"100\"), (\"200\"))",
            "INSERT INTO {t} TEMPORARY PARTITION (tp) VALUES (107, 'nowhere', 7)",
            "ALTER TABLE {t} DROP TEMPORARY PARTITION tp",
        ],
        BOTH,
    ),
];

const AUTOMATIC: &[Case] = &[case(
    "auto",
    &[
        "CREATE TABLE {t} (d DATE NOT NULL, k INT) DUPLICATE KEY(d) \
         AUTO PARTITION BY RANGE (date_trunc(d, 'month')) () \
         DISTRIBUTED BY HASH(k) BUCKETS 2 PROPERTIES (\"binlog.enable\" = \"true\")",
        "INSERT INTO {t} VALUES ('2024-01-10', 1)",
    ],
    &["INSERT INTO {t} VALUES ('2024-02-10', 2), ('2024-03-10', 3)"],
    &["INSERT INTO {t} VALUES ('2024-01-11', 4), ('2024-07-10', 5)"],
)];

const OVERWRITTEN: &[Case] = &[
    case("whole", PLAIN, &["INSERT OVERWRITE TABLE {t} VALUES (8, 'over', 8)"], MORE_ROWS),
    case("part", RANGED, &["INSERT OVERWRITE TABLE {t} PARTITION (p2) VALUES (108, 'over', 8)"], BOTH),
    case("parts", RANGED, &["INSERT OVERWRITE TABLE {t} VALUES (9, 'over', 8), (109, 'over', 8)"], BOTH),
];

#[tokio::test(flavor = "multi_thread")]
async fn ranges_are_followed() {
    in_database_job(RANGES).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_followed() {
    in_database_job(LISTS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn temporary_partitions_replace() {
    in_database_job(TEMPORARY).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn loads_make_partitions() {
    in_database_job(AUTOMATIC).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_and_partitions_are_overwritten() {
    in_database_job(OVERWRITTEN).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn table_jobs_follow_partitions() {
    in_table_jobs(RANGES).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn table_jobs_follow_replaced_partitions() {
    in_table_jobs(TEMPORARY).await;
    in_table_jobs(OVERWRITTEN).await;
}
