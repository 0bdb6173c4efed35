//! The identity text of a partition ("range"), the only key that maps a partition across clusters.
//!
//! The FE prints it in UPSERT records, in the answer of `getMeta` and in SHOW PROC, and keeps its form frozen:
//!
//! | table | text |
//! |---|---|
//! | unpartitioned | empty |
//! | RANGE | `[` lower `..` upper `)` |
//! | LIST | `[` key `, ` key … `]` |
//!
//! where each key is `types: [T1, T2]; keys: [v1, v2]; ` with the trailing blank. Values are printed bare, so a
//! text value that itself holds `, ` or `]; ` is ambiguous. Compare partitions by the text as it came;
//! [`PartitionRange`] is for building that text and for looking into it. Whatever parses prints back to the
//! same text.

use std::fmt;
use std::str::FromStr;

/// The values of a partition, as its identity text states them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PartitionRange {
    Unpartitioned,
    /// From `lower` inclusive to `upper` exclusive.
    Range {
        lower: PartitionKey,
        upper: PartitionKey,
    },
    /// Never empty. The default partition has the one key [`PartitionKey::default_list`].
    List(Vec<PartitionKey>),
}

/// One key: a value per partition column.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct PartitionKey {
    /// Primitive type names (`INT`, `DATEV2`, `VARCHAR`…), one per value.
    pub types: Vec<String>,
    /// Plain values; `yyyy-MM-dd`, `yyyy-MM-dd HH:mm:ss[.ffffff]`, `MAXVALUE`, `NULL`.
    pub keys: Vec<String>,
}

/// A text that is no partition identity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("partition range is malformed at byte {position}: expected {expected}")]
pub struct RangeError {
    /// Byte offset in the text.
    pub position: usize,
    pub expected: &'static str,
}

/// How the upper end of an unbounded range partition prints.
pub const MAX_VALUE: &str = "MAXVALUE";
/// How a null value of a list partition prints.
pub const NULL: &str = "NULL";
const DEFAULT_KEY: &str = "default key";

const TYPES: &str = "types: [";
const KEYS: &str = "]; keys: [";
const KEY_END: &str = "]; ";

impl PartitionKey {
    pub fn new(
        types: impl IntoIterator<Item = impl Into<String>>,
        keys: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        Self {
            types: types.into_iter().map(Into::into).collect(),
            keys: keys.into_iter().map(Into::into).collect(),
        }
    }

    /// The key of a default LIST partition.
    pub fn default_list() -> Self {
        Self { types: Vec::new(), keys: vec![DEFAULT_KEY.to_owned()] }
    }

    pub fn is_default_list(&self) -> bool {
        self.types.is_empty() && self.keys == [DEFAULT_KEY]
    }

    /// The lower end of an unbounded range partition: the smallest value of each type. `None` when a type has
    /// no smallest value that the FE prints, as texts and floats.
    pub fn minimum(types: &[&str]) -> Option<Self> {
        let keys: Option<Vec<&str>> = types.iter().map(|name| minimum_value(name)).collect();
        Some(Self::new(types.iter().copied(), keys?))
    }

    /// The upper end of an unbounded range partition.
    pub fn maximum(types: &[&str]) -> Self {
        Self::new(types.iter().copied(), types.iter().map(|_| MAX_VALUE))
    }
}

impl PartitionRange {
    pub fn range(lower: PartitionKey, upper: PartitionKey) -> Self {
        Self::Range { lower, upper }
    }

    /// # Errors
    /// When the text has none of the three forms.
    pub fn parse(text: &str) -> Result<Self, RangeError> {
        if text.is_empty() {
            return Ok(Self::Unpartitioned);
        }
        let mut parser = Parser { text, at: 0 };
        parser.expect("[")?;
        let first = parser.key()?;
        if parser.take("..") {
            let upper = parser.key()?;
            parser.expect(")")?;
            parser.end()?;
            return Ok(Self::Range { lower: first, upper });
        }
        let mut keys = vec![first];
        while parser.take(", ") {
            keys.push(parser.key()?);
        }
        parser.expect("]")?;
        parser.end()?;
        Ok(Self::List(keys))
    }

    /// Whether this is the default partition of a LIST table.
    pub fn is_default_list(&self) -> bool {
        match self {
            Self::List(keys) => keys.iter().any(PartitionKey::is_default_list),
            Self::Unpartitioned | Self::Range { .. } => false,
        }
    }
}

