//! The binary building blocks of segments and rowset metas: variable-length integers, lengths and values.
//!
//! Readers take bytes from the network, so every length is checked against what is there before anything
//! is allocated for it.

use thiserror::Error;

use super::Value;
use super::date::{Date, DateTime};
use super::decimal::Decimal;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CodecError {
    #[error("the data ends early")]
    Truncated,
    #[error("the data has no {0} header")]
    Magic(&'static str),
    #[error("the checksum does not match")]
    Checksum,
    #[error("the data holds an invalid {0}")]
    Invalid(&'static str),
}

/// Reads from the front of a slice.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Bytes that are left, an upper bound for any count of items.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    pub fn take(&mut self, count: usize) -> Result<&'a [u8], CodecError> {
        let (head, tail) = self.rest.split_at_checked(count).ok_or(CodecError::Truncated)?;
        self.rest = tail;
        Ok(head)
    }

    pub fn byte(&mut self) -> Result<u8, CodecError> {
        let (first, rest) = self.rest.split_first().ok_or(CodecError::Truncated)?;
        self.rest = rest;
        Ok(*first)
    }

    pub fn unsigned(&mut self) -> Result<u128, CodecError> {
        let mut number = 0u128;
        for shift in (0..).step_by(7) {
            let byte = self.byte()?;
            let bits = u128::from(byte & 0x7f);
            if shift > 126 || (shift == 126 && bits > 3) {
                return Err(CodecError::Invalid("integer"));
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        Ok(number)
    }

    pub fn signed(&mut self) -> Result<i128, CodecError> {
        let number = self.unsigned()?;
        Ok((number >> 1) as i128 ^ -((number & 1) as i128))
    }

    pub fn i64(&mut self) -> Result<i64, CodecError> {
        i64::try_from(self.signed()?).map_err(|_| CodecError::Invalid("integer"))
    }

    pub fn i32(&mut self) -> Result<i32, CodecError> {
        i32::try_from(self.signed()?).map_err(|_| CodecError::Invalid("integer"))
    }

    /// A count of items of at least one byte each.
    pub fn count(&mut self) -> Result<usize, CodecError> {
        let count = usize::try_from(self.unsigned()?).map_err(|_| CodecError::Invalid("count"))?;
        if count > self.remaining() { Err(CodecError::Truncated) } else { Ok(count) }
    }

    pub fn u64(&mut self) -> Result<u64, CodecError> {
        u64::try_from(self.unsigned()?).map_err(|_| CodecError::Invalid("integer"))
    }

    pub fn text(&mut self) -> Result<&'a str, CodecError> {
        let length = self.count()?;
        std::str::from_utf8(self.take(length)?).map_err(|_| CodecError::Invalid("text"))
    }

    pub fn value(&mut self) -> Result<Value, CodecError> {
        Ok(match self.byte()? {
            0 => Value::Null,
            1 => Value::Bool(false),
            2 => Value::Bool(true),
            3 => Value::Int(self.signed()?),
            4 => {
                let bytes = self.take(8)?.try_into().map_err(|_| CodecError::Truncated)?;
                Value::Float(f64::from_le_bytes(bytes))
            }
            5 => {
                let scale = self.byte()?;
                if scale > super::decimal::MAX_NARROW_PRECISION {
                    return Err(CodecError::Invalid("scale"));
                }
                Value::Decimal(Decimal::new(self.signed()?, scale))
            }
            6 => Value::WideDecimal(self.text()?.to_owned()),
            7 => {
                let packed = u32::try_from(self.unsigned()?).ok().and_then(Date::from_packed);
                Value::Date(packed.ok_or(CodecError::Invalid("date"))?)
            }
            8 => {
                let packed = DateTime::from_packed(self.u64()?);
                Value::DateTime(packed.ok_or(CodecError::Invalid("datetime"))?)
            }
            9 => Value::Text(self.text()?.to_owned()),
            _ => return Err(CodecError::Invalid("value tag")),
        })
    }

    /// Passes over a value without building it.
    pub fn skip_value(&mut self) -> Result<(), CodecError> {
        match self.byte()? {
            0..=2 => {}
            3 | 7 | 8 => {
                self.unsigned()?;
            }
            4 => {
                self.take(8)?;
            }
            5 => {
                self.byte()?;
                self.unsigned()?;
            }
            6 | 9 => {
                let length = self.count()?;
                self.take(length)?;
            }
            _ => return Err(CodecError::Invalid("value tag")),
        }
        Ok(())
    }
}

pub fn put_unsigned(out: &mut Vec<u8>, mut number: u128) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

pub fn put_signed(out: &mut Vec<u8>, number: i128) {
    // Most numbers are small; 128-bit shifts are slow in bulk.
    if let Ok(small) = i64::try_from(number) {
        let mut zigzag = ((small << 1) ^ (small >> 63)) as u64;
        while zigzag >= 0x80 {
            out.push(zigzag as u8 | 0x80);
            zigzag >>= 7;
        }
        out.push(zigzag as u8);
    } else {
        put_unsigned(out, ((number << 1) ^ (number >> 127)) as u128);
    }
}

pub fn put_text(out: &mut Vec<u8>, text: &str) {
    put_unsigned(out, text.len() as u128);
    out.extend_from_slice(text.as_bytes());
}

pub fn put_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.push(0),
        Value::Bool(flag) => out.push(1 + u8::from(*flag)),
        Value::Int(number) => {
            out.push(3);
            put_signed(out, *number);
        }
        Value::Float(number) => {
            out.push(4);
            out.extend_from_slice(&number.to_le_bytes());
        }
        Value::Decimal(number) => {
            out.push(5);
            out.push(number.scale);
            put_signed(out, number.unscaled);
        }
        Value::WideDecimal(text) => {
            out.push(6);
            put_text(out, text);
        }
        Value::Date(date) => {
            out.push(7);
            put_unsigned(out, u128::from(date.packed()));
        }
        Value::DateTime(at) => {
            out.push(8);
            put_unsigned(out, u128::from(at.packed()));
        }
        Value::Text(text) => {
            out.push(9);
            put_text(out, text);
        }
    }
}

