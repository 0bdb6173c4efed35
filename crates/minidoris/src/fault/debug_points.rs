//! Debug points: named places in a frontend or backend that a test switches on over HTTP, as in Doris.
//!
//! Any name can be switched on; these do something here, all of them in the master frontend:
//!
//! | name | while it is on |
//! |---|---|
//! | `FE.PAUSE_PENDING_BACKUP_JOB` | backups stay PENDING; parameter `value`: only the one of that label |
//! | `FE.PAUSE_PENDING_RESTORE_JOB` | the same for restores |
//! | `FE.PAUSE_NON_PENDING_RESTORE_JOB` | restores that have left PENDING stay in their state |
//! | `PublishVersionDaemon.stop_publish` | committed transactions are not published |

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::NodeId;

pub const PAUSE_PENDING_BACKUP: &str = "FE.PAUSE_PENDING_BACKUP_JOB";
pub const PAUSE_PENDING_RESTORE: &str = "FE.PAUSE_PENDING_RESTORE_JOB";
pub const PAUSE_OTHER_RESTORE: &str = "FE.PAUSE_NON_PENDING_RESTORE_JOB";
pub const STOP_PUBLISH: &str = "PublishVersionDaemon.stop_publish";

/// One switched-on point.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DebugPoint {
    /// How often it still takes effect; `None`: without limit.
    pub remaining: Option<u64>,
    /// Milliseconds since the epoch; `None`: never.
    pub ends_at: Option<i64>,
    pub parameters: BTreeMap<String, String>,
    /// Whether the log knows that it takes effect; it does so once, as jobs ask again and again.
    pub told: bool,
}

/// The points of all nodes of a cluster.
#[derive(Debug, Default)]
pub struct DebugPoints {
    /// Whether any point is on; read without the lock.
    armed: AtomicBool,
    points: Mutex<BTreeMap<(NodeId, String), DebugPoint>>,
}

impl DebugPoints {
    pub fn add(&self, node: NodeId, name: &str, point: DebugPoint) {
        self.points.lock().insert((node, name.to_owned()), point);
        self.armed.store(true, Ordering::Release);
    }

    /// Whether no point was ever on, which costs next to nothing to ask.
    pub fn is_empty(&self) -> bool {
        !self.armed.load(Ordering::Acquire)
    }

    pub fn remove(&self, node: NodeId, name: &str) {
        self.points.lock().remove(&(node, name.to_owned()));
    }

    pub fn clear(&self, node: NodeId) {
        self.points.lock().retain(|(of, _), _| *of != node);
    }

    /// Whether the point takes effect now for what `meant` says of its parameters; it is used up by one then.
    pub fn hits(
        &self,
        node: NodeId,
        name: &str,
        now_ms: i64,
        meant: impl FnOnce(&BTreeMap<String, String>) -> bool,
    ) -> bool {
        if self.is_empty() {
            return false;
        }
        let mut points = self.points.lock();
        let key = (node, name.to_owned());
        let Some(point) = points.get_mut(&key) else { return false };
        if point.ends_at.is_some_and(|end| end <= now_ms) || point.remaining == Some(0) {
            points.remove(&key);
            return false;
        }
        if !meant(&point.parameters) {
            return false;
        }
        if let Some(remaining) = &mut point.remaining {
            *remaining -= 1;
        }
        if !std::mem::replace(&mut point.told, true) {
            tracing::info!(?node, name, "debug point takes effect");
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_belong_to_nodes_and_run_out() {
        let points = DebugPoints::default();
        let node = NodeId::Fe(0);
        points.add(node, "a", DebugPoint { remaining: Some(1), ..DebugPoint::default() });
        points.add(node, "b", DebugPoint { ends_at: Some(10), ..DebugPoint::default() });
        assert!(!points.hits(NodeId::Fe(1), "a", 0, |_| true));
        assert!(!points.hits(node, "a", 0, |_| false));
        assert!(points.hits(node, "a", 0, |_| true));
        assert!(!points.hits(node, "a", 0, |_| true));
        assert!(points.hits(node, "b", 9, |_| true) && !points.hits(node, "b", 10, |_| true));
        points.add(node, "c", DebugPoint::default());
        points.clear(node);
        assert!(!points.hits(node, "c", 0, |_| true));
    }
}
