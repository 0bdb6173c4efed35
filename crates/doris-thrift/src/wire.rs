//! Values of the thrift binary protocol: how each Rust type is written to and read from bytes.
//!
//! [`Wire`] is implemented here for scalars, strings and containers and generated for structs and enums
//! by the tables in [`crate::types`]. Writing appends to a `Vec<u8>` and cannot fail. Reading walks a
//! complete slice with a [`Reader`], which guards against hostile input in three ways:
//!
//! * every length is compared with the bytes that are left before anything is allocated;
//! * nesting is limited to [`MAX_DEPTH`];
//! * the memory of containers is charged to a budget proportional to the message, because an element
//!   of one byte on the wire may be a struct of two hundred bytes in memory.
//!
//! A known field that arrives with another wire type is skipped like an unknown one, as generated thrift
//! code does. A container whose *elements* have another wire type is an error.

use std::collections::BTreeMap;

use crate::error::DecodeError;

/// Structs, lists and maps may nest this deep, unknown fields included. Doris needs 8 (`getMeta`).
pub const MAX_DEPTH: usize = 64;

/// Container memory allowed per byte of message. Real answers need at most 8.
const BUDGET_FACTOR: usize = 16;
/// Container memory allowed to any message, so that tiny ones are not refused.
const BUDGET_FLOOR: usize = 64 * 1024;

/// Wire type codes.
pub mod ty {
    pub const STOP: u8 = 0;
    pub const BOOL: u8 = 2;
    pub const BYTE: u8 = 3;
    pub const DOUBLE: u8 = 4;
    pub const I16: u8 = 6;
    pub const I32: u8 = 8;
    pub const I64: u8 = 10;
    /// Strings and binary alike.
    pub const STRING: u8 = 11;
    pub const STRUCT: u8 = 12;
    pub const MAP: u8 = 13;
    pub const SET: u8 = 14;
    pub const LIST: u8 = 15;
}

/// Size of a value of fixed width; `None` for strings, structs and containers.
pub(crate) fn fixed_width(wire_type: u8) -> Result<Option<usize>, DecodeError> {
    match wire_type {
        ty::BOOL | ty::BYTE => Ok(Some(1)),
        ty::I16 => Ok(Some(2)),
        ty::I32 => Ok(Some(4)),
        ty::I64 | ty::DOUBLE => Ok(Some(8)),
        ty::STRING | ty::STRUCT | ty::MAP | ty::SET | ty::LIST => Ok(None),
        other => Err(DecodeError::WireType(other)),
    }
}

/// Smallest number of bytes that a value of this wire type takes.
pub(crate) fn min_width(wire_type: u8) -> Result<usize, DecodeError> {
    Ok(match fixed_width(wire_type)? {
        Some(width) => width,
        None => match wire_type {
            ty::STRING => 4,
            ty::LIST | ty::SET => 5,
            ty::MAP => 6,
            // A struct without fields is its stop byte.
            _ => 1,
        },
    })
}

/// A value with a thrift wire form.
pub trait Wire: Sized {
    const TYPE: u8;

    fn put(&self, out: &mut Vec<u8>);

    fn get(reader: &mut Reader<'_>) -> Result<Self, DecodeError>;
}

/// A struct of the IDL.
pub trait Struct: Wire + Default {
    const NAME: &'static str;

    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        self.put(&mut out);
        out
    }

    /// Reads exactly one struct from `bytes`.
    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let value = Self::get(&mut reader)?;
        reader.finish()?;
        Ok(value)
    }
}

pub(crate) fn put_field<T: Wire>(id: i16, value: &T, out: &mut Vec<u8>) {
    out.push(T::TYPE);
    out.extend_from_slice(&id.to_be_bytes());
    value.put(out);
}

/// Longest string, container and message that the protocol can express.
pub(crate) const MAX_LENGTH: usize = i32::MAX as usize;

/// A longer value is written with a wrong length, in a message that is itself longer than
/// [`MAX_LENGTH`] and that server and client therefore refuse to send.
fn put_len(len: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&i32::try_from(len).unwrap_or(i32::MAX).to_be_bytes());
}

