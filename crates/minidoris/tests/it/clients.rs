//! Other MySQL clients, where they are installed: the `mariadb` command line, Python's PyMySQL and Oracle's driver,
//! and a JDBC driver.

use std::process::{Command, Output};

use minidoris::Cluster;

use crate::harness::cluster;

/// Runs a program; `None` when it is not installed.
async fn run(program: &str, arguments: Vec<String>) -> Option<Output> {
    let program = program.to_owned();
    let result =
        tokio::task::spawn_blocking(move || Command::new(program).args(arguments).output()).await.unwrap();
    match result {
        Ok(output) => Some(output),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => panic!("cannot run: {error}"),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

async fn mariadb(cluster: &Cluster, more: &[&str]) -> Option<Output> {
    let node = cluster.fe(0);
    let port = node.query_port.to_string();
    let mut arguments =
        vec!["--no-defaults", "-h", &node.host, "-P", &port, "-u", "root", "--connect-timeout=20"];
    arguments.extend(more);
    run("mariadb", arguments.into_iter().map(str::to_owned).collect()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_client_works() {
    let cluster = cluster().await;
    let Some(output) = mariadb(&cluster, &["-N", "-e", "select 1; select @@version_comment"]).await else {
        eprintln!("LEFT OUT: the mariadb client is not installed (Debian package mariadb-client)");
        return cluster.stop().await;
    };
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "1\ndoris-3.1.0-rc02-minidoris\n");
    let script = "create database d; use d; \
        create table t (k int, v varchar(9)) duplicate key(k) distributed by hash(k) buckets 2 \
        properties ('replication_num' = '1'); \
        insert into t values (1, 'a'), (2, null); select * from t order by k; show create table t";
    let output = mariadb(&cluster, &["-N", "-e", script]).await.unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let printed = text(&output.stdout);
    assert!(printed.starts_with("1\ta\n2\tNULL\nt\tCREATE TABLE `t` ("), "{printed}");
    let output = mariadb(&cluster, &["-D", "nope", "-e", "select 1"]).await.unwrap();
    assert!(text(&output.stderr).contains("ERROR 1049 (42000)"), "{}", text(&output.stderr));
    let output = mariadb(&cluster, &["--password=wrong", "-e", "select 1"]).await.unwrap();
    assert!(text(&output.stderr).contains("ERROR 1045 (28000)"), "{}", text(&output.stderr));
    cluster.stop().await;
}

/// Prepared statements of Oracle's driver, in its own implementation of the protocol.
const CONNECTOR: &str = r#"
import sys, datetime, decimal
try:
    import mysql.connector
except ImportError:
    print("missing"); sys.exit(0)
conn = mysql.connector.connect(host=sys.argv[1], port=int(sys.argv[2]), user="root", use_pure=True, ssl_disabled=True,
    auth_plugin="mysql_native_password", charset="utf8", collation="utf8_general_ci")
cursor = conn.cursor()
cursor.execute("create database d")
cursor.execute("create table d.t (k int, v varchar(20), at datetime) duplicate key(k) distributed by hash(k) buckets 1 "
    "properties ('replication_num' = '1')")
cursor = conn.cursor(prepared=True)
for k in range(3):
    cursor.execute("insert into d.t values (?, ?, ?)", (k, "it's %d" % k, datetime.datetime(2026, 2, 3, 4, 5, k)))
cursor.execute("select * from d.t where k >= ? order by k", (1,))
for row in cursor.fetchall():
    print(*row)
conn.cmd_reset_connection()
conn.close()
"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_prepared_statements_of_mysql_connector_work() {
    let cluster = cluster().await;
    let node = cluster.fe(0);
    let arguments = ["-c", CONNECTOR, &node.host, &node.query_port.to_string()].map(str::to_owned);
    let output = run("python3", arguments.to_vec()).await;
    match output.as_ref().map(|output| (output, text(&output.stdout))) {
        None => eprintln!("LEFT OUT: Python is not installed"),
        Some((_, printed)) if printed.trim() == "missing" => {
            eprintln!("LEFT OUT: Python's mysql-connector-python is not installed");
        }
        Some((output, printed)) => {
            assert!(output.status.success(), "{}", text(&output.stderr));
            assert_eq!(printed, "1 it's 1 2026-02-03 04:05:01\n2 it's 2 2026-02-03 04:05:02\n");
        }
    }
    cluster.stop().await;
}

const SCRIPT: &str = r#"
import sys
try:
    import pymysql
    from pymysql.constants import CLIENT
except ImportError:
    print("missing"); sys.exit(0)
conn = pymysql.connect(host=sys.argv[1], port=int(sys.argv[2]), user="root", client_flag=CLIENT.MULTI_STATEMENTS)
cursor = conn.cursor()
cursor.execute("select 1, 'a', @@version_comment")
print(cursor.fetchall())
cursor.execute("set query_timeout = 9; select @@query_timeout; select connection_id() > 0" .replace(" > 0", ""))
print(cursor.nextset(), cursor.fetchall(), cursor.nextset(), len(cursor.fetchall()), cursor.nextset())
try:
    pymysql.connect(host=sys.argv[1], port=int(sys.argv[2]), user="root", password="wrong")
except pymysql.err.OperationalError as error:
    print(error.args[0])
"#;

#[tokio::test(flavor = "multi_thread")]
async fn pymysql_works_and_gets_every_result() {
    let cluster = cluster().await;
    let node = cluster.fe(0);
    let arguments = ["-c", SCRIPT, &node.host, &node.query_port.to_string()].map(str::to_owned);
    let output = run("python3", arguments.to_vec()).await;
    let printed = output.as_ref().map(|output| text(&output.stdout));
    match (&output, printed.as_deref().map(str::trim)) {
        (None, _) | (_, Some("missing")) => eprintln!("LEFT OUT: Python's PyMySQL is not installed"),
        (Some(output), Some(printed)) => {
            assert!(output.status.success(), "{}", text(&output.stderr));
            let expected = "((1, 'a', 'doris-3.1.0-rc02-minidoris'),)\nTrue ((9,),) True 1 None\n1045";
            assert_eq!(printed, expected);
        }
        (Some(_), None) => unreachable!("an output has its text"),
    }
    cluster.stop().await;
}

/// Where Debian's libmariadb-java puts its driver.
const JDBC_DRIVER: &str = "/usr/share/java/mariadb-java-client.jar";

/// What a program does with a JDBC driver: metadata, batches, prepared statements, transactions, errors.
const JDBC: &str = r#"
import java.sql.*;

public class Jdbc {
    public static void main(String[] args) throws Exception {
        String url = "jdbc:mariadb://" + args[0] + ":" + args[1] + "/?useSsl=false";
        try (Connection c = DriverManager.getConnection(url, "root", ""); Statement s = c.createStatement()) {
            System.out.println(c.getMetaData().getDatabaseProductVersion());
            s.execute("create database d");
            c.setCatalog("d");
            s.execute("create table t (k int, v varchar(20), at datetime) unique key(k) distributed by hash(k) buckets 2 "
                + "properties ('replication_num' = '1')");
            try (PreparedStatement p = c.prepareStatement("insert into t values (?, ?, ?)")) {
                for (int k = 0; k < 3; k++) {
                    p.setInt(1, k);
                    p.setString(2, "it's " + k);
                    p.setTimestamp(3, Timestamp.valueOf("2026-02-03 04:05:0" + k));
                    p.addBatch();
                }
                p.executeBatch();
            }
            c.setAutoCommit(false);
            s.executeUpdate("delete from t where k = 0");
            c.commit();
            c.setAutoCommit(true);
            try (PreparedStatement p = c.prepareStatement("select * from t where k >= ? order by k")) {
                p.setInt(1, 0);
                ResultSet r = p.executeQuery();
                while (r.next()) System.out.println(r.getInt("k") + " " + r.getString("v") + " " + r.getTimestamp("at"));
            }
            ResultSet tables = c.getMetaData().getTables("d", null, "%", null);
            while (tables.next()) System.out.println("table " + tables.getString("TABLE_NAME"));
            ResultSet columns = c.getMetaData().getColumns("d", null, "t", "%");
            while (columns.next()) System.out.println(columns.getString("COLUMN_NAME") + " " + columns.getString("TYPE_NAME"));
            System.out.println(c.isValid(5));
            try {
                s.execute("select * from missing");
            } catch (SQLException error) {
                System.out.println(error.getErrorCode());
            }
        }
    }
}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_jdbc_driver_works() {
    if !std::path::Path::new(JDBC_DRIVER).exists() {
        return eprintln!("LEFT OUT: no JDBC driver is installed (Debian package libmariadb-java)");
    }
    let cluster = cluster().await;
    let node = cluster.fe(0);
    let directory = tempfile::tempdir().unwrap();
    let source = directory.path().join("Jdbc.java");
    std::fs::write(&source, JDBC).unwrap();
    let arguments = ["-cp", JDBC_DRIVER, source.to_str().unwrap(), &node.host, &node.query_port.to_string()]
        .map(str::to_owned);
    match run("java", arguments.to_vec()).await {
        None => eprintln!("LEFT OUT: no JDK is installed"),
        Some(output) => {
            assert!(output.status.success(), "{}", text(&output.stderr));
            let expected = "5.7.99\n1 it's 1 2026-02-03 04:05:01.0\n2 it's 2 2026-02-03 04:05:02.0\ntable t\n\
                            k INT\nv VARCHAR\nat DATETIME\ntrue\n1109\n";
            assert_eq!(text(&output.stdout), expected);
        }
    }
    cluster.stop().await;
}
