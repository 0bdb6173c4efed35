//! What a statement is called in counters and faults, from its first words.

/// The kinds, longest first within one leading word; the text behind `sql:` is what a statement starts with.
const KINDS: &[&str] = &[
    "sql:SELECT",
    "sql:INSERT OVERWRITE",
    "sql:INSERT",
    "sql:DELETE",
    "sql:UPDATE",
    "sql:SHOW FRONTENDS",
    "sql:SHOW BACKENDS",
    "sql:SHOW BACKUP",
    "sql:SHOW RESTORE",
    "sql:SHOW SNAPSHOT",
    "sql:SHOW REPOSITORIES",
    "sql:SHOW FUNCTIONS",
    "sql:SHOW DATABASES",
    "sql:SHOW TABLES",
    "sql:SHOW PARTITIONS",
    "sql:SHOW TEMPORARY PARTITIONS",
    "sql:SHOW CREATE DATABASE",
    "sql:SHOW CREATE TABLE",
    "sql:SHOW CREATE VIEW",
    "sql:SHOW CREATE MATERIALIZED VIEW",
    "sql:SHOW ALTER TABLE",
    "sql:SHOW BUILD INDEX",
    "sql:SHOW TRANSACTION",
    "sql:SHOW PROC",
    "sql:SHOW VARIABLES",
    "sql:SHOW COLUMNS",
    "sql:SHOW INDEX",
    "sql:SHOW VIEW",
    "sql:SHOW",
    "sql:DESC",
    "sql:CREATE DATABASE",
    "sql:CREATE TABLE",
    "sql:CREATE VIEW",
    "sql:CREATE MATERIALIZED VIEW",
    "sql:CREATE INDEX",
    "sql:CREATE REPOSITORY",
    "sql:CREATE USER",
    "sql:CREATE",
    "sql:DROP DATABASE",
    "sql:DROP TABLE",
    "sql:DROP VIEW",
    "sql:DROP MATERIALIZED VIEW",
    "sql:DROP INDEX",
    "sql:DROP REPOSITORY",
    "sql:DROP USER",
    "sql:DROP",
    "sql:ALTER DATABASE",
    "sql:ALTER TABLE",
    "sql:ALTER VIEW",
    "sql:ALTER",
    "sql:TRUNCATE",
    "sql:RECOVER",
    "sql:BUILD INDEX",
    "sql:BACKUP",
    "sql:RESTORE",
    "sql:CANCEL BACKUP",
    "sql:CANCEL RESTORE",
    "sql:CANCEL ALTER",
    "sql:CANCEL",
    "sql:ADMIN SHOW",
    "sql:ADMIN",
    "sql:GRANT",
    "sql:REVOKE",
    "sql:USE",
    "sql:SET",
    "sql:SYNC",
    "sql:BEGIN",
    "sql:COMMIT",
    "sql:ROLLBACK",
    "sql:EXPLAIN",
];

/// Enough to tell every kind.
const LEADING_WORDS: usize = 4;

/// The kind of a statement, `sql:OTHER` when it starts with nothing known.
pub fn kind(statement: &str) -> &'static str {
    let words: Vec<&str> = Words { rest: statement }.take(LEADING_WORDS).collect();
    let starts_with = |kind: &&&'static str| {
        let mut wanted = kind.trim_start_matches("sql:").split(' ');
        let mut given = words.iter();
        wanted.all(|word| given.next().is_some_and(|other| other.eq_ignore_ascii_case(word)))
    };
    KINDS.iter().find(starts_with).copied().unwrap_or_else(|| aliases(&words))
}

/// Spellings that share a kind with another.
fn aliases(words: &[&str]) -> &'static str {
    let first = words.first().map(|word| word.to_ascii_uppercase()).unwrap_or_default();
    match first.as_str() {
        "WITH" | "VALUES" => "sql:SELECT",
        "DESCRIBE" => "sql:DESC",
        "START" => "sql:BEGIN",
        _ => "sql:OTHER",
    }
}

/// Words of letters, comments and punctuation skipped.
struct Words<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        loop {
            self.rest = self.rest.trim_start();
            if let Some(tail) = self.rest.strip_prefix("/*") {
                self.rest = tail.split_once("*/").map_or("", |(_, after)| after);
            } else if self.rest.starts_with("--") || self.rest.starts_with('#') {
                self.rest = self.rest.split_once('\n').map_or("", |(_, after)| after);
            } else if let Some(tail) = self.rest.strip_prefix('(') {
                self.rest = tail;
            } else {
                break;
            }
        }
        let end = self.rest.find(|c: char| !c.is_ascii_alphabetic() && c != '_').unwrap_or(self.rest.len());
        let (word, tail) = self.rest.split_at(end);
        self.rest = tail;
        (!word.is_empty()).then_some(word)
    }
}

#[cfg(test)]
mod tests {
    use super::kind;

    #[test]
    fn the_first_words_name_the_kind() {
        let cases = [
            ("insert into t values (1)", "sql:INSERT"),
            ("INSERT OVERWRITE TABLE t VALUES (1)", "sql:INSERT OVERWRITE"),
            ("  -- note\n show  backup from d", "sql:SHOW BACKUP"),
            ("/* x */SHOW FULL TABLES", "sql:SHOW"),
            ("(select 1)", "sql:SELECT"),
            ("select`a` from t", "sql:SELECT"),
            ("with x as (select 1) select * from x", "sql:SELECT"),
            ("CREATE TABLE`t`(a int)", "sql:CREATE TABLE"),
            ("show create table t", "sql:SHOW CREATE TABLE"),
            ("cancel restore from d", "sql:CANCEL RESTORE"),
            ("describe t", "sql:DESC"),
            ("?", "sql:OTHER"),
            ("", "sql:OTHER"),
        ];
        for (text, expected) in cases {
            assert_eq!(kind(text), expected, "{text}");
        }
    }
}
