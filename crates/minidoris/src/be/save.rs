//! What a backend's disk holds in Doris, for keeping it and for starting with it again: tablets with their
//! rowsets and binlogs, and the rowsets that committed transactions staged.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};

use super::tablet::TabletIds;
use super::{Backend, Tablet};
use crate::data::{Rowset, RowsetMeta, TabletSchema};

/// A tablet without its rowsets.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct TabletHead {
    pub ids: TabletIds,
    pub schema: TabletSchema,
    pub binlog_enabled: bool,
    pub max_version: i64,
    pub claimed_size: u64,
    #[serde(default)]
    pub lost_segments: std::collections::BTreeSet<i64>,
}

/// A tablet as it is now.
#[derive(Debug)]
pub(crate) struct TabletImage {
    pub head: TabletHead,
    pub rowsets: BTreeMap<i64, Arc<Rowset>>,
    pub binlogs: BTreeMap<i64, Arc<Rowset>>,
}

/// Makes the schemas of tablets of one index the same object again.
#[derive(Debug, Default)]
pub(crate) struct SharedSchemas(HashMap<String, Arc<TabletSchema>>);

impl SharedSchemas {
    pub fn share(&mut self, schema: TabletSchema) -> Arc<TabletSchema> {
        let key = format!("{schema:?}");
        Arc::clone(self.0.entry(key).or_insert_with(|| Arc::new(schema)))
    }
}

/// Meta, segments and index files in one piece of bytes.
pub(crate) fn pack(rowset: &Rowset) -> Vec<u8> {
    let meta = rowset.meta.encode();
    let mut bytes = Vec::with_capacity(4 + meta.len());
    bytes.extend(u32::try_from(meta.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend(meta);
    for file in rowset.segments.iter().chain(&rowset.index_files) {
        bytes.extend_from_slice(file);
    }
    bytes
}

/// `None` when the bytes are not what [`pack`] makes.
pub(crate) fn unpack(bytes: &[u8]) -> Option<Rowset> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let meta = RowsetMeta::decode(rest.get(..length)?).ok()?;
    let mut rest = bytes::Bytes::copy_from_slice(&rest[length..]);
    let mut take = |sizes: &[u64]| -> Option<Vec<bytes::Bytes>> {
        let fits = |size: &u64, left: usize| usize::try_from(*size).ok().filter(|size| *size <= left);
        sizes.iter().map(|size| fits(size, rest.len()).map(|size| rest.split_to(size))).collect()
    };
    let segments = take(&meta.segment_sizes)?;
    let index_files = take(&meta.index_file_sizes)?;
    rest.is_empty().then_some(Rowset { meta, segments, index_files })
}

impl Backend {
    /// Tablets that changed since the last call, and the ids of all there are.
    pub(crate) fn take_changed_tablets(&self) -> (Vec<Arc<Tablet>>, HashSet<i64>) {
        let tablets = self.tablets.read();
        let changed = tablets.values().filter(|tablet| tablet.take_changed()).cloned().collect();
        (changed, tablets.keys().copied().collect())
    }

    /// Puts a saved tablet in place.
    pub(crate) fn load_tablet(&self, image: TabletImage, schemas: &mut SharedSchemas) {
        let newest = image.rowsets.values().chain(image.binlogs.values());
        let newest = newest.filter_map(|rowset| rowset_number(&rowset.meta.rowset_id)).max();
        self.rowset_ids.fetch_max(newest.map_or(1, |number| number + 1), Ordering::Relaxed);
        let id = image.head.ids.tablet_id;
        self.tablets.write().insert(id, Arc::new(Tablet::from_image(image, schemas)));
    }

    /// Stages a saved rowset of a committed transaction again.
    pub(crate) fn load_staged(&self, rowset: Rowset) {
        let key = (rowset.meta.txn_id, rowset.meta.partition_id, rowset.meta.tablet_id);
        self.txns.store(key, (-1, -1), Arc::new(rowset));
    }
}

/// The counter within a rowset id of [`Backend`].
fn rowset_number(id: &str) -> Option<u64> {
    u64::from_str_radix(id.get(2..16)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{IndexFormat, InvertedIndexes};

    #[test]
    fn rowsets_survive_and_torn_ones_are_refused() {
        let meta =
            RowsetMeta { rowset_id: "02ab".to_owned(), segment_sizes: vec![3, 2], ..RowsetMeta::default() };
        let segments = [&b"abc"[..], &b"de"[..]].map(bytes::Bytes::copy_from_slice).to_vec();
        let indexes = InvertedIndexes { format: IndexFormat::V1, ids: vec![4, 5] };
        let rowset = Rowset { meta, segments, index_files: Vec::new() }.indexed(indexes);
        assert_eq!(rowset.index_files.len(), 4);
        let packed = pack(&rowset);
        let read = unpack(&packed).unwrap();
        assert_eq!((read.meta, read.segments), (rowset.meta, rowset.segments));
        assert_eq!(read.index_files, rowset.index_files);
        for end in 0..packed.len() {
            assert!(unpack(&packed[..end]).is_none());
        }
    }
}
