//! A rowset: what one transaction wrote to one tablet.

use std::sync::Arc;

use bytes::Bytes;

use super::codec::{self, CodecError, Reader};
use super::segment;
use super::{DeletePredicate, IndexFile, InvertedIndexes, Row, TabletSchema};

const MAGIC: &[u8; 4] = b"MDM1";

/// Segments, index files and meta. The bytes are shared by the live tablet, the binlog store and snapshots.
#[derive(Debug, Clone, Default)]
pub struct Rowset {
    pub meta: RowsetMeta,
    pub segments: Vec<Bytes>,
    /// In the order of [`RowsetMeta::index_files`].
    pub index_files: Vec<Bytes>,
}

/// What travels as "rowset meta" between backends.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RowsetMeta {
    /// 48 hex digits.
    pub rowset_id: String,
    pub tablet_id: i64,
    pub partition_id: i64,
    pub schema_hash: i32,
    pub txn_id: i64,
    /// 0 until published.
    pub version: i64,
    pub num_rows: u64,
    pub segment_sizes: Vec<u64>,
    /// Those of the schema that the rowset was written with; they decide which index files it has.
    pub inverted_indexes: InvertedIndexes,
    pub index_file_sizes: Vec<u64>,
    pub delete_predicate: Option<DeletePredicate>,
    /// Where an ingested rowset came from.
    pub source_rowset_id: Option<String>,
    pub source_tablet_id: Option<i64>,
}

impl Rowset {
    /// Encodes rows; the other fields of `meta` are the caller's.
    pub fn of_rows(schema: &TabletSchema, rows: &[Row], meta: RowsetMeta) -> Self {
        let segments = segment::encode(schema, rows);
        Self::of_segments(schema, segments, rows.len() as u64, meta)
    }

    /// Builds the index files of encoded segments; the other fields of `meta` are the caller's.
    pub fn of_segments(schema: &TabletSchema, segments: Vec<Bytes>, num_rows: u64, meta: RowsetMeta) -> Self {
        let segment_sizes = segments.iter().map(|bytes| bytes.len() as u64).collect();
        let meta = RowsetMeta { num_rows, segment_sizes, ..meta };
        Self { meta, segments, index_files: Vec::new() }.indexed(schema.inverted_indexes.clone())
    }

    /// The same rows with the index files of other indexes.
    pub fn indexed(self, indexes: InvertedIndexes) -> Self {
        let index_files = indexes.build(&self.segments);
        let index_file_sizes = index_files.iter().map(|bytes| bytes.len() as u64).collect();
        let meta = RowsetMeta { inverted_indexes: indexes, index_file_sizes, ..self.meta };
        Self { meta, segments: self.segments, index_files }
    }

    /// The content of one index file.
    pub fn index_file(&self, wanted: IndexFile) -> Option<&Bytes> {
        let at = self.meta.index_files().iter().position(|file| *file == wanted)?;
        self.index_files.get(at)
    }

    pub fn data_size(&self) -> u64 {
        self.meta.segment_sizes.iter().sum()
    }

    /// The same data under another meta.
    pub fn with_meta(self: &Arc<Self>, change: impl FnOnce(&mut RowsetMeta)) -> Arc<Self> {
        let mut meta = self.meta.clone();
        change(&mut meta);
        Arc::new(Self { meta, segments: self.segments.clone(), index_files: self.index_files.clone() })
    }

    /// Calls `each` for every row, in the order written.
    pub fn rows(&self, schema: &TabletSchema, mut each: impl FnMut(Row)) -> Result<(), CodecError> {
        for bytes in &self.segments {
            segment::decode(schema, bytes, &mut each)?;
        }
        Ok(())
    }
}

