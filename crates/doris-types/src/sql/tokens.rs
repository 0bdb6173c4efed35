//! A tokenizer for Doris SQL that loses nothing.
//!
//! Tokens cover the text without gaps, white space and comments included, so a statement is rebuilt exactly by
//! joining them. The lexical rules are those of the FE's parser: strings in either quotes with backslash
//! escapes and doubled quotes, raw strings `r'…'` without escapes, back-quoted identifiers with doubled back
//! quotes, nested `/* */` comments, hints `/*+ */`, and `--` and `#` comments up to the end of the line.

/// One token with its place in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token<'a> {
    pub kind: TokenKind,
    /// The token as written, quotes included.
    pub text: &'a str,
    /// Byte offset of the first byte in the statement.
    pub start: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// A bare identifier or keyword.
    Word,
    /// An identifier in back quotes.
    QuotedIdentifier,
    /// A literal in single or double quotes.
    String,
    Number,
    /// One character that is none of the others.
    Punctuation,
    /// White space.
    Space,
    Comment,
    /// A `/*+ … */` comment, which the optimiser reads.
    Hint,
}

/// A statement that ends inside a quoted token or comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unterminated {what} starting at byte {position}")]
pub struct TokenError {
    pub what: &'static str,
    /// Byte offset where the token starts.
    pub position: usize,
}

impl Token<'_> {
    /// Byte offset behind the last byte.
    pub fn end(&self) -> usize {
        self.start + self.text.len()
    }

    /// Whether the parser sees the token: neither white space nor comment nor hint.
    pub fn is_significant(&self) -> bool {
        match self.kind {
            TokenKind::Word
            | TokenKind::QuotedIdentifier
            | TokenKind::String
            | TokenKind::Number
            | TokenKind::Punctuation => true,
            TokenKind::Space | TokenKind::Comment | TokenKind::Hint => false,
        }
    }

    /// Whether this is the given keyword, in any case, and not quoted.
    pub fn is_word(&self, word: &str) -> bool {
        self.kind == TokenKind::Word && self.text.eq_ignore_ascii_case(word)
    }

    pub fn is_punctuation(&self, mark: char) -> bool {
        self.kind == TokenKind::Punctuation && self.text.starts_with(mark)
    }

    /// A bare or quoted identifier (or a keyword used as one).
    pub fn is_identifier(&self) -> bool {
        matches!(self.kind, TokenKind::Word | TokenKind::QuotedIdentifier)
    }
}

/// Cuts a text into tokens; joined, they are the text again.
///
/// # Errors
/// When a quoted token or a comment does not end.
pub fn tokenize(sql: &str) -> Result<Vec<Token<'_>>, TokenError> {
    let mut tokens = Vec::new();
    let mut start = 0;
    while let Some(first) = sql[start..].chars().next() {
        let (kind, length) =
            next_token(&sql[start..], first).map_err(|what| TokenError { what, position: start })?;
        tokens.push(Token { kind, text: &sql[start..start + length], start });
        start += length;
    }
    Ok(tokens)
}

/// Only the tokens that the parser sees.
///
/// # Errors
/// As [`tokenize`].
pub fn significant_tokens(sql: &str) -> Result<Vec<Token<'_>>, TokenError> {
    let mut tokens = tokenize(sql)?;
    tokens.retain(Token::is_significant);
    Ok(tokens)
}

fn next_token(rest: &str, first: char) -> Result<(TokenKind, usize), &'static str> {
    if first.is_whitespace() {
        return Ok((TokenKind::Space, length_while(rest, char::is_whitespace)));
    }
    if rest.starts_with("--") || first == '#' {
        return Ok((TokenKind::Comment, line_comment(rest)));
    }
    if rest.starts_with("/*") {
        let kind = if rest.starts_with("/*+") { TokenKind::Hint } else { TokenKind::Comment };
        return block_comment(rest).map(|length| (kind, length)).ok_or("comment");
    }
    if first == '`' {
        let length = quoted(rest, first, false).ok_or("identifier")?;
        return Ok((TokenKind::QuotedIdentifier, length));
    }
    if matches!(first, '\'' | '"') {
        return quoted(rest, first, true).map(|length| (TokenKind::String, length)).ok_or("string");
    }
    if matches!(first, 'r' | 'R') && rest[1..].starts_with(['\'', '"']) {
        let length = raw_string(&rest[1..]).ok_or("string")?;
        return Ok((TokenKind::String, length + 1));
    }
    if is_word_character(first) {
        return Ok(word_or_number(rest));
    }
    Ok((TokenKind::Punctuation, first.len_utf8()))
}

