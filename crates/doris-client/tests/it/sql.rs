//! Statements over the MySQL protocol.

use std::sync::atomic::Ordering;
use std::time::Duration;

use doris_client::{ClientOptions, Clients, ClusterConfig};
use doris_types::call::{BackupObjects, BackupTable};
use doris_types::failure::Cause;

use crate::support::*;

/// A frontend that lists itself and answers everything else with `Done`.
async fn frontend() -> Fe {
    let fe = Fe::start(Role::Master).await;
    fe.list(&[listed(&fe, true)]);
    fe
}

/// A frontend that answers statements with `answer`.
async fn answering(answer: impl Fn(&str) -> Sql + Send + Sync + 'static) -> Fe {
    let fe = Fe::start(Role::Master).await;
    fe.on_sql(answer);
    fe
}

#[tokio::test]
async fn statements_run_in_their_database() {
    let fe = frontend().await;
    let cluster = cluster(&[&fe]);
    cluster.execute(Some("a`b"), "S 1").await.unwrap();
    cluster.execute(Some("a`b"), "S 2").await.unwrap();
    cluster.execute(None, "S 3").await.unwrap();
    cluster.execute(Some("c"), "S 4").await.unwrap();
    cluster.execute(None, "S 5").await.unwrap();
    let log: Vec<_> =
        fe.mysql.log.lock().iter().filter(|(_, sql)| !sql.contains("frontends()")).cloned().collect();
    let statements: Vec<_> = log.iter().map(|(_, sql)| sql.as_str()).collect();
    assert_eq!(statements, ["USE `a``b`", "S 1", "S 2", "S 3", "USE `c`", "S 4", "S 5"]);
    // The statements without a database ran on connections that had not entered one before.
    for (at, (number, sql)) in log.iter().enumerate() {
        let entered = log[..at].iter().any(|(n, sql)| n == number && sql.starts_with("USE"));
        assert!(!matches!(sql.as_str(), "S 3" | "S 5") || !entered, "{log:?}");
    }
}

#[tokio::test]
async fn a_changed_session_is_not_used_again() {
    let fe = frontend().await;
    let cluster = cluster(&[&fe]);
    cluster.execute(None, "S 1").await.unwrap();
    let before = fe.mysql.connections.load(Ordering::SeqCst);
    cluster.execute(None, "set x = 1").await.unwrap();
    assert_eq!(fe.mysql.connections.load(Ordering::SeqCst), before);
    cluster.execute(None, "S 2").await.unwrap();
    assert_eq!(fe.mysql.connections.load(Ordering::SeqCst), before + 1);
}

#[tokio::test]
async fn errors_keep_their_code_and_are_not_repeated() {
    let failing = |_: &str| Sql::Error(1049, "errCode = 2, detailMessage = Unknown database 'd'".into());
    let (a, b) = (answering(failing).await, answering(failing).await);
    let cluster = cluster(&[&a, &b]);
    let failure = cluster.execute(None, "BACKUP SNAPSHOT `d`.`l` TO x").await.unwrap_err();
    assert_eq!(failure.operation, "BACKUP SNAPSHOT");
    assert!(
        matches!(&failure.cause, Cause::Sql { code: 1049, message, .. } if message.contains("Unknown database"))
    );
    assert_eq!(a.statements().len() + b.statements().len(), 1);
    assert_eq!(cluster.show_create_database("d").await.unwrap(), None);
    assert!(cluster.show_create_table("d", "t").await.is_err());
    // A refused account is an answer, too.
    for fe in [&a, &b] {
        fe.mysql.refuse.lock().replace((1045, "Access denied for user 'root' (using password: YES)".into()));
    }
    let fresh = crate::support::cluster(&[&a, &b]);
    let failure = fresh.check_reachable().await.unwrap_err();
    assert!(matches!(failure.cause, Cause::Sql { code: 1045, .. }), "{failure}");
}

#[tokio::test]
async fn a_lost_statement_is_repeated_only_when_it_reads() {
    let (a, b) = (answering(|_| Sql::Cut).await, answering(|_| Sql::Done).await);
    let cluster = cluster(&[&a, &b]);
    let failure = cluster.execute(None, "CREATE TABLE t").await.unwrap_err();
    assert!(matches!(failure.cause, Cause::Lost { .. }), "{failure}");
    assert_eq!((a.statements().len(), b.statements().len()), (1, 0));
    cluster.query(None, "SHOW DATABASES").await.unwrap();
    assert_eq!((a.statements().len(), b.statements().len()), (2, 1));
}

