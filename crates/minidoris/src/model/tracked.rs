//! A value that remembers whether it was touched since it was last saved.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

/// On the heap, as tables are large. Every mutable access counts as a change.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tracked<T> {
    value: Box<T>,
    #[serde(skip, default = "changed")]
    changed: AtomicBool,
}

fn changed() -> AtomicBool {
    AtomicBool::new(true)
}

impl<T> Tracked<T> {
    pub fn new(value: T) -> Self {
        Self { value: Box::new(value), changed: changed() }
    }

    /// Whether the value was touched since the last call.
    pub fn take_changed(&self) -> bool {
        self.changed.swap(false, Ordering::Relaxed)
    }
}

impl<T> Deref for Tracked<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Tracked<T> {
    fn deref_mut(&mut self) -> &mut T {
        *self.changed.get_mut() = true;
        &mut self.value
    }
}

impl<T: Clone> Clone for Tracked<T> {
    fn clone(&self) -> Self {
        Self::new((*self.value).clone())
    }
}
