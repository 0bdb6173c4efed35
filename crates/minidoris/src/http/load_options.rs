//! The headers of a stream load.

use axum::http::HeaderMap;

use super::json_path::JsonPath;
use crate::query::target::PartitionChoice;

/// What the headers ask for; header names are those of Doris.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LoadOptions {
    pub label: Option<String>,
    pub format: Format,
    pub column_separator: Vec<u8>,
    pub line_delimiter: Vec<u8>,
    /// Names of the fields of a line; empty: the columns of the table in order.
    pub columns: Vec<String>,
    /// `column = expression` of the header `columns`.
    pub expressions: Vec<(String, String)>,
    /// The header `where`: only rows that meet it are loaded.
    pub condition: Option<String>,
    /// One per field instead of its name, in a JSON load.
    pub json_paths: Vec<JsonPath>,
    /// Where the rows are in a JSON document.
    pub json_root: Option<JsonPath>,
    /// The field that holds the hidden sequence column.
    pub sequence: Option<String>,
    /// Leaves the transaction PRECOMMITTED.
    pub two_phase_commit: bool,
    pub max_filter_ratio: f64,
    pub strict_mode: bool,
    pub partitions: PartitionChoice,
    pub timeout_s: Option<i64>,
    pub skip_lines: usize,
    pub trim_double_quotes: bool,
    pub merge: Merge,
}

/// `merge_type`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Merge {
    Append,
    /// Every row deletes its key.
    Delete,
    /// Rows that meet the condition do.
    DeleteWhere(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Csv,
    /// One object per line, or one array of objects.
    Json {
        by_line: bool,
        outer_array: bool,
    },
}

/// Headers that change the meaning of a load and that this backend does not follow.
const UNSUPPORTED: [&str; 2] = ["enclose", "sequence_type"];

impl LoadOptions {
    /// Reads the headers; the error is the message of the answer.
    pub fn read(headers: &HeaderMap) -> Result<Self, String> {
        let header =
            |name: &str| headers.get(name).and_then(|value| std::str::from_utf8(value.as_bytes()).ok());
        let flag = |name: &str| header(name).is_some_and(|value| value.eq_ignore_ascii_case("true"));
        if let Some(name) =
            UNSUPPORTED.iter().find(|name| header(name).is_some_and(|value| !value.is_empty()))
        {
            return Err(format!("[NOT_IMPLEMENTED_ERROR]header {name} is not supported"));
        }
        let mut skip_lines = match header("skip_lines") {
            Some(text) => {
                text.parse().map_err(|_| format!("[INVALID_ARGUMENT]Invalid 'skip_lines': {text}"))?
            }
            None => 0,
        };
        let format = match header("format").unwrap_or("csv").to_ascii_lowercase().as_str() {
            "csv" | "" => Format::Csv,
            "csv_with_names" => {
                skip_lines += 1;
                Format::Csv
            }
            "json" => {
                let outer_array = flag("strip_outer_array");
                Format::Json { by_line: flag("read_json_by_line") || !outer_array, outer_array }
            }
            other => return Err(format!("[INTERNAL_ERROR]unknown data format, format={other}")),
        };
        if header("compress_type").is_some_and(|value| !value.is_empty()) {
            return Err("[NOT_IMPLEMENTED_ERROR]compress_type is not supported".to_owned());
        }
        let max_filter_ratio = match header("max_filter_ratio") {
            Some(text) => text
                .parse()
                .ok()
                .filter(|ratio| (0.0..=1.0).contains(ratio))
                .ok_or("[INVALID_ARGUMENT]max_filter_ratio must be between 0 and 1")?,
            None => 0.0,
        };
        let given =
            |name: &str| header(name).map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
        let merge_type = header("merge_type").unwrap_or("APPEND").to_ascii_uppercase();
        let merge = match (merge_type.as_str(), given("delete")) {
            ("APPEND", None) => Merge::Append,
            ("DELETE", None) => Merge::Delete,
            ("MERGE", Some(condition)) => Merge::DeleteWhere(condition),
            ("MERGE", None) => {
                return Err(
                    "[INVALID_ARGUMENT]Excepted DELETE ON clause when merge type is MERGE.".to_owned()
                );
            }
            ("APPEND" | "DELETE", Some(_)) => {
                return Err(
                    "[INVALID_ARGUMENT]not support DELETE ON clause when merge type is not MERGE.".to_owned()
                );
            }
            (other, _) => return Err(format!("[INVALID_ARGUMENT]Invalid merge type {other}")),
        };
        let names = |text: &str| -> Vec<String> {
            text.split(',').map(|name| name.trim().trim_matches('`').to_owned()).collect()
        };
        let (mut columns, mut expressions) = (Vec::new(), Vec::new());
        for item in top_level_items(&given("columns").unwrap_or_default()) {
            match item.split_once('=') {
                Some((name, expression)) => {
                    expressions.push((plain_name(name), expression.trim().to_owned()))
                }
                None => columns.push(plain_name(item)),
            }
        }
        let path = |text: &str| {
            JsonPath::parse(text).ok_or_else(|| format!("[INVALID_ARGUMENT]Invalid json path: {text}"))
        };
        let json_paths = match given("jsonpaths") {
            None => Vec::new(),
            Some(text) => serde_json::from_str::<Vec<String>>(&text)
                .map_err(|_| format!("[INVALID_ARGUMENT]Invalid json path: {text}"))?
                .iter()
                .map(|text| path(text))
                .collect::<Result<_, _>>()?,
        };
        let partitions = match (header("partitions"), header("temporary_partitions")) {
            (_, Some(text)) if !text.is_empty() => PartitionChoice { names: names(text), temporary: true },
            (Some(text), _) if !text.is_empty() => PartitionChoice { names: names(text), temporary: false },
            _ => PartitionChoice::default(),
        };
        let separator = |name: &str, default: &str| unescape(header(name).unwrap_or(default));
        Ok(Self {
            label: header("label").filter(|label| !label.is_empty()).map(str::to_owned),
            format,
            column_separator: separator("column_separator", "\\t")?,
            line_delimiter: separator("line_delimiter", "\\n")?,
            columns,
            expressions,
            condition: given("where"),
            json_paths,
            json_root: given("json_root").map(|text| path(&text)).transpose()?,
            sequence: given("function_column.sequence_col"),
            two_phase_commit: flag("two_phase_commit"),
            max_filter_ratio,
            strict_mode: flag("strict_mode"),
            partitions,
            timeout_s: header("timeout").and_then(|text| text.parse().ok()),
            skip_lines,
            trim_double_quotes: flag("trim_double_quotes"),
            merge,
        })
    }
}

