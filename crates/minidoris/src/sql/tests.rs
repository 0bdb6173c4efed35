//! Every statement shape that replication and its tests use, and what becomes of it.

use super::*;
use crate::model::{DataType, DefaultValue, KeysType, PartitionValue};

/// Statements that must parse, with the start of their tree's debug form.
const STATEMENTS: &[(&str, &str)] = &[
    (
        "create database if not exists d properties(\"binlog.enable\"=\"true\")",
        "CreateDatabase { name: \"d\", if_not_exists: true, properties: {\"binlog.enable\": \"true\"} }",
    ),
    ("DROP DATABASE d FORCE;", "DropDatabase { name: \"d\", if_exists: false, force: true }"),
    (
        "drop database if exists `test-hyphen`",
        "DropDatabase { name: \"test-hyphen\", if_exists: true, force: false }",
    ),
    ("ALTER DATABASE d SET PROPERTIES (\"binlog.enable\" = \"true\")", "AlterDatabaseProperties"),
    ("alter database a rename b", "RenameDatabase"),
    (
        "create table if not exists orders ( `k` int, `v` int, ) engine=olap unique key(`k`, `v`) partition by range(`v`) ( ) distributed by hash(v) buckets auto properties (\"replication_allocation\" = \"tag.location.default: 1\", \"binlog.enable\" = \"true\")",
        "CreateTable(CreateTable { table: TableName { db: None, name: \"orders\" }, temporary: false, if_not_exists: true",
    ),
    (
        "create table ev (a int, d date not null) engine = olap duplicate key(a) auto partition by range (date_trunc(`d`, 'day')) () distributed by hash(a) buckets auto properties (\"replication_num\"=\"1\")",
        "CreateTable(",
    ),
    (
        "create table lp (a int null, b largeint null) auto partition by list (`a`, `b`) () distributed by hash(`b`) buckets 4 properties ('a'='b')",
        "CreateTable(",
    ),
    (
        "create table g (p int, price decimal(10,2), n int, total decimal(10,2) generated always as (price * n)) duplicate key(p) distributed by hash(p) properties (\"replication_num\" = \"1\")",
        "CreateTable(",
    ),
    (
        "create table ai (`id` bigint not null auto_increment(100), `v` int(11) not null) engine=olap duplicate key(`id`) properties ('a'='b')",
        "CreateTable(",
    ),
    (
        "create table ix (`a` int, `s` text null, index i_s (s) using inverted properties(\"parser\"=\"english\") comment 'c')",
        "CreateTable(",
    ),
    (
        "create table kw (`index` int, index int(11), date date, first int, key int key, roles varchar(1)) distributed by random buckets 2",
        "CreateTable(",
    ),
    ("create table a like d.b with rollup (r1)", "CreateTableLike"),
    ("create table c properties('replication_num'='1') as select * from d.b", "CreateTable("),
    (
        "drop table if exists d.t force",
        "DropTable { table: TableName { db: Some(\"d\"), name: \"t\" }, if_exists: true, force: true }",
    ),
    (
        "CREATE VIEW v (a, b comment 'x') COMMENT 'y' AS SELECT k, max(v) FROM t GROUP BY k;",
        "CreateView(CreateView { view: TableName { db: None, name: \"v\" }, if_not_exists: false, or_replace: false, columns: [(\"a\", \"\"), (\"b\", \"x\")], comment: \"y\", query: Some(\"SELECT k, max(v) FROM t GROUP BY k\") }",
    ),
    ("alter view v (a) as select 1", "AlterView"),
    ("alter view v modify comment 'x'", "AlterView"),
    ("drop view if exists d.v", "DropView"),
    (
        "truncate table d.t partitions (p1, p2) force",
        "Truncate(Truncate { table: TableName { db: Some(\"d\"), name: \"t\" }, partitions: Some([\"p1\", \"p2\"]), force: true }",
    ),
    ("truncate table t partition p1", "Truncate("),
    (
        "alter table orders add partition p9 values [(\"5\"), (\"6\")) distributed by hash(v) buckets 2",
        "AlterTable(",
    ),
    (
        "ALTER TABLE t ADD PARTITION `p2` VALUES [(\"10\"), (\"20\")) (\"version_info\" = \"1\") DISTRIBUTED BY HASH(`k`) BUCKETS 1",
        "AlterTable(",
    ),
    (
        "alter table t add partition if not exists p values less than (\"10\") (\"replication_num\"=\"1\")",
        "AlterTable(",
    ),
    ("alter table t add partition p values less than maxvalue", "AlterTable("),
    ("alter table lp add partition pn values in ((null, maxvalue))", "AlterTable("),
    ("alter table t add partition p  (\"version_info\" = \"1\")", "AlterTable("),
    ("alter table t add partition p", "AlterTable("),
    ("alter table orders add temporary partition tp values [(\"0\"), (\"9\"))", "AlterTable("),
    (
        "alter table orders replace partition (p2) with temporary partition (tp) properties (\"strict_range\"=\"false\")",
        "AlterTable(AlterTable { table: TableName { db: None, name: \"orders\" }, operations: [ReplacePartition",
    ),
    (
        "alter table t drop partition if exists p force",
        "AlterTable(AlterTable { table: TableName { db: None, name: \"t\" }, operations: [DropPartition { temporary: false, if_exists: true, name: \"p\", force: true }] })",
    ),
    ("alter table t drop temporary partition p", "AlterTable("),
    ("alter table orders add column `nk` int key default \"0\" first", "AlterTable("),
    ("alter table orders add column (`x` varchar(3) default \"q\", y int)", "AlterTable("),
    ("alter table orders add column `y` int default \"0\" to my_rollup", "AlterTable("),
    ("alter table orders add column v int sum default \"0\" after k, drop column w", "AlterTable("),
    ("alter table orders drop column c from r", "AlterTable("),
    ("alter table orders modify column c bigint key default \"1\"", "AlterTable("),
    ("alter table orders modify column c comment \"x\", modify column d comment 'y'", "AlterTable("),
    ("alter table orders modify comment 'x'", "AlterTable("),
    ("alter table orders modify distribution distributed by hash(c) buckets 4", "AlterTable("),
    ("alter table orders modify partition (*) set (\"storage_medium\"=\"HDD\")", "AlterTable("),
    ("alter table orders order by (c3, a) from my_rollup", "AlterTable("),
    (
        "alter table orders replace with table orders2 properties (\"swap\"=\"false\")",
        "AlterTable(AlterTable { table: TableName { db: None, name: \"orders\" }, operations: [ReplaceTable { with: \"orders2\", swap: false, force: false }] })",
    ),
    (
        "alter table orders rename rollup",
        "AlterTable(AlterTable { table: TableName { db: None, name: \"orders\" }, operations: [Rename { new_name: \"rollup\" }] })",
    ),
    (
        "alter table orders rename rollup a b",
        "AlterTable(AlterTable { table: TableName { db: None, name: \"orders\" }, operations: [RenameRollup",
    ),
    (
        "alter table orders rename partition a b",
        "AlterTable(AlterTable { table: TableName { db: None, name: \"orders\" }, operations: [RenamePartition",
    ),
    (
        "alter table orders rename column a b",
        "AlterTable(AlterTable { table: TableName { db: None, name: \"orders\" }, operations: [RenameColumn",
    ),
    ("alter table orders add rollup r (a, b), r2 (b) properties ('a'='b')", "AlterTable("),
    (
        "alter table orders drop rollup r, r2",
        "AlterTable(AlterTable { table: TableName { db: None, name: \"orders\" }, operations: [DropRollup { names: [\"r\", \"r2\"], if_exists: false }] })",
    ),
    (
        "alter table orders add index i2 (s) using ngram_bf properties(\"gram_size\"=\"3\", \"bf_size\"=\"256\") comment 'z', add index i3(t) using inverted",
        "AlterTable(",
    ),
    ("alter table orders drop index i2, drop index i3", "AlterTable("),
    ("alter table orders set (\"binlog.enable\"=\"true\" ,\"binlog.ttl_seconds\" = \"100\" )", "AlterTable("),
    (
        "alter table orders enable feature \"SEQUENCE_LOAD\" with properties (\"function_column.sequence_type\" = \"int\")",
        "AlterTable(",
    ),
    ("create index if not exists i on t (c) using inverted comment 'x'", "AlterTable("),
    ("drop index i on t", "AlterTable("),
    ("build index i_s on ix partitions (`p1`, `p2`)", "AlterTable("),
    ("create materialized view mv1 as select a, b from orders", "CreateMaterializedView"),
    (
        "create materialized view mv1 build deferred refresh complete on manual distributed by random as select 1",
        "AsyncView(Create(CreateAsyncView { view: TableName",
    ),
    ("drop materialized view mv1 on orders", "AlterTable("),
    ("recover table orders as orders_back", "Recover(Table"),
    ("recover partition p1 as p1b from orders", "Recover(Partition"),
    ("use d", "Use(\"d\")"),
    (
        "set autocommit=1, sql_mode = concat(@@sql_mode,',STRICT_TRANS_TABLES')",
        "Set([SetItem { scope: Session, name: \"autocommit\", value: \"1\", is_text: false }, SetItem { scope: Session, name: \"sql_mode\", value: \"concat(@@sql_mode,',STRICT_TRANS_TABLES')\", is_text: false }])",
    ),
    ("SET NAMES utf8mb4", "Set([])"),
    ("set global max_allowed_packet = 100", "Set([SetItem { scope: Global"),
    (
        "set @@session.wait_timeout = 5",
        "Set([SetItem { scope: Session, name: \"wait_timeout\", value: \"5\", is_text: false }])",
    ),
    ("ADMIN SET FRONTEND CONFIG (\"enable_feature_binlog\" = \"true\")", "AdminSetFrontendConfig"),
    ("admin set all frontends config ('a' = 'b')", "AdminSetFrontendConfig"),
    ("ADMIN SHOW FRONTEND CONFIG LIKE '%binlog%'", "Show(Show { kind: FrontendConfig"),
    ("SHOW FRONTEND CONFIG LIKE 'x'", "Show(Show { kind: FrontendConfig"),
    ("ADMIN SHOW BACKEND CONFIG LIKE 'enable_feature_binlog' FROM 10001", "Show(Show { kind: BackendConfig"),
    (
        "BACKUP SNAPSHOT `db`.`label` TO `__keep_on_local__` ON ( `t1` PARTITION (`p1`,`p2`), t2 ) PROPERTIES (\"type\" = \"full\")",
        "Backup(SnapshotStatement { db: Some(\"db\"), label: \"label\", repository: \"__keep_on_local__\", tables: Some([BackupTable { name: \"t1\", partitions: Some([\"p1\", \"p2\"]), alias: None }",
    ),
    ("backup snapshot l to r exclude (a)", "Backup("),
    ("restore snapshot d.l from `r` on (t as n) properties ('a'='b')", "Restore"),
    ("CANCEL BACKUP FROM `d`", "CancelBackup { db: Some(\"d\") }"),
    ("cancel restore", "CancelRestore { db: None }"),
    ("cancel alter table column from t", "CancelJobs(CancelJobs { jobs: Alter(Column)"),
    (
        "cancel alter table materialized view from d.t (7, 8)",
        "CancelJobs(CancelJobs { jobs: Alter(MaterializedView), table: TableName { db: Some(\"d\"), name: \"t\" }, ids: [7, 8] })",
    ),
    ("cancel build index on t", "CancelJobs(CancelJobs { jobs: BuildIndex"),
    ("SYNC", "Sync"),
    ("begin", "Begin { label: None }"),
    ("BEGIN WITH LABEL l1", "Begin { label: Some(\"l1\") }"),
    ("commit", "Commit"),
    (
        "create user 'u'@'%' identified by 'p'",
        "Account(CreateUser { user: UserIdentity { user: \"u\", host: \"%\" }, password: Some(Plain(…)), role: None",
    ),
    (
        "create user if not exists u identified by 'p'",
        "Account(CreateUser { user: UserIdentity { user: \"u\", host: \"%\" }",
    ),
    (
        "drop user if exists u@'%'",
        "Account(DropUser { user: UserIdentity { user: \"u\", host: \"%\" }, if_exists: true })",
    ),
    (
        "grant select_priv(a, `b`), load_priv on d.t to u",
        "Account(Grant { revoke: false, granted: Privileges { privileges: [NamedPrivilege { name: \"select_priv\", columns: [\"a\", \"b\"] }, NamedPrivilege { name: \"load_priv\"",
    ),
    (
        "alter system add backend 'h:1', 'h:2'",
        "System(AddBackends { nodes: [HostPort { host: \"h\", port: 1 }",
    ),
    ("alter system dropp backend '10'", "System(DropBackends { nodes: [Id(10)], force: true })"),
    (
        "alter system modify backend 'h:1' set ('tag.location' = 'x')",
        "System(ModifyBackends { nodes: [Address(",
    ),
    ("alter system modify frontend 'h:1' hostname 'x'", "System(ModifyHost { kind: Frontend"),
    ("cancel decommission backend 'h:1'", "System(CancelDecommission"),
    ("alter system add broker b 'h:1'", "Accepted(\"ALTER SYSTEM\")"),
    (
        "grant select_priv on d.t to u",
        "Account(Grant { revoke: false, granted: Privileges { privileges: [NamedPrivilege { name: \"select_priv\", columns: [] }], on: Table(\"d\", \"t\") }, to: User(UserIdentity { user: \"u\", host: \"%\" }) })",
    ),
    (
        "grant select_priv, LOAD_PRIV on *.*.* to 'u'@'10.%'",
        "Account(Grant { revoke: false, granted: Privileges { privileges: [NamedPrivilege { name: \"select_priv\", columns: [] }, NamedPrivilege { name: \"LOAD_PRIV\", columns: [] }], on: Global }, to: User(UserIdentity { user: \"u\", host: \"10.%\" }) })",
    ),
    (
        "grant all on *.* to role 'r'",
        "Account(Grant { revoke: false, granted: Privileges { privileges: [NamedPrivilege { name: \"all\", columns: [] }], on: Catalog }, to: Role(\"r\") })",
    ),
    (
        "revoke all on internal.d.* from u@localhost",
        "Account(Grant { revoke: true, granted: Privileges { privileges: [NamedPrivilege { name: \"all\", columns: [] }], on: Database(\"d\") }, to: User(UserIdentity { user: \"u\", host: \"localhost\" }) })",
    ),
    (
        "grant usage_priv on resource 'r' to u",
        "Account(Grant { revoke: false, granted: Privileges { privileges: [NamedPrivilege { name: \"usage_priv\", columns: [] }], on: Resource(\"r\") }",
    ),
    (
        "grant 'r1', 'r2' to 'u'@'%'",
        "Account(Grant { revoke: false, granted: Roles([\"r1\", \"r2\"]), to: User(",
    ),
    (
        "set password for 'u' = password('x')",
        "Account(SetPassword { user: Some(UserIdentity { user: \"u\", host: \"%\" }), password: Plain(…) })",
    ),
    ("set password = ''", "Account(SetPassword { user: None, password: Hashed(…) })"),
    (
        "alter user if exists u@'%' identified by 'x' PASSWORD_EXPIRE NEVER",
        "Account(AlterUser { user: UserIdentity { user: \"u\", host: \"%\" }, password: Some(Plain(…)), if_exists: true })",
    ),
    (
        "create resource \"r\" properties (\"type\"=\"s3\")",
        "CreateResource(CreateResource { kind: Resource, name: \"r\", if_not_exists: false",
    ),
    ("drop storage policy p", "DropResource { kind: StoragePolicy, name: \"p\", if_exists: false }"),
    ("CREATE ALIAS FUNCTION f(int) WITH PARAMETER(a) AS a + 1", "Function(Create"),
    ("select /*+ SET_VAR(x = 0) */ * from ix where s match_any \"11\"", "Query(Query { kind: Select"),
    ("with a as (select 1) select * from a", "Query(Query { kind: Select"),
    ("(select 1) union (select 2)", "Query(Query { kind: Select"),
    (
        "insert into orders temporary partition (tp) values (1, 5);",
        "Query(Query { kind: Insert, text: \"insert into orders temporary partition (tp) values (1, 5)\" })",
    ),
    ("insert overwrite table orders values (3, 0)", "Query(Query { kind: Insert"),
    ("delete from t partition p where k = 1", "Query(Query { kind: Delete"),
    ("update t set a = 1", "Query(Query { kind: Update"),
    ("explain select 1", "Query(Query { kind: Explain"),
    (
        "show tables from d like \"x\"",
        "Show(Show { kind: Tables { full: false, db: Some(\"d\") }, filter: ShowFilter { like: Some(\"x\")",
    ),
    ("show full tables", "Show(Show { kind: Tables { full: true"),
    ("SHOW DATABASES LIKE 'x'", "Show(Show { kind: Databases"),
    ("show create table d.t", "Show(Show { kind: CreateTable"),
    ("show create materialized view mv on t", "Show(Show { kind: CreateMaterializedView"),
    (
        "show alter table column from db1 where TableName = \"orders\" and IndexName = \"my_rollup\" and State = \"FINISHED\" order by CreateTime desc limit 1",
        "Show(Show { kind: AlterTable { kind: Column, db: Some(\"db1\") }",
    ),
    (
        "show alter table rollup from d where TableName='t' and State='FINISHED'",
        "Show(Show { kind: AlterTable { kind: Rollup",
    ),
    ("show partitions from TEST_db1.orders where PartitionName = \"p9\"", "Show(Show { kind: Partitions"),
    ("show temporary partitions from t", "Show(Show { kind: Partitions { temporary: true"),
    ("show views where Tables_in_db1 = \"v1\"", "Show(Show { kind: Views"),
    ("show view from t", "Show(Show { kind: ViewsOf"),
    (
        "show columns from t from d where Field=\"x\"",
        "Show(Show { kind: Columns { full: false, table: TableName { db: Some(\"d\"), name: \"t\" }",
    ),
    ("show full columns from t", "Show(Show { kind: Columns { full: true"),
    (
        "desc d.t all",
        "Show(Show { kind: Describe { table: TableName { db: Some(\"d\"), name: \"t\" }, all: true }",
    ),
    ("show indexes from d.t", "Show(Show { kind: Index"),
    ("show variables like 'version_comment'", "Show(Show { kind: Variables { global: false }"),
    ("show backup from d where SnapshotName like \"p%\"", "Show(Show { kind: Backup"),
    (
        "show brief restore from d where label = 'x'",
        "Show(Show { kind: Restore { db: Some(\"d\"), brief: true }",
    ),
    ("show snapshot on `repo`", "Show(Show { kind: Snapshot"),
    ("show transaction from d where id = 5", "Show(Show { kind: Transaction { db: Some(\"d\") }"),
    ("show build index from d where TableName = 't'", "Show(Show { kind: BuildIndex"),
    ("show proc '/dbs/1/2'", "Show(Show { kind: Proc(\"/dbs/1/2\")"),
    ("show tablets from t", "Show(Show { kind: Tablets"),
    ("show tablet 10005", "Show(Show { kind: Tablet(10005)"),
    ("show table 5", "Show(Show { kind: TableById(5)"),
    ("show catalog recycle bin", "Show(Show { kind: CatalogRecycleBin"),
    (
        "show full functions like 'x'",
        "Show(Show { kind: Functions { is_global: false, is_full: true, db: None }",
    ),
    ("SHOW GLOBAL FUNCTIONS", "Show(Show { kind: Functions { is_global: true, is_full: false, db: None }"),
    ("SHOW FULL BUILTIN FUNCTIONS IN d", "Show(Show { kind: Constant"),
    (
        "drop global function if exists f(int, ...)",
        "Function(Drop { function: FunctionName { is_global: true",
    ),
    (
        "create read only repository `r` with broker `b` on location 'x' properties ('a'='b')",
        "Repository(Create(CreateRepository { name: \"r\", is_read_only: true, kind: Broker(\"b\")",
    ),
    ("drop repository r", "Repository(Drop { name: \"r\" })"),
    ("show storage policy", "Show(Show { kind: StoragePolicies"),
    ("show resources where name = 'x'", "Show(Show { kind: Resources"),
];