#[tokio::test]
async fn a_dead_frontend_is_left_for_the_next() {
    let (mut a, b) = (frontend().await, frontend().await);
    b.list(&[listed(&b, true)]);
    let cluster = cluster(&[&a, &b]);
    a.kill().await;
    cluster.execute(None, "CREATE TABLE t").await.unwrap();
    assert_eq!(b.statements(), ["CREATE TABLE t"]);
}

#[tokio::test]
async fn a_restarted_frontend_leaves_no_statement_in_doubt() {
    let mut fe = frontend().await;
    let cluster = cluster(&[&fe]);
    cluster.execute(None, "S 1").await.unwrap();
    fe.restart_mysql().await;
    cluster.execute(None, "S 2").await.unwrap();
    assert_eq!(fe.statements(), ["S 1", "S 2"]);
}

#[tokio::test]
async fn statements_are_limited_in_time() {
    let fe = answering(|_| Sql::Hang).await;
    let short = Duration::from_millis(50);
    let impatient = ClientOptions { statement_timeout: short, rpc_timeout: short, ..options() };
    let (_clients, cluster) = cluster_with(impatient, &[&fe]);
    let failure = cluster.execute(None, "CREATE TABLE t").await.unwrap_err();
    assert!(matches!(failure.cause, Cause::Lost { .. }), "{failure}");
    assert!(failure.text().contains("no answer within"), "{failure}");
}

#[tokio::test]
async fn results_are_limited_in_size() {
    let fe = answering(|_| Sql::rows(&["A"], &[&["0123456789"], &["0123456789"]])).await;
    let (_clients, cluster) = cluster_with(ClientOptions { max_result_size: 20, ..options() }, &[&fe]);
    assert_eq!(cluster.query(None, "SHOW X").await.unwrap().rows.len(), 2);
    let (_clients, cluster) = cluster_with(ClientOptions { max_result_size: 19, ..options() }, &[&fe]);
    let failure = cluster.query(None, "SHOW X").await.unwrap_err();
    assert!(matches!(failure.cause, Cause::Malformed { .. }), "{failure}");
}

#[tokio::test]
async fn rows_are_read_by_name() {
    let fe = answering(|_| {
        Sql::Rows(
            vec!["Name".into(), "Value".into()],
            vec![vec![Some("界".repeat(200)), None], vec![Some(String::new()), Some("x".into())]],
        )
    })
    .await;
    let rows = cluster(&[&fe]).query(None, "SHOW X").await.unwrap();
    assert_eq!(rows.rows[0].text("name"), "界".repeat(200));
    assert_eq!(rows.rows[0].get("Value"), None);
    assert_eq!((rows.rows[1].get("NAME"), rows.rows[1].get("VALUE")), (Some(""), Some("x")));
    assert_eq!(rows.rows[1].get("Other"), None);
}

#[tokio::test]
async fn restores_are_listed_in_short_and_told_by_their_id() {
    let fe = answering(|sql| match sql {
        "SHOW BRIEF RESTORE FROM `d`" => Sql::rows(
            &["JobId", "Label", "State", "Status"],
            &[&["7", "l", "CANCELLED", "[COMMON_ERROR, msg: x]"], &["9", "l", "FINISHED", "[OK]"]],
        ),
        r#"SHOW RESTORE FROM `d` WHERE Label = "l""# => Sql::rows(
            &["JobId", "Label", "State", "RestoreObjs"],
            &[
                &["7", "l", "CANCELLED", "{}"],
                &[
                    "9",
                    "l",
                    "FINISHED",
                    r#"{"olap_table_list": [{"name": "t"}], "view_list": [{"name": "v"}]}"#,
                ],
                &["11", "l", "FINISHED", "nothing of use"],
            ],
        ),
        _ => Sql::Done,
    })
    .await;
    let cluster = cluster(&[&fe]);
    let jobs = cluster.restore_jobs("d").await.unwrap();
    let shown: Vec<_> = jobs.iter().map(|job| (job.id, job.label.as_str(), job.is_finished())).collect();
    assert_eq!(shown, [(7, "l", false), (9, "l", true)]);
    let objects = cluster.restored_objects("d", &jobs[1]).await.unwrap().unwrap();
    assert_eq!((objects.tables, objects.views), (vec!["t".to_owned()], vec!["v".to_owned()]));
    let job = |id| doris_types::meta::SnapshotJob { id, ..jobs[1].clone() };
    assert_eq!(cluster.restored_objects("d", &job(8)).await.unwrap(), None, "it is not kept any more");
    cluster.restored_objects("d", &job(11)).await.unwrap_err();
}

