//! Tables of all kinds: each is there before the snapshot, and is made by a statement at every moment.

use super::{Case, case, families};

/// A table that exists before the change, and one of the same definition that the change makes.
macro_rules! kind {
    ($name:literal, $definition:literal, $rows:literal) => {
        case(
            $name,
            &[concat!("CREATE TABLE {t} ", $definition), concat!("INSERT INTO {t} ", $rows)],
            &[concat!("CREATE TABLE {t}_x ", $definition), concat!("INSERT INTO {t}_x ", $rows)],
            &[concat!("INSERT INTO {t} ", $rows), concat!("INSERT INTO {t}_x ", $rows)],
        )
    };
}

const KEYS: &[Case] = &[
    kind!(
        "aggregate",
        "(k INT NOT NULL, s BIGINT SUM DEFAULT \"0\", m INT MAX, l DATE MIN, r VARCHAR(9) REPLACE, \
         o INT REPLACE_IF_NOT_NULL) AGGREGATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 2 \
         PROPERTIES (\"binlog.enable\" = \"true\")",
        "VALUES (1, 10, 5, '2024-01-01', 'a', 1), (2, 20, NULL, NULL, 'b', NULL)"
    ),
    kind!(
        "unique_mow",
        "(k INT NOT NULL, v INT) UNIQUE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 2 PROPERTIES \
         (\"binlog.enable\" = \"true\", \"enable_unique_key_merge_on_write\" = \"true\")",
        "VALUES (1, 10), (2, NULL)"
    ),
    kind!(
        "unique_mor",
        "(k INT NOT NULL, v INT) UNIQUE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 2 PROPERTIES \
         (\"binlog.enable\" = \"true\", \"enable_unique_key_merge_on_write\" = \"false\")",
        "VALUES (1, 10), (2, NULL)"
    ),
    kind!(
        "sequenced",
        "(k INT NOT NULL, v INT, s INT) UNIQUE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 2 PROPERTIES \
         (\"binlog.enable\" = \"true\", \"function_column.sequence_col\" = \"s\")",
        "VALUES (1, 10, 5), (1, 11, 4), (2, NULL, 1)"
    ),
    kind!(
        "keyless",
        "(a INT, b VARCHAR(9)) DISTRIBUTED BY RANDOM BUCKETS 3 PROPERTIES (\"binlog.enable\" = \"true\")",
        "VALUES (1, 'a'), (NULL, NULL)"
    ),
    kind!(
        "endless",
        "(k INT NOT NULL, n INT NOT NULL, v INT) DUPLICATE KEY(k, n) PARTITION BY RANGE(k, n) \
         (PARTITION p1 VALUES LESS THAN (\"10\", MAXVALUE), PARTITION p2 VALUES LESS THAN MAXVALUE) \
         DISTRIBUTED BY HASH(k) BUCKETS 2 PROPERTIES (\"binlog.enable\" = \"true\")",
        "VALUES (1, 10, 5), (10, 2147483647, 1), (2000000000, 0, NULL)"
    ),
    kind!(
        "auto_buckets",
        "(k INT, v INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS AUTO \
         PROPERTIES (\"binlog.enable\" = \"true\")",
        "VALUES (1, 10), (2, NULL)"
    ),
];

const COLUMNS: &[Case] = &[
    kind!(
        "generated",
        "(k INT NOT NULL, price DECIMAL(10, 2), n INT, total DECIMAL(20, 2) GENERATED ALWAYS AS (price * n)) \
         DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 2 PROPERTIES (\"binlog.enable\" = \"true\")",
        "(k, price, n) VALUES (1, 2.50, 4), (2, NULL, 1)"
    ),
    kind!(
        "typed",
        "(k INT NOT NULL, b BOOLEAN, t TINYINT, l LARGEINT, f FLOAT, d DOUBLE, m DECIMAL(38, 9), c CHAR(5), \
         s STRING, dt DATETIME(3), j JSON, a ARRAY<INT>, mm MAP<STRING, INT>, st STRUCT<x: INT, y: STRING>) \
         DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 2 PROPERTIES (\"binlog.enable\" = \"true\")",
        "VALUES (1, true, -3, 170141183460469231731687303715884105727, 1.5, 2.5, 12345678901234567890.123456789, \
         'abc', 'it''s', '2024-01-02 03:04:05.678', '{\"a\": 1}', [1, NULL], {\"a\": 1}, {1, 'y'}), \
         (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)"
    ),
    kind!(
        "defaults",
        "(k INT NOT NULL DEFAULT \"0\", v VARCHAR(20) NOT NULL DEFAULT \"it's\" COMMENT 'a \"v\"', \
         t DATETIME DEFAULT CURRENT_TIMESTAMP, n INT NULL) DUPLICATE KEY(k) COMMENT 'it''s a \"table\"' \
         DISTRIBUTED BY HASH(k) BUCKETS 2 PROPERTIES (\"binlog.enable\" = \"true\")",
        "VALUES (1, DEFAULT, '2024-01-01 00:00:00', NULL)"
    ),
    kind!(
        "variant",
        "(k INT NOT NULL, v VARIANT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 2 PROPERTIES \
         (\"binlog.enable\" = \"true\")",
        "VALUES (1, '{\"a\": [1, 2]}'), (2, NULL)"
    ),
    kind!(
        "numbered",
        "(id BIGINT NOT NULL AUTO_INCREMENT(100), v INT) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id) BUCKETS 2 \
         PROPERTIES (\"binlog.enable\" = \"true\")",
        "(v) VALUES (10), (NULL), (30)"
    ),
    kind!(
        "named",
        "(`key` INT NOT NULL, `group by` INT, `it``s` INT) DUPLICATE KEY(`key`) \
         DISTRIBUTED BY HASH(`key`) BUCKETS 2 PROPERTIES (\"binlog.enable\" = \"true\")",
        "VALUES (1, 2, 3)"
    ),
];

