//! Replies: OK, error, EOF, and result sets in the text protocol.

use super::packet::Output;
use super::wire::{put_length, put_string};
use crate::error::SqlError;
use crate::session::{ColumnType, ResultSet};

const CHARSET_UTF8: u16 = 33;
const CHARSET_BINARY: u16 = 63;

/// The MySQL type byte, the length and the decimals of a column definition.
fn definition(column_type: ColumnType) -> (u8, u32, u8) {
    match column_type {
        ColumnType::Text => (253, 65_533 * 3, 0),
        ColumnType::TinyInt => (1, 4, 0),
        ColumnType::SmallInt => (2, 6, 0),
        ColumnType::Int => (3, 11, 0),
        ColumnType::BigInt => (8, 20, 0),
        ColumnType::Float => (4, 12, 31),
        ColumnType::Double => (5, 22, 31),
        ColumnType::Decimal => (246, 78, 30),
        ColumnType::Date => (10, 10, 0),
        ColumnType::DateTime => (12, 26, 6),
        ColumnType::Json => (245, u32::MAX, 0),
    }
}

pub fn ok(output: &mut Output, affected_rows: u64, info: &str, status: u16) {
    output.packet(|bytes| {
        bytes.push(0);
        put_length(bytes, affected_rows);
        put_length(bytes, 0);
        bytes.extend_from_slice(&status.to_le_bytes());
        bytes.extend_from_slice(&[0, 0]);
        // Documented as the rest of the packet; MySQL, Doris and the clients use a length instead.
        if !info.is_empty() {
            put_string(bytes, info.as_bytes());
        }
    });
}

pub fn error(output: &mut Output, error: &SqlError) {
    output.packet(|bytes| {
        bytes.push(0xff);
        bytes.extend_from_slice(&error.code.to_le_bytes());
        bytes.push(b'#');
        bytes.extend_from_slice(error.state.as_bytes());
        bytes.extend_from_slice(error.to_string().as_bytes());
    });
}

pub fn eof(output: &mut Output, status: u16) {
    output.packet(|bytes| {
        bytes.extend_from_slice(&[0xfe, 0, 0]);
        bytes.extend_from_slice(&status.to_le_bytes());
    });
}

/// A whole result set: column count, definitions, EOF, rows, EOF.
pub fn result_set(output: &mut Output, rows: &ResultSet, status: u16) {
    output.packet(|bytes| put_length(bytes, rows.columns.len() as u64));
    for (at, name) in rows.columns.iter().enumerate() {
        let column_type = rows.types.get(at).copied().unwrap_or(ColumnType::Text);
        column(output, "", name, column_type);
    }
    eof(output, status);
    for row in &rows.rows {
        output.packet(|bytes| {
            for value in row {
                match value {
                    Some(text) => put_string(bytes, text.as_bytes()),
                    None => bytes.push(0xfb),
                }
            }
        });
    }
    eof(output, status);
}

/// The answer to COM_STMT_PREPARE: the id, then a definition per parameter. Doris describes no result
/// columns before the statement runs.
pub fn prepared(output: &mut Output, id: u32, parameters: usize) {
    output.packet(|bytes| {
        bytes.push(0);
        bytes.extend_from_slice(&id.to_le_bytes());
        bytes.extend_from_slice(&0u16.to_le_bytes());
        bytes.extend_from_slice(&u16::try_from(parameters).unwrap_or(u16::MAX).to_le_bytes());
        bytes.extend_from_slice(&[0, 0, 0]);
    });
    if parameters > 0 {
        for _ in 0..parameters {
            column(output, "", "?", ColumnType::Text);
        }
        eof(output, 0);
    }
}

/// The answer to COM_FIELD_LIST: definitions with a NULL default each, then EOF.
pub fn field_list(output: &mut Output, table: &str, columns: &[(String, ColumnType)]) {
    for (name, column_type) in columns {
        output.packet(|bytes| {
            column_payload(bytes, table, name, *column_type);
            bytes.push(0xfb);
        });
    }
    eof(output, 0);
}

pub(super) fn column(output: &mut Output, table: &str, name: &str, column_type: ColumnType) {
    output.packet(|bytes| column_payload(bytes, table, name, column_type));
}

fn column_payload(bytes: &mut Vec<u8>, table: &str, name: &str, column_type: ColumnType) {
    let (type_byte, length, decimals) = definition(column_type);
    let charset = if column_type == ColumnType::Text { CHARSET_UTF8 } else { CHARSET_BINARY };
    put_string(bytes, b"def");
    put_string(bytes, b"");
    put_string(bytes, table.as_bytes());
    put_string(bytes, table.as_bytes());
    put_string(bytes, name.as_bytes());
    put_string(bytes, name.as_bytes());
    bytes.push(0x0c);
    bytes.extend_from_slice(&charset.to_le_bytes());
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.push(type_byte);
    bytes.extend_from_slice(&[0, 0]);
    bytes.push(decimals);
    bytes.extend_from_slice(&[0, 0]);
}
