//! Result sets in the binary protocol, which answers prepared statements.

use super::encode::{column, eof};
use super::packet::Output;
use super::wire::{put_length, put_string};
use crate::session::{ColumnType, ResultSet};

/// As [`super::encode::result_set`], with binary rows. A column with a value that is none of its type is
/// announced and sent as text.
pub fn result_set(output: &mut Output, rows: &ResultSet, status: u16) {
    let types: Vec<ColumnType> = (0..rows.columns.len()).map(|at| column_type(rows, at)).collect();
    output.packet(|bytes| put_length(bytes, rows.columns.len() as u64));
    for (name, column_type) in rows.columns.iter().zip(&types) {
        column(output, "", name, *column_type);
    }
    eof(output, status);
    for row in &rows.rows {
        output.packet(|bytes| put_row(bytes, row, &types));
    }
    eof(output, status);
}

fn column_type(rows: &ResultSet, at: usize) -> ColumnType {
    let announced = rows.types.get(at).copied().unwrap_or(ColumnType::Text);
    let fits = |row: &Vec<Option<String>>| match row.get(at) {
        Some(Some(text)) => value(announced, text).is_some(),
        Some(None) | None => true,
    };
    if rows.rows.iter().all(fits) { announced } else { ColumnType::Text }
}

fn put_row(bytes: &mut Vec<u8>, row: &[Option<String>], types: &[ColumnType]) {
    bytes.push(0);
    let bitmap = bytes.len();
    // The first two bits are unused.
    bytes.resize(bitmap + (types.len() + 2).div_ceil(8), 0);
    for (at, column_type) in types.iter().enumerate() {
        let encoded = row.get(at).and_then(Option::as_ref).and_then(|text| value(*column_type, text));
        match encoded {
            Some(encoded) => bytes.extend(encoded),
            None => bytes[bitmap + (at + 2) / 8] |= 1 << ((at + 2) % 8),
        }
    }
}

/// `None` when the text is no value of the type.
fn value(column_type: ColumnType, text: &str) -> Option<Vec<u8>> {
    Some(match column_type {
        ColumnType::TinyInt => text.parse::<i8>().ok()?.to_le_bytes().to_vec(),
        ColumnType::SmallInt => text.parse::<i16>().ok()?.to_le_bytes().to_vec(),
        ColumnType::Int => text.parse::<i32>().ok()?.to_le_bytes().to_vec(),
        ColumnType::BigInt => text.parse::<i64>().ok()?.to_le_bytes().to_vec(),
        ColumnType::Float => text.parse::<f32>().ok()?.to_le_bytes().to_vec(),
        ColumnType::Double => text.parse::<f64>().ok()?.to_le_bytes().to_vec(),
        ColumnType::Date => moment(text)?,
        ColumnType::DateTime => moment(text)?,
        ColumnType::Text | ColumnType::Decimal | ColumnType::Json => {
            let mut bytes = Vec::with_capacity(text.len() + 1);
            put_string(&mut bytes, text.as_bytes());
            bytes
        }
    })
}

/// `2026-02-03`, `2026-02-03 04:05:06`, `2026-02-03 04:05:06.000007`.
fn moment(text: &str) -> Option<Vec<u8>> {
    let (date, time) = text.split_once(' ').map_or((text, None), |(date, time)| (date, Some(time)));
    let mut parts = date.split('-');
    let year: u16 = parts.next()?.parse().ok()?;
    let (month, day): (u8, u8) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let mut bytes = year.to_le_bytes().to_vec();
    bytes.extend([month, day]);
    if parts.next().is_some() {
        return None;
    }
    if let Some(time) = time {
        let (clock, fraction) = time.split_once('.').unwrap_or((time, ""));
        let mut parts = clock.split(':');
        for _ in 0..3 {
            bytes.push(parts.next()?.parse().ok()?);
        }
        if parts.next().is_some() || fraction.len() > 6 {
            return None;
        }
        if !fraction.is_empty() {
            let micros: u32 = format!("{fraction:0<6}").parse().ok()?;
            bytes.extend(micros.to_le_bytes());
        }
    }
    bytes.insert(0, u8::try_from(bytes.len()).ok()?);
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_the_bytes_of_their_types() {
        let cases: [(ColumnType, &str, Option<&[u8]>); 9] = [
            (ColumnType::TinyInt, "-1", Some(&[255])),
            (ColumnType::TinyInt, "300", None),
            (ColumnType::SmallInt, "258", Some(&[2, 1])),
            (ColumnType::BigInt, "1", Some(&[1, 0, 0, 0, 0, 0, 0, 0])),
            (ColumnType::Text, "ab", Some(b"\x02ab")),
            (ColumnType::Date, "2026-02-03", Some(&[4, 0xea, 7, 2, 3])),
            (ColumnType::DateTime, "2026-02-03 04:05:06", Some(&[7, 0xea, 7, 2, 3, 4, 5, 6])),
            (
                ColumnType::DateTime,
                "2026-02-03 04:05:06.5",
                Some(&[11, 0xea, 7, 2, 3, 4, 5, 6, 0x20, 0xa1, 7, 0]),
            ),
            (ColumnType::DateTime, "soon", None),
        ];
        for (column_type, text, expected) in cases {
            assert_eq!(value(column_type, text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn nulls_and_misfits_are_told() {
        let rows = ResultSet {
            columns: vec!["a".to_owned(), "b".to_owned()],
            types: vec![ColumnType::TinyInt, ColumnType::TinyInt],
            rows: vec![vec![None, Some("300".to_owned())]],
        };
        assert_eq!((column_type(&rows, 0), column_type(&rows, 1)), (ColumnType::TinyInt, ColumnType::Text));
        let mut bytes = Vec::new();
        put_row(&mut bytes, &rows.rows[0], &[ColumnType::TinyInt, ColumnType::Text]);
        assert_eq!(bytes, b"\x00\x04\x03300");
    }
}
