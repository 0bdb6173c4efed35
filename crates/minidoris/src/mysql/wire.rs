//! Integers and strings of the protocol.

/// A length-encoded integer.
pub fn put_length(bytes: &mut Vec<u8>, value: u64) {
    let raw = value.to_le_bytes();
    match value {
        0..=250 => bytes.push(raw[0]),
        251..=0xffff => {
            bytes.push(0xfc);
            bytes.extend_from_slice(&raw[..2]);
        }
        0x1_0000..=0xff_ffff => {
            bytes.push(0xfd);
            bytes.extend_from_slice(&raw[..3]);
        }
        _ => {
            bytes.push(0xfe);
            bytes.extend_from_slice(&raw);
        }
    }
}

/// A length-encoded string.
pub fn put_string(bytes: &mut Vec<u8>, text: &[u8]) {
    put_length(bytes, text.len() as u64);
    bytes.extend_from_slice(text);
}

/// Reads fields from a payload; `None` when it ends too early.
#[derive(Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(payload: &'a [u8]) -> Self {
        Self { rest: payload }
    }

    pub fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.rest.split_at_checked(count)?;
        self.rest = tail;
        Some(head)
    }

    pub fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    pub fn u16(&mut self) -> Option<u16> {
        self.take(2)?.try_into().ok().map(u16::from_le_bytes)
    }

    pub fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_le_bytes)
    }

    /// Up to a zero byte, or to the end where the byte is missing, as some clients leave it out.
    pub fn until_zero(&mut self) -> &'a [u8] {
        let end = self.rest.iter().position(|byte| *byte == 0).unwrap_or(self.rest.len());
        let text = &self.rest[..end];
        self.rest = self.rest.get(end + 1..).unwrap_or_default();
        text
    }

    pub fn length(&mut self) -> Option<u64> {
        let wide = |bytes: &[u8]| bytes.iter().rev().fold(0u64, |acc, byte| acc << 8 | u64::from(*byte));
        match self.byte()? {
            small @ 0..=250 => Some(u64::from(small)),
            0xfc => self.take(2).map(wide),
            0xfd => self.take(3).map(wide),
            0xfe => self.take(8).map(wide),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lengths_read_back(value in prop_oneof![0u64..70_000, any::<u64>()]) {
            let mut bytes = Vec::new();
            put_length(&mut bytes, value);
            prop_assert_eq!(Reader::new(&bytes).length(), Some(value));
        }

        #[test]
        fn reading_garbage_ends(bytes in prop::collection::vec(any::<u8>(), 0..32)) {
            let mut reader = Reader::new(&bytes);
            while reader.length().is_some() {}
            reader.until_zero();
        }
    }
}
