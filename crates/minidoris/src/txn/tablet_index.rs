//! From a tablet's id to its place in the catalogue, so that a commit need not search.

use std::collections::HashMap;

/// Where a tablet belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TabletPlace {
    pub db_id: i64,
    pub table_id: i64,
    pub partition_id: i64,
    pub index_id: i64,
}

#[derive(Debug, Default)]
pub struct TabletIndex {
    places: HashMap<i64, TabletPlace>,
}

impl TabletIndex {
    pub fn insert(&mut self, tablet_id: i64, place: TabletPlace) {
        self.places.insert(tablet_id, place);
    }

    pub fn remove(&mut self, tablet_id: i64) {
        self.places.remove(&tablet_id);
    }

    pub fn get(&self, tablet_id: i64) -> Option<TabletPlace> {
        self.places.get(&tablet_id).copied()
    }
}
