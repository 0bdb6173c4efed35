//! The walk over tokens: looking, accepting, expecting, and the error when an expectation fails.

use super::ast::{Properties, Statement, TableName};
use super::lexer::{Token, TokenKind, line_and_column, tokenize};
use crate::error::{SqlError, SqlResult};

pub(super) struct Parser<'a> {
    pub(super) sql: &'a str,
    tokens: Vec<Token>,
    at: usize,
}

impl<'a> Parser<'a> {
    pub(super) fn new(sql: &'a str) -> SqlResult<Self> {
        Ok(Self { sql, tokens: tokenize(sql)?, at: 0 })
    }

    /// One whole statement; anything behind it is an error.
    pub(super) fn parse_statement(mut self) -> SqlResult<Statement> {
        let statement = self.statement()?;
        self.accept_symbol(';');
        if !self.at_end() {
            return Err(self.unexpected("<EOF>"));
        }
        Ok(statement)
    }

    pub(super) fn peek(&self) -> &Token {
        self.peek_at(0)
    }

    /// The token `ahead` of the current one; the end when there are no more.
    pub(super) fn peek_at(&self, ahead: usize) -> &Token {
        self.tokens.get(self.at + ahead).unwrap_or_else(|| self.tokens.last().expect("tokens end with End"))
    }

    pub(super) fn advance(&mut self) -> Token {
        let token = self.peek().clone();
        if token.kind != TokenKind::End {
            self.at += 1;
        }
        token
    }

    pub(super) fn at_end(&self) -> bool {
        self.peek().kind == TokenKind::End
    }

    pub(super) fn at_word(&self, keyword: &str) -> bool {
        self.peek().is_word(keyword)
    }

    /// Whether the next tokens are these keywords.
    pub(super) fn at_words(&self, keywords: &[&str]) -> bool {
        keywords.iter().enumerate().all(|(ahead, keyword)| self.peek_at(ahead).is_word(keyword))
    }

    pub(super) fn accept_word(&mut self, keyword: &str) -> bool {
        let found = self.at_word(keyword);
        self.at += usize::from(found);
        found
    }

    /// Takes all the keywords or none.
    pub(super) fn accept_words(&mut self, keywords: &[&str]) -> bool {
        let found = self.at_words(keywords);
        if found {
            self.at += keywords.len();
        }
        found
    }

    pub(super) fn accept_symbol(&mut self, symbol: char) -> bool {
        let found = self.peek().is_symbol(symbol);
        self.at += usize::from(found);
        found
    }

    pub(super) fn at_symbol(&self, symbol: char) -> bool {
        self.peek().is_symbol(symbol)
    }

    pub(super) fn expect_word(&mut self, keyword: &str) -> SqlResult<()> {
        if self.accept_word(keyword) {
            Ok(())
        } else {
            Err(self.unexpected(&format!("'{}'", keyword.to_uppercase())))
        }
    }

    pub(super) fn expect_symbol(&mut self, symbol: char) -> SqlResult<()> {
        if self.accept_symbol(symbol) { Ok(()) } else { Err(self.unexpected(&format!("'{symbol}'"))) }
    }

    /// The error for the current token, in the words of Doris's parser.
    pub(super) fn unexpected(&self, expecting: &str) -> SqlError {
        let token = self.peek();
        let (line, column) = line_and_column(self.sql, token.start);
        let found = match token.kind {
            TokenKind::End => "<EOF>",
            TokenKind::Word(_)
            | TokenKind::Quoted(_)
            | TokenKind::Text(_)
            | TokenKind::Number(_)
            | TokenKind::Symbol(_) => &self.sql[token.start..token.end],
        };
        SqlError::general(format!(
            "mismatched input '{found}' expecting {expecting}(line {line}, pos {column})"
        ))
    }

    /// A name: a bare word or one in back quotes.
    pub(super) fn name(&mut self) -> SqlResult<String> {
        match &self.peek().kind {
            TokenKind::Word(name) | TokenKind::Quoted(name) => {
                let name = name.clone();
                self.at += 1;
                Ok(name)
            }
            TokenKind::Text(_) | TokenKind::Number(_) | TokenKind::Symbol(_) | TokenKind::End => {
                Err(self.unexpected("{IDENTIFIER, BACKQUOTED_IDENTIFIER}"))
            }
        }
    }

    /// A name where Doris also takes a string.
    pub(super) fn name_or_text(&mut self) -> SqlResult<String> {
        match &self.peek().kind {
            TokenKind::Text(text) => {
                let text = text.clone();
                self.at += 1;
                Ok(text)
            }
            TokenKind::Word(_)
            | TokenKind::Quoted(_)
            | TokenKind::Number(_)
            | TokenKind::Symbol(_)
            | TokenKind::End => self.name(),
        }
    }

    pub(super) fn text(&mut self) -> SqlResult<String> {
        match &self.peek().kind {
            TokenKind::Text(text) => {
                let text = text.clone();
                self.at += 1;
                Ok(text)
            }
            TokenKind::Word(_)
            | TokenKind::Quoted(_)
            | TokenKind::Number(_)
            | TokenKind::Symbol(_)
            | TokenKind::End => Err(self.unexpected("STRING_LITERAL")),
        }
    }

