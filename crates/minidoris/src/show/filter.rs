//! LIKE, WHERE, ORDER BY and LIMIT over the finished rows of a SHOW statement.
//!
//! A condition is true, false or, where it meets a NULL, unknown; a row stays when it is true.

use std::cmp::Ordering;

use crate::error::{SqlError, SqlResult};
use crate::session::ResultSet;
use crate::sql::{Condition, Operator, Predicate, ShowFilter};

/// How texts are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    Exact,
    /// Names of variables and settings.
    Ignored,
}

/// Narrows, sorts and cuts the rows. `like_column` is the position that LIKE looks at.
pub fn apply(
    mut result: ResultSet,
    filter: &ShowFilter,
    like_column: usize,
    case: Case,
) -> SqlResult<ResultSet> {
    if let Some(pattern) = &filter.like {
        result.rows.retain(|row| cell(row, like_column).is_some_and(|text| matches_in(case, text, pattern)));
    }
    if let Some(predicate) = &filter.predicate {
        check_columns(&result, predicate)?;
        let columns = std::mem::take(&mut result.columns);
        result.rows.retain(|row| holds(&columns, row, predicate, case) == Some(true));
        result.columns = columns;
    }
    for order in filter.order_by.iter().rev() {
        let at = position(&result.columns, &order.column)?;
        result.rows.sort_by(|a, b| {
            let order_of_rows = compare(cell(a, at), cell(b, at));
            if order.descending { order_of_rows.reverse() } else { order_of_rows }
        });
    }
    if let Some((offset, count)) = filter.limit {
        result.rows = result.rows.into_iter().skip(offset).take(count).collect();
    }
    Ok(result)
}

/// SQL's LIKE with `%`, `_` and backslash escapes.
pub fn like(text: &str, pattern: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let pattern: Vec<char> = pattern.chars().collect();
    matches(&text, &pattern)
}

fn matches_in(case: Case, text: &str, pattern: &str) -> bool {
    match case {
        Case::Exact => like(text, pattern),
        Case::Ignored => like(&text.to_lowercase(), &pattern.to_lowercase()),
    }
}

fn matches(text: &[char], pattern: &[char]) -> bool {
    match pattern {
        [] => text.is_empty(),
        ['%', rest @ ..] => (0..=text.len()).any(|skipped| matches(&text[skipped..], rest)),
        ['_', rest @ ..] => !text.is_empty() && matches(&text[1..], rest),
        ['\\', escaped, rest @ ..] => text.first() == Some(escaped) && matches(&text[1..], rest),
        [wanted, rest @ ..] => text.first() == Some(wanted) && matches(&text[1..], rest),
    }
}

fn position(columns: &[String], column: &str) -> SqlResult<usize> {
    columns.iter().position(|name| name.eq_ignore_ascii_case(column)).ok_or_else(|| SqlError {
        code: 1054,
        state: "42S22",
        message: format!("Unknown column '{column}' in 'where clause'"),
    })
}

fn check_columns(result: &ResultSet, predicate: &Predicate) -> SqlResult<()> {
    predicate.columns().into_iter().try_for_each(|column| position(&result.columns, column).map(drop))
}

fn cell(row: &[Option<String>], at: usize) -> Option<&str> {
    row.get(at).and_then(|cell| cell.as_deref())
}

/// `None`: unknown.
fn holds(columns: &[String], row: &[Option<String>], predicate: &Predicate, case: Case) -> Option<bool> {
    let value = |column: &str| position(columns, column).ok().and_then(|at| cell(row, at));
    match predicate {
        Predicate::All(parts) => {
            let mut all = Some(true);
            for part in parts {
                match holds(columns, row, part, case) {
                    Some(true) => {}
                    Some(false) => return Some(false),
                    None => all = None,
                }
            }
            all
        }
        Predicate::Any(parts) => {
            let mut any = Some(false);
            for part in parts {
                match holds(columns, row, part, case) {
                    Some(true) => return Some(true),
                    Some(false) => {}
                    None => any = None,
                }
            }
            any
        }
        Predicate::Not(part) => holds(columns, row, part, case).map(|held| !held),
        Predicate::Compare(condition) => Some(compares(value(&condition.column)?, condition, case)),
        Predicate::In { column, values, negated } => {
            let text = value(column)?;
            let found = values.iter().any(|value| equal(text, value, case));
            Some(found != *negated)
        }
        Predicate::IsNull { column, negated } => Some(value(column).is_none() != *negated),
    }
}

