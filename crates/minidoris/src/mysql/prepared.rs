//! Server-side prepared statements.
//!
//! A statement is kept as text with the places of its `?`. EXECUTE writes its parameters into them as literals
//! and runs the text as any other, so a prepared statement means what the same statement typed by hand means.

use std::collections::BTreeMap;

use super::wire::Reader;
use crate::error::{SqlError, SqlResult};
use crate::sql::lexer::{TokenKind, tokenize};

/// `max_prepared_stmt_count` of one connection.
const MOST: usize = 16_384;
/// Bytes that SEND_LONG_DATA may gather for one statement.
const LONGEST_DATA: usize = 64 << 20;
/// Set in a parameter's type for unsigned integers.
const UNSIGNED: u16 = 0x8000;

/// The statements of one connection, by id.
#[derive(Debug, Default)]
pub struct Prepared {
    next: u32,
    statements: BTreeMap<u32, Statement>,
}

#[derive(Debug)]
struct Statement {
    text: String,
    /// Byte offsets of the `?`.
    places: Vec<usize>,
    /// As bound last.
    types: Vec<u16>,
    /// Parameters sent ahead.
    long_data: BTreeMap<u16, Vec<u8>>,
}

impl Prepared {
    /// Keeps a statement; gives its id and the number of its parameters.
    pub fn prepare(&mut self, text: &str) -> SqlResult<(u32, usize)> {
        if self.statements.len() >= MOST {
            let message =
                format!("Can't create more than max_prepared_stmt_count statements (current value: {MOST})");
            return Err(SqlError { code: 1461, state: "42000", message });
        }
        let tokens = tokenize(text)?;
        let places: Vec<usize> =
            tokens.iter().filter(|token| token.is_symbol('?')).map(|token| token.start).collect();
        if places.len() > usize::from(u16::MAX) {
            let message = "Prepared statement contains too many placeholders".to_owned();
            return Err(SqlError { code: 1390, state: "HY000", message });
        }
        if tokens.iter().all(|token| token.kind == TokenKind::End) {
            return Err(SqlError { code: 1065, state: "42000", message: "Query was empty".to_owned() });
        }
        self.next += 1;
        let count = places.len();
        let statement =
            Statement { text: text.to_owned(), places, types: Vec::new(), long_data: BTreeMap::new() };
        self.statements.insert(self.next, statement);
        Ok((self.next, count))
    }

    /// The text that COM_STMT_EXECUTE means.
    pub fn execute(&mut self, payload: &[u8]) -> SqlResult<String> {
        let mut reader = Reader::new(payload);
        let id = reader.u32().ok_or_else(malformed)?;
        let statement = self.statements.get_mut(&id).ok_or_else(|| unknown(id, "mysqld_stmt_execute"))?;
        // Flags of a cursor, which nobody gets, and an iteration count of 1.
        reader.take(1 + 4).ok_or_else(malformed)?;
        statement.bind(&mut reader)
    }

    /// Keeps a piece of a parameter. There is no answer, so what is wrong shows when the statement runs.
    pub fn long_data(&mut self, payload: &[u8]) {
        let mut reader = Reader::new(payload);
        let (Some(id), Some(parameter)) = (reader.u32(), reader.u16()) else { return };
        let Some(statement) = self.statements.get_mut(&id) else { return };
        let gathered: usize = statement.long_data.values().map(Vec::len).sum();
        let piece = &payload[6..];
        if gathered + piece.len() <= LONGEST_DATA && usize::from(parameter) < statement.places.len() {
            statement.long_data.entry(parameter).or_default().extend_from_slice(piece);
        }
    }

    /// Forgets parameters that were sent ahead.
    pub fn reset(&mut self, payload: &[u8]) -> SqlResult<()> {
        let id = Reader::new(payload).u32().ok_or_else(malformed)?;
        let statement = self.statements.get_mut(&id).ok_or_else(|| unknown(id, "mysqld_stmt_reset"))?;
        statement.long_data.clear();
        Ok(())
    }

