//! Server-side prepared statements, reset connections, and what drivers of Java say when they connect.

use mysql_async::prelude::Queryable;
use mysql_async::{ChangeUserOpts, Conn, Row, Value};

use crate::harness::{bounded, cluster, connect, opts, rows, server_error};

const TABLE: &str = "CREATE DATABASE d; USE d; CREATE TABLE t (k bigint, i int, s smallint, b boolean, f double, \
    m decimal(9,2), day date, at datetime(3), v varchar(99), big largeint) DUPLICATE KEY(k) \
    DISTRIBUTED BY HASH(k) BUCKETS 2 PROPERTIES (\"replication_num\" = \"1\")";

async fn with_table() -> (minidoris::Cluster, Conn) {
    let cluster = cluster().await;
    bounded(cluster.sql(TABLE)).await.unwrap();
    let mut conn = connect(&cluster).await;
    bounded(conn.query_drop("USE d")).await.unwrap();
    (cluster, conn)
}

#[tokio::test]
async fn parameters_and_results_are_binary() {
    let (cluster, mut conn) = with_table().await;
    let insert = bounded(conn.prep("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")).await.unwrap();
    assert_eq!(insert.num_params(), 10);
    let quoted = "it's a \\ \"test\"\n?";
    let values = vec![
        Value::Int(-5_000_000_000),
        Value::Int(-7),
        Value::UInt(300),
        Value::Int(1),
        Value::Double(1.25),
        Value::Bytes(b"12.50".to_vec()),
        Value::Date(2026, 2, 3, 0, 0, 0, 0),
        Value::Date(2026, 2, 3, 4, 5, 6, 7_000),
        Value::Bytes(quoted.as_bytes().to_vec()),
        Value::Bytes(b"170141183460469231731687303715884105727".to_vec()),
    ];
    bounded(conn.exec_drop(&insert, values.clone())).await.unwrap();
    let nulls: Vec<Value> = [Value::Int(6)].into_iter().chain(vec![Value::NULL; 9]).collect();
    bounded(conn.exec_drop(&insert, nulls.clone())).await.unwrap();
    let select = bounded(conn.prep("SELECT * FROM t WHERE k = ?")).await.unwrap();
    let found: Vec<Row> = bounded(conn.exec(&select, (-5_000_000_000_i64,))).await.unwrap();
    // The third was given unsigned and is a SMALLINT.
    let mut expected = values;
    expected[2] = Value::Int(300);
    assert_eq!(found[0].clone().unwrap(), expected);
    let found: Vec<Row> = bounded(conn.exec(&select, (6,))).await.unwrap();
    assert_eq!(found[0].clone().unwrap(), nulls);
    let found: Vec<Row> = bounded(conn.exec(&select, (7,))).await.unwrap();
    assert!(found.is_empty());
    // Statements without rows of types: SHOW is text, DDL only done.
    let shown: Vec<(String,)> = bounded(conn.exec("SHOW TABLES LIKE ?", ("t",))).await.unwrap();
    assert_eq!(shown, [("t".to_owned(),)]);
    bounded(conn.exec_drop("TRUNCATE TABLE t", ())).await.unwrap();
    assert_eq!(rows(&mut conn, "SELECT count(*) FROM t").await, [[Some("0".to_owned())]]);
    cluster.stop().await;
}

#[tokio::test]
async fn a_prepared_statement_counts_and_fails_as_its_text() {
    let (cluster, mut conn) = with_table().await;
    cluster.counters().reset();
    let delete = bounded(conn.prep("DELETE FROM t WHERE k = ?")).await.unwrap();
    assert_eq!(cluster.counters().get("sql:DELETE"), 0);
    bounded(conn.exec_drop(&delete, (1,))).await.unwrap();
    assert_eq!(cluster.counters().get("sql:DELETE"), 1);
    let missing = bounded(conn.prep("SELECT * FROM nothing WHERE k = ?")).await.unwrap();
    let (code, text) = server_error(bounded(conn.exec_drop(&missing, (1,))).await);
    assert_eq!(code, 1109);
    assert!(text.contains("Unknown table 'nothing'"), "{text}");
    bounded(conn.close(delete.clone())).await.unwrap();
    assert_eq!(server_error(bounded(conn.exec_drop(&delete, (1,))).await).0, 1243);
    assert_eq!(server_error(bounded(conn.prep("")).await).0, 1065);
    // A parameter too long for one packet is sent ahead of the execution.
    let roomy = opts(&cluster, 0).max_allowed_packet(Some(64 << 20));
    let mut conn = bounded(Conn::new(roomy)).await.unwrap();
    let long = "y".repeat(17 << 20);
    let answer: Option<(String,)> = bounded(conn.exec_first("SELECT ?", (&long,))).await.unwrap();
    assert_eq!(answer.unwrap().0.len(), long.len());
    cluster.stop().await;
}

