//! LIKE, WHERE, ORDER BY and LIMIT over the finished rows of a SHOW statement.

use std::cmp::Ordering;

use crate::error::{SqlError, SqlResult};
use crate::session::ResultSet;
use crate::sql::{Condition, Operator, ShowFilter};

/// Narrows, sorts and cuts the rows. `like_column` is the position that LIKE looks at.
pub fn apply(mut result: ResultSet, filter: &ShowFilter, like_column: usize) -> SqlResult<ResultSet> {
    if let Some(pattern) = &filter.like {
        result.rows.retain(|row| cell(row, like_column).is_some_and(|text| like(text, pattern)));
    }
    for condition in &filter.conditions {
        let at = position(&result, &condition.column)?;
        result.rows.retain(|row| holds(cell(row, at), condition));
    }
    if !filter.alternatives.is_empty() {
        let alternatives: Vec<(usize, &Condition)> = filter
            .alternatives
            .iter()
            .map(|condition| Ok((position(&result, &condition.column)?, condition)))
            .collect::<SqlResult<_>>()?;
        result.rows.retain(|row| alternatives.iter().any(|(at, condition)| holds(cell(row, *at), condition)));
    }
    for order in filter.order_by.iter().rev() {
        let at = position(&result, &order.column)?;
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

fn matches(text: &[char], pattern: &[char]) -> bool {
    match pattern {
        [] => text.is_empty(),
        ['%', rest @ ..] => (0..=text.len()).any(|skipped| matches(&text[skipped..], rest)),
        ['_', rest @ ..] => !text.is_empty() && matches(&text[1..], rest),
        ['\\', escaped, rest @ ..] => text.first() == Some(escaped) && matches(&text[1..], rest),
        [wanted, rest @ ..] => text.first() == Some(wanted) && matches(&text[1..], rest),
    }
}

fn position(result: &ResultSet, column: &str) -> SqlResult<usize> {
    result.columns.iter().position(|name| name.eq_ignore_ascii_case(column)).ok_or_else(|| SqlError {
        code: 1054,
        state: "42S22",
        message: format!("Unknown column '{column}' in 'where clause'"),
    })
}

fn cell(row: &[Option<String>], at: usize) -> Option<&str> {
    row.get(at).and_then(|cell| cell.as_deref())
}

fn holds(cell: Option<&str>, condition: &Condition) -> bool {
    let Some(text) = cell else { return false };
    let order = compare(Some(text), Some(&condition.value));
    match condition.operator {
        Operator::Equal => order.is_eq(),
        Operator::NotEqual => order.is_ne(),
        Operator::Less => order.is_lt(),
        Operator::LessOrEqual => order.is_le(),
        Operator::Greater => order.is_gt(),
        Operator::GreaterOrEqual => order.is_ge(),
        Operator::Like => like(text, &condition.value),
        Operator::NotLike => !like(text, &condition.value),
    }
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
    }

    #[test]
    fn rows_are_narrowed_sorted_and_cut() {
        let mut result = ResultSet::new(&["Id", "Name"]);
        for (id, name) in [("9", "a"), ("10", "b"), ("11", "c")] {
            result.rows.push(vec![Some(id.to_owned()), Some(name.to_owned())]);
        }
        let filter = ShowFilter {
            like: None,
            conditions: vec![Condition {
                column: "id".to_owned(),
                operator: Operator::GreaterOrEqual,
                value: "10".to_owned(),
            }],
            order_by: vec![OrderBy { column: "Name".to_owned(), descending: true }],
            limit: Some((0, 1)),
            ..ShowFilter::default()
        };
        let rows = apply(result.clone(), &filter, 0).unwrap().rows;
        assert_eq!(rows, vec![vec![Some("11".to_owned()), Some("c".to_owned())]]);
        let unknown = ShowFilter {
            order_by: vec![OrderBy { column: "x".to_owned(), descending: false }],
            ..ShowFilter::default()
        };
        assert_eq!(apply(result, &unknown, 0).unwrap_err().code, 1054);
    }
}
