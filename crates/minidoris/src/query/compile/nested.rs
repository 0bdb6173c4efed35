//! Functions that make arrays, maps and structs, and that look into them as a whole. Their values are texts in
//! the form that Doris prints; the type of what was made goes along as the type of a column would.

use std::sync::Arc;

use super::convert::to_text;
use super::expression::unify;
use super::{ColumnOrigin, Typed, quote_text};
use crate::data::complex::Elements;
use crate::error::{SqlError, SqlResult};
use crate::model::DataType;
use crate::query::types::Type;
use crate::sql;

/// A function of nested values; `None` when the name is none.
pub fn call(name: &str, values: &[Typed]) -> Option<SqlResult<Typed>> {
    Some(match (name, values) {
        ("array", _) => Ok(array(values)),
        ("map", _) => map(values),
        ("struct", _) => {
            let fields = values.iter().enumerate().map(|(at, value)| (format!("col{}", at + 1), value));
            Ok(structure(&fields.collect::<Vec<_>>()))
        }
        ("named_struct", _) => named_struct(values),
        ("size" | "cardinality" | "array_size" | "map_size", [value]) => {
            Ok(Typed::new(format!("nested_size({})", text(value)), Type::BigInt))
        }
        ("map_keys" | "map_values", [value]) => parts(name, value),
        ("array_contains" | "map_contains_key" | "map_contains_value", [whole, wanted]) => {
            contains(name, whole, wanted)
        }
        ("array_position", [whole, wanted]) => {
            let wanted = in_element_type(whole, wanted);
            Ok(Typed::new(format!("array_position({}, {wanted})", text(whole)), Type::BigInt))
        }
        ("array_join", [whole, separator]) => {
            Ok(Typed::new(format!("array_join({}, {})", text(whole), text(separator)), Type::Text))
        }
        ("array_distinct" | "array_sort" | "array_reverse", [whole]) => Ok(Typed {
            sql: format!("array_change({}, {})", quote_text(name), text(whole)),
            literal: None,
            ..whole.clone()
        }),
        ("array_min" | "array_max" | "array_sum" | "array_avg", [whole]) => fold(name, whole),
        _ => return None,
    })
}

fn text(value: &Typed) -> String {
    to_text(&value.sql, value.ty)
}

/// The type of a value as the type of an element is written.
fn type_text(value: &Typed) -> String {
    match &value.column {
        Some(column) => column.data_type.to_string(),
        None => match value.ty {
            Type::Null | Type::TinyInt => "tinyint".to_owned(),
            Type::Bool => "boolean".to_owned(),
            Type::SmallInt => "smallint".to_owned(),
            Type::Int => "int".to_owned(),
            Type::BigInt => "bigint".to_owned(),
            Type::Float => "float".to_owned(),
            Type::Double => "double".to_owned(),
            Type::Decimal { scale } => format!("decimal(18,{scale})"),
            Type::Wide { is_large: true, .. } => "largeint".to_owned(),
            Type::Wide { scale, is_large: false } => format!("decimal(38,{scale})"),
            Type::Date => "date".to_owned(),
            Type::DateTime { scale: 0 } => "datetime".to_owned(),
            Type::DateTime { scale } => format!("datetime({scale})"),
            Type::Text | Type::Object => "text".to_owned(),
            Type::Json => "json".to_owned(),
        },
    }
}

/// A value as it stands inside another one.
fn element(value: &Typed) -> String {
    let is_nested =
        matches!(value.column.as_ref().map(|column| &column.data_type), Some(DataType::Complex(_)));
    let shown = match value.ty {
        Type::Text if !is_nested => format!("'\"' || {} || '\"'", value.sql),
        Type::Date | Type::DateTime { .. } => format!("'\"' || {} || '\"'", value.sql),
        _ => text(value),
    };
    format!("coalesce({shown}, 'null')")
}

fn made(sql: String, data_type: String) -> Typed {
    let data_type = DataType::Complex(data_type);
    let column = ColumnOrigin { data_type, nullable: true, text_parser: None, source: None };
    Typed { column: Some(Arc::new(column)), ..Typed::new(sql, Type::Text) }
}

/// The values in one type, and its name. Values of nested types are taken to be of the first one's.
fn unified(values: &[&Typed]) -> (Vec<Typed>, String) {
    let nested = values.iter().find(|value| {
        matches!(value.column.as_ref().map(|column| &column.data_type), Some(DataType::Complex(_)))
    });
    if let Some(first) = nested {
        return (values.iter().map(|value| (*value).clone()).collect(), type_text(first));
    }
    let ty = unify(values.iter().copied());
    let values: Vec<Typed> = values.iter().map(|value| super::convert::convert(value, ty)).collect();
    let name = type_text(&Typed::new("", ty));
    (values, name)
}

/// The pieces of a value, joined between brackets.
fn joined(open: &str, pieces: &[String], close: &str) -> String {
    let inner = pieces.join(" || ', ' || ");
    match pieces {
        [] => quote_text(&format!("{open}{close}")),
        _ => format!("({} || {inner} || {})", quote_text(open), quote_text(close)),
    }
}

