//! One cell and one row.

use std::cmp::Ordering;
use std::fmt::Write as _;

use super::date::{Date, DateTime};
use super::decimal::{self, Decimal};

/// A typed cell. Every variant fits 32 bytes, so rows of narrow columns need no heap space per cell.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    /// TINYINT to LARGEINT.
    Int(i128),
    /// FLOAT and DOUBLE; never NaN in a key.
    Float(f64),
    /// DECIMAL up to precision 38.
    Decimal(Decimal),
    /// DECIMAL beyond precision 38, as normalised text with the column's scale.
    WideDecimal(String),
    Date(Date),
    DateTime(DateTime),
    /// Character types, and the opaque text of complex types, JSON, BITMAP and HLL.
    Text(String),
}

/// One row of a tablet, values in schema order.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub values: Vec<Value>,
    /// The delete sign of unique tables: this row removes older rows of its key.
    pub deleted: bool,
}

impl Row {
    pub fn new(values: Vec<Value>) -> Self {
        Self { values, deleted: false }
    }

    /// A row that deletes its key. Only the key values matter.
    pub fn delete(values: Vec<Value>) -> Self {
        Self { values, deleted: true }
    }
}

impl From<Vec<Value>> for Row {
    fn from(values: Vec<Value>) -> Self {
        Self::new(values)
    }
}

impl Value {
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// A total order for keys: NULL first, then by value. Values of different kinds, which one column
    /// never holds, are ordered by kind except that numbers compare with numbers.
    pub fn order(&self, other: &Value) -> Ordering {
        match (self, other) {
            (Value::Null, Value::Null) => Ordering::Equal,
            (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
            (Value::Int(a), Value::Int(b)) => a.cmp(b),
            (Value::Float(a), Value::Float(b)) => a.total_cmp(b),
            (Value::Decimal(a), Value::Decimal(b)) => a.order(b),
            (Value::Int(a), Value::Decimal(b)) => Decimal::new(*a, 0).order(b),
            (Value::Decimal(a), Value::Int(b)) => a.order(&Decimal::new(*b, 0)),
            (Value::WideDecimal(a), Value::WideDecimal(b)) => decimal::order_text(a, b),
            (Value::Date(a), Value::Date(b)) => a.cmp(b),
            (Value::DateTime(a), Value::DateTime(b)) => a.cmp(b),
            (Value::Date(a), Value::DateTime(b)) => DateTime::at_midnight(*a).cmp(b),
            (Value::DateTime(a), Value::Date(b)) => a.cmp(&DateTime::at_midnight(*b)),
            (Value::Text(a), Value::Text(b)) => a.cmp(b),
            (a, b) => match (a.as_f64(), b.as_f64()) {
                (Some(x), Some(y)) => x.total_cmp(&y),
                _ => a.kind().cmp(&b.kind()),
            },
        }
    }

    fn kind(&self) -> u8 {
        match self {
            Value::Null => 0,
            Value::Bool(_) => 1,
            Value::Int(_) => 2,
            Value::Float(_) => 3,
            Value::Decimal(_) => 4,
            Value::WideDecimal(_) => 5,
            Value::Date(_) => 6,
            Value::DateTime(_) => 7,
            Value::Text(_) => 8,
        }
    }

    /// The number this value stands for, possibly rounded; `None` for NULL, dates and text.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Bool(flag) => Some(f64::from(u8::from(*flag))),
            Value::Int(number) => Some(*number as f64),
            Value::Float(number) => Some(*number),
            Value::Decimal(number) => Some(number.to_f64()),
            Value::WideDecimal(text) => text.parse().ok(),
            Value::Null | Value::Date(_) | Value::DateTime(_) | Value::Text(_) => None,
        }
    }

    /// The text of the MySQL text protocol; `None` is SQL NULL. `datetime_scale` is the number of
    /// fraction digits of a DATETIME.
    pub fn to_sql_text(&self, datetime_scale: u8) -> Option<String> {
        if self.is_null() {
            return None;
        }
        let mut text = String::new();
        self.write_text(&mut text, datetime_scale);
        Some(text)
    }

    /// Appends the text form; nothing for NULL.
    pub fn write_text(&self, out: &mut String, datetime_scale: u8) {
        // Writing into a String cannot fail.
        let _ = match self {
            Value::Null => Ok(()),
            Value::Bool(flag) => out.write_char(if *flag { '1' } else { '0' }),
            Value::Int(number) => write!(out, "{number}"),
            Value::Float(number) => out.write_str(&float_text(*number)),
            Value::Decimal(number) => write!(out, "{number}"),
            Value::WideDecimal(text) | Value::Text(text) => out.write_str(text),
            Value::Date(date) => write!(out, "{date}"),
            Value::DateTime(at) => at.write(out, datetime_scale),
        };
    }
}

/// A double as Doris prints it: whole numbers without fraction, large and small ones with an exponent.
pub fn float_text(number: f64) -> String {
    if number == 0.0 {
        return "0".to_owned();
    }
    let size = number.abs();
    if size.is_finite() && !(1e-5..1e16).contains(&size) {
        let text = format!("{number:e}");
        // Doris writes `1e+20` and `1e-07`.
        let Some((mantissa, exponent)) = text.split_once('e') else { return text };
        let (sign, digits) = match exponent.strip_prefix('-') {
            Some(digits) => ('-', digits),
            None => ('+', exponent),
        };
        return format!("{mantissa}e{sign}{digits:0>2}");
    }
    format!("{number}")
}
