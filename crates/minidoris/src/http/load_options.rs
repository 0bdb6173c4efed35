//! The headers of a stream load.

use axum::http::HeaderMap;

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
    pub max_filter_ratio: f64,
    pub strict_mode: bool,
    pub partitions: PartitionChoice,
    pub timeout_s: Option<i64>,
    pub skip_lines: usize,
    pub trim_double_quotes: bool,
    /// `merge_type: DELETE`: every row deletes its key.
    pub deletes: bool,
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
const UNSUPPORTED: [&str; 6] = ["where", "jsonpaths", "json_root", "enclose", "sequence_type", "delete"];

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
        if flag("two_phase_commit") {
            return Err("[NOT_IMPLEMENTED_ERROR]two_phase_commit is not supported".to_owned());
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
        let deletes = match header("merge_type").unwrap_or("APPEND").to_ascii_uppercase().as_str() {
            "APPEND" => false,
            "DELETE" => true,
            other => return Err(format!("[NOT_IMPLEMENTED_ERROR]merge_type {other} is not supported")),
        };
        let names = |text: &str| -> Vec<String> {
            text.split(',').map(|name| name.trim().trim_matches('`').to_owned()).collect()
        };
        let columns = header("columns").filter(|text| !text.trim().is_empty()).map(names).unwrap_or_default();
        if let Some(expression) = columns.iter().find(|name| name.contains('=')) {
            return Err(format!("[NOT_IMPLEMENTED_ERROR]column expression '{expression}' is not supported"));
        }
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
            max_filter_ratio,
            strict_mode: flag("strict_mode"),
            partitions,
            timeout_s: header("timeout").and_then(|text| text.parse().ok()),
            skip_lines,
            trim_double_quotes: flag("trim_double_quotes"),
            deletes,
        })
    }
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
        for pair in [
            ("where", "a > 1"),
            ("columns", "a, b = a + 1"),
            ("max_filter_ratio", "2"),
            ("format", "parquet"),
            ("two_phase_commit", "true"),
        ] {
            assert!(read(&[pair]).is_err(), "{pair:?}");
        }
    }
}
