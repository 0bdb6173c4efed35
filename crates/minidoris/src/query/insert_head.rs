//! The beginnings of INSERT and DELETE, up to where ordinary expressions start. Doris's clauses there
//! (labels, overwrite, temporary partitions) are in no other dialect.

use super::target::PartitionChoice;
use crate::error::{SqlError, SqlResult};

/// `INSERT INTO | OVERWRITE TABLE t [WITH LABEL l] [partitions] [(columns)] source`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InsertHead {
    pub overwrite: bool,
    /// Dotted name as given.
    pub table: Vec<String>,
    pub label: Option<String>,
    pub partitions: PartitionChoice,
    pub columns: Option<Vec<String>>,
    /// VALUES or a query.
    pub source: String,
}

/// `DELETE FROM t [partitions] rest`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteHead {
    pub table: Vec<String>,
    pub partitions: PartitionChoice,
    /// From WHERE on.
    pub rest: String,
}

pub fn insert_head(sql: &str) -> SqlResult<InsertHead> {
    let mut cursor = Cursor { rest: sql };
    cursor.expect("insert")?;
    let overwrite = cursor.accept("overwrite");
    if !overwrite {
        cursor.expect("into")?;
    }
    cursor.accept("table");
    let table = cursor.dotted()?;
    let mut label = None;
    if cursor.accept("with") {
        cursor.expect("label")?;
        label = Some(cursor.name()?);
    }
    let partitions = cursor.partitions()?;
    let mut columns = None;
    if cursor.at_symbol('(') && !cursor.is_subquery() {
        columns = Some(cursor.names()?);
    }
    if cursor.accept("with") && cursor.accept("label") {
        label = Some(cursor.name()?);
    }
    Ok(InsertHead { overwrite, table, label, partitions, columns, source: cursor.rest_text() })
}

pub fn delete_head(sql: &str) -> SqlResult<DeleteHead> {
    let mut cursor = Cursor { rest: sql };
    cursor.expect("delete")?;
    cursor.expect("from")?;
    let table = cursor.dotted()?;
    let partitions = cursor.partitions()?;
    Ok(DeleteHead { table, partitions, rest: cursor.rest_text() })
}

/// Turns array, map and struct literals into string literals, which is how complex values are kept. Brackets
/// behind a value name an element of it.
pub fn quote_brackets(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find(['\'', '"', '`', '[', '{']) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let length = match from.as_bytes().first() {
            Some(b'[') if ends_in_value(&out) => {
                out.push('[');
                1
            }
            Some(b'[' | b'{') => {
                let length = bracket_length(from);
                let text = from[..length].replace('\\', "\\\\").replace('\'', "''");
                out.push('\'');
                out.push_str(&text);
                out.push('\'');
                length
            }
            _ => {
                let length = quoted_length(from);
                out.push_str(&from[..length]);
                length
            }
        };
        rest = &from[length..];
    }
    out.push_str(rest);
    out
}

/// Words behind which an expression begins.
const BEFORE_VALUES: [&str; 15] = [
    "all", "and", "between", "by", "case", "distinct", "else", "having", "in", "not", "or", "select", "then",
    "when", "where",
];

/// Whether the text ends in a column, a call or an element, and not where a value begins.
fn ends_in_value(text: &str) -> bool {
    let text = text.trim_end();
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    match text.chars().next_back() {
        Some(')' | ']' | '`') => true,
        Some(last) if is_part(last) => {
            let start = text.rfind(|c| !is_part(c)).map_or(0, |at| at + 1);
            // The byte behind a longer character is none of its own.
            let word = text.get(start..).unwrap_or_default();
            !BEFORE_VALUES.iter().any(|known| word.eq_ignore_ascii_case(known))
        }
        Some(_) | None => false,
    }
}

/// Bytes of the quoted text at the front, quotes included.
fn quoted_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let quote = bytes[0];
    let mut at = 1;
    while at < bytes.len() {
        if bytes[at] == b'\\' && quote != b'`' {
            at += 2;
            continue;
        }
        if bytes[at] == quote {
            if bytes.get(at + 1) == Some(&quote) {
                at += 2;
                continue;
            }
            return at + 1;
        }
        at += 1;
    }
    bytes.len()
}

