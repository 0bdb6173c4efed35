//! Columns of a view that hold aggregate states: of every function that has no aggregation of its own.

use std::borrow::Cow;

use sqlparser::ast::Expr;

use super::{Item, Plan};
use crate::data::states::Signature;
use crate::error::{SqlError, SqlResult};
use crate::model::{AggregateKind, Column, DataType};
use crate::query::compile::{has_state, parser, syntax_error};
use crate::query::create_as_select::data_type;
use crate::query::definition::{Call, call};
use crate::query::derive;

impl Plan<'_> {
    /// The item of a call; `None` when the function has no states.
    pub(super) fn state(&self, expr: &Expr, call: &Call<'_>) -> SqlResult<Option<Item>> {
        if let Some(column) = self.joined_column(call) {
            return Ok(Some(Item {
                define: format!("`{}`", column.name),
                aggregate: Some(AggregateKind::Generic),
                data_type: column.data_type.clone(),
                nullable: column.nullable,
                reads: vec![column.clone()],
            }));
        }
        match state_of(call) {
            Some(_) if call.distinct => Err(unsupported(expr)),
            Some((function, arguments)) => self.state_item(expr, function, &arguments).map(Some),
            None => Ok(None),
        }
    }

    /// The column of states that `sum_union(n)` joins.
    fn joined_column(&self, call: &Call<'_>) -> Option<&Column> {
        let [Some(argument)] = call.arguments.as_slice() else { return None };
        let column = self.table.column(self.printer.column(argument)?)?;
        let DataType::Complex(text) = &column.data_type else { return None };
        (Signature::parse(text)?.function == call.name.strip_suffix("_union")?).then_some(column)
    }

    /// The state of any other aggregate function.
    fn state_item(&self, expr: &Expr, function: &str, arguments: &[Option<&Expr>]) -> SqlResult<Item> {
        let unsupported = || unsupported(expr);
        let arguments: Vec<&Expr> =
            arguments.iter().copied().collect::<Option<_>>().ok_or_else(unsupported)?;
        let (mut printed, mut types, mut reads) = (Vec::new(), Vec::new(), Vec::new());
        for argument in arguments {
            printed.push(self.print(argument)?);
            let of_argument = self.reads(argument);
            types.push(match of_argument.first().filter(|_| self.printer.column(argument).is_some()) {
                Some(column) => column.data_type.clone(),
                None => data_type(self.type_of(argument)?, None, 1)?,
            });
            reads.extend(of_argument);
        }
        if reads.is_empty() {
            return Err(unsupported());
        }
        let define = format!("{function}_state({})", printed.join(", "));
        // The function may take other arguments than these.
        let compiled = parser(&define)?.parse_expr().map_err(|error| syntax_error(&error))?;
        derive::type_of(self.cluster, self.state, self.table, &compiled)?;
        let signature = Signature { function: function.to_owned(), arguments: types };
        Ok(Item {
            define,
            aggregate: Some(AggregateKind::Generic),
            data_type: DataType::Complex(signature.data_type()),
            nullable: false,
            reads,
        })
    }
}

/// The function whose state a call stands for in a view, with its arguments: `avg(v)` and
/// `avg_union(avg_state(v))` alike.
fn state_of<'a, 'b>(of: &'b Call<'a>) -> Option<(&'b str, Cow<'b, [Option<&'a Expr>]>)> {
    let name = of.name.as_str();
    if has_state(name) {
        return Some((name, Cow::Borrowed(&of.arguments)));
    }
    let function = name.strip_suffix("_union").filter(|function| has_state(function))?;
    let [Some(argument)] = of.arguments.as_slice() else { return None };
    let inner = call(argument).filter(|inner| inner.name == format!("{function}_state"))?;
    Some((function, Cow::Owned(inner.arguments)))
}

fn unsupported(expr: &Expr) -> SqlError {
    SqlError::general(format!("The materialized view does not support the function {expr}"))
}
