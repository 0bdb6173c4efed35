//! Values of ARRAY, MAP and STRUCT columns, kept as the text that Doris prints: `[1, null]`, `{"k":1}`,
//! `{"field":1, "other":"x"}`.

use super::cast::from_text;
use crate::model::{Column, DataType};
use crate::sql::parse_data_type;

/// A literal as written.
#[derive(Debug, PartialEq)]
enum Literal {
    Null,
    /// In quotes of either kind.
    Text(String),
    Bare(String),
    /// `[a, b]`.
    List(Vec<Literal>),
    /// `{a, b}`.
    Tuple(Vec<Literal>),
    /// `{a: b}`, also the empty `{}`.
    Pairs(Vec<(Literal, Literal)>),
}

/// The text of a value of the type, given by any spelling; `None` when it is none.
pub fn canonical(data_type: &str, text: &str) -> Option<String> {
    let mut reader = Reader { rest: text, depth: 0, is_printed: false };
    let literal = reader.literal()?;
    reader.rest.trim().is_empty().then(|| print(data_type, &literal)).flatten()
}

/// JSON without the blanks around its parts.
pub fn compact_json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut quoted, mut escaped) = (false, false);
    for ch in text.chars() {
        if quoted || !ch.is_ascii_whitespace() {
            out.push(ch);
        }
        let ends = ch == '"' && !escaped;
        escaped = quoted && ch == '\\' && !escaped;
        quoted ^= ends;
    }
    out
}

fn print(data_type: &str, literal: &Literal) -> Option<String> {
    let data_type = data_type.trim();
    if *literal == Literal::Null {
        return Some("null".to_owned());
    }
    match Elements::of(data_type) {
        Some(Elements::Array(element)) => {
            let Literal::List(items) = literal else { return None };
            let items: Option<Vec<String>> = items.iter().map(|item| print(element, item)).collect();
            return Some(format!("[{}]", items?.join(", ")));
        }
        Some(Elements::Map(key_type, value_type)) => {
            let Literal::Pairs(pairs) = literal else { return None };
            let pair = |(key, value): &(Literal, Literal)| {
                Some(format!("{}:{}", print(key_type, key)?, print(value_type, value)?))
            };
            let pairs: Option<Vec<String>> = pairs.iter().map(pair).collect();
            return Some(format!("{{{}}}", pairs?.join(", ")));
        }
        Some(Elements::Struct(fields)) => return print_struct(&fields, literal),
        None => {}
    }
    let text = match literal {
        Literal::Text(text) | Literal::Bare(text) => text,
        Literal::Null | Literal::List(_) | Literal::Tuple(_) | Literal::Pairs(_) => return None,
    };
    let data_type = parse_data_type(data_type).ok().filter(|ty| !matches!(ty, DataType::Complex(_)))?;
    let value = from_text(text, &element(&data_type)).ok()?;
    let scale = match data_type {
        DataType::DateTime { scale } => scale,
        _ => 0,
    };
    let text = value.to_sql_text(scale)?;
    let is_quoted = data_type.is_date()
        || matches!(data_type, DataType::Char { .. } | DataType::Varchar { .. } | DataType::String);
    Some(if is_quoted { format!("\"{text}\"") } else { text })
}

/// Fields come by position, or by name in any order.
fn print_struct(fields: &[(&str, &str)], literal: &Literal) -> Option<String> {
    let values: Vec<&Literal> = match literal {
        Literal::Tuple(values) if values.len() == fields.len() => values.iter().collect(),
        Literal::Pairs(pairs) if pairs.len() == fields.len() => {
            let named = |wanted: &str| {
                pairs.iter().find_map(|(key, value)| match key {
                    Literal::Text(name) | Literal::Bare(name) if name.eq_ignore_ascii_case(wanted) => {
                        Some(value)
                    }
                    _ => None,
                })
            };
            fields.iter().map(|(name, _)| named(name)).collect::<Option<_>>()?
        }
        _ => return None,
    };
    let printed: Option<Vec<String>> = fields
        .iter()
        .zip(values)
        .map(|((name, ty), value)| Some(format!("\"{name}\":{}", print(ty, value)?)))
        .collect();
    Some(format!("{{{}}}", printed?.join(", ")))
}

/// The types of the elements of a type that has any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Elements<'t> {
    Array(&'t str),
    /// Keys and values.
    Map(&'t str, &'t str),
    /// Names and types of the fields.
    Struct(Vec<(&'t str, &'t str)>),
}