fn array(values: &[Typed]) -> Typed {
    let (values, ty) = unified(&values.iter().collect::<Vec<_>>());
    let pieces: Vec<String> = values.iter().map(element).collect();
    made(joined("[", &pieces, "]"), format!("array<{ty}>"))
}

fn map(values: &[Typed]) -> SqlResult<Typed> {
    if !values.len().is_multiple_of(2) {
        return Err(SqlError::general("map can't be odd parameters, need even parameters"));
    }
    let (keys, key_type) = unified(&values.iter().step_by(2).collect::<Vec<_>>());
    let (entries, value_type) = unified(&values.iter().skip(1).step_by(2).collect::<Vec<_>>());
    let pairs = keys.iter().zip(&entries);
    let pieces: Vec<String> =
        pairs.map(|(key, value)| format!("{} || ':' || {}", element(key), element(value))).collect();
    Ok(made(joined("{", &pieces, "}"), format!("map<{key_type},{value_type}>")))
}

fn structure(fields: &[(String, &Typed)]) -> Typed {
    let types: Vec<String> =
        fields.iter().map(|(name, value)| format!("{name}:{}", type_text(value))).collect();
    let piece = |(name, value): &(String, &Typed)| {
        format!("{} || {}", quote_text(&format!("\"{name}\":")), element(value))
    };
    let pieces: Vec<String> = fields.iter().map(piece).collect();
    made(joined("{", &pieces, "}"), format!("struct<{}>", types.join(",")))
}

fn named_struct(values: &[Typed]) -> SqlResult<Typed> {
    if values.is_empty() || !values.len().is_multiple_of(2) {
        return Err(SqlError::general("named_struct can't be odd parameters, need even parameters"));
    }
    let mut fields: Vec<(String, &Typed)> = Vec::new();
    for pair in values.chunks(2) {
        let [name, value] = pair else { continue };
        let Some(name) = name.literal.clone().filter(|_| name.ty == Type::Text) else {
            return Err(SqlError::general(
                "named_struct only allows constant string parameter in odd position",
            ));
        };
        if fields.iter().any(|(known, _)| known.eq_ignore_ascii_case(&name)) {
            return Err(SqlError::general("The name of the struct field cannot be repeated"));
        }
        fields.push((name, value));
    }
    Ok(structure(&fields))
}

/// The element types of a value of a known type.
fn elements(value: &Typed) -> Option<Elements<'_>> {
    match &value.column.as_ref()?.data_type {
        DataType::Complex(text) => Elements::of(text),
        _ => None,
    }
}

fn parts(name: &str, value: &Typed) -> SqlResult<Typed> {
    let Some(Elements::Map(keys, values)) = elements(value) else {
        return Err(SqlError::general(format!("Can not find the compatibility function signature: {name}")));
    };
    let wanted = if name == "map_keys" { keys } else { values };
    let sql = format!("map_part({}, {}, {})", quote_text(name), quote_text(&type_text(value)), text(value));
    Ok(made(sql, format!("array<{wanted}>")))
}

/// The text of what is looked for, in the type of the elements when that is known.
fn in_element_type(whole: &Typed, wanted: &Typed) -> String {
    let element = match elements(whole) {
        Some(Elements::Array(element)) => sql::parse_data_type(element).ok(),
        _ => None,
    };
    match element {
        Some(DataType::Complex(_)) | None => text(wanted),
        Some(element) => text(&super::convert::convert(wanted, Type::of(&element))),
    }
}

fn contains(name: &str, whole: &Typed, wanted: &Typed) -> SqlResult<Typed> {
    let whole = match name {
        "array_contains" => whole.clone(),
        "map_contains_key" => parts("map_keys", whole)?,
        _ => parts("map_values", whole)?,
    };
    let wanted = in_element_type(&whole, wanted);
    Ok(Typed::new(format!("(array_position({}, {wanted}) > 0)", text(&whole)), Type::Bool))
}

fn fold(name: &str, whole: &Typed) -> SqlResult<Typed> {
    let element = match elements(whole) {
        Some(Elements::Array(element)) => sql::parse_data_type(element)?,
        _ => {
            return Err(SqlError::general(format!(
                "Can not find the compatibility function signature: {name}"
            )));
        }
    };
    let ty = match (name, Type::of(&element)) {
        ("array_min" | "array_max", ty) => ty,
        ("array_sum", ty) if ty.is_integer() => Type::BigInt,
        ("array_sum", ty @ (Type::Decimal { .. } | Type::Wide { .. })) => ty,
        _ => Type::Double,
    };
    let is_number = Type::of(&element).is_numeric();
    let sql = format!("array_fold({}, {}, {})", quote_text(name), i32::from(is_number), text(whole));
    Ok(super::convert::convert(&Typed::new(sql, Type::Text), ty))
}
