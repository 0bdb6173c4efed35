//! Functions of users: an alias stands for its expression over the arguments of the call.

use sqlparser::ast::Expr;

use super::convert::convert;
use super::scope::{Relation, RelationColumn, Scope};
use super::{Compiler, Typed, extraneous, parser, syntax_error};
use crate::error::{SqlError, SqlResult};
use crate::exec::Function;
use crate::query::types::Type;
use crate::sql::FunctionBody;

/// Parses what an alias stands for; only a call or a cast is allowed.
pub fn alias_expression(text: &str) -> SqlResult<Expr> {
    let mut parser = parser(text)?;
    let expr = parser.parse_expr().map_err(|error| syntax_error(&error))?;
    let rest = parser.peek_token();
    if !matches!(rest.token, sqlparser::tokenizer::Token::EOF | sqlparser::tokenizer::Token::SemiColon) {
        return Err(extraneous(rest));
    }
    match expr {
        // What the parser has syntax of its own for is a function in Doris.
        Expr::Function(_)
        | Expr::Cast { .. }
        | Expr::BinaryOp { .. }
        | Expr::Case { .. }
        | Expr::Substring { .. }
        | Expr::Trim { .. }
        | Expr::Extract { .. }
        | Expr::Ceil { .. }
        | Expr::Floor { .. }
        | Expr::Position { .. }
        | Expr::Nested(_) => Ok(expr),
        other => Err(SqlError::general(format!("Not supported expr type: {other}"))),
    }
}

impl Compiler<'_> {
    /// The call of a user's function; `None` when there is no such function. `db` qualifies the name.
    pub(super) fn user_function(
        &mut self,
        db: Option<&str>,
        name: &str,
        values: &[Typed],
    ) -> Option<SqlResult<Typed>> {
        let db = db.or(self.database.as_deref());
        let db_id = db.and_then(|db| self.state.database_named(db)).map(|db| db.id);
        let known: Vec<&Function> = self
            .state
            .ddl
            .functions
            .iter()
            .filter(|function| function.name == name && (function.db_id == db_id || function.db_id.is_none()))
            .collect();
        if known.is_empty() {
            return None;
        }
        let takes = |function: &&&Function| {
            function.arguments.len() == values.len()
                || (function.is_variadic && function.arguments.len() < values.len())
        };
        let exact = |function: &&&Function| {
            takes(function)
                && function.arguments.iter().zip(values).all(|(ty, value)| Type::of(ty) == value.ty)
        };
        let chosen = known.iter().find(exact).or_else(|| known.iter().find(takes));
        let Some(function) = chosen else {
            return Some(Err(SqlError::general(format!(
                "Can not found function '{name}' which has {} arity. Candidate functions are: {:?}",
                values.len(),
                known.iter().map(|function| function.signature()).collect::<Vec<_>>()
            ))));
        };
        Some(self.call(&(*function).clone(), values))
    }

    fn call(&mut self, function: &Function, values: &[Typed]) -> SqlResult<Typed> {
        let FunctionBody::Alias { parameters, expression } = &function.body else {
            return Err(SqlError::general(format!(
                "not supported: the code of function {} does not run here",
                function.signature()
            )));
        };
        let columns = parameters.iter().zip(&function.arguments).zip(values);
        let columns = columns.map(|((name, ty), value)| {
            let ty = Type::of(ty);
            // A literal of the right type stays one, for functions that want constants.
            let value = if value.ty == ty { value.clone() } else { convert(value, ty) };
            let sql = format!("({})", value.sql);
            let value = Typed { sql, ..value };
            RelationColumn { name: name.clone(), value, visible: true, forbidden: None }
        });
        let relation = Relation { alias: String::new(), columns: columns.collect() };
        let scope = Scope { relations: vec![relation], ..Scope::default() };
        let expression = alias_expression(expression)?;
        let value = self.expression(&scope, &expression)?;
        Ok(Typed { sql: format!("({})", value.sql), column: None, ..value })
    }
}
