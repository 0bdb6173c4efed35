//! CSV and JSON bodies into rows of a table.

use crate::data::date::DateTime;
use crate::data::{Value, cast};
use crate::model::{Column, DataType};
use crate::query::writer::Writer;

use super::load_options::{Format, LoadOptions, Merge};

/// The fields of one row; `None` is NULL.
pub(super) type Fields = Vec<Option<String>>;

const NO_OBJECT: &str = "JSON data is array-object, `strip_outer_array` must be TRUE";

/// Reads a body row by row and hands the rows to a writer.
#[derive(Debug)]
pub(super) struct TextLoad<'a> {
    columns: &'a [Column],
    options: &'a LoadOptions,
    /// For each field of a line its column, or `None` when the table has no such column.
    fields: Vec<Option<usize>>,
    /// What columns without a field get; an error filters the row.
    pub defaults: Vec<Result<Value, String>>,
    pub total: u64,
    pub filtered: u64,
    pub first_error: Option<String>,
}

impl<'a> TextLoad<'a> {
    pub fn new(columns: &'a [Column], options: &'a LoadOptions, now: DateTime) -> Self {
        let position = |name: &str| columns.iter().position(|column| column.name.eq_ignore_ascii_case(name));
        let fields: Vec<Option<usize>> = if options.columns.is_empty() {
            (0..columns.len()).filter(|at| is_loaded(&columns[*at])).map(Some).collect()
        } else {
            options.columns.iter().map(|name| position(name)).collect()
        };
        let default = |column| cast::insert_default(column, now).map_err(|error| error.to_string());
        Self {
            columns,
            options,
            fields,
            defaults: columns.iter().map(default).collect(),
            total: 0,
            filtered: 0,
            first_error: None,
        }
    }

    /// Reads the whole body. The error is about the body, not about single rows.
    pub fn read(&mut self, body: &[u8], writer: &mut Writer<'_>) -> Result<(), String> {
        match self.options.format {
            Format::Csv => self.read_csv(body, writer),
            Format::Json { outer_array, .. } => return self.read_json(body, outer_array, writer),
        }
        Ok(())
    }

    fn read_csv(&mut self, body: &[u8], writer: &mut Writer<'_>) {
        let mut values = vec![Value::Null; self.columns.len()];
        for line in lines(body, self.options) {
            self.total += 1;
            let outcome = self.fill(line, &mut values).and_then(|()| self.hand_over(&mut values, writer));
            self.note(outcome);
        }
    }

    /// The names of the fields of a line.
    pub fn field_names(&self) -> Vec<String> {
        if !self.options.columns.is_empty() {
            return self.options.columns.clone();
        }
        self.fields.iter().flatten().map(|at| self.columns[*at].name.clone()).collect()
    }

    /// The fields of every row as text, or why a row has none. The error is about the body.
    pub fn fields(&self, body: &[u8]) -> Result<Vec<Result<Fields, String>>, String> {
        match self.options.format {
            Format::Csv => Ok(lines(body, self.options).map(|line| self.split(line)).collect()),
            Format::Json { outer_array, .. } => {
                let names = self.field_names();
                let rows = self.json_rows(body, outer_array)?.into_iter();
                Ok(rows.map(|row| row.and_then(|row| self.json_fields(&row, &names))).collect())
            }
        }
    }

    fn split(&self, line: &[u8]) -> Result<Fields, String> {
        let fields: Vec<Option<String>> = Split::with_last(line, &self.options.column_separator)
            .map(|field| self.field_text(field).map(|text| (text != "\\N").then(|| text.to_owned())))
            .collect::<Result<_, _>>()?;
        if fields.len() != self.fields.len() {
            return Err(wrong_count(fields.len(), self.fields.len()));
        }
        Ok(fields)
    }

