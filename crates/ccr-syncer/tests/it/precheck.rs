//! Every missing setting is named with what fixes it, and all of them at once.

use std::time::Duration;

use ccr_core::job::JobSpec;
use ccr_syncer::precheck::{Report, check};
use doris_types::failure::Cause;
use doris_types::meta::Frontend;

use crate::fake::{FakeCluster, database, frontend, good_table, table};
use crate::harness::spec;

/// Two clusters between which a job can be created, made unfit by `spoil`.
async fn report(spec: &JobSpec, spoil: impl FnOnce(&FakeCluster, &FakeCluster)) -> Report {
    let (up, down) = (FakeCluster::new(), FakeCluster::new());
    let mut shop = database("shop", true);
    shop.tables.insert("orders".to_owned(), good_table(10));
    shop.tables.insert("lines".to_owned(), good_table(11));
    up.state.lock().databases.insert("shop".to_owned(), shop);
    spoil(&up, &down);
    check(spec, &*up, &*down, Duration::from_secs(30)).await
}

fn put(cluster: &FakeCluster, name: &str, table: crate::fake::Table) {
    let mut state = cluster.state.lock();
    let shop = state.databases.entry("shop".to_owned()).or_insert_with(|| database("shop", true));
    shop.tables.insert(name.to_owned(), table);
}

fn put_copy(down: &FakeCluster) {
    let mut copy = database("shop_copy", false);
    copy.tables.insert("orders".to_owned(), good_table(1));
    down.state.lock().databases.insert("shop_copy".to_owned(), copy);
}

#[tokio::test]
async fn nothing_is_wrong_with_good_clusters() {
    for table in ["", "orders"] {
        let found = report(&spec("j", table), |_, _| {}).await;
        assert_eq!(found, Report { create_database: true, ..Report::default() });
    }
    let found = report(&spec("j", ""), |_, down| put_copy(down)).await;
    assert_eq!((found.problems.len(), found.warnings.len(), found.create_database), (0, 1, false));
}

type Spoil = fn(&FakeCluster, &FakeCluster);

#[tokio::test]
async fn each_missing_setting_is_named_with_its_fix() {
    // For which table (empty: database job), what is wrong, where, and how it is fixed.
    let cases: Vec<(&str, Spoil, &str, &str)> = vec![
        (
            "",
            |up, _| up.fail("check_reachable", Cause::Connect { detail: "refused".to_owned() }),
            "src: check_reachable on fe:9030",
            "check src.host, src.port and src.thrift_port",
        ),
        (
            "",
            |_, down| {
                let (state, message) = ("28000".to_owned(), "Access denied for user 'root'".to_owned());
                down.fail("check_reachable", Cause::Sql { code: 1045, state, message });
            },
            "dest: check_reachable",
            "correct dest.user or dest.password",
        ),
        (
            "",
            |up, _| {
                let off = ("enable_feature_binlog".to_owned(), "false".to_owned());
                up.state.lock().frontend_of.insert("fe2".to_owned(), [off].into());
            },
            "src frontend fe2:9030: enable_feature_binlog is not true",
            "fe.conf of this frontend",
        ),
        (
            "",
            |_, down| {
                let other = ("priority_networks".to_owned(), String::new());
                down.state.lock().frontend_of.insert("fe1".to_owned(), [other].into());
            },
            "dest frontend fe1:9030: it does not know enable_feature_binlog",
            "Doris 2.1 or later",
        ),
        (
            "",
            |up, _| drop(up.state.lock().backend.insert(2, Default::default())),
            "src backend be2:8040: enable_feature_binlog is not true",
            "be.conf of this backend",
        ),
        (
            "",
            |_, down| drop(down.state.lock().backend.remove(&1)),
            "dest backend be1:8040: show_config on be1:8040: cannot connect",
            "dest.host_mapping",
        ),
        ("", |_, down| down.state.lock().backends.clear(), "dest: no backend is alive", "start the backends"),
        (
            "",
            |up, _| {
                let version = |text: &str| Frontend { version: text.to_owned(), ..frontend("fe3", false) };
                let versions = ["doris-2.1.7-rc03-443e87e203", "own build", "doris-2.0.15-rc06"].map(version);
                up.state.lock().frontends.extend(versions);
            },
            "src frontend fe3:9030: its version is doris-2.0.15-rc06",
            "use Doris 2.1 or later",
        ),
        (
            "orders",
            |up, _| {
                up.state.lock().temporary = vec!["tp".to_owned()];
                let mut state = up.state.lock();
                let tables = &mut state.databases.get_mut("shop").unwrap().tables;
                let create = &mut tables.get_mut("orders").unwrap().create;
                *create = create.replacen("ENGINE=OLAP", "ENGINE=OLAP\nPARTITION BY RANGE(`k`)()", 1);
            },
            "src table shop.orders: it has the temporary partition tp",
            "DROP TEMPORARY PARTITION `tp`, or on the source: ADMIN SET FRONTEND CONFIG",
        ),
        (
            "",
            |up, _| up.fail("backends", Cause::UnmappedHost { host: "10.0.0.9".to_owned() }),
            "src: backends on fe:9030: host 10.0.0.9",
            "10.0.0.9 to src.host_mapping",
        ),
        (
            "",
            |up, _| up.state.lock().databases.clear(),
            "src.database: database shop does not exist",
            "create the database upstream",
        ),
        (
            "",
            |up, _| {
                up.state.lock().databases.get_mut("shop").unwrap().create =
                    "CREATE DATABASE `shop`".to_owned()
            },
            "src.database: binlog.enable is not true",
            "ALTER DATABASE `shop` SET PROPERTIES (\"binlog.enable\" = \"true\")",
        ),
        (
            "",
            |up, _| {
                put(up, "lines", table(11, &[("light_schema_change", "true"), ("binlog.enable", "false")]))
            },
            "src table shop.lines: binlog.enable is not true",
            "ALTER TABLE `shop`.`lines` SET (\"binlog.enable\" = \"true\"",
        ),
        (
            "",
            |up, _| put(up, "lines", table(11, &[("binlog.enable", "true")])),
            "src table shop.lines: light_schema_change is not true",
            "ALTER TABLE `shop`.`lines` SET (\"light_schema_change\" = \"true\")",
        ),
        (
            "orders",
            |up, _| put(up, "orders", table(10, &[("light_schema_change", "true")])),
            "src table shop.orders: binlog.enable is not true",
            "ALTER TABLE `shop`.`orders` SET (\"binlog.enable\" = \"true\"",
        ),
        ("missing", |_, _| {}, "src.table: table shop.missing does not exist", "create the table upstream"),
        (
            "v",
            |up, _| {
                let create = "CREATE VIEW `v` AS SELECT 1;".to_owned();
                put(up, "v", crate::fake::Table { create, ..good_table(12) });
            },
            "src.table: shop.v is a view",
            "database jobs",
        ),
        (
            "orders",
            |_, down| put_copy(down),
            "dest.table: table shop_copy.orders already exists",
            "allow_table_exists",
        ),
        (
            "orders",
            |up, down| {
                let mut indexed = good_table(10);
                indexed.create =
                    indexed.create.replace("\n) ENGINE", ",\n  INDEX i (`k`) USING INVERTED\n) ENGINE");
                put(up, "orders", indexed);
                down.state.lock().frontend.insert("restore_reset_index_id".to_owned(), "true".to_owned());
            },
            "dest: restore_reset_index_id is on",
            "ADMIN SET FRONTEND CONFIG (\"restore_reset_index_id\" = \"false\")",
        ),
    ];
    for (table, spoil, named, fix) in cases {
        let found = report(&spec("j", table), spoil).await;
        let [problem] = &found.problems[..] else { panic!("{named}: one problem is expected in {found:?}") };
        assert!(problem.to_string().starts_with(named), "{named}: {problem}");
        assert!(problem.fix.contains(fix), "{named}: {problem}");
        assert!(!problem.to_string().contains("secret-word"), "{problem}");
    }
}

