//! MATCH_ANY, MATCH_ALL and the other predicates over text columns.
//!
//! They compare words when the column has an inverted index with a parser, else whole values. Without an
//! index a session may forbid them, as backends then read every row.

use regex::Regex;

use super::convert::to_text;
use super::{Compiler, Typed, quote_text};
use crate::error::{SqlError, SqlResult};
use crate::model::OlapTable;
use crate::query::types::Type;

/// Behind the name of a parser that tells upper from lower case.
const KEEPS_CASE: &str = ":case";

/// The parser of a column's inverted index, `none` when values are indexed whole; `None` without an index.
pub fn text_parser(table: &OlapTable, column: &str) -> Option<String> {
    let index = table.secondary_indexes.iter().find(|index| {
        index.kind == "INVERTED" && index.columns.iter().any(|name| name.eq_ignore_ascii_case(column))
    })?;
    let property = |name: &str| index.properties.get(name).map(|value| value.to_lowercase());
    let parser = property("parser").unwrap_or_else(|| "none".to_owned());
    let keeps_case = property("lower_case").is_some_and(|value| value == "false");
    Some(if keeps_case { format!("{parser}{KEEPS_CASE}") } else { parser })
}

impl Compiler<'_> {
    pub(super) fn matching(&self, function: &str, column: &Typed, wanted: &Typed) -> SqlResult<Typed> {
        let (Some(origin), Some(wanted)) = (&column.column, &wanted.literal) else {
            return Err(SqlError::general(
                "Only support match left operand is SlotRef, right operand is Literal",
            ));
        };
        if column.ty != Type::Text {
            return Err(SqlError::general(format!(
                "Can not find the compatibility function signature: {function}"
            )));
        }
        let forbids = |value: &String| value.eq_ignore_ascii_case("false") || value == "0";
        if origin.text_parser.is_none()
            && self.session.variables.get("enable_match_without_inverted_index").is_some_and(forbids)
        {
            return Err(SqlError::general(format!("[E-6001]{function} not support execute_match")));
        }
        let parser = origin.text_parser.as_deref().unwrap_or("none");
        let text = to_text(&column.sql, column.ty);
        let arguments = [function, parser, wanted].map(quote_text).join(", ");
        let sql = format!("CASE WHEN {text} IS NULL THEN NULL ELSE text_match({arguments}, {text}) END");
        Ok(Typed::new(sql, Type::Bool))
    }
}

/// Whether a text matches; `parser` is that of [`text_parser`].
pub fn text_matches(function: &str, parser: &str, wanted: &str, text: &str) -> bool {
    let text = words(parser, text);
    if function == "match_regexp" {
        // Over the words as they are indexed; a pattern that cannot be read matches nothing.
        return Regex::new(wanted).is_ok_and(|pattern| text.iter().any(|word| pattern.is_match(word)));
    }
    let wanted = words(parser, wanted);
    // Nothing to look for is found nowhere.
    let Some(((first, last), inner)) = wanted
        .first()
        .zip(wanted.last())
        .map(|ends| (ends, wanted.get(1..wanted.len() - 1).unwrap_or_default()))
    else {
        return false;
    };
    match function {
        "match_any" => wanted.iter().any(|word| text.contains(word)),
        "match_all" => wanted.iter().all(|word| text.contains(word)),
        "match_phrase" => text.windows(wanted.len()).any(|window| window == wanted),
        "match_phrase_prefix" => text.windows(wanted.len()).any(|window| {
            let (end, start) = window.split_last().expect("windows are not empty");
            start == &wanted[..wanted.len() - 1] && end.starts_with(last)
        }),
        "match_phrase_edge" if wanted.len() == 1 => text.iter().any(|word| word.contains(first)),
        "match_phrase_edge" => text.windows(wanted.len()).any(|window| {
            window[0].ends_with(first)
                && window[window.len() - 1].starts_with(last)
                && &window[1..window.len() - 1] == inner
        }),
        _ => false,
    }
}

/// A text as its parser cuts it: runs of letters and digits, and single characters of scripts without blanks
/// unless the parser knows English only.
fn words(parser: &str, text: &str) -> Vec<String> {
    let (parser, keeps_case) = match parser.strip_suffix(KEEPS_CASE) {
        Some(parser) => (parser, true),
        None => (parser, false),
    };
    if parser == "none" {
        return vec![text.to_owned()];
    }
    let mut words = vec![String::new()];
    for ch in text.chars() {
        let stands_alone = parser != "english" && is_ideograph(ch);
        if stands_alone || !ch.is_alphanumeric() {
            words.push(String::new());
        }
        if !ch.is_alphanumeric() {
            continue;
        }
        if let Some(word) = words.last_mut() {
            match keeps_case {
                true => word.push(ch),
                false => word.extend(ch.to_lowercase()),
            }
        }
        if stands_alone {
            words.push(String::new());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Han, kana and hangul.
fn is_ideograph(ch: char) -> bool {
    matches!(ch, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}')
}

#[cfg(test)]
mod tests {
    use super::text_matches;

    #[test]
    fn words_and_phrases() {
        for (function, parser, wanted, text, expected) in [
            ("match_any", "english", "quick slow", "The Quick, brown fox", true),
            ("match_any", "english", "slow", "the quick brown fox", false),
            ("match_all", "english", "fox quick", "the quick brown fox", true),
            ("match_all", "english", "fox slow", "the quick brown fox", false),
            ("match_phrase", "english", "quick brown", "the quick brown fox", true),
            ("match_phrase", "english", "brown quick", "the quick brown fox", false),
            ("match_phrase_prefix", "english", "quick bro", "the quick brown fox", true),
            ("match_phrase_prefix", "english", "bro", "the quick brown fox", true),
            ("match_phrase_prefix", "english", "bro quick", "the quick brown fox", false),
            ("match_phrase_edge", "english", "ick brown fo", "the quick brown fox", true),
            ("match_phrase_edge", "english", "row", "the quick brown fox", true),
            ("match_phrase_edge", "english", "ick fo", "the quick brown fox", false),
            ("match_any", "english", " ,", "the quick brown fox", false),
            ("match_any", "none", "quick", "the quick brown fox", false),
            ("match_any", "none", "The fox", "The fox", true),
            ("match_regexp", "english", "^qu.*k$", "The Quick, brown fox", true),
            ("match_regexp", "english", "quick brown", "the quick brown fox", false),
            ("match_regexp", "none", "ick b", "the quick brown fox", true),
            ("match_regexp", "english", "(", "the quick brown fox", false),
            ("match_any", "english:case", "quick", "The Quick fox", false),
            ("match_any", "unicode", "国", "中国 Doris", true),
            ("match_any", "english", "国", "中国 Doris", false),
            ("match_phrase", "chinese", "中国", "我爱中国", true),
            ("match_all", "standard", "doris 中", "中国Doris", true),
        ] {
            assert_eq!(text_matches(function, parser, wanted, text), expected, "{text} {function} {wanted}");
        }
    }
}
