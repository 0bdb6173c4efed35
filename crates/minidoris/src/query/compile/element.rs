//! Elements of arrays, maps, structs and variants: `a[1]`, `m['k']`, `t.s.field`, `element_at(…)`.

use std::sync::Arc;

use sqlparser::ast::{AccessExpr, Expr, Ident, Subscript, Value as Literal};

use super::convert::{convert, to_text};
use super::expression::value_text;
use super::{ColumnOrigin, Compiler, Scope, Typed, quote_text, unsupported};
use crate::data::complex::Elements;
use crate::error::{SqlError, SqlResult};
use crate::model::DataType;
use crate::query::types::Type;
use crate::sql;

/// A column, or what a longer name finds inside one: `s.a`, `t.s.a.b`.
pub fn field(scope: &Scope<'_>, parts: &[Ident]) -> SqlResult<Typed> {
    const UNKNOWN_COLUMN: u16 = 1054;
    let missing = match scope.resolve(parts) {
        Err(error) if error.code == UNKNOWN_COLUMN => error,
        found => return found,
    };
    for length in (1..parts.len()).rev() {
        let Ok(mut value) = scope.resolve(&parts[..length]) else { continue };
        if value.ty == Type::Json {
            let names: Vec<&str> = parts[length..].iter().map(|name| name.value.as_str()).collect();
            return Ok(json_element(&value, &json_path(names)));
        }
        if !matches!(elements(&value), Some(Elements::Struct(_))) {
            continue;
        }
        for name in &parts[length..] {
            value = element(&value, &Typed::text_literal(&name.value))?;
        }
        return Ok(value);
    }
    Err(missing)
}

/// The element of a value under a key.
pub fn element(value: &Typed, key: &Typed) -> SqlResult<Typed> {
    let Some(found) = elements(value) else {
        let path = format!("'$.\"' || {} || '\"'", to_text(&key.sql, key.ty));
        let value = to_text(&value.sql, value.ty);
        return Ok(Typed::new(format!("json_extract({value}, {path})"), Type::Json));
    };
    let name = key.literal.as_deref();
    let is_struct = matches!(found, Elements::Struct(_));
    let wanted = if is_struct { name.and_then(|name| found.data_type(name)) } else { found.data_type("") };
    let Some(wanted) = wanted else {
        let name = name.unwrap_or("this expression");
        return Err(SqlError::general(format!("the specified field name {name} was not found")));
    };
    let data_type = sql::parse_data_type(wanted)?;
    let whole = value.column.as_ref().map(|column| column.data_type.to_string()).unwrap_or_default();
    let text = format!(
        "element_of({}, {}, {})",
        quote_text(&whole),
        to_text(&value.sql, value.ty),
        to_text(&key.sql, key.ty)
    );
    let mut found = convert(&Typed::new(text, Type::Text), Type::of(&data_type));
    found.column =
        Some(Arc::new(ColumnOrigin { data_type, nullable: true, text_parser: None, source: None }));
    Ok(found)
}

impl Compiler<'_> {
    /// `variant["key"]`, `array[1]`, `map['k'].field`.
    pub(super) fn subscript(
        &mut self,
        scope: &Scope<'_>,
        root: &Expr,
        chain: &[AccessExpr],
    ) -> SqlResult<Typed> {
        // `t.s.a[1]` arrives as a name with a chain of fields.
        let mut name: Vec<Ident> = Vec::new();
        if let Expr::Identifier(first) = root {
            name.push(first.clone());
            name.extend(chain.iter().map_while(|access| match access {
                AccessExpr::Dot(Expr::Identifier(part)) => Some(part.clone()),
                AccessExpr::Dot(_) | AccessExpr::Subscript(_) => None,
            }));
        }
        let (mut value, chain) = match name.len() {
            0 => (self.expression(scope, root)?, chain),
            named => (field(scope, &name)?, &chain[named - 1..]),
        };
        for (at, access) in chain.iter().enumerate() {
            if elements(&value).is_none() {
                let keys: Vec<String> = chain[at..].iter().map(constant_key).collect::<SqlResult<_>>()?;
                return Ok(json_element(&value, &json_path(keys.iter().map(String::as_str))));
            }
            let key = match access {
                AccessExpr::Dot(Expr::Identifier(name)) => Typed::text_literal(&name.value),
                AccessExpr::Subscript(Subscript::Index { index: key }) | AccessExpr::Dot(key) => {
                    self.expression(scope, key)?
                }
                AccessExpr::Subscript(_) => return Err(unsupported("this subscript")),
            };
            value = element(&value, &key)?;
        }
        Ok(value)
    }
}

/// What a column, or an element of one, consists of.
fn elements(value: &Typed) -> Option<Elements<'_>> {
    match &value.column.as_ref()?.data_type {
        DataType::Complex(text) => Elements::of(text),
        _ => None,
    }
}

/// A key of a variant; what it leads to is known only when the query runs.
fn constant_key(access: &AccessExpr) -> SqlResult<String> {
    let key = match access {
        AccessExpr::Subscript(Subscript::Index { index }) => index,
        AccessExpr::Dot(expr) => expr,
        AccessExpr::Subscript(_) => return Err(unsupported("this subscript")),
    };
    match key {
        Expr::Identifier(name) => Ok(name.value.clone()),
        Expr::Value(value) => match &value.value {
            Literal::Number(number, _) => Ok(format!("[{number}]")),
            other => value_text(other),
        },
        other => Err(unsupported(other)),
    }
}

/// `$."a"[0]."b"`.
fn json_path<'k>(keys: impl IntoIterator<Item = &'k str>) -> String {
    let mut path = "$".to_owned();
    for key in keys {
        let is_index = key.starts_with('[');
        path.push_str(&if is_index { key.to_owned() } else { format!(".\"{key}\"") });
    }
    path
}

fn json_element(value: &Typed, path: &str) -> Typed {
    let value = to_text(&value.sql, value.ty);
    Typed::new(format!("json_extract({value}, {})", quote_text(path)), Type::Json)
}