fn plain_name(text: &str) -> String {
    text.trim().trim_matches('`').to_owned()
}

/// What stands between the commas that are in no parentheses and no quotes.
fn top_level_items(text: &str) -> Vec<&str> {
    let (mut items, mut start, mut depth, mut quote) = (Vec::new(), 0, 0_usize, None);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), _) if open == c => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"' | '`') => quote = Some(c),
            (None, '(') => depth += 1,
            (None, ')') => depth = depth.saturating_sub(1),
            (None, ',') if depth == 0 => {
                items.push(&text[start..at]);
                start = at + 1;
            }
            (None, _) => {}
        }
    }
    items.push(&text[start..]);
    items.retain(|item| !item.trim().is_empty());
    items
}

/// A separator with `\t`, `\n`, `\r`, `\\` and `\xHH` understood; a text that starts with `\x` is
/// hexadecimal to its end (`\x01`, `\x0102`).
fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let bad = || format!("[INVALID_ARGUMENT]Invalid separator '{text}'");
    if let Some(hex) =
        text.strip_prefix("\\x").or_else(|| text.strip_prefix("\\X")).filter(|hex| !hex.contains('\\'))
    {
        if hex.is_empty() || hex.len() % 2 != 0 || !hex.is_ascii() {
            return Err(bad());
        }
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).map_err(|_| bad());
        return (0..hex.len()).step_by(2).map(byte).collect();
    }
    let mut out = Vec::new();
    let mut bytes = text.bytes().peekable();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match bytes.next() {
            Some(b't') => out.push(b'\t'),
            Some(b'n') => out.push(b'\n'),
            Some(b'r') => out.push(b'\r'),
            Some(b'\\') => out.push(b'\\'),
            Some(b'x' | b'X') => {
                let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
                let (high, low) = (digit(bytes.next()), digit(bytes.next()));
                let (high, low) = high.zip(low).ok_or_else(bad)?;
                out.push((high * 16 + low) as u8);
            }
            Some(other) => out.extend([b'\\', other]),
            None => out.push(b'\\'),
        }
    }
    if out.is_empty() { Err(bad()) } else { Ok(out) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&'static str, &'static str)]) -> Result<LoadOptions, String> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, value.parse().unwrap());
        }
        LoadOptions::read(&headers)
    }

    #[test]
    fn separators_may_be_escaped() {
        assert_eq!(unescape("\\x01"), Ok(vec![1]));
        assert_eq!(unescape("\\x0a0B"), Ok(vec![10, 11]));
        assert_eq!(unescape("|"), Ok(b"|".to_vec()));
        assert_eq!(unescape("||\\x02"), Ok(b"||\x02".to_vec()));
        assert_eq!(unescape("\\t"), Ok(b"\t".to_vec()));
        assert!(unescape("\\x0").is_err());
        assert!(unescape("").is_err());
    }

    #[test]
    fn defaults_and_refusals() {
        let options = read(&[]).unwrap();
        assert_eq!((options.format, options.column_separator.as_slice()), (Format::Csv, b"\t".as_slice()));
        let options = read(&[("format", "json"), ("strip_outer_array", "true")]).unwrap();
        assert_eq!(options.format, Format::Json { by_line: false, outer_array: true });
        let options = read(&[("columns", "a, `b`"), ("partitions", "p1,p2")]).unwrap();
        assert_eq!(options.columns, ["a", "b"]);
        assert_eq!(options.partitions.names, ["p1", "p2"]);
        let options =
            read(&[("columns", "a, `b`, c = concat(a, ',', b), d=b"), ("where", " a > 1 ")]).unwrap();
        assert_eq!(options.columns, ["a", "b"]);
        let expressions = [("c", "concat(a, ',', b)"), ("d", "b")];
        assert_eq!(options.expressions, expressions.map(|(name, text)| (name.to_owned(), text.to_owned())));
        assert_eq!(options.condition.as_deref(), Some("a > 1"));
        let options = read(&[("merge_type", "MERGE"), ("delete", "x = 1")]).unwrap();
        assert_eq!(options.merge, Merge::DeleteWhere("x = 1".to_owned()));
        for pair in [
            ("max_filter_ratio", "2"),
            ("format", "parquet"),
            ("merge_type", "MERGE"),
            ("delete", "x = 1"),
            ("jsonpaths", "[\"a\"]"),
        ] {
            assert!(read(&[pair]).is_err(), "{pair:?}");
        }
    }
}