    fn field_text<'f>(&self, field: &'f [u8]) -> Result<&'f str, String> {
        let text = std::str::from_utf8(field).map_err(|_| "the data is not valid UTF-8".to_owned())?;
        Ok(match self.options.trim_double_quotes {
            true => text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text),
            false => text,
        })
    }

    fn json_fields(&self, row: &serde_json::Value, names: &[String]) -> Result<Fields, String> {
        if !row.is_object() {
            return Err(NO_OBJECT.to_owned());
        }
        let field = |(at, name): (usize, &String)| match self.options.json_paths.get(at) {
            Some(path) => path.find(row),
            None => row.get(name),
        };
        Ok(names.iter().enumerate().map(field).map(|value| value.and_then(json_text)).collect())
    }

    /// Converts the fields of a line into `values`.
    fn fill(&self, line: &[u8], values: &mut [Value]) -> Result<(), String> {
        self.put_defaults(values);
        let mut count = 0;
        for (at, field) in Split::with_last(line, &self.options.column_separator).enumerate() {
            count = at + 1;
            let Some(Some(position)) = self.fields.get(at) else { continue };
            let column = &self.columns[*position];
            let text = self.field_text(field)?;
            values[*position] = if text == "\\N" { null(column)? } else { self.convert(text, column)? };
        }
        if count != self.fields.len() {
            return Err(wrong_count(count, self.fields.len()));
        }
        Ok(())
    }

    pub fn put_defaults(&self, values: &mut [Value]) {
        // Only columns without a field need it; usually none.
        let named = self.fields.iter().flatten().count();
        if named < values.len() {
            for (value, default) in values.iter_mut().zip(&self.defaults) {
                *value = default.clone().unwrap_or(Value::Null);
            }
        }
    }

    pub fn convert(&self, text: &str, column: &Column) -> Result<Value, String> {
        match cast::from_text(text, column) {
            Ok(value) => Ok(value),
            // What is no value of the type becomes NULL unless the load is strict; what is too long or
            // too large is always refused.
            Err(cast::CastError::Invalid { .. }) if !self.options.strict_mode && column.nullable => {
                Ok(Value::Null)
            }
            Err(error) => Err(error.to_string()),
        }
    }

    fn hand_over(&self, values: &mut [Value], writer: &mut Writer<'_>) -> Result<(), String> {
        for (at, default) in self.defaults.iter().enumerate() {
            if let Err(error) = default
                && values[at].is_null()
                && !self.fields.contains(&Some(at))
            {
                return Err(error.clone());
            }
        }
        writer.add(values, self.options.merge == Merge::Delete).map_err(|error| error.to_string())
    }

    fn note(&mut self, outcome: Result<(), String>) {
        if let Err(error) = outcome {
            self.filtered += 1;
            self.first_error.get_or_insert(error);
        }
    }

    fn read_json(&mut self, body: &[u8], outer_array: bool, writer: &mut Writer<'_>) -> Result<(), String> {
        for row in self.json_rows(body, outer_array)? {
            match row {
                Ok(row) => self.take_json(&row, writer),
                Err(error) => {
                    self.total += 1;
                    self.note(Err(error));
                }
            }
        }
        Ok(())
    }

    /// The documents of a body, below its root; one that cannot be read is a bad row.
    fn json_rows(
        &self,
        body: &[u8],
        outer_array: bool,
    ) -> Result<Vec<Result<serde_json::Value, String>>, String> {
        let bad = |error: serde_json::Error| format!("[DATA_QUALITY_ERROR]Parse json data failed: {error}");
        let root = |document: serde_json::Value| match &self.options.json_root {
            None => Ok(document),
            Some(path) => path.find(&document).cloned().ok_or_else(|| "JSON Root not found.".to_owned()),
        };
        if outer_array {
            let document = root(serde_json::from_slice(body).map_err(bad)?)?;
            let serde_json::Value::Array(rows) = document else {
                return Err(
                    "[DATA_QUALITY_ERROR]JSON data is not an array-object, `strip_outer_array` must be FALSE"
                        .to_owned(),
                );
            };
            return Ok(rows.into_iter().map(Ok).collect());
        }
        let pieces = Split::new(body, &self.options.line_delimiter);
        let pieces = pieces.filter(|line| !line.trim_ascii().is_empty());
        Ok(pieces.map(|line| serde_json::from_slice(line).map_err(bad).and_then(root)).collect())
    }

    fn take_json(&mut self, row: &serde_json::Value, writer: &mut Writer<'_>) {
        self.total += 1;
        let mut values = vec![Value::Null; self.columns.len()];
        let outcome = self.fill_json(row, &mut values).and_then(|()| self.hand_over(&mut values, writer));
        self.note(outcome);
    }

    fn fill_json(&self, row: &serde_json::Value, values: &mut [Value]) -> Result<(), String> {
        let Some(object) = row.as_object() else {
            return Err(NO_OBJECT.to_owned());
        };
        self.put_defaults(values);
        for (at, position) in self.fields.iter().enumerate() {
            let Some(position) = position else { continue };
            let column = &self.columns[*position];
            let name = self.options.columns.get(at).unwrap_or(&column.name);
            let found = match self.options.json_paths.get(at) {
                Some(path) => path.find(row),
                None => object.get(name),
            };
            values[*position] = match found {
                None => self.defaults[*position].clone()?,
                Some(serde_json::Value::Null) => null(column)?,
                Some(serde_json::Value::String(text)) => self.convert(text, column)?,
                Some(other) => self.convert(&other.to_string(), column)?,
            };
        }
        Ok(())
    }
}