/// The smallest value of a type as the FE prints it for an open lower end.
pub fn minimum_value(type_name: &str) -> Option<&'static str> {
    Some(match type_name {
        "TINYINT" => "-128",
        "SMALLINT" => "-32768",
        "INT" => "-2147483648",
        "BIGINT" => "-9223372036854775808",
        "LARGEINT" => "-170141183460469231731687303715884105728",
        "DATE" | "DATEV2" => "0000-01-01",
        "DATETIME" | "DATETIMEV2" => "0000-01-01 00:00:00",
        _ => return None,
    })
}

impl fmt::Display for PartitionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{TYPES}{}{KEYS}{}{KEY_END}", self.types.join(", "), self.keys.join(", "))
    }
}

impl fmt::Display for PartitionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unpartitioned => Ok(()),
            Self::Range { lower, upper } => write!(f, "[{lower}..{upper})"),
            Self::List(keys) => {
                f.write_str("[")?;
                for (position, key) in keys.iter().enumerate() {
                    let separator = if position == 0 { "" } else { ", " };
                    write!(f, "{separator}{key}")?;
                }
                f.write_str("]")
            }
        }
    }
}

impl FromStr for PartitionRange {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Self, RangeError> {
        Self::parse(text)
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn take(&mut self, wanted: &str) -> bool {
        let found = self.rest().starts_with(wanted);
        if found {
            self.at += wanted.len();
        }
        found
    }

    fn expect(&mut self, wanted: &'static str) -> Result<(), RangeError> {
        if self.take(wanted) { Ok(()) } else { Err(self.error(wanted)) }
    }

    fn end(&self) -> Result<(), RangeError> {
        if self.rest().is_empty() { Ok(()) } else { Err(self.error("the end of the text")) }
    }

    fn error(&self, expected: &'static str) -> RangeError {
        RangeError { position: self.at, expected }
    }

