//! Sources and targets that are special: a target that is a source itself, one cluster for both, a follower,
//! tables that are there already.

use minidoris::Cluster;
use serde_json::json;

use crate::harness::compare::Place;
use crate::harness::pair::{side, start_cluster};
use crate::harness::{BOUND, DB, Pair, Syncer, Target, assert_equal, wait_until};
use crate::matrix::{EVERY, assert_same_database, assert_same_databases, run, settle};

const JOB: &str = "special";
const MOMENT: &str = "stream";

async fn in_database(cluster: &Cluster, db: &str, sql: &str) {
    cluster.sql_in(db, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// A → B → C, both jobs in sync.
struct Chain {
    first: Pair,
    second: Pair,
    syncer: Syncer,
}

impl Chain {
    async fn start() -> Self {
        let first = Pair::start().await;
        let last = start_cluster("last", 900_000, |_| {}).await;
        let second = Pair { up: first.down.clone(), down: last };
        first.create_database().await;
        // What is restored keeps its binlog setting; the database's must be on to be a source.
        second.create_database().await;
        run(&first, EVERY, MOMENT, |case| case.setup).await;
        let syncer = Syncer::start().await;
        let chain = Self { first, second, syncer };
        chain.syncer.create(&chain.first.database_job("ab")).await;
        chain.syncer.wait_for("ab", Target::InSync).await;
        chain.syncer.create(&chain.second.database_job("bc")).await;
        chain.syncer.wait_for("bc", Target::InSync).await;
        chain
    }

    async fn assert_same(&self) {
        self.syncer.wait_for("ab", Target::InSync).await;
        assert_same_database(&self.first).await;
        self.syncer.wait_for("bc", Target::InSync).await;
        assert_same_databases(self.first.source(), self.second.target()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_is_the_source_of_another_job() {
    let chain = Chain::start().await;
    chain.assert_same().await;
    let light: Vec<_> = EVERY
        .iter()
        .copied()
        .filter(|case| {
            ["upsert", "partition", "create", "drop", "light", "truncate", "rename", "view", "swap"]
                .contains(&case.name)
        })
        .collect();
    run(&chain.first, &light, MOMENT, |case| case.change).await;
    run(&chain.first, &light, MOMENT, |case| case.after).await;
    chain.assert_same().await;
    assert_eq!(chain.second.up.counters().get("sql:BACKUP"), 1, "transactions without indexes need no copy");
    chain.syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_are_copied_again_in_the_middle_reach_the_end() {
    let chain = Chain::start().await;
    let heavy: Vec<_> = EVERY
        .iter()
        .copied()
        .filter(|case| ["heavy", "replace_part", "recover", "overwrite", "rename"].contains(&case.name))
        .collect();
    run(&chain.first, &heavy, MOMENT, |case| case.change).await;
    settle(&chain.first).await;
    chain.syncer.wait_for("ab", Target::InSync).await;
    run(&chain.first, &heavy, MOMENT, |case| case.after).await;
    chain.assert_same().await;
    chain.syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn source_and_target_are_databases_of_one_cluster() {
    let cluster = start_cluster("both", 10_000, |_| {}).await;
    let pair = Pair { up: cluster.clone(), down: cluster };
    pair.create_database().await;
    run(&pair, EVERY, MOMENT, |case| case.setup).await;
    let syncer = Syncer::start().await;
    let job = json!({
        "name": JOB, "src": side(&pair.up, 0, DB, ""), "dest": side(&pair.up, 0, "copy_of_d1", "")
    });
    syncer.create(&job).await;
    syncer.wait_for(JOB, Target::InSync).await;
    run(&pair, EVERY, MOMENT, |case| case.change).await;
    run(&pair, EVERY, MOMENT, |case| case.after).await;
    syncer.wait_for(JOB, Target::InSync).await;
    let copy = Place { cluster: &pair.up, db: "copy_of_d1" };
    assert_same_databases(pair.source(), copy).await;
    assert!(!syncer.refused("create_ccr", &pair.database_job("itself")).await.is_empty());
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_may_name_a_follower_on_both_sides() {
    let pair = Pair::with(|options| options.frontends = 3).await;
    pair.create_database().await;
    run(&pair, EVERY, MOMENT, |case| case.setup).await;
    let syncer = Syncer::start().await;
    let job = json!({"name": JOB, "src": side(&pair.up, 2, DB, ""), "dest": side(&pair.down, 1, DB, "")});
    syncer.create(&job).await;
    syncer.wait_for(JOB, Target::InSync).await;
    run(&pair, EVERY, MOMENT, |case| case.change).await;
    run(&pair, EVERY, MOMENT, |case| case.after).await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_same_database(&pair).await;
    assert_eq!(syncer.log_text().matches("full sync: backup").count(), 1);
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_the_target_database_are_overwritten_or_left_alone() {
    let pair = Pair::start().await;
    pair.create_database().await;
    for table in ["same", "other"] {
        pair.create_table(table, 2).await;
        pair.insert(table, 0..5).await;
    }
    pair.down.sql(&format!("CREATE DATABASE {DB}")).await.unwrap();
    for sql in [
        // The same definition with other rows, another definition, and a table that is nobody's business.
        "CREATE TABLE same (k INT NOT NULL, v VARCHAR(64)) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 2",
        "INSERT INTO same VALUES (77, 'old')",
        "CREATE TABLE other (x DATE) DUPLICATE KEY(x) DISTRIBUTED BY HASH(x) BUCKETS 5",
        "INSERT INTO other VALUES ('2024-01-01')",
        "CREATE TABLE foreign_one (x DATE) DUPLICATE KEY(x) DISTRIBUTED BY HASH(x) BUCKETS 1",
        "INSERT INTO foreign_one VALUES ('2024-01-01')",
    ] {
        in_database(&pair.down, DB, sql).await;
    }
    let mut syncer = Syncer::start().await;
    syncer.allow("target database d1 already has 3 tables");
    syncer.allow("CCR0312");
    syncer.create(&pair.database_job(JOB)).await;
    syncer.wait_for(JOB, Target::InSync).await;
    for table in ["same", "other"] {
        pair.insert(table, 5..9).await;
    }
    syncer.wait_for(JOB, Target::InSync).await;
    in_database(&pair.up, DB, "CREATE TABLE foreign_one (x DATE) DUPLICATE KEY(x) DISTRIBUTED BY HASH(x) BUCKETS 1 PROPERTIES (\"binlog.enable\" = \"true\")").await;
    wait_until("the name that is taken blocks the job", BOUND, || async {
        let progress = syncer.progress(JOB).await;
        if progress["blocked"]["code"] == "CCR0312" { Ok(()) } else { Err(progress.to_string()) }
    })
    .await;
    let kept = pair.down.sql_in(DB, "SELECT x FROM foreign_one").await.unwrap();
    assert_eq!(kept.rows.len(), 1, "it is left alone");
    in_database(&pair.up, DB, "DROP TABLE foreign_one FORCE").await;
    in_database(&pair.down, DB, "DROP TABLE foreign_one FORCE").await;
    syncer.resume(JOB).await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_same_database(&pair).await;
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_job_takes_over_a_table_of_another_definition_on_request() {
    let pair = Pair::start().await;
    pair.create_database().await;
    pair.create_table("source", 2).await;
    pair.insert("source", 0..5).await;
    pair.down.sql(&format!("CREATE DATABASE {DB}")).await.unwrap();
    for sql in [
        "CREATE TABLE target (x DATE) DUPLICATE KEY(x) DISTRIBUTED BY HASH(x) BUCKETS 5",
        "INSERT INTO target VALUES ('2024-01-01')",
    ] {
        in_database(&pair.down, DB, sql).await;
    }
    let syncer = Syncer::start().await;
    let mut job = pair.table_job(JOB, "source", "target");
    job["allow_table_exists"] = json!(true);
    syncer.create(&job).await;
    syncer.wait_for(JOB, Target::InSync).await;
    pair.insert("source", 5..9).await;
    pair.run("ALTER TABLE source ADD COLUMN c INT DEFAULT \"1\"").await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_equal(&pair, "source", "target").await;
    syncer.finish().await;
}

/// A table job whose table is dropped while nobody looks.
async fn table_job_after(change: &[&str]) {
    let pair = Pair::start().await;
    pair.create_database().await;
    pair.create_table("source", 2).await;
    pair.insert("source", 0..5).await;
    let syncer = Syncer::start().await;
    syncer.create(&pair.table_job(JOB, "source", "target")).await;
    syncer.wait_for(JOB, Target::InSync).await;
    syncer.pause(JOB).await;
    for sql in change {
        pair.run(sql).await;
    }
    syncer.resume(JOB).await;
    wait_until("the target has the new rows", BOUND, || async {
        let rows = pair.down.sql_in(DB, "SELECT v FROM target WHERE v = 'new'").await;
        let rows = rows.map(|found| found.rows.len()).map_err(|error| error.to_string())?;
        if rows == 1 { Ok(()) } else { Err(format!("{rows} rows; {}", syncer.progress(JOB).await)) }
    })
    .await;
    syncer.wait_for(JOB, Target::InSync).await;
    assert_equal(&pair, "source", "target").await;
    syncer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_job_follows_a_recovered_table() {
    table_job_after(&["DROP TABLE source", "RECOVER TABLE source", "INSERT INTO source VALUES (9, 'new')"])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_job_follows_the_table_that_was_made_under_its_name() {
    table_job_after(&[
        "INSERT INTO source VALUES (8, 'last')",
        "DROP TABLE source",
        "CREATE TABLE source (k INT NOT NULL, n INT, v VARCHAR(9)) UNIQUE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 3 \
         PROPERTIES (\"binlog.enable\" = \"true\")",
        "INSERT INTO source VALUES (1, 1, 'new')",
    ])
    .await;
}
