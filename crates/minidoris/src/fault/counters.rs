//! Counts of every RPC, statement kind and HTTP route, per node.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use parking_lot::Mutex;

use super::NodeId;

/// Enough that a few worker threads rarely meet on one lock.
const SHARDS: usize = 16;

type Shard = HashMap<(NodeId, &'static str), u64>;

/// Call counts. Counting takes one short lock on the calling thread's shard and allocates nothing once
/// a call has been seen.
#[derive(Debug, Default)]
pub struct Counters {
    shards: [Mutex<Shard>; SHARDS],
}

impl Counters {
    /// Adds one call. Names are static: a thrift method, `sql:INSERT`, `http:/api/…`.
    pub fn count(&self, node: NodeId, call: &'static str) {
        *self.shards[thread_shard()].lock().entry((node, call)).or_insert(0) += 1;
    }

    /// Calls of that name on all nodes.
    pub fn get(&self, call: &str) -> u64 {
        self.sum(|(_, name)| *name == call)
    }

    /// Calls of that name on one node.
    pub fn get_on(&self, node: NodeId, call: &str) -> u64 {
        self.sum(|(at, name)| *at == node && *name == call)
    }

    /// All counts by call name.
    pub fn snapshot(&self) -> BTreeMap<String, u64> {
        let mut all = BTreeMap::new();
        for shard in &self.shards {
            for ((_, name), count) in shard.lock().iter() {
                *all.entry((*name).to_owned()).or_insert(0) += count;
            }
        }
        all
    }

    pub fn reset(&self) {
        for shard in &self.shards {
            shard.lock().clear();
        }
    }

    fn sum(&self, matches: impl Fn(&(NodeId, &'static str)) -> bool) -> u64 {
        let of_shard = |shard: &Mutex<Shard>| -> u64 {
            shard.lock().iter().filter(|(key, _)| matches(key)).map(|(_, count)| count).sum()
        };
        self.shards.iter().map(of_shard).sum()
    }
}

thread_local! {
    static SHARD: usize = {
        let mut hasher = DefaultHasher::new();
        std::thread::current().id().hash(&mut hasher);
        usize::try_from(hasher.finish() % SHARDS as u64).unwrap_or(0)
    };
}

fn thread_shard() -> usize {
    SHARD.with(|shard| *shard)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up_over_threads_and_nodes() {
        let counters = Counters::default();
        std::thread::scope(|scope| {
            for fe in 0..4 {
                let counters = &counters;
                scope.spawn(move || (0..100).for_each(|_| counters.count(NodeId::Fe(fe), "beginTxn")));
            }
        });
        counters.count(NodeId::Be(7), "ingest_binlog");
        assert_eq!(counters.get("beginTxn"), 400);
        assert_eq!(counters.get_on(NodeId::Fe(2), "beginTxn"), 100);
        assert_eq!(counters.snapshot().get("ingest_binlog"), Some(&1));
        counters.reset();
        assert!(counters.snapshot().is_empty());
    }
}
