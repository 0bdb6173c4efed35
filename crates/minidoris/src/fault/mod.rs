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
pub(crate) use rule::PUBLISH;
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

/// The faults of one cluster. Rules are looked at in their order: delays add up, and the first rule of another
/// kind that meets a call decides. A rule whose count has run out is dropped.
#[derive(Debug)]
pub struct Faults {
    /// The cluster's name, for the log.
    cluster: String,
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
    pub fn new(cluster: &str, seed: u64) -> Self {
        let rules = Rules { list: Vec::new(), random: StdRng::seed_from_u64(seed) };
        Self { cluster: cluster.to_owned(), armed: AtomicBool::new(false), rules: Mutex::new(rules) }
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

    /// Whether there is any rule.
    pub fn is_armed(&self) -> bool {
        self.armed.load(Ordering::Acquire)
    }

    /// The rules still in force, with their remaining counts.
    pub fn rules(&self) -> Vec<Fault> {
        self.rules.lock().list.clone()
    }

    /// Asks what happens to a call. `detail` renders what a rule's `contains` is searched in (label,
    /// tables, statement text); it runs only while rules are set. Returns after a delay has passed.
    pub async fn before(&self, node: NodeId, call: &str, detail: impl FnOnce() -> String) -> FaultAction {
        let (wait, action) = self.at_once(node, call, detail);
        if !wait.is_zero() {
            timer::wait(wait).await;
        }
        action
    }

    /// [`Self::before`] for work that cannot wait where it asks: the delay is the caller's to keep.
    pub fn at_once(
        &self,
        node: NodeId,
        call: &str,
        detail: impl FnOnce() -> String,
    ) -> (Duration, FaultAction) {
        if !self.is_armed() {
            return (Duration::ZERO, FaultAction::Proceed);
        }
        let detail = detail();
        let mut rules = self.rules.lock();
        let (mut wait, mut action) = (Duration::ZERO, FaultAction::Proceed);
        let Rules { list, random } = &mut *rules;
        for rule in list.iter_mut() {
            let is_met = rule.meets(node, call, &detail)
                && (rule.probability >= 1.0 || random.random::<f64>() < rule.probability);
            if !is_met {
                continue;
            }
            if rule.after > 0 {
                rule.after -= 1;
                continue;
            }
            if let Some(remaining) = &mut rule.remaining {
                *remaining = remaining.saturating_sub(1);
            }
            let outcome = rule.kind.take(random);
            let wait_ms = match &outcome {
                Taken::Wait(time) => time.as_millis(),
                Taken::Action(_) => 0,
            };
            let cluster = &self.cluster;
            let about = about(call, &detail, rule.contains.as_deref());
            tracing::info!(%cluster, ?node, call, fault = ?rule.kind, wait_ms, about, "fault taken");
            match outcome {
                Taken::Wait(time) => wait = wait.saturating_add(time).min(LONGEST_DELAY),
                Taken::Action(taken) => {
                    action = taken;
                    break;
                }
            }
        }
        list.retain(|rule| rule.remaining != Some(0));
        if list.is_empty() {
            self.armed.store(false, Ordering::Release);
        }
        (wait, action)
    }
}

/// What a rule makes of a call that it meets.
enum Taken {
    Wait(Duration),
    Action(FaultAction),
}

/// What the log says of a call. Statements and paths may hold secrets, so of them only what the rule looks for.
fn about<'a>(call: &str, detail: &'a str, contains: Option<&'a str>) -> &'a str {
    if call.contains(':') { contains.unwrap_or_default() } else { detail }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ask(faults: &Faults, node: NodeId, call: &str, detail: &str) -> FaultAction {
        faults.before(node, call, || detail.to_owned()).await
    }

    #[tokio::test]
    async fn a_rule_lets_calls_pass_before_those_it_meets() {
        let faults = Faults::new("test", 1);
        faults.add(Fault::new(FaultKind::CutBefore).call("getBinlog").after(2).times(1));
        let mut actions = Vec::new();
        for call in ["getBinlog", "getMeta", "getBinlog", "getBinlog", "getBinlog"] {
            actions.push(ask(&faults, NodeId::Fe(0), call, "").await);
        }
        let mut expected = vec![FaultAction::Proceed; 5];
        expected[3] = FaultAction::CutBefore;
        assert_eq!(actions, expected);
    }

    #[tokio::test]
    async fn a_rule_meets_its_calls_and_runs_out() {
        let faults = Faults::new("test", 1);
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
            let faults = Faults::new("test", seed);
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
        let faults = Faults::new("test", 1);
        faults.add(Fault::new(FaultKind::Delay(1)).call("sql:*").times(1));
        assert_eq!(ask(&faults, NodeId::Fe(0), "sql:INSERT", "").await, FaultAction::Proceed);
        assert!(faults.rules().is_empty());
    }

    #[tokio::test]
    async fn delays_add_up_and_another_kind_decides() {
        let faults = Faults::new("test", 1);
        faults.add(Fault::new(FaultKind::Delay(3)));
        faults.add(Fault::new(FaultKind::Delay(4)).call("beginTxn").times(1));
        faults.add(Fault::new(FaultKind::CutBefore).times(2));
        faults.add(Fault::new(FaultKind::Refuse));
        let at_once = |call: &str| faults.at_once(NodeId::Fe(0), call, String::new);
        assert_eq!(at_once("beginTxn"), (Duration::from_millis(7), FaultAction::CutBefore));
        assert_eq!(at_once("beginTxn"), (Duration::from_millis(3), FaultAction::CutBefore));
        assert_eq!(at_once("beginTxn"), (Duration::from_millis(3), FaultAction::Refuse));
        assert_eq!(faults.rules().len(), 2);
        assert_eq!(ask(&faults, NodeId::Fe(0), "beginTxn", "").await, FaultAction::Refuse);
    }

    #[test]
    fn the_log_tells_no_statement() {
        assert_eq!(about("sql:CREATE USER", "IDENTIFIED BY 'x'", Some("USER")), "USER");
        assert_eq!(about("http:/api/_tablet/_download", "?token=x", None), "");
        assert_eq!(about("commitTxn", "d 7", Some("7")), "d 7");
    }
}
