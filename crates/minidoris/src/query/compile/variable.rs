//! `@@system` and `@user` variables inside expressions.

use sqlparser::ast::Ident;

use super::expression::number_literal;
use super::{Compiler, Typed};
use crate::dispatch::variables;
use crate::error::SqlResult;

/// Whether a name is that of a variable, or the scope before one.
pub fn is_variable(name: &Ident) -> bool {
    name.quote_style.is_none() && name.value.starts_with('@')
}

impl Compiler<'_> {
    /// `@name`, `@@name`, `@@global.name`.
    pub(super) fn variable(&mut self, parts: &[Ident]) -> SqlResult<Typed> {
        let words: Vec<&str> = parts.iter().map(|part| part.value.as_str()).collect();
        let name = words.join(".");
        if let Some(system) = name.strip_prefix("@@") {
            let value = variables::system(self.state, self.session, system)?;
            return Ok(if value.bytes().all(|byte| byte.is_ascii_digit()) && !value.is_empty() {
                number_literal(&value)
            } else {
                Typed::text_literal(&value)
            });
        }
        let name = name.trim_start_matches('@').to_ascii_lowercase();
        Ok(match self.session.user_variables.get(&name) {
            None => Typed::null(),
            Some(value) => match (&value.text, value.is_number) {
                (None, _) => Typed::null(),
                (Some(number), true) if !number.starts_with('-') => number_literal(number),
                (Some(number), true) => {
                    let positive = number_literal(number.trim_start_matches('-'));
                    let literal = Some(number.clone());
                    Typed { sql: format!("(- {})", positive.sql), literal, ..positive }
                }
                (Some(text), false) => Typed::text_literal(text),
            },
        })
    }
}
