//! Values of AGG_STATE: what has gone into an aggregate function so far, kept whole.
//!
//! The text of a state is a JSON array with an array of printed arguments for each row. Two states are joined
//! by putting their rows behind each other, and only the end of a query computes the function, so one form
//! does for all functions.

use std::cmp::Ordering;

use super::decimal::{self, Decimal};
use super::value::float_text;
use crate::model::DataType;
use crate::sql::parse_data_type;

/// Fraction digits that comparisons and averages look at.
const SCALE: u8 = 18;

/// `sum(int)` of `agg_state<sum(int)>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// In lower case.
    pub function: String,
    pub arguments: Vec<DataType>,
}

/// How the arguments are computed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Domain {
    /// Integers and decimals.
    Exact,
    Float,
    /// Texts, and dates in their printed form.
    Text,
}

/// The arguments of one row.
pub type StateRow = Vec<Option<String>>;

impl Signature {
    /// That of a type's text; `None` when it is no AGG_STATE of types that exist.
    pub fn parse(data_type: &str) -> Option<Self> {
        let inner = data_type.strip_prefix("agg_state<")?.strip_suffix('>')?;
        let (function, arguments) = inner.strip_suffix(')')?.split_once('(')?;
        let arguments = split(arguments).into_iter().map(|argument| {
            let argument = argument.trim();
            let argument = argument.strip_suffix(" null").unwrap_or(argument);
            parse_data_type(argument.strip_suffix(" not").unwrap_or(argument)).ok()
        });
        Some(Self { function: function.to_owned(), arguments: arguments.collect::<Option<_>>()? })
    }

    /// The type's text.
    pub fn data_type(&self) -> String {
        let arguments: Vec<String> = self.arguments.iter().map(DataType::to_string).collect();
        format!("agg_state<{}({})>", self.function, arguments.join(","))
    }
}

