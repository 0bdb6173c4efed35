//! Paths into JSON documents: `$.a.b[0]`, of which stream load takes one per column.

use serde_json::Value;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct JsonPath {
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Field(String),
    Item(usize),
}

impl JsonPath {
    /// `None` when the text is no path.
    pub fn parse(text: &str) -> Option<Self> {
        let mut rest = text.trim().strip_prefix('$')?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix('.') {
                let end = after.find(['.', '[']).unwrap_or(after.len());
                let (name, tail) = after.split_at(end);
                steps.push(Step::Field(name.trim_matches('"').to_owned()));
                rest = tail;
            } else {
                let (inside, tail) = rest.strip_prefix('[')?.split_once(']')?;
                steps.push(match inside.parse() {
                    Ok(at) => Step::Item(at),
                    Err(_) => Step::Field(inside.trim_matches(['"', '\'']).to_owned()),
                });
                rest = tail;
            }
        }
        Some(Self { steps })
    }

    pub fn find<'a>(&self, document: &'a Value) -> Option<&'a Value> {
        self.steps.iter().try_fold(document, |at, step| match step {
            Step::Field(name) => at.get(name),
            Step::Item(index) => at.get(index),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::JsonPath;

    #[test]
    fn paths_lead_to_values() {
        let document = serde_json::json!({"a": {"b": [10, {"c d": 20}]}, "e": null});
        for (path, found) in [
            ("$.a.b[0]", Some("10")),
            ("$.a.b[1].c d", Some("20")),
            ("$['a'][\"b\"][0]", Some("10")),
            ("$.e", Some("null")),
            ("$.a.x", None),
        ] {
            let path = JsonPath::parse(path).unwrap();
            assert_eq!(path.find(&document).map(ToString::to_string).as_deref(), found, "{path:?}");
        }
        assert!(JsonPath::parse("a.b").is_none());
        assert!(JsonPath::parse("$[").is_none());
    }
}