/// Reads values from a complete message or struct.
#[derive(Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    depth: usize,
    budget: usize,
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        let budget = bytes.len().saturating_mul(BUDGET_FACTOR).saturating_add(BUDGET_FLOOR);
        Self { rest: bytes, depth: 0, budget }
    }

    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Fails unless every byte was read.
    pub fn finish(&self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::TrailingBytes(self.rest.len())) }
    }

    pub fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (head, rest) = self.rest.split_at_checked(count).ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(*head)
    }

    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(self.array::<1>()?[0])
    }

    pub fn i16(&mut self) -> Result<i16, DecodeError> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    pub fn i32(&mut self) -> Result<i32, DecodeError> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub fn i64(&mut self) -> Result<i64, DecodeError> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    fn len(&mut self) -> Result<usize, DecodeError> {
        let len = self.i32()?;
        usize::try_from(len).map_err(|_| DecodeError::NegativeLength(len))
    }

    pub fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let len = self.len()?;
        self.take(len)
    }

    /// Type and id of the next field, or `None` at the end of the struct.
    pub fn field(&mut self) -> Result<Option<(u8, i16)>, DecodeError> {
        match self.u8()? {
            ty::STOP => Ok(None),
            wire_type => Ok(Some((wire_type, self.i16()?))),
        }
    }

    pub(crate) fn enter(&mut self) -> Result<(), DecodeError> {
        if self.depth == MAX_DEPTH {
            return Err(DecodeError::TooDeep { limit: MAX_DEPTH });
        }
        self.depth += 1;
        Ok(())
    }

    pub(crate) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Checks that `count` elements of at least `width` bytes can follow and that their memory is justified.
    fn reserve(&mut self, count: usize, width: usize, memory: usize) -> Result<(), DecodeError> {
        if count > self.rest.len() / width.max(1) {
            return Err(DecodeError::Truncated);
        }
        let memory = count.checked_mul(memory).ok_or(DecodeError::Amplified)?;
        self.budget = self.budget.checked_sub(memory).ok_or(DecodeError::Amplified)?;
        Ok(())
    }

    /// Passes over one value of any wire type.
    pub fn skip(&mut self, wire_type: u8) -> Result<(), DecodeError> {
        if let Some(width) = fixed_width(wire_type)? {
            return self.take(width).map(drop);
        }
        if wire_type == ty::STRING {
            return self.bytes().map(drop);
        }
        self.enter()?;
        match wire_type {
            ty::STRUCT => {
                while let Some((field_type, _)) = self.field()? {
                    self.skip(field_type)?;
                }
            }
            ty::MAP => {
                let (key, value, count) = (self.u8()?, self.u8()?, self.len()?);
                for _ in 0..count {
                    self.skip(key)?;
                    self.skip(value)?;
                }
            }
            // Lists and sets; every other type was handled above.
            _ => {
                let (element, count) = (self.u8()?, self.len()?);
                for _ in 0..count {
                    self.skip(element)?;
                }
            }
        }
        self.leave();
        Ok(())
    }
}

macro_rules! scalar {
    ($type:ty, $code:expr, $read:ident) => {
        impl Wire for $type {
            const TYPE: u8 = $code;

            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_be_bytes());
            }

            fn get(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                reader.$read()
            }
        }
    };
}

scalar!(i16, ty::I16, i16);
scalar!(i32, ty::I32, i32);
scalar!(i64, ty::I64, i64);

impl Wire for bool {
    const TYPE: u8 = ty::BOOL;

    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn get(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(reader.u8()? != 0)
    }
}

impl Wire for String {
    const TYPE: u8 = ty::STRING;

    fn put(&self, out: &mut Vec<u8>) {
        put_len(self.len(), out);
        out.extend_from_slice(self.as_bytes());
    }

    fn get(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let bytes = reader.bytes()?;
        std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| DecodeError::Utf8)
    }
}

/// Binary: the same wire type as a string, without the demand for UTF-8.
impl Wire for Vec<u8> {
    const TYPE: u8 = ty::STRING;

    fn put(&self, out: &mut Vec<u8>) {
        put_len(self.len(), out);
        out.extend_from_slice(self);
    }

    fn get(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(reader.bytes()?.to_vec())
    }
}

impl<T: Wire> Wire for Vec<T> {
    const TYPE: u8 = ty::LIST;

    fn put(&self, out: &mut Vec<u8>) {
        out.push(T::TYPE);
        put_len(self.len(), out);
        for value in self {
            value.put(out);
        }
    }

    fn get(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (element, count) = (reader.u8()?, reader.len()?);
        if count == 0 {
            return Ok(Vec::new());
        }
        if element != T::TYPE {
            return Err(DecodeError::ElementType { expected: T::TYPE, found: element });
        }
        reader.reserve(count, min_width(element)?, size_of::<T>())?;
        reader.enter()?;
        let mut values = Vec::with_capacity(count);
        for _ in 0..count {
            values.push(T::get(reader)?);
        }
        reader.leave();
        Ok(values)
    }
}

impl<K: Wire + Ord, V: Wire> Wire for BTreeMap<K, V> {
    const TYPE: u8 = ty::MAP;

    fn put(&self, out: &mut Vec<u8>) {
        out.push(K::TYPE);
        out.push(V::TYPE);
        put_len(self.len(), out);
        for (key, value) in self {
            key.put(out);
            value.put(out);
        }
    }

    fn get(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (key, value, count) = (reader.u8()?, reader.u8()?, reader.len()?);
        let mut map = BTreeMap::new();
        if count == 0 {
            return Ok(map);
        }
        for (expected, found) in [(K::TYPE, key), (V::TYPE, value)] {
            if found != expected {
                return Err(DecodeError::ElementType { expected, found });
            }
        }
        reader.reserve(count, min_width(key)? + min_width(value)?, size_of::<K>() + size_of::<V>())?;
        reader.enter()?;
        for _ in 0..count {
            let key = K::get(reader)?;
            map.insert(key, V::get(reader)?);
        }
        reader.leave();
        Ok(map)
    }
}