impl<'t> Elements<'t> {
    pub fn of(data_type: &'t str) -> Option<Self> {
        let inner = |name: &str| data_type.strip_prefix(name)?.strip_suffix('>');
        if let Some(element) = inner("array<") {
            return Some(Elements::Array(element));
        }
        if let Some(types) = inner("map<") {
            let [key, value] = split(types)[..] else { return None };
            return Some(Elements::Map(key, value));
        }
        let fields = split(inner("struct<")?);
        let field = |field: &&'t str| {
            let (name, data_type) = field.split_once(':')?;
            Some((name.trim().trim_matches('`'), data_type))
        };
        fields.iter().map(field).collect::<Option<_>>().map(Elements::Struct)
    }

    /// The type of the element under a key; fields count from one or go by name.
    pub fn data_type(&self, key: &str) -> Option<&'t str> {
        match self {
            Elements::Array(element) | Elements::Map(_, element) => Some(*element),
            Elements::Struct(fields) => Self::field(fields, key).map(|at| fields[at].1),
        }
    }

    fn field(fields: &[(&str, &str)], key: &str) -> Option<usize> {
        let by_name = fields.iter().position(|(name, _)| name.eq_ignore_ascii_case(key));
        by_name.or_else(|| key.parse::<usize>().ok()?.checked_sub(1)).filter(|at| *at < fields.len())
    }
}

/// The text of the element of a value: the entry of a map, the field of a struct, or the element of an array,
/// which counts from one, or from the end when the number is negative. `None` when it is NULL or not there.
pub fn element_of(data_type: &str, text: &str, key: &str) -> Option<String> {
    let elements = Elements::of(data_type)?;
    let literal = Reader { rest: text, depth: 0, is_printed: true }.literal()?;
    let found = match (&elements, &literal) {
        (Elements::Array(_), Literal::List(items)) => {
            let number: i64 = key.parse().ok()?;
            let length = i64::try_from(items.len()).ok()?;
            let at = if number < 0 { length + number } else { number - 1 };
            items.get(usize::try_from(at).ok()?)?
        }
        (Elements::Map(key_type, _), Literal::Pairs(pairs)) => {
            let wanted = print(key_type, &Literal::Text(key.to_owned()))?;
            &pairs.iter().find(|(key, _)| print(key_type, key).as_ref() == Some(&wanted))?.1
        }
        (Elements::Struct(fields), Literal::Pairs(pairs)) => &pairs.get(Elements::field(fields, key)?)?.1,
        _ => return None,
    };
    match found {
        Literal::Null => None,
        Literal::Text(text) | Literal::Bare(text) => Some(text.clone()),
        Literal::List(_) | Literal::Tuple(_) | Literal::Pairs(_) => print(elements.data_type(key)?, found),
    }
}

/// The texts of the elements of an array, `None` for NULL.
pub fn items(text: &str) -> Option<Vec<Option<String>>> {
    let literal = Reader { rest: text, depth: 0, is_printed: true }.literal()?;
    let Literal::List(items) = literal else { return None };
    Some(items.iter().map(bare).collect())
}

/// The array of such elements; texts are put in quotes when the array they come from has quotes.
pub fn array_text(items: &[Option<String>], is_quoted: bool) -> String {
    let shown: Vec<String> = items
        .iter()
        .map(|item| match item {
            None => "null".to_owned(),
            Some(text) if is_quoted => format!("\"{text}\""),
            Some(text) => text.clone(),
        })
        .collect();
    format!("[{}]", shown.join(", "))
}

/// Number of elements or entries.
pub fn size(text: &str) -> Option<usize> {
    match (Reader { rest: text, depth: 0, is_printed: true }).literal()? {
        Literal::List(items) => Some(items.len()),
        Literal::Pairs(pairs) => Some(pairs.len()),
        Literal::Null | Literal::Text(_) | Literal::Bare(_) | Literal::Tuple(_) => None,
    }
}

/// The keys or the values of a map of a type, as an array.
pub fn map_part(data_type: &str, text: &str, keys: bool) -> Option<String> {
    let Elements::Map(key_type, value_type) = Elements::of(data_type)? else { return None };
    let Literal::Pairs(pairs) = (Reader { rest: text, depth: 0, is_printed: true }).literal()? else {
        return None;
    };
    let part = |(key, value): &(Literal, Literal)| {
        if keys { print(key_type, key) } else { print(value_type, value) }
    };
    let parts: Option<Vec<String>> = pairs.iter().map(part).collect();
    Some(format!("[{}]", parts?.join(", ")))
}

/// The text of an element without its quotes; nested elements have none that is worth comparing.
fn bare(literal: &Literal) -> Option<String> {
    match literal {
        Literal::Null => None,
        Literal::Text(text) | Literal::Bare(text) => Some(text.clone()),
        Literal::List(items) => Some(array_text(
            &items.iter().map(bare).collect::<Vec<_>>(),
            items.iter().any(|item| matches!(item, Literal::Text(_))),
        )),
        Literal::Tuple(_) | Literal::Pairs(_) => Some(String::new()),
    }
}

/// A column that takes any value of the type.
pub fn element(data_type: &DataType) -> Column {
    Column {
        name: String::new(),
        data_type: data_type.clone(),
        is_key: false,
        nullable: true,
        aggregate: None,
        default: None,
        comment: String::new(),
        unique_id: -1,
        visible: true,
        auto_increment: None,
        generated: None,
        on_update: None,
        define: None,
    }
}

/// The parts between top-level commas.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0usize, 0);
    for (at, ch) in text.char_indices() {
        match ch {
            '<' | '(' => depth += 1,
            '>' | ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    parts
}

/// Deeper brackets are no value of any type that is worth having.
const MAX_DEPTH: usize = 32;

struct Reader<'a> {
    rest: &'a str,
    depth: usize,
    /// The text of a stored value, in which nothing is escaped: a quote ends a text only where a value can end.
    is_printed: bool,
}

