//! Finds the end of a message in a growing buffer.
//!
//! An unframed message carries no length, so its end is known only by walking it. [`Scanner`] does this
//! once: it remembers where it stopped and what it stood in, and resumes there when more bytes have come,
//! so a reply of 100 MiB that arrives in pieces of 64 KiB is walked in linear time. Decoding then runs on
//! the complete slice. A length beyond the limit is refused as soon as it is seen, before it is received.

use crate::error::DecodeError;
use crate::wire::{MAX_DEPTH, fixed_width, min_width, ty};

/// First two bytes of a strict message.
pub(crate) const VERSION: u16 = 0x8001;

/// Bytes of a method's name in a call without a version.
const LONGEST_NAME: usize = 255;

#[derive(Debug)]
enum Frame {
    Struct,
    /// A list or set with the elements still to pass.
    Sequence {
        element: u8,
        left: usize,
    },
    Map {
        key: u8,
        value: u8,
        left: usize,
        at_value: bool,
    },
}

/// Walks one message; made anew for each.
#[derive(Debug)]
pub struct Scanner {
    limit: usize,
    /// Whether a call without a version is taken, too.
    takes_old: bool,
    /// Next byte to look at. May lie beyond the buffer while a long string is arriving.
    position: usize,
    started: bool,
    /// Wire type of the value that starts at `position`, when it was already announced.
    pending: Option<u8>,
    frames: Vec<Frame>,
}

impl Scanner {
    /// `limit` is the largest message accepted, in bytes.
    pub fn new(limit: usize) -> Self {
        Self { limit, takes_old: false, position: 0, started: false, pending: None, frames: Vec::new() }
    }

    /// As the servers of Doris read: a call may also have the old header, which starts with the length of the
    /// method's name instead of a version.
    pub fn of_calls(limit: usize) -> Self {
        Self { takes_old: true, ..Self::new(limit) }
    }

    /// Length of the message once `buffer` holds all of it. `buffer` must start with the same bytes at
    /// every call and only grow.
    pub fn advance(&mut self, buffer: &[u8]) -> Result<Option<usize>, DecodeError> {
        if !self.started && !self.header(buffer)? {
            return Ok(None);
        }
        loop {
            if self.position > self.limit {
                return Err(DecodeError::TooLarge { limit: self.limit });
            }
            let progressed = match self.pending {
                Some(wire_type) => self.value(wire_type, buffer)?,
                None => match self.frames.last_mut() {
                    None => return Ok(Some(self.position)),
                    Some(frame) => Self::step(frame, &mut self.position, &mut self.pending, buffer)?,
                },
            };
            match progressed {
                Step::More => {}
                Step::Closed => drop(self.frames.pop()),
                Step::Starved => return Ok(None),
            }
        }
    }

    fn header(&mut self, buffer: &[u8]) -> Result<bool, DecodeError> {
        match buffer.first() {
            Some(0) if self.takes_old => return self.old_header(buffer),
            Some(&first) if u16::from(first) != VERSION >> 8 => return Err(DecodeError::NotStrict { first }),
            Some(_) => {}
            None => return Ok(false),
        }
        if let Some(word) = peek::<4>(buffer, 0)
            && word[..2] != VERSION.to_be_bytes()
        {
            return Err(DecodeError::NotStrict { first: word[0] });
        }
        let Some(length) = peek::<4>(buffer, 4) else { return Ok(false) };
        let length = non_negative(i32::from_be_bytes(length))?;
        // Word, length, name, sequence id.
        self.position = length.saturating_add(12);
        self.started = true;
        self.frames.push(Frame::Struct);
        Ok(true)
    }

    /// Length, name, kind, sequence id.
    fn old_header(&mut self, buffer: &[u8]) -> Result<bool, DecodeError> {
        let Some(length) = peek::<4>(buffer, 0) else { return Ok(false) };
        let length = non_negative(i32::from_be_bytes(length))?;
        // No method has a longer name, and the first byte of a framed message is no letter.
        let is_name = length <= LONGEST_NAME && buffer.get(4).is_none_or(u8::is_ascii_alphabetic);
        if !is_name {
            return Err(DecodeError::NotStrict { first: 0 });
        }
        if buffer.len() <= 4 {
            return Ok(false);
        }
        self.position = length + 9;
        self.started = true;
        self.frames.push(Frame::Struct);
        Ok(true)
    }

