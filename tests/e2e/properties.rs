//! Properties that stay where they are: what points at a cluster's own resources, groups and schedules, and how
//! many replicas there are. Brought by a snapshot, by CREATE TABLE and by ADD PARTITION, and changed.

use serde_json::json;

use crate::harness::compare::{Place, assert_same_rows};
use crate::harness::{DB, Pair, Syncer, Target};
use crate::matrix::{assert_same_partitions, settle};

const JOB: &str = "properties";

/// What no target keeps, wherever its table comes from.
const NOT_KEPT: [&str; 3] = ["storage_policy", "colocate_with", "dynamic_partition.storage_policy"];

/// A table with all of it; `{t}` is its name.
const TABLES: [(&str, &str); 4] = [
    (
        "cold",
        "CREATE TABLE {t} (k INT NOT NULL, v VARCHAR(64)) DUPLICATE KEY(k) PARTITION BY RANGE(k) \
         (PARTITION p1 VALUES LESS THAN (\"100\")) DISTRIBUTED BY HASH(k) BUCKETS 2 \
         PROPERTIES (\"binlog.enable\" = \"true\", \"storage_policy\" = \"pol\", \"replication_num\" = \"2\")",
    ),
    (
        "grouped",
        "CREATE TABLE {t} (k INT NOT NULL, v VARCHAR(64)) DUPLICATE KEY(k) COMMENT '\"colocate_with\" = \"g\"' \
         DISTRIBUTED BY HASH(k) BUCKETS 2 PROPERTIES (\"binlog.enable\" = \"true\", \"colocate_with\" = \"g\")",
    ),
    (
        "fast",
        "CREATE TABLE {t} (k INT NOT NULL, v VARCHAR(64) DEFAULT \"\\\"storage_medium\\\" = \\\"ssd\\\"\") \
         UNIQUE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 2 \
         PROPERTIES (\"binlog.enable\" = \"true\", \"storage_medium\" = \"ssd\")",
    ),
    (
        "daily",
        "CREATE TABLE {t} (d DATE NOT NULL, k INT, v VARCHAR(64)) DUPLICATE KEY(d) PARTITION BY RANGE(d) \
         (PARTITION old VALUES LESS THAN (\"2020-01-01\")) DISTRIBUTED BY HASH(k) BUCKETS 2 PROPERTIES \
         (\"binlog.enable\" = \"true\", \"dynamic_partition.enable\" = \"true\", \
         \"dynamic_partition.time_unit\" = \"DAY\", \"dynamic_partition.end\" = \"2\", \
         \"dynamic_partition.prefix\" = \"p\", \"dynamic_partition.storage_policy\" = \"pol\", \
         \"dynamic_partition.replication_num\" = \"2\")",
    ),
];

/// Changes of which nothing is to be seen downstream.
const LOCAL_CHANGES: [(&str, &str); 11] = [
    ("cold", "SET (\"storage_policy\" = \"pol2\")"),
    ("cold", "SET (\"binlog.ttl_seconds\" = \"70000\")"),
    ("grouped", "SET (\"colocate_with\" = \"g2\")"),
    ("grouped", "SET (\"colocate_with\" = \"\")"),
    ("fast", "SET (\"light_schema_change\" = \"true\")"),
    ("fast", "SET (\"replication_num\" = \"2\")"),
    ("fast", "SET (\"replication_allocation\" = \"tag.location.default: 1\")"),
    ("daily", "SET (\"default.replication_num\" = \"2\")"),
    ("daily", "SET (\"default.replication_allocation\" = \"tag.location.default: 1\")"),
    ("daily", "SET (\"dynamic_partition.end\" = \"4\", \"dynamic_partition.prefix\" = \"q\")"),
    ("daily", "SET (\"dynamic_partition.enable\" = \"false\")"),
];

const ROWS: [(&str, &str); 4] = [
    ("cold", "VALUES (1, 'one'), (2, NULL)"),
    ("grouped", "VALUES (1, 'one'), (2, NULL)"),
    ("fast", "VALUES (1, 'one'), (2, NULL)"),
    ("daily", "VALUES ('2019-01-01', 1, 'one'), (CURDATE(), 2, NULL)"),
];

/// An upstream with policies, and two backends on either side.
async fn two_backends(downstream: usize) -> Pair {
    let pair = Pair::with(|options| {
        options.backends = if options.name == "up" { 2 } else { downstream };
    })
    .await;
    pair.create_database().await;
    pair.sql("CREATE RESOURCE r1 PROPERTIES (\"type\" = \"s3\")").await;
    for policy in ["pol", "pol2"] {
        pair.sql(&format!(
            "CREATE STORAGE POLICY {policy} PROPERTIES (\"storage_resource\" = \"r1\", \"cooldown_ttl\" = \"1000\")"
        ))
        .await;
    }
    pair
}

