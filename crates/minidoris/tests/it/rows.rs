//! Rows in and out: key models, partitions, types, DELETE and UPDATE, queries.

use minidoris::{Cluster, ClusterOptions};

use crate::harness::bounded;

async fn cluster_with(backends: usize, statements: &[&str]) -> Cluster {
    let options = ClusterOptions { backends, ..ClusterOptions::replicating("rows") };
    let cluster = bounded(Cluster::start(options)).await.unwrap();
    bounded(cluster.sql("CREATE DATABASE d")).await.unwrap();
    run(&cluster, statements).await;
    cluster
}

async fn run(cluster: &Cluster, statements: &[&str]) {
    for statement in statements {
        bounded(cluster.sql_in("d", statement)).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
}

/// Rows as `a,b|c,d`.
async fn query(cluster: &Cluster, sql: &str) -> String {
    let found = bounded(cluster.sql_in("d", sql)).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let row = |row: Vec<Option<String>>| {
        row.into_iter().map(|cell| cell.unwrap_or_else(|| "NULL".to_owned())).collect::<Vec<_>>().join(",")
    };
    found.rows.into_iter().map(row).collect::<Vec<_>>().join("|")
}

async fn error(cluster: &Cluster, sql: &str) -> String {
    bounded(cluster.sql_in("d", sql)).await.expect_err(sql).to_string()
}

const ONE: &str = "DISTRIBUTED BY HASH(k) BUCKETS 3 PROPERTIES (\"replication_num\" = \"1\")";

#[tokio::test]
async fn key_models_merge_when_read() {
    let cluster = cluster_with(
        2,
        &[
            &format!("CREATE TABLE dup (k int, v int) DUPLICATE KEY(k) {ONE}"),
            &format!("CREATE TABLE uni (k int, v int) UNIQUE KEY(k) {ONE}"),
            &format!(
                "CREATE TABLE agg (k int, s bigint SUM, m int MAX, r int REPLACE) AGGREGATE KEY(k) {ONE}"
            ),
        ],
    )
    .await;
    for table in ["dup", "uni"] {
        run(
            &cluster,
            &[
                &format!("INSERT INTO {table} VALUES (1, 1), (2, 9 - 3)"),
                &format!("insert into {table} values (1, 5)"),
            ],
        )
        .await;
    }
    run(
        &cluster,
        &["INSERT INTO agg VALUES (1, 1, 7, 1)", "INSERT INTO agg VALUES (1, 2, 3, 2), (2, 1, 1, 1)"],
    )
    .await;
    assert_eq!(query(&cluster, "SELECT * FROM dup ORDER BY k, v").await, "1,1|1,5|2,6");
    assert_eq!(query(&cluster, "SELECT * FROM uni ORDER BY k").await, "1,5|2,6");
    assert_eq!(query(&cluster, "SELECT k, s, m, r FROM agg ORDER BY 1").await, "1,3,7,2|2,1,1,1");
    assert_eq!(query(&cluster, "select count(*) from d.dup where v > 1").await, "2");
    cluster.stop().await;
}

#[tokio::test]
async fn deletes_and_updates() {
    let cluster = cluster_with(
        1,
        &[
            &format!("CREATE TABLE dup (k int, v varchar(10)) DUPLICATE KEY(k) {ONE}"),
            &format!("CREATE TABLE uni (k int, v int, w int) UNIQUE KEY(k) {ONE}"),
            &format!("CREATE TABLE agg (k int, s int SUM) AGGREGATE KEY(k) {ONE}"),
            "INSERT INTO dup VALUES (1, 'a'), (2, 'b'), (3, NULL)",
            "DELETE FROM dup WHERE k >= 2 AND v IS NOT NULL",
            "INSERT INTO dup VALUES (2, 'c')",
            "INSERT INTO uni VALUES (1, 1, 1), (2, 2, 2), (3, 3, 3)",
            "DELETE FROM uni WHERE v % 2 = 1 AND k < 3",
            "UPDATE uni SET v = v * 10, w = 0 WHERE k = 3",
            "INSERT INTO agg VALUES (1, 1), (2, 2)",
            "DELETE FROM agg WHERE k IN (1)",
        ],
    )
    .await;
    assert_eq!(query(&cluster, "SELECT * FROM dup ORDER BY k, v").await, "1,a|2,c|3,NULL");
    assert_eq!(query(&cluster, "SELECT * FROM uni ORDER BY k").await, "2,2,2|3,30,0");
    assert_eq!(query(&cluster, "SELECT * FROM agg").await, "2,2");
    assert!(error(&cluster, "DELETE FROM agg WHERE s = 1").await.contains("is an Aggregate table"));
    assert!(error(&cluster, "DELETE FROM dup WHERE k + 1 = 2").await.contains("Where clause only supports"));
    assert!(error(&cluster, "DELETE FROM dup").await.contains("Where clause is not set"));
    assert!(error(&cluster, "UPDATE dup SET v = 'x' WHERE k = 1").await.contains("Only unique table"));
    cluster.stop().await;
}

#[tokio::test]
async fn rows_find_their_partition() {
    let cluster = cluster_with(
        2,
        &[
            "CREATE TABLE r (k int, d date) DUPLICATE KEY(k) PARTITION BY RANGE(d) (\
             PARTITION p1 VALUES LESS THAN ('2024-02-01'), PARTITION p2 VALUES [('2024-02-01'), ('2024-03-01'))) \
             DISTRIBUTED BY HASH(k) BUCKETS 2 PROPERTIES (\"replication_num\" = \"2\")",
            "CREATE TABLE l (c varchar(8), k int) DUPLICATE KEY(c) PARTITION BY LIST(c) (\
             PARTITION a VALUES IN ('x', 'y'), PARTITION b VALUES IN ('z')) \
             DISTRIBUTED BY RANDOM BUCKETS 2 PROPERTIES (\"replication_num\" = \"1\")",
            "INSERT INTO r VALUES (1, '2023-12-31'), (2, '2024-02-01'), (3, '2024-02-29')",
            "INSERT INTO l VALUES ('x', 1), ('z', 2)",
        ],
    )
    .await;
    assert_eq!(query(&cluster, "SELECT k FROM r PARTITION (p2) ORDER BY k").await, "2|3");
    assert_eq!(query(&cluster, "SELECT k FROM l PARTITION (b)").await, "2");
    let refused = error(&cluster, "INSERT INTO r VALUES (4, '2024-03-01')").await;
    assert!(refused.contains("no partition for this tuple"), "{refused}");
    assert!(
        error(&cluster, "INSERT INTO r PARTITION (p1) VALUES (4, '2024-02-02')")
            .await
            .contains("no partition")
    );
    run(&cluster, &["DELETE FROM r PARTITION p2 WHERE k > 0"]).await;
    assert_eq!(query(&cluster, "SELECT k FROM r").await, "1");
    // Only the touched partition got a version for the load.
    run(&cluster, &["INSERT INTO r VALUES (5, '2023-01-01')"]).await;
    let versions: Vec<i64> = {
        let state = cluster.inner().fe.lock();
        let table = state.database_named("d").unwrap().table_named("r").unwrap().as_olap().unwrap();
        table.partitions.values().map(|partition| partition.visible_version).collect()
    };
    assert_eq!(versions, [3, 3]);
    cluster.stop().await;
}

#[tokio::test]
async fn overwriting_replaces_partitions() {
    let cluster = cluster_with(
        1,
        &[
            &format!("CREATE TABLE t (k int) DUPLICATE KEY(k) {ONE}"),
            "CREATE TABLE r (k int) DUPLICATE KEY(k) PARTITION BY RANGE(k) (PARTITION p1 VALUES LESS THAN ('10'), \
             PARTITION p2 VALUES LESS THAN ('20')) DISTRIBUTED BY HASH(k) BUCKETS 1 \
             PROPERTIES (\"replication_num\" = \"1\")",
            "INSERT INTO t VALUES (1), (2)",
            "INSERT INTO r VALUES (1), (11)",
            "insert overwrite table t values (3)",
            "INSERT OVERWRITE TABLE r PARTITION (p1) SELECT k FROM t",
        ],
    )
    .await;
    assert_eq!(query(&cluster, "SELECT * FROM t").await, "3");
    assert_eq!(query(&cluster, "SELECT * FROM r ORDER BY k").await, "3|11");
    let refused = error(&cluster, "INSERT OVERWRITE TABLE r PARTITION (p1) VALUES (12)").await;
    assert!(refused.contains("no partition for this tuple"), "{refused}");
    assert_eq!(query(&cluster, "SELECT * FROM r ORDER BY k").await, "3|11");
    let leftovers = {
        let state = cluster.inner().fe.lock();
        let table = state.database_named("d").unwrap().table_named("r").unwrap().as_olap().unwrap();
        table.temp_partitions.len()
    };
    assert_eq!(leftovers, 0);
    cluster.stop().await;
}

#[tokio::test]
async fn auto_partitions_appear_with_their_rows() {
    let cluster = cluster_with(
        1,
        &[
            "create table ev (a int, d date not null) engine = olap duplicate key(a) \
             auto partition by range (date_trunc(`d`, 'month')) () distributed by hash(a) buckets 1 \
             properties (\"replication_num\"=\"1\")",
            "create table lp (a int null, b largeint null) auto partition by list (`a`, `b`) () \
             distributed by hash(`b`) buckets 2 properties (\"replication_num\"=\"1\")",
            "INSERT INTO ev VALUES (1, '2024-01-31'), (2, '2024-02-01'), (3, '2024-02-29')",
            "INSERT INTO lp VALUES (1, 1), (NULL, 1), (-1, -1)",
        ],
    )
    .await;
    let names = |table: &str| -> Vec<String> {
        let state = cluster.inner().fe.lock();
        let table = state.database_named("d").unwrap().table_named(table).unwrap().as_olap().unwrap();
        let mut names: Vec<String> =
            table.partitions.values().map(|partition| partition.name.clone()).collect();
        names.sort();
        names
    };
    assert_eq!(names("ev"), ["p20240101000000", "p20240201000000"]);
    assert_eq!(names("lp"), ["p1111", "pX11", "p_2d122d12"]);
    assert_eq!(query(&cluster, "SELECT a FROM ev ORDER BY a").await, "1|2|3");
    assert_eq!(query(&cluster, "SELECT count(*) FROM lp").await, "3");
    cluster.stop().await;
}

#[tokio::test]
async fn types_are_printed_as_doris_prints_them() {
    let cluster = cluster_with(
        1,
        &[
            "CREATE TABLE t (k int, b boolean, l largeint, f float, g double, m decimal(9,3), w decimal(38,2), \
             x decimal(50,1), d date, s datetime, p datetime(3), c char(3), v varchar(20), a array<int>, j json) \
             DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1 PROPERTIES (\"replication_num\" = \"1\")",
            "INSERT INTO t VALUES (1, true, 170141183460469231731687303715884105727, 0.1, 1e20, 1.0005, \
             123456789012345678901234567890.125, 1.05, '2024-01-02', '2024-01-02 03:04:05', '2024-01-02 03:04:05.6789', \
             'abc', 'it''s', [1, 2], '{\"a\": {\"b\": 7}}')",
            "INSERT INTO t (k, v) VALUES (2, \"q\")",
        ],
    )
    .await;
    assert_eq!(
        query(&cluster, "SELECT * FROM t WHERE k = 1").await,
        "1,1,170141183460469231731687303715884105727,0.1,1e+20,1.001,123456789012345678901234567890.13,1.1,2024-01-02,\
         2024-01-02 03:04:05,2024-01-02 03:04:05.679,abc,it's,[1, 2],{\"a\":{\"b\":7}}"
    );
    assert_eq!(query(&cluster, "SELECT b, l, w, p, v FROM t WHERE k = 2").await, "NULL,NULL,NULL,NULL,q");
    assert_eq!(
        query(&cluster, "SELECT sum(w), sum(l), max(x), avg(m) FROM t").await,
        "123456789012345678901234567890.13,170141183460469231731687303715884105727,1.1,1.0010"
    );
    assert_eq!(query(&cluster, "SELECT k FROM t WHERE l > 5 AND w > 1.5 AND d >= '2024-1-2'").await, "1");
    assert_eq!(query(&cluster, "SELECT j['a']['b'] FROM t WHERE k = 1").await, "7");
    for (sql, wanted) in [
        ("INSERT INTO t (k) VALUES (2147483648)", "type=INT"),
        ("INSERT INTO t (k, c) VALUES (1, 'abcd')", "the length of input is too long"),
        ("INSERT INTO t (k, m) VALUES (1, 1000000)", "decimal value is not valid"),
        ("INSERT INTO t (k, d) VALUES (1, '2024-02-30')", "cast failed"),
        ("INSERT INTO t (k, nope) VALUES (1, 1)", "Unknown column 'nope'"),
        ("INSERT INTO t (k, v) VALUES (1)", "corresponding to the query output"),
        ("INSERT INTO nope VALUES (1)", "Unknown table"),
    ] {
        let text = error(&cluster, sql).await;
        assert!(text.contains(wanted), "{sql}: {text}");
    }
    cluster.stop().await;
}

#[tokio::test]
async fn special_columns_fill_themselves() {
    let cluster = cluster_with(
        1,
        &[
            "create table ai (`id` bigint not null auto_increment(100), `v` int(11) not null default \"7\") duplicate key(`id`) \
             distributed by hash(id) buckets 1 properties (\"replication_num\" = \"1\")",
            "create table g (p int, price decimal(10,2), n int, total decimal(10,2) generated always as (price * n)) \
             duplicate key(p) distributed by hash(p) buckets 1 properties (\"replication_num\" = \"1\")",
            "create table ts (k int, at datetime default current_timestamp) duplicate key(k) \
             distributed by hash(k) buckets 1 properties (\"replication_num\" = \"1\")",
            "insert into ai (v) values (1), (default)",
            "insert into ai (id, v) values (null, 3), (5, 4)",
            "insert into g (p, price, n) values (1, 1.50, 3)",
            "insert into ts (k) values (1)",
        ],
    )
    .await;
    assert_eq!(query(&cluster, "select * from ai order by id").await, "5,4|100,1|101,7|102,3");
    assert_eq!(query(&cluster, "select total from g").await, "4.50");
    assert_eq!(query(&cluster, "select count(at) from ts where at > '2000-01-01'").await, "1");
    assert!(
        error(&cluster, "insert into ai (v) values (null)").await.contains("null value for not null column")
    );
    cluster.stop().await;
}

#[tokio::test]
async fn queries_of_many_shapes() {
    let cluster = cluster_with(
        1,
        &[
            &format!("CREATE TABLE t (k int, v varchar(10), m decimal(15,2), d date) DUPLICATE KEY(k) {ONE}"),
            "INSERT INTO t VALUES (1, 'a', 1.10, '2024-01-31'), (2, 'B', 2.25, '2024-02-29'), (3, NULL, NULL, NULL)",
            &format!("CREATE TABLE u (k int, w int) UNIQUE KEY(k) {ONE}"),
            "INSERT INTO u SELECT k, k * 10 FROM t WHERE k < 3",
            "CREATE VIEW vw AS SELECT k, sum(m) AS total FROM t GROUP BY k",
        ],
    )
    .await;
    for (sql, wanted) in [
        ("SELECT t.k, u.w FROM t LEFT JOIN u ON t.k = u.k ORDER BY t.k", "1,10|2,20|3,NULL"),
        ("SELECT a.k FROM t a, u AS b WHERE a.k = b.k AND b.w > 10", "2"),
        ("SELECT m * 2, m + 1, m / 3, m * m FROM t WHERE k = 1", "2.20,2.10,0.366667,1.2100"),
        ("SELECT sum(m), avg(m), count(m), count(*) FROM t", "3.35,1.6750,2,3"),
        ("SELECT 7 / 2, 7 DIV 2, 7 % 2, 1.5 + 1", "3.5,3,1,2.5"),
        (
            "SELECT d + interval 1 month, extract(year from d), year(d), datediff(d, '2024-01-01') FROM t WHERE k = 1",
            "2024-02-29,2024,2024,30",
        ),
        ("SELECT date '1998-12-01' - interval '90' day", "1998-09-02"),
        (
            "SELECT CASE WHEN m > 2 THEN 'big' WHEN m IS NULL THEN 'none' ELSE 'small' END AS size FROM t ORDER BY k",
            "small|big|none",
        ),
        ("SELECT k FROM t WHERE v LIKE 'b%'", ""),
        ("SELECT k FROM t WHERE lower(v) LIKE 'b%' OR v IS NULL ORDER BY k DESC", "3|2"),
        ("SELECT k FROM t WHERE k IN (SELECT k FROM u WHERE w = 20)", "2"),
        ("SELECT k FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.k = t.k) ORDER BY 1", "1|2"),
        ("SELECT max(x.s) FROM (SELECT k, sum(w) AS s FROM u GROUP BY k HAVING sum(w) > 5) x", "20"),
        ("WITH c AS (SELECT k FROM u) SELECT count(*) FROM c", "2"),
        ("SELECT * FROM vw WHERE total > 2", "2,2.25"),
        ("SELECT k FROM t UNION ALL SELECT w FROM u ORDER BY k LIMIT 2, 2", "3|10"),
        ("SELECT count(DISTINCT k) FROM `internal`.`d`.`t`", "3"),
        ("SELECT sum(number) FROM numbers(\"number\" = \"5\")", "10"),
        ("SELECT substring('abcdef', 2, 3), concat('a', 1, 1.50), ifnull(NULL, 4)", "bcd,a11.50,4"),
        (
            "SELECT cast('12' AS int) + 1, cast(1.6 AS string), cast('2024-01-02' AS datetime)",
            "13,1.6,2024-01-02 00:00:00",
        ),
        ("SELECT v FROM t GROUP BY v ORDER BY v", "NULL|B|a"),
        ("SELECT k FROM t WHERE m BETWEEN 1 AND 1.1", "1"),
        ("SELECT k FROM t WHERE k = '2' AND m > '2.2'", "2"),
        ("SELECT if(k > 1, 'y', 'n') y, k FROM t WHERE NOT k = 3 ORDER BY y DESC, k", "y,2|n,1"),
    ] {
        assert_eq!(query(&cluster, sql).await, wanted, "{sql}");
    }
    assert!(error(&cluster, "SELECT nope FROM t").await.contains("Unknown column 'nope' in 'table list'"));
    assert!(error(&cluster, "SELECT k FROM nope").await.contains("Unknown table 'nope'"));
    assert!(error(&cluster, "SELECT frobnicate(k) FROM t").await.contains("Can not found function"));
    cluster.stop().await;
}

#[tokio::test]
async fn inserts_report_their_transaction() {
    let cluster = cluster_with(1, &[&format!("CREATE TABLE t (k int) DUPLICATE KEY(k) {ONE}")]).await;
    let mut conn = crate::harness::connect(&cluster).await;
    use mysql_async::prelude::Queryable;
    let result = bounded(conn.query_iter("INSERT INTO d.t VALUES (1), (2)")).await.unwrap();
    assert_eq!(result.affected_rows(), 2);
    let info = result.info().into_owned();
    assert!(info.contains("'status':'VISIBLE'") && info.contains("'txnId':'"), "{info}");
    bounded(result.drop_result()).await.unwrap();
    drop(conn);
    cluster.stop().await;
}
