//! What goes wrong, and at which call.

use std::collections::{BTreeMap, VecDeque};

use super::behind;

/// What happens to one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The connection is refused: the work is not done.
    Refused,
    /// The peer answers that it cannot just now.
    Busy,
    /// The work is done, the answer is lost.
    Lost,
    /// The syncer crashes before the call reaches the peer.
    CrashBefore,
    /// The syncer crashes before the answer arrives.
    CrashAfter,
    /// The downstream has another master before the call, which is lost if it goes there.
    MasterChange,
    /// The same upstream.
    SourceMasterChange,
    /// The answer to a question for metadata lacks every table, that for backups and restores every job. Other calls go
    /// well.
    Empty,
    /// The cluster is asked through a frontend that is behind, where such a one answers. Other calls go well.
    Stale,
    /// Another process takes the job over while the call is under way, which does not reach its peer. Whoever made it
    /// knows nothing of this, and goes on.
    TakenBefore,
    /// The same, and the work is done.
    TakenAfter,
}

/// Small, seeded and the same on every machine.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_add(0x9E37_79B9_7F4A_7C15))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to `limit` - 1.
    pub fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).expect("limits are small").max(1);
        usize::try_from(self.next() % limit).expect("below a usize")
    }

    pub fn number(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// The faults of a run.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// By the number of the call, the first being 1.
    pub at: BTreeMap<u64, Fault>,
    /// For the next calls of an operation, in order.
    pub next: BTreeMap<&'static str, VecDeque<Fault>>,
    /// Percent of all calls that fail, drawn from here, and how many faults are left to draw.
    pub random: Option<(Random, usize, usize)>,
    /// Some of them are answers of frontends that are behind.
    pub is_stale: bool,
    /// How long it takes until a master is elected; none stands for a call that the new one takes over.
    pub election_ms: i64,
    /// A new master does not know the local snapshots of the one before.
    pub loses_snapshots: bool,
    /// How far these are behind.
    pub lag_ms: i64,
    /// Now and then another process takes the job over, while the one that had it goes on.
    pub is_contended: bool,
    /// The network is cut: so many of the next calls are refused.
    pub cut: usize,
    /// Milliseconds each call takes, at most, before and after its work; drawn when `random` is set.
    pub latency_ms: usize,
    /// Milliseconds that the calls of an operation take beyond that, before and after their work.
    pub slow: BTreeMap<&'static str, [u64; 2]>,
}

impl Plan {
    /// The fault of a call, if any, and its latencies.
    pub fn draw(&mut self, number: u64, operation: &'static str) -> (Option<Fault>, [u64; 2]) {
        let (fault, [before, after]) = self.draw_fault(number, operation);
        let [slow_before, slow_after] = self.slow.get(operation).copied().unwrap_or_default();
        (fault, [before + slow_before, after + slow_after])
    }

    fn draw_fault(&mut self, number: u64, operation: &'static str) -> (Option<Fault>, [u64; 2]) {
        let steady = u64::try_from(self.latency_ms).expect("latencies are small");
        let named = self.next.get_mut(operation).and_then(VecDeque::pop_front);
        let fixed = named.or_else(|| self.at.remove(&number));
        let Some((random, percent, left)) = &mut self.random else { return (fixed, [steady; 2]) };
        let mut latency = || u64::try_from(random.below(self.latency_ms + 1)).expect("latencies are small");
        let latencies = [latency(), latency()];
        let mut fault = fixed;
        if fault.is_none() && self.cut > 0 {
            self.cut -= 1;
            return (Some(Fault::Refused), latencies);
        }
        // Such questions are few, and follow each other.
        if fault.is_none()
            && *left > 0
            && self.is_stale
            && behind::SHOWN.contains(&operation)
            && random.chance(15)
        {
            self.lag_ms =
                i64::try_from(random.number(behind::LAG_MS.unsigned_abs())).expect("lags are short");
            return (Some(Fault::Stale), latencies);
        }
        if fault.is_none() && *left > 0 && random.chance(*percent) {
            *left -= 1;
            if random.chance(4) {
                self.cut = random.below(40);
            }
            fault = Some(*random.pick(&[
                Fault::Refused,
                Fault::Busy,
                Fault::Lost,
                Fault::Lost,
                Fault::CrashBefore,
                Fault::CrashAfter,
                Fault::CrashAfter,
                Fault::MasterChange,
                Fault::SourceMasterChange,
                Fault::Empty,
            ]));
            if self.is_stale && random.chance(20) {
                fault = Some(Fault::Stale);
            }
            if self.is_contended && random.chance(30) {
                fault = Some(*random.pick(&[Fault::TakenBefore, Fault::TakenAfter]));
            }
        }
        (fault, latencies)
    }
}
