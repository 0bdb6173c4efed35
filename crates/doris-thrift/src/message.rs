//! The envelope: header, method name, sequence id, and the struct around argument and result.

use crate::error::DecodeError;
use crate::scan::VERSION;
use crate::wire::{Reader, Struct, Wire, put_field, ty};

/// Codes of a TApplicationException.
pub mod exception {
    pub const UNKNOWN: i32 = 0;
    pub const UNKNOWN_METHOD: i32 = 1;
    pub const INTERNAL_ERROR: i32 = 6;
    pub const PROTOCOL_ERROR: i32 = 7;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Call,
    Reply,
    Exception,
    Oneway,
}

impl Kind {
    fn code(self) -> u8 {
        match self {
            Self::Call => 1,
            Self::Reply => 2,
            Self::Exception => 3,
            Self::Oneway => 4,
        }
    }

    fn from_code(code: u8) -> Result<Self, DecodeError> {
        match code {
            1 => Ok(Self::Call),
            2 => Ok(Self::Reply),
            3 => Ok(Self::Exception),
            4 => Ok(Self::Oneway),
            other => Err(DecodeError::MessageType(other)),
        }
    }
}

thrift_structs! {
    /// What a server answers instead of a result.
    TApplicationException {
        1 opt message: String,
        2 opt kind: i32,
    }
}

/// A message whose body is not yet decoded.
#[derive(Debug)]
pub struct Message<'a> {
    pub kind: Kind,
    pub name: &'a str,
    pub sequence: i32,
    /// The args or result struct.
    pub body: &'a [u8],
}

impl<'a> Message<'a> {
    /// Reads the envelope of a complete message.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let word = reader.take(4)?;
        if word[0] == 0 {
            return Self::parse_old(bytes);
        }
        if word[..2] != VERSION.to_be_bytes() {
            return Err(DecodeError::NotStrict { first: word[0] });
        }
        let kind = Kind::from_code(word[3])?;
        let name = std::str::from_utf8(reader.bytes()?).map_err(|_| DecodeError::Utf8)?;
        let sequence = reader.i32()?;
        let body = reader.take(reader.remaining())?;
        Ok(Self { kind, name, sequence, body })
    }

    /// The envelope without a version, which only [`crate::scan::Scanner::of_calls`] lets pass.
    fn parse_old(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let name = std::str::from_utf8(reader.bytes()?).map_err(|_| DecodeError::Utf8)?;
        let kind = Kind::from_code(reader.take(1)?[0])?;
        let sequence = reader.i32()?;
        let body = reader.take(reader.remaining())?;
        Ok(Self { kind, name, sequence, body })
    }

    /// The request of a call: field 1 of the args struct.
    pub fn request<T: Struct>(&self) -> Result<T, DecodeError> {
        self.field(1)
    }

    /// The result of a reply: field 0 of the result struct.
    pub fn result<T: Struct>(&self) -> Result<T, DecodeError> {
        self.field(0)
    }

    pub fn exception(&self) -> Result<TApplicationException, DecodeError> {
        TApplicationException::from_bytes(self.body)
    }

    fn field<T: Struct>(&self, id: i16) -> Result<T, DecodeError> {
        let mut reader = Reader::new(self.body);
        let mut value = None;
        while let Some((wire_type, field)) = reader.field()? {
            if wire_type == ty::STRUCT && field == id {
                value = Some(T::get(&mut reader)?);
            } else {
                reader.skip(wire_type)?;
            }
        }
        reader.finish()?;
        value.ok_or(DecodeError::MissingBody)
    }
}

fn put_header(kind: Kind, name: &str, sequence: i32, out: &mut Vec<u8>) {
    out.extend_from_slice(&VERSION.to_be_bytes());
    out.extend_from_slice(&[0, kind.code()]);
    let length = i32::try_from(name.len()).expect("method names are short");
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(&sequence.to_be_bytes());
}

/// Appends a call with `request` as its only argument.
pub fn put_call<T: Struct>(name: &str, sequence: i32, request: &T, out: &mut Vec<u8>) {
    put_header(Kind::Call, name, sequence, out);
    put_field(1, request, out);
    out.push(ty::STOP);
}

/// Appends a reply with `result` as its success value.
pub fn put_reply<T: Struct>(name: &str, sequence: i32, result: &T, out: &mut Vec<u8>) {
    put_header(Kind::Reply, name, sequence, out);
    put_field(0, result, out);
    out.push(ty::STOP);
}

/// As [`put_reply`], with a result struct that is already encoded.
pub(crate) fn put_encoded_reply(name: &str, sequence: i32, result: &[u8], out: &mut Vec<u8>) {
    put_header(Kind::Reply, name, sequence, out);
    out.push(ty::STRUCT);
    out.extend_from_slice(&0i16.to_be_bytes());
    out.extend_from_slice(result);
    out.push(ty::STOP);
}

pub fn put_exception(name: &str, sequence: i32, kind: i32, message: &str, out: &mut Vec<u8>) {
    put_header(Kind::Exception, name, sequence, out);
    TApplicationException { message: Some(message.to_owned()), kind: Some(kind) }.put(out);
}
