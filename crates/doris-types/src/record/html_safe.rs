//! JSON as Gson writes it by default: HTML-safe.
//!
//! Gson escapes `< > & = '` inside strings, and the two Unicode line separators. Readers must parse instead
//! of searching the text; writing the same escapes keeps them honest.

use std::io;

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

/// Compact JSON with Gson's HTML-safe escapes.
///
/// # Panics
/// When `value` cannot be JSON at all: a map whose keys are neither strings nor numbers, or a `Serialize`
/// that fails by itself. No type of this crate does.
pub fn html_safe_json<T: Serialize + ?Sized>(value: &T) -> String {
    let mut out = Vec::with_capacity(256);
    value
        .serialize(&mut Serializer::with_formatter(&mut out, HtmlSafe))
        .expect("writing to memory cannot fail and the value is representable in JSON");
    String::from_utf8(out).expect("the serializer writes whole strings and ASCII only")
}

struct HtmlSafe;

impl Formatter for HtmlSafe {
    fn write_string_fragment<W: io::Write + ?Sized>(&mut self, writer: &mut W, text: &str) -> io::Result<()> {
        let mut done = 0;
        for (at, found) in text.char_indices() {
            let Some(escape) = escape(found) else { continue };
            writer.write_all(&text.as_bytes()[done..at])?;
            writer.write_all(escape.as_bytes())?;
            done = at + found.len_utf8();
        }
        writer.write_all(&text.as_bytes()[done..])
    }
}

fn escape(found: char) -> Option<&'static str> {
    match found {
        '<' => Some("\\u003c"),
        '>' => Some("\\u003e"),
        '&' => Some("\\u0026"),
        '=' => Some("\\u003d"),
        '\'' => Some("\\u0027"),
        '\u{2028}' => Some("\\u2028"),
        '\u{2029}' => Some("\\u2029"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn escapes_what_gson_escapes() {
        assert_eq!(
            html_safe_json("a = 'b' <c> & \"d\"\n\u{2028}é"),
            r#""a \u003d \u0027b\u0027 \u003cc\u003e \u0026 \"d\"\n\u2028é""#
        );
    }

    #[test]
    fn escapes_keys_and_reads_back() {
        let map = BTreeMap::from([("a=b".to_owned(), "c&d".to_owned())]);
        let text = html_safe_json(&map);
        assert_eq!(text, r#"{"a\u003db":"c\u0026d"}"#);
        assert_eq!(serde_json::from_str::<BTreeMap<String, String>>(&text).unwrap(), map);
    }
}