#[test]
fn statements_parse() {
    for (sql, expected) in STATEMENTS {
        let tree = match parse(sql) {
            Ok(statement) => format!("{statement:?}"),
            Err(error) => panic!("{sql}: {error}"),
        };
        assert!(tree.starts_with(expected), "{sql}\n  {tree}\n  {expected}");
    }
}

#[test]
fn errors_name_the_place() {
    for (sql, expected) in [
        (
            "create tabel t (a int)",
            "mismatched input 'tabel' expecting {'DATABASE', 'INDEX', 'MATERIALIZED', 'TABLE', 'USER', 'VIEW', …}(line 1, pos 7)",
        ),
        ("drop table\n t if", "mismatched input 'if' expecting <EOF>(line 2, pos 3)"),
        ("create table t (a int", "mismatched input '<EOF>' expecting ')'(line 1, pos 21)"),
        ("create table t (a foo)", "Unsupported data type: FOO"),
        ("frobnicate", "mismatched input 'frobnicate'"),
        ("", "mismatched input '<EOF>'"),
    ] {
        let error = parse(sql).unwrap_err();
        assert!(error.message.starts_with(expected), "{sql}: {}", error.message);
        assert_eq!(error.code, 1105);
    }
}

#[test]
fn types_print_in_their_short_form() {
    for (written, printed) in [
        ("INT(11)", "int"),
        ("bigint unsigned", "bigint"),
        ("varchar", "varchar(65533)"),
        ("VARCHAR(*)", "varchar(65533)"),
        ("char", "char(1)"),
        ("string", "text"),
        ("decimal", "decimal(38,9)"),
        ("DecimalV3(76, 20)", "decimal(76,20)"),
        ("datev2", "date"),
        ("DATETIMEV2(3)", "datetime(3)"),
        ("datetime(0)", "datetime"),
        ("ARRAY<INT>", "array<int>"),
        ("map<string, array<decimal(5,2)>>", "map<text,array<decimal(5,2)>>"),
        ("STRUCT<a:INT, b:VARCHAR(3)>", "struct<a:int,b:varchar(3)>"),
        ("agg_state<sum(int)>", "agg_state<sum(int)>"),
        ("jsonb", "json"),
        ("variant", "variant"),
        ("HLL", "hll"),
        ("quantile_state", "quantile_state"),
    ] {
        let data_type = parse_data_type(written).unwrap();
        assert_eq!(data_type.to_string(), printed);
        assert_eq!(parse_data_type(printed).unwrap(), data_type, "{printed} reads as itself");
    }
    assert!(parse_data_type("varchar(70000)").is_err());
    assert!(parse_data_type("decimal(80,2)").is_err());
    assert!(parse_data_type("int int").is_err());
}

