//! Splits SQL text into tokens, and a text into its statements.
//!
//! Names may contain anything between back quotes, so every later decision is made on tokens and never on
//! substrings. Comments vanish, hints (`/*+ … */`) with them. Tokens remember where they were in the text:
//! the text of a view's body or of a query is cut out of the original, not printed again.

use crate::error::{SqlError, SqlResult};

/// A token and its place in the text, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub kind: TokenKind,
    pub start: usize,
    pub end: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenKind {
    /// A bare word: keyword or name.
    Word(String),
    /// A name in back quotes, without them.
    Quoted(String),
    /// A string in either kind of quotes, escapes resolved.
    Text(String),
    Number(String),
    /// One character of punctuation.
    Symbol(char),
    End,
}

impl Token {
    pub fn is_word(&self, keyword: &str) -> bool {
        matches!(&self.kind, TokenKind::Word(word) if word.eq_ignore_ascii_case(keyword))
    }

    pub fn is_symbol(&self, symbol: char) -> bool {
        self.kind == TokenKind::Symbol(symbol)
    }
}

/// All tokens of `sql`; the last one is [`TokenKind::End`].
pub fn tokenize(sql: &str) -> SqlResult<Vec<Token>> {
    let mut lexer = Lexer { sql, at: 0 };
    let mut tokens = Vec::new();
    loop {
        let token = lexer.next()?;
        let done = token.kind == TokenKind::End;
        tokens.push(token);
        if done {
            return Ok(tokens);
        }
    }
}

/// The statements of a text, without their `;`. Parts that hold nothing but blanks and comments are left
/// out. A text that cannot be split is one statement: parsing it will tell what is wrong.
pub fn split_statements(sql: &str) -> Vec<&str> {
    let Ok(tokens) = tokenize(sql) else {
        return vec![sql];
    };
    let mut parts = Vec::new();
    let mut first: Option<usize> = None;
    let mut last = 0;
    for token in &tokens {
        if token.kind == TokenKind::End || token.is_symbol(';') {
            if let Some(start) = first.take() {
                parts.push(&sql[start..last]);
            }
            continue;
        }
        // A hint directly after the first keyword stays inside; one before it is dropped.
        first.get_or_insert(token.start);
        last = token.end;
    }
    parts
}

/// Line (from 1) and column (from 0) of a byte offset, as Doris's parser counts them.
pub fn line_and_column(sql: &str, offset: usize) -> (usize, usize) {
    let before = sql.get(..offset).unwrap_or(sql);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |tail| tail.chars().count());
    (line, column)
}

struct Lexer<'a> {
    sql: &'a str,
    at: usize,
}