/// Puts the magic and the checksum of `body` in front of it.
pub fn seal(magic: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + 8);
    out.extend_from_slice(magic);
    out.extend_from_slice(&crc32fast::hash(body).to_le_bytes());
    out.extend_from_slice(body);
    out
}

/// Checks what [`seal`] made and returns the body.
pub fn unseal<'a>(magic: &[u8; 4], what: &'static str, bytes: &'a [u8]) -> Result<&'a [u8], CodecError> {
    let mut reader = Reader::new(bytes);
    if reader.take(4)? != magic {
        return Err(CodecError::Magic(what));
    }
    let sum = reader.take(4)?;
    let body = reader.rest;
    if sum == crc32fast::hash(body).to_le_bytes() { Ok(body) } else { Err(CodecError::Checksum) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i128>().prop_map(Value::Int),
            any::<i64>().prop_map(|number| Value::Int(i128::from(number))),
            (-1e300..1e300).prop_map(Value::Float),
            (any::<i128>(), 0u8..=38)
                .prop_map(|(unscaled, scale)| Value::Decimal(Decimal::new(unscaled, scale))),
            (0u32..=9999, 1u32..=12, 1u32..=28)
                .prop_map(|(y, m, d)| Value::Date(Date::new(y, m, d).expect("a valid date"))),
            ".*".prop_map(Value::Text),
        ]
    }

    proptest! {
        #[test]
        fn values_survive(value in values()) {
            let mut bytes = Vec::new();
            put_value(&mut bytes, &value);
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.value().unwrap(), value);
            prop_assert!(reader.is_empty());
            let mut skipping = Reader::new(&bytes);
            skipping.skip_value().unwrap();
            prop_assert!(skipping.is_empty());
        }

        #[test]
        fn hostile_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut reader = Reader::new(&bytes);
            while !reader.is_empty() {
                if reader.value().is_err() {
                    break;
                }
            }
        }
    }
}