    pub fn close(&mut self, payload: &[u8]) {
        if let Some(id) = Reader::new(payload).u32() {
            self.statements.remove(&id);
        }
    }

    pub fn clear(&mut self) {
        self.statements.clear();
    }
}

impl Statement {
    fn bind(&mut self, reader: &mut Reader<'_>) -> SqlResult<String> {
        let count = self.places.len();
        if count == 0 {
            return Ok(self.text.clone());
        }
        let nulls = reader.take(count.div_ceil(8)).ok_or_else(malformed)?;
        if reader.byte().ok_or_else(malformed)? == 1 {
            let types: Option<Vec<u16>> = (0..count).map(|_| reader.u16()).collect();
            self.types = types.ok_or_else(malformed)?;
        }
        if self.types.len() != count {
            return Err(malformed());
        }
        let mut text = String::with_capacity(self.text.len() + 16 * count);
        let mut copied = 0;
        for (at, place) in self.places.iter().enumerate() {
            text.push_str(&self.text[copied..*place]);
            copied = place + 1;
            let long = u16::try_from(at).ok().and_then(|at| self.long_data.get(&at));
            if nulls[at / 8] & (1 << (at % 8)) != 0 {
                text.push_str("NULL");
            } else if let Some(bytes) = long {
                text.push_str(&quoted(bytes)?);
            } else {
                text.push_str(&literal(self.types[at], reader)?);
            }
        }
        text.push_str(&self.text[copied..]);
        self.long_data.clear();
        Ok(text)
    }
}

/// One value in the binary protocol, as SQL text.
fn literal(data_type: u16, reader: &mut Reader<'_>) -> SqlResult<String> {
    let unsigned = data_type & UNSIGNED != 0;
    let mut integer = |bytes: usize| {
        let raw = reader.take(bytes)?;
        let value = raw.iter().rev().fold(0u64, |acc, byte| acc << 8 | u64::from(*byte));
        let shift = 64 - 8 * u32::try_from(bytes).ok()?;
        // Shifting up and down again extends the sign.
        let signed = (value << shift).cast_signed() >> shift;
        Some(if unsigned { value.to_string() } else { signed.to_string() })
    };
    let text = match data_type & 0xff {
        0x01 => integer(1),
        0x02 | 0x0d => integer(2),
        0x03 | 0x09 => integer(4),
        0x08 => integer(8),
        0x04 => {
            reader.take(4).and_then(|raw| raw.try_into().ok()).map(|raw| f32::from_le_bytes(raw).to_string())
        }
        0x05 => {
            reader.take(8).and_then(|raw| raw.try_into().ok()).map(|raw| f64::from_le_bytes(raw).to_string())
        }
        0x06 => Some("NULL".to_owned()),
        0x07 | 0x0a | 0x0c => moment(reader),
        0x0b => time(reader),
        // A decimal comes as text.
        0x00 | 0xf6 => {
            let bytes = string(reader).ok_or_else(malformed)?;
            let is_number =
                !bytes.is_empty() && bytes.iter().all(|b| b.is_ascii_digit() || b"+-.eE".contains(b));
            return if is_number { Ok(String::from_utf8_lossy(bytes).into_owned()) } else { quoted(bytes) };
        }
        0x0f | 0x10 | 0xf5 | 0xf7..=0xff => return quoted(string(reader).ok_or_else(malformed)?),
        other => return Err(SqlError::general(format!("unsupported parameter type {other}"))),
    };
    text.ok_or_else(malformed)
}

fn string<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    let length = usize::try_from(reader.length()?).ok()?;
    reader.take(length)
}

fn moment(reader: &mut Reader<'_>) -> Option<String> {
    let length = reader.byte()?;
    if length == 0 {
        return Some("'0000-00-00'".to_owned());
    }
    let date = format!("{:04}-{:02}-{:02}", reader.u16()?, reader.byte()?, reader.byte()?);
    if length == 4 {
        return Some(format!("'{date}'"));
    }
    let time = format!("{:02}:{:02}:{:02}", reader.byte()?, reader.byte()?, reader.byte()?);
    if length == 7 {
        return Some(format!("'{date} {time}'"));
    }
    Some(format!("'{date} {time}.{:06}'", reader.u32()?))
}