    /// A whole number, possibly negative.
    pub(super) fn integer(&mut self) -> SqlResult<i64> {
        let negative = self.at_symbol('-');
        let digits = match &self.peek_at(usize::from(negative)).kind {
            TokenKind::Number(digits) => digits.clone(),
            TokenKind::Word(_)
            | TokenKind::Quoted(_)
            | TokenKind::Text(_)
            | TokenKind::Symbol(_)
            | TokenKind::End => return Err(self.unexpected("INTEGER_VALUE")),
        };
        let text = if negative { format!("-{digits}") } else { digits };
        let value = text.parse().map_err(|_| self.unexpected("INTEGER_VALUE"))?;
        self.at += 1 + usize::from(negative);
        Ok(value)
    }

    /// `[catalog.][db.]name`.
    pub(super) fn table_name(&mut self) -> SqlResult<TableName> {
        let mut parts = vec![self.name()?];
        while parts.len() < 3 && self.accept_symbol('.') {
            parts.push(self.name()?);
        }
        let name = parts.pop().expect("one part was read");
        Ok(TableName { db: parts.pop(), name })
    }

    /// `(a, b)`, of at least one name.
    pub(super) fn name_list(&mut self) -> SqlResult<Vec<String>> {
        self.expect_symbol('(')?;
        let mut names = vec![self.name()?];
        while self.accept_symbol(',') {
            names.push(self.name()?);
        }
        self.expect_symbol(')')?;
        Ok(names)
    }

    /// Items up to a closing symbol, which is taken. No items and a trailing comma are allowed.
    pub(super) fn comma_list<T>(
        &mut self,
        close: char,
        mut item: impl FnMut(&mut Self) -> SqlResult<T>,
    ) -> SqlResult<Vec<T>> {
        let mut items = Vec::new();
        while !self.accept_symbol(close) {
            items.push(item(self)?);
            if !self.accept_symbol(',') {
                self.expect_symbol(close)?;
                break;
            }
        }
        Ok(items)
    }

    pub(super) fn if_not_exists(&mut self) -> bool {
        self.accept_words(&["if", "not", "exists"])
    }

    pub(super) fn if_exists(&mut self) -> bool {
        self.accept_words(&["if", "exists"])
    }

    /// `PROPERTIES ("k" = "v", …)` when it is there.
    pub(super) fn optional_properties(&mut self) -> SqlResult<Properties> {
        if self.accept_word("properties") { self.property_list() } else { Ok(Properties::new()) }
    }

    /// `("k" = "v", …)`; keys and values may also be bare words or numbers.
    pub(super) fn property_list(&mut self) -> SqlResult<Properties> {
        self.expect_symbol('(')?;
        let pairs = self.comma_list(')', |parser| {
            let key = parser.property_part()?;
            parser.expect_symbol('=')?;
            Ok((key, parser.property_part()?))
        })?;
        Ok(pairs.into_iter().collect())
    }

    fn property_part(&mut self) -> SqlResult<String> {
        let part = match &self.peek().kind {
            TokenKind::Text(part)
            | TokenKind::Word(part)
            | TokenKind::Quoted(part)
            | TokenKind::Number(part) => part.clone(),
            TokenKind::Symbol('-') => return Ok(self.integer()?.to_string()),
            TokenKind::Symbol(_) | TokenKind::End => return Err(self.unexpected("STRING_LITERAL")),
        };
        self.at += 1;
        Ok(part)
    }

    /// `COMMENT 'x'` when it is there, else an empty text.
    pub(super) fn optional_comment(&mut self) -> SqlResult<String> {
        if self.accept_word("comment") { self.text() } else { Ok(String::new()) }
    }

    /// Everything up to the end of the statement (or its `;`), as written.
    pub(super) fn rest_text(&mut self) -> String {
        let start = self.peek().start;
        let mut end = start;
        while !self.at_end() && !self.at_symbol(';') {
            end = self.advance().end;
        }
        self.sql[start..end].to_owned()
    }

    /// The text of a balanced `( … )`, without the outer parentheses.
    pub(super) fn parenthesised_text(&mut self) -> SqlResult<String> {
        let start = self.peek().end;
        self.skip_parentheses()?;
        let end = self.tokens[self.at - 1].start;
        Ok(self.sql[start..end].trim().to_owned())
    }

    /// Steps over a balanced `( … )`.
    pub(super) fn skip_parentheses(&mut self) -> SqlResult<()> {
        self.expect_symbol('(')?;
        let mut depth = 1usize;
        while depth > 0 {
            if self.at_end() {
                return Err(self.unexpected("')'"));
            }
            let token = self.advance();
            if token.is_symbol('(') {
                depth += 1;
            } else if token.is_symbol(')') {
                depth -= 1;
            }
        }
        Ok(())
    }

    /// Where the walk stands, for [`Self::rewind`].
    pub(super) fn position(&self) -> usize {
        self.at
    }

    pub(super) fn rewind(&mut self, position: usize) {
        self.at = position;
    }

    /// A name, optionally in a `FROM d` or `IN d` clause.
    pub(super) fn optional_from(&mut self) -> SqlResult<Option<String>> {
        if !self.accept_word("from") && !self.accept_word("in") {
            return Ok(None);
        }
        let mut name = self.name_or_text()?;
        // `internal.d` names the catalog first.
        while self.accept_symbol('.') {
            name = self.name_or_text()?;
        }
        Ok(Some(name))
    }
}