#[tokio::test]
async fn backup_and_restore_jobs() {
    let fe = answering(|sql| match sql {
        r#"SHOW BACKUP FROM `d``b` WHERE SnapshotName = "l\"1""# => Sql::rows(
            &["JobId", "SnapshotName", "State", "Progress", "Status"],
            &[
                &["1", "l\"1", "CANCELLED", "", "[COMMON_ERROR, msg: user cancelled]"],
                &["2", "l\"1", "FINISHED", "[1: 2/2]", "[OK]"],
            ],
        ),
        r#"SHOW RESTORE FROM `d` WHERE Label = "r""# => {
            Sql::rows(&["JobId", "Label", "State", "Status"], &[])
        }
        _ => Sql::Done,
    })
    .await;
    let cluster = cluster(&[&fe]);
    let job = cluster.backup_job("d`b", "l\"1").await.unwrap().unwrap();
    assert_eq!((job.label.as_str(), job.state.as_str()), ("l\"1", "FINISHED"));
    assert_eq!((job.status.as_str(), job.progress.as_str()), ("[OK]", "[1: 2/2]"));
    assert_eq!(cluster.restore_job("d", "r").await.unwrap(), None);
    let some = BackupTable { name: "t".to_owned(), partitions: vec!["p`1".to_owned(), "p2".to_owned()] };
    for objects in [
        BackupObjects::All { except: Vec::new() },
        BackupObjects::All { except: vec!["t`1".to_owned(), "t2".to_owned()] },
        BackupObjects::Listed(["t`1", "t2"].map(BackupTable::whole).to_vec()),
        BackupObjects::Listed(vec![some]),
    ] {
        cluster.start_backup("d", "l", &objects).await.unwrap();
    }
    let backups: Vec<_> = fe.statements().into_iter().filter(|sql| sql.starts_with("BACKUP")).collect();
    assert_eq!(
        backups,
        [
            "BACKUP SNAPSHOT `d`.`l` TO `__keep_on_local__` PROPERTIES (\"type\" = \"full\")",
            "BACKUP SNAPSHOT `d`.`l` TO `__keep_on_local__` EXCLUDE (`t``1`, `t2`) PROPERTIES (\"type\" = \"full\")",
            "BACKUP SNAPSHOT `d`.`l` TO `__keep_on_local__` ON (`t``1`, `t2`) PROPERTIES (\"type\" = \"full\")",
            "BACKUP SNAPSHOT `d`.`l` TO `__keep_on_local__` ON (`t` PARTITION (`p``1`, `p2`)) PROPERTIES (\"type\" = \"full\")",
        ]
    );
}

#[tokio::test]
async fn catalogue_statements() {
    let fe = answering(|sql| match sql {
        "SHOW CREATE TABLE `d`.`t`" => Sql::rows(&["Table", "Create Table"], &[&["t", "CREATE TABLE `t` ()"]]),
        "SHOW CREATE TABLE `d`.`v`" => Sql::rows(&["View", "Create View"], &[&["v", "CREATE VIEW `v`"]]),
        "SHOW CREATE TABLE `d`.`x`" => Sql::Error(1051, "errCode = 2, detailMessage = Unknown table 'x'".into()),
        "SHOW CREATE DATABASE `d`" => Sql::rows(&["Database", "Create Database"], &[&["d", "CREATE DATABASE `d`"]]),
        "SHOW DATABASES" => Sql::rows(&["Database"], &[&["__internal_schema"], &["d"]]),
        "SELECT table_name FROM information_schema.tables WHERE table_schema = \"d\" AND table_type = \"VIEW\"" => {
            Sql::rows(&["table_name"], &[&["v"]])
        }
        "SELECT table_name FROM information_schema.tables WHERE table_schema = \"d\" AND table_type = \"BASE TABLE\"" => {
            Sql::rows(&["TABLE_NAME"], &[&["t"], &["u"]])
        }
        "ADMIN SHOW FRONTEND CONFIG LIKE \"a_b\"" => {
            Sql::rows(&["Key", "Value"], &[&["axb", "wrong"], &["a_b", "right"]])
        }
        "ADMIN SHOW FRONTEND CONFIG LIKE \"none\"" => Sql::rows(&["Key", "Value"], &[]),
        other => Sql::Error(1105, other.to_owned()),
    })
    .await;
    let cluster = cluster(&[&fe]);
    assert_eq!(cluster.show_create_table("d", "t").await.unwrap().as_deref(), Some("CREATE TABLE `t` ()"));
    assert_eq!(cluster.show_create_table("d", "v").await.unwrap().as_deref(), Some("CREATE VIEW `v`"));
    assert_eq!(cluster.show_create_table("d", "x").await.unwrap(), None);
    assert_eq!(cluster.show_create_database("d").await.unwrap().as_deref(), Some("CREATE DATABASE `d`"));
    assert!(cluster.database_exists("d").await.unwrap());
    assert!(!cluster.database_exists("D").await.unwrap());
    assert_eq!(cluster.views("d").await.unwrap(), ["v"]);
    assert_eq!(cluster.tables("d").await.unwrap(), ["t", "u"]);
    assert_eq!(cluster.frontend_config("a_b").await.unwrap().as_deref(), Some("right"));
    assert_eq!(cluster.frontend_config("none").await.unwrap(), None);
}

