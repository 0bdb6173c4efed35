//! When committed transactions are asked for; see [`crate::runner::publishing`].

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;

use super::Stream;
use crate::runner::publishing;

/// Between two rounds of questions while nothing else goes on, at first and at most.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The same while transactions are under way, which may settle those before them.
const BUSY_PAUSE: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(super) struct Asking {
    pub running: Option<BoxFuture<'static, ()>>,
    /// When the last round ended, or when there first was something to ask for.
    since_ms: i64,
    /// The last round has seen something visible, so the next one need not wait: after loads into very many
    /// partitions there are very many rounds.
    was_fruitful: bool,
}

impl Stream<'_> {
    /// Starts a round of questions when it is time. Answers how long there is until then.
    pub(super) fn ask_for_published(&mut self) -> Option<Duration> {
        let now_ms = self.shell.now_ms();
        if self.publish.running.is_some() {
            return None;
        }
        if self.shell.publishing.is_empty() {
            self.publish.since_ms = now_ms;
            self.publish.was_fruitful = false;
            return None;
        }
        let rounds = self.shell.publishing.rounds_in_vain();
        let pause = match self.publish.was_fruitful {
            true => Duration::ZERO,
            false => PAUSE.saturating_mul(1 << rounds.min(10)).min(LONGEST_PAUSE),
        };
        let is_busy = self.main.in_flight() > 0 || self.replays.values().any(|track| track.in_flight() > 0);
        let pause = if is_busy { pause.max(BUSY_PAUSE) } else { pause };
        let waited = Duration::from_millis(now_ms.abs_diff(self.publish.since_ms));
        if waited < pause {
            return Some(pause - waited);
        }
        let shell = Arc::clone(&self.shell);
        self.publish.running = Some(Box::pin(async move { publishing::ask(&shell).await }));
        None
    }

    pub(super) fn asked_for_published(&mut self) {
        self.publish.running = None;
        self.publish.since_ms = self.shell.now_ms();
        self.publish.was_fruitful = self.shell.publishing.rounds_in_vain() == 0;
        self.job.publish_position();
    }
}
