//! Records of a text test.

use std::path::PathBuf;

/// One record and the number of its first line.
#[derive(Debug)]
pub struct Record {
    pub line: usize,
    /// Which connection runs it; empty: the file's own.
    pub connection: String,
    pub kind: Kind,
    pub sql: String,
    /// What stands behind `----`.
    pub expected: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    Ok,
    Error(String),
    Query(Vec<String>),
    Wait(Vec<String>),
    Contains,
    /// Keeps the first cell under a name.
    Let(String),
    Binlogs(String),
    /// Kind and name of the object whose SHOW CREATE is executed.
    RoundTrip(String),
    Records(String),
}

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/slt")
}

pub fn file_names() -> Vec<String> {
    let entries = std::fs::read_dir(directory()).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name.ends_with(".slt"));
    names.sort_unstable();
    names
}

pub fn read(name: &str) -> Vec<Record> {
    let text = std::fs::read_to_string(directory().join(format!("{name}.slt"))).unwrap();
    let mut records = Vec::new();
    let mut block: Vec<&str> = Vec::new();
    for (at, line) in text.lines().chain([""]).enumerate() {
        if line.starts_with('#') {
            continue;
        }
        if !line.is_empty() {
            block.push(line);
        } else if !block.is_empty() {
            records.push(record(at + 1 - block.len(), &block));
            block.clear();
        }
    }
    records
}

fn record(line: usize, block: &[&str]) -> Record {
    if let Some(name) = block[0].strip_prefix("connection ") {
        return Record { connection: name.to_owned(), ..record(line, &block[1..]) };
    }
    let (word, rest) = block[0].split_once(' ').unwrap_or((block[0], ""));
    let columns = || rest.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let database = || if rest.is_empty() { "d" } else { rest };
    let kind = match word {
        "statement" if rest == "ok" => Kind::Ok,
        "statement" => Kind::Error(rest.strip_prefix("error ").expect("ok or error").to_owned()),
        "query" => Kind::Query(columns()),
        "wait" => Kind::Wait(columns()),
        "contains" => Kind::Contains,
        "let" => Kind::Let(rest.to_owned()),
        "binlogs" => Kind::Binlogs(database().to_owned()),
        "records" => Kind::Records(database().to_owned()),
        "roundtrip" => Kind::RoundTrip(rest.to_owned()),
        other => panic!("line {line}: unknown record {other}"),
    };
    let body = &block[1..];
    let split = body.iter().position(|line| *line == "----");
    let (sql, expected) = match (&kind, split) {
        (Kind::Binlogs(_) | Kind::Records(_), _) => (&[][..], body),
        (_, Some(at)) => (&body[..at], &body[at + 1..]),
        (_, None) => (body, &[][..]),
    };
    Record {
        line,
        connection: String::new(),
        kind,
        sql: sql.join("\n"),
        expected: expected.iter().map(|line| (*line).to_owned()).collect(),
    }
}