impl RowsetMeta {
    /// The index files that the rowset has.
    pub fn index_files(&self) -> Vec<IndexFile> {
        self.inverted_indexes.files(self.segment_sizes.len())
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        codec::put_text(&mut body, &self.rowset_id);
        for id in [self.tablet_id, self.partition_id, i64::from(self.schema_hash), self.txn_id, self.version]
        {
            codec::put_signed(&mut body, i128::from(id));
        }
        codec::put_unsigned(&mut body, u128::from(self.num_rows));
        codec::put_unsigned(&mut body, self.segment_sizes.len() as u128);
        for size in &self.segment_sizes {
            codec::put_unsigned(&mut body, u128::from(*size));
        }
        body.push(u8::from(self.delete_predicate.is_some()));
        if let Some(predicate) = &self.delete_predicate {
            predicate.encode(&mut body);
        }
        codec::put_text(&mut body, self.source_rowset_id.as_deref().unwrap_or_default());
        codec::put_signed(&mut body, i128::from(self.source_tablet_id.unwrap_or(0)));
        self.inverted_indexes.encode(&mut body);
        codec::put_unsigned(&mut body, self.index_file_sizes.len() as u128);
        for size in &self.index_file_sizes {
            codec::put_unsigned(&mut body, u128::from(*size));
        }
        codec::seal(MAGIC, &body)
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut reader = Reader::new(codec::unseal(MAGIC, "rowset meta", bytes)?);
        let rowset_id = reader.text()?.to_owned();
        let (tablet_id, partition_id) = (reader.i64()?, reader.i64()?);
        let (schema_hash, txn_id, version) = (reader.i32()?, reader.i64()?, reader.i64()?);
        let num_rows = reader.u64()?;
        let mut segment_sizes = Vec::new();
        for _ in 0..reader.count()? {
            segment_sizes.push(reader.u64()?);
        }
        let delete_predicate = match reader.byte()? {
            0 => None,
            _ => Some(DeletePredicate::decode(&mut reader)?),
        };
        let source = reader.text()?;
        let source_rowset_id = (!source.is_empty()).then(|| source.to_owned());
        let source_tablet_id = Some(reader.i64()?).filter(|id| *id != 0);
        // Metas of former versions end here: their rowsets have no index files.
        let (mut inverted_indexes, mut index_file_sizes) = (InvertedIndexes::default(), Vec::new());
        if !reader.is_empty() {
            inverted_indexes = InvertedIndexes::decode(&mut reader)?;
            for _ in 0..reader.count()? {
                index_file_sizes.push(reader.u64()?);
            }
        }
        Ok(Self {
            rowset_id,
            tablet_id,
            partition_id,
            schema_hash,
            txn_id,
            version,
            num_rows,
            segment_sizes,
            inverted_indexes,
            index_file_sizes,
            delete_predicate,
            source_rowset_id,
            source_tablet_id,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Condition, Operator, Value};
    use super::*;

    #[test]
    fn metas_survive() {
        let meta = RowsetMeta {
            rowset_id: "02ab".to_owned(),
            tablet_id: 10_022,
            partition_id: 10_019,
            schema_hash: -5,
            txn_id: 9,
            version: 3,
            num_rows: 12,
            segment_sizes: vec![4_000_000, 17],
            inverted_indexes: InvertedIndexes { format: super::super::IndexFormat::V1, ids: vec![8, 30] },
            index_file_sizes: vec![5, 6, 7, 8],
            delete_predicate: Some(DeletePredicate {
                conditions: vec![Condition {
                    column: 2,
                    operator: Operator::In,
                    values: vec![Value::Int(1), Value::Text("x".to_owned())],
                }],
            }),
            source_rowset_id: Some("02cd".to_owned()),
            source_tablet_id: Some(77),
        };
        assert_eq!(RowsetMeta::decode(&meta.encode()), Ok(meta));
        let plain = RowsetMeta::default();
        assert_eq!(RowsetMeta::decode(&plain.encode()), Ok(plain));
    }

    proptest! {
        #[test]
        fn hostile_metas_are_refused(body in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = RowsetMeta::decode(&codec::seal(MAGIC, &body));
            let _ = RowsetMeta::decode(&body);
        }
    }
}
