//! One replica of a tablet: rowsets by version, and the binlogs of the versions written while its binlog
//! was enabled.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::data::merge::HiddenRow;
use crate::data::{IndexFile, Rowset, TabletSchema, Value, merge};

use super::BackendError;
use super::save::{SharedSchemas, TabletHead, TabletImage};

/// Merged rows are kept for repeated reads up to this many.
const CACHED_ROWS: usize = 20_000;

/// Identity and data of a replica.
#[derive(Debug)]
pub struct Tablet {
    pub id: i64,
    pub table_id: i64,
    pub partition_id: i64,
    pub index_id: i64,
    pub schema_hash: i32,
    state: Mutex<TabletState>,
}

#[derive(Debug)]
struct TabletState {
    schema: Arc<TabletSchema>,
    binlog_enabled: bool,
    /// The newest version, with or without rows.
    max_version: i64,
    rowsets: BTreeMap<i64, Arc<Rowset>>,
    binlogs: BTreeMap<i64, Arc<Rowset>>,
    binlog_versions: HashMap<String, i64>,
    /// Versions whose binlog has lost its segment files.
    lost_segments: BTreeSet<i64>,
    merged: Option<(i64, MergedRows)>,
    /// What a restore has fetched, a version with its rowsets, until it ends. Not saved: a restore that was
    /// interrupted fetches again.
    fetched: Option<(i64, Vec<Arc<Rowset>>)>,
    /// Counts replacements of the data, after which a version means other rows.
    generation: u64,
    /// Bytes that the tablet reports and does not have.
    claimed_size: u64,
    /// Whether it is on its way to the trash: it is found, and takes no new data.
    is_shutdown: bool,
    /// Whether anything but the cache changed since it was last saved.
    changed: bool,
}

/// Rows merged by the key model, shared between readers.
pub type MergedRows = Arc<Vec<Vec<Value>>>;

/// The ids of a new tablet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TabletIds {
    pub tablet_id: i64,
    pub table_id: i64,
    pub partition_id: i64,
    pub index_id: i64,
    pub schema_hash: i32,
}

impl Tablet {
    pub fn new(ids: TabletIds, schema: Arc<TabletSchema>, binlog_enabled: bool, version: i64) -> Self {
        Self {
            id: ids.tablet_id,
            table_id: ids.table_id,
            partition_id: ids.partition_id,
            index_id: ids.index_id,
            schema_hash: ids.schema_hash,
            state: Mutex::new(TabletState {
                schema,
                binlog_enabled,
                max_version: version,
                rowsets: BTreeMap::new(),
                binlogs: BTreeMap::new(),
                binlog_versions: HashMap::new(),
                lost_segments: BTreeSet::new(),
                merged: None,
                fetched: None,
                generation: 0,
                claimed_size: 0,
                is_shutdown: false,
                changed: true,
            }),
        }
    }

    /// A tablet as it was saved.
    pub(super) fn from_image(image: TabletImage, schemas: &mut SharedSchemas) -> Self {
        let TabletImage { head, rowsets, binlogs } = image;
        let tablet = Self::new(head.ids, schemas.share(head.schema), head.binlog_enabled, head.max_version);
        {
            let mut state = tablet.state.lock();
            let versions = binlogs.iter().map(|(version, rowset)| (rowset.meta.rowset_id.clone(), *version));
            state.binlog_versions = versions.collect();
            state.rowsets = rowsets;
            state.binlogs = binlogs;
            state.claimed_size = head.claimed_size;
            state.lost_segments = head.lost_segments;
        }
        tablet
    }

    /// Everything that a restart must find again.
    pub(crate) fn image(&self) -> TabletImage {
        let state = self.state.lock();
        let ids = TabletIds {
            tablet_id: self.id,
            table_id: self.table_id,
            partition_id: self.partition_id,
            index_id: self.index_id,
            schema_hash: self.schema_hash,
        };
        TabletImage {
            head: TabletHead {
                ids,
                schema: (*state.schema).clone(),
                binlog_enabled: state.binlog_enabled,
                max_version: state.max_version,
                claimed_size: state.claimed_size,
                lost_segments: state.lost_segments.clone(),
            },
            rowsets: state.rowsets.clone(),
            binlogs: state.binlogs.clone(),
        }
    }