async fn create_tables(pair: &Pair, suffix: &str) {
    for ((name, create), (_, rows)) in TABLES.iter().zip(ROWS) {
        let table = format!("{name}{suffix}");
        pair.run(&create.replace("{t}", &table)).await;
        pair.run(&format!("INSERT INTO {table} {rows}")).await;
    }
}

/// The lines of SHOW CREATE TABLE without their commas, and without the name.
async fn lines(place: Place<'_>, table: &str) -> Vec<String> {
    let shown = place.cluster.sql_in(place.db, &format!("SHOW CREATE TABLE `{table}`")).await;
    let shown = shown.unwrap_or_else(|error| panic!("{table} on {}: {error}", place.cluster.name()));
    let create = shown.rows[0][1].clone().expect("a statement").replacen(&format!("`{table}`"), "`T`", 1);
    create.lines().map(|line| line.trim_end_matches(',').to_owned()).collect()
}

fn is_property(line: &str, name: &str) -> bool {
    line.starts_with(&format!("\"{name}\" = "))
}

/// What the target of a table is to be: as it is upstream, but for these lines, and for what it is told to be.
async fn assert_target(pair: &Pair, table: &str, target: &str, not_kept: &[&str], told: &[(&str, &str)]) {
    let lost = |line: &String| not_kept.iter().any(|name| is_property(line, name));
    let mut expected: Vec<String> = lines(pair.source(), table).await;
    expected.retain(|line| !lost(line));
    for line in &mut expected {
        *line = line.replace(" (\"storage_policy\" = \"pol\")", "");
    }
    for (name, value) in told.iter().chain(&[("is_being_synced", "true")]) {
        for line in expected.iter_mut().filter(|line| is_property(line, name)) {
            *line = format!("\"{name}\" = \"{value}\"");
        }
    }
    let mut found = lines(pair.target(), target).await;
    // Empty where upstream names one.
    found.retain(|line| line != "\"dynamic_partition.storage_policy\" = \"\"");
    assert_eq!(expected, found, "{table} (as it should be left, as it is right)");
    assert_same_rows(pair.source(), table, pair.target(), target).await;
    assert_same_partitions(pair.source(), table, pair.target(), target).await;
}

/// Of the tables that a snapshot brought.
async fn assert_restored(pair: &Pair, suffix: &str) {
    for (name, _) in TABLES {
        let told: &[_] = if name == "daily" { &[("dynamic_partition.enable", "false")] } else { &[] };
        assert_target(pair, name, &format!("{name}{suffix}"), &NOT_KEPT, told).await;
    }
}

async fn change_locally(pair: &Pair, suffix: &str) {
    for (name, change) in LOCAL_CHANGES {
        pair.run(&format!("ALTER TABLE {name}{suffix} {change}")).await;
    }
}

async fn create_lines(pair: &Pair, targets: &[String]) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for target in targets {
        let lines = lines(pair.target(), target).await;
        // Its partitions may be others by then.
        all.push(lines.into_iter().filter(|line| !line.contains("PARTITION ")).collect());
    }
    all
}

