//! Functions of aggregate states: `sum_state(v)` makes a state of a row, `sum_union(s)` joins states,
//! `sum_merge(s)` computes what `sum` would have, and so for the other aggregates.

use std::sync::Arc;

use super::convert::{convert, to_text};
use super::function::aggregate;
use super::{ColumnOrigin, Typed, quote_text, unsupported};
use crate::data::states::{Domain, Signature};
use crate::error::{SqlError, SqlResult};
use crate::model::DataType;
use crate::query::create_as_select::data_type;
use crate::query::types::Type;

const FUNCTIONS: [&str; 12] = [
    "any",
    "any_value",
    "approx_count_distinct",
    "avg",
    "count",
    "group_concat",
    "max",
    "max_by",
    "min",
    "min_by",
    "ndv",
    "sum",
];

/// The call of such a function; `None` when the name is none.
pub(super) fn call(name: &str, values: &[Typed], distinct: bool) -> Option<SqlResult<Typed>> {
    if matches!(name, "max_by" | "min_by") && !distinct {
        return Some(made(name, values).and_then(|state| merged(name, &state)));
    }
    let (function, combinator) = name.rsplit_once('_')?;
    if !has_state(function) || !matches!(combinator, "state" | "union" | "merge") {
        return None;
    }
    if distinct {
        return Some(Err(unsupported(format!("DISTINCT in {name}"))));
    }
    Some(match (combinator, values) {
        ("state", values) => made(function, values),
        ("union", [state]) => signature_of(function, state)
            .map(|signature| typed(format!("state_union({})", state.sql), &signature)),
        ("merge", [state]) => merged(function, state),
        _ => Err(SqlError::general(format!("{name} takes one state"))),
    })
}

/// Whether there are states of the function.
pub fn has_state(function: &str) -> bool {
    FUNCTIONS.contains(&function)
}

fn made(function: &str, values: &[Typed]) -> SqlResult<Typed> {
    let wanted = if matches!(function, "max_by" | "min_by") { 2 } else { 1 };
    if values.len() < wanted {
        return Err(SqlError::general(format!("{function} takes more arguments")));
    }
    let arguments = values.iter().map(|value| data_type(value.ty, value.column.as_deref(), 1));
    let signature =
        Signature { function: function.to_owned(), arguments: arguments.collect::<SqlResult<_>>()? };
    let texts: Vec<String> = values.iter().map(|value| to_text(&value.sql, value.ty)).collect();
    Ok(typed(format!("state_of({})", texts.join(", ")), &signature))
}

fn merged(function: &str, state: &Typed) -> SqlResult<Typed> {
    let signature = signature_of(function, state)?;
    let dummies: Vec<Typed> =
        signature.arguments.iter().map(|argument| Typed::new("x", Type::of(argument))).collect();
    let (result, compared) = match (function, dummies.as_slice()) {
        ("max_by" | "min_by", [value, key, ..]) => (value.ty, key.ty),
        (_, [value, ..]) => {
            (aggregate(function, &dummies, false).map_or(value.ty, |typed| typed.ty), value.ty)
        }
        (_, []) => (Type::BigInt, Type::BigInt),
    };
    // An average of integers is a fraction.
    let domain = match (result, compared) {
        (_, Type::Float | Type::Double) => "float",
        (Type::Double, _) if function == "avg" => "float",
        (_, ty) if ty.is_numeric() => "exact",
        _ => "text",
    };
    let mut sql = format!("state_merge({}, '{domain}', {})", quote_text(function), state.sql);
    if matches!(function, "count" | "ndv" | "approx_count_distinct") {
        // Nothing is counted without a row, too.
        sql = format!("coalesce({sql}, '0')");
    }
    Ok(convert(&Typed::new(sql, Type::Text), result))
}

/// What a state is of, which must be that function.
fn signature_of(function: &str, state: &Typed) -> SqlResult<Signature> {
    let signature = match state.column.as_deref().map(|column| &column.data_type) {
        Some(DataType::Complex(text)) => Signature::parse(text),
        _ => None,
    };
    let signature = signature
        .ok_or_else(|| SqlError::general(format!("The argument of {function} must be an AGG_STATE")))?;
    if signature.function != function {
        return Err(SqlError::general(format!(
            "The argument of {function} is a state of {}",
            signature.function
        )));
    }
    Ok(signature)
}

fn typed(sql: String, signature: &Signature) -> Typed {
    let data_type = DataType::Complex(signature.data_type());
    let column = ColumnOrigin { data_type, nullable: true, text_parser: None, source: None };
    Typed { column: Some(Arc::new(column)), ..Typed::new(sql, Type::Object) }
}

/// The word that [`merged`] writes for it.
pub fn domain(word: &str) -> Domain {
    match word {
        "float" => Domain::Float,
        "text" => Domain::Text,
        _ => Domain::Exact,
    }
}