    /// Whether it changed since the last call.
    pub(super) fn take_changed(&self) -> bool {
        std::mem::take(&mut self.state.lock().changed)
    }

    pub fn schema(&self) -> Arc<TabletSchema> {
        Arc::clone(&self.state.lock().schema)
    }

    pub fn set_schema(&self, schema: Arc<TabletSchema>) {
        let mut state = self.state.lock();
        state.schema = schema;
        state.merged = None;
        state.changed = true;
    }

    pub fn set_binlog(&self, enabled: bool) {
        let mut state = self.state.lock();
        state.binlog_enabled = enabled;
        state.changed = true;
    }

    /// Puts it on its way to the trash.
    pub fn shut_down(&self) {
        self.state.lock().is_shutdown = true;
    }

    pub fn is_shutdown(&self) -> bool {
        self.state.lock().is_shutdown
    }

    pub fn max_version(&self) -> i64 {
        self.state.lock().max_version
    }

    /// Makes a rowset visible as `version` and keeps its binlog when enabled. Repeating is harmless: the
    /// first rowset of a version stays.
    pub fn publish(&self, version: i64, rowset: &Arc<Rowset>) {
        let mut state = self.state.lock();
        if state.rowsets.contains_key(&version) {
            return;
        }
        let rowset = rowset.with_meta(|meta| meta.version = version);
        if state.binlog_enabled {
            state.binlog_versions.insert(rowset.meta.rowset_id.clone(), version);
            state.binlogs.insert(version, Arc::clone(&rowset));
        }
        state.rowsets.insert(version, rowset);
        state.max_version = state.max_version.max(version);
        state.changed = true;
    }

    /// Whether `version` was written by that transaction.
    pub fn holds(&self, version: i64, txn_id: i64) -> bool {
        self.state.lock().rowsets.get(&version).is_some_and(|rowset| rowset.meta.txn_id == txn_id)
    }

    /// Lays the data of a restore beside what is there.
    pub fn lay_aside(&self, version: i64, rowsets: Vec<Arc<Rowset>>) {
        self.state.lock().fetched = Some((version, rowsets));
    }

    /// [`Self::replace`] with what was laid aside, if anything was.
    pub fn take_fetched(&self) {
        let fetched = self.state.lock().fetched.take();
        if let Some((version, rowsets)) = fetched {
            self.replace(version, rowsets);
        }
    }

    /// Throws away what was laid aside.
    pub fn forget_fetched(&self) {
        self.state.lock().fetched = None;
    }

    /// Replaces all data, as the end of a restore does. Binlogs of the old data are forgotten.
    pub fn replace(&self, version: i64, rowsets: Vec<Arc<Rowset>>) {
        let mut state = self.state.lock();
        state.rowsets = rowsets.into_iter().map(|rowset| (rowset.meta.version, rowset)).collect();
        state.max_version = version;
        state.binlogs.clear();
        state.lost_segments.clear();
        state.binlog_versions.clear();
        state.merged = None;
        state.generation += 1;
        state.changed = true;
    }

    /// Puts one rowset with all rows in the place of the versions up to its own, as the end of a schema change
    /// does. Later versions stay, and so do all binlogs: they hold what loads wrote here.
    pub fn rewrite(&self, rowset: &Arc<Rowset>) {
        self.put_base([Arc::clone(rowset)], rowset.meta.version);
    }

    /// Takes the versions up to `version` from a good replica, with their binlogs.
    pub fn copy_from(&self, good: &Self, version: i64) -> Result<(), BackendError> {
        let rowsets = good.rowsets_at(version)?;
        let binlogs: Vec<_> = {
            let state = good.state.lock();
            state.binlogs.range(..=version).map(|(at, rowset)| (*at, Arc::clone(rowset))).collect()
        };
        self.put_base(rowsets.into_iter().map(|(_, rowset)| rowset), version);
        let state = &mut *self.state.lock();
        if state.binlog_enabled {
            for (at, rowset) in binlogs {
                state.binlogs.entry(at).or_insert_with(|| {
                    state.binlog_versions.insert(rowset.meta.rowset_id.clone(), at);
                    rowset
                });
            }
        }
        Ok(())
    }