    fn step(
        frame: &mut Frame,
        position: &mut usize,
        pending: &mut Option<u8>,
        buffer: &[u8],
    ) -> Result<Step, DecodeError> {
        match frame {
            Frame::Struct => {
                let Some([wire_type]) = peek::<1>(buffer, *position) else { return Ok(Step::Starved) };
                if wire_type == ty::STOP {
                    *position += 1;
                    return Ok(Step::Closed);
                }
                *position += 3;
                *pending = Some(wire_type);
            }
            Frame::Sequence { left: 0, .. } | Frame::Map { left: 0, .. } => return Ok(Step::Closed),
            Frame::Sequence { element, left } => {
                *left -= 1;
                *pending = Some(*element);
            }
            Frame::Map { value, left, at_value: at_value @ true, .. } => {
                *left -= 1;
                *at_value = false;
                *pending = Some(*value);
            }
            Frame::Map { key, at_value, .. } => {
                *at_value = true;
                *pending = Some(*key);
            }
        }
        Ok(Step::More)
    }

    /// Passes the head of a value; a string is passed whole even when its bytes are still to come.
    fn value(&mut self, wire_type: u8, buffer: &[u8]) -> Result<Step, DecodeError> {
        if let Some(width) = fixed_width(wire_type)? {
            self.position += width;
            self.pending = None;
            return Ok(Step::More);
        }
        match wire_type {
            ty::STRUCT => self.push(Frame::Struct)?,
            ty::STRING => {
                let Some(length) = peek::<4>(buffer, self.position) else { return Ok(Step::Starved) };
                let length = non_negative(i32::from_be_bytes(length))?;
                self.position = self.position.saturating_add(4).saturating_add(length);
            }
            ty::MAP => {
                let Some([key, value, count @ ..]) = peek::<6>(buffer, self.position) else {
                    return Ok(Step::Starved);
                };
                self.position += 6;
                let left = non_negative(i32::from_be_bytes(count))?;
                if left > 0 {
                    self.expect(left, min_width(key)? + min_width(value)?)?;
                    self.push(Frame::Map { key, value, left, at_value: false })?;
                }
            }
            // Lists and sets; every other type was handled above.
            _ => {
                let Some([element, count @ ..]) = peek::<5>(buffer, self.position) else {
                    return Ok(Step::Starved);
                };
                self.position += 5;
                let left = non_negative(i32::from_be_bytes(count))?;
                if left > 0 {
                    self.expect(left, min_width(element)?)?;
                    match fixed_width(element)? {
                        Some(width) => {
                            self.position = self.position.saturating_add(left.saturating_mul(width))
                        }
                        None => self.push(Frame::Sequence { element, left })?,
                    }
                }
            }
        }
        self.pending = None;
        Ok(Step::More)
    }

    fn push(&mut self, frame: Frame) -> Result<(), DecodeError> {
        if self.frames.len() > MAX_DEPTH {
            return Err(DecodeError::TooDeep { limit: MAX_DEPTH });
        }
        self.frames.push(frame);
        Ok(())
    }

    /// Refuses a count that cannot fit below the limit.
    fn expect(&self, count: usize, width: usize) -> Result<(), DecodeError> {
        if count.saturating_mul(width) > self.limit.saturating_sub(self.position) {
            return Err(DecodeError::TooLarge { limit: self.limit });
        }
        Ok(())
    }
}

enum Step {
    More,
    Closed,
    Starved,
}

fn peek<const N: usize>(buffer: &[u8], at: usize) -> Option<[u8; N]> {
    buffer.get(at..)?.first_chunk::<N>().copied()
}

fn non_negative(length: i32) -> Result<usize, DecodeError> {
    usize::try_from(length).map_err(|_| DecodeError::NegativeLength(length))
}