fn create(sql: &str) -> CreateTable {
    match parse(sql).unwrap() {
        Statement::CreateTable(create) => *create,
        other => panic!("{other:?}"),
    }
}

#[test]
fn columns_keep_what_was_written() {
    let create = create(
        "create table t (k int key, h hll hll_union not null, b bitmap not null default bitmap_empty, \
         u datetime default current_timestamp(3) on update current_timestamp, n decimal(5,2) default -1.5, \
         x int as (k + 1) null, z int replace_if_not_null default null comment \"it's\") aggregate key(k)",
    );
    let column = |name: &str| create.columns.iter().find(|column| column.name == name).unwrap();
    assert!(column("k").is_key);
    assert_eq!(column("h").nullable, Some(false));
    assert_eq!(column("b").default, Some(DefaultValue::Function("BITMAP_EMPTY".into())));
    assert_eq!(column("u").default, Some(DefaultValue::Function("CURRENT_TIMESTAMP(3)".into())));
    assert_eq!(column("u").on_update.as_deref(), Some("CURRENT_TIMESTAMP"));
    assert_eq!(column("n").default, Some(DefaultValue::Literal("-1.5".into())));
    assert_eq!(column("x").generated.as_deref(), Some("(`k` + 1)"));
    assert_eq!(column("z").comment, "it's");
    assert_eq!(create.keys, Some((KeysType::Aggregate, vec!["k".into()])));
}

