//! The fields of a request, taken one by one; what is left at the end is not known, and ignored with a warning.
//!
//! Keys are matched whatever their case. `null` is the same as leaving the field out.

use std::collections::BTreeMap;

use ccr_core::job::SpecError;
use serde_json::{Map, Value};

use super::ignored;

#[derive(Debug)]
pub(super) struct Fields {
    /// Prefix of the names in errors: empty, or `src.`.
    prefix: String,
    /// By name in lower case; with the name as written.
    values: BTreeMap<String, (String, Value)>,
    /// A name that was taken and had come in two spellings, told at the end.
    twice: Option<String>,
    /// Names that came in two spellings: in lower case, and one as written.
    repeated: BTreeMap<String, String>,
}

pub(super) type FieldResult<T> = Result<T, SpecError>;

impl Fields {
    pub(super) fn new(map: Map<String, Value>) -> Self {
        Self::nested(String::new(), map)
    }

    fn nested(prefix: String, map: Map<String, Value>) -> Self {
        let mut values = BTreeMap::new();
        let mut repeated = BTreeMap::new();
        for (name, value) in map {
            let key = name.to_lowercase();
            if let Some((other, _)) = values.insert(key.clone(), (name, value)) {
                repeated.insert(key, other);
            }
        }
        Self { prefix, values, twice: None, repeated }
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        if let Some(written) = self.repeated.remove(name) {
            self.twice.get_or_insert(written);
        }
        self.values.remove(name).map(|(_, value)| value).filter(|value| !value.is_null())
    }

    fn wrong<T>(&self, name: &str, wanted: &str, found: &Value) -> FieldResult<T> {
        let problem = format!("must be {wanted}, not {}", kind(found));
        Err(SpecError::new(format!("{}{name}", self.prefix), problem))
    }

    pub(super) fn string(&mut self, name: &str) -> FieldResult<Option<String>> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => self.wrong(name, "a string", &other),
        }
    }

    /// Present and not empty.
    pub(super) fn required(&mut self, name: &str) -> FieldResult<String> {
        match self.string(name)? {
            Some(text) if !text.is_empty() => Ok(text),
            Some(_) => Err(SpecError::new(format!("{}{name}", self.prefix), "must not be empty")),
            None => Err(SpecError::new(format!("{}{name}", self.prefix), "is required")),
        }
    }

    pub(super) fn boolean(&mut self, name: &str) -> FieldResult<Option<bool>> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(value)),
            Some(other) => self.wrong(name, "true or false", &other),
        }
    }

    pub(super) fn integer(&mut self, name: &str) -> FieldResult<Option<i64>> {
        match self.take(name) {
            None => Ok(None),
            Some(value) => match value.as_i64() {
                Some(number) => Ok(Some(number)),
                None => self.wrong(name, "an integer", &value),
            },
        }
    }

    /// From 0 to `max`.
    pub(super) fn number(&mut self, name: &str, max: u32) -> FieldResult<Option<u32>> {
        match self.integer(name)? {
            None => Ok(None),
            Some(number) => match u32::try_from(number).ok().filter(|number| *number <= max) {
                Some(number) => Ok(Some(number)),
                None => {
                    let problem = format!("must be from 0 to {max}, not {number}");
                    Err(SpecError::new(format!("{}{name}", self.prefix), problem))
                }
            },
        }
    }

    /// Of any type.
    pub(super) fn any(&mut self, name: &str) -> Option<Value> {
        self.take(name)
    }

    /// A port as a number, or as a string like the original wants it.
    pub(super) fn port(&mut self, name: &str) -> FieldResult<u16> {
        let wanted = "a port from 1 to 65535, as a number or a string";
        let value = match self.take(name) {
            None => return Err(SpecError::new(format!("{}{name}", self.prefix), "is required")),
            Some(value) => value,
        };
        let port = match &value {
            Value::Number(number) => number.as_u64().and_then(|number| u16::try_from(number).ok()),
            Value::String(text) => text.trim().parse().ok(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        };
        match (port.filter(|port| *port != 0), &value) {
            (Some(port), _) => Ok(port),
            (None, Value::Number(_) | Value::String(_)) => {
                let problem = format!("must be {wanted}, not {value}");
                Err(SpecError::new(format!("{}{name}", self.prefix), problem))
            }
            (None, _) => self.wrong(name, wanted, &value),
        }
    }

    /// An object whose values are strings.
    pub(super) fn mapping(&mut self, name: &str) -> FieldResult<Option<BTreeMap<String, String>>> {
        let map = match self.take(name) {
            None => return Ok(None),
            Some(Value::Object(map)) => map,
            Some(other) => return self.wrong(name, "an object of private to public addresses", &other),
        };
        let mut mapping = BTreeMap::new();
        for (key, value) in map {
            match value {
                Value::String(text) if !key.is_empty() => mapping.insert(key, text),
                Value::String(_) => {
                    let problem = "must not have an empty private address";
                    return Err(SpecError::new(format!("{}{name}", self.prefix), problem));
                }
                other => return self.wrong(&format!("{name}.{key}"), "a string", &other),
            };
        }
        Ok(Some(mapping))
    }

    pub(super) fn object(&mut self, name: &str) -> FieldResult<Fields> {
        match self.take(name) {
            None => Err(SpecError::new(format!("{}{name}", self.prefix), "is required")),
            Some(Value::Object(map)) => Ok(Self::nested(format!("{}{name}.", self.prefix), map)),
            Some(other) => self.wrong(name, "an object", &other),
        }
    }

    pub(super) fn objects(&mut self, name: &str) -> FieldResult<Vec<Fields>> {
        let list = match self.take(name) {
            None => return Ok(Vec::new()),
            Some(Value::Array(list)) => list,
            Some(other) => return self.wrong(name, "an array of objects", &other),
        };
        let nested = |(index, item)| match item {
            Value::Object(map) => Ok(Self::nested(format!("{}{name}[{index}].", self.prefix), map)),
            other => self.wrong(&format!("{name}[{index}]"), "an object", &other),
        };
        list.into_iter().enumerate().map(nested).collect()
    }

    /// Refuses a field that this request cannot have although another can.
    pub(super) fn refuse(&mut self, name: &str, problem: &str) -> FieldResult<()> {
        match self.take(name) {
            None => Ok(()),
            Some(_) => Err(SpecError::new(format!("{}{name}", self.prefix), problem)),
        }
    }

    /// Refuses what was given twice, and ignores what was not taken.
    pub(super) fn finish(self) -> FieldResult<()> {
        if let Some(name) = self.twice {
            return Err(SpecError::new(format!("{}{name}", self.prefix), "is given twice"));
        }
        for (name, _) in self.values.into_values() {
            ignored::note(format!("{}{name}", self.prefix));
        }
        Ok(())
    }
}

/// What a value is, without showing it.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
