//! Statements, the journal they leave, and the text they print.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::run;
use crate::be::{Backend, BackendOptions};
use crate::cluster::{BackendNode, ClusterInner};
use crate::error::SqlResult;
use crate::model::Table;
use crate::options::ClusterOptions;
use crate::session::{Answer, Session};
use crate::show::{Flavour, create_table_text, create_view_text};
use crate::sql::parse;

/// A cluster without servers.
pub(crate) fn cluster(backends: i64) -> ClusterInner {
    let cluster = ClusterInner::new(ClusterOptions::replicating("test"));
    let nodes = (1..=backends).map(|id| {
        let node = BackendNode {
            id,
            slot: 0,
            host: "127.0.0.1".to_owned(),
            heartbeat_port: 1,
            be_port: 2,
            http_port: 3,
            brpc_port: 4,
            alive: true,
            start_time: 0,
            decommissioned: false,
            location: "default".to_owned(),
            query_disabled: false,
            load_disabled: false,
            moved: false,
        };
        (id, node)
    });
    *cluster.backend_nodes.write() = nodes.collect::<BTreeMap<_, _>>();
    let backend = |id| {
        let options = BackendOptions { id, host: "127.0.0.1".to_owned(), data_dir: None };
        (id, Arc::new(Backend::new(options)))
    };
    *cluster.backends.write() = (1..=backends).map(backend).collect();
    cluster
}

pub(crate) fn session() -> Session {
    Session { user: "root".to_owned(), database: Some("d".to_owned()), ..Session::default() }
}

pub(crate) fn execute(cluster: &ClusterInner, sql: &str) -> SqlResult<Answer> {
    run(cluster, &mut session(), &parse(sql)?)
}

fn text_of(cluster: &ClusterInner, table: &str, flavour: Flavour) -> String {
    let state = cluster.fe.lock();
    let db = state.database_named("d").unwrap();
    match db.table_named(table).unwrap() {
        Table::Olap(table) => create_table_text(db, table, flavour, true),
        Table::View(view) => create_view_text(view),
    }
}