fn length_while(text: &str, wanted: impl Fn(char) -> bool) -> usize {
    text.find(|found| !wanted(found)).unwrap_or(text.len())
}

/// Letters of any script: Doris allows Unicode names when configured to.
fn is_word_character(found: char) -> bool {
    found.is_alphanumeric() || matches!(found, '_' | '$' | '@')
}

/// Up to the line's end, exclusive. A backslash before the line break continues a `--` comment.
fn line_comment(rest: &str) -> usize {
    let mut searched = 0;
    while let Some(found) = rest[searched..].find(['\n', '\r']) {
        let end = searched + found;
        if !(rest.starts_with("--") && rest[..end].ends_with('\\') && rest[end..].starts_with('\n')) {
            return end;
        }
        searched = end + 1;
    }
    rest.len()
}

/// Comments nest. One whose inner opening is never closed ends at the first `*/`.
fn block_comment(rest: &str) -> Option<usize> {
    let bytes = rest.as_bytes();
    let mut depth = 1_usize;
    let mut at = 2;
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"*/" => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return Some(at);
                }
            }
            b"/*" => {
                depth += 1;
                at += 2;
            }
            _ => at += 1,
        }
    }
    rest[2..].find("*/").map(|end| end + 4)
}

/// Length of a token that starts with `quote`, where a doubled quote stands for one.
fn quoted(rest: &str, quote: char, backslash_escapes: bool) -> Option<usize> {
    let mut characters = rest.char_indices().skip(1).peekable();
    while let Some((at, found)) = characters.next() {
        if found == '\\' && backslash_escapes {
            characters.next();
        } else if found == quote {
            if characters.peek().is_some_and(|(_, next)| *next == quote) {
                characters.next();
            } else {
                return Some(at + 1);
            }
        }
    }
    None
}

/// Length of a string without escapes.
fn raw_string(rest: &str) -> Option<usize> {
    let quote = rest.chars().next()?;
    rest[1..].find(quote).map(|end| end + 2)
}

