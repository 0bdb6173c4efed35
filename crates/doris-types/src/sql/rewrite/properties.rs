//! Lists of `"key" = "value"` in parentheses.

use std::collections::BTreeMap;
use std::ops::Range;

use super::RewriteError;
use super::edit::Statement;
use crate::sql::{TokenKind, quote_string, unquote_identifier, unquote_string};

/// Properties of MODIFY_TABLE_PROPERTY that stay on their own cluster.
const LOCAL_PROPERTIES: [&str; 8] = [
    "light_schema_change",
    "colocate_with",
    "storage_policy",
    "replication_num",
    "replication_allocation",
    // Of partitions to come, under the names that partitioned tables have for it.
    "default.replication_num",
    "default.replication_allocation",
    "is_being_synced",
];
const LOCAL_PREFIXES: [&str; 2] = ["binlog.", "dynamic_partition."];

/// Whether a changed table property is to be changed downstream as well.
pub fn is_replicated_property(key: &str) -> bool {
    !LOCAL_PROPERTIES.contains(&key) && !LOCAL_PREFIXES.iter().any(|prefix| key.starts_with(prefix))
}

/// `SET ("k" = "v", …)` with the properties that are replicated, to be put after `ALTER TABLE x`. `None` when
/// none is left.
pub fn set_properties_sql(properties: &BTreeMap<String, String>) -> Option<String> {
    let items: Vec<String> = properties
        .iter()
        .filter(|(key, _)| is_replicated_property(key))
        .map(|(key, value)| item(key, value))
        .collect();
    if items.is_empty() { None } else { Some(format!("SET ({})", items.join(", "))) }
}

/// `"key" = "value"`.
pub(super) fn item(key: &str, value: &str) -> String {
    format!("{} = {}", quote_string(key), quote_string(value))
}

/// A list of properties in a statement.
#[derive(Debug)]
pub(super) struct PropertyGroup {
    /// Token index of the closing parenthesis.
    pub close: usize,
    /// Bytes from the opening to the closing parenthesis, both included.
    pub bytes: Range<usize>,
    pub items: Vec<PropertyItem>,
}

#[derive(Debug)]
pub(super) struct PropertyItem {
    pub key: String,
    /// Bytes of the whole item.
    pub bytes: Range<usize>,
}

impl PropertyGroup {
    /// Reads the list that opens at token `open`.
    pub fn parse(statement: &Statement<'_>, open: usize) -> Result<Self, RewriteError> {
        let mut items = Vec::new();
        let mut at = open + 1;
        while !statement.is_mark(at, ')') {
            let first = at;
            let mut key = String::new();
            while !statement.is_mark(at, '=') {
                let token = statement.tokens.get(at).ok_or_else(|| statement.unexpected(at, "="))?;
                match token.kind {
                    TokenKind::String => key.push_str(&unquote_string(token.text).unwrap_or_default()),
                    TokenKind::QuotedIdentifier => key.push_str(&unquote_identifier(token.text)),
                    _ => key.push_str(token.text),
                }
                at += 1;
            }
            at += 1;
            let value = at;
            while !(statement.is_mark(at, ',') || statement.is_mark(at, ')')) {
                if at >= statement.tokens.len() {
                    return Err(statement.unexpected(at, ")"));
                }
                at += 1;
            }
            if at == value || value == first + 1 {
                return Err(statement.unexpected(at, "a property"));
            }
            items.push(PropertyItem { key, bytes: statement.bytes(first, at - 1) });
            if statement.is_mark(at, ',') {
                at += 1;
            }
        }
        Ok(Self { close: at, bytes: statement.bytes(open, at), items })
    }

    /// Whether a parenthesis opens a list of properties and not one of values.
    pub fn starts_at(statement: &Statement<'_>, open: usize) -> bool {
        statement.is_mark(open, '(')
            && statement.tokens.get(open + 1).is_some_and(|token| token.kind == TokenKind::String)
            && statement.is_mark(open + 2, '=')
    }