const T1: &str = "CREATE TABLE `t1` (
  `k` int NULL,
  `v` varchar(32) NULL COMMENT \"note\"
) ENGINE=OLAP
DUPLICATE KEY(`k`)
PARTITION BY RANGE(`k`)
(PARTITION p1 VALUES [(\"0\"), (\"10\")))
DISTRIBUTED BY HASH(`k`) BUCKETS 1
PROPERTIES (
\"replication_allocation\" = \"tag.location.default: 1\",
\"min_load_replica_num\" = \"-1\",
\"is_being_synced\" = \"false\",
\"storage_medium\" = \"hdd\",
\"storage_format\" = \"V2\",
\"inverted_index_storage_format\" = \"V3\",
\"light_schema_change\" = \"true\",
\"disable_auto_compaction\" = \"false\",
\"binlog.enable\" = \"true\",
\"binlog.ttl_seconds\" = \"86400\",
\"binlog.max_bytes\" = \"9223372036854775807\",
\"binlog.max_history_nums\" = \"9223372036854775807\",
\"enable_single_replica_compaction\" = \"false\",
\"group_commit_interval_ms\" = \"10000\",
\"group_commit_data_bytes\" = \"134217728\"
);";

#[test]
fn the_text_of_a_table_is_that_of_doris() {
    let cluster = cluster(1);
    execute(&cluster, "create database d").unwrap();
    execute(
        &cluster,
        "create table t1 (k int, v varchar(32) comment 'note') engine = olap duplicate key(k) \
         partition by range(k) (partition p1 values [(\"0\"), (\"10\"))) distributed by hash(k) buckets 1 \
         properties (\"replication_num\" = \"1\", \"binlog.enable\" = \"true\")",
    )
    .unwrap();
    assert_eq!(text_of(&cluster, "t1", Flavour::User), T1);
}

/// Tables of every kind, with lines that their text must contain.
const TABLES: &[(&str, &[&str])] = &[
    (
        "create table if not exists t ( `k` int, `v` int, ) engine=olap unique key(`k`, `v`) partition by range(`v`) ( ) distributed by hash(v) buckets auto properties (\"replication_allocation\" = \"tag.location.default: 1\", \"binlog.enable\" = \"true\")",
        &[
            "UNIQUE KEY(`k`, `v`)\nPARTITION BY RANGE(`v`)\n()\nDISTRIBUTED BY HASH(`v`) BUCKETS AUTO\n",
            "\"enable_unique_key_merge_on_write\" = \"true\"",
            "\"enable_mow_light_delete\" = \"false\"",
        ],
    ),
    (
        "create table t (a int, d date not null) engine = olap duplicate key(a) auto partition by range (date_trunc(`d`, 'day')) () distributed by hash(a) buckets auto",
        &["AUTO PARTITION BY RANGE (date_trunc(`d`, 'day'))\n()\n"],
    ),
    (
        "create table t (a int null, b largeint null) auto partition by list (`a`, `b`) () distributed by hash(`b`) buckets 4",
        &[
            "AUTO PARTITION BY LIST (`a`, `b`)\n()\n",
            "DISTRIBUTED BY HASH(`b`) BUCKETS 4",
            "DUPLICATE KEY(`a`, `b`)",
        ],
    ),
    (
        "create table t (p int, price decimal(10,2), n int, total decimal(10,2) generated always as (price * n)) duplicate key(p) distributed by hash(p)",
        &["  `total` decimal(10,2) AS ((`price` * CAST(`n` AS decimalv3(10,0)))) NULL\n", "BUCKETS 10"],
    ),
    (
        "create table t (`id` bigint not null auto_increment(100), `v` int(11) not null) engine=olap duplicate key(`id`)",
        &[
            "  `id` bigint NOT NULL AUTO_INCREMENT(100),\n  `v` int NOT NULL\n",
            "DISTRIBUTED BY RANDOM BUCKETS AUTO",
        ],
    ),
    (
        "create table t (`a` int, `s` text null, index i_s (s) using inverted properties(\"parser\"=\"english\") comment 'it\\'s')",
        &["  INDEX i_s (`s`) USING INVERTED PROPERTIES(\"parser\" = \"english\") COMMENT 'it\\'s'\n"],
    ),
    (
        "create table t (k int, h hll hll_union, b bitmap bitmap_union, q quantile_state quantile_union, s agg_state<sum(int)> generic, v int sum default \"0\") aggregate key(k) comment 'say \"hi\"' distributed by hash(k) buckets 2",
        &[
            "  `h` hll HLL_UNION NOT NULL,\n  `b` bitmap BITMAP_UNION NOT NULL DEFAULT BITMAP_EMPTY,",
            "`v` int SUM NULL DEFAULT \"0\"",
            "COMMENT 'say \\\"hi\\\"'",
        ],
    ),
    (
        "create table t (k int, v int) aggregate key(k, v) distributed by hash(k) buckets 1",
        &["AGGREGATE KEY(`k`, `v`)"],
    ),
    (
        "create table t (d date, k int, v varchar) duplicate key(d) partition by range(d, k) (partition p1 values less than ('2024-01-01'), partition `p-2` values [('20240101', 5), (MAXVALUE, MAXVALUE))) distributed by random buckets 3",
        &[
            "(PARTITION p1 VALUES [('0000-01-01', \"-2147483648\"), ('2024-01-01', \"-2147483648\")),\nPARTITION `p-2` VALUES [('2024-01-01', \"5\"), (MAXVALUE, MAXVALUE)))\n",
            "`v` varchar(65533) NULL",
        ],
    ),
    (
        "create table t (c varchar(9), k int) duplicate key(c) partition by list(c) (partition ps values in ('sh'), partition p1 values in (\"bj\", null), partition pd) distributed by hash(k) buckets 1",
        &[
            "PARTITION BY LIST (`c`)\n(PARTITION p1 VALUES IN (\"bj\",NULL),\nPARTITION ps VALUES IN (\"sh\"),\nPARTITION pd)",
        ],
    ),
    (
        "create table t (c varchar(9), k int) duplicate key(c) partition by list(c, k) (partition p1 values in (('a', 1), ('b', -2))) distributed by hash(k) buckets 1",
        &["PARTITION p1 VALUES IN ((\"a\", \"1\"),(\"b\", \"-2\"))"],
    ),
    (
        "create table t (d datetime(3)) partition by range(d) (from ('2024-01-30') to ('2024-02-02') interval 1 day) distributed by random buckets 1",
        &[
            "(PARTITION p_20240130 VALUES [('2024-01-30 00:00:00.000'), ('2024-01-31 00:00:00.000')),\nPARTITION p_20240131",
        ],
    ),
    (
        "create table t (k int, v int, t datetime(3) default current_timestamp(3) on update current_timestamp) unique key(k) cluster by (v) distributed by hash(k) buckets 1 rollup (r1 (k, v)) properties (\"function_column.sequence_type\" = \"DATETIME\", \"bloom_filter_columns\" = \"k,v\", \"store_row_column\" = \"TRUE\", \"compaction_policy\" = \"time_series\", \"storage_medium\" = \"SSD\")",
        &[
            "CLUSTER BY (`v`)",
            "`t` datetime(3) NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP",
            "\"function_column.sequence_type\" = \"datetimev2(0)\"",
            "\"bloom_filter_columns\" = \"k, v\"",
            "\"store_row_column\" = \"true\",\n\"row_store_page_size\" = \"16384\"",
            "\"compaction_policy\" = \"time_series\",\n\"time_series_compaction_goal_size_mbytes\" = \"1024\"",
            "\"storage_medium\" = \"ssd\"",
        ],
    ),
    (
        "create table t (d date) partition by range(d) () distributed by random buckets 1 properties (\"dynamic_partition.enable\"=\"true\", \"dynamic_partition.time_unit\"=\"day\", \"dynamic_partition.end\"=\"3\", \"dynamic_partition.prefix\"=\"p\", \"dynamic_partition.buckets\"=\"2\")",
        &[
            "\"dynamic_partition.enable\" = \"true\",\n\"dynamic_partition.time_unit\" = \"DAY\",\n\"dynamic_partition.time_zone\" = \"Etc/UTC\",\n\"dynamic_partition.start\" = \"-2147483648\",\n\"dynamic_partition.end\" = \"3\",\n\"dynamic_partition.prefix\" = \"p\",\n\"dynamic_partition.replication_allocation\" = \"tag.location.default: 1\",\n\"dynamic_partition.buckets\" = \"2\",\n\"dynamic_partition.create_history_partition\" = \"false\"",
        ],
    ),
    (
        "create table t (x double, `weird``name` map<string,int> comment 'a\\\\b\"c') distributed by random buckets 1 properties (\"enable_duplicate_without_keys_by_default\" = \"true\")",
        &[
            "CREATE TABLE `t` (\n  `x` double NULL,\n  `weird``name` map<text,int> NULL COMMENT \"a\\\\b\\\"c\"\n) ENGINE=OLAP\nDISTRIBUTED",
        ],
    ),
];

/// Printing, parsing and executing what was printed gives the same text, in both flavours.
#[test]
fn table_texts_read_as_themselves() {
    for (sql, lines) in TABLES {
        let source = cluster(1);
        execute(&source, "create database d").unwrap();
        execute(&source, sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        let text = text_of(&source, "t", Flavour::User);
        for line in *lines {
            assert!(text.contains(line), "{sql}\n{line}\nis missing in\n{text}");
        }
        for flavour in [Flavour::User, Flavour::Sync] {
            let text = text_of(&source, "t", flavour);
            let copy = cluster(1);
            execute(&copy, "create database d").unwrap();
            execute(&copy, &text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(text_of(&copy, "t", flavour), text);
        }
    }
}

#[test]
fn the_sync_flavour_marks_the_target() {
    let cluster = cluster(1);
    execute(&cluster, "create database d").unwrap();
    execute(
        &cluster,
        "create table t (k int, v int) duplicate key(k) distributed by hash(k) buckets auto rollup (r (k))",
    )
    .unwrap();
    let text = text_of(&cluster, "t", Flavour::Sync);
    assert!(text.contains("BUCKETS AUTO\nROLLUP (\nr (k)\n)\nPROPERTIES ("), "{text}");
    assert!(text.contains("\"is_being_synced\" = \"true\",\n\"_auto_bucket\" = \"true\","), "{text}");
}

#[test]
fn a_target_keeps_nothing_of_the_sources_resources() {
    let cluster = cluster(1);
    execute(&cluster, "create database d").unwrap();
    execute(
        &cluster,
        "create table t (k int) distributed by hash(k) buckets 1 \
         properties ('is_being_synced' = 'true', 'colocate_with' = 'g', 'storage_policy' = 'p')",
    )
    .unwrap();
    let text = text_of(&cluster, "t", Flavour::User);
    assert!(
        text.contains("\"is_being_synced\" = \"true\"")
            && !text.contains("colocate")
            && !text.contains("policy")
    );
}

/// A statement, and the binlogs it adds to the list of the database: types and a part of the record.
type Step = (&'static str, &'static [(i32, &'static str)]);

const JOURNAL: &[Step] = &[
    ("create database d properties ('binlog.enable' = 'true')", &[]),
    (
        "create table t (k int) partition by range(k) (partition p1 values less than ('10')) distributed by hash(k) buckets 1",
        &[(2, "\"tableName\":\"t\",\"tableType\":\"OLAP\",\"sql\":\"CREATE TABLE `t` (")],
    ),
    ("create table if not exists t (k int)", &[]),
    (
        "alter table t add partition p2 values [('10'), ('20'))",
        &[(
            1,
            "\"sql\":\"ADD PARTITION `p2` VALUES [(\\\"10\\\"), (\\\"20\\\")) (\\\"version_info\\\" \\u003d \\\"1\\\");\"",
        )],
    ),
    ("alter table t add partition if not exists p2 values [('10'), ('20'))", &[]),
    ("alter table t add temporary partition tp values [('10'), ('30'))", &[(1, "\"isTempPartition\":true")]),
    ("alter table t drop temporary partition tp", &[(3, "\"sql\":\"DROP TEMPORARY PARTITION `tp`\"")]),
    (
        "truncate table t partitions (p1, p2) force",
        &[(13, "\"isEntireTable\":false,\"rawSql\":\"PARTITIONS (p1, p2) FORCE\"")],
    ),
    ("truncate table t", &[(13, "\"isEntireTable\":true,\"rawSql\":\"\"")]),
    ("alter table t drop partition p2", &[(3, "\"forceDrop\":false")]),
    ("alter table t drop partition if exists p2", &[]),
    (
        "create view v as select k from t",
        &[(
            2,
            "\"sql\":\"CREATE VIEW `v`\\n(k)\\n AS select `internal`.`d`.`t`.`k` AS `k` from `internal`.`d`.`t`;\"",
        )],
    ),
    (
        "alter view v as select k as x from t",
        &[(17, "\"inlineViewDef\":\"select `internal`.`d`.`t`.`k` as `x` from `internal`.`d`.`t`\"")],
    ),
    ("drop view v", &[(4, "\"isView\":true,\"rawSql\":\"DROP VIEW IF EXISTS `v`\"")]),
    ("create table l like t", &[(2, "\"tableName\":\"l\"")]),
    ("drop table l force", &[(4, "\"rawSql\":\"DROP TABLE IF EXISTS `l`\"")]),
    ("drop table if exists l", &[]),
    (
        "alter database d set properties ('binlog.ttl_seconds' = '100')",
        &[(8, "\"properties\":{\"binlog.ttl_seconds\":\"100\"}")],
    ),
    ("grant select_priv on *.* to root", &[]),
    ("drop database d", &[]),
];

/// The binlogs of all lists with their records, in order.
pub(crate) fn binlogs(cluster: &ClusterInner, db_id: i64) -> Vec<(i32, String)> {
    let state = cluster.fe.lock();
    let Some(db) = state.binlogs.database(db_id) else { return Vec::new() };
    db.list().iter().map(|entry| (entry.binlog_type.0, entry.data.to_string())).collect()
}

#[test]
fn statements_leave_their_binlogs() {
    check_steps(&cluster(1), JOURNAL);
}

fn check_steps(cluster: &ClusterInner, steps: &[Step]) {
    let mut known = 0;
    let mut db_id = 0;
    for (sql, expected) in steps {
        execute(cluster, sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        super::index_job::advance_all(cluster, &mut cluster.fe.lock());
        if db_id == 0 {
            db_id = cluster.fe.lock().database_named("d").unwrap().id;
        }
        let all = binlogs(cluster, db_id);
        let new = &all[known..];
        assert_eq!(
            new.iter().map(|(ty, _)| *ty).collect::<Vec<_>>(),
            expected.iter().map(|(ty, _)| *ty).collect::<Vec<_>>(),
            "{sql}"
        );
        for ((_, data), (_, part)) in new.iter().zip(*expected) {
            assert!(data.contains(part), "{sql}\n{part}\nis missing in\n{data}");
        }
        known = all.len();
    }
}

/// Statements that are refused, with code and text. The first word of each setup is run before.
#[test]
fn refusals_have_doriss_codes_and_texts() {
    let cluster = cluster(1);
    for sql in [
        "create database d",
        "create table t (k int) partition by range(k) (partition p1 values [('0'), ('10'))) distributed by hash(k) buckets 1",
        "create table u (k int) distributed by hash(k) buckets 1",
        "create view v as select k from t",
        "create database on_db properties ('binlog.enable' = 'true')",
    ] {
        execute(&cluster, sql).unwrap();
    }
    for (sql, code, text) in [
        ("create database d", 1007, "Can't create database 'd'; database exists"),
        ("drop database x", 1008, "Can't drop database 'x'; database doesn't exist"),
        ("create table x.t (k int)", 1049, "Unknown database 'x'"),
        ("create table t (k int)", 1050, "Table 't' already exists"),
        ("create table n (k int, K int)", 1060, "Duplicate column name 'K'"),
        ("drop table x", 1109, "Unknown table 'x' in d"),
        ("drop table v", 1347, "'d.v' is not TABLE. Use 'DROP VIEW d.v'."),
        ("drop view t", 1347, "'d.t' is not VIEW. Use 'DROP TABLE d.t'."),
        ("truncate table v", 5000, "Table 'v' is not a OLAP table"),
        ("alter table t drop partition x", 1507, "Error in list of partitions to x"),
        ("alter table u drop partition x", 1105, "Alter table [u] failed. Not a partitioned table"),
        ("alter table t add partition p1 values less than ('20')", 1517, "Duplicate partition name p1"),
        (
            "alter table t add partition p2 values [('5'), ('15'))",
            1105,
            "Range [types: [INT]; keys: [5]; ..types: [INT]; keys: [15]; ) is intersected with range: [types: [INT]; keys: [0]; ..types: [INT]; keys: [10]; )",
        ),
        (
            "alter table t add partition p2 values [('10'), ('20')) distributed by random buckets 2",
            1105,
            "Cannot assign different distribution type",
        ),
        ("truncate table t partition x", 1105, "Partition x does not exist"),
        (
            "alter database d set properties ('binlog.enable' = 'true')",
            1105,
            "binlog is not enable in table[t] in db [d]",
        ),
        (
            "create table on_db.t (k int) properties ('binlog.enable' = 'false')",
            1105,
            "Cannot create table with binlog disabled when database binlog enable",
        ),
        (
            "create table n (k int) properties ('replication_num' = '3')",
            1105,
            "Failed to find enough backend, please check the replication num",
        ),
        ("create table n (k int) properties ('nonsense' = '3')", 1105, "Unknown properties: {nonsense=3}"),
        (
            "create table n (k int) properties ('binlog.ttl_seconds' = 'x')",
            1105,
            "Invalid binlog ttl_seconds value: x",
        ),
        (
            "create table n (k int) unique key(k) distributed by random",
            1105,
            "Create unique keys table should not contain random distribution desc",
        ),
        (
            "create table n (v double) duplicate key(v)",
            1105,
            "Float or double can not used as a key, use decimal instead.",
        ),
        (
            "create table n (a int, k int) duplicate key(k)",
            1105,
            "Key columns should be a ordered prefix of the schema.",
        ),
    ] {
        let error = execute(&cluster, sql).expect_err(sql);
        assert_eq!(error.code, code, "{sql}: {}", error.message);
        assert!(error.message.starts_with(text), "{sql}: {}", error.message);
    }
    let journal = cluster.fe.lock().journal_id;
    let _ = execute(&cluster, "drop table x");
    assert_eq!(cluster.fe.lock().journal_id, journal, "a refused statement leaves no journal entry");
}

/// ALTER statements with the binlogs they add.
const ALTERS: &[Step] = &[
    ("create database d properties ('binlog.enable' = 'true')", &[]),
    (
        "create table t (k int, v varchar(8), w int) duplicate key(k) partition by range(k) (partition p1 values [('0'), ('10'))) distributed by hash(k) buckets 1 rollup (r (k, w))",
        &[(2, "ROLLUP (\\nr (k, w)\\n)")],
    ),
    ("create table u (k int, v int) distributed by hash(k) buckets 1", &[(2, "")]),
    (
        "alter table t add column c int default \"0\" after k",
        &[(
            6,
            "\"rawSql\":\"ALTER TABLE `d`.`t` ADD COLUMN `c` int NULL DEFAULT \\\"0\\\" COMMENT \\\"\\\" AFTER `k`\"",
        )],
    ),
    (
        "alter table t add column (x int, y varchar comment 'q')",
        &[(
            6,
            "\"rawSql\":\"ALTER TABLE `d`.`t` ADD COLUMN (`x` int NULL COMMENT \\\"\\\", `y` varchar(65533) NULL COMMENT \\\"q\\\")\"",
        )],
    ),
    (
        "alter table t drop column x, drop column y",
        &[(6, "ALTER TABLE `d`.`t` DROP COLUMN `x`, \\nDROP COLUMN `y`\"")],
    ),
    (
        "alter table t modify column v varchar(20)",
        &[(6, "MODIFY COLUMN `v` varchar(20) NULL COMMENT \\\"\\\"\"")],
    ),
    ("alter table t add column z int to r", &[(6, "ADD COLUMN `z` int NULL COMMENT \\\"\\\" IN `r`\"")]),
    ("alter table t drop column z from r", &[(6, "DROP COLUMN `z` FROM `r`\"")]),
    (
        "alter table t rename column w ww",
        &[(15, "\"colName\":\"w\",\"newColName\":\"ww\",\"indexIdToSchemaVersion\":{")],
    ),
    ("alter table t modify comment 'hello'", &[(16, "{\"type\":\"TABLE\",")]),
    (
        "alter table t modify column v comment 'a', modify column c comment 'b'",
        &[(16, "\"colToComment\":{\"c\":\"b\",\"v\":\"a\"}")],
    ),
    ("alter table t rename partition p1 p9", &[(22, "\"nP\":\"p9\",\"oP\":\"p1\"")]),
    ("alter table t rename rollup r r9", &[(21, "\"nR\":\"r9\",\"oR\":\"r\"")]),
    ("alter table t drop rollup r9", &[(23, "\"indexName\":\"r9\"")]),
    ("alter table t rename t9", &[(14, "\"nT\":\"t9\",\"oT\":\"t\"")]),
    ("alter table t9 rename t", &[(14, "\"nT\":\"t\",\"oT\":\"t9\"")]),
    (
        "alter table t set (\"group_commit_interval_ms\" = \"5\", \"is_being_synced\" = \"true\")",
        &[(
            9,
            "\"sql\":\"SET (\\\"group_commit_interval_ms\\\" \\u003d \\\"5\\\" ,\\\"is_being_synced\\\" \\u003d \\\"true\\\" )\"",
        )],
    ),
    (
        "alter table t modify distribution distributed by hash(k) buckets 5",
        &[(25, "\"type\":\"HASH\",\"autoBucket\":false,\"bucketNum\":5,\"columnsName\":\"`k`\"")],
    ),
    ("alter table t set ('distribution_type' = 'random')", &[(26, "\"ind\":-1,\"p\":-1")]),
    (
        "alter table t modify partition p9 set ('replication_num' = '1')",
        &[(11, "\"tableProperties\":{\"replication_num\":\"1\"}")],
    ),
    (
        "alter table t add index i (v) using inverted comment 'x'",
        &[(19, "ADD INDEX i (`v`) USING INVERTED COMMENT \\u0027x\\u0027\"")],
    ),
    ("build index i on t", &[(20, "\"jobState\":\"WAITING_TXN\""), (20, "\"jobState\":\"FINISHED\"")]),
    (
        "drop index i on t",
        &[(19, "\"isDropInvertedIndex\":true"), (20, "\"isDropOp\":true"), (20, "\"jobState\":\"FINISHED\"")],
    ),
    ("alter table t add temporary partition tp values [('0'), ('10'))", &[(1, "")]),
    (
        "alter table t replace partition (p9) with temporary partition (tp)",
        &[(
            12,
            "\"partitions\":[\"p9\"],\"tempPartitions\":[\"tp\"],\"strictRange\":true,\"useTempPartitionName\":false",
        )],
    ),
    ("alter table t drop partition p9", &[(3, "")]),
    ("recover partition p9 from t", &[(24, "\"partitionName\":\"p9\",\"newPartitionName\":\"\"")]),
    ("alter table t replace with table u", &[(18, "\"origTblName\":\"t\"")]),
    (
        "alter table t replace with table u properties ('swap' = 'false')",
        &[(18, "\"actualNewTblName\":\"u\",\"swapTable\":false")],
    ),
    ("recover table t as back", &[(24, "\"tableName\":\"t\",\"newTableName\":\"back\",\"partitionId\":-1")]),
];

#[test]
fn alters_leave_their_binlogs() {
    let cluster = cluster(1);
    check_steps(&cluster, ALTERS);
    let state = cluster.fe.lock();
    let db = state.database_named("d").unwrap();
    let names: Vec<&str> = db.tables.values().map(Table::name).collect();
    assert_eq!(names, ["t", "back"], "the first table took the name, the other one came back");
}

#[test]
fn alters_show_in_the_text() {
    let cluster = cluster(1);
    for sql in [
        "create database d",
        "create table t (k int, v varchar(8)) unique key(k) distributed by hash(k) buckets 1",
        "alter table t add column c int not null default \"0\" after k",
        "alter table t modify column v varchar(9) comment 'n'",
        "alter table t rename column k kk",
        "alter table t modify comment 'hi'",
        "alter table t add index i (v)",
        "alter table t set ('binlog.enable' = 'true')",
    ] {
        execute(&cluster, sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    let text = text_of(&cluster, "t", Flavour::User);
    let head = "CREATE TABLE `t` (\n  `kk` int NULL,\n  `c` int NOT NULL DEFAULT \"0\",\n  `v` varchar(9) NULL COMMENT \"n\",\n  \
                INDEX i (`v`) USING INVERTED\n) ENGINE=OLAP\nUNIQUE KEY(`kk`)\nCOMMENT 'hi'\nDISTRIBUTED BY HASH(`kk`) BUCKETS 1\n";
    assert!(text.starts_with(head), "{text}");
    assert!(text.contains("\"binlog.enable\" = \"true\""), "{text}");
    let state = cluster.fe.lock();
    let table = state.database_named("d").unwrap().table_named("t").unwrap().as_olap().unwrap();
    let ids: Vec<i32> = table.columns().iter().map(|column| column.unique_id).collect();
    assert_eq!(ids, [0, 2, 1], "unique ids survive changes of order and name");
    assert_eq!(table.base_index().schema_version, 3);
    assert_eq!(state.ddl.alter_jobs.len(), 3, "two column changes and an index");
}

#[test]
fn refused_alters() {
    let cluster = cluster(1);
    for sql in [
        "create database d",
        "create database e properties ('binlog.enable' = 'true')",
        "create table t (k int, v int) partition by range(k) (partition p1 values [('0'), ('10')), partition p2 values [('10'), ('20'))) distributed by hash(k) buckets 1",
        "create table u (k int) distributed by hash(k) buckets 1",
        "create table e.b (k int) distributed by hash(k) buckets 1",
        "alter table u add temporary partition tp",
        "alter table t add temporary partition tq values [('5'), ('15'))",
    ] {
        execute(&cluster, sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    for (sql, text) in [
        ("alter table t rename t", "Same table name"),
        ("alter table t rename u", "Table name[u] is already used"),
        ("alter table t rename partition p1 p1", "Same partition name"),
        ("alter table t rename partition p1 p2", "Partition name[p2] is already used"),
        ("alter table t rename rollup x y", "Rollup index[x] does not exists"),
        ("alter table t rename column x y", "Column[x] does not exists"),
        ("alter table t add column c int", "Can not alter table when there are temp partitions in table"),
        (
            "alter table t replace partition (p1) with temporary partition (tq)",
            "2 range lists are not strictly matched",
        ),
        (
            "alter table t replace partition (p1) with temporary partition (tq) properties ('strict_range' = 'false')",
            "Range [types: [INT]; keys: [5]; ..types: [INT]; keys: [15]; ) is intersected",
        ),
        (
            "alter table t replace partition (p1) with temporary partition (x)",
            "Temp partition[x] does not exist",
        ),
        ("alter table t replace partition (x) with temporary partition (tq)", "Partition[x] does not exist"),
        (
            "alter table e.b set ('binlog.enable' = 'false')",
            "db binlog is enable, but table binlog is disable",
        ),
        ("alter table e.b set ('nonsense' = 'false')", "Unknown table property: [nonsense]"),
        ("alter table e.b modify column k int", "Can not modify key column[k] to value column"),
        ("alter table e.b drop column x", "Column does not exists: x"),
        ("alter table e.b drop column k", "Distribution column[k] cannot be dropped"),
        ("alter table e.b add column k int", "Can not add column which already exists in base table: k"),
        ("alter table e.b modify column k comment 'x', modify column y comment 'z'", "Unknown column: y"),
        ("recover table x", "Unknown table 'x'"),
        ("recover partition x from t", "No partition named 'x'"),
    ] {
        let error = execute(&cluster, sql).expect_err(sql);
        assert!(error.message.starts_with(text), "{sql}: {}", error.message);
    }
}
