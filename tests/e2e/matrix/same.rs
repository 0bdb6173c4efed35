//! Equality of a whole database on both sides.

use super::index_files::same_index_files;
use crate::harness::compare::{Place, assert_equal_at};
use crate::harness::{Pair, Syncer, Target};

const ALL_PARTITIONS: &[&str] = &["PARTITIONS", "TEMPORARY PARTITIONS"];

/// Fails the test unless both sides have the same tables and views, with the same rows, schema, partitions,
/// rollups and indexes.
pub async fn assert_same_database(pair: &Pair) {
    assert_same_databases(pair.source(), pair.target()).await;
}

/// Waits until the job is in sync, and fails the test unless both sides are the same then and `backups` were submitted
/// upstream since the counters began: nothing was copied more often.
pub async fn ends_equal(pair: &Pair, syncer: Syncer, job: &str, backups: u64) {
    syncer.wait_for(job, Target::InSync).await;
    assert_same_database(pair).await;
    assert_eq!(pair.up.counters().get("sql:BACKUP"), backups, "{}", syncer.progress(job).await);
    syncer.finish().await;
}

/// The same for any two places; the source may itself be a target.
pub async fn assert_same_databases(source: Place<'_>, target: Place<'_>) {
    assert_same(source, target, ALL_PARTITIONS).await;
}

/// The same but for temporary partitions, which a copy of their table does not bring.
pub async fn assert_same_but_temporary(pair: &Pair) {
    assert_same(pair.source(), pair.target(), &["PARTITIONS"]).await;
}

/// The same of one table in a table job.
pub async fn assert_same_table_but_temporary(pair: &Pair, table: &str, target: &str) {
    assert_same_tables(pair.source(), table, pair.target(), target, &["PARTITIONS"]).await;
}

async fn assert_same(source: Place<'_>, target: Place<'_>, partitions: &[&str]) {
    let tables = rows(source, "SHOW FULL TABLES").await;
    let names = |rows: &[Vec<String>]| rows.iter().map(|row| row[0].clone()).collect::<Vec<_>>();
    assert_eq!(names(&tables), names(&rows(target, "SHOW FULL TABLES").await), "tables and views");
    for table in &tables {
        let name = &table[0];
        if table[1] == "VIEW" {
            let sql = format!("SELECT * FROM `{name}` ORDER BY 1");
            assert_eq!(rows(source, &sql).await, rows(target, &sql).await, "{sql} (upstream left)");
            let sql = format!("SHOW CREATE VIEW `{name}`");
            let expected = rows(source, &sql).await[0][1].replace(&in_db(source), &in_db(target));
            assert_eq!(expected, rows(target, &sql).await[0][1], "{sql} (upstream left)");
            continue;
        }
        assert_same_tables(source, name, target, name, partitions).await;
    }
}

/// Fails the test unless `target` has the rows, schema, partitions, rollups and indexes of `table`.
pub async fn assert_same_table(source: Place<'_>, table: &str, place: Place<'_>, target: &str) {
    assert_same_tables(source, table, place, target, ALL_PARTITIONS).await;
}

async fn assert_same_tables(
    source: Place<'_>,
    table: &str,
    place: Place<'_>,
    target: &str,
    partitions: &[&str],
) {
    assert_equal_at(source, table, place, target).await;
    assert_eq!(
        index_facts(source, table).await,
        index_facts(place, target).await,
        "indexes of {table} (upstream left, downstream right)"
    );
    same_index_files(source, table, place, target).await;
    for what in partitions {
        assert_eq!(
            partition_facts(source, table, what).await,
            partition_facts(place, target, what).await,
            "{what} of {table} (upstream left, downstream right)"
        );
    }
}

/// Fails the test unless both have the same partitions.
pub async fn assert_same_partitions(source: Place<'_>, table: &str, place: Place<'_>, target: &str) {
    for what in ALL_PARTITIONS {
        assert_eq!(
            partition_facts(source, table, what).await,
            partition_facts(place, target, what).await,
            "{what} of {table} (upstream left, downstream right)"
        );
    }
}

/// Columns of the base table and of all rollups; the base index carries the table's name.
async fn index_facts(place: Place<'_>, table: &str) -> Vec<Vec<String>> {
    let mut facts = rows(place, &format!("DESC `{table}` ALL")).await;
    for fact in facts.iter_mut().filter(|fact| fact[0] == table) {
        fact[0].clear();
    }
    facts
}

/// The partitions. The only one of an unpartitioned table carries the table's name.
async fn partition_facts(place: Place<'_>, table: &str, what: &str) -> Vec<String> {
    let sql = format!("SHOW {what} FROM `{table}`");
    let shown = place.cluster.sql_in(place.db, &sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let wanted = ["PartitionName", "Range", "DistributionKey", "Buckets"];
    let at: Vec<usize> = wanted
        .iter()
        .map(|name| shown.columns.iter().position(|column| column == name).expect("the column is there"))
        .collect();
    let fact = |row: &Vec<Option<String>>, at: usize| {
        let text = row[at].clone().unwrap_or_default();
        if text == table { String::new() } else { text }
    };
    let mut facts: Vec<String> = shown
        .rows
        .iter()
        .map(|row| at.iter().map(|at| fact(row, *at)).collect::<Vec<_>>().join(" | "))
        .collect();
    facts.sort_unstable();
    facts
}

/// How a view's definition names a database.
pub(super) fn in_db(place: Place<'_>) -> String {
    format!("`internal`.`{}`.", place.db)
}

async fn rows(place: Place<'_>, sql: &str) -> Vec<Vec<String>> {
    let result = place.cluster.sql_in(place.db, sql).await;
    let result = result.unwrap_or_else(|error| panic!("{sql} on {}: {error}", place.cluster.name()));
    result.rows.into_iter().map(|row| row.into_iter().map(Option::unwrap_or_default).collect()).collect()
}
