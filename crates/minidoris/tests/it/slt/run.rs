//! Running the records of a text test.

use std::collections::BTreeMap;
use std::sync::Arc;

use minidoris::binlog::BinlogEntry;
use minidoris::{Cluster, ClusterOptions};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};

use super::parse::{self, Kind, Record};
use crate::harness::{LIMIT, bounded, connect, texts};

/// Runs a file to its end and fails with everything that differed.
pub async fn file(name: &str) {
    let options = ClusterOptions { backends: 3, ..ClusterOptions::replicating(name) };
    let cluster = bounded(Cluster::start(options)).await.unwrap();
    bounded(
        cluster.sql("CREATE DATABASE d PROPERTIES (\"binlog.enable\" = \"true\"); CREATE DATABASE plain"),
    )
    .await
    .unwrap();
    let mut runner = Runner {
        cluster: &cluster,
        connections: BTreeMap::new(),
        current: String::new(),
        seen: BTreeMap::new(),
        kept: BTreeMap::new(),
        ids: Vec::new(),
    };
    let mut failures = Vec::new();
    for record in parse::read(name) {
        if let Err(difference) = runner.run(&record).await {
            failures.push(format!("{name}.slt:{}: {}\n{difference}", record.line, record.sql));
        }
    }
    assert!(failures.is_empty(), "{} records failed\n\n{}", failures.len(), failures.join("\n\n"));
    cluster.stop().await;
}

struct Runner<'a> {
    cluster: &'a Cluster,
    /// By name; the file's own has none.
    connections: BTreeMap<String, Conn>,
    /// The name of the record's connection.
    current: String,
    /// Highest commit seq that a `binlogs` record has looked at, by database.
    seen: BTreeMap<String, i64>,
    /// Cells of `let` records by name.
    kept: BTreeMap<String, String>,
    /// Ids in the order in which `records` met them.
    ids: Vec<u64>,
}

/// Where the ids of a cluster begin, and more than it ever has; other numbers stand for themselves.
const FIRST_ID: u64 = 10_000;
const LAST_ID: u64 = 1_000_000;
/// When data cools down that never does.
const NEVER: u64 = 253_402_271_999_000;

impl Runner<'_> {
    async fn run(&mut self, record: &Record) -> Result<(), String> {
        self.current.clone_from(&record.connection);
        match &record.kind {
            Kind::Ok => self.ask(&record.sql, &[]).await.map(drop),
            Kind::Error(wanted) => match self.ask(&record.sql, &[]).await {
                Ok(rows) => Err(format!("must fail with {wanted}, answers {rows:?}")),
                Err(text) if text.contains(wanted) => Ok(()),
                Err(text) => Err(format!("must fail with {wanted}, fails with {text}")),
            },
            Kind::Query(columns) => compare(&self.ask(&record.sql, columns).await?, &record.expected),
            Kind::Wait(columns) => self.wait(record, columns).await,
            Kind::Contains => contains(&self.ask(&record.sql, &[]).await?.join("\n"), &record.expected),
            Kind::Let(what) => {
                let (name, column) = what.split_once(' ').unwrap();
                let rows = self.ask(&record.sql, &[column.to_owned()]).await?;
                let cell = rows.into_iter().next().ok_or("no row")?;
                self.kept.insert(format!("${name}"), cell);
                Ok(())
            }
            Kind::RoundTrip(object) => self.round_trip(object, record).await,
            Kind::Binlogs(db) => self.binlogs(db, &record.expected),
            Kind::Records(db) => self.records(db, &record.expected),
        }
    }

    /// Rows as text, or the error as `code: message`.
    async fn ask(&mut self, sql: &str, columns: &[String]) -> Result<Vec<String>, String> {
        let mut sql = sql.to_owned();
        // Longer names before those that they begin with.
        for (name, cell) in self.kept.iter().rev() {
            sql = sql.replace(name, cell);
        }
        let conn = self.connection().await;
        let rows = bounded(conn.query::<Row, _>(sql)).await.map_err(|error| match error {
            mysql_async::Error::Server(error) => format!("{}: {}", error.code, error.message),
            other => format!("no server error: {other}"),
        })?;
        let wanted: Vec<usize> = match rows.first() {
            Some(first) if !columns.is_empty() => {
                let position = |name: &String| {
                    let found = first.columns_ref().iter().position(|column| column.name_str() == *name);
                    found.ok_or_else(|| format!("no column {name}"))
                };
                columns.iter().map(position).collect::<Result<_, _>>()?
            }
            Some(first) => (0..first.len()).collect(),
            None => Vec::new(),
        };
        let line = |row: Row| {
            let cells = texts(row);
            let text = |at: &usize| cells[*at].clone().unwrap_or_else(|| "NULL".to_owned());
            wanted.iter().map(text).collect::<Vec<_>>().join("|")
        };
        Ok(rows.into_iter().map(line).collect())
    }

    async fn round_trip(&mut self, object: &str, record: &Record) -> Result<(), String> {
        if !record.sql.is_empty() {
            self.ask(&record.sql, &[]).await?;
        }
        let show = format!("SHOW CREATE {object}");
        let force = if object.starts_with("TABLE") { " FORCE" } else { "" };
        let drop = format!("DROP {object}{force}");
        let printed = self.statement_of(&show).await?;
        contains(&printed, &record.expected)?;
        self.ask(&drop, &[]).await?;
        self.ask(&printed, &[]).await.map_err(|error| format!("{printed}\nfails with {error}"))?;
        let again = self.statement_of(&show).await?;
        self.ask(&drop, &[]).await?;
        if printed == again { Ok(()) } else { Err(format!("{printed}\nprints itself as\n{again}")) }
    }

    /// The second cell of the only row.
    async fn statement_of(&mut self, show: &str) -> Result<String, String> {
        let conn = self.connection().await;
        let row: Option<Row> = bounded(conn.query_first(show)).await.map_err(|error| error.to_string())?;
        row.and_then(|row| texts(row).swap_remove(1)).ok_or_else(|| format!("{show} answers nothing"))
    }

    async fn connection(&mut self) -> &mut Conn {
        if !self.connections.contains_key(&self.current) {
            let mut conn = connect(self.cluster).await;
            bounded(conn.query_drop("USE d")).await.unwrap();
            self.connections.insert(self.current.clone(), conn);
        }
        self.connections.get_mut(&self.current).unwrap()
    }

    async fn wait(&mut self, record: &Record, columns: &[String]) -> Result<(), String> {
        let started = tokio::time::Instant::now();
        loop {
            let outcome = compare(&self.ask(&record.sql, columns).await?, &record.expected);
            if outcome.is_ok() || started.elapsed() > LIMIT {
                return outcome;
            }
            tokio::task::yield_now().await;
        }
    }

    /// What was written to the list of a database since the last look at it.
    fn new_entries(&mut self, db: &str) -> Vec<Arc<BinlogEntry>> {
        let state = self.cluster.inner().fe.lock();
        let list = state
            .database_named(db)
            .and_then(|known| state.binlogs.database(known.id))
            .map(minidoris::binlog::DbBinlog::list);
        let seen = self.seen.entry(db.to_owned()).or_insert(-1);
        let entries: Vec<_> = list.into_iter().flat_map(|list| list.after(*seen)).cloned().collect();
        *seen = entries.last().map_or(*seen, |entry| entry.commit_seq);
        entries
    }

    /// Compares the whole of each record, keys in their order.
    fn records(&mut self, db: &str, expected: &[String]) -> Result<(), String> {
        let written: Vec<String> = self
            .new_entries(db)
            .iter()
            .map(|entry| format!("{} {}", entry.binlog_type.name(), anonymous(&entry.data, &mut self.ids)))
            .collect();
        if written == expected {
            return Ok(());
        }
        Err(format!("expected\n{}\nwritten\n{}", expected.join("\n"), written.join("\n")))
    }

    fn binlogs(&mut self, db: &str, expected: &[String]) -> Result<(), String> {
        let entries = self.new_entries(db);
        let fits = entries.len() == expected.len()
            && entries.iter().zip(expected).all(|(entry, line)| {
                let (kind, text) = line.split_once(' ').unwrap_or((line, ""));
                entry.binlog_type.name() == kind && plain(&entry.data).contains(text)
            });
        if fits {
            return Ok(());
        }
        let written =
            entries.iter().map(|entry| format!("{} {}", entry.binlog_type.name(), plain(&entry.data)));
        Err(format!("expected\n{}\nwritten\n{}", expected.join("\n"), written.collect::<Vec<_>>().join("\n")))
    }
}