/// None of the changes is a statement downstream; another property is.
async fn only_what_concerns_all_is_followed(pair: &Pair, jobs: &[&str], syncer: &Syncer, targets: &[String]) {
    let before = create_lines(pair, targets).await;
    pair.reset_counters();
    change_locally(pair, "").await;
    for job in jobs {
        syncer.wait_for(job, Target::InSync).await;
    }
    assert_eq!(before, create_lines(pair, targets).await);
    for (name, _) in TABLES {
        pair.run(&format!("ALTER TABLE {name} SET (\"compaction_policy\" = \"time_series\")")).await;
    }
    for job in jobs {
        syncer.wait_for(job, Target::InSync).await;
    }
    let told = "\"compaction_policy\" = \"time_series\"";
    for (target, before) in targets.iter().zip(before) {
        let after = create_lines(pair, std::slice::from_ref(target)).await.remove(0);
        assert!(after.iter().any(|line| line == told), "{target}: {after:?}");
        let is_new = |line: &&String| line.contains("time_series");
        let rest: Vec<&String> = after.iter().filter(|line| !is_new(line)).collect();
        assert_eq!(rest, before.iter().collect::<Vec<_>>(), "{target}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_job_leaves_out_what_belongs_to_a_cluster() {
    let pair = two_backends(2).await;
    create_tables(&pair, "").await;
    let mut syncer = Syncer::start().await;
    syncer.allow("its storage policy is not replicated");
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_restored(&pair, "").await;

    create_tables(&pair, "_made").await;
    let placed = "(\"storage_policy\" = \"pol\", \"storage_medium\" = \"ssd\")";
    for table in ["cold", "cold_made"] {
        pair.run(&format!("ALTER TABLE {table} ADD PARTITION p2 VALUES LESS THAN (\"200\") {placed}")).await;
        pair.run(&format!("INSERT INTO {table} VALUES (101, 'second')")).await;
    }
    syncer.wait_for(JOB, Target::InSync).await;
    assert_restored(&pair, "").await;
    // A table that a statement made has the target's own medium.
    for (name, _) in TABLES {
        let table = format!("{name}_made");
        assert_target(&pair, &table, &table, &NOT_KEPT, &[("storage_medium", "hdd")]).await;
    }
    let targets: Vec<String> = TABLES.iter().map(|(name, _)| (*name).to_owned()).collect();
    only_what_concerns_all_is_followed(&pair, &[JOB], &syncer, &targets).await;
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn table_jobs_leave_out_what_belongs_to_a_cluster() {
    let pair = two_backends(2).await;
    create_tables(&pair, "").await;
    let mut syncer = Syncer::start().await;
    syncer.allow("its storage policy is not replicated");
    let names = TABLES.map(|(name, _)| name);
    for name in names {
        syncer.create(&pair.table_job(name, name, &format!("{name}_target"))).await;
    }
    for name in names {
        syncer.wait_for(name, Target::InSync).await;
    }
    assert_restored(&pair, "_target").await;
    let targets: Vec<String> = names.iter().map(|name| format!("{name}_target")).collect();
    only_what_concerns_all_is_followed(&pair, &names, &syncer, &targets).await;
    syncer.finish().await;
}

/// Two replicas upstream and one backend downstream.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_has_a_number_of_replicas_of_its_own() {
    let pair = two_backends(1).await;
    let create = "CREATE TABLE {t} (k INT NOT NULL, n INT) DUPLICATE KEY(k) PARTITION BY RANGE(k) \
         (PARTITION p1 VALUES LESS THAN (\"100\")) DISTRIBUTED BY HASH(k) BUCKETS 2 \
         PROPERTIES (\"binlog.enable\" = \"true\", \"replication_num\" = \"2\")";
    pair.run(&create.replace("{t}", "restored")).await;
    let syncer = Syncer::start().await;
    let jobs = [("whole", "", "restored"), ("one", "restored", "alone")];
    for (name, source, target) in jobs {
        let mut job = pair.table_job(name, source, if source.is_empty() { "" } else { target });
        job["replication_num"] = json!(1);
        syncer.create(&job).await;
        syncer.wait_for(name, Target::InSync).await;
    }
    let in_sync = async || {
        for (name, ..) in jobs {
            syncer.wait_for(name, Target::InSync).await;
        }
    };
    pair.run(&create.replace("{t}", "made")).await;
    for table in ["restored", "made"] {
        for statement in [
            "INSERT INTO {t} VALUES (1, 1)",
            "ALTER TABLE {t} ADD PARTITION p2 VALUES LESS THAN (\"200\") (\"replication_num\" = \"2\")",
            "INSERT INTO {t} VALUES (101, 1)",
            "ALTER TABLE {t} DROP PARTITION p2",
            "RECOVER PARTITION p2 FROM {t}",
            "INSERT INTO {t} VALUES (102, 1)",
        ] {
            pair.run(&statement.replace("{t}", table)).await;
        }
    }
    in_sync().await;
    for table in ["restored", "made"] {
        pair.run(&format!("ALTER TABLE {table} MODIFY COLUMN n BIGINT")).await;
    }
    settle(&pair).await;
    for table in ["restored", "made"] {
        pair.run(&format!("INSERT INTO {table} VALUES (103, 60000000000)")).await;
    }
    in_sync().await;
    let one = [("replication_allocation", "tag.location.default: 1")];
    for (table, target) in [("restored", "restored"), ("made", "made"), ("restored", "alone")] {
        assert_target(&pair, table, target, &[], &one).await;
        let shown =
            pair.down.sql_in(DB, &format!("SHOW PARTITIONS FROM {target}")).await.expect("they are shown");
        let at = shown.columns.iter().position(|column| column == "ReplicationNum").expect("it is shown");
        assert!(shown.rows.iter().all(|row| row[at].as_deref() == Some("1")), "{:?}", shown.rows);
    }
    syncer.finish().await;
}
