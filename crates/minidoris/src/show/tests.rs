//! SHOW statements over a small catalogue.

use super::run;
use crate::cluster::ClusterInner;
use crate::error::SqlResult;
use crate::exec::tests::{cluster, execute, session};
use crate::session::ResultSet;
use crate::sql::{Statement, parse};

fn show(cluster: &ClusterInner, sql: &str) -> SqlResult<ResultSet> {
    match parse(sql).unwrap() {
        Statement::Show(show) => run(cluster, &session(), &show),
        other => panic!("{other:?}"),
    }
}

fn catalogue() -> ClusterInner {
    let cluster = cluster(1);
    for sql in [
        "create database d properties ('binlog.enable' = 'true')",
        "create database other",
        "create table t_1 (k int, v varchar(3) default 'x' comment 'c', index i (v) using inverted) unique key(k) \
         partition by range(k) (partition p2 values [('10'), ('20')), partition p1 values [('0'), ('10'))) \
         distributed by hash(k) buckets 2 rollup (r (k))",
        "create table tx1 (k int) distributed by hash(k) buckets 1",
        "create view v as select k from t_1",
    ] {
        execute(&cluster, sql).unwrap();
    }
    cluster
}

/// A statement, the columns to look at, and the rows expected there.
type Case = (&'static str, &'static [&'static str], &'static [&'static [&'static str]]);