#[tokio::test]
async fn all_problems_of_both_sides_are_reported_at_once() {
    let found = report(&spec("j", ""), |up, down| {
        up.state.lock().backend.insert(1, Default::default());
        up.state.lock().databases.get_mut("shop").unwrap().create = "CREATE DATABASE `shop`".to_owned();
        put(up, "orders", table(10, &[]));
        let off = ("enable_feature_binlog".to_owned(), "false".to_owned());
        down.state.lock().frontend = [off].into();
    })
    .await;
    let checks: Vec<&str> = found.problems.iter().map(|problem| problem.check.as_str()).collect();
    let expected = [
        "src backend be1:8040",
        "dest frontend fe1:9030",
        "dest frontend fe2:9030",
        "src.database",
        "src table shop.orders",
        "src table shop.orders",
    ];
    assert_eq!(checks, expected);
}

/// A follower may be down, or out of reach, for as long as it is not the master.
#[tokio::test]
async fn a_frontend_that_cannot_be_asked_forbids_nothing() {
    let found = report(&spec("j", ""), |up, _| {
        up.state.lock().frontend_of.insert("fe2".to_owned(), Default::default());
    })
    .await;
    assert_eq!(found.problems, []);
    let [warning] = &found.warnings[..] else { panic!("one warning is expected in {found:?}") };
    assert!(warning.starts_with("src frontend fe2:9030 could not be asked"), "{warning}");
}

#[tokio::test]
async fn what_is_not_replicated_is_not_checked() {
    let found = report(&spec("j", ""), |up, _| {
        put(up, "mv", crate::fake::Table { kind: "MATERIALIZED_VIEW".to_owned(), ..table(12, &[]) });
        up.state.lock().backends[1].alive = false;
        up.state.lock().backend.remove(&2);
    })
    .await;
    assert_eq!(found.problems, []);
    let allowed = JobSpec {
        options: ccr_core::job::JobOptions { allow_table_exists: true, ..Default::default() },
        ..spec("j", "orders")
    };
    assert_eq!(report(&allowed, |_, down| put_copy(down)).await.problems, []);
}

#[tokio::test]
async fn thousands_of_tables_do_not_make_an_endless_answer() {
    let found = report(&spec("j", ""), |up, _| {
        for number in 0..3000 {
            put(up, &format!("t{number}"), table(number, &[]));
        }
    })
    .await;
    assert_eq!(found.problems.len(), 101);
    assert!(found.problems.last().unwrap().message.contains("5900 more"), "{:?}", found.problems.last());
}

#[tokio::test]
async fn a_cluster_that_does_not_answer_ends_the_checks_in_time() {
    let (up, down) = (FakeCluster::new(), FakeCluster::new());
    up.close_gate();
    let found = check(&spec("j", ""), &*up, &*down, Duration::from_millis(50)).await;
    assert_eq!(found.problems.len(), 1);
    assert!(found.problems[0].message.contains("50ms"), "{:?}", found.problems);
}
