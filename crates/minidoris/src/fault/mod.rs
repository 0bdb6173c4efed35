//! Faults that an operator or a test injects, and counters of every call.
//!
//! The servers ask [`Faults::before`] once per call and do what the returned [`FaultAction`] says;
//! delays have already passed by then. Nothing is looked up while no rule is set, which is the state
//! that benchmarks run in.
//!
//! Call names are the same for faults and counters: the thrift method (`beginTxn`, `ingest_binlog`), the
//! statement kind (`sql:INSERT`, `sql:SHOW BACKUP`), the HTTP route (`http:/api/_binlog/_download`), and
//! `mysql:connect` for a connection to the query port before its handshake.

pub mod admin;
mod admin_states;
mod counters;
pub mod debug_points;
mod holds;
mod latency;
mod rule;
mod timer;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

pub use counters::Counters;
pub use debug_points::{DebugPoint, DebugPoints};
pub use holds::{Hold, Holds};
pub use latency::Latency;
pub use rule::{Fault, FaultAction, FaultKind};

/// A node of one cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeId {
    /// Frontend by position.
    Fe(usize),
    /// Backend by its id.
    Be(i64),
}

/// No delay is longer, whatever a rule says, so that a stopped cluster is never waited for long.
const LONGEST_DELAY: Duration = Duration::from_secs(600);

/// The faults of one cluster. The first rule that meets a call decides; a rule whose count has run out is
/// dropped.
#[derive(Debug)]
pub struct Faults {
    /// Whether any rule is set; read without the lock on every call.
    armed: AtomicBool,
    rules: Mutex<Rules>,
}

#[derive(Debug)]
struct Rules {
    list: Vec<Fault>,
    random: StdRng,
}

impl Faults {
    /// No rules; `seed` decides the draws of rules with a probability.
    pub fn new(seed: u64) -> Self {
        let rules = Rules { list: Vec::new(), random: StdRng::seed_from_u64(seed) };
        Self { armed: AtomicBool::new(false), rules: Mutex::new(rules) }
    }

    pub fn add(&self, fault: Fault) {
        self.rules.lock().list.push(fault);
        self.armed.store(true, Ordering::Release);
    }

    /// Removes every rule.
    pub fn clear(&self) {
        self.rules.lock().list.clear();
        self.armed.store(false, Ordering::Release);
    }

    /// The rules still in force, with their remaining counts.
    pub fn rules(&self) -> Vec<Fault> {
        self.rules.lock().list.clone()
    }

    /// Asks what happens to a call. `detail` renders what a rule's `contains` is searched in (label,
    /// tables, statement text); it runs only while rules are set. Returns after a delay has passed.
    pub async fn before(&self, node: NodeId, call: &str, detail: impl FnOnce() -> String) -> FaultAction {
        if !self.armed.load(Ordering::Acquire) {
            return FaultAction::Proceed;
        }
        let Some((kind, drawn)) = self.take(node, call, detail) else { return FaultAction::Proceed };
        tracing::info!(?node, call, fault = ?kind, "fault taken");
        match kind {
            FaultKind::Delay(_) | FaultKind::Latency(_) => {
                timer::wait(drawn.min(LONGEST_DELAY)).await;
                FaultAction::Proceed
            }
            FaultKind::CutBefore => FaultAction::CutBefore,
            FaultKind::CutAfter => FaultAction::CutAfter,
            FaultKind::CutMidReply => FaultAction::CutMidReply,
            FaultKind::Truncate => FaultAction::Truncate,
            FaultKind::Status { code, text } => FaultAction::Status { code, text },
            FaultKind::NotMaster => FaultAction::NotMaster,
            FaultKind::Refuse => FaultAction::Refuse,
            FaultKind::Empty => FaultAction::Empty,
            FaultKind::MissingSegment | FaultKind::MissingIndexFile => FaultAction::MissingFile,
        }
    }

    /// Finds the first rule that meets the call and uses it up by one; tells how long the call waits.
    fn take(
        &self,
        node: NodeId,
        call: &str,
        detail: impl FnOnce() -> String,
    ) -> Option<(FaultKind, Duration)> {
        let detail = detail();
        let mut rules = self.rules.lock();
        let Rules { list, random } = &mut *rules;
        let hit = list.iter().position(|rule| {
            rule.meets(node, call, &detail)
                && (rule.probability >= 1.0 || random.random::<f64>() < rule.probability)
        })?;
        let kind = list[hit].kind.clone();
        let wait = match &kind {
            FaultKind::Delay(ms) => Duration::from_millis(*ms),
            FaultKind::Latency(latency) => latency.draw(random),
            FaultKind::CutBefore
            | FaultKind::CutAfter
            | FaultKind::CutMidReply
            | FaultKind::Truncate
            | FaultKind::Status { .. }
            | FaultKind::NotMaster
            | FaultKind::Refuse
            | FaultKind::Empty
            | FaultKind::MissingSegment
            | FaultKind::MissingIndexFile => Duration::ZERO,
        };
        if let Some(remaining) = &mut list[hit].remaining {
            *remaining = remaining.saturating_sub(1);
            if *remaining == 0 {
                list.remove(hit);
            }
        }
        if list.is_empty() {
            self.armed.store(false, Ordering::Release);
        }
        Some((kind, wait))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ask(faults: &Faults, node: NodeId, call: &str, detail: &str) -> FaultAction {
        faults.before(node, call, || detail.to_owned()).await
    }

    #[tokio::test]
    async fn a_rule_meets_its_calls_and_runs_out() {
        let faults = Faults::new(1);
        faults.add(
            Fault::new(FaultKind::CutAfter).on(NodeId::Fe(0)).call("commitTxn").times(2).containing("t1"),
        );
        assert_eq!(ask(&faults, NodeId::Fe(1), "commitTxn", "t1").await, FaultAction::Proceed);
        assert_eq!(ask(&faults, NodeId::Fe(0), "beginTxn", "t1").await, FaultAction::Proceed);
        assert_eq!(ask(&faults, NodeId::Fe(0), "commitTxn", "t2").await, FaultAction::Proceed);
        assert_eq!(ask(&faults, NodeId::Fe(0), "commitTxn", "t1").await, FaultAction::CutAfter);
        assert_eq!(faults.rules()[0].remaining, Some(1));
        assert_eq!(ask(&faults, NodeId::Fe(0), "commitTxn", "t1").await, FaultAction::CutAfter);
        assert_eq!(ask(&faults, NodeId::Fe(0), "commitTxn", "t1").await, FaultAction::Proceed);
        assert!(faults.rules().is_empty());
    }

    #[tokio::test]
    async fn equal_seeds_draw_equally() {
        let draws = |seed| async move {
            let faults = Faults::new(seed);
            faults.add(Fault::new(FaultKind::Refuse).with_probability(0.5));
            let mut taken = Vec::new();
            for _ in 0..64 {
                taken.push(ask(&faults, NodeId::Be(3), "ingest_binlog", "").await == FaultAction::Refuse);
            }
            taken
        };
        let first = draws(7).await;
        assert_eq!(first, draws(7).await);
        assert_ne!(first, draws(8).await);
        assert!(first.contains(&true) && first.contains(&false));
    }

    #[tokio::test]
    async fn a_delayed_call_goes_on() {
        let faults = Faults::new(1);
        faults.add(Fault::new(FaultKind::Delay(1)).call("sql:*").times(1));
        assert_eq!(ask(&faults, NodeId::Fe(0), "sql:INSERT", "").await, FaultAction::Proceed);
        assert!(faults.rules().is_empty());
    }
}