/// The files of frontends can differ, and one passes such a question on to the master unless it is told not to.
#[tokio::test]
async fn each_frontend_tells_its_own_settings() {
    let telling = async |value: &'static str| {
        answering(move |sql| match sql {
            "SET forward_to_master = false" => Sql::Done,
            "ADMIN SHOW FRONTEND CONFIG LIKE \"a_b\"" => {
                Sql::rows(&["Key", "Value"], &[&["axb", "wrong"], &["a_b", value]])
            }
            other => Sql::Error(1105, other.to_owned()),
        })
        .await
    };
    let (master, follower) = (telling("true").await, telling("false").await);
    let cluster = cluster(&[&master]);
    for (fe, is_master, expected) in [(&master, true, "true"), (&follower, false, "false")] {
        let value = cluster.frontend_config_of(&listed(fe, is_master), "a_b").await.unwrap();
        assert_eq!(value.as_deref(), Some(expected));
        assert_eq!(fe.statements()[0], "SET forward_to_master = false");
    }
    let strange = doris_types::meta::Frontend { host: "10.9.9.9".into(), ..listed(&follower, false) };
    let mapped = Clients::new(options()).cluster(ClusterConfig {
        host_mapping: [("10.1.1.1".to_owned(), "127.0.0.1".to_owned())].into(),
        ..config(&[&master])
    });
    let failure = mapped.frontend_config_of(&strange, "a_b").await.unwrap_err();
    assert!(matches!(failure.cause, Cause::UnmappedHost { .. }), "{failure}");
}

#[tokio::test]
async fn binlog_lists_are_listed() {
    let fe = answering(|sql| match sql {
        "SHOW PROC \"/binlog\"" => Sql::rows(
            &[
                "Name",
                "Type",
                "Id",
                "Dropped",
                "BinlogLength",
                "BinlogSize",
                "FirstBinlogCommittedTime",
                "BinlogTtlSeconds",
                "BinlogMaxBytes",
                "BinlogMaxHistoryNums",
            ],
            &[
                &["d", "db", "7", "false", "5", "600", "1", "86400", "9223372036854775807", "100"],
                &["d.t", "table", "8", "false", "2", "80", "1", "60", "70", "80"],
                // Dropped.
                &["(dropped).9", "db", "9", "true", "5", "600", "1", "", "", ""],
            ],
        ),
        other => Sql::Error(1105, other.to_owned()),
    })
    .await;
    let lists = cluster(&[&fe]).binlog_lists().await.unwrap();
    let [of_database, of_table] = &lists[..] else { panic!("two lists are expected: {lists:?}") };
    assert_eq!((of_database.name.as_str(), of_database.is_of_table, of_database.id), ("d", false, 7));
    assert_eq!((of_database.entries, of_database.bytes, of_database.ttl_seconds), (5, 600, 86_400));
    assert_eq!((of_database.max_bytes, of_database.max_history_nums), (i64::MAX, 100));
    assert_eq!((of_table.name.as_str(), of_table.is_of_table, of_table.id), ("d.t", true, 8));
    assert_eq!((of_table.ttl_seconds, of_table.max_bytes, of_table.max_history_nums), (60, 70, 80));
}

#[tokio::test]
async fn frontends_are_listed() {
    let fe = frontend().await;
    let listed = listed(&fe, true);
    assert_eq!(cluster(&[&fe]).frontends().await.unwrap(), [listed]);
    let broken =
        answering(|_| Sql::rows(&["Host", "QueryPort", "RpcPort", "IsMaster"], &[&["h", "x", "1", "true"]]))
            .await;
    let failure = cluster(&[&broken]).frontends().await.unwrap_err();
    assert!(matches!(failure.cause, Cause::Malformed { .. }), "{failure}");
}
