//! Equality of a table on both sides: every row, and the schema.

use doris_types::sql::quote_identifier;
use minidoris::{Cluster, ResultSet};

use super::{DB, Pair};

/// A database of a cluster.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    pub cluster: &'a Cluster,
    pub db: &'a str,
}

/// Fails the test unless `target` downstream holds the rows and has the schema of `table` upstream.
pub async fn assert_equal(pair: &Pair, table: &str, target: &str) {
    assert_equal_at(pair.source(), table, pair.target(), target).await;
    let up = schema(pair.source(), table).await;
    assert!(up.contains("\"is_being_synced\" = \"false\""), "upstream {table} is no target:\n{up}");
}

/// The same for any two places; the source may itself be a target.
pub async fn assert_equal_at(source: Place<'_>, table: &str, place: Place<'_>, target: &str) {
    assert_same_rows(source, table, place, target).await;
    let up = schema(source, table).await;
    let down = schema(place, target).await;
    assert_eq!(
        normalised(&up, table),
        normalised(&down, target),
        "the schema of {table} differs (upstream left, downstream right)"
    );
    assert!(down.contains("\"is_being_synced\" = \"true\""), "downstream {target} is a target:\n{down}");
}

/// Fails the test unless both hold the same rows.
pub async fn assert_same_rows(source: Place<'_>, table: &str, place: Place<'_>, target: &str) {
    let columns = column_names(source, table).await;
    let all: Vec<String> = columns.iter().map(|column| quote_identifier(column)).collect();
    let all = all.join(", ");
    let query = |table: &str| format!("SELECT {all} FROM `{table}` ORDER BY {all}");
    let up = run(source, &query(table)).await.rows;
    let down = run(place, &query(target)).await.rows;
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
}

/// What two equal tables have in common: schema and rows.
pub type Contents = (String, Vec<Vec<Option<String>>>);

/// The contents of a table, for those who wait until they are equal.
pub async fn contents(place: Place<'_>, table: &str) -> Result<Contents, String> {
    let answer = async |sql: String| {
        let result = place.cluster.sql_in(place.db, &sql).await;
        result.map(|result| result.rows).map_err(|error| error.to_string())
    };
    let mut rows = answer(format!("SELECT * FROM `{table}`")).await?;
    rows.sort_unstable();
    let create = answer(format!("SHOW CREATE TABLE `{table}`")).await?;
    Ok((normalised(create[0][1].as_deref().expect("the statement is a text"), table), rows))
}

async fn run(place: Place<'_>, sql: &str) -> ResultSet {
    let result = place.cluster.sql_in(place.db, sql).await;
    result.unwrap_or_else(|error| panic!("{} on {}: {error}", sql, place.cluster.name()))
}

async fn column_names(place: Place<'_>, table: &str) -> Vec<String> {
    let described = run(place, &format!("DESC `{table}`")).await;
    described.rows.iter().map(|row| row[0].clone().expect("a column has a name")).collect()
}

async fn schema(place: Place<'_>, table: &str) -> String {
    let shown = run(place, &format!("SHOW CREATE TABLE `{table}`")).await;
    shown.rows[0][1].clone().expect("the statement is a text")
}

/// Without what may differ: the name of a table job's target, whether it is one, and of partitions made by
/// the calendar whether they are, which a restore switches off, and the policy, which it removes.
fn normalised(create: &str, table: &str) -> String {
    let text = create.replacen(&format!("`{table}`"), "`T`", 1);
    let mut text = text.replace("\"dynamic_partition.storage_policy\" = \"\",\n", "");
    for property in ["is_being_synced", "dynamic_partition.enable"] {
        for value in ["true", "false"] {
            text = text.replace(&format!("\"{property}\" = \"{value}\""), &format!("\"{property}\" = \"…\""));
        }
    }
    text
}

impl Pair {
    /// [`DB`] upstream.
    pub fn source(&self) -> Place<'_> {
        Place { cluster: &self.up, db: DB }
    }

    /// [`DB`] downstream.
    pub fn target(&self) -> Place<'_> {
        Place { cluster: &self.down, db: DB }
    }

    /// The number of rows of a downstream table.
    pub async fn downstream_rows(&self, table: &str) -> usize {
        run(self.target(), &format!("SELECT k FROM `{table}`")).await.rows.len()
    }

    /// Names of the downstream tables of [`DB`], in order.
    pub async fn downstream_tables(&self) -> Vec<String> {
        let shown = run(self.target(), "SHOW TABLES").await;
        shown.rows.into_iter().filter_map(|mut row| row.remove(0)).collect()
    }
}