#[test]
fn statements_answer_rows() {
    let cluster = catalogue();
    let cases: &[Case] = &[
        (
            "show databases",
            &["Database"],
            &[&["__internal_schema"], &["d"], &["information_schema"], &["mysql"], &["other"]],
        ),
        ("show databases like 'd'", &["Database"], &[&["d"]]),
        ("show tables", &["Tables_in_d"], &[&["t_1"], &["tx1"], &["v"]]),
        ("show tables from d like 't_1'", &["Tables_in_d"], &[&["t_1"], &["tx1"]]),
        ("show tables from other", &["Tables_in_other"], &[]),
        ("show full tables where Table_type = 'VIEW'", &["Tables_in_d", "Table_type"], &[&["v", "VIEW"]]),
        ("show views where Tables_in_d = \"v\"", &["Tables_in_d"], &[&["v"]]),
        ("show view from t_1", &["View"], &[&["v"]]),
        (
            "show create database d",
            &["Database", "Create Database"],
            &[&["d", "CREATE DATABASE `d`\nPROPERTIES (\n\"binlog.enable\" = \"true\"\n)"]],
        ),
        (
            "show create view v",
            &["Create View"],
            &[&[
                "CREATE VIEW `v`\n(k)\n AS select `internal`.`d`.`t_1`.`k` AS `k` from `internal`.`d`.`t_1`;",
            ]],
        ),
        (
            "desc t_1",
            &["Field", "Type", "Null", "Key", "Default", "Extra"],
            &[&["k", "int", "Yes", "true", "NULL", ""], &["v", "varchar(3)", "Yes", "false", "x", "NONE"]],
        ),
        ("desc d.t_1 all", &["IndexName", "Field"], &[&["t_1", "k"], &["", "v"], &["", ""], &["r", "k"]]),
        ("show columns from t_1 where Field=\"v\"", &["Field", "Key"], &[&["v", "NO"]]),
        ("show full columns from t_1", &["Field", "Comment"], &[&["k", ""], &["v", "c"]]),
        ("show indexes from t_1", &["Key_name", "Column_name", "Index_type"], &[&["i", "v", "INVERTED"]]),
        (
            "show partitions from d.t_1",
            &["PartitionName", "Range", "Buckets"],
            &[
                &["p1", "[types: [INT]; keys: [0]; ..types: [INT]; keys: [10]; )", "2"],
                &["p2", "[types: [INT]; keys: [10]; ..types: [INT]; keys: [20]; )", "2"],
            ],
        ),
        ("show partitions from t_1 where PartitionName = \"p2\"", &["PartitionName"], &[&["p2"]]),
        ("show partitions from t_1 order by PartitionName desc limit 1", &["PartitionName"], &[&["p2"]]),
        ("show temporary partitions from t_1", &["PartitionName"], &[]),
        ("show backends", &["Host", "Alive"], &[&["127.0.0.1", "true"]]),
        (
            "show alter table column from d where TableName = \"t_1\" and State = \"FINISHED\"",
            &["State"],
            &[],
        ),
        ("show alter table rollup", &["State"], &[]),
        ("show catalog recycle bin", &["Type"], &[]),
        ("show build index from d where TableName = 't'", &["State"], &[]),
        (
            "show proc '/dbs/d/t_1'",
            &["Nodes"],
            &[&["partitions"], &["temp_partitions"], &["index_schema"], &["indexes"]],
        ),
        ("show proc '/dbs/d/t_1/indexes'", &["KeyName"], &[&["i"]]),
        (
            "show proc '/dbs/d/t_1/index_schema'",
            &["IndexName", "Keys"],
            &[&["t_1", "UNIQUE_KEYS(k)"], &["r", "UNIQUE_KEYS(k)"]],
        ),
        (
            "show proc '/dbs/d/t_1/partitions/p1'",
            &["IndexName", "State"],
            &[&["t_1", "NORMAL"], &["r", "NORMAL"]],
        ),
        (
            "show proc '/dbs/d/t_1/partitions/p1/t_1'",
            &["Version", "State"],
            &[&["1", "NORMAL"], &["1", "NORMAL"]],
        ),
        ("show proc '/dbs/d'", &["TableName", "Type"], &[&["t_1", "OLAP"], &["tx1", "OLAP"], &["v", "VIEW"]]),
        ("show proc '/binlog'", &["Name", "Type", "BinlogLength"], &[&["d", "db", "4"]]),
        (
            "admin show frontend config like 'enable_feature_binlog'",
            &["Key", "Value"],
            &[&["enable_feature_binlog", "true"]],
        ),
        ("show storage policy", &["PolicyName"], &[]),
    ];
    for (sql, columns, expected) in cases {
        let result = show(&cluster, sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert!(result.rows.iter().all(|row| row.len() == result.columns.len()), "{sql}: ragged rows");
        let at: Vec<usize> = columns
            .iter()
            .map(|column| {
                result
                    .columns
                    .iter()
                    .position(|name| name == column)
                    .unwrap_or_else(|| panic!("{sql}: {column}"))
            })
            .collect();
        let rows: Vec<Vec<&str>> = result
            .rows
            .iter()
            .map(|row| at.iter().map(|at| row[*at].as_deref().unwrap_or("NULL")).collect())
            .collect();
        assert_eq!(rows, *expected, "{sql}");
    }
}

#[test]
fn missing_objects_are_errors() {
    let cluster = catalogue();
    for (sql, code, text) in [
        ("show create table x", 1109, "Unknown table 'x' in d"),
        ("show tables from x", 1049, "Unknown database 'x'"),
        ("show partitions from v", 5000, "Table 'v' is not a OLAP table"),
        ("show create view t_1", 1347, "'d.t_1' is not VIEW."),
        ("show proc '/x'", 5001, "Proc path '/x' doesn't exist"),
        ("show proc '/dbs/9'", 1105, "Database 9 does not exist"),
        ("show proc '/dbs/d/9'", 1105, "Unknown table '9'"),
        ("show proc '/dbs/d/t_1/partitions/9'", 1105, "Partition[9] does not exist"),
        ("show proc '/dbs/d/t_1/partitions/p1/9'", 1105, "Index[9] does not exist."),
        ("show transaction where id = 77", 1105, "transaction with id 77 does not exist"),
        ("show snapshot on `__keep_on_local__`", 5064, "Repository __keep_on_local__ does not exist"),
        ("show tables where x = 1", 1054, "Unknown column 'x'"),
    ] {
        let error = show(&cluster, sql).expect_err(sql);
        assert_eq!(error.code, code, "{sql}: {}", error.message);
        assert!(error.message.starts_with(text), "{sql}: {}", error.message);
    }
}

#[test]
fn dropped_tables_wait_in_the_recycle_bin() {
    let cluster = catalogue();
    execute(&cluster, "drop table tx1").unwrap();
    execute(&cluster, "drop view v").unwrap();
    execute(&cluster, "drop table t_1 force").unwrap();
    let result = show(&cluster, "show catalog recycle bin").unwrap();
    let names: Vec<_> =
        result.rows.iter().map(|row| (row[0].clone().unwrap(), row[1].clone().unwrap())).collect();
    assert_eq!(names, [("Table".to_owned(), "tx1".to_owned())]);
}

#[test]
fn virtual_tables_by_name() {
    let cluster = catalogue();
    let table = |name: &str| super::virtual_table(&cluster, &session(), name);
    let tables = table("information_schema.tables").unwrap();
    let named: Vec<_> =
        tables.rows.iter().map(|row| (row[2].clone().unwrap(), row[3].clone().unwrap())).collect();
    assert!(named.contains(&("v".to_owned(), "VIEW".to_owned())));
    assert!(named.contains(&("t_1".to_owned(), "BASE TABLE".to_owned())));
    assert!(table("frontends()").unwrap().columns.contains(&"QueryPort".to_owned()));
    assert!(!table("frontends()").unwrap().columns.contains(&"LiveSince".to_owned()));
    assert_eq!(table("`BACKENDS`()").unwrap().rows.len(), 1);
    for name in ["schemata", "columns", "views", "partitions"] {
        let table = table(&format!("information_schema.{name}")).unwrap();
        assert!(
            !table.rows.is_empty() && table.rows.iter().all(|row| row.len() == table.columns.len()),
            "{name}"
        );
    }
    assert!(table("t_1").is_none());
}