    fn put_base(&self, rowsets: impl IntoIterator<Item = Arc<Rowset>>, version: i64) {
        let mut state = self.state.lock();
        state.rowsets.retain(|at, _| *at > version);
        state.rowsets.extend(rowsets.into_iter().map(|rowset| (rowset.meta.version, rowset)));
        state.max_version = state.max_version.max(version);
        state.changed = true;
        state.merged = None;
        state.generation += 1;
        state.changed = true;
    }

    /// Grows whenever [`Self::replace`], [`Self::rewrite`] or [`Self::copy_from`] gave versions other rows.
    pub fn generation(&self) -> u64 {
        self.state.lock().generation
    }

    /// The rowsets that make up `version`, oldest first.
    pub fn rowsets_at(&self, version: i64) -> Result<Vec<(i64, Arc<Rowset>)>, BackendError> {
        let state = self.state.lock();
        if version > state.max_version {
            let (tablet_id, max) = (self.id, state.max_version);
            return Err(BackendError::MissedVersion { tablet_id, max, wanted: version });
        }
        Ok(state.rowsets.range(..=version).map(|(at, rowset)| (*at, Arc::clone(rowset))).collect())
    }

    /// The merged rows at a version.
    pub fn read(&self, version: i64) -> Result<MergedRows, BackendError> {
        let schema = {
            let state = self.state.lock();
            if let Some((at, rows)) = &state.merged
                && *at == version
            {
                return Ok(Arc::clone(rows));
            }
            Arc::clone(&state.schema)
        };
        let rowsets = self.rowsets_at(version)?;
        let rows = merge::merge(&schema, &rowsets)
            .map_err(|error| BackendError::Data { tablet_id: self.id, error })?;
        let rows = Arc::new(rows);
        let mut state = self.state.lock();
        if rows.len() <= CACHED_ROWS && Arc::ptr_eq(&state.schema, &schema) {
            state.merged = Some((version, Arc::clone(&rows)));
        }
        Ok(rows)
    }

    /// The rows of a unique table at a version, deleted ones included.
    pub fn read_hidden(&self, version: i64) -> Result<Vec<HiddenRow>, BackendError> {
        let (schema, rowsets) = (self.schema(), self.rowsets_at(version)?);
        merge::merge_hidden(&schema, &rowsets)
            .map_err(|error| BackendError::Data { tablet_id: self.id, error })
    }

    pub fn binlog(&self, version: i64) -> Option<Arc<Rowset>> {
        self.state.lock().binlogs.get(&version).cloned()
    }

    pub fn binlog_rowset(&self, rowset_id: &str) -> Option<Arc<Rowset>> {
        let state = self.state.lock();
        state.binlog_versions.get(rowset_id).and_then(|version| state.binlogs.get(version)).cloned()
    }

    /// A segment file of a binlog, while it is there.
    pub fn binlog_segment(&self, rowset_id: &str, segment: usize) -> Option<Bytes> {
        let state = self.state.lock();
        let version = state.binlog_versions.get(rowset_id)?;
        if state.lost_segments.contains(version) {
            return None;
        }
        state.binlogs.get(version)?.segments.get(segment).cloned()
    }

    /// An index file of a binlog.
    pub fn binlog_index_file(&self, rowset_id: &str, file: IndexFile) -> Option<Bytes> {
        self.binlog_rowset(rowset_id)?.index_file(file).cloned()
    }

    /// Changes the index files of what is visible now, as the end of a BUILD INDEX does: `added` indexes get
    /// their part in every rowset and `dropped` ones lose it. Binlogs keep the files they were written with.
    pub fn rebuild_indexes(&self, added: &[i64], dropped: &[i64], mut new_id: impl FnMut() -> String) {
        let mut state = self.state.lock();
        let format = state.schema.inverted_indexes.format;
        for rowset in state.rowsets.values_mut() {
            let mut indexes = rowset.meta.inverted_indexes.clone();
            indexes.format = format;
            indexes.ids.retain(|id| !dropped.contains(id));
            let missing = added.iter().filter(|id| !indexes.ids.contains(id)).copied().collect::<Vec<_>>();
            indexes.ids.extend(missing);
            if indexes != rowset.meta.inverted_indexes {
                let mut rebuilt = Rowset::clone(rowset).indexed(indexes);
                rebuilt.meta.rowset_id = new_id();
                *rowset = Arc::new(rebuilt);
            }
        }
        state.changed = true;
    }