#[tokio::test]
async fn a_reset_connection_forgets_its_session() {
    let (cluster, mut conn) = with_table().await;
    bounded(conn.query_drop("SET query_timeout = 17; BEGIN; INSERT INTO t (k) VALUES (1)")).await.unwrap();
    let select = bounded(conn.prep("SELECT ?")).await.unwrap();
    assert!(bounded(conn.reset()).await.unwrap(), "5.7 knows COM_RESET_CONNECTION");
    assert_eq!(rows(&mut conn, "SELECT @@query_timeout").await, [[Some("900".to_owned())]]);
    assert_eq!(rows(&mut conn, "SELECT database()").await, [[Some("d".to_owned())]]);
    assert_eq!(rows(&mut conn, "SELECT count(*) FROM t").await, [[Some("0".to_owned())]]);
    assert_eq!(server_error(bounded(conn.exec_drop(&select, (1,))).await).0, 1243);
    // It begins as a new one does, and its temporary tables are gone.
    const TEMPORARY: &str = "CREATE TEMPORARY TABLE gone (k INT) DISTRIBUTED BY HASH(k) BUCKETS 1";
    const SHOWN: &str = "SHOW TABLES LIKE 'gone'";
    bounded(conn.query_drop(format!("SET GLOBAL query_timeout = 700; {TEMPORARY}"))).await.unwrap();
    assert_eq!(rows(&mut conn, SHOWN).await.len(), 1);
    assert!(bounded(conn.reset()).await.unwrap());
    assert_eq!(rows(&mut conn, "SELECT @@query_timeout").await, [[Some("700".to_owned())]]);
    assert!(rows(&mut conn, SHOWN).await.is_empty());
    bounded(conn.query_drop(TEMPORARY)).await.unwrap();

    bounded(cluster.sql("CREATE USER u IDENTIFIED BY 'p'; GRANT SELECT_PRIV ON d.t TO u")).await.unwrap();
    let other = ChangeUserOpts::new()
        .with_user(Some("u".to_owned()))
        .with_pass(Some("p".to_owned()))
        .with_db_name(Some("d".to_owned()));
    bounded(conn.change_user(other)).await.unwrap();
    assert_eq!(rows(&mut conn, "SELECT current_user(), database()").await[0][0].as_deref(), Some("'u'@'%'"));
    let left = bounded(cluster.sql_in("d", SHOWN)).await.unwrap().rows;
    assert!(left.is_empty(), "a temporary table ends with the account's session: {left:?}");
    assert_eq!(server_error(bounded(conn.query_drop("INSERT INTO t (k) VALUES (1)")).await).0, 1142);
    let wrong = ChangeUserOpts::new().with_user(Some("u".to_owned())).with_pass(Some("x".to_owned()));
    assert_eq!(server_error(bounded(conn.change_user(wrong)).await).0, 1045);
    cluster.stop().await;
}

/// What MySQL Connector/J 8 and 9 and MariaDB Connector/J 3 send before the first statement of a program, and
/// what their pools send between two.
const START_UP: &[&str] = &[
    "/* mysql-connector-j-8.4.0 (Revision: 1c3f5c149e0bfe31c7fbeb24e2d260cd890972c4) */SELECT  \
     @@session.auto_increment_increment AS auto_increment_increment, @@character_set_client AS character_set_client, \
     @@character_set_connection AS character_set_connection, @@character_set_results AS character_set_results, \
     @@character_set_server AS character_set_server, @@collation_server AS collation_server, \
     @@collation_connection AS collation_connection, @@init_connect AS init_connect, \
     @@interactive_timeout AS interactive_timeout, @@license AS license, \
     @@lower_case_table_names AS lower_case_table_names, @@max_allowed_packet AS max_allowed_packet, \
     @@net_write_timeout AS net_write_timeout, @@performance_schema AS performance_schema, \
     @@query_cache_size AS query_cache_size, @@query_cache_type AS query_cache_type, @@sql_mode AS sql_mode, \
     @@system_time_zone AS system_time_zone, @@time_zone AS time_zone, \
     @@transaction_isolation AS transaction_isolation, @@wait_timeout AS wait_timeout",
    "SHOW WARNINGS",
    "SET NAMES utf8mb4",
    "SET character_set_results = NULL",
    "SET autocommit=1",
    "SET sql_mode='STRICT_TRANS_TABLES'",
    "SELECT @@session.transaction_read_only",
    "SELECT @@session.tx_isolation",
    "SET SESSION TRANSACTION READ WRITE",
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    "/* ping */ SELECT 1",
    "select @@session.autocommit",
    "SHOW VARIABLES WHERE Variable_name = 'language' OR Variable_name = 'net_write_timeout'",
    "set autocommit=1, sql_mode = concat(@@sql_mode,',STRICT_TRANS_TABLES')",
    "SELECT @@max_allowed_packet,@@system_time_zone,@@time_zone,@@auto_increment_increment",
    "SELECT @@max_allowed_packet, @@wait_timeout",
    "set session_track_schema=1,session_track_system_variables='auto_increment_increment' ",
    "SELECT @@tx_isolation, @@transaction_isolation",
    "SELECT DATABASE()",
    "rollback",
];

#[tokio::test]
async fn the_first_statements_of_java_drivers_are_understood() {
    let (cluster, mut conn) = with_table().await;
    for statement in START_UP {
        let answer: Result<Vec<Row>, _> = bounded(conn.query(*statement)).await;
        assert!(answer.is_ok(), "{statement}: {answer:?}");
    }
    let either = "SHOW VARIABLES WHERE Variable_name = 'language' OR Variable_name = 'net_write_timeout'";
    let named: Vec<_> =
        rows(&mut conn, either).await.into_iter().map(|mut row| row.remove(0).unwrap()).collect();
    assert_eq!(named, ["language", "net_write_timeout"]);
    let first: Vec<Row> = bounded(conn.query(START_UP[0])).await.unwrap();
    let names: Vec<String> =
        first[0].columns_ref().iter().map(|column| column.name_str().into_owned()).collect();
    assert_eq!(
        (names[0].as_str(), names[20].as_str(), names.len()),
        ("auto_increment_increment", "wait_timeout", 21)
    );
    cluster.stop().await;
}
