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
        assert_equal(pair, name, name).await;
        assert_same_answer(pair, &format!("DESC `{name}` ALL")).await;
        for what in ["PARTITIONS", "TEMPORARY PARTITIONS"] {
            let partitions = format!("SHOW {what} FROM `{name}`");
            assert_eq!(
                partition_facts(&pair.up, &partitions).await,
                partition_facts(&pair.down, &partitions).await,
                "{what} of {name} (upstream left, downstream right)"
            );
        }
    }
}

async fn assert_same_answer(pair: &Pair, sql: &str) {
    assert_eq!(
        rows(&pair.up, sql).await,
        rows(&pair.down, sql).await,
        "{sql} (upstream left, downstream right)"
    );
}

async fn partition_facts(cluster: &Cluster, sql: &str) -> Vec<String> {
    let shown = cluster.sql_in(DB, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let wanted = ["PartitionName", "Range", "DistributionKey", "Buckets"];
    let at: Vec<usize> = wanted
        .iter()
        .map(|name| shown.columns.iter().position(|column| column == name).expect("the column is there"))
        .collect();
    let mut facts: Vec<String> = shown
        .rows
        .iter()
        .map(|row| at.iter().map(|at| row[*at].clone().unwrap_or_default()).collect::<Vec<_>>().join(" | "))
        .collect();
    facts.sort_unstable();
    facts
}

async fn rows(cluster: &Cluster, sql: &str) -> Vec<Vec<String>> {
    let result = cluster.sql_in(DB, sql).await;
    let result = result.unwrap_or_else(|error| panic!("{sql} on {}: {error}", cluster.name()));
    result.rows.into_iter().map(|row| row.into_iter().map(Option::unwrap_or_default).collect()).collect()
}