/// Bytes of the bracketed text at the front, to the end when it is not closed.
fn bracket_length(text: &str) -> usize {
    let mut depth = 0usize;
    let mut at = 0;
    let bytes = text.as_bytes();
    while at < bytes.len() {
        match bytes[at] {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            b'\'' | b'"' => {
                at += quoted_length(&text[at..]);
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    fn skip_blanks(&mut self) {
        loop {
            self.rest = self.rest.trim_start();
            let after = match self.rest.get(..2) {
                Some("/*") => self.rest.split_once("*/"),
                Some("--") => self.rest.split_once('\n'),
                _ => return,
            };
            let Some((_, after)) = after else { return };
            self.rest = after;
        }
    }

    fn peek_word(&mut self) -> &'a str {
        self.skip_blanks();
        let end = self.rest.find(|ch: char| !(ch.is_alphanumeric() || ch == '_')).unwrap_or(self.rest.len());
        &self.rest[..end]
    }

    fn accept(&mut self, keyword: &str) -> bool {
        let word = self.peek_word();
        let found = word.eq_ignore_ascii_case(keyword);
        if found {
            self.rest = &self.rest[word.len()..];
        }
        found
    }

    fn expect(&mut self, keyword: &str) -> SqlResult<()> {
        if self.accept(keyword) { Ok(()) } else { Err(self.unexpected(keyword)) }
    }

    fn unexpected(&mut self, expected: &str) -> SqlError {
        let near: String = self.rest.chars().take(30).collect();
        SqlError::general(format!("mismatched input '{near}' expecting {expected}"))
    }

    fn at_symbol(&mut self, symbol: char) -> bool {
        self.skip_blanks();
        self.rest.starts_with(symbol)
    }

    fn accept_symbol(&mut self, symbol: char) -> bool {
        let found = self.at_symbol(symbol);
        if found {
            self.rest = &self.rest[symbol.len_utf8()..];
        }
        found
    }

    /// A bare, back-quoted or string name; bare ones may hold hyphens.
    fn name(&mut self) -> SqlResult<String> {
        self.skip_blanks();
        if self.rest.starts_with(['`', '"', '\'']) {
            let length = quoted_length(self.rest);
            let (quoted, rest) = self.rest.split_at(length);
            let quote = &quoted[..1];
            let name =
                quoted.get(1..length - 1).unwrap_or_default().replace(&format!("{quote}{quote}"), quote);
            self.rest = rest;
            return Ok(name);
        }
        let end = self
            .rest
            .find(|ch: char| !(ch.is_alphanumeric() || matches!(ch, '_' | '-' | '$')))
            .unwrap_or(self.rest.len());
        if end == 0 {
            return Err(self.unexpected("IDENTIFIER"));
        }
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        Ok(name.to_owned())
    }

    fn dotted(&mut self) -> SqlResult<Vec<String>> {
        let mut parts = vec![self.name()?];
        while self.accept_symbol('.') {
            parts.push(self.name()?);
        }
        Ok(parts)
    }

    fn names(&mut self) -> SqlResult<Vec<String>> {
        let mut names = Vec::new();
        if !self.accept_symbol('(') {
            return Ok(vec![self.name()?]);
        }
        loop {
            names.push(self.name()?);
            if self.accept_symbol(')') {
                return Ok(names);
            }
            if !self.accept_symbol(',') {
                return Err(self.unexpected("{',', ')'}"));
            }
        }
    }

    fn partitions(&mut self) -> SqlResult<PartitionChoice> {
        let temporary = self.accept("temporary");
        if self.accept("partition") || self.accept("partitions") {
            return Ok(PartitionChoice { names: self.names()?, temporary });
        }
        if temporary { Err(self.unexpected("PARTITION")) } else { Ok(PartitionChoice::default()) }
    }

    /// Whether the parenthesis opens a query rather than a list of columns.
    fn is_subquery(&self) -> bool {
        let mut inside = Cursor { rest: &self.rest[1..] };
        while inside.accept_symbol('(') {}
        let word = inside.peek_word();
        word.eq_ignore_ascii_case("select") || word.eq_ignore_ascii_case("with")
    }

    fn rest_text(&mut self) -> String {
        self.skip_blanks();
        self.rest.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inserts_of_all_shapes() {
        let head = insert_head("insert into orders values (1, 1)").unwrap();
        assert_eq!(
            (head.table, head.columns, head.source.as_str()),
            (vec!["orders".to_owned()], None, "values (1, 1)")
        );
        let head =
            insert_head("INSERT INTO `d`.`t-x` TEMPORARY PARTITION (tp, `p2`) (a, `b`) SELECT 1, 2").unwrap();
        assert_eq!(head.table, ["d", "t-x"]);
        assert_eq!(
            head.partitions,
            PartitionChoice { names: vec!["tp".into(), "p2".into()], temporary: true }
        );
        assert_eq!(head.columns, Some(vec!["a".into(), "b".into()]));
        assert_eq!(head.source, "SELECT 1, 2");
        let head = insert_head("insert overwrite table t with label l1 (select 1)").unwrap();
        assert!(head.overwrite);
        assert_eq!((head.label.as_deref(), head.source.as_str()), (Some("l1"), "(select 1)"));
        assert!(insert_head("insert t values (1)").is_err());
    }

    #[test]
    fn deletes_name_partitions_with_or_without_parentheses() {
        let head = delete_head("DELETE FROM t PARTITION p1 WHERE a = 1").unwrap();
        assert_eq!(head.partitions.names, ["p1"]);
        assert_eq!(head.rest, "WHERE a = 1");
        assert_eq!(delete_head("delete from d.t where x").unwrap().table, ["d", "t"]);
    }

    #[test]
    fn complex_literals_become_texts() {
        assert_eq!(quote_brackets("(1, ['x', NULL], {\"a\": [1]})"), "(1, '[''x'', NULL]', '{\"a\": [1]}')");
        assert_eq!(quote_brackets("('[', \"{\", `[`)"), "('[', \"{\", `[`)");
        assert_eq!(quote_brackets("('it''s [x]')"), "('it''s [x]')");
        assert_eq!(quote_brackets("([1, 2"), "('[1, 2'");
        assert_eq!(quote_brackets("select [1], a[1], `b` [2]"), "select '[1]', a[1], `b` [2]");
        assert_eq!(quote_brackets("f(x)[1][2] = [3]"), "f(x)[1][2] = '[3]'");
    }
}