const PROPERTIES: &[Case] = &[
    kind!(
        "row_store",
        "(k INT NOT NULL, v INT) UNIQUE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 2 PROPERTIES \
         (\"binlog.enable\" = \"true\", \"enable_unique_key_merge_on_write\" = \"true\", \
         \"store_row_column\" = \"true\")",
        "VALUES (1, 10), (2, NULL)"
    ),
    kind!(
        "row_columns",
        "(k INT NOT NULL, v INT) UNIQUE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 2 PROPERTIES \
         (\"binlog.enable\" = \"true\", \"enable_unique_key_merge_on_write\" = \"true\", \
         \"row_store_columns\" = \"k,v\", \"row_store_page_size\" = \"8192\")",
        "VALUES (1, 10), (2, NULL)"
    ),
    kind!(
        "compaction",
        "(k INT NOT NULL, v INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 2 PROPERTIES \
         (\"binlog.enable\" = \"true\", \"compaction_policy\" = \"time_series\", \
         \"time_series_compaction_goal_size_mbytes\" = \"2048\", \"disable_auto_compaction\" = \"true\", \
         \"compression\" = \"zstd\", \"enable_single_replica_compaction\" = \"true\")",
        "VALUES (1, 10), (2, NULL)"
    ),
    kind!(
        "indexed",
        "(k INT NOT NULL, s VARCHAR(20), n INT, INDEX i_s (s) USING INVERTED PROPERTIES (\"parser\" = \"english\") \
         COMMENT 'words', INDEX i_g (s) USING NGRAM_BF PROPERTIES (\"gram_size\" = \"3\", \"bf_size\" = \"256\")) \
         DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 2 PROPERTIES \
         (\"binlog.enable\" = \"true\", \"bloom_filter_columns\" = \"n\")",
        "VALUES (1, 'a b c', 1), (2, NULL, NULL)"
    ),
    kind!(
        "rolled_up",
        "(k INT NOT NULL, v INT, n INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 2 \
         ROLLUP (r1 (k, v), r2 (k, n)) PROPERTIES (\"binlog.enable\" = \"true\")",
        "VALUES (1, 10, 100), (2, NULL, NULL)"
    ),
];

/// The source's frontend adds and drops partitions by the calendar; the target follows its binlog and makes
/// none of its own.
const DYNAMIC: &[Case] = &[
    kind!(
        "by_day",
        "(d DATE NOT NULL, k INT) DUPLICATE KEY(d) PARTITION BY RANGE(d) \
         (PARTITION old VALUES LESS THAN (\"2020-01-01\")) DISTRIBUTED BY HASH(k) BUCKETS 2 PROPERTIES \
         (\"binlog.enable\" = \"true\", \"dynamic_partition.enable\" = \"true\", \
         \"dynamic_partition.time_unit\" = \"DAY\", \"dynamic_partition.end\" = \"3\", \
         \"dynamic_partition.prefix\" = \"p\", \"dynamic_partition.buckets\" = \"3\")",
        "VALUES ('2019-01-01', 1), (CURDATE(), 2)"
    ),
    kind!(
        "by_week_with_history",
        "(d DATE NOT NULL, k INT) DUPLICATE KEY(d) PARTITION BY RANGE(d) () DISTRIBUTED BY HASH(k) BUCKETS 2 \
         PROPERTIES (\"binlog.enable\" = \"true\", \"dynamic_partition.enable\" = \"true\", \
         \"dynamic_partition.time_unit\" = \"WEEK\", \"dynamic_partition.start\" = \"-2\", \
         \"dynamic_partition.end\" = \"2\", \"dynamic_partition.prefix\" = \"w\", \
         \"dynamic_partition.create_history_partition\" = \"true\")",
        "VALUES (CURDATE(), 2)"
    ),
];

families! { IN_DATABASE_JOBS, in_database_job:
    tables_of_all_key_models_are_followed => KEYS, [CREATE_TABLE, UPSERT];
    columns_of_all_kinds_are_followed => COLUMNS, [CREATE_TABLE, UPSERT];
    properties_of_tables_are_followed => PROPERTIES, [CREATE_TABLE, UPSERT];
    dynamic_partitions_are_followed => DYNAMIC, [CREATE_TABLE, ADD_PARTITION, UPSERT];
}

families! { IN_TABLE_JOBS, in_table_jobs:
    table_jobs_follow_all_key_models => KEYS, [UPSERT];
    table_jobs_follow_columns_of_all_kinds => COLUMNS, [UPSERT];
    table_jobs_follow_properties_of_tables => PROPERTIES, [UPSERT];
    table_jobs_follow_dynamic_partitions => DYNAMIC, [UPSERT];
}
