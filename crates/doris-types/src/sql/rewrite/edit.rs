//! Reading along the tokens of a statement and noting what to replace.

use std::ops::Range;

use super::RewriteError;
use crate::sql::{Token, significant_tokens, unquote_identifier};

/// A statement's significant tokens and the replacements noted for its text.
#[derive(Debug)]
pub(super) struct Statement<'a> {
    pub sql: &'a str,
    /// What errors call it.
    pub name: &'static str,
    pub tokens: Vec<Token<'a>>,
    edits: Vec<(Range<usize>, String)>,
}

/// A dotted name: the indexes of its parts in the tokens.
#[derive(Debug, Clone)]
pub(super) struct DottedName {
    pub parts: Vec<usize>,
    /// Index of the first token behind the name.
    pub next: usize,
}

impl<'a> Statement<'a> {
    pub fn new(name: &'static str, sql: &'a str) -> Result<Self, RewriteError> {
        let tokens =
            significant_tokens(sql).map_err(|cause| RewriteError::Token { statement: name, cause })?;
        Ok(Self { sql, name, tokens, edits: Vec::new() })
    }

    pub fn replace(&mut self, bytes: Range<usize>, text: impl Into<String>) {
        self.edits.push((bytes, text.into()));
    }

    pub fn insert(&mut self, at: usize, text: impl Into<String>) {
        self.replace(at..at, text);
    }

    /// The text with all replacements made. They never overlap; at one place they keep the order of noting.
    pub fn finish(mut self) -> String {
        self.edits.sort_by_key(|(bytes, _)| bytes.start);
        let mut out = String::with_capacity(self.sql.len() + 64);
        let mut done = 0;
        for (bytes, text) in self.edits {
            debug_assert!(bytes.start >= done, "edits overlap");
            out.push_str(&self.sql[done..bytes.start]);
            out.push_str(&text);
            done = bytes.end;
        }
        out.push_str(&self.sql[done..]);
        out
    }

    pub fn is_word(&self, at: usize, word: &str) -> bool {
        self.tokens.get(at).is_some_and(|token| token.is_word(word))
    }

    pub fn are_words(&self, at: usize, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(offset, word)| self.is_word(at + offset, word))
    }

    pub fn is_mark(&self, at: usize, mark: char) -> bool {
        self.tokens.get(at).is_some_and(|token| token.is_punctuation(mark))
    }

    pub fn expect_word(&self, at: usize, word: &'static str) -> Result<usize, RewriteError> {
        if self.is_word(at, word) { Ok(at + 1) } else { Err(self.unexpected(at, word)) }
    }

    pub fn unexpected(&self, at: usize, expected: &'static str) -> RewriteError {
        let position = self.tokens.get(at).map_or(self.sql.len(), |token| token.start);
        RewriteError::Unexpected { statement: self.name, expected, position }
    }

    /// Index behind `IF [NOT] EXISTS`, or `at` when that is not there.
    pub fn skip_if_exists(&self, at: usize) -> usize {
        if self.are_words(at, &["IF", "EXISTS"]) {
            at + 2
        } else if self.are_words(at, &["IF", "NOT", "EXISTS"]) {
            at + 3
        } else {
            at
        }
    }

    /// A name of one or more parts joined by dots.
    pub fn dotted_name(&self, at: usize) -> Result<DottedName, RewriteError> {
        if !self.tokens.get(at).is_some_and(Token::is_identifier) {
            return Err(self.unexpected(at, "a name"));
        }
        let mut parts = vec![at];
        let mut next = at + 1;
        while self.is_mark(next, '.') && self.tokens.get(next + 1).is_some_and(is_name_part) {
            parts.push(next + 1);
            next += 2;
        }
        Ok(DottedName { parts, next })
    }

    /// The unquoted text of an identifier token.
    pub fn identifier(&self, at: usize) -> String {
        unquote_identifier(self.tokens[at].text)
    }

    /// Bytes from the first to the last of the tokens, exclusive of what surrounds them.
    pub fn bytes(&self, first: usize, last: usize) -> Range<usize> {
        self.tokens[first].start..self.tokens[last].end()
    }

    /// How a token changes the depth of nesting. A range `[("1"), ("2"))` opens with `[` and closes with `)`.
    pub fn depth_change(&self, at: usize) -> isize {
        match self.tokens[at].text {
            "(" | "[" => 1,
            ")" | "]" => -1,
            _ => 0,
        }
    }
}

/// Behind a dot, names may consist of digits.
fn is_name_part(token: &Token<'_>) -> bool {
    token.is_identifier() || token.kind == crate::sql::TokenKind::Number
}