/// The parts between the commas outside of any brackets.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_usize, 0);
    for (at, c) in text.char_indices() {
        match c {
            '(' | '<' => depth += 1,
            ')' | '>' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if !text.trim().is_empty() {
        parts.push(&text[start..]);
    }
    parts
}

/// The state of a single row.
pub fn of_row(arguments: &StateRow) -> String {
    serde_json::to_string(&[arguments]).expect("texts are JSON")
}

/// The rows of a state; `None` when the text is none.
pub fn rows(state: &str) -> Option<Vec<StateRow>> {
    serde_json::from_str(state).ok()
}

/// The rows of both.
pub fn union(a: &str, b: &str) -> String {
    match (a.strip_suffix(']'), b.strip_prefix('[')) {
        (Some("["), _) => b.to_owned(),
        (_, Some("]")) => a.to_owned(),
        (Some(first), Some(second)) => format!("{first},{second}"),
        _ => b.to_owned(),
    }
}

/// What the function makes of the rows, printed; `None` stands for NULL.
pub fn merge(function: &str, domain: Domain, rows: &[StateRow]) -> Option<String> {
    let first = |row: &StateRow| row.first().cloned().flatten();
    let values: Vec<String> = rows.iter().filter_map(first).collect();
    let order = |a: &String, b: &String| order(domain, a, b);
    match function {
        "count" => Some(values.len().to_string()),
        "ndv" | "approx_count_distinct" => {
            Some(values.iter().collect::<std::collections::BTreeSet<_>>().len().to_string())
        }
        "sum" => sum(domain, &values),
        "avg" => average(domain, &values),
        "min" => values.into_iter().min_by(order),
        "max" => values.into_iter().max_by(order),
        "any" | "any_value" => values.into_iter().next(),
        "group_concat" => {
            let separator = rows.iter().find_map(|row| row.get(1).cloned().flatten());
            let joined = values.join(separator.as_deref().unwrap_or(", "));
            (!values.is_empty()).then_some(joined)
        }
        "max_by" | "min_by" => {
            let keyed = rows.iter().filter_map(|row| Some((row.get(1)?.clone()?, row.first()?.clone())));
            let by_key = |a: &(String, _), b: &(String, _)| order(&a.0, &b.0);
            let found = if function == "max_by" { keyed.max_by(by_key) } else { keyed.min_by(by_key) };
            found.and_then(|(_, value)| value)
        }
        _ => None,
    }
}

fn sum(domain: Domain, values: &[String]) -> Option<String> {
    let (first, others) = values.split_first()?;
    Some(match domain {
        Domain::Exact => others.iter().fold(first.clone(), |sum, value| decimal::add_text(&sum, value)),
        Domain::Float | Domain::Text => float_text(values.iter().map(|value| real(value)).sum()),
    })
}

fn average(domain: Domain, values: &[String]) -> Option<String> {
    let count = i128::try_from(values.len()).ok().filter(|count| *count > 0)?;
    let sum = sum(domain, values)?;
    match Decimal::parse(&sum, SCALE).filter(|_| domain == Domain::Exact) {
        Some(sum) => Some(Decimal::new(sum.unscaled / count, SCALE).to_string()),
        None => Some(float_text(real(&sum) / values.len() as f64)),
    }
}

fn order(domain: Domain, a: &str, b: &str) -> Ordering {
    match domain {
        Domain::Exact => decimal::order_text(a, b),
        Domain::Float => real(a).total_cmp(&real(b)),
        Domain::Text => a.cmp(b),
    }
}

fn real(text: &str) -> f64 {
    text.trim().parse().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_read_and_printed() {
        let read = |text: &str| Signature::parse(text).map(|signature| signature.data_type());
        for (text, printed) in [
            ("agg_state<sum(int)>", Some("agg_state<sum(int)>")),
            (
                "agg_state<max_by(int not null,decimal(10,2) null)>",
                Some("agg_state<max_by(int,decimal(10,2))>"),
            ),
            ("agg_state<count()>", Some("agg_state<count()>")),
            ("agg_state<sum(nothing)>", None),
            ("array<int>", None),
        ] {
            assert_eq!(read(text).as_deref(), printed, "{text}");
        }
    }

    #[test]
    fn states_are_joined_and_computed() {
        let state = |values: &[Option<&str>]| {
            let states: Vec<String> =
                values.iter().map(|value| of_row(&vec![value.map(str::to_owned)])).collect();
            rows(&states.iter().fold("[]".to_owned(), |all, one| union(&all, one))).unwrap()
        };
        let exact = Domain::Exact;
        let numbers = state(&[Some("10"), None, Some("9"), Some("10")]);
        for (function, domain, expected) in [
            ("count", exact, Some("3")),
            ("ndv", exact, Some("2")),
            ("sum", exact, Some("29")),
            ("min", exact, Some("9")),
            ("max", exact, Some("10")),
            ("max", Domain::Text, Some("9")),
            ("avg", Domain::Float, Some("9.666666666666666")),
            ("avg", exact, Some("9.666666666666666666")),
            ("group_concat", Domain::Text, Some("10, 9, 10")),
            ("any_value", exact, Some("10")),
            ("nothing", exact, None),
        ] {
            assert_eq!(merge(function, domain, &numbers).as_deref(), expected, "{function} {domain:?}");
        }
        assert_eq!(merge("sum", exact, &state(&[None])), None);
        assert_eq!(merge("count", exact, &state(&[])).as_deref(), Some("0"));
        let pair = |a: &str, b: &str| vec![Some(a.to_owned()), Some(b.to_owned())];
        let pairs = [pair("a", "9"), pair("b", "10"), pair("c", "8")];
        assert_eq!(merge("max_by", exact, &pairs).as_deref(), Some("b"));
        assert_eq!(merge("min_by", exact, &pairs).as_deref(), Some("c"));
        assert_eq!(rows("x"), None);
    }
}