/// The JSON as written, with ids numbered in the order of their appearance, and `@` for times and commit seqs.
fn anonymous(data: &str, ids: &mut Vec<u64>) -> String {
    let mut out = String::new();
    let mut rest = data;
    let mut in_text = false;
    while let Some(next) = rest.chars().next() {
        let digits = rest.chars().take_while(char::is_ascii_digit).count();
        let is_key = in_text && digits > 0 && out.ends_with('"') && rest[digits..].starts_with("\":");
        if digits > 0 && (!in_text || is_key) {
            let number: u64 = rest[..digits].parse().unwrap();
            rest = &rest[digits..];
            if out.ends_with("\"commitSeq\":") || number > 1_600_000_000_000 && number != NEVER {
                out.push('@');
            } else if (FIRST_ID..LAST_ID).contains(&number) {
                let at = ids.iter().position(|id| *id == number).unwrap_or_else(|| {
                    ids.push(number);
                    ids.len() - 1
                });
                out.push_str(&format!("#{}", at + 1));
            } else {
                out.push_str(&number.to_string());
            }
            continue;
        }
        match next {
            '\\' => {
                out.push(next);
                rest = &rest[1..];
                out.extend(rest.chars().next());
                rest = &rest[1..];
                continue;
            }
            '"' => in_text = !in_text,
            _other => {}
        }
        out.push(next);
        rest = &rest[next.len_utf8()..];
    }
    out
}

/// The JSON without the escapes that keep HTML out.
fn plain(data: &str) -> String {
    serde_json::from_str::<serde_json::Value>(data).map_or_else(|_| data.to_owned(), |json| json.to_string())
}

/// Every line stands in the text, and none of those behind `!`.
fn contains(text: &str, lines: &[String]) -> Result<(), String> {
    let differs = |line: &&String| match line.strip_prefix('!') {
        Some(unwanted) => text.contains(unwanted),
        None => !text.contains(line.as_str()),
    };
    match lines.iter().find(differs) {
        Some(line) => Err(format!("{line}\nis not true of\n{text}")),
        None => Ok(()),
    }
}

fn compare(rows: &[String], expected: &[String]) -> Result<(), String> {
    // A cell of several lines takes as many in the file.
    let rows: Vec<&str> = rows.iter().flat_map(|row| row.split('\n')).collect();
    if rows == expected {
        return Ok(());
    }
    Err(format!("expected\n{}\nanswered\n{}", expected.join("\n"), rows.join("\n")))
}
