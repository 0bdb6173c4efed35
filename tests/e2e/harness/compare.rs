//! Equality of a table on both sides: every row, and the schema.

use doris_types::sql::quote_identifier;
use minidoris::{Cluster, ResultSet};

use super::{DB, Pair};

/// Fails the test unless `target` downstream holds the rows and has the schema of `table` upstream.
pub async fn assert_equal(pair: &Pair, table: &str, target: &str) {
    let columns = column_names(&pair.up, table).await;
    let all: Vec<String> = columns.iter().map(|column| quote_identifier(column)).collect();
    let all = all.join(", ");
    let query = |table: &str| format!("SELECT {all} FROM `{table}` ORDER BY {all}");
    let up = run(&pair.up, &query(table)).await.rows;
    let down = run(&pair.down, &query(target)).await.rows;
    if up != down {
        let at = up.iter().zip(&down).position(|(up, down)| up != down).unwrap_or(up.len().min(down.len()));
        panic!(
            "{table}: {} rows upstream, {} downstream; row {at} is {:?} upstream and {:?} downstream",
            up.len(),
            down.len(),
            up.get(at),
            down.get(at)
        );
    }
    let up = schema(&pair.up, table).await;
    let down = schema(&pair.down, target).await;
    assert_eq!(
        normalised(&up, table),
        normalised(&down, target),
        "the schema of {table} differs (upstream left, downstream right)"
    );
    assert!(up.contains("\"is_being_synced\" = \"false\""), "upstream {table} is no target:\n{up}");
    assert!(down.contains("\"is_being_synced\" = \"true\""), "downstream {target} is a target:\n{down}");
}

async fn run(cluster: &Cluster, sql: &str) -> ResultSet {
    let result = cluster.sql_in(DB, sql).await;
    result.unwrap_or_else(|error| panic!("{} on {}: {error}", sql, cluster.name()))
}

async fn column_names(cluster: &Cluster, table: &str) -> Vec<String> {
    let described = run(cluster, &format!("DESC `{table}`")).await;
    described.rows.iter().map(|row| row[0].clone().expect("a column has a name")).collect()
}

async fn schema(cluster: &Cluster, table: &str) -> String {
    let shown = run(cluster, &format!("SHOW CREATE TABLE `{table}`")).await;
    shown.rows[0][1].clone().expect("the statement is a text")
}

/// Without what may differ: the name of a table job's target, and whether it is one.
fn normalised(create: &str, table: &str) -> String {
    create
        .replacen(&format!("`{table}`"), "`T`", 1)
        .replace("\"is_being_synced\" = \"true\"", "\"is_being_synced\" = \"…\"")
        .replace("\"is_being_synced\" = \"false\"", "\"is_being_synced\" = \"…\"")
}

impl Pair {
    /// The number of rows of a downstream table.
    pub async fn downstream_rows(&self, table: &str) -> usize {
        run(&self.down, &format!("SELECT k FROM `{table}`")).await.rows.len()
    }

    /// Names of the downstream tables of [`DB`], in order.
    pub async fn downstream_tables(&self) -> Vec<String> {
        let shown = run(&self.down, "SHOW TABLES").await;
        shown.rows.into_iter().filter_map(|mut row| row.remove(0)).collect()
    }
}
