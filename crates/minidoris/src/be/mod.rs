//! A backend: tablets, rowsets, binlog store and snapshots.

#[derive(Debug)]
pub struct Backend {
    id: i64,
}

impl Backend {
    pub fn new(id: i64) -> Self {
        Self { id }
    }

    pub fn id(&self) -> i64 {
        self.id
    }
}
