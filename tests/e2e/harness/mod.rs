//! What the tests share: a pair of clusters, the syncer's process, its API, waiting, comparing.

mod api;
pub mod compare;
pub mod log;
pub mod pair;
pub mod reader;
mod syncer;

use std::future::Future;
use std::time::{Duration, Instant};

pub use api::Target;
pub use compare::assert_equal;
pub use pair::{DB, Pair};
pub use syncer::Syncer;

/// Bound of a wait for something that takes seconds at most. Generous, as the machine may be busy; no
/// test takes it unless it fails.
pub const BOUND: Duration = Duration::from_secs(60);

/// Pause between two looks at a condition.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Waits until `look` gives a value, asking again and again, and fails the test naming `what` and the
/// last refusal when `bound` has passed.
pub async fn wait_until<T, F>(what: &str, bound: Duration, mut look: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, String>>,
{
    let deadline = Instant::now() + bound;
    loop {
        match look().await {
            Ok(value) => return value,
            Err(refusal) if Instant::now() > deadline => {
                panic!("{what}: not within {bound:?}; last seen: {refusal}")
            }
            Err(_) => tokio::time::sleep(LOOK_AGAIN).await,
        }
    }
}
