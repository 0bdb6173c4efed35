//! The first words of a statement decide who parses the rest.

use super::ast::{Query, QueryKind, Statement};
use super::parser::Parser;
use crate::error::SqlResult;

impl Parser<'_> {
    pub(super) fn statement(&mut self) -> SqlResult<Statement> {
        let kind = match self.peek().kind.clone() {
            super::lexer::TokenKind::Symbol('(') => QueryKind::Select,
            super::lexer::TokenKind::Word(word) => match word.to_ascii_lowercase().as_str() {
                "select" | "with" | "values" => QueryKind::Select,
                "insert" => QueryKind::Insert,
                "delete" => QueryKind::Delete,
                "update" => QueryKind::Update,
                "explain" => QueryKind::Explain,
                _ => return Err(self.unexpected("a statement")),
            },
            _ => return Err(self.unexpected("a statement")),
        };
        Ok(Statement::Query(Query { kind, text: self.rest_text() }))
    }
}
