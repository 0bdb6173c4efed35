//! Identifiers and string literals, in both directions.
//!
//! Doris reads back-quoted identifiers with doubled back quotes and no backslash escapes, and string literals
//! in either kind of quotes with backslash escapes and doubled quotes.

/// Back-quotes an identifier.
pub fn quote_identifier(name: &str) -> String {
    let mut quoted = String::with_capacity(name.len() + 2);
    quoted.push('`');
    for found in name.chars() {
        if found == '`' {
            quoted.push('`');
        }
        quoted.push(found);
    }
    quoted.push('`');
    quoted
}

/// Back-quotes each name and joins them with `, `.
pub fn quote_identifiers<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(quote_identifier).collect::<Vec<_>>().join(", ")
}

/// `` `db`.`table` ``.
pub fn qualified_name(db: &str, table: &str) -> String {
    format!("{}.{}", quote_identifier(db), quote_identifier(table))
}

/// A string literal in double quotes, as Doris itself prints them.
pub fn quote_string(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for found in text.chars() {
        if matches!(found, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(found);
    }
    quoted.push('"');
    quoted
}

/// The name behind a back-quoted or bare identifier.
pub fn unquote_identifier(token: &str) -> String {
    match token.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')) {
        Some(inner) => inner.replace("``", "`"),
        None => token.to_owned(),
    }
}

/// The value of a string literal in single or double quotes, raw (`r"…"`) ones included. `None` when `token`
/// is no such literal.
pub fn unquote_string(token: &str) -> Option<String> {
    if let Some(raw) = token.strip_prefix(['r', 'R']) {
        return inner(raw).map(|(_, text)| text.to_owned());
    }
    let (quote, text) = inner(token)?;
    let mut value = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(found) = rest.next() {
        match found {
            '\\' => match rest.next() {
                Some('n') => value.push('\n'),
                Some('t') => value.push('\t'),
                Some('r') => value.push('\r'),
                Some('b') => value.push('\u{8}'),
                Some('0') => value.push('\0'),
                Some('Z') => value.push('\u{1a}'),
                // Kept for LIKE, where the escaped wildcard means itself.
                Some(wildcard @ ('%' | '_')) => value.extend(['\\', wildcard]),
                Some(other) => value.push(other),
                None => value.push('\\'),
            },
            found if found == quote => {
                // The second one of a doubled quote.
                rest.next();
                value.push(quote);
            }
            found => value.push(found),
        }
    }
    Some(value)
}

fn inner(token: &str) -> Option<(char, &str)> {
    ['"', '\''].into_iter().find_map(|quote| {
        let text = token.strip_prefix(quote)?.strip_suffix(quote)?;
        Some((quote, text))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_double_their_back_quotes() {
        assert_eq!(quote_identifier("a`b\\"), "`a``b\\`");
        assert_eq!(unquote_identifier("`a``b\\`"), "a`b\\");
        assert_eq!(unquote_identifier("plain"), "plain");
        assert_eq!(qualified_name("d", "t.1"), "`d`.`t.1`");
        assert_eq!(quote_identifiers(["a", "b"]), "`a`, `b`");
    }

    #[test]
    fn strings_escape_backslash_and_quote() {
        assert_eq!(quote_string(r#"a"b\c'd"#), r#""a\"b\\c'd""#);
    }

    #[test]
    fn strings_are_read_as_doris_reads_them() {
        assert_eq!(unquote_string(r#""a\"b""c\n\%\x""#).unwrap(), "a\"b\"c\n\\%x");
        assert_eq!(unquote_string(r"'it''s'").unwrap(), "it's");
        assert_eq!(unquote_string(r#"r"a\n""#).unwrap(), "a\\n");
        assert_eq!(unquote_string("word"), None);
        assert_eq!(unquote_string("'"), None);
    }
}
