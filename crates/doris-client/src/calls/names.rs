//! Statements and what they list: databases, tables, views and their definitions.

use std::collections::BTreeMap;

use doris_types::failure::{Cause, Failure, Result};
use doris_types::meta::BinlogList;
use doris_types::sql::{qualified_name, quote_identifier, quote_string};

use crate::cluster::DorisCluster;
use crate::convert::malformed;
use crate::round::Nature;
use crate::rows::{Row, Rows};

/// Unknown database.
const BAD_DB: u16 = 1049;

impl DorisCluster {
    /// Runs one statement that changes something, in the database if one is named. A lost connection is
    /// reported and not repeated.
    pub async fn execute(&self, database: Option<&str>, sql: &str) -> Result<()> {
        let timeout = self.clients.options.statement_timeout;
        self.sql(Nature::Writes, database, sql, timeout).await.map(drop)
    }

    /// Runs one statement that changes nothing and gives its rows.
    pub async fn query(&self, database: Option<&str>, sql: &str) -> Result<Rows> {
        let timeout = self.clients.options.rpc_timeout;
        self.sql(Nature::Reads, database, sql, timeout).await.map(|(rows, _)| rows)
    }

    /// Names of all databases that the account sees, those of the system included.
    pub async fn databases(&self) -> Result<Vec<String>> {
        let rows = self.query(None, "SHOW DATABASES").await?;
        Ok(rows.rows.iter().filter_map(|row| row.values().first().cloned().flatten()).collect())
    }

    /// Whether a database of exactly this name exists.
    pub async fn database_exists(&self, database: &str) -> Result<bool> {
        Ok(self.databases().await?.iter().any(|name| name == database))
    }

    /// Names of the tables of a database, materialised views included, views not.
    pub async fn tables(&self, database: &str) -> Result<Vec<String>> {
        self.names(database, "BASE TABLE").await
    }

    /// Names of the views of a database.
    pub async fn views(&self, database: &str) -> Result<Vec<String>> {
        self.names(database, "VIEW").await
    }

    /// The views of a database, as its directory lists them: name by id. Needs the right to see it.
    pub async fn views_by_id(&self, database_id: i64) -> Result<BTreeMap<i64, String>> {
        let sql = format!("SHOW PROC {}", quote_string(&format!("/dbs/{database_id}")));
        let rows = self.query(None, &sql).await?;
        let views = rows.rows.iter().filter(|row| row.text("Type") == "VIEW");
        let view = |id: &str, name: String| Some((id.parse().ok()?, name));
        let views: Option<_> = views.map(|row| view(&row.text("TableId"), row.text("TableName"))).collect();
        views.ok_or_else(|| malformed("SHOW PROC", "", "a view has no id".to_owned()))
    }

    /// All lists of binlogs. Needs the right to see them.
    pub async fn binlog_lists(&self) -> Result<Vec<BinlogList>> {
        let rows = self.query(None, "SHOW PROC \"/binlog\"").await?;
        let list = |row: &Row| {
            let number = |column: &str| row.get(column)?.trim().parse().ok();
            Some(BinlogList {
                name: row.get("Name")?.to_owned(),
                is_of_table: row.get("Type")?.eq_ignore_ascii_case("table"),
                id: number("Id")?,
                entries: number("BinlogLength")?,
                bytes: number("BinlogSize")?,
                ttl_seconds: number("BinlogTtlSeconds")?,
                max_bytes: number("BinlogMaxBytes")?,
                max_history_nums: number("BinlogMaxHistoryNums")?,
            })
        };
        // What was dropped is listed without some of it.
        Ok(rows.rows.iter().filter_map(list).collect())
    }

    async fn names(&self, database: &str, kind: &str) -> Result<Vec<String>> {
        let sql = format!(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = {} AND table_type = {}",
            quote_string(database),
            quote_string(kind),
        );
        let rows = self.query(None, &sql).await?;
        Ok(rows.rows.iter().filter_map(|row| row.values().first().cloned().flatten()).collect())
    }

    /// The text of SHOW CREATE TABLE, of a table or a view; `None` when there is none of that name.
    pub async fn show_create_table(&self, database: &str, table: &str) -> Result<Option<String>> {
        let sql = format!("SHOW CREATE TABLE {}", qualified_name(database, table));
        match self.query(None, &sql).await {
            Ok(rows) => {
                let row = rows.rows.first();
                Ok(row
                    .and_then(|row| row.get("Create Table").or_else(|| row.get("Create View")))
                    .map(str::to_owned))
            }
            Err(failure) if is_unknown_table(&failure) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Names of the temporary partitions of a table; none when the table does not exist.
    pub async fn temporary_partitions(&self, database: &str, table: &str) -> Result<Vec<String>> {
        let sql = format!("SHOW TEMPORARY PARTITIONS FROM {}", qualified_name(database, table));
        match self.query(None, &sql).await {
            Ok(rows) => {
                Ok(rows.rows.iter().filter_map(|row| row.get("PartitionName")).map(str::to_owned).collect())
            }
            Err(failure) if is_unknown_table(&failure) => Ok(Vec::new()),
            Err(failure) => Err(failure),
        }
    }

    /// The text of SHOW CREATE DATABASE; `None` when the database does not exist.
    pub async fn show_create_database(&self, database: &str) -> Result<Option<String>> {
        let sql = format!("SHOW CREATE DATABASE {}", quote_identifier(database));
        match self.query(None, &sql).await {
            Ok(rows) => Ok(rows.rows.first().and_then(|row| row.get("Create Database")).map(str::to_owned)),
            Err(failure) if matches!(failure.cause, Cause::Sql { code: BAD_DB, .. }) => Ok(None),
            Err(failure) => Err(failure),
        }
    }
}

/// Versions answer with different codes, down to the general 1105, so the text decides there.
fn is_unknown_table(failure: &Failure) -> bool {
    let Cause::Sql { code, message, .. } = &failure.cause else { return false };
    let text = message.to_ascii_lowercase();
    match *code {
        1051 | 1109 | 1146 => true,
        BAD_DB => false,
        _ => {
            text.contains("unknown table")
                || text.contains("table not found")
                || (text.contains("table [") && text.contains("does not exist"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_tables() {
        let failure = |code, message: &str| {
            let cause = Cause::Sql { code, state: "HY000".into(), message: message.into() };
            Failure::new("SHOW CREATE TABLE", "fe:9030", cause)
        };
        assert!(is_unknown_table(&failure(1051, "Unknown table 't'")));
        assert!(is_unknown_table(&failure(1105, "errCode = 2, detailMessage = unknown table, tableName=t")));
        assert!(is_unknown_table(&failure(
            1105,
            "errCode = 2, detailMessage = Table [t] does not exist in database [d]."
        )));
        assert!(!is_unknown_table(&failure(1049, "Unknown database 'd'")));
        assert!(!is_unknown_table(&failure(1045, "Access denied for user 'u'")));
    }
}