impl Reader<'_> {
    fn accept(&mut self, wanted: char) -> bool {
        self.rest = self.rest.trim_start();
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn literal(&mut self) -> Option<Literal> {
        self.depth += 1;
        let literal = if self.depth > MAX_DEPTH { None } else { self.one() };
        self.depth -= 1;
        literal
    }

    fn one(&mut self) -> Option<Literal> {
        if self.accept('[') {
            return self.items(']').map(Literal::List);
        }
        if self.accept('{') {
            return self.braces();
        }
        for quote in ['"', '\''] {
            if self.accept(quote) {
                return self.quoted(quote).map(Literal::Text);
            }
        }
        let end = self.rest.find([',', ':', ']', '}']).unwrap_or(self.rest.len());
        let (bare, rest) = self.rest.split_at(end);
        self.rest = rest;
        match bare.trim() {
            "" => None,
            word if word.eq_ignore_ascii_case("null") => Some(Literal::Null),
            word => Some(Literal::Bare(word.to_owned())),
        }
    }

    /// Items up to the closing bracket.
    fn items(&mut self, close: char) -> Option<Vec<Literal>> {
        let mut items = Vec::new();
        if self.accept(close) {
            return Some(items);
        }
        loop {
            items.push(self.literal()?);
            if self.accept(close) {
                return Some(items);
            }
            if !self.accept(',') {
                return None;
            }
        }
    }

    fn braces(&mut self) -> Option<Literal> {
        let mut pairs = Vec::new();
        if self.accept('}') {
            return Some(Literal::Pairs(pairs));
        }
        let first = self.literal()?;
        if !self.accept(':') {
            let mut items = vec![first];
            if self.accept(',') {
                items.extend(self.items('}')?);
            } else if !self.accept('}') {
                return None;
            }
            return Some(Literal::Tuple(items));
        }
        pairs.push((first, self.literal()?));
        while self.accept(',') {
            let key = self.literal()?;
            if !self.accept(':') {
                return None;
            }
            pairs.push((key, self.literal()?));
        }
        self.accept('}').then_some(Literal::Pairs(pairs))
    }

    fn quoted(&mut self, quote: char) -> Option<String> {
        let mut text = String::new();
        let mut chars = self.rest.char_indices();
        while let Some((at, ch)) = chars.next() {
            let after = &self.rest[at + ch.len_utf8()..];
            let may_end = || after.trim_start().starts_with([',', ':', ']', '}']);
            if ch == quote && (!self.is_printed || after.is_empty() || may_end()) {
                self.rest = after;
                return Some(text);
            }
            text.push(if ch == '\\' && !self.is_printed { chars.next()?.1 } else { ch });
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_print_as_doris_prints_them() {
        for (data_type, text, expected) in [
            ("array<int>", "[1,2,null]", Some("[1, 2, null]")),
            ("array<int>", "[]", Some("[]")),
            ("array<text>", "['x', \"y\",NULL]", Some("[\"x\", \"y\", null]")),
            ("array<array<int>>", "[[1],[ 2,3 ]]", Some("[[1], [2, 3]]")),
            ("array<decimal(9,2)>", "[1.5, 2]", Some("[1.50, 2.00]")),
            ("array<date>", "['2024-1-2']", Some("[\"2024-01-02\"]")),
            ("array<boolean>", "[true, 0]", Some("[1, 0]")),
            ("map<text,int>", "{'a':1,\"b\": null}", Some("{\"a\":1, \"b\":null}")),
            ("map<int,text>", "{1: 'x'}", Some("{1:\"x\"}")),
            ("map<int,text>", "{}", Some("{}")),
            ("struct<a:int,b:text>", "{1, 'z'}", Some("{\"a\":1, \"b\":\"z\"}")),
            ("struct<a:int,b:text>", "{\"b\":\"z\",\"a\":1}", Some("{\"a\":1, \"b\":\"z\"}")),
            ("struct<a:int,b:array<map<text,int>>>", "{1, [{'k':2}]}", Some("{\"a\":1, \"b\":[{\"k\":2}]}")),
            ("array<int>", "[1,x]", None),
            ("array<int>", "[1", None),
            ("array<int>", "{1}", None),
            ("struct<a:int>", "{1, 2}", None),
            ("agg_state<sum(int)>", "x", None),
        ] {
            assert_eq!(canonical(data_type, text).as_deref(), expected, "{data_type} {text}");
        }
        assert_eq!(canonical("array<int>", &"[".repeat(1_000_000)), None);
        // What it prints is read again as itself.
        let printed = canonical("struct<a:int,b:text>", "{1, 'z'}").unwrap();
        assert_eq!(canonical("struct<a:int,b:text>", &printed), Some(printed));
    }

    #[test]
    fn json_loses_blanks_outside_of_texts() {
        assert_eq!(compact_json(r#" {"a b": [1, "x \" y"] , "c":{ } } "#), r#"{"a b":[1,"x \" y"],"c":{}}"#);
    }
}
