//! Equality of a whole database on both sides.

use minidoris::Cluster;

use crate::harness::{DB, Pair, assert_equal};

/// Fails the test unless both sides have the same tables and views, with the same rows, schema, partitions,
/// rollups and indexes.
pub async fn assert_same_database(pair: &Pair) {
    let tables = rows(&pair.up, "SHOW FULL TABLES").await;
    let names = |rows: &[Vec<String>]| rows.iter().map(|row| row[0].clone()).collect::<Vec<_>>();
    assert_eq!(names(&tables), names(&rows(&pair.down, "SHOW FULL TABLES").await), "tables and views");
    for table in &tables {
        let name = &table[0];
        if table[1] == "VIEW" {
            assert_same_answer(pair, &format!("SELECT * FROM `{name}` ORDER BY 1")).await;
            assert_same_answer(pair, &format!("SHOW CREATE VIEW `{name}`")).await;
            continue;
        }
        assert_same_table(pair, name, name).await;
    }
}

/// Fails the test unless `target` downstream has the rows, schema, partitions, rollups and indexes of
/// `table` upstream.
pub async fn assert_same_table(pair: &Pair, table: &str, target: &str) {
    assert_equal(pair, table, target).await;
    assert_eq!(
        index_facts(&pair.up, table).await,
        index_facts(&pair.down, target).await,
        "indexes of {table} (upstream left, downstream right)"
    );
    for what in ["PARTITIONS", "TEMPORARY PARTITIONS"] {
        assert_eq!(
            partition_facts(&pair.up, table, what).await,
            partition_facts(&pair.down, target, what).await,
            "{what} of {table} (upstream left, downstream right)"
        );
    }
}

/// Columns of the base table and of all rollups; the base index carries the table's name.
async fn index_facts(cluster: &Cluster, table: &str) -> Vec<Vec<String>> {
    let mut facts = rows(cluster, &format!("DESC `{table}` ALL")).await;
    for fact in facts.iter_mut().filter(|fact| fact[0] == table) {
        fact[0].clear();
    }
    facts
}

/// The partitions. The only one of an unpartitioned table carries the table's name.
async fn partition_facts(cluster: &Cluster, table: &str, what: &str) -> Vec<String> {
    let sql = format!("SHOW {what} FROM `{table}`");
    let shown = cluster.sql_in(DB, &sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
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

async fn assert_same_answer(pair: &Pair, sql: &str) {
    assert_eq!(
        rows(&pair.up, sql).await,
        rows(&pair.down, sql).await,
        "{sql} (upstream left, downstream right)"
    );
}

async fn rows(cluster: &Cluster, sql: &str) -> Vec<Vec<String>> {
    let result = cluster.sql_in(DB, sql).await;
    let result = result.unwrap_or_else(|error| panic!("{sql} on {}: {error}", cluster.name()));
    result.rows.into_iter().map(|row| row.into_iter().map(Option::unwrap_or_default).collect()).collect()
}