/// Words may begin with digits (`2024_sales`), so only what consists of digits, or is a decimal or an
/// exponent, is a number.
fn word_or_number(rest: &str) -> (TokenKind, usize) {
    let word = length_while(rest, is_word_character);
    let digits = length_while(rest, |found| found.is_ascii_digit());
    let is_exponent = |text: &str| {
        text.strip_prefix(['e', 'E']).is_some_and(|power| {
            let power = power.strip_prefix(['+', '-']).unwrap_or(power);
            power.starts_with(|found: char| found.is_ascii_digit())
        })
    };
    let exponent_length = |text: &str| 2 + length_while(&text[2..], |found| found.is_ascii_digit());
    if digits == 0 {
        return (TokenKind::Word, word);
    }
    if digits == word {
        // The fraction only when a digit follows: `1.` before a name is a number and a dot.
        let behind = &rest[digits..];
        let fraction = behind
            .strip_prefix('.')
            .map(|digits| length_while(digits, |found| found.is_ascii_digit()))
            .filter(|length| *length > 0)
            .map_or(0, |length| length + 1);
        let mut end = digits + fraction;
        if is_exponent(&rest[end..]) {
            end += exponent_length(&rest[end..]);
        }
        return (TokenKind::Number, end);
    }
    let behind = &rest[digits..];
    if is_exponent(behind) {
        let end = digits + exponent_length(behind);
        if end >= word {
            return (TokenKind::Number, end);
        }
    }
    (TokenKind::Word, word)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sql::{quote_identifier, quote_string, unquote_identifier, unquote_string};

    fn kinds(sql: &str) -> Vec<(TokenKind, &str)> {
        significant_tokens(sql).unwrap().iter().map(|token| (token.kind, token.text)).collect()
    }

    #[test]
    fn tells_names_literals_and_marks_apart() {
        use TokenKind::{Number, Punctuation, QuotedIdentifier, String, Word};
        assert_eq!(
            kinds("SELECT `a``b`.2024_x, 'it''s \\' ok', \"q\"\"q\", r'\\', 1.5e-3, 12 FROM 表;"),
            [
                (Word, "SELECT"),
                (QuotedIdentifier, "`a``b`"),
                (Punctuation, "."),
                (Word, "2024_x"),
                (Punctuation, ","),
                (String, "'it''s \\' ok'"),
                (Punctuation, ","),
                (String, "\"q\"\"q\""),
                (Punctuation, ","),
                (String, "r'\\'"),
                (Punctuation, ","),
                (Number, "1.5e-3"),
                (Punctuation, ","),
                (Number, "12"),
                (Word, "FROM"),
                (Word, "表"),
                (Punctuation, ";"),
            ]
        );
    }

    #[test]
    fn numbers_end_where_names_begin() {
        use TokenKind::{Number, Punctuation, Word};
        assert_eq!(kinds("1e5"), [(Number, "1e5")]);
        assert_eq!(kinds("1e5x"), [(Word, "1e5x")]);
        assert_eq!(kinds("1.x"), [(Number, "1"), (Punctuation, "."), (Word, "x")]);
        assert_eq!(kinds("2.5E+10"), [(Number, "2.5E+10")]);
        assert_eq!(kinds("1e"), [(Word, "1e")]);
    }

    #[test]
    fn comments_and_hints_are_tokens_of_their_own() {
        let sql = "a -- it's `one\nb # \"two\n/* c ' /* d */ ` */ /*+ SET_VAR(x='1') */ e --";
        let found: Vec<_> = tokenize(sql)
            .unwrap()
            .into_iter()
            .filter(|token| !token.is_significant() && token.kind != TokenKind::Space)
            .map(|token| (token.kind, token.text))
            .collect();
        assert_eq!(
            found,
            [
                (TokenKind::Comment, "-- it's `one"),
                (TokenKind::Comment, "# \"two"),
                (TokenKind::Comment, "/* c ' /* d */ ` */"),
                (TokenKind::Hint, "/*+ SET_VAR(x='1') */"),
                (TokenKind::Comment, "--"),
            ]
        );
        assert_eq!(kinds("/* a /* b */ c"), [(TokenKind::Word, "c")]);
        assert_eq!(kinds("-- a \\\n b\nc"), [(TokenKind::Word, "c")]);
    }

    #[test]
    fn unterminated_tokens_are_errors() {
        for (sql, what, position) in [
            ("a 'b", "string", 2),
            ("a \"b\\\"", "string", 2),
            ("`b``", "identifier", 0),
            ("x /* y", "comment", 2),
            ("r'", "string", 0),
        ] {
            assert_eq!(tokenize(sql).unwrap_err(), TokenError { what, position }, "{sql}");
        }
    }

    proptest! {
        #[test]
        fn tokens_joined_are_the_text(
            pieces in prop::collection::vec(
                prop_oneof![
                    prop::sample::select(vec![
                        "'a''b'", "\"\\\"\"", "`x`", "--c\n", "/*+ h */", "#", "\n", " ", "1.5", "e", "r", "\\", ".", "表",
                    ]).prop_map(str::to_owned),
                    "\\PC{0,4}",
                ],
                0..20,
            )
        ) {
            let sql = pieces.concat();
            if let Ok(tokens) = tokenize(&sql) {
                let mut at = 0;
                for token in &tokens {
                    prop_assert_eq!(token.start, at);
                    at = token.end();
                }
                prop_assert_eq!(tokens.iter().map(|token| token.text).collect::<String>(), sql);
            }
        }

        #[test]
        fn a_quoted_string_is_one_token_with_that_value(text in "(\\PC|[\n\\\\'\"`%_\u{0}]){0,20}") {
            let sql = quote_string(&text);
            let tokens = tokenize(&sql).unwrap();
            prop_assert_eq!(tokens.len(), 1);
            prop_assert_eq!(tokens[0].kind, TokenKind::String);
            prop_assert_eq!(unquote_string(tokens[0].text).unwrap(), text);
        }

        #[test]
        fn a_quoted_identifier_is_one_token_with_that_name(name in "(\\PC|[`\\\\'\"\n]){1,20}") {
            let sql = format!("x.{}.y", quote_identifier(&name));
            let tokens = tokenize(&sql).unwrap();
            prop_assert_eq!(tokens.len(), 5);
            prop_assert_eq!(tokens[2].kind, TokenKind::QuotedIdentifier);
            prop_assert_eq!(unquote_identifier(tokens[2].text), name);
        }
    }
}