/// The lines that hold rows.
fn lines<'b>(body: &'b [u8], options: &'b LoadOptions) -> impl Iterator<Item = &'b [u8]> {
    let lines = Split::new(body, &options.line_delimiter).skip(options.skip_lines);
    let without_return = |line: &'b [u8]| match line.last() {
        Some(b'\r') if options.line_delimiter == b"\n" => &line[..line.len() - 1],
        _ => line,
    };
    lines.map(without_return).filter(|line| !line.is_empty())
}

fn wrong_count(actual: usize, expected: usize) -> String {
    format!(
        "actual column number in csv file is {} than schema column number.actual number: {actual}, schema column \
         number: {expected}",
        if actual < expected { " less" } else { " more" },
    )
}

fn json_text(value: &serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn null(column: &Column) -> Result<Value, String> {
    cast::coerce(Value::Null, column).map_err(|error| error.to_string())
}

/// Hidden and generated columns are not in a file.
fn is_loaded(column: &Column) -> bool {
    column.visible && column.generated.is_none() && !matches!(column.data_type, DataType::QuantileState)
}

/// Pieces of a slice between a separator of one or more bytes.
struct Split<'a> {
    rest: Option<&'a [u8]>,
    separator: &'a [u8],
    /// Whether an empty piece behind the last separator counts.
    keeps_last: bool,
}

impl<'a> Split<'a> {
    /// Lines: the end after the last separator is no line.
    fn new(bytes: &'a [u8], separator: &'a [u8]) -> Self {
        Self { rest: Some(bytes), separator, keeps_last: false }
    }

    /// Fields: n separators make n + 1 fields.
    fn with_last(bytes: &'a [u8], separator: &'a [u8]) -> Self {
        Self { rest: Some(bytes), separator, keeps_last: true }
    }
}

impl<'a> Iterator for Split<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest?;
        let found = match self.separator {
            [one] => rest.iter().position(|byte| byte == one),
            many => rest.windows(many.len()).position(|window| window == many),
        };
        match found {
            Some(at) => {
                self.rest = Some(&rest[at + self.separator.len()..]);
                Some(&rest[..at])
            }
            None => {
                self.rest = None;
                (self.keeps_last || !rest.is_empty()).then_some(rest)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_between_separators() {
        let fields: Vec<&[u8]> = Split::with_last(b"a||b||", b"||").collect();
        assert_eq!(fields, [b"a".as_slice(), b"b", b""]);
        let lines: Vec<&[u8]> = Split::new(b"a\nb\n", b"\n").collect();
        assert_eq!(lines, [b"a".as_slice(), b"b"]);
        let lines: Vec<&[u8]> = Split::new(b"a\n\nb", b"\n").collect();
        assert_eq!(lines, [b"a".as_slice(), b"", b"b"]);
    }
}
