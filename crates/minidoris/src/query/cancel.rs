//! Ending a query from another connection.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use rusqlite::{Connection, InterruptHandle};

/// What KILL tells the statement of a session.
#[derive(Default)]
pub struct Cancel {
    asked: AtomicBool,
    /// Of the query that runs now.
    running: Mutex<Option<InterruptHandle>>,
}

impl fmt::Debug for Cancel {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Cancel").field("asked", &self.asked).finish_non_exhaustive()
    }
}

/// A query that can be ended, as long as this lives.
#[derive(Debug)]
pub struct Running<'a> {
    cancel: &'a Cancel,
}

impl Cancel {
    /// A new statement begins, which nobody has asked to end.
    pub fn reset(&self) {
        self.asked.store(false, Ordering::SeqCst);
    }

    /// Whether the statement was asked to end.
    pub fn is_asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }

    /// Ends the query that runs, or the one that the statement runs next.
    pub fn ask(&self) {
        let running = self.running.lock();
        self.asked.store(true, Ordering::SeqCst);
        if let Some(handle) = running.as_ref() {
            handle.interrupt();
        }
    }

    /// A query begins on the connection; `None` when it must not.
    pub fn start(&self, connection: &Connection) -> Option<Running<'_>> {
        // Under the lock, so that no query of another session is met once this one has ended.
        let mut running = self.running.lock();
        if self.is_asked() {
            return None;
        }
        *running = Some(connection.get_interrupt_handle());
        Some(Running { cancel: self })
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        *self.cancel.running.lock() = None;
    }
}
