//! CREATE, DROP and SHOW CREATE of functions.

use serde::{Deserialize, Serialize};

use super::ast::{Properties, Statement};
use super::lexer::TokenKind;
use super::parser::Parser;
use crate::error::SqlResult;
use crate::model::DataType;

#[derive(Debug, Clone, PartialEq)]
pub enum FunctionStatement {
    Create { function: FunctionName, if_not_exists: bool, body: FunctionBody },
    Drop { function: FunctionName, if_exists: bool },
}

/// A function is known by its name and the types of its arguments.
#[derive(Debug, Clone, PartialEq)]
pub struct FunctionName {
    /// Known in every database.
    pub is_global: bool,
    pub db: Option<String>,
    /// In lower case, as Doris keeps it.
    pub name: String,
    pub arguments: Vec<DataType>,
    /// `…, ...`: the last type may repeat.
    pub is_variadic: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum FunctionBody {
    Alias {
        parameters: Vec<String>,
        /// As written.
        expression: String,
    },
    /// Code that Doris would load, and that does not run here.
    Code {
        /// `Scalar`, `Aggregate` or `Tables`.
        kind: String,
        returns: DataType,
        intermediate: Option<DataType>,
        #[serde(with = "crate::model::ordered")]
        properties: Properties,
    },
}

impl Parser<'_> {
    /// Steps behind `CREATE | DROP [GLOBAL] [ALIAS | AGGREGATE | TABLES] FUNCTION`; the kind of function, and
    /// whether it is global. `None`, and no step, when something else follows.
    pub(super) fn function_words(&mut self) -> Option<(String, bool)> {
        let start = self.position();
        let is_global = self.accept_word("global");
        if !is_global {
            let _ = self.accept_word("session") || self.accept_word("local");
        }
        let mut kind = "scalar";
        for word in ["alias", "aggregate", "tables"] {
            if self.accept_word(word) {
                kind = word;
            }
        }
        if self.accept_word("function") {
            return Some((kind.to_owned(), is_global));
        }
        self.rewind(start);
        None
    }

    pub(super) fn create_function(&mut self, kind: &str, is_global: bool) -> SqlResult<Statement> {
        let if_not_exists = self.if_not_exists();
        let function = self.function_name(is_global)?;
        let body = if kind == "alias" { self.alias_body()? } else { self.code_body(kind)? };
        Ok(Statement::Function(FunctionStatement::Create { function, if_not_exists, body }))
    }

    pub(super) fn drop_function(&mut self, is_global: bool) -> SqlResult<Statement> {
        let if_exists = self.if_exists();
        let function = self.function_name(is_global)?;
        Ok(Statement::Function(FunctionStatement::Drop { function, if_exists }))
    }

    /// `[db.]f(type, …[, ...])`.
    pub(super) fn function_name(&mut self, is_global: bool) -> SqlResult<FunctionName> {
        let name = self.table_name()?;
        self.expect_symbol('(')?;
        let mut is_variadic = false;
        let arguments = self.comma_list(')', |parser| {
            if parser.at_symbol('.') {
                for _ in 0..3 {
                    parser.expect_symbol('.')?;
                }
                is_variadic = true;
                return Ok(None);
            }
            let data_type = parser.data_type()?;
            // A name behind the type is only for readers.
            if !parser.at_symbol(',') && !parser.at_symbol(')') {
                parser.name()?;
            }
            Ok(Some(data_type))
        })?;
        Ok(FunctionName {
            is_global,
            db: name.db,
            name: name.name.to_lowercase(),
            arguments: arguments.into_iter().flatten().collect(),
            is_variadic,
        })
    }

    /// `WITH PARAMETER (a, …) AS expression`.
    fn alias_body(&mut self) -> SqlResult<FunctionBody> {
        self.expect_word("with")?;
        self.expect_word("parameter")?;
        self.expect_symbol('(')?;
        let parameters = self.comma_list(')', Self::name)?;
        self.expect_word("as")?;
        if self.at_end() || matches!(self.peek().kind, TokenKind::Symbol(';')) {
            return Err(self.unexpected("an expression"));
        }
        Ok(FunctionBody::Alias { parameters, expression: self.rest_text() })
    }

    /// `RETURNS type [INTERMEDIATE type] [PROPERTIES (…)] [AS $$ … $$]`.
    fn code_body(&mut self, kind: &str) -> SqlResult<FunctionBody> {
        self.expect_word("returns")?;
        let returns = self.data_type()?;
        let intermediate = if self.accept_word("intermediate") { Some(self.data_type()?) } else { None };
        let properties = self.optional_properties()?;
        self.rest_text();
        let mut letters = kind.chars();
        let first = letters.next().map(|letter| letter.to_ascii_uppercase());
        let kind = first.into_iter().chain(letters).collect();
        Ok(FunctionBody::Code { kind, returns, intermediate, properties })
    }
}
