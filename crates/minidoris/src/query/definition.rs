//! The expressions of synchronous materialised views: printed in one form, whatever was written, so that
//! equal texts mean equal expressions.

use sqlparser::ast::{
    DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Value as Literal,
};

use super::compile::value_text;
use crate::model::OlapTable;

/// Prints expressions over the columns of a table.
#[derive(Debug, Clone, Copy)]
pub struct Printer<'a> {
    pub table: &'a OlapTable,
    /// What the query calls the table.
    pub alias: &'a str,
}

/// A call of a function, its name in lower case.
#[derive(Debug)]
pub struct Call<'a> {
    pub name: String,
    /// `None` stands for the star of `count(*)`.
    pub arguments: Vec<Option<&'a Expr>>,
    pub distinct: bool,
}

/// The call that an expression is.
pub fn call(expr: &Expr) -> Option<Call<'_>> {
    match expr {
        Expr::Nested(inner) => call(inner),
        Expr::Function(function) => call_of(function),
        _ => None,
    }
}

fn call_of(function: &Function) -> Option<Call<'_>> {
    let FunctionArguments::List(list) = &function.args else { return None };
    if function.over.is_some() || function.filter.is_some() || !list.clauses.is_empty() {
        return None;
    }
    let [name] = function.name.0.as_slice() else { return None };
    let arguments = list.args.iter().map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(Some(expr)),
        FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => Some(None),
        _ => None,
    });
    Some(Call {
        name: name.as_ident()?.value.to_ascii_lowercase(),
        arguments: arguments.collect::<Option<_>>()?,
        distinct: list.duplicate_treatment == Some(DuplicateTreatment::Distinct),
    })
}

/// The expressions right inside an expression; `None` for forms that no view holds.
pub fn parts(expr: &Expr) -> Option<Vec<&Expr>> {
    Some(match expr {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Value(_) => Vec::new(),
        Expr::Nested(inner)
        | Expr::UnaryOp { expr: inner, .. }
        | Expr::Cast { expr: inner, .. }
        | Expr::IsNull(inner)
        | Expr::IsNotNull(inner) => vec![inner],
        Expr::BinaryOp { left, right, .. } => vec![left, right],
        Expr::Between { expr, low, high, .. } => vec![expr, low, high],
        Expr::Like { expr, pattern, .. } => vec![expr, pattern],
        Expr::InList { expr, list, .. } => std::iter::once(expr.as_ref()).chain(list).collect(),
        Expr::Substring { expr, substring_from, substring_for, .. } => std::iter::once(expr)
            .chain([substring_from, substring_for].into_iter().flatten())
            .map(AsRef::as_ref)
            .collect(),
        Expr::Case { operand, conditions, else_result, .. } => {
            let branches = conditions.iter().flat_map(|branch| [&branch.condition, &branch.result]);
            let operand = operand.iter().map(AsRef::as_ref);
            operand.chain(branches).chain(else_result.iter().map(AsRef::as_ref)).collect()
        }
        Expr::Function(function) => call_of(function)?.arguments.into_iter().flatten().collect(),
        _ => return None,
    })
}

impl Printer<'_> {
    /// The expression in its printed form; `None` when no view can hold it.
    pub fn print(&self, expr: &Expr) -> Option<String> {
        let inner = |expr: &Expr| self.print(expr);
        let not = |negated: &bool| if *negated { "NOT " } else { "" };
        Some(match expr {
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => match (self.column(expr), expr) {
                (Some(column), _) => format!("`{column}`"),
                // A double-quoted text may arrive as a name.
                (None, Expr::Identifier(name)) if name.quote_style == Some('"') => quoted(&name.value),
                (None, _) => return None,
            },
            Expr::Value(value) => match &value.value {
                Literal::Null => "NULL".to_owned(),
                Literal::Boolean(flag) => flag.to_string(),
                Literal::Number(text, _) => text.clone(),
                other => quoted(&value_text(other).ok()?),
            },
            Expr::Nested(nested) => inner(nested)?,
            Expr::UnaryOp { op, expr } => {
                let op = op.to_string();
                let blank = if op.ends_with(|last: char| last.is_ascii_alphabetic()) { " " } else { "" };
                format!("{op}{blank}{}", inner(expr)?)
            }
            Expr::BinaryOp { left, op, right } => format!("({} {op} {})", inner(left)?, inner(right)?),
            Expr::Cast { expr, data_type, .. } => {
                format!("CAST({} AS {})", inner(expr)?, data_type.to_string().to_ascii_lowercase())
            }
            Expr::IsNull(expr) => format!("{} IS NULL", inner(expr)?),
            Expr::IsNotNull(expr) => format!("{} IS NOT NULL", inner(expr)?),
            Expr::Between { expr, negated, low, high } => {
                format!("{} {}BETWEEN {} AND {}", inner(expr)?, not(negated), inner(low)?, inner(high)?)
            }
            Expr::Like { expr, negated, pattern, any: false, escape_char: None } => {
                format!("{} {}LIKE {}", inner(expr)?, not(negated), inner(pattern)?)
            }
            Expr::InList { expr, list, negated } => {
                let list: Vec<String> = list.iter().map(inner).collect::<Option<_>>()?;
                format!("{} {}IN ({})", inner(expr)?, not(negated), list.join(", "))
            }
            Expr::Substring { .. } => {
                let parts: Vec<String> = parts(expr)?.into_iter().map(inner).collect::<Option<_>>()?;
                format!("substring({})", parts.join(", "))
            }
            Expr::Case { operand, conditions, else_result, .. } => {
                let mut text = "CASE".to_owned();
                if let Some(operand) = operand {
                    text.push_str(&format!(" {}", inner(operand)?));
                }
                for branch in conditions {
                    let (test, result) = (inner(&branch.condition)?, inner(&branch.result)?);
                    text.push_str(&format!(" WHEN {test} THEN {result}"));
                }
                if let Some(otherwise) = else_result {
                    text.push_str(&format!(" ELSE {}", inner(otherwise)?));
                }
                text.push_str(" END");
                text
            }
            Expr::Function(_) => {
                let call = call(expr)?;
                let argument = |argument: &Option<&Expr>| argument.map_or(Some("*".to_owned()), inner);
                let list: Vec<String> = call.arguments.iter().map(argument).collect::<Option<_>>()?;
                let distinct = if call.distinct { "DISTINCT " } else { "" };
                format!("{}({distinct}{})", call.name, list.join(", "))
            }
            _ => return None,
        })
    }

    /// The column of the table that the expression is, in the table's spelling.
    pub fn column(&self, expr: &Expr) -> Option<&str> {
        let name = match expr {
            Expr::Nested(inner) => return self.column(inner),
            Expr::Identifier(name) => name,
            Expr::CompoundIdentifier(parts) => {
                let (name, qualifier) = parts.split_last()?;
                let owner = qualifier.last()?;
                if !owner.value.eq_ignore_ascii_case(self.alias) {
                    return None;
                }
                name
            }
            _ => return None,
        };
        self.table.column(&name.value).map(|column| column.name.as_str())
    }

    /// All columns of the table that an expression reads.
    pub fn columns(&self, expr: &Expr) -> Vec<&str> {
        match self.column(expr) {
            Some(column) => vec![column],
            None => parts(expr).unwrap_or_default().into_iter().flat_map(|part| self.columns(part)).collect(),
        }
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