    /// Forgets the segment files of a version's binlog; `None` when there are none.
    pub fn lose_segments(&self, version: i64) -> Option<()> {
        let mut state = self.state.lock();
        let has_segments = state.binlogs.get(&version).is_some_and(|rowset| !rowset.segments.is_empty());
        has_segments.then(|| {
            state.lost_segments.insert(version);
            state.changed = true;
        })
    }

    pub fn binlog_count(&self) -> usize {
        self.state.lock().binlogs.len()
    }

    /// Forgets the binlogs up to a version, inclusive.
    pub fn gc_binlog(&self, up_to: i64) {
        let mut state = self.state.lock();
        state.changed = true;
        state.lost_segments.retain(|version| *version > up_to);
        let kept = state.binlogs.split_off(&up_to.saturating_add(1));
        for rowset in std::mem::replace(&mut state.binlogs, kept).into_values() {
            state.binlog_versions.remove(&rowset.meta.rowset_id);
        }
    }

    /// Reports so many bytes more than the tablet has.
    pub fn claim_size(&self, bytes: u64) {
        let mut state = self.state.lock();
        state.claimed_size = bytes;
        state.changed = true;
    }

    /// Rows before merging, and bytes.
    pub fn size(&self) -> (u64, u64) {
        let state = self.state.lock();
        let rows = state.rowsets.values().map(|rowset| rowset.meta.num_rows).sum();
        let bytes: u64 = state.rowsets.values().map(|rowset| rowset.data_size()).sum();
        (rows, bytes + state.claimed_size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::RowsetMeta;
    use crate::model::KeysType;

    fn tablet() -> Tablet {
        let ids = TabletIds { tablet_id: 1, table_id: 2, partition_id: 3, index_id: 4, schema_hash: 5 };
        let schema = TabletSchema::new(Vec::new(), KeysType::Duplicate);
        Tablet::new(ids, Arc::new(schema), true, 1)
    }

    fn rowset(id: &str, version: i64) -> Arc<Rowset> {
        let meta = RowsetMeta { rowset_id: id.to_owned(), version, ..RowsetMeta::default() };
        Arc::new(Rowset { meta, ..Rowset::default() })
    }

    fn names(tablet: &Tablet, version: i64) -> Vec<String> {
        let rowsets = tablet.rowsets_at(version).unwrap();
        rowsets.into_iter().map(|(_, rowset)| rowset.meta.rowset_id.clone()).collect()
    }

    #[test]
    fn a_rewrite_keeps_later_versions_and_all_binlogs() {
        let tablet = tablet();
        for (id, version) in [("a", 2), ("b", 3), ("c", 4)] {
            tablet.publish(version, &rowset(id, 0));
        }
        tablet.rewrite(&rowset("all", 3));
        assert_eq!(names(&tablet, 4), ["all", "c"]);
        assert_eq!(tablet.binlog_count(), 3);
        tablet.replace(7, vec![rowset("restored", 7)]);
        assert_eq!((names(&tablet, 7), tablet.binlog_count()), (vec!["restored".to_owned()], 0));
    }

    #[test]
    fn a_repaired_replica_equals_the_good_one() {
        let (good, behind) = (tablet(), tablet());
        good.publish(2, &rowset("a", 0));
        good.publish(3, &rowset("b", 0));
        good.rewrite(&rowset("all", 3));
        behind.publish(2, &rowset("a", 0));
        assert!(behind.copy_from(&good, 4).is_err(), "nobody has version 4");
        behind.copy_from(&good, 3).unwrap();
        assert_eq!(names(&behind, 3), ["all"]);
        assert_eq!((behind.binlog_count(), behind.max_version()), (2, 3));
    }
}
