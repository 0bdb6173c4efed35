//! Whether both sides hold the same: every row of every table, and the results of queries.
//!
//! Each side is read on its own over MySQL, ordered by all columns, and hashed row by row; only when the
//! hashes differ are the rows themselves fetched again.

use std::hash::{DefaultHasher, Hash, Hasher};

use anyhow::{Context, Result};
use mysql_async::prelude::Queryable;
use mysql_async::{Row, Value};

use crate::site::Site;

/// The outcome for one table or query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    pub name: String,
    pub rows: usize,
    pub checksum: u64,
    /// `None` when both sides are equal.
    pub difference: Option<String>,
}

/// Hashes of the rows of one side, in their order.
type Rows = Vec<u64>;

/// Compares a table with all its rows.
pub async fn table(upstream: &Site, downstream: &Site, database: &str, name: &str) -> Result<Comparison> {
    let columns = column_names(upstream, database, name).await?;
    let order: Vec<String> = columns.iter().map(|column| format!("`{column}`")).collect();
    let sql = format!("SELECT {0} FROM `{name}` ORDER BY {0}", order.join(", "));
    query(upstream, downstream, database, name, &sql).await
}

/// Compares the result of a query whose order is fixed.
pub async fn query(
    upstream: &Site,
    downstream: &Site,
    database: &str,
    name: &str,
    sql: &str,
) -> Result<Comparison> {
    let left = hashes(upstream, database, sql).await.with_context(|| format!("{name} upstream"))?;
    let right = match hashes(downstream, database, sql).await {
        Ok(rows) => rows,
        Err(error) => {
            let difference = Some(format!("downstream: {error:#}"));
            return Ok(Comparison { name: name.to_owned(), rows: left.len(), checksum: 0, difference });
        }
    };
    let difference = match first_difference(&left, &right) {
        None => None,
        Some(at) => {
            let (here, there) =
                (row_at(upstream, database, sql, at).await?, row_at(downstream, database, sql, at).await?);
            Some(format!(
                "{} rows upstream, {} downstream; row {} is {here} upstream and {there} downstream",
                left.len(),
                right.len(),
                at + 1
            ))
        }
    };
    Ok(Comparison { name: name.to_owned(), rows: left.len(), checksum: checksum(&left), difference })
}

async fn column_names(site: &Site, database: &str, table: &str) -> Result<Vec<String>> {
    let mut connection = site.connect(database).await?;
    let rows: Vec<Row> = connection.query(format!("DESC `{table}`")).await?;
    rows.iter()
        .map(|row| row.get::<String, _>("Field").with_context(|| format!("DESC {table} has a column Field")))
        .collect()
}

async fn hashes(site: &Site, database: &str, sql: &str) -> Result<Rows> {
    let mut connection = site.connect(database).await?;
    let mut result = connection.query_iter(sql).await?;
    let mut hashes = Vec::new();
    while let Some(row) = result.next().await? {
        let mut hasher = DefaultHasher::new();
        for value in row.unwrap() {
            text(&value).hash(&mut hasher);
        }
        hashes.push(hasher.finish());
    }
    Ok(hashes)
}

/// The row at a position in words, for the report of a difference.
async fn row_at(site: &Site, database: &str, sql: &str, at: usize) -> Result<String> {
    let mut connection = site.connect(database).await?;
    let rows: Vec<Row> = connection.query(sql).await?;
    Ok(match rows.into_iter().nth(at) {
        None => "missing".to_owned(),
        Some(row) => {
            let values: Vec<String> =
                row.unwrap().iter().map(|value| text(value).unwrap_or_else(|| "NULL".to_owned())).collect();
            format!("({})", values.join(", "))
        }
    })
}

/// Values arrive as text, so one side cannot look equal by a conversion here.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        Value::Int(_)
        | Value::UInt(_)
        | Value::Float(_)
        | Value::Double(_)
        | Value::Date(..)
        | Value::Time(..) => Some(value.as_sql(true)),
    }
}

fn first_difference(left: &Rows, right: &Rows) -> Option<usize> {
    let shared = left.iter().zip(right).position(|(left, right)| left != right);
    shared.or_else(|| (left.len() != right.len()).then(|| left.len().min(right.len())))
}

fn checksum(rows: &Rows) -> u64 {
    let mut hasher = DefaultHasher::new();
    rows.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_first_row_that_differs() {
        assert_eq!(first_difference(&vec![1, 2], &vec![1, 2]), None);
        assert_eq!(first_difference(&vec![1, 2], &vec![1, 3]), Some(1));
        assert_eq!(first_difference(&vec![1, 2], &vec![1]), Some(1));
        assert_eq!(first_difference(&vec![], &vec![1]), Some(0));
        assert_ne!(checksum(&vec![1, 2]), checksum(&vec![2, 1]));
    }

    #[test]
    fn null_is_not_the_empty_text() {
        assert_ne!(text(&Value::NULL), text(&Value::Bytes(Vec::new())));
    }

    async fn site(name: &str, rows: &str) -> Site {
        let site = Site::start(name, 1).await.unwrap();
        site.execute("CREATE DATABASE d").await.unwrap();
        let create = "CREATE TABLE t (k INT NOT NULL, v VARCHAR(9)) DUPLICATE KEY(k) \
                      DISTRIBUTED BY HASH(k) BUCKETS 2 PROPERTIES (\"replication_num\" = \"1\")";
        site.execute_in("d", create).await.unwrap();
        site.execute_in("d", &format!("INSERT INTO t VALUES {rows}")).await.unwrap();
        site
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn sides_that_differ_in_one_row_are_told_apart() {
        let left = site("left", "(1, 'a'), (2, 'b'), (3, NULL)").await;
        for (rows, expected) in [
            ("(3, NULL), (2, 'b'), (1, 'a')", None),
            ("(1, 'a'), (2, 'B'), (3, NULL)", Some("row 2 is (2, b) upstream and (2, B) downstream")),
            ("(1, 'a'), (2, 'b'), (3, '')", Some("row 3 is (3, NULL) upstream and (3, ) downstream")),
            ("(1, 'a'), (2, 'b'), (2, 'b'), (3, NULL)", Some("3 rows upstream, 4 downstream")),
            ("(1, 'a'), (2, 'b')", Some("row 3 is (3, NULL) upstream and missing downstream")),
        ] {
            let right = site("right", rows).await;
            let comparison = table(&left, &right, "d", "t").await.unwrap();
            match (comparison.difference, expected) {
                (None, None) => {}
                (Some(difference), Some(expected)) => assert!(difference.contains(expected), "{difference}"),
                (difference, expected) => panic!("{rows}: {difference:?} instead of {expected:?}"),
            }
            right.stop().await;
        }
        let missing = table(&left, &site("empty", "(1, 'a')").await, "d", "nothing").await;
        assert!(missing.is_err(), "a table that is not there is an error");
        left.stop().await;
    }
}