fn compares(text: &str, condition: &Condition, case: Case) -> bool {
    let wanted = condition.value.as_str();
    let order = || compare(Some(text), Some(wanted));
    match condition.operator {
        Operator::Equal => equal(text, wanted, case),
        Operator::NotEqual => !equal(text, wanted, case),
        Operator::Less => order().is_lt(),
        Operator::LessOrEqual => order().is_le(),
        Operator::Greater => order().is_gt(),
        Operator::GreaterOrEqual => order().is_ge(),
        Operator::Like => matches_in(case, text, wanted),
        Operator::NotLike => !matches_in(case, text, wanted),
    }
}

fn equal(a: &str, b: &str, case: Case) -> bool {
    compare(Some(a), Some(b)).is_eq() || (case == Case::Ignored && a.eq_ignore_ascii_case(b))
}

/// Numbers by value, everything else as text; NULL first.
fn compare(a: Option<&str>, b: Option<&str>) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => match (a.parse::<i64>(), b.parse::<i64>()) {
            (Ok(a), Ok(b)) => a.cmp(&b),
            _ => a.cmp(b),
        },
        (a, b) => a.is_some().cmp(&b.is_some()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::OrderBy;

    #[test]
    fn patterns_match_whole_texts() {
        for (text, pattern, expected) in [
            ("abc", "abc", true),
            ("abc", "a_c", true),
            ("abc", "a%", true),
            ("abc", "%b", false),
            ("a_c", "a\\_c", true),
            ("abc", "a\\_c", false),
            ("Abc", "abc", false),
            ("", "%", true),
        ] {
            assert_eq!(like(text, pattern), expected, "{text} LIKE {pattern}");
        }
        assert!(matches_in(Case::Ignored, "Abc", "aB%"));
    }

    fn result() -> ResultSet {
        let mut result = ResultSet::new(&["Id", "Name"]);
        for (id, name) in [("9", Some("a")), ("10", Some("b")), ("11", None)] {
            result.rows.push(vec![Some(id.to_owned()), name.map(str::to_owned)]);
        }
        result
    }

    #[test]
    fn rows_are_narrowed_sorted_and_cut() {
        let filter = ShowFilter {
            predicate: Some(Predicate::Compare(Condition {
                column: "id".to_owned(),
                operator: Operator::GreaterOrEqual,
                value: "10".to_owned(),
                is_text: false,
            })),
            order_by: vec![OrderBy { column: "Id".to_owned(), descending: true }],
            limit: Some((0, 1)),
            ..ShowFilter::default()
        };
        let rows = apply(result(), &filter, 0, Case::Exact).unwrap().rows;
        assert_eq!(rows, vec![vec![Some("11".to_owned()), None]]);
        let unknown = ShowFilter {
            order_by: vec![OrderBy { column: "x".to_owned(), descending: false }],
            ..ShowFilter::default()
        };
        assert_eq!(apply(result(), &unknown, 0, Case::Exact).unwrap_err().code, 1054);
    }

    #[test]
    fn a_condition_on_null_is_unknown_whichever_way_it_is_turned() {
        let is_a = || {
            Predicate::Compare(Condition {
                column: "Name".to_owned(),
                operator: Operator::Equal,
                value: "a".to_owned(),
                is_text: true,
            })
        };
        let ids = |predicate: Predicate| -> Vec<String> {
            let filter = ShowFilter { predicate: Some(predicate), ..ShowFilter::default() };
            let rows = apply(result(), &filter, 0, Case::Exact).unwrap().rows;
            rows.into_iter().map(|mut row| row.remove(0).unwrap()).collect()
        };
        let is_null = |negated| Predicate::IsNull { column: "name".to_owned(), negated };
        assert_eq!(ids(is_a()), ["9"]);
        assert_eq!(ids(Predicate::Not(Box::new(is_a()))), ["10"]);
        assert_eq!(ids(is_null(false)), ["11"]);
        assert_eq!(ids(Predicate::Any(vec![is_a(), is_null(false)])), ["9", "11"]);
        assert_eq!(ids(Predicate::All(vec![is_null(true), Predicate::Not(Box::new(is_a()))])), ["10"]);
        let values = vec!["b".to_owned(), "c".to_owned()];
        assert_eq!(ids(Predicate::In { column: "Name".to_owned(), values, negated: true }), ["9"]);
    }
}