    fn key(&mut self) -> Result<PartitionKey, RangeError> {
        self.expect(TYPES)?;
        let types_end = self.rest().find(KEYS).ok_or_else(|| self.error(KEYS))?;
        let types = split_list(&self.rest()[..types_end]);
        self.at += types_end + KEYS.len();
        let keys_end = key_end(self.rest()).ok_or_else(|| self.error(KEY_END))?;
        let keys = split_keys(&self.rest()[..keys_end], &types);
        self.at += keys_end + KEY_END.len();
        Ok(PartitionKey { types, keys })
    }
}

/// Where the values end: the first `]; ` that is followed by what may follow a key, since a text value may
/// hold `]; ` itself.
fn key_end(rest: &str) -> Option<usize> {
    rest.match_indices(KEY_END).map(|(at, _)| at).find(|at| {
        let behind = &rest[at + KEY_END.len()..];
        behind == ")" || behind == "]" || behind.starts_with("..types: [") || behind.starts_with(", types: [")
    })
}

fn split_list(text: &str) -> Vec<String> {
    if text.is_empty() { Vec::new() } else { text.split(", ").map(str::to_owned).collect() }
}

/// One value per type. Where a text value holds the separator, the surplus belongs to the first text column,
/// which is right whenever there is only one.
fn split_keys(text: &str, types: &[String]) -> Vec<String> {
    if types.is_empty() {
        return split_list(text);
    }
    let mut pieces: Vec<String> = text.split(", ").map(str::to_owned).collect();
    if pieces.len() > types.len() {
        let surplus = pieces.len() - types.len();
        let column = types.iter().position(|name| is_text(name)).unwrap_or(0);
        let value = pieces[column..=column + surplus].join(", ");
        pieces.splice(column..=column + surplus, [value]);
    }
    pieces
}

fn is_text(type_name: &str) -> bool {
    matches!(type_name, "CHAR" | "VARCHAR" | "STRING" | "TEXT")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(types: &[&str], keys: &[&str]) -> PartitionKey {
        PartitionKey::new(types.iter().copied(), keys.iter().copied())
    }

    #[test]
    fn prints_and_reads_the_frozen_texts() {
        let cases = [
            ("", PartitionRange::Unpartitioned),
            (
                "[types: [INT]; keys: [1]; ..types: [INT]; keys: [10]; )",
                PartitionRange::range(key(&["INT"], &["1"]), key(&["INT"], &["10"])),
            ),
            (
                "[types: [DATEV2, INT]; keys: [2024-01-01, 5]; ..types: [DATEV2, INT]; keys: [2024-02-01, 5]; )",
                PartitionRange::range(
                    key(&["DATEV2", "INT"], &["2024-01-01", "5"]),
                    key(&["DATEV2", "INT"], &["2024-02-01", "5"]),
                ),
            ),
            (
                "[types: [DATETIMEV2]; keys: [0000-01-01 00:00:00]; ..types: [DATETIMEV2]; keys: [MAXVALUE]; )",
                PartitionRange::range(
                    PartitionKey::minimum(&["DATETIMEV2"]).unwrap(),
                    PartitionKey::maximum(&["DATETIMEV2"]),
                ),
            ),
            (
                "[types: [VARCHAR]; keys: [bj]; , types: [VARCHAR]; keys: [NULL]; ]",
                PartitionRange::List(vec![key(&["VARCHAR"], &["bj"]), key(&["VARCHAR"], &[NULL])]),
            ),
            ("[types: []; keys: [default key]; ]", PartitionRange::List(vec![PartitionKey::default_list()])),
        ];
        for (text, range) in cases {
            assert_eq!(range.to_string(), text);
            assert_eq!(PartitionRange::parse(text).unwrap(), range);
            assert_eq!(range.is_default_list(), text.contains("default"), "{text}");
        }
    }

    #[test]
    fn separators_inside_a_text_value_belong_to_it() {
        let range = PartitionRange::List(vec![
            key(&["INT", "VARCHAR", "INT"], &["1", "a, b]; c", "2"]),
            key(&[], &[]),
        ]);
        let PartitionRange::List(keys) = &range else { panic!() };
        let only = PartitionRange::List(vec![keys[0].clone()]);
        assert_eq!(PartitionRange::parse(&only.to_string()).unwrap(), only);
    }

    #[test]
    fn an_empty_text_is_a_value() {
        let range = PartitionRange::List(vec![key(&["VARCHAR"], &[""])]);
        assert_eq!(range.to_string(), "[types: [VARCHAR]; keys: []; ]");
        assert_eq!(PartitionRange::parse(&range.to_string()).unwrap(), range);
    }

    #[test]
    fn malformed_texts_are_refused_with_their_position() {
        for (text, position) in [
            ("x", 0),
            ("[", 1),
            ("[types: [INT]; keys: [1];)", 22),
            ("[types: [INT]; keys: [1]; )", 26),
            ("[types: [INT]; keys: [1]; ]x", 22),
            ("[types: [INT] keys: [1]; )", 9),
        ] {
            assert_eq!(PartitionRange::parse(text).unwrap_err().position, position, "{text}");
        }
    }

    fn plain_value() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<i64>().prop_map(|number| number.to_string()),
            "[0-9]{4}-[0-9]{2}-[0-9]{2}( [0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,6})?)?",
            "[\\p{L}_:;\\[\\]{}()\"'` -]{0,12}".prop_filter("ambiguous", |text| !text.contains("]; ")),
            Just(MAX_VALUE.to_owned()),
            Just(NULL.to_owned()),
        ]
    }

    fn any_key(width: usize) -> impl Strategy<Value = PartitionKey> {
        let column = (prop::sample::select(vec!["INT", "DATEV2", "VARCHAR", "LARGEINT"]), plain_value());
        prop::collection::vec(column, width).prop_map(|columns| {
            let (types, keys): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
            PartitionKey::new(types, keys)
        })
    }

    fn any_range() -> impl Strategy<Value = PartitionRange> {
        prop_oneof![
            Just(PartitionRange::Unpartitioned),
            (1..4_usize)
                .prop_flat_map(|width| (any_key(width), any_key(width)))
                .prop_map(|(lower, upper)| PartitionRange::range(lower, upper)),
            (1..4_usize)
                .prop_flat_map(|width| prop::collection::vec(any_key(width), 1..5))
                .prop_map(PartitionRange::List),
        ]
    }

    proptest! {
        #[test]
        fn printing_and_reading_is_lossless(range in any_range()) {
            prop_assert_eq!(PartitionRange::parse(&range.to_string()).unwrap(), range);
        }

        #[test]
        fn whatever_parses_prints_the_same_text(
            pieces in prop::collection::vec(
                prop::sample::select(vec![
                    "[", "]", ")", "types: [", "]; keys: [", "]; ", "..", ", ", "INT", "VARCHAR", "1", "x",
                ]),
                0..14,
            )
        ) {
            let text = pieces.concat();
            if let Ok(range) = PartitionRange::parse(&text) {
                prop_assert_eq!(range.to_string(), text);
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,60}") {
            let _ = PartitionRange::parse(&text);
        }
    }
}
