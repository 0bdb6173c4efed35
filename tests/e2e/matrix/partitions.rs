//! Partitions and buckets.

use super::{Case, LISTED, MORE, MORE_ROWS, PLAIN, RANGED, RANGED_ROWS, RANGED_TABLE, case, families};

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
    case(
        "recovered_as",
        RANGED,
        &["ALTER TABLE {t} DROP PARTITION p2", "RECOVER PARTITION p2 AS second FROM {t}"],
        BOTH,
    ),
    case(
        "recovered_under_load",
        RANGED,
        &[
            "INSERT INTO {t} VALUES (103, 'kept', 1)",
            "ALTER TABLE {t} DROP PARTITION p2",
            "INSERT INTO {t} VALUES (7, 'meanwhile', 2)",
            "RECOVER PARTITION p2 FROM {t}",
            "INSERT INTO {t} VALUES (8, 'beside', 3), (104, 'into it', 4)",
            "INSERT INTO {t} VALUES (105, 'again', 5)",
        ],
        BOTH,
    ),
    case(
        "recovered_and_altered",
        RANGED,
        &[
            "ALTER TABLE {t} DROP PARTITION p2",
            "RECOVER PARTITION p2 FROM {t}",
            "INSERT INTO {t} VALUES (104, 'into it', 4)",
            "ALTER TABLE {t} ADD COLUMN extra INT DEFAULT \"3\"",
            "ALTER TABLE {t} ADD PARTITION p3 VALUES LESS THAN (\"300\")",
        ],
        &["INSERT INTO {t} VALUES (6, 'six', 60, 1), (106, 'hundred', 0, 2), (206, 'third', 0, 3)"],
    ),
    case(
        "recovered_and_gone",
        RANGED,
        &[
            "ALTER TABLE {t} DROP PARTITION p2",
            "RECOVER PARTITION p2 FROM {t}",
            "INSERT INTO {t} VALUES (104, 'into it', 4)",
            "ALTER TABLE {t} DROP PARTITION p2",
        ],
        &["INSERT INTO {t} VALUES (8, NULL, 8)"],
    ),
    case(
        "recovered_and_emptied",
        RANGED,
        &[
            "ALTER TABLE {t} DROP PARTITION p2",
            "RECOVER PARTITION p2 AS second FROM {t}",
            "TRUNCATE TABLE {t} PARTITION (second)",
        ],
        BOTH,
    ),
    case(
        "renamed_around",
        RANGED,
        &[
            "ALTER TABLE {t} RENAME PARTITION p1 p0",
            "ALTER TABLE {t} RENAME PARTITION p2 p1",
            "ALTER TABLE {t} RENAME PARTITION p0 p2",
            "INSERT INTO {t} VALUES (7, 'seven', 7)",
            "TRUNCATE TABLE {t} PARTITION (p1)",
        ],
        BOTH,
    ),
    case(
        "stepped",
        RANGED,
        &["ALTER TABLE {t} ADD PARTITIONS FROM (\"1000\") TO (\"1030\") INTERVAL 10"],
        &["INSERT INTO {t} VALUES (1005, 'a', 1), (1015, 'b', 2), (1025, 'c', 3)"],
    ),
    case(
        "two_columns",
        &[
            "CREATE TABLE {t} (d DATE NOT NULL, k INT NOT NULL, v INT) DUPLICATE KEY(d, k) \
             PARTITION BY RANGE(d, k) (PARTITION p1 VALUES LESS THAN (\"2024-01-01\", \"5\")) \
             DISTRIBUTED BY HASH(k) BUCKETS 2 PROPERTIES (\"binlog.enable\" = \"true\")",
            "INSERT INTO {t} VALUES ('2024-01-01', 4, 1), ('2023-05-05', 9, 2)",
        ],
        &["ALTER TABLE {t} ADD PARTITION p2 VALUES LESS THAN (\"2024-06-01\", MAXVALUE)"],
        &["INSERT INTO {t} VALUES ('2024-01-01', 5, 3), ('2024-06-01', 100, 4)"],
    ),
    case("medium", RANGED, &["ALTER TABLE {t} MODIFY PARTITION p1 SET (\"storage_medium\" = \"ssd\")"], BOTH),
    case("buckets", RANGED, &["ALTER TABLE {t} MODIFY DISTRIBUTION DISTRIBUTED BY HASH(k) BUCKETS 5"], BOTH),
    case(
        "more_buckets",
        RANGED,
        &[
            "ALTER TABLE {t} MODIFY DISTRIBUTION DISTRIBUTED BY HASH(k) BUCKETS 5",
            "ALTER TABLE {t} ADD PARTITION p3 VALUES LESS THAN (\"300\")",
        ],
        &["INSERT INTO {t} VALUES (6, 'six', 60), (206, 'third', 0)"],
    ),
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
    case(
        "list_default",
        LISTED,
        &["ALTER TABLE {t} ADD PARTITION others"],
        &["INSERT INTO {t} VALUES ('xx', 7), ('no', 8)"],
    ),
    case(
        "list_of_two",
        &[
            "CREATE TABLE {t} (c VARCHAR(10) NOT NULL, k INT NOT NULL, v INT) DUPLICATE KEY(c, k) \
             PARTITION BY LIST(c, k) (PARTITION p1 VALUES IN ((\"a\", \"1\"), (\"b\", \"2\"))) \
             DISTRIBUTED BY HASH(k) BUCKETS 2 PROPERTIES (\"binlog.enable\" = \"true\")",
            "INSERT INTO {t} VALUES ('a', 1, 1), ('b', 2, 2)",
        ],
        &["ALTER TABLE {t} ADD PARTITION p2 VALUES IN ((\"a\", \"2\"), (\"it's\", \"-3\"))"],
        &["INSERT INTO {t} VALUES ('a', 2, 3), ('it''s', -3, 4)"],
    ),
    case("list_renamed", LISTED, &["ALTER TABLE {t} RENAME PARTITION north cold"], LIST_ROWS),
    case("list_truncated", LISTED, &["TRUNCATE TABLE {t} PARTITION (north)"], LIST_ROWS),
    case(
        "list_recovered",
        LISTED,
        &["ALTER TABLE {t} DROP PARTITION south", "RECOVER PARTITION south FROM {t}"],
        LIST_ROWS,
    ),
    case(
        "list_replaced",
        LISTED,
        &[
            "ALTER TABLE {t} ADD TEMPORARY PARTITION tp VALUES IN (\"it\")",
            "INSERT INTO {t} TEMPORARY PARTITION (tp) VALUES ('it', 77)",
            "ALTER TABLE {t} REPLACE PARTITION (south) WITH TEMPORARY PARTITION (tp)",
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
        "not_strict",
        RANGED,
        &[
            "ALTER TABLE {t} ADD TEMPORARY PARTITION tp VALUES [(\"50\"), (\"150\"))",
            "ALTER TABLE {t} ADD TEMPORARY PARTITION tq VALUES [(\"150\"), (\"180\"))",
            "INSERT INTO {t} TEMPORARY PARTITION (tp, tq) VALUES (57, 'replacing', 7), (157, 'replacing', 7)",
            "ALTER TABLE {t} REPLACE PARTITION (p1, p2) WITH TEMPORARY PARTITION (tp, tq) \
             PROPERTIES (\"strict_range\" = \"false\")",
        ],
        &["INSERT INTO {t} VALUES (58, 'after', 1), (158, 'after', 2)"],
    ),
    case(
        "kept_name",
        RANGED,
        &[
            "ALTER TABLE {t} ADD TEMPORARY PARTITION tp VALUES [(\"100\"), (\"200\"))",
            "INSERT INTO {t} TEMPORARY PARTITION (tp) VALUES (107, 'replacing', 7)",
            "ALTER TABLE {t} REPLACE PARTITION (p2) WITH TEMPORARY PARTITION (tp) \
             PROPERTIES (\"use_temp_partition_name\" = \"true\")",
        ],
        BOTH,
    ),
    case(
        "kept_names",
        RANGED,
        &[
            "ALTER TABLE {t} ADD TEMPORARY PARTITION tp VALUES [(\"10\"), (\"200\"))",
            "INSERT INTO {t} TEMPORARY PARTITION (tp) VALUES (107, 'replacing', 7)",
            "ALTER TABLE {t} REPLACE PARTITION (p1, p2) WITH TEMPORARY PARTITION (tp) \
             PROPERTIES (\"strict_range\" = \"false\", \"use_temp_partition_name\" = \"true\")",
            "ALTER TABLE {t} ADD PARTITION low VALUES LESS THAN (\"10\")",
        ],
        &["INSERT INTO {t} VALUES (9, 'low', 1), (158, 'after', 2)"],
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

const AUTOMATIC: &[Case] = &[
    case(
        "auto_list",
        &[
            "CREATE TABLE {t} (c VARCHAR(10) NOT NULL, k INT) DUPLICATE KEY(c) AUTO PARTITION BY LIST (c) () \
         DISTRIBUTED BY HASH(k) BUCKETS 2 PROPERTIES (\"binlog.enable\" = \"true\")",
            "INSERT INTO {t} VALUES ('one', 1)",
        ],
        &["INSERT INTO {t} VALUES ('two', 2), ('it''s', 3)"],
        &["INSERT INTO {t} VALUES ('one', 4), ('three', 5)"],
    ),
    case(
        "auto",
        &[
            "CREATE TABLE {t} (d DATE NOT NULL, k INT) DUPLICATE KEY(d) \
         AUTO PARTITION BY RANGE (date_trunc(d, 'month')) () \
         DISTRIBUTED BY HASH(k) BUCKETS 2 PROPERTIES (\"binlog.enable\" = \"true\")",
            "INSERT INTO {t} VALUES ('2024-01-10', 1)",
        ],
        &["INSERT INTO {t} VALUES ('2024-02-10', 2), ('2024-03-10', 3)"],
        &["INSERT INTO {t} VALUES ('2024-01-11', 4), ('2024-07-10', 5)"],
    ),
];

const OVERWRITTEN: &[Case] = &[
    case(
        "selected",
        RANGED,
        &[MORE, "INSERT OVERWRITE TABLE {t} SELECT k, 'over', n FROM {t} WHERE k < 100"],
        BOTH,
    ),
    case(
        "twice",
        PLAIN,
        &[
            "INSERT OVERWRITE TABLE {t} VALUES (8, 'over', 8)",
            MORE,
            "INSERT OVERWRITE TABLE {t} VALUES (9, 'over', 9)",
        ],
        MORE_ROWS,
    ),
    case(
        "then_partition",
        &[RANGED_TABLE, RANGED_ROWS],
        &[
            "INSERT OVERWRITE TABLE {t} PARTITION (p1) VALUES (8, 'over', 8)",
            "ALTER TABLE {t} DROP PARTITION p2",
            "ALTER TABLE {t} ADD PARTITION p2 VALUES LESS THAN (\"150\")",
        ],
        BOTH,
    ),
    case("whole", PLAIN, &["INSERT OVERWRITE TABLE {t} VALUES (8, 'over', 8)"], MORE_ROWS),
    case("part", RANGED, &["INSERT OVERWRITE TABLE {t} PARTITION (p2) VALUES (108, 'over', 8)"], BOTH),
    case("parts", RANGED, &["INSERT OVERWRITE TABLE {t} VALUES (9, 'over', 8), (109, 'over', 8)"], BOTH),
];

families! { IN_DATABASE_JOBS, in_database_job:
    ranges_are_followed => RANGES, [
        ADD_PARTITION, DROP_PARTITION, TRUNCATE_TABLE, RENAME_PARTITION, RECOVER_INFO, MODIFY_PARTITIONS,
        MODIFY_DISTRIBUTION_BUCKET_NUM, MODIFY_DISTRIBUTION_TYPE, BARRIER,
    ];
    lists_are_followed => LISTS, [
        ADD_PARTITION, DROP_PARTITION, TRUNCATE_TABLE, RENAME_PARTITION, RECOVER_INFO, REPLACE_PARTITIONS,
    ];
    temporary_partitions_replace => TEMPORARY, [ADD_PARTITION, DROP_PARTITION, REPLACE_PARTITIONS];
    loads_make_partitions => AUTOMATIC, [ADD_PARTITION];
    tables_and_partitions_are_overwritten => OVERWRITTEN, [REPLACE_PARTITIONS];
}

families! { IN_TABLE_JOBS, in_table_jobs:
    table_jobs_follow_ranges => RANGES, [
        ADD_PARTITION, DROP_PARTITION, TRUNCATE_TABLE, RENAME_PARTITION, RECOVER_INFO, MODIFY_PARTITIONS,
        MODIFY_DISTRIBUTION_BUCKET_NUM, MODIFY_DISTRIBUTION_TYPE, BARRIER,
    ];
    table_jobs_follow_lists => LISTS, [
        ADD_PARTITION, DROP_PARTITION, TRUNCATE_TABLE, RENAME_PARTITION, RECOVER_INFO, REPLACE_PARTITIONS,
    ];
    table_jobs_follow_temporary_partitions => TEMPORARY, [ADD_PARTITION, DROP_PARTITION, REPLACE_PARTITIONS];
    table_jobs_follow_automatic_partitions => AUTOMATIC, [ADD_PARTITION];
    table_jobs_follow_overwrites => OVERWRITTEN, [REPLACE_PARTITIONS];
}