#[test]
fn printed_expressions_print_as_themselves() {
    let sql = "create table t (a int, b int, c decimal(10,2) AS ((`a` * CAST(`b` AS decimalv3(10,0)))) NULL)";
    let column = create(sql).columns.remove(2);
    assert_eq!(column.generated.as_deref(), Some("(`a` * CAST(`b` AS decimalv3(10,0)))"));
}

#[test]
fn partitions_of_every_form() {
    let create = create(
        "create table t (a int, b date) partition by range(a, b) (\
         partition p1 values less than (\"1\", \"2024-01-01\"), \
         partition p2 values [(\"1\", \"2024-01-01\"), (MAXVALUE, MAXVALUE)), \
         from (\"2024-01-01\") to (\"2024-02-01\") interval 1 day, \
         from (1) to (9) interval 2) distributed by hash(a)",
    );
    let partitions = create.partitioning.unwrap().partitions;
    let value = |text: &str| PartitionValue::Value(text.into());
    assert_eq!(partitions[0].values, PartitionValues::LessThan(vec![value("1"), value("2024-01-01")]));
    assert_eq!(
        partitions[1].values,
        PartitionValues::Fixed {
            lower: vec![value("1"), value("2024-01-01")],
            upper: vec![PartitionValue::MaxValue, PartitionValue::MaxValue]
        }
    );
    let PartitionValues::Step { unit, .. } = &partitions[2].values else { panic!() };
    assert_eq!(unit.as_deref(), Some("day"));
    let PartitionValues::Step { unit: None, interval: 2, .. } = &partitions[3].values else { panic!() };
    assert_eq!(create.distribution.unwrap().buckets, DEFAULT_BUCKETS);
}

#[test]
fn auto_partitions_keep_their_expression() {
    let create =
        create("create table t (d date not null) auto partition by range (date_trunc(d, \"month\")) ()");
    let partitioning = create.partitioning.unwrap();
    assert!(partitioning.is_auto);
    assert_eq!(partitioning.columns, ["d"]);
    assert_eq!(partitioning.auto_expr.as_deref(), Some("date_trunc(`d`, 'month')"));
}

#[test]
fn data_types_of_columns() {
    let create = create("create table t (date date, `index` largeint, index int(11))");
    let types: Vec<_> = create.columns.iter().map(|column| column.data_type.clone()).collect();
    assert_eq!(types, [DataType::Date, DataType::LargeInt, DataType::Int]);
}