impl Lexer<'_> {
    fn peek(&self) -> Option<char> {
        self.sql[self.at..].chars().next()
    }

    fn rest(&self) -> &str {
        &self.sql[self.at..]
    }

    fn next(&mut self) -> SqlResult<Token> {
        self.skip_blanks()?;
        let start = self.at;
        let kind = match self.peek() {
            None => TokenKind::End,
            Some('`') => TokenKind::Quoted(self.delimited('`', false)?),
            Some(quote @ ('\'' | '"')) => TokenKind::Text(self.delimited(quote, true)?),
            Some(c) if c.is_ascii_digit() => self.number_or_word(),
            Some(c) if is_name_char(c) => self.word(),
            Some('.') if self.rest()[1..].starts_with(|c: char| c.is_ascii_digit()) && !self.after_name() => {
                self.number_or_word()
            }
            Some(c) => {
                self.at += c.len_utf8();
                TokenKind::Symbol(c)
            }
        };
        Ok(Token { kind, start, end: self.at })
    }

    /// Whether the character before is part of a name, so that `.` qualifies it.
    fn after_name(&self) -> bool {
        self.sql[..self.at].ends_with(|c: char| is_name_char(c) || c == '`')
    }

    fn skip_blanks(&mut self) -> SqlResult<()> {
        loop {
            let rest = self.rest();
            if rest.starts_with("--") && !rest[2..].starts_with(|c: char| !c.is_whitespace())
                || rest.starts_with('#')
            {
                self.at += rest.find('\n').unwrap_or(rest.len());
            } else if rest.starts_with("/*") {
                match rest.find("*/") {
                    Some(end) => self.at += end + 2,
                    None => return Err(SqlError::general("unterminated comment in the statement")),
                }
            } else if let Some(c) = rest.chars().next().filter(|c| c.is_whitespace()) {
                self.at += c.len_utf8();
            } else {
                return Ok(());
            }
        }
    }

    /// A delimited text; a doubled delimiter stands for itself.
    fn delimited(&mut self, quote: char, escapes: bool) -> SqlResult<String> {
        let (line, column) = line_and_column(self.sql, self.at);
        self.at += 1;
        let mut text = String::new();
        while let Some(c) = self.peek() {
            self.at += c.len_utf8();
            if c == quote {
                if self.peek() != Some(quote) {
                    return Ok(text);
                }
                self.at += 1;
                text.push(quote);
            } else if c == '\\' && escapes {
                let Some(escaped) = self.peek() else { break };
                self.at += escaped.len_utf8();
                push_escaped(&mut text, escaped);
            } else {
                text.push(c);
            }
        }
        Err(SqlError::general(format!(
            "token recognition error at: '{quote}{text}' (line {line}, pos {column})"
        )))
    }

    fn word(&mut self) -> TokenKind {
        let length = self.rest().find(|c: char| !is_name_char(c)).unwrap_or(self.rest().len());
        let word = self.rest()[..length].to_owned();
        self.at += length;
        TokenKind::Word(word)
    }

    /// `1`, `1.5`, `.5`, `1e-3`; a name may begin with a digit (`2d_table`) as long as it has a letter.
    fn number_or_word(&mut self) -> TokenKind {
        let bytes = self.rest().as_bytes();
        let digits = |mut at: usize| {
            while bytes.get(at).is_some_and(u8::is_ascii_digit) {
                at += 1;
            }
            at
        };
        let mut end = digits(0);
        if bytes.get(end) == Some(&b'.') && bytes.get(end + 1).is_none_or(|b| !b.is_ascii_alphabetic()) {
            end = digits(end + 1);
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            let exponent = digits(end + 1 + sign);
            let ends_there = !self.rest()[exponent..].starts_with(is_name_char);
            if exponent > end + 1 + sign && ends_there {
                end = exponent;
            }
        }
        if self.rest()[end..].starts_with(is_name_char) && !self.rest()[..end].contains('.') {
            return self.word();
        }
        let number = self.rest()[..end].to_owned();
        self.at += end;
        TokenKind::Number(number)
    }
}

fn is_name_char(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$' || c == '@'
}

fn push_escaped(text: &mut String, escaped: char) {
    match escaped {
        'n' => text.push('\n'),
        't' => text.push('\t'),
        'r' => text.push('\r'),
        '0' => text.push('\0'),
        'b' => text.push('\u{8}'),
        'Z' => text.push('\u{1a}'),
        // Patterns keep their escapes for LIKE to see.
        '%' | '_' => {
            text.push('\\');
            text.push(escaped);
        }
        other => text.push(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(sql: &str) -> Vec<TokenKind> {
        tokenize(sql).unwrap().into_iter().map(|token| token.kind).collect()
    }

    #[test]
    fn tokens_of_every_kind() {
        assert_eq!(
            kinds("Ab `c``d` 'e''f' \"g\\\"h\" 12 1.5 .5 1e3 2d_t t.1 <="),
            vec![
                TokenKind::Word("Ab".into()),
                TokenKind::Quoted("c`d".into()),
                TokenKind::Text("e'f".into()),
                TokenKind::Text("g\"h".into()),
                TokenKind::Number("12".into()),
                TokenKind::Number("1.5".into()),
                TokenKind::Number(".5".into()),
                TokenKind::Number("1e3".into()),
                TokenKind::Word("2d_t".into()),
                TokenKind::Word("t".into()),
                TokenKind::Symbol('.'),
                TokenKind::Number("1".into()),
                TokenKind::Symbol('<'),
                TokenKind::Symbol('='),
                TokenKind::End,
            ]
        );
    }

    #[test]
    fn comments_vanish() {
        assert_eq!(kinds("-- x\n/* y */ # z\n"), vec![TokenKind::End]);
        assert_eq!(
            kinds("1--1"),
            vec![
                TokenKind::Number("1".into()),
                TokenKind::Symbol('-'),
                TokenKind::Symbol('-'),
                TokenKind::Number("1".into()),
                TokenKind::End
            ]
        );
    }

    #[test]
    fn statements_are_split_at_top_level_only() {
        assert_eq!(
            split_statements("a 'x;y' ; `b;c` /* ; */ d;; -- tail\n"),
            vec!["a 'x;y'", "`b;c` /* ; */ d"]
        );
        assert_eq!(split_statements("  "), Vec::<&str>::new());
        assert_eq!(split_statements("select 'open"), vec!["select 'open"]);
    }

    #[test]
    fn unterminated_text_is_an_error() {
        assert!(tokenize("select 'x").is_err());
        assert!(tokenize("/* x").is_err());
    }
}