    /// The list with some items removed, some values set, and what was not there added at its end; the text
    /// between items that stay is kept. `None` when nothing is left.
    pub fn render(
        &self,
        sql: &str,
        removed: impl Fn(&str) -> bool,
        set: &BTreeMap<String, String>,
    ) -> Option<String> {
        let mut out = String::new();
        let mut previous: Option<usize> = None;
        for (position, property) in self.items.iter().enumerate() {
            let value = set.get(&property.key);
            if value.is_none() && removed(&property.key) {
                continue;
            }
            out.push_str(match previous {
                None => &sql[self.bytes.start..self.items[0].bytes.start],
                Some(_) => &sql[self.items[position - 1].bytes.end..property.bytes.start],
            });
            match value {
                Some(value) => out.push_str(&item(&property.key, value)),
                None => out.push_str(&sql[property.bytes.clone()]),
            }
            previous = Some(position);
        }
        let separator = match self.items.as_slice() {
            [first, second, ..] => &sql[first.bytes.end..second.bytes.start],
            _ => ",\n",
        };
        for (key, value) in set.iter().filter(|(key, _)| !self.items.iter().any(|item| item.key == **key)) {
            out.push_str(if out.is_empty() { "(" } else { separator });
            out.push_str(&item(key, value));
        }
        if out.is_empty() {
            return None;
        }
        let tail = self.items.last().map_or(self.bytes.end - 1, |last| last.bytes.end);
        out.push_str(&sql[tail..self.bytes.end]);
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(items: &[(&str, &str)]) -> BTreeMap<String, String> {
        items.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn render(sql: &str, removed: &[&str], set: &[(&str, &str)]) -> Option<String> {
        let statement = Statement::new("test", sql).unwrap();
        let group = PropertyGroup::parse(&statement, 0).unwrap();
        group.render(sql, |key| removed.contains(&key), &map(set))
    }

    #[test]
    fn keeps_the_text_between_items_that_stay() {
        let sql = "(\n\"a\" = \"1\",\n\"b\" = '2', -- two\n\"c\" = 3\n)";
        assert_eq!(render(sql, &[], &[]).unwrap(), sql);
        assert_eq!(render(sql, &["a"], &[]).unwrap(), "(\n\"b\" = '2', -- two\n\"c\" = 3\n)");
        assert_eq!(render(sql, &["b"], &[]).unwrap(), "(\n\"a\" = \"1\", -- two\n\"c\" = 3\n)");
        assert_eq!(render(sql, &["c"], &[]).unwrap(), "(\n\"a\" = \"1\",\n\"b\" = '2'\n)");
        assert_eq!(
            render(sql, &["a"], &[("c", "x\"y"), ("d", "4")]).unwrap(),
            "(\n\"b\" = '2', -- two\n\"c\" = \"x\\\"y\",\n\"d\" = \"4\"\n)"
        );
        assert_eq!(render(sql, &["a", "b", "c"], &[]), None);
        assert_eq!(render("()", &[], &[("a", "1")]).unwrap(), "(\"a\" = \"1\")");
    }

    #[test]
    fn reads_bare_keys_and_signed_values() {
        let statement = Statement::new("test", "(a.b = -1, `c` = true)").unwrap();
        let group = PropertyGroup::parse(&statement, 0).unwrap();
        assert_eq!(group.items.iter().map(|item| item.key.as_str()).collect::<Vec<_>>(), ["a.b", "c"]);
    }

    #[test]
    fn refuses_what_is_no_list() {
        for sql in ["(", "(\"a\")", "(\"a\" = )", "(\"a\" = 1", "(= 1)"] {
            let statement = Statement::new("test", sql).unwrap();
            assert!(PropertyGroup::parse(&statement, 0).is_err(), "{sql}");
        }
    }

    #[test]
    fn only_replicated_properties_are_set() {
        let properties = map(&[
            ("binlog.ttl_seconds", "1"),
            ("dynamic_partition.enable", "true"),
            ("storage_policy", "p"),
            ("compaction_policy", "time_series"),
        ]);
        assert_eq!(set_properties_sql(&properties).unwrap(), r#"SET ("compaction_policy" = "time_series")"#);
        assert_eq!(set_properties_sql(&map(&[("replication_num", "1")])), None);
    }
}