fn time(reader: &mut Reader<'_>) -> Option<String> {
    let length = reader.byte()?;
    if length == 0 {
        return Some("'00:00:00'".to_owned());
    }
    let sign = if reader.byte()? == 1 { "-" } else { "" };
    let hours = u64::from(reader.u32()?) * 24 + u64::from(reader.byte()?);
    let rest = format!("{sign}{hours:02}:{:02}:{:02}", reader.byte()?, reader.byte()?);
    if length == 8 { Some(format!("'{rest}'")) } else { Some(format!("'{rest}.{:06}'", reader.u32()?)) }
}

fn quoted(bytes: &[u8]) -> SqlResult<String> {
    let text = std::str::from_utf8(bytes).map_err(|_| SqlError::general("a parameter is not valid UTF-8"))?;
    Ok(format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'")))
}

fn malformed() -> SqlError {
    SqlError { code: 1835, state: "HY000", message: "Malformed communication packet.".to_owned() }
}

fn unknown(id: u32, command: &str) -> SqlError {
    let message = format!("Unknown prepared statement handler ({id}) given to {command}");
    SqlError { code: 1243, state: "HY000", message }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn execute(text: &str, types: &[u16], values: &[u8], nulls: u8) -> SqlResult<String> {
        let mut prepared = Prepared::default();
        let (id, count) = prepared.prepare(text)?;
        assert_eq!(count, types.len());
        let mut payload = id.to_le_bytes().to_vec();
        payload.extend([0, 1, 0, 0, 0, nulls, 1]);
        types.iter().for_each(|data_type| payload.extend(data_type.to_le_bytes()));
        payload.extend(values);
        prepared.execute(&payload)
    }

    #[test]
    fn values_become_literals() {
        let bound = execute("select ?, '?', `?`, ? -- ?", &[0x01, 0xfd], b"\xff\x04a'\\b", 0);
        assert_eq!(bound.unwrap(), "select -1, '?', `?`, 'a\\'\\\\b' -- ?");
        let cases: [(u16, &[u8], &str); 8] = [
            (0x8001, &[255], "255"),
            (0x02, &[0xfe, 0xff], "-2"),
            (0x08, &[1, 0, 0, 0, 0, 0, 0, 0x80], "-9223372036854775807"),
            (0x8008, &[0xff; 8], "18446744073709551615"),
            (0x05, &1.5f64.to_le_bytes(), "1.5"),
            (0x0a, &[4, 0xea, 7, 2, 3], "'2026-02-03'"),
            (0x0c, &[11, 0xea, 7, 2, 3, 4, 5, 6, 7, 0, 0, 0], "'2026-02-03 04:05:06.000007'"),
            (0xf6, b"\x0412.5", "12.5"),
        ];
        for (data_type, value, expected) in cases {
            assert_eq!(execute("?", &[data_type], value, 0).unwrap(), expected);
        }
        assert_eq!(execute("? ?", &[0x03, 0x03], &[7, 0, 0, 0], 1).unwrap(), "NULL 7");
    }

    #[test]
    fn unknown_and_torn_executions_are_refused() {
        assert_eq!(execute("?", &[0x08], &[1, 2], 0).unwrap_err().code, 1835);
        assert_eq!(Prepared::default().execute(&[9, 0, 0, 0, 0, 1, 0, 0, 0]).unwrap_err().code, 1243);
        assert_eq!(Prepared::default().prepare(" -- nothing").unwrap_err().code, 1065);
    }

    proptest! {
        #[test]
        fn garbage_ends(payload in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut prepared = Prepared::default();
            let (id, _) = prepared.prepare("select ?, ?, ?").unwrap();
            let mut whole = id.to_le_bytes().to_vec();
            whole.extend(&payload);
            let _ = prepared.execute(&whole);
            prepared.long_data(&whole);
            let _ = prepared.reset(&payload);
            prepared.close(&payload);
        }
    }
}
