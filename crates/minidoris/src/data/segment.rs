//! A segment: encoded rows with the unique ids of their columns.
//!
//! Sealed body: column count, unique id per column, then rows until the end, each a flag byte (1 is the
//! delete sign) and its values.

use bytes::Bytes;

use super::codec::{self, CodecError, Reader};
use super::{Row, TabletSchema, Value};

const MAGIC: &[u8; 4] = b"MDS1";

/// Rows are cut into segments of about this many bytes.
const SEGMENT_BYTES: usize = 4 * 1024 * 1024;

/// Encodes rows one by one into as many segments as their size needs.
#[derive(Debug, Default)]
pub struct Builder {
    body: Vec<u8>,
    segments: Vec<Bytes>,
    rows: u64,
}

impl Builder {
    /// Adds a row whose values are in the order of `schema`, which is the same for all rows.
    pub fn add<'a>(
        &mut self,
        schema: &TabletSchema,
        values: impl IntoIterator<Item = &'a Value>,
        deleted: bool,
    ) {
        if self.body.is_empty() {
            codec::put_unsigned(&mut self.body, schema.columns.len() as u128);
            for column in &schema.columns {
                codec::put_signed(&mut self.body, i128::from(column.unique_id));
            }
        }
        self.body.push(u8::from(deleted));
        for value in values {
            codec::put_value(&mut self.body, value);
        }
        self.rows += 1;
        if self.body.len() >= SEGMENT_BYTES {
            self.seal();
        }
    }

    /// The segments and the number of rows in them.
    pub fn finish(mut self) -> (Vec<Bytes>, u64) {
        if !self.body.is_empty() {
            self.seal();
        }
        (self.segments, self.rows)
    }

    fn seal(&mut self) {
        self.segments.push(Bytes::from(codec::seal(MAGIC, &self.body)));
        self.body.clear();
    }
}

/// Encodes rows as zero or more segments.
pub fn encode(schema: &TabletSchema, rows: &[Row]) -> Vec<Bytes> {
    let mut builder = Builder::default();
    for row in rows {
        builder.add(schema, &row.values, row.deleted);
    }
    builder.finish().0
}

/// Decodes a segment into rows of `schema`: columns are matched by unique id, columns that the segment
/// lacks show their default, columns that the schema lacks are dropped.
pub fn decode(schema: &TabletSchema, bytes: &[u8], mut each: impl FnMut(Row)) -> Result<(), CodecError> {
    let mut reader = Reader::new(codec::unseal(MAGIC, "segment", bytes)?);
    let count = reader.count()?;
    let mut targets = Vec::with_capacity(count);
    for _ in 0..count {
        targets.push(schema.position_of_unique_id(reader.i32()?));
    }
    let width = schema.columns.len();
    let in_order = count == width && targets.iter().enumerate().all(|(at, target)| *target == Some(at));
    let missing: Vec<Value> = if in_order {
        Vec::new()
    } else {
        (0..width).map(|position| schema.missing_value(position)).collect()
    };
    while !reader.is_empty() {
        let deleted = reader.byte()? & 1 == 1;
        let values = if in_order {
            let mut values = Vec::with_capacity(width);
            for _ in 0..width {
                values.push(reader.value()?);
            }
            values
        } else {
            let mut values = missing.clone();
            for target in &targets {
                match target {
                    Some(position) => values[*position] = reader.value()?,
                    None => reader.skip_value()?,
                }
            }
            values
        };
        each(Row { values, deleted });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::schema::tests::{column, int_schema};
    use super::*;
    use crate::model::{DataType, DefaultValue, KeysType};

    fn decoded(schema: &TabletSchema, segments: &[Bytes]) -> Vec<Row> {
        let mut rows = Vec::new();
        for segment in segments {
            decode(schema, segment, |row| rows.push(row)).unwrap();
        }
        rows
    }

    #[test]
    fn large_loads_become_several_segments() {
        let schema = TabletSchema::new(vec![column("s", DataType::String, true, 0)], KeysType::Duplicate);
        let rows: Vec<Row> =
            (0..100).map(|at| Row::new(vec![Value::Text(format!("{at}{}", "x".repeat(99_998)))])).collect();
        let segments = encode(&schema, &rows);
        assert_eq!(segments.len(), 3, "10 MB in segments of 4");
        assert_eq!(decoded(&schema, &segments), rows);
        assert!(encode(&schema, &[]).is_empty());
    }

    #[test]
    fn columns_are_matched_by_unique_id() {
        let old = int_schema(&["k", "a", "b"], 1, KeysType::Duplicate);
        let segments = encode(&old, &[Row::new(vec![Value::Int(1), Value::Int(2), Value::Int(3)])]);
        let mut new = old.clone();
        new.columns.remove(1);
        let mut added = column("c", DataType::Int, false, 9);
        added.default = Some(DefaultValue::Literal("7".to_owned()));
        new.columns.insert(1, added);
        assert_eq!(
            decoded(&new, &segments),
            vec![Row::new(vec![Value::Int(1), Value::Int(7), Value::Int(3)])]
        );
    }

    #[test]
    fn a_flipped_bit_is_noticed() {
        let schema = int_schema(&["k"], 1, KeysType::Duplicate);
        let mut bytes = encode(&schema, &[Row::new(vec![Value::Int(77)])])[0].to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        assert_eq!(decode(&schema, &bytes, |_| ()), Err(CodecError::Checksum));
    }

    proptest! {
        #[test]
        fn hostile_bodies_are_refused(body in proptest::collection::vec(any::<u8>(), 0..80)) {
            let schema = int_schema(&["k", "v"], 1, KeysType::Duplicate);
            let _ = decode(&schema, &codec::seal(MAGIC, &body), |_| ());
            let _ = decode(&schema, &body, |_| ());
        }
    }
}
