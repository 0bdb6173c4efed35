//! The files of inverted indexes that lie beside the segments of a rowset.
//!
//! What is in them is of use to nobody here, since queries read the rows; they exist because backends fetch
//! them from each other, by name and size, and fail when one is missing. A file tells of which segment and
//! indexes it was made, so a test can see that it arrived whole.

use bytes::Bytes;
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};

use super::codec;

const MAGIC: &[u8; 4] = b"MDX1";

/// The index id that stands for all indexes of a segment, where they share a file.
pub const ALL_INDEXES: i64 = -1;

/// How the indexes of a segment are laid out; `inverted_index_storage_format` of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum IndexFormat {
    /// One file per segment and index.
    V1,
    /// One file per segment.
    V2,
    /// One file per segment.
    #[default]
    V3,
}

impl IndexFormat {
    /// The format of a table's property, the default for anything else.
    pub fn of_property(value: Option<&str>) -> Self {
        match value.unwrap_or_default() {
            value if value.eq_ignore_ascii_case("V1") => Self::V1,
            value if value.eq_ignore_ascii_case("V2") => Self::V2,
            _ => Self::V3,
        }
    }

    fn number(self) -> u64 {
        match self {
            IndexFormat::V1 => 1,
            IndexFormat::V2 => 2,
            IndexFormat::V3 => 3,
        }
    }

    fn of_number(number: u64) -> Self {
        match number {
            1 => Self::V1,
            2 => Self::V2,
            _ => Self::V3,
        }
    }
}

/// The inverted and ANN indexes of a schema. Decides which index files a rowset of that schema has.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct InvertedIndexes {
    pub format: IndexFormat,
    /// In the order of the table.
    pub ids: Vec<i64>,
}

/// Which file: the number of its segment, and its index or [`ALL_INDEXES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexFile {
    pub segment: usize,
    pub index_id: i64,
}

impl InvertedIndexes {
    /// The files of a rowset with so many segments, in the order in which backends ask for them.
    pub fn files(&self, segments: usize) -> Vec<IndexFile> {
        let ids = match self.format {
            IndexFormat::V1 => self.ids.clone(),
            IndexFormat::V2 | IndexFormat::V3 if self.ids.is_empty() => Vec::new(),
            IndexFormat::V2 | IndexFormat::V3 => vec![ALL_INDEXES],
        };
        let of_index = |index_id| (0..segments).map(move |segment| IndexFile { segment, index_id });
        ids.into_iter().flat_map(of_index).collect()
    }

    /// The contents of [`Self::files`].
    pub fn build(&self, segments: &[Bytes]) -> Vec<Bytes> {
        let content = |file: IndexFile| {
            let mut body = Vec::new();
            let own = [file.index_id];
            let ids = if file.index_id == ALL_INDEXES { self.ids.as_slice() } else { &own };
            codec::put_unsigned(&mut body, u128::from(self.format.number()));
            codec::put_unsigned(&mut body, ids.len() as u128);
            for id in ids {
                codec::put_signed(&mut body, i128::from(*id));
            }
            body.extend_from_slice(&Md5::digest(&segments[file.segment]));
            Bytes::from(codec::seal(MAGIC, &body))
        };
        self.files(segments.len()).into_iter().map(content).collect()
    }

    pub(super) fn encode(&self, body: &mut Vec<u8>) {
        codec::put_unsigned(body, u128::from(self.format.number()));
        codec::put_unsigned(body, self.ids.len() as u128);
        for id in &self.ids {
            codec::put_signed(body, i128::from(*id));
        }
    }

    pub(super) fn decode(reader: &mut codec::Reader<'_>) -> Result<Self, codec::CodecError> {
        let format = IndexFormat::of_number(reader.u64()?);
        let mut ids = Vec::new();
        for _ in 0..reader.count()? {
            ids.push(reader.i64()?);
        }
        Ok(Self { format, ids })
    }
}

impl IndexFile {
    /// The name beside the segment of a rowset.
    pub fn name(self, rowset_id: &str) -> String {
        let Self { segment, index_id } = self;
        match index_id {
            ALL_INDEXES => format!("{rowset_id}_{segment}.idx"),
            id => format!("{rowset_id}_{segment}_{id}.idx"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_index_has_its_own_files_in_the_first_format_only() {
        let indexes = |format, ids: &[i64]| InvertedIndexes { format, ids: ids.to_vec() };
        let names = |indexes: InvertedIndexes| -> Vec<String> {
            indexes.files(2).into_iter().map(|file| file.name("r")).collect()
        };
        assert_eq!(
            names(indexes(IndexFormat::V1, &[7, 9])),
            ["r_0_7.idx", "r_1_7.idx", "r_0_9.idx", "r_1_9.idx"]
        );
        assert_eq!(names(indexes(IndexFormat::V2, &[7, 9])), ["r_0.idx", "r_1.idx"]);
        assert_eq!(names(indexes(IndexFormat::V3, &[7])), ["r_0.idx", "r_1.idx"]);
        for format in [IndexFormat::V1, IndexFormat::V2, IndexFormat::V3] {
            assert!(names(indexes(format, &[])).is_empty());
            assert!(indexes(format, &[7]).build(&[]).is_empty());
        }
    }

    #[test]
    fn files_differ_by_segment_and_index() {
        let segments = [Bytes::from_static(b"a"), Bytes::from_static(b"b")];
        let mut files = InvertedIndexes { format: IndexFormat::V1, ids: vec![7, 9] }.build(&segments);
        files.sort();
        files.dedup();
        assert_eq!(files.len(), 4);
    }
}
